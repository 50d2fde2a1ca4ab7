/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The deferred queue. As the input says, files of any name and content appear, disappear and are
 * renamed, londs give any reply, the table changes, and time passes. Nothing may be lost
 * (keeper/README.md rule 2): a file that nobody else has removed was delivered, or lies in the
 * folder or in one below, and each file that was delivered and has gone has exactly one S line.
 *
 * A file is recognized by its inode, and by a serial number at the end of its first line ("#12").
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/deferred/delayed_create.h"
#include "keeper/deferred/delayed_name.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/peer.h"
#include "tests/fuzz/world.h"

#define FILES 128 /* more than a backlog knows at once */

static struct {
    char name[256];
    ino_t inode;
    bool executed, removed, found;
} files[FILES];
static unsigned file_count;
static int folder;
static char log_path[192];

static const char *const replies[] = {"ok\n",       "error: no\n", "refused\n",     "rejected\n",
                                      "con_lost\n", "\n",          "unknown_cmd\n", NULL};
static unsigned reply, deliveries;

static void on_asked(struct peer *peer, const char *request, size_t length, bool enciphered)
{
    const char *mark = memrchr(request, '#', length);
    (void)enciphered;
    CHECK(mark != NULL);
    unsigned serial = (unsigned)strtoul(mark + 1, NULL, 10);
    CHECK(serial < file_count);
    files[serial].executed = true;
    /* These replies mean that it was executed; a file that is renamed meanwhile is sent again. */
    deliveries += reply == 0 || reply == 5;
    if (replies[reply] != NULL)
        peer_say(peer, replies[reply], strlen(replies[reply]));
    else
        peer_close(peer);
}

/* --- Files ------------------------------------------------------------------------------------ */

/* Not for names that lead out of the folder, and not for the keeper's own folders. */
static bool is_usable(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL &&
           strlen(name) < sizeof(files->name) && !delayed_is_own(name);
}

static void choose_name(struct input *input, char name[256])
{
    size_t length;
    uint8_t which = input_byte(input);
    const char *given = input_line(input, &length);
    if (which < 0x80)
        snprintf(name, 256, "%d.%d.1.put.%s", 1700000000 + which % 4, which >> 2,
                 which & 1 ? "msul1" : "msul2");
    else
        snprintf(name, 256, "%.*s", (int)length, given);
}

static void write_named(struct input *input, const char *name)
{
    char serial[16];
    size_t length;
    struct stat status;
    const char *line = input_line(input, &length);
    if (!is_usable(name) || file_count == FILES)
        return;
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    uint8_t end = input_byte(input);
    int n = snprintf(serial, sizeof(serial), "#%u%s", file_count, end & 1 ? "\n" : "");
    if ((end & 0x1e) != 0x1e) /* else it stays empty */
        CHECK(write(fd, line, length) == (ssize_t)length && write(fd, serial, (size_t)n) == n);
    if ((end & 0xe0) == 0xe0) /* and it is no request */
        CHECK(write(fd, "x\ny", 3) == 3);
    CHECK(fstat(fd, &status) == 0);
    close(fd);
    files[file_count].executed = files[file_count].removed = files[file_count].found = false;
    strcpy(files[file_count].name, name);
    files[file_count++].inode = status.st_ino;
}

static void write_file(struct input *input)
{
    char name[256];
    choose_name(input, name);
    write_named(input, name);
}

/* Many files at once, so that a backlog lasts; each call adds files that come before the others. */
static void write_many(void)
{
    char name[256];
    for (unsigned i = 0; i < 40; i++) {
        struct input line = {.data = (const uint8_t *)"put:a\n\1", .left = 7};
        snprintf(name, sizeof(name), "%u.%u.2.put.msul1", 1700000000 - file_count, i);
        write_named(&line, name);
    }
}

static void remove_file(uint8_t which)
{
    struct stat status;
    if (file_count == 0)
        return;
    unsigned i = which % file_count;
    if (fstatat(folder, files[i].name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        status.st_ino == files[i].inode)
        files[i].removed = unlinkat(folder, files[i].name, 0) == 0;
}

static void rename_file(struct input *input)
{
    char name[256];
    struct stat status;
    unsigned i = file_count > 0 ? input_byte(input) % file_count : 0;
    choose_name(input, name);
    if (file_count == 0 || !is_usable(name) ||
        fstatat(folder, files[i].name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
        status.st_ino != files[i].inode ||
        renameat2(folder, files[i].name, folder, name, RENAME_NOREPLACE) < 0)
        return;
    strcpy(files[i].name, name);
}

/* Calls `each` for the files in this folder below ("." is the folder itself). */
static void each_file(const char *below, void (*each)(int fd, const char *name))
{
    int fd = openat(folder, below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (entry->d_name[0] != '.' && !delayed_is_own(entry->d_name))
            each(fd, entry->d_name);
    if (directory != NULL)
        closedir(directory);
}

static void find(int fd, const char *name)
{
    struct stat status;
    CHECK(fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0);
    for (unsigned i = 0; i < file_count; i++)
        files[i].found |= files[i].inode == status.st_ino && !files[i].removed;
}

static void clear(int fd, const char *name)
{
    CHECK(unlinkat(fd, name, 0) == 0);
}

static const char *const places[] = {".", DELAYED_HELD_FOLDER, DELAYED_REJECTED_FOLDER,
                                     DELAYED_CORRUPT_FOLDER};
#define PLACES (sizeof(places) / sizeof(*places))

static unsigned delivered_lines(void)
{
    unsigned count = 0;
    size_t size = 0;
    char *line = NULL;
    FILE *file = fopen(log_path, "r");
    while (file != NULL && getline(&line, &size, file) > 0) {
        const char *letter = strchr(line, ':');
        count += letter != NULL && strncmp(letter, ":S:", 3) == 0;
    }
    free(line);
    if (file != NULL)
        fclose(file);
    return count;
}

static void check_accounts(void)
{
    unsigned gone = 0;
    for (size_t i = 0; i < PLACES; i++)
        each_file(places[i], find);
    for (unsigned i = 0; i < file_count; i++) {
        CHECK(files[i].executed || files[i].removed || files[i].found);
        gone += !files[i].removed && !files[i].found;
    }
    CHECK(delivered_lines() >= gone);
    CHECK(delivered_lines() <= deliveries);
}

/* --- What happens ----------------------------------------------------------------------------- */

static void act(struct input *input)
{
    static const uint64_t spans[] = {100000, 1100000, 3100000, 61000000};
    uint8_t what = input_byte(input);
    switch (what % 8) {
    case 0:
    case 1:
        if ((what & 0x38) == 0x38)
            write_many();
        else
            write_file(input);
        break;
    case 2:
    case 3:
        world_pass(spans[what >> 3 & 3]);
        break;
    case 4:
        reply = what >> 3 & 7;
        break;
    case 5:
        remove_file(input_byte(input));
        break;
    case 6:
        rename_file(input);
        break;
    default:
        if (what & 0x08)
            world_table(what >> 6 & 3 ? 2 : 1);
        else
            peers_refuse = (what & 0x10) != 0;
        break;
    }
    if (what & 0x80)
        world_turn();
}

static void start(void)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/delayed", world.sockets);
    folder = delayed_open(path);
    CHECK(folder >= 0);
    snprintf(path, sizeof(path), "%s/logs", fuzz_folder());
    CHECK(mkdir(path, 0700) == 0);
    snprintf(log_path, sizeof(log_path), "%s/lonnet.perm.log", path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = data, .left = size};
    world.deferring = true;
    file_count = 0;
    reply = deliveries = 0;
    peer_asked = on_asked;
    world_begin();
    if (log_path[0] == '\0')
        start();
    (void)unlink(log_path);
    while (input.left > 0)
        act(&input);
    peers_refuse = false;
    for (int i = 0; i < 4; i++)
        world_pass(61000000);
    check_accounts();
    for (size_t i = 0; i < PLACES; i++)
        each_file(places[i], clear);
    world_pass(4000000);
    world_end();
    CHECK(deferred_count(world.deferred) == 0);
    return 0;
}
