/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control socket: real clients ask real verbs. tests/scenario/verbs.t looks at what loncctl
 * makes of the answers; here it is how they come, who gets them, and what is left behind.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "common/unix.h"
#include "keeper/control/control.h"
#include "keeper/control/notifier.h"
#include "tests/unit/heard.h"
#include "tests/unit/serving.h"

static struct status status;
static struct notifier *notifier;
static struct reload *reload;
static struct control *control;

static json_t *answers; /* all that a test was given */

static void begin(void)
{
    answers = json_array();
    serving_begin();
    status = (struct status){.core = &serving.core,
                             .hosts = &serving.hosts,
                             .deferred = serving.deferred,
                             .clients = serving.clients,
                             .config_path = "/etc/lonc/keeper.conf"};
    notifier = notifier_new(&serving.core, &status);
    const struct reload_parts parts = {
        .hosts = &serving.hosts, .deferred = serving.deferred, .notifier = notifier};
    reload = reload_new(&parts, "missing/keeper.conf");
    const struct verbs verbs = {.core = &serving.core,
                                .status = &status,
                                .deferred = serving.deferred,
                                .clients = serving.clients,
                                .reload = reload};
    serving.hosts.count = 1;
    control = control_new(&verbs, unix_listen("control.sock", SOCK_STREAM));
    cr_assert_not_null(control);
    status.admission = control_admission(control);
}

static void end(void)
{
    json_decref(answers);
    control_free(control);
    reload_free(reload);
    notifier_free(notifier);
    serving_end();
}

TestSuite(control, .init = begin, .fini = end, .timeout = 60);

static int come(const char *text)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_eq(unix_address(&address, "control.sock"), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    if (*text != '\0')
        serving_write(fd, text);
    return fd;
}

/* All that comes until the stream ends: one line, one JSON value, which stays until the end. */
static json_t *answer_at(int fd)
{
    static char bytes[1 << 20];
    uint64_t give_up = monotonic_now() + SERVING_LONG;
    size_t length = 0;
    ssize_t n;
    while ((n = recv(fd, bytes + length, sizeof(bytes) - length, MSG_DONTWAIT)) != 0) {
        cr_assert(n > 0 || errno == EAGAIN, "%s", strerror(errno));
        if (n > 0)
            length += (size_t)n;
        else
            cr_assert_geq(loop_turn(&serving.core.loop, 10000), 0);
        cr_assert_lt(monotonic_now(), give_up, "the answer has no end");
    }
    close(fd);
    cr_assert_gt(length, 0, "there is no answer");
    cr_assert_eq(memchr(bytes, '\n', length), bytes + length - 1, "it is not one line");
    json_t *value = json_loadb(bytes, length, 0, NULL);
    cr_assert(json_is_object(value), "%.*s", (int)length, bytes);
    cr_assert_eq(json_array_append_new(answers, value), 0);
    return value;
}

static json_t *ask(const char *line)
{
    return answer_at(come(line));
}

static const char *error_of(json_t *answer)
{
    cr_assert(json_is_false(json_object_get(answer, "ok")));
    return json_string_value(json_array_get(json_object_get(answer, "errors"), 0));
}

Test(control, what_shows_something_answers_with_an_object)
{
    cr_expect_str_eq(json_string_value(json_object_get(ask("status\n"), "version")), LONC_VERSION);
    cr_expect_eq(json_array_size(json_object_get(ask("config\n"), "settings")), settings_count);
    cr_expect_not_null(json_object_get(ask("history\n"), "hour"));
    cr_expect_not_null(json_object_get(ask("histograms\n"), "bounds"));
    cr_expect_eq(json_integer_value(json_object_get(ask("clients\n"), "total")), 0);
    cr_expect_str_eq(json_string_value(json_object_get(ask("connections msul1\n"), "host")),
                     "msul1");
}

Test(control, hosts_are_those_of_the_pattern)
{
    json_t *hosts = json_object_get(ask("hosts\n"), "hosts");
    cr_assert_eq(json_array_size(hosts), 1);
    cr_expect_str_eq(json_string_value(json_object_get(json_array_get(hosts, 0), "id")), "msul1");
    cr_expect_eq(json_array_size(json_object_get(ask("hosts ms*\n"), "hosts")), 1);
    cr_expect_eq(json_array_size(json_object_get(ask("hosts x*\n"), "hosts")), 0);
}

Test(control, thousands_of_hosts_come_in_pieces_that_make_one_value)
{
    char id[32];
    for (int i = 0; i < 2000; i++) {
        snprintf(id, sizeof(id), "more%04d", i);
        struct host *host = host_new(&serving.hosts, id);
        cr_assert_not_null(host);
        host->listed = true;
        RB_INSERT(hosts_by_id, &serving.hosts.by_id, host);
    }
    json_t *hosts = json_object_get(ask("hosts\n"), "hosts");
    cr_assert_eq(json_array_size(hosts), 2001);
    for (size_t i = 1; i < 2001; i++) {
        snprintf(id, sizeof(id), "more%04zu", i - 1);
        cr_assert_str_eq(json_string_value(json_object_get(json_array_get(hosts, i - 1), "id")),
                         id);
    }
}

Test(control, a_mistake_in_the_line_is_answered_with_what_is_expected)
{
    cr_expect_not_null(strstr(error_of(ask("nonsense\n")), "status, hosts, connections"));
    cr_expect_not_null(strstr(error_of(ask("\n")), "unknown verb"));
    cr_expect_str_eq(error_of(ask("pause\n")), "expected: pause HOST");
    cr_expect_str_eq(error_of(ask("pause msul1 msul1\n")), "expected: pause HOST");
    cr_expect_str_eq(error_of(ask("send msul1\n")), "expected: send HOST COMMAND");
    cr_expect_str_eq(error_of(ask("pause msul2\n")), NO_SUCH_HOST);
    cr_expect_not_null(strstr(error_of(ask("log level loud\n")), "emerg, alert"));
}

Test(control, what_changes_something_is_for_root_and_the_keepers_own_user)
{
    if (geteuid() != 0)
        cr_skip_test("only root can be somebody else");
    cr_assert_eq(chmod("control.sock", 0666), 0);
    cr_assert_eq(seteuid(65534), 0);
    int show = come("status\n"), change = come("resume msul1\n");
    cr_assert_eq(seteuid(0), 0);
    cr_expect_not_null(json_object_get(answer_at(show), "version"));
    cr_expect_str_eq(error_of(answer_at(change)),
                     "only root and the keeper's own user may ask for this");
    cr_expect(serving.host->paused);
    cr_expect(json_is_true(json_object_get(ask("resume msul1\n"), "ok")));
    cr_expect_not(serving.host->paused);
}

Test(control, a_request_that_is_sent_is_answered_when_its_host_has_answered)
{
    int fd = come("send msul1 ping\n");
    serving_turn_until(&serving.hosts.queued, 1);
    queue_fail(serving.host, REASON_LOST);
    cr_expect_str_eq(error_of(answer_at(fd)), "con_lost: the connection was lost");
}

Test(control, a_request_whose_sender_has_gone_leaves_the_queue)
{
    int fd = come("send msul1 ping\n");
    serving_turn_until(&serving.hosts.queued, 1);
    close(fd);
    serving_turn_until(&serving.hosts.queued, 0);
    cr_expect_eq(serving.host->users, 0);
}

Test(control, a_reload_that_fails_says_why)
{
    json_t *answer = ask("reload\n");
    cr_expect_not_null(strstr(error_of(answer), "missing/keeper.conf"));
    cr_expect_eq(json_integer_value(json_object_get(answer, "hosts")), 1);
    cr_expect_eq(json_array_size(json_object_get(answer, "warnings")), 0);
}

Test(control, an_endless_line_ends_its_client)
{
    char bytes[4096];
    memset(bytes, 'a', sizeof(bytes));
    int fd = come("");
    uint64_t give_up = monotonic_now() + SERVING_LONG;
    size_t sent = 0;
    ssize_t n = 0;
    while (n >= 0 || errno == EAGAIN) {
        sent += n > 0 ? (size_t)n : 0;
        cr_assert_lt(sent, 1 << 20, "so much is taken, without end");
        n = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
        cr_assert_geq(loop_turn(&serving.core.loop, 1000), 0);
        cr_assert_lt(monotonic_now(), give_up);
    }
    cr_expect_eq(errno, EPIPE);
    close(fd);
}

Test(control, who_has_been_silent_the_longest_makes_room)
{
    serving.core.settings.control_silent = 2;
    int first = come("");
    serving_settle();
    int second = come(""), third = come("");
    json_t *answer = answer_at(first);
    cr_expect(json_is_true(json_object_get(answer, "busy")));
    cr_expect_not_null(strstr(error_of(answer), "control_silent"));
    cr_expect(trouble_is_present(&serving.core, TROUBLE_CONTROL_LIMIT));
    cr_expect_eq(json_integer_value(json_object_get(ask("status\n"), "control_refused")), 1);
    serving_write(second, "status\n");
    cr_expect_not_null(json_object_get(answer_at(second), "version"));
    close(third);
    serving_settle();
    cr_expect_not(trouble_is_present(&serving.core, TROUBLE_CONTROL_LIMIT), "all are gone");
}

Test(control, a_follower_gets_each_event_and_the_others_their_answers)
{
    char line[512] = "";
    int fd = come("events\n");
    serving_settle();
    log_write(LOG_NOTICE, &(struct log_about){.event = LOG_EVENT_HOST_DEAD, .host = "msul1"},
              "\"msul1\" has died");
    log_write(LOG_NOTICE, NULL, "this is none");
    cr_expect_not_null(json_object_get(ask("status\n"), "version"));
    serving_settle();
    ssize_t n = recv(fd, line, sizeof(line) - 1, MSG_DONTWAIT);
    cr_assert_gt(n, 0);
    cr_assert_eq(strchr(line, '\n'), line + n - 1, "it is not one event: %s", line);
    json_t *event = json_loads(line, 0, NULL);
    cr_assert_eq(json_array_append_new(answers, event), 0);
    cr_expect_str_eq(json_string_value(json_object_get(event, "message")), "\"msul1\" has died");
    cr_expect_str_eq(json_string_value(json_object_get(event, "host")), "msul1");
    cr_expect_null(json_object_get(event, "reason"));
    close(fd);
    serving_settle();
}

Test(control, a_follower_that_does_not_read_is_ended)
{
    char text[1024];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    int fd = come("events\n"), small = 4096;
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    serving_settle();
    size_t open = serving.core.descriptors;
    for (int i = 0; i < 2000 && serving.core.descriptors == open; i++) {
        log_write(LOG_DEBUG, &(struct log_about){.event = LOG_EVENT_HOST_DEAD}, "%s", text);
        serving_settle();
    }
    cr_expect_eq(serving.core.descriptors, open - 1);
    close(fd);
}
