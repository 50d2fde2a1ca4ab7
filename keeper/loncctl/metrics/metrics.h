/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verb `metrics`: the keeper's numbers for Prometheus, and for others that read its formats.
 */
#ifndef LONC_KEEPER_LONCCTL_METRICS_METRICS_H
#define LONC_KEEPER_LONCCTL_METRICS_METRICS_H

#include "common/options.h"

/* The verb's own options. */
extern const struct command_line metrics_command_line;

/*
 * Carries the verb out; argv[0] is "metrics". Asks the keeper for `status`, `hosts` and
 * `histograms` and prints them as OpenMetrics 1.0.
 *
 *   --text   print Prometheus's older text format, which the text-file collector of its node
 *            exporter reads
 *   --http   answer HTTP requests for /metrics on descriptor 0: one on a connected socket, those of
 *            all clients on a listening one. A client that does not ask for OpenMetrics gets the
 *            older format.
 *
 * Returns loncctl's exit code. Without a keeper it fails with LONCCTL_UNREACHABLE, but the answer
 * to HTTP is `lonc_up 0`: so a scraper can tell a keeper that is away from a machine that is.
 */
int loncctl_metrics(const char *socket, int argc, char **argv);

#endif
