/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The smaller views: a host's connections, clients, settings, lond's reply, files, events.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/plural.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/views/table.h"
#include "keeper/loncctl/views/view.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

void view_connections(const json_t *answer)
{
    static const struct column columns[] = {
        {.title = "STATE", .least = 8},
        {.title = "MODE"},
        {.title = "TLS", .dispense = 1},
        {.title = "IN USE"},
        {.title = "ADDRESS", .least = 12, .dispense = 2},
    };
    const json_t *connections = json_object_get(answer, "connections"), *connection;
    struct table *table = table_new(columns, COUNT(columns));
    size_t i;
    json_array_foreach(connections, i, connection)
    {
        table_cell(table, STYLE_PLAIN, field_text(connection, "state"));
        table_cell(table, STYLE_PLAIN, field_text(connection, "mode"));
        table_cell(table, STYLE_PLAIN, field_text(connection, "tls"));
        table_cell(table, STYLE_PLAIN, field_true(connection, "busy") ? "yes" : "no");
        table_cell(table, STYLE_PLAIN, field_text(connection, "address"));
    }
    table_print(table);
    table_free(table);
}

void view_clients(const json_t *answer)
{
    static const struct column columns[] = {
        {.title = "PID", .right = true}, {"UID", .right = true}, {"HOST", .least = 12},
        {.title = "STATE", .least = 8},  {"FOR", .right = true},
    };
    const json_t *clients = json_object_get(answer, "clients"), *client;
    struct table *table = table_new(columns, COUNT(columns));
    size_t i;
    json_array_foreach(clients, i, client)
    {
        table_printf(table, STYLE_PLAIN, "%lld", (long long)field_integer(client, "pid"));
        table_printf(table, STYLE_PLAIN, "%lld", (long long)field_integer(client, "uid"));
        table_cell(table, STYLE_PLAIN, field_text(client, "host"));
        table_cell(table, STYLE_PLAIN, field_text(client, "state"));
        table_cell(table, STYLE_PLAIN, display_age(field_number(client, "since")).text);
    }
    table_print(table);
    table_free(table);
    if ((json_int_t)i < field_integer(answer, "total"))
        printf("the first %zu of %lld clients\n", i, (long long)field_integer(answer, "total"));
}

static const char *or_empty(const char *text)
{
    return text != NULL && *text == '\0' ? "(empty)" : text;
}

/* Where a setting's value comes from: "default", "FILE:LINE" or "loncctl". */
static void source_cell(struct table *table, const json_t *setting, const char *file)
{
    json_int_t line = field_integer(setting, "line");
    if (line > 0 && file != NULL)
        table_printf(table, STYLE_PLAIN, "%s:%lld", file, (long long)line);
    else
        table_cell(table, STYLE_PLAIN, field_text(setting, "from"));
}

/* A setting that differs from its default stands out. */
static void add_setting(struct table *table, const json_t *setting, const char *file)
{
    enum style style = field_true(setting, "changed") ? STYLE_HEADING : STYLE_PLAIN;
    table_cell(table, style, field_text(setting, "name"));
    table_cell(table, style, or_empty(field_text(setting, "value")));
    table_cell(table, STYLE_PLAIN, or_empty(field_text(setting, "default")));
    source_cell(table, setting, file);
    table_cell(table, STYLE_PLAIN, field_text(setting, "meaning"));
}

void view_config(const json_t *config)
{
    static const struct column columns[] = {
        {.title = "SETTING", .least = 20},
        {.title = "VALUE", .least = 12},
        {.title = "DEFAULT", .least = 12},
        {.title = "FROM", .least = 16},
        {.title = "MEANING", .least = 20, .dispense = 1},
    };
    const json_t *settings = json_object_get(config, "settings"), *setting;
    const char *file = field_text(config, "file");
    struct table *table = table_new(columns, COUNT(columns));
    size_t i;
    fputs("# ", stdout);
    display_wrapped(2, file != NULL ? file : "-");
    json_array_foreach(settings, i, setting) add_setting(table, setting, file);
    table_print(table);
    table_free(table);
}

/* --- What was done ---------------------------------------------------------------------------- */

/* Restores a reply that was not UTF-8: the keeper sends each of its bytes as the character with
 * that number, which is Latin-1. Returns its length. */
static size_t decode_latin_1(char *bytes, const char *text, size_t length)
{
    char *out = bytes;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte >= 0x80 && i + 1 < length)
            byte = (unsigned char)(byte << 6 | (text[++i] & 0x3f));
        *out++ = (char)byte;
    }
    return (size_t)(out - bytes);
}

void view_reply(const json_t *answer)
{
    const json_t *reply = json_object_get(answer, "reply");
    size_t length = json_string_length(reply);
    if (!json_is_string(reply))
        return;
    char *bytes = must(malloc(length + 1));
    if (field_text(answer, "encoding") != NULL)
        length = decode_latin_1(bytes, json_string_value(reply), length);
    else
        memcpy(bytes, json_string_value(reply), length);
    if (terminal.present) {
        char *clean = display_clean(bytes, length);
        puts(clean);
        free(clean);
    } else {
        fwrite(bytes, 1, length, stdout);
        putchar('\n');
    }
    free(bytes);
}

void view_files(const json_t *answer)
{
    json_int_t files = field_integer(answer, "files");
    printf("%lld file%s\n", (long long)files, plural((uint64_t)files));
}

/* --- Events ----------------------------------------------------------------------------------- */

static enum style event_style(const char *event)
{
    static const struct {
        const char *event;
        enum style style;
    } styles[] = {
        {"host-dead", STYLE_BAD},         {"load-failed", STYLE_BAD},
        {"limit-reached", STYLE_WARNING}, {"handover-refused", STYLE_WARNING},
        {"certificate", STYLE_WARNING},   {"host-back", STYLE_NOTE},
        {"trouble", STYLE_BAD},           {"trouble-over", STYLE_NOTE},
    };
    for (size_t i = 0; i < COUNT(styles); i++)
        if (event != NULL && strcmp(event, styles[i].event) == 0)
            return styles[i].style;
    return STYLE_PLAIN;
}

/* Characters of a time of day with milliseconds: "14:45:33.121". */
#define TIME_LENGTH 12

/* Returns the local time of day, for somebody who watches and knows the date; empty if `iso` is not
 * a time. */
static struct word local_time(const char *iso)
{
    struct word word = {.text = ""};
    struct tm utc = {.tm_year = 0}, local;
    const char *rest = strptime(iso, "%Y-%m-%dT%H:%M:%S", &utc);
    if (rest == NULL || strlen(rest) < 4)
        return word;
    time_t seconds = timegm(&utc);
    localtime_r(&seconds, &local);
    snprintf(word.text, sizeof(word.text), "%02d:%02d:%02d%.4s", local.tm_hour, local.tm_min,
             local.tm_sec, rest);
    return word;
}

static void show_time(const char *iso)
{
    char *clean = display_clean(iso, strlen(iso));
    struct word local = local_time(clean);
    printf("%s%s%s ", terminal_start(STYLE_FAINT),
           terminal.present && *local.text != '\0' ? local.text : clean,
           terminal_stop(STYLE_FAINT));
    free(clean);
}

static const char *or_dash(const char *text)
{
    return text != NULL ? text : "-";
}

void view_event(const json_t *event)
{
    const char *word = or_dash(field_text(event, "event")), *reason = field_text(event, "reason");
    enum style style = event_style(word);
    char *text, *host = display_clean(or_dash(field_text(event, "host")),
                                      strlen(or_dash(field_text(event, "host"))));
    show_time(or_dash(field_text(event, "time")));
    unsigned indent = TIME_LENGTH + 1 + display_width(host) + 1;
    printf("%s%s%s ", terminal_start(style), host, terminal_stop(style));
    if (asprintf(&text, "%s%s%s%s: %s", word, reason != NULL ? " (" : "",
                 reason != NULL ? reason : "", reason != NULL ? ")" : "",
                 or_dash(field_text(event, "message"))) >= 0) {
        display_wrapped(indent, text);
        free(text);
    }
    free(host);
    fflush(stdout);
}
