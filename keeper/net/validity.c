/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Judging the dates of certificates.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "keeper/net/validity.h"

const char *validity_date(time_t when, char text[VALIDITY_DATE_SIZE])
{
    struct tm utc;
    if (gmtime_r(&when, &utc) == NULL ||
        strftime(text, VALIDITY_DATE_SIZE, "%Y-%m-%d %H:%M UTC", &utc) == 0)
        snprintf(text, VALIDITY_DATE_SIZE, "an unknown date");
    return text;
}

static bool is_valid(const struct validity *one, time_t now)
{
    return one->from <= now && now < one->until;
}

/* Not of lists of revoked certificates, which are routinely renewed a few days before they end. */
static bool is_warned_of(const struct validity *one)
{
    return one->role != VALIDITY_REVOCATIONS;
}

static void note_moment(struct validity_verdict *verdict, time_t now, time_t when)
{
    if (when > now && (verdict->next == 0 || when < verdict->next))
        verdict->next = when;
}

__attribute__((format(printf, 2, 3))) static void warn(struct validity_verdict *verdict,
                                                       const char *format, ...)
{
    size_t length = strlen(verdict->warnings);
    va_list arguments;
    if (length > 0)
        length +=
            (size_t)snprintf(verdict->warnings + length, sizeof(verdict->warnings) - length, "; ");
    if (length >= sizeof(verdict->warnings))
        return;
    va_start(arguments, format);
    vsnprintf(verdict->warnings + length, sizeof(verdict->warnings) - length, format, arguments);
    va_end(arguments);
}

static void warn_of(struct validity_verdict *verdict, const struct validity *one, time_t now,
                    time_t warning)
{
    char date[VALIDITY_DATE_SIZE];
    if (one->from > now)
        warn(verdict, "%s: %s: \"%s\" is not valid before %s and is ignored until then", one->path,
             one->variable, one->subject, validity_date(one->from, date));
    else if (one->until <= now)
        warn(verdict, "%s: %s: \"%s\" expired at %s and is ignored", one->path, one->variable,
             one->subject, validity_date(one->until, date));
    else if (is_warned_of(one) && one->until <= now + warning)
        warn(verdict, "%s: %s: \"%s\" expires at %s", one->path, one->variable, one->subject,
             validity_date(one->until, date));
}

/* No certificate of this role is valid now; `one` is the last that was, or the first that will be.
 */
static void report_problem(struct validity_verdict *verdict, const struct validity *one, time_t now)
{
    const char *kind = one->role == VALIDITY_REVOCATIONS ? "list" : "certificate";
    char date[VALIDITY_DATE_SIZE];
    bool early = one->from > now;
    verdict->usable = false;
    verdict->expires = verdict->soon = 0;
    verdict->path = one->path;
    snprintf(verdict->problem, sizeof(verdict->problem), "%s: expected a valid %s, but it %s %s",
             one->variable, kind, early ? "is not valid before" : "expired at",
             validity_date(early ? one->from : one->until, date));
}

/* The certificate of this role that is valid for longest, or if none is valid, the one that ends
 * last. NULL if there is none. */
static const struct validity *best_of(const struct validity *of, size_t count,
                                      enum validity_role role, time_t now)
{
    const struct validity *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (of[i].role != role)
            continue;
        bool better = best == NULL || (is_valid(&of[i], now) && !is_valid(best, now)) ||
                      (is_valid(&of[i], now) == is_valid(best, now) && of[i].until > best->until);
        if (better)
            best = &of[i];
    }
    return best;
}

/* When this one expires, ssl becomes unusable. */
static void note_end(struct validity_verdict *verdict, const struct validity *one, time_t now,
                     time_t warning)
{
    if (verdict->expires == 0 || one->until < verdict->expires)
        verdict->expires = one->until;
    if (!is_warned_of(one) || one->until > now + warning ||
        (verdict->soon != 0 && verdict->soon <= one->until))
        return;
    verdict->soon = one->until;
    verdict->soon_path = one->path;
}

void validity_judge(const struct validity *of, size_t count, time_t now, time_t warning,
                    struct validity_verdict *verdict)
{
    *verdict = (struct validity_verdict){.usable = true};
    for (enum validity_role role = 0; role < VALIDITY_NEEDED && verdict->usable; role++) {
        const struct validity *best = best_of(of, count, role, now);
        if (best == NULL)
            continue;
        if (is_valid(best, now))
            note_end(verdict, best, now, warning);
        else
            report_problem(verdict, best, now);
    }
    for (size_t i = 0; i < count; i++) {
        note_moment(verdict, now, of[i].from);
        note_moment(verdict, now, of[i].until);
        if (is_warned_of(&of[i]))
            note_moment(verdict, now, of[i].until - warning);
        if (verdict->usable)
            warn_of(verdict, &of[i], now, warning);
    }
}
