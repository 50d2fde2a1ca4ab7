/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads hosts.tab into an array, in the order of the file. It knows nothing about the hosts'
 * sockets, health or DNS, and keeps no state of its own: a reload compares two of these tables.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/host_name.h"
#include "common/hosttab.h"
#include "common/lines.h"

enum field { FIELD_ID, FIELD_DOMAIN, FIELD_ROLE, FIELD_NAME, FIELD_FIFTH, FIELD_COUNT };

/* Texts are stored one after the other, so that a table takes few allocations. */
#define TEXTS_SIZE ((size_t)32 * 1024) /* several times LINES_MAX_LENGTH */

struct hosttab_texts {
    struct hosttab_texts *next;
    size_t used;
    char bytes[TEXTS_SIZE - 2 * sizeof(size_t)];
};

struct hosttab_reading {
    struct hosttab *table;
    size_t room; /* entries that table->entries has memory for */
    const char *path;
    struct diagnostics *diagnostics;
    unsigned count_before; /* of diagnostics */
    struct lines *lines;
};

/* --- Texts and indexes ------------------------------------------------------------------------ */

/* A copy that lives as long as the table, or NULL for lack of memory. */
static char *keep_text(struct hosttab *table, const char *text)
{
    size_t size = strlen(text) + 1;
    struct hosttab_texts *texts = table->texts;
    if (texts == NULL || size > sizeof(texts->bytes) - texts->used) {
        texts = malloc(sizeof(*texts));
        if (texts == NULL)
            return NULL;
        texts->next = table->texts;
        texts->used = 0;
        table->texts = texts;
    }
    char *copy = memcpy(texts->bytes + texts->used, text, size);
    texts->used += size;
    return copy;
}

/* FNV-1a, ignoring case because names do; ids, which do not, may share a hash. */
static uint32_t hash(const char *text)
{
    uint32_t sum = 2166136261u;
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        sum = (sum ^ (c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c)) * 16777619u;
    }
    return sum;
}

/* Whether the entry has this text in this index. DNS ignores the case of names. */
static bool entry_has(const struct hosttab *table, const struct hosttab_index *index,
                      const struct hosttab_entry *entry, const char *text)
{
    return index == &table->names ? strcasecmp(entry->name, text) == 0
                                  : strcmp(entry->id, text) == 0;
}

/* The slot of the entry with this text, or the empty slot where it belongs. */
static uint32_t *find_slot(const struct hosttab *table, const struct hosttab_index *index,
                           const char *text)
{
    size_t at = hash(text) & (index->size - 1);
    while (index->slots[at] != 0 &&
           !entry_has(table, index, &table->entries[index->slots[at] - 1], text))
        at = (at + 1) & (index->size - 1);
    return &index->slots[at];
}

/* Makes room for one more entry, at two slots for each. 0 or -ENOMEM. */
static int grow_index(struct hosttab *table, struct hosttab_index *index)
{
    if (2 * (table->count + 1) < index->size)
        return 0;
    struct hosttab_index old = *index;
    size_t size = old.size == 0 ? 128 : 2 * old.size;
    uint32_t *slots = calloc(size, sizeof(*slots));
    if (slots == NULL)
        return -ENOMEM;
    *index = (struct hosttab_index){.slots = slots, .size = size};
    for (size_t i = 0; i < old.size; i++) {
        if (old.slots[i] == 0)
            continue;
        const struct hosttab_entry *entry = &table->entries[old.slots[i] - 1];
        *find_slot(table, index, index == &table->names ? entry->name : entry->id) = old.slots[i];
    }
    free(old.slots);
    return 0;
}

static const struct hosttab_entry *find_entry(const struct hosttab *table,
                                              const struct hosttab_index *index, const char *text)
{
    if (index->size == 0)
        return NULL;
    uint32_t place = *find_slot(table, index, text);
    return place != 0 ? &table->entries[place - 1] : NULL;
}

const struct hosttab_entry *hosttab_find_id(const struct hosttab *table, const char *id)
{
    return find_entry(table, &table->ids, id);
}

const struct hosttab_entry *hosttab_find_name(const struct hosttab *table, const char *name)
{
    return find_entry(table, &table->names, name);
}

/* --- Lines ------------------------------------------------------------------------------------ */

/* Fields that the line does not have are empty; those after the fifth are ignored. */
static void split_fields(char *text, char *fields[FIELD_COUNT])
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

static bool check_id(const struct hosttab_reading *reading, unsigned line, const char *id)
{
    if (host_name_is_valid(id))
        return true;
    diagnostics_add(reading->diagnostics, reading->path, line,
                    "id: " DIAGNOSTIC_QUOTED ": expected %s", id, HOST_NAME_RULE);
    return false;
}

/*
 * An IPv4 literal counts as the address, too. Any other name of digits and dots ("10.0.1") is
 * refused, because resolvers take it for an address that nobody means.
 */
static bool check_name(const struct hosttab_reading *reading, struct hosttab_entry *entry,
                       const char *name)
{
    if (host_name_is_valid(name)) {
        entry->name_is_address = inet_pton(AF_INET, name, &entry->address) == 1;
        entry->has_address = entry->name_is_address;
        if (entry->has_address || !is_numeric(name))
            return true;
    }
    diagnostics_add(reading->diagnostics, reading->path, entry->line,
                    "DNS name: " DIAGNOSTIC_QUOTED ": expected %s, or an IPv4 address", name,
                    HOST_NAME_RULE);
    return false;
}

/* Reads the IPv4 address at the beginning of the text; what follows it is a remark. */
static bool read_address(const char *text, struct in_addr *address)
{
    char digits[INET_ADDRSTRLEN];
    size_t length = strspn(text, "0123456789.");
    while (length > 0 && text[length - 1] == '.') /* in "10.0.0.1." the dot is a remark */
        length--;
    if (length >= sizeof(digits))
        return false;
    memcpy(digits, text, length);
    digits[length] = '\0';
    return inet_pton(AF_INET, digits, address) == 1;
}

/* The fifth field tells the two forms of a line apart; the older one has an address in it. */
static bool check_fifth(const struct hosttab_reading *reading, struct hosttab_entry *entry,
                        const char *text)
{
    struct in_addr address;
    if (read_address(text, &address)) {
        entry->has_address = true;
        entry->address = address;
        return true;
    }
    if (strcmp(text, "") == 0 || strcmp(text, "http") == 0 || strcmp(text, "https") == 0)
        return true;
    diagnostics_add(reading->diagnostics, reading->path, entry->line,
                    "fifth field: " DIAGNOSTIC_QUOTED
                    ": expected an IPv4 address, http, https or nothing",
                    text);
    return false;
}

static int copy_fields(struct hosttab *table, struct hosttab_entry *entry,
                       char *const fields[FIELD_COUNT])
{
    entry->id = keep_text(table, fields[FIELD_ID]);
    entry->domain = keep_text(table, fields[FIELD_DOMAIN]);
    entry->role = keep_text(table, fields[FIELD_ROLE]);
    entry->name = keep_text(table, fields[FIELD_NAME]);
    bool all =
        entry->id != NULL && entry->domain != NULL && entry->role != NULL && entry->name != NULL;
    return all ? 0 : -ENOMEM;
}

static int make_room(struct hosttab_reading *reading)
{
    struct hosttab *table = reading->table;
    if (grow_index(table, &table->ids) < 0 || grow_index(table, &table->names) < 0)
        return -ENOMEM;
    if (table->count < reading->room)
        return 0;
    size_t room = reading->room == 0 ? 64 : 2 * reading->room;
    struct hosttab_entry *entries = reallocarray(table->entries, room, sizeof(*entries));
    if (entries == NULL)
        return -ENOMEM;
    table->entries = entries;
    reading->room = room;
    return 0;
}

static void add_entry(struct hosttab_reading *reading, struct hosttab_entry *entry,
                      char *const fields[FIELD_COUNT])
{
    struct hosttab *table = reading->table;
    if (table->count == HOSTTAB_MAX_HOSTS) {
        diagnostics_add(reading->diagnostics, reading->path, entry->line,
                        "the table has more than %d hosts", HOSTTAB_MAX_HOSTS);
        return;
    }
    if (make_room(reading) < 0 || copy_fields(table, entry, fields) < 0) {
        diagnostics_add(reading->diagnostics, reading->path, entry->line, "out of memory");
        return;
    }
    uint32_t *id = find_slot(table, &table->ids, entry->id);
    if (*id != 0) {
        diagnostics_add(reading->diagnostics, reading->path, entry->line,
                        "id: " DIAGNOSTIC_QUOTED ": expected a unique id, but line %u has it too",
                        entry->id, table->entries[*id - 1].line);
        return;
    }
    uint32_t *name = find_slot(table, &table->names, entry->name);
    table->entries[table->count++] = *entry;
    *id = (uint32_t)table->count;
    if (*name == 0)
        *name = (uint32_t)table->count;
}

/* Checks every field, so that one run reports every mistake of a line. */
static void read_line(void *argument, unsigned number, char *text)
{
    struct hosttab_reading *reading = argument;
    text = lines_strip_comment(text);
    if (*text == '\0' || *text == '^')
        return;

    char *fields[FIELD_COUNT];
    split_fields(text, fields);
    struct hosttab_entry entry = {.line = number};
    bool good = check_id(reading, number, fields[FIELD_ID]);
    good &= check_name(reading, &entry, fields[FIELD_NAME]);
    good &= check_fifth(reading, &entry, fields[FIELD_FIFTH]);
    if (good)
        add_entry(reading, &entry, fields);
}

/* --- The whole -------------------------------------------------------------------------------- */

struct hosttab_reading *hosttab_open(struct hosttab *table, const char *path,
                                     struct diagnostics *diagnostics)
{
    *table = (struct hosttab){0};
    unsigned before = diagnostics->count;
    struct lines *lines = lines_open(path, false, diagnostics);
    if (lines == NULL)
        return NULL;
    struct hosttab_reading *reading = calloc(1, sizeof(*reading));
    if (reading == NULL) {
        diagnostics_add(diagnostics, path, 0, "out of memory");
        lines_close(lines);
        return NULL;
    }
    *reading = (struct hosttab_reading){.table = table,
                                        .path = path,
                                        .diagnostics = diagnostics,
                                        .count_before = before,
                                        .lines = lines};
    return reading;
}

bool hosttab_read_some(struct hosttab_reading *reading)
{
    return lines_read_some(reading->lines, HOSTTAB_LINES, read_line, reading);
}

int hosttab_close(struct hosttab_reading *reading)
{
    const struct hosttab *table = reading->table;
    struct diagnostics *diagnostics = reading->diagnostics;
    unsigned before = reading->count_before;
    lines_close(reading->lines);
    if (diagnostics->count == before && table->count == 0)
        diagnostics_add(diagnostics, reading->path, 0, "the table has no hosts");
    free(reading);
    return diagnostics->count == before ? 0 : -1;
}

int hosttab_load(struct hosttab *table, const char *path, struct diagnostics *diagnostics)
{
    struct hosttab_reading *reading = hosttab_open(table, path, diagnostics);
    if (reading == NULL)
        return -1;
    while (hosttab_read_some(reading))
        continue;
    return hosttab_close(reading);
}

void hosttab_free(struct hosttab *table)
{
    struct hosttab_texts *next;
    for (; table->texts != NULL; table->texts = next) {
        next = table->texts->next;
        free(table->texts);
    }
    free(table->ids.slots);
    free(table->names.slots);
    free(table->entries);
    *table = (struct hosttab){0};
}
