/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The card's own list of its applications, the payment system environment: EMV 4.4 Book 1, section
 * 12. Older cards have directories in their directories (tag 9D): they are read one after another,
 * each once, at most DP_EMV_DIRECTORIES_MAX of them, by DP_EMV_RECORDS_MAX commands in all. Of a
 * card that has more nothing is taken: a choice from which some were left out would be none, and
 * the terminal's own list finds them all.
 */
#include "contact.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "names.h"

#define INS_READ_RECORD 0xB2
#define SW_BLOCKED_CARD 0x6A81 /* or no SELECT at all */
#define SW_NO_RECORD    0x6A83
#define NOT_USABLE      3 /* this directory is none: beside EMV_GO_ON and EMV_OVER */

static const uint8_t pse_name[] = {'1', 'P', 'A', 'Y', '.', 'S', 'Y',
                                   'S', '.', 'D', 'D', 'F', '0', '1'};

struct directories {
    struct {
        uint8_t p[16];
        uint8_t n;
    } names[DP_EMV_DIRECTORIES_MAX];
    size_t n;
    unsigned records_left;
    bool more; /* the card has more of them, or more records, than are read */
};

/* A directory to be read later; one known already is passed over. */
static void add_directory(struct directories *d, struct dp_bytes name)
{
    if (name.n < 5 || name.n > sizeof d->names[0].p)
        return;
    for (size_t i = 0; i < d->n; i++)
        if (d->names[i].n == name.n && memcmp(d->names[i].p, name.p, name.n) == 0)
            return;
    d->more = d->more || d->n == DP_EMV_DIRECTORIES_MAX;
    if (d->more)
        return;
    memcpy(d->names[d->n].p, name.p, name.n);
    d->names[d->n++].n = (uint8_t)name.n;
}

static int directory_entry(struct dp_emv_kernel *k, struct directories *d,
                           const struct dp_tlv *entry)
{
    struct dp_bytes name;
    int err = dp_tlv_find(entry->value, 0x4F, &name);
    if (err == DP_OK) {
        emv_candidate_add(k, name, entry->value);
        return DP_OK;
    }
    if (err == DP_ERR_NOT_FOUND && dp_tlv_find(entry->value, 0x9D, &name) == DP_OK)
        add_directory(d, name);
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

static int directory_record(struct dp_emv_kernel *k, struct directories *d, struct dp_bytes data)
{
    struct dp_tlv t;
    struct dp_bytes row;
    size_t at = 0;
    int err = dp_tlv_find(data, 0x70, &row);
    if (err < 0)
        return err;
    while ((err = dp_tlv_next(row, &at, &t)) == DP_OK) {
        err = t.tag == 0x61 ? directory_entry(k, d, &t) : DP_OK;
        if (err < 0)
            return err;
    }
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

/* The short file identifier of the directory, 0 when there is none to be read; and what the first
 * one says of languages and alphabet. */
static uint8_t take_control_information(struct dp_emv_kernel *k, struct dp_bytes fci, bool first)
{
    struct dp_bytes inner, proprietary, sfi, v;
    if (dp_tlv_find(fci, 0x6F, &inner) < 0 || dp_tlv_find(inner, 0xA5, &proprietary) < 0 ||
        dp_tlv_find(proprietary, 0x88, &sfi) < 0 || sfi.n != 1)
        return 0;
    if (first && dp_tlv_find(proprietary, 0x5F2D, &v) == DP_OK) {
        emv_languages_take(v, k->languages);
        memcpy(k->result->summary.languages, k->languages, sizeof k->languages);
    }
    if (first && dp_tlv_find(proprietary, 0x9F11, &v) == DP_OK && v.n == 1)
        k->code_table = v.p[0];
    return sfi.p[0] <= 10 ? sfi.p[0] : 0;
}

static int read_records(struct dp_emv_kernel *k, struct directories *d, uint8_t sfi)
{
    struct dp_apdu c = {0x00, INS_READ_RECORD, 0, (uint8_t)(sfi << 3 | 4), {NULL, 0}, 0};
    struct dp_apdu_answer a;
    _Static_assert(DP_EMV_RECORDS_MAX <= UINT8_MAX, "a record's number is one byte");
    for (unsigned record = 1; d->records_left > 0; record++) {
        int rc;
        c.p1 = (uint8_t)record;
        d->records_left--;
        rc = emv_command(k, &c, &a);
        if (rc != EMV_GO_ON || a.sw == SW_NO_RECORD)
            return rc;
        if (a.sw != 0x9000 || directory_record(k, d, a.data) < 0 || d->more)
            return NOT_USABLE;
    }
    d->more = true; /* nothing said that this was the last */
    return NOT_USABLE;
}

static int read_directory(struct dp_emv_kernel *k, struct directories *d, size_t i)
{
    struct dp_bytes name = {d->names[i].p, d->names[i].n};
    struct dp_apdu_answer a;
    uint8_t sfi;
    int rc = emv_select_name(k, name, false, &a);
    if (rc != EMV_GO_ON)
        return rc;
    if (i == 0 && a.sw == SW_BLOCKED_CARD)
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_BLOCKED, "the card is blocked");
    if (a.sw != 0x9000 || (sfi = take_control_information(k, a.data, i == 0)) == 0)
        return i == 0 ? NOT_USABLE
                      : EMV_GO_ON; /* a nested one that is not there is missed by none */
    return read_records(k, d, sfi);
}

/* Whatever is wrong with the directory, the terminal's own list takes its place. */
int emv_directory_read(struct dp_emv_kernel *k)
{
    struct directories d = {.records_left = DP_EMV_RECORDS_MAX};
    add_directory(&d, (struct dp_bytes){pse_name, sizeof pse_name});
    DP_ASSERT(d.n == 1);
    for (size_t i = 0; i < d.n; i++) {
        int rc = read_directory(k, &d, i);
        if (rc == NOT_USABLE) {
            if (d.more)
                dp_log(DP_LOG_WARNING,
                       "emv: the card has more directories than %d, or more records in them than "
                       "%d commands read: its list is not used",
                       DP_EMV_DIRECTORIES_MAX, DP_EMV_RECORDS_MAX);
            k->candidates_n = 0;
            k->candidates_lost = false;
            return EMV_GO_ON;
        }
        if (rc != EMV_GO_ON)
            return rc;
    }
    return EMV_GO_ON;
}
