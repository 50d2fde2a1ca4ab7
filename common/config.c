/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads the three files. This knows only where they are, and what a mistake in one of them means
 * for the others; each has its own parser.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/config.h"
#include "common/host_name.h"

struct config_reading {
    struct config *config;
    struct hosttab_reading *table; /* NULL: there is none to read */
    char path[4096];               /* of the table */
};

static void open_table(struct config_reading *reading, struct diagnostics *diagnostics)
{
    const struct loncapa *loncapa = &reading->config->loncapa;
    int length = snprintf(reading->path, sizeof(reading->path), "%s/hosts.tab", loncapa->tab_dir);
    if (length < 0 || (size_t)length >= sizeof(reading->path))
        diagnostics_add(diagnostics, loncapa->tab_dir, 0, "lonTabDir is too long");
    else
        reading->table = hosttab_open(&reading->config->table, reading->path, diagnostics);
}

struct config_reading *config_open(const char *path, struct diagnostics *diagnostics)
{
    struct config_reading *reading = calloc(1, sizeof(*reading));
    struct config *config = reading != NULL ? calloc(1, sizeof(*config)) : NULL;
    if (config == NULL) {
        free(reading);
        return NULL;
    }
    config->references = 1;
    reading->config = config;
    const char *settings_path = path != NULL ? path : CONFIG_PATH;
    bool loaded = settings_load(&config->settings, settings_path, path == NULL, diagnostics) == 0;
    if (!settings_are_whole(&config->settings)) {
        config_unref(config);
        free(reading);
        return NULL;
    }
    if (loaded && loncapa_load(&config->loncapa, config->settings.loncapa_conf, diagnostics) == 0)
        open_table(reading, diagnostics);
    return reading;
}

bool config_read_some(struct config_reading *reading)
{
    return reading->table != NULL && hosttab_read_some(reading->table);
}

struct config *config_close(struct config_reading *reading)
{
    struct config *config = reading->config;
    config->valid = reading->table != NULL && hosttab_close(reading->table) == 0;
    free(reading);
    return config;
}

struct config *config_load(const char *path, struct diagnostics *diagnostics)
{
    struct config_reading *reading = config_open(path, diagnostics);
    if (reading == NULL)
        return NULL;
    while (config_read_some(reading))
        continue;
    return config_close(reading);
}

struct config *config_ref(struct config *config)
{
    if (config != NULL)
        config->references++;
    return config;
}

void config_unref(struct config *config)
{
    if (config == NULL || --config->references > 0)
        return;
    settings_free(&config->settings);
    loncapa_free(&config->loncapa);
    hosttab_free(&config->table);
    free(config);
}

const char *config_create_path(const struct config *config, const char **why)
{
    const char *path = config->loncapa.sock_create;
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    *why = NULL;
    if (path == NULL)
        return NULL;
    if (path[0] != '/' || strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        *why = "expected an absolute path of up to 107 bytes";
    else if (!host_name_is_valid(slash + 1))
        *why = "expected a path that ends in " HOST_NAME_RULE;
    else if (hosttab_find_id(&config->table, slash + 1) == NULL &&
             hosttab_find_name(&config->table, slash + 1) == NULL)
        return path;
    return NULL;
}
