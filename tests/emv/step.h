/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel set up for one step alone, and a card that plays a script: each command must be the
 * expected one, byte for byte. */
#ifndef DP_TEST_STEP_H
#define DP_TEST_STEP_H

#include "emv/contact.h"

struct step_exchange {
    const char *command, *answer; /* hex */
};

struct step {
    struct dp_emv_kernel k;
    struct dp_emv_terminal terminal;
    struct dp_emv_aid aids[8];
    struct dp_emv_transaction transaction;
    struct dp_emv_policy_answer policy;
    bool policy_silent; /* the callback answers nothing */
    struct dp_emv_result result;
    struct dp_emv_offer offers[DP_EMV_OFFERS_MAX];
    size_t offers_n;
    struct dp_emv_ops ops;
    struct dp_card card;
    const struct step_exchange *script;
    size_t script_n, done;
};

/* Terminal of the demo, one application selected (A0000009990101), a sale of 23.50 EUR. */
void step_begin(struct step *s);
void step_end(struct step *s);
void step_play(struct step *s, const struct step_exchange *script, size_t n);
#define STEP_PLAY(s, script) step_play(s, script, sizeof(script) / sizeof((script)[0]))
/* The whole script was played. */
void step_played(const struct step *s);
/* An element the card gave. */
void step_set(struct step *s, uint32_t tag, const char *hex);
void step_aid(struct step *s, size_t i, const char *hex, bool partial);
struct dp_bytes step_hex(const char *hex);
/* The TVR is exactly this. */
void step_tvr(const struct step *s, const char *hex);

#endif
