/* SPDX-License-Identifier: Apache-2.0 */
/* Entry Point: pre-processing, the card's directory (PPSE), the choice of an application, its
 * kernel. EMV Contactless Books A and B. */
#include "contactless.h"

#include <string.h>

#include <doorpay/tlv.h>

#include "base/assert.h"
#include "contact.h"

static const uint8_t ppse_name[] = {'2', 'P', 'A', 'Y', '.', 'S', 'Y',
                                    'S', '.', 'D', 'D', 'F', '0', '1'};

enum {
    TYPE_PURCHASE = 0x00,
    SW_OK = 0x9000,
    SW_CARD_BLOCKED = 0x6A81
};

/* ---- pre-processing ---- */

bool emv_ttq_has(const uint8_t ttq[4], enum emv_ttq bit)
{
    return (ttq[(unsigned)bit >> 8] & bit & 0xFF) != 0;
}

static void ttq_set(uint8_t ttq[4], enum emv_ttq bit, bool on)
{
    uint8_t mask = (uint8_t)(bit & 0xFF);
    if (on)
        ttq[(unsigned)bit >> 8] |= mask;
    else
        ttq[(unsigned)bit >> 8] &= (uint8_t)~mask;
}

struct emv_preprocessed emv_preprocess(const struct dp_emv_aid *aid,
                                       const struct dp_emv_transaction *t)
{
    struct emv_preprocessed p = {false, {0}};
    uint64_t amount = (uint64_t)t->amount.minor;
    bool offline = t->type == TYPE_PURCHASE && t->offline_allowed &&
                   amount <= t->kernel3_offline_max && amount <= aid->cl_floor_limit;
    DP_ASSERT(t->amount.minor >= 0);
    memcpy(p.ttq, aid->ttq, sizeof p.ttq);
    /* What this terminal never does, whatever the parameters say: magnetic stripe (A08), PINs,
     * scripts in a second tap. */
    ttq_set(p.ttq, TTQ_MSD, false);
    ttq_set(p.ttq, TTQ_ONLINE_PIN, false);
    ttq_set(p.ttq, TTQ_CONTACT_OFFLINE_PIN, false);
    ttq_set(p.ttq, TTQ_ISSUER_UPDATE, false);
    ttq_set(p.ttq, TTQ_OFFLINE_ONLY, false);
    /* An offline approval that would not be taken is not asked for: the ARQC can still be sent, or
     * deferred. */
    ttq_set(p.ttq, TTQ_ONLINE_CRYPTOGRAM, !offline);
    ttq_set(p.ttq, TTQ_CVM_REQUIRED, amount >= aid->cl_cvm_limit);
    p.allowed =
        aid->kernel == 3 && emv_ttq_has(p.ttq, TTQ_QVSDC) && amount < aid->cl_transaction_limit;
    return p;
}

/* ---- the directory ---- */

/* What was seen beside the candidates, for the reason when there are none. */
struct directory {
    bool other_kernel; /* an application we know, for a kernel this terminal has not */
    bool over_limit;
    bool tried; /* a candidate was selected, in vain */
};

static bool names_match(const struct dp_emv_aid *aid, struct dp_bytes name)
{
    return aid->aid_n > 0 && name.n >= aid->aid_n && memcmp(name.p, aid->aid, aid->aid_n) == 0 &&
           (aid->partial || name.n == aid->aid_n);
}

/* The kernel of an application whose directory entry names none goes by its scheme; 0: any. */
static unsigned default_kernel(struct dp_bytes name)
{
    static const struct {
        uint8_t rid[5];
        uint8_t kernel;
    } schemes[] = {
        {{0xA0, 0, 0, 0, 0x03}, 3},    {{0xA0, 0, 0, 0, 0x04}, 2},    {{0xA0, 0, 0, 0, 0x25}, 4},
        {{0xA0, 0, 0, 0, 0x65}, 5},    {{0xA0, 0, 0, 0x01, 0x52}, 6}, {{0xA0, 0, 0, 0x03, 0x33}, 7},
        {{0xA0, 0, 0, 0x03, 0x24}, 6},
    };
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (memcmp(name.p, schemes[i].rid, 5) == 0)
            return schemes[i].kernel;
    return 0;
}

/* Kernel Identifier, 9F2A; domestic kernels have a first byte over 7F, which no AID's kernel is. */
static unsigned requested_kernel(struct dp_bytes id, struct dp_bytes name)
{
    return id.n > 0 ? id.p[0] : default_kernel(name);
}

/* With a brand the customer chose, no other one counts (EU 2015/751, article 8). */
static bool may_be_taken(const struct dp_emv_transaction *t, struct dp_bytes name)
{
    return t->chosen_aid_n == 0 ||
           (name.n >= t->chosen_aid_n && memcmp(name.p, t->chosen_aid, t->chosen_aid_n) == 0);
}

static int add_candidate(struct dp_emv_kernel *k, const struct dp_emv_aid *aid,
                         struct dp_bytes name, struct dp_bytes entry)
{
    struct emv_candidate *c = &k->candidates[k->candidates_n];
    struct dp_bytes priority;
    for (size_t i = 0; i < k->candidates_n; i++)
        if (k->candidates[i].name_n == name.n && memcmp(k->candidates[i].name, name.p, name.n) == 0)
            return DP_OK; /* an application named twice is one */
    if (k->candidates_n == DP_EMV_CANDIDATES_MAX)
        return DP_ERR_LIMIT;
    memset(c, 0, sizeof *c);
    memcpy(c->name, name.p, name.n);
    c->name_n = (uint8_t)name.n;
    if (dp_tlv_find(entry, 0x87, &priority) == DP_OK && priority.n == 1)
        c->priority = priority.p[0] & 0x0F;
    emv_candidate_name(k, entry, c);
    c->aid = aid;
    k->candidates_n++;
    return DP_OK;
}

/* One directory entry against the terminal's AIDs. One that is not sound is passed over. */
static int take_entry(struct dp_emv_kernel *k, struct dp_bytes entry, struct directory *d)
{
    struct dp_bytes name = {NULL, 0}, id = {NULL, 0};
    unsigned wanted;
    if (dp_tlv_find(entry, 0x4F, &name) != DP_OK || name.n < 5 || name.n > 16 ||
        !may_be_taken(k->transaction, name))
        return DP_OK;
    if (dp_tlv_find(entry, 0x9F2A, &id) != DP_OK)
        id.n = 0;
    wanted = requested_kernel(id, name);
    for (size_t i = 0; i < k->terminal->aids_n; i++) {
        const struct dp_emv_aid *aid = &k->terminal->aids[i];
        if (aid->kernel == 0 || !names_match(aid, name))
            continue;
        if (aid->kernel != 3 || (wanted != 0 && wanted != aid->kernel))
            d->other_kernel = true;
        else if (!emv_preprocess(aid, k->transaction).allowed)
            d->over_limit = true;
        else
            return add_candidate(k, aid, name, entry);
    }
    return DP_OK;
}

/* 6F { 84, A5 { BF0C { 61 ... } } } */
static int take_directory(struct dp_emv_kernel *k, struct dp_bytes answer, struct directory *d)
{
    static const uint32_t path[] = {0x6F, 0xA5, 0xBF0C};
    struct dp_bytes row = answer;
    struct dp_tlv t;
    size_t at = 0;
    int err = DP_OK;
    for (size_t i = 0; i < sizeof path / sizeof *path && err == DP_OK; i++)
        err = dp_tlv_find(row, path[i], &row);
    while (err == DP_OK) {
        err = dp_tlv_next(row, &at, &t);
        if (err == DP_OK && t.tag == 0x61)
            err = take_entry(k, t.value, d);
    }
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

static int end_without_candidate(struct dp_emv_kernel *k, const struct directory *d)
{
    emv_ui(k, DP_EMV_UI_INSERT_CARD);
    if (d->over_limit && !d->tried)
        return emv_end(k, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_OVER_LIMIT,
                       "over the contactless limit");
    if (d->other_kernel && !d->tried)
        return emv_end(k, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_KERNEL_UNSUPPORTED,
                       "the application needs a kernel this terminal does not have");
    if (k->transaction->chosen_aid_n > 0)
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_CHOICE,
                       d->tried ? "the chosen application cannot be used"
                                : "the chosen application is not to be had by tap");
    return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION,
                   d->tried ? "no application of this card can be used"
                            : "no contactless application in common");
}

static int select_by_name(struct dp_emv_kernel *k, const uint8_t *name, size_t n,
                          struct dp_apdu_answer *answer)
{
    const struct dp_apdu select = {0x00, 0xA4, 0x04, 0x00, {name, n}, 0};
    return emv_command(k, &select, answer);
}

static int read_directory(struct dp_emv_kernel *k, struct directory *d)
{
    struct dp_apdu_answer answer;
    int next, err;
    emv_step(k, "SELECT PPSE");
    k->candidates_n = 0;
    next = select_by_name(k, ppse_name, sizeof ppse_name, &answer);
    if (next != EMV_GO_ON)
        return next;
    if (answer.sw == SW_CARD_BLOCKED)
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_BLOCKED, "the card is blocked");
    if (answer.sw != SW_OK)
        return EMV_GO_ON;
    err = take_directory(k, answer.data, d);
    return err == DP_OK ? EMV_GO_ON : emv_end_card_data(k, "PPSE", err);
}

/* ---- the choice ---- */

/* Priority 1 before 15 before none; among equals the card's order. */
static unsigned rank(const struct emv_candidate *c)
{
    return c->priority != 0 ? c->priority : 16;
}

static struct emv_candidate take_best(struct dp_emv_kernel *k)
{
    struct emv_candidate best;
    size_t at = 0;
    DP_ASSERT(k->candidates_n > 0);
    for (size_t i = 1; i < k->candidates_n; i++)
        if (rank(&k->candidates[i]) < rank(&k->candidates[at]))
            at = i;
    best = k->candidates[at];
    k->candidates_n--;
    memmove(&k->candidates[at], &k->candidates[at + 1],
            (k->candidates_n - at) * sizeof *k->candidates);
    return best;
}

/* EMV_SELECT_NEXT: the card does not give this one. */
static int activate(struct dp_emv_kernel *k, const struct emv_candidate *c)
{
    const struct emv_preprocessed p = emv_preprocess(c->aid, k->transaction);
    struct dp_apdu_answer answer;
    int err, next;
    emv_step(k, "SELECT");
    next = select_by_name(k, c->name, c->name_n, &answer);
    if (next != EMV_GO_ON)
        return next;
    /* nothing of an application tried before is left */
    err = emv_terminal_begin(k);
    if (err < 0)
        return err;
    if (answer.sw != SW_OK ||
        emv_fci_take(k, answer.data, (struct dp_bytes){c->name, c->name_n}) != DP_OK)
        return EMV_SELECT_NEXT;
    err = emv_application_selected(k, c->aid);
    return err < 0 ? err : emv_kernel3(k, p.ttq);
}

int emv_contactless(struct dp_emv_kernel *k)
{
    struct directory d = {false, false, false};
    int next;
    DP_ASSERT(k != NULL);
    DP_ASSERT(k->terminal != NULL);
    DP_ASSERT(k->transaction != NULL);
    next = read_directory(k, &d);
    if (next != EMV_GO_ON)
        return next;
    next = emv_candidates_offer(k);
    if (next != EMV_GO_ON)
        return next;
    next = EMV_SELECT_NEXT;
    while (next == EMV_SELECT_NEXT && k->candidates_n > 0) {
        const struct emv_candidate c = take_best(k);
        d.tried = true;
        next = activate(k, &c);
        if (next == EMV_SELECT_NEXT)
            emv_application_forget(k);
    }
    return next != EMV_SELECT_NEXT ? next : end_without_candidate(k, &d);
}
