/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of all settings of keeper.conf. A setting has no code of its own: its row drives
 * parsing, `--check`, `--settings`, reload, `loncctl config`, keeper.conf(5) and README.md (make
 * settings-tables). How to add one is in keeper/README.md.
 *
 * This file is long because the table is; it is in one piece because it is one table.
 */
#include <sys/un.h>

#include "common/setting_units.h"
#include "common/settings.h"

/* A line of the file has room for this much. */
#define NAMES_MAX 4000

/* The path of each socket in it must fit into a socket's address. */
#define RUNTIME_DIR_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - sizeof("/control.sock"))

static const char *const log_targets[] = {
    [LOG_TARGET_AUTO] = "auto",
    [LOG_TARGET_JOURNAL] = "journal",
    [LOG_TARGET_STDERR] = "stderr",
    NULL,
};

/* Indexed by syslog's priority. */
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
        .meaning = "Path of loncapa.conf. Empty means the first that exists of the two places "
                   "where LON-CAPA keeps it."),
    ROW(TEXT, runtime_dir, "/run/lonc", 1, RUNTIME_DIR_MAX,
        .meaning = "Directory of the keeper's own sockets. It must be short, because the path "
                   "of each socket has to fit into a socket's address."),
    ROW(TEXT, state_dir, "/var/lib/lonc", 1, 4000,
        .meaning = "Directory for what must survive a restart of the machine: which deferred "
                   "transactions have been executed, but not yet recorded and removed."),
    ROW(TEXT, log_file, "", 0, 4000,
        .meaning = "File that receives every message in the format of the old daemon's "
                   "lonc.log, for programs that parse it. Empty means none, because the "
                   "journal has every message."),
    ROW(CHOICE, log_target, "auto", LOG_TARGET_AUTO, LOG_TARGET_STDERR, .words = log_targets,
        .meaning = "Where messages go. auto means the journal, which keeps their fields, or "
                   "standard error where there is no journal."),
    ROW(CHOICE, log_level, "info", LOG_EMERG, LOG_DEBUG, .words = log_levels,
        .meaning = "Minimum priority of the messages to log. debug logs a line for each "
                   "request, so use it for minutes, not for days."),
    ROW(CHOICE, log_transactions, "no", 0, 1, .words = no_yes,
        .meaning = "Whether to log each request, with the first word of its command, its "
                   "length and the time it took. The default is no, because there may be "
                   "thousands of requests a second."),
    ROW(CHOICE, activation, "shared", ACTIVATION_PER_CONNECTION, ACTIVATION_SHARED,
        .words = activations,
        .meaning = "How systemd serves the hosts' sockets: with one shim for all of them, or "
                   "with a process for each connection, which takes about 20 times as long."),
    ROW(NAMES, activation_exceptions, "", 0, NAMES_MAX,
        .meaning = "The lonHostIDs of the hosts that are served the other way, separated by "
                   "blanks."),
    ROW(CHOICE, tls_min_version, "1.2", TLS_VERSION_1_0, TLS_VERSION_1_3, .words = tls_versions,
        .meaning = "Oldest version of TLS to use with a lond. Versions before 1.2 are broken, "
                   "so whoever needs one has to say so here."),
    ROW(CHOICE, tls_verify_name, "no", 0, 1, .words = no_yes,
        .meaning = "Whether the certificate of a lond must contain the host's DNS name from "
                   "hosts.tab. The default is no, because the cluster's CA vouches for its "
                   "servers, and not all of its certificates contain that name."),
    ROW(COUNT, tls_security_level, "2", 0, 5,
        .meaning = "OpenSSL's security level for ssl. Level 2, Debian's default, rejects RSA "
                   "keys of less than 2048 bits and SHA-1; the old certificates of a cluster "
                   "may need level 0. TLS before 1.2 always uses level 0."),
    ROW(CHOICE, tls_fallback, "no", 0, 1, .words = no_yes,
        .meaning = "Whether to talk to londs insecurely, where loncAllowInsecure permits it, "
                   "while this server's ssl files are unusable. The default is no, because "
                   "ssl was asked for: until the files are usable again, londs that offer ssl "
                   "are not reached."),
    ROW(TEXT, tls_revocations, "", 0, 4000,
        .meaning = "PEM file that lists the certificates revoked by the cluster's CA. Empty "
                   "means none, because not every cluster has such a list."),
    ROW(CHOICE, socket_names, "both", SOCKET_NAMES_ID, SOCKET_NAMES_BOTH, .words = socket_names,
        .meaning = "Names under which systemd listens for a host in lonSockDir: its "
                   "lonHostID, its DNS name, or both. The default is both, because older "
                   "versions of lonnet use the lonHostID and newer ones the DNS name."),
    ROW(CHOICE, resolve, "table", RESOLVE_TABLE, RESOLVE_DNS, .words = resolves,
        .meaning = "Source of the address of a host for which hosts.tab has one: that table, "
                   "which needs no DNS, or the host's DNS name."),
    ROW(SERVERS, resolve_servers, "", 0, 1000,
        .meaning = "DNS servers to ask, written as ADDRESS[:PORT] and separated by commas. "
                   "Empty means this machine's servers, which are in /etc/resolv.conf."),

    ROW(COUNT, connections_per_host, "10", 1, 100,
        .meaning = "Maximum number of connections to one host. lond keeps a process for each "
                   "of them."),
    ROW(COUNT, queue_per_host, "1000", 1, 100000,
        .meaning = "Maximum number of requests that wait for one host. Further requests are "
                   "answered con_lost, so that a slow host cannot fill the memory."),
    ROW(COUNT, queue_total, "4000", 1, 1000000,
        .meaning = "Maximum number of requests that wait for all hosts together, so that many "
                   "slow hosts cannot fill the memory either."),
    ROW(COUNT, channel_connections, "4096", 1, 100000,
        .meaning = "Maximum number of shims that are connected at once. The default is the "
                   "number that PID 1 starts at most for the socket of one host."),
    ROW(COUNT, control_answers, "32", 1, 1000,
        .meaning = "Maximum number of answers in progress on the control socket, counted "
                   "separately for root, for the keeper's own user, and for everybody else; "
                   "the same number of reloads may be in progress. An answer takes some "
                   "milliseconds, and a client that finds no place is told so at once."),
    ROW(COUNT, control_followers, "16", 1, 1000,
        .meaning = "Maximum number of clients that follow events, counted separately for "
                   "root, for the keeper's own user, and for everybody else. They have places "
                   "of their own, because they stay for as long as they like and would take "
                   "those of clients that ask and leave."),
    ROW(COUNT, control_silent, "16", 1, 1000,
        .meaning = "Maximum number of connections to the control socket that have not sent a "
                   "request, counted separately for root, for the keeper's own user, and for "
                   "everybody else. Beyond that number, the one that has been silent longest "
                   "is closed, since most clients send their request as soon as they connect."),
    ROW(COUNT, descriptor_reserve, "32", 17, 10000,
        .meaning = "Number of descriptors kept free. A message of a shim brings up to 16, and "
                   "the kernel closes those that find no room, which loses their clients."),
    ROW(COUNT, failures_until_dead, "2", 1, 100,
        .meaning = "Number of failed attempts in a row after which a host is dead. One "
                   "failure may be a restart; two are not."),
    ROW(COUNT, deferred_arrivals, "10000", 1, 1000000,
        .meaning = "Maximum number of deferred files that are waiting for deferred_hold to "
                   "pass. Of further files only the names are kept, and their age is checked "
                   "when it is their turn."),
    ROW(COUNT, deferred_attempts, "3", 1, 100,
        .meaning = "How many times in a row a deferred file may cost its connection before "
                   "the files behind it go first, so that one bad file does not block a host."),
    ROW(COUNT, keepalive_count, "3", 1, 100,
        .meaning = "Number of unanswered keep-alive probes after which an idle connection is "
                   "closed. One is not enough, because packets get lost."),
    ROW(COUNT, resolve_addresses, "8", 1, 16,
        .meaning = "Maximum number of addresses that are kept and tried for one name. Each "
                   "may take connect_timeout, and servers have one or two."),
    ROW(COUNT, resolve_queries, "100", 2, 10000,
        .meaning = "Maximum number of DNS queries in progress; each name takes two. A small "
                   "resolver handles 150, and after a boot a whole network of hosts may have "
                   "to be resolved."),

    ROW(BYTES, line_limit, "64M", KIB, GIB,
        .meaning = "Maximum length of a request or reply. A course dump is one line of "
                   "megabytes; nothing known needs more."),
    ROW(BYTES, buffers_limit, "256M", MIB, 64 * GIB,
        .meaning = "Maximum memory of all buffers together, so that a few large replies "
                   "cannot take the machine's memory. Another 2M is reserved for loncctl, "
                   "which must be answered all the same."),
    ROW(BYTES, deferred_memory, "64M", 4 * KIB, 64 * GIB,
        .meaning = "Maximum memory for the names of deferred files. They are kept so that the "
                   "folder is read once for all of them. The default holds a million names; "
                   "further files stay on disk until there is room."),
    ROW(BYTES, turn_bytes, "32k", 4 * KIB, GIB,
        .meaning = "Number of bytes of long lines, or an equal amount of work, that all "
                   "connections together may handle before short lines have their turn again. "
                   "A larger value moves no more per second, and makes short lines wait."),

    ROW(TIME, connect_timeout, "3s", 10 * MS, 5 * MIN,
        .meaning = "How long connecting to a lond may take: long enough for a lost packet to "
                   "be sent again."),
    ROW(TIME, resolve_timeout, "5s", 10 * MS, 5 * MIN,
        .meaning = "How long resolving a name may take, with all DNS servers together: long "
                   "enough to ask each of them twice."),
    ROW(TIME, resolve_cache, "60s", S, 24 * HOUR,
        .meaning = "How long the addresses of a name are used before it is resolved again. A "
                   "host that moves is found again after this time at the latest."),
    ROW(TIME, resolve_failure_cache, "15s", 10 * MS, 24 * HOUR,
        .meaning = "How long to wait before resolving again a name that could not be "
                   "resolved, so that a resolver in trouble is not flooded."),
    ROW(TIME, handshake_timeout, "30s", 10 * MS, 24 * HOUR,
        .meaning = "How long one step of the handshake may take. A lond under load is slow to "
                   "fork."),
    ROW(TIME, reply_timeout, "30s", 10 * MS, 24 * HOUR,
        .meaning = "How long a lond may make no progress on a reply. The time starts anew "
                   "with each piece, so a long reply is not cut off."),
    ROW(TIME, queue_timeout, "60s", 10 * MS, 24 * HOUR,
        .meaning = "How long a request may wait in the queue. An Apache child waits with it."),
    ROW(TIME, request_timeout, "120s", 10 * MS, 24 * HOUR,
        .meaning = "How long a request may take in all. It needs a limit here, because lonnet "
                   "sets none on the wait for a reply."),
    ROW(TIME, client_line_timeout, "60s", 10 * MS, 24 * HOUR,
        .meaning = "How long a client may leave a line unfinished. The unfinished line takes "
                   "up a buffer."),
    ROW(TIME, client_write_timeout, "60s", 10 * MS, 24 * HOUR,
        .meaning = "How long a client may fail to take a byte of its reply. The rest of the "
                   "reply takes up a buffer."),
    ROW(TIME, client_idle_timeout, "300s", 10 * MS, 24 * HOUR,
        .meaning = "How long a client may be silent between requests. It takes up a "
                   "descriptor."),
    ROW(TIME, client_idle_scarce, "30s", 10 * MS, 24 * HOUR,
        .meaning = "The value of client_idle_timeout while descriptors are short, if it is "
                   "less. Clients that have been silent longest make room for others, but "
                   "none is closed that has merely paused."),
    ROW(TIME, create_timeout, "5s", 10 * MS, 5 * MIN,
        .meaning = "How long lonnet waits at lonSockCreate for the socket of a host, which "
                   "lonc-hosts is asked to create. After that, lonnet is told that there is "
                   "none, and it asks again, ten times."),
    ROW(TIME, control_timeout, "10s", 10 * MS, HOUR,
        .meaning = "How long a client of the control socket may leave its request unfinished, "
                   "or fail to take a byte of its answer. It is a person or a script on this "
                   "machine."),
    ROW(TIME, connection_idle_timeout, "300s", 10 * MS, 24 * HOUR,
        .meaning = "How long an unused connection to a lond stays open. Keeping it takes a "
                   "process there; opening it again takes a handshake."),
    ROW(TIME, retry_delay, "1s", 10 * MS, 24 * HOUR,
        .meaning = "Pause after a failed attempt to connect, so that a host in trouble is not "
                   "flooded."),
    ROW(TIME, probe_min, "5s", 10 * MS, 24 * HOUR,
        .meaning = "Time after which a dead host is probed for the first time. A restart of "
                   "lond takes about as long."),
    ROW(TIME, probe_max, "60s", 10 * MS, 24 * HOUR,
        .meaning = "Longest pause between the probes of a dead host; the pause doubles until "
                   "then. A host that is back is noticed after this time at the latest."),
    ROW(TIME, dead_reminder, "1h", 10 * MS, 24 * HOUR,
        .meaning = "How often the log repeats that a host is dead. Nobody has to search the "
                   "log for it, and it does not fill the log."),
    ROW(TIME, config_retry_min, "1s", 10 * MS, 24 * HOUR,
        .meaning = "Time after which a keeper that found no valid configuration at its start "
                   "first reads the files again. A mount, or the replacement of a file, takes "
                   "about as long."),
    ROW(TIME, config_retry_max, "60s", 10 * MS, 24 * HOUR,
        .meaning = "Longest pause between these attempts to read the configuration; the pause "
                   "doubles until then. A corrected configuration takes effect after this "
                   "time at the latest."),
    ROW(TIME, trouble_retry, "60s", 10 * MS, 24 * HOUR,
        .meaning = "How often the keeper tries again to write or read what has failed: "
                   "log_file, lonc.pid and the ssl files. No event tells when they have been "
                   "mended."),
    ROW(TIME, certificate_warning, "336h", HOUR, 8760 * HOUR,
        .meaning = "How long before an ssl certificate expires the log begins to warn of it, "
                   "once a day. The cluster's CA takes some days to issue a new one."),
    ROW(TIME, certificate_settle, "1s", 10 * MS, HOUR,
        .meaning = "How long after a change the ssl files are read again. Certificate and key "
                   "are seldom written at the same moment."),
    ROW(TIME, deferred_hold, "3s", 10 * MS, HOUR,
        .meaning = "How long a new deferred file is left alone. lonnet reads it back to be "
                   "sure that it was written."),
    ROW(TIME, deferred_empty_timeout, "60s", 10 * MS, 24 * HOUR,
        .meaning = "How long a deferred file may stay empty before it is set aside. lonnet "
                   "writes it in place and may be slow."),
    ROW(TIME, deferred_retry, "60s", 10 * MS, 24 * HOUR,
        .meaning = "Time after which a deferred file that could not be delivered, set aside "
                   "or removed is tried again. The files behind it go on meanwhile."),
    ROW(TIME, deferred_still, "30s", 10 * MS, 24 * HOUR,
        .meaning = "How long a deferred file must have been unchanged where the kernel does "
                   "not tell whether somebody is still writing it: a file that does not "
                   "belong to the keeper's user, or one on a file system without leases."),
    ROW(TIME, deferred_write_timeout, "1h", 10 * MS, 24 * HOUR,
        .meaning = "How long a deferred file may stay open for writing before it is set "
                   "aside. Until then it is left alone, and the files behind it go on."),
    ROW(TIME, deferred_poll, "60s", 10 * MS, 24 * HOUR,
        .meaning = "How often the folder of deferred files is read where the kernel cannot "
                   "report changes in it, for lack of inotify instances or watches."),
    ROW(TIME, deferred_pace, "5ms", MS, HOUR,
        .meaning = "Pause after each deferred file while clients are being served, so that "
                   "delivering files at full speed does not take the machine from them."),
    ROW(TIME, drain_timeout, "10s", 10 * MS, 24 * HOUR,
        .meaning = "How long requests in flight may take to finish when the keeper is told to "
                   "stop. It must be less than the time after which systemd kills the keeper."),
    ROW(TIME, drain_line_timeout, "1s", 10 * MS, 24 * HOUR,
        .meaning = "How much of drain_timeout an unfinished line may take to become a "
                   "request. Most never do."),
    ROW(TIME, keepalive_idle, "60s", S, HOUR, .step = S,
        .meaning = "How long a connection is silent before keep-alive probes it. It should be "
                   "less than the time for which firewalls remember a silent connection."),
    ROW(TIME, keepalive_interval, "10s", S, HOUR, .step = S,
        .meaning = "Pause between keep-alive probes, so that a vanished peer is noticed "
                   "within two minutes."),
    ROW(TIME, unacknowledged_timeout, "30s", S, HOUR,
        .meaning = "How long sent data may stay unacknowledged before the kernel closes the "
                   "connection. By itself it would try for a quarter of an hour."),
};

#define SETTINGS (sizeof(settings_table) / sizeof(settings_table[0]))

/* How many members of struct settings are texts. */
#define TEXTS 7

/* A unit test checks that no two rows have the same member; so every member has its row. */
_Static_assert(TEXTS * sizeof(char *) + (SETTINGS - TEXTS) * sizeof(uint64_t) ==
                   offsetof(struct settings, lines),
               "every member of struct settings has its row in settings_table[]");
_Static_assert(SETTINGS <= SETTINGS_MAX, "every row has a place in struct settings' lines");

const size_t settings_count = SETTINGS;
