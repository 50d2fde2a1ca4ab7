/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "keeper/loncctl/words.h"

struct words words_count(long long count)
{
    struct words words;
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%lld", count);
    char *to = words.text;
    for (int i = 0; i < n; i++) {
        if (i > 0 && digits[i - 1] != '-' && (n - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return words;
}

struct words words_rate(double rate)
{
    struct words words;
    if (rate >= 99.95)
        return words_count((long long)(rate + 0.5));
    if (isnan(rate))
        snprintf(words.text, sizeof(words.text), "-");
    else
        snprintf(words.text, sizeof(words.text), "%.*f",
                 rate <= 0      ? 0
                 : rate < 0.095 ? 2
                                : 1,
                 rate);
    return words;
}

struct words words_latency(double seconds)
{
    struct words words;
    double ms = seconds * 1000;
    if (isnan(seconds))
        snprintf(words.text, sizeof(words.text), "-");
    else if (ms < 999.5)
        snprintf(words.text, sizeof(words.text), "%.*f ms", ms < 9.95 ? 1 : 0, ms);
    else
        snprintf(words.text, sizeof(words.text), "%.*f s", seconds < 9.95 ? 1 : 0, seconds);
    return words;
}

struct words words_duration(double seconds)
{
    static const struct {
        long long length;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    struct words words;
    long long left = seconds > 0 ? (long long)seconds : 0;
    int unit = 0;
    while (unit < 3 && left < units[unit].length)
        unit++;
    int n = snprintf(words.text, sizeof(words.text), "%lld %s", left / units[unit].length,
                     units[unit].name);
    left %= units[unit].length;
    if (unit < 3 && left >= units[unit + 1].length)
        snprintf(words.text + n, sizeof(words.text) - (size_t)n, " %lld %s",
                 left / units[unit + 1].length, units[unit + 1].name);
    return words;
}

struct words words_date(double seconds_since_1970)
{
    struct words words;
    struct tm local;
    time_t time = (time_t)seconds_since_1970;
    strftime(words.text, sizeof(words.text), "%e %b %H:%M", localtime_r(&time, &local));
    return words;
}
