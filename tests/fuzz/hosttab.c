/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hosts.tab. Whatever is in it, only valid names get into the table; one that was accepted has each
 * id once, and written down and read again, it is the same.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/host_name.h"
#include "common/hosttab.h"
#include "tests/fuzz/fuzz.h"

static void check_entry(const struct hosttab_entry *entry)
{
    CHECK(host_name_is_valid(entry->id));
    CHECK(host_name_is_valid(entry->name));
    CHECK(strchr(entry->domain, ':') == NULL && strchr(entry->role, ':') == NULL);
    CHECK(!entry->name_is_address || entry->has_address);
    CHECK(entry->line > 0);
}

static void check_unique(const struct hosttab *table)
{
    for (size_t i = 0; i < table->count; i++)
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(table->entries[i].id, table->entries[j].id) != 0);
}

static char *write_down(const struct hosttab *table, size_t *length)
{
    char *text = NULL, address[INET_ADDRSTRLEN];
    FILE *file = open_memstream(&text, length);
    CHECK(file != NULL);
    for (size_t i = 0; i < table->count; i++) {
        const struct hosttab_entry *entry = &table->entries[i];
        bool given = entry->has_address;
        fprintf(file, "%s:%s:%s:%s:%s\n", entry->id, entry->domain, entry->role, entry->name,
                given ? inet_ntop(AF_INET, &entry->address, address, sizeof(address)) : "");
    }
    fclose(file);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hosttab table, again;
    struct diagnostics diagnostics = fuzz_complaints();
    int r = hosttab_load(&table, fuzz_file(data, size), &diagnostics);
    CHECK((r == 0) == (diagnostics.count == 0));
    for (size_t i = 0; i < table.count; i++)
        check_entry(&table.entries[i]);
    if (r == 0) {
        size_t length, length_again;
        CHECK(table.count > 0);
        check_unique(&table);
        char *first = write_down(&table, &length);
        CHECK(hosttab_load(&again, fuzz_file(first, length), &diagnostics) == 0);
        char *second = write_down(&again, &length_again);
        CHECK(length == length_again && memcmp(first, second, length) == 0);
        free(first);
        free(second);
        hosttab_free(&again);
    }
    hosttab_free(&table);
    return 0;
}
