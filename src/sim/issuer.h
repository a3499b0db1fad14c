/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The issuer's symmetric cryptography (3DES): master keys of a card, session keys, application
 * cryptograms, the issuer's answer and script MACs. Both the virtual card and the acquirer
 * simulator use it; it is proven on published vectors in tests/sim.
 *
 * Cryptogram versions, told apart by the issuer application data (9F10):
 *   10  06 DKI 0A CVR(4): master key as it is, zero padding; ARPC method 1 under the master key
 *   18  06 DKI 12 CVR(4): common session key by ATC, 9F10 in the input; ARPC method 2
 *   20  DKI 14 CVR(6) data(10), 18 bytes: common session key by ATC; ARPC method 1
 * Script MACs: versions 10 and 18 mix the ATC into the master key, 20 derives by the ARQC.
 */
#ifndef DP_SIM_ISSUER_H
#define DP_SIM_ISSUER_H

#include <doorpay/base.h>

#define SIM_IAD_MAX 32

enum sim_cvn {
    SIM_CVN_10 = 10,
    SIM_CVN_18 = 18,
    SIM_CVN_20 = 20
};
enum sim_padding {
    SIM_PAD_ZEROS = 1, /* ISO 9797-1 method 1 */
    SIM_PAD_80 = 2     /* ISO 9797-1 method 2 */
};

/* Issuer master keys as the keys directory has them. */
struct sim_issuer_keys {
    uint8_t ac[16], mac[16], enc[16];
};
/* Reads issuer-ac.hex, issuer-mac.hex, issuer-enc.hex. */
DP_MUST_USE int sim_issuer_keys_load(const char *dir, struct sim_issuer_keys *keys);

/* The card's master key: option A up to 16 digits, option B above. psn -1: none, counts as 00. */
DP_MUST_USE int sim_master_key(const uint8_t issuer_key[16], const char *pan, int psn,
                               uint8_t key[16]);
/* Option A whatever the PAN's length: its rightmost digits. */
DP_MUST_USE int sim_master_key_a(const uint8_t issuer_key[16], const char *pan, int psn,
                                 uint8_t key[16]);
/* EMV common session key derivation. */
DP_MUST_USE int sim_session_key(const uint8_t master[16], const uint8_t diversifier[8],
                                uint8_t key[16]);
/* ISO 9797-1 MAC algorithm 3. */
DP_MUST_USE int sim_retail_mac(const uint8_t key[16], enum sim_padding padding, const uint8_t *data,
                               size_t n, uint8_t mac[8]);

/* What goes into a cryptogram, as the terminal sent it and the card knows it. */
struct sim_ac_input {
    uint8_t amount[6], other[6], country[2], tvr[5], currency[2], date[3], type, un[4];
    uint8_t aip[2], atc[2];
    uint8_t iad[SIM_IAD_MAX];
    size_t iad_n;
};
/* The version and the card verification results in 9F10. DP_ERR_UNSUPPORTED for another form. */
DP_MUST_USE int sim_iad_parse(const uint8_t *iad, size_t n, enum sim_cvn *cvn,
                              struct dp_bytes *cvr);
/* The cryptogram (TC, ARQC or AAC) under the card's AC master key. */
DP_MUST_USE int sim_cryptogram(const uint8_t master_ac[16], const struct sim_ac_input *in,
                               uint8_t ac[8]);
/* ARPC method 1: 8 bytes, from the response code. key: the version's session or master key. */
DP_MUST_USE int sim_arpc_1(const uint8_t key[16], const uint8_t arqc[8], const uint8_t arc[2],
                           uint8_t arpc[8]);
/* ARPC method 2: 4 bytes, from the card status update. */
DP_MUST_USE int sim_arpc_2(const uint8_t key[16], const uint8_t arqc[8], const uint8_t csu[4],
                           const uint8_t *proprietary, size_t proprietary_n, uint8_t arpc[4]);
/* The key the version makes cryptograms and ARPCs with. */
DP_MUST_USE int sim_ac_key(const uint8_t master_ac[16], enum sim_cvn cvn, const uint8_t atc[2],
                           uint8_t key[16]);
/* Tag 91 as the issuer sends it: 10: ARPC, ARC (versions 10 and 20); 8: ARPC, CSU (18). arc is
 * tag 8A, "00" approves. out holds 16. */
DP_MUST_USE int sim_issuer_authentication(const uint8_t master_ac[16], enum sim_cvn cvn,
                                          const uint8_t atc[2], const uint8_t arqc[8],
                                          const uint8_t arc[2], uint8_t *out, size_t *n);
/* The card's side: does tag 91 answer this ARQC? approves is set from what it says.
 * DP_ERR_SIGNATURE when it does not. */
DP_MUST_USE int sim_check_issuer_authentication(const uint8_t master_ac[16], enum sim_cvn cvn,
                                                const uint8_t atc[2], const uint8_t arqc[8],
                                                const uint8_t *data, size_t n, bool *approves);
/* MAC of a script command (its 5 header bytes with Lc that counts the MAC, then its data). */
DP_MUST_USE int sim_script_mac(const uint8_t master_mac[16], enum sim_cvn cvn, const uint8_t atc[2],
                               const uint8_t arqc[8], const uint8_t header[5], const uint8_t *data,
                               size_t n, uint8_t mac[8]);

#endif
