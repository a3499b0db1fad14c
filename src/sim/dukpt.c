/* SPDX-License-Identifier: Apache-2.0 */
#include "dukpt.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

enum {
    ALGORITHM_AES128 = 2,
    COUNTER_BITS_SET_MAX = 16
};

static int aes_block(const uint8_t key[16], const uint8_t in[16], uint8_t out[16])
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n = 0, ok;
    ok = c != NULL && EVP_EncryptInit_ex2(c, EVP_aes_128_ecb(), key, NULL, NULL) == 1 &&
         EVP_CIPHER_CTX_set_padding(c, 0) == 1 && EVP_EncryptUpdate(c, out, &n, in, 16) == 1 &&
         n == 16;
    EVP_CIPHER_CTX_free(c);
    return ok ? DP_OK : DP_ERR_CRYPTO;
}

/* The derivation data: version, block counter, usage, algorithm, bits, and 8 bytes of context. An
 * AES-128 key is one block. */
static int derive(const uint8_t from[16], enum sim_dukpt_usage usage, const uint8_t context[8],
                  uint8_t out[16])
{
    uint8_t data[16] = {1, 1,  (uint8_t)((unsigned)usage >> 8), (uint8_t)usage, 0, ALGORITHM_AES128,
                        0, 128};
    memcpy(data + 8, context, 8);
    return aes_block(from, data, out);
}

static uint32_t counter_of(const uint8_t ksn[12])
{
    return (uint32_t)ksn[8] << 24 | (uint32_t)ksn[9] << 16 | (uint32_t)ksn[10] << 8 | ksn[11];
}

/* Right half of the initial key id, then the counter. */
static void context_of(const uint8_t ksn[12], uint32_t counter, uint8_t context[8])
{
    memcpy(context, ksn + 4, 4);
    for (int i = 0; i < 4; i++)
        context[4 + i] = (uint8_t)(counter >> (24 - 8 * i));
}

int sim_dukpt_initial_key(const uint8_t bdk[16], const uint8_t id[8], uint8_t ik[16])
{
    return derive(bdk, SIM_DUKPT_DERIVE_INITIAL, id, ik);
}

int sim_dukpt_derivation_key(const uint8_t ik[16], const uint8_t ksn[12], uint8_t key[16])
{
    uint32_t counter = counter_of(ksn), so_far = 0;
    uint8_t context[8], next[16];
    int err = DP_OK;
    if (counter == 0 || __builtin_popcount(counter) > COUNTER_BITS_SET_MAX)
        return DP_ERR_RANGE;
    memcpy(key, ik, 16);
    for (uint32_t bit = 0x80000000u; bit != 0 && err == DP_OK; bit >>= 1) {
        if ((counter & bit) == 0)
            continue;
        so_far |= bit;
        context_of(ksn, so_far, context);
        err = derive(key, SIM_DUKPT_DERIVE, context, next);
        memcpy(key, next, 16);
    }
    OPENSSL_cleanse(next, sizeof next);
    return err;
}

int sim_dukpt_working_key(const uint8_t ik[16], const uint8_t ksn[12], enum sim_dukpt_usage usage,
                          uint8_t key[16])
{
    uint8_t context[8], from[16];
    int err = sim_dukpt_derivation_key(ik, ksn, from);
    if (err != DP_OK)
        return err;
    context_of(ksn, counter_of(ksn), context);
    err = derive(from, usage, context, key);
    OPENSSL_cleanse(from, sizeof from);
    return err;
}

int sim_cmac_of_digest(const uint8_t key[16], const uint8_t *message, size_t message_n,
                       uint8_t mac[16])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    size_t n = 16;
    const void *out;
    SHA256(message, message_n, digest);
    out = EVP_Q_mac(NULL, "CMAC", NULL, "AES-128-CBC", NULL, key, 16, digest, sizeof digest, mac,
                    16, &n);
    return out != NULL && n == 16 ? DP_OK : DP_ERR_CRYPTO;
}
