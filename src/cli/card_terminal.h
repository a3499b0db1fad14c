/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal a card is replayed against: from options, else from what the recording shows of the
 * terminal it was made with, else from defaults. */
#ifndef DP_CLI_CARD_TERMINAL_H
#define DP_CLI_CARD_TERMINAL_H

#include <doorpay/emv.h>
#include <doorpay/params.h>
#include <doorpay/words.h>

#include "ca_keys.h"
#include "recording.h"

enum card_issuer {
    ISSUER_AS_RECORDED, /* by the 8A the terminal sent, if it did */
    ISSUER_APPROVES,
    ISSUER_DECLINES,
    ISSUER_SILENT /* no link */
};

/* As given on the command line; NULL: not. */
struct card_options {
    const char *transcript, *ca_keys, *params, *back_office;
    const char *date, *un, *amount, *currency, *country, *type;
    enum dp_card_interface interface; /* 0: not given */
    enum dp_transcript_match match;
    enum card_issuer issuer;
    enum dp_language language; /* what worker and customer read */
    bool json;
};

struct card_terminal {
    struct dp_emv_terminal terminal;
    struct dp_emv_transaction transaction;
    struct dp_emv_aid aids[DP_EMV_AIDS_MAX];
    struct ca_keys ca;
    struct dp_emv_revoked revoked[DP_EMV_REVOKED_MAX];
    struct dp_emv_ca_key ca_keys[DP_EMV_CA_KEYS_MAX]; /* of the parameters */
    struct dp_emv_online_answer answer;               /* what the issuer says */
};

/* Fills everything but ca; params (NULL: none) must live as long. DP_ERR_FORMAT or DP_ERR_RANGE:
 * *what names the option at fault; DP_ERR_NOT_FOUND: no application is named in the recording. */
DP_MUST_USE int card_terminal_make(const struct card_options *o, const struct recording *r,
                                   const struct dp_params *params, struct card_terminal *t,
                                   const char **what);

#endif
