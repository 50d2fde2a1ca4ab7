/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See places.h. systemd makes a folder of ReadWritePaths= writable by a mount of that folder alone.
 * What a link in it leads to is another folder, and stays read-only unless it is named too.
 */
#include <bsd/string.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "units/lonc-hosts/places.h"

/* How many symbolic links the kernel follows on one path. */
#define LINKS_MAX 40

/* --- Where a path leads ----------------------------------------------------------------------- */

/* A walk along a path, component by component. */
struct walk {
    char done[PATH_MAX]; /* the part behind us, without links; "" is the root */
    char rest[PATH_MAX]; /* the part before us */
    unsigned links;
};

/* Puts the target of a link before the rest of the path. */
static int follow_link_of_root(struct walk *walk, const char *link, const struct stat *status)
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
    strlcpy(walk->rest, rest, sizeof(walk->rest));
    if (target[0] == '/')
        walk->done[0] = '\0';
    return 0;
}

static int walk_component(struct walk *walk, const char *name)
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
    /* A component that does not exist yet is kept as it is. */
    if (lstat(path, &status) == 0 && S_ISLNK(status.st_mode))
        return follow_link_of_root(walk, path, &status);
    strlcpy(walk->done, path, sizeof(walk->done));
    return 0;
}

/* Resolves all links of a path, as far as it exists. Returns 0 or a negative errno. */
static int resolve(const char *path, char resolved[PATH_MAX])
{
    struct walk walk = {.links = 0};
    char name[NAME_MAX + 1];
    int r = strlen(path) < sizeof(walk.rest) ? 0 : -ENAMETOOLONG;
    if (r == 0)
        strlcpy(walk.rest, path, sizeof(walk.rest));
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
            r = walk_component(&walk, name);
    }
    if (r == 0)
        strlcpy(resolved, walk.done[0] != '\0' ? walk.done : "/", PATH_MAX);
    return r;
}

/* --- The lists -------------------------------------------------------------------------------- */

/* Adds the path to a list that does not have it yet. */
static int add_once(char *list[PLACES_MAX + 1], const char *path)
{
    size_t n = 0;
    while (list[n] != NULL)
        if (strcmp(list[n++], path) == 0)
            return 0;
    if (n == PLACES_MAX)
        return 0;
    return (list[n] = strdup(path)) != NULL ? 0 : -ENOMEM;
}

static int add_to_both(struct places *places, const char *path)
{
    int r = add_once(places->writable, path);
    return r < 0 ? r : add_once(places->needed, path);
}

static void cut_last_component(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        slash[slash == path ? 1 : 0] = '\0';
}

/* Adds a folder that the unit files name only if it is at its standard path. */
static int add_folder(struct places *places, const char *path, const char *standard,
                      bool keeper_writes)
{
    char resolved[PATH_MAX];
    int r = 0;
    if (strcmp(path, standard) != 0)
        r = keeper_writes ? add_to_both(places, path) : add_once(places->needed, path);
    if (r < 0 || resolve(path, resolved) < 0 || strcmp(resolved, path) == 0)
        return r;
    return add_once(places->needed, resolved);
}

/* Adds where a link in a folder leads: the folder that is its target or, if the target is a file,
 * the folder of that file. */
static int add_linked(struct places *places, const char *folder, const char *name, bool is_file)
{
    char path[PATH_MAX], expected[PATH_MAX], resolved[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof(path) || resolve(path, resolved) < 0 ||
        resolve(folder, expected) < 0)
        return 0;
    if (is_file)
        cut_last_component(resolved);
    else if (strlen(expected) + strlen(name) + 2 <= sizeof(expected))
        snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "/%s", name);
    return strcmp(resolved, expected) == 0 ? 0 : add_to_both(places, resolved);
}

/* Adds the folder of log_file, which may be anywhere, unless it is LON-CAPA's folder of logs. */
static int add_log(struct places *places, const char *logs, const char *log_file)
{
    char folder[PATH_MAX];
    if (*log_file == '\0' || strlen(log_file) >= sizeof(folder))
        return 0;
    strlcpy(folder, log_file, sizeof(folder));
    cut_last_component(folder);
    int r = strcmp(folder, logs) != 0 ? add_to_both(places, folder) : 0;
    return r < 0 ? r : add_linked(places, folder, log_file + strlen(folder), true);
}

int places_find(struct places *places, const struct config *config)
{
    const struct loncapa *conf = &config->loncapa;
    char logs[PATH_MAX], status[PATH_MAX];
    snprintf(logs, sizeof(logs), "%s/logs", conf->daemons);
    snprintf(status, sizeof(status), "%s/lon-status", conf->doc_root);
    *places = (struct places){.writable = {NULL}};
    int r = add_folder(places, conf->sock_dir, "/home/httpd/sockets", true);
    if (r == 0)
        r = add_folder(places, logs, "/home/httpd/perl/logs", true);
    if (r == 0)
        r = add_folder(places, status, "/home/httpd/html/lon-status", true);
    if (r == 0)
        r = add_folder(places, conf->cert_dir, "/home/httpd/lonCerts", true);
    if (r == 0)
        r = add_folder(places, conf->tab_dir, "/home/httpd/lonTabs", false);
    if (r == 0)
        r = add_linked(places, conf->sock_dir, "delayed", false);
    if (r == 0)
        r = add_linked(places, logs, "lonnet.perm.log", true);
    if (r == 0)
        r = add_log(places, logs, config->settings.log_file);
    return r;
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
        const char *slash = memchr(path + i, '/', length - i);
        size_t rest = slash != NULL ? (size_t)(slash - path) - i : length - i;
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
        strlcpy(name + n, ".mount", size - n);
    return n > 0;
}
