/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The private channel on which shims hand client connections to the keeper: SOCK_SEQPACKET, one
 * message with up to CHANNEL_BATCH descriptors, each message acknowledged before the keeper reads a
 * byte of what it brought. The shim keeps its copies until then, so a keeper that dies loses nobody
 * (shim/README.md, "The hand-over"). This is the one place where descriptors cross a socket.
 */
#ifndef LONC_COMMON_CHANNEL_H
#define LONC_COMMON_CHANNEL_H

#include "common/attributes.h"

/* Descriptors in one message. A batch saves system calls; past this the savings are gone. */
#define CHANNEL_BATCH 16

/*
 * Connects to the keeper's channel without waiting. Returns a descriptor that the caller owns, or a
 * negative errno: -EAGAIN while the backlog is full (nothing tells when it no longer is: try
 * again).
 */
MUST_CHECK int channel_connect(const char *path);

/*
 * Hands over `count` descriptors, 1 to CHANNEL_BATCH, in one message; the caller's copies stay
 * open. Never waits. 0, or a negative errno: -EAGAIN when the keeper is behind in reading,
 * -ETOOMANYREFS when too many descriptors of this user are in flight.
 */
MUST_CHECK int channel_send(int channel, const int *fds, unsigned count);

/*
 * Receives one message without waiting. Returns the number of descriptors put into `fds`, which are
 * close-on-exec and the caller's; 0 at the end of the stream; -EBADMSG for a malformed message and
 * -EMFILE when the kernel dropped descriptors because this process may have no more: of both, every
 * descriptor that did arrive has been closed, and the message must not be acknowledged. Else a
 * negative errno.
 */
MUST_CHECK int channel_receive(int channel, int fds[CHANNEL_BATCH]);

/*
 * Tells the sender that its next message has been taken. 0, or a negative errno (-EPIPE: the
 * sender has given up and answers its clients itself): then the descriptors must be closed unread.
 */
MUST_CHECK int channel_acknowledge(int channel);

/* One acknowledgement, without waiting: 1, 0 at the end of the stream, or a negative errno. */
MUST_CHECK int channel_read_acknowledgement(int channel);

/*
 * The same, on a channel that channel_connect has opened, waiting for CHANNEL_AWAIT microseconds at
 * most (a keeper that is not stuck takes less): -EAGAIN after that.
 */
#define CHANNEL_AWAIT 1000
MUST_CHECK int channel_await_acknowledgement(int channel);

#endif
