/* SPDX-License-Identifier: Apache-2.0 */
/* The till behind a real socket: HTTP in, a backend of the test's own behind. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <psa/crypto.h>

#include <doorpay/till.h>

#include "base/limits.h"

#define ANSWER_MAX 65536
#define PATIENCE   400 /* rounds of 10 ms */

static struct {
    char path[64];
    int listen_fd;
    struct dp_till *till;
    bool hold, refuse; /* the backend keeps a request open; cannot be asked */
    unsigned asked;
    uint64_t request;
    struct dp_pay_request pay;
    struct dp_reverse_request reverse;
    struct dp_status_query query;
    char aborted[11];
    struct dp_pay_result result;
    enum dp_forward_command forward;
    uint8_t ack[DP_ACKNOWLEDGEMENT_MAX];
    size_t ack_n;
} self;

static int answer(uint64_t request)
{
    self.asked++;
    self.request = request;
    if (self.refuse)
        return DP_ERR_GONE;
    if (!self.hold)
        dp_till_result(self.till, request, &self.result);
    return DP_OK;
}

static int on_pay(void *ctx, uint64_t request, const struct dp_pay_request *pay)
{
    (void)ctx;
    self.pay = *pay;
    return answer(request);
}

static int on_reverse(void *ctx, uint64_t request, const struct dp_reverse_request *reverse)
{
    (void)ctx;
    self.reverse = *reverse;
    return answer(request);
}

static int on_status(void *ctx, uint64_t request, const struct dp_status_query *query)
{
    (void)ctx;
    self.query = *query;
    return answer(request);
}

static int on_abort(void *ctx, const char *sale_id, const char *service_id)
{
    (void)ctx;
    assert_string_equal(sale_id, "round-7");
    (void)snprintf(self.aborted, sizeof self.aborted, "%s", service_id);
    return DP_OK;
}

static int on_diagnose(void *ctx, uint64_t request)
{
    struct dp_diagnosis d;
    (void)ctx;
    memset(&d, 0, sizeof d);
    d.journal_ok = d.params_ok = d.reader_ok = true;
    (void)snprintf(d.tid, sizeof d.tid, "%s", "DP000001");
    (void)snprintf(d.trouble, sizeof d.trouble, "no network: payments go on");
    d.headroom.offline_amount = 12300;
    d.headroom.offline_count = 4;
    dp_till_diagnosis(self.till, request, &d);
    return DP_OK;
}

static int on_totals(void *ctx, uint64_t request)
{
    struct dp_till_totals t;
    (void)ctx;
    memset(&t, 0, sizeof t);
    t.batch = 3;
    t.money.currency = 978;
    t.money.exponent = 2;
    t.sales_n = 2;
    t.sales_amount = 5050;
    dp_till_totals_answer(self.till, request, &t);
    return DP_OK;
}

static int on_settle(void *ctx, uint64_t request)
{
    struct dp_settle_result r;
    (void)ctx;
    memset(&r, 0, sizeof r);
    r.reason = DP_REASON_BUSY;
    dp_till_settled(self.till, request, &r);
    return DP_OK;
}

static int on_forward(void *ctx, uint64_t request, enum dp_forward_command command)
{
    self.forward = command;
    return on_diagnose(ctx, request);
}

static int on_acknowledge(void *ctx, uint64_t request, const uint8_t *ack, size_t n)
{
    struct dp_ack_result r = {.taken = n == 3};
    (void)ctx;
    memcpy(self.ack, ack, n);
    self.ack_n = n;
    (void)snprintf(r.words, sizeof r.words, "%s", r.taken ? "the first 9 records" : "it is older");
    dp_till_acknowledged(self.till, request, &r);
    return DP_OK;
}

/* ---- a client on the same thread ---- */

struct client {
    int fd;
    char text[ANSWER_MAX + 1];
    size_t n;
    bool closed;
};

static void turn(void)
{
    int wait = dp_till_timeout_ms(self.till);
    struct pollfd p = {dp_till_fd(self.till), POLLIN, 0};
    (void)poll(&p, 1, wait >= 0 && wait < 10 ? wait : 10);
    dp_till_run(self.till);
}

static void dial(struct client *c)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memset(c, 0, sizeof *c);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", self.path);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(c->fd >= 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&a, sizeof a), 0);
}

static void tell(struct client *c, const char *text, size_t n)
{
    size_t done = 0;
    for (int i = 0; i < PATIENCE && done < n; i++) {
        ssize_t sent = send(c->fd, text + done, n - done, MSG_NOSIGNAL);
        if (sent > 0)
            done += (size_t)sent;
        else if (errno == EPIPE || errno == ECONNRESET)
            return;
        else
            turn();
    }
}

static void listen_more(struct client *c)
{
    ssize_t got = recv(c->fd, c->text + c->n, ANSWER_MAX - c->n, 0);
    if (got > 0)
        c->n += (size_t)got;
    else if (got == 0 || errno != EAGAIN)
        c->closed = true;
    c->text[c->n] = '\0';
}

/* Until what was read contains wanted, or the other end closed (wanted NULL: until then). */
static void hear(struct client *c, const char *wanted)
{
    for (int i = 0; i < PATIENCE && !c->closed; i++) {
        listen_more(c);
        if (wanted != NULL && strstr(c->text, wanted) != NULL)
            return;
        turn();
    }
}

static void hang_up(struct client *c)
{
    (void)close(c->fd);
    for (int i = 0; i < 3; i++)
        turn();
}

static void post(struct client *c, const char *body)
{
    char head[256];
    dial(c);
    (void)snprintf(head, sizeof head, "POST /nexo/ HTTP/1.0\r\nContent-Length: %zu\r\n\r\n",
                   strlen(body));
    tell(c, head, strlen(head));
    tell(c, body, strlen(body));
}

/* The body of the answer as JSON; numbers stay text. */
static json_t *answer_of(struct client *c)
{
    char *body, *quoted;
    json_t *root;
    hear(c, NULL);
    assert_true(c->closed);
    assert_memory_equal(c->text, "HTTP/1.", 7);
    assert_non_null(strstr(c->text, " 200 "));
    body = strstr(c->text, "\r\n\r\n");
    assert_non_null(body);
    quoted = dp_json_quote_numbers(body + 4, strlen(body + 4));
    assert_non_null(quoted);
    root = json_loads(quoted, 0, NULL);
    assert_non_null(root);
    free(quoted);
    hang_up(c);
    return root;
}

static json_t *ask(const char *body)
{
    static struct client c;
    post(&c, body);
    return answer_of(&c);
}

/* The text at a path of names with dots, in the answer. */
static const char *at(json_t *root, const char *path)
{
    char copy[160], *save = NULL;
    json_t *o = json_object_get(root, "SaleToPOIResponse");
    (void)snprintf(copy, sizeof copy, "%s", path);
    for (char *name = strtok_r(copy, ".", &save); name != NULL; name = strtok_r(NULL, ".", &save))
        o = json_object_get(o, name);
    return json_string_value(o);
}

static void assert_at(json_t *root, const char *path, const char *wanted)
{
    const char *got = at(root, path);
    if (got == NULL || strcmp(got, wanted) != 0)
        print_message("%s is %s\n", path, got == NULL ? "missing" : got);
    assert_non_null(got);
    assert_string_equal(got, wanted);
}

static void assert_said(json_t *root, const char *path, const char *part)
{
    const char *got = at(root, path);
    assert_non_null(got);
    if (strstr(got, part) == NULL)
        print_message("%s lacks %s\n", got, part);
    assert_non_null(strstr(got, part));
}

static const char *header_more = ""; /* what else stands in the header */

static const char *message(const char *category, const char *body)
{
    static char text[8192];
    (void)snprintf(
        text, sizeof text,
        "{\"SaleToPOIRequest\":{\"MessageHeader\":{\"ProtocolVersion\":\"3.0\","
        "\"MessageClass\":\"Service\",\"MessageCategory\":\"%s\",\"MessageType\":"
        "\"Request\",\"ServiceID\":\"S1\",\"SaleID\":\"round-7\",\"POIID\":\"P\"%s}%s%s}}",
        category, header_more, body[0] != '\0' ? "," : "", body);
    return text;
}

static const char *payment(const char *amounts, const char *more)
{
    static char body[1024];
    (void)snprintf(body, sizeof body,
                   "\"PaymentRequest\":{\"SaleData\":{\"SaleTransactionID\":{\"TransactionID\":"
                   "\"T-9\",\"TimeStamp\":\"2026-11-24T10:00:00Z\"},\"SaleReferenceID\":"
                   "\"PARCEL1\"%s},\"PaymentTransaction\":{\"AmountsReq\":{%s}}}",
                   more, amounts);
    return message("Payment", body);
}

#define EUR_23_50 "\"Currency\":\"EUR\",\"RequestedAmount\":23.50"

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct dp_till_config config = {.backend = {NULL, on_pay, on_reverse, on_status, on_abort,
                                                on_diagnose, on_totals, on_settle, on_forward,
                                                on_acknowledge},
                                    .software_version = "1.2.3"};
    (void)state;
    memset(&self, 0, sizeof self);
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    (void)snprintf(self.path, sizeof self.path, "%s/till.%d", tmp != NULL ? tmp : "/tmp",
                   (int)getpid());
    (void)unlink(self.path);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", self.path);
    self.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(self.listen_fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(self.listen_fd, 128), 0);
    config.listen_fd = self.listen_fd;
    assert_int_equal(dp_till_new(&config, &self.till), DP_OK);
    self.result = (struct dp_pay_result){.state = DP_PAY_APPROVED,
                                         .mode = DP_MODE_OFFLINE,
                                         .forward = DP_FORWARD_PENDING,
                                         .sale_tx = "T-9",
                                         .parcel = "PARCEL1",
                                         .amount = {2350, 978, 2},
                                         .tid = "DP000001",
                                         .bin = "999901",
                                         .last4 = "0018",
                                         .rrn = "632810000042",
                                         .interface = DP_INTERFACE_CONTACT,
                                         .stan = 42,
                                         .aid = {0xA0, 0, 0, 9, 0x99},
                                         .aid_n = 5};
    memset(self.result.tx, 0xAB, sizeof self.result.tx);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dp_till_free(&self.till);
    (void)close(self.listen_fd);
    (void)unlink(self.path);
    return 0;
}

/* ---- tests ---- */

static void payment_is_asked_and_answered(void **state)
{
    json_t *r = ask(payment(EUR_23_50, ",\"SaleToPOIData\":\"manifest=M1&deferred=forbid\""));
    (void)state;
    assert_int_equal(self.asked, 1);
    assert_int_equal(self.pay.amount.minor, 2350);
    assert_int_equal(self.pay.amount.currency, 978);
    assert_string_equal(self.pay.parcel, "PARCEL1");
    assert_string_equal(self.pay.manifest, "M1");
    assert_string_equal(self.pay.sale_tx, "T-9");
    assert_int_equal(self.pay.offline, DP_ALLOW);
    assert_int_equal(self.pay.deferred, DP_FORBID);
    assert_at(r, "MessageHeader.ServiceID", "S1");
    assert_at(r, "MessageHeader.MessageType", "Response");
    assert_at(r, "PaymentResponse.Response.Result", "Success");
    assert_at(r, "PaymentResponse.PaymentResult.AmountsResp.AuthorizedAmount", "23.50");
    assert_at(r, "PaymentResponse.PaymentResult.PaymentInstrumentData.CardData.MaskedPan",
              "999901******0018");
    assert_at(r, "PaymentResponse.POIData.POITransactionID.TransactionID",
              "ABABABABABABABABABABABABABABABAB");
    assert_at(r, "PaymentResponse.SaleData.SaleTransactionID.TimeStamp", "2026-11-24T10:00:00Z");
    assert_said(r, "PaymentResponse.Response.AdditionalResponse", "mode=offline");
    json_decref(r);
}

static void amount_in_the_answer_is_a_number_and_never_floats(void **state)
{
    static struct client c;
    (void)state;
    self.result.amount.minor = 999999999999;
    post(&c, payment("\"Currency\":\"EUR\",\"RequestedAmount\":9999999999.99", ""));
    hear(&c, NULL);
    assert_non_null(strstr(c.text, "\"AuthorizedAmount\":9999999999.99"));
    assert_int_equal(self.pay.amount.minor, 999999999999);
    hang_up(&c);
}

static void declined_payment_says_why_in_words(void **state)
{
    json_t *r;
    (void)state;
    self.result.state = DP_PAY_DECLINED;
    self.result.mode = DP_MODE_DECLINED;
    self.result.reason = DP_REASON_LIMIT_ROUND;
    r = ask(payment(EUR_23_50, ""));
    assert_at(r, "PaymentResponse.Response.Result", "Failure");
    assert_at(r, "PaymentResponse.Response.ErrorCondition", "PaymentRestriction");
    assert_said(r, "PaymentResponse.Response.AdditionalResponse", "reason=limit_round");
    assert_at(r, "PaymentResponse.PaymentResult.AmountsResp.AuthorizedAmount", "0.00");
    json_decref(r);
}

static void messages_come_in_the_language_asked_for(void **state)
{
    static const struct {
        const char *header, *worker, *customer;
    } cases[] = {
        {"", "message=The%20card%20has%20expired", "customerMessage=Your%20card"},
        {",\"Language\":\"fr\"", "message=La%20carte%20est%20expirée",
         "customerMessage=Votre%20carte%20est%20expirée"},
        {",\"Language\":\"nl-BE\"", "message=De%20kaart%20is%20vervallen",
         "customerMessage=Uw%20kaart"},
        {",\"Language\":\"de\"", "message=Die%20Karte%20ist%20abgelaufen",
         "customerMessage=Ihre%20Karte"},
    };
    json_t *r;
    (void)state;
    self.result.state = DP_PAY_DECLINED;
    self.result.mode = DP_MODE_DECLINED;
    self.result.reason = DP_REASON_EXPIRED_CARD;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        header_more = cases[i].header;
        r = ask(payment(EUR_23_50, ""));
        assert_said(r, "PaymentResponse.Response.AdditionalResponse", "reason=expired");
        assert_said(r, "PaymentResponse.Response.AdditionalResponse", cases[i].worker);
        assert_said(r, "PaymentResponse.Response.AdditionalResponse", cases[i].customer);
        json_decref(r);
    }
    header_more = ",\"Language\":\"tlh\"";
    r = ask(payment(EUR_23_50, ""));
    header_more = "";
    assert_at(r, "PaymentResponse.Response.ErrorCondition", "MessageFormat");
    assert_said(r, "PaymentResponse.Response.AdditionalResponse", "Language");
    json_decref(r);
}

static void customers_choice_reaches_the_vault(void **state)
{
    uint8_t print[32];
    (void)state;
    json_decref(ask(payment(EUR_23_50, "")));
    assert_int_equal(self.pay.aid_n, 0);
    assert_false(self.pay.ask_choice);
    memcpy(print, self.pay.fingerprint, sizeof print);
    json_decref(ask(payment(EUR_23_50, ",\"SaleToPOIData\":\"choose=ask\"")));
    assert_true(self.pay.ask_choice);
    assert_memory_not_equal(self.pay.fingerprint, print, sizeof print);
    memcpy(print, self.pay.fingerprint, sizeof print);
    json_decref(ask(payment(EUR_23_50, ",\"SaleToPOIData\":\"choose=ask&aid=A0000009990201\"")));
    assert_int_equal(self.pay.aid_n, 7);
    assert_memory_equal(self.pay.aid, "\xA0\0\0\x09\x99\x02\x01", 7);
    assert_memory_not_equal(self.pay.fingerprint, print, sizeof print);
}

static void what_is_no_payment_request_never_reaches_the_vault(void **state)
{
    static const struct {
        const char *amounts, *more, *said;
    } cases[] = {
        {"\"Currency\":\"EUR\",\"RequestedAmount\":23.505", "", "RequestedAmount"},
        {"\"Currency\":\"EUR\",\"RequestedAmount\":-1", "", "RequestedAmount"},
        {"\"Currency\":\"EUR\",\"RequestedAmount\":0", "", "RequestedAmount"},
        {"\"Currency\":\"EUR\",\"RequestedAmount\":1e3", "", "RequestedAmount"},
        {"\"Currency\":\"EUR\",\"RequestedAmount\":99999999999", "", "RequestedAmount"},
        {"\"Currency\":\"EUR\",\"RequestedAmount\":\"23,50\"", "", "RequestedAmount"},
        {"\"Currency\":\"EUR\",\"RequestedAmount\":true", "", "RequestedAmount"},
        {"\"Currency\":\"EUR\"", "", "RequestedAmount"},
        {"\"Currency\":\"XQX\",\"RequestedAmount\":1", "", "Currency"},
        {"\"RequestedAmount\":1", "", "Currency"},
        {EUR_23_50 ",\"CashBackAmount\":5", "", "CashBackAmount"},
        {EUR_23_50, ",\"SaleToPOIData\":\"offline=maybe\"", "offline"},
        {EUR_23_50, ",\"SaleToPOIData\":\"aid=A00000\"", "aid"},
        {EUR_23_50, ",\"SaleToPOIData\":\"aid=A00000099902xx\"", "aid"},
        {EUR_23_50, ",\"SaleToPOIData\":\"choose=me\"", "choose"},
        {EUR_23_50, ",\"SaleToPOIData\":\"aid=\"", "aid"},
        {EUR_23_50, ",\"SaleToPOIData\":\"aid=&choose=ask\"", "aid"},
        {EUR_23_50, ",\"SaleToPOIData\":\"choose=\"", "choose"},
        {EUR_23_50, ",\"OperatorID\":\"a234567890123456789012345678901234567890\"", "OperatorID"},
        {EUR_23_50, ",\"OperatorID\":\"\\u00e4\"", "OperatorID"},
        {EUR_23_50, ",\"OperatorID\":\"#num#1\"", "OperatorID"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *r = ask(payment(cases[i].amounts, cases[i].more));
        assert_at(r, "PaymentResponse.Response.Result", "Failure");
        assert_at(r, "PaymentResponse.Response.ErrorCondition", "MessageFormat");
        assert_said(r, "PaymentResponse.Response.AdditionalResponse", cases[i].said);
        assert_at(r, "MessageHeader.ServiceID", "S1");
        json_decref(r);
    }
    assert_int_equal(self.asked, 0);
}

static void malformed_json_is_answered_not_obeyed(void **state)
{
    static const char *const cases[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"SaleToPOIRequest\":7}",
        "\"",
        "{\"a\":\"#num#1",
        "{\"SaleToPOIRequest\":{\"MessageHeader\":{}}}",
        "{\"a\":1,\"a\":2}",
        "\"#num#1\" trailing \"#num#2\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *r = ask(cases[i]);
        assert_at(r, "EventNotification.Response.Result", "Failure");
        assert_at(r, "EventNotification.Response.ErrorCondition", "MessageFormat");
        json_decref(r);
    }
    assert_int_equal(self.asked, 0);
}

static void unknown_category_and_version_are_refused(void **state)
{
    char *text;
    json_t *r = ask(message("BalanceInquiry", ""));
    (void)state;
    assert_said(r, "EventNotification.Response.AdditionalResponse", "BalanceInquiry");
    json_decref(r);
    text = strdup(message("Diagnosis", ""));
    memcpy(strstr(text, "3.0"), "2.0", 3);
    r = ask(text);
    assert_said(r, "EventNotification.Response.AdditionalResponse", "ProtocolVersion");
    json_decref(r);
    free(text);
    assert_int_equal(self.asked, 0);
}

static void oversized_body_is_refused(void **state)
{
    size_t n = DP_TILL_BODY_MAX + 1;
    char *body = malloc(n + 1);
    json_t *r;
    (void)state;
    memset(body, ' ', n);
    body[n] = '\0';
    r = ask(body);
    assert_said(r, "EventNotification.Response.AdditionalResponse", "too%20long");
    json_decref(r);
    body[n - 1] = '\0'; /* the largest that is taken: not JSON, but not too long */
    r = ask(body);
    assert_said(r, "EventNotification.Response.AdditionalResponse", "not%20JSON");
    json_decref(r);
    free(body);
}

static void chunked_body_is_read_whole(void **state)
{
    static struct client c;
    const char *body = payment(EUR_23_50, "");
    char chunk[64];
    (void)state;
    dial(&c);
    tell(&c, "POST /nexo/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", 50);
    tell(&c, "Transfer-Encoding: chunked\r\n\r\n", 30);
    for (size_t i = 0; i < strlen(body); i += 7) {
        size_t n = strlen(body) - i < 7 ? strlen(body) - i : 7;
        (void)snprintf(chunk, sizeof chunk, "%zx\r\n%.*s\r\n", n, (int)n, body + i);
        tell(&c, chunk, strlen(chunk));
        turn();
    }
    tell(&c, "0\r\n\r\n", 5);
    json_decref(answer_of(&c));
    assert_int_equal(self.pay.amount.minor, 2350);
}

static void other_paths_and_methods_do_nothing(void **state)
{
    static const struct {
        const char *request, *status;
    } cases[] = {{"GET /nexo/ HTTP/1.0\r\n\r\n", " 405 "},
                 {"POST /other HTTP/1.0\r\nContent-Length: 0\r\n\r\n", " 404 "},
                 {"POST /events HTTP/1.0\r\nContent-Length: 0\r\n\r\n", " 404 "},
                 {"nonsense\r\n\r\n", " 4"}};
    static struct client c;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dial(&c);
        tell(&c, cases[i].request, strlen(cases[i].request));
        hear(&c, NULL);
        assert_true(c.n == 0 || strstr(c.text, cases[i].status) != NULL);
        hang_up(&c);
    }
    assert_int_equal(self.asked, 0);
}

static void held_payment_can_be_aborted_and_is_answered_on_its_own_connection(void **state)
{
    static struct client first, second;
    json_t *r;
    (void)state;
    self.hold = true;
    post(&first, payment(EUR_23_50, ""));
    for (int i = 0; i < PATIENCE && self.asked == 0; i++)
        turn();
    assert_int_equal(self.asked, 1);
    post(&second, message("Abort", "\"AbortRequest\":{\"MessageReference\":{\"ServiceID\":\"S1\","
                                   "\"MessageCategory\":\"Payment\"}}"));
    hear(&second, NULL);
    assert_non_null(strstr(second.text, " 200 "));
    assert_string_equal(self.aborted, "S1");
    hang_up(&second);
    listen_more(&first);
    assert_int_equal(first.n, 0); /* not answered by the Abort */
    self.result.state = DP_PAY_DECLINED;
    self.result.reason = DP_REASON_CANCELLED;
    dp_till_result(self.till, self.request, &self.result);
    r = answer_of(&first);
    assert_at(r, "PaymentResponse.Response.ErrorCondition", "Aborted");
    json_decref(r);
}

static void client_that_hangs_up_leaves_no_trace(void **state)
{
    static struct client c;
    (void)state;
    self.hold = true;
    post(&c, payment(EUR_23_50, ""));
    for (int i = 0; i < PATIENCE && self.asked == 0; i++)
        turn();
    hang_up(&c);
    dp_till_result(self.till, self.request, &self.result);
    dp_till_result(self.till, self.request, &self.result); /* a number that is not asked any more */
    dp_till_result(self.till, 0, &self.result);
    for (int i = 0; i < PATIENCE && !dp_till_idle(self.till); i++)
        turn();
    assert_true(dp_till_idle(self.till));
}

static void lost_vault_answers_unknown_never_paid(void **state)
{
    static struct client c;
    json_t *r;
    (void)state;
    self.hold = true;
    post(&c, payment(EUR_23_50, ""));
    for (int i = 0; i < PATIENCE && self.asked == 0; i++)
        turn();
    assert_false(dp_till_idle(self.till));
    dp_till_lost(self.till);
    r = answer_of(&c);
    assert_at(r, "PaymentResponse.Response.Result", "Failure");
    assert_at(r, "PaymentResponse.Response.ErrorCondition", "UnavailableService");
    assert_said(r, "PaymentResponse.Response.AdditionalResponse", "reason=unknown");
    json_decref(r);
    assert_true(dp_till_idle(self.till));
    self.refuse = true;
    r = ask(payment(EUR_23_50, ""));
    assert_at(r, "PaymentResponse.Response.ErrorCondition", "UnavailableService");
    json_decref(r);
}

static void same_request_has_the_same_fingerprint_and_another_has_not(void **state)
{
    static const char *const others[] = {
        "\"Currency\":\"EUR\",\"RequestedAmount\":23.51",
        "\"Currency\":\"SEK\",\"RequestedAmount\":23.50",
    };
    uint8_t print[32];
    (void)state;
    json_decref(ask(payment(EUR_23_50, "")));
    memcpy(print, self.pay.fingerprint, sizeof print);
    json_decref(ask(payment("\"RequestedAmount\":23.5,\"Currency\":\"EUR\"", "")));
    assert_memory_equal(self.pay.fingerprint, print, sizeof print);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        json_decref(ask(payment(others[i], "")));
        assert_memory_not_equal(self.pay.fingerprint, print, sizeof print);
    }
    json_decref(ask(payment(EUR_23_50, ",\"SaleToPOIData\":\"offline=forbid\"")));
    assert_memory_not_equal(self.pay.fingerprint, print, sizeof print);
    json_decref(ask(payment(EUR_23_50, ",\"SaleToPOIData\":\"parcel=PARCEL2\"")));
    assert_memory_not_equal(self.pay.fingerprint, print, sizeof print);
}

static void status_repeats_the_answer_by_either_id(void **state)
{
    json_t *r = ask(message("TransactionStatus",
                            "\"TransactionStatusRequest\":{\"MessageReference\":{\"ServiceID\":"
                            "\"S7\",\"MessageCategory\":\"Payment\"}}"));
    (void)state;
    assert_false(self.query.by_tx);
    assert_string_equal(self.query.service_id, "S7");
    assert_string_equal(self.query.sale_id, "round-7");
    assert_at(r, "TransactionStatusResponse.Response.Result", "Success");
    assert_at(r,
              "TransactionStatusResponse.RepeatedMessageResponse.RepeatedResponseMessageBody."
              "PaymentResponse.Response.Result",
              "Success");
    json_decref(r);
    r = ask(message("TransactionStatus",
                    "\"TransactionStatusRequest\":{\"SaleReferenceID\":\"PARCEL1\"}"));
    assert_string_equal(self.query.parcel, "PARCEL1");
    assert_false(self.query.by_tx);
    json_decref(r);
    self.result.state = DP_PAY_NOT_FOUND;
    self.result.reason = DP_REASON_NOT_FOUND;
    r = ask(message("TransactionStatus",
                    "\"TransactionStatusRequest\":{\"POITransactionID\":{\"TransactionID\":"
                    "\"000102030405060708090A0B0C0D0E0F\"}}"));
    assert_true(self.query.by_tx);
    assert_int_equal(self.query.tx[15], 15);
    assert_at(r, "TransactionStatusResponse.Response.ErrorCondition", "NotFound");
    json_decref(r);
}

static void reversal_is_asked_with_its_amount(void **state)
{
    json_t *r;
    (void)state;
    self.result.is_reversal = true;
    self.result.mode = DP_MODE_VOID;
    r = ask(message("Reversal", "\"ReversalRequest\":{\"OriginalPOITransaction\":{"
                                "\"POITransactionID\":{\"TransactionID\":"
                                "\"000102030405060708090A0B0C0D0E0F\"}},\"ReversedAmount\":10}"));
    assert_int_equal(self.reverse.amount, 1000);
    assert_int_equal(self.reverse.original_tx[1], 1);
    assert_at(r, "ReversalResponse.Response.Result", "Success");
    assert_said(r, "ReversalResponse.Response.AdditionalResponse", "message=Cancelled");
    json_decref(r);
    self.asked = 0;
    r = ask(message("Reversal", "\"ReversalRequest\":{\"OriginalPOITransaction\":{"
                                "\"POITransactionID\":{\"TransactionID\":\"0001\"}}}"));
    assert_at(r, "ReversalResponse.Response.ErrorCondition", "MessageFormat");
    assert_int_equal(self.asked, 0);
    json_decref(r);
}

static void login_diagnosis_totals_settlement_and_admin_answer(void **state)
{
    json_t *r = ask(message("Login", "\"LoginRequest\":{\"OperatorID\":\"A1\"}"));
    (void)state;
    assert_at(r, "LoginResponse.POISystemData.POISoftware.SoftwareVersion", "1.2.3");
    json_decref(r);
    r = ask(message("Logout", "\"LogoutRequest\":{}"));
    assert_at(r, "LogoutResponse.Response.Result", "Success");
    json_decref(r);
    r = ask(message("Diagnosis", "\"DiagnosisRequest\":{}"));
    assert_at(r, "DiagnosisResponse.POIStatus.GlobalStatus", "OK");
    assert_said(r, "DiagnosisResponse.Response.AdditionalResponse", "offlineAmountLeft=12300");
    json_decref(r);
    r = ask(message("GetTotals", "\"GetTotalsRequest\":{}"));
    assert_at(r, "GetTotalsResponse.POIReconciliationID", "3");
    json_decref(r);
    r = ask(message("Reconciliation", "\"ReconciliationRequest\":{}"));
    assert_at(r, "ReconciliationResponse.Response.ErrorCondition", "Busy");
    json_decref(r);
    r = ask(message("Admin", "\"AdminRequest\":{\"ServiceIdentification\":\"forward-hold\"}"));
    assert_at(r, "AdminResponse.Response.Result", "Success");
    assert_int_equal(self.forward, DP_FORWARD_HOLD);
    json_decref(r);
    self.forward = 0;
    r = ask(message("Admin", "\"AdminRequest\":{\"ServiceIdentification\":\"journal-acknowledge\","
                             "\"Acknowledgement\":\"D284aa\"}"));
    assert_at(r, "AdminResponse.Response.Result", "Success");
    assert_said(r, "AdminResponse.Response.AdditionalResponse", "records");
    assert_int_equal(self.ack_n, 3);
    assert_memory_equal(self.ack, "\xD2\x84\xAA", 3);
    assert_int_equal(self.forward, 0);
    json_decref(r);
    r = ask(message("Admin", "\"AdminRequest\":{\"ServiceIdentification\":\"journal-acknowledge\","
                             "\"Acknowledgement\":\"D284\"}"));
    assert_at(r, "AdminResponse.Response.ErrorCondition", "Refusal");
    assert_said(r, "AdminResponse.Response.AdditionalResponse", "older");
    json_decref(r);
    self.ack_n = 0;
    for (int i = 0; i < 3; i++) {
        static const char *const bad[] = {",\"Acknowledgement\":\"D28\"", "",
                                          ",\"Acknowledgement\":\"\""};
        char body[160];
        (void)snprintf(body, sizeof body,
                       "\"AdminRequest\":{\"ServiceIdentification\":\"journal-acknowledge\"%s}",
                       bad[i]);
        r = ask(message("Admin", body));
        assert_at(r, "AdminResponse.Response.ErrorCondition", "MessageFormat");
        json_decref(r);
    }
    assert_int_equal(self.ack_n, 0);
    r = ask(message("Admin", "\"AdminRequest\":{\"ServiceIdentification\":\"erase\"}"));
    assert_at(r, "AdminResponse.Response.Result", "Failure");
    json_decref(r);
}

static void events_reach_a_listener_in_order(void **state)
{
    static struct client c;
    struct dp_pay_event e = {.ui = DP_EMV_UI_PRESENT_CARD, .service_id = "S1"};
    const char *first, *second;
    (void)state;
    dial(&c);
    tell(&c, "GET /events HTTP/1.0\r\n\r\n", 24);
    hear(&c, "doorpay events");
    assert_non_null(strstr(c.text, "text/event-stream"));
    dp_till_event(self.till, &e);
    e.ui = DP_EMV_UI_REMOVE_CARD;
    dp_till_event(self.till, &e);
    hear(&c, "remove-card");
    first = strstr(c.text, "\"event\":\"present-card\"");
    second = strstr(c.text, "\"event\":\"remove-card\"");
    assert_true(first != NULL && second != NULL && first < second);
    assert_non_null(strstr(c.text, "\"service_id\":\"S1\""));
    hang_up(&c);
}

static void events_name_applications_and_speak_the_holders_language(void **state)
{
    static struct client c;
    struct dp_pay_event e = {.ui = DP_EMV_UI_CHOOSE,
                             .service_id = "S1",
                             .languages = "itfr",
                             .application = "D\xC3\xA9"
                                            "bit",
                             .offers_n = 2,
                             .offers = {{{0xA0, 0, 0, 9, 0x99, 1}, 6, false, "Carte bleue"},
                                        {{0xA0, 0, 0, 9, 0x99, 2}, 6, true, ""}}};
    (void)state;
    dial(&c);
    tell(&c, "GET /events HTTP/1.0\r\n\r\n", 24);
    hear(&c, "doorpay events");
    dp_till_event(self.till, &e);
    hear(&c, "choose");
    assert_non_null(strstr(c.text, "\"text\":\"Veuillez choisir comment payer\""));
    assert_non_null(strstr(c.text, "\"application\":\"D\xC3\xA9"
                                   "bit\""));
    assert_non_null(strstr(c.text, "{\"aid\":\"A00000099901\",\"label\":\"Carte bleue\","
                                   "\"confirm\":false}"));
    assert_non_null(strstr(c.text, "\"confirm\":true}"));
    /* what is no text costs the label, not the event */
    memcpy(e.application, "\xFF\xFE", 3);
    e.ui = DP_EMV_UI_REMOVE_CARD;
    dp_till_event(self.till, &e);
    hear(&c, "remove-card");
    assert_non_null(strstr(c.text, "\"text\":\"Retirez la carte\""));
    hang_up(&c);
}

/* As many applications as a card may have, with the longest names that JSON makes longer still. */
static void event_with_all_applications_arrives_whole(void **state)
{
    static struct client c;
    struct dp_pay_event e = {.ui = DP_EMV_UI_CHOOSE,
                             .service_id = "S123456789",
                             .languages = "frnlende",
                             .offers_n = DP_EMV_OFFERS_MAX};
    size_t n = 0;
    (void)state;
    memset(e.application, '"', 16);
    for (size_t i = 0; i < DP_EMV_OFFERS_MAX; i++) {
        memset(e.offers[i].aid, 0xA0, sizeof e.offers[i].aid);
        e.offers[i].aid[15] = (uint8_t)i;
        e.offers[i].aid_n = 16;
        memset(e.offers[i].label, '"', 16);
    }
    dial(&c);
    tell(&c, "GET /events HTTP/1.0\r\n\r\n", 24);
    hear(&c, "doorpay events");
    dp_till_event(self.till, &e);
    hear(&c, "]}\n\n");
    for (const char *at = c.text; (at = strstr(at, "\"confirm\":")) != NULL; at++)
        n++;
    assert_int_equal(n, DP_EMV_OFFERS_MAX);
    hang_up(&c);
}

static void listeners_never_take_the_place_of_payments(void **state)
{
    static struct client c[3 * DP_TILL_CONNECTIONS_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        dial(&c[i]);
        tell(&c[i], "GET /events HTTP/1.0\r\n\r\n", 24);
        hear(&c[i], "doorpay events");
    }
    json_decref(ask(payment(EUR_23_50, "")));
    assert_int_equal(self.asked, 1);
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++)
        (void)close(c[i].fd);
}

static size_t open_descriptors(void)
{
    size_t n = 0;
    for (int fd = 0; fd < 4096; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

/* ... and the thousandth hangs up as politely as the first. */
static void thousand_connections_are_bounded(void **state)
{
    static int fds[1000];
    size_t before = open_descriptors(), most = 0;
    (void)state;
    for (int i = 0; i < 1000; i += 50) {
        static struct client c;
        for (int k = 0; k < 50; k++) {
            dial(&c);
            tell(&c, "POST /nexo/ HTTP/1.0\r\n", 22); /* and no more */
            fds[i + k] = c.fd;
        }
        for (int k = 0; k < 4; k++)
            turn();
        size_t ours = open_descriptors() - before - (size_t)i - 50;
        most = ours > most ? ours : most;
    }
    assert_true(most <= DP_TILL_CONNECTIONS_MAX);
    for (int i = 0; i < 1000; i++)
        (void)close(fds[i]);
    for (int i = 0; i < 20; i++)
        turn();
    json_decref(ask(payment(EUR_23_50, "")));
    assert_int_equal(self.asked, 1);
}

/* A program of another user: its HTTP status, in a child. */
static int status_for_uid(uid_t uid, const char *request)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        char text[128] = "";
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", self.path);
        if (setresuid(uid, uid, uid) != 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
            _exit(99);
        (void)send(fd, request, strlen(request), MSG_NOSIGNAL);
        if (recv(fd, text, sizeof text - 1, MSG_WAITALL) <= 12)
            _exit(98);
        _exit((int)strtol(text + 9, NULL, 10) - 200);
    }
    for (int i = 0; i < PATIENCE; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) + 200 : -1;
        turn();
    }
    return -1;
}

static void programs_of_other_users_are_refused(void **state)
{
    const uint32_t allowed[] = {65533};
    struct dp_till_config config = {.listen_fd = self.listen_fd,
                                    .allow_uids = allowed,
                                    .allow_uids_n = 1,
                                    .backend = {NULL, on_pay, on_reverse, on_status, on_abort,
                                                on_diagnose, on_totals, on_settle, on_forward,
                                                on_acknowledge}};
    char request[4096];
    const char *body = payment(EUR_23_50, "");
    (void)state;
    if (getuid() != 0)
        skip();
    assert_int_equal(chmod(self.path, 0666), 0);
    if (getenv("TMPDIR") != NULL) /* one of our own; /tmp is everybody's, and stays as it is */
        assert_int_equal(chmod(getenv("TMPDIR"), 0711), 0);
    (void)snprintf(request, sizeof request, "POST /nexo/ HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s",
                   strlen(body), body);
    dp_till_free(&self.till);
    assert_int_equal(dp_till_new(&config, &self.till), DP_OK);
    assert_int_equal(status_for_uid(65534, request), 403);
    assert_int_equal(self.asked, 0);
    assert_int_equal(status_for_uid(65534, "GET /events HTTP/1.0\r\n\r\n"), 403);
    assert_int_equal(status_for_uid(65533, request), 200);
    assert_int_equal(self.asked, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(payment_is_asked_and_answered),
        TEST(amount_in_the_answer_is_a_number_and_never_floats),
        TEST(declined_payment_says_why_in_words),
        TEST(what_is_no_payment_request_never_reaches_the_vault),
        TEST(malformed_json_is_answered_not_obeyed),
        TEST(unknown_category_and_version_are_refused),
        TEST(oversized_body_is_refused),
        TEST(chunked_body_is_read_whole),
        TEST(other_paths_and_methods_do_nothing),
        TEST(held_payment_can_be_aborted_and_is_answered_on_its_own_connection),
        TEST(client_that_hangs_up_leaves_no_trace),
        TEST(lost_vault_answers_unknown_never_paid),
        TEST(same_request_has_the_same_fingerprint_and_another_has_not),
        TEST(status_repeats_the_answer_by_either_id),
        TEST(reversal_is_asked_with_its_amount),
        TEST(login_diagnosis_totals_settlement_and_admin_answer),
        TEST(events_reach_a_listener_in_order),
        TEST(events_name_applications_and_speak_the_holders_language),
        TEST(event_with_all_applications_arrives_whole),
        TEST(messages_come_in_the_language_asked_for),
        TEST(customers_choice_reaches_the_vault),
        TEST(listeners_never_take_the_place_of_payments),
        TEST(thousand_connections_are_bounded),
        TEST(programs_of_other_users_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
