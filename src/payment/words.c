/* SPDX-License-Identifier: Apache-2.0 */
/* Reasons: a short name for logs and JSON, and what the postal worker reads at the door; out of the
 * one table, src/emv/words. */
#include <doorpay/payment.h>

const char *dp_reason_name(enum dp_reason reason)
{
    return dp_words_reason((unsigned)reason, DP_FOR_LOG, DP_LANGUAGE_EN);
}

const char *dp_reason_words(enum dp_reason reason)
{
    return dp_reason_words_in(reason, DP_LANGUAGE_EN);
}

const char *dp_reason_words_in(enum dp_reason reason, enum dp_language language)
{
    return dp_words_reason((unsigned)reason, DP_FOR_WORKER, language);
}
