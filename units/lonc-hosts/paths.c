/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See paths.h. Equal names are found by sorting, because a table may have 100,000 lines.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "units/lonc-hosts/paths.h"

typedef int (*compare_function)(const void *, const void *);

static int by_id(const void *left, const void *right)
{
    const struct hosttab_entry *const *a = left;
    const struct hosttab_entry *const *b = right;
    return strcmp((*a)->id, (*b)->id);
}

/* Entries with the same name keep the order of the table. */
static int by_name(const void *left, const void *right)
{
    const struct hosttab_entry *const *a = left;
    const struct hosttab_entry *const *b = right;
    int order = strcasecmp((*a)->name, (*b)->name);
    return order != 0 ? order : (*a > *b) - (*a < *b);
}

static void free_entries(const struct hosttab_entry ***entries)
{
    free(*entries);
}
#define OWNED __attribute__((cleanup(free_entries)))

/* The entries in another order; NULL for lack of memory. */
static const struct hosttab_entry **sort_entries(const struct hosttab *table,
                                                 compare_function compare)
{
    const struct hosttab_entry **entries = calloc(table->count + 1, sizeof(*entries));
    if (entries == NULL)
        return NULL;
    for (size_t i = 0; i < table->count; i++)
        entries[i] = &table->entries[i];
    qsort(entries, table->count, sizeof(*entries), compare);
    return entries;
}

/* Whether `name` is the id of some host. A socket of that name then belongs to that host. */
static bool is_id(const struct hosttab *table, const struct hosttab_entry **ids, const char *name)
{
    const struct hosttab_entry entry = {.id = (char *)(uintptr_t)name};
    const struct hosttab_entry *key = &entry;
    return bsearch(&key, ids, table->count, sizeof(*ids), by_id) != NULL;
}

static void set_names(struct path_names *names, const struct hosttab_entry *entry, bool owns_name,
                      enum socket_names which)
{
    size_t n = 0;
    bool same = strcmp(entry->name, entry->id) == 0;
    if (which != SOCKET_NAMES_DNS || same)
        names->name[n++] = entry->id;
    if (which != SOCKET_NAMES_ID && !same && owns_name)
        names->name[n++] = entry->name;
}

struct path_names *paths_names(const struct hosttab *table, enum socket_names which)
{
    OWNED const struct hosttab_entry **ids = sort_entries(table, by_id);
    OWNED const struct hosttab_entry **names = sort_entries(table, by_name);
    struct path_names *result = calloc(table->count + 1, sizeof(*result));
    if (ids == NULL || names == NULL || result == NULL) {
        free(result);
        return NULL;
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct hosttab_entry *entry = names[i];
        bool first = i == 0 || strcasecmp(names[i - 1]->name, entry->name) != 0;
        set_names(&result[entry - table->entries], entry, first && !is_id(table, ids, entry->name),
                  which);
    }
    return result;
}
