/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the stand-in lond counts, so that a test can prove "exactly once": events, executions of
 * each request text, and when connections came. Texts are identified by a 64-bit hash and their
 * length, so a million large requests take 24 bytes each. A collision is less likely than a broken
 * test.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lond/lond.h"

#define ATTEMPTS_KEPT 1024
#define LOGGED_MOST   80 /* bytes of a request */

struct execution {
    uint64_t hash;
    uint64_t length;
    uint64_t times; /* 0: a free place */
};

uint64_t counts[COUNT_COUNT];

static struct execution *executions; /* open addressing; `places` is a power of two */
static size_t places, taken, repeated;
static int executions_log = -1;
static uint64_t attempts[ATTEMPTS_KEPT], attempt_count;

static const char *const names[] = {
    [COUNT_ACCEPTED] = "accepted",
    [COUNT_PEAK] = "peak",
    [COUNT_SURPLUS] = "surplus",
    [COUNT_HANDSHAKES] = "handshakes",
    [COUNT_INSECURE] = "insecure",
    [COUNT_SSL] = "ssl",
    [COUNT_LOCAL] = "local",
    [COUNT_TLS_1_0] = "tls_1_0",
    [COUNT_TLS_1_1] = "tls_1_1",
    [COUNT_TLS_1_2] = "tls_1_2",
    [COUNT_TLS_1_3] = "tls_1_3",
    [COUNT_TLS_FAILED] = "tls_failed",
    [COUNT_CLIENTS_VERIFIED] = "clients_verified",
    [COUNT_WRONG_LINES] = "wrong_lines",
    [COUNT_REQUESTS] = "requests",
    [COUNT_ANSWERS] = "answers",
    [COUNT_ENCIPHERED] = "enciphered",
    [COUNT_MALFORMED] = "malformed",
    [COUNT_UNKNOWN] = "unknown",
    [COUNT_REFUSED] = "refused",
    [COUNT_OVERLAPPING] = "overlapping",
    [COUNT_FAULTS] = "faults",
    [COUNT_CLOSED_BY_PEER] = "closed_by_peer",
};
_Static_assert(sizeof(names) / sizeof(names[0]) == COUNT_COUNT, "a name for each");

/* FNV-1a. */
static uint64_t hash_text(const char *text, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
    return hash;
}

/* Its place, or the free place where it belongs. */
static struct execution *find(struct execution *table, size_t size, uint64_t hash, uint64_t length)
{
    size_t place = (size_t)(hash ^ hash >> 32) & (size - 1);

    while (table[place].times != 0 && (table[place].hash != hash || table[place].length != length))
        place = (place + 1) & (size - 1);
    return &table[place];
}

/* At most half full, so that a search is short. */
static void make_room(void)
{
    size_t more = places > 0 ? places * 2 : 1024;
    struct execution *table;

    if (taken * 2 < places)
        return;
    table = calloc(more, sizeof(*table));
    if (table == NULL)
        fail("no memory to count %zu texts", more);
    for (size_t i = 0; i < places; i++)
        if (executions[i].times != 0)
            *find(table, more, executions[i].hash, executions[i].length) = executions[i];
    free(executions);
    executions = table;
    places = more;
}

void counts_log_to(const char *path)
{
    executions_log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (executions_log < 0)
        fail("%s: %s", path, strerror(errno));
}

/* Counted before the answer is sent, so a text that is missing here was not executed. */
void counts_log(const char *text, size_t length)
{
    char line[LOGGED_MOST + 1];

    if (executions_log < 0)
        return;
    if (length > LOGGED_MOST)
        length = LOGGED_MOST;
    memcpy(line, text, length);
    line[length] = '\n';
    if (write(executions_log, line, length + 1) != (ssize_t)length + 1)
        fail("the log of executions: %s", strerror(errno));
}

void counts_execution(const char *text, size_t length)
{
    uint64_t hash = hash_text(text, length);
    struct execution *execution;

    make_room();
    execution = find(executions, places, hash, length);
    if (execution->times == 0) {
        execution->hash = hash;
        execution->length = length;
        taken++;
    } else if (execution->times == 1) {
        repeated++;
    }
    execution->times++;
}

uint64_t counts_executed(const char *text, size_t length)
{
    return places == 0 ? 0 : find(executions, places, hash_text(text, length), length)->times;
}

uint64_t counts_distinct(void)
{
    return taken;
}

uint64_t counts_repeated(void)
{
    return repeated;
}

void counts_attempt(void)
{
    attempts[attempt_count++ % ATTEMPTS_KEPT] = loop_now() / 1000;
}

void counts_list_attempts(struct buffer *out)
{
    uint64_t first = attempt_count > ATTEMPTS_KEPT ? attempt_count - ATTEMPTS_KEPT : 0;

    buffer_print(out, "[");
    for (uint64_t i = first; i < attempt_count; i++)
        buffer_print(out, "%s%lu", i > first ? "," : "", attempts[i % ATTEMPTS_KEPT]);
    buffer_print(out, "]");
}

void counts_print(struct buffer *out)
{
    unsigned all = 0, open = 0, idle = 0, busy = 0;
    struct connection *connection;

    LIST_FOREACH (connection, &connections, all) {
        all++;
        open += connection->stage >= STAGE_IDLE;
        idle += connection_is_idle(connection);
        busy += connection_is_busy(connection);
    }
    buffer_print(out, "{\"uptime_ms\":%lu,\"connections\":%u,\"open\":%u,\"idle\":%u,\"busy\":%u",
                 loop_now() / 1000, all, open, idle, busy);
    for (size_t i = 0; i < COUNT_COUNT; i++)
        buffer_print(out, ",\"%s\":%lu", names[i], counts[i]);
    buffer_print(out, ",\"distinct\":%zu,\"repeated\":%zu,\"commands\":", taken, repeated);
    command_print(out);
    buffer_print(out, "}");
}

void counts_write_file(void)
{
    struct buffer text = {0};

    if (lond.counts_file == NULL)
        return;
    counts_print(&text);
    buffer_append(&text, "\n", 1);
    buffer_write_file(&text, lond.counts_file);
    buffer_free(&text);
}

/* The peak starts again at what is open now. */
void counts_reset(void)
{
    struct connection *connection;

    memset(counts, 0, sizeof(counts));
    LIST_FOREACH (connection, &connections, all) {
        counts[COUNT_PEAK]++;
    }
    free(executions);
    executions = NULL;
    places = taken = repeated = 0;
    attempt_count = 0;
    command_reset();
}
