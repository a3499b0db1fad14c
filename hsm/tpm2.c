/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tpm2:tcti=CONF?auth-source=FILE, a TPM 2.0: keys made in it and kept at persistent handles, the
 * anchor an NV index of type extend, counters NV counters. It encrypts no bulk data, so there is
 * neither side store nor DUKPT: a device that pays with it takes them from a PKCS #11 token, and
 * from the TPM the anchor: pkcs11:…+tpm2-anchor:… (composite.c).
 */
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "base/assert.h"
#include "base/log.h"
#include "p256.h"
#include "tpm.h"

struct tpm2 {
    struct dp_hsm hsm;
    struct tpm tpm;
};

static struct tpm2 *of(struct dp_hsm *hsm)
{
    DP_ASSERT(hsm->ops == &hsm_tpm2_ops || hsm->ops == &hsm_tpm2_anchor_ops);
    return (struct tpm2 *)hsm;
}

/* ---- opening ---- */

static void tpm2_free(struct dp_hsm *hsm)
{
    struct tpm2 *s = of(hsm);
    tpm_close(&s->tpm);
    free(s);
}

static int attach(const char *where, const struct hsm_ops *ops, bool look, bool owner,
                  struct tpm2 **out)
{
    struct tpm2 *s = calloc(1, sizeof *s);
    int err;
    if (s == NULL)
        return DP_ERR_NOMEM;
    s->hsm.ops = ops;
    err = tpm_open(where, look, owner, &s->tpm);
    if (err == DP_OK)
        *out = s;
    else
        free(s);
    return err;
}

static bool has_keys(const struct tpm *t)
{
    return t->keys[TPM_KEY_IDENTITY] != ESYS_TR_NONE &&
           t->keys[tpm_place(t, DP_KEY_TLS_CLIENT)] != ESYS_TR_NONE &&
           t->keys[TPM_KEY_CARD_DATA] != ESYS_TR_NONE;
}

static int open_as(const char *where, const struct hsm_ops *ops, bool look, struct dp_hsm **out)
{
    bool keys = ops == &hsm_tpm2_ops;
    struct tpm2 *s = NULL;
    int err = attach(where, ops, look, keys && !look, &s);
    if (err < 0)
        return err;
    err = tpm_load(&s->tpm);
    if (err == DP_OK && keys && !has_keys(&s->tpm)) {
        dp_log(DP_LOG_ERROR, "TPM: it has an anchor, and no keys");
        err = DP_ERR_NOT_FOUND;
    }
    if (err == DP_OK && keys && !look)
        err = tpm_tidy(&s->tpm);
    if (err == DP_OK)
        *out = &s->hsm;
    else
        tpm2_free(&s->hsm);
    return err;
}

static int provision_as(const char *where, const struct hsm_ops *ops)
{
    struct tpm2 *s = NULL;
    int err = attach(where, ops, false, true, &s);
    if (err < 0)
        return err;
    err = tpm_provision(&s->tpm, ops == &hsm_tpm2_ops);
    tpm2_free(&s->hsm);
    return err;
}

static int tpm2_open(const char *where, bool look, struct dp_hsm **out)
{
    return open_as(where, &hsm_tpm2_ops, look, out);
}

static int tpm2_provision(const char *where)
{
    return provision_as(where, &hsm_tpm2_ops);
}

static int anchor_open(const char *where, bool look, struct dp_hsm **out)
{
    return open_as(where, &hsm_tpm2_anchor_ops, look, out);
}

static int anchor_provision(const char *where)
{
    return provision_as(where, &hsm_tpm2_anchor_ops);
}

/* ---- keys ---- */

static int tpm2_public(struct dp_hsm *hsm, enum dp_hsm_key key, uint8_t out[65])
{
    struct tpm *t = &of(hsm)->tpm;
    int err = tpm_usable(t);
    return err == DP_OK ? tpm_public(t, tpm_place(t, key), out) : err;
}

static int tpm2_sign(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t digest[32],
                     uint8_t signature[64])
{
    struct tpm *t = &of(hsm)->tpm;
    int err = tpm_usable(t);
    DP_ASSERT(key != DP_KEY_CARD_DATA);
    return err == DP_OK ? tpm_sign(t, tpm_place(t, key), digest, signature) : err;
}

static int tpm2_ecdh(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t peer[65],
                     uint8_t shared[32])
{
    struct tpm *t = &of(hsm)->tpm;
    int err = tpm_usable(t);
    if (err == DP_OK && !p256_is_point(peer))
        err = DP_ERR_FORMAT;
    return err == DP_OK ? tpm_ecdh(t, tpm_place(t, key), peer, shared) : err;
}

static int epoch_destroy(struct tpm *t)
{
    if (t->keys[TPM_KEY_EPOCH] == ESYS_TR_NONE)
        return DP_ERR_NOT_FOUND;
    return tpm_destroy_key(t, TPM_KEY_EPOCH);
}

/* The number first: it is never given again, and with it the key of before answers no more. A crash
 * behind it leaves a round without a key, which the journal's next start gives it. */
static int tpm2_epoch_new(struct dp_hsm *hsm, uint32_t *number)
{
    struct tpm *t = &of(hsm)->tpm;
    uint64_t n = 0;
    int err = tpm_usable(t);
    if (err == DP_OK)
        err = tpm_counter_read(t, TPM_NV_EPOCH, &n);
    if (err == DP_OK && n >= UINT32_MAX)
        err = DP_ERR_LIMIT;
    if (err == DP_OK)
        err = tpm_counter_raise(t, TPM_NV_EPOCH, n + 1);
    if (err < 0)
        return err;
    err = epoch_destroy(t);
    if (err == DP_OK || err == DP_ERR_NOT_FOUND)
        err = tpm_make_key(t, TPM_KEY_EPOCH);
    if (err == DP_OK)
        *number = (uint32_t)n + 1;
    return err;
}

static int tpm2_epoch_destroy(struct dp_hsm *hsm)
{
    struct tpm *t = &of(hsm)->tpm;
    int err = tpm_usable(t);
    return err == DP_OK ? epoch_destroy(t) : err;
}

/* ---- the TLS client key and the one that is to follow it ---- */

static int tpm2_tls_next(struct dp_hsm *hsm)
{
    struct tpm *t = &of(hsm)->tpm;
    enum tpm_place next = tpm_place(t, DP_KEY_TLS_NEXT);
    int err = tpm_usable(t);
    if (err == DP_OK && t->keys[next] != ESYS_TR_NONE)
        err = DP_ERR_STATE;
    return err == DP_OK ? tpm_make_key(t, next) : err;
}

static int tpm2_tls_take(struct dp_hsm *hsm)
{
    struct tpm *t = &of(hsm)->tpm;
    int err = tpm_usable(t);
    return err == DP_OK ? tpm_take_tls(t) : err;
}

/* ---- what only moves forward ---- */

static int tpm2_anchor_read(struct dp_hsm *hsm, uint8_t value[32])
{
    struct tpm *t = &of(hsm)->tpm;
    int err = tpm_usable(t);
    return err == DP_OK ? tpm_anchor_read(t, value) : err;
}

static int tpm2_anchor_extend(struct dp_hsm *hsm, const uint8_t digest[32], uint8_t value[32])
{
    struct tpm *t = &of(hsm)->tpm;
    int err = tpm_usable(t);
    return err == DP_OK ? tpm_anchor_extend(t, digest, value) : err;
}

static int tpm2_anchor_certify(struct dp_hsm *hsm, const uint8_t nonce[32],
                               struct dp_hsm_evidence *out)
{
    struct tpm *t = &of(hsm)->tpm;
    int err = tpm_usable(t);
    return err == DP_OK ? tpm_anchor_certify(t, nonce, out) : err;
}

static enum tpm_nv counter(enum dp_hsm_counter which)
{
    return which == DP_COUNTER_PARAMS ? TPM_NV_PARAMS : TPM_NV_FAILURES;
}

static int tpm2_counter_read(struct dp_hsm *hsm, enum dp_hsm_counter which, uint64_t *value)
{
    struct tpm *t = &of(hsm)->tpm;
    int err = tpm_usable(t);
    return err == DP_OK ? tpm_counter_read(t, counter(which), value) : err;
}

static int tpm2_counter_raise(struct dp_hsm *hsm, enum dp_hsm_counter which, uint64_t value)
{
    struct tpm *t = &of(hsm)->tpm;
    int err = tpm_usable(t);
    return err == DP_OK ? tpm_counter_raise(t, counter(which), value) : err;
}

const struct hsm_ops hsm_tpm2_ops = {
    .scheme = "tpm2",
    .open = tpm2_open,
    .provision = tpm2_provision,
    .free = tpm2_free,
    .public_key = tpm2_public,
    .sign = tpm2_sign,
    .ecdh = tpm2_ecdh,
    .epoch_new = tpm2_epoch_new,
    .epoch_destroy = tpm2_epoch_destroy,
    .tls_next = tpm2_tls_next,
    .tls_take = tpm2_tls_take,
    .anchor_read = tpm2_anchor_read,
    .anchor_extend = tpm2_anchor_extend,
    .anchor_certify = tpm2_anchor_certify,
    .counter_read = tpm2_counter_read,
    .counter_raise = tpm2_counter_raise,
};

const struct hsm_ops hsm_tpm2_anchor_ops = {
    .scheme = "tpm2-anchor",
    .open = anchor_open,
    .provision = anchor_provision,
    .free = tpm2_free,
    .anchor_read = tpm2_anchor_read,
    .anchor_extend = tpm2_anchor_extend,
    .anchor_certify = tpm2_anchor_certify,
    .counter_read = tpm2_counter_read,
    .counter_raise = tpm2_counter_raise,
};
