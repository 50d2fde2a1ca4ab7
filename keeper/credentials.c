/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Certificates last for a year, and are forgotten: so the log says in time that one expires.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "keeper/credentials.h"
#include "keeper/keyfile.h"

/* How often it is said again. */
#define DAY (24 * 3600)

struct credentials *credentials_load(const struct config *config, struct complaints *complaints)
{
    struct credentials *credentials = calloc(1, sizeof(*credentials));
    if (credentials == NULL)
        return NULL;
    credentials->directory = strdup(config->loncapa.cert_dir);
    if (credentials->directory == NULL) {
        free(credentials);
        return NULL;
    }
    credentials->local = keyfile_possible(credentials->directory);
    (void)tls_context_load(&credentials->tls, &config->loncapa, &config->settings, complaints);
    return credentials;
}

void credentials_free(struct credentials *credentials)
{
    if (credentials == NULL)
        return;
    sd_event_source_disable_unref(credentials->expiry);
    tls_context_free(credentials->tls);
    free(credentials->directory);
    free(credentials);
}

enum handshake_mode credentials_mode(const struct credentials *credentials,
                                     const struct handshake_identity *identity)
{
    if (credentials->local && strcmp(identity->remote_id, identity->own_id) == 0)
        return HANDSHAKE_LOCAL;
    return credentials->tls != NULL ? HANDSHAKE_SSL : HANDSHAKE_INSECURE;
}

/* --- Expiry ----------------------------------------------------------------------------------- */

static void watch_expiry(struct credentials *credentials);

static int on_expiry(sd_event_source *source, uint64_t when, void *argument)
{
    (void)source;
    (void)when;
    watch_expiry(argument);
    return 0;
}

static void say_expiry(const char *path, time_t expires, time_t now)
{
    char date[32];
    struct tm when;
    gmtime_r(&expires, &when);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", &when);
    log_write(expires <= now ? LOG_ERR : LOG_WARNING,
              &(struct log_about){.event = LOG_EVENT_CERTIFICATE}, "%s: the certificate %s at %s",
              path, expires <= now ? "expired" : "expires", date);
}

/* Says it when it is time to, and comes back when it is next. */
static void watch_expiry(struct credentials *credentials)
{
    const char *path;
    time_t now = time(NULL);
    time_t expires = tls_context_expires(credentials->tls, &path);
    time_t from = expires - (time_t)(credentials->service->settings.certificate_warning / 1000000);
    if (now >= from) {
        say_expiry(path, expires, now);
        from = now + DAY;
    }
    int r = loop_alarm(&credentials->service->loop, &credentials->expiry, CLOCK_REALTIME,
                       (uint64_t)from * 1000000, on_expiry, credentials);
    if (r < 0)
        log_write(LOG_ERR, NULL, "cannot set a timer for the certificates: %s", strerror(-r));
}

void credentials_apply(struct credentials *credentials, struct service *service)
{
    const struct credentials *old = service->credentials;
    credentials->service = service;
    /* Later, handshakes may be under way that have one. */
    if (old == NULL || strcmp(old->directory, credentials->directory) != 0)
        keyfile_sweep(credentials->directory);
    credentials_free(service->credentials);
    service->credentials = credentials;
    if (credentials->tls != NULL)
        watch_expiry(credentials);
    if (service->settings.tls_min_version < TLS_VERSION_1_2)
        log_write(LOG_WARNING, NULL, "tls_min_version allows TLS older than 1.2");
}
