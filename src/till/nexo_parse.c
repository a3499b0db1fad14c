/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <psa/crypto.h>

#include "base/hex.h"
#include "base/limits.h"
#include "nexo.h"

/* One walk over a request: the first thing wrong is kept, later ones are not looked at. */
struct walk {
    int err;
    char *error;
    size_t error_n;
};

static void fail(struct walk *w, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void fail(struct walk *w, int err, const char *format, ...)
{
    va_list args;
    if (w->err != DP_OK)
        return;
    w->err = err;
    va_start(args, format);
    (void)vsnprintf(w->error, w->error_n, format, args);
    va_end(args);
}

static json_t *object(struct walk *w, json_t *in, const char *name, bool required)
{
    json_t *o = json_object_get(in, name);
    if (o == NULL && !required)
        return NULL;
    if (o == NULL)
        fail(w, DP_ERR_MISSING, "%s is missing", name);
    else if (!json_is_object(o))
        fail(w, DP_ERR_FORMAT, "%s is not an object", name);
    return json_is_object(o) ? o : NULL;
}

/* Printable text of at most size - 1 bytes. */
static void text(struct walk *w, json_t *in, const char *name, char *out, size_t size,
                 bool required)
{
    json_t *v = json_object_get(in, name);
    const char *s;
    out[0] = '\0';
    if (v == NULL) {
        if (required)
            fail(w, DP_ERR_MISSING, "%s is missing", name);
        return;
    }
    if (!json_is_string(v)) {
        fail(w, DP_ERR_FORMAT, "%s is not a text", name);
        return;
    }
    s = json_string_value(v);
    if (json_string_length(v) != strlen(s) || strlen(s) >= size || (required && s[0] == '\0')) {
        fail(w, DP_ERR_FORMAT, "%s must have %d to %zu characters", name, required ? 1 : 0,
             size - 1);
        return;
    }
    for (const char *c = s; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c > '~') {
            fail(w, DP_ERR_FORMAT, "%s holds a character outside printable ASCII", name);
            return;
        }
    if (strstr(s, NEXO_NUMBER_MARK) != NULL) {
        fail(w, DP_ERR_FORMAT, "%s holds a reserved mark", name);
        return;
    }
    memcpy(out, s, strlen(s) + 1);
}

static const struct {
    enum nexo_category category;
    const char *name;
} categories[] = {
    {NEXO_LOGIN, "Login"},
    {NEXO_LOGOUT, "Logout"},
    {NEXO_PAYMENT, "Payment"},
    {NEXO_STATUS, "TransactionStatus"},
    {NEXO_REVERSAL, "Reversal"},
    {NEXO_ABORT, "Abort"},
    {NEXO_DIAGNOSIS, "Diagnosis"},
    {NEXO_TOTALS, "GetTotals"},
    {NEXO_RECONCILIATION, "Reconciliation"},
    {NEXO_ADMIN, "Admin"},
};

const char *nexo_category_name(enum nexo_category category)
{
    for (size_t i = 0; i < sizeof categories / sizeof categories[0]; i++)
        if (categories[i].category == category)
            return categories[i].name;
    return "";
}

static enum nexo_category category_of(const char *name)
{
    for (size_t i = 0; i < sizeof categories / sizeof categories[0]; i++)
        if (strcmp(categories[i].name, name) == 0)
            return categories[i].category;
    return NEXO_NONE;
}

static void parse_header(struct walk *w, json_t *body, struct nexo_header *h)
{
    char value[32], language[16];
    json_t *header = object(w, body, "MessageHeader", true);
    if (header == NULL)
        return;
    text(w, header, "SaleID", h->sale_id, sizeof h->sale_id, true);
    text(w, header, "POIID", h->poi_id, sizeof h->poi_id, true);
    text(w, header, "ServiceID", h->service_id, sizeof h->service_id, true);
    text(w, header, "ProtocolVersion", value, sizeof value, true);
    if (w->err == DP_OK && strcmp(value, "3.0") != 0)
        fail(w, DP_ERR_UNSUPPORTED, "ProtocolVersion %s: this terminal speaks 3.0", value);
    text(w, header, "MessageClass", value, sizeof value, true);
    if (w->err == DP_OK && strcmp(value, "Service") != 0)
        fail(w, DP_ERR_UNSUPPORTED, "MessageClass must be Service");
    text(w, header, "MessageType", value, sizeof value, true);
    if (w->err == DP_OK && strcmp(value, "Request") != 0)
        fail(w, DP_ERR_FORMAT, "MessageType must be Request");
    text(w, header, "MessageCategory", value, sizeof value, true);
    if (w->err != DP_OK)
        return;
    h->category = category_of(value);
    if (h->category == NEXO_NONE)
        fail(w, DP_ERR_UNSUPPORTED, "MessageCategory %s is not one this terminal knows", value);
    text(w, header, "Language", language, sizeof language, false);
    h->has_language = language[0] != '\0';
    if (w->err == DP_OK && h->has_language && dp_language_parse(language, &h->language) < 0)
        fail(w, DP_ERR_UNSUPPORTED, "Language %s: this terminal has en, fr, nl and de", language);
}

/* The value of key in "key=value&key=value", which SaleToPOIData carries. Returns whether it is
 * there. */
static bool pair(struct walk *w, const char *data, const char *key, char *out, size_t size)
{
    size_t key_n = strlen(key);
    const char *at = data;
    while (*at != '\0') {
        size_t n = strcspn(at, "&");
        if (n > key_n && strncmp(at, key, key_n) == 0 && at[key_n] == '=') {
            size_t value_n = n - key_n - 1;
            if (value_n >= size) {
                fail(w, DP_ERR_FORMAT, "SaleToPOIData: %s must have at most %zu characters", key,
                     size - 1);
                return true;
            }
            memcpy(out, at + key_n + 1, value_n);
            out[value_n] = '\0';
            return true;
        }
        at += n + (at[n] == '&' ? 1 : 0);
    }
    return false;
}

static enum dp_permission permission(struct walk *w, const char *data, const char *key)
{
    char value[8] = "allow";
    pair(w, data, key, value, sizeof value);
    if (strcmp(value, "allow") != 0 && strcmp(value, "forbid") != 0)
        fail(w, DP_ERR_FORMAT, "SaleToPOIData: %s must be allow or forbid", key);
    return strcmp(value, "forbid") == 0 ? DP_FORBID : DP_ALLOW;
}

/* The customer's choice of application on a card that has several. One that is named and empty is
 * an app's mistake: paid without it, the card would choose. */
static void parse_choice(struct walk *w, const char *data, struct dp_pay_request *pay)
{
    char aid[33] = "", choose[8] = "";
    size_t n = 0;
    if (pair(w, data, "aid", aid, sizeof aid) &&
        (dp_hex_decode(aid, strlen(aid), pay->aid, sizeof pay->aid, &n) < 0 || n < 5))
        fail(w, DP_ERR_FORMAT, "SaleToPOIData: aid must be 5 to 16 bytes in hex");
    pay->ask_choice = pair(w, data, "choose", choose, sizeof choose);
    if (pay->ask_choice && strcmp(choose, "ask") != 0)
        fail(w, DP_ERR_FORMAT, "SaleToPOIData: choose must be ask");
    pay->aid_n = (uint8_t)n;
}

static void parse_sale_data(struct walk *w, json_t *request, struct nexo_request *out)
{
    char data[256];
    struct dp_pay_request *pay = &out->pay;
    json_t *sale = object(w, request, "SaleData", true);
    json_t *id = object(w, sale, "SaleTransactionID", true);
    text(w, id, "TransactionID", pay->sale_tx, sizeof pay->sale_tx, true);
    text(w, id, "TimeStamp", out->time_stamp, sizeof out->time_stamp, false);
    text(w, sale, "OperatorID", pay->agent, sizeof pay->agent, false);
    text(w, sale, "SaleReferenceID", pay->parcel, sizeof pay->parcel, false);
    text(w, sale, "SaleToPOIData", data, sizeof data, false);
    pair(w, data, "parcel", pay->parcel, sizeof pay->parcel);
    pair(w, data, "manifest", pay->manifest, sizeof pay->manifest);
    pay->offline = permission(w, data, "offline");
    pay->deferred = permission(w, data, "deferred");
    parse_choice(w, data, pay);
}

static void parse_amount(struct walk *w, json_t *amounts, struct dp_money *out)
{
    char currency[4], amount[24];
    int err;
    text(w, amounts, "Currency", currency, sizeof currency, true);
    text(w, amounts, "RequestedAmount", amount, sizeof amount, true);
    if (json_object_get(amounts, "CashBackAmount") != NULL)
        fail(w, DP_ERR_UNSUPPORTED, "CashBackAmount: this terminal gives no cash");
    if (w->err != DP_OK)
        return;
    err = dp_money_parse(amount, currency, out);
    if (err == DP_ERR_UNSUPPORTED)
        fail(w, err, "Currency %s is unknown", currency);
    else if (err < 0)
        fail(w, DP_ERR_FORMAT, "RequestedAmount %s is not an amount of %s", amount, currency);
}

static void parse_payment(struct walk *w, json_t *body, struct nexo_request *out)
{
    json_t *request = object(w, body, "PaymentRequest", true);
    json_t *transaction, *conditions;
    if (request == NULL)
        return;
    parse_sale_data(w, request, out);
    transaction = object(w, request, "PaymentTransaction", true);
    parse_amount(w, object(w, transaction, "AmountsReq", true), &out->pay.amount);
    conditions = object(w, transaction, "TransactionConditions", false);
    if (json_is_true(json_object_get(conditions, "ForceOnlineFlag"))) {
        out->pay.offline = DP_FORBID;
        out->pay.deferred = DP_FORBID;
    }
    json_t *data = object(w, request, "PaymentData", false);
    const char *type = json_string_value(json_object_get(data, "PaymentType"));
    if (type != NULL && strcmp(type, "Normal") != 0)
        fail(w, DP_ERR_UNSUPPORTED,
             "PaymentType must be Normal: a refund is a Reversal of its sale");
}

static void parse_tx(struct walk *w, json_t *id, uint8_t tx[16])
{
    char hex[33];
    size_t n = 0;
    text(w, id, "TransactionID", hex, sizeof hex, true);
    if (w->err == DP_OK && (dp_hex_decode(hex, strlen(hex), tx, 16, &n) < 0 || n != 16))
        fail(w, DP_ERR_FORMAT, "TransactionID %s is not one of this terminal's", hex);
}

static void parse_reversal(struct walk *w, json_t *body, struct nexo_request *out)
{
    char amount[24], currency[4];
    struct dp_money money;
    json_t *request = object(w, body, "ReversalRequest", true);
    json_t *original = object(w, request, "OriginalPOITransaction", true);
    parse_tx(w, object(w, original, "POITransactionID", true), out->reverse.original_tx);
    text(w, request, "ReversedAmount", amount, sizeof amount, false);
    text(w, request, "Currency", currency, sizeof currency, false);
    if (w->err != DP_OK || amount[0] == '\0')
        return;
    /* nexo gives no currency here. Two decimals are taken for granted; a sale system of yen or
     * dinar adds ours, or leaves the amount out. The vault compares it with the sale's. */
    if (currency[0] == '\0')
        memcpy(currency, "EUR", sizeof currency);
    if (dp_money_parse(amount, currency, &money) < 0)
        fail(w, DP_ERR_FORMAT, "ReversedAmount %s is not an amount of %s", amount, currency);
    else
        out->reverse.amount = money.minor;
}

static void parse_reference(struct walk *w, json_t *request, bool required,
                            struct nexo_request *out)
{
    char category[32];
    json_t *reference = object(w, request, "MessageReference", required);
    if (reference == NULL)
        return;
    text(w, reference, "ServiceID", out->status.service_id, sizeof out->status.service_id, true);
    text(w, reference, "SaleID", out->status.sale_id, sizeof out->status.sale_id, false);
    if (out->status.sale_id[0] == '\0')
        memcpy(out->status.sale_id, out->header.sale_id, sizeof out->status.sale_id);
    text(w, reference, "MessageCategory", category, sizeof category, false);
    out->status_category = category[0] == '\0' ? NEXO_PAYMENT : category_of(category);
}

static void parse_status(struct walk *w, json_t *body, struct nexo_request *out)
{
    json_t *request = object(w, body, "TransactionStatusRequest", true);
    json_t *by_tx = object(w, request, "POITransactionID", false);
    text(w, request, "SaleReferenceID", out->status.parcel, sizeof out->status.parcel, false);
    out->status_category = NEXO_PAYMENT;
    out->status.by_tx = by_tx != NULL;
    if (by_tx != NULL)
        parse_tx(w, by_tx, out->status.tx);
    else
        parse_reference(w, request, out->status.parcel[0] == '\0', out);
}

static void parse_acknowledgement(struct walk *w, json_t *request, struct nexo_request *out)
{
    char hex[2 * DP_ACKNOWLEDGEMENT_MAX + 1];
    text(w, request, "Acknowledgement", hex, sizeof hex, true);
    if (w->err == DP_OK &&
        dp_hex_decode(hex, strlen(hex), out->ack, sizeof out->ack, &out->ack_n) < 0)
        fail(w, DP_ERR_FORMAT, "Acknowledgement is not hex");
}

static void parse_admin(struct walk *w, json_t *body, struct nexo_request *out)
{
    static const struct {
        const char *name;
        enum dp_forward_command command;
    } commands[] = {{"forward-now", DP_FORWARD_NOW},
                    {"forward-hold", DP_FORWARD_HOLD},
                    {"forward-release", DP_FORWARD_RELEASE}};
    char what[32];
    json_t *request = object(w, body, "AdminRequest", true);
    text(w, request, "ServiceIdentification", what, sizeof what, true);
    if (strcmp(what, "journal-acknowledge") == 0) {
        parse_acknowledgement(w, request, out);
        return;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, what) == 0)
            out->forward = commands[i].command;
    if (w->err == DP_OK && out->forward == 0)
        fail(w, DP_ERR_UNSUPPORTED, "ServiceIdentification %s is unknown", what);
}

/* What makes a request this request and no other: asked again under the same ServiceID it must be
 * the same in all of it. */
static int fingerprint(const struct nexo_request *q, uint8_t out[32])
{
    char text_of[512];
    char tx[33], choice[48] = "";
    size_t n = 0;
    const struct dp_pay_request *p = &q->pay;
    int length;
    (void)dp_hex_encode(q->reverse.original_tx, 16, tx, sizeof tx);
    /* only where there is one: requests kept by earlier versions are still the same */
    if (p->aid_n > 0 || p->ask_choice) {
        (void)memcpy(choice, p->ask_choice ? "\na" : "\n-", 3);
        (void)dp_hex_encode(p->aid, p->aid_n, choice + 2, sizeof choice - 2);
    }
    length = snprintf(text_of, sizeof text_of, "%s\n%s\n%s\n%s\n%s\n%lld\n%u\n%d\n%d\n%s\n%lld%s",
                      nexo_category_name(q->header.category), q->header.sale_id, p->sale_tx,
                      p->parcel, p->manifest, (long long)p->amount.minor, p->amount.currency,
                      (int)p->offline, (int)p->deferred, tx, (long long)q->reverse.amount, choice);
    if (length < 0 || (size_t)length >= sizeof text_of ||
        psa_hash_compute(PSA_ALG_SHA_256, (const uint8_t *)text_of, (size_t)length, out, 32, &n) !=
            PSA_SUCCESS)
        return DP_ERR_CRYPTO;
    return DP_OK;
}

static void parse_body(struct walk *w, json_t *body, struct nexo_request *out)
{
    switch (out->header.category) {
    case NEXO_PAYMENT:
        parse_payment(w, body, out);
        break;
    case NEXO_REVERSAL:
        parse_reversal(w, body, out);
        break;
    case NEXO_STATUS:
        parse_status(w, body, out);
        break;
    case NEXO_ABORT:
        parse_reference(w, object(w, body, "AbortRequest", true), true, out);
        break;
    case NEXO_ADMIN:
        parse_admin(w, body, out);
        break;
    case NEXO_LOGIN:
        text(w, object(w, body, "LoginRequest", true), "OperatorID", out->operator_id,
             sizeof out->operator_id, false);
        break;
    default:
        break; /* Logout, Diagnosis, GetTotals, Reconciliation: the header says it all */
    }
}

static void finish(struct walk *w, struct nexo_request *out)
{
    uint8_t print[32];
    if (w->err != DP_OK)
        return;
    if (fingerprint(out, print) < 0) {
        fail(w, DP_ERR_CRYPTO, "fingerprint");
        return;
    }
    memcpy(out->pay.fingerprint, print, sizeof print);
    memcpy(out->reverse.fingerprint, print, sizeof print);
    memcpy(out->pay.sale_id, out->header.sale_id, sizeof out->pay.sale_id);
    memcpy(out->pay.service_id, out->header.service_id, sizeof out->pay.service_id);
    memcpy(out->pay.poi_id, out->header.poi_id, sizeof out->pay.poi_id);
    memcpy(out->reverse.sale_id, out->header.sale_id, sizeof out->reverse.sale_id);
    memcpy(out->reverse.service_id, out->header.service_id, sizeof out->reverse.service_id);
    memcpy(out->reverse.poi_id, out->header.poi_id, sizeof out->reverse.poi_id);
}

int nexo_parse(const char *body_text, size_t n, struct nexo_request *out, char *error,
               size_t error_n)
{
    struct walk w = {DP_OK, error, error_n};
    json_error_t where;
    char *quoted = NULL;
    json_t *root = NULL, *body;
    memset(out, 0, sizeof *out);
    if (n > DP_TILL_BODY_MAX) {
        fail(&w, DP_ERR_LIMIT, "the request is over %d bytes", DP_TILL_BODY_MAX);
        return w.err;
    }
    if (memchr(body_text, '\0', n) != NULL) {
        fail(&w, DP_ERR_FORMAT, "not JSON: a zero byte");
        return w.err;
    }
    quoted = dp_json_quote_numbers(body_text, n);
    if (quoted != NULL)
        root = json_loads(quoted, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL) {
        fail(&w, DP_ERR_FORMAT, "not JSON: %s",
             quoted == NULL ? "a text without its end" : where.text);
        goto out;
    }
    body = object(&w, root, "SaleToPOIRequest", true);
    if (body != NULL) {
        parse_header(&w, body, &out->header);
        if (w.err == DP_OK)
            parse_body(&w, body, out);
        finish(&w, out);
    }
out:
    json_decref(root);
    free(quoted);
    return w.err;
}
