/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The anchor is dead and the key lives (docs/PROTOCOL.journal, 6, "Degraded"): bodies go on, one
 * chain of what the anchor should be, signed and not anchored; and once it works again it is
 * extended by each that it missed, in order, so that it never has a value that the chain has not.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"

#include "writer.h"

#define EXTENDS_MAX 32 /* at one go: a slow token must not hold up a payment */

bool dp_journal_is_degraded(const struct dp_journal *j)
{
    return j->degraded;
}

uint32_t dp_journal_degraded_left(const struct dp_journal *j)
{
    const uint32_t most = DP_JOURNAL_MISSED_MAX - DP_JOURNAL_MISSED_RESERVE;
    uint32_t used = j->degraded ? j->missed.n : 0;
    return used < most ? most - used : 0;
}

bool journal_may_miss(const struct dp_journal *j)
{
    return !j->degraded || j->missed.n < DP_JOURNAL_MISSED_MAX;
}

static int miss(struct dp_journal *j, const uint8_t digest[HASH_BYTES], uint64_t size)
{
    int err = missed_add(&j->missed, digest, size);
    return err == DP_OK ? hash_extend(j->anchor, digest, j->anchor) : err;
}

static void begin(struct dp_journal *j, int err)
{
    dp_log(DP_LOG_ERROR, "journal: the token's anchor: %s; what follows is signed and not anchored",
           dp_strerr(err));
    j->degraded = true;
    j->say_on = true;
    (void)snprintf(j->why, sizeof j->why, "the anchor: %s", dp_strerr(err));
}

int journal_follow(struct dp_journal *j, const uint8_t digest[HASH_BYTES])
{
    int err;
    if (j->degraded)
        return miss(j, digest, j->body.seq + 1);
    err = journal_extend(j, digest);
    if (err == DP_OK || err == DP_ERR_ROLLBACK || j->closed)
        return err;
    missed_begin(&j->missed, j->anchor, j->bound_size);
    begin(j, err);
    return miss(j, digest, j->body.seq + 1);
}

/* From is, where the token is, to the last one missed; DP_ERR_BUSY: not all of them at one go. */
static int catch_up(struct dp_journal *j, uint8_t is[HASH_BYTES], uint32_t most)
{
    uint32_t at = 0;
    int err = missed_find(&j->missed, is, &at, NULL);
    if (err != DP_OK)
        return err == DP_ERR_NOT_FOUND ? DP_ERR_ROLLBACK : err;
    for (; at < j->missed.n; at++, most--) {
        uint8_t should[HASH_BYTES];
        if (most == 0)
            return DP_ERR_BUSY;
        err = hash_extend(is, j->missed.digests[at], should);
        if (err == DP_OK)
            err = dp_hsm_anchor_extend(j->config.hsm, j->missed.digests[at], is);
        if (err == DP_OK && memcmp(is, should, HASH_BYTES) != 0)
            err = DP_ERR_ROLLBACK; /* somebody else extends this token */
        if (err != DP_OK)
            return err;
    }
    DP_ASSERT(memcmp(is, j->anchor, HASH_BYTES) == 0);
    return DP_OK;
}

int journal_follow_scan(struct dp_journal *j, const struct scan *s)
{
    uint8_t is[HASH_BYTES];
    int err;
    DP_ASSERT(s->last.any);
    if (s->degraded) {
        j->missed = s->missed;
    } else {
        missed_begin(&j->missed, s->last.before, s->last.before_size);
        err = missed_add(&j->missed, s->last.digest, s->last.seq + 1);
        DP_ASSERT(err == DP_OK);
    }
    memcpy(is, j->anchor, sizeof is);
    memcpy(j->anchor, s->last.after, sizeof j->anchor);
    err = j->anchor_err < 0 ? j->anchor_err : catch_up(j, is, UINT32_MAX);
    if (err == DP_OK) {
        j->say_off = s->degraded;
        return DP_OK;
    }
    if (err == DP_ERR_ROLLBACK || s->closed)
        return err;
    begin(j, err);
    j->say_on = !s->degraded;
    return DP_OK;
}

int journal_say_degraded(struct dp_journal *j)
{
    bool on = j->say_on;
    if (!j->say_on && !j->say_off)
        return DP_OK;
    j->say_on = j->say_off = false;
    memset(&j->mark, 0, sizeof j->mark);
    j->mark.type = on ? DP_RECORD_DEGRADED_ON : DP_RECORD_DEGRADED_OFF;
    (void)snprintf(j->mark.text, sizeof j->mark.text, "%s", on ? j->why : "the anchor works again");
    if (on && j->has_outcome) {
        j->mark.has_tx = true;
        memcpy(j->mark.tx, j->outcome_tx, sizeof j->mark.tx);
    }
    return journal_put_in(j, &j->mark);
}

int dp_journal_try_anchor(struct dp_journal *j)
{
    uint8_t is[HASH_BYTES];
    int err;
    if (j->stopped)
        return DP_ERR_STATE;
    if (!j->degraded)
        return DP_OK;
    err = dp_hsm_anchor_read(j->config.hsm, is);
    if (err == DP_OK)
        err = catch_up(j, is, EXTENDS_MAX);
    if (err == DP_ERR_ROLLBACK)
        return journal_stop(j, "the anchor is another than it was", err);
    if (err != DP_OK)
        return err;
    dp_log(DP_LOG_INFO, "journal: the anchor works again, and has what it missed");
    j->degraded = false;
    j->say_off = true;
    err = journal_say_degraded(j);
    return err == DP_OK ? dp_journal_checkpoint(j)
                        : journal_stop(j, "end of the degraded mode", err);
}
