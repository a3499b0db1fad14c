/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A day of ten payments over a store that records every call. The power is cut behind every call;
 * of what was not flushed then, every subset of sectors and names is on the disk (up to 8 of them;
 * of more, drawn subsets), and each sector torn. Recovery follows, cut again at a drawn place as
 * often as the draw wants; then what was acknowledged is there, nothing is that was not written,
 * and the round goes on. Flushes that the disk only promised are lost too: then nothing may be
 * believed that is not there.
 *
 * DP_CRASH_SECONDS: how long each test may take (45 and 10 without it; what is left out is said,
 * and chosen by the seed). DP_CRASH_SEED: what is drawn. DP_CRASH_STATE: one state alone, as a
 * failure names it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/assert.h"
#include "world.h"

#define RECORDS_MAX 256
#define EVENTS_MAX  256
#define TOKENS_MAX  256
#define TOKEN_BYTES 4096
#define PENDING_MAX 64
#define SUBSETS_OF  8  /* all of them */
#define DRAWN       24 /* of more */
#define STATES_MIN  40 /* however slow the machine is */
#define CRASHES_MAX 3  /* of recovery, one behind the other */

struct told { /* a record that the writer said is durable, when so many calls were made */
    enum dp_record_type type;
    uint32_t payment;
    int at;
    bool bound; /* by the token's anchor: a disk that lies cannot hide that it is gone */
};

struct seen {
    enum dp_record_type type;
    uint8_t tx[16], boot[16];
    uint32_t stan;
    uint64_t mono_ms;
};

struct token { /* as it was from this call on */
    int at;
    size_t n;
    uint8_t bytes[TOKEN_BYTES];
};

struct recording {
    struct memstore base;
    struct memlog log;
    struct token tokens[TOKENS_MAX];
    int tokens_n;
};

static struct world w;
static struct recording day, again;
static struct told told[EVENTS_MAX];
static int told_n;
static struct seen full[RECORDS_MAX], now[RECORDS_MAX];
static int full_n, now_n;
static uint64_t seed, random_state;
static unsigned states, skipped, recovered, refused;

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state >> 9;
}

/* ---- the token's state, beside the store's ---- */

static void token_path(char path[160])
{
    (void)snprintf(path, 160, "%s/token/state", w.dir);
}

static size_t token_read(uint8_t bytes[TOKEN_BYTES])
{
    char path[160];
    size_t n;
    FILE *f;
    token_path(path);
    f = fopen(path, "rbe");
    DP_ASSERT(f != NULL);
    n = fread(bytes, 1, TOKEN_BYTES, f);
    (void)fclose(f);
    DP_ASSERT(n < TOKEN_BYTES);
    return n;
}

static void token_write(const struct token *t)
{
    char path[160];
    FILE *f;
    dp_hsm_free(&w.hsm);
    token_path(path);
    f = fopen(path, "wbe");
    DP_ASSERT(f != NULL && fwrite(t->bytes, 1, t->n, f) == t->n);
    (void)fclose(f);
    assert_int_equal(dp_hsm_open(w.uri, &w.hsm), DP_OK);
}

/* Before each call: has the token changed since the last one? */
static void look_at_token(void *user)
{
    struct recording *r = user;
    struct token *last = r->tokens_n > 0 ? &r->tokens[r->tokens_n - 1] : NULL;
    static uint8_t bytes[TOKEN_BYTES];
    size_t n = token_read(bytes);
    if (last != NULL && last->n == n && memcmp(last->bytes, bytes, n) == 0)
        return;
    DP_ASSERT(r->tokens_n < TOKENS_MAX);
    last = &r->tokens[r->tokens_n++];
    last->at = r->log.n;
    last->n = n;
    memcpy(last->bytes, bytes, n);
}

/* The token when `calls` calls were made; one change may have come just before the next call. */
static const struct token *token_at(const struct recording *r, int calls, bool newest)
{
    int i = 0;
    while (i + 1 < r->tokens_n && r->tokens[i + 1].at <= calls)
        i++;
    if (!newest && i > 0 && r->tokens[i].at == calls)
        i--;
    return &r->tokens[i];
}

static bool token_changes_at(const struct recording *r, int calls)
{
    return token_at(r, calls, true) != token_at(r, calls, false);
}

static void record_begin(struct recording *r)
{
    memstore_free(&r->base);
    memstore_copy(&r->base, &w.mem);
    memlog_clear(&r->log);
    r->tokens_n = 0;
    r->log.before = look_at_token;
    r->log.user = r;
    look_at_token(r);
    w.mem.log = &r->log;
}

static void record_end(struct recording *r)
{
    look_at_token(r);
    w.mem.log = NULL;
}

/* ---- the day ---- */

static void tell(enum dp_record_type type, uint32_t payment, bool is_bound)
{
    DP_ASSERT(told_n < EVENTS_MAX);
    told[told_n++] = (struct told){type, payment, day.log.n, is_bound};
}

static void add(struct dp_record *r)
{
    assert_int_equal(dp_journal_append(w.j, r), DP_OK);
}

static void flushed(struct dp_record *r, uint32_t payment)
{
    add(r);
    assert_int_equal(dp_journal_flush(w.j), DP_OK);
    tell(r->type, payment, false);
}

static void bound(struct dp_record *r, uint32_t payment)
{
    add(r);
    assert_int_equal(dp_journal_checkpoint(w.j), DP_OK);
    tell(r->type, payment, true);
}

static void intent(uint32_t payment)
{
    struct dp_record r;
    record_of(&r, DP_RECORD_INTENT, payment);
    flushed(&r, payment);
}

static void requested(uint32_t payment, enum dp_mode mode, uint32_t stan)
{
    struct dp_record r;
    record_of(&r, DP_RECORD_REQUESTED, payment);
    r.mode = mode;
    r.stan = stan;
    r.mti = mode == DP_MODE_DEFERRED ? 1100 : 1200;
    flushed(&r, payment);
}

static void outcome(uint32_t payment, enum dp_mode mode, uint32_t stan)
{
    static const uint8_t blob[] = "sealed card data";
    struct dp_record r;
    record_of(&r, DP_RECORD_OUTCOME, payment);
    r.mode = mode;
    r.stan = stan;
    if (mode == DP_MODE_OFFLINE || mode == DP_MODE_DEFERRED) {
        assert_int_equal(dp_side_put(w.j, r.tx, DP_SIDE_PAN, (struct dp_bytes){blob, sizeof blob},
                                     r.pan_commitment),
                         DP_OK);
        r.has_pan_commitment = true;
    }
    bound(&r, payment);
}

static void reversal(uint32_t payment, uint32_t stan, uint32_t original)
{
    struct dp_record r;
    record_of(&r, DP_RECORD_REVERSAL, payment);
    r.stan = stan;
    r.has_original = true;
    r.original.mti = 1200;
    r.original.stan = original;
    flushed(&r, payment);
}

static void answered(uint32_t payment, uint32_t stan, uint32_t result, uint32_t mti)
{
    struct dp_record r;
    record_of(&r, DP_RECORD_FORWARDED, payment);
    r.stan = stan;
    r.result = result;
    r.mti = mti;
    bound(&r, payment);
}

static void morning(void)
{
    intent(1);
    requested(1, DP_MODE_ONLINE, 1);
    outcome(1, DP_MODE_ONLINE, 1);
    intent(2);
    outcome(2, DP_MODE_OFFLINE, 2);
    intent(3);
    requested(3, DP_MODE_ONLINE, 3);
    reversal(3, 4, 3);
    outcome(3, DP_MODE_DECLINED, 0);
    intent(4);
    outcome(4, DP_MODE_DEFERRED, 0);
    intent(5);
    outcome(5, DP_MODE_DECLINED, 0);
}

static void noon(void)
{
    struct dp_record r;
    record_of(&r, DP_RECORD_EVIDENCE, 2);
    r.has_digest = true;
    r.digest[0] = 7;
    memcpy(r.text, "signature", 10);
    bound(&r, 2);
    intent(6);
    outcome(6, DP_MODE_OFFLINE, 6);
    record_of(&r, DP_RECORD_VOID, 6);
    r.has_original_tx = true;
    memcpy(r.original_tx, r.tx, sizeof r.tx);
    bound(&r, 6);
    assert_int_equal(dp_journal_rotate(w.j), DP_OK);
    intent(7);
    requested(7, DP_MODE_ONLINE, 7);
    outcome(7, DP_MODE_ONLINE, 7);
}

static void evening(void)
{
    struct dp_record r;
    requested(4, DP_MODE_DEFERRED, 8);
    answered(4, 8, 1, 1100);
    answered(4, 8, 1, 1220);
    answered(3, 4, 3, 1420);
    answered(2, 2, 1, 1220);
    record_of(&r, DP_RECORD_OUTCOME, 2);
    assert_int_equal(dp_side_drop(w.j, r.tx, DP_SIDE_PAN), DP_OK);
    assert_int_equal(dp_side_shred(w.j), DP_OK);
    intent(8);
    outcome(8, DP_MODE_DEFERRED, 0);
    intent(9);
    requested(9, DP_MODE_ONLINE, 9);
    outcome(9, DP_MODE_ONLINE, 9);
    intent(10);
    outcome(10, DP_MODE_OFFLINE, 10);
}

/* ---- what a journal holds ---- */

static void see(void *user, const struct dp_record *r)
{
    struct seen *s = &now[now_n++];
    (void)user;
    DP_ASSERT(now_n < RECORDS_MAX);
    s->type = r->type;
    s->stan = r->stan;
    s->mono_ms = r->mono_ms;
    memcpy(s->tx, r->tx, sizeof s->tx);
    memcpy(s->boot, r->boot, sizeof s->boot);
}

static void read_all(struct dp_verify_result *v)
{
    struct dp_verify_options o;
    memset(&o, 0, sizeof o);
    now_n = 0;
    o.has_anchor = true;
    assert_int_equal(dp_hsm_anchor_read(w.hsm, o.anchor), DP_OK);
    assert_int_equal(dp_journal_verify(&w.config.store, &o, see, NULL, v), DP_OK);
}

static bool same(const struct seen *a, const struct seen *b)
{
    return a->type == b->type && a->stan == b->stan && a->mono_ms == b->mono_ms &&
           memcmp(a->tx, b->tx, sizeof a->tx) == 0 && memcmp(a->boot, b->boot, sizeof a->boot) == 0;
}

static bool holds(const struct told *t)
{
    uint32_t payment;
    for (int i = 0; i < now_n; i++) {
        memcpy(&payment, now[i].tx, sizeof payment);
        if (now[i].type == t->type && payment == t->payment)
            return true;
    }
    return false;
}

/* Nothing of the day but what the day wrote, and that in its place. */
static const char *invented(void)
{
    static char why[96];
    for (int i = 0; i < now_n; i++) {
        bool old = memcmp(now[i].boot, full[0].boot, sizeof full[0].boot) == 0;
        if (old && (i >= full_n || !same(&now[i], &full[i]))) {
            (void)snprintf(why, sizeof why, "record %d was never written so", i);
            return why;
        }
    }
    return NULL;
}

static const char *lost(int calls, bool newest, bool lied)
{
    static char why[96];
    for (int i = 0; i < told_n; i++) {
        bool sure = told[i].at < calls || (told[i].at == calls && newest);
        if (sure && (told[i].bound || !lied) && !holds(&told[i])) {
            (void)snprintf(why, sizeof why, "%s of payment %u was acknowledged and is lost",
                           dp_record_type_name(told[i].type), told[i].payment);
            return why;
        }
    }
    return NULL;
}

/* ---- one state of the disk ---- */

struct cut {
    int calls;       /* so many came to an end */
    bool newest;     /* with the token's change behind the last of them */
    uint64_t subset; /* of what was pending: bit by bit, on the disk or not */
    int torn;        /* which pending item is torn; -1: none */
    int lied;        /* a flush that the disk only promised; -1: none */
};

static bool makes_durable(const struct recording *r, int i, int calls, int lied)
{
    const struct memlog_op *op = &r->log.ops[i];
    bool name = op->kind != MEMLOG_WRITE;
    for (int k = i + 1; k < calls; k++) {
        const struct memlog_op *s = &r->log.ops[k];
        if (k == lied)
            continue;
        if (name ? s->kind == MEMLOG_SYNC_DIR && s->node == op->parent
                 : s->kind == MEMLOG_SYNC && s->node == op->node)
            return true;
    }
    return false;
}

static bool counts(const struct memlog_op *op)
{
    return op->kind != MEMLOG_NODE && op->kind != MEMLOG_SYNC && op->kind != MEMLOG_SYNC_DIR;
}

static int pending(const struct recording *r, int calls, int lied, int items[PENDING_MAX])
{
    int n = 0;
    for (int i = 0; i < calls; i++)
        if (counts(&r->log.ops[i]) && !makes_durable(r, i, calls, lied)) {
            DP_ASSERT(n < PENDING_MAX);
            items[n++] = i;
        }
    return n;
}

/* The disk and the token after the cut. */
static void put_state(const struct recording *r, const struct cut *c)
{
    int items[PENDING_MAX], n = pending(r, c->calls, c->lied, items), next = 0;
    memstore_free(&w.mem);
    memstore_copy(&w.mem, &r->base);
    for (int i = 0; i < c->calls; i++) {
        bool waits = next < n && items[next] == i;
        bool gone = waits && (c->subset >> next & 1) == 0;
        size_t torn = waits && next == c->torn ? 1 + (size_t)draw() % 511 : 0;
        memstore_redo(&w.mem, &r->log.ops[i], gone, torn);
        next += waits;
    }
    memstore_settle(&w.mem);
    token_write(token_at(r, c->calls, c->newest));
}

static void describe(const struct cut *c, char out[96])
{
    (void)snprintf(out, 96, "%d:%d:%llx:%d:%d", c->calls, c->newest, (unsigned long long)c->subset,
                   c->torn, c->lied);
}

/* The owner's own recovery: what is open is closed, and the round goes on. */
static void go_on(void)
{
    assert_int_equal(pay_online(w.j, 60), DP_OK);
    assert_int_equal(pay_no_answer(w.j, 61), DP_OK);
    world_close(&w);
}

static void stop(void)
{
    w.mem.dead = true;
    dp_journal_free(&w.j);
    w.mem.dead = false;
    memstore_restart(&w.mem);
}

/* Recovery, cut at a drawn call as often as the draw wants. */
static int open_at_last(void)
{
    int crashes = draw() % 3 == 0 ? (int)(1 + draw() % CRASHES_MAX) : 0, err;
    for (int i = 0; i < crashes; i++) {
        struct cut c = {0, false, 0, -1, -1};
        record_begin(&again);
        err = world_open(&w);
        record_end(&again);
        stop();
        if (err != DP_OK)
            return err;
        c.calls = again.log.n > 0 ? (int)(draw() % (uint64_t)(again.log.n + 1)) : 0;
        c.newest = (draw() & 1) != 0;
        c.subset = draw();
        put_state(&again, &c);
    }
    return world_open(&w);
}

static void one_state(const struct cut *c)
{
    struct dp_verify_result v;
    char name[96];
    const char *why;
    int err;
    describe(c, name);
    random_state = (seed + 1) * 2654435761u ^ ((uint64_t)c->calls << 40) ^ (c->subset << 8) ^
                   (uint64_t)(unsigned)(c->torn + 2) ^ 88172645463325252u;
    put_state(&day, c);
    err = open_at_last();
    states++;
    if (c->lied >= 0 && (err == DP_ERR_TAMPERED || err == DP_ERR_ROLLBACK)) {
        refused++;
        return;
    }
    if (err != DP_OK)
        fail_msg("seed %llu, state %s: %s", (unsigned long long)seed, name, dp_strerr(err));
    recovered += w.opened.recovered;
    go_on();
    read_all(&v);
    if (v.verdict != DP_VERDICT_FRESH)
        fail_msg("seed %llu, state %s: %s", (unsigned long long)seed, name, v.words);
    why = lost(c->calls, c->newest, c->lied >= 0);
    if (why == NULL)
        why = invented();
    if (why != NULL)
        fail_msg("seed %llu, state %s: %s", (unsigned long long)seed, name, why);
}

/* ---- all of them ---- */

static int64_t seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static int64_t began, budget;

static bool in_time(void)
{
    if (states < STATES_MIN || seconds() - began < budget)
        return true;
    skipped++;
    return false;
}

static void subsets(struct cut *c, int n)
{
    uint64_t all = n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
    uint64_t many = n <= SUBSETS_OF ? all + 1 : DRAWN;
    uint64_t state = seed * 2654435761u + 88172645463325252u + (uint64_t)c->calls;
    for (uint64_t i = 0; i < many; i++) {
        random_state = state;
        c->subset = n <= SUBSETS_OF ? i : draw() & all;
        state = random_state;
        c->torn = -1;
        if (in_time())
            one_state(c);
    }
    c->subset = all;
    for (c->torn = 0; c->torn < n; c->torn++)
        if (in_time())
            one_state(c);
}

static void at_call(int calls, int lied)
{
    int items[PENDING_MAX], n = pending(&day, calls, lied, items);
    struct cut c = {calls, false, 0, -1, lied};
    subsets(&c, n);
    c.newest = true;
    if (token_changes_at(&day, calls))
        subsets(&c, n);
}

/* Calls far from each other first, so that a day that is cut short has been seen in all its parts.
 */
static void every_call(bool lies)
{
    int total = day.log.n + 1, step = 1;
    while (step * 3 < total)
        step *= 3;
    while (total % 3 == 0 && step > 1)
        total++;
    for (int i = 0; i < total; i++) {
        int calls = (int)(((uint64_t)i * (uint64_t)step + seed) % (uint64_t)total);
        if (calls > day.log.n)
            continue;
        if (!lies)
            at_call(calls, -1);
        for (int k = calls - 1; lies && k >= 0 && k > calls - 12; k--)
            if (day.log.ops[k].kind == MEMLOG_SYNC)
                at_call(calls, k);
    }
}

static bool named_state(bool lies)
{
    const char *text = getenv("DP_CRASH_STATE");
    struct cut c;
    int newest;
    unsigned long long subset;
    if (text == NULL ||
        sscanf(text, "%d:%d:%llx:%d:%d", &c.calls, &newest, &subset, &c.torn, &c.lied) != 5)
        return false;
    c.newest = newest != 0;
    c.subset = subset;
    if (lies == (c.lied >= 0))
        one_state(&c);
    return true;
}

static void all_states(bool lies)
{
    const char *text = getenv("DP_CRASH_SECONDS"), *kind = getenv("DP_TEST_KIND");
    budget = lies ? 10 : 45;
    if (text != NULL)
        budget = strtol(text, NULL, 10);
    else if (kind != NULL && kind[0] != '\0')
        budget = 5;
    began = seconds();
    states = skipped = recovered = refused = 0;
    if (named_state(lies))
        return;
    every_call(lies);
    print_message("# seed %llu: %d calls, %u states, %u left out, %u recoveries, %u refused\n",
                  (unsigned long long)seed, day.log.n, states, skipped, recovered, refused);
    assert_true(states >= STATES_MIN);
}

static void a_power_cut_anywhere_in_a_day(void **state)
{
    (void)state;
    all_states(false);
    assert_true(recovered > 0 || skipped > 0);
}

static void a_disk_that_only_promised_a_flush(void **state)
{
    (void)state;
    all_states(true);
}

static int make(void **state)
{
    struct dp_verify_result v;
    const char *text = getenv("DP_CRASH_SEED");
    (void)state;
    seed = text != NULL ? strtoull(text, NULL, 10) : 1;
    world_make(&w);
    record_begin(&day);
    assert_int_equal(world_open(&w), DP_OK);
    morning();
    noon();
    evening();
    record_end(&day);
    world_close(&w);
    read_all(&v);
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
    memcpy(full, now, sizeof now);
    full_n = now_n;
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    memlog_clear(&day.log);
    memlog_clear(&again.log);
    memstore_free(&day.base);
    memstore_free(&again.base);
    world_remove(&w);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_cut_anywhere_in_a_day),
        cmocka_unit_test(a_disk_that_only_promised_a_flush),
    };
    dp_log_set(NULL, NULL, DP_LOG_ERROR);
    return cmocka_run_group_tests(tests, make, unmake);
}
