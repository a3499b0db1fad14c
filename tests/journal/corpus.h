/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The corruption corpus: a journal of the real writer, changed in every way that a rule of
 * docs/PROTOCOL.journal, 8, is about, and in ways that are honest.
 */
#ifndef DP_TESTS_JOURNAL_CORPUS_H
#define DP_TESTS_JOURNAL_CORPUS_H

#include "forge.h"
#include "world.h"

struct corpus {
    struct world w;
    struct memstore base;
    struct forge f, kept;
    bool has_head, has_identity;
    struct dp_verify_options known; /* a head, an identity or collector's key, another token's
                                       anchor: if any */
};

struct corpus_case {
    const char *name, *rule; /* rule NULL: none fires */
    enum dp_verdict verdict; /* with the head when there is one, else with the token's anchor */
    void (*change)(struct corpus *c);
};

extern const struct corpus_case corpus_cases[];
extern const size_t corpus_cases_n;

/* Three payments in one segment; the state that every case begins with. */
void corpus_make(struct corpus *c);
void corpus_begin(struct corpus *c);
void corpus_end(struct corpus *c);
void corpus_remove(struct corpus *c);
/* The nth pair of changes; false: there is none with that number. */
bool corpus_pair(struct corpus *c, size_t n);
extern const size_t corpus_pairs_n;
/* A journal with this history of a transaction (history.h) in it: no signature covers it, nothing
 * else is wrong. */
void corpus_history(struct corpus *c, const char *history);

#endif
