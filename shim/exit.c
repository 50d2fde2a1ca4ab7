/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See exit.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/exit.h"

_Noreturn void exit_with(enum shim_exit code, const char *what, int error)
{
    fprintf(stderr, "lonc-shim: %s%s%s\n", what, error != 0 ? ": " : "",
            error != 0 ? strerror(-error) : "");
    exit(code);
}
