/* SPDX-License-Identifier: Apache-2.0 */
/* A fresh, provisioned key store of a given kind; what its back end must be able to do. */
#ifndef DP_TESTS_HSM_FIXTURE_H
#define DP_TESTS_HSM_FIXTURE_H

#include <doorpay/hsm.h>

struct fixture {
    char dir[64], uri[96];
    struct dp_hsm_caps caps; /* what this kind must say of itself */
    struct dp_hsm *hsm;
};

/* kind: a scheme. 0, or -1 when there is none such. */
int fixture_make(const char *kind, struct fixture *f);
void fixture_remove(struct fixture *f);
/* Closes and opens again. */
void fixture_reopen(struct fixture *f);

#endif
