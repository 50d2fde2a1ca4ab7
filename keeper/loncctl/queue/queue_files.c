/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names, hosts and folders of the deferred queue.
 */
#include <bsd/string.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "keeper/loncctl/core/configured_paths.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/queue/queue_files.h"

const struct queue_place_names queue_place_names[QUEUE_PLACES] = {
    [QUEUE_WAITING] = {".", "files", "waiting"},
    [QUEUE_HELD] = {DELAYED_HELD_FOLDER, "held", "held"},
    [QUEUE_REJECTED] = {DELAYED_REJECTED_FOLDER, "rejected", "rejected"},
    [QUEUE_CORRUPT] = {DELAYED_CORRUPT_FOLDER, "corrupt", "corrupt"},
};

char *queue_folder(const json_t *status, const char *config)
{
    const char *folder = json_string_value(json_object_get(status, "deferred_folder"));
    if (status == NULL)
        return configured_deferred_folder(config);
    return folder != NULL ? must(strdup(folder)) : NULL;
}

json_t *queue_failure(const char *what, const char *why)
{
    char sentence[PATH_MAX + 256];
    snprintf(sentence, sizeof(sentence), "%s: %s", what, why);
    return json_pack("{s:b, s:[s]}", "ok", false, "errors", sentence);
}

json_t *queue_text(const char *text)
{
    json_t *value = json_string(text);
    if (value != NULL)
        return value;
    char *masked = must(strdup(text));
    for (char *at = masked; *at != '\0'; at++)
        if (*at & 0x80)
            *at = '?';
    value = json_string(masked);
    free(masked);
    return value;
}

/* --- Hosts ------------------------------------------------------------------------------------ */

json_t *queue_known_hosts(const json_t *hosts)
{
    const json_t *host;
    size_t i;
    json_t *known = hosts != NULL ? json_object() : NULL;
    json_array_foreach(json_object_get(hosts, "hosts"), i, host)
    {
        const char *id = json_string_value(json_object_get(host, "id"));
        if (id != NULL)
            json_object_set(known, id, json_object_get(host, "name"));
    }
    return known;
}

const char *queue_find_host(const json_t *known, const char *word, json_t **failure)
{
    const char *id, *found = NULL;
    json_t *name;
    if (known == NULL || json_object_get(known, word) != NULL)
        return word;
    json_object_foreach((json_t *)(uintptr_t)known, id, name)
    {
        if (json_string_value(name) == NULL || strcasecmp(json_string_value(name), word) != 0)
            continue;
        if (found != NULL) {
            *failure = queue_failure(word, "several hosts have this name; expected a lonHostID");
            return NULL;
        }
        found = id;
    }
    return found != NULL ? found : word;
}

/* --- Files ------------------------------------------------------------------------------------ */

/* Returns the host of the name as long as that is a known one, else NULL. */
static const char *known_host(const json_t *known, const char *name)
{
    struct delayed_order order;
    const char *id = known != NULL ? delayed_parse_name(name, &order) : NULL;
    while (id != NULL && json_object_get(known, id) == NULL)
        id = delayed_longer_host(name, id);
    return id;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length > end_length && strcmp(text + length - end_length, end) == 0;
}

/* Removes the number that the keeper appends when it sets aside a name for the second time
 * (delayed_set_aside()). */
static void cut_number(char *name)
{
    struct delayed_order order;
    char *dot = strrchr(name, '.');
    size_t digits = dot != NULL ? strspn(dot + 1, "0123456789") : 0;
    if (digits == 0 || digits > 2 || dot[1 + digits] != '\0')
        return;
    *dot = '\0';
    if (delayed_parse_name(name, &order) == NULL)
        *dot = '.';
}

bool queue_parse_name(const json_t *known, const char *name, enum queue_place place,
                      struct queue_file *file)
{
    if (delayed_parse_name(name, &file->order) == NULL || strchr(name, '/') != NULL ||
        strlen(name) > NAME_MAX || (place == QUEUE_REJECTED && ends_with(name, ".reply")))
        return false;
    strlcpy(file->name, name, sizeof(file->name));
    file->host = known_host(known, file->name);
    if (file->host != NULL)
        return true;
    if (place == QUEUE_REJECTED || place == QUEUE_CORRUPT)
        cut_number(file->name);
    file->host = known_host(known, file->name);
    if (file->host == NULL)
        file->host = delayed_parse_name(file->name, &file->order);
    return true;
}

int queue_open_place(int folder, enum queue_place place)
{
    int fd = openat(folder, queue_place_names[place].folder,
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return fd;
}

/* Whether the name may be a file of the queue: not hidden, and not one of the queue's own folders.
 */
static bool may_be_file(enum queue_place place, const char *name)
{
    return name[0] != '.' && !(place == QUEUE_WAITING && delayed_is_own(name));
}

int queue_walk(int folder, enum queue_place place, bool (*each)(void *argument, const char *name),
               void *argument)
{
    int fd = queue_open_place(folder, place);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    DIR *names = fdopendir(fd);
    if (names == NULL) {
        close(fd);
        return -ENOMEM;
    }
    struct dirent *entry;
    errno = 0;
    while ((entry = readdir(names)) != NULL) {
        if (may_be_file(place, entry->d_name) && !each(argument, entry->d_name))
            break;
        errno = 0;
    }
    int r = entry == NULL ? -errno : 0;
    closedir(names);
    return r;
}
