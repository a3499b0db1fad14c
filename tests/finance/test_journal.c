/* SPDX-License-Identifier: Apache-2.0 */
/* Journals on disk, written as a terminal writes them, become payments and movements; what does not
 * verify becomes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <doorpay/journal.h>
#include <doorpay/payment.h>

#include "support.h"

static struct ledger l;
static struct dp_store store;
static struct dp_hsm *hsm;
static struct dp_journal *j;
static char token[300], journals[256];
static uint32_t stan;

static void run(const char *verb, const char *path)
{
    char command[700];
    (void)snprintf(command, sizeof command, "%s '%s'", verb, path);
    assert_int_equal(system(command), 0);
}

static int open_journal(void)
{
    struct dp_journal_config c;
    struct dp_journal_opened opened;
    memset(&c, 0, sizeof c);
    c.store = store;
    c.hsm = hsm;
    c.clock = dp_clock_system();
    c.random = dp_random_system();
    c.reserve_bytes = 65536;
    return dp_journal_open(&c, NULL, NULL, &opened, &j);
}

static int set_up(void **state)
{
    char path[256];
    (void)state;
    stan = 0;
    (void)snprintf(token, sizeof token, "soft:%s", in_tmp("token", path));
    run("rm -rf", path);
    run("rm -rf", in_tmp("journals", journals));
    run("mkdir", journals);
    if (ledger_open(&l, NULL) < 0 || dp_hsm_provision(token) < 0 || dp_hsm_open(token, &hsm) < 0 ||
        dp_store_fs_open(journals, &store) < 0)
        return -1;
    return open_journal();
}

static int tear_down(void **state)
{
    (void)state;
    dp_journal_free(&j);
    dp_hsm_free(&hsm);
    dp_store_fs_free(&store);
    ledger_close(&l);
    return 0;
}

/* ---- records as the payment room writes them (docs/PROTOCOL.journal, 5) ---- */

static void begin(struct dp_record *r, enum dp_record_type type, uint8_t tx, int64_t minor)
{
    memset(r, 0, sizeof *r);
    r->type = type;
    r->has_tx = r->has_amount = true;
    memset(r->tx, tx, sizeof r->tx);
    r->amount = (struct dp_money){minor, 978, 2};
    memcpy(r->tid, "DP000001", 9);
    memcpy(r->mid, "M", 2);
    memcpy(r->parcel, "6A1", 4);
    r->batch = 1;
    r->business_date = 20261124;
}

static void put(struct dp_record *r)
{
    assert_int_equal(dp_journal_append(j, r), DP_OK);
}

static void intent(uint8_t tx, int64_t minor)
{
    struct dp_record r;
    begin(&r, DP_RECORD_INTENT, tx, minor);
    (void)snprintf(r.service_id, sizeof r.service_id, "S%u", tx);
    put(&r);
}

static uint32_t requested_by(uint8_t tx, int64_t minor, enum dp_mode mode, uint32_t mti)
{
    struct dp_record r;
    begin(&r, DP_RECORD_REQUESTED, tx, minor);
    r.mode = mode;
    r.stan = ++stan;
    r.mti = mti;
    (void)snprintf(r.rrn, sizeof r.rrn, "6328%08u", stan);
    put(&r);
    return stan;
}

static uint32_t requested(uint8_t tx, int64_t minor, enum dp_mode mode)
{
    return requested_by(tx, minor, mode, 1200);
}

static void outcome(uint8_t tx, int64_t minor, enum dp_mode mode, uint32_t its_stan,
                    const char *action_code)
{
    struct dp_record r;
    begin(&r, DP_RECORD_OUTCOME, tx, minor);
    r.mode = mode;
    r.stan = its_stan;
    memcpy(r.bin, "999901", 7);
    memcpy(r.last4, "1234", 5);
    (void)snprintf(r.action_code, sizeof r.action_code, "%s", action_code);
    if (mode == DP_MODE_ONLINE)
        memcpy(r.auth_code, "ABC123", 7);
    if (mode == DP_MODE_DECLINED)
        r.reason = action_code[0] != '\0' ? DP_REASON_ISSUER_DECLINED : DP_REASON_NO_ANSWER;
    put(&r);
    assert_int_equal(dp_journal_checkpoint(j), DP_OK);
}

static void forwarded(uint8_t tx, int64_t minor, uint32_t its_stan, uint32_t mti, uint32_t result)
{
    struct dp_record r;
    begin(&r, DP_RECORD_FORWARDED, tx, minor);
    r.stan = its_stan;
    r.mti = mti;
    r.result = result;
    if (result == 1 && mti == 1200)
        memcpy(r.auth_code, "DEF456", 7);
    memcpy(r.action_code, result == 2 ? "100" : mti == 1420 ? "400" : "000", 4);
    put(&r);
    assert_int_equal(dp_journal_checkpoint(j), DP_OK);
}

static uint32_t reversal(uint8_t tx, int64_t minor, uint32_t of, bool by_sale)
{
    struct dp_record r;
    begin(&r, DP_RECORD_REVERSAL, tx, minor);
    r.mode = DP_MODE_REVERSED;
    r.stan = ++stan;
    r.mti = 1420;
    r.has_original = true;
    r.original.mti = 1200;
    r.original.stan = of;
    memcpy(r.original.de12, "261124120000", 13);
    memcpy(r.original.acquirer, "999999", 7);
    if (by_sale) {
        (void)snprintf(r.service_id, sizeof r.service_id, "R%u", tx);
        r.has_original_tx = true;
        memcpy(r.original_tx, r.tx, sizeof r.tx);
    }
    put(&r);
    assert_int_equal(dp_journal_checkpoint(j), DP_OK);
    return stan;
}

static void paid_online(uint8_t tx, int64_t minor)
{
    intent(tx, minor);
    outcome(tx, minor, DP_MODE_ONLINE, requested(tx, minor, DP_MODE_ONLINE), "000");
}

/* The advice's STAN is given with the OUTCOME. */
static uint32_t paid_offline(uint8_t tx, int64_t minor)
{
    intent(tx, minor);
    outcome(tx, minor, DP_MODE_OFFLINE, ++stan, "");
    return stan;
}

static void import(void)
{
    dp_journal_free(&j); /* the daemon is stopped */
    if (ledger_import_journal(&l, journals, NULL) != DP_OK)
        fail_msg("%s", l.error);
}

static int64_t in_state(uint8_t tx, const char *type, const char *state)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM movement WHERE tx LIKE '%02X%02X%%' AND type = '%s' AND "
                   "state = '%s'",
                   tx, tx, type, state);
    return value_of(&l, sql);
}

static int64_t is_payment(uint8_t tx, const char *where)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM payment WHERE tx LIKE '%02X%02X%%' AND (%s)", tx, tx,
                   where);
    return value_of(&l, sql);
}

/* ---- tests ---- */

static void authorised(uint8_t tx, int64_t minor)
{
    struct dp_record r;
    begin(&r, DP_RECORD_OUTCOME, tx, minor);
    r.mode = DP_MODE_ONLINE;
    r.stan = requested_by(tx, minor, DP_MODE_ONLINE, 1100);
    r.mti = 1100;
    memcpy(r.action_code, "000", 4);
    put(&r);
    assert_int_equal(dp_journal_checkpoint(j), DP_OK);
}

/* Dual message: an 1100 that was approved is captured by its completion, not before. */
static void an_authorisation_waits_for_its_completion(void **state)
{
    uint32_t its;
    (void)state;
    intent(1, 100);
    authorised(1, 100);
    intent(2, 200);
    authorised(2, 200);
    forwarded(2, 200, stan, 1220, 1);
    intent(3, 300);
    outcome(3, 300, DP_MODE_DEFERRED, 0, "");
    its = requested_by(3, 300, DP_MODE_DEFERRED, 1100);
    forwarded(3, 300, its, 1100, 1);
    intent(4, 400);
    outcome(4, 400, DP_MODE_DEFERRED, 0, "");
    its = requested_by(4, 400, DP_MODE_DEFERRED, 1100);
    forwarded(4, 400, its, 1100, 1);
    forwarded(4, 400, its, 1220, 1);
    import();
    for (uint8_t tx = 1; tx <= 3; tx += 2) {
        assert_int_equal(in_state(tx, "SALE", "pending"), 1);
        assert_int_equal(is_payment(tx, "forward = 'pending'"), 1);
    }
    for (uint8_t tx = 2; tx <= 4; tx += 2) {
        assert_int_equal(in_state(tx, "SALE", "captured"), 1);
        assert_int_equal(is_payment(tx, "forward = 'accepted'"), 1);
    }
}

static void each_way_a_payment_ends_becomes_its_state(void **state)
{
    (void)state;
    paid_online(1, 100);
    forwarded(2, 200, paid_offline(2, 200), 1220, 1);
    (void)paid_offline(3, 300);
    intent(4, 400);
    outcome(4, 400, DP_MODE_DECLINED, requested(4, 400, DP_MODE_ONLINE), "116");
    intent(5, 500); /* no answer: taken back */
    forwarded(5, 500, reversal(5, 500, requested(5, 500, DP_MODE_ONLINE), false), 1420, 3);
    outcome(5, 500, DP_MODE_DECLINED, 0, "");
    intent(6, 600); /* power lost here */
    import();
    assert_int_equal(value_of(&l, "SELECT count(*) FROM payment"), 6);
    assert_int_equal(in_state(1, "SALE", "captured"), 1);
    assert_int_equal(is_payment(1, "mode = 'online' AND auth_code = 'ABC123' AND amount = 100 AND "
                                   "currency = 'EUR' AND parcel = '6A1' AND tid = 'DP000001' AND "
                                   "bin = '999901' AND last4 = '1234' AND reason = 'none'"),
                     1);
    assert_int_equal(in_state(2, "SALE", "captured"), 1);
    assert_int_equal(is_payment(2, "forward = 'accepted'"), 1);
    assert_int_equal(in_state(3, "SALE", "pending"), 1);
    assert_int_equal(is_payment(3, "forward = 'pending'"), 1);
    assert_int_equal(in_state(4, "SALE", "none"), 1);
    assert_int_equal(is_payment(4, "mode = 'declined' AND reason = 'issuer_declined'"), 1);
    assert_int_equal(in_state(5, "SALE", "maybe"), 1);
    assert_int_equal(in_state(5, "REVERSAL", "captured"), 1);
    assert_int_equal(is_payment(5, "mode = 'declined' AND undone = ''"), 1);
    assert_int_equal(is_payment(6, "mode = 'open'"), 1);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM movement"), 6);
}

static void a_deferred_payment_waits_and_is_accepted_or_declined_later(void **state)
{
    (void)state;
    for (uint8_t tx = 1; tx <= 3; tx++) {
        intent(tx, 100 * tx);
        outcome(tx, 100 * tx, DP_MODE_DEFERRED, 0, "");
    }
    forwarded(1, 100, requested(1, 100, DP_MODE_DEFERRED), 1200, 1);
    forwarded(2, 200, requested(2, 200, DP_MODE_DEFERRED), 1200, 2);
    import();
    assert_int_equal(in_state(1, "SALE", "captured"), 1);
    assert_int_equal(
        is_payment(1, "mode = 'deferred' AND forward = 'accepted' AND auth_code = 'DEF456'"), 1);
    assert_int_equal(in_state(2, "SALE", "none"), 1);
    assert_int_equal(is_payment(2, "forward = 'declined'"), 1);
    assert_int_equal(is_payment(3, "forward = 'pending'"), 1);
    assert_int_equal(ledger_match(&l), DP_OK);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM finding WHERE class = 'pending'"), 1);
}

static void a_deferred_payment_that_is_given_up_waits_no_more(void **state)
{
    struct dp_record r;
    (void)state;
    intent(1, 100);
    outcome(1, 100, DP_MODE_DEFERRED, 0, "");
    begin(&r, DP_RECORD_FORWARDED, 1, 100);
    r.mode = DP_MODE_DEFERRED;
    r.result = 4;
    r.reason = DP_REASON_DEFERRED_EXPIRED;
    put(&r);
    assert_int_equal(dp_journal_checkpoint(j), DP_OK);
    import();
    assert_int_equal(is_payment(1, "mode = 'deferred' AND forward = 'given_up'"), 1);
    assert_int_equal(ledger_match(&l), DP_OK);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM finding"), 0);
}

static void a_cancelled_payment_is_marked_and_its_reversal_counted(void **state)
{
    struct finance_summary s;
    (void)state;
    paid_online(1, 100);
    forwarded(1, 100, reversal(1, 100, stan, true), 1420, 3);
    import();
    assert_int_equal(is_payment(1, "undone = 'reversed'"), 1);
    assert_int_equal(in_state(1, "REVERSAL", "captured"), 1);
    assert_int_equal(ledger_match(&l), DP_OK);
    assert_int_equal(ledger_summary(&l, &s), DP_OK);
    assert_int_equal(s.total[0].journal_minor, 0);
}

/* The payment that it died under is named by DEGRADED_ON, those after it by themselves. */
static void payments_made_with_a_dead_anchor_have_the_flag(void **state)
{
    char uri[700], path[256], script[256];
    uint8_t tx = 0;
    (void)state;
    dp_journal_free(&j);
    dp_hsm_free(&hsm);
    (void)snprintf(uri, sizeof uri, "sim:dir=%s?script=%s", in_tmp("token", path),
                   make_file("script", "anchor_extend 2 wear\n", script));
    assert_int_equal(dp_hsm_open(uri, &hsm), DP_OK);
    assert_int_equal(open_journal(), DP_OK);
    while (!dp_journal_is_degraded(j)) {
        assert_in_range(tx, 0, 3);
        paid_online(++tx, 100);
    }
    assert_in_range(tx, 2, 3);
    paid_online((uint8_t)(tx + 1), 100);
    (void)paid_offline((uint8_t)(tx + 2), 100);
    import();
    assert_int_equal(value_of(&l, "SELECT count(*) FROM payment"), tx + 2);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM payment WHERE degraded = 1"), 3);
    assert_int_equal(is_payment(tx, "degraded = 1 AND mode = 'online'"), 1);
    assert_int_equal(is_payment((uint8_t)(tx + 1), "degraded = 1 AND mode = 'online'"), 1);
    assert_int_equal(is_payment((uint8_t)(tx + 2), "degraded = 1 AND forward = 'pending'"), 1);
}

static void a_sale_cancelled_before_it_was_sent_is_void(void **state)
{
    struct dp_record r;
    (void)state;
    (void)paid_offline(1, 100);
    begin(&r, DP_RECORD_VOID, 1, 100);
    r.has_original_tx = true;
    memcpy(r.original_tx, r.tx, sizeof r.tx);
    r.mode = DP_MODE_VOID;
    put(&r);
    assert_int_equal(dp_journal_checkpoint(j), DP_OK);
    import();
    assert_int_equal(in_state(1, "SALE", "none"), 1);
    assert_int_equal(is_payment(1, "undone = 'void' AND forward = 'none'"), 1);
}

static void an_advice_that_was_given_up_is_known_as_such(void **state)
{
    (void)state;
    forwarded(1, 100, paid_offline(1, 100), 1220, 4);
    import();
    assert_int_equal(in_state(1, "SALE", "given_up"), 1);
    assert_int_equal(is_payment(1, "forward = 'given_up'"), 1);
}

static void a_journal_that_grew_is_imported_again_in_place_of_itself(void **state)
{
    (void)state;
    paid_online(1, 100);
    import();
    assert_int_equal(open_journal(), DP_OK);
    paid_online(2, 200);
    import();
    assert_int_equal(value_of(&l, "SELECT count(*) FROM payment"), 2);
    assert_int_equal(value_of(&l, "SELECT sum(amount) FROM movement"), 300);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM journal"), 1);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM journal WHERE verdict = 'valid, freshness "
                                  "unknown' AND records > 6"),
                     1);
}

/* One bit of the middle of what was written. */
static void damage(void)
{
    char path[900], found[256];
    FILE *p;
    (void)snprintf(path, sizeof path, "find '%s' -name 'seg-*'", journals);
    p = popen(path, "r");
    assert_non_null(p);
    assert_non_null(fgets(found, sizeof found, p));
    (void)pclose(p);
    found[strcspn(found, "\n")] = '\0';
    p = fopen(found, "r+e");
    assert_non_null(p);
    assert_int_equal(fseek(p, 600, SEEK_SET), 0);
    int c = getc(p);
    assert_int_equal(fseek(p, 600, SEEK_SET), 0);
    assert_int_equal(putc(c ^ 1, p), c ^ 1);
    assert_int_equal(fclose(p), 0);
}

/* A22, at finance's door */
static void nothing_of_a_tampered_journal_is_counted(void **state)
{
    struct finance_summary s;
    (void)state;
    for (uint8_t tx = 1; tx <= 9; tx++)
        paid_online(tx, 100);
    dp_journal_free(&j);
    damage();
    assert_int_equal(ledger_import_journal(&l, journals, NULL), DP_ERR_TAMPERED);
    assert_non_null(strstr(l.error, journals));
    assert_int_equal(value_of(&l, "SELECT count(*) FROM payment"), 0);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM movement"), 0);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM journal WHERE verdict = 'TAMPERED' AND "
                                  "words <> ''"),
                     1);
    assert_int_equal(ledger_match(&l), DP_OK);
    assert_int_equal(ledger_summary(&l, &s), DP_OK);
    assert_string_equal(s.verdict, "INCOMPLETE");
}

/* The good import of yesterday stays, and the verdict says that today's is not to be trusted. */
static void a_good_copy_does_not_hide_a_tampered_one(void **state)
{
    struct finance_summary s;
    char good[256], copy[300];
    (void)state;
    for (uint8_t tx = 1; tx <= 9; tx++)
        paid_online(tx, 100);
    dp_journal_free(&j);
    (void)snprintf(copy, sizeof copy, "cp -a '%s'", journals);
    run(copy, in_tmp("good", good));
    damage();
    assert_int_equal(ledger_import_journal(&l, journals, NULL), DP_ERR_TAMPERED);
    assert_int_equal(ledger_import_journal(&l, good, NULL), DP_OK);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM payment"), 9);
    assert_int_equal(ledger_match(&l), DP_OK);
    assert_int_equal(ledger_summary(&l, &s), DP_OK);
    assert_string_equal(s.verdict, "INCOMPLETE");
    run("rm -rf", good);
}

static void write_head(uint64_t more, char path[256])
{
    static char text[400];
    struct dp_verify_options o;
    struct dp_verify_result v;
    char id[33], root[65], anchor[65];
    memset(&o, 0, sizeof o);
    assert_int_equal(dp_journal_verify(&store, &o, NULL, NULL, &v), DP_OK);
    for (size_t i = 0; i < 32; i++) {
        (void)snprintf(root + 2 * i, 3, "%02x", v.root[i]);
        (void)snprintf(anchor + 2 * i, 3, "%02x", v.anchor[i]);
        if (i < 16)
            (void)snprintf(id + 2 * i, 3, "%02x", v.journal[i]);
    }
    (void)snprintf(text, sizeof text,
                   "{\"journal\":\"%s\",\"size\":%lu,\"root\":\"%s\",\"anchor\":\"%s\"}", id,
                   (unsigned long)(v.records + more), root, anchor);
    make_file("head.json", text, path);
}

static void a_head_file_makes_it_fresh_or_shows_the_rollback(void **state)
{
    char head[256];
    (void)state;
    paid_online(1, 100);
    dp_journal_free(&j);
    write_head(0, head);
    assert_int_equal(ledger_import_journal(&l, journals, head), DP_OK);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM journal WHERE verdict = 'valid and fresh'"),
                     1);
    write_head(5, head);
    assert_int_equal(ledger_import_journal(&l, journals, head), DP_ERR_TAMPERED);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM journal WHERE verdict = 'ROLLBACK'"), 1);
    make_file("head.json", "{\"journal\":\"00\"}", head);
    assert_int_equal(ledger_import_journal(&l, journals, head), DP_ERR_FORMAT);
    assert_non_null(strstr(l.error, "head.json: not a head file"));
}

static void a_directory_without_a_journal_says_so(void **state)
{
    char path[256];
    (void)state;
    assert_true(ledger_import_journal(&l, in_tmp("nowhere", path), NULL) < 0);
    assert_non_null(strstr(l.error, path));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_way_a_payment_ends_becomes_its_state),
        TEST(a_deferred_payment_that_is_given_up_waits_no_more),
        TEST(a_deferred_payment_waits_and_is_accepted_or_declined_later),
        TEST(an_authorisation_waits_for_its_completion),
        TEST(a_cancelled_payment_is_marked_and_its_reversal_counted),
        TEST(a_sale_cancelled_before_it_was_sent_is_void),
        TEST(payments_made_with_a_dead_anchor_have_the_flag),
        TEST(an_advice_that_was_given_up_is_known_as_such),
        TEST(a_journal_that_grew_is_imported_again_in_place_of_itself),
        TEST(nothing_of_a_tampered_journal_is_counted),
        TEST(a_good_copy_does_not_hide_a_tampered_one),
        TEST(a_head_file_makes_it_fresh_or_shows_the_rollback),
        TEST(a_directory_without_a_journal_says_so),
    };
    return cmocka_run_group_tests_name("finance/journal", tests, NULL, NULL);
}
