/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cryptogram versions cards have, each told apart by its issuer application data (9F10):
 *
 *   10, 18       06 DKI CVN CVR(4)
 *   22           1F 22 DKI CVR(5) and 24 bytes more
 *   16 to 21     DKI CVN CVR(6) DAC(2) counters(8)
 *   133          15 DKI 85 04 CVR(4) and 14 bytes more
 *   ccd5, ccd6   0F CCI DKI CVR(5) counters(8) 0F and 15 bytes more, CCI A5 or A6
 *
 * What a version does with keys, data and answers is a row of the table in cvn.c.
 */
#ifndef DP_SIM_CVN_H
#define DP_SIM_CVN_H

#include "card_keys.h"

#define SIM_IAD_MAX 32

enum sim_cvn {
    SIM_CVN_10,
    SIM_CVN_18,
    SIM_CVN_22,
    SIM_CVN_16,
    SIM_CVN_17,
    SIM_CVN_18_TREE, /* 18 and 19 of the family of 16 to 21 */
    SIM_CVN_19_TREE,
    SIM_CVN_20,
    SIM_CVN_21,
    SIM_CVN_133,
    SIM_CVN_CCD5, /* common core definitions with 3DES, with AES */
    SIM_CVN_CCD6,
    SIM_CVNS
};
enum sim_iad_form {
    SIM_IAD_SHORT,
    SIM_IAD_LONG,
    SIM_IAD_COUNTERS,
    SIM_IAD_LENGTHS,
    SIM_IAD_CCD
};
enum sim_session {
    SIM_KEY_MASTER,            /* the card's master key itself */
    SIM_KEY_BY_COUNTER,        /* common session key of the ATC */
    SIM_KEY_BY_COUNTER_AND_UN, /* ... of ATC and unpredictable number */
    SIM_KEY_BY_CRYPTOGRAM,     /* ... of the ARQC */
    SIM_KEY_TREE,              /* the EMV 2000 tree of the ATC */
    SIM_KEY_MIXED              /* the ATC mixed into the master key */
};
enum sim_coverage {
    SIM_OVER_CVR,
    SIM_OVER_CVR_AND_COUNTERS,
    SIM_OVER_IAD
};
enum sim_pin_block {
    SIM_PIN_OF_CARD,         /* mixed with the card's AC key, and with the PIN before it */
    SIM_PIN_OF_CARD_OR_ISO2, /* ISO 9564 format 2 when the PIN before is not given */
    SIM_PIN_ISO2
};
enum sim_enciphering {
    SIM_ENCIPHER_COUNTED,        /* a length byte in front, padded when needed, each block alone */
    SIM_ENCIPHER_UNPADDED_CHAIN, /* padded when needed, chained */
    SIM_ENCIPHER_PADDED_CHAIN    /* always padded, chained */
};

struct sim_version {
    const char *name; /* in profiles */
    enum sim_iad_form form;
    uint8_t byte; /* in 9F10 */
    enum sim_cipher cipher;
    enum sim_padding padding;
    enum sim_session ac_key;
    enum sim_coverage over;
    unsigned arpc_method;
    enum sim_session arpc_key, script_key;
    bool script_bound; /* script MACs are over ATC and ARQC too */
    enum sim_enciphering enciphering;
    enum sim_pin_block pin_block;
};
const struct sim_version *sim_version(enum sim_cvn cvn);
/* NULL: no version of that name. */
const struct sim_version *sim_version_named(const char *name, enum sim_cvn *cvn);

/* 9F10 taken apart; the parts point into it. DP_ERR_UNSUPPORTED for another form. */
struct sim_iad {
    enum sim_cvn cvn;
    uint8_t key_index; /* DKI */
    struct dp_bytes cvr, counters;
};
DP_MUST_USE int sim_iad_parse(const uint8_t *iad, size_t n, struct sim_iad *out);
/* 9F10 of a version, CVR and counters zero, both to be written where parse says; its length. */
size_t sim_iad_make(enum sim_cvn cvn, uint8_t key_index, uint8_t iad[SIM_IAD_MAX]);

#endif
