/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A14: transit mode and relay (Radu 2022). A locked phone pays when the reader's qualifiers say
 * what those of a gate say, and a wedge between reader and phone can make them say so to the phone.
 * The reader's own part: the qualifiers on the wire are those of the signed parameters less what a
 * terminal at the door never is, no card changes them, the issuer is told the same; and a card that
 * is far away may not take for ever. That it is not far away is not proven (SECURITY.md).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/card.h>

#include "base/limits.h"
#include "sim_payment.h"

#define GPO           0xA8
#define CVM_LIMIT     5000
#define OFFLINE_LIMIT 3000
#define EXCHANGE_MS   10000 /* in a relay's favour already: a phone answers in a fraction */

static struct sim_payment p;

static void open_card(const char *card, int64_t cents, const uint8_t ttq[4], const char *wedge)
{
    sim_payment_open_with(&p, card, "");
    p.aids[2] = (struct dp_emv_aid){.aid = {0xA0, 0x00, 0x00, 0x09, 0x99, 0x01, 0x01},
                                    .aid_n = 7,
                                    .kernel = 3,
                                    .cl_transaction_limit = 50000,
                                    .cl_cvm_limit = CVM_LIMIT,
                                    .cl_floor_limit = OFFLINE_LIMIT + 1};
    memcpy(p.aids[2].ttq, ttq, sizeof p.aids[2].ttq);
    p.terminal.aids_n = 3;
    p.transaction.amount.minor = cents;
    p.transaction.kernel3_offline_max = OFFLINE_LIMIT;
    sim_payment_script(&p, wedge);
}

/* 80 A8 00 00 Lc 83 L, then the PDOL's first element of the card's profile: 9F66. */
static const uint8_t *on_the_wire(void)
{
    size_t n = 0;
    const uint8_t *command = sim_payment_command(&p, GPO, 1, &n);
    assert_non_null(command);
    assert_true(n > 11 && command[5] == 0x83);
    assert_null(sim_payment_command(&p, GPO, 2, NULL)); /* it is asked once */
    return command + 7;
}

/* What a terminal at the door may say for an amount, of parameters that say everything. */
static void expected(int64_t cents, uint8_t ttq[4])
{
    ttq[0] = 0x40 | 0x20 | 0x10 | 0x02 |
             0x01; /* qVSDC, contact chip, signature, and as set: ODA online */
    ttq[1] = 0x1F; /* what has no meaning is the parameters' */
    ttq[1] |= cents > OFFLINE_LIMIT ? 0x80 : 0; /* cryptogram of the issuer's wanted */
    ttq[1] |= cents >= CVM_LIMIT ? 0x40 : 0;
    ttq[2] = 0x7F; /* no issuer update */
    ttq[3] = 0xFF;
}

static void qualifiers_on_the_wire_are_ours(void **state)
{
    static const uint8_t everything[4] = {0xFF, 0xFF, 0xFF, 0xFF};
    static const int64_t amounts[] = {1,         OFFLINE_LIMIT, OFFLINE_LIMIT + 1, CVM_LIMIT - 1,
                                      CVM_LIMIT, 49999};
    (void)state;
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        uint8_t ttq[4];
        open_card("qvsdc", amounts[i], everything, "");
        p.transaction.offline_allowed = true;
        assert_int_equal(sim_payment_run(&p), DP_OK);
        expected(amounts[i], ttq);
        assert_memory_equal(on_the_wire(), ttq, 4);
    }
}

/* The bit that the attack needs is said only where the signed parameters say it. */
static void gates_qualifier_is_not_said_unasked(void **state)
{
    static const uint8_t plain[4] = {0x22, 0x00, 0x00, 0x00};
    (void)state;
    open_card("qvsdc", 2000, plain, "");
    assert_int_equal(sim_payment_run(&p), DP_OK);
    assert_int_equal(on_the_wire()[0], 0x22);
    assert_int_equal(on_the_wire()[2] | on_the_wire()[3], 0);
}

/* The value of 9F66 in what the issuer is told; NULL: it is not. */
static const uint8_t *told_to_the_issuer(void)
{
    for (size_t i = 0; i + 7 <= p.online_emv_n; i++)
        if (p.online_emv[i] == 0x9F && p.online_emv[i + 1] == 0x66 && p.online_emv[i + 2] == 4)
            return p.online_emv + i + 3;
    return NULL;
}

/* A wedge puts the qualifiers of a gate at the end of an answer's template. */
static unsigned put_in;

static size_t gate_put_in(struct sim_payment *payment, const uint8_t *command, size_t n,
                          struct sim_buf *answer)
{
    static const uint8_t gate[] = {0x9F, 0x66, 0x04, 0x01, 0x80, 0x00, 0x00};
    uint8_t *length = answer->p[1] == 0x81 ? &answer->p[2] : &answer->p[1];
    uint8_t ins = *(const uint8_t *)payment->alter_ctx;
    (void)n;
    size_t most = answer->p[1] == 0x81 ? 0xFF : 0x7F;
    if (command[1] != ins || answer->n < 6 || *length + sizeof gate > most)
        return answer->n;
    memmove(answer->p + answer->n - 2 + sizeof gate, answer->p + answer->n - 2, 2);
    memcpy(answer->p + answer->n - 2, gate, sizeof gate);
    answer->n += sizeof gate;
    *length = (uint8_t)(*length + sizeof gate);
    put_in++;
    return answer->n;
}

static void no_card_changes_them(void **state)
{
    static const uint8_t ours[4] = {0x33, 0x00, 0x40, 0x00};
    static uint8_t steps[] = {0xA4, GPO, 0xB2};
    (void)state;
    for (size_t i = 0; i < sizeof steps; i++) {
        open_card("qvsdc-online", 7000, ours, "gpo tag 9F6C 0080");
        p.alter = gate_put_in;
        p.alter_ctx = &steps[i];
        put_in = 0;
        (void)sim_payment_run(&p);
        assert_true(put_in > 0);
        assert_true(p.result.outcome != DP_EMV_APPROVED_OFFLINE);
        if (sim_payment_command(&p, GPO, 1, NULL) != NULL)
            assert_memory_equal(on_the_wire(), "\x33\xC0\x40\x00", 4);
        if (told_to_the_issuer() != NULL)
            assert_memory_equal(told_to_the_issuer(), "\x33\xC0\x40\x00", 4);
        assert_true(p.result.summary.cvm != DP_EMV_CVM_DEVICE);
    }
}

/* ---- time ---- */

static int longest_ms;
static unsigned commands;

/* Far away: it takes all the time it is given, and then as good as answers. */
static int far_away(void *user, const uint8_t *command, size_t n, uint8_t *answer, size_t *answer_n,
                    int timeout_ms)
{
    (void)user;
    (void)command;
    (void)n;
    (void)answer;
    *answer_n = 0;
    longest_ms = timeout_ms > longest_ms ? timeout_ms : longest_ms;
    assert_true(timeout_ms > 0);
    commands++;
    return DP_ERR_TIMEOUT;
}

static int never_policy(void *ctx, const struct dp_emv_summary *s,
                        const struct dp_emv_card_data *card, struct dp_emv_policy_answer *answer)
{
    (void)ctx;
    (void)s;
    (void)card;
    (void)answer;
    fail_msg("there is no card to be judged");
    return DP_ERR_STATE;
}

static int never_online(void *ctx, const struct dp_emv_online_request *request,
                        struct dp_emv_online_answer *answer)
{
    (void)ctx;
    (void)request;
    (void)answer;
    fail_msg("there is no card to ask for");
    return DP_ERR_STATE;
}

static void any_ui(void *ctx, enum dp_emv_ui what)
{
    (void)ctx;
    (void)what;
}

static void card_that_takes_too_long_is_not_waited_for(void **state)
{
    static const uint8_t none[4] = {0x32, 0x00, 0x40, 0x00};
    static const struct dp_emv_ops ops = {
        .policy = never_policy, .online = never_online, .ui = any_ui};
    struct dp_card_info info = {.interface = DP_INTERFACE_CONTACTLESS};
    struct dp_emv_kernel *kernel = NULL;
    struct dp_card_reader reader;
    struct dp_emv_result result;
    struct dp_card card;
    (void)state;
    longest_ms = 0;
    commands = 0;
    open_card("qvsdc", 2000, none, "");
    memset(&card, 0, sizeof card);
    memset(&result, 0, sizeof result);
    assert_int_equal(dp_reader_callback_open(far_away, NULL, &info, &reader), DP_OK);
    assert_int_equal(dp_card_connect(&card, &reader, 100), DP_OK);
    assert_int_equal(dp_emv_kernel_new(&kernel), DP_OK);
    (void)!dp_emv_perform(kernel, &card, &p.terminal, &p.transaction, &ops, &result);
    assert_true(result.outcome != DP_EMV_APPROVED_OFFLINE &&
                result.outcome != DP_EMV_APPROVED_ONLINE && result.outcome != DP_EMV_DEFERRED);
    assert_int_equal(commands, 1); /* nor is it asked again */
    assert_in_range(longest_ms, 1, EXCHANGE_MS);
    dp_emv_kernel_free(&kernel);
    reader.ops->close(reader.ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qualifiers_on_the_wire_are_ours),
        cmocka_unit_test(gates_qualifier_is_not_said_unasked),
        cmocka_unit_test(no_card_changes_them),
        cmocka_unit_test(card_that_takes_too_long_is_not_waited_for),
    };
    return cmocka_run_group_tests_name("A14", tests, NULL, NULL);
}
