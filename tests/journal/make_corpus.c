/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_corpus DIR HISTORIES: the corruption corpus as files, a directory a case, and in
 * DIR/NAME/case what the case is and what our verifier says of it, for
 * tests/journal/second_reader.py. DP_CORPUS_SEED: of what is drawn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "corpus.h"

#define RANDOM_HISTORIES 200
#define FLIPS            120

static struct corpus c;

static void hex(FILE *f, const char *name, const uint8_t *p, size_t n)
{
    (void)fprintf(f, "%s ", name);
    for (size_t i = 0; i < n; i++)
        (void)fprintf(f, "%02x", p[i]);
    (void)fprintf(f, "\n");
}

static FILE *file(const char *dir, const char *name)
{
    char path[512];
    FILE *f;
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "wbe");
    DP_ASSERT(f != NULL);
    return f;
}

/* ---- the files ---- */

static void write_node(const char *dir, const struct node *n)
{
    FILE *f = file(dir, n->name);
    DP_ASSERT(fwrite(n->data, 1, n->n, f) == n->n);
    DP_ASSERT(fclose(f) == 0);
}

static void write_segments(const char *dir)
{
    const struct memstore *m = &c.w.mem;
    char path[400];
    for (int i = 1; i < m->nodes_n; i++) {
        const struct node *n = &m->nodes[i];
        bool top = n->is_dir && n->here && n->parent == 0;
        if (!top || strlen(n->name) != 32)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", dir, n->name);
        DP_ASSERT(mkdir(path, 0700) == 0);
        for (int k = 1; k < m->nodes_n; k++)
            if (m->nodes[k].here && m->nodes[k].parent == i &&
                strncmp(m->nodes[k].name, "seg-", 4) == 0)
                write_node(path, &m->nodes[k]);
    }
}

/* ---- what our verifier says ---- */

static void one_result(FILE *f, const char *mode, const struct dp_verify_options *o)
{
    struct dp_store store = memstore_store(&c.w.mem);
    struct dp_verify_result v;
    int err = dp_journal_verify(&store, o, NULL, NULL, &v);
    if (err != DP_OK) {
        (void)fprintf(f, "result %s error %s\n", mode, dp_strerr(err));
        return;
    }
    (void)fprintf(f, "result %s %d %s %u %llu %lld %llu %llu %llu %d\n", mode, (int)v.verdict,
                  v.rule != NULL ? v.rule : "-", v.segment, (unsigned long long)v.offset,
                  v.has_seq ? (long long)v.seq : -1, (unsigned long long)v.records,
                  (unsigned long long)v.checkpoints, (unsigned long long)v.signed_size,
                  v.torn_tail);
}

static void results(FILE *f)
{
    struct dp_verify_options o;
    memset(&o, 0, sizeof o);
    o.has_identity = c.has_identity;
    memcpy(o.identity, c.known.identity, sizeof o.identity);
    if (o.has_identity)
        hex(f, "identity", o.identity, sizeof o.identity);
    o.has_collector = c.known.has_collector;
    memcpy(o.collector, c.known.collector, sizeof o.collector);
    if (o.has_collector)
        hex(f, "collector", o.collector, sizeof o.collector);
    one_result(f, "alone", &o);
    if (c.known.has_anchor)
        memcpy(o.anchor, c.known.anchor, sizeof o.anchor);
    else
        DP_ASSERT(dp_hsm_anchor_read(c.w.hsm, o.anchor) == DP_OK);
    hex(f, "anchor", o.anchor, sizeof o.anchor);
    o.has_anchor = true;
    one_result(f, "anchor", &o);
    if (!c.has_head)
        return;
    o.has_anchor = false;
    o.has_head = true;
    o.head_size = c.known.head_size;
    memcpy(o.head_root, c.known.head_root, sizeof o.head_root);
    memcpy(o.head_anchor, c.known.head_anchor, sizeof o.head_anchor);
    memcpy(o.head_journal, c.known.head_journal, sizeof o.head_journal);
    (void)fprintf(f, "size %llu\n", (unsigned long long)o.head_size);
    hex(f, "root", o.head_root, sizeof o.head_root);
    hex(f, "head_anchor", o.head_anchor, sizeof o.head_anchor);
    hex(f, "head_journal", o.head_journal, sizeof o.head_journal);
    one_result(f, "head", &o);
}

static void write_case(const char *root, const char *name, const char *expected)
{
    char dir[256];
    FILE *f;
    (void)snprintf(dir, sizeof dir, "%s/%s", root, name);
    DP_ASSERT(mkdir(dir, 0700) == 0);
    write_segments(dir);
    f = file(dir, "case");
    (void)fprintf(f, "expected %s\n", expected);
    results(f);
    DP_ASSERT(fclose(f) == 0);
}

/* ---- the cases ---- */

static void named(const char *root)
{
    char expected[64];
    for (size_t i = 0; i < corpus_cases_n; i++) {
        const struct corpus_case *k = &corpus_cases[i];
        corpus_begin(&c);
        k->change(&c);
        (void)snprintf(expected, sizeof expected, "%d %s", (int)k->verdict,
                       k->rule != NULL ? k->rule : "-");
        write_case(root, k->name, expected);
        corpus_end(&c);
    }
}

static void histories(const char *root, const char *path)
{
    char name[32], line[128];
    unsigned n = 0;
    FILE *f = fopen(path, "re");
    DP_ASSERT(f != NULL);
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#')
            continue;
        corpus_begin(&c);
        corpus_history(&c, line);
        (void)snprintf(name, sizeof name, "history-%03u", n++);
        write_case(root, name, "any");
    }
    DP_ASSERT(n > 100);
    (void)fclose(f);
}

/* A third of them; which, the seed says. */
static void pairs(const char *root, uint64_t seed)
{
    char name[32];
    for (size_t i = 0; i < corpus_pairs_n; i++) {
        if (i % 3 != seed % 3)
            continue;
        corpus_begin(&c);
        if (!corpus_pair(&c, i))
            continue;
        (void)snprintf(name, sizeof name, "pair-%03zu", i);
        write_case(root, name, "any"); /* one may undo the other */
    }
}

static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

static void random_histories(const char *root, uint64_t seed)
{
    static const char *const steps[] = {"Qo1",  "Qa1",  "Qd1", "Qo3", "Qd3",  "Oo1",  "Or1", "Oo3",
                                        "Of1",  "Of3",  "Od0", "On0", "On1",  "R2<1", "V",   "F11",
                                        "F21",  "F32",  "F42", "Fc1", "R4<1", "I",    "F41", "F13",
                                        "R4<3", "R2<3", "F34", "Qd5", "F40",  "Qe1",  "Fa1"};
    char name[32], text[128];
    uint64_t state = seed * 2654435761u + 88172645463325252u;
    for (unsigned i = 0; i < RANDOM_HISTORIES; i++) {
        size_t n = 3 + draw(&state) % 5, used;
        used = (size_t)snprintf(text, sizeof text, "I");
        while (n-- > 0)
            used += (size_t)snprintf(text + used, sizeof text - used, " %s",
                                     steps[draw(&state) % (sizeof steps / sizeof steps[0])]);
        corpus_begin(&c);
        corpus_history(&c, text);
        (void)snprintf(name, sizeof name, "random-%03u", i);
        write_case(root, name, "any");
    }
}

/* One bit is another, all over what is used of the segment and a little behind it. */
static void flips(const char *root)
{
    char name[32];
    struct node *s;
    size_t used;
    corpus_begin(&c);
    s = memstore_segment(&c.w.mem, 1);
    for (used = s->n; s->data[used - 1] == 0; used--)
        ;
    for (size_t i = 0; i < FLIPS; i++) {
        size_t at = i * (used + 64) / FLIPS;
        s->data[at] ^= (uint8_t)(1u << i % 8);
        (void)snprintf(name, sizeof name, "flip-%03zu", i);
        write_case(root, name, "bad");
        s->data[at] ^= (uint8_t)(1u << i % 8);
    }
}

int main(int argc, char **argv)
{
    const char *text = getenv("DP_CORPUS_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 1;
    if (argc != 3)
        return 2;
    dp_log_set(NULL, NULL, DP_LOG_ERROR);
    corpus_make(&c);
    named(argv[1]);
    pairs(argv[1], seed);
    histories(argv[1], argv[2]);
    random_histories(argv[1], seed);
    flips(argv[1]);
    corpus_remove(&c);
    return 0;
}
