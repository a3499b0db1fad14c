/* SPDX-License-Identifier: Apache-2.0 */
/* What may leave the kernel: the white list of EMV data, and the summary. */
#include "contact.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"

/* In the order of a message. What names card or holder (57 5A 5F20 9F1F 99 56 and kin) never
 * stands here; tests hold every entry against the dictionary's secrets. */
static const uint32_t white_list[] = {
    0x9F26, 0x9F27, 0x9F10, 0x9F37, 0x9F36, 0x95,   0x9A,   0x9C,   0x9F02, 0x5F2A,
    0x82,   0x9F1A, 0x9F03, 0x9F33, 0x9F34, 0x9F35, 0x9F1E, 0x84,   0x9F09, 0x9F41,
    0x5F34, 0x9F06, 0x9B,   0x8A,   0x9F6C, 0x9F66, 0x9F6E, 0x9F45, 0x9F4C, 0x98,
};

static struct dp_bytes value(const struct dp_emv_kernel *k, uint32_t tag)
{
    switch (tag) {
    case 0x95: /* in the store: kernel 3, as the card was told it */
        if (emv_data_has(&k->data, 0x95))
            return emv_data_get(&k->data, 0x95);
        return (struct dp_bytes){k->tvr, sizeof k->tvr};
    case 0x9B:
        return (struct dp_bytes){k->tsi, sizeof k->tsi};
    case 0x9F34:
        return (struct dp_bytes){k->cvm_results, sizeof k->cvm_results};
    default:
        return emv_data_get(&k->data, tag);
    }
}

static bool is_secret(uint32_t tag)
{
    const struct dp_tlv_tag *known = dp_tlv_tag_find(tag);
    return known != NULL && known->secret;
}

int emv_output(struct dp_emv_kernel *k)
{
    struct dp_emv_result *r = k->result;
    uint8_t made[sizeof r->emv]; /* the data of the cryptogram before stay until these are whole */
    size_t n = 0;
    for (size_t i = 0; i < sizeof white_list / sizeof white_list[0]; i++) {
        struct dp_bytes v = value(k, white_list[i]);
        int err;
        DP_ASSERT(!is_secret(white_list[i]));
        if (v.n == 0)
            continue;
        err = dp_tlv_put(made, sizeof made, &n, white_list[i], v.p, v.n);
        if (err < 0)
            return err;
    }
    memcpy(r->emv, made, n);
    r->emv_n = (uint16_t)n;
    emv_summary_fill(k);
    return DP_OK;
}

void emv_output_scripts(struct dp_emv_kernel *k)
{
    struct dp_emv_result *r = k->result;
    size_t n = r->emv_n;
    if (r->script_results_n == 0 || r->emv_n == 0)
        return;
    /* without room the message goes without them: they are a report, and the payment is over */
    if (dp_tlv_put(r->emv, sizeof r->emv, &n, 0x9F5B, r->script_results, r->script_results_n) < 0)
        dp_log(DP_LOG_WARNING, "emv: no room for the results of issuer scripts");
    else
        r->emv_n = (uint16_t)n;
}

void emv_summary_fill(struct dp_emv_kernel *k)
{
    struct dp_emv_summary *s = &k->result->summary;
    struct dp_bytes atc = emv_data_get(&k->data, 0x9F36);
    struct dp_bytes cid = emv_data_get(&k->data, 0x9F27);
    struct dp_bytes cryptogram = emv_data_get(&k->data, 0x9F26);
    memcpy(s->tvr, k->tvr, sizeof s->tvr);
    memcpy(s->tsi, k->tsi, sizeof s->tsi);
    memcpy(s->cvm_results, k->cvm_results, sizeof s->cvm_results);
    memcpy(s->aip, k->aip, sizeof s->aip);
    s->cid = cid.n == 1 ? cid.p[0] : 0;
    s->atc = atc.n == 2 ? (uint16_t)(atc.p[0] << 8 | atc.p[1]) : 0;
    memset(s->cryptogram, 0, sizeof s->cryptogram);
    if (cryptogram.n == sizeof s->cryptogram)
        memcpy(s->cryptogram, cryptogram.p, cryptogram.n);
}
