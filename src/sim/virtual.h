/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual card itself: commands in, answers out, no transport. */
#ifndef DP_SIM_VIRTUAL_H
#define DP_SIM_VIRTUAL_H

#include "pack.h"
#include "personalise.h"

enum sim_phase {
    SIM_PHASE_IDLE,      /* powered, nothing selected */
    SIM_PHASE_SELECTED,  /* application selected */
    SIM_PHASE_INITIATED, /* GET PROCESSING OPTIONS done */
    SIM_PHASE_ONLINE,    /* ARQC given, the issuer's answer is awaited */
    SIM_PHASE_DONE       /* final cryptogram given */
};

/* What one transaction has seen so far. */
struct sim_transaction {
    struct sim_elements made; /* 9F69, 9F4B for records */
    uint8_t pdol[256], cdol1[256], cdol2[256];
    size_t pdol_n, cdol1_n, cdol2_n;
    struct sim_ac_input input;
    uint8_t first_cid;
    struct sim_session_data session; /* of the first cryptogram; its arqc is zeros before */
    bool issuer_checked, issuer_good, issuer_approves; /* tag 91, by either way */
    unsigned scripts;
};

struct sim_card {
    struct sim_profile profile;
    struct sim_application applications[SIM_APPLICATIONS_MAX];
    enum sim_phase phase;
    struct sim_application *selected;
    bool directory; /* the PSE is selected */
    size_t next;    /* where SELECT next goes on */
    bool card_blocked, application_blocked;
    uint16_t atc, last_online_atc;
    const char *atc_path; /* NULL: the counter lives as long as the card */
    unsigned cryptograms; /* final ones given */
    struct sim_transaction t;
    struct sim_buf pending; /* T=0: what GET RESPONSE will give */
};

/* Personalises every application of the profile. */
DP_MUST_USE int sim_card_make(struct sim_card *card, const char *keys, const char *atc_path);
/* ATR, 33 bytes at most. */
size_t sim_card_atr(const struct sim_card *card, uint8_t atr[33]);
/* Power off or reset: the transaction is gone, the counter stays. */
void sim_card_reset(struct sim_card *card);
/* One C-APDU; the answer with its status word. */
void sim_card_command(struct sim_card *card, const uint8_t *command, size_t n,
                      struct sim_buf *answer);

/* ---- between the card's own files ---- */

struct sim_apdu {
    uint8_t cla, ins, p1, p2;
    const uint8_t *data;
    size_t n;
    int le; /* -1: none */
};

/* A named element's bytes in a data object list's values; zeros when it is not there. */
void sim_dol_value(const struct sim_element *dol, const uint8_t *values, uint32_t tag, uint8_t *out,
                   size_t n);
/* Each returns the status word. */
uint16_t sim_initiate(struct sim_card *card, const struct sim_apdu *c, struct sim_buf *out);
/* Keeps what the session's keys come from. */
void sim_first_cryptogram(struct sim_card *card, const uint8_t ac[8]);
uint16_t sim_generate_ac(struct sim_card *card, const struct sim_apdu *c, struct sim_buf *out);
uint16_t sim_internal_authenticate(struct sim_card *card, const struct sim_apdu *c,
                                   struct sim_buf *out);
uint16_t sim_external_authenticate(struct sim_card *card, const struct sim_apdu *c);
uint16_t sim_issuer_command(struct sim_card *card, const struct sim_apdu *c);
/* COMPUTE CRYPTOGRAPHIC CHECKSUM of a card in stripe mode. */
uint16_t sim_compute_checksum(struct sim_card *card, const struct sim_apdu *c, struct sim_buf *out);
/* Contactless: the cryptogram, and signature, with GET PROCESSING OPTIONS. */
uint16_t sim_contactless(struct sim_card *card, struct sim_buf *out);

/* Shared by contact and contactless. */
enum sim_cid {
    SIM_AAC = 0x00,
    SIM_TC = 0x40,
    SIM_ARQC = 0x80
};
/* 9F10 by the application's cryptogram version; second: 0xFF while there is no second cryptogram.
 */
void sim_issuer_application_data(struct sim_card *card, uint8_t first, uint8_t second);
/* SIM_DECLINE, SIM_ONLINE or SIM_APPROVE by the profile's rules, for an amount. */
enum sim_answer sim_card_risk(const struct sim_application *a, uint64_t amount);
DP_MUST_USE int sim_random(uint8_t *out, size_t n);

#endif
