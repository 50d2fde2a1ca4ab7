/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Processes, not threads or one event loop: asking the keeper and writing metrics may block, and a
 * process that has to give up its place can be killed at any point without harm.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/core/interrupt.h"
#include "keeper/loncctl/metrics/httpd.h"

/* Processes at once. Prometheus sends one request at a time; the rest is for people and for clients
 * that stay silent. */
#define PLACES 32

/* Seconds until a process ends itself: more than it may wait, 10 s for the client twice and 30 s
 * for each of three answers of the keeper. */
#define PATIENCE 120

/* Milliseconds of pause after a failed accept. */
#define RETRY_INTERVAL 100

/* The processes that answer clients, the oldest first. */
struct answerers {
    pid_t at[PLACES];
    unsigned count;
};

bool httpd_is_listener(void)
{
    int yes = 0;
    socklen_t size = sizeof(yes);
    return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) == 0 && yes != 0;
}

static void remove_at(struct answerers *answerers, unsigned i)
{
    answerers->count--;
    memmove(answerers->at + i, answerers->at + i + 1,
            (answerers->count - i) * sizeof(*answerers->at));
}

/* Removes the processes that have ended. */
static void reap_ended(struct answerers *answerers)
{
    for (unsigned i = 0; i < answerers->count;)
        if (waitpid(answerers->at[i], NULL, WNOHANG) != 0)
            remove_at(answerers, i);
        else
            i++;
}

static void kill_oldest(struct answerers *answerers)
{
    kill(answerers->at[0], SIGKILL);
    waitpid(answerers->at[0], NULL, 0);
    remove_at(answerers, 0);
}

/* Returns true in the child. If there can be no child, the client's connection is closed. */
static bool accept_client(struct answerers *answerers, const sigset_t *signals)
{
    int fd = accept4(STDIN_FILENO, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        /* Lack of descriptors or memory would make the next accept fail at once as well: pause. */
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            poll(NULL, 0, RETRY_INTERVAL);
        return false;
    }
    reap_ended(answerers);
    if (answerers->count == PLACES)
        kill_oldest(answerers);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGTERM, SIG_DFL);
        signal(SIGINT, SIG_DFL);
        sigprocmask(SIG_SETMASK, signals, NULL);
        dup2(fd, STDIN_FILENO);
        alarm(PATIENCE);
        return true;
    }
    if (pid > 0)
        answerers->at[answerers->count++] = pid;
    close(fd);
    return false;
}

bool httpd_serve(unsigned linger)
{
    struct answerers answerers = {.count = 0};
    struct pollfd listener = {.fd = STDIN_FILENO, .events = POLLIN};
    const struct timespec limit = {.tv_sec = linger};
    sigset_t signals = interrupt_catch();
    int on = 1;
    /* A client may have left before it is accepted; then accept must not block. */
    if (ioctl(STDIN_FILENO, FIONBIO, &on) < 0)
        fail(LONCCTL_NO, "--http", strerror(errno));
    for (;;) {
        int n = ppoll(&listener, 1, &limit, &signals);
        if (interrupt_came())
            break;
        if (n > 0 && accept_client(&answerers, &signals))
            return true;
        reap_ended(&answerers);
        if (n == 0 && answerers.count == 0)
            break;
    }
    while (answerers.count > 0)
        kill_oldest(&answerers);
    return false;
}
