/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The log: what a journal is told, in the journal's own protocol, and what goes to standard error
 * where there is none. A stand-in journal listens in the test's folder.
 *
 * In one piece because all of it is about one message on its way out, and needs that journal.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/unix.h"
#include "tests/unit/heard.h"

#define JOURNAL "journal.sock"

/* The stand-in journal, and where standard error is read. */
static int journal = -1, errors = -1;

static void begin(void)
{
    int ends[2];
    struct sockaddr_un address;
    heard_begin();
    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(unix_address(&address, JOURNAL), 0);
    cr_assert_eq(bind(journal, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
    errors = ends[0];
    cr_assert_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    /* Like any other program's standard error, the writer's end may block. */
    cr_assert_eq(fcntl(STDERR_FILENO, F_SETFL, 0), 0);
}

TestSuite(log, .init = begin, .fini = heard_end, .timeout = 20);

/* --- The journal's side ----------------------------------------------------------------------- */

struct field {
    char key[64];
    char value[4096];
    size_t length;
};

static struct {
    struct field fields[16];
    size_t count;
} entry;

/* One field of the native protocol at `at`; both its forms. Returns what follows. */
static const char *parse_field(const char *at, const char *end, struct field *field)
{
    size_t key = strcspn(at, "=\n");
    cr_assert_lt(key, sizeof(field->key));
    cr_assert_lt(at + key, end);
    memcpy(field->key, at, key);
    field->key[key] = '\0';
    at += key + 1;
    if (at[-1] == '=') {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        cr_assert_not_null(lf);
        field->length = (size_t)(lf - at);
    } else {
        uint64_t length;
        cr_assert_leq(at + sizeof(length), end);
        memcpy(&length, at, sizeof(length));
        at += sizeof(length);
        field->length = (size_t)le64toh(length);
    }
    cr_assert_lt(field->length, (size_t)(end - at), "%s is cut off", field->key);
    cr_assert_lt(field->length, sizeof(field->value));
    memcpy(field->value, at, field->length);
    field->value[field->length] = '\0';
    cr_assert_eq(at[field->length], '\n');
    return at + field->length + 1;
}

/* Takes one datagram; false when there is none. */
static bool read_entry(void)
{
    static char bytes[65536];
    ssize_t n = recv(journal, bytes, sizeof(bytes) - 1, 0);
    if (n < 0)
        return false;
    bytes[n] = '\0';
    entry.count = 0;
    for (const char *at = bytes; at < bytes + n;) {
        cr_assert_lt(entry.count, 16);
        at = parse_field(at, bytes + n, &entry.fields[entry.count++]);
    }
    return true;
}

static const struct field *find_field(const char *key)
{
    const struct field *found = NULL;
    for (size_t i = 0; i < entry.count; i++)
        if (strcmp(entry.fields[i].key, key) == 0) {
            cr_assert_null(found, "%s twice", key);
            found = &entry.fields[i];
        }
    return found;
}

static void expect_field(const char *key, const char *value)
{
    const struct field *field = find_field(key);
    cr_assert_not_null(field, "no %s", key);
    cr_assert_eq(field->length, strlen(value), "%s is %s", key, field->value);
    cr_assert_arr_eq(field->value, value, field->length, "%s is %s", key, field->value);
}

/* The next entry has so many fields and this message. */
static void expect_entry(size_t fields, const char *message)
{
    cr_assert(read_entry(), "nothing in the journal");
    cr_assert_eq(entry.count, fields, "%zu fields", entry.count);
    expect_field("MESSAGE", message);
}

static const char *read_errors(void)
{
    static char text[65536];
    ssize_t n = read(errors, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void expect_errors(const char *expected)
{
    const char *text = read_errors();
    cr_assert_str_eq(text, expected, "expected:\n%s\nwritten:\n%s", expected, text);
}

static int count_open(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void open_journal(void)
{
    log_open("lonc-test", LOG_TARGET_AUTO, LOG_DEBUG, JOURNAL);
}

static void open_stderr(void)
{
    log_open("lonc-test", LOG_TARGET_STDERR, LOG_DEBUG, JOURNAL);
}

/* --- To the journal --------------------------------------------------------------------------- */

Test(log, the_journal_is_told_everything_in_fields)
{
    open_journal();
    log_write(LOG_WARNING,
              &(struct log_about){.event = LOG_EVENT_HOST_DEAD,
                                  .host = "msul1",
                                  .client_pid = 4711,
                                  .reason = "timed-out"},
              "host is %s, %d times", "dead", 2);
    expect_entry(7, "host is dead, 2 times");
    expect_field("PRIORITY", "4");
    expect_field("SYSLOG_IDENTIFIER", "lonc-test");
    expect_field("MESSAGE_ID", log_event_id(LOG_EVENT_HOST_DEAD));
    expect_field("LONC_HOST", "msul1");
    expect_field("LONC_CLIENT_PID", "4711");
    expect_field("LONC_REASON", "timed-out");
    cr_assert_not(read_entry(), "a second datagram");
    expect_errors("");
}

Test(log, what_is_not_known_is_left_out)
{
    open_journal();
    log_write(LOG_INFO, NULL, "of nobody");
    expect_entry(3, "of nobody");
    log_write(LOG_INFO, &(struct log_about){.host = NULL}, "of nobody else");
    expect_entry(3, "of nobody else");
    log_write(LOG_INFO, &(struct log_about){.host = "msul1"}, "of a host");
    expect_entry(4, "of a host");
    expect_field("LONC_HOST", "msul1");
    log_write(LOG_INFO, &(struct log_about){.reason = "dead"}, "of a reason");
    expect_entry(4, "of a reason");
    expect_field("LONC_REASON", "dead");
}

Test(log, every_priority_is_written_as_its_number)
{
    open_journal();
    for (int priority = LOG_EMERG; priority <= LOG_DEBUG; priority++) {
        char number[16];
        snprintf(number, sizeof(number), "%d", priority);
        log_write(priority, NULL, "text");
        expect_entry(3, "text");
        expect_field("PRIORITY", number);
    }
}

Test(log, every_event_is_written_with_its_id)
{
    open_journal();
    for (enum log_event event = LOG_EVENT_NONE + 1; event < LOG_EVENT_COUNT; event++) {
        log_write(LOG_INFO, &(struct log_about){.event = event}, "text");
        expect_entry(4, "text");
        expect_field("MESSAGE_ID", log_event_id(event));
    }
}

/* What a client sends, and what a peer says, must not be able to speak for us. */
Test(log, no_text_can_forge_a_field)
{
    open_journal();
    log_write(LOG_INFO,
              &(struct log_about){.host = "a\nPRIORITY=0\n", .reason = "b\n\nLONC_HOST=c"}, "%s",
              "one\nLONC_CLIENT_PID=1\nMESSAGE=two\nPRIORITY\n\1\0\0");
    expect_entry(5, "one\nLONC_CLIENT_PID=1\nMESSAGE=two\nPRIORITY\n\1");
    expect_field("PRIORITY", "6");
    expect_field("LONC_HOST", "a\nPRIORITY=0\n");
    expect_field("LONC_REASON", "b\n\nLONC_HOST=c");
    cr_assert_null(find_field("LONC_CLIENT_PID"));
}

Test(log, every_byte_survives)
{
    char bytes[256];
    for (int i = 0; i < 255; i++)
        bytes[i] = (char)(i + 1);
    bytes[255] = '\0';
    open_journal();
    log_write(LOG_INFO, &(struct log_about){.reason = bytes}, "%s", bytes);
    expect_entry(4, bytes);
    expect_field("LONC_REASON", bytes);
}

Test(log, an_empty_text_is_a_message_too)
{
    open_journal();
    log_write(LOG_INFO, &(struct log_about){.host = "", .reason = ""}, "%s", "");
    expect_entry(5, "");
    expect_field("LONC_HOST", "");
}

/* Of the 1,024 bytes, one may be the text's NUL. */
Test(log, text_past_1024_bytes_is_cut_and_every_field_still_fits)
{
    static char text[100001], name[254];
    memset(text, 'x', sizeof(text) - 1);
    memset(name, 'h', sizeof(name) - 1);
    open_journal();
    log_write(LOG_INFO,
              &(struct log_about){.event = LOG_EVENT_LOADED,
                                  .host = name,
                                  .client_pid = 4194304,
                                  .reason = "request-timeout"},
              "%s", text);
    cr_assert(read_entry());
    cr_assert_eq(entry.count, 7);
    cr_assert_geq(find_field("MESSAGE")->length, 1023);
    cr_assert_leq(find_field("MESSAGE")->length, 1024);
    expect_field("LONC_HOST", name);
    expect_field("LONC_CLIENT_PID", "4194304");
    expect_field("LONC_REASON", "request-timeout");
}

/* Only that field is left out: the datagram never overflows. */
Test(log, a_field_that_does_not_fit_is_left_out)
{
    static char name[100001];
    memset(name, 'h', sizeof(name) - 1);
    open_journal();
    for (size_t length = 0; length < 3000; length++) {
        log_write(LOG_INFO,
                  &(struct log_about){.host = name + sizeof(name) - 1 - length, .reason = "dead"},
                  "text");
        cr_assert(read_entry(), "a host of %zu bytes", length);
        expect_field("MESSAGE", "text");
        cr_assert(find_field("LONC_REASON") != NULL || find_field("LONC_HOST") != NULL);
    }
    log_write(LOG_INFO, &(struct log_about){.host = name, .reason = "dead"}, "text");
    expect_entry(4, "text");
    expect_field("LONC_REASON", "dead");
}

/* --- Levels and targets ----------------------------------------------------------------------- */

Test(log, what_is_above_the_level_is_not_written)
{
    for (int level = LOG_EMERG; level <= LOG_DEBUG; level++)
        for (int priority = LOG_EMERG; priority <= LOG_DEBUG; priority++) {
            log_open("lonc-test", LOG_TARGET_AUTO, level, JOURNAL);
            log_write(priority, NULL, "text");
            cr_assert_eq(read_entry(), priority <= level, "priority %d at level %d", priority,
                         level);
        }
    expect_errors("");
}

Test(log, before_it_is_opened_everything_goes_to_standard_error)
{
    log_write(LOG_DEBUG, NULL, "early");
    expect_errors("lonc: early\n");
    cr_assert_not(read_entry());
}

Test(log, without_a_journal_everything_goes_to_standard_error)
{
    static const enum log_target targets[] = {LOG_TARGET_AUTO, LOG_TARGET_JOURNAL};
    char path[200] = {0};
    memset(path, 'x', sizeof(path) - 1);
    const char *const paths[] = {"nowhere.sock", path};
    int before = count_open();
    for (size_t i = 0; i < 4; i++) {
        log_open("lonc-test", targets[i % 2], LOG_INFO, paths[i / 2]);
        log_write(LOG_INFO, NULL, "text");
        log_write(LOG_DEBUG, NULL, "detail");
        expect_errors("lonc-test: text\n");
    }
    cr_assert_eq(count_open(), before);
}

Test(log, standard_error_may_be_chosen_although_there_is_a_journal)
{
    open_stderr();
    log_write(LOG_INFO, NULL, "text");
    expect_errors("lonc-test: text\n");
    cr_assert_not(read_entry());
}

Test(log, opening_it_again_changes_the_target_and_keeps_one_descriptor)
{
    open_journal();
    int before = count_open();
    for (int i = 0; i < 20; i++) {
        open_stderr();
        cr_assert_eq(count_open(), before - 1);
        log_write(LOG_INFO, NULL, "to standard error");
        expect_errors("lonc-test: to standard error\n");
        log_open("another", LOG_TARGET_JOURNAL, LOG_INFO, JOURNAL);
        cr_assert_eq(count_open(), before);
        log_write(LOG_INFO, NULL, "to the journal");
        expect_entry(3, "to the journal");
        expect_field("SYSLOG_IDENTIFIER", "another");
    }
    cr_assert_eq(count_open(), before);
}

/* --- To standard error ------------------------------------------------------------------------ */

Test(log, standard_error_gets_one_line_with_host_and_reason)
{
    open_stderr();
    log_write(LOG_ERR, &(struct log_about){.host = "msul1", .reason = "refused"}, "host is %s",
              "dead");
    expect_errors("lonc-test: msul1: host is dead | reason=refused\n");
    log_write(LOG_ERR, &(struct log_about){.host = "msul1"}, "host is back");
    expect_errors("lonc-test: msul1: host is back\n");
    log_write(LOG_ERR, &(struct log_about){.reason = "malformed"}, "refused");
    expect_errors("lonc-test: refused | reason=malformed\n");
}

Test(log, standard_error_gets_no_byte_that_a_terminal_could_obey)
{
    open_stderr();
    log_write(LOG_ERR, &(struct log_about){.host = "a\nb", .reason = "c\rd"},
              "one\ntwo\033[2J\x7f%s", "\xc3\xa4");
    expect_errors("lonc-test: a?b: one?two?[2J??? | reason=c?d\n");
}

Test(log, standard_error_gets_long_text_cut_in_one_line)
{
    static char text[5001], name[2001];
    memset(text, 'x', sizeof(text) - 1);
    memset(name, 'h', sizeof(name) - 1);
    open_stderr();
    log_write(LOG_ERR, NULL, "%s", text);
    const char *line = read_errors();
    cr_assert_geq(strlen(line), strlen("lonc-test: \n") + 1023);
    cr_assert_leq(strlen(line), strlen("lonc-test: \n") + 1024);
    cr_assert_eq(line[strlen(line) - 1], '\n');

    log_write(LOG_ERR, &(struct log_about){.host = name, .reason = name}, "%s", text);
    line = read_errors();
    cr_assert_eq(strchr(line, '\n'), line + strlen(line) - 1);
}

/* --- Nothing stops the caller ----------------------------------------------------------------- */

/* Logs until the journal takes no more, which standard error tells; returns how many it took. */
static int fill_journal(void)
{
    for (int i = 0; i < 100000; i++) {
        log_write(LOG_INFO, NULL, "number %d", i);
        if (*read_errors() != '\0')
            return i;
    }
    cr_assert_fail("a journal that is never full");
    return 0;
}

Test(log, what_a_full_journal_does_not_take_goes_to_standard_error)
{
    open_journal();
    int taken = fill_journal();
    log_write(LOG_INFO, &(struct log_about){.host = "msul1"}, "one more");
    expect_errors("lonc-test: msul1: one more\n");
    for (int i = 0; i < taken; i++) {
        char message[32];
        snprintf(message, sizeof(message), "number %d", i);
        expect_entry(3, message);
    }
    cr_assert_not(read_entry());
    log_write(LOG_INFO, NULL, "again");
    expect_entry(3, "again");
    expect_errors("");
}

Test(log, what_a_journal_that_went_away_does_not_take_goes_to_standard_error)
{
    open_journal();
    close(journal);
    log_write(LOG_INFO, NULL, "text");
    expect_errors("lonc-test: text\n");
}

static volatile sig_atomic_t had_to_be_woken;

static void wake(int number)
{
    (void)number;
    had_to_be_woken = 1;
}

/* A blocked system call ends with EINTR after this; nothing else happens. */
static void wake_in_300_ms(void)
{
    struct sigaction action = {.sa_handler = wake};
    struct itimerval timer = {.it_value = {.tv_usec = 300000}};
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

/*
 * Under systemd standard error leads to journald as well, so it is full when the journal is: a
 * journald that hangs must not stop the loop there either.
 */
Test(log, a_standard_error_that_takes_no_more_makes_nobody_wait)
{
    char block[4096] = {0};
    cr_assert_eq(fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK), 0);
    while (write(STDERR_FILENO, block, sizeof(block)) > 0)
        continue;
    cr_assert_eq(fcntl(STDERR_FILENO, F_SETFL, 0), 0);
    open_stderr();
    wake_in_300_ms();
    log_write(LOG_INFO, NULL, "text");
    cr_assert_not(had_to_be_woken, "log_write waited for standard error");
}

Test(log, a_standard_error_that_is_closed_is_nobodys_trouble)
{
    close(STDERR_FILENO);
    open_stderr();
    errno = ENOTTY;
    log_write(LOG_INFO, NULL, "text");
    cr_assert_eq(errno, ENOTTY);
}

Test(log, errno_is_kept_and_may_be_written)
{
    open_journal();
    errno = ECHILD;
    log_write(LOG_INFO, NULL, "%m");
    cr_assert_eq(errno, ECHILD);
    expect_entry(3, "No child processes");

    close(journal);
    errno = EDOM;
    log_write(LOG_INFO, NULL, "%m");
    cr_assert_eq(errno, EDOM);
    expect_errors("lonc-test: Numerical argument out of domain\n");

    log_open("lonc-test", LOG_TARGET_AUTO, LOG_ERR, "nowhere.sock");
    errno = EDOM;
    log_write(LOG_INFO, NULL, "not written");
    cr_assert_eq(errno, EDOM);
    log_write(LOG_ERR, NULL, "text");
    cr_assert_eq(errno, EDOM);
}

/* --- Events ----------------------------------------------------------------------------------- */

Test(log, every_event_has_an_id_of_its_own_of_32_hex_digits)
{
    cr_assert_null(log_event_id(LOG_EVENT_NONE));
    for (enum log_event event = LOG_EVENT_NONE + 1; event < LOG_EVENT_COUNT; event++) {
        const char *id = log_event_id(event);
        cr_assert_not_null(id, "event %d", (int)event);
        cr_assert_eq(strlen(id), 32, "%s", id);
        cr_assert_eq(strspn(id, "0123456789abcdef"), 32, "%s", id);
        for (enum log_event other = LOG_EVENT_NONE + 1; other < event; other++)
            cr_assert_str_neq(id, log_event_id(other));
    }
}
