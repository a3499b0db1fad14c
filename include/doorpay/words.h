/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people read, from one table (src/emv/words): the postal worker what to do next, the customer
 * what happened, the log a short name. Texts are UTF-8, static, and never NULL; no card number and
 * no bit stands in them.
 */
#ifndef DOORPAY_WORDS_H
#define DOORPAY_WORDS_H

#include <doorpay/emv.h>

#ifdef __cplusplus
extern "C" {
#endif

enum dp_language {
    DP_LANGUAGE_EN = 0,
    DP_LANGUAGE_FR,
    DP_LANGUAGE_NL,
    DP_LANGUAGE_DE
};
#define DP_LANGUAGES 4

enum dp_audience {
    DP_FOR_WORKER = 0,
    DP_FOR_CUSTOMER,
    DP_FOR_LOG /* the short name, in English whatever the language */
};

/* "fr", also as "fr-BE" or "fr_BE.UTF-8". DP_ERR_UNSUPPORTED: none of ours. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_language_parse(const char *text, enum dp_language *out);
/* The first of the card holder's languages (struct dp_emv_summary) that we have, else otherwise. */
DP_PUBLIC enum dp_language dp_language_of_card(const char *languages, enum dp_language otherwise);

/* reason: enum dp_reason of payment.h. What is not in the table reads as "unknown". */
DP_PUBLIC const char *dp_words_reason(unsigned reason, enum dp_audience audience,
                                      enum dp_language language);
DP_PUBLIC const char *dp_words_outcome(enum dp_emv_outcome outcome, enum dp_audience audience,
                                       enum dp_language language);
DP_PUBLIC const char *dp_words_kernel_reason(enum dp_emv_reason reason, enum dp_audience audience,
                                             enum dp_language language);
/* Of the first bit set, in the table's order; without one: "action codes", other card. */
DP_PUBLIC const char *dp_words_tvr(const uint8_t tvr[5], enum dp_audience audience,
                                   enum dp_language language);
/* For the screen; the log's name is the event's code ("present-card"). */
DP_PUBLIC const char *dp_words_ui(enum dp_emv_ui ui, enum dp_audience audience,
                                  enum dp_language language);

enum dp_words_state {
    DP_WORDS_REVERSAL_DONE = 1,
    DP_WORDS_PAID_THEN_CANCELLED,
    DP_WORDS_IN_PROGRESS,
    DP_WORDS_ALL_WELL,
    DP_WORDS_FORWARDING
};
DP_PUBLIC const char *dp_words_of_state(enum dp_words_state state, enum dp_audience audience,
                                        enum dp_language language);

#ifdef __cplusplus
}
#endif
#endif
