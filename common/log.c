/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The two destinations of the log. What is worth logging is decided elsewhere. Nothing here waits,
 * allocates memory, or fails its caller.
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/log.h"
#include "common/unix.h"

#define TEXT_MAX 1024

/* The ids come from `systemd-id128 new`. units/lonc.catalog explains each event. */
static const struct {
    const char *word, *id;
} events[] = {
    [LOG_EVENT_NONE] = {NULL, NULL},
    [LOG_EVENT_STARTED] = {"started", "b52ee4a4c78a4ccaa69b12e8af2a955a"},
    [LOG_EVENT_STOPPING] = {"stopping", "d5950fccc6f24279ad22a999bbd26f72"},
    [LOG_EVENT_LOADED] = {"loaded", "a5305576ad634f5fa7d2ec0310f4d4f4"},
    [LOG_EVENT_LOAD_FAILED] = {"load-failed", "b78e500c2bc74767a23dbed250062c8f"},
    [LOG_EVENT_HOST_DEAD] = {"host-dead", "8531d056262b474ba433fe8db05ddebf"},
    [LOG_EVENT_HOST_BACK] = {"host-back", "b66493bc46944e53a9548e3c58a6bad6"},
    [LOG_EVENT_LIMIT_REACHED] = {"limit-reached", "71b287c990ab4079a0ba2c593aa0624d"},
    [LOG_EVENT_LIMIT_LEFT] = {"limit-left", "80f03d1aedc341c0ad6ada517918fa01"},
    [LOG_EVENT_HANDOVER_REFUSED] = {"handover-refused", "696120d016584e2fac49261b13962e26"},
    [LOG_EVENT_KEEPER_MISSING] = {"keeper-missing", "1e1a65d2ea2a4253a36715c51baef3f1"},
    [LOG_EVENT_CERTIFICATE] = {"certificate", "8209498bdda04aa69111b4231e9735b6"},
    [LOG_EVENT_DEFERRED] = {"deferred", "d1c10d3480bb4fd3a6e34379fd7194a1"},
    [LOG_EVENT_TROUBLE] = {"trouble", "941aecdd8d2c40b58c84b5ca075cc383"},
    [LOG_EVENT_TROUBLE_OVER] = {"trouble-over", "b8eeec8b07414304a96699d5b5ed0a28"},
};
_Static_assert(sizeof(events) / sizeof(*events) == LOG_EVENT_COUNT, "an event lacks its id");

static struct {
    const char *program;
    int level;
    int journal; /* a connected datagram socket, or -1 */
    void (*also[LOG_ALSO_COUNT])(int priority, const struct log_about *about, const char *text);
} log_state = {.program = "lonc", .level = LOG_DEBUG, .journal = -1};

const char *log_event_word(enum log_event event)
{
    return events[event].word;
}

const char *log_event_id(enum log_event event)
{
    return events[event].id;
}

static int connect_journal(const char *path)
{
    struct sockaddr_un address;
    if (unix_address(&address, path) < 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void log_open(const char *program, enum log_target target, int level, const char *journal)
{
    log_state.program = program;
    log_state.level = level;
    if (log_state.journal >= 0)
        close(log_state.journal);
    log_state.journal = target == LOG_TARGET_STDERR ? -1 : connect_journal(journal);
}

void log_also_to(enum log_also place,
                 void (*write)(int priority, const struct log_about *about, const char *text))
{
    log_state.also[place] = write;
}

/* Replaces by '?' every byte that a terminal or a reader of lines might interpret. */
static void make_printable(char *text)
{
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
            *c = '?';
}

static void write_stderr(const struct log_about *about, const char *text)
{
    char line[TEXT_MAX + 512];
    const char *host = about->host != NULL ? about->host : "";
    int length =
        snprintf(line, sizeof(line) - 1, "%s: %s%s%s%s%s", log_state.program, host,
                 *host != '\0' ? ": " : "", text, about->reason != NULL ? " | reason=" : "",
                 about->reason != NULL ? about->reason : "");
    if (length < 0)
        return;
    make_printable(line);
    size_t end = strlen(line);
    line[end] = '\n';
    /* Under systemd, standard error leads to journald too, and one that hangs must not stop us. */
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&ready, 1, 0) < 1 || (ready.revents & POLLOUT) == 0)
        return;
    ssize_t ignored = write(STDERR_FILENO, line, end + 1);
    (void)ignored;
}

/* A datagram being composed. A field that does not fit is left out. */
struct datagram {
    char bytes[TEXT_MAX + 1024];
    size_t length;
};

/* KEY LF, the length in 64 bits little-endian, the bytes, LF: the form that allows any byte. */
static void add_field(struct datagram *datagram, const char *key, const char *value)
{
    size_t key_length = strlen(key), length = strlen(value);
    uint64_t coded = htole64(length);
    if (datagram->length + key_length + sizeof(coded) + length + 2 > sizeof(datagram->bytes))
        return;
    char *at = datagram->bytes + datagram->length;
    at = mempcpy(at, key, key_length);
    *at++ = '\n';
    at = mempcpy(at, &coded, sizeof(coded));
    at = mempcpy(at, value, length);
    *at++ = '\n';
    datagram->length = (size_t)(at - datagram->bytes);
}

static bool write_journal(int priority, const struct log_about *about, const char *text)
{
    struct datagram datagram = {.length = 0};
    char number[24];

    add_field(&datagram, "MESSAGE", text);
    snprintf(number, sizeof(number), "%d", priority);
    add_field(&datagram, "PRIORITY", number);
    add_field(&datagram, "SYSLOG_IDENTIFIER", log_state.program);
    if (about->event != LOG_EVENT_NONE)
        add_field(&datagram, "MESSAGE_ID", events[about->event].id);
    if (about->host != NULL)
        add_field(&datagram, "LONC_HOST", about->host);
    if (about->client_pid > 0) {
        snprintf(number, sizeof(number), "%ld", (long)about->client_pid);
        add_field(&datagram, "LONC_CLIENT_PID", number);
    }
    if (about->reason != NULL)
        add_field(&datagram, "LONC_REASON", about->reason);
    return send(log_state.journal, datagram.bytes, datagram.length, MSG_NOSIGNAL) >= 0;
}

void log_write(int priority, const struct log_about *about, const char *format, ...)
{
    if (priority > log_state.level)
        return;
    int saved = errno;
    char text[TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);

    static const struct log_about nothing;
    if (about == NULL)
        about = &nothing;
    if (log_state.journal < 0 || !write_journal(priority, about, text))
        write_stderr(about, text);
    for (int place = 0; place < LOG_ALSO_COUNT; place++)
        if (log_state.also[place] != NULL)
            log_state.also[place](priority, about, text);
    errno = saved;
}
