/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The list of hosts that lonc-hosts works on. Two files fill it in: expected.c says which sockets
 * each host should have, sockets.c says which it has. Everybody else only reads it.
 */
#ifndef LONC_UNITS_LONC_HOSTS_HOST_LIST_H
#define LONC_UNITS_LONC_HOSTS_HOST_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

#include "common/attributes.h"
#include "common/settings.h"
#include "units/lonc-hosts/manager.h"
#include "units/lonc-hosts/own_units.h"
#include "units/lonc-hosts/paths.h"
#include "units/lonc-hosts/unit_name.h"

/* The path of a socket has at most 107 bytes. */
#define PATH_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)

/* What sockets.c found out about a host. Arrays are indexed by enum activation. */
struct host_found {
    enum unit_state socket[ACTIVATIONS];
    bool loaded[ACTIVATIONS]; /* systemd remembers the socket's unit file, or that it was missing */
    bool moved[ACTIVATIONS];  /* the socket listens, but at other paths than it should */
    bool old_shim;            /* a shim of its own runs, as in releases without a shared one */
    bool paths_alive;         /* all paths lead to sockets of systemd that listen */
    bool owned_by_root;       /* some of these sockets still belong to root, not to www */
};

struct host {
    char *id; /* owned by the list */

    /* What expected.c wants for it. */
    bool wanted;          /* it is to have a socket */
    enum activation kind; /* the kind of socket */
    char paths[PATHS_MAX][PATH_SIZE];
    size_t path_count;

    struct host_found found;
};

struct host_list {
    struct host *list; /* the wanted ones first, sorted by id */
    size_t count, wanted, room;
    bool from_table;     /* the wanted ones are those of a valid table; set by expected.c */
    bool has_unservable; /* an entry of the table can have no socket; set by expected.c */
    bool has_unknown;    /* the state of something could not be found out; set by sockets.c */
    struct own_unit own[OWN_UNITS];
};

/* An empty list. The caller ends it with host_list_free. */
void host_list_init(struct host_list *hosts);
void host_list_free(struct host_list *hosts);

/*
 * Appends a host that is not wanted yet. The result is valid until the next host_list_add; NULL for
 * lack of memory.
 */
struct host *host_list_add(struct host_list *hosts, const char *id);

/* Moves the wanted hosts to the front, sorts them and counts them. */
void host_list_sort(struct host_list *hosts);

/* The wanted host of that id; NULL for none. Only after host_list_sort. */
struct host *host_list_find(const struct host_list *hosts, const char *id);

/* Whether the host's socket listens as it should. */
bool host_list_is_served(const struct host *host);

/* Whether `is` holds for any of the first `count` hosts. */
bool host_list_has_any(const struct host_list *hosts, size_t count,
                       bool (*is)(const struct host *host));

#endif
