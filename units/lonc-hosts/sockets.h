/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What sockets there should be, after the tables, and what there are, after systemd and the kernel.
 * It changes nothing.
 */
#ifndef LONC_UNITS_LONC_HOSTS_SOCKETS_H
#define LONC_UNITS_LONC_HOSTS_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

#include "common/config.h"
#include "units/lonc-hosts/manager.h"
#include "units/lonc-hosts/paths.h"

/* The longest name of a unit is 255 bytes, the longest path of a socket 107. */
#define UNIT_SIZE 256
#define PATH_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)

/* What a unit is; "waiting to be started" and the like are none of these, and end by themselves. */
enum unit_state { UNIT_INACTIVE, UNIT_ACTIVE, UNIT_FAILED };

/* One host: what there should be, and what there is. */
struct host {
    char *id;
    bool wanted;               /* it is in the table, and has paths */
    enum activation kind;      /* which socket it should have */
    enum unit_state socket[2]; /* by enum activation */
    bool known[2];             /* by kind: systemd has read its socket's unit, or missed it */
    bool old_shim;             /* one of its own runs, as it did before there was one for all */
    bool moved[2];             /* by kind: its socket listens, but at other paths */
    char paths[PATHS_MAX][PATH_SIZE];
    size_t path_count;
    bool paths_alive; /* sockets are there, and somebody listens */
    bool roots;       /* some are root's still (www_give) */
};

/* The units that are no host's, of which the first OWN_SOCKETS are the keeper's sockets. */
enum own_unit_index {
    OWN_CHANNEL,
    OWN_CONTROL,
    OWN_SOCKETS,
    OWN_KEEPER = OWN_SOCKETS,
    OWN_TARGET,
    OWN_SHIM,
};
#define OWN_UNITS 10

/* The service of all hosts that are shared. */
#define SOCKETS_SHIM "lonc-shared.service"

/* One of those. They are only mended: whether they are started is an administrator's choice. */
struct own_unit {
    const char *name;
    const char *path; /* of a socket of the keeper, as its unit file has it; else NULL */
    enum unit_state state;
    bool at_rest; /* inactive or failed, and not on its way there */
    bool running; /* active, and not on its way from or to that, nor reloading */
    bool masked;
    bool path_alive;   /* somebody listens there */
    bool path_blocked; /* by a folder; it was said */
};

struct hosts {
    struct host *list; /* those wanted first, sorted by id */
    size_t count, wanted, room;
    struct own_unit own[OWN_UNITS];
    bool incomplete; /* something could not be looked at, or served */
};

/* Begins with what there should be. False, and it was said, without memory. */
bool sockets_expect(struct hosts *hosts, const struct config *config);

/* Begins without a valid table: what sockets there are (sockets_keep) is what there should be. */
void sockets_expect_nothing(struct hosts *hosts);

/* Adds what there is, in the place of what there was. 0, or a negative errno after it was said. */
int sockets_look(struct hosts *hosts, struct manager *manager);

/*
 * After sockets_expect_nothing and sockets_look: each host whose socket is started, or failed, is
 * to be served as it is, at the paths that `paths_of` finds in its unit. Then it is looked whether
 * those are alive.
 */
void sockets_keep(struct hosts *hosts, void (*paths_of)(struct host *host));

/* Whether the host's socket listens as it should. */
bool sockets_is_served(const struct host *host);

/* The wanted host of that id; NULL for none. */
const struct host *sockets_find(const struct hosts *hosts, const char *id);

void sockets_free(struct hosts *hosts);

/* The name of a host's unit: ".socket", "@.service", ... */
void sockets_unit_name(char name[UNIT_SIZE], const struct host *host, enum activation kind,
                       const char *suffix);

/* The id in such a name; false when it is not of that kind and suffix. */
bool sockets_id_of(char id[UNIT_SIZE], const char *name, enum activation kind, const char *suffix);

#endif
