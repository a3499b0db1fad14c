/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <psa/crypto.h>

#include "base/limits.h"
#include "journal/side.h"
#include "world.h"

static struct world w;
static const uint8_t secret[] = "999901000000001234D28122";
static const struct dp_bytes blob = {secret, sizeof secret - 1};

static int make(void **state)
{
    (void)state;
    world_make(&w);
    return world_open(&w);
}

static int unmake(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

static const uint8_t *tx(uint8_t number)
{
    static uint8_t id[16];
    memset(id, number, sizeof id);
    return id;
}

static void put(uint8_t number, enum dp_side_kind kind)
{
    uint8_t commitment[32];
    assert_int_equal(dp_side_put(w.j, tx(number), kind, blob, commitment), DP_OK);
}

static int get(uint8_t number, enum dp_side_kind kind)
{
    uint8_t out[DP_SEALED_MAX];
    size_t n;
    int err = dp_side_get(w.j, tx(number), kind, out, sizeof out, &n);
    if (err == DP_OK) {
        assert_int_equal(n, blob.n);
        assert_memory_equal(out, blob.p, n);
    }
    return err;
}

static bool on_disk(const void *p, size_t n)
{
    for (int i = 0; i < w.mem.nodes_n; i++) {
        const struct node *node = &w.mem.nodes[i];
        if (node->n >= n && memmem(node->data, node->n, p, n) != NULL)
            return true;
    }
    return false;
}

static struct node *generation(unsigned number)
{
    char path[80];
    uint8_t id[16];
    dp_journal_id(w.j, id);
    for (unsigned i = 0; i < 16; i++)
        snprintf(path + 2 * i, 3, "%02x", id[i]);
    snprintf(path + 32, sizeof path - 32, "/side/gen-%u.dps", number);
    return memstore_file(&w.mem, path);
}

static void what_is_kept_comes_back_and_is_never_in_clear(void **state)
{
    uint8_t commitment[32], hash[32], file[256];
    size_t n;
    psa_hash_operation_t op = PSA_HASH_OPERATION_INIT;
    (void)state;
    assert_int_equal(dp_side_put(w.j, tx(1), DP_SIDE_PAN, blob, commitment), DP_OK);
    put(1, DP_SIDE_TRACK2);
    put(2, DP_SIDE_PAN);
    assert_int_equal(get(1, DP_SIDE_PAN), DP_OK);
    assert_int_equal(get(1, DP_SIDE_TRACK2), DP_OK);
    assert_int_equal(get(2, DP_SIDE_TRACK2), DP_ERR_NOT_FOUND);
    assert_int_equal(get(3, DP_SIDE_PAN), DP_ERR_NOT_FOUND);
    assert_false(on_disk(secret, 12));
    /* the commitment is the hash of salt and blob: the salt stands behind kind and tx */
    memcpy(file, generation(1)->data, sizeof file);
    assert_memory_equal(file + 12, "\x84\x01\x50", 3);
    assert_int_equal(psa_hash_setup(&op, PSA_ALG_SHA_256), PSA_SUCCESS);
    assert_int_equal(psa_hash_update(&op, file + 12 + 3 + 16 + 1, 16), PSA_SUCCESS);
    assert_int_equal(psa_hash_update(&op, blob.p, blob.n), PSA_SUCCESS);
    assert_int_equal(psa_hash_finish(&op, hash, sizeof hash, &n), PSA_SUCCESS);
    assert_memory_equal(hash, commitment, sizeof hash);
}

static void limits_are_held(void **state)
{
    uint8_t commitment[32], big[DP_SEALED_MAX + 1] = {1}, out[8];
    size_t n;
    (void)state;
    put(1, DP_SIDE_PAN);
    assert_int_equal(dp_side_put(w.j, tx(1), DP_SIDE_PAN, blob, commitment), DP_ERR_DUPLICATE);
    assert_int_equal(
        dp_side_put(w.j, tx(2), DP_SIDE_PAN, (struct dp_bytes){big, sizeof big}, commitment),
        DP_ERR_ARG);
    assert_int_equal(dp_side_put(w.j, tx(2), DP_SIDE_PAN, (struct dp_bytes){big, 0}, commitment),
                     DP_ERR_ARG);
    assert_int_equal(dp_side_put(w.j, tx(2), (enum dp_side_kind)3, blob, commitment), DP_ERR_ARG);
    assert_int_equal(
        dp_side_put(w.j, tx(2), DP_SIDE_PAN, (struct dp_bytes){big, DP_SEALED_MAX}, commitment),
        DP_OK);
    assert_int_equal(dp_side_get(w.j, tx(1), DP_SIDE_PAN, out, sizeof out, &n), DP_ERR_SPACE);
}

static void a_full_disk_refuses_and_goes_on(void **state)
{
    uint8_t commitment[32];
    (void)state;
    put(1, DP_SIDE_PAN);
    memstore_fail(&w.mem, FAULT_FULL, 1);
    assert_int_equal(dp_side_put(w.j, tx(2), DP_SIDE_PAN, blob, commitment), DP_ERR_FULL);
    put(3, DP_SIDE_PAN);
    assert_int_equal(get(1, DP_SIDE_PAN), DP_OK);
    assert_int_equal(get(2, DP_SIDE_PAN), DP_ERR_NOT_FOUND);
    assert_int_equal(get(3, DP_SIDE_PAN), DP_OK);
    assert_int_equal(pay_offline(w.j, 9), DP_OK);
    memstore_fail(&w.mem, FAULT_IO, 1);
    assert_int_equal(dp_side_put(w.j, tx(4), DP_SIDE_PAN, blob, commitment), DP_ERR_IO);
    assert_int_equal(dp_journal_checkpoint(w.j), DP_ERR_STATE);
}

static void is_there_after_a_restart_when_it_was_flushed(void **state)
{
    (void)state;
    put(1, DP_SIDE_PAN);
    assert_int_equal(pay_offline(w.j, 9), DP_OK); /* its flush is the side store's too */
    put(2, DP_SIDE_PAN);
    w.mem.dead = true;
    dp_journal_free(&w.j);
    memstore_power_on(&w.mem, 5);
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(get(1, DP_SIDE_PAN), DP_OK);
    put(3, DP_SIDE_PAN);
    assert_int_equal(get(3, DP_SIDE_PAN), DP_OK);
}

static void a_torn_end_is_written_over(void **state)
{
    struct node *file;
    size_t n;
    (void)state;
    put(1, DP_SIDE_PAN);
    file = generation(1);
    n = file->n;
    put(2, DP_SIDE_PAN);
    put(3, DP_SIDE_PAN);
    assert_int_equal(dp_journal_flush(w.j), DP_OK);
    world_kill(&w);
    file->data[n + 20] ^= 1; /* the second is torn, the third is whole behind it */
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(get(1, DP_SIDE_PAN), DP_OK);
    assert_int_equal(get(2, DP_SIDE_PAN), DP_ERR_NOT_FOUND);
    assert_int_equal(get(3, DP_SIDE_PAN), DP_ERR_NOT_FOUND);
    put(4, DP_SIDE_PAN); /* of the second's size: the third must not come back behind it */
    world_close(&w);
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(get(4, DP_SIDE_PAN), DP_OK);
    assert_int_equal(get(3, DP_SIDE_PAN), DP_ERR_NOT_FOUND);
}

static void a_blob_of_another_transaction_is_tampering(void **state)
{
    struct node *file = generation(1);
    size_t n;
    (void)state;
    put(1, DP_SIDE_PAN);
    n = file->n;
    put(2, DP_SIDE_PAN);
    file->data[n + 40] ^= 1; /* in the second's salt: its check sum says no */
    assert_int_equal(get(2, DP_SIDE_PAN), DP_ERR_TAMPERED);
    assert_int_equal(get(1, DP_SIDE_PAN), DP_OK);
}

static void dropped_is_gone_at_once_and_unreadable_after_the_shred(void **state)
{
    static uint8_t old[8192];
    size_t n;
    (void)state;
    put(1, DP_SIDE_PAN);
    put(1, DP_SIDE_TRACK2);
    put(2, DP_SIDE_PAN);
    assert_int_equal(dp_side_drop(w.j, tx(1), DP_SIDE_PAN), DP_OK);
    assert_int_equal(dp_side_drop(w.j, tx(1), DP_SIDE_PAN), DP_ERR_NOT_FOUND);
    assert_int_equal(get(1, DP_SIDE_PAN), DP_ERR_NOT_FOUND);
    assert_int_equal(get(1, DP_SIDE_TRACK2), DP_OK);
    world_close(&w);
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(get(1, DP_SIDE_PAN), DP_ERR_NOT_FOUND);
    n = generation(1)->n;
    memcpy(old, generation(1)->data, n);
    assert_int_equal(dp_side_shred(w.j), DP_OK);
    assert_null(generation(1));
    assert_non_null(generation(2));
    assert_int_equal(get(1, DP_SIDE_TRACK2), DP_OK);
    assert_int_equal(get(2, DP_SIDE_PAN), DP_OK);
    /* whoever kept the old file has nothing: the key is gone */
    assert_int_equal(dp_hsm_unwrap(w.hsm, 1, (struct dp_bytes){old, 33},
                                   (struct dp_bytes){old + 50, 52}, old + 4096, 100, &n),
                     DP_ERR_NOT_FOUND);
    world_close(&w);
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(get(2, DP_SIDE_PAN), DP_OK);
    assert_int_equal(get(1, DP_SIDE_PAN), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_side_shred(w.j), DP_OK);
    assert_non_null(generation(3));
}

static void a_shred_is_a_record(void **state)
{
    struct dp_verify_result v;
    (void)state;
    put(1, DP_SIDE_PAN);
    assert_int_equal(dp_side_shred(w.j), DP_OK);
    assert_int_equal(dp_journal_checkpoint(w.j), DP_OK);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
    assert_int_equal(v.records, 4);
}

/* Killed between the survivors' new file and the SHRED record, and between that and the old key's
 * end. */
static void an_interrupted_shred_loses_nothing_and_is_finished(void **state)
{
    uint32_t current;
    int err = DP_ERR_IO;
    unsigned call;
    (void)state;
    for (call = 1; err != DP_OK; call++) {
        if (w.j == NULL)
            assert_int_equal(world_open(&w), DP_OK);
        if (call <= 4)
            put((uint8_t)(10 + call), DP_SIDE_PAN);
        assert_int_equal(dp_journal_checkpoint(w.j), DP_OK);
        memstore_fail(&w.mem, FAULT_CUT, call);
        err = dp_side_shred(w.j);
        world_kill(&w);
        assert_int_equal(world_open(&w), DP_OK);
        for (unsigned i = 1; i <= call && i <= 4; i++)
            assert_int_equal(get((uint8_t)(10 + i), DP_SIDE_PAN), DP_OK);
        assert_int_equal(dp_side_shred(w.j), DP_OK);
        assert_int_equal(dp_hsm_wrap_generation(w.hsm, &current), DP_OK);
        assert_non_null(generation(current));
        for (unsigned g = 1; g < current; g++) {
            uint8_t out[64];
            size_t n;
            assert_null(generation(g));
            assert_int_equal(dp_hsm_wrap(w.hsm, g, blob, blob, out, sizeof out, &n),
                             DP_ERR_NOT_FOUND);
        }
    }
    assert_in_range(call, 12, 30);
}

static void a_frame_is_read_strictly(void **state)
{
    uint8_t p[128], wrapped[40] = {7};
    struct side_item item = {2, {1}, {2}, {wrapped, sizeof wrapped}}, back;
    size_t n;
    (void)state;
    assert_int_equal(side_item_write(&item, p, sizeof p, &n), DP_OK);
    assert_int_equal(side_item_read(p, n, &back), DP_OK);
    assert_int_equal(back.kind, 2);
    assert_memory_equal(back.salt, item.salt, sizeof item.salt);
    assert_int_equal(side_item_read(p, n - 1, &back), DP_ERR_SHORT);
    p[1] = 5; /* no such kind */
    assert_int_equal(side_item_read(p, n, &back), DP_ERR_RANGE);
    p[1] = 3; /* dropped, and something wrapped */
    assert_int_equal(side_item_read(p, n, &back), DP_ERR_RANGE);
    item.kind = 1;
    item.wrapped.n = 0;
    assert_int_equal(side_item_write(&item, p, sizeof p, &n), DP_OK);
    assert_int_equal(side_item_read(p, n, &back), DP_ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, make, unmake)
        T(what_is_kept_comes_back_and_is_never_in_clear),
        T(limits_are_held),
        T(a_full_disk_refuses_and_goes_on),
        T(is_there_after_a_restart_when_it_was_flushed),
        T(a_torn_end_is_written_over),
        T(a_blob_of_another_transaction_is_tampering),
        T(dropped_is_gone_at_once_and_unreadable_after_the_shred),
        T(a_shred_is_a_record),
        T(an_interrupted_shred_loses_nothing_and_is_finished),
        T(a_frame_is_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
