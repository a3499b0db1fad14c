/* SPDX-License-Identifier: Apache-2.0 */
/* The token's anchor dies, and comes back: docs/PROTOCOL.journal, 6, "Degraded". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "forge.h"
#include "journal/hash.h"
#include "journal/writer.h"
#include "world.h"

static struct world w;
static struct forge f;

static int make(void **state)
{
    (void)state;
    world_make(&w);
    w.segment_bytes = 32768;
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

static void opens(int err)
{
    assert_int_equal(world_open(&w), err);
}

static void restart(const char *script)
{
    dp_journal_free(&w.j);
    world_script(&w, script);
    opens(DP_OK);
}

/* What the token of now says of the journal; not with one that must not be asked. */
static void verdict(enum dp_verdict expected, struct dp_verify_result *v)
{
    verify_mem(&w, true, v);
    assert_string_equal(v->rule != NULL ? v->rule : "",
                        expected == DP_VERDICT_ROLLBACK ? "rollback" : "");
    assert_int_equal(v->verdict, expected);
}

static int count(enum dp_record_type type)
{
    int n = 0;
    forge_load(&f, &w.mem);
    for (int i = 0; i < f.n; i++)
        n += !f.parts[i].signature && forge_edit(&f, i)->type == type;
    return n;
}

/* Two payments, online with two checkpoints, and the anchor dies at that of the second. */
static void dies(const char *more)
{
    char script[128];
    opens(DP_OK);
    snprintf(script, sizeof script, "anchor_extend 3 %s\n", more);
    restart(script);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    assert_false(dp_journal_is_degraded(w.j));
    assert_int_equal(pay_offline(w.j, 2), DP_OK);
    assert_true(dp_journal_is_degraded(w.j));
}

static void a_dead_anchor_leaves_a_signed_journal(void **state)
{
    struct dp_verify_result v;
    struct dp_record *on, *o;
    (void)state;
    dies("wear");
    assert_int_equal(pay_online(w.j, 3), DP_OK);
    world_close(&w);
    verdict(DP_VERDICT_UNKNOWN, &v);
    assert_true(v.degraded);
    assert_non_null(strstr(v.words, "the anchor was dead for the 10 after them, of which 10"));
    assert_int_equal(v.signed_size, v.records);
    assert_int_equal(count(DP_RECORD_DEGRADED_ON), 1);
    on = forge_edit(&f, forge_find(&f, DP_RECORD_DEGRADED_ON, 0));
    assert_true(on->has_tx && on->tx[0] == 2);
    assert_non_null(strstr(on->text, "anchor"));
    for (int i = 0; i < 3; i++) {
        o = forge_edit(&f, forge_find(&f, DP_RECORD_OUTCOME, i));
        assert_int_equal(o->degraded, i == 2);
    }
}

static void an_anchor_that_works_again_catches_up(void **state)
{
    struct dp_verify_result v;
    uint8_t should[32];
    (void)state;
    dies("error\nanchor_read 2 error\n");
    assert_int_equal(pay_online(w.j, 3), DP_OK);
    assert_int_equal(dp_journal_try_anchor(w.j), DP_ERR_TOKEN);
    assert_true(dp_journal_is_degraded(w.j));
    assert_int_equal(dp_journal_try_anchor(w.j), DP_OK);
    assert_false(dp_journal_is_degraded(w.j));
    assert_int_equal(dp_journal_try_anchor(w.j), DP_OK); /* says nothing twice */
    verdict(DP_VERDICT_FRESH, &v);
    assert_int_equal(pay_online(w.j, 4), DP_OK);
    world_close(&w);
    verdict(DP_VERDICT_FRESH, &v);
    assert_false(v.degraded);
    assert_int_equal(count(DP_RECORD_DEGRADED_OFF), 1);
    assert_false(forge_edit(&f, forge_find(&f, DP_RECORD_OUTCOME, 3))->degraded);
    assert_int_equal(dp_hsm_anchor_read(w.hsm, should), DP_OK);
    assert_memory_equal(should, v.anchor, sizeof should);
}

static void many_bodies_are_caught_up_some_at_a_time(void **state)
{
    struct dp_verify_result v;
    int busy = 0, err;
    (void)state;
    dies("error");
    for (uint32_t i = 10; i < 80; i++)
        assert_int_equal(pay_declined(w.j, i), DP_OK);
    while ((err = dp_journal_try_anchor(w.j)) == DP_ERR_BUSY) {
        verify_mem(&w, true, &v);
        assert_int_equal(v.verdict, DP_VERDICT_UNKNOWN);
        busy++;
    }
    assert_int_equal(err, DP_OK);
    assert_int_equal(busy, 2);
    world_close(&w);
    verdict(DP_VERDICT_FRESH, &v);
}

/* As many as a reader follows, and then the writer stops by itself: what it leaves is no tampering,
 * and is caught up like any other. */
static void it_stops_before_a_reader_would_call_it_tampering(void **state)
{
    const uint32_t kept = DP_JOURNAL_MISSED_RESERVE;
    struct dp_verify_result v;
    struct dp_record r;
    uint64_t records;
    (void)state;
    dies("wear");
    assert_int_equal(dp_journal_degraded_left(w.j), DP_JOURNAL_MISSED_MAX - kept - w.j->missed.n);
    w.j->missed.n = DP_JOURNAL_MISSED_MAX - kept - 1; /* as if so many had been made */
    assert_int_equal(dp_journal_degraded_left(w.j), 1);
    w.j->missed.n = DP_JOURNAL_MISSED_MAX - 1;
    assert_int_equal(dp_journal_degraded_left(w.j), 0);
    assert_int_equal(pay_declined(w.j, 3), DP_OK);
    assert_int_equal(w.j->missed.n, DP_JOURNAL_MISSED_MAX);
    assert_int_equal(dp_journal_flush(w.j), DP_OK);
    verdict(DP_VERDICT_UNKNOWN, &v);
    records = v.records;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_TIME_SYNC;
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    assert_int_equal(dp_journal_checkpoint(w.j), DP_ERR_LIMIT);
    restart(NULL);
    assert_int_equal(w.opened.records, records + 1); /* DEGRADED_OFF */
    assert_int_equal(pay_online(w.j, 9), DP_OK);
    world_close(&w);
    verdict(DP_VERDICT_FRESH, &v);
}

/* Wherever catching up is cut short, the token has a value of the chain, and says how far. */
static void catching_up_may_be_cut_anywhere(void **state)
{
    struct dp_verify_result v;
    uint64_t bound = 0;
    (void)state;
    dies("wear");
    for (uint32_t i = 10; i < 14; i++)
        assert_int_equal(pay_online(w.j, i), DP_OK);
    world_kill(&w);
    for (int i = 0; i < 12; i++) {
        world_script(&w, i == 11 ? NULL : "anchor_extend 2 wear\n");
        opens(DP_OK);
        assert_int_equal(dp_journal_is_degraded(w.j), i < 9); /* it missed ten */
        world_kill(&w);
        verify_mem(&w, true, &v);
        assert_null(v.rule);
        assert_true((uint64_t)atoll(v.words) > bound || i >= 10); /* it got on */
        bound = (uint64_t)atoll(v.words);
    }
    assert_int_equal(count(DP_RECORD_DEGRADED_ON), 1);
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 50), DP_OK);
    world_close(&w);
    verdict(DP_VERDICT_FRESH, &v);
    assert_int_equal(count(DP_RECORD_DEGRADED_OFF), 1);
}

static void an_extension_that_was_done_and_failed_is_not_done_twice(void **state)
{
    struct dp_verify_result v;
    uint8_t digest[32], value[32];
    (void)state;
    dies("error");
    world_kill(&w);
    /* as if the token had done it before it said that it could not */
    forge_load(&f, &w.mem);
    {
        struct forge_part *p = &f.parts[forge_find(&f, DP_RECORD_DEGRADED_ON, 0)];
        struct dp_record *c = NULL;
        while (c == NULL || c->type != DP_RECORD_CHECKPOINT)
            if (!(--p)->signature)
                c = forge_edit(&f, (int)(p - f.parts));
        assert_int_equal(hash_parts(&(struct dp_bytes){c->body, c->body_n}, 1, digest), DP_OK);
    }
    assert_int_equal(dp_hsm_anchor_extend(w.hsm, digest, value), DP_OK);
    world_script(&w, NULL);
    opens(DP_OK);
    assert_false(dp_journal_is_degraded(w.j));
    world_close(&w);
    verdict(DP_VERDICT_FRESH, &v);
}

static void a_dead_anchor_at_start_is_degraded_from_there(void **state)
{
    struct dp_verify_result v;
    (void)state;
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    restart("anchor_read 1 wear\nanchor_extend 1 wear\n");
    assert_true(dp_journal_is_degraded(w.j));
    assert_int_equal(pay_online(w.j, 2), DP_OK);
    restart("anchor_read 1 wear\n");
    assert_true(dp_journal_is_degraded(w.j));
    assert_int_equal(pay_online(w.j, 3), DP_OK);
    dp_journal_free(&w.j);
    world_script(&w, NULL);
    verdict(DP_VERDICT_UNKNOWN, &v);
    opens(DP_OK);
    assert_false(dp_journal_is_degraded(w.j));
    world_close(&w);
    verdict(DP_VERDICT_FRESH, &v);
    assert_int_equal(count(DP_RECORD_DEGRADED_ON), 1);
    assert_int_equal(count(DP_RECORD_DEGRADED_OFF), 1);
}

static void an_older_copy_is_a_rollback_once_it_was_caught_up(void **state)
{
    struct memstore kept;
    (void)state;
    dies("wear");
    assert_int_equal(pay_online(w.j, 3), DP_OK);
    world_close(&w);
    memstore_copy(&kept, &w.mem);
    world_script(&w, NULL);
    opens(DP_OK);
    world_close(&w);
    memstore_free(&w.mem);
    w.mem = kept;
    opens(DP_ERR_ROLLBACK);
}

/* Nobody can tell, while the anchor was dead, without a head from elsewhere: it looks like a crash
 * before the extension. */
static void a_cut_behind_the_record_is_a_crash_before_the_extension(void **state)
{
    struct dp_verify_result v;
    (void)state;
    dies("wear");
    world_close(&w);
    forge_load(&f, &w.mem);
    f.n = forge_find(&f, DP_RECORD_DEGRADED_ON, 0);
    forge_store(&f, &w.mem);
    world_script(&w, NULL);
    verdict(DP_VERDICT_UNKNOWN, &v);
    assert_int_equal(v.signed_size, v.records);
    opens(DP_OK);
    world_close(&w);
    verdict(DP_VERDICT_FRESH, &v);
    f.n = forge_signature(&f, 1) + 1; /* what the anchor has is not cut off */
    forge_store(&f, &w.mem);
    opens(DP_ERR_ROLLBACK);
}

/* The anchor has not the checkpoint before DEGRADED_ON, nor what is behind it: behind a snapshot
 * its signature is looked at all the same. */
static void a_signature_that_the_anchor_does_not_make_up_for_is_checked(void **state)
{
    int i;
    (void)state;
    for (int forged = 0; forged < 2; forged++) {
        opens(DP_OK);
        assert_int_equal(pay_online(w.j, 1 + (uint32_t)forged * 10), DP_OK);
        assert_int_equal(dp_journal_snapshot(w.j), DP_OK);
        restart("anchor_extend 1 wear\n");
        assert_true(w.opened.resumed);
        assert_int_equal(pay_offline(w.j, 2 + (uint32_t)forged * 10), DP_OK);
        world_kill(&w);
        world_script(&w, NULL);
        forge_load(&f, &w.mem);
        for (i = f.n - 1; !f.parts[i].signature; i--)
            ;
        f.parts[i].payload[f.parts[i].n - 1] ^= (uint8_t)forged;
        forge_store(&f, &w.mem);
        opens(forged ? DP_ERR_TAMPERED : DP_OK);
        world_close(&w);
    }
}

static void a_round_does_not_end_while_degraded(void **state)
{
    (void)state;
    dies("error");
    assert_int_equal(dp_journal_rotate(w.j), DP_ERR_STATE);
    assert_int_equal(dp_journal_close_round(w.j), DP_ERR_STATE);
    assert_int_equal(pay_online(w.j, 3), DP_OK); /* and nothing has stopped */
    assert_int_equal(dp_journal_try_anchor(w.j), DP_OK);
    assert_int_equal(dp_journal_rotate(w.j), DP_OK);
}

static void a_dead_anchor_begins_no_journal(void **state)
{
    (void)state;
    world_script(&w, "anchor_read 1 wear\n");
    opens(DP_ERR_TOKEN);
    opens(DP_ERR_TOKEN);
}

static void an_older_rounds_copy_is_refused_by_its_key(void **state)
{
    struct memstore kept;
    (void)state;
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    world_close(&w);
    memstore_copy(&kept, &w.mem);
    opens(DP_OK);
    assert_int_equal(dp_journal_rotate(w.j), DP_OK);
    world_close(&w);
    memstore_free(&w.mem);
    w.mem = kept;
    world_script(&w, "anchor_read 1 wear\n");
    opens(DP_ERR_ROLLBACK);
}

static void without_the_key_there_is_no_such_mode(void **state)
{
    (void)state;
    opens(DP_OK);
    restart("anchor_extend 3 error\nsign 4 wear\n");
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    assert_int_equal(pay_online(w.j, 2), DP_ERR_TOKEN);
    assert_int_equal(pay_online(w.j, 3), DP_ERR_STATE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)
    const struct CMUnitTest tests[] = {
        TEST(a_dead_anchor_leaves_a_signed_journal),
        TEST(an_anchor_that_works_again_catches_up),
        TEST(many_bodies_are_caught_up_some_at_a_time),
        TEST(it_stops_before_a_reader_would_call_it_tampering),
        TEST(catching_up_may_be_cut_anywhere),
        TEST(an_extension_that_was_done_and_failed_is_not_done_twice),
        TEST(a_dead_anchor_at_start_is_degraded_from_there),
        TEST(an_older_copy_is_a_rollback_once_it_was_caught_up),
        TEST(a_cut_behind_the_record_is_a_crash_before_the_extension),
        TEST(a_signature_that_the_anchor_does_not_make_up_for_is_checked),
        TEST(a_round_does_not_end_while_degraded),
        TEST(a_dead_anchor_begins_no_journal),
        TEST(an_older_rounds_copy_is_refused_by_its_key),
        TEST(without_the_key_there_is_no_such_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
