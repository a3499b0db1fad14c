/* SPDX-License-Identifier: Apache-2.0 */
/* What a device owed when it died, against what it sends when it lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/acquirer.h>

#include "tests/payment/world.h"

static struct world w;
static struct dp_salvage *s;
static uint64_t verified;
static uint8_t journal[16];

static int set_up(void **state)
{
    (void)state;
    world_make(&w);
    s = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dp_salvage_free(&s);
    world_remove(&w);
    return 0;
}

static void see(void *user, const struct dp_record *r)
{
    (void)user;
    if (r->seq < verified)
        dp_salvage_see(s, r);
}

static void describe(void *user, const struct dp_record *r)
{
    (void)user;
    dp_salvage_describe(s, r, r->seq < verified);
}

static void pass(dp_journal_each *each, struct dp_verify_result *v)
{
    struct dp_store store = memstore_store(&w.mem);
    assert_int_equal(dp_journal_verify(&store, NULL, each, NULL, v), DP_OK);
}

/* The device is dead; what its disk says, without its token. */
static void salvages(void)
{
    struct dp_verify_result v;
    pass(NULL, &v);
    verified = v.signed_size;
    memcpy(journal, v.journal, sizeof journal);
    dp_salvage_free(&s);
    assert_int_equal(dp_salvage_new(64, &s), DP_OK);
    pass(see, &v);
    assert_int_equal(dp_salvage_end(s), DP_OK);
    pass(describe, &v);
}

static uint64_t in_stage(const char *name)
{
    uint64_t n = 0, amount;
    for (unsigned i = 0; i < DP_SALVAGE_STAGES; i++)
        if (strcmp(dp_salvage_stage_name(i), name) == 0)
            dp_salvage_stage(s, i, &n, &amount);
    return n;
}

static const struct dp_salvage_item *owes(uint32_t i, enum dp_salvage_kind kind)
{
    const struct dp_salvage_item *item = dp_salvage_item(s, i);
    assert_non_null(item);
    assert_string_equal(dp_salvage_kind_name(item->kind), dp_salvage_kind_name(kind));
    return item;
}

static void link_up(void)
{
    dp_payment_link_up(w.p, true);
    assert_true(world_answer(&w, 800));
}

static void asks_online(const char *service)
{
    world_pay(&w, 1, service, 2350);
    world_seen(&w);
    world_wants_online(&w);
}

/* ---- the same message ---- */

static void unpack(const uint8_t *p, size_t n, struct dp_iso8583_message *m)
{
    struct dp_iso8583_error e;
    assert_int_equal(dp_iso8583_unpack(dp_iso8583_profile("iso93-pos"), p, n, m, &e), DP_OK);
}

/* Packs it in the back office, with a key of its own, and holds it against what the device just
 * sent: every field but the MAC and its key's serial number. */
static void is_what_the_device_sent(const struct dp_salvage_item *item)
{
    static struct dp_iso8583_message ours, devices;
    static const uint8_t key[16] = {7}, id[8] = {9};
    struct dp_acquirer_config c;
    struct dp_acquirer_card card;
    struct dp_acquirer *a = NULL;
    struct dp_hsm *hsm = NULL;
    char uri[160], path[128];
    uint8_t packed[DP_ISO8583_MESSAGE_MAX];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/office", w.dir);
    (void)snprintf(uri, sizeof uri, "soft:%s", path);
    assert_int_equal(dp_hsm_provision(uri), DP_OK);
    assert_int_equal(dp_hsm_open(uri, &hsm), DP_OK);
    assert_int_equal(dp_hsm_dukpt_load(hsm, key, id), DP_OK);
    unpack(w.sent, w.sent_n, &devices);
    memset(&c, 0, sizeof c);
    memcpy(c.tid, item->message.tid, sizeof c.tid);
    memcpy(c.mid, item->message.mid, sizeof c.mid);
    c.currency = item->message.amount.currency;
    c.exponent = item->message.amount.exponent;
    c.mac_len = (uint8_t)w.params->acquirer.mac_len;
    memcpy(c.journal, journal, sizeof c.journal);
    c.hsm = hsm;
    c.clock = &w.clock;
    c.random = &w.random;
    assert_int_equal(dp_acquirer_new(&c, &a), DP_OK);
    memset(&card, 0, sizeof card);
    card.emv = (struct dp_bytes){item->message.emv, item->message.emv_n};
    card.contactless = item->message.interface == DP_INTERFACE_CONTACTLESS;
    card.cvm = item->message.cvm;
    /* the token would have unwrapped it: of DE120 nothing is made here */
    card.sealed_pan = dp_iso8583_get(&devices, 120);
    if (card.sealed_pan.n > 2)
        card.sealed_pan = (struct dp_bytes){card.sealed_pan.p + 2, card.sealed_pan.n - 2};
    dp_acquirer_see(a, &item->message);
    assert_int_equal(
        dp_acquirer_pack(a, &item->message,
                         item->kind == DP_SALVAGE_REVERSAL || item->kind == DP_SALVAGE_REVERSAL_DUE
                             ? NULL
                             : &card,
                         item->repeat, packed, sizeof packed, &n, NULL),
        DP_OK);
    unpack(packed, n, &ours);
    assert_int_equal(ours.mti, devices.mti);
    for (int de = 2; de <= 128; de++) {
        if (de == 53 || de == 64 || de == 128)
            continue;
        if (!dp_iso8583_same(&ours, &devices, de))
            fail_msg("DE%d is another", de);
    }
    dp_acquirer_free(&a);
    dp_hsm_free(&hsm);
}

static void an_offline_approval_is_cleared_under_its_own_numbers(void **state)
{
    const struct dp_salvage_item *item;
    (void)state;
    world_pay(&w, 1, "S1", 1000);
    world_tap_offline(&w);
    world_kill(&w);
    salvages();
    assert_int_equal(in_stage("offline_owed"), 1);
    item = owes(0, DP_SALVAGE_ADVICE);
    assert_null(dp_salvage_item(s, 1));
    assert_false(item->hold);
    assert_string_equal(item->outcome.last4, "0018");
    assert_true(item->outcome.has_pan_commitment);
    link_up();
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1221);
    is_what_the_device_sent(item);
}

static void a_request_in_flight_is_reversed_as_the_device_would_have(void **state)
{
    const struct dp_salvage_item *item;
    struct dp_record due;
    (void)state;
    w.kernel = 3;
    w.cvm = DP_EMV_CVM_SIGNATURE;
    link_up();
    asks_online("S1");
    assert_int_equal(world_mti(&w), 1200);
    salvages();
    assert_int_equal(in_stage("unanswered"), 1);
    due = owes(0, DP_SALVAGE_REVERSAL_DUE)->message;
    assert_int_equal(due.original.mti, 1200);
    world_kill(&w); /* it lives, and makes its reversal */
    salvages();
    item = owes(0, DP_SALVAGE_REVERSAL);
    assert_int_equal(item->message.original.mti, 1200);
    assert_int_equal(item->message.interface, DP_INTERFACE_CONTACTLESS);
    assert_int_equal(item->message.cvm, DP_EMV_CVM_SIGNATURE);
    assert_int_equal(item->message.stan, due.stan);
    assert_int_equal(item->message.original.stan, due.original.stan);
    assert_string_equal(item->message.original.de12, due.original.de12);
    world_kill(&w); /* nobody knows any more whether it left */
    link_up();
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1421);
    is_what_the_device_sent(item);
}

/* The request of a payment that was deferred is covered: its reversal is due, then it is asked. */
static void a_deferred_request_in_flight_is_taken_back_and_asked_again(void **state)
{
    const struct dp_salvage_item *due, *again;
    struct dp_record due_message;
    (void)state;
    world_pay(&w, 1, "S1", 1000);
    world_tap_deferred(&w);
    link_up();
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1200);
    dp_payment_free(&w.p); /* a clean end signs all there is */
    salvages();
    assert_int_equal(in_stage("deferred_owed"), 1);
    due = owes(0, DP_SALVAGE_REVERSAL_DUE);
    due_message = due->message;
    again = owes(1, DP_SALVAGE_DEFERRED);
    assert_null(dp_salvage_item(s, 2));
    assert_int_equal(again->message.stan, 0);
    assert_int_equal(due->message.msg_reason, 4007);
    world_open(&w);
    salvages();
    /* what the device decided at its next start is what was foretold */
    assert_int_equal(owes(0, DP_SALVAGE_REVERSAL)->message.stan, due_message.stan);
    assert_int_equal(owes(0, DP_SALVAGE_REVERSAL)->message.original.stan,
                     due_message.original.stan);
    assert_string_equal(owes(0, DP_SALVAGE_REVERSAL)->message.original.de12,
                        due_message.original.de12);
}

static void what_is_done_is_owed_no_more(void **state)
{
    uint8_t tx[16];
    (void)state;
    world_pay(&w, 1, "S1", 1000);
    world_tap_offline(&w);
    memcpy(tx, world_result(&w, 1)->tx, sizeof tx);
    world_reverse(&w, 2, "S2", tx);
    w.card_hash[0]++;
    w.atc++;
    world_pay(&w, 3, "S3", 700);
    world_tap_offline(&w);
    dp_payment_link_up(w.p, true);
    world_forward_all(&w, 0);
    dp_payment_free(&w.p);
    salvages();
    assert_null(dp_salvage_item(s, 0));
    assert_int_equal(in_stage("offline_void"), 1);
    assert_int_equal(in_stage("offline_cleared"), 1);
}

/* Reversed before the advice was answered: first the one, then the other. */
static void an_advice_goes_before_its_own_reversal(void **state)
{
    uint8_t tx[16];
    (void)state;
    world_pay(&w, 1, "S1", 1000);
    world_tap_offline(&w);
    memcpy(tx, world_result(&w, 1)->tx, sizeof tx);
    world_kill(&w); /* who knows whether it left */
    world_reverse(&w, 2, "S2", tx);
    salvages();
    (void)owes(0, DP_SALVAGE_ADVICE);
    (void)owes(1, DP_SALVAGE_REVERSAL);
    assert_int_equal(in_stage("offline_reversed"), 1);
}

static void what_no_signature_covers_is_held(void **state)
{
    uint8_t tx[16];
    (void)state;
    world_pay(&w, 1, "S1", 1000);
    world_tap_deferred(&w);
    memcpy(tx, world_result(&w, 1)->tx, sizeof tx);
    world_kill_token(&w, "* 1 remove\n");
    world_reverse(&w, 2, "S2", tx); /* a VOID, and no key to sign it with */
    assert_int_equal(world_result(&w, 2)->mode, DP_MODE_VOID);
    salvages();
    assert_true(owes(0, DP_SALVAGE_DEFERRED)->hold);
    assert_int_equal(in_stage("deferred_void"), 0);
}

/* In what is missing it may have been asked for under another number, and paid. */
static void a_deferred_payment_is_held_where_records_are_missing(void **state)
{
    (void)state;
    world_pay(&w, 1, "S1", 1000);
    world_tap_offline(&w);
    w.card_hash[0]++;
    w.atc++;
    world_pay(&w, 2, "S2", 1000);
    world_tap_deferred(&w);
    salvages();
    assert_false(owes(1, DP_SALVAGE_DEFERRED)->hold);
    dp_salvage_doubt(s);
    assert_true(owes(1, DP_SALVAGE_DEFERRED)->hold);
    assert_false(owes(0, DP_SALVAGE_ADVICE)->hold);
}

static void the_last_payment_is_vouched_for_once_it_is_answered(void **state)
{
    (void)state;
    world_pay(&w, 1, "S1", 1000);
    salvages();
    assert_null(dp_salvage_item(s, 0));
    world_tap_offline(&w);
    salvages();
    (void)owes(0, DP_SALVAGE_ADVICE);
}

static void totals_that_are_not_the_payments_are_refused(void **state)
{
    struct dp_record r;
    (void)state;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_INTENT;
    r.has_tx = r.has_amount = r.has_totals = true;
    r.amount = (struct dp_money){100, 978, 2};
    r.totals.intents = 2;
    assert_int_equal(dp_salvage_new(4, &s), DP_OK);
    dp_salvage_see(s, &r);
    assert_int_equal(dp_salvage_end(s), DP_ERR_INTERNAL);
    for (unsigned wrong = 0; wrong < 2; wrong++) {
        dp_salvage_free(&s);
        assert_int_equal(dp_salvage_new(4, &s), DP_OK);
        r.type = DP_RECORD_INTENT;
        r.totals.intents = 1;
        dp_salvage_see(s, &r);
        r.type = DP_RECORD_OUTCOME;
        r.mode = DP_MODE_OFFLINE;
        r.totals.offline_n = 1;
        r.totals.offline_amount = 100 + wrong;
        dp_salvage_see(s, &r);
        assert_int_equal(dp_salvage_end(s), wrong ? DP_ERR_INTERNAL : DP_OK);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_offline_approval_is_cleared_under_its_own_numbers),
        TEST(a_request_in_flight_is_reversed_as_the_device_would_have),
        TEST(a_deferred_request_in_flight_is_taken_back_and_asked_again),
        TEST(what_is_done_is_owed_no_more),
        TEST(an_advice_goes_before_its_own_reversal),
        TEST(what_no_signature_covers_is_held),
        TEST(a_deferred_payment_is_held_where_records_are_missing),
        TEST(the_last_payment_is_vouched_for_once_it_is_answered),
        TEST(totals_that_are_not_the_payments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
