/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Certificates, from day to day. Nothing wakes up while all is well but the calendar: a day before
 * which there is something to say or to change.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "keeper/core/pathwatch.h"
#include "keeper/host/certificates.h"
#include "keeper/host/hosts.h"
#include "keeper/lond/keyfile.h"
#include "keeper/lond/londs.h"

/* How often it is said again that a certificate expires. */
#define DAY (24 * 3600)

struct certificates {
    struct core *core;
    struct hosts *hosts;
    struct path_watch *watches[TLS_FILE_COUNT];
    sd_event_source *look; /* the files are read again */
    uint64_t look_at;      /* when, by the monotonic clock; 0: there is no reason to */
    sd_event_source *calendar;
    time_t warned, warned_of; /* when the log last said what expires when */
    char warning[256];
};

static void read_again(struct certificates *certificates);
static void keep_calendar(struct certificates *certificates,
                          const struct validity_verdict *verdict);

/* --- Looking at the files --------------------------------------------------------------------- */

static int on_look(sd_event_source *source, uint64_t when, void *argument)
{
    struct certificates *certificates = argument;
    (void)source;
    (void)when;
    certificates->core->loop.now = monotonic_now();
    certificates->look_at = 0;
    read_again(certificates);
    return 0;
}

/* Reads the files in so many microseconds, if not sooner. */
static void plan_look(struct certificates *certificates, uint64_t pause)
{
    uint64_t when = monotonic_now() + pause;
    if (certificates->look_at != 0 && certificates->look_at <= when)
        return;
    int r = loop_alarm(&certificates->core->loop, &certificates->look, CLOCK_MONOTONIC, when,
                       on_look, certificates);
    if (r < 0)
        log_write(LOG_ERR, NULL, "cannot set a timer for the files of ssl: %s", strerror(-r));
    else
        certificates->look_at = when;
}

/* Key and certificate are seldom renewed in one stroke. */
static void on_changed(void *argument)
{
    struct certificates *certificates = argument;
    plan_look(certificates, certificates->core->settings.certificate_settle);
}

/* Where one cannot be watched, what is wrong is looked at each trouble_retry all the same. */
static void watch_files(struct certificates *certificates, const struct tls_files *files)
{
    for (int i = 0; i < TLS_FILE_COUNT; i++) {
        struct path_watch **watch = &certificates->watches[i];
        if (files->path[i] == NULL) {
            path_watch_free(*watch);
            *watch = NULL;
            continue;
        }
        if (*watch == NULL)
            *watch = path_watch_new(&certificates->core->loop, on_changed, certificates);
        if (*watch != NULL)
            (void)path_watch_set(*watch, files->path[i]);
    }
}

/* --- What is in force ------------------------------------------------------------------------- */

static void judge(const struct certificates *certificates, struct validity_verdict *verdict)
{
    const struct core *core = certificates->core;
    *verdict = (struct validity_verdict){.usable = false};
    if (certificates->hosts->londs.credentials != NULL &&
        certificates->hosts->londs.credentials->tls != NULL)
        tls_context_judge(certificates->hosts->londs.credentials->tls, time(NULL),
                          (time_t)(core->settings.certificate_warning / 1000000), verdict);
}

/* Where the new ones are of no use, those in force stay, unless they are of no use either. */
static void keep_usable(const struct certificates *certificates, struct credentials *new)
{
    struct credentials *old = certificates->hosts->londs.credentials;
    struct validity_verdict verdict;
    if (!new->wanted || new->tls != NULL)
        return;
    judge(certificates, &verdict);
    if (!verdict.usable || !tls_context_follow(old->tls, &certificates->core->settings))
        return;
    new->tls = old->tls;
    old->tls = NULL;
}

/* What it means that ssl is wanted and cannot be used. */
static const char *fate(const struct credentials *credentials)
{
    return credentials->fallback ? "londs are spoken to insecurely, as tls_fallback says"
                                 : "londs that offer ssl are not reached";
}

static void list_troubles(const struct certificates *certificates,
                          const struct validity_verdict *verdict)
{
    struct core *core = certificates->core;
    const struct credentials *credentials = certificates->hosts->londs.credentials;
    char date[VALIDITY_DATE_SIZE];
    if (credentials->wanted && credentials->tls == NULL)
        trouble_begin(core, TROUBLE_TLS, "%s; %s", credentials->problem, fate(credentials));
    else
        trouble_end(core, TROUBLE_TLS);
    if (credentials->tls != NULL && credentials->problem[0] != '\0')
        trouble_begin(core, TROUBLE_CERTIFICATE, "%s; what was read before stays in force until %s",
                      credentials->problem, validity_date(verdict->expires, date));
    else if (credentials->tls != NULL && verdict->warnings[0] != '\0')
        trouble_begin(core, TROUBLE_CERTIFICATE, "%s", verdict->warnings);
    else
        trouble_end(core, TROUBLE_CERTIFICATE);
}

/* What is in force, or the time, has changed. */
static void settle(struct certificates *certificates)
{
    const struct core *core = certificates->core;
    struct validity_verdict verdict;
    judge(certificates, &verdict);
    list_troubles(certificates, &verdict);
    keep_calendar(certificates, &verdict);
    if (certificates->hosts->londs.credentials->problem[0] != '\0')
        plan_look(certificates, core->settings.trouble_retry);
    else if (!credentials_are_current(certificates->hosts->londs.credentials))
        plan_look(certificates, core->settings.certificate_settle);
}

static void put_in_force(struct certificates *certificates, struct credentials *new)
{
    const struct credentials *old = certificates->hosts->londs.credentials;
    keep_usable(certificates, new);
    bool gained = old != NULL && old->tls == NULL && new->tls != NULL;
    londs_use_credentials(&certificates->hosts->londs, new);
    watch_files(certificates, &new->files);
    settle(certificates);
    if (gained)
        hosts_renew(certificates->hosts);
}

/* --- Read again ------------------------------------------------------------------------------- */

static void say_nothing(void *argument, const char *text)
{
    (void)argument;
    (void)text;
}

/*
 * None of the files is there any more. ssl is not off for that: they may be about to be replaced,
 * and less security must be asked for.
 */
static void note_absence(struct credentials *new)
{
    int i = 0;
    while (i < TLS_FILE_KEY && new->files.path[i] == NULL)
        i++;
    new->wanted = true;
    snprintf(new->problem, sizeof(new->problem),
             "%s: has gone, as all files for ssl have; a reload turns ssl off",
             new->files.path[i] != NULL ? new->files.path[i] : "ssl");
}

static void read_again(struct certificates *certificates)
{
    struct core *core = certificates->core;
    struct credentials *old = certificates->hosts->londs.credentials;
    struct diagnostics diagnostics = {.say = say_nothing};
    struct validity_verdict verdict;
    judge(certificates, &verdict);
    bool well = old->problem[0] == '\0' && (verdict.usable || !old->wanted);
    if (well && credentials_are_current(old)) {
        watch_files(certificates, &old->files); /* another way may lead there now */
        settle(certificates);
        return;
    }
    struct credentials *new = credentials_load(core->config, &diagnostics);
    if (new == NULL) {
        plan_look(certificates, core->settings.trouble_retry);
        return;
    }
    /* Where this host's own lond is looked for depends on it, so that is a reload's to change. */
    new->local = old->local;
    if (!new->wanted && old->wanted)
        note_absence(new);
    bool taken = new->tls != NULL;
    put_in_force(certificates, new);
    if (taken)
        log_write(LOG_NOTICE, &(struct log_about){.event = LOG_EVENT_CERTIFICATE},
                  "the files for ssl have changed, and are in force as they are now");
}

/* --- The calendar ----------------------------------------------------------------------------- */

static int on_calendar(sd_event_source *source, uint64_t when, void *argument)
{
    struct certificates *certificates = argument;
    struct validity_verdict verdict;
    (void)source;
    (void)when;
    certificates->core->loop.now = monotonic_now();
    judge(certificates, &verdict);
    if (verdict.usable)
        settle(certificates);
    else
        read_again(certificates);
    return 0;
}

static void say_expiry(struct certificates *certificates, const struct validity_verdict *verdict,
                       time_t now)
{
    char date[VALIDITY_DATE_SIZE];
    log_write(LOG_WARNING, &(struct log_about){.event = LOG_EVENT_CERTIFICATE},
              "%s: the certificate expires at %s; from then on %s", verdict->soon_path,
              validity_date(verdict->soon, date), fate(certificates->hosts->londs.credentials));
    certificates->warned = now;
    certificates->warned_of = verdict->soon;
}

/* Says it when it is time to, and comes back when it is next. */
static void keep_calendar(struct certificates *certificates, const struct validity_verdict *verdict)
{
    struct core *core = certificates->core;
    time_t now = time(NULL), next = verdict->next;
    if (verdict->soon != 0) {
        if (certificates->warned_of != verdict->soon || now >= certificates->warned + DAY ||
            now < certificates->warned)
            say_expiry(certificates, verdict, now);
        if (certificates->warned + DAY < next)
            next = certificates->warned + DAY;
    }
    if (next == 0) {
        loop_enable(&core->loop, certificates->calendar, SD_EVENT_OFF);
        return;
    }
    int r = loop_alarm(&core->loop, &certificates->calendar, CLOCK_REALTIME,
                       (uint64_t)next * 1000000, on_calendar, certificates);
    if (r < 0)
        log_write(LOG_ERR, NULL, "cannot set a timer for the certificates: %s", strerror(-r));
}

/* --- By a reload ------------------------------------------------------------------------------ */

/* What follows from the files as they are, for whoever asked for a reload. */
static const char *consequence(struct certificates *certificates, bool had_ssl)
{
    const struct credentials *credentials = certificates->hosts->londs.credentials;
    struct validity_verdict verdict;
    char date[VALIDITY_DATE_SIZE];
    if (had_ssl && !credentials->wanted)
        return "ssl is off now: none of its files exists any more";
    if (credentials->problem[0] == '\0')
        return NULL;
    if (credentials->tls == NULL) {
        snprintf(certificates->warning, sizeof(certificates->warning), "ssl cannot be used: %s",
                 fate(credentials));
        return certificates->warning;
    }
    judge(certificates, &verdict);
    snprintf(certificates->warning, sizeof(certificates->warning),
             "ssl goes on with what was read before, which stays in force until %s",
             validity_date(verdict.expires, date));
    return certificates->warning;
}

/* Neither is a mistake, so neither is a trouble. */
static void say_what_is_off(const struct credentials *credentials)
{
    bool exists = access(credentials->directory, F_OK) == 0;
    if (!credentials->local && exists)
        log_write(LOG_WARNING, NULL,
                  "%s: cannot be written; this host's own lond is spoken to as any other",
                  credentials->directory);
    if (credentials_lack_files(credentials))
        log_write(exists ? LOG_NOTICE : LOG_WARNING, NULL,
                  "ssl is off: loncapa.conf names files for it, but there is none (%s %s)",
                  credentials->directory, exists ? "is there" : "does not exist");
}

const char *certificates_apply(struct certificates *certificates, struct credentials *credentials)
{
    struct core *core = certificates->core;
    const struct credentials *old = certificates->hosts->londs.credentials;
    bool had_ssl = old != NULL && old->wanted;
    /* Later, handshakes may be under way that have a key file. */
    if (old == NULL || strcmp(old->directory, credentials->directory) != 0)
        keyfile_sweep(credentials->directory);
    say_what_is_off(credentials);
    certificates->warned_of = 0;
    put_in_force(certificates, credentials);
    if (core->settings.tls_min_version < TLS_VERSION_1_2)
        log_write(LOG_WARNING, NULL, "tls_min_version allows TLS older than 1.2");
    const char *warning = consequence(certificates, had_ssl);
    if (warning != NULL)
        log_write(LOG_WARNING, &(struct log_about){.event = LOG_EVENT_CERTIFICATE}, "%s", warning);
    return warning;
}

/* --- Coming and going ------------------------------------------------------------------------- */

struct certificates *certificates_new(struct hosts *hosts)
{
    struct certificates *certificates = calloc(1, sizeof(*certificates));
    if (certificates == NULL)
        return NULL;
    certificates->core = hosts->core;
    certificates->hosts = hosts;
    return certificates;
}

void certificates_free(struct certificates *certificates)
{
    if (certificates == NULL)
        return;
    for (int i = 0; i < TLS_FILE_COUNT; i++)
        path_watch_free(certificates->watches[i]);
    sd_event_source_disable_unref(certificates->look);
    sd_event_source_disable_unref(certificates->calendar);
    free(certificates);
}
