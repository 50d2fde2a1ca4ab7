/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each deferred folder has a file of marks of its own, since several keepers may share a directory.
 * A line is a mark:
 *
 *     <logged> <inode of the folder> <inode of the file> <SHA-256 of its content> <name>
 *
 * The file is not synced, as that would make the loop wait for a disk that is in trouble already.
 * If the machine loses power at that moment, a transaction may be executed once more, which "at
 * least once" allows.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/draft.h"
#include "keeper/deferred/marks.h"

#define HEX_SIZE (2 * DELAYED_DIGEST_SIZE)

static void put_hex(const unsigned char digest[DELAYED_DIGEST_SIZE], char hex[HEX_SIZE + 1])
{
    for (size_t i = 0; i < DELAYED_DIGEST_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static bool parse_hex(const char hex[HEX_SIZE], unsigned char digest[DELAYED_DIGEST_SIZE])
{
    for (size_t i = 0; i < DELAYED_DIGEST_SIZE; i++)
        /* Two digits fit. NOLINTNEXTLINE(cert-err34-c) */
        if (sscanf(hex + 2 * i, "%2hhx", &digest[i]) != 1)
            return false;
    return true;
}

/* The file is named after the digest of the folder's path, which itself has slashes. */
static int make_path(char path[PATH_MAX], const char *directory, const char *delayed)
{
    unsigned char digest[DELAYED_DIGEST_SIZE];
    char hex[HEX_SIZE + 1];
    delayed_digest(delayed, strlen(delayed), digest);
    put_hex(digest, hex);
    int length = snprintf(path, PATH_MAX, "%s/delivered-%.16s", directory, hex);
    return length < 0 || length >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static void write_lines(FILE *file, const struct mark *marks, size_t count)
{
    char hex[HEX_SIZE + 1];
    for (size_t i = 0; i < count; i++) {
        put_hex(marks[i].digest, hex);
        fprintf(file, "%d %" PRIuMAX " %" PRIuMAX " %s %s\n", marks[i].logged,
                (uintmax_t)marks[i].folder, (uintmax_t)marks[i].inode, hex, marks[i].name);
    }
}

static int write_file(const char *path, const struct mark *marks, size_t count)
{
    struct draft draft;
    int r = draft_open(&draft, path, 0600);
    if (r < 0)
        return r;
    write_lines(draft.file, marks, count);
    return draft_install(&draft, false);
}

int marks_write(const char *const directories[], const char *delayed, const struct mark *marks,
                size_t count)
{
    char path[PATH_MAX];
    int r = count == 0 ? 0 : -ENOENT;
    bool written = count == 0;
    for (size_t i = 0; directories[i] != NULL; i++) {
        int made = make_path(path, directories[i], delayed);
        if (made < 0)
            continue;
        if (written) { /* what is here is older */
            (void)unlink(path);
            continue;
        }
        (void)mkdir(directories[i], 0700); /* if this fails, so does writing */
        r = write_file(path, marks, count);
        written = r == 0;
    }
    return r;
}

/* Whether the line is a well-formed mark; *mark is then filled in. */
static bool is_mark(const char *line, struct mark *mark)
{
    char hex[HEX_SIZE + 1];
    uintmax_t folder, inode;
    int logged;
    /* A number that is too large belongs to no file. NOLINTNEXTLINE(cert-err34-c) */
    if (sscanf(line, "%d %ju %ju %64s %255s", &logged, &folder, &inode, hex, mark->name) != 5 ||
        strlen(hex) != HEX_SIZE || !parse_hex(hex, mark->digest) || strchr(mark->name, '/') != NULL)
        return false;
    mark->logged = logged != 0;
    mark->folder = (ino_t)folder;
    mark->inode = (ino_t)inode;
    return true;
}

size_t marks_read(const char *const directories[], const char *delayed, struct mark *marks,
                  size_t most)
{
    char path[PATH_MAX], line[512];
    size_t count = 0;
    for (size_t i = 0; directories[i] != NULL; i++) {
        FILE *file = make_path(path, directories[i], delayed) < 0 ? NULL : fopen(path, "re");
        while (file != NULL && count < most && fgets(line, sizeof(line), file) != NULL)
            count += is_mark(line, &marks[count]);
        if (file != NULL)
            fclose(file);
    }
    return count;
}
