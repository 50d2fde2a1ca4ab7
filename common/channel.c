/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The messages of the private channel. Who may connect is decided by the keeper
 * (keeper/client/intake.c), and when to give up by the shim.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/unix.h"

enum message_kind { MESSAGE_HANDOVER = 'H', MESSAGE_TAKEN = 'T' };

/* The same in both directions. It has a version so that a keeper can refuse a shim of another
 * release. */
struct message {
    char magic[4];
    uint8_t version;
    uint8_t kind;
    uint16_t count; /* descriptors of a hand-over, in this machine's byte order */
};

#define MESSAGE(k, n)                                                                              \
    {                                                                                              \
        .magic = {'l', 'o', 'n', 'c'}, .version = 1, .kind = (k), .count = (n)                     \
    }

static bool is_message(const struct message *message, size_t length, enum message_kind kind)
{
    static const struct message wanted = MESSAGE(0, 0);
    return length == sizeof(*message) &&
           memcmp(message->magic, wanted.magic, sizeof(wanted.magic)) == 0 &&
           message->version == wanted.version && message->kind == kind;
}

int channel_connect(const char *path)
{
    struct sockaddr_un address;
    int r = unix_address(&address, path);
    if (r < 0)
        return r;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    /* Blocking, for channel_await_acknowledgement() alone; all other calls use MSG_DONTWAIT. */
    const struct timeval bound = {.tv_usec = CHANNEL_AWAIT};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound)) == 0)
        (void)fcntl(fd, F_SETFL, 0);
    return fd;
}

int channel_send(int channel, const int *fds, unsigned count)
{
    struct message message = MESSAGE(MESSAGE_HANDOVER, (uint16_t)count);
    struct iovec part = {.iov_base = &message, .iov_len = sizeof(message)};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(CHANNEL_BATCH * sizeof(int))];
    } control;
    memset(&control, 0, sizeof(control));
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));

    ssize_t n;
    do
        n = sendmsg(channel, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

/* Collects the descriptors of a message; its control space holds at most CHANNEL_BATCH. */
static unsigned collect(struct msghdr *msg, int fds[CHANNEL_BATCH])
{
    unsigned count = 0;
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL; cmsg = CMSG_NXTHDR(msg, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        size_t bytes = cmsg->cmsg_len - CMSG_LEN(0);
        memcpy(fds + count, CMSG_DATA(cmsg), bytes);
        count += (unsigned)(bytes / sizeof(int));
    }
    return count;
}

int channel_receive(int channel, int fds[CHANNEL_BATCH])
{
    struct message message;
    struct iovec part = {.iov_base = &message, .iov_len = sizeof(message)};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(CHANNEL_BATCH * sizeof(int))];
    } control;
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    ssize_t n;
    do
        n = recvmsg(channel, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;

    unsigned count = collect(&msg, fds);
    if (n == 0 && count == 0)
        return 0;
    bool whole = (msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) == 0;
    if (whole && count > 0 && is_message(&message, (size_t)n, MESSAGE_HANDOVER) &&
        message.count == count)
        return (int)count;
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    /* A sender that claims more than a batch is at fault; then descriptors are not short here. */
    bool cut = (msg.msg_flags & MSG_CTRUNC) != 0 &&
               is_message(&message, (size_t)n, MESSAGE_HANDOVER) &&
               message.count <= CHANNEL_BATCH && count < message.count;
    return cut ? -EMFILE : -EBADMSG;
}

int channel_acknowledge(int channel)
{
    static const struct message taken = MESSAGE(MESSAGE_TAKEN, 0);
    ssize_t n;
    do
        n = send(channel, &taken, sizeof(taken), MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

static int receive_acknowledgement(int channel, int flags)
{
    struct message message;
    ssize_t n;
    do
        n = recv(channel, &message, sizeof(message), flags | MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n < 0 ? -errno : 0;
    return is_message(&message, (size_t)n, MESSAGE_TAKEN) ? 1 : -EBADMSG;
}

int channel_read_acknowledgement(int channel)
{
    return receive_acknowledgement(channel, MSG_DONTWAIT);
}

int channel_await_acknowledgement(int channel)
{
    return receive_acknowledgement(channel, 0);
}
