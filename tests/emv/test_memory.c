/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a payment takes of memory: nothing of the heap between the first SELECT and the outcome,
 * whoever asks for it (malloc and its kin are this program's own, for shared libraries too); what
 * mbedTLS needs, of its arena; and how deep the stack gets.
 */
#include "instant.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <doorpay/sealed.h>
#include <psa/crypto.h>

#include "base/limits.h"

#define STACK_BYTES 1048576
#define STACK_MAX   49152 /* what docs/emv-contact.md says; twice that without optimisation */
#define PAINT       0xA5

/* ---- the heap, counted ---- */

static volatile bool counting;
static volatile unsigned heap_calls;

#ifdef HEAP_IS_ELSEWHERE
static const bool is_heap = false;
#else
static const bool is_heap = true;

#define SHARED __attribute__((visibility("default")))

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t to, size_t n);
extern void __libc_free(void *p);

static void count(void)
{
    if (counting)
        heap_calls++;
}

SHARED void *malloc(size_t n)
{
    count();
    return __libc_malloc(n);
}

SHARED void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

SHARED void *realloc(void *p, size_t n)
{
    count();
    return __libc_realloc(p, n);
}

SHARED void *memalign(size_t to, size_t n)
{
    count();
    return __libc_memalign(to, n);
}

SHARED void *aligned_alloc(size_t to, size_t n)
{
    count();
    return __libc_memalign(to, n);
}

SHARED int posix_memalign(void **p, size_t to, size_t n)
{
    count();
    *p = __libc_memalign(to, n);
    return *p == NULL ? ENOMEM : 0;
}

SHARED void free(void *p)
{
    if (p != NULL)
        count();
    __libc_free(p);
}
#endif

/* ---- one payment, measured ---- */

static struct instant i;
static uint8_t recipient[65];

static void *payment(void *out)
{
    int *err = out;
    counting = true;
    *err = instant_perform(&i);
    counting = false;
    return NULL;
}

/* What the card process does with card data before they leave it. */
static void *seal(void *out)
{
    static const struct dp_sealed_context context = {{1}, {2}, "DP000001"};
    struct dp_sealed_card clear = {"9999010000000011", "2812", true, 1, {0}, 0};
    uint8_t blob[DP_SEALED_BYTES_MAX];
    size_t n = 0;
    int *err = out;
    counting = true;
    *err = dp_sealed_make(recipient, DP_SEALED_PAN, &context, &clear, blob, sizeof blob, &n);
    counting = false;
    return NULL;
}

/* On a painted stack. Returns how much of it lost its paint. */
static size_t run(void *(*what)(void *))
{
    uint8_t *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    pthread_attr_t attributes;
    pthread_t thread;
    size_t clean = 0;
    int err = DP_ERR_INTERNAL;
    assert_ptr_not_equal(stack, MAP_FAILED);
    memset(stack, PAINT, STACK_BYTES);
    heap_calls = 0;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_BYTES), 0);
    assert_int_equal(pthread_create(&thread, &attributes, what, &err), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(err, DP_OK);
    while (clean < STACK_BYTES && stack[clean] == PAINT)
        clean++;
    assert_int_equal(munmap(stack, STACK_BYTES), 0);
    return STACK_BYTES - clean;
}

static void holds(size_t peak)
{
    assert_int_equal(heap_calls, 0);
    assert_in_range(dp_emv_arena_peak(), 1024, DP_EMV_ARENA_BYTES / 2);
    assert_in_range(peak, 4096, STACK_MAX);
}

static void takes_nothing_of_the_heap(enum dp_emv_outcome outcome)
{
    size_t peak;
    if (!is_heap)
        skip();
    assert_true(instant_record(&i));
    assert_true(instant_begin(&i));
    peak = run(payment);
    print_message("# %s: %zu bytes of stack, arena to %zu\n", dp_emv_outcome_name(outcome), peak,
                  dp_emv_arena_peak());
    assert_int_equal(i.result.outcome, outcome);
    holds(peak);
    instant_end(&i);
    dp_emv_kernel_free(&i.kernel);
}

static void contact_with_cda_takes_nothing_of_the_heap(void **state)
{
    sim_payment_open(&i.world, "cda-offline");
    takes_nothing_of_the_heap(DP_EMV_APPROVED_OFFLINE);
}

static void the_longest_keys_take_nothing_of_the_heap(void **state)
{
    sim_payment_open(&i.world, "cda-1984");
    takes_nothing_of_the_heap(DP_EMV_APPROVED_OFFLINE);
}

static void both_cryptograms_and_scripts_take_nothing_of_the_heap(void **state)
{
    sim_payment_open(&i.world, "cda-online");
    memcpy(i.world.scripts, "\x72\x07\x86\x05\x84\x24\x00\x00\x00", 9);
    i.world.scripts_n = 9;
    takes_nothing_of_the_heap(DP_EMV_APPROVED_ONLINE);
}

static void dda_takes_nothing_of_the_heap(void **state)
{
    sim_payment_open(&i.world, "dda");
    takes_nothing_of_the_heap(DP_EMV_APPROVED_ONLINE);
}

static void contactless_with_fdda_takes_nothing_of_the_heap(void **state)
{
    struct dp_emv_aid *a = &i.world.aids[2];
    sim_payment_open(&i.world, "qvsdc");
    *a = i.world.aids[0];
    a->kernel = 3;
    memcpy(a->ttq, "\x33\x00\x40\x00", 4);
    a->cl_transaction_limit = 50000;
    a->cl_cvm_limit = a->cl_floor_limit = 5000;
    i.world.terminal.aids_n = 3;
    i.world.transaction.amount.minor = 1250;
    i.world.transaction.kernel3_offline_max = 2000;
    takes_nothing_of_the_heap(DP_EMV_APPROVED_OFFLINE);
}

static void what_does_take_of_the_heap_is_counted(void **state)
{
    void *(*volatile take)(size_t) = malloc;
    void (*volatile give)(void *) = free;
    if (!is_heap)
        skip();
    heap_calls = 0;
    counting = true;
    give(take(100));
    counting = false;
    assert_int_equal(heap_calls, 2);
}

/* Somebody to seal to. */
static void make_recipient(void)
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t key = 0;
    size_t n = 0;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&a, 256);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&a, PSA_ALG_ECDH);
    assert_int_equal(psa_generate_key(&a, &key), PSA_SUCCESS);
    assert_int_equal(psa_export_public_key(key, recipient, sizeof recipient, &n), PSA_SUCCESS);
    assert_int_equal(psa_destroy_key(key), PSA_SUCCESS);
}

static void sealing_takes_nothing_of_the_heap(void **state)
{
    size_t peak;
    if (!is_heap)
        skip();
    make_recipient();
    peak = run(seal);
    print_message("# sealing: %zu bytes of stack, arena to %zu\n", peak, dp_emv_arena_peak());
    holds(peak);
}

static int begin(void **state)
{
    dp_emv_arena_begin(); /* before anything of mbedTLS, as in the card process */
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_take_of_the_heap_is_counted),
        cmocka_unit_test(contact_with_cda_takes_nothing_of_the_heap),
        cmocka_unit_test(the_longest_keys_take_nothing_of_the_heap),
        cmocka_unit_test(both_cryptograms_and_scripts_take_nothing_of_the_heap),
        cmocka_unit_test(dda_takes_nothing_of_the_heap),
        cmocka_unit_test(contactless_with_fdda_takes_nothing_of_the_heap),
        cmocka_unit_test(sealing_takes_nothing_of_the_heap),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
