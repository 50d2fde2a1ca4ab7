/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of lonc-shim share: how it was asked to serve, its exit codes, its clock.
 */
#ifndef LONC_SHIM_SHIM_H
#define LONC_SHIM_SHIM_H

#include <stdint.h>

/* The exit codes are a contract with units and inetd; the names are those of sysexits.h. */
enum shim_exit {
    SHIM_DONE = 0,   /* everything was handed over; shared: nobody came for --linger seconds */
    SHIM_USAGE = 64, /* a wrong option, or descriptor 0 is no stream socket */
    SHIM_UNREACHABLE = 69, /* no keeper at the channel: the client got con_lost */
    SHIM_SYSTEM = 71,      /* a system call failed that never should */
    SHIM_UNANSWERED = 75,  /* the keeper did not acknowledge in time: the client got con_lost */
};

struct shim_options {
    const char *path; /* of the private channel */
    uint64_t linger;  /* microseconds, as all times here */
    uint64_t ack_timeout;
};

/* For poll(2): how long it is until then, rounded up; 0 when it is over. */
int shim_milliseconds_until(uint64_t when);

/* Says so on standard error, and exits. */
_Noreturn void shim_fail(enum shim_exit code, const char *what, const char *value);

/* options.c: the defaults, and what the command line says; exits where that is wrong. */
void options_parse(struct shim_options *options, int argc, char **argv);

#endif
