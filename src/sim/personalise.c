/* SPDX-License-Identifier: Apache-2.0 */
#include "personalise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/hex.h"
#include "base/log.h"
#include "emvcert.h"

#define PATH_SIZE 4096

typedef struct sim_application app;

/* ---- elements a profile need not spell out ---- */

static const struct preset {
    uint32_t tag;
    const char *hex;
    int where; /* 1 contact, 2 contactless, 3 both */
} presets[] = {
    {0x5F24, "281231", 3},
    {0x5F25, "200101", 3},
    {0x5F28, "0056", 3},
    {0x5F30, "0201", 1},
    {0x5F2D, "656E", 1},
    {0x9F07, "FF00", 3},
    {0x9F08, "0001", 3},
    {0x9F42, "0978", 1},
    {0x9F44, "02", 1},
    {0x9F4A, "82", 3},
    {0x9F49, "9F3704", 1},
    /* signature if the terminal supports it, else none */
    {0x8E, "00000000000000001E031F00", 1},
    {0x9F0D, "FC50AC8000", 1},
    {0x9F0E, "0010000000", 1},
    {0x9F0F, "FC50BC9800", 1},
    {0x8C, "9F02069F03069F1A0295055F2A029A039C019F37049F35019F3403", 1},
    {0x9F38, "9F66049F02069F03069F1A0295055F2A029A039C019F3704", 2},
    {0x9F6C, "0000", 2},
};

static int preset(app *a)
{
    int err = DP_OK, here = a->contactless ? 2 : 1;
    for (size_t i = 0; i < sizeof presets / sizeof *presets && err == DP_OK; i++) {
        uint8_t value[SIM_ELEMENT_MAX];
        size_t n = 0;
        if ((presets[i].where & here) == 0 || sim_element(&a->elements, presets[i].tag) != NULL)
            continue;
        err = dp_hex_decode(presets[i].hex, strlen(presets[i].hex), value, sizeof value, &n);
        if (err == DP_OK)
            err = sim_element_set(&a->elements, presets[i].tag, value, n);
    }
    return err;
}

/* Sets what the profile left out. */
static int offer(app *a, uint32_t tag, const void *p, size_t n)
{
    return sim_element(&a->elements, tag) != NULL ? DP_OK
                                                  : sim_element_set(&a->elements, tag, p, n);
}

static int track2(app *a)
{
    const struct sim_element *expiry = sim_element(&a->elements, 0x5F24);
    char text[64];
    uint8_t bcd[19];
    size_t n;
    (void)snprintf(text, sizeof text, "%sD%02X%02X2010000000000", a->profile->pan, expiry->value[0],
                   expiry->value[1]);
    n = strlen(text);
    if (n > 37)
        text[n = 37] = '\0';
    if (n % 2 != 0)
        text[n++] = 'F';
    return dp_hex_decode(text, n, bcd, sizeof bcd, &n) != DP_OK ? DP_ERR_FORMAT
                                                                : offer(a, 0x57, bcd, n);
}

static int card_number(app *a)
{
    const struct sim_application_profile *p = a->profile;
    uint8_t bcd[10], psn;
    int err = sim_bcd_left(p->pan, bcd, (strlen(p->pan) + 1) / 2);
    if (err == DP_OK)
        err = offer(a, 0x5A, bcd, (strlen(p->pan) + 1) / 2);
    psn = (uint8_t)(p->psn / 10 << 4 | p->psn % 10);
    if (err == DP_OK && p->psn >= 0)
        err = offer(a, 0x5F34, &psn, 1);
    return err != DP_OK ? err : track2(a);
}

/* Application interchange profile: byte 1 of what the card can do. */
static int interchange_profile(app *a)
{
    uint8_t aip[2] = {0x10, a->profile->stripe ? 0x80 : 0};
    switch (a->profile->oda) {
    case SIM_ODA_SDA:
        aip[0] |= 0x40;
        break;
    case SIM_ODA_CDA:
        aip[0] |= 0x21;
        break;
    case SIM_ODA_DDA:
    case SIM_ODA_FDDA:
        aip[0] |= 0x20;
        break;
    case SIM_ODA_NONE:
        break;
    }
    if (!a->contactless)
        aip[0] |= 0x08; /* terminal risk management */
    if (a->profile->external_authenticate)
        aip[0] |= 0x04;
    return offer(a, 0x82, aip, 2);
}

static int second_list(app *a)
{
    static const uint8_t with_91[] = {0x91, 0x0A, 0x8A, 0x02, 0x95, 0x05, 0x9F, 0x37, 0x04};
    if (a->contactless)
        return DP_OK;
    /* an 8-byte tag 91 arrives with two zero bytes behind it, which the card leaves out */
    return a->profile->external_authenticate ? offer(a, 0x8D, with_91 + 2, sizeof with_91 - 2)
                                             : offer(a, 0x8D, with_91, sizeof with_91);
}

/* ---- the usual records ---- */

#define RECORD_BYTES_MAX  250 /* with template and status word in one short answer */
#define GPO_SIGNATURE_MAX 128 /* a longer fDDA signature comes in a record */

static const struct {
    uint8_t sfi;
    bool is_signed;
    int where;
    uint32_t tags[12];
} usual[] = {
    {1, false, 1, {0x57, 0x5F20, 0x5F30}},
    {2,
     true,
     1,
     {0x5A, 0x5F24, 0x5F25, 0x5F28, 0x5F34, 0x9F07, 0x8E, 0x9F0D, 0x9F0E, 0x9F0F, 0x9F4A}},
    {2, false, 1, {0x8C, 0x8D, 0x9F08, 0x9F42, 0x9F44, 0x9F49}},
    {2, true, 2, {0x5A, 0x5F24, 0x5F25, 0x5F28, 0x9F07, 0x9F4A}},
    {3, false, 3, {0x8F, 0x9F32, 0x92, 0x90}},
    {3, false, 3, {0x9F47, 0x9F48, 0x9F46, 0x9F69}},
    {3, false, 1, {0x93}},
    {3, false, 2, {0x9F4B}},
};

bool sim_signature_in_record(const struct sim_application *a)
{
    return a->icc.n > GPO_SIGNATURE_MAX;
}

/* Bytes an element will take in a record; 0: this card has it not. */
static size_t element_bytes(const app *a, uint32_t tag)
{
    const struct sim_element *e = sim_element(&a->elements, tag);
    bool fdda = a->profile->oda == SIM_ODA_FDDA;
    if (e != NULL)
        return e->n + (e->n > 127 ? 4 : 3);
    if (fdda && tag == 0x9F69)
        return 10;
    return fdda && tag == 0x9F4B && sim_signature_in_record(a) ? a->icc.n + 4 : 0;
}

/* A new record after the last one, numbered on within its file. */
static struct sim_record *begin(app *a, uint8_t sfi, bool is_signed)
{
    struct sim_record *r = &a->records[a->records_n];
    uint8_t number = 1;
    if (a->records_n > 0 && r[-1].sfi == sfi)
        number = (uint8_t)(r[-1].number + 1);
    *r = (struct sim_record){.sfi = sfi, .number = number, .is_signed = is_signed};
    a->records_n++;
    return r;
}

/* The layout with the tags this card has, over more records when they do not fit in one. */
static void lay_out(app *a)
{
    const struct sim_application_profile *p = a->profile;
    a->records_n = p->records_n;
    if (p->records_n > 0) {
        memcpy(a->records, p->records, sizeof a->records);
        return;
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        struct sim_record *r = NULL;
        size_t used = 0;
        if ((usual[i].where & (a->contactless ? 2 : 1)) == 0)
            continue;
        for (size_t t = 0; t < 12 && usual[i].tags[t] != 0; t++) {
            size_t n = element_bytes(a, usual[i].tags[t]);
            if (n == 0)
                continue;
            if (r == NULL || n > RECORD_BYTES_MAX - used) {
                r = begin(a, usual[i].sfi, usual[i].is_signed);
                used = 0;
            }
            r->tags[r->n++] = usual[i].tags[t];
            used += n;
        }
    }
}

/* Tags of the profile that stand in no usual record go into one more. */
static void add_extras(app *a)
{
    static const uint32_t elsewhere[] = {0x50,   0x87,   0x9F12, 0x9F11, 0x9F38, 0x5F2D, 0x82,
                                         0x9F6C, 0x9F6E, 0x9F7C, 0x9F13, 0x9F17, 0x9F4D, 0xBF0C};
    struct sim_record *extra;
    bool placed;
    if (a->profile->records_n > 0 || a->records_n == SIM_RECORDS_MAX)
        return;
    extra = begin(a, 4, false);
    for (size_t i = 0; i < a->profile->elements.n && extra->n < SIM_RECORD_TAGS_MAX; i++) {
        uint32_t tag = a->profile->elements.list[i].tag;
        placed = false;
        for (size_t e = 0; e < sizeof elsewhere / sizeof *elsewhere; e++)
            placed = placed || elsewhere[e] == tag;
        for (size_t r = 0; r < a->records_n; r++)
            for (size_t t = 0; t < a->records[r].n; t++)
                placed = placed || a->records[r].tags[t] == tag;
        if (!placed)
            extra->tags[extra->n++] = tag;
    }
    if (extra->n == 0)
        a->records_n--;
}

/* One AFL entry per run of records of an SFI; signed ones stand first in it. */
static void file_locator(app *a)
{
    for (size_t i = 0; i < a->records_n; i++) {
        const struct sim_record *r = &a->records[i];
        uint8_t *e = a->afl + a->afl_n;
        bool follows = a->afl_n >= 4 && e[-4] == (uint8_t)(r->sfi << 3) && e[-2] + 1 == r->number &&
                       (!r->is_signed || e[-1] == e[-2] - e[-3] + 1);
        if (!follows) {
            e[0] = (uint8_t)(r->sfi << 3);
            e[1] = r->number;
            e[3] = 0;
            a->afl_n += 4;
            e += 4;
        }
        e[-2] = r->number;
        if (r->is_signed)
            e[-1]++;
    }
}

void sim_record_pack(const struct sim_application *a, const struct sim_record *r,
                     const struct sim_elements *more, struct sim_buf *out)
{
    static struct sim_buf body;
    body.n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct sim_element *e = more != NULL ? sim_element(more, r->tags[i]) : NULL;
        if (e == NULL)
            e = sim_element(&a->elements, r->tags[i]);
        if (e != NULL)
            sim_put_tlv(&body, e->tag, e->value, e->n);
    }
    sim_put_tlv_buf(out, 0x70, &body);
}

/* ---- signatures ---- */

/* What the certificate or 93 signs: the signed records (without their template up to SFI 10),
 * then the AIP when 9F4A names it. */
static void static_data(const app *a, struct sim_buf *out)
{
    static struct sim_buf record;
    const struct sim_element *list = sim_element(&a->elements, 0x9F4A);
    out->n = 0;
    for (size_t i = 0; i < a->records_n; i++) {
        struct sim_tlv e;
        if (!a->records[i].is_signed)
            continue;
        record.n = 0;
        sim_record_pack(a, &a->records[i], NULL, &record);
        if (a->records[i].sfi > 10 || sim_tlv_find(record.p, record.n, 0x70, &e) != DP_OK)
            sim_put(out, record.p, record.n);
        else
            sim_put(out, record.p + e.value, e.n);
    }
    if (list != NULL && list->n == 1 && list->value[0] == 0x82)
        sim_put(out, sim_element(&a->elements, 0x82)->value, 2);
}

static int load_key(const char *keys, const char *kind, unsigned chain, struct sim_rsa *key)
{
    char name[64], path[PATH_SIZE];
    int err;
    (void)snprintf(name, sizeof name, "%s-%02X.pem", kind, chain);
    err = sim_rsa_load(sim_path(path, sizeof path, keys, name), key);
    if (err != DP_OK)
        dp_log(DP_LOG_ERROR, "%s: %s", path, dp_strerr(err));
    return err;
}

/* issuer-NN.cert: "TAG HEX" lines. */
static int issuer_elements(app *a, const char *keys)
{
    char name[64], path[PATH_SIZE], line[1024];
    FILE *f;
    int err = DP_OK;
    (void)snprintf(name, sizeof name, "issuer-%02X.cert", a->profile->chain);
    f = fopen(sim_path(path, sizeof path, keys, name), "r");
    if (f == NULL) {
        dp_log(DP_LOG_ERROR, "%s: cannot be read", path);
        return DP_ERR_IO;
    }
    while (err == DP_OK && fgets(line, sizeof line, f) != NULL) {
        uint8_t value[SIM_ELEMENT_MAX];
        size_t n = 0;
        char *hex = strchr(line, ' ');
        err =
            hex == NULL ? DP_ERR_FORMAT : dp_hex_decode(hex, strlen(hex), value, sizeof value, &n);
        if (err == DP_OK && n > 0)
            err = offer(a, (uint32_t)strtoul(line, NULL, 16), value, n);
    }
    (void)fclose(f);
    return err;
}

static int icc_elements(app *a, const struct sim_rsa *issuer)
{
    static struct sim_buf data;
    struct sim_emv_certificate c;
    uint8_t pan[10];
    int err = sim_bcd_left(a->profile->pan, pan, sizeof pan);
    static_data(a, &data);
    if (err == DP_OK)
        err = sim_icc_certificate(issuer, &a->icc, pan, data.p, data.n, &c);
    if (err == DP_OK)
        err = offer(a, 0x9F46, c.certificate, c.n);
    if (err == DP_OK && c.remainder_n > 0)
        err = offer(a, 0x9F48, c.remainder, c.remainder_n);
    return err != DP_OK ? err : offer(a, 0x9F47, c.exponent, c.exponent_n);
}

static int static_signature(app *a, const struct sim_rsa *issuer)
{
    static const uint8_t dac[2] = {0xDA, 0xC1};
    static struct sim_buf data;
    uint8_t out[SIM_RSA_BYTES_MAX];
    int err;
    static_data(a, &data);
    err = sim_sign_static(issuer, dac, data.p, data.n, out);
    return err != DP_OK ? err : offer(a, 0x93, out, issuer->n);
}

static int authentication(app *a, const char *keys)
{
    struct sim_rsa issuer;
    enum sim_oda oda = a->profile->oda;
    int err;
    if (oda == SIM_ODA_NONE)
        return DP_OK;
    err = load_key(keys, "issuer", a->profile->chain, &issuer);
    if (err == DP_OK)
        err = issuer_elements(a, keys);
    if (err == DP_OK && oda != SIM_ODA_SDA)
        err = load_key(keys, "icc", a->profile->chain, &a->icc);
    if (err == DP_OK)
        err = oda == SIM_ODA_SDA ? static_signature(a, &issuer) : icc_elements(a, &issuer);
    sim_rsa_wipe(&issuer);
    return err;
}

static int issuer_masters(app *a, const char *keys)
{
    struct sim_issuer_keys k;
    int err = sim_issuer_keys_load(keys, &k);
    if (err != DP_OK)
        dp_log(DP_LOG_ERROR, "%s: issuer keys: %s", keys, dp_strerr(err));
    if (err == DP_OK)
        err = sim_card_keys_derive(&k, a->profile->cvn, a->profile->key_index, a->profile->pan,
                                   a->profile->psn, &a->master);
    OPENSSL_cleanse(&k, sizeof k);
    return err;
}

int sim_personalise(const struct sim_application_profile *profile, bool contactless,
                    const char *keys, struct sim_application *out)
{
    int err;
    memset(out, 0, sizeof *out);
    out->profile = profile;
    out->contactless = contactless;
    out->elements = profile->elements;
    memcpy(out->pin, profile->pin, sizeof out->pin);
    err = preset(out);
    if (err == DP_OK)
        err = card_number(out);
    if (err == DP_OK)
        err = interchange_profile(out);
    if (err == DP_OK)
        err = second_list(out);
    if (err == DP_OK)
        err = issuer_masters(out, keys);
    if (err == DP_OK) {
        /* signed records first: the certificate covers them; then the layout with certificates */
        lay_out(out);
        err = authentication(out, keys);
        lay_out(out);
        add_extras(out);
        file_locator(out);
    }
    return err;
}
