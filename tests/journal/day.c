/* SPDX-License-Identifier: Apache-2.0 */
#include "day.h"

#include <string.h>

#include "base/assert.h"
#include "world.h"

#define PAYMENTS 10

uint64_t day_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 9;
}

/* ---- a step done ---- */

static int sealed_card(struct dp_journal *j, struct dp_record *r, bool *unsealed)
{
    static const uint8_t blob[] = "sealed card data";
    int err =
        dp_side_put(j, r->tx, DP_SIDE_PAN, (struct dp_bytes){blob, sizeof blob}, r->pan_commitment);
    *unsealed = err == DP_ERR_FULL;
    r->has_pan_commitment = err == DP_OK;
    if (!*unsealed)
        return err;
    r->mode = DP_MODE_DECLINED;
    r->stan = 0;
    memset(r->pan_commitment, 0, sizeof r->pan_commitment);
    return DP_OK;
}

static int fill(struct dp_journal *j, const struct step *s, struct dp_record *r, bool *unsealed)
{
    static const enum dp_record_type types[] = {
        DP_RECORD_INTENT, DP_RECORD_REQUESTED, DP_RECORD_OUTCOME,  DP_RECORD_REVERSAL,
        DP_RECORD_VOID,   DP_RECORD_FORWARDED, DP_RECORD_EVIDENCE, DP_RECORD_TIME_SYNC,
    };
    DP_ASSERT((size_t)s->kind < sizeof types / sizeof types[0]);
    record_of(r, types[s->kind], s->payment);
    r->mode = s->mode;
    r->stan = s->stan;
    r->mti = s->mti;
    r->result = s->result;
    r->has_original = s->kind == STEP_REVERSAL;
    r->original.mti = s->kind == STEP_REVERSAL ? 1200 : 0;
    r->original.stan = s->original;
    r->has_original_tx = s->kind == STEP_VOID;
    if (s->kind == STEP_VOID)
        memcpy(r->original_tx, r->tx, sizeof r->tx);
    if (s->kind == STEP_OUTCOME && s->mode == DP_MODE_DECLINED && s->stan != 0)
        memcpy(r->action_code, "116", 4);
    if (s->kind == STEP_EVIDENCE) {
        r->has_digest = true;
        r->digest[0] = 7;
        memcpy(r->text, "signature", 10);
    }
    if (s->kind == STEP_OUTCOME && (s->mode == DP_MODE_OFFLINE || s->mode == DP_MODE_DEFERRED))
        return sealed_card(j, r, unsealed);
    return DP_OK;
}

static int drop(struct dp_journal *j, uint32_t payment)
{
    struct dp_record r;
    int err;
    record_of(&r, DP_RECORD_OUTCOME, payment);
    err = dp_side_drop(j, r.tx, DP_SIDE_PAN);
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

int day_step(struct dp_journal *j, const struct step *s, bool *unsealed)
{
    struct dp_record r;
    int err;
    *unsealed = false;
    if (s->kind == STEP_ROTATE)
        return dp_journal_rotate(j);
    if (s->kind == STEP_SHRED)
        return dp_side_shred(j);
    if (s->kind == STEP_DROP)
        return drop(j, s->payment);
    err = fill(j, s, &r, unsealed);
    if (err == DP_OK)
        err = dp_journal_append(j, &r);
    if (err == DP_OK && s->end == STEP_FLUSHES)
        err = dp_journal_flush(j);
    if (err == DP_OK && s->end == STEP_BINDS)
        err = dp_journal_checkpoint(j);
    return err;
}

bool day_is_of(const struct step *s, const bool payments[DAY_PAYMENTS_MAX])
{
    bool own = s->kind <= STEP_FORWARDED || s->kind == STEP_DROP;
    return own && payments[s->payment];
}

/* ---- the scripted day: ten payments, each ends another way ---- */

#define INTENT(p)                                                                                  \
    {                                                                                              \
        STEP_INTENT, STEP_FLUSHES, p, 0, 0, 0, 0, 0                                                \
    }
#define ASKED(p, mode, stan, m)                                                                    \
    {                                                                                              \
        STEP_REQUESTED, STEP_FLUSHES, p, mode, stan, 0, m, 0                                       \
    }
#define OUTCOME(p, mode, stan)                                                                     \
    {                                                                                              \
        STEP_OUTCOME, STEP_BINDS, p, mode, stan, 0, 0, 0                                           \
    }
#define TAKEN_BACK(p, stan, o, end)                                                                \
    {                                                                                              \
        STEP_REVERSAL, end, p, 0, stan, o, 1420, 0                                                 \
    }
#define ANSWER(p, stan, m, result)                                                                 \
    {                                                                                              \
        STEP_FORWARDED, STEP_BINDS, p, 0, stan, 0, m, result                                       \
    }

void day_scripted(struct day *d)
{
    static const struct step steps[] = {
        INTENT(1),
        ASKED(1, DP_MODE_ONLINE, 1, 1200),
        OUTCOME(1, DP_MODE_ONLINE, 1),
        INTENT(2),
        OUTCOME(2, DP_MODE_OFFLINE, 2),
        INTENT(3),
        ASKED(3, DP_MODE_ONLINE, 3, 1200),
        TAKEN_BACK(3, 4, 3, STEP_FLUSHES),
        OUTCOME(3, DP_MODE_DECLINED, 0),
        INTENT(4),
        OUTCOME(4, DP_MODE_DEFERRED, 0),
        INTENT(5),
        OUTCOME(5, DP_MODE_DECLINED, 0),
        {STEP_TIME, STEP_APPENDS, 5, 0, 0, 0, 0, 0},
        {STEP_EVIDENCE, STEP_APPENDS, 3, 0, 0, 0, 0, 0},
        {STEP_TIME, STEP_APPENDS, 5, 0, 0, 0, 0, 0},
        {STEP_EVIDENCE, STEP_BINDS, 2, 0, 0, 0, 0, 0},
        INTENT(6),
        OUTCOME(6, DP_MODE_OFFLINE, 6),
        {STEP_VOID, STEP_BINDS, 6, 0, 0, 0, 0, 0},
        {STEP_ROTATE, STEP_BINDS, 0, 0, 0, 0, 0, 0},
        INTENT(7),
        ASKED(7, DP_MODE_ONLINE, 7, 1200),
        OUTCOME(7, DP_MODE_ONLINE, 7),
        ASKED(4, DP_MODE_DEFERRED, 8, 1100),
        ANSWER(4, 8, 1100, 1),
        ANSWER(4, 8, 1220, 1),
        ANSWER(3, 4, 1420, 3),
        ANSWER(2, 2, 1220, 1),
        {STEP_DROP, STEP_APPENDS, 2, 0, 0, 0, 0, 0},
        {STEP_SHRED, STEP_FLUSHES, 0, 0, 0, 0, 0, 0},
        INTENT(8),
        OUTCOME(8, DP_MODE_DEFERRED, 0),
        INTENT(9),
        ASKED(9, DP_MODE_ONLINE, 9, 1200),
        TAKEN_BACK(9, 10, 9, STEP_APPENDS),
        OUTCOME(9, DP_MODE_DECLINED, 0),
        INTENT(10),
        ASKED(10, DP_MODE_ONLINE, 11, 1200),
        OUTCOME(10, DP_MODE_ONLINE, 11),
    };
    d->n = (int)(sizeof steps / sizeof steps[0]);
    memcpy(d->steps, steps, sizeof steps);
}

/* ---- a drawn day ---- */

/* What a payment still has to come, and may. */
struct course {
    bool captured, advice, deferred, completion;
    uint32_t stan, reversal; /* reversal: its STAN, not answered yet; 0: none */
};

struct drawing {
    struct day *d;
    uint64_t random;
    uint32_t stan;
    struct course of[PAYMENTS + 1];
};

static uint32_t one_of(struct drawing *g, uint32_t n)
{
    return (uint32_t)(day_random(&g->random) % n);
}

static void put(struct drawing *g, struct step s)
{
    DP_ASSERT(g->d->n < DAY_STEPS_MAX);
    g->d->steps[g->d->n++] = s;
}

static enum step_end any_end(struct drawing *g)
{
    return (enum step_end)one_of(g, 3);
}

static void asked(struct drawing *g, uint32_t p, enum dp_mode mode)
{
    uint32_t mti = one_of(g, 3) == 0 ? 1100 : 1200;
    g->of[p].stan = ++g->stan;
    g->of[p].completion = mti == 1100;
    put(g, (struct step)ASKED(p, mode, g->of[p].stan, mti));
}

static void taken_back(struct drawing *g, uint32_t p)
{
    g->of[p].reversal = ++g->stan;
    g->of[p].captured = g->of[p].completion = false;
    put(g, (struct step)TAKEN_BACK(p, g->stan, g->of[p].stan, any_end(g)));
}

static void outcome(struct drawing *g, uint32_t p, enum dp_mode mode, uint32_t stan)
{
    struct step s = OUTCOME(p, mode, stan);
    if (one_of(g, 8) == 0)
        s.end = STEP_FLUSHES; /* somebody else's checkpoint will bind it */
    put(g, s);
}

static void drawn_payment(struct drawing *g, uint32_t p)
{
    struct course *c = &g->of[p];
    put(g, (struct step)INTENT(p));
    switch (one_of(g, 6)) {
    case 0:
        asked(g, p, DP_MODE_ONLINE);
        outcome(g, p, DP_MODE_ONLINE, c->stan);
        c->captured = true;
        break;
    case 1: /* the acquirer declines */
        asked(g, p, DP_MODE_ONLINE);
        outcome(g, p, DP_MODE_DECLINED, c->stan);
        c->completion = false;
        break;
    case 2: /* no answer, or the card refuses */
        asked(g, p, DP_MODE_ONLINE);
        taken_back(g, p);
        outcome(g, p, DP_MODE_DECLINED, 0);
        break;
    case 3:
        c->stan = ++g->stan;
        c->advice = true;
        outcome(g, p, DP_MODE_OFFLINE, c->stan);
        break;
    case 4:
        c->deferred = true;
        outcome(g, p, DP_MODE_DEFERRED, 0);
        break;
    default:
        outcome(g, p, DP_MODE_DECLINED, 0);
        break;
    }
}

static void deferred_goes_on(struct drawing *g, uint32_t p)
{
    struct course *c = &g->of[p];
    uint32_t result = 1 + one_of(g, 2);
    switch (one_of(g, 4)) {
    case 0: /* its time is over */
        put(g, (struct step){STEP_FORWARDED, STEP_BINDS, p, DP_MODE_DEFERRED, 0, 0, 0, 4});
        c->deferred = false;
        break;
    case 1:
        put(g, (struct step){STEP_VOID, STEP_BINDS, p, 0, 0, 0, 0, 0});
        c->deferred = false;
        break;
    case 2: /* no answer: it is asked for again another time */
        if (c->reversal == 0) {
            asked(g, p, DP_MODE_DEFERRED);
            taken_back(g, p);
        }
        break;
    default:
        asked(g, p, DP_MODE_DEFERRED);
        put(g, (struct step)ANSWER(p, c->stan, c->completion ? 1100 : 1200, result));
        c->completion = c->completion && result == 1;
        c->deferred = false;
        break;
    }
}

/* What is due for a payment, or comes to somebody's mind. */
static void goes_on(struct drawing *g, uint32_t p)
{
    static const uint32_t results[] = {1, 1, 2, 4};
    struct course *c = &g->of[p];
    if (c->reversal != 0) {
        put(g, (struct step)ANSWER(p, c->reversal, 1420, 3));
        c->reversal = 0;
    } else if (c->completion) {
        put(g, (struct step)ANSWER(p, c->stan, 1220, results[one_of(g, 2)]));
        c->completion = false;
    } else if (c->advice && one_of(g, 3) == 0) {
        put(g, (struct step){STEP_VOID, any_end(g), p, 0, 0, 0, 0, 0});
        c->advice = false;
    } else if (c->advice) {
        put(g, (struct step)ANSWER(p, c->stan, 1220, results[one_of(g, 4)]));
        put(g, (struct step){STEP_DROP, STEP_APPENDS, p, 0, 0, 0, 0, 0});
        c->advice = false;
    } else if (c->deferred) {
        deferred_goes_on(g, p);
    } else if (c->captured && one_of(g, 2) == 0) {
        taken_back(g, p);
    }
}

static void chore(struct drawing *g, uint32_t payments)
{
    uint32_t p = 1 + one_of(g, payments);
    switch (one_of(g, 12)) {
    case 0:
        put(g, (struct step){STEP_ROTATE, STEP_BINDS, 0, 0, 0, 0, 0, 0});
        break;
    case 1:
        put(g, (struct step){STEP_DROP, STEP_APPENDS, p, 0, 0, 0, 0, 0});
        put(g, (struct step){STEP_SHRED, STEP_FLUSHES, 0, 0, 0, 0, 0, 0});
        break;
    case 2:
        put(g, (struct step){STEP_EVIDENCE, any_end(g), p, 0, 0, 0, 0, 0});
        break;
    case 3:
        put(g, (struct step){STEP_TIME, any_end(g), p, 0, 0, 0, 0, 0});
        break;
    default:
        goes_on(g, p);
        break;
    }
}

void day_drawn(struct day *d, uint64_t seed)
{
    static struct drawing g;
    memset(&g, 0, sizeof g);
    memset(d, 0, sizeof *d);
    g.d = d;
    g.random = (seed + 1) * 2654435761u ^ 88172645463325252u;
    for (int i = 0; i < 8; i++)
        (void)day_random(&g.random); /* neighbours' days are not alike */
    for (uint32_t p = 1; p <= PAYMENTS; p++) {
        drawn_payment(&g, p);
        for (uint32_t n = one_of(&g, 4); n > 0; n--)
            chore(&g, p);
    }
    for (uint32_t n = 8; n > 0; n--)
        chore(&g, PAYMENTS);
    put(&g, (struct step){STEP_TIME, STEP_BINDS, 1, 0, 0, 0, 0, 0});
}
