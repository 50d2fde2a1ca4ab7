/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * top's loop: keys, questions to the keeper, and the time. Nobody waits for anybody: while an
 * answer comes, keys are obeyed.
 */
#include <errno.h>
#include <ncurses.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "keeper/loncctl/core/ask.h"
#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/core/interrupt.h"
#include "keeper/loncctl/core/terminal.h"
#include "keeper/loncctl/top/top.h"
#include "keeper/loncctl/top/topscreen.h"

/* Seconds that the keeper may be silent. */
#define PATIENCE 10

/* Seconds that connecting may take: it is the one thing that keys wait for. */
#define CONNECT_PATIENCE 1

static const unsigned intervals[] = {1, 2, 5, 10, 30, 60};
#define INTERVALS (sizeof(intervals) / sizeof(*intervals))

/* What is asked of the keeper, each by itself. */
enum { STATUS, HOSTS, ACTION, QUESTIONS };

struct top {
    const char *socket;
    struct toplist list;
    struct topview view;
    struct asking questions[QUESTIONS];
    double asked[QUESTIONS]; /* when */
    double next;             /* when to ask for status and hosts again */
    size_t interval;         /* in intervals */
    char selected[256];      /* the host that was chosen; empty: whoever is first */
    char drawn[256];         /* the host that was selected on the screen, which keys mean */
    char action[300];        /* the request of ACTION, without its LF */
    char missing[256], message[600];
    bool quit;
};

static double clock_now(void)
{
    return (double)monotonic_now() / 1e6;
}

/* Until the next key. */
static void say(struct top *top, const char *what, const char *more)
{
    snprintf(top->message, sizeof(top->message), "%s: %s", what, more);
}

/* --- The keeper ------------------------------------------------------------------------------- */

static void lost(struct top *top, int question, const char *why)
{
    asking_end(&top->questions[question]);
    if (question == ACTION)
        say(top, top->action, why);
    else
        snprintf(top->missing, sizeof(top->missing), "no keeper: %s", why);
}

static void start(struct top *top, int question, const char *line)
{
    if (top->questions[question].fd >= 0)
        return; /* the last answer is on its way still */
    int error = asking_start(&top->questions[question], top->socket, line, CONNECT_PATIENCE);
    top->asked[question] = clock_now();
    if (error < 0)
        lost(top, question, strerror(-error));
}

/* What the keeper made of an action. */
static void take_verdict(struct top *top, json_t *verdict)
{
    const json_t *errors = json_object_get(verdict, "errors");
    const char *why = json_string_value(json_array_get(errors, 0));
    say(top, top->action, field_true(verdict, "ok") ? "done" : why != NULL ? why : "refused");
    json_decref(verdict);
    top->next = 0; /* to see what it did */
}

static void take(struct top *top, int question, json_t *value)
{
    const char *busy = question != ACTION ? turned_away(value) : NULL;
    if (busy != NULL) {
        snprintf(top->missing, sizeof(top->missing), "%s", busy);
        json_decref(value);
        return;
    }
    switch (question) {
    case STATUS:
        toplist_take_status(&top->list, value, clock_now());
        top->missing[0] = '\0';
        break;
    case HOSTS:
        toplist_take_hosts(&top->list, value, clock_now());
        break;
    default:
        take_verdict(top, value);
        break;
    }
}

static void receive(struct top *top, int question)
{
    struct asking *asking = &top->questions[question];
    int got = asking_receive(asking);
    if (got == 0)
        return;
    if (got < 0) {
        lost(top, question, strerror(-got));
        return;
    }
    json_t *value = asking_value(asking);
    if (value == NULL) {
        lost(top, question, "it hung up");
        return;
    }
    asking_end(asking);
    take(top, question, value);
}

static void give_up(struct top *top, double now)
{
    for (int question = 0; question < QUESTIONS; question++)
        if (top->questions[question].fd >= 0 && now > top->asked[question] + PATIENCE)
            lost(top, question, "it does not answer");
}

static void ask_again(struct top *top, double now)
{
    if (now < top->next)
        return;
    start(top, STATUS, "status\n");
    start(top, HOSTS, "hosts\n");
    top->next = now + top->view.interval;
}

/* --- Keys ------------------------------------------------------------------------------------- */

static void act(struct top *top, const char *verb)
{
    char line[sizeof(top->action) + 1];
    size_t at = toplist_find(&top->list, top->drawn);
    if (at >= top->list.shown_count || top->questions[ACTION].fd >= 0)
        return;
    const struct tophost *host = top->list.shown[at];
    if (strcmp(host->id, top->drawn) != 0)
        return; /* it went before the key came */
    if (verb == NULL)
        verb = field_true(host->value, "paused") ? "resume" : "pause";
    snprintf(top->action, sizeof(top->action), "%s %s", verb, host->id);
    snprintf(line, sizeof(line), "%s\n", top->action);
    start(top, ACTION, line);
}

/* So many lines down, or up. */
static void move_by(struct top *top, long lines)
{
    long last = (long)top->list.shown_count - 1, to = (long)top->view.selected + lines;
    if (last < 0)
        return;
    to = to < 0 ? 0 : to > last ? last : to;
    top->view.selected = (size_t)to;
    snprintf(top->selected, sizeof(top->selected), "%s", top->list.shown[to]->id);
}

static void type_filter(struct top *top, int key)
{
    char *filter = top->list.filter;
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
    toplist_arrange(&top->list);
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

static void obey(struct top *top, int key)
{
    switch (key) {
    case 'q':
        top->quit = true;
        break;
    case KEY_UP:
    case KEY_DOWN:
        move_by(top, key == KEY_UP ? -1 : 1);
        break;
    case KEY_PPAGE:
        move_by(top, -(long)topscreen_page());
        break;
    case KEY_NPAGE:
        move_by(top, (long)topscreen_page());
        break;
    case KEY_HOME:
        top->selected[0] = '\0';
        break;
    case KEY_END:
        move_by(top, (long)top->list.shown_count);
        break;
    case 's':
        top->list.sort = (top->list.sort + 1) % TOPSORT_COUNT;
        toplist_arrange(&top->list);
        break;
    case '/':
        top->view.filtering = true;
        break;
    case 'r':
        act(top, "retry");
        break;
    case 'p':
        act(top, NULL);
        break;
    case '+':
    case '-':
        change_interval(top, key == '+');
        break;
    default:
        break;
    }
}

static void obey_keys(struct top *top)
{
    int key;
    while ((key = topscreen_key()) != ERR) {
        if (key == KEY_RESIZE)
            continue;
        top->message[0] = '\0';
        if (top->view.filtering)
            type_filter(top, key);
        else
            obey(top, key);
        top->view.selected = toplist_find(&top->list, top->selected);
    }
}

/* --- The loop --------------------------------------------------------------------------------- */

static void draw(struct top *top)
{
    top->view.selected = toplist_find(&top->list, top->selected);
    snprintf(top->drawn, sizeof(top->drawn), "%s",
             top->list.shown_count > 0 ? top->list.shown[top->view.selected]->id : "");
    topscreen_draw(&top->view);
}

/* Until something comes, or it is time to ask again. */
static void wait_for_something(struct top *top, const sigset_t *signals)
{
    double left = top->next - clock_now();
    struct timespec limit = {.tv_sec = (time_t)left};
    struct pollfd wait[QUESTIONS + 1];
    for (int i = 0; i < QUESTIONS; i++)
        wait[i] = (struct pollfd){.fd = top->questions[i].fd, .events = POLLIN};
    wait[QUESTIONS] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    if (left > 0)
        limit.tv_nsec = (long)((left - (double)limit.tv_sec) * 1e9);
    else
        limit = (struct timespec){.tv_sec = 0};
    if (ppoll(wait, QUESTIONS + 1, &limit, signals) > 0) {
        for (int i = 0; i < QUESTIONS; i++)
            if (wait[i].fd >= 0 && wait[i].revents != 0)
                receive(top, i);
        if (wait[QUESTIONS].revents & (POLLHUP | POLLERR | POLLNVAL))
            top->quit = true; /* the terminal has gone */
    }
}

static void run(struct top *top, const sigset_t *signals)
{
    while (!top->quit && !interrupt_came()) {
        double now = clock_now();
        give_up(top, now);
        ask_again(top, now);
        draw(top);
        wait_for_something(top, signals);
        /* After a signal, too: a change of size is a key. */
        obey_keys(top);
    }
}

int loncctl_top(const char *socket, int argc, char **argv)
{
    struct top top = {.socket = socket};
    sigset_t resizes;
    if (argc > 1)
        fail(LONCCTL_USAGE, argv[1], "top takes no arguments");
    if (!terminal.present || !isatty(STDIN_FILENO))
        fail(LONCCTL_USAGE, "top", "this is not a terminal; see loncctl hosts");
    for (int i = 0; i < QUESTIONS; i++)
        top.questions[i].fd = -1;
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
    run(&top, &signals);
    topscreen_close();
    for (int i = 0; i < QUESTIONS; i++)
        asking_end(&top.questions[i]);
    toplist_free(&top.list);
    return LONCCTL_DONE;
}
