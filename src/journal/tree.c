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

int tree_append_each(struct tree *t, const uint8_t leaf[HASH_BYTES], tree_made *made, void *ctx)
{
    uint8_t carry[HASH_BYTES];
    unsigned i = 0;
    int err;
    DP_ASSERT(t->size < UINT64_MAX);
    memcpy(carry, leaf, sizeof carry);
    err = made != NULL ? made(ctx, carry) : DP_OK;
    for (; err == DP_OK && (t->size >> i & 1) != 0; i++) {
        err = node_hash(t->peak[i], carry, carry);
        if (err == DP_OK && made != NULL)
            err = made(ctx, carry);
    }
    if (err != DP_OK)
        return err;
    DP_ASSERT(i < TREE_DEPTH_MAX);
    memcpy(t->peak[i], carry, sizeof carry);
    t->size++;
    return DP_OK;
}

int tree_append(struct tree *t, const uint8_t leaf[HASH_BYTES])
{
    return tree_append_each(t, leaf, NULL, NULL);
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

uint64_t tree_position(unsigned level, uint64_t index)
{
    uint64_t last = ((index + 1) << level) - 1; /* the leaf that completes it */
    DP_ASSERT(level < TREE_DEPTH_MAX && index < UINT64_MAX >> 1 >> level);
    return 2 * last - (uint64_t)__builtin_popcountll(last) + level;
}

int tree_range_root(const struct tree_nodes *nodes, uint64_t from, uint64_t end,
                    uint8_t out[HASH_BYTES])
{
    uint64_t n = end - from, at = end;
    bool any = false;
    if (from >= end)
        return DP_ERR_RANGE;
    /* the perfect subtrees it is made of, the smallest and rightmost first */
    for (unsigned i = 0; i < TREE_DEPTH_MAX; i++) {
        uint8_t left[HASH_BYTES];
        int err;
        if ((n >> i & 1) == 0)
            continue;
        at -= UINT64_C(1) << i;
        err = nodes->read(nodes->ctx, i, at >> i, left);
        if (err == DP_OK && any)
            err = node_hash(left, out, out);
        else if (err == DP_OK)
            memcpy(out, left, HASH_BYTES);
        if (err != DP_OK)
            return err;
        any = true;
    }
    return DP_OK;
}

/* The ranges of leaves whose roots a path is made of, from the tree's root down. */
struct ranges {
    unsigned n;
    uint64_t from[TREE_DEPTH_MAX], end[TREE_DEPTH_MAX];
};

static void add_range(struct ranges *r, uint64_t from, uint64_t end)
{
    DP_ASSERT(r->n < TREE_DEPTH_MAX && from < end);
    r->from[r->n] = from;
    r->end[r->n++] = end;
}

/* A path goes the other way, from below upwards. */
static int path_of(const struct tree_nodes *nodes, const struct ranges *r, struct tree_path *out)
{
    int err = DP_OK;
    out->n = r->n;
    for (unsigned i = 0; err == DP_OK && i < r->n; i++)
        err = tree_range_root(nodes, r->from[r->n - 1 - i], r->end[r->n - 1 - i], out->hash[i]);
    return err;
}

int tree_inclusion(const struct tree_nodes *nodes, uint64_t index, uint64_t size,
                   struct tree_path *out)
{
    struct ranges r = {.n = 0};
    uint64_t lo = 0, hi = size;
    out->n = 0;
    if (index >= size || size > UINT64_MAX >> 2)
        return DP_ERR_RANGE;
    while (hi - lo > 1) {
        uint64_t middle = lo + split(hi - lo);
        if (index < middle) {
            add_range(&r, middle, hi);
            hi = middle;
        } else {
            add_range(&r, lo, middle);
            lo = middle;
        }
    }
    return path_of(nodes, &r, out);
}

int tree_consistency(const struct tree_nodes *nodes, uint64_t older, uint64_t newer,
                     struct tree_path *out)
{
    struct ranges r = {.n = 0};
    uint64_t lo = 0, hi = newer;
    out->n = 0;
    if (older == 0 || older >= newer || newer > UINT64_MAX >> 2)
        return DP_ERR_RANGE;
    /* down to the subtree that ends where the older tree does */
    while (hi != older) {
        uint64_t middle = lo + split(hi - lo);
        if (older <= middle) {
            add_range(&r, middle, hi);
            hi = middle;
        } else {
            add_range(&r, lo, middle);
            lo = middle;
        }
    }
    if (lo > 0) /* else it is the older tree, whose root is known */
        add_range(&r, lo, hi);
    return path_of(nodes, &r, out);
}

int tree_inclusion_check(const struct tree_path *path, uint64_t index, uint64_t size,
                         const uint8_t leaf[HASH_BYTES], const uint8_t root[HASH_BYTES])
{
    uint64_t node = index, last = size - 1;
    uint8_t hash[HASH_BYTES];
    int err;
    if (path->n > TREE_DEPTH_MAX || index >= size)
        return DP_ERR_MISMATCH;
    memcpy(hash, leaf, sizeof hash);
    for (unsigned i = 0; i < path->n; i++) {
        if (last == 0)
            return DP_ERR_MISMATCH; /* the path is longer than the tree is deep */
        if ((node & 1) != 0 || node == last) {
            err = node_hash(path->hash[i], hash, hash);
            /* a right edge has no sibling on some levels: they are passed over */
            while ((node & 1) == 0 && node != 0) {
                node >>= 1;
                last >>= 1;
            }
        } else {
            err = node_hash(hash, path->hash[i], hash);
        }
        if (err != DP_OK)
            return err;
        node >>= 1;
        last >>= 1;
    }
    return last == 0 && memcmp(hash, root, sizeof hash) == 0 ? DP_OK : DP_ERR_MISMATCH;
}

/* One step of RFC 9162, 2.1.4.2, 6: c beside what both roots are at this level. */
static int consistency_step(const uint8_t c[HASH_BYTES], uint64_t *node, uint64_t *last,
                            uint8_t older[HASH_BYTES], uint8_t newer[HASH_BYTES])
{
    int err;
    if (*last == 0)
        return DP_ERR_MISMATCH;
    if ((*node & 1) != 0 || *node == *last) {
        err = node_hash(c, older, older);
        if (err == DP_OK)
            err = node_hash(c, newer, newer);
        while ((*node & 1) == 0 && *node != 0) {
            *node >>= 1;
            *last >>= 1;
        }
    } else {
        err = node_hash(newer, c, newer);
    }
    *node >>= 1;
    *last >>= 1;
    return err;
}

int tree_consistency_check(const struct tree_path *path, uint64_t older, uint64_t newer,
                           const uint8_t older_root[HASH_BYTES],
                           const uint8_t newer_root[HASH_BYTES])
{
    uint64_t node = older - 1, last = newer - 1;
    uint8_t first[HASH_BYTES], second[HASH_BYTES];
    bool whole = (older & (older - 1)) == 0; /* a power of two: its root is a node of the newer */
    int err = DP_OK;
    if (path->n == 0 || path->n > TREE_DEPTH_MAX || older == 0 || older >= newer)
        return DP_ERR_MISMATCH;
    for (; (node & 1) != 0; node >>= 1)
        last >>= 1;
    memcpy(first, whole ? older_root : path->hash[0], sizeof first);
    memcpy(second, first, sizeof second);
    for (unsigned i = whole ? 0 : 1; err == DP_OK && i < path->n; i++)
        err = consistency_step(path->hash[i], &node, &last, first, second);
    if (err != DP_OK)
        return err;
    return last == 0 && memcmp(first, older_root, sizeof first) == 0 &&
                   memcmp(second, newer_root, sizeof second) == 0
               ? DP_OK
               : DP_ERR_MISMATCH;
}
