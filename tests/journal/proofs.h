/* SPDX-License-Identifier: Apache-2.0 */
/* A journal with two epochs and many checkpoints, its proofs, and every way to damage one. */
#ifndef DP_TESTS_JOURNAL_PROOFS_H
#define DP_TESTS_JOURNAL_PROOFS_H

#include "world.h"

#define PROOFS_EPOCH_1 23 /* size of a checkpoint of the first epoch */

struct proofs {
    struct world w;
    struct memstore index; /* the prover's */
    struct dp_prover_config config;
    struct dp_prover *prover;
    uint8_t identity[1][65];
    uint64_t newest; /* size of the last signed checkpoint */
};

struct proof_file {
    uint8_t p[DP_PROOF_BYTES_MAX];
    size_t n;
};

/* Payments, a KEY_ROTATE, payments. */
void proofs_make(struct proofs *p);
void proofs_remove(struct proofs *p);
/* With the checkpoint over size records, 0: the newest; the index is kept from one to the next. */
int proofs_open(struct proofs *p, uint64_t size);
int proofs_inclusion(struct proofs *p, uint64_t seq, struct proof_file *out);
int proofs_consistency(struct proofs *p, uint64_t older, struct proof_file *out);

/* The nth damage done to proof; other is one of another checkpoint in another epoch. Names the rule
 * that is due; NULL: there is no nth one. */
const char *proofs_damage(unsigned nth, const struct dp_proof *proof, const struct dp_proof *other,
                          struct proof_file *out);

#endif
