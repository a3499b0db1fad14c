/* SPDX-License-Identifier: Apache-2.0 */
#include "tree.h"

#include <string.h>

#include "base/assert.h"

static int node_hash(const uint8_t left[HASH_BYTES], const uint8_t right[HASH_BYTES],
                     uint8_t out[HASH_BYTES])
{
    static const uint8_t node = 0x01;
    const struct dp_bytes parts[] = {{&node, 1}, {left, HASH_BYTES}, {right, HASH_BYTES}};
    return hash_parts(parts, 3, out);
}

void tree_init(struct tree *t)
{
    memset(t, 0, sizeof *t);
}

int tree_leaf_hash(struct dp_bytes record, uint8_t out[HASH_BYTES])
{
    static const uint8_t leaf = 0x00;
    const struct dp_bytes parts[] = {{&leaf, 1}, record};
    return hash_parts(parts, 2, out);
}

int tree_append(struct tree *t, const uint8_t leaf[HASH_BYTES])
{
    uint8_t carry[HASH_BYTES];
    unsigned i = 0;
    int err;
    DP_ASSERT(t->size < UINT64_MAX);
    memcpy(carry, leaf, sizeof carry);
    for (; (t->size >> i & 1) != 0; i++) {
        err = node_hash(t->peak[i], carry, carry);
        if (err != DP_OK)
            return err;
    }
    DP_ASSERT(i < TREE_DEPTH_MAX);
    memcpy(t->peak[i], carry, sizeof carry);
    t->size++;
    return DP_OK;
}

int tree_root(const struct tree *t, uint8_t out[HASH_BYTES])
{
    bool any = false;
    if (t->size == 0)
        return hash_parts(NULL, 0, out);
    for (unsigned i = 0; i < TREE_DEPTH_MAX; i++) {
        if ((t->size >> i & 1) == 0)
            continue;
        int err = DP_OK;
        if (any)
            err = node_hash(t->peak[i], out, out);
        else
            memcpy(out, t->peak[i], HASH_BYTES);
        if (err != DP_OK)
            return err;
        any = true;
    }
    return DP_OK;
}

/* The largest power of two below n; n > 1. */
static uint64_t split(uint64_t n)
{
    DP_ASSERT(n > 1);
    return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

int tree_prover_init(struct tree_prover *p, uint64_t index, uint64_t size)
{
    uint64_t lo = 0, hi = size;
    uint64_t first[TREE_DEPTH_MAX], end[TREE_DEPTH_MAX];
    unsigned n = 0;
    memset(p, 0, sizeof *p);
    if (index >= size)
        return DP_ERR_RANGE;
    p->proof.index = index;
    p->proof.size = size;
    /* RFC 6962, 2.1.1, from the root down: the subtree beside the path is a range of leaves */
    while (hi - lo > 1) {
        uint64_t middle = lo + split(hi - lo);
        bool left = index < middle;
        DP_ASSERT(n < TREE_DEPTH_MAX);
        first[n] = left ? middle : lo;
        end[n] = left ? hi : middle;
        if (left)
            hi = middle;
        else
            lo = middle;
        n++;
    }
    for (unsigned i = 0; i < n; i++) {
        p->first[i] = first[n - 1 - i];
        p->end[i] = end[n - 1 - i];
    }
    p->proof.path_n = n;
    return DP_OK;
}

int tree_prover_leaf(struct tree_prover *p, const uint8_t leaf[HASH_BYTES])
{
    uint64_t at = p->next;
    int err;
    if (at >= p->proof.size)
        return DP_ERR_STATE;
    p->next++;
    if (at == p->proof.index)
        return DP_OK;
    for (unsigned i = 0; i < p->proof.path_n; i++) {
        if (at < p->first[i] || at >= p->end[i])
            continue;
        err = tree_append(&p->part, leaf);
        if (err == DP_OK && p->next == p->end[i]) {
            err = tree_root(&p->part, p->proof.path[i]);
            tree_init(&p->part);
        }
        return err;
    }
    return DP_ERR_INTERNAL;
}

bool tree_prover_done(const struct tree_prover *p)
{
    return p->next == p->proof.size && p->proof.size > 0;
}

int tree_proof_check(const struct tree_proof *proof, const uint8_t leaf[HASH_BYTES],
                     const uint8_t root[HASH_BYTES])
{
    uint64_t node = proof->index, last;
    uint8_t hash[HASH_BYTES];
    int err;
    if (proof->path_n > TREE_DEPTH_MAX || proof->index >= proof->size)
        return DP_ERR_FORMAT;
    last = proof->size - 1;
    memcpy(hash, leaf, sizeof hash);
    for (unsigned i = 0; i < proof->path_n; i++) {
        if (last == 0)
            return DP_ERR_MISMATCH; /* the path is longer than the tree is deep */
        if ((node & 1) != 0 || node == last) {
            err = node_hash(proof->path[i], hash, hash);
            /* a right edge has no sibling on some levels: they are passed over */
            while ((node & 1) == 0 && node != 0) {
                node >>= 1;
                last >>= 1;
            }
        } else {
            err = node_hash(hash, proof->path[i], hash);
        }
        if (err != DP_OK)
            return err;
        node >>= 1;
        last >>= 1;
    }
    return last == 0 && memcmp(hash, root, sizeof hash) == 0 ? DP_OK : DP_ERR_MISMATCH;
}
