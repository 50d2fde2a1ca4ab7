/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keeps the credentials in force up to date. While all is well nothing runs but a timer of the wall
 * clock, for the next day on which there is something to say or to change.
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

/* How often the log repeats that a certificate expires, in seconds. */
#define DAY (24 * 3600)

struct certificates {
    struct core *core;
    struct hosts *hosts;
    struct path_watch *watches[TLS_FILE_COUNT];
    sd_event_source *look; /* timer to read the files again */
    uint64_t look_at;      /* when it fires, by the monotonic clock; 0: it is not set */
    sd_event_source *calendar;
    time_t warned;     /* when the log last said that a certificate expires */
    time_t warned_of;  /* and when that one does */
    char warning[256]; /* for certificates_apply to return */
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

/* Has the files read again in `pause` microseconds, unless that is planned for sooner. */
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

/* Key and certificate are seldom renewed in the same moment, so this waits for the others. */
static void on_changed(void *argument)
{
    struct certificates *certificates = argument;
    plan_look(certificates, certificates->core->settings.certificate_settle);
}

/* A file that cannot be watched is no failure here: while something is wrong, the files are looked
 * at every trouble_retry anyway. */
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

/* NULL until there is a valid configuration. */
static struct credentials *in_force(const struct certificates *certificates)
{
    return certificates->hosts->londs.credentials;
}

/* What the dates of the certificates in force mean now. Without a context nothing is usable. */
static void judge_dates(const struct certificates *certificates, struct validity_verdict *verdict)
{
    const struct credentials *credentials = in_force(certificates);
    const struct settings *settings = &certificates->core->settings;
    *verdict = (struct validity_verdict){.usable = false};
    if (credentials != NULL && credentials->tls != NULL)
        tls_context_judge(credentials->tls, time(NULL),
                          (time_t)(settings->certificate_warning / 1000000), verdict);
}

/* If the new files cannot be used, the context in force stays, unless it cannot be used either. */
static void keep_usable_context(const struct certificates *certificates, struct credentials *new)
{
    struct credentials *old = in_force(certificates);
    struct validity_verdict verdict;
    if (!new->wanted || new->tls != NULL)
        return;
    judge_dates(certificates, &verdict);
    if (verdict.usable && tls_context_follow(old->tls, &certificates->core->settings))
        credentials_take_context(new, old);
}

/* What it means for londs that ssl is wanted and cannot be used. */
static const char *consequence_for_londs(const struct credentials *credentials)
{
    return credentials->fallback ? "londs are spoken to insecurely, as tls_fallback says"
                                 : "londs that offer ssl are not reached";
}

static void list_troubles(const struct certificates *certificates,
                          const struct validity_verdict *verdict)
{
    struct core *core = certificates->core;
    const struct credentials *credentials = in_force(certificates);
    char date[VALIDITY_DATE_SIZE];
    if (credentials->wanted && credentials->tls == NULL)
        trouble_begin(core, TROUBLE_TLS, "%s; %s", credentials->problem,
                      consequence_for_londs(credentials));
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

/* The credentials in force have changed, or time has passed: brings troubles, calendar and the next
 * look at the files up to date. */
static void take_stock(struct certificates *certificates)
{
    const struct core *core = certificates->core;
    struct validity_verdict verdict;
    judge_dates(certificates, &verdict);
    list_troubles(certificates, &verdict);
    keep_calendar(certificates, &verdict);
    if (in_force(certificates)->problem[0] != '\0')
        plan_look(certificates, core->settings.trouble_retry);
    else if (!credentials_are_current(in_force(certificates)))
        plan_look(certificates, core->settings.certificate_settle);
}

static void put_in_force(struct certificates *certificates, struct credentials *new)
{
    const struct credentials *old = in_force(certificates);
    bool had_none = old != NULL && old->tls == NULL; /* asked first: the context may move to `new` */
    keep_usable_context(certificates, new);
    bool gained = had_none && new->tls != NULL;
    londs_use_credentials(&certificates->hosts->londs, new);
    watch_files(certificates, &new->files);
    take_stock(certificates);
    if (gained)
        hosts_renew(certificates->hosts);
}

/* --- Reading the files again ------------------------------------------------------------------ */

/* The diagnostics end up in the list of troubles, see struct credentials. */
static void say_nothing(void *argument, const char *text)
{
    (void)argument;
    (void)text;
}

static void read_again(struct certificates *certificates)
{
    struct core *core = certificates->core;
    const struct credentials *old = in_force(certificates);
    struct diagnostics diagnostics = {.say = say_nothing};
    struct validity_verdict verdict;
    judge_dates(certificates, &verdict);
    bool is_well = old->problem[0] == '\0' && (verdict.usable || !old->wanted);
    if (is_well && credentials_are_current(old)) {
        watch_files(certificates, &old->files); /* the paths may lead through other folders now */
        take_stock(certificates);
        return;
    }
    struct credentials *new = credentials_load(core->config, &diagnostics);
    if (new == NULL) {
        plan_look(certificates, core->settings.trouble_retry);
        return;
    }
    credentials_follow(new, old);
    bool usable = new->tls != NULL;
    put_in_force(certificates, new);
    if (usable)
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
    judge_dates(certificates, &verdict);
    if (verdict.usable)
        take_stock(certificates);
    else
        read_again(certificates);
    return 0;
}

static void log_expiry(struct certificates *certificates, const struct validity_verdict *verdict,
                       time_t now)
{
    char date[VALIDITY_DATE_SIZE];
    log_write(LOG_WARNING, &(struct log_about){.event = LOG_EVENT_CERTIFICATE},
              "%s: the certificate expires at %s; from then on %s", verdict->soon_path,
              validity_date(verdict->soon, date), consequence_for_londs(in_force(certificates)));
    certificates->warned = now;
    certificates->warned_of = verdict->soon;
}

/* Logs that a certificate expires when that is due, once a day, and sets the timer for the next day
 * on which there is something to say or to change. */
static void keep_calendar(struct certificates *certificates, const struct validity_verdict *verdict)
{
    struct core *core = certificates->core;
    time_t now = time(NULL), next = verdict->next;
    if (verdict->soon != 0) {
        if (certificates->warned_of != verdict->soon || now >= certificates->warned + DAY ||
            now < certificates->warned)
            log_expiry(certificates, verdict, now);
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

/* What the state of the files means, for whoever asked for a reload; NULL where all is well. */
static const char *warning_for_reload(struct certificates *certificates, bool had_ssl)
{
    const struct credentials *credentials = in_force(certificates);
    struct validity_verdict verdict;
    char date[VALIDITY_DATE_SIZE];
    if (had_ssl && !credentials->wanted)
        return "ssl is off now: none of its files exists any more";
    if (credentials->problem[0] == '\0')
        return NULL;
    if (credentials->tls == NULL) {
        snprintf(certificates->warning, sizeof(certificates->warning), "ssl cannot be used: %s",
                 consequence_for_londs(credentials));
        return certificates->warning;
    }
    judge_dates(certificates, &verdict);
    snprintf(certificates->warning, sizeof(certificates->warning),
             "ssl goes on with what was read before, which stays in force until %s",
             validity_date(verdict.expires, date));
    return certificates->warning;
}

/* Local mode or ssl may be off on purpose, so the log says so, but it is no trouble. */
static void log_what_is_off(const struct credentials *credentials)
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
    const struct credentials *old = in_force(certificates);
    bool had_ssl = old != NULL && old->wanted;
    /* Only before the first handshake in this folder: later, a key file may be in use. */
    if (old == NULL || strcmp(old->directory, credentials->directory) != 0)
        keyfile_sweep(credentials->directory);
    log_what_is_off(credentials);
    certificates->warned_of = 0;
    put_in_force(certificates, credentials);
    if (core->settings.tls_min_version < TLS_VERSION_1_2)
        log_write(LOG_WARNING, NULL, "tls_min_version allows TLS older than 1.2");
    const char *warning = warning_for_reload(certificates, had_ssl);
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
