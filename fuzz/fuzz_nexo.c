/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request of the round app as it comes from the socket: what is accepted is in range and leaves
 * as an answer that is JSON again; what is refused names a reason and is answered as JSON too.
 */
#include <stdlib.h>
#include <string.h>

#include <psa/crypto.h>

#include "till/nexo.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
}

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* An answer is one JSON object with a response in it; its numbers are numbers. */
static void is_answer(char *text)
{
    json_t *root;
    must(text != NULL);
    root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    must(json_is_object(json_object_get(root, "SaleToPOIResponse")));
    must(strstr(text, ":\"" NEXO_NUMBER_MARK) == NULL); /* escaped, in an error's text, it may */
    json_decref(root);
    free(text);
}

static bool terminated(const char *text, size_t n)
{
    return memchr(text, '\0', n) != NULL;
}

static void accepted(const struct nexo_request *q)
{
    struct dp_pay_result r;
    const struct dp_pay_request *p = &q->pay;
    must(q->header.category != NEXO_NONE && q->header.service_id[0] != '\0');
    must(terminated(p->parcel, sizeof p->parcel) && terminated(p->sale_tx, sizeof p->sale_tx));
    memset(&r, 0, sizeof r);
    r.state = DP_PAY_APPROVED;
    r.mode = DP_MODE_ONLINE;
    r.amount = p->amount;
    memcpy(r.sale_tx, p->sale_tx, sizeof r.sale_tx);
    memcpy(r.parcel, p->parcel, sizeof r.parcel);
    memcpy(r.sale_id, p->sale_id, sizeof r.sale_id);
    memcpy(r.service_id, p->service_id, sizeof r.service_id);
    if (q->header.category == NEXO_PAYMENT) {
        must(p->amount.minor > 0 && p->amount.minor <= 999999999999 && p->sale_tx[0] != '\0');
        is_answer(nexo_answer_payment(q, &r));
    } else if (q->header.category == NEXO_REVERSAL) {
        must(q->reverse.amount >= 0);
        is_answer(nexo_answer_reversal(q, &r));
    } else if (q->header.category == NEXO_STATUS) {
        must(q->status.by_tx || q->status.service_id[0] != '\0' || q->status.parcel[0] != '\0');
        is_answer(nexo_answer_status(q, &r));
    } else if (q->header.category == NEXO_ADMIN) {
        must(q->ack_n > 0 ? q->forward == 0 && q->ack_n <= sizeof q->ack
                          : q->forward >= DP_FORWARD_NOW && q->forward <= DP_FORWARD_RELEASE);
        is_answer(nexo_answer_plain(&q->header));
    }
}

/* Quoted once, a text has no bare number left: quoting again changes nothing. */
static void quoting_is_done_once(const char *data, size_t size)
{
    char *once = dp_json_quote_numbers(data, size), *twice;
    if (once == NULL)
        return;
    twice = dp_json_quote_numbers(once, strlen(once));
    if (memchr(data, '\0', size) == NULL)
        must(twice != NULL && strcmp(once, twice) == 0);
    free(once);
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nexo_request *q = calloc(1, sizeof *q);
    char error[200] = "";
    must(q != NULL);
    if (nexo_parse((const char *)data, size, q, error, sizeof error) == DP_OK) {
        accepted(q);
    } else {
        must(error[0] != '\0');
        is_answer(nexo_answer_error(&q->header, "MessageFormat", "message_format", error));
    }
    quoting_is_done_once((const char *)data, size);
    free(q);
    return 0;
}
