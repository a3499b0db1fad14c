/* SPDX-License-Identifier: Apache-2.0 */
/* Application selection: EMV 4.4 Book 1, section 12. */
#include "contact.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "names.h"

#define INS_SELECT      0xA4
#define SELECT_FIRST    0x00
#define SELECT_NEXT     0x02
#define SW_BLOCKED_CARD 0x6A81 /* or no SELECT at all */
#define SW_BLOCKED      0x6283

static bool same(struct dp_bytes a, const uint8_t *p, size_t n)
{
    return a.n == n && memcmp(a.p, p, n) == 0;
}

static bool begins(struct dp_bytes name, const uint8_t *p, size_t n)
{
    return name.n >= n && memcmp(name.p, p, n) == 0;
}

int emv_select_name(struct dp_emv_kernel *k, struct dp_bytes name, bool next,
                    struct dp_apdu_answer *answer)
{
    struct dp_apdu c = {0x00, INS_SELECT, 0x04, next ? SELECT_NEXT : SELECT_FIRST, name, 0};
    return emv_command(k, &c, answer);
}

/* ---- the candidate list ---- */

/* The terminal's application of a name: the longest that matches it as it must. */
static const struct dp_emv_aid *terminal_aid(const struct dp_emv_kernel *k, struct dp_bytes name)
{
    const struct dp_emv_aid *best = NULL;
    for (size_t i = 0; i < k->terminal->aids_n; i++) {
        const struct dp_emv_aid *a = &k->terminal->aids[i];
        bool matches = a->partial ? begins(name, a->aid, a->aid_n) : same(name, a->aid, a->aid_n);
        if (a->kernel == 0 && matches && (best == NULL || a->aid_n > best->aid_n))
            best = a;
    }
    return best;
}

/* What a directory entry or an FCI's proprietary template says for people. */
void emv_candidate_name(const struct dp_emv_kernel *k, struct dp_bytes row, struct emv_candidate *c)
{
    struct dp_bytes label, preferred, own, table = {&k->code_table, 1};
    if (dp_tlv_find(row, 0x50, &label) < 0)
        label = (struct dp_bytes){NULL, 0};
    if (dp_tlv_find(row, 0x9F12, &preferred) < 0)
        preferred = (struct dp_bytes){NULL, 0};
    if (dp_tlv_find(row, 0x9F11, &own) == DP_OK)
        table = own;
    emv_name_for_people(preferred, table, label, c->label);
}

void emv_candidate_add(struct dp_emv_kernel *k, struct dp_bytes name, struct dp_bytes row)
{
    const struct dp_emv_aid *aid;
    struct emv_candidate *c;
    struct dp_bytes priority;
    if (name.n < 5 || name.n > sizeof c->name || (aid = terminal_aid(k, name)) == NULL)
        return;
    for (size_t i = 0; i < k->candidates_n; i++)
        if (same(name, k->candidates[i].name, k->candidates[i].name_n))
            return;
    k->candidates_lost = k->candidates_lost || k->candidates_n == DP_EMV_CANDIDATES_MAX;
    if (k->candidates_lost)
        return;
    c = &k->candidates[k->candidates_n++];
    memset(c, 0, sizeof *c);
    memcpy(c->name, name.p, name.n);
    c->name_n = (uint8_t)name.n;
    c->aid = aid;
    emv_candidate_name(k, row, c);
    if (dp_tlv_find(row, 0x87, &priority) == DP_OK && priority.n == 1) {
        c->priority = priority.p[0] & 0x0F;
        c->confirm = (priority.p[0] & 0x80) != 0;
    }
}

/* ---- by the terminal's list ---- */

/* One answer to SELECT with a listed AID. Returns whether a next occurrence is to be asked for. */
static bool occurrence(struct dp_emv_kernel *k, const struct dp_emv_aid *aid,
                       const struct dp_apdu_answer *a, bool *blocked)
{
    struct dp_bytes inner, name, proprietary = {NULL, 0};
    bool exact;
    if (a->sw == SW_BLOCKED)
        *blocked = true;
    else if (a->sw != 0x9000)
        return false;
    if (dp_tlv_find(a->data, 0x6F, &inner) < 0 || dp_tlv_find(inner, 0x84, &name) < 0 ||
        !begins(name, aid->aid, aid->aid_n))
        return false;
    if (dp_tlv_find(inner, 0xA5, &proprietary) < 0 && a->sw == 0x9000)
        return false;
    exact = name.n == aid->aid_n;
    if (!exact && !aid->partial) /* of what must match exactly there is no next occurrence */
        return false;
    if (a->sw == 0x9000)
        emv_candidate_add(k, name, proprietary);
    return !exact;
}

static int by_one_aid(struct dp_emv_kernel *k, const struct dp_emv_aid *aid, bool *blocked)
{
    struct dp_apdu_answer a;
    bool next = false;
    for (size_t i = 0; i <= DP_EMV_CANDIDATES_MAX; i++) { /* one more than can be kept */
        int rc = emv_select_name(k, (struct dp_bytes){aid->aid, aid->aid_n}, next, &a);
        if (rc != EMV_GO_ON)
            return rc;
        if (a.sw == SW_BLOCKED_CARD && !next)
            return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_BLOCKED, "the card is blocked");
        if (!occurrence(k, aid, &a, blocked))
            break;
        next = true;
    }
    return EMV_GO_ON;
}

static int by_list(struct dp_emv_kernel *k)
{
    bool blocked = false;
    int rc = EMV_GO_ON;
    for (size_t i = 0; i < k->terminal->aids_n && rc == EMV_GO_ON; i++)
        if (k->terminal->aids[i].kernel == 0)
            rc = by_one_aid(k, &k->terminal->aids[i], &blocked);
    if (rc == EMV_GO_ON && k->candidates_n == 0 && blocked)
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_BLOCKED, "the application is blocked");
    return rc;
}

/* A choice from which something was left out in silence would be none: a card with more than can
 * be kept is not paid with, as a tap with such a directory is not. */
int emv_candidates_build(struct dp_emv_kernel *k)
{
    int rc;
    emv_step(k, "SELECT");
    rc = emv_directory_read(k);
    if (rc == EMV_GO_ON && k->candidates_n == 0)
        rc = by_list(k);
    if (rc == EMV_GO_ON && k->candidates_lost)
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_CARD_DATA,
                       "the card has more applications than can be offered");
    return rc;
}

/* ---- the customer's choice ---- */

/* A list of names means a choice: of several brands (EU 2015/751, article 8), or of consent where
 * the card wants it for its one application. In the card's order, and all of them; with the choice
 * made there is nothing to offer. */
int emv_candidates_offer(struct dp_emv_kernel *k)
{
    struct dp_emv_offer offers[DP_EMV_OFFERS_MAX];
    size_t n = 0;
    bool choice = k->candidates_n > 1 || (k->candidates_n == 1 && k->candidates[0].confirm);
    _Static_assert(DP_EMV_OFFERS_MAX == DP_EMV_CANDIDATES_MAX, "all of them can be shown");
    if (!choice || k->transaction->chosen_aid_n > 0)
        return EMV_GO_ON;
    memset(offers, 0, sizeof offers);
    for (unsigned priority = 1; priority <= 16; priority++)
        for (size_t i = 0; i < k->candidates_n; i++) {
            const struct emv_candidate *c = &k->candidates[i];
            if ((c->priority != 0 ? c->priority : 16U) != priority)
                continue;
            memcpy(offers[n].aid, c->name, sizeof offers[n].aid);
            offers[n].aid_n = c->name_n;
            offers[n].confirm = c->confirm;
            memcpy(offers[n++].label, c->label, sizeof offers[0].label);
        }
    if (k->ops->offer != NULL)
        k->ops->offer(k->ops->ctx, offers, n);
    if (k->transaction->choice_wanted)
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_CHOICE,
                       "the customer is to choose the application");
    return EMV_GO_ON;
}

/* ---- the final selection ---- */

/* The customer's choice before the card's order; without a choice, only what needs no consent. */
static bool may_be_taken(const struct dp_emv_kernel *k, const struct emv_candidate *c)
{
    const struct dp_emv_transaction *x = k->transaction;
    struct dp_bytes name = {c->name, c->name_n};
    return x->chosen_aid_n > 0 ? begins(name, x->chosen_aid, x->chosen_aid_n) : !c->confirm;
}

static bool comes_before(const struct emv_candidate *a, const struct emv_candidate *b)
{
    return a->priority != 0 && (b->priority == 0 || a->priority < b->priority);
}

/* Moves the best candidate to the front. */
static bool choose(struct dp_emv_kernel *k)
{
    struct emv_candidate *best = NULL, first;
    for (size_t i = 0; i < k->candidates_n; i++)
        if (may_be_taken(k, &k->candidates[i]) &&
            (best == NULL || comes_before(&k->candidates[i], best)))
            best = &k->candidates[i];
    if (best == NULL)
        return false;
    first = k->candidates[0];
    k->candidates[0] = *best;
    if (best != &k->candidates[0]) {
        size_t between = (size_t)(best - &k->candidates[1]);
        memmove(&k->candidates[2], &k->candidates[1], between * sizeof first);
        k->candidates[1] = first;
    }
    return true;
}

/* What was told of an application that is out is true no more; what the directory says, is. */
void emv_application_forget(struct dp_emv_kernel *k)
{
    struct dp_emv_summary *s = &k->result->summary;
    k->aid = NULL;
    s->kernel = 0;
    s->aid_n = 0;
    memset(s->aid, 0, sizeof s->aid);
    memset(s->label, 0, sizeof s->label);
    memcpy(s->languages, k->languages, sizeof s->languages);
}

void emv_candidate_strike(struct dp_emv_kernel *k)
{
    DP_ASSERT(k->candidates_n > 0);
    emv_application_forget(k);
    k->candidates_n--;
    memmove(&k->candidates[0], &k->candidates[1], k->candidates_n * sizeof k->candidates[0]);
}

int emv_fci_take(struct dp_emv_kernel *k, struct dp_bytes fci, struct dp_bytes expected_name)
{
    struct dp_bytes inner, name, proprietary, discretionary;
    int err = dp_tlv_find(fci, 0x6F, &inner);
    if (err == DP_OK)
        err = dp_tlv_find(inner, 0x84, &name);
    if (err == DP_OK)
        err = dp_tlv_find(inner, 0xA5, &proprietary);
    if (err < 0)
        return err == DP_ERR_NOT_FOUND ? DP_ERR_MISSING : err;
    if (name.n < 5 || name.n > 16)
        return DP_ERR_RANGE;
    if (expected_name.n > 0 && !same(name, expected_name.p, expected_name.n))
        return DP_ERR_MISMATCH;
    err = emv_data_set(&k->data, 0x84, EMV_FROM_SELECTION, name.p, name.n);
    if (err == DP_OK)
        err = emv_data_take_row(&k->data, proprietary, EMV_FROM_SELECTION);
    if (err == DP_OK && dp_tlv_find(proprietary, 0xBF0C, &discretionary) == DP_OK)
        err = emv_data_take_row(&k->data, discretionary, EMV_FROM_SELECTION);
    return err;
}

int emv_application_selected(struct dp_emv_kernel *k, const struct dp_emv_aid *aid)
{
    struct dp_emv_summary *s = &k->result->summary;
    struct dp_bytes name = emv_data_get(&k->data, 0x84);
    uint64_t limit = aid->floor_limit < UINT32_MAX ? aid->floor_limit : UINT32_MAX;
    uint8_t floor_limit[4] = {(uint8_t)(limit >> 24), (uint8_t)(limit >> 16), (uint8_t)(limit >> 8),
                              (uint8_t)limit};
    int err;
    DP_ASSERT(name.n >= 5);
    DP_ASSERT(name.n <= sizeof s->aid);
    k->aid = aid;
    s->kernel = aid->kernel;
    s->aid_n = (uint8_t)name.n;
    memcpy(s->aid, name.p, name.n);
    emv_name_for_people(emv_data_get(&k->data, 0x9F12), emv_data_get(&k->data, 0x9F11),
                        emv_data_get(&k->data, 0x50), s->label);
    emv_languages_take(emv_data_get(&k->data, 0x5F2D), s->languages);
    /* of a chip the whole name, of which the list may have a beginning: EMV 4.4 Book 1, 12.4 */
    err = aid->kernel == 0
              ? emv_data_set(&k->data, 0x9F06, EMV_FROM_TERMINAL, s->aid, s->aid_n)
              : emv_data_set(&k->data, 0x9F06, EMV_FROM_TERMINAL, aid->aid, aid->aid_n);
    if (err == DP_OK)
        err = emv_data_set(&k->data, 0x9F09, EMV_FROM_TERMINAL, aid->version, 2);
    if (err == DP_OK)
        err = emv_data_set(&k->data, 0x9F1B, EMV_FROM_TERMINAL, floor_limit, 4);
    return err;
}

int emv_application_select(struct dp_emv_kernel *k)
{
    bool offered = k->candidates_n > 0;
    while (k->candidates_n > 0 && choose(k)) {
        struct dp_bytes name = {k->candidates[0].name, k->candidates[0].name_n};
        struct dp_apdu_answer a;
        int rc = emv_terminal_begin(k);
        if (rc == EMV_GO_ON)
            rc = emv_select_name(k, name, false, &a);
        if (rc != EMV_GO_ON)
            return rc;
        if (a.sw == 0x9000 && emv_fci_take(k, a.data, name) == DP_OK)
            return emv_application_selected(k, k->candidates[0].aid);
        dp_log(DP_LOG_WARNING, "emv: application not selected, status word %04X", a.sw);
        emv_candidate_strike(k);
    }
    if (k->transaction->chosen_aid_n > 0)
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_CHOICE,
                       "the chosen application is not on this card, or cannot be used");
    if (k->candidates_n > 0)
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_CHOICE,
                       "the cardholder must agree to the application");
    return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION,
                   offered ? "no application can be used" : "no application of ours on this card");
}
