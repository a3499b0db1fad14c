/* SPDX-License-Identifier: Apache-2.0 */
/* TLS on a connected socket. Everything that knows the library is in tls.c. */
#ifndef DP_LINK_TLS_H
#define DP_LINK_TLS_H

#include <doorpay/link.h>

struct tls;

/* How a step went. */
enum tls_step {
    TLS_DONE = 0,
    TLS_WANTS_READ,
    TLS_WANTS_WRITE,
    TLS_FAILED
};

DP_MUST_USE int tls_new(const struct dp_link_config *config, struct tls **out);
void tls_free(struct tls **t);
/* A new session on fd, which stays the caller's. */
DP_MUST_USE int tls_begin(struct tls *t, int fd);
void tls_end(struct tls *t);
enum tls_step tls_handshake(struct tls *t);
/* *n: bytes read or written when DONE. FAILED also when the peer closed. */
enum tls_step tls_read(struct tls *t, uint8_t *p, size_t max, size_t *n);
enum tls_step tls_write(struct tls *t, const uint8_t *p, size_t n, size_t *written);
/* After FAILED: why, and words for people. */
enum dp_link_trouble tls_trouble(const struct tls *t, char words[DP_LINK_WORDS]);

#endif
