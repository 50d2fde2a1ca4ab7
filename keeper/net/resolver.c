/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names and their users. A name takes two queries, one for each family of addresses; while
 * resolve_queries are in progress, further names wait in a queue.
 *
 * An answer may come from inside a function of dns_channel.c, and users answer by calling the
 * resolver, which calls that again. So an answer is only noted at first; an event source that runs
 * once, `dispatch`, then informs the users and takes names from the queue.
 */
#include <ares.h>
#include <bsd/sys/tree.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "keeper/net/dns_channel.h"
#include "keeper/net/dns_record.h"
#include "keeper/net/resolver.h"

struct dns_name {
    RB_ENTRY(dns_name) entry;
    char *text;
    struct resolver *resolver;
    struct dns_record record;
    LIST_HEAD(, resolver_user) users;
    struct dns_query *query[DNS_FAMILIES]; /* in progress, or NULL */
    struct deadline deadline;              /* for its queries, and for waiting in the queue */
    TAILQ_ENTRY(dns_name) in_queue, in_answered;
    bool is_queued, is_answered;
    bool expected;         /* stays without users until resolver_settle() */
    bool failure_reported; /* in the log */
    int error;             /* the last one, a status of c-ares */
};

RB_HEAD(dns_names, dns_name);

struct resolver {
    struct core *core;
    struct dns_channel *channel;
    struct dns_names names;
    TAILQ_HEAD(, dns_name) queue;    /* to be resolved once there is room for their queries */
    TAILQ_HEAD(, dns_name) answered; /* whose users are to be informed */
    sd_event_source *dispatch;       /* on while there may be work in either list */
    struct deadline_queue resolving;
};

/* DNS ignores the case of names. */
static int compare(struct dns_name *one, struct dns_name *other)
{
    return strcasecmp(one->text, other->text);
}

RB_PROTOTYPE(dns_names, dns_name, entry, )
RB_GENERATE(dns_names, dns_name, entry, compare)

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

/* Logs when a failure begins and when it ends, because a resolver that is down affects many names
 * for a long time. */
static void report_change(struct dns_name *name)
{
    bool failing = dns_record_has_failed(&name->record);
    if (failing == name->failure_reported)
        return;
    name->failure_reported = failing;
    if (failing)
        log_write(LOG_NOTICE, &(struct log_about){.reason = reason_word(REASON_NAME)},
                  "cannot resolve %s: %s%s", name->text, ares_strerror(name->error),
                  name->record.addresses.count > 0 ? "; its last addresses stay in use" : "");
    else
        log_write(LOG_NOTICE, NULL, "%s is resolved again", name->text);
}

static void schedule_dispatch(struct resolver *resolver)
{
    loop_enable(&resolver->core->loop, resolver->dispatch, SD_EVENT_ONESHOT);
}

static void note_answered(struct dns_name *name)
{
    struct resolver *resolver = name->resolver;
    if (!dns_record_is_asked(&name->record))
        deadline_stop(&name->deadline);
    report_change(name);
    if (!name->is_answered)
        TAILQ_INSERT_TAIL(&resolver->answered, name, in_answered);
    name->is_answered = true;
    schedule_dispatch(resolver);
}

static void record_answer(struct dns_name *name, enum dns_family family, enum dns_answer answer,
                          const struct addresses *found)
{
    struct dns_rules rules = rules_of(name->resolver);
    if (dns_record_take(&name->record, &rules, family, answer, found,
                        name->resolver->core->loop.now))
        note_answered(name);
}

static void on_query_answered(void *argument, const struct dns_query *query, enum dns_answer answer,
                              const struct addresses *found, int status)
{
    struct resolver *resolver = argument;
    struct dns_name *name = query->owner;
    schedule_dispatch(resolver); /* there is room for another query */
    if (name == NULL)
        return;
    if (status != ARES_SUCCESS)
        name->error = status;
    record_answer(name, query->family, answer, found);
}

/* --- Asking ----------------------------------------------------------------------------------- */

static bool has_room(const struct resolver *resolver)
{
    return dns_channel_load(resolver->channel) + DNS_FAMILIES <=
           resolver->core->settings.resolve_queries;
}

static void start_queries(struct dns_name *name)
{
    struct dns_channel *channel = name->resolver->channel;
    dns_channel_prepare(channel);
    for (enum dns_family family = 0; family < DNS_FAMILIES; family++) {
        int status = dns_channel_ask(channel, name->text, family, name, &name->query[family]);
        if (status == ARES_SUCCESS)
            continue;
        name->error = status;
        record_answer(name, family, DNS_UNANSWERED, NULL);
    }
}

static void leave_queue(struct dns_name *name)
{
    if (name->is_queued)
        TAILQ_REMOVE(&name->resolver->queue, name, in_queue);
    name->is_queued = false;
}

static void abandon_queries(struct dns_name *name)
{
    for (enum dns_family family = 0; family < DNS_FAMILIES; family++)
        dns_channel_abandon(&name->query[family]);
}

static void on_resolving_timeout(struct deadline *deadline)
{
    struct dns_name *name = CONTAINER_OF(deadline, struct dns_name, deadline);
    leave_queue(name);
    abandon_queries(name);
    name->error = ARES_ETIMEOUT;
    for (enum dns_family family = 0; family < DNS_FAMILIES; family++)
        if (name->record.answer[family] == DNS_ASKED)
            record_answer(name, family, DNS_UNANSWERED, NULL);
}

const struct addresses *resolver_ask(struct resolver_user *user)
{
    struct dns_name *name = user->name;
    struct resolver *resolver = name->resolver;
    if (dns_record_is_fresh(&name->record, resolver->core->loop.now))
        return &name->record.addresses;
    user->waiting = true;
    if (dns_record_is_asked(&name->record))
        return NULL;
    dns_record_ask(&name->record);
    deadline_start(&resolver->resolving, &name->deadline);
    if (has_room(resolver)) {
        start_queries(name);
    } else {
        name->is_queued = true;
        TAILQ_INSERT_TAIL(&resolver->queue, name, in_queue);
    }
    return NULL;
}

static void inform_users(struct dns_name *name)
{
    struct resolver_user *user, *next;
    LIST_FOREACH_SAFE (user, &name->users, link, next) {
        bool waited = user->waiting;
        user->waiting = false;
        user->answered(user, waited);
    }
}

static int on_dispatch(sd_event_source *source, void *argument)
{
    struct resolver *resolver = argument;
    struct dns_name *name;
    (void)source;
    resolver->core->loop.now = monotonic_now();
    while ((name = TAILQ_FIRST(&resolver->answered)) != NULL) {
        TAILQ_REMOVE(&resolver->answered, name, in_answered);
        name->is_answered = false;
        inform_users(name);
    }
    while ((name = TAILQ_FIRST(&resolver->queue)) != NULL && has_room(resolver)) {
        leave_queue(name);
        start_queries(name);
    }
    return 0;
}

/* --- Users ------------------------------------------------------------------------------------ */

static struct dns_name *find_name(struct resolver *resolver, const char *text)
{
    struct dns_name key = {.text = (char *)text};
    return RB_FIND(dns_names, &resolver->names, &key);
}

static struct dns_name *add_name(struct resolver *resolver, const char *text)
{
    struct dns_name *name = calloc(1, sizeof(*name));
    char *copy = strdup(text);
    if (name == NULL || copy == NULL) {
        free(name);
        free(copy);
        return NULL;
    }
    name->text = copy;
    name->resolver = resolver;
    LIST_INIT(&name->users);
    RB_INSERT(dns_names, &resolver->names, name);
    return name;
}

static struct dns_name *find_or_add_name(struct resolver *resolver, const char *text)
{
    struct dns_name *name = find_name(resolver, text);
    return name != NULL ? name : add_name(resolver, text);
}

static void remove_name(struct dns_name *name)
{
    struct resolver *resolver = name->resolver;
    leave_queue(name);
    abandon_queries(name);
    deadline_stop(&name->deadline);
    if (name->is_answered)
        TAILQ_REMOVE(&resolver->answered, name, in_answered);
    RB_REMOVE(dns_names, &resolver->names, name);
    free(name->text);
    free(name);
}

void resolver_leave(struct resolver_user *user)
{
    struct dns_name *name = user->name;
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
    struct dns_name *name = find_or_add_name(resolver, text);
    if (name == NULL)
        return -ENOMEM;
    name->expected = true;
    return 0;
}

void resolver_settle(struct resolver *resolver)
{
    struct dns_name *name, *next;
    RB_FOREACH_SAFE (name, dns_names, &resolver->names, next) {
        name->expected = false;
        if (LIST_EMPTY(&name->users))
            remove_name(name);
    }
}

int resolver_use(struct resolver *resolver, struct resolver_user *user, const char *text)
{
    struct dns_name *name = find_or_add_name(resolver, text);
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

/* --- The resolver ----------------------------------------------------------------------------- */

void resolver_reload(struct resolver *resolver)
{
    struct dns_name *name;
    RB_FOREACH (name, dns_names, &resolver->names)
        dns_record_expire(&name->record);
    dns_channel_reload(resolver->channel);
}

struct resolver *resolver_new(struct core *core)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));
    if (resolver == NULL)
        return NULL;
    resolver->core = core;
    RB_INIT(&resolver->names);
    TAILQ_INIT(&resolver->queue);
    TAILQ_INIT(&resolver->answered);
    deadline_queue_add(&core->loop, &resolver->resolving, &core->settings.resolve_timeout,
                       on_resolving_timeout);
    resolver->channel = dns_channel_new(core, on_query_answered, resolver);
    if (resolver->channel == NULL ||
        sd_event_add_defer(core->loop.event, &resolver->dispatch, on_dispatch, resolver) < 0) {
        resolver_free(resolver);
        return NULL;
    }
    loop_enable(&core->loop, resolver->dispatch, SD_EVENT_OFF);
    return resolver;
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    dns_channel_free(resolver->channel);
    sd_event_source_disable_unref(resolver->dispatch);
    deadline_queue_remove(&resolver->resolving);
    free(resolver);
}
