/* SPDX-License-Identifier: Apache-2.0 */
#include "card_terminal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

#define AMOUNT_MAX     999999999999
#define CONTACTLESS_ID 3

#define GENERATE_AC_CDA 0x10 /* P1 */
#define CAPABLE_DDA     0x40 /* terminal capabilities, byte 3 */
#define CAPABLE_CDA     0x08
#define TVR_OVER_FLOOR  0x80 /* byte 4 */

/* TTQ: byte 1 qVSDC, contact chip, signature, ODA for online; byte 3 device CVM. */
static const uint8_t usual_ttq[4] = {0x33, 0x00, 0x40, 0x00};

/* ---- values: option, recording, default ---- */

static bool number(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && *out <= max;
}

static uint64_t bcd(const struct recording_value *v)
{
    uint64_t out = 0;
    for (size_t i = 0; i < v->n; i++)
        out = out * 100 + (uint64_t)(v->p[i] >> 4) * 10 + (v->p[i] & 15);
    return out;
}

/* An option in decimal before the recording's BCD before the default. */
static bool decimal(const char *option, const struct recording_value *v, uint64_t usual,
                    uint64_t max, uint64_t *out)
{
    if (option != NULL)
        return number(option, max, out);
    *out = v->n > 0 ? bcd(v) : usual;
    return *out <= max;
}

static void copy(uint8_t *out, size_t n, const struct recording_value *v, const void *usual)
{
    memcpy(out, v->n == n ? v->p : usual, n);
}

static bool take_date(const char *option, const struct recording *r, struct dp_date_time *out)
{
    unsigned year, month, day;
    char more;
    dp_date_time_from_ms(dp_clock_system()->wall_ms(dp_clock_system()->ctx), 0, out);
    if (r->date.n > 0) {
        uint64_t d = bcd(&r->date);
        out->year = (uint16_t)(2000 + d / 10000);
        out->month = (uint8_t)(d / 100 % 100);
        out->day = (uint8_t)(d % 100);
    }
    if (r->time.n > 0) {
        uint64_t t = bcd(&r->time);
        out->hour = (uint8_t)(t / 10000);
        out->minute = (uint8_t)(t / 100 % 100);
        out->second = (uint8_t)(t % 100);
    }
    if (option == NULL)
        return true;
    if (strlen(option) != 10 || sscanf(option, "%4u-%2u-%2u%c", &year, &month, &day, &more) != 3 ||
        month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    out->year = (uint16_t)year;
    out->month = (uint8_t)month;
    out->day = (uint8_t)day;
    return true;
}

static bool take_un(const char *option, const struct recording *r, uint8_t out[4])
{
    size_t n = 0;
    copy(out, 4, &r->un, "\0\0\0\0");
    return option == NULL || (dp_hex_decode(option, strlen(option), out, 4, &n) == DP_OK && n == 4);
}

static bool take_type(const char *option, const struct recording *r, uint8_t *out)
{
    uint64_t v;
    if (!decimal(option, &r->type, 0, 99, &v))
        return false;
    *out = (uint8_t)(v / 10 << 4 | v % 10);
    return true;
}

/* ---- applications ---- */

/*
 * What makes the terminal ask as the recorded one did: its first GENERATE AC and TVR, or its TTQ
 * for contactless. Action codes are all zero, so that the card's own decide.
 */
static void make_aid(const struct card_options *o, const struct recording *r, uint64_t amount,
                     const struct recording_name *name, struct dp_emv_aid *a)
{
    static const uint8_t ddol[] = {0x9F, 0x37, 0x04}, version[] = {0x00, 0x01};
    bool online = r->first_ac >= 0 && (r->first_ac & 0xC0) == 0x80;
    bool over_floor = r->tvr.n > 0 ? (r->tvr.p[3] & TVR_OVER_FLOOR) != 0 : online;
    memset(a, 0, sizeof *a);
    memcpy(a->aid, name->p, name->n);
    a->aid_n = name->n;
    a->partial = true;
    a->kernel = o->interface == DP_INTERFACE_CONTACTLESS ? CONTACTLESS_ID : 0;
    memcpy(a->version, version, sizeof version);
    memcpy(a->ddol, ddol, sizeof ddol);
    a->ddol_n = sizeof ddol;
    a->floor_limit = over_floor ? 0 : AMOUNT_MAX;
    if (online && r->tvr.n > 0)
        memcpy(a->tac_online, r->tvr.p, sizeof a->tac_online);
    else if (online)
        a->tac_online[3] = TVR_OVER_FLOOR;
    copy(a->ttq, 4, &r->ttq, usual_ttq);
    a->cl_transaction_limit = AMOUNT_MAX;
    a->cl_floor_limit = (a->ttq[1] & 0x80) != 0 ? 0 : AMOUNT_MAX;
    a->cl_cvm_limit = (a->ttq[1] & 0x40) != 0 ? amount : AMOUNT_MAX;
}

/* ---- the issuer ---- */

static void make_issuer(const struct card_options *o, const struct recording *r,
                        struct card_terminal *t)
{
    struct dp_emv_online_answer *a = &t->answer;
    bool silent = r->arc.n == 0 || r->arc.p[0] == 'Y' || r->arc.p[0] == 'Z';
    enum card_issuer says = o->issuer;
    memset(a, 0, sizeof *a);
    if (says == ISSUER_AS_RECORDED)
        says = silent                           ? ISSUER_SILENT
               : memcmp(r->arc.p, "00", 2) == 0 ? ISSUER_APPROVES
                                                : ISSUER_DECLINES;
    t->transaction.online_possible = says != ISSUER_SILENT;
    if (says == ISSUER_SILENT)
        return;
    a->online = true;
    a->approved = says == ISSUER_APPROVES;
    memcpy(a->arc, a->approved ? "00" : "05", 2);
    if (!silent)
        memcpy(a->arc, r->arc.p, 2);
    memcpy(a->issuer_authentication, r->issuer_authentication.p, r->issuer_authentication.n);
    a->issuer_authentication_n = r->issuer_authentication.n;
}

/* ---- the terminal ---- */

static void make_terminal(const struct recording *r, uint64_t country, struct dp_emv_terminal *t)
{
    static const uint8_t capabilities[3] = {0x20, 0x28, 0xC8}; /* chip; signature, none; all ODA */
    static const uint8_t additional[5] = {0x60, 0x00, 0xF0, 0xF0, 0x01}, type = 0x22;
    *t = (struct dp_emv_terminal){
        .tid = "REPLAY01", .mid = "REPLAY", .mcc = "4215", .country = (uint16_t)country};
    copy(&t->type, 1, &r->terminal_type, &type);
    copy(t->capabilities, 3, &r->capabilities, capabilities);
    /* no signature is asked for that the recorded terminal did not ask for */
    if (r->capabilities.n == 0 && r->first_ac >= 0 && (r->first_ac & GENERATE_AC_CDA) == 0)
        t->capabilities[2] &=
            (uint8_t) ~(CAPABLE_CDA | (r->internal_authenticate ? 0 : CAPABLE_DDA));
    copy(t->additional_capabilities, 5, &r->additional_capabilities, additional);
}

/* ---- from a parameter set ---- */

static void take_aid(const struct dp_params_aid *a, struct dp_emv_aid *out)
{
    *out = (struct dp_emv_aid){
        .aid_n = a->aid_n,
        .kernel = a->kernel,
        .partial = a->partial,
        .floor_limit = a->floor_limit,
        .random_threshold = a->random_threshold,
        .random_target = a->random_target,
        .random_max = a->random_max,
        .ddol_n = a->ddol_n,
        .tdol_n = a->tdol_n,
        .cl_transaction_limit = a->cl_transaction_limit,
        .cl_cvm_limit = a->cl_cvm_limit,
        .cl_floor_limit = a->cl_floor_limit,
    };
    memcpy(out->aid, a->aid, sizeof out->aid);
    memcpy(out->version, a->version, sizeof out->version);
    memcpy(out->tac_denial, a->tac_denial, sizeof out->tac_denial);
    memcpy(out->tac_online, a->tac_online, sizeof out->tac_online);
    memcpy(out->tac_default, a->tac_default, sizeof out->tac_default);
    memcpy(out->ddol, a->ddol, sizeof out->ddol);
    memcpy(out->tdol, a->tdol, sizeof out->tdol);
    memcpy(out->ttq, a->ttq, sizeof out->ttq);
}

static void take_ca_key(const struct dp_params_ca_key *k, struct dp_emv_ca_key *out)
{
    *out = (struct dp_emv_ca_key){
        .index = k->index, .modulus_n = k->modulus_n, .exponent = k->exponent, .expiry = k->expiry};
    memcpy(out->rid, k->rid, sizeof out->rid);
    memcpy(out->modulus, k->modulus, sizeof out->modulus);
}

static void take_terminal(const struct dp_params_terminal *p, struct dp_emv_terminal *t)
{
    memset(t, 0, sizeof *t);
    memcpy(t->tid, p->tid, sizeof t->tid);
    memcpy(t->mid, p->mid, sizeof t->mid);
    memcpy(t->mcc, p->mcc, sizeof t->mcc);
    memcpy(t->merchant_name, p->merchant_name, sizeof t->merchant_name);
    memcpy(t->acquirer_id, p->acquirer_id, sizeof t->acquirer_id);
    t->country = p->country;
    t->type = p->type;
    memcpy(t->capabilities, p->capabilities, sizeof t->capabilities);
    memcpy(t->additional_capabilities, p->additional_capabilities,
           sizeof t->additional_capabilities);
}

static void take_params(const struct dp_params *p, struct card_terminal *t)
{
    struct dp_emv_transaction *x = &t->transaction;
    uint64_t amount = (uint64_t)x->amount.minor;
    take_terminal(&p->terminal, &t->terminal);
    for (size_t i = 0; i < p->aids_n && i < DP_EMV_AIDS_MAX; i++)
        take_aid(&p->aids[i], &t->aids[i]);
    t->terminal.aids = t->aids;
    t->terminal.aids_n = p->aids_n < DP_EMV_AIDS_MAX ? p->aids_n : DP_EMV_AIDS_MAX;
    for (size_t i = 0; i < p->ca_keys_n && i < DP_EMV_CA_KEYS_MAX; i++)
        take_ca_key(&p->ca_keys[i], &t->ca_keys[i]);
    for (size_t i = 0; i < p->revoked_n && i < DP_EMV_REVOKED_MAX; i++) {
        struct dp_emv_revoked *r = &t->revoked[t->terminal.revoked_n++];
        memcpy(r->rid, p->revoked[i].rid, sizeof r->rid);
        r->index = p->revoked[i].index;
        memcpy(r->serial, p->revoked[i].serial, sizeof r->serial);
    }
    t->terminal.revoked = t->revoked;
    t->terminal.ca_keys = t->ca_keys;
    t->terminal.ca_keys_n = p->ca_keys_n < DP_EMV_CA_KEYS_MAX ? p->ca_keys_n : DP_EMV_CA_KEYS_MAX;
    x->amount.exponent = p->terminal.exponent;
    x->offline_allowed = amount <= p->offline.payment_max;
    x->deferred_allowed = p->deferred.allowed && amount <= p->deferred.payment_max;
    x->kernel3_offline_max = p->offline.kernel3_max;
    x->oda_failure_declines = p->offline.oda_failure_declines;
}

/* ---- together ---- */

static int take_transaction(const struct card_options *o, const struct recording *r,
                            const struct dp_params *params, struct dp_emv_transaction *x,
                            const char **what)
{
    uint64_t amount, currency, own = params != NULL ? params->terminal.currency : 978;
    *what = "--amount";
    if (!decimal(o->amount, &r->amount, 100, AMOUNT_MAX, &amount))
        return DP_ERR_RANGE;
    *what = "--currency";
    if (!decimal(o->currency, &r->currency, own, 999, &currency))
        return DP_ERR_RANGE;
    *what = "--type";
    if (!take_type(o->type, r, &x->type))
        return DP_ERR_RANGE;
    *what = "--date";
    if (!take_date(o->date, r, &x->local))
        return DP_ERR_FORMAT;
    *what = "--un";
    if (!take_un(o->un, r, x->unpredictable_number))
        return DP_ERR_FORMAT;
    x->amount = (struct dp_money){(int64_t)amount, (uint16_t)currency, 2};
    x->sequence = r->sequence.n > 0 ? (uint32_t)bcd(&r->sequence) : 1;
    x->offline_allowed = x->deferred_allowed = true;
    x->kernel3_offline_max = AMOUNT_MAX;
    return DP_OK;
}

/* The applications the recording names. */
static void make_aids(const struct card_options *o, const struct recording *r,
                      struct card_terminal *t)
{
    for (size_t i = 0; i < r->names_n; i++)
        make_aid(o, r, (uint64_t)t->transaction.amount.minor, &r->names[i], &t->aids[i]);
    t->terminal.aids = t->aids;
    t->terminal.aids_n = r->names_n;
}

int card_terminal_make(const struct card_options *o, const struct recording *r,
                       const struct dp_params *params, struct card_terminal *t, const char **what)
{
    uint64_t country;
    int err;
    memset(t, 0, sizeof *t);
    err = take_transaction(o, r, params, &t->transaction, what);
    if (err < 0)
        return err;
    *what = "--country";
    if (!decimal(o->country, &r->country, 56, 999, &country))
        return DP_ERR_RANGE;
    make_terminal(r, country, &t->terminal);
    if (params != NULL)
        take_params(params, t);
    else
        make_aids(o, r, t);
    if (o->country != NULL)
        t->terminal.country = (uint16_t)country;
    make_issuer(o, r, t);
    *what = "--transcript";
    return t->terminal.aids_n > 0 ? DP_OK : DP_ERR_NOT_FOUND;
}
