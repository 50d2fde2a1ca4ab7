/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The list of what is wrong with the keeper itself, as opposed to one of its hosts
 * (keeper/README.md rule 16). Whoever notices a trouble begins it, and ends it when its cause is
 * gone; the list is shown by `loncctl status`, STATUS=, the page and the metrics. It holds at most
 * one entry of each kind.
 */
#ifndef LONC_KEEPER_CORE_TROUBLES_H
#define LONC_KEEPER_CORE_TROUBLES_H

#include <stdbool.h>
#include <stdint.h>

#include "keeper/core/json_writer.h"

struct core;

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

/* All of them, in the core. Zeroed is empty. */
struct troubles {
    unsigned count; /* present now */
    struct {
        bool present;
        uint64_t since; /* loop.now when it began */
        char detail[TROUBLE_DETAIL_SIZE];
    } of[TROUBLE_COUNT];
};

/*
 * The trouble is there; `format` says what was found: which path, and why. Cheap to repeat: it is
 * logged when it begins and when its detail becomes another, and `since` stays.
 */
__attribute__((format(printf, 3, 4))) void trouble_begin(struct core *core, enum trouble kind,
                                                         const char *format, ...);

/* Its cause is gone; logged if the trouble was there. */
void trouble_end(struct core *core, enum trouble kind);

bool trouble_is_present(const struct core *core, enum trouble kind);

/* One word for programs, as "perm-log". */
const char *trouble_word(enum trouble kind);

/*
 * Two members: `troubles`, an array of objects (trouble, detail, for in seconds, cost, remedy), and
 * `trouble_kinds`, the words of all kinds, for programs that count those that are not there too.
 */
void troubles_write(const struct core *core, struct json_writer *writer);

/* "; troubles: config, tls" into `line`, or an empty text when there is none. */
void troubles_line(const struct core *core, char *line, size_t size);

#endif
