/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A07: pre-play on a predictable unpredictable number. A random source that fails must end the
 * payment, no number may come twice, not after a fork nor after a restart, and what the card sees
 * is what the source gave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/payment/world.h"

#define NUMBERS 100000

static struct world w;

static int set_up(void **state)
{
    (void)state;
    world_make(&w);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

static void failing_source_ends_the_payment(void **state)
{
    struct books b;
    (void)state;
    w.random_fails = true;
    world_pay(&w, 1, "S1", 100);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_REFUSED);
    assert_int_equal(w.orders, 0);
    world_books(&w, &b);
    assert_int_equal(b.intents, 0);
    w.random_fails = false;
    world_pay(&w, 2, "S1", 100); /* nothing was kept of it */
    assert_int_equal(w.orders, 1);
}

static uint32_t number(void)
{
    uint32_t n;
    memcpy(&n, w.order.transaction.unpredictable_number, sizeof n);
    return n;
}

/* One payment, not taken; its number. */
static uint32_t pay(unsigned i)
{
    char service[11];
    (void)snprintf(service, sizeof service, "S%u", i);
    world_pay(&w, i, service, 100);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    w.results_n = 0;
    return number();
}

static int compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The number that a copy of this process, with every byte of its state, would have drawn. */
static uint32_t number_of_a_fork(void)
{
    int report[2], status = 0;
    uint32_t v = 0;
    pid_t pid;
    assert_int_equal(pipe(report), 0);
    pid = fork();
    if (pid == 0) {
        world_pay(&w, 1, "fork", 100); /* as far as the order: the token is the parent's */
        v = number();
        _exit(w.orders > 0 && write(report[1], &v, sizeof v) == (ssize_t)sizeof v ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(report[0], &v, sizeof v), (ssize_t)sizeof v);
    (void)close(report[0]);
    (void)close(report[1]);
    return v;
}

static void no_number_comes_twice_after_a_fork_or_a_restart(void **state)
{
    uint32_t seen[60];
    size_t n = 0;
    (void)state;
    for (unsigned round = 0; round < 10; round++) {
        unsigned orders = w.orders;
        seen[n++] = number_of_a_fork();
        seen[n++] = number_of_a_fork();
        for (unsigned i = 0; i < 4; i++)
            seen[n++] = pay(round * 10 + i);
        assert_int_equal(w.orders, orders + 4);
        world_kill(&w);
    }
    qsort(seen, n, sizeof seen[0], compare);
    for (size_t i = 1; i < n; i++)
        assert_int_not_equal(seen[i], seen[i - 1]);
}

/* ---- a source that is written down ---- */

static struct {
    uint8_t given[64][4];
    size_t n;
} drawn;

static int recorded(void *ctx, uint8_t *out, size_t n)
{
    const struct dp_random *system = dp_random_system();
    int err = system->fill(system->ctx, out, n);
    (void)ctx;
    if (n == 4 && drawn.n < 64)
        memcpy(drawn.given[drawn.n++], out, 4);
    return err;
}

static void number_is_what_the_source_gave(void **state)
{
    (void)state;
    w.random.fill = recorded;
    for (unsigned i = 0; i < 10; i++) {
        uint32_t v;
        bool found = false;
        drawn.n = 0;
        v = pay(i);
        for (size_t k = 0; k < drawn.n; k++)
            found = found || memcmp(drawn.given[k], &v, sizeof v) == 0;
        assert_true(found);
    }
}

static void hundred_thousand_numbers_pass_a_chi_square_test(void **state)
{
    static uint32_t numbers[NUMBERS];
    static uint32_t counts[4][256];
    const struct dp_random *source = dp_random_system();
    unsigned twice = 0;
    (void)state;
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i < NUMBERS; i++) {
        uint8_t b[4];
        assert_int_equal(source->fill(source->ctx, b, sizeof b), DP_OK);
        for (size_t k = 0; k < 4; k++)
            counts[k][b[k]]++;
        memcpy(&numbers[i], b, sizeof b);
    }
    for (size_t k = 0; k < 4; k++) {
        /* 255 degrees of freedom, scaled by the expected count: 255 +- 6.6 standard deviations */
        int64_t sum = 0, expected = NUMBERS / 256;
        for (size_t v = 0; v < 256; v++)
            sum += ((int64_t)counts[k][v] - expected) * ((int64_t)counts[k][v] - expected);
        assert_in_range(sum / expected, 106, 404);
    }
    /* by chance about one pair in a hundred thousand draws of 32 bits */
    qsort(numbers, NUMBERS, sizeof numbers[0], compare);
    for (size_t i = 1; i < NUMBERS; i++)
        twice += numbers[i] == numbers[i - 1];
    assert_true(twice < 16);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(failing_source_ends_the_payment),
        TEST(no_number_comes_twice_after_a_fork_or_a_restart),
        TEST(number_is_what_the_source_gave),
        TEST(hundred_thousand_numbers_pass_a_chi_square_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
