/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The deferred queue on disk, as loncctl counts and changes it: real folders with real files.
 */
#include <bsd/string.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "keeper/loncctl/queue/queue_change.h"
#include "keeper/loncctl/queue/queue_count.h"
#include "keeper/loncctl/queue/queue_files.h"
#include "tests/unit/heard.h"

/* The keeper's answer to `hosts`, or NULL to play a world without a keeper. */
static json_t *hosts;

/* Ages are counted from here: the second may change between two files. */
static time_t begun;

/* The working directory is a new folder, and "delayed" in it is the queue. */
static void begin(void)
{
    heard_begin();
    begun = time(NULL);
    umask(022);
    cr_assert_eq(mkdir("delayed", 0750), 0);
    hosts = json_pack("{s:[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}, {s:s, s:s}]}", "hosts", //
                      "id", "msul1", "name", "one.example.edu",                        //
                      "id", "msu.l2", "name", "two.example.edu",                       //
                      "id", "shared1", "name", "shared.example.edu",                   //
                      "id", "shared2", "name", "shared.example.edu");
    cr_assert_not_null(hosts);
}

static void end(void)
{
    json_decref(hosts);
    heard_end();
}

TestSuite(loncctl_queue, .init = begin, .fini = end, .timeout = 60);

/* --- Helpers ---------------------------------------------------------------------------------- */

static void make_folders(void)
{
    for (int place = QUEUE_HELD; place < QUEUE_PLACES; place++) {
        char path[64];
        snprintf(path, sizeof(path), "delayed/%s", queue_place_names[place].folder);
        cr_assert_eq(mkdir(path, 0750), 0);
    }
}

/* A file of the queue, so many seconds old; `path` is where below delayed/, with a slash at its
 * end, or empty. Returns its name, which holds until the fourth call after. */
static const char *put_file(const char *path, long age, unsigned count, const char *rest)
{
    static char names[4][NAME_MAX];
    static unsigned next;
    char *name = names[next++ % 4], full[PATH_MAX];
    snprintf(name, NAME_MAX, "%ld.%u.4711.%s", (long)begun - age, count, rest);
    snprintf(full, sizeof(full), "delayed/%s%s", path, name);
    write_file(full, "put:secret\n");
    return name;
}

static bool is_at(const char *path, const char *name)
{
    char full[PATH_MAX];
    snprintf(full, sizeof(full), "delayed/%s%s", path, name);
    return access(full, F_OK) == 0;
}

/* Asserts what a member of an answer is, in compact JSON. Frees the answer. */
static void expect_member(json_t *answer, const char *key, const char *expected)
{
    char *text = json_dumps(json_object_get(answer, key), JSON_COMPACT | JSON_ENCODE_ANY);
    cr_expect(text != NULL && strcmp(text, expected) == 0, "%s: %s, not %s", key, text, expected);
    free(text);
    json_decref(answer);
}

static const json_t *row_of(const json_t *answer, const char *host)
{
    const json_t *row;
    size_t i;
    json_array_foreach(json_object_get(answer, "hosts"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "host")), host) == 0)
            return row;
    }
    return NULL;
}

static json_int_t number_in(const json_t *row, const char *key)
{
    return json_integer_value(json_object_get(row, key));
}

static json_t *change(const char *action, const char *what)
{
    return queue_change(queue_find_action(action), "delayed", hosts, what, NULL);
}

/* --- Whose a file is -------------------------------------------------------------------------- */

static void expect_host(const char *name, enum queue_place place, const char *host,
                        const char *bare_name)
{
    struct queue_file file;
    json_t *known = queue_known_hosts(hosts);
    bool is_file = queue_parse_name(known, name, place, &file);
    cr_expect_eq(is_file, host != NULL, "%s", name);
    if (is_file && host != NULL) {
        cr_expect_str_eq(file.host, host, "%s belongs to %s", name, file.host);
        cr_expect_str_eq(file.name, bare_name);
    }
    json_decref(known);
}

Test(loncctl_queue, a_file_belongs_to_the_shortest_known_host_at_the_end_of_its_name)
{
    expect_host("17.1.4711.put.msul1", QUEUE_WAITING, "msul1", "17.1.4711.put.msul1");
    expect_host("17.1.4711.put.msu.l2", QUEUE_WAITING, "msu.l2", "17.1.4711.put.msu.l2");
    expect_host("17.1.4711.put.nobody", QUEUE_WAITING, "nobody", "17.1.4711.put.nobody");
}

Test(loncctl_queue, without_a_keeper_the_host_is_what_follows_the_last_dot)
{
    json_decref(hosts);
    hosts = NULL;
    expect_host("17.1.4711.put.msu.l2", QUEUE_WAITING, "l2", "17.1.4711.put.msu.l2");
}

Test(loncctl_queue, a_number_behind_a_name_is_cut_only_where_the_keeper_appends_one)
{
    expect_host("17.1.4711.put.msul1.7", QUEUE_REJECTED, "msul1", "17.1.4711.put.msul1");
    expect_host("17.1.4711.put.msul1.42", QUEUE_CORRUPT, "msul1", "17.1.4711.put.msul1");
    expect_host("17.1.4711.put.msul1.7", QUEUE_WAITING, "7", "17.1.4711.put.msul1.7");
    expect_host("17.1.4711.put.msul1.123", QUEUE_REJECTED, "123", "17.1.4711.put.msul1.123");
}

Test(loncctl_queue, a_reply_beside_a_rejected_file_and_other_names_are_no_files_of_the_queue)
{
    expect_host("17.1.4711.put.msul1.reply", QUEUE_REJECTED, NULL, NULL);
    expect_host("17.1.4711.put.reply", QUEUE_WAITING, "reply", "17.1.4711.put.reply");
    expect_host("README", QUEUE_WAITING, NULL, NULL);
    expect_host("17.1.4711.put./msul1", QUEUE_WAITING, NULL, NULL);
}

Test(loncctl_queue, a_word_means_an_id_or_the_only_host_with_that_name)
{
    json_t *known = queue_known_hosts(hosts), *failure = NULL;
    cr_expect_str_eq(queue_find_host(known, "msu.l2", &failure), "msu.l2");
    cr_expect_str_eq(queue_find_host(known, "ONE.example.edu", &failure), "msul1");
    cr_expect_str_eq(queue_find_host(known, "nobody", &failure), "nobody");
    cr_expect_null(failure);
    cr_expect_null(queue_find_host(known, "shared.example.edu", &failure));
    expect_member(failure, "errors",
                  "[\"shared.example.edu: several hosts have this name; expected a lonHostID\"]");
    cr_expect_str_eq(queue_find_host(NULL, "shared.example.edu", &failure), "shared.example.edu");
    json_decref(known);
}

Test(loncctl_queue, a_text_that_is_not_UTF_8_keeps_its_ASCII)
{
    json_t *text = queue_text("h\xc3\xa9"), *masked = queue_text("h\xe9!");
    cr_expect_str_eq(json_string_value(text), "h\xc3\xa9");
    cr_expect_str_eq(json_string_value(masked), "h?!");
    json_decref(text);
    json_decref(masked);
}

/* --- Counting --------------------------------------------------------------------------------- */

Test(loncctl_queue, files_are_counted_by_host_and_state)
{
    make_folders();
    put_file("", 1, 1, "put.msul1");
    put_file("", 2, 2, "put.msul1");
    put_file("", 2, 3, "put.msu.l2");
    put_file("held/", 3, 4, "put.msul1");
    put_file("rejected/", 3, 5, "put.msul1");
    put_file("rejected/", 3, 5, "put.msul1.reply");
    put_file("corrupt/", 3, 6, "put.msul1.3");
    write_file("delayed/README", "");
    write_file("delayed/.hidden", "");
    json_t *answer = queue_count("delayed", hosts, NULL);
    cr_assert_eq(json_array_size(json_object_get(answer, "hosts")), 2);
    const json_t *row = row_of(answer, "msul1");
    cr_expect_eq(number_in(row, "files"), 2);
    cr_expect_eq(number_in(row, "held"), 1);
    cr_expect_eq(number_in(row, "rejected"), 1);
    cr_expect_eq(number_in(row, "corrupt"), 1);
    cr_expect_eq(number_in(row_of(answer, "msu.l2"), "files"), 1);
    expect_member(answer, "strange", "1");
}

Test(loncctl_queue, waiting_files_are_counted_by_age)
{
    put_file("", -1000, 1, "put.msul1"); /* from a machine whose clock is ahead */
    put_file("", 290, 2, "put.msul1");
    put_file("", 310, 3, "put.msul1");
    put_file("", 76810, 4, "put.msul1");
    json_t *answer = queue_count("delayed", hosts, NULL);
    const json_t *row = row_of(answer, "msul1");
    double oldest = json_real_value(json_object_get(row, "oldest"));
    cr_expect(oldest >= 76810 && oldest < 76900, "%f", oldest);
    json_t *ages = json_pack("{s:O}", "ages", json_object_get(row, "ages"));
    json_decref(answer);
    expect_member(ages, "ages", "[2,1,0,0,0,0,0,0,0,1]");
}

Test(loncctl_queue, rows_are_sorted_by_id)
{
    for (unsigned i = 0; i < 16; i++) {
        char rest[16];
        snprintf(rest, sizeof(rest), "put.host%c", 'a' + (i * 7) % 16);
        put_file("", 1, i, rest);
    }
    json_t *answer = queue_count("delayed", hosts, NULL);
    const json_t *rows = json_object_get(answer, "hosts"), *row;
    size_t i;
    cr_assert_eq(json_array_size(rows), 16);
    json_array_foreach(rows, i, row)
    {
        const char expected[] = {'h', 'o', 's', 't', (char)('a' + i), '\0'};
        cr_expect_str_eq(json_string_value(json_object_get(row, "host")), expected);
    }
    json_decref(answer);
}

Test(loncctl_queue, one_host_has_its_files_listed_the_oldest_first)
{
    make_folders();
    put_file("", 10, 1, "put.msul1");
    put_file("held/", 30, 1, "put.msul1");
    put_file("", 20, 2, "put.msul1");
    put_file("", 20, 1, "put.msul1");
    put_file("", 20, 1, "put.msu.l2");
    json_t *answer = queue_count("delayed", hosts, "one.example.edu");
    const json_t *list = json_object_get(answer, "list"), *file;
    static const char *const states[] = {"held", "waiting", "waiting", "waiting"};
    static const char *const counts[] = {".1.", ".1.", ".2.", ".1."};
    size_t i;
    cr_assert_eq(json_array_size(list), 4);
    json_array_foreach(list, i, file)
    {
        const char *name = json_string_value(json_object_get(file, "name"));
        cr_expect_str_eq(json_string_value(json_object_get(file, "state")), states[i]);
        cr_expect_not_null(strstr(name, counts[i]), "%zu: %s", i, name);
        cr_expect_eq(number_in(file, "size"), 11);
    }
    cr_expect_eq(json_array_size(json_object_get(answer, "hosts")), 1);
    json_decref(answer);
}

Test(loncctl_queue, of_very_many_files_the_oldest_are_listed)
{
    char path[64];
    for (int i = 0; i < QUEUE_LISTED + 50; i++) {
        snprintf(path, sizeof(path), "delayed/1700000000.%d.4711.put.msul1", i + 1);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        cr_assert_geq(fd, 0);
        close(fd);
    }
    json_t *answer = queue_count("delayed", hosts, "msul1");
    const json_t *list = json_object_get(answer, "list");
    cr_assert_eq(json_array_size(list), QUEUE_LISTED);
    snprintf(path, sizeof(path), "1700000000.%d.4711.put.msul1", QUEUE_LISTED);
    cr_expect_str_eq(
        json_string_value(json_object_get(json_array_get(list, QUEUE_LISTED - 1), "name")), path);
    cr_expect_eq(number_in(row_of(answer, "msul1"), "files"), QUEUE_LISTED + 50);
    json_decref(answer);
}

Test(loncctl_queue, a_known_host_without_files_has_a_row_and_an_unknown_one_is_a_failure)
{
    json_t *answer = queue_count("delayed", hosts, "msul1");
    cr_expect_eq(number_in(row_of(answer, "msul1"), "files"), 0);
    expect_member(answer, "list", "[]");
    expect_member(queue_count("delayed", hosts, "nobody"), "errors",
                  "[\"nobody: no such host in hosts.tab, and no file for it\"]");
}

Test(loncctl_queue, a_folder_that_cannot_be_read_is_a_failure)
{
    expect_member(queue_count("nowhere", hosts, NULL), "errors",
                  "[\"nowhere: No such file or directory\"]");
    expect_member(change("hold", "msul1"), "ok", "true");
    expect_member(queue_change(queue_find_action("hold"), "nowhere", hosts, "ALL", NULL), "errors",
                  "[\"nowhere: No such file or directory\"]");
}

Test(loncctl_queue, a_symbolic_link_in_the_place_of_a_folder_is_not_followed)
{
    cr_assert_eq(mkdir("elsewhere", 0700), 0);
    cr_assert_eq(symlink("../elsewhere", "delayed/held"), 0);
    put_file("", 1, 1, "put.msul1");
    expect_member(queue_count("delayed", hosts, NULL), "errors", "[\"delayed: Not a directory\"]");
    expect_member(change("hold", "msul1"), "errors", "[\"delayed: Not a directory\"]");
    cr_expect_eq(rmdir("elsewhere"), 0, "something was written there");
}

/* --- Changing --------------------------------------------------------------------------------- */

Test(loncctl_queue, hold_makes_its_folder_like_that_of_the_queue_and_release_undoes_it)
{
    struct stat status;
    const char *name = put_file("", 1, 1, "put.msul1");
    const char *other = put_file("", 1, 1, "put.msu.l2");
    umask(077);
    expect_member(change("hold", "one.example.edu"), "files", "1");
    cr_expect(is_at("held/", name) && !is_at("", name) && is_at("", other));
    cr_assert_eq(stat("delayed/held", &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0750);
    expect_member(change("release", "ALL"), "files", "1");
    cr_expect(is_at("", name));
}

Test(loncctl_queue, requeue_gives_back_the_name_and_removes_the_reply)
{
    make_folders();
    const char *rejected = put_file("rejected/", 9, 1, "put.msul1");
    const char *corrupt = put_file("corrupt/", 9, 2, "put.msul1.4");
    put_file("rejected/", 9, 1, "put.msul1.reply");
    char name[NAME_MAX];
    strlcpy(name, corrupt, sizeof(name));
    *strrchr(name, '.') = '\0';
    expect_member(change("requeue", "msul1"), "files", "2");
    cr_expect(is_at("", rejected) && is_at("", name));
    cr_expect_eq(rmdir("delayed/rejected"), 0, "the reply has stayed");
}

Test(loncctl_queue, no_file_is_replaced)
{
    make_folders();
    const char *name = put_file("held/", 9, 1, "put.msul1");
    char path[PATH_MAX], expected[PATH_MAX];
    snprintf(path, sizeof(path), "delayed/%s", name);
    write_file(path, "newer");
    snprintf(expected, sizeof(expected),
             "[\"%s: a file of this name exists already where it would go\"]", name);
    expect_member(change("release", name), "errors", expected);
    cr_expect(is_at("held/", name));
    expect_member(change("release", name), "ok", "false");
}

static size_t asked_for;
static bool confirmed;

static bool confirm(size_t files)
{
    asked_for = files;
    return confirmed;
}

Test(loncctl_queue, delete_asks_with_the_number_and_may_be_refused)
{
    make_folders();
    const char *name = put_file("", 9, 1, "put.msul1");
    const char *held = put_file("held/", 9, 2, "put.msul1");
    const char *rejected = put_file("rejected/", 9, 3, "put.msul1");
    const struct queue_action *action = queue_find_action("delete");
    expect_member(queue_change(action, "delayed", hosts, "msul1", confirm), "files", "0");
    cr_expect_eq(asked_for, 2);
    cr_expect(is_at("", name) && is_at("held/", held));
    confirmed = true;
    expect_member(queue_change(action, "delayed", hosts, "msul1", confirm), "files", "2");
    cr_expect(!is_at("", name) && !is_at("held/", held) && is_at("rejected/", rejected));
}

Test(loncctl_queue, nobody_is_asked_before_a_file_is_only_moved)
{
    const char *name = put_file("", 9, 1, "put.msul1");
    expect_member(queue_change(queue_find_action("hold"), "delayed", hosts, "msul1", confirm),
                  "files", "1");
    cr_expect_eq(asked_for, 0);
    cr_expect(is_at("held/", name));
}

Test(loncctl_queue, one_file_is_changed_by_its_name_and_a_missing_one_is_an_error)
{
    const char *name = put_file("", 9, 1, "put.msul1");
    const char *other = put_file("", 9, 2, "put.msul1");
    expect_member(change("hold", name), "files", "1");
    cr_expect(is_at("held/", name) && is_at("", other));
    expect_member(change("hold", "17.1.4711.put.msul1"), "errors",
                  "[\"17.1.4711.put.msul1: there is no such file\"]");
    expect_member(change("hold", "nobody"), "errors",
                  "[\"nobody: no such host in hosts.tab, and no such file\"]");
    expect_member(change("hold", "shared.example.edu"), "ok", "false");
}

Test(loncctl_queue, of_many_errors_twenty_are_told_and_the_rest_is_counted)
{
    make_folders();
    char path[PATH_MAX];
    for (unsigned i = 0; i < 23; i++) {
        const char *name = put_file("held/", 9, i, "put.msul1");
        snprintf(path, sizeof(path), "delayed/%s", name);
        write_file(path, "newer");
    }
    json_t *answer = change("release", "msul1");
    const json_t *errors = json_object_get(answer, "errors");
    cr_assert_eq(json_array_size(errors), 21);
    cr_expect_str_eq(json_string_value(json_array_get(errors, 20)), "and 3 more");
    expect_member(answer, "files", "0");
}

Test(loncctl_queue, an_action_has_one_word)
{
    cr_expect_not_null(queue_find_action("requeue"));
    cr_expect_null(queue_find_action("dance"));
}
