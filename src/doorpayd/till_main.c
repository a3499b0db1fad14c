/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorpayd-till: the app's connections and their JSON. It has no key of the terminal, no card data
 * and no network; what it learns of a payment is what the vault says.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <doorpay/till.h>

#include "base/log.h"
#include "channel.h"
#include "dp_config.h"
#include "process.h"

#define UIDS_MAX         8
#define LOST_PATIENCE_MS 500 /* to hand out "unknown, ask status" after the vault is gone */

struct till_process {
    struct dp_channel vault;
    struct dp_till *till;
};

static int ask(struct till_process *t, enum dp_msg_type type, const void *body)
{
    return dp_channel_send(&t->vault, type, body);
}

static int on_pay(void *ctx, uint64_t request, const struct dp_pay_request *pay)
{
    struct dp_msg_pay m;
    memset(&m, 0, sizeof m);
    m.request = request;
    m.pay = *pay;
    return ask(ctx, DP_MSG_PAY, &m);
}

static int on_reverse(void *ctx, uint64_t request, const struct dp_reverse_request *reverse)
{
    struct dp_msg_reverse m;
    memset(&m, 0, sizeof m);
    m.request = request;
    m.reverse = *reverse;
    return ask(ctx, DP_MSG_REVERSE, &m);
}

static int on_status(void *ctx, uint64_t request, const struct dp_status_query *query)
{
    struct dp_msg_status m;
    memset(&m, 0, sizeof m);
    m.request = request;
    m.query = *query;
    return ask(ctx, DP_MSG_STATUS, &m);
}

static int on_abort(void *ctx, const char *sale_id, const char *service_id)
{
    struct dp_msg_abort m;
    memset(&m, 0, sizeof m);
    (void)snprintf(m.sale_id, sizeof m.sale_id, "%s", sale_id);
    (void)snprintf(m.service_id, sizeof m.service_id, "%s", service_id);
    return ask(ctx, DP_MSG_ABORT, &m);
}

static int ask_plain(void *ctx, enum dp_msg_type type, uint64_t request)
{
    struct dp_msg_request m = {request};
    return ask(ctx, type, &m);
}

static int on_diagnose(void *ctx, uint64_t request)
{
    return ask_plain(ctx, DP_MSG_DIAGNOSE, request);
}

static int on_totals(void *ctx, uint64_t request)
{
    return ask_plain(ctx, DP_MSG_TOTALS, request);
}

static int on_settle(void *ctx, uint64_t request)
{
    return ask_plain(ctx, DP_MSG_SETTLE, request);
}

static int on_forward(void *ctx, uint64_t request, enum dp_forward_command command)
{
    struct dp_msg_forward m;
    memset(&m, 0, sizeof m);
    m.request = request;
    m.command = command;
    return ask(ctx, DP_MSG_FORWARD, &m);
}

static int on_acknowledge(void *ctx, uint64_t request, const uint8_t *ack, size_t n)
{
    struct dp_msg_acknowledge m;
    memset(&m, 0, sizeof m);
    m.request = request;
    m.n = (uint32_t)n;
    memcpy(m.bytes, ack, n);
    return ask(ctx, DP_MSG_ACKNOWLEDGE, &m);
}

static void take(struct till_process *t, enum dp_msg_type type, const union dp_msg_body *body)
{
    switch (type) {
    case DP_MSG_RESULT:
        dp_till_result(t->till, body->result.request, &body->result.result);
        break;
    case DP_MSG_DIAGNOSIS:
        dp_till_diagnosis(t->till, body->diagnosis.request, &body->diagnosis.diagnosis);
        break;
    case DP_MSG_TOTALS_ANSWER:
        dp_till_totals_answer(t->till, body->totals.request, &body->totals.totals);
        break;
    case DP_MSG_SETTLED:
        dp_till_settled(t->till, body->settled.request, &body->settled.result);
        break;
    case DP_MSG_ACKNOWLEDGED:
        dp_till_acknowledged(t->till, body->acknowledged.request, &body->acknowledged.result);
        break;
    default:
        dp_till_event(t->till, &body->event);
        break;
    }
}

/* Everything the vault has said; false when it is gone. */
static bool drain(struct till_process *t)
{
    static union dp_msg_body body;
    enum dp_msg_type type = DP_MSG_NONE;
    for (;;) {
        int err = dp_channel_receive(&t->vault, 0, &type, &body, NULL);
        if (err == DP_ERR_TIMEOUT)
            return true;
        if (err < 0)
            return false;
        take(t, type, &body);
    }
}

static void hand_out_lost(struct till_process *t)
{
    const struct dp_clock *clock = dp_clock_system();
    int64_t deadline = clock->mono_ms(clock->ctx) + LOST_PATIENCE_MS;
    dp_till_lost(t->till);
    while (!dp_till_idle(t->till) && clock->mono_ms(clock->ctx) < deadline) {
        struct pollfd p = {dp_till_fd(t->till), POLLIN, 0};
        (void)poll(&p, 1, 20);
        dp_till_run(t->till);
    }
}

static size_t allowed(int argc, char **argv, uint32_t *uids)
{
    size_t n = 0;
    for (int i = 1; i < argc && n < UIDS_MAX; i++)
        if (strncmp(argv[i], "--allow-uid=", 12) == 0)
            uids[n++] = (uint32_t)strtoul(argv[i] + 12, NULL, 10);
    return n;
}

int main(int argc, char **argv)
{
    static struct till_process t;
    uint32_t uids[UIDS_MAX] = {0};
    struct dp_till_config config = {
        .listen_fd = DP_FD_LISTEN,
        .allow_uids = uids,
        .allow_uids_n = allowed(argc, argv, uids),
        .backend = {&t, on_pay, on_reverse, on_status, on_abort, on_diagnose, on_totals, on_settle,
                    on_forward, on_acknowledge},
        .software_version = DP_VERSION,
    };
    const char *language = dp_process_option(argc, argv, "language");
    if (language != NULL && language[0] != '\0' &&
        dp_language_parse(language, &config.language) < 0)
        return 1; /* the configuration was checked before */
    dp_process_harden("doorpayd-till");
    if (!dp_process_started())
        return 2;
    dp_channel_init(&t.vault, DP_FD_CHANNEL, DP_ROLE_TILL, DP_ROLE_VAULT);
    int term = dp_process_term_fd();
    if (term < 0 || dp_till_new(&config, &t.till) < 0)
        return 1;
    for (;;) {
        struct pollfd fds[3] = {
            {t.vault.fd, POLLIN, 0}, {dp_till_fd(t.till), POLLIN, 0}, {term, POLLIN, 0}};
        (void)poll(fds, 3, dp_till_timeout_ms(t.till));
        if ((fds[2].revents & POLLIN) != 0)
            break;
        if ((fds[0].revents & (POLLIN | POLLHUP)) != 0 && !drain(&t)) {
            hand_out_lost(&t);
            break;
        }
        dp_till_run(t.till);
    }
    dp_till_free(&t.till);
    return 0;
}
