/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rules for the names of hosts. Text from outside (a table, the path of a socket) becomes part of
 * the names of files, so they allow little. Whether a host of that name exists is for the table of
 * hosts to say.
 */
#include <string.h>

#include "common/host_name.h"

#define ALLOWED                                                                                    \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"                                                                   \
    "abcdefghijklmnopqrstuvwxyz"                                                                   \
    "0123456789._-"

/* In lonSockDir these are the folder itself, its parent, and the deferred queue. */
static const char *const taken[] = {".", "..", "delayed"};

bool host_name_is_valid(const char *name)
{
    size_t length = strspn(name, ALLOWED);
    if (length == 0 || length > HOST_NAME_MAX_LENGTH || name[length] != '\0')
        return false;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        if (strcmp(name, taken[i]) == 0)
            return false;
    return true;
}

const char *host_name_from_socket(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    /* An unset directory must not match every path. "/" becomes "", which its own slash follows. */
    if (length == 0)
        return NULL;
    while (length > 0 && directory[length - 1] == '/')
        length--;

    if (strncmp(path, directory, length) != 0 || path[length] != '/')
        return NULL;
    path += length + strspn(path + length, "/");
    return host_name_is_valid(path) ? path : NULL;
}
