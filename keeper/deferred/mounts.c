/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading /proc/self/mountinfo (proc(5)).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "keeper/deferred/mounts.h"

/* Whether a comma-separated list has the option. */
static bool has_option(const char *options, const char *wanted)
{
    size_t length = strlen(wanted);
    for (const char *at = options; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, wanted, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

/*
 * A line is "36 35 98:0 /root /point ro,noatime shared:1 - ext4 /dev/sda rw", where the sixth field
 * has the options of the mount and the last one those of the file system.
 */
static bool forbids_writing(char *line)
{
    char *options = line, *end = strstr(line, " - ");
    for (int field = 0; field < 5 && options != NULL; field++)
        options = (options = strchr(options, ' ')) != NULL ? options + 1 : NULL;
    if (options == NULL || end == NULL)
        return false;
    options[strcspn(options, " ")] = '\0';
    char *super = strrchr(end + 3, ' ');
    if (super == NULL)
        return false;
    super[strcspn(super, "\n")] = '\0';
    return has_option(options, "ro") && has_option(super + 1, "rw");
}

/* The number of the mount; 0 if it is not known, which is no mount's number. */
static uint64_t find_mount(const char *path)
{
    struct statx status;
    char folder[PATH_MAX];
    int r = statx(AT_FDCWD, path, 0, STATX_MNT_ID, &status);
    const char *slash = strrchr(path, '/');
    if (r < 0 && errno == ENOENT && slash != NULL && (size_t)(slash - path) < sizeof(folder)) {
        memcpy(folder, path, (size_t)(slash - path));
        folder[slash - path] = '\0';
        r = statx(AT_FDCWD, *folder != '\0' ? folder : "/", 0, STATX_MNT_ID, &status);
    }
    return r == 0 && (status.stx_mask & STATX_MNT_ID) ? status.stx_mnt_id : 0;
}

bool mounts_forbid_writing(const char *path)
{
    bool found = false, forbidden = false;
    char *line = NULL;
    size_t size = 0;
    uint64_t id = find_mount(path);
    if (id == 0)
        return false;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    while (file != NULL && !found && getline(&line, &size, file) > 0) {
        found = strtoull(line, NULL, 10) == id;
        forbidden = found && forbids_writing(line);
    }
    free(line);
    if (file != NULL)
        fclose(file);
    return forbidden;
}
