/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Serving requests for sockets.
 *
 * Whether somebody listens is found out by connecting, as lonnet will do next and as the same user.
 * Only the kernel can tell a usable socket from a path that still belongs to root, a path that a
 * dead daemon has left behind, or a listener whose backlog is full (which counts as listening).
 * Inotify would report that a path was bound, not that somebody listens; /proc/net/unix grows with
 * the number of hosts. A probe that succeeds costs its listener a client that leaves at once, but
 * only once for all who wait for that socket, and they have just failed to connect. A probe that
 * fails costs a system call. So, while somebody waits, the socket is simply probed again and again.
 *
 * Only the table in force counts. hosts.tab is not read again for a name that is not in it: whoever
 * changes the table says so by a signal or a reload, perhaps after several steps, and www must not
 * be able to put it into force before that. A lonnet that knows the new table earlier gets an error
 * at first, and asks nine more times, a second apart.
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

/*
 * How often a socket is probed, in microseconds: a small part of the second between lonnet's tries.
 */
static const uint64_t probe_interval = 100000;

/*
 * A sync is asked for once in this time, in microseconds, however many clients need one: a sync
 * serves all sockets. Clients that come meanwhile are served by the next sync, since the last one
 * may have begun before them.
 */
#define SYNC_INTERVAL 1000000

/*
 * That a sync is asked for is logged once in this time, in microseconds: a socket that cannot be
 * made may be asked for all day.
 */
#define LOG_INTERVAL 60000000

/*
 * How many clients may wait: each new one makes a walk through all sockets that are waited for.
 * Further ones get an error at once, and come again.
 */
#define WAITERS_MAX 1000

_Static_assert(CREATE_LINE_MAX == 4096, "TOO_LONG says so");

#define DONE      "done\n"
#define TOO_LONG  "error: expected a line of up to 4096 bytes\n"
#define TIMED_OUT "error: nobody listens there yet; lonc-hosts has been asked\n"
#define STOPPING  "error: lonc is stopping\n"
#define CROWDED   "error: too many wait for sockets\n"
#define NO_MEMORY "error: there is no memory\n"
#define BAD_LINE  "expected DNSNAME:LONHOSTID[:LONHOSTID...]"

#define SOCKET_PATH_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)

/* A socket that is waited for. */
struct wanted {
    struct create *create;
    char path[SOCKET_PATH_SIZE];
    TAILQ_HEAD(, create_waiter) waiters;
    struct deadline deadline; /* then it is probed again */
    bool synced;              /* a sync was asked for after the last of them came */
    bool ending;              /* all are being answered, and whoever does that frees it */
    LIST_ENTRY(wanted) link;
};

struct create {
    struct core *core;
    void (*missing)(void *argument); /* has lonc-hosts asked for a sync; may be NULL */
    void *missing_argument;
    struct create_counts counts;
    /* Until a socket is probed again, and until a client has waited `create_timeout`. */
    struct deadline_queue probe_deadlines, wait_deadlines;
    LIST_HEAD(, wanted) wanted;
    size_t waiting;       /* clients */
    uint64_t last_sync;   /* when one was asked for; 0: never */
    uint64_t last_logged; /* likewise */
    char text[CREATE_TEXT_SIZE];
};

/* --- Which socket is meant -------------------------------------------------------------------- */

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

/* Cuts the next name off the line. 0, or -EINVAL: there is none left, or it is not valid. */
static int read_name(const char **line, size_t *length, char name[HOST_NAME_MAX_LENGTH + 1])
{
    const char *colon = memchr(*line, ':', *length);
    size_t n = colon != NULL ? (size_t)(colon - *line) : *length;
    if (n > HOST_NAME_MAX_LENGTH || memchr(*line, '\0', n) != NULL)
        return -EINVAL;
    memcpy(name, *line, n);
    name[n] = '\0';
    n += colon != NULL;
    *line += n;
    *length -= n;
    return host_name_is_valid(name) ? 0 : -EINVAL;
}

/* -EINVAL, with the answer in `text`. Of the line it may only have names that are valid. */
__attribute__((format(printf, 2, 3))) static int reject_line(char text[CREATE_TEXT_SIZE],
                                                             const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t n = (size_t)snprintf(text, CREATE_TEXT_SIZE, "error: ");
    n += (size_t)vsnprintf(text + n, CREATE_TEXT_SIZE - n, format, arguments);
    va_end(arguments);
    snprintf(text + n, CREATE_TEXT_SIZE - n, "\n");
    return -EINVAL;
}

/*
 * 0 if the host with this DNS name has a socket by it; else -EINVAL with the answer. The rules are
 * those of units/lonc-hosts/paths.c, which makes the sockets.
 */
static int check_socket_name(const struct config *config, const char *name,
                             char text[CREATE_TEXT_SIZE])
{
    const struct hosttab_entry *owner = hosttab_find_name(&config->table, name);
    const struct hosttab_entry *same = hosttab_find_id(&config->table, name);
    bool by_name = config->settings.socket_names != SOCKET_NAMES_ID;
    bool by_id = config->settings.socket_names != SOCKET_NAMES_DNS;
    if (same != NULL && strcasecmp(same->name, name) != 0)
        return reject_line(text, "%s is the lonHostID of another host", name);
    if (same != NULL ? by_id || strcmp(same->name, name) == 0
                     : by_name && strcmp(owner->name, name) == 0)
        return 0;
    if (!by_name)
        return reject_line(text,
                           "by socket_names in keeper.conf, no host has a socket by its DNS name");
    return reject_line(text, "the socket of %s is %s", name, owner->name);
}

int create_find_path(const struct config *config, const char *line, size_t length,
                     char text[CREATE_TEXT_SIZE])
{
    char name[HOST_NAME_MAX_LENGTH + 1], id[HOST_NAME_MAX_LENGTH + 1];
    if (length > 0 && line[length - 1] == '\n')
        length--;
    bool ends_in_colon = length > 0 && line[length - 1] == ':';
    if (read_name(&line, &length, name) < 0 || length == 0 || ends_in_colon)
        return reject_line(text, BAD_LINE);
    bool known = hosttab_find_name(&config->table, name) != NULL;
    while (length > 0) {
        if (read_name(&line, &length, id) < 0)
            return reject_line(text, BAD_LINE);
        const struct hosttab_entry *entry = hosttab_find_id(&config->table, id);
        if (known && (entry == NULL || strcasecmp(entry->name, name) != 0))
            return reject_line(text, "%s is no lonHostID of %s in hosts.tab", id, name);
    }
    if (!known)
        return reject_line(text, "%s is no DNS name in hosts.tab", name);
    int r = check_socket_name(config, name, text);
    if (r < 0)
        return r;
    int n = snprintf(text, CREATE_TEXT_SIZE, "%s/%s", config->loncapa.sock_dir, name);
    if (n < 0 || (size_t)n >= SOCKET_PATH_SIZE)
        return reject_line(text, "the path of %s is too long for a socket", name);
    return 0;
}

/* --- Probing ---------------------------------------------------------------------------------- */

/* Whether somebody listens. Without a descriptor to probe with it says no; the next probe may have
 * one. */
static bool is_somebody_listening(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    /* EAGAIN: the backlog is full. */
    bool yes = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN;
    close(fd);
    return yes;
}

static void log_sync(struct create *create, const struct wanted *cause)
{
    uint64_t now = create->core->loop.now;
    if (create->last_logged != 0 && now < create->last_logged + LOG_INTERVAL)
        return;
    create->last_logged = now;
    log_write(LOG_INFO, NULL, "nobody listens at %s, which lonnet asks for: asking lonc-hosts",
              cause->path);
}

static void ask_for_sync(struct create *create, const struct wanted *cause)
{
    uint64_t now = create->core->loop.now;
    struct wanted *wanted;
    if (create->last_sync != 0 && now < create->last_sync + SYNC_INTERVAL)
        return;
    create->last_sync = now;
    LIST_FOREACH (wanted, &create->wanted, link)
        wanted->synced = true;
    log_sync(create, cause);
    if (create->missing != NULL)
        create->missing(create->missing_argument);
}

/* --- Clients that wait ------------------------------------------------------------------------ */

static const char *count_line(struct create *create, const char *answer)
{
    if (strcmp(answer, DONE) == 0)
        create->counts.done++;
    else
        create->counts.failed++;
    return answer;
}

/* No client can join it any more. */
static void unlist_wanted(struct wanted *wanted)
{
    deadline_stop(&wanted->deadline);
    LIST_REMOVE(wanted, link);
}

static void stop_waiting(struct create_waiter *waiter)
{
    struct wanted *wanted = waiter->wanted;
    waiter->wanted = NULL;
    deadline_stop(&waiter->deadline);
    TAILQ_REMOVE(&wanted->waiters, waiter, link);
    wanted->create->waiting--;
    if (!TAILQ_EMPTY(&wanted->waiters) || wanted->ending)
        return;
    unlist_wanted(wanted);
    free(wanted);
}

/* A client that is answered may ask again at once, but joins another `wanted` then. */
static void answer_all(struct wanted *wanted, const char *answer)
{
    struct create_waiter *waiter;
    wanted->ending = true;
    unlist_wanted(wanted);
    while ((waiter = TAILQ_FIRST(&wanted->waiters)) != NULL) {
        stop_waiting(waiter);
        waiter->done(waiter, count_line(wanted->create, answer));
    }
    free(wanted);
}

static void on_probe(struct deadline *deadline)
{
    struct wanted *wanted = CONTAINER_OF(deadline, struct wanted, deadline);
    if (is_somebody_listening(wanted->path)) {
        answer_all(wanted, DONE);
        return;
    }
    if (!wanted->synced)
        ask_for_sync(wanted->create, wanted);
    deadline_start(&wanted->create->probe_deadlines, &wanted->deadline);
}

static void on_timeout(struct deadline *deadline)
{
    struct create_waiter *waiter = CONTAINER_OF(deadline, struct create_waiter, deadline);
    struct create *create = waiter->wanted->create;
    stop_waiting(waiter);
    waiter->done(waiter, count_line(create, TIMED_OUT));
}

static struct wanted *find_wanted(struct create *create, const char *path)
{
    struct wanted *wanted;
    LIST_FOREACH (wanted, &create->wanted, link)
        if (strcmp(wanted->path, path) == 0)
            return wanted;
    return NULL;
}

/* NULL for lack of memory. */
static struct wanted *add_wanted(struct create *create, const char *path)
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

static void start_waiting(struct wanted *wanted, struct create_waiter *waiter)
{
    struct create *create = wanted->create;
    waiter->wanted = wanted;
    TAILQ_INSERT_TAIL(&wanted->waiters, waiter, link);
    create->waiting++;
    deadline_start(&create->wait_deadlines, &waiter->deadline);
    wanted->synced = false;
    ask_for_sync(create, wanted);
}

/* The answer to a client that wants this socket; NULL if it waits. */
static const char *answer_or_wait(struct create *create, const char *path,
                                  struct create_waiter *waiter)
{
    struct wanted *wanted = find_wanted(create, path);
    if (wanted == NULL && is_somebody_listening(path))
        return DONE;
    if (create->core->stopping)
        return STOPPING;
    if (create->waiting >= WAITERS_MAX)
        return CROWDED;
    if (wanted == NULL && (wanted = add_wanted(create, path)) == NULL)
        return NO_MEMORY;
    start_waiting(wanted, waiter);
    return NULL;
}

const char *create_ask(struct create *create, const char *line, size_t length,
                       struct create_waiter *waiter)
{
    const struct config *config = create->core->config;
    if (create_find_path(config, line, length, create->text) < 0)
        return count_line(create, create->text);
    const char *answer = answer_or_wait(create, create->text, waiter);
    return answer != NULL ? count_line(create, answer) : NULL;
}

const char *create_refuse_long(struct create *create)
{
    return count_line(create, TOO_LONG);
}

void create_withdraw(struct create_waiter *waiter)
{
    if (waiter->wanted != NULL)
        stop_waiting(waiter);
}

/* --- All of it -------------------------------------------------------------------------------- */

void create_stop(struct create *create)
{
    struct wanted *wanted;
    while ((wanted = LIST_FIRST(&create->wanted)) != NULL)
        answer_all(wanted, STOPPING); /* NOLINT(clang-analyzer-unix.Malloc): the list changes */
}

struct create *create_new(struct core *core)
{
    struct create *create = calloc(1, sizeof(*create));
    if (create == NULL)
        return NULL;
    create->core = core;
    LIST_INIT(&create->wanted);
    deadline_queue_add(&core->loop, &create->probe_deadlines, &probe_interval, on_probe);
    deadline_queue_add(&core->loop, &create->wait_deadlines, &core->settings.create_timeout,
                       on_timeout);
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
