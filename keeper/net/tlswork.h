/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where TLS is computed: in one thread beside the loop, at a lower priority. A signature takes a
 * millisecond and more, and when many hosts come back at once there are hundreds to make: in the
 * loop, every other host's requests would wait for them. The thread touches nothing but the
 * connection it was given, and the loop leaves that alone meanwhile.
 */
#ifndef LONC_KEEPER_NET_TLSWORK_H
#define LONC_KEEPER_NET_TLSWORK_H

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "keeper/core/service.h"
#include "keeper/net/tls.h"

struct tls_works; /* the thread, and what it has to do */

/* One connection's TLS, from the first byte to the key. */
struct tls_work {
    struct tls *tls;
    int fd; /* not watched while the thread has it */
    struct tls_works *works;
    /* Set by who began it, called in the loop when tls_work_advance has come as far as it can; the
     * progress, and with TLS_DONE the digits, are below. */
    void (*advanced)(struct tls_work *work);
    void *owner;
    enum tls_progress progress;
    char digits[TLS_KEY_DIGITS];
    bool running; /* the thread has it, or will */
    STAILQ_ENTRY(tls_work) link;
};

/* NULL without memory or a descriptor. The thread starts with the first work. */
struct tls_works *tls_works_new(struct service *service);

/* Ends the thread and frees what it has; whoever began works has ended them. NULL is allowed. */
void tls_works_free(struct tls_works *works);

/* tls_new, and what the thread needs beside. NULL without memory. */
struct tls_work *tls_work_new(struct tls_works *works, struct tls_context *context, int fd,
                              const char *name);

/* Has the thread call tls_advance, then `advanced`. 0, or a negative errno: there is no thread. */
int tls_work_advance(struct tls_work *work);

/*
 * Ends it: the descriptor is closed, now or when the thread has let go of it, and `advanced` is not
 * called any more.
 */
void tls_work_close(struct tls_work *work);

/* Frees it, wiped, and leaves the descriptor open; only while the thread does not have it. */
void tls_work_free(struct tls_work *work);

#endif
