/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines "<local time> (<pid>) [<host>] [] <SEVERITY>: <text>", appended one by one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "keeper/control/lonclog.h"

static struct {
    struct core *core; /* NULL: closed */
    const char *path;
    sd_event_source *retry;
    bool telling; /* that it cannot be written, which is a message as well */
} lonclog;

/* The old daemon's words, nearest in meaning. */
static const char *severity_of(int priority)
{
    if (priority <= LOG_ERR)
        return "CRITICAL";
    if (priority == LOG_WARNING)
        return "WARNING";
    return priority == LOG_NOTICE ? "SUCCESS" : "INFO";
}

/* Opened anew each time, since it is rotated; messages are few. An administrator may have put a
 * link there, or a FIFO, whose reader is not waited for. A descriptor, or a negative errno. */
static int open_file(void)
{
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int fd = open(lonclog.path, flags, 0640);
    if (fd < 0)
        return -errno;
    return fd;
}

static int on_retry(sd_event_source *source, uint64_t when, void *argument);

static void note(int r)
{
    struct core *core = lonclog.core;
    if (r == 0) {
        trouble_end(core, TROUBLE_LOG_FILE);
        return;
    }
    lonclog.telling = true;
    if (!trouble_is_present(core, TROUBLE_LOG_FILE))
        (void)loop_alarm(&core->loop, &lonclog.retry, CLOCK_MONOTONIC,
                         monotonic_now() + core->settings.trouble_retry, on_retry, NULL);
    trouble_begin(core, TROUBLE_LOG_FILE, "%s: cannot be written: %s", lonclog.path, strerror(-r));
    lonclog.telling = false;
}

/* Whether it can be written to, without a message. */
static void probe(void)
{
    int fd = open_file();
    if (fd >= 0)
        close(fd);
    note(fd < 0 ? fd : 0);
}

static int on_retry(sd_event_source *source, uint64_t when, void *argument)
{
    struct core *core = lonclog.core;
    (void)source;
    (void)when;
    (void)argument;
    core->loop.now = monotonic_now();
    if (!trouble_is_present(core, TROUBLE_LOG_FILE))
        return 0;
    (void)loop_alarm(&core->loop, &lonclog.retry, CLOCK_MONOTONIC,
                     monotonic_now() + core->settings.trouble_retry, on_retry, NULL);
    probe();
    return 0;
}

static int write_line(int fd, int priority, const struct log_about *about, const char *text)
{
    char date[64], line[2048];
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &local);
    int length =
        snprintf(line, sizeof(line), "%s (%ld) [%s] [] %s: %s\n", date, (long)getpid(),
                 about->host != NULL ? about->host : "Parent", severity_of(priority), text);
    ssize_t n = write(fd, line, (size_t)length);
    return n < 0 ? -errno : n < length ? -ENOSPC : 0;
}

static void append(int priority, const struct log_about *about, const char *text)
{
    if (lonclog.telling)
        return;
    int fd = open_file();
    int r = fd < 0 ? fd : write_line(fd, priority, about, text);
    if (fd >= 0)
        close(fd);
    note(r);
}

void lonclog_open(struct core *core, const char *path)
{
    lonclog.core = core;
    lonclog.path = path;
    log_also_to(LOG_ALSO_FILE, *path != '\0' ? append : NULL);
    if (*path != '\0')
        probe();
    else
        trouble_end(core, TROUBLE_LOG_FILE);
}

void lonclog_close(void)
{
    log_also_to(LOG_ALSO_FILE, NULL);
    lonclog.retry = sd_event_source_disable_unref(lonclog.retry);
    lonclog.core = NULL;
}
