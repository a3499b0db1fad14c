/* SPDX-License-Identifier: Apache-2.0 */
/* A set on its whole way: text, packed and signed by the simulated back office, read by us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <doorpay/params.h>

#include "base/hex.h"

static char dir[64];

static int fresh(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/dp-params-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int gone(void **state)
{
    char command[96];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static size_t read_file(const char *path, uint8_t *out, size_t max)
{
    FILE *f = fopen(path, "rb");
    size_t n;
    assert_non_null(f);
    n = fread(out, 1, max, f);
    (void)fclose(f);
    assert_true(n > 0 && n < max);
    return n;
}

static void back_office(uint8_t point[65])
{
    uint8_t hex[256];
    size_t n = 0;
    assert_true(read_file(TEST_KEYS "/params.pub", hex, sizeof hex) >= 130);
    assert_int_equal(dp_hex_decode((const char *)hex, 130, point, 65, &n), DP_OK);
    assert_int_equal(n, 65);
}

/* The demo's text and more behind it, decoded. */
static struct dp_params *made_of(const char *more)
{
    static uint8_t text[16384], set[16384];
    char path[96], command[1024], error[160];
    uint8_t point[65];
    struct dp_params *p = NULL;
    size_t n = read_file(DEMO_PARAMS, text, sizeof text);
    FILE *f;
    (void)snprintf(path, sizeof path, "%s/text", dir);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_true(fputs(more, f) >= 0);
    assert_int_equal(fclose(f), 0);
    (void)snprintf(command, sizeof command,
                   "'%s' params --in '%s/text' --keys '%s' --out '%s/set' >&2", SIM, dir, TEST_KEYS,
                   dir);
    assert_int_equal(system(command), 0);
    (void)snprintf(path, sizeof path, "%s/set", dir);
    n = read_file(path, set, sizeof set);
    back_office(point);
    if (dp_params_decode(set, n, point, &p, error, sizeof error) != DP_OK)
        fail_msg("%s", error);
    return p;
}

static void revoked_certificates_of_the_text_are_the_sets(void **state)
{
    struct dp_params *p = made_of("\n[revoked]\ncertificate = A000000999 01 00A001\n"
                                  "certificate = A000000998 FE 123456 # another scheme's\n");
    (void)state;
    assert_int_equal(p->revoked_n, 2);
    assert_memory_equal(p->revoked[0].rid, "\xA0\x00\x00\x09\x99", 5);
    assert_int_equal(p->revoked[0].index, 0x01);
    assert_memory_equal(p->revoked[0].serial, "\x00\xA0\x01", 3);
    assert_memory_equal(p->revoked[1].rid, "\xA0\x00\x00\x09\x98", 5);
    assert_int_equal(p->revoked[1].index, 0xFE);
    assert_memory_equal(p->revoked[1].serial, "\x12\x34\x56", 3);
    dp_params_free(&p);
}

static void a_text_without_revoked_certificates_has_none(void **state)
{
    static const char *const none[] = {"", "\n[revoked]\n"};
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct dp_params *p = made_of(none[i]);
        assert_int_equal(p->revoked_n, 0);
        assert_string_equal(p->cohort, "demo");
        dp_params_free(&p);
    }
}

static void the_collector_of_the_text_is_the_sets(void **state)
{
    struct dp_params *p = made_of("\n[collector]\narchive = yes\n");
    uint8_t point[65];
    char path[512], hex[256];
    size_t n;
    (void)state;
    (void)snprintf(path, sizeof path, "%s/collector.pub", TEST_KEYS);
    n = read_file(path, (uint8_t *)hex, sizeof hex);
    assert_int_equal(dp_hex_decode(hex, n, point, sizeof point, &n), DP_OK);
    assert_true(p->has_collector && p->collector.archive);
    assert_memory_equal(p->collector.key, point, sizeof point);
    dp_params_free(&p);
    p = made_of("\n[collector]\n");
    assert_true(p->has_collector && !p->collector.archive);
    dp_params_free(&p);
    p = made_of("");
    assert_false(p->has_collector);
    dp_params_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(revoked_certificates_of_the_text_are_the_sets),
        cmocka_unit_test(a_text_without_revoked_certificates_has_none),
        cmocka_unit_test(the_collector_of_the_text_is_the_sets),
    };
    return cmocka_run_group_tests(tests, fresh, gone);
}
