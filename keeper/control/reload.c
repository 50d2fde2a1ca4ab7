/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order of a reload's steps, and who is told of its end. Each step is done by the module whose
 * files, hosts or queues are concerned.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "common/plural.h"
#include "keeper/control/lonclog.h"
#include "keeper/control/reload.h"
#include "keeper/core/sliced_task.h"

TAILQ_HEAD(reload_waiters, reload_waiter);

struct reload {
    struct core *core;
    struct reload_parts parts;
    const char *config_path;
    struct sliced_task task; /* runs while a reload is under way */
    unsigned step;           /* enum step */

    struct diagnostics diagnostics;
    struct reload_outcome outcome; /* so far */
    struct config_reading *loading;
    struct config *config; /* the new one; after the switch the old one, until nobody needs it */
    struct credentials *credentials;
    struct hosts_change change;

    struct reload_waiters waiting, next; /* for this reload; for the one after it */
    bool touch, next_touches;            /* lonc-hosts is to run after it: nobody waits who would */
    bool again;                          /* another reload follows this one */

    sd_event_source *retry; /* runs until there has been a valid configuration */
    uint64_t pause;         /* before the last of those attempts, in microseconds; 0: none yet */
    bool by_itself;         /* this reload is such an attempt, which nobody asked for */
};

/* For lack of memory the answer lacks a text that is in the log. */
static void append_text(struct buffer *texts, const char *text)
{
    (void)!buffer_append(texts, text, strlen(text) + 1);
}

static void clear_outcome(struct reload *reload)
{
    buffer_free(&reload->outcome.errors);
    buffer_free(&reload->outcome.warnings);
    /* An administrator is told what is wrong even if requests take all memory. */
    reload->outcome = (struct reload_outcome){.errors.reserved = true, .warnings.reserved = true};
}

/*
 * A diagnostic goes to the log and to those who wait. An attempt that nobody asked for logs
 * nothing, because it finds the same mistakes each minute; they are in the list of troubles.
 */
static void report_diagnostic(void *argument, const char *text)
{
    struct reload *reload = argument;
    append_text(&reload->outcome.errors, text);
    if (!reload->by_itself)
        log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_LOAD_FAILED}, "%s", text);
}

static void report_no_memory(struct reload *reload)
{
    diagnostics_add(&reload->diagnostics, "reload", 0, "out of memory");
}

/* --- The steps -------------------------------------------------------------------------------- */

/* Each step does some of its work and returns true if it has more to do. A step that complains is
 * the last one. */

static bool read_settings(struct reload *reload)
{
    if (!reload->by_itself)
        notifier_reloading(reload->parts.notifier);
    reload->loading = config_open(reload->config_path, &reload->diagnostics);
    if (reload->loading == NULL)
        report_no_memory(reload);
    return false;
}

static bool read_table(struct reload *reload)
{
    if (config_read_some(reload->loading))
        return true;
    reload->config = config_close(reload->loading);
    reload->loading = NULL;
    return false;
}

static void report_warning(void *argument, const char *text)
{
    struct reload *reload = argument;
    append_text(&reload->outcome.warnings, text);
    log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_CERTIFICATE}, "%s", text);
}

/* A mistake in the files for ssl only warns, since the table must not wait for a certificate. */
static bool load_credentials(struct reload *reload)
{
    struct diagnostics of_files = {.say = report_warning, .argument = reload};
    reload->credentials = credentials_load(reload->config, &of_files);
    if (reload->credentials == NULL)
        report_no_memory(reload);
    return false;
}

static bool prepare_hosts(struct reload *reload)
{
    reload->change.table = &reload->config->table;
    int r = hosts_prepare_some(&reload->change, reload->config->settings.resolve);
    if (r < 0)
        report_no_memory(reload);
    return r > 0;
}

static void apply_credentials(struct reload *reload)
{
    const char *warning = certificates_apply(reload->parts.certificates, reload->credentials);
    reload->credentials = NULL;
    if (warning != NULL)
        append_text(&reload->outcome.warnings, warning);
}

/* From here on, nothing fails. Hosts hold a reference to the configuration that they point into. */
static bool switch_over(struct reload *reload)
{
    struct core *core = reload->core;
    struct config *config = reload->config;
    reload->config = core->config;
    core->config = config;
    core->settings = config->settings;
    loop_spans_changed(&core->loop);
    buffers_set_limit(config->settings.buffers_limit);
    log_open("lonc-keeper", (enum log_target)config->settings.log_target,
             (int)config->settings.log_level, LOG_JOURNAL_SOCKET);
    lonclog_open(core, config->settings.log_file);
    hosts_settings_changed(reload->change.hosts);
    if (config->valid)
        apply_credentials(reload);
    return false;
}

static bool apply_hosts(struct reload *reload)
{
    return hosts_apply_some(&reload->change);
}

static bool tell_others(struct reload *reload)
{
    hosts_change_end(&reload->change);
    deferred_reload(reload->parts.deferred);
    notifier_configured(reload->parts.notifier);
    socket_watch_configured(reload->parts.socket_watch);
    return false;
}

static bool sweep_locks(struct reload *reload)
{
    return notifier_sweep_some_locks(reload->parts.notifier);
}

static bool release_old(struct reload *reload)
{
    const struct core *core = reload->core;
    config_unref(reload->config);
    reload->config = NULL;
    log_write(LOG_NOTICE, &(struct log_about){.event = LOG_EVENT_LOADED},
              "%zu host%s in force, as %s", reload->parts.hosts->count,
              plural(reload->parts.hosts->count), core->config->loncapa.host_id);
    return false;
}

enum step {
    STEP_SETTINGS,
    STEP_TABLE,
    STEP_CREDENTIALS,
    STEP_PREPARE,
    STEP_SWITCH,
    STEP_APPLY,
    STEP_OTHERS,
    STEP_LOCKS,
    STEP_RELEASE,
    STEPS
};

static bool (*const steps[STEPS])(struct reload *reload) = {
    [STEP_SETTINGS] = read_settings,       [STEP_TABLE] = read_table,
    [STEP_CREDENTIALS] = load_credentials, [STEP_PREPARE] = prepare_hosts,
    [STEP_SWITCH] = switch_over,           [STEP_APPLY] = apply_hosts,
    [STEP_OTHERS] = tell_others,           [STEP_LOCKS] = sweep_locks,
    [STEP_RELEASE] = release_old,
};

/* --- Beginning and end ------------------------------------------------------------------------ */

static void begin_reload(struct reload *reload)
{
    reload->step = 0;
    reload->diagnostics = (struct diagnostics){.say = report_diagnostic, .argument = reload};
    clear_outcome(reload);
    TAILQ_CONCAT(&reload->waiting, &reload->next, link);
    reload->by_itself = !reload->again;
    reload->touch = reload->next_touches || reload->by_itself;
    reload->again = reload->next_touches = false;
    sliced_task_start(&reload->task);
}

static int on_retry(sd_event_source *source, uint64_t when, void *argument)
{
    struct reload *reload = argument;
    (void)source;
    (void)when;
    reload->core->loop.now = monotonic_now();
    if (!reload->task.running) /* otherwise its end plans the next attempt */
        begin_reload(reload);
    return 0;
}

/*
 * A keeper that has never had a valid configuration tries again by itself, because the files may be
 * on a disk that is mounted later during the boot. It does so quickly at first, since clients get
 * con_lost meanwhile.
 */
static void plan_retry(struct reload *reload)
{
    struct core *core = reload->core;
    const struct settings *settings = &core->settings;
    if (core->config->valid)
        return;
    reload->pause = reload->pause == 0 ? settings->config_retry_min : 2 * reload->pause;
    if (reload->pause > settings->config_retry_max)
        reload->pause = settings->config_retry_max;
    int r = loop_alarm(&core->loop, &reload->retry, CLOCK_MONOTONIC,
                       monotonic_now() + reload->pause, on_retry, reload);
    if (r < 0)
        log_write(LOG_ERR, NULL, "cannot set a timer to read the configuration again: %s",
                  strerror(-r));
}

/* Frees what was prepared and is not in force. */
static void discard_unused(struct reload *reload)
{
    hosts_change_end(&reload->change);
    if (reload->loading != NULL)
        reload->config = config_close(reload->loading);
    reload->loading = NULL;
    credentials_free(reload->credentials);
    reload->credentials = NULL;
    config_unref(reload->config);
    reload->config = NULL;
}

static void fail_reload(struct reload *reload)
{
    discard_unused(reload);
    if (!reload->by_itself)
        log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_LOAD_FAILED},
                  "reload failed: %u error%s; the old configuration stays in force",
                  reload->diagnostics.count, plural(reload->diagnostics.count));
    trouble_begin(reload->core, TROUBLE_CONFIG, "%s", reload->diagnostics.first);
}

static void end_reload(struct reload *reload)
{
    struct reload_waiter *waiter;
    bool failed = reload->outcome.failed = reload->diagnostics.count > 0;
    if (failed)
        fail_reload(reload);
    else
        trouble_end(reload->core, TROUBLE_CONFIG);
    if (!reload->by_itself || !failed)
        notifier_ready(reload->parts.notifier);
    if (reload->touch && !(reload->by_itself && failed))
        notifier_touch_reloaded(reload->parts.notifier);
    sliced_task_stop(&reload->task);
    while ((waiter = TAILQ_FIRST(&reload->waiting)) != NULL) {
        reload_withdraw(waiter);
        waiter->done(waiter, &reload->outcome);
    }
    clear_outcome(reload);
    if (reload->again)
        begin_reload(reload);
    else
        plan_retry(reload);
}

/* Returns whether the reload has ended. */
static bool take_step(struct reload *reload)
{
    if (!steps[reload->step](reload))
        reload->step++;
    return reload->step == STEPS || reload->diagnostics.count > 0;
}

static bool reload_some(struct sliced_task *task)
{
    struct reload *reload = CONTAINER_OF(task, struct reload, task);
    if (take_step(reload))
        end_reload(reload);
    return reload->task.running; /* the end may have begun the next one */
}

void reload_ask(struct reload *reload, struct reload_waiter *waiter)
{
    if (waiter != NULL) {
        waiter->reload = reload;
        TAILQ_INSERT_TAIL(&reload->next, waiter, link);
    }
    reload->next_touches |= waiter == NULL;
    reload->again = true;
    reload->pause = 0; /* somebody is working on the files, so retry soon */
    if (!reload->task.running)
        begin_reload(reload);
}

void reload_withdraw(struct reload_waiter *waiter)
{
    struct reload *reload = waiter->reload;
    struct reload_waiter *other;
    if (reload == NULL)
        return;
    waiter->reload = NULL;
    TAILQ_FOREACH (other, &reload->waiting, link)
        if (other == waiter) {
            TAILQ_REMOVE(&reload->waiting, waiter, link);
            return;
        }
    TAILQ_REMOVE(&reload->next, waiter, link);
}

/* --- The first -------------------------------------------------------------------------------- */

static int prepare_first(struct reload *reload)
{
    (void)load_credentials(reload);
    while (reload->credentials != NULL && prepare_hosts(reload))
        continue;
    return reload->credentials == NULL || reload->diagnostics.count > 0 ? -ENOMEM : 0;
}

int reload_first(struct reload *reload, struct config *config, const char *diagnostic)
{
    bool valid = config->valid;
    reload->diagnostics = (struct diagnostics){.say = report_diagnostic, .argument = reload};
    reload->config = config;
    reload->core->config = NULL;
    int r = valid ? prepare_first(reload) : 0;
    if (r < 0)
        return r;
    switch_over(reload);
    for (reload->step = STEP_APPLY; valid && !take_step(reload);)
        continue;
    if (!valid)
        trouble_begin(reload->core, TROUBLE_CONFIG, "%s", diagnostic);
    plan_retry(reload);
    return 0;
}

/* --- Coming and going ------------------------------------------------------------------------- */

struct reload *reload_new(const struct reload_parts *parts, const char *config_path)
{
    struct reload *reload = calloc(1, sizeof(*reload));
    if (reload == NULL)
        return NULL;
    *reload = (struct reload){
        .core = parts->hosts->core,
        .parts = *parts,
        .config_path = config_path,
        .change = {.hosts = parts->hosts},
    };
    TAILQ_INIT(&reload->waiting);
    TAILQ_INIT(&reload->next);
    if (sliced_task_open(&reload->task, &reload->core->loop, reload_some) < 0) {
        reload_free(reload);
        return NULL;
    }
    return reload;
}

void reload_free(struct reload *reload)
{
    if (reload == NULL)
        return;
    discard_unused(reload);
    clear_outcome(reload);
    sd_event_source_disable_unref(reload->retry);
    sliced_task_close(&reload->task);
    free(reload);
}
