/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads hosts.tab into an array, in the order of the file. It knows nothing of the hosts' sockets,
 * health or DNS, and keeps no table of its own: reload compares two of these.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/hosttab.h"
#include "common/lines.h"
#include "common/names.h"

enum field { FIELD_ID, FIELD_DOMAIN, FIELD_ROLE, FIELD_NAME, FIELD_FIFTH, FIELD_COUNT };

struct reading {
    struct hosttab *table;
    size_t room; /* in table->entries */
    const char *path;
    struct complaints *complaints;
};

static void clear_entry(struct hosttab_entry *entry)
{
    free(entry->id);
    free(entry->domain);
    free(entry->role);
    free(entry->name);
    *entry = (struct hosttab_entry){0};
}

/* Fields a line does not have are empty, those after the fifth are nobody's business. */
static void split(char *text, char *fields[FIELD_COUNT])
{
    static char none[] = "";
    for (enum field i = 0; i < FIELD_COUNT; i++) {
        char *part = strsep(&text, ":");
        fields[i] = part == NULL ? none : lines_strip(part);
    }
}

static bool is_numeric(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789.")] == '\0';
}

static bool check_id(const struct reading *reading, unsigned line, const char *id)
{
    if (name_is_valid(id))
        return true;
    complain(reading->complaints, reading->path, line, "id: " COMPLAINT_QUOTED ": expected %s", id,
             NAME_RULE);
    return false;
}

/*
 * An IPv4 literal is an address too. A name of digits and dots that is none ("10.0.1") is refused:
 * resolvers read it as an address in a way that nobody means.
 */
static bool check_name(const struct reading *reading, struct hosttab_entry *entry, const char *name)
{
    if (name_is_valid(name)) {
        entry->name_is_address = inet_pton(AF_INET, name, &entry->address) == 1;
        entry->has_address = entry->name_is_address;
        if (entry->has_address || !is_numeric(name))
            return true;
    }
    complain(reading->complaints, reading->path, entry->line,
             "DNS name: " COMPLAINT_QUOTED ": expected %s, or an IPv4 address", name, NAME_RULE);
    return false;
}

/* Tells the two shapes of a line apart, and gives the address of the older one. */
static bool check_fifth(const struct reading *reading, struct hosttab_entry *entry,
                        const char *text)
{
    struct in_addr address;
    if (inet_pton(AF_INET, text, &address) == 1) {
        entry->has_address = true;
        entry->address = address;
        return true;
    }
    if (strcmp(text, "") == 0 || strcmp(text, "http") == 0 || strcmp(text, "https") == 0)
        return true;
    complain(reading->complaints, reading->path, entry->line,
             "fifth field: " COMPLAINT_QUOTED ": expected an IPv4 address, http, https or nothing",
             text);
    return false;
}

static bool copy_fields(struct hosttab_entry *entry, char *const fields[FIELD_COUNT])
{
    entry->id = strdup(fields[FIELD_ID]);
    entry->domain = strdup(fields[FIELD_DOMAIN]);
    entry->role = strdup(fields[FIELD_ROLE]);
    entry->name = strdup(fields[FIELD_NAME]);
    return entry->id != NULL && entry->domain != NULL && entry->role != NULL && entry->name != NULL;
}

static bool make_room(struct reading *reading)
{
    struct hosttab *table = reading->table;
    if (table->count < reading->room)
        return true;
    size_t room = reading->room == 0 ? 64 : 2 * reading->room;
    struct hosttab_entry *entries = reallocarray(table->entries, room, sizeof(*entries));
    if (entries == NULL)
        return false;
    table->entries = entries;
    reading->room = room;
    return true;
}

static void add_entry(struct reading *reading, const struct hosttab_entry *checked,
                      char *const fields[FIELD_COUNT])
{
    __attribute__((cleanup(clear_entry))) struct hosttab_entry entry = *checked;
    struct hosttab *table = reading->table;
    if (table->count == HOSTTAB_MAX_HOSTS) {
        complain(reading->complaints, reading->path, entry.line, "the table has more than %d hosts",
                 HOSTTAB_MAX_HOSTS);
        return;
    }
    if (!copy_fields(&entry, fields) || !make_room(reading)) {
        complain(reading->complaints, reading->path, entry.line, "out of memory");
        return;
    }
    table->entries[table->count++] = entry;
    entry = (struct hosttab_entry){0};
}

/* All fields are checked, so that one run names every mistake of a line. */
static void read_line(void *argument, unsigned number, char *text)
{
    struct reading *reading = argument;
    text = lines_strip_comment(text);
    if (*text == '\0' || *text == '^')
        return;

    char *fields[FIELD_COUNT];
    split(text, fields);
    struct hosttab_entry entry = {.line = number};
    bool good = check_id(reading, number, fields[FIELD_ID]);
    good &= check_name(reading, &entry, fields[FIELD_NAME]);
    good &= check_fifth(reading, &entry, fields[FIELD_FIFTH]);
    if (good)
        add_entry(reading, &entry, fields);
}

static int by_id_then_line(const void *left, const void *right)
{
    const struct hosttab_entry *const *a = left;
    const struct hosttab_entry *const *b = right;
    int order = strcmp((*a)->id, (*b)->id);
    return order != 0 ? order : ((*a)->line > (*b)->line) - ((*a)->line < (*b)->line);
}

static void free_entries(struct hosttab_entry ***entries)
{
    free(*entries);
}

/* By sorting, since comparing each with each would take minutes for the largest table. */
static void find_duplicates(const struct reading *reading)
{
    const struct hosttab *table = reading->table;
    __attribute__((cleanup(free_entries))) struct hosttab_entry **sorted =
        calloc(table->count + 1, sizeof(*sorted));
    if (sorted == NULL) {
        complain(reading->complaints, reading->path, 0, "out of memory");
        return;
    }
    for (size_t i = 0; i < table->count; i++)
        sorted[i] = &table->entries[i];
    qsort(sorted, table->count, sizeof(*sorted), by_id_then_line);

    const struct hosttab_entry *first = NULL;
    for (size_t i = 0; i < table->count; i++) {
        if (first == NULL || strcmp(first->id, sorted[i]->id) != 0)
            first = sorted[i];
        else
            complain(reading->complaints, reading->path, sorted[i]->line,
                     "id: " COMPLAINT_QUOTED ": expected an id of its own, but line %u has it too",
                     first->id, first->line);
    }
}

int hosttab_load(struct hosttab *table, const char *path, struct complaints *complaints)
{
    unsigned before = complaints->count;
    struct reading reading = {.table = table, .path = path, .complaints = complaints};

    *table = (struct hosttab){0};
    if (lines_read(path, false, complaints, read_line, &reading) < 0)
        return -1;
    find_duplicates(&reading);
    if (complaints->count == before && table->count == 0)
        complain(complaints, path, 0, "the table has no hosts");
    return complaints->count == before ? 0 : -1;
}

void hosttab_free(struct hosttab *table)
{
    for (size_t i = 0; i < table->count; i++)
        clear_entry(&table->entries[i]);
    free(table->entries);
    *table = (struct hosttab){0};
}
