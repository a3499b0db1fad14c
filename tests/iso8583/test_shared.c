/* SPDX-License-Identifier: Apache-2.0 */
/* Complete messages that a live national scheme publishes; the keys of their MACs are not. */
#include <doorpay/iso8583.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <mbedtls/base64.h>
#include <psa/crypto.h>

#include "base/hex.h"
#include "base/limits.h"

static struct dp_iso8583_layout layout;
static json_t *shared;

static int load(void **state)
{
    static char text[8192];
    char path[512];
    const char *dir = getenv("DP_SHARED_DATA"), *root = getenv("DP_SOURCE_ROOT");
    FILE *f = fopen(TEST_LAYOUTS "/bankaxept.layout", "r");
    size_t n;
    assert_non_null(f);
    n = fread(text, 1, sizeof text, f);
    (void)fclose(f);
    assert_int_equal(dp_iso8583_layout_load(text, n, &layout, NULL), DP_OK);
    (void)snprintf(path, sizeof path, "%s/bankaxept_messages.json",
                   dir != NULL ? dir : "../shared/data");
    if (dir == NULL && root != NULL)
        (void)snprintf(path, sizeof path, "%s/../shared/data/bankaxept_messages.json", root);
    shared = json_load_file(path, 0, NULL);
    return 0;
}

static int unload(void **state)
{
    json_decref(shared);
    return 0;
}

static void need_shared(void)
{
    if (shared == NULL) {
        print_message("skipped: no shared data\n");
        skip();
    }
}

static void decodes_and_packs_again(const uint8_t *p, size_t n, unsigned mti)
{
    static struct dp_iso8583_message m, cut_m;
    static struct dp_iso8583_error error;
    uint8_t again[DP_ISO8583_MESSAGE_MAX];
    size_t again_n, mac_n;
    if (dp_iso8583_unpack(&layout, p, n, &m, &error) != DP_OK)
        fail_msg("%s", error.words);
    assert_int_equal(m.mti, mti);
    assert_int_equal(dp_iso8583_pack(&layout, &m, 0, again, sizeof again, &again_n, NULL), DP_OK);
    assert_int_equal(again_n, n);
    assert_memory_equal(again, p, n);
    /* a MAC of 16 bytes cut to 8 is a message too: that is why find_mac is told the length */
    mac_n = dp_iso8583_get(&m, 64).n;
    for (size_t cut = 0; cut < n; cut++)
        if (mac_n != 16 || cut != n - 8)
            assert_true(dp_iso8583_unpack(&layout, p, cut, &cut_m, NULL) < 0);
}

static void published_messages_decode_and_pack_again(void **state)
{
    json_t *list, *one;
    size_t i, count = 0;
    need_shared();
    list = json_object_get(shared, "messages_base64");
    json_array_foreach(list, i, one)
    {
        const char *text = json_string_value(json_object_get(one, "message"));
        uint8_t p[DP_ISO8583_MESSAGE_MAX];
        size_t n;
        assert_int_equal(
            mbedtls_base64_decode(p, sizeof p, &n, (const uint8_t *)text, strlen(text)), 0);
        decodes_and_packs_again(p, n,
                                (unsigned)atoi(json_string_value(json_object_get(one, "mti"))));
        count++;
    }
    assert_int_equal(count, 4);
}

static void the_mac_covers_what_the_publisher_hashes(void **state)
{
    uint8_t p[DP_ISO8583_MESSAGE_MAX], wanted[32], hash[32];
    struct dp_iso8583_mac mac;
    size_t n, wanted_n, hash_n;
    const char *input, *sum;
    need_shared();
    input = json_string_value(json_object_get(shared, "mac_input_hex"));
    sum = json_string_value(json_object_get(shared, "mac_input_sha256"));
    assert_int_equal(dp_hex_decode(input, strlen(input), p, sizeof p - 16, &n), DP_OK);
    assert_int_equal(dp_hex_decode(sum, strlen(sum), wanted, sizeof wanted, &wanted_n), DP_OK);
    memset(p + n, 0, 16);
    assert_int_equal(dp_iso8583_find_mac(&layout, p, n + 16, 16, &mac), DP_OK);
    assert_int_equal(mac.covered.n, n);
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    assert_int_equal(
        psa_hash_compute(PSA_ALG_SHA_256, mac.covered.p, mac.covered.n, hash, sizeof hash, &hash_n),
        PSA_SUCCESS);
    assert_memory_equal(hash, wanted, sizeof wanted);
    decodes_and_packs_again(p, n + 16, 1100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_messages_decode_and_pack_again),
        cmocka_unit_test(the_mac_covers_what_the_publisher_hashes),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
