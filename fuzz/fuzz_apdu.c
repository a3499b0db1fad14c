/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile card or reader. First byte, modulo 4:
 *   0, 1  a payment's commands on T=0 or T=1; the rest is what the card answers: two bytes of
 *         length (FFFF: the reader fails, FFFE: it reports more than it had room for), then bytes
 *   2     a recorded conversation in text, strict or by header, and commands to it
 *   3     an answer to reset
 */
#include <doorpay/card.h>

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/reader.h"
#include "card/atr.h"

#define CANARY 0xC7

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void mute(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    must(line != NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    dp_log_set(mute, NULL, DP_LOG_DEBUG);
    return 0;
}

static int answer_from_input(void *user, const uint8_t *command, size_t command_n, uint8_t *answer,
                             size_t *answer_n, int timeout_ms)
{
    struct dp_reader *in = user;
    size_t n = dp_read_u16(in), fits;
    struct dp_bytes b;
    must(command_n >= 4 && command_n <= DP_APDU_COMMAND_MAX && timeout_ms > 0);
    must(command != NULL && *answer_n == DP_APDU_RESPONSE_MAX);
    if (in->err < 0 || n == 0xFFFF)
        return DP_ERR_GONE;
    if (n == 0xFFFE) {
        *answer_n = SIZE_MAX;
        return DP_OK;
    }
    fits = n < *answer_n ? n : *answer_n;
    b = dp_read_bytes(in, fits < in->left ? fits : in->left);
    memset(answer, 0x90, fits);
    if (b.n > 0)
        memcpy(answer, b.p, b.n);
    *answer_n = n;
    return DP_OK;
}

static const uint8_t name[] = {0xA0, 0x00, 0x00, 0x09, 0x99};
static const struct dp_apdu commands[] = {
    {0x00, 0xA4, 0x04, 0x00, {name, sizeof name}, 0}, {0x80, 0xA8, 0x00, 0x00, {name, 2}, 0},
    {0x00, 0xB2, 0x01, 0x0C, {NULL, 0}, 0},           {0x00, 0xB2, 0x02, 0x0C, {NULL, 0}, 16},
    {0x00, 0x82, 0x00, 0x00, {name, 5}, -1},          {0x80, 0x1E, 0x00, 0x00, {NULL, 0}, -1},
    {0x80, 0xAE, 0x40, 0x00, {name, 5}, 0},
};

static void one_command(struct dp_card *card, const struct dp_apdu *command)
{
    static uint8_t buffer[512 + 1];
    unsigned before = card->commands_left;
    struct dp_apdu_answer a;
    int err;
    buffer[512] = CANARY;
    err = dp_card_exchange(card, command, buffer, 512, &a);
    must(buffer[512] == CANARY);
    must(card->commands_left <= before && before - card->commands_left <= DP_APDU_CHAIN_MAX + 1);
    if (err < 0) {
        must(a.data.p == NULL && a.data.n == 0 && a.sw == 0);
        return;
    }
    must(a.data.n <= 512 && (a.data.n == 0 || a.data.p == buffer));
    must((a.sw & 0xF000) == 0x6000 || (a.sw & 0xF000) == 0x9000);
    must(command->le >= 0 || a.data.n == 0);
}

static void payment(const struct dp_card_reader *reader)
{
    struct dp_card card;
    if (dp_card_connect(&card, reader, 1000) < 0)
        return;
    for (size_t i = 0; i < 4 * sizeof commands / sizeof commands[0]; i++)
        one_command(&card, &commands[i % (sizeof commands / sizeof commands[0])]);
}

static void hostile_card(enum dp_card_protocol protocol, const uint8_t *p, size_t n)
{
    struct dp_card_info info = {.interface = DP_INTERFACE_CONTACT, .protocol = protocol};
    struct dp_card_reader reader;
    struct dp_reader in;
    dp_reader_init(&in, p, n);
    must(dp_reader_callback_open(answer_from_input, &in, &info, &reader) == DP_OK);
    payment(&reader);
    reader.ops->close(reader.ctx);
}

static void transcript(const uint8_t *p, size_t n)
{
    struct dp_card_reader reader;
    unsigned line = 0;
    int err;
    if (n < 1)
        return;
    err = dp_reader_transcript_open(
        (const char *)p + 1, n - 1,
        (p[0] & 2) != 0 ? DP_INTERFACE_CONTACTLESS : DP_INTERFACE_CONTACT,
        (p[0] & 1) != 0 ? DP_TRANSCRIPT_HEADER : DP_TRANSCRIPT_STRICT, &reader, &line);
    if (err < 0) {
        must(line > 0 || err == DP_ERR_LIMIT);
        return;
    }
    payment(&reader);
    reader.ops->close(reader.ctx);
}

static void reset(const uint8_t *p, size_t n)
{
    struct dp_card_info info;
    if (dp_atr_read(p, n, &info) < 0)
        return;
    must(info.atr_n == n && n <= DP_ATR_MAX && memcmp(info.atr, p, n) == 0);
    must((info.protocol == DP_PROTOCOL_ISO14443_4) == (info.interface == DP_INTERFACE_CONTACTLESS));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    switch (data[0] % 4) {
    case 0:
        hostile_card(DP_PROTOCOL_T0, data + 1, size - 1);
        break;
    case 1:
        hostile_card(DP_PROTOCOL_T1, data + 1, size - 1);
        break;
    case 2:
        transcript(data + 1, size - 1);
        break;
    default:
        reset(data + 1, size - 1);
    }
    return 0;
}
