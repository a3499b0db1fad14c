/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes, reasons and TVR bits in words, for the log and for people. */
#include "kernel.h"

static const char *const outcomes[] = {
    [DP_EMV_APPROVED_OFFLINE] = "approved offline",
    [DP_EMV_APPROVED_ONLINE] = "approved online",
    [DP_EMV_DECLINED] = "declined",
    [DP_EMV_DEFERRED] = "deferred",
    [DP_EMV_REVERSE] = "approved online, then refused by the card",
    [DP_EMV_TRY_OTHER_INTERFACE] = "other interface wanted",
    [DP_EMV_TRY_AGAIN] = "card wanted again",
    [DP_EMV_CDCVM_WANTED] = "unlocked phone wanted",
    [DP_EMV_ENDED] = "ended",
};

static const char *const reasons[] = {
    [DP_EMV_REASON_NONE] = "none",
    [DP_EMV_REASON_CARD_DECLINED] = "card declined",
    [DP_EMV_REASON_TERMINAL_DECLINED] = "terminal declined",
    [DP_EMV_REASON_ISSUER_DECLINED] = "issuer declined",
    [DP_EMV_REASON_POLICY] = "policy",
    [DP_EMV_REASON_NO_LINK] = "no link",
    [DP_EMV_REASON_NOT_AUTHENTICATED] = "not authenticated",
    [DP_EMV_REASON_OVER_LIMIT] = "over a limit",
    [DP_EMV_REASON_EXPIRED] = "expired",
    [DP_EMV_REASON_CVM] = "cardholder verification",
    [DP_EMV_REASON_NO_APPLICATION] = "no application",
    [DP_EMV_REASON_BLOCKED] = "blocked",
    [DP_EMV_REASON_CARD_DATA] = "card data",
    [DP_EMV_REASON_CARD_GONE] = "card gone",
    [DP_EMV_REASON_CARD_ERROR] = "card error",
    [DP_EMV_REASON_READER] = "reader",
    [DP_EMV_REASON_KERNEL_UNSUPPORTED] = "kernel not supported",
    [DP_EMV_REASON_CANCELLED] = "cancelled",
    [DP_EMV_REASON_CHOICE] = "choice of application",
    [DP_EMV_REASON_REFERRAL] = "referral",
};

static const char *look_up(const char *const *names, size_t n, unsigned at)
{
    return at < n && names[at] != NULL ? names[at] : "unknown";
}

const char *dp_emv_outcome_name(enum dp_emv_outcome outcome)
{
    return look_up(outcomes, sizeof outcomes / sizeof outcomes[0], (unsigned)outcome);
}

const char *dp_emv_reason_name(enum dp_emv_reason reason)
{
    return look_up(reasons, sizeof reasons / sizeof reasons[0], (unsigned)reason);
}

static const struct {
    enum emv_tvr bit;
    const char *words;
} bits[] = {
    {TVR_ODA_NOT_PERFORMED, "card not authenticated"},
    {TVR_SDA_FAILED, "static authentication failed"},
    {TVR_DDA_FAILED, "dynamic authentication failed"},
    {TVR_CDA_FAILED, "combined authentication failed"},
    {TVR_ICC_DATA_MISSING, "card data missing"},
    {TVR_EXCEPTION_FILE, "card on the exception list"},
    {TVR_SDA_SELECTED, "static authentication only"},
    {TVR_VERSIONS_DIFFER, "application versions differ"},
    {TVR_EXPIRED, "application expired"},
    {TVR_NOT_YET_EFFECTIVE, "application not yet effective"},
    {TVR_SERVICE_NOT_ALLOWED, "service not allowed for this card"},
    {TVR_NEW_CARD, "new card"},
    {TVR_CVM_FAILED, "cardholder not verified"},
    {TVR_CVM_UNKNOWN, "verification method unknown"},
    {TVR_PIN_TRIES_EXCEEDED, "no PIN tries left"},
    {TVR_PIN_PAD_ABSENT, "PIN wanted, no PIN pad"},
    {TVR_PIN_NOT_ENTERED, "PIN wanted, not entered"},
    {TVR_PIN_ONLINE, "PIN entered for the issuer"},
    {TVR_OVER_FLOOR_LIMIT, "over the floor limit"},
    {TVR_LOWER_LIMIT_EXCEEDED, "lower offline limit exceeded"},
    {TVR_UPPER_LIMIT_EXCEEDED, "upper offline limit exceeded"},
    {TVR_RANDOMLY_SELECTED, "selected at random"},
    {TVR_MERCHANT_FORCED_ONLINE, "merchant wants online"},
    {TVR_DEFAULT_TDOL, "default TDOL used"},
    {TVR_ISSUER_AUTH_FAILED, "issuer authentication failed"},
    {TVR_SCRIPT_FAILED_BEFORE, "script failed before the last cryptogram"},
    {TVR_SCRIPT_FAILED_AFTER, "script failed after the last cryptogram"},
};

const char *emv_tvr_words(const uint8_t tvr[5])
{
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
        if ((tvr[(unsigned)bits[i].bit >> 8] & (uint8_t)bits[i].bit) != 0)
            return bits[i].words;
    return "action codes";
}
