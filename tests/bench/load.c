/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lonnet-load: a load generator that behaves like many lonnet clients, for scenarios and benches.
 * Each request carries a payload of its own, and its reply must be exactly that payload, so a reply
 * that goes to the wrong client, comes twice or is cut off is always found. It checks replies only;
 * what was executed, the stand-in lond knows.
 *
 * `lonnet-load --help` is its manual; this file has that, the command line and the report. One
 * process, one thread, one epoll.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>

#include "tests/bench/load.h"

static const char manual[] =
    "lonnet-load: many lonnet clients at once, whose replies are checked\n"
    "\n"
    "  --socket PATH           where to connect; repeatable: requests take turns\n"
    "  --tcp ADDRESS:PORT      instead: directly to a lond, with a handshake; implies --kept\n"
    "  --handshake-own ID      with --tcp: our lonHostID; insecure mode never asks for it\n"
    "  --handshake-remote ID   the host that `sethost:` names; with --socket, a handshake on\n"
    "                          each connection, for relays that leave that to clients\n"
    "  --clients N             how many at once; default 1\n"
    "  --requests TOTAL        of all clients together; or\n"
    "  --seconds S             begin requests for that long; S may have decimals\n"
    "  --kept                  keep connections; otherwise each request connects and closes\n"
    "  --warm                  each client asks once before the numbers begin, so that with "
    "--kept\n"
    "                          everybody is connected; \"warm\" on standard error says so\n"
    "  --pipeline K            up to K requests in flight on a connection; implies --kept\n"
    "  --size BYTES            pad the payload to that many bytes\n"
    "  --rate R                begin R requests a second, replies or not (open loop); then\n"
    "                          latency counts from when a request should have begun\n"
    "  --command TEXT          the request; %u in it is the payload; default echo:%u\n"
    "  --expect TEXT           the reply; %u in it is the payload; default %u with the default\n"
    "                          command, otherwise any line\n"
    "  --check                 the same as --expect %u\n"
    "  --json                  the numbers as one JSON line on standard output, the text on\n"
    "                          standard error\n"
    "  --timeout S             gives up after that; default 60, or S + 60 with --seconds\n"
    "\n"
    "The payload is <client>-<serial>-<padding>. A request ends in exactly one of\n"
    "  ok            the reply was right\n"
    "  con_lost      the reply was con_lost\n"
    "  wrong         the reply was another one, or more came than one reply\n"
    "  empty         the connection ended before the reply\n"
    "  cut           the connection ended in the middle of the reply\n"
    "  refused       connect failed: nobody listens\n"
    "  unanswered    --timeout came first\n"
    "backlog_full counts connects that were repeated because the backlog was full (EAGAIN).\n"
    "Latency, in microseconds, is that of ok requests, including the connect; its error is below 1 "
    "%.\n"
    "Exit status: 0 if all were ok (and there was one), 1 if not, 2 for a wrong command line,\n"
    "or when --tcp cannot be reached at all.\n";

struct options options = {.clients = 1, .pipeline = 1};
struct results results;

static const char *const result_names[RESULT_COUNT] = {
    [RESULT_OK] = "ok",
    [RESULT_CON_LOST] = "con_lost",
    [RESULT_WRONG] = "wrong",
    [RESULT_EMPTY] = "empty",
    [RESULT_CUT] = "cut",
    [RESULT_REFUSED] = "refused",
    [RESULT_UNANSWERED] = "unanswered",
};

void load_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("lonnet-load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

uint64_t load_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

/* --- The report --- */

static const struct {
    const char *name;
    double share;
} shown[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

#define SHOWN_COUNT (sizeof(shown) / sizeof(shown[0]))

static void report_text(FILE *to)
{
    fprintf(to, "%lu requests in %.3f s: %.0f ok a second\n", results.begun, results.seconds,
            (double)results.of[RESULT_OK] / results.seconds);
    for (size_t i = 0; i < RESULT_COUNT; i++)
        fprintf(to, "%s %lu, ", result_names[i], results.of[i]);
    fprintf(to, "connects %lu, backlog_full %lu\nlatency in us:", results.connects,
            results.backlog_full);
    for (size_t i = 0; i < SHOWN_COUNT; i++)
        fprintf(to, " %s %.0f,", shown[i].name, latency_percentile(shown[i].share));
    fprintf(to, " max %.0f\n", latency_max());
}

static void report_json(void)
{
    printf("{\"requests\":%lu,\"seconds\":%.6f,\"rate\":%.1f", results.begun, results.seconds,
           (double)results.of[RESULT_OK] / results.seconds);
    for (size_t i = 0; i < RESULT_COUNT; i++)
        printf(",\"%s\":%lu", result_names[i], results.of[i]);
    printf(",\"connects\":%lu,\"backlog_full\":%lu", results.connects, results.backlog_full);
    for (size_t i = 0; i < SHOWN_COUNT; i++)
        printf(",\"%s\":%.1f", shown[i].name, latency_percentile(shown[i].share));
    printf(",\"max\":%.1f}\n", latency_max());
}

/* --- The command line --- */

static const struct option known[] = {{"socket", required_argument, NULL, 's'},
                                      {"tcp", required_argument, NULL, 't'},
                                      {"handshake-own", required_argument, NULL, 'o'},
                                      {"handshake-remote", required_argument, NULL, 'r'},
                                      {"clients", required_argument, NULL, 'c'},
                                      {"requests", required_argument, NULL, 'n'},
                                      {"seconds", required_argument, NULL, 'd'},
                                      {"kept", no_argument, NULL, 'k'},
                                      {"warm", no_argument, NULL, 'w'},
                                      {"pipeline", required_argument, NULL, 'p'},
                                      {"size", required_argument, NULL, 'b'},
                                      {"rate", required_argument, NULL, 'R'},
                                      {"command", required_argument, NULL, 'C'},
                                      {"expect", required_argument, NULL, 'e'},
                                      {"check", no_argument, NULL, 'u'},
                                      {"json", no_argument, NULL, 'j'},
                                      {"timeout", required_argument, NULL, 'T'},
                                      {"help", no_argument, NULL, 'h'},
                                      {NULL, 0, NULL, 0}};

static uint64_t number(uint64_t least, uint64_t most)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(optarg, &end, 10);
    if (errno != 0 || *end != '\0' || *optarg < '0' || *optarg > '9' || value < least ||
        value > most)
        load_fail("%s: expected a number from %lu to %lu", optarg, least, most);
    return value;
}

static uint64_t duration(void)
{
    char *end;
    double seconds = strtod(optarg, &end);

    if (end == optarg || *end != '\0' || !(seconds >= 0.001 && seconds <= 86400))
        load_fail("%s: expected seconds, 0.001 to 86400", optarg);
    return (uint64_t)(seconds * (double)SECOND);
}

static void add_socket(const char *path)
{
    if (options.socket_count == SOCKETS_MAX)
        load_fail("more than %d --socket", SOCKETS_MAX);
    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        load_fail("--socket %s: the path is too long", path);
    options.sockets[options.socket_count++] = path;
}

static void take_number(int option)
{
    switch (option) {
    case 'c':
        options.clients = number(1, 99999);
        break;
    case 'n':
        options.requests = number(1, 9999999999);
        break;
    case 'd':
        options.duration = duration();
        break;
    case 'p':
        options.pipeline = number(1, 100000);
        options.kept = true;
        break;
    case 'b':
        options.size = number(0, 1u << 30);
        break;
    case 'R':
        options.rate = number(1, 10000000);
        break;
    case 'T':
        options.timeout = number(1, 86400);
        break;
    default:
        load_fail("see --help");
    }
}

static void take_option(int option)
{
    switch (option) {
    case 's':
        add_socket(optarg);
        break;
    case 't':
        options.tcp = optarg;
        options.kept = true;
        break;
    case 'o':
        options.own = optarg;
        break;
    case 'r':
        options.remote = optarg;
        break;
    case 'k':
        options.kept = true;
        break;
    case 'w':
        options.warm = true;
        break;
    case 'C':
        options.command = optarg;
        break;
    case 'e':
        options.expect = optarg;
        break;
    case 'u':
        options.expect = "%u";
        break;
    case 'j':
        options.json = true;
        break;
    case 'h':
        fputs(manual, stdout);
        exit(0);
    default:
        take_number(option);
    }
}

static void read_options(int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
        take_option(option);
    if (optind < argc)
        load_fail("%s: not an option; see --help", argv[optind]);
    if ((options.socket_count > 0) == (options.tcp != NULL))
        load_fail("either --socket or --tcp; see --help");
    if (options.tcp != NULL && (options.remote == NULL || strchr(options.tcp, ':') == NULL))
        load_fail("--tcp ADDRESS:PORT needs --handshake-remote");
    if ((options.requests > 0) == (options.duration > 0))
        load_fail("either --requests or --seconds; see --help");
    if (options.timeout == 0)
        options.timeout = 60 + options.duration / SECOND;
    if (options.command == NULL && options.expect == NULL)
        options.expect = "%u";
    if (options.command == NULL)
        options.command = "echo:%u";
}

static void raise_limits(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    prctl(PR_SET_TIMERSLACK, 1000ul); /* nanoseconds: for --rate */
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    raise_limits();
    client_run();
    report_text(options.json ? stderr : stdout);
    if (options.json)
        report_json();
    /* A right answer may be followed by bytes that answer no request. */
    return results.of[RESULT_OK] == results.begun && results.begun > 0 &&
                   results.of[RESULT_WRONG] == 0
               ? 0
               : 1;
}
