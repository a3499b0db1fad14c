/* SPDX-License-Identifier: Apache-2.0 */
/* The card's decisions and cryptograms on the contact interface, and what the issuer sends it. */
#include <string.h>

#include <openssl/sha.h>

#include "base/assert.h"
#include "emvcert.h"
#include "virtual.h"

enum {
    NO_SECOND = 0xFF,
    P1_TYPE = 0xC0,
    P1_CDA = 0x10
};

/* ---- what goes into a cryptogram ---- */

/* From one list's values, each field it has. */
static void take_input(struct sim_ac_input *in, const struct sim_element *dol,
                       const uint8_t *values)
{
    const struct {
        uint32_t tag;
        uint8_t *to;
        size_t n;
    } fields[] = {
        {0x9F02, in->amount, 6}, {0x9F03, in->other, 6},    {0x9F1A, in->country, 2},
        {0x95, in->tvr, 5},      {0x5F2A, in->currency, 2}, {0x9A, in->date, 3},
        {0x9C, &in->type, 1},    {0x9F37, in->un, 4},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        size_t offset, length;
        if (dol != NULL && sim_dol_find(dol->value, dol->n, fields[i].tag, &offset, &length) &&
            length == fields[i].n)
            memcpy(fields[i].to, values + offset, length);
    }
}

/* Card verification results: which cryptograms were given, and how issuer authentication went. */
static uint8_t verification_byte(uint8_t first, uint8_t second)
{
    uint8_t b = (uint8_t)(first >> 2);
    return (uint8_t)(b | (second == NO_SECOND ? 0x80 : second));
}

void sim_issuer_application_data(struct sim_card *card, uint8_t first, uint8_t second)
{
    const struct sim_application_profile *p = card->selected->profile;
    struct sim_ac_input *in = &card->t.input;
    uint8_t cvr = verification_byte(first, second);
    uint8_t failed = card->t.issuer_checked && !card->t.issuer_good;
    struct sim_iad iad;
    uint8_t *to;
    in->iad_n = sim_iad_make(p->cvn, p->key_index, in->iad);
    DP_ASSERT(sim_iad_parse(in->iad, in->iad_n, &iad) == DP_OK);
    to = in->iad + (iad.cvr.p - in->iad);
    if (iad.cvr.n == 4) { /* its length, three bytes */
        to[0] = 0x03;
        to[1] = cvr;
        to[2] = (uint8_t)(failed << 3);
    } else {
        to[0] = cvr;
        to[4] = failed;
    }
    if (iad.counters.n > 0) /* transactions so far */
        in->iad[iad.counters.p - in->iad + 7] = (uint8_t)card->cryptograms;
}

void sim_first_cryptogram(struct sim_card *card, const uint8_t ac[8])
{
    struct sim_session_data *s = &card->t.session;
    memcpy(s->atc, card->t.input.atc, 2);
    memcpy(s->un, card->t.input.un, 4);
    memcpy(s->arqc, ac, 8);
}

static int make_cryptogram(struct sim_card *card, uint8_t first, uint8_t second, uint8_t ac[8])
{
    struct sim_ac_input *in = &card->t.input;
    const struct sim_element *aip = sim_element(&card->selected->elements, 0x82);
    in->atc[0] = (uint8_t)(card->atc >> 8);
    in->atc[1] = (uint8_t)card->atc;
    memcpy(in->aip, aip->value, 2);
    sim_issuer_application_data(card, first, second);
    return sim_cryptogram(card->selected->master.ac, in, ac);
}

/* ---- decisions ---- */

enum sim_answer sim_card_risk(const struct sim_application *a, uint64_t amount)
{
    const struct sim_application_profile *p = a->profile;
    if (p->declines || (p->decline_above >= 0 && amount > (uint64_t)p->decline_above))
        return SIM_DECLINE;
    if (p->online_above >= 0 && amount > (uint64_t)p->online_above)
        return SIM_ONLINE;
    return p->offline;
}

/* A card may make the terminal's wish stricter, never looser: TC, ARQC, AAC. */
static uint8_t first_answer(const struct sim_card *card, uint8_t wish)
{
    enum sim_answer risk = sim_card_risk(card->selected, sim_bcd_value(card->t.input.amount, 6));
    if (wish == SIM_AAC || risk == SIM_DECLINE)
        return SIM_AAC;
    return wish == SIM_ARQC || risk == SIM_ONLINE ? SIM_ARQC : SIM_TC;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    while (n > 0 && p[n - 1] == 0)
        n--;
    return n == 0;
}

static void check_issuer(struct sim_card *card, const uint8_t *data, size_t n)
{
    struct sim_transaction *t = &card->t;
    const struct sim_application_profile *p = card->selected->profile;
    if (sim_version(p->cvn)->arpc_method == 2 && n == 10)
        n = 8; /* the list's two padding bytes */
    t->issuer_checked = true;
    t->issuer_good = sim_check_issuer_authentication(card->selected->master.ac, p->cvn, &t->session,
                                                     data, n, &t->issuer_approves) == DP_OK;
    if (t->issuer_good)
        card->last_online_atc = card->atc;
}

static uint8_t second_answer(struct sim_card *card, uint8_t wish)
{
    const struct sim_application *a = card->selected;
    const struct sim_element *dol = sim_element(&a->elements, 0x8D);
    uint8_t data[10], arc[2];
    sim_dol_value(dol, card->t.cdol2, 0x91, data, sizeof data);
    sim_dol_value(dol, card->t.cdol2, 0x8A, arc, sizeof arc);
    if (!all_zero(data, sizeof data))
        check_issuer(card, data, sizeof data);
    if (wish != SIM_TC)
        return SIM_AAC;
    if (arc[0] == 'Y' || arc[0] == 'Z') /* the terminal's own codes: it could not go online */
        return a->profile->unable == SIM_APPROVE ? SIM_TC : SIM_AAC;
    if (a->profile->arpc == SIM_ARPC_IGNORED)
        return SIM_TC;
    if (!card->t.issuer_checked)
        return a->profile->arpc == SIM_ARPC_REQUIRED ? SIM_AAC : SIM_TC;
    return card->t.issuer_good && card->t.issuer_approves ? SIM_TC : SIM_AAC;
}

/* ---- answers ---- */

/* Signed: the cryptogram stands only inside the signature. */
static int put_signed(struct sim_card *card, uint8_t cid, const uint8_t ac[8], struct sim_buf *out)
{
    static struct sim_buf hashed, body, dynamic, terminal;
    const struct sim_transaction *t = &card->t;
    uint8_t hash[SHA_DIGEST_LENGTH], number[8], signature[SIM_RSA_BYTES_MAX];
    int err = sim_random(number, sizeof number);
    if (err != DP_OK)
        return err;
    hashed.n = body.n = dynamic.n = terminal.n = 0;
    sim_put(&hashed, t->pdol, t->pdol_n);
    sim_put(&hashed, t->cdol1, t->cdol1_n);
    sim_put(&hashed, t->cdol2, t->cdol2_n);
    sim_put_tlv(&hashed, 0x9F27, &cid, 1);
    sim_put_tlv(&hashed, 0x9F36, t->input.atc, 2);
    sim_put_tlv(&hashed, 0x9F10, t->input.iad, t->input.iad_n);
    SHA1(hashed.p, hashed.n, hash);
    sim_put_u8(&dynamic, sizeof number);
    sim_put(&dynamic, number, sizeof number);
    sim_put_u8(&dynamic, cid);
    sim_put(&dynamic, ac, 8);
    sim_put(&dynamic, hash, sizeof hash);
    sim_put(&terminal, t->input.un, 4);
    err = sim_sign_dynamic(&card->selected->icc, dynamic.p, dynamic.n, terminal.p, terminal.n,
                           signature);
    sim_put_tlv(&body, 0x9F27, &cid, 1);
    sim_put_tlv(&body, 0x9F36, t->input.atc, 2);
    sim_put_tlv(&body, 0x9F4B, signature, card->selected->icc.n);
    sim_put_tlv(&body, 0x9F10, t->input.iad, t->input.iad_n);
    sim_put_tlv_buf(out, 0x77, &body);
    return err;
}

static void put_plain(struct sim_card *card, uint8_t cid, const uint8_t ac[8], struct sim_buf *out)
{
    static struct sim_buf body;
    const struct sim_ac_input *in = &card->t.input;
    body.n = 0;
    if (card->selected->profile->format1) {
        sim_put_u8(&body, cid);
        sim_put(&body, in->atc, 2);
        sim_put(&body, ac, 8);
        sim_put(&body, in->iad, in->iad_n);
        sim_put_tlv_buf(out, 0x80, &body);
        return;
    }
    sim_put_tlv(&body, 0x9F27, &cid, 1);
    sim_put_tlv(&body, 0x9F36, in->atc, 2);
    sim_put_tlv(&body, 0x9F26, ac, 8);
    sim_put_tlv(&body, 0x9F10, in->iad, in->iad_n);
    sim_put_tlv_buf(out, 0x77, &body);
}

static bool take_list(const struct sim_application *a, uint32_t dol_tag, const struct sim_apdu *c,
                      uint8_t *values, size_t *n)
{
    const struct sim_element *dol = sim_element(&a->elements, dol_tag);
    if (dol == NULL || sim_dol_length(dol->value, dol->n) != c->n || c->n > 256)
        return false;
    if (c->n > 0)
        memcpy(values, c->data, c->n);
    *n = c->n;
    return true;
}

uint16_t sim_generate_ac(struct sim_card *card, const struct sim_apdu *c, struct sim_buf *out)
{
    struct sim_transaction *t = &card->t;
    const struct sim_application *a = card->selected;
    bool second = card->phase == SIM_PHASE_ONLINE;
    uint8_t wish = c->p1 & P1_TYPE, cid, ac[8];
    int err;
    if (a == NULL || a->contactless || (card->phase != SIM_PHASE_INITIATED && !second))
        return 0x6985;
    if (wish == P1_TYPE || c->p2 != 0)
        return 0x6A86;
    if (!(second ? take_list(a, 0x8D, c, t->cdol2, &t->cdol2_n)
                 : take_list(a, 0x8C, c, t->cdol1, &t->cdol1_n)))
        return 0x6700;
    take_input(&t->input, sim_element(&a->elements, second ? 0x8D : 0x8C),
               second ? t->cdol2 : t->cdol1);
    cid = second ? second_answer(card, wish) : first_answer(card, wish);
    if (!second)
        t->first_cid = cid;
    err = make_cryptogram(card, t->first_cid, second ? cid : NO_SECOND, ac);
    if (err != DP_OK)
        return 0x6F00;
    if (!second)
        sim_first_cryptogram(card, ac);
    card->phase = cid == SIM_ARQC ? SIM_PHASE_ONLINE : SIM_PHASE_DONE;
    card->cryptograms += cid != SIM_ARQC;
    if ((c->p1 & P1_CDA) == 0 || cid == SIM_AAC || a->profile->oda != SIM_ODA_CDA)
        put_plain(card, cid, ac, out);
    else if (put_signed(card, cid, ac, out) != DP_OK)
        return 0x6F00;
    return 0x9000;
}

/* ---- authentication ---- */

uint16_t sim_internal_authenticate(struct sim_card *card, const struct sim_apdu *c,
                                   struct sim_buf *out)
{
    const struct sim_application *a = card->selected;
    const struct sim_element *ddol;
    uint8_t dynamic[9] = {8}, signature[SIM_RSA_BYTES_MAX];
    if (a == NULL || card->phase != SIM_PHASE_INITIATED || a->icc.n == 0 || a->contactless)
        return 0x6985;
    ddol = sim_element(&a->elements, 0x9F49);
    if (ddol != NULL && sim_dol_length(ddol->value, ddol->n) != c->n)
        return 0x6700;
    if (sim_random(dynamic + 1, 8) != DP_OK ||
        sim_sign_dynamic(&a->icc, dynamic, sizeof dynamic, c->data, c->n, signature) != DP_OK)
        return 0x6F00;
    if (a->profile->format1) {
        sim_put_tlv(out, 0x80, signature, a->icc.n);
    } else {
        static struct sim_buf body;
        body.n = 0;
        sim_put_tlv(&body, 0x9F4B, signature, a->icc.n);
        sim_put_tlv_buf(out, 0x77, &body);
    }
    return 0x9000;
}

uint16_t sim_external_authenticate(struct sim_card *card, const struct sim_apdu *c)
{
    if (card->selected == NULL || card->phase != SIM_PHASE_ONLINE || card->t.issuer_checked ||
        !card->selected->profile->external_authenticate)
        return 0x6985;
    if (c->n < 8 || c->n > 16)
        return 0x6700;
    check_issuer(card, c->data, c->n);
    return card->t.issuer_good ? 0x9000 : 0x6300;
}

/* ---- issuer scripts ---- */

/* The last 8 bytes are the MAC over header, counter, ARQC and what stands before it. */
static bool script_is_the_issuers(const struct sim_card *card, const struct sim_apdu *c)
{
    const struct sim_transaction *t = &card->t;
    const uint8_t header[5] = {c->cla, c->ins, c->p1, c->p2, (uint8_t)c->n};
    uint8_t mac[8];
    if (c->n < 8)
        return false;
    return sim_script_mac(card->selected->master.mac, card->selected->profile->cvn, &t->session,
                          header, c->data, c->n - 8, mac) == DP_OK &&
           memcmp(mac, c->data + c->n - 8, 8) == 0;
}

static bool new_pin(struct sim_card *card, const struct sim_apdu *c)
{
    struct sim_application *a = card->selected;
    return sim_pin_change_take(&a->master, a->profile->cvn, &card->t.session, c->p2, c->data,
                               c->n - 8, a->pin) == DP_OK;
}

uint16_t sim_issuer_command(struct sim_card *card, const struct sim_apdu *c)
{
    if (card->selected == NULL || all_zero(card->t.session.arqc, 8))
        return 0x6985;
    if (!script_is_the_issuers(card, c))
        return 0x6988;
    switch (c->ins) {
    case 0x1E:
        card->application_blocked = true;
        break;
    case 0x18:
        card->application_blocked = false;
        break;
    case 0x16:
        card->card_blocked = true;
        break;
    case 0x24:
        if (!new_pin(card, c))
            return 0x6A80;
        break;
    case 0xDA: /* PUT DATA, UPDATE RECORD: taken and counted */
    case 0xDC:
        break;
    default:
        return 0x6D00;
    }
    card->t.scripts++;
    return 0x9000;
}
