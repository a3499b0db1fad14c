/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay journal prove, doorpay journal check PROOF: docs/PROTOCOL.journal, 9. */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/limits.h"
#include "cli.h"
#include "file.h"
#include "journal_words.h"
#include "qr.h"

#define TRUSTED_MAX 64
#define INDEX_NAME  "tree.dpi"

struct proof_options {
    const char *words[2], *out, *record, *qr, *index, *from, *to, *head;
    const char *trust[TRUSTED_MAX];
    unsigned words_n, trust_n;
    bool json;
};

static int usage(FILE *to, int status)
{
    (void)fprintf(
        to,
        "usage: doorpay journal prove SEQ [DIR] [OPTION...]\n"
        "       doorpay journal prove --from SIZE [--to SIZE] [DIR] [OPTION...]\n"
        "       doorpay journal check PROOF --trust FILE... [--record FILE] [--head FILE] "
        "[--json]\n\n"
        "prove makes a proof from a journal's files alone; without an option it is printed as\n"
        "text. DIR is a journal's directory or the one above it, else the one you stand in.\n"
        "  SEQ            that this record stands where it does\n"
        "  --from SIZE    that the journal begins with the first SIZE records, as it did then\n"
        "  --to SIZE      the signed checkpoint over SIZE records; else the newest\n"
        "  --out FILE     the proof, into a new file\n"
        "  --record FILE  the record that it is about, into a new file\n"
        "  --qr text|svg  the proof as a QR code\n"
        "  --index FILE   keeps the tree's hashes, so that the next proof need not read all;\n"
        "                 proofs lead to the checkpoint it was made with\n"
        "  --json         the proof in hex and as text\n\n"
        "check needs the proof (a file, its text, or - for standard input) and nothing else but\n"
        "  --trust FILE   a device's identity key, the uncompressed point in hex; may be repeated\n"
        "  --record FILE  the record must be this one\n"
        "  --head FILE    the proof must begin with what this head was made of\n"
        "Exit status of check: 0 proven, 1 not, 2 wrong usage.\n");
    return status;
}

static bool take_option(struct proof_options *o, const char *name, const char *value)
{
    const struct {
        const char *name;
        const char **at;
    } table[] = {{"--out", &o->out},     {"--record", &o->record}, {"--qr", &o->qr},
                 {"--index", &o->index}, {"--from", &o->from},     {"--to", &o->to},
                 {"--head", &o->head}};
    if (strcmp(name, "--trust") == 0 && o->trust_n < TRUSTED_MAX) {
        o->trust[o->trust_n++] = value;
        return true;
    }
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(name, table[i].name) == 0 && *table[i].at == NULL) {
            *table[i].at = value;
            return true;
        }
    return false;
}

static bool parse(int argc, char **argv, struct proof_options *o)
{
    memset(o, 0, sizeof *o);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (argv[i][0] == '-' && argv[i][1] != '\0' && i + 1 < argc) {
            if (!take_option(o, argv[i], argv[i + 1]))
                return false;
            i++;
        } else if ((argv[i][0] == '-' && argv[i][1] != '\0') || o->words_n == 2)
            return false;
        else
            o->words[o->words_n++] = argv[i];
    }
    return true;
}

/* As the journal's directory and JSON have it: lower case. */
static const char *lower_hex(const uint8_t *p, size_t n, char *out, size_t max)
{
    (void)dp_hex_encode(p, n, out, max);
    for (char *at = out; *at != '\0'; at++)
        if (*at >= 'A' && *at <= 'F')
            *at = (char)(*at - 'A' + 'a');
    return out;
}

/* ---- prove ---- */

struct proving {
    const struct proof_options *o;
    enum qr_form qr;
    bool inclusion;
    uint64_t seq, from, to;
    const char *dir;
    struct dp_prover *prover;
    uint8_t proof[DP_PROOF_BYTES_MAX], record[DP_JOURNAL_RECORD_MAX];
    size_t proof_n, record_n;
    char text[DP_PROOF_TEXT_MAX];
};

static bool plan(struct proving *p, const struct proof_options *o)
{
    unsigned used = 0;
    p->o = o;
    p->inclusion = o->from == NULL;
    if (p->inclusion && (o->words_n == 0 || !read_seq(o->words[used++], &p->seq)))
        return false;
    if (!read_seq(o->from, &p->from) || !read_seq(o->to, &p->to) || (o->to != NULL && p->to == 0))
        return false;
    p->dir = used < o->words_n ? o->words[used++] : ".";
    if (o->qr != NULL && strcmp(o->qr, "text") == 0)
        p->qr = QR_TEXT;
    else if (o->qr != NULL && strcmp(o->qr, "svg") == 0)
        p->qr = QR_SVG;
    else if (o->qr != NULL)
        return false;
    return used == o->words_n && o->trust_n == 0 && o->head == NULL &&
           (p->qr == QR_NONE || !o->json) && (p->inclusion || o->record == NULL);
}

static int open_prover(struct proving *p, const struct dp_store *journal,
                       const struct dp_store *index, const char *index_name)
{
    struct dp_prover_config c = {.journal = *journal, .index = *index, .index_name = index_name};
    int err;
    c.size = p->to;
    c.covers = (p->inclusion ? p->seq : p->from) + 1;
    err = dp_prover_open(&c, &p->prover);
    if (err == DP_ERR_NOT_FOUND)
        return complain(p->dir, p->to != 0 ? "there is no journal, or no signed checkpoint over "
                                             "exactly so many records (see journal show)"
                                           : "there is no journal, or no signed checkpoint that "
                                             "covers so many records");
    return err == DP_OK ? CLI_DONE : complain(p->dir, dp_strerr(err));
}

static int make_proof(struct proving *p)
{
    int err;
    if (p->inclusion)
        err = dp_prover_inclusion(p->prover, p->seq, p->proof, sizeof p->proof, &p->proof_n);
    else
        err = dp_prover_consistency(p->prover, p->from, p->proof, sizeof p->proof, &p->proof_n);
    if (err == DP_OK && p->o->record != NULL)
        err = dp_prover_record(p->prover, p->seq, p->record, sizeof p->record, &p->record_n);
    if (err == DP_OK)
        err = dp_proof_to_text(p->proof, p->proof_n, p->text, sizeof p->text);
    if (err == DP_ERR_TAMPERED && p->o->index != NULL)
        return complain(p->o->index, "does not lead to what the device signed: remove it");
    if (err == DP_ERR_RANGE)
        return complain(p->dir, "the checkpoint does not cover that, or it is nothing to prove");
    return err == DP_OK ? CLI_DONE : complain(p->dir, dp_strerr(err));
}

/* With the index where it was asked for, in a directory that exists. */
static int prove_with(struct proving *p, const struct dp_store *journal, const char *index)
{
    char *dir_copy = strdup(index), *name_copy = strdup(index);
    struct dp_store store = {NULL, NULL};
    int status = CLI_FAILED, err = DP_ERR_NOMEM;
    if (dir_copy != NULL && name_copy != NULL)
        err = dp_store_fs_open(dirname(dir_copy), &store);
    if (err != DP_OK)
        (void)complain(index, dp_strerr(err));
    else
        status = open_prover(p, journal, &store, basename(name_copy));
    if (status == CLI_DONE)
        status = make_proof(p);
    dp_prover_free(&p->prover);
    if (store.ops != NULL)
        dp_store_fs_free(&store);
    free(dir_copy);
    free(name_copy);
    return status;
}

static int prove_alone(struct proving *p, const struct dp_store *journal)
{
    char dir[256], index[300];
    const char *tmp = getenv("TMPDIR");
    int status;
    (void)snprintf(dir, sizeof dir, "%s/doorpay-proof-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL)
        return complain(dir, strerror(errno));
    (void)snprintf(index, sizeof index, "%s/" INDEX_NAME, dir);
    status = prove_with(p, journal, index);
    (void)unlink(index);
    (void)rmdir(dir);
    return status;
}

static int hand_over(const struct proving *p)
{
    const struct proof_options *o = p->o;
    json_t *said;
    int err = DP_OK;
    if (o->out != NULL)
        err = file_write_new_bytes(o->out, p->proof, p->proof_n);
    if (err == DP_OK && o->record != NULL)
        err = file_write_new_bytes(o->record, p->record, p->record_n);
    if (err == DP_OK && p->qr != QR_NONE)
        err = qr_print(stdout, p->text, p->qr);
    if (err == DP_ERR_UNSUPPORTED)
        return complain("--qr", "this doorpay was built without libqrencode");
    if (err != DP_OK)
        return CLI_FAILED;
    if (o->json) {
        char hex[2 * DP_PROOF_BYTES_MAX + 1];
        said = json_object();
        put_text(said, "kind", p->inclusion ? "inclusion" : "consistency");
        put_number(said, p->inclusion ? "seq" : "older_size", p->inclusion ? p->seq : p->from);
        put_number(said, "bytes", p->proof_n);
        put_text(said, "proof", lower_hex(p->proof, p->proof_n, hex, sizeof hex));
        put_text(said, "text", p->text);
        print_json(said, JSON_INDENT(2));
    } else if (o->out == NULL && p->qr == QR_NONE) {
        (void)puts(p->text);
    }
    return fflush(stdout) == 0 ? CLI_DONE : complain("standard output", strerror(errno));
}

int journal_prove(int argc, char **argv)
{
    static struct proving p;
    struct proof_options o;
    struct dp_store journal;
    int status, err;
    if (argc == 3 && strcmp(argv[2], "--help") == 0)
        return usage(stdout, CLI_DONE);
    if (!parse(argc, argv, &o) || !plan(&p, &o))
        return usage(stderr, CLI_USAGE);
    err = dp_store_fs_open(p.dir, &journal);
    if (err != DP_OK)
        return complain(p.dir, dp_strerr(err));
    status = o.index != NULL ? prove_with(&p, &journal, o.index) : prove_alone(&p, &journal);
    dp_store_fs_free(&journal);
    return status == CLI_DONE ? hand_over(&p) : status;
}

/* ---- check ---- */

struct checking {
    const struct proof_options *o;
    uint8_t file[DP_PROOF_TEXT_MAX], bytes[DP_PROOF_BYTES_MAX], record[DP_JOURNAL_RECORD_MAX];
    size_t n, record_n;
    uint8_t trusted[TRUSTED_MAX][65];
    struct dp_verify_options head;
    struct dp_proof proof;
    struct dp_record decoded;
    bool has_record; /* and decoded is what it says */
    uint32_t epoch;
    const char *rule;
};

static const char *why_not(const char *rule)
{
    static const struct {
        const char *rule, *words;
    } table[] = {
        {"proof-format", "it is no proof, or it was damaged"},
        {"proof-size", "the signed checkpoint is over another number of records"},
        {"epoch-certificate", "the device's identity key did not certify the key that signed"},
        {"identity-mismatch", "it is of another device than those that are trusted"},
        {"signature-key", "the checkpoint names another key than the certified one"},
        {"signature-invalid", "the checkpoint's signature is not valid"},
        {"tree-root", "it does not lead to the root that the device signed"},
        {"record-mismatch", "the record is not the one that the proof is about"},
        {"head-mismatch", "the head is not what the proof begins with"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(rule, table[i].rule) == 0)
            return table[i].words;
    return rule;
}

/* What is compared with, read before anything is said. */
static int read_given(struct checking *c)
{
    const struct proof_options *o = c->o;
    for (unsigned i = 0; i < o->trust_n; i++)
        if (file_read_point(o->trust[i], c->trusted[i]) != DP_OK)
            return CLI_FAILED;
    if (o->record != NULL &&
        file_read(o->record, c->record, sizeof c->record, &c->record_n) != DP_OK)
        return CLI_FAILED;
    if (o->head != NULL && read_head(o->head, &c->head) != CLI_DONE)
        return CLI_FAILED;
    return file_read(o->words[0], c->file, sizeof c->file, &c->n) == DP_OK ? CLI_DONE : CLI_FAILED;
}

static int read_proof(struct checking *c)
{
    const uint8_t *p = c->file;
    size_t n = c->n;
    int err = DP_OK;
    if (n > 0 && p[0] == 'D') { /* its text; a proof begins with a tag */
        err = dp_proof_from_text((const char *)c->file, c->n, c->bytes, sizeof c->bytes, &n);
        p = c->bytes;
    }
    return err == DP_OK ? dp_proof_read(p, n, &c->proof) : err;
}

static int check_all(struct checking *c)
{
    const struct proof_options *o = c->o;
    unsigned key;
    int err;
    if (read_proof(c) != DP_OK) {
        c->rule = "proof-format";
        return DP_ERR_FORMAT;
    }
    err = dp_proof_check(&c->proof, (const uint8_t(*)[65])c->trusted, o->trust_n, &c->epoch,
                         &c->rule);
    if (err == DP_OK && o->record != NULL) {
        err = dp_proof_check_record(&c->proof, (struct dp_bytes){c->record, c->record_n}, &c->rule);
        c->has_record =
            err == DP_OK && dp_record_decode(c->record, c->record_n, &c->decoded, &key) == DP_OK;
    }
    if (err == DP_OK && o->head != NULL)
        err = dp_proof_check_head(&c->proof, c->head.head_journal, c->head.head_size,
                                  c->head.head_root, &c->rule);
    return err;
}

static void words_of(const struct checking *c, char *out, size_t max)
{
    const struct dp_proof *p = &c->proof;
    char hash[65], journal[33], when[40];
    struct dp_date_time t;
    dp_date_time_from_ms((int64_t)p->wall_ms, 0, &t);
    (void)snprintf(when, sizeof when, "%04u-%02u-%02uT%02u:%02u:%02uZ", t.year, t.month, t.day,
                   t.hour, t.minute, t.second);
    (void)lower_hex(p->hash, sizeof p->hash, hash, sizeof hash);
    (void)lower_hex(p->journal, sizeof p->journal, journal, sizeof journal);
    if (p->kind == DP_PROOF_INCLUSION)
        (void)snprintf(out, max,
                       "%s%s is record %" PRIu64 " of journal %s, one of the %" PRIu64
                       " that the device signed for at %s in epoch %" PRIu32,
                       c->o->record != NULL ? c->o->record : "what hashes to ",
                       c->o->record != NULL ? "" : hash, p->index, journal, p->size, when,
                       c->epoch);
    else
        (void)snprintf(out, max,
                       "the %" PRIu64 " records of journal %s that the device signed for at %s in "
                       "epoch %" PRIu32 " begin with the %" PRIu64 " %s%s",
                       p->size, journal, when, c->epoch, p->index,
                       c->o->head != NULL ? "of the head " : "whose root is ",
                       c->o->head != NULL ? c->o->head : hash);
}

/* Nothing of a proof that proves nothing is repeated. */
static json_t *proof_json(const struct checking *c, int err, const char *words)
{
    const struct dp_proof *p = &c->proof;
    bool inclusion = p->kind == DP_PROOF_INCLUSION;
    json_t *o = json_object();
    put_text(o, "verdict", err == DP_OK ? "PROVEN" : "NOT PROVEN");
    put_text(o, "words", words);
    if (err != DP_OK) {
        put_text(o, "rule", c->rule != NULL ? c->rule : "");
        return o;
    }
    put_text(o, "kind", inclusion ? "inclusion" : "consistency");
    put_hex(o, "journal", p->journal, sizeof p->journal);
    put_number(o, inclusion ? "seq" : "older_size", p->index);
    put_hex(o, inclusion ? "leaf" : "older_root", p->hash, sizeof p->hash);
    put_number(o, "size", p->size);
    put_hex(o, "root", p->root, sizeof p->root);
    put_number(o, "wall_ms", p->wall_ms);
    put_number(o, "epoch", c->epoch);
    put_hex(o, "epoch_key", p->kid, sizeof p->kid);
    put_hex(o, "software", p->software, sizeof p->software);
    (void)json_object_set_new(o, "totals", totals_json(&p->totals));
    if (c->has_record)
        (void)json_object_set_new(o, "record", record_json(&c->decoded));
    return o;
}

int journal_check_proof(int argc, char **argv)
{
    static struct checking c;
    struct proof_options o;
    char words[512];
    int err;
    if (!parse(argc, argv, &o) || o.words_n != 1 || o.trust_n == 0 || o.out != NULL ||
        o.qr != NULL || o.index != NULL || o.from != NULL || o.to != NULL)
        return usage(stderr, CLI_USAGE);
    c.o = &o;
    if (read_given(&c) != CLI_DONE)
        return CLI_FAILED;
    err = check_all(&c);
    if (err == DP_OK)
        words_of(&c, words, sizeof words);
    else
        (void)snprintf(words, sizeof words, "%s",
                       c.rule != NULL ? why_not(c.rule) : dp_strerr(err));
    if (o.json) {
        print_json(proof_json(&c, err, words), JSON_INDENT(2));
    } else {
        (void)printf("%s: %s\n", err == DP_OK ? "PROVEN" : "NOT PROVEN", words);
        if (c.rule != NULL)
            (void)printf("rule %s\n", c.rule);
        if (err == DP_OK && c.has_record)
            print_record(&c.decoded);
    }
    return err == DP_OK ? CLI_DONE : CLI_FAILED;
}
