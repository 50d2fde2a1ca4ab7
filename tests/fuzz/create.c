/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines for lonSockCreate, after a byte that chooses `socket_names`. Whatever the line is, it gets
 * the path of a socket that one of the table's DNS names has, which is its first field; or an
 * answer of one printable line.
 */
#include <string.h>
#include <strings.h>

#include "keeper/client/create.h"
#include "tests/fuzz/fuzz.h"

static const char table[] = "a:d:library:x.edu\n"
                            "b:d:library:X.EDU\n"
                            "c:d:library:y.edu\n"
                            "y.edu:d:library:z.edu\n"
                            "w.edu:d:library:w.edu\n";

static struct config config = {.loncapa = {.sock_dir = (char[]){"/s"}}, .valid = true};

/* The first field of the line, as the last part of the path, and an id of it behind. */
static void check_path(const char *line, size_t length, const char *text)
{
    const char *name = text + 3;
    size_t n = strlen(name);
    CHECK(strncmp(text, "/s/", 3) == 0);
    CHECK(length > n + 1 && memcmp(line, name, n) == 0 && line[n] == ':');
    CHECK(memchr(line, '\0', length) == NULL);
    bool listed = false;
    for (size_t i = 0; i < config.table.count; i++)
        listed |= strcmp(config.table.entries[i].name, name) == 0;
    CHECK(listed);
    bool ids_only = config.settings.socket_names == SOCKET_NAMES_ID;
    CHECK(!ids_only || hosttab_find_id(&config.table, name) != NULL);
}

static void check_answer(const char *text)
{
    size_t length = strlen(text);
    CHECK(strncmp(text, "error: ", 7) == 0);
    CHECK(length + 1 < CREATE_TEXT_SIZE && text[length - 1] == '\n');
    for (size_t i = 0; i < length - 1; i++)
        CHECK(text[i] >= ' ' && text[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = data, .left = size};
    struct diagnostics diagnostics = fuzz_complaints();
    char text[CREATE_TEXT_SIZE];
    if (config.table.count == 0)
        CHECK(hosttab_load(&config.table, fuzz_file(table, sizeof(table) - 1), &diagnostics) == 0);
    config.settings.socket_names = input_byte(&input) % (SOCKET_NAMES_BOTH + 1);
    size_t length = input.left;
    const char *line = input_take(&input, &length);
    if (create_find_path(&config, line, length, text) == 0)
        check_path(line, length, text);
    else
        check_answer(text);
    return 0;
}
