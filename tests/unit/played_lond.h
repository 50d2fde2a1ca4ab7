/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A lond that a test plays by hand, at a real port of 127.0.0.1: the test accepts a connection,
 * says what it expects to hear, and answers. While it waits for the keeper's side, the loop turns.
 */
#ifndef LONC_TESTS_UNIT_PLAYED_LOND_H
#define LONC_TESTS_UNIT_PLAYED_LOND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keeper/core/loop.h"

/* Listens at a free port, or again at the one before. */
void lond_listens(struct loop *loop);
uint16_t lond_port(void);

/* The listener is closed: who connects is refused. */
void lond_refuses(void);

/* The next connection, a descriptor of the caller. */
int lond_accepts(void);

/* Whether somebody waits to be accepted. */
bool lond_has_caller(void);

/* Asserts that exactly this comes next on the connection. */
void lond_hears(int fd, const char *text);

/* Asserts that the keeper closes the connection without another byte. */
void lond_hears_end(int fd);

void lond_says(int fd, const char *text);
void lond_says_bytes(int fd, char byte, size_t count);

/* The whole handshake of insecure mode for the lonHostID. */
void lond_greets(int fd, const char *id);

/* Turns the loop until `*what` is so; a test that waits in vain ends. */
void turn_until(struct loop *loop, const bool *what);

/* Turns it as long as there is something to do. */
void turn_quiet(struct loop *loop);

#endif
