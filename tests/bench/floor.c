/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench-floor: what lonc-keeper and its shared shim are measured against, a relay of the same shape
 * without one of their features. No handshake, no limit, no time-out, no health, no queue but a
 * ring, no log; a fault ends it. What it needs is what the way of a request itself costs on this
 * machine.
 *
 *     bench-floor shim SOCKET CHANNEL [--acknowledged]
 *     bench-floor relay CHANNEL PEER-ADDRESS:PORT [--acknowledged]
 *
 * The shim accepts at SOCKET and hands the clients over; the relay (floor_relay.c) serves them over
 * ten kept connections to the peer. Blind, the shim closes a client once it is sent. Acknowledged,
 * it keeps it until the relay has said that it has it (DESIGN.md, "The hand-over"). The messages
 * are the program's own (common/channel.c), so that what differs is what is done around them.
 */
#include <err.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/unix.h"
#include "tests/bench/bench.h"
#include "tests/bench/floor.h"

#define RING_SIZE 256

struct batch {
    int fds[CHANNEL_BATCH];
    unsigned count;
};

/* ring[head .. tail) were sent and not acknowledged. */
static struct batch ring[RING_SIZE];
static unsigned head, tail;

static void close_batch(const struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++)
        close(batch->fds[i]);
}

/* As many as wait, up to a batch. */
static void accept_batch(int listener, struct batch *batch)
{
    int fd;

    batch->count = 0;
    while (batch->count < CHANNEL_BATCH &&
           (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
        batch->fds[batch->count++] = fd;
}

/* Only the backlog and the relay's reading bound what is under way; a full channel is waited for.
 */
static void hand_over(int channel, const struct batch *batch)
{
    int r;

    do
        r = channel_send(channel, batch->fds, batch->count);
    while (r == -EAGAIN || r == -ETOOMANYREFS);
    if (r < 0)
        errx(2, "hand-over: %s", strerror(-r));
}

static void take_acknowledgements(int channel)
{
    while (head != tail && channel_read_acknowledgement(channel) == 1)
        close_batch(&ring[head++ % RING_SIZE]);
}

void floor_shim(const char *listen_at, const char *channel_path, bool acknowledged)
{
    int listener = unix_listen(listen_at, SOCK_STREAM), channel = channel_connect(channel_path);
    int loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[2];

    if (listener < 0 || channel < 0)
        errx(2, "%s or %s cannot be used", listen_at, channel_path);
    bench_watch(loop, listener, EPOLLIN, (uint64_t)listener);
    if (acknowledged)
        bench_watch(loop, channel, EPOLLIN, (uint64_t)channel);
    bench_say_ready();
    for (;;) {
        int count = bench_wait(loop, events, 2, 0);

        for (int i = 0; i < count; i++) {
            struct batch *batch = &ring[tail % RING_SIZE];

            if ((int)events[i].data.u64 == channel) {
                take_acknowledgements(channel);
                continue;
            }
            if (tail - head == RING_SIZE)
                continue;
            accept_batch(listener, batch);
            if (batch->count == 0)
                continue;
            hand_over(channel, batch);
            if (acknowledged)
                tail++;
            else
                close_batch(batch);
        }
    }
}

int main(int argc, char **argv)
{
    bool acknowledged = argc == 5 && strcmp(argv[4], "--acknowledged") == 0;

    bench_raise_limits();
    if (argc == 4 + acknowledged && strcmp(argv[1], "shim") == 0)
        floor_shim(argv[2], argv[3], acknowledged);
    if (argc == 4 + acknowledged && strcmp(argv[1], "relay") == 0)
        floor_relay(argv[2], argv[3], acknowledged);
    errx(2, "usage: bench-floor shim SOCKET CHANNEL|relay CHANNEL ADDRESS:PORT [--acknowledged]");
}
