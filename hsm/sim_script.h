/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The faults of a simulated token, a line each: OPERATION N FAULT. OPERATION is the name of a
 * function of doorpay/hsm.h without dp_hsm_ (anchor_extend), or *, any; N counts its calls since
 * the token was opened, from 1. FAULT:
 *   latency MS  done, MS later
 *   error       not done: DP_ERR_TOKEN
 *   remove      not done, and the token is gone (DP_ERR_GONE) until it is opened anew
 *   reset       done, and then the token is gone until it is opened anew
 *   lost        done, but gone before it could say so
 *   wear        from this call on it is never done again: DP_ERR_TOKEN
 * Empty lines, and what follows a #, say nothing.
 */
#ifndef DP_HSM_SIM_SCRIPT_H
#define DP_HSM_SIM_SCRIPT_H

#include <doorpay/base.h>

#include "base/limits.h"

enum sim_op {
    SIM_PUBLIC,
    SIM_SIGN,
    SIM_ECDH,
    SIM_EPOCH_NEW,
    SIM_EPOCH_DESTROY,
    SIM_TLS_NEXT,
    SIM_TLS_TAKE,
    SIM_ANCHOR_READ,
    SIM_ANCHOR_EXTEND,
    SIM_COUNTER_READ,
    SIM_COUNTER_RAISE,
    SIM_WRAP_GENERATION,
    SIM_WRAP,
    SIM_UNWRAP,
    SIM_WRAP_ROTATE,
    SIM_WRAP_DESTROY,
    SIM_DUKPT_LOAD,
    SIM_DUKPT_NEXT,
    SIM_DUKPT_MAC,
    SIM_DUKPT_CHECK,
    SIM_OPS,
    SIM_ANY = SIM_OPS
};

enum sim_fault_kind {
    SIM_LATENCY,
    SIM_ERROR,
    SIM_REMOVE,
    SIM_RESET,
    SIM_LOST,
    SIM_WEAR
};

struct sim_fault {
    enum sim_op op;
    uint32_t n;
    enum sim_fault_kind kind;
    uint32_t ms;
};

struct sim_script {
    struct sim_fault faults[DP_HSM_FAULTS_MAX];
    unsigned n;
};

/* DP_ERR_FORMAT: *line (from 1) is no such line; DP_ERR_LIMIT: more than DP_HSM_FAULTS_MAX. */
DP_MUST_USE DP_PARSES int sim_script_parse(const char *text, size_t n, struct sim_script *out,
                                           unsigned *line);

#endif
