/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What top makes of one answer after another: rates, graphs, order and filter.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "keeper/loncctl/top/toplist.h"

static struct toplist list;

static void begin(void)
{
    list = (struct toplist){.sort = TOPSORT_NAME};
}

static void end(void)
{
    toplist_free(&list);
}

TestSuite(toplist, .init = begin, .fini = end);

/* --- Helpers ---------------------------------------------------------------------------------- */

static json_t *host(const char *id, const char *state, int requests, int lost)
{
    return json_pack("{s:s, s:s, s:s+, s:i, s:i, s:{s:i, s:i}, s:{s:f, s:f}}", "id", id, "state",
                     state, "name", id, ".example.edu", "requests", requests, "queued", 0,
                     "con_lost", "dead", lost, "lost", lost, "latency", "p50", 0.001, "p99", 0.002);
}

static void take_hosts(double now, json_t *one, json_t *two, json_t *three)
{
    json_t *hosts = json_array();
    json_array_append_new(hosts, one);
    json_array_append_new(hosts, two);
    json_array_append_new(hosts, three);
    toplist_take_hosts(&list, json_pack("{s:o}", "hosts", hosts), now);
}

/* The ids that are shown, with blanks between. */
static const char *shown(void)
{
    static char ids[256];
    size_t length = 0;
    ids[0] = '\0';
    for (size_t i = 0; i < list.shown_count; i++)
        length += (size_t)snprintf(ids + length, sizeof(ids) - length, "%s%s", i > 0 ? " " : "",
                                   list.shown[i]->id);
    return ids;
}

static const struct tophost *find(const char *id)
{
    const struct tophost *found = list.shown[toplist_find(&list, id)];
    cr_assert_str_eq(found->id, id);
    return found;
}

static void expect_order(enum topsort sort, const char *ids)
{
    toplist_sort_by(&list, sort);
    cr_expect_str_eq(shown(), ids, "by %s: %s", topsort_name(sort), shown());
}

/* --- Rates ------------------------------------------------------------------------------------ */

Test(toplist, a_rate_needs_two_answers)
{
    take_hosts(10, host("a", "healthy", 100, 1), host("b", "healthy", 0, 0),
               host("c", "dead", 5, 0));
    cr_expect(isnan(find("a")->requests.rate));
    take_hosts(12, host("a", "healthy", 150, 2), host("b", "healthy", 0, 0),
               host("c", "dead", 5, 0));
    cr_expect_eq(find("a")->requests.rate, 25);
    cr_expect_eq(find("a")->con_lost.rate, 1, "both causes count");
    cr_expect_eq(find("b")->requests.rate, 0);
}

Test(toplist, a_counter_that_went_back_is_a_new_keeper_and_has_no_rate)
{
    take_hosts(10, host("a", "healthy", 100, 0), host("b", "healthy", 0, 0),
               host("c", "dead", 0, 0));
    take_hosts(12, host("a", "healthy", 4, 0), host("b", "healthy", 0, 0), host("c", "dead", 0, 0));
    cr_expect(isnan(find("a")->requests.rate));
    take_hosts(14, host("a", "healthy", 8, 0), host("b", "healthy", 0, 0), host("c", "dead", 0, 0));
    cr_expect_eq(find("a")->requests.rate, 2);
}

Test(toplist, a_host_keeps_its_series_wherever_it_stands_and_a_new_one_starts_its_own)
{
    take_hosts(1, host("a", "healthy", 0, 0), host("b", "healthy", 0, 0), host("c", "dead", 0, 0));
    take_hosts(2, host("d", "healthy", 50, 0), host("c", "dead", 0, 0), host("b", "healthy", 7, 0));
    cr_expect_eq(find("b")->requests.rate, 7);
    cr_expect_eq(find("b")->rates.count, 2);
    cr_expect(isnan(find("d")->requests.rate));
    cr_expect_eq(find("d")->rates.count, 1);
    cr_expect_str_eq(shown(), "b c d");
}

Test(toplist, the_keeper_has_rates_of_its_own)
{
    for (int i = 0; i < 2; i++)
        toplist_take_status(&list,
                            json_pack("{s:i, s:i, s:{s:i}, s:{s:f}}", "requests", 100 * i, "queued",
                                      3, "con_lost", "dead", 10 * i, "latency", "p99", 0.5),
                            10 + 2 * i);
    cr_expect_eq(list.requests.rate, 50);
    cr_expect_eq(list.con_lost.rate, 5);
    cr_expect_eq(list.rates.count, 2);
    cr_expect_eq(list.queues.values[0], 3);
    cr_expect_eq(list.latencies.values[1], 0.5F);
}

Test(toplist, an_answer_that_is_none_leaves_an_empty_list)
{
    toplist_take_hosts(&list, json_pack("{s:[{s:i}, n]}", "hosts", "id", 7), 1);
    cr_expect_eq(list.shown_count, 0);
    cr_expect_eq(toplist_find(&list, "a"), 0);
    toplist_take_status(&list, json_null(), 1);
    cr_expect(isnan(list.requests.rate));
}

/* --- Order and filter ------------------------------------------------------------------------- */

/* a is busy, b has failures, c is dead, each is first by something. */
static void take_three(void)
{
    take_hosts(1, host("c", "dead", 0, 0), host("b", "failing", 0, 0), host("a", "healthy", 0, 0));
    json_t *a = host("a", "healthy", 900, 0), *b = host("b", "failing", 20, 30),
           *c = host("c", "dead", 1, 1);
    json_object_set_new(b, "queued", json_integer(9));
    json_object_set_new(c, "deferred", json_integer(5));
    json_object_set_new(json_object_get(b, "latency"), "p99", json_null());
    json_object_set_new(json_object_get(c, "latency"), "p99", json_real(7));
    take_hosts(2, b, c, a);
}

Test(toplist, hosts_are_sorted_by_what_was_chosen_the_most_first)
{
    take_three();
    expect_order(TOPSORT_NAME, "a b c");
    expect_order(TOPSORT_TROUBLE, "c b a");
    expect_order(TOPSORT_RATE, "a b c");
    expect_order(TOPSORT_LATENCY, "c a b"); /* what is not known comes last */
    expect_order(TOPSORT_QUEUE, "b a c");
    expect_order(TOPSORT_CON_LOST, "b c a");
    expect_order(TOPSORT_DEFERRED, "c a b");
}

Test(toplist, of_hosts_in_the_same_state_the_busier_is_first_and_paused_comes_before_healthy)
{
    json_t *paused = host("c", "healthy", 0, 0), *queued = host("b", "healthy", 0, 0);
    json_object_set_new(paused, "paused", json_true());
    json_object_set_new(queued, "queued", json_integer(1));
    take_hosts(1, host("a", "healthy", 0, 0), queued, paused);
    expect_order(TOPSORT_TROUBLE, "c b a");
}

Test(toplist, a_host_whose_name_is_not_known_is_found_by_its_id)
{
    json_t *nameless = host("msul1", "healthy", 0, 0);
    json_object_del(nameless, "name");
    take_hosts(1, nameless, host("b", "healthy", 0, 0), host("c", "healthy", 0, 0));
    toplist_filter_by(&list, "SUL");
    expect_order(TOPSORT_NAME, "msul1");
}

Test(toplist, a_filter_is_part_of_an_id_or_name_in_upper_or_lower_case)
{
    take_hosts(1, host("msul1", "healthy", 0, 0), host("msul2", "dead", 0, 0),
               host("x", "dead", 0, 0));
    toplist_filter_by(&list, "L2.ex");
    expect_order(TOPSORT_NAME, "msul2");
    toplist_filter_by(&list, "x.EXAMPLE");
    expect_order(TOPSORT_NAME, "x");
    toplist_filter_by(&list, "nobody");
    expect_order(TOPSORT_NAME, "");
    cr_expect_eq(list.count, 3);
    toplist_filter_by(&list, "");
    expect_order(TOPSORT_NAME, "msul1 msul2 x");
    cr_expect_eq(toplist_find(&list, "x"), 2);
    cr_expect_eq(toplist_find(&list, "gone"), 0);
}

/* --- Graphs ----------------------------------------------------------------------------------- */

static void expect_graph(const struct series *series, unsigned width, double least,
                         const char *text)
{
    char drawn[GRAPH_SIZE];
    graph_draw(drawn, series, width, least, false);
    cr_expect_str_eq(drawn, text, "\"%s\", not \"%s\"", drawn, text);
}

Test(graph, the_highest_value_has_full_height_and_what_is_missing_is_blank)
{
    struct series series = {.count = 0};
    series_add(&series, 0);
    series_add(&series, NAN);
    series_add(&series, 40);
    series_add(&series, 80);
    expect_graph(&series, 6, 1, "  _ =#");
    expect_graph(&series, 2, 1, "=#");
}

Test(graph, next_to_nothing_is_no_mountain_range)
{
    struct series series = {.count = 0};
    series_add(&series, 1);
    series_add(&series, 2);
    expect_graph(&series, 2, 8, ".:");
    expect_graph(&series, 2, 1, "=#");
}

Test(graph, only_the_last_values_are_kept)
{
    struct series series = {.count = 0};
    char expected[SERIES_LENGTH + 1];
    series_add(&series, 1000);
    for (int i = 0; i < SERIES_LENGTH; i++)
        series_add(&series, 8);
    memset(expected, '#', SERIES_LENGTH);
    expected[SERIES_LENGTH] = '\0';
    expect_graph(&series, SERIES_LENGTH, 1, expected);
}
