/* SPDX-License-Identifier: Apache-2.0 */
/* A card's text profile. docs/sim.md describes the keys; keys in capitals are EMV tags. */
#ifndef DP_SIM_PROFILE_H
#define DP_SIM_PROFILE_H

#include <doorpay/base.h>

#include "issuer_script.h"

#define SIM_APPLICATIONS_MAX 8
#define SIM_ELEMENTS_MAX     96
#define SIM_ELEMENT_MAX      256
#define SIM_RECORDS_MAX      16
#define SIM_RECORD_TAGS_MAX  24

struct sim_element {
    uint32_t tag;
    size_t n;
    uint8_t value[SIM_ELEMENT_MAX];
};
struct sim_elements {
    size_t n;
    struct sim_element list[SIM_ELEMENTS_MAX];
};
/* NULL when there is none. */
const struct sim_element *sim_element(const struct sim_elements *e, uint32_t tag);
/* Adds or replaces; DP_ERR_LIMIT. */
DP_MUST_USE int sim_element_set(struct sim_elements *e, uint32_t tag, const void *p, size_t n);

enum sim_oda {
    SIM_ODA_NONE,
    SIM_ODA_SDA,
    SIM_ODA_DDA,
    SIM_ODA_CDA,
    SIM_ODA_FDDA
};
enum sim_answer {
    SIM_APPROVE, /* TC */
    SIM_ONLINE,  /* ARQC */
    SIM_DECLINE  /* AAC */
};
enum sim_arpc_rule {
    SIM_ARPC_REQUIRED, /* no or wrong issuer authentication: AAC */
    SIM_ARPC_OPTIONAL, /* wrong: AAC, none: as the terminal asks */
    SIM_ARPC_IGNORED
};
enum sim_cl_cvm {
    SIM_CL_CVM_NONE,
    SIM_CL_CVM_SIGNATURE,
    SIM_CL_CVM_PIN,
    SIM_CL_CVM_DEVICE
};

struct sim_record {
    uint8_t sfi, number;
    bool is_signed;
    uint32_t tags[SIM_RECORD_TAGS_MAX];
    size_t n;
};

struct sim_application_profile {
    uint8_t aid[16];
    size_t aid_n;
    uint8_t priority;
    char pan[20];
    int psn;        /* -1: none */
    unsigned chain; /* which CA, issuer and card keys */
    enum sim_oda oda;
    enum sim_cvn cvn;
    uint8_t key_index; /* SIM_DKI: names the derivation */
    char pin[SIM_PIN_MAX + 1];
    bool stripe;                /* contactless: the magnetic stripe's data and no cryptogram */
    bool external_authenticate; /* else tag 91 comes in CDOL2 */
    bool format1;               /* GPO and plain GENERATE AC answers in template 80 */
    enum sim_answer offline;    /* when the terminal offers a TC */
    bool declines;              /* AAC to everything */
    int64_t online_above, decline_above; /* minor units; -1: never */
    enum sim_arpc_rule arpc;
    enum sim_answer unable; /* terminal could not go online and asks for a TC */
    enum sim_cl_cvm cvm;    /* contactless, when the reader wants one */
    bool fdda_online;       /* fDDA signature with an ARQC too, when the reader asks */
    struct sim_elements elements;
    struct sim_record records[SIM_RECORDS_MAX]; /* none: the usual layout */
    size_t records_n;
};

struct sim_profile {
    char name[33];
    bool contactless, t0, has_pse;
    uint8_t atr[33];
    size_t atr_n; /* 0: the usual one of the interface */
    struct sim_application_profile applications[SIM_APPLICATIONS_MAX];
    size_t applications_n;
};

/* Reads a profile; the error names file and line in the log. DP_ERR_IO, DP_ERR_FORMAT,
 * DP_ERR_LIMIT, DP_ERR_MISSING (no aid, no pan). */
DP_MUST_USE int sim_profile_load(const char *path, struct sim_profile *out);

#endif
