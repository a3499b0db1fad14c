/* SPDX-License-Identifier: Apache-2.0 */
#include <doorpay/params.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/cose.h>
#include <psa/crypto.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"
#include "read.h"
#include "tables.h"

#define AAD "doorpay parameters 1"

/* ---- reading a signed set ---- */

static int say(char *error, size_t error_n, const char *sentence, int err)
{
    if (error != NULL && error_n > 0)
        (void)snprintf(error, error_n, "%s", sentence);
    return err;
}

static int parse(const uint8_t *p, size_t n, struct dp_cose_sign1_view *view, char *error,
                 size_t error_n)
{
    int err;
    (void)say(error, error_n, "", DP_OK);
    if (n > DP_PARAMS_SET_MAX)
        return say(error, error_n, "set: larger than 262144 bytes", DP_ERR_LIMIT);
    if (psa_crypto_init() != PSA_SUCCESS)
        return say(error, error_n, "signature: cannot be verified here", DP_ERR_CRYPTO);
    err = dp_cose_sign1_parse(p, n, view);
    if (err == DP_ERR_UNSUPPORTED)
        return say(error, error_n, "signature: of another algorithm than ES256", DP_ERR_SIGNATURE);
    if (err < 0)
        return say(error, error_n, "signature: this is no signed set (COSE_Sign1, tag 18)",
                   DP_ERR_SIGNATURE);
    return DP_OK;
}

/* What has no good signature by this very key is not looked at. */
static int verify(const struct dp_cose_sign1_view *view, const uint8_t back_office[65], char *error,
                  size_t error_n)
{
    const struct dp_bytes aad = {(const uint8_t *)AAD, sizeof AAD - 1};
    uint8_t kid[DP_COSE_KID_BYTES];
    int err = dp_cose_key_id(back_office, kid);
    if (err < 0)
        return say(error, error_n, "signature: cannot be verified here", err);
    if (memcmp(kid, view->kid, sizeof kid) != 0)
        return say(error, error_n, "signature: by another key than the back office's",
                   DP_ERR_SIGNATURE);
    err = dp_cose_verify(view, aad, back_office);
    if (err < 0)
        return say(error, error_n, "signature: does not verify: the set was changed", err);
    return DP_OK;
}

static int read_payload(const uint8_t *p, size_t n, const struct dp_cose_sign1_view *view,
                        struct dp_params **out, char *error, size_t error_n)
{
    size_t digest_n = 0;
    int err = params_read(view->payload.p, view->payload.n, out, error, error_n);
    if (err < 0)
        return err;
    if (psa_hash_compute(PSA_ALG_SHA_256, p, n, (*out)->digest, 32, &digest_n) != PSA_SUCCESS) {
        dp_params_free(out);
        return say(error, error_n, "set: its digest cannot be computed", DP_ERR_CRYPTO);
    }
    return DP_OK;
}

int dp_params_decode(const uint8_t *p, size_t n, const uint8_t back_office[65],
                     struct dp_params **out, char *error, size_t error_n)
{
    struct dp_cose_sign1_view view;
    int err = parse(p, n, &view, error, error_n);
    *out = NULL;
    if (err == DP_OK)
        err = verify(&view, back_office, error, error_n);
    if (err == DP_OK)
        err = read_payload(p, n, &view, out, error, error_n);
    return err;
}

int dp_params_look(const uint8_t *p, size_t n, struct dp_params **out, char *error, size_t error_n)
{
    struct dp_cose_sign1_view view;
    int err = parse(p, n, &view, error, error_n);
    *out = NULL;
    if (err == DP_OK)
        err = read_payload(p, n, &view, out, error, error_n);
    if (err == DP_OK)
        (*out)->unverified = true;
    return err;
}

void dp_params_free(struct dp_params **params)
{
    struct dp_params *p = params != NULL ? *params : NULL;
    if (p == NULL)
        return;
    free(p->aids);
    free(p->ca_keys);
    free(p->revoked);
    params_tables_free(p->tables);
    dp_wipe(p, sizeof *p); /* the exceptions' key */
    free(p);
    *params = NULL;
}

/* ---- taking it into use ---- */

int dp_params_accept(const struct dp_params *params, struct dp_hsm *hsm, int64_t wall_ms)
{
    uint64_t held = 0;
    int err;
    if (params->unverified)
        return DP_ERR_SIGNATURE;
    err = dp_hsm_counter_read(hsm, DP_COUNTER_PARAMS, &held);
    if (err < 0)
        return err;
    if (params->version < held) {
        dp_log(DP_LOG_ERROR, "parameters: version %llu is older than %llu, which was in use",
               (unsigned long long)params->version, (unsigned long long)held);
        return DP_ERR_ROLLBACK;
    }
    if (wall_ms < params->valid_from * 1000 || wall_ms / 1000 > params->valid_to) {
        dp_log(DP_LOG_ERROR, "parameters: version %llu is not valid at this time",
               (unsigned long long)params->version);
        return DP_ERR_EXPIRED;
    }
    return dp_hsm_counter_raise(hsm, DP_COUNTER_PARAMS, params->version);
}

uint32_t dp_params_business_date(const struct dp_params *params, int64_t wall_ms)
{
    const struct dp_params_terminal *t = &params->terminal;
    struct dp_date_time d;
    /* From the cut-off on it is the next date: the clock is put forward to midnight by then. */
    int64_t ahead_min = t->cut_off_min > 0 ? 1440 - (int64_t)t->cut_off_min : 0;
    dp_date_time_from_ms(wall_ms + ahead_min * 60000, t->utc_offset_min, &d);
    return (uint32_t)d.year * 10000U + (uint32_t)d.month * 100U + d.day;
}
