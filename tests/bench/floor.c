/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench-floor: the relay that lonc-keeper and its shared shim are compared with. It has the same
 * shape and none of their features: no handshake, no limit, no time-out, no health, no log, and a
 * ring for a queue; an error ends it. Its cost is what a request's way itself costs on this
 * machine.
 *
 *     bench-floor shim SOCKET CHANNEL HANDOVER
 *     bench-floor relay CHANNEL PEER-ADDRESS:PORT HANDOVER
 *
 * The shim accepts at SOCKET and hands the clients over; the relay (floor_relay.c) serves them over
 * ten kept connections to the peer. HANDOVER is `one-by-one` or `gathered`, both blind: the shim
 * closes a client once it is sent; or `acknowledged`: it keeps it until the relay has said that it
 * has it (shim/README.md, "The hand-over"). Sometimes one of the blind ways is faster, sometimes
 * the other; the faster one counts. The messages are those of the real programs (common/channel.c),
 * so only what is done around them differs.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/unix.h"
#include "tests/bench/bench.h"
#include "tests/bench/floor.h"

struct batch {
    int fds[CHANNEL_BATCH];
    unsigned count;
};

/* Waits while the channel is full, which limits what is under way. */
static void hand_over(int channel, const struct batch *batch)
{
    struct pollfd room = {.fd = channel, .events = POLLOUT};
    int r;

    while ((r = channel_send(channel, batch->fds, batch->count)) == -EAGAIN)
        poll(&room, 1, -1);
    if (r < 0)
        errx(2, "hand-over: %s", strerror(-r));
}

static void close_batch(const struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++)
        close(batch->fds[i]);
}

/* One client at a time: three system calls for each, and the relay starts on the first of many at
 * once. */
__attribute__((noreturn)) static void hand_over_one_by_one(int listener, int channel)
{
    struct batch one = {.count = 1};

    fcntl(listener, F_SETFL, 0); /* to wait in accept4 */
    for (;;) {
        one.fds[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (one.fds[0] < 0)
            continue;
        hand_over(channel, &one);
        close_batch(&one);
    }
}

/* Accepts those that wait, at most a batch. */
static void accept_batch(int listener, struct batch *batch)
{
    int fd;

    batch->count = 0;
    while (batch->count < CHANNEL_BATCH &&
           (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
        batch->fds[batch->count++] = fd;
}

static void await_acknowledgement(int channel)
{
    int r;

    while ((r = channel_await_acknowledgement(channel)) == -EAGAIN)
        ;
    if (r != 1)
        errx(2, "hand-over: no acknowledgement");
}

/*
 * Many clients in one message: fewer system calls if many come at once, more for a single one.
 * Those that come while an acknowledgment is awaited make the next batch.
 */
__attribute__((noreturn)) static void hand_over_gathered(int listener, int channel,
                                                         bool acknowledged)
{
    int loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event;
    struct batch batch;

    bench_watch(loop, listener, EPOLLIN, 0);
    for (;;) {
        bench_wait(loop, &event, 1, 0);
        accept_batch(listener, &batch);
        if (batch.count == 0)
            continue;
        hand_over(channel, &batch);
        if (acknowledged)
            await_acknowledgement(channel);
        close_batch(&batch);
    }
}

void floor_shim(const char *listen_at, const char *channel_path, enum handover handover)
{
    int listener = unix_listen(listen_at, SOCK_STREAM), channel = channel_connect(channel_path);

    if (listener < 0 || channel < 0)
        errx(2, "%s or %s cannot be used", listen_at, channel_path);
    bench_say_ready();
    if (handover == HANDOVER_ONE_BY_ONE)
        hand_over_one_by_one(listener, channel);
    hand_over_gathered(listener, channel, handover == HANDOVER_ACKNOWLEDGED);
}

static enum handover handover_of(const char *name)
{
    if (strcmp(name, "one-by-one") == 0)
        return HANDOVER_ONE_BY_ONE;
    if (strcmp(name, "gathered") == 0)
        return HANDOVER_GATHERED;
    if (strcmp(name, "acknowledged") == 0)
        return HANDOVER_ACKNOWLEDGED;
    errx(2, "%s: not a hand-over", name);
}

int main(int argc, char **argv)
{
    bench_raise_limits();
    if (argc == 5 && strcmp(argv[1], "shim") == 0)
        floor_shim(argv[2], argv[3], handover_of(argv[4]));
    if (argc == 5 && strcmp(argv[1], "relay") == 0)
        floor_relay(argv[2], argv[3], handover_of(argv[4]));
    errx(2, "usage: bench-floor shim SOCKET CHANNEL|relay CHANNEL ADDRESS:PORT HANDOVER");
}
