/* SPDX-License-Identifier: Apache-2.0 */
/* One SOCK_SEQPACKET pair between two processes, with the table of messages enforced on both sides.
 */
#ifndef DP_DOORPAYD_CHANNEL_H
#define DP_DOORPAYD_CHANNEL_H

#include "msg.h"

struct dp_channel {
    int fd; /* -1: closed */
    enum dp_role self, peer;
    uint64_t open; /* types opened and not yet used or closed */
};

void dp_channel_init(struct dp_channel *c, int fd, enum dp_role self, enum dp_role peer);
void dp_channel_close(struct dp_channel *c);
/* A pair; fds are close-on-exec. */
DP_MUST_USE int dp_channel_pair(int fds[2]);

/* Sends one message; body may be NULL for an empty one. DP_ERR_GONE: closed, or the peer does not
 * read. The type must be one that self may send to peer (an invariant). */
DP_MUST_USE int dp_channel_send(struct dp_channel *c, enum dp_msg_type type, const void *body);
/* The same, with a descriptor. */
DP_MUST_USE int dp_channel_send_fd(struct dp_channel *c, enum dp_msg_type type, const void *body,
                                   int fd);
/*
 * One message, waiting at most timeout_ms (-1: for ever, 0: not at all). DP_ERR_TIMEOUT: none;
 * DP_ERR_GONE: the peer closed; DP_ERR_DENIED: unknown type, wrong size, sender, receiver, not
 * permitted now, or a body that does not pass dp_msg_check: the peer is not to be trusted any more.
 * fd (may be NULL) receives a descriptor, or -1.
 */
DP_MUST_USE DP_PARSES int dp_channel_receive(struct dp_channel *c, int timeout_ms,
                                             enum dp_msg_type *type, union dp_msg_body *body,
                                             int *fd);

#endif
