/* SPDX-License-Identifier: Apache-2.0 */
/* What a card, or somebody between card and reader, does wrong: a text file of rules. docs/sim.md
 * describes it. */
#ifndef DP_SIM_HOSTILE_H
#define DP_SIM_HOSTILE_H

#include "pack.h"

#define SIM_RULES_MAX 32

enum sim_action {
    SIM_REPLACE, /* the whole answer */
    SIM_STATUS,  /* another status word, data kept */
    SIM_CUT,     /* only the first bytes */
    SIM_FILL,    /* so many bytes of one value, then 9000 */
    SIM_PAD,     /* more bytes before the status word */
    SIM_POKE,    /* bytes at an offset overwritten */
    SIM_TAG,     /* another value for an element, lengths mended */
    SIM_FLIP,    /* one bit of an element's value */
    SIM_DROP,    /* an element taken out, lengths mended */
    SIM_DELAY,
    SIM_REPEAT, /* the answer before, once more */
    SIM_REMOVE  /* the card is pulled out instead of answering */
};

struct sim_rule {
    char step[32];
    unsigned nth;        /* 0: each time */
    uint8_t sfi, record; /* of read-record; 0: any */
    enum sim_action action;
    uint32_t tag, number; /* offset, length, milliseconds */
    uint8_t fill;
    uint8_t bytes[1024];
    size_t n;
};

struct sim_script {
    struct sim_rule rules[SIM_RULES_MAX];
    unsigned seen[SIM_RULES_MAX]; /* how often a rule's step came by since power on */
    size_t n;
    unsigned remove_after; /* commands; 0: never */
    unsigned commands;
    struct sim_buf before; /* the last answer */
};

/* Errors are logged with file and line. */
DP_MUST_USE int sim_script_load(const char *path, struct sim_script *s);
/* The step a command belongs to; static lifetime. */
const char *sim_step_name(const uint8_t *command, size_t n, bool online);
/* Alters the answer to a command; online: it came after an ARQC. delay_ms is what to wait first.
 * Returns false when the card is gone. */
bool sim_script_apply(struct sim_script *s, const uint8_t *command, size_t n, bool online,
                      struct sim_buf *answer, unsigned *delay_ms);
/* Counts begin again. */
void sim_script_reset(struct sim_script *s);

#endif
