/* SPDX-License-Identifier: Apache-2.0 */
/* A recorded conversation as a reader: what a card answered once, it answers again. */
#include <doorpay/card.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "atr.h"
#include "base/assert.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"

#define HEADER_N   4 /* CLA INS P1 P2 */
#define LC_AT      4
#define INS_SELECT 0xA4

struct recorded {
    struct dp_bytes command, answer; /* into bytes[] */
    unsigned line;                   /* of the command */
    bool answered;                   /* false: the recording ends with the command */
    bool used;
};

struct transcript {
    enum dp_transcript_match match;
    struct dp_card_info info;
    struct recorded all[DP_TRANSCRIPT_COMMANDS_MAX];
    size_t n, next;
    atomic_bool cancelled;
    size_t bytes_n, bytes_max;
    uint8_t bytes[]; /* every APDU; it holds card data and is wiped at the end */
};

/* ---- the text ---- */

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Takes the next line off text; without its end, blanks at both ends and comment. */
static void take_line(const char **text, size_t *left, const char **line, size_t *n)
{
    const char *end = memchr(*text, '\n', *left);
    size_t whole = end != NULL ? (size_t)(end - *text) : *left;
    const char *comment = memchr(*text, '#', whole);
    *line = *text;
    *n = comment != NULL ? (size_t)(comment - *text) : whole;
    while (*n > 0 && blank((*line)[*n - 1]))
        (*n)--;
    while (*n > 0 && blank(**line)) {
        (*line)++;
        (*n)--;
    }
    if (end != NULL)
        whole++;
    *text += whole;
    *left -= whole;
}

static int take_bytes(struct transcript *t, const char *hex, size_t hex_n, struct dp_bytes *out)
{
    uint8_t *at = t->bytes + t->bytes_n;
    size_t max = t->bytes_max - t->bytes_n;
    int err;
    if (max > DP_TRANSCRIPT_APDU_MAX)
        max = DP_TRANSCRIPT_APDU_MAX;
    err = dp_hex_decode(hex, hex_n, at, max, &out->n);
    if (err < 0)
        return err;
    out->p = at;
    t->bytes_n += out->n;
    return DP_OK;
}

static struct recorded *last(struct transcript *t)
{
    return t->n > 0 ? &t->all[t->n - 1] : NULL;
}

static int take_command(struct transcript *t, const char *hex, size_t n, unsigned line)
{
    struct recorded *before = last(t), *r;
    int err;
    if (before != NULL && !before->answered)
        return DP_ERR_FORMAT;
    if (t->n == DP_TRANSCRIPT_COMMANDS_MAX)
        return DP_ERR_LIMIT;
    r = &t->all[t->n];
    err = take_bytes(t, hex, n, &r->command);
    if (err == DP_OK && (r->command.n < HEADER_N || r->command.n > DP_APDU_COMMAND_MAX))
        err = DP_ERR_FORMAT;
    if (err < 0)
        return err;
    r->line = line;
    t->n++;
    return DP_OK;
}

static int take_answer(struct transcript *t, const char *hex, size_t n)
{
    struct recorded *r = last(t);
    if (r == NULL || r->answered)
        return DP_ERR_FORMAT;
    r->answered = true;
    return take_bytes(t, hex, n, &r->answer);
}

static int take_atr(struct transcript *t, const char *hex, size_t n)
{
    enum dp_card_interface interface = t->info.interface;
    uint8_t atr[DP_ATR_MAX];
    size_t atr_n = 0;
    int err;
    if (t->info.atr_n > 0 || t->n > 0)
        return DP_ERR_FORMAT;
    while (n > 0 && blank(*hex)) {
        hex++;
        n--;
    }
    if (n < 3 || memcmp(hex, "ATR", 3) != 0)
        return DP_ERR_FORMAT;
    err = dp_hex_decode(hex + 3, n - 3, atr, sizeof atr, &atr_n);
    if (err == DP_OK)
        err = dp_atr_read(atr, atr_n, &t->info);
    /* the caller's word counts: a contactless card recorded by another reader has another ATR */
    t->info.interface = interface;
    return err;
}

static int take(struct transcript *t, const char *line, size_t n, unsigned number)
{
    switch (n > 0 ? line[0] : '#') {
    case '#':
        return DP_OK;
    case '>':
        return take_command(t, line + 1, n - 1, number);
    case '<':
        return take_answer(t, line + 1, n - 1);
    case '!':
        return take_atr(t, line + 1, n - 1);
    default:
        return DP_ERR_FORMAT;
    }
}

/* How the recording terminal packed case 4 commands: 0 without Le as on T=0, 1 with it, -1 when
 * there is no SELECT to tell it by. */
static int le_in_case_4(const struct transcript *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct dp_bytes c = t->all[i].command;
        if (c.p[1] == INS_SELECT && c.n > LC_AT)
            return c.n > (size_t)LC_AT + 1 + c.p[LC_AT];
    }
    return -1;
}

/* What was recorded counts more than the ATR: many readers do T=0's part of the work themselves,
 * and then the conversation looks like one on T=1. */
static void settle_protocol(struct transcript *t)
{
    int le = le_in_case_4(t);
    if (t->info.interface == DP_INTERFACE_CONTACTLESS)
        t->info.protocol = DP_PROTOCOL_ISO14443_4;
    else if (le >= 0)
        t->info.protocol = le > 0 ? DP_PROTOCOL_T1 : DP_PROTOCOL_T0;
    else if (t->info.atr_n == 0 || t->info.protocol == DP_PROTOCOL_ISO14443_4)
        t->info.protocol = DP_PROTOCOL_T1;
}

/* ---- the reader ---- */

static int wait_card(void *ctx, int timeout_ms, struct dp_card_info *info)
{
    struct transcript *t = ctx;
    (void)timeout_ms;
    if (atomic_exchange(&t->cancelled, false))
        return DP_ERR_CANCELLED;
    *info = t->info;
    return DP_OK;
}

static bool same(struct dp_bytes a, const uint8_t *p, size_t n)
{
    return a.n == n && memcmp(a.p, p, n) == 0;
}

/* SELECT names what it selects in its data, and one header stands for all names: it must be the
 * same up to Lc's end. Whether Le follows depends on the protocol of then and now. */
static bool same_command(struct dp_bytes a, const uint8_t *p, size_t n)
{
    size_t named;
    if (same(a, p, n))
        return true;
    if (a.n <= LC_AT || n <= LC_AT || p[1] != INS_SELECT)
        return false;
    named = (size_t)LC_AT + 1 + p[LC_AT];
    return a.n >= named && n >= named && memcmp(a.p, p, named) == 0;
}

/* The exchange to play: the same command, then one with the same header; what was not played yet
 * before what was, and what stands further on before what was passed over. */
static struct recorded *find_by_header(struct transcript *t, const uint8_t *command, size_t n)
{
    struct recorded *best = NULL;
    int best_rank = 0;
    if (n < HEADER_N)
        return NULL;
    for (size_t i = 0; i < t->n; i++) {
        struct recorded *r = &t->all[(t->next + i) % t->n];
        bool whole = same_command(r->command, command, n);
        int rank = whole ? (r->used ? 2 : 3) : 1;
        if (memcmp(r->command.p, command, HEADER_N) != 0 || (!whole && r->used))
            continue;
        if (!whole && command[1] == INS_SELECT)
            continue;
        if (rank > best_rank) {
            best = r;
            best_rank = rank;
        }
    }
    return best;
}

static struct recorded *find(struct transcript *t, const uint8_t *command, size_t n)
{
    if (t->match == DP_TRANSCRIPT_HEADER)
        return find_by_header(t, command, n);
    if (t->next < t->n && same(t->all[t->next].command, command, n))
        return &t->all[t->next];
    return NULL;
}

static int give(const uint8_t *p, size_t n, uint8_t *answer, size_t *answer_n)
{
    if (n > *answer_n) {
        dp_log(DP_LOG_WARNING, "transcript: answer of %zu bytes, at most %zu can come", n,
               *answer_n);
        return DP_ERR_FORMAT;
    }
    if (n > 0)
        memcpy(answer, p, n);
    *answer_n = n;
    return DP_OK;
}

static int not_recorded(const struct transcript *t, const uint8_t *command, size_t n,
                        uint8_t *answer, size_t *answer_n)
{
    static const uint8_t not_found[] = {0x6A, 0x82};
    uint8_t ins = n > 1 ? command[1] : 0;
    if (t->match == DP_TRANSCRIPT_HEADER && ins == INS_SELECT)
        return give(not_found, sizeof not_found, answer, answer_n);
    if (t->match == DP_TRANSCRIPT_HEADER)
        dp_log(DP_LOG_WARNING, "transcript: no command with this header: INS %02X", ins);
    else if (t->next < t->n)
        dp_log(DP_LOG_WARNING, "transcript: line %u has another command than INS %02X",
               t->all[t->next].line, ins);
    else
        dp_log(DP_LOG_WARNING, "transcript: INS %02X after its end", ins);
    return DP_ERR_MISMATCH;
}

static int transceive(void *ctx, const uint8_t *command, size_t command_n, uint8_t *answer,
                      size_t *answer_n, int timeout_ms)
{
    struct transcript *t = ctx;
    struct recorded *r = find(t, command, command_n);
    (void)timeout_ms;
    if (r == NULL)
        return not_recorded(t, command, command_n, answer, answer_n);
    r->used = true;
    t->next = (size_t)(r - t->all) + 1;
    if (!r->answered)
        return DP_ERR_GONE;
    return give(r->answer.p, r->answer.n, answer, answer_n);
}

static int power_off(void *ctx)
{
    struct transcript *t = ctx;
    atomic_store(&t->cancelled, false);
    return DP_OK;
}

static int wait_removal(void *ctx, int timeout_ms)
{
    struct transcript *t = ctx;
    (void)timeout_ms;
    return atomic_exchange(&t->cancelled, false) ? DP_ERR_CANCELLED : DP_OK;
}

static void cancel(void *ctx)
{
    struct transcript *t = ctx;
    atomic_store(&t->cancelled, true);
}

static void close_reader(void *ctx)
{
    struct transcript *t = ctx;
    dp_wipe(t->bytes, t->bytes_n);
    free(t);
}

static const struct dp_reader_ops ops = {wait_card,    transceive, power_off,
                                         wait_removal, cancel,     close_reader};

int dp_reader_transcript_open(const char *text, size_t text_n, enum dp_card_interface interface,
                              enum dp_transcript_match match, struct dp_card_reader *out,
                              unsigned *line)
{
    struct transcript *t;
    unsigned number = 0;
    DP_ASSERT(out != NULL && line != NULL && (text != NULL || text_n == 0));
    *line = 0;
    if (interface != DP_INTERFACE_CONTACT && interface != DP_INTERFACE_CONTACTLESS)
        return DP_ERR_ARG;
    if (text_n > DP_TRANSCRIPT_MAX)
        return DP_ERR_LIMIT;
    t = calloc(1, sizeof *t + text_n / 2 + 1); /* two digits make one byte */
    if (t == NULL)
        return DP_ERR_NOMEM;
    t->bytes_max = text_n / 2 + 1;
    t->match = match;
    t->info.interface = interface;
    while (text_n > 0) {
        const char *at;
        size_t n;
        int err;
        take_line(&text, &text_n, &at, &n);
        err = take(t, at, n, ++number);
        if (err < 0) {
            *line = number;
            close_reader(t);
            return err == DP_ERR_LIMIT ? err : DP_ERR_FORMAT;
        }
    }
    settle_protocol(t);
    out->ops = &ops;
    out->ctx = t;
    return DP_OK;
}
