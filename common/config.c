/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads the three files together. The parsers are beside it; this only knows where the files lie
 * and what a failure of one means for the rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/config.h"
#include "common/host_name.h"

struct config_loading {
    struct config *config;
    struct hosttab_reading *reading; /* NULL: nothing is left to read */
    char path[4096];                 /* of the table */
};

static void open_table(struct config_loading *loading, struct diagnostics *diagnostics)
{
    const struct loncapa *loncapa = &loading->config->loncapa;
    int length = snprintf(loading->path, sizeof(loading->path), "%s/hosts.tab", loncapa->tab_dir);
    if (length < 0 || (size_t)length >= sizeof(loading->path))
        diagnostics_add(diagnostics, loncapa->tab_dir, 0, "lonTabDir is too long");
    else
        loading->reading = hosttab_open(&loading->config->table, loading->path, diagnostics);
}

struct config_loading *config_begin(const char *path, struct diagnostics *diagnostics)
{
    struct config_loading *loading = calloc(1, sizeof(*loading));
    struct config *config = loading != NULL ? calloc(1, sizeof(*config)) : NULL;
    if (config == NULL) {
        free(loading);
        return NULL;
    }
    config->references = 1;
    loading->config = config;
    const char *settings_path = path != NULL ? path : CONFIG_PATH;
    /* With a mistake, a setting has its default: a keeper that starts like this answers con_lost.
     */
    bool loaded = settings_load(&config->settings, settings_path, path == NULL, diagnostics) == 0;
    if (!settings_are_whole(&config->settings)) {
        config_unref(config);
        free(loading);
        return NULL;
    }
    if (loaded && loncapa_load(&config->loncapa, config->settings.loncapa_conf, diagnostics) == 0)
        open_table(loading, diagnostics);
    return loading;
}

bool config_some(struct config_loading *loading)
{
    return loading->reading != NULL && hosttab_some(loading->reading);
}

struct config *config_end(struct config_loading *loading)
{
    struct config *config = loading->config;
    config->valid = loading->reading != NULL && hosttab_close(loading->reading) == 0;
    free(loading);
    return config;
}

struct config *config_load(const char *path, struct diagnostics *diagnostics)
{
    struct config_loading *loading = config_begin(path, diagnostics);
    if (loading == NULL)
        return NULL;
    while (config_some(loading))
        continue;
    return config_end(loading);
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
