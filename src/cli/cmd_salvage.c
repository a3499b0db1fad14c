/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay salvage: what a dead, returned or tampered device leaves, for the back office to forward
 * under the same ids. The file is described in docs/PROTOCOL.salvage. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/journal.h>
#include <doorpay/payment.h>
#include <jansson.h>

#include "base/secret.h"
#include "cli.h"
#include "file.h"
#include "journal_words.h"

#define SALES_MAX 10000000

enum {
    SALVAGE_ALL = 0,
    SALVAGE_PREFIX = 3, /* or freshness unknown */
    SALVAGE_ROLLBACK = 4,
    SALVAGE_NOTHING = 5
};

struct options {
    const char *dir, *out, *trust, *head, *hsm;
    bool json;
};

/* One line of the file after the other, in memory. */
struct lines {
    FILE *f;
    char *text;
    size_t n;
};

struct salvage {
    const struct options *o;
    struct dp_store store;
    struct dp_verify_options known;
    struct dp_verify_result v;
    uint64_t verified; /* records */
    struct dp_salvage *books;
    struct dp_hsm *hsm; /* NULL: dead, or not asked */
    json_t *sealed;     /* hex of a transaction id: array */
    struct lines lines;
};

static int usage(FILE *to, int status)
{
    (void)fprintf(
        to,
        "usage: doorpay salvage DIR [--out FILE] [--trust FILE] [--head FILE] [--hsm URI] "
        "[--json]\n\n"
        "  DIR      a copy of the journal's directory, or of the one above it\n"
        "  --out    a new file for what was found (else standard output)\n"
        "  --trust  a file with the device's identity key: the uncompressed point in hex\n"
        "  --head   a head file, made by doorpay journal head or by the collector\n"
        "  --hsm    the device's token, where it still lives: sealed card data is unwrapped\n\n"
        "Exit status: 0 everything is verified and fresh, 3 a verified part, or whether it is the\n"
        "newest is not known, 4 ROLLBACK: the head knows of more, 5 nothing can be used.\n");
    return status;
}

static int parse(int argc, char **argv, struct options *o)
{
    const struct {
        const char *name;
        const char **at;
    } table[] = {
        {"--out", &o->out}, {"--trust", &o->trust}, {"--head", &o->head}, {"--hsm", &o->hsm}};
    memset(o, 0, sizeof *o);
    for (int i = 1; i < argc; i++) {
        const char **at = NULL;
        for (size_t k = 0; k < sizeof table / sizeof table[0]; k++)
            if (strcmp(argv[i], table[k].name) == 0)
                at = table[k].at;
        if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (at != NULL && i + 1 < argc)
            *at = argv[++i];
        else if (argv[i][0] == '-' || o->dir != NULL)
            return CLI_USAGE;
        else
            o->dir = argv[i];
    }
    return o->dir != NULL ? CLI_DONE : CLI_USAGE;
}

/* ---- reading ---- */

static int pass(struct salvage *s, dp_journal_each *each)
{
    int err = dp_journal_verify(&s->store, &s->known, each, s, &s->v);
    if (err == DP_ERR_NOT_FOUND)
        return complain(s->o->dir, "there is no journal");
    return err == DP_OK ? CLI_DONE : complain(s->o->dir, dp_strerr(err));
}

static void see(void *user, const struct dp_record *r)
{
    struct salvage *s = user;
    if (r->seq < s->verified)
        dp_salvage_see(s->books, r);
}

static void describe(void *user, const struct dp_record *r)
{
    struct salvage *s = user;
    dp_salvage_describe(s->books, r, r->seq < s->verified);
}

/* A history that the head says is not this one's is of no use, whoever signed it. */
static int find_verified(struct salvage *s)
{
    bool other = s->v.rule != NULL && (strcmp(s->v.rule, "head-mismatch") == 0 ||
                                       strcmp(s->v.rule, "identity-mismatch") == 0);
    s->verified = other ? 0 : s->v.signed_size;
    if (s->verified == 0)
        return SALVAGE_NOTHING;
    if (s->v.verdict == DP_VERDICT_ROLLBACK ||
        (s->v.torn_tail && s->known.has_head && s->known.head_size > s->v.records))
        return SALVAGE_ROLLBACK;
    return s->v.verdict == DP_VERDICT_FRESH && s->verified == s->v.records ? SALVAGE_ALL
                                                                           : SALVAGE_PREFIX;
}

static int read_books(struct salvage *s)
{
    const struct dp_totals *t = &s->v.totals;
    uint64_t sales = t->intents + t->reversed_n + t->void_n;
    int status, err;
    if (sales > SALES_MAX)
        return complain(s->o->dir, "more payments than can be held");
    err = dp_salvage_new((uint32_t)sales, &s->books);
    if (err != DP_OK)
        return complain(s->o->dir, dp_strerr(err));
    status = pass(s, see);
    if (status != CLI_DONE)
        return status;
    err = dp_salvage_end(s->books);
    if (err == DP_ERR_INTERNAL)
        return complain(s->o->dir, "the payments do not add up to the journal's totals");
    if (err != DP_OK)
        return complain(s->o->dir, dp_strerr(err));
    if (s->v.verdict == DP_VERDICT_TAMPERED || s->v.verdict == DP_VERDICT_ROLLBACK)
        dp_salvage_doubt(s->books);
    return pass(s, describe);
}

/* ---- sealed card data ---- */

static void find_sealed(void *user, const struct dp_side_found *found)
{
    static const char *const kinds[] = {"", "pan", "track2", "dropped", "torn"};
    struct salvage *s = user;
    uint8_t blob[512];
    char tx[33];
    size_t n = 0;
    json_t *item = json_object(), *all;
    for (size_t i = 0; i < 16; i++)
        (void)snprintf(tx + 2 * i, 3, "%02x", found->tx[i]);
    put_text(item, "kind", kinds[found->kind]);
    put_number(item, "generation", found->generation);
    put_hex(item, "salt", found->salt, sizeof found->salt);
    if (found->wrapped.n > 0 && found->wrapped.n <= sizeof blob)
        put_hex(item, "wrapped", found->wrapped.p, found->wrapped.n);
    if (s->hsm != NULL && found->wrapped.n > 0 &&
        dp_side_unwrap(s->hsm, found, blob, sizeof blob, &n) == DP_OK)
        put_hex(item, "sealed", blob, n);
    dp_wipe(blob, sizeof blob);
    all = json_object_get(s->sealed, tx);
    if (all == NULL) {
        all = json_array();
        (void)json_object_set_new(s->sealed, tx, all);
    }
    (void)json_array_append_new(all, item);
}

static int read_sealed(struct salvage *s)
{
    int err = DP_OK;
    s->sealed = json_object();
    if (s->o->hsm != NULL)
        err = dp_hsm_open(s->o->hsm, &s->hsm);
    if (err != DP_OK)
        return complain(s->o->hsm, dp_strerr(err));
    err = dp_side_look(&s->store, s->v.journal, find_sealed, s);
    if (err == DP_OK || err == DP_ERR_NOT_FOUND)
        return CLI_DONE;
    return complain(s->o->dir, "the side store cannot be read");
}

/* ---- the file ---- */

static void line(struct salvage *s, json_t *o)
{
    if (json_dumpf(o, s->lines.f, JSON_COMPACT) == 0)
        (void)fputc('\n', s->lines.f);
    json_decref(o);
}

static json_t *head_line(const struct salvage *s, int status)
{
    static const char *const verdicts[] = {"FRESH", "", "", "UNKNOWN", "ROLLBACK", "TAMPERED"};
    const struct dp_verify_result *v = &s->v;
    json_t *o = json_object();
    put_number(o, "salvage", 1);
    put_hex(o, "journal", v->journal, sizeof v->journal);
    put_hex(o, "identity", v->identity, sizeof v->identity);
    put_text(o, "verdict", verdicts[v->verdict]);
    put_text(o, "words", v->words);
    if (v->rule != NULL) {
        put_text(o, "rule", v->rule);
        put_number(o, "segment", v->segment);
        put_number(o, "offset", v->offset);
        put_number(o, "seq", v->seq);
    }
    put_number(o, "records", v->records);
    put_number(o, "verified", s->verified);
    put_number(o, "unverified", v->records - s->verified);
    put_number(o, "status", (uint64_t)status);
    return o;
}

/* What a message is made of; what only a journalled record has is no part of it. */
static json_t *message_json(const struct dp_record *r)
{
    static const char *const none[] = {"seq", "type", "wall_ms", "mono_ms", "clock", "boot"};
    json_t *o = record_json(r);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        (void)json_object_del(o, none[i]);
    put_number(o, "exponent", r->amount.exponent);
    return o;
}

static json_t *item_line(const struct salvage *s, const struct dp_salvage_item *item)
{
    char tx[33];
    json_t *o = json_object(), *sealed;
    for (size_t i = 0; i < 16; i++)
        (void)snprintf(tx + 2 * i, 3, "%02x", item->message.tx[i]);
    put_text(o, "owed", dp_salvage_kind_name(item->kind));
    put_text(o, "transaction_id", tx);
    (void)json_object_set_new(o, "hold", json_boolean(item->hold));
    (void)json_object_set_new(o, "repeat", json_boolean(item->repeat > 0));
    (void)json_object_set_new(o, "message", message_json(&item->message));
    if (item->outcome.has_tx)
        (void)json_object_set_new(o, "outcome", record_json(&item->outcome));
    sealed = json_object_get(s->sealed, tx);
    if (sealed != NULL)
        (void)json_object_set(o, "card_data", sealed);
    return o;
}

static void unverified(void *user, const struct dp_record *r)
{
    struct salvage *s = user;
    if (r->seq >= s->verified)
        line(s, json_pack("{s:o}", "unverified", record_json(r)));
}

static json_t *summary_line(const struct salvage *s)
{
    json_t *stages = json_object(), *owed = json_object();
    const struct dp_salvage_item *item;
    struct dp_totals totals;
    dp_salvage_totals(s->books, &totals);
    for (unsigned i = 0; i < DP_SALVAGE_STAGES; i++) {
        uint64_t n, amount;
        dp_salvage_stage(s->books, i, &n, &amount);
        if (n > 0)
            (void)json_object_set_new(
                stages, dp_salvage_stage_name(i),
                json_pack("{s:I,s:I}", "n", (json_int_t)n, "amount", (json_int_t)amount));
    }
    for (uint32_t i = 0; (item = dp_salvage_item(s->books, i)) != NULL; i++) {
        const char *name = dp_salvage_kind_name(item->kind);
        json_t *sum = json_object_get(owed, name);
        json_int_t n = json_integer_value(json_object_get(sum, "n")) + 1;
        json_int_t amount =
            json_integer_value(json_object_get(sum, "amount")) + item->message.amount.minor;
        (void)json_object_set_new(owed, name, json_pack("{s:I,s:I}", "n", n, "amount", amount));
    }
    return json_pack("{s:o,s:o,s:o}", "payments", stages, "owed", owed, "totals",
                     totals_json(&totals));
}

static int write_lines(struct salvage *s, int status)
{
    const struct dp_salvage_item *item;
    int done;
    s->lines.f = open_memstream(&s->lines.text, &s->lines.n);
    if (s->lines.f == NULL)
        return complain(s->o->dir, strerror(errno));
    line(s, head_line(s, status));
    for (uint32_t i = 0; (item = dp_salvage_item(s->books, i)) != NULL; i++)
        line(s, item_line(s, item));
    done = pass(s, unverified);
    line(s, summary_line(s));
    if (fclose(s->lines.f) != 0)
        return complain(s->o->dir, strerror(errno));
    return done;
}

static int give(const struct salvage *s, int status)
{
    if (s->o->out != NULL && file_write_new_bytes(s->o->out, s->lines.text, s->lines.n) != DP_OK)
        return CLI_FAILED;
    if (s->o->out == NULL && fwrite(s->lines.text, 1, s->lines.n, stdout) != s->lines.n)
        return complain("standard output", strerror(errno));
    if (s->o->out != NULL && s->o->json) {
        json_t *all = head_line(s, status), *sums = summary_line(s);
        (void)json_object_update(all, sums);
        json_decref(sums);
        print_json(all, JSON_INDENT(2));
    }
    (void)fprintf(stderr, "doorpay: %" PRIu64 " of %" PRIu64 " records are verified: %s\n",
                  s->verified, s->v.records, s->v.words);
    return status;
}

static int salvage(struct salvage *s)
{
    int status = pass(s, NULL), done;
    if (status != CLI_DONE)
        return status;
    status = find_verified(s);
    if (status == SALVAGE_NOTHING) {
        if (s->o->json)
            print_json(head_line(s, status), JSON_INDENT(2));
        (void)complain(s->o->dir, s->v.words);
        return status;
    }
    done = read_books(s);
    if (done == CLI_DONE)
        done = read_sealed(s);
    if (done == CLI_DONE)
        done = write_lines(s, status);
    return done == CLI_DONE ? give(s, status) : done;
}

int dp_cmd_salvage(int argc, char **argv)
{
    struct options o;
    struct salvage s;
    int status = CLI_DONE, err;
    if (argc >= 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, CLI_DONE);
    if (parse(argc, argv, &o) != CLI_DONE)
        return usage(stderr, CLI_USAGE);
    memset(&s, 0, sizeof s);
    s.o = &o;
    if (o.trust != NULL) {
        s.known.has_identity = file_read_point(o.trust, s.known.identity) == DP_OK;
        status = s.known.has_identity ? CLI_DONE : CLI_FAILED;
    }
    if (status == CLI_DONE && o.head != NULL)
        status = read_head(o.head, &s.known);
    if (status != CLI_DONE)
        return status;
    err = dp_store_fs_open(o.dir, &s.store);
    if (err != DP_OK)
        return complain(o.dir, dp_strerr(err));
    status = salvage(&s);
    dp_salvage_free(&s.books);
    dp_hsm_free(&s.hsm);
    json_decref(s.sealed);
    free(s.lines.text);
    dp_store_fs_free(&s.store);
    return status;
}
