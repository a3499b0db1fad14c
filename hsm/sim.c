/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim:dir=DIR?script=FILE, a token that fails when its script says so; what it holds, soft:DIR
 * holds for it. Without a script it never fails.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend.h"
#include "base/assert.h"
#include "base/log.h"
#include "sim_script.h"
#include "uri.h"

struct sim {
    struct dp_hsm hsm;
    struct dp_hsm *soft;
    struct sim_script script;
    uint32_t calls[SIM_OPS + 1]; /* the last: of all */
    bool gone;
    const struct sim_fault *after; /* what happens when this call is done */
};

static struct sim *of(struct dp_hsm *hsm)
{
    DP_ASSERT(hsm->ops == &hsm_sim_ops);
    return (struct sim *)hsm;
}

/* ---- faults ---- */

static const struct sim_fault *due(const struct sim *s, enum sim_op op)
{
    for (unsigned i = 0; i < s->script.n; i++) {
        const struct sim_fault *f = &s->script.faults[i];
        uint32_t calls = s->calls[f->op];
        if (f->op != op && f->op != SIM_ANY)
            continue;
        if (calls == f->n || (f->kind == SIM_WEAR && calls > f->n))
            return f;
    }
    return NULL;
}

static void wait_ms(uint32_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        continue;
}

/* Before the operation; DP_OK: it is to be done. */
static int before(struct sim *s, enum sim_op op)
{
    const struct sim_fault *f;
    s->after = NULL;
    if (s->gone)
        return DP_ERR_GONE;
    s->calls[op]++;
    s->calls[SIM_ANY]++;
    f = due(s, op);
    if (f == NULL)
        return DP_OK;
    switch (f->kind) {
    case SIM_LATENCY:
        wait_ms(f->ms);
        return DP_OK;
    case SIM_ERROR:
    case SIM_WEAR:
        return DP_ERR_TOKEN;
    case SIM_REMOVE:
        s->gone = true;
        return DP_ERR_GONE;
    case SIM_RESET:
    case SIM_LOST:
        s->after = f;
        return DP_OK;
    }
    return DP_ERR_INTERNAL;
}

static int after(struct sim *s, int err)
{
    if (s->after == NULL)
        return err;
    s->gone = true;
    return s->after->kind == SIM_LOST ? DP_ERR_GONE : err;
}

/* ---- opening ---- */

static const char *const attributes[] = {"dir", "script", NULL};

static int parse(const char *where, struct hsm_uri *u)
{
    const char *what = NULL;
    int err = hsm_uri_parse(where, attributes, u, &what);
    if (err == DP_OK && (hsm_uri_path(u, "dir") == NULL ||
                         (hsm_uri_get(u, "script") != NULL && hsm_uri_path(u, "script") == NULL))) {
        what = "dir= (always) and script= (where there is one) are absolute paths";
        err = DP_ERR_ARG;
    }
    if (err < 0)
        dp_log(DP_LOG_ERROR, "simulated token: its URI: %s", what);
    return err;
}

static int load(const char *path, struct sim_script *out)
{
    char text[DP_HSM_SCRIPT_MAX];
    unsigned line = 0;
    size_t n;
    int err;
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        dp_log(DP_LOG_ERROR, "simulated token: cannot open %s: %s", path, strerror(errno));
        return DP_ERR_NOT_FOUND;
    }
    n = fread(text, 1, sizeof text, f);
    err = ferror(f) ? DP_ERR_IO : n == sizeof text ? DP_ERR_LIMIT : DP_OK;
    (void)fclose(f);
    if (err == DP_OK)
        err = sim_script_parse(text, n, out, &line);
    if (err < 0)
        dp_log(DP_LOG_ERROR, "simulated token: %s:%u: %s", path, line, dp_strerr(err));
    return err;
}

static void sim_free(struct dp_hsm *hsm)
{
    struct sim *s = of(hsm);
    if (s->soft != NULL)
        s->soft->ops->free(s->soft);
    free(s);
}

static int sim_open(const char *where, bool look, struct dp_hsm **out)
{
    struct hsm_uri u;
    struct sim *s;
    int err = parse(where, &u);
    if (err < 0)
        return err;
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return DP_ERR_NOMEM;
    s->hsm.ops = &hsm_sim_ops;
    if (hsm_uri_get(&u, "script") != NULL)
        err = load(hsm_uri_path(&u, "script"), &s->script);
    if (err == DP_OK)
        err = hsm_soft_ops.open(hsm_uri_path(&u, "dir"), look, &s->soft);
    if (err == DP_OK)
        *out = &s->hsm;
    else
        sim_free(&s->hsm);
    return err;
}

static int sim_provision(const char *where)
{
    struct hsm_uri u;
    int err = parse(where, &u);
    return err == DP_OK ? hsm_soft_ops.provision(hsm_uri_path(&u, "dir")) : err;
}

/* ---- operations ---- */

static int sim_public_key(struct dp_hsm *hsm, enum dp_hsm_key key, uint8_t out[65])
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_PUBLIC);
    if (err == DP_OK)
        err = after(s, s->soft->ops->public_key(s->soft, key, out));
    return err;
}

static int sim_sign(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t digest[32],
                    uint8_t signature[64])
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_SIGN);
    if (err == DP_OK)
        err = after(s, s->soft->ops->sign(s->soft, key, digest, signature));
    return err;
}

static int sim_ecdh(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t peer[65],
                    uint8_t shared[32])
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_ECDH);
    if (err == DP_OK)
        err = after(s, s->soft->ops->ecdh(s->soft, key, peer, shared));
    return err;
}

static int sim_epoch_new(struct dp_hsm *hsm, uint32_t *number)
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_EPOCH_NEW);
    if (err == DP_OK)
        err = after(s, s->soft->ops->epoch_new(s->soft, number));
    return err;
}

static int sim_epoch_destroy(struct dp_hsm *hsm)
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_EPOCH_DESTROY);
    if (err == DP_OK)
        err = after(s, s->soft->ops->epoch_destroy(s->soft));
    return err;
}

static int sim_tls_next(struct dp_hsm *hsm)
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_TLS_NEXT);
    if (err == DP_OK)
        err = after(s, s->soft->ops->tls_next(s->soft));
    return err;
}

static int sim_tls_take(struct dp_hsm *hsm)
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_TLS_TAKE);
    if (err == DP_OK)
        err = after(s, s->soft->ops->tls_take(s->soft));
    return err;
}

static int sim_anchor_read(struct dp_hsm *hsm, uint8_t value[32])
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_ANCHOR_READ);
    if (err == DP_OK)
        err = after(s, s->soft->ops->anchor_read(s->soft, value));
    return err;
}

static int sim_anchor_extend(struct dp_hsm *hsm, const uint8_t digest[32], uint8_t value[32])
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_ANCHOR_EXTEND);
    if (err == DP_OK)
        err = after(s, s->soft->ops->anchor_extend(s->soft, digest, value));
    return err;
}

static int sim_counter_read(struct dp_hsm *hsm, enum dp_hsm_counter which, uint64_t *value)
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_COUNTER_READ);
    if (err == DP_OK)
        err = after(s, s->soft->ops->counter_read(s->soft, which, value));
    return err;
}

static int sim_counter_raise(struct dp_hsm *hsm, enum dp_hsm_counter which, uint64_t value)
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_COUNTER_RAISE);
    if (err == DP_OK)
        err = after(s, s->soft->ops->counter_raise(s->soft, which, value));
    return err;
}

static int sim_wrap_generation(struct dp_hsm *hsm, uint32_t *generation)
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_WRAP_GENERATION);
    if (err == DP_OK)
        err = after(s, s->soft->ops->wrap_generation(s->soft, generation));
    return err;
}

static int sim_wrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad,
                    struct dp_bytes clear, uint8_t *out, size_t max, size_t *n)
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_WRAP);
    if (err == DP_OK)
        err = after(s, s->soft->ops->wrap(s->soft, generation, aad, clear, out, max, n));
    return err;
}

static int sim_unwrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad,
                      struct dp_bytes wrapped, uint8_t *out, size_t max, size_t *n)
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_UNWRAP);
    if (err == DP_OK)
        err = after(s, s->soft->ops->unwrap(s->soft, generation, aad, wrapped, out, max, n));
    return err;
}

static int sim_wrap_rotate(struct dp_hsm *hsm, uint32_t *generation)
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_WRAP_ROTATE);
    if (err == DP_OK)
        err = after(s, s->soft->ops->wrap_rotate(s->soft, generation));
    return err;
}

static int sim_wrap_destroy(struct dp_hsm *hsm, uint32_t generation)
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_WRAP_DESTROY);
    if (err == DP_OK)
        err = after(s, s->soft->ops->wrap_destroy(s->soft, generation));
    return err;
}

static int sim_dukpt_load(struct dp_hsm *hsm, const uint8_t initial_key[16],
                          const uint8_t initial_key_id[8])
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_DUKPT_LOAD);
    if (err == DP_OK)
        err = after(s, s->soft->ops->dukpt_load(s->soft, initial_key, initial_key_id));
    return err;
}

static int sim_dukpt_next(struct dp_hsm *hsm, uint8_t ksn[DP_KSN_BYTES])
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_DUKPT_NEXT);
    if (err == DP_OK)
        err = after(s, s->soft->ops->dukpt_next(s->soft, ksn));
    return err;
}

static int sim_dukpt_mac(struct dp_hsm *hsm, const uint8_t ksn[DP_KSN_BYTES], bool answer,
                         const uint8_t digest[32], uint8_t mac[16])
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_DUKPT_MAC);
    if (err == DP_OK)
        err = after(s, s->soft->ops->dukpt_mac(s->soft, ksn, answer, digest, mac));
    return err;
}

static int sim_dukpt_check(struct dp_hsm *hsm)
{
    struct sim *s = of(hsm);
    int err = before(s, SIM_DUKPT_CHECK);
    if (err == DP_OK)
        err = after(s, s->soft->ops->dukpt_check(s->soft));
    return err;
}

const struct hsm_ops hsm_sim_ops = {
    .scheme = "sim",
    .open = sim_open,
    .provision = sim_provision,
    .free = sim_free,
    .public_key = sim_public_key,
    .sign = sim_sign,
    .ecdh = sim_ecdh,
    .epoch_new = sim_epoch_new,
    .epoch_destroy = sim_epoch_destroy,
    .tls_next = sim_tls_next,
    .tls_take = sim_tls_take,
    .anchor_read = sim_anchor_read,
    .anchor_extend = sim_anchor_extend,
    .counter_read = sim_counter_read,
    .counter_raise = sim_counter_raise,
    .wrap_generation = sim_wrap_generation,
    .wrap = sim_wrap,
    .unwrap = sim_unwrap,
    .wrap_rotate = sim_wrap_rotate,
    .wrap_destroy = sim_wrap_destroy,
    .dukpt_load = sim_dukpt_load,
    .dukpt_next = sim_dukpt_next,
    .dukpt_mac = sim_dukpt_mac,
    .dukpt_check = sim_dukpt_check,
};
