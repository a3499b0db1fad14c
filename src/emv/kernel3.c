/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel 3 (qVSDC): everything is decided in one command, GET PROCESSING OPTIONS. Its cryptogram's
 * type is not signed, so that a TC is worth no more than this: version 01 of fast DDA proves card,
 * amount and qualifiers, and the residual risk is bounded by a ceiling of its own, which is zero
 * unless the signed parameters set it (A11).
 */
#include "contactless.h"

#include <string.h>

#include <doorpay/tlv.h>

#include "base/assert.h"
#include "contact.h"

enum {
    SW_OK = 0x9000,
    SW_OTHER_INTERFACE = 0x6984,
    SW_CONDITIONS = 0x6985,
    SW_SEE_PHONE = 0x6986
};

/* Card transaction qualifiers, 9F6C, byte in the high part. */
enum ctq {
    CTQ_ONLINE_PIN = 0x080,
    CTQ_SIGNATURE = 0x040,
    CTQ_ONLINE_IF_ODA_FAILS = 0x020,
    CTQ_SWITCH_IF_ODA_FAILS = 0x010,
    CTQ_ONLINE_IF_EXPIRED = 0x008,
    CTQ_DEVICE_CVM = 0x180
};

/* One tap. */
struct tap {
    struct dp_emv_kernel *k;
    const uint8_t *ttq; /* as sent */
    uint8_t ctq[2];
    bool has_ctq;
    enum emv_cid cid;
    enum dp_emv_auth_result oda;
    bool expired, too_early;
    bool cvm_failed; /* one was required, and nothing that can be believed was done */
};

static bool has(const struct tap *t, enum ctq bit)
{
    return (t->ctq[(unsigned)bit >> 8] & bit & 0xFF) != 0;
}

static uint64_t amount(const struct tap *t)
{
    return (uint64_t)t->k->transaction->amount.minor;
}

/* ---- the one command ---- */

static int send_gpo(struct tap *t, struct dp_apdu_answer *answer)
{
    struct dp_emv_kernel *k = t->k;
    uint8_t data[255];
    size_t n = 0;
    struct dp_apdu command = {0x80, 0xA8, 0x00, 0x00, {data, 0}, 0};
    int next = emv_dol_fill(k, emv_data_get(&k->data, 0x9F38), "PDOL", &k->pdol);
    if (next != EMV_GO_ON)
        return next;
    if (dp_tlv_put(data, sizeof data, &n, 0x83, k->pdol.p, k->pdol.n) != DP_OK)
        return emv_end_card_data(k, "PDOL", DP_ERR_LIMIT);
    command.data.n = n;
    emv_step(k, "GET PROCESSING OPTIONS");
    return emv_command(k, &command, answer);
}

static int end_refused(struct dp_emv_kernel *k, uint16_t sw)
{
    switch (sw) {
    case SW_OTHER_INTERFACE:
        emv_ui(k, DP_EMV_UI_INSERT_CARD);
        return emv_end(k, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_CARD_DECLINED,
                       "the card wants to be inserted");
    case SW_CONDITIONS:
        return EMV_SELECT_NEXT;
    case SW_SEE_PHONE:
        emv_ui(k, DP_EMV_UI_SEE_PHONE);
        return emv_end(k, DP_EMV_CDCVM_WANTED, DP_EMV_REASON_CVM,
                       "the customer must unlock the phone and tap again");
    default:
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR,
                       "GET PROCESSING OPTIONS: unexpected status word");
    }
}

/* Cryptogram information data; where the card leaves them out, the card verification results in the
 * issuer application data tell (byte 5, bits 6 and 5, behind a length of 3). */
static int take_cid(struct tap *t)
{
    struct emv_data *data = &t->k->data;
    struct dp_bytes cid = emv_data_get(data, 0x9F27), iad = emv_data_get(data, 0x9F10);
    uint8_t made;
    if (cid.n == 1) {
        t->cid = (enum emv_cid)(cid.p[0] & CID_TYPE);
        return DP_OK;
    }
    if (iad.n < 7 || iad.p[3] != 3)
        return DP_ERR_MISSING;
    made = (uint8_t)(iad.p[4] << 2 & CID_TYPE);
    t->cid = (enum emv_cid)made;
    return emv_data_set(data, 0x9F27, EMV_FROM_CARD, &made, 1);
}

/* AIP, and what else is mandatory. The AFL may be missing: then there is nothing more to read. */
static int take_elements(struct tap *t, struct dp_bytes inside)
{
    struct dp_emv_kernel *k = t->k;
    struct dp_bytes aip, afl, ctq;
    int err = emv_data_take_row(&k->data, inside, EMV_FROM_CARD);
    if (err != DP_OK)
        return err;
    aip = emv_data_get(&k->data, 0x82);
    afl = emv_data_get(&k->data, 0x94);
    ctq = emv_data_get(&k->data, 0x9F6C);
    if (aip.n != sizeof k->aip || emv_data_get(&k->data, 0x9F26).n != 8 ||
        emv_data_get(&k->data, 0x9F36).n != 2 || !emv_data_has(&k->data, 0x9F10))
        return DP_ERR_MISSING;
    memcpy(k->aip, aip.p, sizeof k->aip);
    t->has_ctq = ctq.n == sizeof t->ctq;
    if (t->has_ctq)
        memcpy(t->ctq, ctq.p, sizeof t->ctq);
    err = take_cid(t);
    return err == DP_OK && afl.n > 0 ? emv_afl_keep(k, afl) : err;
}

static int end_magnetic_stripe(struct dp_emv_kernel *k)
{
    emv_ui(k, DP_EMV_UI_INSERT_CARD);
    return emv_end(k, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_CARD_DATA,
                   "the card offers magnetic stripe mode only");
}

/* Format 1, or no cryptogram: a card that offers its magnetic stripe's data (A08). */
static int take_answer(struct tap *t, struct dp_bytes answer)
{
    struct dp_bytes cryptogram;
    struct dp_tlv e;
    size_t at = 0;
    int err = dp_tlv_next(answer, &at, &e);
    if (err == DP_OK && at != answer.n)
        err = DP_ERR_TRAILING;
    if (err == DP_OK && e.tag == 0x80)
        return end_magnetic_stripe(t->k);
    if (err == DP_OK && e.tag != 0x77)
        err = DP_ERR_FORMAT;
    if (err == DP_OK)
        err = dp_tlv_find(e.value, 0x9F26, &cryptogram);
    if (err == DP_ERR_NOT_FOUND)
        return at > 0 ? end_magnetic_stripe(t->k)
                      : emv_end_card_data(t->k, "GET PROCESSING OPTIONS", DP_ERR_MISSING);
    if (err == DP_OK)
        err = take_elements(t, e.value);
    return err == DP_OK ? EMV_GO_ON : emv_end_card_data(t->k, "GET PROCESSING OPTIONS", err);
}

static int initiate(struct tap *t)
{
    struct dp_apdu_answer answer;
    int next = send_gpo(t, &answer);
    if (next != EMV_GO_ON)
        return next;
    if (answer.sw != SW_OK)
        return end_refused(t->k, answer.sw);
    return take_answer(t, answer.data);
}

/* ---- records, holder, policy ---- */

static bool oda_wanted(const struct tap *t)
{
    return t->cid == CID_TC || emv_ttq_has(t->ttq, TTQ_ODA_FOR_ONLINE);
}

/* An online tap whose answer had all it takes reads no record: the card may go. */
static bool records_wanted(const struct tap *t)
{
    const struct dp_emv_kernel *k = t->k;
    if (k->afl_n == 0)
        return false;
    return !emv_data_has(&k->data, 0x57) || (oda_wanted(t) && (k->aip[0] & AIP_DDA) != 0);
}

/* YYMM behind the track's separator, when no record gave the date. */
static bool expiry_of_track(struct dp_emv_kernel *k)
{
    struct dp_bytes track = emv_data_get(&k->data, 0x57);
    char *expiry = k->result->card.expiry;
    size_t at = strlen(k->result->card.pan) + 1; /* digits of PAN and separator */
    if (2 * track.n < at + 4)
        return false;
    for (size_t i = 0; i < 4; i++, at++) {
        uint8_t digit = at % 2 == 0 ? track.p[at / 2] >> 4 : track.p[at / 2] & 15;
        if (digit > 9)
            return false;
        expiry[i] = (char)('0' + digit);
    }
    expiry[4] = '\0';
    return strcmp(expiry + 2, "01") >= 0 && strcmp(expiry + 2, "12") <= 0;
}

static int read_card(struct tap *t)
{
    struct dp_emv_kernel *k = t->k;
    int next = EMV_GO_ON;
    if (t->cid == CID_AAC)
        return emv_data_has(&k->data, 0x57) ? emv_card_data_fill(k) : EMV_GO_ON;
    if (records_wanted(t))
        next = emv_records_read(k);
    if (next != EMV_GO_ON)
        return next;
    emv_ui(k, DP_EMV_UI_CARD_READ_OK);
    next = emv_card_data_fill(k);
    if (next == EMV_GO_ON && k->result->card.expiry[0] == '\0' && !expiry_of_track(k))
        return emv_end_card_data(k, "expiry date", DP_ERR_MISSING);
    return next == EMV_GO_ON ? emv_policy(k) : next;
}

/* ---- fast DDA ---- */

static int check_signature(struct tap *t, const char **why)
{
    struct dp_emv_kernel *k = t->k;
    const struct dp_emv_transaction *x = k->transaction;
    struct oda_fdda_input fast = {.card_data = emv_data_get(&k->data, 0x9F69),
                                  .ctq = emv_data_get(&k->data, 0x9F6C)};
    struct oda_dynamic dynamic;
    struct oda_input in;
    struct oda_key issuer, icc;
    int err;
    if (k->signed_records_bad) {
        *why = "a record to be signed is not sound";
        return DP_ERR_SIGNATURE;
    }
    memcpy(fast.un, x->unpredictable_number, sizeof fast.un);
    emv_bcd_write(amount(t), fast.amount, sizeof fast.amount);
    emv_bcd_write(x->amount.currency, fast.currency, sizeof fast.currency);
    emv_oda_input(k, &in);
    err = oda_issuer_key(&in, &issuer, why);
    if (err == DP_OK)
        err = oda_icc_key(&in, &issuer, &icc, why);
    return err != DP_OK ? err
                        : oda_fdda(&icc, emv_data_get(&k->data, 0x9F4B), &fast, &dynamic, why);
}

/* < 0: our own cryptography failed. */
static int authenticate(struct tap *t)
{
    struct dp_emv_kernel *k = t->k;
    const char *why = NULL;
    int err;
    bool possible = (k->aip[0] & AIP_DDA) != 0 && emv_data_has(&k->data, 0x9F4B);
    emv_step(k, "OFFLINE DATA AUTHENTICATION");
    if (!oda_wanted(t) || !possible) {
        emv_tvr_set(k, TVR_ODA_NOT_PERFORMED);
        t->oda = DP_EMV_AUTH_NOT_PERFORMED;
        emv_oda_result(k, DP_EMV_AUTH_NONE, t->oda,
                       oda_wanted(t) ? "the card gave no dynamic signature" : "not asked for");
        return EMV_GO_ON;
    }
    err = check_signature(t, &why);
    if (err != DP_OK && err != DP_ERR_SIGNATURE)
        return err;
    t->oda = err == DP_OK ? DP_EMV_AUTH_PASSED : DP_EMV_AUTH_FAILED;
    k->tsi[0] |= TSI_ODA;
    if (err != DP_OK)
        emv_tvr_set(k, TVR_DDA_FAILED);
    emv_oda_result(k, DP_EMV_AUTH_FDDA, t->oda, why);
    return EMV_GO_ON;
}

/* ---- cardholder verification ---- */

static void set_cvm(struct tap *t, enum dp_emv_cvm cvm, uint8_t code, uint8_t result)
{
    struct dp_emv_kernel *k = t->k;
    const uint8_t results[3] = {code, 0x00, result};
    k->result->summary.cvm = cvm;
    memcpy(k->cvm_results, results, sizeof results);
    k->tsi[0] |= TSI_CVM;
}

/*
 * What the qualifiers ask for. That the phone has verified its owner is believed only of a card
 * that proved it said so (A10, A13): an unsigned bit is no CVM where one is required.
 */
static void verify_holder(struct tap *t)
{
    bool required = emv_ttq_has(t->ttq, TTQ_CVM_REQUIRED);
    bool signature = emv_ttq_has(t->ttq, TTQ_SIGNATURE);
    emv_step(t->k, "CARDHOLDER VERIFICATION");
    if (has(t, CTQ_DEVICE_CVM) && t->oda == DP_EMV_AUTH_PASSED) {
        set_cvm(t, DP_EMV_CVM_DEVICE, 0x1F, 0x02);
    } else if (signature && (has(t, CTQ_SIGNATURE) || (required && !t->has_ctq))) {
        set_cvm(t, DP_EMV_CVM_SIGNATURE, 0x1E, 0x00);
    } else if (required || has(t, CTQ_ONLINE_PIN) || has(t, CTQ_SIGNATURE)) {
        t->cvm_failed = true;
        emv_tvr_set(t->k, TVR_CVM_FAILED);
        set_cvm(t, DP_EMV_CVM_NONE, 0x3F, 0x01);
    } else {
        set_cvm(t, DP_EMV_CVM_NONE, 0x1F, 0x02);
    }
}

/* The card is good to the last day of its month. */
static bool expired_by_month(const struct dp_emv_kernel *k)
{
    const struct dp_date_time *today = &k->transaction->local;
    const char *e = k->result->card.expiry;
    int year = 2000 + (e[0] - '0') * 10 + e[1] - '0', month = (e[2] - '0') * 10 + e[3] - '0';
    return year * 12 + month < today->year * 12 + today->month;
}

static void restrict_use(struct tap *t)
{
    bool dated = emv_data_has(&t->k->data, 0x5F24);
    t->expired = dated ? emv_expired(t->k) : expired_by_month(t->k);
    if (t->expired)
        emv_tvr_set(t->k, TVR_EXPIRED);
    t->too_early = emv_not_yet_effective(t->k);
    if (t->too_early)
        emv_tvr_set(t->k, TVR_NOT_YET_EFFECTIVE);
}

/* ---- the end ---- */

static int finish(struct tap *t, enum dp_emv_outcome outcome, enum dp_emv_reason reason,
                  const char *words)
{
    struct dp_emv_kernel *k = t->k;
    int err = k->result->emv_n > 0 ? DP_OK : emv_output(k);
    if (err < 0)
        return err;
    if (outcome == DP_EMV_TRY_OTHER_INTERFACE)
        emv_ui(k, DP_EMV_UI_INSERT_CARD);
    return emv_end(k, outcome, reason, words);
}

static int decline(struct tap *t, enum dp_emv_reason reason, const char *words)
{
    return finish(t, DP_EMV_DECLINED, reason, words);
}

/* An ARQC that no issuer answers now. What failed a check is not kept for later either. */
static int without_link(struct tap *t)
{
    const struct dp_emv_kernel *k = t->k;
    enum dp_emv_reason reason;
    const char *words;
    if (!k->transaction->deferred_allowed || !k->policy.deferred_allowed || t->cid != CID_ARQC)
        return decline(t, DP_EMV_REASON_NO_LINK, "the card wants the issuer, and there is no link");
    if (!emv_may_be_kept(k, &reason, &words))
        return decline(t, reason, words);
    return finish(t, DP_EMV_DEFERRED, DP_EMV_REASON_NO_LINK, "no link: ARQC kept");
}

static int go_online(struct tap *t)
{
    struct dp_emv_kernel *k = t->k;
    struct dp_emv_result *r = k->result;
    struct dp_emv_online_answer answer;
    struct dp_emv_online_request request = {&r->summary, &r->card, {NULL, 0}};
    int err;
    if (!k->transaction->online_possible)
        return without_link(t);
    err = emv_output(k);
    if (err < 0)
        return err;
    request.emv = (struct dp_bytes){r->emv, r->emv_n};
    memset(&answer, 0, sizeof answer);
    emv_ui(k, DP_EMV_UI_GOING_ONLINE);
    emv_step(k, "ONLINE");
    r->went_online = true;
    err = k->ops->online(k->ops->ctx, &request, &answer);
    if (err < 0)
        return err;
    if (!answer.online)
        return without_link(t);
    return answer.approved
               ? finish(t, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE, "approved by the issuer")
               : decline(t, DP_EMV_REASON_ISSUER_DECLINED, "declined by the issuer");
}

/* Flags stay on it: failed authentication, an unproven CDCVM. */
static int decide_online(struct tap *t)
{
    const struct dp_emv_kernel *k = t->k;
    if (t->oda == DP_EMV_AUTH_FAILED && k->transaction->oda_failure_declines)
        return decline(t, DP_EMV_REASON_NOT_AUTHENTICATED,
                       k->result->summary.authentication_reason);
    if (t->cvm_failed && !has(t, CTQ_DEVICE_CVM))
        return decline(t, DP_EMV_REASON_CVM, "a cardholder verification is needed, there is none");
    return go_online(t);
}

static int offline_not_authenticated(struct tap *t)
{
    const struct dp_emv_kernel *k = t->k;
    const char *why = k->result->summary.authentication_reason;
    if (k->transaction->oda_failure_declines)
        return decline(t, DP_EMV_REASON_NOT_AUTHENTICATED, why);
    if (has(t, CTQ_ONLINE_IF_ODA_FAILS) && k->transaction->online_possible)
        return decide_online(t);
    if (has(t, CTQ_SWITCH_IF_ODA_FAILS) && emv_ttq_has(t->ttq, TTQ_CONTACT_CHIP))
        return finish(t, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_NOT_AUTHENTICATED, why);
    return decline(t, DP_EMV_REASON_NOT_AUTHENTICATED, why);
}

/* A sale split in two is one against the ceilings, as with the contact kernel. What the card paid
 * before is known only when its cryptogram is there. */
static bool over_with_sales_before(const struct tap *t)
{
    const struct dp_emv_kernel *k = t->k;
    uint64_t ceiling = k->transaction->kernel3_offline_max;
    if (k->aid->cl_floor_limit < ceiling)
        ceiling = k->aid->cl_floor_limit;
    return amount(t) > ceiling || k->policy.card_amount > ceiling - amount(t);
}

/* In the slot the issuer can be asked. */
static int decline_split(struct tap *t)
{
    static const char words[] = "over the limit with what this card paid before";
    if (emv_ttq_has(t->ttq, TTQ_CONTACT_CHIP))
        return finish(t, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_OVER_LIMIT, words);
    return decline(t, DP_EMV_REASON_OVER_LIMIT, words);
}

/* The card says TC: taken only where nothing speaks against it. */
static int decide_offline(struct tap *t)
{
    const struct dp_emv_kernel *k = t->k;
    const struct dp_emv_transaction *x = k->transaction;
    if (t->oda != DP_EMV_AUTH_PASSED)
        return offline_not_authenticated(t);
    if (t->expired)
        return has(t, CTQ_ONLINE_IF_EXPIRED) && x->online_possible
                   ? decide_online(t)
                   : decline(t, DP_EMV_REASON_EXPIRED, "the card has expired");
    if (t->too_early)
        return decline(t, DP_EMV_REASON_TERMINAL_DECLINED, "the card is not yet valid");
    if (t->cvm_failed)
        return decline(t, DP_EMV_REASON_CVM, "a cardholder verification is needed, there is none");
    if (emv_ttq_has(t->ttq, TTQ_ONLINE_CRYPTOGRAM) || amount(t) > x->kernel3_offline_max)
        return decline(t, DP_EMV_REASON_OVER_LIMIT,
                       "a TC although an online cryptogram was asked for");
    if (!x->offline_allowed || !k->policy.offline_allowed || emv_tvr_has(k, TVR_EXCEPTION_FILE))
        return decline(t, DP_EMV_REASON_POLICY, "the policy permits no offline approval");
    if (over_with_sales_before(t))
        return decline_split(t);
    return finish(t, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE,
                  "approved offline, authenticated by fDDA 01");
}

static int decide(struct tap *t)
{
    if (t->cid == CID_AAC)
        return decline(t, DP_EMV_REASON_CARD_DECLINED, "the card declines (AAC)");
    if (t->k->policy.verdict != DP_EMV_POLICY_GO_ON)
        return decline(t, DP_EMV_REASON_POLICY, "declined by policy once the card was known");
    if (t->cid == CID_TC)
        return decide_offline(t);
    if (t->cid == CID_ARQC)
        return decide_online(t);
    return decline(t, DP_EMV_REASON_CARD_ERROR, "a cryptogram of no known type");
}

/* ---- the kernel ---- */

/* Without these two the answer would be bound to nothing of ours. */
static bool pdol_is_usable(const struct dp_emv_kernel *k)
{
    struct dp_bytes pdol = emv_data_get(&k->data, 0x9F38);
    uint8_t n = 0;
    return dp_tlv_dol_has(pdol, 0x9F66, &n) && n == 4 && dp_tlv_dol_has(pdol, 0x9F37, NULL);
}

int emv_kernel3(struct dp_emv_kernel *k, const uint8_t ttq[4])
{
    struct tap t = {.k = k, .ttq = ttq};
    int next;
    DP_ASSERT(k->aid != NULL);
    DP_ASSERT(k->aid->kernel == 3);
    DP_ASSERT(!emv_ttq_has(ttq, TTQ_MSD));
    if (!pdol_is_usable(k))
        return EMV_SELECT_NEXT;
    next = emv_data_set(&k->data, 0x9F66, EMV_FROM_TERMINAL, ttq, 4);
    /* what the card is told, and its cryptogram covers, is what the issuer must be told too: no
     * check has been made yet, and none changes it */
    if (next == EMV_GO_ON && dp_tlv_dol_has(emv_data_get(&k->data, 0x9F38), 0x95, NULL))
        next = emv_data_set(&k->data, 0x95, EMV_FROM_TERMINAL, k->tvr, sizeof k->tvr);
    if (next == EMV_GO_ON)
        next = initiate(&t);
    if (next == EMV_GO_ON)
        next = read_card(&t);
    if (next == EMV_GO_ON && t.cid != CID_AAC)
        next = authenticate(&t);
    if (next != EMV_GO_ON)
        return next;
    if (t.cid != CID_AAC) {
        restrict_use(&t);
        verify_holder(&t);
    }
    return decide(&t);
}
