/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names by way of c-ares, whose sockets are watched by the loop. A name is asked twice, once for
 * each family of addresses; past resolve_queries questions under way, names wait in line.
 *
 * c-ares may answer from inside any of its functions, and its functions may not be entered from
 * there. So an answer is only noted where it comes; a source of the event loop that runs once,
 * `telling`, then tells the users and starts those in line.
 */
#include <ares.h>
#include <bsd/sys/tree.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "keeper/net/dns_record.h"
#include "keeper/net/resolver.h"

/* What c-ares reads; a change of it is noticed when the next name is asked. */
#define RESOLV_CONF "/etc/resolv.conf"

/* Each server is asked again once, since UDP loses packets; c-ares doubles its patience then. */
#define TRIES 2

static const int families[] = {[DNS_IPV4] = AF_INET, [DNS_IPV6] = AF_INET6};

/* One question that c-ares has. */
struct question {
    struct resolver *resolver;
    struct name *name; /* NULL: the answer comes too late for anybody */
    enum dns_family family;
};

struct name {
    RB_ENTRY(name) entry;
    char *text;
    struct resolver *resolver;
    struct dns_record record;
    LIST_HEAD(, resolver_user) users;
    struct question *question[DNS_FAMILIES]; /* under way; or NULL */
    struct deadline deadline;                /* of all questions, and of waiting in line */
    TAILQ_ENTRY(name) in_line, answered;
    bool is_in_line, is_answered;
    bool expected;     /* stays without users until resolver_settle */
    bool said_failing; /* the log has it */
    int error;         /* of c-ares: the last one */
};

RB_HEAD(names, name);

/* A socket that c-ares has opened. */
struct dns_socket {
    struct watch watch;
    struct resolver *resolver;
    LIST_ENTRY(dns_socket) link;
};

struct resolver {
    struct core *core;
    ares_channel channel;    /* opened when first needed; or NULL */
    int error;               /* why it could not be */
    struct timespec changed; /* RESOLV_CONF, when the channel was opened */
    ino_t file;
    struct names names;
    TAILQ_HEAD(, name) line, answered;
    LIST_HEAD(, dns_socket) sockets;
    size_t under_way;         /* questions */
    sd_event_source *timer;   /* of c-ares; off when it has nothing to wait for */
    sd_event_source *telling; /* on when a name has been answered */
    struct deadline_queue resolving;
};

static int compare(struct name *one, struct name *other)
{
    return strcasecmp(one->text, other->text); /* as DNS compares */
}

RB_PROTOTYPE(names, name, entry, )
RB_GENERATE(names, name, entry, compare)

static struct dns_rules rules_of(const struct resolver *resolver)
{
    const struct settings *settings = &resolver->core->settings;
    return (struct dns_rules){
        .cache = settings->resolve_cache,
        .failure_cache = settings->resolve_failure_cache,
        .most = (unsigned)settings->resolve_addresses,
    };
}

/* --- Answers ---------------------------------------------------------------------------------- */

/* Said when it begins and when it ends: a resolver that is down concerns many names, for long. */
static void say_change(struct name *name)
{
    bool failing = dns_record_has_failed(&name->record);
    if (failing == name->said_failing)
        return;
    name->said_failing = failing;
    if (failing)
        log_write(LOG_NOTICE, &(struct log_about){.reason = reason_word(REASON_NAME)},
                  "cannot resolve %s: %s%s", name->text, ares_strerror(name->error),
                  name->record.addresses.count > 0 ? "; its last addresses stay in use" : "");
    else
        log_write(LOG_NOTICE, NULL, "%s is resolved again", name->text);
}

/* Whoever waits for the name will be told, once nothing of this or of c-ares is under way. */
static void note_answered(struct name *name)
{
    struct resolver *resolver = name->resolver;
    if (!dns_record_is_asked(&name->record))
        deadline_stop(&name->deadline);
    say_change(name);
    if (!name->is_answered)
        TAILQ_INSERT_TAIL(&resolver->answered, name, answered);
    name->is_answered = true;
    loop_enable(&resolver->core->loop, resolver->telling, SD_EVENT_ONESHOT);
}

static void take(struct name *name, enum dns_family family, enum dns_answer answer,
                 const struct addresses *found)
{
    struct dns_rules rules = rules_of(name->resolver);
    if (dns_record_take(&name->record, &rules, family, answer, found,
                        name->resolver->core->loop.now))
        note_answered(name);
}

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

/* Only those asked for: what else an answer may bring was not asked of who should know. */
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

static void on_answer(void *argument, int status, int timeouts, struct ares_addrinfo *result)
{
    struct question *question = argument;
    struct resolver *resolver = question->resolver;
    struct name *name = question->name;
    struct addresses found = copy_found(result, families[question->family]);
    (void)timeouts;
    ares_freeaddrinfo(result);
    resolver->under_way--;
    loop_enable(&resolver->core->loop, resolver->telling, SD_EVENT_ONESHOT); /* for those in line */
    if (name != NULL) {
        name->question[question->family] = NULL;
        /* The channel is closed to be opened anew: the question will be asked again. */
        if (status != ARES_EDESTRUCTION) {
            if (status != ARES_SUCCESS)
                name->error = status;
            take(name, question->family, answer_of(status), &found);
        }
    }
    free(question);
}

/* --- c-ares and the loop ---------------------------------------------------------------------- */

static int on_timer(sd_event_source *source, uint64_t when, void *argument);

/* Sets the timer to when c-ares wants to be called, or off; after each call of c-ares. */
static void set_timer(struct resolver *resolver)
{
    struct timeval left;
    if (resolver->channel == NULL || ares_timeout(resolver->channel, NULL, &left) == NULL) {
        loop_enable(&resolver->core->loop, resolver->timer, SD_EVENT_OFF);
        return;
    }
    uint64_t span = (uint64_t)left.tv_sec * 1000000 + (uint64_t)left.tv_usec;
    (void)loop_alarm(&resolver->core->loop, &resolver->timer, CLOCK_MONOTONIC,
                     monotonic_now() + span, on_timer, resolver);
}

static int on_timer(sd_event_source *source, uint64_t when, void *argument)
{
    struct resolver *resolver = argument;
    (void)source;
    (void)when;
    resolver->core->loop.now = monotonic_now();
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(resolver);
    return 0;
}

/* c-ares may close the socket, and so free what belongs to it. */
static void on_socket_ready(struct watch *watch, uint32_t events)
{
    struct dns_socket *dns_socket = CONTAINER_OF(watch, struct dns_socket, watch);
    struct resolver *resolver = dns_socket->resolver;
    ares_process_fd(resolver->channel, events & ~(uint32_t)EPOLLOUT ? watch->fd : ARES_SOCKET_BAD,
                    events & EPOLLOUT ? watch->fd : ARES_SOCKET_BAD);
    set_timer(resolver);
}

static struct dns_socket *find_socket(const struct resolver *resolver, int fd)
{
    struct dns_socket *dns_socket;
    LIST_FOREACH (dns_socket, &resolver->sockets, link)
        if (dns_socket->watch.fd == fd)
            return dns_socket;
    return NULL;
}

/* Where it cannot be watched, its questions end by their time-outs. */
static void watch_socket(struct resolver *resolver, int fd, uint32_t events)
{
    struct dns_socket *dns_socket = calloc(1, sizeof(*dns_socket));
    if (dns_socket == NULL)
        return;
    dns_socket->resolver = resolver;
    dns_socket->watch = (struct watch){.fd = -1, .ready = on_socket_ready};
    if (loop_watch(&resolver->core->loop, &dns_socket->watch, fd, events) < 0) {
        free(dns_socket);
        return;
    }
    core_descriptor_opened(resolver->core);
    LIST_INSERT_HEAD(&resolver->sockets, dns_socket, link);
}

/* c-ares opens and closes its sockets itself, and says here what it wants to hear of them. */
static void on_socket_state(void *argument, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = argument;
    struct dns_socket *dns_socket = find_socket(resolver, fd);
    uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
    if (dns_socket == NULL && events != 0) {
        watch_socket(resolver, fd, events);
    } else if (dns_socket != NULL && events != 0) {
        loop_change(&resolver->core->loop, &dns_socket->watch, events);
    } else if (dns_socket != NULL) {
        loop_unwatch(&resolver->core->loop, &dns_socket->watch);
        LIST_REMOVE(dns_socket, link);
        free(dns_socket);
        core_descriptor_closed(resolver->core);
    }
}

/* --- The channel ------------------------------------------------------------------------------ */

/*
 * hosts.tab names servers of the whole network in full: this server's own domain must not be tried
 * behind them, nor an alias of the environment.
 */
static int open_with(struct resolver *resolver, int patience, ares_channel *channel)
{
    const char *servers = resolver->core->settings.resolve_servers;
    struct ares_options options = {
        .flags = ARES_FLAG_NOALIASES,
        .timeout = patience,
        .tries = TRIES,
        .ndomains = 0,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = resolver,
    };
    int wanted = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS |
                 ARES_OPT_SOCK_STATE_CB;
    int status = ares_init_options(channel, &options, wanted);
    if (status != ARES_SUCCESS || servers[0] == '\0')
        return status;
    status = ares_set_servers_ports_csv(*channel, servers);
    if (status != ARES_SUCCESS)
        ares_destroy(*channel);
    return status;
}

static int count_servers(ares_channel channel)
{
    struct ares_addr_port_node *servers = NULL;
    int count = 0;
    if (ares_get_servers_ports(channel, &servers) == ARES_SUCCESS)
        for (const struct ares_addr_port_node *server = servers; server != NULL;
             server = server->next)
            count++;
    ares_free_data(servers);
    return count > 0 ? count : 1;
}

/*
 * Opened once to learn how many servers there are, and again with the patience for each that lets
 * all of them be asked TRIES times within resolve_timeout.
 */
static int open_channel(struct resolver *resolver)
{
    uint64_t rounds = (1U << TRIES) - 1; /* 1 + 2 + ... times the patience */
    ares_channel channel;
    int status = open_with(resolver, 1000, &channel);
    if (status != ARES_SUCCESS)
        return status;
    rounds *= (uint64_t)count_servers(channel);
    ares_destroy(channel);
    uint64_t patience = resolver->core->settings.resolve_timeout / 1000 / rounds;
    status = open_with(resolver, patience > 0 ? (int)patience : 1, &channel);
    if (status == ARES_SUCCESS)
        resolver->channel = channel;
    return status;
}

/* Questions under way come back as ARES_EDESTRUCTION. */
static void close_channel(struct resolver *resolver)
{
    if (resolver->channel == NULL)
        return;
    ares_destroy(resolver->channel);
    resolver->channel = NULL;
    set_timer(resolver);
}

static void ask_questions(struct name *name)
{
    struct resolver *resolver = name->resolver;
    for (enum dns_family family = 0; family < DNS_FAMILIES; family++) {
        const struct ares_addrinfo_hints hints = {
            .ai_family = families[family],
            .ai_socktype = SOCK_STREAM,
            .ai_flags = ARES_AI_NOSORT,
        };
        if (name->record.answer[family] != DNS_ASKED || name->question[family] != NULL)
            continue;
        struct question *question = malloc(sizeof(*question));
        if (resolver->channel == NULL || question == NULL) {
            free(question);
            name->error = resolver->channel == NULL ? resolver->error : ARES_ENOMEM;
            take(name, family, DNS_UNANSWERED, NULL);
            continue;
        }
        *question = (struct question){.resolver = resolver, .name = name, .family = family};
        name->question[family] = question;
        resolver->under_way++;
        ares_getaddrinfo(resolver->channel, name->text, NULL, &hints, on_answer, question);
    }
}

/* What the closed channel was asked. */
static void ask_again(struct resolver *resolver)
{
    struct name *name;
    RB_FOREACH (name, names, &resolver->names)
        if (dns_record_is_asked(&name->record) && !name->is_in_line)
            ask_questions(name);
}

/*
 * Opens the channel where it is not, or where RESOLV_CONF has changed since. A machine that gets
 * its name servers after the keeper has started needs nobody to reload it.
 */
static void ensure_channel(struct resolver *resolver)
{
    struct stat file;
    if (stat(RESOLV_CONF, &file) < 0)
        file = (struct stat){0};
    bool same = file.st_ino == resolver->file && file.st_mtim.tv_sec == resolver->changed.tv_sec &&
                file.st_mtim.tv_nsec == resolver->changed.tv_nsec;
    if (resolver->channel != NULL && same)
        return;
    close_channel(resolver);
    resolver->file = file.st_ino;
    resolver->changed = file.st_mtim;
    resolver->error = open_channel(resolver);
    ask_again(resolver);
}

/* --- Asking ----------------------------------------------------------------------------------- */

static bool has_room(const struct resolver *resolver)
{
    return resolver->under_way + DNS_FAMILIES <= resolver->core->settings.resolve_queries;
}

static void start(struct name *name)
{
    ensure_channel(name->resolver);
    ask_questions(name);
    set_timer(name->resolver);
}

static void leave_line(struct name *name)
{
    if (name->is_in_line)
        TAILQ_REMOVE(&name->resolver->line, name, in_line);
    name->is_in_line = false;
}

static void drop_questions(struct name *name)
{
    for (enum dns_family family = 0; family < DNS_FAMILIES; family++) {
        if (name->question[family] != NULL)
            name->question[family]->name = NULL;
        name->question[family] = NULL;
    }
}

static void on_asked_too_long(struct deadline *deadline)
{
    struct name *name = CONTAINER_OF(deadline, struct name, deadline);
    leave_line(name);
    drop_questions(name);
    name->error = ARES_ETIMEOUT;
    for (enum dns_family family = 0; family < DNS_FAMILIES; family++)
        if (name->record.answer[family] == DNS_ASKED)
            take(name, family, DNS_UNANSWERED, NULL);
}

const struct addresses *resolver_ask(struct resolver_user *user)
{
    struct name *name = user->name;
    struct resolver *resolver = name->resolver;
    if (dns_record_is_fresh(&name->record, resolver->core->loop.now))
        return &name->record.addresses;
    user->waiting = true;
    if (dns_record_is_asked(&name->record))
        return NULL;
    dns_record_ask(&name->record);
    deadline_start(&resolver->resolving, &name->deadline);
    if (has_room(resolver)) {
        start(name);
    } else {
        name->is_in_line = true;
        TAILQ_INSERT_TAIL(&resolver->line, name, in_line);
    }
    return NULL;
}

static void tell(struct name *name)
{
    struct resolver_user *user, *next;
    LIST_FOREACH_SAFE (user, &name->users, link, next) {
        bool waited = user->waiting;
        user->waiting = false;
        user->told(user, waited);
    }
}

static int on_telling(sd_event_source *source, void *argument)
{
    struct resolver *resolver = argument;
    struct name *name;
    (void)source;
    resolver->core->loop.now = monotonic_now();
    while ((name = TAILQ_FIRST(&resolver->answered)) != NULL) {
        TAILQ_REMOVE(&resolver->answered, name, answered);
        name->is_answered = false;
        tell(name);
    }
    while ((name = TAILQ_FIRST(&resolver->line)) != NULL && has_room(resolver)) {
        leave_line(name);
        start(name);
    }
    return 0;
}

/* --- Users ------------------------------------------------------------------------------------ */

static struct name *find_name(struct resolver *resolver, const char *text)
{
    struct name key = {.text = (char *)(uintptr_t)text};
    return RB_FIND(names, &resolver->names, &key);
}

static struct name *add_name(struct resolver *resolver, const char *text)
{
    struct name *name = calloc(1, sizeof(*name));
    char *copy = strdup(text);
    if (name == NULL || copy == NULL) {
        free(name);
        free(copy);
        return NULL;
    }
    name->text = copy;
    name->resolver = resolver;
    LIST_INIT(&name->users);
    RB_INSERT(names, &resolver->names, name);
    return name;
}

/* Answers that are still to come find nobody. */
static void remove_name(struct name *name)
{
    struct resolver *resolver = name->resolver;
    leave_line(name);
    drop_questions(name);
    deadline_stop(&name->deadline);
    if (name->is_answered)
        TAILQ_REMOVE(&resolver->answered, name, answered);
    RB_REMOVE(names, &resolver->names, name);
    free(name->text);
    free(name);
}

void resolver_leave(struct resolver_user *user)
{
    struct name *name = user->name;
    if (name == NULL)
        return;
    LIST_REMOVE(user, link);
    user->name = NULL;
    user->waiting = false;
    if (LIST_EMPTY(&name->users) && !name->expected)
        remove_name(name);
}

int resolver_expect(struct resolver *resolver, const char *text)
{
    struct name *name = find_name(resolver, text);
    if (name == NULL)
        name = add_name(resolver, text);
    if (name == NULL)
        return -ENOMEM;
    name->expected = true;
    return 0;
}

void resolver_settle(struct resolver *resolver)
{
    struct name *name, *next;
    RB_FOREACH_SAFE (name, names, &resolver->names, next) {
        name->expected = false;
        if (LIST_EMPTY(&name->users))
            remove_name(name);
    }
}

int resolver_use(struct resolver *resolver, struct resolver_user *user, const char *text)
{
    struct name *name = find_name(resolver, text);
    if (name == NULL)
        name = add_name(resolver, text);
    if (name == NULL)
        return -ENOMEM;
    if (name == user->name)
        return 0;
    resolver_leave(user);
    user->name = name;
    LIST_INSERT_HEAD(&name->users, user, link);
    return 0;
}

const struct addresses *resolver_addresses(const struct resolver_user *user)
{
    return &user->name->record.addresses;
}

void resolver_prefer(struct resolver_user *user, const union address *address)
{
    dns_record_prefer(&user->name->record, address);
}

void resolver_retry(struct resolver_user *user)
{
    dns_record_expire(&user->name->record);
}

/* --- Life ------------------------------------------------------------------------------------- */

void resolver_reload(struct resolver *resolver)
{
    struct name *name;
    RB_FOREACH (name, names, &resolver->names)
        dns_record_expire(&name->record);
    if (resolver->channel == NULL)
        return;
    close_channel(resolver);
    ensure_channel(resolver);
    set_timer(resolver);
}

/* Both sources are off until there is something to do. */
static int add_sources(struct resolver *resolver)
{
    struct loop *loop = &resolver->core->loop;
    int r = loop_alarm(loop, &resolver->timer, CLOCK_MONOTONIC, 0, on_timer, resolver);
    if (r >= 0)
        r = sd_event_add_defer(loop->event, &resolver->telling, on_telling, resolver);
    loop_enable(loop, resolver->timer, SD_EVENT_OFF);
    loop_enable(loop, resolver->telling, SD_EVENT_OFF);
    return r;
}

struct resolver *resolver_new(struct core *core)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));
    if (resolver == NULL)
        return NULL;
    resolver->core = core;
    RB_INIT(&resolver->names);
    TAILQ_INIT(&resolver->line);
    TAILQ_INIT(&resolver->answered);
    LIST_INIT(&resolver->sockets);
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        free(resolver);
        return NULL;
    }
    if (add_sources(resolver) < 0) {
        resolver_free(resolver);
        return NULL;
    }
    deadline_queue_add(&core->loop, &resolver->resolving, &core->settings.resolve_timeout,
                       on_asked_too_long);
    return resolver;
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    close_channel(resolver);
    ares_library_cleanup();
    sd_event_source_disable_unref(resolver->timer);
    sd_event_source_disable_unref(resolver->telling);
    deadline_queue_remove(&resolver->resolving);
    free(resolver);
}
