/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES DUKPT, the terminal's side (ANSI X9.24-3), AES-128: the intermediate derivation key
 * registers. Each transaction key comes from a register that is erased with the key's use, so that
 * what is held now tells nothing about a message of before. Counters with more than 16 bits set are
 * skipped: 2,448,023,842 transactions from one initial key.
 */
#ifndef DP_HSM_DUKPT_H
#define DP_HSM_DUKPT_H

#include <doorpay/hsm.h>

#define DUKPT_REGISTERS 32

struct dukpt {
    uint8_t id[8];    /* initial key id */
    uint32_t counter; /* of the next transaction; 0: used up */
    /* register i has the key of the counter's bits above i, with bit i set; zeros when erased */
    uint8_t registers[DUKPT_REGISTERS][16];
};

/* The working keys of one transaction. */
struct dukpt_keys {
    uint8_t ksn[DP_KSN_BYTES];
    uint8_t generate[16], verify[16];
};

/* Fills the registers; the initial key is not kept. */
DP_MUST_USE int dukpt_load(struct dukpt *d, const uint8_t initial_key[16], const uint8_t id[8]);
/* The next transaction's keys; its register is erased and the counter moves on. DP_ERR_LIMIT: used
 * up. After another error d must not be used any more. */
DP_MUST_USE int dukpt_next(struct dukpt *d, struct dukpt_keys *out);
/* Which registers hold a key before a transaction: it follows from the counter alone. */
uint32_t dukpt_registers_in_use(uint32_t counter);
/* A counter that a transaction may have. */
bool dukpt_counter_ok(uint32_t counter);

#endif
