/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict: what a scan found, held against a token's anchor or a head. */
#include <doorpay/journal.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

#include "scan.h"

static void say(struct dp_verify_result *v, enum dp_verdict verdict, const char *rule,
                uint32_t segment, uint64_t offset, uint64_t seq)
{
    v->verdict = verdict;
    v->rule = rule;
    v->segment = segment;
    v->offset = offset;
    v->seq = seq;
    v->has_seq = rule != NULL;
}

static void say_end(struct dp_verify_result *v, enum dp_verdict verdict, const char *rule,
                    const struct scan *s)
{
    say(v, verdict, rule, s->header.number, s->offset, s->tree.size);
}

/* What is torn is none of a crash's when somebody had bound it: the token, or who kept a head. */
static bool say_damage(const struct scan *s, const char *who, struct dp_verify_result *v)
{
    const struct damage *d = &s->damages[s->damages_n - 1];
    say(v, DP_VERDICT_TAMPERED, "frame-crc", d->segment, d->offset, s->tree.size);
    (void)snprintf(v->words, sizeof v->words,
                   "record %" PRIu64 " is damaged, and %s or what came after it", s->tree.size,
                   who);
    return true;
}

/* The token's word. True when it settles the verdict. */
static bool judge_anchor(const struct scan *s, const uint8_t anchor[32], uint64_t *bound,
                         struct dp_verify_result *v)
{
    uint32_t at;
    if (s->last.any && memcmp(anchor, s->last.after, HASH_BYTES) == 0) {
        *bound = s->last.seq + 1;
        return false;
    }
    /* a dead anchor, or one that is being extended by what it missed */
    if (s->degraded && missed_find(&s->missed, anchor, &at, bound) == DP_OK)
        return false;
    /* a crash between flush and extend: nothing of this batch was answered */
    if (s->last.any && memcmp(anchor, s->last.before, HASH_BYTES) == 0) {
        *bound = s->last.before_size;
        return false;
    }
    if (s->damages_n > 0)
        return say_damage(s, "the token has bound it", v);
    say_end(v, DP_VERDICT_ROLLBACK, "rollback", s);
    (void)snprintf(
        v->words, sizeof v->words,
        "the journal ends at record %" PRIu64 " of %" PRIu64
        ", and the token has bound another end: it is an old copy, or its end was cut off",
        s->tree.size - (s->tree.size > 0), s->tree.size);
    return true;
}

static bool judge_head(const struct scan *s, const struct dp_verify_options *o, uint64_t *bound,
                       struct dp_verify_result *v)
{
    if (memcmp(o->head_journal, s->header.journal, sizeof o->head_journal) != 0) {
        say_end(v, DP_VERDICT_TAMPERED, "head-mismatch", s);
        (void)snprintf(v->words, sizeof v->words, "the head is of another journal");
        return true;
    }
    if (o->head_size > s->tree.size && s->damages_n > 0)
        return say_damage(s, "the head was made of it", v);
    if (o->head_size > s->tree.size) {
        say_end(v, DP_VERDICT_ROLLBACK, "rollback", s);
        (void)snprintf(v->words, sizeof v->words,
                       "the journal has %" PRIu64 " records, and the head was made of %" PRIu64
                       ": it is an old copy, or its end was cut off",
                       s->tree.size, o->head_size);
        return true;
    }
    /* what a signature covers beyond the head is bound as well */
    if (s->head_seen && *bound < o->head_size)
        *bound = o->head_size;
    if (s->head_seen && *bound < s->signed_size)
        *bound = s->signed_size;
    return false;
}

static void judge_freshness(const struct scan *s, const struct dp_verify_options *o,
                            struct dp_verify_result *v)
{
    uint64_t bound = 0, size = s->tree.size;
    if (o != NULL && o->has_anchor && judge_anchor(s, o->anchor, &bound, v))
        return;
    if (o != NULL && o->has_head && judge_head(s, o, &bound, v))
        return;
    if (s->damages_n > 0) {
        const struct damage *d = &s->damages[s->damages_n - 1];
        say(v, DP_VERDICT_UNKNOWN, "torn-tail", d->segment, d->offset, size);
        (void)snprintf(v->words, sizeof v->words,
                       "%" PRIu64 " records are valid; what was being written after them is torn",
                       size);
    } else if (size > 0 && bound == size) {
        say(v, DP_VERDICT_FRESH, NULL, 0, 0, 0);
        (void)snprintf(v->words, sizeof v->words, "%" PRIu64 " records, valid and fresh", size);
    } else if (bound > 0 && s->degraded) {
        say(v, DP_VERDICT_UNKNOWN, NULL, 0, 0, 0);
        (void)snprintf(v->words, sizeof v->words,
                       "%" PRIu64
                       " records are valid and fresh; the anchor was dead for the %" PRIu64
                       " after them, of which %" PRIu64 " are signed",
                       bound, size - bound, s->signed_size > bound ? s->signed_size - bound : 0);
    } else if (bound > 0) {
        say(v, DP_VERDICT_UNKNOWN, NULL, 0, 0, 0);
        (void)snprintf(v->words, sizeof v->words,
                       "%" PRIu64 " records are valid and fresh; the %" PRIu64
                       " after them are valid, but no checkpoint binds them yet",
                       bound, size - bound);
    } else {
        say(v, DP_VERDICT_UNKNOWN, NULL, 0, 0, 0);
        (void)snprintf(v->words, sizeof v->words,
                       "valid to record %" PRIu64 " of %" PRIu64
                       "; whether it is the newest only the token or a head can say",
                       size - (size > 0), size);
    }
}

static void result_of(const struct scan *s, struct dp_verify_result *v)
{
    v->records = s->tree.size;
    v->checkpoints = s->checkpoints;
    v->signed_size = s->signed_size;
    v->signed_head.size = s->signed_head.size;
    memcpy(v->signed_head.root, s->signed_head.root, sizeof v->signed_head.root);
    memcpy(v->signed_head.anchor, s->signed_head.anchor, sizeof v->signed_head.anchor);
    v->acknowledged = s->acked;
    v->torn_tail = s->damages_n > 0;
    v->degraded = s->degraded;
    v->totals = s->totals;
    memcpy(v->journal, s->header.journal, sizeof v->journal);
    memcpy(v->last_leaf, s->leaf, sizeof v->last_leaf);
    memcpy(v->identity, s->identity, sizeof v->identity);
    memcpy(v->anchor, s->last.after, sizeof v->anchor);
}

int dp_journal_verify(const struct dp_store *store, const struct dp_verify_options *options,
                      dp_journal_each *each, void *user, struct dp_verify_result *result)
{
    char dir[JOURNAL_DIR_MAX];
    struct scan *s = NULL;
    int err = journal_find(store, dir);
    memset(result, 0, sizeof *result);
    result->verdict = DP_VERDICT_TAMPERED;
    if (err == DP_ERR_DUPLICATE)
        dp_log(DP_LOG_ERROR, "there are several journals: name the directory of one");
    if (err == DP_OK)
        err = scan_new(store, options, each, user, &s);
    if (err == DP_OK)
        err = scan_run(s, dir);
    if (err == DP_OK)
        err = tree_root(&s->tree, result->root);
    if (err != DP_OK)
        goto out;
    result_of(s, result);
    if (s->rule != NULL) {
        say(result, DP_VERDICT_TAMPERED, s->rule, s->found_segment, s->found_offset, s->found_seq);
        memcpy(result->words, s->words, sizeof result->words);
    } else {
        judge_freshness(s, options, result);
    }
out:
    scan_free(&s);
    return err;
}
