/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names and contents of deferred files. The first line of the input is a name, the rest the content
 * of a file. A file is a request exactly if it is one line within the limit; what is stored is read
 * back unchanged; a file that is set aside stays the same file.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/host_name.h"
#include "keeper/deferred/delayed_create.h"
#include "keeper/deferred/delayed_name.h"
#include "keeper/deferred/delayed_take.h"
#include "tests/fuzz/fuzz.h"

#define LINE_LIMIT 64

static int folder = -1;

/* Each candidate is a longer end of the name than the one before, and a valid host. */
static void check_name(const char *name)
{
    struct delayed_order order;
    const char *host = delayed_parse_name(name, &order);
    if (host == NULL)
        return;
    char numbers[64];
    const char *after_count = strchr(strchr(name, '.') + 1, '.') + 1;
    snprintf(numbers, sizeof(numbers), "%llu.%llu.", (unsigned long long)order.epoch,
             (unsigned long long)order.count);
    CHECK(name[0] == '0' || strchr(name, '.')[1] == '0' ||
          strncmp(name, numbers, strlen(numbers)) == 0);
    CHECK(strchr(host, '.') == NULL);
    for (const char *longer; host != NULL; host = longer) {
        CHECK(host_name_is_valid(host));
        CHECK(host >= after_count && host + strlen(host) == name + strlen(name));
        CHECK(host[-1] == '.');
        longer = delayed_longer_host(name, host);
        CHECK(longer == NULL || longer < host);
    }
}

static enum delayed_result expected(const char *content, size_t length)
{
    const char *lf = memchr(content, '\n', length);
    if (length == 0)
        return DELAYED_EMPTY;
    if (length > LINE_LIMIT || (lf == NULL && length == LINE_LIMIT))
        return DELAYED_CORRUPT;
    return lf == NULL || lf == content + length - 1 ? DELAYED_READ : DELAYED_CORRUPT;
}

static void check_line(const struct buffer *buffer, const char *content, size_t length)
{
    size_t whole = buffer_length(buffer);
    const char *line = buffer->data + buffer->start;
    CHECK(whole == length || whole == length + 1);
    CHECK(memchr(line, '\n', whole) == line + whole - 1);
    CHECK(memcmp(line, content, length) == 0);
}

static bool is_file_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL &&
           strlen(name) <= NAME_MAX;
}

static void set_aside(const char *name, ino_t inode)
{
    char path[PATH_MAX];
    struct stat status;
    int r = delayed_set_aside(folder, name, DELAYED_REJECTED_FOLDER, NULL, "error\n", 6);
    bool fits = strlen(name) + strlen(".reply") <= NAME_MAX;
    CHECK((r == 0) == fits);
    snprintf(path, sizeof(path), DELAYED_REJECTED_FOLDER "/%s", name);
    CHECK(fstatat(folder, fits ? path : name, &status, 0) == 0 && status.st_ino == inode);
    CHECK(unlinkat(folder, fits ? path : name, 0) == 0);
    strcat(path, ".reply");
    CHECK((unlinkat(folder, path, 0) == 0) == fits);
}

static void check_content(const char *name, const char *content, size_t length)
{
    char path[PATH_MAX];
    struct buffer buffer = {.data = NULL};
    struct stat status;
    struct delayed_found found;
    snprintf(path, sizeof(path), "%s/%s", fuzz_folder(), name);
    fuzz_write(path, content, length);
    CHECK(stat(path, &status) == 0);
    enum delayed_result result = delayed_read(folder, name, LINE_LIMIT, &buffer, &found);
    CHECK(result == expected(content, length));
    CHECK((result == DELAYED_CORRUPT) == (found.why != NULL));
    if (result == DELAYED_READ) {
        check_line(&buffer, content, length);
        CHECK(found.is.inode == status.st_ino);
        CHECK(delayed_remove(folder, name, &(struct delayed_sent){.is = found.is}) ==
              DELAYED_TAKEN);
    } else {
        set_aside(name, status.st_ino);
    }
    buffer_free(&buffer);
    CHECK(delayed_read(folder, name, LINE_LIMIT, &buffer, &found) == DELAYED_GONE);
}

/* Stores a transaction as for a client (`lonc_defer:`). */
static void check_store(const char *line, size_t length)
{
    struct delayed_file file;
    struct delayed_order order;
    struct buffer buffer = {.data = NULL};
    struct delayed_found found;
    CHECK(delayed_create(folder, "msul1", 1700000000, line, length, &file) == 0);
    CHECK(delayed_publish(folder, &file) == 0);
    const char *host = delayed_parse_name(file.name, &order);
    CHECK(host != NULL && strcmp(host, "msul1") == 0 && order.epoch == 1700000000);
    CHECK(delayed_read(folder, file.name, LINE_LIMIT, &buffer, &found) == DELAYED_READ);
    CHECK(buffer_length(&buffer) == length);
    CHECK(memcmp(buffer.data + buffer.start, line, length) == 0);
    CHECK(delayed_remove(folder, file.name, &(struct delayed_sent){.is = found.is}) ==
          DELAYED_TAKEN);
    buffer_free(&buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = data, .left = size};
    size_t length;
    const char *line = input_line(&input, &length);
    if (folder < 0)
        folder = delayed_open(fuzz_folder());
    CHECK(folder >= 0);

    char *name = malloc(length + 1);
    CHECK(name != NULL);
    memcpy(name, line, length);
    name[length] = '\0';
    check_name(name);
    const char *content = (const char *)input.data;
    check_content(is_file_name(name) && !delayed_is_own(name) ? name : "file", content, input.left);
    if (length + 1 < LINE_LIMIT && size > length)
        check_store(line, length + 1);
    free(name);
    CHECK(buffers_used() == 0);
    return 0;
}
