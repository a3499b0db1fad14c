/* SPDX-License-Identifier: Apache-2.0 */
/* What the acquirer is told to do wrong, and what its issuer is told to refuse. The words are
 * those of docs/sim.md. */
#ifndef DP_SIM_FAULTS_H
#define DP_SIM_FAULTS_H

#include <doorpay/base.h>

#include "issuer_script.h"

enum sim_fault {
    SIM_FAULT_DROP,        /* taken, never answered */
    SIM_FAULT_LOSE,        /* not even taken */
    SIM_FAULT_WRONG_MAC,   /* one bit of the answer's MAC */
    SIM_FAULT_WRONG_MATCH, /* another value in one element, under a right MAC */
    SIM_FAULT_DUPLICATE,   /* answered twice */
    SIM_FAULT_GARBAGE,     /* noise instead of the answer */
    SIM_FAULT_LATE,        /* this answer alone comes late */
    SIM_FAULTS
};

#define SIM_SCRIPT_MAX 128

struct sim_faults {
    struct {
        unsigned left;
        unsigned mti; /* 0: any request */
    } fault[SIM_FAULTS];
    unsigned wrong_element; /* of WRONG_MATCH; 0: the MTI */
    unsigned late_ms, delay_ms;
    struct sim_refusal {
        unsigned left;
        char code[4];
    } refuse, refuse_deferred;
    uint8_t script[SIM_SCRIPT_MAX];
    size_t script_n;
    unsigned script_left;
    char pin[SIM_PIN_MAX + 1], pin_before[SIM_PIN_MAX + 1]; /* none before: empty */
    unsigned pin_left;
};

/* One command, taken apart in place. DP_ERR_NOT_FOUND: none of these words; DP_ERR_FORMAT: one of
 * them, with arguments it does not take. */
DP_MUST_USE int sim_faults_command(struct sim_faults *f, char *command);
/* True, and counted, when this request is one to which it is done. */
bool sim_fault_strikes(struct sim_faults *f, enum sim_fault fault, unsigned mti);
const char *sim_fault_name(enum sim_fault fault);
/* The code to refuse with, and counted; NULL: none. */
const char *sim_refusal(struct sim_refusal *r);

#endif
