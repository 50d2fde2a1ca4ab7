/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads the three files together. The parsers are beside it; this only knows where the files lie
 * and what a failure of one means for the rest.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/config.h"

static int load_table(struct config *config, struct complaints *complaints)
{
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s/hosts.tab", config->loncapa.tab_dir);
    if (length < 0 || (size_t)length >= sizeof(path)) {
        complain(complaints, config->loncapa.tab_dir, 0, "lonTabDir is too long");
        return -1;
    }
    return hosttab_load(&config->table, path, complaints);
}

struct config *config_load(const char *path, struct complaints *complaints)
{
    struct config *config = calloc(1, sizeof(*config));
    if (config == NULL)
        return NULL;
    const char *settings_path = path != NULL ? path : CONFIG_PATH;
    /* With a mistake, a setting has its default: a keeper that starts like this answers con_lost.
     */
    if (settings_load(&config->settings, settings_path, path == NULL, complaints) < 0)
        return config;
    config->valid =
        loncapa_load(&config->loncapa, config->settings.loncapa_conf, complaints) == 0 &&
        load_table(config, complaints) == 0;
    return config;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    settings_free(&config->settings);
    loncapa_free(&config->loncapa);
    hosttab_free(&config->table);
    free(config);
}
