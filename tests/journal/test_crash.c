/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A day of ten payments over a store that records every call; then days that a seed draws. The
 * power is cut behind every call: of what was not flushed then, every subset of sectors and names
 * is on the disk (up to 8 of them; of more, drawn subsets), each sector whole, gone, or torn at its
 * beginning or its end. Recovery is cut as well, at every call, and as often as the draw wants.
 * Afterwards: what was acknowledged is there, nothing is that was not whole on the disk, what is
 * open can be closed, the sealed card data can be read, the verifier says FRESH; and somebody who
 * had the disk in between gets nowhere. Flushes that the disk only promised, calls that fail, and
 * disks that fill up come after that.
 *
 * DP_CRASH_SEED: what is drawn (1). DP_CRASH_STATE: one state alone, as a failure names it.
 * DP_CRASH_DAYS: so many drawn days, and those in full (3, and not in full). DP_CRASH_DAY=1: the
 * day itself is drawn. DP_CRASH_SECONDS: a test that takes longer fails. DP_CRASH_TEST: that test
 * alone.
 */
#include <malloc.h>
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
#include "crash.h"
#include "insider.h"
#include "journal/writer.h"

#define SUBSETS_OF     8   /* all of them */
#define COMBINATIONS   256 /* all of them, torn sectors included */
#define DRAWN          24  /* of more, whole sectors; and as many with torn ones */
#define DRAWN_DAYS     6   /* likewise, for a drawn day that is not looked at in full */
#define RECORDS_BEFORE 24  /* up to so many, so that segments end elsewhere */
#define ALL_THERE      (UINT64_MAX / 3)
#define LIES_DRAWN     4 /* when every flush from some call on was a lie */

static struct recording again, deeper;
static struct day day;
static unsigned states, recovered, refused, insider, cuts_of_recovery;
static bool scripted; /* the day, all of it: then what is seen of it is known */
static unsigned step; /* every so many calls; more than 1 in a special build only */
static uint64_t seed;
static uint64_t days_n;
static bool in_full = true; /* every subset, or drawn ones only */

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* ---- one state ---- */

static char state_name[200];

static void wrong(const char *why)
{
    fail_msg("seed %llu, state %s: %s", (unsigned long long)crash.seed, state_name, why);
}

/* What a reader finds before anybody repairs anything. */
static void read_as_it_lies(int kept)
{
    struct dp_verify_result v;
    int err = crash_read(&v);
    if (err == DP_ERR_NOT_FOUND && kept == 0)
        return;
    if (err != DP_OK)
        wrong(dp_strerr(err));
    if (v.verdict != DP_VERDICT_FRESH && v.verdict != DP_VERDICT_UNKNOWN)
        wrong(v.words);
    if (crash.seen_n != kept || crash_invented(kept) != NULL)
        wrong(crash.seen_n != kept ? "a reader finds other records than were whole"
                                   : crash_invented(kept));
}

static bool dropped_by(uint32_t payment, int step_n)
{
    for (int i = 0; i <= step_n && i < crash.day.n; i++)
        if (crash.day.steps[i].kind == STEP_DROP && crash.day.steps[i].payment == payment)
            return true;
    return false;
}

/* Sealed card data whose commitment was promised can be read, unless it was to go. */
static void card_data_is_there(const struct promise *p)
{
    for (int i = 0; i < p->records; i++) {
        const struct dp_record *r = &crash.full[i];
        uint8_t blob[64];
        uint32_t payment;
        size_t n = 0;
        memcpy(&payment, r->tx, sizeof payment);
        if (r->type != DP_RECORD_OUTCOME || !r->has_pan_commitment ||
            dropped_by(payment, p->step + 1))
            continue;
        if (dp_side_get(crash.w.j, r->tx, DP_SIDE_PAN, blob, sizeof blob, &n) != DP_OK)
            wrong("sealed card data that were promised are lost");
    }
}

/* Opened, closed and read again: kept records of the day, and nothing else of it. */
static void goes_on(const struct promise *p, int kept)
{
    struct dp_verify_result v;
    recovered += crash.w.opened.recovered;
    if (p != NULL)
        card_data_is_there(p);
    if (crash_go_on() != DP_OK)
        wrong("what was open cannot be closed");
    if (crash_read(&v) != DP_OK || v.verdict != DP_VERDICT_FRESH)
        wrong(v.words);
    if (kept >= 0 && crash_invented(kept) != NULL)
        wrong(crash_invented(kept));
    if (crash_open_payment() != NULL)
        wrong(crash_open_payment());
}

/* Recovery that is cut where the draw wants, as often as it wants. */
static int open_at_last(void)
{
    bool cut = crash_draw() % 3 == 0;
    for (int i = 0; cut && i < 12; i++) {
        struct cut c = {0, false, 0, -1, false};
        int err;
        recording_begin(&deeper);
        err = crash_open();
        recording_end(&deeper);
        crash_stop();
        if (err != DP_OK)
            return err;
        c.calls = (int)(crash_draw() % (uint64_t)(deeper.log.n + 1));
        c.newest = (crash_draw() & 1) != 0;
        c.lots = crash_draw() << 32 ^ crash_draw();
        recording_put(&deeper, &c);
        cuts_of_recovery++;
        cut = (crash_draw() & 1) != 0;
    }
    return crash_open();
}

static void one_state(const struct cut *c)
{
    const struct promise *p = crash_promise(c);
    int kept, err;
    cut_name(c, state_name);
    crash_seed_state(c);
    recording_put(&crash.rec, c);
    states++;
    kept = crash_kept();
    if (kept < p->records)
        wrong("what was acknowledged is not on the disk");
    read_as_it_lies(kept);
    err = open_at_last();
    if (err != DP_OK)
        wrong(dp_strerr(err));
    goes_on(p, kept);
}

/* ---- all states of one cut ---- */

static int ways_of(const struct memlog_op *op)
{
    return op->kind == MEMLOG_WRITE && op->n > 1 ? 4 : 2;
}

/* Every way of every item; false when there are too many. */
static bool every_way(struct cut *c, const int *items, int n, void (*each)(const struct cut *c))
{
    uint64_t all = 1;
    for (int i = 0; i < n && all <= COMBINATIONS; i++)
        all *= (uint64_t)ways_of(&crash.rec.log.ops[items[i]]);
    if (all > (in_full ? COMBINATIONS : 2 * DRAWN_DAYS))
        return false;
    for (uint64_t k = 0; k < all; k++) {
        uint64_t rest = k;
        c->lots = 0;
        for (int i = 0; i < n; i++) {
            uint64_t ways = (uint64_t)ways_of(&crash.rec.log.ops[items[i]]);
            c->lots |= rest % ways << (2 * i);
            rest /= ways;
        }
        each(c);
    }
    return true;
}

static uint64_t spread(uint64_t subset)
{
    uint64_t lots = 0;
    for (int i = 0; i < CRASH_LOTS; i++)
        lots |= (subset >> i & 1) << (2 * i);
    return lots;
}

static void drawn_ways(struct cut *c, int n, void (*each)(const struct cut *c))
{
    uint64_t state;
    crash_seed_state(c);
    state = crash.drawn;
    for (int i = 0; i < n; i++) {
        uint64_t drawn;
        crash.drawn = state;
        drawn = crash_draw() << 32 ^ crash_draw();
        state = crash.drawn;
        c->lots = i % 2 == 0 ? spread(drawn) : drawn;
        each(c);
    }
}

static void many_ways(struct cut *c, int n, void (*each)(const struct cut *c))
{
    uint64_t subsets = UINT64_C(1) << (n < SUBSETS_OF ? n : SUBSETS_OF);
    for (uint64_t i = 0; n <= SUBSETS_OF && i < subsets; i++) {
        c->lots = spread(i);
        each(c);
    }
    for (int i = 0; i < n && i < CRASH_LOTS; i++)
        for (uint64_t lot = LOT_HEAD; lot <= LOT_TAIL; lot++) {
            c->lots = (ALL_THERE & ~(UINT64_C(3) << (2 * i))) | lot << (2 * i);
            each(c);
        }
    drawn_ways(c, 2 * DRAWN, each);
}

static void all_ways(struct cut *c, void (*each)(const struct cut *c))
{
    static int items[CRASH_ITEMS_MAX];
    int n = recording_pending(&crash.rec, c, items);
    if (every_way(c, items, n, each))
        return;
    if (in_full)
        many_ways(c, n, each);
    else
        drawn_ways(c, 2 * DRAWN_DAYS, each);
}

static bool named(bool lies)
{
    const char *text = getenv("DP_CRASH_STATE");
    struct cut c;
    if (text == NULL)
        return false;
    if (!cut_named(text, &c))
        fail_msg("DP_CRASH_STATE: %s", text);
    if (!lies && c.lied < 0)
        one_state(&c);
    return true;
}

/* ---- the tests: a cut anywhere ---- */

static void cut_at_every_call(void)
{
    for (int calls = 0; calls <= crash.rec.log.n; calls += (int)step) {
        struct cut c = {calls, true, 0, -1, false};
        all_ways(&c, one_state);
        c.newest = false;
        if (recording_token_changes(&crash.rec, calls))
            all_ways(&c, one_state);
    }
}

static void a_power_cut_anywhere_in_a_day(void **state)
{
    (void)state;
    if (named(false))
        return;
    cut_at_every_call();
    print_message("# %d calls, %u states, %u recoveries, %u of them cut\n", crash.rec.log.n, states,
                  recovered, cuts_of_recovery);
    assert_true(!scripted || (states > 1000 && recovered > 100 && cuts_of_recovery > 100));
}

/* Recovery is cut at each of its calls, what it had pending there, gone or torn; and then again. */
static void recovery_cut(const struct cut *c)
{
    const struct promise *p = crash_promise(c);
    char name[96];
    int kept, calls;
    cut_name(c, name);
    crash_seed_state(c);
    recording_put(&crash.rec, c);
    kept = crash_kept();
    recording_begin(&again);
    if (crash_open() != DP_OK)
        wrong("does not open");
    recording_end(&again);
    crash_stop();
    calls = again.log.n;
    for (int at = 0; at <= calls; at++)
        for (uint64_t way = 0; way < 3; way++) {
            struct cut r = {at, way != 1, 0, -1, false};
            (void)snprintf(state_name, sizeof state_name, "%s, recovery cut at %d, way %d", name,
                           at, (int)way);
            r.lots = way == 0 ? 0 : way == 1 ? ALL_THERE : crash_draw() << 32 ^ crash_draw();
            recording_put(&again, &r);
            cuts_of_recovery++;
            states++;
            crash_seed_state(c);
            (void)day_random(&crash.drawn);
            crash.drawn += (uint64_t)at * 3 + way; /* other cuts follow */
            if (crash_read(&(struct dp_verify_result){0}) == DP_OK && crash_invented(kept) != NULL)
                wrong(crash_invented(kept));
            if (open_at_last() != DP_OK)
                wrong("does not open");
            goes_on(p, kept);
        }
}

/* From each cut a state whose last sector is torn, and from those that find the token changed. */
static void recovery_is_cut_at_each_of_its_calls(void **state)
{
    (void)state;
    if (getenv("DP_CRASH_STATE") != NULL)
        return;
    for (int calls = 1; calls <= crash.rec.log.n; calls += (int)step) {
        static int items[CRASH_ITEMS_MAX];
        struct cut c = {calls, true, ALL_THERE, -1, false};
        int n = recording_pending(&crash.rec, &c, items);
        bool written = crash.rec.log.ops[calls - 1].kind == MEMLOG_WRITE;
        if (n > 0 && n <= CRASH_LOTS && written) {
            c.lots &= ~(UINT64_C(3) << (2 * (n - 1)));
            c.lots |= (uint64_t)LOT_HEAD << (2 * (n - 1));
            recovery_cut(&c);
        } else if (recording_token_changes(&crash.rec, calls)) {
            c.newest = false;
            recovery_cut(&c);
        }
    }
    print_message("# %u cuts of a recovery\n", cuts_of_recovery);
    assert_true(!scripted || cuts_of_recovery > 500);
}

/* The disk in somebody's hand after the crash. */
static void an_insider_gets_nowhere_after_a_crash(void **state)
{
    (void)state;
    if (getenv("DP_CRASH_STATE") != NULL)
        return;
    for (int calls = 1; calls <= crash.rec.log.n; calls += (int)step) {
        enum memlog_kind kind = crash.rec.log.ops[calls - 1].kind;
        struct cut c = {calls, true, ALL_THERE, -1, false};
        if (kind != MEMLOG_SYNC && kind != MEMLOG_SYNC_DIR)
            continue;
        insider += insider_tries(&c);
        c.newest = false;
        if (recording_token_changes(&crash.rec, calls))
            insider += insider_tries(&c);
    }
    print_message("# %u changes, all refused\n", insider);
    assert_true(!scripted || insider > 300);
}

/* ---- flushes that were only promised ---- */

/* Then the journal opens with every bound record in it, or is refused. */
static void lied_to(const struct cut *c)
{
    const struct promise *p = crash_promise(c);
    int err;
    cut_name(c, state_name);
    crash_seed_state(c);
    recording_put(&crash.rec, c);
    states++;
    err = open_at_last();
    if (err == DP_ERR_TAMPERED || err == DP_ERR_ROLLBACK) {
        refused++;
        return;
    }
    if (err != DP_OK)
        wrong(dp_strerr(err));
    if (crash_read(&(struct dp_verify_result){0}) != DP_OK)
        wrong("cannot be read");
    for (int i = 0; i < p->bound; i++)
        if (i >= crash.seen_n || memcmp(crash.seen[i].boot, crash.full[0].boot, 16) != 0)
            wrong("a bound record is gone, and nobody notices");
    goes_on(NULL, -1);
}

/* The next true flush makes good what one lie left out: until then, every call. */
static int until_made_good(int lie)
{
    const struct memlog_op *op = &crash.rec.log.ops[lie];
    int i = lie + 1;
    while (i < crash.rec.log.n &&
           (crash.rec.log.ops[i].kind != op->kind || crash.rec.log.ops[i].node != op->node))
        i++;
    return i;
}

static void one_lie(int lie)
{
    int end = until_made_good(lie);
    for (int calls = lie + 1; calls <= end; calls++) {
        struct cut c = {calls, true, 0, lie, false};
        bool changes = recording_token_changes(&crash.rec, calls);
        /* far behind the lie little is new: its own bytes gone, there, and two draws */
        if (calls - lie == 1) {
            all_ways(&c, lied_to);
        } else {
            crash_seed_state(&c);
            lied_to(&c);
            c.lots = ALL_THERE ^ (crash_draw() & 0xFF);
            lied_to(&c);
        }
        c.newest = false;
        c.lots = 0;
        if (changes)
            lied_to(&c);
    }
}

static void lies_from_now_on(int lie)
{
    for (int calls = lie + 1; calls <= crash.rec.log.n; calls += 1 + (calls - lie) / 2) {
        struct cut c = {calls, true, 0, lie, true};
        lied_to(&c);
        for (int i = 0; i < LIES_DRAWN; i++) {
            crash_seed_state(&c);
            c.lots = crash_draw() << 32 ^ crash_draw();
            lied_to(&c);
        }
    }
}

static void a_disk_that_only_promised_a_flush(void **state)
{
    struct cut c;
    const char *text = getenv("DP_CRASH_STATE");
    (void)state;
    if (text != NULL && cut_named(text, &c) && c.lied >= 0)
        lied_to(&c);
    if (text != NULL)
        return;
    for (int i = 0; i < crash.rec.log.n; i += (int)step)
        if (crash.rec.log.ops[i].kind == MEMLOG_SYNC ||
            crash.rec.log.ops[i].kind == MEMLOG_SYNC_DIR) {
            one_lie(i);
            lies_from_now_on(i);
        }
    print_message("# %u states, %u refused\n", states, refused);
    assert_true(!scripted || (states > 1000 && refused > 100));
}

/* ---- the day itself, on disks that fail or fill up ---- */

/* What the writer said, and what it was refused, in one run of the day. */
struct run {
    bool refused[DAY_PAYMENTS_MAX]; /* not begun, or ended another way than the day wants */
    unsigned refusals;
    int promised; /* records */
    int err, at;  /* of the step that failed; at is the day's length when none did */
    int open;     /* the payment that has no OUTCOME yet, 0: none */
};

static void fresh_world(uint64_t content)
{
    memstore_free(&crash.w.mem);
    memstore_init(&crash.w.mem);
    (void)fast_token_new();
    crash.content = content * 2654435761u + 88172645463325252u;
}

/* True when the day may go on. */
static bool run_step(struct run *r, int i)
{
    const struct step *s = &crash.day.steps[i];
    bool unsealed, begins = s->kind == STEP_INTENT || s->kind == STEP_EVIDENCE;
    r->at = i;
    if (day_is_of(s, r->refused))
        return true;
    r->err = day_step(crash.w.j, s, &unsealed);
    if (begins && r->err == DP_ERR_FULL) {
        r->err = DP_OK;
        r->refusals++;
        r->refused[s->payment] |= s->kind == STEP_INTENT;
        return true;
    }
    if (r->err != DP_OK)
        return false;
    r->refused[s->payment] |= unsealed;
    if (s->kind == STEP_INTENT)
        r->open = (int)s->payment;
    if (s->kind == STEP_OUTCOME)
        r->open = 0;
    if (s->end != STEP_APPENDS)
        r->promised = (int)crash.w.j->tree.size;
    return true;
}

/* before: so many records stand before the day, so that its segments end elsewhere. */
static void run_day(struct run *r, int before)
{
    const struct step time = {STEP_TIME, STEP_FLUSHES, 1, 0, 0, 0, 0, 0};
    bool unsealed;
    memset(r, 0, sizeof *r);
    r->err = crash_open();
    for (int i = 0; r->err == DP_OK && i < before; i++)
        r->err = day_step(crash.w.j, &time, &unsealed);
    if (r->err == DP_OK)
        r->promised = (int)crash.w.j->tree.size;
    for (int i = 0; r->err == DP_OK && i < crash.day.n; i++)
        if (!run_step(r, i))
            return;
    if (r->err == DP_OK)
        r->at = crash.day.n;
}

/* The same writer's next life: what it had said is there. */
static void next_life(const struct run *r)
{
    struct dp_verify_result v;
    int err = crash_read(&v), seen = crash.seen_n;
    if (err != DP_ERR_NOT_FOUND &&
        (err != DP_OK || (v.verdict != DP_VERDICT_FRESH && v.verdict != DP_VERDICT_UNKNOWN)))
        wrong(v.words);
    if (seen < r->promised)
        wrong("what was acknowledged is lost");
    err = crash_open();
    if (err != DP_OK)
        wrong(dp_strerr(err));
    goes_on(NULL, -1);
}

static void one_failing_call(enum fault fault, unsigned n)
{
    static const char *const words[] = {
        "", "an error", "a full disk", "half a call", "a cut before it", "a cut in it"};
    struct run r;
    (void)snprintf(state_name, sizeof state_name, "%s at call %u", words[fault], n);
    fresh_world(n);
    crash.drawn = n * 977 + 1;
    memstore_fail(&crash.w.mem, fault, n);
    run_day(&r, 0);
    crash_stop();
    if (fault == FAULT_CUT || fault == FAULT_TORN)
        memstore_power_on(&crash.w.mem, n * 8 + crash.seed);
    next_life(&r);
    states++;
}

static void every_call_fails_once(void **state)
{
    static const enum fault faults[] = {FAULT_IO, FAULT_FULL, FAULT_SHORT, FAULT_CUT, FAULT_TORN};
    struct run r;
    unsigned calls;
    (void)state;
    if (getenv("DP_CRASH_STATE") != NULL)
        return;
    fresh_world(0);
    run_day(&r, 0);
    assert_int_equal(r.err, DP_OK);
    calls = crash.w.mem.calls;
    world_close(&crash.w);
    for (unsigned n = 1; n <= calls; n += step)
        for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++)
            one_failing_call(faults[f], n);
    print_message("# %u calls, %u runs\n", calls, states);
}

/* A disk on which the day does not fit: a payment that is begun comes to its end, and so does all
 * that was begun before. */
static unsigned on_a_disk_of(uint64_t bytes)
{
    struct dp_verify_result v;
    struct run r;
    (void)snprintf(state_name, sizeof state_name, "a disk of %llu bytes",
                   (unsigned long long)bytes);
    fresh_world(bytes);
    crash.w.mem.disk = bytes;
    run_day(&r, 0);
    if (r.err != DP_OK)
        fail_msg("seed %llu, %s: step %d failed: %s", (unsigned long long)crash.seed, state_name,
                 r.at, dp_strerr(r.err));
    world_close(&crash.w);
    if (crash_read(&v) != DP_OK || v.verdict != DP_VERDICT_FRESH || crash_open_payment() != NULL)
        wrong(v.words);
    states++;
    return r.refusals;
}

static void disks_of_every_size(void **state)
{
    uint64_t reserve = crash.w.config.reserve_bytes, whole = memstore_used(&crash.whole);
    unsigned refusals = 0, last = 1;
    (void)state;
    if (getenv("DP_CRASH_STATE") != NULL)
        return;
    /* on the smallest the journal can be begun, and the reserve is there */
    for (uint64_t n = reserve + 2 * crash.w.segment_bytes; last > 0; n += 64 * step) {
        last = on_a_disk_of(n);
        refusals += last;
        assert_true(n < whole + reserve + 8 * crash.w.segment_bytes);
    }
    print_message("# %u disks, %u payments refused\n", states, refusals);
    assert_true(!scripted || refusals > 300);
}

/* Somebody else takes all there is, at some call: the payment that is begun has its place. */
static void the_disk_fills_up(void *user)
{
    int *calls = user;
    if (--*calls == 0)
        crash.w.mem.disk = 0;
}

static bool somebody_fills_it(int n, int before)
{
    struct run r;
    int calls = n;
    (void)snprintf(state_name, sizeof state_name, "full from call %d on, %d records before", n,
                   before);
    fresh_world((uint64_t)n);
    memlog_clear(&again.log);
    again.log.before = the_disk_fills_up;
    again.log.user = &calls;
    crash.w.mem.log = &again.log;
    run_day(&r, before);
    crash.w.mem.log = NULL;
    if (r.err != DP_OK && r.open != 0)
        fail_msg("seed %llu, %s: step %d, and payment %d cannot be closed: %s",
                 (unsigned long long)crash.seed, state_name, r.at, r.open, dp_strerr(r.err));
    crash_stop();
    crash.w.mem.disk = UINT64_MAX / 2;
    next_life(&r);
    states++;
    return r.err == DP_OK;
}

static void somebody_fills_the_disk(void **state)
{
    unsigned whole = 0;
    (void)state;
    if (getenv("DP_CRASH_STATE") != NULL)
        return;
    for (int before = 0; before < RECORDS_BEFORE; before += 3)
        for (int n = 1; n <= crash.rec.log.n; n += (int)step)
            whole += somebody_fills_it(n, before);
    print_message("# %u runs, %u of them to the day's end\n", states, whole);
}

/* ---- other days ---- */

/* In full when somebody asks for days (the nightly run), else what seconds allow. */
static void drawn_days(void **state)
{
    unsigned all = 0;
    (void)state;
    if (getenv("DP_CRASH_STATE") != NULL)
        return;
    in_full = getenv("DP_CRASH_DAYS") != NULL;
    for (uint64_t i = 0; i < days_n; i++) {
        crash_remove();
        day_drawn(&day, seed * 1000 + i);
        crash_make(seed * 1000 + i, &day);
        cut_at_every_call();
        all += (unsigned)crash.day.n;
    }
    in_full = true;
    print_message("# %u days, %u steps, %u states\n", (unsigned)days_n, all, states);
}

/* ---- */

/* It says a line each time that it fails as it should: thousands. */
static void say_nothing(void *user, enum dp_log_level level, const char *line)
{
    (void)user;
    (void)level;
    (void)line;
}

static struct timespec began;

static int begin(void **state)
{
    (void)state;
    states = recovered = refused = insider = cuts_of_recovery = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &began);
    return 0;
}

/* Nothing is left out in silence: what takes too long is a failure. */
static int end(void **state)
{
    time_t budget = (time_t)from_environment("DP_CRASH_SECONDS", 0);
    struct timespec now;
    (void)state;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    print_message("# %u s\n", (unsigned)(now.tv_sec - began.tv_sec));
    return budget != 0 && now.tv_sec - began.tv_sec > budget;
}

static int make(void **state)
{
    const char *kind = getenv("DP_TEST_KIND");
    (void)state;
    seed = from_environment("DP_CRASH_SEED", 1);
    days_n = from_environment("DP_CRASH_DAYS", 3);
    step = kind != NULL && kind[0] != '\0' ? 7 : 1;
    if (step > 1)
        print_message("# in this build every %uth call only\n", step);
    scripted = from_environment("DP_CRASH_DAY", 0) == 0;
    if (scripted)
        day_scripted(&day);
    else
        day_drawn(&day, seed);
    scripted &= step == 1;
    crash_make(seed, &day);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    recording_free(&again);
    recording_free(&deeper);
    crash_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
        T(a_power_cut_anywhere_in_a_day),
        T(recovery_is_cut_at_each_of_its_calls),
        T(an_insider_gets_nowhere_after_a_crash),
        T(a_disk_that_only_promised_a_flush),
        T(every_call_fails_once),
        T(disks_of_every_size),
        T(somebody_fills_the_disk),
        T(drawn_days),
    };
    dp_log_set(say_nothing, NULL, DP_LOG_ERROR);
    /* a reader's buffers come and go many thousand times: they stay with the process */
    (void)mallopt(M_MMAP_THRESHOLD, 16 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
    if (getenv("DP_CRASH_TEST") != NULL)
        cmocka_set_test_filter(getenv("DP_CRASH_TEST"));
    return cmocka_run_group_tests(tests, make, unmake);
}
