/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See parking.h.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "shim/parking.h"
#include "shim/shim.h"

/* The default of the keeper's own client_idle_timeout. */
#define PATIENCE (300 * UINT64_C(1000000))

/* Whether it has written nothing, and is still there. */
static bool is_silent(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

bool parking_add(struct parking *parking, int epoll, int fd)
{
    unsigned place = parking->tail % PARKING_SIZE;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = PARKING_EVENT | place};
    if (parking->tail - parking->head == PARKING_SIZE || !is_silent(fd) ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return false;
    parking->at[place].fd = fd;
    parking->at[place].until = monotonic_now() + PATIENCE;
    parking->tail++;
    return true;
}

/* No event of it comes any more, not even while a message in flight holds its socket open. */
static int take(struct parking *parking, int epoll, unsigned place)
{
    int fd = parking->at[place].fd;
    epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
    parking->at[place].fd = -1;
    while (parking->head != parking->tail && parking->at[parking->head % PARKING_SIZE].fd < 0)
        parking->head++;
    return fd;
}

int parking_take(struct parking *parking, int epoll, uint64_t event)
{
    char byte;
    int fd = take(parking, epoll, (unsigned)(event % PARKING_SIZE));
    if (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) != 0)
        return fd;
    close(fd);
    return -1;
}

int parking_take_any(struct parking *parking, int epoll)
{
    return parking->head != parking->tail ? take(parking, epoll, parking->head % PARKING_SIZE) : -1;
}

uint64_t parking_expire(struct parking *parking, int epoll)
{
    while (parking->head != parking->tail) {
        unsigned place = parking->head % PARKING_SIZE;
        if (parking->at[place].until > monotonic_now())
            return parking->at[place].until;
        close(take(parking, epoll, place));
    }
    return UINT64_MAX;
}
