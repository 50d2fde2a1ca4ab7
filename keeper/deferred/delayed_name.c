/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Parsing and comparing names of deferred files.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/host_name.h"
#include "keeper/deferred/delayed_name.h"

int delayed_compare(const struct delayed_order *one, const struct delayed_order *other)
{
    if (one->epoch != other->epoch)
        return one->epoch < other->epoch ? -1 : 1;
    if (one->count != other->count)
        return one->count < other->count ? -1 : 1;
    return 0;
}

static const char *parse_component(const char *text, uint64_t *number)
{
    char *end;
    if (*text < '0' || *text > '9')
        return NULL;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && *end == '.' ? end + 1 : NULL;
}

const char *delayed_parse_name(const char *name, struct delayed_order *order)
{
    const char *rest = parse_component(name, &order->epoch);
    if (rest == NULL || (rest = parse_component(rest, &order->count)) == NULL)
        return NULL;
    const char *dot = strrchr(rest, '.');
    const char *host = dot != NULL ? dot + 1 : rest;
    return host_name_is_valid(host) ? host : NULL;
}

const char *delayed_longer_host(const char *name, const char *host)
{
    struct delayed_order order;
    const char *start = parse_component(name, &order.epoch);
    start = start != NULL ? parse_component(start, &order.count) : NULL;
    if (start == NULL || host - start < 2)
        return NULL;
    host -= 2; /* to the last byte of the component on the left */
    while (host > start && host[-1] != '.')
        host--;
    return host_name_is_valid(host) ? host : NULL;
}

bool delayed_is_own(const char *name)
{
    return strcmp(name, DELAYED_HELD_FOLDER) == 0 || strcmp(name, DELAYED_REJECTED_FOLDER) == 0 ||
           strcmp(name, DELAYED_CORRUPT_FOLDER) == 0 || strcmp(name, DELAYED_STORING_FOLDER) == 0;
}
