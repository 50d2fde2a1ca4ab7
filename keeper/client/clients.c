/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The collection of clients. Memory for a client is allocated before it is needed and used again
 * when one has gone, so a request costs no allocation and taking a client over cannot fail.
 */
#include <errno.h>
#include <stdlib.h>

#include "keeper/client/client.h"
#include "keeper/client/clients.h"

/* Spare clients kept with their buffers; more would be memory kept for nothing. */
#define SPARES_KEPT 64

struct clients {
    struct client_group group;
    TAILQ_HEAD(, client) all, spares;
    size_t count, spare_count;
    void (*gone)(void *argument); /* see clients_drain; NULL before */
    void *gone_argument;
};

static struct clients *clients_of(const struct client *client)
{
    return CONTAINER_OF(client->group, struct clients, group);
}

/* --- Memory ----------------------------------------------------------------------------------- */

static void keep_spare(struct clients *clients, struct client *client)
{
    TAILQ_INSERT_HEAD(&clients->spares, client, link);
    clients->spare_count++;
}

static struct client *reuse_client(struct clients *clients)
{
    struct client *client = TAILQ_FIRST(&clients->spares);
    TAILQ_REMOVE(&clients->spares, client, link);
    clients->spare_count--;
    return client;
}

int clients_reserve(struct clients *clients, size_t count)
{
    struct core *core = clients->group.core;
    while (clients->spare_count < count) {
        struct client *client = calloc(1, sizeof(*client));
        if (client == NULL) {
            limit_reached(core, &core->memory_limit, NULL);
            return -ENOMEM;
        }
        keep_spare(clients, client);
    }
    return 0;
}

/* --- Coming and going ------------------------------------------------------------------------- */

void clients_start(struct clients *clients, int fd)
{
    struct client *client = reuse_client(clients);
    client_begin(client, &clients->group, fd);
    TAILQ_INSERT_TAIL(&clients->all, client, link);
    clients->count++;
    client_run(client);
}

static void on_ended(struct client *client)
{
    struct clients *clients = clients_of(client);
    TAILQ_REMOVE(&clients->all, client, link);
    clients->count--;
    if (clients->spare_count < SPARES_KEPT)
        keep_spare(clients, client);
    else
        client_free(client);
    if (clients->count == 0 && clients->gone != NULL)
        clients->gone(clients->gone_argument);
}

void clients_drain(struct clients *clients, void (*gone)(void *argument), void *argument)
{
    struct client *client, *next;
    create_stop(clients->group.dispatcher.create);
    TAILQ_FOREACH_SAFE (client, &clients->all, link, next)
        if (client->state == CLIENT_READING)
            client_run(client);
    clients->gone = gone;
    clients->gone_argument = argument;
    if (clients->count == 0)
        gone(argument);
}

/* --- What others ask -------------------------------------------------------------------------- */

size_t clients_count(const struct clients *clients)
{
    return clients->count;
}

void clients_write(const struct clients *clients, struct json_writer *writer)
{
    const struct client *client;
    unsigned shown = 0;
    json_writer_open(writer, NULL, '{');
    json_writer_count(writer, "total", clients->count);
    json_writer_open(writer, "clients", '[');
    TAILQ_FOREACH (client, &clients->all, link) {
        if (client->state == CLIENT_ENDED)
            continue;
        if (shown++ == CLIENTS_SHOWN)
            break;
        client_write(client, writer);
    }
    json_writer_close(writer, ']');
    json_writer_close(writer, '}');
}

struct create_counts clients_create_counts(const struct clients *clients)
{
    return create_counts(clients->group.dispatcher.create);
}

void clients_on_missing_socket(struct clients *clients, void (*missing)(void *argument),
                               void *argument)
{
    create_on_missing_socket(clients->group.dispatcher.create, missing, argument);
}

void clients_set_scarce(struct clients *clients, bool scarce)
{
    struct core *core = clients->group.core;
    const struct settings *settings = &core->settings;
    bool sooner = scarce && settings->client_idle_scarce < settings->client_idle_timeout;
    clients->group.idle_deadlines.span =
        sooner ? &settings->client_idle_scarce : &settings->client_idle_timeout;
    loop_spans_changed(&core->loop);
}

/* --- All of them ------------------------------------------------------------------------------ */

struct clients *clients_new(struct hosts *hosts, struct deferred *deferred)
{
    struct core *core = hosts->core;
    struct clients *clients = calloc(1, sizeof(*clients));
    struct create *create = create_new(core);
    if (clients == NULL || create == NULL) {
        create_free(create);
        free(clients);
        return NULL;
    }
    client_group_open(&clients->group, core);
    clients->group.dispatcher =
        (struct dispatcher){.core = core, .hosts = hosts, .deferred = deferred, .create = create};
    clients->group.ended = on_ended;
    TAILQ_INIT(&clients->all);
    TAILQ_INIT(&clients->spares);
    return clients;
}

void clients_free(struct clients *clients)
{
    struct client *client, *next;
    if (clients == NULL)
        return;
    clients->gone = NULL;
    create_stop(clients->group.dispatcher.create);
    TAILQ_FOREACH_SAFE (client, &clients->all, link, next)
        client_end(client);
    TAILQ_FOREACH_SAFE (client, &clients->spares, link, next)
        client_free(client);
    create_free(clients->group.dispatcher.create);
    client_group_close(&clients->group);
    free(clients);
}
