/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RFC 6962 Merkle tree over the records' leaf hashes. Only the frontier is kept, so appending
 * and the root need no memory that grows; proofs are made from hashes that somebody kept.
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

/*
 * Where the hashes of a tree are kept: the root over the 2^level leaves from index * 2^level on,
 * which are all there. What is read is never trusted: a path is checked against a root that is.
 */
struct tree_nodes {
    int (*read)(void *ctx, unsigned level, uint64_t index, uint8_t out[HASH_BYTES]);
    void *ctx;
};

/* Called with each hash that an append makes: the leaf, then the roots it completes, upwards. */
typedef int tree_made(void *ctx, const uint8_t hash[HASH_BYTES]);
DP_MUST_USE int tree_append_each(struct tree *t, const uint8_t leaf[HASH_BYTES], tree_made *made,
                                 void *ctx);
/* How many hashes tree_append_each makes before that one: where it stands when all are kept in
 * order. */
uint64_t tree_position(unsigned level, uint64_t index);
/* The tree head over leaves from to end - 1, from < end, as they stand in a tree: RFC 6962, 2.1.
 * DP_ERR_RANGE, and what read gives. */
DP_MUST_USE int tree_range_root(const struct tree_nodes *nodes, uint64_t from, uint64_t end,
                                uint8_t out[HASH_BYTES]);

/* The hashes of a proof, in the order of RFC 6962, 2.1.1 and 2.1.2. */
struct tree_path {
    unsigned n;
    uint8_t hash[TREE_DEPTH_MAX][HASH_BYTES];
};

/* RFC 6962, 2.1.1: leaf index in a tree of size leaves. DP_ERR_RANGE: index < size is not so. */
DP_MUST_USE int tree_inclusion(const struct tree_nodes *nodes, uint64_t index, uint64_t size,
                               struct tree_path *out);
/* RFC 6962, 2.1.2: the tree of older leaves is the beginning of that of newer. DP_ERR_RANGE:
 * 0 < older < newer is not so. */
DP_MUST_USE int tree_consistency(const struct tree_nodes *nodes, uint64_t older, uint64_t newer,
                                 struct tree_path *out);
/* RFC 9162, 2.1.3.2. DP_OK when leaf stands at index under root; else DP_ERR_MISMATCH;
 * DP_ERR_CRYPTO. */
DP_MUST_USE int tree_inclusion_check(const struct tree_path *path, uint64_t index, uint64_t size,
                                     const uint8_t leaf[HASH_BYTES],
                                     const uint8_t root[HASH_BYTES]);
/* RFC 9162, 2.1.4.2. DP_OK when both roots follow from the path; else DP_ERR_MISMATCH;
 * DP_ERR_CRYPTO. */
DP_MUST_USE int tree_consistency_check(const struct tree_path *path, uint64_t older, uint64_t newer,
                                       const uint8_t older_root[HASH_BYTES],
                                       const uint8_t newer_root[HASH_BYTES]);

#endif
