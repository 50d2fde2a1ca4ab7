/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading the configuration for a path in it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/config.h"
#include "keeper/loncctl/core/configured_paths.h"
#include "keeper/loncctl/core/failure.h"

static void print_diagnostic(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "%s\n", text);
}

/* FOLDER/NAME, which the caller frees. */
static char *join(const char *folder, const char *name)
{
    char *path;
    return must(asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path);
}

char *configured_deferred_folder(const char *config)
{
    struct diagnostics diagnostics = {.say = print_diagnostic};
    struct config *loaded = config_load(config, &diagnostics);
    char *folder = NULL;
    if (loaded != NULL && loaded->valid)
        folder = join(loaded->loncapa.sock_dir, "delayed");
    config_unref(loaded);
    return folder;
}

char *configured_page(const char *config)
{
    struct diagnostics diagnostics = {.say = print_diagnostic};
    const char *path = config != NULL ? config : CONFIG_PATH;
    struct settings settings;
    struct loncapa loncapa;
    char *page = NULL;
    if (settings_load(&settings, path, config == NULL, &diagnostics) == 0) {
        if (loncapa_load(&loncapa, settings.loncapa_conf, &diagnostics) == 0)
            page = join(loncapa.doc_root, "lon-status/lonc.html");
        loncapa_free(&loncapa);
    }
    settings_free(&settings);
    return page;
}
