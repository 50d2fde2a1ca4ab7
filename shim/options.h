/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The command line of lonc-shim.
 */
#ifndef LONC_SHIM_OPTIONS_H
#define LONC_SHIM_OPTIONS_H

#include <stdint.h>

struct shim_options {
    const char *path;     /* of the private channel */
    uint64_t linger;      /* microseconds */
    uint64_t ack_timeout; /* microseconds */
};

/* The defaults, and what the command line says. Exits if that is wrong, or asks for help. */
struct shim_options options_parse(int argc, char **argv);

#endif
