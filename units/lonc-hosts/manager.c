/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See manager.h. Calls are made one after the other, but the jobs that they queue, which take the
 * time, run side by side. systemd announces the end of a job by a signal, which always comes after
 * the answer that named the job.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "units/lonc-hosts/manager.h"

#define DESTINATION "org.freedesktop.systemd1"
#define PATH        "/org/freedesktop/systemd1"
#define INTERFACE   "org.freedesktop.systemd1.Manager"

/* The verb of a go-between: a job that stops a service and starts sockets, and ends after them. */
static const char START_SOCKETS[] = "StartTransientUnit";

struct job {
    char *path; /* its name on the bus; NULL for the job of a socket, which a go-between implies */
    char *unit;
    const char *verb; /* a string constant */
    bool ended;
};

struct manager {
    sd_bus *bus;
    uint64_t deadline; /* on the monotonic clock, microseconds */
    struct job *jobs;
    size_t count, room;
    size_t awaited; /* jobs that have not ended, without the go-betweens */
    int failed;     /* jobs, since the last manager_wait */
    bool subscribed;
    unsigned go_betweens; /* how many there were, which makes their names unique */
};

/* The time left, in microseconds. Never 0, which sd-bus takes for its default of 25 s. */
static uint64_t time_left(const struct manager *manager)
{
    uint64_t t = monotonic_now();
    return t < manager->deadline ? manager->deadline - t : 1;
}

static int report_error(const char *what, const sd_bus_error *error, int r)
{
    const char *why = error != NULL && error->message != NULL ? error->message : strerror(-r);
    fprintf(stderr, "lonc-hosts: %s: %s\n", what, why);
    return r;
}

enum unit_state manager_unit_state(const struct manager_unit *unit)
{
    const char *state = unit->active_state;
    if (strcmp(state, "failed") == 0)
        return UNIT_FAILED;
    bool active = strcmp(state, "active") == 0 || strcmp(state, "activating") == 0 ||
                  strcmp(state, "reloading") == 0;
    return active ? UNIT_ACTIVE : UNIT_INACTIVE;
}

/* --- The end of jobs -------------------------------------------------------------------------- */

static void end_job(struct manager *manager, struct job *job)
{
    job->ended = true;
    if (job->verb != START_SOCKETS)
        manager->awaited--;
}

/* A go-between ends after its sockets have started. A socket that was running already had no job,
 * so no signal announces its end. */
static void end_socket_jobs(struct manager *manager)
{
    for (size_t i = 0; i < manager->count; i++)
        if (!manager->jobs[i].ended && manager->jobs[i].path == NULL)
            end_job(manager, &manager->jobs[i]);
}

static bool is_job_of(const struct job *job, const char *path, const char *unit)
{
    return job->path != NULL ? strcmp(job->path, path) == 0 : strcmp(job->unit, unit) == 0;
}

/* A job that was canceled, because somebody else queued another for the unit, has not failed. The
 * next sync looks again. */
static bool is_success(const char *result)
{
    return strcmp(result, "done") == 0 || strcmp(result, "skipped") == 0 ||
           strcmp(result, "canceled") == 0;
}

static int on_job_removed(sd_bus_message *message, void *argument, sd_bus_error *error)
{
    struct manager *manager = argument;
    uint32_t id;
    const char *path, *unit, *result;
    (void)error;
    if (sd_bus_message_read(message, "uoss", &id, &path, &unit, &result) < 0)
        return 0;
    for (size_t i = 0; i < manager->count; i++) {
        struct job *job = &manager->jobs[i];
        if (job->ended || !is_job_of(job, path, unit))
            continue;
        if (!is_success(result)) {
            fprintf(stderr, "lonc-hosts: %s: %s: %s; see: journalctl -u '%s'\n", unit, job->verb,
                    result, unit);
            manager->failed++;
        }
        end_job(manager, job);
        /* If the service's next start has canceled the go-between, the sockets are still starting,
         * before that service. */
        if (job->verb == START_SOCKETS && strcmp(result, "done") == 0)
            end_socket_jobs(manager);
    }
    return 0;
}

static void give_up_jobs(struct manager *manager)
{
    for (size_t i = 0; i < manager->count; i++) {
        struct job *job = &manager->jobs[i];
        if (job->ended || job->verb == START_SOCKETS)
            continue;
        fprintf(stderr, "lonc-hosts: %s: %s: not done in time\n", job->unit, job->verb);
        manager->failed++;
        end_job(manager, job);
    }
}

static void forget_jobs(struct manager *manager)
{
    for (size_t i = 0; i < manager->count; i++) {
        free(manager->jobs[i].path);
        free(manager->jobs[i].unit);
    }
    manager->count = 0;
}

int manager_wait(struct manager *manager)
{
    /* Go-betweens are not awaited: they end later than the sockets, which have to be given to www
     * as soon as they listen. */
    while (manager->awaited > 0 && monotonic_now() < manager->deadline) {
        int r = sd_bus_process(manager->bus, NULL);
        if (r == 0)
            r = sd_bus_wait(manager->bus, time_left(manager));
        if (r < 0 && r != -EINTR) {
            report_error("waiting for systemd", NULL, r);
            break;
        }
    }
    give_up_jobs(manager);
    forget_jobs(manager);
    int failed = manager->failed;
    manager->failed = 0;
    return failed;
}

/* --- Calls ------------------------------------------------------------------------------------ */

/* Makes a call. If `answer` is not NULL, the caller unrefs the answer. */
static int call(struct manager *manager, const char *what, sd_bus_message *message,
                sd_bus_message **answer)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = sd_bus_call(manager->bus, message, time_left(manager), &error, answer);
    if (r < 0)
        report_error(what, &error, r);
    sd_bus_error_free(&error);
    return r;
}

static int new_call(struct manager *manager, sd_bus_message **message, const char *member)
{
    int r =
        sd_bus_message_new_method_call(manager->bus, message, DESTINATION, PATH, INTERFACE, member);
    return r < 0 ? report_error(member, NULL, r) : r;
}

static void unref(sd_bus_message **message)
{
    sd_bus_message_unref(*message);
}
#define OWNED __attribute__((cleanup(unref)))

int manager_reload(struct manager *manager)
{
    OWNED sd_bus_message *message = NULL;
    int r = new_call(manager, &message, "Reload");
    return r < 0 ? r : call(manager, "reading the unit files again", message, NULL);
}

int manager_reset_failed(struct manager *manager, const char *unit)
{
    OWNED sd_bus_message *message = NULL;
    int r = new_call(manager, &message, "ResetFailedUnit");
    if (r >= 0)
        r = sd_bus_message_append(message, "s", unit);
    return r < 0 ? r : call(manager, unit, message, NULL);
}

int manager_start_time(struct manager *manager, const char *unit, uint64_t *when)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    char *path = NULL;
    int r = sd_bus_path_encode(PATH "/unit", unit, &path);
    if (r >= 0)
        r = sd_bus_get_property_trivial(manager->bus, DESTINATION, path, DESTINATION ".Service",
                                        "ExecMainStartTimestamp", &error, 't', when);
    if (r < 0)
        report_error(unit, &error, r);
    sd_bus_error_free(&error);
    free(path);
    return r;
}

/* systemd announces the end of jobs only to those who have subscribed. So we do, before the first
 * job. */
static int subscribe(struct manager *manager)
{
    OWNED sd_bus_message *message = NULL;
    if (manager->subscribed)
        return 0;
    int r = sd_bus_match_signal(manager->bus, NULL, DESTINATION, PATH, INTERFACE, "JobRemoved",
                                on_job_removed, manager);
    if (r < 0)
        return report_error("listening to systemd", NULL, r);
    r = new_call(manager, &message, "Subscribe");
    if (r >= 0)
        r = call(manager, "listening to systemd", message, NULL);
    manager->subscribed = r >= 0;
    return r;
}

/* `path` is NULL for the job of a socket that a go-between starts. */
static int add_job(struct manager *manager, const char *verb, const char *unit, const char *path)
{
    if (manager->count == manager->room) {
        size_t room = manager->room == 0 ? 64 : 2 * manager->room;
        struct job *jobs = reallocarray(manager->jobs, room, sizeof(*jobs));
        if (jobs == NULL)
            return -ENOMEM;
        manager->jobs = jobs;
        manager->room = room;
    }
    struct job job = {
        .path = path != NULL ? strdup(path) : NULL, .unit = strdup(unit), .verb = verb};
    if ((path != NULL && job.path == NULL) || job.unit == NULL) {
        free(job.path);
        free(job.unit);
        return -ENOMEM;
    }
    manager->jobs[manager->count++] = job;
    manager->awaited += verb != START_SOCKETS;
    return 0;
}

int manager_queue(struct manager *manager, const char *verb, const char *unit)
{
    OWNED sd_bus_message *message = NULL;
    OWNED sd_bus_message *answer = NULL;
    const char *path;
    int r = subscribe(manager);
    if (r >= 0)
        r = new_call(manager, &message, verb);
    if (r >= 0)
        r = sd_bus_message_append(message, "ss", unit, "replace");
    if (r >= 0)
        r = call(manager, unit, message, &answer);
    if (r >= 0)
        r = sd_bus_message_read(answer, "o", &path);
    if (r >= 0)
        r = add_job(manager, verb, unit, path);
    if (r < 0)
        manager->failed++;
    return r;
}

static int append_strv_property(sd_bus_message *message, const char *name, char *values[])
{
    int r = sd_bus_message_open_container(message, 'r', "sv");
    if (r >= 0)
        r = sd_bus_message_append(message, "s", name);
    if (r >= 0)
        r = sd_bus_message_open_container(message, 'v', "as");
    if (r >= 0)
        r = sd_bus_message_append_strv(message, values);
    if (r >= 0)
        r = sd_bus_message_close_container(message);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

/* The go-between: a unit that does nothing itself, but conflicts with the service and wants the
 * sockets to start before it. */
static int append_go_between(sd_bus_message *message, const char *name, const char *service,
                             char *sockets[])
{
    int r = sd_bus_message_append(message, "ss", name, "replace");
    if (r >= 0)
        r = sd_bus_message_open_container(message, 'a', "(sv)");
    if (r >= 0)
        r = sd_bus_message_append(message, "(sv)(sv)(sv)(sv)", "Description", "s",
                                  "LON-CAPA: sockets are started", "Type", "s", "oneshot",
                                  "DefaultDependencies", "b", 0, "CollectMode", "s",
                                  "inactive-or-failed");
    if (r >= 0)
        r = sd_bus_message_append(message, "(sv)(sv)", "Conflicts", "as", 1, service, "ExecStart",
                                  "a(sasb)", 1, "/bin/true", 1, "/bin/true", 0);
    if (r >= 0)
        r = append_strv_property(message, "Wants", sockets);
    if (r >= 0)
        r = append_strv_property(message, "After", sockets);
    if (r >= 0)
        r = sd_bus_message_close_container(message);
    return r < 0 ? r : sd_bus_message_append(message, "a(sa(sv))", 0);
}

int manager_queue_sockets(struct manager *manager, const char *service, char *sockets[])
{
    OWNED sd_bus_message *message = NULL;
    OWNED sd_bus_message *answer = NULL;
    const char *path;
    char name[64];
    /* A new name each time, because systemd may still remember the last go-between. */
    snprintf(name, sizeof(name), "lonc-hosts-%d-%u.service", (int)getpid(), ++manager->go_betweens);
    int r = subscribe(manager);
    if (r >= 0)
        r = new_call(manager, &message, START_SOCKETS);
    if (r >= 0)
        r = append_go_between(message, name, service, sockets);
    if (r >= 0)
        r = call(manager, name, message, &answer);
    if (r >= 0)
        r = sd_bus_message_read(answer, "o", &path);
    for (size_t i = 0; r >= 0 && sockets[i] != NULL; i++)
        r = add_job(manager, "StartUnit", sockets[i], NULL);
    if (r >= 0)
        r = add_job(manager, START_SOCKETS, name, path);
    if (r < 0)
        manager->failed++;
    return r;
}

/* Most fields of an answer to ListUnitsByPatterns are of no interest here. */
static int read_units(sd_bus_message *answer,
                      void (*each)(void *argument, const struct manager_unit *unit), void *argument)
{
    int r = sd_bus_message_enter_container(answer, 'a', "(ssssssouso)");
    while (r >= 0) {
        struct manager_unit unit;
        r = sd_bus_message_read(answer, "(ssssssouso)", &unit.name, NULL, &unit.load_state,
                                &unit.active_state, NULL, NULL, NULL, NULL, NULL, NULL);
        if (r <= 0)
            break;
        each(argument, &unit);
    }
    return r < 0 ? report_error("the list of units", NULL, r) : 0;
}

int manager_list(struct manager *manager, char *patterns[],
                 void (*each)(void *argument, const struct manager_unit *unit), void *argument)
{
    OWNED sd_bus_message *message = NULL;
    OWNED sd_bus_message *answer = NULL;
    char *states[] = {NULL};
    int r = new_call(manager, &message, "ListUnitsByPatterns");
    if (r >= 0)
        r = sd_bus_message_append_strv(message, states);
    if (r >= 0)
        r = sd_bus_message_append_strv(message, patterns);
    if (r >= 0)
        r = call(manager, "listing units", message, &answer);
    return r < 0 ? r : read_units(answer, each, argument);
}

/* --- The connection --------------------------------------------------------------------------- */

int manager_open(struct manager **result, unsigned patience)
{
    struct manager *manager = calloc(1, sizeof(*manager));
    if (manager == NULL)
        return report_error("systemd", NULL, -ENOMEM);
    manager->deadline = monotonic_now() + (uint64_t)patience * 1000000;
    int r = sd_bus_open_system(&manager->bus);
    if (r < 0) {
        report_error("cannot reach systemd by the system bus", NULL, r);
        manager_close(manager);
        return r;
    }
    *result = manager;
    return 0;
}

void manager_close(struct manager *manager)
{
    if (manager == NULL)
        return;
    forget_jobs(manager);
    free(manager->jobs);
    sd_bus_flush_close_unref(manager->bus);
    free(manager);
}
