/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation with one client: one line, one answer, as often as the client likes
 * (lonc-protocol(7) section 1). For clients.c alone; the rest of the keeper sees clients.h.
 *
 *             a whole line                  answered, all of it sent
 *     READING ------------> WAITING ------------------------------> READING
 *                              |                                       ^
 *                              | answered, the socket takes no more    | the rest is sent
 *                              +------------> WRITING -----------------+
 *
 * From each state the way leads to ENDED: the client has left or run out of time, or it has been
 * told all that it will be told. Then the socket is closed, and the struct lives on until no line
 * of the client is under way any more.
 */
#ifndef LONC_KEEPER_CLIENT_CLIENT_H
#define LONC_KEEPER_CLIENT_CLIENT_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keeper/client/answer_writer.h"
#include "keeper/client/dispatch.h"
#include "keeper/client/line_reader.h"
#include "keeper/core/core.h"
#include "keeper/core/json_writer.h"

enum client_state {
    CLIENT_READING, /* wants a line */
    CLIENT_WAITING, /* its line is with whoever answers it */
    CLIENT_WRITING, /* its answer is more than the socket takes */
    CLIENT_ENDED,   /* its socket is closed */
};

struct client;

/* What all conversations share. Kept by clients.c. */
struct client_group {
    struct core *core;
    struct dispatcher dispatcher;
    /* The time-outs of a line, an answer that is not read, silence, and a line during a stop. */
    struct deadline_queue line_deadlines, write_deadlines, idle_deadlines, drain_deadlines;
    void (*ended)(struct client *client); /* its memory may be used for another client */
};

struct client {
    struct client_group *group;
    struct watch watch;
    int fd; /* -1 once it is closed */
    enum client_state state;
    bool running;  /* inside client_run, which finds a change of state by itself */
    bool answered; /* has had an answer */
    bool full;     /* its socket took no more, so EPOLLOUT is watched for */
    bool shut;     /* the keeper stops, and takes nothing that the client writes from now on */
    struct line_reader reader;
    struct dispatch dispatch;
    struct answer_writer writer;
    const char *refusal; /* the answer to the line that the reader drops, once it has ended */
    struct bulk bulk;    /* waits here when more is to be done than fits into a portion */
    struct deadline deadline;
    uint64_t began;           /* when it was handed over */
    TAILQ_ENTRY(client) link; /* clients.c's */
};

/* Sets up the time-outs; and takes them out of the loop when no client is left. */
void client_group_open(struct client_group *group, struct core *core);
void client_group_close(struct client_group *group);

/*
 * Begins a conversation on a socket, which is taken over; client_run serves what is already there.
 * `client` is zeroed memory, or has ended before: then the memory of its reader is used again.
 */
void client_begin(struct client *client, struct client_group *group, int fd);

/* Goes on with a client that is reading, since what it may do has changed. It may end thereby. */
void client_run(struct client *client);

/* Closes the socket. `ended` follows as soon as no line is under way, perhaps at once. */
void client_end(struct client *client);

/* Frees a client that was never begun, or has ended. */
void client_free(struct client *client);

/* For `loncctl clients`: an object. */
void client_write(const struct client *client, struct json_writer *writer);

#endif
