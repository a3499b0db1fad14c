/* SPDX-License-Identifier: Apache-2.0 */
/* The memory mbedTLS works in, by mbedTLS's own calls. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <mbedtls/platform.h>

#include "base/limits.h"
#include "emv/oda.h"
#include "emv/rsa.h"

static bool is_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static void blocks_are_zero_aligned_and_apart(void **state)
{
    uint8_t *blocks[40];
    for (size_t i = 0; i < 40; i++) {
        blocks[i] = mbedtls_calloc(i + 1, 7);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        assert_true(is_zero(blocks[i], (i + 1) * 7));
        memset(blocks[i], (int)i + 1, (i + 1) * 7);
    }
    for (size_t i = 0; i < 40; i++)
        for (size_t at = 0; at < (i + 1) * 7; at++)
            assert_int_equal(blocks[i][at], i + 1);
    for (size_t i = 0; i < 40; i++)
        mbedtls_free(blocks[(i * 7) % 40]);
    mbedtls_free(NULL);
}

static void what_is_given_back_is_wiped_and_used_again(void **state)
{
    uint8_t *first = mbedtls_calloc(1, 100), *second = mbedtls_calloc(1, 100);
    uint8_t *third;
    memset(first, 0x55, 100);
    mbedtls_free(first);
    assert_true(is_zero(first, 100));
    third = mbedtls_calloc(1, 50);
    assert_ptr_equal(third, first);
    mbedtls_free(second);
    mbedtls_free(third);
}

/* Most of it in one piece again, whatever the order of giving back. */
static void free_neighbours_are_joined(void **state)
{
    static const size_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {0, 2, 1}, {1, 0, 2}};
    for (size_t o = 0; o < 4; o++) {
        uint8_t *blocks[3], *all;
        for (size_t i = 0; i < 3; i++)
            blocks[i] = mbedtls_calloc(1, DP_EMV_ARENA_BYTES / 4);
        for (size_t i = 0; i < 3; i++)
            mbedtls_free(blocks[orders[o][i]]);
        all = mbedtls_calloc(1, DP_EMV_ARENA_BYTES - 16);
        assert_non_null(all);
        assert_null(mbedtls_calloc(1, 1));
        mbedtls_free(all);
    }
    assert_int_equal(dp_emv_arena_peak(), DP_EMV_ARENA_BYTES);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    assert_null(mbedtls_calloc(0, 1));
    assert_null(mbedtls_calloc(1, 0));
    assert_null(mbedtls_calloc(SIZE_MAX, SIZE_MAX));
    assert_null(mbedtls_calloc(SIZE_MAX / 2 + 2, 2)); /* 2 when it wraps */
    assert_null(mbedtls_calloc(1, DP_EMV_ARENA_BYTES + 1));
    assert_null(mbedtls_calloc(1, DP_EMV_ARENA_BYTES - 15));
}

/* At whichever allocation it runs out: an error, nothing recovered, and nothing left behind. */
static void rsa_without_memory_is_a_clean_error(void **state)
{
    struct oda_key key = {.modulus_n = 128, .exponent = 65537};
    uint8_t in[128] = {0x12}, out[128];
    unsigned failed = 0;
    memset(key.modulus, 0xC3, 128);
    for (size_t left = 16; left <= 8192; left += 16) {
        uint8_t *taken = mbedtls_calloc(1, DP_EMV_ARENA_BYTES - left), *again;
        int err = emv_rsa_recover(&key, in, sizeof in, out);
        mbedtls_free(taken);
        again = mbedtls_calloc(1, DP_EMV_ARENA_BYTES - 16);
        assert_non_null(again);
        mbedtls_free(again);
        assert_true(err == DP_OK || (err == DP_ERR_CRYPTO && is_zero(out, sizeof out)));
        failed += err != DP_OK;
    }
    assert_in_range(failed, 10, 8192 / 16 - 10);
}

/* In a child: whoever overwrites the heads stops the process. */
static void stops(void (*fn)(void))
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        if (freopen("/dev/null", "w", stderr) != NULL)
            fn();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void give_back_twice(void)
{
    uint8_t *p = mbedtls_calloc(1, 10);
    mbedtls_free(p);
    mbedtls_free(p);
}

static void write_too_far(void)
{
    uint8_t *p = mbedtls_calloc(1, 16), *volatile q = p;
    memset(q + 16, 0x41, 16);
    mbedtls_free(p);
}

static void give_back_what_was_not_taken(void)
{
    static uint8_t elsewhere[64];
    mbedtls_free(elsewhere + 16);
}

static void give_back_a_part(void)
{
    uint8_t *p = mbedtls_calloc(1, 64);
    mbedtls_free(p + 8);
}

static void begin_twice(void)
{
    dp_emv_arena_begin();
}

static void misuse_stops_the_process(void **state)
{
    stops(give_back_twice);
    stops(write_too_far);
    stops(give_back_what_was_not_taken);
    stops(give_back_a_part);
    stops(begin_twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zero_aligned_and_apart),
        cmocka_unit_test(what_is_given_back_is_wiped_and_used_again),
        cmocka_unit_test(free_neighbours_are_joined),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(rsa_without_memory_is_a_clean_error),
        cmocka_unit_test(misuse_stops_the_process),
    };
    dp_emv_arena_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
