/* SPDX-License-Identifier: Apache-2.0 */
#include "step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"

struct dp_bytes step_hex(const char *hex)
{
    static uint8_t bytes[4][2048];
    static unsigned turn;
    struct dp_bytes b = {bytes[turn++ % 4], 0};
    assert_int_equal(dp_hex_decode(hex, strlen(hex), bytes[(turn - 1) % 4], sizeof bytes[0], &b.n),
                     DP_OK);
    return b;
}

static int play(void *user, const uint8_t *command, size_t n, uint8_t *answer, size_t *answer_n,
                int timeout_ms)
{
    struct step *s = user;
    const struct step_exchange *e;
    struct dp_bytes wanted, given;
    char text[600];
    (void)timeout_ms;
    (void)dp_hex_encode(command, n, text, sizeof text);
    if (s->done == s->script_n)
        fail_msg("one command too many: %s", text);
    e = &s->script[s->done++];
    wanted = step_hex(e->command);
    if (wanted.n != n || memcmp(wanted.p, command, n) != 0)
        fail_msg("%s was to come, not %s", e->command, text);
    if (e->answer == NULL)
        return DP_ERR_GONE;
    given = step_hex(e->answer);
    assert_true(given.n <= *answer_n);
    memcpy(answer, given.p, given.n);
    *answer_n = given.n;
    return DP_OK;
}

static int policy(void *ctx, const struct dp_emv_summary *summary,
                  const struct dp_emv_card_data *card, struct dp_emv_policy_answer *answer)
{
    const struct step *s = ctx;
    assert_non_null(summary);
    assert_non_null(card);
    if (!s->policy_silent)
        *answer = s->policy;
    return DP_OK;
}

static int online(void *ctx, const struct dp_emv_online_request *request,
                  struct dp_emv_online_answer *answer)
{
    fail_msg("no step goes online alone");
    (void)ctx;
    (void)request;
    (void)answer;
    return DP_ERR_INTERNAL;
}

static const struct dp_emv_aid application = {
    .aid = {0xA0, 0x00, 0x00, 0x09, 0x99, 0x01, 0x01},
    .aid_n = 7,
    .version = {0x00, 0x01},
    .floor_limit = 5000,
};

static void offer(void *ctx, const struct dp_emv_offer *offers, size_t n)
{
    struct step *s = ctx;
    assert_true(n > 0 && n <= DP_EMV_OFFERS_MAX);
    memcpy(s->offers, offers, n * sizeof *offers);
    s->offers_n = n;
}

void step_begin(struct step *s)
{
    const struct dp_card_info info = {.interface = DP_INTERFACE_CONTACT,
                                      .protocol = DP_PROTOCOL_T1};
    struct dp_card_reader reader;
    memset(s, 0, sizeof *s);
    s->terminal = (struct dp_emv_terminal){.tid = "DP000001",
                                           .mid = "M",
                                           .mcc = "4215",
                                           .country = 56,
                                           .type = 0x22,
                                           .capabilities = {0x20, 0x28, 0xC8},
                                           .aids = s->aids,
                                           .aids_n = 1};
    s->aids[0] = application;
    s->transaction = (struct dp_emv_transaction){.amount = {2350, 978, 2},
                                                 .local = {2026, 11, 24, 10, 30, 0},
                                                 .unpredictable_number = {1, 2, 3, 4},
                                                 .offline_allowed = true};
    s->policy.offline_allowed = true;
    s->ops = (struct dp_emv_ops){s, policy, online, NULL, NULL, NULL, offer};
    assert_int_equal(dp_reader_callback_open(play, s, &info, &reader), DP_OK);
    assert_int_equal(dp_card_connect(&s->card, &reader, 1000), DP_OK);
    s->k.card = &s->card;
    s->k.terminal = &s->terminal;
    s->k.transaction = &s->transaction;
    s->k.ops = &s->ops;
    s->k.result = &s->result;
    assert_int_equal(emv_terminal_begin(&s->k), DP_OK);
    assert_int_equal(emv_data_set(&s->k.data, 0x84, EMV_FROM_SELECTION, application.aid, 7), DP_OK);
    assert_int_equal(emv_application_selected(&s->k, &s->aids[0]), DP_OK);
}

void step_end(struct step *s)
{
    s->card.reader.ops->close(s->card.reader.ctx);
}

void step_play(struct step *s, const struct step_exchange *script, size_t n)
{
    s->script = script;
    s->script_n = n;
    s->done = 0;
}

void step_played(const struct step *s)
{
    assert_int_equal(s->done, s->script_n);
}

void step_set(struct step *s, uint32_t tag, const char *hex)
{
    struct dp_bytes v = step_hex(hex);
    assert_int_equal(emv_data_set(&s->k.data, tag, EMV_FROM_CARD, v.p, v.n), DP_OK);
}

void step_aid(struct step *s, size_t i, const char *hex, bool partial)
{
    struct dp_bytes v = step_hex(hex);
    assert_true(i < 8 && v.n <= 16);
    s->aids[i] = application;
    memcpy(s->aids[i].aid, v.p, v.n);
    s->aids[i].aid_n = (uint8_t)v.n;
    s->aids[i].partial = partial;
    if (s->terminal.aids_n <= i)
        s->terminal.aids_n = i + 1;
}

void step_tvr(const struct step *s, const char *hex)
{
    char text[11];
    assert_string_equal(dp_hex_encode(s->k.tvr, 5, text, sizeof text), hex);
}
