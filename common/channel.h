/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The private channel, over which shims hand client connections to the keeper: a SOCK_SEQPACKET
 * socket, and messages with up to CHANNEL_BATCH descriptors each. The keeper acknowledges a message
 * before it reads a byte from the connections in it, and the shim keeps its copies until then; so a
 * keeper that dies loses no client (shim/README.md, "The hand-over"). Descriptors cross a socket
 * nowhere else.
 */
#ifndef LONC_COMMON_CHANNEL_H
#define LONC_COMMON_CHANNEL_H

#include "common/attributes.h"

/* Most descriptors in one message. A batch saves system calls; a larger one would save no more. */
#define CHANNEL_BATCH 16

/*
 * Connects to the keeper's channel without waiting. Returns a descriptor that the caller owns, or a
 * negative errno. -EAGAIN means that the backlog is full; no event tells when it has room again, so
 * the caller has to try again.
 */
MUST_CHECK int channel_connect(const char *path);

/*
 * Hands over `count` descriptors, 1 to CHANNEL_BATCH, in one message; the caller's copies stay
 * open. Never waits. 0, or a negative errno: -EAGAIN if the keeper lags behind in reading,
 * -ETOOMANYREFS if too many descriptors of this user are in flight.
 */
MUST_CHECK int channel_send(int channel, const int *fds, unsigned count);

/*
 * Receives one message without waiting. Returns the number of descriptors stored in `fds`, which
 * are close-on-exec and belong to the caller; 0 at the end of the stream; or a negative errno.
 * -EBADMSG means a malformed message, -EMFILE that the kernel dropped descriptors because this
 * process may have no more. In both cases every descriptor that did arrive has been closed, and the
 * message must not be acknowledged.
 */
MUST_CHECK int channel_receive(int channel, int fds[CHANNEL_BATCH]);

/*
 * Acknowledges the sender's oldest message that has not been acknowledged. 0, or a negative errno:
 * then the sender answers its clients itself (-EPIPE: it has given up), and the descriptors must be
 * closed without reading from them.
 */
MUST_CHECK int channel_acknowledge(int channel);

/* Receives one acknowledgement without waiting. 1, 0 at the end of the stream, or a negative errno.
 */
MUST_CHECK int channel_read_acknowledgement(int channel);

/*
 * The same on a channel opened by channel_connect(), but waits for up to CHANNEL_AWAIT
 * microseconds; then -EAGAIN. A keeper that is not stuck takes less.
 */
#define CHANNEL_AWAIT 1000
MUST_CHECK int channel_await_acknowledgement(int channel);

#endif
