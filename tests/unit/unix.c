/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * UNIX sockets by path: what an address holds, and who may be replaced by a new listener.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/unix.h"
#include "tests/unit/heard.h"

TestSuite(unix_sockets, .init = heard_begin, .fini = heard_end, .timeout = 10);

/* --- Helpers ---------------------------------------------------------------------------------- */

static int listen_at(const char *path, int type)
{
    int fd = unix_listen(path, type);
    cr_assert_geq(fd, 0, "%s: %s", path, strerror(-fd));
    return fd;
}

/* 0 or a negative errno of a connect without waiting. */
static int connect_to(const char *path, int type)
{
    struct sockaddr_un address;
    cr_assert_eq(unix_address(&address, path), 0);
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
    int r = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    close(fd);
    return r;
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    cr_assert_eq(lstat(path, &status), 0, "%s is gone", path);
    return status.st_mode;
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

static void fill(char *text, size_t length)
{
    memset(text, 'x', length);
    text[length] = '\0';
}

/* --- Addresses -------------------------------------------------------------------------------- */

Test(unix_sockets, an_address_holds_its_path_and_nothing_else)
{
    struct sockaddr_un address, expected = {.sun_family = AF_UNIX, .sun_path = "/run/lonc/keeper"};
    memset(&address, 0xff, sizeof(address));
    cr_assert_eq(unix_address(&address, "/run/lonc/keeper"), 0);
    cr_assert_arr_eq(&address, &expected, sizeof(address));
}

Test(unix_sockets, a_path_of_108_bytes_is_too_long_and_one_of_107_is_not)
{
    struct sockaddr_un address;
    char path[300];
    fill(path, 107);
    cr_assert_eq(unix_address(&address, path), 0);
    cr_assert_str_eq(address.sun_path, path);
    fill(path, 108);
    cr_assert_eq(unix_address(&address, path), -ENAMETOOLONG);
    fill(path, 299);
    cr_assert_eq(unix_address(&address, path), -ENAMETOOLONG);
}

Test(unix_sockets, an_empty_path_would_be_open_to_every_user)
{
    struct sockaddr_un address;
    cr_assert_eq(unix_address(&address, ""), -EINVAL);
}

/* --- Listeners -------------------------------------------------------------------------------- */

Test(unix_sockets, a_listener_takes_connections_of_its_type)
{
    int stream = listen_at("stream.sock", SOCK_STREAM);
    int packets = listen_at("packets.sock", SOCK_SEQPACKET);
    cr_assert_eq(connect_to("stream.sock", SOCK_STREAM), 0);
    cr_assert_eq(connect_to("packets.sock", SOCK_SEQPACKET), 0);
    cr_assert_eq(connect_to("packets.sock", SOCK_STREAM), -EPROTOTYPE);
    cr_assert_geq(accept(stream, NULL, NULL), 0);
    cr_assert_geq(accept(packets, NULL, NULL), 0);
}

Test(unix_sockets, a_listener_neither_blocks_nor_survives_an_exec)
{
    int fd = listen_at("keeper.sock", SOCK_STREAM);
    cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    cr_assert_eq(accept(fd, NULL, NULL), -1);
    cr_assert_eq(errno, EAGAIN);
}

Test(unix_sockets, a_listener_is_its_owners_alone_whatever_the_umask)
{
    static const mode_t masks[] = {0, 022, 077, 0777};
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        umask(masks[i]);
        int fd = listen_at("keeper.sock", SOCK_STREAM);
        cr_assert_eq(mode_of("keeper.sock"), S_IFSOCK | 0600, "umask %o: mode %o", masks[i],
                     mode_of("keeper.sock"));
        cr_assert_eq(umask(0), masks[i], "the umask is not what it was");
        close(fd);
    }
}

Test(unix_sockets, many_may_wait_to_be_accepted)
{
    listen_at("keeper.sock", SOCK_SEQPACKET);
    for (int i = 0; i < 500; i++)
        cr_assert_eq(connect_to("keeper.sock", SOCK_SEQPACKET), 0, "number %d", i);
}

Test(unix_sockets, what_a_dead_program_left_is_replaced)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    for (size_t i = 0; i < 2; i++) {
        close(listen_at("keeper.sock", types[i]));
        cr_assert_eq(connect_to("keeper.sock", types[i]), -ECONNREFUSED);
        int fd = listen_at("keeper.sock", types[i]);
        cr_assert_eq(connect_to("keeper.sock", types[i]), 0);
        cr_assert_eq(mode_of("keeper.sock"), S_IFSOCK | 0600);
        close(fd);
    }
}

Test(unix_sockets, a_leftover_that_was_bound_but_never_listened_on_is_replaced)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(unix_address(&address, "keeper.sock"), 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    listen_at("keeper.sock", SOCK_STREAM);
    cr_assert_eq(connect_to("keeper.sock", SOCK_STREAM), 0);
}

Test(unix_sockets, where_somebody_listens_nobody_else_may)
{
    int living = listen_at("keeper.sock", SOCK_SEQPACKET);
    cr_assert_eq(unix_listen("keeper.sock", SOCK_SEQPACKET), -EADDRINUSE);
    cr_assert_eq(connect_to("keeper.sock", SOCK_SEQPACKET), 0);
    cr_assert_geq(accept(living, NULL, NULL), 0);
}

Test(unix_sockets, a_listener_of_another_type_is_alive_too)
{
    listen_at("keeper.sock", SOCK_STREAM);
    cr_assert_eq(unix_listen("keeper.sock", SOCK_SEQPACKET), -EADDRINUSE);
    cr_assert_eq(connect_to("keeper.sock", SOCK_STREAM), 0);
}

/* A busy keeper must not lose its path to a second one. */
Test(unix_sockets, a_listener_with_a_full_backlog_is_alive_too)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), connected = 0;
    cr_assert_eq(unix_address(&address, "keeper.sock"), 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(fd, 0), 0);
    while (connect_to("keeper.sock", SOCK_STREAM) == 0)
        cr_assert_lt(connected++, 10);
    cr_assert_eq(connect_to("keeper.sock", SOCK_STREAM), -EAGAIN);

    cr_assert_eq(unix_listen("keeper.sock", SOCK_STREAM), -EADDRINUSE);
    cr_assert_eq(accept(fd, NULL, NULL) >= 0, true);
    cr_assert_eq(connect_to("keeper.sock", SOCK_STREAM), 0);
}

/* A connect to a plain file is refused like one to a dead socket; it is nobody's leftover. */
Test(unix_sockets, a_file_that_is_no_socket_is_left_alone)
{
    write_file("keeper.sock", "precious");
    cr_assert_eq(unix_listen("keeper.sock", SOCK_STREAM), -EADDRINUSE);
    cr_assert(S_ISREG(mode_of("keeper.sock")));
}

Test(unix_sockets, a_folder_at_the_path_is_left_alone)
{
    cr_assert_eq(mkdir("keeper.sock", 0700), 0);
    cr_assert_eq(unix_listen("keeper.sock", SOCK_STREAM), -EADDRINUSE);
    cr_assert(S_ISDIR(mode_of("keeper.sock")));
}

Test(unix_sockets, a_listener_that_cannot_be_made_says_why_and_leaves_no_descriptor)
{
    char path[200];
    fill(path, 150);
    listen_at("taken.sock", SOCK_STREAM);
    int before = count_open();
    cr_assert_eq(unix_listen(path, SOCK_STREAM), -ENAMETOOLONG);
    cr_assert_eq(unix_listen("nowhere/keeper.sock", SOCK_STREAM), -ENOENT);
    cr_assert_eq(unix_listen("taken.sock", SOCK_STREAM), -EADDRINUSE);
    cr_assert_eq(unix_listen("odd.sock", 77), -EINVAL);
    cr_assert_eq(count_open(), before);
}
