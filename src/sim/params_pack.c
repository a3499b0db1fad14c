/* SPDX-License-Identifier: Apache-2.0 */
/* The packed form of a parameter set: deterministic CBOR, map keys ascending. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "base/log.h"
#include "params.h"
#include "x509.h"

#define PATH_SIZE      4096
#define EXCEPTION_SIZE 16

static int put_int(struct sim_buf *b, const char *value)
{
    char *end;
    long v = strtol(value, &end, 10);
    if (*value == '\0' || *end != '\0')
        return DP_ERR_FORMAT;
    if (v < 0)
        sim_put_cbor(b, SIM_CBOR_NINT, (uint64_t)(-1 - v));
    else
        sim_put_cbor(b, SIM_CBOR_UINT, (uint64_t)v);
    return DP_OK;
}

static int put_date(struct sim_buf *b, const char *value)
{
    struct tm t = {0};
    const char *end = strptime(value, "%Y-%m-%d", &t);
    if (end == NULL || *end != '\0')
        return DP_ERR_FORMAT;
    sim_put_cbor(b, SIM_CBOR_UINT, (uint64_t)timegm(&t));
    return DP_OK;
}

static int put_hex(struct sim_buf *b, const char *value, size_t size, bool exact)
{
    uint8_t bytes[256];
    size_t n = 0;
    int err = sim_text_hex(value, bytes, sizeof bytes, &n);
    if (err == DP_OK && (n > size || (exact && n != size)))
        err = DP_ERR_RANGE;
    if (err == DP_OK)
        sim_put_cbor_bytes(b, bytes, n);
    return err;
}

static int put_point(struct sim_buf *b, const char *keys, const char *name)
{
    char path[PATH_SIZE];
    uint8_t point[65];
    int err = sim_read_hex_file(sim_path(path, sizeof path, keys, name), point, sizeof point);
    if (err == DP_OK)
        sim_put_cbor_bytes(b, point, sizeof point);
    return err;
}

static int put_pin(struct sim_buf *b, const char *keys, const char *name)
{
    char path[PATH_SIZE];
    uint8_t digest[SHA256_DIGEST_LENGTH];
    unsigned char *der = NULL;
    X509 *cert = sim_pem_read_certificate(sim_path(path, sizeof path, keys, name));
    int n = cert != NULL ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der) : 0;
    if (n > 0) {
        SHA256(der, (size_t)n, digest);
        sim_put_cbor_bytes(b, digest, sizeof digest);
    }
    OPENSSL_free(der);
    X509_free(cert);
    return n > 0 ? DP_OK : DP_ERR_IO;
}

static int put_number(struct sim_buf *b, const struct sim_field *f, const char *value)
{
    uint64_t v = 0;
    int at = 0, err = DP_OK;
    char *end = NULL;
    if (f->kind == SIM_KIND_UINT) {
        err = sim_text_uint(value, INT64_MAX, &v);
    } else if (f->kind == SIM_KIND_WORDS) {
        err = sim_text_word(value, f->words, &at);
        v = (uint64_t)at + f->size;
    } else {
        v = strtoul(value, &end, 16);
        err = *value == '\0' || *end != '\0' ? DP_ERR_FORMAT : DP_OK;
    }
    if (err == DP_OK)
        sim_put_cbor(b, SIM_CBOR_UINT, v);
    return err;
}

static int put_field(struct sim_buf *b, const char *keys, const struct sim_field *f,
                     const char *value)
{
    bool yes = false;
    int err;
    switch (f->kind) {
    case SIM_KIND_INT:
        return put_int(b, value);
    case SIM_KIND_TEXT:
        sim_put_cbor_text(b, value);
        return strlen(value) > f->size ? DP_ERR_RANGE : DP_OK;
    case SIM_KIND_HEX:
    case SIM_KIND_HEX_MOST:
        return put_hex(b, value, f->size, f->kind == SIM_KIND_HEX);
    case SIM_KIND_YES_NO:
        err = sim_text_bool(value, &yes);
        sim_put_cbor_bool(b, yes);
        return err;
    case SIM_KIND_DATE:
        return put_date(b, value);
    case SIM_KIND_POINT:
        return put_point(b, keys, value);
    case SIM_KIND_PIN:
        return put_pin(b, keys, value);
    default:
        return put_number(b, f, value);
    }
}

static const char *value_of(const struct sim_section *s, size_t i)
{
    return s->values[i] != NULL ? s->values[i] : s->fields[i].preset;
}

static bool absent(const struct sim_section *s, size_t i)
{
    const char *value = value_of(s, i);
    return (s->fields[i].kind == SIM_KIND_POINT || s->fields[i].kind == SIM_KIND_PIN) &&
           strcmp(value, "none") == 0;
}

/* A section's fields without the map's head; what fails is named. */
static int put_fields(struct sim_buf *b, const struct sim_set *set, const struct sim_section *s,
                      const char *title)
{
    if (s->fields == NULL) {
        dp_log(DP_LOG_ERROR, "section [%s] is missing", title);
        return DP_ERR_MISSING;
    }
    for (size_t i = 0; s->fields[i].kind != SIM_KIND_END; i++) {
        int err = value_of(s, i) == NULL ? DP_ERR_MISSING : DP_OK;
        if (err == DP_OK && absent(s, i))
            continue;
        sim_put_cbor(b, SIM_CBOR_UINT, s->fields[i].key);
        if (err == DP_OK)
            err = put_field(b, set->keys, &s->fields[i], value_of(s, i));
        if (err != DP_OK) {
            dp_log(DP_LOG_ERROR, "[%s] %s: %s", title, s->fields[i].name, dp_strerr(err));
            return err;
        }
    }
    return DP_OK;
}

static int put_map(struct sim_buf *b, const struct sim_set *set, const struct sim_section *s,
                   const char *title)
{
    size_t n = 0;
    for (size_t i = 0; s->fields != NULL && s->fields[i].kind != SIM_KIND_END; i++)
        n += value_of(s, i) == NULL || !absent(s, i);
    sim_put_cbor(b, SIM_CBOR_MAP, n);
    return put_fields(b, set, s, title);
}

static int put_aids(struct sim_buf *b, const struct sim_set *set)
{
    int err = DP_OK;
    sim_put_cbor(b, SIM_CBOR_ARRAY, set->aids_n);
    for (size_t i = 0; i < set->aids_n && err == DP_OK; i++)
        err = put_map(b, set, &set->aids[i], "aid");
    return err;
}

/* RID INDEX MODULUS EXPONENT EXPIRY SHA1 */
static int put_ca_key(struct sim_buf *b, char *line)
{
    char *word[6];
    for (size_t i = 0; i < 6; i++)
        if ((word[i] = sim_text_next(&line)) == NULL)
            return DP_ERR_FORMAT;
    sim_put_cbor(b, SIM_CBOR_MAP, 6);
    sim_put_cbor(b, SIM_CBOR_UINT, 1);
    if (put_hex(b, word[0], 5, true) != DP_OK)
        return DP_ERR_FORMAT;
    sim_put_cbor(b, SIM_CBOR_UINT, 2);
    sim_put_cbor(b, SIM_CBOR_UINT, strtoul(word[1], NULL, 16));
    sim_put_cbor(b, SIM_CBOR_UINT, 3);
    if (put_hex(b, word[2], 248, false) != DP_OK)
        return DP_ERR_FORMAT;
    sim_put_cbor(b, SIM_CBOR_UINT, 4);
    sim_put_cbor(b, SIM_CBOR_UINT, strtoul(word[3], NULL, 10));
    sim_put_cbor(b, SIM_CBOR_UINT, 5);
    sim_put_cbor(b, SIM_CBOR_UINT, strtoul(word[4], NULL, 10));
    sim_put_cbor(b, SIM_CBOR_UINT, 6);
    return put_hex(b, word[5], 20, true);
}

static int put_ca_keys(struct sim_buf *b, const struct sim_set *set)
{
    static struct sim_buf keys;
    char path[PATH_SIZE], line[2048];
    const char *name = value_of(&set->ca_keys, 0);
    size_t n = 0;
    int err = DP_OK;
    FILE *f = fopen(name[0] == '/' ? name : sim_path(path, sizeof path, set->keys, name), "r");
    if (f == NULL) {
        dp_log(DP_LOG_ERROR, "%s: cannot be read", name);
        return DP_ERR_IO;
    }
    keys.n = 0;
    while (err == DP_OK && fgets(line, sizeof line, f) != NULL) {
        if (line[0] == '#' || line[0] == '\n')
            continue;
        err = put_ca_key(&keys, line);
        n++;
    }
    (void)fclose(f);
    sim_put_cbor(b, SIM_CBOR_ARRAY, n);
    sim_put(b, keys.p, keys.n);
    return err;
}

static int put_bin(struct sim_buf *b, const struct sim_bin *bin)
{
    static struct sim_buf aids;
    size_t n = 0;
    char *at = bin->aids, *word;
    if (at == NULL)
        return DP_ERR_MISSING;
    for (char *c = at; *c != '\0'; c++)
        if (*c == ',')
            *c = ' ';
    aids.n = 0;
    for (; (word = sim_text_next(&at)) != NULL; n++)
        if (put_hex(&aids, word, 16, false) != DP_OK)
            return DP_ERR_FORMAT;
    sim_put_cbor(b, SIM_CBOR_ARRAY, 3);
    sim_put_cbor_text(b, bin->low);
    sim_put_cbor_text(b, bin->high);
    sim_put_cbor(b, SIM_CBOR_ARRAY, n);
    sim_put(b, aids.p, aids.n);
    return DP_OK;
}

static int put_bins(struct sim_buf *b, const struct sim_set *set)
{
    int err = DP_OK;
    sim_put_cbor(b, SIM_CBOR_ARRAY, set->bins_n);
    for (size_t i = 0; i < set->bins_n && err == DP_OK; i++) {
        err = put_bin(b, &set->bins[i]);
        if (err != DP_OK)
            dp_log(DP_LOG_ERROR, "[bin %s]: %s", set->bins[i].low, dp_strerr(err));
    }
    return err;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, EXCEPTION_SIZE);
}

static int exception_key(const struct sim_set *set, uint8_t key[32])
{
    char path[PATH_SIZE];
    size_t n = 0;
    if (set->exception_key[0] == '\0')
        return sim_read_hex_file(sim_path(path, sizeof path, set->keys, "exceptions.hex"), key, 32);
    return sim_text_hex(set->exception_key, key, 32, &n);
}

static int put_exceptions(struct sim_buf *b, const struct sim_set *set)
{
    static uint8_t hashes[SIM_PARAMS_LIST_MAX][EXCEPTION_SIZE];
    uint8_t key[32], mac[32];
    unsigned mac_n = sizeof mac;
    int err = exception_key(set, key);
    for (size_t i = 0; i < set->pans.n; i++) {
        const char *pan = set->pans.items[i];
        (void)HMAC(EVP_sha256(), key, sizeof key, (const unsigned char *)pan, strlen(pan), mac,
                   &mac_n);
        memcpy(hashes[i], mac, EXCEPTION_SIZE);
    }
    qsort(hashes, set->pans.n, EXCEPTION_SIZE, by_bytes);
    sim_put_cbor(b, SIM_CBOR_MAP, 2);
    sim_put_cbor(b, SIM_CBOR_UINT, 1);
    sim_put_cbor_bytes(b, key, sizeof key);
    sim_put_cbor(b, SIM_CBOR_UINT, 2);
    sim_put_cbor(b, SIM_CBOR_ARRAY, set->pans.n);
    for (size_t i = 0; i < set->pans.n; i++)
        sim_put_cbor_bytes(b, hashes[i], EXCEPTION_SIZE);
    return err;
}

static void put_list(struct sim_buf *b, const struct sim_list *list)
{
    sim_put_cbor(b, SIM_CBOR_ARRAY, list->n);
    for (size_t i = 0; i < list->n; i++)
        sim_put_cbor_text(b, list->items[i]);
}

/* RID INDEX SERIAL: the CA key that signed an issuer's certificate, and the certificate's number */
static int put_certificate(struct sim_buf *b, char *line)
{
    char *rid = sim_text_next(&line), *index = sim_text_next(&line);
    char *serial = sim_text_next(&line);
    uint8_t number = 0;
    size_t n = 0;
    if (serial == NULL || sim_text_next(&line) != NULL ||
        sim_text_hex(index, &number, sizeof number, &n) != DP_OK)
        return DP_ERR_FORMAT;
    sim_put_cbor(b, SIM_CBOR_MAP, 3);
    sim_put_cbor(b, SIM_CBOR_UINT, 1);
    if (put_hex(b, rid, 5, true) != DP_OK)
        return DP_ERR_FORMAT;
    sim_put_cbor(b, SIM_CBOR_UINT, 2);
    sim_put_cbor(b, SIM_CBOR_UINT, number);
    sim_put_cbor(b, SIM_CBOR_UINT, 3);
    return put_hex(b, serial, 3, true);
}

static int put_revoked(struct sim_buf *b, const struct sim_set *set)
{
    int err = DP_OK;
    sim_put_cbor(b, SIM_CBOR_ARRAY, set->revoked.n);
    for (size_t i = 0; i < set->revoked.n && err == DP_OK; i++) {
        err = put_certificate(b, set->revoked.items[i]);
        if (err != DP_OK)
            dp_log(DP_LOG_ERROR, "[revoked] certificate %zu: %s", i + 1, dp_strerr(err));
    }
    return err;
}

static int put_manifest(struct sim_buf *b, const struct sim_set *set)
{
    int err;
    sim_put_cbor(b, SIM_CBOR_MAP, 2);
    err = put_fields(b, set, &set->manifest, "manifest");
    sim_put_cbor(b, SIM_CBOR_UINT, 2);
    put_list(b, &set->parcels);
    return err;
}

static int put_optional(struct sim_buf *b, const struct sim_set *set)
{
    int err = DP_OK;
    if (set->manifest.fields != NULL) {
        sim_put_cbor(b, SIM_CBOR_UINT, 13);
        err = put_manifest(b, set);
    }
    if (set->has_agents) {
        sim_put_cbor(b, SIM_CBOR_UINT, 14);
        put_list(b, &set->agents);
    }
    if (set->cohort[0] != '\0') {
        sim_put_cbor(b, SIM_CBOR_UINT, 15);
        sim_put_cbor_text(b, set->cohort);
    }
    if (err == DP_OK)
        err = put_fields(b, set, &set->refunds, "refunds");
    if (err == DP_OK && set->has_revoked) {
        sim_put_cbor(b, SIM_CBOR_UINT, 17);
        err = put_revoked(b, set);
    }
    if (err == DP_OK && set->degraded.fields != NULL)
        err = put_fields(b, set, &set->degraded, "degraded");
    if (err == DP_OK && set->collector.fields != NULL) {
        sim_put_cbor(b, SIM_CBOR_UINT, 19);
        err = put_map(b, set, &set->collector, "collector");
    }
    return err;
}

static int put_terminal(struct sim_buf *b, const struct sim_set *set)
{
    return put_map(b, set, &set->terminal, "terminal");
}

static int put_offline(struct sim_buf *b, const struct sim_set *set)
{
    return put_map(b, set, &set->offline, "offline");
}

static int put_deferred(struct sim_buf *b, const struct sim_set *set)
{
    return put_map(b, set, &set->deferred, "deferred");
}

static int put_acquirer(struct sim_buf *b, const struct sim_set *set)
{
    return put_map(b, set, &set->acquirer, "acquirer");
}

int sim_params_pack(struct sim_buf *out, const struct sim_set *set)
{
    static int (*const parts[])(struct sim_buf *, const struct sim_set *) = {
        [5] = put_terminal, [6] = put_aids,  [7] = put_ca_keys,     [8] = put_offline,
        [9] = put_deferred, [10] = put_bins, [11] = put_exceptions, [12] = put_acquirer};
    size_t optional = (set->manifest.fields != NULL ? 1u : 0u) + (set->has_agents ? 1u : 0u) +
                      (set->cohort[0] != '\0' ? 1u : 0u) + (set->has_revoked ? 1u : 0u) +
                      (set->degraded.fields != NULL ? 1u : 0u) +
                      (set->collector.fields != NULL ? 1u : 0u);
    int err;
    sim_put_cbor(out, SIM_CBOR_MAP, 13 + optional);
    err = put_fields(out, set, &set->set, "set");
    for (unsigned key = 5; key <= 12 && err == DP_OK; key++) {
        sim_put_cbor(out, SIM_CBOR_UINT, key);
        err = parts[key](out, set);
    }
    return err != DP_OK ? err : put_optional(out, set);
}
