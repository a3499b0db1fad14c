/* SPDX-License-Identifier: Apache-2.0 */
/* Proofs are made of the files alone, prove what they say, and nothing else is ever handed out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "forge.h"
#include "journal/archive.h"
#include "journal/tree.h"
#include "proofs.h"

static struct proofs p;
static struct proof_file f, other;
static struct dp_proof proof, second;
static const char *rule;

static int make(void **state)
{
    (void)state;
    proofs_make(&p);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    proofs_remove(&p);
    return 0;
}

/* A new index for each test. */
static int begin(void **state)
{
    (void)state;
    memstore_free(&p.index);
    memstore_init(&p.index);
    return 0;
}

static int check(const struct proof_file *file)
{
    assert_int_equal(dp_proof_read(file->p, file->n, &proof), DP_OK);
    return dp_proof_check(&proof, (const uint8_t(*)[65])p.identity, 1, NULL, &rule);
}

static struct node *index_file(void)
{
    struct node *n = memstore_file(&p.index, "tree");
    assert_non_null(n);
    return n;
}

static void every_record_is_proven_with_its_bytes(void **state)
{
    uint8_t record[DP_JOURNAL_RECORD_MAX];
    struct dp_record r;
    unsigned key;
    size_t n;
    (void)state;
    assert_int_equal(proofs_open(&p, 0), DP_OK);
    assert_true(p.newest > 40);
    assert_int_equal(dp_prover_size(p.prover), p.newest);
    for (uint64_t seq = 0; seq < p.newest; seq++) {
        assert_int_equal(proofs_inclusion(&p, seq, &f), DP_OK);
        assert_int_equal(check(&f), DP_OK);
        assert_null(rule);
        assert_int_equal(proof.kind, DP_PROOF_INCLUSION);
        assert_int_equal(proof.index, seq);
        assert_int_equal(proof.size, p.newest);
        assert_int_equal(dp_prover_record(p.prover, seq, record, sizeof record, &n), DP_OK);
        assert_int_equal(dp_record_decode(record, n, &r, &key), DP_OK);
        assert_int_equal(r.seq, seq);
        assert_memory_equal(r.journal, proof.journal, sizeof r.journal);
        assert_int_equal(dp_proof_check_record(&proof, (struct dp_bytes){record, n}, &rule), DP_OK);
        record[n - 1] ^= 1;
        assert_int_equal(dp_proof_check_record(&proof, (struct dp_bytes){record, n}, &rule),
                         DP_ERR_MISMATCH);
        assert_string_equal(rule, "record-mismatch");
        assert_int_equal(dp_prover_record(p.prover, seq, record, n - 1, &n), DP_ERR_SPACE);
    }
    assert_int_equal(proofs_inclusion(&p, p.newest, &f), DP_ERR_RANGE);
    assert_int_equal(dp_prover_record(p.prover, p.newest, record, sizeof record, &n), DP_ERR_RANGE);
    assert_int_equal(dp_prover_inclusion(p.prover, 3, f.p, 300, &f.n), DP_ERR_SPACE);
}

/* The root that the journal had when it had no more, as its own checkpoint says. */
static void every_checkpoint_is_the_beginning_of_the_newest(void **state)
{
    unsigned checkpoints = 0;
    (void)state;
    for (uint64_t size = 1; size < p.newest; size++) {
        int err = proofs_open(&p, size);
        if (err == DP_ERR_NOT_FOUND)
            continue;
        assert_int_equal(err, DP_OK);
        checkpoints++;
        assert_int_equal(proofs_inclusion(&p, 0, &other), DP_OK);
        assert_int_equal(check(&other), DP_OK);
        assert_int_equal(dp_proof_read(other.p, other.n, &second), DP_OK);
        assert_int_equal(second.size, size);
        assert_int_equal(proofs_open(&p, 0), DP_OK);
        assert_int_equal(proofs_consistency(&p, size, &f), DP_OK);
        assert_int_equal(check(&f), DP_OK);
        assert_int_equal(proof.kind, DP_PROOF_CONSISTENCY);
        assert_memory_equal(proof.hash, second.root, sizeof proof.hash);
        assert_int_equal(
            dp_proof_check_head(&proof, second.journal, second.size, second.root, &rule), DP_OK);
        assert_int_equal(
            dp_proof_check_head(&proof, second.journal, second.size + 1, second.root, &rule),
            DP_ERR_MISMATCH);
        assert_string_equal(rule, "head-mismatch");
        assert_int_equal(dp_proof_check_record(&proof, (struct dp_bytes){NULL, 0}, &rule),
                         DP_ERR_MISMATCH);
        assert_int_equal(
            dp_proof_check_head(&second, second.journal, second.index, second.hash, &rule),
            DP_ERR_MISMATCH);
    }
    assert_int_equal(checkpoints, 19); /* OPEN's, KEY_ROTATE's, 9 payments' two but the newest */
    assert_int_equal(proofs_open(&p, 0), DP_OK);
    assert_int_equal(proofs_consistency(&p, 0, &f), DP_ERR_RANGE);
    assert_int_equal(proofs_consistency(&p, p.newest, &f), DP_ERR_RANGE);
}

static void both_epochs_lead_to_the_same_identity_key(void **state)
{
    uint32_t epoch = 0;
    (void)state;
    assert_int_equal(proofs_open(&p, 1), DP_OK);
    assert_int_equal(proofs_inclusion(&p, 0, &f), DP_OK);
    assert_int_equal(dp_proof_read(f.p, f.n, &proof), DP_OK);
    assert_int_equal(dp_proof_check(&proof, (const uint8_t(*)[65])p.identity, 1, &epoch, &rule),
                     DP_OK);
    assert_int_equal(epoch, 1);
    assert_int_equal(proofs_open(&p, 0), DP_OK);
    assert_int_equal(proofs_inclusion(&p, 0, &f), DP_OK);
    assert_int_equal(dp_proof_read(f.p, f.n, &proof), DP_OK);
    assert_int_equal(dp_proof_check(&proof, (const uint8_t(*)[65])p.identity, 1, &epoch, &rule),
                     DP_OK);
    assert_int_equal(epoch, 2);
}

static void one_of_several_trusted_keys_is_enough_and_none_is_not(void **state)
{
    uint8_t keys[3][65];
    (void)state;
    assert_int_equal(proofs_open(&p, 0), DP_OK);
    assert_int_equal(proofs_inclusion(&p, 7, &f), DP_OK);
    assert_int_equal(dp_proof_read(f.p, f.n, &proof), DP_OK);
    memset(keys, 4, sizeof keys);
    memcpy(keys[2], p.identity[0], sizeof keys[2]);
    assert_int_equal(dp_proof_check(&proof, (const uint8_t(*)[65])keys, 3, NULL, &rule), DP_OK);
    assert_int_equal(dp_proof_check(&proof, (const uint8_t(*)[65])keys, 2, NULL, &rule),
                     DP_ERR_SIGNATURE);
    assert_string_equal(rule, "identity-mismatch");
    assert_int_equal(dp_proof_check(&proof, NULL, 0, NULL, &rule), DP_ERR_SIGNATURE);
    assert_string_equal(rule, "identity-mismatch");
}

static void each_field_damaged_is_named(void **state)
{
    unsigned n = 0;
    (void)state;
    assert_int_equal(proofs_open(&p, PROOFS_EPOCH_1), DP_OK);
    assert_int_equal(proofs_inclusion(&p, 0, &other), DP_OK);
    assert_int_equal(dp_proof_read(other.p, other.n, &second), DP_OK);
    assert_int_equal(proofs_open(&p, 0), DP_OK);
    for (int kind = 0; kind < 2; kind++) {
        struct proof_file good, bad;
        struct dp_proof whole;
        const char *due;
        assert_int_equal(
            kind == 0 ? proofs_inclusion(&p, 10, &good) : proofs_consistency(&p, 11, &good), DP_OK);
        assert_int_equal(dp_proof_read(good.p, good.n, &whole), DP_OK);
        for (n = 0; (due = proofs_damage(n, &whole, &second, &bad)) != NULL; n++) {
            int err = dp_proof_read(bad.p, bad.n, &proof);
            if (err == DP_OK)
                err = dp_proof_check(&proof, (const uint8_t(*)[65])p.identity, 1, NULL, &rule);
            else
                rule = "proof-format";
            assert_int_not_equal(err, DP_OK);
            assert_string_equal(rule, due);
        }
    }
    assert_true(n > 20);
}

static void text_is_base45_and_comes_back(void **state)
{
    /* RFC 9285, 4.3 */
    static const char *const plain[] = {"AB", "Hello!!", "base-45", "ietf!"};
    static const char *const text[] = {"DPJ1:BB8", "DPJ1:%69 VD92EX0", "DPJ1:UJCLQE7W581",
                                       "DPJ1:QED8WEX0"};
    static const char *const bad[] = {"DPJ1:GGX", "DPJ1::::", "DPJ1:::", "DPJ1:A",  "DPJ1:bb8",
                                      "DPJ2:BB8", "DPJ1",     "",        "dpj1:BB8"};
    char out[64];
    uint8_t back[64];
    size_t n;
    (void)state;
    for (int i = 0; i < 4; i++) {
        size_t plain_n = strlen(plain[i]);
        assert_int_equal(
            dp_proof_to_text((const uint8_t *)plain[i], plain_n, out, strlen(text[i]) + 1), DP_OK);
        assert_string_equal(out, text[i]);
        assert_int_equal(dp_proof_to_text((const uint8_t *)plain[i], plain_n, out, strlen(text[i])),
                         DP_ERR_SPACE);
        assert_int_equal(dp_proof_from_text(text[i], strlen(text[i]), back, plain_n, &n), DP_OK);
        assert_int_equal(n, plain_n);
        assert_memory_equal(back, plain[i], n);
        assert_int_equal(dp_proof_from_text(text[i], strlen(text[i]), back, plain_n - 1, &n),
                         DP_ERR_SPACE);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(dp_proof_from_text(bad[i], strlen(bad[i]), back, sizeof back, &n),
                         DP_ERR_FORMAT);
    assert_int_equal(dp_proof_from_text("DPJ1:BB8\r\n", 10, back, sizeof back, &n), DP_OK);
    assert_int_equal(n, 2);
}

/* ---- the prover ---- */

static void an_index_is_taken_and_no_segment_read(void **state)
{
    struct node *segment = NULL;
    (void)state;
    for (uint32_t number = 2; memstore_segment(&p.w.mem, number) != NULL; number++)
        segment = memstore_segment(&p.w.mem, number);
    assert_non_null(segment);
    assert_int_equal(proofs_open(&p, 0), DP_OK);
    segment->here = false; /* a scan would see it: it is gone */
    assert_int_equal(proofs_open(&p, 0), DP_OK);
    assert_int_equal(proofs_inclusion(&p, 30, &f), DP_OK);
    assert_int_equal(check(&f), DP_OK);
    p.config.covers = p.newest + 1; /* it does not reach that far: all must be read */
    dp_prover_free(&p.prover);
    assert_int_equal(dp_prover_open(&p.config, &p.prover), DP_ERR_NOT_FOUND);
    assert_null(p.prover);
    segment->here = true;
    assert_int_equal(dp_prover_open(&p.config, &p.prover), DP_ERR_NOT_FOUND);
    p.config.covers = p.newest;
    assert_int_equal(dp_prover_open(&p.config, &p.prover), DP_OK);
}

static void an_index_that_is_too_short_is_made_anew(void **state)
{
    (void)state;
    assert_int_equal(proofs_open(&p, 1), DP_OK);
    assert_int_equal(proofs_inclusion(&p, 1, &f), DP_ERR_RANGE);
    assert_int_equal(proofs_open(&p, 0), DP_OK);
    assert_int_equal(proofs_inclusion(&p, p.newest - 1, &f), DP_OK);
    assert_int_equal(check(&f), DP_OK);
    assert_int_equal(proofs_open(&p, 2), DP_ERR_NOT_FOUND); /* no checkpoint over two */
}

/* A right proof or none. */
static unsigned refused_of_all(void)
{
    unsigned refused = 0;
    for (uint64_t seq = 0; seq + 1 < p.newest; seq++) {
        int err = proofs_inclusion(&p, seq, &f);
        assert_true(err == DP_OK || err == DP_ERR_TAMPERED);
        refused += err != DP_OK;
        err = proofs_consistency(&p, seq + 1, &f);
        assert_true(err == DP_OK || err == DP_ERR_TAMPERED);
        refused += err != DP_OK;
    }
    return refused;
}

static void a_damaged_hash_gives_no_wrong_proof(void **state)
{
    static struct proof_file right[64];
    (void)state;
    assert_int_equal(proofs_open(&p, 0), DP_OK);
    assert_true(p.newest < 64);
    for (uint64_t seq = 0; seq < p.newest; seq++)
        assert_int_equal(proofs_inclusion(&p, seq, &right[seq]), DP_OK);
    for (size_t at = 8192; at < index_file()->n; at += 32) {
        unsigned refused;
        index_file()->data[at + at / 32 % 32] ^= 0x40;
        refused = refused_of_all();
        /* behind them stand those of records that the checkpoint does not cover */
        assert_int_equal(refused > 0, at < 8192 + 32 * tree_position(0, p.newest));
        for (uint64_t seq = 0; seq < p.newest; seq += 5)
            if (proofs_inclusion(&p, seq, &f) == DP_OK) {
                assert_int_equal(f.n, right[seq].n);
                assert_memory_equal(f.p, right[seq].p, f.n);
            }
        index_file()->data[at + at / 32 % 32] ^= 0x40;
    }
    assert_int_equal(refused_of_all(), 0);
    index_file()->n = 8192 + 64; /* cut */
    assert_int_equal(proofs_inclusion(&p, p.newest - 1, &f), DP_ERR_TAMPERED);
}

static void an_index_with_a_damaged_head_is_made_anew(void **state)
{
    struct node *n;
    (void)state;
    assert_int_equal(proofs_open(&p, 0), DP_OK);
    assert_int_equal(proofs_inclusion(&p, 0, &other), DP_OK);
    for (size_t at = 0; at < 12 + other.n; at += 23) {
        n = index_file();
        n->data[at] ^= 0x40;
        assert_int_equal(proofs_open(&p, 0), DP_OK);
        assert_ptr_not_equal(index_file(), n);
        assert_int_equal(proofs_inclusion(&p, 0, &f), DP_OK);
        assert_int_equal(check(&f), DP_OK);
        memstore_free(&p.index);
        memstore_init(&p.index);
        assert_int_equal(proofs_open(&p, 0), DP_OK);
    }
}

static void another_journals_index_is_not_taken(void **state)
{
    static struct proofs q;
    (void)state;
    proofs_make(&q);
    assert_int_equal(proofs_open(&q, 0), DP_OK);
    p.config.index = memstore_store(&q.index);
    assert_int_equal(proofs_open(&p, 0), DP_OK);
    assert_int_equal(proofs_inclusion(&p, 9, &f), DP_OK);
    assert_int_equal(check(&f), DP_OK);
    p.config.index = memstore_store(&p.index);
    dp_prover_free(&p.prover);
    proofs_remove(&q);
}

/* The same device's next round has another id, and may be as long. */
static void an_index_of_the_round_before_is_not_taken(void **state)
{
    static struct proofs q;
    uint8_t before[16];
    (void)state;
    proofs_make(&q);
    assert_int_equal(proofs_open(&q, 0), DP_OK);
    assert_int_equal(proofs_inclusion(&q, 0, &f), DP_OK);
    assert_int_equal(dp_proof_read(f.p, f.n, &proof), DP_OK);
    memcpy(before, proof.journal, sizeof before);
    assert_int_equal(world_open(&q.w), DP_OK);
    assert_int_equal(dp_journal_close_round(q.w.j), DP_OK);
    world_close(&q.w);
    assert_int_equal(world_open(&q.w), DP_OK);
    assert_true(q.w.opened.created);
    world_close(&q.w);
    q.newest = 1;
    assert_int_equal(proofs_open(&q, 0), DP_OK);
    assert_int_equal(dp_prover_size(q.prover), 1);
    assert_int_equal(proofs_inclusion(&q, 0, &f), DP_OK);
    assert_int_equal(dp_proof_read(f.p, f.n, &proof), DP_OK);
    assert_memory_not_equal(proof.journal, before, sizeof before);
    proofs_remove(&q);
}

static void no_proof_is_made_of_a_journal_that_does_not_verify(void **state)
{
    struct node *segment = memstore_segment(&p.w.mem, 1);
    (void)state;
    segment->data[3000] ^= 1;
    assert_int_equal(proofs_open(&p, 0), DP_ERR_TAMPERED);
    assert_null(memstore_file(&p.index, "tree"));
    assert_null(memstore_file(&p.index, "tree.new"));
    segment->data[3000] ^= 1;
    segment->data[150] ^= 1; /* OPEN itself */
    assert_int_equal(proofs_open(&p, 0), DP_ERR_TAMPERED);
    segment->data[150] ^= 1;
    assert_int_equal(proofs_open(&p, 0), DP_OK);
}

/* A record changed after the index was made, check sums and all: its bytes are not handed out as
 * the proven ones. */
static void a_record_that_is_another_now_is_not_handed_out(void **state)
{
    static struct proofs q;
    static struct forge forge;
    uint8_t record[DP_JOURNAL_RECORD_MAX];
    size_t n;
    int part;
    (void)state;
    proofs_make(&q);
    assert_int_equal(proofs_open(&q, 0), DP_OK);
    assert_int_equal(dp_prover_record(q.prover, 5, record, sizeof record, &n), DP_OK);
    forge_load(&forge, &q.w.mem);
    part = forge_find(&forge, DP_RECORD_OUTCOME, 0);
    assert_memory_equal(forge.parts[part].payload, record, n);
    forge_edit(&forge, part)->amount.minor = 1;
    forge_put(&forge, part);
    forge.n = part + 1; /* the first segment holds no more */
    forge_store(&forge, &q.w.mem);
    assert_int_equal(dp_prover_record(q.prover, 4, record, sizeof record, &n), DP_OK);
    assert_int_equal(dp_prover_record(q.prover, 5, record, sizeof record, &n), DP_ERR_TAMPERED);
    assert_int_equal(n, 0);
    assert_int_equal(dp_prover_record(q.prover, 6, record, sizeof record, &n), DP_ERR_TAMPERED);
    proofs_remove(&q);
}

static void a_store_that_fails_is_an_error_and_leaves_nothing(void **state)
{
    unsigned failed = 0;
    (void)state;
    for (unsigned at = 1;; at++) {
        int err;
        (void)begin(NULL);
        memstore_fail(&p.index, at % 2 != 0 ? FAULT_IO : FAULT_FULL, at);
        err = proofs_open(&p, 0);
        if (err == DP_OK)
            break;
        failed++;
        assert_true(err == DP_ERR_IO || err == DP_ERR_FULL);
        assert_null(memstore_file(&p.index, "tree"));
        p.index.fault = FAULT_NONE;
        assert_int_equal(proofs_open(&p, 0), DP_OK);
        assert_int_equal(proofs_inclusion(&p, 3, &f), DP_OK);
        assert_int_equal(check(&f), DP_OK);
    }
    assert_true(failed >= 5);
}

/* The last batch is torn, its signature was never written: proofs lead to the checkpoint before. */
static void an_unsigned_checkpoint_proves_nothing(void **state)
{
    static struct proofs q;
    struct dp_verify_result v;
    uint64_t size;
    struct node *last = NULL;
    size_t n;
    (void)state;
    proofs_make(&q);
    assert_int_equal(world_open(&q.w), DP_OK);
    assert_int_equal(pay_online(q.w.j, 50), DP_OK);
    world_kill(&q.w);
    verify_mem(&q.w, true, &v);
    size = v.signed_size - 1;
    for (uint32_t number = 1; memstore_segment(&q.w.mem, number) != NULL; number++)
        last = memstore_segment(&q.w.mem, number);
    for (n = last->n; last->data[n - 1] == 0; n--)
        ;
    memset(last->data + n - 100, 0, 100);
    verify_mem(&q.w, false, &v);
    assert_true(v.torn_tail && v.signed_size - 1 < size);
    assert_int_equal(proofs_open(&q, size), DP_ERR_NOT_FOUND);
    q.newest = v.signed_size - 1;
    assert_int_equal(proofs_open(&q, 0), DP_OK);
    assert_int_equal(dp_prover_size(q.prover), v.signed_size - 1);
    assert_int_equal(proofs_inclusion(&q, v.signed_size, &f), DP_ERR_RANGE);
    proofs_remove(&q);
}

/* The first segment is an archive now; records in it are proven and handed out as before. */
static void an_archived_segment_is_read_as_well(void **state)
{
    static struct proofs q;
    static uint8_t packed[DP_JOURNAL_ARCHIVE_BYTES];
    uint8_t record[DP_JOURNAL_RECORD_MAX], again[DP_JOURNAL_RECORD_MAX];
    struct dp_store store;
    struct node *segment;
    char path[96];
    size_t packed_n, n, again_n;
    int file;
    (void)state;
    proofs_make(&q);
    store = memstore_store(&q.w.mem);
    segment = memstore_segment(&q.w.mem, 1);
    assert_int_equal(proofs_open(&q, 0), DP_OK);
    assert_int_equal(proofs_inclusion(&q, 4, &other), DP_OK);
    assert_int_equal(dp_prover_record(q.prover, 4, record, sizeof record, &n), DP_OK);
    assert_int_equal(archive_pack(segment->data, segment->n, packed, sizeof packed, &packed_n),
                     DP_OK);
    (void)snprintf(path, sizeof path, "%s/seg-00000001.dpj.zst",
                   q.w.mem.nodes[segment->parent].name);
    assert_int_equal(store.ops->create(store.ctx, path, 0, &file), DP_OK);
    assert_int_equal(store.ops->write_at(store.ctx, file, 0, packed, packed_n), DP_OK);
    segment->here = false;
    for (int anew = 0; anew < 2; anew++) {
        assert_int_equal(proofs_open(&q, 0), DP_OK);
        assert_int_equal(proofs_inclusion(&q, 4, &f), DP_OK);
        assert_int_equal(f.n, other.n);
        assert_memory_equal(f.p, other.p, f.n);
        assert_int_equal(dp_prover_record(q.prover, 4, again, sizeof again, &again_n), DP_OK);
        assert_int_equal(again_n, n);
        assert_memory_equal(again, record, n);
        memstore_file(&q.index, "tree")->here = false;
    }
    proofs_remove(&q);
}

static void there_must_be_one_journal(void **state)
{
    static struct memstore empty;
    struct dp_prover_config c = p.config;
    struct dp_prover *prover = NULL;
    (void)state;
    memstore_init(&empty);
    c.journal = memstore_store(&empty);
    assert_int_equal(dp_prover_open(&c, &prover), DP_ERR_NOT_FOUND);
    assert_null(prover);
    memstore_free(&empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_record_is_proven_with_its_bytes, begin),
        cmocka_unit_test_setup(every_checkpoint_is_the_beginning_of_the_newest, begin),
        cmocka_unit_test_setup(both_epochs_lead_to_the_same_identity_key, begin),
        cmocka_unit_test_setup(one_of_several_trusted_keys_is_enough_and_none_is_not, begin),
        cmocka_unit_test_setup(each_field_damaged_is_named, begin),
        cmocka_unit_test_setup(text_is_base45_and_comes_back, begin),
        cmocka_unit_test_setup(an_index_is_taken_and_no_segment_read, begin),
        cmocka_unit_test_setup(an_index_that_is_too_short_is_made_anew, begin),
        cmocka_unit_test_setup(a_damaged_hash_gives_no_wrong_proof, begin),
        cmocka_unit_test_setup(an_index_with_a_damaged_head_is_made_anew, begin),
        cmocka_unit_test_setup(another_journals_index_is_not_taken, begin),
        cmocka_unit_test_setup(an_index_of_the_round_before_is_not_taken, begin),
        cmocka_unit_test_setup(no_proof_is_made_of_a_journal_that_does_not_verify, begin),
        cmocka_unit_test_setup(a_record_that_is_another_now_is_not_handed_out, begin),
        cmocka_unit_test_setup(a_store_that_fails_is_an_error_and_leaves_nothing, begin),
        cmocka_unit_test_setup(an_unsigned_checkpoint_proves_nothing, begin),
        cmocka_unit_test_setup(an_archived_segment_is_read_as_well, begin),
        cmocka_unit_test_setup(there_must_be_one_journal, begin),
    };
    dp_log_set(NULL, NULL, DP_LOG_ERROR);
    return cmocka_run_group_tests(tests, make, unmake);
}
