/* SPDX-License-Identifier: Apache-2.0 */
/* What comes back from the issuer and goes to the card: EXTERNAL AUTHENTICATE and scripts. */
#include "step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"

static struct step s;
static struct dp_emv_online_answer answer;

/* ---- issuer authentication data ---- */

static void authenticate(size_t n, bool wanted, const struct step_exchange *script, size_t script_n,
                         const char *tvr)
{
    memset(&answer, 0, sizeof answer);
    memset(answer.issuer_authentication, 0x55, sizeof answer.issuer_authentication);
    answer.issuer_authentication_n = (uint8_t)n;
    step_begin(&s);
    s.k.aip[0] = wanted ? AIP_ISSUER_AUTH : 0;
    step_play(&s, script, script_n);
    emv_issuer_authenticate(&s.k, &answer);
    step_played(&s);
    step_tvr(&s, tvr);
    assert_int_equal((s.k.tsi[0] & TSI_ISSUER_AUTH) != 0, script_n > 0);
    step_end(&s);
}

static void issuer_authentication_has_8_to_16_bytes(void **state)
{
    static const struct step_exchange eight[] = {{"00820000085555555555555555", "9000"}};
    static const struct step_exchange refuses[] = {{"00820000085555555555555555", "6300"}};
    static const struct step_exchange gone[] = {{"00820000085555555555555555", NULL}};
    authenticate(8, true, eight, 1, "0000000000");
    authenticate(8, true, refuses, 1, "0000000040");
    authenticate(8, true, gone, 1, "0000000040");
    authenticate(7, true, NULL, 0, "0000000000");
    assert_false(emv_data_has(&s.k.data, 0x91));
    authenticate(17, true, NULL, 0, "0000000000");
    assert_false(emv_data_has(&s.k.data, 0x91));
    authenticate(16, false, NULL, 0, "0000000000"); /* in CDOL2, if there */
    assert_int_equal(emv_data_get(&s.k.data, 0x91).n, 16);
}

/* ---- scripts ---- */

/* Results of the scripts with tag 72 in these bytes. */
static void run(const char *scripts, const struct step_exchange *script, size_t script_n,
                const char *results, const char *tvr)
{
    char text[2 * sizeof s.result.script_results + 1];
    struct dp_bytes b = step_hex(scripts);
    memset(&answer, 0, sizeof answer);
    assert_true(b.n <= sizeof answer.scripts);
    memcpy(answer.scripts, b.p, b.n);
    answer.scripts_n = (uint16_t)b.n;
    step_begin(&s);
    step_play(&s, script, script_n);
    emv_issuer_scripts(&s.k, &answer, 0x72);
    step_played(&s);
    step_tvr(&s, tvr);
    assert_string_equal(
        dp_hex_encode(s.result.script_results, s.result.script_results_n, text, sizeof text),
        results);
    step_end(&s);
}
#define RUN(scripts, script, results, tvr)                                                         \
    run(scripts, script, sizeof(script) / sizeof((script)[0]), results, tvr)

static void commands_run_in_order_to_the_first_that_fails(void **state)
{
    static const struct step_exchange good[] = {{"8424000000", "9000"}, {"841E000001AA", "6200"}};
    static const struct step_exchange warned[] = {{"8424000000", "63C1"}, {"841E000001AA", "9000"}};
    static const struct step_exchange other[] = {{"8424000000", "9010"}, {"841E000001AA", "9000"}};
    static const struct step_exchange bad[] = {{"8424000000", "9000"}, {"841E000001AA", "6985"}};
    static const struct step_exchange gone[] = {{"8424000000", NULL}};
    static const char two[] = "72199F180411223344860584240000008606841E000001AA8A01FF";
    RUN(two, good, "2011223344", "0000000000");
    RUN(two, warned, "2011223344", "0000000000");
    RUN(two, other, "2011223344", "0000000000"); /* SW1 alone counts */
    RUN(two, bad, "1211223344", "0000000010");
    RUN(two, gone, "1111223344", "0000000010");
}

static void an_identifier_of_another_length_is_none(void **state)
{
    static const struct step_exchange one[] = {{"8424000000", "9000"}};
    RUN("720D9F1803112233860584240000008A00", one, "2000000000", "0000000000");
}

static void a_script_that_is_not_sound_is_not_begun(void **state)
{
    run("720A86058424000000860584", NULL, 0, "0000000000", "0000000010");
    run("7209860584240000008605", NULL, 0, "0000000000", "0000000010");
}

static void what_is_no_script_ends_them(void **state)
{
    static const struct step_exchange one[] = {{"8424000000", "9000"}};
    RUN("720786058424000000"
        "72FF",
        one, "2000000000", "0000000010");
    run("71078605842400000000", NULL, 0, "", "0000000000"); /* for before the cryptogram; padding */
}

static void no_command_of_the_payment_goes_as_a_script(void **state)
{
    static const char *const ins[] = {"20", "21", "82", "84", "88", "A4", "A8", "AE", "B2", "C0"};
    for (size_t i = 0; i < sizeof ins / sizeof ins[0]; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "7207860500%s000000", ins[i]);
        run(text, NULL, 0, "1100000000", "0000000010");
    }
}

static void the_number_in_the_result_stops_at_15(void **state)
{
    static const struct step_exchange good = {"8424000000", "9000"}, bad = {"8424000000", "6985"};
    struct step_exchange script[17];
    char text[4 + 17 * 14 + 1] = "7277";
    for (size_t i = 0; i < 17; i++) {
        (void)strcat(text, "86058424000000");
        script[i] = i < 16 ? good : bad;
    }
    RUN(text, script, "1F00000000", "0000000010");
}

static void scripts_beyond_the_sixteenth_are_left(void **state)
{
    struct step_exchange script[16];
    char text[17 * 18 + 1] = "", results[16 * 10 + 1] = "";
    for (size_t i = 0; i < 17; i++)
        (void)strcat(text, "720786058424000000");
    for (size_t i = 0; i < 16; i++) {
        script[i] = (struct step_exchange){"8424000000", "9000"};
        (void)strcat(results, "2000000000");
    }
    RUN(text, script, results, "0000000000");
}

static void more_bytes_than_there_are_are_no_scripts(void **state)
{
    memset(&answer, 0, sizeof answer);
    answer.scripts_n = sizeof answer.scripts + 1;
    step_begin(&s);
    emv_issuer_scripts(&s.k, &answer, 0x72);
    assert_int_equal(s.result.script_results_n, 0);
    step_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(issuer_authentication_has_8_to_16_bytes),
        cmocka_unit_test(commands_run_in_order_to_the_first_that_fails),
        cmocka_unit_test(an_identifier_of_another_length_is_none),
        cmocka_unit_test(a_script_that_is_not_sound_is_not_begun),
        cmocka_unit_test(what_is_no_script_ends_them),
        cmocka_unit_test(no_command_of_the_payment_goes_as_a_script),
        cmocka_unit_test(the_number_in_the_result_stops_at_15),
        cmocka_unit_test(scripts_beyond_the_sixteenth_are_left),
        cmocka_unit_test(more_bytes_than_there_are_are_no_scripts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
