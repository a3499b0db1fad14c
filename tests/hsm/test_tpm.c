/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a TPM holds against somebody who has its authorisation value and a copy of a key's blob:
 * the key of an epoch that is over does not sign. Here the blob is caught on its way to the TPM's
 * persistent memory, and given to the TPM again by the TPM's own interface.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include "fixture.h"

/* docs/PROTOCOL.hsm-tpm2 */
#define PARENT    0x81000D00U
#define EPOCH_KEY 0x81000D02U
#define EPOCH_NV  0x01800D03U
#define TLS_NV    0x01800D04U

static struct fixture f;
static uint8_t digest[32] = {1}, signature[64], point[65];

/* ---- the blob ---- */

struct blob {
    TPM2B_PRIVATE private_;
    TPM2B_PUBLIC public_;
};

static struct blob last;

TSS2_RC __real_Esys_Create(ESYS_CONTEXT *esys, ESYS_TR parent, ESYS_TR s1, ESYS_TR s2, ESYS_TR s3,
                           const TPM2B_SENSITIVE_CREATE *sensitive, const TPM2B_PUBLIC *in,
                           const TPM2B_DATA *outside, const TPML_PCR_SELECTION *pcr,
                           TPM2B_PRIVATE **private_, TPM2B_PUBLIC **public_,
                           TPM2B_CREATION_DATA **data, TPM2B_DIGEST **hash,
                           TPMT_TK_CREATION **ticket);
TSS2_RC __wrap_Esys_Create(ESYS_CONTEXT *esys, ESYS_TR parent, ESYS_TR s1, ESYS_TR s2, ESYS_TR s3,
                           const TPM2B_SENSITIVE_CREATE *sensitive, const TPM2B_PUBLIC *in,
                           const TPM2B_DATA *outside, const TPML_PCR_SELECTION *pcr,
                           TPM2B_PRIVATE **private_, TPM2B_PUBLIC **public_,
                           TPM2B_CREATION_DATA **data, TPM2B_DIGEST **hash,
                           TPMT_TK_CREATION **ticket);

TSS2_RC __wrap_Esys_Create(ESYS_CONTEXT *esys, ESYS_TR parent, ESYS_TR s1, ESYS_TR s2, ESYS_TR s3,
                           const TPM2B_SENSITIVE_CREATE *sensitive, const TPM2B_PUBLIC *in,
                           const TPM2B_DATA *outside, const TPML_PCR_SELECTION *pcr,
                           TPM2B_PRIVATE **private_, TPM2B_PUBLIC **public_,
                           TPM2B_CREATION_DATA **data, TPM2B_DIGEST **hash,
                           TPMT_TK_CREATION **ticket)
{
    TSS2_RC rc = __real_Esys_Create(esys, parent, s1, s2, s3, sensitive, in, outside, pcr, private_,
                                    public_, data, hash, ticket);
    if (rc == TSS2_RC_SUCCESS) {
        last.private_ = **private_;
        last.public_ = **public_;
    }
    return rc;
}

/* ---- the insider's own way to the TPM ---- */

static struct {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    ESYS_TR parent, epoch_nv;
    TPM2B_AUTH auth;
} insider;

static ESYS_TR handle(TPM2_HANDLE at)
{
    ESYS_TR out = ESYS_TR_NONE;
    assert_int_equal(
        Esys_TR_FromTPMPublic(insider.esys, at, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &out),
        TSS2_RC_SUCCESS);
    assert_int_equal(Esys_TR_SetAuth(insider.esys, out, &insider.auth), TSS2_RC_SUCCESS);
    return out;
}

static void insider_begins(void)
{
    static const char auth[] = "a TPM authorisation"; /* fixture.c's */
    char tcti[128];
    dp_hsm_free(&f.hsm);
    (void)snprintf(tcti, sizeof tcti, "swtpm:path=%s/tpm/socket", f.dir);
    assert_int_equal(Tss2_TctiLdr_Initialize(tcti, &insider.tcti), TSS2_RC_SUCCESS);
    assert_int_equal(Esys_Initialize(&insider.esys, insider.tcti, NULL), TSS2_RC_SUCCESS);
    insider.auth.size = sizeof auth - 1;
    memcpy(insider.auth.buffer, auth, sizeof auth - 1);
    insider.parent = handle(PARENT);
    insider.epoch_nv = handle(EPOCH_NV);
}

static void insider_ends(void)
{
    Esys_Finalize(&insider.esys);
    Tss2_TctiLdr_Finalize(&insider.tcti);
    assert_int_equal(dp_hsm_open(f.uri, &f.hsm), DP_OK);
}

static ESYS_TR load(const struct blob *b)
{
    ESYS_TR out = ESYS_TR_NONE;
    assert_int_equal(Esys_Load(insider.esys, insider.parent, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                               ESYS_TR_NONE, &b->private_, &b->public_, &out),
                     TSS2_RC_SUCCESS);
    assert_int_equal(Esys_TR_SetAuth(insider.esys, out, &insider.auth), TSS2_RC_SUCCESS);
    return out;
}

static TSS2_RC sign(ESYS_TR key, ESYS_TR session)
{
    const TPMT_SIG_SCHEME ecdsa = {.scheme = TPM2_ALG_ECDSA,
                                   .details.ecdsa.hashAlg = TPM2_ALG_SHA256};
    const TPMT_TK_HASHCHECK none = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
    TPM2B_DIGEST d = {.size = 32};
    TPMT_SIGNATURE *s = NULL;
    TSS2_RC rc;
    memcpy(d.buffer, digest, 32);
    rc = Esys_Sign(insider.esys, key, session, ESYS_TR_NONE, ESYS_TR_NONE, &d, &ecdsa, &none, &s);
    Esys_Free(s);
    return rc;
}

/* back: so many epochs less than the counter's. */
static TSS2_RC policy(uint64_t back, ESYS_TR *session)
{
    const TPMT_SYM_DEF plain = {.algorithm = TPM2_ALG_NULL};
    TPM2B_MAX_NV_BUFFER *held = NULL;
    TPM2B_OPERAND operand = {.size = 8};
    uint64_t value = 0;
    TSS2_RC rc;
    assert_int_equal(Esys_NV_Read(insider.esys, insider.epoch_nv, insider.epoch_nv,
                                  ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, 8, 0, &held),
                     TSS2_RC_SUCCESS);
    for (int i = 0; i < 8; i++)
        value = value << 8 | held->buffer[i];
    Esys_Free(held);
    for (int i = 0; i < 8; i++)
        operand.buffer[i] = (uint8_t)((value - back) >> (56 - 8 * i));
    assert_int_equal(Esys_StartAuthSession(insider.esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                           ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_POLICY, &plain,
                                           TPM2_ALG_SHA256, session),
                     TSS2_RC_SUCCESS);
    rc = Esys_PolicyNV(insider.esys, insider.epoch_nv, insider.epoch_nv, *session, ESYS_TR_PASSWORD,
                       ESYS_TR_NONE, ESYS_TR_NONE, &operand, 0, TPM2_EO_EQ);
    return rc != TSS2_RC_SUCCESS ? rc
                                 : Esys_PolicyAuthValue(insider.esys, *session, ESYS_TR_NONE,
                                                        ESYS_TR_NONE, ESYS_TR_NONE);
}

static void forget(ESYS_TR what)
{
    assert_int_equal(Esys_FlushContext(insider.esys, what), TSS2_RC_SUCCESS);
}

static void step(TPM2_HANDLE counter)
{
    ESYS_TR nv = handle(counter);
    assert_int_equal(
        Esys_NV_Increment(insider.esys, nv, nv, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE),
        TSS2_RC_SUCCESS);
}

/* ---- the tests ---- */

static int fresh(void **state)
{
    (void)state;
    return fixture_make("tpm2", &f);
}

static int gone(void **state)
{
    (void)state;
    fixture_remove(&f);
    return 0;
}

static struct blob begin_epoch(uint32_t wanted)
{
    uint32_t number = 0;
    assert_int_equal(dp_hsm_epoch_new(f.hsm, &number), DP_OK);
    assert_int_equal(number, wanted);
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_JOURNAL_EPOCH, point), DP_OK);
    assert_memory_equal(last.public_.publicArea.unique.ecc.y.buffer +
                            last.public_.publicArea.unique.ecc.y.size - 8,
                        point + 57, 8); /* it is this key's blob that was caught */
    return last;
}

static void an_old_epochs_blob_signs_nothing(void **state)
{
    struct blob one = begin_epoch(1), two = begin_epoch(2);
    ESYS_TR key, session;
    (void)state;
    insider_begins();
    key = load(&two); /* what the insider does works: with the key of this epoch */
    assert_int_equal(policy(0, &session), TSS2_RC_SUCCESS);
    assert_int_equal(sign(key, session), TSS2_RC_SUCCESS);
    forget(key);
    key = load(&one);
    assert_int_equal(policy(0, &session), TSS2_RC_SUCCESS);
    assert_int_equal(sign(key, session) & 0xFF, TPM2_RC_POLICY_FAIL & 0xFF);
    forget(session);
    assert_int_equal(policy(1, &session), TPM2_RC_POLICY);
    forget(session);
    assert_int_not_equal(sign(key, ESYS_TR_PASSWORD), TSS2_RC_SUCCESS);
    forget(key);
    insider_ends();
    assert_int_equal(dp_hsm_sign(f.hsm, DP_KEY_JOURNAL_EPOCH, digest, signature), DP_OK);
}

static void not_even_the_authorisation_value_alone_signs_for_an_epoch(void **state)
{
    struct blob one = begin_epoch(1);
    ESYS_TR key;
    (void)state;
    insider_begins();
    key = load(&one);
    assert_int_not_equal(sign(key, ESYS_TR_PASSWORD), TSS2_RC_SUCCESS);
    forget(key);
    insider_ends();
}

static void an_old_epochs_key_put_back_at_its_handle_is_no_key(void **state)
{
    struct blob one = begin_epoch(1);
    ESYS_TR key, there, put = ESYS_TR_NONE;
    (void)state;
    (void)begin_epoch(2);
    insider_begins();
    there = handle(EPOCH_KEY);
    assert_int_equal(Esys_EvictControl(insider.esys, ESYS_TR_RH_OWNER, there, ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, EPOCH_KEY, &put),
                     TSS2_RC_SUCCESS);
    key = load(&one);
    assert_int_equal(Esys_EvictControl(insider.esys, ESYS_TR_RH_OWNER, key, ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, EPOCH_KEY, &put),
                     TSS2_RC_SUCCESS);
    forget(key);
    insider_ends();
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_JOURNAL_EPOCH, point), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_hsm_sign(f.hsm, DP_KEY_JOURNAL_EPOCH, digest, signature), DP_ERR_NOT_FOUND);
    (void)begin_epoch(3);
    assert_int_equal(dp_hsm_sign(f.hsm, DP_KEY_JOURNAL_EPOCH, digest, signature), DP_OK);
}

/* The number was counted, and power went before the key was made. */
static void a_crash_in_a_new_epoch_leaves_no_key(void **state)
{
    (void)state;
    (void)begin_epoch(1);
    insider_begins();
    step(EPOCH_NV);
    insider_ends();
    assert_int_equal(dp_hsm_sign(f.hsm, DP_KEY_JOURNAL_EPOCH, digest, signature), DP_ERR_NOT_FOUND);
    (void)begin_epoch(3);
    fixture_reopen(&f);
    assert_int_equal(dp_hsm_sign(f.hsm, DP_KEY_JOURNAL_EPOCH, digest, signature), DP_OK);
}

/* The step was counted, and power went before the old key's end: it is not the one to come. */
static void a_crash_in_a_change_of_the_tls_key_is_finished(void **state)
{
    uint8_t next[65], held[65];
    struct dp_hsm *look = NULL;
    (void)state;
    assert_int_equal(dp_hsm_tls_next(f.hsm), DP_OK);
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_TLS_NEXT, next), DP_OK);
    insider_begins();
    step(TLS_NV);
    Esys_Finalize(&insider.esys);
    Tss2_TctiLdr_Finalize(&insider.tcti);
    assert_int_equal(dp_hsm_open_readonly(f.uri, &look), DP_OK);
    assert_int_equal(dp_hsm_public(look, DP_KEY_TLS_CLIENT, held), DP_OK);
    assert_memory_equal(held, next, 65);
    assert_int_equal(dp_hsm_public(look, DP_KEY_TLS_NEXT, held), DP_ERR_NOT_FOUND);
    dp_hsm_free(&look);
    assert_int_equal(dp_hsm_open(f.uri, &f.hsm), DP_OK);
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_TLS_NEXT, held), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_hsm_tls_next(f.hsm), DP_OK);
    assert_int_equal(dp_hsm_tls_take(f.hsm), DP_OK);
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_TLS_CLIENT, held), DP_OK);
    assert_memory_not_equal(held, next, 65);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_old_epochs_blob_signs_nothing, fresh, gone),
        cmocka_unit_test_setup_teardown(not_even_the_authorisation_value_alone_signs_for_an_epoch,
                                        fresh, gone),
        cmocka_unit_test_setup_teardown(an_old_epochs_key_put_back_at_its_handle_is_no_key, fresh,
                                        gone),
        cmocka_unit_test_setup_teardown(a_crash_in_a_new_epoch_leaves_no_key, fresh, gone),
        cmocka_unit_test_setup_teardown(a_crash_in_a_change_of_the_tls_key_is_finished, fresh,
                                        gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
