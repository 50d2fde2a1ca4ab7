/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The settings of keeper.conf, among them every limit and time-out of the keeper. One table of
 * name, kind, default, bounds and meaning drives parsing, `--check`, reload and the documentation.
 *
 * The file consists of `name = value` lines, comments that start with `#`, and blank lines. How a
 * value is written is in common/setting.h.
 */
#ifndef LONC_COMMON_SETTINGS_H
#define LONC_COMMON_SETTINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/diagnostics.h"
#include "common/log.h"
#include "common/setting.h"

/* How systemd serves a host's socket: with a shim for each connection, or with one for all. */
enum activation { ACTIVATION_PER_CONNECTION, ACTIVATION_SHARED };

/* Versions of TLS, for the oldest one allowed. */
enum tls_version { TLS_VERSION_1_0, TLS_VERSION_1_1, TLS_VERSION_1_2, TLS_VERSION_1_3 };

/* Under which names systemd listens for a host in lonSockDir. */
enum socket_names { SOCKET_NAMES_ID, SOCKET_NAMES_DNS, SOCKET_NAMES_BOTH };

/* Where a host's address comes from if hosts.tab has one. */
enum resolve { RESOLVE_TABLE, RESOLVE_DNS };

/* The table has no more rows than this. */
#define SETTINGS_MAX 128

/* In struct settings' lines: an administrator gave the running program this value. */
#define SETTING_LINE_NONE UINT_MAX

struct settings {
    char *loncapa_conf; /* "": one of loncapa_places */
    char *runtime_dir;
    char *state_dir;
    char *log_file;              /* "": none */
    uint64_t log_target;         /* enum log_target */
    uint64_t log_level;          /* syslog's 0 to 7 */
    uint64_t log_transactions;   /* 0 or 1 */
    uint64_t activation;         /* enum activation */
    char *activation_exceptions; /* lonHostIDs served the other way, separated by blanks */
    uint64_t tls_min_version;    /* enum tls_version */
    uint64_t tls_verify_name;    /* 0 or 1 */
    uint64_t tls_security_level; /* OpenSSL's */
    uint64_t tls_fallback;       /* 0 or 1 */
    char *tls_revocations;       /* "": none */
    uint64_t socket_names;       /* enum socket_names */
    uint64_t resolve;            /* enum resolve */
    char *resolve_servers;       /* as ares_set_servers_ports_csv takes them; "": the system's */

    /* Counts. */
    uint64_t connections_per_host;
    uint64_t queue_per_host;
    uint64_t queue_total;
    uint64_t channel_connections;
    uint64_t control_answers;
    uint64_t control_followers;
    uint64_t control_silent;
    uint64_t descriptor_reserve;
    uint64_t failures_until_dead;
    uint64_t deferred_arrivals;
    uint64_t deferred_attempts;
    uint64_t keepalive_count;
    uint64_t resolve_addresses;
    uint64_t resolve_queries;

    /* Bytes. */
    uint64_t line_limit;
    uint64_t buffers_limit;
    uint64_t deferred_memory;
    uint64_t turn_bytes;

    /* Microseconds. */
    uint64_t connect_timeout;
    uint64_t resolve_timeout;
    uint64_t resolve_cache;
    uint64_t resolve_failure_cache;
    uint64_t handshake_timeout;
    uint64_t reply_timeout;
    uint64_t queue_timeout;
    uint64_t request_timeout;
    uint64_t client_line_timeout;
    uint64_t client_write_timeout;
    uint64_t client_idle_timeout;
    uint64_t client_idle_scarce;
    uint64_t create_timeout;
    uint64_t control_timeout;
    uint64_t connection_idle_timeout;
    uint64_t retry_delay;
    uint64_t probe_min;
    uint64_t probe_max;
    uint64_t dead_reminder;
    uint64_t config_retry_min;
    uint64_t config_retry_max;
    uint64_t trouble_retry;
    uint64_t certificate_warning;
    uint64_t certificate_settle;
    uint64_t deferred_hold;
    uint64_t deferred_empty_timeout;
    uint64_t deferred_retry;
    uint64_t deferred_still;
    uint64_t deferred_write_timeout;
    uint64_t deferred_poll;
    uint64_t deferred_pace;
    uint64_t drain_timeout;
    uint64_t drain_line_timeout;
    uint64_t keepalive_idle;
    uint64_t keepalive_interval;
    uint64_t unacknowledged_timeout; /* TCP_USER_TIMEOUT */

    /* By row of the table: the line of the file that sets it; 0 for a default. */
    unsigned lines[SETTINGS_MAX];
};

extern const struct setting settings_table[];
extern const size_t settings_count;

/*
 * Sets every default, then reads `path`; if `optional`, a file that does not exist is no mistake.
 * Unknown names, values out of bounds and names set twice are reported, and so are settings that
 * contradict each other, such as probe_min above probe_max. A setting with a mistake keeps its
 * default. Returns 0, or -1 if there was a diagnostic. The caller calls settings_free() in either
 * case.
 */
MUST_CHECK int settings_load(struct settings *settings, const char *path, bool optional,
                             struct diagnostics *diagnostics);

/* Whether every text has a value, if only its default: after a lack of memory some are NULL, and
 * the settings must not be used. */
bool settings_are_whole(struct settings *settings);
void settings_free(struct settings *settings);

/* The index in settings_table[] of the setting of this name, or settings_count. */
size_t settings_find(const char *name);

#endif
