/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay journal: what a journal says, and whether it can be believed. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <doorpay/journal.h>
#include <jansson.h>

#include "base/hex.h"
#include "cli.h"
#include "file.h"
#include "journal_words.h"

#define HEAD_BYTES_MAX 4096

#define TRIES_MAX 10 /* to find the journal between two of its writes */

struct journal_options {
    const char *dir, *hsm, *head, *trust, *collector, *out, *from, *to;
    bool json;
};

struct showing {
    const struct journal_options *o;
    uint64_t from, to;
    bool lines; /* JSON, one line a record */
    json_t *records;
};

static int usage(FILE *to, int status)
{
    (void)fprintf(
        to, "usage: doorpay journal verify DIR [--hsm URI | --head FILE] [--trust FILE]\n"
            "                              [--collector FILE] [--json]\n"
            "       doorpay journal check DIR [--json]\n"
            "       doorpay journal prove SEQ | --from SIZE [--to SIZE] [DIR] [OPTION...]\n"
            "       doorpay journal check PROOF --trust FILE... [OPTION...]\n"
            "       doorpay journal show DIR [--from N] [--to N] [--json]\n"
            "       doorpay journal export DIR [--from N] [--to N]\n"
            "       doorpay journal head DIR --out FILE\n"
            "       doorpay journal acknowledge FILE [--socket PATH] [--json]\n\n"
            "  DIR      a journal's directory, or the one above it\n"
            "  --hsm    the URI of the token that binds the journal\n"
            "  --head   a head file, made by doorpay journal head or by the collector\n"
            "  --trust  a file with the device's identity key: the uncompressed point in hex\n"
            "  --collector  likewise with the key that acknowledgements are signed with\n\n"
            "Exit status of verify: 0 valid and fresh, 3 valid and freshness unknown, 4 ROLLBACK,\n"
            "5 tampered or damaged. check wants no token: 0 valid, else 4 or 5.\n"
            "Of proofs: doorpay journal prove --help.\n");
    return status;
}

static int parse(int argc, char **argv, struct journal_options *o)
{
    const struct {
        const char *name;
        const char **at;
    } table[] = {{"--hsm", &o->hsm},
                 {"--head", &o->head},
                 {"--trust", &o->trust},
                 {"--out", &o->out},
                 {"--from", &o->from},
                 {"--to", &o->to},
                 {"--collector", &o->collector}};
    memset(o, 0, sizeof *o);
    for (int i = 2; i < argc; i++) {
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
    return o->dir != NULL && (o->hsm == NULL || o->head == NULL) ? CLI_DONE : CLI_USAGE;
}

int complain(const char *what, const char *why)
{
    (void)fprintf(stderr, "doorpay: %s: %s\n", what, why);
    return CLI_FAILED;
}

/* ---- what a journal is held against ---- */

static int read_text(const char *path, char text[HEAD_BYTES_MAX])
{
    size_t n;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return complain(path, strerror(errno));
    n = fread(text, 1, HEAD_BYTES_MAX - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    return CLI_DONE;
}

/* The identity key, as `doorpay key show` tells it. */
static int read_trust(const char *path, struct dp_verify_options *v)
{
    v->has_identity = file_read_point(path, v->identity) == DP_OK;
    return v->has_identity ? CLI_DONE : CLI_FAILED;
}

static bool member_hex(json_t *o, const char *name, uint8_t *out, size_t n)
{
    const char *s = json_string_value(json_object_get(o, name));
    size_t got = 0;
    return s != NULL && dp_hex_decode(s, strlen(s), out, n, &got) == DP_OK && got == n;
}

int read_head(const char *path, struct dp_verify_options *v)
{
    char text[HEAD_BYTES_MAX];
    json_error_t error;
    json_t *head, *size;
    bool ok;
    int status = read_text(path, text);
    if (status != CLI_DONE)
        return status;
    head = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    size = json_object_get(head, "size");
    ok = json_is_integer(size) && json_integer_value(size) > 0 &&
         member_hex(head, "journal", v->head_journal, sizeof v->head_journal) &&
         member_hex(head, "root", v->head_root, sizeof v->head_root) &&
         member_hex(head, "anchor", v->head_anchor, sizeof v->head_anchor);
    v->head_size = ok ? (uint64_t)json_integer_value(size) : 0;
    v->has_head = ok;
    json_decref(head);
    return ok ? CLI_DONE
              : complain(path, "not a head file: journal, size, root and anchor are wanted");
}

/* The token's anchor, and its identity key unless another is named. */
static int read_token(const char *uri, struct dp_verify_options *v)
{
    struct dp_hsm *hsm = NULL;
    int err = dp_hsm_open_readonly(uri, &hsm);
    if (err == DP_ERR_BUSY)
        return complain(uri, "in use, and it serves one at a time: stop doorpayd first, or use "
                             "--head FILE");
    if (err == DP_OK)
        err = dp_hsm_anchor_read(hsm, v->anchor);
    v->has_anchor = err == DP_OK;
    if (err == DP_OK && !v->has_identity) {
        err = dp_hsm_public(hsm, DP_KEY_JOURNAL_IDENTITY, v->identity);
        v->has_identity = err == DP_OK;
    }
    dp_hsm_free(&hsm);
    return err == DP_OK ? CLI_DONE : complain(uri, dp_strerr(err));
}

static int read_references(const struct journal_options *o, struct dp_verify_options *v)
{
    int status = CLI_DONE;
    memset(v, 0, sizeof *v);
    if (o->trust != NULL)
        status = read_trust(o->trust, v);
    if (status == CLI_DONE && o->collector != NULL) {
        v->has_collector = file_read_point(o->collector, v->collector) == DP_OK;
        status = v->has_collector ? CLI_DONE : CLI_FAILED;
    }
    if (status == CLI_DONE && o->head != NULL)
        status = read_head(o->head, v);
    if (status == CLI_DONE && o->hsm != NULL)
        status = read_token(o->hsm, v);
    return status;
}

static int run(const struct journal_options *o, const struct dp_verify_options *v,
               dp_journal_each *each, void *user, struct dp_verify_result *result)
{
    struct dp_store store;
    int err = dp_store_fs_open(o->dir, &store);
    if (err != DP_OK)
        return complain(o->dir, dp_strerr(err));
    err = dp_journal_verify(&store, v, each, user, result);
    dp_store_fs_free(&store);
    if (err == DP_ERR_NOT_FOUND)
        return complain(o->dir, "there is no journal");
    return err == DP_OK ? CLI_DONE : complain(o->dir, dp_strerr(err));
}

/* ---- JSON ---- */

void put_hex(json_t *o, const char *name, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * 512 + 1];
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[p[i] >> 4];
        text[2 * i + 1] = digits[p[i] & 15];
    }
    text[2 * n] = '\0';
    (void)json_object_set_new(o, name, json_string(text));
}

void put_text(json_t *o, const char *name, const char *value)
{
    if (value[0] != '\0')
        (void)json_object_set_new(o, name, json_string(value));
}

/* Integers of JSON have 63 bits; nothing a valid journal holds needs more. */
void put_number(json_t *o, const char *name, uint64_t v)
{
    (void)json_object_set_new(o, name, json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v));
}

static void put_some(json_t *o, const char *name, uint64_t v)
{
    if (v != 0)
        put_number(o, name, v);
}

json_t *totals_json(const struct dp_totals *t)
{
    json_t *o = json_object();
    put_number(o, "intents", t->intents);
    put_number(o, "online_n", t->online_n);
    put_number(o, "online_amount", t->online_amount);
    put_number(o, "offline_n", t->offline_n);
    put_number(o, "offline_amount", t->offline_amount);
    put_number(o, "deferred_n", t->deferred_n);
    put_number(o, "deferred_amount", t->deferred_amount);
    put_number(o, "declined_n", t->declined_n);
    put_number(o, "reversed_n", t->reversed_n);
    put_number(o, "reversed_amount", t->reversed_amount);
    put_number(o, "void_n", t->void_n);
    put_number(o, "void_amount", t->void_amount);
    put_number(o, "forwarded_n", t->forwarded_n);
    put_number(o, "forwarded_amount", t->forwarded_amount);
    return o;
}

static void put_card(json_t *o, const struct dp_record *r)
{
    put_text(o, "bin", r->bin);
    put_text(o, "last4", r->last4);
    put_text(o, "par", r->par);
    if (r->aid_n > 0)
        put_hex(o, "aid", r->aid, r->aid_n);
    if (r->emv_n > 0)
        put_hex(o, "emv", r->emv, r->emv_n);
    if (r->has_pan_commitment)
        put_hex(o, "pan_commitment", r->pan_commitment, sizeof r->pan_commitment);
    if (r->has_track_commitment)
        put_hex(o, "track_commitment", r->track_commitment, sizeof r->track_commitment);
    if (r->has_card_hash)
        put_hex(o, "card_hash", r->card_hash, sizeof r->card_hash);
    put_some(o, "interface", r->interface);
    put_some(o, "cvm", r->cvm);
    if (r->pending_signature)
        (void)json_object_set_new(o, "pending_signature", json_true());
    if (r->degraded)
        (void)json_object_set_new(o, "degraded", json_true());
}

static void put_message(json_t *o, const struct dp_record *r)
{
    put_text(o, "tid", r->tid);
    put_text(o, "mid", r->mid);
    put_some(o, "batch", r->batch);
    put_some(o, "mti", r->mti);
    put_some(o, "stan", r->stan);
    put_text(o, "rrn", r->rrn);
    put_text(o, "auth_code", r->auth_code);
    put_text(o, "action_code", r->action_code);
    put_text(o, "de7", r->de7);
    put_text(o, "de12", r->de12);
    put_some(o, "function", r->function);
    put_some(o, "message_reason", r->msg_reason);
    put_some(o, "result", r->result);
    if (r->has_original)
        (void)json_object_set_new(o, "original",
                                  json_pack("{s:i,s:i,s:s,s:s}", "mti", (int)r->original.mti,
                                            "stan", (int)r->original.stan, "de12", r->original.de12,
                                            "acquirer", r->original.acquirer));
}

static void put_sale(json_t *o, const struct dp_record *r)
{
    put_text(o, "parcel", r->parcel);
    put_text(o, "manifest", r->manifest);
    put_text(o, "agent", r->agent);
    put_text(o, "sale_id", r->sale_id);
    put_text(o, "service_id", r->service_id);
    put_text(o, "poi_id", r->poi_id);
    put_text(o, "sale_transaction", r->sale_tx);
    if (r->has_fingerprint)
        put_hex(o, "fingerprint", r->fingerprint, sizeof r->fingerprint);
    put_some(o, "business_date", r->business_date);
    put_some(o, "params_version", r->params_version);
    put_some(o, "reason", r->reason);
    put_text(o, "reason_text", r->reason_text);
    put_text(o, "text", r->text);
    put_some(o, "deferred_until", r->deferred_until);
    if (r->has_digest)
        put_hex(o, "digest", r->digest, sizeof r->digest);
    if (r->has_totals)
        (void)json_object_set_new(o, "totals", totals_json(&r->totals));
    if (r->settled.verdict[0] != '\0')
        put_text(o, "settled_verdict", r->settled.verdict);
    if (r->has_damage) {
        put_number(o, "damage_segment", r->damage.segment);
        put_number(o, "damage_offset", r->damage.offset);
        put_number(o, "damage_length", r->damage.length);
    }
}

json_t *record_json(const struct dp_record *r)
{
    const char *currency = dp_currency_alpha(r->amount.currency);
    json_t *o = json_object();
    put_number(o, "seq", r->seq);
    put_text(o, "type", dp_record_type_name(r->type));
    put_number(o, "wall_ms", r->wall_ms);
    put_number(o, "mono_ms", r->mono_ms);
    put_number(o, "clock", r->clock);
    put_hex(o, "boot", r->boot, sizeof r->boot);
    if (r->has_tx)
        put_hex(o, "transaction_id", r->tx, sizeof r->tx);
    if (r->has_original_tx)
        put_hex(o, "original_transaction_id", r->original_tx, sizeof r->original_tx);
    if (r->has_amount) {
        put_number(o, "amount", (uint64_t)r->amount.minor);
        put_text(o, "currency", currency != NULL ? currency : "???");
    }
    if (r->mode != DP_MODE_NONE)
        put_text(o, "mode", dp_mode_name(r->mode));
    put_message(o, r);
    put_card(o, r);
    put_sale(o, r);
    return o;
}

void print_json(json_t *o, size_t flags)
{
    (void)json_dumpf(o, stdout, flags);
    (void)printf("\n");
    json_decref(o);
}

/* ---- verify, check ---- */

static const char *verdict_name(enum dp_verdict v)
{
    switch (v) {
    case DP_VERDICT_FRESH:
        return "FRESH";
    case DP_VERDICT_UNKNOWN:
        return "UNKNOWN";
    case DP_VERDICT_ROLLBACK:
        return "ROLLBACK";
    case DP_VERDICT_TAMPERED:
        break;
    }
    return "TAMPERED";
}

/* What a collector acknowledges, and has acknowledged. */
static void put_signed_head(json_t *o, const struct dp_verify_result *v)
{
    json_t *head = json_object();
    if (v->signed_head.size > 0) {
        put_number(head, "size", v->signed_head.size);
        put_hex(head, "root", v->signed_head.root, sizeof v->signed_head.root);
        put_hex(head, "anchor", v->signed_head.anchor, sizeof v->signed_head.anchor);
        (void)json_object_set(o, "signed_head", head);
    }
    json_decref(head);
    put_number(o, "acknowledged", v->acknowledged);
}

static json_t *verdict_json(const struct dp_verify_result *v)
{
    json_t *o = json_object();
    put_text(o, "verdict", verdict_name(v->verdict));
    put_text(o, "words", v->words);
    if (v->rule != NULL) {
        put_text(o, "rule", v->rule);
        put_number(o, "segment", v->segment);
        put_number(o, "offset", v->offset);
    }
    if (v->has_seq)
        put_number(o, "seq", v->seq);
    put_number(o, "records", v->records);
    put_number(o, "checkpoints", v->checkpoints);
    put_number(o, "signed_size", v->signed_size);
    put_signed_head(o, v);
    (void)json_object_set_new(o, "torn_tail", json_boolean(v->torn_tail));
    (void)json_object_set_new(o, "degraded", json_boolean(v->degraded));
    put_hex(o, "journal", v->journal, sizeof v->journal);
    put_hex(o, "root", v->root, sizeof v->root);
    put_hex(o, "last_leaf", v->last_leaf, sizeof v->last_leaf);
    put_hex(o, "anchor", v->anchor, sizeof v->anchor);
    put_hex(o, "identity", v->identity, sizeof v->identity);
    (void)json_object_set_new(o, "totals", totals_json(&v->totals));
    return o;
}

static void print_verdict(const struct journal_options *o, const struct dp_verify_result *v)
{
    if (o->json) {
        print_json(verdict_json(v), JSON_INDENT(2));
        return;
    }
    (void)printf("%s: %s\n", verdict_name(v->verdict), v->words);
    if (v->rule != NULL)
        (void)printf("rule %s, segment %" PRIu32 ", offset %" PRIu64 ", record %" PRIu64 "\n",
                     v->rule, v->segment, v->offset, v->seq);
}

/* doorpayd may be writing: a journal that went on after the token was read looks like another
 * one's. So the token is read again, and what was seen counts when it stood still meanwhile. */
static int verify_standing(const struct journal_options *o, struct dp_verify_result *result)
{
    struct dp_verify_options v, again;
    int status = read_references(o, &v);
    for (int i = 0; status == CLI_DONE && i < TRIES_MAX; i++) {
        status = run(o, &v, NULL, NULL, result);
        if (status != CLI_DONE || o->hsm == NULL || result->verdict == DP_VERDICT_FRESH)
            return status;
        status = read_references(o, &again);
        if (status == CLI_DONE && memcmp(v.anchor, again.anchor, sizeof v.anchor) == 0)
            return CLI_DONE;
        v = again;
    }
    return status == CLI_DONE
               ? complain(o->dir, "it is being written all the time: try again later")
               : status;
}

static int verify(const struct journal_options *o, bool wants_freshness)
{
    struct dp_verify_result result;
    int status = verify_standing(o, &result);
    if (status != CLI_DONE)
        return status;
    print_verdict(o, &result);
    return result.verdict == DP_VERDICT_UNKNOWN && !wants_freshness ? CLI_DONE
                                                                    : (int)result.verdict;
}

static int cmd_verify(const struct journal_options *o)
{
    return verify(o, true);
}

static int cmd_check(const struct journal_options *o)
{
    return o->hsm == NULL && o->head == NULL ? verify(o, false) : usage(stderr, CLI_USAGE);
}

/* ---- show, export ---- */

void print_record(const struct dp_record *r)
{
    char amount[40] = "", when[40];
    struct dp_date_time t;
    dp_date_time_from_ms((int64_t)r->wall_ms, 0, &t);
    (void)snprintf(when, sizeof when, "%04u-%02u-%02uT%02u:%02u:%02uZ", t.year, t.month, t.day,
                   t.hour, t.minute, t.second);
    if (r->has_amount)
        (void)dp_money_text(&r->amount, amount, sizeof amount);
    (void)printf("%6" PRIu64 "  %s  %-12s", r->seq, when, dp_record_type_name(r->type));
    if (r->has_tx)
        (void)printf("  %02x%02x%02x%02x", r->tx[0], r->tx[1], r->tx[2], r->tx[3]);
    if (amount[0] != '\0')
        (void)printf("  %s", amount);
    if (r->mode != DP_MODE_NONE)
        (void)printf("  %s", dp_mode_name(r->mode));
    if (r->stan != 0)
        (void)printf("  STAN %06" PRIu32, r->stan);
    if (r->action_code[0] != '\0')
        (void)printf("  action %s", r->action_code);
    if (r->parcel[0] != '\0')
        (void)printf("  %s", r->parcel);
    if (r->degraded)
        (void)printf("  DEGRADED");
    if (r->reason_text[0] != '\0' || r->text[0] != '\0')
        (void)printf("  %s", r->reason_text[0] != '\0' ? r->reason_text : r->text);
    (void)printf("\n");
}

static void show_one(void *user, const struct dp_record *r)
{
    struct showing *s = user;
    if (r->seq < s->from || r->seq > s->to)
        return;
    if (s->lines)
        print_json(record_json(r), JSON_COMPACT);
    else if (s->o->json)
        (void)json_array_append_new(s->records, record_json(r));
    else
        print_record(r);
}

bool read_seq(const char *text, uint64_t *out)
{
    char *end;
    if (text == NULL)
        return true;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static int show(const struct journal_options *o, bool lines)
{
    struct showing s = {o, 0, UINT64_MAX, lines, NULL};
    struct dp_verify_options none;
    struct dp_verify_result v;
    int status;
    bool bad;
    if (!read_seq(o->from, &s.from) || !read_seq(o->to, &s.to))
        return usage(stderr, CLI_USAGE);
    memset(&none, 0, sizeof none);
    s.records = json_array();
    status = run(o, &none, show_one, &s, &v);
    bad = status == CLI_DONE && v.verdict == DP_VERDICT_TAMPERED;
    if (status == CLI_DONE && o->json && !lines)
        print_json(json_pack("{s:o,s:O}", "verdict", verdict_json(&v), "records", s.records),
                   JSON_INDENT(2));
    json_decref(s.records);
    if (bad)
        (void)fprintf(stderr, "doorpay: %s: %s\n", verdict_name(v.verdict), v.words);
    return bad ? (int)v.verdict : status;
}

static int cmd_show(const struct journal_options *o)
{
    return show(o, false);
}

static int cmd_export(const struct journal_options *o)
{
    return show(o, true);
}

/* ---- head ---- */

static int cmd_head(const struct journal_options *o)
{
    struct dp_verify_options none;
    struct dp_verify_result v;
    json_t *head;
    int status;
    if (o->out == NULL)
        return usage(stderr, CLI_USAGE);
    memset(&none, 0, sizeof none);
    status = run(o, &none, NULL, NULL, &v);
    if (status != CLI_DONE)
        return status;
    if (v.verdict != DP_VERDICT_UNKNOWN || v.checkpoints == 0) {
        (void)fprintf(stderr, "doorpay: no head of a journal that is not valid: %s\n", v.words);
        return v.verdict == DP_VERDICT_UNKNOWN ? CLI_FAILED : (int)v.verdict;
    }
    head = json_object();
    put_hex(head, "journal", v.journal, sizeof v.journal);
    put_number(head, "size", v.records);
    put_hex(head, "root", v.root, sizeof v.root);
    put_hex(head, "anchor", v.anchor, sizeof v.anchor);
    if (json_dump_file(head, o->out, JSON_INDENT(2) | JSON_PRESERVE_ORDER) != 0)
        status = complain(o->out, strerror(errno));
    if (o->json && status == CLI_DONE)
        print_json(head, JSON_INDENT(2) | JSON_PRESERVE_ORDER); /* takes it */
    else
        json_decref(head);
    return status;
}

/* `check` of a directory is of a journal; of anything else, where a key is trusted, of a proof. */
static bool is_about_proof(int argc, char **argv)
{
    const char *named = NULL;
    bool trusted = false;
    struct stat st;
    for (int i = 2; i < argc; i++) {
        bool option = argv[i][0] == '-' && argv[i][1] != '\0';
        trusted = trusted || strcmp(argv[i], "--trust") == 0;
        if (option && strcmp(argv[i], "--json") != 0)
            i++; /* and its value */
        else if (!option && named == NULL)
            named = argv[i];
    }
    if (named == NULL)
        return trusted;
    return stat(named, &st) == 0 ? !S_ISDIR(st.st_mode) : trusted;
}

int dp_cmd_journal(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct journal_options *o);
    } verbs[] = {{"verify", cmd_verify},
                 {"check", cmd_check},
                 {"show", cmd_show},
                 {"export", cmd_export},
                 {"head", cmd_head}};
    struct journal_options o;
    if (argc >= 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, CLI_DONE);
    if (argc >= 2 && strcmp(argv[1], "acknowledge") == 0)
        return journal_acknowledge(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "prove") == 0)
        return journal_prove(argc, argv);
    if (argc >= 2 && strcmp(argv[1], "check") == 0 && is_about_proof(argc, argv))
        return journal_check_proof(argc, argv);
    if (argc < 3 || parse(argc, argv, &o) != CLI_DONE)
        return usage(stderr, CLI_USAGE);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(&o);
    return usage(stderr, CLI_USAGE);
}
