/* SPDX-License-Identifier: Apache-2.0 */
/* Data object lists filled with this payment's values. */
#include "contact.h"

#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"

#define TAG_UN     0x9F37
#define UN_BYTES   4
#define VALUES_MAX 252 /* of one command: what a PDOL's template leaves, for all lists alike */
#define TC_HASH    0x98

int emv_dol_check(struct dp_bytes dol)
{
    struct dp_tlv_dol_entry e;
    size_t at = 0, total = 0;
    int err;
    while ((err = dp_tlv_dol_next(dol, &at, &e)) == DP_OK) {
        /* cut, the number could be guessed; padded, the card would count on bytes that never
         * change (A07) */
        if (e.tag == TAG_UN && e.length != UN_BYTES)
            return DP_ERR_RANGE;
        total += e.length;
    }
    if (err != DP_ERR_NOT_FOUND)
        return err;
    return total > VALUES_MAX ? DP_ERR_RANGE : DP_OK;
}

static bool value_of(void *ctx, uint32_t tag, struct dp_bytes *value)
{
    struct dp_emv_kernel *k = ctx;
    switch (tag) {
    case 0x95:
        *value = (struct dp_bytes){k->tvr, sizeof k->tvr};
        return true;
    case 0x9B:
        *value = (struct dp_bytes){k->tsi, sizeof k->tsi};
        return true;
    case 0x9F34:
        *value = (struct dp_bytes){k->cvm_results, sizeof k->cvm_results};
        return true;
    default:
        *value = emv_data_get(&k->data, tag);
        return value->p != NULL;
    }
}

/* TC hash value, where the card asks for it: over the card's TDOL, else the terminal's. */
static int make_tc_hash(struct dp_emv_kernel *k)
{
    struct dp_bytes tdol = emv_data_get(&k->data, 0x97);
    struct emv_values v;
    uint8_t hash[20];
    size_t n;
    int err;
    DP_ASSERT(k->aid != NULL);
    if (tdol.n == 0) {
        tdol = (struct dp_bytes){k->aid->tdol, k->aid->tdol_n};
        emv_tvr_set(k, TVR_DEFAULT_TDOL);
    }
    err = dp_tlv_dol_fill(tdol, value_of, k, v.p, sizeof v.p, &v.n);
    if (err < 0)
        return err;
    if (psa_hash_compute(PSA_ALG_SHA_1, v.p, v.n, hash, sizeof hash, &n) != PSA_SUCCESS)
        return DP_ERR_CRYPTO;
    return emv_data_set(&k->data, TC_HASH, EMV_FROM_TERMINAL, hash, n);
}

int emv_dol_values(struct dp_emv_kernel *k, struct dp_bytes dol, struct emv_values *out)
{
    int err = emv_dol_check(dol);
    out->n = 0;
    if (err == DP_OK && dp_tlv_dol_has(dol, TC_HASH, NULL))
        err = make_tc_hash(k);
    if (err < 0)
        return err;
    return dp_tlv_dol_fill(dol, value_of, k, out->p, sizeof out->p, &out->n);
}

int emv_dol_fill(struct dp_emv_kernel *k, struct dp_bytes dol, const char *where,
                 struct emv_values *out)
{
    int err = emv_dol_values(k, dol, out);
    if (err == DP_ERR_CRYPTO)
        return err;
    return err < 0 ? emv_end_card_data(k, where, err) : EMV_GO_ON;
}
