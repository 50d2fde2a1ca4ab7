/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control socket, whose client may be anybody allowed on this host: lines in any pieces, or
 * none, from two clients at once, while a lond answers and time goes by. Whoever asked and stayed
 * gets one JSON value on one line and the end of the stream; in the end nothing is left.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/unix.h"
#include "keeper/control/control.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/peer.h"
#include "tests/fuzz/world.h"

#define ASKERS     2
#define ANSWER_MAX (256 * 1024)

static struct asker {
    int fd;
    bool left;   /* writes no more */
    bool asked;  /* a whole line */
    bool events; /* which has no end */
    size_t length;
    char answer[ANSWER_MAX];
} askers[ASKERS];

static char path[160];
static struct control *control;
static struct reload *reload; /* which fails, for want of a file: the world's configuration stays */

/* There is no systemd to tell. */
void __wrap_notifier_reloading(struct notifier *notifier);
void __wrap_notifier_ready(struct notifier *notifier);

void __wrap_notifier_reloading(struct notifier *notifier)
{
    (void)notifier;
}

void __wrap_notifier_ready(struct notifier *notifier)
{
    (void)notifier;
}

static void start(void)
{
    static struct status status;
    status = (struct status){.core = &world.core,
                             .hosts = &world.hosts,
                             .deferred = world.deferred,
                             .clients = world.clients,
                             .config_path = "/etc/lonc/keeper.conf"};
    const struct reload_parts parts = {.hosts = &world.hosts, .deferred = world.deferred};
    reload = reload_new(&parts, "/dev/null/keeper.conf");
    CHECK(reload != NULL);
    const struct verbs verbs = {.core = &world.core,
                                .status = &status,
                                .deferred = world.deferred,
                                .clients = world.clients,
                                .reload = reload};
    snprintf(path, sizeof(path), "%s/control.sock", fuzz_folder());
    int listener = unix_listen(path, SOCK_STREAM);
    CHECK(listener >= 0);
    control = control_new(&verbs, listener);
    CHECK(control != NULL);
}

static void come(struct asker *asker)
{
    struct sockaddr_un address;
    CHECK(unix_address(&address, path) == 0);
    asker->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(asker->fd >= 0);
    CHECK(connect(asker->fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    world_turn();
}

static void leave(struct asker *asker)
{
    close(asker->fd);
    asker->fd = -1;
    asker->left = asker->asked = asker->events = false;
    asker->length = 0;
}

static void check_answer(const struct asker *asker)
{
    if (asker->length == 0) {
        CHECK(!asker->asked); /* it said nothing in time */
        return;
    }
    CHECK(asker->asked);
    if (asker->events)
        return;
    CHECK(memchr(asker->answer, '\n', asker->length) == asker->answer + asker->length - 1);
    json_t *value = json_loadb(asker->answer, asker->length, JSON_ALLOW_NUL, NULL);
    CHECK(json_is_object(value));
    json_decref(value);
}

static bool hear(struct asker *asker)
{
    ssize_t n = 0;
    bool any = false;
    while (asker->fd >= 0 && (n = recv(asker->fd, asker->answer + asker->length,
                                       ANSWER_MAX - asker->length, MSG_DONTWAIT)) > 0) {
        asker->length += (size_t)n;
        CHECK(asker->length < ANSWER_MAX);
        any = true;
    }
    /* The keeper closes with bytes of it unread, where it said more than its line: an error. */
    if (asker->fd >= 0 && (n == 0 || errno != EAGAIN)) {
        check_answer(asker);
        leave(asker);
        any = true;
    }
    return any;
}

static void turn(void)
{
    bool any;
    do {
        world_turn();
        any = false;
        for (size_t i = 0; i < ASKERS; i++)
            any |= hear(&askers[i]);
    } while (any);
}

static void say(struct asker *asker, const char *bytes, size_t length)
{
    if (asker->left || length == 0)
        return;
    if (!asker->asked && asker->length == 0)
        asker->events |= memmem(bytes, length, "events", 6) != NULL || asker->events;
    if (send(asker->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)length)
        asker->asked |= memchr(bytes, '\n', length) != NULL;
}

static void on_asked(struct peer *peer, const char *request, size_t length, bool enciphered)
{
    if (enciphered) {
        peer_say_enciphered(peer, request, length);
        return;
    }
    peer_say(peer, request, length);
    peer_say(peer, "\n", 1);
}

static void act(struct input *input)
{
    static const uint64_t spans[] = {1000, 1000000, 11000000, 61000000};
    uint8_t what = input_byte(input);
    struct asker *asker = &askers[what >> 7];
    size_t length;
    const char *bytes;
    if (asker->fd < 0 && what % 8 < 6)
        come(asker);
    switch (what % 8) {
    case 5:
        shutdown(asker->fd, SHUT_WR);
        asker->left = true;
        break;
    case 6:
        if (asker->fd >= 0)
            leave(asker);
        break;
    case 7:
        world_pass(spans[what >> 3 & 3]);
        break;
    case 4:
        peer_mode = what & 0x40 ? PEER_SILENT : PEER_GREETS;
        break;
    case 3:
        length = input_byte(input);
        bytes = input_take(input, &length);
        say(asker, bytes, length);
        break;
    default:
        bytes = input_line(input, &length);
        say(asker, bytes, length);
        say(asker, "\n", 1);
        break;
    }
    if ((what & 0x40) == 0)
        turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = data, .left = size};
    for (size_t i = 0; i < ASKERS; i++)
        askers[i].fd = -1;
    peer_asked = on_asked;
    world_begin();
    start();
    while (input.left > 0)
        act(&input);
    peer_mode = PEER_GREETS;
    turn();
    /* Whoever waits has an answer, or none of which is right, once all time-outs are over. */
    for (int i = 0; i < 5; i++) {
        world_pass(61000000);
        turn();
    }
    for (size_t i = 0; i < ASKERS; i++) {
        CHECK(askers[i].fd < 0 || askers[i].events);
        if (askers[i].fd >= 0)
            leave(&askers[i]);
    }
    world_turn();
    control_free(control);
    reload_free(reload);
    (void)unlink(path);
    world_end();
    return 0;
}
