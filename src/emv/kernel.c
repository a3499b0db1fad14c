/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "contact.h"

int dp_emv_kernel_new(struct dp_emv_kernel **out)
{
    struct dp_secret memory;
    int err = dp_secret_new(&memory, sizeof(struct dp_emv_kernel));
    *out = NULL;
    if (err < 0)
        return err;
    *out = (struct dp_emv_kernel *)(void *)memory.p;
    (*out)->memory = memory;
    return DP_OK;
}

void dp_emv_kernel_free(struct dp_emv_kernel **k)
{
    struct dp_secret memory;
    if (*k == NULL)
        return;
    memory = (*k)->memory;
    *k = NULL;
    dp_secret_free(&memory);
}

void dp_emv_result_wipe(struct dp_emv_result *result)
{
    dp_wipe(result, sizeof *result);
}

/* ---- one payment ---- */

/* Nothing of the payment before this one is left. */
static void forget(struct dp_emv_kernel *k)
{
    struct dp_secret memory = k->memory;
    dp_wipe(k, sizeof *k);
    k->memory = memory;
}

/* The card asks that its issuer be told of the refusal (CID, bit 4). The acquirer has no such
 * message: it stands in the words, which go into the journal. */
static void note_advice(struct dp_emv_result *r)
{
    char words[sizeof r->words];
    if (!r->advice_wanted || r->outcome != DP_EMV_DECLINED)
        return;
    memcpy(words, r->words, sizeof words);
    (void)snprintf(r->words, sizeof r->words, "advice wanted: %.80s", words);
}

static int run(struct dp_emv_kernel *k)
{
    int rc = emv_terminal_begin(k);
    if (rc < 0)
        return rc;
    emv_ui(k, DP_EMV_UI_PROCESSING);
    k->result->summary.interface = k->card->info.interface;
    return k->card->info.interface == DP_INTERFACE_CONTACTLESS ? emv_contactless(k)
                                                               : emv_contact(k);
}

int dp_emv_perform(struct dp_emv_kernel *k, struct dp_card *card,
                   const struct dp_emv_terminal *terminal,
                   const struct dp_emv_transaction *transaction, const struct dp_emv_ops *ops,
                   struct dp_emv_result *result)
{
    int rc;
    DP_ASSERT(k != NULL);
    DP_ASSERT(card != NULL);
    DP_ASSERT(terminal != NULL);
    DP_ASSERT(transaction != NULL);
    DP_ASSERT(ops != NULL);
    DP_ASSERT(ops->policy != NULL);
    DP_ASSERT(ops->online != NULL);
    DP_ASSERT(result != NULL);
    memset(result, 0, sizeof *result);
    rc = emv_terminal_check(terminal);
    if (rc == DP_OK)
        rc = emv_transaction_check(transaction);
    if (rc < 0) {
        result->outcome = DP_EMV_ENDED;
        return rc;
    }
    forget(k);
    k->card = card;
    k->terminal = terminal;
    k->transaction = transaction;
    k->ops = ops;
    k->result = result;
    rc = run(k);
    if (rc >= 0) {
        DP_ASSERT(rc == EMV_OVER);
        DP_ASSERT(result->outcome != 0);
        note_advice(result);
        dp_log(DP_LOG_INFO, "emv: %s, %s: %s", dp_emv_outcome_name(result->outcome),
               dp_emv_reason_name(result->reason), result->words);
    } else {
        result->outcome = DP_EMV_ENDED;
        (void)snprintf(result->words, sizeof result->words, "%s", dp_strerr(rc));
    }
    if (result->emv_n == 0)
        emv_summary_fill(k);
    if (card->info.interface == DP_INTERFACE_CONTACT)
        emv_ui(k, DP_EMV_UI_REMOVE_CARD);
    forget(k);
    return rc < 0 ? rc : DP_OK;
}

/* ---- what all steps use ---- */

int emv_end(struct dp_emv_kernel *k, enum dp_emv_outcome outcome, enum dp_emv_reason reason,
            const char *words)
{
    struct dp_emv_result *r = k->result;
    DP_ASSERT(r->outcome == 0);
    DP_ASSERT(outcome != 0);
    DP_ASSERT(words != NULL);
    r->outcome = outcome;
    r->reason = reason;
    (void)snprintf(r->words, sizeof r->words, "%s", words);
    return EMV_OVER;
}

int emv_end_card_data(struct dp_emv_kernel *k, const char *where, int err)
{
    char words[96];
    (void)snprintf(words, sizeof words, "%s: %s", where, dp_strerr(err));
    return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_CARD_DATA, words);
}

void emv_step(struct dp_emv_kernel *k, const char *name)
{
    if (k->ops->step != NULL)
        k->ops->step(k->ops->ctx, name);
}

void emv_ui(struct dp_emv_kernel *k, enum dp_emv_ui what)
{
    if (k->ops->ui != NULL)
        k->ops->ui(k->ops->ctx, what);
}

static bool cancelled(struct dp_emv_kernel *k)
{
    return !k->committed && k->ops->cancelled != NULL && k->ops->cancelled(k->ops->ctx);
}

int emv_commit(struct dp_emv_kernel *k)
{
    if (cancelled(k))
        return DP_ERR_CANCELLED;
    k->committed = true;
    return DP_OK;
}

int emv_exchange(struct dp_emv_kernel *k, const struct dp_apdu *command,
                 struct dp_apdu_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    if (cancelled(k))
        return DP_ERR_CANCELLED;
    return dp_card_exchange(k->card, command, k->answer, sizeof k->answer, answer);
}

int emv_end_exchange(struct dp_emv_kernel *k, int err)
{
    switch (err) {
    case DP_ERR_CANCELLED:
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_CANCELLED, "cancelled");
    case DP_ERR_GONE:
        /* before a cryptogram was asked for nothing has happened: the card may come again */
        return emv_end(k, k->committed ? DP_EMV_ENDED : DP_EMV_TRY_AGAIN, DP_EMV_REASON_CARD_GONE,
                       "the card was taken away");
    case DP_ERR_FORMAT:
    case DP_ERR_LIMIT:
    case DP_ERR_SPACE:
    case DP_ERR_ARG:
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR,
                       "the card's answer is none, or too long");
    case DP_ERR_TIMEOUT:
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR, "the card does not answer");
    default:
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_READER, dp_strerr(err));
    }
}

int emv_command(struct dp_emv_kernel *k, const struct dp_apdu *command,
                struct dp_apdu_answer *answer)
{
    int err = emv_exchange(k, command, answer);
    return err < 0 ? emv_end_exchange(k, err) : EMV_GO_ON;
}

void emv_tvr_set(struct dp_emv_kernel *k, enum emv_tvr bit)
{
    DP_ASSERT((unsigned)bit >> 8 < sizeof k->tvr);
    k->tvr[(unsigned)bit >> 8] |= (uint8_t)bit;
}

bool emv_tvr_has(const struct dp_emv_kernel *k, enum emv_tvr bit)
{
    DP_ASSERT((unsigned)bit >> 8 < sizeof k->tvr);
    return (k->tvr[(unsigned)bit >> 8] & (uint8_t)bit) != 0;
}
