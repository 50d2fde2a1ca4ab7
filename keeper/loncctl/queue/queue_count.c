/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Counting the deferred queue. Of a file, only what it adds to its host's row is kept, and the disk
 * is asked for names alone; a file is looked at only if it is listed.
 */
#include <bsd/sys/tree.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/queue/queue_count.h"
#include "keeper/loncctl/queue/queue_files.h"

/* Bounds of the ages, in seconds: those of Postfix's qshape(1). */
static const int bounds[] = {300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 76800};
#define BOUNDS (sizeof(bounds) / sizeof(*bounds))

/* A file that the answer lists. */
struct listed {
    RB_ENTRY(listed) by_age;
    struct delayed_order order;
    enum queue_place place;
    char name[];
};

RB_HEAD(listing, listed);

static int compare_listed(struct listed *one, struct listed *other)
{
    int order = delayed_compare(&one->order, &other->order);
    if (order == 0)
        order = strcmp(one->name, other->name);
    return order != 0 ? order : (int)one->place - (int)other->place;
}

RB_PROTOTYPE(listing, listed, by_age, compare_listed)
RB_GENERATE(listing, listed, by_age, compare_listed)

/* A count in progress. */
struct counting {
    const json_t *known;
    const char *host;       /* the only host to count, or NULL */
    enum queue_place place; /* being walked through */
    time_t now;
    json_t *rows;   /* by lonHostID */
    size_t strange; /* files that are not the queue's */
    struct listing listing;
    size_t listed;
};

/* Machines' clocks differ, so a file from the future counts as new. */
static double age_of(const struct counting *counting, const struct delayed_order *order)
{
    return order->epoch < (uint64_t)counting->now ? (double)((uint64_t)counting->now - order->epoch)
                                                  : 0;
}

static json_t *row_of(struct counting *counting, const char *host)
{
    json_t *row = json_object_get(counting->rows, host);
    if (row != NULL)
        return row;
    row = json_pack("{s:s, s:i, s:n, s:i, s:i, s:i, s:[]}", "host", host, "files", 0, "oldest",
                    "held", 0, "rejected", 0, "corrupt", 0, "ages");
    for (size_t i = 0; i <= BOUNDS; i++)
        json_array_append_new(json_object_get(row, "ages"), json_integer(0));
    json_object_set_new(counting->rows, host, row);
    return row;
}

static void increment(json_t *number)
{
    json_integer_set(number, json_integer_value(number) + 1);
}

static void count_age(json_t *row, double age)
{
    size_t bucket = 0;
    while (bucket < BOUNDS && age >= bounds[bucket])
        bucket++;
    increment(json_array_get(json_object_get(row, "ages"), bucket));
    json_t *oldest = json_object_get(row, "oldest");
    if (!json_is_real(oldest))
        json_object_set_new(row, "oldest", json_real(age));
    else if (age > json_real_value(oldest))
        json_real_set(oldest, age);
}

/* Adds the file to the list; of more than QUEUE_LISTED, only the oldest stay. */
static void list_file(struct counting *counting, const struct queue_file *file, const char *name)
{
    size_t size = strlen(name) + 1;
    struct listed *listed = must(malloc(sizeof(*listed) + size));
    listed->order = file->order;
    listed->place = counting->place;
    memcpy(listed->name, name, size);
    /* readdir() may return a name twice if the folder changes meanwhile. */
    if (RB_INSERT(listing, &counting->listing, listed) != NULL) {
        free(listed);
        return;
    }
    if (++counting->listed <= QUEUE_LISTED)
        return;
    listed = RB_MAX(listing, &counting->listing);
    RB_REMOVE(listing, &counting->listing, listed);
    counting->listed--;
    free(listed);
}

static bool count_file(void *argument, const char *name)
{
    struct counting *counting = argument;
    struct queue_file file;
    if (!queue_parse_name(counting->known, name, counting->place, &file)) {
        counting->strange += counting->place == QUEUE_WAITING;
        return true;
    }
    if (counting->host != NULL && strcmp(file.host, counting->host) != 0)
        return true;
    json_t *row = row_of(counting, file.host);
    increment(json_object_get(row, queue_place_names[counting->place].key));
    if (counting->place == QUEUE_WAITING)
        count_age(row, age_of(counting, &file.order));
    if (counting->host != NULL)
        list_file(counting, &file, name);
    return true;
}

static int compare_ids(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* Returns the rows as an array, in the order of their ids. */
static json_t *sorted_rows(const json_t *rows)
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

/* Returns the listed files as an array, without those that have gone since. */
static json_t *list_as_json(const struct counting *counting, int folder)
{
    char path[sizeof(DELAYED_REJECTED_FOLDER "/") + NAME_MAX];
    struct listed *listed;
    struct stat status;
    json_t *list = json_array();
    RB_FOREACH (listed, listing, (struct listing *)(uintptr_t)&counting->listing) {
        snprintf(path, sizeof(path), "%s/%s", queue_place_names[listed->place].folder,
                 listed->name);
        if (fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW) == 0)
            json_array_append_new(list, json_pack("{s:o, s:f, s:I, s:s}", "name",
                                                  queue_text(listed->name), "age",
                                                  age_of(counting, &listed->order), "size",
                                                  (json_int_t)status.st_size, "state",
                                                  queue_place_names[listed->place].state));
    }
    return list;
}

static void free_listing(struct counting *counting)
{
    struct listed *listed, *next;
    RB_FOREACH_SAFE (listed, listing, &counting->listing, next) {
        RB_REMOVE(listing, &counting->listing, listed);
        free(listed);
    }
}

static json_t *count_places(struct counting *counting, const char *path, int folder)
{
    int r = 0;
    for (int place = 0; place < QUEUE_PLACES && r >= 0; place++) {
        counting->place = (enum queue_place)place;
        r = queue_walk(folder, counting->place, count_file, counting);
    }
    if (r < 0)
        return queue_failure(path, strerror(-r));
    if (counting->host != NULL && json_object_size(counting->rows) == 0) {
        if (counting->known != NULL && json_object_get(counting->known, counting->host) == NULL)
            return queue_failure(counting->host, "no such host in hosts.tab, and no file for it");
        row_of(counting, counting->host);
    }
    json_t *answer = json_pack("{s:o, s:[], s:I}", "hosts", sorted_rows(counting->rows), "bounds",
                               "strange", (json_int_t)counting->strange);
    for (size_t i = 0; i < BOUNDS; i++)
        json_array_append_new(json_object_get(answer, "bounds"), json_integer(bounds[i]));
    if (counting->host != NULL)
        json_object_set_new(answer, "list", list_as_json(counting, folder));
    return answer;
}

json_t *queue_count(const char *folder, const json_t *hosts, const char *host)
{
    json_t *known = queue_known_hosts(hosts), *answer = NULL;
    struct counting counting = {.known = known, .now = time(NULL), .rows = json_object()};
    RB_INIT(&counting.listing);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        answer = queue_failure(folder, strerror(errno));
    else if (host == NULL || (counting.host = queue_find_host(known, host, &answer)) != NULL)
        answer = count_places(&counting, folder, fd);
    if (fd >= 0)
        close(fd);
    free_listing(&counting);
    json_decref(counting.rows);
    json_decref(known);
    return answer;
}
