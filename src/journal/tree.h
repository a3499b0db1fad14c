/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RFC 6962 Merkle tree over the records' leaf hashes. Only the frontier is kept, so appending
 * and the root need no memory that grows; proofs are made by streaming the leaves once more.
 */
#ifndef DP_JOURNAL_TREE_H
#define DP_JOURNAL_TREE_H

#include "hash.h"

#define TREE_DEPTH_MAX 64

struct tree {
    uint64_t size;
    /* peak[i]: root of the perfect subtree of 2^i leaves; set when bit i of size is */
    uint8_t peak[TREE_DEPTH_MAX][HASH_BYTES];
};

void tree_init(struct tree *t);
/* SHA-256(0x00 || record): RFC 6962, 2.1. */
DP_MUST_USE int tree_leaf_hash(struct dp_bytes record, uint8_t out[HASH_BYTES]);
DP_MUST_USE int tree_append(struct tree *t, const uint8_t leaf[HASH_BYTES]);
/* The tree head; SHA-256 of nothing for an empty tree. */
DP_MUST_USE int tree_root(const struct tree *t, uint8_t out[HASH_BYTES]);

/* Inclusion of leaf index in a tree of size leaves; path from the leaf's sibling upwards. */
struct tree_proof {
    uint64_t index, size;
    unsigned path_n;
    uint8_t path[TREE_DEPTH_MAX][HASH_BYTES];
};

/* Makes a proof while all leaves from 0 to size - 1 pass by in order. */
struct tree_prover {
    struct tree_proof proof;
    struct tree part;
    uint64_t next, first[TREE_DEPTH_MAX], end[TREE_DEPTH_MAX];
};

/* DP_ERR_RANGE: no such leaf. */
DP_MUST_USE int tree_prover_init(struct tree_prover *p, uint64_t index, uint64_t size);
/* DP_ERR_STATE: more leaves than the tree has. */
DP_MUST_USE int tree_prover_leaf(struct tree_prover *p, const uint8_t leaf[HASH_BYTES]);
/* True when every leaf has passed and proof is complete. */
bool tree_prover_done(const struct tree_prover *p);
/* DP_OK when leaf stands at proof->index under root; DP_ERR_MISMATCH, DP_ERR_FORMAT. */
DP_MUST_USE int tree_proof_check(const struct tree_proof *proof, const uint8_t leaf[HASH_BYTES],
                                 const uint8_t root[HASH_BYTES]);

#endif
