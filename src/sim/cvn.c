/* SPDX-License-Identifier: Apache-2.0 */
#include "cvn.h"

#include <string.h>

/* Where 9F10 has what; offsets from its first byte. */
static const struct form {
    size_t n;
    bool longer; /* more may follow */
    int first;   /* value of the first byte; -1: any */
    size_t dki, cvn, cvr, cvr_n, counters, counters_n;
} forms[] = {
    [SIM_IAD_SHORT] = {7, true, 0x06, 1, 2, 3, 4, 0, 0},
    [SIM_IAD_LONG] = {32, false, 0x1F, 2, 1, 3, 5, 0, 0},
    [SIM_IAD_COUNTERS] = {18, false, -1, 0, 1, 2, 6, 10, 8},
    [SIM_IAD_LENGTHS] = {22, false, 0x15, 1, 2, 4, 4, 0, 0},
    [SIM_IAD_CCD] = {32, false, 0x0F, 2, 1, 3, 5, 8, 8},
};

#define CHAIN  SIM_ENCIPHER_UNPADDED_CHAIN
#define CHAIN8 SIM_ENCIPHER_PADDED_CHAIN
/* clang-format off */
static const struct sim_version versions[SIM_CVNS] = {
    [SIM_CVN_10] = {"10", SIM_IAD_SHORT, 0x0A, SIM_DES3, SIM_PAD_ZEROS,
        SIM_KEY_MASTER, SIM_OVER_CVR, 1, SIM_KEY_MASTER,
        SIM_KEY_MIXED, true, SIM_ENCIPHER_COUNTED, SIM_PIN_OF_CARD},
    [SIM_CVN_18] = {"18", SIM_IAD_SHORT, 0x12, SIM_DES3, SIM_PAD_80,
        SIM_KEY_BY_COUNTER, SIM_OVER_IAD, 2, SIM_KEY_BY_COUNTER,
        SIM_KEY_MIXED, true, SIM_ENCIPHER_COUNTED, SIM_PIN_OF_CARD},
    [SIM_CVN_22] = {"22", SIM_IAD_LONG, 0x22, SIM_DES3, SIM_PAD_80,
        SIM_KEY_BY_COUNTER, SIM_OVER_IAD, 2, SIM_KEY_BY_COUNTER,
        SIM_KEY_BY_CRYPTOGRAM, true, SIM_ENCIPHER_COUNTED, SIM_PIN_OF_CARD_OR_ISO2},
    [SIM_CVN_16] = {"16", SIM_IAD_COUNTERS, 0x10, SIM_DES3, SIM_PAD_80,
        SIM_KEY_BY_COUNTER_AND_UN, SIM_OVER_CVR, 1, SIM_KEY_MASTER,
        SIM_KEY_BY_CRYPTOGRAM, true, CHAIN, SIM_PIN_ISO2},
    [SIM_CVN_17] = {"17", SIM_IAD_COUNTERS, 0x11, SIM_DES3, SIM_PAD_80,
        SIM_KEY_BY_COUNTER_AND_UN, SIM_OVER_CVR_AND_COUNTERS, 1, SIM_KEY_MASTER,
        SIM_KEY_BY_CRYPTOGRAM, true, CHAIN, SIM_PIN_ISO2},
    [SIM_CVN_18_TREE] = {"18-tree", SIM_IAD_COUNTERS, 0x12, SIM_DES3, SIM_PAD_80,
        SIM_KEY_TREE, SIM_OVER_CVR, 1, SIM_KEY_TREE,
        SIM_KEY_TREE, true, CHAIN, SIM_PIN_ISO2},
    [SIM_CVN_19_TREE] = {"19-tree", SIM_IAD_COUNTERS, 0x13, SIM_DES3, SIM_PAD_80,
        SIM_KEY_TREE, SIM_OVER_CVR_AND_COUNTERS, 1, SIM_KEY_TREE,
        SIM_KEY_TREE, true, CHAIN, SIM_PIN_ISO2},
    [SIM_CVN_20] = {"20", SIM_IAD_COUNTERS, 0x14, SIM_DES3, SIM_PAD_80,
        SIM_KEY_BY_COUNTER, SIM_OVER_CVR, 1, SIM_KEY_BY_COUNTER,
        SIM_KEY_BY_CRYPTOGRAM, true, CHAIN, SIM_PIN_ISO2},
    [SIM_CVN_21] = {"21", SIM_IAD_COUNTERS, 0x15, SIM_DES3, SIM_PAD_80,
        SIM_KEY_BY_COUNTER, SIM_OVER_CVR_AND_COUNTERS, 1, SIM_KEY_BY_COUNTER,
        SIM_KEY_BY_CRYPTOGRAM, true, CHAIN, SIM_PIN_ISO2},
    [SIM_CVN_133] = {"133", SIM_IAD_LENGTHS, 0x85, SIM_DES3, SIM_PAD_80,
        SIM_KEY_BY_COUNTER_AND_UN, SIM_OVER_IAD, 1, SIM_KEY_BY_COUNTER_AND_UN,
        SIM_KEY_BY_CRYPTOGRAM, false, CHAIN, SIM_PIN_ISO2},
    [SIM_CVN_CCD5] = {"ccd5", SIM_IAD_CCD, 0xA5, SIM_DES3, SIM_PAD_80,
        SIM_KEY_BY_COUNTER, SIM_OVER_IAD, 2, SIM_KEY_BY_COUNTER,
        SIM_KEY_BY_CRYPTOGRAM, true, CHAIN8, SIM_PIN_ISO2},
    [SIM_CVN_CCD6] = {"ccd6", SIM_IAD_CCD, 0xA6, SIM_AES, SIM_PAD_80,
        SIM_KEY_BY_COUNTER, SIM_OVER_IAD, 2, SIM_KEY_BY_COUNTER,
        SIM_KEY_BY_CRYPTOGRAM, true, CHAIN8, SIM_PIN_ISO2},
};
/* clang-format on */

const struct sim_version *sim_version(enum sim_cvn cvn)
{
    return &versions[cvn];
}

const struct sim_version *sim_version_named(const char *name, enum sim_cvn *cvn)
{
    for (size_t i = 0; i < SIM_CVNS; i++) {
        if (strcmp(versions[i].name, name) != 0)
            continue;
        *cvn = (enum sim_cvn)i;
        return &versions[i];
    }
    return NULL;
}

int sim_iad_parse(const uint8_t *iad, size_t n, struct sim_iad *out)
{
    for (size_t i = 0; i < SIM_CVNS; i++) {
        const struct form *f = &forms[versions[i].form];
        if (n < f->n || (n > f->n && !f->longer) || (f->first >= 0 && iad[0] != f->first) ||
            iad[f->cvn] != versions[i].byte)
            continue;
        *out = (struct sim_iad){(enum sim_cvn)i,
                                iad[f->dki],
                                {iad + f->cvr, f->cvr_n},
                                {iad + f->counters, f->counters_n}};
        return DP_OK;
    }
    return DP_ERR_UNSUPPORTED;
}

size_t sim_iad_make(enum sim_cvn cvn, uint8_t key_index, uint8_t iad[SIM_IAD_MAX])
{
    const struct form *f = &forms[versions[cvn].form];
    memset(iad, 0, SIM_IAD_MAX);
    if (f->first >= 0)
        iad[0] = (uint8_t)f->first;
    iad[f->dki] = key_index;
    iad[f->cvn] = versions[cvn].byte;
    if (versions[cvn].form == SIM_IAD_LENGTHS)
        iad[f->cvr - 1] = (uint8_t)f->cvr_n;
    if (versions[cvn].form == SIM_IAD_CCD)
        iad[16] = 0x0F;
    return f->n;
}
