/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorpay key enrol: a certificate is put where doorpayd reads it, once it fits. For a key that is
 * to come it is the last step of a rotation, and at any moment of it the file holds a certificate
 * for the key in use: first the new one stands before the old one, then the new key is the key in
 * use (one step of the token's), then the old one is left out. Done again after a crash, it goes on
 * where it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "cli.h"
#include "enrol.h"
#include "file.h"
#include "key.h"

/* What the three files are read into. */
struct papers {
    uint8_t certificate[ENROL_FILE_MAX], authority[ENROL_FILE_MAX];
    size_t certificate_n, authority_n;
    char pem[ENROL_PEM_MAX];
    uint8_t held[ENROL_PEM_MAX]; /* what stands in the place now */
    size_t held_n;
    char both[2 * ENROL_PEM_MAX];
};

static int wanted_of(const struct key_options *o, struct dp_hsm *hsm, struct enrol_wanted *w)
{
    int err = dp_hsm_public(hsm, DP_KEY_TLS_CLIENT, w->current);
    if (err == DP_OK) {
        err = dp_hsm_public(hsm, DP_KEY_TLS_NEXT, w->next);
        w->has_next = err == DP_OK;
        if (err == DP_ERR_NOT_FOUND)
            err = DP_OK;
    }
    w->tid = o->tid;
    return err;
}

/* The new chain before what is there; what begins with it already stays as it is. */
static int put_before(const struct key_options *o, struct papers *p)
{
    size_t pem_n = strlen(p->pem);
    if (!file_exists(o->out))
        return file_replace(o->out, p->pem);
    if (file_read(o->out, p->held, sizeof p->held, &p->held_n) < 0)
        return DP_ERR_IO;
    if (p->held_n >= pem_n && memcmp(p->held, p->pem, pem_n) == 0)
        return DP_OK;
    DP_ASSERT(pem_n + p->held_n < sizeof p->both);
    memcpy(p->both, p->pem, pem_n);
    memcpy(p->both + pem_n, p->held, p->held_n);
    p->both[pem_n + p->held_n] = '\0';
    return file_replace(o->out, p->both);
}

static int take(const struct key_options *o, struct dp_hsm *hsm, enum enrol_key key,
                struct papers *p)
{
    int err = key == ENROL_NEXT ? put_before(o, p) : DP_OK;
    if (err == DP_OK && key == ENROL_NEXT)
        err = dp_hsm_tls_take(hsm);
    return err == DP_OK ? file_replace(o->out, p->pem) : err;
}

static int enrol(const struct key_options *o, struct dp_hsm *hsm, struct papers *p)
{
    char why[ENROL_WHY_MAX], point[131];
    struct enrol_wanted wanted = {.has_next = false};
    enum enrol_key key = ENROL_CURRENT;
    int err;
    if (file_read(o->operand, p->certificate, sizeof p->certificate, &p->certificate_n) < 0 ||
        file_read(o->ca, p->authority, sizeof p->authority, &p->authority_n) < 0)
        return CLI_FAILED;
    err = wanted_of(o, hsm, &wanted);
    if (err < 0)
        return key_failed(o->hsm, err);
    wanted.authority = (struct dp_bytes){p->authority, p->authority_n};
    err = enrol_check((struct dp_bytes){p->certificate, p->certificate_n}, &wanted, &key, p->pem,
                      sizeof p->pem, why);
    if (err < 0) {
        dp_log(DP_LOG_ERROR, "%s: refused: %s", o->operand, why);
        return CLI_FAILED;
    }
    err = take(o, hsm, key, p);
    if (err < 0)
        return key_failed(o->out, err);
    (void)dp_hex_encode(key == ENROL_NEXT ? wanted.next : wanted.current, 65, point, sizeof point);
    if (o->json)
        return key_print_json(json_pack("{s:s,s:s,s:s,s:b}", "tid", o->tid, "certificate", o->out,
                                        "key", point, "rotated", key == ENROL_NEXT));
    return printf("certificate: %s%s\n", o->out,
                  key == ENROL_NEXT ? "; the new TLS client key is in use" : "") < 0;
}

int key_enrol(const struct key_options *o, struct dp_hsm *hsm)
{
    struct papers *p = calloc(1, sizeof *p);
    int status;
    if (p == NULL)
        return key_failed("certificate", DP_ERR_NOMEM);
    status = enrol(o, hsm, p);
    free(p);
    return status;
}
