/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Local mode's key file (lonc-protocol(7) section 2): that lond can read it proves that it runs on
 * this machine, for this user.
 */
#ifndef LONC_KEEPER_LOND_KEYFILE_H
#define LONC_KEEPER_LOND_KEYFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "keeper/lond/cipher.h"

/* Whether such files can be made in the directory: else there is no local mode. */
bool keyfile_possible(const char *directory);

/*
 * Writes a new random key into a new file of mode 0600 in the directory. *path is the caller's, to
 * be given to keyfile_remove; the key is the caller's to wipe. Returns 0, or a negative errno, and
 * then there is no file.
 */
int keyfile_create(const char *directory, char **path, uint8_t key[CIPHER_KEY_SIZE]);

/* Removes the file, unless lond has done so, and frees the path, which is NULL afterwards. */
void keyfile_remove(char **path);

/* Removes what a keeper that was killed left in the directory. */
void keyfile_sweep(const char *directory);

#endif
