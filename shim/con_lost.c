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

/* How long a client may take to finish the line that it is writing, in microseconds. */
#define LINE_TIME 1000000

/*
 * How often it is logged that there is no keeper, in seconds. A shim that serves one connection
 * cannot remember that another has just logged it.
 */
#define LOG_INTERVAL 60

/* What is known of a client that is to be answered. */
struct lost_client {
    size_t lines; /* complete ones that it has written */
    bool begun;   /* and one that is not complete */
};

/*
 * Reads all that a client has written so far, since a socket that is closed with unread bytes
 * shows the client an error in place of its answer. Whether the client may be answered: it has
 * completed its line or not begun one.
 */
static bool is_line_over(int fd, struct lost_client *client)
{
    char bytes[16384];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        client->begun = bytes[n - 1] != '\n';
        for (ssize_t i = 0; i < n; i++)
            client->lines += bytes[i] == '\n';
    }
    bool waiting = n < 0 && (errno == EAGAIN || errno == EINTR);
    return !waiting || !client->begun;
}

/*
 * Sends an answer for each line, as the keeper would, or one if there is no line yet. They are sent
 * many at a time, since each piece that is sent takes up room in the socket by itself.
 */
static void answer_and_close(int fd, struct lost_client *client)
{
    static const char answer[] = "con_lost\n";
    const size_t length = sizeof(answer) - 1;
    char answers[512 * (sizeof(answer) - 1)];
    for (size_t at = 0; at < sizeof(answers); at += length)
        memcpy(answers + at, answer, length);
    /* Lines written from here on would find the end of the stream in place of an answer, so writing
     * them must fail. */
    shutdown(fd, SHUT_RD);
    (void)is_line_over(fd, client);
    size_t left = (client->lines > 0 ? client->lines : 1) * length;
    ssize_t n;
    /* A client that is gone, or does not read, has nothing to expect. */
    do
        n = send(fd, answers, left < sizeof(answers) ? left : sizeof(answers),
                 MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n > 0 && (left -= (size_t)n) > 0 && left % length == 0);
    /* A message that a stuck keeper has not read keeps this socket open beyond the close. */
    shutdown(fd, SHUT_RDWR);
    close(fd);
}

void con_lost_answer(const int *fds, unsigned count, uint64_t due)
{
    uint64_t end = due + LINE_TIME;
    struct pollfd waiting[CHANNEL_BATCH];
    struct lost_client clients[CHANNEL_BATCH] = {0};
    for (unsigned i = 0; i < count; i++)
        waiting[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};

    for (bool last = false;; last = monotonic_now() >= end) {
        unsigned left = 0;
        for (unsigned i = 0; i < count; i++) {
            if (waiting[i].fd < 0)
                continue;
            if (is_line_over(waiting[i].fd, &clients[i]) || last) {
                answer_and_close(waiting[i].fd, &clients[i]);
                waiting[i].fd = -1;
            } else {
                left++;
            }
        }
        if (left == 0)
            return;
        (void)poll(waiting, count, monotonic_milliseconds_until(end));
    }
}

/*
 * The shims know of each other by the time of a file beside the channel. If that cannot be made,
 * each of them logs.
 */
bool con_lost_may_log(const char *path)
{
    char note[256];
    struct stat status;
    struct timespec now;
    if (snprintf(note, sizeof(note), "%s.missing", path) >= (int)sizeof(note))
        return true;
    clock_gettime(CLOCK_REALTIME, &now);
    if (lstat(note, &status) == 0 && status.st_mtime <= now.tv_sec &&
        now.tv_sec - status.st_mtime < LOG_INTERVAL)
        return false;
    int fd = open(note, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd >= 0) {
        futimens(fd, NULL);
        close(fd);
    }
    return true;
}
