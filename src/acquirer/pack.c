/* SPDX-License-Identifier: Apache-2.0 */
/* One record to its message, as the table in docs/PROTOCOL.acquirer has it. */
#include <stdio.h>
#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "base/secret.h"
#include "base/writer.h"
#include "state.h"

#define CVM_SIGNATURE 1
#define TRACK2_MAX    19 /* bytes of tag 57 */
#define DE48_MAX      256

int mac_of(struct dp_acquirer *a, const uint8_t ksn[DP_KSN_BYTES], bool answer,
           struct dp_bytes covered, uint8_t mac[16])
{
    uint8_t digest[32];
    size_t n = 0;
    if (psa_hash_compute(PSA_ALG_SHA_256, covered.p, covered.n, digest, sizeof digest, &n) !=
        PSA_SUCCESS)
        return DP_ERR_CRYPTO;
    return dp_hsm_dukpt_mac(a->config.hsm, ksn, answer, digest, mac);
}

int seal_message(struct dp_acquirer *a, struct dp_iso8583_message *m, uint8_t *out, size_t max,
                 size_t *n, uint8_t *masked)
{
    uint8_t ksn[DP_KSN_BYTES], mac[16] = {0};
    size_t mac_n = a->config.mac_len;
    int err = a->config.hsm == NULL ? DP_ERR_TOKEN : dp_hsm_dukpt_next(a->config.hsm, ksn);
    if (err < 0)
        return err;
    dp_iso8583_set(m, 53, ksn, sizeof ksn);
    err = dp_iso8583_pack(a->layout, m, (unsigned)mac_n, out, max, n, NULL);
    if (err < 0)
        return err;
    DP_ASSERT(*n > mac_n);
    err = mac_of(a, ksn, false, (struct dp_bytes){out, *n - mac_n}, mac);
    if (err == DP_OK) {
        memcpy(out + *n - mac_n, mac, mac_n);
        if (masked != NULL)
            err = dp_iso8583_mask(a->layout, out, *n, masked);
    }
    if (err < 0)
        dp_wipe(out, *n);
    return err;
}

/* ---- what the elements hold ---- */

static void set_point_of_service(struct dp_iso8583_message *m, bool contactless, uint32_t cvm)
{
    char text[13];
    bool signature = cvm == CVM_SIGNATURE;
    int n = snprintf(text, sizeof text, "500401%c%c%c240", contactless ? 'C' : '5',
                     signature ? '5' : '0', signature ? '4' : '0');
    DP_ASSERT(n == 12);
    dp_iso8583_set(m, 22, text, 12);
}

static void add_number(struct dp_writer *w, uint8_t tag, uint64_t value, size_t bytes)
{
    dp_write_u8(w, tag);
    dp_write_u8(w, (uint8_t)bytes);
    while (bytes-- > 0)
        dp_write_u8(w, (uint8_t)(value >> 8 * bytes));
}

static void add_bytes(struct dp_writer *w, uint8_t tag, const void *p, size_t n)
{
    dp_write_u8(w, tag);
    dp_write_u8(w, (uint8_t)n);
    dp_write_bytes(w, p, n);
}

static uint32_t date_bcd(uint32_t date)
{
    uint32_t bcd = 0;
    for (unsigned shift = 0; shift < 32; shift += 4) {
        bcd |= date % 10 << shift;
        date /= 10;
    }
    return bcd;
}

static void set_private_data(const struct dp_acquirer *a, struct dp_iso8583_message *m,
                             const struct message *s, const struct dp_record *r, uint32_t repeat)
{
    uint8_t out[DE48_MAX];
    struct dp_writer w;
    dp_writer_init(&w, out, sizeof out);
    if (s->parcel[0] != '\0')
        add_bytes(&w, DP_DE48_PARCEL, s->parcel, strlen(s->parcel));
    add_number(&w, DP_DE48_MODE, s->mode, 1);
    add_number(&w, DP_DE48_BATCH, s->batch, 4);
    add_bytes(&w, DP_DE48_TX, s->tx, sizeof s->tx);
    add_bytes(&w, DP_DE48_JOURNAL, a->config.journal, sizeof a->config.journal);
    if (s->business_date != 0)
        add_number(&w, DP_DE48_BUSINESS_DATE, date_bcd(s->business_date), 4);
    if (s->mode == DP_MODE_DEFERRED && r->deferred_until != 0)
        add_number(&w, DP_DE48_DEFERRED_UNTIL, r->deferred_until, 8);
    if (repeat > 0)
        add_number(&w, DP_DE48_REPEAT, repeat > 255 ? 255 : repeat, 1);
    DP_ASSERT(w.err == DP_OK);
    dp_iso8583_set(m, 48, out, w.n);
}

/* Tag 57 as digits: D separates, F pads. */
static int set_track2(struct dp_iso8583_message *m, struct dp_bytes track2)
{
    char text[2 * TRACK2_MAX];
    size_t n = 0;
    int err = DP_OK;
    if (track2.n > TRACK2_MAX)
        return DP_ERR_RANGE;
    for (size_t i = 0; i < 2 * track2.n; i++)
        text[n++] = "0123456789ABCDEF"[i % 2 == 0 ? track2.p[i / 2] >> 4 : track2.p[i / 2] & 0x0F];
    if (n > 0 && text[n - 1] == 'F')
        n--;
    for (size_t i = 0; i < n && err == DP_OK; i++)
        if (text[i] > '9' && text[i] != 'D')
            err = DP_ERR_FORMAT;
    if (err == DP_OK)
        dp_iso8583_set(m, 35, text, n);
    dp_wipe(text, sizeof text);
    return err;
}

/* DE2, 14, 23, 35: the card's data in clear, for an acquirer that wants it so. */
static int set_clear_card(struct dp_iso8583_message *m, const struct dp_acquirer_card *card,
                          bool request)
{
    if (card->pan[0] == '\0')
        return DP_ERR_MISSING;
    dp_iso8583_set_text(m, 2, card->pan);
    if (card->expiry[0] != '\0')
        dp_iso8583_set_text(m, 14, card->expiry);
    if (card->has_sequence)
        dp_iso8583_set_number(m, 23, card->sequence, 3);
    /* a request only: after authorisation nobody may have track 2 any more */
    return request && card->track2.n > 0 ? set_track2(m, card->track2) : DP_OK;
}

/* DE120: each blob behind its length; track 2 travels sealed only for a deferred authorisation. */
static int set_sealed_card(struct dp_iso8583_message *m, const struct dp_acquirer_card *card,
                           bool deferred_request)
{
    uint8_t out[2 * (DP_SEALED_MAX + 2)];
    struct dp_writer w;
    if (card->sealed_pan.n == 0)
        return DP_ERR_MISSING;
    dp_writer_init(&w, out, sizeof out);
    dp_write_u16(&w, (uint16_t)card->sealed_pan.n);
    dp_write_bytes(&w, card->sealed_pan.p, card->sealed_pan.n);
    if (deferred_request && card->sealed_track2.n > 0) {
        dp_write_u16(&w, (uint16_t)card->sealed_track2.n);
        dp_write_bytes(&w, card->sealed_track2.p, card->sealed_track2.n);
    }
    if (w.err != DP_OK)
        return DP_ERR_RANGE;
    dp_iso8583_set(m, 120, out, w.n);
    return DP_OK;
}

static int set_card(const struct dp_acquirer *a, struct dp_iso8583_message *m,
                    const struct message *s, const struct dp_acquirer_card *card)
{
    bool request = s->kind == MESSAGE_REQUEST;
    if (card == NULL || card->emv.n == 0)
        return DP_ERR_MISSING;
    set_point_of_service(m, card->contactless, card->cvm);
    dp_iso8583_set(m, 55, card->emv.p, card->emv.n);
    if (a->config.clear_card)
        return set_clear_card(m, card, request);
    return set_sealed_card(m, card, request && s->mode == DP_MODE_DEFERRED);
}

/* What every message of a transaction has. */
static void set_common(struct dp_iso8583_message *m, const struct message *s)
{
    dp_iso8583_set_text(m, 3, "000000");
    dp_iso8583_set_number(m, 4, (uint64_t)s->amount.minor, 12);
    dp_iso8583_set_text(m, 7, s->de7);
    dp_iso8583_set_number(m, 11, s->stan, 6);
    dp_iso8583_set_text(m, 12, s->de12);
    dp_iso8583_set_number(m, 24, s->function, 3);
    dp_iso8583_set_text(m, 37, s->rrn);
    dp_iso8583_set_text(m, 41, s->tid);
    dp_iso8583_set_text(m, 42, s->mid);
    dp_iso8583_set_number(m, 49, s->amount.currency, 3);
    if (s->kind != MESSAGE_REQUEST)
        dp_iso8583_set_number(m, 25, s->msg_reason, 4);
    if (s->kind == MESSAGE_ADVICE && s->auth_code[0] != '\0')
        dp_iso8583_set_text(m, 38, s->auth_code);
}

int dp_acquirer_pack(struct dp_acquirer *a, const struct dp_record *r,
                     const struct dp_acquirer_card *card, uint32_t repeat, uint8_t *out, size_t max,
                     size_t *n, uint8_t *masked)
{
    struct dp_iso8583_message m;
    struct message *s = find_packed(a, r->tx, r->stan, r->mti);
    int err = DP_OK;
    *n = 0;
    if (s == NULL || (s->state != STATE_OPEN && s->state != STATE_QUEUED))
        return DP_ERR_STATE; /* what no record stands for, or what has ended, is not sent */
    if (s->kind == MESSAGE_REQUEST && repeat > 0)
        return DP_ERR_ARG; /* a 1200 is never repeated */
    dp_iso8583_init(&m, s->mti + (repeat > 0 ? 1 : 0));
    set_common(&m, s);
    set_private_data(a, &m, s, r, repeat);
    if (s->kind == MESSAGE_REVERSAL) {
        dp_iso8583_set_original(&m, &s->original);
        set_point_of_service(&m, s->interface == 2, s->cvm);
    } else {
        err = set_card(a, &m, s, card);
    }
    if (err == DP_OK)
        err = seal_message(a, &m, out, max, n, masked);
    dp_iso8583_wipe(&m);
    if (err < 0)
        *n = 0;
    else
        s->awaiting = true;
    return err;
}
