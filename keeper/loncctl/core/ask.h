/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * loncctl's way to the keeper: one line there, one JSON value back (ask), or the same in steps for
 * who has other things to watch meanwhile (asking_*), or a stream of values (follow).
 */
#ifndef LONC_KEEPER_LONCCTL_CORE_ASK_H
#define LONC_KEEPER_LONCCTL_CORE_ASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum loncctl_exit {
    LONCCTL_DONE = 0,
    LONCCTL_NO = 1,
    LONCCTL_USAGE = 2,
    LONCCTL_UNREACHABLE = 3,
    LONCCTL_WARNED = 4 /* done, and something wants looking at */
};

/* Says "loncctl: WHAT: WHY" on standard error and ends. */
_Noreturn void fail(enum loncctl_exit code, const char *what, const char *why);

/* The pointer as it is; without memory (NULL) the program ends. */
void *must(void *pointer);

/*
 * The memory that jansson gets (json_set_alloc_funcs): it is not told that there is none, since its
 * reader then goes on with a text that lacks a letter, and its writer with half a value.
 */
void *must_malloc(size_t size);

/* Sends the line, LF included, to the control socket at `path`, and reads the value, which the
 * caller owns. What goes wrong ends the program with a sentence and the exit code for it. */
json_t *ask(const char *path, const char *line);

/* The same for who goes on without a keeper: NULL when none answers, or has no place left, and then
 * *why says in words why not; the text is not the caller's to free. */
json_t *ask_or_why(const char *path, const char *line, const char **why);

/* The keeper's sentence where the value is that it has no place left for us; else NULL. The text
 * stays until the next call. */
const char *turned_away(const json_t *value);

/* A question under way. */
struct asking {
    int fd; /* to be watched for reading; -1: there is none under way */
    char *bytes;
    size_t length, size;
};

/*
 * Connects and sends the line, which take `patience` seconds each at most; with systemd listening,
 * no keeper need run yet. Returns 0, or a negative errno and nothing to end.
 */
int asking_start(struct asking *asking, const char *path, const char *line, unsigned patience);

/* Takes what has come, without waiting. 1 at the end of the stream, 0 when there is more to come,
 * or a negative errno. */
int asking_receive(struct asking *asking);

/* The value, which the caller owns, when all of it has come; NULL when it is no JSON. */
json_t *asking_value(const struct asking *asking);

/* Drops it, at any stage; again does nothing. */
void asking_end(struct asking *asking);

/*
 * Asks, and hands each line of the answer over, LF cut off, as it comes, until `each` returns
 * false, until SIGINT or SIGTERM, or until nobody reads standard output any more. When the keeper
 * ends it, the program ends as unreachable.
 */
void follow(const char *path, const char *line, bool (*each)(void *argument, const char *line),
            void *argument);

#endif
