/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verb `page`: the status page for a browser.
 */
#ifndef LONC_KEEPER_LONCCTL_PAGE_PAGE_H
#define LONC_KEEPER_LONCCTL_PAGE_PAGE_H

#include "common/options.h"

/* The verb's own options. */
extern const struct command_line page_command_line;

/*
 * Carries the verb out; argv[0] is "page". Asks the keeper for `status`, `hosts` and `history`,
 * reads the deferred queue, and replaces the page as a whole, so that nobody reads half of it.
 *
 *   PATH            where to write the page; by default <lonDocRoot>/lon-status/lonc.html, beside
 *                   loncstatus.txt (lonc-protocol(7) section 6)
 *   --config FILE   the keeper.conf that leads to lonDocRoot
 *
 * Returns loncctl's exit code. Without a keeper the page says so, which is no failure. LONCCTL_NO
 * means that the page cannot be written, or that a configuration file is not valid.
 */
int loncctl_page(const char *socket, int argc, char **argv);

#endif
