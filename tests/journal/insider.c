/* SPDX-License-Identifier: Apache-2.0 */
#include "insider.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/writer.h"
#include "journal/body.h"
#include "journal/segment.h"
#include "journal/tree.h"

static const struct cut *now;
static unsigned tries;

/* ---- what can be taken hold of ---- */

static bool is_record(int frame)
{
    return !crash.frames[frame].signature;
}

/* The last whole frame before the end, or the nth record before it. */
static int record_before_end(int end, int nth)
{
    int i = end - 1;
    for (; i >= 0; i--)
        if (is_record(i) && nth-- == 0)
            break;
    return i;
}

static int frames_there(void)
{
    int n = 0;
    while (n < crash.frames_n && crash_frame_whole(&crash.frames[n]))
        n++;
    return n;
}

static uint8_t *bytes_of(int frame)
{
    const struct frame_at *f = &crash.frames[frame];
    return crash.w.mem.nodes[f->node].data + f->offset;
}

static struct dp_record *record_at(int frame)
{
    static struct dp_record r;
    const uint8_t *p = bytes_of(frame);
    size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    unsigned key = 0;
    DP_ASSERT(dp_record_decode(p + FRAME_HEADER_BYTES, n, &r, &key) == DP_OK);
    return &r;
}

/* Puts a payload where a frame is or shall be, the check sum made right. */
static void put_payload(const struct frame_at *f, struct dp_bytes payload)
{
    uint8_t *segment = crash.w.mem.nodes[f->node].data;
    struct segment_header h;
    struct dp_writer w;
    DP_ASSERT(segment_header_read(segment, &h) == DP_OK);
    DP_ASSERT(frame_bytes(payload.n) == f->bytes);
    dp_writer_init(&w, segment + f->offset, f->bytes);
    frame_write(&w, h.salt, f->seq, f->batch, payload);
    DP_ASSERT(w.err == DP_OK);
}

/* Puts the record in its frame's place; its leaf's hash comes back. */
static void put_record(int frame, const struct dp_record *r, uint8_t leaf[HASH_BYTES])
{
    uint8_t payload[DP_JOURNAL_RECORD_MAX];
    size_t n = 0;
    DP_ASSERT(dp_record_encode(r, payload, sizeof payload, &n) == DP_OK);
    put_payload(&crash.frames[frame], (struct dp_bytes){payload, n});
    DP_ASSERT(tree_leaf_hash((struct dp_bytes){payload, n}, leaf) == DP_OK);
}

/* ---- it must not pass ---- */

static void refused(const char *what, int frame)
{
    struct dp_verify_result v;
    char name[96];
    int err;
    cut_name(now, name);
    tries++;
    err = crash_read(&v);
    if (err != DP_OK || (v.verdict != DP_VERDICT_TAMPERED && v.verdict != DP_VERDICT_ROLLBACK))
        fail_msg("seed %llu, state %s: %s, frame %d: the verifier says: %s",
                 (unsigned long long)crash.seed, name, what, frame, v.words);
    err = crash_open();
    if (err == DP_OK)
        crash_stop();
    if (err != DP_ERR_TAMPERED && err != DP_ERR_ROLLBACK)
        fail_msg("seed %llu, state %s: %s, frame %d: opened: %s", (unsigned long long)crash.seed,
                 name, what, frame, dp_strerr(err));
}

/* A record that another one follows; the clock is the least that can be changed. */
static void edited(int frame)
{
    uint8_t leaf[HASH_BYTES];
    struct dp_record *r;
    if (frame < 0)
        return;
    recording_put(&crash.rec, now);
    r = record_at(frame);
    r->wall_ms ^= 1;
    put_record(frame, r, leaf);
    refused("a record edited", frame);
}

/* A byte of a batch that another one follows: no crash does that. */
static void damaged(int frame)
{
    if (frame < 0)
        return;
    recording_put(&crash.rec, now);
    bytes_of(frame)[crash_draw() % crash.frames[frame].bytes] ^= (uint8_t)(1 + crash_draw() % 255);
    refused("a batch damaged that was flushed", frame);
}

static int sign_epoch(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    return dp_hsm_sign(ctx, DP_KEY_JOURNAL_EPOCH, digest, signature);
}

/* As a writer would that does not look at what it signs. False: this token cannot. */
static bool sign_again(int checkpoint, const struct dp_record *r)
{
    uint8_t cose[SIGNATURE_FRAME_MAX], payload[SIGNATURE_FRAME_MAX];
    struct frame_at f = crash.frames[checkpoint + 1];
    struct checkpoint c;
    size_t n = 0;
    DP_ASSERT(checkpoint_read(r->body, r->body_n, &c) == DP_OK);
    if (dp_cose_sign1(sign_epoch, crash.w.hsm, c.kid, checkpoint_aad(),
                      (struct dp_bytes){r->body, r->body_n}, cose, sizeof cose, &n) != DP_OK)
        return false;
    DP_ASSERT(signature_write(r->seq, (struct dp_bytes){cose, n}, payload, sizeof payload, &n) ==
              DP_OK);
    f.seq = r->seq;
    put_payload(&f, (struct dp_bytes){payload, n});
    return true;
}

/* The last checkpoint is not bound yet: its body can be made to fit, all but the tree. */
static void leaf_made_right(int there)
{
    int checkpoint = record_before_end(there, 0), before = record_before_end(there, 1);
    uint8_t leaf[HASH_BYTES];
    struct checkpoint c;
    struct dp_record *r;
    size_t n = 0;
    if (before < 0)
        return;
    recording_put(&crash.rec, now);
    if (record_at(checkpoint)->type != DP_RECORD_CHECKPOINT)
        return;
    r = record_at(before);
    r->wall_ms ^= 1;
    put_record(before, r, leaf);
    r = record_at(checkpoint);
    memcpy(r->prev, leaf, sizeof leaf);
    DP_ASSERT(checkpoint_read(r->body, r->body_n, &c) == DP_OK);
    memcpy(c.last_leaf, leaf, sizeof leaf);
    DP_ASSERT(checkpoint_write(&c, r->body, sizeof r->body, &n) == DP_OK && n == r->body_n);
    put_record(checkpoint, r, leaf);
    if (!sign_again(checkpoint, r))
        return;
    refused("a record edited, and its leaf in the checkpoint made right", before);
}

/* The disk as it was before the token bound it anew. */
static void older_copy(void)
{
    const struct fast_state *is = recording_token(&crash.rec, now->calls, now->newest);
    struct cut c = {0, true, UINT64_MAX / 3, -1, false};
    int at = -1, changes = 0;
    for (int i = crash.rec.tokens_n - 1; i > 0; i--) {
        bool later = crash.rec.tokens[i].at > now->calls ||
                     (crash.rec.tokens[i].at == now->calls && !now->newest);
        if (later ||
            memcmp(crash.rec.tokens[i].state.anchor, crash.rec.tokens[i - 1].state.anchor, 32) == 0)
            continue;
        if (++changes == 2)
            at = crash.rec.tokens[i].at;
    }
    if (at < 0)
        return;
    c.calls = at;
    recording_put(&crash.rec, &c);
    *fast_token_state() = *is;
    refused("an older copy of the disk", at);
}

static bool settled_is_read(void)
{
    struct dp_verify_result v;
    bool seen = false;
    DP_ASSERT(crash_read(&v) == DP_OK);
    for (int i = 0; i < crash.seen_n; i++)
        seen |= crash.seen[i].type == DP_RECORD_SETTLED;
    return seen;
}

/* The end of a batch that the acquirer agreed to, in a batch of its own or in the last one, the
 * chain made right: nobody reads it, and no start believes it. */
static void appended(int there, bool own_batch)
{
    const struct frame_at *end = &crash.frames[there - 1];
    struct frame_at f = *end;
    struct dp_record *r;
    uint8_t leaf[HASH_BYTES], payload[DP_JOURNAL_RECORD_MAX];
    size_t n = 0;
    char name[96];
    int last = record_before_end(there, 0), err;
    recording_put(&crash.rec, now);
    if (end->signature)
        last = there - 2;
    r = record_at(last);
    put_record(last, r, leaf);
    r->type = DP_RECORD_SETTLED;
    r->has_tx = r->has_amount = r->has_totals = false;
    r->seq = crash.frames[last].seq + 1;
    r->body_n = 0;
    memcpy(r->prev, leaf, sizeof leaf);
    memcpy(r->settled.verdict, "500", 4);
    DP_ASSERT(dp_record_encode(r, payload, sizeof payload, &n) == DP_OK);
    f.offset = end->offset + end->bytes;
    f.bytes = (uint32_t)frame_bytes(n);
    f.seq = r->seq;
    f.batch = own_batch ? f.offset : end->batch;
    if (f.offset + f.bytes > crash.w.segment_bytes)
        return;
    put_payload(&f, (struct dp_bytes){payload, n});
    cut_name(now, name);
    tries++;
    if (settled_is_read())
        fail_msg("seed %llu, state %s: a record appended is read", (unsigned long long)crash.seed,
                 name);
    err = crash_open();
    if (err == DP_OK)
        crash_stop();
    if (settled_is_read())
        fail_msg("seed %llu, state %s: a record appended is believed: %s",
                 (unsigned long long)crash.seed, name, dp_strerr(err));
}

/* The last frame of the batch before the last one. */
static int batch_before_last(int there)
{
    int i = there - 1;
    while (i >= 0 && crash.frames[i].node == crash.frames[there - 1].node &&
           crash.frames[i].batch == crash.frames[there - 1].batch)
        i--;
    return i;
}

unsigned insider_tries(const struct cut *c)
{
    int there, last, flushed;
    now = c;
    tries = 0;
    crash_seed_state(c);
    recording_put(&crash.rec, c);
    there = frames_there();
    if (there < 3)
        return 0;
    last = record_before_end(there, 1);
    flushed = batch_before_last(there);
    edited(last);
    if (last > 0) {
        int drawn = (int)(crash_draw() % (uint64_t)last);
        edited(is_record(drawn) ? drawn : drawn - 1);
    }
    damaged(flushed);
    damaged(flushed > 0 ? (int)(crash_draw() % (uint64_t)flushed) : -1);
    if (!c->newest)
        leaf_made_right(there);
    appended(there, true);
    appended(there, false);
    older_copy();
    return tries;
}
