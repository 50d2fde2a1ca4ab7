/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Paths that keeper.conf and loncapa.conf lead to, for verbs that work without a keeper. Mistakes
 * in these files are printed on standard error.
 *
 * `config` is the keeper.conf to read, or NULL for the usual one, which need not exist.
 */
#ifndef LONC_KEEPER_LONCCTL_CORE_CONFIGURED_PATHS_H
#define LONC_KEEPER_LONCCTL_CORE_CONFIGURED_PATHS_H

/* Returns the folder of the deferred queue, which the caller frees, or NULL if the configuration,
 * hosts.tab included, is not valid. */
char *configured_deferred_folder(const char *config);

/* Returns <lonDocRoot>/lon-status/lonc.html, which the caller frees, or NULL if a file is not
 * valid. hosts.tab is not read. */
char *configured_page(const char *config);

#endif
