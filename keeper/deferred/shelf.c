/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names in sorted, packed runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/deferred/shelf.h"

/* Names of a run: sorting them takes half a millisecond, which nobody notices. */
#define RUN_NAMES 2048

/* Runs whose middle is looked at to find the middle of all. */
#define SAMPLES 256

/* A shelf is not halved below this. */
#define NAMES_LEFT 64

struct shelf_name {
    struct spool_order order;
    uint32_t at; /* in the text */
};

/* Its size: offset[count], then the names, each with its NUL. */
struct shelf_run {
    RB_ENTRY(shelf_run) by_first;
    struct spool_order first; /* of names[next] */
    struct spool_order last;
    size_t size;
    uint32_t next, count;
    uint32_t offset[]; /* from the run's beginning */
};

static const char *name_in(const struct shelf_run *run, uint32_t i)
{
    return (const char *)run + run->offset[i];
}

static int compare_names(const struct spool_order *one, const char *one_name,
                         const struct spool_order *other, const char *other_name)
{
    int order = spool_compare(one, other);
    return order != 0 ? order : strcmp(one_name, other_name);
}

/* Names may be on the shelf twice; runs may not be the same. */
static int compare_runs(const struct shelf_run *one, const struct shelf_run *other)
{
    int order = compare_names(&one->first, name_in(one, one->next), &other->first,
                              name_in(other, other->next));
    return order != 0 ? order : (one > other) - (one < other);
}

RB_PROTOTYPE(shelf_runs, shelf_run, by_first, compare_runs)
RB_GENERATE(shelf_runs, shelf_run, by_first, compare_runs)

/* --- Loose names ------------------------------------------------------------------------------ */

static void free_loose(struct shelf *shelf)
{
    *shelf->bytes -= shelf->loose_room * sizeof(*shelf->loose) + shelf->text_room;
    free(shelf->loose);
    free(shelf->text);
    shelf->loose = NULL;
    shelf->text = NULL;
    shelf->loose_count = shelf->loose_room = shelf->text_length = shelf->text_room = 0;
}

static int compare_loose(const void *one, const void *other, void *text)
{
    const struct shelf_name *a = one, *b = other;
    return compare_names(&a->order, (char *)text + a->at, &b->order, (char *)text + b->at);
}

/* Sorts and packs what is loose. False without memory: then it is as it was. */
static bool pack(struct shelf *shelf)
{
    struct shelf_run *run;
    size_t head = sizeof(*run) + shelf->loose_count * sizeof(*run->offset);
    size_t size = head + shelf->text_length;
    if (shelf->loose_count == 0)
        return true;
    run = malloc(size);
    if (run == NULL)
        return false;
    qsort_r(shelf->loose, shelf->loose_count, sizeof(*shelf->loose), compare_loose, shelf->text);
    *run = (struct shelf_run){
        .first = shelf->loose[0].order,
        .last = shelf->loose[shelf->loose_count - 1].order,
        .size = size,
        .count = (uint32_t)shelf->loose_count,
    };
    char *to = (char *)run + head;
    for (size_t i = 0; i < shelf->loose_count; i++) {
        const char *name = shelf->text + shelf->loose[i].at;
        size_t length = strlen(name) + 1;
        run->offset[i] = (uint32_t)(to - (char *)run);
        memcpy(to, name, length);
        to += length;
    }
    free_loose(shelf);
    *shelf->bytes += size;
    RB_INSERT(shelf_runs, &shelf->runs, run);
    return true;
}

static bool make_room(struct shelf *shelf, size_t length)
{
    if (shelf->loose_count == shelf->loose_room) {
        size_t room = shelf->loose_room == 0 ? 16 : 2 * shelf->loose_room;
        struct shelf_name *loose = reallocarray(shelf->loose, room, sizeof(*loose));
        if (loose == NULL)
            return false;
        *shelf->bytes += (room - shelf->loose_room) * sizeof(*loose);
        shelf->loose = loose;
        shelf->loose_room = room;
    }
    if (shelf->text_length + length > shelf->text_room) {
        size_t room = 2 * shelf->text_room + length;
        char *text = realloc(shelf->text, room);
        if (text == NULL)
            return false;
        *shelf->bytes += room - shelf->text_room;
        shelf->text = text;
        shelf->text_room = room;
    }
    return true;
}

int shelf_put(struct shelf *shelf, const char *name)
{
    size_t length = strlen(name) + 1;
    if ((shelf->loose_count == RUN_NAMES && !pack(shelf)) || !make_room(shelf, length))
        return -ENOMEM;
    struct shelf_name *loose = &shelf->loose[shelf->loose_count];
    loose->at = (uint32_t)shelf->text_length;
    spool_parse_name(name, &loose->order);
    memcpy(shelf->text + shelf->text_length, name, length);
    shelf->text_length += length;
    if (shelf->loose_count == 0 ||
        compare_loose(loose, &shelf->loose[shelf->first_loose], shelf->text) < 0)
        shelf->first_loose = shelf->loose_count;
    shelf->loose_count++;
    shelf->count++;
    return 0;
}

/* --- The first -------------------------------------------------------------------------------- */

/* The run with the first name, or NULL where that is a loose one. */
static struct shelf_run *first_run(const struct shelf *shelf)
{
    struct shelf_run *run = RB_MIN(shelf_runs, &((struct shelf *)(uintptr_t)shelf)->runs);
    if (run == NULL || shelf->loose_count == 0)
        return run;
    const struct shelf_name *loose = &shelf->loose[shelf->first_loose];
    return compare_names(&run->first, name_in(run, run->next), &loose->order,
                         shelf->text + loose->at) <= 0
               ? run
               : NULL;
}

const char *shelf_first(const struct shelf *shelf, struct spool_order *order)
{
    const struct shelf_run *run = first_run(shelf);
    if (shelf->count == 0)
        return NULL;
    if (run != NULL) {
        *order = run->first;
        return name_in(run, run->next);
    }
    *order = shelf->loose[shelf->first_loose].order;
    return shelf->text + shelf->loose[shelf->first_loose].at;
}

static struct spool_order order_at(const struct shelf_run *run, uint32_t i)
{
    struct spool_order order;
    spool_parse_name(name_in(run, i), &order);
    return order;
}

static bool is_in_run(const struct shelf_run *run, const char *name,
                      const struct spool_order *order)
{
    uint32_t low = run->next, high = run->count;
    if (spool_compare(order, &run->first) < 0 || spool_compare(order, &run->last) > 0)
        return false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct spool_order there = order_at(run, middle);
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

bool shelf_has(const struct shelf *shelf, const char *name, const struct spool_order *order)
{
    struct shelf_run *run;
    for (size_t i = 0; i < shelf->loose_count; i++)
        if (spool_compare(&shelf->loose[i].order, order) == 0 &&
            strcmp(shelf->text + shelf->loose[i].at, name) == 0)
            return true;
    RB_FOREACH (run, shelf_runs, &((struct shelf *)(uintptr_t)shelf)->runs) {
        if (spool_compare(&run->first, order) > 0) /* and so are all that follow */
            return false;
        if (is_in_run(run, name, order))
            return true;
    }
    return false;
}

static void free_run(struct shelf *shelf, struct shelf_run *run)
{
    RB_REMOVE(shelf_runs, &shelf->runs, run);
    *shelf->bytes -= run->size;
    free(run);
}

/* Without memory to pack the loose ones, as few as possible of them are moved. */
static void drop_first_loose(struct shelf *shelf)
{
    size_t last = --shelf->loose_count;
    shelf->loose[shelf->first_loose] = shelf->loose[last];
    shelf->first_loose = 0;
    for (size_t i = 1; i < last; i++)
        if (compare_loose(&shelf->loose[i], &shelf->loose[shelf->first_loose], shelf->text) < 0)
            shelf->first_loose = i;
    if (last == 0)
        free_loose(shelf);
}

void shelf_drop_first(struct shelf *shelf)
{
    struct shelf_run *run = first_run(shelf);
    if (run == NULL && pack(shelf))
        run = first_run(shelf);
    shelf->count--;
    if (run == NULL) {
        drop_first_loose(shelf);
    } else if (run->next + 1 == run->count) {
        free_run(shelf, run);
    } else {
        RB_REMOVE(shelf_runs, &shelf->runs, run);
        run->next++;
        spool_parse_name(name_in(run, run->next), &run->first);
        RB_INSERT(shelf_runs, &shelf->runs, run);
    }
}

/* --- Fewer ------------------------------------------------------------------------------------ */

static int compare_samples(const void *one, const void *other)
{
    return spool_compare(one, other);
}

/* The middle of the middles. */
static struct spool_order find_middle(struct shelf *shelf)
{
    struct spool_order samples[SAMPLES] = {{0}};
    struct shelf_run *run;
    size_t runs = 0, taken = 0, i = 0;
    RB_FOREACH (run, shelf_runs, &shelf->runs)
        runs++;
    size_t each = runs / SAMPLES + 1;
    RB_FOREACH (run, shelf_runs, &shelf->runs)
        if (i++ % each == 0)
            samples[taken++] = order_at(run, run->next + (run->count - run->next) / 2);
    qsort(samples, taken, sizeof(*samples), compare_samples);
    return samples[taken / 2];
}

/* Drops what is at or behind `from`; the run may be gone then. */
static void cut_run(struct shelf *shelf, struct shelf_run *run, const struct spool_order *from)
{
    uint32_t low = run->next, high = run->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct spool_order order = order_at(run, middle);
        if (spool_compare(&order, from) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    shelf->count -= run->count - low;
    if (low == run->next) {
        free_run(shelf, run);
        return;
    }
    if (low == run->count)
        return;
    /* The text has the order of the names. */
    size_t size = run->offset[low];
    RB_REMOVE(shelf_runs, &shelf->runs, run);
    run->count = low;
    run->last = order_at(run, low - 1);
    struct shelf_run *smaller = realloc(run, size);
    if (smaller != NULL) {
        run = smaller;
        *shelf->bytes -= run->size - size;
        run->size = size;
    }
    RB_INSERT(shelf_runs, &shelf->runs, run);
}

bool shelf_halve(struct shelf *shelf, struct spool_order *from)
{
    struct shelf_run *run, *next;
    if (shelf->count < NAMES_LEFT || !pack(shelf))
        return false;
    *from = find_middle(shelf);
    /* A run that is cut keeps its place among the others. */
    RB_FOREACH_SAFE (run, shelf_runs, &shelf->runs, next)
        cut_run(shelf, run, from);
    return true;
}

/* --- Coming and going ------------------------------------------------------------------------- */

void shelf_init(struct shelf *shelf, size_t *bytes)
{
    *shelf = (struct shelf){.bytes = bytes};
    RB_INIT(&shelf->runs);
}

void shelf_clear(struct shelf *shelf)
{
    struct shelf_run *run, *next;
    free_loose(shelf);
    RB_FOREACH_SAFE (run, shelf_runs, &shelf->runs, next)
        free_run(shelf, run);
    shelf->count = 0;
}
