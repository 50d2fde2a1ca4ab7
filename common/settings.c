/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper.conf: the table of all settings, and what reads and writes a value by it. No setting has
 * code of its own, so a new one is a member of struct settings and a row here. It is not the place
 * to act on a setting: who needs one reads the struct.
 */
#include <arpa/inet.h>
#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/host_name.h"
#include "common/lines.h"
#include "common/settings.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define MS   UINT64_C(1000)
#define S    (1000 * MS)
#define MIN  (60 * S)
#define HOUR (60 * MIN)

#define DIGITS "0123456789"
#define BLANKS " \t"

/* What a line of the file leaves for it. */
#define NAMES_MAX 4000

#define RUNTIME_DIR_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - sizeof("/control.sock"))

static const char *const log_targets[] = {
    [LOG_TARGET_AUTO] = "auto",
    [LOG_TARGET_JOURNAL] = "journal",
    [LOG_TARGET_STDERR] = "stderr",
    NULL,
};

/* By syslog's number, so that the index is the priority. */
static const char *const log_levels[] = {
    [LOG_EMERG] = "emerg", [LOG_ALERT] = "alert",     [LOG_CRIT] = "crit",
    [LOG_ERR] = "err",     [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
    [LOG_INFO] = "info",   [LOG_DEBUG] = "debug",     NULL,
};

static const char *const tls_versions[] = {
    [TLS_VERSION_1_0] = "1.0",
    [TLS_VERSION_1_1] = "1.1",
    [TLS_VERSION_1_2] = "1.2",
    [TLS_VERSION_1_3] = "1.3",
    NULL,
};

static const char *const no_yes[] = {"no", "yes", NULL};

static const char *const activations[] = {
    [ACTIVATION_PER_CONNECTION] = "per-connection",
    [ACTIVATION_SHARED] = "shared",
    NULL,
};

static const char *const socket_names[] = {
    [SOCKET_NAMES_ID] = "id",
    [SOCKET_NAMES_DNS] = "dns",
    [SOCKET_NAMES_BOTH] = "both",
    NULL,
};

static const char *const resolves[] = {
    [RESOLVE_TABLE] = "table",
    [RESOLVE_DNS] = "dns",
    NULL,
};

#define ROW(kind_, member, standard_, low_, high_, ...)                                            \
    {                                                                                              \
        .name = #member, .kind = SETTING_##kind_, .offset = offsetof(struct settings, member),     \
        .default_value = (standard_), .low = (low_), .high = (high_), __VA_ARGS__                  \
    }

const struct setting settings_table[] = {
    ROW(TEXT, loncapa_conf, "", 0, 4000,
        .meaning =
            "The path of loncapa.conf; empty, because LON-CAPA keeps it in one of two places "
            "that are looked at."),
    ROW(TEXT, runtime_dir, "/run/lonc", 1, RUNTIME_DIR_MAX,
        .meaning = "Where the keeper's own sockets are; short enough for their paths to fit a "
                   "socket's address."),
    ROW(TEXT, state_dir, "/var/lib/lonc", 1, 4000,
        .meaning = "Where the keeper writes what must survive a restart of the machine: which "
                   "deferred transactions are executed, but not yet recorded and removed."),
    ROW(TEXT, log_file, "", 0, 4000,
        .meaning = "A file that gets each message in the form of the old daemon's lonc.log, for "
                   "programs that parse it; empty, because the journal has them all."),
    ROW(CHOICE, log_target, "auto", LOG_TARGET_AUTO, LOG_TARGET_STDERR, .words = log_targets,
        .meaning = "Where messages go; auto means the journal when there is one, which keeps their "
                   "fields, else standard error."),
    ROW(CHOICE, log_level, "info", LOG_EMERG, LOG_DEBUG, .words = log_levels,
        .meaning = "The least important messages that are said; debug has a line for each request, "
                   "so it is for minutes, not for days."),
    ROW(CHOICE, log_transactions, "no", 0, 1, .words = no_yes,
        .meaning = "Whether each request leaves a message, with its command's first word, length "
                   "and time; no, because there are thousands a second."),
    ROW(CHOICE, activation, "shared", ACTIVATION_PER_CONNECTION, ACTIVATION_SHARED,
        .words = activations,
        .meaning = "How systemd serves the hosts' sockets: by one shim for all of them, or by a "
                   "process for each connection, which takes some 20 times as long."),
    ROW(NAMES, activation_exceptions, "", 0, NAMES_MAX,
        .meaning = "The lonHostIDs of hosts that are served the other way, with blanks between."),
    ROW(CHOICE, tls_min_version, "1.2", TLS_VERSION_1_0, TLS_VERSION_1_3, .words = tls_versions,
        .meaning = "The oldest version of TLS to speak with londs; those before 1.2 are broken, so "
                   "whoever needs them says so here."),
    ROW(CHOICE, tls_verify_name, "no", 0, 1, .words = no_yes,
        .meaning = "Whether a lond's certificate must have its DNS name of hosts.tab; no, because "
                   "the cluster's CA vouches for its servers, and not all its certificates do."),
    ROW(COUNT, tls_security_level, "2", 0, 5,
        .meaning = "OpenSSL's security level for ssl; 2, its default on Debian, takes no RSA key "
                   "below 2048 bits and no SHA-1, which a cluster's old certificates may need 0 "
                   "for; TLS before 1.2 always has 0."),
    ROW(CHOICE, tls_fallback, "no", 0, 1, .words = no_yes,
        .meaning = "Whether londs are spoken to insecurely while this server's files for ssl are "
                   "of no use, where loncAllowInsecure allows it; no, because ssl was asked for: "
                   "londs that offer it are not reached then."),
    ROW(TEXT, tls_revocations, "", 0, 4000,
        .meaning = "A file of certificates that the cluster's CA has revoked, in PEM; empty, "
                   "because not every cluster has one."),
    ROW(CHOICE, socket_names, "both", SOCKET_NAMES_ID, SOCKET_NAMES_BOTH, .words = socket_names,
        .meaning =
            "Under which name in lonSockDir systemd listens for a host, its lonHostID or its "
            "DNS name; both, because older lonnets use the one and newer the other."),
    ROW(CHOICE, resolve, "table", RESOLVE_TABLE, RESOLVE_DNS, .words = resolves,
        .meaning = "Where the address of a host is taken from that has one in hosts.tab: from "
                   "there, which needs no DNS, or from its DNS name."),
    ROW(SERVERS, resolve_servers, "", 0, 1000,
        .meaning = "The DNS servers to ask, ADDRESS[:PORT] with commas between; empty, because "
                   "/etc/resolv.conf has those of this machine."),

    ROW(COUNT, connections_per_host, "10", 1, 100,
        .meaning = "Connections to one host at most: lond keeps a process for each of them."),
    ROW(COUNT, queue_per_host, "1000", 1, 100000,
        .meaning =
            "Requests that may wait for one host, so that a slow host cannot fill the memory; "
            "past it the answer is con_lost."),
    ROW(COUNT, queue_total, "4000", 1, 1000000,
        .meaning = "Requests that may wait for all hosts together, so that many slow hosts cannot "
                   "fill the memory either."),
    ROW(COUNT, channel_connections, "4096", 1, 100000,
        .meaning = "Shims that may be connected at once; as many as PID 1 starts for one host's "
                   "socket."),
    ROW(COUNT, control_answers, "32", 1, 1000,
        .meaning = "Answers that may be under way on the control socket, for root, the keeper's "
                   "own user and all others each, and as many reloads; one is there for some "
                   "milliseconds, and whoever finds no place is told so at once."),
    ROW(COUNT, control_followers, "16", 1, 1000,
        .meaning = "Those who may follow events, for root, the keeper's own user and all others "
                   "each; they stay for as long as they like, so they get no place of those who "
                   "ask and go."),
    ROW(COUNT, control_silent, "16", 1, 1000,
        .meaning = "Connections to the control socket that may be without a request, for root, the "
                   "keeper's own user and all others each; past it the one that has been silent "
                   "the longest is closed, since most bring their request with them."),
    ROW(COUNT, descriptor_reserve, "32", 17, 10000,
        .meaning = "Descriptors kept free: a shim's message brings 16, and what finds no room is "
                   "closed by the kernel, its client lost."),
    ROW(COUNT, failures_until_dead, "2", 1, 100,
        .meaning = "Failed attempts in a row after which a host is dead: one may be a restart, two "
                   "are not."),
    ROW(COUNT, deferred_arrivals, "10000", 1, 1000000,
        .meaning =
            "How many deferred files may be waiting out deferred_hold at once; past it "
            "they are known by name only, and their age is looked at when it is their turn."),
    ROW(COUNT, deferred_attempts, "3", 1, 100,
        .meaning = "How often in a row a deferred file may cost its connection before those "
                   "behind it go first, so that one bad file does not block a host."),
    ROW(COUNT, keepalive_count, "3", 1, 100,
        .meaning =
            "Unanswered keep-alive probes after which an idle connection is closed; several, "
            "because packets get lost."),
    ROW(COUNT, resolve_addresses, "8", 1, 16,
        .meaning = "Addresses of one name that are kept and tried, each of which may take "
                   "connect_timeout; servers have one or two."),
    ROW(COUNT, resolve_queries, "100", 2, 10000,
        .meaning = "Questions to DNS under way at once, two for each name; a small resolver takes "
                   "150, and a network of hosts may be asked for after a boot."),

    ROW(BYTES, line_limit, "64M", KIB, GIB,
        .meaning = "The longest request or reply; course dumps are one line of megabytes, and "
                   "nothing known needs more."),
    ROW(BYTES, buffers_limit, "256M", MIB, 64 * GIB,
        .meaning = "All buffers together, so that a few large replies cannot take the machine's "
                   "memory; loncctl has 2M beside it, to be answered all the same."),
    ROW(BYTES, deferred_memory, "64M", 4 * KIB, 64 * GIB,
        .meaning = "The names of deferred files, which are kept in memory so that the folder is "
                   "read once for all of them; enough for a million, and those behind stay on "
                   "disk until there is room."),
    ROW(BYTES, turn_bytes, "32k", 4 * KIB, GIB,
        .meaning = "How many bytes of long lines, or as much work, all connections together are "
                   "given before short lines have their turn again; more moves no more a second, "
                   "and makes short lines wait."),

    ROW(TIME, connect_timeout, "3s", 10 * MS, 5 * MIN,
        .meaning =
            "How long connecting to lond may take: enough for a lost packet to be sent again."),
    ROW(TIME, resolve_timeout, "5s", 10 * MS, 5 * MIN,
        .meaning = "How long a name may take to be resolved, all DNS servers together; long enough "
                   "to ask each of them twice."),
    ROW(TIME, resolve_cache, "60s", S, 24 * HOUR,
        .meaning = "How long the addresses of a name are used without asking again: how late a "
                   "move is noticed at most."),
    ROW(TIME, resolve_failure_cache, "15s", 10 * MS, 24 * HOUR,
        .meaning = "How long a name that could not be resolved is not asked for again, so that a "
                   "resolver in trouble is not hammered."),
    ROW(TIME, handshake_timeout, "30s", 10 * MS, 24 * HOUR,
        .meaning = "How long one step of the handshake may take; a loaded lond forks slowly."),
    ROW(TIME, reply_timeout, "30s", 10 * MS, 24 * HOUR,
        .meaning =
            "How long lond may make no progress on a reply; a long reply that comes in pieces "
            "is not cut off."),
    ROW(TIME, queue_timeout, "60s", 10 * MS, 24 * HOUR,
        .meaning = "How long a request may wait in the queue, because an Apache child waits with "
                   "it."),
    ROW(TIME, request_timeout, "120s", 10 * MS, 24 * HOUR,
        .meaning = "How long a request may take in all, since lonnet itself has no time-out on a "
                   "reply."),
    ROW(TIME, client_line_timeout, "60s", 10 * MS, 24 * HOUR,
        .meaning = "How long a client may leave a line unfinished, since the piece takes up a "
                   "buffer."),
    ROW(TIME, client_write_timeout, "60s", 10 * MS, 24 * HOUR,
        .meaning = "How long a client may take no byte of its reply, since the rest takes up a "
                   "buffer."),
    ROW(TIME, client_idle_timeout, "300s", 10 * MS, 24 * HOUR,
        .meaning = "How long a client may be silent between requests, since it takes up a "
                   "descriptor."),
    ROW(TIME, client_idle_scarce, "30s", 10 * MS, 24 * HOUR,
        .meaning =
            "The same while descriptors are short, if it is less: those who have been silent "
            "the longest make room for others, but nobody who has only paused."),
    ROW(TIME, create_timeout, "5s", 10 * MS, 5 * MIN,
        .meaning = "How long lonnet waits at lonSockCreate for the socket of a host, which "
                   "lonc-hosts is asked to make; then it is told that there is none, and asks "
                   "again, ten times."),
    ROW(TIME, control_timeout, "10s", 10 * MS, HOUR,
        .meaning = "How long a client of the control socket may leave its request unfinished, or "
                   "take no byte of its answer: it is a person or a script on this machine."),
    ROW(TIME, connection_idle_timeout, "300s", 10 * MS, 24 * HOUR,
        .meaning = "How long a connection to lond stays open unused: each is a process over there, "
                   "and a handshake to open again."),
    ROW(TIME, retry_delay, "1s", 10 * MS, 24 * HOUR,
        .meaning = "The pause after a failed attempt, so that a host in trouble is not hammered."),
    ROW(TIME, probe_min, "5s", 10 * MS, 24 * HOUR,
        .meaning = "When a dead host is first probed; a restart of lond takes about as long."),
    ROW(TIME, probe_max, "60s", 10 * MS, 24 * HOUR,
        .meaning =
            "The longest pause between probes, which double: how late at most a host's return "
            "is noticed."),
    ROW(TIME, dead_reminder, "1h", 10 * MS, 24 * HOUR,
        .meaning = "How often the log says again that a host is dead, so that nobody has to look "
                   "back for it and nobody's log is full of it."),
    ROW(TIME, config_retry_min, "1s", 10 * MS, 24 * HOUR,
        .meaning = "When a keeper that found no valid configuration at its start first reads the "
                   "files again; a mount or a file being replaced takes about as long."),
    ROW(TIME, config_retry_max, "60s", 10 * MS, 24 * HOUR,
        .meaning = "The longest pause between those attempts, which double: how late at most a "
                   "configuration that has been mended comes into force."),
    ROW(TIME, trouble_retry, "60s", 10 * MS, 24 * HOUR,
        .meaning = "How often what the keeper cannot write or read is tried again: log_file, "
                   "lonc.pid and the files for ssl, where no event tells that they are mended."),
    ROW(TIME, certificate_warning, "336h", HOUR, 8760 * HOUR,
        .meaning = "How long before a certificate for ssl expires the log says so, daily; a new "
                   "one takes the cluster's CA some days."),
    ROW(TIME, certificate_settle, "1s", 10 * MS, HOUR,
        .meaning = "How long after a change the files for ssl are read again: certificate and key "
                   "are seldom written in one stroke."),
    ROW(TIME, deferred_hold, "3s", 10 * MS, HOUR,
        .meaning = "How long a new deferred file is left alone, since lonnet reads it back to be "
                   "sure that it was written."),
    ROW(TIME, deferred_empty_timeout, "60s", 10 * MS, 24 * HOUR,
        .meaning = "How long a deferred file may stay empty before it is set aside, for lonnet "
                   "writes it in place and may be slow."),
    ROW(TIME, deferred_retry, "60s", 10 * MS, 24 * HOUR,
        .meaning = "When a deferred file that could not be delivered, set aside or removed is "
                   "tried again, while those behind it go on."),
    ROW(TIME, deferred_still, "30s", 10 * MS, 24 * HOUR,
        .meaning = "How long a deferred file must not have changed of which the kernel does not "
                   "tell whether somebody is still writing it: one that is not the keeper's "
                   "user's, or on a file system without leases."),
    ROW(TIME, deferred_write_timeout, "1h", 10 * MS, 24 * HOUR,
        .meaning = "How long a deferred file may stay open for writing before it is set aside; it "
                   "is left alone until then, and those behind it go on."),
    ROW(TIME, deferred_poll, "60s", 10 * MS, 24 * HOUR,
        .meaning = "How often the folder of deferred files is read where the kernel cannot tell of "
                   "changes in it, for want of inotify instances or watches."),
    ROW(TIME, deferred_pace, "5ms", MS, HOUR,
        .meaning =
            "The pause after a deferred file while clients are being served, so that a drain "
            "at full speed does not take the machine from them."),
    ROW(TIME, drain_timeout, "10s", 10 * MS, 24 * HOUR,
        .meaning =
            "How long requests in flight may take to finish when the keeper is told to leave; "
            "less than systemd waits before it kills."),
    ROW(TIME, drain_line_timeout, "1s", 10 * MS, 24 * HOUR,
        .meaning =
            "How long, of drain_timeout, an unfinished line may take to become a request; most "
            "never will."),
    ROW(TIME, keepalive_idle, "60s", S, HOUR, .step = S,
        .meaning = "How long a connection is silent before keep-alive probes it; shorter than "
                   "firewalls remember a connection."),
    ROW(TIME, keepalive_interval, "10s", S, HOUR, .step = S,
        .meaning = "The pause between keep-alive probes, so that a vanished peer is noticed within "
                   "two minutes."),
    ROW(TIME, unacknowledged_timeout, "30s", S, HOUR,
        .meaning = "How long sent data may stay unacknowledged before the kernel closes the "
                   "connection, where it would try for a quarter of an hour."),
};

#define SETTINGS (sizeof(settings_table) / sizeof(settings_table[0]))
#define TEXTS    6

/* With the unit test that no two rows share an offset: every member has its row. */
_Static_assert(TEXTS * sizeof(char *) + (SETTINGS - TEXTS) * sizeof(uint64_t) ==
                   offsetof(struct settings, lines),
               "every member of struct settings has its row in settings_table[]");
_Static_assert(SETTINGS <= SETTINGS_MOST, "every row has a place for its line");

const size_t settings_count = SETTINGS;

/* The first must not be above the second: it would never have an effect. */
static const char *const ordered[][2] = {
    {"probe_min", "probe_max"},
    {"config_retry_min", "config_retry_max"},
    {"queue_per_host", "queue_total"},
    {"line_limit", "buffers_limit"},
};

struct unit {
    const char *name;
    uint64_t scale;
    uint64_t written_from; /* a value below it reads better in a smaller unit */
};

/* Largest first. The documentation says "300 s", hence minutes only from ten on. */
static const struct unit time_units[] = {
    {"h", HOUR, HOUR}, {"min", MIN, 10 * MIN}, {"s", S, S}, {"ms", MS, MS}, {"us", 1, 0}, {0},
};
static const struct unit size_units[] = {
    {"G", GIB, GIB}, {"M", MIB, MIB}, {"k", KIB, KIB}, {"", 1, 0}, {0},
};
static const struct unit plain[] = {{"", 1, 0}, {0}};

/* --- One value -------------------------------------------------------------------------------- */

static char **text_of(const struct setting *setting, struct settings *settings)
{
    return (char **)((char *)settings + setting->offset);
}

static uint64_t *number_of(const struct setting *setting, struct settings *settings)
{
    return (uint64_t *)((char *)settings + setting->offset);
}

/* Whether its member is a char *. */
static bool is_text(const struct setting *setting)
{
    return setting->kind == SETTING_TEXT || setting->kind == SETTING_NAMES ||
           setting->kind == SETTING_SERVERS;
}

static const struct unit *units_of(const struct setting *setting)
{
    if (setting->kind == SETTING_TIME)
        return time_units;
    return setting->kind == SETTING_BYTES ? size_units : plain;
}

/* Reads digits and moves past them; false when there are none or too many. */
static bool scan_digits(const char **text, uint64_t *number)
{
    size_t length = strspn(*text, DIGITS);
    *number = 0;
    for (size_t i = 0; i < length; i++)
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, (uint64_t)((*text)[i] - '0'), number))
            return false;
    *text += length;
    return length > 0;
}

/* Reads ".25" as a share of `scale`, 0 where there is none; what is less than 1 is left out. */
static bool scan_fraction(const char **text, uint64_t scale, uint64_t *share)
{
    *share = 0;
    if (**text != '.')
        return true;
    ++*text;
    size_t length = strspn(*text, DIGITS);
    for (size_t i = 0; i < length; i++) {
        scale /= 10;
        *share += (uint64_t)((*text)[i] - '0') * scale;
    }
    *text += length;
    return length > 0;
}

/* The unit at the end of `text`, a value; `without` is the name of the one meant by none. */
static const struct unit *find_unit(const struct unit *units, const char *text, const char *without)
{
    text += strspn(text, DIGITS ".");
    text += strspn(text, " \t");
    if (*text == '\0')
        text = without;
    for (; units->name != NULL; units++)
        if (strcmp(units->name, text) == 0)
            return units;
    return NULL;
}

/* The unit comes first, since a fraction is a share of it. */
static bool parse_number(const struct setting *setting, const char *text, uint64_t *number)
{
    bool time = setting->kind == SETTING_TIME;
    const struct unit *unit = find_unit(units_of(setting), text, time ? "s" : "");
    if (unit == NULL || !scan_digits(&text, number) ||
        __builtin_mul_overflow(*number, unit->scale, number))
        return false;
    uint64_t share = 0;
    if (time && !scan_fraction(&text, unit->scale, &share))
        return false;
    /* Past the digits there is the unit that was found, but for a dot that has no business here. */
    return *text != '.' && !__builtin_add_overflow(*number, share, number);
}

static bool parse_choice(const struct setting *setting, const char *text, uint64_t *number)
{
    for (*number = 0; setting->words[*number] != NULL; ++*number)
        if (strcmp(text, setting->words[*number]) == 0)
            return true;
    return false;
}

static bool parse_names(const char *text)
{
    while (*(text += strspn(text, BLANKS)) != '\0') {
        char name[HOST_NAME_MAX_LENGTH + 2]; /* one that is too long is still too long when cut */
        size_t length = strcspn(text, BLANKS);
        snprintf(name, sizeof(name), "%.*s", (int)length, text);
        if (!host_name_is_valid(name))
            return false;
        text += length;
    }
    return true;
}

/* Splits "127.0.0.1:53", "::1" or "[::1]:53", which is cut up for it. */
static bool parse_server(char *server)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    const char *problem = NULL;
    char *port = NULL;
    bool bracket = server[0] == '[';
    if (bracket) {
        char *end = strchr(server++, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return false;
        port = end[1] == ':' ? end + 2 : NULL;
        *end = '\0';
    } else if (inet_pton(AF_INET6, server, bytes) != 1 && (port = strchr(server, ':')) != NULL) {
        *port++ = '\0';
    }
    if (port != NULL && port[strspn(port, DIGITS)] != '\0')
        return false;
    if (port != NULL)
        strtonum(port, 1, 65535, &problem);
    bool six = inet_pton(AF_INET6, server, bytes) == 1;
    bool four = !bracket && inet_pton(AF_INET, server, bytes) == 1;
    return problem == NULL && (four || six);
}

static bool parse_servers(const char *text)
{
    while (*text != '\0') {
        char server[64]; /* the longest has 47 bytes */
        size_t length = strcspn(text, ",");
        if (length >= sizeof(server))
            return false;
        snprintf(server, sizeof(server), "%.*s", (int)length, text);
        text += length;
        if (!parse_server(server) || strcmp(text, ",") == 0)
            return false;
        text += *text == ',';
    }
    return true;
}

/* Whether `text` may be the setting's value. `number` is what to store, or the length of a text. */
static bool parse(const struct setting *setting, const char *text, uint64_t *number)
{
    bool read;
    switch (setting->kind) {
    case SETTING_TEXT:
        *number = strlen(text);
        read = text[0] == '/' || text[0] == '\0';
        break;
    case SETTING_NAMES:
        *number = strlen(text);
        read = parse_names(text);
        break;
    case SETTING_SERVERS:
        *number = strlen(text);
        read = parse_servers(text);
        break;
    case SETTING_CHOICE:
        read = parse_choice(setting, text, number);
        break;
    default:
        read = parse_number(setting, text, number);
        break;
    }
    return read && *number >= setting->low && *number <= setting->high &&
           (setting->step == 0 || *number % setting->step == 0);
}

static void format_number(const struct setting *setting, uint64_t number, char *text, size_t size)
{
    const struct unit *unit = units_of(setting);
    while (number < unit->written_from || number % unit->scale != 0)
        unit++;
    snprintf(text, size, "%" PRIu64 "%s", number / unit->scale, unit->name);
}

void setting_format(const struct setting *setting, const struct settings *settings, char *text,
                    size_t size)
{
    const void *member = (const char *)settings + setting->offset;
    if (is_text(setting))
        strlcpy(text, *(char *const *)member, size);
    else if (setting->kind == SETTING_CHOICE)
        strlcpy(text, setting->words[*(const uint64_t *)member], size);
    else
        format_number(setting, *(const uint64_t *)member, text, size);
}

/* --- What is said of a bad one ---------------------------------------------------------------- */

/* "a, b or c" */
static void join_words(const char *const *words, char *text, size_t size)
{
    text[0] = '\0';
    for (size_t i = 0; words[i] != NULL; i++) {
        if (i > 0)
            strlcat(text, words[i + 1] == NULL ? " or " : ", ", size);
        strlcat(text, words[i], size);
    }
}

void setting_expectation(const struct setting *setting, char *text, size_t size)
{
    static const char *const nouns[] = {
        [SETTING_COUNT] = "a whole number",
        [SETTING_BYTES] = "a size",
        [SETTING_TIME] = "a time",
    };
    char low[32];
    char high[32];
    if (setting->kind == SETTING_CHOICE) {
        join_words(setting->words, text, size);
    } else if (setting->kind == SETTING_NAMES) {
        snprintf(text, size, "names of hosts with blanks between, or nothing");
    } else if (setting->kind == SETTING_SERVERS) {
        snprintf(text, size, "ADDRESS[:PORT] with commas between, or nothing");
    } else if (setting->kind == SETTING_TEXT) {
        snprintf(text, size, "an absolute path of at most %" PRIu64 " bytes%s", setting->high,
                 setting->low == 0 ? ", or nothing" : "");
    } else {
        format_number(setting, setting->low, low, sizeof(low));
        format_number(setting, setting->high, high, sizeof(high));
        snprintf(text, size, "%s from %s to %s%s", nouns[setting->kind], low, high,
                 setting->step == S ? ", in whole seconds" : "");
    }
}

/* --- The file --------------------------------------------------------------------------------- */

/* What the file said of a setting. */
struct given {
    unsigned line; /* 0 for nothing */
    bool bad;      /* so the default stands, which must not be blamed for contradicting */
};

struct reading {
    struct settings *settings;
    const char *path;
    struct diagnostics *diagnostics;
    struct given given[SETTINGS];
};

size_t settings_find(const char *name)
{
    size_t i = 0;
    while (i < SETTINGS && strcmp(name, settings_table[i].name) != 0)
        i++;
    return i;
}

/* Stores what parse() allowed. False when there is no memory. */
static bool store(struct settings *settings, const struct setting *setting, const char *value,
                  uint64_t number)
{
    if (!is_text(setting)) {
        *number_of(setting, settings) = number;
        return true;
    }
    char *copy = strdup(value);
    if (copy == NULL)
        return false;
    free(*text_of(setting, settings));
    *text_of(setting, settings) = copy;
    return true;
}

static void set(struct reading *reading, unsigned line, size_t index, const char *value)
{
    const struct setting *setting = &settings_table[index];
    uint64_t number;
    if (!parse(setting, value, &number)) {
        char expected[SETTING_EXPECTATION_SIZE];
        setting_expectation(setting, expected, sizeof(expected));
        reading->given[index].bad = true;
        diagnostics_add(reading->diagnostics, reading->path, line,
                        "%s: " DIAGNOSTIC_QUOTED ": expected %s", setting->name, value, expected);
    } else if (!store(reading->settings, setting, value, number)) {
        diagnostics_add(reading->diagnostics, reading->path, line, "out of memory");
    } else {
        reading->settings->lines[index] = line;
    }
}

static void read_line(void *argument, unsigned number, char *text)
{
    struct reading *reading = argument;
    text = lines_strip_comment(text);
    if (*text == '\0')
        return;
    char *equals = strchr(text, '=');
    if (equals == NULL) {
        diagnostics_add(reading->diagnostics, reading->path, number,
                        "line: " DIAGNOSTIC_QUOTED ": expected name = value", text);
        return;
    }
    *equals = '\0';
    const char *name = lines_strip(text);
    const char *value = lines_strip(equals + 1);

    size_t index = settings_find(name);
    if (index == SETTINGS) {
        diagnostics_add(reading->diagnostics, reading->path, number,
                        "name: " DIAGNOSTIC_QUOTED ": expected the name of a setting", name);
        return;
    }
    struct given *given = &reading->given[index];
    if (given->line != 0) {
        diagnostics_add(reading->diagnostics, reading->path, number,
                        "%s: " DIAGNOSTIC_QUOTED ": expected once, but line %u sets it too", name,
                        value, given->line);
        return;
    }
    given->line = number;
    set(reading, number, index, value);
}

/* Two defaults never contradict each other, so the later of the lines is the one to blame. */
static void check_order(const struct reading *reading, size_t small, size_t large)
{
    const struct given *given = reading->given;
    if (given[small].bad || given[large].bad ||
        *number_of(&settings_table[small], reading->settings) <=
            *number_of(&settings_table[large], reading->settings))
        return;

    bool blame_small = given[small].line > given[large].line;
    size_t blamed = blame_small ? small : large;
    size_t other = blame_small ? large : small;
    char value[32];
    char bound[32];
    setting_format(&settings_table[blamed], reading->settings, value, sizeof(value));
    setting_format(&settings_table[other], reading->settings, bound, sizeof(bound));
    diagnostics_add(reading->diagnostics, reading->path, given[blamed].line,
                    "%s: " DIAGNOSTIC_QUOTED ": expected at %s %s, which is %s",
                    settings_table[blamed].name, value, blame_small ? "most" : "least",
                    settings_table[other].name, bound);
}

/* The defaults come from the same table and parser as the file, so none can be out of bounds. */
static void set_defaults(struct reading *reading)
{
    *reading->settings = (struct settings){0};
    for (size_t i = 0; i < SETTINGS; i++)
        set(reading, 0, i, settings_table[i].default_value);
}

int settings_load(struct settings *settings, const char *path, bool optional,
                  struct diagnostics *diagnostics)
{
    unsigned before = diagnostics->count;
    struct reading reading = {.settings = settings, .path = path, .diagnostics = diagnostics};
    set_defaults(&reading);
    if (lines_read(path, optional, diagnostics, read_line, &reading) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(ordered) / sizeof(ordered[0]); i++)
        check_order(&reading, settings_find(ordered[i][0]), settings_find(ordered[i][1]));
    return diagnostics->count == before ? 0 : -1;
}

bool settings_are_whole(struct settings *settings)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if (is_text(&settings_table[i]) && *text_of(&settings_table[i], settings) == NULL)
            return false;
    return true;
}

void settings_free(struct settings *settings)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if (is_text(&settings_table[i]))
            free(*text_of(&settings_table[i], settings));
    *settings = (struct settings){0};
}
