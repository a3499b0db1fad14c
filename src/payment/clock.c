/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What time it is when somebody may have set the clock (A30). Nothing is ordered by it; but limits
 * run out by it, and one set back must earn nothing, one set forward must not throw away money.
 */
#include <doorpay/journal.h>

#include "machine.h"

#define JUMP_MS 3600000 /* drift over weeks is minutes */

void clock_begin(struct dp_payment *p)
{
    p->time.open_wall_ms = wall(p);
    p->time.open_mono_ms = mono(p);
    p->time.latest_mono_ms = p->time.open_mono_ms;
}

/* The newest moment that the journal knows, and how long ago this process learnt it. */
static int64_t known(const struct dp_payment *p)
{
    return p->time.latest_wall_ms + (mono(p) - p->time.latest_mono_ms);
}

int64_t clock_best(const struct dp_payment *p)
{
    int64_t now = wall(p), least = known(p);
    return now > least ? now : least;
}

/* A record was kept; synced: the acquirer had answered, and whatever was thought before is void. */
void clock_see(struct dp_payment *p, const struct dp_record *r, bool synced)
{
    int64_t then = (int64_t)r->wall_ms;
    /* these may stand in the journal without a signature: nobody's word for the time */
    if (r->type == DP_RECORD_INTENT || r->type == DP_RECORD_VOID || r->type == DP_RECORD_RECOVERY)
        return;
    if (synced || then > p->time.journal_wall_ms)
        p->time.journal_wall_ms = then;
    if (!synced && then <= known(p))
        return;
    p->time.latest_wall_ms = then;
    p->time.latest_mono_ms = mono(p);
}

bool clock_set_back(const struct dp_payment *p)
{
    return known(p) - wall(p) > JUMP_MS;
}

bool clock_jumped(const struct dp_payment *p)
{
    int64_t expected = p->time.open_wall_ms + (mono(p) - p->time.open_mono_ms);
    return wall(p) - expected > JUMP_MS;
}
