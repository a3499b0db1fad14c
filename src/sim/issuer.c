/* SPDX-License-Identifier: Apache-2.0 */
#include "issuer.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "pack.h"

#define MAC_INPUT_MAX 512

int sim_issuer_keys_load(const char *dir, struct sim_issuer_keys *keys)
{
    const struct {
        const char *name;
        uint8_t *key;
    } files[] = {
        {"issuer-ac.hex", keys->ac}, {"issuer-mac.hex", keys->mac}, {"issuer-enc.hex", keys->enc}};
    char path[4096];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        int err =
            sim_read_hex_file(sim_path(path, sizeof path, dir, files[i].name), files[i].key, 16);
        if (err != DP_OK)
            return err;
    }
    return DP_OK;
}

/* ---- 3DES ---- */

static int des2(const uint8_t key[16], bool encrypt, bool chain, const uint8_t *in, size_t n,
                uint8_t *out)
{
    static const uint8_t zero[8];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int got = 0, ok;
    ok = c != NULL &&
         EVP_CipherInit_ex2(c, chain ? EVP_des_ede_cbc() : EVP_des_ede_ecb(), key, zero,
                            encrypt ? 1 : 0, NULL) == 1 &&
         EVP_CIPHER_CTX_set_padding(c, 0) == 1 && EVP_CipherUpdate(c, out, &got, in, (int)n) == 1 &&
         got == (int)n;
    EVP_CIPHER_CTX_free(c);
    return ok ? DP_OK : DP_ERR_CRYPTO;
}

static void odd_parity(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (__builtin_popcount(p[i]) % 2 == 0)
            p[i] ^= 1;
}

int sim_retail_mac(const uint8_t key[16], enum sim_padding padding, const uint8_t *data, size_t n,
                   uint8_t mac[8])
{
    uint8_t in[MAC_INPUT_MAX + 8] = {0}, out[MAC_INPUT_MAX + 8], left[16], right[16];
    int err;
    if (n > MAC_INPUT_MAX)
        return DP_ERR_LIMIT;
    memcpy(in, data, n);
    if (padding == SIM_PAD_80)
        in[n++] = 0x80;
    n = n == 0 ? 8 : (n + 7) / 8 * 8;
    /* two equal halves make triple DES a single one */
    memcpy(left, key, 8);
    memcpy(left + 8, key, 8);
    memcpy(right, key + 8, 8);
    memcpy(right + 8, key + 8, 8);
    err = des2(left, true, true, in, n, out);
    if (err == DP_OK)
        err = des2(right, false, false, out + n - 8, 8, in);
    if (err == DP_OK)
        err = des2(left, true, false, in, 8, mac);
    OPENSSL_cleanse(left, sizeof left);
    OPENSSL_cleanse(right, sizeof right);
    return err;
}

/* ---- keys ---- */

/* 16 digits as BCD, then the same inverted, each through 3DES. */
static int master_of(const uint8_t issuer_key[16], const uint8_t y[8], uint8_t key[16])
{
    uint8_t in[16];
    int err;
    for (int i = 0; i < 8; i++) {
        in[i] = y[i];
        in[8 + i] = y[i] ^ 0xFF;
    }
    err = des2(issuer_key, true, false, in, 16, key);
    odd_parity(key, 16);
    return err;
}

static size_t pan_and_psn(const char *pan, int psn, char *out, size_t out_n)
{
    return (size_t)snprintf(out, out_n, "%s%02d", pan, psn < 0 ? 0 : psn);
}

int sim_master_key_a(const uint8_t issuer_key[16], const char *pan, int psn, uint8_t key[16])
{
    char digits[32];
    uint8_t y[8];
    size_t n = pan_and_psn(pan, psn, digits, sizeof digits);
    if (n >= sizeof digits)
        return DP_ERR_RANGE;
    if (sim_bcd_right(n > 16 ? digits + n - 16 : digits, y, 8) != DP_OK)
        return DP_ERR_FORMAT;
    return master_of(issuer_key, y, key);
}

/* The first 16 decimal digits of the hash; when it has too few, its letters as digits after them.
 */
static void decimalise(const uint8_t hash[SHA_DIGEST_LENGTH], char out[17])
{
    size_t n = 0;
    for (int letters = 0; letters < 2; letters++) {
        for (size_t i = 0; i < 2 * SHA_DIGEST_LENGTH && n < 16; i++) {
            int nibble = i % 2 == 0 ? hash[i / 2] >> 4 : hash[i / 2] & 15;
            if ((nibble > 9) == (letters == 1))
                out[n++] = (char)('0' + nibble % 10);
        }
    }
    out[16] = '\0';
}

static int master_key_b(const uint8_t issuer_key[16], const char *pan, int psn, uint8_t key[16])
{
    char digits[32], chosen[17];
    uint8_t bcd[16], hash[SHA_DIGEST_LENGTH], y[8];
    size_t n = pan_and_psn(pan, psn, digits, sizeof digits);
    if (n >= sizeof digits || sim_bcd_right(digits, bcd, (n + 1) / 2) != DP_OK)
        return DP_ERR_FORMAT;
    SHA1(bcd, (n + 1) / 2, hash);
    decimalise(hash, chosen);
    if (sim_bcd_right(chosen, y, 8) != DP_OK)
        return DP_ERR_INTERNAL;
    return master_of(issuer_key, y, key);
}

int sim_master_key(const uint8_t issuer_key[16], const char *pan, int psn, uint8_t key[16])
{
    if (strlen(pan) > 16)
        return master_key_b(issuer_key, pan, psn, key);
    return sim_master_key_a(issuer_key, pan, psn, key);
}

int sim_session_key(const uint8_t master[16], const uint8_t diversifier[8], uint8_t key[16])
{
    uint8_t in[16];
    int err;
    memcpy(in, diversifier, 8);
    memcpy(in + 8, diversifier, 8);
    in[2] = 0xF0;
    in[10] = 0x0F;
    err = des2(master, true, false, in, 16, key);
    odd_parity(key, 16);
    return err;
}

int sim_ac_key(const uint8_t master_ac[16], enum sim_cvn cvn, const uint8_t atc[2], uint8_t key[16])
{
    const uint8_t diversifier[8] = {atc[0], atc[1]};
    if (cvn != SIM_CVN_10)
        return sim_session_key(master_ac, diversifier, key);
    memcpy(key, master_ac, 16);
    return DP_OK;
}

/* ---- cryptograms ---- */

int sim_iad_parse(const uint8_t *iad, size_t n, enum sim_cvn *cvn, struct dp_bytes *cvr)
{
    if (n >= 7 && iad[0] == 6 && (iad[2] == SIM_CVN_10 || iad[2] == SIM_CVN_18)) {
        *cvn = (enum sim_cvn)iad[2];
        *cvr = (struct dp_bytes){iad + 3, 4};
        return DP_OK;
    }
    if (n == 18 && iad[1] == SIM_CVN_20) {
        *cvn = SIM_CVN_20;
        *cvr = (struct dp_bytes){iad + 2, 6};
        return DP_OK;
    }
    return DP_ERR_UNSUPPORTED;
}

int sim_cryptogram(const uint8_t master_ac[16], const struct sim_ac_input *in, uint8_t ac[8])
{
    uint8_t data[128], key[16];
    size_t n = 0;
    struct dp_bytes cvr;
    enum sim_cvn cvn;
    int err = sim_iad_parse(in->iad, in->iad_n, &cvn, &cvr);
    if (err != DP_OK)
        return err;
    const struct dp_bytes parts[] = {{in->amount, 6},
                                     {in->other, 6},
                                     {in->country, 2},
                                     {in->tvr, 5},
                                     {in->currency, 2},
                                     {in->date, 3},
                                     {&in->type, 1},
                                     {in->un, 4},
                                     {in->aip, 2},
                                     {in->atc, 2},
                                     cvn == SIM_CVN_18 ? (struct dp_bytes){in->iad, in->iad_n}
                                                       : cvr};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        memcpy(data + n, parts[i].p, parts[i].n);
        n += parts[i].n;
    }
    err = sim_ac_key(master_ac, cvn, in->atc, key);
    if (err == DP_OK)
        err = sim_retail_mac(key, cvn == SIM_CVN_10 ? SIM_PAD_ZEROS : SIM_PAD_80, data, n, ac);
    OPENSSL_cleanse(key, sizeof key);
    return err;
}

int sim_arpc_1(const uint8_t key[16], const uint8_t arqc[8], const uint8_t arc[2], uint8_t arpc[8])
{
    uint8_t in[8];
    memcpy(in, arqc, 8);
    in[0] ^= arc[0];
    in[1] ^= arc[1];
    return des2(key, true, false, in, 8, arpc);
}

int sim_arpc_2(const uint8_t key[16], const uint8_t arqc[8], const uint8_t csu[4],
               const uint8_t *proprietary, size_t proprietary_n, uint8_t arpc[4])
{
    uint8_t in[20], mac[8];
    int err;
    if (proprietary_n > 8)
        return DP_ERR_RANGE;
    memcpy(in, arqc, 8);
    memcpy(in + 8, csu, 4);
    if (proprietary_n > 0)
        memcpy(in + 12, proprietary, proprietary_n);
    err = sim_retail_mac(key, SIM_PAD_80, in, 12 + proprietary_n, mac);
    memcpy(arpc, mac, 4);
    return err;
}

int sim_issuer_authentication(const uint8_t master_ac[16], enum sim_cvn cvn, const uint8_t atc[2],
                              const uint8_t arqc[8], const uint8_t arc[2], uint8_t *out, size_t *n)
{
    /* card status update: "issuer approves online transaction" */
    const uint8_t csu[4] = {0, memcmp(arc, "00", 2) == 0 ? 0x80 : 0, 0, 0};
    uint8_t key[16];
    int err = sim_ac_key(master_ac, cvn, atc, key);
    if (err == DP_OK && cvn == SIM_CVN_18) {
        err = sim_arpc_2(key, arqc, csu, NULL, 0, out);
        memcpy(out + 4, csu, 4);
        *n = 8;
    } else if (err == DP_OK) {
        err = sim_arpc_1(key, arqc, arc, out);
        memcpy(out + 8, arc, 2);
        *n = 10;
    }
    OPENSSL_cleanse(key, sizeof key);
    return err;
}

int sim_check_issuer_authentication(const uint8_t master_ac[16], enum sim_cvn cvn,
                                    const uint8_t atc[2], const uint8_t arqc[8],
                                    const uint8_t *data, size_t n, bool *approves)
{
    uint8_t key[16], arpc[8] = {0};
    size_t arpc_n = cvn == SIM_CVN_18 ? 4 : 8;
    int err = sim_ac_key(master_ac, cvn, atc, key);
    *approves = false;
    if (err == DP_OK && n < (cvn == SIM_CVN_18 ? 8u : 10u))
        err = DP_ERR_SIGNATURE;
    if (err == DP_OK && cvn == SIM_CVN_18) {
        err = sim_arpc_2(key, arqc, data + 4, data + 8, n - 8, arpc);
        *approves = (data[5] & 0x80) != 0;
    } else if (err == DP_OK) {
        err = sim_arpc_1(key, arqc, data + 8, arpc);
        *approves = memcmp(data + 8, "00", 2) == 0;
    }
    if (err == DP_OK && CRYPTO_memcmp(arpc, data, arpc_n) != 0)
        err = DP_ERR_SIGNATURE;
    OPENSSL_cleanse(key, sizeof key);
    return err;
}

int sim_script_mac(const uint8_t master_mac[16], enum sim_cvn cvn, const uint8_t atc[2],
                   const uint8_t arqc[8], const uint8_t header[5], const uint8_t *data, size_t n,
                   uint8_t mac[8])
{
    uint8_t in[15 + 255], key[16];
    int err = DP_OK;
    if (n > 255)
        return DP_ERR_LIMIT;
    if (cvn != SIM_CVN_20) {
        /* each half's last two bytes are mixed with the ATC, the right half's inverted */
        memcpy(key, master_mac, 16);
        for (int i = 0; i < 2; i++) {
            key[6 + i] ^= atc[i];
            key[14 + i] ^= atc[i] ^ 0xFF;
        }
        odd_parity(key, 16);
    } else {
        err = sim_session_key(master_mac, arqc, key);
    }
    memcpy(in, header, 5);
    memcpy(in + 5, atc, 2);
    memcpy(in + 7, arqc, 8);
    if (n > 0)
        memcpy(in + 15, data, n);
    if (err == DP_OK)
        err = sim_retail_mac(key, SIM_PAD_80, in, 15 + n, mac);
    OPENSSL_cleanse(key, sizeof key);
    return err;
}
