/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token in memory for tests that open a key store many thousand times. Its whole state is a value
 * that is kept and put back; a signature is two hashes, which the test's own dp_cose_verify (put in
 * place of the real one when the test is linked: fast_token_wraps in meson.build) makes again.
 */
#ifndef DP_TESTS_HSM_FAST_TOKEN_H
#define DP_TESTS_HSM_FAST_TOKEN_H

#include <doorpay/hsm.h>

/* No hidden bytes: states are compared whole. */
struct fast_state {
    uint8_t anchor[32];
    uint32_t epoch;      /* number of the last one */
    uint32_t epoch_live; /* 0: destroyed */
    uint32_t generation; /* of the side store's key */
    uint32_t destroyed;  /* generations below this are gone */
};

/* One at a time, new: nothing bound, no epoch. dp_hsm_free does nothing to it. */
struct dp_hsm *fast_token_new(void);
/* What it holds now, to be kept and put back. */
struct fast_state *fast_token_state(void);

#endif
