/* SPDX-License-Identifier: Apache-2.0 */
/* Reasons: a short name for logs and JSON, and what the postal worker reads at the door. */
#include <doorpay/payment.h>

static const struct {
    enum dp_reason reason;
    const char *name, *words;
} table[] = {
    {DP_REASON_NONE, "none", "Paid"},
    {DP_REASON_CARD_DECLINED, "card_declined", "Card not accepted: ask for another card"},
    {DP_REASON_TERMINAL_DECLINED, "terminal_declined", "Card not accepted: ask for another card"},
    {DP_REASON_ISSUER_DECLINED, "issuer_declined", "The bank says no: ask for another card"},
    {DP_REASON_SOFT_DECLINE, "authenticate",
     "The bank wants the card inserted, or the phone unlocked: try that"},
    {DP_REASON_NO_LINK, "no_link",
     "No network, and this card needs it: ask for another card, or try later"},
    {DP_REASON_NOT_AUTHENTICATED, "not_authenticated",
     "Card could not be proven genuine without network: ask for another card"},
    {DP_REASON_LIMIT_PAYMENT, "limit_payment",
     "Amount too high without network: try where there is network"},
    {DP_REASON_LIMIT_ROUND, "limit_round",
     "No more payments without network on this round: find network first"},
    {DP_REASON_LIMIT_CARD, "limit_card",
     "This card has paid enough without network: ask for another card"},
    {DP_REASON_LIMIT_SYNC, "limit_sync", "Too long without network: find network first"},
    {DP_REASON_EXCEPTION_LIST, "exception_list", "Card not accepted: ask for another card"},
    {DP_REASON_BIN_AID, "bin_aid", "Card not accepted: ask for another card"},
    {DP_REASON_EXPIRED_CARD, "expired", "The card has expired: ask for another card"},
    {DP_REASON_CVM, "cvm",
     "The card wants a PIN, which this device does not take: ask for another card or a phone"},
    {DP_REASON_NO_APPLICATION, "no_application",
     "Not a payment card we take: ask for another card"},
    {DP_REASON_CARD_BLOCKED, "card_blocked", "The card is blocked: ask for another card"},
    {DP_REASON_CARD_DATA, "card_data", "Card not readable: ask for another card"},
    {DP_REASON_CARD_GONE, "card_gone", "Card taken away too soon: not paid, try again"},
    {DP_REASON_CARD_ERROR, "card_error", "Card not readable: try again, or ask for another card"},
    {DP_REASON_READER, "reader", "The card reader does not answer: check it, then try again"},
    {DP_REASON_CANCELLED, "cancelled", "Cancelled: not paid"},
    {DP_REASON_TIMEOUT, "timeout", "No card was presented: not paid"},
    {DP_REASON_INTERRUPTED, "interrupted", "The payment was interrupted: not paid"},
    {DP_REASON_NO_ANSWER, "no_answer", "The bank did not answer: not paid"},
    {DP_REASON_BAD_ANSWER, "bad_answer", "The bank's answer was not genuine: not paid"},
    {DP_REASON_CARD_REFUSED_AFTER, "card_refused_after",
     "The card refused in the end: not paid, ask for another card"},
    {DP_REASON_INCONSISTENT, "inconsistent",
     "The payment could not be proven: not paid, try again"},
    {DP_REASON_OTHER_INTERFACE, "other_interface", "Insert the card instead"},
    {DP_REASON_SEE_PHONE, "see_phone", "The customer must unlock the phone, then tap again"},
    {DP_REASON_REPLAY, "replay", "Card not accepted: ask for another card"},
    {DP_REASON_DEFERRED_EXPIRED, "deferred_expired",
     "The bank could not be asked in time: not paid"},
    {DP_REASON_BUSY, "busy", "Another payment is going on: wait for it to end"},
    {DP_REASON_SERVICE_ID_REUSED, "service_id_reused",
     "The app used one number for two payments: start the payment again"},
    {DP_REASON_ALREADY_PAID, "already_paid", "This has been paid already"},
    {DP_REASON_CURRENCY, "currency", "This device does not take that currency"},
    {DP_REASON_AMOUNT, "amount", "The amount is not one that can be paid"},
    {DP_REASON_PARAMS, "params", "This device has no valid settings: contact the help desk"},
    {DP_REASON_JOURNAL, "journal", "This device can take no payments: contact the help desk"},
    {DP_REASON_NOT_FOUND, "not_found", "No such payment on this device"},
    {DP_REASON_NOT_ALLOWED, "not_allowed", "Not allowed on this device"},
    {DP_REASON_ALREADY_REVERSED, "already_reversed", "This payment has been cancelled already"},
    {DP_REASON_PARCEL, "parcel", "This parcel is not on the round"},
    {DP_REASON_UNKNOWN, "unknown", "Not certain yet: ask for the status before anything else"},
};

const char *dp_reason_name(enum dp_reason reason)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].reason == reason)
            return table[i].name;
    return "unknown";
}

const char *dp_reason_words(enum dp_reason reason)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].reason == reason)
            return table[i].words;
    return "Not certain yet: ask for the status before anything else";
}
