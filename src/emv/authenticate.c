/* SPDX-License-Identifier: Apache-2.0 */
/* Offline data authentication of a contact card: which method, and what its end means. EMV 4.4
 * Book 3, 10.3. The cryptography is in oda.c. */
#include "contact.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"

#define INS_INTERNAL_AUTHENTICATE 0x88
#define TAG_UN                    0x9F37

/* Terminal capabilities, byte 3 */
#define CAPABLE_SDA 0x80
#define CAPABLE_DDA 0x40
#define CAPABLE_CDA 0x08

void emv_oda_input(struct dp_emv_kernel *k, struct oda_input *in)
{
    const struct dp_date_time *d = &k->transaction->local;
    struct dp_bytes name = emv_data_get(&k->data, 0x84);
    struct dp_bytes index = emv_data_get(&k->data, 0x8F);
    memset(in, 0, sizeof *in);
    in->ca_keys = k->terminal->ca_keys;
    in->ca_keys_n = k->terminal->ca_keys_n;
    in->revoked = k->terminal->revoked;
    in->revoked_n = k->terminal->revoked_n;
    DP_ASSERT(name.n >= sizeof in->rid);
    memcpy(in->rid, name.p, sizeof in->rid);
    in->index = index.n == 1 ? index.p[0] : 0;
    in->issuer_certificate = emv_data_get(&k->data, 0x90);
    in->issuer_remainder = emv_data_get(&k->data, 0x92);
    in->issuer_exponent = emv_data_get(&k->data, 0x9F32);
    in->icc_certificate = emv_data_get(&k->data, 0x9F46);
    in->icc_remainder = emv_data_get(&k->data, 0x9F48);
    in->icc_exponent = emv_data_get(&k->data, 0x9F47);
    in->signed_records = (struct dp_bytes){k->signed_records, k->signed_records_n};
    in->ssad = emv_data_get(&k->data, 0x93);
    in->pan = k->result->card.pan;
    in->date = d->year * 10000U + d->month * 100U + d->day;
}

void emv_oda_result(struct dp_emv_kernel *k, enum dp_emv_authentication method,
                    enum dp_emv_auth_result result, const char *why)
{
    struct dp_emv_summary *s = &k->result->summary;
    s->authentication = method;
    s->authentication_result = result;
    memset(s->authentication_reason, 0, sizeof s->authentication_reason);
    if (why != NULL)
        (void)snprintf(s->authentication_reason, sizeof s->authentication_reason, "%s", why);
    if (result == DP_EMV_AUTH_FAILED)
        dp_log(DP_LOG_WARNING, "emv: card not authenticated: %s", s->authentication_reason);
}

static enum dp_emv_authentication method(const struct dp_emv_kernel *k)
{
    uint8_t card = k->aip[0], terminal = k->terminal->capabilities[2];
    if ((card & AIP_CDA) != 0 && (terminal & CAPABLE_CDA) != 0)
        return DP_EMV_AUTH_CDA;
    if ((card & AIP_DDA) != 0 && (terminal & CAPABLE_DDA) != 0)
        return DP_EMV_AUTH_DDA;
    if ((card & AIP_SDA) != 0 && (terminal & CAPABLE_SDA) != 0)
        return DP_EMV_AUTH_SDA;
    return DP_EMV_AUTH_NONE;
}

static bool data_missing(const struct dp_emv_kernel *k)
{
    static const uint32_t issuer[] = {0x8F, 0x90, 0x9F32}, icc[] = {0x9F46, 0x9F47};
    bool missing = false;
    for (size_t i = 0; i < sizeof issuer / sizeof issuer[0]; i++)
        missing = missing || !emv_data_has(&k->data, issuer[i]);
    for (size_t i = 0; i < sizeof icc / sizeof icc[0]; i++)
        missing = missing || (k->oda != DP_EMV_AUTH_SDA && !emv_data_has(&k->data, icc[i]));
    return missing || (k->oda == DP_EMV_AUTH_SDA && !emv_data_has(&k->data, 0x93));
}

/* Either key, as the method needs: DP_ERR_SIGNATURE with *why. */
static int recover_keys(struct dp_emv_kernel *k, const struct oda_input *in, struct oda_key *issuer,
                        const char **why)
{
    int err;
    if (data_missing(k)) {
        emv_tvr_set(k, TVR_ICC_DATA_MISSING);
        *why = "data for authentication missing";
        return DP_ERR_SIGNATURE;
    }
    if (k->signed_records_bad) {
        *why = "signed records are not coded as they must be";
        return DP_ERR_SIGNATURE;
    }
    err = oda_issuer_key(in, issuer, why);
    if (err == DP_OK && k->oda != DP_EMV_AUTH_SDA)
        err = oda_icc_key(in, issuer, &k->icc_key, why);
    return err;
}

static int run_sda(struct dp_emv_kernel *k, const char **why)
{
    struct oda_input in;
    struct oda_key issuer;
    uint8_t dac[2];
    int err;
    emv_oda_input(k, &in);
    emv_tvr_set(k, TVR_SDA_SELECTED);
    err = recover_keys(k, &in, &issuer, why);
    if (err == DP_OK)
        err = oda_sda(&in, &issuer, dac, why);
    if (err == DP_OK)
        err = emv_data_set(&k->data, 0x9F45, EMV_FROM_CARD, dac, sizeof dac);
    return err;
}

/* The signature in the answer to INTERNAL AUTHENTICATE, format 1 or 2. */
static struct dp_bytes signature_of(struct dp_bytes data)
{
    struct dp_bytes v = {NULL, 0}, inside;
    if (dp_tlv_find(data, 0x80, &v) == DP_OK)
        return v;
    if (dp_tlv_find(data, 0x77, &inside) == DP_OK && dp_tlv_find(inside, 0x9F4B, &v) == DP_OK)
        return v;
    return (struct dp_bytes){NULL, 0};
}

static int internal_authenticate(struct dp_emv_kernel *k, struct oda_dynamic *dynamic,
                                 const char **why)
{
    struct dp_bytes ddol = emv_data_get(&k->data, 0x9F49);
    struct emv_values v;
    struct dp_apdu c = {0x00, INS_INTERNAL_AUTHENTICATE, 0x00, 0x00, {v.p, 0}, 0};
    struct dp_apdu_answer a;
    int rc;
    if (ddol.n == 0)
        ddol = (struct dp_bytes){k->aid->ddol, k->aid->ddol_n};
    *why = "DDOL without unpredictable number";
    if (!dp_tlv_dol_has(ddol, TAG_UN, NULL))
        return DP_ERR_SIGNATURE;
    rc = emv_dol_fill(k, ddol, "DDOL", &v);
    c.data.n = v.n;
    if (rc == EMV_GO_ON)
        rc = emv_command(k, &c, &a);
    if (rc != EMV_GO_ON)
        return rc;
    if (a.sw != 0x9000) /* EMV 4.4 Book 3, 8.1 */
        return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR,
                       "INTERNAL AUTHENTICATE: the card refuses");
    return oda_dda(&k->icc_key, signature_of(a.data), (struct dp_bytes){v.p, v.n}, dynamic, why);
}

static int run_dda(struct dp_emv_kernel *k, const char **why)
{
    struct oda_input in;
    struct oda_key issuer;
    struct oda_dynamic dynamic;
    int rc;
    emv_oda_input(k, &in);
    rc = recover_keys(k, &in, &issuer, why);
    if (rc == DP_OK)
        rc = internal_authenticate(k, &dynamic, why);
    if (rc == DP_OK)
        rc = emv_data_set(&k->data, 0x9F4C, EMV_FROM_CARD, dynamic.number, dynamic.number_n);
    return rc;
}

/* The keys now; the signature comes with the cryptogram. */
static int prepare_cda(struct dp_emv_kernel *k, const char **why)
{
    struct oda_input in;
    struct oda_key issuer;
    int err;
    emv_oda_input(k, &in);
    *why = "CDOL without unpredictable number";
    if (!dp_tlv_dol_has(emv_data_get(&k->data, 0x8C), TAG_UN, NULL))
        return DP_ERR_SIGNATURE;
    err = recover_keys(k, &in, &issuer, why);
    k->icc_key_good = err == DP_OK;
    return err;
}

static enum emv_tvr failed_bit(enum dp_emv_authentication oda)
{
    if (oda == DP_EMV_AUTH_SDA)
        return TVR_SDA_FAILED;
    return oda == DP_EMV_AUTH_DDA ? TVR_DDA_FAILED : TVR_CDA_FAILED;
}

int emv_authenticate(struct dp_emv_kernel *k)
{
    const char *why = NULL;
    int rc = DP_OK;
    emv_step(k, "OFFLINE DATA AUTHENTICATION");
    k->oda = method(k);
    k->icc_key_good = false;
    k->cda_passed = false;
    emv_oda_result(k, k->oda, DP_EMV_AUTH_NOT_PERFORMED, NULL);
    if (k->oda == DP_EMV_AUTH_NONE) {
        emv_tvr_set(k, TVR_ODA_NOT_PERFORMED);
        return EMV_GO_ON;
    }
    if (k->oda == DP_EMV_AUTH_SDA)
        rc = run_sda(k, &why);
    else if (k->oda == DP_EMV_AUTH_DDA)
        rc = run_dda(k, &why);
    else
        rc = prepare_cda(k, &why);
    if (rc == EMV_OVER || (rc < 0 && rc != DP_ERR_SIGNATURE))
        return rc;
    if (rc == DP_ERR_SIGNATURE || k->oda != DP_EMV_AUTH_CDA)
        k->tsi[0] |= TSI_ODA; /* of CDA that is still possible: with the first cryptogram */
    if (rc == DP_ERR_SIGNATURE) {
        emv_tvr_set(k, failed_bit(k->oda));
        emv_oda_result(k, k->oda, DP_EMV_AUTH_FAILED, why);
    } else if (k->oda != DP_EMV_AUTH_CDA) {
        emv_oda_result(k, k->oda, DP_EMV_AUTH_PASSED, NULL);
    }
    return EMV_GO_ON;
}
