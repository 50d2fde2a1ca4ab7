/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a path leads to is watched: whatever makes it lead elsewhere is told, and nothing else is.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/core/pathwatch.h"

static struct loop loop;
static struct path_watch *watch;
static unsigned told;
static char root[64];

static void on_changed(void *argument)
{
    (void)argument;
    told++;
}

static const char *in(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, 256, "%s/%s", root, name);
    return path;
}

static void make(const char *name)
{
    cr_assert_eq(mkdir(in(name), 0700), 0, "%s", name);
}

static void move(const char *from, const char *to)
{
    cr_assert_eq(rename(in(from), in(to)), 0);
}

static void write_file(const char *name)
{
    int fd = open(in(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "x", 1), 1);
    close(fd);
}

/* How often it has been told since the last call; all that has happened is heard. */
static unsigned heard(void)
{
    loop.asking = true;
    while (loop_turn(&loop, 0) > 0)
        continue;
    unsigned n = told;
    told = 0;
    return n;
}

static void watch_path(const char *name)
{
    cr_assert_eq(path_watch_set(watch, in(name)), 0);
    heard();
}

static void begin(void)
{
    strcpy(root, "/tmp/lonc-pathwatch-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    cr_assert_geq(loop_open(&loop), 0);
    watch = path_watch_new(&loop, on_changed, NULL);
    cr_assert_not_null(watch);
    make("a");
    make("a/b");
    make("a/b/c");
}

static void end(void)
{
    char command[128];
    path_watch_free(watch);
    loop_close(&loop);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    cr_expect_eq(system(command), 0);
}

TestSuite(pathwatch, .init = begin, .fini = end, .timeout = 60);

Test(pathwatch, the_last_component_that_is_moved_removed_or_made_is_told)
{
    watch_path("a/b/c");
    move("a/b/c", "a/b/old");
    cr_assert_gt(heard(), 0);
    make("a/b/c");
    cr_assert_gt(heard(), 0);
    cr_assert_eq(rmdir(in("a/b/c")), 0);
    cr_assert_gt(heard(), 0);
}

Test(pathwatch, a_component_in_the_middle_is_told_too)
{
    watch_path("a/b/c");
    move("a", "old");
    cr_assert_gt(heard(), 0);
}

Test(pathwatch, what_happens_beside_the_path_is_not_told)
{
    watch_path("a/b/c");
    make("a/other");
    make("a/b/other");
    write_file("a/b/file");
    cr_assert_eq(heard(), 0);
}

/* Whether the kernel has something to tell, be it about somebody else. */
static bool is_woken(void)
{
    struct pollfd ready = {.fd = sd_event_get_fd(loop.event), .events = POLLIN};
    heard();
    make("a/beside");
    write_file("beside");
    bool woken = poll(&ready, 1, 0) > 0;
    heard();
    return woken;
}

Test(pathwatch, what_happens_beside_a_folder_on_the_way_wakes_nobody)
{
    watch_path("a/b/c");
    cr_assert_not(is_woken());
}

Test(pathwatch, a_link_on_the_way_that_is_replaced_or_removed_is_told)
{
    make("x");
    make("x/b");
    cr_assert_eq(symlink("a", in("link")), 0);
    cr_assert_eq(symlink("x", in("next")), 0);
    watch_path("link/b");
    move("next", "link");
    cr_assert_gt(heard(), 0);
    watch_path("link/b");
    cr_assert_eq(unlink(in("link")), 0);
    cr_assert_gt(heard(), 0);
    watch_path("link/b");
    cr_assert_eq(symlink("a", in("link")), 0);
    cr_assert_gt(heard(), 0);
}

Test(pathwatch, a_way_that_is_removed_and_made_anew_while_it_is_open_is_told)
{
    int fd = open(in("a/b"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    watch_path("a/b/c");
    cr_assert_eq(rmdir(in("a/b/c")), 0);
    cr_assert_eq(rmdir(in("a/b")), 0);
    cr_assert_gt(heard(), 0);
    watch_path("a/b/c");
    make("a/b");
    cr_assert_gt(heard(), 0);
    close(fd);
}

Test(pathwatch, what_is_missing_is_awaited)
{
    watch_path("a/new/folder");
    make("a/new");
    cr_assert_gt(heard(), 0);
    watch_path("a/new/folder");
    make("a/new/folder");
    cr_assert_gt(heard(), 0);
}

Test(pathwatch, a_link_that_leads_elsewhere_and_what_it_leads_to_are_told)
{
    make("x");
    cr_assert_eq(symlink("../x", in("a/link")), 0);
    watch_path("a/link");
    move("x", "y");
    cr_assert_gt(heard(), 0, "the target");
    move("y", "x");
    watch_path("a/link");
    cr_assert_eq(symlink("b", in("a/second")), 0);
    cr_assert_eq(heard(), 0);
    move("a/second", "a/link");
    cr_assert_gt(heard(), 0, "the link");
}

Test(pathwatch, links_in_a_circle_have_an_end)
{
    cr_assert_eq(symlink("two", in("one")), 0);
    cr_assert_eq(symlink("one", in("two")), 0);
    cr_assert_leq(path_watch_set(watch, in("one/b")), 0);
}

Test(pathwatch, a_file_that_is_written_or_gets_other_permissions_is_told)
{
    write_file("a/b/file");
    watch_path("a/b/file");
    write_file("a/b/file");
    cr_assert_gt(heard(), 0);
    cr_assert_eq(chmod(in("a/b/file"), 0640), 0);
    cr_assert_gt(heard(), 0);
}

Test(pathwatch, who_writes_to_the_file_himself_need_not_be_told)
{
    path_watch_ignore_writing(watch);
    write_file("a/b/file");
    watch_path("a/b/file");
    write_file("a/b/file");
    cr_assert_eq(heard(), 0);
    cr_assert_eq(chmod(in("a/b/file"), 0640), 0);
    cr_assert_gt(heard(), 0);
    move("a/b/file", "a/b/old");
    cr_assert_gt(heard(), 0);
}

Test(pathwatch, the_path_before_is_watched_no_longer)
{
    watch_path("a/b/c");
    watch_path("a/other");
    move("a/b/c", "a/b/old");
    cr_assert_eq(heard(), 0);
}

Test(pathwatch, a_mount_over_it_is_told)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        cr_skip_test("mounting is for root");
    path_watch_free(watch);
    watch = path_watch_new(&loop, on_changed, NULL); /* of the mounts that are changed here */
    cr_assert_not_null(watch);
    watch_path("a/b/c");
    cr_assert_eq(mount("none", in("a/b/c"), "tmpfs", 0, NULL), 0);
    cr_assert_gt(heard(), 0);
    cr_assert_eq(umount(in("a/b/c")), 0);
    cr_assert_gt(heard(), 0);
}
