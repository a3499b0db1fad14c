/* SPDX-License-Identifier: Apache-2.0 */
/* The text form of a parameter set. The packed keys, their order and their presets stand in tables.
 */
#include "params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tables ---- */

static const struct sim_field set_fields[] = {{1, "version", SIM_KIND_UINT, 0, NULL, {0}},
                                              {2, "profile", SIM_KIND_TEXT, 10, "test", {0}},
                                              {3, "valid_from", SIM_KIND_DATE, 0, NULL, {0}},
                                              {4, "valid_to", SIM_KIND_DATE, 0, NULL, {0}},
                                              {0}};
static const struct sim_field terminal_fields[] = {
    {1, "tid", SIM_KIND_TEXT, 8, NULL, {0}},
    {2, "mid", SIM_KIND_TEXT, 15, NULL, {0}},
    {3, "mcc", SIM_KIND_TEXT, 4, NULL, {0}},
    {4, "merchant_name", SIM_KIND_TEXT, 40, NULL, {0}},
    {5, "country", SIM_KIND_UINT, 0, NULL, {0}},
    {6, "currency", SIM_KIND_UINT, 0, NULL, {0}},
    {7, "exponent", SIM_KIND_UINT, 0, NULL, {0}},
    {8, "type", SIM_KIND_HEX_UINT, 0, NULL, {0}},
    {9, "capabilities", SIM_KIND_HEX, 3, NULL, {0}},
    {10, "additional_capabilities", SIM_KIND_HEX, 5, NULL, {0}},
    {11, "utc_offset_min", SIM_KIND_INT, 0, "0", {0}},
    {12, "cut_off_min", SIM_KIND_UINT, 0, "0", {0}},
    {13, "acquirer_id", SIM_KIND_TEXT, 11, NULL, {0}},
    {0}};
static const struct sim_field aid_fields[] = {
    {1, "aid", SIM_KIND_HEX_MOST, 16, NULL, {0}},
    {2, "kernel", SIM_KIND_UINT, 0, "0", {0}},
    {3, "partial", SIM_KIND_YES_NO, 0, "no", {0}},
    {4, "version", SIM_KIND_HEX, 2, "0001", {0}},
    {5, "tac_denial", SIM_KIND_HEX, 5, NULL, {0}},
    {6, "tac_online", SIM_KIND_HEX, 5, NULL, {0}},
    {7, "tac_default", SIM_KIND_HEX, 5, NULL, {0}},
    {8, "floor_limit", SIM_KIND_UINT, 0, "0", {0}},
    {9, "random_threshold", SIM_KIND_UINT, 0, "0", {0}},
    {10, "random_target", SIM_KIND_UINT, 0, "0", {0}},
    {11, "random_max", SIM_KIND_UINT, 0, "0", {0}},
    {12, "ddol", SIM_KIND_HEX_MOST, 64, "9F3704", {0}},
    {13, "tdol", SIM_KIND_HEX_MOST, 64, "", {0}},
    {14, "ttq", SIM_KIND_HEX, 4, "00000000", {0}},
    {15, "cl_transaction_limit", SIM_KIND_UINT, 0, "0", {0}},
    {16, "cl_cvm_limit", SIM_KIND_UINT, 0, "0", {0}},
    {17, "cl_floor_limit", SIM_KIND_UINT, 0, "0", {0}},
    {18, "brand", SIM_KIND_TEXT, 16, NULL, {0}},
    {0}};
static const struct sim_field ca_keys_fields[] = {{1, "file", SIM_KIND_TEXT, 255, "ca.keys", {0}},
                                                  {0}};
static const struct sim_field offline_fields[] = {
    {1, "payment_max", SIM_KIND_UINT, 0, NULL, {0}},
    {2, "round_amount_max", SIM_KIND_UINT, 0, NULL, {0}},
    {3, "round_count_max", SIM_KIND_UINT, 0, NULL, {0}},
    {4, "card_amount_max", SIM_KIND_UINT, 0, NULL, {0}},
    {5, "card_count_max", SIM_KIND_UINT, 0, NULL, {0}},
    {6, "since_sync_max_s", SIM_KIND_UINT, 0, NULL, {0}},
    {7, "kernel3_max", SIM_KIND_UINT, 0, "0", {0}},
    {8, "oda_failure", SIM_KIND_WORDS, 0, "online", {"online", "decline"}},
    {0}};
static const struct sim_field deferred_fields[] = {
    {1, "allowed", SIM_KIND_YES_NO, 0, NULL, {0}},
    {2, "payment_max", SIM_KIND_UINT, 0, "0", {0}},
    {3, "round_amount_max", SIM_KIND_UINT, 0, "0", {0}},
    {4, "round_count_max", SIM_KIND_UINT, 0, "0", {0}},
    {5, "expiry_s", SIM_KIND_UINT, 0, "0", {0}},
    {0}};
static const struct sim_field acquirer_fields[] = {
    {1, "profile", SIM_KIND_TEXT, 16, "iso93-pos", {0}},
    {2, "message", SIM_KIND_WORDS, 1, "single", {"single", "dual"}},
    {3, "card_data", SIM_KIND_WORDS, 1, "sealed", {"sealed", "clear"}},
    {4, "sealing_key", SIM_KIND_POINT, 0, "seal.pub", {0}},
    {5, "mac_len", SIM_KIND_UINT, 0, "8", {0}},
    {6, "online_timeout_ms", SIM_KIND_UINT, 0, NULL, {0}},
    {7, "retry_first_ms", SIM_KIND_UINT, 0, NULL, {0}},
    {8, "retry_max_ms", SIM_KIND_UINT, 0, NULL, {0}},
    {9, "repeat_max", SIM_KIND_UINT, 0, "0", {0}},
    {10, "server_name", SIM_KIND_TEXT, 128, NULL, {0}},
    {11, "server_pin", SIM_KIND_PIN, 0, "tls-server.pem", {0}},
    {0}};
static const struct sim_field manifest_fields[] = {{1, "id", SIM_KIND_TEXT, 35, NULL, {0}}, {0}};
static const struct sim_field refunds_fields[] = {{16, "allowed", SIM_KIND_YES_NO, 0, "no", {0}},
                                                  {0}};

static const struct sim_field collector_fields[] = {
    {1, "key", SIM_KIND_POINT, 0, "collector.pub", {0}},
    {2, "archive", SIM_KIND_YES_NO, 0, "no", {0}},
    {0}};
static const struct sim_field degraded_fields[] = {
    {18, "payments_max", SIM_KIND_UINT, 0, NULL, {0}}, {0}};

/* ---- reading ---- */

static char *copy(const char *text)
{
    char *p = strdup(text);
    if (p == NULL)
        abort();
    return p;
}

static int put_value(struct sim_section *s, const char *name, const char *value)
{
    for (size_t i = 0; s->fields[i].kind != SIM_KIND_END; i++) {
        if (strcmp(s->fields[i].name, name) != 0)
            continue;
        if (s->values[i] != NULL)
            return DP_ERR_DUPLICATE;
        s->values[i] = copy(value);
        return DP_OK;
    }
    return DP_ERR_UNSUPPORTED;
}

/* [aid HEX contact|kernel2|kernel3] */
static int begin_aid(struct sim_set *s, char *rest)
{
    static const char *const kernels[] = {"contact", "kernel2", "kernel3", NULL};
    static const char *const numbers[] = {"0", "2", "3"};
    char *aid = sim_text_next(&rest), *kernel = sim_text_next(&rest);
    int at = 0, err = DP_OK;
    if (aid == NULL || s->aids_n == SIM_PARAMS_AIDS_MAX)
        return DP_ERR_FORMAT;
    s->now = &s->aids[s->aids_n++];
    s->now->fields = aid_fields;
    if (kernel != NULL) {
        err = sim_text_word(kernel, kernels, &at);
        if (err == DP_OK)
            err = put_value(s->now, "kernel", numbers[at]);
    }
    return err != DP_OK ? err : put_value(s->now, "aid", aid);
}

/* [bin LOW] or [bin LOW-HIGH] */
static int begin_bin(struct sim_set *s, const char *range)
{
    struct sim_bin *b = &s->bins[s->bins_n];
    const char *dash = strchr(range, '-');
    size_t low_n = dash != NULL ? (size_t)(dash - range) : strlen(range);
    const char *high = dash != NULL ? dash + 1 : range;
    if (s->bins_n == SIM_PARAMS_BINS_MAX || low_n < 6 || low_n > 8 || strlen(high) != low_n)
        return DP_ERR_FORMAT;
    (void)snprintf(b->low, sizeof b->low, "%.*s", (int)low_n, range);
    (void)snprintf(b->high, sizeof b->high, "%s", high);
    s->bins_n++;
    s->in_bin = true;
    return DP_OK;
}

static int begin_section(struct sim_set *s, char *title)
{
    const struct {
        const char *name;
        struct sim_section *section;
        const struct sim_field *fields;
        struct sim_list *list;
        const char *item;
    } known[] = {
        {"set", &s->set, set_fields, NULL, NULL},
        {"terminal", &s->terminal, terminal_fields, NULL, NULL},
        {"ca_keys", &s->ca_keys, ca_keys_fields, NULL, NULL},
        {"offline", &s->offline, offline_fields, NULL, NULL},
        {"deferred", &s->deferred, deferred_fields, NULL, NULL},
        {"acquirer", &s->acquirer, acquirer_fields, NULL, NULL},
        {"manifest", &s->manifest, manifest_fields, &s->parcels, "parcel"},
        {"refunds", &s->refunds, refunds_fields, NULL, NULL},
        {"degraded", &s->degraded, degraded_fields, NULL, NULL},
        {"collector", &s->collector, collector_fields, NULL, NULL},
        {"exceptions", NULL, NULL, &s->pans, "pan"},
        {"agents", NULL, NULL, &s->agents, "agent"},
        {"revoked", NULL, NULL, &s->revoked, "certificate"},
    };
    char *rest = title, *name = sim_text_next(&rest);
    s->now = NULL;
    s->now_list = NULL;
    s->in_bin = s->in_exceptions = s->in_set = false;
    if (name != NULL && strcmp(name, "aid") == 0)
        return begin_aid(s, rest);
    if (name != NULL && strcmp(name, "bin") == 0)
        return begin_bin(s, rest);
    for (size_t i = 0; name != NULL && i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) != 0)
            continue;
        s->now = known[i].section;
        if (s->now != NULL)
            s->now->fields = known[i].fields;
        s->now_list = known[i].list;
        s->now_item = known[i].item;
        s->in_exceptions = strcmp(name, "exceptions") == 0;
        s->has_agents = s->has_agents || strcmp(name, "agents") == 0;
        s->has_revoked = s->has_revoked || strcmp(name, "revoked") == 0;
        s->in_set = strcmp(name, "set") == 0;
        return DP_OK;
    }
    return DP_ERR_UNSUPPORTED;
}

static int set_line(void *ctx, const struct sim_line *line)
{
    struct sim_set *s = ctx;
    if (line->section != NULL)
        return begin_section(s, line->section);
    if (s->in_bin && strcmp(line->key, "aids") == 0) {
        s->bins[s->bins_n - 1].aids = copy(line->value);
        return DP_OK;
    }
    if (s->in_exceptions && strcmp(line->key, "key") == 0) {
        (void)snprintf(s->exception_key, sizeof s->exception_key, "%s", line->value);
        return strlen(line->value) == 64 ? DP_OK : DP_ERR_FORMAT;
    }
    if (s->in_set && strcmp(line->key, "cohort") == 0) {
        (void)snprintf(s->cohort, sizeof s->cohort, "%s", line->value);
        return strlen(line->value) <= 16 ? DP_OK : DP_ERR_RANGE;
    }
    if (s->now_list != NULL && strcmp(line->key, s->now_item) == 0) {
        if (s->now_list->n == SIM_PARAMS_LIST_MAX)
            return DP_ERR_LIMIT;
        s->now_list->items[s->now_list->n++] = copy(line->value);
        return DP_OK;
    }
    return s->now == NULL ? DP_ERR_UNSUPPORTED : put_value(s->now, line->key, line->value);
}

int sim_params_read(const char *path, const char *keys, struct sim_set *out)
{
    memset(out, 0, sizeof *out);
    out->keys = keys;
    out->refunds.fields = refunds_fields;
    out->ca_keys.fields = ca_keys_fields;
    return sim_text_read(path, set_line, out);
}

void sim_params_set_version(struct sim_set *set, const char *version)
{
    if (set->set.fields == NULL)
        return;
    free(set->set.values[0]);
    set->set.values[0] = copy(version);
}
