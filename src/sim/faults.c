/* SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

#include <stdio.h>
#include <string.h>

#include "text.h"

#define COUNT_MAX 1000000
#define MS_MAX    3600000

static const char *const names[] = {
    [SIM_FAULT_DROP] = "drop",           [SIM_FAULT_LOSE] = "lose",
    [SIM_FAULT_WRONG_MAC] = "wrong-mac", [SIM_FAULT_WRONG_MATCH] = "wrong-match",
    [SIM_FAULT_DUPLICATE] = "duplicate", [SIM_FAULT_GARBAGE] = "garbage",
    [SIM_FAULT_LATE] = "late",           NULL};

const char *sim_fault_name(enum sim_fault fault)
{
    return names[fault];
}

/* The next word as a number; fallback (when not below 0) if there is none. */
static int take_number(char **at, uint64_t most, int64_t fallback, unsigned *out)
{
    const char *word = sim_text_next(at);
    uint64_t v;
    if (word == NULL) {
        *out = (unsigned)fallback;
        return fallback < 0 ? DP_ERR_FORMAT : DP_OK;
    }
    if (sim_text_uint(word, most, &v) != DP_OK)
        return DP_ERR_FORMAT;
    *out = (unsigned)v;
    return DP_OK;
}

static int take_element(char **at, unsigned *out)
{
    static const unsigned can[] = {4, 7, 11, 12, 37, 41, 42, 49};
    char *word = sim_text_next(at);
    uint64_t v;
    *out = 0;
    if (word == NULL)
        return DP_ERR_FORMAT;
    if (strcmp(word, "mti") == 0)
        return DP_OK;
    if (sim_text_uint(word, 128, &v) != DP_OK)
        return DP_ERR_FORMAT;
    *out = (unsigned)v;
    for (size_t i = 0; i < sizeof can / sizeof *can; i++)
        if (can[i] == v)
            return DP_OK;
    return DP_ERR_FORMAT;
}

static int set_fault(struct sim_faults *f, enum sim_fault fault, char **at)
{
    unsigned n, mti, element = f->wrong_element, late_ms = f->late_ms;
    int err = DP_OK;
    if (fault == SIM_FAULT_WRONG_MATCH)
        err = take_element(at, &element);
    else if (fault == SIM_FAULT_LATE)
        err = take_number(at, MS_MAX, -1, &late_ms);
    if (err == DP_OK)
        err = take_number(at, COUNT_MAX, 1, &n);
    if (err == DP_OK)
        err = take_number(at, 9999, 0, &mti);
    if (err != DP_OK || sim_text_next(at) != NULL)
        return DP_ERR_FORMAT;
    f->fault[fault].left = n;
    f->fault[fault].mti = mti;
    f->wrong_element = element;
    f->late_ms = late_ms;
    return DP_OK;
}

static int set_refusal(struct sim_refusal *r, char **at)
{
    const char *code = sim_text_next(at);
    unsigned n;
    if (code == NULL || strlen(code) != 3 || strspn(code, "0123456789") != 3 ||
        take_number(at, COUNT_MAX, 1, &n) != DP_OK || sim_text_next(at) != NULL)
        return DP_ERR_FORMAT;
    memcpy(r->code, code, 4);
    r->left = n;
    return DP_OK;
}

static int set_script(struct sim_faults *f, char **at)
{
    const char *hex = sim_text_next(at);
    uint8_t bytes[SIM_SCRIPT_MAX];
    unsigned times;
    size_t n;
    if (hex == NULL || sim_text_hex(hex, bytes, sizeof bytes, &n) != DP_OK || n < 4 ||
        take_number(at, COUNT_MAX, 1, &times) != DP_OK || sim_text_next(at) != NULL)
        return DP_ERR_FORMAT;
    memcpy(f->script, bytes, n);
    f->script_n = n;
    f->script_left = times;
    return DP_OK;
}

static bool is_pin(const char *text)
{
    size_t n = strlen(text);
    return n >= SIM_PIN_MIN && n <= SIM_PIN_MAX && strspn(text, "0123456789") == n;
}

/* NEW [BEFORE], into the next answer */
static int set_pin_change(struct sim_faults *f, char **at)
{
    const char *pin = sim_text_next(at), *before = sim_text_next(at);
    if (pin == NULL || !is_pin(pin) || (before != NULL && !is_pin(before)) ||
        sim_text_next(at) != NULL)
        return DP_ERR_FORMAT;
    (void)snprintf(f->pin, sizeof f->pin, "%s", pin);
    (void)snprintf(f->pin_before, sizeof f->pin_before, "%s", before != NULL ? before : "");
    f->pin_left = 1;
    return DP_OK;
}

static int set_delay(struct sim_faults *f, char **at)
{
    unsigned ms;
    if (take_number(at, MS_MAX, -1, &ms) != DP_OK || sim_text_next(at) != NULL)
        return DP_ERR_FORMAT;
    f->delay_ms = ms;
    return DP_OK;
}

static int clear(struct sim_faults *f, char **at)
{
    const char *word = sim_text_next(at);
    if (word == NULL || strcmp(word, "clear") != 0 || sim_text_next(at) != NULL)
        return DP_ERR_FORMAT;
    memset(f, 0, sizeof *f);
    return DP_OK;
}

int sim_faults_command(struct sim_faults *f, char *command)
{
    char *at = command;
    const char *word = sim_text_next(&at);
    int fault;
    if (word == NULL)
        return DP_ERR_NOT_FOUND;
    if (sim_text_word(word, names, &fault) == DP_OK)
        return set_fault(f, (enum sim_fault)fault, &at);
    if (strcmp(word, "refuse") == 0)
        return set_refusal(&f->refuse, &at);
    if (strcmp(word, "refuse-deferred") == 0)
        return set_refusal(&f->refuse_deferred, &at);
    if (strcmp(word, "delay") == 0)
        return set_delay(f, &at);
    if (strcmp(word, "script") == 0)
        return set_script(f, &at);
    if (strcmp(word, "pin-change") == 0)
        return set_pin_change(f, &at);
    if (strcmp(word, "rules") == 0)
        return clear(f, &at);
    return DP_ERR_NOT_FOUND;
}

bool sim_fault_strikes(struct sim_faults *f, enum sim_fault fault, unsigned mti)
{
    if (f->fault[fault].left == 0 || (f->fault[fault].mti != 0 && f->fault[fault].mti != mti))
        return false;
    f->fault[fault].left--;
    return true;
}

const char *sim_refusal(struct sim_refusal *r)
{
    if (r->left == 0)
        return NULL;
    r->left--;
    return r->code;
}
