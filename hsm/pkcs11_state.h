/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a PKCS #11 token holds beside keys: one data object, replaced by a younger one. It says
 * which epoch is the last and where DUKPT stands; the keys themselves are objects of their own.
 */
#ifndef DP_HSM_PKCS11_STATE_H
#define DP_HSM_PKCS11_STATE_H

#include <doorpay/hsm.h>

#define PKCS11_COUNTERS        2 /* by enum dp_hsm_counter, from 1 */
#define PKCS11_STATE_BYTES_MAX 64

struct pkcs11_state {
    uint64_t sequence; /* of writes; never 0 in a state that was read or made */
    uint64_t counters[PKCS11_COUNTERS];
    uint32_t epoch_number; /* of the last epoch; 0: none yet */
    uint32_t tls_number;   /* of the TLS client key in use, from 1; the next one is to come */
    bool dukpt_loaded;
    uint8_t dukpt_id[8];
    uint32_t dukpt_counter; /* of the next transaction; 0: used up */
};

/* DP_ERR_UNSUPPORTED: another format; DP_ERR_SHORT, DP_ERR_TRAILING, DP_ERR_RANGE. */
DP_MUST_USE DP_PARSES int pkcs11_state_decode(const uint8_t *p, size_t n, struct pkcs11_state *out);
/* The bytes written. */
size_t pkcs11_state_encode(const struct pkcs11_state *s, uint8_t out[PKCS11_STATE_BYTES_MAX]);

#endif
