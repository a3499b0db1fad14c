/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the first GENERATE AC to the end: EMV 4.4 Book 3, 10.8 to 10.11. Two rules stand above the
 * card's word: without a signed TC nothing is approved offline, and what the issuer approved and
 * the card did not agree to is reversed.
 */
#include "contact.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"

#define SCRIPT_BEFORE 0x71
#define SCRIPT_AFTER  0x72

static int set_arc(struct dp_emv_kernel *k, const char arc[2])
{
    return emv_data_set(&k->data, 0x8A, EMV_FROM_TERMINAL, arc, 2);
}

/* A TC in hand, with nobody's word but the card's. */
static int approve_offline(struct dp_emv_kernel *k)
{
    int err;
    if (!k->cda_passed || !emv_offline_permitted(k))
        return emv_end(k, DP_EMV_DECLINED, DP_EMV_REASON_NOT_AUTHENTICATED,
                       "TC without a good signature");
    err = emv_output(k);
    return err < 0 ? err : emv_end(k, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE, "TC");
}

/* Cryptogram information data, bits 3 to 1, beside an AAC. */
static const char *refusal_words(const struct dp_emv_kernel *k)
{
    static const char *const words[] = {"AAC", "AAC: service not allowed", "AAC: no PIN tries left",
                                        "AAC: issuer authentication failed"};
    struct dp_bytes cid = emv_data_get(&k->data, 0x9F27);
    uint8_t reason = cid.n == 1 ? cid.p[0] & CID_REASON : 0;
    return reason < sizeof words / sizeof words[0] ? words[reason] : words[0];
}

static int decline(struct dp_emv_kernel *k, const struct emv_action *action)
{
    if (action->cid == CID_AAC)
        return emv_end(k, DP_EMV_DECLINED, action->reason, action->words);
    return emv_end(k, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED, refusal_words(k));
}

/* GENERATE AC failed while nothing is approved. */
static int end_failed(struct dp_emv_kernel *k, int err, const struct emv_ac *ac)
{
    switch (err) {
    case DP_ERR_CRYPTO:
        return err;
    case DP_ERR_CANCELLED:
    case DP_ERR_GONE:
    case DP_ERR_TIMEOUT:
    case DP_ERR_IO:
    case DP_ERR_NOT_FOUND:
    case DP_ERR_UNREACHABLE:
    case DP_ERR_BUSY:
        return emv_end_exchange(k, err);
    default:
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR, ac->words);
    }
}

/* ---- no word from the issuer ---- */

/* The card agreed to no offline approval; its first cryptogram, kept in the result, may do. */
static int defer_or_decline(struct dp_emv_kernel *k, const struct emv_action *action)
{
    enum dp_emv_reason reason;
    const char *words;
    if (k->transaction->deferred_allowed && k->policy.deferred_allowed)
        return emv_may_be_kept(k, &reason, &words)
                   ? emv_end(k, DP_EMV_DEFERRED, DP_EMV_REASON_NO_LINK, "no link: first ARQC kept")
                   : emv_end(k, DP_EMV_DECLINED, reason, words);
    if (action->cid == CID_AAC)
        return emv_end(k, DP_EMV_DECLINED, action->reason, action->words);
    return emv_end(k, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK, "no link, and the card declined");
}

static int unable_to_go_online(struct dp_emv_kernel *k)
{
    struct emv_action action;
    struct emv_ac ac;
    int err;
    emv_action_no_link(k, &action);
    err = set_arc(k, action.cid == CID_TC ? "Y3" : "Z3");
    if (err < 0)
        return err;
    err = emv_generate_ac(k, true, action.cid, &ac);
    if (err < 0)
        return end_failed(k, err, &ac);
    return ac.cid == CID_TC ? approve_offline(k) : defer_or_decline(k, &action);
}

/* ---- the issuer's word ---- */

static int answer_is_sound(const struct dp_emv_online_answer *a)
{
    return a->issuer_authentication_n <= sizeof a->issuer_authentication &&
                   a->scripts_n <= sizeof a->scripts && memchr(a->arc, '\0', sizeof a->arc) != NULL
               ? DP_OK
               : DP_ERR_ARG;
}

/* The response code as the card is told it. */
static int put_response_code(struct dp_emv_kernel *k, const struct dp_emv_online_answer *a)
{
    bool given = a->arc[0] != '\0' && a->arc[1] != '\0';
    return emv_data_set(&k->data, 0x8A, EMV_FROM_ISSUER,
                        given         ? a->arc
                        : a->approved ? "00"
                                      : "05",
                        2);
}

static int reverse(struct dp_emv_kernel *k, int err, const struct emv_ac *ac)
{
    if (err == DP_ERR_GONE)
        return emv_end(k, DP_EMV_REVERSE, DP_EMV_REASON_CARD_GONE,
                       "approved by the issuer, then the card was taken away");
    if (err < 0)
        return emv_end(k, DP_EMV_REVERSE, DP_EMV_REASON_CARD_ERROR, ac->words);
    if (ac->cid == CID_TC)
        return emv_end(k, DP_EMV_REVERSE, DP_EMV_REASON_NOT_AUTHENTICATED,
                       "approved by the issuer, TC without a good signature");
    return emv_end(k, DP_EMV_REVERSE, DP_EMV_REASON_CARD_DECLINED,
                   "approved by the issuer, AAC from the card");
}

/* "Call the issuer": nobody can at the door, so that it is a decline with a reason of its own. */
static bool is_referral(const struct dp_emv_online_answer *a)
{
    return !a->approved && a->arc[0] == '0' && (a->arc[1] == '1' || a->arc[1] == '2');
}

static int declined_by_issuer(struct dp_emv_kernel *k, const struct dp_emv_online_answer *a)
{
    if (is_referral(a))
        return emv_end(k, DP_EMV_DECLINED, DP_EMV_REASON_REFERRAL, "the issuer wants a call");
    return emv_end(k, DP_EMV_DECLINED, DP_EMV_REASON_ISSUER_DECLINED, "declined by the issuer");
}

static int second_cryptogram(struct dp_emv_kernel *k, const struct dp_emv_online_answer *answer)
{
    struct emv_ac ac;
    bool agreed;
    int err = emv_generate_ac(k, true, answer->approved ? CID_TC : CID_AAC, &ac);
    if (err == DP_ERR_CRYPTO)
        dp_log(DP_LOG_ERROR, "emv: cryptography failed at the second cryptogram");
    agreed = err == DP_OK && ac.cid == CID_TC && (!ac.cda_wanted || k->cda_passed);
    /* only with a TC do the newest data count; else the first ARQC's stay in the result */
    if (answer->approved && agreed)
        err = emv_output(k);
    emv_issuer_scripts(k, answer, SCRIPT_AFTER);
    emv_output_scripts(k);
    if (!answer->approved)
        return declined_by_issuer(k, answer);
    if (!agreed || err < 0)
        return reverse(k, err, &ac);
    return emv_end(k, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE, "approved by the issuer");
}

static int go_online(struct dp_emv_kernel *k)
{
    struct dp_emv_result *r = k->result;
    struct dp_emv_online_request request = {&r->summary, &r->card, {r->emv, r->emv_n}};
    struct dp_emv_online_answer answer;
    int err;
    memset(&answer, 0, sizeof answer);
    emv_step(k, "ONLINE");
    emv_ui(k, DP_EMV_UI_GOING_ONLINE);
    r->went_online = true;
    err = k->ops->online(k->ops->ctx, &request, &answer);
    if (err == DP_OK)
        err = answer_is_sound(&answer);
    if (err < 0)
        return err;
    if (!answer.online)
        return unable_to_go_online(k);
    err = put_response_code(k, &answer);
    if (err < 0)
        return err;
    emv_issuer_authenticate(k, &answer);
    emv_issuer_scripts(k, &answer, SCRIPT_BEFORE);
    return second_cryptogram(k, &answer);
}

/* The cryptogram could not be read out of its signature: nothing to ask the issuer with. */
static int close_unauthenticated(struct dp_emv_kernel *k)
{
    struct emv_ac ac;
    int err = set_arc(k, "Z1");
    if (err == DP_OK && emv_generate_ac(k, true, CID_AAC, &ac) < 0)
        dp_log(DP_LOG_INFO, "emv: %s", ac.words);
    return err < 0 ? err
                   : emv_end(k, DP_EMV_DECLINED, DP_EMV_REASON_NOT_AUTHENTICATED,
                             "ARQC without a good signature");
}

int emv_complete(struct dp_emv_kernel *k)
{
    struct emv_action action;
    struct emv_ac ac;
    int err;
    emv_action_first(k, &action);
    err = action.cid == CID_ARQC ? DP_OK : set_arc(k, action.cid == CID_TC ? "Y1" : "Z1");
    if (err < 0)
        return err;
    err = emv_generate_ac(k, false, action.cid, &ac);
    if (err < 0)
        return end_failed(k, err, &ac);
    if (ac.cid == CID_TC)
        return approve_offline(k);
    err = emv_output(k);
    if (err < 0)
        return err;
    if (ac.cid == CID_AAC)
        return decline(k, &action);
    if (ac.cda_wanted && !k->cda_passed)
        return close_unauthenticated(k);
    /* a terminal that is offline only has asked for a TC; an ARQC is none, whatever link there is
     */
    return k->transaction->online_possible && !emv_never_online(k) ? go_online(k)
                                                                   : unable_to_go_online(k);
}
