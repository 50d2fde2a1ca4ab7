/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The smaller answers: a host's connections, clients, settings, lond's reply, files, events.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper/loncctl/table.h"
#include "keeper/loncctl/view.h"

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

/* The text as it is, and what is no text as JSON has it. The caller frees it; NULL without a value.
 */
static char *value_text(const json_t *value)
{
    if (value == NULL || json_is_null(value))
        return NULL;
    return json_is_string(value) ? strdup(json_string_value(value))
                                 : json_dumps(value, JSON_ENCODE_ANY);
}

/* A setting that somebody has changed stands out. */
static void add_setting(struct table *table, const json_t *setting)
{
    const json_t *line = json_object_get(setting, "line");
    bool set = json_is_integer(line);
    char *value = value_text(json_object_get(setting, "value"));
    char *usual = value_text(json_object_get(setting, "default"));
    table_cell(table, set ? STYLE_HEADING : STYLE_PLAIN, field_text(setting, "name"));
    table_cell(table, set ? STYLE_HEADING : STYLE_PLAIN, value);
    table_cell(table, STYLE_PLAIN, usual);
    if (set)
        table_printf(table, STYLE_PLAIN, "line %lld", (long long)json_integer_value(line));
    else
        table_cell(table, STYLE_PLAIN, "default");
    table_cell(table, STYLE_PLAIN, field_text(setting, "meaning"));
    free(value);
    free(usual);
}

void view_config(const json_t *config)
{
    static const struct column columns[] = {
        {.title = "SETTING", .least = 20},
        {.title = "VALUE", .least = 12},
        {.title = "DEFAULT", .least = 12},
        {.title = "FROM"},
        {.title = "MEANING", .least = 20, .dispense = 1},
    };
    const json_t *settings = json_object_get(config, "settings"), *setting;
    const char *file = field_text(config, "file");
    struct table *table = table_new(columns, COUNT(columns));
    size_t i;
    fputs("# ", stdout);
    display_wrapped(2, file != NULL ? file : "-");
    json_array_foreach(settings, i, setting) add_setting(table, setting);
    table_print(table);
    table_free(table);
}

/* --- What a verb did -------------------------------------------------------------------------- */

void view_reply(const json_t *answer)
{
    const json_t *reply = json_object_get(answer, "reply");
    size_t length = json_string_length(reply);
    if (!json_is_string(reply))
        return;
    if (terminal.present) {
        char *clean = display_clean(json_string_value(reply), length);
        puts(clean);
        free(clean);
    } else {
        fwrite(json_string_value(reply), 1, length, stdout);
        putchar('\n');
    }
}

void view_file(const json_t *answer)
{
    const char *file = field_text(answer, "file");
    if (file != NULL)
        display_wrapped(0, file);
}

void view_files(const json_t *answer)
{
    json_int_t files = field_integer(answer, "files");
    printf("%lld file%s\n", (long long)files, files == 1 ? "" : "s");
}

/* --- Events ----------------------------------------------------------------------------------- */

static enum style event_style(const char *event)
{
    static const struct {
        const char *event;
        enum style style;
    } styles[] = {{"dead", STYLE_BAD}, {"failing", STYLE_WARNING}};
    for (size_t i = 0; i < COUNT(styles); i++)
        if (event != NULL && strcmp(event, styles[i].event) == 0)
            return styles[i].style;
    return STYLE_PLAIN;
}

/* Where in an ISO 8601 time the time of day starts, and how long it is with its milliseconds. */
#define TIME_AT     11
#define TIME_LENGTH 12

/* Somebody who watches knows what day it is. */
static void show_time(const char *time)
{
    char *clean = display_clean(time, strlen(time));
    bool day_too = !terminal.present || strlen(clean) < TIME_AT + TIME_LENGTH;
    printf("%s%.*s%s ", terminal_start(STYLE_FAINT), day_too ? -1 : TIME_LENGTH,
           day_too ? clean : clean + TIME_AT, terminal_stop(STYLE_FAINT));
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
