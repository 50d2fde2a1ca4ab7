/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `loncctl top`: all hosts, live, on the whole screen.
 */
#ifndef LONC_KEEPER_LONCCTL_TOP_TOP_H
#define LONC_KEEPER_LONCCTL_TOP_TOP_H

/* Runs until somebody quits; survives the keeper. The exit code of loncctl. */
int loncctl_top(const char *socket, int argc, char **argv);

#endif
