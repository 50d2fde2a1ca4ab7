/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rules of a host's health (keeper/README.md rule 5), with the clock and the dice as arguments:
 * hours pass in microseconds, and no attempt is really made.
 *
 * In one piece because it is the test of one table of states.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/host/health.h"

#define MS     UINT64_C(1000)
#define SECOND (1000 * MS)
#define HOUR   (3600 * SECOND)

/* Dice that put a probe off by -20 %, by nothing (but for a rounding), and by +20 %. */
#define EARLIEST 0U
#define EVEN     0x80000000U
#define LATEST   UINT32_MAX

#define CONNECTIONS 10

/* The settings' defaults. */
static const struct health_rules rules = {
    .failures_until_dead = 2,
    .retry_delay = SECOND,
    .probe_min = 5 * SECOND,
    .probe_max = 60 * SECOND,
};

static struct health health;
static uint64_t now = 1000 * SECOND;

static void begin(void)
{
    health_init(&health);
}

TestSuite(health, .init = begin, .timeout = 20);

/* --- Helpers ---------------------------------------------------------------------------------- */

static enum health_change fail_with(uint32_t dice)
{
    return health_failure(&health, &rules, health.round, REASON_REFUSED, now, dice);
}

static enum health_change fail(void)
{
    return fail_with(EVEN);
}

/* A handshake came to its end. */
static enum health_change succeed(void)
{
    return health_success(&health, CONNECTIONS, true);
}

static void retry(void)
{
    health_retry(&health, &rules, now);
}

static bool may_attempt(unsigned under_way)
{
    return health_may_attempt(&health, under_way, now);
}

static void die(void)
{
    while (health.state != HEALTH_DEAD)
        fail();
}

/* As a health that nobody has anything against, whatever the round. */
static void expect_new(void)
{
    struct health fresh;
    health_init(&fresh);
    fresh.round = health.round;
    cr_assert_arr_eq(&health, &fresh, sizeof(health));
}

static void expect_unchanged_since(const struct health *before)
{
    cr_assert_eq(memcmp(&health, before, sizeof(health)), 0);
}

/* How long from now until an attempt may start, to the microsecond. */
static void expect_attempt_in(uint64_t wait)
{
    cr_assert_not(health_may_attempt(&health, 0, now + wait - 1), "earlier than %lu",
                  (unsigned long)wait);
    cr_assert(health_may_attempt(&health, 0, now + wait), "later than %lu: at %lu",
              (unsigned long)wait, (unsigned long)(health.next_attempt - now));
    cr_assert_not(health_may_attempt(&health, 1, now + wait));
}

/* --- Healthy ---------------------------------------------------------------------------------- */

Test(health, a_new_host_is_healthy_and_takes_any_number_of_attempts)
{
    expect_new();
    cr_assert_eq(health.state, HEALTH_HEALTHY);
    cr_assert_eq(health.failures, 0);
    for (unsigned under_way = 0; under_way < 1000; under_way++)
        cr_assert(may_attempt(under_way));
}

Test(health, success_of_a_healthy_host_is_no_news)
{
    cr_assert_eq(succeed(), HEALTH_UNCHANGED);
    cr_assert_eq(health_success(&health, CONNECTIONS, false), HEALTH_UNCHANGED);
    expect_new();
}

Test(health, a_retry_changes_nothing_of_a_healthy_host)
{
    retry();
    expect_new();
}

/* --- Failing ---------------------------------------------------------------------------------- */

Test(health, one_failure_makes_a_host_failing_and_the_next_attempt_starts_a_second_later)
{
    cr_assert_eq(fail(), HEALTH_UNCHANGED);
    cr_assert_eq(health.state, HEALTH_FAILING);
    cr_assert_eq(health.failures, 1);
    cr_assert_eq(health.dead_since, 0);
    expect_attempt_in(rules.retry_delay);
}

Test(health, the_retry_delay_has_no_jitter)
{
    fail_with(EARLIEST);
    expect_attempt_in(SECOND);
    health_init(&health);
    fail_with(LATEST);
    expect_attempt_in(SECOND);
}

Test(health, a_failing_host_takes_one_attempt_at_a_time)
{
    fail();
    now += SECOND;
    cr_assert(may_attempt(0));
    cr_assert_not(may_attempt(1));
    cr_assert_not(may_attempt(9));
}

Test(health, success_makes_a_failing_host_healthy_as_if_nothing_had_been)
{
    fail();
    cr_assert_eq(succeed(), HEALTH_UNCHANGED);
    expect_new();
    cr_assert(may_attempt(9));
}

/* An idle connection that answers is proof enough. */
Test(health, a_reply_makes_a_failing_host_healthy_too)
{
    fail();
    cr_assert_eq(health_success(&health, CONNECTIONS, false), HEALTH_UNCHANGED);
    expect_new();
}

Test(health, failures_with_a_success_between_never_kill)
{
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(fail(), HEALTH_UNCHANGED);
        cr_assert_eq(health.failures, 1);
        now += SECOND;
        cr_assert_eq(succeed(), HEALTH_UNCHANGED);
    }
    cr_assert_eq(health.state, HEALTH_HEALTHY);
}

Test(health, a_failing_host_that_is_retried_may_be_tried_now_and_starts_over)
{
    fail();
    retry();
    cr_assert_eq(health.state, HEALTH_FAILING);
    cr_assert(may_attempt(0));
    cr_assert_not(may_attempt(1));
    cr_assert_eq(fail(), HEALTH_UNCHANGED);
    cr_assert_eq(health.state, HEALTH_FAILING);
    cr_assert_eq(fail(), HEALTH_DIED);
}

/* --- Attempts that overlap -------------------------------------------------------------------- */

Test(health, failures_of_attempts_that_overlap_count_once)
{
    unsigned round = health.round;
    cr_assert_eq(health_failure(&health, &rules, round, REASON_REFUSED, now, EVEN),
                 HEALTH_UNCHANGED);
    struct health before = health;
    for (int i = 0; i < 9; i++) {
        now += 100 * MS;
        cr_assert_eq(health_failure(&health, &rules, round, REASON_HANDSHAKE, now, EVEN),
                     HEALTH_UNCHANGED);
    }
    expect_unchanged_since(&before);
    cr_assert_eq(health.failures, 1);
    cr_assert_eq(health.reason, REASON_REFUSED);
}

Test(health, a_straggler_of_a_dead_host_does_not_put_off_its_probe)
{
    unsigned round = health.round;
    die();
    struct health before = health;
    now += 2 * SECOND;
    cr_assert_eq(health_failure(&health, &rules, round, REASON_TIMED_OUT, now, EVEN),
                 HEALTH_UNCHANGED);
    expect_unchanged_since(&before);
}

/* Ten attempts under way, the peer's lond restarts, the eleventh attempt finds it up again. */
Test(health, one_restart_of_a_peer_never_kills_however_many_attempts_it_fails)
{
    for (int restart = 0; restart < 100; restart++) {
        unsigned round = health.round;
        for (unsigned i = 0; i < CONNECTIONS; i++) {
            cr_assert_eq(health_failure(&health, &rules, round, REASON_HANDSHAKE, now, EVEN),
                         HEALTH_UNCHANGED);
            now += 30 * MS;
        }
        cr_assert_eq(health.state, HEALTH_FAILING);
        now += SECOND;
        cr_assert(may_attempt(0));
        cr_assert_eq(succeed(), HEALTH_UNCHANGED);
    }
    expect_new();
}

/* Some of the ten got through before the others failed. */
Test(health, stragglers_count_nothing_after_a_success_of_their_round)
{
    unsigned round = health.round;
    fail();
    cr_assert_eq(succeed(), HEALTH_UNCHANGED);
    for (int i = 0; i < 8; i++)
        health_failure(&health, &rules, round, REASON_REFUSED, now, EVEN);
    expect_new();
}

Test(health, the_round_outlives_death_return_and_retry)
{
    unsigned last = health.round;
    for (int i = 0; i < 50; i++) {
        fail();
        cr_assert_eq(health.round, ++last);
        if (i % 5 == 4)
            succeed();
        if (i % 7 == 6)
            retry();
        cr_assert_eq(health.round, last);
    }
}

/* --- Dead ------------------------------------------------------------------------------------- */

Test(health, two_failures_in_a_row_are_death)
{
    cr_assert_eq(fail(), HEALTH_UNCHANGED);
    now += SECOND;
    cr_assert_eq(health_failure(&health, &rules, health.round, REASON_AUTHENTICATION, now, EVEN),
                 HEALTH_DIED);
    cr_assert_eq(health.state, HEALTH_DEAD);
    cr_assert_eq(health.failures, 2);
    cr_assert_eq(health.reason, REASON_AUTHENTICATION);
    cr_assert_eq(health.dead_since, now);
}

Test(health, as_many_failures_as_the_rule_says_are_death)
{
    for (unsigned wanted = 1; wanted <= 100; wanted++) {
        struct health_rules other = rules;
        other.failures_until_dead = wanted;
        health_init(&health);
        for (unsigned i = 1; i < wanted; i++) {
            cr_assert_eq(health_failure(&health, &other, health.round, REASON_REFUSED, now, EVEN),
                         HEALTH_UNCHANGED);
            cr_assert_eq(health.state, HEALTH_FAILING);
        }
        cr_assert_eq(health_failure(&health, &other, health.round, REASON_REFUSED, now, EVEN),
                     HEALTH_DIED);
        cr_assert_eq(health.state, HEALTH_DEAD);
    }
}

/* A reload may lower the rule beneath what has been counted. */
Test(health, a_failing_host_past_a_lowered_rule_dies_of_the_next_failure)
{
    struct health_rules patient = rules;
    patient.failures_until_dead = 50;
    for (int i = 0; i < 10; i++)
        health_failure(&health, &patient, health.round, REASON_REFUSED, now, EVEN);
    cr_assert_eq(health.state, HEALTH_FAILING);
    cr_assert_eq(fail(), HEALTH_DIED);
}

Test(health, a_dead_host_is_probed_after_5_seconds_and_one_at_a_time)
{
    die();
    cr_assert_not(may_attempt(0));
    expect_attempt_in(5 * SECOND + 15); /* the 15 us are the even dice's rounding */
    now += HOUR;
    cr_assert(may_attempt(0));
    cr_assert_not(may_attempt(1));
}

Test(health, the_jitter_of_a_probe_is_20_percent_to_either_side)
{
    fail();
    struct health failing = health;
    fail_with(EARLIEST);
    expect_attempt_in(4 * SECOND);
    health = failing;
    fail_with(LATEST);
    expect_attempt_in(6 * SECOND);
}

Test(health, every_dice_is_within_the_jitter_and_they_spread)
{
    unsigned seed = 1, early = 0;
    fail();
    struct health failing = health;
    for (int i = 0; i < 10000; i++) {
        health = failing;
        fail_with((uint32_t)rand_r(&seed) << 1);
        cr_assert_geq(health.next_attempt, now + 4 * SECOND);
        cr_assert_leq(health.next_attempt, now + 6 * SECOND);
        early += health.next_attempt < now + 4500 * MS;
    }
    cr_assert(early > 2000 && early < 3000, "%u of 10000 in the first quarter", early);
}

Test(health, probes_back_off_by_doubling_to_a_minute)
{
    static const uint64_t waits[] = {5, 10, 20, 40, 60, 60, 60};
    fail();
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        struct health before = health;
        enum health_change expected = i == 0 ? HEALTH_DIED : HEALTH_UNCHANGED;
        cr_assert_eq(fail_with(LATEST), expected);
        uint64_t latest = waits[i] * SECOND * 12 / 10;
        expect_attempt_in(latest < 60 * SECOND ? latest : 60 * SECOND);
        health = before;
        cr_assert_eq(fail_with(EARLIEST), expected);
        expect_attempt_in(waits[i] * SECOND * 8 / 10);
        now = health.next_attempt;
    }
}

Test(health, an_interval_that_does_not_double_to_the_most_ends_there)
{
    struct health_rules odd = rules;
    odd.probe_min = 7 * SECOND;
    odd.probe_max = 7 * SECOND;
    fail();
    for (int i = 0; i < 10; i++) {
        health_failure(&health, &odd, health.round, REASON_REFUSED, now, EARLIEST);
        expect_attempt_in(5600 * MS);
    }
}

/* A probe runs until its own time-out; back-off counts from its failure. */
Test(health, a_day_of_death_is_one_probe_a_minute_and_no_news)
{
    uint64_t end;
    unsigned probes = 0, seed = 7;
    die();
    for (end = now + 24 * HOUR; now < end; probes++) {
        now = health.next_attempt;
        cr_assert(may_attempt(0));
        now += 3 * SECOND;
        cr_assert_eq(fail_with((uint32_t)rand_r(&seed) << 1), HEALTH_UNCHANGED);
        cr_assert_eq(health.state, HEALTH_DEAD);
    }
    cr_assert(probes > 1410 && probes < 1470, "%u probes", probes);
    cr_assert_eq(succeed(), HEALTH_RETURNED);
}

Test(health, the_longest_settings_do_not_overflow)
{
    struct health_rules slow = {2, 24 * HOUR, 24 * HOUR, 24 * HOUR};
    now = 10 * 365 * 24 * HOUR;
    health_failure(&health, &slow, health.round, REASON_REFUSED, now, LATEST);
    expect_attempt_in(24 * HOUR);
    for (int i = 0; i < 100; i++) {
        health_failure(&health, &slow, health.round, REASON_REFUSED, now, LATEST);
        expect_attempt_in(24 * HOUR);
    }
}

Test(health, it_is_dead_since_it_died_and_not_since_its_last_probe)
{
    die();
    uint64_t died = now;
    for (int i = 0; i < 10; i++) {
        now = health.next_attempt;
        fail();
        cr_assert_eq(health.dead_since, died);
    }
}

/* --- Back ------------------------------------------------------------------------------------- */

Test(health, the_first_success_brings_a_dead_host_back)
{
    die();
    now = health.next_attempt;
    cr_assert_eq(succeed(), HEALTH_RETURNED);
    cr_assert_eq(health.state, HEALTH_HEALTHY);
    cr_assert_eq(health.failures, 0);
    cr_assert_eq(health.dead_since, 0);
    cr_assert_eq(succeed(), HEALTH_UNCHANGED);
}

Test(health, death_after_a_return_is_news_again_and_backs_off_from_the_start)
{
    die();
    for (int i = 0; i < 10; i++)
        fail();
    succeed();
    cr_assert_eq(fail(), HEALTH_UNCHANGED);
    cr_assert_eq(fail_with(EARLIEST), HEALTH_DIED);
    cr_assert_eq(health.failures, 2);
    expect_attempt_in(4 * SECOND);
}

/* `limit` attempts at once, and no more. */
static void expect_slow_start(unsigned limit)
{
    cr_assert(may_attempt(limit - 1), "fewer than %u", limit);
    cr_assert_not(may_attempt(limit), "more than %u", limit);
}

Test(health, a_host_that_is_back_is_met_by_1_2_4_8_connections_and_then_by_any_number)
{
    die();
    succeed();
    for (unsigned limit = 1; limit < CONNECTIONS; limit *= 2) {
        for (unsigned done = 0; done < limit; done++) {
            expect_slow_start(limit - done);
            succeed();
        }
    }
    cr_assert(may_attempt(CONNECTIONS));
    expect_new();
}

Test(health, slow_start_is_over_where_the_next_step_is_all_there_may_be)
{
    static const struct {
        unsigned connections, steps;
    } cases[] = {{1, 1}, {2, 1}, {3, 2}, {4, 2}, {8, 3}, {9, 4}, {1000, 10}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        health_init(&health);
        die();
        health_success(&health, cases[i].connections, true);
        for (unsigned step = 0; step < cases[i].steps; step++) {
            expect_slow_start(1U << step);
            for (unsigned done = 0; done < 1U << step; done++)
                health_success(&health, cases[i].connections, true);
        }
        cr_assert(may_attempt(100000), "%u connections", cases[i].connections);
    }
}

Test(health, replies_do_not_hasten_a_slow_start)
{
    die();
    succeed();
    for (int i = 0; i < 100; i++)
        cr_assert_eq(health_success(&health, CONNECTIONS, false), HEALTH_UNCHANGED);
    expect_slow_start(1);
}

Test(health, a_host_that_only_failed_is_not_met_slowly)
{
    fail();
    succeed();
    cr_assert(may_attempt(100));
}

/* --- Forgiven --------------------------------------------------------------------------------- */

Test(health, a_dead_host_that_is_retried_is_failing_and_may_be_tried_now)
{
    die();
    retry();
    cr_assert_eq(health.state, HEALTH_FAILING);
    cr_assert(may_attempt(0));
    cr_assert_not(may_attempt(1));
}

Test(health, a_retried_host_dies_of_the_next_failure_and_that_is_no_news)
{
    die();
    uint64_t died = now;
    for (int i = 0; i < 5; i++) {
        now += 10 * SECOND;
        retry();
        cr_assert_eq(fail(), HEALTH_DIED_AGAIN);
        cr_assert_eq(health.state, HEALTH_DEAD);
        cr_assert_eq(health.dead_since, died);
    }
}

Test(health, a_retry_starts_the_back_off_anew)
{
    die();
    for (int i = 0; i < 10; i++)
        fail();
    retry();
    fail_with(EARLIEST);
    expect_attempt_in(4 * SECOND);
    fail_with(EARLIEST);
    expect_attempt_in(8 * SECOND);
}

Test(health, a_retried_host_that_answers_is_back)
{
    die();
    retry();
    cr_assert_eq(succeed(), HEALTH_RETURNED);
    cr_assert_eq(health.state, HEALTH_HEALTHY);
    expect_slow_start(1);
}

/* "The next failure makes it dead again": however many ask for another chance meanwhile. */
Test(health, a_dead_host_retried_twice_dies_of_the_next_failure_too)
{
    die();
    retry();
    now += SECOND;
    retry();
    cr_assert(may_attempt(0));
    cr_assert_eq(fail(), HEALTH_DIED_AGAIN);
    cr_assert_eq(health.state, HEALTH_DEAD);
}

/* The probe that was under way when it was retried decides. */
Test(health, a_probe_begun_before_a_retry_counts_after_it)
{
    die();
    now = health.next_attempt;
    unsigned round = health.round;
    retry();
    cr_assert_eq(health_failure(&health, &rules, round, REASON_TIMED_OUT, now, EVEN),
                 HEALTH_DIED_AGAIN);
}

/* --- The strictest rule ----------------------------------------------------------------------- */

Test(health, where_one_failure_is_death_no_host_is_ever_failing_unless_retried)
{
    struct health_rules strict = rules;
    strict.failures_until_dead = 1;
    for (int i = 0; i < 3; i++) {
        unsigned round = health.round;
        cr_assert_eq(health_failure(&health, &strict, round, REASON_REFUSED, now, EVEN),
                     HEALTH_DIED);
        cr_assert_eq(health.state, HEALTH_DEAD);
        cr_assert_eq(health_failure(&health, &strict, round, REASON_REFUSED, now, EVEN),
                     HEALTH_UNCHANGED);
        health_retry(&health, &strict, now);
        cr_assert_eq(health.state, HEALTH_FAILING);
        cr_assert_eq(health_failure(&health, &strict, health.round, REASON_REFUSED, now, EVEN),
                     HEALTH_DIED_AGAIN);
        cr_assert_eq(succeed(), HEALTH_RETURNED);
    }
}

/* --- At random -------------------------------------------------------------------------------- */

/*
 * A host that is driven as attempts.c drives one: attempts start when they may, and end in any order
 * and at any time. What the rules promise is checked after each step, by counts kept here.
 */
static struct {
    unsigned seed;
    unsigned rounds[64]; /* of the attempts under way */
    unsigned under_way;
    unsigned failures;   /* that counted, since the last success or retry */
    unsigned until_dead; /* how many of them would be death */
    bool told_dead;      /* died and not returned */
    uint64_t last_failure;
    uint64_t interval; /* of the back-off, kept in a second way */
} driver;

static unsigned random_below(unsigned limit)
{
    return (unsigned)rand_r(&driver.seed) % limit;
}

static void start_attempt(void)
{
    bool may = may_attempt(driver.under_way);
    if (health.state != HEALTH_HEALTHY)
        cr_assert_eq(may, driver.under_way == 0 && now >= health.next_attempt);
    else if (!may)
        cr_assert_geq(driver.under_way, 1, "a healthy host takes at least one");
    if (may && driver.under_way < CONNECTIONS)
        driver.rounds[driver.under_way++] = health.round;
}

/* Takes one of the attempts under way, at random; its round. */
static unsigned end_attempt(void)
{
    unsigned i = random_below(driver.under_way);
    unsigned round = driver.rounds[i];
    driver.rounds[i] = driver.rounds[--driver.under_way];
    return round;
}

static void count_failure(enum health_state before, enum health_change change)
{
    driver.failures++;
    driver.last_failure = now;
    bool dead = before == HEALTH_DEAD || driver.failures >= driver.until_dead;
    cr_assert_eq(health.state == HEALTH_DEAD, dead);
    driver.interval = !dead ? 0 : driver.interval == 0 ? 5 * SECOND : driver.interval * 2;
    if (driver.interval > 60 * SECOND)
        driver.interval = 60 * SECOND;
    if (before == HEALTH_DEAD || !dead)
        cr_assert_eq(change, HEALTH_UNCHANGED);
    else
        cr_assert_eq(change, driver.told_dead ? HEALTH_DIED_AGAIN : HEALTH_DIED);
    driver.told_dead = driver.told_dead || dead;
}

static void fail_one(void)
{
    struct health before = health;
    if (driver.under_way == 0)
        return;
    unsigned round = end_attempt();
    uint32_t dice = (uint32_t)rand_r(&driver.seed) << 1;
    enum health_change change = health_failure(&health, &rules, round, REASON_TIMED_OUT, now, dice);
    if (round == before.round) {
        cr_assert_eq(health.round, before.round + 1);
        count_failure(before.state, change);
    } else {
        cr_assert_eq(change, HEALTH_UNCHANGED);
        expect_unchanged_since(&before);
    }
}

static void succeed_one(bool opened)
{
    unsigned round = health.round;
    if (opened && driver.under_way == 0)
        return;
    if (opened)
        end_attempt();
    enum health_change change = health_success(&health, CONNECTIONS, opened);
    cr_assert_eq(change, driver.told_dead ? HEALTH_RETURNED : HEALTH_UNCHANGED);
    cr_assert_eq(health.state, HEALTH_HEALTHY);
    cr_assert_eq(health.round, round);
    if (driver.told_dead)
        cr_assert_eq(health.slow_start, 1);
    driver.told_dead = false;
    driver.failures = 0;
    driver.interval = 0;
    driver.until_dead = rules.failures_until_dead;
}

/* Forgiven twice before the verdict is another test's subject. */
static void retry_one(void)
{
    struct health before = health;
    if (health.state == HEALTH_FAILING && driver.told_dead)
        return;
    retry();
    if (before.state == HEALTH_HEALTHY) {
        expect_unchanged_since(&before);
        return;
    }
    cr_assert_eq(health.state, HEALTH_FAILING);
    cr_assert(may_attempt(0));
    driver.until_dead = before.state == HEALTH_DEAD ? 1 : rules.failures_until_dead;
    driver.failures = 0;
    driver.interval = 0;
}

static void expect_invariants(void)
{
    uint64_t low = driver.last_failure + driver.interval * 8 / 10;
    uint64_t high = driver.last_failure + driver.interval * 12 / 10;
    switch (health.state) {
    case HEALTH_HEALTHY:
        cr_assert_eq(health.failures, 0);
        cr_assert_eq(health.dead_since, 0);
        cr_assert_lt(health.slow_start, CONNECTIONS);
        cr_assert_eq(health.slow_start & (health.slow_start - 1), 0, "no power of two");
        break;
    case HEALTH_FAILING:
        cr_assert_lt(health.failures, rules.failures_until_dead);
        cr_assert_leq(health.next_attempt, now + rules.retry_delay);
        cr_assert_eq(health.dead_since != 0, driver.told_dead);
        break;
    case HEALTH_DEAD:
        cr_assert_geq(health.failures, rules.failures_until_dead);
        cr_assert(driver.told_dead);
        cr_assert_neq(health.dead_since, 0);
        cr_assert_leq(health.dead_since, now);
        cr_assert_geq(health.next_attempt, low);
        cr_assert_leq(health.next_attempt, high);
        cr_assert_eq(health.reason, REASON_TIMED_OUT);
        break;
    }
}

static void take_random_step(unsigned *seen)
{
    now += random_below(3) == 0 ? (uint64_t)random_below(20000) * MS : 0;
    switch (random_below(16)) {
    case 0:
        retry_one();
        break;
    case 1:
        succeed_one(false);
        break;
    case 2:
    case 3:
        succeed_one(true);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
        fail_one();
        break;
    default:
        start_attempt();
        break;
    }
    expect_invariants();
    seen[health.state]++;
}

Test(health, no_sequence_of_events_breaks_the_rules)
{
    for (unsigned seed = 1; seed <= 20; seed++) {
        unsigned seen[3] = {0};
        health_init(&health);
        memset(&driver, 0, sizeof(driver));
        driver.seed = seed;
        driver.until_dead = rules.failures_until_dead;
        for (int step = 0; step < 5000; step++)
            take_random_step(seen);
        for (int state = 0; state < 3; state++)
            cr_assert_gt(seen[state], 100, "state %d is hardly ever seen", state);
    }
}
