/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "base/limits.h"
#include "card/atr.h"

static int read_hex(const char *hex, struct dp_card_info *info)
{
    uint8_t atr[64];
    size_t n = 0;
    assert_int_equal(dp_hex_decode(hex, strlen(hex), atr, sizeof atr, &n), DP_OK);
    return dp_atr_read(atr, n, info);
}

static void tells_protocol_and_interface(void **state)
{
    static const struct {
        const char *atr;
        enum dp_card_interface interface;
        enum dp_card_protocol protocol;
    } cases[] = {
        {"3B00", DP_INTERFACE_CONTACT, DP_PROTOCOL_T0},
        {"3F00", DP_INTERFACE_CONTACT, DP_PROTOCOL_T0},
        {"3B650000 9C02020702", DP_INTERFACE_CONTACT, DP_PROTOCOL_T0},
        {"3BE70000 81 31FE45 00010203040506 EB", DP_INTERFACE_CONTACT, DP_PROTOCOL_T1},
        /* T=0 first, T=1 as well */
        {"3B9411 80 41 05 01020304 45", DP_INTERFACE_CONTACT, DP_PROTOCOL_T0},
        /* TA2: specific mode, T=1 */
        {"3B9011 11 01 91", DP_INTERFACE_CONTACT, DP_PROTOCOL_T1},
        /* as readers show contactless cards, with and without historical bytes */
        {"3B80800101", DP_INTERFACE_CONTACTLESS, DP_PROTOCOL_ISO14443_4},
        {"3B848001 01020304 01", DP_INTERFACE_CONTACTLESS, DP_PROTOCOL_ISO14443_4},
    };
    struct dp_card_info info;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_hex(cases[i].atr, &info), DP_OK);
        assert_int_equal(info.interface, cases[i].interface);
        assert_int_equal(info.protocol, cases[i].protocol);
        assert_int_equal(info.atr[0] & 0xFB, 0x3B);
    }
}

static void refuses_malformed_atrs(void **state)
{
    static const struct {
        const char *atr;
        int err;
    } cases[] = {
        {"", DP_ERR_FORMAT},
        {"3B", DP_ERR_FORMAT},
        {"0000", DP_ERR_FORMAT},
        {"3B01", DP_ERR_FORMAT},          /* historical byte missing */
        {"3B0000", DP_ERR_FORMAT},        /* one byte too many */
        {"3BF0", DP_ERR_FORMAT},          /* interface bytes missing */
        {"3B80800100", DP_ERR_FORMAT},    /* wrong TCK */
        {"3B808001", DP_ERR_FORMAT},      /* no TCK */
        {"3B800F8F", DP_ERR_UNSUPPORTED}, /* T=15 first */
        {"3B80808080808080808080808080808080808080808080808080808080808080808080", DP_ERR_FORMAT},
    };
    struct dp_card_info info;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(read_hex(cases[i].atr, &info), cases[i].err);
}

/* Every ATR of up to three bytes: never a crash, never an answer outside the enums. */
static void short_atrs_of_every_kind_are_survived(void **state)
{
    struct dp_card_info info;
    (void)state;
    for (uint32_t v = 0; v < 1 << 16; v++) {
        uint8_t atr[] = {0x3B, (uint8_t)(v >> 8), (uint8_t)v};
        for (size_t n = 0; n <= sizeof atr; n++) {
            if (dp_atr_read(atr, n, &info) == DP_OK) {
                assert_int_equal(info.atr_n, n);
                assert_int_equal(info.interface, DP_INTERFACE_CONTACT);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_protocol_and_interface),
        cmocka_unit_test(refuses_malformed_atrs),
        cmocka_unit_test(short_atrs_of_every_kind_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
