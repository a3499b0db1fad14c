/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_proofs: proofs of a journal, and damaged ones, with what our checker says of each, for
 * tests/journal/second_proofs.py. Lines: "identity HEX"; "case WHAT PROOF RECORD HEAD RULE", hex or
 * "-", the head as journal, size in 16 digits and root, RULE "PROVEN" when none fired.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "proofs.h"

static struct proofs p;

static void hex(const uint8_t *b, size_t n)
{
    (void)putchar(' ');
    for (size_t i = 0; i < n; i++)
        (void)printf("%02x", b[i]);
    if (n == 0)
        (void)putchar('-');
}

struct head {
    uint8_t journal[16], root[32];
    uint64_t size;
};

static const char *verdict(const struct proof_file *f, struct dp_bytes record,
                           const struct head *head)
{
    static struct dp_proof proof;
    uint8_t bytes[DP_PROOF_BYTES_MAX];
    const uint8_t *at = f->p;
    const char *rule = NULL;
    size_t n = f->n;
    int err = DP_OK;
    if (n > 0 && at[0] == 'D') {
        err = dp_proof_from_text((const char *)f->p, f->n, bytes, sizeof bytes, &n);
        at = bytes;
    }
    if (err != DP_OK || dp_proof_read(at, n, &proof) != DP_OK)
        return "proof-format";
    err = dp_proof_check(&proof, (const uint8_t(*)[65])p.identity, 1, NULL, &rule);
    if (err == DP_OK && record.p != NULL)
        err = dp_proof_check_record(&proof, record, &rule);
    if (err == DP_OK && head != NULL)
        err = dp_proof_check_head(&proof, head->journal, head->size, head->root, &rule);
    DP_ASSERT((err == DP_OK) == (rule == NULL));
    return err == DP_OK ? "PROVEN" : rule;
}

static void put_case(const char *what, const struct proof_file *f, struct dp_bytes record,
                     const struct head *head)
{
    (void)printf("case %s", what);
    hex(f->p, f->n);
    hex(record.p, record.p != NULL ? record.n : 0);
    if (head != NULL) {
        hex(head->journal, sizeof head->journal);
        (void)printf("%016llx", (unsigned long long)head->size);
        for (size_t i = 0; i < sizeof head->root; i++)
            (void)printf("%02x", head->root[i]);
    } else {
        (void)printf(" -");
    }
    (void)printf(" %s\n", verdict(f, record, head));
}

static void put_alone(const char *what, const struct proof_file *f)
{
    put_case(what, f, (struct dp_bytes){NULL, 0}, NULL);
}

static void put_with_record(uint64_t seq, const struct proof_file *f)
{
    uint8_t record[DP_JOURNAL_RECORD_MAX];
    size_t n = 0;
    DP_ASSERT(dp_prover_record(p.prover, seq, record, sizeof record, &n) == DP_OK);
    put_case("good", f, (struct dp_bytes){record, n}, NULL);
    record[n / 2] ^= 4;
    put_case("bad", f, (struct dp_bytes){record, n}, NULL);
}

static void put_with_head(const struct proof_file *f)
{
    struct dp_proof proof;
    struct head h;
    DP_ASSERT(dp_proof_read(f->p, f->n, &proof) == DP_OK);
    memcpy(h.journal, proof.journal, sizeof h.journal);
    memcpy(h.root, proof.hash, sizeof h.root);
    h.size = proof.index;
    put_case("good", f, (struct dp_bytes){NULL, 0}, &h);
    h.size++;
    put_case("bad", f, (struct dp_bytes){NULL, 0}, &h);
    h.size--;
    h.root[8] ^= 1;
    put_case("bad", f, (struct dp_bytes){NULL, 0}, &h);
    h.root[8] ^= 1;
    h.journal[8] ^= 1;
    put_case("bad", f, (struct dp_bytes){NULL, 0}, &h);
}

static void put_text(const struct proof_file *f)
{
    char text[DP_PROOF_TEXT_MAX];
    struct proof_file t;
    DP_ASSERT(dp_proof_to_text(f->p, f->n, text, sizeof text) == DP_OK);
    t.n = strlen(text);
    memcpy(t.p, text, t.n);
    put_alone("good", &t);
    for (size_t i = 0; i < t.n; i += 37) {
        t.p[i] ^= 1;
        put_alone("bad", &t);
        t.p[i] ^= 1;
    }
}

static void put_flips(const struct proof_file *f, size_t step)
{
    struct proof_file bad = *f;
    for (size_t i = 0; i < bad.n; i += step) {
        bad.p[i] ^= (uint8_t)(1u << i % 8);
        put_alone("bad", &bad);
        bad.p[i] ^= (uint8_t)(1u << i % 8);
    }
    for (bad.n = 0; bad.n < f->n; bad.n += 61)
        put_alone("bad", &bad);
    bad = *f;
    bad.p[bad.n++] = 0;
    put_alone("bad", &bad);
}

static void put_damages(const struct proof_file *f, const struct proof_file *other)
{
    struct dp_proof proof, second;
    struct proof_file bad;
    DP_ASSERT(dp_proof_read(f->p, f->n, &proof) == DP_OK);
    DP_ASSERT(dp_proof_read(other->p, other->n, &second) == DP_OK);
    for (unsigned i = 0; proofs_damage(i, &proof, &second, &bad) != NULL; i++)
        put_alone("bad", &bad);
}

int main(void)
{
    struct proof_file f, other, inclusion = {.n = 0}, consistency = {.n = 0};
    uint64_t size;
    proofs_make(&p);
    DP_ASSERT(proofs_open(&p, 1) == DP_OK && proofs_inclusion(&p, 0, &other) == DP_OK);
    (void)printf("identity");
    hex(p.identity[0], sizeof p.identity[0]);
    (void)printf("\n");
    put_alone("good", &other);
    DP_ASSERT(proofs_open(&p, PROOFS_EPOCH_1) == DP_OK && proofs_inclusion(&p, 0, &other) == DP_OK);
    put_alone("good", &other);
    DP_ASSERT(proofs_open(&p, 0) == DP_OK);
    size = dp_prover_size(p.prover);
    for (uint64_t i = 0; i < size; i++) {
        DP_ASSERT(proofs_inclusion(&p, i, &f) == DP_OK);
        put_with_record(i, &f);
        if (i == 5)
            inclusion = f;
        if (i == 0)
            continue;
        DP_ASSERT(proofs_consistency(&p, i, &f) == DP_OK);
        put_with_head(&f);
        if (i == 11)
            consistency = f;
    }
    put_text(&inclusion);
    put_flips(&inclusion, 1);
    put_flips(&consistency, 5);
    put_damages(&inclusion, &other);
    put_damages(&consistency, &other);
    p.identity[0][40] ^= 1; /* of another device */
    put_alone("good", &inclusion);
    proofs_remove(&p);
    return 0;
}
