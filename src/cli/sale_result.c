/* SPDX-License-Identifier: Apache-2.0 */
#include "sale_result.h"

#include <stdlib.h>
#include <string.h>

#include <doorpay/base.h>

#include "cli.h"

json_t *sale_member(json_t *root, const char *name)
{
    return json_object_get(json_object_get(root, "SaleToPOIResponse"), name);
}

const char *sale_text_at(json_t *o, const char *a, const char *b)
{
    json_t *v = json_object_get(o, a);
    if (b != NULL)
        v = json_object_get(v, b);
    return json_string_value(v);
}

static bool is(json_t *response, const char *result)
{
    const char *r = sale_text_at(response, "Result", NULL);
    return r != NULL && strcmp(r, result) == 0;
}

/* ---- what the till says of itself, key by key ---- */

enum kind {
    TEXT,
    NUMBER,
    FLAG
};

static void put(json_t *o, const char *name, const char *value, enum kind kind)
{
    if (value == NULL || value[0] == '\0')
        return;
    (void)json_object_set_new(o, name,
                              kind == NUMBER ? json_integer(strtoll(value, NULL, 10))
                              : kind == FLAG ? json_boolean(strcmp(value, "true") == 0)
                                             : json_string(value));
}

static const struct {
    const char *key, *name;
    enum kind kind;
} additional[] = {
    {"reason", "reason", TEXT},
    {"message", "message", TEXT},
    {"mode", "mode", TEXT},
    {"forward", "forward", TEXT},
    {"reversed", "reversed", FLAG},
    {"signature", "signature", TEXT},
    {"degraded", "degraded", FLAG},
    {"degradedLeft", "degraded_left", NUMBER},
    {"actionCode", "action_code", TEXT},
    {"stan", "stan", NUMBER},
    {"journal", "journal", TEXT},
    {"offlineAmountLeft", "offline_amount_left", NUMBER},
    {"offlineCountLeft", "offline_count_left", NUMBER},
    {"deferredAmountLeft", "deferred_amount_left", NUMBER},
    {"deferredCountLeft", "deferred_count_left", NUMBER},
    {"secondsLeft", "seconds_left", NUMBER},
    {"unsent", "unsent", NUMBER},
    {"oldestUnsentMs", "oldest_unsent_ms", NUMBER},
    {"paramsVersion", "params_version", NUMBER},
    {"batch", "batch", NUMBER},
    {"businessDate", "business_date", NUMBER},
    {"busy", "busy", FLAG},
    {"verdict", "verdict", TEXT},
    {"sales", "sales", NUMBER},
    {"salesAmount", "sales_amount", NUMBER},
    {"reversals", "reversals", NUMBER},
    {"reversalsAmount", "reversals_amount", NUMBER},
};

static void put_additional(json_t *o, json_t *response)
{
    char value[300];
    for (size_t i = 0; i < sizeof additional / sizeof additional[0]; i++)
        if (sale_additional(response, additional[i].key, value, sizeof value))
            put(o, additional[i].name, value, additional[i].kind);
}

static const char *state_of(json_t *response)
{
    const char *condition = sale_text_at(response, "ErrorCondition", NULL);
    char reason[40];
    if (is(response, "Success"))
        return "approved";
    (void)sale_additional(response, "reason", reason, sizeof reason);
    if (strcmp(reason, "unknown") == 0)
        return "unknown";
    if (condition != NULL && strcmp(condition, "InProgress") == 0)
        return "in_progress";
    if (condition != NULL && strcmp(condition, "NotFound") == 0)
        return "not_found";
    return "declined";
}

json_t *sale_result(json_t *body, const char *service_id)
{
    json_t *response = json_object_get(body, "Response");
    json_t *result = json_object_get(body, "PaymentResult");
    json_t *card = json_object_get(json_object_get(result, "PaymentInstrumentData"), "CardData");
    json_t *amounts = json_object_get(result, "AmountsResp");
    json_t *acquirer = json_object_get(result, "PaymentAcquirerData");
    const char *currency = sale_text_at(amounts, "Currency", NULL);
    json_t *o = json_pack("{s:s}", "state", state_of(response));
    json_t *entry = json_array_get(json_object_get(card, "EntryMode"), 0);
    put(o, "service_id", service_id, TEXT);
    put(o, "transaction_id",
        sale_text_at(json_object_get(body, "POIData"), "POITransactionID", "TransactionID"), TEXT);
    put(o, "time", sale_text_at(json_object_get(body, "POIData"), "POITransactionID", "TimeStamp"),
        TEXT);
    if (amounts != NULL) {
        (void)json_object_set_new(
            o, "amount",
            json_integer(sale_minor(sale_text_at(amounts, "AuthorizedAmount", NULL), currency)));
        put(o, "currency", currency, TEXT);
    }
    put(o, "masked_pan", sale_text_at(card, "MaskedPan", NULL), TEXT);
    put(o, "entry_mode", json_string_value(entry), TEXT);
    put(o, "auth_code", sale_text_at(acquirer, "ApprovalCode", NULL), TEXT);
    put(o, "rrn", sale_text_at(acquirer, "AcquirerTransactionID", "TransactionID"), TEXT);
    put(o, "tid", sale_text_at(acquirer, "AcquirerPOIID", NULL), TEXT);
    put(o, "parcel", sale_text_at(json_object_get(body, "SaleData"), "SaleReferenceID", NULL),
        TEXT);
    put(o, "error_condition", sale_text_at(response, "ErrorCondition", NULL), TEXT);
    put_additional(o, response);
    return o;
}

const char *sale_str(json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s != NULL ? s : "";
}

static void print_result(const struct sale_options *o, json_t *r)
{
    char amount[40] = "";
    struct dp_money m = {json_integer_value(json_object_get(r, "amount")), 0, 0};
    bool approved = strcmp(sale_str(r, "state"), "approved") == 0;
    if (o->json) {
        (void)json_dumpf(r, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
        (void)printf("\n");
        return;
    }
    if (dp_currency_by_alpha(sale_str(r, "currency"), &m.currency, &m.exponent) == DP_OK)
        (void)dp_money_text(&m, amount, sizeof amount);
    if (approved)
        (void)printf("PAID %s  card %s (%s)  %s%s%s  transaction %s\n", amount,
                     sale_str(r, "masked_pan"), sale_str(r, "entry_mode"), sale_str(r, "mode"),
                     sale_str(r, "auth_code")[0] != '\0' ? ", approval code " : "",
                     sale_str(r, "auth_code"), sale_str(r, "transaction_id"));
    else
        (void)printf("NOT PAID: %s\n", sale_str(r, "message")[0] != '\0'
                                           ? sale_str(r, "message")
                                           : sale_str(r, "error_condition"));
    if (strcmp(sale_str(r, "signature"), "wanted") == 0)
        (void)printf("The customer signs; refuse a wrong signature with doorpay reverse\n");
}

int sale_finish(const struct sale_options *o, json_t *result)
{
    bool approved = strcmp(sale_str(result, "state"), "approved") == 0;
    print_result(o, result);
    json_decref(result);
    return approved ? CLI_DONE : CLI_FAILED;
}

/* ---- verbs without a payment ---- */

/* "35.50" EUR as COUNT and AMOUNT under names of our own. */
static void put_total(json_t *o, json_t *total, const char *currency)
{
    static const struct {
        const char *type, *count, *amount;
    } names[] = {{"Debit", "sales", "sales_amount"},
                 {"ReverseDebit", "reversals", "reversals_amount"},
                 {"Pending", "pending", "pending_amount"}};
    const char *type = sale_text_at(total, "TransactionType", NULL);
    for (size_t i = 0; type != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].type, type) != 0)
            continue;
        put(o, names[i].count, sale_text_at(total, "TransactionCount", NULL), NUMBER);
        (void)json_object_set_new(
            o, names[i].amount,
            json_integer(sale_minor(sale_text_at(total, "TransactionAmount", NULL), currency)));
    }
}

static json_t *totals_json(json_t *totals)
{
    json_t *out = json_array(), *t, *kind;
    size_t i, k;
    json_array_foreach(totals, i, t)
    {
        const char *currency = sale_text_at(t, "PaymentCurrency", NULL);
        json_t *row = json_object();
        put(row, "currency", currency, TEXT);
        json_array_foreach(json_object_get(t, "PaymentTotals"), k, kind)
            put_total(row, kind, currency);
        (void)json_array_append_new(out, row);
    }
    return out;
}

static void print_lines(json_t *o)
{
    const char *key;
    json_t *v;
    json_object_foreach(o, key, v)
    {
        char *t = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
        (void)printf("%-22s %s\n", key, json_is_string(v) ? json_string_value(v) : t);
        free(t);
    }
}

int sale_finish_simple(const struct sale_options *o, json_t *body)
{
    json_t *response = json_object_get(body, "Response"), *out = json_object();
    json_t *status = json_object_get(body, "POIStatus");
    json_t *totals = json_object_get(body, "TransactionTotals");
    bool ok = is(response, "Success");
    put(out, "result", sale_text_at(response, "Result", NULL), TEXT);
    put(out, "error_condition", sale_text_at(response, "ErrorCondition", NULL), TEXT);
    put_additional(out, response);
    put(out, "global_status", sale_text_at(status, "GlobalStatus", NULL), TEXT);
    (void)json_object_set(out, "link_up", json_object_get(status, "CommunicationOKFlag"));
    put(out, "reader_ok", sale_text_at(status, "CardReaderOK", NULL), FLAG);
    if (totals != NULL)
        (void)json_object_set_new(out, "totals", totals_json(totals));
    if (o->json)
        (void)json_dumpf(out, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
    else
        print_lines(out);
    if (o->json)
        (void)printf("\n");
    json_decref(out);
    return ok ? CLI_DONE : CLI_FAILED;
}
