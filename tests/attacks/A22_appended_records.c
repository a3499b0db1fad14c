/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A22: somebody who may write the device's files appends records behind its end while it is off,
 * the chain, the totals and the check sums right: the end of a batch, so that what may be sold
 * without a link begins anew; the answer to a reversal, so that it is never sent; with a checkpoint
 * over them, and without. What he has not is the token: nothing of it is believed at the next
 * start, nothing of it is signed, and what was there before goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/journal/forge.h"
#include "tests/payment/world.h"

#define COUNT_MAX 3 /* payments without a link */

static struct world w;
static struct forge f;

static int make(void **state)
{
    (void)state;
    world_make(&w);
    w.params->offline.round_count_max = COUNT_MAX;
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

static enum dp_pay_state pays(uint64_t request)
{
    char service[8];
    (void)snprintf(service, sizeof service, "S%u", (unsigned)request);
    w.card_hash[0]++;
    world_pay(&w, request, service, 1000);
    if (world_answers(&w, request) == 0)
        world_tap_offline(&w);
    return world_result(&w, request)->state;
}

/* Behind the end, in a batch of its own or the same. */
static void append(struct dp_record *r, bool starts_batch)
{
    static struct forge_part part;
    static struct dp_record like;
    like = *forge_edit(&f, forge_find(&f, DP_RECORD_OUTCOME, 0));
    memcpy(r->journal, like.journal, sizeof r->journal);
    memcpy(r->boot, like.boot, sizeof r->boot);
    r->wall_ms = like.wall_ms + 1;
    memset(&part, 0, sizeof part);
    assert_int_equal(dp_record_encode(r, part.payload, sizeof part.payload, &part.n), DP_OK);
    part.starts_batch = starts_batch;
    forge_insert(&f, f.n, &part);
}

static void append_settled(uint32_t batch, bool starts_batch)
{
    static struct dp_record r;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_SETTLED;
    r.batch = batch;
    memcpy(r.action_code, "500", 4);
    memcpy(r.settled.verdict, "500", 4);
    append(&r, starts_batch);
}

static void append_forwarded(const struct dp_record *message, uint64_t result, bool starts_batch)
{
    static struct dp_record r;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_FORWARDED;
    r.has_tx = r.has_totals = true;
    memcpy(r.tx, message->tx, sizeof r.tx);
    r.stan = message->stan;
    r.mti = message->mti;
    r.result = (uint8_t)result;
    memcpy(r.action_code, "000", 4);
    append(&r, starts_batch);
}

static void append_checkpoint(void)
{
    f.parts[f.n] = f.parts[forge_find(&f, DP_RECORD_CHECKPOINT, 1)];
    f.parts[f.n++].starts_batch = false;
}

static void takes_in_hand(void)
{
    dp_payment_free(&w.p);
    forge_load(&f, &w.mem);
}

static void puts_back(void)
{
    forge_rechain(&f);
    forge_rebind(&f);
    forge_store(&f, &w.mem);
    world_open(&w);
}

static void nothing_was_believed(void)
{
    struct books b;
    world_books(&w, &b);
    assert_true(b.fresh);
    assert_int_equal(b.settled, 0);
    assert_int_equal(b.forwarded, 0);
}

static uint64_t left(void)
{
    struct dp_diagnosis d;
    dp_payment_diagnose(w.p, &d);
    return d.headroom.offline_count;
}

/* form: 0 each in a batch of its own, 1 one batch, 2 one batch with a checkpoint, 3 in the last
 * batch, behind its signature. No crash leaves the first and the last. */
static void headroom_is_not_renewed(void **state)
{
    (void)state;
    for (unsigned form = 0; form < 4; form++) {
        struct dp_record o;
        if (form > 0) {
            (void)unmake(state);
            (void)make(state);
        }
        for (uint64_t n = 1; n <= COUNT_MAX; n++)
            assert_int_equal(pays(n), DP_PAY_APPROVED);
        assert_int_equal(left(), 0);
        takes_in_hand();
        o = *forge_edit(&f, forge_find(&f, DP_RECORD_OUTCOME, 0));
        append_forwarded(&o, 1, form < 3);
        append_settled(o.batch, form == 0);
        if (form == 2)
            append_checkpoint();
        forge_rechain(&f);
        forge_rebind(&f);
        forge_store(&f, &w.mem);
        if (form == 0 || form == 3) {
            struct dp_diagnosis d;
            world_open(&w);
            dp_payment_diagnose(w.p, &d);
            assert_false(d.journal_ok);
            world_pay(&w, 20, "S20", 1000);
            assert_int_equal(world_result(&w, 20)->state, DP_PAY_REFUSED);
            continue;
        }
        world_open(&w);
        assert_int_equal(left(), 0);
        assert_int_not_equal(pays(10), DP_PAY_APPROVED);
        nothing_was_believed();
    }
}

static void a_reversal_is_sent_all_the_same(void **state)
{
    struct dp_record reversal;
    (void)state;
    dp_payment_link_up(w.p, true);
    assert_true(world_answer(&w, 800));
    world_pay(&w, 1, "S1", 1000);
    world_seen(&w);
    world_wants_online(&w);
    dp_payment_link_up(w.p, false); /* no answer: taken back */
    w.sent_n = 0;
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    takes_in_hand();
    reversal = *forge_edit(&f, forge_find(&f, DP_RECORD_REVERSAL, 0));
    append_forwarded(&reversal, 3, true);
    puts_back();
    nothing_was_believed();
    dp_payment_link_up(w.p, true);
    assert_true(world_answer(&w, 800));
    (void)dp_payment_tick(w.p);
    assert_in_range(world_mti(&w), 1420, 1421);
}

static void append_void(const struct dp_record *sale, const char *service)
{
    static struct dp_record r;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_VOID;
    r.has_tx = r.has_original_tx = r.has_amount = r.has_totals = r.has_fingerprint = true;
    memcpy(r.tx, sale->tx, sizeof r.tx);
    memcpy(r.original_tx, sale->tx, sizeof r.tx);
    r.amount = sale->amount;
    memcpy(r.sale_id, sale->sale_id, sizeof r.sale_id);
    (void)snprintf(r.service_id, sizeof r.service_id, "%s", service);
    append(&r, true);
}

/* The advice may be on its way: what is called off then would be paid all the same. */
static void an_offline_payment_is_not_called_off(void **state)
{
    struct dp_record o;
    (void)state;
    assert_int_equal(pays(1), DP_PAY_APPROVED);
    takes_in_hand();
    o = *forge_edit(&f, forge_find(&f, DP_RECORD_OUTCOME, 0));
    append_void(&o, "S9");
    puts_back();
    nothing_was_believed();
    assert_false(world_status(&w, "S1").reversed);
    dp_payment_link_up(w.p, true);
    world_forward_all(&w, 0);
    assert_int_equal(world_status(&w, "S1").forward, DP_FORWARD_ACCEPTED);
}

/* What he may call off, as a device without its key may: it is said to be so, whatever names he
 * leaves out; and the name he gives it answers no payment. */
static void a_deferred_payment_called_off_is_seen(void **state)
{
    (void)state;
    for (unsigned named = 0; named < 2; named++) {
        struct dp_record o;
        struct dp_pay_request q;
        if (named > 0) {
            (void)unmake(state);
            (void)make(state);
        }
        world_pay(&w, 1, "S1", 1000);
        world_tap_deferred(&w);
        takes_in_hand();
        o = *forge_edit(&f, forge_find(&f, DP_RECORD_OUTCOME, 0));
        append_void(&o, named > 0 ? "S9" : "");
        if (named > 0) {
            q = world_request("S9", 50000);
            memcpy(forge_edit(&f, f.n - 1)->fingerprint, q.fingerprint, sizeof q.fingerprint);
            forge_put(&f, f.n - 1);
        }
        puts_back();
        assert_true(world_status(&w, "S1").reversed);
        dp_payment_link_up(w.p, true);
        world_forward_all(&w, 0);
        assert_true(world_status(&w, "S1").reversed);
        if (named == 0)
            continue;
        world_pay(&w, 2, "S9", 50000);
        assert_int_equal(world_result(&w, 2)->state, DP_PAY_REFUSED);
        assert_int_equal(world_result(&w, 2)->reason, DP_REASON_SERVICE_ID_REUSED);
    }
}

static uint64_t signed_records(void)
{
    struct dp_store store = memstore_store(&w.mem);
    struct dp_verify_result v;
    assert_int_equal(dp_journal_verify(&store, NULL, NULL, NULL, &v), DP_OK);
    return v.signed_size + 1;
}

static uint64_t signatures(void)
{
    uint64_t n = 0;
    for (int i = 0; i < f.n; i++)
        n += f.parts[i].signature;
    return n;
}

/* The same names under another transaction: an honest device gives the old answer. */
static void an_answer_is_not_changed(void **state)
{
    static struct dp_record r;
    (void)state;
    assert_int_equal(pays(1), DP_PAY_APPROVED);
    takes_in_hand();
    r = *forge_edit(&f, forge_find(&f, DP_RECORD_INTENT, 0));
    r.tx[0] ^= 1;
    append(&r, true);
    puts_back();
    for (unsigned start = 0; start < 2; start++) {
        struct dp_diagnosis d;
        dp_payment_diagnose(w.p, &d);
        assert_false(d.journal_ok);
        assert_int_not_equal(world_status(&w, "S1").state, DP_PAY_DECLINED);
        world_pay(&w, 2 + start, "S5", 1000);
        assert_int_equal(world_result(&w, 2 + start)->state, DP_PAY_REFUSED);
        dp_payment_free(&w.p);
        assert_int_equal(signed_records(), f.n - signatures()); /* but for the one that he added */
        world_open(&w);
    }
}

/* One of these in 2100 would end every authorisation that has its time, and every sale offline. */
static void the_clock_is_not_set(void **state)
{
    static struct dp_record r;
    (void)state;
    assert_int_equal(pays(1), DP_PAY_APPROVED);
    takes_in_hand();
    r = *forge_edit(&f, forge_find(&f, DP_RECORD_INTENT, 0));
    r.tx[0] ^= 1;
    memcpy(r.service_id, "S7", 3);
    append(&r, true);
    forge_edit(&f, f.n - 1)->wall_ms = 4102444800000u;
    forge_put(&f, f.n - 1);
    puts_back();
    assert_int_equal(pays(2), DP_PAY_APPROVED);
}

/* One payment is at the door, not as many as he likes. */
static void many_payments_are_not_begun(void **state)
{
    static struct dp_record r;
    struct books b;
    (void)state;
    assert_int_equal(pays(1), DP_PAY_APPROVED);
    takes_in_hand();
    for (uint8_t i = 1; i < 3; i++) {
        r = *forge_edit(&f, forge_find(&f, DP_RECORD_INTENT, 0));
        r.tx[0] ^= i;
        (void)snprintf(r.service_id, sizeof r.service_id, "T%u", i);
        append(&r, true);
    }
    puts_back();
    world_books(&w, &b);
    assert_int_equal(b.intents, 2);
}

/* What he may add: a payment that was begun. It is declined. */
static void a_payment_that_was_never_begun_is_declined(void **state)
{
    static struct dp_record r;
    struct books b;
    (void)state;
    assert_int_equal(pays(1), DP_PAY_APPROVED);
    takes_in_hand();
    r = *forge_edit(&f, forge_find(&f, DP_RECORD_INTENT, 0));
    r.tx[0] ^= 1;
    memcpy(r.service_id, "S7", 3);
    append(&r, true);
    puts_back();
    assert_int_equal(world_status(&w, "S7").state, DP_PAY_DECLINED);
    world_books(&w, &b);
    assert_true(b.fresh);
    assert_int_equal(b.intents_open, 0);
    assert_int_equal(b.approved_amount, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, make, unmake)
        T(headroom_is_not_renewed),
        T(a_reversal_is_sent_all_the_same),
        T(an_offline_payment_is_not_called_off),
        T(a_deferred_payment_called_off_is_seen),
        T(an_answer_is_not_changed),
        T(the_clock_is_not_set),
        T(many_payments_are_not_begun),
        T(a_payment_that_was_never_begun_is_declined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
