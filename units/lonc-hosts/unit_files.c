/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each file is compared with what it should be and written only if it differs, since a change makes
 * systemd read all unit files again. Drop-ins stay over a boot, for the keeper is started before
 * anybody could have written its own; the hosts' units do not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/draft.h"
#include "units/lonc-hosts/places.h"
#include "units/lonc-hosts/unit_files.h"
#include "units/lonc-hosts/unit_text.h"

/* Where systemd keeps what programs set, not people (systemctl set-property does). */
#define DROPINS "/etc/systemd/system.control"
#define NAME    "50-loncapa.conf"

/* Where units are that were made since the boot. */
#define UNITS "/run/systemd/system"

/* --- Files ------------------------------------------------------------------------------------ */

static int fail(const char *path, int error)
{
    fprintf(stderr, "lonc-hosts: %s: %s\n", path, strerror(error));
    return -error;
}

/* What the file holds, "" for none. */
static void read_file(const char *path, struct unit_text *text)
{
    unit_text_clear(text);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, text->bytes, TEXT_SIZE - 1);
        text->length = n > 0 ? (size_t)n : 0;
        close(fd);
    }
    text->bytes[text->length] = '\0';
}

static int make_directory(const char *path)
{
    return mkdir(path, 0755) < 0 && errno != EEXIST ? fail(path, errno) : 0;
}

/* `durable`: it has to be whole even after a loss of power. */
static int replace_file(const char *path, const char *bytes, size_t length, bool durable)
{
    int r = draft_replace(path, bytes, length, 0644, durable);
    return r < 0 ? fail(path, -r) : 0;
}

/* --- Drop-ins --------------------------------------------------------------------------------- */

static int put_dropin(const char *directory, const char *path, const struct unit_text *text)
{
    if (text->length == 0) {
        if (unlink(path) < 0)
            return fail(path, errno);
        rmdir(directory); /* stays while there are other drop-ins */
        return 0;
    }
    int r = make_directory(DROPINS);
    if (r >= 0)
        r = make_directory(directory);
    return r < 0 ? r : replace_file(path, text->bytes, text->length, true);
}

#define KEEPER DROPINS "/lonc-keeper.service.d/" NAME

uint64_t unit_files_keeper_time(void)
{
    struct stat status;
    if (stat(KEEPER, &status) < 0)
        return 0;
    return (uint64_t)status.st_mtim.tv_sec * 1000000 + (uint64_t)status.st_mtim.tv_nsec / 1000;
}

static int make_dropin(struct unit_files *unit_files, const char *unit,
                       const struct unit_text *wanted)
{
    static struct unit_text found;
    char directory[200], path[250];
    snprintf(directory, sizeof(directory), DROPINS "/%s.d", unit);
    snprintf(path, sizeof(path), "%s/" NAME, directory);
    read_file(path, &found);
    if (strcmp(wanted->bytes, found.bytes) == 0)
        return 0;
    printf("%s %s: the directories of loncapa.conf, and where links lead\n",
           wanted->length > 0 ? "write" : "remove", path);
    unit_files->changed = true;
    return unit_files->dry_run ? 0 : put_dropin(directory, path, wanted);
}

/* The page is in one of the folders only. */
static void choose_page(const struct places *places, const struct loncapa *conf, char *chosen[2])
{
    char folder[4200];
    snprintf(folder, sizeof(folder), "%s/lon-status", conf->doc_root);
    chosen[0] = chosen[1] = NULL;
    for (size_t i = 0; places->writable[i] != NULL; i++)
        if (strcmp(places->writable[i], folder) == 0)
            chosen[0] = places->writable[i];
}

int unit_files_dropins(struct unit_files *unit_files, const struct config *config)
{
    static struct unit_text wanted;
    struct places places;
    char *page[2], *none[1] = {NULL};
    int r = -ENOMEM, s = 0, t = 0;
    if (places_find(&places, config)) {
        choose_page(&places, &config->loncapa, page);
        unit_text_dropin(&wanted, places.needed, page);
        r = make_dropin(unit_files, "lonc-page.service", &wanted);
        unit_text_dropin(&wanted, places.needed, none);
        s = make_dropin(unit_files, "lonc-hosts-sync.service", &wanted);
        unit_text_dropin(&wanted, places.needed, places.writable);
        t = make_dropin(unit_files, "lonc-keeper.service", &wanted);
    }
    places_free(&places);
    return r < 0 ? r : s < 0 ? s : t;
}

/* --- The units of hosts ----------------------------------------------------------------------- */

/* The files of a host, for each way of serving it, and what they are made of. */
static const struct host_unit {
    enum activation kind;
    const char *template, *suffix;
} host_units[] = {
    {ACTIVATION_PER_CONNECTION, LONC_LIBDIR "/lonc-host.socket", ".socket"},
    {ACTIVATION_PER_CONNECTION, LONC_LIBDIR "/lonc-host@.service", "@.service"},
    {ACTIVATION_SHARED, LONC_LIBDIR "/lonc-shared.socket", ".socket"},
};
#define HOST_UNITS (sizeof(host_units) / sizeof(*host_units))

/* A path, with the longest name of a unit. */
#define UNIT_PATH_SIZE (sizeof(UNITS) + UNIT_SIZE)

static void unit_path(char path[UNIT_PATH_SIZE], const struct host *host, enum activation kind,
                      const char *suffix)
{
    char name[UNIT_SIZE];
    sockets_unit_name(name, host, kind, suffix);
    snprintf(path, UNIT_PATH_SIZE, UNITS "/%s", name);
}

static int write_unit(struct unit_files *unit_files, const struct host *host,
                      const struct host_unit *unit, struct unit_text *template)
{
    static struct unit_text wanted, found;
    char path[UNIT_PATH_SIZE];
    if (template->length == 0)
        read_file(unit->template, template);
    if (template->length == 0)
        return fail(unit->template, ENOENT);
    unit_text_unit(&wanted, template->bytes, host, www());
    unit_path(path, host, unit->kind, unit->suffix);
    read_file(path, &found);
    if (strcmp(wanted.bytes, found.bytes) == 0)
        return 0;
    unit_files->hosts = true;
    /* A unit that it has never heard of systemd reads when it is started. */
    if (host->known[unit->kind])
        unit_files->changed = true;
    if (unit_files->dry_run)
        return 0;
    int r = make_directory(UNITS);
    return r < 0 ? r : replace_file(path, wanted.bytes, wanted.length, false);
}

int unit_files_host(struct unit_files *unit_files, const struct host *host)
{
    static struct unit_text templates[HOST_UNITS];
    int r = 0;
    if (www() == NULL) {
        fputs("lonc-hosts: there is no user www\n", stderr);
        return -ENOENT;
    }
    for (size_t i = 0; r >= 0 && i < HOST_UNITS; i++)
        if (host_units[i].kind == host->kind)
            r = write_unit(unit_files, host, &host_units[i], &templates[i]);
    return r;
}

bool unit_files_has_paths(const struct host *host, enum activation kind)
{
    static struct unit_text unit;
    char path[UNIT_PATH_SIZE];
    unit_path(path, host, kind, ".socket");
    read_file(path, &unit);
    return unit_text_has_paths(unit.bytes, host);
}

void unit_files_take_paths(struct host *host)
{
    static struct unit_text unit;
    char path[UNIT_PATH_SIZE];
    unit_path(path, host, host->kind, ".socket");
    read_file(path, &unit);
    unit_text_take_paths(unit.bytes, host);
}

int unit_files_unserved(const char *runtime_dir, const char *lines)
{
    static struct unit_text found;
    char path[200]; /* runtime_dir is shorter than a socket's path */
    snprintf(path, sizeof(path), "%s/unserved", runtime_dir);
    read_file(path, &found);
    if (strcmp(found.bytes, lines) == 0 && *lines != '\0')
        return 0;
    if (*lines == '\0')
        return unlink(path) < 0 && errno != ENOENT ? fail(path, errno) : 0;
    /* Without the folder there is no keeper, either. */
    return access(runtime_dir, F_OK) < 0 ? 0 : replace_file(path, lines, strlen(lines), false);
}

/* Whether it is a unit that this program makes, but of no host that is wanted, or not in this way.
 */
static bool is_stray(const struct hosts *hosts, const char *name)
{
    for (size_t i = 0; i < HOST_UNITS; i++) {
        const struct host_unit *unit = &host_units[i];
        char id[UNIT_SIZE];
        if (!sockets_id_of(id, name, unit->kind, unit->suffix))
            continue;
        const struct host *host = sockets_find(hosts, id);
        return host == NULL || host->kind != unit->kind;
    }
    return false;
}

int unit_files_prune(struct unit_files *unit_files, const struct hosts *hosts)
{
    DIR *directory = opendir(UNITS);
    if (directory == NULL)
        return errno == ENOENT ? 0 : fail(UNITS, errno);
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        if (!is_stray(hosts, entry->d_name))
            continue;
        unit_files->hosts = true;
        if (!unit_files->dry_run && unlinkat(dirfd(directory), entry->d_name, 0) < 0)
            fail(entry->d_name, errno);
    }
    closedir(directory);
    return 0;
}
