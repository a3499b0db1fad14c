/* SPDX-License-Identifier: Apache-2.0 */
/* The issuer's cryptography against published vectors, which nobody here wrote: all of them,
 * counted, and each seen to fail with another expected value. */
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
#include "sim/cvc3.h"
#include "sim/issuer_script.h"
#include "sim/pack.h"

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

#define BYTES_MAX 1024

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

static void exactly(const struct vector *v, const char *name, uint8_t *out, size_t n)
{
    assert_int_equal(in(v, name, out, n), n);
}

/* Digits are given as text or as bytes of text; NULL: neither. */
static const char *digits(const struct vector *v, const char *name, char *out, size_t max)
{
    const char *text = json_string_value(json_object_get(v->in, name));
    uint8_t raw[32];
    size_t n;
    if (text == NULL)
        return NULL;
    n = in(v, name, raw, sizeof raw);
    (void)snprintf(out, max, "%.*s", n > 0 ? (int)n : (int)strlen(text),
                   n > 0 ? (const char *)raw : text);
    return out;
}

static struct sim_card_keys card_keys(const struct vector *v)
{
    struct sim_card_keys k;
    const struct {
        const char *name;
        uint8_t *key;
    } names[] = {{"icc_mk_ac", k.ac}, {"icc_mk_smi", k.mac}, {"icc_mk_smc", k.enc}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(bytes_of(json_object_get(v->object, names[i].name), names[i].key, 16), 16);
    return k;
}

static struct sim_session_data session(const struct vector *v)
{
    struct sim_session_data s = {0};
    (void)in(v, "tag_9f36", s.atc, 2);
    (void)in(v, "tag_9f37", s.un, 4);
    exactly(v, "tag_9f26", s.arqc, 8);
    return s;
}

static enum sim_cvn cvn_of(const struct vector *v)
{
    enum sim_cvn cvn = SIM_CVNS;
    char name[8];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(strstr(v->fn, "CVN") + 3, "."),
                   strstr(v->fn, "CVN") + 3);
    assert_non_null(sim_version_named(name, &cvn));
    return cvn;
}

/* ---- keys ---- */

static size_t master_key(const struct vector *v, uint8_t *out)
{
    char pan[32], psn[8];
    uint8_t key[16];
    bool a = strcmp(v->fn, "kd.derive_icc_mk_a") == 0;
    exactly(v, "iss_mk", key, 16);
    assert_non_null(digits(v, "pan", pan, sizeof pan));
    assert_int_equal(sim_master_key(a ? SIM_OPTION_A : SIM_OPTION_A_OR_B, key, pan,
                                    digits(v, "psn", psn, sizeof psn) != NULL ? atoi(psn) : -1,
                                    out),
                     DP_OK);
    return 16;
}

static size_t common_session_key(const struct vector *v, uint8_t *out)
{
    uint8_t key[16], r[8];
    exactly(v, "icc_mk", key, 16);
    exactly(v, "r", r, 8);
    assert_int_equal(sim_session_key(SIM_DES3, key, r, out), DP_OK);
    return 16;
}

static size_t tree_session_key(const struct vector *v, uint8_t *out)
{
    struct sim_key_tree tree = {
        (unsigned)json_integer_value(json_object_get(v->in, "height")),
        (unsigned)json_integer_value(json_object_get(v->in, "branch_factor")),
        {0}};
    uint8_t key[16], atc[2];
    exactly(v, "icc_mk", key, 16);
    exactly(v, "atc", atc, 2);
    exactly(v, "iv", tree.start, 16);
    assert_int_equal(sim_tree_session_key(key, atc, &tree, out), DP_OK);
    return 16;
}

static size_t mixed_script_key(const struct vector *v, uint8_t *out)
{
    uint8_t key[16], atc[2];
    exactly(v, "icc_mk", key, 16);
    exactly(v, "atc", atc, 2);
    sim_script_key_by_counter(key, atc, out);
    return 16;
}

/* ---- single steps ---- */

static size_t padded(const struct vector *v, uint8_t *out)
{
    json_t *block = json_object_get(v->in, "block_size");
    size_t n = in(v, "data", out, 64);
    return sim_pad(strcmp(v->fn, "mac.pad_iso9797_1") == 0 ? SIM_PAD_ZEROS : SIM_PAD_80,
                   json_is_integer(block) ? (size_t)json_integer_value(block) : sim_block(SIM_DES3),
                   out, n);
}

static size_t plain_mac(const struct vector *v, uint8_t *out)
{
    uint8_t key[16], data[64];
    json_int_t padding = json_integer_value(json_object_get(v->in, "padding"));
    size_t n = in(v, "data", data, sizeof data);
    exactly(v, "key1", key, 8);
    exactly(v, "key2", key + 8, 8);
    assert_int_equal(sim_retail_mac(key, padding == 1 ? SIM_PAD_ZEROS : SIM_PAD_80, data, n, out),
                     DP_OK);
    return 8;
}

static size_t plain_ac(const struct vector *v, uint8_t *out)
{
    const char *padding = json_string_value(json_object_get(v->in, "padding_type"));
    uint8_t key[16], data[64];
    size_t n = in(v, "data", data, sizeof data);
    bool zeros = padding != NULL && strstr(padding, "VISA") != NULL;
    exactly(v, "sk_ac", key, 16);
    assert_int_equal(sim_retail_mac(key, zeros ? SIM_PAD_ZEROS : SIM_PAD_80, data, n, out), DP_OK);
    return 8;
}

static size_t arpc_1(const struct vector *v, uint8_t *out)
{
    uint8_t key[16], arqc[8], arc[2];
    exactly(v, "sk_ac", key, 16);
    exactly(v, "arqc", arqc, 8);
    exactly(v, "arpc_rc", arc, 2);
    assert_int_equal(sim_arpc_1(SIM_DES3, key, arqc, arc, out), DP_OK);
    return 8;
}

static size_t arpc_2(const struct vector *v, uint8_t *out)
{
    uint8_t key[16], arqc[8], csu[4], more[8];
    struct dp_bytes proprietary = {more, in(v, "prop_auth_data", more, sizeof more)};
    exactly(v, "sk_ac", key, 16);
    exactly(v, "arqc", arqc, 8);
    exactly(v, "csu", csu, 4);
    assert_int_equal(sim_arpc_2(SIM_DES3, key, arqc, csu, proprietary, out), DP_OK);
    return 4;
}

static size_t command_mac(const struct vector *v, uint8_t *out)
{
    uint8_t key[16], data[64];
    size_t n = in(v, "command", data, sizeof data);
    exactly(v, "sk_smi", key, 16);
    assert_int_equal(sim_retail_mac(key, SIM_PAD_80, data, n, out), DP_OK);
    return 8;
}

/* ... and the card gets out what the issuer put in, and nothing from altered bytes. */
static size_t enciphered(const struct vector *v, uint8_t *out)
{
    const char *kind = json_string_value(json_object_get(v->in, "encryption_type"));
    enum sim_enciphering how = strstr(kind, "VISA") != NULL         ? SIM_ENCIPHER_COUNTED
                               : strstr(kind, "MASTERCARD") != NULL ? SIM_ENCIPHER_UNPADDED_CHAIN
                                                                    : SIM_ENCIPHER_PADDED_CHAIN;
    uint8_t key[16], data[64], back[64];
    size_t n = in(v, "command_data", data, sizeof data), out_n = 0;
    exactly(v, "sk_smc", key, 16);
    assert_int_equal(sim_encipher(how, SIM_DES3, key, data, n, out, &out_n), DP_OK);
    assert_int_equal(sim_decipher(how, SIM_DES3, key, out, out_n, back, n), DP_OK);
    assert_memory_equal(back, data, n);
    assert_int_equal(sim_decipher(how, SIM_DES3, key, out, out_n, back, n - 1), DP_ERR_FORMAT);
    return out_n;
}

static size_t pin_block_iso2(const struct vector *v, uint8_t *out)
{
    char pin[16];
    assert_int_equal(sim_pin_block_iso2(digits(v, "pin", pin, sizeof pin), out), DP_OK);
    return 8;
}

static size_t pin_block_of_card(const struct vector *v, uint8_t *out)
{
    char pin[16], before[16];
    uint8_t key[16];
    exactly(v, "icc_mk_ac", key, 16);
    assert_int_equal(sim_pin_block_of_card(key, digits(v, "pin", pin, sizeof pin),
                                           digits(v, "current_pin", before, sizeof before), out),
                     DP_OK);
    return 8;
}

/* As decimal text, five digits. */
static size_t cvc3(const struct vector *v, uint8_t *out)
{
    uint8_t key[16], track[128], atc[2], un[4], two[2];
    size_t n = in(v, "track_template", track, sizeof track);
    exactly(v, "icc_cvc3", key, 16);
    exactly(v, "atc", atc, 2);
    exactly(v, "un", un, 4);
    assert_int_equal(sim_cvc3(key, track, n, atc, un, two), DP_OK);
    return (size_t)snprintf((char *)out, BYTES_MAX, "%05u", two[0] << 8 | two[1]);
}

/* ---- whole versions ---- */

static size_t whole_ac(const struct vector *v, uint8_t *out)
{
    const enum sim_cvn cvn = cvn_of(v);
    const struct sim_card_keys keys = card_keys(v);
    struct sim_ac_input a = {0};
    struct sim_iad iad;
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
        exactly(v, fields[i].name, fields[i].to, fields[i].n);
    a.iad_n = in(v, "tag_9f10", a.iad, sizeof a.iad);
    if (cvn == SIM_CVN_22) { /* under version 18's form of 9F10 */
        const struct dp_bytes all = {a.iad, a.iad_n};
        assert_int_equal(sim_cryptogram_over(keys.ac, cvn, &a, &all, 1, out), DP_OK);
        return 8;
    }
    if (a.iad_n == 0) {
        a.iad_n = sim_iad_make(cvn, SIM_DKI, a.iad);
        assert_int_equal(sim_iad_parse(a.iad, a.iad_n, &iad), DP_OK);
        exactly(v, "cvr", a.iad + (iad.cvr.p - a.iad), iad.cvr.n);
        if (json_object_get(v->in, "counters") != NULL)
            exactly(v, "counters", a.iad + (iad.counters.p - a.iad), iad.counters.n);
    }
    assert_int_equal(sim_iad_parse(a.iad, a.iad_n, &iad), DP_OK);
    assert_int_equal(iad.cvn, cvn);
    assert_int_equal(sim_cryptogram(keys.ac, &a, out), DP_OK);
    return 8;
}

/* The issuer's answer by version; the card's check must take it, and refuse it when altered. */
static size_t whole_arpc(const struct vector *v, uint8_t *out)
{
    const enum sim_cvn cvn = cvn_of(v);
    const struct sim_version *version = sim_version(cvn);
    const struct sim_card_keys keys = card_keys(v);
    const struct sim_session_data s = session(v);
    bool with_status = version->arpc_method == 2, approves;
    size_t n = with_status ? 4 : 8, end_n = with_status ? 4 : 2;
    uint8_t key[16], end[4], all[16];
    exactly(v, with_status ? "csu" : "arpc_rc", end, end_n);
    assert_int_equal(sim_session_key_of(version->arpc_key, version->cipher, keys.ac, &s, key),
                     DP_OK);
    assert_int_equal(
        with_status ? sim_arpc_2(version->cipher, key, s.arqc, end, (struct dp_bytes){NULL, 0}, out)
                    : sim_arpc_1(version->cipher, key, s.arqc, end, out),
        DP_OK);
    memcpy(all, out, n);
    memcpy(all + n, end, end_n);
    assert_int_equal(sim_check_issuer_authentication(keys.ac, cvn, &s, all, n + end_n, &approves),
                     DP_OK);
    all[1] ^= 1;
    assert_int_equal(sim_check_issuer_authentication(keys.ac, cvn, &s, all, n + end_n, &approves),
                     DP_ERR_SIGNATURE);
    return n;
}

static size_t whole_command_mac(const struct vector *v, uint8_t *out)
{
    const struct sim_card_keys keys = card_keys(v);
    const struct sim_session_data s = session(v);
    uint8_t header[5], data[64];
    size_t n = in(v, "command_data", data, sizeof data);
    exactly(v, "command_header", header, 5);
    assert_int_equal(sim_script_mac(keys.mac, cvn_of(v), &s, header, data, n, out), DP_OK);
    return 8;
}

/* ... which the card takes, and not when one bit of the enciphered block is another. */
static size_t pin_change(const struct vector *v, uint8_t *out)
{
    const struct sim_card_keys keys = card_keys(v);
    const struct sim_session_data s = session(v);
    char pin[16], before[16], held[16] = "0000";
    const char *was = digits(v, "current_pin", before, sizeof before);
    size_t n = 0;
    assert_int_equal(
        sim_pin_change(&keys, cvn_of(v), &s, digits(v, "pin", pin, sizeof pin), was, out, &n),
        DP_OK);
    if (was != NULL)
        (void)snprintf(held, sizeof held, "%s", was);
    out[6] ^= 1;
    assert_int_equal(sim_pin_change_take(&keys, cvn_of(v), &s, out[3], out + 5, n - 5 - 8, held),
                     DP_ERR_FORMAT);
    out[6] ^= 1;
    assert_string_not_equal(held, pin);
    assert_int_equal(sim_pin_change_take(&keys, cvn_of(v), &s, out[3], out + 5, n - 5 - 8, held),
                     DP_OK);
    assert_string_equal(held, pin);
    return n;
}

/* ---- BER-TLV ---- */

static bool flag(const struct vector *v, const char *name)
{
    return json_is_true(json_object_get(v->in, name));
}

/* Values are hex, with or without "hex:". */
static void put_plain(struct sim_buf *b, const char *tag, json_t *value, bool simple)
{
    const char *text = json_string_value(value);
    uint8_t bytes[BYTES_MAX];
    size_t n = 0;
    assert_non_null(text);
    text += strncmp(text, "hex:", 4) == 0 ? 4 : 0;
    assert_int_equal(dp_hex_decode(text, strlen(text), bytes, sizeof bytes, &n), DP_OK);
    (simple ? sim_put_simple_tlv : sim_put_tlv)(b, (uint32_t)strtoul(tag, NULL, 16), bytes, n);
}

static size_t encoded(const struct vector *v, uint8_t *out)
{
    static struct sim_buf all, inner;
    const char *tag, *inner_tag;
    json_t *value, *inner_value;
    all.n = 0;
    json_object_foreach(json_object_get(v->in, "tlv"), tag, value)
    {
        if (!json_is_object(value)) {
            put_plain(&all, tag, value, flag(v, "simple"));
            continue;
        }
        inner.n = 0;
        json_object_foreach(value, inner_tag, inner_value)
            put_plain(&inner, inner_tag, inner_value, flag(v, "simple"));
        sim_put_tlv_buf(&all, (uint32_t)strtoul(tag, NULL, 16), &inner);
    }
    assert_true(all.n <= BYTES_MAX);
    memcpy(out, all.p, all.n);
    return all.n;
}

/* As the vectors' author shows what he reads: hex by tag, templates as objects of their own or,
 * when flattened, left out. */
static int decoded(const struct vector *v, json_t *root)
{
    int (*const next)(const uint8_t *, size_t, size_t *, struct sim_tlv *) =
        flag(v, "simple") ? sim_simple_tlv_next : sim_tlv_next;
    bool text = json_is_string(json_object_get(v->in, "convert"));
    uint8_t data[BYTES_MAX];
    size_t end[4] = {in(v, "data", data, sizeof data)}, depth = 0, at = 0;
    json_t *into[4] = {root};
    for (;;) {
        struct sim_tlv e;
        char tag[16], hex[4 + 2 * BYTES_MAX + 1] = "hex:";
        int err = next(data, end[depth], &at, &e);
        if (err == DP_ERR_NOT_FOUND && depth > 0) {
            depth--;
            continue;
        }
        if (err != DP_OK)
            return err == DP_ERR_NOT_FOUND ? DP_OK : err;
        (void)snprintf(tag, sizeof tag, "%02X", e.tag);
        if (e.constructed) {
            depth++;
            assert_true(depth < 4);
            end[depth] = e.value + e.n;
            at = e.value;
            into[depth] = into[depth - 1];
            if (!flag(v, "flatten")) {
                into[depth] = json_object();
                (void)json_object_set_new(into[depth - 1], tag, into[depth]);
            }
            continue;
        }
        (void)dp_hex_encode(data + e.value, e.n, hex + 4, sizeof hex - 4);
        (void)json_object_set_new(into[depth], tag, json_string(text ? hex + 4 : hex));
    }
}

/* ---- all of them ---- */

static const struct {
    const char *fn;                                      /* "*" stands for any version */
    size_t (*run)(const struct vector *v, uint8_t *out); /* NULL: gives an object */
    unsigned n;                                          /* so many are in the file */
} kinds[] = {
    {"kd.derive_icc_mk_a", master_key, 24},
    {"kd.derive_icc_mk_b", master_key, 25},
    {"kd.derive_common_sk", common_session_key, 24},
    {"kd.derive_emv2000_tree_sk", tree_session_key, 12},
    {"kd.derive_visa_sm_sk", mixed_script_key, 4},
    {"mac.pad_iso9797_1", padded, 27},
    {"mac.pad_iso9797_2", padded, 27},
    {"mac.mac_iso9797_3", plain_mac, 2},
    {"ac.generate_ac", plain_ac, 12},
    {"ac.generate_arpc_1", arpc_1, 7},
    {"ac.generate_arpc_2", arpc_2, 8},
    {"sm.generate_command_mac", command_mac, 9},
    {"sm.encrypt_command_data", enciphered, 9},
    {"sm.format_iso9564_2_pin_block", pin_block_iso2, 4},
    {"sm.format_vis_pin_block", pin_block_of_card, 10},
    {"cvv.generate_cvc3", cvc3, 2},
    {"*.generate_ac", whole_ac, 9},
    {"*.generate_arpc", whole_arpc, 9},
    {"*.generate_command_mac", whole_command_mac, 9},
    {"*.generate_pin_change_command", pin_change, 29},
    {"tlv.encode", encoded, 36},
    {"tlv.decode", NULL, 39},
};
#define KINDS   (sizeof kinds / sizeof *kinds)
#define VECTORS 337

static size_t kind_of(const char *fn)
{
    for (size_t k = 0; k < KINDS; k++) {
        const char *name = kinds[k].fn;
        bool any = name[0] == '*';
        if (any ? strncmp(fn, "cvn.", 4) == 0 && strcmp(strrchr(fn, '.'), name + 1) == 0
                : strcmp(fn, name) == 0)
            return k;
    }
    return KINDS;
}

/* The one difference: a length byte of 80. The author reads it as zero; it is the indefinite form
 * (X.690, 8.1.3.6), which EMV does not have (Book 3, Annex B2). */
static bool is_refused(const struct vector *v)
{
    const char *data = json_string_value(json_object_get(v->in, "data"));
    return strcmp(v->fn, "tlv.decode") == 0 && strcmp(data, "hex:9C80") == 0;
}
#define REFUSED 2

/* Ours for a vector; NULL where we refuse it. */
static json_t *ours(const struct vector *v, size_t kind)
{
    uint8_t out[BYTES_MAX];
    char hex[4 + 2 * BYTES_MAX + 1] = "hex:";
    size_t n;
    if (kinds[kind].run == NULL) {
        json_t *root = json_object();
        int err = decoded(v, root);
        if (err == DP_OK)
            return root;
        assert_int_equal(err, DP_ERR_FORMAT);
        json_decref(root);
        return NULL;
    }
    n = kinds[kind].run(v, out);
    assert_true(n <= BYTES_MAX);
    if (kinds[kind].run == cvc3)
        return json_string((const char *)out);
    (void)dp_hex_encode(out, n, hex + 4, sizeof hex - 4);
    return json_string(hex);
}

static struct vector vector_of(json_t *row)
{
    return (struct vector){json_object_get(row, "in"), json_object_get(row, "object"),
                           json_string_value(json_object_get(row, "test")),
                           json_string_value(json_object_get(row, "fn"))};
}

static bool met(json_t *row, size_t kind)
{
    const struct vector v = vector_of(row);
    json_t *got = ours(&v, kind);
    bool same = got != NULL && json_equal(got, json_object_get(row, "out"));
    json_decref(got);
    return same;
}

static void need_vectors(void)
{
    if (vectors != NULL)
        return;
    print_message("skipped: no shared data\n");
    skip();
}

static void every_published_vector_is_met(void **state)
{
    unsigned seen[KINDS] = {0}, refused = 0;
    size_t i;
    json_t *row;
    (void)state;
    need_vectors();
    json_array_foreach(json_object_get(vectors, "vectors"), i, row)
    {
        const struct vector v = vector_of(row);
        size_t kind = kind_of(v.fn);
        if (kind == KINDS)
            fail_msg("%s is of no kind", v.fn);
        seen[kind]++;
        if (met(row, kind) == is_refused(&v))
            fail_msg("%s of %s: vector %zu", v.fn, v.test, i);
        refused += is_refused(&v);
    }
    for (size_t k = 0; k < KINDS; k++)
        if (seen[k] != kinds[k].n)
            fail_msg("%s: %u vectors, not %u", kinds[k].fn, seen[k], kinds[k].n);
    assert_int_equal(i, VECTORS);
    assert_int_equal(refused, REFUSED);
    print_message("# %d of %d met, %u refused\n", VECTORS - REFUSED, VECTORS, refused);
}

/* Another last digit: no vector may be met whatever it expects. */
static void no_vector_is_met_with_another_expected_value(void **state)
{
    size_t i;
    json_t *row;
    (void)state;
    need_vectors();
    json_array_foreach(json_object_get(vectors, "vectors"), i, row)
    {
        json_t *changed = json_deep_copy(row), *out = json_object_get(changed, "out");
        char text[4 + 2 * BYTES_MAX + 2];
        size_t kind = kind_of(json_string_value(json_object_get(row, "fn")));
        if (json_is_object(out)) {
            (void)json_object_set_new(out, "9F7F", json_string("hex:00"));
        } else {
            size_t n = (size_t)snprintf(text, sizeof text, "%s", json_string_value(out));
            if (n <= 4)
                (void)snprintf(text, sizeof text, "hex:00");
            else
                text[n - 1] = text[n - 1] == '1' ? '2' : '1';
            (void)json_object_set_new(changed, "out", json_string(text));
        }
        if (met(changed, kind))
            fail_msg("vector %zu is met whatever it expects", i);
        json_decref(changed);
    }
}

/* ---- what no vector has ---- */

static const struct sim_card_keys some_keys = {
    {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {11, 12, 13, 14, 15, 16}, {17, 18, 19, 20, 21, 22}};

/* What the acquirer makes, the card takes; an answer to another cryptogram, it does not. */
static void card_takes_only_the_answer_to_its_own_cryptogram(void **state)
{
    struct sim_session_data s = {{0, 7}, {1, 2, 3, 4}, {0xA5, 1, 2, 3, 4, 5, 6, 7}};
    const uint8_t *key = some_keys.ac;
    uint8_t out[16];
    size_t n;
    bool approves;
    (void)state;
    for (enum sim_cvn cvn = 0; cvn < SIM_CVNS; cvn++) {
        assert_int_equal(sim_issuer_authentication(key, cvn, &s, (const uint8_t *)"00", out, &n),
                         DP_OK);
        assert_int_equal(sim_check_issuer_authentication(key, cvn, &s, out, n, &approves), DP_OK);
        assert_true(approves);
        s.arqc[7] ^= 1;
        assert_int_equal(sim_check_issuer_authentication(key, cvn, &s, out, n, &approves),
                         DP_ERR_SIGNATURE);
        assert_int_equal(sim_issuer_authentication(key, cvn, &s, (const uint8_t *)"05", out, &n),
                         DP_OK);
        assert_int_equal(sim_check_issuer_authentication(key, cvn, &s, out, n, &approves), DP_OK);
        assert_false(approves);
    }
}

/* By every version: the new PIN arrives; with the PIN before given wrongly, or in another session,
 * it does not. */
static void card_takes_a_new_pin_only_from_its_issuer(void **state)
{
    const struct sim_session_data s = {{0, 7}, {1, 2, 3, 4}, {0xA5, 1, 2, 3, 4, 5, 6, 7}};
    const struct sim_session_data later = {{0, 8}, {1, 2, 3, 5}, {0xA5, 1, 2, 3, 4, 5, 6, 8}};
    uint8_t command[64];
    char held[SIM_PIN_MAX + 1];
    size_t n;
    (void)state;
    for (enum sim_cvn cvn = 0; cvn < SIM_CVNS; cvn++) {
        for (int with = 0; with < 2; with++) {
            memcpy(held, "48215", 6);
            assert_int_equal(
                sim_pin_change(&some_keys, cvn, &s, "734901", with ? "48215" : NULL, command, &n),
                DP_OK);
            assert_int_equal(
                sim_pin_change_take(&some_keys, cvn, &later, command[3], command + 5, n - 13, held),
                DP_ERR_FORMAT);
            assert_int_equal(sim_pin_change_take(&some_keys, cvn, &s, 3, command + 5, n - 13, held),
                             DP_ERR_FORMAT);
            assert_string_equal(held, "48215");
            assert_int_equal(
                sim_pin_change_take(&some_keys, cvn, &s, command[3], command + 5, n - 13, held),
                DP_OK);
            assert_string_equal(held, "734901");
        }
        if (sim_version(cvn)->pin_block == SIM_PIN_ISO2)
            continue;
        assert_int_equal(sim_pin_change(&some_keys, cvn, &s, "1111", "48215", command, &n), DP_OK);
        assert_int_equal(
            sim_pin_change_take(&some_keys, cvn, &s, command[3], command + 5, n - 13, held),
            DP_ERR_FORMAT); /* the card's is 734901 by now */
    }
    assert_int_equal(sim_pin_change(&some_keys, SIM_CVN_20, &s, "123", NULL, command, &n),
                     DP_ERR_FORMAT);
    assert_int_equal(sim_pin_change(&some_keys, SIM_CVN_20, &s, "12a4", NULL, command, &n),
                     DP_ERR_FORMAT);
}

/* RFC 4493, example 2, and NIST SP 800-38A, F.1.1; then option C over them. */
static void aes_is_the_standards(void **state)
{
    uint8_t key[16], message[16], out[16], want[16];
    size_t n;
    (void)state;
    assert_int_equal(dp_hex_decode("2b7e151628aed2a6abf7158809cf4f3c", 32, key, 16, &n), DP_OK);
    assert_int_equal(dp_hex_decode("6bc1bee22e409f96e93d7e117393172a", 32, message, 16, &n), DP_OK);
    assert_int_equal(dp_hex_decode("070a16b46b4d4144f79bdd9dd04a287c", 32, want, 16, &n), DP_OK);
    assert_int_equal(sim_cmac(key, message, 16, out), DP_OK);
    assert_memory_equal(out, want, 8);
    assert_int_equal(dp_hex_decode("3ad77bb40d7a3660a89ecaf32466ef97", 32, want, 16, &n), DP_OK);
    assert_int_equal(sim_ecb(SIM_AES, key, true, message, 16, out), DP_OK);
    assert_memory_equal(out, want, 16);
    assert_int_equal(sim_ecb(SIM_AES, key, false, want, 16, out), DP_OK);
    assert_memory_equal(out, message, 16);
    /* PAN and sequence number at the right, zeros before them */
    assert_int_equal(dp_hex_decode("00000000000000999901000000001101", 32, message, 16, &n), DP_OK);
    assert_int_equal(sim_ecb(SIM_AES, key, true, message, 16, want), DP_OK);
    assert_int_equal(sim_master_key(SIM_OPTION_C, key, "9999010000000011", 1, out), DP_OK);
    assert_memory_equal(out, want, 16);
}

static void a_tree_that_does_not_reach_every_counter_is_refused(void **state)
{
    static const struct sim_key_tree trees[] = {
        {8, 3, {0}}, {15, 2, {0}}, {8, 1, {0}}, {17, 2, {0}}};
    uint8_t out[16];
    (void)state;
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++)
        assert_int_equal(
            sim_tree_session_key(some_keys.ac, (const uint8_t *)"\0\1", &trees[i], out),
            DP_ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_published_vector_is_met),
        cmocka_unit_test(no_vector_is_met_with_another_expected_value),
        cmocka_unit_test(card_takes_only_the_answer_to_its_own_cryptogram),
        cmocka_unit_test(card_takes_a_new_pin_only_from_its_issuer),
        cmocka_unit_test(aes_is_the_standards),
        cmocka_unit_test(a_tree_that_does_not_reach_every_counter_is_refused),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
