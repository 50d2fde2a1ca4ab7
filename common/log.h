/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The log: to the journal with fields when there is a journal, else to standard error as text.
 *
 * The journal's native protocol is one datagram of fields, so this speaks it itself: the shim must
 * not carry libsystemd, and a datagram sent here never waits for journald. A message that journald
 * has no room for goes to standard error instead, since a log must not be able to stop the loop.
 *
 * No secret goes in: of a request, its first word and its length; of a reply to `encrypt:`,
 * nothing.
 */
#ifndef LONC_COMMON_LOG_H
#define LONC_COMMON_LOG_H

#include <sys/types.h>
#include <syslog.h>

enum log_target { LOG_TARGET_AUTO, LOG_TARGET_JOURNAL, LOG_TARGET_STDERR };

/* What an administrator acts on; each has a MESSAGE_ID. */
enum log_event {
    LOG_EVENT_NONE,
    LOG_EVENT_STARTED,
    LOG_EVENT_STOPPING,
    LOG_EVENT_LOADED,           /* tables and settings are in force */
    LOG_EVENT_LOAD_FAILED,      /* they are not, and why */
    LOG_EVENT_HOST_DEAD,        /* a host could not be reached twice in a row */
    LOG_EVENT_HOST_BACK,        /* and now it can */
    LOG_EVENT_LIMIT_REACHED,    /* a bound is met: requests are being answered con_lost for it */
    LOG_EVENT_LIMIT_LEFT,       /* no longer */
    LOG_EVENT_HANDOVER_REFUSED, /* a stranger or a malformed message on the private channel */
    LOG_EVENT_KEEPER_MISSING,   /* a shim found no keeper and answered con_lost itself */
    LOG_EVENT_CERTIFICATE,      /* one for ssl expires, or has expired */
    LOG_EVENT_DEFERRED,         /* a deferred file, or their folder, wants looking at */
    LOG_EVENT_TROUBLE,          /* something is wrong with the keeper: keeper/core/troubles.h */
    LOG_EVENT_TROUBLE_OVER,     /* no longer */
    LOG_EVENT_COUNT
};

/* Whom and what a message is about; members left out mean nothing. */
struct log_about {
    enum log_event event;
    const char *host;   /* LONC_HOST= */
    pid_t client_pid;   /* LONC_CLIENT_PID=, 0 when there is none */
    const char *reason; /* LONC_REASON=, one word of the list in keeper/core/reason.c */
};

/* The journal's socket; a test has another. */
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

/*
 * Chooses where messages go. `program` names this one and must stay. Called again, changes target
 * and level (syslog's 0 to 7; what is above it is not written). Before the first call, everything
 * goes to standard error. `journal` is LOG_JOURNAL_SOCKET.
 */
void log_open(const char *program, enum log_target target, int level, const char *journal);

/* Second places for messages, which the shim does not carry. */
enum log_also { LOG_ALSO_FILE, LOG_ALSO_EVENTS, LOG_ALSO_COUNT };

/* Also gives each message to `write`, if not NULL. */
void log_also_to(enum log_also place,
                 void (*write)(int priority, const struct log_about *about, const char *text));

/* "host-dead" and so on; NULL for LOG_EVENT_NONE. */
const char *log_event_word(enum log_event event);

/* The MESSAGE_ID of an event, 32 hex digits; NULL for LOG_EVENT_NONE. */
const char *log_event_id(enum log_event event);

/*
 * Writes one message. `about` may be NULL. Text past 1,024 bytes is cut. errno is kept.
 */
__attribute__((format(printf, 3, 4))) void log_write(int priority, const struct log_about *about,
                                                     const char *format, ...);

#endif
