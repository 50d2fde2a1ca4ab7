/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The private channel's receiving side. The input says what arrives: messages of any bytes, with
 * any number of descriptors, in one control message or two, with others beside them. What is
 * returned is what a right message brought, and of everything else nothing stays open.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "tests/fuzz/fuzz.h"

#define FDS_MAX 40

/* Eight bytes that are a hand-over of so many descriptors (common/channel.c). */
static void make_message(unsigned char message[8], unsigned count)
{
    const uint16_t coded = (uint16_t)count;
    memcpy(message, "lonc\1H", 6);
    memcpy(message + 6, &coded, sizeof(coded));
}

/* Adds `count` copies of one descriptor. */
static size_t add_rights(char *control, size_t used, int fd, unsigned count)
{
    struct cmsghdr header = {
        .cmsg_level = SOL_SOCKET,
        .cmsg_type = SCM_RIGHTS,
        .cmsg_len = CMSG_LEN(count * sizeof(int)),
    };
    memcpy(control + used, &header, sizeof(header));
    for (unsigned i = 0; i < count; i++)
        memcpy(control + used + CMSG_LEN(i * sizeof(int)), &fd, sizeof(fd));
    return used + CMSG_SPACE(count * sizeof(int));
}

struct arriving {
    const char *bytes;
    size_t length;
    unsigned first, second; /* descriptors in each control message; 0: there is none */
};

static bool arrive(int channel, int fd, const struct arriving *arriving)
{
    _Alignas(struct cmsghdr) static char control[2 * CMSG_SPACE(FDS_MAX * sizeof(int))];
    size_t used = 0;
    memset(control, 0, sizeof(control));
    if (arriving->first > 0)
        used = add_rights(control, used, fd, arriving->first);
    if (arriving->second > 0)
        used = add_rights(control, used, fd, arriving->second);
    struct iovec part = {.iov_base = (char *)(uintptr_t)arriving->bytes,
                         .iov_len = arriving->length};
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = used > 0 ? control : NULL,
                         .msg_controllen = used};
    return sendmsg(channel, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static bool is_right(const struct arriving *arriving)
{
    unsigned char wanted[8];
    unsigned count = arriving->first + arriving->second;
    make_message(wanted, count);
    return count > 0 && count <= CHANNEL_BATCH && arriving->length == sizeof(wanted) &&
           memcmp(arriving->bytes, wanted, sizeof(wanted)) == 0;
}

static void check_message(int ends[2], int fd, const struct arriving *arriving)
{
    int fds[CHANNEL_BATCH];
    if (!arrive(ends[0], fd, arriving))
        return;
    int n = channel_receive(ends[1], fds);
    if (is_right(arriving))
        CHECK(n == (int)(arriving->first + arriving->second));
    else if (arriving->length == 0 && arriving->first + arriving->second == 0)
        CHECK(n == 0);
    else
        CHECK(n == -EBADMSG || n == -EMFILE);
    for (int i = 0; i < n; i++) {
        CHECK(fcntl(fds[i], F_GETFD) == FD_CLOEXEC);
        CHECK(close(fds[i]) == 0);
    }
    CHECK(channel_receive(ends[1], fds) == -EAGAIN);
}

/* The same bytes as an acknowledgement. */
static void check_acknowledgement(int ends[2], const struct arriving *arriving)
{
    static const char taken[8] = {'l', 'o', 'n', 'c', 1, 'T'};
    if (arriving->length == 0)
        return;
    CHECK(send(ends[1], arriving->bytes, arriving->length, MSG_DONTWAIT) ==
          (ssize_t)arriving->length);
    bool right = arriving->length == 8 && memcmp(arriving->bytes, taken, 6) == 0;
    CHECK(channel_read_acknowledgement(ends[0]) == (right ? 1 : -EBADMSG));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int carried = -1;
    struct input input = {.data = data, .left = size};
    int ends[2];
    if (carried < 0)
        carried = open("/dev/null", O_RDONLY | O_CLOEXEC);
    unsigned before = fuzz_descriptors();
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    while (input.left > 0) {
        unsigned char message[8];
        unsigned shape = input_byte(&input);
        struct arriving arriving = {.first = shape % FDS_MAX,
                                    .second = shape & 0x80 ? input_byte(&input) % FDS_MAX : 0};
        if (shape & 0x40) {
            make_message(message, arriving.first + arriving.second);
            arriving.bytes = (const char *)message;
            arriving.length = sizeof(message);
        } else {
            arriving.length = input_byte(&input) % 32;
            arriving.bytes = input_take(&input, &arriving.length);
        }
        check_message(ends, carried, &arriving);
        check_acknowledgement(ends, &arriving);
    }
    close(ends[0]);
    int fds[CHANNEL_BATCH];
    CHECK(channel_receive(ends[1], fds) == 0);
    close(ends[1]);
    CHECK(fuzz_descriptors() == before);
    return 0;
}
