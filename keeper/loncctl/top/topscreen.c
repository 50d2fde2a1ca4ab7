/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Drawing top. Every text is cut where its column ends, so that nothing ever wraps.
 */
#include <math.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keeper/loncctl/top/topscreen.h"
#include "keeper/loncctl/views/view.h"

/* Totals and the heading; the selected host and the keys. */
#define LINES_ABOVE 6
#define LINES_BELOW 2

/* How long a lone escape may be the start of a key, in milliseconds. */
#define ESCAPE_DELAY 25

/* What a graph's bars are as high as at least. */
#define RATE_LEAST    1.0
#define LATENCY_LEAST 0.001
#define QUEUE_LEAST   8.0

/* Characters of the totals' graphs. */
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
    if (terminal.colour && has_colors()) {
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

/* While the keeper itself is in trouble there is a line more above. */
static int lines_above = LINES_ABOVE;

size_t topscreen_page(void)
{
    return LINES > lines_above + LINES_BELOW ? (size_t)(LINES - lines_above - LINES_BELOW) : 1;
}

/* --- Pieces of a line ------------------------------------------------------------------------- */

/* Where the next piece goes. */
struct pen {
    int line, column;
    attr_t base; /* of all of the line */
};

static attr_t attributes(enum style style)
{
    switch (style) {
    case STYLE_BAD:
        return A_BOLD | (attr_t)COLOR_PAIR(STYLE_BAD);
    case STYLE_WARNING:
    case STYLE_NOTE:
        return (attr_t)COLOR_PAIR(style);
    case STYLE_HEADING:
        return A_BOLD;
    case STYLE_FAINT:
        return A_DIM;
    case STYLE_PLAIN:
        break;
    }
    return A_NORMAL;
}

/* A clean text, cut at `width` characters and at the edge of the screen; the pen moves behind it.
 */
static void put_clean(struct pen *pen, enum style style, const char *clean, unsigned width)
{
    int room = COLS - pen->column;
    if (room <= 0)
        return;
    if (width > (unsigned)room)
        width = (unsigned)room;
    size_t fits = display_fit(clean, width);
    attr_t wanted = pen->base | attributes(style);
    attron(wanted);
    mvaddnstr(pen->line, pen->column, clean, (int)fits);
    attroff(wanted);
    unsigned all = display_width(clean);
    pen->column += (int)(all < width ? all : width);
}

static void put(struct pen *pen, enum style style, const char *text)
{
    char *clean = display_clean(text, strlen(text));
    put_clean(pen, style, clean, (unsigned)COLS);
    free(clean);
}

/* In a column of `width` characters, and one blank behind it. */
static void put_left(struct pen *pen, enum style style, const char *text, unsigned width)
{
    int next = pen->column + (int)width + 1;
    char *clean = display_clean(text, strlen(text));
    put_clean(pen, style, clean, width);
    free(clean);
    pen->column = next;
}

/* The same, on the right of it; what is too long loses its end. */
static void put_right(struct pen *pen, enum style style, const char *text, unsigned width)
{
    unsigned length = (unsigned)strlen(text);
    int next = pen->column + (int)width + 1;
    pen->column += length < width ? (int)(width - length) : 0;
    put_clean(pen, style, text, width);
    pen->column = next;
}

static void put_graph(struct pen *pen, const struct series *series, unsigned width, double least)
{
    char text[GRAPH_SIZE];
    if (width == 0)
        return;
    graph_draw(text, series, width, least, terminal.utf8);
    put_left(pen, STYLE_NOTE, text, width);
}

static void put_integer(struct pen *pen, enum style style, json_int_t number, unsigned width)
{
    struct word word;
    int length = snprintf(word.text, sizeof(word.text), "%lld", (long long)number);
    if (length > (int)width) /* a million in thousands says enough */
        snprintf(word.text, sizeof(word.text), "%lldk", (long long)number / 1000);
    put_right(pen, style, word.text, width);
}

/* --- Totals ----------------------------------------------------------------------------------- */

static void put_count(struct pen *pen, const json_t *hosts, const char *key, enum style style)
{
    struct word word;
    json_int_t number = field_integer(hosts, key);
    snprintf(word.text, sizeof(word.text), ", %lld %s", (long long)number, key);
    put(pen, number > 0 ? style : STYLE_PLAIN, word.text);
}

static void draw_title(const struct topview *view)
{
    const json_t *status = view->list->status;
    struct pen pen = {.line = 0};
    char text[64], clock[16];
    time_t now = time(NULL);
    struct tm local;
    const char *version = field_text(status, "version");
    put(&pen, STYLE_HEADING, "lonc-keeper ");
    put(&pen, STYLE_HEADING, version != NULL ? version : "-");
    if (*view->missing != '\0') {
        put(&pen, STYLE_BAD, "  ");
        put(&pen, STYLE_BAD, view->missing);
    } else {
        put(&pen, STYLE_PLAIN, "  up for ");
        put(&pen, STYLE_PLAIN, display_age(field_number(status, "up_for")).text);
        if (status != NULL && !field_true(status, "configured"))
            put(&pen, STYLE_BAD, "  NO VALID CONFIGURATION");
        if (field_true(status, "stopping"))
            put(&pen, STYLE_WARNING, "  stopping");
    }
    localtime_r(&now, &local);
    strftime(clock, sizeof(clock), "%H:%M:%S", &local);
    snprintf(text, sizeof(text), "  every %us  %s", view->interval, clock);
    int start = COLS - (int)strlen(text);
    pen.column = pen.column > start ? pen.column : start;
    put(&pen, STYLE_FAINT, text);
}

/* Each of the keeper's own troubles, and since when. */
static void draw_troubles(const json_t *troubles)
{
    struct pen pen = {.line = LINES_ABOVE - 1};
    const json_t *trouble;
    size_t i;
    put(&pen, STYLE_BAD, "TROUBLE  ");
    json_array_foreach(troubles, i, trouble)
    {
        const char *kind = field_text(trouble, "trouble");
        put(&pen, STYLE_PLAIN, i > 0 ? ", " : "");
        put(&pen, STYLE_BAD, kind != NULL ? kind : "-");
        put(&pen, STYLE_PLAIN, " for ");
        put(&pen, STYLE_PLAIN, display_age(field_number(trouble, "for")).text);
    }
    put(&pen, STYLE_FAINT, "; see loncctl status");
}

static void draw_hosts_total(const struct toplist *list)
{
    const json_t *hosts = json_object_get(list->status, "hosts");
    struct pen pen = {.line = 1};
    struct word word;
    snprintf(word.text, sizeof(word.text), "hosts    %lld",
             (long long)field_integer(hosts, "total"));
    put(&pen, STYLE_PLAIN, word.text);
    put_count(&pen, hosts, "healthy", STYLE_PLAIN);
    put_count(&pen, hosts, "failing", STYLE_WARNING);
    put_count(&pen, hosts, "dead", STYLE_BAD);
    put_count(&pen, hosts, "paused", STYLE_NOTE);
    snprintf(word.text, sizeof(word.text), "   clients %lld",
             (long long)field_integer(list->status, "clients"));
    put(&pen, STYLE_PLAIN, word.text);
}

static void draw_rates(const struct toplist *list)
{
    struct pen pen = {.line = 2};
    put(&pen, STYLE_PLAIN, "requests ");
    put_right(&pen, STYLE_PLAIN, display_rate(list->requests.rate).text, 6);
    pen.column--;
    put(&pen, STYLE_PLAIN, "/s ");
    put_graph(&pen, &list->rates, TOTAL_GRAPH, RATE_LEAST);
    put(&pen, STYLE_PLAIN, "  con_lost ");
    put(&pen, list->con_lost.rate > 0 ? STYLE_WARNING : STYLE_PLAIN,
        display_rate(list->con_lost.rate).text);
    put(&pen, STYLE_PLAIN, "/s");
}

static void draw_times(const struct toplist *list)
{
    const json_t *latency = json_object_get(list->status, "latency");
    struct pen pen = {.line = 3};
    struct word word;
    put(&pen, STYLE_PLAIN, "p99      ");
    put_right(&pen, STYLE_PLAIN, display_latency(field_number(latency, "p99")).text, 6);
    pen.column += 3;
    put_graph(&pen, &list->latencies, TOTAL_GRAPH, LATENCY_LEAST);
    put(&pen, STYLE_PLAIN, "  p50 ");
    put(&pen, STYLE_PLAIN, display_latency(field_number(latency, "p50")).text);
    pen = (struct pen){.line = 4};
    put(&pen, STYLE_PLAIN, "queue    ");
    put_integer(&pen, STYLE_PLAIN, field_integer(list->status, "queued"), 6);
    pen.column += 3;
    put_graph(&pen, &list->queues, TOTAL_GRAPH, QUEUE_LEAST);
    snprintf(word.text, sizeof(word.text), "  deferred %lld",
             (long long)field_integer(list->status, "deferred"));
    put(&pen, STYLE_PLAIN, word.text);
}

/* --- Hosts ------------------------------------------------------------------------------------ */

/* Widths: what has no fixed one gets what is left, the graphs up to GRAPH_MOST each. */
#define HOST_LEAST 15
#define STATE      9
#define NUMBER     6
#define QUEUE      5
#define DEFERRED   8
#define FIXED      (STATE + 4 * NUMBER + QUEUE + 10)
#define GRAPH_MOST 16

/* From so many columns on there is room for how much is deferred. */
#define WIDE 100

struct layout {
    unsigned host, graph, deferred;
};

static struct layout lay_out(void)
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
    put_left(&pen, STYLE_PLAIN, "HOST", layout->host);
    put_left(&pen, STYLE_PLAIN, "STATE", STATE);
    put_right(&pen, STYLE_PLAIN, "RATE/S", NUMBER);
    pen.column += (int)layout->graph + (layout->graph > 0);
    put_right(&pen, STYLE_PLAIN, "P50", NUMBER);
    put_right(&pen, STYLE_PLAIN, "P99", NUMBER);
    pen.column += (int)layout->graph + (layout->graph > 0);
    put_right(&pen, STYLE_PLAIN, "QUEUE", QUEUE);
    pen.column += (int)layout->graph + (layout->graph > 0);
    put_right(&pen, STYLE_PLAIN, "LOST/S", NUMBER);
    if (layout->deferred > 0)
        put_right(&pen, STYLE_PLAIN, "DEFERRED", DEFERRED);
}

/* "paused" when that is all there is to say, else a sign of it. */
static void put_state(struct pen *pen, const json_t *host)
{
    const char *state = field_text(host, "state");
    enum style style = view_state_style(host);
    struct word word;
    snprintf(word.text, sizeof(word.text), "%s%s",
             style == STYLE_NOTE ? "paused" : (state != NULL ? state : "-"),
             style != STYLE_NOTE && field_true(host, "paused") ? "+p" : "");
    put_left(pen, style, word.text, STATE);
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
    put_left(&pen, view_state_style(host->value), host->id, layout->host);
    put_state(&pen, host->value);
    put_right(&pen, STYLE_PLAIN, display_rate(host->requests.rate).text, NUMBER);
    put_graph(&pen, &host->rates, layout->graph, RATE_LEAST);
    put_right(&pen, STYLE_PLAIN, display_latency(host->p50).text, NUMBER);
    put_right(&pen, STYLE_PLAIN, display_latency(host->p99).text, NUMBER);
    put_graph(&pen, &host->latencies, layout->graph, LATENCY_LEAST);
    put_integer(&pen, STYLE_PLAIN, host->queued, QUEUE);
    put_graph(&pen, &host->queues, layout->graph, QUEUE_LEAST);
    put_right(&pen, host->con_lost.rate > 0 ? STYLE_WARNING : STYLE_PLAIN,
              display_rate(host->con_lost.rate).text, NUMBER);
    if (layout->deferred > 0)
        put_integer(&pen, STYLE_PLAIN, host->deferred, DEFERRED);
}

static void draw_hosts(struct topview *view)
{
    const struct toplist *list = view->list;
    const struct layout layout = lay_out();
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
        put(&pen, STYLE_FAINT, list->count > 0 ? "no host matches the filter" : "no hosts");
    }
}

/* --- Below ------------------------------------------------------------------------------------ */

static void put_and_free(struct pen *pen, const char *before, char *text)
{
    if (text != NULL) {
        put(pen, STYLE_PLAIN, before);
        put(pen, STYLE_PLAIN, text);
    }
    free(text);
}

/* What the last key came to, or all of what is known of the selected host. */
static void draw_detail(const struct topview *view)
{
    const struct toplist *list = view->list;
    struct pen pen = {.line = LINES - 2};
    if (*view->message != '\0') {
        put(&pen, STYLE_HEADING, view->message);
        return;
    }
    if (view->selected >= list->shown_count)
        return;
    const json_t *host = list->shown[view->selected]->value;
    double dead_for = field_number(host, "dead_for"), next = field_number(host, "next_attempt_in");
    put(&pen, STYLE_HEADING, field_text(host, "id"));
    put(&pen, STYLE_PLAIN, ": ");
    put(&pen, view_state_style(host), view_state(host).text);
    if (!isnan(dead_for)) {
        put(&pen, STYLE_PLAIN, " for ");
        put(&pen, STYLE_PLAIN, display_age(dead_for).text);
    }
    put_and_free(&pen, ", ", view_reason(host));
    if (!isnan(next)) {
        put(&pen, STYLE_PLAIN, ", next try in ");
        put(&pen, STYLE_PLAIN, display_age(next).text);
    }
    put_and_free(&pen, ", at ", view_addresses(host));
    put_and_free(&pen, ", con_lost: ", view_con_lost(json_object_get(host, "con_lost")));
}

static void put_key(struct pen *pen, const char *key, const char *meaning)
{
    put(pen, STYLE_HEADING, key);
    put(pen, STYLE_PLAIN, " ");
    put(pen, STYLE_PLAIN, meaning);
    put(pen, STYLE_PLAIN, "  ");
}

static void draw_keys(const struct topview *view)
{
    const struct toplist *list = view->list;
    struct pen pen = {.line = LINES - 1};
    if (view->filtering) {
        put_key(&pen, "filter:", list->filter);
        put(&pen, STYLE_FAINT, "  (enter: keep, escape: none)");
        return;
    }
    put_key(&pen, "q", "quit");
    put_key(&pen, terminal.utf8 ? "↑↓" : "arrows", "scroll");
    put(&pen, STYLE_HEADING, "s");
    put(&pen, STYLE_PLAIN, " sort: ");
    put(&pen, STYLE_PLAIN, topsort_name(list->sort));
    put(&pen, STYLE_PLAIN, "  ");
    put_key(&pen, "/", *list->filter != '\0' ? list->filter : "filter");
    put_key(&pen, "r", "retry");
    put_key(&pen, "p", "(un)pause");
    put_key(&pen, "+-", "interval");
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
