/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Exit codes, and failing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/loncctl/core/failure.h"

_Noreturn void fail(enum loncctl_exit code, const char *what, const char *why)
{
    /* What was printed before comes before the message if both go to the same file. */
    fflush(stdout);
    fprintf(stderr, "loncctl: %s: %s\n", what, why);
    exit(code);
}

void *must(void *pointer)
{
    if (pointer == NULL)
        fail(LONCCTL_NO, "cannot go on", strerror(ENOMEM));
    return pointer;
}

void *must_malloc(size_t size)
{
    return must(malloc(size));
}
