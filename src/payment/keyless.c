/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The token's keys are dead: nothing can be signed, and there is no unsigned mode. What the journal
 * says is still told, as far as a signature covers it, and a sale that never left can be made void.
 */
#include <string.h>

#include "base/log.h"
#include "machine.h"

bool keyless_is(int err)
{
    return err == DP_ERR_TOKEN || err == DP_ERR_GONE || err == DP_ERR_TIMEOUT;
}

static int forget(struct dp_payment *p)
{
    dp_acquirer_free(&p->acquirer);
    dp_journal_free(&p->journal);
    index_free(&p->index);
    memset(&p->round, 0, sizeof p->round);
    memset(&p->time, 0, sizeof p->time);
    clock_begin(p);
    p->degraded = p->round_over = p->stopped = false;
    p->degraded_n = 0;
    p->begin_err = DP_OK;
    p->sequence = 0;
    return index_new(&p->index, DP_PAYMENT_INDEX_MAX);
}

int keyless_open(struct dp_payment *p)
{
    struct dp_journal_config c;
    struct dp_journal_opened opened = {0};
    int err = forget(p);
    if (err != DP_OK)
        return err;
    p->key_dead = true;
    journal_config(p, &c);
    err = dp_journal_open_keyless(&c, see_at_open, p, &opened, &p->journal);
    p->signed_size = opened.signed_size;
    dp_log(DP_LOG_ERROR,
           "the key store is dead: no payments; %llu of %llu records are vouched for%s%s",
           (unsigned long long)opened.signed_size, (unsigned long long)opened.records,
           err < 0 ? ", and none can be added: " : "", err < 0 ? dp_strerr(err) : "");
    if (err == DP_ERR_TAMPERED || (err == DP_OK && refuse_forged(p, opened.signed_size)))
        p->journal_err = DP_ERR_TAMPERED;
    return DP_OK;
}

bool keyless_may_void(const struct dp_payment *p, const struct entry *sale)
{
    return p->key_dead && p->journal != NULL && p->acquirer != NULL && sale != NULL && sale->done &&
           sale->open_stan == 0 && dp_acquirer_is_unsent(p->acquirer, sale->tx);
}

void keyless_doubt(const struct dp_payment *p, const struct entry *e, struct dp_pay_result *out)
{
    if (!p->key_dead || e->is_reversal || (e->done && e->seq < p->signed_size))
        return;
    out->state = DP_PAY_UNKNOWN;
    out->reason = DP_REASON_KEY_STORE;
}
