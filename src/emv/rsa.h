/* SPDX-License-Identifier: Apache-2.0 */
/* Raw RSA with a public key: EMV's recovery function (EMV 4.4 Book 2, B2.1). */
#ifndef DP_EMV_RSA_H
#define DP_EMV_RSA_H

#include "oda.h"

/*
 * out = in ^ exponent mod modulus; in and out are n bytes and n is the modulus's length.
 * DP_ERR_SIGNATURE: no such key (length out of 512..1984 bit, even modulus or one with leading
 * zeros, exponent other than 3 and 65537), or in is no number below the modulus; DP_ERR_CRYPTO.
 * out is all zeros then.
 */
DP_MUST_USE int emv_rsa_recover(const struct oda_key *key, const uint8_t *in, size_t n,
                                uint8_t *out);
/* The key could be one: lengths, odd, no leading zero, exponent. */
bool emv_rsa_key_valid(const struct oda_key *key);

#endif
