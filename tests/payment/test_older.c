/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payments that have left the index are still known; and a start from the journal's snapshot knows
 * what a start that reads every record knows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "payment/machine.h"
#include "world.h"

#define AT_HAND 8
#define MANY    60

static struct index x;
static struct round r;

static void name(struct dp_record *d, enum dp_record_type type, uint32_t i)
{
    memset(d, 0, sizeof *d);
    d->type = type;
    memcpy(d->tx, &i, sizeof i);
    d->tx[15] = 1;
    d->amount = (struct dp_money){100 + i, 978, 2};
    (void)snprintf(d->sale_id, sizeof d->sale_id, "SALE");
    (void)snprintf(d->service_id, sizeof d->service_id, "S%u", i);
    (void)snprintf(d->sale_tx, sizeof d->sale_tx, "T%u", i);
    (void)snprintf(d->parcel, sizeof d->parcel, "P%u", i / 2);
    d->wall_ms = 1790000000000 + i;
}

static void pay(uint32_t i)
{
    struct dp_record d;
    name(&d, DP_RECORD_INTENT, i);
    index_see(&x, &r, &d);
    d.type = DP_RECORD_OUTCOME;
    d.mode = i % 4 == 3 ? DP_MODE_DECLINED : DP_MODE_ONLINE;
    d.stan = i + 1;
    d.has_card_hash = true;
    d.card_hash[0] = (uint8_t)(i % 5);
    index_see(&x, &r, &d);
}

static int make(void **state)
{
    (void)state;
    memset(&x, 0, sizeof x);
    assert_int_equal(index_new(&x, AT_HAND), DP_OK);
    memset(&r, 0, sizeof r);
    for (uint32_t i = 0; i < MANY; i++)
        pay(i);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    index_free(&x);
    return 0;
}

static void each_is_found_by_each_of_its_names(void **state)
{
    struct dp_record d;
    char parcel[8];
    (void)state;
    assert_true(x.older.n > AT_HAND);
    for (uint32_t i = 0; i < MANY; i++) {
        const struct entry *e;
        name(&d, DP_RECORD_INTENT, i);
        assert_int_equal(index_is_paid(&x, "SALE", d.sale_tx), i % 4 != 3);
        e = index_by_tx(&x, d.tx);
        assert_non_null(e);
        assert_int_equal(e->amount.minor, 100 + i);
        assert_string_equal(e->service_id, d.service_id);
        e = index_by_service(&x, "SALE", d.service_id);
        assert_non_null(e);
        assert_memory_equal(e->tx, d.tx, sizeof e->tx);
        assert_int_equal(e->wall_ms, d.wall_ms);
    }
    for (uint32_t i = 0; i < MANY / 2; i++) {
        const struct entry *e;
        (void)snprintf(parcel, sizeof parcel, "P%u", i);
        e = index_by_parcel(&x, parcel);
        assert_non_null(e);
        /* the paid one; of two the later one */
        assert_int_equal(e->amount.minor, 100 + 2 * i + (i % 2 == 0 ? 1 : 0));
    }
    assert_null(index_by_service(&x, "SALE", "S60"));
    assert_null(index_by_service(&x, "ANOTHER", "S3"));
    assert_false(index_is_paid(&x, "SALE", "T61"));
}

static void packed(const struct entry *e, uint8_t out[ENTRY_BYTES_MAX])
{
    struct dp_writer writer;
    memset(out, 0, ENTRY_BYTES_MAX);
    dp_writer_init(&writer, out, ENTRY_BYTES_MAX);
    entry_write(&writer, e);
    assert_int_equal(writer.err, DP_OK);
}

/* What comes back to be read goes out again as it was. */
static void nothing_is_changed_by_looking(void **state)
{
    struct dp_record d;
    static struct entry before[MANY];
    uint8_t bytes[ENTRY_BYTES_MAX], as_before[ENTRY_BYTES_MAX];
    (void)state;
    for (int round = 0; round < 3; round++)
        for (uint32_t i = 0; i < MANY; i++) {
            struct entry *e;
            name(&d, DP_RECORD_INTENT, i);
            e = index_by_tx(&x, d.tx);
            assert_non_null(e);
            if (round == 0)
                before[i] = *e;
            packed(e, bytes);
            packed(&before[i], as_before);
            assert_memory_equal(bytes, as_before, sizeof bytes);
        }
}

/* As if so many had been looked for that their old places fill the space. */
static void looking_makes_none_forgotten(void **state)
{
    struct dp_record d;
    (void)state;
    x.older.used = DP_PAYMENT_OLDER_BYTES - 1;
    for (uint32_t i = 0; i < MANY; i++) {
        name(&d, DP_RECORD_INTENT, i);
        assert_non_null(index_by_tx(&x, d.tx));
    }
    each_is_found_by_each_of_its_names(state);
}

/* Only an INTENT that has no end, and stands where it is asked for, under a name that another has.
 */
static void a_service_id_that_has_an_answer_begins_no_other(void **state)
{
    static const uint32_t of[] = {0, MANY - 1, MANY + 7}; /* long ago, at hand, nobody's */
    struct dp_record d;
    for (unsigned i = 0; i < 3; i++) {
        unmake(state);
        make(state);
        name(&d, DP_RECORD_INTENT, of[i]);
        d.tx[15] = 2;
        d.seq = 1000;
        index_see(&x, &r, &d);
        assert_int_equal(index_is_begun_twice(&x, 1000), i < 2);
        assert_false(index_is_begun_twice(&x, 1001));
        d.type = DP_RECORD_OUTCOME;
        d.mode = DP_MODE_DECLINED;
        index_see(&x, &r, &d);
        assert_false(index_is_begun_twice(&x, 1000));
    }
}

static void an_older_sale_is_reversed(void **state)
{
    struct dp_record d;
    const struct entry *e;
    (void)state;
    name(&d, DP_RECORD_REVERSAL, 1);
    memcpy(d.original_tx, d.tx, sizeof d.tx);
    d.has_original_tx = true;
    d.original.stan = 2;
    d.stan = 900;
    (void)snprintf(d.service_id, sizeof d.service_id, "R1");
    index_see(&x, &r, &d);
    assert_false(index_is_paid(&x, "SALE", "T1"));
    e = index_by_tx(&x, d.tx);
    assert_non_null(e);
    assert_true(e->reversed && !e->is_reversal);
    e = index_by_service(&x, "SALE", "R1");
    assert_non_null(e);
    assert_true(e->is_reversal);
    assert_int_equal(e->amount.minor, 101);
    for (uint32_t i = MANY; i < 2 * MANY; i++)
        pay(i);
    assert_false(index_is_paid(&x, "SALE", "T1"));
    e = index_by_service(&x, "SALE", "R1"); /* unanswered, it has stayed */
    assert_true(e != NULL && e->forward == DP_FORWARD_PENDING);
}

static void what_is_pending_stays_at_hand(void **state)
{
    struct dp_record d;
    bool found = false;
    (void)state;
    name(&d, DP_RECORD_INTENT, 500);
    index_see(&x, &r, &d);
    for (uint32_t i = MANY; i < 2 * MANY; i++)
        pay(i);
    for (uint32_t i = 0; i < x.n; i++)
        found = found || x.entries[i].amount.minor == 600;
    assert_true(found);
}

static void only_the_oldest_are_forgotten_in_the_end(void **state)
{
    uint32_t all = 0;
    struct dp_record d;
    (void)state;
    for (uint32_t i = MANY; i < DP_PAYMENT_OLDER_MAX + 100; i++)
        pay(i);
    for (uint32_t i = 0; i < x.older.n; i++)
        all += x.older.keys[i].n;
    assert_true(all <= DP_PAYMENT_OLDER_BYTES);
    name(&d, DP_RECORD_INTENT, 1);
    assert_null(index_by_tx(&x, d.tx));
    name(&d, DP_RECORD_INTENT, DP_PAYMENT_OLDER_MAX / 2);
    assert_non_null(index_by_tx(&x, d.tx));
}

/* ---- a start from a snapshot ---- */

static struct world w;

static void a_day(void)
{
    world_pay(&w, 1, "A1", 1250);
    world_tap_offline(&w);
    dp_payment_link_up(w.p, true);
    world_pay(&w, 2, "A2", 2000);
    world_seen(&w);
    world_wants_online(&w);
    assert_true(world_answer(&w, 0));
    world_ended(&w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    world_forward_all(&w, 0);
    dp_payment_link_up(w.p, false);
}

static size_t state_of(uint8_t **out)
{
    size_t n = 0, max = payment_state_ops.bytes_max(w.p);
    *out = calloc(1, max);
    assert_non_null(*out);
    assert_int_equal(payment_state_ops.save(w.p, *out, max, &n), DP_OK);
    return n;
}

static void forget_snapshots(void)
{
    for (int i = 1; i < w.mem.nodes_n; i++)
        if (strncmp(w.mem.nodes[i].name, "snapshot-", 9) == 0)
            w.mem.nodes[i].here = false;
}

static void a_start_from_a_snapshot_knows_what_reading_everything_says(void **state)
{
    uint8_t *resumed, *whole;
    size_t resumed_n, whole_n;
    (void)state;
    world_make(&w);
    a_day();
    world_kill(&w); /* the STAN of a sign-on stands in no record */
    assert_false(w.p->unread);
    assert_int_equal(dp_journal_snapshot(w.p->journal), DP_OK);
    world_pay(&w, 3, "A3", 700);
    world_kill(&w); /* in the middle of it: it is closed at the start */
    assert_true(w.p->unread);
    world_kill(&w);
    assert_true(w.p->unread);
    resumed_n = state_of(&resumed);
    forget_snapshots();
    world_kill(&w);
    assert_false(w.p->unread);
    whole_n = state_of(&whole);
    assert_int_equal(resumed_n, whole_n);
    assert_memory_equal(resumed, whole, whole_n);
    free(resumed);
    free(whole);
    world_remove(&w);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make, unmake)
    const struct CMUnitTest tests[] = {
        T(each_is_found_by_each_of_its_names),
        T(nothing_is_changed_by_looking),
        T(looking_makes_none_forgotten),
        T(a_service_id_that_has_an_answer_begins_no_other),
        T(an_older_sale_is_reversed),
        T(what_is_pending_stays_at_hand),
        T(only_the_oldest_are_forgotten_in_the_end),
        cmocka_unit_test(a_start_from_a_snapshot_knows_what_reading_everything_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
