/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether somebody listens at a path, told from the kernel's list; and giving sockets to www.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/unix.h"
#include "tests/unit/heard.h"
#include "units/lonc-hosts/listening.h"
#include "units/lonc-hosts/www.h"

static struct listening listening;
static char path[108];

/* A path in a new folder. The kernel lists a socket by the path it was bound to, as it was given.
 */
static void begin(void)
{
    char folder[64];
    heard_begin();
    cr_assert_not_null(getcwd(folder, sizeof(folder)));
    snprintf(path, sizeof(path), "%s/socket", folder);
}

static void end(void)
{
    listening_free(&listening);
    heard_end();
}

TestSuite(listening, .init = begin, .fini = end);

static int listen_there(void)
{
    int fd = unix_listen(path, SOCK_STREAM);
    cr_assert_geq(fd, 0);
    return fd;
}

static bool is_alive(bool *owned_by_root)
{
    listening_free(&listening);
    cr_assert_eq(listening_read(&listening), 0);
    return listening_is_alive(&listening, path, owned_by_root);
}

/* This process is not systemd. Its socket counts only where the user www cannot tell. */
Test(listening, a_socket_of_the_right_owner_is_taken_for_systemds)
{
    bool owned_by_root = false, right_owner = www() == NULL || www()->user == geteuid();
    int fd = listen_there();
    cr_expect_eq(is_alive(&owned_by_root), right_owner);
    cr_expect_eq(owned_by_root, right_owner && geteuid() == 0);
    close(fd);
}

Test(listening, nobody_listens_where_the_socket_was_closed_or_only_bound)
{
    bool owned_by_root = false;
    close(listen_there());
    cr_expect_not(is_alive(&owned_by_root));
    cr_assert_eq(unlink(path), 0);
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(unix_address(&address, path), 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_expect_not(is_alive(&owned_by_root));
    cr_expect_not(owned_by_root);
    close(fd);
}

Test(listening, nobody_listens_where_the_path_was_removed_or_is_a_file)
{
    bool owned_by_root = false;
    int fd = listen_there();
    cr_assert_eq(unlink(path), 0);
    cr_expect_not(is_alive(&owned_by_root));
    write_file(path, "");
    cr_expect_not(is_alive(&owned_by_root));
    close(fd);
}

/* The kernel lists both sockets, so whoever has the path now is asked; it is not process 1. */
Test(listening, a_socket_that_was_replaced_is_not_systemds)
{
    bool owned_by_root = false;
    int first = listen_there();
    cr_assert_eq(unlink(path), 0);
    int second = listen_there();
    cr_expect_not(is_alive(&owned_by_root));
    cr_expect_not(owned_by_root);
    close(first);
    close(second);
}

Test(listening, nothing_is_concluded_from_an_incomplete_list)
{
    bool owned_by_root = false;
    cr_expect_not(is_alive(&owned_by_root));
    listening.is_complete = false;
    cr_expect(listening_is_alive(&listening, path, &owned_by_root));
}

/* --- www -------------------------------------------------------------------------------------- */

static const struct www user = {.user = 12345, .group = 23456};

static struct stat status_of(const char *name)
{
    struct stat status;
    cr_assert_eq(lstat(name, &status), 0);
    return status;
}

Test(listening, a_socket_of_roots_is_given_to_www)
{
    if (geteuid() != 0)
        return;
    close(listen_there());
    cr_expect_eq(www_give_socket(path, &user), 0);
    cr_expect_eq(status_of(path).st_uid, 12345);
    cr_expect_eq(status_of(path).st_gid, 23456);
}

Test(listening, a_group_that_a_drop_in_has_chosen_stays)
{
    if (geteuid() != 0)
        return;
    close(listen_there());
    cr_assert_eq(chown(path, 0, 777), 0);
    cr_expect_eq(www_give_socket(path, &user), 0);
    cr_expect_eq(status_of(path).st_uid, 12345);
    cr_expect_eq(status_of(path).st_gid, 777);
}

/* www could have put them there, to be given what is not its own. */
Test(listening, links_and_files_are_not_given_away)
{
    if (geteuid() != 0)
        return;
    write_file("file", "");
    cr_expect_eq(www_give_socket("file", &user), 0);
    cr_expect_eq(status_of("file").st_uid, 0);
    close(listen_there());
    cr_assert_eq(symlink(path, "symbolic"), 0);
    cr_expect_eq(www_give_socket("symbolic", &user), 0);
    cr_assert_eq(link(path, "hard"), 0);
    cr_expect_eq(www_give_socket("hard", &user), 0);
    cr_expect_eq(status_of(path).st_uid, 0);
    cr_expect_eq(status_of("symbolic").st_uid, 0);
}

Test(listening, without_www_or_a_socket_nothing_is_given)
{
    cr_expect_eq(www_give_socket(path, &user), 0);
    close(listen_there());
    cr_expect_eq(www_give_socket(path, NULL), 0);
    cr_expect_eq(status_of(path).st_uid, geteuid());
}
