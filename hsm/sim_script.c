/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_script.h"

#include <string.h>

#include "base/assert.h"

#define WORDS_MAX  4
#define NUMBER_MAX 1000000

static const char *const ops[SIM_OPS + 1] = {
    [SIM_PUBLIC] = "public",
    [SIM_SIGN] = "sign",
    [SIM_ECDH] = "ecdh",
    [SIM_EPOCH_NEW] = "epoch_new",
    [SIM_EPOCH_DESTROY] = "epoch_destroy",
    [SIM_TLS_NEXT] = "tls_next",
    [SIM_TLS_TAKE] = "tls_take",
    [SIM_ANCHOR_READ] = "anchor_read",
    [SIM_ANCHOR_EXTEND] = "anchor_extend",
    [SIM_COUNTER_READ] = "counter_read",
    [SIM_COUNTER_RAISE] = "counter_raise",
    [SIM_WRAP_GENERATION] = "wrap_generation",
    [SIM_WRAP] = "wrap",
    [SIM_UNWRAP] = "unwrap",
    [SIM_WRAP_ROTATE] = "wrap_rotate",
    [SIM_WRAP_DESTROY] = "wrap_destroy",
    [SIM_DUKPT_LOAD] = "dukpt_load",
    [SIM_DUKPT_NEXT] = "dukpt_next",
    [SIM_DUKPT_MAC] = "dukpt_mac",
    [SIM_DUKPT_CHECK] = "dukpt_check",
    [SIM_ANY] = "*",
};
static const char *const kinds[] = {
    [SIM_LATENCY] = "latency", [SIM_ERROR] = "error", [SIM_REMOVE] = "remove",
    [SIM_RESET] = "reset",     [SIM_LOST] = "lost",   [SIM_WEAR] = "wear",
};

/* The words before the line's end or a #; more than WORDS_MAX are counted, not kept. */
static unsigned split(struct dp_bytes line, struct dp_bytes words[WORDS_MAX])
{
    unsigned n = 0;
    size_t at = 0;
    for (;;) {
        size_t start;
        while (at < line.n && (line.p[at] == ' ' || line.p[at] == '\t' || line.p[at] == '\r'))
            at++;
        if (at == line.n || line.p[at] == '#')
            return n;
        start = at;
        while (at < line.n && memchr(" \t\r#", line.p[at], 4) == NULL)
            at++;
        if (n < WORDS_MAX)
            words[n] = (struct dp_bytes){line.p + start, at - start};
        n++;
    }
}

/* The word's place in the table, or -1. */
static int place(struct dp_bytes word, const char *const *table, int n)
{
    for (int i = 0; i < n; i++)
        if (strlen(table[i]) == word.n && memcmp(table[i], word.p, word.n) == 0)
            return i;
    return -1;
}

/* 1 to NUMBER_MAX, or 0. */
static uint32_t number(struct dp_bytes word)
{
    uint32_t v = 0;
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] < '0' || word.p[i] > '9')
            return 0;
        v = v * 10 + (uint32_t)(word.p[i] - '0');
        if (v > NUMBER_MAX)
            return 0;
    }
    return v;
}

static int parse_line(struct dp_bytes line, struct sim_script *out)
{
    struct dp_bytes words[WORDS_MAX];
    struct sim_fault f = {.n = 0};
    unsigned n = split(line, words);
    int op, kind;
    if (n == 0)
        return DP_OK;
    if (n < 3 || n > WORDS_MAX)
        return DP_ERR_FORMAT;
    op = place(words[0], ops, SIM_OPS + 1);
    kind = place(words[2], kinds, sizeof kinds / sizeof kinds[0]);
    f.n = number(words[1]);
    if (op < 0 || kind < 0 || f.n == 0 || (n == 4) != (kind == SIM_LATENCY))
        return DP_ERR_FORMAT;
    f.op = (enum sim_op)op;
    f.kind = (enum sim_fault_kind)kind;
    f.ms = n == 4 ? number(words[3]) : 0;
    if (n == 4 && f.ms == 0)
        return DP_ERR_FORMAT;
    if (out->n == DP_HSM_FAULTS_MAX)
        return DP_ERR_LIMIT;
    out->faults[out->n++] = f;
    return DP_OK;
}

int sim_script_parse(const char *text, size_t n, struct sim_script *out, unsigned *line)
{
    const uint8_t *p = (const uint8_t *)text;
    memset(out, 0, sizeof *out);
    for (*line = 1; n > 0; (*line)++) {
        const uint8_t *end = memchr(p, '\n', n);
        size_t line_n = end != NULL ? (size_t)(end - p) : n;
        int err = parse_line((struct dp_bytes){p, line_n}, out);
        if (err < 0) {
            out->n = 0;
            return err;
        }
        if (end != NULL)
            line_n++;
        p += line_n;
        n -= line_n;
    }
    return DP_OK;
}
