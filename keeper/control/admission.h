/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may stay on the control socket, and how many of them. Each way to stay has a bound of its
 * own, so that those who stay long take no place from those who ask and go; and each kind of user
 * has places of its own, so that those who may only look take none from those who may act.
 */
#ifndef LONC_KEEPER_CONTROL_ADMISSION_H
#define LONC_KEEPER_CONTROL_ADMISSION_H

#include <sys/types.h>

#include "keeper/core/core.h"

enum place {
    PLACE_SILENT,   /* its request line has not come yet */
    PLACE_ANSWER,   /* its answer is being made or sent */
    PLACE_RELOAD,   /* the same for a reload, so that others cannot hold up systemd's */
    PLACE_FOLLOWER, /* gets events for as long as it wants */
    PLACE_GONE,     /* has left before its answer was complete; not bounded */
    PLACES
};

enum user { USER_ROOT, USER_OWN, USER_OTHER, USERS };

struct admission {
    struct core *core;
    unsigned count[PLACES][USERS];
    struct limit limits[PLACE_GONE];
    uint64_t refused; /* clients that found no place, since the start */
};

void admission_init(struct admission *admission, struct core *core);

/* Which kind of user this is: root, the keeper's own, or any other. */
enum user admission_user(uid_t uid);

/* Whether there is a place for one more, and whether there are more than allowed. */
bool admission_has_place(const struct admission *admission, enum place place, enum user user);
bool admission_is_over(const struct admission *admission, enum place place, enum user user);

/* Takes a place, bounded or not, and gives it back. */
void admission_enter(struct admission *admission, enum place place, enum user user);
void admission_leave(struct admission *admission, enum place place, enum user user);

/* Somebody finds no place: counts that, and lists it as a trouble. Returns the sentence to answer
 * with. */
const char *admission_refuse(struct admission *admission, enum place place);

#endif
