/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests for sockets.
 *
 * Whether a socket listens is found out by connecting to it, which is what lonnet will do next, as
 * the same user: a path that is still root's, the leftover of a dead daemon and a full backlog
 * (that one listens) are told apart by the kernel alone. Inotify would tell of a path that was
 * bound, not of a listener; /proc/net/unix grows with the hosts. What a success costs, a client
 * that leaves at once, is paid once for all who wait for that socket, and only for somebody who has
 * just failed to connect; a failure costs a system call. So it is simply tried again now and then,
 * while somebody waits.
 *
 * The table in force is the truth. hosts.tab is not looked at again for a name that is not in it:
 * whoever changes the table says so by a signal or a reload, perhaps after several steps, and www
 * must not be able to put it into force before. A lonnet that has seen the new table first gets an
 * error, and comes again nine times, a second apart.
 */
#include <bsd/string.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/client/create.h"

/* How often it is looked whether a socket listens: a small part of the second between lonnet's
 * tries. In microseconds. */
static const uint64_t look_again = 100000;

/*
 * A sync is asked for once in such a time, however many want one: it serves all sockets. Those who
 * come meanwhile are looked after by the next one, since the last may have begun before them.
 */
#define ASK_PAUSE 1000000

/* That is logged once in such a time: a socket that cannot be made may be asked for all day. */
#define SAY_PAUSE 60000000

/* As many may wait, since the sockets that are waited for are gone through each time one comes.
 * Whoever finds no place is told so, and comes again. */
#define WAITERS_MAX 1000

_Static_assert(CREATE_LINE_MAX == 4096, "TOO_LONG says so");

#define TOO_LONG "error: expected a line of up to 4096 bytes\n"
#define DONE     "done\n"
#define LATE     "error: nobody listens there yet; lonc-hosts has been asked\n"
#define STOPPING "error: lonc is stopping\n"
#define CROWDED  "error: too many wait for sockets\n"
#define NO_ROOM  "error: there is no memory\n"
#define BAD_LINE "expected DNSNAME:LONHOSTID[:LONHOSTID...]"

#define SOCKET_PATH_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)

/* A socket that is waited for. */
struct wanted {
    struct create *create;
    char path[SOCKET_PATH_SIZE];
    TAILQ_HEAD(, create_waiter) waiters;
    struct deadline deadline; /* then it is looked again */
    bool asked;               /* for a sync, after the last of them came */
    bool ending;              /* all are being answered: it is freed by whoever does that */
    LIST_ENTRY(wanted) link;
};

struct create {
    struct core *core;
    void (*missing)(void *argument); /* has lonc-hosts asked; may be NULL */
    void *missing_argument;
    struct create_counts counts;
    /* Until a socket is probed again, and until a client has waited `create_timeout`. */
    struct deadline_queue probe_deadlines, wait_deadlines;
    LIST_HEAD(, wanted) wanted;
    size_t waiting;
    uint64_t last_asked; /* for a sync; 0: never */
    uint64_t last_said;
    char text[CREATE_TEXT_SIZE];
};

/* --- What is meant ---------------------------------------------------------------------------- */

bool create_is_meant(const struct config *config, const char *path)
{
    const char *why, *create = config_create_path(config, &why);
    if (create == NULL)
        return false;
    char folder[SOCKET_PATH_SIZE];
    const char *file = strrchr(create, '/') + 1;
    snprintf(folder, sizeof(folder), "%.*s", (int)(file - create), create);
    const char *name = host_name_from_socket(path, folder);
    return name != NULL && strcmp(name, file) == 0;
}

/* Takes the next name off the line. False where none is left, or it is not valid. */
static bool take_name(const char **line, size_t *length, char name[HOST_NAME_MAX_LENGTH + 1])
{
    const char *colon = memchr(*line, ':', *length);
    size_t n = colon != NULL ? (size_t)(colon - *line) : *length;
    if (n > HOST_NAME_MAX_LENGTH || memchr(*line, '\0', n) != NULL)
        return false;
    memcpy(name, *line, n);
    name[n] = '\0';
    n += colon != NULL;
    *line += n;
    *length -= n;
    return host_name_is_valid(name);
}

/* Only what host_name_is_valid has let pass stands in the answers. */
__attribute__((format(printf, 2, 3))) static bool refuse(char text[CREATE_TEXT_SIZE],
                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t n = (size_t)snprintf(text, CREATE_TEXT_SIZE, "error: ");
    n += (size_t)vsnprintf(text + n, CREATE_TEXT_SIZE - n, format, arguments);
    va_end(arguments);
    snprintf(text + n, CREATE_TEXT_SIZE - n, "\n");
    return false;
}

/*
 * Whether systemd listens under this name for the host that has it as its DNS name. The rules are
 * those of units/lonc-hosts/paths.c.
 */
static bool has_socket(const struct config *config, const char *name, char text[CREATE_TEXT_SIZE])
{
    const struct hosttab_entry *owner = hosttab_find_name(&config->table, name);
    const struct hosttab_entry *same = hosttab_find_id(&config->table, name);
    bool by_name = config->settings.socket_names != SOCKET_NAMES_ID;
    bool by_id = config->settings.socket_names != SOCKET_NAMES_DNS;
    if (same != NULL && strcasecmp(same->name, name) != 0)
        return refuse(text, "%s is the lonHostID of another host", name);
    if (same != NULL ? by_id || strcmp(same->name, name) == 0
                     : by_name && strcmp(owner->name, name) == 0)
        return true;
    if (!by_name)
        return refuse(text, "by socket_names in keeper.conf, no host has a socket by its DNS name");
    return refuse(text, "the socket of %s is %s", name, owner->name);
}

bool create_judge(const struct config *config, const char *line, size_t length,
                  char text[CREATE_TEXT_SIZE])
{
    char name[HOST_NAME_MAX_LENGTH + 1], id[HOST_NAME_MAX_LENGTH + 1];
    if (length > 0 && line[length - 1] == '\n')
        length--;
    bool ends_in_colon = length > 0 && line[length - 1] == ':';
    if (!take_name(&line, &length, name) || length == 0 || ends_in_colon)
        return refuse(text, BAD_LINE);
    bool known = hosttab_find_name(&config->table, name) != NULL;
    while (length > 0) {
        if (!take_name(&line, &length, id))
            return refuse(text, BAD_LINE);
        const struct hosttab_entry *entry = hosttab_find_id(&config->table, id);
        if (known && (entry == NULL || strcasecmp(entry->name, name) != 0))
            return refuse(text, "%s is no lonHostID of %s in hosts.tab", id, name);
    }
    if (!known)
        return refuse(text, "%s is no DNS name in hosts.tab", name);
    if (!has_socket(config, name, text))
        return false;
    int n = snprintf(text, CREATE_TEXT_SIZE, "%s/%s", config->loncapa.sock_dir, name);
    return (n >= 0 && (size_t)n < SOCKET_PATH_SIZE) ||
           refuse(text, "the path of %s is too long for a socket", name);
}

/* --- Looking ---------------------------------------------------------------------------------- */

/* Also where its backlog is full. Where there is no descriptor to ask with, it is not known. */
static bool listens(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool yes = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN;
    close(fd);
    return yes;
}

static void say_asking(struct create *create, const struct wanted *why)
{
    uint64_t now = create->core->loop.now;
    if (create->last_said != 0 && now < create->last_said + SAY_PAUSE)
        return;
    create->last_said = now;
    log_write(LOG_INFO, NULL, "nobody listens at %s, which lonnet asks for: asking lonc-hosts",
              why->path);
}

static void ask_for_sync(struct create *create, const struct wanted *why)
{
    uint64_t now = create->core->loop.now;
    struct wanted *wanted;
    if (create->last_asked != 0 && now < create->last_asked + ASK_PAUSE)
        return;
    create->last_asked = now;
    LIST_FOREACH (wanted, &create->wanted, link)
        wanted->asked = true;
    say_asking(create, why);
    if (create->missing != NULL)
        create->missing(create->missing_argument);
}

/* --- Those who wait --------------------------------------------------------------------------- */

static const char *count(struct create *create, const char *answer)
{
    if (strcmp(answer, DONE) == 0)
        create->counts.done++;
    else
        create->counts.failed++;
    return answer;
}

/* Nobody joins it any more. */
static void forget(struct wanted *wanted)
{
    deadline_stop(&wanted->deadline);
    LIST_REMOVE(wanted, link);
}

static void leave(struct create_waiter *waiter)
{
    struct wanted *wanted = waiter->wanted;
    waiter->wanted = NULL;
    deadline_stop(&waiter->deadline);
    TAILQ_REMOVE(&wanted->waiters, waiter, link);
    wanted->create->waiting--;
    if (!TAILQ_EMPTY(&wanted->waiters) || wanted->ending)
        return;
    forget(wanted);
    free(wanted);
}

/* Whoever is answered may ask again at once, but not wait here. */
static void answer_all(struct wanted *wanted, const char *answer)
{
    struct create_waiter *waiter;
    wanted->ending = true;
    forget(wanted);
    while ((waiter = TAILQ_FIRST(&wanted->waiters)) != NULL) {
        leave(waiter);
        waiter->done(waiter, count(wanted->create, answer));
    }
    free(wanted);
}

static void on_look(struct deadline *deadline)
{
    struct wanted *wanted = CONTAINER_OF(deadline, struct wanted, deadline);
    if (listens(wanted->path)) {
        answer_all(wanted, DONE);
        return;
    }
    if (!wanted->asked)
        ask_for_sync(wanted->create, wanted);
    deadline_start(&wanted->create->probe_deadlines, &wanted->deadline);
}

static void on_late(struct deadline *deadline)
{
    struct create_waiter *waiter = CONTAINER_OF(deadline, struct create_waiter, deadline);
    struct create *create = waiter->wanted->create;
    leave(waiter);
    waiter->done(waiter, count(create, LATE));
}

static struct wanted *find(struct create *create, const char *path)
{
    struct wanted *wanted;
    LIST_FOREACH (wanted, &create->wanted, link)
        if (strcmp(wanted->path, path) == 0)
            return wanted;
    return NULL;
}

/* NULL without memory. */
static struct wanted *add(struct create *create, const char *path)
{
    struct wanted *wanted = calloc(1, sizeof(*wanted));
    if (wanted == NULL)
        return NULL;
    wanted->create = create;
    strlcpy(wanted->path, path, sizeof(wanted->path));
    TAILQ_INIT(&wanted->waiters);
    LIST_INSERT_HEAD(&create->wanted, wanted, link);
    deadline_start(&create->probe_deadlines, &wanted->deadline);
    return wanted;
}

static void join(struct wanted *wanted, struct create_waiter *waiter)
{
    struct create *create = wanted->create;
    waiter->wanted = wanted;
    TAILQ_INSERT_TAIL(&wanted->waiters, waiter, link);
    create->waiting++;
    deadline_start(&create->wait_deadlines, &waiter->deadline);
    wanted->asked = false;
    ask_for_sync(create, wanted);
}

/* The answer to who wants this socket; NULL: he waits. */
static const char *want(struct create *create, const char *path, struct create_waiter *waiter)
{
    struct wanted *wanted = find(create, path);
    if (wanted == NULL && listens(path))
        return DONE;
    if (create->core->stopping)
        return STOPPING;
    if (create->waiting >= WAITERS_MAX)
        return CROWDED;
    if (wanted == NULL && (wanted = add(create, path)) == NULL)
        return NO_ROOM;
    join(wanted, waiter);
    return NULL;
}

const char *create_ask(struct create *create, const char *line, size_t length,
                       struct create_waiter *waiter)
{
    const struct config *config = create->core->config;
    if (!create_judge(config, line, length, create->text))
        return count(create, create->text);
    const char *answer = want(create, create->text, waiter);
    return answer != NULL ? count(create, answer) : NULL;
}

const char *create_refuse_long(struct create *create)
{
    return count(create, TOO_LONG);
}

void create_withdraw(struct create_waiter *waiter)
{
    if (waiter->wanted != NULL)
        leave(waiter);
}

/* --- Coming and going ------------------------------------------------------------------------- */

void create_stop(struct create *create)
{
    struct wanted *wanted;
    while ((wanted = LIST_FIRST(&create->wanted)) != NULL)
        answer_all(wanted, STOPPING);
}

struct create *create_new(struct core *core)
{
    struct create *create = calloc(1, sizeof(*create));
    if (create == NULL)
        return NULL;
    create->core = core;
    LIST_INIT(&create->wanted);
    deadline_queue_add(&core->loop, &create->probe_deadlines, &look_again, on_look);
    deadline_queue_add(&core->loop, &create->wait_deadlines, &core->settings.create_timeout,
                       on_late);
    return create;
}

void create_on_missing_socket(struct create *create, void (*missing)(void *argument),
                              void *argument)
{
    create->missing = missing;
    create->missing_argument = argument;
}

struct create_counts create_counts(const struct create *create)
{
    return create->counts;
}

void create_free(struct create *create)
{
    if (create == NULL)
        return;
    deadline_queue_remove(&create->probe_deadlines);
    deadline_queue_remove(&create->wait_deadlines);
    free(create);
}
