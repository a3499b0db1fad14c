/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a contact payment, in the order emv_contact takes them. */
#ifndef DP_EMV_CONTACT_H
#define DP_EMV_CONTACT_H

#include "kernel.h"

#define EMV_SELECT_AGAIN 2 /* this application is out; the next candidate's turn */

/* directory.c: the card's own list of its applications, into the candidates; none when it has no
 * such list or an unsound one. */
DP_MUST_USE DP_PARSES int emv_directory_read(struct dp_emv_kernel *k);

/* select.c: SELECT by name, of the first or the next that begins so. */
DP_MUST_USE int emv_select_name(struct dp_emv_kernel *k, struct dp_bytes name, bool next,
                                struct dp_apdu_answer *answer);
/* A name the card has, if it is one of ours and not there yet. row: what stands around it, in a
 * directory entry or an FCI's proprietary template. */
DP_PARSES void emv_candidate_add(struct dp_emv_kernel *k, struct dp_bytes name,
                                 struct dp_bytes row);
/* By the card's directory, else by the terminal's list. EMV 4.4 Book 1, section 12. */
DP_MUST_USE int emv_candidates_build(struct dp_emv_kernel *k);
/* The final SELECT of the best candidate left; one that fails is struck off. */
DP_MUST_USE int emv_application_select(struct dp_emv_kernel *k);
void emv_candidate_strike(struct dp_emv_kernel *k);

/* gpo.c: also EMV_SELECT_AGAIN. */
DP_MUST_USE int emv_initiate(struct dp_emv_kernel *k);
/* AIP and AFL out of the data of an answer, format 1 or 2; the rest of format 2 into the store. */
DP_MUST_USE DP_PARSES int emv_gpo_take(struct dp_emv_kernel *k, struct dp_bytes data);

/* records.c: mandatory elements there, every list sound and within a command's length. */
DP_MUST_USE int emv_lists_check(struct dp_emv_kernel *k);

DP_MUST_USE int emv_authenticate(struct dp_emv_kernel *k);  /* authenticate.c */
DP_MUST_USE int emv_restrict(struct dp_emv_kernel *k);      /* restrict.c */
DP_MUST_USE int emv_verify_holder(struct dp_emv_kernel *k); /* cvm.c */
DP_MUST_USE int emv_manage_risk(struct dp_emv_kernel *k);   /* risk.c */

/* action.c */
struct emv_action {
    enum emv_cid cid;          /* what to ask the card for */
    enum dp_emv_reason reason; /* of an AAC */
    const char *words;
};
void emv_action_first(const struct dp_emv_kernel *k, struct emv_action *action);
/* Online was wanted and is not to be had. */
void emv_action_no_link(const struct dp_emv_kernel *k, struct emv_action *action);
/* A terminal of a type that is offline only. */
bool emv_never_online(const struct dp_emv_kernel *k);
/* May this payment be approved with no word from the issuer? */
bool emv_offline_permitted(const struct dp_emv_kernel *k);

/* generate_ac.c */
struct emv_ac {
    enum emv_cid cid;
    bool cda_wanted;   /* a signature was asked for, and this is no AAC */
    const char *words; /* of an error */
};
/* k->cda_passed says whether the answer was signed. < 0: the card's doing (also DP_ERR_GONE and
 * kin), but for DP_ERR_CRYPTO. DP_ERR_MISMATCH: a better cryptogram than was asked for. */
DP_MUST_USE int emv_generate_ac(struct dp_emv_kernel *k, bool second, enum emv_cid wish,
                                struct emv_ac *ac);
DP_MUST_USE DP_PARSES int emv_ac_take(struct dp_emv_kernel *k, bool second, struct dp_bytes data,
                                      struct emv_ac *ac);

/* complete.c: from the first GENERATE AC to the end. */
DP_MUST_USE int emv_complete(struct dp_emv_kernel *k);

/* issuer.c: EXTERNAL AUTHENTICATE and scripts. */
void emv_issuer_authenticate(struct dp_emv_kernel *k, const struct dp_emv_online_answer *answer);
/* Runs the templates with this tag (71, 72). A failure is in TVR and results. */
DP_PARSES void emv_issuer_scripts(struct dp_emv_kernel *k,
                                  const struct dp_emv_online_answer *answer, uint32_t tag);

/* lists.c */
/* As emv_dol_fill, without ending the payment. */
DP_MUST_USE int emv_dol_values(struct dp_emv_kernel *k, struct dp_bytes dol,
                               struct emv_values *out);
/* DP_ERR_RANGE: 9F37 with another length than 4, or more than a command holds. */
DP_MUST_USE int emv_dol_check(struct dp_bytes dol);

/* terminal.c: every string and limit of what the caller hands in. DP_ERR_ARG. */
DP_MUST_USE int emv_terminal_check(const struct dp_emv_terminal *t);
DP_MUST_USE int emv_transaction_check(const struct dp_emv_transaction *x);
/* An empty store, TVR, TSI, and then the terminal's elements. */
DP_MUST_USE int emv_terminal_begin(struct dp_emv_kernel *k);

#endif
