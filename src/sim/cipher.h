/* SPDX-License-Identifier: Apache-2.0 */
/* The block ciphers an issuer uses, both with keys of 16 bytes, and the MACs made of them. */
#ifndef DP_SIM_CIPHER_H
#define DP_SIM_CIPHER_H

#include <doorpay/base.h>

#define SIM_BLOCK_MAX 16

enum sim_cipher {
    SIM_DES3, /* two-key triple DES: blocks of 8 */
    SIM_AES   /* AES-128: blocks of 16 */
};
size_t sim_block(enum sim_cipher cipher);

/* n whole blocks in bytes; out may be in. DP_ERR_CRYPTO, DP_ERR_RANGE (not whole blocks). */
DP_MUST_USE int sim_ecb(enum sim_cipher cipher, const uint8_t key[16], bool encrypt,
                        const uint8_t *in, size_t n, uint8_t *out);
/* The chain begins with zeros. */
DP_MUST_USE int sim_cbc(enum sim_cipher cipher, const uint8_t key[16], bool encrypt,
                        const uint8_t *in, size_t n, uint8_t *out);

enum sim_padding {
    SIM_PAD_ZEROS = 1, /* ISO/IEC 9797-1 padding method 1; nothing becomes one block */
    SIM_PAD_80 = 2     /* padding method 2 */
};
/* Pads n bytes in place, where one more block has room; the padded length. */
size_t sim_pad(enum sim_padding padding, size_t block, uint8_t *data, size_t n);

/* ISO/IEC 9797-1 MAC algorithm 3 with triple DES' halves. DP_ERR_LIMIT above 512 bytes. */
DP_MUST_USE int sim_retail_mac(const uint8_t key[16], enum sim_padding padding, const uint8_t *data,
                               size_t n, uint8_t mac[8]);
/* The first 8 bytes of AES-CMAC. */
DP_MUST_USE int sim_cmac(const uint8_t key[16], const uint8_t *data, size_t n, uint8_t mac[8]);
/* Each byte's last bit makes its number of ones odd. */
void sim_odd_parity(uint8_t *key, size_t n);

#endif
