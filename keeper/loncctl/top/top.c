/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * top's loop: keys, queries at the keeper, and time. None waits for another: keys work while an
 * answer is on its way.
 */
#include <bsd/string.h>
#include <errno.h>
#include <ncurses.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "common/options.h"
#include "keeper/loncctl/core/ask.h"
#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/core/interrupt.h"
#include "keeper/loncctl/core/query.h"
#include "keeper/loncctl/core/terminal.h"
#include "keeper/loncctl/top/top.h"
#include "keeper/loncctl/top/topscreen.h"

/* Seconds to wait for an answer. */
#define PATIENCE 10

/* Seconds that connecting may take: the only thing that keys have to wait for. */
#define CONNECT_PATIENCE 1

static const unsigned intervals[] = {1, 2, 5, 10, 30, 60};
#define INTERVALS (sizeof(intervals) / sizeof(*intervals))

/* Queries that may be in progress at once. */
enum query_kind { QUERY_STATUS, QUERY_HOSTS, QUERY_ACTION, QUERIES };

struct top {
    const char *socket;
    struct toplist list;
    struct topview view;
    struct query queries[QUERIES];
    double asked[QUERIES]; /* when each was started */
    double next;           /* when to ask for status and hosts again */
    size_t interval;       /* index of `intervals` */
    char selected[256]; /* id of the host that was chosen; empty: the first one, whichever it is */
    char drawn[256];    /* id of the host that the screen shows as selected; keys act on it */
    char action[300];   /* what QUERY_ACTION asks for, without LF */
    char missing[256];  /* why there is no answer; empty if there is one */
    char message[600];  /* what the last key has led to, shown until the next key */
    bool quit;
};

static double clock_now(void)
{
    return (double)monotonic_now() / 1e6;
}

static void set_message(struct top *top, const char *what, const char *more)
{
    snprintf(top->message, sizeof(top->message), "%s: %s", what, more);
}

/* --- The keeper ------------------------------------------------------------------------------- */

static void fail_query(struct top *top, enum query_kind kind, const char *why)
{
    query_end(&top->queries[kind]);
    if (kind == QUERY_ACTION)
        set_message(top, top->action, why);
    else
        snprintf(top->missing, sizeof(top->missing), "no keeper: %s", why);
}

static void start_query(struct top *top, enum query_kind kind, const char *line)
{
    if (top->queries[kind].fd >= 0)
        return; /* the last answer is still on its way */
    int error = query_start(&top->queries[kind], top->socket, line, CONNECT_PATIENCE);
    top->asked[kind] = clock_now();
    if (error < 0)
        fail_query(top, kind, strerror(-error));
}

/* Takes the answer to an action and frees it. */
static void accept_outcome(struct top *top, json_t *outcome)
{
    const json_t *errors = json_object_get(outcome, "errors");
    const char *why = json_string_value(json_array_get(errors, 0));
    set_message(top, top->action,
                field_true(outcome, "ok") ? "done"
                : why != NULL             ? why
                                          : "refused");
    json_decref(outcome);
    top->next = 0; /* show at once what it did */
}

/* Takes an answer and its ownership. */
static void accept_answer(struct top *top, enum query_kind kind, json_t *value)
{
    const char *busy = kind != QUERY_ACTION ? ask_busy_sentence(value) : NULL;
    if (busy != NULL) {
        snprintf(top->missing, sizeof(top->missing), "%s", busy);
        json_decref(value);
        return;
    }
    switch (kind) {
    case QUERY_STATUS:
        toplist_take_status(&top->list, value, clock_now());
        top->missing[0] = '\0';
        break;
    case QUERY_HOSTS:
        toplist_take_hosts(&top->list, value, clock_now());
        break;
    default:
        accept_outcome(top, value);
        break;
    }
}

static void receive_answer(struct top *top, enum query_kind kind)
{
    struct query *query = &top->queries[kind];
    int got = query_receive(query);
    if (got == 0)
        return;
    if (got < 0) {
        fail_query(top, kind, strerror(-got));
        return;
    }
    json_t *value = query_value(query);
    if (value == NULL) {
        fail_query(top, kind, "it hung up");
        return;
    }
    query_end(query);
    accept_answer(top, kind, value);
}

static void give_up_late_queries(struct top *top, double now)
{
    for (int kind = 0; kind < QUERIES; kind++)
        if (top->queries[kind].fd >= 0 && now > top->asked[kind] + PATIENCE)
            fail_query(top, (enum query_kind)kind, "it does not answer");
}

static void ask_when_due(struct top *top, double now)
{
    if (now < top->next)
        return;
    start_query(top, QUERY_STATUS, "status\n");
    start_query(top, QUERY_HOSTS, "hosts\n");
    top->next = now + top->view.interval;
}

/* --- Keys ------------------------------------------------------------------------------------- */

/* Asks the keeper to do something with the selected host; `verb` NULL pauses or resumes it. */
static void start_action(struct top *top, const char *verb)
{
    char line[sizeof(top->action) + 1];
    size_t at = toplist_find(&top->list, top->drawn);
    if (at >= top->list.shown_count || top->queries[QUERY_ACTION].fd >= 0)
        return;
    const struct tophost *host = top->list.shown[at];
    if (strcmp(host->id, top->drawn) != 0)
        return; /* the host has gone since it was drawn */
    if (verb == NULL)
        verb = field_true(host->value, "paused") ? "resume" : "pause";
    snprintf(top->action, sizeof(top->action), "%s %s", verb, host->id);
    snprintf(line, sizeof(line), "%s\n", top->action);
    start_query(top, QUERY_ACTION, line);
}

/* Moves the selection down, or up if `lines` is negative. */
static void move_selection(struct top *top, long lines)
{
    long last = (long)top->list.shown_count - 1, to = (long)top->view.selected + lines;
    if (last < 0)
        return;
    to = to < 0 ? 0 : to > last ? last : to;
    top->view.selected = (size_t)to;
    snprintf(top->selected, sizeof(top->selected), "%s", top->list.shown[to]->id);
}

static void edit_filter(struct top *top, int key)
{
    char filter[FILTER_SIZE];
    strlcpy(filter, top->list.filter, sizeof(filter));
    size_t length = strlen(filter);
    if (key == '\r' || key == '\n' || key == KEY_ENTER) {
        top->view.filtering = false;
        return;
    }
    if (key == 27) { /* escape */
        top->view.filtering = false;
        filter[0] = '\0';
    } else if ((key == KEY_BACKSPACE || key == 127 || key == '\b') && length > 0) {
        filter[length - 1] = '\0';
    } else if (key > ' ' && key < 127 && length + 1 < FILTER_SIZE) {
        filter[length] = (char)key;
        filter[length + 1] = '\0';
    }
    toplist_filter_by(&top->list, filter);
}

static void change_interval(struct top *top, bool longer)
{
    if (longer && top->interval + 1 < INTERVALS)
        top->interval++;
    if (!longer && top->interval > 0)
        top->interval--;
    top->view.interval = intervals[top->interval];
    top->next = 0;
}

static void handle_key(struct top *top, int key)
{
    switch (key) {
    case 'q':
        top->quit = true;
        break;
    case KEY_UP:
    case KEY_DOWN:
        move_selection(top, key == KEY_UP ? -1 : 1);
        break;
    case KEY_PPAGE:
        move_selection(top, -(long)topscreen_page());
        break;
    case KEY_NPAGE:
        move_selection(top, (long)topscreen_page());
        break;
    case KEY_HOME:
        top->selected[0] = '\0';
        break;
    case KEY_END:
        move_selection(top, (long)top->list.shown_count);
        break;
    case 's':
        toplist_sort_by(&top->list, (top->list.sort + 1) % TOPSORT_COUNT);
        break;
    case '/':
        top->view.filtering = true;
        break;
    case 'r':
        start_action(top, "retry");
        break;
    case 'p':
        start_action(top, NULL);
        break;
    case '+':
    case '-':
        change_interval(top, key == '+');
        break;
    default:
        break;
    }
}

static void handle_keys(struct top *top)
{
    int key;
    while ((key = topscreen_key()) != ERR) {
        if (key == KEY_RESIZE)
            continue;
        top->message[0] = '\0';
        if (top->view.filtering)
            edit_filter(top, key);
        else
            handle_key(top, key);
        top->view.selected = toplist_find(&top->list, top->selected);
    }
}

/* --- The loop --------------------------------------------------------------------------------- */

static void draw_screen(struct top *top)
{
    top->view.selected = toplist_find(&top->list, top->selected);
    snprintf(top->drawn, sizeof(top->drawn), "%s",
             top->list.shown_count > 0 ? top->list.shown[top->view.selected]->id : "");
    topscreen_draw(&top->view);
}

/* Waits for an answer, a key or the time to ask again, and receives answers. */
static void wait_for_events(struct top *top, const sigset_t *signals)
{
    double left = top->next - clock_now();
    struct timespec limit = {.tv_sec = (time_t)left};
    struct pollfd wait[QUERIES + 1];
    for (int i = 0; i < QUERIES; i++)
        wait[i] = (struct pollfd){.fd = top->queries[i].fd, .events = POLLIN};
    wait[QUERIES] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    if (left > 0)
        limit.tv_nsec = (long)((left - (double)limit.tv_sec) * 1e9);
    else
        limit = (struct timespec){.tv_sec = 0};
    if (ppoll(wait, QUERIES + 1, &limit, signals) > 0) {
        for (int i = 0; i < QUERIES; i++)
            if (wait[i].fd >= 0 && wait[i].revents != 0)
                receive_answer(top, (enum query_kind)i);
        if (wait[QUERIES].revents & (POLLHUP | POLLERR | POLLNVAL))
            top->quit = true; /* the terminal has gone away */
    }
}

static void run_until_quit(struct top *top, const sigset_t *signals)
{
    while (!top->quit && !interrupt_came()) {
        double now = clock_now();
        give_up_late_queries(top, now);
        ask_when_due(top, now);
        draw_screen(top);
        wait_for_events(top, signals);
        /* Also after a signal: ncurses reports a change of size as a key. */
        handle_keys(top);
    }
}

const struct command_line top_command_line = {.program = "loncctl top", .misuse = LONCCTL_USAGE};

static void expect_no_arguments(int argc, char **argv)
{
    struct options options;
    options_start(&options, &top_command_line, argc, argv);
    while (options_next(&options) != OPTION_END)
        ;
    options_expect_no_words(&options);
}

int loncctl_top(const char *socket, int argc, char **argv)
{
    struct top top = {.socket = socket};
    sigset_t resizes;
    expect_no_arguments(argc, argv);
    if (!terminal.present || !isatty(STDIN_FILENO))
        fail(LONCCTL_USAGE, "top", "needs a terminal; see loncctl hosts");
    for (int i = 0; i < QUERIES; i++)
        top.queries[i].fd = -1;
    top.view = (struct topview){.list = &top.list,
                                .interval = intervals[0],
                                .missing = top.missing,
                                .message = top.message};
    sigset_t signals = interrupt_catch();
    sigemptyset(&resizes);
    sigaddset(&resizes, SIGWINCH);
    sigprocmask(SIG_BLOCK, &resizes, NULL);
    if (!topscreen_open())
        fail(LONCCTL_USAGE, "top", "this terminal is not known; see TERM");
    run_until_quit(&top, &signals);
    topscreen_close();
    for (int i = 0; i < QUERIES; i++)
        query_end(&top.queries[i]);
    toplist_free(&top.list);
    return LONCCTL_DONE;
}
