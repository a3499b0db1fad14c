/* SPDX-License-Identifier: Apache-2.0 */
/* COSE_Sign1 with ES256, the simulators' own packing of it. */
#ifndef DP_SIM_COSE_H
#define DP_SIM_COSE_H

#include <openssl/evp.h>

#include "pack.h"

/* The tagged message behind what out holds; its key id is made of the key's public point. */
DP_MUST_USE int sim_cose_sign(EVP_PKEY *key, const char *aad, const struct sim_buf *payload,
                              struct sim_buf *out);

#endif
