/* SPDX-License-Identifier: Apache-2.0 */
/* Each fault of a simulated token does what its name says, at the call it is set for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fixture.h"
#include "hsm/sim_script.h"

static struct fixture f;
static uint8_t digest[32] = {1}, signature[64], value[32];

static int fresh(void **state)
{
    (void)state;
    return fixture_make("sim", &f);
}

static int gone(void **state)
{
    (void)state;
    fixture_remove(&f);
    return 0;
}

static int open_with(const char *script, struct dp_hsm **hsm)
{
    char path[96], uri[256];
    FILE *file;
    dp_hsm_free(&f.hsm);
    (void)snprintf(path, sizeof path, "%s/script", f.dir);
    (void)snprintf(uri, sizeof uri, "sim:dir=%s/keys?script=%s", f.dir, path);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(script, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return dp_hsm_open(uri, hsm);
}

static int sign(void)
{
    return dp_hsm_sign(f.hsm, DP_KEY_JOURNAL_IDENTITY, digest, signature);
}

static void an_error_is_one_call_that_is_not_done(void **state)
{
    uint8_t held[32], zero[32] = {0};
    (void)state;
    assert_int_equal(open_with("anchor_extend 1 error\nsign 2 error # the second\n", &f.hsm),
                     DP_OK);
    assert_int_equal(dp_hsm_anchor_extend(f.hsm, digest, value), DP_ERR_TOKEN);
    assert_int_equal(dp_hsm_anchor_read(f.hsm, held), DP_OK);
    assert_memory_equal(held, zero, 32);
    assert_int_equal(dp_hsm_anchor_extend(f.hsm, digest, value), DP_OK);
    assert_int_equal(sign(), DP_OK);
    assert_int_equal(sign(), DP_ERR_TOKEN);
    assert_int_equal(sign(), DP_OK);
}

static void a_removed_token_is_gone_until_it_is_opened_anew(void **state)
{
    (void)state;
    assert_int_equal(open_with("* 2 remove\n", &f.hsm), DP_OK);
    assert_int_equal(dp_hsm_anchor_extend(f.hsm, digest, value), DP_OK);
    assert_int_equal(sign(), DP_ERR_GONE);
    assert_int_equal(dp_hsm_anchor_read(f.hsm, value), DP_ERR_GONE);
    fixture_reopen(&f);
    assert_int_equal(sign(), DP_OK);
}

static void a_reset_comes_between_extend_and_signature(void **state)
{
    uint8_t held[32];
    (void)state;
    assert_int_equal(open_with("anchor_extend 1 reset\n", &f.hsm), DP_OK);
    assert_int_equal(dp_hsm_anchor_extend(f.hsm, digest, value), DP_OK);
    assert_int_equal(sign(), DP_ERR_GONE);
    fixture_reopen(&f);
    assert_int_equal(dp_hsm_anchor_read(f.hsm, held), DP_OK);
    assert_memory_equal(held, value, 32);
}

static void a_lost_answer_leaves_the_work_done(void **state)
{
    uint8_t held[32], zero[32] = {0};
    (void)state;
    assert_int_equal(open_with("anchor_extend 1 lost\n", &f.hsm), DP_OK);
    assert_int_equal(dp_hsm_anchor_extend(f.hsm, digest, value), DP_ERR_GONE);
    assert_int_equal(sign(), DP_ERR_GONE);
    fixture_reopen(&f);
    assert_int_equal(dp_hsm_anchor_read(f.hsm, held), DP_OK);
    assert_memory_not_equal(held, zero, 32);
}

static void a_worn_anchor_never_works_again_and_the_key_does(void **state)
{
    (void)state;
    assert_int_equal(open_with("anchor_extend 2 wear\n", &f.hsm), DP_OK);
    assert_int_equal(dp_hsm_anchor_extend(f.hsm, digest, value), DP_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(dp_hsm_anchor_extend(f.hsm, digest, value), DP_ERR_TOKEN);
    assert_int_equal(sign(), DP_OK);
}

static void latency_is_waited_for(void **state)
{
    struct timespec from, to;
    (void)state;
    assert_int_equal(open_with("sign 1 latency 40\n", &f.hsm), DP_OK);
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    assert_int_equal(sign(), DP_OK);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    assert_true((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 >= 39);
}

static void a_script_that_is_wrong_is_refused_by_its_line(void **state)
{
    static const char *const wrong[] = {
        "signs 1 error\n",      "sign 0 error\n",   "sign 1\n",           "sign 1 error 5\n",
        "sign 1 latency\n",     "sign x error\n",   "sign 1 latency 0\n", "sign 1 latency 1 1\n",
        "sign 1000001 error\n", "sign 1 explode\n", "sign -1 error\n",
    };
    struct sim_script s;
    char text[64];
    unsigned line = 0;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        (void)snprintf(text, sizeof text, "\n# fine\n%s", wrong[i]);
        assert_int_equal(sim_script_parse(text, strlen(text), &s, &line), DP_ERR_FORMAT);
        assert_int_equal(line, 3);
        assert_int_equal(s.n, 0);
    }
    assert_int_equal(open_with("sign 1 explode\n", &f.hsm), DP_ERR_FORMAT);
    assert_null(f.hsm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_error_is_one_call_that_is_not_done, fresh, gone),
        cmocka_unit_test_setup_teardown(a_removed_token_is_gone_until_it_is_opened_anew, fresh,
                                        gone),
        cmocka_unit_test_setup_teardown(a_reset_comes_between_extend_and_signature, fresh, gone),
        cmocka_unit_test_setup_teardown(a_lost_answer_leaves_the_work_done, fresh, gone),
        cmocka_unit_test_setup_teardown(a_worn_anchor_never_works_again_and_the_key_does, fresh,
                                        gone),
        cmocka_unit_test_setup_teardown(latency_is_waited_for, fresh, gone),
        cmocka_unit_test_setup_teardown(a_script_that_is_wrong_is_refused_by_its_line, fresh, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
