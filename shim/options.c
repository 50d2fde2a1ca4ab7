/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The command line of lonc-shim. Parsing it from the table of common/options.h costs the program
 * 4 kB and no measurable time at its start, compared with a getopt loop of its own.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/options.h"
#include "shim/exit.h"
#include "shim/options.h"

static const struct option_row rows[] = {
    {"channel", 'c', "PATH", "the keeper's private channel (/run/lonc/keeper.sock)"},
    {"linger", 'l', "SECONDS", "serving a listener: leave after this long without a client (10)"},
    {"ack-timeout", 'a', "SECONDS",
     "answer con_lost if the keeper has not taken a client after this long (10)"},
    {"version", OPTION_VERSION, NULL, "print the version"},
    {"help", OPTION_HELP, NULL, "print this help"},
};

static const char *const notes[] = {
    "Descriptor 0 is a connection (inetd nowait) or a listener (inetd wait); or listeners come "
    "from LISTEN_FDS.",
    "Exit codes: 0 handed over, 64 usage, 69 no keeper, 71 system, 75 no answer.",
    NULL,
};

static const struct command_line command_line = {
    .program = "lonc-shim",
    OPTION_ROWS(rows),
    .misuse = SHIM_USAGE,
    .purpose = "lonc-shim hands client connections to lonc-keeper.",
    .notes = notes,
};

/* "10" or "0.05": seconds, up to a day. Returns microseconds. */
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

struct shim_options options_parse(int argc, char **argv)
{
    struct options parser;
    int option;
    struct shim_options options = {
        .path = "/run/lonc/keeper.sock",
        .linger = 10000000,
        .ack_timeout = 10000000,
    };
    options_start(&parser, &command_line, argc, argv);
    while ((option = options_next(&parser)) != OPTION_END) {
        switch (option) {
        case 'c':
            options.path = parser.value;
            break;
        case 'l':
            options.linger = parse_seconds("--linger", parser.value);
            break;
        case 'a':
            options.ack_timeout = parse_seconds("--ack-timeout", parser.value);
            break;
        }
    }
    options_expect_no_words(&parser);
    return options;
}
