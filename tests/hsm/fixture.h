/* SPDX-License-Identifier: Apache-2.0 */
/* A fresh, provisioned key store of a given kind; what its back end must be able to do. */
#ifndef DP_TESTS_HSM_FIXTURE_H
#define DP_TESTS_HSM_FIXTURE_H

#include <doorpay/hsm.h>
#include <sys/types.h>

struct fixture {
    char dir[64], uri[512];
    char nowhere[512];       /* the URI of one that is not there */
    struct dp_hsm_caps caps; /* what this kind must say of itself */
    uint64_t counter_step;   /* how far a counter rises at once */
    bool shared;             /* can be looked at while it is in use */
    pid_t tpm;               /* swtpm, where the kind has one */
    pid_t manager;           /* tpm2-abrmd, likewise */
    struct dp_hsm *hsm;
};

/* kind: one of the table in fixture.c. 0, or -1 when there is none such or it does not work. */
int fixture_make(const char *kind, struct fixture *f);
/* The same, without provisioning or opening it. */
int fixture_make_bare(const char *kind, struct fixture *f);
void fixture_remove(struct fixture *f);
/* The TPM dies. */
void fixture_end_tpm(struct fixture *f);
/* Closes and opens again. */
void fixture_reopen(struct fixture *f);

#endif
