/* SPDX-License-Identifier: Apache-2.0 */
/* Read application data: EMV 4.4 Book 3, 10.2. */
#include "contact.h"

#include <string.h>

#include "base/assert.h"
#include "base/pan.h"

#define INS_READ_RECORD 0xB2
#define SFI_EMV_MAX     10 /* files above are the scheme's or issuer's own: read, not understood */
#define SFI_MAX         30

struct afl_entry {
    uint8_t sfi, first, last, signed_n;
};

/* Nothing of an entry may be other than the book allows. */
static int read_entry(const uint8_t p[4], struct afl_entry *e)
{
    e->sfi = p[0] >> 3;
    e->first = p[1];
    e->last = p[2];
    e->signed_n = p[3];
    if ((p[0] & 7) != 0 || e->sfi < 1 || e->sfi > SFI_MAX || e->first == 0 || e->last < e->first)
        return DP_ERR_RANGE;
    return e->signed_n > e->last - e->first + 1 ? DP_ERR_RANGE : DP_OK;
}

int emv_afl_keep(struct dp_emv_kernel *k, struct dp_bytes afl)
{
    struct afl_entry e;
    size_t records = 0;
    k->afl_n = 0;
    if (afl.n == 0)
        return DP_ERR_MISSING;
    if (afl.n % 4 != 0)
        return DP_ERR_FORMAT;
    if (afl.n > sizeof k->afl)
        return DP_ERR_LIMIT;
    for (size_t at = 0; at < afl.n; at += 4) {
        int err = read_entry(afl.p + at, &e);
        if (err < 0)
            return err;
        records += (size_t)(e.last - e.first) + 1;
    }
    if (records > DP_EMV_RECORDS_MAX)
        return DP_ERR_LIMIT;
    memcpy(k->afl, afl.p, afl.n);
    k->afl_n = afl.n;
    return DP_OK;
}

/* Only what is inside the template is signed in files 1 to 10, the whole record in others. */
static void keep_signed(struct dp_emv_kernel *k, struct dp_bytes record)
{
    if (record.n > sizeof k->signed_records - k->signed_records_n) {
        k->signed_records_bad = true;
        return;
    }
    memcpy(k->signed_records + k->signed_records_n, record.p, record.n);
    k->signed_records_n += record.n;
}

/* The one template 70 a record must be. */
static int record_template(struct dp_bytes data, struct dp_bytes *inside)
{
    struct dp_tlv t;
    size_t at = 0;
    int err = dp_tlv_next(data, &at, &t);
    if (err == DP_ERR_NOT_FOUND)
        return DP_ERR_MISSING;
    if (err < 0)
        return err;
    if (t.tag != 0x70)
        return DP_ERR_FORMAT;
    *inside = t.value;
    return at != data.n ? DP_ERR_TRAILING : DP_OK;
}

static int take_record(struct dp_emv_kernel *k, uint8_t sfi, bool is_signed, struct dp_bytes data)
{
    struct dp_bytes inside;
    int err = record_template(data, &inside);
    if (sfi > SFI_EMV_MAX) {
        if (is_signed && err < 0)
            k->signed_records_bad = true; /* EMV 4.4 Book 3, 10.3 */
        else if (is_signed)
            keep_signed(k, data);
        return DP_OK;
    }
    if (err == DP_OK && is_signed)
        keep_signed(k, inside);
    return err < 0 ? err : emv_data_take_row(&k->data, inside, EMV_FROM_CARD);
}

static int read_record(struct dp_emv_kernel *k, uint8_t sfi, uint8_t number, bool is_signed)
{
    struct dp_apdu c = {0x00, INS_READ_RECORD, number, (uint8_t)(sfi << 3 | 4), {NULL, 0}, 0};
    struct dp_apdu_answer a;
    int err, rc = emv_command(k, &c, &a);
    if (rc != EMV_GO_ON)
        return rc;
    if (a.sw != 0x9000)
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR, "READ RECORD: the card refuses");
    err = take_record(k, sfi, is_signed, a.data);
    return err < 0 ? emv_end_card_data(k, "record", err) : EMV_GO_ON;
}

/* The static data authentication tag list may name the AIP alone, which is signed last. */
static void keep_signed_tags(struct dp_emv_kernel *k)
{
    struct dp_bytes tags = emv_data_get(&k->data, 0x9F4A);
    if (tags.n == 0)
        return;
    if (tags.n == 1 && tags.p[0] == 0x82)
        keep_signed(k, (struct dp_bytes){k->aip, sizeof k->aip});
    else
        k->signed_records_bad = true;
}

int emv_records_read(struct dp_emv_kernel *k)
{
    struct afl_entry e;
    emv_step(k, "READ RECORD");
    for (size_t at = 0; at < k->afl_n; at += 4) {
        DP_ASSERT(read_entry(k->afl + at, &e) == DP_OK);
        for (unsigned n = e.first; n <= e.last; n++) {
            int rc = read_record(k, e.sfi, (uint8_t)n, n - e.first < e.signed_n);
            if (rc != EMV_GO_ON)
                return rc;
        }
    }
    keep_signed_tags(k);
    return EMV_GO_ON;
}

/* ---- whose card it is ---- */

static int take_pan(struct dp_emv_kernel *k, struct dp_pan *pan)
{
    struct dp_bytes number = emv_data_get(&k->data, 0x5A);
    struct dp_bytes track2 = emv_data_get(&k->data, 0x57);
    struct dp_pan on_track;
    int err = DP_ERR_MISSING;
    memset(&on_track, 0, sizeof on_track);
    if (number.n > 0)
        err = dp_pan_from_bcd(number.p, number.n, pan);
    if (track2.n > 0 && (number.n == 0 || err == DP_OK)) {
        err = dp_pan_from_track2(track2.p, track2.n, number.n > 0 ? &on_track : pan);
        if (err == DP_OK && number.n > 0 && !dp_pan_equal(pan, &on_track))
            err = DP_ERR_MISMATCH; /* two cards in one */
    }
    dp_pan_wipe(&on_track);
    return err;
}

/* YYMMDD, or only the track's YYMM. */
static int take_expiry(struct dp_emv_kernel *k, char expiry[5])
{
    struct dp_bytes date = emv_data_get(&k->data, 0x5F24);
    uint64_t v;
    if (date.n == 0)
        return DP_OK; /* missing is found by who needs it */
    if (emv_bcd_read(date, &v) < 0 || v / 100 % 100 < 1 || v / 100 % 100 > 12)
        return DP_ERR_FORMAT;
    for (size_t i = 0; i < 4; i++)
        expiry[i] = (char)('0' + (date.p[i / 2] >> (i % 2 == 0 ? 4 : 0) & 0x0F));
    expiry[4] = '\0';
    return DP_OK;
}

static void take_account_reference(struct dp_emv_kernel *k, char par[30])
{
    struct dp_bytes v = emv_data_get(&k->data, 0x9F24);
    memset(par, 0, 30);
    for (size_t i = 0; i < v.n; i++)
        if (!((v.p[i] >= '0' && v.p[i] <= '9') || (v.p[i] >= 'A' && v.p[i] <= 'Z')))
            return;
    if (v.n == 29)
        memcpy(par, v.p, v.n);
}

int emv_card_data_fill(struct dp_emv_kernel *k)
{
    struct dp_emv_card_data *card = &k->result->card;
    struct dp_emv_summary *s = &k->result->summary;
    struct dp_bytes sequence = emv_data_get(&k->data, 0x5F34);
    struct dp_bytes track2 = emv_data_get(&k->data, 0x57);
    struct dp_pan pan;
    struct dp_pan_short shown;
    uint64_t v;
    int err;
    memset(&pan, 0, sizeof pan);
    err = take_pan(k, &pan);
    if (err < 0)
        return emv_end_card_data(k, "PAN", err);
    for (size_t i = 0; i < pan.n; i++)
        card->pan[i] = (char)('0' + pan.digits[i]);
    card->pan[pan.n] = '\0';
    dp_pan_shorten(&pan, &shown);
    memcpy(s->bin, shown.bin, sizeof s->bin);
    memcpy(s->last4, shown.last4, sizeof s->last4);
    dp_pan_wipe(&pan);
    err = take_expiry(k, card->expiry);
    if (err < 0)
        return emv_end_card_data(k, "expiry date", err);
    if (sequence.n > 0 && emv_bcd_read(sequence, &v) < 0)
        return emv_end_card_data(k, "PAN sequence number", DP_ERR_FORMAT);
    card->has_sequence = sequence.n > 0;
    card->sequence = sequence.n > 0 ? (uint8_t)v : 0;
    DP_ASSERT(track2.n <= sizeof card->track2);
    if (track2.n > 0)
        memcpy(card->track2, track2.p, track2.n);
    card->track2_n = (uint8_t)track2.n;
    take_account_reference(k, s->par);
    return EMV_GO_ON;
}

/* ---- what must be there before the card is asked for a cryptogram ---- */

int emv_lists_check(struct dp_emv_kernel *k)
{
    static const struct {
        uint32_t tag;
        bool mandatory;
        const char *name;
    } wanted[] = {
        {0x5A, true, "PAN"},   {0x5F24, true, "expiry date"}, {0x8C, true, "CDOL1"},
        {0x8D, true, "CDOL2"}, {0x9F49, false, "DDOL"},       {0x97, false, "TDOL"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct dp_bytes v = emv_data_get(&k->data, wanted[i].tag);
        int err = DP_OK;
        if (v.n == 0 && wanted[i].mandatory)
            err = DP_ERR_MISSING;
        else if (i >= 2)
            err = emv_dol_check(v);
        if (err < 0)
            return emv_end_card_data(k, wanted[i].name, err);
    }
    return EMV_GO_ON;
}
