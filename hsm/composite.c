/* SPDX-License-Identifier: Apache-2.0 */
/* Anchor, its evidence and counters are the TPM's, whatever the first one has of them; all else is
 * the first one's. What neither has is refused. */
#include "composite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"

struct composite {
    struct dp_hsm hsm;
    struct hsm_ops ops;
    struct dp_hsm *keys, *anchor;
    char name[32];
};

static struct composite *of(struct dp_hsm *hsm)
{
    struct composite *c = (struct composite *)hsm;
    DP_ASSERT(hsm->ops == &c->ops);
    return c;
}

static void composite_free(struct dp_hsm *hsm)
{
    struct composite *c = of(hsm);
    if (c->keys != NULL)
        c->keys->ops->free(c->keys);
    if (c->anchor != NULL)
        c->anchor->ops->free(c->anchor);
    free(c);
}

/* ---- the keys' part ---- */

static int composite_public_key(struct dp_hsm *hsm, enum dp_hsm_key key, uint8_t out[65])
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->public_key(keys, key, out);
}

static int composite_sign(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t digest[32],
                          uint8_t signature[64])
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->sign(keys, key, digest, signature);
}

static int composite_ecdh(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t peer[65],
                          uint8_t shared[32])
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->ecdh(keys, key, peer, shared);
}

static int composite_epoch_new(struct dp_hsm *hsm, uint32_t *number)
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->epoch_new(keys, number);
}

static int composite_epoch_destroy(struct dp_hsm *hsm)
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->epoch_destroy(keys);
}

static int composite_tls_next(struct dp_hsm *hsm)
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->tls_next(keys);
}

static int composite_tls_take(struct dp_hsm *hsm)
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->tls_take(keys);
}

static int composite_wrap_generation(struct dp_hsm *hsm, uint32_t *generation)
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->wrap_generation(keys, generation);
}

static int composite_wrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad,
                          struct dp_bytes clear, uint8_t *out, size_t max, size_t *n)
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->wrap(keys, generation, aad, clear, out, max, n);
}

static int composite_unwrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad,
                            struct dp_bytes wrapped, uint8_t *out, size_t max, size_t *n)
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->unwrap(keys, generation, aad, wrapped, out, max, n);
}

static int composite_wrap_rotate(struct dp_hsm *hsm, uint32_t *generation)
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->wrap_rotate(keys, generation);
}

static int composite_wrap_destroy(struct dp_hsm *hsm, uint32_t generation)
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->wrap_destroy(keys, generation);
}

static int composite_dukpt_load(struct dp_hsm *hsm, const uint8_t initial_key[16],
                                const uint8_t initial_key_id[8])
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->dukpt_load(keys, initial_key, initial_key_id);
}

static int composite_dukpt_next(struct dp_hsm *hsm, uint8_t ksn[DP_KSN_BYTES])
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->dukpt_next(keys, ksn);
}

static int composite_dukpt_mac(struct dp_hsm *hsm, const uint8_t ksn[DP_KSN_BYTES], bool answer,
                               const uint8_t digest[32], uint8_t mac[16])
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->dukpt_mac(keys, ksn, answer, digest, mac);
}

static int composite_dukpt_check(struct dp_hsm *hsm)
{
    struct dp_hsm *keys = of(hsm)->keys;
    return keys->ops->dukpt_check(keys);
}

/* ---- the anchor's part ---- */

static int composite_anchor_read(struct dp_hsm *hsm, uint8_t value[32])
{
    struct dp_hsm *anchor = of(hsm)->anchor;
    return anchor->ops->anchor_read(anchor, value);
}

static int composite_anchor_extend(struct dp_hsm *hsm, const uint8_t digest[32], uint8_t value[32])
{
    struct dp_hsm *anchor = of(hsm)->anchor;
    return anchor->ops->anchor_extend(anchor, digest, value);
}

static int composite_anchor_certify(struct dp_hsm *hsm, const uint8_t nonce[32],
                                    struct dp_hsm_evidence *out)
{
    struct dp_hsm *anchor = of(hsm)->anchor;
    return anchor->ops->anchor_certify(anchor, nonce, out);
}

static int composite_counter_read(struct dp_hsm *hsm, enum dp_hsm_counter which, uint64_t *value)
{
    struct dp_hsm *anchor = of(hsm)->anchor;
    return anchor->ops->counter_read(anchor, which, value);
}

static int composite_counter_raise(struct dp_hsm *hsm, enum dp_hsm_counter which, uint64_t value)
{
    struct dp_hsm *anchor = of(hsm)->anchor;
    return anchor->ops->counter_raise(anchor, which, value);
}

/* What the first one cannot do, the two cannot. */
static void take_functions(struct composite *c)
{
    const struct hsm_ops *k = c->keys->ops;
    struct hsm_ops *o = &c->ops;
    o->anchor_read = composite_anchor_read;
    o->anchor_extend = composite_anchor_extend;
    o->anchor_certify = composite_anchor_certify;
    o->counter_read = composite_counter_read;
    o->counter_raise = composite_counter_raise;
    o->public_key = k->public_key != NULL ? composite_public_key : NULL;
    o->sign = k->sign != NULL ? composite_sign : NULL;
    o->ecdh = k->ecdh != NULL ? composite_ecdh : NULL;
    o->epoch_new = k->epoch_new != NULL ? composite_epoch_new : NULL;
    o->epoch_destroy = k->epoch_destroy != NULL ? composite_epoch_destroy : NULL;
    o->tls_next = k->tls_next != NULL ? composite_tls_next : NULL;
    o->tls_take = k->tls_take != NULL ? composite_tls_take : NULL;
    o->wrap_generation = k->wrap_generation != NULL ? composite_wrap_generation : NULL;
    o->wrap = k->wrap != NULL ? composite_wrap : NULL;
    o->unwrap = k->unwrap != NULL ? composite_unwrap : NULL;
    o->wrap_rotate = k->wrap_rotate != NULL ? composite_wrap_rotate : NULL;
    o->wrap_destroy = k->wrap_destroy != NULL ? composite_wrap_destroy : NULL;
    o->dukpt_load = k->dukpt_load != NULL ? composite_dukpt_load : NULL;
    o->dukpt_next = k->dukpt_next != NULL ? composite_dukpt_next : NULL;
    o->dukpt_mac = k->dukpt_mac != NULL ? composite_dukpt_mac : NULL;
    o->dukpt_check = k->dukpt_check != NULL ? composite_dukpt_check : NULL;
}

/* ---- opening ---- */

static int cut(const char *where, const char *join, char out[DP_HSM_URI_MAX + 1])
{
    size_t n = (size_t)(join - where);
    if (n == 0 || n > DP_HSM_URI_MAX || join[strlen(COMPOSITE_JOINT)] == '\0') {
        dp_log(DP_LOG_ERROR, "a key store of two parts is named KEYS" COMPOSITE_JOINT "WHERE");
        return DP_ERR_ARG;
    }
    memcpy(out, where, n);
    out[n] = '\0';
    return DP_OK;
}

int composite_open(const struct hsm_ops *keys, const char *where, const char *join, bool look,
                   struct dp_hsm **out)
{
    char first[DP_HSM_URI_MAX + 1];
    struct composite *c;
    int err = cut(where, join, first);
    if (err < 0)
        return err;
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return DP_ERR_NOMEM;
    c->hsm.ops = &c->ops;
    c->ops.free = composite_free;
    err = keys->open(first, look, &c->keys);
    if (err == DP_OK)
        err = hsm_tpm2_anchor_ops.open(join + strlen(COMPOSITE_JOINT), look, &c->anchor);
    if (err < 0) {
        composite_free(&c->hsm);
        return err;
    }
    take_functions(c);
    (void)snprintf(c->name, sizeof c->name, "%s+tpm2-anchor", keys->scheme);
    c->ops.scheme = c->name;
    *out = &c->hsm;
    return DP_OK;
}

/* An anchor that an unfinished set-up left is taken when nothing was ever bound to it. */
static int provision_anchor(const char *where)
{
    static const uint8_t zero[32];
    struct dp_hsm *anchor = NULL;
    uint8_t value[32];
    int err = hsm_tpm2_anchor_ops.provision(where);
    if (err != DP_ERR_STATE)
        return err;
    err = hsm_tpm2_anchor_ops.open(where, true, &anchor);
    if (err < 0)
        return err == DP_ERR_NOT_FOUND ? DP_ERR_STATE : err;
    err = anchor->ops->anchor_read(anchor, value);
    if (err == DP_OK && memcmp(value, zero, sizeof zero) != 0)
        err = DP_ERR_STATE;
    anchor->ops->free(anchor);
    return err;
}

int composite_provision(const struct hsm_ops *keys, const char *where, const char *join)
{
    char first[DP_HSM_URI_MAX + 1];
    int err = cut(where, join, first);
    if (err == DP_OK && keys->provision == NULL)
        err = DP_ERR_UNSUPPORTED;
    if (err == DP_OK)
        err = provision_anchor(join + strlen(COMPOSITE_JOINT));
    return err == DP_OK ? keys->provision(first) : err;
}
