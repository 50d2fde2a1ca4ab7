/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The shared accounts: descriptors and limits.
 */
#include <inttypes.h>

#include "common/log.h"
#include "keeper/core/service.h"

void service_opened(struct service *service, size_t count)
{
    service->descriptors += count;
}

void service_closed(struct service *service)
{
    service->descriptors--;
    if (service->descriptor_freed != NULL)
        service->descriptor_freed(service);
}

size_t service_descriptors_free(const struct service *service)
{
    /* Of a small limit the reserve is not most. */
    size_t reserve = service->settings.descriptor_reserve;
    if (reserve > service->descriptors_max / 4)
        reserve = service->descriptors_max / 4;
    size_t kept = service->descriptors + reserve;
    return kept < service->descriptors_max ? service->descriptors_max - kept : 0;
}

void service_changed(struct service *service)
{
    if (service->presence != NULL && service->changed.queue == NULL)
        deadline_start(&service->changing, &service->changed);
}

/* Not before half of it is free, so that a budget at its edge does not fill the log. */
void service_check_memory(struct service *service)
{
    if (service->memory_limit.reached && buffers_used() <= service->settings.buffers_limit / 2)
        limit_left(service, &service->memory_limit, NULL);
}

void limit_reached(struct service *service, struct limit *limit, const char *host)
{
    limit->count++;
    if (limit->reached)
        return;
    limit->reached = true;
    log_write(LOG_WARNING, &(struct log_about){.event = LOG_EVENT_LIMIT_REACHED, .host = host},
              "limit reached: %s", limit->name);
    if (limit->trouble != TROUBLE_NONE)
        trouble_begin(service, limit->trouble, "the limit of %s is met", limit->name);
}

void limit_left(struct service *service, struct limit *limit, const char *host)
{
    if (!limit->reached)
        return;
    log_write(LOG_NOTICE, &(struct log_about){.event = LOG_EVENT_LIMIT_LEFT, .host = host},
              "limit left: %s, after %" PRIu64 " times", limit->name, limit->count);
    limit->reached = false;
    limit->count = 0;
    if (limit->trouble != TROUBLE_NONE)
        trouble_end(service, limit->trouble);
}
