/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See con_lost.h. A client must find its answer whatever it was doing: writing, waiting, leaving.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/monotonic.h"
#include "shim/con_lost.h"
#include "shim/shim.h"

/* How long a client that gets con_lost may take to finish the line it is writing. */
#define FAREWELL_PATIENCE 1000000

/* A shim for each connection forgets; so that a missing keeper is not said for each client. */
#define SAID_INTERVAL 60

/* What is known of a client that gets con_lost. */
struct leaver {
    size_t lines; /* complete ones that it has written */
    bool begun;   /* and one more that is not */
};

/*
 * Reads away what a client has written so far, since a socket closed with unread bytes gives the
 * client an error where it should find its answer. True when it may be answered: its line has
 * ended, or it has not begun one.
 */
static bool line_is_over(int fd, struct leaver *leaver)
{
    char bytes[16384];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        leaver->begun = bytes[n - 1] != '\n';
        for (ssize_t i = 0; i < n; i++)
            leaver->lines += bytes[i] == '\n';
    }
    bool waiting = n < 0 && (errno == EAGAIN || errno == EINTR);
    return !waiting || !leaver->begun;
}

/*
 * One for each line, as the keeper would; one also where there is no line yet. Many at once, since
 * each piece that is sent takes up room in the socket.
 */
static void answer_con_lost(int fd, struct leaver *leaver)
{
    static const char answer[] = "con_lost\n";
    const size_t length = sizeof(answer) - 1;
    char answers[512 * (sizeof(answer) - 1)];
    for (size_t at = 0; at < sizeof(answers); at += length)
        memcpy(answers + at, answer, length);
    /* No line is taken from here on, for it would find the stream ended in place of an answer. */
    shutdown(fd, SHUT_RD);
    line_is_over(fd, leaver);
    size_t left = (leaver->lines > 0 ? leaver->lines : 1) * length;
    ssize_t n;
    /* A client that is gone, or does not read, has nothing to expect. */
    do
        n = send(fd, answers, left < sizeof(answers) ? left : sizeof(answers),
                 MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n > 0 && (left -= (size_t)n) > 0 && left % length == 0);
    /* A message that a stuck keeper has not read holds this socket open: closing would not end it.
     */
    shutdown(fd, SHUT_RDWR);
    close(fd);
}

void con_lost_answer(const int *fds, unsigned count, uint64_t due)
{
    uint64_t end = due + FAREWELL_PATIENCE;
    struct pollfd waiting[CHANNEL_BATCH];
    struct leaver leavers[CHANNEL_BATCH] = {0};
    for (unsigned i = 0; i < count; i++)
        waiting[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};

    for (bool last = false;; last = monotonic_now() >= end) {
        unsigned left = 0;
        for (unsigned i = 0; i < count; i++) {
            if (waiting[i].fd < 0)
                continue;
            if (line_is_over(waiting[i].fd, &leavers[i]) || last) {
                answer_con_lost(waiting[i].fd, &leavers[i]);
                waiting[i].fd = -1;
            } else {
                left++;
            }
        }
        if (left == 0)
            return;
        poll(waiting, count, shim_milliseconds_until(end));
    }
}

/*
 * Whether some shim has said it within the last minute. What they know of each other is the time of
 * a file beside the channel; without one, each of them says it.
 */
bool con_lost_is_said(const char *path)
{
    char note[256];
    struct stat status;
    struct timespec t;
    if (snprintf(note, sizeof(note), "%s.missing", path) >= (int)sizeof(note))
        return false;
    clock_gettime(CLOCK_REALTIME, &t);
    if (lstat(note, &status) == 0 && status.st_mtime <= t.tv_sec &&
        t.tv_sec - status.st_mtime < SAID_INTERVAL)
        return true;
    int fd = open(note, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd >= 0) {
        futimens(fd, NULL);
        close(fd);
    }
    return false;
}
