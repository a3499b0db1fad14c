/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes proofs: docs/PROTOCOL.journal, 9. The tree's hashes lie in an index, so that a proof reads
 * some dozens of them and not the journal. The index is a cache: its head is a proof that is
 * checked as any other, and no proof leaves before it was checked against that head's checkpoint.
 *
 *   offset  size
 *   0       8     magic "DPTREE1\n"
 *   8       4     bytes of the proof
 *   12            an inclusion proof of record 0 in the checkpoint that the index was made with
 *   8192          32 bytes each: every hash of the tree, in the order in which appending makes them
 */
#include <doorpay/journal.h>

#include <stdlib.h>
#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/reader.h"
#include "base/writer.h"

#include "archive.h"
#include "prover.h"
#include "scan.h"

#define BUFFER_HASHES 2048

static const uint8_t magic[8] = "DPTREE1\n";

struct dp_prover {
    struct dp_prover_config config;
    char dir[JOURNAL_DIR_MAX], new_name[DP_JOURNAL_NAME_MAX];
    uint8_t journal[16], identity[65]; /* as the first record names them */
    int file;                          /* the index; -1: none is open */
    /* the proof of record 0, and what every other one has of it */
    uint8_t head[INDEX_READ_MAX];
    struct dp_proof proof;
    struct tree_nodes nodes;
};

/* ---- the index ---- */

static int index_node(void *ctx, unsigned level, uint64_t index, uint8_t out[HASH_BYTES])
{
    struct dp_prover *p = ctx;
    const struct dp_store *store = &p->config.index;
    uint64_t at = INDEX_HEAD_BYTES + tree_position(level, index) * HASH_BYTES;
    size_t got = 0;
    int err = store->ops->read_at(store->ctx, p->file, at, out, HASH_BYTES, &got);
    return err == DP_OK && got != HASH_BYTES ? DP_ERR_TAMPERED : err;
}

int index_head_read(const uint8_t *p, size_t n, struct dp_proof *out)
{
    struct dp_reader r;
    struct dp_bytes start, proof;
    dp_reader_init(&r, p, n);
    start = dp_read_bytes(&r, sizeof magic);
    proof = dp_read_bytes(&r, dp_read_u32(&r));
    if (r.err != DP_OK || memcmp(start.p, magic, sizeof magic) != 0)
        return DP_ERR_FORMAT;
    return dp_proof_read(proof.p, proof.n, out);
}

int index_head_write(const struct dp_proof *proof, uint8_t *out, size_t max, size_t *n)
{
    struct dp_writer w;
    size_t proof_n = 0;
    int err = max < INDEX_START_BYTES ? DP_ERR_SPACE
                                      : dp_proof_write(proof, out + INDEX_START_BYTES,
                                                       max - INDEX_START_BYTES, &proof_n);
    *n = 0;
    if (err != DP_OK)
        return err;
    dp_writer_init(&w, out, INDEX_START_BYTES);
    dp_write_bytes(&w, magic, sizeof magic);
    dp_write_u32(&w, (uint32_t)proof_n);
    DP_ASSERT(w.err == DP_OK && w.n == INDEX_START_BYTES);
    *n = w.n + proof_n;
    return DP_OK;
}

/* The index's own, as far as it has one. */
static int load_head(struct dp_prover *p)
{
    const struct dp_store *store = &p->config.index;
    size_t got = 0;
    int err = store->ops->read_at(store->ctx, p->file, 0, p->head, sizeof p->head, &got);
    return err == DP_OK ? index_head_read(p->head, got, &p->proof) : err;
}

/* True when the head is of this journal, its checkpoint is signed, and its size is wanted. */
static bool index_fits(const struct dp_prover *p)
{
    const struct dp_prover_config *c = &p->config;
    const char *rule;
    if (memcmp(p->proof.journal, p->journal, sizeof p->journal) != 0 ||
        p->proof.kind != DP_PROOF_INCLUSION || p->proof.index != 0)
        return false;
    if (c->size != 0 ? p->proof.size != c->size : p->proof.size < c->covers)
        return false;
    return dp_proof_check(&p->proof, &p->identity, 1, NULL, &rule) == DP_OK;
}

static void index_close(struct dp_prover *p)
{
    if (p->file >= 0)
        p->config.index.ops->close(p->config.index.ctx, p->file);
    p->file = -1;
}

/* DP_ERR_NOT_FOUND: there is none that serves. */
static int index_open(struct dp_prover *p)
{
    const struct dp_store *store = &p->config.index;
    int err = store->ops->open(store->ctx, p->config.index_name, false, &p->file);
    if (err != DP_OK) {
        p->file = -1;
        return err;
    }
    err = load_head(p);
    if (err == DP_ERR_IO)
        return err;
    if (err == DP_OK && index_fits(p))
        return DP_OK;
    index_close(p);
    return DP_ERR_NOT_FOUND;
}

/* ---- making it ---- */

struct making {
    struct dp_prover *p;
    struct tree tree;
    uint64_t offset; /* where the buffer goes */
    uint8_t buffer[BUFFER_HASHES * HASH_BYTES];
    size_t buffer_n;
    /* the checkpoint that proofs will lead to */
    bool any;
    struct bound checkpoint;
    uint8_t signature[64];
};

static int write_buffer(struct making *m)
{
    const struct dp_store *store = &m->p->config.index;
    int err = store->ops->write_at(store->ctx, m->p->file, m->offset, m->buffer, m->buffer_n);
    m->offset += m->buffer_n;
    m->buffer_n = 0;
    return err;
}

static int keep_hash(void *ctx, const uint8_t hash[HASH_BYTES])
{
    struct making *m = ctx;
    memcpy(m->buffer + m->buffer_n, hash, HASH_BYTES);
    m->buffer_n += HASH_BYTES;
    return m->buffer_n == sizeof m->buffer ? write_buffer(m) : DP_OK;
}

static int see_leaf(void *ctx, const uint8_t leaf[HASH_BYTES])
{
    struct making *m = ctx;
    return tree_append_each(&m->tree, leaf, keep_hash, m);
}

static int see_signature(void *ctx, const struct bound *checkpoint, struct dp_bytes signature)
{
    struct making *m = ctx;
    uint64_t wanted = m->p->config.size;
    DP_ASSERT(signature.n == sizeof m->signature);
    if (wanted != 0 && checkpoint->seq != wanted) /* its seq is the records it covers */
        return DP_OK;
    m->any = true;
    m->checkpoint = *checkpoint;
    memcpy(m->signature, signature.p, sizeof m->signature);
    return DP_OK;
}

static int read_all(struct making *m)
{
    struct dp_prover *p = m->p;
    struct scan_watch watch = {see_leaf, see_signature, m};
    struct scan *s = NULL;
    int err = scan_new(&p->config.journal, NULL, NULL, NULL, &s);
    if (err != DP_OK)
        return err;
    s->watch = &watch;
    err = scan_run(s, p->dir);
    if (err == DP_OK && s->rule != NULL) {
        dp_log(DP_LOG_ERROR, "no proof of a journal that does not verify: %s: %s", s->rule,
               s->words);
        err = DP_ERR_TAMPERED;
    }
    scan_free(&s);
    return err == DP_OK ? write_buffer(m) : err;
}

/* The parts that every proof has alike, and record 0. */
static int make_head(struct making *m, size_t *n)
{
    struct dp_prover *p = m->p;
    struct dp_proof *proof = &p->proof;
    const struct bound *b = &m->checkpoint;
    struct tree_path path;
    int err;
    memset(proof, 0, sizeof *proof);
    proof->kind = DP_PROOF_INCLUSION;
    proof->size = b->seq;
    memcpy(proof->kid, b->by.kid, sizeof proof->kid);
    proof->certificate = (struct dp_bytes){b->by.certificate, b->by.certificate_n};
    proof->body = (struct dp_bytes){b->body, b->body_n};
    proof->signature = (struct dp_bytes){m->signature, sizeof m->signature};
    err = index_node(p, 0, 0, proof->hash);
    if (err == DP_OK)
        err = tree_inclusion(&p->nodes, 0, b->seq, &path);
    if (err != DP_OK)
        return err;
    proof->path_n = path.n;
    memcpy(proof->path, path.hash, sizeof proof->path);
    return index_head_write(proof, p->head, sizeof p->head, n);
}

static int write_head(struct making *m)
{
    struct dp_prover *p = m->p;
    const struct dp_store *store = &p->config.index;
    size_t n = 0;
    int err = make_head(m, &n);
    if (err == DP_OK)
        err = store->ops->write_at(store->ctx, p->file, 0, p->head, n);
    return err == DP_OK ? store->ops->sync(store->ctx, p->file) : err;
}

static int make_file(struct making *m)
{
    struct dp_prover *p = m->p;
    const struct dp_store *store = &p->config.index;
    int err = store->ops->remove(store->ctx, p->new_name); /* of a run that was interrupted */
    if (err == DP_OK || err == DP_ERR_NOT_FOUND)
        err = store->ops->create(store->ctx, p->new_name, INDEX_HEAD_BYTES, &p->file);
    if (err != DP_OK) {
        p->file = -1;
        return err;
    }
    err = read_all(m);
    if (err == DP_OK && (!m->any || (p->config.size == 0 && m->checkpoint.seq < p->config.covers)))
        err = DP_ERR_NOT_FOUND;
    if (err == DP_OK)
        err = write_head(m);
    index_close(p);
    if (err != DP_OK)
        (void)store->ops->remove(store->ctx, p->new_name);
    return err;
}

/* In the place of one that does not serve. */
static int index_make(struct dp_prover *p)
{
    const struct dp_store *store = &p->config.index;
    struct making *m = calloc(1, sizeof *m);
    int err;
    if (m == NULL)
        return DP_ERR_NOMEM;
    m->p = p;
    m->offset = INDEX_HEAD_BYTES;
    err = make_file(m);
    free(m);
    if (err != DP_OK)
        return err;
    err = store->ops->remove(store->ctx, p->config.index_name);
    if (err != DP_OK && err != DP_ERR_NOT_FOUND)
        return err;
    err = store->ops->rename(store->ctx, p->new_name, p->config.index_name);
    if (err == DP_OK)
        err = index_open(p);
    return err == DP_ERR_NOT_FOUND ? DP_ERR_INTERNAL : err; /* it was made just now */
}

/* ---- the journal ---- */

static int read_start(struct dp_prover *p, uint32_t number, uint8_t *bytes, size_t max, size_t *got)
{
    int err = segment_load_start(&p->config.journal, p->dir, number, bytes, max, got);
    return err == DP_OK && *got < SEGMENT_HEADER_BYTES ? DP_ERR_TAMPERED : err;
}

/* Journal and identity key, from the first record: what an index has to be of. */
static int read_first(struct dp_prover *p)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + DP_JOURNAL_RECORD_MAX + 8];
    struct segment seg = {.p = bytes};
    struct segment_header h;
    struct dp_record r;
    struct frame f;
    struct epoch e;
    unsigned key;
    size_t got = 0;
    int err = read_start(p, 1, bytes, sizeof bytes, &got);
    if (err != DP_OK)
        return err;
    if (segment_header_read(bytes, &h) != DP_OK)
        return DP_ERR_TAMPERED;
    seg.n = (uint32_t)got;
    memcpy(seg.salt, h.salt, sizeof seg.salt);
    if (frame_read(&seg, SEGMENT_HEADER_BYTES, 0, 0, &f) != FRAME_GOOD || f.signature ||
        dp_record_decode(f.payload.p, f.payload.n, &r, &key) != DP_OK || r.type != DP_RECORD_OPEN ||
        epoch_read(r.body, r.body_n, &e) != DP_OK)
        return DP_ERR_TAMPERED;
    memcpy(p->journal, h.journal, sizeof p->journal);
    memcpy(p->identity, e.identity, sizeof p->identity);
    return DP_OK;
}

int dp_prover_open(const struct dp_prover_config *config, struct dp_prover **out)
{
    static const char new_end[] = ".new";
    struct dp_prover *p = calloc(1, sizeof *p);
    size_t name_n = strlen(config->index_name);
    int err = DP_OK;
    *out = NULL;
    if (p == NULL)
        return DP_ERR_NOMEM;
    p->config = *config;
    p->file = -1;
    p->nodes = (struct tree_nodes){index_node, p};
    if (name_n + sizeof new_end > sizeof p->new_name)
        err = DP_ERR_ARG;
    if (err == DP_OK && psa_crypto_init() != PSA_SUCCESS)
        err = DP_ERR_CRYPTO;
    if (err != DP_OK)
        goto out;
    memcpy(p->new_name, config->index_name, name_n);
    memcpy(p->new_name + name_n, new_end, sizeof new_end);
    err = journal_find(&config->journal, p->dir);
    if (err == DP_OK)
        err = read_first(p);
    if (err != DP_OK)
        goto out;
    err = index_open(p);
    if (err == DP_ERR_NOT_FOUND)
        err = index_make(p);
out:
    if (err != DP_OK)
        dp_prover_free(&p);
    *out = p;
    return err;
}

void dp_prover_free(struct dp_prover **p)
{
    if (*p == NULL)
        return;
    index_close(*p);
    free(*p);
    *p = NULL;
}

uint64_t dp_prover_size(const struct dp_prover *p)
{
    return p->proof.size;
}

void dp_prover_identity(const struct dp_prover *p, uint8_t identity[65])
{
    memcpy(identity, p->identity, sizeof p->identity);
}

/* ---- proofs ---- */

/* The one place where a proof leaves: not before it leads to the signed root. */
static int hand_out(struct dp_proof *proof, const struct tree_path *path, uint8_t *out, size_t max,
                    size_t *n)
{
    int err;
    if (proof->kind == DP_PROOF_INCLUSION)
        err = tree_inclusion_check(path, proof->index, proof->size, proof->hash, proof->root);
    else
        err = tree_consistency_check(path, proof->index, proof->size, proof->hash, proof->root);
    if (err == DP_ERR_MISMATCH)
        return DP_ERR_TAMPERED;
    if (err != DP_OK)
        return err;
    proof->path_n = path->n;
    memcpy(proof->path, path->hash, path->n * sizeof path->hash[0]);
    return dp_proof_write(proof, out, max, n);
}

int dp_prover_inclusion(struct dp_prover *p, uint64_t seq, uint8_t *out, size_t max, size_t *n)
{
    struct dp_proof proof = p->proof;
    struct tree_path path;
    int err;
    *n = 0;
    if (seq >= proof.size)
        return DP_ERR_RANGE;
    proof.index = seq;
    err = index_node(p, 0, seq, proof.hash);
    if (err == DP_OK)
        err = tree_inclusion(&p->nodes, seq, proof.size, &path);
    return err == DP_OK ? hand_out(&proof, &path, out, max, n) : err;
}

int dp_prover_consistency(struct dp_prover *p, uint64_t older, uint8_t *out, size_t max, size_t *n)
{
    struct dp_proof proof = p->proof;
    struct tree_path path;
    int err;
    *n = 0;
    proof.kind = DP_PROOF_CONSISTENCY;
    proof.index = older;
    err = tree_consistency(&p->nodes, older, proof.size, &path);
    if (err == DP_OK)
        err = tree_range_root(&p->nodes, 0, older, proof.hash);
    return err == DP_OK ? hand_out(&proof, &path, out, max, n) : err;
}

/* ---- the record itself ---- */

static void see_segment(void *user, const char *name)
{
    uint32_t *most = user, number = segment_any_number(name);
    if (number > *most)
        *most = number;
}

static int first_of(struct dp_prover *p, uint32_t number, uint64_t *seq)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header h;
    size_t got = 0;
    int err = read_start(p, number, bytes, sizeof bytes, &got);
    if (err == DP_OK && segment_header_read(bytes, &h) != DP_OK)
        err = DP_ERR_TAMPERED;
    *seq = err == DP_OK ? h.first_seq : 0;
    return err;
}

/* The last segment that begins with seq or before it. */
static int find_segment(struct dp_prover *p, uint64_t seq, uint32_t *number)
{
    const struct dp_store *store = &p->config.journal;
    uint32_t low = 1, high = 0;
    int err = store->ops->list(store->ctx, p->dir, see_segment, &high);
    while (err == DP_OK && low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        uint64_t first;
        err = first_of(p, middle, &first);
        if (first <= seq)
            low = middle;
        else
            high = middle - 1;
    }
    *number = low;
    return err;
}

static int find_record(const struct segment *seg, uint64_t first, uint64_t seq,
                       struct dp_bytes *out)
{
    uint32_t at = SEGMENT_HEADER_BYTES, before = 0;
    struct frame f;
    while (frame_read(seg, at, before, first, &f) == FRAME_GOOD) {
        if (!f.signature && first++ == seq) {
            *out = f.payload;
            return DP_OK;
        }
        before = f.batch;
        at = f.next;
    }
    return DP_ERR_TAMPERED; /* the checkpoint covers it: it was there */
}

int dp_prover_record(struct dp_prover *p, uint64_t seq, uint8_t *out, size_t max, size_t *n)
{
    uint8_t *bytes = NULL, leaf[HASH_BYTES], wanted[HASH_BYTES];
    struct segment seg = {.p = NULL};
    struct segment_header h;
    struct dp_bytes record = {NULL, 0};
    uint32_t number = 0;
    size_t got = 0;
    int err = seq < p->proof.size ? find_segment(p, seq, &number) : DP_ERR_RANGE;
    *n = 0;
    if (err != DP_OK)
        return err;
    bytes = malloc(DP_JOURNAL_SEGMENT_BYTES);
    if (bytes == NULL)
        return DP_ERR_NOMEM;
    err = read_start(p, number, bytes, DP_JOURNAL_SEGMENT_BYTES, &got);
    if (err == DP_OK && segment_header_read(bytes, &h) != DP_OK)
        err = DP_ERR_TAMPERED;
    if (err != DP_OK)
        goto out;
    seg.p = bytes;
    seg.n = (uint32_t)got;
    memcpy(seg.salt, h.salt, sizeof seg.salt);
    err = find_record(&seg, h.first_seq, seq, &record);
    if (err == DP_OK)
        err = tree_leaf_hash(record, leaf);
    if (err == DP_OK)
        err = index_node(p, 0, seq, wanted);
    if (err == DP_OK && memcmp(leaf, wanted, sizeof leaf) != 0)
        err = DP_ERR_TAMPERED;
    if (err == DP_OK && record.n > max)
        err = DP_ERR_SPACE;
    if (err == DP_OK) {
        memcpy(out, record.p, record.n);
        *n = record.n;
    }
out:
    free(bytes);
    return err;
}
