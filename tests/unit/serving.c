/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See serving.h. It tests nothing itself.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "common/unix.h"
#include "tests/unit/heard.h"
#include "tests/unit/serving.h"

struct serving serving;

static void configure(void)
{
    struct settings *settings = &serving.core.settings;
    cr_assert_eq(settings_load(settings, "/dev/null", false, &heard), 0);
    settings->state_dir = serving.folder;
    settings->runtime_dir = serving.folder;
    write_file("hosts.tab", "msul1:msu:library:msul1.edu\n");
    cr_assert_eq(hosttab_load(&serving.config.table, "hosts.tab", &heard), 0, "%s", heard_text());
    serving.config.loncapa.sock_dir = strdup("sockets");
    serving.config.valid = true;
    serving.config.references = 1; /* it stays */
    serving.core.config = &serving.config;
    serving.core.descriptors_max = 1000;
    serving.core.memory_limit.name = "memory";
    serving.core.descriptor_limit.name = "descriptors";
}

static void add_host(void)
{
    cr_assert_eq(hosts_open(&serving.hosts, &serving.core), 0);
    serving.host = host_new(&serving.hosts, "msul1");
    cr_assert_not_null(serving.host);
    serving.host->listed = true;
    host_pause(serving.host);
    RB_INSERT(hosts_by_id, &serving.hosts.by_id, serving.host);
}

void serving_begin(void)
{
    heard_begin();
    signal(SIGPIPE, SIG_IGN);
    cr_assert_not_null(getcwd(serving.folder, sizeof(serving.folder)));
    cr_assert_eq(chmod(".", 0755), 0); /* other users may come */
    cr_assert_eq(mkdir("sockets", 0755), 0);
    configure();
    cr_assert_geq(loop_open(&serving.core.loop), 0);
    scarcity_init(&serving.core.scarcity, &serving.core.loop, &serving.core.settings.buffers_limit);
    serving.core.loop.turn_bytes = &serving.core.settings.turn_bytes;
    buffers_set_limit((size_t)serving.core.settings.buffers_limit);
    stats_init(&serving.core.stats, serving.core.loop.now);
    add_host();
    serving.deferred = deferred_new(&serving.hosts);
    cr_assert_not_null(serving.deferred);
    serving.clients = clients_new(&serving.hosts, serving.deferred);
    cr_assert_not_null(serving.clients);
    serving.listener = unix_listen("sockets/msul1", SOCK_STREAM);
    cr_assert_geq(serving.listener, 0);
}

void serving_end(void)
{
    serving.core.stopping = true;
    queue_fail(serving.host, REASON_STOPPING);
    clients_free(serving.clients);
    close(serving.listener);
    heard_end();
}

int serving_connect(int *accepted)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_eq(unix_address(&address, "sockets/msul1"), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    *accepted = accept4(serving.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    cr_assert_geq(*accepted, 0);
    return fd;
}

int serving_client(const char *text)
{
    int accepted, fd = serving_connect(&accepted);
    serving_write(fd, text);
    cr_assert_eq(clients_reserve(serving.clients, 1), 0);
    clients_start(serving.clients, accepted);
    return fd;
}

void serving_write(int fd, const char *text)
{
    size_t length = strlen(text);
    cr_assert_eq(send(fd, text, length, MSG_NOSIGNAL), (ssize_t)length, "%s", strerror(errno));
}

/* One turn that ends soon, so that what is read can be looked at between. */
static void turn(uint64_t give_up)
{
    cr_assert_lt(monotonic_now(), give_up, "it has not come");
    cr_assert_geq(loop_turn(&serving.core.loop, 10000), 0);
}

/* What has come by the time that there is as much as wanted, or the stream ends. */
static size_t read_until(int fd, char *bytes, size_t wanted, bool *ended)
{
    uint64_t give_up = monotonic_now() + SERVING_LONG;
    size_t length = 0;
    *ended = false;
    while (!*ended && length < wanted) {
        ssize_t n = recv(fd, bytes + length, wanted - length, MSG_DONTWAIT);
        cr_assert(n >= 0 || errno == EAGAIN, "%s", strerror(errno));
        if (n > 0)
            length += (size_t)n;
        *ended = n == 0;
        if (n < 0)
            turn(give_up);
    }
    return length;
}

void serving_expect(int fd, const char *text)
{
    char bytes[4096] = "";
    bool ended;
    size_t wanted = strlen(text);
    cr_assert_lt(wanted, sizeof(bytes));
    read_until(fd, bytes, wanted, &ended);
    cr_assert_str_eq(bytes, text, "%s%s", bytes, ended ? ", and the end of the stream" : "");
    cr_assert(recv(fd, bytes, 1, MSG_DONTWAIT | MSG_PEEK) <= 0, "more than that came");
}

void serving_expect_end(int fd)
{
    char bytes[256] = "";
    bool ended;
    read_until(fd, bytes, sizeof(bytes) - 1, &ended);
    cr_assert(ended, "the stream goes on: %s", bytes);
    cr_assert_str_eq(bytes, "", "before the end of the stream came: %s", bytes);
}

void serving_turn_until(const size_t *number, size_t value)
{
    uint64_t give_up = monotonic_now() + SERVING_LONG;
    while (*number != value)
        turn(give_up);
}

void serving_turn_until_clients(size_t count)
{
    uint64_t give_up = monotonic_now() + SERVING_LONG;
    while (clients_count(serving.clients) != count)
        turn(give_up);
}

void serving_settle(void)
{
    int r;
    do
        cr_assert_geq(r = loop_turn(&serving.core.loop, 0), 0);
    while (r > 0);
}
