/* SPDX-License-Identifier: Apache-2.0 */
/* nexo Sale-to-POI messages as JSON (docs/nexo.md): what we read of a request, what we write as an
 * answer. */
#ifndef DP_TILL_NEXO_H
#define DP_TILL_NEXO_H

#include <jansson.h>

#include <doorpay/payment.h>
#include <doorpay/till.h>

enum nexo_category {
    NEXO_NONE = 0,
    NEXO_LOGIN,
    NEXO_LOGOUT,
    NEXO_PAYMENT,
    NEXO_STATUS,
    NEXO_REVERSAL,
    NEXO_ABORT,
    NEXO_DIAGNOSIS,
    NEXO_TOTALS,
    NEXO_RECONCILIATION,
    NEXO_ADMIN
};

struct nexo_header {
    enum nexo_category category;
    char service_id[11], sale_id[21], poi_id[41];
    bool has_language; /* the request said in which language its answer's messages are to be */
    enum dp_language language;
};

/* A request as far as we act on it. Which part is filled depends on the category. */
struct nexo_request {
    struct nexo_header header;
    char time_stamp[33]; /* of the SaleTransactionID, echoed */
    char operator_id[36];
    struct dp_pay_request pay;
    struct dp_reverse_request reverse;
    struct dp_status_query status; /* also the reference of an Abort */
    enum nexo_category status_category;
    enum dp_forward_command forward; /* Admin; 0: ack is given instead */
    uint8_t ack[DP_ACKNOWLEDGEMENT_MAX];
    size_t ack_n;
};

/*
 * Reads one SaleToPOIRequest. On failure error names the field and the reason, and header holds
 * what could be read of it, so that the answer can echo it. DP_ERR_FORMAT: not JSON, not nexo, a
 * field of the wrong form; DP_ERR_MISSING; DP_ERR_UNSUPPORTED: another category.
 */
DP_MUST_USE DP_PARSES int nexo_parse(const char *text, size_t n, struct nexo_request *out,
                                     char *error, size_t error_n);
const char *nexo_category_name(enum nexo_category category);

/* ---- answers: text to be freed with free(), NULL only without memory ---- */

struct nexo_info {
    const char *software_version;
};

char *nexo_answer_error(const struct nexo_header *h, const char *condition, const char *reason,
                        const char *words);
char *nexo_answer_login(const struct nexo_request *q, const struct nexo_info *info,
                        const struct dp_diagnosis *d);
char *nexo_answer_plain(const struct nexo_header *h); /* Logout, Admin: Success */
char *nexo_answer_acknowledged(const struct nexo_header *h, const struct dp_ack_result *r);
char *nexo_answer_payment(const struct nexo_request *q, const struct dp_pay_result *r);
char *nexo_answer_reversal(const struct nexo_request *q, const struct dp_pay_result *r);
char *nexo_answer_status(const struct nexo_request *q, const struct dp_pay_result *r);
char *nexo_answer_diagnosis(const struct nexo_request *q, const struct dp_diagnosis *d);
char *nexo_answer_totals(const struct nexo_request *q, const struct dp_till_totals *t);
char *nexo_answer_reconciliation(const struct nexo_request *q, const struct dp_settle_result *r);
/* One Display event for the app's screen, as JSON text: in the card holder's language when we have
 * it, else in this one. */
char *nexo_event(const struct dp_pay_event *e, enum dp_language language);

/* ---- numbers.c: amounts never become floating point ---- */

/* A JSON string that nexo_unquote_numbers turns into a bare number. */
json_t *nexo_number(const struct dp_money *m);
void nexo_unquote_numbers(char *text);
#define NEXO_NUMBER_MARK "#num#"

#endif
