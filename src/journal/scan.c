/* SPDX-License-Identifier: Apache-2.0 */
#include "scan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"

#include "archive.h"
#include "batch.h"
#include "totals.h"

#define STOP 1 /* a rule was broken: nothing after it is read */

int scan_new(const struct dp_store *store, const struct dp_verify_options *options,
             dp_journal_each *each, void *user, struct scan **out)
{
    struct scan *s = calloc(1, sizeof *s);
    int err = DP_ERR_NOMEM;
    *out = NULL;
    if (s == NULL)
        return err;
    s->store = store;
    s->options = options;
    s->each = each;
    s->user = user;
    s->bytes = malloc(DP_JOURNAL_SEGMENT_BYTES);
    if (s->bytes != NULL)
        err = ledger_new(&s->ledger);
    if (err == DP_OK && psa_crypto_init() != PSA_SUCCESS)
        err = DP_ERR_CRYPTO;
    if (err != DP_OK)
        scan_free(&s);
    *out = s;
    return err;
}

void scan_free(struct scan **s)
{
    if (*s == NULL)
        return;
    ledger_free(&(*s)->ledger);
    free((*s)->bytes);
    free((*s)->room);
    ack_heads_free(&(*s)->heads);
    free(*s);
    *s = NULL;
}

void scan_found(struct scan *s, const char *rule, uint32_t offset, const char *format, ...)
{
    va_list args;
    if (s->rule != NULL)
        return;
    s->rule = rule;
    s->found_segment = s->header.number;
    s->found_offset = offset;
    s->found_seq = s->tree.size;
    va_start(args, format);
    (void)vsnprintf(s->words, sizeof s->words, format, args);
    va_end(args);
}

/* ---- OPEN and KEY_ROTATE ---- */

static int see_epoch(struct scan *s, const struct frame *f)
{
    struct epoch e;
    bool first = s->record.type == DP_RECORD_OPEN;
    const struct dp_verify_options *o = s->options;
    if (epoch_read(s->record.body, s->record.body_n, &e) != DP_OK) {
        scan_found(s, "record-format", f->offset, "the keys of record %" PRIu64 " cannot be read",
                   s->tree.size);
        return STOP;
    }
    if ((o != NULL && o->has_identity && memcmp(o->identity, e.identity, sizeof e.identity) != 0) ||
        (!first && memcmp(s->identity, e.identity, sizeof e.identity) != 0)) {
        scan_found(s, "identity-mismatch", f->offset,
                   "record %" PRIu64 " names another device's identity key", s->tree.size);
        return STOP;
    }
    if (epoch_check(&e, s->header.journal) != DP_OK) {
        scan_found(s, "epoch-certificate", f->offset,
                   "the epoch key of record %" PRIu64 " is not certified by the identity key",
                   s->tree.size);
        return STOP;
    }
    if (!first && e.number <= s->epoch.number) {
        scan_found(s, "epoch-certificate", f->offset,
                   "the epoch of record %" PRIu64 " is not after the one before", s->tree.size);
        return STOP;
    }
    s->epoch = e;
    memcpy(s->identity, e.identity, sizeof s->identity);
    return DP_OK;
}

/* ---- CHECKPOINT ---- */

static int check_place(struct scan *s, const struct frame *f, const struct checkpoint *c)
{
    uint8_t root[HASH_BYTES];
    int err = tree_root(&s->tree, root);
    if (err != DP_OK)
        return err;
    if (c->size != s->tree.size)
        scan_found(s, "checkpoint-size", f->offset,
                   "checkpoint %" PRIu64 " says it covers %" PRIu64 " records", s->tree.size,
                   c->size);
    else if (memcmp(c->last_leaf, s->leaf, sizeof s->leaf) != 0)
        scan_found(s, "last-leaf", f->offset,
                   "checkpoint %" PRIu64 " covers another record before it", s->tree.size);
    else if (memcmp(c->root, root, sizeof root) != 0)
        scan_found(s, "tree-root", f->offset,
                   "checkpoint %" PRIu64 " covers other records than those that are here",
                   s->tree.size);
    else if (memcmp(c->journal, s->header.journal, sizeof c->journal) != 0)
        scan_found(s, "journal-id", f->offset, "checkpoint %" PRIu64 " is of another journal",
                   s->tree.size);
    return s->rule == NULL ? DP_OK : STOP;
}

static int check_content(struct scan *s, const struct frame *f, const struct checkpoint *c)
{
    if (s->last.any && memcmp(c->before, s->last.after, sizeof c->before) != 0)
        scan_found(s, "anchor-chain", f->offset,
                   "checkpoint %" PRIu64 " does not follow the checkpoint before it", s->tree.size);
    else if (!totals_equal(&c->totals, &s->totals))
        scan_found(s, "totals", f->offset,
                   "the totals of checkpoint %" PRIu64 " are not those of the records",
                   s->tree.size);
    else if (memcmp(c->kid, s->epoch.kid, sizeof c->kid) != 0)
        scan_found(s, "signature-key", f->offset,
                   "checkpoint %" PRIu64 " names another key than that of its epoch", s->tree.size);
    return s->rule == NULL ? DP_OK : STOP;
}

/* Its signature follows a checkpoint at once. */
static int check_signed(struct scan *s)
{
    if (!s->last.any || s->last.is_signed)
        return DP_OK;
    scan_found(s, "signature-missing", s->last.offset, "checkpoint %" PRIu64 " has no signature",
               s->last.seq);
    s->found_segment = s->last.segment;
    s->found_seq = s->last.seq;
    return STOP;
}

/* The anchor was not extended by this one. */
static int see_missed(struct scan *s, const struct frame *f)
{
    int err = missed_add(&s->missed, s->last.digest, s->tree.size + 1);
    if (err != DP_ERR_LIMIT)
        return err;
    scan_found(s, "state-machine", f->offset,
               "record %" PRIu64 ": more than %d checkpoints while degraded", s->tree.size,
               DP_JOURNAL_MISSED_MAX);
    return STOP;
}

static int see_checkpoint(struct scan *s, const struct frame *f)
{
    struct checkpoint c;
    struct bound *b = &s->last;
    const struct dp_record *r = &s->record;
    int err = check_signed(s);
    if (err != DP_OK)
        return err;
    if (checkpoint_read(r->body, r->body_n, &c) != DP_OK) {
        scan_found(s, "record-format", f->offset, "the body of checkpoint %" PRIu64 " is malformed",
                   s->tree.size);
        return STOP;
    }
    err = check_place(s, f, &c);
    if (err == DP_OK)
        err = check_content(s, f, &c);
    if (err == DP_OK)
        err = hash_parts(&(struct dp_bytes){r->body, r->body_n}, 1, b->digest);
    if (err == DP_OK)
        err = hash_extend(c.before, b->digest, b->after);
    if (err == DP_OK && s->degraded)
        err = see_missed(s, f);
    if (err != DP_OK)
        return err;
    b->before_size = b->any ? b->seq + 1 : 0;
    b->any = true;
    b->is_signed = false;
    b->seq = s->tree.size;
    b->segment = s->header.number;
    b->offset = f->offset;
    memcpy(b->body, r->body, r->body_n);
    b->body_n = r->body_n;
    memcpy(b->before, c.before, sizeof b->before);
    memcpy(b->root, c.root, sizeof b->root);
    b->by = s->epoch;
    s->checkpoints++;
    s->voids = 0;
    s->begun = false;
    return ack_heads_add(&s->heads, c.size, c.root, b->after);
}

/* ---- UPLOAD_ACK ---- */

static int check_collector(struct scan *s, const struct frame *f)
{
    const struct dp_record *r = &s->record;
    const struct dp_verify_options *o = s->options;
    if (o == NULL || !o->has_collector || ack_verify(r->body, r->body_n, o->collector) == DP_OK)
        return DP_OK;
    scan_found(s, "acknowledgement-signature", f->offset,
               "the acknowledgement of record %" PRIu64 " is not signed by the collector",
               s->tree.size);
    return STOP;
}

/* The collector has what this journal had at one of its checkpoints, and ever more of it. */
static int see_ack(struct scan *s, const struct frame *f)
{
    const struct dp_record *r = &s->record;
    struct ack a;
    uint8_t digest[HASH_BYTES];
    bool has = false;
    int err;
    if (ack_read(r->body, r->body_n, &a) != DP_OK) {
        scan_found(s, "record-format", f->offset,
                   "the acknowledgement of record %" PRIu64 " cannot be read", s->tree.size);
        return STOP;
    }
    err = hash_parts(&(struct dp_bytes){r->body, r->body_n}, 1, digest);
    if (err == DP_OK)
        err = ack_heads_has(&s->heads, &a, &has);
    has = has || a.size < s->heads_from; /* before the snapshot: the writer looked, and others do */
    if (err != DP_OK)
        return err;
    if (memcmp(digest, r->digest, sizeof digest) != 0 ||
        memcmp(a.journal, s->header.journal, sizeof a.journal) != 0 || a.size <= s->acked || !has) {
        scan_found(s, "acknowledgement", f->offset,
                   "record %" PRIu64 " acknowledges what this journal did not have, or what was "
                   "acknowledged before",
                   s->tree.size);
        return STOP;
    }
    ack_heads_drop(&s->heads, a.size);
    s->acked = a.size;
    return check_collector(s, f);
}

/* ---- signature frames ---- */

static int see_signature(struct scan *s, const struct frame *f)
{
    struct bound *b = &s->last;
    struct dp_cose_sign1_view v;
    struct dp_bytes cose;
    uint64_t seq;
    if (signature_read(f->payload.p, f->payload.n, &seq, &cose) != DP_OK ||
        dp_cose_sign1_parse(cose.p, cose.n, &v) != DP_OK) {
        scan_found(s, "signature-invalid", f->offset, "a signature frame is malformed");
        s->found_seq = f->seq < s->tree.size ? f->seq : s->tree.size;
        return STOP;
    }
    if (!b->any || b->is_signed || seq != b->seq)
        scan_found(s, "signature-invalid", f->offset,
                   "a signature for record %" PRIu64 " stands where none is due", seq);
    else if (memcmp(v.kid, b->by.kid, sizeof v.kid) != 0)
        scan_found(s, "signature-key", f->offset,
                   "checkpoint %" PRIu64 " is signed by another key than its epoch's", seq);
    else if (v.payload.n != b->body_n || memcmp(v.payload.p, b->body, b->body_n) != 0 ||
             cose.n > sizeof b->cose ||
             (!(s->bound_elsewhere && !s->degraded) &&
              dp_cose_verify(&v, checkpoint_aad(), b->by.point) != DP_OK))
        scan_found(s, "signature-invalid", f->offset,
                   "the signature of checkpoint %" PRIu64 " is not valid", seq);
    if (s->rule != NULL) {
        s->found_seq = seq < s->tree.size ? seq : s->tree.size; /* of what it claims to sign */
        return STOP;
    }
    b->is_signed = true;
    b->segment = s->header.number;
    b->signature_offset = f->offset;
    memcpy(b->cose, cose.p, cose.n);
    b->cose_n = cose.n;
    s->signed_size = b->seq + 1;
    s->signed_head.size = b->seq;
    memcpy(s->signed_head.root, b->root, sizeof b->root);
    memcpy(s->signed_head.anchor, b->after, sizeof b->after);
    return s->watch != NULL ? s->watch->signature(s->watch->ctx, b, v.signature) : DP_OK;
}

/* What binds the anchor needs no signature; the last one may be all that others have to go by. */
static int check_last_signature(struct scan *s)
{
    struct bound *b = &s->last;
    struct dp_cose_sign1_view v;
    if (!s->bound_elsewhere || !b->is_signed || b->cose_n == 0)
        return DP_OK;
    if (dp_cose_sign1_parse(b->cose, b->cose_n, &v) == DP_OK &&
        dp_cose_verify(&v, checkpoint_aad(), b->by.point) == DP_OK)
        return DP_OK;
    scan_found(s, "signature-invalid", b->signature_offset,
               "the signature of checkpoint %" PRIu64 " is not valid", b->seq);
    s->found_segment = b->segment;
    s->found_seq = b->seq;
    return STOP;
}

/* ---- records ---- */

/* A torn batch is what the RECOVERY record after it says, or it is no torn batch. */
static int see_recovery(struct scan *s, const struct frame *f)
{
    const struct dp_record *r = &s->record;
    const struct damage *d = &s->damages[0];
    if (s->damages_n == 0 && r->type != DP_RECORD_RECOVERY)
        return DP_OK;
    if (r->type != DP_RECORD_RECOVERY) {
        scan_found(s, d->whole ? "signature-missing" : "frame-crc", d->offset,
                   d->whole ? "record %" PRIu64 " and its batch have no signature, and no RECOVERY "
                              "record accounts for them"
                            : "record %" PRIu64
                              " is damaged, and no RECOVERY record accounts for it",
                   s->tree.size);
        s->found_segment = d->segment;
        return STOP;
    }
    if (s->damages_n == 0 || r->damage.segment != d->segment || r->damage.offset != d->offset ||
        r->damage.length != d->length || memcmp(r->damage.hash, d->hash, sizeof d->hash) != 0) {
        scan_found(s, "recovery-mismatch", f->offset,
                   "record %" PRIu64 " accounts for damage that is not there", s->tree.size);
        return STOP;
    }
    s->damages_n--;
    memmove(s->damages, s->damages + 1, s->damages_n * sizeof s->damages[0]);
    return DP_OK;
}

static int check_chain(struct scan *s, const struct frame *f)
{
    const struct dp_record *r = &s->record;
    if (r->seq != s->tree.size)
        scan_found(s, "seq-gap", f->offset,
                   "record %" PRIu64 " stands where record %" PRIu64 " should", r->seq,
                   s->tree.size);
    else if (memcmp(r->prev, s->leaf, sizeof r->prev) != 0)
        scan_found(s, "prev-hash", f->offset,
                   "record %" PRIu64 " does not follow the record before it: one of them was "
                   "changed",
                   s->tree.size);
    else if (memcmp(r->journal, s->header.journal, sizeof r->journal) != 0)
        scan_found(s, "journal-id", f->offset, "record %" PRIu64 " is of another journal",
                   s->tree.size);
    return s->rule == NULL ? DP_OK : STOP;
}

/* The anchor is dead from DEGRADED_ON to DEGRADED_OFF. NULL, or what must not be. */
static const char *see_degraded(struct scan *s, const struct dp_record *r)
{
    if (r->degraded != (r->type == DP_RECORD_OUTCOME && s->degraded))
        return r->degraded ? "it says degraded, and is none that could be"
                           : "an OUTCOME while degraded that does not say so";
    switch (r->type) {
    case DP_RECORD_DEGRADED_ON:
        if (s->degraded || !s->last.any)
            return "DEGRADED_ON while degraded, or before the first CHECKPOINT";
        s->degraded = true;
        missed_begin(&s->missed, s->last.before, s->last.before_size);
        return missed_add(&s->missed, s->last.digest, s->last.seq + 1) == DP_OK ? NULL : "";
    case DP_RECORD_DEGRADED_OFF:
        if (!s->degraded)
            return "DEGRADED_OFF while not degraded";
        s->degraded = false;
        return NULL;
    case DP_RECORD_KEY_ROTATE:
    case DP_RECORD_CLOSE:
        return s->degraded ? "the end of a round while degraded" : NULL;
    default:
        return NULL;
    }
}

static int check_state(struct scan *s, const struct frame *f)
{
    const struct dp_record *r = &s->record;
    const char *why = NULL;
    int err;
    if ((r->type == DP_RECORD_OPEN) != (s->tree.size == 0))
        why = "OPEN is the first record, and only the first";
    else if (s->closed && r->type != DP_RECORD_RECOVERY &&
             (r->type != DP_RECORD_CHECKPOINT || s->last.seq == s->tree.size - 1))
        why = "a record after the journal was closed";
    if (why == NULL)
        why = see_degraded(s, r);
    if (why == NULL) {
        err = ledger_see(s->ledger, r, &why);
        if (err != DP_OK)
            return err;
    }
    if (why == NULL)
        return DP_OK;
    scan_found(s, "state-machine", f->offset, "record %" PRIu64 ": %s", s->tree.size, why);
    return STOP;
}

static int check_totals(struct scan *s, const struct frame *f)
{
    const struct dp_record *r = &s->record;
    totals_add(&s->totals, r);
    if ((r->has_totals || !totals_concern(r->type)) &&
        (!r->has_totals || totals_equal(&r->totals, &s->totals)))
        return DP_OK;
    scan_found(s, "totals", f->offset,
               "the totals of record %" PRIu64 " are not those of the records", s->tree.size);
    return STOP;
}

/* Where the head's records end, the journal must be what the head says. */
static int check_head(struct scan *s, const struct frame *f)
{
    const struct dp_verify_options *o = s->options;
    uint8_t root[HASH_BYTES];
    int err;
    if (o == NULL || !o->has_head || o->head_size != s->tree.size)
        return DP_OK;
    err = tree_root(&s->tree, root);
    if (err != DP_OK)
        return err;
    s->head_seen = memcmp(o->head_root, root, sizeof root) == 0 &&
                   memcmp(o->head_journal, s->header.journal, sizeof o->head_journal) == 0 &&
                   s->last.any && memcmp(o->head_anchor, s->last.after, sizeof o->head_anchor) == 0;
    if (s->head_seen)
        return DP_OK;
    scan_found(s, "head-mismatch", f->offset,
               "the first %" PRIu64 " records are not those that the head was made of",
               s->tree.size);
    s->found_seq = s->tree.size - 1;
    return STOP;
}

static int decode(struct scan *s, const struct frame *f)
{
    unsigned key = 0;
    int err = dp_record_decode(f->payload.p, f->payload.n, &s->record, &key);
    if (err == DP_OK)
        return DP_OK;
    if (err == DP_ERR_UNSUPPORTED && key != 1)
        scan_found(s, "record-key", f->offset, "record %" PRIu64 " has the unknown key %u",
                   s->tree.size, key);
    else
        scan_found(s, "record-format", f->offset, "record %" PRIu64 ", key %u: %s", s->tree.size,
                   key, dp_strerr(err));
    return STOP;
}

static int see_body(struct scan *s, const struct frame *f)
{
    switch (s->record.type) {
    case DP_RECORD_OPEN:
    case DP_RECORD_KEY_ROTATE:
        return see_epoch(s, f);
    case DP_RECORD_CHECKPOINT:
        return see_checkpoint(s, f);
    case DP_RECORD_SHRED:
        s->shred_generation = s->record.shred.new_generation;
        return DP_OK;
    case DP_RECORD_UPLOAD_ACK:
        return see_ack(s, f);
    case DP_RECORD_DEGRADED_ON:
        return check_last_signature(s); /* the anchor may not have this one */
    case DP_RECORD_CLOSE:
        s->closed = true;
        return DP_OK;
    case DP_RECORD_VOID:
        s->voids++;
        return DP_OK;
    case DP_RECORD_INTENT:
        s->begun = true;
        return DP_OK;
    default:
        return DP_OK;
    }
}

static int see_record(struct scan *s, const struct frame *f)
{
    int err = decode(s, f);
    if (err == DP_OK)
        err = check_chain(s, f);
    if (err == DP_OK)
        err = see_recovery(s, f);
    if (err == DP_OK)
        err = check_state(s, f);
    if (err == DP_OK)
        err = check_totals(s, f);
    if (err == DP_OK)
        err = see_body(s, f);
    if (err == DP_OK)
        err = tree_leaf_hash(f->payload, s->leaf);
    if (err == DP_OK)
        err = tree_append(&s->tree, s->leaf);
    if (err == DP_OK && s->watch != NULL)
        err = s->watch->leaf(s->watch->ctx, s->leaf);
    if (err == DP_OK)
        err = check_head(s, f);
    if (err == DP_OK && s->each != NULL)
        s->each(s->user, &s->record);
    return err;
}

/* ---- batches ---- */

/* What is known when a batch begins, and the INTENT in it. */
struct owed {
    struct scan *s;
    bool begun;
};

/*
 * Whoever may write the files can write a batch without a signature. What may stand there gains him
 * nothing: one INTENT, which is declined; a RECOVERY, which says what is there; the VOID of a
 * writer without a key, which gives up a deferred payment. An honest writer has one payment at the
 * door.
 */
static bool owes_for(void *ctx, const struct frame *f)
{
    struct owed *o = ctx;
    struct dp_record *r = &o->s->record;
    unsigned key = 0;
    bool begun = o->begun;
    switch (f->type) {
    case DP_RECORD_INTENT:
        o->begun = true;
        return begun;
    case DP_RECORD_RECOVERY:
        return false;
    case DP_RECORD_VOID:
        return dp_record_decode(f->payload.p, f->payload.n, r, &key) != DP_OK ||
               !ledger_is_deferred(o->s->ledger, r->tx);
    default:
        return true;
    }
}

/* The frames from offset to end, which were walked before. */
static int batch_see(struct scan *s, const struct segment *seg, uint32_t offset, uint32_t end)
{
    uint32_t batch = offset;
    int err = DP_OK;
    while (err == DP_OK && offset < end) {
        struct frame f;
        enum frame_state state = frame_read(seg, offset, batch, s->tree.size, &f);
        DP_ASSERT(state == FRAME_GOOD && f.next > offset);
        err = f.signature ? see_signature(s, &f) : see_record(s, &f);
        offset = f.next;
    }
    return err;
}

static int note_damage(struct scan *s, const struct segment *seg, uint32_t offset, bool whole)
{
    struct damage *d = &s->damages[s->damages_n];
    if (s->damages_n == DP_JOURNAL_DAMAGES_MAX) {
        scan_found(s, "recovery-mismatch", offset, "more torn places than %d in a row",
                   DP_JOURNAL_DAMAGES_MAX);
        return STOP;
    }
    d->segment = s->header.number;
    d->offset = offset;
    d->length = segment_used(seg, offset) - offset;
    d->whole = whole;
    s->damages_n++;
    return hash_parts(&(struct dp_bytes){seg->p + offset, d->length}, 1, d->hash);
}

/* What is damaged behind b had been flushed when something of a later batch stands behind it.
 * Otherwise a batch is torn: b, when frames of it stand behind the damage or its signature is
 * missing. (Behind its signature there is none: that was its last frame.) */
static int batch_damaged(struct scan *s, const struct segment *seg, const struct batch *b)
{
    bool flushed = frame_later(seg, b->end);
    bool torn = !flushed && b->end != b->offset && !b->is_signed &&
                (b->owes || frame_same_batch(seg, b->end, b->offset));
    int err = torn ? DP_OK : batch_see(s, seg, b->offset, b->end);
    if (err != DP_OK)
        return err;
    s->offset = torn ? b->offset : b->end; /* behind the last frame that counts */
    if (!flushed)
        return note_damage(s, seg, s->offset, false);
    scan_found(s, "frame-crc", b->end,
               "record %" PRIu64 " is damaged, and what was written after it is not", s->tree.size);
    return STOP;
}

/* Whole, and without the signature that it owes: torn when nothing stands behind it, for then it
 * was never acknowledged. */
static int batch_unsigned(struct scan *s, const struct segment *seg, const struct batch *b,
                          bool last)
{
    if (last)
        return note_damage(s, seg, b->offset, true);
    scan_found(s, "signature-missing", b->offset,
               "record %" PRIu64 " and its batch have no signature, and others follow",
               s->tree.size);
    return STOP;
}

static int see_batches(struct scan *s, const struct segment *seg, uint32_t from)
{
    for (s->offset = from;;) {
        struct owed owed = {s, s->begun};
        struct batch b;
        int err;
        enum frame_state state = batch_walk(seg, s->offset, s->tree.size, owes_for, &owed, &b);
        if (state == FRAME_DAMAGED)
            return batch_damaged(s, seg, &b);
        if (b.owes && (state == FRAME_END || state == FRAME_GOOD))
            return batch_unsigned(s, seg, &b, state == FRAME_END);
        err = batch_see(s, seg, b.offset, b.end);
        if (err != DP_OK)
            return err;
        s->offset = b.end;
        if (state == FRAME_END)
            return DP_OK;
        if (state == FRAME_GOOD)
            continue;
        scan_found(s, state == FRAME_PADDED ? "frame-padding" : "frame-batch", b.end,
                   state == FRAME_PADDED ? "the padding of record %" PRIu64 " is not zero"
                                         : "record %" PRIu64 " names a batch it cannot be of",
                   s->tree.size);
        return STOP;
    }
}

/* ---- segments ---- */

static int check_header(struct scan *s, uint32_t number, uint64_t size, const uint8_t before[16])
{
    struct segment_header *h = &s->header;
    int err = segment_header_read(s->bytes, h);
    uint32_t says = h->number;
    h->number = number;
    if (err == DP_ERR_UNSUPPORTED)
        scan_found(s, "segment-header", 0, "segment %u was written by a later version", number);
    else if (err != DP_OK || h->bytes != size)
        scan_found(s, "segment-header", 0, "segment %u: %s", number,
                   err != DP_OK ? "its header is damaged" : "the file has not its size");
    else if (says != number)
        scan_found(s, "segment-order", 0, "segment %u stands in the place of %u", says, number);
    else if (number > 1 && memcmp(before, h->journal, sizeof h->journal) != 0)
        scan_found(s, "journal-id", 0, "segment %u is of another journal", number);
    else if (h->first_seq != s->tree.size)
        scan_found(s, "seq-gap", 0,
                   "segment %u begins with record %" PRIu64 ", and %" PRIu64 " should come", number,
                   h->first_seq, s->tree.size);
    else if (memcmp(h->prev_leaf, s->leaf, sizeof s->leaf) != 0)
        scan_found(s, "prev-hash", 0, "segment %u does not follow the one before it", number);
    return s->rule == NULL ? DP_OK : STOP;
}

static int read_segment(struct scan *s, uint32_t number, uint64_t *size)
{
    enum segment_found found;
    int err = segment_load(s->store, s->dir, number, s->bytes, &s->room, size, &found);
    s->header.number = number;
    if (err != DP_OK)
        return err;
    if (found == SEGMENT_MISSING)
        scan_found(s, "segment-order", 0, "segment %u of %u is missing", number, s->segments);
    else if (found == SEGMENT_BAD_ARCHIVE)
        scan_found(s, "segment-archive", 0,
                   "the archive of segment %u is damaged, or not of the segment beside it", number);
    else if (found == SEGMENT_NO_SIZE)
        scan_found(s, "segment-header", 0, "segment %u has no possible size", number);
    return s->rule == NULL ? DP_OK : STOP;
}

static struct segment in_memory(const struct scan *s, uint64_t size)
{
    struct segment seg = {s->bytes, (uint32_t)size, {0}};
    memcpy(seg.salt, s->header.salt, sizeof seg.salt);
    return seg;
}

static int see_segment(struct scan *s, uint32_t number)
{
    struct segment seg;
    uint64_t size = 0;
    uint8_t journal[16];
    int err;
    memcpy(journal, s->header.journal, sizeof journal);
    err = read_segment(s, number, &size);
    if (err == DP_OK)
        err = check_header(s, number, size, journal);
    if (err != DP_OK)
        return err;
    seg = in_memory(s, size);
    return see_batches(s, &seg, SEGMENT_HEADER_BYTES);
}

struct counted {
    uint32_t n, last; /* names come in order: a file and its archive one after the other */
};

static void count_segment(void *user, const char *name)
{
    struct counted *c = user;
    uint32_t number = segment_any_number(name);
    if (number == 0 || number == c->last)
        return;
    c->last = number;
    c->n++;
}

int segments_count(const struct dp_store *store, const char *dir, uint32_t *n)
{
    struct counted c = {0, 0};
    int err = store->ops->list(store->ctx, dir, count_segment, &c);
    *n = c.n;
    return err;
}

int scan_begin(struct scan *s, const char *dir)
{
    DP_ASSERT(strlen(dir) < sizeof s->dir);
    memcpy(s->dir, dir, strlen(dir) + 1);
    return segments_count(s->store, dir, &s->segments);
}

int scan_segment(struct scan *s, uint32_t number)
{
    int err = see_segment(s, number);
    return err == STOP ? DP_OK : err;
}

/* n files, so the numbers are 1 to n or one of them is missing. */
static int see_from(struct scan *s, uint32_t number)
{
    int err = DP_OK;
    for (; err == DP_OK && number <= s->segments; number++)
        err = see_segment(s, number);
    if (err == DP_OK)
        err = check_last_signature(s);
    return err == STOP ? DP_OK : err;
}

int scan_run(struct scan *s, const char *dir)
{
    int err = scan_begin(s, dir);
    if (err != DP_OK)
        return err;
    if (s->segments == 0) {
        scan_found(s, "segment-order", 0, "there is no segment");
        return DP_OK;
    }
    return see_from(s, 1);
}

/* ---- from a snapshot on ---- */

static void take_snapshot(struct scan *s, const struct snapshot *from)
{
    s->tree = from->tree;
    memcpy(s->leaf, from->leaf, sizeof s->leaf);
    s->totals = from->totals;
    s->epoch = from->epoch;
    memcpy(s->identity, from->epoch.identity, sizeof s->identity);
    s->checkpoints = from->checkpoints;
    s->shred_generation = from->shred_generation;
    s->acked = from->acked;
    s->heads_from = from->tree.size;
    s->last.any = s->last.is_signed = true;
    s->last.seq = from->last.seq;
    s->last.before_size = from->last.before_size;
    memcpy(s->last.before, from->last.before, sizeof s->last.before);
    memcpy(s->last.digest, from->last.digest, sizeof s->last.digest);
    memcpy(s->last.after, from->last.after, sizeof s->last.after);
    s->signed_size = from->last.seq + 1;
    s->offset = from->offset;
}

/* The segment in memory has whole frames up to the snapshot's place, and there its last record: a
 * disk that lied about a flush may have lost what is nowhere else, and nothing may be written
 * behind a hole. */
static int check_up_to(const struct scan *s, const struct snapshot *from)
{
    struct segment seg = in_memory(s, s->header.bytes);
    uint64_t seq = s->header.first_seq;
    uint8_t leaf[HASH_BYTES];
    struct dp_bytes last = {NULL, 0};
    struct frame f;
    int err = DP_OK;
    memset(&f, 0, sizeof f);
    for (f.next = SEGMENT_HEADER_BYTES; f.next < from->offset; seq += f.signature ? 0 : 1) {
        if (frame_read(&seg, f.next, f.batch, seq, &f) != FRAME_GOOD)
            return DP_ERR_MISMATCH;
        if (!f.signature)
            last = f.payload;
    }
    memcpy(leaf, s->header.prev_leaf, sizeof leaf);
    if (last.n > 0)
        err = tree_leaf_hash(last, leaf);
    if (err != DP_OK)
        return err;
    return f.next == from->offset && seq == from->tree.size &&
                   memcmp(leaf, from->leaf, sizeof leaf) == 0
               ? DP_OK
               : DP_ERR_MISMATCH;
}

int scan_resume(struct scan *s, const char *dir, const struct snapshot *from)
{
    struct segment_header *h = &s->header;
    uint64_t size = 0;
    int err = scan_begin(s, dir);
    if (err == DP_OK && s->segments < from->segment)
        return DP_ERR_MISMATCH;
    ledger_free(&s->ledger);
    if (err == DP_OK)
        err = ledger_restore(from->ledger, &s->ledger);
    if (err == DP_OK)
        err = read_segment(s, from->segment, &size);
    if (err != DP_OK)
        return err == STOP ? DP_ERR_MISMATCH : err;
    if (segment_header_read(s->bytes, h) != DP_OK || h->bytes != size ||
        h->number != from->segment || from->offset > size || h->first_seq > from->tree.size ||
        memcmp(h->journal, from->journal, sizeof h->journal) != 0)
        return DP_ERR_MISMATCH;
    err = check_up_to(s, from);
    if (err == DP_OK)
        take_snapshot(s, from);
    return err;
}

int scan_go_on(struct scan *s)
{
    struct segment seg = in_memory(s, s->header.bytes);
    int err = see_batches(s, &seg, s->offset);
    if (err != DP_OK)
        return err == STOP ? DP_OK : err;
    return see_from(s, s->header.number + 1);
}
