/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the stand-in lond share. The settings are one global, `lond`, because a process
 * has one set of them and passing it around a test program would explain nothing.
 */
#ifndef LONC_TESTS_LOND_H
#define LONC_TESTS_LOND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

/* --- The loop (lond.c) --- */

/* Something with a descriptor in the loop. It is the first member of the struct it belongs to. */
struct watch {
    int fd;
    void (*ready)(struct watch *watch, uint32_t events);
};

void loop_add(struct watch *watch, uint32_t events);
void loop_change(struct watch *watch, uint32_t events);
void loop_remove(struct watch *watch);
uint64_t loop_now(void); /* microseconds since the program started */

/* One line on standard error, if --verbose. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
#define SAY(...)                                                                                   \
    do {                                                                                           \
        if (lond.verbose)                                                                          \
            say(__VA_ARGS__);                                                                      \
    } while (0)

__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

/* --- Bytes that grow (buffer.c) --- */

struct buffer {
    char *data;
    size_t length, room;
};

void buffer_reserve(struct buffer *buffer, size_t more); /* room for `more` bytes at the end */
void buffer_append(struct buffer *buffer, const char *data, size_t length);
__attribute__((format(printf, 2, 3))) void buffer_print(struct buffer *buffer, const char *format,
                                                        ...);
void buffer_clear(struct buffer *buffer); /* empties it; keeps the room unless it is large */
void buffer_free(struct buffer *buffer);
void buffer_write_file(const struct buffer *buffer, const char *path); /* atomically */
bool parse_number(const char *text, size_t length, uint64_t most, uint64_t *number);

/* --- Settings (options.c) --- */

#define IDS_MAX 64

/* How lonc and lond authenticate each other (lonc-protocol(7) section 2). */
enum mode { MODE_INSECURE, MODE_SSL, MODE_LOCAL, MODE_COUNT };

struct settings {
    bool verbose, count_texts;
    bool no_accept, no_extra_block, keep_key_file; /* faults that belong to no state */
    bool offers[MODE_COUNT];
    char certificate[1024], authority[1024]; /* PEM files; empty: none */
    int tls_least, tls_most;                 /* versions, as OpenSSL numbers them */
    uint64_t delay, drip;                    /* milliseconds */
    uint64_t max_connections;                /* 0: no limit */
    uint64_t backlog;
    const char *ids[IDS_MAX]; /* none: any */
    size_t id_count;
    const char *peer;
    char build_key[256]; /* empty: another one for each connection */
    char version[64];
    char version_answer[256]; /* empty: made of `version` */
    char challenge[256];      /* empty: digits, others for each connection */
    char refused[64];         /* the requests with this command are answered `refused`; or empty */
    uint64_t refusals;        /* so many of them */
    const char *counts_file, *control, *ready_file;
    int ready_fd;
    unsigned lifetime; /* seconds */
};

extern struct settings lond;

void options_read(int argc, char **argv);
/* `set NAME VALUE` of the control socket: false if there is no such setting or value. */
bool options_set(const char *name, const char *value);

/* --- Faults (fault.c) --- */

/* What lonc waits for, in the words of lonc-protocol(7); lond's own state is implied. */
enum stage {
    STAGE_ACCEPT,
    STAGE_INITIALIZED,
    STAGE_TLS,     /* ssl: TLS's own handshake */
    STAGE_TLS_KEY, /* ssl: the key line inside TLS */
    STAGE_CHALLENGE_REPLIED,
    STAGE_READING_VERSION,
    STAGE_HOST_SET,
    STAGE_RECEIVING_KEY,
    STAGE_IDLE,
    STAGE_RECEIVING_REPLY,
    STAGE_COUNT
};

/* How an answer is given. */
enum manner {
    MANNER_PLAIN,
    MANNER_REFUSE,  /* `refused` instead, then close */
    MANNER_SILENT,  /* nothing, ever */
    MANNER_CLOSE,   /* close without an answer */
    MANNER_RESET,   /* the same with RST */
    MANNER_GARBAGE, /* random bytes and LF instead, then on as if nothing had happened */
    MANNER_NOLINE,  /* bytes without end and without LF */
    MANNER_DRIP,    /* byte by byte */
    MANNER_HALF,    /* the first half, then close */
    MANNER_STALL,   /* the first half, then nothing, ever */
    MANNER_TWO,     /* the answer twice, at once */
    MANNER_LAST,    /* the answer, then close */
    MANNER_SHORT,   /* without its last character */
    MANNER_LONG,    /* with one more */
    MANNER_BARE,    /* without LF */
    /* The rest is for what TLS says. */
    MANNER_ALERT,    /* a fatal alert */
    MANNER_NOTIFY,   /* the answer and close_notify */
    MANNER_FAREWELL, /* close_notify, then close */
    MANNER_TICKET,   /* the answer and a session ticket behind it */
    MANNER_COUNT
};

const char *fault_stage_name(enum stage stage);
/* Adds `KIND@STATE`, `times=N`, `no-accept`, `no-extra-block`, several by commas; `none` heals. */
bool fault_change(const char *text);
enum manner fault_take(enum stage stage); /* what strikes now; uses up one of `times=N` */
void fault_list(struct buffer *out);

/* --- Counters (counts.c) --- */

enum count {
    COUNT_ACCEPTED,
    COUNT_PEAK,
    COUNT_SURPLUS,
    COUNT_HANDSHAKES,
    COUNT_INSECURE, /* handshakes by mode, in the order of enum mode */
    COUNT_SSL,
    COUNT_LOCAL,
    COUNT_TLS_1_0, /* TLS handshakes by version */
    COUNT_TLS_1_1,
    COUNT_TLS_1_2,
    COUNT_TLS_1_3,
    COUNT_TLS_FAILED,
    COUNT_CLIENTS_VERIFIED, /* TLS handshakes with a client certificate of the CA */
    COUNT_WRONG_LINES,
    COUNT_REQUESTS,
    COUNT_ANSWERS,
    COUNT_ENCIPHERED,
    COUNT_MALFORMED,
    COUNT_UNKNOWN,
    COUNT_REFUSED,
    COUNT_OVERLAPPING,
    COUNT_FAULTS,
    COUNT_CLOSED_BY_PEER,
    COUNT_COUNT
};

extern uint64_t counts[COUNT_COUNT];

void counts_log_to(const char *path);
void counts_log(const char *text, size_t length);
void counts_execution(const char *text, size_t length);
uint64_t counts_executed(const char *text, size_t length);
uint64_t counts_distinct(void);
uint64_t counts_repeated(void); /* texts that were executed more than once */
void counts_attempt(void);      /* a connection came now */
void counts_list_attempts(struct buffer *out);
void counts_print(struct buffer *out);
void counts_write_file(void);
void counts_reset(void);

/* --- Connections from lonc (connection.c) --- */

enum doing {
    DOING_READ,    /* waits for a line */
    DOING_TLS,     /* TLS's own handshake */
    DOING_WAIT,    /* has an answer, which is not due yet */
    DOING_WRITE,   /* writes it, as fast as the peer takes it */
    DOING_DRIP,    /* writes it byte by byte */
    DOING_NOTHING, /* fell silent */
    DOING_GONE     /* closed; freed when the loop comes round */
};

enum after {
    AFTER_READ,
    AFTER_CLOSE,
    AFTER_RESET,
    AFTER_NOTHING,
    AFTER_NOTIFY,   /* close_notify, then read in clear text */
    AFTER_FAREWELL, /* close_notify, then close */
    AFTER_TICKET    /* a session ticket, then read in clear text */
};

struct connection {
    struct watch watch;
    LIST_ENTRY(connection) all;
    TAILQ_ENTRY(connection) timed; /* while `due` is not 0 */
    uint64_t due;
    enum stage stage;
    enum doing doing;
    enum after after;
    uint32_t interest;
    bool unwelcome;       /* one too many, or in a mode that is not offered: `refused` */
    bool enciphered;      /* the answer in the making goes out as `enc:` */
    uint64_t pause, pace; /* milliseconds before the answer, and between its bytes */
    struct buffer in, out;
    size_t in_start, in_scanned, sent;
    uint64_t pattern_left; /* goes out before `out` */
    size_t pattern_at;
    enum mode mode;
    struct ssl_st *tls;    /* while all that passes goes through TLS */
    enum manner tls_fault; /* of TLS's own handshake */
    char challenge[256], id[256], build[256];
    char key[33];                      /* the session's, in modes that hand one over as it is */
    struct gcry_cipher_handle *cipher; /* made when first needed */
};

LIST_HEAD(connection_list, connection);
extern struct connection_list connections;

void connection_accept(int fd);
void connection_start_timer(struct connection *connection, uint64_t milliseconds);
void connection_lost(struct connection *connection); /* closed by the peer, or as good as that */
void connection_drop(struct connection *connection, bool reset);
bool connection_is_idle(const struct connection *connection);
bool connection_is_busy(const struct connection *connection);
int64_t connection_next_timeout(void); /* microseconds; -1: none */
void connection_run_timers(void);
void connection_bury(void); /* frees closed connections, once no event can refer to them any more */

/* --- Answers (answer.c) --- */

void answer_initialize(void);
/* The line `text`, unless a fault strikes. The text need not outlive the call. */
void answer_give(struct connection *connection, enum manner manner, const char *text,
                 size_t length);
void answer_text(struct connection *connection, enum manner manner, const char *text);
void answer_pattern(struct connection *connection, uint64_t length); /* `size:` */
/* Sends only this, whatever the request demands. */
void answer_impose(struct connection *connection, enum manner manner, const char *text,
                   size_t length);
/* If lond has nothing to say: only what a fault demands. */
void answer_strike(struct connection *connection, enum stage stage);
void answer_write(struct connection *connection); /* the peer takes more */
void answer_due(struct connection *connection);   /* the pause, or the one between bytes, is over */

/* --- TLS (tls.c) --- */

/* Reads the files again. False, with the reason, if that fails. */
bool tls_prepare(const char **error);
bool tls_parse_versions(const char *text, int *least, int *most); /* 1.2 or 1.0-1.3 */
void tls_begin(struct connection *connection);
void tls_continue(struct connection *connection); /* DOING_TLS, and the peer is ready */
uint32_t tls_interest(const struct connection *connection);
/* As send(2), whether through TLS or not. */
ssize_t tls_send(struct connection *connection, const char *data, size_t length);
void tls_notify(struct connection *connection); /* sends close_notify */
void tls_ticket(struct connection *connection); /* sends a session ticket, where TLS is 1.3 */
void tls_end(struct connection *connection);    /* drops TLS, unannounced; the descriptor stays */
const char *tls_last_failure(void);
const char *tls_last_client(void); /* the common name of its certificate */

/* --- What lonc says (handshake.c, command.c, keyfile.c, idea.c) --- */

void handshake_line(struct connection *connection, const char *line, size_t length);
void handshake_answered(struct connection *connection); /* the answer is out: what is next? */
/* Reads lonc's key file and removes it; false unless it is exactly what lond asks for. */
bool keyfile_take(const char *path, char key[33]);
bool handshake_knows(const char *id, size_t length);
void command_line(struct connection *connection, const char *line, size_t length);
bool command_is_counted(const char *text); /* by text */
void command_print(struct buffer *out);
void command_reset(void);

void idea_initialize(void);
void idea_close(struct connection *connection);
/* `enc:<n>:<hex>` of the text, without LF. */
void idea_encipher(struct connection *connection, const char *text, size_t length,
                   struct buffer *out);
/* The text of a line that starts `enc:`; false unless it is exactly as lonc-protocol(7) says. */
bool idea_decipher(struct connection *connection, const char *line, size_t length,
                   struct buffer *out);

/* --- Listening (listener.c) and control (control.c) --- */

void listener_add(const char *address); /* ADDRESS:PORT */
void listener_open(void);
void listener_close(void);
void listener_watch(void); /* after no_accept changed */
void listener_print(struct buffer *out, const char *separator);
void control_listen(const char *path);

#endif
