/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How loncctl ends when it cannot go on. It is a program that does one thing and exits, so an error
 * that leaves nothing to do is not handed up from function to function: the function that meets it
 * says what is wrong and exits. Lack of memory is such an error everywhere. What a caller can
 * handle is returned as everywhere else, 0 or a negative errno.
 */
#ifndef LONC_KEEPER_LONCCTL_CORE_FAILURE_H
#define LONC_KEEPER_LONCCTL_CORE_FAILURE_H

#include <stddef.h>

#include "common/attributes.h"

enum loncctl_exit {
    LONCCTL_DONE = 0,
    LONCCTL_NO = 1, /* the keeper refused, or something failed on this side */
    LONCCTL_USAGE = 2,
    LONCCTL_UNREACHABLE = 3, /* no keeper answers */
    LONCCTL_WARNED = 4       /* done, but something needs attention */
};

/* Prints "loncctl: WHAT: WHY" on standard error and exits. */
_Noreturn void fail(enum loncctl_exit code, const char *what, const char *why);

/* Returns the pointer, which an allocation has returned; if it is NULL, fails for lack of memory.
 */
MUST_CHECK void *must(void *pointer);

/*
 * malloc() that never returns NULL, for json_set_alloc_funcs(). Jansson does not report every lack
 * of memory: its parser goes on with a text that lacks a character, and its writer with half of a
 * value.
 */
MUST_CHECK void *must_malloc(size_t size);

#endif
