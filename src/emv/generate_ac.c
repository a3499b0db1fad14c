/* SPDX-License-Identifier: Apache-2.0 */
/* GENERATE AC and its answers, signed (CDA) and plain: EMV 4.4 Book 3, 6.5.5; Book 2, 6.6. */
#include "contact.h"

#include <string.h>

#include "base/assert.h"
#include "base/reader.h"
#include "base/writer.h"

#define INS_GENERATE_AC 0xAE
#define P1_CDA          0x10
#define CDOL1           0x8C
#define CDOL2           0x8D
#define SIGNATURE       0x9F4B
#define ELEMENTS_MAX    32
/* PDOL, CDOL1, CDOL2, and an answer */
#define HASHED_MAX (3 * sizeof((struct emv_values *)NULL)->p + DP_CARD_DATA_MAX)

/* What the card said before, of itself and its owner, an answer does not change. */
static int keep(struct dp_emv_kernel *k, uint32_t tag, struct dp_bytes v)
{
    const struct dp_tlv_tag *known = dp_tlv_tag_find(tag);
    if ((known != NULL && known->origin != DP_TLV_CARD) || emv_data_has(&k->data, tag))
        return DP_OK;
    if (known != NULL && (v.n < known->min || v.n > known->max))
        return DP_ERR_RANGE;
    return emv_data_set(&k->data, tag, EMV_FROM_CARD, v.p, v.n);
}

/* What a new answer must bring anew: nothing of the first may stand in for it. */
static int forget_answer(struct dp_emv_kernel *k)
{
    static const uint32_t tags[] = {0x9F27, 0x9F36, 0x9F26, 0x9F10, SIGNATURE};
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
        if (emv_data_set(&k->data, tags[i], EMV_FROM_CARD, NULL, 0) < 0)
            return DP_ERR_LIMIT;
    return DP_OK;
}

/* CID, ATC, cryptogram, issuer application data, one after another. */
static int take_format_1(struct dp_emv_kernel *k, struct dp_bytes v)
{
    static const struct {
        uint32_t tag;
        size_t n;
    } parts[] = {{0x9F27, 1}, {0x9F36, 2}, {0x9F26, 8}};
    struct dp_reader r;
    int err = DP_OK;
    dp_reader_init(&r, v.p, v.n);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && err == DP_OK; i++) {
        struct dp_bytes part = dp_read_bytes(&r, parts[i].n);
        err = r.err < 0 ? r.err : keep(k, parts[i].tag, part);
    }
    if (err == DP_OK && r.left > 0)
        err = keep(k, 0x9F10, dp_read_bytes(&r, r.left));
    return err;
}

static int take_format_2(struct dp_emv_kernel *k, struct dp_bytes row, struct dp_writer *hashed)
{
    uint32_t seen[ELEMENTS_MAX];
    struct dp_tlv t;
    size_t at = 0, n = 0;
    int err;
    while ((err = dp_tlv_next(row, &at, &t)) == DP_OK) {
        for (size_t i = 0; i < n; i++)
            if (seen[i] == t.tag)
                return DP_ERR_DUPLICATE;
        if (n == ELEMENTS_MAX)
            return DP_ERR_LIMIT;
        seen[n++] = t.tag;
        if (t.tag != SIGNATURE)
            dp_write_bytes(hashed, t.whole.p, t.whole.n);
        err = dp_tlv_is_template(t.tag) || t.value.n == 0 ? DP_OK : keep(k, t.tag, t.value);
        if (err < 0)
            return err;
    }
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

/* AAC below ARQC below TC. */
static int rank(enum emv_cid cid)
{
    return cid == CID_TC ? 2 : cid == CID_ARQC ? 1 : 0;
}

/* The signature over cryptogram, kind and all that was said. Fails closed. */
static int check_signature(struct dp_emv_kernel *k, struct dp_bytes hashed, uint8_t cid)
{
    struct oda_cda_input in = {cid, {0}, hashed};
    struct oda_dynamic dynamic;
    const char *why = NULL;
    int err;
    memcpy(in.un, k->transaction->unpredictable_number, sizeof in.un);
    err = oda_cda(&k->icc_key, emv_data_get(&k->data, SIGNATURE), &in, &dynamic, &why);
    if (err == DP_ERR_SIGNATURE) {
        emv_tvr_set(k, TVR_CDA_FAILED);
        emv_oda_result(k, DP_EMV_AUTH_CDA, DP_EMV_AUTH_FAILED, why);
        return DP_OK;
    }
    if (err < 0)
        return err;
    k->cda_passed = true;
    emv_oda_result(k, DP_EMV_AUTH_CDA, DP_EMV_AUTH_PASSED, NULL);
    err = emv_data_set(&k->data, 0x9F26, EMV_FROM_CARD, dynamic.cryptogram, 8);
    return err < 0
               ? err
               : emv_data_set(&k->data, 0x9F4C, EMV_FROM_CARD, dynamic.number, dynamic.number_n);
}

static int take_template(struct dp_emv_kernel *k, struct dp_bytes data, struct dp_writer *hashed)
{
    struct dp_tlv t;
    size_t at = 0;
    int err = dp_tlv_next(data, &at, &t);
    if (err == DP_ERR_NOT_FOUND)
        return DP_ERR_MISSING;
    if (err < 0)
        return err;
    if (at != data.n)
        return DP_ERR_TRAILING;
    if (t.tag == 0x80)
        return take_format_1(k, t.value);
    return t.tag == 0x77 ? take_format_2(k, t.value, hashed) : DP_ERR_FORMAT;
}

int emv_ac_take(struct dp_emv_kernel *k, bool second, struct dp_bytes data, struct emv_ac *ac)
{
    uint8_t bytes[HASHED_MAX];
    struct dp_writer hashed;
    struct dp_bytes cid;
    int err = forget_answer(k);
    dp_writer_init(&hashed, bytes, sizeof bytes);
    dp_write_bytes(&hashed, k->pdol.p, k->pdol.n);
    dp_write_bytes(&hashed, k->cdol1.p, k->cdol1.n);
    if (second)
        dp_write_bytes(&hashed, k->cdol2.p, k->cdol2.n);
    if (err == DP_OK)
        err = take_template(k, data, &hashed);
    if (err < 0)
        return err;
    DP_ASSERT(hashed.err == DP_OK);
    cid = emv_data_get(&k->data, 0x9F27);
    if (cid.n != 1 || emv_data_get(&k->data, 0x9F36).n != 2)
        return DP_ERR_MISSING;
    ac->cid = (enum emv_cid)(cid.p[0] & CID_TYPE);
    if ((cid.p[0] & CID_TYPE) == CID_TYPE)
        return DP_ERR_FORMAT;
    k->result->advice_wanted = (cid.p[0] & CID_ADVICE) != 0;
    ac->cda_wanted = ac->cda_wanted && ac->cid != CID_AAC;
    if (ac->cda_wanted)
        return check_signature(k, dp_writer_bytes(&hashed), cid.p[0]);
    return emv_data_get(&k->data, 0x9F26).n != 8 ? DP_ERR_MISSING : DP_OK;
}

int emv_generate_ac(struct dp_emv_kernel *k, bool second, enum emv_cid wish, struct emv_ac *ac)
{
    struct emv_values *v = second ? &k->cdol2 : &k->cdol1;
    struct dp_apdu c = {0x80, INS_GENERATE_AC, (uint8_t)wish, 0x00, {v->p, 0}, 0};
    struct dp_apdu_answer a;
    int err;
    memset(ac, 0, sizeof *ac);
    emv_step(k, second ? "GENERATE AC 2" : "GENERATE AC 1");
    k->cda_passed = false;
    ac->cda_wanted = wish != CID_AAC && k->icc_key_good && !emv_tvr_has(k, TVR_CDA_FAILED);
    if (ac->cda_wanted)
        c.p1 |= P1_CDA;
    ac->words = second ? "CDOL2" : "CDOL1";
    err = emv_dol_values(k, emv_data_get(&k->data, second ? CDOL2 : CDOL1), v);
    if (err == DP_OK)
        err = emv_commit(k);
    if (err < 0)
        return err;
    c.data.n = v->n;
    err = emv_exchange(k, &c, &a);
    ac->words = "GENERATE AC: no answer";
    if (err < 0)
        return err;
    ac->words = "GENERATE AC: the card refuses";
    if (a.sw != 0x9000)
        return DP_ERR_DENIED;
    k->tsi[0] |= TSI_CARD_RISK;
    ac->words = "GENERATE AC: answer";
    err = emv_ac_take(k, second, a.data, ac);
    if (ac->cda_wanted) /* now it is performed, not before (EMV 4.4 Book 3, 10.3), nor by an AAC */
        k->tsi[0] |= TSI_ODA;
    if (err == DP_OK && (rank(ac->cid) > rank(wish) || (second && ac->cid == CID_ARQC))) {
        ac->words = "GENERATE AC: more than was asked for";
        err = DP_ERR_MISMATCH;
    }
    return err;
}
