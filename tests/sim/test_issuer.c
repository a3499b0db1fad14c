/* SPDX-License-Identifier: Apache-2.0 */
/* The issuer's cryptography against published vectors, which nobody here wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/hex.h"
#include "sim/issuer.h"

static json_t *vectors;

static int load(void **state)
{
    const char *dir = getenv("DP_SHARED_DATA"), *root = getenv("DP_SOURCE_ROOT");
    char path[4096];
    (void)state;
    if (dir != NULL)
        (void)snprintf(path, sizeof path, "%s/issuer_crypto_vectors.json", dir);
    else
        (void)snprintf(path, sizeof path, "%s/../shared/data/issuer_crypto_vectors.json",
                       root != NULL ? root : ".");
    vectors = json_load_file(path, 0, NULL);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

/* One vector: its inputs by name. */
struct vector {
    json_t *in, *object;
    const char *test, *fn;
};

static size_t bytes_of(json_t *value, uint8_t *out, size_t max)
{
    const char *text = json_string_value(value);
    size_t n = 0;
    if (text == NULL || strncmp(text, "hex:", 4) != 0)
        return 0;
    assert_int_equal(dp_hex_decode(text + 4, strlen(text + 4), out, max, &n), DP_OK);
    return n;
}

static size_t in(const struct vector *v, const char *name, uint8_t *out, size_t max)
{
    return bytes_of(json_object_get(v->in, name), out, max);
}

static void object(const struct vector *v, const char *name, uint8_t out[16])
{
    assert_int_equal(bytes_of(json_object_get(v->object, name), out, 16), 16);
}

/* Digits are given as text or as bytes of text. */
static void digits(const struct vector *v, const char *name, char *out, size_t max)
{
    const char *text = json_string_value(json_object_get(v->in, name));
    uint8_t raw[32];
    size_t n;
    out[0] = '\0';
    if (text == NULL)
        return;
    n = in(v, name, raw, sizeof raw);
    (void)snprintf(out, max, "%.*s", n > 0 ? (int)n : (int)strlen(text),
                   n > 0 ? (const char *)raw : text);
}

static size_t master_key(const struct vector *v, uint8_t *out)
{
    char pan[32], psn[8];
    uint8_t key[16];
    int number;
    assert_int_equal(in(v, "iss_mk", key, sizeof key), 16);
    digits(v, "pan", pan, sizeof pan);
    digits(v, "psn", psn, sizeof psn);
    number = psn[0] != '\0' ? atoi(psn) : -1;
    if (strcmp(v->fn, "kd.derive_icc_mk_a") == 0)
        assert_int_equal(sim_master_key_a(key, pan, number, out), DP_OK);
    else
        assert_int_equal(sim_master_key(key, pan, number, out), DP_OK);
    return 16;
}

static size_t common_session_key(const struct vector *v, uint8_t *out)
{
    uint8_t key[16], r[8];
    assert_int_equal(in(v, "icc_mk", key, 16), 16);
    assert_int_equal(in(v, "r", r, 8), 8);
    assert_int_equal(sim_session_key(key, r, out), DP_OK);
    return 16;
}

static size_t plain_ac(const struct vector *v, uint8_t *out)
{
    const char *padding = json_string_value(json_object_get(v->in, "padding_type"));
    uint8_t key[16], data[64];
    size_t n = in(v, "data", data, sizeof data);
    bool zeros = padding != NULL && strstr(padding, "VISA") != NULL;
    assert_int_equal(in(v, "sk_ac", key, 16), 16);
    assert_int_equal(sim_retail_mac(key, zeros ? SIM_PAD_ZEROS : SIM_PAD_80, data, n, out), DP_OK);
    return 8;
}

static size_t arpc_1(const struct vector *v, uint8_t *out)
{
    uint8_t key[16], arqc[8], arc[2];
    assert_int_equal(in(v, "sk_ac", key, 16) + in(v, "arqc", arqc, 8) + in(v, "arpc_rc", arc, 2),
                     26);
    assert_int_equal(sim_arpc_1(key, arqc, arc, out), DP_OK);
    return 8;
}

static size_t arpc_2(const struct vector *v, uint8_t *out)
{
    uint8_t key[16], arqc[8], csu[4], more[8];
    size_t more_n = in(v, "prop_auth_data", more, sizeof more);
    assert_int_equal(in(v, "sk_ac", key, 16) + in(v, "arqc", arqc, 8) + in(v, "csu", csu, 4), 28);
    assert_int_equal(sim_arpc_2(key, arqc, csu, more, more_n, out), DP_OK);
    return 4;
}

static size_t command_mac(const struct vector *v, uint8_t *out)
{
    uint8_t key[16], data[64];
    size_t n = in(v, "command", data, sizeof data);
    assert_int_equal(in(v, "sk_smi", key, 16), 16);
    assert_int_equal(sim_retail_mac(key, SIM_PAD_80, data, n, out), DP_OK);
    return 8;
}

static enum sim_cvn cvn_of(const struct vector *v)
{
    return strstr(v->fn, "CVN10") != NULL   ? SIM_CVN_10
           : strstr(v->fn, "CVN18") != NULL ? SIM_CVN_18
                                            : SIM_CVN_20;
}

static size_t whole_ac(const struct vector *v, uint8_t *out)
{
    struct sim_ac_input a = {0};
    uint8_t key[16], cvr[8];
    const struct {
        const char *name;
        uint8_t *to;
        size_t n;
    } fields[] = {{"tag_9f02", a.amount, 6},   {"tag_9f03", a.other, 6},
                  {"tag_9f1a", a.country, 2},  {"tag_95", a.tvr, 5},
                  {"tag_5f2a", a.currency, 2}, {"tag_9a", a.date, 3},
                  {"tag_9c", &a.type, 1},      {"tag_9f37", a.un, 4},
                  {"tag_82", a.aip, 2},        {"tag_9f36", a.atc, 2}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        assert_int_equal(in(v, fields[i].name, fields[i].to, fields[i].n), fields[i].n);
    object(v, "icc_mk_ac", key);
    a.iad_n = in(v, "tag_9f10", a.iad, sizeof a.iad);
    if (cvn_of(v) == SIM_CVN_10) {
        memcpy(a.iad, "\x06\x01\x0A", 3);
        assert_int_equal(in(v, "cvr", a.iad + 3, 4), 4);
        a.iad_n = 7;
    } else if (cvn_of(v) == SIM_CVN_20) {
        assert_int_equal(in(v, "cvr", cvr, 6), 6);
        memcpy(a.iad, "\x01\x14", 2);
        memcpy(a.iad + 2, cvr, 6);
        a.iad_n = 18;
    }
    assert_int_equal(sim_cryptogram(key, &a, out), DP_OK);
    return 8;
}

/* The issuer's answer by version; the card's check must take it, and refuse it when altered. */
static size_t whole_arpc(const struct vector *v, uint8_t *out)
{
    uint8_t master[16], key[16], arqc[8], atc[2] = {0}, end[4], all[16];
    enum sim_cvn cvn = cvn_of(v);
    size_t n = cvn == SIM_CVN_18 ? 4 : 8, end_n = cvn == SIM_CVN_18 ? 4 : 2;
    bool approves;
    object(v, "icc_mk_ac", master);
    assert_int_equal(in(v, "tag_9f26", arqc, 8), 8);
    (void)in(v, "tag_9f36", atc, 2);
    assert_int_equal(in(v, cvn == SIM_CVN_18 ? "csu" : "arpc_rc", end, 4), end_n);
    assert_int_equal(sim_ac_key(master, cvn, atc, key), DP_OK);
    if (cvn == SIM_CVN_18)
        assert_int_equal(sim_arpc_2(key, arqc, end, NULL, 0, out), DP_OK);
    else
        assert_int_equal(sim_arpc_1(key, arqc, end, out), DP_OK);
    memcpy(all, out, n);
    memcpy(all + n, end, end_n);
    assert_int_equal(
        sim_check_issuer_authentication(master, cvn, atc, arqc, all, n + end_n, &approves), DP_OK);
    all[1] ^= 1;
    assert_int_equal(
        sim_check_issuer_authentication(master, cvn, atc, arqc, all, n + end_n, &approves),
        DP_ERR_SIGNATURE);
    return n;
}

static size_t whole_command_mac(const struct vector *v, uint8_t *out)
{
    uint8_t key[16], header[5], arqc[8], atc[2], data[64];
    size_t n = in(v, "command_data", data, sizeof data);
    object(v, "icc_mk_smi", key);
    assert_int_equal(in(v, "command_header", header, 5) + in(v, "tag_9f26", arqc, 8) +
                         in(v, "tag_9f36", atc, 2),
                     15);
    assert_int_equal(sim_script_mac(key, cvn_of(v), atc, arqc, header, data, n, out), DP_OK);
    return 8;
}

static size_t plain_mac(const struct vector *v, uint8_t *out)
{
    uint8_t key[16], data[64];
    json_int_t padding = json_integer_value(json_object_get(v->in, "padding"));
    size_t n = in(v, "data", data, sizeof data);
    assert_int_equal(in(v, "key1", key, 8) + in(v, "key2", key + 8, 8), 16);
    assert_int_equal(sim_retail_mac(key, padding == 1 ? SIM_PAD_ZEROS : SIM_PAD_80, data, n, out),
                     DP_OK);
    return 8;
}

static const struct {
    const char *fn;
    size_t (*run)(const struct vector *v, uint8_t *out);
    unsigned least; /* vectors of this kind there must be */
} kinds[] = {
    {"kd.derive_icc_mk_a", master_key, 24},
    {"kd.derive_icc_mk_b", master_key, 25},
    {"kd.derive_common_sk", common_session_key, 24},
    {"ac.generate_ac", plain_ac, 12},
    {"ac.generate_arpc_1", arpc_1, 7},
    {"ac.generate_arpc_2", arpc_2, 8},
    {"sm.generate_command_mac", command_mac, 9},
    {"mac.mac_iso9797_3", plain_mac, 2},
    {"cvn.VisaCVN10.generate_ac", whole_ac, 1},
    {"cvn.VisaCVN18.generate_ac", whole_ac, 2},
    {"cvn.MasterCardCVN20.generate_ac", whole_ac, 1},
    {"cvn.VisaCVN10.generate_arpc", whole_arpc, 1},
    {"cvn.VisaCVN18.generate_arpc", whole_arpc, 2},
    {"cvn.MasterCardCVN20.generate_arpc", whole_arpc, 1},
    {"cvn.VisaCVN10.generate_command_mac", whole_command_mac, 1},
    {"cvn.VisaCVN18.generate_command_mac", whole_command_mac, 2},
    {"cvn.MasterCardCVN20.generate_command_mac", whole_command_mac, 1},
};

/* What the simulators have no part of: the rest of the file, so that none is left out unseen. */
static const struct {
    const char *fn; /* its beginning or its end */
    unsigned n;
    const char *why;
} others[] = {
    {"generate_pin_change_command", 29, "no PIN in any card of ours"},
    {"sm.format_", 14, "no PIN in any card of ours"},
    {"sm.encrypt_command_data", 9, "no enciphered script"},
    {"kd.derive_emv2000_tree_sk", 12, "session keys of a tree: no version of ours"},
    {"kd.derive_visa_sm_sk", 4, "a step of the script MACs above"},
    {"cvn.VisaCVN22.", 3, "another version"},
    {"cvn.InteracCVN133.", 3, "another version"},
    {"cvn.MasterCardCVN16.", 3, "another version"},
    {"cvn.MasterCardCVN17.", 3, "another version"},
    {"cvn.MasterCardCVN21.", 3, "another version"},
    {"cvv.generate_cvc3", 2, "magnetic stripe"},
    {"mac.pad_", 54, "a step of the MACs above"},
    {"tlv.", 75, "no cryptography"},
};
#define VECTORS 337

static bool is_other(const char *fn, unsigned seen[])
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        size_t n = strlen(others[i].fn), fn_n = strlen(fn);
        bool begins = strncmp(fn, others[i].fn, n) == 0;
        if (!begins && !(fn_n > n && strcmp(fn + fn_n - n, others[i].fn) == 0))
            continue;
        seen[i]++;
        return true;
    }
    return false;
}

static void every_vector_is_run_or_accounted_for(void **state)
{
    unsigned seen[sizeof others / sizeof *others] = {0}, ours = 0;
    size_t i;
    json_t *row;
    (void)state;
    if (vectors == NULL) {
        print_message("skipped: no shared data\n");
        skip();
    }
    json_array_foreach(json_object_get(vectors, "vectors"), i, row)
    {
        const char *fn = json_string_value(json_object_get(row, "fn"));
        bool known = is_other(fn, seen);
        for (size_t k = 0; !known && k < sizeof kinds / sizeof *kinds; k++)
            if (strcmp(kinds[k].fn, fn) == 0) {
                known = true;
                ours++;
            }
        if (!known)
            fail_msg("%s is of no kind", fn);
    }
    assert_int_equal(i, VECTORS);
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        if (seen[k] != others[k].n)
            fail_msg("%s (%s): %u, not %u", others[k].fn, others[k].why, seen[k], others[k].n);
    print_message("# %u of %u run\n", ours, VECTORS);
    assert_int_equal(ours, 123);
}

/* Some vectors feed what our types cannot hold (a PAN with letters, a cut MAC, an error). */
static bool out_of_range(json_t *row)
{
    json_t *length = json_object_get(json_object_get(row, "in"), "length");
    const char *out = json_string_value(json_object_get(row, "out"));
    return out == NULL || strncmp(out, "hex:", 4) != 0 || json_is_integer(length);
}

static void every_published_vector_of_ours_is_met(void **state)
{
    unsigned seen[sizeof kinds / sizeof *kinds] = {0};
    size_t i;
    json_t *row;
    (void)state;
    if (vectors == NULL) {
        print_message("skipped: no shared data\n");
        skip();
    }
    json_array_foreach(json_object_get(vectors, "vectors"), i, row)
    {
        struct vector v = {json_object_get(row, "in"), json_object_get(row, "object"),
                           json_string_value(json_object_get(row, "test")),
                           json_string_value(json_object_get(row, "fn"))};
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            uint8_t got[16], want[16];
            size_t n;
            if (strcmp(kinds[k].fn, v.fn) != 0 || out_of_range(row))
                continue;
            n = kinds[k].run(&v, got);
            if (bytes_of(json_object_get(row, "out"), want, 16) != n || memcmp(got, want, n) != 0)
                fail_msg("%s of %s differs", v.fn, v.test);
            seen[k]++;
        }
    }
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (seen[k] < kinds[k].least)
            fail_msg("%s: %u vectors seen, %u expected", kinds[k].fn, seen[k], kinds[k].least);
}

/* What the acquirer makes, the card takes; an answer to another cryptogram, it does not. */
static void card_takes_only_the_answer_to_its_own_cryptogram(void **state)
{
    const enum sim_cvn cvns[] = {SIM_CVN_10, SIM_CVN_18, SIM_CVN_20};
    const uint8_t master[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, atc[2] = {0, 7};
    uint8_t arqc[8] = {0xA5, 1, 2, 3, 4, 5, 6, 7}, out[16];
    size_t n;
    bool approves;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            sim_issuer_authentication(master, cvns[i], atc, arqc, (const uint8_t *)"00", out, &n),
            DP_OK);
        assert_int_equal(
            sim_check_issuer_authentication(master, cvns[i], atc, arqc, out, n, &approves), DP_OK);
        assert_true(approves);
        arqc[7] ^= 1;
        assert_int_equal(
            sim_check_issuer_authentication(master, cvns[i], atc, arqc, out, n, &approves),
            DP_ERR_SIGNATURE);
        assert_int_equal(
            sim_issuer_authentication(master, cvns[i], atc, arqc, (const uint8_t *)"05", out, &n),
            DP_OK);
        assert_int_equal(
            sim_check_issuer_authentication(master, cvns[i], atc, arqc, out, n, &approves), DP_OK);
        assert_false(approves);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_published_vector_of_ours_is_met),
        cmocka_unit_test(every_vector_is_run_or_accounted_for),
        cmocka_unit_test(card_takes_only_the_answer_to_its_own_cryptogram),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
