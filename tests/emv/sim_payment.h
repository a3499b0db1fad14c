/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A payment with a simulated card in this process: the card behind a callback reader, an issuer
 * that checks each cryptogram by the simulators' own cryptography, and the demo's terminal. Tests
 * change what they want between open and run.
 */
#ifndef DP_TEST_SIM_PAYMENT_H
#define DP_TEST_SIM_PAYMENT_H

#include <doorpay/emv.h>

#include "sim/hostile.h"
#include "sim/virtual.h"

enum test_issuer {
    ISSUER_SILENT, /* a link, and no answer */
    ISSUER_APPROVES,
    ISSUER_DECLINES,
    ISSUER_FORGED /* approves, with a wrong tag 91 */
};

#define SIM_PAYMENT_LOG_MAX 160

struct sim_payment {
    struct sim_card card;
    struct sim_script script;
    /* the last word on an answer, after the script; may be NULL. Returns the bytes reported. */
    size_t (*alter)(struct sim_payment *p, const uint8_t *command, size_t n,
                    struct sim_buf *answer);
    void *alter_ctx;

    struct dp_emv_terminal terminal;
    struct dp_emv_aid aids[3];
    struct dp_emv_ca_key ca_keys[8];
    struct dp_emv_transaction transaction;

    struct dp_emv_policy_answer policy;
    int policy_err, online_err;
    enum test_issuer issuer;
    uint8_t tag_91[16]; /* what the issuer sends instead of its own */
    uint8_t tag_91_n;
    char arc[3]; /* its response code, instead of 00 or 05 */
    uint8_t scripts[256];
    size_t scripts_n;
    unsigned cancel_after; /* commands; 0: never */

    /* what was seen */
    struct {
        uint8_t p[261];
        size_t n;
        uint16_t sw;
    } log[SIM_PAYMENT_LOG_MAX];
    unsigned commands;
    unsigned ui_seen; /* 1 << enum dp_emv_ui */
    bool asked_policy, cryptogram_good;
    struct dp_emv_offer offers[DP_EMV_OFFERS_MAX];
    size_t offers_n;
    struct dp_emv_summary policy_summary;
    uint8_t online_emv[512];
    size_t online_emv_n;
    struct dp_emv_online_answer answered;
    struct dp_emv_result result;
};

/* Fresh world around a card of examples/cards ("cda-offline"). */
void sim_payment_open(struct sim_payment *p, const char *card);
/* A card's own lines, on top of a profile's. */
void sim_payment_open_with(struct sim_payment *p, const char *card, const char *lines);
/* Lines of a hostile script (docs/sim.md). */
void sim_payment_script(struct sim_payment *p, const char *lines);
/* A script of examples/scripts ("cvm-list"). */
void sim_payment_script_file(struct sim_payment *p, const char *name);
/* dp_emv_perform's value; also holds what must be so whatever the card did. */
int sim_payment_run(struct sim_payment *p);
/* The outcome must be this one; tells the words when not. */
void sim_payment_expect(struct sim_payment *p, enum dp_emv_outcome outcome,
                        enum dp_emv_reason reason);
/* The nth (1-based) command of an instruction; NULL when there were fewer. */
const uint8_t *sim_payment_command(const struct sim_payment *p, uint8_t ins, unsigned nth,
                                   size_t *n);
bool sim_payment_tvr(const struct sim_payment *p, size_t byte, uint8_t bit);

#endif
