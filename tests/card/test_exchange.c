/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange over a card that is a list of answers, or a function that misbehaves (A01, A03). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/card.h>

#include "base/hex.h"
#include "base/limits.h"

struct script {
    const char *const *lines; /* command, answer, …, NULL */
    size_t at;
};

static int play(void *user, const uint8_t *command, size_t command_n, uint8_t *answer,
                size_t *answer_n, int timeout_ms)
{
    struct script *s = user;
    char hex[2 * DP_APDU_COMMAND_MAX + 1];
    assert_true(timeout_ms > 0);
    dp_hex_encode(command, command_n, hex, sizeof hex);
    assert_non_null(s->lines[s->at]);
    assert_string_equal(hex, s->lines[s->at]);
    s->at++;
    return dp_hex_decode(s->lines[s->at], strlen(s->lines[s->at]), answer, *answer_n, answer_n) ==
                   DP_OK
               ? (s->at++, DP_OK)
               : DP_ERR_IO;
}

static struct dp_card_reader reader;
static struct dp_card card;

static void open_card(dp_transceive_fn *fn, void *user, enum dp_card_protocol protocol)
{
    struct dp_card_info info = {.interface = DP_INTERFACE_CONTACT, .protocol = protocol};
    if (protocol == DP_PROTOCOL_ISO14443_4)
        info.interface = DP_INTERFACE_CONTACTLESS;
    assert_int_equal(dp_reader_callback_open(fn, user, &info, &reader), DP_OK);
    assert_int_equal(dp_card_connect(&card, &reader, 1000), DP_OK);
}

static void close_card(void)
{
    assert_int_equal(reader.ops->power_off(reader.ctx), DP_OK);
    reader.ops->close(reader.ctx);
}

static const uint8_t name[] = {0xA0, 0x00, 0x00, 0x09, 0x99};
static const struct dp_apdu case_1 = {0x12, 0x34, 0x56, 0x78, {NULL, 0}, -1};
static const struct dp_apdu case_2 = {0x00, 0xB2, 0x01, 0x0C, {NULL, 0}, 0};
static const struct dp_apdu case_3 = {0x00, 0x82, 0x00, 0x00, {name, 5}, -1};
static const struct dp_apdu case_4 = {0x00, 0xA4, 0x04, 0x00, {name, 5}, 0};
#define SELECT "00A4040005A000000999"

/* Plays lines; the error, with the answer in hex ("data sw") in got. */
static int exchange(const char *const *lines, enum dp_card_protocol protocol,
                    const struct dp_apdu *command, char *got)
{
    struct script s = {lines, 0};
    struct dp_apdu_answer a;
    uint8_t buffer[512], sw[2];
    int err;
    got[0] = '\0';
    open_card(play, &s, protocol);
    err = dp_card_exchange(&card, command, buffer, sizeof buffer, &a);
    if (err == DP_OK) {
        sw[0] = (uint8_t)(a.sw >> 8);
        sw[1] = (uint8_t)a.sw;
        dp_hex_encode(a.data.p, a.data.n, got, 1025);
        strcat(got, " ");
        dp_hex_encode(sw, 2, got + strlen(got), 5);
    }
    assert_null(lines[s.at]);
    close_card();
    return err;
}

static void expect(const char *const *lines, enum dp_card_protocol protocol,
                   const struct dp_apdu *command, const char *want)
{
    char got[1100];
    assert_int_equal(exchange(lines, protocol, command, got), DP_OK);
    assert_string_equal(got, want);
}

static void refuse(const char *const *lines, enum dp_card_protocol protocol,
                   const struct dp_apdu *command, int want)
{
    char got[1100];
    assert_int_equal(exchange(lines, protocol, command, got), want);
}

#define PLAY(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void packs_the_four_cases_on_t1(void **state)
{
    (void)state;
    expect(PLAY("12345678", "9000"), DP_PROTOCOL_T1, &case_1, " 9000");
    expect(PLAY("00B2010C00", "70009000"), DP_PROTOCOL_T1, &case_2, "7000 9000");
    expect(PLAY("0082000005A000000999", "6300"), DP_PROTOCOL_T1, &case_3, " 6300");
    expect(PLAY(SELECT "00", "6F009000"), DP_PROTOCOL_T1, &case_4, "6F00 9000");
    expect(PLAY(SELECT "00", "6F009000"), DP_PROTOCOL_ISO14443_4, &case_4, "6F00 9000");
}

static void packs_the_four_cases_on_t0(void **state)
{
    (void)state;
    expect(PLAY("1234567800", "9000"), DP_PROTOCOL_T0, &case_1, " 9000");
    expect(PLAY("00B2010C00", "6C02", "00B2010C02", "70009000"), DP_PROTOCOL_T0, &case_2,
           "7000 9000");
    expect(PLAY("0082000005A000000999", "9000"), DP_PROTOCOL_T0, &case_3, " 9000");
    expect(PLAY(SELECT, "6102", "00C0000002", "6F009000"), DP_PROTOCOL_T0, &case_4, "6F00 9000");
    /* some readers fetch the answer themselves */
    expect(PLAY(SELECT, "6F009000"), DP_PROTOCOL_T0, &case_4, "6F00 9000");
}

static void joins_what_comes_in_pieces(void **state)
{
    (void)state;
    expect(PLAY("00B2010C00", "6C04", "00B2010C04", "6104", "00C0000004", "70026102", "00C0000002",
                "50019000"),
           DP_PROTOCOL_T0, &case_2, "70025001 9000");
    expect(PLAY(SELECT "00", "6F026102", "00C0000002", "84009000"), DP_PROTOCOL_T1, &case_4,
           "6F028400 9000");
    expect(PLAY(SELECT, "6100", "00C0000000", "6C02", "00C0000002", "6F009000"), DP_PROTOCOL_T0,
           &case_4, "6F00 9000");
}

static void fetches_the_data_behind_a_warning(void **state)
{
    (void)state;
    expect(PLAY(SELECT, "6283", "00C0000000", "6C02", "00C0000002", "6F009000"), DP_PROTOCOL_T0,
           &case_4, "6F00 6283");
    expect(PLAY(SELECT, "6283", "00C0000000", "6985"), DP_PROTOCOL_T0, &case_4, " 6283");
    expect(PLAY(SELECT "00", "6F006283"), DP_PROTOCOL_T1, &case_4, "6F00 6283");
    expect(PLAY(SELECT "00", "6283"), DP_PROTOCOL_T1, &case_4, " 6283");
    expect(PLAY("0082000005A000000999", "6300"), DP_PROTOCOL_T0, &case_3, " 6300");
}

static void hands_on_errors_without_data(void **state)
{
    (void)state;
    expect(PLAY(SELECT, "6A82"), DP_PROTOCOL_T0, &case_4, " 6A82");
    expect(PLAY(SELECT, "6126", "00C0000026", "6581"), DP_PROTOCOL_T0, &case_4, " 6581");
    expect(PLAY(SELECT, "6104", "00C0000004", "6F006102", "00C0000002", "6581"), DP_PROTOCOL_T0,
           &case_4, " 6581");
    expect(PLAY("00B2010C00", "70006A83"), DP_PROTOCOL_T1, &case_2, " 6A83");
    /* nothing was asked for, so there is nothing to fetch */
    expect(PLAY("0082000005A000000999", "6102"), DP_PROTOCOL_T0, &case_3, " 6102");
    expect(PLAY(SELECT, "6C02"), DP_PROTOCOL_T0, &case_4, " 6C02");
}

static void refuses_what_is_no_answer(void **state)
{
    (void)state;
    refuse(PLAY("00B2010C00", ""), DP_PROTOCOL_T1, &case_2, DP_ERR_FORMAT);
    refuse(PLAY("00B2010C00", "90"), DP_PROTOCOL_T1, &case_2, DP_ERR_FORMAT);
    refuse(PLAY("00B2010C00", "0000"), DP_PROTOCOL_T1, &case_2, DP_ERR_FORMAT);
    refuse(PLAY("00B2010C00", "6000"), DP_PROTOCOL_T1, &case_2, DP_ERR_FORMAT);
    refuse(PLAY("00B2010C00", "70A000"), DP_PROTOCOL_T1, &case_2, DP_ERR_FORMAT);
    refuse(PLAY("12345678", "009000"), DP_PROTOCOL_T1, &case_1, DP_ERR_FORMAT);
    refuse(PLAY("0082000005A000000999", "009000"), DP_PROTOCOL_T1, &case_3, DP_ERR_FORMAT);
    refuse(PLAY("00B2010C00", "6C02", "00B2010C02", "7001009000"), DP_PROTOCOL_T0, &case_2,
           DP_ERR_FORMAT);
    refuse(PLAY(SELECT, "6102", "00C0000002", "6F01009000"), DP_PROTOCOL_T0, &case_4,
           DP_ERR_FORMAT);
    refuse(PLAY(SELECT, "6102", "00C0000002", "9000"), DP_PROTOCOL_T0, &case_4, DP_ERR_FORMAT);
}

static void refuses_a_command_that_cannot_be(void **state)
{
    static const uint8_t long_data[256];
    struct dp_apdu over = {0, 0xA4, 4, 0, {long_data, 256}, 0}, le = case_2, none = case_4;
    uint8_t buffer[16];
    struct dp_apdu_answer a;
    struct script s = {PLAY("never"), 0};
    (void)state;
    le.le = 256;
    none.data.p = NULL;
    open_card(play, &s, DP_PROTOCOL_T1);
    assert_int_equal(dp_card_exchange(&card, &over, buffer, sizeof buffer, &a), DP_ERR_ARG);
    assert_int_equal(dp_card_exchange(&card, &le, buffer, sizeof buffer, &a), DP_ERR_ARG);
    le.le = -2;
    assert_int_equal(dp_card_exchange(&card, &le, buffer, sizeof buffer, &a), DP_ERR_ARG);
    assert_int_equal(dp_card_exchange(&card, &none, buffer, sizeof buffer, &a), DP_ERR_ARG);
    close_card();
}

/* ---- cards that misbehave ---- */

/* Answers with n bytes, as far as they fit, and reports n; ends in 9000 when all fit. */
static int oversize(void *user, const uint8_t *command, size_t command_n, uint8_t *answer,
                    size_t *answer_n, int timeout_ms)
{
    size_t n = *(const size_t *)user, fits = n < *answer_n ? n : *answer_n;
    (void)command;
    (void)command_n;
    (void)timeout_ms;
    memset(answer, 0x70, fits);
    if (fits >= 2) {
        answer[fits - 2] = 0x90;
        answer[fits - 1] = 0x00;
    }
    *answer_n = n;
    return DP_OK;
}

static void answers_of_any_size_end_in_data_or_an_error(void **state)
{
    static const struct {
        size_t n;
        int t1, t0; /* to a case 2 command with Le = 0 */
        int le_16;  /* with Le = 16 */
        int none;   /* to a command that asks for nothing */
    } sizes[] = {
        {0, DP_ERR_FORMAT, DP_ERR_FORMAT, DP_ERR_FORMAT, DP_ERR_FORMAT},
        {1, DP_ERR_FORMAT, DP_ERR_FORMAT, DP_ERR_FORMAT, DP_ERR_FORMAT},
        {2, DP_OK, DP_OK, DP_OK, DP_OK},
        {18, DP_OK, DP_OK, DP_OK, DP_ERR_FORMAT},
        {19, DP_OK, DP_OK, DP_ERR_FORMAT, DP_ERR_FORMAT},
        {256, DP_OK, DP_OK, DP_ERR_FORMAT, DP_ERR_FORMAT},
        {257, DP_OK, DP_OK, DP_ERR_FORMAT, DP_ERR_FORMAT},
        {258, DP_OK, DP_OK, DP_ERR_FORMAT, DP_ERR_FORMAT},
        {259, DP_ERR_IO, DP_ERR_IO, DP_ERR_IO, DP_ERR_IO},
        {264, DP_ERR_IO, DP_ERR_IO, DP_ERR_IO, DP_ERR_IO},
        {65538, DP_ERR_IO, DP_ERR_IO, DP_ERR_IO, DP_ERR_IO},
        {SIZE_MAX, DP_ERR_IO, DP_ERR_IO, DP_ERR_IO, DP_ERR_IO},
    };
    struct dp_apdu le_16 = case_2;
    struct dp_apdu_answer a;
    uint8_t buffer[256];
    (void)state;
    le_16.le = 16;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t n = sizes[i].n;
        open_card(oversize, &n, DP_PROTOCOL_T1);
        assert_int_equal(dp_card_exchange(&card, &case_2, buffer, 256, &a), sizes[i].t1);
        assert_int_equal(a.data.n, sizes[i].t1 == DP_OK ? n - 2 : 0);
        assert_int_equal(dp_card_exchange(&card, &le_16, buffer, 256, &a), sizes[i].le_16);
        assert_int_equal(dp_card_exchange(&card, &case_3, buffer, 256, &a), sizes[i].none);
        close_card();
        open_card(oversize, &n, DP_PROTOCOL_T0);
        assert_int_equal(dp_card_exchange(&card, &case_2, buffer, 256, &a), sizes[i].t0);
        close_card();
    }
}

/* Says the same status word for ever. */
static int broken_record(void *user, const uint8_t *command, size_t command_n, uint8_t *answer,
                         size_t *answer_n, int timeout_ms)
{
    const uint8_t *said = user;
    (void)command;
    (void)command_n;
    (void)timeout_ms;
    assert_true(*answer_n >= said[0]);
    memcpy(answer, said + 1, said[0]);
    *answer_n = said[0];
    return DP_OK;
}

static void endless_61xx_and_6cxx_come_to_an_end(void **state)
{
    uint8_t more[] = {2, 0x61, 0x10}, wrong[] = {2, 0x6C, 0x10}, bit[] = {3, 0x55, 0x61, 0x01};
    uint8_t *said[] = {more, wrong, bit};
    struct dp_apdu_answer a;
    uint8_t buffer[256];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        open_card(broken_record, said[i], DP_PROTOCOL_T1);
        assert_int_equal(dp_card_exchange(&card, &case_4, buffer, sizeof buffer, &a), DP_ERR_LIMIT);
        assert_null(a.data.p);
        assert_int_equal(card.commands_left, DP_EMV_COMMANDS_MAX - DP_APDU_CHAIN_MAX - 1);
        close_card();
        open_card(broken_record, said[i], DP_PROTOCOL_T0);
        assert_int_equal(dp_card_exchange(&card, &case_2, buffer, sizeof buffer, &a), DP_ERR_LIMIT);
        close_card();
    }
}

static void one_payment_has_only_so_many_commands(void **state)
{
    uint8_t fine[] = {2, 0x90, 0x00};
    struct dp_apdu_answer a;
    uint8_t buffer[16];
    (void)state;
    open_card(broken_record, fine, DP_PROTOCOL_T1);
    for (unsigned i = 0; i < DP_EMV_COMMANDS_MAX; i++)
        assert_int_equal(dp_card_exchange(&card, &case_2, buffer, sizeof buffer, &a), DP_OK);
    assert_int_equal(dp_card_exchange(&card, &case_2, buffer, sizeof buffer, &a), DP_ERR_LIMIT);
    close_card();
}

static void more_data_than_the_caller_has_room_for(void **state)
{
    size_t n = 258;
    struct dp_apdu_answer a;
    uint8_t small[257];
    (void)state;
    small[255] = small[256] = 0xEE;
    open_card(oversize, &n, DP_PROTOCOL_T1);
    assert_int_equal(dp_card_exchange(&card, &case_2, small, 255, &a), DP_ERR_SPACE);
    assert_int_equal(small[255], 0xEE);
    assert_int_equal(dp_card_exchange(&card, &case_2, NULL, 0, &a), DP_ERR_SPACE);
    assert_int_equal(dp_card_exchange(&card, &case_2, small, 256, &a), DP_OK);
    assert_int_equal(small[256], 0xEE);
    close_card();
}

/* 256 bytes at a time, and always more to come. */
static int firehose(void *user, const uint8_t *command, size_t command_n, uint8_t *answer,
                    size_t *answer_n, int timeout_ms)
{
    (void)user;
    (void)command;
    (void)command_n;
    (void)timeout_ms;
    memset(answer, 0x55, 256);
    answer[256] = 0x61;
    answer[257] = 0x00;
    *answer_n = 258;
    return DP_OK;
}

static void one_answer_has_only_so_many_bytes(void **state)
{
    static uint8_t big[8192];
    struct dp_apdu_answer a;
    (void)state;
    open_card(firehose, NULL, DP_PROTOCOL_T1);
    assert_int_equal(dp_card_exchange(&card, &case_2, big, sizeof big, &a), DP_ERR_LIMIT);
    assert_int_equal(card.commands_left, DP_EMV_COMMANDS_MAX - DP_CARD_DATA_MAX / 256 - 1);
    close_card();
}

/* Fails at its nth call with the error given. */
struct failing {
    int calls, fail_at, err;
};

static int break_off(void *user, const uint8_t *command, size_t command_n, uint8_t *answer,
                     size_t *answer_n, int timeout_ms)
{
    struct failing *f = user;
    (void)command;
    (void)command_n;
    (void)timeout_ms;
    if (f->calls++ == f->fail_at)
        return f->err;
    answer[0] = f->calls < 4 ? 0x61 : 0x90;
    answer[1] = f->calls < 4 ? 0x10 : 0x00;
    if (f->calls == 4) {
        memcpy(answer, "\x55\x90\x00", 3);
        *answer_n = 3;
    } else {
        *answer_n = 2;
    }
    return DP_OK;
}

static void a_reader_that_fails_at_any_round_is_heard(void **state)
{
    static const int errors[] = {DP_ERR_GONE, DP_ERR_IO,          DP_ERR_TIMEOUT,
                                 DP_ERR_BUSY, DP_ERR_UNREACHABLE, DP_ERR_CANCELLED};
    struct dp_apdu_answer a;
    uint8_t buffer[16];
    (void)state;
    for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++) {
        for (int at = 0; at < 5; at++) {
            struct failing f = {0, at, errors[e]};
            open_card(break_off, &f, DP_PROTOCOL_T0);
            assert_int_equal(dp_card_exchange(&card, &case_4, buffer, sizeof buffer, &a),
                             at < 4 ? errors[e] : DP_OK);
            assert_int_equal(a.sw, at < 4 ? 0 : 0x9000);
            close_card();
        }
    }
}

/* ---- connecting, watching, cancelling ---- */

static void refuses_a_reader_that_tells_nonsense_of_the_card(void **state)
{
    struct dp_card_info info = {.interface = 0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        info.interface = i == 0 ? 0 : DP_INTERFACE_CONTACT;
        info.protocol = i == 1 ? 7 : DP_PROTOCOL_T1;
        info.atr_n = i == 2 ? 34 : 0;
        assert_int_equal(dp_reader_callback_open(play, NULL, &info, &reader), DP_OK);
        assert_int_equal(dp_card_connect(&card, &reader, 1000), DP_ERR_IO);
        reader.ops->close(reader.ctx);
    }
}

static void a_cancel_ends_the_next_wait_once(void **state)
{
    uint8_t fine[] = {2, 0x90, 0x00};
    (void)state;
    open_card(broken_record, fine, DP_PROTOCOL_T1);
    reader.ops->cancel(reader.ctx);
    assert_int_equal(dp_card_connect(&card, &reader, 1000), DP_ERR_CANCELLED);
    assert_int_equal(dp_card_connect(&card, &reader, 1000), DP_OK);
    reader.ops->cancel(reader.ctx);
    assert_int_equal(reader.ops->wait_removal(reader.ctx, 10), DP_ERR_CANCELLED);
    assert_int_equal(reader.ops->wait_removal(reader.ctx, 10), DP_OK);
    reader.ops->cancel(reader.ctx);
    assert_int_equal(reader.ops->power_off(reader.ctx), DP_OK);
    assert_int_equal(dp_card_connect(&card, &reader, 1000), DP_OK);
    close_card();
}

static char seen[256];

static void watch(void *ctx, bool command, const uint8_t *p, size_t n)
{
    char hex[64];
    (void)ctx;
    strcat(seen, command ? ">" : "<");
    strcat(seen, dp_hex_encode(p, n, hex, sizeof hex));
}

static void the_tap_sees_every_apdu_as_it_goes(void **state)
{
    struct script s = {PLAY(SELECT, "6102", "00C0000002", "6F009000"), 0};
    struct dp_apdu_answer a;
    uint8_t buffer[16];
    (void)state;
    seen[0] = '\0';
    open_card(play, &s, DP_PROTOCOL_T0);
    card.tap = watch;
    assert_int_equal(dp_card_exchange(&card, &case_4, buffer, sizeof buffer, &a), DP_OK);
    assert_string_equal(seen, ">" SELECT "<6102>00C0000002<6F009000");
    close_card();
}

static void mute(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_the_four_cases_on_t1),
        cmocka_unit_test(packs_the_four_cases_on_t0),
        cmocka_unit_test(joins_what_comes_in_pieces),
        cmocka_unit_test(fetches_the_data_behind_a_warning),
        cmocka_unit_test(hands_on_errors_without_data),
        cmocka_unit_test(refuses_what_is_no_answer),
        cmocka_unit_test(refuses_a_command_that_cannot_be),
        cmocka_unit_test(answers_of_any_size_end_in_data_or_an_error),
        cmocka_unit_test(endless_61xx_and_6cxx_come_to_an_end),
        cmocka_unit_test(one_payment_has_only_so_many_commands),
        cmocka_unit_test(more_data_than_the_caller_has_room_for),
        cmocka_unit_test(one_answer_has_only_so_many_bytes),
        cmocka_unit_test(a_reader_that_fails_at_any_round_is_heard),
        cmocka_unit_test(refuses_a_reader_that_tells_nonsense_of_the_card),
        cmocka_unit_test(a_cancel_ends_the_next_wait_once),
        cmocka_unit_test(the_tap_sees_every_apdu_as_it_goes),
    };
    dp_log_set(mute, NULL, DP_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
