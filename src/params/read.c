/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each map of docs/PROTOCOL.params is a table of its fields with their ranges; one function reads
 * them all. A field that is missing, of another type, out of its range or unknown ends the reading
 * with a sentence that names it.
 */
#include "read.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/cbor.h>
#include <psa/crypto.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/reader.h"
#include "dp_config.h"
#include "tables.h"

#define AMOUNT_MAX 999999999999ULL /* DE4 and tag 9F02 hold 12 digits */
#define COUNT_MAX  1000000ULL
#define SPAN_S_MAX 315360000ULL    /* ten years */
#define SPAN_MS    86400000ULL     /* a day */
#define TIME_MAX   253402300799ULL /* the last second of 9999 */

/* ---- errors ---- */

struct in {
    struct dp_reader r;
    char *error;
    size_t error_n;
    char where[48]; /* the map being read: "terminal", "aids[2]"; empty: the set itself */
};

__attribute__((format(printf, 4, 5))) static int wrong(struct in *in, int err, const char *name,
                                                       const char *format, ...)
{
    char reason[96];
    const char *dot = in->where[0] != '\0' && name[0] != '\0' ? "." : "";
    va_list list;
    if (in->error == NULL || in->error_n == 0)
        return err;
    va_start(list, format);
    (void)vsnprintf(reason, sizeof reason, format, list);
    va_end(list);
    (void)snprintf(in->error, in->error_n, "%s%s%s: %s", in->where, dot, name, reason);
    return err;
}

static void at(struct in *in, const char *map)
{
    (void)snprintf(in->where, sizeof in->where, "%s", map);
}

static void at_entry(struct in *in, const char *array, size_t i)
{
    (void)snprintf(in->where, sizeof in->where, "%s[%zu]", array, i);
}

/* ---- one field ---- */

enum kind {
    END,
    UINT,   /* min..max, stored in size bytes */
    INT,    /* likewise, signed, 4 bytes */
    FLAG,   /* a uint 0 or 1, stored as bool */
    BOOL,   /* false or true */
    BYTES,  /* min..max bytes; their number is stored in size bytes at n_at when size is not 0 */
    TEXT,   /* min..max bytes of UTF-8 without control characters, terminated */
    ASCII,  /* the same, printable ASCII only */
    DIGITS, /* the same, decimal digits only */
};

struct field {
    uint8_t key, kind;
    bool optional;
    uint8_t size;
    const char *name;
    uint16_t at, n_at; /* offsets in the structure; n_at of an optional field: its has_ flag */
    int64_t min, max;
};

static int read_uint(struct in *in, const struct field *f, uint8_t *to)
{
    uint64_t v = dp_cbor_read_uint(&in->r);
    if (in->r.err < 0)
        return wrong(in, DP_ERR_FORMAT, f->name, "not an unsigned integer");
    if (v < (uint64_t)f->min || v > (uint64_t)f->max)
        return wrong(in, DP_ERR_RANGE, f->name, "%llu is not within %lld to %lld",
                     (unsigned long long)v, (long long)f->min, (long long)f->max);
    switch (f->size) {
    case 1:
        *to = (uint8_t)v;
        break;
    case 2:
        memcpy(to, &(uint16_t){(uint16_t)v}, 2);
        break;
    case 4:
        memcpy(to, &(uint32_t){(uint32_t)v}, 4);
        break;
    default:
        DP_ASSERT(f->size == 8);
        memcpy(to, &v, 8);
    }
    return DP_OK;
}

static int read_int(struct in *in, const struct field *f, uint8_t *to)
{
    int64_t v = dp_cbor_read_int(&in->r);
    if (in->r.err < 0)
        return wrong(in, DP_ERR_FORMAT, f->name, "not an integer");
    if (v < f->min || v > f->max)
        return wrong(in, DP_ERR_RANGE, f->name, "%lld is not within %lld to %lld", (long long)v,
                     (long long)f->min, (long long)f->max);
    memcpy(to, &(int32_t){(int32_t)v}, 4);
    return DP_OK;
}

static int read_bool(struct in *in, const struct field *f, uint8_t *to)
{
    bool v;
    if (f->kind == FLAG) {
        uint64_t n = dp_cbor_read_uint(&in->r);
        if (in->r.err == DP_OK && n > 1)
            return wrong(in, DP_ERR_RANGE, f->name, "%llu is neither 0 nor 1",
                         (unsigned long long)n);
        v = n == 1;
    } else {
        v = dp_cbor_read_bool(&in->r);
    }
    if (in->r.err < 0)
        return wrong(in, DP_ERR_FORMAT, f->name,
                     f->kind == FLAG ? "not an unsigned integer" : "not false or true");
    memcpy(to, &v, sizeof v);
    return DP_OK;
}

static int check_length(struct in *in, const struct field *f, size_t n, const char *unit)
{
    if (n >= (size_t)f->min && n <= (size_t)f->max)
        return DP_OK;
    if (f->min == f->max)
        return wrong(in, DP_ERR_RANGE, f->name, "%zu %s, not %lld", n, unit, (long long)f->max);
    return wrong(in, DP_ERR_RANGE, f->name, "%zu %s, not %lld to %lld", n, unit, (long long)f->min,
                 (long long)f->max);
}

static int read_byte_string(struct in *in, const struct field *f, uint8_t *base)
{
    struct dp_bytes b = dp_cbor_read_bytes(&in->r);
    int err;
    if (in->r.err < 0)
        return wrong(in, DP_ERR_FORMAT, f->name, "not a byte string");
    err = check_length(in, f, b.n, "bytes");
    if (err < 0)
        return err;
    if (b.n > 0)
        memcpy(base + f->at, b.p, b.n);
    if (f->size == 1)
        base[f->n_at] = (uint8_t)b.n;
    else if (f->size == 2)
        memcpy(base + f->n_at, &(uint16_t){(uint16_t)b.n}, 2);
    return DP_OK;
}

static bool letter_ok(uint8_t c, enum kind kind)
{
    switch (kind) {
    case DIGITS:
        return c >= '0' && c <= '9';
    case ASCII:
        return c >= 0x20 && c < 0x7F;
    default:
        return c >= 0x20 && c != 0x7F;
    }
}

static int read_text(struct in *in, const struct field *f, uint8_t *to)
{
    struct dp_bytes b = dp_cbor_read_text(&in->r);
    int err;
    if (in->r.err < 0)
        return wrong(in, DP_ERR_FORMAT, f->name, "not a text string");
    err = check_length(in, f, b.n, "characters");
    if (err < 0)
        return err;
    for (size_t i = 0; i < b.n; i++)
        if (!letter_ok(b.p[i], f->kind))
            return wrong(in, DP_ERR_RANGE, f->name, "a character that may not stand there (0x%02X)",
                         b.p[i]);
    if (b.n > 0)
        memcpy(to, b.p, b.n);
    to[b.n] = '\0';
    return DP_OK;
}

static int read_field(struct in *in, const struct field *f, uint8_t *base)
{
    int err;
    switch ((enum kind)f->kind) {
    case UINT:
        return read_uint(in, f, base + f->at);
    case INT:
        return read_int(in, f, base + f->at);
    case FLAG:
    case BOOL:
        return read_bool(in, f, base + f->at);
    case BYTES:
        err = read_byte_string(in, f, base);
        if (err == DP_OK && f->optional)
            base[f->n_at] = true;
        return err;
    default:
        return read_text(in, f, base + f->at);
    }
}

/* A map by its table, whose keys ascend as the map's do. */
static int read_map(struct in *in, const struct field *fields, void *out)
{
    size_t pairs = dp_cbor_read_map(&in->r);
    if (in->r.err < 0)
        return wrong(in, DP_ERR_FORMAT, "", "not a map");
    for (const struct field *f = fields; f->kind != END; f++) {
        struct dp_reader ahead = in->r;
        uint64_t key = pairs > 0 ? dp_cbor_read_uint(&ahead) : 0;
        int err;
        if (pairs > 0 && ahead.err < 0)
            return wrong(in, DP_ERR_FORMAT, "", "a key that is no unsigned integer");
        if (pairs == 0 || key != f->key) {
            if (f->optional)
                continue;
            return wrong(in, DP_ERR_MISSING, f->name, "missing");
        }
        in->r = ahead;
        pairs--;
        err = read_field(in, f, out);
        if (err < 0)
            return err;
    }
    if (pairs > 0)
        return wrong(in, DP_ERR_UNSUPPORTED, "", "key %llu is not known",
                     (unsigned long long)dp_cbor_read_uint(&in->r));
    return DP_OK;
}

/* The entries of an array that becomes a table of its own. */
static int read_array(struct in *in, const char *name, size_t min, size_t max, size_t entry_bytes,
                      void *table, size_t *n)
{
    void *made = NULL;
    size_t entries = dp_cbor_read_array(&in->r);
    if (in->r.err < 0)
        return wrong(in, DP_ERR_FORMAT, name, "not an array");
    if (entries < min)
        return wrong(in, DP_ERR_RANGE, name, "%zu entries, at least %zu are wanted", entries, min);
    if (entries > max)
        return wrong(in, DP_ERR_LIMIT, name, "%zu entries, %zu at most", entries, max);
    if (entries > 0) {
        made = calloc(entries, entry_bytes);
        if (made == NULL)
            return wrong(in, DP_ERR_NOMEM, name, "no memory");
    }
    memcpy(table, &made, sizeof made);
    *n = entries;
    return DP_OK;
}

/* ---- terminal ---- */

#define T(key, kind, size, member, min, max)                                                       \
    {                                                                                              \
        key, kind, false, size, #member, offsetof(struct dp_params_terminal, member), 0, min, max  \
    }
static const struct field terminal_fields[] = {
    T(1, ASCII, 0, tid, 8, 8),
    T(2, ASCII, 0, mid, 1, 15),
    T(3, DIGITS, 0, mcc, 4, 4),
    T(4, TEXT, 0, merchant_name, 1, 40),
    T(5, UINT, 2, country, 1, 999),
    T(6, UINT, 2, currency, 1, 999),
    T(7, UINT, 1, exponent, 0, 4),
    T(8, UINT, 1, type, 0x11, 0x36),
    T(9, BYTES, 0, capabilities, 3, 3),
    T(10, BYTES, 0, additional_capabilities, 5, 5),
    T(11, INT, 4, utc_offset_min, -720, 840),
    T(12, UINT, 4, cut_off_min, 0, 1439),
    T(13, DIGITS, 0, acquirer_id, 1, 11),
    {END},
};

static int read_terminal(struct in *in, struct dp_params *out)
{
    const struct dp_params_terminal *t = &out->terminal;
    int err, exponent;
    at(in, "terminal");
    err = read_map(in, terminal_fields, &out->terminal);
    if (err < 0)
        return err;
    /* EMV 4.4 Book 4, A1: who operates it, then where and how; a cardholder's has no 31 to 33 */
    if ((t->type & 15) < 1 || (t->type & 15) > 6 || (t->type > 0x30 && t->type < 0x34))
        return wrong(in, DP_ERR_RANGE, "type", "0x%02X is no terminal type", t->type);
    exponent = dp_currency_exponent(t->currency);
    if (exponent < 0)
        return wrong(in, DP_ERR_UNSUPPORTED, "currency", "%u is not known", t->currency);
    if (exponent != t->exponent)
        return wrong(in, DP_ERR_MISMATCH, "exponent", "%u, but currency %u has %d", t->exponent,
                     t->currency, exponent);
    return DP_OK;
}

/* ---- aids ---- */

#define A(key, kind, size, member, min, max)                                                       \
    {                                                                                              \
        key, kind, false, size, #member, offsetof(struct dp_params_aid, member), 0, min, max       \
    }
#define A_N(key, member, min, max)                                                                 \
    {                                                                                              \
        key, BYTES, false, 1, #member, offsetof(struct dp_params_aid, member),                     \
            offsetof(struct dp_params_aid, member##_n), min, max                                   \
    }
static const struct field aid_fields[] = {
    A_N(1, aid, 5, 16),
    A(2, UINT, 1, kernel, 0, 3),
    A(3, BOOL, 0, partial, 0, 1),
    A(4, BYTES, 0, version, 2, 2),
    A(5, BYTES, 0, tac_denial, 5, 5),
    A(6, BYTES, 0, tac_online, 5, 5),
    A(7, BYTES, 0, tac_default, 5, 5),
    A(8, UINT, 8, floor_limit, 0, AMOUNT_MAX),
    A(9, UINT, 8, random_threshold, 0, AMOUNT_MAX),
    A(10, UINT, 1, random_target, 0, 99),
    A(11, UINT, 1, random_max, 0, 99),
    A_N(12, ddol, 0, 64),
    A_N(13, tdol, 0, 64),
    A(14, BYTES, 0, ttq, 4, 4),
    A(15, UINT, 8, cl_transaction_limit, 0, AMOUNT_MAX),
    A(16, UINT, 8, cl_cvm_limit, 0, AMOUNT_MAX),
    A(17, UINT, 8, cl_floor_limit, 0, AMOUNT_MAX),
    A(18, TEXT, 0, brand, 1, 16),
    {END},
};

static int check_aid(struct in *in, const struct dp_params *set, size_t i)
{
    const struct dp_params_aid *a = &set->aids[i];
    if (a->kernel == 1)
        return wrong(in, DP_ERR_RANGE, "kernel", "1 is none of 0, 2, 3");
    /* EMV 4.4 Book 3, 10.6.2: the maximum target percentage is at least the target percentage */
    if (a->random_target > a->random_max)
        return wrong(in, DP_ERR_RANGE, "random_target", "%u is above random_max %u",
                     a->random_target, a->random_max);
    for (size_t k = 0; k < i; k++)
        if (set->aids[k].kernel == a->kernel && set->aids[k].aid_n == a->aid_n &&
            memcmp(set->aids[k].aid, a->aid, a->aid_n) == 0)
            return wrong(in, DP_ERR_DUPLICATE, "aid", "stands in aids[%zu] for the same kernel", k);
    return DP_OK;
}

static int read_aids(struct in *in, struct dp_params *out)
{
    int err =
        read_array(in, "aids", 1, DP_EMV_AIDS_MAX, sizeof *out->aids, &out->aids, &out->aids_n);
    for (size_t i = 0; err == DP_OK && i < out->aids_n; i++) {
        at_entry(in, "aids", i);
        err = read_map(in, aid_fields, &out->aids[i]);
        if (err == DP_OK)
            err = check_aid(in, out, i);
    }
    return err;
}

/* ---- ca_keys ---- */

/* As it is packed: the check sum is compared and not kept. */
struct ca_key_in {
    struct dp_params_ca_key key;
    bool has_sha1;
    uint8_t sha1[20];
};

#define C(key_, kind, size, member, min, max)                                                      \
    {                                                                                              \
        key_, kind, false, size, #member, offsetof(struct ca_key_in, key.member), 0, min, max      \
    }
static const struct field ca_key_fields[] = {
    C(1, BYTES, 0, rid, 5, 5),
    C(2, UINT, 1, index, 0, 255),
    {3, BYTES, false, 2, "modulus", offsetof(struct ca_key_in, key.modulus),
     offsetof(struct ca_key_in, key.modulus_n), 64, DP_EMV_RSA_BYTES_MAX},
    C(4, UINT, 4, exponent, 3, 65537),
    C(5, UINT, 4, expiry, 19700101, 99991231),
    {6, BYTES, true, 0, "sha1", offsetof(struct ca_key_in, sha1),
     offsetof(struct ca_key_in, has_sha1), 20, 20},
    {END},
};

/* SHA-1 of RID || index || modulus || exponent, the form in which schemes publish their keys. */
static int check_sha1(struct in *in, const struct ca_key_in *c)
{
    static const uint8_t three[] = {3}, f4[] = {1, 0, 1};
    psa_hash_operation_t hash = PSA_HASH_OPERATION_INIT;
    uint8_t sum[20];
    size_t n = 0;
    bool small = c->key.exponent == 3;
    if (psa_hash_setup(&hash, PSA_ALG_SHA_1) != PSA_SUCCESS ||
        psa_hash_update(&hash, c->key.rid, 5) != PSA_SUCCESS ||
        psa_hash_update(&hash, &c->key.index, 1) != PSA_SUCCESS ||
        psa_hash_update(&hash, c->key.modulus, c->key.modulus_n) != PSA_SUCCESS ||
        psa_hash_update(&hash, small ? three : f4, small ? 1 : 3) != PSA_SUCCESS ||
        psa_hash_finish(&hash, sum, sizeof sum, &n) != PSA_SUCCESS) {
        (void)psa_hash_abort(&hash);
        return wrong(in, DP_ERR_CRYPTO, "sha1", "cannot be computed");
    }
    if (memcmp(sum, c->sha1, sizeof sum) != 0)
        return wrong(in, DP_ERR_MISMATCH, "sha1", "is not that of this key");
    return DP_OK;
}

static int check_ca_key(struct in *in, const struct dp_params *set, size_t i,
                        const struct ca_key_in *c)
{
    const struct dp_params_ca_key *k = &c->key;
    if (k->modulus[0] == 0 || (k->modulus[k->modulus_n - 1] & 1) == 0)
        return wrong(in, DP_ERR_RANGE, "modulus", "begins with zeros or is even");
    if (k->exponent != 3 && k->exponent != 65537)
        return wrong(in, DP_ERR_RANGE, "exponent", "%u is neither 3 nor 65537", k->exponent);
    if (!dp_is_date(k->expiry))
        return wrong(in, DP_ERR_RANGE, "expiry", "%u is no date", k->expiry);
    for (size_t j = 0; j < i; j++)
        if (set->ca_keys[j].index == k->index && memcmp(set->ca_keys[j].rid, k->rid, 5) == 0)
            return wrong(in, DP_ERR_DUPLICATE, "index", "stands in ca_keys[%zu] for the same RID",
                         j);
    return c->has_sha1 ? check_sha1(in, c) : DP_OK;
}

static int read_ca_keys(struct in *in, struct dp_params *out)
{
    int err = read_array(in, "ca_keys", 0, DP_EMV_CA_KEYS_MAX, sizeof *out->ca_keys, &out->ca_keys,
                         &out->ca_keys_n);
    for (size_t i = 0; err == DP_OK && i < out->ca_keys_n; i++) {
        struct ca_key_in c = {.has_sha1 = false};
        at_entry(in, "ca_keys", i);
        err = read_map(in, ca_key_fields, &c);
        if (err == DP_OK)
            err = check_ca_key(in, out, i, &c);
        out->ca_keys[i] = c.key;
    }
    return err;
}

/* ---- revoked issuers' certificates ---- */

#define V(key, kind, size, member, min, max)                                                       \
    {                                                                                              \
        key, kind, false, size, #member, offsetof(struct dp_params_revoked, member), 0, min, max   \
    }
static const struct field revoked_fields[] = {
    V(1, BYTES, 0, rid, 5, 5),
    V(2, UINT, 1, index, 0, 255),
    V(3, BYTES, 0, serial, 3, 3),
    {END},
};

static int read_revoked(struct in *in, struct dp_params *out)
{
    int err = read_array(in, "revoked", 0, DP_EMV_REVOKED_MAX, sizeof *out->revoked, &out->revoked,
                         &out->revoked_n);
    for (size_t i = 0; err == DP_OK && i < out->revoked_n; i++) {
        at_entry(in, "revoked", i);
        err = read_map(in, revoked_fields, &out->revoked[i]);
    }
    return err;
}

/* ---- offline, deferred ---- */

#define O(key, kind, size, member, max)                                                            \
    {                                                                                              \
        key, kind, false, size, #member, offsetof(struct dp_params_offline, member), 0, 0, max     \
    }
static const struct field offline_fields[] = {
    O(1, UINT, 8, payment_max, AMOUNT_MAX),
    O(2, UINT, 8, round_amount_max, AMOUNT_MAX),
    O(3, UINT, 8, round_count_max, COUNT_MAX),
    O(4, UINT, 8, card_amount_max, AMOUNT_MAX),
    O(5, UINT, 8, card_count_max, COUNT_MAX),
    O(6, UINT, 8, since_sync_max_s, SPAN_S_MAX),
    O(7, UINT, 8, kernel3_max, AMOUNT_MAX),
    {8, FLAG, false, 0, "oda_failure", offsetof(struct dp_params_offline, oda_failure_declines), 0,
     0, 1},
    {END},
};

static int read_offline(struct in *in, struct dp_params *out)
{
    at(in, "offline");
    return read_map(in, offline_fields, &out->offline);
}

#define D(key, kind, size, member, max)                                                            \
    {                                                                                              \
        key, kind, false, size, #member, offsetof(struct dp_params_deferred, member), 0, 0, max    \
    }
static const struct field deferred_fields[] = {
    D(1, BOOL, 0, allowed, 1),
    D(2, UINT, 8, payment_max, AMOUNT_MAX),
    D(3, UINT, 8, round_amount_max, AMOUNT_MAX),
    D(4, UINT, 8, round_count_max, COUNT_MAX),
    D(5, UINT, 8, expiry_s, SPAN_S_MAX),
    {END},
};

static int read_deferred(struct in *in, struct dp_params *out)
{
    at(in, "deferred");
    return read_map(in, deferred_fields, &out->deferred);
}

/* ---- bins ---- */

static const struct field bin_low = {0,
                                     DIGITS,
                                     false,
                                     0,
                                     "low",
                                     offsetof(struct params_bin, low),
                                     0,
                                     PARAMS_BIN_DIGITS_MIN,
                                     PARAMS_BIN_DIGITS_MAX};
static const struct field bin_high = {0,
                                      DIGITS,
                                      false,
                                      0,
                                      "high",
                                      offsetof(struct params_bin, high),
                                      0,
                                      PARAMS_BIN_DIGITS_MIN,
                                      PARAMS_BIN_DIGITS_MAX};
static const struct field bin_aid = {0,
                                     BYTES,
                                     false,
                                     1,
                                     "aid",
                                     offsetof(struct params_prefix, aid),
                                     offsetof(struct params_prefix, aid_n),
                                     5,
                                     16};

static int read_bin(struct in *in, struct params_bin *b)
{
    size_t n = dp_cbor_read_array(&in->r);
    int err;
    if (in->r.err < 0 || n != 3)
        return wrong(in, DP_ERR_FORMAT, "", "not an array of low, high and AIDs");
    err = read_field(in, &bin_low, (uint8_t *)b);
    if (err == DP_OK)
        err = read_field(in, &bin_high, (uint8_t *)b);
    if (err < 0)
        return err;
    b->digits = (uint8_t)strlen(b->low);
    if (strlen(b->high) != b->digits)
        return wrong(in, DP_ERR_MISMATCH, "high", "not as long as low");
    if (strcmp(b->low, b->high) > 0)
        return wrong(in, DP_ERR_RANGE, "high", "below low");
    n = dp_cbor_read_array(&in->r);
    if (in->r.err < 0)
        return wrong(in, DP_ERR_FORMAT, "aids", "not an array");
    if (n < 1 || n > DP_PARAMS_BIN_AIDS_MAX)
        return wrong(in, DP_ERR_RANGE, "aids", "%zu entries, not 1 to %d", n,
                     DP_PARAMS_BIN_AIDS_MAX);
    b->aids_n = (uint8_t)n;
    for (size_t i = 0; err == DP_OK && i < n; i++)
        err = read_field(in, &bin_aid, (uint8_t *)&b->aids[i]);
    return err;
}

static int read_bins(struct in *in, struct dp_params *out)
{
    struct dp_params_tables *t = out->tables;
    int err = read_array(in, "bins", 0, DP_PARAMS_BINS_MAX, sizeof *t->bins, &t->bins, &t->bins_n);
    for (size_t i = 0; err == DP_OK && i < t->bins_n; i++) {
        at_entry(in, "bins", i);
        err = read_bin(in, &t->bins[i]);
    }
    return err;
}

/* ---- lists that stand in a map of two: exceptions, manifest ---- */

/* The next key of a map whose keys are all wanted. */
static int read_key(struct in *in, uint64_t key, const char *name)
{
    uint64_t got = dp_cbor_read_uint(&in->r);
    if (in->r.err < 0 || got != key)
        return wrong(in, DP_ERR_MISSING, name, "missing");
    return DP_OK;
}

static int read_pair(struct in *in, const struct field *first, void *base, const char *second)
{
    size_t pairs = dp_cbor_read_map(&in->r);
    int err;
    if (in->r.err < 0)
        return wrong(in, DP_ERR_FORMAT, "", "not a map");
    if (pairs > 2)
        return wrong(in, DP_ERR_UNSUPPORTED, "", "more than two keys");
    if (pairs < 2)
        return wrong(in, DP_ERR_MISSING, "", "%zu of two keys", pairs);
    err = read_key(in, first->key, first->name);
    if (err == DP_OK)
        err = read_field(in, first, base);
    return err == DP_OK ? read_key(in, 2, second) : err;
}

static const struct field exceptions_key = {
    1, BYTES, false, 0, "key", offsetof(struct dp_params, exception_key), 0, 32, 32};
static const struct field exception = {
    0, BYTES, false, 0, "hash", offsetof(struct params_exception, hash), 0, 16, 16};

static int read_exceptions(struct in *in, struct dp_params *out)
{
    struct dp_params_tables *t = out->tables;
    int err;
    at(in, "exceptions");
    err = read_pair(in, &exceptions_key, out, "list");
    if (err == DP_OK)
        err = read_array(in, "list", 0, DP_PARAMS_EXCEPTIONS_MAX, sizeof *t->exceptions,
                         &t->exceptions, &t->exceptions_n);
    for (size_t i = 0; err == DP_OK && i < t->exceptions_n; i++) {
        at_entry(in, "exceptions.list", i);
        err = read_field(in, &exception, (uint8_t *)&t->exceptions[i]);
        /* looked up by halves: an order that is wrong would let a listed card through */
        if (err == DP_OK && i > 0 &&
            memcmp(t->exceptions[i - 1].hash, t->exceptions[i].hash, 16) >= 0)
            err = wrong(in, DP_ERR_RANGE, "", "not above the one before");
    }
    return err;
}

static const struct field manifest_id = {
    1, TEXT, false, 0, "id", offsetof(struct dp_params, manifest_id), 0, 1, PARAMS_REFERENCE_MAX};
static const struct field reference = {
    0, TEXT, false, 0, "", offsetof(struct params_reference, text), 0, 1, PARAMS_REFERENCE_MAX};

static int read_references(struct in *in, const char *name, const char *path, size_t max,
                           struct params_reference **list, size_t *n)
{
    int err = read_array(in, name, 0, max, sizeof **list, list, n);
    for (size_t i = 0; err == DP_OK && i < *n; i++) {
        at_entry(in, path, i);
        err = read_field(in, &reference, (uint8_t *)(*list)[i].text);
    }
    return err;
}

static int read_manifest(struct in *in, struct dp_params *out)
{
    struct dp_params_tables *t = out->tables;
    int err;
    at(in, "manifest");
    err = read_pair(in, &manifest_id, out, "parcels");
    return err == DP_OK ? read_references(in, "parcels", "manifest.parcels", DP_PARAMS_PARCELS_MAX,
                                          &t->parcels, &t->parcels_n)
                        : err;
}

static int read_agents(struct in *in, struct dp_params *out)
{
    struct dp_params_tables *t = out->tables;
    return read_references(in, "agents", "agents", DP_PARAMS_AGENTS_MAX, &t->agents, &t->agents_n);
}

/* ---- acquirer ---- */

#define Q(key, kind, size, member, min, max)                                                       \
    {                                                                                              \
        key, kind, false, size, #member, offsetof(struct dp_params_acquirer, member), 0, min, max  \
    }
#define Q_OPTIONAL(key, member, n)                                                                 \
    {                                                                                              \
        key, BYTES, true, 0, #member, offsetof(struct dp_params_acquirer, member),                 \
            offsetof(struct dp_params_acquirer, has_##member), n, n                                \
    }
static const struct field acquirer_fields[] = {
    Q(1, ASCII, 0, profile, 1, 16),
    Q(2, UINT, 4, message, DP_MESSAGE_SINGLE, DP_MESSAGE_DUAL),
    Q(3, UINT, 4, card_data, DP_CARD_DATA_SEALED, DP_CARD_DATA_CLEAR),
    Q_OPTIONAL(4, sealing_key, 65),
    Q(5, UINT, 4, mac_len, 8, 16),
    Q(6, UINT, 4, online_timeout_ms, 1, 600000),
    Q(7, UINT, 4, retry_first_ms, 1, SPAN_MS),
    Q(8, UINT, 4, retry_max_ms, 1, SPAN_MS),
    Q(9, UINT, 4, repeat_max, 0, COUNT_MAX),
    Q(10, ASCII, 0, server_name, 1, 128),
    Q_OPTIONAL(11, server_pin, 32),
    {END},
};
_Static_assert(sizeof(enum dp_params_message) == 4 && sizeof(enum dp_params_card_data) == 4,
               "read as 4 bytes");

static bool is_point(const uint8_t p[65])
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id = 0;
    bool is;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
    is = psa_import_key(&a, p, 65, &id) == PSA_SUCCESS;
    (void)psa_destroy_key(id);
    return is;
}

static int read_acquirer(struct in *in, struct dp_params *out)
{
    const struct dp_params_acquirer *q = &out->acquirer;
    int err;
    at(in, "acquirer");
    err = read_map(in, acquirer_fields, &out->acquirer);
    if (err < 0)
        return err;
    if (q->card_data == DP_CARD_DATA_SEALED && !q->has_sealing_key)
        return wrong(in, DP_ERR_MISSING, "sealing_key", "missing, and card data is to be sealed");
    if (q->has_sealing_key && !is_point(q->sealing_key))
        return wrong(in, DP_ERR_RANGE, "sealing_key", "no point of P-256");
    if (q->mac_len != 8 && q->mac_len != 16)
        return wrong(in, DP_ERR_RANGE, "mac_len", "%u is neither 8 nor 16", q->mac_len);
    if (q->retry_max_ms < q->retry_first_ms)
        return wrong(in, DP_ERR_RANGE, "retry_max_ms", "%u is below retry_first_ms %u",
                     q->retry_max_ms, q->retry_first_ms);
    return DP_OK;
}

/* ---- collector ---- */

#define K(key_, kind, member, n)                                                                   \
    {                                                                                              \
        key_, kind, false, 0, #member, offsetof(struct dp_params_collector, member), 0, n, n       \
    }
static const struct field collector_fields[] = {
    K(1, BYTES, key, 65),
    K(2, BOOL, archive, 0),
    {END},
};

static int read_collector(struct in *in, struct dp_params *out)
{
    int err;
    at(in, "collector");
    err = read_map(in, collector_fields, &out->collector);
    if (err == DP_OK && !is_point(out->collector.key))
        err = wrong(in, DP_ERR_RANGE, "key", "no point of P-256");
    out->has_collector = err == DP_OK;
    return err;
}

/* ---- the set ---- */

static int read_profile(struct in *in, struct dp_params *out)
{
    static const struct field f = {2, ASCII, false, 0, "profile", 0, 0, 4, 10};
    char name[11];
    int err = read_field(in, &f, (uint8_t *)name);
    if (err < 0)
        return err;
    out->test_profile = strcmp(name, "test") == 0;
    if (!out->test_profile && strcmp(name, "production") != 0)
        return wrong(in, DP_ERR_RANGE, "profile", "neither \"test\" nor \"production\"");
    if (out->test_profile == DP_PROFILE_DEVICE)
        return wrong(in, DP_ERR_UNSUPPORTED, "profile",
                     "\"%s\" is refused by this build, which is for %s", name,
                     DP_PROFILE_DEVICE ? "devices" : "development");
    return DP_OK;
}

/* Plain fields of the set itself, by key. */
static const struct field set_fields[] = {
    {1, UINT, false, 8, "version", offsetof(struct dp_params, version), 0, 1, INT64_MAX},
    {3, UINT, false, 8, "valid_from", offsetof(struct dp_params, valid_from), 0, 0, TIME_MAX},
    {4, UINT, false, 8, "valid_to", offsetof(struct dp_params, valid_to), 0, 0, TIME_MAX},
    {15, TEXT, true, 0, "cohort", offsetof(struct dp_params, cohort), 0, 1, 16},
    {16, BOOL, false, 0, "refunds", offsetof(struct dp_params, refunds), 0, 0, 1},
    {18, UINT, true, 8, "degraded_payments_max", offsetof(struct dp_params, degraded_payments_max),
     0, 0, COUNT_MAX},
    {END},
};

static const struct part {
    uint8_t key;
    bool optional;
    const char *name;
    int (*read)(struct in *in, struct dp_params *out); /* NULL: in set_fields */
} parts[] = {
    {1, false, "version", NULL},
    {2, false, "profile", read_profile},
    {3, false, "valid_from", NULL},
    {4, false, "valid_to", NULL},
    {5, false, "terminal", read_terminal},
    {6, false, "aids", read_aids},
    {7, false, "ca_keys", read_ca_keys},
    {8, false, "offline", read_offline},
    {9, false, "deferred", read_deferred},
    {10, false, "bins", read_bins},
    {11, false, "exceptions", read_exceptions},
    {12, false, "acquirer", read_acquirer},
    {13, true, "manifest", read_manifest},
    {14, true, "agents", read_agents},
    {15, true, "cohort", NULL},
    {16, false, "refunds", NULL},
    {17, true, "revoked", read_revoked},
    {18, true, "degraded_payments_max", NULL},
    {19, true, "collector", read_collector},
};
#define PARTS (sizeof parts / sizeof parts[0])

static int read_part(struct in *in, const struct part *part, struct dp_params *out)
{
    const struct field *f = set_fields;
    at(in, "");
    if (part->read != NULL)
        return part->read(in, out);
    while (f->key != part->key)
        f++;
    DP_ASSERT(f->kind != END);
    return read_field(in, f, (uint8_t *)out);
}

static int read_set(struct in *in, struct dp_params *out)
{
    size_t pairs = dp_cbor_read_map(&in->r), i = 0;
    uint64_t key;
    int err;
    if (in->r.err < 0)
        return wrong(in, DP_ERR_FORMAT, "set", "not a map");
    for (; pairs > 0; pairs--) {
        key = dp_cbor_read_uint(&in->r);
        if (in->r.err < 0)
            return wrong(in, DP_ERR_FORMAT, "set", "a key that is no unsigned integer");
        while (i < PARTS && parts[i].key < key && parts[i].optional)
            i++;
        if (i == PARTS || parts[i].key != key)
            break;
        err = read_part(in, &parts[i++], out);
        if (err < 0)
            return err;
    }
    at(in, "");
    while (i < PARTS && parts[i].optional)
        i++;
    if (i < PARTS)
        return wrong(in, DP_ERR_MISSING, parts[i].name, "missing");
    if (pairs > 0)
        return wrong(in, DP_ERR_UNSUPPORTED, "set", "key %llu is not known",
                     (unsigned long long)key);
    if (out->valid_to <= out->valid_from)
        return wrong(in, DP_ERR_RANGE, "valid_to", "not after valid_from");
    return DP_OK;
}

int params_read(const uint8_t *p, size_t n, struct dp_params **out, char *error, size_t error_n)
{
    struct in in = {.error = error, .error_n = error_n};
    struct dp_params *made;
    size_t where = 0;
    int err = dp_cbor_check(p, n, &where);
    *out = NULL;
    if (err < 0)
        return wrong(&in, err, "set", "no deterministic CBOR at byte %zu: %s", where,
                     dp_strerr(err));
    made = calloc(1, sizeof *made);
    if (made == NULL || (made->tables = calloc(1, sizeof *made->tables)) == NULL) {
        free(made);
        return wrong(&in, DP_ERR_NOMEM, "set", "no memory");
    }
    dp_reader_init(&in.r, p, n);
    err = read_set(&in, made);
    DP_ASSERT(err < 0 || dp_reader_finish(&in.r) == DP_OK);
    if (err < 0)
        dp_params_free(&made);
    *out = made;
    return err;
}
