/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines "<local time> (<pid>) [<host>] [] <SEVERITY>: <text>", appended one by one.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/lonclog.h"

static const char *lonclog_path;

/* The old daemon's words, nearest in meaning. */
static const char *severity_of(int priority)
{
    if (priority <= LOG_ERR)
        return "CRITICAL";
    if (priority == LOG_WARNING)
        return "WARNING";
    return priority == LOG_NOTICE ? "SUCCESS" : "INFO";
}

static void append(int priority, const struct log_about *about, const char *text)
{
    char date[64];
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &local);
    /* Opened anew each time, since it is rotated; messages are few. */
    int fd = open(lonclog_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return;
    dprintf(fd, "%s (%ld) [%s] [] %s: %s\n", date, (long)getpid(),
            about->host != NULL ? about->host : "Parent", severity_of(priority), text);
    close(fd);
}

void lonclog_open(const char *path)
{
    lonclog_path = path;
    log_also_to(LOG_ALSO_FILE, *path != '\0' ? append : NULL);
}
