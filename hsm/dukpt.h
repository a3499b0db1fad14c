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

enum dukpt_usage {
    DUKPT_MAC_GENERATE = 0x2000,
    DUKPT_MAC_VERIFY = 0x2001,
    DUKPT_DERIVE = 0x8000
};

/* Derivation data of X9.24-3: version 1, block 1 (an AES-128 key is one block), usage, algorithm 2
 * (AES-128), 128 bits, right half of the initial key id, counter. The derived key is this block
 * under the deriving one. */
void dukpt_data(enum dukpt_usage usage, const uint8_t id[8], uint32_t counter, uint8_t out[16]);
/* The register a transaction takes its key from. counter is not 0. */
int dukpt_lowest_bit(uint32_t counter);
/* Whether a transaction's key also fills the registers below its own. */
bool dukpt_fills(uint32_t counter);
/* The next transaction's counter; 0 after the last one: used up. */
uint32_t dukpt_counter_after(uint32_t counter);

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
