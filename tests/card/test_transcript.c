/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/card.h>

#include "base/hex.h"
#include "base/limits.h"

static struct dp_card_reader reader;
static struct dp_card_info info;
static unsigned line;

static int open_as(const char *text, enum dp_card_interface interface,
                   enum dp_transcript_match match)
{
    int err = dp_reader_transcript_open(text, strlen(text), interface, match, &reader, &line);
    if (err == DP_OK)
        assert_int_equal(reader.ops->wait_card(reader.ctx, 0, &info), DP_OK);
    return err;
}

static int open_text(const char *text, enum dp_transcript_match match)
{
    return open_as(text, DP_INTERFACE_CONTACT, match);
}

/* Sends the command; the answer in hex, or the error's text. */
static const char *ask(const char *hex)
{
    static char got[2 * DP_APDU_RESPONSE_MAX + 1];
    uint8_t command[DP_APDU_COMMAND_MAX], answer[DP_APDU_RESPONSE_MAX];
    size_t command_n = 0, n = sizeof answer;
    int err;
    assert_int_equal(dp_hex_decode(hex, strlen(hex), command, sizeof command, &command_n), DP_OK);
    err = reader.ops->transceive(reader.ctx, command, command_n, answer, &n, 1000);
    return err < 0 ? dp_strerr(err) : dp_hex_encode(answer, n, got, sizeof got);
}

static void close_text(void)
{
    reader.ops->close(reader.ctx);
}

static const char small[] = "# a card\r\n"
                            "! ATR 3B 65 00 00 9C 02 02 07 02\n"
                            "\n"
                            "> 00 A4 04 00 05 A0 00 00 09 99 # by name\n"
                            "< 61 02\n"
                            "  >00C0000002\n"
                            "\t< 6f 00 9000\n"
                            "> 00B2010C00\n"
                            "<";

static void plays_what_was_recorded(void **state)
{
    (void)state;
    assert_int_equal(open_text(small, DP_TRANSCRIPT_STRICT), DP_OK);
    assert_int_equal(info.protocol, DP_PROTOCOL_T0);
    assert_int_equal(info.interface, DP_INTERFACE_CONTACT);
    assert_int_equal(info.atr_n, 9);
    assert_string_equal(ask("00A4040005A000000999"), "6102");
    assert_string_equal(ask("00C0000002"), "6F009000");
    assert_string_equal(ask("00B2010C00"), "");
    assert_string_equal(ask("00B2010C00"), dp_strerr(DP_ERR_MISMATCH));
    close_text();
}

static void strict_wants_every_byte_and_the_order(void **state)
{
    (void)state;
    assert_int_equal(open_text(small, DP_TRANSCRIPT_STRICT), DP_OK);
    assert_string_equal(ask("00A4040005A00000099900"), dp_strerr(DP_ERR_MISMATCH));
    assert_string_equal(ask("00C0000002"), dp_strerr(DP_ERR_MISMATCH));
    assert_string_equal(ask("00A4040005A000000999"), "6102");
    assert_string_equal(ask("00C0000003"), dp_strerr(DP_ERR_MISMATCH));
    close_text();
}

static void the_last_command_without_an_answer_is_a_card_pulled_out(void **state)
{
    (void)state;
    assert_int_equal(open_text("> 00B2010C00\n", DP_TRANSCRIPT_STRICT), DP_OK);
    assert_string_equal(ask("00B2010C00"), dp_strerr(DP_ERR_GONE));
    close_text();
}

static void header_match_lets_the_data_differ(void **state)
{
    static const char text[] = "> 00A4040005A000000999 00\n< 6F019000\n"
                               "> 00A4040005A000000888 00\n< 6F029000\n"
                               "> 80A8000002830000\n< 8001 9000\n"
                               "> 00B2010C00\n< 7001 9000\n"
                               "> 80AE400001 01 00\n< 8002 9000\n"
                               "> 80AE400001 02 00\n< 8003 9000\n";
    (void)state;
    assert_int_equal(open_text(text, DP_TRANSCRIPT_HEADER), DP_OK);
    /* SELECT goes by the name in any order; a name never asked for is not there */
    assert_string_equal(ask("00A4040005A000000888"), "6F029000");
    assert_string_equal(ask("00A404000E315041592E5359532E444446303100"), "6A82");
    assert_string_equal(ask("00A4040005A00000099900"), "6F019000");
    assert_string_equal(ask("80A80000048302AAAA00"), "80019000");
    /* other data: in the recording's order; then there is none left */
    assert_string_equal(ask("80AE400001FF00"), "80029000");
    assert_string_equal(ask("80AE400001FF00"), "80039000");
    assert_string_equal(ask("80AE400001FF00"), dp_strerr(DP_ERR_MISMATCH));
    /* the very same command may come again */
    assert_string_equal(ask("00B2010C00"), "70019000");
    assert_string_equal(ask("00B2010C00"), "70019000");
    assert_string_equal(ask("00B2020C00"), dp_strerr(DP_ERR_MISMATCH));
    close_text();
}

static void header_match_prefers_the_same_whole_command(void **state)
{
    static const char text[] = "> 80AE400001 01 00\n< 8001 9000\n> 80AE400001 02 00\n< 8002 9000\n";
    (void)state;
    assert_int_equal(open_text(text, DP_TRANSCRIPT_HEADER), DP_OK);
    assert_string_equal(ask("80AE4000010200"), "80029000");
    assert_string_equal(ask("80AE4000010300"), "80019000");
    close_text();
}

static void the_protocol_is_the_recordings(void **state)
{
    (void)state;
    assert_int_equal(open_text("> 00A4040005A000000999\n< 6A82\n", DP_TRANSCRIPT_STRICT), DP_OK);
    assert_int_equal(info.protocol, DP_PROTOCOL_T0);
    close_text();
    assert_int_equal(open_text("> 00A4040005A00000099900\n< 6102\n", DP_TRANSCRIPT_STRICT), DP_OK);
    assert_int_equal(info.protocol, DP_PROTOCOL_T1);
    close_text();
    assert_int_equal(
        open_text("! ATR 3B00\n> 00A4040005A00000099900\n< 6102\n", DP_TRANSCRIPT_STRICT), DP_OK);
    assert_int_equal(info.protocol, DP_PROTOCOL_T1);
    close_text();
    assert_int_equal(open_text("! ATR 3B00\n> 00B2010C00\n< 6A83\n", DP_TRANSCRIPT_STRICT), DP_OK);
    assert_int_equal(info.protocol, DP_PROTOCOL_T0);
    close_text();
    assert_int_equal(open_text("! ATR 3B80800101\n", DP_TRANSCRIPT_STRICT), DP_OK);
    assert_int_equal(info.protocol, DP_PROTOCOL_T1);
    assert_int_equal(info.interface, DP_INTERFACE_CONTACT);
    close_text();
    assert_int_equal(open_as("! ATR 3B00\n> 00A4040005A000000999\n< 6A82\n",
                             DP_INTERFACE_CONTACTLESS, DP_TRANSCRIPT_STRICT),
                     DP_OK);
    assert_int_equal(info.protocol, DP_PROTOCOL_ISO14443_4);
    assert_int_equal(info.interface, DP_INTERFACE_CONTACTLESS);
    close_text();
}

static void names_the_line_it_cannot_read(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
    } cases[] = {
        {"hello", 1},
        {"# fine\n\n> 00A\n", 3},
        {"> 00A404\n", 1},
        {"> 00B2010C00\n> 00B2010C00\n", 2},
        {"< 9000\n", 1},
        {"> 00B2010C00\n< 9000\n< 9000\n", 3},
        {"> 00B2010C00\n< 9000\n! ATR 3B00\n", 3},
        {"! ATR 3B00\n! ATR 3B00\n", 2},
        {"! ATR 3B\n", 1},
        {"! 3B00\n", 1},
        {"> 00B2010C00 zz\n", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(open_text(cases[i].text, DP_TRANSCRIPT_STRICT), DP_ERR_FORMAT);
        assert_int_equal(line, cases[i].line);
    }
    assert_int_equal(open_as("", 0, DP_TRANSCRIPT_STRICT), DP_ERR_ARG);
}

/* "> 00B2010C00\n< " and n bytes of answer. */
static char *with_answer(size_t n)
{
    char *text = malloc(2 * n + 64);
    assert_non_null(text);
    strcpy(text, "> 00B2010C00\n< ");
    for (size_t i = 0; i < n; i++)
        strcat(text + 15 + 2 * i, i + 2 == n ? "90" : "00");
    return text;
}

static void a_recorded_answer_may_be_of_any_size_but_stays_in_the_buffer(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 256, 257, 258, 259, 264, 65538, 65539};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *text = with_answer(sizes[i]);
        int err = open_text(text, DP_TRANSCRIPT_STRICT);
        if (sizes[i] > DP_TRANSCRIPT_APDU_MAX) {
            assert_int_equal(err, DP_ERR_FORMAT);
            assert_int_equal(line, 2);
        } else {
            assert_int_equal(err, DP_OK);
            if (sizes[i] > DP_APDU_RESPONSE_MAX)
                assert_string_equal(ask("00B2010C00"), dp_strerr(DP_ERR_FORMAT));
            else
                assert_int_equal(strlen(ask("00B2010C00")), 2 * sizes[i]);
            close_text();
        }
        free(text);
    }
}

static void too_long_a_recording_is_refused(void **state)
{
    char *text = calloc(1, DP_TRANSCRIPT_MAX + 2);
    size_t n = 0;
    (void)state;
    assert_non_null(text);
    memset(text, ' ', DP_TRANSCRIPT_MAX + 1);
    assert_int_equal(open_text(text, DP_TRANSCRIPT_STRICT), DP_ERR_LIMIT);
    assert_int_equal(line, 0);
    for (int i = 0; i <= DP_TRANSCRIPT_COMMANDS_MAX; i++, n += 18)
        memcpy(text + n, ">00B2010C00\n<9000\n", 18);
    text[n] = '\0';
    assert_int_equal(open_text(text, DP_TRANSCRIPT_STRICT), DP_ERR_LIMIT);
    assert_int_equal(line, 2 * DP_TRANSCRIPT_COMMANDS_MAX + 1);
    text[n - 18] = '\0';
    assert_int_equal(open_text(text, DP_TRANSCRIPT_STRICT), DP_OK);
    close_text();
    free(text);
}

/* The whole way, through the exchange. */
static void a_command_runs_over_a_transcript(void **state)
{
    static const uint8_t name[] = {0xA0, 0x00, 0x00, 0x09, 0x99};
    const struct dp_apdu select = {0x00, 0xA4, 0x04, 0x00, {name, sizeof name}, 0};
    struct dp_apdu_answer a;
    struct dp_card card;
    uint8_t buffer[256];
    (void)state;
    assert_int_equal(open_text(small, DP_TRANSCRIPT_STRICT), DP_OK);
    assert_int_equal(dp_card_connect(&card, &reader, 0), DP_OK);
    assert_int_equal(dp_card_exchange(&card, &select, buffer, sizeof buffer, &a), DP_OK);
    assert_int_equal(a.sw, 0x9000);
    assert_int_equal(a.data.n, 2);
    close_text();
}

static void silent(void *ctx, enum dp_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    (void)text;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plays_what_was_recorded),
        cmocka_unit_test(strict_wants_every_byte_and_the_order),
        cmocka_unit_test(the_last_command_without_an_answer_is_a_card_pulled_out),
        cmocka_unit_test(header_match_lets_the_data_differ),
        cmocka_unit_test(header_match_prefers_the_same_whole_command),
        cmocka_unit_test(the_protocol_is_the_recordings),
        cmocka_unit_test(names_the_line_it_cannot_read),
        cmocka_unit_test(a_recorded_answer_may_be_of_any_size_but_stays_in_the_buffer),
        cmocka_unit_test(too_long_a_recording_is_refused),
        cmocka_unit_test(a_command_runs_over_a_transcript),
    };
    dp_log_set(silent, NULL, DP_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
