/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading the deferred folder, and moving its files. There may be a million of them, so nothing is
 * kept of a file but what it adds to its host's row, and nothing is asked of the disk but names.
 */
#include <bsd/string.h>
#include <bsd/sys/tree.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/config.h"
#include "common/host_name.h"
#include "keeper/deferred/delayed_name.h"
#include "keeper/loncctl/core/ask.h"
#include "keeper/loncctl/core/queue.h"

enum place { WAITING, HELD, REJECTED, CORRUPT };
#define PLACES 4

/* In its own folder, and in JSON. */
static const struct {
    const char *folder, *key, *state;
} places[PLACES] = {
    [WAITING] = {".", "files", "waiting"},
    [HELD] = {DELAYED_HELD_FOLDER, "held", "held"},
    [REJECTED] = {DELAYED_REJECTED_FOLDER, "rejected", "rejected"},
    [CORRUPT] = {DELAYED_CORRUPT_FOLDER, "corrupt", "corrupt"},
};

/* Those of Postfix' qshape, in seconds. */
static const int bounds[] = {300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 76800};
#define BOUNDS (sizeof(bounds) / sizeof(*bounds))

static json_t *failure(const char *what, const char *why)
{
    char sentence[PATH_MAX + 256];
    snprintf(sentence, sizeof(sentence), "%s: %s", what, why);
    return json_pack("{s:b, s:[s]}", "ok", false, "errors", sentence);
}

/* Where it is no UTF-8, with '?' for what is not ASCII. */
static json_t *text_json(const char *text)
{
    json_t *value = json_string(text);
    if (value != NULL)
        return value;
    char *masked = must(strdup(text));
    for (char *at = masked; *at != '\0'; at++)
        if (*at & 0x80)
            *at = '?';
    value = json_string(masked);
    free(masked);
    return value;
}

/* --- Where it is ------------------------------------------------------------------------------ */

static void say(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "%s\n", text);
}

static char *configured_folder(const char *path)
{
    struct diagnostics diagnostics = {.say = say};
    struct config *config = config_load(path, &diagnostics);
    char *folder = NULL;
    if (config != NULL && config->valid &&
        asprintf(&folder, "%s/delayed", config->loncapa.sock_dir) < 0)
        must(NULL);
    config_unref(config);
    return folder;
}

char *queue_folder(const json_t *status, const char *config)
{
    const char *folder = json_string_value(json_object_get(status, "deferred_folder"));
    if (status == NULL)
        return configured_folder(config);
    return folder != NULL ? must(strdup(folder)) : NULL;
}

/* --- Whose a file is -------------------------------------------------------------------------- */

/* A name in one of the folders, taken apart. */
struct entry {
    struct delayed_order order;
    const char *host;        /* in `name` */
    char name[NAME_MAX + 1]; /* without the number that setting aside may have added */
};

/* The ids of the keeper's `hosts`, each with its name; NULL for NULL. */
static json_t *known_ids(const json_t *hosts)
{
    const json_t *host;
    size_t i;
    json_t *known = hosts != NULL ? json_object() : NULL;
    json_array_foreach(json_object_get(hosts, "hosts"), i, host)
    {
        const char *id = json_string_value(json_object_get(host, "id"));
        if (id != NULL)
            json_object_set(known, id, json_object_get(host, "name"));
    }
    return known;
}

/* The shortest end of the name that is a known id: as the keeper does it. */
static const char *known_host(const json_t *known, const char *name)
{
    struct delayed_order order;
    const char *id = known != NULL ? delayed_parse_name(name, &order) : NULL;
    while (id != NULL && json_object_get(known, id) == NULL)
        id = delayed_longer_host(name, id);
    return id;
}

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length > end_length && strcmp(text + length - end_length, end) == 0;
}

/* Takes the number off that a name set aside twice has got (delayed_set_aside). */
static void cut_number(char *name)
{
    struct delayed_order order;
    char *dot = strrchr(name, '.');
    size_t digits = dot != NULL ? strspn(dot + 1, "0123456789") : 0;
    if (digits == 0 || digits > 2 || dot[1 + digits] != '\0')
        return;
    *dot = '\0';
    if (delayed_parse_name(name, &order) == NULL)
        *dot = '.';
}

/* Whether it is a file of the queue. */
static bool parse(const json_t *known, const char *name, enum place place, struct entry *entry)
{
    if (delayed_parse_name(name, &entry->order) == NULL || strchr(name, '/') != NULL ||
        strlen(name) > NAME_MAX || (place == REJECTED && ends_in(name, ".reply")))
        return false;
    strlcpy(entry->name, name, sizeof(entry->name));
    entry->host = known_host(known, entry->name);
    if (entry->host != NULL)
        return true;
    if (place == REJECTED || place == CORRUPT)
        cut_number(entry->name);
    entry->host = known_host(known, entry->name);
    if (entry->host == NULL)
        entry->host = delayed_parse_name(entry->name, &entry->order);
    return true;
}

/*
 * The lonHostID that `word` means. Where it is a DNS name that several share, it could be the wrong
 * one: NULL, and a failure.
 */
static const char *resolve(const json_t *known, const char *word, json_t **answer)
{
    const char *id, *found = NULL;
    json_t *name;
    if (known == NULL || json_object_get(known, word) != NULL)
        return word;
    json_object_foreach((json_t *)(uintptr_t)known, id, name)
    {
        if (json_string_value(name) == NULL || strcasecmp(json_string_value(name), word) != 0)
            continue;
        if (found != NULL) {
            *answer = failure(word, "several hosts have this name; expected a lonHostID");
            return NULL;
        }
        found = id;
    }
    return found != NULL ? found : word;
}

/* --- Folders ---------------------------------------------------------------------------------- */

/* A descriptor, or a negative errno. Links are not followed: root must not be led elsewhere. */
static int open_place(int folder, enum place place)
{
    int fd = openat(folder, places[place].folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return fd;
}

/*
 * Hands each name in the folder to `each`, until that returns false. Names that come or go
 * meanwhile are handed over or not. 0, also where there is no such folder, or a negative errno.
 */
static int walk(int folder, enum place place, bool (*each)(void *argument, const char *name),
                void *argument)
{
    int fd = open_place(folder, place);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    DIR *names = fdopendir(fd);
    if (names == NULL) {
        close(fd);
        return -ENOMEM;
    }
    struct dirent *entry;
    errno = 0;
    while ((entry = readdir(names)) != NULL) {
        bool file = entry->d_name[0] != '.' && !(place == WAITING && delayed_is_own(entry->d_name));
        if (file && !each(argument, entry->d_name))
            break;
        errno = 0;
    }
    int r = entry == NULL ? -errno : 0;
    closedir(names);
    return r;
}

/* --- Counting --------------------------------------------------------------------------------- */

/* A file that is named. */
struct listed {
    RB_ENTRY(listed) by_age;
    struct delayed_order order;
    enum place place;
    char name[];
};

RB_HEAD(listing, listed);

static int compare_listed(struct listed *one, struct listed *other)
{
    if (one->order.epoch != other->order.epoch)
        return one->order.epoch < other->order.epoch ? -1 : 1;
    if (one->order.count != other->order.count)
        return one->order.count < other->order.count ? -1 : 1;
    int order = strcmp(one->name, other->name);
    return order != 0 ? order : (int)one->place - (int)other->place;
}

RB_PROTOTYPE(listing, listed, by_age, compare_listed)
RB_GENERATE(listing, listed, by_age, compare_listed)

/* The folder being read. */
struct reading {
    const json_t *known;
    const char *host; /* the only one, or NULL */
    enum place place;
    time_t now;
    json_t *rows;   /* by lonHostID */
    size_t strange; /* files that are none of the queue's */
    struct listing listing;
    size_t listed;
};

/* Clocks differ: what is of the future is new. */
static double age_of(const struct reading *reading, const struct delayed_order *order)
{
    return order->epoch < (uint64_t)reading->now ? (double)((uint64_t)reading->now - order->epoch)
                                                 : 0;
}

static json_t *row_of(struct reading *reading, const char *host)
{
    json_t *row = json_object_get(reading->rows, host);
    if (row != NULL)
        return row;
    row = json_pack("{s:s, s:i, s:n, s:i, s:i, s:i, s:[]}", "host", host, "files", 0, "oldest",
                    "held", 0, "rejected", 0, "corrupt", 0, "ages");
    for (size_t i = 0; i <= BOUNDS; i++)
        json_array_append_new(json_object_get(row, "ages"), json_integer(0));
    json_object_set_new(reading->rows, host, row);
    return row;
}

static void add_one(json_t *number)
{
    json_integer_set(number, json_integer_value(number) + 1);
}

static void count_age(json_t *row, double age)
{
    size_t bucket = 0;
    while (bucket < BOUNDS && age >= bounds[bucket])
        bucket++;
    add_one(json_array_get(json_object_get(row, "ages"), bucket));
    json_t *oldest = json_object_get(row, "oldest");
    if (!json_is_real(oldest))
        json_object_set_new(row, "oldest", json_real(age));
    else if (age > json_real_value(oldest))
        json_real_set(oldest, age);
}

/* Only the oldest are kept. */
static void list_file(struct reading *reading, const struct entry *entry, const char *name)
{
    size_t size = strlen(name) + 1;
    struct listed *listed = must(malloc(sizeof(*listed) + size));
    listed->order = entry->order;
    listed->place = reading->place;
    memcpy(listed->name, name, size);
    /* A folder that changes while it is read may name a file twice. */
    if (RB_INSERT(listing, &reading->listing, listed) != NULL) {
        free(listed);
        return;
    }
    if (++reading->listed <= QUEUE_LISTED)
        return;
    listed = RB_MAX(listing, &reading->listing);
    RB_REMOVE(listing, &reading->listing, listed);
    reading->listed--;
    free(listed);
}

static bool count_file(void *argument, const char *name)
{
    struct reading *reading = argument;
    struct entry entry;
    if (!parse(reading->known, name, reading->place, &entry)) {
        reading->strange += reading->place == WAITING;
        return true;
    }
    if (reading->host != NULL && strcmp(entry.host, reading->host) != 0)
        return true;
    json_t *row = row_of(reading, entry.host);
    add_one(json_object_get(row, places[reading->place].key));
    if (reading->place == WAITING)
        count_age(row, age_of(reading, &entry.order));
    if (reading->host != NULL)
        list_file(reading, &entry, name);
    return true;
}

static int compare_ids(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* The rows in the order of their ids. */
static json_t *sorted(const json_t *rows)
{
    size_t count = json_object_size(rows), i = 0;
    const char **ids = must(calloc(count + 1, sizeof(*ids))), *id;
    json_t *row, *array = json_array();
    json_object_foreach((json_t *)(uintptr_t)rows, id, row) ids[i++] = id;
    qsort(ids, count, sizeof(*ids), compare_ids);
    for (i = 0; i < count; i++)
        json_array_append(array, json_object_get(rows, ids[i]));
    free(ids);
    return array;
}

/* The files that are listed; those that have gone since are left out. */
static json_t *list_json(const struct reading *reading, int folder)
{
    char path[sizeof(DELAYED_REJECTED_FOLDER "/") + NAME_MAX];
    struct listed *listed;
    struct stat status;
    json_t *list = json_array();
    RB_FOREACH (listed, listing, (struct listing *)(uintptr_t)&reading->listing) {
        snprintf(path, sizeof(path), "%s/%s", places[listed->place].folder, listed->name);
        if (fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW) == 0)
            json_array_append_new(
                list, json_pack("{s:o, s:f, s:I, s:s}", "name", text_json(listed->name), "age",
                                age_of(reading, &listed->order), "size", (json_int_t)status.st_size,
                                "state", places[listed->place].state));
    }
    return list;
}

static void free_listing(struct reading *reading)
{
    struct listed *listed, *next;
    RB_FOREACH_SAFE (listed, listing, &reading->listing, next) {
        RB_REMOVE(listing, &reading->listing, listed);
        free(listed);
    }
}

static json_t *read_places(struct reading *reading, const char *path, int folder)
{
    int r = 0;
    for (int place = 0; place < PLACES && r >= 0; place++) {
        reading->place = (enum place)place;
        r = walk(folder, reading->place, count_file, reading);
    }
    if (r < 0)
        return failure(path, strerror(-r));
    if (reading->host != NULL && json_object_size(reading->rows) == 0) {
        if (reading->known != NULL && json_object_get(reading->known, reading->host) == NULL)
            return failure(reading->host, "no such host in hosts.tab, and no file of it");
        row_of(reading, reading->host);
    }
    json_t *answer = json_pack("{s:o, s:[], s:I}", "hosts", sorted(reading->rows), "bounds",
                               "strange", (json_int_t)reading->strange);
    for (size_t i = 0; i < BOUNDS; i++)
        json_array_append_new(json_object_get(answer, "bounds"), json_integer(bounds[i]));
    if (reading->host != NULL)
        json_object_set_new(answer, "list", list_json(reading, folder));
    return answer;
}

json_t *queue_read(const char *folder, const json_t *hosts, const char *host)
{
    json_t *known = known_ids(hosts), *answer = NULL;
    struct reading reading = {.known = known, .now = time(NULL), .rows = json_object()};
    RB_INIT(&reading.listing);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        answer = failure(folder, strerror(errno));
    else if (host == NULL || (reading.host = resolve(known, host, &answer)) != NULL)
        answer = read_places(&reading, folder, fd);
    if (fd >= 0)
        close(fd);
    free_listing(&reading);
    json_decref(reading.rows);
    json_decref(known);
    return answer;
}

/* --- Acting ----------------------------------------------------------------------------------- */

struct queue_action {
    const char *word;
    enum place from[2];
    int to; /* enum place, or NOWHERE */
};

#define NOWHERE (-1)

static const struct queue_action actions[] = {
    {"hold", {WAITING, WAITING}, HELD},
    {"release", {HELD, HELD}, WAITING},
    {"requeue", {REJECTED, CORRUPT}, WAITING},
    {"delete", {WAITING, HELD}, NOWHERE},
};

/* Mistakes that are said; of more, how many. */
#define MISTAKES_SAID 20

/* An action under way. */
struct doing {
    const struct queue_action *action;
    const json_t *known;
    const char *host;    /* whose files, or NULL for those of all */
    int folders[PLACES]; /* -1: there is none */
    enum place place;    /* the one that is walked through */
    size_t found, tried, done, mistakes;
    json_t *errors;
};

const struct queue_action *queue_action(const char *word)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
        if (strcmp(actions[i].word, word) == 0)
            return &actions[i];
    return NULL;
}

static void mistake(struct doing *doing, const char *name, const char *why)
{
    char sentence[NAME_MAX + 256];
    if (++doing->mistakes > MISTAKES_SAID)
        return;
    snprintf(sentence, sizeof(sentence), "%s: %s", name, why);
    json_array_append_new(doing->errors, text_json(sentence));
}

/* The reply of lond that lies beside a rejected file: it is of a delivery that is to be forgotten.
 */
static void remove_reply(int folder, const char *name)
{
    char reply[NAME_MAX + sizeof(".reply")];
    snprintf(reply, sizeof(reply), "%s.reply", name);
    unlinkat(folder, reply, 0);
}

/* 0 or a negative errno; -ENOENT where it is not there, or no longer. */
static int move_file(const struct doing *doing, const char *name, const struct entry *entry)
{
    int from = doing->folders[doing->place];
    if (from < 0)
        return -ENOENT;
    if (doing->action->to == NOWHERE)
        return unlinkat(from, name, 0) < 0 ? -errno : 0;
    if (renameat2(from, name, doing->folders[doing->action->to], entry->name, RENAME_NOREPLACE) < 0)
        return -errno;
    if (doing->place == REJECTED)
        remove_reply(from, name);
    return 0;
}

static void act_on(struct doing *doing, const char *name, const struct entry *entry)
{
    int r = move_file(doing, name, entry);
    if (r == 0)
        doing->done++;
    else if (r == -EEXIST)
        mistake(doing, name, "there is one of this name already where it would go");
    else if (r != -ENOENT) /* it is delivered */
        mistake(doing, name, strerror(-r));
}

static bool is_meant(const struct doing *doing, const char *name, struct entry *entry)
{
    return parse(doing->known, name, doing->place, entry) &&
           (doing->host == NULL || strcmp(doing->host, entry->host) == 0);
}

static bool find_file(void *argument, const char *name)
{
    struct doing *doing = argument;
    struct entry entry;
    doing->found += is_meant(doing, name, &entry);
    return true;
}

/* Of as many as were found: what is requeued may be back, rejected anew, before the end. */
static bool act_on_name(void *argument, const char *name)
{
    struct doing *doing = argument;
    struct entry entry;
    if (!is_meant(doing, name, &entry))
        return true;
    doing->tried++;
    act_on(doing, name, &entry);
    return doing->tried < doing->found;
}

static void walk_all(struct doing *doing, bool (*each)(void *argument, const char *name))
{
    const enum place *from = doing->action->from;
    for (int i = 0; i < 2; i++) {
        doing->place = from[i];
        int r =
            i > 0 && from[1] == from[0] ? 0 : walk(doing->folders[WAITING], from[i], each, doing);
        if (r < 0)
            mistake(doing, places[from[i]].folder, strerror(-r));
    }
}

static void act_on_hosts(struct doing *doing, const char *what, bool (*confirm)(size_t files))
{
    walk_all(doing, find_file);
    if (doing->found == 0) {
        if (doing->host != NULL && doing->known != NULL &&
            json_object_get(doing->known, doing->host) == NULL)
            mistake(doing, what, "no such host in hosts.tab, and no such file");
        return;
    }
    if (doing->action->to != NOWHERE || confirm == NULL || confirm(doing->found))
        walk_all(doing, act_on_name);
}

static void act_on_file(struct doing *doing, const char *name, bool (*confirm)(size_t files))
{
    struct entry entry;
    if (doing->action->to == NOWHERE && confirm != NULL && !confirm(1))
        return;
    for (int i = 0; i < 2 && doing->done == 0 && doing->mistakes == 0; i++) {
        doing->place = doing->action->from[i];
        if (parse(doing->known, name, doing->place, &entry))
            act_on(doing, name, &entry);
    }
    if (doing->done == 0 && doing->mistakes == 0)
        mistake(doing, name, "there is no such file");
}

/* Makes held/ as the folder itself is: who may write there may write here. */
static int make_place(int folder, enum place place)
{
    struct stat status;
    if (mkdirat(folder, places[place].folder, 0700) < 0)
        return errno == EEXIST ? 0 : -errno;
    int fd = open_place(folder, place);
    if (fd < 0)
        return fd;
    int r = fstat(folder, &status);
    if (r == 0 && geteuid() == 0)
        r = fchown(fd, status.st_uid, status.st_gid);
    if (r == 0)
        r = fchmod(fd, status.st_mode & 07777);
    r = r < 0 ? -errno : 0;
    close(fd);
    if (r < 0)
        unlinkat(folder, places[place].folder, AT_REMOVEDIR);
    return r;
}

/* 0 or a negative errno; a folder that is not there is none, but for the one that files go to. */
static int open_places(struct doing *doing)
{
    int folder = doing->folders[WAITING];
    int r = doing->action->to == HELD ? make_place(folder, HELD) : 0;
    for (int place = HELD; place < PLACES && r >= 0; place++) {
        int fd = open_place(folder, (enum place)place);
        doing->folders[place] = fd < 0 ? -1 : fd;
        r = fd < 0 && fd != -ENOENT ? fd : 0;
    }
    return r;
}

/* What was done lasts. */
static void end(struct doing *doing)
{
    for (int place = 0; place < PLACES; place++)
        if (doing->folders[place] >= 0) {
            if (doing->done > 0 && fsync(doing->folders[place]) < 0)
                mistake(doing, places[place].folder, strerror(errno));
            close(doing->folders[place]);
        }
    if (doing->mistakes > MISTAKES_SAID) {
        char more[64];
        snprintf(more, sizeof(more), "and %zu more", doing->mistakes - MISTAKES_SAID);
        json_array_append_new(doing->errors, json_string(more));
    }
}

static json_t *answer_of(struct doing *doing)
{
    json_t *answer =
        json_pack("{s:b, s:I}", "ok", doing->mistakes == 0, "files", (json_int_t)doing->done);
    if (doing->mistakes > 0)
        json_object_set(answer, "errors", doing->errors);
    return answer;
}

/* What the word means: all, a file, a host. */
static void act(struct doing *doing, const char *what, bool (*confirm)(size_t files))
{
    struct delayed_order order;
    json_t *refusal = NULL;
    if (strcmp(what, "ALL") == 0) { /* NOLINT(bugprone-branch-clone): it comes before the others */
        act_on_hosts(doing, what, confirm);
    } else if (json_object_get(doing->known, what) == NULL &&
               delayed_parse_name(what, &order) != NULL) {
        act_on_file(doing, what, confirm);
    } else if ((doing->host = resolve(doing->known, what, &refusal)) != NULL) {
        act_on_hosts(doing, what, confirm);
    } else {
        doing->mistakes++;
        json_array_extend(doing->errors, json_object_get(refusal, "errors"));
    }
    json_decref(refusal);
}

json_t *queue_do(const struct queue_action *action, const char *folder, const json_t *hosts,
                 const char *what, bool (*confirm)(size_t files))
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failure(folder, strerror(errno));
    json_t *known = known_ids(hosts);
    struct doing doing = {
        .action = action, .known = known, .folders = {fd, -1, -1, -1}, .errors = json_array()};
    int r = open_places(&doing);
    if (r < 0)
        mistake(&doing, folder, strerror(-r));
    else
        act(&doing, what, confirm);
    end(&doing);
    json_t *answer = answer_of(&doing);
    json_decref(doing.errors);
    json_decref(known);
    return answer;
}
