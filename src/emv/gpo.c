/* SPDX-License-Identifier: Apache-2.0 */
/* Initiate application processing: EMV 4.4 Book 3, 10.1. */
#include "contact.h"

#include <string.h>

#include "base/assert.h"

#define INS_GPO                     0xA8
#define SW_CONDITIONS_NOT_SATISFIED 0x6985

/* AIP and AFL follow each other without tags. */
static int take_format_1(struct dp_emv_kernel *k, struct dp_bytes v)
{
    int err;
    if (v.n < 2)
        return DP_ERR_SHORT;
    err = emv_data_set(&k->data, 0x82, EMV_FROM_CARD, v.p, 2);
    if (err == DP_OK && v.n > 2)
        err = emv_data_set(&k->data, 0x94, EMV_FROM_CARD, v.p + 2, v.n - 2);
    return err;
}

int emv_gpo_take(struct dp_emv_kernel *k, struct dp_bytes data)
{
    struct dp_tlv t;
    struct dp_bytes aip;
    size_t at = 0;
    int err = dp_tlv_next(data, &at, &t);
    if (err == DP_ERR_NOT_FOUND)
        return DP_ERR_MISSING;
    if (err < 0)
        return err;
    if (at != data.n)
        return DP_ERR_TRAILING;
    if (t.tag == 0x80)
        err = take_format_1(k, t.value);
    else if (t.tag == 0x77)
        err = emv_data_take_row(&k->data, t.value, EMV_FROM_CARD);
    else
        err = DP_ERR_FORMAT;
    if (err < 0)
        return err;
    aip = emv_data_get(&k->data, 0x82);
    if (aip.n != sizeof k->aip)
        return DP_ERR_MISSING;
    memcpy(k->aip, aip.p, sizeof k->aip);
    return emv_afl_keep(k, emv_data_get(&k->data, 0x94));
}

/* The PDOL's values in their template. */
static size_t command_template(const struct emv_values *v, uint8_t *out, size_t max)
{
    size_t n = 0;
    DP_ASSERT(dp_tlv_put(out, max, &n, 0x83, v->p, v->n) == DP_OK);
    return n;
}

int emv_initiate(struct dp_emv_kernel *k)
{
    uint8_t body[255];
    struct dp_apdu c = {0x80, INS_GPO, 0x00, 0x00, {body, 0}, 0};
    struct dp_apdu_answer a;
    int rc, err;
    emv_step(k, "GET PROCESSING OPTIONS");
    rc = emv_dol_fill(k, emv_data_get(&k->data, 0x9F38), "PDOL", &k->pdol);
    if (rc != EMV_GO_ON)
        return rc;
    c.data.n = command_template(&k->pdol, body, sizeof body);
    rc = emv_command(k, &c, &a);
    if (rc != EMV_GO_ON)
        return rc;
    if (a.sw == SW_CONDITIONS_NOT_SATISFIED)
        return EMV_SELECT_AGAIN;
    if (a.sw != 0x9000)
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR,
                       "GET PROCESSING OPTIONS: the card refuses");
    err = emv_gpo_take(k, a.data);
    return err < 0 ? emv_end_card_data(k, "GET PROCESSING OPTIONS", err) : EMV_GO_ON;
}
