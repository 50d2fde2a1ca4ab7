/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What loncctl makes of the keeper's answers, should they be anything else than those. The first
 * byte chooses who looks at the JSON behind it: one of the views, metrics, the page, or top's list.
 * Nothing of an answer reaches a terminal, a scraper or a browser as anything but text.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/core/query.h"
#include "keeper/loncctl/metrics/metrics.h"
#include "keeper/loncctl/page/page.h"
#include "keeper/loncctl/top/toplist.h"
#include "keeper/loncctl/views/view.h"
#include "tests/fuzz/fuzz.h"

json_t *__wrap_ask_or_why(const char *path, const char *line, const char **why);

/* Everything the keeper answers: {"status": .., "hosts": .., "history": .., "histograms": ..} */
static json_t *answers;

json_t *__wrap_ask_or_why(const char *path, const char *line, const char **why)
{
    (void)path;
    char *verb = strndup(line, strcspn(line, "\n"));
    CHECK(verb != NULL);
    json_t *answer = json_incref(json_object_get(answers, verb));
    *why = answer == NULL ? "it hung up" : *why;
    free(verb);
    return answer;
}

/* --- What is written -------------------------------------------------------------------------- */

static char *text;
static size_t length;
static FILE *terminal_before;

static void start_hearing(void)
{
    terminal_before = stdout;
    stdout = open_memstream(&text, &length);
    CHECK(stdout != NULL);
}

static void stop_hearing(void)
{
    CHECK(fclose(stdout) == 0);
    stdout = terminal_before;
}

/* The locale is C: every byte that is no ASCII is shown as \xNN. */
static void check_printable(void)
{
    for (size_t i = 0; i < length; i++)
        CHECK((text[i] >= ' ' && text[i] <= '~') || text[i] == '\n');
}

static void check_metrics(void)
{
    for (const char *line = text, *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        CHECK(end != NULL);
        CHECK(strncmp(line, "# ", 2) == 0 || strncmp(line, "lonc_", 5) == 0);
    }
    CHECK(length == 0 || strcmp(text + length - strlen("# EOF\n"), "# EOF\n") == 0);
}

/* No attribute of the page is an event's: then a text from outside has left its quotes. */
static void check_attributes(const char *tag)
{
    bool quoted = false;
    for (; *tag != '\0' && (quoted || *tag != '>'); tag++) {
        if (*tag == '"')
            quoted = !quoted;
        CHECK(quoted || strncasecmp(tag, " on", 3) != 0);
    }
    CHECK(*tag == '>');
}

static void check_markup(const char *page)
{
    static const char *const tags[] = {
        "!doctype", "html",       "head",    "meta",    "title",  "link", "style", "body",
        "header",   "main",       "footer",  "section", "h1",     "h2",   "h3",    "p",
        "b",        "i",          "a",       "ul",      "ol",     "li",   "dl",    "dt",
        "dd",       "div",        "span",    "small",   "code",   "time", "table", "caption",
        "thead",    "tbody",      "tr",      "th",      "td",     "svg",  "g",     "path",
        "figure",   "figcaption", "details", "summary", "circle", "line", "abbr",
    };
    for (const char *at = page; (at = strchr(at, '<')) != NULL; at++) {
        const char *name = at + 1 + (at[1] == '/');
        size_t n = strcspn(name, " />"), i = 0;
        while (i < sizeof(tags) / sizeof(*tags) &&
               (strlen(tags[i]) != n || strncasecmp(name, tags[i], n) != 0))
            i++;
        CHECK(i < sizeof(tags) / sizeof(*tags));
        check_attributes(name);
    }
}

/* --- Who looks -------------------------------------------------------------------------------- */

static void look_at_metrics(void)
{
    char *words[] = {(char[]){"metrics"}, NULL};
    /* Without all three there is no keeper, which ends the program. */
    if (json_object_get(answers, "status") == NULL || json_object_get(answers, "hosts") == NULL ||
        json_object_get(answers, "histograms") == NULL)
        return;
    CHECK(loncctl_metrics("/keeper", 1, words) == LONCCTL_DONE);
}

static void look_at_page(void)
{
    char path[128];
    static char page[1 << 20];
    snprintf(path, sizeof(path), "%s/lonc.html", fuzz_folder());
    char *words[] = {(char[]){"page"}, path, NULL};
    /* It would read any folder. */
    json_object_del(json_object_get(answers, "status"), "deferred_folder");
    CHECK(loncctl_page("/keeper", 2, words) == LONCCTL_DONE);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
    fclose(file);
    check_markup(page);
}

static void look_at_list(void)
{
    struct toplist list = {.sort = TOPSORT_TROUBLE};
    for (unsigned i = 0; i < TOPSORT_COUNT; i++) {
        toplist_take_status(&list, json_incref(json_object_get(answers, "status")), i);
        toplist_take_hosts(&list, json_incref(json_object_get(answers, "hosts")), i);
        toplist_sort_by(&list, i);
        toplist_filter_by(&list, i % 2 ? "msul" : "");
        CHECK(list.shown_count <= list.count);
        CHECK(toplist_find(&list, "msul1") <= list.shown_count);
    }
    toplist_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const views[])(const json_t *) = {
        view_status, view_hosts, view_connections, view_clients, view_config,
        view_queue,  view_files, view_event,       view_reply,
    };
    enum { VIEWS = sizeof(views) / sizeof(*views) };
    struct input input = {.data = data, .left = size};
    unsigned choice = input_byte(&input) % (VIEWS + 3);
    const struct query query = {.bytes = (char *)(uintptr_t)input.data, .length = input.left};
    answers = query_value(&query);
    if (answers == NULL)
        return 0;
    start_hearing();
    if (choice < VIEWS)
        views[choice](answers);
    else if (choice == VIEWS)
        look_at_metrics();
    else if (choice == VIEWS + 1)
        look_at_page();
    else
        look_at_list();
    stop_hearing();
    if (choice < VIEWS - 1)
        check_printable();
    else if (choice == VIEWS)
        check_metrics();
    free(text);
    json_decref(answers);
    return 0;
}
