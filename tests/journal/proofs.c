/* SPDX-License-Identifier: Apache-2.0 */
#include "proofs.h"

#include <string.h>

#include "base/assert.h"

void proofs_make(struct proofs *p)
{
    struct dp_verify_result v;
    memset(p, 0, sizeof *p);
    world_make(&p->w);
    memstore_init(&p->index);
    DP_ASSERT(world_open(&p->w) == DP_OK);
    for (uint32_t i = 1; i <= 9; i++) {
        DP_ASSERT((i % 2 != 0 ? pay_online(p->w.j, i) : pay_no_answer(p->w.j, i)) == DP_OK);
        if (i == 4)
            DP_ASSERT(dp_journal_rotate(p->w.j) == DP_OK);
    }
    world_close(&p->w);
    verify_mem(&p->w, true, &v);
    DP_ASSERT(v.verdict == DP_VERDICT_FRESH);
    p->newest = v.signed_size - 1;
    DP_ASSERT(dp_hsm_public(p->w.hsm, DP_KEY_JOURNAL_IDENTITY, p->identity[0]) == DP_OK);
    p->config.journal = memstore_store(&p->w.mem);
    p->config.index = memstore_store(&p->index);
    p->config.index_name = "tree";
}

void proofs_remove(struct proofs *p)
{
    dp_prover_free(&p->prover);
    memstore_free(&p->index);
    world_remove(&p->w);
}

int proofs_open(struct proofs *p, uint64_t size)
{
    dp_prover_free(&p->prover);
    p->config.size = size;
    p->config.covers = p->newest;
    return dp_prover_open(&p->config, &p->prover);
}

int proofs_inclusion(struct proofs *p, uint64_t seq, struct proof_file *out)
{
    return dp_prover_inclusion(p->prover, seq, out->p, sizeof out->p, &out->n);
}

int proofs_consistency(struct proofs *p, uint64_t older, struct proof_file *out)
{
    return dp_prover_consistency(p->prover, older, out->p, sizeof out->p, &out->n);
}

/* ---- damage ---- */

static void index_up(struct dp_proof *p, const struct dp_proof *other)
{
    (void)other;
    p->index++;
}

static void index_down(struct dp_proof *p, const struct dp_proof *other)
{
    (void)other;
    p->index--;
}

static void index_out(struct dp_proof *p, const struct dp_proof *other)
{
    (void)other;
    p->index = p->size;
}

static void index_huge(struct dp_proof *p, const struct dp_proof *other)
{
    (void)other;
    p->index = UINT64_MAX;
}

static void size_up(struct dp_proof *p, const struct dp_proof *other)
{
    (void)other;
    p->size++;
}

static void size_of_other(struct dp_proof *p, const struct dp_proof *other)
{
    p->size = other->size;
}

static void path_longer(struct dp_proof *p, const struct dp_proof *other)
{
    (void)other;
    memset(p->path[p->path_n++], 9, 32);
}

static void path_shorter(struct dp_proof *p, const struct dp_proof *other)
{
    (void)other;
    p->path_n--;
}

static void path_none(struct dp_proof *p, const struct dp_proof *other)
{
    (void)other;
    p->path_n = 0;
}

static void path_full(struct dp_proof *p, const struct dp_proof *other)
{
    (void)other;
    p->path_n = DP_PROOF_PATH_MAX;
}

static void path_turned(struct dp_proof *p, const struct dp_proof *other)
{
    uint8_t kept[32];
    (void)other;
    memcpy(kept, p->path[0], sizeof kept);
    memcpy(p->path[0], p->path[1], sizeof kept);
    memcpy(p->path[1], kept, sizeof kept);
}

static void hash_other(struct dp_proof *p, const struct dp_proof *other)
{
    memcpy(p->hash, other->hash, sizeof p->hash);
}

static void kind_other(struct dp_proof *p, const struct dp_proof *other)
{
    (void)other;
    p->kind = p->kind == DP_PROOF_INCLUSION ? DP_PROOF_CONSISTENCY : DP_PROOF_INCLUSION;
}

static void kid_other(struct dp_proof *p, const struct dp_proof *other)
{
    memcpy(p->kid, other->kid, sizeof p->kid);
}

static void certificate_other(struct dp_proof *p, const struct dp_proof *other)
{
    p->certificate = other->certificate;
}

static void certificate_none(struct dp_proof *p, const struct dp_proof *other)
{
    (void)other;
    p->certificate.n = 0;
}

static void certificate_body(struct dp_proof *p, const struct dp_proof *other)
{
    (void)other;
    p->certificate = p->body;
}

static void body_other(struct dp_proof *p, const struct dp_proof *other)
{
    p->body = other->body;
}

static void body_none(struct dp_proof *p, const struct dp_proof *other)
{
    (void)other;
    p->body.n = 0;
}

static void body_certificate(struct dp_proof *p, const struct dp_proof *other)
{
    (void)other;
    p->body = p->certificate;
}

static void signature_other(struct dp_proof *p, const struct dp_proof *other)
{
    p->signature = other->signature;
}

static void checkpoint_other(struct dp_proof *p, const struct dp_proof *other)
{
    p->body = other->body;
    p->signature = other->signature;
    p->size = other->size;
    memcpy(p->kid, other->kid, sizeof p->kid);
    p->certificate = other->certificate;
}

static const struct {
    const char *rule;
    void (*change)(struct dp_proof *p, const struct dp_proof *other);
} damages[] = {
    {"tree-root", index_up},
    {"tree-root", index_down},
    {"proof-size", index_out},
    {"proof-size", index_huge},
    {"proof-size", size_up},
    {"proof-size", size_of_other},
    {"tree-root", path_longer},
    {"tree-root", path_shorter},
    {"tree-root", path_none},
    {"tree-root", path_full},
    {"tree-root", path_turned},
    {"tree-root", hash_other},
    {"tree-root", kind_other},
    {"signature-key", kid_other},
    {"signature-key", certificate_other},
    {"epoch-certificate", certificate_none},
    {"epoch-certificate", certificate_body},
    {"proof-size", body_other},
    {"proof-format", body_none},
    {"proof-format", body_certificate},
    {"signature-invalid", signature_other},
    {"tree-root", checkpoint_other},
};

const char *proofs_damage(unsigned nth, const struct dp_proof *proof, const struct dp_proof *other,
                          struct proof_file *out)
{
    struct dp_proof bad = *proof;
    if (nth >= sizeof damages / sizeof damages[0])
        return NULL;
    damages[nth].change(&bad, other);
    DP_ASSERT(dp_proof_write(&bad, out->p, sizeof out->p, &out->n) == DP_OK);
    return damages[nth].rule;
}
