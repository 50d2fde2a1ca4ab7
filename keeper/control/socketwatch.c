/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Paths are checked when inotify reports a change, not by a timer. Where inotify is not available,
 * lonc-hosts-sync.timer finds what is missing within a minute.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "common/unix.h"
#include "keeper/control/socketwatch.h"
#include "keeper/core/pathwatch.h"

/* The channel and the control socket. */
#define OWN_MAX 2

/* How long to wait before a path counts as missing, in microseconds: a restart of its unit removes
 * it for a moment, too. */
#define SETTLE 200000

/*
 * lonc-hosts is run at most once a second. What it cannot repair may make it remove a socket again
 * each time, so after POKES runs in a row it is run only once in each POKE_SPAN.
 */
#define POKE_PAUSE 1000000
#define POKES      10
#define POKE_SPAN  30000000

/* Hosts' sockets remembered by name until they are checked; if there are more, all count as wrong.
 */
#define SUSPECTS 16

struct own {
    struct socket_watch *all;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    int type;
    int node; /* the path's inode, held so that no other one gets its number; -1: it is gone */
    struct path_watch *way;
    void (*replace)(void *argument, int listener);
    void *argument;
    const char *wrong; /* NULL: all is well */
};

struct socket_watch {
    struct core *core;
    struct hosts *hosts;
    struct notifier *notifier;
    struct own own[OWN_MAX];
    unsigned count;

    struct path_watch *unserved; /* the file that lonc-hosts writes */
    char unserved_path[128];
    char first[TROUBLE_DETAIL_SIZE - 64]; /* of its lines */
    unsigned lines;

    struct path_watch *folder; /* lonSockDir */
    sd_event_source *files;    /* what happens in it */
    char *folder_path;
    struct stat folder_was;

    struct path_watch *create; /* lonSockCreate, which may be elsewhere */
    char *create_path;         /* NULL: there is no socket for it */
    bool create_was_there, create_suspected;

    char suspects[SUSPECTS][256];
    unsigned suspect_count; /* more than SUSPECTS: some are not known by name */
    bool poke;              /* in any case */
    sd_event_source *alarm;
    bool armed;
    uint64_t last_poke, credit; /* when the next ones are allowed */
};

/* --- Asking lonc-hosts ------------------------------------------------------------------------ */

/* There is no socket, or it is another user's. Whether one of www's is systemd's is for lonc-hosts
 * to check. */
static bool is_wrong_path(const char *path)
{
    struct stat status;
    return lstat(path, &status) < 0 || !S_ISSOCK(status.st_mode) || status.st_uid != geteuid();
}

static bool is_wrong(const struct socket_watch *watch, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", watch->folder_path, name);
    return is_wrong_path(path);
}

static bool any_wrong(const struct socket_watch *watch)
{
    bool wrong = watch->suspect_count > SUSPECTS;
    if (watch->create_suspected && watch->create_path != NULL)
        wrong |= is_wrong_path(watch->create_path);
    for (unsigned i = 0; !wrong && i < watch->suspect_count; i++)
        wrong = is_wrong(watch, watch->suspects[i]);
    return wrong;
}

static int on_alarm(sd_event_source *source, uint64_t when, void *argument);

static void arm_alarm(struct socket_watch *watch, uint64_t when)
{
    if (watch->armed)
        return;
    watch->armed =
        loop_alarm(&watch->core->loop, &watch->alarm, CLOCK_MONOTONIC, when, on_alarm, watch) >= 0;
}

/* The earliest time of the next run of lonc-hosts. */
static uint64_t poke_time(const struct socket_watch *watch)
{
    const uint64_t burst = (uint64_t)(POKES - 1) * POKE_SPAN;
    uint64_t next = watch->last_poke + POKE_PAUSE;
    return watch->credit > burst && watch->credit - burst > next ? watch->credit - burst : next;
}

static int on_alarm(sd_event_source *source, uint64_t when, void *argument)
{
    struct socket_watch *watch = argument;
    uint64_t now = monotonic_now(), next = poke_time(watch);
    (void)source;
    (void)when;
    watch->armed = false;
    watch->poke = watch->poke || any_wrong(watch);
    watch->suspect_count = 0;
    watch->create_suspected = false;
    if (!watch->poke || watch->core->stopping)
        return 0;
    if (now < next && watch->last_poke > 0) {
        arm_alarm(watch, next);
        return 0;
    }
    watch->poke = false;
    watch->last_poke = now;
    watch->credit = (watch->credit > now ? watch->credit : now) + POKE_SPAN;
    notifier_touch_reloaded(watch->notifier);
    return 0;
}

static void suspect_socket(struct socket_watch *watch, const char *name)
{
    if (watch->suspect_count < SUSPECTS)
        snprintf(watch->suspects[watch->suspect_count], sizeof(*watch->suspects), "%s", name);
    if (watch->suspect_count <= SUSPECTS)
        watch->suspect_count++;
    arm_alarm(watch, monotonic_now() + SETTLE);
}

void socket_watch_ask(struct socket_watch *watch)
{
    if (watch == NULL)
        return;
    watch->poke = true;
    arm_alarm(watch, monotonic_now());
}

/* --- The trouble ------------------------------------------------------------------------------ */

static void update_trouble(struct socket_watch *watch)
{
    const struct own *wrong = NULL;
    unsigned count = watch->lines;
    char more[32] = "";
    for (unsigned i = 0; i < watch->count; i++)
        if (watch->own[i].wrong != NULL) {
            wrong = wrong != NULL ? wrong : &watch->own[i];
            count++;
        }
    if (count > 1)
        snprintf(more, sizeof(more), "; and %u more", count - 1);
    if (wrong != NULL)
        trouble_begin(watch->core, TROUBLE_SOCKETS, "%s: %s%s", wrong->path, wrong->wrong, more);
    else if (count > 0)
        trouble_begin(watch->core, TROUBLE_SOCKETS, "%s%s", watch->first, more);
    else
        trouble_end(watch->core, TROUBLE_SOCKETS);
}

static void read_unserved(struct socket_watch *watch)
{
    char line[512];
    watch->lines = 0;
    int fd = open(watch->unserved_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (file == NULL && fd >= 0)
        close(fd);
    while (file != NULL && watch->lines < 1000000 && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (watch->lines++ == 0)
            snprintf(watch->first, sizeof(watch->first), "%.*s", (int)sizeof(watch->first) - 1,
                     line);
    }
    if (file != NULL)
        fclose(file);
}

static void on_unserved(void *argument)
{
    struct socket_watch *watch = argument;
    path_watch_set(watch->unserved, watch->unserved_path);
    read_unserved(watch);
    update_trouble(watch);
}

/* --- The keeper's own sockets ----------------------------------------------------------------- */

static void hold_node(struct own *own)
{
    if (own->node >= 0)
        core_close(own->all->core, own->node);
    own->node = open(own->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (own->node >= 0)
        core_descriptor_opened(own->all->core);
}

/* What is wrong with the path, or NULL. */
static const char *judge_path(const struct own *own)
{
    struct stat is, was;
    if (lstat(own->path, &is) < 0)
        return errno == ENOENT || errno == ENOTDIR ? "it is gone" : "it cannot be looked at";
    if (S_ISDIR(is.st_mode))
        return "a folder is in its place";
    if (own->node < 0 || fstat(own->node, &was) < 0 || is.st_dev != was.st_dev ||
        is.st_ino != was.st_ino)
        return "something else is in its place";
    return NULL;
}

/* Removes what stands in the socket's place, since the folder is the keeper's own. A socket of
 * systemd's is then missing, which lonc-hosts notices. */
static void mend_path(struct own *own)
{
    int error = unlink(own->path) < 0 ? errno : 0;
    if (error == 0)
        log_write(LOG_WARNING, NULL, "removed %s: it was not the keeper's socket", own->path);
    if (error == EISDIR || own->replace == NULL)
        return;
    int fd = unix_listen(own->path, own->type);
    if (fd < 0)
        return;
    own->replace(own->argument, fd);
    hold_node(own);
    own->wrong = judge_path(own);
    log_write(LOG_NOTICE, NULL, "listening at %s again", own->path);
}

static void check_own(struct own *own)
{
    struct socket_watch *watch = own->all;
    if (watch->core->stopping)
        return;
    own->wrong = judge_path(own);
    if (own->wrong == NULL)
        return;
    log_write(LOG_WARNING, NULL, "%s: %s", own->path, own->wrong);
    mend_path(own);
    if (own->wrong != NULL && own->replace == NULL) {
        watch->poke = true;
        arm_alarm(watch, monotonic_now());
    }
}

static void on_own(void *argument)
{
    struct own *own = argument;
    bool was_wrong = own->wrong != NULL;
    path_watch_set(own->way, own->path);
    check_own(own);
    if (was_wrong || own->wrong != NULL)
        update_trouble(own->all);
}

void socket_watch_add(struct socket_watch *watch, int listener,
                      void (*replace)(void *argument, int listener), void *argument)
{
    struct own *own = &watch->own[watch->count];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(address), size = sizeof(own->type);
    *own = (struct own){.all = watch, .node = -1, .replace = replace, .argument = argument};
    if (getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
        getsockopt(listener, SOL_SOCKET, SO_TYPE, &own->type, &size) < 0 ||
        address.sun_path[0] != '/')
        return;
    snprintf(own->path, sizeof(own->path), "%.*s", (int)sizeof(address.sun_path) - 1,
             address.sun_path);
    own->way = path_watch_new(&watch->core->loop, on_own, own);
    if (own->way == NULL)
        return;
    watch->count++;
    hold_node(own);
    on_own(own);
}

/* --- The hosts' sockets ----------------------------------------------------------------------- */

static int on_file(sd_event_source *source, const struct inotify_event *event, void *argument)
{
    struct socket_watch *watch = argument;
    (void)source;
    if (event->mask & IN_Q_OVERFLOW) {
        watch->suspect_count = SUSPECTS + 1;
        arm_alarm(watch, monotonic_now() + SETTLE);
    }
    struct host *host = event->len > 0 ? hosts_hold(watch->hosts, event->name) : NULL;
    if (host == NULL)
        return 0;
    hosts_release(host);
    suspect_socket(watch, event->name);
    return 0;
}

/* Also when another folder, which has no sockets yet, has taken its place. */
static void watch_folder(struct socket_watch *watch)
{
    struct stat is;
    path_watch_set(watch->folder, watch->folder_path);
    bool there = stat(watch->folder_path, &is) == 0;
    bool same = there && watch->files != NULL && is.st_dev == watch->folder_was.st_dev &&
                is.st_ino == watch->folder_was.st_ino;
    if (same)
        return;
    watch->files = sd_event_source_disable_unref(watch->files);
    if (there) {
        watch->folder_was = is;
        (void)sd_event_add_inotify(watch->core->loop.event, &watch->files, watch->folder_path,
                                   IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR, on_file,
                                   watch);
    }
    loop_sources_changed(&watch->core->loop);
}

static void on_folder(void *argument)
{
    struct socket_watch *watch = argument;
    struct stat was = watch->folder_was;
    watch_folder(watch);
    if (was.st_dev == watch->folder_was.st_dev && was.st_ino == watch->folder_was.st_ino)
        return;
    watch->poke = true;
    arm_alarm(watch, monotonic_now() + SETTLE);
}

/* --- The socket for lonnet's requests for sockets ----------------------------------------------
 */

/* A socket that was never there is not missed: without systemd, there is none unless an
 * administrator makes one. */
static void on_create(void *argument)
{
    struct socket_watch *watch = argument;
    if (watch->create_path == NULL)
        return;
    path_watch_set(watch->create, watch->create_path);
    bool there = !is_wrong_path(watch->create_path);
    if (watch->create_was_there && !there) {
        watch->create_suspected = true;
        arm_alarm(watch, monotonic_now() + SETTLE);
    }
    watch->create_was_there = there;
}

/* Forgets what was seen at a path that is no longer configured. */
static void watch_create(struct socket_watch *watch)
{
    const char *why, *path = config_create_path(watch->core->config, &why);
    if (path != NULL && watch->create_path != NULL && strcmp(watch->create_path, path) == 0)
        return;
    free(watch->create_path);
    watch->create_path = path != NULL ? strdup(path) : NULL;
    watch->create_was_there = watch->create_suspected = false;
    on_create(watch);
}

void socket_watch_configured(struct socket_watch *watch)
{
    if (watch == NULL)
        return;
    watch_create(watch);
    const char *path = watch->core->config->loncapa.sock_dir;
    if (watch->folder_path != NULL && strcmp(watch->folder_path, path) == 0) {
        on_folder(watch);
        return;
    }
    free(watch->folder_path);
    watch->folder_path = strdup(path);
    watch->files = sd_event_source_disable_unref(watch->files);
    watch->suspect_count = 0;
    if (watch->folder_path != NULL)
        watch_folder(watch);
}

/* --- Coming and going ------------------------------------------------------------------------- */

struct socket_watch *socket_watch_new(struct hosts *hosts, struct notifier *notifier)
{
    struct socket_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return NULL;
    struct core *core = watch->core = hosts->core;
    watch->hosts = hosts;
    watch->notifier = notifier;
    watch->unserved = path_watch_new(&core->loop, on_unserved, watch);
    watch->folder = path_watch_new(&core->loop, on_folder, watch);
    watch->create = path_watch_new(&core->loop, on_create, watch);
    if (watch->unserved == NULL || watch->folder == NULL || watch->create == NULL) {
        socket_watch_free(watch);
        return NULL;
    }
    snprintf(watch->unserved_path, sizeof(watch->unserved_path), "%s/unserved",
             core->settings.runtime_dir);
    on_unserved(watch);
    return watch;
}

void socket_watch_free(struct socket_watch *watch)
{
    if (watch == NULL)
        return;
    for (unsigned i = 0; i < watch->count; i++) {
        path_watch_free(watch->own[i].way);
        if (watch->own[i].node >= 0)
            core_close(watch->core, watch->own[i].node);
    }
    path_watch_free(watch->unserved);
    path_watch_free(watch->folder);
    path_watch_free(watch->create);
    free(watch->create_path);
    sd_event_source_disable_unref(watch->files);
    sd_event_source_disable_unref(watch->alarm);
    free(watch->folder_path);
    free(watch);
}
