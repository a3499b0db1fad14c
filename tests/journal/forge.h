/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An insider's tool: a journal taken apart into its frames, changed, and put together again with
 * every check sum right, and on wish every hash too. What it has not is the token.
 */
#ifndef DP_TESTS_JOURNAL_FORGE_H
#define DP_TESTS_JOURNAL_FORGE_H

#include "memstore.h"

#define FORGE_PARTS_MAX 400

struct forge_part {
    uint8_t payload[4096];
    size_t n;
    bool signature, starts_batch;
};

struct forge {
    struct forge_part parts[FORGE_PARTS_MAX];
    int n;
    struct dp_record record; /* of forge_edit */
};

/* Takes the frames of every segment. */
void forge_load(struct forge *f, struct memstore *m);
/* Puts them into the first segment, which must hold them; the other segments are gone. */
void forge_store(const struct forge *f, struct memstore *m);
/* The nth (from 0) record of a type, or signature frame. */
int forge_find(const struct forge *f, enum dp_record_type type, int nth);
int forge_signature(const struct forge *f, int nth);
void forge_remove(struct forge *f, int i);
void forge_swap(struct forge *f, int i, int k);
/* A copy of part i of another journal put before part at. */
void forge_insert(struct forge *f, int at, const struct forge_part *part);
/* The record of part i, to be changed and put back. */
struct dp_record *forge_edit(struct forge *f, int i);
void forge_put(struct forge *f, int i);
/* seq and prev of every record made right. */
void forge_rechain(struct forge *f);
/* And the totals, and the body of every checkpoint with them. */
void forge_rebind(struct forge *f);
void forge_strip(struct forge *f); /* all signature frames */

#endif
