/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminal risk management: EMV 4.4 Book 3, 10.6, and our own policy's word on this card. It is
 * done whether or not the card's AIP asks for it: a card has no say in our risks.
 */
#include "contact.h"

#include <string.h>

#define INS_GET_DATA 0xCA

int emv_policy(struct dp_emv_kernel *k)
{
    struct dp_emv_policy_answer answer;
    int err;
    memset(&answer, 0, sizeof answer);
    answer.verdict = DP_EMV_POLICY_DECLINE; /* what a callback that answers nothing means */
    emv_summary_fill(k);
    err = k->ops->policy(k->ops->ctx, &k->result->summary, &k->result->card, &answer);
    if (err < 0)
        return err;
    k->policy = answer;
    if (answer.on_exception_list)
        emv_tvr_set(k, TVR_EXCEPTION_FILE);
    return EMV_GO_ON;
}

/* 1 to 99, from bytes the card never sees. */
static unsigned draw(const struct dp_emv_kernel *k)
{
    const uint8_t *p = k->transaction->random;
    uint32_t v = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    return v % 99 + 1;
}

/* The share of payments of this amount that go online, in percent: the target share below the
 * threshold, from there rising to the maximum share at the floor limit. */
static uint64_t share(const struct dp_emv_aid *aid, uint64_t amount)
{
    uint64_t above, between;
    if (amount < aid->random_threshold)
        return aid->random_target;
    above = amount - aid->random_threshold;
    between = aid->floor_limit - aid->random_threshold;
    return aid->random_target + (aid->random_max - aid->random_target) * above / between;
}

/* The floor limit holds for what this card paid before, too: the transaction log against split
 * sales. */
static void check_amount(struct dp_emv_kernel *k)
{
    uint64_t amount = (uint64_t)k->transaction->amount.minor, limit = k->aid->floor_limit;
    if (amount >= limit || k->policy.card_amount >= limit - amount)
        emv_tvr_set(k, TVR_OVER_FLOOR_LIMIT);
    else if (draw(k) <= share(k->aid, amount))
        emv_tvr_set(k, TVR_RANDOMLY_SELECTED);
}

/* A counter by GET DATA. *there is false when the card does not give it. */
static int get_counter(struct dp_emv_kernel *k, uint16_t tag, bool *there, uint16_t *value)
{
    struct dp_apdu c = {0x80, INS_GET_DATA, (uint8_t)(tag >> 8), (uint8_t)tag, {NULL, 0}, 0};
    struct dp_apdu_answer a;
    struct dp_bytes v;
    int rc = emv_command(k, &c, &a);
    *there = false;
    if (rc != EMV_GO_ON || a.sw != 0x9000 || dp_tlv_find(a.data, tag, &v) < 0 || v.n != 2)
        return rc;
    *there = true;
    *value = (uint16_t)(v.p[0] << 8 | v.p[1]);
    return EMV_GO_ON;
}

static void compare_counters(struct dp_emv_kernel *k, uint16_t now, uint16_t last, uint8_t lower,
                             uint8_t upper)
{
    unsigned offline = now > last ? (unsigned)(now - last) : 0;
    bool over = now <= last || offline > lower;
    if (over)
        emv_tvr_set(k, TVR_LOWER_LIMIT_EXCEEDED);
    if (now <= last || (over && offline > upper))
        emv_tvr_set(k, TVR_UPPER_LIMIT_EXCEEDED);
    if (last == 0)
        emv_tvr_set(k, TVR_NEW_CARD);
}

/* How many payments this card made since it was last online. */
static int check_velocity(struct dp_emv_kernel *k)
{
    struct dp_bytes lower = emv_data_get(&k->data, 0x9F14);
    struct dp_bytes upper = emv_data_get(&k->data, 0x9F23);
    bool has_now, has_last = false;
    uint16_t now = 0, last = 0;
    int rc;
    if (lower.n != 1 || upper.n != 1)
        return EMV_GO_ON;
    rc = get_counter(k, 0x9F36, &has_now, &now);
    if (rc == EMV_GO_ON)
        rc = get_counter(k, 0x9F13, &has_last, &last);
    if (rc != EMV_GO_ON)
        return rc;
    if (has_now && has_last) {
        compare_counters(k, now, last, lower.p[0], upper.p[0]);
        return EMV_GO_ON;
    }
    emv_tvr_set(k, TVR_ICC_DATA_MISSING); /* EMV 4.4 Book 3, 7.5, table 35 */
    emv_tvr_set(k, TVR_LOWER_LIMIT_EXCEEDED);
    emv_tvr_set(k, TVR_UPPER_LIMIT_EXCEEDED);
    if (has_last && last == 0)
        emv_tvr_set(k, TVR_NEW_CARD);
    return EMV_GO_ON;
}

int emv_manage_risk(struct dp_emv_kernel *k)
{
    int rc;
    emv_step(k, "TERMINAL RISK MANAGEMENT");
    rc = emv_policy(k);
    if (rc != EMV_GO_ON)
        return rc;
    check_amount(k);
    rc = check_velocity(k);
    k->tsi[0] |= TSI_TERMINAL_RISK;
    return rc;
}
