/* SPDX-License-Identifier: Apache-2.0 */
#include "card_keys.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "pack.h"

/* ---- master keys ---- */

/* 16 digits as BCD, then the same inverted, each through 3DES. */
static int master_of(const uint8_t issuer_key[16], const char *sixteen, uint8_t key[16])
{
    uint8_t in[16];
    int err = sim_bcd_right(sixteen, in, 8);
    for (int i = 0; i < 8; i++)
        in[8 + i] = in[i] ^ 0xFF;
    if (err == DP_OK)
        err = sim_ecb(SIM_DES3, issuer_key, true, in, 16, key);
    if (err == DP_OK)
        sim_odd_parity(key, 16);
    return err;
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

static int option_b(const uint8_t issuer_key[16], const char *digits, uint8_t key[16])
{
    char chosen[17];
    uint8_t bcd[16], hash[SHA_DIGEST_LENGTH];
    size_t n = (strlen(digits) + 1) / 2;
    int err = sim_bcd_right(digits, bcd, n);
    if (err != DP_OK)
        return err;
    SHA1(bcd, n, hash);
    decimalise(hash, chosen);
    return master_of(issuer_key, chosen, key);
}

static int option_c(const uint8_t issuer_key[16], const char *digits, uint8_t key[16])
{
    uint8_t y[16];
    int err = sim_bcd_right(digits, y, sizeof y);
    return err != DP_OK ? err : sim_ecb(SIM_AES, issuer_key, true, y, sizeof y, key);
}

int sim_master_key(enum sim_derivation derivation, const uint8_t issuer_key[16], const char *pan,
                   int psn, uint8_t key[16])
{
    char digits[32];
    size_t pan_n = strlen(pan);
    int n = snprintf(digits, sizeof digits, "%s%02d", pan, psn < 0 ? 0 : psn);
    if (n >= (int)sizeof digits || psn > 99)
        return DP_ERR_RANGE;
    if (derivation == SIM_OPTION_C)
        return option_c(issuer_key, digits, key);
    if (derivation == SIM_OPTION_A_OR_B && pan_n > 16)
        return option_b(issuer_key, digits, key);
    return master_of(issuer_key, n > 16 ? digits + n - 16 : digits, key);
}

/* ---- session keys ---- */

int sim_session_key(enum sim_cipher cipher, const uint8_t master[16], const uint8_t diversifier[8],
                    uint8_t key[16])
{
    uint8_t in[16] = {0};
    int err;
    memcpy(in, diversifier, 8);
    if (cipher == SIM_DES3) {
        memcpy(in + 8, diversifier, 8);
        in[2] = 0xF0;
        in[10] = 0x0F;
    }
    err = sim_ecb(cipher, master, true, in, 16, key);
    if (err == DP_OK && cipher == SIM_DES3)
        sim_odd_parity(key, 16);
    return err;
}

/* One node: its grandparent's halves, marked with the digit, under its parent. */
static int node(const uint8_t parent[16], const uint8_t grandparent[16], unsigned digit,
                uint8_t key[16])
{
    uint8_t in[16];
    memcpy(in, grandparent, 16);
    in[7] ^= (uint8_t)digit;
    in[15] ^= (uint8_t)(digit ^ 0xF0);
    return sim_ecb(SIM_DES3, parent, true, in, 16, key);
}

static unsigned digit(unsigned counter, unsigned branches, unsigned from_the_right)
{
    while (from_the_right-- > 0)
        counter /= branches;
    return counter % branches;
}

static bool reaches_every_counter(const struct sim_key_tree *tree)
{
    unsigned left = 65535;
    if (tree->branches < 2 || tree->branches > 256 || tree->height > 16)
        return false;
    for (unsigned i = 0; i < tree->height; i++)
        left /= tree->branches;
    return left == 0;
}

int sim_tree_session_key(const uint8_t master[16], const uint8_t atc[2],
                         const struct sim_key_tree *tree, uint8_t key[16])
{
    uint8_t grandparent[16], parent[16], child[16] = {0};
    unsigned counter = (unsigned)(atc[0] << 8 | atc[1]);
    int err = reaches_every_counter(tree) ? DP_OK : DP_ERR_RANGE;
    memcpy(parent, tree->start, 16);
    memcpy(child, master, 16);
    for (unsigned level = tree->height; level > 0 && err == DP_OK; level--) {
        memcpy(grandparent, parent, 16);
        memcpy(parent, child, 16);
        err = node(parent, grandparent, digit(counter, tree->branches, level - 1), child);
    }
    for (int i = 0; i < 16 && err == DP_OK; i++)
        key[i] = child[i] ^ grandparent[i];
    sim_odd_parity(key, 16);
    OPENSSL_cleanse(grandparent, 16);
    OPENSSL_cleanse(parent, 16);
    OPENSSL_cleanse(child, 16);
    return err;
}

void sim_script_key_by_counter(const uint8_t master[16], const uint8_t atc[2], uint8_t key[16])
{
    memcpy(key, master, 16);
    for (int i = 0; i < 2; i++) {
        key[6 + i] ^= atc[i];
        key[14 + i] ^= atc[i] ^ 0xFF;
    }
    sim_odd_parity(key, 16);
}
