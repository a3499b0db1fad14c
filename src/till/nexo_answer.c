/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "nexo.h"

#define ADDITIONAL_MAX 1024

/* "key=value&..." with what would break it percent-encoded. */
struct pairs {
    char text[ADDITIONAL_MAX];
    size_t n;
};

static void add(struct pairs *p, const char *key, const char *value)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t key_n = strlen(key);
    if (value[0] == '\0' || p->n + key_n + 2 + 3 * strlen(value) >= sizeof p->text)
        return;
    if (p->n > 0)
        p->text[p->n++] = '&';
    memcpy(p->text + p->n, key, key_n);
    p->n += key_n;
    p->text[p->n++] = '=';
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '&' || *c == '=' || *c == '%' || *c == ' ' || (unsigned char)*c < ' ') {
            p->text[p->n++] = '%';
            p->text[p->n++] = hex[(unsigned char)*c >> 4];
            p->text[p->n++] = hex[*c & 15];
        } else {
            p->text[p->n++] = *c;
        }
    }
    p->text[p->n] = '\0';
}

static void add_number(struct pairs *p, const char *key, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    add(p, key, text);
}

static const char *time_text(int64_t wall_ms, char out[32])
{
    struct dp_date_time t;
    dp_date_time_from_ms(wall_ms, 0, &t);
    (void)snprintf(out, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", t.year % 10000U, t.month, t.day,
                   t.hour, t.minute, t.second, (unsigned)(wall_ms % 1000));
    return out;
}

static json_t *header_of(const struct nexo_header *h)
{
    const char *category = nexo_category_name(h->category);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "ProtocolVersion", "3.0", "MessageClass",
                     "Service", "MessageCategory", category[0] != '\0' ? category : "Event",
                     "MessageType", "Response", "ServiceID", h->service_id, "SaleID", h->sale_id,
                     "POIID", h->poi_id);
}

/* Wraps, writes, frees. body may be NULL (no memory on the way). */
static char *wrap(const struct nexo_header *h, const char *name, json_t *body)
{
    char *text = NULL;
    json_t *inner = json_pack("{s:o}", "MessageHeader", header_of(h));
    json_t *root = json_pack("{s:o}", "SaleToPOIResponse", inner);
    if (root != NULL && body != NULL && json_object_set(inner, name, body) == 0)
        text = json_dumps(root, JSON_COMPACT);
    json_decref(body);
    json_decref(root);
    if (text != NULL)
        nexo_unquote_numbers(text);
    return text;
}

static json_t *response(const char *result, const char *condition, const struct pairs *more)
{
    json_t *r = json_pack("{s:s}", "Result", result);
    if (condition != NULL)
        (void)json_object_set_new(r, "ErrorCondition", json_string(condition));
    if (more != NULL && more->n > 0)
        (void)json_object_set_new(r, "AdditionalResponse", json_string(more->text));
    return r;
}

static const char *body_name(enum nexo_category category)
{
    static const char *const names[] = {
        [NEXO_NONE] = "EventNotification",
        [NEXO_LOGIN] = "LoginResponse",
        [NEXO_LOGOUT] = "LogoutResponse",
        [NEXO_PAYMENT] = "PaymentResponse",
        [NEXO_STATUS] = "TransactionStatusResponse",
        [NEXO_REVERSAL] = "ReversalResponse",
        [NEXO_ABORT] = "AbortResponse",
        [NEXO_DIAGNOSIS] = "DiagnosisResponse",
        [NEXO_TOTALS] = "GetTotalsResponse",
        [NEXO_RECONCILIATION] = "ReconciliationResponse",
        [NEXO_ADMIN] = "AdminResponse",
    };
    return names[category];
}

char *nexo_answer_error(const struct nexo_header *h, const char *condition, const char *reason,
                        const char *words)
{
    struct pairs more = {"", 0};
    add(&more, "reason", reason);
    add(&more, "message", words);
    return wrap(h, body_name(h->category),
                json_pack("{s:o}", "Response", response("Failure", condition, &more)));
}

char *nexo_answer_plain(const struct nexo_header *h)
{
    return wrap(h, body_name(h->category),
                json_pack("{s:o}", "Response", response("Success", NULL, NULL)));
}

char *nexo_answer_acknowledged(const struct nexo_header *h, const struct dp_ack_result *r)
{
    struct pairs more = {"", 0};
    if (!r->taken)
        return nexo_answer_error(h, "Refusal", "acknowledgement", r->words);
    add(&more, "message", r->words);
    return wrap(h, body_name(h->category),
                json_pack("{s:o}", "Response", response("Success", NULL, &more)));
}

/* ---- payment ---- */

static const char *condition_of(const struct dp_pay_result *r)
{
    switch (r->reason) {
    case DP_REASON_BUSY:
        return "Busy";
    case DP_REASON_CANCELLED:
        return "Aborted";
    case DP_REASON_TIMEOUT:
        return "Cancel";
    case DP_REASON_NO_LINK:
    case DP_REASON_NO_ANSWER:
    case DP_REASON_BAD_ANSWER:
        return "UnreachableHost";
    case DP_REASON_READER:
        return "UnavailableDevice";
    case DP_REASON_NO_APPLICATION:
    case DP_REASON_CARD_DATA:
    case DP_REASON_CARD_ERROR:
    case DP_REASON_CARD_BLOCKED:
    case DP_REASON_EXPIRED_CARD:
        return "InvalidCard";
    case DP_REASON_LIMIT_PAYMENT:
    case DP_REASON_LIMIT_ROUND:
    case DP_REASON_LIMIT_CARD:
    case DP_REASON_LIMIT_SYNC:
    case DP_REASON_DEGRADED:
        return "PaymentRestriction";
    case DP_REASON_SERVICE_ID_REUSED:
    case DP_REASON_ALREADY_PAID:
    case DP_REASON_ALREADY_REVERSED:
    case DP_REASON_NOT_ALLOWED:
    case DP_REASON_CURRENCY:
    case DP_REASON_AMOUNT:
    case DP_REASON_PARCEL:
        return "NotAllowed";
    case DP_REASON_NOT_FOUND:
        return "NotFound";
    case DP_REASON_PARAMS:
    case DP_REASON_JOURNAL:
    case DP_REASON_UNKNOWN:
    case DP_REASON_KEY_STORE:
        return "UnavailableService";
    default:
        return "Refusal";
    }
}

static void add_headroom(struct pairs *p, const struct dp_headroom *h)
{
    add_number(p, "offlineAmountLeft", h->offline_amount);
    add_number(p, "offlineCountLeft", h->offline_count);
    add_number(p, "deferredAmountLeft", h->deferred_amount);
    add_number(p, "deferredCountLeft", h->deferred_count);
    add_number(p, "secondsLeft", h->sync_left_s);
    add_number(p, "unsent", h->unsent_count);
    add_number(p, "oldestUnsentMs", h->oldest_unsent_ms);
}

static const char *words_of(const struct dp_pay_result *r, enum dp_audience audience,
                            enum dp_language language)
{
    if (r->is_reversal && r->state == DP_PAY_APPROVED)
        return dp_words_of_state(DP_WORDS_REVERSAL_DONE, audience, language);
    if (r->reversed)
        return dp_words_of_state(DP_WORDS_PAID_THEN_CANCELLED, audience, language);
    if (r->state == DP_PAY_IN_PROGRESS)
        return dp_words_of_state(DP_WORDS_IN_PROGRESS, audience, language);
    /* kept for later is not paid yet: the answer says so */
    if (r->state == DP_PAY_APPROVED && r->mode == DP_MODE_DEFERRED &&
        r->forward == DP_FORWARD_PENDING)
        return dp_words_outcome(DP_EMV_DEFERRED, audience, language);
    return dp_words_reason((unsigned)r->reason, audience, language);
}

static void additional(struct pairs *p, const struct dp_pay_result *r, enum dp_language language)
{
    static const char *const forward[] = {"none", "pending", "accepted", "declined", "given-up"};
    char hex[33];
    add(p, "reason", dp_reason_name(r->reason));
    add(p, "message", words_of(r, DP_FOR_WORKER, language));
    add(p, "customerMessage", words_of(r, DP_FOR_CUSTOMER, language));
    if (r->mode != DP_MODE_NONE) {
        add(p, "mode", dp_mode_name(r->mode));
        add(p, "forward", forward[r->forward]);
    }
    if (r->reversed)
        add(p, "reversed", "true");
    if (r->pending_signature)
        add(p, "signature", "wanted");
    if (r->degraded)
        add(p, "degraded", "true");
    add(p, "actionCode", r->action_code);
    if (r->stan != 0)
        add_number(p, "stan", r->stan);
    add(p, "journal", dp_hex_encode(r->journal, 16, hex, sizeof hex));
    add_headroom(p, &r->headroom);
}

static json_t *response_of(const struct dp_pay_result *r, enum dp_language language)
{
    struct pairs more = {"", 0};
    additional(&more, r, language);
    if (r->state == DP_PAY_APPROVED)
        return response("Success", NULL, &more);
    return response("Failure", r->state == DP_PAY_IN_PROGRESS ? "InProgress" : condition_of(r),
                    &more);
}

static json_t *poi_data(const struct dp_pay_result *r)
{
    char hex[33], when[32], batch[12];
    (void)snprintf(batch, sizeof batch, "%u", r->batch);
    return json_pack("{s:{s:s,s:s},s:s}", "POITransactionID", "TransactionID",
                     dp_hex_encode(r->tx, 16, hex, sizeof hex), "TimeStamp",
                     time_text(r->wall_ms, when), "POIReconciliationID", batch);
}

static json_t *instrument(const struct dp_pay_result *r)
{
    char masked[20], aid[33];
    bool contactless = r->interface == DP_INTERFACE_CONTACTLESS;
    json_t *card;
    (void)snprintf(masked, sizeof masked, "%s%s%s", r->bin, r->last4[0] != '\0' ? "******" : "",
                   r->last4);
    card = json_pack("{s:s,s:[s],s:s}", "MaskedPan", masked, "EntryMode",
                     contactless ? "Contactless" : "ICC", "PaymentBrand",
                     dp_hex_encode(r->aid, r->aid_n, aid, sizeof aid));
    if (r->par[0] != '\0')
        (void)json_object_set_new(card, "PaymentAccountRef", json_string(r->par));
    return json_pack("{s:s,s:o}", "PaymentInstrumentType", "Card", "CardData", card);
}

static json_t *payment_result(const struct dp_pay_result *r)
{
    char when[32];
    json_t *result, *acquirer;
    struct dp_money authorised = r->amount;
    if (r->state != DP_PAY_APPROVED)
        authorised.minor = 0;
    const char *currency = dp_currency_alpha(r->amount.currency);
    acquirer = json_pack("{s:s,s:s,s:{s:s,s:s}}", "MerchantID", r->mid, "AcquirerPOIID", r->tid,
                         "AcquirerTransactionID", "TransactionID", r->rrn, "TimeStamp",
                         time_text(r->wall_ms, when));
    if (r->auth_code[0] != '\0')
        (void)json_object_set_new(acquirer, "ApprovalCode", json_string(r->auth_code));
    result = json_pack("{s:s,s:b,s:{s:s,s:o},s:o}", "PaymentType", "Normal", "OnlineFlag",
                       r->mode == DP_MODE_ONLINE, "AmountsResp", "Currency",
                       currency != NULL ? currency : "", "AuthorizedAmount",
                       nexo_number(&authorised), "PaymentAcquirerData", acquirer);
    if (r->last4[0] != '\0')
        (void)json_object_set_new(result, "PaymentInstrumentData", instrument(r));
    return result;
}

static json_t *payment_body(const struct dp_pay_result *r, const char *time_stamp,
                            enum dp_language language)
{
    json_t *body = json_pack("{s:o}", "Response", response_of(r, language));
    if (r->state != DP_PAY_APPROVED && r->state != DP_PAY_DECLINED)
        return body;
    json_t *sale = json_pack("{s:{s:s}}", "SaleTransactionID", "TransactionID", r->sale_tx);
    if (time_stamp[0] != '\0')
        (void)json_object_set_new(json_object_get(sale, "SaleTransactionID"), "TimeStamp",
                                  json_string(time_stamp));
    if (r->parcel[0] != '\0')
        (void)json_object_set_new(sale, "SaleReferenceID", json_string(r->parcel));
    (void)json_object_set_new(body, "SaleData", sale);
    (void)json_object_set_new(body, "POIData", poi_data(r));
    (void)json_object_set_new(body, "PaymentResult", payment_result(r));
    return body;
}

static json_t *reversal_body(const struct dp_pay_result *r, enum dp_language language)
{
    json_t *body = json_pack("{s:o}", "Response", response_of(r, language));
    if (r->state != DP_PAY_APPROVED)
        return body;
    (void)json_object_set_new(body, "POIData", poi_data(r));
    (void)json_object_set_new(body, "ReversedAmount", nexo_number(&r->amount));
    return body;
}

char *nexo_answer_payment(const struct nexo_request *q, const struct dp_pay_result *r)
{
    return wrap(&q->header, "PaymentResponse", payment_body(r, q->time_stamp, q->header.language));
}

char *nexo_answer_reversal(const struct nexo_request *q, const struct dp_pay_result *r)
{
    return wrap(&q->header, "ReversalResponse", reversal_body(r, q->header.language));
}

char *nexo_answer_status(const struct nexo_request *q, const struct dp_pay_result *r)
{
    json_t *body, *repeated, *inner;
    enum dp_language language = q->header.language;
    struct nexo_header header = {.category = r->is_reversal ? NEXO_REVERSAL : NEXO_PAYMENT};
    if (r->state != DP_PAY_APPROVED && r->state != DP_PAY_DECLINED)
        return wrap(&q->header, "TransactionStatusResponse",
                    json_pack("{s:o}", "Response", response_of(r, language)));
    memcpy(header.service_id, r->service_id, sizeof header.service_id);
    memcpy(header.sale_id, r->sale_id, sizeof header.sale_id);
    memcpy(header.poi_id, r->poi_id, sizeof header.poi_id);
    inner = r->is_reversal ? json_pack("{s:o}", "ReversalResponse", reversal_body(r, language))
                           : json_pack("{s:o}", "PaymentResponse", payment_body(r, "", language));
    repeated = json_pack("{s:o,s:o}", "MessageHeader", header_of(&header),
                         "RepeatedResponseMessageBody", inner);
    body = json_pack("{s:o,s:o}", "Response", response("Success", NULL, NULL),
                     "RepeatedMessageResponse", repeated);
    return wrap(&q->header, "TransactionStatusResponse", body);
}

/* ---- the rest ---- */

static json_t *amount_of(const struct dp_money *like, uint64_t minor)
{
    struct dp_money m = *like;
    m.minor = (int64_t)minor;
    return nexo_number(&m);
}

char *nexo_answer_login(const struct nexo_request *q, const struct nexo_info *info,
                        const struct dp_diagnosis *d)
{
    json_t *body =
        json_pack("{s:o,s:{s:s,s:{s:s,s:s,s:s}}}", "Response", response("Success", NULL, NULL),
                  "POISystemData", "DateTime", "", "POISoftware", "ManufacturerID", "doorpay",
                  "ApplicationName", "doorpay", "SoftwareVersion", info->software_version);
    (void)json_object_set_new(json_object_get(body, "POISystemData"), "TID", json_string(d->tid));
    (void)json_object_del(json_object_get(body, "POISystemData"), "DateTime");
    return wrap(&q->header, "LoginResponse", body);
}

char *nexo_answer_diagnosis(const struct nexo_request *q, const struct dp_diagnosis *d)
{
    struct pairs more = {"", 0};
    bool usable = d->journal_ok && d->params_ok && (!d->degraded || d->degraded_left > 0);
    char hex[33];
    add(&more, "message",
        d->trouble[0] != '\0'
            ? d->trouble
            : dp_words_of_state(DP_WORDS_ALL_WELL, DP_FOR_WORKER, q->header.language));
    add(&more, "journal", dp_hex_encode(d->journal, 16, hex, sizeof hex));
    add_number(&more, "paramsVersion", (int64_t)d->params_version);
    add_number(&more, "batch", d->batch);
    add_number(&more, "businessDate", d->business_date);
    add(&more, "busy", d->busy ? "true" : "false");
    if (d->degraded) {
        add(&more, "degraded", "true");
        add_number(&more, "degradedLeft", (int64_t)d->degraded_left);
    }
    add_headroom(&more, &d->headroom);
    json_t *status =
        json_pack("{s:s,s:b,s:b,s:s}", "GlobalStatus",
                  !usable                        ? "OutOfOrder"
                  : d->busy                      ? "Busy"
                  : !d->reader_ok || d->degraded ? "Maintenance"
                                                 : "OK",
                  "CommunicationOKFlag", d->link_up, "SecurityOKFlag",
                  d->journal_ok && !d->degraded, "CardReaderOK", d->reader_ok ? "true" : "false");
    return wrap(&q->header, "DiagnosisResponse",
                json_pack("{s:o,s:o,s:[s]}", "Response", response("Success", NULL, &more),
                          "POIStatus", status, "LoggedSaleID", q->header.sale_id));
}

char *nexo_answer_totals(const struct nexo_request *q, const struct dp_till_totals *t)
{
    char batch[12];
    const char *currency = dp_currency_alpha(t->money.currency);
    json_t *rows;
    (void)snprintf(batch, sizeof batch, "%u", t->batch);
    rows = json_pack("[{s:s,s:I,s:o},{s:s,s:I,s:o},{s:s,s:I,s:o}]", "TransactionType", "Debit",
                     "TransactionCount", (json_int_t)t->sales_n, "TransactionAmount",
                     amount_of(&t->money, t->sales_amount), "TransactionType", "ReverseDebit",
                     "TransactionCount", (json_int_t)t->reversals_n, "TransactionAmount",
                     amount_of(&t->money, t->reversals_amount), "TransactionType", "Pending",
                     "TransactionCount", (json_int_t)t->pending_n, "TransactionAmount",
                     amount_of(&t->money, t->pending_amount));
    return wrap(&q->header, "GetTotalsResponse",
                json_pack("{s:o,s:s,s:[{s:s,s:s,s:o}]}", "Response",
                          response("Success", NULL, NULL), "POIReconciliationID", batch,
                          "TransactionTotals", "PaymentInstrumentType", "Card", "PaymentCurrency",
                          currency != NULL ? currency : "", "PaymentTotals", rows));
}

char *nexo_answer_reconciliation(const struct nexo_request *q, const struct dp_settle_result *r)
{
    struct pairs more = {"", 0};
    char batch[12];
    if (!r->asked) {
        struct dp_pay_result as = {.reason = r->reason};
        return nexo_answer_error(
            &q->header, condition_of(&as), dp_reason_name(r->reason),
            r->reason == DP_REASON_BUSY
                ? dp_words_of_state(DP_WORDS_FORWARDING, DP_FOR_WORKER, q->header.language)
                : dp_reason_words_in(r->reason, q->header.language));
    }
    (void)snprintf(batch, sizeof batch, "%u", r->batch);
    add(&more, "verdict", r->in_balance ? "in-balance" : "out-of-balance");
    add(&more, "actionCode", r->verdict);
    add_number(&more, "sales", (int64_t)r->sales_n);
    add_number(&more, "salesAmount", (int64_t)r->sales_amount);
    add_number(&more, "reversals", (int64_t)r->reversals_n);
    add_number(&more, "reversalsAmount", (int64_t)r->reversals_amount);
    return wrap(&q->header, "ReconciliationResponse",
                json_pack("{s:o,s:s,s:s}", "Response",
                          response(r->in_balance ? "Success" : "Partial", NULL, &more),
                          "ReconciliationType", "AcquirerReconciliation", "POIReconciliationID",
                          batch));
}

/* ---- events ---- */

static json_t *offers(const struct dp_pay_event *e)
{
    json_t *all = json_array();
    for (size_t i = 0; i < e->offers_n && i < DP_EMV_OFFERS_MAX; i++) {
        const struct dp_emv_offer *o = &e->offers[i];
        char aid[33];
        (void)json_array_append_new(all, json_pack("{s:s,s:s,s:b}", "aid",
                                                   dp_hex_encode(o->aid, o->aid_n, aid, sizeof aid),
                                                   "label", o->label, "confirm", (int)o->confirm));
    }
    return all;
}

char *nexo_event(const struct dp_pay_event *e, enum dp_language language)
{
    enum dp_language spoken = dp_language_of_card(e->languages, language);
    char *text;
    json_t *o = json_pack("{s:s,s:s,s:s}", "service_id", e->service_id, "event",
                          dp_words_ui(e->ui, DP_FOR_LOG, spoken), "text",
                          dp_words_ui(e->ui, DP_FOR_CUSTOMER, spoken));
    if (o == NULL)
        return NULL;
    /* a label that is no text leaves the event without it */
    if (e->application[0] != '\0')
        (void)json_object_set_new(o, "application", json_string(e->application));
    if (e->languages[0] != '\0')
        (void)json_object_set_new(o, "languages", json_string(e->languages));
    if (e->degraded)
        (void)json_object_set_new(o, "degraded", json_true());
    if (e->offers_n > 0)
        (void)json_object_set_new(o, "applications", offers(e));
    text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}
