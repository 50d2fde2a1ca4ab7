/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Clients, up to four at once, that write any bytes in any pieces, leave or fall silent when they
 * like, while londs answer, stall, hang up or cannot be reached, time goes by and the table
 * changes: the input says what happens next. However it goes (keeper/README.md rules 1, 2 and 10):
 *
 *   - each whole line of a client gets one line, in order: its own reply, or con_lost;
 *   - no request reaches a lond twice, and none in clear text that was to be enciphered;
 *   - no text of an `encrypt:` is logged;
 *   - in the end nothing is left: no host, no descriptor, no buffer.
 *
 * Each line is given a serial number at its end ("#12"), by which it is known at lond.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/peer.h"
#include "tests/fuzz/world.h"

#define CLIENTS      4
#define LINES        512 /* of all clients in one input */
#define REPLY        "reply to "
#define ANY_SIZE     (2 * WORLD_LINE_LIMIT)
#define SECRET_LEAST 8

struct line {
    bool executed; /* by a lond */
    bool own;      /* the keeper answers it itself */
    bool deferrable;
};

struct talker {
    int fd;              /* -1: none */
    char line[ANY_SIZE]; /* what it has written of the line under way */
    size_t length;
    bool left;             /* writes no more */
    bool excused;          /* it wrote a line over the limit, or where nobody listened any more */
    unsigned asked[LINES]; /* serials of its lines */
    unsigned lines, answers;
    char in[ANY_SIZE];
    size_t in_length;
};

static struct talker talkers[CLIENTS];
static struct line lines[LINES];
static unsigned line_count;
static char secret[64]; /* the last text that was to be enciphered */

/* What lond does with requests. */
static enum { LOND_ANSWERS, LOND_ENCIPHERS, LOND_HOLDS, LOND_HANGS_UP, LOND_HALF } lond_does;
static struct {
    struct peer *peer;
    unsigned number; /* of its connection: the next in its place has nothing to do with it */
    char text[64];
} held[LINES];
static unsigned held_count;

/* --- lond ------------------------------------------------------------------------------------- */

static void on_asked(struct peer *peer, const char *request, size_t length, bool enciphered)
{
    char reply[64];
    const char *mark = memrchr(request, '#', length);
    CHECK(mark != NULL);
    char number[16] = "";
    size_t digits = (size_t)(request + length - mark) - 1;
    CHECK(digits < sizeof(number));
    memcpy(number, mark + 1, digits);
    unsigned serial = (unsigned)strtoul(number, NULL, 10);
    (void)enciphered;
    CHECK(serial < line_count && !lines[serial].own);
    CHECK(!lines[serial].executed);
    lines[serial].executed = true;

    int n = snprintf(reply, sizeof(reply), REPLY "%u\n", serial);
    switch (lond_does) {
    case LOND_ANSWERS:
        peer_say(peer, reply, (size_t)n);
        break;
    case LOND_ENCIPHERS:
        peer_say_enciphered(peer, reply, (size_t)n - 1);
        break;
    case LOND_HOLDS:
        held[held_count].peer = peer;
        held[held_count].number = peer->number;
        snprintf(held[held_count++].text, sizeof(held->text), "%s", reply);
        break;
    case LOND_HANGS_UP:
        peer_close(peer);
        break;
    case LOND_HALF:
        peer_say(peer, reply, (size_t)n / 2);
        break;
    }
}

static void release_held(void)
{
    for (unsigned i = 0; i < held_count; i++)
        if (held[i].peer->fd >= 0 && held[i].peer->number == held[i].number)
            peer_say(held[i].peer, held[i].text, strlen(held[i].text));
    held_count = 0;
}

/* --- Clients ---------------------------------------------------------------------------------- */

/*
 * A text that is short, or cut short by a NUL as the log would have it, may stand in the log for
 * another reason: the time, a number.
 */
static void keep_secret(const char *text, size_t length)
{
    length = strnlen(text, length);
    if (length >= SECRET_LEAST)
        snprintf(secret, sizeof(secret), "%.*s", (int)length, text);
}

/* The end of a line, numbered unless it is one of those that the keeper knows. */
static size_t end_line(struct talker *talker, char *end)
{
    static const char *const known[] = {"close_connection_exit", "reset_retries"};
    struct line *line = &lines[line_count];
    const char *text = talker->line, *command = text;
    size_t length = talker->length;
    *line = (struct line){.deferrable = length > 11 && memcmp(text, "lonc_defer:", 11) == 0};
    if (line->deferrable)
        command += 11;
    for (size_t i = 0; i < 2; i++)
        line->own |= (size_t)(text + length - command) == strlen(known[i]) &&
                     memcmp(command, known[i], strlen(known[i])) == 0;
    const char *word = memmem(text, length, "encrypt:", 8);
    if (word != NULL)
        keep_secret(word + 8, (size_t)(text + length - word) - 8);
    talker->asked[talker->lines++] = line_count;
    return (size_t)sprintf(end, line->own ? "\n" : "#%u\n", line_count++);
}

static void write_bytes(struct talker *talker, const char *bytes, size_t length)
{
    char out[256 * 16]; /* a line feed becomes a serial number, too */
    size_t n = 0;
    for (size_t i = 0; i < length && line_count < LINES; i++) {
        talker->excused |= talker->length >= WORLD_LINE_LIMIT - 8;
        if (bytes[i] != '\n' || talker->length >= ANY_SIZE) {
            out[n++] = bytes[i];
            if (talker->length < ANY_SIZE)
                talker->line[talker->length] = bytes[i];
            talker->length++;
        } else {
            if (talker->length < ANY_SIZE)
                n += end_line(talker, out + n);
            talker->length = 0;
        }
    }
    if (n > 0 && send(talker->fd, out, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        talker->excused = true;
}

static void check_answer(struct talker *talker, const char *text, size_t length)
{
    char expected[32];
    CHECK(talker->answers < talker->lines);
    unsigned serial = talker->asked[talker->answers++];
    const struct line *line = &lines[serial];
    size_t n = (size_t)snprintf(expected, sizeof(expected), REPLY "%u", serial);
    if (length == n && memcmp(text, expected, n) == 0)
        CHECK(line->executed);
    else if (line->own)
        CHECK((length == 8 && memcmp(text, "con_lost", 8) == 0) ||
              (length == 2 && memcmp(text, "ok", 2) == 0) ||
              (line->deferrable && length == 10 && memcmp(text, "con_failed", 10) == 0));
    else
        CHECK((length == 8 && memcmp(text, "con_lost", 8) == 0) ||
              (line->deferrable && length == 10 && memcmp(text, "con_failed", 10) == 0));
}

static void hang_up(struct talker *talker)
{
    close(talker->fd);
    *talker = (struct talker){.fd = -1};
}

/* What has come, checked; and at the end of the stream, that nothing is missing. */
static void read_answers(struct talker *talker)
{
    ssize_t n;
    while (talker->fd >= 0 &&
           (n = recv(talker->fd, talker->in + talker->in_length,
                     sizeof(talker->in) - talker->in_length, MSG_DONTWAIT)) >= 0) {
        talker->in_length += (size_t)n;
        char *start = talker->in, *end = talker->in + talker->in_length, *lf;
        for (; (lf = memchr(start, '\n', (size_t)(end - start))) != NULL; start = lf + 1)
            check_answer(talker, start, (size_t)(lf - start));
        talker->in_length = (size_t)(end - start);
        memmove(talker->in, start, talker->in_length);
        if (n > 0)
            continue;
        CHECK(talker->in_length == 0);
        CHECK(talker->answers == talker->lines || talker->excused);
        hang_up(talker);
    }
}

static void turn(void)
{
    world_turn();
    for (size_t i = 0; i < CLIENTS; i++)
        if (talkers[i].fd >= 0)
            read_answers(&talkers[i]);
}

static void come(struct talker *talker, unsigned which)
{
    static const char *const names[] = {"msul1", "msul2", "msul.example.edu", "stranger"};
    int far = world_connect(names[which % 4], &talker->fd);
    world.core.loop.now = world.clock;
    CHECK(clients_reserve(world.clients, 1) == 0);
    clients_start(world.clients, far);
}

/* --- What happens ----------------------------------------------------------------------------- */

static void change_world(uint8_t how)
{
    static const uint64_t spans[] = {1000, 50000, 1000000, 5000000, 31000000, 61000000, 301000000};
    struct host *host = RB_MIN(hosts_by_id, &world.hosts.by_id);
    switch (how % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
        world_pass(spans[how % 16]);
        break;
    case 7:
        world_table((how >> 4) % 3);
        break;
    case 8:
        if (host != NULL)
            host_pause(host);
        break;
    case 9:
        if (host != NULL)
            host_resume(host);
        break;
    case 10:
        release_held();
        break;
    case 11:
        peers_refuse = !peers_refuse;
        break;
    case 12:
        hosts_retry(&world.hosts);
        break;
    default:
        lond_does = (how >> 4) % 5;
        break;
    }
}

static void act(struct input *input)
{
    static const char many[256] = "x";
    uint8_t what = input_byte(input);
    struct talker *talker = &talkers[what >> 6];
    size_t length;
    const char *bytes;
    if (talker->fd < 0 && what % 8 < 6)
        come(talker, what >> 3);
    switch (what % 8) {
    case 0:
    case 1:
    case 2:
        length = input_byte(input);
        bytes = input_take(input, &length);
        if (!talker->left)
            write_bytes(talker, bytes, length);
        break;
    case 3:
        for (int i = 0; i < 8 && !talker->left && talker->fd >= 0; i++)
            write_bytes(talker, many, sizeof(many));
        break;
    case 4:
        shutdown(talker->fd, SHUT_WR);
        talker->left = true;
        break;
    case 5:
        hang_up(talker);
        break;
    default:
        change_world(input_byte(input));
        break;
    }
    if (what & 0x20)
        turn();
}

/* Whoever is still there gets its answers: lond is well, and time goes by. */
static void finish(void)
{
    struct host *host;
    world_table(2);
    peers_refuse = false;
    lond_does = LOND_ANSWERS;
    RB_FOREACH (host, hosts_by_id, &world.hosts.by_id)
        host_resume(host);
    turn();
    release_held();
    for (int i = 0; i < 5; i++) {
        world_pass(61000000);
        turn();
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        if (talkers[i].fd < 0)
            continue;
        CHECK(talkers[i].answers == talkers[i].lines || talkers[i].excused);
        hang_up(&talkers[i]);
    }
    world_turn();
}

static void hear_log(int priority, const struct log_about *about, const char *text)
{
    (void)priority;
    (void)about;
    CHECK(secret[0] == '\0' || strstr(text, secret) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = data, .left = size};
    line_count = held_count = 0;
    lond_does = LOND_ANSWERS;
    secret[0] = '\0';
    for (size_t i = 0; i < CLIENTS; i++)
        talkers[i] = (struct talker){.fd = -1};
    peer_asked = on_asked;
    log_also_to(LOG_ALSO_EVENTS, hear_log);
    world_begin();
    while (input.left > 0)
        act(&input);
    turn();
    finish();
    world_end();
    return 0;
}
