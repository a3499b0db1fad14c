/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The acquirer's host: one message in, the answer out. It knows no socket: who sent the message is
 * told by the caller, who took it from the client's certificate.
 */
#ifndef DP_SIM_HOST_H
#define DP_SIM_HOST_H

#include <doorpay/base.h>

#include "books.h"
#include "faults.h"
#include "issuer.h"
#include "seal.h"

struct sim_host {
    struct sim_books books;
    struct sim_seal seal;
    struct sim_issuer_keys issuer;
    uint8_t bdk[16];
    size_t mac_n; /* 8 or 16 */
    struct sim_faults faults;
    uint64_t taken, answered;
};

/* Keys and books. What fails is logged. */
DP_MUST_USE int sim_host_open(struct sim_host *h, const char *keys_dir, const char *books);
void sim_host_close(struct sim_host *h);

struct sim_host_answer {
    struct sim_buf frame; /* without its length */
    unsigned times;       /* to be sent: 0, 1 or 2 */
    unsigned delay_ms;
};
/* tid: the common name of the certificate. An error: the books failed, and nothing may be
 * answered. */
DP_MUST_USE int sim_host_take(struct sim_host *h, int64_t connection, const char *tid,
                              const uint8_t *p, size_t n, struct sim_host_answer *out);

#endif
