/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verb `page`: asking the keeper, putting the parts together, and putting the page in its
 * place.
 *
 * The page works without scripts and loads nothing, and its Content-Security-Policy makes the
 * browser refuse both, in case a text ever gets past html_put().
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/config.h"
#include "common/draft.h"
#include "common/options.h"
#include "keeper/loncctl/core/ask.h"
#include "keeper/loncctl/core/configured_paths.h"
#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/core/textstream.h"
#include "keeper/loncctl/page/html.h"
#include "keeper/loncctl/page/page.h"
#include "keeper/loncctl/page/page_parts.h"
#include "keeper/loncctl/queue/queue_count.h"

/* --- Asking ----------------------------------------------------------------------------------- */

/* What the keeper has answered; NULL for what it refused to answer. */
struct answers {
    json_t *status, *hosts, *history, *queue;
    const char *why; /* NULL, or why there is nothing to show */
};

/* A keeper that goes away between two answers counts as none. One that refuses a single question,
 * as an older keeper would, counts. */
static struct answers ask_for_page(const char *socket)
{
    struct answers answers = {0};
    struct {
        const char *line;
        json_t **value;
    } questions[] = {{"status\n", &answers.status},
                     {"hosts\n", &answers.hosts},
                     {"history\n", &answers.history}};
    for (size_t i = 0; i < sizeof(questions) / sizeof(*questions) && answers.why == NULL; i++) {
        json_t *value = ask_or_why(socket, questions[i].line, &answers.why);
        if (json_object_get(value, "errors") == NULL)
            *questions[i].value = value;
        else
            json_decref(value);
    }
    const char *folder = json_string_value(json_object_get(answers.status, "deferred_folder"));
    if (folder != NULL)
        answers.queue = queue_count(folder, answers.hosts, NULL);
    if (answers.why == NULL && (answers.status == NULL || answers.hosts == NULL))
        answers.why = "it does not say how it is";
    return answers;
}

static void free_answers(struct answers *answers)
{
    json_decref(answers->status);
    json_decref(answers->hosts);
    json_decref(answers->history);
    json_decref(answers->queue);
}

/* --- The page --------------------------------------------------------------------------------- */

static void put_footer(FILE *to, const json_t *status)
{
    fputs("</main>\n<footer>", to);
    if (status != NULL)
        html_put(to,
                 "<p>lonc-keeper %s, process %d, up for %s. <code>loncctl status</code> and "
                 "<code>loncctl top</code> show the same in a terminal.",
                 field_text(status, "version"), (int)field_integer(status, "pid"),
                 display_age(field_number(status, "up_for")).text);
    fputs("</footer>\n</body>\n</html>\n", to);
}

static void put_page(FILE *to, const struct answers *answers)
{
    time_t written = time(NULL);
    page_top(to, answers->status, answers->why, written);
    if (answers->why == NULL) {
        const json_t *hosts = json_object_get(answers->hosts, "hosts");
        page_troubles(to, json_object_get(answers->status, "troubles"), written);
        page_now(to, answers->status);
        page_hosts_in_trouble(to, hosts, written);
        page_history(to, answers->history);
        page_hosts(to, hosts);
        page_deferred(to, answers->queue);
        page_con_lost(to, json_object_get(answers->status, "con_lost"));
    }
    put_footer(to, answers->why == NULL ? answers->status : NULL);
}

/* Returns the whole page, which the caller frees. */
static char *make_page(const char *socket, size_t *length)
{
    struct textstream page;
    struct answers answers = ask_for_page(socket);
    textstream_open(&page);
    put_page(page.out, &answers);
    free_answers(&answers);
    char *text = textstream_close(&page);
    *length = page.length;
    return text;
}

/* --- The verb --------------------------------------------------------------------------------- */

static const struct option_row option_rows[] = {
    {"config", 'c', "FILE", "read FILE to learn where the page is (" CONFIG_PATH ")"},
};

const struct command_line page_command_line = {
    .program = "loncctl page",
    OPTION_ROWS(option_rows),
    .misuse = LONCCTL_USAGE,
};

int loncctl_page(const char *socket, int argc, char **argv)
{
    struct options options;
    const char *config = NULL;
    options_start(&options, &page_command_line, argc, argv);
    while (options_next(&options) != OPTION_END)
        config = options.value;
    if (options.word_count > 1)
        options_misuse(&page_command_line, "unexpected argument", options.words[1]);
    char *path = options.word_count > 0 ? must(strdup(options.words[0])) : configured_page(config);
    if (path == NULL)
        return LONCCTL_NO; /* the mistakes have been printed */
    size_t length;
    char *text = make_page(socket, &length);
    /* Not durable: the timer writes the page again in a minute. */
    int r = draft_replace(path, text, length, 0644, false);
    if (r < 0)
        fail(LONCCTL_NO, path, strerror(-r));
    free(text);
    free(path);
    return LONCCTL_DONE;
}
