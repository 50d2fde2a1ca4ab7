/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Numbers as people read them. Each returns its text by value, to be used where it is made:
 *
 *     printf("up for %s\n", words_duration(93784).text);
 */
#ifndef LONC_LONCCTL_WORDS_H
#define LONC_LONCCTL_WORDS_H

struct words {
    char text[32];
};

struct words words_count(long long count);   /* 1,234,567 */
struct words words_rate(double rate);        /* 0.3, 27.4, 1,234 */
struct words words_latency(double seconds);  /* 0.8 ms, 31 ms, 1.9 s; "-" for NAN */
struct words words_duration(double seconds); /* 3 d 4 h, 12 min, 5 s: its two largest units */
struct words words_date(double seconds_since_1970); /* 22 Nov 14:05, local time */

#endif
