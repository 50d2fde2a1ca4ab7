/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel completes a connection before anybody accepts it, and keeps what is said until
 * somebody reads, so keeper and lond can share one thread. It tests nothing itself.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "tests/unit/played_lond.h"

/* What does not come within this, in microseconds, does not come at all. */
#define LONG UINT64_C(10000000)

static struct loop *turning;
static int listener = -1;
static struct sockaddr_in address;

void lond_listens(struct loop *loop)
{
    socklen_t size = sizeof(address);
    int on = 1;
    turning = loop;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_geq(listener, 0);
    cr_assert_eq(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(listener, 64), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
}

uint16_t lond_port(void)
{
    return ntohs(address.sin_port);
}

void lond_refuses(void)
{
    close(listener);
    listener = -1;
}

static void turn(struct loop *loop, uint64_t give_up)
{
    cr_assert_geq(loop_turn(loop, 1000), 0);
    cr_assert_lt(monotonic_now(), give_up, "waited in vain");
}

void turn_until(struct loop *loop, const bool *what)
{
    uint64_t give_up = monotonic_now() + LONG;
    while (!*what)
        turn(loop, give_up);
}

void turn_quiet(struct loop *loop)
{
    while (loop_turn(loop, 0) > 0 || loop_turn(loop, 0) > 0)
        continue;
}

bool lond_has_caller(void)
{
    struct pollfd wanted = {.fd = listener, .events = POLLIN};
    return poll(&wanted, 1, 0) > 0;
}

int lond_accepts(void)
{
    uint64_t give_up = monotonic_now() + LONG;
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0)
        turn(turning, give_up);
    return fd;
}

/* Reads some, while the loop turns. 0 at the end. */
static size_t hear(int fd, char *bytes, size_t most)
{
    uint64_t give_up = monotonic_now() + LONG;
    ssize_t n;
    while ((n = recv(fd, bytes, most, MSG_DONTWAIT)) < 0 && errno == EAGAIN)
        turn(turning, give_up);
    cr_assert(n >= 0 || errno == ECONNRESET, "%s", strerror(errno));
    return n > 0 ? (size_t)n : 0;
}

void lond_hears(int fd, const char *text)
{
    char heard[4096];
    size_t wanted = strlen(text), length = 0, n;
    cr_assert_lt(wanted, sizeof(heard));
    while (length < wanted && (n = hear(fd, heard + length, wanted - length)) > 0)
        length += n;
    heard[length] = '\0';
    cr_assert_str_eq(heard, text);
}

void lond_hears_end(int fd)
{
    char byte;
    cr_assert_eq(hear(fd, &byte, 1), 0, "not the end, but '%c'", byte);
    close(fd);
}

void lond_says(int fd, const char *text)
{
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

void lond_says_bytes(int fd, char byte, size_t count)
{
    char bytes[4096];
    uint64_t give_up = monotonic_now() + LONG;
    memset(bytes, byte, sizeof(bytes));
    while (count > 0) {
        ssize_t n = send(fd, bytes, count < sizeof(bytes) ? count : sizeof(bytes), MSG_NOSIGNAL);
        cr_assert(n >= 0 || errno == EAGAIN, "%s", strerror(errno));
        count -= n > 0 ? (size_t)n : 0;
        turn(turning, give_up);
    }
}

void lond_greets(int fd, const char *id)
{
    char sethost[64];
    snprintf(sethost, sizeof(sethost), "sethost:%s\n", id);
    lond_hears(fd, "init\n");
    lond_says(fd, "12345\n");
    lond_hears(fd, "12345\n");
    lond_says(fd, "ok\n");
    lond_hears(fd, "version\n");
    lond_says(fd, "version:$Revision: 1.500 $\n");
    lond_hears(fd, sethost);
    lond_says(fd, "ok\n");
    lond_hears(fd, "ekey\n");
    lond_says(fd, "12345A0BC7D89EF54321\n");
}
