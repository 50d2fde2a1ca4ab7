/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The list of what is wrong with the keeper itself, as opposed to one of its hosts
 * (keeper/README.md rule 16). The code that notices a trouble calls trouble_begin (core.h), and
 * trouble_end when the cause is gone. `loncctl status`, STATUS=, the page and the metrics show the
 * list, which has at most one entry of each kind.
 */
#ifndef LONC_KEEPER_CORE_TROUBLES_H
#define LONC_KEEPER_CORE_TROUBLES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "keeper/core/json_writer.h"

enum trouble {
    TROUBLE_NONE,
    TROUBLE_CONFIG,        /* what is on disk is not what is in force, or nothing is in force */
    TROUBLE_FOLDER,        /* the deferred folder is missing, unreadable or read-only */
    TROUBLE_DEFERRED,      /* deferred files cannot be read or removed at the moment */
    TROUBLE_PERM_LOG,      /* lonnet.perm.log cannot be written */
    TROUBLE_WATCH,         /* the kernel has no inotify instance or watch left */
    TROUBLE_LOG_FILE,      /* log_file cannot be written */
    TROUBLE_PID_FILE,      /* lonc.pid cannot be written */
    TROUBLE_TLS,           /* files for ssl exist, and ssl cannot be used */
    TROUBLE_CERTIFICATE,   /* ssl works, but a file of it is of no use, or expires soon */
    TROUBLE_SOCKETS,       /* a socket's path is gone, or is somebody else's */
    TROUBLE_QUEUE_LIMIT,   /* queue_total is met */
    TROUBLE_MEMORY,        /* buffers_limit is met */
    TROUBLE_DESCRIPTORS,   /* too few descriptors are left */
    TROUBLE_CONTROL_LIMIT, /* the control socket has no place left */
    TROUBLE_CHANNEL_LIMIT, /* the private channel has no place left */
    TROUBLE_COUNT
};

/* What was found, with path and reason; more is cut. */
#define TROUBLE_DETAIL_SIZE 512

/* All of them. Zeroed, the list is empty. */
struct troubles {
    unsigned count; /* present now */
    struct {
        bool present;
        uint64_t since; /* when it began, in microseconds of the monotonic clock */
        char detail[TROUBLE_DETAIL_SIZE];
    } of[TROUBLE_COUNT];
};

/*
 * Lists a trouble with its detail, or changes the detail; logged, unless it is listed with this
 * detail already. `now` is the monotonic clock. Returns whether something has changed.
 */
MUST_CHECK bool troubles_add(struct troubles *troubles, enum trouble kind, const char *detail,
                             uint64_t now);

/* Takes it off the list; logged. Returns whether it was there. */
MUST_CHECK bool troubles_remove(struct troubles *troubles, enum trouble kind, uint64_t now);

/* One word for programs, as "perm-log". */
const char *trouble_word(enum trouble kind);

/*
 * Writes two members: `troubles`, an array of objects (trouble, detail, for in seconds, cost,
 * remedy), and `trouble_kinds`, the words of all kinds, for programs that also count those that are
 * not there.
 */
void troubles_write(const struct troubles *troubles, uint64_t now, struct json_writer *writer);

/* "; troubles: config, tls" into `line`, or an empty text if there is none. */
void troubles_line(const struct troubles *troubles, char *line, size_t size);

#endif
