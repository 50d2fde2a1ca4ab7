/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lonc-shim hands client connections to lonc-keeper. No byte of a request passes through it: it
 * accepts a client, sends the descriptor over the private channel, waits for the acknowledgement
 * and closes its own copy. If there is no keeper to take a client, it answers `con_lost` itself.
 *
 * Here it finds out what it was given: a connection on descriptor 0, or listeners, on descriptor 0
 * or from LISTEN_FDS.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/exit.h"
#include "shim/listeners.h"
#include "shim/options.h"
#include "shim/server.h"

/* inetd has the client on descriptor 2 as well, and what is meant for a log must not reach it. */
static void keep_standard_error_from_client(void)
{
    struct stat client, error;
    if (fstat(STDIN_FILENO, &client) < 0 || fstat(STDERR_FILENO, &error) < 0 ||
        client.st_dev != error.st_dev || client.st_ino != error.st_ino || !S_ISSOCK(client.st_mode))
        return;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDERR_FILENO);
}

static void require_stream_socket(int fd)
{
    int type = 0;
    socklen_t size = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        exit_with(SHIM_USAGE, "expected a socket on descriptor 0 or from LISTEN_FDS", -errno);
    if (type != SOCK_STREAM)
        exit_with(SHIM_USAGE, "expected a stream socket", 0);
}

static enum shim_exit serve_descriptors(const struct shim_options *options)
{
    unsigned passed = listeners_passed();
    if (passed > 0)
        return server_serve_listeners(options, LISTENERS_FIRST, passed);
    require_stream_socket(STDIN_FILENO);
    return listeners_is_listener(STDIN_FILENO) ? server_serve_listeners(options, STDIN_FILENO, 1)
                                               : server_serve_connection(options, STDIN_FILENO);
}

int main(int argc, char **argv)
{
    keep_standard_error_from_client();
    const struct shim_options options = options_parse(argc, argv);
    return (int)serve_descriptors(&options);
}
