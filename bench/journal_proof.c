/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_proof [DIR] [ROUNDS] [RECORDS]: what a proof of a journal of RECORDS (usually 1,000,000)
 * costs. The journal is made in DIR by the writer, a checkpoint every 50,000 records and a last one
 * over all. JSON: raw_ns, the hashing that such a proof is about and no more: a record of this size
 * and a node for each hash of the path; prove_ns, dp_prover_inclusion of a record drawn anew each
 * time: index open and in the page cache, path and hash read from it, folded up to the signed root,
 * written as the file's bytes; consistency_ns, likewise dp_prover_consistency; check_ns,
 * dp_proof_read and dp_proof_check, two P-256 verifications among it. These take turns; each is the
 * median of ROUNDS; prove_p99_ns is what 99 of 100 stay within. Beside it, once each: index_ms,
 * making the index, which verifies the whole journal; open_us, dp_prover_open with the index there;
 * and the largest proof_bytes seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <doorpay/journal.h>
#include <psa/crypto.h>

#include "measure.h"

#define ROUNDS_MAX       2000
#define ROUNDS_USUAL     1000
#define RECORDS_USUAL    1000000
#define CHECKPOINT_EVERY 128 /* records that a batch has place for */

enum part {
    RAW,
    PROVE,
    CONSISTENCY,
    CHECK,
    PARTS
};

struct bench {
    char dir[256];
    uint64_t records, random;
    struct dp_store journal, index;
    struct dp_hsm *hsm;
    struct dp_prover *prover;
    uint8_t identity[1][65], proof[DP_PROOF_BYTES_MAX], record[4096];
    size_t proof_n, record_n, most_n;
    int64_t took[PARTS][ROUNDS_MAX];
    int64_t index_ns, open_ns;
};

static uint64_t draw(struct bench *b, uint64_t below)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return (b->random >> 11) % below;
}

/* ---- the journal ---- */

static int append_one(struct dp_journal *j, uint64_t i)
{
    struct dp_record r;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_EVIDENCE;
    r.has_tx = r.has_digest = true;
    memcpy(r.tx, &i, sizeof i);
    memcpy(r.tid, "T0000001", 9);
    memcpy(r.parcel, "RR123456785DE", 14);
    memset(r.text, 'x', 40);
    return dp_journal_append(j, &r);
}

static int append_all(struct bench *b, struct dp_journal *j)
{
    int err = DP_OK;
    /* OPEN and its checkpoint are there; the last checkpoint covers what stands before it */
    for (uint64_t i = 2, since = 0; err == DP_OK && i < b->records; i++) {
        err = append_one(j, i);
        if (err == DP_OK && ++since == CHECKPOINT_EVERY && i + 2 < b->records) {
            err = dp_journal_checkpoint(j);
            since = 0;
            i++;
        }
    }
    return err == DP_OK ? dp_journal_checkpoint(j) : err;
}

static int make_journal(struct bench *b)
{
    struct dp_journal_config c = {.clock = dp_clock_system(), .random = dp_random_system()};
    struct dp_journal_opened opened;
    struct dp_journal *j = NULL;
    char uri[320];
    int err;
    (void)snprintf(uri, sizeof uri, "soft:%s/token", b->dir);
    err = dp_hsm_provision(uri);
    if (err == DP_OK)
        err = dp_hsm_open(uri, &b->hsm);
    c.store = b->journal;
    c.hsm = b->hsm;
    if (err == DP_OK)
        err = dp_journal_open(&c, NULL, NULL, &opened, &j);
    if (err == DP_OK)
        err = append_all(b, j);
    dp_journal_free(&j);
    return err == DP_OK ? dp_hsm_public(b->hsm, DP_KEY_JOURNAL_IDENTITY, b->identity[0]) : err;
}

static bool begin(struct bench *b)
{
    struct dp_prover_config c = {.index_name = "tree"};
    char path[320];
    int64_t start;
    (void)snprintf(path, sizeof path, "%s/journals", b->dir);
    if (mkdir(path, 0700) != 0 || dp_store_fs_open(path, &b->journal) != DP_OK ||
        dp_store_fs_open(b->dir, &b->index) != DP_OK || make_journal(b) != DP_OK)
        return false;
    c.journal = b->journal;
    c.index = b->index;
    c.size = b->records;
    start = measure_now_ns();
    if (dp_prover_open(&c, &b->prover) != DP_OK)
        return false;
    b->index_ns = measure_now_ns() - start;
    dp_prover_free(&b->prover);
    start = measure_now_ns();
    if (dp_prover_open(&c, &b->prover) != DP_OK)
        return false;
    b->open_ns = measure_now_ns() - start;
    return dp_prover_record(b->prover, b->records / 2, b->record, sizeof b->record, &b->record_n) ==
           DP_OK;
}

static void end(struct bench *b)
{
    char command[320];
    dp_prover_free(&b->prover);
    dp_hsm_free(&b->hsm);
    dp_store_fs_free(&b->journal);
    dp_store_fs_free(&b->index);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", b->dir);
    if (system(command) != 0)
        (void)fprintf(stderr, "journal_proof: %s is left behind\n", b->dir);
}

/* ---- what is measured ---- */

static bool hash(const uint8_t *p, size_t n, uint8_t out[32])
{
    size_t got;
    return psa_hash_compute(PSA_ALG_SHA_256, p, n, out, 32, &got) == PSA_SUCCESS;
}

/* As many hashes as the last proof has, of a node's size; below 0: it failed. */
static int64_t raw(struct bench *b)
{
    static uint8_t node[65];
    struct dp_proof proof;
    bool good = dp_proof_read(b->proof, b->proof_n, &proof) == DP_OK;
    int64_t start = measure_now_ns();
    good = good && hash(b->record, b->record_n, node + 1);
    for (unsigned i = 0; good && i < proof.path_n; i++)
        good = hash(node, sizeof node, node + 1);
    return good ? measure_now_ns() - start : -1;
}

static bool round_of(struct bench *b, unsigned i)
{
    static struct dp_proof proof;
    const char *rule;
    uint64_t older = 1 + draw(b, b->records - 1), seq = draw(b, b->records);
    int64_t start = measure_now_ns();
    if (dp_prover_consistency(b->prover, older, b->proof, sizeof b->proof, &b->proof_n) != DP_OK)
        return false;
    b->took[CONSISTENCY][i] = measure_now_ns() - start;
    start = measure_now_ns();
    if (dp_prover_inclusion(b->prover, seq, b->proof, sizeof b->proof, &b->proof_n) != DP_OK)
        return false;
    b->took[PROVE][i] = measure_now_ns() - start;
    if (b->proof_n > b->most_n)
        b->most_n = b->proof_n;
    start = measure_now_ns();
    if (dp_proof_read(b->proof, b->proof_n, &proof) != DP_OK ||
        dp_proof_check(&proof, (const uint8_t(*)[65])b->identity, 1, NULL, &rule) != DP_OK)
        return false;
    b->took[CHECK][i] = measure_now_ns() - start;
    b->took[RAW][i] = raw(b);
    return b->took[RAW][i] >= 0;
}

static void print(struct bench *b, unsigned rounds)
{
    long long median[PARTS];
    for (int i = 0; i < PARTS; i++)
        median[i] = (long long)measure_median(b->took[i], rounds);
    (void)printf(
        "{\"bench\": \"journal_proof\", \"rounds\": %u, \"records\": %llu, \"raw_ns\": %lld, "
        "\"prove_ns\": %lld, \"consistency_ns\": %lld, \"check_ns\": %lld, "
        "\"prove_percent\": %lld, \"prove_p99_ns\": %lld, \"proof_bytes\": %zu, \"open_us\": "
        "%lld, "
        "\"index_ms\": %lld}\n",
        rounds, (unsigned long long)b->records, median[RAW], median[PROVE], median[CONSISTENCY],
        median[CHECK], median[RAW] > 0 ? median[PROVE] * 100 / median[RAW] : 0,
        (long long)b->took[PROVE][rounds - 1 - rounds / 100],
        b->most_n, /* measure_median sorted them */
        (long long)(b->open_ns / 1000), (long long)(b->index_ns / 1000000));
}

int main(int argc, char **argv)
{
    static struct bench b;
    const char *tmp = getenv("TMPDIR");
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : ROUNDS_USUAL;
    bool good;
    b.records = argc > 3 ? strtoull(argv[3], NULL, 10) : RECORDS_USUAL;
    b.random = 88172645463325252u;
    (void)snprintf(b.dir, sizeof b.dir, "%s/dp-bench-XXXXXX",
                   argc > 1      ? argv[1]
                   : tmp != NULL ? tmp
                                 : "/tmp");
    if (rounds < 1 || rounds > ROUNDS_MAX || b.records < 100 || mkdtemp(b.dir) == NULL) {
        (void)fprintf(stderr, "usage: journal_proof [DIR] [ROUNDS] [RECORDS], ROUNDS at most %d\n",
                      ROUNDS_MAX);
        return 2;
    }
    good = begin(&b);
    for (unsigned i = 0; good && i < rounds; i++)
        good = round_of(&b, i);
    end(&b);
    if (!good) {
        (void)fprintf(stderr, "journal_proof: the measurement failed\n");
        return 1;
    }
    print(&b, rounds);
    return 0;
}
