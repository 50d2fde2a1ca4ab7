/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keeper's numbers for Prometheus and who speaks its language: `loncctl metrics`.
 */
#ifndef LONC_KEEPER_LONCCTL_METRICS_METRICS_H
#define LONC_KEEPER_LONCCTL_METRICS_METRICS_H

/*
 * The verb; argv[0] is "metrics". Asks the keeper at the control socket for `status`, `hosts` and
 * `histograms` and writes them as OpenMetrics 1.0 to standard output.
 *
 *   --text   in Prometheus's older text format, which the text-file collector of its node exporter
 *            reads
 *   --http   answers one HTTP request for /metrics on descriptor 0, a socket; a client that does
 * not ask for OpenMetrics gets the older format
 *
 * Returns loncctl's exit code. Without a keeper it ends with LONCCTL_UNREACHABLE; the HTTP answer
 * is `lonc_up 0` then, so that who watches can tell a keeper that is away from a machine that is.
 */
int loncctl_metrics(const char *socket, int argc, char **argv);

#endif
