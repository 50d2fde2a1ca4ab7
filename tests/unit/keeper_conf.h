/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A keeper.conf for the tests of settings.
 */
#ifndef LONC_TESTS_UNIT_KEEPER_CONF_H
#define LONC_TESTS_UNIT_KEEPER_CONF_H

#include "common/settings.h"
#include "tests/unit/heard.h"

extern struct settings loaded; /* what keeper_conf_load() has read last */

/* For TestSuite(): .init is heard_begin, and this is .fini. */
void keeper_conf_end(void);

/* Reads a keeper.conf with this text, as settings_load() does. */
int keeper_conf_load(const char *text);

/* The text is a valid file; it is not, and these are the diagnostics. */
void expect_good(const char *text);
void expect_complaints(const char *text, const char *diagnostics);

#endif
