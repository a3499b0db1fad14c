/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doorpay/base.h>

#include "base/secret.h"

/* The signal a child dies of when it touches p; 0 when it lives. */
static int dies_of(volatile uint8_t *p)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGBUS, SIG_DFL);
        *p = 1;
        _exit(0);
    }
    assert_true(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void one_byte_too_far_meets_the_guard(void **state)
{
    struct dp_secret s;
    (void)state;
    assert_int_equal(dp_secret_new(&s, 100), DP_OK);
    assert_int_equal(dies_of(s.p + 99), 0);
    assert_int_not_equal(dies_of(s.p + 100), 0);
    dp_secret_free(&s);
    assert_null(s.p);
    dp_secret_free(&s);
}

static void compares_and_wipes(void **state)
{
    uint8_t a[4] = {1, 2, 3, 4}, b[4] = {1, 2, 3, 5};
    (void)state;
    assert_false(dp_equal_ct(a, b, 4));
    assert_true(dp_equal_ct(a, b, 3));
    dp_wipe(a, sizeof a);
    dp_wipe(b, sizeof b);
    assert_true(dp_equal_ct(a, b, 4));
    assert_int_equal(a[3], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_byte_too_far_meets_the_guard),
        cmocka_unit_test(compares_and_wipes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
