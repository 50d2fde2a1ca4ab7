/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The relay of bench-floor: clients come over the channel, their lines go to the peer over ten kept
 * connections, one at a time on each, and the replies go back. Every descriptor is registered once,
 * edge-triggered, and a client only after its request has been sent. Lines must arrive whole, as
 * small ones do. If one does not, the relay ends, so that no bench measures something else by
 * mistake.
 */
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/unix.h"
#include "tests/bench/bench.h"
#include "tests/bench/floor.h"

#define PEERS           10
#define DESCRIPTORS_MAX 65536
#define EVENTS_A_TURN   64
#define LINE_MAX_HERE   65536

/*
 * What a descriptor stands for. An event may still name a client that has been closed, because the
 * shim's copy keeps the kernel's registration alive. `generation` tells it from the next one with
 * the same number.
 */
struct descriptor {
    enum { DESCRIPTOR_CLIENT, DESCRIPTOR_PEER, DESCRIPTOR_CHANNEL } kind;
    uint32_t generation;
    bool open, busy; /* client: has a request under way */
    int client;      /* of a peer's: whose request it carries, -1 for none */
    uint32_t client_generation;
};

/* A client whose line waits, in its socket, for a peer's connection. */
struct waiting {
    int fd;
    uint32_t generation;
};

static struct descriptor table[DESCRIPTORS_MAX];
static struct waiting waiting[DESCRIPTORS_MAX];
static unsigned waiting_head, waiting_tail;
static int idle[PEERS];
static unsigned idle_count;
static int loop;

static void register_descriptor(int fd, uint32_t events)
{
    bench_watch(loop, fd, events | EPOLLET, (uint64_t)table[fd].generation << 32 | (uint32_t)fd);
}

static void close_client(int fd)
{
    table[fd].open = false;
    table[fd].generation++;
    close(fd);
}

/* One line, whole; 0 if there is none yet, -1 at the end. */
static ssize_t read_line(int fd, char *line)
{
    ssize_t length = recv(fd, line, LINE_MAX_HERE, MSG_DONTWAIT);

    if (length > 0 && line[length - 1] != '\n')
        errx(2, "a line came in pieces");
    if (length < 0 && errno == EAGAIN)
        return 0;
    return length > 0 ? length : -1;
}

static void send_line(int fd, const char *line, ssize_t length)
{
    ssize_t sent = send(fd, line, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent >= 0 && sent != length)
        errx(2, "a line did not fit into a socket's buffer");
}

/* A client's line, if it is there, to a peer's connection that is idle. */
static void forward(int fd)
{
    static char line[LINE_MAX_HERE];
    struct descriptor *client = &table[fd];
    ssize_t length;
    int peer;

    if (idle_count == 0) {
        client->busy = true;
        waiting[waiting_tail++ % DESCRIPTORS_MAX] = (struct waiting){fd, client->generation};
        return;
    }
    client->busy = false;
    length = read_line(fd, line);
    if (length < 0)
        close_client(fd);
    if (length <= 0)
        return;
    peer = idle[--idle_count];
    table[peer].client = fd;
    table[peer].client_generation = client->generation;
    client->busy = true;
    send_line(peer, line, length);
}

static void forward_waiting(void)
{
    while (idle_count > 0 && waiting_head != waiting_tail) {
        struct waiting next = waiting[waiting_head++ % DESCRIPTORS_MAX];

        if (table[next.fd].open && table[next.fd].generation == next.generation)
            forward(next.fd);
    }
}

static void on_reply(int peer)
{
    static char line[LINE_MAX_HERE];
    ssize_t length = read_line(peer, line);
    int client = table[peer].client;

    if (length < 0)
        errx(2, "the peer has closed");
    if (length == 0)
        return;
    table[peer].client = -1;
    idle[idle_count++] = peer;
    if (client < 0 || !table[client].open ||
        table[client].generation != table[peer].client_generation)
        return;
    table[client].busy = false;
    send_line(client, line, length);
}

static void on_client(int fd, uint32_t events)
{
    if (events & (EPOLLHUP | EPOLLERR))
        close_client(fd);
    else if (!table[fd].busy)
        forward(fd);
}

static void adopt(int fd)
{
    if (fd >= DESCRIPTORS_MAX)
        errx(2, "more than %d descriptors", DESCRIPTORS_MAX);
    table[fd].kind = DESCRIPTOR_CLIENT;
    table[fd].open = true;
    table[fd].busy = false;
    forward(fd);
    if (table[fd].open)
        register_descriptor(fd, EPOLLIN);
}

static void receive_clients(int channel, bool acknowledged)
{
    int fds[CHANNEL_BATCH];
    int count = channel_receive(channel, fds);

    if (count == 0)
        errx(2, "the shim has gone");
    if (count < 0 && count != -EAGAIN)
        errx(2, "hand-over: %s", strerror(-count));
    if (count > 0 && acknowledged && channel_acknowledge(channel) < 0)
        errx(2, "the shim takes no acknowledgment");
    for (int i = 0; i < count; i++)
        adopt(fds[i]);
}

static void connect_peers(const char *where)
{
    struct sockaddr_in address = bench_address(where);

    for (unsigned i = 0; i < PEERS; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
            err(2, "%s", where);
        table[fd] = (struct descriptor){.kind = DESCRIPTOR_PEER, .open = true, .client = -1};
        register_descriptor(fd, EPOLLIN);
        idle[idle_count++] = fd;
    }
}

static int accept_shim(const char *path)
{
    int listener = unix_listen(path, SOCK_SEQPACKET), channel;

    if (listener < 0)
        errx(2, "%s: %s", path, strerror(-listener));
    bench_say_ready();
    bench_watch(loop, listener, EPOLLIN, (uint64_t)listener);
    bench_wait(loop, &(struct epoll_event){0}, 1, 0);
    channel = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (channel < 0)
        err(2, "accept");
    close(listener);
    table[channel] = (struct descriptor){.kind = DESCRIPTOR_CHANNEL, .open = true};
    bench_watch(loop, channel, EPOLLIN, (uint32_t)channel); /* level-triggered: a message a turn */
    return channel;
}

void floor_relay(const char *channel_path, const char *peer, enum handover handover)
{
    struct epoll_event events[EVENTS_A_TURN];

    loop = epoll_create1(EPOLL_CLOEXEC);
    connect_peers(peer);
    accept_shim(channel_path);
    for (;;) {
        int count = bench_wait(loop, events, EVENTS_A_TURN, 0);

        for (int i = 0; i < count; i++) {
            int fd = (int)(uint32_t)events[i].data.u64;

            if (!table[fd].open || table[fd].generation != (uint32_t)(events[i].data.u64 >> 32))
                continue;
            if (table[fd].kind == DESCRIPTOR_PEER)
                on_reply(fd);
            else if (table[fd].kind == DESCRIPTOR_CLIENT)
                on_client(fd, events[i].events);
            else
                receive_clients(fd, handover == HANDOVER_ACKNOWLEDGED);
        }
        forward_waiting();
    }
}
