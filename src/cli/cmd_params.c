/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay params: what a signed parameter set holds, and whether a terminal would take it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/params.h>
#include <jansson.h>

#include "base/hex.h"
#include "base/limits.h"
#include "base/log.h"
#include "cli.h"
#include "file.h"

struct params_options {
    const char *file, *back_office, *hsm;
    bool json;
};

static int usage(FILE *to, int status)
{
    (void)fputs("usage: doorpay params show FILE [--back-office FILE] [--json]\n"
                "       doorpay params check FILE --back-office FILE [--hsm URI] [--json]\n\n"
                "  show               what is in a set; its signature only with --back-office\n"
                "  check              would a terminal take it? 0 yes, 1 no, and why\n"
                "  --back-office FILE the back office's public key (hex)\n"
                "  --hsm URI          also holds its version against this key store's\n",
                to);
    return status;
}

/* ---- a set as JSON ---- */

static json_t *hex(const uint8_t *p, size_t n)
{
    char text[2 * 65 + 1];
    return json_string(dp_hex_encode(p, n, text, sizeof text));
}

static json_t *number(uint64_t v)
{
    return json_integer((json_int_t)v);
}

static json_t *time_text(int64_t s)
{
    struct dp_date_time t;
    char text[40];
    dp_date_time_from_ms(s * 1000, 0, &t);
    (void)snprintf(text, sizeof text, "%04u-%02u-%02uT%02u:%02u:%02uZ", t.year, t.month, t.day,
                   t.hour, t.minute, t.second);
    return json_string(text);
}

static json_t *terminal_json(const struct dp_params_terminal *t)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:i,s:i,s:i,s:o,s:o,s:o,s:i,s:i,s:s}", "tid", t->tid, "mid",
                     t->mid, "mcc", t->mcc, "merchant_name", t->merchant_name, "country",
                     t->country, "currency", t->currency, "exponent", t->exponent, "type",
                     hex(&t->type, 1), "capabilities", hex(t->capabilities, 3),
                     "additional_capabilities", hex(t->additional_capabilities, 5),
                     "utc_offset_min", (int)t->utc_offset_min, "cut_off_min", (int)t->cut_off_min,
                     "acquirer_id", t->acquirer_id);
}

static json_t *aid_json(const struct dp_params_aid *a)
{
    json_t *o = json_pack("{s:o,s:i,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:s}", "aid", hex(a->aid, a->aid_n),
                          "kernel", a->kernel, "partial", a->partial, "version", hex(a->version, 2),
                          "tac_denial", hex(a->tac_denial, 5), "tac_online", hex(a->tac_online, 5),
                          "tac_default", hex(a->tac_default, 5), "ddol", hex(a->ddol, a->ddol_n),
                          "tdol", hex(a->tdol, a->tdol_n), "brand", a->brand);
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"floor_limit", a->floor_limit},
        {"random_threshold", a->random_threshold},
        {"random_target", a->random_target},
        {"random_max", a->random_max},
        {"cl_transaction_limit", a->cl_transaction_limit},
        {"cl_cvm_limit", a->cl_cvm_limit},
        {"cl_floor_limit", a->cl_floor_limit},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        (void)json_object_set_new(o, numbers[i].name, number(numbers[i].value));
    (void)json_object_set_new(o, "ttq", hex(a->ttq, 4));
    return o;
}

static json_t *ca_key_json(const struct dp_params_ca_key *k)
{
    return json_pack("{s:o,s:o,s:i,s:i,s:i}", "rid", hex(k->rid, 5), "index", hex(&k->index, 1),
                     "modulus_bytes", k->modulus_n, "exponent", (int)k->exponent, "expiry",
                     (int)k->expiry);
}

static json_t *limits_json(const struct dp_params *p, json_t *root)
{
    const struct dp_params_offline *o = &p->offline;
    const struct dp_params_deferred *d = &p->deferred;
    (void)json_object_set_new(
        root, "offline",
        json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:s}", "payment_max", number(o->payment_max),
                  "round_amount_max", number(o->round_amount_max), "round_count_max",
                  number(o->round_count_max), "card_amount_max", number(o->card_amount_max),
                  "card_count_max", number(o->card_count_max), "since_sync_max_s",
                  number(o->since_sync_max_s), "kernel3_max", number(o->kernel3_max), "oda_failure",
                  o->oda_failure_declines ? "decline" : "online"));
    (void)json_object_set_new(
        root, "deferred",
        json_pack("{s:b,s:o,s:o,s:o,s:o}", "allowed", d->allowed, "payment_max",
                  number(d->payment_max), "round_amount_max", number(d->round_amount_max),
                  "round_count_max", number(d->round_count_max), "expiry_s", number(d->expiry_s)));
    return root;
}

static json_t *acquirer_json(const struct dp_params_acquirer *q)
{
    return json_pack("{s:s,s:s,s:s,s:o,s:i,s:i,s:i,s:i,s:i,s:s,s:o}", "profile", q->profile,
                     "message", q->message == DP_MESSAGE_DUAL ? "dual" : "single", "card_data",
                     q->card_data == DP_CARD_DATA_CLEAR ? "clear" : "sealed", "sealing_key",
                     q->has_sealing_key ? hex(q->sealing_key, 65) : json_null(), "mac_len",
                     (int)q->mac_len, "online_timeout_ms", (int)q->online_timeout_ms,
                     "retry_first_ms", (int)q->retry_first_ms, "retry_max_ms", (int)q->retry_max_ms,
                     "repeat_max", (int)q->repeat_max, "server_name", q->server_name, "server_pin",
                     q->has_server_pin ? hex(q->server_pin, 32) : json_null());
}

/* Everything but the exceptions' key and the hashes under it. */
static json_t *set_json(const struct dp_params *p)
{
    struct dp_params_counts n;
    json_t *aids = json_array(), *ca_keys = json_array(), *root;
    dp_params_get_counts(p, &n);
    for (size_t i = 0; i < p->aids_n; i++)
        (void)json_array_append_new(aids, aid_json(&p->aids[i]));
    for (size_t i = 0; i < p->ca_keys_n; i++)
        (void)json_array_append_new(ca_keys, ca_key_json(&p->ca_keys[i]));
    root = json_pack("{s:o,s:s,s:o,s:o,s:o,s:s,s:s,s:o,s:o,s:o}", "version", number(p->version),
                     "profile", p->test_profile ? "test" : "production", "valid_from",
                     time_text(p->valid_from), "valid_to", time_text(p->valid_to), "digest",
                     hex(p->digest, 32), "signature", p->unverified ? "not_checked" : "verified",
                     "currency", dp_currency_alpha(p->terminal.currency), "terminal",
                     terminal_json(&p->terminal), "aids", aids, "ca_keys", ca_keys);
    if (root == NULL)
        return NULL;
    (void)limits_json(p, root);
    (void)json_object_set_new(root, "acquirer", acquirer_json(&p->acquirer));
    (void)json_object_set_new(root, "bins", number(n.bins));
    (void)json_object_set_new(root, "exceptions", number(n.exceptions));
    (void)json_object_set_new(
        root, "manifest", p->manifest_id[0] != '\0' ? json_string(p->manifest_id) : json_null());
    (void)json_object_set_new(root, "parcels", number(n.parcels));
    (void)json_object_set_new(root, "agents", number(n.agents));
    (void)json_object_set_new(root, "cohort",
                              p->cohort[0] != '\0' ? json_string(p->cohort) : json_null());
    (void)json_object_set_new(root, "refunds", json_boolean(p->refunds));
    (void)json_object_set_new(root, "degraded_payments_max", number(p->degraded_payments_max));
    return root;
}

/* ---- reading ---- */

static int read_set(const struct params_options *o, struct dp_params **out, char *reason,
                    size_t reason_n)
{
    uint8_t point[65], *set;
    size_t n = 0;
    int err;
    *out = NULL;
    (void)snprintf(reason, reason_n, "the file cannot be read");
    if (o->back_office != NULL && file_read_point(o->back_office, point) < 0)
        return DP_ERR_ARG;
    set = malloc(DP_PARAMS_SET_MAX);
    if (set == NULL)
        return DP_ERR_NOMEM;
    err = file_read(o->file, set, DP_PARAMS_SET_MAX, &n);
    if (err == DP_OK)
        err = o->back_office != NULL ? dp_params_decode(set, n, point, out, reason, reason_n)
                                     : dp_params_look(set, n, out, reason, reason_n);
    free(set);
    return err;
}

static int print_json(json_t *root)
{
    int bad = root == NULL || json_dumpf(root, stdout, JSON_INDENT(2)) != 0 || puts("") < 0;
    json_decref(root);
    return bad ? CLI_FAILED : CLI_DONE;
}

static void print_set(const struct dp_params *p)
{
    struct dp_params_counts n;
    char from[40], to[40];
    const struct dp_params_terminal *t = &p->terminal;
    json_t *f = time_text(p->valid_from), *u = time_text(p->valid_to);
    (void)snprintf(from, sizeof from, "%s", json_string_value(f));
    (void)snprintf(to, sizeof to, "%s", json_string_value(u));
    json_decref(f);
    json_decref(u);
    dp_params_get_counts(p, &n);
    (void)printf("version     %llu (%s), valid %s to %s\n", (unsigned long long)p->version,
                 p->test_profile ? "test" : "production", from, to);
    (void)printf("signature   %s\n",
                 p->unverified ? "NOT CHECKED: give --back-office" : "verified");
    (void)printf("terminal    %s, %s, %s\n", t->tid, t->mid, t->merchant_name);
    for (size_t i = 0; i < p->aids_n; i++) {
        char aid[33];
        (void)printf("aid         %s kernel %u %s\n",
                     dp_hex_encode(p->aids[i].aid, p->aids[i].aid_n, aid, sizeof aid),
                     p->aids[i].kernel, p->aids[i].brand);
    }
    (void)printf("CA keys     %zu\n", p->ca_keys_n);
    (void)printf("tables      %zu bins, %zu exceptions, %zu parcels, %zu agents\n", n.bins,
                 n.exceptions, n.parcels, n.agents);
    (void)printf("acquirer    %s at %s\n", p->acquirer.profile, p->acquirer.server_name);
}

static int params_show(const struct params_options *o)
{
    struct dp_params *p;
    char reason[160];
    int err = read_set(o, &p, reason, sizeof reason), status = CLI_DONE;
    if (err < 0) {
        dp_log(DP_LOG_ERROR, "%s: %s", o->file, reason);
        return CLI_FAILED;
    }
    if (o->json)
        status = print_json(set_json(p));
    else
        print_set(p);
    dp_params_free(&p);
    return status;
}

/* ---- check ---- */

/* The version in the key store and the clock; nothing is raised by a check. */
static int check_now(const struct params_options *o, const struct dp_params *p, char *reason,
                     size_t reason_n)
{
    const struct dp_clock *clock = dp_clock_system();
    int64_t now = clock->wall_ms(clock->ctx) / 1000;
    struct dp_hsm *hsm = NULL;
    uint64_t held = 0;
    int err = DP_OK;
    if (o->hsm != NULL) {
        err = dp_hsm_open(o->hsm, &hsm);
        if (err == DP_OK)
            err = dp_hsm_counter_read(hsm, DP_COUNTER_PARAMS, &held);
        dp_hsm_free(&hsm);
        if (err < 0)
            (void)snprintf(reason, reason_n, "the key store %s cannot be asked: %s", o->hsm,
                           dp_strerr(err));
    }
    if (err == DP_OK && p->version < held) {
        (void)snprintf(reason, reason_n, "version: %llu is older than %llu, which was in use",
                       (unsigned long long)p->version, (unsigned long long)held);
        err = DP_ERR_ROLLBACK;
    }
    if (err == DP_OK && (now < p->valid_from || now > p->valid_to)) {
        (void)snprintf(reason, reason_n, "%s: not valid now",
                       now < p->valid_from ? "valid_from" : "valid_to");
        err = DP_ERR_EXPIRED;
    }
    return err;
}

static int params_check(const struct params_options *o)
{
    struct dp_params *p = NULL;
    char reason[160];
    uint64_t version;
    int err;
    if (o->back_office == NULL)
        return usage(stderr, CLI_USAGE);
    err = read_set(o, &p, reason, sizeof reason);
    if (err == DP_OK)
        err = check_now(o, p, reason, sizeof reason);
    version = p != NULL ? p->version : 0;
    dp_params_free(&p);
    if (err < 0)
        dp_log(DP_LOG_ERROR, "%s: %s", o->file, reason);
    if (o->json)
        (void)print_json(
            err < 0 ? json_pack("{s:b,s:s,s:s}", "ok", 0, "error", dp_strerr(err), "reason", reason)
                    : json_pack("{s:b,s:o}", "ok", 1, "version", number(version)));
    else if (err == DP_OK)
        (void)printf("%s: version %llu would be taken\n", o->file, (unsigned long long)version);
    return err < 0 ? CLI_FAILED : CLI_DONE;
}

int dp_cmd_params(int argc, char **argv)
{
    struct params_options o = {.file = NULL};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0)
            return usage(stdout, CLI_DONE);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            o.json = true;
        else if (strcmp(argv[i], "--back-office") == 0 && i + 1 < argc)
            o.back_office = argv[++i];
        else if (strcmp(argv[i], "--hsm") == 0 && i + 1 < argc)
            o.hsm = argv[++i];
        else if (argv[i][0] != '-' && o.file == NULL)
            o.file = argv[i];
        else
            return usage(stderr, CLI_USAGE);
    }
    if (argc < 2 || o.file == NULL)
        return usage(stderr, CLI_USAGE);
    if (strcmp(argv[1], "show") == 0)
        return params_show(&o);
    if (strcmp(argv[1], "check") == 0)
        return params_check(&o);
    return usage(stderr, CLI_USAGE);
}
