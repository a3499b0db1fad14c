/* SPDX-License-Identifier: Apache-2.0 */
#include "crash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "journal/writer.h"

struct crash crash;

/* ---- randomness: all of it from the seed ---- */

uint64_t crash_draw(void)
{
    return day_random(&crash.drawn);
}

static int fill(void *ctx, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)day_random(ctx);
    return DP_OK;
}

static uint64_t mixed(uint64_t a, uint64_t b)
{
    uint64_t x = a * 0x9E3779B97F4A7C15u ^ (b + 0x2545F4914F6CDD1Du) * 0xD6E8FEB86659FD93u;
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93u;
    x ^= x >> 29;
    return x != 0 ? x : 1;
}

void crash_seed_state(const struct cut *c)
{
    uint64_t x = mixed(crash.seed, (uint64_t)c->calls << 2 | (uint64_t)c->newest << 1 | c->lies_on);
    crash.drawn = mixed(mixed(x, c->lots), (uint64_t)(unsigned)(c->lied + 2));
    crash.content = mixed(crash.drawn, 3);
}

/* ---- recordings ---- */

/* Before each call: has the token changed since the last one? */
static void look_at_token(void *user)
{
    struct recording *r = user;
    if (r->tokens_n > 0 && memcmp(&r->tokens[r->tokens_n - 1].state, fast_token_state(),
                                  sizeof *fast_token_state()) == 0)
        return;
    DP_ASSERT(r->tokens_n < CRASH_TOKENS_MAX);
    r->tokens[r->tokens_n].at = r->log.n;
    r->tokens[r->tokens_n++].state = *fast_token_state();
}

void recording_begin(struct recording *r)
{
    recording_free(r);
    memstore_copy(&r->base, &crash.w.mem);
    r->tokens_n = 0;
    r->log.before = look_at_token;
    r->log.user = r;
    look_at_token(r);
    crash.w.mem.log = &r->log;
}

void recording_end(struct recording *r)
{
    look_at_token(r);
    crash.w.mem.log = NULL;
}

void recording_free(struct recording *r)
{
    memstore_free(&r->base);
    memlog_clear(&r->log);
}

static int token_index(const struct recording *r, int calls, bool newest)
{
    int i = 0;
    while (i + 1 < r->tokens_n && r->tokens[i + 1].at <= calls)
        i++;
    while (!newest && i > 0 && r->tokens[i].at == calls)
        i--;
    return i;
}

const struct fast_state *recording_token(const struct recording *r, int calls, bool newest)
{
    return &r->tokens[token_index(r, calls, newest)].state;
}

bool recording_token_changes(const struct recording *r, int calls)
{
    return token_index(r, calls, true) != token_index(r, calls, false);
}

static bool counts(const struct memlog_op *op)
{
    return op->kind != MEMLOG_NODE && op->kind != MEMLOG_SYNC && op->kind != MEMLOG_SYNC_DIR;
}

static bool made_durable(const struct recording *r, int i, const struct cut *c)
{
    const struct memlog_op *op = &r->log.ops[i];
    bool name = op->kind != MEMLOG_WRITE;
    for (int k = i + 1; k < c->calls; k++) {
        const struct memlog_op *s = &r->log.ops[k];
        if (c->lied >= 0 && (k == c->lied || (c->lies_on && k > c->lied)))
            continue;
        if (name ? s->kind == MEMLOG_SYNC_DIR && s->node == op->parent
                 : s->kind == MEMLOG_SYNC && s->node == op->node)
            return true;
    }
    return false;
}

int recording_pending(const struct recording *r, const struct cut *c, int items[CRASH_ITEMS_MAX])
{
    int n = 0;
    for (int i = 0; i < c->calls; i++)
        if (counts(&r->log.ops[i]) && !made_durable(r, i, c)) {
            DP_ASSERT(n < CRASH_ITEMS_MAX);
            items[n++] = i;
        }
    return n;
}

static enum memlog_lot lot_of(const struct cut *c, int which)
{
    if (which < CRASH_LOTS)
        return (enum memlog_lot)(c->lots >> (2 * which) & 3);
    return (enum memlog_lot)(crash_draw() & 3);
}

void recording_put(const struct recording *r, const struct cut *c)
{
    static int items[CRASH_ITEMS_MAX];
    int n = recording_pending(r, c, items), next = 0;
    memstore_free(&crash.w.mem);
    memstore_copy(&crash.w.mem, &r->base);
    for (int i = 0; i < c->calls; i++) {
        const struct memlog_op *op = &r->log.ops[i];
        bool waits = next < n && items[next] == i;
        enum memlog_lot lot = waits ? lot_of(c, next) : LOT_THERE;
        size_t place = 0;
        if (lot == LOT_HEAD || lot == LOT_TAIL) {
            if (op->kind == MEMLOG_WRITE && op->n > 1)
                place = 1 + (size_t)crash_draw() % (op->n - 1);
            else
                lot = LOT_THERE; /* a name is there, or it is not */
        }
        memstore_redo(&crash.w.mem, op, lot, place);
        next += waits;
    }
    memstore_settle(&crash.w.mem);
    *fast_token_state() = *recording_token(r, c->calls, c->newest);
}

/* ---- the machine ---- */

int crash_open(void)
{
    int err;
    crash.w.config.hsm = crash.w.hsm;
    err = journal_open_sized(&crash.w.config, crash.w.segment_bytes, NULL, NULL, &crash.w.opened,
                             &crash.w.j);
    return err == DP_OK ? world_look_through(&crash.w) : err;
}

void crash_stop(void)
{
    crash.w.mem.dead = true;
    dp_journal_free(&crash.w.j);
    memstore_restart(&crash.w.mem);
}

/* ---- records ---- */

static void see(void *user, const struct dp_record *r)
{
    (void)user;
    DP_ASSERT((size_t)crash.seen_n < sizeof crash.seen / sizeof crash.seen[0]);
    crash.seen[crash.seen_n++] = *r;
}

int crash_read(struct dp_verify_result *v)
{
    struct dp_verify_options o;
    memset(&o, 0, sizeof o);
    crash.seen_n = 0;
    o.has_anchor = true;
    memcpy(o.anchor, fast_token_state()->anchor, sizeof o.anchor);
    return dp_journal_verify(&crash.w.config.store, &o, see, NULL, v);
}

/* Everything of it but what follows from the record before (which is compared itself). */
static bool same(const struct dp_record *a, const struct dp_record *b)
{
    static uint8_t one[DP_JOURNAL_RECORD_MAX], other[DP_JOURNAL_RECORD_MAX];
    size_t one_n = 0, other_n = 0;
    return dp_record_encode(a, one, sizeof one, &one_n) == DP_OK &&
           dp_record_encode(b, other, sizeof other, &other_n) == DP_OK && one_n == other_n &&
           memcmp(one, other, one_n) == 0;
}

const char *crash_invented(int kept)
{
    static char why[96];
    const uint8_t *boot = crash.full[0].boot;
    for (int i = 0; i < crash.seen_n || i < kept; i++) {
        bool old = i < crash.seen_n && memcmp(crash.seen[i].boot, boot, 16) == 0;
        if (i < kept ? old && same(&crash.seen[i], &crash.full[i]) : !old)
            continue;
        (void)snprintf(why, sizeof why, "record %d of %d (%d of the day whole on the disk) is %s",
                       i, crash.seen_n, kept,
                       i < kept ? "not the day's" : "the day's, and was not whole");
        return why;
    }
    return NULL;
}

const struct promise *crash_promise(const struct cut *c)
{
    const struct promise *last = &crash.promises[0];
    for (int i = 0; i < crash.promises_n; i++) {
        const struct promise *p = &crash.promises[i];
        if (p->calls < c->calls || (p->calls == c->calls && c->newest))
            last = p;
    }
    return last;
}

/* ---- frames, by the format's own words ---- */

static uint32_t u32_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Map head, key 1 and its value 1, key 2 and its value. */
static uint8_t type_of(const uint8_t *p)
{
    p += p[0] == 0xB8 ? 2 : 1;
    DP_ASSERT(p[0] == 1 && p[1] == 1 && p[2] == 2 && p[3] < 24);
    return p[3];
}

static void take_frames(uint32_t number, int node, uint64_t *seq)
{
    const struct node *n = &crash.whole.nodes[node];
    uint32_t at = 128, len;
    while (at + 12 < n->n && (len = u32_at(n->data + at)) != 0) {
        struct frame_at *f = &crash.frames[crash.frames_n++];
        DP_ASSERT(crash.frames_n < CRASH_FRAMES_MAX);
        f->node = node;
        f->number = number;
        f->offset = at;
        f->batch = u32_at(n->data + at + 8);
        f->bytes = (12 + len + 7) / 8 * 8;
        f->signature = (n->data[at + 12] & 0xE0) == 0x80; /* a CBOR array */
        f->type = f->signature ? 0 : type_of(n->data + at + 12);
        f->seq = f->signature ? *seq : (*seq)++;
        at += f->bytes;
    }
}

static void take_all_frames(void)
{
    uint64_t seq = 0;
    struct node *n;
    crash.frames_n = 0;
    for (uint32_t number = 1; (n = memstore_segment(&crash.whole, number)) != NULL; number++)
        take_frames(number, (int)(n - crash.whole.nodes), &seq);
}

bool crash_frame_whole(const struct frame_at *f)
{
    const struct memstore *m = &crash.w.mem;
    const struct node *n = f->node < m->nodes_n ? &m->nodes[f->node] : NULL;
    const struct node *dir = n != NULL && n->parent >= 0 ? &m->nodes[n->parent] : NULL;
    char name[32];
    (void)snprintf(name, sizeof name, "seg-%08u.dpj", f->number);
    if (dir == NULL || !n->here || !dir->here || strlen(dir->name) != 32 ||
        strcmp(n->name, name) != 0)
        return false;
    return n->n >= f->offset + f->bytes &&
           memcmp(n->data + f->offset, crash.whole.nodes[f->node].data + f->offset, f->bytes) == 0;
}

static bool deferred(const struct dp_record *of)
{
    for (int i = 0; i < crash.full_n; i++)
        if (crash.full[i].type == DP_RECORD_OUTCOME &&
            memcmp(crash.full[i].tx, of->tx, sizeof of->tx) == 0)
            return crash.full[i].mode == DP_MODE_DEFERRED;
    return false;
}

/* What may not stand in a batch that nobody signed. */
static bool owes(int frame)
{
    const struct frame_at *f = &crash.frames[frame];
    if (f->signature || f->type == DP_RECORD_RECOVERY)
        return false;
    if (f->type == DP_RECORD_VOID)
        return !deferred(&crash.full[f->seq]);
    if (f->type != DP_RECORD_INTENT)
        return true;
    for (int i = frame - 1; i >= 0 && crash.frames[i].type != DP_RECORD_CHECKPOINT; i--)
        if (crash.frames[i].type == DP_RECORD_INTENT)
            return true;
    return false;
}

/* A batch of which something is missing is dropped whole when something of it stands behind that,
 * or when what stands before may not be without its signature, which is last; else that is kept
 * (docs/PROTOCOL.journal, 6). */
int crash_kept(void)
{
    int kept = 0;
    for (int from = 0, to; from < crash.frames_n; from = to) {
        int gone = -1, before = kept;
        bool behind = false;
        for (to = from; to < crash.frames_n && crash.frames[to].node == crash.frames[from].node &&
                        crash.frames[to].batch == crash.frames[from].batch;
             to++) {
            bool whole = crash_frame_whole(&crash.frames[to]);
            if (gone < 0 && !whole)
                gone = to;
            behind |= gone >= 0 ? whole : owes(to);
            before += gone < 0 && !crash.frames[to].signature;
        }
        if (gone >= 0)
            return behind ? kept : before;
        kept = before;
    }
    return kept;
}

/* ---- what is open ---- */

struct state_of {
    uint32_t payment;
    bool done;
    uint32_t stan; /* of a REQUESTED that nothing has closed */
};

static struct state_of payments[CRASH_RECORDS_MAX];
static int payments_n;

static struct state_of *payment_of(const struct dp_record *r)
{
    uint32_t payment;
    memcpy(&payment, r->tx, sizeof payment);
    for (int i = 0; i < payments_n; i++)
        if (payments[i].payment == payment)
            return &payments[i];
    payments[payments_n] = (struct state_of){payment, false, 0};
    return &payments[payments_n++];
}

static void read_payments(void)
{
    payments_n = 0;
    for (int i = 0; i < crash.seen_n; i++) {
        const struct dp_record *r = &crash.seen[i];
        struct state_of *p;
        if (r->type < DP_RECORD_INTENT || r->type > DP_RECORD_FORWARDED)
            continue;
        p = payment_of(r);
        if (r->type == DP_RECORD_REQUESTED)
            p->stan = r->stan;
        p->done |= r->type == DP_RECORD_OUTCOME;
        if (((r->type == DP_RECORD_OUTCOME || r->type == DP_RECORD_FORWARDED) &&
             r->stan == p->stan) ||
            (r->type == DP_RECORD_REVERSAL && r->original.stan == p->stan))
            p->stan = 0;
    }
}

const char *crash_open_payment(void)
{
    static char why[96];
    read_payments();
    for (int i = 0; i < payments_n; i++)
        if (!payments[i].done || payments[i].stan != 0) {
            (void)snprintf(why, sizeof why, "payment %u is open at the end", payments[i].payment);
            return why;
        }
    return NULL;
}

static int close_one(struct dp_journal *j, const struct state_of *p)
{
    struct dp_record r;
    int err = DP_OK;
    record_of(&r, DP_RECORD_REVERSAL, p->payment);
    r.stan = 900000 + p->payment;
    r.has_original = true;
    r.original.mti = 1200;
    r.original.stan = p->stan;
    if (p->stan != 0)
        err = dp_journal_append(j, &r);
    record_of(&r, DP_RECORD_OUTCOME, p->payment);
    r.mode = DP_MODE_DECLINED;
    if (err == DP_OK && !p->done)
        err = dp_journal_append(j, &r);
    return err;
}

int crash_go_on(void)
{
    int err = DP_OK;
    read_payments();
    for (int i = 0; err == DP_OK && i < payments_n; i++)
        if (!payments[i].done || payments[i].stan != 0)
            err = close_one(crash.w.j, &payments[i]);
    if (err == DP_OK)
        err = pay_no_answer(crash.w.j, 60);
    world_close(&crash.w);
    return err;
}

/* ---- the day ---- */

static void promise(int step)
{
    const struct step *s = step >= 0 ? &crash.day.steps[step] : NULL;
    struct promise p = {0, 0, 0, 0};
    int size = (int)crash.w.j->tree.size;
    if (crash.promises_n > 0)
        p = crash.promises[crash.promises_n - 1];
    p.calls = crash.rec.log.n;
    p.step = step;
    if (s == NULL || s->end != STEP_APPENDS)
        p.records = size;
    if (s == NULL || s->end == STEP_BINDS)
        p.bound = size;
    crash.promises[crash.promises_n++] = p;
}

void crash_make(uint64_t seed, const struct day *day)
{
    static struct dp_random random = {&crash.content, fill};
    struct dp_verify_result v;
    memset(&crash, 0, sizeof crash);
    crash.seed = seed;
    crash.day = *day;
    crash.content = mixed(seed, 1);
    world_make_on(&crash.w, "fast:", fast_token_new());
    crash.w.config.random = &random;
    recording_begin(&crash.rec);
    crash.promises_n = 1; /* nothing, before the first call */
    assert_int_equal(crash_open(), DP_OK);
    promise(-1);
    for (int i = 0; i < day->n; i++) {
        bool unsealed;
        crash.w.now += 1000;
        assert_int_equal(day_step(crash.w.j, &day->steps[i], &unsealed), DP_OK);
        promise(i);
    }
    recording_end(&crash.rec);
    world_close(&crash.w);
    memstore_copy(&crash.whole, &crash.w.mem);
    take_all_frames();
    assert_int_equal(crash_read(&v), DP_OK);
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
    assert_null(crash_open_payment());
    assert_true(crash.seen_n < CRASH_RECORDS_MAX);
    memcpy(crash.full, crash.seen, (size_t)crash.seen_n * sizeof crash.full[0]);
    crash.full_n = crash.seen_n;
}

void crash_remove(void)
{
    memstore_free(&crash.whole);
    recording_free(&crash.rec);
    world_remove(&crash.w);
}

/* ---- names ---- */

void cut_name(const struct cut *c, char out[96])
{
    (void)snprintf(out, 96, "%d:%d:%llx:%d:%d", c->calls, c->newest, (unsigned long long)c->lots,
                   c->lied, c->lies_on);
}

bool cut_named(const char *text, struct cut *c)
{
    unsigned long long lots;
    int newest, lies_on;
    if (sscanf(text, "%d:%d:%llx:%d:%d", &c->calls, &newest, &lots, &c->lied, &lies_on) != 5)
        return false;
    c->newest = newest != 0;
    c->lies_on = lies_on != 0;
    c->lots = lots;
    return true;
}
