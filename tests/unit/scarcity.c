/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * While memory is scarce one long line grows at a time, and the others wait for their turn.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "keeper/service.h"

#define MIB ((size_t)1024 * 1024)

static struct service service;

/* A line that grows, in a buffer that is full. */
struct line {
    struct grower grower;
    struct buffer buffer;
    unsigned told;
};

static struct line lines[3];

/* What makes memory scarce. */
static struct buffer holder;

static void on_may_grow(struct grower *grower)
{
    CONTAINER_OF(grower, struct line, grower)->told++;
}

static void fill(struct buffer *buffer, size_t size)
{
    cr_assert_eq(buffer_reserve(buffer, size), 0);
    memset(buffer->data, 'x', buffer->size);
    buffer->end = buffer->size;
}

static void begin(void)
{
    service = (struct service){.settings.buffers_limit = 16 * MIB};
    cr_assert_geq(loop_open(&service.loop), 0);
    scarcity_setup(&service);
    for (size_t i = 0; i < 3; i++) {
        lines[i] = (struct line){.grower.may_grow = on_may_grow};
        fill(&lines[i].buffer, MIB);
    }
}

static void end(void)
{
    for (size_t i = 0; i < 3; i++)
        buffer_free(&lines[i].buffer);
    buffer_free(&holder);
    loop_close(&service.loop);
}

TestSuite(scarcity, .init = begin, .fini = end, .timeout = 20);

static bool may_fill(struct line *line)
{
    return scarcity_may_fill(&service, &line->grower, &line->buffer);
}

Test(scarcity, all_grow_while_there_is_memory)
{
    for (size_t i = 0; i < 3; i++)
        cr_assert(may_fill(&lines[i]));
}

Test(scarcity, past_half_of_the_budget_one_grows_at_a_time_in_the_order_of_asking)
{
    fill(&holder, 8 * MIB);
    cr_assert(may_fill(&lines[0]));
    cr_assert_not(may_fill(&lines[1]));
    cr_assert_not(may_fill(&lines[2]));
    cr_assert(may_fill(&lines[0]), "its turn goes on");
    cr_assert_not(may_fill(&lines[1]));

    scarcity_leave(&service, &lines[0].grower);
    cr_assert_eq(lines[1].told, 1);
    cr_assert_eq(lines[2].told, 0);
    cr_assert(may_fill(&lines[1]));
    cr_assert_not(may_fill(&lines[2]));
}

Test(scarcity, what_fits_is_read_all_the_same)
{
    fill(&holder, 8 * MIB);
    cr_assert(may_fill(&lines[0]));
    lines[1].buffer.end--;
    cr_assert(may_fill(&lines[1]), "there is room for a byte");
    struct line small = {.grower.may_grow = on_may_grow};
    fill(&small.buffer, 1000);
    cr_assert(may_fill(&small), "a short line takes little");
    buffer_free(&small.buffer);
}

Test(scarcity, once_there_is_memory_all_go_on)
{
    fill(&holder, 8 * MIB);
    cr_assert(may_fill(&lines[0]));
    cr_assert_not(may_fill(&lines[1]));
    cr_assert_not(may_fill(&lines[2]));
    buffer_free(&holder);
    cr_assert(may_fill(&lines[0]));
    cr_assert_eq(lines[1].told, 1);
    cr_assert_eq(lines[2].told, 1);
    cr_assert(may_fill(&lines[1]));
}

Test(scarcity, one_that_leaves_while_it_waits_is_not_told)
{
    fill(&holder, 8 * MIB);
    cr_assert(may_fill(&lines[0]));
    cr_assert_not(may_fill(&lines[1]));
    scarcity_leave(&service, &lines[1].grower);
    scarcity_leave(&service, &lines[1].grower); /* which is nothing */
    scarcity_leave(&service, &lines[0].grower);
    cr_assert_eq(lines[1].told, 0);
    cr_assert(may_fill(&lines[2]));
}

Test(scarcity, a_slow_one_makes_room_after_its_tenure)
{
    fill(&holder, 8 * MIB);
    cr_assert(may_fill(&lines[0]));
    cr_assert_not(may_fill(&lines[1]));
    uint64_t give_up = loop_clock() + UINT64_C(10000000);
    while (lines[1].told == 0 && loop_clock() < give_up)
        cr_assert_geq(loop_turn(&service.loop, UINT64_C(5000000)), 0);
    cr_assert_eq(lines[1].told, 1);
    cr_assert(may_fill(&lines[1]));
    cr_assert_not(may_fill(&lines[0]));
    scarcity_leave(&service, &lines[0].grower);
    scarcity_leave(&service, &lines[1].grower);
}
