/* SPDX-License-Identifier: Apache-2.0 */
#include "cipher.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define MAC_INPUT_MAX 512

size_t sim_block(enum sim_cipher cipher)
{
    return cipher == SIM_AES ? 16 : 8;
}

static int run(const EVP_CIPHER *kind, const uint8_t key[16], bool encrypt, const uint8_t *in,
               size_t n, uint8_t *out)
{
    static const uint8_t zero[SIM_BLOCK_MAX];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int got = 0, ok;
    ok = c != NULL && EVP_CipherInit_ex2(c, kind, key, zero, encrypt ? 1 : 0, NULL) == 1 &&
         EVP_CIPHER_CTX_set_padding(c, 0) == 1 && EVP_CipherUpdate(c, out, &got, in, (int)n) == 1 &&
         got == (int)n;
    EVP_CIPHER_CTX_free(c);
    return ok ? DP_OK : DP_ERR_CRYPTO;
}

int sim_ecb(enum sim_cipher cipher, const uint8_t key[16], bool encrypt, const uint8_t *in,
            size_t n, uint8_t *out)
{
    if (n == 0 || n % sim_block(cipher) != 0)
        return DP_ERR_RANGE;
    return run(cipher == SIM_AES ? EVP_aes_128_ecb() : EVP_des_ede_ecb(), key, encrypt, in, n, out);
}

int sim_cbc(enum sim_cipher cipher, const uint8_t key[16], bool encrypt, const uint8_t *in,
            size_t n, uint8_t *out)
{
    if (n == 0 || n % sim_block(cipher) != 0)
        return DP_ERR_RANGE;
    return run(cipher == SIM_AES ? EVP_aes_128_cbc() : EVP_des_ede_cbc(), key, encrypt, in, n, out);
}

size_t sim_pad(enum sim_padding padding, size_t block, uint8_t *data, size_t n)
{
    size_t padded;
    if (padding == SIM_PAD_80)
        data[n++] = 0x80;
    padded = n == 0 ? block : (n + block - 1) / block * block;
    memset(data + n, 0, padded - n);
    return padded;
}

int sim_retail_mac(const uint8_t key[16], enum sim_padding padding, const uint8_t *data, size_t n,
                   uint8_t mac[8])
{
    uint8_t in[MAC_INPUT_MAX + 8], out[MAC_INPUT_MAX + 8], left[16], right[16];
    int err;
    if (n > MAC_INPUT_MAX)
        return DP_ERR_LIMIT;
    if (n > 0)
        memcpy(in, data, n);
    n = sim_pad(padding, 8, in, n);
    /* two equal halves make triple DES a single one */
    memcpy(left, key, 8);
    memcpy(left + 8, key, 8);
    memcpy(right, key + 8, 8);
    memcpy(right + 8, key + 8, 8);
    err = sim_cbc(SIM_DES3, left, true, in, n, out);
    if (err == DP_OK)
        err = sim_ecb(SIM_DES3, right, false, out + n - 8, 8, in);
    if (err == DP_OK)
        err = sim_ecb(SIM_DES3, left, true, in, 8, mac);
    OPENSSL_cleanse(left, sizeof left);
    OPENSSL_cleanse(right, sizeof right);
    return err;
}

int sim_cmac(const uint8_t key[16], const uint8_t *data, size_t n, uint8_t mac[8])
{
    uint8_t whole[16];
    size_t got = 0;
    const void *ok = EVP_Q_mac(NULL, "CMAC", NULL, "AES-128-CBC", NULL, key, 16, data, n, whole,
                               sizeof whole, &got);
    if (ok == NULL || got != sizeof whole)
        return DP_ERR_CRYPTO;
    memcpy(mac, whole, 8);
    return DP_OK;
}

void sim_odd_parity(uint8_t *key, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (__builtin_popcount(key[i]) % 2 == 0)
            key[i] ^= 1;
}
