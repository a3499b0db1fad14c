/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <doorpay/payment.h>
#include <doorpay/words.h>

#define REASONS_MAX 64

/* Nothing a person reads may hold a card number, bits or other figures, nor be missing. */
static void sound(const char *text)
{
    assert_non_null(text);
    assert_true(strlen(text) > 3);
    assert_null(strpbrk(text, "0123456789_\"\\"));
}

static void every_reason_has_words_in_every_language(void **state)
{
    (void)state;
    for (unsigned r = 0; r < REASONS_MAX; r++) {
        const char *name = dp_reason_name((enum dp_reason)r);
        bool known = strcmp(name, "unknown") != 0 || r == DP_REASON_UNKNOWN;
        assert_int_equal(known, r <= DP_REASON_REFERRAL ||
                                    (r >= DP_REASON_BUSY && r <= DP_REASON_DEGRADED));
        for (unsigned l = 0; l < DP_LANGUAGES; l++) {
            sound(dp_words_reason(r, DP_FOR_WORKER, (enum dp_language)l));
            sound(dp_words_reason(r, DP_FOR_CUSTOMER, (enum dp_language)l));
        }
    }
    assert_string_equal(dp_reason_words(DP_REASON_NONE), "Paid");
    assert_string_equal(dp_reason_words_in(DP_REASON_NONE, DP_LANGUAGE_NL), "Betaald");
    /* what nobody knows is not taken for paid */
    assert_string_equal(dp_words_reason(39, DP_FOR_WORKER, DP_LANGUAGE_EN),
                        dp_reason_words(DP_REASON_UNKNOWN));
}

static void kernel_and_screen_have_words_too(void **state)
{
    (void)state;
    for (unsigned l = 0; l < DP_LANGUAGES; l++)
        for (unsigned audience = DP_FOR_WORKER; audience <= DP_FOR_CUSTOMER; audience++) {
            enum dp_language language = (enum dp_language)l;
            enum dp_audience a = (enum dp_audience)audience;
            for (unsigned o = DP_EMV_APPROVED_OFFLINE; o <= DP_EMV_ENDED; o++)
                sound(dp_words_outcome((enum dp_emv_outcome)o, a, language));
            for (unsigned r = 0; r <= DP_EMV_REASON_REFERRAL; r++)
                sound(dp_words_kernel_reason((enum dp_emv_reason)r, a, language));
            for (unsigned u = DP_EMV_UI_PRESENT_CARD; u <= DP_EMV_UI_CHOOSE; u++)
                sound(dp_words_ui((enum dp_emv_ui)u, a, language));
            for (unsigned s = DP_WORDS_REVERSAL_DONE; s <= DP_WORDS_FORWARDING; s++)
                sound(dp_words_of_state((enum dp_words_state)s, a, language));
        }
    for (unsigned r = 0; r <= DP_EMV_REASON_REFERRAL; r++)
        assert_string_not_equal(dp_emv_reason_name((enum dp_emv_reason)r), "unknown");
    for (unsigned o = DP_EMV_APPROVED_OFFLINE; o <= DP_EMV_ENDED; o++)
        assert_string_not_equal(dp_emv_outcome_name((enum dp_emv_outcome)o), "unknown");
    assert_string_equal(dp_words_ui(DP_EMV_UI_CHOOSE, DP_FOR_LOG, DP_LANGUAGE_FR), "choose");
    assert_string_equal(dp_words_ui(DP_EMV_UI_REMOVE_CARD, DP_FOR_CUSTOMER, DP_LANGUAGE_DE),
                        "Bitte Karte entnehmen");
}

/* EMV 4.4 Book 3, Annex C5: the bits that are in use. */
static void every_tvr_bit_has_words(void **state)
{
    static const uint8_t used[5] = {0xFE, 0xF8, 0xFC, 0xF8, 0xF0};
    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        uint8_t tvr[5] = {0}, bit = (uint8_t)(0x80 >> i % 8);
        bool known;
        tvr[i / 8] = bit;
        known = strcmp(dp_words_tvr(tvr, DP_FOR_LOG, DP_LANGUAGE_EN), "action codes") != 0;
        assert_int_equal(known, (used[i / 8] & bit) != 0);
        for (unsigned l = 0; l < DP_LANGUAGES; l++) {
            sound(dp_words_tvr(tvr, DP_FOR_WORKER, (enum dp_language)l));
            sound(dp_words_tvr(tvr, DP_FOR_CUSTOMER, (enum dp_language)l));
        }
    }
    assert_string_equal(
        dp_words_tvr((const uint8_t[]){0x00, 0x40, 0, 0, 0}, DP_FOR_WORKER, DP_LANGUAGE_EN),
        "The card has expired: ask for another card");
}

static void languages_are_found_or_not(void **state)
{
    enum dp_language l = DP_LANGUAGE_DE;
    (void)state;
    assert_int_equal(dp_language_parse("fr", &l), DP_OK);
    assert_int_equal(l, DP_LANGUAGE_FR);
    assert_int_equal(dp_language_parse("nl-BE", &l), DP_OK);
    assert_int_equal(l, DP_LANGUAGE_NL);
    assert_int_equal(dp_language_parse("de_AT.UTF-8", &l), DP_OK);
    assert_int_equal(l, DP_LANGUAGE_DE);
    assert_int_equal(dp_language_parse("", &l), DP_ERR_UNSUPPORTED);
    assert_int_equal(dp_language_parse("f", &l), DP_ERR_UNSUPPORTED);
    assert_int_equal(dp_language_parse("fra", &l), DP_ERR_UNSUPPORTED);
    assert_int_equal(dp_language_parse("it", &l), DP_ERR_UNSUPPORTED);
    assert_int_equal(l, DP_LANGUAGE_DE);
    assert_int_equal(dp_language_of_card("itnlfr", DP_LANGUAGE_EN), DP_LANGUAGE_NL);
    assert_int_equal(dp_language_of_card("it", DP_LANGUAGE_FR), DP_LANGUAGE_FR);
    assert_int_equal(dp_language_of_card("", DP_LANGUAGE_DE), DP_LANGUAGE_DE);
    assert_int_equal(dp_language_of_card("ifr", DP_LANGUAGE_EN), DP_LANGUAGE_EN); /* not in pairs */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_words_in_every_language),
        cmocka_unit_test(kernel_and_screen_have_words_too),
        cmocka_unit_test(every_tvr_bit_has_words),
        cmocka_unit_test(languages_are_found_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
