/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which read-only mounts come from a sandbox: those of a file system that itself can be written.
 * Mounting needs root; the mounts are made in a namespace of the test's own.
 */
#include <criterion/criterion.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/deferred/mounts.h"
#include "tests/unit/heard.h"

static void begin(void)
{
    heard_begin();
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        cr_skip_test("no mounts of our own can be made");
    cr_assert_eq(mkdir("disk", 0700), 0);
    cr_assert_eq(mount("none", "disk", "tmpfs", 0, "size=64k"), 0);
    cr_assert_eq(mkdir("disk/delayed", 0700), 0);
}

static void end(void)
{
    (void)umount2("disk/delayed", MNT_DETACH);
    (void)umount2("disk", MNT_DETACH);
    heard_end();
}

TestSuite(mounts, .init = begin, .fini = end, .timeout = 30);

/* As systemd does for ProtectSystem=strict. */
static void bind_read_only(const char *path)
{
    cr_assert_eq(mount(path, path, NULL, MS_BIND, NULL), 0);
    cr_assert_eq(mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
}

Test(mounts, a_mount_that_can_be_written_forbids_nothing)
{
    cr_expect_not(mounts_forbid_writing("disk/delayed"));
    cr_expect_not(mounts_forbid_writing("disk/delayed/missing"));
}

Test(mounts, a_read_only_mount_of_a_file_system_that_can_be_written_is_a_sandbox)
{
    bind_read_only("disk/delayed");
    cr_expect(mounts_forbid_writing("disk/delayed"));
    cr_expect(mounts_forbid_writing("disk/delayed/missing"), "its folder tells");
    cr_expect_not(mounts_forbid_writing("disk"), "the one around it is another");
}

Test(mounts, a_file_system_that_is_read_only_itself_is_none)
{
    cr_assert_eq(mount(NULL, "disk", NULL, MS_REMOUNT | MS_RDONLY, "size=64k"), 0);
    cr_expect_not(mounts_forbid_writing("disk/delayed"));
}

Test(mounts, of_a_path_without_a_folder_nothing_is_known)
{
    bind_read_only("disk/delayed");
    cr_expect_not(mounts_forbid_writing("disk/delayed/missing/missing"));
    cr_expect_not(mounts_forbid_writing("missing"), "there is no slash in it");
}
