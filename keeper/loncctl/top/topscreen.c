/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Drawing top, whole, at each event: ncurses sends the terminal only what has changed.
 */
#include <math.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keeper/loncctl/top/pen.h"
#include "keeper/loncctl/top/topscreen.h"
#include "keeper/loncctl/views/view.h"

/* Lines for totals and heading, and for the selected host and the keys. */
#define LINES_ABOVE 6
#define LINES_BELOW 2

/* Milliseconds after which an escape is a key of its own, not the beginning of another. */
#define ESCAPE_DELAY 25

/* Values below these do not reach the full height of a graph. */
#define RATE_LEAST    1.0
#define LATENCY_LEAST 0.001
#define QUEUE_LEAST   8.0

/* Width of the graphs of the totals. */
#define TOTAL_GRAPH 20

bool topscreen_open(void)
{
    if (newterm(NULL, stdout, stdin) == NULL)
        return false;
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(ESCAPE_DELAY);
    curs_set(0);
    if (terminal.color && has_colors()) {
        start_color();
        use_default_colors();
        init_pair(STYLE_BAD, COLOR_RED, -1);
        init_pair(STYLE_WARNING, COLOR_YELLOW, -1);
        init_pair(STYLE_NOTE, COLOR_CYAN, -1);
    }
    return true;
}

void topscreen_close(void)
{
    endwin();
}

int topscreen_key(void)
{
    return getch();
}

/* One more while the keeper itself is in trouble. */
static int lines_above = LINES_ABOVE;

size_t topscreen_page(void)
{
    return LINES > lines_above + LINES_BELOW ? (size_t)(LINES - lines_above - LINES_BELOW) : 1;
}

/* --- Totals ----------------------------------------------------------------------------------- */

static void draw_count(struct pen *pen, const json_t *hosts, const char *key, enum style style)
{
    struct word word;
    json_int_t number = field_integer(hosts, key);
    snprintf(word.text, sizeof(word.text), ", %lld %s", (long long)number, key);
    pen_put(pen, number > 0 ? style : STYLE_PLAIN, word.text);
}

static void draw_title(const struct topview *view)
{
    const json_t *status = view->list->status;
    struct pen pen = {.line = 0};
    char text[64], clock[16];
    time_t now = time(NULL);
    struct tm local;
    const char *version = field_text(status, "version");
    pen_put(&pen, STYLE_HEADING, "lonc-keeper ");
    pen_put(&pen, STYLE_HEADING, version != NULL ? version : "-");
    if (*view->missing != '\0') {
        pen_put(&pen, STYLE_BAD, "  ");
        pen_put(&pen, STYLE_BAD, view->missing);
    } else {
        pen_put(&pen, STYLE_PLAIN, "  up for ");
        pen_put(&pen, STYLE_PLAIN, display_age(field_number(status, "up_for")).text);
        if (status != NULL && !field_true(status, "configured"))
            pen_put(&pen, STYLE_BAD, "  NO VALID CONFIGURATION");
        if (field_true(status, "stopping"))
            pen_put(&pen, STYLE_WARNING, "  stopping");
    }
    localtime_r(&now, &local);
    strftime(clock, sizeof(clock), "%H:%M:%S", &local);
    snprintf(text, sizeof(text), "  every %us  %s", view->interval, clock);
    int start = COLS - (int)strlen(text);
    pen.column = pen.column > start ? pen.column : start;
    pen_put(&pen, STYLE_FAINT, text);
}

static void draw_troubles(const json_t *troubles)
{
    struct pen pen = {.line = LINES_ABOVE - 1};
    const json_t *trouble;
    size_t i;
    pen_put(&pen, STYLE_BAD, "TROUBLE  ");
    json_array_foreach(troubles, i, trouble)
    {
        const char *kind = field_text(trouble, "trouble");
        pen_put(&pen, STYLE_PLAIN, i > 0 ? ", " : "");
        pen_put(&pen, STYLE_BAD, kind != NULL ? kind : "-");
        pen_put(&pen, STYLE_PLAIN, " for ");
        pen_put(&pen, STYLE_PLAIN, display_age(field_number(trouble, "for")).text);
    }
    pen_put(&pen, STYLE_FAINT, "; see loncctl status");
}

static void draw_hosts_total(const struct toplist *list)
{
    const json_t *hosts = json_object_get(list->status, "hosts");
    struct pen pen = {.line = 1};
    struct word word;
    snprintf(word.text, sizeof(word.text), "hosts    %lld",
             (long long)field_integer(hosts, "total"));
    pen_put(&pen, STYLE_PLAIN, word.text);
    draw_count(&pen, hosts, "healthy", STYLE_PLAIN);
    draw_count(&pen, hosts, "failing", STYLE_WARNING);
    draw_count(&pen, hosts, "dead", STYLE_BAD);
    draw_count(&pen, hosts, "paused", STYLE_NOTE);
    snprintf(word.text, sizeof(word.text), "   clients %lld",
             (long long)field_integer(list->status, "clients"));
    pen_put(&pen, STYLE_PLAIN, word.text);
}

static void draw_rates(const struct toplist *list)
{
    struct pen pen = {.line = 2};
    pen_put(&pen, STYLE_PLAIN, "requests ");
    pen_put_right(&pen, STYLE_PLAIN, display_rate(list->requests.rate).text, 6);
    pen.column--;
    pen_put(&pen, STYLE_PLAIN, "/s ");
    pen_put_graph(&pen, &list->rates, TOTAL_GRAPH, RATE_LEAST);
    pen_put(&pen, STYLE_PLAIN, "  con_lost ");
    pen_put(&pen, list->con_lost.rate > 0 ? STYLE_WARNING : STYLE_PLAIN,
            display_rate(list->con_lost.rate).text);
    pen_put(&pen, STYLE_PLAIN, "/s");
}

static void draw_times(const struct toplist *list)
{
    const json_t *latency = json_object_get(list->status, "latency");
    struct pen pen = {.line = 3};
    struct word word;
    pen_put(&pen, STYLE_PLAIN, "p99      ");
    pen_put_right(&pen, STYLE_PLAIN, display_latency(field_number(latency, "p99")).text, 6);
    pen.column += 3;
    pen_put_graph(&pen, &list->latencies, TOTAL_GRAPH, LATENCY_LEAST);
    pen_put(&pen, STYLE_PLAIN, "  p50 ");
    pen_put(&pen, STYLE_PLAIN, display_latency(field_number(latency, "p50")).text);
    pen = (struct pen){.line = 4};
    pen_put(&pen, STYLE_PLAIN, "queue    ");
    pen_put_integer(&pen, STYLE_PLAIN, field_integer(list->status, "queued"), 6);
    pen.column += 3;
    pen_put_graph(&pen, &list->queues, TOTAL_GRAPH, QUEUE_LEAST);
    snprintf(word.text, sizeof(word.text), "  deferred %lld",
             (long long)field_integer(list->status, "deferred"));
    pen_put(&pen, STYLE_PLAIN, word.text);
}

/* --- Hosts ------------------------------------------------------------------------------------ */

/* Widths of columns. Three graphs of up to GRAPH_MOST share what is left, then the host gets it. */
#define HOST_LEAST 15
#define STATE      9
#define NUMBER     6
#define QUEUE      5
#define DEFERRED   8
#define FIXED      (STATE + 4 * NUMBER + QUEUE + 10)
#define GRAPH_MOST 16

/* A screen of this width has room for the number of deferred files. */
#define WIDE 100

struct layout {
    unsigned host, graph, deferred;
};

static struct layout make_layout(void)
{
    struct layout layout = {.host = HOST_LEAST, .deferred = COLS >= WIDE ? DEFERRED : 0};
    int left = COLS - FIXED - HOST_LEAST - (layout.deferred > 0 ? DEFERRED + 1 : 0);
    if (left >= 3)
        layout.graph = left / 3 < GRAPH_MOST ? (unsigned)left / 3 : GRAPH_MOST;
    if (left > 3 * (int)layout.graph)
        layout.host += (unsigned)left - 3 * layout.graph;
    return layout;
}

static void draw_heading(const struct layout *layout)
{
    struct pen pen = {.line = lines_above - 1, .base = A_REVERSE};
    attron(A_REVERSE);
    mvhline(pen.line, 0, ' ', COLS);
    attroff(A_REVERSE);
    pen_put_left(&pen, STYLE_PLAIN, "HOST", layout->host);
    pen_put_left(&pen, STYLE_PLAIN, "STATE", STATE);
    pen_put_right(&pen, STYLE_PLAIN, "RATE/S", NUMBER);
    pen.column += (int)layout->graph + (layout->graph > 0);
    pen_put_right(&pen, STYLE_PLAIN, "P50", NUMBER);
    pen_put_right(&pen, STYLE_PLAIN, "P99", NUMBER);
    pen.column += (int)layout->graph + (layout->graph > 0);
    pen_put_right(&pen, STYLE_PLAIN, "QUEUE", QUEUE);
    pen.column += (int)layout->graph + (layout->graph > 0);
    pen_put_right(&pen, STYLE_PLAIN, "LOST/S", NUMBER);
    if (layout->deferred > 0)
        pen_put_right(&pen, STYLE_PLAIN, "DEFERRED", DEFERRED);
}

/* A paused host is called "paused" if it is well, else a "+p" follows its state. */
static void draw_state(struct pen *pen, const json_t *host)
{
    const char *state = field_text(host, "state");
    enum style style = view_state_style(host);
    struct word word;
    snprintf(word.text, sizeof(word.text), "%s%s",
             style == STYLE_NOTE ? "paused" : (state != NULL ? state : "-"),
             style != STYLE_NOTE && field_true(host, "paused") ? "+p" : "");
    pen_put_left(pen, style, word.text, STATE);
}

static void draw_host(const struct tophost *host, const struct layout *layout, int line,
                      bool selected, bool stale)
{
    struct pen pen = {.line = line, .base = selected ? A_STANDOUT : stale ? A_DIM : A_NORMAL};
    if (selected) {
        attron(A_STANDOUT);
        mvhline(line, 0, ' ', COLS);
        attroff(A_STANDOUT);
    }
    pen_put_left(&pen, view_state_style(host->value), host->id, layout->host);
    draw_state(&pen, host->value);
    pen_put_right(&pen, STYLE_PLAIN, display_rate(host->requests.rate).text, NUMBER);
    pen_put_graph(&pen, &host->rates, layout->graph, RATE_LEAST);
    pen_put_right(&pen, STYLE_PLAIN, display_latency(host->p50).text, NUMBER);
    pen_put_right(&pen, STYLE_PLAIN, display_latency(host->p99).text, NUMBER);
    pen_put_graph(&pen, &host->latencies, layout->graph, LATENCY_LEAST);
    pen_put_integer(&pen, STYLE_PLAIN, host->queued, QUEUE);
    pen_put_graph(&pen, &host->queues, layout->graph, QUEUE_LEAST);
    pen_put_right(&pen, host->con_lost.rate > 0 ? STYLE_WARNING : STYLE_PLAIN,
                  display_rate(host->con_lost.rate).text, NUMBER);
    if (layout->deferred > 0)
        pen_put_integer(&pen, STYLE_PLAIN, host->deferred, DEFERRED);
}

static void draw_hosts(struct topview *view)
{
    const struct toplist *list = view->list;
    const struct layout layout = make_layout();
    size_t page = topscreen_page();
    if (view->selected < view->first)
        view->first = view->selected;
    if (view->selected >= view->first + page)
        view->first = view->selected - page + 1;
    draw_heading(&layout);
    for (size_t i = 0; i < page && view->first + i < list->shown_count; i++)
        draw_host(list->shown[view->first + i], &layout, lines_above + (int)i,
                  view->first + i == view->selected, *view->missing != '\0');
    if (list->shown_count == 0 && list->answer != NULL) {
        struct pen pen = {.line = lines_above};
        pen_put(&pen, STYLE_FAINT, list->count > 0 ? "no host matches the filter" : "no hosts");
    }
}

/* --- Below ------------------------------------------------------------------------------------ */

static void draw_and_free(struct pen *pen, const char *before, char *text)
{
    if (text != NULL) {
        pen_put(pen, STYLE_PLAIN, before);
        pen_put(pen, STYLE_PLAIN, text);
    }
    free(text);
}

/* Draws what the last key has led to, or else everything that is known of the selected host. */
static void draw_detail(const struct topview *view)
{
    const struct toplist *list = view->list;
    struct pen pen = {.line = LINES - 2};
    if (*view->message != '\0') {
        pen_put(&pen, STYLE_HEADING, view->message);
        return;
    }
    if (view->selected >= list->shown_count)
        return;
    const json_t *host = list->shown[view->selected]->value;
    double dead_for = field_number(host, "dead_for"), next = field_number(host, "next_attempt_in");
    pen_put(&pen, STYLE_HEADING, field_text(host, "id"));
    pen_put(&pen, STYLE_PLAIN, ": ");
    pen_put(&pen, view_state_style(host), view_state(host).text);
    if (!isnan(dead_for)) {
        pen_put(&pen, STYLE_PLAIN, " for ");
        pen_put(&pen, STYLE_PLAIN, display_age(dead_for).text);
    }
    draw_and_free(&pen, ", ", view_reason(host));
    if (!isnan(next)) {
        pen_put(&pen, STYLE_PLAIN, ", next try in ");
        pen_put(&pen, STYLE_PLAIN, display_age(next).text);
    }
    draw_and_free(&pen, ", at ", view_addresses(host));
    draw_and_free(&pen, ", con_lost: ", view_con_lost(json_object_get(host, "con_lost")));
}

static void draw_key(struct pen *pen, const char *key, const char *meaning)
{
    pen_put(pen, STYLE_HEADING, key);
    pen_put(pen, STYLE_PLAIN, " ");
    pen_put(pen, STYLE_PLAIN, meaning);
    pen_put(pen, STYLE_PLAIN, "  ");
}

static void draw_keys(const struct topview *view)
{
    const struct toplist *list = view->list;
    struct pen pen = {.line = LINES - 1};
    if (view->filtering) {
        draw_key(&pen, "filter:", list->filter);
        pen_put(&pen, STYLE_FAINT, "  (Enter keeps it, Escape clears it)");
        return;
    }
    draw_key(&pen, "q", "quit");
    draw_key(&pen, terminal.utf8 ? "↑↓" : "arrows", "scroll");
    pen_put(&pen, STYLE_HEADING, "s");
    pen_put(&pen, STYLE_PLAIN, " sort: ");
    pen_put(&pen, STYLE_PLAIN, topsort_name(list->sort));
    pen_put(&pen, STYLE_PLAIN, "  ");
    draw_key(&pen, "/", *list->filter != '\0' ? list->filter : "filter");
    draw_key(&pen, "r", "retry");
    draw_key(&pen, "p", "(un)pause");
    draw_key(&pen, "+-", "interval");
}

void topscreen_draw(struct topview *view)
{
    const json_t *troubles = json_object_get(view->list->status, "troubles");
    lines_above = LINES_ABOVE + (json_array_size(troubles) > 0);
    erase();
    draw_title(view);
    draw_hosts_total(view->list);
    draw_rates(view->list);
    draw_times(view->list);
    if (lines_above > LINES_ABOVE)
        draw_troubles(troubles);
    draw_hosts(view);
    draw_detail(view);
    draw_keys(view);
    refresh();
}
