/* SPDX-License-Identifier: Apache-2.0 */
/* Selection, records, data: the card's commands that make no cryptogram. */
#include "virtual.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/log.h"

static const uint8_t pse_name[] = "1PAY.SYS.DDF01";
static const uint8_t ppse_name[] = "2PAY.SYS.DDF01";
#define DIRECTORY_NAME 14

/* ---- the counter ---- */

static void load_counter(struct sim_card *card)
{
    unsigned atc = 0, last = 0;
    FILE *f = card->atc_path != NULL ? fopen(card->atc_path, "r") : NULL;
    if (f == NULL)
        return;
    if (fscanf(f, "%5u %5u", &atc, &last) >= 1) {
        card->atc = (uint16_t)atc;
        card->last_online_atc = (uint16_t)last;
    }
    (void)fclose(f);
}

static void store_counter(const struct sim_card *card)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%u %u\n", card->atc, card->last_online_atc);
    if (card->atc_path != NULL && sim_write_file(card->atc_path, text, (size_t)n, false) != DP_OK)
        dp_log(DP_LOG_ERROR, "%s: cannot be written", card->atc_path);
}

int sim_random(uint8_t *out, size_t n)
{
    return RAND_bytes(out, (int)n) == 1 ? DP_OK : DP_ERR_RANDOM;
}

int sim_card_make(struct sim_card *card, const char *keys, const char *atc_path)
{
    int err = DP_OK;
    for (size_t i = 0; i < card->profile.applications_n && err == DP_OK; i++)
        err = sim_personalise(&card->profile.applications[i], card->profile.contactless, keys,
                              &card->applications[i]);
    card->atc_path = atc_path;
    load_counter(card);
    return err;
}

size_t sim_card_atr(const struct sim_card *card, uint8_t atr[33])
{
    /* contactless as PC/SC part 3 has it; T=1 with 254-byte blocks; T=0 */
    static const uint8_t contactless[] = {0x3B, 0x80, 0x80, 0x01, 0x01};
    static const uint8_t t1[] = {0x3B, 0xE0, 0x00, 0x00, 0x81, 0x31, 0xFE, 0x45, 0x6B};
    static const uint8_t t0[] = {0x3B, 0x60, 0x00, 0x00};
    const struct sim_profile *p = &card->profile;
    const uint8_t *from = p->contactless ? contactless : p->t0 ? t0 : t1;
    size_t n = p->contactless ? sizeof contactless : p->t0 ? sizeof t0 : sizeof t1;
    if (p->atr_n > 0) {
        from = p->atr;
        n = p->atr_n;
    }
    memcpy(atr, from, n);
    if (p->atr_n == 0 && !p->contactless && !p->t0) {
        atr[n - 1] = 0;
        for (size_t i = 1; i < n - 1; i++)
            atr[n - 1] ^= atr[i];
    }
    return n;
}

void sim_card_reset(struct sim_card *card)
{
    card->phase = SIM_PHASE_IDLE;
    card->selected = NULL;
    card->directory = false;
    card->next = 0;
    card->pending.n = 0;
    memset(&card->t, 0, sizeof card->t);
}

/* ---- selection ---- */

static void put_element(struct sim_buf *out, const struct sim_application *a, uint32_t tag)
{
    const struct sim_element *e = sim_element(&a->elements, tag);
    if (e != NULL)
        sim_put_tlv(out, tag, e->value, e->n);
}

static void directory_entry(const struct sim_application *a, struct sim_buf *out)
{
    static struct sim_buf entry;
    entry.n = 0;
    sim_put_tlv(&entry, 0x4F, a->profile->aid, a->profile->aid_n);
    put_element(&entry, a, 0x50);
    put_element(&entry, a, 0x9F12);
    sim_put_tlv(&entry, 0x87, &a->profile->priority, 1);
    if (a->contactless) {
        static const uint8_t kernel = 3;
        sim_put_tlv(&entry, 0x9F2A, &kernel, 1);
    }
    sim_put_tlv_buf(out, 0x61, &entry);
}

static void directory_entries(const struct sim_card *card, struct sim_buf *out)
{
    for (size_t i = 0; i < card->profile.applications_n; i++)
        directory_entry(&card->applications[i], out);
}

static uint16_t select_directory(struct sim_card *card, struct sim_buf *out)
{
    static struct sim_buf fci, proprietary, discretionary;
    static const uint8_t sfi = 1;
    bool contactless = card->profile.contactless;
    fci.n = proprietary.n = discretionary.n = 0;
    sim_put_tlv(&fci, 0x84, contactless ? ppse_name : pse_name, DIRECTORY_NAME);
    if (contactless) {
        directory_entries(card, &discretionary);
        sim_put_tlv_buf(&proprietary, 0xBF0C, &discretionary);
    } else {
        sim_put_tlv(&proprietary, 0x88, &sfi, 1);
        put_element(&proprietary, &card->applications[0], 0x5F2D);
    }
    sim_put_tlv_buf(&fci, 0xA5, &proprietary);
    sim_put_tlv_buf(out, 0x6F, &fci);
    card->directory = !contactless;
    return 0x9000;
}

static void put_fci(const struct sim_application *a, struct sim_buf *out)
{
    static const uint32_t tags[] = {0x9F38, 0x5F2D, 0x9F11, 0x9F12};
    static struct sim_buf fci, proprietary;
    fci.n = proprietary.n = 0;
    sim_put_tlv(&fci, 0x84, a->profile->aid, a->profile->aid_n);
    put_element(&proprietary, a, 0x50);
    sim_put_tlv(&proprietary, 0x87, &a->profile->priority, 1);
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        put_element(&proprietary, a, tags[i]);
    put_element(&proprietary, a, 0xBF0C);
    sim_put_tlv_buf(&fci, 0xA5, &proprietary);
    sim_put_tlv_buf(out, 0x6F, &fci);
}

static uint16_t select_command(struct sim_card *card, const struct sim_apdu *c, struct sim_buf *out)
{
    bool next = (c->p2 & 3) == 2;
    size_t i = next ? card->next : 0;
    bool blocked = card->application_blocked;
    if (card->card_blocked)
        return 0x6A81;
    if (c->p1 != 4 || c->n < 5 || c->n > 16)
        return 0x6A86;
    sim_card_reset(card);
    if (c->n == DIRECTORY_NAME &&
        memcmp(c->data, card->profile.contactless ? ppse_name : pse_name, DIRECTORY_NAME) == 0)
        return card->profile.has_pse ? select_directory(card, out) : 0x6A82;
    for (; i < card->profile.applications_n; i++) {
        struct sim_application *a = &card->applications[i];
        if (c->n > a->profile->aid_n || memcmp(c->data, a->profile->aid, c->n) != 0)
            continue;
        card->next = i + 1;
        card->selected = a;
        card->phase = SIM_PHASE_SELECTED;
        put_fci(a, out);
        return blocked ? 0x6283 : 0x9000;
    }
    return 0x6A82;
}

/* ---- records and data ---- */

static uint16_t read_record(struct sim_card *card, const struct sim_apdu *c, struct sim_buf *out)
{
    static struct sim_buf entries;
    const struct sim_application *a = card->selected;
    uint8_t sfi = c->p2 >> 3;
    if ((c->p2 & 7) != 4)
        return 0x6A86;
    if (card->directory && sfi == 1) {
        if (c->p1 != 1)
            return 0x6A83;
        entries.n = 0;
        directory_entries(card, &entries);
        sim_put_tlv_buf(out, 0x70, &entries);
        return 0x9000;
    }
    if (a == NULL || card->phase < SIM_PHASE_INITIATED)
        return 0x6985;
    for (size_t i = 0; i < a->records_n; i++) {
        if (a->records[i].sfi == sfi && a->records[i].number == c->p1) {
            sim_record_pack(a, &a->records[i], &card->t.made, out);
            return 0x9000;
        }
    }
    return 0x6A83;
}

static uint16_t get_data(struct sim_card *card, const struct sim_apdu *c, struct sim_buf *out)
{
    uint32_t tag = (uint32_t)c->p1 << 8 | c->p2;
    uint8_t counter[2];
    uint16_t value = tag == 0x9F36 ? card->atc : card->last_online_atc;
    if (card->selected == NULL)
        return 0x6985;
    if (tag == 0x9F36 || tag == 0x9F13) {
        counter[0] = (uint8_t)(value >> 8);
        counter[1] = (uint8_t)value;
        sim_put_tlv(out, tag, counter, 2);
        return 0x9000;
    }
    if (tag == 0x9F17 && sim_element(&card->selected->elements, tag) == NULL) {
        static const uint8_t tries = 3;
        sim_put_tlv(out, tag, &tries, 1);
        return 0x9000;
    }
    if (sim_element(&card->selected->elements, tag) == NULL)
        return 0x6A88;
    put_element(out, card->selected, tag);
    return 0x9000;
}

void sim_dol_value(const struct sim_element *dol, const uint8_t *values, uint32_t tag, uint8_t *out,
                   size_t n)
{
    size_t offset, length;
    memset(out, 0, n);
    if (dol != NULL && sim_dol_find(dol->value, dol->n, tag, &offset, &length) && length == n)
        memcpy(out, values + offset, n);
}

/* ---- GET PROCESSING OPTIONS ---- */

static bool take_pdol(struct sim_card *card, const struct sim_apdu *c)
{
    const struct sim_element *pdol = sim_element(&card->selected->elements, 0x9F38);
    size_t wanted = pdol != NULL ? sim_dol_length(pdol->value, pdol->n) : 0;
    struct sim_tlv e;
    if (sim_tlv_find(c->data, c->n, 0x83, &e) != DP_OK || e.n != wanted ||
        wanted > sizeof card->t.pdol)
        return false;
    memcpy(card->t.pdol, c->data + e.value, e.n);
    card->t.pdol_n = e.n;
    return true;
}

uint16_t sim_initiate(struct sim_card *card, const struct sim_apdu *c, struct sim_buf *out)
{
    static struct sim_buf body;
    const struct sim_application *a = card->selected;
    const struct sim_element *aip;
    if (card->phase != SIM_PHASE_SELECTED || card->atc == 0xFFFF || card->application_blocked)
        return 0x6985;
    if (!take_pdol(card, c))
        return 0x6700;
    card->atc++;
    store_counter(card);
    card->phase = SIM_PHASE_INITIATED;
    if (a->contactless && !a->profile->stripe)
        return sim_contactless(card, out);
    aip = sim_element(&a->elements, 0x82);
    body.n = 0;
    if (a->profile->format1) {
        sim_put(&body, aip->value, aip->n);
        sim_put(&body, a->afl, a->afl_n);
        sim_put_tlv_buf(out, 0x80, &body);
    } else {
        sim_put_tlv(&body, 0x82, aip->value, aip->n);
        sim_put_tlv(&body, 0x94, a->afl, a->afl_n);
        if (a->profile->stripe)
            sim_put_tlv(&body, 0x57, sim_element(&a->elements, 0x57)->value,
                        sim_element(&a->elements, 0x57)->n);
        sim_put_tlv_buf(out, 0x77, &body);
    }
    return 0x9000;
}

/* ---- one command ---- */

static uint16_t get_challenge(struct sim_buf *out)
{
    uint8_t challenge[8];
    if (sim_random(challenge, sizeof challenge) != DP_OK)
        return 0x6F00;
    sim_put(out, challenge, sizeof challenge);
    return 0x9000;
}

static uint16_t issuer_auth_and_store(struct sim_card *card, const struct sim_apdu *c)
{
    uint16_t sw = sim_external_authenticate(card, c);
    store_counter(card);
    return sw;
}

static uint16_t cryptogram_and_store(struct sim_card *card, const struct sim_apdu *c,
                                     struct sim_buf *out)
{
    uint16_t sw = sim_generate_ac(card, c, out);
    store_counter(card);
    return sw;
}

static uint16_t dispatch(struct sim_card *card, const struct sim_apdu *c, struct sim_buf *out)
{
    if ((c->cla & 0x0F) == 4)
        return sim_issuer_command(card, c);
    switch (c->cla << 8 | c->ins) {
    case 0x00A4:
        return select_command(card, c, out);
    case 0x00B2:
        return read_record(card, c, out);
    case 0x0084:
        return get_challenge(out);
    case 0x0088:
        return sim_internal_authenticate(card, c, out);
    case 0x0082:
        return issuer_auth_and_store(card, c);
    case 0x0020:
        return 0x6983; /* VERIFY: there is no PIN to try */
    case 0x80A8:
        return sim_initiate(card, c, out);
    case 0x80AE:
        return cryptogram_and_store(card, c, out);
    case 0x802A:
        return sim_compute_checksum(card, c, out);
    case 0x80CA:
        return get_data(card, c, out);
    default:
        return 0x6D00;
    }
}

/* Cases 1 to 4 of short commands; with T=0 a fifth byte is P3. */
static bool parse(const uint8_t *p, size_t n, struct sim_apdu *c)
{
    if (n < 4)
        return false;
    *c = (struct sim_apdu){p[0], p[1], p[2], p[3], NULL, 0, -1};
    if (n == 4)
        return true;
    if (n == 5) {
        c->le = p[4];
        return true;
    }
    if (p[4] > n - 5 || n - 5 - p[4] > 1)
        return false;
    c->n = p[4];
    c->data = p + 5;
    if (n == c->n + 6)
        c->le = p[n - 1];
    return true;
}

/* T=0 carries data one way a command: 61xx and GET RESPONSE, 6Cxx for a wrong length. */
static uint16_t t0_answer(struct sim_card *card, const struct sim_apdu *c, uint16_t sw,
                          struct sim_buf *answer)
{
    size_t n = answer->n;
    if (n == 0 || n > 256)
        return sw;
    if (c->n > 0) {
        card->pending.n = 0;
        sim_put(&card->pending, answer->p, n);
        answer->n = 0;
        return (uint16_t)(0x6100 | (n & 0xFF));
    }
    if (c->le != (int)(n & 0xFF)) {
        answer->n = 0;
        return (uint16_t)(0x6C00 | (n & 0xFF));
    }
    return sw;
}

static uint16_t get_response(struct sim_card *card, const struct sim_apdu *c,
                             struct sim_buf *answer)
{
    size_t n = card->pending.n;
    if (n == 0)
        return 0x6985;
    if (c->le != (int)(n & 0xFF))
        return (uint16_t)(0x6C00 | (n & 0xFF));
    sim_put(answer, card->pending.p, n);
    card->pending.n = 0;
    return 0x9000;
}

void sim_card_command(struct sim_card *card, const uint8_t *command, size_t n,
                      struct sim_buf *answer)
{
    struct sim_apdu c;
    uint16_t sw;
    answer->n = 0;
    if (!parse(command, n, &c)) {
        sw = 0x6700;
    } else if (card->profile.t0 && c.ins == 0xC0) {
        sw = get_response(card, &c, answer);
    } else {
        sw = dispatch(card, &c, answer);
        if ((sw & 0xFF00) != 0x9000 && sw != 0x6283)
            answer->n = 0;
        if (card->profile.t0)
            sw = t0_answer(card, &c, sw, answer);
    }
    sim_put_u16(answer, sw);
}
