/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * c-ares and the loop. c-ares opens and closes its sockets itself and says what it wants to hear of
 * them; it may answer from inside any of its functions.
 */
#include <ares.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/monotonic.h"
#include "keeper/net/dns_channel.h"

/* What c-ares reads when a channel is opened. */
#define RESOLV_CONF "/etc/resolv.conf"

/* Each server is asked twice, because UDP loses packets. c-ares waits twice as long the second
 * time. */
#define TRIES 2

static const int families[] = {[DNS_IPV4] = AF_INET, [DNS_IPV6] = AF_INET6};

/* A socket that c-ares has opened. */
struct dns_socket {
    struct watch watch;
    struct dns_channel *channel;
    LIST_ENTRY(dns_socket) link;
};

struct dns_channel {
    struct core *core;
    void (*answered)(void *argument, const struct dns_query *query, enum dns_answer answer,
                     const struct addresses *found, int status);
    void *argument;
    ares_channel ares;       /* opened when first needed; NULL: there is none */
    int error;               /* why there is none, a status of c-ares */
    struct timespec changed; /* of RESOLV_CONF when the channel was opened */
    ino_t file;              /* the same */
    bool freeing;
    LIST_HEAD(, dns_query) queries;
    size_t load; /* the number of queries */
    LIST_HEAD(, dns_socket) sockets;
    sd_event_source *timer; /* c-ares's; off when it has nothing to wait for */
};

/* --- Timer and sockets ------------------------------------------------------------------------ */

static int on_timer(sd_event_source *source, uint64_t when, void *argument);

/* Must follow each call of c-ares, which may have changed the time at which it wants to be called.
 */
static void set_timer(struct dns_channel *channel)
{
    struct timeval left;
    if (channel->ares == NULL || ares_timeout(channel->ares, NULL, &left) == NULL) {
        loop_enable(&channel->core->loop, channel->timer, SD_EVENT_OFF);
        return;
    }
    uint64_t span = (uint64_t)left.tv_sec * 1000000 + (uint64_t)left.tv_usec;
    (void)loop_alarm(&channel->core->loop, &channel->timer, CLOCK_MONOTONIC, monotonic_now() + span,
                     on_timer, channel);
}

static int on_timer(sd_event_source *source, uint64_t when, void *argument)
{
    struct dns_channel *channel = argument;
    (void)source;
    (void)when;
    channel->core->loop.now = monotonic_now();
    ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(channel);
    return 0;
}

/* c-ares may close the socket here, which frees the struct dns_socket. */
static void on_socket_ready(struct watch *watch, uint32_t events)
{
    struct dns_channel *channel = CONTAINER_OF(watch, struct dns_socket, watch)->channel;
    int fd = watch->fd;
    ares_process_fd(channel->ares, events & ~(uint32_t)EPOLLOUT ? fd : ARES_SOCKET_BAD,
                    events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
    set_timer(channel);
}

static struct dns_socket *find_socket(const struct dns_channel *channel, int fd)
{
    struct dns_socket *dns_socket;
    LIST_FOREACH (dns_socket, &channel->sockets, link)
        if (dns_socket->watch.fd == fd)
            return dns_socket;
    return NULL;
}

/* The queries of a socket that cannot be watched end by their time-outs. */
static void watch_socket(struct dns_channel *channel, int fd, uint32_t events)
{
    struct dns_socket *dns_socket = calloc(1, sizeof(*dns_socket));
    if (dns_socket == NULL)
        return;
    dns_socket->channel = channel;
    dns_socket->watch = (struct watch){.fd = -1, .ready = on_socket_ready};
    if (loop_watch(&channel->core->loop, &dns_socket->watch, fd, events) < 0) {
        free(dns_socket);
        return;
    }
    core_descriptor_opened(channel->core);
    LIST_INSERT_HEAD(&channel->sockets, dns_socket, link);
}

static void unwatch_socket(struct dns_socket *dns_socket)
{
    struct core *core = dns_socket->channel->core;
    loop_unwatch(&core->loop, &dns_socket->watch);
    LIST_REMOVE(dns_socket, link);
    free(dns_socket);
    core_descriptor_closed(core);
}

static void on_socket_state(void *argument, ares_socket_t fd, int readable, int writable)
{
    struct dns_channel *channel = argument;
    struct dns_socket *dns_socket = find_socket(channel, fd);
    uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
    if (dns_socket == NULL && events != 0)
        watch_socket(channel, fd, events);
    else if (dns_socket != NULL && events != 0)
        loop_change(&channel->core->loop, &dns_socket->watch, events);
    else if (dns_socket != NULL)
        unwatch_socket(dns_socket);
}

/* --- Queries ---------------------------------------------------------------------------------- */

static enum dns_answer answer_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return DNS_FOUND;
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
        return DNS_ABSENT;
    default:
        return DNS_UNANSWERED;
    }
}

/* Only addresses of the family that was asked for: the server was not asked about others. */
static struct addresses copy_found(const struct ares_addrinfo *result, int family)
{
    struct addresses found = {.count = 0};
    const struct ares_addrinfo_node *node = result != NULL ? result->nodes : NULL;
    for (; node != NULL; node = node->ai_next) {
        union address address;
        if (node->ai_family != family || node->ai_addrlen > sizeof(address))
            continue;
        memcpy(&address, node->ai_addr, node->ai_addrlen);
        addresses_add(&found, &address, ADDRESSES_MAX);
    }
    return found;
}

static void end_query(struct dns_query *query, const struct addresses *found, int status)
{
    struct dns_channel *channel = query->channel;
    LIST_REMOVE(query, link);
    channel->load--;
    if (query->slot != NULL)
        *query->slot = NULL;
    if (!channel->freeing)
        channel->answered(channel->argument, query, answer_of(status), found, status);
    free(query);
}

static void on_answer(void *argument, int status, int timeouts, struct ares_addrinfo *result)
{
    struct dns_query *query = argument;
    struct addresses found = copy_found(result, families[query->family]);
    (void)timeouts;
    ares_freeaddrinfo(result);
    /* The channel is being closed. If it is opened anew, ask_again() repeats the query. */
    if (status == ARES_EDESTRUCTION && query->owner != NULL && !query->channel->freeing)
        return;
    end_query(query, &found, status);
}

static void send_query(struct dns_query *query)
{
    const struct ares_addrinfo_hints hints = {
        .ai_family = families[query->family],
        .ai_socktype = SOCK_STREAM,
        .ai_flags = ARES_AI_NOSORT,
    };
    ares_getaddrinfo(query->channel->ares, query->name, NULL, &hints, on_answer, query);
}

/* Repeats what the channel before was asked. */
static void ask_again(struct dns_channel *channel)
{
    static const struct addresses none;
    struct dns_query *query, *next;
    LIST_FOREACH_SAFE (query, &channel->queries, link, next) {
        if (channel->ares != NULL)
            send_query(query);
        else
            end_query(query, &none, channel->error);
    }
}

int dns_channel_ask(struct dns_channel *channel, const char *name, enum dns_family family,
                    void *owner, struct dns_query **slot)
{
    if (channel->ares == NULL)
        return channel->error;
    struct dns_query *query = malloc(sizeof(*query));
    if (query == NULL)
        return ARES_ENOMEM;
    *query = (struct dns_query){
        .owner = owner, .family = family, .name = name, .slot = slot, .channel = channel};
    *slot = query;
    LIST_INSERT_HEAD(&channel->queries, query, link);
    channel->load++;
    send_query(query); /* what is in /etc/hosts is answered at once */
    set_timer(channel);
    return ARES_SUCCESS;
}

void dns_channel_abandon(struct dns_query **slot)
{
    if (*slot == NULL)
        return;
    (*slot)->owner = NULL;
    (*slot)->slot = NULL;
    *slot = NULL;
}

size_t dns_channel_load(const struct dns_channel *channel)
{
    return channel->load;
}

/* --- The channel ------------------------------------------------------------------------------ */

/*
 * hosts.tab gives the full names of servers all over the network, so neither this server's own
 * domain (ndomains) nor aliases of the environment (ARES_FLAG_NOALIASES) may be tried for them.
 */
static int open_with(struct dns_channel *channel, int milliseconds, ares_channel *ares)
{
    const char *servers = channel->core->settings.resolve_servers;
    struct ares_options options = {
        .flags = ARES_FLAG_NOALIASES,
        .timeout = milliseconds,
        .tries = TRIES,
        .ndomains = 0,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = channel,
    };
    int given = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS |
                ARES_OPT_SOCK_STATE_CB;
    int status = ares_init_options(ares, &options, given);
    if (status != ARES_SUCCESS || servers[0] == '\0')
        return status;
    status = ares_set_servers_ports_csv(*ares, servers);
    if (status != ARES_SUCCESS)
        ares_destroy(*ares);
    return status;
}

static int count_servers(ares_channel ares)
{
    struct ares_addr_port_node *servers = NULL;
    int count = 0;
    if (ares_get_servers_ports(ares, &servers) == ARES_SUCCESS)
        for (const struct ares_addr_port_node *server = servers; server != NULL;
             server = server->next)
            count++;
    ares_free_data(servers);
    return count > 0 ? count : 1;
}

/*
 * c-ares takes one time-out for each try at each server, so that of a whole query depends on the
 * number of servers. The channel is opened once to learn that number, and again with the time-out
 * by which all servers can be asked TRIES times within resolve_timeout.
 */
static int open_channel(struct dns_channel *channel)
{
    uint64_t shares = (1U << TRIES) - 1; /* 1 + 2 + ..., since each try waits twice as long */
    ares_channel ares;
    int status = open_with(channel, 1000, &ares);
    if (status != ARES_SUCCESS)
        return status;
    shares *= (uint64_t)count_servers(ares);
    ares_destroy(ares);
    uint64_t share = channel->core->settings.resolve_timeout / 1000 / shares;
    status = open_with(channel, share > 0 ? (int)share : 1, &ares);
    if (status == ARES_SUCCESS)
        channel->ares = ares;
    return status;
}

static void close_channel(struct dns_channel *channel)
{
    if (channel->ares == NULL)
        return;
    ares_destroy(channel->ares); /* answers all queries with ARES_EDESTRUCTION */
    channel->ares = NULL;
    set_timer(channel);
}

void dns_channel_prepare(struct dns_channel *channel)
{
    struct stat file;
    if (stat(RESOLV_CONF, &file) < 0)
        file = (struct stat){0};
    bool same = file.st_ino == channel->file && file.st_mtim.tv_sec == channel->changed.tv_sec &&
                file.st_mtim.tv_nsec == channel->changed.tv_nsec;
    if (channel->ares != NULL && same)
        return;
    close_channel(channel);
    channel->file = file.st_ino;
    channel->changed = file.st_mtim;
    channel->error = open_channel(channel);
    ask_again(channel);
    set_timer(channel);
}

void dns_channel_reload(struct dns_channel *channel)
{
    if (channel->ares == NULL)
        return;
    close_channel(channel);
    dns_channel_prepare(channel);
}

struct dns_channel *dns_channel_new(struct core *core,
                                    void (*answered)(void *argument, const struct dns_query *query,
                                                     enum dns_answer answer,
                                                     const struct addresses *found, int status),
                                    void *argument)
{
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        return NULL;
    struct dns_channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL) {
        ares_library_cleanup();
        return NULL;
    }
    channel->core = core;
    channel->answered = answered;
    channel->argument = argument;
    LIST_INIT(&channel->queries);
    LIST_INIT(&channel->sockets);
    if (loop_alarm(&core->loop, &channel->timer, CLOCK_MONOTONIC, 0, on_timer, channel) < 0) {
        dns_channel_free(channel);
        return NULL;
    }
    loop_enable(&core->loop, channel->timer, SD_EVENT_OFF);
    return channel;
}

void dns_channel_free(struct dns_channel *channel)
{
    if (channel == NULL)
        return;
    channel->freeing = true;
    close_channel(channel);
    ares_library_cleanup();
    sd_event_source_disable_unref(channel->timer);
    free(channel);
}
