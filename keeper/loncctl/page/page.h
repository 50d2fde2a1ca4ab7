/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The status page, for a browser: `loncctl page`.
 */
#ifndef LONC_KEEPER_LONCCTL_PAGE_PAGE_H
#define LONC_KEEPER_LONCCTL_PAGE_PAGE_H

/*
 * The verb; argv[0] is "page". Asks the keeper at the control socket for `status`, `hosts`,
 * `history` and `queue`, and replaces the page in one step, so that nobody ever reads half of it.
 *
 *   PATH            where the page is; without it, <lonDocRoot>/lon-status/lonc.html, beside
 *                   loncstatus.txt (lonc-protocol(7) section 6)
 *   --config FILE   the keeper.conf that leads to lonDocRoot (/etc/lonc/keeper.conf)
 *
 * Returns loncctl's exit code. That no keeper answers is no failure: the page says so. LONCCTL_NO
 * when the page cannot be written, or a configuration that is needed is wrong.
 */
int loncctl_page(const char *socket, int argc, char **argv);

#endif
