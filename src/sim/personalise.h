/* SPDX-License-Identifier: Apache-2.0 */
/* From a profile and the keys to what a card holds: data elements, records, AFL, certificates. */
#ifndef DP_SIM_PERSONALISE_H
#define DP_SIM_PERSONALISE_H

#include "pack.h"
#include "profile.h"
#include "rsa.h"

#define SIM_AFL_MAX 64

struct sim_application {
    const struct sim_application_profile *profile;
    bool contactless;
    struct sim_elements elements; /* everything static */
    struct sim_record records[SIM_RECORDS_MAX];
    size_t records_n;
    uint8_t afl[SIM_AFL_MAX];
    size_t afl_n;
    struct sim_rsa icc;
    struct sim_card_keys master;
    char
        pin[SIM_PIN_MAX + 1]; /* the issuer changes it by script; no terminal of ours asks for it */
};

/* Reads the keys it needs from the directory, signs the certificates. Errors are logged. */
DP_MUST_USE int sim_personalise(const struct sim_application_profile *profile, bool contactless,
                                const char *keys, struct sim_application *out);
/* The fDDA signature is too long for the answer to GET PROCESSING OPTIONS. */
bool sim_signature_in_record(const struct sim_application *a);
/* A record's bytes (template 70); more: elements made for this transaction, may be NULL. */
void sim_record_pack(const struct sim_application *a, const struct sim_record *r,
                     const struct sim_elements *more, struct sim_buf *out);

#endif
