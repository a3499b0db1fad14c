/* SPDX-License-Identifier: Apache-2.0 */
#include "forge.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "journal/body.h"
#include "journal/segment.h"
#include "journal/totals.h"
#include "journal/tree.h"

static void take_segment(struct forge *f, const struct node *node)
{
    struct segment_header h;
    struct segment s = {node->data, (uint32_t)node->n, {0}};
    uint32_t at = SEGMENT_HEADER_BYTES, before = 0;
    struct frame frame;
    DP_ASSERT(segment_header_read(node->data, &h) == DP_OK);
    memcpy(s.salt, h.salt, sizeof s.salt);
    while (frame_read(&s, at, before, 0, &frame) == FRAME_GOOD) {
        struct forge_part *p = &f->parts[f->n++];
        DP_ASSERT(f->n < FORGE_PARTS_MAX);
        memcpy(p->payload, frame.payload.p, frame.payload.n);
        p->n = frame.payload.n;
        p->signature = frame.signature;
        p->starts_batch = frame.batch == frame.offset;
        before = frame.batch;
        at = frame.next;
    }
}

void forge_load(struct forge *f, struct memstore *m)
{
    struct node *node;
    f->n = 0;
    for (uint32_t number = 1; (node = memstore_segment(m, number)) != NULL; number++)
        take_segment(f, node);
}

static uint64_t signature_seq(const struct forge_part *p)
{
    struct dp_bytes cose;
    uint64_t seq = 0;
    DP_ASSERT(signature_read(p->payload, p->n, &seq, &cose) == DP_OK);
    return seq;
}

void forge_store(const struct forge *f, struct memstore *m)
{
    struct node *node = memstore_segment(m, 1), *other;
    struct segment_header h;
    struct dp_writer w;
    uint32_t batch = SEGMENT_HEADER_BYTES;
    uint64_t seq = 0;
    DP_ASSERT(segment_header_read(node->data, &h) == DP_OK);
    memset(node->data + SEGMENT_HEADER_BYTES, 0, node->n - SEGMENT_HEADER_BYTES);
    dp_writer_init(&w, node->data, node->n);
    w.n = SEGMENT_HEADER_BYTES;
    for (int i = 0; i < f->n; i++) {
        const struct forge_part *p = &f->parts[i];
        if (p->starts_batch || i == 0)
            batch = (uint32_t)w.n;
        frame_write(&w, h.salt, p->signature ? signature_seq(p) : seq++, batch,
                    (struct dp_bytes){p->payload, p->n});
    }
    DP_ASSERT(w.err == DP_OK);
    for (uint32_t number = 2; (other = memstore_segment(m, number)) != NULL; number++)
        other->here = false;
}

int forge_find(const struct forge *f, enum dp_record_type type, int nth)
{
    static struct dp_record r;
    unsigned key;
    for (int i = 0; i < f->n; i++)
        if (!f->parts[i].signature &&
            dp_record_decode(f->parts[i].payload, f->parts[i].n, &r, &key) == DP_OK &&
            r.type == type && nth-- == 0)
            return i;
    DP_ASSERT(!"no such record");
    return -1;
}

int forge_signature(const struct forge *f, int nth)
{
    for (int i = 0; i < f->n; i++)
        if (f->parts[i].signature && nth-- == 0)
            return i;
    DP_ASSERT(!"no such signature");
    return -1;
}

void forge_remove(struct forge *f, int i)
{
    /* what began with the removed frame begins with the next */
    if (f->parts[i].starts_batch && i + 1 < f->n)
        f->parts[i + 1].starts_batch = true;
    memmove(&f->parts[i], &f->parts[i + 1], (size_t)(f->n - i - 1) * sizeof f->parts[0]);
    f->n--;
}

void forge_swap(struct forge *f, int i, int k)
{
    static struct forge_part kept;
    bool starts_i = f->parts[i].starts_batch, starts_k = f->parts[k].starts_batch;
    kept = f->parts[i];
    f->parts[i] = f->parts[k];
    f->parts[k] = kept;
    f->parts[i].starts_batch = starts_i;
    f->parts[k].starts_batch = starts_k;
}

void forge_insert(struct forge *f, int at, const struct forge_part *part)
{
    DP_ASSERT(f->n + 1 < FORGE_PARTS_MAX);
    memmove(&f->parts[at + 1], &f->parts[at], (size_t)(f->n - at) * sizeof f->parts[0]);
    f->parts[at] = *part;
    f->n++;
}

struct dp_record *forge_edit(struct forge *f, int i)
{
    unsigned key;
    DP_ASSERT(dp_record_decode(f->parts[i].payload, f->parts[i].n, &f->record, &key) == DP_OK);
    return &f->record;
}

void forge_put(struct forge *f, int i)
{
    struct forge_part *p = &f->parts[i];
    DP_ASSERT(dp_record_encode(&f->record, p->payload, sizeof p->payload, &p->n) == DP_OK);
}

static void bind(struct forge *f, const struct tree *tree, const struct dp_totals *totals,
                 uint8_t anchor[32])
{
    struct dp_record *r = &f->record;
    struct checkpoint c;
    uint8_t digest[32];
    size_t n;
    DP_ASSERT(checkpoint_read(r->body, r->body_n, &c) == DP_OK);
    c.size = tree->size;
    DP_ASSERT(tree_root(tree, c.root) == DP_OK);
    memcpy(c.last_leaf, r->prev, sizeof c.last_leaf);
    c.totals = *totals;
    if (tree->size > 1)
        memcpy(c.before, anchor, sizeof c.before);
    DP_ASSERT(checkpoint_write(&c, r->body, sizeof r->body, &n) == DP_OK);
    r->body_n = (uint16_t)n;
    DP_ASSERT(hash_parts(&(struct dp_bytes){r->body, n}, 1, digest) == DP_OK);
    DP_ASSERT(hash_extend(c.before, digest, anchor) == DP_OK);
}

static void make_right(struct forge *f, bool bodies)
{
    static struct tree tree;
    struct dp_totals totals;
    uint8_t leaf[32] = {0}, anchor[32] = {0};
    bool any = false;
    tree_init(&tree);
    memset(&totals, 0, sizeof totals);
    for (int i = 0; i < f->n; i++) {
        struct dp_record *r;
        if (f->parts[i].signature)
            continue;
        r = forge_edit(f, i);
        r->seq = tree.size;
        memcpy(r->prev, leaf, sizeof leaf);
        totals_add(&totals, r);
        if (bodies && r->has_totals)
            r->totals = totals;
        if (bodies && r->type == DP_RECORD_CHECKPOINT) {
            bind(f, &tree, &totals, anchor);
            any = true;
        }
        forge_put(f, i);
        DP_ASSERT(tree_leaf_hash((struct dp_bytes){f->parts[i].payload, f->parts[i].n}, leaf) ==
                  DP_OK);
        DP_ASSERT(tree_append(&tree, leaf) == DP_OK);
    }
    DP_ASSERT(any || !bodies);
}

void forge_rechain(struct forge *f)
{
    make_right(f, false);
}

void forge_rebind(struct forge *f)
{
    make_right(f, true);
}

void forge_strip(struct forge *f)
{
    for (int i = f->n - 1; i >= 0; i--)
        if (f->parts[i].signature)
            forge_remove(f, i);
}
