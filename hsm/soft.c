/* SPDX-License-Identifier: Apache-2.0 */
/*
 * soft:DIR, the key store of a development machine: private keys in a file in clear. What is
 * changed is changed in a copy, made durable, and only then becomes the state that is held. A copy
 * of DIR put back later is a rollback that this store cannot see.
 */
#include <stdlib.h>
#include <string.h>

#include <psa/crypto.h>

#include "aes.h"
#include "backend.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/secret.h"
#include "p256.h"
#include "soft_dir.h"
#include "soft_state.h"

struct memory {
    struct soft_state now, next;
    struct dukpt_keys transaction; /* never in a file */
    uint8_t bytes[SOFT_STATE_BYTES_MAX];
    bool in_transaction;
};

struct soft {
    struct dp_hsm hsm;
    struct soft_dir dir;
    struct dp_secret secret;
    struct memory *m; /* in secret */
    bool unknown;     /* a write failed half way: the file may hold either state */
};

static struct soft *of(struct dp_hsm *hsm)
{
    DP_ASSERT(hsm->ops == &hsm_soft_ops);
    return (struct soft *)hsm;
}

/* ---- a change ---- */

/* What is held may be told and changed. */
static int usable(const struct soft *s)
{
    if (s->unknown) {
        dp_log(DP_LOG_ERROR, "soft key store: %s failed in a write: open it anew", s->dir.path);
        return DP_ERR_TOKEN;
    }
    /* secrets are wiped in a forked child, which must neither tell nor write the zeros */
    if (s->m->now.sequence == 0) {
        dp_log(DP_LOG_ERROR, "soft key store: %s was opened by another process", s->dir.path);
        return DP_ERR_STATE;
    }
    return DP_OK;
}

/* The state to be changed, or NULL. */
static struct soft_state *begin(struct soft *s, int *err)
{
    *err = usable(s);
    if (*err < 0)
        return NULL;
    memcpy(&s->m->next, &s->m->now, sizeof s->m->next);
    return &s->m->next;
}

static int commit(struct soft *s)
{
    size_t n = 0;
    int err;
    s->m->next.sequence++;
    err = soft_state_encode(&s->m->next, s->m->bytes, &n);
    if (err == DP_OK)
        err = soft_dir_replace(&s->dir, s->m->bytes, n, &s->unknown);
    if (err == DP_OK)
        memcpy(&s->m->now, &s->m->next, sizeof s->m->now);
    dp_wipe(s->m->bytes, sizeof s->m->bytes);
    dp_wipe(&s->m->next, sizeof s->m->next);
    return err;
}

/* ---- opening ---- */

static void soft_free(struct dp_hsm *hsm)
{
    struct soft *s = of(hsm);
    dp_secret_free(&s->secret);
    soft_dir_close(&s->dir);
    free(s);
}

static int make(const char *where, enum soft_dir_for for_what, struct soft **out)
{
    struct soft *s = calloc(1, sizeof *s);
    int err;
    *out = NULL;
    if (s == NULL)
        return DP_ERR_NOMEM;
    s->hsm.ops = &hsm_soft_ops;
    s->dir.fd = -1;
    err = dp_secret_new(&s->secret, (sizeof *s->m + 15) / 16 * 16);
    if (err == DP_OK) {
        s->m = (struct memory *)s->secret.p;
        err = soft_dir_open(where, for_what, &s->dir);
    }
    if (err == DP_OK)
        *out = s;
    else
        soft_free(&s->hsm);
    return err;
}

/* Damage would have met the check sum; a key that is none was written so. */
static const char *wrong_key(const struct soft_state *s)
{
    uint8_t point[65];
    if (p256_public(s->identity, point) < 0)
        return "the journal's identity key is no P-256 key";
    if (p256_public(s->tls_client, point) < 0)
        return "the TLS client's key is no P-256 key";
    if (p256_public(s->card_data, point) < 0)
        return "the card data's key is no P-256 key";
    if (s->tls_waits && p256_public(s->tls_next, point) < 0)
        return "the TLS client's key to come is no P-256 key";
    if (s->epoch_live && p256_public(s->epoch, point) < 0)
        return "the epoch key is no P-256 key";
    return NULL;
}

static int load(struct soft *s)
{
    const char *what = NULL;
    size_t n = 0;
    int err = soft_dir_read(&s->dir, s->m->bytes, sizeof s->m->bytes, &n);
    if (err == DP_ERR_NOT_FOUND)
        dp_log(DP_LOG_ERROR, "soft key store: %s holds no keys yet", s->dir.path);
    if (err < 0)
        return err;
    err = soft_state_decode(s->m->bytes, n, &s->m->now, &what);
    dp_wipe(s->m->bytes, sizeof s->m->bytes);
    if (err == DP_OK) {
        what = wrong_key(&s->m->now);
        err = what != NULL ? DP_ERR_TAMPERED : DP_OK;
    }
    if (err < 0)
        dp_log(DP_LOG_ERROR, "soft key store: %s/state: %s", s->dir.path, what);
    return err;
}

static int soft_open(const char *where, bool look, struct dp_hsm **out)
{
    struct soft *s;
    int err = make(where, look ? SOFT_DIR_LOOK : SOFT_DIR_USE, &s);
    if (err < 0)
        return err;
    err = load(s);
    if (err == DP_OK)
        *out = &s->hsm;
    else
        soft_free(&s->hsm);
    return err;
}

static int new_keys(struct soft_state *s)
{
    int err = p256_make(s->identity);
    if (err == DP_OK)
        err = p256_make(s->tls_client);
    if (err == DP_OK)
        err = p256_make(s->card_data);
    s->wraps_n = 1;
    s->wraps[0].generation = 1;
    if (err == DP_OK && psa_generate_random(s->wraps[0].key, 32) != PSA_SUCCESS)
        err = DP_ERR_RANDOM;
    return err;
}

static int soft_provision(const char *where)
{
    struct soft *s;
    size_t n = 0;
    int err = make(where, SOFT_DIR_MAKE, &s);
    if (err < 0)
        return err;
    /* Anything there, readable or not, stays: keys are never overwritten. */
    err = soft_dir_read(&s->dir, s->m->bytes, sizeof s->m->bytes, &n);
    if (err != DP_ERR_NOT_FOUND) {
        dp_log(DP_LOG_ERROR, "soft key store: %s holds keys already", where);
        err = DP_ERR_STATE;
    } else {
        err = new_keys(&s->m->next);
        if (err == DP_OK)
            err = commit(s);
    }
    soft_free(&s->hsm);
    return err;
}

/* ---- keys ---- */

/* DP_ERR_NOT_FOUND: no epoch has begun. */
static int find_scalar(const struct soft *s, enum dp_hsm_key key, const uint8_t **scalar)
{
    const struct soft_state *now = &s->m->now;
    int err = usable(s);
    switch (key) {
    case DP_KEY_JOURNAL_IDENTITY:
        *scalar = now->identity;
        break;
    case DP_KEY_JOURNAL_EPOCH:
        *scalar = now->epoch;
        if (err == DP_OK && !now->epoch_live)
            err = DP_ERR_NOT_FOUND;
        break;
    case DP_KEY_TLS_CLIENT:
        *scalar = now->tls_client;
        break;
    case DP_KEY_CARD_DATA:
        *scalar = now->card_data;
        break;
    case DP_KEY_TLS_NEXT:
        *scalar = now->tls_next;
        if (err == DP_OK && !now->tls_waits)
            err = DP_ERR_NOT_FOUND;
        break;
    }
    return err;
}

static int soft_public(struct dp_hsm *hsm, enum dp_hsm_key key, uint8_t out[65])
{
    const uint8_t *scalar = NULL;
    int err = find_scalar(of(hsm), key, &scalar);
    return err == DP_OK ? p256_public(scalar, out) : err;
}

static int soft_sign(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t digest[32],
                     uint8_t signature[64])
{
    const uint8_t *scalar = NULL;
    int err = find_scalar(of(hsm), key, &scalar);
    DP_ASSERT(key != DP_KEY_CARD_DATA);
    return err == DP_OK ? p256_sign(scalar, digest, signature) : err;
}

static int soft_ecdh(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t peer[65],
                     uint8_t shared[32])
{
    const uint8_t *scalar = NULL;
    int err = find_scalar(of(hsm), key, &scalar);
    DP_ASSERT(key == DP_KEY_CARD_DATA);
    return err == DP_OK ? p256_ecdh(scalar, peer, shared) : err;
}

static int soft_epoch_new(struct dp_hsm *hsm, uint32_t *number)
{
    struct soft *s = of(hsm);
    int err;
    struct soft_state *next = begin(s, &err);
    if (next == NULL)
        return err;
    if (next->epoch_number == UINT32_MAX)
        return DP_ERR_LIMIT;
    err = p256_make(next->epoch);
    if (err < 0)
        return err;
    next->epoch_live = true;
    next->epoch_number++;
    err = commit(s);
    if (err == DP_OK)
        *number = s->m->now.epoch_number;
    return err;
}

static int soft_epoch_destroy(struct dp_hsm *hsm)
{
    struct soft *s = of(hsm);
    int err;
    struct soft_state *next = begin(s, &err);
    if (next == NULL)
        return err;
    if (!next->epoch_live)
        return DP_ERR_NOT_FOUND;
    next->epoch_live = false;
    dp_wipe(next->epoch, sizeof next->epoch);
    return commit(s);
}

/* ---- the TLS client key and the one that is to follow it ---- */

static int soft_tls_next(struct dp_hsm *hsm)
{
    struct soft *s = of(hsm);
    int err;
    struct soft_state *next = begin(s, &err);
    if (next == NULL)
        return err;
    if (next->tls_waits)
        return DP_ERR_STATE;
    err = p256_make(next->tls_next);
    next->tls_waits = true;
    return err == DP_OK ? commit(s) : err;
}

static int soft_tls_take(struct dp_hsm *hsm)
{
    struct soft *s = of(hsm);
    int err;
    struct soft_state *next = begin(s, &err);
    if (next == NULL)
        return err;
    if (!next->tls_waits)
        return DP_ERR_NOT_FOUND;
    memcpy(next->tls_client, next->tls_next, sizeof next->tls_client);
    next->tls_waits = false;
    dp_wipe(next->tls_next, sizeof next->tls_next);
    return commit(s);
}

/* ---- anchor and counters ---- */

static int soft_anchor_read(struct dp_hsm *hsm, uint8_t value[32])
{
    const struct soft *s = of(hsm);
    int err = usable(s);
    if (err == DP_OK)
        memcpy(value, s->m->now.anchor, 32);
    return err;
}

static int soft_anchor_extend(struct dp_hsm *hsm, const uint8_t digest[32], uint8_t value[32])
{
    struct soft *s = of(hsm);
    uint8_t both[64];
    size_t n = 0;
    int err;
    struct soft_state *next = begin(s, &err);
    if (next == NULL)
        return err;
    memcpy(both, next->anchor, 32);
    memcpy(both + 32, digest, 32);
    if (psa_hash_compute(PSA_ALG_SHA_256, both, sizeof both, next->anchor, 32, &n) != PSA_SUCCESS)
        return DP_ERR_CRYPTO;
    err = commit(s);
    if (err == DP_OK)
        memcpy(value, s->m->now.anchor, 32);
    return err;
}

static int soft_counter_read(struct dp_hsm *hsm, enum dp_hsm_counter which, uint64_t *value)
{
    const struct soft *s = of(hsm);
    int err = usable(s);
    if (err == DP_OK)
        *value = s->m->now.counters[which - 1];
    return err;
}

static int soft_counter_raise(struct dp_hsm *hsm, enum dp_hsm_counter which, uint64_t value)
{
    struct soft *s = of(hsm);
    int err;
    struct soft_state *next = begin(s, &err);
    if (next == NULL)
        return err;
    if (value < next->counters[which - 1])
        return DP_ERR_ROLLBACK;
    if (value == next->counters[which - 1])
        return DP_OK;
    next->counters[which - 1] = value;
    return commit(s);
}

/* ---- side store ---- */

static const struct soft_wrap_key *wrap_key(const struct soft *s, uint32_t generation)
{
    for (int i = 0; i < s->m->now.wraps_n; i++)
        if (s->m->now.wraps[i].generation == generation)
            return &s->m->now.wraps[i];
    return NULL;
}

static int soft_wrap_generation(struct dp_hsm *hsm, uint32_t *generation)
{
    const struct soft *s = of(hsm);
    int err = usable(s);
    if (err == DP_OK)
        *generation = s->m->now.wraps[s->m->now.wraps_n - 1].generation;
    return err;
}

static int soft_wrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad,
                     struct dp_bytes clear, uint8_t *out, size_t max, size_t *n)
{
    const struct soft_wrap_key *k = wrap_key(of(hsm), generation);
    return k != NULL ? aes256_gcm_seal(k->key, aad, clear, out, max, n) : DP_ERR_NOT_FOUND;
}

static int soft_unwrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad,
                       struct dp_bytes wrapped, uint8_t *out, size_t max, size_t *n)
{
    const struct soft_wrap_key *k = wrap_key(of(hsm), generation);
    return k != NULL ? aes256_gcm_open(k->key, aad, wrapped, out, max, n) : DP_ERR_NOT_FOUND;
}

static int soft_wrap_rotate(struct dp_hsm *hsm, uint32_t *generation)
{
    struct soft *s = of(hsm);
    struct soft_wrap_key *last;
    int err;
    struct soft_state *next = begin(s, &err);
    if (next == NULL)
        return err;
    last = &next->wraps[next->wraps_n - 1];
    if (next->wraps_n == DP_HSM_WRAP_GENERATIONS_MAX || last->generation == UINT32_MAX)
        return DP_ERR_LIMIT;
    last[1].generation = last->generation + 1;
    if (psa_generate_random(last[1].key, 32) != PSA_SUCCESS)
        return DP_ERR_RANDOM;
    next->wraps_n++;
    err = commit(s);
    if (err == DP_OK)
        *generation = s->m->now.wraps[s->m->now.wraps_n - 1].generation;
    return err;
}

static int soft_wrap_destroy(struct dp_hsm *hsm, uint32_t generation)
{
    struct soft *s = of(hsm);
    const struct soft_wrap_key *k = wrap_key(s, generation);
    int at, err;
    struct soft_state *next = begin(s, &err);
    if (next == NULL)
        return err;
    if (k == NULL)
        return DP_ERR_NOT_FOUND;
    at = (int)(k - s->m->now.wraps);
    if (at == next->wraps_n - 1)
        return DP_ERR_STATE;
    next->wraps_n--;
    for (int i = at; i < next->wraps_n; i++)
        next->wraps[i] = next->wraps[i + 1];
    dp_wipe(&next->wraps[next->wraps_n], sizeof next->wraps[0]);
    return commit(s);
}

/* ---- DUKPT ---- */

static void end_transaction(struct soft *s)
{
    dp_wipe(&s->m->transaction, sizeof s->m->transaction);
    s->m->in_transaction = false;
}

static int soft_dukpt_load(struct dp_hsm *hsm, const uint8_t initial_key[16],
                           const uint8_t initial_key_id[8])
{
    struct soft *s = of(hsm);
    int err;
    struct soft_state *next = begin(s, &err);
    if (next == NULL)
        return err;
    if (next->dukpt_loaded && memcmp(next->dukpt.id, initial_key_id, 8) == 0) {
        dp_log(DP_LOG_ERROR, "soft key store: %s has had this initial key already", s->dir.path);
        return DP_ERR_ROLLBACK;
    }
    dp_wipe(&next->dukpt, sizeof next->dukpt);
    next->dukpt_loaded = true;
    err = dukpt_load(&next->dukpt, initial_key, initial_key_id);
    if (err == DP_OK)
        err = commit(s);
    end_transaction(s);
    return err;
}

static int soft_dukpt_next(struct dp_hsm *hsm, uint8_t ksn[DP_KSN_BYTES])
{
    struct soft *s = of(hsm);
    int err;
    struct soft_state *next = begin(s, &err);
    if (next == NULL)
        return err;
    end_transaction(s);
    if (!next->dukpt_loaded)
        return DP_ERR_NOT_FOUND;
    err = dukpt_next(&next->dukpt, &s->m->transaction);
    if (err == DP_OK)
        err = commit(s);
    if (err < 0) {
        end_transaction(s);
        return err;
    }
    s->m->in_transaction = true;
    memcpy(ksn, s->m->transaction.ksn, DP_KSN_BYTES);
    return DP_OK;
}

static int soft_dukpt_mac(struct dp_hsm *hsm, const uint8_t ksn[DP_KSN_BYTES], bool answer,
                          const uint8_t digest[32], uint8_t mac[16])
{
    const struct memory *m = of(hsm)->m;
    if (!m->in_transaction || memcmp(m->transaction.ksn, ksn, DP_KSN_BYTES) != 0)
        return DP_ERR_NOT_FOUND;
    return aes128_cmac(answer ? m->transaction.verify : m->transaction.generate,
                       (struct dp_bytes){digest, 32}, mac);
}

/* The first transaction of the initial key that ANSI X9.24-3 gives as its example. */
static int soft_dukpt_check(struct dp_hsm *hsm)
{
    static const uint8_t ik[16] = {0x12, 0x73, 0x67, 0x1E, 0xA2, 0x6A, 0xC2, 0x9A,
                                   0xFA, 0x4D, 0x10, 0x84, 0x12, 0x76, 0x52, 0xA1};
    static const uint8_t id[8] = {0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56};
    static const uint8_t generate[16] = {0xA2, 0xDC, 0x23, 0xDE, 0x6F, 0xDE, 0x08, 0x24,
                                         0xA2, 0xBC, 0x32, 0x1E, 0x08, 0xE4, 0xB8, 0xB7};
    static struct dukpt d; /* an example's: no secret */
    struct dukpt_keys keys;
    int err = usable(of(hsm));
    if (err == DP_OK)
        err = dukpt_load(&d, ik, id);
    if (err == DP_OK)
        err = dukpt_next(&d, &keys);
    if (err == DP_OK && memcmp(keys.generate, generate, sizeof generate) != 0)
        err = DP_ERR_SIGNATURE;
    return err;
}

const struct hsm_ops hsm_soft_ops = {
    .scheme = "soft",
    .open = soft_open,
    .provision = soft_provision,
    .free = soft_free,
    .public_key = soft_public,
    .sign = soft_sign,
    .ecdh = soft_ecdh,
    .epoch_new = soft_epoch_new,
    .epoch_destroy = soft_epoch_destroy,
    .tls_next = soft_tls_next,
    .tls_take = soft_tls_take,
    .anchor_read = soft_anchor_read,
    .anchor_extend = soft_anchor_extend,
    .counter_read = soft_counter_read,
    .counter_raise = soft_counter_raise,
    .wrap_generation = soft_wrap_generation,
    .wrap = soft_wrap,
    .unwrap = soft_unwrap,
    .wrap_rotate = soft_wrap_rotate,
    .wrap_destroy = soft_wrap_destroy,
    .dukpt_load = soft_dukpt_load,
    .dukpt_next = soft_dukpt_next,
    .dukpt_mac = soft_dukpt_mac,
    .dukpt_check = soft_dukpt_check,
};
