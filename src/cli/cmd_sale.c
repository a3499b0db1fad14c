/* SPDX-License-Identifier: Apache-2.0 */
/* pay, status, reverse, abort, diagnose, totals, settle, forward, events: what a round app does,
 * from a shell. */
#include <string.h>
#include <time.h>

#include <doorpay/base.h>

#include "cli.h"
#include "sale.h"
#include "sale_result.h"

#define TILL_OPTIONS "[--socket PATH] [--sale-id ID] [--lang LANGUAGE] [--json]"

static void pair(char *data, size_t n, const char *key, const char *value)
{
    size_t used = strlen(data);
    if (value != NULL)
        (void)snprintf(data + used, n - used, "%s%s=%s", used > 0 ? "&" : "", key, value);
}

static json_t *payment_body(const struct sale_options *o, const char *service_id)
{
    char data[256] = "", when[32], sale_tx[64];
    time_t now = time(NULL);
    struct tm t;
    json_t *sale;
    (void)gmtime_r(&now, &t);
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &t);
    (void)snprintf(sale_tx, sizeof sale_tx, "%s", o->sale_tx != NULL ? o->sale_tx : service_id);
    pair(data, sizeof data, "offline", o->offline);
    pair(data, sizeof data, "deferred", o->deferred);
    pair(data, sizeof data, "manifest", o->manifest);
    pair(data, sizeof data, "aid", o->aid);
    pair(data, sizeof data, "choose", o->choose ? "ask" : NULL);
    sale = json_pack("{s:{s:s,s:s}}", "SaleTransactionID", "TransactionID", sale_tx, "TimeStamp",
                     when);
    if (o->parcel != NULL)
        (void)json_object_set_new(sale, "SaleReferenceID", json_string(o->parcel));
    if (data[0] != '\0')
        (void)json_object_set_new(sale, "SaleToPOIData", json_string(data));
    return json_pack("{s:o,s:{s:{s:s,s:s}}}", "SaleData", sale, "PaymentTransaction", "AmountsReq",
                     "Currency", o->words[1], "RequestedAmount", o->words[0]);
}

static const char *service_of(json_t *request)
{
    return json_string_value(json_object_get(
        json_object_get(json_object_get(request, "SaleToPOIRequest"), "MessageHeader"),
        "ServiceID"));
}

int dp_cmd_pay(int argc, char **argv)
{
    struct sale_options o;
    int status = CLI_FAILED;
    char service_id[40];
    json_t *request, *answer;
    struct dp_money m;
    if (!sale_options_read(argc, argv,
                           "pay AMOUNT CUR --parcel REF [--service-id ID] [--offline allow|forbid] "
                           "[--deferred allow|forbid] [--sale-tx ID] [--manifest ID] "
                           "[--aid HEX] [--choose] " TILL_OPTIONS,
                           2, &o, &status))
        return status;
    if (o.parcel == NULL || o.parcel[0] == '\0') {
        (void)fprintf(stderr, "doorpay: name what is paid for: --parcel REF\n");
        return CLI_USAGE;
    }
    if (dp_money_parse(o.words[0], o.words[1], &m) < 0) {
        (void)fprintf(stderr, "doorpay: %s %s is not an amount: write it like 23.50 EUR\n",
                      o.words[0], o.words[1]);
        return CLI_FAILED;
    }
    request = sale_request(&o, "Payment", "PaymentRequest", json_object());
    (void)snprintf(service_id, sizeof service_id, "%s", service_of(request));
    (void)json_object_set_new(json_object_get(request, "SaleToPOIRequest"), "PaymentRequest",
                              payment_body(&o, service_id));
    answer = sale_ask(&o, request);
    if (answer == NULL) {
        (void)fprintf(stderr, "doorpay: this payment is service id %s\n", service_id);
        return CLI_FAILED;
    }
    status = sale_finish(&o, sale_result(sale_member(answer, "PaymentResponse"), service_id));
    json_decref(answer);
    return status;
}

static json_t *status_body(const struct sale_options *o)
{
    if (o->transaction != NULL)
        return json_pack("{s:{s:s}}", "POITransactionID", "TransactionID", o->transaction);
    if (o->parcel != NULL)
        return json_pack("{s:s}", "SaleReferenceID", o->parcel);
    return json_pack("{s:{s:s,s:s,s:s}}", "MessageReference", "MessageCategory", "Payment",
                     "ServiceID", o->service_id, "SaleID", o->sale_id);
}

/* The answer to a status request; NULL after a message. */
static json_t *ask_status(const struct sale_options *o)
{
    struct sale_options own = *o;
    own.service_id = NULL; /* the question has a ServiceID of its own */
    return sale_ask(
        o, sale_request(&own, "TransactionStatus", "TransactionStatusRequest", status_body(o)));
}

static bool is_not_found(json_t *answer)
{
    json_t *response =
        json_object_get(sale_member(answer, "TransactionStatusResponse"), "Response");
    const char *condition = sale_text_at(response, "ErrorCondition", NULL);
    return condition != NULL && strcmp(condition, "NotFound") == 0;
}

/* A transaction id is 32 hex digits and a service id at most 10 characters; anything can be a
 * parcel. What fits is tried in that order. */
static json_t *ask_by_word(struct sale_options *o, const char *word)
{
    json_t *answer = NULL;
    if (strlen(word) == 32 && strspn(word, "0123456789ABCDEFabcdef") == 32)
        o->transaction = word;
    else if (strlen(word) <= 10)
        o->service_id = word;
    else
        o->parcel = word;
    answer = ask_status(o);
    if (answer == NULL || o->parcel != NULL || !is_not_found(answer))
        return answer;
    json_decref(answer);
    o->transaction = o->service_id = NULL;
    o->parcel = word;
    return ask_status(o);
}

/* The payment's or the reversal's own answer, inside the answer to the question. */
static json_t *repeated_body(json_t *response)
{
    json_t *repeated = json_object_get(response, "RepeatedMessageResponse");
    json_t *body = json_object_get(repeated, "RepeatedResponseMessageBody");
    if (body == NULL)
        return response;
    if (json_object_get(body, "PaymentResponse") != NULL)
        return json_object_get(body, "PaymentResponse");
    return json_object_get(body, "ReversalResponse");
}

int dp_cmd_status(int argc, char **argv)
{
    static const char usage[] =
        "status (REF | --service-id ID | --transaction ID | --parcel REF) " TILL_OPTIONS;
    struct sale_options o;
    int status = CLI_FAILED, given;
    const char *asked;
    json_t *answer, *response;
    bool has_word = argc > 1 && argv[1][0] != '-';
    if (!sale_options_read(argc, argv, usage, has_word ? 1 : 0, &o, &status))
        return status;
    given =
        (o.words_n == 1) + (o.service_id != NULL) + (o.transaction != NULL) + (o.parcel != NULL);
    if (given != 1) {
        (void)fprintf(stderr, "usage: doorpay %s\n", usage);
        return CLI_USAGE;
    }
    answer = o.words_n == 1 ? ask_by_word(&o, o.words[0]) : ask_status(&o);
    if (answer == NULL)
        return CLI_FAILED;
    response = sale_member(answer, "TransactionStatusResponse");
    asked = sale_text_at(json_object_get(response, "RepeatedMessageResponse"), "MessageHeader",
                         "ServiceID");
    status =
        sale_finish(&o, sale_result(repeated_body(response), asked != NULL ? asked : o.service_id));
    json_decref(answer);
    return status;
}

int dp_cmd_reverse(int argc, char **argv)
{
    struct sale_options o;
    int status = CLI_FAILED;
    char service_id[40];
    json_t *request, *answer;
    if (!sale_options_read(argc, argv, "reverse TRANSACTION [--service-id ID] " TILL_OPTIONS, 1, &o,
                           &status))
        return status;
    request =
        sale_request(&o, "Reversal", "ReversalRequest",
                     json_pack("{s:{s:{s:s}},s:s}", "OriginalPOITransaction", "POITransactionID",
                               "TransactionID", o.words[0], "ReversalReason", "CustCancel"));
    (void)snprintf(service_id, sizeof service_id, "%s", service_of(request));
    answer = sale_ask(&o, request);
    if (answer == NULL)
        return CLI_FAILED;
    json_t *r = sale_result(sale_member(answer, "ReversalResponse"), service_id);
    json_decref(answer);
    if (o.json || strcmp(sale_str(r, "state"), "approved") != 0)
        return sale_finish(&o, r);
    (void)printf("CANCELLED: transaction %s is undone (%s)\n", o.words[0], sale_str(r, "mode"));
    json_decref(r);
    return CLI_DONE;
}

int dp_cmd_abort(int argc, char **argv)
{
    struct sale_options o;
    int status = CLI_FAILED;
    json_t *answer;
    if (!sale_options_read(argc, argv, "abort SERVICE-ID " TILL_OPTIONS, 1, &o, &status))
        return status;
    answer =
        sale_ask(&o, sale_request(&o, "Abort", "AbortRequest",
                                  json_pack("{s:{s:s,s:s,s:s},s:s}", "MessageReference",
                                            "MessageCategory", "Payment", "ServiceID", o.words[0],
                                            "SaleID", o.sale_id, "AbortReason", "MerchantAbort")));
    status = answer == NULL ? CLI_FAILED : CLI_DONE;
    json_decref(answer);
    if (status == CLI_DONE)
        (void)puts(o.json ? "{\n  \"result\": \"Success\"\n}"
                          : "Asked to stop; the payment itself tells how it ended");
    return status;
}

static int simple(const struct sale_options *o, const char *category, const char *body_name,
                  const char *answer_name, json_t *body)
{
    json_t *answer = sale_ask(o, sale_request(o, category, body_name, body));
    int status = CLI_FAILED;
    if (answer != NULL)
        status = sale_finish_simple(o, sale_member(answer, answer_name));
    json_decref(answer);
    return status;
}

int dp_cmd_diagnose(int argc, char **argv)
{
    struct sale_options o;
    int status = CLI_FAILED;
    if (!sale_options_read(argc, argv, "diagnose " TILL_OPTIONS, 0, &o, &status))
        return status;
    return simple(&o, "Diagnosis", "DiagnosisRequest", "DiagnosisResponse",
                  json_pack("{s:b}", "HostDiagnosisFlag", 0));
}

int dp_cmd_totals(int argc, char **argv)
{
    struct sale_options o;
    int status = CLI_FAILED;
    if (!sale_options_read(argc, argv, "totals " TILL_OPTIONS, 0, &o, &status))
        return status;
    return simple(&o, "GetTotals", "GetTotalsRequest", "GetTotalsResponse", json_object());
}

int dp_cmd_settle(int argc, char **argv)
{
    struct sale_options o;
    int status = CLI_FAILED;
    if (!sale_options_read(argc, argv, "settle " TILL_OPTIONS, 0, &o, &status))
        return status;
    return simple(&o, "Reconciliation", "ReconciliationRequest", "ReconciliationResponse",
                  json_pack("{s:s}", "ReconciliationType", "AcquirerReconciliation"));
}

int dp_cmd_forward(int argc, char **argv)
{
    struct sale_options o;
    char what[32];
    int status = CLI_FAILED;
    if (!sale_options_read(argc, argv, "forward now|hold|release|list " TILL_OPTIONS, 1, &o,
                           &status))
        return status;
    if (strcmp(o.words[0], "list") == 0)
        return simple(&o, "Diagnosis", "DiagnosisRequest", "DiagnosisResponse", json_object());
    if (strcmp(o.words[0], "now") != 0 && strcmp(o.words[0], "hold") != 0 &&
        strcmp(o.words[0], "release") != 0) {
        (void)fprintf(stderr, "doorpay: forward knows now, hold, release and list, not %s\n",
                      o.words[0]);
        return CLI_USAGE;
    }
    (void)snprintf(what, sizeof what, "forward-%s", o.words[0]);
    return simple(&o, "Admin", "AdminRequest", "AdminResponse",
                  json_pack("{s:s}", "ServiceIdentification", what));
}

int dp_cmd_events(int argc, char **argv)
{
    struct sale_options o;
    int status = CLI_FAILED;
    if (!sale_options_read(argc, argv, "events [--socket PATH] [--json]", 0, &o, &status))
        return status;
    return sale_events(&o, stdout);
}
