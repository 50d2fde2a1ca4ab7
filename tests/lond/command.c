/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The request lines that the stand-in lond executes, as one table. Except for `ping` they are not
 * those of a real lond: each shows one way in which an answer can come, or fail to.
 */
#include <stdio.h>
#include <string.h>

#include "tests/lond/lond.h"

#define PAUSE_MAX 3600000 /* an hour, in milliseconds */
#define SIZE_MOST (100u << 20)

static const char no_key[] = "error:no --peer, so no key";

struct request {
    struct connection *connection;
    const char *text; /* what follows the command's name */
    size_t length;
};

static void run_ping(struct request *request)
{
    char answer[300];

    snprintf(answer, sizeof(answer), "pong:%s", request->connection->id);
    answer_text(request->connection, MANNER_PLAIN, answer);
}

static void run_echo(struct request *request)
{
    answer_give(request->connection, MANNER_PLAIN, request->text, request->length);
}

static void run_size(struct request *request)
{
    uint64_t size;

    if (parse_number(request->text, request->length, SIZE_MOST, &size))
        answer_pattern(request->connection, size);
    else
        answer_text(request->connection, MANNER_PLAIN, "error:size");
}

/* Removes the `<ms>:` from the beginning of the text. */
static bool take_pause(struct request *request, uint64_t *pause)
{
    const char *colon = memchr(request->text, ':', request->length);
    size_t length = colon != NULL ? (size_t)(colon - request->text) : 0;

    if (colon == NULL || !parse_number(request->text, length, PAUSE_MAX, pause)) {
        answer_text(request->connection, MANNER_PLAIN, "error:milliseconds");
        return false;
    }
    request->text = colon + 1;
    request->length -= length + 1;
    return true;
}

static void run_sleep(struct request *request)
{
    if (take_pause(request, &request->connection->pause))
        run_echo(request);
}

static void run_drip(struct request *request)
{
    if (take_pause(request, &request->connection->pace))
        answer_give(request->connection, MANNER_DRIP, request->text, request->length);
}

static void run_encreply(struct request *request)
{
    request->connection->enciphered = lond.peer != NULL;
    if (lond.peer != NULL)
        run_echo(request);
    else
        answer_text(request->connection, MANNER_PLAIN, no_key);
}

static void run_close(struct request *request)
{
    answer_give(request->connection, MANNER_CLOSE, "", 0);
}

static void run_reset(struct request *request)
{
    answer_give(request->connection, MANNER_RESET, "", 0);
}

static void run_silent(struct request *request)
{
    answer_give(request->connection, MANNER_SILENT, "", 0);
}

static void run_noline(struct request *request)
{
    answer_give(request->connection, MANNER_NOLINE, "", 0);
}

static void run_half(struct request *request)
{
    answer_give(request->connection, MANNER_HALF, request->text, request->length);
}

static void run_stall(struct request *request)
{
    answer_give(request->connection, MANNER_STALL, request->text, request->length);
}

static void run_two(struct request *request)
{
    answer_give(request->connection, MANNER_TWO, request->text, request->length);
}

static void run_last(struct request *request)
{
    answer_give(request->connection, MANNER_LAST, request->text, request->length);
}

static void run_count(struct request *request)
{
    answer_text(request->connection, MANNER_PLAIN, "ok");
}

static void run_unknown(struct request *request)
{
    counts[COUNT_UNKNOWN]++;
    answer_text(request->connection, MANNER_PLAIN, "unknown_cmd");
}

/*
 * A name that ends with a colon takes a text. Plain commands serve as load, so their texts are
 * counted only with --count-texts. The last row matches everything else.
 */
static struct {
    const char *name;
    void (*run)(struct request *request);
    bool plain;
    uint64_t executed;
} commands[] = {
    {"ping", run_ping, true, 0},           {"echo:", run_echo, true, 0},
    {"size:", run_size, true, 0},          {"bytes:", run_echo, true, 0},
    {"sleep:", run_sleep, false, 0},       {"drip:", run_drip, false, 0},
    {"encreply:", run_encreply, false, 0}, {"reply:", run_echo, false, 0},
    {"count:", run_count, false, 0},       {"close", run_close, false, 0},
    {"reset", run_reset, false, 0},        {"silent", run_silent, false, 0},
    {"noline", run_noline, false, 0},      {"half:", run_half, false, 0},
    {"stall:", run_stall, false, 0},       {"two:", run_two, false, 0},
    {"last:", run_last, false, 0},         {"", run_unknown, false, 0},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static size_t find(const char *line, size_t length)
{
    for (size_t i = 0; i < COMMAND_COUNT - 1; i++) {
        size_t size = strlen(commands[i].name);
        bool takes_text = commands[i].name[size - 1] == ':';

        if ((takes_text ? length >= size : length == size) &&
            memcmp(line, commands[i].name, size) == 0)
            return i;
    }
    return COMMAND_COUNT - 1;
}

static bool is_counted(size_t command)
{
    return lond.count_texts || !commands[command].plain;
}

/* Whether lond refuses this command now. Uses up one of the refusals. */
static bool is_refused(const char *text, size_t length)
{
    size_t size = strlen(lond.refused);

    if (size == 0 || lond.refusals == 0 || length < size || memcmp(text, lond.refused, size) != 0 ||
        (length > size && text[size] != ':'))
        return false;
    lond.refusals--;
    counts[COUNT_REFUSED]++;
    return true;
}

/* Executes and counts a command. `whole` is the line as it came, deciphered. */
static void execute(struct request *request, const char *whole, size_t whole_length)
{
    size_t i = find(request->text, request->length);

    if (is_refused(request->text, request->length)) {
        answer_text(request->connection, MANNER_PLAIN, "refused");
        return;
    }
    commands[i].executed++;
    counts_log(whole, whole_length);
    if (is_counted(i))
        counts_execution(whole, whole_length);
    request->text += strlen(commands[i].name);
    request->length -= strlen(commands[i].name);
    commands[i].run(request);
}

/*
 * A request may name its host, `sethost:<id>:<request>`, and so may a line of its own. The
 * connection is that host's from then on, as with the real lond. Moves past it; false when that was
 * all, or an error, and the answer has been given.
 */
static bool take_sethost(struct connection *connection, const char **line, size_t *length)
{
    const char *id = *line + strlen("sethost:"), *end = *line + *length, *colon;

    if (*length <= strlen("sethost:") || memcmp(*line, "sethost:", strlen("sethost:")) != 0)
        return true;
    colon = memchr(id, ':', (size_t)(end - id));
    if (colon == NULL)
        colon = end;
    if ((size_t)(colon - id) >= sizeof(connection->id) ||
        !handshake_knows(id, (size_t)(colon - id))) {
        answer_text(connection, MANNER_PLAIN, "error:no such host");
        return false;
    }
    snprintf(connection->id, sizeof(connection->id), "%.*s", (int)(colon - id), id);
    if (colon == end) {
        answer_text(connection, MANNER_PLAIN, "ok");
        return false;
    }
    *line = colon + 1;
    *length = (size_t)(end - *line);
    return true;
}

static void execute_for_host(struct connection *connection, const char *line, size_t length)
{
    const char *text = line;
    size_t rest = length;

    if (take_sethost(connection, &text, &rest))
        execute(&(struct request){connection, text, rest}, line, length);
}

static bool is_enciphered(const char *line, size_t length)
{
    return length >= strlen("enc:") && memcmp(line, "enc:", strlen("enc:")) == 0;
}

static void execute_enciphered(struct connection *connection, const char *line, size_t length)
{
    struct buffer clear = {0};

    counts[COUNT_ENCIPHERED]++;
    if (lond.peer == NULL) {
        answer_text(connection, MANNER_PLAIN, no_key);
        return;
    }
    if (idea_decipher(connection, line, length, &clear)) {
        connection->enciphered = true;
        SAY("%d enciphered: %.*s", connection->watch.fd, (int)clear.length, clear.data);
        execute_for_host(connection, clear.data, clear.length);
    } else {
        counts[COUNT_MALFORMED]++;
        answer_text(connection, MANNER_PLAIN, "error:malformed enc");
    }
    buffer_free(&clear);
}

void command_line(struct connection *connection, const char *line, size_t length)
{
    const char *text = line;
    size_t rest = length;

    counts[COUNT_REQUESTS]++;
    connection->stage = STAGE_RECEIVING_REPLY;
    if (!take_sethost(connection, &text, &rest))
        return;
    if (is_enciphered(text, rest))
        execute_enciphered(connection, text, rest);
    else
        execute(&(struct request){connection, text, rest}, line, length);
}

bool command_is_counted(const char *text)
{
    const char *request = text;

    if (strncmp(text, "sethost:", strlen("sethost:")) == 0) {
        request = strchr(text + strlen("sethost:"), ':');
        request = request != NULL ? request + 1 : text;
    }
    return is_counted(find(request, strlen(request)));
}

/* As a JSON object, without the colons of the names. */
void command_print(struct buffer *out)
{
    buffer_print(out, "{");
    for (size_t i = 0; i < COMMAND_COUNT - 1; i++)
        buffer_print(out, "%s\"%.*s\":%lu", i > 0 ? "," : "", (int)strcspn(commands[i].name, ":"),
                     commands[i].name, commands[i].executed);
    buffer_print(out, "}");
}

void command_reset(void)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        commands[i].executed = 0;
}
