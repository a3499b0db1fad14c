/* SPDX-License-Identifier: Apache-2.0 */
/* What a dead device owes, by its journal: the same books that the living one keeps, read to the
 * last record that is vouched for. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "machine.h"

#define INTERRUPTED_REASON_CODE 4007 /* DE25: the terminal could not complete */

/* A payment's stage: where its mode begins, and how far it is. */
enum {
    ONLINE = 0,
    OFFLINE = 4,
    DEFERRED = 9,
    DECLINED = 15,
    UNANSWERED = 16, /* something was asked, and there is no outcome */
    INTERRUPTED = 17 /* nothing was asked */
};
enum {
    CLEARED = 0,
    OWED,
    REFUSED,
    REVERSED,
    VOIDED,
    GIVEN_UP
};
static const char *const names[DP_SALVAGE_STAGES] = {
    "online_cleared",    "online_owed",      "online_refused",    "online_reversed",
    "offline_cleared",   "offline_owed",     "offline_refused",   "offline_reversed",
    "offline_void",      "deferred_cleared", "deferred_owed",     "deferred_refused",
    "deferred_reversed", "deferred_void",    "deferred_given_up", "declined",
    "unanswered",        "interrupted"};

struct dp_salvage {
    struct dp_acquirer *acquirer;
    struct index index;
    struct round round;
    struct dp_totals totals;
    int64_t last_wall_ms;
    struct dp_clock clock;
    struct {
        uint64_t n, amount;
    } stages[DP_SALVAGE_STAGES];
    struct dp_salvage_item *items;
    uint32_t items_n;
    int err;
};

const char *dp_salvage_stage_name(unsigned stage)
{
    return stage < DP_SALVAGE_STAGES ? names[stage] : "";
}

const char *dp_salvage_kind_name(enum dp_salvage_kind kind)
{
    static const char *const kinds[] = {"",         "advice",   "completion",
                                        "deferred", "reversal", "reversal_due"};
    return kind <= DP_SALVAGE_REVERSAL_DUE ? kinds[kind] : "";
}

/* ---- reading ---- */

/* The device's last moment: what is made up for it here bears that time, whenever it is done. */
static int64_t last_moment(void *ctx)
{
    return ((const struct dp_salvage *)ctx)->last_wall_ms;
}

static enum dp_clock_quality no_clock(void *ctx)
{
    (void)ctx;
    return DP_CLOCK_UNKNOWN;
}

int dp_salvage_new(uint32_t sales, struct dp_salvage **out)
{
    struct dp_salvage *s = calloc(1, sizeof *s);
    *out = s;
    if (s == NULL)
        return DP_ERR_NOMEM;
    s->clock = (struct dp_clock){s, last_moment, last_moment, no_clock};
    if (index_new(&s->index, sales > 0 ? sales : 1) == DP_OK)
        return DP_OK;
    dp_salvage_free(out);
    return DP_ERR_NOMEM;
}

void dp_salvage_free(struct dp_salvage **s)
{
    if (*s == NULL)
        return;
    dp_acquirer_free(&(*s)->acquirer);
    index_free(&(*s)->index);
    free((*s)->items);
    free(*s);
    *s = NULL;
}

/* The books need to know whose they are; a record that names a terminal says so. */
static int make_books(struct dp_salvage *s, const struct dp_record *r)
{
    struct dp_acquirer_config c;
    memset(&c, 0, sizeof c);
    memcpy(c.tid, r->tid, sizeof c.tid);
    if (r->mid[0] != '\0')
        memcpy(c.mid, r->mid, sizeof c.mid);
    else
        c.mid[0] = '-';
    c.currency = r->amount.currency;
    c.exponent = r->amount.exponent;
    c.mac_len = 8;
    memcpy(c.journal, r->journal, sizeof c.journal);
    c.clock = &s->clock;
    c.random = dp_random_system(); /* for back-off, of which there is none here */
    return dp_acquirer_new(&c, &s->acquirer);
}

void dp_salvage_see(struct dp_salvage *s, const struct dp_record *r)
{
    if (s->acquirer == NULL && s->err == DP_OK && strlen(r->tid) == 8 && r->has_amount)
        s->err = make_books(s, r);
    if ((int64_t)r->wall_ms > s->last_wall_ms)
        s->last_wall_ms = (int64_t)r->wall_ms;
    index_see(&s->index, &s->round, r);
    if (s->acquirer != NULL)
        dp_acquirer_see(s->acquirer, r);
    if (r->has_totals)
        s->totals = r->totals;
}

/* ---- where each payment stands ---- */

static unsigned how_far(const struct entry *e)
{
    if (e->reversed)
        return e->mode != DP_MODE_ONLINE && e->forward == DP_FORWARD_NONE ? VOIDED : REVERSED;
    switch (e->forward) {
    case DP_FORWARD_PENDING:
        return OWED;
    case DP_FORWARD_DECLINED:
        return REFUSED;
    case DP_FORWARD_GIVEN_UP:
        return GIVEN_UP;
    default:
        return CLEARED;
    }
}

static unsigned stage_of(const struct entry *e)
{
    if (!e->done)
        return e->open_stan != 0 ? UNANSWERED : INTERRUPTED;
    switch (e->mode) {
    case DP_MODE_ONLINE:
        return ONLINE + how_far(e);
    case DP_MODE_OFFLINE:
        return OFFLINE + how_far(e);
    case DP_MODE_DEFERRED:
        return DEFERRED + how_far(e);
    default:
        return DECLINED;
    }
}

static bool adds_up(const struct dp_salvage *s, unsigned from, unsigned to, uint64_t n,
                    uint64_t amount)
{
    uint64_t sum_n = 0, sum = 0;
    for (unsigned i = from; i < to; i++) {
        sum_n += s->stages[i].n;
        sum += s->stages[i].amount;
    }
    return sum_n == n && sum == amount;
}

static int count_stages(struct dp_salvage *s)
{
    const struct dp_totals *t = &s->totals;
    uint64_t all = 0;
    for (uint32_t i = 0; i < s->index.n; i++) {
        const struct entry *e = &s->index.entries[i];
        unsigned stage = stage_of(e);
        if (e->is_reversal)
            continue;
        DP_ASSERT(stage < DP_SALVAGE_STAGES);
        s->stages[stage].n++;
        s->stages[stage].amount += (uint64_t)e->amount.minor;
        all++;
    }
    return all == t->intents && s->stages[DECLINED].n == t->declined_n &&
                   adds_up(s, ONLINE, OFFLINE, t->online_n, t->online_amount) &&
                   adds_up(s, OFFLINE, DEFERRED, t->offline_n, t->offline_amount) &&
                   adds_up(s, DEFERRED, DECLINED, t->deferred_n, t->deferred_amount)
               ? DP_OK
               : DP_ERR_INTERNAL;
}

/* ---- what is owed ---- */

static enum dp_salvage_kind kind_of(const struct dp_acquirer_job *job)
{
    if (job->kind == DP_ACQUIRER_JOB_REVERSAL)
        return DP_SALVAGE_REVERSAL;
    return job->record.mode == DP_MODE_OFFLINE ? DP_SALVAGE_ADVICE : DP_SALVAGE_COMPLETION;
}

static void add_item(struct dp_salvage *s, enum dp_salvage_kind kind,
                     const struct dp_acquirer_job *job)
{
    struct dp_salvage_item *item = &s->items[s->items_n++];
    item->kind = kind;
    item->message = job->record;
    item->repeat = job->repeat;
}

/* The 1420 that the device would have made at its next start, under its next STAN. */
static int reverse_open(struct dp_salvage *s, const struct dp_record *asked)
{
    struct dp_acquirer_batch batch;
    struct dp_record r;
    int err;
    dp_acquirer_batch(s->acquirer, &batch);
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_REVERSAL;
    r.batch = batch.batch;
    r.business_date = asked->business_date;
    r.reason = DP_REASON_INTERRUPTED;
    err =
        dp_acquirer_fill_reversal(s->acquirer, asked->tx, asked->stan, INTERRUPTED_REASON_CODE, &r);
    if (err == DP_OK)
        dp_acquirer_see(s->acquirer, &r);
    return err;
}

/* In order of age, but for what is asked for anew: behind what was taken back. */
static void list_owed(struct dp_salvage *s, uint64_t last)
{
    struct dp_acquirer_job job;
    uint64_t cursor = 0;
    while (dp_acquirer_outstanding(s->acquirer, &cursor, &job))
        if (job.kind == DP_ACQUIRER_JOB_ADVICE || job.kind == DP_ACQUIRER_JOB_REVERSAL)
            add_item(s, cursor > last ? DP_SALVAGE_REVERSAL_DUE : kind_of(&job), &job);
    for (cursor = 0; dp_acquirer_outstanding(s->acquirer, &cursor, &job);)
        if (job.kind == DP_ACQUIRER_JOB_DEFERRED)
            add_item(s, DP_SALVAGE_DEFERRED, &job);
}

/* What is open is closed; then everything that waits for an answer. */
static int find_owed(struct dp_salvage *s)
{
    struct dp_acquirer_job job;
    uint64_t cursor = 0, last, n = 0;
    int err = DP_OK;
    while (dp_acquirer_outstanding(s->acquirer, &cursor, &job))
        n++;
    last = cursor; /* what is made here comes behind it */
    s->items = calloc(n > 0 ? n : 1, sizeof *s->items);
    if (s->items == NULL)
        return DP_ERR_NOMEM;
    cursor = 0;
    while (err == DP_OK && cursor < last && dp_acquirer_outstanding(s->acquirer, &cursor, &job))
        if (job.kind == DP_ACQUIRER_JOB_NONE)
            err = reverse_open(s, &job.record);
    if (err == DP_OK)
        list_owed(s, last);
    return err;
}

int dp_salvage_end(struct dp_salvage *s)
{
    int err = s->err;
    if (err == DP_OK)
        err = count_stages(s);
    return err == DP_OK && s->acquirer != NULL ? find_owed(s) : err;
}

void dp_salvage_describe(struct dp_salvage *s, const struct dp_record *r, bool verified)
{
    const uint8_t *tx = r->has_original_tx ? r->original_tx : r->tx;
    if (!r->has_tx || (verified && r->type != DP_RECORD_OUTCOME))
        return;
    for (uint32_t i = 0; i < s->items_n; i++) {
        struct dp_salvage_item *item = &s->items[i];
        if (memcmp(item->message.tx, tx, sizeof item->message.tx) != 0)
            continue;
        if (verified)
            item->outcome = *r;
        else
            item->hold = true;
    }
}

void dp_salvage_doubt(struct dp_salvage *s)
{
    for (uint32_t i = 0; i < s->items_n; i++)
        if (s->items[i].kind == DP_SALVAGE_DEFERRED)
            s->items[i].hold = true;
}

const struct dp_salvage_item *dp_salvage_item(const struct dp_salvage *s, uint32_t i)
{
    return i < s->items_n ? &s->items[i] : NULL;
}

void dp_salvage_stage(const struct dp_salvage *s, unsigned stage, uint64_t *n, uint64_t *amount)
{
    DP_ASSERT(stage < DP_SALVAGE_STAGES);
    *n = s->stages[stage].n;
    *amount = s->stages[stage].amount;
}

void dp_salvage_totals(const struct dp_salvage *s, struct dp_totals *out)
{
    *out = s->totals;
}
