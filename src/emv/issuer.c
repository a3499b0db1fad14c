/* SPDX-License-Identifier: Apache-2.0 */
/* What the issuer sends the card: its authentication and scripts. EMV 4.4 Book 3, 10.9 and 10.10.
 */
#include "contact.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/reader.h"

#define INS_EXTERNAL_AUTHENTICATE 0x82
#define ISSUER_AUTH_MIN           8
#define SCRIPT_BEFORE             0x71
#define TAG_COMMAND               0x86
#define TAG_SCRIPT_ID             0x9F18
#define SEQUENCE_MAX              15

enum script_result {
    NOT_PERFORMED = 0x00,
    FAILED = 0x10,
    SUCCESSFUL = 0x20
};

void emv_issuer_authenticate(struct dp_emv_kernel *k, const struct dp_emv_online_answer *answer)
{
    struct dp_apdu c = {0x00, INS_EXTERNAL_AUTHENTICATE, 0, 0, {NULL, 0}, -1};
    struct dp_apdu_answer a;
    size_t n = answer->issuer_authentication_n;
    if (n < ISSUER_AUTH_MIN || n > sizeof answer->issuer_authentication)
        return;
    /* for CDOL2, whether or not the card wants it on its own */
    if (emv_data_set(&k->data, 0x91, EMV_FROM_ISSUER, answer->issuer_authentication, n) < 0)
        return;
    if ((k->aip[0] & AIP_ISSUER_AUTH) == 0)
        return;
    emv_step(k, "EXTERNAL AUTHENTICATE");
    c.data = emv_data_get(&k->data, 0x91);
    k->tsi[0] |= TSI_ISSUER_AUTH;
    if (emv_exchange(k, &c, &a) < 0 || a.sw != 0x9000)
        emv_tvr_set(k, TVR_ISSUER_AUTH_FAILED);
}

/* Commands that belong to the payment, or carry a PIN, are none an issuer sends this way. */
static bool may_be_sent(uint8_t ins)
{
    static const uint8_t ours[] = {0x20, 0x21, 0x82, 0x84, 0x88, 0xA4, 0xA8, 0xAE, 0xB2, 0xC0};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (ours[i] == ins)
            return false;
    return true;
}

/* An APDU of case 1 to 4 as it stands in tag 86. */
static bool read_command(struct dp_bytes v, struct dp_apdu *c)
{
    struct dp_reader r;
    dp_reader_init(&r, v.p, v.n);
    memset(c, 0, sizeof *c);
    c->cla = dp_read_u8(&r);
    c->ins = dp_read_u8(&r);
    c->p1 = dp_read_u8(&r);
    c->p2 = dp_read_u8(&r);
    c->le = -1;
    if (r.left > 1)
        c->data = dp_read_bytes(&r, dp_read_u8(&r));
    if (r.left > 0)
        c->le = dp_read_u8(&r);
    return dp_reader_finish(&r) == DP_OK && may_be_sent(c->ins);
}

static bool send(struct dp_emv_kernel *k, struct dp_bytes v)
{
    struct dp_apdu c;
    struct dp_apdu_answer a;
    uint8_t sw1;
    if (!read_command(v, &c) || emv_exchange(k, &c, &a) < 0)
        return false;
    sw1 = (uint8_t)(a.sw >> 8);
    return sw1 == 0x90 || sw1 == 0x62 || sw1 == 0x63; /* SW1 alone counts */
}

/* One script: its commands in order, to the first that fails. */
static bool run(struct dp_emv_kernel *k, struct dp_bytes script, uint8_t result[5])
{
    struct dp_tlv t;
    struct dp_bytes id;
    size_t at = 0;
    unsigned sequence = 0;
    int err;
    memset(result, 0, 5);
    if (dp_tlv_find(script, TAG_SCRIPT_ID, &id) == DP_OK && id.n == 4)
        memcpy(result + 1, id.p, 4);
    if (dp_tlv_check(script, NULL) < 0) {
        result[0] = NOT_PERFORMED;
        return false;
    }
    while ((err = dp_tlv_next(script, &at, &t)) == DP_OK) {
        if (t.tag != TAG_COMMAND)
            continue;
        if (sequence < SEQUENCE_MAX)
            sequence++;
        if (!send(k, t.value)) {
            result[0] = (uint8_t)(FAILED | sequence);
            return false;
        }
    }
    result[0] = SUCCESSFUL;
    return err == DP_ERR_NOT_FOUND;
}

void emv_issuer_scripts(struct dp_emv_kernel *k, const struct dp_emv_online_answer *answer,
                        uint32_t tag)
{
    struct dp_emv_result *r = k->result;
    enum emv_tvr bit = tag == SCRIPT_BEFORE ? TVR_SCRIPT_FAILED_BEFORE : TVR_SCRIPT_FAILED_AFTER;
    struct dp_bytes all = {answer->scripts, answer->scripts_n};
    struct dp_tlv t;
    size_t at = 0;
    int err;
    if (all.n > sizeof answer->scripts)
        return;
    while ((err = dp_tlv_next(all, &at, &t)) == DP_OK) {
        if (t.tag != tag || r->script_results_n == sizeof r->script_results)
            continue;
        emv_step(k, "ISSUER SCRIPT");
        DP_ASSERT(r->script_results_n + 5U <= sizeof r->script_results);
        if (!run(k, t.value, r->script_results + r->script_results_n))
            emv_tvr_set(k, bit);
        r->script_results_n += 5;
        k->tsi[0] |= TSI_SCRIPTS;
    }
    if (err != DP_ERR_NOT_FOUND) {
        dp_log(DP_LOG_WARNING, "emv: issuer scripts, byte %zu: %s", at, dp_strerr(err));
        emv_tvr_set(k, bit);
    }
}
