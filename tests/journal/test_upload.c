/* SPDX-License-Identifier: Apache-2.0 */
/* What the collector acknowledges, and what becomes of segments that it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/cose.h>

#include "journal/archive.h"
#include "world.h"

static struct world w;

static int make(void **state)
{
    (void)state;
    world_make(&w);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

static void pay(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        assert_int_equal(pay_online(w.j, i), DP_OK);
}

static void is_fresh(void)
{
    struct dp_verify_result v;
    verify_mem(&w, true, &v);
    assert_string_equal(v.rule != NULL ? v.words : "", "");
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
}

static void refused(const struct ack *a, int want, const char *words)
{
    uint8_t cose[512], point[65];
    struct dp_record r;
    char error[160];
    struct dp_totals before, after;
    uint8_t id[16];
    size_t n = collector_sign(&w, a, cose);
    collector_point(&w, point);
    dp_journal_totals(w.j, &before);
    assert_int_equal(dp_journal_acknowledge(w.j, cose, n, point, &r, error, sizeof error), want);
    if (strstr(error, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error, words);
    dp_journal_totals(w.j, &after);
    assert_memory_equal(&before, &after, sizeof before);
    dp_journal_id(w.j, id);
}

/* ---- acknowledgements ---- */

static void an_acknowledgement_is_a_record_that_can_be_checked_again(void **state)
{
    struct dp_verify_options o;
    struct dp_verify_result v;
    struct ack a;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    pay(1, 4);
    collector_head(&w, &a);
    assert_int_equal(collector_acknowledges(&w, &a), DP_OK);
    memset(&o, 0, sizeof o);
    o.has_collector = o.has_anchor = true;
    collector_point(&w, o.collector);
    assert_int_equal(dp_hsm_anchor_read(w.hsm, o.anchor), DP_OK);
    assert_int_equal(dp_journal_verify(&w.config.store, &o, NULL, NULL, &v), DP_OK);
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
    assert_int_equal(v.acknowledged, a.size);
    assert_int_equal(dp_hsm_public(w.hsm, DP_KEY_JOURNAL_IDENTITY, o.collector), DP_OK);
    assert_int_equal(dp_journal_verify(&w.config.store, &o, NULL, NULL, &v), DP_OK);
    assert_int_equal(v.verdict, DP_VERDICT_TAMPERED);
    assert_string_equal(v.rule, "acknowledgement-signature");
}

static void what_is_not_of_this_journals_checkpoints_is_refused(void **state)
{
    struct ack good, a;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    pay(1, 4);
    collector_head(&w, &good);
    a = good;
    a.journal[0] ^= 1;
    refused(&a, DP_ERR_MISMATCH, "of another journal");
    a = good;
    a.size += 1000;
    refused(&a, DP_ERR_RANGE, "the journal has 17 in all");
    a = good;
    a.size--;
    refused(&a, DP_ERR_NOT_FOUND, "no checkpoint at");
    a = good;
    a.root[31] ^= 1;
    refused(&a, DP_ERR_MISMATCH, "other records under this journal's name");
    a = good;
    a.anchor[31] ^= 1;
    refused(&a, DP_ERR_MISMATCH, "another anchor");
    assert_int_equal(collector_acknowledges(&w, &good), DP_OK);
    is_fresh();
}

static void an_older_or_a_repeated_one_is_refused_after_a_restart_too(void **state)
{
    struct ack first, second;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    pay(1, 3);
    collector_head(&w, &first);
    pay(3, 20); /* over more than one segment */
    collector_head(&w, &second);
    assert_int_equal(collector_acknowledges(&w, &second), DP_OK);
    for (int again = 0; again < 2; again++) {
        refused(&first, DP_ERR_ROLLBACK, "older than the last");
        refused(&second, DP_ERR_DUPLICATE, "before");
        first.root[0] ^= 1; /* an older one of another history is another matter */
        refused(&first, DP_ERR_MISMATCH, "other records");
        first.root[0] ^= 1;
        world_close(&w);
        assert_int_equal(world_open(&w), DP_OK);
    }
    is_fresh();
}

static void only_the_collectors_signature_counts(void **state)
{
    uint8_t cose[512], point[65], other[65];
    struct dp_record r;
    struct ack a;
    char error[160];
    size_t n;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    pay(1, 3);
    collector_head(&w, &a);
    n = collector_sign(&w, &a, cose);
    collector_point(&w, point);
    assert_int_equal(dp_hsm_public(w.hsm, DP_KEY_JOURNAL_IDENTITY, other), DP_OK);
    assert_int_equal(dp_journal_acknowledge(w.j, cose, n, other, &r, error, sizeof error),
                     DP_ERR_SIGNATURE);
    assert_non_null(strstr(error, "another key"));
    cose[n - 1] ^= 1;
    assert_int_equal(dp_journal_acknowledge(w.j, cose, n, point, &r, error, sizeof error),
                     DP_ERR_SIGNATURE);
    assert_non_null(strstr(error, "not valid"));
    cose[n - 1] ^= 1;
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(dp_journal_acknowledge(w.j, cose, cut, point, &r, error, sizeof error),
                         DP_ERR_FORMAT);
    assert_int_equal(dp_journal_acknowledge(w.j, cose, n, point, &r, error, sizeof error), DP_OK);
    assert_int_equal(r.type, DP_RECORD_UPLOAD_ACK);
    assert_memory_equal(r.body, cose, n);
}

static void nobody_appends_one_unseen(void **state)
{
    struct dp_record r;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    record_of(&r, DP_RECORD_UPLOAD_ACK, 1);
    r.has_digest = true;
    r.body_n = 5;
    assert_int_equal(dp_journal_append(w.j, &r), DP_ERR_ARG);
}

/* ---- archives ---- */

static uint32_t segments(void)
{
    uint32_t n = 0;
    while (memstore_segment(&w.mem, n + 1) != NULL || memstore_archive(&w.mem, n + 1) != NULL)
        n++;
    return n;
}

static uint32_t archives(void)
{
    uint32_t n = 0;
    for (uint32_t i = 1; i <= segments(); i++)
        n += memstore_archive(&w.mem, i) != NULL && memstore_segment(&w.mem, i) == NULL;
    return n;
}

static void archive_all(void)
{
    bool more = true;
    for (unsigned calls = 0; more; calls++) {
        uint32_t before = archives();
        assert_true(calls < 100);
        assert_int_equal(dp_journal_archive(w.j, &more), DP_OK);
        assert_true(archives() <= before + 1); /* a little at a time */
    }
}

static void nothing_is_archived_before_it_is_acknowledged(void **state)
{
    struct ack a;
    uint32_t number;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    pay(1, 20);
    archive_all();
    assert_int_equal(archives(), 0);
    collector_head(&w, &a);
    number = segments(); /* the last of these is not whole in what is acknowledged */
    pay(20, 60);
    assert_true(segments() > number + 3);
    archive_all();
    assert_int_equal(archives(), 0);
    assert_int_equal(collector_acknowledges(&w, &a), DP_OK);
    archive_all();
    assert_int_equal(archives(), number - 1);
    assert_null(memstore_archive(&w.mem, number));
    is_fresh();
    collector_head(&w, &a);
    number = segments(); /* the acknowledgement itself may go into the next one */
    assert_int_equal(collector_acknowledges(&w, &a), DP_OK);
    archive_all();
    assert_int_equal(archives(), number - 1); /* the one that is written to stays */
    is_fresh();
}

static void a_restart_goes_on_with_archives(void **state)
{
    struct ack a;
    uint32_t before;
    bool more;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    pay(1, 40);
    collector_head(&w, &a);
    assert_int_equal(collector_acknowledges(&w, &a), DP_OK);
    assert_int_equal(dp_journal_archive(w.j, &more), DP_OK);
    assert_int_equal(dp_journal_archive(w.j, &more), DP_OK);
    before = archives();
    assert_int_equal(before, 2);
    world_close(&w);
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(w.seen, w.opened.records);
    pay(100, 110);
    archive_all();
    assert_true(archives() > before);
    refused(&a, DP_ERR_DUPLICATE, "before"); /* its checkpoint may be in an archive by now */
    is_fresh();
}

/* An archive that is there and is none stops the rest, and not the journal. */
static void a_bad_archive_is_left_with_its_segment(void **state)
{
    struct ack a;
    struct node *n;
    bool more = true;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    pay(1, 30);
    collector_head(&w, &a);
    assert_int_equal(collector_acknowledges(&w, &a), DP_OK);
    n = memstore_segment(&w.mem, 2);
    memcpy(n->name, "seg-00000002.dpj.zst", 21);
    assert_int_equal(dp_journal_archive(w.j, &more), DP_OK);
    assert_false(more);
    assert_non_null(memstore_segment(&w.mem, 1));
    memcpy(n->name, "seg-00000002.dpj", 17);
    pay(200, 202);
    assert_int_equal(dp_journal_archive(w.j, &more), DP_OK);
    assert_non_null(memstore_segment(&w.mem, 1)); /* not in this run any more */
    is_fresh();
}

/* Its flush was a lie, and the power went before the file was removed. */
static void an_archive_that_never_reached_the_disk_is_made_again(void **state)
{
    struct ack a;
    struct node *n;
    uint8_t *kept;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    pay(1, 30);
    collector_head(&w, &a);
    assert_int_equal(collector_acknowledges(&w, &a), DP_OK);
    kept = malloc(w.segment_bytes);
    assert_non_null(kept);
    memcpy(kept, memstore_segment(&w.mem, 1)->data, w.segment_bytes);
    archive_all();
    world_close(&w);
    n = memstore_archive(&w.mem, 1);
    {
        struct node *file = &w.mem.nodes[w.mem.nodes_n++];
        assert_true(w.mem.nodes_n < NODES_MAX);
        *file = *n;
        file->data = kept;
        file->durable = malloc(1);
        file->dirty = calloc(1, 16);
        assert_true(file->durable != NULL && file->dirty != NULL);
        file->n = w.segment_bytes;
        file->durable_n = 0;
        (void)snprintf(file->name, sizeof file->name, "seg-%08u.dpj", 1U);
    }
    memset(n->data, 0, n->n);
    is_fresh();
    assert_int_equal(world_open(&w), DP_OK);
    archive_all();
    assert_null(memstore_segment(&w.mem, 1));
    is_fresh();
}

static void fails_once(enum fault fault, unsigned nth)
{
    bool more = true;
    memstore_fail(&w.mem, fault, nth);
    while (more)
        assert_int_equal(dp_journal_archive(w.j, &more), DP_OK);
    w.mem.fault = FAULT_NONE;
}

static void a_disk_that_fails_costs_an_archive_and_nothing_else(void **state)
{
    struct ack a;
    uint32_t pays = 100;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    pay(1, 30);
    collector_head(&w, &a);
    assert_int_equal(collector_acknowledges(&w, &a), DP_OK);
    for (unsigned nth = 1; nth < 9; nth++) {
        fails_once(nth % 2 != 0 ? FAULT_FULL : FAULT_SHORT, nth);
        pay(pays, pays + 1);
        pays++;
        is_fresh();
        world_close(&w);
        assert_int_equal(world_open(&w), DP_OK);
    }
    archive_all();
    assert_true(archives() >= 4);
    is_fresh();
}

/* Cut at every call: every segment is there, as a file, an archive or both; the next start goes on
 * with it, and the end is the same. */
static void a_power_cut_leaves_the_segment_its_archive_or_both(void **state)
{
    struct memstore base;
    struct ack a;
    unsigned cuts = 0, both = 0;
    bool came = true;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    pay(1, 18);
    collector_head(&w, &a);
    assert_int_equal(collector_acknowledges(&w, &a), DP_OK);
    world_close(&w);
    memstore_copy(&base, &w.mem);
    world_token_keep(&w);
    for (unsigned nth = 1; came; nth++) {
        /* around the first archive's names every way that they may be lost */
        for (uint64_t seed = 1; seed < (nth >= 5 && nth <= 7 ? 24 : 3); seed++) {
            bool more = true;
            memstore_free(&w.mem);
            memstore_copy(&w.mem, &base);
            world_token_restore(&w);
            assert_int_equal(world_open(&w), DP_OK);
            assert_int_equal(dp_journal_flush(w.j), DP_OK);
            memstore_fail(&w.mem, seed % 2 != 0 ? FAULT_CUT : FAULT_TORN, nth);
            while (more)
                assert_int_equal(dp_journal_archive(w.j, &more), DP_OK);
            came = w.mem.dead;
            w.mem.dead = true;
            dp_journal_free(&w.j);
            memstore_power_on(&w.mem, seed);
            for (uint32_t i = 1; i <= 2; i++)
                both += memstore_segment(&w.mem, i) != NULL && memstore_archive(&w.mem, i) != NULL;
            is_fresh();
            assert_int_equal(world_open(&w), DP_OK);
            archive_all();
            assert_true(archives() >= 2);
            pay(300, 301);
            is_fresh();
            world_close(&w);
            cuts++;
        }
    }
    assert_true(cuts > 20 && both > 1);
    memstore_free(&base);
}

/* ---- the format ---- */

static void an_archive_gives_back_the_segment_and_takes_no_other_form(void **state)
{
    static uint8_t segment[DP_JOURNAL_SEGMENT_BYTES], again[DP_JOURNAL_SEGMENT_BYTES],
        packed[DP_JOURNAL_ARCHIVE_BYTES + 16];
    static const uint8_t skippable[] = {0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
    static const size_t sizes[] = {DP_JOURNAL_SEGMENT_MIN, 65536, 65800, DP_JOURNAL_SEGMENT_BYTES};
    size_t n = 0, got = 0;
    const struct dp_random *random = dp_random_system();
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(random->fill(random->ctx, segment, sizes[i] / (i % 2 + 1)), DP_OK);
        assert_int_equal(archive_pack(segment, sizes[i], packed, DP_JOURNAL_ARCHIVE_BYTES, &n),
                         DP_OK);
        assert_int_equal(archive_unpack(packed, n, again, sizeof again, &got), DP_OK);
        assert_int_equal(got, sizes[i]);
        assert_memory_equal(again, segment, got);
        assert_int_equal(archive_unpack(packed, n, again, sizes[i] - 1, &got), DP_ERR_RANGE);
        assert_int_equal(archive_unpack(packed, n - 1, again, sizeof again, &got), DP_ERR_FORMAT);
        packed[n] = 0;
        assert_int_equal(archive_unpack(packed, n + 1, again, sizeof again, &got), DP_ERR_FORMAT);
        memcpy(packed + n, skippable, sizeof skippable);
        assert_int_equal(archive_unpack(packed, n + sizeof skippable, again, sizeof again, &got),
                         DP_ERR_FORMAT);
        packed[n - 1] ^= 1; /* its check sum */
        assert_int_equal(archive_unpack(packed, n, again, sizeof again, &got), DP_ERR_FORMAT);
        assert_int_equal(got, 0);
    }
}

static void names_are_those_of_the_format(void **state)
{
    char name[ARCHIVE_NAME_BYTES];
    (void)state;
    archive_name(12345678, name);
    assert_string_equal(name, "seg-12345678.dpj.zst");
    assert_int_equal(archive_number(name), 12345678);
    assert_int_equal(archive_number("seg-00000007.dpj.zst"), 7);
    assert_int_equal(archive_number("seg-00000000.dpj.zst"), 0);
    assert_int_equal(archive_number("seg-00000007.dpj"), 0);
    assert_int_equal(archive_number("seg-00000007.dpj.zsx"), 0);
    assert_int_equal(archive_number("seg-0000007x.dpj.zst"), 0);
    assert_int_equal(archive_number(""), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)
    const struct CMUnitTest tests[] = {
        TEST(an_acknowledgement_is_a_record_that_can_be_checked_again),
        TEST(what_is_not_of_this_journals_checkpoints_is_refused),
        TEST(an_older_or_a_repeated_one_is_refused_after_a_restart_too),
        TEST(only_the_collectors_signature_counts),
        TEST(nobody_appends_one_unseen),
        TEST(nothing_is_archived_before_it_is_acknowledged),
        TEST(a_restart_goes_on_with_archives),
        TEST(a_bad_archive_is_left_with_its_segment),
        TEST(an_archive_that_never_reached_the_disk_is_made_again),
        TEST(a_disk_that_fails_costs_an_archive_and_nothing_else),
        TEST(a_power_cut_leaves_the_segment_its_archive_or_both),
        cmocka_unit_test(an_archive_gives_back_the_segment_and_takes_no_other_form),
        cmocka_unit_test(names_are_those_of_the_format),
    };
    dp_log_set(NULL, NULL, DP_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
