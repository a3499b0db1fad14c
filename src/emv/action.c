/* SPDX-License-Identifier: Apache-2.0 */
/* Terminal action analysis: EMV 4.4 Book 3, 10.7, under our own policy. */
#include "contact.h"

#include <string.h>

#include <doorpay/tlv.h>
#include <doorpay/words.h>

#define TYPE_PURCHASE 0x00

/* The last digit of the terminal type: 1 and 4 can only go online, 3 and 6 never. */
bool emv_never_online(const struct dp_emv_kernel *k)
{
    uint8_t t = k->terminal->type & 0x0F;
    return t == 3 || t == 6;
}

static bool always_online(const struct dp_emv_kernel *k)
{
    uint8_t t = k->terminal->type & 0x0F;
    return t == 1 || t == 4;
}

/* The TVR bits that the terminal's codes or the issuer's name; an issuer that names none in a list
 * it did not give means absent. */
static bool match(const struct dp_emv_kernel *k, const uint8_t tac[5], uint32_t iac_tag,
                  uint8_t absent, uint8_t hit[5])
{
    struct dp_bytes iac = emv_data_get(&k->data, iac_tag);
    bool any = false;
    for (size_t i = 0; i < 5; i++) {
        uint8_t issuer = iac.n == 5 ? iac.p[i] : absent;
        hit[i] = k->tvr[i] & (uint8_t)(tac[i] | issuer);
        any = any || hit[i] != 0;
    }
    return any;
}

static bool denied(const struct dp_emv_kernel *k, uint8_t hit[5])
{
    return match(k, k->aid->tac_denial, 0x9F0E, 0x00, hit);
}

static bool wants_online(const struct dp_emv_kernel *k)
{
    uint8_t hit[5];
    return match(k, k->aid->tac_online, 0x9F0F, 0xFF, hit);
}

static bool denied_without_link(const struct dp_emv_kernel *k, uint8_t hit[5])
{
    return match(k, k->aid->tac_default, 0x9F0D, 0xFF, hit);
}

/* What stands in the way of an approval without the issuer, whatever action codes say of it. */
static bool offline_forbidden(const struct dp_emv_kernel *k)
{
    static const enum emv_tvr never[] = {TVR_CDA_FAILED, TVR_EXCEPTION_FILE,
                                         TVR_EXPIRED,    TVR_NOT_YET_EFFECTIVE,
                                         TVR_CVM_FAILED, TVR_OVER_FLOOR_LIMIT};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (emv_tvr_has(k, never[i]))
            return true;
    /* No rule of the card's list was applied: that the AIP wants none, or that the list is empty,
     * may be the word of a wedge, for a card need not sign either (A05). */
    return k->cvm_results[0] == EMV_CVM_NOT_PERFORMED;
}

/* A cryptogram over another sum, or none, is no promise to pay this one (A18). */
static bool amount_is_signed(const struct dp_emv_kernel *k)
{
    static const uint32_t lists[] = {0x8C, 0x9F38}; /* CDOL1, PDOL: CDA signs the values of both */
    uint8_t n = 0;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (dp_tlv_dol_has(emv_data_get(&k->data, lists[i]), 0x9F02, &n) && n == 6)
            return true;
    return false;
}

/* Whoever has not been authenticated may have made everything up, the kind of cryptogram too:
 * only CDA signs it (A11). */
bool emv_offline_permitted(const struct dp_emv_kernel *k)
{
    return k->oda == DP_EMV_AUTH_CDA && k->icc_key_good && !offline_forbidden(k) &&
           amount_is_signed(k) && k->transaction->type == TYPE_PURCHASE &&
           k->transaction->offline_allowed && k->policy.offline_allowed &&
           k->policy.verdict == DP_EMV_POLICY_GO_ON;
}

/* What the terminal has found out itself, it need not wait for the issuer to say. */
bool emv_may_be_kept(const struct dp_emv_kernel *k, enum dp_emv_reason *reason, const char **words)
{
    static const struct {
        enum emv_tvr bit;
        enum dp_emv_reason reason;
        const char *words;
    } obstacles[] = {
        {TVR_EXCEPTION_FILE, DP_EMV_REASON_POLICY,
         "no link, and the card is on the exception list"},
        {TVR_EXPIRED, DP_EMV_REASON_EXPIRED, "no link, and the card has expired"},
        {TVR_NOT_YET_EFFECTIVE, DP_EMV_REASON_TERMINAL_DECLINED,
         "no link, and the card is not yet valid"},
        {TVR_CVM_FAILED, DP_EMV_REASON_CVM, "no link, and the holder is not verified"},
    };
    *reason = DP_EMV_REASON_NOT_AUTHENTICATED;
    *words = "no link, and authentication failed";
    if (k->result->summary.authentication_result == DP_EMV_AUTH_FAILED)
        return false;
    for (size_t i = 0; i < sizeof obstacles / sizeof obstacles[0]; i++) {
        *reason = obstacles[i].reason;
        *words = obstacles[i].words;
        if (emv_tvr_has(k, obstacles[i].bit))
            return false;
    }
    /* that nobody is to be verified may be the word of a wedge (A05): told as a holder who is not
     */
    return k->cvm_results[0] != EMV_CVM_NOT_PERFORMED;
}

static bool authentication_lacks(const struct dp_emv_kernel *k)
{
    return k->oda == DP_EMV_AUTH_NONE ||
           k->result->summary.authentication_result == DP_EMV_AUTH_FAILED;
}

static void ask(struct emv_action *a, enum emv_cid cid)
{
    a->cid = cid;
    a->reason = DP_EMV_REASON_NONE;
    a->words = "";
}

static void decline(struct emv_action *a, enum dp_emv_reason reason, const char *words)
{
    a->cid = CID_AAC;
    a->reason = reason;
    a->words = words;
}

static void decline_for(struct emv_action *a, enum dp_emv_reason otherwise, const uint8_t hit[5])
{
    enum dp_emv_reason reason = otherwise;
    if ((hit[1] & (uint8_t)TVR_EXPIRED) != 0)
        reason = DP_EMV_REASON_EXPIRED;
    else if (hit[2] != 0)
        reason = DP_EMV_REASON_CVM;
    decline(a, reason, dp_words_tvr(hit, DP_FOR_LOG, DP_LANGUAGE_EN));
}

void emv_action_first(const struct dp_emv_kernel *k, struct emv_action *action)
{
    uint8_t hit[5];
    if (k->policy.verdict != DP_EMV_POLICY_GO_ON)
        decline(action, DP_EMV_REASON_POLICY, "policy");
    else if (k->transaction->oda_failure_declines && authentication_lacks(k))
        decline(action, DP_EMV_REASON_NOT_AUTHENTICATED, "card not authenticated");
    else if (denied(k, hit))
        decline_for(action, DP_EMV_REASON_TERMINAL_DECLINED, hit);
    else if (emv_never_online(k))
        emv_action_no_link(k, action);
    else if (always_online(k) || wants_online(k) || !emv_offline_permitted(k))
        ask(action, CID_ARQC);
    else
        ask(action, CID_TC);
}

void emv_action_no_link(const struct dp_emv_kernel *k, struct emv_action *action)
{
    uint8_t hit[5];
    if (denied_without_link(k, hit))
        decline_for(action, DP_EMV_REASON_NO_LINK, hit);
    else if (authentication_lacks(k) || k->oda != DP_EMV_AUTH_CDA)
        decline(action, DP_EMV_REASON_NOT_AUTHENTICATED, "no link, and not authenticated by CDA");
    else if (!emv_offline_permitted(k))
        decline(action, DP_EMV_REASON_NO_LINK, "no link, and not to be approved offline");
    else
        ask(action, CID_TC);
}
