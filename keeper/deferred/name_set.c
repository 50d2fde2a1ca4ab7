/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs of sorted names, and the unsorted names that will become the next run.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/deferred/name_set.h"

/* Names in a run: sorting so many takes half a millisecond, which nobody notices. */
#define RUN_NAMES 2048

/* Of so many runs the middle is looked at to find the middle of all. */
#define SAMPLES 256

/* A set with fewer names than this is not halved. */
#define NAMES_LEFT 64

struct name_set_entry {
    struct delayed_order order;
    uint32_t at; /* in `text` */
};

/* A block of `size` bytes: this, offset[count], then the names, each with its NUL. */
struct name_set_run {
    RB_ENTRY(name_set_run) by_first;
    struct delayed_order first; /* of names[next] */
    struct delayed_order last;
    size_t size;
    uint32_t next, count;
    uint32_t offset[]; /* of each name, from the beginning of the block */
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

/* Two runs may begin with the same name, as a name may have been added twice. */
static int compare_runs(const struct name_set_run *one, const struct name_set_run *other)
{
    int order = compare_names(&one->first, name_in(one, one->next), &other->first,
                              name_in(other, other->next));
    return order != 0 ? order : (one > other) - (one < other);
}

RB_PROTOTYPE(name_set_runs, name_set_run, by_first, compare_runs)
RB_GENERATE(name_set_runs, name_set_run, by_first, compare_runs)

/* --- Adding ----------------------------------------------------------------------------------- */

static void free_unsorted(struct name_set *set)
{
    *set->bytes -= set->unsorted_room * sizeof(*set->unsorted) + set->text_room;
    free(set->unsorted);
    free(set->text);
    set->unsorted = NULL;
    set->text = NULL;
    set->unsorted_count = set->unsorted_room = set->text_length = set->text_room = 0;
}

static int compare_entries(const void *one, const void *other, void *text)
{
    const struct name_set_entry *a = one, *b = other;
    return compare_names(&a->order, (char *)text + a->at, &b->order, (char *)text + b->at);
}

/* Packs the unsorted names into a run. 0, or -ENOMEM with the set as it was. */
static int pack(struct name_set *set)
{
    struct name_set_run *run;
    size_t head = sizeof(*run) + set->unsorted_count * sizeof(*run->offset);
    size_t size = head + set->text_length;
    if (set->unsorted_count == 0)
        return 0;
    run = malloc(size);
    if (run == NULL)
        return -ENOMEM;
    qsort_r(set->unsorted, set->unsorted_count, sizeof(*set->unsorted), compare_entries, set->text);
    *run = (struct name_set_run){
        .first = set->unsorted[0].order,
        .last = set->unsorted[set->unsorted_count - 1].order,
        .size = size,
        .count = (uint32_t)set->unsorted_count,
    };
    char *to = (char *)run + head;
    for (size_t i = 0; i < set->unsorted_count; i++) {
        const char *name = set->text + set->unsorted[i].at;
        size_t length = strlen(name) + 1;
        run->offset[i] = (uint32_t)(to - (char *)run);
        memcpy(to, name, length);
        to += length;
    }
    free_unsorted(set);
    *set->bytes += size;
    RB_INSERT(name_set_runs, &set->runs, run);
    return 0;
}

static int grow_unsorted(struct name_set *set, size_t length)
{
    if (set->unsorted_count == set->unsorted_room) {
        size_t room = set->unsorted_room == 0 ? 16 : 2 * set->unsorted_room;
        struct name_set_entry *unsorted = reallocarray(set->unsorted, room, sizeof(*unsorted));
        if (unsorted == NULL)
            return -ENOMEM;
        *set->bytes += (room - set->unsorted_room) * sizeof(*unsorted);
        set->unsorted = unsorted;
        set->unsorted_room = room;
    }
    if (set->text_length + length > set->text_room) {
        size_t room = 2 * set->text_room + length;
        char *text = realloc(set->text, room);
        if (text == NULL)
            return -ENOMEM;
        *set->bytes += room - set->text_room;
        set->text = text;
        set->text_room = room;
    }
    return 0;
}

int name_set_put(struct name_set *set, const char *name)
{
    size_t length = strlen(name) + 1;
    if ((set->unsorted_count == RUN_NAMES && pack(set) < 0) || grow_unsorted(set, length) < 0)
        return -ENOMEM;
    struct name_set_entry *entry = &set->unsorted[set->unsorted_count];
    entry->at = (uint32_t)set->text_length;
    delayed_parse_name(name, &entry->order);
    memcpy(set->text + set->text_length, name, length);
    set->text_length += length;
    if (set->unsorted_count == 0 ||
        compare_entries(entry, &set->unsorted[set->first_unsorted], set->text) < 0)
        set->first_unsorted = set->unsorted_count;
    set->unsorted_count++;
    set->count++;
    return 0;
}

/* --- Looking ---------------------------------------------------------------------------------- */

/* The run that has the first name; NULL if that is an unsorted name, or the set is empty. */
static struct name_set_run *first_run(const struct name_set *set)
{
    struct name_set_run *run = RB_MIN(name_set_runs, &((struct name_set *)(uintptr_t)set)->runs);
    if (run == NULL || set->unsorted_count == 0)
        return run;
    const struct name_set_entry *entry = &set->unsorted[set->first_unsorted];
    return compare_names(&run->first, name_in(run, run->next), &entry->order,
                         set->text + entry->at) <= 0
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
    *order = set->unsorted[set->first_unsorted].order;
    return set->text + set->unsorted[set->first_unsorted].at;
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
    for (size_t i = 0; i < set->unsorted_count; i++)
        if (delayed_compare(&set->unsorted[i].order, order) == 0 &&
            strcmp(set->text + set->unsorted[i].at, name) == 0)
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

/* For when there is no memory to pack the unsorted names: the next first one has to be found. */
static void drop_first_unsorted(struct name_set *set)
{
    size_t last = --set->unsorted_count;
    set->unsorted[set->first_unsorted] = set->unsorted[last];
    set->first_unsorted = 0;
    for (size_t i = 1; i < last; i++)
        if (compare_entries(&set->unsorted[i], &set->unsorted[set->first_unsorted], set->text) < 0)
            set->first_unsorted = i;
    if (last == 0)
        free_unsorted(set);
}

void name_set_drop_first(struct name_set *set)
{
    struct name_set_run *run = first_run(set);
    if (run == NULL && pack(set) == 0)
        run = first_run(set);
    set->count--;
    if (run == NULL) {
        drop_first_unsorted(set);
    } else if (run->next + 1 == run->count) {
        free_run(set, run);
    } else {
        RB_REMOVE(name_set_runs, &set->runs, run);
        run->next++;
        delayed_parse_name(name_in(run, run->next), &run->first);
        RB_INSERT(name_set_runs, &set->runs, run);
    }
}

/* --- Halving ---------------------------------------------------------------------------------- */

static int compare_samples(const void *one, const void *other)
{
    return delayed_compare(one, other);
}

/* Roughly the middle of all names: the middle of the runs' middles. */
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

/* Removes the names at or behind `from`; the run is freed if none is left. */
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
    /* The names lie in the block in their order, so it ends where the first removed one began. */
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

size_t name_set_halve(struct name_set *set, struct delayed_order *from)
{
    struct name_set_run *run, *next;
    size_t before = set->count;
    if (before < NAMES_LEFT || pack(set) < 0)
        return 0;
    *from = find_middle(set);
    /* A run that is cut short keeps its place among the others. */
    RB_FOREACH_SAFE (run, name_set_runs, &set->runs, next)
        cut_run(set, run, from);
    return before - set->count;
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
    free_unsorted(set);
    RB_FOREACH_SAFE (run, name_set_runs, &set->runs, next)
        free_run(set, run);
    set->count = 0;
}
