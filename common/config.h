/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The whole configuration: keeper.conf, loncapa.conf and hosts.tab. It is read as a whole, beside
 * the one in force, and replaces that only if all of it is valid (keeper/README.md rule 9).
 */
#ifndef LONC_COMMON_CONFIG_H
#define LONC_COMMON_CONFIG_H

#include <stdbool.h>

#include "common/attributes.h"
#include "common/hosttab.h"
#include "common/loncapa.h"
#include "common/settings.h"

struct config {
    struct settings settings;
    struct loncapa loncapa;
    struct hosttab table;
    unsigned references; /* only config_ref() and config_unref() change it */
    bool valid; /* if not, only the settings may be used; those with a mistake have the default */
};

/* keeper.conf, if the command line does not name another file. This one need not exist. */
#define CONFIG_PATH "/etc/lonc/keeper.conf"

/*
 * Reads all three files; `path` NULL means CONFIG_PATH. Mistakes are reported to `diagnostics`, and
 * the result is not valid then. Returns a config with one reference, the caller's, or NULL for lack
 * of memory.
 */
MUST_CHECK struct config *config_load(const char *path, struct diagnostics *diagnostics);

/*
 * Whoever keeps a pointer into a configuration holds a reference, because a reload puts another
 * configuration in its place. config_ref() adds a reference and returns `config`; config_unref()
 * gives one back, and frees the configuration with the last. Both allow NULL.
 */
struct config *config_ref(struct config *config);
void config_unref(struct config *config);

/*
 * The same in slices (see common/lines.h for the reason). config_open() reads the two small files,
 * config_read_some() a slice of the table. config_close() may be called before the end, to give up.
 */
MUST_CHECK struct config_reading *config_open(const char *path, struct diagnostics *diagnostics);
MUST_CHECK bool config_read_some(struct config_reading *reading);
MUST_CHECK struct config *config_close(struct config_reading *reading);

/*
 * The path at which lonnet asks for a host's socket (lonSockCreate), or NULL if there is to be no
 * such socket. *why then says what is wrong with the path, or is NULL if nothing is: a host of the
 * table whose lonHostID or DNS name is the path's last component has precedence. Only for a valid
 * configuration.
 */
const char *config_create_path(const struct config *config, const char **why);

#endif
