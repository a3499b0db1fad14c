/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay key: what the set-up of a device needs of its key store. No secret stands on a command
 * line, where every process can read it. */
#include <stdio.h>
#include <string.h>

#include <doorpay/cose.h>
#include <doorpay/hsm.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/secret.h"
#include "cli.h"
#include "csr.h"
#include "file.h"
#include "key.h"

#define INITIAL_KEY_TEXT_MAX 512

static int usage(FILE *to, int status)
{
    (void)fputs(
        "usage: doorpay key init --hsm URI [--json]\n"
        "       doorpay key show|selftest --hsm URI [--json]\n"
        "       doorpay key csr|rotate --hsm URI --tid TID [--out FILE] [--json]\n"
        "       doorpay key enrol CERT --hsm URI --tid TID --ca FILE --out FILE [--json]\n"
        "       doorpay key attest --hsm URI --nonce HEX64\n"
        "       doorpay key attest --check FILE --nonce HEX64 [--key HEX130] [--base N] [--json]\n"
        "       doorpay key dukpt-load --hsm URI [--in FILE] [--json]\n\n"
        "  init        make every key of a new key store\n"
        "  show        public keys, counters, anchor\n"
        "  selftest    use each key and each function once, and leave nothing behind\n"
        "  csr         certificate request (PEM) of the TLS client key, for CN=TID\n"
        "  rotate      make the TLS client key to come: its request; the one in use goes on\n"
        "  enrol       put the certificate that came back into --out, doorpayd's [acquirer] cert,\n"
        "              when it fits; the key to come is then the one in use\n"
        "  attest      the token's own word on its anchor, with a nonce of who asks (JSON)\n"
        "  dukpt-load  load an initial key: \"ik HEX32\" and \"ksn HEX24\" from FILE, or from\n"
        "              standard input\n"
        "  --hsm URI   the key store: docs/cli.md, \"Key stores\"\n"
        "  --ca FILE   the authority that issues terminals' certificates\n",
        to);
    return status;
}

int key_failed(const char *what, int err)
{
    dp_log(DP_LOG_ERROR, "%s: %s", what, dp_strerr(err));
    return CLI_FAILED;
}

int key_print_json(json_t *root)
{
    int bad = root == NULL || json_dumpf(root, stdout, JSON_INDENT(2)) != 0 || puts("") < 0;
    json_decref(root);
    return bad ? CLI_FAILED : CLI_DONE;
}

/* ---- init ---- */

static int key_init(const struct key_options *o)
{
    int err = dp_hsm_provision(o->hsm);
    if (err < 0)
        return key_failed(o->hsm, err);
    if (o->json)
        return key_print_json(json_pack("{s:s}", "initialised", o->hsm));
    return printf("initialised: %s\n", o->hsm) < 0;
}

/* ---- show ---- */

static const struct {
    enum dp_hsm_key key;
    const char *name;
} keys[] = {
    {DP_KEY_JOURNAL_IDENTITY, "journal_identity"},
    {DP_KEY_JOURNAL_EPOCH, "journal_epoch"},
    {DP_KEY_TLS_CLIENT, "tls_client"},
    {DP_KEY_TLS_NEXT, "tls_next"},
    {DP_KEY_CARD_DATA, "card_data"},
};

/* {name: {public, key_id}}; null for a key that is not there now. */
static int add_keys(struct dp_hsm *hsm, json_t *to)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        uint8_t point[65], kid[DP_COSE_KID_BYTES];
        char point_hex[131], kid_hex[17];
        int err = dp_hsm_public(hsm, keys[i].key, point);
        if (err == DP_ERR_NOT_FOUND) {
            (void)json_object_set_new(to, keys[i].name, json_null());
            continue;
        }
        if (err == DP_OK)
            err = dp_cose_key_id(point, kid);
        if (err < 0)
            return err;
        (void)json_object_set_new(
            to, keys[i].name,
            json_pack("{s:s,s:s}", "public", dp_hex_encode(point, 65, point_hex, sizeof point_hex),
                      "key_id", dp_hex_encode(kid, sizeof kid, kid_hex, sizeof kid_hex)));
    }
    return DP_OK;
}

static int add_counters(struct dp_hsm *hsm, const struct dp_hsm_caps *caps, json_t *to)
{
    uint8_t anchor[32];
    char anchor_hex[65];
    uint64_t params = 0, failures = 0;
    uint32_t generation = 0;
    int err = DP_OK;
    if (caps->anchor) {
        err = dp_hsm_anchor_read(hsm, anchor);
        if (err == DP_OK)
            (void)json_object_set_new(
                to, "anchor",
                json_string(dp_hex_encode(anchor, sizeof anchor, anchor_hex, sizeof anchor_hex)));
    }
    if (err == DP_OK && caps->counter) {
        err = dp_hsm_counter_read(hsm, DP_COUNTER_PARAMS, &params);
        if (err == DP_OK)
            err = dp_hsm_counter_read(hsm, DP_COUNTER_LOGIN_FAILURES, &failures);
        (void)json_object_set_new(to, "params_version", json_integer((json_int_t)params));
        (void)json_object_set_new(to, "login_failures", json_integer((json_int_t)failures));
    }
    if (err == DP_OK && caps->wrap) {
        err = dp_hsm_wrap_generation(hsm, &generation);
        (void)json_object_set_new(to, "wrap_generation", json_integer(generation));
    }
    return err;
}

static void print_keys(const json_t *root)
{
    const char *name;
    json_t *key;
    (void)printf("key store: %s\n", json_string_value(json_object_get(root, "hsm")));
    json_object_foreach(json_object_get(root, "keys"), name, key)
    {
        const char *point = json_string_value(json_object_get(key, "public"));
        (void)printf("%-17s %s\n", name, point != NULL ? point : "none");
    }
    (void)printf("anchor            %s\n",
                 json_string_value(json_object_get(root, "anchor")) != NULL
                     ? json_string_value(json_object_get(root, "anchor"))
                     : "none");
    (void)printf("params version    %lld\n",
                 (long long)json_integer_value(json_object_get(root, "params_version")));
}

static int key_show(const struct key_options *o, struct dp_hsm *hsm)
{
    struct dp_hsm_caps caps;
    json_t *root, *public_keys = json_object();
    int err;
    dp_hsm_get_caps(hsm, &caps);
    root = json_pack("{s:s,s:{s:b,s:b,s:b,s:b,s:b,s:b,s:b,s:b},s:o}", "hsm", caps.name, "caps",
                     "anchor", caps.anchor, "counter", caps.counter, "epoch", caps.epoch, "wrap",
                     caps.wrap, "dukpt", caps.dukpt, "ecdh", caps.ecdh, "evidence", caps.evidence,
                     "rotate", caps.rotate, "keys", public_keys);
    if (root == NULL)
        return key_failed(o->hsm, DP_ERR_NOMEM);
    err = add_keys(hsm, public_keys);
    if (err == DP_OK)
        err = add_counters(hsm, &caps, root);
    if (err < 0) {
        json_decref(root);
        return key_failed(o->hsm, err);
    }
    if (o->json)
        return key_print_json(root);
    print_keys(root);
    json_decref(root);
    return CLI_DONE;
}

/* ---- csr, rotate ---- */

static int request(const struct key_options *o, struct dp_hsm *hsm, enum dp_hsm_key key)
{
    char pem[CSR_PEM_MAX];
    int err = csr_make(hsm, key, o->tid, pem);
    if (err == DP_ERR_ARG) {
        dp_log(DP_LOG_ERROR, "--tid %s: a terminal id has 8 printable characters", o->tid);
        return CLI_USAGE;
    }
    if (err < 0)
        return key_failed(o->hsm, err);
    if (o->out != NULL && file_write_new(o->out, pem) < 0)
        return CLI_FAILED;
    if (o->json)
        return key_print_json(json_pack("{s:s,s:s}", "tid", o->tid, "csr", pem));
    if (o->out != NULL)
        return printf("request: %s\n", o->out) < 0;
    return fputs(pem, stdout) < 0;
}

static int key_csr(const struct key_options *o, struct dp_hsm *hsm)
{
    return o->tid == NULL ? usage(stderr, CLI_USAGE) : request(o, hsm, DP_KEY_TLS_CLIENT);
}

/* A key that is to come already stays: its request may be with the authority. */
static int key_rotate(const struct key_options *o, struct dp_hsm *hsm)
{
    int err;
    if (o->tid == NULL)
        return usage(stderr, CLI_USAGE);
    err = csr_tid_ok(o->tid) ? dp_hsm_tls_next(hsm) : DP_OK; /* else request() says so */
    if (err == DP_ERR_STATE)
        dp_log(DP_LOG_INFO, "%s: there is a key to come: its request again", o->hsm);
    else if (err < 0)
        return key_failed(o->hsm, err);
    return request(o, hsm, DP_KEY_TLS_NEXT);
}

/* ---- dukpt-load ---- */

struct initial_key {
    uint8_t ik[16], ksn[DP_KSN_BYTES];
    bool has_ik, has_ksn;
};

/* The next word between blanks and what JSON puts around words; NULL at the end. */
static const char *word(const char **at, const char *end, size_t *n)
{
    static const char between[] = " \t\r\n{}\":,";
    const char *start;
    while (*at < end && strchr(between, **at) != NULL)
        (*at)++;
    start = *at;
    while (*at < end && strchr(between, **at) == NULL)
        (*at)++;
    *n = (size_t)(*at - start);
    return *n > 0 ? start : NULL;
}

/* What `doorpay-sim keys --dukpt-id` prints, with or without --json. What is wrong is named, never
 * what stands there. */
static const char *initial_key_read(const char *text, size_t text_n, struct initial_key *out)
{
    const char *at = text, *end = text + text_n, *name, *value;
    size_t name_n, value_n, n;
    while ((name = word(&at, end, &name_n)) != NULL) {
        value = word(&at, end, &value_n);
        if (value == NULL)
            return "a name without a value";
        if (name_n == 2 && memcmp(name, "ik", 2) == 0 && !out->has_ik) {
            if (dp_hex_decode(value, value_n, out->ik, sizeof out->ik, &n) != DP_OK || n != 16)
                return "ik: not 32 hex digits";
            out->has_ik = true;
        } else if (name_n == 3 && memcmp(name, "ksn", 3) == 0 && !out->has_ksn) {
            if (dp_hex_decode(value, value_n, out->ksn, sizeof out->ksn, &n) != DP_OK || n != 12)
                return "ksn: not 24 hex digits";
            out->has_ksn = true;
        } else {
            return "neither \"ik HEX32\" nor \"ksn HEX24\", each once";
        }
    }
    if (!out->has_ik || !out->has_ksn)
        return out->has_ik ? "ksn: missing" : "ik: missing";
    if (memcmp(out->ksn + 8, "\0\0\0", 4) != 0)
        return "ksn: its counter is not 0: this key was in use elsewhere";
    return NULL;
}

static int load_from(const char *path, struct dp_secret *secret, struct dp_hsm *hsm, uint8_t id[8])
{
    struct initial_key *k = (struct initial_key *)secret->p;
    uint8_t *text = secret->p + sizeof *k;
    const char *wrong;
    size_t n = 0;
    int err = file_read(path, text, INITIAL_KEY_TEXT_MAX, &n);
    if (err < 0)
        return err;
    wrong = initial_key_read((const char *)text, n, k);
    if (wrong != NULL) {
        dp_log(DP_LOG_ERROR, "%s: %s", strcmp(path, "-") == 0 ? "standard input" : path, wrong);
        return DP_ERR_FORMAT;
    }
    memcpy(id, k->ksn, 8);
    return dp_hsm_dukpt_load(hsm, k->ik, k->ksn);
}

static int key_dukpt_load(const struct key_options *o, struct dp_hsm *hsm)
{
    struct dp_secret secret;
    uint8_t id[8];
    char id_hex[17];
    int err = dp_secret_new(&secret, sizeof(struct initial_key) + INITIAL_KEY_TEXT_MAX);
    if (err < 0)
        return key_failed("initial key", err);
    err = load_from(o->in != NULL ? o->in : "-", &secret, hsm, id);
    dp_secret_free(&secret);
    if (err < 0)
        return key_failed("initial key", err);
    (void)dp_hex_encode(id, sizeof id, id_hex, sizeof id_hex);
    if (o->json)
        return key_print_json(json_pack("{s:s}", "initial_key_id", id_hex));
    return printf("initial key id: %s\n", id_hex) < 0;
}

/* ---- the verb ---- */

static const char **option_place(struct key_options *o, const char *name)
{
    if (strcmp(name, "--hsm") == 0)
        return &o->hsm;
    if (strcmp(name, "--tid") == 0)
        return &o->tid;
    if (strcmp(name, "--out") == 0)
        return &o->out;
    if (strcmp(name, "--in") == 0)
        return &o->in;
    if (strcmp(name, "--ca") == 0)
        return &o->ca;
    if (strcmp(name, "--nonce") == 0)
        return &o->nonce;
    if (strcmp(name, "--check") == 0)
        return &o->check;
    if (strcmp(name, "--key") == 0)
        return &o->key;
    if (strcmp(name, "--base") == 0)
        return &o->base;
    return NULL;
}

static int enrol(const struct key_options *o, struct dp_hsm *hsm)
{
    if (o->operand == NULL || o->tid == NULL || o->ca == NULL || o->out == NULL)
        return usage(stderr, CLI_USAGE);
    return key_enrol(o, hsm);
}

static const struct {
    const char *name;
    int (*run)(const struct key_options *o, struct dp_hsm *hsm);
} verbs[] = {
    {"show", key_show}, {"csr", key_csr},       {"rotate", key_rotate},
    {"enrol", enrol},   {"attest", key_attest}, {"dukpt-load", key_dukpt_load},
};

static int run(const char *verb, const struct key_options *o)
{
    if (strcmp(verb, "init") == 0)
        return key_init(o);
    if (strcmp(verb, "selftest") == 0)
        return key_selftest(o);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        struct dp_hsm *hsm = NULL;
        int err, status;
        if (strcmp(verbs[i].name, verb) != 0)
            continue;
        err = dp_hsm_open(o->hsm, &hsm);
        if (err < 0)
            return key_failed(o->hsm, err);
        status = verbs[i].run(o, hsm);
        dp_hsm_free(&hsm);
        return status;
    }
    return usage(stderr, CLI_USAGE);
}

int dp_cmd_key(int argc, char **argv)
{
    struct key_options o = {.json = false};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0)
            return usage(stdout, CLI_DONE);
    for (int i = 2; i < argc; i++) {
        const char **place = option_place(&o, argv[i]);
        if (strcmp(argv[i], "--json") == 0)
            o.json = true;
        else if (place != NULL && i + 1 < argc)
            *place = argv[++i];
        else if (argv[i][0] != '-' && strcmp(argv[1], "enrol") == 0 && o.operand == NULL)
            o.operand = argv[i];
        else
            return usage(stderr, CLI_USAGE);
    }
    if (argc >= 2 && strcmp(argv[1], "attest") == 0 && o.check != NULL && o.hsm == NULL)
        return key_attest_check(&o);
    if (argc < 2 || o.hsm == NULL || o.check != NULL)
        return usage(stderr, CLI_USAGE);
    return run(argv[1], &o);
}
