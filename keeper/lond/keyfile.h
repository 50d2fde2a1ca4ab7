/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Local mode's key file (lonc-protocol(7) section 2). A lond that can read it has proved that it
 * runs on this machine, as this user.
 */
#ifndef LONC_KEEPER_LOND_KEYFILE_H
#define LONC_KEEPER_LOND_KEYFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "keeper/lond/cipher.h"

/* Whether such files can be made in the directory. If not, there is no local mode. */
bool keyfile_possible(const char *directory);

/*
 * Writes a new random key into a new file of mode 0600 in the directory. The caller gives *path to
 * keyfile_remove, and wipes the key. Returns 0, or a negative errno; then there is no file, and
 * *path is NULL or as it was.
 */
int keyfile_create(const char *directory, char **path, uint8_t key[CIPHER_KEY_SIZE]);

/* Removes the file, if lond has not done so, and frees the path. *path may be NULL, and is NULL
 * afterwards. */
void keyfile_remove(char **path);

/* Removes all key files in the directory: a keeper that was killed has left them. */
void keyfile_sweep(const char *directory);

#endif
