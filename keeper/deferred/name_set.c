/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names in sorted, packed runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/deferred/name_set.h"

/* Names of a run: sorting them takes half a millisecond, which nobody notices. */
#define RUN_NAMES 2048

/* Runs whose middle is looked at to find the middle of all. */
#define SAMPLES 256

/* A set is not halved below this. */
#define NAMES_LEFT 64

struct name_set_entry {
    struct delayed_order order;
    uint32_t at; /* in the text */
};

/* Its size: offset[count], then the names, each with its NUL. */
struct name_set_run {
    RB_ENTRY(name_set_run) by_first;
    struct delayed_order first; /* of names[next] */
    struct delayed_order last;
    size_t size;
    uint32_t next, count;
    uint32_t offset[]; /* from the run's beginning */
};

static const char *name_in(const struct name_set_run *run, uint32_t i)
{
    return (const char *)run + run->offset[i];
}

static int compare_names(const struct delayed_order *one, const char *one_name,
                         const struct delayed_order *other, const char *other_name)
{
    int order = delayed_compare(one, other);
    return order != 0 ? order : strcmp(one_name, other_name);
}

/* Names may be on the shelf twice; runs may not be the same. */
static int compare_runs(const struct name_set_run *one, const struct name_set_run *other)
{
    int order = compare_names(&one->first, name_in(one, one->next), &other->first,
                              name_in(other, other->next));
    return order != 0 ? order : (one > other) - (one < other);
}

RB_PROTOTYPE(name_set_runs, name_set_run, by_first, compare_runs)
RB_GENERATE(name_set_runs, name_set_run, by_first, compare_runs)

/* --- Loose names ------------------------------------------------------------------------------ */

static void free_loose(struct name_set *set)
{
    *set->bytes -= set->loose_room * sizeof(*set->loose) + set->text_room;
    free(set->loose);
    free(set->text);
    set->loose = NULL;
    set->text = NULL;
    set->loose_count = set->loose_room = set->text_length = set->text_room = 0;
}

static int compare_loose(const void *one, const void *other, void *text)
{
    const struct name_set_entry *a = one, *b = other;
    return compare_names(&a->order, (char *)text + a->at, &b->order, (char *)text + b->at);
}

/* Sorts and packs what is loose. False without memory: then it is as it was. */
static bool pack(struct name_set *set)
{
    struct name_set_run *run;
    size_t head = sizeof(*run) + set->loose_count * sizeof(*run->offset);
    size_t size = head + set->text_length;
    if (set->loose_count == 0)
        return true;
    run = malloc(size);
    if (run == NULL)
        return false;
    qsort_r(set->loose, set->loose_count, sizeof(*set->loose), compare_loose, set->text);
    *run = (struct name_set_run){
        .first = set->loose[0].order,
        .last = set->loose[set->loose_count - 1].order,
        .size = size,
        .count = (uint32_t)set->loose_count,
    };
    char *to = (char *)run + head;
    for (size_t i = 0; i < set->loose_count; i++) {
        const char *name = set->text + set->loose[i].at;
        size_t length = strlen(name) + 1;
        run->offset[i] = (uint32_t)(to - (char *)run);
        memcpy(to, name, length);
        to += length;
    }
    free_loose(set);
    *set->bytes += size;
    RB_INSERT(name_set_runs, &set->runs, run);
    return true;
}

static bool make_room(struct name_set *set, size_t length)
{
    if (set->loose_count == set->loose_room) {
        size_t room = set->loose_room == 0 ? 16 : 2 * set->loose_room;
        struct name_set_entry *loose = reallocarray(set->loose, room, sizeof(*loose));
        if (loose == NULL)
            return false;
        *set->bytes += (room - set->loose_room) * sizeof(*loose);
        set->loose = loose;
        set->loose_room = room;
    }
    if (set->text_length + length > set->text_room) {
        size_t room = 2 * set->text_room + length;
        char *text = realloc(set->text, room);
        if (text == NULL)
            return false;
        *set->bytes += room - set->text_room;
        set->text = text;
        set->text_room = room;
    }
    return true;
}

int name_set_put(struct name_set *set, const char *name)
{
    size_t length = strlen(name) + 1;
    if ((set->loose_count == RUN_NAMES && !pack(set)) || !make_room(set, length))
        return -ENOMEM;
    struct name_set_entry *loose = &set->loose[set->loose_count];
    loose->at = (uint32_t)set->text_length;
    delayed_parse_name(name, &loose->order);
    memcpy(set->text + set->text_length, name, length);
    set->text_length += length;
    if (set->loose_count == 0 || compare_loose(loose, &set->loose[set->first_loose], set->text) < 0)
        set->first_loose = set->loose_count;
    set->loose_count++;
    set->count++;
    return 0;
}

/* --- The first -------------------------------------------------------------------------------- */

/* The run with the first name, or NULL where that is a loose one. */
static struct name_set_run *first_run(const struct name_set *set)
{
    struct name_set_run *run = RB_MIN(name_set_runs, &((struct name_set *)(uintptr_t)set)->runs);
    if (run == NULL || set->loose_count == 0)
        return run;
    const struct name_set_entry *loose = &set->loose[set->first_loose];
    return compare_names(&run->first, name_in(run, run->next), &loose->order,
                         set->text + loose->at) <= 0
               ? run
               : NULL;
}

const char *name_set_first(const struct name_set *set, struct delayed_order *order)
{
    const struct name_set_run *run = first_run(set);
    if (set->count == 0)
        return NULL;
    if (run != NULL) {
        *order = run->first;
        return name_in(run, run->next);
    }
    *order = set->loose[set->first_loose].order;
    return set->text + set->loose[set->first_loose].at;
}

static struct delayed_order order_at(const struct name_set_run *run, uint32_t i)
{
    struct delayed_order order;
    delayed_parse_name(name_in(run, i), &order);
    return order;
}

static bool is_in_run(const struct name_set_run *run, const char *name,
                      const struct delayed_order *order)
{
    uint32_t low = run->next, high = run->count;
    if (delayed_compare(order, &run->first) < 0 || delayed_compare(order, &run->last) > 0)
        return false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct delayed_order there = order_at(run, middle);
        int compared = compare_names(order, name, &there, name_in(run, middle));
        if (compared == 0)
            return true;
        if (compared < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

bool name_set_has(const struct name_set *set, const char *name, const struct delayed_order *order)
{
    struct name_set_run *run;
    for (size_t i = 0; i < set->loose_count; i++)
        if (delayed_compare(&set->loose[i].order, order) == 0 &&
            strcmp(set->text + set->loose[i].at, name) == 0)
            return true;
    RB_FOREACH (run, name_set_runs, &((struct name_set *)(uintptr_t)set)->runs) {
        if (delayed_compare(&run->first, order) > 0) /* and so are all that follow */
            return false;
        if (is_in_run(run, name, order))
            return true;
    }
    return false;
}

static void free_run(struct name_set *set, struct name_set_run *run)
{
    RB_REMOVE(name_set_runs, &set->runs, run);
    *set->bytes -= run->size;
    free(run);
}

/* Without memory to pack the loose ones, as few as possible of them are moved. */
static void drop_first_loose(struct name_set *set)
{
    size_t last = --set->loose_count;
    set->loose[set->first_loose] = set->loose[last];
    set->first_loose = 0;
    for (size_t i = 1; i < last; i++)
        if (compare_loose(&set->loose[i], &set->loose[set->first_loose], set->text) < 0)
            set->first_loose = i;
    if (last == 0)
        free_loose(set);
}

void name_set_drop_first(struct name_set *set)
{
    struct name_set_run *run = first_run(set);
    if (run == NULL && pack(set))
        run = first_run(set);
    set->count--;
    if (run == NULL) {
        drop_first_loose(set);
    } else if (run->next + 1 == run->count) {
        free_run(set, run);
    } else {
        RB_REMOVE(name_set_runs, &set->runs, run);
        run->next++;
        delayed_parse_name(name_in(run, run->next), &run->first);
        RB_INSERT(name_set_runs, &set->runs, run);
    }
}

/* --- Fewer ------------------------------------------------------------------------------------ */

static int compare_samples(const void *one, const void *other)
{
    return delayed_compare(one, other);
}

/* The middle of the middles. */
static struct delayed_order find_middle(struct name_set *set)
{
    struct delayed_order samples[SAMPLES] = {{0}};
    struct name_set_run *run;
    size_t runs = 0, taken = 0, i = 0;
    RB_FOREACH (run, name_set_runs, &set->runs)
        runs++;
    size_t each = runs / SAMPLES + 1;
    RB_FOREACH (run, name_set_runs, &set->runs)
        if (i++ % each == 0)
            samples[taken++] = order_at(run, run->next + (run->count - run->next) / 2);
    qsort(samples, taken, sizeof(*samples), compare_samples);
    return samples[taken / 2];
}

/* Drops what is at or behind `from`; the run may be gone then. */
static void cut_run(struct name_set *set, struct name_set_run *run,
                    const struct delayed_order *from)
{
    uint32_t low = run->next, high = run->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct delayed_order order = order_at(run, middle);
        if (delayed_compare(&order, from) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    set->count -= run->count - low;
    if (low == run->next) {
        free_run(set, run);
        return;
    }
    if (low == run->count)
        return;
    /* The text has the order of the names. */
    size_t size = run->offset[low];
    RB_REMOVE(name_set_runs, &set->runs, run);
    run->count = low;
    run->last = order_at(run, low - 1);
    struct name_set_run *smaller = realloc(run, size);
    if (smaller != NULL) {
        run = smaller;
        *set->bytes -= run->size - size;
        run->size = size;
    }
    RB_INSERT(name_set_runs, &set->runs, run);
}

bool name_set_halve(struct name_set *set, struct delayed_order *from)
{
    struct name_set_run *run, *next;
    if (set->count < NAMES_LEFT || !pack(set))
        return false;
    *from = find_middle(set);
    /* A run that is cut keeps its place among the others. */
    RB_FOREACH_SAFE (run, name_set_runs, &set->runs, next)
        cut_run(set, run, from);
    return true;
}

/* --- Coming and going ------------------------------------------------------------------------- */

void name_set_init(struct name_set *set, size_t *bytes)
{
    *set = (struct name_set){.bytes = bytes};
    RB_INIT(&set->runs);
}

void name_set_clear(struct name_set *set)
{
    struct name_set_run *run, *next;
    free_loose(set);
    RB_FOREACH_SAFE (run, name_set_runs, &set->runs, next)
        free_run(set, run);
    set->count = 0;
}
