/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and signatures made by the simulators' own code over libcrypto, read by ours. */
#include "emv/oda.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <psa/crypto.h>

#include "emv/rsa.h"
#include "sim/emvcert.h"
#include "sim/pack.h"

#define PAN   "9999030000000019"
#define TODAY 20261124

static const uint8_t pan_bcd[10] = {0x99, 0x99, 0x03, 0x00, 0x00, 0x00, 0x00, 0x19, 0xFF, 0xFF};
static const uint8_t issuer_id[4] = {0x99, 0x99, 0xFF, 0xFF};
static const uint8_t dac[2] = {0xDA, 0xC1};

/* A card of one chain of the simulators' keys. */
struct chain {
    struct sim_rsa ca, issuer, icc;
    struct dp_emv_ca_key ca_key;
    struct sim_emv_certificate issuer_certificate, icc_certificate;
    uint8_t records[40], ssad[SIM_RSA_BYTES_MAX];
    struct oda_input in;
};

static struct chain chains[4];

static void load_key(const char *kind, unsigned index, struct sim_rsa *key)
{
    char path[512];
    (void)snprintf(path, sizeof path, TEST_KEYS "/%s-%02X.pem", kind, index);
    assert_int_equal(sim_rsa_load(path, key), DP_OK);
}

static void point(struct chain *c)
{
    const struct sim_emv_certificate *a = &c->issuer_certificate, *b = &c->icc_certificate;
    c->in = (struct oda_input){.ca_keys = &c->ca_key, .ca_keys_n = 1, .pan = PAN, .date = TODAY};
    memcpy(c->in.rid, c->ca_key.rid, 5);
    c->in.index = c->ca_key.index;
    c->in.issuer_certificate = (struct dp_bytes){a->certificate, a->n};
    c->in.issuer_remainder = (struct dp_bytes){a->remainder, a->remainder_n};
    c->in.issuer_exponent = (struct dp_bytes){a->exponent, a->exponent_n};
    c->in.icc_certificate = (struct dp_bytes){b->certificate, b->n};
    c->in.icc_remainder = (struct dp_bytes){b->remainder, b->remainder_n};
    c->in.icc_exponent = (struct dp_bytes){b->exponent, b->exponent_n};
    c->in.signed_records = (struct dp_bytes){c->records, sizeof c->records};
    c->in.ssad = (struct dp_bytes){c->ssad, c->issuer.n};
}

static void make_chain(struct chain *c, unsigned index)
{
    static const uint8_t rid[5] = {0xA0, 0x00, 0x00, 0x09, 0x99};
    load_key("ca", index, &c->ca);
    load_key("issuer", index, &c->issuer);
    load_key("icc", index, &c->icc);
    for (size_t i = 0; i < sizeof c->records; i++)
        c->records[i] = (uint8_t)(7 * i + index);
    assert_int_equal(sim_issuer_certificate(&c->ca, &c->issuer, issuer_id, &c->issuer_certificate),
                     DP_OK);
    assert_int_equal(sim_icc_certificate(&c->issuer, &c->icc, pan_bcd, c->records,
                                         sizeof c->records, &c->icc_certificate),
                     DP_OK);
    assert_int_equal(sim_sign_static(&c->issuer, dac, c->records, sizeof c->records, c->ssad),
                     DP_OK);
    memcpy(c->ca_key.rid, rid, 5);
    c->ca_key.index = (uint8_t)index;
    memcpy(c->ca_key.modulus, c->ca.modulus, c->ca.n);
    c->ca_key.modulus_n = (uint16_t)c->ca.n;
    c->ca_key.exponent = c->ca.exponent_n == 1 ? 3 : 65537;
    c->ca_key.expiry = 20491231;
    point(c);
}

static int make_chains(void **state)
{
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    for (unsigned i = 0; i < 4; i++)
        make_chain(&chains[i], i + 1);
    return 0;
}

static void get_issuer(const struct chain *c, struct oda_key *key)
{
    const char *why = NULL;
    assert_int_equal(oda_issuer_key(&c->in, key, &why), DP_OK);
}

static void get_icc(const struct chain *c, struct oda_key *key)
{
    const char *why = NULL;
    struct oda_key issuer;
    get_issuer(c, &issuer);
    assert_int_equal(oda_icc_key(&c->in, &issuer, key, &why), DP_OK);
}

static void is_zero(const void *p, size_t n)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(b[i], 0);
}

/* Not authenticated; nothing came out; the words begin as they should and fit the summary. */
static void refused(int err, const char *const *why, const char *words, const void *out,
                    size_t out_n)
{
    assert_int_equal(err, DP_ERR_SIGNATURE);
    assert_non_null(*why);
    assert_true(strlen(*why) < sizeof((struct dp_emv_summary *)0)->authentication_reason);
    if (strncmp(*why, words, strlen(words)) != 0)
        fail_msg("\"%s\" instead of \"%s\"", *why, words);
    is_zero(out, out_n);
}

/* ---- what is good passes ---- */

static void recovers_the_keys_of_every_chain(void **state)
{
    for (size_t i = 0; i < 4; i++) {
        const struct chain *c = &chains[i];
        struct oda_key issuer, icc;
        get_issuer(c, &issuer);
        get_icc(c, &icc);
        assert_int_equal(issuer.modulus_n, c->issuer.n);
        assert_memory_equal(issuer.modulus, c->issuer.modulus, c->issuer.n);
        assert_int_equal(issuer.exponent, c->ca_key.exponent);
        assert_int_equal(icc.modulus_n, c->icc.n);
        assert_memory_equal(icc.modulus, c->icc.modulus, c->icc.n);
        assert_int_equal(icc.exponent, c->ca_key.exponent);
    }
}

static void authenticates_static_data(void **state)
{
    for (size_t i = 0; i < 4; i++) {
        struct oda_key issuer;
        uint8_t code[2];
        const char *why = NULL;
        get_issuer(&chains[i], &issuer);
        assert_int_equal(oda_sda(&chains[i].in, &issuer, code, &why), DP_OK);
        assert_memory_equal(code, dac, 2);
    }
}

/* ---- one byte wrong ---- */

typedef int check_fn(const struct chain *c, const char **why, struct oda_key *out);

static int issuer_check(const struct chain *c, const char **why, struct oda_key *out)
{
    return oda_issuer_key(&c->in, out, why);
}

static int icc_check(const struct chain *c, const char **why, struct oda_key *out)
{
    struct oda_key issuer;
    get_issuer(c, &issuer);
    return oda_icc_key(&c->in, &issuer, out, why);
}

static int sda_check(const struct chain *c, const char **why, struct oda_key *out)
{
    struct oda_key issuer;
    get_issuer(c, &issuer);
    memset(out, 0, sizeof *out);
    return oda_sda(&c->in, &issuer, out->modulus, why);
}

/* Each byte of a value of the card, which the chain holds itself, changed in turn. */
static void each_byte_counts(struct chain *c, struct dp_bytes value, check_fn *check,
                             const char *words)
{
    const char *why = NULL;
    struct oda_key out;
    uint8_t *p = (uint8_t *)c + (value.p - (const uint8_t *)c);
    assert_int_equal(check(c, &why, &out), DP_OK);
    for (size_t i = 0; i < value.n; i++) {
        static const uint8_t flips[] = {0x01, 0x80, 0xFF};
        for (size_t f = 0; f < sizeof flips; f++) {
            int err;
            p[i] ^= flips[f];
            why = NULL;
            err = check(c, &why, &out);
            p[i] ^= flips[f];
            refused(err, &why, words, &out, sizeof out);
        }
    }
}

static void a_changed_byte_of_the_issuer_certificate_fails(void **state)
{
    for (size_t i = 0; i < 4; i++) {
        struct chain *c = &chains[i];
        each_byte_counts(c, c->in.issuer_certificate, issuer_check, "issuer certificate: ");
        each_byte_counts(c, c->in.issuer_remainder, issuer_check, "issuer certificate: hash");
        each_byte_counts(c, c->in.issuer_exponent, issuer_check, "issuer certificate: hash");
    }
}

static void a_changed_byte_of_the_icc_certificate_fails(void **state)
{
    for (size_t i = 0; i < 4; i++) {
        struct chain *c = &chains[i];
        each_byte_counts(c, c->in.icc_certificate, icc_check, "ICC certificate: ");
        each_byte_counts(c, c->in.icc_remainder, icc_check, "ICC certificate: hash");
        each_byte_counts(c, c->in.icc_exponent, icc_check, "ICC certificate: hash");
        each_byte_counts(c, c->in.signed_records, icc_check, "ICC certificate: hash");
    }
}

static void a_changed_byte_of_static_data_fails(void **state)
{
    for (size_t i = 0; i < 4; i++) {
        each_byte_counts(&chains[i], chains[i].in.ssad, sda_check, "SDA: ");
        each_byte_counts(&chains[i], chains[i].in.signed_records, sda_check, "SDA: hash");
    }
}

static void a_changed_byte_of_the_scheme_key_fails(void **state)
{
    struct chain *c = &chains[0];
    const struct dp_bytes modulus = {c->ca_key.modulus, c->ca_key.modulus_n};
    uint8_t *p = c->ca_key.modulus;
    for (size_t i = 0; i < modulus.n; i++) {
        const char *why = NULL;
        struct oda_key out;
        int err;
        p[i] ^= 2;
        err = issuer_check(c, &why, &out);
        p[i] ^= 2;
        refused(err, &why, "", &out, sizeof out);
    }
}

/* ---- values of the wrong length ---- */

static void lengths_must_agree(void **state)
{
    struct chain c = chains[0];
    const char *why = NULL;
    struct oda_key issuer, out;
    get_issuer(&chains[0], &issuer);
    c.in.issuer_certificate.n--;
    refused(oda_issuer_key(&c.in, &out, &why), &why, "issuer certificate: length", &out,
            sizeof out);
    c.in.issuer_certificate.n = 0;
    refused(oda_issuer_key(&c.in, &out, &why), &why, "no issuer certificate", &out, sizeof out);
    c.in.icc_certificate.n++;
    refused(oda_icc_key(&c.in, &issuer, &out, &why), &why, "ICC certificate: length", &out,
            sizeof out);
    c.in.icc_certificate.n = 0;
    refused(oda_icc_key(&c.in, &issuer, &out, &why), &why, "no ICC certificate", &out, sizeof out);
    c.in.ssad.n = 0;
    refused(oda_sda(&c.in, &issuer, out.modulus, &why), &why, "no signed static data", out.modulus,
            2);
    c = chains[0];
    point(&c);
    assert_true(c.in.issuer_remainder.n > 0);
    c.in.issuer_remainder.n--;
    refused(oda_issuer_key(&c.in, &out, &why), &why, "issuer certificate: hash", &out, sizeof out);
}

/* XDA: certificates in clear, with a format of their own. Whatever key of the scheme there is, it
 * is not tried as an RSA number, and the card is not authenticated. */
static void certificates_of_elliptic_curves_are_known_by_name_alone(void **state)
{
    static const uint8_t issuer[117] = {0x12, 0x00}, icc[135] = {0x14, 0x00};
    struct chain c = chains[0];
    const char *why = NULL;
    struct oda_key key, out;
    uint8_t long_one[DP_EMV_RSA_BYTES_MAX] = {0x12, 0x00};
    (void)state;
    point(&c);
    get_issuer(&chains[0], &key);
    c.in.issuer_certificate = (struct dp_bytes){issuer, sizeof issuer};
    refused(oda_issuer_key(&c.in, &out, &why), &why, "issuer certificate: ECC is not supported",
            &out, sizeof out);
    c.in.index = 0xEE; /* as the scheme's ECC keys are none of ours */
    refused(oda_issuer_key(&c.in, &out, &why), &why, "issuer certificate: ECC is not supported",
            &out, sizeof out);
    c.in.icc_certificate = (struct dp_bytes){icc, sizeof icc};
    refused(oda_icc_key(&c.in, &key, &out, &why), &why, "ICC certificate: ECC is not supported",
            &out, sizeof out);
    /* the issuer's format is none of the card's, and the other way round */
    c.in.icc_certificate = (struct dp_bytes){issuer, sizeof issuer};
    refused(oda_icc_key(&c.in, &key, &out, &why), &why, "ICC certificate: length", &out,
            sizeof out);
    point(&c);
    c.in.index = chains[0].in.index;
    /* a number of the scheme key's length may begin so, and is tried as one */
    c.in.issuer_certificate = (struct dp_bytes){long_one, c.ca_key.modulus_n};
    refused(oda_issuer_key(&c.in, &out, &why), &why, "issuer certificate: header or trailer", &out,
            sizeof out);
    c.in.issuer_certificate = (struct dp_bytes){icc, 1};
    refused(oda_issuer_key(&c.in, &out, &why), &why, "issuer certificate: length", &out,
            sizeof out);
}

static void the_scheme_key_must_be_there_valid_and_usable(void **state)
{
    struct chain c = chains[0];
    const char *why = NULL;
    struct oda_key out;
    point(&c);
    c.in.index = 0xEE;
    refused(oda_issuer_key(&c.in, &out, &why), &why, "unknown CA key", &out, sizeof out);
    point(&c);
    c.in.rid[4] ^= 1;
    refused(oda_issuer_key(&c.in, &out, &why), &why, "unknown CA key", &out, sizeof out);
    point(&c);
    c.ca_key.expiry = TODAY - 1;
    refused(oda_issuer_key(&c.in, &out, &why), &why, "CA key expired", &out, sizeof out);
    c.ca_key.expiry = TODAY;
    assert_int_equal(oda_issuer_key(&c.in, &out, &why), DP_OK);
    c.ca_key.exponent = 2;
    refused(oda_issuer_key(&c.in, &out, &why), &why, "unusable CA key", &out, sizeof out);
    c.ca_key.exponent = 3;
    c.ca_key.modulus_n = ODA_RSA_BYTES_MIN - 1;
    c.ca_key.modulus[ODA_RSA_BYTES_MIN - 2] |= 1;
    refused(oda_issuer_key(&c.in, &out, &why), &why, "unusable CA key", &out, sizeof out);
    c.ca_key.modulus_n = DP_EMV_RSA_BYTES_MAX + 1;
    refused(oda_issuer_key(&c.in, &out, &why), &why, "unusable CA key", &out, sizeof out);
    c.ca_key.modulus_n = chains[0].ca_key.modulus_n;
    c.ca_key.modulus[c.ca_key.modulus_n - 1] ^= 1;
    refused(oda_issuer_key(&c.in, &out, &why), &why, "unusable CA key", &out, sizeof out);
}

static void of_two_keys_with_one_index_the_certificate_s_length_chooses(void **state)
{
    struct dp_emv_ca_key keys[3];
    struct chain *c = &chains[0];
    const char *why = NULL;
    struct oda_key out;
    keys[0] = chains[2].ca_key;
    keys[1] = c->ca_key;
    keys[2] = chains[3].ca_key;
    keys[0].index = keys[1].index = keys[2].index = c->in.index;
    c->in.ca_keys = keys;
    c->in.ca_keys_n = 3;
    assert_int_equal(oda_issuer_key(&c->in, &out, &why), DP_OK);
    keys[1].index ^= 1;
    refused(oda_issuer_key(&c->in, &out, &why), &why, "issuer certificate: length", &out,
            sizeof out);
    point(c);
}

static void a_certificate_is_valid_to_the_end_of_its_month(void **state)
{
    struct chain c = chains[0];
    const char *why = NULL;
    struct oda_key out;
    point(&c);
    c.ca_key.expiry = 20991231;
    c.in.date = 20491231; /* 12/49 */
    assert_int_equal(oda_issuer_key(&c.in, &out, &why), DP_OK);
    c.in.date = 20500101;
    refused(oda_issuer_key(&c.in, &out, &why), &why, "issuer certificate: expired", &out,
            sizeof out);
}

static void recovers_only_values_of_the_length_of_the_modulus(void **state)
{
    uint8_t out[DP_EMV_RSA_BYTES_MAX + 1], in[DP_EMV_RSA_BYTES_MAX + 1] = {0, 1};
    struct oda_key key;
    get_icc(&chains[0], &key);
    assert_int_equal(emv_rsa_recover(&key, in, key.modulus_n, out), DP_OK);
    for (size_t n = key.modulus_n - 1U; n <= key.modulus_n + 1U; n += 2) {
        memset(out, 0xEE, sizeof out);
        assert_int_equal(emv_rsa_recover(&key, in, n, out), DP_ERR_SIGNATURE);
        is_zero(out, n);
    }
}

static void certificates_are_for_one_card(void **state)
{
    static const struct {
        const char *pan, *words;
    } others[] = {{"9998030000000019", "issuer certificate: not for this PAN"},
                  {"99", "issuer certificate: not for this PAN"},
                  {"9999030000000018", "ICC certificate: not for this PAN"},
                  {"999903000000001", "ICC certificate: not for this PAN"},
                  {"99990300000000190", "ICC certificate: not for this PAN"}};
    struct chain c = chains[0];
    const char *why = NULL;
    struct oda_key issuer, out;
    point(&c);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        int err;
        c.in.pan = others[i].pan;
        err = oda_issuer_key(&c.in, &issuer, &why);
        memset(&out, 0, sizeof out);
        if (err == DP_OK)
            err = oda_icc_key(&c.in, &issuer, &out, &why);
        refused(err, &why, others[i].words, &out, sizeof out);
    }
}

/* ---- every field of a certificate ---- */

/* A recovered block under the test's own hand, its hash made anew over what was changed. */
struct opened {
    uint8_t p[DP_EMV_RSA_BYTES_MAX];
    size_t n;
};

static void open_with(const struct sim_rsa *key, struct dp_bytes signature, struct opened *o)
{
    o->n = key->n;
    assert_int_equal(sim_rsa_recover(key, signature.p, o->p), DP_OK);
}

static void hash_again(struct opened *o, const struct dp_bytes *more, size_t more_n)
{
    psa_hash_operation_t hash = PSA_HASH_OPERATION_INIT;
    size_t n;
    assert_int_equal(psa_hash_setup(&hash, PSA_ALG_SHA_1), PSA_SUCCESS);
    assert_int_equal(psa_hash_update(&hash, o->p + 1, o->n - 22), PSA_SUCCESS);
    for (size_t i = 0; i < more_n; i++)
        assert_int_equal(psa_hash_update(&hash, more[i].p, more[i].n), PSA_SUCCESS);
    assert_int_equal(psa_hash_finish(&hash, o->p + o->n - 21, 20, &n), PSA_SUCCESS);
}

struct field {
    size_t at; /* 1000: the last byte; 999: the last before the hash */
    uint8_t value;
    const char *words; /* NULL: permitted */
};

static size_t place(const struct opened *o, size_t at)
{
    if (at == 1000)
        return o->n - 1;
    return at == 999 ? o->n - 22 : at;
}

/* Issuer's: header, format, identifier 4, expiry 2, serial 3, algorithms 2, lengths 2. */
static void each_field_of_the_issuer_certificate_is_checked(void **state)
{
    static const struct field fields[] = {
        {0, 0x6B, "header or trailer"},
        {1000, 0xBB, "header or trailer"},
        {1, 4, "format"},
        {2, 0x98, "not for this PAN"},
        {3, 0xF9, "not for this PAN"},
        {4, 0x13, "not for this PAN"},
        {5, 0x1F, "not for this PAN"},
        {3, 0xFF, "not for this PAN"},
        {6, 0x00, "expired"},
        {6, 0x13, "expired"},
        {6, 0x1A, "expired"},
        {7, 0x25, "expired"},
        {7, 0x50, "expired"},
        {7, 0x99, "expired"},
        {7, 0xA0, "expired"},
        {6, 0x0A, "expired"},
        {7, 0x2A, "expired"},
        {7, 0x26, NULL},
        {7, 0x27, NULL},
        {8, 0xFF, NULL},
        {11, 2, "hash algorithm"},
        {12, 2, "key algorithm"},
        {12, 0x10, "ECC is not supported"},
        {12, 0x13, "ECC is not supported"},
        {12, 0x14, "key algorithm"},
        {13, 143, "key length"},
        {13, 0, "key length"},
        {13, 255, "key length"},
        {14, 2, "exponent"},
        {14, 0, "exponent"},
        {15, 0, "key length"},
    };
    const struct chain *c = &chains[0];
    const struct dp_bytes more[] = {c->in.issuer_remainder, c->in.issuer_exponent};
    assert_int_equal(c->issuer.n, 144);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *why = "";
        struct oda_key out;
        struct opened o;
        int err;
        open_with(&c->ca, c->in.issuer_certificate, &o);
        o.p[place(&o, fields[i].at)] = fields[i].value;
        hash_again(&o, more, 2);
        err = oda_issuer_block(&c->in, (struct dp_bytes){o.p, o.n}, &out, &why);
        if (fields[i].words == NULL) {
            assert_int_equal(err, DP_OK);
            continue;
        }
        refused(err, &why, "issuer certificate: ", &out, sizeof out);
        assert_string_equal(why + strlen("issuer certificate: "), fields[i].words);
    }
}

/* ICC's: PAN 10 bytes; on chain 4 the whole modulus needs no remainder only if it fits. */
static void each_field_of_the_icc_certificate_is_checked(void **state)
{
    static const struct field fields[] = {
        {1, 2, "format"},
        {2, 0x98, "not for this PAN"},
        {10, 0x0F, "not for this PAN"},
        {11, 0xF0, "not for this PAN"},
        {9, 0x1F, "not for this PAN"},
        {12, 0x00, "expired"},
        {13, 0x25, "expired"},
        {17, 3, "hash algorithm"},
        {18, 2, "key algorithm"},
        {18, 0x11, "ECC is not supported"},
        {19, 63, "key length"},
        {19, 249, "key length"},
        {20, 3, "exponent"},
    };
    const struct chain *c = &chains[0];
    const struct dp_bytes more[] = {c->in.icc_remainder, c->in.icc_exponent, c->in.signed_records};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *why = "";
        struct oda_key out;
        struct opened o;
        open_with(&c->issuer, c->in.icc_certificate, &o);
        o.p[place(&o, fields[i].at)] = fields[i].value;
        hash_again(&o, more, 3);
        refused(oda_icc_block(&c->in, (struct dp_bytes){o.p, o.n}, &out, &why), &why,
                "ICC certificate: ", &out, sizeof out);
        assert_string_equal(why + strlen("ICC certificate: "), fields[i].words);
    }
}

/* Chain 3: a card's key of 1408 bit in an issuer's certificate of 1984 fits, and is padded. */
static void padding_behind_a_short_key_is_checked(void **state)
{
    struct chain *c = &chains[2];
    const char *why = "";
    struct oda_key out;
    struct opened o;
    struct dp_bytes more[] = {c->in.icc_remainder, c->in.icc_exponent, c->in.signed_records};
    assert_int_equal(c->in.icc_remainder.n, 0);
    open_with(&c->issuer, c->in.icc_certificate, &o);
    o.p[place(&o, 999)] = 0xBA;
    hash_again(&o, more, 3);
    refused(oda_icc_block(&c->in, (struct dp_bytes){o.p, o.n}, &out, &why), &why,
            "ICC certificate: padding", &out, sizeof out);
    /* a remainder although the key fits */
    open_with(&c->issuer, c->in.icc_certificate, &o);
    c->in.icc_remainder = (struct dp_bytes){dac, 2};
    more[0] = c->in.icc_remainder;
    hash_again(&o, more, 3);
    refused(oda_icc_block(&c->in, (struct dp_bytes){o.p, o.n}, &out, &why), &why,
            "ICC certificate: key length", &out, sizeof out);
    point(c);
}

/* NIC <= NI <= NCA */
static void a_key_longer_than_its_signer_is_refused(void **state)
{
    struct chain *c = &chains[3];
    const char *why = "";
    struct oda_key out;
    struct opened o;
    static uint8_t longer[120];
    struct dp_bytes more[] = {{longer, 0}, c->in.icc_exponent, c->in.signed_records};
    memset(longer, 1, sizeof longer);
    open_with(&c->issuer, c->in.icc_certificate, &o);
    o.p[19] = (uint8_t)(c->issuer.n + 1);
    more[0].n = c->issuer.n + 1 - (c->issuer.n - 42);
    c->in.icc_remainder = more[0];
    hash_again(&o, more, 3);
    refused(oda_icc_block(&c->in, (struct dp_bytes){o.p, o.n}, &out, &why), &why,
            "ICC certificate: key length", &out, sizeof out);
    point(c);
}

static void only_exponents_3_and_65537_are_keys(void **state)
{
    static const struct {
        uint8_t bytes[4];
        size_t n;
        bool good;
    } exponents[] = {{{3}, 1, true},           {{1, 0, 1}, 3, true}, {{1}, 1, false},
                     {{2}, 1, false},          {{5}, 1, false},      {{17}, 1, false},
                     {{1, 0, 0, 3}, 4, false}, {{0}, 0, false},      {{1, 0, 3}, 3, false}};
    struct chain *c = &chains[0];
    for (size_t i = 0; i < sizeof exponents / sizeof *exponents; i++) {
        const struct dp_bytes exponent = {exponents[i].bytes, exponents[i].n};
        const struct dp_bytes more[] = {c->in.issuer_remainder, exponent};
        const char *why = "";
        struct oda_key out;
        struct opened o;
        int err;
        open_with(&c->ca, c->in.issuer_certificate, &o);
        o.p[14] = (uint8_t)exponent.n;
        hash_again(&o, more, 2);
        c->in.issuer_exponent = exponent;
        err = oda_issuer_block(&c->in, (struct dp_bytes){o.p, o.n}, &out, &why);
        point(c);
        if (exponents[i].good)
            assert_int_equal(err, DP_OK);
        else
            refused(err, &why, "issuer certificate: exponent", &out, sizeof out);
    }
}

static void static_data_without_padding_is_refused(void **state)
{
    const struct chain *c = &chains[0];
    const char *why = "";
    struct opened o;
    uint8_t code[2];
    open_with(&c->issuer, c->in.ssad, &o);
    o.p[place(&o, 999)] = 0;
    hash_again(&o, &c->in.signed_records, 1);
    refused(oda_sda_block(&c->in, (struct dp_bytes){o.p, o.n}, code, &why), &why, "SDA: padding",
            code, 2);
}

static void a_block_that_cannot_hold_its_fields_is_refused(void **state)
{
    const struct chain *c = &chains[0];
    const char *why = "";
    static const uint8_t un[4];
    for (size_t n = 0; n < 44; n++) {
        struct opened o = {{0x6A}, n};
        struct oda_dynamic d;
        struct oda_key out;
        uint8_t code[2];
        for (uint8_t format = 2; format <= 5; format++) {
            if (n >= 24) {
                o.p[1] = format;
                memset(o.p + 2, 1, n - 2);
                o.p[n - 1] = 0xBC;
                hash_again(&o, NULL, 0);
            }
            (void)!oda_issuer_block(&c->in, (struct dp_bytes){o.p, n}, &out, &why);
            is_zero(&out, sizeof out);
            (void)!oda_icc_block(&c->in, (struct dp_bytes){o.p, n}, &out, &why);
            is_zero(&out, sizeof out);
            (void)!oda_sda_block(&c->in, (struct dp_bytes){o.p, n}, code, &why);
            is_zero(code, 2);
            (void)!oda_dda_block((struct dp_bytes){o.p, n}, (struct dp_bytes){un, 0}, &d, &why);
            is_zero(&d, sizeof d);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recovers_the_keys_of_every_chain),
        cmocka_unit_test(authenticates_static_data),
        cmocka_unit_test(a_changed_byte_of_the_issuer_certificate_fails),
        cmocka_unit_test(a_changed_byte_of_the_icc_certificate_fails),
        cmocka_unit_test(a_changed_byte_of_static_data_fails),
        cmocka_unit_test(a_changed_byte_of_the_scheme_key_fails),
        cmocka_unit_test(lengths_must_agree),
        cmocka_unit_test(certificates_of_elliptic_curves_are_known_by_name_alone),
        cmocka_unit_test(the_scheme_key_must_be_there_valid_and_usable),
        cmocka_unit_test(of_two_keys_with_one_index_the_certificate_s_length_chooses),
        cmocka_unit_test(a_certificate_is_valid_to_the_end_of_its_month),
        cmocka_unit_test(recovers_only_values_of_the_length_of_the_modulus),
        cmocka_unit_test(certificates_are_for_one_card),
        cmocka_unit_test(each_field_of_the_issuer_certificate_is_checked),
        cmocka_unit_test(each_field_of_the_icc_certificate_is_checked),
        cmocka_unit_test(padding_behind_a_short_key_is_checked),
        cmocka_unit_test(a_key_longer_than_its_signer_is_refused),
        cmocka_unit_test(only_exponents_3_and_65537_are_keys),
        cmocka_unit_test(static_data_without_padding_is_refused),
        cmocka_unit_test(a_block_that_cannot_hold_its_fields_is_refused),
    };
    return cmocka_run_group_tests_name("oda", tests, make_chains, NULL);
}
