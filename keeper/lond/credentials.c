/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads credentials, and remembers which files they were read from.
 */
#include <bsd/string.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/lond/credentials.h"
#include "keeper/lond/keyfile.h"

/* Zero where the file does not exist or cannot be looked at. */
static void stat_file(const char *path, struct stat *status)
{
    if (path == NULL || stat(path, status) < 0)
        *status = (struct stat){.st_ino = 0};
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mode == b->st_mode && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool credentials_are_current(const struct credentials *credentials)
{
    struct stat status;
    for (int i = 0; i < TLS_FILE_COUNT; i++) {
        stat_file(credentials->files.path[i], &status);
        if (!is_same(&status, &credentials->seen[i]))
            return false;
    }
    return true;
}

static void load_tls(struct credentials *credentials, const struct config *config,
                     struct diagnostics *diagnostics)
{
    for (int i = 0; i < TLS_FILE_COUNT; i++)
        stat_file(credentials->files.path[i], &credentials->seen[i]);
    enum tls_outcome outcome =
        tls_context_load(&credentials->tls, &config->loncapa, &config->settings, diagnostics);
    credentials->wanted = outcome != TLS_OFF;
    for (int i = 0; i < TLS_FILE_REVOCATIONS; i++)
        credentials->named = credentials->named || credentials->files.path[i] != NULL;
    strlcpy(credentials->problem, diagnostics->first, sizeof(credentials->problem));
}

struct credentials *credentials_load(const struct config *config, struct diagnostics *diagnostics)
{
    struct credentials *credentials = calloc(1, sizeof(*credentials));
    if (credentials == NULL)
        return NULL;
    credentials->directory = strdup(config->loncapa.cert_dir);
    if (credentials->directory == NULL ||
        tls_files_find(&credentials->files, &config->loncapa, &config->settings) < 0) {
        credentials_free(credentials);
        return NULL;
    }
    credentials->local = keyfile_possible(credentials->directory);
    credentials->fallback = config->settings.tls_fallback && config->loncapa.allow_insecure;
    load_tls(credentials, config, diagnostics);
    return credentials;
}

static void note_absence(struct credentials *credentials)
{
    int i = 0;
    while (i < TLS_FILE_KEY && credentials->files.path[i] == NULL)
        i++;
    const char *path = credentials->files.path[i];
    snprintf(credentials->problem, sizeof(credentials->problem),
             "%s: has gone, as all files for ssl have; a reload turns ssl off",
             path != NULL ? path : "ssl");
}

void credentials_follow(struct credentials *credentials, const struct credentials *old)
{
    credentials->local = old->local;
    if (credentials->wanted || !old->wanted)
        return;
    credentials->wanted = true;
    note_absence(credentials);
}

void credentials_take_context(struct credentials *credentials, struct credentials *old)
{
    credentials->tls = old->tls;
    old->tls = NULL;
}

bool credentials_lack_files(const struct credentials *credentials)
{
    return credentials->named && !credentials->wanted;
}

void credentials_free(struct credentials *credentials)
{
    if (credentials == NULL)
        return;
    tls_context_free(credentials->tls);
    tls_files_free(&credentials->files);
    free(credentials->directory);
    free(credentials);
}

enum handshake_mode credentials_mode(const struct credentials *credentials,
                                     const struct handshake_identity *identity)
{
    if (credentials->local && identity->here)
        return HANDSHAKE_LOCAL;
    if (credentials->tls != NULL)
        return HANDSHAKE_SSL;
    return credentials->wanted && !credentials->fallback ? HANDSHAKE_SSL : HANDSHAKE_INSECURE;
}
