/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One command and its answer. What ISO/IEC 7816-3 (12.2) makes of an APDU on T=0 is done here:
 * GET RESPONSE after 61xx and after a warning, the same command again after 6Cxx.
 */
#include <doorpay/card.h>

#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/writer.h"

#define INS_GET_RESPONSE 0xC0
#define LE_NONE          (-1)
#define DATA_MAX         256 /* of one short R-APDU */

struct exchange {
    struct dp_card *card;
    const struct dp_apdu *command;
    uint8_t tx[DP_APDU_COMMAND_MAX]; /* the C-APDU under way */
    size_t tx_n;
    size_t data_max;   /* bytes its answer may carry */
    bool get_response; /* it is a GET RESPONSE */
    bool promised;     /* 61xx announced data */
    uint16_t warning;  /* what ended the command, when GET RESPONSE fetches its data; else 0 */
    struct dp_writer out;
};

/* One R-APDU. */
struct answer {
    uint8_t rx[DP_APDU_RESPONSE_MAX];
    size_t data_n;
    uint16_t sw;
};

static int check_card(const struct dp_card_info *info)
{
    bool contactless = info->interface == DP_INTERFACE_CONTACTLESS;
    if (info->interface != DP_INTERFACE_CONTACT && !contactless)
        return DP_ERR_IO;
    if (info->protocol != DP_PROTOCOL_T0 && info->protocol != DP_PROTOCOL_T1 &&
        info->protocol != DP_PROTOCOL_ISO14443_4)
        return DP_ERR_IO;
    return info->atr_n > sizeof info->atr ? DP_ERR_IO : DP_OK;
}

int dp_card_connect(struct dp_card *card, const struct dp_card_reader *reader, int timeout_ms)
{
    struct dp_card_info info;
    int err;
    DP_ASSERT(card != NULL && reader != NULL && reader->ops != NULL);
    memset(&info, 0, sizeof info);
    err = reader->ops->wait_card(reader->ctx, timeout_ms, &info);
    if (err == DP_OK)
        err = check_card(&info);
    if (err < 0)
        return err;
    memset(card, 0, sizeof *card);
    card->reader = *reader;
    card->info = info;
    card->commands_left = DP_EMV_COMMANDS_MAX;
    card->timeout_ms = DP_CARD_EXCHANGE_MS;
    return DP_OK;
}

static size_t permitted(int le)
{
    if (le == LE_NONE)
        return 0;
    return le == 0 ? DATA_MAX : (size_t)le;
}

static bool on_t0(const struct exchange *x)
{
    return x->card->info.protocol == DP_PROTOCOL_T0;
}

static void put_header(struct dp_writer *w, uint8_t cla, uint8_t ins, uint8_t p1, uint8_t p2)
{
    dp_write_u8(w, cla);
    dp_write_u8(w, ins);
    dp_write_u8(w, p1);
    dp_write_u8(w, p2);
}

/* The command itself, with the Le given: 6Cxx may have corrected it. */
static void pack_command(struct exchange *x, int le)
{
    const struct dp_apdu *c = x->command;
    struct dp_writer w;
    dp_writer_init(&w, x->tx, sizeof x->tx);
    put_header(&w, c->cla, c->ins, c->p1, c->p2);
    if (c->data.n > 0) {
        dp_write_u8(&w, (uint8_t)c->data.n);
        dp_write_bytes(&w, c->data.p, c->data.n);
        /* case 4: on T=0 there is one P3 and Lc takes it; the card asks with 61xx */
        if (le != LE_NONE && !on_t0(x))
            dp_write_u8(&w, (uint8_t)le);
    } else if (le != LE_NONE) {
        dp_write_u8(&w, (uint8_t)le);
    } else if (on_t0(x)) {
        dp_write_u8(&w, 0); /* case 1: the T=0 header always has its P3 */
    }
    DP_ASSERT(w.err == DP_OK);
    x->tx_n = w.n;
    x->data_max = permitted(le);
}

static void pack_get_response(struct exchange *x, int le)
{
    struct dp_writer w;
    dp_writer_init(&w, x->tx, sizeof x->tx);
    put_header(&w, 0x00, INS_GET_RESPONSE, 0x00, 0x00);
    dp_write_u8(&w, (uint8_t)le);
    DP_ASSERT(w.err == DP_OK);
    x->tx_n = w.n;
    x->data_max = permitted(le);
    x->get_response = true;
}

/* SW1 is 6X or 9X and never 60 (ISO/IEC 7816-3, 10.3.3); what else comes is no status word. */
static bool is_status(uint16_t sw)
{
    uint8_t sw1 = (uint8_t)(sw >> 8);
    return sw1 != 0x60 && ((sw1 & 0xF0) == 0x60 || (sw1 & 0xF0) == 0x90);
}

static int split(const struct exchange *x, struct answer *a, size_t n)
{
    if (n < 2) {
        dp_log(DP_LOG_WARNING, "card: answer of %zu bytes to INS %02X has no status word", n,
               x->tx[1]);
        return DP_ERR_FORMAT;
    }
    a->data_n = n - 2;
    a->sw = (uint16_t)(a->rx[n - 2] << 8 | a->rx[n - 1]);
    if (!is_status(a->sw)) {
        dp_log(DP_LOG_WARNING, "card: %04X after INS %02X is no status word", a->sw, x->tx[1]);
        return DP_ERR_FORMAT;
    }
    if (a->data_n > x->data_max) {
        dp_log(DP_LOG_WARNING, "card: %zu bytes after INS %02X, at most %zu were asked for",
               a->data_n, x->tx[1], x->data_max);
        return DP_ERR_FORMAT;
    }
    return DP_OK;
}

static int send(struct exchange *x, struct answer *a)
{
    struct dp_card *card = x->card;
    size_t n = sizeof a->rx;
    int err;
    if (card->commands_left == 0) {
        dp_log(DP_LOG_WARNING, "card: too many commands for one payment");
        return DP_ERR_LIMIT;
    }
    card->commands_left--;
    if (card->tap != NULL)
        card->tap(card->tap_ctx, true, x->tx, x->tx_n);
    err =
        card->reader.ops->transceive(card->reader.ctx, x->tx, x->tx_n, a->rx, &n, card->timeout_ms);
    if (err < 0)
        return err;
    if (n > sizeof a->rx) {
        dp_log(DP_LOG_ERROR, "reader: reports %zu bytes in a buffer of %zu", n, sizeof a->rx);
        return DP_ERR_IO;
    }
    if (card->tap != NULL)
        card->tap(card->tap_ctx, false, a->rx, n);
    return split(x, a, n);
}

/* A warning on T=0 hides the data of a case 4 command: it is fetched like any other, and the
 * command still ends with the warning (EMV Book 1, Annex A, case 4 with warning). */
static bool hides_data(const struct exchange *x, const struct answer *a)
{
    uint8_t sw1 = (uint8_t)(a->sw >> 8);
    return on_t0(x) && !x->get_response && x->command->data.n > 0 && x->command->le != LE_NONE &&
           a->data_n == 0 && (sw1 == 0x62 || sw1 == 0x63 || (sw1 >= 0x90 && a->sw != 0x9000));
}

/* Decides on the answer: true when a further command has been made for it. */
static bool goes_on(struct exchange *x, const struct answer *a)
{
    uint8_t sw1 = (uint8_t)(a->sw >> 8), sw2 = (uint8_t)a->sw;
    if (x->command->le == LE_NONE)
        return false;
    if (sw1 == 0x61) {
        pack_get_response(x, sw2);
        x->promised = true;
        return true;
    }
    if (sw1 == 0x6C && x->get_response) {
        pack_get_response(x, sw2);
        return true;
    }
    if (sw1 == 0x6C && !(on_t0(x) && x->command->data.n > 0)) {
        pack_command(x, sw2);
        return true;
    }
    if (hides_data(x, a)) {
        x->warning = a->sw;
        pack_get_response(x, 0);
        return true;
    }
    return false;
}

static int finish(const struct exchange *x, uint16_t sw, struct dp_apdu_answer *answer)
{
    uint8_t sw1 = (uint8_t)(sw >> 8);
    if (x->promised && x->out.n == 0 && sw == 0x9000) {
        dp_log(DP_LOG_WARNING, "card: 61xx announced data and none came");
        return DP_ERR_FORMAT;
    }
    answer->data = dp_writer_bytes(&x->out);
    if (sw1 >= 0x64 && sw1 < 0x70)
        answer->data.n = 0; /* what came before a failure is no answer */
    answer->sw = x->warning != 0 ? x->warning : sw;
    return DP_OK;
}

static int check_command(const struct dp_apdu *c)
{
    if (c->data.n > 255 || c->le < LE_NONE || c->le > 255)
        return DP_ERR_ARG;
    return c->data.n > 0 && c->data.p == NULL ? DP_ERR_ARG : DP_OK;
}

static int keep(struct exchange *x, const struct answer *a)
{
    dp_write_bytes(&x->out, a->rx, a->data_n);
    if (x->out.err < 0)
        return x->out.max < DP_CARD_DATA_MAX ? DP_ERR_SPACE : DP_ERR_LIMIT;
    return DP_OK;
}

int dp_card_exchange(struct dp_card *card, const struct dp_apdu *command, uint8_t *buffer,
                     size_t buffer_n, struct dp_apdu_answer *answer)
{
    struct exchange x;
    struct answer a;
    int err;
    DP_ASSERT(card != NULL && command != NULL && answer != NULL);
    DP_ASSERT(buffer != NULL || buffer_n == 0);
    memset(answer, 0, sizeof *answer);
    err = check_command(command);
    if (err < 0)
        return err;
    memset(&x, 0, sizeof x);
    x.card = card;
    x.command = command;
    dp_writer_init(&x.out, buffer, buffer_n > DP_CARD_DATA_MAX ? DP_CARD_DATA_MAX : buffer_n);
    pack_command(&x, command->le);
    for (int round = 0; round <= DP_APDU_CHAIN_MAX; round++) {
        err = send(&x, &a);
        if (err == DP_OK)
            err = keep(&x, &a);
        if (err < 0)
            goto out;
        if (!goes_on(&x, &a)) {
            err = finish(&x, a.sw, answer);
            goto out;
        }
    }
    dp_log(DP_LOG_WARNING, "card: INS %02X does not end after %d rounds", command->ins,
           DP_APDU_CHAIN_MAX);
    err = DP_ERR_LIMIT;
out:
    dp_wipe(&a, sizeof a);
    dp_wipe(&x, sizeof x);
    return err;
}
