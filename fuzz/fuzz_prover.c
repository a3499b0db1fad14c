/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of a prover, which is a cache and never trusted. First byte, its lowest bit: 0 the head
 * alone; 1 a whole index: length u16, head, then the hashes, beside the journal of prover_seed.h.
 * What is read of a head is written again byte for byte. With whatever index, a journal that is
 * whole gets a prover; no proof leaves it but a right one, and all do when the hashes are right.
 */
#include <stdint.h>
#include <string.h>

#include <doorpay/journal.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/reader.h"
#include "journal/prover.h"
#include "journal/tree.h"
#include "prover_seed.h"
#include "tests/journal/memstore.h"

#define RECORDS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct memstore journal, index_disk;

/* ---- the head alone ---- */

static void head(const uint8_t *p, size_t n)
{
    static uint8_t again[INDEX_READ_MAX];
    static struct dp_proof proof, cut;
    size_t again_n = 0;
    if (index_head_read(p, n, &proof) != DP_OK)
        return;
    DP_ASSERT(index_head_write(&proof, again, sizeof again, &again_n) == DP_OK);
    DP_ASSERT(again_n > INDEX_START_BYTES && again_n <= n && memcmp(again, p, again_n) == 0);
    DP_ASSERT(proof.body.p > p && proof.body.p + proof.body.n <= p + again_n);
    DP_ASSERT(proof.certificate.p > p && proof.certificate.p + proof.certificate.n <= p + again_n);
    /* what stands behind it is not looked at, and nothing of it can be missing */
    DP_ASSERT(index_head_read(p, again_n, &cut) == DP_OK);
    DP_ASSERT(index_head_read(p, again_n - 1, &cut) == DP_ERR_FORMAT);
    DP_ASSERT(index_head_write(&proof, again, again_n - 1, &again_n) == DP_ERR_SPACE);
}

/* ---- the whole ---- */

static void put(struct memstore *m, const char *name, uint64_t size, const uint8_t *p, size_t n,
                uint64_t rest_at, struct dp_bytes rest)
{
    struct dp_store s = memstore_store(m);
    int file;
    DP_ASSERT(s.ops->create(s.ctx, name, size, &file) == DP_OK);
    DP_ASSERT(s.ops->write_at(s.ctx, file, 0, p, n) == DP_OK);
    if (rest.n > 0)
        DP_ASSERT(s.ops->write_at(s.ctx, file, rest_at, rest.p, rest.n) == DP_OK);
    s.ops->close(s.ctx, file);
}

/* What the journal's records make: the root behind each, and every hash of the tree in its order.
 */
struct made {
    uint64_t known; /* records, from the first one on */
    uint8_t root[RECORDS_MAX][HASH_BYTES];
    size_t hashes_n;
    uint8_t hash[2 * RECORDS_MAX][HASH_BYTES];
};

static int keep_hash(void *ctx, const uint8_t hash[HASH_BYTES])
{
    struct made *made = ctx;
    DP_ASSERT(made->hashes_n < 2 * RECORDS_MAX);
    memcpy(made->hash[made->hashes_n++], hash, HASH_BYTES);
    return DP_OK;
}

static void make_hashes(struct dp_prover *prover, uint64_t size, struct made *made)
{
    static uint8_t record[DP_JOURNAL_RECORD_MAX];
    uint8_t leaf[HASH_BYTES];
    struct tree t;
    size_t n;
    memset(made, 0, sizeof *made);
    tree_init(&t);
    for (uint64_t seq = 0; seq < size; seq++) {
        int err = dp_prover_record(prover, seq, record, sizeof record, &n);
        if (err != DP_OK) {
            DP_ASSERT(err == DP_ERR_TAMPERED); /* the index has another hash there, or none */
            return;
        }
        DP_ASSERT(tree_leaf_hash((struct dp_bytes){record, n}, leaf) == DP_OK);
        DP_ASSERT(tree_append_each(&t, leaf, keep_hash, made) == DP_OK);
        DP_ASSERT(tree_root(&t, made->root[seq]) == DP_OK);
        made->known++;
    }
}

/* True when the index holds just these hashes. */
static bool are_kept(const struct made *made)
{
    const struct node *tree = memstore_file(&index_disk, "tree");
    size_t n = made->hashes_n * HASH_BYTES;
    DP_ASSERT(tree != NULL && tree->n >= INDEX_HEAD_BYTES);
    return tree->n - INDEX_HEAD_BYTES >= n &&
           memcmp(tree->data + INDEX_HEAD_BYTES, made->hash, n) == 0;
}

/* As dp_proof_check: the path of a proof leads to the root of the signed checkpoint. */
static bool path_leads_to(const struct dp_proof *proof, const uint8_t root[HASH_BYTES])
{
    struct tree_path path;
    _Static_assert(sizeof path.hash == sizeof proof->path, "a proof holds any path");
    path.n = proof->path_n;
    memcpy(path.hash, proof->path, sizeof path.hash);
    if (proof->kind == DP_PROOF_INCLUSION)
        return tree_inclusion_check(&path, proof->index, proof->size, proof->hash, root) == DP_OK;
    return tree_consistency_check(&path, proof->index, proof->size, proof->hash, root) == DP_OK;
}

/* Of the prover's checkpoint, whose signature was checked with proof first. */
static void is_of(const struct dp_proof *proof, const struct dp_proof *first)
{
    DP_ASSERT(proof->size == first->size && memcmp(proof->kid, first->kid, sizeof first->kid) == 0);
    DP_ASSERT(proof->body.n == first->body.n && proof->signature.n == first->signature.n &&
              proof->certificate.n == first->certificate.n);
    DP_ASSERT(memcmp(proof->body.p, first->body.p, first->body.n) == 0);
    DP_ASSERT(memcmp(proof->signature.p, first->signature.p, first->signature.n) == 0);
    DP_ASSERT(memcmp(proof->certificate.p, first->certificate.p, first->certificate.n) == 0);
    DP_ASSERT(path_leads_to(proof, first->root));
}

static bool handed_out(struct dp_prover *prover, enum dp_proof_kind kind, uint64_t which,
                       struct dp_proof *proof)
{
    static uint8_t bytes[2][DP_PROOF_BYTES_MAX];
    static struct dp_proof first;
    const char *rule = NULL;
    bool is_first = kind == DP_PROOF_INCLUSION && which == 0;
    uint8_t *out = bytes[is_first ? 0 : 1], identity[1][65];
    size_t n = 0;
    int err = kind == DP_PROOF_INCLUSION
                  ? dp_prover_inclusion(prover, which, out, sizeof bytes[0], &n)
                  : dp_prover_consistency(prover, which, out, sizeof bytes[0], &n);
    if (is_first)
        memset(&first, 0, sizeof first);
    if (err != DP_OK) {
        DP_ASSERT(err == DP_ERR_TAMPERED && n == 0);
        return false;
    }
    DP_ASSERT(dp_proof_read(out, n, proof) == DP_OK);
    DP_ASSERT(proof->kind == kind && proof->index == which);
    DP_ASSERT(proof->size == dp_prover_size(prover));
    if (first.kind == 0) {
        dp_prover_identity(prover, identity[0]);
        DP_ASSERT(dp_proof_check(proof, (const uint8_t(*)[65])identity, 1, NULL, &rule) == DP_OK);
    }
    if (is_first)
        first = *proof;
    else if (first.kind != 0)
        is_of(proof, &first);
    return true;
}

static void proves_what_is(struct dp_prover *prover)
{
    static struct dp_proof proof;
    static struct made made;
    static uint8_t record[DP_JOURNAL_RECORD_MAX];
    uint64_t size = dp_prover_size(prover);
    const char *rule = NULL;
    bool all;
    size_t n = 0;
    DP_ASSERT(size > 1 && size <= RECORDS_MAX);
    make_hashes(prover, size, &made);
    all = made.known == size && are_kept(&made);
    for (uint64_t seq = 0; seq < size; seq++) {
        if (!handed_out(prover, DP_PROOF_INCLUSION, seq, &proof)) {
            DP_ASSERT(!all);
            continue;
        }
        DP_ASSERT(made.known < size || memcmp(proof.root, made.root[size - 1], HASH_BYTES) == 0);
        DP_ASSERT(dp_prover_record(prover, seq, record, sizeof record, &n) == DP_OK);
        DP_ASSERT(dp_proof_check_record(&proof, (struct dp_bytes){record, n}, &rule) == DP_OK);
    }
    for (uint64_t older = 1; older < size; older++) {
        if (handed_out(prover, DP_PROOF_CONSISTENCY, older, &proof))
            DP_ASSERT(older > made.known ||
                      memcmp(proof.hash, made.root[older - 1], HASH_BYTES) == 0);
        else
            DP_ASSERT(!all);
    }
}

static void whole(const uint8_t *p, size_t n)
{
    struct dp_prover_config config = {.index_name = "tree", .covers = 2};
    struct dp_prover *prover = NULL;
    struct dp_reader r;
    struct dp_bytes start, rest;
    dp_reader_init(&r, p, n);
    start = dp_read_bytes(&r, dp_read_u16(&r));
    rest = (struct dp_bytes){r.p, r.left};
    if (r.err != DP_OK || start.n > INDEX_HEAD_BYTES)
        return;
    memstore_init(&index_disk);
    put(&index_disk, "tree", INDEX_HEAD_BYTES + rest.n, start.p, start.n, INDEX_HEAD_BYTES, rest);
    config.journal = memstore_store(&journal);
    config.index = memstore_store(&index_disk);
    DP_ASSERT(dp_prover_open(&config, &prover) == DP_OK);
    proves_what_is(prover);
    dp_prover_free(&prover);
    memstore_free(&index_disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0) {
        head(data + 1, size - 1);
        return 0;
    }
    memstore_init(&journal);
    put(&journal, "seg-00000001.dpj", SEED_SEGMENT_BYTES, seed_segment, sizeof seed_segment, 0,
        (struct dp_bytes){NULL, 0});
    whole(data + 1, size - 1);
    memstore_free(&journal);
    return 0;
}
