/* SPDX-License-Identifier: Apache-2.0 */
/* DDA, CDA and fast DDA: signed by the simulators with a card's key, checked by ours; and a whole
 * chain personalised by somebody else's tool. */
#include "emv/oda.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <psa/crypto.h>

#include "base/hex.h"
#include "sim/emvcert.h"

static struct sim_rsa rsa;
static struct oda_key icc;

static const uint8_t un[4] = {0x12, 0x34, 0x56, 0x78};
static const uint8_t transaction[] = {1, 2, 3, 4, 5, 0x9F, 0x27, 1, 0x40, 0x9F, 0x36, 2, 0, 7};

static int load(void **state)
{
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    assert_int_equal(sim_rsa_load(TEST_KEYS "/icc-02.pem", &rsa), DP_OK);
    memcpy(icc.modulus, rsa.modulus, rsa.n);
    icc.modulus_n = (uint16_t)rsa.n;
    icc.exponent = 65537;
    return 0;
}

static void refused(int err, const char *const *why, const char *words, const struct oda_dynamic *d)
{
    const struct oda_dynamic nothing = {{0}};
    assert_int_equal(err, DP_ERR_SIGNATURE);
    if (strncmp(*why, words, strlen(words)) != 0)
        fail_msg("\"%s\" instead of \"%s\"", *why, words);
    assert_memory_equal(d, &nothing, sizeof nothing);
}

/* ---- DDA ---- */

static void sign(const uint8_t *dynamic, size_t dynamic_n, const void *terminal, size_t terminal_n,
                 uint8_t *out)
{
    assert_int_equal(sim_sign_dynamic(&rsa, dynamic, dynamic_n, terminal, terminal_n, out), DP_OK);
}

static void dda_gives_the_icc_dynamic_number(void **state)
{
    static const uint8_t dynamic[] = {8, 1, 2, 3, 4, 5, 6, 7, 8, 0xEE};
    uint8_t sdad[SIM_RSA_BYTES_MAX];
    const char *why = NULL;
    struct oda_dynamic d;
    sign(dynamic, sizeof dynamic, un, 4, sdad);
    assert_int_equal(
        oda_dda(&icc, (struct dp_bytes){sdad, rsa.n}, (struct dp_bytes){un, 4}, &d, &why), DP_OK);
    assert_int_equal(d.number_n, 8);
    assert_memory_equal(d.number, dynamic + 1, 8);
}

static void dda_fails_with_any_byte_changed(void **state)
{
    static const uint8_t dynamic[] = {2, 0, 7};
    uint8_t sdad[SIM_RSA_BYTES_MAX], values[4];
    const struct dp_bytes signature = {sdad, rsa.n}, ddol = {values, 4};
    const char *why = NULL;
    struct oda_dynamic d;
    memcpy(values, un, 4);
    sign(dynamic, sizeof dynamic, un, 4, sdad);
    for (size_t i = 0; i < rsa.n; i++) {
        sdad[i] ^= 1;
        refused(oda_dda(&icc, signature, ddol, &d, &why), &why, "DDA: ", &d);
        sdad[i] ^= 1;
    }
    for (size_t i = 0; i < 4; i++) {
        values[i] ^= 1;
        refused(oda_dda(&icc, signature, ddol, &d, &why), &why, "DDA: hash", &d);
        values[i] ^= 1;
    }
    assert_int_equal(oda_dda(&icc, signature, ddol, &d, &why), DP_OK);
    refused(oda_dda(&icc, (struct dp_bytes){sdad, rsa.n - 1}, ddol, &d, &why), &why, "DDA: length",
            &d);
    refused(oda_dda(&icc, (struct dp_bytes){sdad, 0}, ddol, &d, &why), &why, "no dynamic signature",
            &d);
    refused(oda_dda(&icc, signature, (struct dp_bytes){un, 3}, &d, &why), &why, "DDA: hash", &d);
}

static void a_signature_not_below_the_modulus_is_refused(void **state)
{
    const char *why = NULL;
    struct oda_dynamic d;
    const struct dp_bytes ddol = {un, 4};
    refused(oda_dda(&icc, (struct dp_bytes){icc.modulus, rsa.n}, ddol, &d, &why), &why,
            "DDA: not below the modulus", &d);
}

static void the_icc_dynamic_number_has_2_to_8_bytes(void **state)
{
    static const struct {
        uint8_t dynamic[12];
        size_t n;
    } bad[] = {
        {{1, 7}, 2}, {{9, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 10}, {{4, 1, 2, 3}, 4}, {{0}, 1}, {{0}, 0}};
    uint8_t sdad[SIM_RSA_BYTES_MAX];
    const char *why = NULL;
    struct oda_dynamic d;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sign(bad[i].dynamic, bad[i].n, un, 4, sdad);
        refused(oda_dda(&icc, (struct dp_bytes){sdad, rsa.n}, (struct dp_bytes){un, 4}, &d, &why),
                &why, "DDA: length", &d);
    }
}

/* ---- CDA ---- */

static void cda_signature(uint8_t cid, size_t hash_n, uint8_t *sdad)
{
    uint8_t dynamic[3 + 1 + 8 + 20] = {2, 0, 7, cid, 0xAC, 1, 2, 3, 4, 5, 6, 7};
    size_t n;
    assert_int_equal(
        psa_hash_compute(PSA_ALG_SHA_1, transaction, sizeof transaction, dynamic + 12, 20, &n),
        PSA_SUCCESS);
    sign(dynamic, 12 + hash_n, un, 4, sdad);
}

static struct oda_cda_input cda_input(uint8_t cid)
{
    struct oda_cda_input in = {.cid = cid, .transaction_data = {transaction, sizeof transaction}};
    memcpy(in.un, un, 4);
    return in;
}

static void cda_gives_the_cryptogram(void **state)
{
    static const uint8_t cryptogram[8] = {0xAC, 1, 2, 3, 4, 5, 6, 7};
    const struct oda_cda_input in = cda_input(0x40);
    uint8_t sdad[SIM_RSA_BYTES_MAX];
    const char *why = NULL;
    struct oda_dynamic d;
    cda_signature(0x40, 20, sdad);
    assert_int_equal(oda_cda(&icc, (struct dp_bytes){sdad, rsa.n}, &in, &d, &why), DP_OK);
    assert_memory_equal(d.cryptogram, cryptogram, 8);
    assert_int_equal(d.number_n, 2);
    assert_memory_equal(d.number, "\0\7", 2);
}

/* A11: what the card signed is an ARQC or AAC, whatever the answer says. */
static void cda_refuses_another_cryptogram_type(void **state)
{
    static const uint8_t types[] = {0x00, 0x80, 0xC0, 0x41};
    const struct oda_cda_input in = cda_input(0x40);
    uint8_t sdad[SIM_RSA_BYTES_MAX];
    const char *why = NULL;
    struct oda_dynamic d;
    for (size_t i = 0; i < sizeof types; i++) {
        cda_signature(types[i], 20, sdad);
        refused(oda_cda(&icc, (struct dp_bytes){sdad, rsa.n}, &in, &d, &why), &why,
                "CDA: cryptogram type differs", &d);
    }
}

static void cda_refuses_other_transaction_data(void **state)
{
    struct oda_cda_input in = cda_input(0x40);
    uint8_t sdad[SIM_RSA_BYTES_MAX], data[sizeof transaction];
    const struct dp_bytes signature = {sdad, rsa.n};
    const char *why = NULL;
    struct oda_dynamic d;
    memcpy(data, transaction, sizeof data);
    in.transaction_data.p = data;
    cda_signature(0x40, 20, sdad);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] ^= 1;
        refused(oda_cda(&icc, signature, &in, &d, &why), &why, "CDA: transaction data differ", &d);
        data[i] ^= 1;
    }
    for (size_t i = 0; i < 4; i++) {
        in.un[i] ^= 1;
        refused(oda_cda(&icc, signature, &in, &d, &why), &why, "CDA: hash", &d);
        in.un[i] ^= 1;
    }
    assert_int_equal(oda_cda(&icc, signature, &in, &d, &why), DP_OK);
    for (size_t i = 0; i < rsa.n; i++) {
        sdad[i] ^= 1;
        refused(oda_cda(&icc, signature, &in, &d, &why), &why, "CDA: ", &d);
        sdad[i] ^= 1;
    }
    cda_signature(0x40, 19, sdad);
    refused(oda_cda(&icc, signature, &in, &d, &why), &why, "CDA: length", &d);
}

/* ---- fast DDA ---- */

struct fast {
    struct oda_fdda_input in;
    uint8_t card_data[16], ctq[2], sdad[SIM_RSA_BYTES_MAX];
};

static void fast(struct fast *f, size_t card_data_n)
{
    static const uint8_t dynamic[] = {2, 0, 9};
    uint8_t terminal[4 + 6 + 2 + 16] = {0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0x23, 0x50, 0x09, 0x78};
    *f = (struct fast){.card_data = {1, 0xA, 0xB, 0xC, 0xD, 0x40, 0x80, 5, 5, 5},
                       .ctq = {0x40, 0x80}};
    memcpy(terminal + 12, f->card_data, 16);
    memcpy(f->in.un, terminal, 4);
    memcpy(f->in.amount, terminal + 4, 6);
    memcpy(f->in.currency, terminal + 10, 2);
    f->in.card_data = (struct dp_bytes){f->card_data, card_data_n};
    f->in.ctq = (struct dp_bytes){f->ctq, 2};
    sign(dynamic, sizeof dynamic, terminal, 12 + card_data_n, f->sdad);
}

static void fast_fails(const struct fast *f, const char *words)
{
    const char *why = NULL;
    struct oda_dynamic d;
    refused(oda_fdda(&icc, (struct dp_bytes){f->sdad, rsa.n}, &f->in, &d, &why), &why, words, &d);
}

static void fdda_of_version_01_passes(void **state)
{
    for (size_t n = 7; n <= 16; n++) {
        const char *why = NULL;
        struct oda_dynamic d;
        struct fast f;
        fast(&f, n);
        assert_int_equal(oda_fdda(&icc, (struct dp_bytes){f.sdad, rsa.n}, &f.in, &d, &why), DP_OK);
        assert_memory_equal(d.number, "\0\11", 2);
    }
}

static void fdda_signs_number_amount_currency_and_card_data(void **state)
{
    struct fast f;
    fast(&f, 10);
    for (size_t i = 0; i < sizeof f.in.un; i++) {
        f.in.un[i] ^= 1;
        fast_fails(&f, "fDDA: hash");
        f.in.un[i] ^= 1;
    }
    for (size_t i = 0; i < sizeof f.in.amount; i++) {
        f.in.amount[i] ^= 1;
        fast_fails(&f, "fDDA: hash");
        f.in.amount[i] ^= 1;
    }
    for (size_t i = 0; i < sizeof f.in.currency; i++) {
        f.in.currency[i] ^= 1;
        fast_fails(&f, "fDDA: hash");
        f.in.currency[i] ^= 1;
    }
    for (size_t i = 1; i < 10; i++) {
        f.card_data[i] ^= 1;
        fast_fails(&f, i == 5 || i == 6 ? "fDDA: CTQ differs" : "fDDA: hash");
        f.card_data[i] ^= 1;
    }
    for (size_t i = 0; i < rsa.n; i++) {
        f.sdad[i] ^= 1;
        fast_fails(&f, "fDDA: ");
        f.sdad[i] ^= 1;
    }
}

static void fdda_refuses_other_versions_and_an_unsigned_ctq(void **state)
{
    struct fast f;
    fast(&f, 7);
    f.ctq[1] = 0; /* A10 */
    fast_fails(&f, "fDDA: CTQ differs from the signed one");
    f.in.ctq.n = 0;
    fast_fails(&f, "fDDA: CTQ differs from the signed one");
    fast(&f, 7);
    f.card_data[0] = 0;
    fast_fails(&f, "fDDA: version is not 01");
    f.in.card_data.n = 0;
    fast_fails(&f, "fDDA: no 9F69");
    fast(&f, 6);
    fast_fails(&f, "fDDA: length of 9F69");
}

/* ---- a chain that others made ---- */

static json_t *shared;

static int load_shared(void **state)
{
    char path[512];
    const char *dir = getenv("DP_SHARED_DATA"), *root = getenv("DP_SOURCE_ROOT");
    (void)snprintf(path, sizeof path, "%s/synthetic_card_keys_and_perso.json",
                   dir != NULL ? dir : "../shared/data");
    if (dir == NULL && root != NULL)
        (void)snprintf(path, sizeof path, "%s/../shared/data/synthetic_card_keys_and_perso.json",
                       root);
    shared = json_load_file(path, 0, NULL);
    return load(state);
}

static int unload(void **state)
{
    json_decref(shared);
    return 0;
}

struct personalised {
    uint8_t p[2048];
    size_t used;
};

static size_t hex(const char *text, uint8_t *out, size_t max)
{
    size_t n = 0;
    assert_int_equal(dp_hex_decode(text, strlen(text), out, max, &n), DP_OK);
    return n;
}

/* The value that a personalisation command (80 01 tag, Lc, value) sets. */
static struct dp_bytes value_of(struct personalised *p, const char *tag)
{
    char head[9];
    size_t i;
    const json_t *row;
    (void)snprintf(head, sizeof head, "8001%s", tag);
    json_array_foreach(json_object_get(shared, "perso"), i, row)
    {
        const char *req = json_string_value(json_object_get(row, "req"));
        struct dp_bytes b = {p->p + p->used, 0};
        if (strncmp(req, head, 8) != 0)
            continue;
        b.n = hex(req + 10, p->p + p->used, sizeof p->p - p->used);
        p->used += b.n;
        return b;
    }
    fail_msg("no %s", tag);
    return (struct dp_bytes){NULL, 0};
}

/* The record that is signed, as its own template lists it, then the AIP by 9F4A. */
static struct dp_bytes signed_data(struct personalised *p)
{
    static const char *const tags[] = {"5F24", "005A", "5F34", "9F07", "008E",
                                       "9F0D", "9F0E", "9F0F", "5F28", "9F4A"};
    static uint8_t out[512];
    size_t n = 0;
    struct dp_bytes v;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        v = value_of(p, tags[i]);
        n += hex(strncmp(tags[i], "00", 2) == 0 ? tags[i] + 2 : tags[i], out + n, sizeof out - n);
        out[n++] = (uint8_t)v.n;
        memcpy(out + n, v.p, v.n);
        n += v.n;
    }
    v = value_of(p, "0082");
    memcpy(out + n, v.p, v.n);
    return (struct dp_bytes){out, n + v.n};
}

static void modulus_is(const struct oda_key *key, const char *name)
{
    const json_t *row = json_object_get(json_object_get(shared, "keys"), name);
    uint8_t want[256];
    size_t n = hex(json_string_value(json_object_get(row, "modulus")), want, sizeof want);
    assert_int_equal(key->modulus_n, n);
    assert_memory_equal(key->modulus, want, n);
}

static void authenticates_a_card_that_another_tool_personalised(void **state)
{
    static struct personalised p;
    struct dp_emv_ca_key ca = {{0xAF, 0xFF, 0xFF, 0xFF, 0xFF}, 0x92, {0}, 0, 3, 20491231};
    struct oda_input in = {.ca_keys = &ca, .ca_keys_n = 1, .pan = "1234560012345608"};
    const char *why = "";
    struct oda_key issuer, card;
    const json_t *row;
    if (shared == NULL) {
        print_message("skipped: no shared data\n");
        skip();
    }
    row = json_object_get(json_object_get(shared, "keys"), "AFFFFFFFFF_92_ca_private_key.pem");
    ca.modulus_n = (uint16_t)hex(json_string_value(json_object_get(row, "modulus")), ca.modulus,
                                 sizeof ca.modulus);
    memcpy(in.rid, ca.rid, 5);
    in.index = value_of(&p, "008F").p[0];
    in.date = 20180101;
    in.issuer_certificate = value_of(&p, "0090");
    in.issuer_remainder = value_of(&p, "0092");
    in.issuer_exponent = value_of(&p, "9F32");
    in.icc_certificate = value_of(&p, "9F46");
    in.icc_exponent = value_of(&p, "9F47");
    in.signed_records = signed_data(&p);
    if (oda_issuer_key(&in, &issuer, &why) != DP_OK ||
        oda_icc_key(&in, &issuer, &card, &why) != DP_OK)
        fail_msg("%s", why);
    modulus_is(&issuer, "iin_313233343536_e_3_private_key.pem");
    modulus_is(&card, "icc_1234560012345608_e_3_private_key.pem");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dda_gives_the_icc_dynamic_number),
        cmocka_unit_test(dda_fails_with_any_byte_changed),
        cmocka_unit_test(a_signature_not_below_the_modulus_is_refused),
        cmocka_unit_test(the_icc_dynamic_number_has_2_to_8_bytes),
        cmocka_unit_test(cda_gives_the_cryptogram),
        cmocka_unit_test(cda_refuses_another_cryptogram_type),
        cmocka_unit_test(cda_refuses_other_transaction_data),
        cmocka_unit_test(fdda_of_version_01_passes),
        cmocka_unit_test(fdda_signs_number_amount_currency_and_card_data),
        cmocka_unit_test(fdda_refuses_other_versions_and_an_unsigned_ctq),
        cmocka_unit_test(authenticates_a_card_that_another_tool_personalised),
    };
    return cmocka_run_group_tests_name("oda dynamic", tests, load_shared, unload);
}
