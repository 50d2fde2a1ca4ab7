/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Everything an administrator can write, read together: keeper.conf, loncapa.conf and hosts.tab. It
 * is built whole, aside, and put into force only if all of it is right (keeper/README.md rule 9).
 */
#ifndef LONC_COMMON_CONFIG_H
#define LONC_COMMON_CONFIG_H

#include <stdbool.h>

#include "common/hosttab.h"
#include "common/loncapa.h"
#include "common/settings.h"

struct config {
    struct settings settings;
    struct loncapa loncapa;
    struct hosttab table;
    unsigned references; /* who holds it; see config_ref */
    bool valid; /* else only the settings are to be used: as written, or the default if that is
                   wrong */
};

/* Where keeper.conf is when the command line does not say; there it need not exist. */
#define CONFIG_PATH "/etc/lonc/keeper.conf"

/*
 * Reads it all; `path` NULL means CONFIG_PATH. What is wrong is said to `diagnostics`. Returns a
 * config with one reference, the caller's, or NULL without memory.
 */
struct config *config_load(const char *path, struct diagnostics *diagnostics);

/*
 * Whoever keeps a pointer into a configuration holds a reference, since a reload puts another in
 * its place. config_ref adds one and returns `config`; config_unref gives one back, and with the
 * last one the configuration is freed. NULL is allowed in both.
 */
struct config *config_ref(struct config *config);
void config_unref(struct config *config);

/*
 * The path at which lonnet asks for a host's socket (lonSockCreate), or NULL: there is no socket
 * for it. Then *why says what is wrong with the path, or is NULL where nothing is: a host of the
 * table that has its file name, as lonHostID or DNS name, goes first. Of a valid configuration.
 */
const char *config_create_path(const struct config *config, const char **why);

/*
 * The same by and by, for who may not be held up: config_some, which reads a slice of the table,
 * until it says that there are no more; then config_end, or before that to give up. config_begin
 * returns NULL without memory.
 */
struct config_loading *config_begin(const char *path, struct diagnostics *diagnostics);
bool config_some(struct config_loading *loading);
struct config *config_end(struct config_loading *loading);

#endif
