/* SPDX-License-Identifier: Apache-2.0 */
/* Application selection: EMV 4.4 Book 1, section 12. */
#include "contact.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"

#define INS_SELECT      0xA4
#define INS_READ_RECORD 0xB2
#define SELECT_FIRST    0x00
#define SELECT_NEXT     0x02
#define SW_BLOCKED_CARD 0x6A81 /* or no SELECT at all */
#define SW_BLOCKED      0x6283
#define SW_NO_RECORD    0x6A83

static const uint8_t pse_name[] = {'1', 'P', 'A', 'Y', '.', 'S', 'Y',
                                   'S', '.', 'D', 'D', 'F', '0', '1'};

static bool same(struct dp_bytes a, const uint8_t *p, size_t n)
{
    return a.n == n && memcmp(a.p, p, n) == 0;
}

static bool begins(struct dp_bytes name, const uint8_t *p, size_t n)
{
    return name.n >= n && memcmp(name.p, p, n) == 0;
}

static int select_name(struct dp_emv_kernel *k, struct dp_bytes name, uint8_t which,
                       struct dp_apdu_answer *answer)
{
    struct dp_apdu c = {0x00, INS_SELECT, 0x04, which, name, 0};
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

/* row: what stands around the name, in a directory entry or an FCI's proprietary template. */
static void add_candidate(struct dp_emv_kernel *k, struct dp_bytes name, struct dp_bytes row)
{
    const struct dp_emv_aid *aid;
    struct emv_candidate *c;
    struct dp_bytes priority;
    if (name.n < 5 || name.n > sizeof c->name || (aid = terminal_aid(k, name)) == NULL)
        return;
    for (size_t i = 0; i < k->candidates_n; i++)
        if (same(name, k->candidates[i].name, k->candidates[i].name_n))
            return;
    if (k->candidates_n == DP_EMV_CANDIDATES_MAX)
        return;
    c = &k->candidates[k->candidates_n++];
    memset(c, 0, sizeof *c);
    memcpy(c->name, name.p, name.n);
    c->name_n = (uint8_t)name.n;
    c->aid = aid;
    if (dp_tlv_find(row, 0x87, &priority) == DP_OK && priority.n == 1) {
        c->priority = priority.p[0] & 0x0F;
        c->confirm = (priority.p[0] & 0x80) != 0;
    }
}

/* ---- by the card's directory ---- */

static int directory_entry(struct dp_emv_kernel *k, const struct dp_tlv *entry)
{
    struct dp_bytes name;
    int err = dp_tlv_find(entry->value, 0x4F, &name);
    if (err == DP_OK)
        add_candidate(k, name, entry->value);
    return err == DP_ERR_NOT_FOUND ? DP_OK : err; /* a directory in the directory: passed over */
}

static int directory_record(struct dp_emv_kernel *k, struct dp_bytes data)
{
    struct dp_tlv t;
    struct dp_bytes row;
    size_t at = 0;
    int err = dp_tlv_find(data, 0x70, &row);
    if (err < 0)
        return err;
    while ((err = dp_tlv_next(row, &at, &t)) == DP_OK) {
        err = t.tag == 0x61 ? directory_entry(k, &t) : DP_OK;
        if (err < 0)
            return err;
    }
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

/* The short file identifier of the directory, 0 when there is none to be read. */
static uint8_t directory_file(struct dp_bytes fci)
{
    struct dp_bytes inner, proprietary, sfi;
    if (dp_tlv_find(fci, 0x6F, &inner) < 0 || dp_tlv_find(inner, 0xA5, &proprietary) < 0 ||
        dp_tlv_find(proprietary, 0x88, &sfi) < 0 || sfi.n != 1)
        return 0;
    return sfi.p[0] >= 1 && sfi.p[0] <= 10 ? sfi.p[0] : 0;
}

/* Whatever is wrong with the directory, the terminal's own list takes its place. */
static int by_directory(struct dp_emv_kernel *k)
{
    struct dp_apdu c = {0x00, INS_READ_RECORD, 0, 0, {NULL, 0}, 0};
    struct dp_apdu_answer a;
    uint8_t sfi;
    int rc = select_name(k, (struct dp_bytes){pse_name, sizeof pse_name}, SELECT_FIRST, &a);
    if (rc != EMV_GO_ON)
        return rc;
    if (a.sw == SW_BLOCKED_CARD)
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_BLOCKED, "the card is blocked");
    if (a.sw != 0x9000 || (sfi = directory_file(a.data)) == 0)
        return EMV_GO_ON;
    c.p2 = (uint8_t)(sfi << 3 | 4);
    for (unsigned record = 1; record <= DP_EMV_RECORDS_MAX; record++) {
        c.p1 = (uint8_t)record;
        rc = emv_command(k, &c, &a);
        if (rc != EMV_GO_ON || a.sw == SW_NO_RECORD)
            return rc;
        if (a.sw != 0x9000 || directory_record(k, a.data) < 0) {
            k->candidates_n = 0;
            return EMV_GO_ON;
        }
    }
    return EMV_GO_ON;
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
    if (a->sw == 0x9000 && (exact || aid->partial))
        add_candidate(k, name, proprietary);
    return !exact;
}

static int by_one_aid(struct dp_emv_kernel *k, const struct dp_emv_aid *aid, bool *blocked)
{
    struct dp_apdu_answer a;
    uint8_t which = SELECT_FIRST;
    for (size_t i = 0; i < DP_EMV_CANDIDATES_MAX; i++) {
        int rc = select_name(k, (struct dp_bytes){aid->aid, aid->aid_n}, which, &a);
        if (rc != EMV_GO_ON)
            return rc;
        if (a.sw == SW_BLOCKED_CARD && which == SELECT_FIRST)
            return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_BLOCKED, "the card is blocked");
        if (!occurrence(k, aid, &a, blocked))
            break;
        which = SELECT_NEXT;
    }
    return EMV_GO_ON;
}

int emv_candidates_build(struct dp_emv_kernel *k)
{
    bool blocked = false;
    int rc;
    emv_step(k, "SELECT");
    rc = by_directory(k);
    if (rc != EMV_GO_ON || k->candidates_n > 0)
        return rc;
    for (size_t i = 0; i < k->terminal->aids_n && rc == EMV_GO_ON; i++)
        if (k->terminal->aids[i].kernel == 0)
            rc = by_one_aid(k, &k->terminal->aids[i], &blocked);
    if (rc == EMV_GO_ON && k->candidates_n == 0 && blocked)
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_BLOCKED, "the application is blocked");
    return rc;
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

void emv_candidate_strike(struct dp_emv_kernel *k)
{
    DP_ASSERT(k->candidates_n > 0);
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

static bool printable(struct dp_bytes v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < 0x20 || v.p[i] > 0x7E)
            return false;
    return v.n > 0;
}

/* The preferred name when we have its alphabet, else the label. */
static void name_for_people(const struct dp_emv_kernel *k, char label[17])
{
    struct dp_bytes name = emv_data_get(&k->data, 0x9F12);
    struct dp_bytes table = emv_data_get(&k->data, 0x9F11);
    if (table.n != 1 || table.p[0] != 1 || !printable(name))
        name = emv_data_get(&k->data, 0x50);
    memset(label, 0, 17);
    if (printable(name) && name.n <= 16)
        memcpy(label, name.p, name.n);
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
    name_for_people(k, s->label);
    err = emv_data_set(&k->data, 0x9F06, EMV_FROM_TERMINAL, aid->aid, aid->aid_n);
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
            rc = select_name(k, name, SELECT_FIRST, &a);
        if (rc != EMV_GO_ON)
            return rc;
        if (a.sw == 0x9000 && emv_fci_take(k, a.data, name) == DP_OK)
            return emv_application_selected(k, k->candidates[0].aid);
        dp_log(DP_LOG_WARNING, "emv: application not selected, status word %04X", a.sw);
        emv_candidate_strike(k);
    }
    if (k->transaction->chosen_aid_n > 0)
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION,
                       "the chosen application is not on this card");
    return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION,
                   offered ? "no application can be used" : "no application of ours on this card");
}
