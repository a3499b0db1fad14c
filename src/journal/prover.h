/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a prover's index, an inclusion proof of record 0: see prover.c. */
#ifndef DP_JOURNAL_PROVER_H
#define DP_JOURNAL_PROVER_H

#include <doorpay/journal.h>

#define INDEX_START_BYTES 12
#define INDEX_READ_MAX    (INDEX_START_BYTES + DP_PROOF_BYTES_MAX)
#define INDEX_HEAD_BYTES  8192 /* the hashes begin there */

/* p: the index from its first byte on, n: what there is of it, or the first INDEX_READ_MAX. out
 * points into p, and nothing in it is trusted before dp_proof_check. DP_ERR_FORMAT: no head, or
 * one that is cut; what dp_proof_read gives. */
DP_MUST_USE DP_PARSES int index_head_read(const uint8_t *p, size_t n, struct dp_proof *out);
/* DP_ERR_SPACE, and what dp_proof_write gives. */
DP_MUST_USE int index_head_write(const struct dp_proof *proof, uint8_t *out, size_t max, size_t *n);

#endif
