/* SPDX-License-Identifier: Apache-2.0 */
/* From the issuer's master key to a card's, and from a card's to a session's. */
#ifndef DP_SIM_CARD_KEYS_H
#define DP_SIM_CARD_KEYS_H

#include "cipher.h"

/* EMV Book 2, Annex A1.4: how a card's master key comes from its PAN and sequence number. */
enum sim_derivation {
    SIM_OPTION_A_OR_B, /* A up to 16 digits, B above */
    SIM_OPTION_A, /* the rightmost 16 digits of PAN and sequence number, whatever their number */
    SIM_OPTION_C  /* AES: all digits */
};
/* psn -1: none, counts as 00. DP_ERR_FORMAT, DP_ERR_RANGE (digits). */
DP_MUST_USE int sim_master_key(enum sim_derivation derivation, const uint8_t issuer_key[16],
                               const char *pan, int psn, uint8_t key[16]);

/* Annex A1.3, the common session key. diversifier: 8 bytes; for AES zeros stand behind them. */
DP_MUST_USE int sim_session_key(enum sim_cipher cipher, const uint8_t master[16],
                                const uint8_t diversifier[8], uint8_t key[16]);

/* The tree of EMV 2000: each level's key comes from the two above it and a digit of the counter in
 * base `branches`. */
struct sim_key_tree {
    unsigned height, branches; /* branches ^ height > 65535 */
    uint8_t start[16];
};
DP_MUST_USE int sim_tree_session_key(const uint8_t master[16], const uint8_t atc[2],
                                     const struct sim_key_tree *tree, uint8_t key[16]);

/* Script keys of cryptogram versions 10 and 18: the ATC mixed into each half's end. */
void sim_script_key_by_counter(const uint8_t master[16], const uint8_t atc[2], uint8_t key[16]);

#endif
