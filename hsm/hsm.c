/* SPDX-License-Identifier: Apache-2.0 */
/* The front of every key store: finds the back end, holds arguments and purposes of keys. */
#include <doorpay/hsm.h>

#include <stdio.h>
#include <string.h>

#include <psa/crypto.h>

#include "backend.h"
#include "base/assert.h"
#include "base/log.h"
#include "composite.h"
#include "dp_config.h"

static const struct hsm_ops *const backends[] = {
#if !DP_PROFILE_DEVICE
    &hsm_soft_ops,
    &hsm_sim_ops,
#endif
#if DP_WITH_PKCS11
    &hsm_pkcs11_ops,
#endif
#if DP_WITH_TPM2
    &hsm_tpm2_ops,
#endif
    NULL,
};

/* ---- which back end ---- */

static int find(const char *uri, const struct hsm_ops **ops, const char **where)
{
    const char *colon = strchr(uri, ':');
    if (colon == NULL || colon == uri || colon[1] == '\0') {
        dp_log(DP_LOG_ERROR, "a key store is named by a URI: a kind, a colon, and where it is");
        return DP_ERR_ARG;
    }
    for (const struct hsm_ops *const *b = backends; *b != NULL; b++) {
        size_t n = strlen((*b)->scheme);
        if (n == (size_t)(colon - uri) && memcmp((*b)->scheme, uri, n) == 0) {
            *ops = *b;
            *where = colon + 1;
            return psa_crypto_init() == PSA_SUCCESS ? DP_OK : DP_ERR_CRYPTO;
        }
    }
    dp_log(DP_LOG_ERROR, "this build has no key store of the kind \"%.*s:\"", (int)(colon - uri),
           uri);
    return DP_ERR_UNSUPPORTED;
}

#if DP_WITH_TPM2
static int open_parts(const struct hsm_ops *ops, const char *where, bool look, struct dp_hsm **out)
{
    const char *join = composite_join(where);
    return join != NULL ? composite_open(ops, where, join, look, out) : ops->open(where, look, out);
}

static int provision_parts(const struct hsm_ops *ops, const char *where)
{
    const char *join = composite_join(where);
    return join != NULL ? composite_provision(ops, where, join) : ops->provision(where);
}
#else
static bool refused(const char *where)
{
    if (composite_join(where) == NULL)
        return false;
    dp_log(DP_LOG_ERROR, "this build has no tpm2-anchor:");
    return true;
}

static int open_parts(const struct hsm_ops *ops, const char *where, bool look, struct dp_hsm **out)
{
    return refused(where) ? DP_ERR_UNSUPPORTED : ops->open(where, look, out);
}

static int provision_parts(const struct hsm_ops *ops, const char *where)
{
    return refused(where) ? DP_ERR_UNSUPPORTED : ops->provision(where);
}
#endif

static int open_for(const char *uri, bool look, struct dp_hsm **out)
{
    const struct hsm_ops *ops = NULL;
    const char *where = NULL;
    int err = find(uri, &ops, &where);
    *out = NULL;
    if (err == DP_OK)
        err = open_parts(ops, where, look, out);
    DP_ASSERT((err == DP_OK) == (*out != NULL));
    if (err == DP_OK)
        (*out)->look = look;
    return err;
}

int dp_hsm_open(const char *uri, struct dp_hsm **out)
{
    return open_for(uri, false, out);
}

int dp_hsm_open_readonly(const char *uri, struct dp_hsm **out)
{
    return open_for(uri, true, out);
}

void dp_hsm_free(struct dp_hsm **hsm)
{
    if (hsm == NULL || *hsm == NULL)
        return;
    (*hsm)->ops->free(*hsm);
    *hsm = NULL;
}

int dp_hsm_provision(const char *uri)
{
    const struct hsm_ops *ops = NULL;
    const char *where = NULL;
    int err = find(uri, &ops, &where);
    if (err == DP_OK)
        err = provision_parts(ops, where);
    return err;
}

void dp_hsm_get_caps(const struct dp_hsm *hsm, struct dp_hsm_caps *out)
{
    const struct hsm_ops *o = hsm->ops;
    memset(out, 0, sizeof *out);
    out->anchor = o->anchor_read != NULL && o->anchor_extend != NULL;
    out->counter = o->counter_read != NULL && o->counter_raise != NULL;
    out->epoch = o->epoch_new != NULL && o->epoch_destroy != NULL;
    out->wrap = o->wrap_generation != NULL && o->wrap != NULL && o->unwrap != NULL &&
                o->wrap_rotate != NULL && o->wrap_destroy != NULL;
    out->dukpt = o->dukpt_load != NULL && o->dukpt_next != NULL && o->dukpt_mac != NULL &&
                 o->dukpt_check != NULL;
    out->ecdh = o->ecdh != NULL;
    out->evidence = o->anchor_certify != NULL;
    out->rotate = o->tls_next != NULL && o->tls_take != NULL;
    (void)snprintf(out->name, sizeof out->name, "%s", o->scheme);
}

/* ---- keys: one key, one purpose ---- */

static bool is_key(enum dp_hsm_key key)
{
    return key >= DP_KEY_JOURNAL_IDENTITY && key <= DP_KEY_TLS_NEXT;
}

int dp_hsm_public(struct dp_hsm *hsm, enum dp_hsm_key key, uint8_t out[65])
{
    if (!is_key(key))
        return DP_ERR_ARG;
    return hsm->ops->public_key(hsm, key, out);
}

int dp_hsm_sign(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t digest[32],
                uint8_t signature[64])
{
    if (!is_key(key))
        return DP_ERR_ARG;
    if (key == DP_KEY_CARD_DATA || hsm->look)
        return DP_ERR_DENIED;
    return hsm->ops->sign(hsm, key, digest, signature);
}

int dp_hsm_ecdh(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t peer[65], uint8_t shared[32])
{
    if (!is_key(key))
        return DP_ERR_ARG;
    if (key != DP_KEY_CARD_DATA || hsm->look)
        return DP_ERR_DENIED;
    return hsm->ops->ecdh != NULL ? hsm->ops->ecdh(hsm, key, peer, shared) : DP_ERR_UNSUPPORTED;
}

int dp_hsm_epoch_new(struct dp_hsm *hsm, uint32_t *number)
{
    if (hsm->look)
        return DP_ERR_DENIED;
    return hsm->ops->epoch_new != NULL ? hsm->ops->epoch_new(hsm, number) : DP_ERR_UNSUPPORTED;
}

int dp_hsm_epoch_destroy(struct dp_hsm *hsm)
{
    if (hsm->look)
        return DP_ERR_DENIED;
    return hsm->ops->epoch_destroy != NULL ? hsm->ops->epoch_destroy(hsm) : DP_ERR_UNSUPPORTED;
}

int dp_hsm_tls_next(struct dp_hsm *hsm)
{
    if (hsm->look)
        return DP_ERR_DENIED;
    return hsm->ops->tls_next != NULL ? hsm->ops->tls_next(hsm) : DP_ERR_UNSUPPORTED;
}

int dp_hsm_tls_take(struct dp_hsm *hsm)
{
    if (hsm->look)
        return DP_ERR_DENIED;
    return hsm->ops->tls_take != NULL ? hsm->ops->tls_take(hsm) : DP_ERR_UNSUPPORTED;
}

/* ---- what only moves forward ---- */

int dp_hsm_anchor_read(struct dp_hsm *hsm, uint8_t value[32])
{
    return hsm->ops->anchor_read != NULL ? hsm->ops->anchor_read(hsm, value) : DP_ERR_UNSUPPORTED;
}

int dp_hsm_anchor_extend(struct dp_hsm *hsm, const uint8_t digest[32], uint8_t value[32])
{
    if (hsm->look)
        return DP_ERR_DENIED;
    return hsm->ops->anchor_extend != NULL ? hsm->ops->anchor_extend(hsm, digest, value)
                                           : DP_ERR_UNSUPPORTED;
}

int dp_hsm_anchor_certify(struct dp_hsm *hsm, const uint8_t nonce[32], struct dp_hsm_evidence *out)
{
    if (hsm->look)
        return DP_ERR_DENIED;
    memset(out, 0, sizeof *out);
    return hsm->ops->anchor_certify != NULL ? hsm->ops->anchor_certify(hsm, nonce, out)
                                            : DP_ERR_UNSUPPORTED;
}

static bool is_counter(enum dp_hsm_counter which)
{
    return which == DP_COUNTER_PARAMS || which == DP_COUNTER_LOGIN_FAILURES;
}

int dp_hsm_counter_read(struct dp_hsm *hsm, enum dp_hsm_counter which, uint64_t *value)
{
    if (!is_counter(which))
        return DP_ERR_ARG;
    return hsm->ops->counter_read != NULL ? hsm->ops->counter_read(hsm, which, value)
                                          : DP_ERR_UNSUPPORTED;
}

int dp_hsm_counter_raise(struct dp_hsm *hsm, enum dp_hsm_counter which, uint64_t value)
{
    if (!is_counter(which))
        return DP_ERR_ARG;
    if (hsm->look)
        return DP_ERR_DENIED;
    return hsm->ops->counter_raise != NULL ? hsm->ops->counter_raise(hsm, which, value)
                                           : DP_ERR_UNSUPPORTED;
}

/* ---- side store ---- */

int dp_hsm_wrap_generation(struct dp_hsm *hsm, uint32_t *generation)
{
    return hsm->ops->wrap_generation != NULL ? hsm->ops->wrap_generation(hsm, generation)
                                             : DP_ERR_UNSUPPORTED;
}

int dp_hsm_wrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad, struct dp_bytes clear,
                uint8_t *out, size_t max, size_t *n)
{
    *n = 0;
    if (hsm->look)
        return DP_ERR_DENIED;
    if (max < DP_HSM_WRAP_OVERHEAD || clear.n > max - DP_HSM_WRAP_OVERHEAD)
        return DP_ERR_SPACE;
    return hsm->ops->wrap != NULL ? hsm->ops->wrap(hsm, generation, aad, clear, out, max, n)
                                  : DP_ERR_UNSUPPORTED;
}

int dp_hsm_unwrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad,
                  struct dp_bytes wrapped, uint8_t *out, size_t max, size_t *n)
{
    *n = 0;
    if (hsm->look)
        return DP_ERR_DENIED;
    if (wrapped.n < DP_HSM_WRAP_OVERHEAD)
        return DP_ERR_SHORT;
    if (wrapped.n - DP_HSM_WRAP_OVERHEAD > max)
        return DP_ERR_SPACE;
    return hsm->ops->unwrap != NULL ? hsm->ops->unwrap(hsm, generation, aad, wrapped, out, max, n)
                                    : DP_ERR_UNSUPPORTED;
}

int dp_hsm_wrap_rotate(struct dp_hsm *hsm, uint32_t *generation)
{
    if (hsm->look)
        return DP_ERR_DENIED;
    return hsm->ops->wrap_rotate != NULL ? hsm->ops->wrap_rotate(hsm, generation)
                                         : DP_ERR_UNSUPPORTED;
}

int dp_hsm_wrap_destroy(struct dp_hsm *hsm, uint32_t generation)
{
    if (hsm->look)
        return DP_ERR_DENIED;
    return hsm->ops->wrap_destroy != NULL ? hsm->ops->wrap_destroy(hsm, generation)
                                          : DP_ERR_UNSUPPORTED;
}

/* ---- DUKPT ---- */

int dp_hsm_dukpt_load(struct dp_hsm *hsm, const uint8_t initial_key[16],
                      const uint8_t initial_key_id[8])
{
    if (hsm->look)
        return DP_ERR_DENIED;
    return hsm->ops->dukpt_load != NULL ? hsm->ops->dukpt_load(hsm, initial_key, initial_key_id)
                                        : DP_ERR_UNSUPPORTED;
}

int dp_hsm_dukpt_next(struct dp_hsm *hsm, uint8_t ksn[DP_KSN_BYTES])
{
    if (hsm->look)
        return DP_ERR_DENIED;
    return hsm->ops->dukpt_next != NULL ? hsm->ops->dukpt_next(hsm, ksn) : DP_ERR_UNSUPPORTED;
}

int dp_hsm_dukpt_mac(struct dp_hsm *hsm, const uint8_t ksn[DP_KSN_BYTES], bool answer,
                     const uint8_t digest[32], uint8_t mac[16])
{
    if (hsm->look)
        return DP_ERR_DENIED;
    return hsm->ops->dukpt_mac != NULL ? hsm->ops->dukpt_mac(hsm, ksn, answer, digest, mac)
                                       : DP_ERR_UNSUPPORTED;
}

int dp_hsm_dukpt_check(struct dp_hsm *hsm)
{
    if (hsm->look)
        return DP_ERR_DENIED;
    return hsm->ops->dukpt_check != NULL ? hsm->ops->dukpt_check(hsm) : DP_ERR_UNSUPPORTED;
}
