/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The issuer's symmetric cryptography: application cryptograms and the issuer's answer to them, by
 * the cryptogram version (cvn.h). Both the virtual card and the acquirer simulator use it; it is
 * proven on published vectors in tests/sim. Scripts are in issuer_script.h.
 */
#ifndef DP_SIM_ISSUER_H
#define DP_SIM_ISSUER_H

#include "cvn.h"

/* Issuer master keys as the keys directory has them. */
struct sim_issuer_keys {
    uint8_t ac[16], mac[16], enc[16];
};
/* Reads issuer-ac.hex, issuer-mac.hex, issuer-enc.hex. */
DP_MUST_USE int sim_issuer_keys_load(const char *dir, struct sim_issuer_keys *keys);

/* A card's master keys: of cryptograms, script MACs and script encipherment. */
struct sim_card_keys {
    uint8_t ac[16], mac[16], enc[16];
};
/* The key index in 9F10 names the derivation: 02 is option A whatever the PAN's length. Cards of a
 * version with AES have option C. */
#define SIM_DKI         0x01
#define SIM_DKI_FORCE_A 0x02
DP_MUST_USE int sim_card_keys_derive(const struct sim_issuer_keys *issuer, enum sim_cvn cvn,
                                     uint8_t key_index, const char *pan, int psn,
                                     struct sim_card_keys *out);

/* What goes into a cryptogram, as the terminal sent it and the card knows it. */
struct sim_ac_input {
    uint8_t amount[6], other[6], country[2], tvr[5], currency[2], date[3], type, un[4];
    uint8_t aip[2], atc[2];
    uint8_t iad[SIM_IAD_MAX];
    size_t iad_n;
};
/* The cryptogram (TC, ARQC or AAC) under the card's AC master key, by the version in 9F10.
 * DP_ERR_UNSUPPORTED for another form of it. */
DP_MUST_USE int sim_cryptogram(const uint8_t master_ac[16], const struct sim_ac_input *in,
                               uint8_t ac[8]);
/* ... by a version, over what stands after the ATC. */
DP_MUST_USE int sim_cryptogram_over(const uint8_t master_ac[16], enum sim_cvn cvn,
                                    const struct sim_ac_input *in, const struct dp_bytes *parts,
                                    size_t parts_n, uint8_t ac[8]);

/* What a session's keys come from. */
struct sim_session_data {
    uint8_t atc[2], un[4], arqc[8]; /* un, arqc: of the first cryptogram */
};
DP_MUST_USE int sim_session_key_of(enum sim_session session, enum sim_cipher cipher,
                                   const uint8_t master[16], const struct sim_session_data *data,
                                   uint8_t key[16]);

/* ARPC method 1: 8 bytes, from the response code. key: the version's session or master key. */
DP_MUST_USE int sim_arpc_1(enum sim_cipher cipher, const uint8_t key[16], const uint8_t arqc[8],
                           const uint8_t arc[2], uint8_t arpc[8]);
/* ARPC method 2: 4 bytes, from the card status update and up to 8 proprietary bytes. */
DP_MUST_USE int sim_arpc_2(enum sim_cipher cipher, const uint8_t key[16], const uint8_t arqc[8],
                           const uint8_t csu[4], struct dp_bytes proprietary, uint8_t arpc[4]);
/* Tag 91 as the issuer sends it: 10: ARPC, ARC (method 1); 8: ARPC, CSU (method 2). arc is tag 8A,
 * "00" approves. out holds 16. */
DP_MUST_USE int sim_issuer_authentication(const uint8_t master_ac[16], enum sim_cvn cvn,
                                          const struct sim_session_data *data, const uint8_t arc[2],
                                          uint8_t *out, size_t *n);
/* The card's side: does tag 91 answer this ARQC? approves is set from what it says.
 * DP_ERR_SIGNATURE when it does not. */
DP_MUST_USE int sim_check_issuer_authentication(const uint8_t master_ac[16], enum sim_cvn cvn,
                                                const struct sim_session_data *session,
                                                const uint8_t *data, size_t n, bool *approves);

#endif
