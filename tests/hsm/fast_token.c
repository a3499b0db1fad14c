/* SPDX-License-Identifier: Apache-2.0 */
#include "fast_token.h"

#include <string.h>

#include <doorpay/cose.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "hsm/backend.h"

static struct dp_hsm token;
static struct fast_state state;

static void hash(const struct dp_bytes *parts, size_t n, uint8_t out[32])
{
    psa_hash_operation_t op = PSA_HASH_OPERATION_INIT;
    size_t out_n = 0;
    DP_ASSERT(psa_hash_setup(&op, PSA_ALG_SHA_256) == PSA_SUCCESS);
    for (size_t i = 0; i < n; i++)
        DP_ASSERT(psa_hash_update(&op, parts[i].p, parts[i].n) == PSA_SUCCESS);
    DP_ASSERT(psa_hash_finish(&op, out, 32, &out_n) == PSA_SUCCESS);
}

static void free_nothing(struct dp_hsm *hsm)
{
    (void)hsm;
}

static void derive(const char *what, uint32_t number, uint8_t out[32])
{
    const struct dp_bytes parts[] = {{(const uint8_t *)what, strlen(what)},
                                     {(const uint8_t *)&number, sizeof number}};
    hash(parts, 2, out);
}

/* ---- keys: no points of the curve, but as long ---- */

static void point_of(uint32_t number, uint8_t out[65])
{
    out[0] = 4;
    derive("x", number, out + 1);
    derive("y", number, out + 33);
}

static int public_key(struct dp_hsm *hsm, enum dp_hsm_key key, uint8_t out[65])
{
    const struct fast_state *s = &state;
    (void)hsm;
    if (key == DP_KEY_JOURNAL_EPOCH && s->epoch_live == 0)
        return DP_ERR_NOT_FOUND;
    point_of(key == DP_KEY_JOURNAL_EPOCH ? s->epoch : 1000000 + (uint32_t)key, out);
    return DP_OK;
}

static void signature_of(const uint8_t point[65], const uint8_t digest[32], uint8_t out[64])
{
    const struct dp_bytes parts[] = {{point, 65}, {digest, 32}};
    hash(parts, 2, out);
    hash(&(struct dp_bytes){out, 32}, 1, out + 32);
}

static int sign(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t digest[32],
                uint8_t signature[64])
{
    uint8_t point[65];
    int err = public_key(hsm, key, point);
    if (err == DP_OK)
        signature_of(point, digest, signature);
    return err;
}

int __wrap_dp_cose_verify_digest(const uint8_t point[65], const uint8_t digest[32],
                                 const uint8_t signature[64]);
int __wrap_dp_cose_verify(const struct dp_cose_sign1_view *message, struct dp_bytes aad,
                          const uint8_t point[65]);

int __wrap_dp_cose_verify_digest(const uint8_t point[65], const uint8_t digest[32],
                                 const uint8_t signature[64])
{
    uint8_t should[64];
    signature_of(point, digest, should);
    return memcmp(should, signature, sizeof should) == 0 ? DP_OK : DP_ERR_SIGNATURE;
}

int __wrap_dp_cose_verify(const struct dp_cose_sign1_view *message, struct dp_bytes aad,
                          const uint8_t point[65])
{
    uint8_t digest[32];
    int err = dp_cose_digest(aad, message->payload, digest);
    if (err == DP_OK && message->signature.n != 64)
        err = DP_ERR_SIGNATURE;
    return err == DP_OK ? __wrap_dp_cose_verify_digest(point, digest, message->signature.p) : err;
}

static int epoch_new(struct dp_hsm *hsm, uint32_t *number)
{
    struct fast_state *s = &state;
    (void)hsm;
    *number = ++s->epoch;
    s->epoch_live = 1;
    return DP_OK;
}

static int epoch_destroy(struct dp_hsm *hsm)
{
    struct fast_state *s = &state;
    (void)hsm;
    if (s->epoch_live == 0)
        return DP_ERR_NOT_FOUND;
    s->epoch_live = 0;
    return DP_OK;
}

/* ---- the anchor ---- */

static int anchor_read(struct dp_hsm *hsm, uint8_t value[32])
{
    memcpy(value, state.anchor, 32);
    return DP_OK;
}

static int anchor_extend(struct dp_hsm *hsm, const uint8_t digest[32], uint8_t value[32])
{
    const struct dp_bytes parts[] = {{state.anchor, 32}, {digest, 32}};
    (void)hsm;
    hash(parts, 2, value);
    memcpy(state.anchor, value, 32);
    return DP_OK;
}

/* ---- the side store's keys ---- */

static bool lives(const struct fast_state *s, uint32_t generation)
{
    return generation >= s->destroyed && generation <= s->generation;
}

static int wrap_generation(struct dp_hsm *hsm, uint32_t *generation)
{
    *generation = state.generation;
    return DP_OK;
}

static void tag_of(uint32_t generation, const uint8_t nonce[12], struct dp_bytes aad,
                   struct dp_bytes clear, uint8_t tag[32])
{
    uint8_t key[32];
    const struct dp_bytes parts[] = {{key, sizeof key}, {nonce, 12}, aad, clear};
    derive("wrap", generation, key);
    hash(parts, 4, tag);
}

static void mask(uint32_t generation, const uint8_t *from, size_t n, uint8_t *to)
{
    uint8_t key[32];
    derive("mask", generation, key);
    for (size_t i = 0; i < n; i++)
        to[i] = from[i] ^ key[i % sizeof key];
}

static int wrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad, struct dp_bytes clear,
                uint8_t *out, size_t max, size_t *n)
{
    uint8_t tag[32];
    if (!lives(&state, generation))
        return DP_ERR_NOT_FOUND;
    *n = clear.n + DP_HSM_WRAP_OVERHEAD;
    DP_ASSERT(*n <= max);
    memset(out, 0, 12); /* the same every time, for the same bytes every time */
    mask(generation, clear.p, clear.n, out + 12);
    tag_of(generation, out, aad, clear, tag);
    memcpy(out + 12 + clear.n, tag, 16);
    return DP_OK;
}

static int unwrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad,
                  struct dp_bytes wrapped, uint8_t *out, size_t max, size_t *n)
{
    uint8_t tag[32];
    size_t clear_n = wrapped.n - DP_HSM_WRAP_OVERHEAD;
    DP_ASSERT(clear_n <= max);
    if (!lives(&state, generation))
        return DP_ERR_NOT_FOUND;
    mask(generation, wrapped.p + 12, clear_n, out);
    tag_of(generation, wrapped.p, aad, (struct dp_bytes){out, clear_n}, tag);
    if (memcmp(tag, wrapped.p + 12 + clear_n, 16) != 0)
        return DP_ERR_SIGNATURE;
    *n = clear_n;
    return DP_OK;
}

static int wrap_rotate(struct dp_hsm *hsm, uint32_t *generation)
{
    *generation = ++state.generation;
    return DP_OK;
}

static int wrap_destroy(struct dp_hsm *hsm, uint32_t generation)
{
    struct fast_state *s = &state;
    (void)hsm;
    if (!lives(s, generation))
        return DP_ERR_NOT_FOUND;
    if (generation == s->generation)
        return DP_ERR_STATE;
    DP_ASSERT(generation == s->destroyed); /* the oldest goes first */
    s->destroyed++;
    return DP_OK;
}

static const struct hsm_ops ops = {
    .scheme = "fast",
    .free = free_nothing,
    .public_key = public_key,
    .sign = sign,
    .epoch_new = epoch_new,
    .epoch_destroy = epoch_destroy,
    .anchor_read = anchor_read,
    .anchor_extend = anchor_extend,
    .wrap_generation = wrap_generation,
    .wrap = wrap,
    .unwrap = unwrap,
    .wrap_rotate = wrap_rotate,
    .wrap_destroy = wrap_destroy,
};

struct dp_hsm *fast_token_new(void)
{
    DP_ASSERT(psa_crypto_init() == PSA_SUCCESS);
    memset(&state, 0, sizeof state);
    state.generation = state.destroyed = 1;
    token.ops = &ops;
    return &token;
}

struct fast_state *fast_token_state(void)
{
    return &state;
}
