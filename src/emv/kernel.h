/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the steps of one payment share. A step returns
 *   EMV_GO_ON  the next one may begin
 *   EMV_OVER   the payment is at its end; the result says how
 *   < 0        not the card's doing: dp_emv_perform returns it
 */
#ifndef DP_EMV_KERNEL_H
#define DP_EMV_KERNEL_H

#include <doorpay/emv.h>

#include "base/limits.h"
#include "base/secret.h"
#include "data.h"
#include "names.h"
#include "oda.h"

enum {
    EMV_GO_ON = 0,
    EMV_OVER = 1
};

/* Terminal verification results, byte in the high part: EMV 4.4 Book 3, Annex C5. */
enum emv_tvr {
    TVR_ODA_NOT_PERFORMED = 0x080,
    TVR_SDA_FAILED = 0x040,
    TVR_ICC_DATA_MISSING = 0x020,
    TVR_EXCEPTION_FILE = 0x010,
    TVR_DDA_FAILED = 0x008,
    TVR_CDA_FAILED = 0x004,
    TVR_SDA_SELECTED = 0x002,
    TVR_VERSIONS_DIFFER = 0x180,
    TVR_EXPIRED = 0x140,
    TVR_NOT_YET_EFFECTIVE = 0x120,
    TVR_SERVICE_NOT_ALLOWED = 0x110,
    TVR_NEW_CARD = 0x108,
    TVR_CVM_FAILED = 0x280,
    TVR_CVM_UNKNOWN = 0x240,
    TVR_PIN_TRIES_EXCEEDED = 0x220,
    TVR_PIN_PAD_ABSENT = 0x210,
    TVR_PIN_NOT_ENTERED = 0x208,
    TVR_PIN_ONLINE = 0x204,
    TVR_OVER_FLOOR_LIMIT = 0x380,
    TVR_LOWER_LIMIT_EXCEEDED = 0x340,
    TVR_UPPER_LIMIT_EXCEEDED = 0x320,
    TVR_RANDOMLY_SELECTED = 0x310,
    TVR_MERCHANT_FORCED_ONLINE = 0x308,
    TVR_DEFAULT_TDOL = 0x480,
    TVR_ISSUER_AUTH_FAILED = 0x440,
    TVR_SCRIPT_FAILED_BEFORE = 0x420,
    TVR_SCRIPT_FAILED_AFTER = 0x410
};

/* Transaction status information, byte 1: Annex C6. */
enum emv_tsi {
    TSI_ODA = 0x80,
    TSI_CVM = 0x40,
    TSI_CARD_RISK = 0x20,
    TSI_ISSUER_AUTH = 0x10,
    TSI_TERMINAL_RISK = 0x08,
    TSI_SCRIPTS = 0x04
};

/* Application interchange profile, byte 1: Annex C1. */
enum emv_aip {
    AIP_SDA = 0x40,
    AIP_DDA = 0x20,
    AIP_CVM = 0x10,
    AIP_TERMINAL_RISK = 0x08,
    AIP_ISSUER_AUTH = 0x04,
    AIP_DEVICE_CVM = 0x02,
    AIP_CDA = 0x01
};

enum emv_cid {
    CID_AAC = 0x00,
    CID_TC = 0x40,
    CID_ARQC = 0x80,
    CID_TYPE = 0xC0,
    CID_ADVICE = 0x08,
    CID_REASON = 0x07
};

/* Values sent for a data object list. */
struct emv_values {
    uint8_t p[256];
    size_t n;
};

/* One application both sides have. */
struct emv_candidate {
    uint8_t name[16]; /* ADF name */
    uint8_t name_n;
    uint8_t priority; /* 1 first; 0 when the card states none */
    bool confirm;     /* the cardholder must agree */
    char label[33];   /* for people, UTF-8 */
    const struct dp_emv_aid *aid;
};

/* 9F34 byte 1 when no rule of the card's list was applied (Book 4, Annex A4). */
#define EMV_CVM_NOT_PERFORMED 0x3F

struct dp_emv_kernel {
    struct dp_secret memory; /* in which all this stands */
    struct dp_card *card;
    const struct dp_emv_terminal *terminal;
    const struct dp_emv_transaction *transaction;
    const struct dp_emv_ops *ops;
    struct dp_emv_result *result;

    struct emv_data data;
    const struct dp_emv_aid *aid; /* the terminal's, of the application selected */
    struct emv_candidate candidates[DP_EMV_CANDIDATES_MAX];
    size_t candidates_n;
    bool candidates_lost;                /* the card has more than these */
    uint8_t code_table;                  /* 9F11 of the card's directory; 0: none */
    char languages[EMV_LANGUAGES_BYTES]; /* 5F2D of the card's directory */

    uint8_t tvr[5], tsi[2], cvm_results[3];
    uint8_t aip[2];
    uint8_t afl[4 * DP_EMV_AFL_ENTRIES_MAX];
    size_t afl_n;
    /* records for offline data authentication, one after another */
    uint8_t signed_records[DP_EMV_DATA_MAX];
    size_t signed_records_n;
    bool signed_records_bad; /* one was not coded as it must be: authentication fails */

    struct emv_values pdol, cdol1, cdol2; /* as sent */
    uint8_t answer[DP_CARD_DATA_MAX];     /* data of the answer in hand */

    enum dp_emv_authentication oda; /* the method both sides have */
    struct oda_key icc_key;         /* CDA: recovered before the first cryptogram */
    bool icc_key_good;
    bool cda_passed; /* the cryptogram in hand was signed */

    struct dp_emv_policy_answer policy;
    bool committed; /* a cryptogram was asked for: cancelling is no longer listened to */
};

/* ---- the two ways through a payment ---- */
DP_MUST_USE int emv_contact(struct dp_emv_kernel *k);
DP_MUST_USE int emv_contactless(struct dp_emv_kernel *k);

/* ---- kernel.c: what all steps use ---- */

/* Ends the payment: fills outcome, reason and words. Returns EMV_OVER. */
DP_MUST_USE int emv_end(struct dp_emv_kernel *k, enum dp_emv_outcome outcome,
                        enum dp_emv_reason reason, const char *words);
/* The same with the place of a data error: "GPO: 94 duplicate". */
DP_MUST_USE int emv_end_card_data(struct dp_emv_kernel *k, const char *where, int err);
/* One command to the card, as dp_card_exchange; the answer lives in k->answer until the next. */
DP_MUST_USE int emv_exchange(struct dp_emv_kernel *k, const struct dp_apdu *command,
                             struct dp_apdu_answer *answer);
/* The same, where a failure of card or reader ends the payment: EMV_GO_ON with any status word. */
DP_MUST_USE int emv_command(struct dp_emv_kernel *k, const struct dp_apdu *command,
                            struct dp_apdu_answer *answer);
/* The next command asks for a cryptogram: the last moment to be cancelled, DP_ERR_CANCELLED. */
DP_MUST_USE int emv_commit(struct dp_emv_kernel *k);
/* Ends the payment because emv_exchange failed with err. */
DP_MUST_USE int emv_end_exchange(struct dp_emv_kernel *k, int err);
/* Names the step for the caller's log. */
void emv_step(struct dp_emv_kernel *k, const char *name);
void emv_ui(struct dp_emv_kernel *k, enum dp_emv_ui what);

void emv_tvr_set(struct dp_emv_kernel *k, enum emv_tvr bit);
bool emv_tvr_has(const struct dp_emv_kernel *k, enum emv_tvr bit);

/* The values a list asks for: TVR, TSI and CVM results as they stand now, all else from the data
 * store. 9F37 asked for with another length than 4 ends the payment (A07). where names the list. */
DP_MUST_USE int emv_dol_fill(struct dp_emv_kernel *k, struct dp_bytes dol, const char *where,
                             struct emv_values *out);

/* ---- records.c ---- */

/* AIP and AFL of an answer to GET PROCESSING OPTIONS, checked and kept. */
DP_MUST_USE int emv_afl_keep(struct dp_emv_kernel *k, struct dp_bytes afl);
/* Reads every record the AFL names into the data store. */
DP_MUST_USE int emv_records_read(struct dp_emv_kernel *k);
/* PAN, expiry, sequence number, track 2 from the data store into the result: for the policy, and
 * for the caller to seal. */
DP_MUST_USE int emv_card_data_fill(struct dp_emv_kernel *k);

/* ---- select.c, for Entry Point too ---- */

/* The name for people out of a directory entry or an FCI's proprietary template. */
DP_PARSES void emv_candidate_name(const struct dp_emv_kernel *k, struct dp_bytes row,
                                  struct emv_candidate *c);
/* Tells the caller what there is to choose from; ends the payment when it wants to be asked.
 * Nothing when the choice is made. */
DP_MUST_USE int emv_candidates_offer(struct dp_emv_kernel *k);

/* The summary names no application any more. */
void emv_application_forget(struct dp_emv_kernel *k);

/* DF name, label, AID of an application that was selected; its FCI's elements into the store. */
DP_MUST_USE DP_PARSES int emv_fci_take(struct dp_emv_kernel *k, struct dp_bytes fci,
                                       struct dp_bytes expected_name);
/* Label and AID for the summary, and 9F06, 9F09, 9F1B for the lists. */
DP_MUST_USE int emv_application_selected(struct dp_emv_kernel *k, const struct dp_emv_aid *aid);

/* ---- risk.c ---- */

/* The second policy step: what the caller says once the card is known. A decline is in
 * k->policy.verdict and ends nothing here. */
DP_MUST_USE int emv_policy(struct dp_emv_kernel *k);

/* ---- restrict.c, for kernel 3 too ---- */
bool emv_expired(const struct dp_emv_kernel *k);
bool emv_not_yet_effective(const struct dp_emv_kernel *k);

/* ---- action.c, for kernel 3 too ---- */

/* May a first cryptogram be kept and asked for later, once there is leave to do so? Not of a card
 * that is not authenticated though it should be, expired, not yet valid, on the exception list, or
 * whose holder is not verified: then reason and words say which. */
DP_MUST_USE bool emv_may_be_kept(const struct dp_emv_kernel *k, enum dp_emv_reason *reason,
                                 const char **words);

/* ---- authenticate.c ---- */

/* The input of offline data authentication from the data store and the records read. */
void emv_oda_input(struct dp_emv_kernel *k, struct oda_input *in);
/* Notes how authentication ended, for the summary. */
void emv_oda_result(struct dp_emv_kernel *k, enum dp_emv_authentication method,
                    enum dp_emv_auth_result result, const char *why);

/* ---- output.c ---- */

/* The white-listed EMV data as they stand now, and the summary's TVR, cryptogram, ATC. */
DP_MUST_USE int emv_output(struct dp_emv_kernel *k);
/* The results of issuer scripts (9F5B) behind them, for the message that follows. */
void emv_output_scripts(struct dp_emv_kernel *k);
void emv_summary_fill(struct dp_emv_kernel *k);

#endif
