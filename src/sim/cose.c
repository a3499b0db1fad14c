/* SPDX-License-Identifier: Apache-2.0 */
#include "cose.h"

#include <string.h>

#include <openssl/sha.h>

#include "x509.h"

/* RFC 9052 section 4.4: what is signed, then what is written. */
int sim_cose_sign(EVP_PKEY *key, const char *aad, const struct sim_buf *payload,
                  struct sim_buf *out)
{
    static const uint8_t protected[] = {0xA1, 0x01, 0x26}; /* {1: -7}, ES256 */
    static struct sim_buf to_sign;
    uint8_t point[65], digest[SHA256_DIGEST_LENGTH], signature[64];
    int err = sim_ec_point(key, point);
    to_sign.n = 0;
    sim_put_cbor(&to_sign, SIM_CBOR_ARRAY, 4);
    sim_put_cbor_text(&to_sign, "Signature1");
    sim_put_cbor_bytes(&to_sign, protected, sizeof protected);
    sim_put_cbor_bytes(&to_sign, aad, strlen(aad));
    sim_put_cbor_bytes(&to_sign, payload->p, payload->n);
    if (err == DP_OK)
        err = sim_ec_sign(key, to_sign.p, to_sign.n, signature);
    if (err != DP_OK)
        return err;
    SHA256(point, sizeof point, digest);
    sim_put_cbor(out, SIM_CBOR_TAG, 18);
    sim_put_cbor(out, SIM_CBOR_ARRAY, 4);
    sim_put_cbor_bytes(out, protected, sizeof protected);
    sim_put_cbor(out, SIM_CBOR_MAP, 1);
    sim_put_cbor(out, SIM_CBOR_UINT, 4);
    sim_put_cbor_bytes(out, digest, 8);
    sim_put_cbor_bytes(out, payload->p, payload->n);
    sim_put_cbor_bytes(out, signature, sizeof signature);
    return DP_OK;
}
