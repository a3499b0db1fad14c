/* SPDX-License-Identifier: Apache-2.0 */
/* The offline policy: every number comes from the signed parameters. */
#include <string.h>

#include "base/secret.h"
#include "machine.h"

static int64_t left_of(uint64_t most, uint64_t used)
{
    return used >= most ? 0 : (int64_t)(most - used);
}

static int64_t sync_left_s(const struct dp_payment *p)
{
    const struct dp_params *params = p->config.params;
    int64_t since = (clock_best(p) - p->round.synced_wall_ms) / 1000;
    if (p->round.synced_wall_ms == 0 || since < 0 || clock_set_back(p) ||
        since > (int64_t)params->offline.since_sync_max_s)
        return 0;
    return (int64_t)params->offline.since_sync_max_s - since;
}

uint64_t degraded_left(const struct dp_payment *p)
{
    const struct dp_params *params = p->config.params;
    if (params == NULL || (p->journal != NULL && dp_journal_degraded_left(p->journal) == 0))
        return 0;
    return (uint64_t)left_of(params->degraded_payments_max, p->degraded_n);
}

void headroom(const struct dp_payment *p, struct dp_headroom *out)
{
    const struct dp_params *params = p->config.params;
    struct dp_acquirer_unsent unsent = {0};
    memset(out, 0, sizeof *out);
    if (p->acquirer != NULL)
        dp_acquirer_unsent(p->acquirer, &unsent);
    out->unsent_count = unsent.n;
    out->unsent_amount = (int64_t)unsent.amount;
    out->oldest_unsent_ms = unsent.oldest_wall_ms;
    if (params == NULL)
        return;
    out->offline_amount = left_of(params->offline.round_amount_max, p->round.offline_amount);
    out->offline_count = (uint32_t)left_of(params->offline.round_count_max, p->round.offline_n);
    if (params->deferred.allowed) {
        out->deferred_amount = left_of(params->deferred.round_amount_max, p->round.deferred_amount);
        out->deferred_count =
            (uint32_t)left_of(params->deferred.round_count_max, p->round.deferred_n);
    }
    out->sync_left_s = sync_left_s(p);
}

enum dp_reason policy_offline(const struct dp_payment *p, int64_t amount)
{
    struct dp_headroom h;
    headroom(p, &h);
    if (amount > (int64_t)p->config.params->offline.payment_max)
        return DP_REASON_LIMIT_PAYMENT;
    if (h.sync_left_s == 0)
        return DP_REASON_LIMIT_SYNC;
    if (amount > h.offline_amount || h.offline_count == 0)
        return DP_REASON_LIMIT_ROUND;
    return DP_REASON_NONE;
}

enum dp_reason policy_deferred(const struct dp_payment *p, int64_t amount)
{
    struct dp_headroom h;
    headroom(p, &h);
    if (!p->config.params->deferred.allowed)
        return DP_REASON_NO_LINK;
    if (amount > (int64_t)p->config.params->deferred.payment_max)
        return DP_REASON_LIMIT_PAYMENT;
    if (h.sync_left_s == 0)
        return DP_REASON_LIMIT_SYNC;
    if (amount > h.deferred_amount || h.deferred_count == 0)
        return DP_REASON_LIMIT_ROUND;
    return DP_REASON_NONE;
}

/* The payments of one card, those at hand and the older ones. */
struct of_card {
    uint32_t at, older;
    struct entry like, entry;
};

static void of_card_begin(const struct dp_payment *p, const uint8_t card_hash[16],
                          struct of_card *c)
{
    memset(c, 0, sizeof *c);
    memcpy(c->like.card_hash, card_hash, sizeof c->like.card_hash);
    c->like.has_card_hash = true;
    c->older = p->index.older.n;
}

/* NULL: no more. */
static const struct entry *of_card_next(const struct dp_payment *p, struct of_card *c)
{
    while (c->at < p->index.n) {
        const struct entry *e = &p->index.entries[c->at++];
        if (e->has_card_hash && !e->is_reversal &&
            memcmp(e->card_hash, c->like.card_hash, sizeof e->card_hash) == 0)
            return e;
    }
    while (older_next(&p->index.older, OLDER_CARD, &c->like, &c->older, &c->entry))
        if (!c->entry.is_reversal)
            return &c->entry;
    return NULL;
}

/* What this card paid in this round, with and without a link, and what was not taken back. */
static uint64_t paid_by(const struct dp_payment *p, const uint8_t card_hash[16])
{
    struct of_card c;
    const struct entry *e;
    uint64_t sum = 0;
    for (of_card_begin(p, card_hash, &c); (e = of_card_next(p, &c)) != NULL;) {
        bool paid =
            e->mode == DP_MODE_ONLINE || e->mode == DP_MODE_OFFLINE || e->mode == DP_MODE_DEFERRED;
        if (paid && !e->reversed && e->round == p->round.number)
            sum += (uint64_t)e->amount.minor;
    }
    return sum;
}

/* What this card has had approved without a link in this round. */
static bool card_cap_reached(const struct dp_payment *p, const uint8_t card_hash[16],
                             int64_t amount)
{
    const struct dp_params_offline *o = &p->config.params->offline;
    struct of_card c;
    const struct entry *e;
    uint64_t n = 0, sum = 0;
    for (of_card_begin(p, card_hash, &c); (e = of_card_next(p, &c)) != NULL;) {
        bool without_link = e->mode == DP_MODE_OFFLINE || e->mode == DP_MODE_DEFERRED;
        if (!without_link || e->round != p->round.number)
            continue;
        n++;
        sum += (uint64_t)e->amount.minor;
    }
    return n + 1 > o->card_count_max || sum + (uint64_t)amount > o->card_amount_max;
}

/* With a brand the customer chose, no other one is used (EU 2015/751, article 8). */
static bool is_the_chosen(const struct dp_emv_transaction *t, const struct dp_emv_summary *s)
{
    return s->aid_n >= t->chosen_aid_n && memcmp(s->aid, t->chosen_aid, t->chosen_aid_n) == 0;
}

enum dp_reason policy_card(const struct dp_payment *p, const struct dp_card_seen *seen,
                           int64_t amount, struct dp_emv_policy_answer *answer)
{
    const struct dp_params *params = p->config.params;
    const struct dp_emv_summary *s = &seen->summary;
    memset(answer, 0, sizeof *answer);
    answer->verdict = DP_EMV_POLICY_DECLINE;
    if (!is_the_chosen(&p->door.transaction, s))
        return DP_REASON_INCONSISTENT;
    if (!dp_params_bin_permits(params, seen->bin8, s->aid, s->aid_n))
        return DP_REASON_BIN_AID;
    answer->on_exception_list = dp_params_is_exception(params, seen->card_hash);
    if (answer->on_exception_list)
        return DP_REASON_EXCEPTION_LIST;
    if (card_cap_reached(p, seen->card_hash, amount) && !p->link_up)
        return DP_REASON_LIMIT_CARD;
    answer->verdict = DP_EMV_POLICY_GO_ON;
    answer->card_amount = paid_by(p, seen->card_hash);
    if (card_cap_reached(p, seen->card_hash, amount))
        return DP_REASON_NONE; /* online only */
    answer->offline_allowed = p->door.transaction.offline_allowed;
    answer->deferred_allowed = p->door.transaction.deferred_allowed;
    return DP_REASON_NONE;
}

static bool same_application(const struct entry *e, const struct dp_emv_summary *s)
{
    return e->aid_n == s->aid_n && memcmp(e->aid, s->aid, e->aid_n) == 0;
}

bool policy_replayed(const struct dp_payment *p, const uint8_t card_hash[16],
                     const struct dp_emv_summary *s)
{
    static const uint8_t none[8] = {0};
    struct of_card c;
    const struct entry *same;
    for (uint32_t i = 0; i < p->index.n; i++) {
        const struct entry *e = &p->index.entries[i];
        if (!e->done || e->is_reversal || memcmp(e->cryptogram, none, sizeof none) == 0)
            continue;
        if (memcmp(e->cryptogram, s->cryptogram, sizeof e->cryptogram) == 0)
            return true;
    }
    for (of_card_begin(p, card_hash, &c); (same = of_card_next(p, &c)) != NULL;) {
        if (!same->done || memcmp(same->cryptogram, none, sizeof none) == 0)
            continue;
        /* each application of a card counts for itself */
        if (same_application(same, s) && s->atc <= same->atc)
            return true;
    }
    return false;
}
