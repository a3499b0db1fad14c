/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel 3 (qVSDC) with fast DDA: everything is decided and signed in one command. */
#include <string.h>

#include "emvcert.h"
#include "virtual.h"

enum {
    TTQ1_OFFLINE_ONLY = 0x08,
    TTQ1_PIN = 0x04,
    TTQ1_SIGNATURE = 0x02,
    TTQ1_ODA_FOR_ONLINE = 0x01,
    TTQ2_ONLINE_CRYPTOGRAM = 0x80,
    TTQ2_CVM = 0x40,
    TTQ3_DEVICE_CVM = 0x40,
    CTQ1_PIN = 0x80,
    CTQ1_SIGNATURE = 0x40,
    CTQ2_DEVICE_CVM = 0x80,
    FDDA_VERSION = 1
};

/* What the reader asked for in its PDOL values. */
struct wish {
    uint8_t ttq[4];
};

static void read_values(struct sim_card *card, struct wish *w)
{
    const struct sim_element *pdol = sim_element(&card->selected->elements, 0x9F38);
    const uint8_t *v = card->t.pdol;
    struct sim_ac_input *in = &card->t.input;
    sim_dol_value(pdol, v, 0x9F66, w->ttq, 4);
    sim_dol_value(pdol, v, 0x9F02, in->amount, 6);
    sim_dol_value(pdol, v, 0x9F03, in->other, 6);
    sim_dol_value(pdol, v, 0x9F1A, in->country, 2);
    sim_dol_value(pdol, v, 0x95, in->tvr, 5);
    sim_dol_value(pdol, v, 0x5F2A, in->currency, 2);
    sim_dol_value(pdol, v, 0x9A, in->date, 3);
    sim_dol_value(pdol, v, 0x9C, &in->type, 1);
    sim_dol_value(pdol, v, 0x9F37, in->un, 4);
    in->atc[0] = (uint8_t)(card->atc >> 8);
    in->atc[1] = (uint8_t)card->atc;
    memcpy(in->aip, sim_element(&card->selected->elements, 0x82)->value, 2);
}

static uint8_t decide(const struct sim_card *card, const struct wish *w)
{
    enum sim_answer risk = sim_card_risk(card->selected, sim_bcd_value(card->t.input.amount, 6));
    bool online = risk == SIM_ONLINE || (w->ttq[1] & TTQ2_ONLINE_CRYPTOGRAM) != 0;
    if (risk == SIM_DECLINE || (online && (w->ttq[0] & TTQ1_OFFLINE_ONLY) != 0))
        return SIM_AAC;
    return online ? SIM_ARQC : SIM_TC;
}

/* Card transaction qualifiers: the profile's, and the cardholder verification it chooses. */
static void qualifiers(const struct sim_card *card, const struct wish *w, uint8_t ctq[2])
{
    const struct sim_element *base = sim_element(&card->selected->elements, 0x9F6C);
    memset(ctq, 0, 2);
    if (base != NULL && base->n == 2)
        memcpy(ctq, base->value, 2);
    if ((w->ttq[1] & TTQ2_CVM) == 0)
        return;
    switch (card->selected->profile->cvm) {
    case SIM_CL_CVM_SIGNATURE:
        if ((w->ttq[0] & TTQ1_SIGNATURE) != 0)
            ctq[0] |= CTQ1_SIGNATURE;
        break;
    case SIM_CL_CVM_PIN:
        if ((w->ttq[0] & TTQ1_PIN) != 0)
            ctq[0] |= CTQ1_PIN;
        break;
    case SIM_CL_CVM_DEVICE:
        if ((w->ttq[2] & TTQ3_DEVICE_CVM) != 0)
            ctq[1] |= CTQ2_DEVICE_CVM;
        break;
    case SIM_CL_CVM_NONE:
        break;
    }
}

/* fDDA version 01: the counter is the ICC dynamic number; signed with the terminal's unpredictable
 * number, amount, currency, and the card authentication related data with the qualifiers. */
static int sign_fast(struct sim_card *card, const uint8_t ctq[2], uint8_t *signature)
{
    const struct sim_ac_input *in = &card->t.input;
    const uint8_t dynamic[3] = {2, in->atc[0], in->atc[1]};
    uint8_t related[7] = {FDDA_VERSION}, terminal[4 + 6 + 2 + 7];
    int err = sim_random(related + 1, 4);
    memcpy(related + 5, ctq, 2);
    memcpy(terminal, in->un, 4);
    memcpy(terminal + 4, in->amount, 6);
    memcpy(terminal + 10, in->currency, 2);
    memcpy(terminal + 12, related, 7);
    if (err == DP_OK)
        err = sim_sign_dynamic(&card->selected->icc, dynamic, sizeof dynamic, terminal,
                               sizeof terminal, signature);
    return err != DP_OK ? err : sim_element_set(&card->t.made, 0x9F69, related, sizeof related);
}

static void put(struct sim_buf *b, const struct sim_card *card, uint32_t tag)
{
    const struct sim_element *e = sim_element(&card->t.made, tag);
    if (e == NULL)
        e = sim_element(&card->selected->elements, tag);
    if (e != NULL)
        sim_put_tlv(b, tag, e->value, e->n);
}

static void answer(struct sim_card *card, uint8_t cid, const uint8_t ac[8], const uint8_t ctq[2],
                   bool signature, struct sim_buf *out)
{
    static struct sim_buf body;
    const struct sim_application *a = card->selected;
    const struct sim_ac_input *in = &card->t.input;
    body.n = 0;
    put(&body, card, 0x82);
    if (signature)
        sim_put_tlv(&body, 0x94, a->afl, a->afl_n);
    put(&body, card, 0x57);
    put(&body, card, 0x5F34);
    sim_put_tlv(&body, 0x9F10, in->iad, in->iad_n);
    sim_put_tlv(&body, 0x9F26, ac, 8);
    sim_put_tlv(&body, 0x9F27, &cid, 1);
    sim_put_tlv(&body, 0x9F36, in->atc, 2);
    sim_put_tlv(&body, 0x9F6C, ctq, 2);
    put(&body, card, 0x9F6E);
    put(&body, card, 0x9F7C);
    if (signature && !sim_signature_in_record(a))
        put(&body, card, 0x9F4B);
    sim_put_tlv_buf(out, 0x77, &body);
}

uint16_t sim_contactless(struct sim_card *card, struct sim_buf *out)
{
    const struct sim_application *a = card->selected;
    struct wish w;
    uint8_t cid, ctq[2], ac[8], signature[SIM_RSA_BYTES_MAX];
    bool sign;
    read_values(card, &w);
    cid = decide(card, &w);
    qualifiers(card, &w, ctq);
    sim_issuer_application_data(card, cid, 0xFF);
    if (sim_cryptogram(a->master.ac, &card->t.input, ac) != DP_OK)
        return 0x6F00;
    sim_first_cryptogram(card, ac);
    sign = a->profile->oda == SIM_ODA_FDDA &&
           (cid == SIM_TC ||
            (cid == SIM_ARQC && a->profile->fdda_online && (w.ttq[0] & TTQ1_ODA_FOR_ONLINE) != 0));
    if (sign && (sign_fast(card, ctq, signature) != DP_OK ||
                 sim_element_set(&card->t.made, 0x9F4B, signature, a->icc.n) != DP_OK))
        return 0x6F00;
    answer(card, cid, ac, ctq, sign, out);
    card->cryptograms++;
    return 0x9000;
}
