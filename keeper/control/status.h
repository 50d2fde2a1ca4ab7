/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the keeper says of itself: to `loncctl status`, to systemd (STATUS=) and ps. All of it is
 * read from the objects here, so that no two places differ.
 */
#ifndef LONC_KEEPER_CONTROL_STATUS_H
#define LONC_KEEPER_CONTROL_STATUS_H

#include <stddef.h>

#include "keeper/client/clients.h"
#include "keeper/client/intake.h"
#include "keeper/control/admission.h"
#include "keeper/core/json_writer.h"
#include "keeper/deferred/deferred.h"
#include "keeper/host/hosts.h"

struct status {
    struct core *core;
    struct hosts *hosts;
    const struct deferred *deferred;
    const struct clients *clients;
    const struct intake *intake;       /* NULL until there is one */
    const struct admission *admission; /* to the control socket; NULL if that cannot be bound */
    const char *config_path;
    uint64_t started; /* monotonic_now() */
};

/* "3 hosts up, 1 dead, 0 queued, 12 deferred; troubles: tls", into `line`. */
void status_line(const struct status *status, char *line, size_t size);

/* All of it but the hosts, of which those are told that want attention: an object. */
void status_write(const struct status *status, struct json_writer *writer);

/* One host: its health, connections, queue and counts; an object. */
void status_write_host(const struct status *status, const struct host *host,
                       struct json_writer *writer);

/* Every setting, its value and where that is from: an object. */
void status_write_config(const struct status *status, struct json_writer *writer);

/* The samples of the last hour and day, and the histograms of all requests so far: objects. */
void status_write_history(const struct status *status, struct json_writer *writer);
void status_write_histograms(const struct status *status, struct json_writer *writer);

/* A host's connections, with their states and addresses: an object. */
void status_write_connections(const struct host *host, struct json_writer *writer);

#endif
