/* SPDX-License-Identifier: Apache-2.0 */
/* What the soft key store holds, and its file's format: docs/PROTOCOL.hsm-soft. */
#ifndef DP_HSM_SOFT_STATE_H
#define DP_HSM_SOFT_STATE_H

#include <doorpay/hsm.h>

#include "base/limits.h"
#include "dukpt.h"

#define SOFT_COUNTERS        2 /* by enum dp_hsm_counter, from 1 */
#define SOFT_STATE_BYTES_MAX 1536

struct soft_wrap_key {
    uint32_t generation;
    uint8_t key[32];
};

struct soft_state {
    uint64_t sequence; /* of writes; never 0 in a state that was read or made */
    uint8_t anchor[32];
    uint64_t counters[SOFT_COUNTERS];
    uint8_t identity[32], tls_client[32], card_data[32]; /* private scalars */
    bool tls_waits;                                      /* a TLS client key is to come */
    uint8_t tls_next[32];                                /* it */
    uint32_t epoch_number;                               /* of the last epoch; 0: none yet */
    bool epoch_live;
    uint8_t epoch[32];
    struct soft_wrap_key wraps[DP_HSM_WRAP_GENERATIONS_MAX]; /* ascending; the last is current */
    uint8_t wraps_n;
    bool dukpt_loaded;
    struct dukpt dukpt;
};

/* DP_ERR_TAMPERED: the check sum at the end does not match; DP_ERR_UNSUPPORTED: another format;
 * DP_ERR_SHORT, DP_ERR_TRAILING, DP_ERR_RANGE. *what (static lifetime) says what is wrong. */
DP_MUST_USE DP_PARSES int soft_state_decode(const uint8_t *p, size_t n, struct soft_state *out,
                                            const char **what);
/* The bytes written. */
DP_MUST_USE int soft_state_encode(const struct soft_state *s, uint8_t out[SOFT_STATE_BYTES_MAX],
                                  size_t *n);

#endif
