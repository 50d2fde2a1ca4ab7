/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How lonc-shim ends.
 */
#ifndef LONC_SHIM_EXIT_H
#define LONC_SHIM_EXIT_H

/* The exit codes are a contract with units and inetd; the names are those of sysexits.h. */
enum shim_exit {
    SHIM_DONE = 0,   /* everything was handed over; with listeners: nobody came for --linger */
    SHIM_USAGE = 64, /* a wrong option, or descriptor 0 is no stream socket */
    SHIM_UNREACHABLE = 69, /* no keeper at the channel: the client got con_lost */
    SHIM_SYSTEM = 71,      /* a system call failed that never should */
    SHIM_UNANSWERED = 75,  /* the keeper did not acknowledge in time: the client got con_lost */
};

/*
 * Writes "lonc-shim: WHAT" to standard error and exits; with ": " and the text of the errno if
 * `error`, a negative one, is not 0.
 */
_Noreturn void exit_with(enum shim_exit code, const char *what, int error);

#endif
