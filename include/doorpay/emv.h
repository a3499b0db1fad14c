/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tap: a card, a terminal's data, an amount. The kernel runs to its end in one blocking call
 * and asks three things of its caller through callbacks: whether policy lets it go on once the card
 * is known, what the issuer says online, and that the screen show something. It never touches a
 * reader but through struct dp_card, nor the clock, nor a random source.
 */
#ifndef DOORPAY_EMV_H
#define DOORPAY_EMV_H

#include <doorpay/base.h>
#include <doorpay/card.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what the terminal is ---- */

struct dp_emv_ca_key {
    uint8_t rid[5], index;
    uint8_t modulus[248];
    uint16_t modulus_n;
    uint32_t exponent; /* 3 or 65537 */
    uint32_t expiry;   /* YYYYMMDD */
};

struct dp_emv_aid {
    uint8_t aid[16];
    uint8_t aid_n;
    uint8_t kernel;     /* 0 contact, 2, 3 */
    bool partial;       /* a longer ADF name may match */
    uint8_t version[2]; /* 9F09 */
    uint8_t tac_denial[5], tac_online[5], tac_default[5];
    uint64_t floor_limit, random_threshold;
    uint8_t random_target, random_max; /* percent, 0..99 */
    uint8_t ddol[64], tdol[64];        /* defaults */
    uint8_t ddol_n, tdol_n;
    uint8_t ttq[4]; /* 9F66 before the transaction's bits */
    uint64_t cl_transaction_limit, cl_cvm_limit, cl_floor_limit;
};

/* An issuer's certificate that its scheme took back. */
struct dp_emv_revoked {
    uint8_t rid[5], index; /* the CA key it was signed with */
    uint8_t serial[3];
};

struct dp_emv_terminal {
    char tid[9], mid[16], mcc[5], merchant_name[41], acquirer_id[12];
    uint16_t country; /* ISO 3166 numeric */
    uint8_t type;     /* 9F35 */
    uint8_t capabilities[3], additional_capabilities[5];
    char ifd_serial[9]; /* 9F1E */
    const struct dp_emv_aid *aids;
    size_t aids_n;
    const struct dp_emv_ca_key *ca_keys;
    size_t ca_keys_n;
    const struct dp_emv_revoked *revoked;
    size_t revoked_n;
};

/* ---- what is to be paid ---- */

struct dp_emv_transaction {
    struct dp_money amount;
    uint8_t type;              /* 9C: 00 goods and services, 20 refund */
    struct dp_date_time local; /* 9A, 9F21 */
    uint8_t unpredictable_number[4];
    uint8_t random[4];    /* for random transaction selection; never shown to the card */
    uint32_t sequence;    /* 9F41 */
    bool online_possible; /* there is a link now; false: unable to go online */
    bool offline_allowed; /* the sale and the round's headroom allow an offline approval */
    bool deferred_allowed;
    uint64_t kernel3_offline_max; /* signed ceiling of kernel 3; 0: never offline */
    bool oda_failure_declines;    /* parameter oda_failure = decline */
    /* EU 2015/751 art. 8: an AID the customer chose; aid_n 0: the card's priority */
    uint8_t chosen_aid[16];
    uint8_t chosen_aid_n;
    bool
        choice_wanted; /* several and none chosen: end with REASON_CHOICE, the list goes to offer */
};

/* ---- what was seen and decided ---- */

enum dp_emv_outcome {
    DP_EMV_APPROVED_OFFLINE = 1, /* TC; authenticated by CDA (kernel 3: fDDA 01), within limits */
    DP_EMV_APPROVED_ONLINE = 2,  /* issuer approved and the card agreed (or was not asked again) */
    DP_EMV_DECLINED = 3,         /* by card, terminal, policy or issuer: see reason */
    DP_EMV_DEFERRED = 4,         /* no link; the first cryptogram (ARQC) is kept */
    DP_EMV_REVERSE =
        5, /* issuer approved, the card then refused: declined, and a reversal is due */
    DP_EMV_TRY_OTHER_INTERFACE = 6, /* insert instead of tap, or the reverse */
    DP_EMV_TRY_AGAIN = 7,           /* present the card again (removed too early, collision) */
    DP_EMV_CDCVM_WANTED = 8,        /* the customer must unlock the phone and tap again */
    DP_EMV_ENDED = 9 /* no payment application, blocked card, malformed card: see reason */
};

/* Why, for the log and for the table of words. */
enum dp_emv_reason {
    DP_EMV_REASON_NONE = 0,
    DP_EMV_REASON_CARD_DECLINED,     /* AAC */
    DP_EMV_REASON_TERMINAL_DECLINED, /* TVR against denial codes */
    DP_EMV_REASON_ISSUER_DECLINED,
    DP_EMV_REASON_POLICY,            /* second policy step said no */
    DP_EMV_REASON_NO_LINK,           /* wanted online, no link, no deferral */
    DP_EMV_REASON_NOT_AUTHENTICATED, /* offline needs CDA / fDDA and it failed or was not done */
    DP_EMV_REASON_OVER_LIMIT,
    DP_EMV_REASON_EXPIRED,
    DP_EMV_REASON_CVM,
    DP_EMV_REASON_NO_APPLICATION,
    DP_EMV_REASON_BLOCKED,
    DP_EMV_REASON_CARD_DATA, /* mandatory data missing, format, duplicate */
    DP_EMV_REASON_CARD_GONE,
    DP_EMV_REASON_CARD_ERROR, /* unexpected status word or answer */
    DP_EMV_REASON_READER,
    DP_EMV_REASON_KERNEL_UNSUPPORTED,
    DP_EMV_REASON_CANCELLED,
    DP_EMV_REASON_CHOICE,  /* the customer must choose the application, or agree to it */
    DP_EMV_REASON_REFERRAL /* the issuer wants a call: here a decline */
};

enum dp_emv_authentication {
    DP_EMV_AUTH_NONE = 0,
    DP_EMV_AUTH_SDA,
    DP_EMV_AUTH_DDA,
    DP_EMV_AUTH_CDA,
    DP_EMV_AUTH_FDDA
};
enum dp_emv_auth_result {
    DP_EMV_AUTH_NOT_PERFORMED = 0,
    DP_EMV_AUTH_PASSED,
    DP_EMV_AUTH_FAILED
};
enum dp_emv_cvm {
    DP_EMV_CVM_NONE = 0,
    DP_EMV_CVM_SIGNATURE = 1,
    DP_EMV_CVM_DEVICE = 2
};

/* Card data in clear, for the length of one tap: the caller seals and wipes it. */
struct dp_emv_card_data {
    char pan[20];   /* digits */
    char expiry[5]; /* YYMM */
    bool has_sequence;
    uint8_t sequence;   /* PSN, 5F34 */
    uint8_t track2[19]; /* tag 57 as read; for contactless also from GPO */
    uint8_t track2_n;
};

/* What the caller may know of a card before and after: nothing that identifies it but the summary.
 */
struct dp_emv_summary {
    enum dp_card_interface interface;
    uint8_t kernel;
    uint8_t aid[16]; /* the selected DF name */
    uint8_t aid_n;
    char label[33];    /* application label or preferred name, for people: UTF-8 */
    char languages[9]; /* the holder's, in order: "frnl"; empty: the card says none */
    char bin[7], last4[5];
    char par[30];
    enum dp_emv_authentication authentication;
    enum dp_emv_auth_result authentication_result;
    char authentication_reason[48]; /* why it failed, in words */
    enum dp_emv_cvm cvm;
    uint8_t tvr[5], tsi[2], cvm_results[3], aip[2], cid;
    uint16_t atc;
    uint8_t cryptogram[8];
};

/* ---- the three questions ---- */

enum dp_emv_policy {
    DP_EMV_POLICY_GO_ON = 0,
    DP_EMV_POLICY_DECLINE = 1
};
struct dp_emv_policy_answer {
    enum dp_emv_policy verdict;
    bool offline_allowed; /* per-card cap, exception list, BIN -> AIDs */
    bool deferred_allowed;
    bool on_exception_list; /* sets the TVR bit */
    /* what the same card paid in this round: a sale split in two is one against the floor limit */
    uint64_t card_amount;
};

/* EMV data of a message: BER-TLV, white-listed tags only (never 57 5A 5F20 9F1F 99 56). */
struct dp_emv_online_request {
    const struct dp_emv_summary *summary;
    const struct dp_emv_card_data *card;
    struct dp_bytes emv;
};

struct dp_emv_online_answer {
    bool online; /* false: no answer; unable to go online */
    bool approved;
    char arc[3];                       /* 8A */
    uint8_t issuer_authentication[16]; /* 91 */
    uint8_t issuer_authentication_n;
    uint8_t scripts[512]; /* 71 / 72 templates, one after another */
    uint16_t scripts_n;
};

enum dp_emv_ui {
    DP_EMV_UI_PRESENT_CARD = 1,
    DP_EMV_UI_PROCESSING,
    DP_EMV_UI_REMOVE_CARD,
    DP_EMV_UI_PRESENT_ONE_CARD,
    DP_EMV_UI_INSERT_CARD,
    DP_EMV_UI_SEE_PHONE,
    DP_EMV_UI_TRY_AGAIN,
    DP_EMV_UI_GOING_ONLINE,
    DP_EMV_UI_CARD_READ_OK,
    DP_EMV_UI_APPROVED,
    DP_EMV_UI_DECLINED,
    DP_EMV_UI_APPROVED_SIGN,
    DP_EMV_UI_CHOOSE /* comes with the list of applications */
};

/* One application both sides have, as the customer sees it. */
#define DP_EMV_OFFERS_MAX 32 /* as many as a card may have */
struct dp_emv_offer {
    uint8_t aid[16];
    uint8_t aid_n;
    bool confirm;   /* the card wants the customer's consent to this one */
    char label[33]; /* UTF-8; empty: the card gives none that can be shown */
};

struct dp_emv_ops {
    void *ctx;
    /* After the records are read and before action analysis (kernel 3: after GPO). < 0: the payment
     * ends (ENDED). */
    int (*policy)(void *ctx, const struct dp_emv_summary *s, const struct dp_emv_card_data *card,
                  struct dp_emv_policy_answer *answer);
    /* Blocks until the acquirer answered or there is none. < 0: the payment ends. */
    int (*online)(void *ctx, const struct dp_emv_online_request *request,
                  struct dp_emv_online_answer *answer);
    void (*ui)(void *ctx, enum dp_emv_ui what);
    /* Names each step as it begins ("GENERATE AC 1"); may be NULL. */
    void (*step)(void *ctx, const char *name);
    bool (*cancelled)(void *ctx); /* may be NULL */
    /* The card has several applications of ours, or wants consent to its one: in the card's order.
     * May be NULL. */
    void (*offer)(void *ctx, const struct dp_emv_offer *offers, size_t n);
};

struct dp_emv_result {
    enum dp_emv_outcome outcome;
    enum dp_emv_reason reason;
    char words[96]; /* the reason in English, for the log: no card data */
    struct dp_emv_summary summary;
    struct dp_emv_card_data card; /* the caller seals what it needs and calls dp_emv_result_wipe */
    /* EMV data as of the cryptogram that counts: the TC; for DEFERRED and declined-after-ARQC the
     * first ARQC */
    uint8_t emv[512];
    uint16_t emv_n;
    bool went_online; /* the online callback was called */
    uint8_t script_results[5 * 16];
    uint8_t script_results_n;
    bool advice_wanted; /* the card's last answer asks that its issuer be told (CID, bit 4) */
};

/* Working memory of one payment: nothing is taken from the heap between first SELECT and outcome.
 */
struct dp_emv_kernel;
/* The caller's, in locked memory, for dp_emv_kernel_free, which wipes it and NULLs the pointer;
 * NULL is fine there. dp_secret_new's errors. */
DP_PUBLIC DP_MUST_USE int dp_emv_kernel_new(struct dp_emv_kernel **out);
DP_PUBLIC void dp_emv_kernel_free(struct dp_emv_kernel **k);

/*
 * Runs the payment on a connected card (dp_card_connect): contact by selection and the contact
 * kernel, contactless by Entry Point. Returns DP_OK with a result whatever the card did; < 0 only
 * for what is not the card's doing (DP_ERR_ARG: bad terminal data; the policy or online callback's
 * error; DP_ERR_CRYPTO). Any string or limit stated above is checked.
 */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_emv_perform(struct dp_emv_kernel *k, struct dp_card *card,
                                                   const struct dp_emv_terminal *terminal,
                                                   const struct dp_emv_transaction *transaction,
                                                   const struct dp_emv_ops *ops,
                                                   struct dp_emv_result *result);
DP_PUBLIC void dp_emv_result_wipe(struct dp_emv_result *result);

/*
 * For a process that takes payments; once, before anything else of mbedTLS (psa_crypto_init too).
 * mbedTLS then works in static memory of DP_EMV_ARENA_BYTES, wiped as it is given back, and nothing
 * of a tap rests on the heap. What finds no room in it fails (DP_ERR_CRYPTO); it is never taken
 * from elsewhere. One thread only.
 */
DP_PUBLIC void dp_emv_arena_begin(void);
/* Bytes from its start to the end of the highest block there ever was. */
DP_PUBLIC DP_MUST_USE size_t dp_emv_arena_peak(void);

/* "TVR bit", reason and outcome in words for log and people; never NULL. */
DP_PUBLIC const char *dp_emv_outcome_name(enum dp_emv_outcome outcome);
DP_PUBLIC const char *dp_emv_reason_name(enum dp_emv_reason reason);

#ifdef __cplusplus
}
#endif
#endif
