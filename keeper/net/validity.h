/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the dates of certificates mean for ssl: whether it can be used now, what to warn of, and
 * when that may change. Rules without I/O: the dates and the time are arguments.
 */
#ifndef LONC_KEEPER_NET_VALIDITY_H
#define LONC_KEEPER_NET_VALIDITY_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* What a certificate or list is for. ssl needs a valid one of each role before VALIDITY_NEEDED. */
enum validity_role {
    VALIDITY_OWN,         /* this server's certificate */
    VALIDITY_AUTHORITY,   /* a CA's: one valid one suffices, and others are ignored */
    VALIDITY_REVOCATIONS, /* a list of revoked certificates: without a valid one, OpenSSL trusts
                             nobody */
    VALIDITY_NEEDED,
    /* One that follows our own in its file. It is not needed, since lond may have a newer one. */
    VALIDITY_CHAIN = VALIDITY_NEEDED
};

/* When one certificate or list is valid, in seconds of the wall clock. */
struct validity {
    enum validity_role role;
    time_t from, until;
    const char *path;     /* its file */
    const char *variable; /* the setting that names the file */
    char subject[128];    /* whom it certifies */
};

#define VALIDITY_TEXT_SIZE 512

struct validity_verdict {
    bool usable;
    char problem[VALIDITY_TEXT_SIZE];  /* why it is not usable; to be shown behind `path` */
    char warnings[VALIDITY_TEXT_SIZE]; /* what is ignored or expires soon; may be empty */
    const char *path;                  /* the file with the problem */
    time_t expires;                    /* when ssl becomes unusable; 0 if it is so now */
    time_t soon;                       /* when the certificate to warn of expires, or 0 */
    const char *soon_path;             /* its file */
    time_t next;                       /* when to judge again; 0 for never */
};

/*
 * Judges `count` certificates and lists, with warnings from `warning` seconds before one expires.
 * If there is no list of revoked certificates, none is needed.
 */
void validity_judge(const struct validity *of, size_t count, time_t now, time_t warning,
                    struct validity_verdict *verdict);

/* Writes a date as "2027-01-31 12:00 UTC". Returns `text`. */
#define VALIDITY_DATE_SIZE 32
const char *validity_date(time_t when, char text[VALIDITY_DATE_SIZE]);

#endif
