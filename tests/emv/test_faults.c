/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole payments in which one thing of ours fails: a hash, RSA, room in the data store or in the
 * message. Each call in turn fails once (the linker leads them here). The card is honest, and would
 * have been approved: no fault may make an offline approval, nor lose an issuer's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <mbedtls/rsa.h>
#include <psa/crypto.h>

#include "base/secret.h"
#include "emv/contact.h"
#include "sim_payment.h"

static struct sim_payment p;

/* ---- the fault: the call with this number, counted from 1; 0: none ---- */

static unsigned at, calls;

static bool fails(void)
{
    return at != 0 && ++calls == at;
}

#define WRAP(type, name, list, names, failure)                                                     \
    type __real_##name list;                                                                       \
    type __wrap_##name list;                                                                       \
    type __wrap_##name list                                                                        \
    {                                                                                              \
        return fails() ? (failure) : __real_##name names;                                          \
    }

WRAP(psa_status_t, psa_hash_compute,
     (psa_algorithm_t alg, const uint8_t *in, size_t in_n, uint8_t *out, size_t max, size_t *n),
     (alg, in, in_n, out, max, n), PSA_ERROR_HARDWARE_FAILURE)
WRAP(psa_status_t, psa_hash_setup, (psa_hash_operation_t * o, psa_algorithm_t alg), (o, alg),
     PSA_ERROR_HARDWARE_FAILURE)
WRAP(psa_status_t, psa_hash_update, (psa_hash_operation_t * o, const uint8_t *in, size_t n),
     (o, in, n), PSA_ERROR_HARDWARE_FAILURE)
WRAP(psa_status_t, psa_hash_finish, (psa_hash_operation_t * o, uint8_t *out, size_t max, size_t *n),
     (o, out, max, n), PSA_ERROR_HARDWARE_FAILURE)
WRAP(int, mbedtls_rsa_public,
     (mbedtls_rsa_context * rsa, const unsigned char *in, unsigned char *out), (rsa, in, out), -1)
WRAP(int, emv_data_set,
     (struct emv_data * d, uint32_t tag, enum emv_origin origin, const void *v, size_t n),
     (d, tag, origin, v, n), DP_ERR_LIMIT)
/* A command's template always fits: that it does not is a lost invariant, and stops the process. */
int __real_dp_tlv_put(uint8_t *out, size_t max, size_t *n, uint32_t tag, const void *v, size_t v_n);
int __wrap_dp_tlv_put(uint8_t *out, size_t max, size_t *n, uint32_t tag, const void *v, size_t v_n);
int __wrap_dp_tlv_put(uint8_t *out, size_t max, size_t *n, uint32_t tag, const void *v, size_t v_n)
{
    if (tag != 0x83 && fails())
        return DP_ERR_SPACE;
    return __real_dp_tlv_put(out, max, n, tag, v, v_n);
}

static bool no_memory;

int __real_dp_secret_new(struct dp_secret *s, size_t n);
int __wrap_dp_secret_new(struct dp_secret *s, size_t n);
int __wrap_dp_secret_new(struct dp_secret *s, size_t n)
{
    return no_memory ? DP_ERR_NOMEM : __real_dp_secret_new(s, n);
}

/* ---- scenes ---- */

typedef void scene_fn(void);

static void cda(void)
{
    sim_payment_open(&p, "cda-offline");
}

static void cda_with_tc_hashes(void)
{
    sim_payment_open_with(&p, "cda-offline",
                          "8C = 9F02069F03069F1A0295055F2A029A039C019F37049F35019814\n"
                          "9F38 = 9F02069814\n");
}

static void cda_of_the_issuer(void)
{
    sim_payment_open(&p, "cda-online");
    memcpy(p.scripts, "\x71\x07\x86\x05\x84\x24\x00\x00\x00", 9);
    p.scripts_n = 9;
}

static void cda_declined_by_the_issuer(void)
{
    sim_payment_open(&p, "cda-online");
    p.issuer = ISSUER_DECLINES;
}

static void cda_without_link(void)
{
    sim_payment_open_with(&p, "cda-online", "unable_to_go_online = approve");
    p.transaction.online_possible = false;
}

static void cda_with_a_bad_signature(void)
{
    sim_payment_open(&p, "cda-online");
    sim_payment_script(&p, "generate-ac-1 flip 9F4B 20");
}

static void dda(void)
{
    sim_payment_open(&p, "dda");
}

static void sda(void)
{
    sim_payment_open(&p, "sda");
}

static void tap(const char *card)
{
    sim_payment_open(&p, card);
    p.aids[2] = p.aids[0];
    p.aids[2].kernel = 3;
    memcpy(p.aids[2].ttq, "\x33\x00\x40\x00", 4);
    p.aids[2].cl_transaction_limit = 50000;
    p.aids[2].cl_cvm_limit = p.aids[2].cl_floor_limit = 5000;
    p.terminal.aids_n = 3;
    p.transaction.amount.minor = 1250;
    p.transaction.kernel3_offline_max = 2000;
}

static void tap_offline(void)
{
    tap("qvsdc");
}

static void tap_online(void)
{
    tap("qvsdc-online");
}

/* ---- each call in turn ---- */

static void nothing_is_lost(scene_fn *scene)
{
    unsigned n = 0;
    do {
        bool approved;
        int err;
        scene();
        at = ++n;
        calls = 0;
        err = sim_payment_run(&p);
        at = 0;
        if (calls < n)
            break;
        assert_int_not_equal(p.result.outcome, DP_EMV_APPROVED_OFFLINE);
        approved = p.result.went_online && p.issuer == ISSUER_APPROVES;
        if (err == DP_OK && approved)
            assert_true(p.result.outcome == DP_EMV_APPROVED_ONLINE ||
                        p.result.outcome == DP_EMV_REVERSE);
        else if (err == DP_OK)
            assert_true(p.result.outcome != DP_EMV_APPROVED_ONLINE);
        else
            assert_int_equal(p.result.outcome, DP_EMV_ENDED);
    } while (n < 2000);
    print_message("# %u calls\n", n - 1);
    assert_in_range(n, 30, 1999);
}

static void a_fault_approves_nothing_offline(void **state)
{
    nothing_is_lost(cda);
    nothing_is_lost(cda_with_tc_hashes);
    nothing_is_lost(cda_without_link);
    nothing_is_lost(tap_offline);
}

static void a_fault_loses_no_approval_of_the_issuer(void **state)
{
    nothing_is_lost(cda_of_the_issuer);
    nothing_is_lost(dda);
    nothing_is_lost(sda);
    nothing_is_lost(tap_online);
}

static void a_fault_approves_nothing_that_was_declined(void **state)
{
    nothing_is_lost(cda_declined_by_the_issuer);
    nothing_is_lost(cda_with_a_bad_signature);
}

static void a_kernel_without_memory_is_none(void **state)
{
    struct dp_emv_kernel *kernel;
    no_memory = true;
    assert_int_equal(dp_emv_kernel_new(&kernel), DP_ERR_NOMEM);
    no_memory = false;
    assert_null(kernel);
    dp_emv_kernel_free(&kernel);
}

/* Hundreds of payments, each with its line. */
static void mute(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    assert_non_null(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_approves_nothing_offline),
        cmocka_unit_test(a_fault_loses_no_approval_of_the_issuer),
        cmocka_unit_test(a_fault_approves_nothing_that_was_declined),
        cmocka_unit_test(a_kernel_without_memory_is_none),
    };
    dp_log_set(mute, NULL, DP_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
