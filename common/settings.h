/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The settings of keeper.conf: one table of name, kind, default, bounds and meaning, which drives
 * parsing, `--check`, reload and the manual page. Every bound and time-out of the keeper is here.
 *
 * The file holds `name = value` lines; `#` starts a comment; blank lines mean nothing. Times are a
 * number with a unit (`us`, `ms`, `s`, `min`, `h`; none means seconds, fractions allowed), sizes a
 * whole number with `k`, `M` or `G` (powers of 1024; none means bytes); a blank may stand before a
 * unit.
 */
#ifndef LONC_COMMON_SETTINGS_H
#define LONC_COMMON_SETTINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/diagnostics.h"
#include "common/log.h"

/* How systemd serves a host's socket: by a shim for each connection, or by one for all. */
enum activation { ACTIVATION_PER_CONNECTION, ACTIVATION_SHARED };

/* The oldest version of TLS that is spoken. */
enum tls_version { TLS_VERSION_1_0, TLS_VERSION_1_1, TLS_VERSION_1_2, TLS_VERSION_1_3 };
/* Under which names in lonSockDir systemd listens for a host. */
enum socket_names { SOCKET_NAMES_ID, SOCKET_NAMES_DNS, SOCKET_NAMES_BOTH };
/* Where the address of a host comes from that has one in hosts.tab. */
enum resolve { RESOLVE_TABLE, RESOLVE_DNS };

/* No table is longer. */
#define SETTINGS_MOST 128

/* In the place of a line: the value is an administrator's, given to the running program. */
#define SETTING_LINE_NONE UINT_MAX

struct settings {
    char *loncapa_conf; /* "": where LON-CAPA keeps it */
    char *runtime_dir;
    char *state_dir;
    char *log_file;              /* "": none */
    uint64_t log_target;         /* enum log_target */
    uint64_t log_level;          /* syslog's 0 to 7 */
    uint64_t log_transactions;   /* 0 or 1 */
    uint64_t activation;         /* enum activation */
    char *activation_exceptions; /* host names, the other way */
    uint64_t tls_min_version;    /* enum tls_version */
    uint64_t tls_verify_name;    /* 0 or 1 */
    uint64_t tls_security_level; /* OpenSSL's */
    uint64_t tls_fallback;       /* 0 or 1 */
    char *tls_revocations;       /* "": none */
    uint64_t socket_names;       /* enum socket_names */
    uint64_t resolve;            /* enum resolve */
    char *resolve_servers;       /* as ares_set_servers_ports_csv takes them; "": the system's */

    /* How many. */
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

    /* Microseconds, on the monotonic clock. */
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

    /* By row of the table: the line of the file that the value is from; 0: it is the default. */
    unsigned lines[SETTINGS_MOST];
};

enum setting_kind {
    SETTING_TEXT,    /* char *, an absolute path; low and high bound its length, low 0 allows "" */
    SETTING_NAMES,   /* char *, names of hosts with blanks between; bounds as of a text */
    SETTING_SERVERS, /* char *, ADDRESS[:PORT] with commas between, IPv6 with a port in brackets */
    SETTING_COUNT,   /* uint64_t */
    SETTING_BYTES,   /* uint64_t */
    SETTING_TIME,    /* uint64_t, microseconds */
    SETTING_CHOICE,  /* uint64_t, index into the NULL-terminated list of words */
};

struct setting {
    const char *name;
    enum setting_kind kind;
    size_t offset;             /* in struct settings */
    const char *default_value; /* the default, as one would write it in the file */
    uint64_t low, high;        /* inclusive, in the unit stored */
    uint64_t step;             /* a value is a multiple of it; 0 means any */
    const char *const *words;  /* SETTING_CHOICE only */
    const char *meaning;       /* one sentence, with the reason for the default */
};

extern const struct setting settings_table[];
extern const size_t settings_count;

/*
 * Sets every default, then reads `path`. Where `optional`, a file that does not exist means the
 * defaults (a machine where nobody wrote one). The caller frees with settings_free whatever the
 * result. Unknown names, values out of bounds and a name set twice are complained about; so are
 * settings that contradict each other (probe_min above probe_max; queue_per_host above queue_total;
 * line_limit above buffers_limit). Returns 0, or -1 when there was a diagnostic.
 */
int settings_load(struct settings *settings, const char *path, bool optional,
                  struct diagnostics *diagnostics);
/* Whether each has a value, if only its default: without memory, settings_load may leave texts
 * NULL. */
bool settings_are_whole(struct settings *settings);
void settings_free(struct settings *settings);

/* The row of the setting of this name, or settings_count. */
size_t settings_find(const char *name);

/* The setting's value as one would write it in the file ("30s", "64M"), into `text`. */
void setting_format(const struct setting *setting, const struct settings *settings, char *text,
                    size_t size);

/* The longest expectation, that of log_level, has 60 bytes. */
#define SETTING_EXPECTATION_SIZE 128

/* What a value must be, to be read behind "expected": "a time from 10ms to 5min". */
void setting_expectation(const struct setting *setting, char *text, size_t size);

#endif
