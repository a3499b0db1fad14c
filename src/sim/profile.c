/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "text.h"

const struct sim_element *sim_element(const struct sim_elements *e, uint32_t tag)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->list[i].tag == tag)
            return &e->list[i];
    return NULL;
}

int sim_element_set(struct sim_elements *e, uint32_t tag, const void *p, size_t n)
{
    size_t i = 0;
    while (i < e->n && e->list[i].tag != tag)
        i++;
    if (i == SIM_ELEMENTS_MAX || n > SIM_ELEMENT_MAX)
        return DP_ERR_LIMIT;
    if (i == e->n)
        e->n++;
    e->list[i].tag = tag;
    e->list[i].n = n;
    if (n > 0)
        memcpy(e->list[i].value, p, n);
    return DP_OK;
}

/* ---- one application's keys ---- */

typedef struct sim_application_profile app;

static int word(const char *value, const char *const *words, int *out)
{
    return sim_text_word(value, words, out);
}

static int set_aid(app *a, char *value)
{
    return sim_text_hex(value, a->aid, sizeof a->aid, &a->aid_n);
}

static int set_ascii(app *a, uint32_t tag, const char *value)
{
    return sim_element_set(&a->elements, tag, value, strlen(value));
}

static int set_label(app *a, char *value)
{
    return set_ascii(a, 0x50, value);
}

static int set_preferred_name(app *a, char *value)
{
    return set_ascii(a, 0x9F12, value);
}

static int set_number(const char *value, uint64_t most, int64_t *out)
{
    uint64_t v = 0;
    int err;
    if (strcmp(value, "none") == 0 || strcmp(value, "never") == 0) {
        *out = -1;
        return DP_OK;
    }
    err = sim_text_uint(value, most, &v);
    *out = (int64_t)v;
    return err;
}

static int set_priority(app *a, char *value)
{
    int64_t v;
    int err = set_number(value, 15, &v);
    a->priority = (uint8_t)v;
    return err;
}

static int set_pan(app *a, char *value)
{
    size_t n = strlen(value);
    if (n < 8 || n > 19 || strspn(value, "0123456789") != n)
        return DP_ERR_FORMAT;
    memcpy(a->pan, value, n + 1);
    return DP_OK;
}

static int set_psn(app *a, char *value)
{
    int64_t v;
    int err = set_number(value, 99, &v);
    a->psn = (int)v;
    return err;
}

static int set_chain(app *a, char *value)
{
    int64_t v;
    int err = set_number(value, 255, &v);
    a->chain = (unsigned)v;
    return err;
}

static int set_oda(app *a, char *value)
{
    static const char *const words[] = {"none", "sda", "dda", "cda", "fdda", NULL};
    int at = 0, err = word(value, words, &at);
    a->oda = (enum sim_oda)at;
    return err;
}

static int set_cvn(app *a, char *value)
{
    return sim_version_named(value, &a->cvn) != NULL ? DP_OK : DP_ERR_FORMAT;
}

static int set_derivation(app *a, char *value)
{
    static const char *const words[] = {"usual", "a", NULL};
    int at = 0, err = word(value, words, &at);
    a->key_index = at == 1 ? SIM_DKI_FORCE_A : SIM_DKI;
    return err;
}

static int set_pin(app *a, char *value)
{
    size_t n = strlen(value);
    if (n < SIM_PIN_MIN || n > SIM_PIN_MAX || strspn(value, "0123456789") != n)
        return DP_ERR_FORMAT;
    memcpy(a->pin, value, n + 1);
    return DP_OK;
}

static int set_stripe(app *a, char *value)
{
    return sim_text_bool(value, &a->stripe);
}

static int set_issuer_authentication(app *a, char *value)
{
    static const char *const words[] = {"cdol2", "external", NULL};
    int at = 0, err = word(value, words, &at);
    a->external_authenticate = at == 1;
    return err;
}

static int set_format(app *a, char *value)
{
    static const char *const words[] = {"2", "1", NULL};
    int at = 0, err = word(value, words, &at);
    a->format1 = at == 1;
    return err;
}

static const char *const answers[] = {"approve", "online", "decline", NULL};

static int set_offline(app *a, char *value)
{
    int at = 0, err = word(value, answers, &at);
    a->offline = (enum sim_answer)at;
    return err;
}

static int set_unable(app *a, char *value)
{
    int at = 0, err = word(value, answers, &at);
    a->unable = (enum sim_answer)at;
    return err;
}

static int set_decline(app *a, char *value)
{
    static const char *const words[] = {"never", "always", NULL};
    int at = 0, err = word(value, words, &at);
    a->declines = at == 1;
    return err;
}

static int set_online_above(app *a, char *value)
{
    return set_number(value, 999999999999, &a->online_above);
}

static int set_decline_above(app *a, char *value)
{
    return set_number(value, 999999999999, &a->decline_above);
}

static int set_arpc(app *a, char *value)
{
    static const char *const words[] = {"required", "optional", "ignored", NULL};
    int at = 0, err = word(value, words, &at);
    a->arpc = (enum sim_arpc_rule)at;
    return err;
}

static int set_cvm(app *a, char *value)
{
    static const char *const words[] = {"none", "signature", "pin", "device", NULL};
    int at = 0, err = word(value, words, &at);
    a->cvm = (enum sim_cl_cvm)at;
    return err;
}

static int set_fdda_online(app *a, char *value)
{
    return sim_text_bool(value, &a->fdda_online);
}

static const struct {
    const char *key;
    int (*set)(app *a, char *value);
} app_keys[] = {
    {"aid", set_aid},
    {"label", set_label},
    {"preferred_name", set_preferred_name},
    {"priority", set_priority},
    {"pan", set_pan},
    {"psn", set_psn},
    {"keys", set_chain},
    {"oda", set_oda},
    {"cvn", set_cvn},
    {"derivation", set_derivation},
    {"pin", set_pin},
    {"stripe", set_stripe},
    {"issuer_authentication", set_issuer_authentication},
    {"format", set_format},
    {"offline", set_offline},
    {"unable_to_go_online", set_unable},
    {"decline", set_decline},
    {"online_above", set_online_above},
    {"decline_above", set_decline_above},
    {"arpc", set_arpc},
    {"cvm", set_cvm},
    {"fdda_online", set_fdda_online},
};

/* A key in capitals: hex digits of a tag. */
static bool tag_of(const char *text, uint32_t *tag)
{
    size_t n = strlen(text);
    if (n < 2 || n > 8 || n % 2 != 0 || strspn(text, "0123456789ABCDEF") != n)
        return false;
    *tag = (uint32_t)strtoul(text, NULL, 16);
    return true;
}

static int set_tag(app *a, uint32_t tag, const char *value)
{
    uint8_t bytes[SIM_ELEMENT_MAX];
    size_t n = 0;
    int err = sim_text_hex(value, bytes, sizeof bytes, &n);
    return err != DP_OK ? err : sim_element_set(&a->elements, tag, bytes, n);
}

/* record SFI NUMBER [signed] = TAG TAG ... */
static int set_record(app *a, char *key, char *value)
{
    struct sim_record *r;
    char *at = key, *part[4];
    uint64_t sfi, number;
    size_t n = 0;
    if (a->records_n == SIM_RECORDS_MAX)
        return DP_ERR_LIMIT;
    r = &a->records[a->records_n];
    memset(r, 0, sizeof *r);
    while (n < 4 && (part[n] = sim_text_next(&at)) != NULL)
        n++;
    if (n < 3 || (n == 4 && strcmp(part[3], "signed") != 0))
        return DP_ERR_FORMAT;
    if (sim_text_uint(part[1], 30, &sfi) != DP_OK ||
        sim_text_uint(part[2], 255, &number) != DP_OK || sfi < 1 || number < 1)
        return DP_ERR_RANGE;
    r->sfi = (uint8_t)sfi;
    r->number = (uint8_t)number;
    r->is_signed = n == 4;
    for (char *t = sim_text_next(&value); t != NULL; t = sim_text_next(&value)) {
        if (r->n == SIM_RECORD_TAGS_MAX)
            return DP_ERR_LIMIT;
        if (!tag_of(t, &r->tags[r->n++]))
            return DP_ERR_FORMAT;
    }
    a->records_n++;
    return DP_OK;
}

static int app_line(app *a, const struct sim_line *line)
{
    uint32_t tag;
    if (strncmp(line->key, "record ", 7) == 0)
        return set_record(a, line->key, line->value);
    if (tag_of(line->key, &tag))
        return set_tag(a, tag, line->value);
    for (size_t i = 0; i < sizeof app_keys / sizeof *app_keys; i++)
        if (strcmp(line->key, app_keys[i].key) == 0)
            return app_keys[i].set(a, line->value);
    return DP_ERR_UNSUPPORTED;
}

/* ---- the card's keys ---- */

struct reading {
    struct sim_profile *profile;
    app *base; /* what stands before the first [application] */
};

static int card_line(struct sim_profile *p, const struct sim_line *line, bool *mine)
{
    static const char *const interfaces[] = {"contact", "contactless", NULL};
    int at = 0, err;
    *mine = true;
    if (strcmp(line->key, "name") == 0) {
        (void)snprintf(p->name, sizeof p->name, "%s", line->value);
        return DP_OK;
    }
    if (strcmp(line->key, "interface") == 0) {
        err = word(line->value, interfaces, &at);
        p->contactless = at == 1;
        return err;
    }
    if (strcmp(line->key, "t0") == 0)
        return sim_text_bool(line->value, &p->t0);
    if (strcmp(line->key, "pse") == 0)
        return sim_text_bool(line->value, &p->has_pse);
    if (strcmp(line->key, "atr") == 0)
        return sim_text_hex(line->value, p->atr, sizeof p->atr, &p->atr_n);
    *mine = false;
    return DP_OK;
}

static int profile_line(void *ctx, const struct sim_line *line)
{
    struct reading *r = ctx;
    struct sim_profile *p = r->profile;
    bool mine;
    int err;
    if (line->section != NULL) {
        if (strcmp(line->section, "application") != 0)
            return DP_ERR_UNSUPPORTED;
        if (p->applications_n == SIM_APPLICATIONS_MAX)
            return DP_ERR_LIMIT;
        p->applications[p->applications_n++] = *r->base;
        return DP_OK;
    }
    err = card_line(p, line, &mine);
    if (err != DP_OK || mine)
        return err;
    return app_line(p->applications_n > 0 ? &p->applications[p->applications_n - 1] : r->base,
                    line);
}

int sim_profile_load(const char *path, struct sim_profile *out)
{
    struct reading r = {out, calloc(1, sizeof(app))};
    int err;
    if (r.base == NULL)
        return DP_ERR_NOMEM;
    memset(out, 0, sizeof *out);
    out->has_pse = true;
    *r.base = (app){.psn = -1,
                    .chain = 1,
                    .priority = 1,
                    .oda = SIM_ODA_CDA,
                    .cvn = SIM_CVN_20,
                    .key_index = SIM_DKI,
                    .pin = "0000",
                    .online_above = -1,
                    .decline_above = -1,
                    .unable = SIM_DECLINE};
    err = sim_text_read(path, profile_line, &r);
    if (err == DP_OK && out->applications_n == 0)
        out->applications[out->applications_n++] = *r.base;
    for (size_t i = 0; err == DP_OK && i < out->applications_n; i++) {
        if (out->applications[i].aid_n < 5 || out->applications[i].pan[0] == '\0') {
            dp_log(DP_LOG_ERROR, "%s: an application needs aid and pan", path);
            err = DP_ERR_MISSING;
        }
    }
    free(r.base);
    return err;
}
