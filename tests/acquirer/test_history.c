/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories over a network that loses messages both ways, with restarts at any step. A state
 * rebuilt from the records equals the one that lived through them; and when all is forwarded, what
 * the host captured and took back is what the records say, to the unit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "acquirer/state.h"
#include "tests/acquirer/world.h"

#define PAYMENTS  60
#define STEPS     400
#define HISTORIES 40

static struct world w;
static uint32_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

/* ---- the host's books ---- */

struct booked {
    uint32_t stan;
    char de12[13];
    int64_t amount;
    bool captured, counted, back;
};

static struct host {
    struct booked sale[4 * STEPS];
    size_t n;
    uint64_t sales_n, sales_amount, reversals_n, reversals_amount;
} host;

static struct booked *book(uint32_t stan, const char *de12, bool make)
{
    for (size_t i = 0; i < host.n; i++)
        if (host.sale[i].stan == stan && strcmp(host.sale[i].de12, de12) == 0)
            return &host.sale[i];
    if (!make)
        return NULL;
    assert_true(host.n < sizeof host.sale / sizeof host.sale[0]);
    host.sale[host.n].stan = stan;
    (void)snprintf(host.sale[host.n].de12, sizeof host.sale[host.n].de12, "%s", de12);
    return &host.sale[host.n++];
}

static unsigned host_sale(const struct dp_iso8583_message *m, bool captures, bool declines)
{
    uint64_t stan = 0, amount = 0;
    char de12[13];
    struct booked *b;
    assert_true(dp_iso8583_get_number(m, 11, &stan) && dp_iso8583_get_number(m, 4, &amount));
    assert_true(dp_iso8583_get_text(m, 12, de12, sizeof de12));
    b = book((uint32_t)stan, de12, true);
    assert_false(b->back); /* nothing may come after its own reversal */
    if (declines || b->captured || !captures)
        return declines ? 100 : 0;
    b->amount = (int64_t)amount;
    b->captured = true;
    host.sales_n++;
    host.sales_amount += amount;
    return 0;
}

static unsigned host_reversal(const struct dp_iso8583_message *m)
{
    struct dp_iso8583_original o;
    struct booked *b;
    uint64_t reason = 0;
    assert_int_equal(dp_iso8583_get_original(m, &o), DP_OK);
    assert_true(dp_iso8583_get_number(m, 25, &reason));
    b = book(o.stan, o.de12, true);
    if (b->back)
        return 400;
    b->back = true;
    if (!b->captured)
        return 400;
    b->captured = false;
    if (reason == 4000) {
        host.reversals_n++;
        host.reversals_amount += (uint64_t)b->amount;
    } else {
        host.sales_n--; /* taken back before the terminal knew it: in neither column */
        host.sales_amount -= (uint64_t)b->amount;
    }
    return 400;
}

/* What the host makes of w.sent; its answer into p, or nothing when a message is lost. */
static size_t transmit(unsigned loss_percent, uint8_t *p)
{
    static struct dp_iso8583_message m;
    unsigned action;
    if (draw(100) < loss_percent)
        return 0;
    world_decode(w.sent, w.sent_n, &m);
    if (m.mti / 10 == 142)
        action = host_reversal(&m);
    else
        action = host_sale(&m, m.mti != 1100, m.mti < 1220 && draw(5) == 0);
    if (draw(100) < loss_percent)
        return 0;
    return host_reply(&w, w.sent, w.sent_n, action, p);
}

/* ---- the payment's side ---- */

static struct sale {
    int64_t amount;
    bool used, cancelled, is_void;
} sales[PAYMENTS];

static void new_online(unsigned i, unsigned loss)
{
    struct dp_acquirer_answer answer;
    uint8_t p[DP_ISO8583_MESSAGE_MAX];
    size_t n, masked_n;
    uint32_t stan = world_online(&w, i, sales[i].amount);
    n = transmit(loss, p);
    if (n > 0) {
        assert_int_equal(dp_acquirer_take(w.a, p, n, &answer, w.masked, &masked_n), DP_OK);
        assert_int_equal(answer.kind, DP_ACQUIRER_ONLINE);
    }
    if (n > 0 && (!answer.approved || draw(10) > 0)) {
        world_outcome(&w, i, sales[i].amount, stan, answer.approved);
        return;
    }
    (void)world_reverse(&w, i, stan, n > 0 ? 4350 : 4021);
    if (draw(2) == 0)
        world_deferred(&w, i, sales[i].amount);
    else
        world_outcome(&w, i, sales[i].amount, 0, false);
}

static void new_sale(unsigned loss)
{
    unsigned i = draw(PAYMENTS);
    if (sales[i].used)
        return;
    sales[i].used = true;
    sales[i].amount = 1 + draw(5000);
    switch (draw(3)) {
    case 0:
        new_online(i, loss);
        break;
    case 1:
        (void)world_offline(&w, i, sales[i].amount);
        break;
    default:
        world_deferred(&w, i, sales[i].amount);
        break;
    }
}

static void forward(unsigned loss)
{
    struct dp_acquirer_answer answer;
    struct dp_acquirer_job job;
    uint8_t p[DP_ISO8583_MESSAGE_MAX];
    size_t n;
    if (draw(3) == 0)
        dp_acquirer_kick(w.a);
    if (world_forward(&w, w.wall_ms, &job) == DP_ACQUIRER_JOB_NONE)
        return;
    n = transmit(loss, p);
    if (n > 0) {
        assert_int_not_equal(world_answer(&w, p, n, &answer), DP_ACQUIRER_NO_ANSWER);
        assert_int_equal(world_answer(&w, p, n, &answer), DP_ACQUIRER_NO_ANSWER); /* twice */
        return;
    }
    if (job.kind == DP_ACQUIRER_JOB_DEFERRED) {
        struct dp_record r;
        world_record(&w, DP_RECORD_REVERSAL, 0, 1, &r);
        assert_int_equal(dp_acquirer_fill_reversal(w.a, job.record.tx, job.record.stan, 4021, &r),
                         DP_OK);
        world_see(&w, &r);
    }
    dp_acquirer_failed(w.a, &job, w.wall_ms);
}

static void cancel(void)
{
    unsigned i = draw(PAYMENTS);
    struct dp_record r;
    uint32_t stan;
    uint8_t tx[16];
    if (!sales[i].used || sales[i].cancelled)
        return;
    world_tx(i, tx);
    if (dp_acquirer_is_unsent(w.a, tx)) {
        world_record(&w, DP_RECORD_VOID, i, sales[i].amount, &r);
        memcpy(r.original_tx, r.tx, 16);
        r.has_original_tx = true;
        world_see(&w, &r);
        sales[i].is_void = true;
    } else {
        stan = dp_acquirer_captured_stan(w.a, tx);
        if (stan == 0)
            return;
        (void)world_reverse(&w, i, stan, 4000);
    }
    sales[i].cancelled = true;
}

static void same(const struct dp_acquirer *again)
{
    assert_int_equal(again->n, w.a->n);
    for (uint32_t i = 0; i < again->n; i++)
        assert_memory_equal(&again->messages[i], &w.a->messages[i], offsetof(struct message, live));
    assert_memory_equal(&again->batch, &w.a->batch, sizeof again->batch);
    assert_int_equal(again->stan, w.a->stan);
    for (unsigned i = 0; i < PAYMENTS; i++) {
        uint8_t tx[16];
        world_tx(i, tx);
        /* a restart may forget that something was never sent, and nothing else */
        if (dp_acquirer_is_unsent(again, tx))
            assert_true(dp_acquirer_is_unsent(w.a, tx));
        if (dp_acquirer_captured_stan(w.a, tx) != 0)
            assert_int_equal(dp_acquirer_captured_stan(again, tx),
                             dp_acquirer_captured_stan(w.a, tx));
    }
}

static void restart_or_compare(void)
{
    struct dp_acquirer *again = world_rebuild(&w);
    same(again);
    if (draw(4) > 0) {
        dp_acquirer_free(&again);
        return;
    }
    dp_acquirer_free(&w.a);
    w.a = again;
}

static void step(unsigned loss)
{
    w.wall_ms += 1000;
    w.drawn = draw(UINT32_MAX);
    switch (draw(6)) {
    case 0:
    case 1:
        new_sale(loss);
        break;
    case 2:
    case 3:
        forward(loss);
        break;
    case 4:
        cancel();
        break;
    default:
        restart_or_compare();
        break;
    }
}

/* Everything is sent and answered at last; what the host holds is what the records say. */
static void drain_and_compare(void)
{
    struct dp_acquirer_unsent u;
    struct dp_acquirer_batch b;
    for (int i = 0; i < 10 * STEPS; i++) {
        dp_acquirer_unsent(w.a, &u);
        if (u.n == 0)
            break;
        dp_acquirer_kick(w.a);
        forward(0);
    }
    assert_int_equal(u.n, 0);
    dp_acquirer_batch(w.a, &b);
    assert_int_equal(b.sales_n, host.sales_n);
    assert_int_equal(b.sales_amount, host.sales_amount);
    assert_int_equal(b.reversals_n, host.reversals_n);
    assert_int_equal(b.reversals_amount, host.reversals_amount);
    for (unsigned i = 0; i < PAYMENTS; i++) {
        uint8_t tx[16];
        uint32_t stan;
        world_tx(i, tx);
        stan = dp_acquirer_captured_stan(w.a, tx);
        assert_true(stan == 0 || !sales[i].cancelled);
        size_t held = 0;
        for (const struct message *m = NULL; (m = next_of_tx_const(w.a, tx, m)) != NULL;) {
            const struct booked *h = book(m->stan, m->de12, false);
            bool sale = m->kind == MESSAGE_REQUEST ||
                        (m->kind == MESSAGE_ADVICE && m->mode == DP_MODE_OFFLINE);
            held += sale && h != NULL && h->captured ? 1 : 0;
        }
        assert_int_equal(held, stan != 0 ? 1 : 0); /* nothing twice, nothing lost */
    }
}

static void run(bool dual, unsigned loss)
{
    for (uint32_t i = 0; i < HISTORIES; i++) {
        memset(&w, 0, sizeof w);
        memset(&host, 0, sizeof host);
        memset(sales, 0, sizeof sales);
        seed = i * 7919 + loss;
        w.dual = dual;
        world_begin(&w);
        for (int s = 0; s < STEPS; s++)
            step(loss);
        drain_and_compare();
        restart_or_compare();
        world_end(&w);
    }
}

static void over_a_good_line(void **state)
{
    run(false, 0);
}

static void over_a_line_that_loses_a_third(void **state)
{
    run(false, 33);
}

static void in_dual_message_over_a_line_that_loses_a_third(void **state)
{
    run(true, 33);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_a_good_line),
        cmocka_unit_test(over_a_line_that_loses_a_third),
        cmocka_unit_test(in_dual_message_over_a_line_that_loses_a_third),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
