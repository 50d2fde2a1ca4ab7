/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which names a host may have, and which host the path of a socket means.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "common/host_name.h"

static void expect_name(const char *path, const char *directory, const char *expected)
{
    const char *name = host_name_from_socket(path, directory);
    if (expected == NULL)
        cr_expect_null(name, "%s in %s is %s", path, directory, name);
    else
        cr_expect(name != NULL && strcmp(name, expected) == 0, "%s in %s is %s", path, directory,
                  name == NULL ? "nothing" : name);
}

Test(host_name, letters_digits_dots_underscores_and_hyphens_make_a_name)
{
    static const char *const good[] = {
        "msul1",    "s10-a.msu.edu",
        "A_B",      "0",
        "-",        "_",
        "...",      ".hidden",
        "10.0.0.1", "delayed2",
        "Delayed",  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_expect(host_name_is_valid(good[i]), "%s", good[i]);
}

Test(host_name, every_other_byte_makes_it_none)
{
    for (int byte = 1; byte < 256; byte++) {
        char name[] = {'a', (char)byte, 'b', '\0'};
        bool allowed = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
        cr_expect_eq(host_name_is_valid(name), allowed, "byte %d", byte);
    }
}

Test(host_name, the_empty_name_is_none)
{
    cr_expect_not(host_name_is_valid(""));
}

Test(host_name, what_means_something_else_in_lonSockDir_is_no_name)
{
    cr_expect_not(host_name_is_valid("."));
    cr_expect_not(host_name_is_valid(".."));
    cr_expect_not(host_name_is_valid("delayed"));
}

Test(host_name, a_name_has_at_most_253_bytes)
{
    char name[HOST_NAME_MAX_LENGTH + 2];
    memset(name, 'a', sizeof(name));
    name[HOST_NAME_MAX_LENGTH + 1] = '\0';
    cr_expect_not(host_name_is_valid(name));
    name[HOST_NAME_MAX_LENGTH] = '\0';
    cr_expect(host_name_is_valid(name));
}

Test(host_name, the_host_is_the_last_component_of_the_path)
{
    const char *path = "/home/httpd/sockets/msul1";
    cr_expect_eq(host_name_from_socket(path, "/home/httpd/sockets"), path + strlen(path) - 5);
}

Test(host_name, slashes_around_the_directorys_end_do_not_matter)
{
    expect_name("/home/httpd/sockets/msul1", "/home/httpd/sockets/", "msul1");
    expect_name("/home/httpd/sockets/msul1", "/home/httpd/sockets///", "msul1");
    expect_name("/home/httpd/sockets//msul1", "/home/httpd/sockets", "msul1");
    expect_name("/home/httpd/sockets///msul1", "/home/httpd/sockets/", "msul1");
}

Test(host_name, the_root_directory_is_a_directory_too)
{
    expect_name("/msul1", "/", "msul1");
    expect_name("//msul1", "//", "msul1");
    expect_name("/home/msul1", "/", NULL);
}

Test(host_name, a_socket_elsewhere_means_no_host)
{
    expect_name("/tmp/msul1", "/home/httpd/sockets", NULL);
    expect_name("/home/httpd/socketsmsul1", "/home/httpd/sockets", NULL);
    expect_name("/home/httpd/sockets2/msul1", "/home/httpd/sockets", NULL);
    expect_name("/home/httpd/msul1", "/home/httpd/sockets", NULL);
    expect_name("/home/httpd/sockets/a/msul1", "/home/httpd/sockets", NULL);
    expect_name("/home/httpd/./sockets/msul1", "/home/httpd/sockets", NULL);
    expect_name("/home/httpd/sockets/../sockets/msul1", "/home/httpd/sockets", NULL);
    expect_name("msul1", "/home/httpd/sockets", NULL);
}

Test(host_name, a_path_that_ends_without_a_valid_name_means_no_host)
{
    expect_name("/home/httpd/sockets", "/home/httpd/sockets", NULL);
    expect_name("/home/httpd/sockets/", "/home/httpd/sockets", NULL);
    expect_name("/home/httpd/sockets/..", "/home/httpd/sockets", NULL);
    expect_name("/home/httpd/sockets/delayed", "/home/httpd/sockets", NULL);
    expect_name("/home/httpd/sockets/msul1/", "/home/httpd/sockets", NULL);
    expect_name("/home/httpd/sockets/ms ul1", "/home/httpd/sockets", NULL);
}

Test(host_name, an_unnamed_socket_or_an_unset_directory_means_no_host)
{
    expect_name("", "/home/httpd/sockets", NULL);
    expect_name("", "", NULL);
    expect_name("/msul1", "", NULL);
}
