/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * systemd makes a folder of ReadWritePaths= writable by mounting it: what a link in it leads to is
 * another folder, and stays read-only unless it is named.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "units/lonc-hosts/places.h"

/* As many symbolic links as the kernel follows. */
#define LINKS_MAX 40

/* --- Where a path leads ----------------------------------------------------------------------- */

/* Where a walk stands. */
struct walk {
    char done[PATH_MAX]; /* without links; "" is the root */
    char rest[PATH_MAX];
    unsigned links;
};

/* Puts what a link leads to in the place of its name. */
static int follow(struct walk *walk, const char *link, const struct stat *status)
{
    char target[PATH_MAX], rest[2 * PATH_MAX];
    ssize_t length = readlink(link, target, sizeof(target) - 1);
    if (length <= 0 || ++walk->links > LINKS_MAX)
        return -ELOOP;
    if (status->st_uid != 0) {
        fprintf(stderr, "lonc-hosts: %s: not followed, since this link is not root's\n", link);
        return -EPERM;
    }
    target[length] = '\0';
    snprintf(rest, sizeof(rest), "%s/%s", target, walk->rest);
    if (strlen(rest) >= sizeof(walk->rest))
        return -ENAMETOOLONG;
    strcpy(walk->rest, rest);
    if (target[0] == '/')
        walk->done[0] = '\0';
    return 0;
}

static int step(struct walk *walk, const char *name)
{
    char path[PATH_MAX];
    struct stat status;
    if (strcmp(name, "..") == 0) {
        char *slash = strrchr(walk->done, '/');
        if (slash != NULL)
            *slash = '\0';
        return 0;
    }
    int length = snprintf(path, sizeof(path), "%s/%s", walk->done, name);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    /* What is not there, or not yet, is no link. */
    if (lstat(path, &status) == 0 && S_ISLNK(status.st_mode))
        return follow(walk, path, &status);
    strcpy(walk->done, path);
    return 0;
}

/* The path without links, as far as it exists. 0 or a negative errno. */
static int resolve(const char *path, char resolved[PATH_MAX])
{
    struct walk walk = {.links = 0};
    char name[NAME_MAX + 1];
    int r = strlen(path) < sizeof(walk.rest) ? 0 : -ENAMETOOLONG;
    if (r == 0)
        strcpy(walk.rest, path);
    while (r == 0) {
        size_t skipped = strspn(walk.rest, "/"), length = strcspn(walk.rest + skipped, "/");
        if (length == 0)
            break;
        if (length > NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(name, walk.rest + skipped, length);
        name[length] = '\0';
        skipped += length;
        memmove(walk.rest, walk.rest + skipped, strlen(walk.rest + skipped) + 1);
        if (strcmp(name, ".") != 0)
            r = step(&walk, name);
    }
    if (r == 0)
        strcpy(resolved, walk.done[0] != '\0' ? walk.done : "/");
    return r;
}

/* --- The lists -------------------------------------------------------------------------------- */

/* Adds it once. False without memory. */
static bool add(char *list[PLACES_MAX + 1], const char *path)
{
    size_t n = 0;
    while (list[n] != NULL)
        if (strcmp(list[n++], path) == 0)
            return true;
    if (n == PLACES_MAX)
        return true;
    return (list[n] = strdup(path)) != NULL;
}

/* Without its last component. */
static void cut_name(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        slash[slash == path ? 1 : 0] = '\0';
}

/* A folder that the unit files name only where it is the standard one. `writes`: the keeper does.
 */
static bool add_folder(struct places *places, const char *path, const char *standard, bool writes)
{
    char resolved[PATH_MAX];
    bool usual = strcmp(path, standard) == 0;
    if (!usual && ((writes && !add(places->writable, path)) || !add(places->needed, path)))
        return false;
    return resolve(path, resolved) < 0 || strcmp(resolved, path) == 0 ||
           add(places->needed, resolved);
}

/* What is in such a folder, where it is a link: a folder; or a file, whose own folder counts. */
static bool add_linked(struct places *places, const char *folder, const char *name, bool is_file)
{
    char path[PATH_MAX], expected[PATH_MAX], resolved[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof(path) || resolve(path, resolved) < 0 ||
        resolve(folder, expected) < 0)
        return true;
    if (is_file)
        cut_name(resolved);
    else if (strlen(expected) + strlen(name) + 2 <= sizeof(expected))
        strcat(strcat(expected, "/"), name);
    if (strcmp(resolved, expected) == 0)
        return true;
    return add(places->writable, resolved) && add(places->needed, resolved);
}

/* log_file may be anywhere; where it is in a folder of LON-CAPA's, that is there already. */
static bool add_log(struct places *places, const char *logs, const char *log_file)
{
    char folder[PATH_MAX];
    if (*log_file == '\0' || strlen(log_file) >= sizeof(folder))
        return true;
    strcpy(folder, log_file);
    cut_name(folder);
    if (strcmp(folder, logs) != 0 &&
        (!add(places->writable, folder) || !add(places->needed, folder)))
        return false;
    return add_linked(places, folder, log_file + strlen(folder), true);
}

/* `conf` has it with or without a slash at the end. */
static const char *below(char path[PATH_MAX], const char *folder, const char *name)
{
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

bool places_find(struct places *places, const struct config *config)
{
    const struct loncapa *conf = &config->loncapa;
    char logs[PATH_MAX], status[PATH_MAX];
    below(logs, conf->daemons, "logs");
    below(status, conf->doc_root, "lon-status");
    *places = (struct places){.writable = {NULL}};
    return add_folder(places, conf->sock_dir, "/home/httpd/sockets", true) &&
           add_folder(places, logs, "/home/httpd/perl/logs", true) &&
           add_folder(places, status, "/home/httpd/html/lon-status", true) &&
           add_folder(places, conf->cert_dir, "/home/httpd/lonCerts", true) &&
           add_folder(places, conf->tab_dir, "/home/httpd/lonTabs", false) &&
           add_linked(places, conf->sock_dir, "delayed", false) &&
           add_linked(places, logs, "lonnet.perm.log", true) &&
           add_log(places, logs, config->settings.log_file);
}

void places_free(struct places *places)
{
    for (size_t i = 0; i < PLACES_MAX; i++) {
        free(places->writable[i]);
        free(places->needed[i]);
    }
}

/* --- Mounts ----------------------------------------------------------------------------------- */

bool places_mount_unit(char *name, size_t size, const char *path, size_t length)
{
    static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:_.";
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        bool first = i == 0 || path[i - 1] == '/';
        size_t rest = strcspn(path + i, "/");
        if (path[i] == '/' || (first && rest == 1 && path[i] == '.'))
            continue;
        if (first && rest == 2 && path[i] == '.' && path[i + 1] == '.')
            return false;
        if (n + sizeof("-\\x00.mount") > size)
            return false;
        if (first && n > 0)
            name[n++] = '-';
        if (strchr(plain, path[i]) != NULL && !(path[i] == '.' && n == 0))
            name[n++] = path[i];
        else
            n += (size_t)snprintf(name + n, size - n, "\\x%02x", (unsigned char)path[i]);
    }
    if (n > 0)
        strcpy(name + n, ".mount");
    return n > 0;
}
