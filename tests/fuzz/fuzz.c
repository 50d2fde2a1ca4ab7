/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inputs, files and failures for the targets.
 */
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

void fuzz_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    abort();
}

uint8_t input_byte(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->data++;
}

const char *input_take(struct input *input, size_t *length)
{
    const char *start = (const char *)input->data;
    if (*length > input->left)
        *length = input->left;
    input->data += *length;
    input->left -= *length;
    return start;
}

const char *input_line(struct input *input, size_t *length)
{
    const uint8_t *lf = input->left > 0 ? memchr(input->data, '\n', input->left) : NULL;
    *length = lf != NULL ? (size_t)(lf - input->data) : input->left;
    const char *start = input_take(input, length);
    if (lf != NULL)
        input_byte(input);
    return start;
}

static void write_all(int fd, const void *bytes, size_t length)
{
    CHECK(ftruncate(fd, 0) == 0);
    CHECK(pwrite(fd, bytes, length, 0) == (ssize_t)length);
}

const char *fuzz_file(const void *bytes, size_t length)
{
    static char path[32];
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        CHECK(fd >= 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    write_all(fd, bytes, length);
    return path;
}

static char folder[64];

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

static void remove_folder(void)
{
    (void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_folder(void)
{
    if (folder[0] == '\0') {
        snprintf(folder, sizeof(folder), "/dev/shm/lonc-fuzz-XXXXXX");
        CHECK(mkdtemp(folder) != NULL);
        atexit(remove_folder);
    }
    return folder;
}

void fuzz_write(const char *path, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    write_all(fd, bytes, length);
    close(fd);
}

static void hear(void *argument, const char *text)
{
    (void)argument;
    CHECK(*text != '\0');
    for (; *text != '\0'; text++)
        CHECK(*text >= ' ' && *text <= '~');
}

struct diagnostics fuzz_complaints(void)
{
    return (struct diagnostics){.say = hear};
}

#define FDS_MAX 128

unsigned fuzz_descriptors(void)
{
    struct pollfd all[FDS_MAX];
    unsigned count = 0;
    for (int i = 0; i < FDS_MAX; i++)
        all[i] = (struct pollfd){.fd = i};
    CHECK(poll(all, FDS_MAX, 0) >= 0);
    for (int i = 0; i < FDS_MAX; i++)
        count += (all[i].revents & POLLNVAL) == 0;
    return count;
}
