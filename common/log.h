/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The log. Messages go to the journal, with fields, or as text to standard error if there is no
 * journal.
 *
 * The native protocol of the journal is one datagram of fields for each message. It is spoken here
 * without libsystemd, which the shim must not carry, and without ever waiting for journald: a
 * message for which journald has no room goes to standard error instead, because a log must not be
 * able to stop the loop.
 *
 * No secret may be logged: of a request only its first word and its length; of a reply to
 * `encrypt:` nothing.
 */
#ifndef LONC_COMMON_LOG_H
#define LONC_COMMON_LOG_H

#include <sys/types.h>
#include <syslog.h>

enum log_target { LOG_TARGET_AUTO, LOG_TARGET_JOURNAL, LOG_TARGET_STDERR };

/* Events on which an administrator may act. Each has a MESSAGE_ID. */
enum log_event {
    LOG_EVENT_NONE,
    LOG_EVENT_STARTED,
    LOG_EVENT_STOPPING,
    LOG_EVENT_LOADED,           /* a configuration is in force */
    LOG_EVENT_LOAD_FAILED,      /* it is not, and why */
    LOG_EVENT_HOST_DEAD,        /* attempts to connect to a host have failed in a row */
    LOG_EVENT_HOST_BACK,        /* it can be reached again */
    LOG_EVENT_LIMIT_REACHED,    /* requests are being answered con_lost because of a limit */
    LOG_EVENT_LIMIT_LEFT,       /* they are not any more */
    LOG_EVENT_HANDOVER_REFUSED, /* a stranger or a malformed message on the private channel */
    LOG_EVENT_KEEPER_MISSING,   /* a shim found no keeper and answered con_lost itself */
    LOG_EVENT_CERTIFICATE,      /* an ssl certificate expires soon, or has expired */
    LOG_EVENT_DEFERRED,         /* a deferred file or their folder needs attention */
    LOG_EVENT_TROUBLE,          /* something is wrong with the keeper: keeper/core/troubles.h */
    LOG_EVENT_TROUBLE_OVER,     /* it no longer is */
    LOG_EVENT_COUNT
};

/* What a message is about. Members that do not apply are zero. */
struct log_about {
    enum log_event event;
    const char *host;   /* LONC_HOST= */
    pid_t client_pid;   /* LONC_CLIENT_PID= */
    const char *reason; /* LONC_REASON=, a word of keeper/core/reason.c */
};

/* The journal's socket. Tests use another. */
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

/*
 * Chooses where messages go, and the minimum priority (syslog's 0 to 7; messages with a larger
 * number are dropped). `program` is the name of this program and must stay valid; `journal` is
 * LOG_JOURNAL_SOCKET. May be called again. Before the first call, every message goes to standard
 * error.
 */
void log_open(const char *program, enum log_target target, int level, const char *journal);

/* Further destinations, which the shim does not have. */
enum log_also { LOG_ALSO_FILE, LOG_ALSO_EVENTS, LOG_ALSO_COUNT };

/* Also passes each message to `write`; NULL ends that. */
void log_also_to(enum log_also place,
                 void (*write)(int priority, const struct log_about *about, const char *text));

/* The word for an event, such as "host-dead"; NULL for LOG_EVENT_NONE. */
const char *log_event_word(enum log_event event);

/* The MESSAGE_ID of an event, as 32 hex digits; NULL for LOG_EVENT_NONE. */
const char *log_event_id(enum log_event event);

/* Logs one message. `about` may be NULL. Text is cut after 1,024 bytes. errno is preserved. */
__attribute__((format(printf, 3, 4))) void log_write(int priority, const struct log_about *about,
                                                     const char *format, ...);

#endif
