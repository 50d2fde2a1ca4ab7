/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines of lonnet.perm.log, byte for byte, since loncron parses them.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/host_name.h"
#include "keeper/deferred/permlog.h"
#include "tests/unit/heard.h"

/* 2004-12-31 23:59:59 UTC. */
#define NEW_YEAR 1104537599

static void begin(void)
{
    heard_begin();
    setenv("TZ", "UTC0", 1);
    tzset();
}

TestSuite(permlog, .init = begin, .fini = heard_end, .timeout = 30);

/* --- Helpers ---------------------------------------------------------------------------------- */

static int append(enum permlog_kind kind, const char *command)
{
    return permlog_append("perm.log", kind, "msul1", command, strlen(command), NEW_YEAR);
}

static size_t read_log(char *text, size_t size)
{
    FILE *file = fopen("perm.log", "r");
    if (file == NULL)
        return 0;
    size_t length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    fclose(file);
    return length;
}

static void expect_log(const char *expected)
{
    static char text[65536];
    read_log(text, sizeof(text));
    cr_assert_str_eq(text, expected, "expected:\n%s\nfound:\n%s", expected, text);
}

/* The time in the form of Perl's localtime. */
static void perl_localtime(time_t when, const char *zone, char *text, size_t size)
{
    char command[256];
    snprintf(command, sizeof(command), "TZ=%s perl -e 'print scalar localtime %lld'", zone,
             (long long)when);
    FILE *perl = popen(command, "r");
    cr_assert_not_null(perl);
    size_t length = fread(text, 1, size - 1, perl);
    text[length] = '\0';
    cr_assert_eq(pclose(perl), 0);
}

/* --- Lines ------------------------------------------------------------------------------------ */

Test(permlog, a_line_has_epoch_letter_host_command_and_local_time)
{
    cr_expect_eq(append(PERMLOG_DELIVERED, "put:msu:smith:grades:1=A"), 0);
    expect_log("1104537599:S:msul1:put:msu:smith:grades:1=A:Fri Dec 31 23:59:59 2004\n");
}

Test(permlog, each_kind_has_its_letter)
{
    append(PERMLOG_DEFERRED, "a");
    append(PERMLOG_DELIVERED, "b");
    append(PERMLOG_FAILED, "c");
    expect_log("1104537599:D:msul1:a:Fri Dec 31 23:59:59 2004\n"
               "1104537599:S:msul1:b:Fri Dec 31 23:59:59 2004\n"
               "1104537599:F:msul1:c:Fri Dec 31 23:59:59 2004\n");
}

Test(permlog, a_day_below_ten_is_padded_with_a_blank_as_perl_pads_it)
{
    cr_assert_eq(permlog_append("perm.log", PERMLOG_DELIVERED, "msul1", "x", 1, NEW_YEAR + 86400),
                 0);
    expect_log("1104623999:S:msul1:x:Sat Jan  1 23:59:59 2005\n");
}

Test(permlog, what_others_have_written_stays)
{
    write_file("perm.log", "1:D:other:x:then\n");
    cr_expect_eq(append(PERMLOG_FAILED, "y"), 0);
    expect_log("1:D:other:x:then\n1104537599:F:msul1:y:Fri Dec 31 23:59:59 2004\n");
}

Test(permlog, an_empty_command_makes_a_line_too)
{
    cr_expect_eq(append(PERMLOG_DELIVERED, ""), 0);
    expect_log("1104537599:S:msul1::Fri Dec 31 23:59:59 2004\n");
}

Test(permlog, bytes_of_a_command_are_written_as_they_are)
{
    static const char command[] = "a\0b\r\xff:%s%n";
    static const char expected[] = "1104537599:S:msul1:a\0b\r\xff:%s%n:Fri Dec 31 23:59:59 2004\n";
    char text[256];
    cr_expect_eq(permlog_append("perm.log", PERMLOG_DELIVERED, "msul1", command,
                                sizeof(command) - 1, NEW_YEAR),
                 0);
    cr_assert_eq(read_log(text, sizeof(text)), sizeof(expected) - 1);
    cr_expect_arr_eq(text, expected, sizeof(expected) - 1);
}

Test(permlog, only_as_many_bytes_of_the_command_are_taken_as_were_said)
{
    cr_expect_eq(
        permlog_append("perm.log", PERMLOG_DELIVERED, "msul1", "count:1\nrest", 7, NEW_YEAR), 0);
    expect_log("1104537599:S:msul1:count:1:Fri Dec 31 23:59:59 2004\n");
}

Test(permlog, a_long_command_is_cut_at_its_limit)
{
    static char command[3 * PERMLOG_COMMAND_MAX], expected[2 * PERMLOG_COMMAND_MAX];
    memset(command, 'x', sizeof(command));
    for (size_t length = PERMLOG_COMMAND_MAX - 1; length <= PERMLOG_COMMAND_MAX + 1; length++) {
        size_t kept = length < PERMLOG_COMMAND_MAX ? length : PERMLOG_COMMAND_MAX;
        unlink("perm.log");
        cr_expect_eq(
            permlog_append("perm.log", PERMLOG_DELIVERED, "msul1", command, length, NEW_YEAR), 0);
        snprintf(expected, sizeof(expected), "1104537599:S:msul1:%.*s:Fri Dec 31 23:59:59 2004\n",
                 (int)kept, command);
        expect_log(expected);
    }
    unlink("perm.log");
    cr_expect_eq(
        permlog_append("perm.log", PERMLOG_DELIVERED, "msul1", command, sizeof(command), NEW_YEAR),
        0);
    expect_log(expected);
}

Test(permlog, the_longest_host_and_the_longest_command_fit)
{
    static char command[PERMLOG_COMMAND_MAX], text[2 * PERMLOG_COMMAND_MAX];
    char host[HOST_NAME_MAX_LENGTH + 1];
    memset(command, 'x', sizeof(command));
    memset(host, 'h', HOST_NAME_MAX_LENGTH);
    host[HOST_NAME_MAX_LENGTH] = '\0';
    cr_expect_eq(
        permlog_append("perm.log", PERMLOG_DELIVERED, host, command, sizeof(command), NEW_YEAR), 0);
    size_t length = read_log(text, sizeof(text));
    cr_expect_eq(length, strlen("1104537599:S:") + HOST_NAME_MAX_LENGTH + 1 + PERMLOG_COMMAND_MAX +
                             strlen(":Fri Dec 31 23:59:59 2004\n"));
    cr_expect_str_eq(text + length - strlen(":Fri Dec 31 23:59:59 2004\n"),
                     ":Fri Dec 31 23:59:59 2004\n");
}

/* --- Secrets ---------------------------------------------------------------------------------- */

Test(permlog, of_an_enciphered_request_there_is_its_first_word_and_its_length)
{
    append(PERMLOG_DEFERRED, "encrypt:auth:smith:msu:secret");
    append(PERMLOG_DELIVERED, "encrypt:changeuserauth:msu:smith");
    expect_log("1104537599:D:msul1:encrypt:auth (29 bytes):Fri Dec 31 23:59:59 2004\n"
               "1104537599:S:msul1:encrypt:changeuserauth (32 bytes):Fri Dec 31 23:59:59 2004\n");
}

Test(permlog, what_is_no_word_after_encrypt_is_not_written)
{
    append(PERMLOG_DEFERRED, "encrypt:");
    append(PERMLOG_DEFERRED, "encrypt:Secret");
    append(PERMLOG_DEFERRED, "encrypt:12345");
    append(PERMLOG_DEFERRED, "encrypt:\xe4\xf6");
    expect_log("1104537599:D:msul1:encrypt: (8 bytes):Fri Dec 31 23:59:59 2004\n"
               "1104537599:D:msul1:encrypt: (14 bytes):Fri Dec 31 23:59:59 2004\n"
               "1104537599:D:msul1:encrypt: (13 bytes):Fri Dec 31 23:59:59 2004\n"
               "1104537599:D:msul1:encrypt: (10 bytes):Fri Dec 31 23:59:59 2004\n");
}

Test(permlog, a_word_without_end_is_cut)
{
    char command[8 + 100 + 1] = "encrypt:";
    memset(command + 8, 'p', 100);
    append(PERMLOG_DEFERRED, command);
    expect_log("1104537599:D:msul1:encrypt:pppppppppppppppppppppppppppppppp (108 bytes):"
               "Fri Dec 31 23:59:59 2004\n");
}

Test(permlog, the_length_of_a_long_secret_is_its_own)
{
    static char command[3 * PERMLOG_COMMAND_MAX];
    memset(command, 's', sizeof(command));
    memcpy(command, "encrypt:auth:", 13);
    cr_assert_eq(
        permlog_append("perm.log", PERMLOG_DEFERRED, "msul1", command, sizeof(command), NEW_YEAR),
        0);
    expect_log("1104537599:D:msul1:encrypt:auth (12288 bytes):Fri Dec 31 23:59:59 2004\n");
}

Test(permlog, only_a_request_that_starts_so_is_a_secret)
{
    append(PERMLOG_DEFERRED, "encrypt");
    append(PERMLOG_DEFERRED, "put:encrypt:x");
    append(PERMLOG_DEFERRED, "encrypte:x");
    expect_log("1104537599:D:msul1:encrypt:Fri Dec 31 23:59:59 2004\n"
               "1104537599:D:msul1:put:encrypt:x:Fri Dec 31 23:59:59 2004\n"
               "1104537599:D:msul1:encrypte:x:Fri Dec 31 23:59:59 2004\n");
}

/* --- The time --------------------------------------------------------------------------------- */

Test(permlog, the_time_is_as_perls_localtime_says_it_in_any_zone)
{
    static const char *const zones[] = {"UTC0", "EST5EDT,M3.2.0,M11.1.0",
                                        "CET-1CEST,M3.5.0,M10.5.0/3", "IST-5:30"};
    static const time_t times[] = {0, 951782400, NEW_YEAR, 1234567890, 1700000000, 4102444799};
    for (size_t zone = 0; zone < sizeof(zones) / sizeof(*zones); zone++)
        for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
            char expected[128], perl[64];
            setenv("TZ", zones[zone], 1);
            tzset();
            unlink("perm.log");
            perl_localtime(times[i], zones[zone], perl, sizeof(perl));
            cr_assert_eq(permlog_append("perm.log", PERMLOG_DELIVERED, "msul1", "x", 1, times[i]),
                         0);
            snprintf(expected, sizeof(expected), "%lld:S:msul1:x:%s\n", (long long)times[i], perl);
            expect_log(expected);
        }
}

/* --- Where it cannot be written ----------------------------------------------------------------
 */

Test(permlog, what_cannot_be_written_is_said)
{
    cr_expect_eq(permlog_append("missing/perm.log", PERMLOG_DELIVERED, "msul1", "x", 1, NEW_YEAR),
                 -ENOENT);
    cr_assert_eq(mkdir("perm.log", 0700), 0);
    cr_expect_eq(append(PERMLOG_DELIVERED, "x"), -EISDIR);
}

static void fill_disk(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        cr_skip_test("mounting is for root");
    cr_assert_eq(mkdir("disk", 0700), 0);
    cr_assert_eq(mount("none", "disk", "tmpfs", 0, "size=16k"), 0);
    int fd = open("disk/filling", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char block[4096] = "";
    while (write(fd, block, sizeof(block)) > 0)
        continue;
    close(fd);
}

Test(permlog, a_full_disk_is_said_and_is_known_before)
{
    fill_disk();
    cr_expect_eq(permlog_probe("disk/perm.log"), -ENOSPC, "a log that is not there yet");
    cr_expect_eq(permlog_append("disk/perm.log", PERMLOG_DELIVERED, "msul1", "x", 1, NEW_YEAR),
                 -ENOSPC);
    cr_expect_eq(permlog_probe("disk/perm.log"), -ENOSPC);
    cr_assert_eq(unlink("disk/filling"), 0);
    cr_expect_eq(permlog_probe("disk/perm.log"), 0);
    cr_expect_eq(permlog_append("disk/perm.log", PERMLOG_DELIVERED, "msul1", "x", 1, NEW_YEAR), 0);
}

Test(permlog, room_for_a_line_is_kept_by_probing)
{
    fill_disk();
    cr_assert_eq(unlink("disk/filling"), 0);
    write_file("disk/perm.log", "");
    cr_assert_eq(permlog_probe("disk/perm.log"), 0);
    int fd = open("disk/filling", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char block[4096] = "", long_command[PERMLOG_COMMAND_MAX];
    while (write(fd, block, sizeof(block)) > 0)
        continue;
    close(fd);
    memset(long_command, 'x', sizeof(long_command));
    cr_expect_eq(permlog_append("disk/perm.log", PERMLOG_DELIVERED, "msul1", long_command,
                                sizeof(long_command), NEW_YEAR),
                 0);
}

Test(permlog, probing_writes_nothing_and_makes_nothing)
{
    cr_expect_eq(permlog_probe("perm.log"), -ENOENT, "without a folder in its path");
    cr_assert_eq(mkdir("logs", 0700), 0);
    cr_expect_eq(permlog_probe("logs/perm.log"), 0);
    cr_expect_eq(access("logs/perm.log", F_OK), -1);
    write_file("logs/perm.log", "x\n");
    cr_expect_eq(permlog_probe("logs/perm.log"), 0);
    struct stat status;
    cr_assert_eq(stat("logs/perm.log", &status), 0);
    cr_expect_eq(status.st_size, 2);
    cr_expect_eq(permlog_probe("missing/perm.log"), -ENOENT);
}

Test(permlog, a_link_leads_to_the_log)
{
    struct stat status;
    write_file("elsewhere", "");
    cr_assert_eq(symlink("elsewhere", "perm.log"), 0);
    cr_expect_eq(append(PERMLOG_DELIVERED, "x"), 0);
    cr_assert_eq(stat("elsewhere", &status), 0);
    cr_expect_gt(status.st_size, 0);
}

Test(permlog, a_fifo_in_its_place_does_not_hold_the_caller)
{
    cr_assert_eq(mkfifo("perm.log", 0600), 0);
    alarm(5); /* ends the test if it waits for a reader */
    cr_expect_lt(append(PERMLOG_DELIVERED, "x"), 0);
    alarm(0);
}

Test(permlog, no_descriptor_stays_open)
{
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(before);
    for (int i = 0; i < 10; i++) {
        append(PERMLOG_DELIVERED, "x");
        cr_expect_eq(
            permlog_append("missing/perm.log", PERMLOG_DELIVERED, "msul1", "x", 1, NEW_YEAR),
            -ENOENT);
    }
    int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cr_expect_eq(after, before);
    close(after);
}

/* --- Commands that are kept ------------------------------------------------------------------- */

Test(permlog, a_kept_command_makes_the_same_line_later)
{
    char *kept = permlog_keep("put:a:b\n", 7);
    cr_assert_not_null(kept);
    cr_assert_eq(permlog_append("perm.log", PERMLOG_DELIVERED, "msul1", kept, 7, NEW_YEAR), 0);
    cr_assert_eq(permlog_append("other.log", PERMLOG_DELIVERED, "msul1", "put:a:b", 7, NEW_YEAR),
                 0);
    permlog_drop(kept, 7);
    char one[256] = "", other[256] = "";
    FILE *file = fopen("perm.log", "r");
    cr_assert_not_null(file);
    cr_assert_not_null(fgets(one, sizeof(one), file));
    fclose(file);
    file = fopen("other.log", "r");
    cr_assert_not_null(file);
    cr_assert_not_null(fgets(other, sizeof(other), file));
    fclose(file);
    cr_expect_str_eq(one, other);
}

Test(permlog, of_a_long_command_no_more_is_kept_than_a_line_has)
{
    /* More than that many bytes cannot be read here. */
    char *command = malloc(PERMLOG_COMMAND_MAX);
    cr_assert_not_null(command);
    memset(command, 'x', PERMLOG_COMMAND_MAX);
    char *kept = permlog_keep(command, 64 * PERMLOG_COMMAND_MAX);
    cr_assert_not_null(kept);
    cr_expect_arr_eq(kept, command, PERMLOG_COMMAND_MAX);
    permlog_drop(kept, 64 * PERMLOG_COMMAND_MAX);
    free(command);
}

Test(permlog, an_empty_command_and_none_can_be_dropped)
{
    char *kept = permlog_keep("", 0);
    cr_expect_not_null(kept);
    permlog_drop(kept, 0);
    permlog_drop(NULL, 7);
}
