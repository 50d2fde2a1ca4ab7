/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The command line of lonc-shim, and what it says to who types one.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "shim/shim.h"

/* "10" or "0.05": seconds, up to a day, as microseconds. */
static uint64_t parse_seconds(const char *option, const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= 86400)) {
        fprintf(stderr, "lonc-shim: %s: \"%s\": expected seconds from 0 to 86400\n", option, text);
        exit(SHIM_USAGE);
    }
    return (uint64_t)(seconds * 1e6);
}

static const char help_text[] =
    "lonc-shim hands client connections to lonc-keeper.\n"
    "\n"
    "usage: lonc-shim [--channel PATH] [--linger SECONDS] [--ack-timeout SECONDS]\n"
    "\n"
    "  --channel PATH         the keeper's private channel (/run/lonc/keeper.sock)\n"
    "  --linger SECONDS       serving a listener: leave after this long without a\n"
    "                         client (10)\n"
    "  --ack-timeout SECONDS  answer con_lost when the keeper takes a client no\n"
    "                         sooner (10)\n"
    "\n"
    "Descriptor 0 is a connection (inetd nowait) or a listener (inetd wait); or\n"
    "listeners come from LISTEN_FDS.\n"
    "\n"
    "Exit codes: 0 handed over, 64 usage, 69 no keeper, 71 system, 75 no answer.\n";

void options_parse(struct shim_options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"channel", required_argument, NULL, 'c'},
        {"linger", required_argument, NULL, 'l'},
        {"ack-timeout", required_argument, NULL, 'a'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    *options = (struct shim_options){
        .path = "/run/lonc/keeper.sock",
        .linger = 10000000,
        .ack_timeout = 10000000,
    };
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->path = optarg;
            break;
        case 'l':
            options->linger = parse_seconds("--linger", optarg);
            break;
        case 'a':
            options->ack_timeout = parse_seconds("--ack-timeout", optarg);
            break;
        case 'V':
            puts("lonc-shim " LONC_VERSION);
            exit(SHIM_DONE);
        case 'h':
            fputs(help_text, stdout);
            exit(SHIM_DONE);
        default:
            exit(SHIM_USAGE);
        }
    }
    if (optind < argc)
        shim_fail(SHIM_USAGE, "unexpected argument: ", argv[optind]);
}
