/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the card process says, held against what the vault knows. That process meets the card's
 * bytes and may be subverted: it can spoil a payment, but it must not be able to make one that was
 * not asked for, nor one the signed ceilings forbid (A11, A18, A28).
 */
#include <string.h>

#include <doorpay/iso8583.h>

#include "base/log.h"
#include "base/pan.h"
#include "machine.h"

#define TAG_AMOUNT     0x9F02
#define TAG_CURRENCY   0x5F2A
#define TAG_DATE       0x9A
#define TAG_TYPE       0x9C
#define TAG_UN         0x9F37
#define TAG_CID        0x9F27
#define TAG_CRYPTOGRAM 0x9F26
#define TAG_ATC        0x9F36
#define TAG_TVR        0x95
#define CID_KIND       0xC0
#define CID_TC         0x40
#define CID_ARQC       0x80
/* TVR byte 1: not performed, SDA failed, DDA failed, CDA failed (EMV 4.4 Book 3, Annex C5) */
#define TVR_ODA_MISSING 0xCC

/* The value of a tag that stands exactly once; {NULL, 0} otherwise, and when data is no EMV data.
 */
static struct dp_bytes once(struct dp_bytes data, uint32_t wanted)
{
    struct dp_bytes found = {NULL, 0}, value;
    size_t at = 0;
    uint32_t tag = 0;
    int err;
    while ((err = dp_iso8583_emv_next(data, &at, &tag, &value)) == DP_OK) {
        if (tag != wanted)
            continue;
        if (found.p != NULL)
            return (struct dp_bytes){NULL, 0};
        found = value;
    }
    return err == DP_ERR_NOT_FOUND ? found : (struct dp_bytes){NULL, 0};
}

static bool is(struct dp_bytes data, uint32_t tag, const void *wanted, size_t n)
{
    struct dp_bytes v = once(data, tag);
    return v.p != NULL && v.n == n && memcmp(v.p, wanted, n) == 0;
}

/* n BCD digits, right justified. */
static void bcd(uint64_t v, uint8_t *out, size_t n)
{
    while (n-- > 0) {
        out[n] = (uint8_t)(v % 10 | (v / 10 % 10) << 4);
        v /= 100;
    }
}

/* No element that identifies a card or a person may come this way (docs/PROTOCOL.journal, 22). */
bool claims_clean(const uint8_t *emv, size_t n)
{
    static const uint32_t never[] = {0x57, 0x5A, 0x5F20, 0x9F1F, 0x99, 0x56};
    struct dp_bytes data = {emv, n}, value;
    size_t at = 0;
    uint32_t tag = 0;
    int err;
    while ((err = dp_iso8583_emv_next(data, &at, &tag, &value)) == DP_OK)
        for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
            if (tag == never[i])
                return false;
    return err == DP_ERR_NOT_FOUND;
}

/* The card signed this payment and no other: amount, currency, date, type and the unpredictable
 * number that the vault drew (A18). */
bool claims_amount(const struct dp_payment *p, const uint8_t *emv, size_t n)
{
    const struct dp_emv_transaction *t = &p->door.transaction;
    struct dp_bytes data = {emv, n};
    uint8_t amount[6], currency[2], date[3];
    bcd((uint64_t)t->amount.minor, amount, sizeof amount);
    bcd(t->amount.currency, currency, sizeof currency);
    bcd(t->local.year % 100U * 10000U + t->local.month * 100U + t->local.day, date, sizeof date);
    return claims_clean(emv, n) && t->amount.minor == p->door.request.amount.minor &&
           is(data, TAG_AMOUNT, amount, sizeof amount) &&
           is(data, TAG_CURRENCY, currency, sizeof currency) &&
           is(data, TAG_DATE, date, sizeof date) && is(data, TAG_TYPE, &t->type, 1) &&
           is(data, TAG_UN, t->unpredictable_number, sizeof t->unpredictable_number);
}

/* The card that was judged in the second policy step, and no other. */
bool claims_same_card(const struct dp_payment *p, const struct dp_emv_summary *s)
{
    const struct dp_emv_summary *seen = &p->door.card.summary;
    return p->door.seen && s->interface == seen->interface && s->kernel == seen->kernel &&
           s->aid_n == seen->aid_n && memcmp(s->aid, seen->aid, sizeof s->aid) == 0 &&
           memcmp(s->bin, seen->bin, sizeof s->bin) == 0 &&
           memcmp(s->last4, seen->last4, sizeof s->last4) == 0;
}

/* Summary and EMV data tell of the same cryptogram, and it is of this kind. */
static bool cryptogram_is(const struct dp_emv_summary *s, struct dp_bytes data, uint8_t kind)
{
    uint8_t atc[2] = {(uint8_t)(s->atc >> 8), (uint8_t)s->atc};
    struct dp_bytes cid = once(data, TAG_CID);
    return cid.p != NULL && cid.n == 1 && (cid.p[0] & CID_KIND) == kind &&
           is(data, TAG_CRYPTOGRAM, s->cryptogram, sizeof s->cryptogram) &&
           is(data, TAG_ATC, atc, sizeof atc);
}

/* What an approval without a link needs of the card data and of the policy, whichever kind it is.
 */
static bool kept_claim(const struct dp_payment *p, const struct dp_card_outcome *o, uint8_t kind)
{
    struct dp_bytes data = {o->emv, o->emv_n};
    return p->door.policy_reason == DP_REASON_NONE && claims_same_card(p, &o->summary) &&
           memcmp(o->card_hash, p->door.card.card_hash, sizeof o->card_hash) == 0 &&
           o->sealed.pan_n > 0 && claims_amount(p, o->emv, o->emv_n) &&
           cryptogram_is(&o->summary, data, kind) && !policy_replayed(p, o->card_hash, &o->summary);
}

/* DDA and plain fDDA do not sign what kind of cryptogram it is: an AAC passes for a TC (A11). */
static bool proven(const struct dp_payment *p, const struct dp_card_outcome *o)
{
    const struct dp_emv_summary *s = &o->summary;
    struct dp_bytes tvr = once((struct dp_bytes){o->emv, o->emv_n}, TAG_TVR);
    if (s->authentication_result != DP_EMV_AUTH_PASSED)
        return false;
    if (s->kernel == 3)
        return s->authentication == DP_EMV_AUTH_FDDA &&
               (uint64_t)p->door.transaction.amount.minor <=
                   p->door.transaction.kernel3_offline_max;
    return s->authentication == DP_EMV_AUTH_CDA && tvr.p != NULL && tvr.n == 5 &&
           (tvr.p[0] & TVR_ODA_MISSING) == 0;
}

bool claims_offline(const struct dp_payment *p, const struct dp_card_outcome *o)
{
    return p->door.transaction.offline_allowed && p->door.policy_offline &&
           policy_offline(p, p->door.request.amount.minor) == DP_REASON_NONE &&
           kept_claim(p, o, CID_TC) && proven(p, o);
}

/* Nothing in the TVR that no kernel of ours keeps a cryptogram with: authentication failed, on the
 * exception list; expired, not yet valid; the holder not verified. */
static bool fit_to_be_kept(const struct dp_card_outcome *o)
{
    struct dp_bytes tvr = once((struct dp_bytes){o->emv, o->emv_n}, TAG_TVR);
    return tvr.n == 5 && (tvr.p[0] & 0x5C) == 0 && (tvr.p[1] & 0x60) == 0 &&
           (tvr.p[2] & 0x80) == 0 && o->summary.authentication_result != DP_EMV_AUTH_FAILED;
}

bool claims_deferred(const struct dp_payment *p, const struct dp_card_outcome *o)
{
    return p->door.transaction.deferred_allowed && p->door.policy_deferred &&
           policy_deferred(p, p->door.request.amount.minor) == DP_REASON_NONE &&
           fit_to_be_kept(o) && kept_claim(p, o, CID_ARQC);
}

bool claims_online(const struct dp_payment *p, const struct dp_card_outcome *o)
{
    return claims_same_card(p, &o->summary) && claims_amount(p, o->emv, o->emv_n);
}

/* Cryptogram and ATC of a record's EMV data; left as they are when it has none. */
void claims_cryptogram(const uint8_t *emv, size_t n, uint8_t cryptogram[8], uint16_t *atc)
{
    struct dp_bytes data = {emv, n};
    struct dp_bytes c = once(data, TAG_CRYPTOGRAM), a = once(data, TAG_ATC);
    if (c.n == 8)
        memcpy(cryptogram, c.p, 8);
    if (a.n == 2)
        *atc = (uint16_t)(a.p[0] << 8 | a.p[1]);
}

static void printable(char *text)
{
    for (char *c = text; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    dp_pan_mask_text(text);
}

static bool digits(const char *text, size_t n)
{
    size_t length = strlen(text);
    return (length == 0 || length == n) && strspn(text, "0123456789") == length;
}

/* Payment account reference: 29 capital letters and digits, or none. */
static bool is_account_reference(const char *par)
{
    size_t n = strlen(par);
    return n == 0 || (n == 29 && strspn(par, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == n);
}

/* The journal takes these as they are, so they are made what they should be first. */
void claims_mend(struct dp_card_outcome *o)
{
    if (!claims_clean(o->emv, o->emv_n)) {
        dp_log(DP_LOG_ERROR, "the card process gave EMV data that may not be kept");
        o->emv_n = 0;
    }
    if (!digits(o->summary.bin, 6) || !digits(o->summary.last4, 4)) {
        memset(o->summary.bin, 0, sizeof o->summary.bin);
        memset(o->summary.last4, 0, sizeof o->summary.last4);
    }
    if (o->summary.aid_n < 5)
        o->summary.aid_n = 0;
    printable(o->words);
    printable(o->summary.par); /* what looks like a card number in it is none any more */
    if (!is_account_reference(o->summary.par))
        memset(o->summary.par, 0, sizeof o->summary.par);
}
