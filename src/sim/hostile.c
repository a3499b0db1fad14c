/* SPDX-License-Identifier: Apache-2.0 */
#include "hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "text.h"

/* ---- which step a command is ---- */

static const char *select_step(const uint8_t *command, size_t n)
{
    if (n >= 19 && memcmp(command + 5, "1PAY", 4) == 0)
        return "select-pse";
    if (n >= 19 && memcmp(command + 5, "2PAY", 4) == 0)
        return "select-ppse";
    return "select";
}

const char *sim_step_name(const uint8_t *command, size_t n, bool online)
{
    static const struct {
        uint8_t ins;
        const char *name;
    } names[] = {{0xB2, "read-record"},
                 {0xA8, "gpo"},
                 {0xCA, "get-data"},
                 {0x88, "internal-authenticate"},
                 {0x82, "external-authenticate"},
                 {0x84, "get-challenge"},
                 {0x20, "verify"},
                 {0xC0, "get-response"}};
    if (n < 4)
        return "other";
    if ((command[0] & 0x0F) == 4)
        return "script";
    if (command[1] == 0xA4)
        return select_step(command, n);
    if (command[1] == 0xAE)
        return online ? "generate-ac-2" : "generate-ac-1";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].ins == command[1])
            return names[i].name;
    return "other";
}

/* ---- reading rules ---- */

static const struct {
    const char *word;
    enum sim_action action;
    const char *arguments; /* h hex, n number, b byte (optional), t tag */
} actions[] = {
    {"replace", SIM_REPLACE, "h"}, {"status", SIM_STATUS, "h"}, {"cut", SIM_CUT, "n"},
    {"fill", SIM_FILL, "nb"},      {"pad", SIM_PAD, "nb"},      {"poke", SIM_POKE, "nh"},
    {"tag", SIM_TAG, "th"},        {"flip", SIM_FLIP, "tn"},    {"drop", SIM_DROP, "t"},
    {"delay", SIM_DELAY, "n"},     {"repeat", SIM_REPEAT, ""},  {"remove", SIM_REMOVE, ""},
};

static int argument(struct sim_rule *r, char kind, char *word)
{
    char *end = NULL;
    /* a fill byte and a flip's offset are 0, and a tag's new value empty, when left out */
    bool optional = kind == 'b' || (kind == 'n' && r->action == SIM_FLIP) ||
                    (kind == 'h' && r->action == SIM_TAG);
    if (word == NULL)
        return optional ? DP_OK : DP_ERR_MISSING;
    switch (kind) {
    case 'h':
        return sim_text_hex(word, r->bytes, sizeof r->bytes, &r->n);
    case 'n':
        r->number = (uint32_t)strtoul(word, &end, 10);
        break;
    case 'b':
        r->fill = (uint8_t)strtoul(word, &end, 16);
        break;
    default:
        r->tag = (uint32_t)strtoul(word, &end, 16);
        break;
    }
    return *end == '\0' ? DP_OK : DP_ERR_FORMAT;
}

/* STEP, STEP:SFI.RECORD, STEP#NTH */
static int step_of(struct sim_rule *r, char *word)
{
    char *nth = strchr(word, '#'), *record = strchr(word, ':');
    unsigned sfi = 0, number = 0;
    if (nth != NULL) {
        *nth = '\0';
        r->nth = (unsigned)strtoul(nth + 1, NULL, 10);
    }
    if (record != NULL) {
        *record = '\0';
        if (sscanf(record + 1, "%2u.%3u", &sfi, &number) != 2)
            return DP_ERR_FORMAT;
        r->sfi = (uint8_t)sfi;
        r->record = (uint8_t)number;
    }
    return snprintf(r->step, sizeof r->step, "%s", word) < (int)sizeof r->step ? DP_OK
                                                                               : DP_ERR_FORMAT;
}

static int rule_of(struct sim_script *s, char *text)
{
    struct sim_rule *r = &s->rules[s->n];
    char *word = sim_text_next(&text);
    int err;
    if (word == NULL)
        return DP_OK;
    if (s->n == SIM_RULES_MAX)
        return DP_ERR_LIMIT;
    memset(r, 0, sizeof *r);
    if (strcmp(word, "remove-after") == 0) {
        word = sim_text_next(&text);
        s->remove_after = word != NULL ? (unsigned)strtoul(word, NULL, 10) : 0;
        return s->remove_after > 0 ? DP_OK : DP_ERR_FORMAT;
    }
    err = step_of(r, word);
    word = sim_text_next(&text);
    if (err != DP_OK || word == NULL)
        return DP_ERR_FORMAT;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(word, actions[i].word) != 0)
            continue;
        r->action = actions[i].action;
        for (const char *a = actions[i].arguments; *a != '\0' && err == DP_OK; a++)
            err = argument(r, *a, sim_text_next(&text));
        s->n++;
        return err;
    }
    return DP_ERR_UNSUPPORTED;
}

int sim_script_load(const char *path, struct sim_script *s)
{
    char line[4096];
    unsigned number = 0;
    int err = DP_OK;
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        dp_log(DP_LOG_ERROR, "%s: cannot be read", path);
        return DP_ERR_IO;
    }
    while (err == DP_OK && fgets(line, sizeof line, f) != NULL) {
        char *comment = strstr(line, "# ");
        if (line[0] == '#')
            comment = line;
        if (comment != NULL)
            *comment = '\0';
        number++;
        err = rule_of(s, line);
        if (err != DP_OK)
            dp_log(DP_LOG_ERROR, "%s:%u: %s", path, number, dp_strerr(err));
    }
    (void)fclose(f);
    return err;
}

void sim_script_reset(struct sim_script *s)
{
    memset(s->seen, 0, sizeof s->seen);
    s->before.n = 0;
}

/* ---- applying them ---- */

static bool meant(struct sim_script *s, size_t i, const uint8_t *command, size_t n, bool online)
{
    const struct sim_rule *r = &s->rules[i];
    if (strcmp(r->step, "any") != 0 && strcmp(r->step, sim_step_name(command, n, online)) != 0)
        return false;
    if (r->sfi != 0 && (n < 4 || r->sfi != command[3] >> 3 || r->record != command[2]))
        return false;
    s->seen[i]++;
    return r->nth == 0 || r->nth == s->seen[i];
}

/* Data and status word apart, changed, and together again. */
static void with_data(const struct sim_rule *r, struct sim_buf *answer)
{
    struct sim_tlv e;
    uint8_t sw[2] = {0x90, 0x00};
    if (answer->n >= 2) {
        memcpy(sw, answer->p + answer->n - 2, 2);
        answer->n -= 2;
    }
    if (r->action == SIM_PAD) {
        sim_put_fill(answer, r->fill, r->number);
    } else if (r->action == SIM_STATUS && r->n == 2) {
        memcpy(sw, r->bytes, 2);
    } else if (sim_tlv_find(answer->p, answer->n, r->tag, &e) != DP_OK) {
        dp_log(DP_LOG_WARNING, "script: no element %X in this answer", r->tag);
    } else if (r->action == SIM_FLIP && r->number < e.n) {
        answer->p[e.value + r->number] ^= 1;
    } else if (r->action == SIM_TAG) {
        (void)!sim_tlv_replace(answer, r->tag, r->bytes, r->n);
    } else if (r->action == SIM_DROP) {
        (void)!sim_tlv_replace(answer, r->tag, NULL, 0);
    }
    sim_put(answer, sw, 2);
}

static void alter(const struct sim_rule *r, const struct sim_buf *before, struct sim_buf *answer)
{
    switch (r->action) {
    case SIM_REPLACE:
        answer->n = 0;
        sim_put(answer, r->bytes, r->n);
        break;
    case SIM_CUT:
        answer->n = r->number < answer->n ? r->number : answer->n;
        break;
    case SIM_FILL:
        answer->n = 0;
        sim_put_fill(answer, r->fill, r->number);
        sim_put_u16(answer, 0x9000);
        break;
    case SIM_POKE:
        for (size_t i = 0; i < r->n && r->number + i < answer->n; i++)
            answer->p[r->number + i] = r->bytes[i];
        break;
    case SIM_REPEAT:
        answer->n = 0;
        sim_put(answer, before->p, before->n);
        break;
    case SIM_DELAY:
    case SIM_REMOVE:
        break;
    default:
        with_data(r, answer);
        break;
    }
}

bool sim_script_apply(struct sim_script *s, const uint8_t *command, size_t n, bool online,
                      struct sim_buf *answer, unsigned *delay_ms)
{
    *delay_ms = 0;
    s->commands++;
    if (s->remove_after > 0 && s->commands > s->remove_after)
        return false;
    for (size_t i = 0; i < s->n; i++) {
        if (!meant(s, i, command, n, online))
            continue;
        if (s->rules[i].action == SIM_REMOVE)
            return false;
        if (s->rules[i].action == SIM_DELAY)
            *delay_ms += s->rules[i].number;
        alter(&s->rules[i], &s->before, answer);
    }
    s->before.n = 0;
    sim_put(&s->before, answer->p, answer->n);
    return true;
}
