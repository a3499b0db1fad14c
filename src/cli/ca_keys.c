/* SPDX-License-Identifier: Apache-2.0 */
#include "ca_keys.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <psa/crypto.h>

#include "base/hex.h"

#define HASH_BYTES    20
#define MODULUS_MIN   64
#define MODULUS_MAX   512 /* bytes: what is read, to say that it is too long */
#define NEVER_EXPIRES 99991231

/* A key as it stands in the file. */
struct entry {
    size_t at; /* in the list, from 1 */
    uint8_t rid[5], index, exponent[4], modulus[MODULUS_MAX];
    size_t exponent_n, modulus_n;
    uint32_t expiry;
    const json_t *hashes;
};

struct loading {
    struct ca_keys *out;
    ca_keys_report *report;
    void *ctx;
};

static void say(const struct loading *l, const struct entry *e, const char *what)
{
    char line[160], rid[11];
    (void)snprintf(line, sizeof line, "key %zu (%s %02X): %s", e->at,
                   dp_hex_encode(e->rid, sizeof e->rid, rid, sizeof rid), e->index, what);
    l->report(l->ctx, line);
}

static int format(const struct loading *l, const struct entry *e, const char *what)
{
    say(l, e, what);
    return DP_ERR_FORMAT;
}

/* ---- one entry's fields ---- */

static bool hex_field(const json_t *row, const char *name, uint8_t *out, size_t max, size_t *n)
{
    const json_t *v = json_object_get(row, name);
    return json_is_string(v) &&
           dp_hex_decode(json_string_value(v), json_string_length(v), out, max, n) == DP_OK;
}

/* YYMMDD, or MMYY for the month's end; years of this century. None: it does not expire here. */
static bool expiry_field(const json_t *row, uint32_t *out)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const json_t *v = json_object_get(row, "expiry");
    const char *s = json_string_value(v);
    uint32_t number = 0, year, month, day;
    *out = NEVER_EXPIRES;
    if (v == NULL || json_is_null(v))
        return true;
    if (s == NULL || (strlen(s) != 4 && strlen(s) != 6) || strspn(s, "0123456789") != strlen(s))
        return false;
    for (size_t i = 0; s[i] != '\0'; i++)
        number = number * 10 + (uint32_t)(s[i] - '0');
    if (strlen(s) == 4)
        number = number % 100 * 10000 + number / 100 * 100;
    year = 2000 + number / 10000;
    month = number / 100 % 100;
    day = number % 100;
    if (month < 1 || month > 12 || (strlen(s) == 6 && (day < 1 || day > 31)))
        return false;
    if (strlen(s) == 4)
        day = days[month - 1];
    *out = year * 10000 + month * 100 + day;
    return true;
}

static int read_entry(const struct loading *l, const json_t *row, struct entry *e)
{
    size_t n = 0;
    if (!hex_field(row, "rid", e->rid, sizeof e->rid, &n) || n != sizeof e->rid)
        return format(l, e, "rid is not 5 bytes of hex");
    if (!hex_field(row, "index", &e->index, 1, &n) || n != 1)
        return format(l, e, "index is not one byte of hex");
    if (!hex_field(row, "exponent", e->exponent, sizeof e->exponent, &e->exponent_n) ||
        e->exponent_n == 0)
        return format(l, e, "exponent is not 1 to 4 bytes of hex");
    if (!hex_field(row, "modulus", e->modulus, sizeof e->modulus, &e->modulus_n) ||
        e->modulus_n < MODULUS_MIN)
        return format(l, e, "modulus is not 64 to 512 bytes of hex");
    if (!expiry_field(row, &e->expiry))
        return format(l, e, "expiry is neither YYMMDD nor MMYY");
    e->hashes = json_object_get(row, "stated_hash");
    if (e->hashes != NULL && !json_is_null(e->hashes) && !json_is_array(e->hashes))
        return format(l, e, "stated_hash is no list");
    return DP_OK;
}

/* ---- is it to be trusted ---- */

/* SHA-1 over RID, index, modulus, exponent (EMV 4.4 Book 2, 11.2.2). */
static bool hash_of(const struct entry *e, uint8_t out[HASH_BYTES])
{
    psa_hash_operation_t h = PSA_HASH_OPERATION_INIT;
    size_t n = 0;
    bool good = psa_hash_setup(&h, PSA_ALG_SHA_1) == PSA_SUCCESS &&
                psa_hash_update(&h, e->rid, sizeof e->rid) == PSA_SUCCESS &&
                psa_hash_update(&h, &e->index, 1) == PSA_SUCCESS &&
                psa_hash_update(&h, e->modulus, e->modulus_n) == PSA_SUCCESS &&
                psa_hash_update(&h, e->exponent, e->exponent_n) == PSA_SUCCESS &&
                psa_hash_finish(&h, out, HASH_BYTES, &n) == PSA_SUCCESS;
    (void)psa_hash_abort(&h);
    return good;
}

/* Every hash that is stated must be the key's. */
static int check_hashes(const struct loading *l, const struct entry *e, bool *match)
{
    uint8_t own[HASH_BYTES], stated[HASH_BYTES];
    size_t n = 0;
    *match = true;
    if (!hash_of(e, own))
        return DP_ERR_CRYPTO;
    for (size_t i = 0; i < json_array_size(e->hashes); i++) {
        const json_t *v = json_array_get(e->hashes, i);
        if (!json_is_string(v) ||
            dp_hex_decode(json_string_value(v), json_string_length(v), stated, sizeof stated, &n) !=
                DP_OK ||
            n != HASH_BYTES)
            return format(l, e, "a stated hash is not 20 bytes of hex");
        if (memcmp(own, stated, HASH_BYTES) != 0)
            *match = false;
    }
    return DP_OK;
}

static uint32_t exponent_of(const struct entry *e)
{
    uint32_t v = 0;
    for (size_t i = 0; i < e->exponent_n; i++)
        v = v << 8 | e->exponent[i];
    return v;
}

static int keep(struct loading *l, const struct entry *e)
{
    struct dp_emv_ca_key *key = &l->out->keys[l->out->n];
    if (l->out->n == DP_EMV_CA_KEYS_MAX)
        return DP_ERR_LIMIT;
    memset(key, 0, sizeof *key);
    memcpy(key->rid, e->rid, sizeof key->rid);
    key->index = e->index;
    memcpy(key->modulus, e->modulus, e->modulus_n);
    key->modulus_n = (uint16_t)e->modulus_n;
    key->exponent = exponent_of(e);
    key->expiry = e->expiry;
    l->out->n++;
    return DP_OK;
}

static int judge(struct loading *l, const struct entry *e)
{
    uint32_t exponent = exponent_of(e);
    bool match = false;
    int err = check_hashes(l, e, &match);
    if (err < 0)
        return err;
    if (!match || (exponent != 3 && exponent != 65537)) {
        say(l, e,
            !match ? "refused: the stated hash is not this key's"
                   : "refused: exponent is neither 3 nor 65537");
        l->out->refused++;
        return DP_OK;
    }
    if (e->modulus_n > DP_EMV_RSA_BYTES_MAX) {
        say(l, e, "left out: longer than EMV's 1984 bit");
        l->out->too_long++;
        return DP_OK;
    }
    if (json_array_size(e->hashes) == 0) {
        say(l, e, "warning: no hash is stated, taken unchecked");
        l->out->unhashed++;
    }
    return keep(l, e);
}

int ca_keys_load(const char *text, size_t n, struct ca_keys *out, ca_keys_report *report, void *ctx)
{
    struct loading l = {out, report, ctx};
    json_error_t where;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    const json_t *list = json_object_get(root, "keys");
    char line[224];
    int err = DP_OK;
    memset(out, 0, sizeof *out);
    if (!json_is_array(list)) {
        (void)snprintf(line, sizeof line, "line %d: %s", where.line,
                       root == NULL ? where.text : "no list \"keys\"");
        report(ctx, line);
        err = DP_ERR_FORMAT;
    }
    for (size_t i = 0; i < json_array_size(list) && err == DP_OK; i++) {
        struct entry e = {.at = i + 1};
        err = read_entry(&l, json_array_get(list, i), &e);
        if (err == DP_OK)
            err = judge(&l, &e);
    }
    json_decref(root);
    if (err < 0)
        out->n = 0;
    return err;
}
