/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Places on the control socket.
 */
#include <bsd/string.h>
#include <string.h>
#include <unistd.h>

#include "keeper/control/admission.h"

static const struct {
    size_t setting;       /* how many for each kind of user: an offset in struct settings */
    const char *name;     /* of the limit, in the log */
    const char *sentence; /* for those who find no place */
} places[PLACE_GONE] = {
    [PLACE_SILENT] = {offsetof(struct settings, control_silent),
                      "silent connections to the control socket (control_silent)",
                      "no place left on the control socket: this connection was silent the longest "
                      "(control_silent)"},
    [PLACE_ANSWER] = {offsetof(struct settings, control_answers),
                      "answers under way on the control socket (control_answers)",
                      "no place left on the control socket: as many answers are under way as "
                      "control_answers allows; try again"},
    [PLACE_RELOAD] = {offsetof(struct settings, control_answers),
                      "reloads waited for on the control socket (control_answers)",
                      "no place left on the control socket: as many wait for a reload as "
                      "control_answers allows; try again"},
    [PLACE_FOLLOWER] = {offsetof(struct settings, control_followers),
                        "followers of events (control_followers)",
                        "no place left on the control socket: events are followed by as many as "
                        "control_followers allows; end one of them"},
};

/* The control socket as a whole must never take most of the descriptors, whatever the settings. */
#define DESCRIPTOR_SHARE 32
#define PLACES_LEAST     4

static uint64_t places_allowed(const struct admission *admission, enum place place)
{
    const struct core *core = admission->core;
    const char *settings = (const char *)&core->settings;
    uint64_t wanted, share = core->descriptors_max / DESCRIPTOR_SHARE;
    memcpy(&wanted, settings + places[place].setting, sizeof(wanted));
    if (share < PLACES_LEAST)
        share = PLACES_LEAST;
    return wanted < share ? wanted : share;
}

/* There is one trouble for all places; it names those that are short. */
static void update_trouble(struct admission *admission)
{
    char detail[TROUBLE_DETAIL_SIZE] = "";
    for (int place = 0; place < PLACE_GONE; place++) {
        if (!admission->limits[place].reached)
            continue;
        strlcat(detail, *detail == '\0' ? "limits that are met: " : ", ", sizeof(detail));
        strlcat(detail, places[place].name, sizeof(detail));
    }
    if (*detail != '\0')
        trouble_begin(admission->core, TROUBLE_CONTROL_LIMIT, "%s", detail);
    else
        trouble_end(admission->core, TROUBLE_CONTROL_LIMIT);
}

/* A limit counts as left once half of the places are free for everybody; otherwise one at its edge
 * would fill the log. */
static void check_limit(struct admission *admission, enum place place)
{
    if (place == PLACE_GONE || !admission->limits[place].reached)
        return;
    for (int user = 0; user < USERS; user++)
        if (admission->count[place][user] > places_allowed(admission, place) / 2)
            return;
    limit_left(admission->core, &admission->limits[place], NULL);
    update_trouble(admission);
}

enum user admission_user(uid_t uid)
{
    if (uid == 0)
        return USER_ROOT;
    return uid == geteuid() ? USER_OWN : USER_OTHER;
}

bool admission_has_place(const struct admission *admission, enum place place, enum user user)
{
    return admission->count[place][user] < places_allowed(admission, place);
}

bool admission_is_over(const struct admission *admission, enum place place, enum user user)
{
    return admission->count[place][user] > places_allowed(admission, place);
}

void admission_enter(struct admission *admission, enum place place, enum user user)
{
    admission->count[place][user]++;
}

void admission_leave(struct admission *admission, enum place place, enum user user)
{
    admission->count[place][user]--;
    check_limit(admission, place);
}

const char *admission_refuse(struct admission *admission, enum place place)
{
    admission->refused++;
    limit_reached(admission->core, &admission->limits[place], NULL);
    update_trouble(admission);
    return places[place].sentence;
}

void admission_init(struct admission *admission, struct core *core)
{
    *admission = (struct admission){.core = core};
    for (int place = 0; place < PLACE_GONE; place++)
        admission->limits[place].name = places[place].name;
}
