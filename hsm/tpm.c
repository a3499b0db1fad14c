/* SPDX-License-Identifier: Apache-2.0 */
#include "tpm.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "uri.h"

#define NV_FIRST         0x01800000U /* the owner's indices */
#define PERSISTENT_FIRST 0x81000000U /* the owner's keys */
#define BASE_MAX         0xFFF0U
#define COUNTERS         4 /* of TPM_NV_PARAMS and those behind it */
#define BEGUN_BYTES      (8 * COUNTERS)
#define FMT1_CODE        (TPM2_RC_FMT1 | 0x3F)

/* ---- errors ---- */

/* The response code without which parameter, handle or session it speaks of. */
static TSS2_RC code_of(TSS2_RC rc)
{
    if ((rc & TSS2_RC_LAYER_MASK) != 0)
        return rc;
    return (rc & TPM2_RC_FMT1) != 0 ? rc & FMT1_CODE : rc;
}

static int failed(const char *command, TSS2_RC rc)
{
    dp_log(DP_LOG_ERROR, "TPM: %s: 0x%x, %s", command, (unsigned)rc, Tss2_RC_Decode(rc));
    switch (code_of(rc)) {
    case TPM2_RC_AUTH_FAIL:
    case TPM2_RC_BAD_AUTH:
    case TPM2_RC_LOCKOUT:
        return DP_ERR_DENIED;
    case TPM2_RC_NV_SPACE:
        return DP_ERR_FULL;
    case TPM2_RC_NV_DEFINED:
        return DP_ERR_STATE;
    case TPM2_RC_HANDLE:
        return DP_ERR_NOT_FOUND;
    default:
        return (rc & TSS2_RC_LAYER_MASK) == TSS2_TCTI_RC_LAYER ? DP_ERR_GONE : DP_ERR_TOKEN;
    }
}

static int result(const char *command, TSS2_RC rc)
{
    return rc == TSS2_RC_SUCCESS ? DP_OK : failed(command, rc);
}

/* ---- the connection ---- */

static const char *const attributes[] = {"tcti", "auth-source", "owner-auth-source", "base", NULL};

static int parse_base(const char *text, uint32_t *base)
{
    char *end = NULL;
    unsigned long v;
    *base = DP_HSM_TPM_BASE;
    if (text == NULL)
        return DP_OK;
    v = strtoul(text, &end, 0);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || v > BASE_MAX)
        return DP_ERR_RANGE;
    *base = (uint32_t)v;
    return DP_OK;
}

static int parse(const char *where, struct hsm_uri *u, uint32_t *base)
{
    const char *what = NULL;
    int err = hsm_uri_parse(where, attributes, u, &what);
    if (err == DP_OK && (hsm_uri_get(u, "tcti") == NULL || hsm_uri_path(u, "auth-source") == NULL ||
                         (hsm_uri_get(u, "owner-auth-source") != NULL &&
                          hsm_uri_path(u, "owner-auth-source") == NULL))) {
        what = "tcti=, and in the query auth-source= with an absolute path are wanted";
        err = DP_ERR_ARG;
    }
    if (err == DP_OK) {
        what = "base= is a number up to 0xfff0";
        err = parse_base(hsm_uri_get(u, "base"), base);
    }
    if (err < 0)
        dp_log(DP_LOG_ERROR, "tpm2: the URI: %s", what);
    return err;
}

static void take_auth(const struct pin_file *f, TPM2B_AUTH *out)
{
    DP_ASSERT(f->n <= sizeof out->buffer);
    out->size = (UINT16)f->n;
    memcpy(out->buffer, f->secret.p, f->n);
}

static int take_owner(struct tpm *t, const char *path)
{
    struct pin_file f;
    TPM2B_AUTH auth;
    int err = pin_file_open(path, false, &f);
    if (err < 0)
        return err;
    take_auth(&f, &auth);
    err = result("owner's authorisation", Esys_TR_SetAuth(t->esys, ESYS_TR_RH_OWNER, &auth));
    dp_wipe(&auth, sizeof auth);
    pin_file_close(&f);
    return err;
}

static int connect_to(const char *tcti, struct tpm *t)
{
    TSS2_RC rc;
    /* its own log would say everything twice; set it to hear that */
    (void)setenv("TSS2_LOG", "all+NONE", 0);
    rc = Tss2_TctiLdr_Initialize(tcti, &t->tcti);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_Initialize(&t->esys, t->tcti, NULL);
    if (rc == TSS2_RC_SUCCESS)
        return DP_OK;
    dp_log(DP_LOG_ERROR, "TPM: cannot connect to %s: %s", tcti, Tss2_RC_Decode(rc));
    return DP_ERR_GONE;
}

/* The kernel's resource manager, and the one in user space: each connection has transient objects
 * and sessions of its own. */
static bool serves_several(const char *tcti)
{
    return strncmp(tcti, "device:/dev/tpmrm", 17) == 0 || strcmp(tcti, "tabrmd") == 0 ||
           strncmp(tcti, "tabrmd:", 7) == 0;
}

int tpm_open(const char *where, bool look, bool owner, struct tpm *out)
{
    struct hsm_uri u;
    const char *tcti;
    int err;
    memset(out, 0, sizeof *out);
    out->lock.fd = -1;
    out->pid = getpid();
    for (int i = 0; i < TPM_NVS; i++)
        out->nv[i] = ESYS_TR_NONE;
    for (int i = 0; i < TPM_KEYS; i++)
        out->keys[i] = ESYS_TR_NONE;
    err = parse(where, &u, &out->base);
    if (err < 0)
        return err;
    tcti = hsm_uri_get(&u, "tcti");
    /* without a resource manager a second connection would wait for ever */
    err =
        pin_file_open(hsm_uri_path(&u, "auth-source"), !look || !serves_several(tcti), &out->lock);
    if (err == DP_OK)
        take_auth(&out->lock, &out->auth);
    pin_file_forget(&out->lock);
    if (err == DP_OK)
        err = connect_to(tcti, out);
    if (err == DP_OK && owner && hsm_uri_get(&u, "owner-auth-source") != NULL)
        err = take_owner(out, hsm_uri_path(&u, "owner-auth-source"));
    if (err < 0)
        tpm_close(out);
    return err;
}

void tpm_close(struct tpm *t)
{
    if (t->esys != NULL)
        Esys_Finalize(&t->esys);
    if (t->tcti != NULL)
        Tss2_TctiLdr_Finalize(&t->tcti);
    pin_file_close(&t->lock);
    dp_wipe(&t->auth, sizeof t->auth);
}

int tpm_usable(const struct tpm *t)
{
    if (t->pid == getpid())
        return DP_OK;
    dp_log(DP_LOG_ERROR, "TPM: it was opened by another process");
    return DP_ERR_STATE;
}

/* ---- what is at the handles ---- */

static int find(struct tpm *t, TPM2_HANDLE handle, ESYS_TR *out)
{
    TSS2_RC rc =
        Esys_TR_FromTPMPublic(t->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, out);
    if (rc != TSS2_RC_SUCCESS)
        *out = ESYS_TR_NONE;
    if (code_of(rc) == TPM2_RC_HANDLE)
        return DP_ERR_NOT_FOUND;
    if (rc != TSS2_RC_SUCCESS)
        return failed("ReadPublic", rc);
    return result("authorisation", Esys_TR_SetAuth(t->esys, *out, &t->auth));
}

static int nv_read(struct tpm *t, enum tpm_nv which, uint8_t *out, UINT16 n)
{
    TPM2B_MAX_NV_BUFFER *data = NULL;
    TSS2_RC rc = Esys_NV_Read(t->esys, t->nv[which], t->nv[which], ESYS_TR_PASSWORD, ESYS_TR_NONE,
                              ESYS_TR_NONE, n, 0, &data);
    int err = DP_OK;
    if (code_of(rc) == TPM2_RC_NV_UNINITIALIZED)
        return DP_ERR_NOT_FOUND;
    if (rc != TSS2_RC_SUCCESS)
        return failed("NV_Read", rc);
    if (data->size == n)
        memcpy(out, data->buffer, n);
    else
        err = DP_ERR_TOKEN;
    Esys_Free(data);
    return err;
}

static uint64_t get_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

/* ---- what an epoch's key answers to ---- */

/* In this session its policy is met; in a trial one its digest is made: the counter of epochs is
 * what it was when the key was made, and the authorisation value is known. The counter never comes
 * back to a value, so a copy of the key's blob is of no use after the epoch. */
static int epoch_session(struct tpm *t, TPM2_SE kind, ESYS_TR *session)
{
    const TPMT_SYM_DEF plain = {.algorithm = TPM2_ALG_NULL};
    TPM2B_OPERAND now = {.size = 8};
    int err = nv_read(t, TPM_NV_EPOCH, now.buffer, 8);
    *session = ESYS_TR_NONE;
    if (err == DP_OK)
        err = result("StartAuthSession",
                     Esys_StartAuthSession(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                           ESYS_TR_NONE, ESYS_TR_NONE, NULL, kind, &plain,
                                           TPM2_ALG_SHA256, session));
    if (err == DP_OK)
        err = result("PolicyNV", Esys_PolicyNV(t->esys, t->nv[TPM_NV_EPOCH], t->nv[TPM_NV_EPOCH],
                                               *session, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                               ESYS_TR_NONE, &now, 0, TPM2_EO_EQ));
    if (err == DP_OK)
        err = result("PolicyAuthValue", Esys_PolicyAuthValue(t->esys, *session, ESYS_TR_NONE,
                                                             ESYS_TR_NONE, ESYS_TR_NONE));
    if (err < 0 && *session != ESYS_TR_NONE) {
        (void)Esys_FlushContext(t->esys, *session);
        *session = ESYS_TR_NONE;
    }
    return err;
}

static int epoch_policy(struct tpm *t, TPM2B_DIGEST *out)
{
    TPM2B_DIGEST *digest = NULL;
    ESYS_TR session;
    int err = epoch_session(t, TPM2_SE_TRIAL, &session);
    if (err < 0)
        return err;
    err = result("PolicyGetDigest", Esys_PolicyGetDigest(t->esys, session, ESYS_TR_NONE,
                                                         ESYS_TR_NONE, ESYS_TR_NONE, &digest));
    if (err == DP_OK)
        *out = *digest;
    Esys_Free(digest);
    (void)Esys_FlushContext(t->esys, session);
    return err;
}

/* A key of another epoch than the counter's is no key: what a crash left between the counter's step
 * and the key's end, or what somebody put back. */
static int check_epoch(struct tpm *t)
{
    TPM2B_PUBLIC *public_ = NULL;
    TPM2B_DIGEST policy = {.size = 0};
    int err;
    if (t->keys[TPM_KEY_EPOCH] == ESYS_TR_NONE || t->nv[TPM_NV_EPOCH] == ESYS_TR_NONE)
        return DP_OK;
    err = epoch_policy(t, &policy);
    if (err == DP_OK)
        err =
            result("ReadPublic", Esys_ReadPublic(t->esys, t->keys[TPM_KEY_EPOCH], ESYS_TR_NONE,
                                                 ESYS_TR_NONE, ESYS_TR_NONE, &public_, NULL, NULL));
    if (err < 0)
        return err;
    if (public_->publicArea.authPolicy.size != policy.size ||
        memcmp(public_->publicArea.authPolicy.buffer, policy.buffer, policy.size) != 0) {
        dp_log(DP_LOG_WARNING, "TPM: the epoch key at its handle is of another epoch");
        t->epoch_stale = true;
    }
    Esys_Free(public_);
    return DP_OK;
}

/* ---- all that is there ---- */

static int load_keys(struct tpm *t)
{
    int err = tpm_counter_read(t, TPM_NV_TLS, &t->tls);
    for (int i = 0; i < TPM_KEYS && err == DP_OK; i++) {
        err = find(t, PERSISTENT_FIRST + t->base + (uint32_t)i, &t->keys[i]);
        if (err == DP_ERR_NOT_FOUND)
            err = DP_OK; /* which keys there must be, the back end knows */
    }
    return err == DP_OK ? check_epoch(t) : err;
}

int tpm_load(struct tpm *t)
{
    uint8_t begun[BEGUN_BYTES];
    int err = DP_OK;
    for (int i = 0; i < TPM_NVS && err == DP_OK; i++)
        err = find(t, NV_FIRST + t->base + (uint32_t)i, &t->nv[i]);
    if (err == DP_OK)
        err = nv_read(t, TPM_NV_BEGUN, begun, sizeof begun);
    for (int i = 0; i < COUNTERS && err == DP_OK; i++)
        t->begun[TPM_NV_PARAMS + i] = get_u64(begun + 8 * (size_t)i);
    if (err == DP_OK)
        err = load_keys(t);
    if (err == DP_ERR_NOT_FOUND)
        dp_log(DP_LOG_ERROR, "TPM: it is not provisioned at base 0x%x", t->base);
    return err;
}

/* ---- provisioning ---- */

static int define(struct tpm *t, enum tpm_nv which, TPM2_NT type, UINT16 n, TPMA_NV more)
{
    const TPM2B_NV_PUBLIC public_ = {
        .nvPublic = {
            .nvIndex = NV_FIRST + t->base + (uint32_t)which,
            .nameAlg = TPM2_ALG_SHA256,
            .attributes = TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA |
                          (TPMA_NV)type << TPMA_NV_TPM2_NT_SHIFT | more,
            .dataSize = n,
        }};
    return result("NV_DefineSpace",
                  Esys_NV_DefineSpace(t->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                      ESYS_TR_NONE, &t->auth, &public_, &t->nv[which]));
}

static int increment(struct tpm *t, enum tpm_nv which)
{
    return result("NV_Increment", Esys_NV_Increment(t->esys, t->nv[which], t->nv[which],
                                                    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE));
}

/* A counter begins where the TPM wants: higher than any that ever was. */
static int begin_counters(struct tpm *t)
{
    TPM2B_MAX_NV_BUFFER begun = {.size = BEGUN_BYTES};
    int err = DP_OK;
    for (int i = 0; i < COUNTERS && err == DP_OK; i++) {
        enum tpm_nv which = (enum tpm_nv)(TPM_NV_PARAMS + i);
        err = increment(t, which);
        if (err == DP_OK)
            err = nv_read(t, which, begun.buffer + 8 * (size_t)i, 8);
    }
    if (err == DP_OK)
        err = result("NV_Write",
                     Esys_NV_Write(t->esys, t->nv[TPM_NV_BEGUN], t->nv[TPM_NV_BEGUN],
                                   ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &begun, 0));
    if (err == DP_OK)
        err = result("NV_WriteLock",
                     Esys_NV_WriteLock(t->esys, t->nv[TPM_NV_BEGUN], t->nv[TPM_NV_BEGUN],
                                       ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE));
    return err;
}

static int check_free(struct tpm *t)
{
    ESYS_TR found;
    int err = DP_ERR_NOT_FOUND;
    for (uint32_t i = 0; i < TPM_NVS && err == DP_ERR_NOT_FOUND; i++)
        err = find(t, NV_FIRST + t->base + i, &found);
    for (uint32_t i = 0; i < TPM_KEYS && err == DP_ERR_NOT_FOUND; i++)
        err = find(t, PERSISTENT_FIRST + t->base + i, &found);
    if (err != DP_OK)
        return err == DP_ERR_NOT_FOUND ? DP_OK : err;
    dp_log(DP_LOG_ERROR, "TPM: there are indices or keys at base 0x%x already", t->base);
    return DP_ERR_STATE;
}

int tpm_provision(struct tpm *t, bool with_keys)
{
    static const enum tpm_place all[] = {TPM_KEY_PARENT, TPM_KEY_EVIDENCE, TPM_KEY_IDENTITY,
                                         TPM_KEY_TLS_EVEN, TPM_KEY_CARD_DATA};
    size_t keys_n = with_keys ? sizeof all / sizeof all[0] : 2;
    int err = check_free(t);
    for (size_t i = 0; i < keys_n && err == DP_OK; i++)
        err = tpm_make_key(t, all[i]);
    if (err == DP_OK)
        err = define(t, TPM_NV_ANCHOR, TPM2_NT_EXTEND, 32, 0);
    for (int i = 0; i < COUNTERS && err == DP_OK; i++)
        err = define(t, (enum tpm_nv)(TPM_NV_PARAMS + i), TPM2_NT_COUNTER, 8, 0);
    if (err == DP_OK)
        err = define(t, TPM_NV_BEGUN, TPM2_NT_ORDINARY, BEGUN_BYTES, TPMA_NV_WRITEDEFINE);
    return err == DP_OK ? begin_counters(t) : err;
}

/* ---- anchor and counters ---- */

int tpm_anchor_read(struct tpm *t, uint8_t value[32])
{
    int err = nv_read(t, TPM_NV_ANCHOR, value, 32);
    if (err == DP_ERR_NOT_FOUND) { /* not extended yet: the TPM takes zeros for it */
        memset(value, 0, 32);
        err = DP_OK;
    }
    return err;
}

int tpm_anchor_extend(struct tpm *t, const uint8_t digest[32], uint8_t value[32])
{
    TPM2B_MAX_NV_BUFFER data = {.size = 32};
    int err;
    memcpy(data.buffer, digest, 32);
    err = result("NV_Extend", Esys_NV_Extend(t->esys, t->nv[TPM_NV_ANCHOR], t->nv[TPM_NV_ANCHOR],
                                             ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &data));
    return err == DP_OK ? tpm_anchor_read(t, value) : err;
}

/* Big-endian, without leading zeros as the TPM may give it. */
static int put_padded(const TPM2B_ECC_PARAMETER *from, uint8_t out[32])
{
    if (from->size > 32)
        return DP_ERR_TOKEN;
    memset(out, 0, 32);
    memcpy(out + 32 - from->size, from->buffer, from->size);
    return DP_OK;
}

static int take_signature(const TPMT_SIGNATURE *s, uint8_t out[64])
{
    int err = s->sigAlg == TPM2_ALG_ECDSA ? put_padded(&s->signature.ecdsa.signatureR, out)
                                          : DP_ERR_TOKEN;
    return err == DP_OK ? put_padded(&s->signature.ecdsa.signatureS, out + 32) : err;
}

static const TPMT_SIG_SCHEME ecdsa = {.scheme = TPM2_ALG_ECDSA,
                                      .details = {.ecdsa = {.hashAlg = TPM2_ALG_SHA256}}};

int tpm_anchor_certify(struct tpm *t, const uint8_t nonce[32], struct dp_hsm_evidence *out)
{
    TPM2B_DATA qualifying = {.size = 32};
    TPM2B_ATTEST *attest = NULL;
    TPMT_SIGNATURE *signature = NULL;
    TSS2_RC rc;
    int err = tpm_public(t, TPM_KEY_EVIDENCE, out->key);
    if (err < 0)
        return err;
    memcpy(qualifying.buffer, nonce, 32);
    rc = Esys_NV_Certify(t->esys, t->keys[TPM_KEY_EVIDENCE], t->nv[TPM_NV_ANCHOR],
                         t->nv[TPM_NV_ANCHOR], ESYS_TR_PASSWORD, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                         &qualifying, &ecdsa, 32, 0, &attest, &signature);
    if (code_of(rc) == TPM2_RC_NV_UNINITIALIZED)
        return DP_ERR_NOT_FOUND;
    if (rc != TSS2_RC_SUCCESS)
        return failed("NV_Certify", rc);
    err = attest->size <= sizeof out->attest ? DP_OK : DP_ERR_LIMIT;
    if (err == DP_OK) {
        memcpy(out->attest, attest->attestationData, attest->size);
        out->attest_n = attest->size;
        err = take_signature(signature, out->signature);
    }
    Esys_Free(attest);
    Esys_Free(signature);
    return err;
}

int tpm_counter_read(struct tpm *t, enum tpm_nv which, uint64_t *value)
{
    uint8_t bytes[8];
    int err = nv_read(t, which, bytes, sizeof bytes);
    if (err < 0)
        return err;
    *value = get_u64(bytes) - t->begun[which];
    return get_u64(bytes) >= t->begun[which] ? DP_OK : DP_ERR_TAMPERED;
}

int tpm_counter_raise(struct tpm *t, enum tpm_nv which, uint64_t value)
{
    uint64_t now = 0;
    int err = tpm_counter_read(t, which, &now);
    if (err < 0)
        return err;
    if (value < now)
        return DP_ERR_ROLLBACK;
    if (value - now > DP_HSM_TPM_STEPS_MAX) {
        dp_log(DP_LOG_ERROR, "TPM: a counter rises by at most %d at once", DP_HSM_TPM_STEPS_MAX);
        return DP_ERR_LIMIT;
    }
    for (; now < value && err == DP_OK; now++)
        err = increment(t, which);
    return err;
}

/* ---- keys ---- */

static int point_of(const TPM2B_PUBLIC *public_, uint8_t point[65])
{
    const TPMS_ECC_POINT *p = &public_->publicArea.unique.ecc;
    int err =
        public_->publicArea.type == TPM2_ALG_ECC ? put_padded(&p->x, point + 1) : DP_ERR_TOKEN;
    point[0] = 4;
    return err == DP_OK ? put_padded(&p->y, point + 33) : err;
}

enum tpm_place tpm_place(const struct tpm *t, enum dp_hsm_key key)
{
    switch (key) {
    case DP_KEY_JOURNAL_IDENTITY:
        return TPM_KEY_IDENTITY;
    case DP_KEY_JOURNAL_EPOCH:
        return TPM_KEY_EPOCH;
    case DP_KEY_CARD_DATA:
        return TPM_KEY_CARD_DATA;
    case DP_KEY_TLS_CLIENT:
        return (t->tls + 1) / 2 % 2 == 1 ? TPM_KEY_TLS_ODD : TPM_KEY_TLS_EVEN;
    case DP_KEY_TLS_NEXT:
        return (t->tls + 1) / 2 % 2 == 1 ? TPM_KEY_TLS_EVEN : TPM_KEY_TLS_ODD;
    }
    DP_ASSERT(false);
    return TPM_KEY_PARENT;
}

static bool is_there(const struct tpm *t, enum tpm_place key)
{
    if (key == TPM_KEY_EPOCH && t->epoch_stale)
        return false;
    if (t->tls % 2 == 1 && key == tpm_place(t, DP_KEY_TLS_NEXT))
        return false; /* an old one that a crash has left */
    return t->keys[key] != ESYS_TR_NONE;
}

int tpm_public(struct tpm *t, enum tpm_place key, uint8_t point[65])
{
    TPM2B_PUBLIC *public_ = NULL;
    TSS2_RC rc;
    int err;
    if (!is_there(t, key))
        return DP_ERR_NOT_FOUND;
    rc = Esys_ReadPublic(t->esys, t->keys[key], ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public_,
                         NULL, NULL);
    if (rc != TSS2_RC_SUCCESS)
        return failed("ReadPublic", rc);
    err = point_of(public_, point);
    Esys_Free(public_);
    return err;
}

int tpm_sign(struct tpm *t, enum tpm_place key, const uint8_t digest[32], uint8_t signature[64])
{
    const TPMT_TK_HASHCHECK not_by_the_tpm = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
    ESYS_TR session = ESYS_TR_PASSWORD;
    TPM2B_DIGEST d = {.size = 32};
    TPMT_SIGNATURE *s = NULL;
    TSS2_RC rc;
    int err = is_there(t, key) ? DP_OK : DP_ERR_NOT_FOUND;
    if (err == DP_OK && key == TPM_KEY_EPOCH)
        err = epoch_session(t, TPM2_SE_POLICY, &session);
    if (err < 0)
        return err;
    memcpy(d.buffer, digest, 32);
    rc = Esys_Sign(t->esys, t->keys[key], session, ESYS_TR_NONE, ESYS_TR_NONE, &d, &ecdsa,
                   &not_by_the_tpm, &s);
    if (rc != TSS2_RC_SUCCESS && session != ESYS_TR_PASSWORD)
        (void)Esys_FlushContext(t->esys, session); /* a session that was used has ended */
    if (rc != TSS2_RC_SUCCESS)
        return failed("Sign", rc);
    err = take_signature(s, signature);
    Esys_Free(s);
    return err;
}

int tpm_ecdh(struct tpm *t, enum tpm_place key, const uint8_t peer[65], uint8_t shared[32])
{
    TPM2B_ECC_POINT in = {.size = 0}, *out = NULL;
    TSS2_RC rc;
    int err;
    in.point.x.size = in.point.y.size = 32;
    memcpy(in.point.x.buffer, peer + 1, 32);
    memcpy(in.point.y.buffer, peer + 33, 32);
    if (!is_there(t, key))
        return DP_ERR_NOT_FOUND;
    rc = Esys_ECDH_ZGen(t->esys, t->keys[key], ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &in,
                        &out);
    if (rc != TSS2_RC_SUCCESS)
        return failed("ECDH_ZGen", rc);
    err = put_padded(&out->point.x, shared);
    dp_wipe(out, sizeof *out);
    Esys_Free(out);
    return err;
}

/* ---- making keys ---- */

static void describe(enum tpm_place key, TPM2B_PUBLIC *out)
{
    TPMS_ECC_PARMS *ecc = &out->publicArea.parameters.eccDetail;
    TPMA_OBJECT use = TPMA_OBJECT_SIGN_ENCRYPT;
    memset(out, 0, sizeof *out);
    if (key == TPM_KEY_PARENT)
        use = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
    else if (key == TPM_KEY_EVIDENCE)
        use = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT;
    else if (key == TPM_KEY_CARD_DATA)
        use = TPMA_OBJECT_DECRYPT;
    out->publicArea.type = TPM2_ALG_ECC;
    out->publicArea.nameAlg = TPM2_ALG_SHA256;
    out->publicArea.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                       TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_NODA | use;
    if (key != TPM_KEY_EPOCH) /* that one is used by its policy alone */
        out->publicArea.objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
    ecc->symmetric.algorithm = TPM2_ALG_NULL;
    if (key == TPM_KEY_PARENT) {
        ecc->symmetric.algorithm = TPM2_ALG_AES;
        ecc->symmetric.keyBits.aes = 128;
        ecc->symmetric.mode.aes = TPM2_ALG_CFB;
    }
    ecc->scheme.scheme = TPM2_ALG_NULL;
    if ((use & TPMA_OBJECT_SIGN_ENCRYPT) != 0) {
        ecc->scheme.scheme = TPM2_ALG_ECDSA;
        ecc->scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
    }
    ecc->curveID = TPM2_ECC_NIST_P256;
    ecc->kdf.scheme = TPM2_ALG_NULL;
}

static int make_parent(struct tpm *t, const TPM2B_SENSITIVE_CREATE *secret,
                       const TPM2B_PUBLIC *public_, ESYS_TR *made)
{
    const TPM2B_DATA none = {.size = 0};
    const TPML_PCR_SELECTION no_pcr = {.count = 0};
    return result("CreatePrimary",
                  Esys_CreatePrimary(t->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                     ESYS_TR_NONE, secret, public_, &none, &no_pcr, made, NULL,
                                     NULL, NULL, NULL));
}

/* Random, unlike a primary key, which comes from the TPM's seed: what is destroyed is gone. */
static int make_child(struct tpm *t, const TPM2B_SENSITIVE_CREATE *secret,
                      const TPM2B_PUBLIC *public_, ESYS_TR *made)
{
    const TPM2B_DATA none = {.size = 0};
    const TPML_PCR_SELECTION no_pcr = {.count = 0};
    TPM2B_PRIVATE *private_ = NULL;
    TPM2B_PUBLIC *created = NULL;
    int err = result("Create", Esys_Create(t->esys, t->keys[TPM_KEY_PARENT], ESYS_TR_PASSWORD,
                                           ESYS_TR_NONE, ESYS_TR_NONE, secret, public_, &none,
                                           &no_pcr, &private_, &created, NULL, NULL, NULL));
    if (err == DP_OK)
        err = result("Load", Esys_Load(t->esys, t->keys[TPM_KEY_PARENT], ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, private_, created, made));
    Esys_Free(private_);
    Esys_Free(created);
    return err;
}

int tpm_make_key(struct tpm *t, enum tpm_place key)
{
    TPM2B_SENSITIVE_CREATE secret = {.size = 0};
    TPM2B_PUBLIC public_;
    ESYS_TR made = ESYS_TR_NONE;
    int err = DP_OK;
    DP_ASSERT(key < TPM_KEYS && t->keys[key] == ESYS_TR_NONE);
    describe(key, &public_);
    if (key == TPM_KEY_EPOCH)
        err = epoch_policy(t, &public_.publicArea.authPolicy);
    if (err < 0)
        return err;
    secret.sensitive.userAuth = t->auth;
    err = key == TPM_KEY_PARENT ? make_parent(t, &secret, &public_, &made)
                                : make_child(t, &secret, &public_, &made);
    dp_wipe(&secret, sizeof secret);
    if (err < 0)
        return err;
    err = result("EvictControl",
                 Esys_EvictControl(t->esys, ESYS_TR_RH_OWNER, made, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                   ESYS_TR_NONE, PERSISTENT_FIRST + t->base + (uint32_t)key,
                                   &t->keys[key]));
    if (err == DP_OK)
        err = result("authorisation", Esys_TR_SetAuth(t->esys, t->keys[key], &t->auth));
    (void)Esys_FlushContext(t->esys, made);
    if (key == TPM_KEY_EPOCH)
        t->epoch_stale = false;
    return err;
}

int tpm_destroy_key(struct tpm *t, enum tpm_place key)
{
    ESYS_TR none = ESYS_TR_NONE;
    int err = result("EvictControl",
                     Esys_EvictControl(t->esys, ESYS_TR_RH_OWNER, t->keys[key], ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE,
                                       PERSISTENT_FIRST + t->base + (uint32_t)key, &none));
    if (err == DP_OK)
        t->keys[key] = ESYS_TR_NONE;
    return err;
}

/* The old key's end, and the step that says so. */
static int end_tls(struct tpm *t)
{
    enum tpm_place old = tpm_place(t, DP_KEY_TLS_NEXT);
    int err = t->keys[old] != ESYS_TR_NONE ? tpm_destroy_key(t, old) : DP_OK;
    if (err == DP_OK)
        err = increment(t, TPM_NV_TLS);
    if (err == DP_OK)
        t->tls++;
    return err;
}

int tpm_take_tls(struct tpm *t)
{
    int err = is_there(t, tpm_place(t, DP_KEY_TLS_NEXT)) ? DP_OK : DP_ERR_NOT_FOUND;
    if (err == DP_OK)
        err = increment(t, TPM_NV_TLS);
    if (err < 0)
        return err;
    t->tls++;
    return end_tls(t);
}

int tpm_tidy(struct tpm *t)
{
    return t->tls % 2 == 1 ? end_tls(t) : DP_OK;
}
