/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The settings of the stand-in lond: its command line, whose help is also its manual, and the few
 * settings that a test may change at run time.
 */
#include <getopt.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lond/lond.h"

#define DAY 86400

struct settings lond = {
    .drip = 3,
    .backlog = 4096,
    .version = "1.421",
    .ready_fd = -1,
    .lifetime = 3600,
    .offers = {[MODE_INSECURE] = true},
    .tls_least = TLS1_VERSION,
    .tls_most = TLS1_3_VERSION,
};

static const char manual[] =
    "stand-in-lond: a stand-in for LON-CAPA's lond, for tests\n"
    "\n"
    "  --listen ADDRESS:PORT   repeatable; port 0: any, see --ready\n"
    "  --ready FILE            gets one ADDRESS:PORT line for each --listen, once it listens\n"
    "  --ready-fd N            the same lines to descriptor N, which is then closed\n"
    "  --id LONHOSTID          whom `sethost:` may name; repeatable; none: anybody\n"
    "  --peer LONHOSTID        the lonHostID of the lonc server; without it there is no `enc:`\n"
    "  --auth MODES            which of insecure,ssl,local it offers; default insecure. A mode "
    "that\n"
    "                          is not offered is answered as insecure, or else with `refused`\n"
    "  --ca FILE               ssl: whose certificates it takes; lonc must show one\n"
    "  --certificate FILE      ssl: its own and the key to it, in one file; none: it has none, "
    "and\n"
    "                          offers anonymous TLS 1.2\n"
    "  --tls VERSIONS          ssl: 1.0, 1.1, 1.2, 1.3 or a range such as 1.2-1.3; default "
    "1.0-1.3\n"
    "  --build-key TEXT        the answer to `ekey`; default: another for each connection\n"
    "  --lond-version 1.NNN    default 1.421\n"
    "  --version-answer TEXT   the whole answer to `version`; none: made of --lond-version\n"
    "  --challenge TEXT        the answer to `init`; default: digits, others for each connection\n"
    "  --refuse COMMAND        requests with this command (up to a colon) are answered `refused`\n"
    "                          instead; COMMAND,times=N: N of them; none: no more\n"
    "  --control PATH          the control socket, see below\n"
    "  --counts FILE           where the counters go on SIGUSR1 and at the end (JSON)\n"
    "  --executions FILE       appends the beginning of each request as it is executed, a line\n"
    "                          each, so that it is known even if this is killed\n"
    "  --count-texts           count executions of ping, echo, bytes and size by text, too\n"
    "  --fault FAULT           repeatable, see below\n"
    "  --delay MS              every answer comes this much later\n"
    "  --drip MS               between the bytes of drip@STATE; default 3\n"
    "  --max-connections N     further ones are answered `refused` to `init` and closed\n"
    "  --backlog N             of listen(); default 4096\n"
    "  --lifetime SECONDS      then it exits 1; default 3600\n"
    "  --verbose               a line per event on standard error\n"
    "\n"
    "SIGTERM, SIGINT: exits 0. A wrong command line or a failed start: exits 2.\n"
    "\n"
    "Requests, each also as `sethost:<id>:<request>`; texts may hold every byte but LF:\n"
    "  ping                    pong:<id>\n"
    "  echo:<text>             <text>            bytes:<text> and reply:<text> likewise\n"
    "  size:<n>                n bytes, byte i being chr(33 + i % 94); at most 100 MiB\n"
    "  sleep:<ms>:<text>       <text>, ms later\n"
    "  drip:<ms>:<text>        <text>, a byte each ms\n"
    "  count:<key>             ok\n"
    "  enc:<n>:<hex>           what the request inside is answered, as enc:<n>:<hex>\n"
    "  encreply:<text>         <text>, as enc:<n>:<hex>\n"
    "  close, reset            closes unanswered, by FIN or by RST\n"
    "  silent                  nothing, and hears nothing more on this connection\n"
    "  noline                  bytes without end and without LF\n"
    "  half:<text>             the first half of <text>, then closes\n"
    "  stall:<text>            the first half of <text>, then nothing\n"
    "  two:<text>              two lines <text> at once\n"
    "  last:<text>             <text>, then closes\n"
    "  anything else           unknown_cmd\n"
    "A request counts as executed once its line is complete, whatever becomes of the answer.\n"
    "\n"
    "FAULT is, several with commas between:\n"
    "  KIND@STATE      strikes when lond should give the answer that lonc awaits in STATE. STATE:\n"
    "                  accept, Initialized, ChallengeReplied, ReadingVersionString, HostSet,\n"
    "                  ReceivingKey, Idle (right after the handshake), ReceivingReply (each\n"
    "                  request); of ssl also TLS (its own handshake, at lonc's first flight) and\n"
    "                  TLSKey (the key line through it). One KIND a STATE:\n"
    "    refuse        `refused`, then closes    silent     nothing, and hears nothing more\n"
    "    close         closes (FIN)              reset      closes (RST)\n"
    "    garbage       64 random bytes and LF, then on as if it had been the answer\n"
    "    noline        bytes without end and without LF\n"
    "    drip          the answer byte by byte   half       its first half, then closes\n"
    "    stall         its first half, then nothing\n"
    "    two           the answer twice          last       the answer, then closes\n"
    "    short         lacks its last character  long       has one more\n"
    "    bare          lacks its LF\n"
    "    none          mends this STATE          (of drip to bare none @accept and @Idle,\n"
    "                                            @TLS only half and stall: of lond's first "
    "flight)\n"
    "    alert         @TLS: a fatal alert       ticket     @TLSKey: a session ticket behind it\n"
    "    notify        @TLSKey: then close_notify, and on in clear text\n"
    "    farewell      @TLSKey: close_notify instead, then closes\n"
    "  times=N         the last named KIND@STATE strikes N times, then it is mended\n"
    "  no-accept       listens, but never accepts\n"
    "  no-extra-block  answers as enc: lack the extra block of lengths divisible by 8\n"
    "  keep-key-file   local: does not remove the key file\n"
    "  none            mends everything\n"
    "\n"
    "The control socket takes lines and answers each with one line:\n"
    "  counts          the counters as a JSON object\n"
    "  executed TEXT   how often the request TEXT was executed (deciphered, but with any\n"
    "                  `sethost:`); ping, echo, bytes and size only with --count-texts\n"
    "  distinct        how many different texts were executed\n"
    "  repeated        how many of them more than once\n"
    "  connections     how many TCP connections there are now\n"
    "  open            how many of them are authenticated\n"
    "  idle, busy      how many of these have no request, or have one\n"
    "  peak            most TCP connections at one time\n"
    "  attempts        when connections came (the last 1024), in ms since the start: a JSON array\n"
    "  close-idle, kill-busy, close-all [reset]  closes them (by RST); answers how many\n"
    "  tell-idle TEXT  writes the line TEXT to every idle connection, unasked; answers how many\n"
    "  fault [FAULT]   changes the faults; answers those in force\n"
    "  stop-listening, listen  connects are refused from now on; are taken again\n"
    "  addresses       ADDRESS:PORT of each --listen, blanks between\n"
    "  tls-failure     why TLS's handshake failed the last time\n"
    "  tls-client      the common name in the last verified client certificate\n"
    "  set NAME VALUE  delay, drip, max-connections, lond-version, version-answer, challenge,\n"
    "                  build-key, refuse, count-texts (0, 1), auth, ca, certificate, tls; the\n"
    "                  files are read again with each\n"
    "  reset           all counters to zero\n"
    "Errors are lines that start `error:`.\n";

enum {
    OPTION_LISTEN = 256,
    OPTION_READY,
    OPTION_READY_FD,
    OPTION_ID,
    OPTION_PEER,
    OPTION_CONTROL,
    OPTION_COUNTS,
    OPTION_COUNT_TEXTS,
    OPTION_EXECUTIONS,
    OPTION_FAULT,
    OPTION_BACKLOG,
    OPTION_LIFETIME,
    OPTION_VERBOSE,
    OPTION_HELP,
    OPTION_SETTING /* any that options_set knows */
};

static const struct option options[] = {
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"ready", required_argument, NULL, OPTION_READY},
    {"ready-fd", required_argument, NULL, OPTION_READY_FD},
    {"id", required_argument, NULL, OPTION_ID},
    {"peer", required_argument, NULL, OPTION_PEER},
    {"auth", required_argument, NULL, OPTION_SETTING},
    {"ca", required_argument, NULL, OPTION_SETTING},
    {"certificate", required_argument, NULL, OPTION_SETTING},
    {"tls", required_argument, NULL, OPTION_SETTING},
    {"build-key", required_argument, NULL, OPTION_SETTING},
    {"lond-version", required_argument, NULL, OPTION_SETTING},
    {"version-answer", required_argument, NULL, OPTION_SETTING},
    {"challenge", required_argument, NULL, OPTION_SETTING},
    {"refuse", required_argument, NULL, OPTION_SETTING},
    {"control", required_argument, NULL, OPTION_CONTROL},
    {"counts", required_argument, NULL, OPTION_COUNTS},
    {"count-texts", no_argument, NULL, OPTION_COUNT_TEXTS},
    {"executions", required_argument, NULL, OPTION_EXECUTIONS},
    {"fault", required_argument, NULL, OPTION_FAULT},
    {"delay", required_argument, NULL, OPTION_SETTING},
    {"drip", required_argument, NULL, OPTION_SETTING},
    {"max-connections", required_argument, NULL, OPTION_SETTING},
    {"backlog", required_argument, NULL, OPTION_BACKLOG},
    {"lifetime", required_argument, NULL, OPTION_LIFETIME},
    {"verbose", no_argument, NULL, OPTION_VERBOSE},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0}};

static bool set_text(char *to, size_t size, const char *value)
{
    if (strlen(value) >= size)
        return false;
    memcpy(to, value, strlen(value) + 1);
    return true;
}

static bool set_modes(const char *value)
{
    static const char *const names[] = {
        [MODE_INSECURE] = "insecure", [MODE_SSL] = "ssl", [MODE_LOCAL] = "local"};
    bool offers[MODE_COUNT] = {false};

    for (;;) {
        size_t length = strcspn(value, ","), mode = 0;

        while (mode < MODE_COUNT &&
               (strlen(names[mode]) != length || memcmp(names[mode], value, length) != 0))
            mode++;
        if (mode == MODE_COUNT)
            return false;
        offers[mode] = true;
        if (value[length] == '\0')
            break;
        value += length + 1;
    }
    memcpy(lond.offers, offers, sizeof(offers));
    return true;
}

/* `COMMAND` or `COMMAND,times=N`; `none`. */
static bool set_refused(const char *value)
{
    static const char times[] = ",times=";
    const char *comma = strstr(value, times);
    size_t length = comma != NULL ? (size_t)(comma - value) : strlen(value);
    uint64_t number = UINT64_MAX;

    if (length == 0 || length >= sizeof(lond.refused))
        return false;
    if (comma != NULL &&
        !parse_number(comma + strlen(times), strlen(comma + strlen(times)), UINT32_MAX, &number))
        return false;
    snprintf(lond.refused, sizeof(lond.refused), "%.*s", (int)length, value);
    lond.refusals = strcmp(value, "none") == 0 ? 0 : number;
    return true;
}

/* `none` is an empty text. */
static bool set_optional(char *to, size_t size, const char *value)
{
    return set_text(to, size, strcmp(value, "none") == 0 ? "" : value);
}

bool options_set(const char *name, const char *value)
{
    uint64_t number = 0;
    bool numeric = parse_number(value, strlen(value), DAY * 1000, &number);

    if (strcmp(name, "lond-version") == 0)
        return set_text(lond.version, sizeof(lond.version), value);
    if (strcmp(name, "build-key") == 0)
        return set_text(lond.build_key, sizeof(lond.build_key), value);
    if (strcmp(name, "auth") == 0)
        return set_modes(value);
    if (strcmp(name, "ca") == 0)
        return set_text(lond.authority, sizeof(lond.authority), value);
    if (strcmp(name, "certificate") == 0)
        return set_optional(lond.certificate, sizeof(lond.certificate), value);
    if (strcmp(name, "version-answer") == 0)
        return set_optional(lond.version_answer, sizeof(lond.version_answer), value);
    if (strcmp(name, "challenge") == 0)
        return set_optional(lond.challenge, sizeof(lond.challenge), value);
    if (strcmp(name, "refuse") == 0)
        return set_refused(value);
    if (strcmp(name, "tls") == 0)
        return tls_parse_versions(value, &lond.tls_least, &lond.tls_most);
    if (strcmp(name, "delay") == 0 && numeric)
        lond.delay = number;
    else if (strcmp(name, "drip") == 0 && numeric && number > 0)
        lond.drip = number;
    else if (strcmp(name, "max-connections") == 0 && numeric)
        lond.max_connections = number;
    else if (strcmp(name, "count-texts") == 0 && numeric && number <= 1)
        lond.count_texts = number == 1;
    else
        return false;
    return true;
}

static uint64_t number_of(const char *name, uint64_t most)
{
    uint64_t number;

    if (!parse_number(optarg, strlen(optarg), most, &number))
        fail("--%s %s: expected a number up to %lu", name, optarg, most);
    return number;
}

static void add_id(const char *id)
{
    if (lond.id_count == IDS_MAX)
        fail("more than %d --id", IDS_MAX);
    if (strlen(id) > 255)
        fail("--id: more than 255 characters");
    lond.ids[lond.id_count++] = id;
}

static void take_option(int option, const char *name)
{
    switch (option) {
    case OPTION_LISTEN:
        listener_add(optarg);
        break;
    case OPTION_READY:
        lond.ready_file = optarg;
        break;
    case OPTION_READY_FD:
        lond.ready_fd = (int)number_of(name, 65535);
        break;
    case OPTION_ID:
        add_id(optarg);
        break;
    case OPTION_PEER:
        lond.peer = optarg;
        break;
    case OPTION_CONTROL:
        lond.control = optarg;
        break;
    case OPTION_COUNTS:
        lond.counts_file = optarg;
        break;
    case OPTION_EXECUTIONS:
        counts_log_to(optarg);
        break;
    case OPTION_COUNT_TEXTS:
        lond.count_texts = true;
        break;
    case OPTION_FAULT:
        if (!fault_change(optarg))
            fail("--fault %s: no such fault; see --help", optarg);
        break;
    case OPTION_BACKLOG:
        lond.backlog = number_of(name, 65535);
        break;
    case OPTION_LIFETIME:
        lond.lifetime = (unsigned)number_of(name, DAY);
        break;
    case OPTION_VERBOSE:
        lond.verbose = true;
        break;
    case OPTION_SETTING:
        if (!options_set(name, optarg))
            fail("--%s %s: no such value", name, optarg);
        break;
    case OPTION_HELP:
        fputs(manual, stdout);
        exit(0);
    default:
        fail("see --help");
    }
}

void options_read(int argc, char **argv)
{
    int option, at = 0;
    bool listens = false;

    while ((option = getopt_long(argc, argv, "", options, &at)) != -1) {
        take_option(option, option == '?' ? "" : options[at].name);
        listens = listens || option == OPTION_LISTEN;
    }
    if (optind < argc)
        fail("%s: not an option; see --help", argv[optind]);
    if (!listens)
        fail("--listen is missing; see --help");
}
