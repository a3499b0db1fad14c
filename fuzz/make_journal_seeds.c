/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_journal_seeds FUZZ: the journals in FUZZ/seeds/journal and FUZZ/seeds/prover anew, and what
 * their targets know of them, FUZZ/journal_seed.h and FUZZ/prover_seed.h. For the day on which the
 * journal's format changes; the token that signs is made for the run and thrown away. Of each seed
 * it is checked that the verifier says what the seed is named after.
 */
#include <stdio.h>
#include <string.h>

#include <doorpay/cbor.h>
#include <doorpay/cose.h>

#include "base/assert.h"
#include "base/reader.h"
#include "journal/body.h"
#include "journal/prover.h"
#include "journal/segment.h"
#include "journal/totals.h"
#include "tests/journal/forge.h"
#include "tests/journal/world.h"

#define SEGMENT 8192
#define NEW     true  /* of a record: begins a batch */
#define SAME    false /* ... stands in the batch before it */

static const char *out_dir;
static struct world w;
static struct memstore kept;   /* two payments, bound: what every seed begins with */
static struct forge base, f;   /* its frames, and those of the seed that is made */
static struct checkpoint body; /* of edit_body */
static struct dp_verify_result v;
static uint8_t anchor[32];

/* ---- files ---- */

static FILE *create(const char *name)
{
    char path[512];
    FILE *file;
    int n = snprintf(path, sizeof path, "%s/%s", out_dir, name);
    DP_ASSERT(n > 0 && (size_t)n < sizeof path);
    file = fopen(path, "we");
    DP_ASSERT(file != NULL);
    return file;
}

static void put(FILE *file, const void *p, size_t n)
{
    DP_ASSERT(fwrite(p, 1, n, file) == n);
}

static FILE *begin_seed(const char *target, const char *name, uint8_t kind)
{
    char path[128];
    FILE *file;
    (void)snprintf(path, sizeof path, "seeds/%s/%s", target, name);
    file = create(path);
    put(file, &kind, 1);
    return file;
}

static void end(FILE *file)
{
    DP_ASSERT(fclose(file) == 0);
}

/* ---- the frames of a seed ---- */

static int at(enum dp_record_type type, int nth)
{
    return forge_find(&f, type, nth);
}

static int signature_at(int nth)
{
    return forge_signature(&f, nth);
}

static void edit_body(int i)
{
    const struct dp_record *r = forge_edit(&f, i);
    DP_ASSERT(checkpoint_read(r->body, r->body_n, &body) == DP_OK);
}

static void put_body(int i)
{
    struct dp_record *r = &f.record;
    size_t n;
    DP_ASSERT(checkpoint_write(&body, r->body, sizeof r->body, &n) == DP_OK);
    r->body_n = (uint16_t)n;
    forge_put(&f, i);
}

static int sign_epoch(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    return dp_hsm_sign(ctx, DP_KEY_JOURNAL_EPOCH, digest, signature);
}

/* Part i becomes the token's signature of the checkpoint before it. */
static void sign(int i)
{
    uint8_t cose[SIGNATURE_FRAME_MAX];
    struct forge_part *p = &f.parts[i];
    const struct dp_record *r;
    size_t n = 0;
    edit_body(i - 1);
    r = &f.record;
    DP_ASSERT(dp_cose_sign1(sign_epoch, w.hsm, body.kid, checkpoint_aad(),
                            (struct dp_bytes){r->body, r->body_n}, cose, sizeof cose, &n) == DP_OK);
    DP_ASSERT(signature_write(r->seq, (struct dp_bytes){cose, n}, p->payload, sizeof p->payload,
                              &p->n) == DP_OK);
    p->signature = true;
    p->starts_batch = SAME;
}

/* Everything made right, signatures too. */
static void rebind_and_sign(void)
{
    forge_rebind(&f);
    for (int i = 1; i < f.n; i++)
        if (f.parts[i].signature)
            sign(i);
}

static void add(const struct dp_record *r, bool starts_batch)
{
    struct forge_part *p = &f.parts[f.n++];
    static struct dp_record full;
    const struct dp_record *like = forge_edit(&f, 0);
    DP_ASSERT(f.n < FORGE_PARTS_MAX);
    full = *r;
    memcpy(full.journal, like->journal, sizeof full.journal);
    memcpy(full.boot, like->boot, sizeof full.boot);
    full.mono_ms = like->mono_ms;
    full.wall_ms = like->wall_ms;
    full.clock = like->clock;
    full.has_totals = totals_concern(r->type);
    DP_ASSERT(dp_record_encode(&full, p->payload, sizeof p->payload, &p->n) == DP_OK);
    p->signature = false;
    p->starts_batch = starts_batch;
}

static void add_checkpoint(void)
{
    static struct dp_record r;
    r = *forge_edit(&f, at(DP_RECORD_CHECKPOINT, 1));
    add(&r, SAME);
    forge_rebind(&f);
}

/* The batch is what a writer makes of it: CHECKPOINT and signature behind it. */
static void bind(void)
{
    add_checkpoint();
    sign(f.n++);
}

static void add_settled(bool starts_batch)
{
    struct dp_record r;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_SETTLED;
    memcpy(r.action_code, "500", 4);
    memcpy(r.settled.verdict, "500", 4);
    add(&r, starts_batch);
    forge_rechain(&f);
}

static void add_of(enum dp_record_type type, uint32_t payment, uint32_t stan, enum dp_mode mode)
{
    struct dp_record r;
    record_of(&r, type, payment);
    r.stan = stan;
    r.mode = mode;
    r.mti = type == DP_RECORD_REQUESTED ? 1200 : type == DP_RECORD_FORWARDED ? 1220 : 0;
    r.result = type == DP_RECORD_FORWARDED ? 1 : 0;
    r.has_original_tx = type == DP_RECORD_VOID;
    if (r.has_original_tx)
        memcpy(r.original_tx, r.tx, sizeof r.tx);
    add(&r, NEW);
    forge_rechain(&f);
    forge_rebind(&f);
}

static void add_plain(enum dp_record_type type)
{
    struct dp_record r;
    memset(&r, 0, sizeof r);
    r.type = type;
    add(&r, NEW);
    forge_rechain(&f);
}

/* As the target does: a signature frame's is the one it names, whatever stands behind it. */
static uint64_t seq_of(const struct forge_part *p, uint64_t *records)
{
    struct dp_reader r;
    uint64_t seq;
    dp_reader_init(&r, p->payload, p->n);
    if (p->signature && dp_cbor_read_array(&r) == 3) {
        (void)dp_cbor_read_uint(&r);
        seq = dp_cbor_read_uint(&r);
        if (r.err == DP_OK)
            return seq;
    }
    return (*records)++;
}

/* Into the first segment, which is the only one. */
static void lay(void)
{
    struct node *node = memstore_segment(&w.mem, 1);
    struct segment_header h;
    struct dp_writer writer;
    uint32_t batch = SEGMENT_HEADER_BYTES;
    uint64_t records = 0;
    DP_ASSERT(segment_header_read(node->data, &h) == DP_OK);
    memset(node->data + SEGMENT_HEADER_BYTES, 0, node->n - SEGMENT_HEADER_BYTES);
    dp_writer_init(&writer, node->data, node->n);
    writer.n = SEGMENT_HEADER_BYTES;
    for (int i = 0; i < f.n; i++) {
        const struct forge_part *p = &f.parts[i];
        if (p->starts_batch)
            batch = (uint32_t)writer.n;
        frame_write(&writer, h.salt, seq_of(p, &records), batch,
                    (struct dp_bytes){p->payload, p->n});
    }
    DP_ASSERT(writer.err == DP_OK);
}

static void payload_ends(int i, size_t n, uint8_t last)
{
    f.parts[i].n = n;
    f.parts[i].payload[n - 1] = last;
}

static void add_reversal(uint32_t payment, uint32_t original)
{
    struct dp_record r;
    record_of(&r, DP_RECORD_REVERSAL, payment);
    r.mode = DP_MODE_REVERSED;
    r.stan = 9;
    r.has_original = r.has_original_tx = true;
    r.original.mti = 1200;
    r.original.stan = original;
    memcpy(r.original_tx, r.tx, sizeof r.tx);
    add(&r, NEW);
}

static void add_acknowledgement(const struct ack *a)
{
    struct dp_record r;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_UPLOAD_ACK;
    r.body_n = (uint16_t)collector_sign(&w, a, r.body);
    r.has_digest = true;
    DP_ASSERT(hash_parts(&(struct dp_bytes){r.body, r.body_n}, 1, r.digest) == DP_OK);
    add(&r, NEW);
    bind();
}

/* ---- what every journal is held to ---- */

static void whole(void)
{
}

static void amount(void)
{
    int i = at(DP_RECORD_OUTCOME, 0);
    forge_edit(&f, i)->amount.minor++;
    forge_put(&f, i);
}

static void prev_hash(void)
{
    int i = at(DP_RECORD_OUTCOME, 0);
    forge_edit(&f, i)->batch = 7;
    forge_put(&f, i);
}

static void last_leaf(void)
{
    prev_hash();
    forge_rechain(&f);
}

static void tree_root(void)
{
    int i = at(DP_RECORD_CHECKPOINT, 2);
    last_leaf();
    edit_body(i);
    memcpy(body.last_leaf, f.record.prev, sizeof body.last_leaf);
    put_body(i);
}

static void signature_invalid(void)
{
    prev_hash();
    forge_rebind(&f);
}

static void anchor_chain(void)
{
    int i = at(DP_RECORD_CHECKPOINT, 1);
    edit_body(i);
    body.before[0] ^= 1;
    put_body(i);
}

static void checkpoint_size(void)
{
    int i = at(DP_RECORD_CHECKPOINT, 1);
    edit_body(i);
    body.size--;
    put_body(i);
}

static void journal_id_body(void)
{
    int i = at(DP_RECORD_CHECKPOINT, 1);
    edit_body(i);
    body.journal[0] ^= 1;
    put_body(i);
}

static void totals_body(void)
{
    int i = at(DP_RECORD_CHECKPOINT, 1);
    edit_body(i);
    body.totals.intents++;
    put_body(i);
}

static void body_malformed(void)
{
    int i = at(DP_RECORD_CHECKPOINT, 1);
    forge_edit(&f, i)->body_n = 1;
    forge_put(&f, i);
}

static void totals(void)
{
    int i = at(DP_RECORD_OUTCOME, 1);
    forge_edit(&f, i)->totals.offline_amount--;
    forge_put(&f, i);
}

static void journal_id(void)
{
    int i = at(DP_RECORD_OUTCOME, 0);
    forge_edit(&f, i)->journal[3] ^= 1;
    forge_put(&f, i);
}

static void record_format(void)
{
    int i = at(DP_RECORD_INTENT, 0);
    payload_ends(i, f.parts[i].n, 0xFF);
}

static void record_key(void)
{
    struct forge_part *p = &f.parts[at(DP_RECORD_INTENT, 0)];
    DP_ASSERT(p->payload[0] > 0xA1 && p->payload[0] < 0xB7);
    p->payload[0]++;
    memcpy(p->payload + p->n, "\x18\x64\x01", 3);
    p->n += 3;
}

static void seq_gap(void)
{
    forge_remove(&f, at(DP_RECORD_OUTCOME, 0));
}

static void cut(void)
{
    f.n = at(DP_RECORD_INTENT, 1) + 1;
}

static void one_batch(void)
{
    for (int i = 1; i < f.n; i++)
        f.parts[i].starts_batch = SAME;
}

static void epoch_certificate(void)
{
    struct dp_record *r = forge_edit(&f, 0);
    r->body[r->body_n - 5] ^= 1;
    forge_put(&f, 0);
}

static void epoch_malformed(void)
{
    struct dp_record *r = forge_edit(&f, 0);
    r->body[0] = 0x80; /* no items */
    r->body_n = 1;
    forge_put(&f, 0);
}

/* ---- what payments can do ---- */

static void no_open(void)
{
    forge_remove(&f, 0);
    forge_rechain(&f);
}

static void no_intent(void)
{
    forge_remove(&f, at(DP_RECORD_INTENT, 0));
    rebind_and_sign();
}

static void no_requested(void)
{
    forge_remove(&f, at(DP_RECORD_REQUESTED, 0));
    rebind_and_sign();
}

static void open_twice(void)
{
    static struct dp_record r;
    r = *forge_edit(&f, 0);
    add(&r, NEW);
    bind();
}

static void outcome_twice(void)
{
    add_of(DP_RECORD_OUTCOME, 1, 0, DP_MODE_DECLINED);
    bind();
}

static void outcome_unknown(void)
{
    add_of(DP_RECORD_OUTCOME, 9, 0, DP_MODE_DECLINED);
    bind();
}

static void requested_after(void)
{
    add_of(DP_RECORD_REQUESTED, 1, 9, DP_MODE_ONLINE);
    bind();
}

static void requested_deferred(void)
{
    add_of(DP_RECORD_REQUESTED, 1, 9, DP_MODE_DEFERRED);
    bind();
}

static void requested_mode(void)
{
    add_of(DP_RECORD_REQUESTED, 1, 9, DP_MODE_OFFLINE);
    bind();
}

static void forwarded(void)
{
    add_of(DP_RECORD_FORWARDED, 2, 5, DP_MODE_NONE);
    bind();
}

static void forwarded_online(void)
{
    add_of(DP_RECORD_FORWARDED, 1, 3, DP_MODE_NONE);
    bind();
}

static void forwarded_unknown(void)
{
    add_of(DP_RECORD_FORWARDED, 2, 77, DP_MODE_NONE);
    bind();
}

static void forwarded_result(void)
{
    int i = f.n;
    forwarded();
    forge_edit(&f, i)->result = 3;
    forge_put(&f, i);
    rebind_and_sign();
}

static void reversal(void)
{
    add_reversal(1, 3);
    bind();
}

static void reversal_never(void)
{
    add_reversal(1, 7);
    bind();
}

static void reversal_unknown(void)
{
    add_reversal(9, 3);
    bind();
}

static void void_(void)
{
    add_of(DP_RECORD_VOID, 2, 0, DP_MODE_VOID);
    bind();
}

static void void_unsigned(void)
{
    add_of(DP_RECORD_VOID, 2, 0, DP_MODE_VOID);
}

static void void_online(void)
{
    add_of(DP_RECORD_VOID, 1, 0, DP_MODE_VOID);
}

static void void_unknown(void)
{
    add_of(DP_RECORD_VOID, 9, 0, DP_MODE_VOID);
}

static void intent_unsigned(void)
{
    add_of(DP_RECORD_INTENT, 9, 0, DP_MODE_NONE);
}

static void recovery_alone(void)
{
    struct dp_record r;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_RECOVERY;
    r.has_damage = true;
    r.damage.segment = 1;
    r.damage.offset = 4096;
    r.damage.length = 8;
    add(&r, NEW);
    forge_rechain(&f);
}

static void shred(void)
{
    struct dp_record r;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_SHRED;
    r.shred.new_generation = 1;
    add(&r, NEW);
    bind();
}

static void rotate_same(void)
{
    static struct dp_record r;
    r = *forge_edit(&f, 0);
    r.type = DP_RECORD_KEY_ROTATE;
    add(&r, NEW);
    bind();
}

static void closed(void)
{
    add_plain(DP_RECORD_CLOSE);
    bind();
}

static void close(void)
{
    closed();
    add_plain(DP_RECORD_TIME_SYNC);
    bind();
}

static void degraded(void)
{
    add_plain(DP_RECORD_DEGRADED_ON);
    bind();
}

static void degraded_off(void)
{
    degraded();
    add_plain(DP_RECORD_DEGRADED_OFF);
    bind();
}

static void degraded_twice(void)
{
    degraded();
    add_plain(DP_RECORD_DEGRADED_ON);
    bind();
}

static struct ack said;

static void acknowledged(void)
{
    lay();
    collector_head(&w, &said);
    add_acknowledgement(&said);
}

static void acknowledged_twice(void)
{
    acknowledged();
    add_acknowledgement(&said);
}

/* ---- batches and their signatures ---- */

static void signature_key(void)
{
    struct forge_part *p = &f.parts[signature_at(1)];
    struct dp_cose_sign1_view view;
    uint8_t *kid;
    struct dp_bytes cose;
    uint64_t seq;
    DP_ASSERT(signature_read(p->payload, p->n, &seq, &cose) == DP_OK);
    DP_ASSERT(dp_cose_sign1_parse(cose.p, cose.n, &view) == DP_OK);
    kid = memmem(p->payload, p->n, view.kid, sizeof view.kid);
    DP_ASSERT(kid != NULL);
    kid[0] ^= 1;
}

static void signature_wrong(void)
{
    int i = signature_at(1);
    payload_ends(i, f.parts[i].n, (uint8_t)~f.parts[i].payload[f.parts[i].n - 1]);
}

/* [1, 1 and no more: no signature frame. */
static void signature_malformed(void)
{
    f.parts[signature_at(0)].n = 3;
}

/* [1, 1, a text]. */
static void signature_text(void)
{
    struct forge_part *p = &f.parts[signature_at(0)];
    memcpy(p->payload + 3, "\x64sign", 5);
    p->n = 8;
}

static void signature_missing(void)
{
    forge_strip(&f);
}

static void signature_twice(void)
{
    static struct forge_part again;
    int i = signature_at(1);
    again = f.parts[i];
    forge_insert(&f, i + 1, &again);
}

/* In a batch of its own. */
static void signature_again(void)
{
    signature_twice();
    f.parts[signature_at(2)].starts_batch = NEW;
}

static void signature_of_intent(void)
{
    static struct forge_part again;
    again = f.parts[signature_at(1)];
    forge_insert(&f, at(DP_RECORD_INTENT, 1) + 1, &again);
}

static void last_unsigned(void)
{
    f.n--;
}

static void unsigned_last(void)
{
    add_settled(NEW);
}

static void unsigned_middle(void)
{
    unsigned_last();
    add_of(DP_RECORD_INTENT, 9, 0, DP_MODE_NONE);
}

static void unsigned_checkpoint(void)
{
    add_settled(NEW);
    add_checkpoint();
}

static void unsigned_behind_void(void)
{
    void_unsigned();
    add_settled(SAME);
    forge_rebind(&f);
}

static void behind_signature(void)
{
    add_settled(SAME);
}

/* Between the CHECKPOINT and what signs it. */
static void before_signature(void)
{
    add_settled(SAME);
    forge_swap(&f, f.n - 2, f.n - 1);
}

static void two_checkpoints(void)
{
    unsigned_checkpoint();
    bind();
}

static void begins_with(const char *start, size_t n)
{
    add_settled(NEW);
    memcpy(f.parts[f.n - 1].payload, start, n);
    f.parts[f.n - 1].n = n;
}

static void type_unsaid(void)
{
    begins_with("\xA1\x03\x0A", 3);
}

/* An INTENT, and the key behind that is not its number. */
static void type_without_seq(void)
{
    begins_with("\xA3\x01\x01\x02\x02\x04\x00", 7);
}

static void early_signature(void)
{
    static struct forge_part again;
    again = f.parts[signature_at(1)];
    forge_insert(&f, at(DP_RECORD_CHECKPOINT, 2), &again);
}

struct seed {
    const char *name, *rule; /* rule NULL: none is broken */
    void (*change)(void);
};

static const struct seed seeds[] = {
    {"whole", NULL, whole},
    {"amount", "state-machine", amount},
    {"prev_hash", "prev-hash", prev_hash},
    {"last_leaf", "last-leaf", last_leaf},
    {"tree_root", "tree-root", tree_root},
    {"signature_invalid", "signature-invalid", signature_invalid},
    {"anchor_chain", "anchor-chain", anchor_chain},
    {"checkpoint_size", "checkpoint-size", checkpoint_size},
    {"journal_id_body", "journal-id", journal_id_body},
    {"totals_body", "totals", totals_body},
    {"body_malformed", "record-format", body_malformed},
    {"totals", "totals", totals},
    {"journal_id", "journal-id", journal_id},
    {"record_format", "record-format", record_format},
    {"record_key", "record-key", record_key},
    {"seq_gap", "seq-gap", seq_gap},
    {"cut", "rollback", cut},
    {"one_batch", "frame-crc", one_batch},
    {"epoch_certificate", "epoch-certificate", epoch_certificate},
    {"epoch_malformed", "record-format", epoch_malformed},
    {"no_open", "state-machine", no_open},
    {"no_intent", "state-machine", no_intent},
    {"no_requested", "state-machine", no_requested},
    {"open_twice", "state-machine", open_twice},
    {"outcome_twice", "state-machine", outcome_twice},
    {"outcome_unknown", "state-machine", outcome_unknown},
    {"requested_after", "state-machine", requested_after},
    {"requested_deferred", "state-machine", requested_deferred},
    {"requested_mode", "state-machine", requested_mode},
    {"forwarded", NULL, forwarded},
    {"forwarded_online", "state-machine", forwarded_online},
    {"forwarded_unknown", "state-machine", forwarded_unknown},
    {"forwarded_result", "state-machine", forwarded_result},
    {"reversal", NULL, reversal},
    {"reversal_never", "state-machine", reversal_never},
    {"reversal_unknown", "state-machine", reversal_unknown},
    {"void", NULL, void_},
    {"void_unsigned", NULL, void_unsigned},
    {"void_online", "state-machine", void_online},
    {"void_unknown", "state-machine", void_unknown},
    {"intent_unsigned", NULL, intent_unsigned},
    {"recovery_alone", "recovery-mismatch", recovery_alone},
    {"shred", NULL, shred},
    {"rotate_same", "epoch-certificate", rotate_same},
    {"closed", NULL, closed},
    {"close", "state-machine", close},
    {"degraded", NULL, degraded},
    {"degraded_off", NULL, degraded_off},
    {"degraded_twice", "state-machine", degraded_twice},
    {"acknowledged", NULL, acknowledged},
    {"acknowledged_twice", "acknowledgement", acknowledged_twice},
    {"signature_key", "signature-key", signature_key},
    {"signature_wrong", "signature-invalid", signature_wrong},
    {"signature_malformed", "signature-missing", signature_malformed},
    {"signature_text", "signature-invalid", signature_text},
    {"signature_missing", "signature-missing", signature_missing},
    {"signature_twice", "signature-missing", signature_twice},
    {"signature_again", "signature-invalid", signature_again},
    {"signature_of_intent", "signature-invalid", signature_of_intent},
    {"last_unsigned", "frame-crc", last_unsigned},
    {"unsigned_last", "torn-tail", unsigned_last},
    {"unsigned_middle", "signature-missing", unsigned_middle},
    {"unsigned_checkpoint", "torn-tail", unsigned_checkpoint},
    {"unsigned_behind_void", "torn-tail", unsigned_behind_void},
    {"behind_signature", "frame-crc", behind_signature},
    {"before_signature", "frame-crc", before_signature},
    {"two_checkpoints", "torn-tail", two_checkpoints},
    {"type_unsaid", "torn-tail", type_unsaid},
    {"type_without_seq", "torn-tail", type_without_seq},
    {"early_signature", "signature-missing", early_signature},
};

/* ---- what the verifier says of it ---- */

static void must_say(const char *name, const char *rule)
{
    const struct dp_store store = memstore_store(&w.mem);
    struct dp_verify_options o;
    memset(&o, 0, sizeof o);
    o.has_anchor = true;
    memcpy(o.anchor, anchor, sizeof o.anchor);
    DP_ASSERT(dp_journal_verify(&store, &o, NULL, NULL, &v) == DP_OK);
    if (rule == NULL && (v.rule == NULL || strcmp(v.rule, "rollback") == 0))
        return; /* of what was bound behind the seeds' anchor the token knows nothing */
    if (rule != NULL && v.rule != NULL && strcmp(rule, v.rule) == 0)
        return;
    (void)fprintf(stderr, "%s: %s is due, and it is %s: %s\n", name, rule, v.rule, v.words);
    DP_ASSERT(!"a seed that is not what it is named after");
}

/* ---- seeds/journal: frames (kinds 4 and 1) ---- */

static void write_frames(const char *name)
{
    FILE *file = begin_seed("journal", name, 4);
    put(file, forge_edit(&base, 0)->journal, 16);
    for (int i = 0; i < f.n; i++) {
        const struct forge_part *p = &f.parts[i];
        uint8_t head[3] = {p->starts_batch ? 1 : 0, (uint8_t)(p->n >> 8), (uint8_t)p->n};
        put(file, head, sizeof head);
        put(file, p->payload, p->n);
    }
    end(file);
}

static void frames_seeds(void)
{
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        f = base;
        seeds[i].change();
        lay();
        must_say(seeds[i].name, seeds[i].rule);
        write_frames(seeds[i].name);
    }
}

/* The frames without their segment, whose salt is zero; damage: a byte of the second one. */
static void write_bare(const char *name, bool damage)
{
    static const uint8_t salt[SEGMENT_SALT_BYTES];
    static uint8_t bytes[SEGMENT];
    struct dp_writer writer;
    uint32_t batch = 0;
    uint64_t records = 0;
    FILE *file = begin_seed("journal", name, 1);
    memset(bytes, 0, sizeof bytes);
    dp_writer_init(&writer, bytes, sizeof bytes);
    writer.n = SEGMENT_HEADER_BYTES;
    for (int i = 0; i < f.n; i++) {
        const struct forge_part *p = &f.parts[i];
        if (p->starts_batch)
            batch = (uint32_t)writer.n;
        frame_write(&writer, salt, seq_of(p, &records), batch, (struct dp_bytes){p->payload, p->n});
    }
    DP_ASSERT(writer.err == DP_OK);
    if (damage)
        bytes[SEGMENT_HEADER_BYTES + frame_bytes(f.parts[0].n) + 40] ^= 1;
    put(file, bytes, writer.n);
    end(file);
}

/* Batches of every form. */
static void bare_frames(void)
{
    static const struct {
        const char *name;
        void (*change)(void);
    } forms[] = {
        {"frames", whole},
        {"frames_unsigned", unsigned_middle},
        {"frames_signature_twice", signature_twice},
        {"frames_two_checkpoints", two_checkpoints},
        {"frames_before_signature", before_signature},
        {"frames_behind_signature", behind_signature},
        {"frames_type_unsaid", type_unsaid},
        {"frames_type_without_seq", type_without_seq},
        {"frames_early_signature", early_signature},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        f = base;
        forms[i].change();
        write_bare(forms[i].name, false);
    }
    f = base;
    f.n = at(DP_RECORD_OUTCOME, 0);
    write_bare("frames_damaged", true);
}

/* ---- seeds/journal: segments as they stand on disk (kind 3) ---- */

static uint8_t *segment(uint32_t number)
{
    struct node *node = memstore_segment(&w.mem, number);
    DP_ASSERT(node != NULL && node->n == SEGMENT);
    return node->data;
}

static uint32_t used(uint32_t number)
{
    const struct segment s = {segment(number), SEGMENT, {0}};
    return segment_used(&s, SEGMENT_HEADER_BYTES);
}

static void write_disk(const char *name, const char *rule)
{
    FILE *file = begin_seed("journal", name, 3);
    uint32_t n = 1;
    must_say(name, rule);
    while (memstore_segment(&w.mem, n + 1) != NULL)
        put(file, segment(n++), SEGMENT);
    put(file, segment(n), used(n));
    end(file);
}

/* The same with one byte changed, which is changed back. */
static void write_disk_with(const char *name, const char *rule, uint8_t *p)
{
    *p ^= 1;
    write_disk(name, rule);
    *p ^= 1;
}

static void start_again(void)
{
    memstore_free(&w.mem);
    memstore_copy(&w.mem, &kept);
    f = base;
}

static void next_payment(void)
{
    DP_ASSERT(world_open(&w) == DP_OK && w.opened.recovered);
    DP_ASSERT(pay_declined(w.j, 10) == DP_OK);
    world_close(&w);
}

/* What stands in the second segment instead of the RECOVERY that is due. */
static void intent_instead(void)
{
    struct segment_header h;
    struct dp_writer writer;
    struct forge_part *p;
    struct dp_record *r;
    DP_ASSERT(segment_header_read(segment(2), &h) == DP_OK);
    f = base;
    add_of(DP_RECORD_INTENT, 9, 0, DP_MODE_NONE);
    r = forge_edit(&f, f.n - 1);
    r->seq = h.first_seq;
    memcpy(r->prev, h.prev_leaf, sizeof r->prev);
    forge_put(&f, f.n - 1);
    p = &f.parts[f.n - 1];
    memset(segment(2) + SEGMENT_HEADER_BYTES, 0, SEGMENT - SEGMENT_HEADER_BYTES);
    dp_writer_init(&writer, segment(2), SEGMENT);
    writer.n = SEGMENT_HEADER_BYTES;
    frame_write(&writer, h.salt, h.first_seq, SEGMENT_HEADER_BYTES,
                (struct dp_bytes){p->payload, p->n});
    DP_ASSERT(writer.err == DP_OK);
}

/* A batch of which a part never came to the disk. */
static void torn_seeds(void)
{
    uint32_t damage = used(1) + 200;
    for (int i = 0; i < 3; i++)
        add_settled(i == 0 ? NEW : SAME);
    bind();
    lay();
    memset(segment(1) + damage, 0, 60);
    write_disk("disk_torn", "torn-tail");
    next_payment();
    write_disk("disk_recovered", NULL);
    write_disk_with("disk_recovery_mismatch", "recovery-mismatch", segment(1) + damage + 100);
    write_disk_with("disk_second_header", "segment-header", segment(2) + 30);
    write_disk_with("disk_frame_crc", "frame-crc", segment(1) + SEGMENT_HEADER_BYTES + 40);
    intent_instead();
    write_disk("disk_unaccounted", "frame-crc");
}

/* Of the signature, only a part did. */
static void torn_signature_seed(void)
{
    add_settled(NEW);
    bind();
    lay();
    memset(segment(1) + used(1) - 100, 0, 60);
    write_disk("disk_torn_signature", "torn-tail");
}

/* The last frame names a batch that it cannot be of. */
static void wrong_batch_seed(void)
{
    struct segment_header h;
    struct dp_writer writer;
    const struct forge_part *p;
    uint64_t seq;
    add_of(DP_RECORD_INTENT, 9, 0, DP_MODE_NONE);
    lay();
    p = &f.parts[f.n - 1];
    seq = forge_edit(&f, f.n - 1)->seq;
    DP_ASSERT(segment_header_read(segment(1), &h) == DP_OK);
    dp_writer_init(&writer, segment(1), SEGMENT);
    writer.n = SEGMENT_HEADER_BYTES;
    for (int i = 0; i < f.n - 1; i++)
        writer.n += frame_bytes(f.parts[i].n);
    frame_write(&writer, h.salt, seq, SEGMENT_HEADER_BYTES, (struct dp_bytes){p->payload, p->n});
    DP_ASSERT(writer.err == DP_OK);
    write_disk("disk_batch", "frame-batch");
}

/* A batch of which the signature never did. */
static void unsigned_seeds(void)
{
    add_settled(NEW);
    add_checkpoint();
    lay();
    write_disk("disk_unsigned", "torn-tail");
    next_payment();
    write_disk("disk_unsigned_recovered", NULL);
    intent_instead();
    write_disk("disk_unsigned_unaccounted", "signature-missing");
}

static void disk_seeds(void)
{
    int i = 0;
    uint32_t offset = SEGMENT_HEADER_BYTES;
    start_again();
    write_disk("disk_whole", NULL);
    while ((FRAME_HEADER_BYTES + f.parts[i].n) % 8 == 0)
        offset += (uint32_t)frame_bytes(f.parts[i++].n);
    offset += (uint32_t)frame_bytes(f.parts[i].n);
    write_disk_with("disk_padding", "frame-padding", segment(1) + offset - 1);
    world_token_keep(&w);
    torn_seeds();
    world_token_restore(&w);
    start_again();
    torn_signature_seed();
    start_again();
    wrong_batch_seed();
    start_again();
    unsigned_seeds();
    world_token_restore(&w);
    start_again();
}

/* The next round's key; the token gives the old one away, and gets it back. */
static void rotated_seed(void)
{
    start_again();
    DP_ASSERT(world_open(&w) == DP_OK);
    DP_ASSERT(dp_journal_rotate(w.j) == DP_OK);
    DP_ASSERT(pay_declined(w.j, 10) == DP_OK);
    world_close(&w);
    must_say("rotated", NULL);
    forge_load(&f, &w.mem);
    write_frames("rotated");
    world_token_restore(&w);
    start_again();
}

/* ---- seeds/prover ---- */

struct index {
    uint8_t head[INDEX_HEAD_BYTES], hashes[64 * HASH_BYTES];
    size_t head_n, hashes_n;
};

/* The index that the prover makes with the checkpoint over size records; 0: the last one. */
static void make_index(struct world *of, uint64_t size, struct index *out)
{
    struct memstore disk;
    struct dp_prover_config config = {.index_name = "tree", .size = size, .covers = 2};
    struct dp_prover *prover = NULL;
    struct dp_reader r;
    const struct node *tree;
    memstore_init(&disk);
    config.journal = memstore_store(&of->mem);
    config.index = memstore_store(&disk);
    DP_ASSERT(dp_prover_open(&config, &prover) == DP_OK);
    tree = memstore_file(&disk, "tree");
    DP_ASSERT(tree != NULL && tree->n > INDEX_HEAD_BYTES);
    dp_reader_init(&r, tree->data, tree->n);
    (void)dp_read_bytes(&r, INDEX_START_BYTES - 4);
    out->head_n = INDEX_START_BYTES + dp_read_u32(&r);
    out->hashes_n = tree->n - INDEX_HEAD_BYTES;
    DP_ASSERT(out->head_n <= sizeof out->head && out->hashes_n <= sizeof out->hashes);
    memcpy(out->head, tree->data, sizeof out->head);
    memcpy(out->hashes, tree->data + INDEX_HEAD_BYTES, out->hashes_n);
    dp_prover_free(&prover);
    memstore_free(&disk);
}

static void write_head(const char *name, const struct index *x, size_t n)
{
    FILE *file = begin_seed("prover", name, 0);
    put(file, x->head, n);
    end(file);
}

static void write_index(const char *name, const struct index *x)
{
    uint8_t n[2] = {(uint8_t)(x->head_n >> 8), (uint8_t)x->head_n};
    FILE *file = begin_seed("prover", name, 1);
    put(file, n, sizeof n);
    put(file, x->head, x->head_n);
    put(file, x->hashes, x->hashes_n);
    end(file);
}

static void head_seeds(const struct index *right)
{
    struct index x = *right;
    write_head("head", &x, x.head_n);
    write_head("head-cut", &x, x.head_n - 1);
    write_head("head-none", &x, 0);
    write_head("head-start", &x, INDEX_START_BYTES - 1);
    write_head("head-more-behind", &x, x.head_n + 40);
    x.head[0] ^= 1;
    write_head("head-magic", &x, x.head_n);
    x = *right;
    x.head[INDEX_START_BYTES - 2] ^= 4;
    write_head("head-length", &x, x.head_n);
    memset(x.head + INDEX_START_BYTES - 4, 0, 4);
    write_head("head-length-zero", &x, x.head_n);
    x = *right;
    x.head[INDEX_START_BYTES - 1]++;
    write_head("head-proof-longer", &x, x.head_n + 1);
    x = *right;
    x.head[INDEX_START_BYTES] ^= 0x40;
    write_head("head-no-proof", &x, x.head_n);
}

/* The head is a proof, and none of record 0. */
static void put_consistency(struct index *x)
{
    struct memstore disk;
    struct dp_prover_config config = {.index_name = "tree", .covers = 2};
    struct dp_prover *prover = NULL;
    struct dp_proof proof;
    uint8_t bytes[DP_PROOF_BYTES_MAX];
    size_t n = 0;
    memstore_init(&disk);
    config.journal = memstore_store(&w.mem);
    config.index = memstore_store(&disk);
    DP_ASSERT(dp_prover_open(&config, &prover) == DP_OK);
    DP_ASSERT(dp_prover_consistency(prover, 4, bytes, sizeof bytes, &n) == DP_OK);
    DP_ASSERT(dp_proof_read(bytes, n, &proof) == DP_OK);
    DP_ASSERT(index_head_write(&proof, x->head, sizeof x->head, &x->head_n) == DP_OK);
    dp_prover_free(&prover);
    memstore_free(&disk);
}

static void index_of_other_journal(struct index *x)
{
    static struct world other;
    world_make(&other);
    DP_ASSERT(world_open(&other) == DP_OK);
    for (uint32_t i = 1; i <= 3; i++)
        DP_ASSERT(pay_online(other.j, i) == DP_OK);
    world_close(&other);
    make_index(&other, 0, x);
    world_remove(&other);
}

static void index_seeds(const struct index *right)
{
    struct index x = *right;
    write_index("index", &x);
    x.hashes_n -= 9 * HASH_BYTES - 9;
    write_index("index-hashes-cut", &x);
    x.hashes_n = 0;
    write_index("index-of-no-hashes", &x);
    x.head_n = 0;
    write_index("index-empty", &x);
    x = *right;
    x.head[0] ^= 1;
    write_index("index-magic", &x);
    x = *right;
    x.head[x.head_n - 9] ^= 1;
    write_index("index-signature", &x);
    x = *right;
    x.hashes[3 * HASH_BYTES + 5] ^= 1; /* of record 2: two leaves and a node stand before it */
    write_index("index-leaf", &x);
    x = *right;
    x.hashes[2 * HASH_BYTES + 5] ^= 1;
    write_index("index-node", &x);
    x = *right;
    for (size_t i = 1; i < x.hashes_n / HASH_BYTES; i++)
        memcpy(x.hashes + i * HASH_BYTES, x.hashes, HASH_BYTES);
    write_index("index-of-leaves", &x);
    x = *right;
    put_consistency(&x);
    write_index("index-consistency", &x);
    make_index(&w, 6, &x);
    write_index("index-older", &x);
    memcpy(x.hashes, right->hashes + HASH_BYTES, x.hashes_n - HASH_BYTES);
    write_index("index-older-with-newer-hashes", &x);
    make_index(&w, 1, &x);
    write_index("index-too-short", &x);
    index_of_other_journal(&x);
    write_index("index-of-other-journal", &x);
}

static void prover_seeds(void)
{
    static struct index right;
    start_again();
    make_index(&w, 0, &right);
    head_seeds(&right);
    index_seeds(&right);
}

/* ---- what the targets know ---- */

static void print_bytes(FILE *file, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)fprintf(file, "%s0x%02x%s", i % 16 == 0 ? "\n    " : " ", p[i],
                      i + 1 < n ? "," : "};\n");
}

static void journal_header(void)
{
    FILE *file = create("journal_seed.h");
    const struct dp_totals *t = &v.totals;
    const uint64_t totals[] = {
        t->intents,    t->online_n,        t->online_amount, t->offline_n,       t->offline_amount,
        t->deferred_n, t->deferred_amount, t->declined_n,    t->reversed_n,      t->reversed_amount,
        t->void_n,     t->void_amount,     t->forwarded_n,   t->forwarded_amount};
    _Static_assert(sizeof totals == sizeof *t, "all of them");
    (void)fprintf(file,
                  "/* SPDX-License-Identifier: Apache-2.0 */\n"
                  "/* What the token says of the journal that fuzz/seeds/journal was made from: "
                  "make_journal_seeds. */\n"
                  "#ifndef DP_FUZZ_JOURNAL_SEED_H\n#define DP_FUZZ_JOURNAL_SEED_H\n\n"
                  "#include <stdint.h>\n\nstatic const uint8_t seed_anchor[32] = {");
    print_bytes(file, anchor, sizeof anchor);
    (void)fprintf(file,
                  "static const uint64_t seed_records = %u;\n/* struct dp_totals */\n"
                  "static const uint64_t seed_totals[14] = {",
                  (unsigned)v.records);
    for (size_t i = 0; i < 14; i++)
        (void)fprintf(file, "%u%s", (unsigned)totals[i], i < 13 ? ", " : "};\n");
    (void)fprintf(file, "\n#endif\n");
    end(file);
}

static void prover_header(void)
{
    FILE *file = create("prover_seed.h");
    (void)fprintf(
        file,
        "/* SPDX-License-Identifier: Apache-2.0 */\n"
        "/* The journal that fuzz/seeds/prover are indexes of, by make_journal_seeds: its "
        "one segment,\n * without the zeros behind. */\n"
        "#ifndef DP_FUZZ_PROVER_SEED_H\n#define DP_FUZZ_PROVER_SEED_H\n\n"
        "#include <stdint.h>\n\n#define SEED_SEGMENT_BYTES %d\n\n"
        "static const uint8_t seed_segment[] = {",
        SEGMENT);
    print_bytes(file, segment(1), used(1));
    (void)fprintf(file, "\n#endif\n");
    end(file);
}

static void make_whole(void)
{
    world_make(&w);
    w.segment_bytes = SEGMENT;
    w.no_snapshots = true;
    DP_ASSERT(world_open(&w) == DP_OK);
    DP_ASSERT(pay_online(w.j, 1) == DP_OK && pay_offline(w.j, 2) == DP_OK);
    world_close(&w);
    memstore_copy(&kept, &w.mem);
    forge_load(&base, &w.mem);
    DP_ASSERT(dp_hsm_anchor_read(w.hsm, anchor) == DP_OK);
    must_say("the journal", NULL);
    DP_ASSERT(v.verdict == DP_VERDICT_FRESH);
    journal_header();
    prover_header();
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "make_journal_seeds FUZZ\n");
        return 2;
    }
    out_dir = argv[1];
    make_whole();
    frames_seeds();
    bare_frames();
    disk_seeds();
    rotated_seed();
    prover_seeds();
    memstore_free(&kept);
    world_remove(&w);
    return 0;
}
