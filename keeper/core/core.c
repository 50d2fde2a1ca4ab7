/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The shared accounts: descriptors, limits and troubles.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/core/core.h"

int core_start(struct core *core, struct config *config)
{
    core->memory_limit = (struct limit){.name = "memory of all buffers", .trouble = TROUBLE_MEMORY};
    core->descriptor_limit =
        (struct limit){.name = "open descriptors", .trouble = TROUBLE_DESCRIPTORS};
    core->config = config;
    core->settings = config->settings;
    int r = loop_open(&core->loop);
    if (r < 0)
        return r;
    core->loop.turn_bytes = &core->settings.turn_bytes;
    scarcity_init(&core->scarcity, &core->loop, &core->settings.buffers_limit);
    stats_init(&core->stats, core->loop.now);
    return 0;
}

void core_end(struct core *core)
{
    loop_close(&core->loop);
    config_unref(core->config);
}

void core_count_descriptors(struct core *core)
{
    struct rlimit limit = {.rlim_cur = 1024};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        rlim_t soft = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            limit.rlim_cur = soft;
    }
    core->descriptors_max = (size_t)limit.rlim_cur;
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    if (directory == NULL)
        return;
    while ((entry = readdir(directory)) != NULL)
        if (entry->d_name[0] != '.')
            core->descriptors++;
    closedir(directory);
    core->descriptors--; /* the directory's own */
}

void core_descriptor_opened(struct core *core)
{
    core->descriptors++;
}

void core_descriptor_closed(struct core *core)
{
    core->descriptors--;
    if (core->descriptor_freed != NULL)
        core->descriptor_freed(core->descriptor_freed_argument);
}

void core_close(struct core *core, int fd)
{
    close(fd);
    core_descriptor_closed(core);
}

size_t core_descriptors_free(const struct core *core)
{
    /* A small limit must not be taken up by the reserve. */
    size_t reserve = core->settings.descriptor_reserve;
    if (reserve > core->descriptors_max / 4)
        reserve = core->descriptors_max / 4;
    size_t kept = core->descriptors + reserve;
    return kept < core->descriptors_max ? core->descriptors_max - kept : 0;
}

void core_descriptors_run_short(struct core *core)
{
    core->descriptors_short = true;
    limit_reached(core, &core->descriptor_limit, NULL);
}

void core_descriptors_suffice(struct core *core)
{
    core->descriptors_short = false;
    limit_left(core, &core->descriptor_limit, NULL);
}

bool core_descriptors_are_short(const struct core *core)
{
    return core->descriptors_short;
}

void core_on_descriptor_freed(struct core *core, void (*freed)(void *argument), void *argument)
{
    core->descriptor_freed = freed;
    core->descriptor_freed_argument = argument;
}

void core_changed(struct core *core)
{
    if (core->changed != NULL)
        core->changed(core->changed_argument);
}

void core_on_change(struct core *core, void (*changed)(void *argument), void *argument)
{
    core->changed = changed;
    core->changed_argument = argument;
}

void trouble_begin(struct core *core, enum trouble kind, const char *format, ...)
{
    char detail[TROUBLE_DETAIL_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    if (troubles_add(&core->troubles, kind, detail, core->loop.now))
        core_changed(core);
}

void trouble_end(struct core *core, enum trouble kind)
{
    if (troubles_remove(&core->troubles, kind, core->loop.now))
        core_changed(core);
}

bool trouble_is_present(const struct core *core, enum trouble kind)
{
    return core->troubles.of[kind].present;
}

/* Not before half of it is free; otherwise a budget at its edge would fill the log. */
void core_check_memory(struct core *core)
{
    if (core->memory_limit.reached && buffers_used() <= core->settings.buffers_limit / 2)
        limit_left(core, &core->memory_limit, NULL);
}

void limit_reached(struct core *core, struct limit *limit, const char *host)
{
    limit->count++;
    if (limit->reached)
        return;
    limit->reached = true;
    log_write(LOG_WARNING, &(struct log_about){.event = LOG_EVENT_LIMIT_REACHED, .host = host},
              "limit reached: %s", limit->name);
    if (limit->trouble != TROUBLE_NONE)
        trouble_begin(core, limit->trouble, "the limit of %s is met", limit->name);
}

void limit_left(struct core *core, struct limit *limit, const char *host)
{
    if (!limit->reached)
        return;
    log_write(LOG_NOTICE, &(struct log_about){.event = LOG_EVENT_LIMIT_LEFT, .host = host},
              "limit left: %s, after %" PRIu64 " times", limit->name, limit->count);
    limit->reached = false;
    limit->count = 0;
    if (limit->trouble != TROUBLE_NONE)
        trouble_end(core, limit->trouble);
}
