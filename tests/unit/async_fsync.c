/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fsync in the background, on real files: `done` is called exactly once for each, with its own
 * result, whatever happens to the descriptor meanwhile. That the data are on the disk cannot be
 * shown here.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/deferred/async_fsync.h"
#include "tests/unit/heard.h"

static sd_event *event;
static struct async_fsync *syncs;

static void begin(void)
{
    heard_begin();
    cr_assert_geq(sd_event_new(&event), 0);
    syncs = async_fsync_new(event);
    cr_assert_not_null(syncs);
}

static void end(void)
{
    async_fsync_free(syncs);
    sd_event_unref(event);
    heard_end();
}

TestSuite(async_fsync, .init = begin, .fini = end, .timeout = 30);

/* --- Helpers ---------------------------------------------------------------------------------- */

struct told {
    unsigned times;
    int result;
};

static void tell(void *argument, int result)
{
    struct told *told = argument;
    told->times++;
    told->result = result;
}

static int make_file(const char *name)
{
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "text\n", 5), 5);
    return fd;
}

/* Runs the loop until `done` was called, for at most five seconds. */
static void await(const struct told *told)
{
    for (int i = 0; i < 500 && told->times == 0; i++)
        cr_assert_geq(sd_event_run(event, 10000), 0);
    cr_assert_eq(told->times, 1, "told %u times", told->times);
}

static int count_open(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

/* --- What is told ------------------------------------------------------------------------------
 */

Test(async_fsync, a_file_is_synced_and_told_once)
{
    struct told told = {0};
    int fd = make_file("file");
    async_fsync_start(syncs, fd, tell, &told);
    await(&told);
    cr_expect_eq(told.result, 0);
    while (sd_event_run(event, 10000) > 0)
        continue;
    cr_expect_eq(told.times, 1);
    close(fd);
}

Test(async_fsync, a_directory_whose_entries_changed_is_synced)
{
    struct told told = {0};
    close(make_file("file"));
    int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(rename("file", "renamed"), 0);
    async_fsync_start(syncs, fd, tell, &told);
    await(&told);
    cr_expect_eq(told.result, 0);
    close(fd);
}

Test(async_fsync, the_descriptor_may_be_closed_at_once)
{
    struct told told = {0};
    int fd = make_file("file");
    async_fsync_start(syncs, fd, tell, &told);
    close(fd);
    await(&told);
    cr_expect_eq(told.result, 0);
}

Test(async_fsync, what_cannot_be_synced_is_told_with_its_errno)
{
    struct told closed = {0}, pipe_end = {0};
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    async_fsync_start(syncs, ends[1], tell, &pipe_end);
    await(&pipe_end);
    cr_expect_eq(pipe_end.result, -EINVAL);
    close(ends[0]);
    close(ends[1]);
    async_fsync_start(syncs, ends[1], tell, &closed);
    await(&closed);
    cr_expect_eq(closed.result, -EBADF);
}

Test(async_fsync, more_than_the_kernel_is_given_at_once_are_all_told)
{
    static struct told told[3 * SYNC_MAX];
    int fd = make_file("file");
    for (size_t i = 0; i < 3 * SYNC_MAX; i++)
        async_fsync_start(syncs, fd, tell, &told[i]);
    for (size_t i = 0; i < 3 * SYNC_MAX; i++)
        await(&told[i]);
    for (size_t i = 0; i < 3 * SYNC_MAX; i++)
        cr_expect(told[i].times == 1 && told[i].result == 0, "%zu: %u times, %d", i, told[i].times,
                  told[i].result);
    close(fd);
}

struct chain {
    struct told told;
    int fd;
    unsigned left;
};

static void start_next(void *argument, int result)
{
    struct chain *chain = argument;
    if (result == 0 && chain->left-- > 0)
        async_fsync_start(syncs, chain->fd, start_next, chain);
    else
        tell(&chain->told, result);
}

Test(async_fsync, another_may_be_started_from_within_the_telling)
{
    struct chain chain = {.fd = make_file("file"), .left = 20};
    async_fsync_start(syncs, chain.fd, start_next, &chain);
    await(&chain.told);
    cr_expect_eq(chain.told.result, 0);
    close(chain.fd);
}

/* --- The end ---------------------------------------------------------------------------------- */

Test(async_fsync, whoever_still_waits_at_the_end_is_told)
{
    static struct told told[SYNC_MAX + 10];
    int fd = make_file("file");
    for (size_t i = 0; i < SYNC_MAX + 10; i++)
        async_fsync_start(syncs, fd, tell, &told[i]);
    async_fsync_free(syncs);
    syncs = NULL;
    for (size_t i = 0; i < SYNC_MAX + 10; i++)
        cr_expect(told[i].times == 1 && told[i].result == 0, "%zu: %u times, %d", i, told[i].times,
                  told[i].result);
    close(fd);
}

Test(async_fsync, none_may_be_ended)
{
    async_fsync_free(NULL);
}

Test(async_fsync, nothing_stays_open)
{
    int before = count_open();
    for (int i = 0; i < 20; i++) {
        struct told told = {0};
        struct async_fsync *another = async_fsync_new(event);
        cr_assert_not_null(another);
        int fd = make_file("file");
        async_fsync_start(another, fd, tell, &told);
        close(fd);
        async_fsync_free(another);
        cr_expect_eq(told.times, 1);
    }
    cr_expect_eq(count_open(), before);
}
