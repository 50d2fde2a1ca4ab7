/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See unit_files.h. Each file is compared with what it should be and written only if it differs,
 * since a change may make systemd read all unit files again. Drop-ins outlive a boot, because the
 * keeper starts before lonc-hosts could write them; the hosts' units do not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/draft.h"
#include "units/lonc-hosts/places.h"
#include "units/lonc-hosts/unit_files.h"
#include "units/lonc-hosts/unit_text.h"

/* The name of each of our drop-ins, in the folder of its unit. */
#define DROPIN_NAME "50-loncapa.conf"

/* Room for a folder and the longest name of a unit. */
#define UNIT_PATH_SIZE (PATH_MAX + UNIT_SIZE + 1)

void unit_files_init(struct unit_files *unit_files, bool dry_run)
{
    *unit_files = (struct unit_files){
        .units = "/run/systemd/system",           /* units made since the boot */
        .dropins = "/etc/systemd/system.control", /* set by programs (systemctl set-property) */
        .templates = LONC_LIBDIR,
        .user = www(),
        .dry_run = dry_run,
    };
}

/* --- Files ------------------------------------------------------------------------------------ */

static int report_file_error(const char *path, int error)
{
    fprintf(stderr, "lonc-hosts: %s: %s\n", path, strerror(error));
    return -error;
}

/* The contents of the file; empty if it cannot be read. */
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

static int make_folder(const char *path)
{
    return mkdir(path, 0755) < 0 && errno != EEXIST ? report_file_error(path, errno) : 0;
}

/* `durable`: the file must survive a loss of power. */
static int replace_file(const char *path, const char *bytes, size_t length, bool durable)
{
    int r = draft_replace(path, bytes, length, 0644, durable);
    return r < 0 ? report_file_error(path, -r) : 0;
}

/* --- Drop-ins --------------------------------------------------------------------------------- */

/* An empty text removes the drop-in. */
static int write_dropin(const struct unit_files *unit_files, const char *folder, const char *path,
                        const struct unit_text *text)
{
    if (text->length == 0) {
        if (unlink(path) < 0)
            return report_file_error(path, errno);
        (void)rmdir(folder); /* fails while there are other drop-ins */
        return 0;
    }
    int r = make_folder(unit_files->dropins);
    if (r >= 0)
        r = make_folder(folder);
    return r < 0 ? r : replace_file(path, text->bytes, text->length, true);
}

/* The folder that has our drop-in for a unit, and the path of the drop-in. */
static void dropin_path(const struct unit_files *unit_files, const char *unit,
                        char folder[UNIT_PATH_SIZE], char path[UNIT_PATH_SIZE])
{
    snprintf(folder, UNIT_PATH_SIZE, "%s/%s.d", unit_files->dropins, unit);
    snprintf(path, UNIT_PATH_SIZE, "%s/%s.d/" DROPIN_NAME, unit_files->dropins, unit);
}

uint64_t unit_files_keeper_dropin_time(const struct unit_files *unit_files)
{
    char folder[UNIT_PATH_SIZE], path[UNIT_PATH_SIZE];
    struct stat status;
    dropin_path(unit_files, "lonc-keeper.service", folder, path);
    if (stat(path, &status) < 0)
        return 0;
    return (uint64_t)status.st_mtim.tv_sec * 1000000 + (uint64_t)status.st_mtim.tv_nsec / 1000;
}

static int update_dropin(struct unit_files *unit_files, const char *unit,
                         const struct unit_text *wanted)
{
    static struct unit_text found;
    char folder[UNIT_PATH_SIZE], path[UNIT_PATH_SIZE];
    dropin_path(unit_files, unit, folder, path);
    read_file(path, &found);
    if (strcmp(wanted->bytes, found.bytes) == 0)
        return 0;
    printf("%s %s: the directories of loncapa.conf, and where links lead\n",
           wanted->length > 0 ? "write" : "remove", path);
    unit_files->needs_reload = true;
    return unit_files->dry_run ? 0 : write_dropin(unit_files, folder, path, wanted);
}

/* The one writable folder that the service of the status page needs. */
static void choose_page_folder(const struct places *places, const struct loncapa *conf,
                               char *chosen[2])
{
    char folder[4200];
    snprintf(folder, sizeof(folder), "%s/lon-status", conf->doc_root);
    chosen[0] = chosen[1] = NULL;
    for (size_t i = 0; places->writable[i] != NULL; i++)
        if (strcmp(places->writable[i], folder) == 0)
            chosen[0] = places->writable[i];
}

int unit_files_write_dropins(struct unit_files *unit_files, const struct config *config)
{
    static struct unit_text wanted;
    struct places places;
    char *page[2], *none[1] = {NULL};
    int r = places_find(&places, config), s = 0, t = 0;
    if (r == 0) {
        choose_page_folder(&places, &config->loncapa, page);
        unit_text_dropin(&wanted, places.needed, page);
        r = update_dropin(unit_files, "lonc-page.service", &wanted);
        unit_text_dropin(&wanted, places.needed, none);
        s = update_dropin(unit_files, "lonc-hosts-sync.service", &wanted);
        unit_text_dropin(&wanted, places.needed, places.writable);
        t = update_dropin(unit_files, "lonc-keeper.service", &wanted);
    }
    places_free(&places);
    return r < 0 ? r : s < 0 ? s : t;
}

/* --- The units of hosts ----------------------------------------------------------------------- */

/* Which files a host has, for each way of serving it, and the templates they are made from. */
static const struct host_unit {
    enum activation kind;
    const char *template, *suffix;
} host_units[] = {
    {ACTIVATION_PER_CONNECTION, "lonc-host.socket", ".socket"},
    {ACTIVATION_PER_CONNECTION, "lonc-host@.service", "@.service"},
    {ACTIVATION_SHARED, "lonc-shared.socket", ".socket"},
};
#define HOST_UNITS (sizeof(host_units) / sizeof(*host_units))

static void unit_path(const struct unit_files *unit_files, char path[UNIT_PATH_SIZE],
                      const struct host *host, enum activation kind, const char *suffix)
{
    char name[UNIT_SIZE];
    unit_name_make(name, host->id, kind, suffix);
    snprintf(path, UNIT_PATH_SIZE, "%s/%s", unit_files->units, name);
}

static int read_template(const struct unit_files *unit_files, const char *name,
                         struct unit_text *template)
{
    char path[UNIT_PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", unit_files->templates, name);
    read_file(path, template);
    return template->length > 0 ? 0 : report_file_error(path, ENOENT);
}

static int write_unit(struct unit_files *unit_files, const struct host *host,
                      const struct host_unit *unit, const struct unit_text *template)
{
    static struct unit_text wanted, found;
    char path[UNIT_PATH_SIZE];
    unit_text_host_unit(&wanted, template->bytes, host, unit_files->user);
    unit_path(unit_files, path, host, unit->kind, unit->suffix);
    read_file(path, &found);
    if (strcmp(wanted.bytes, found.bytes) == 0)
        return 0;
    unit_files->hosts_changed = true;
    /* A unit that systemd has not loaded yet is read when it is started. */
    if (host->found.loaded[unit->kind])
        unit_files->needs_reload = true;
    if (unit_files->dry_run)
        return 0;
    int r = make_folder(unit_files->units);
    return r < 0 ? r : replace_file(path, wanted.bytes, wanted.length, false);
}

int unit_files_write_host(struct unit_files *unit_files, const struct host *host)
{
    static struct unit_text templates[HOST_UNITS]; /* read once, for all hosts */
    int r = 0;
    if (unit_files->user == NULL) {
        fputs("lonc-hosts: there is no user www\n", stderr);
        return -ENOENT;
    }
    for (size_t i = 0; r >= 0 && i < HOST_UNITS; i++) {
        if (host_units[i].kind != host->kind)
            continue;
        if (templates[i].length == 0)
            r = read_template(unit_files, host_units[i].template, &templates[i]);
        if (r >= 0)
            r = write_unit(unit_files, host, &host_units[i], &templates[i]);
    }
    return r;
}

bool unit_files_has_paths(const struct unit_files *unit_files, const struct host *host,
                          enum activation kind)
{
    static struct unit_text unit;
    char path[UNIT_PATH_SIZE];
    unit_path(unit_files, path, host, kind, ".socket");
    read_file(path, &unit);
    return unit_text_has_paths(unit.bytes, host);
}

size_t unit_files_read_paths(const struct unit_files *unit_files, const struct host *host,
                             enum activation kind, char paths[PATHS_MAX][PATH_SIZE])
{
    static struct unit_text unit;
    char path[UNIT_PATH_SIZE];
    unit_path(unit_files, path, host, kind, ".socket");
    read_file(path, &unit);
    return unit_text_read_paths(unit.bytes, paths);
}

/* Whether a file in the folder is a unit of a host that is not wanted, or is served the other way.
 */
static bool is_stray(const struct host_list *hosts, const char *name)
{
    for (size_t i = 0; i < HOST_UNITS; i++) {
        const struct host_unit *unit = &host_units[i];
        char id[UNIT_SIZE];
        if (!unit_name_is_of(id, name, unit->kind, unit->suffix))
            continue;
        const struct host *host = host_list_find(hosts, id);
        return host == NULL || host->kind != unit->kind;
    }
    return false;
}

int unit_files_prune(struct unit_files *unit_files, const struct host_list *hosts)
{
    DIR *folder = opendir(unit_files->units);
    if (folder == NULL)
        return errno == ENOENT ? 0 : report_file_error(unit_files->units, errno);
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (!is_stray(hosts, entry->d_name))
            continue;
        unit_files->hosts_changed = true;
        if (!unit_files->dry_run && unlinkat(dirfd(folder), entry->d_name, 0) < 0)
            report_file_error(entry->d_name, errno);
    }
    closedir(folder);
    return 0;
}

/* --- What is not served ----------------------------------------------------------------------- */

int unit_files_write_unserved(const char *runtime_dir, const char *lines)
{
    static struct unit_text found;
    char path[200]; /* runtime_dir is shorter than a socket's path */
    snprintf(path, sizeof(path), "%s/unserved", runtime_dir);
    read_file(path, &found);
    if (strcmp(found.bytes, lines) == 0 && *lines != '\0')
        return 0;
    if (*lines == '\0')
        return unlink(path) < 0 && errno != ENOENT ? report_file_error(path, errno) : 0;
    /* Without the folder there is no keeper, either. */
    return access(runtime_dir, F_OK) < 0 ? 0 : replace_file(path, lines, strlen(lines), false);
}
