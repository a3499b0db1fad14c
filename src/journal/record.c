/* SPDX-License-Identifier: Apache-2.0 */
/* A record, docs/PROTOCOL.journal, 4 and 5: one table of keys, read by encoder and decoder alike.
 */
#include <doorpay/journal.h>

#include <string.h>

#include <doorpay/cbor.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/reader.h"
#include "base/writer.h"

#include "totals.h"

#define GIVEN_UP       4 /* key 48 */
#define VERSION        1
#define KEY_VERSION    1
#define KEY_AMOUNT     11
#define KEY_CURRENCY   12
#define KEY_EXPONENT   13
#define KEY_EMV        22
#define KEY_OPEN       54
#define KEY_FOREIGN    200 /* from here on a reader keeps what it does not know */
#define CURRENCY_MAX   999
#define EXPONENT_MAX   4
#define AMOUNT_MAX     INT64_MAX
#define AID_MIN        5 /* ISO/IEC 7816-4: RID, then up to 11 bytes more */
#define BODY_MAX       512
#define STAN_MAX       999999
#define TIME_MS_MAX    INT64_MAX
#define KEYS_OF_RECORD 63
#define REQUIRED_MAX   4

enum kind {
    KIND_VERSION,
    KIND_U32,    /* uint32_t; 0 is absent */
    KIND_DATE,   /* the same, YYYYMMDD */
    KIND_ENUM,   /* the same in an enum's width; 0 is absent */
    KIND_ALWAYS, /* uint64_t, in every record */
    KIND_U64,    /* uint64_t; 0 is absent */
    KIND_MONEY,  /* one of the three keys of an amount: most is the most of it */
    KIND_FIXED,  /* size bytes, present when has says so */
    KIND_ID,     /* size bytes, in every record */
    KIND_TEXT,   /* char[size + 1], empty is absent; least to size bytes */
    KIND_BYTES,  /* least to size bytes; n in a field of its own */
    KIND_BOOL,   /* false is absent */
    KIND_ITEM,   /* the key's whole item, encoded, in body */
    KIND_GROUP   /* an array, by a function of its own */
};

struct key {
    uint8_t key, kind;
    uint16_t at, has; /* offsets into struct dp_record */
    uint64_t most;    /* of an integer; bytes of a string */
    uint8_t least;    /* bytes of a string that is there, when more than one */
};

#define AT(field) (uint16_t) offsetof(struct dp_record, field)
#define NOTHING   0 /* type stands at offset 0, and has nothing to do with presence */
#define MAX_OF(f) (sizeof((struct dp_record *)NULL)->f)
#define TEXT(n, f)                                                                                 \
    {                                                                                              \
        n, KIND_TEXT, AT(f), NOTHING, MAX_OF(f) - 1, 0                                             \
    }
#define TEXT_OF(n, f) /* of so many bytes */                                                       \
    {                                                                                              \
        n, KIND_TEXT, AT(f), NOTHING, MAX_OF(f) - 1, MAX_OF(f) - 1                                 \
    }
#define U32(n, f, m)                                                                               \
    {                                                                                              \
        n, KIND_U32, AT(f), NOTHING, m, 0                                                          \
    }

static const struct key keys[] = {
    {1, KIND_VERSION, NOTHING, NOTHING, 0},
    {2, KIND_ENUM, AT(type), NOTHING, DP_RECORD_CLOSE},
    {3, KIND_ALWAYS, AT(seq), NOTHING, INT64_MAX},
    {4, KIND_ID, AT(prev), NOTHING, MAX_OF(prev)},
    {5, KIND_ID, AT(journal), NOTHING, MAX_OF(journal)},
    {6, KIND_ID, AT(boot), NOTHING, MAX_OF(boot)},
    {7, KIND_ALWAYS, AT(mono_ms), NOTHING, TIME_MS_MAX},
    {8, KIND_ALWAYS, AT(wall_ms), NOTHING, TIME_MS_MAX},
    {9, KIND_ENUM, AT(clock), NOTHING, DP_CLOCK_SYNCED},
    {10, KIND_FIXED, AT(tx), AT(has_tx), MAX_OF(tx)},
    {KEY_AMOUNT, KIND_MONEY, NOTHING, AT(has_amount), AMOUNT_MAX},
    {KEY_CURRENCY, KIND_MONEY, NOTHING, AT(has_amount), CURRENCY_MAX},
    {KEY_EXPONENT, KIND_MONEY, NOTHING, AT(has_amount), EXPONENT_MAX},
    TEXT_OF(14, tid),
    TEXT(15, mid),
    U32(16, batch, UINT32_MAX),
    U32(17, stan, STAN_MAX),
    TEXT_OF(18, rrn),
    TEXT_OF(19, auth_code),
    TEXT_OF(20, action_code),
    {21, KIND_ENUM, AT(mode), NOTHING, DP_MODE_VOID},
    {KEY_EMV, KIND_BYTES, AT(emv), AT(emv_n), MAX_OF(emv)},
    TEXT_OF(23, bin),
    TEXT_OF(24, last4),
    TEXT(25, par),
    {26, KIND_BYTES, AT(aid), AT(aid_n), MAX_OF(aid), AID_MIN},
    {27, KIND_FIXED, AT(pan_commitment), AT(has_pan_commitment), MAX_OF(pan_commitment)},
    {28, KIND_FIXED, AT(track_commitment), AT(has_track_commitment), MAX_OF(track_commitment)},
    {29, KIND_FIXED, AT(fingerprint), AT(has_fingerprint), MAX_OF(fingerprint)},
    TEXT(30, parcel),
    TEXT(31, manifest),
    TEXT(32, agent),
    {33, KIND_GROUP, NOTHING, AT(has_totals), 0},
    TEXT(34, sale_id),
    TEXT(35, service_id),
    TEXT(36, poi_id),
    TEXT(37, sale_tx),
    U32(38, mti, 9999),
    TEXT_OF(39, de7),
    TEXT_OF(40, de12),
    U32(41, reason, UINT16_MAX),
    TEXT(42, reason_text),
    {43, KIND_FIXED, AT(original_tx), AT(has_original_tx), MAX_OF(original_tx)},
    U32(44, interface, 2),
    U32(45, cvm, 2),
    {46, KIND_BOOL, AT(pending_signature), NOTHING, 0},
    {47, KIND_GROUP, NOTHING, AT(has_original), 0},
    U32(48, result, 4),
    {49, KIND_DATE, AT(business_date), NOTHING, 99991231, 0},
    U32(50, params_version, UINT32_MAX),
    {51, KIND_BYTES, AT(body), AT(body_n), BODY_MAX},
    {52, KIND_GROUP, NOTHING, AT(has_damage), 0},
    {53, KIND_FIXED, AT(digest), AT(has_digest), MAX_OF(digest)},
    {KEY_OPEN, KIND_ITEM, AT(body), AT(body_n), BODY_MAX},
    TEXT(55, text),
    {56, KIND_GROUP, NOTHING, NOTHING, 0},
    {57, KIND_GROUP, NOTHING, NOTHING, 0},
    {58, KIND_GROUP, NOTHING, AT(has_headroom), 0},
    {59, KIND_U64, AT(deferred_until), NOTHING, TIME_MS_MAX},
    U32(60, function, 999),
    U32(61, msg_reason, 9999),
    {62, KIND_FIXED, AT(card_hash), AT(has_card_hash), MAX_OF(card_hash)},
    {63, KIND_BOOL, AT(degraded), NOTHING, 0},
};

/* What a type cannot be without, beside keys 1 to 9. */
static const uint8_t required[][REQUIRED_MAX] = {
    [DP_RECORD_OPEN] = {54},
    [DP_RECORD_INTENT] = {10, KEY_AMOUNT},
    [DP_RECORD_REQUESTED] = {10, KEY_AMOUNT, 17, 21},
    [DP_RECORD_OUTCOME] = {10, KEY_AMOUNT, 21},
    [DP_RECORD_REVERSAL] = {10, KEY_AMOUNT, 17, 47},
    [DP_RECORD_VOID] = {10, KEY_AMOUNT, 43},
    [DP_RECORD_FORWARDED] = {10, 48}, /* and 17, unless a deferred payment is given up */
    [DP_RECORD_SETTLED] = {56},
    [DP_RECORD_CHECKPOINT] = {51},
    [DP_RECORD_KEY_ROTATE] = {54},
    [DP_RECORD_RECOVERY] = {52},
    [DP_RECORD_SHRED] = {57},
    [DP_RECORD_UPLOAD_ACK] = {51, 53},
    [DP_RECORD_CLOSE] = {0},
};

const char *dp_record_type_name(enum dp_record_type type)
{
    static const char *const names[] = {
        [DP_RECORD_OPEN] = "OPEN",
        [DP_RECORD_INTENT] = "INTENT",
        [DP_RECORD_REQUESTED] = "REQUESTED",
        [DP_RECORD_OUTCOME] = "OUTCOME",
        [DP_RECORD_REVERSAL] = "REVERSAL",
        [DP_RECORD_VOID] = "VOID",
        [DP_RECORD_FORWARDED] = "FORWARDED",
        [DP_RECORD_SETTLED] = "SETTLED",
        [DP_RECORD_EVIDENCE] = "EVIDENCE",
        [DP_RECORD_CHECKPOINT] = "CHECKPOINT",
        [DP_RECORD_KEY_ROTATE] = "KEY_ROTATE",
        [DP_RECORD_TIME_SYNC] = "TIME_SYNC",
        [DP_RECORD_DEGRADED_ON] = "DEGRADED_ON",
        [DP_RECORD_DEGRADED_OFF] = "DEGRADED_OFF",
        [DP_RECORD_RECOVERY] = "RECOVERY",
        [DP_RECORD_SHRED] = "SHRED",
        [DP_RECORD_UPLOAD_ACK] = "UPLOAD_ACK",
        [DP_RECORD_PARAMS] = "PARAMS",
        [DP_RECORD_CLOSE] = "CLOSE",
    };
    return type >= DP_RECORD_OPEN && type <= DP_RECORD_CLOSE ? names[type] : "unknown";
}

const char *dp_mode_name(enum dp_mode mode)
{
    static const char *const names[] = {
        "none", "online", "offline-approved", "deferred", "declined", "reversed", "void"};
    return mode >= DP_MODE_NONE && mode <= DP_MODE_VOID ? names[mode] : "unknown";
}

/* ---- EMV data ---- */

/* Card data that a journal never holds in clear. */
static bool tag_forbidden(uint32_t tag)
{
    static const uint32_t never[] = {0x57, 0x5A, 0x5F20, 0x9F1F, 0x99, 0x56};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (never[i] == tag)
            return true;
    return false;
}

static uint32_t emv_tag(struct dp_reader *r)
{
    uint32_t tag = dp_read_u8(r);
    if ((tag & 0x1F) != 0x1F)
        return tag;
    for (unsigned i = 1; i < DP_TLV_TAG_MAX; i++) {
        uint8_t more = dp_read_u8(r);
        tag = tag << 8 | more;
        if ((more & 0x80) == 0)
            return tag;
    }
    (void)dp_reader_fail(r, DP_ERR_FORMAT);
    return 0;
}

static size_t emv_length(struct dp_reader *r)
{
    uint8_t first = dp_read_u8(r);
    if (first < 0x80)
        return first;
    if (first == 0x81)
        return dp_read_u8(r);
    if (first == 0x82)
        return dp_read_u16(r);
    (void)dp_reader_fail(r, DP_ERR_FORMAT);
    return 0;
}

/* Primitive elements one after another, none of them forbidden: in a constructed one something
 * could hide. */
static int emv_check(const uint8_t *p, size_t n)
{
    struct dp_reader r;
    dp_reader_init(&r, p, n);
    while (r.err == DP_OK && r.left > 0) {
        bool constructed = (dp_read_peek(&r) & 0x20) != 0;
        uint32_t tag = emv_tag(&r);
        dp_read_skip(&r, emv_length(&r));
        if (constructed || tag_forbidden(tag))
            return DP_ERR_DENIED;
    }
    return r.err;
}

/* ---- groups ---- */

static bool group_present(const struct dp_record *r, const struct key *k)
{
    if (k->key == 56)
        return r->settled.verdict[0] != '\0';
    if (k->key == 57)
        return r->shred.new_generation != 0;
    return *((const bool *)r + k->has);
}

static void write_string(struct dp_writer *w, const char *s, size_t max);

static void group_write(struct dp_writer *w, const struct dp_record *r, unsigned key)
{
    switch (key) {
    case 33:
        totals_write(w, &r->totals);
        break;
    case 47:
        dp_cbor_write_array(w, 4);
        dp_cbor_write_uint(w, r->original.mti);
        dp_cbor_write_uint(w, r->original.stan);
        write_string(w, r->original.de12, sizeof r->original.de12);
        write_string(w, r->original.acquirer, sizeof r->original.acquirer);
        break;
    case 52:
        dp_cbor_write_array(w, 4);
        dp_cbor_write_uint(w, r->damage.segment);
        dp_cbor_write_uint(w, r->damage.offset);
        dp_cbor_write_uint(w, r->damage.length);
        dp_cbor_write_bytes(w, r->damage.hash, sizeof r->damage.hash);
        break;
    case 56:
        dp_cbor_write_array(w, 3);
        dp_cbor_write_uint(w, r->settled.count);
        dp_cbor_write_uint(w, r->settled.amount);
        write_string(w, r->settled.verdict, sizeof r->settled.verdict);
        break;
    case 57:
        dp_cbor_write_array(w, 3);
        dp_cbor_write_uint(w, r->shred.old_generation);
        dp_cbor_write_uint(w, r->shred.new_generation);
        dp_cbor_write_uint(w, r->shred.survivors);
        break;
    default:
        DP_ASSERT(key == 58);
        dp_cbor_write_array(w, 2);
        dp_cbor_write_uint(w, r->headroom_amount);
        dp_cbor_write_uint(w, r->headroom_count);
        break;
    }
}

static uint64_t read_uint(struct dp_reader *r, uint64_t most)
{
    uint64_t v = dp_cbor_read_uint(r);
    if (v <= most)
        return v;
    (void)dp_reader_fail(r, DP_ERR_RANGE);
    return 0;
}

/* Characters into char[max + 1]; a NUL among them would end it early. */
static void read_string(struct dp_reader *r, char *out, size_t max)
{
    struct dp_bytes b = dp_cbor_read_text(r);
    if (r->err != DP_OK)
        return;
    if (b.n > max || (b.n > 0 && memchr(b.p, 0, b.n) != NULL)) {
        (void)dp_reader_fail(r, b.n > max ? DP_ERR_RANGE : DP_ERR_FORMAT);
        return;
    }
    if (b.n > 0)
        memcpy(out, b.p, b.n);
    out[b.n] = '\0';
}

static void read_fixed(struct dp_reader *r, uint8_t *out, size_t n)
{
    struct dp_bytes b = dp_cbor_read_bytes(r);
    if (r->err == DP_OK && b.n != n)
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    if (r->err == DP_OK)
        memcpy(out, b.p, n);
}

static void group_begin(struct dp_reader *in, size_t items)
{
    if (dp_cbor_read_array(in) != items)
        (void)dp_reader_fail(in, DP_ERR_FORMAT);
}

static void group_read(struct dp_reader *in, struct dp_record *r, unsigned key)
{
    switch (key) {
    case 33:
        totals_read(in, &r->totals);
        break;
    case 47:
        group_begin(in, 4);
        r->original.mti = (uint32_t)read_uint(in, 9999);
        r->original.stan = (uint32_t)read_uint(in, STAN_MAX);
        read_string(in, r->original.de12, sizeof r->original.de12 - 1);
        read_string(in, r->original.acquirer, sizeof r->original.acquirer - 1);
        break;
    case 52:
        group_begin(in, 4);
        r->damage.segment = (uint32_t)read_uint(in, DP_JOURNAL_SEGMENTS_MAX);
        r->damage.offset = (uint32_t)read_uint(in, DP_JOURNAL_SEGMENT_BYTES);
        r->damage.length = (uint32_t)read_uint(in, DP_JOURNAL_SEGMENT_BYTES);
        read_fixed(in, r->damage.hash, sizeof r->damage.hash);
        break;
    case 56:
        group_begin(in, 3);
        r->settled.count = dp_cbor_read_uint(in);
        r->settled.amount = dp_cbor_read_uint(in);
        read_string(in, r->settled.verdict, sizeof r->settled.verdict - 1);
        break;
    case 57:
        group_begin(in, 3);
        r->shred.old_generation = (uint32_t)read_uint(in, UINT32_MAX);
        r->shred.new_generation = (uint32_t)read_uint(in, UINT32_MAX);
        r->shred.survivors = (uint32_t)read_uint(in, UINT32_MAX);
        break;
    default:
        DP_ASSERT(key == 58);
        group_begin(in, 2);
        r->headroom_amount = dp_cbor_read_uint(in);
        r->headroom_count = dp_cbor_read_uint(in);
        break;
    }
}

/* ---- one key ---- */

static uint64_t money_part(const struct dp_record *r, unsigned key)
{
    if (key == KEY_AMOUNT)
        return (uint64_t)r->amount.minor;
    return key == KEY_CURRENCY ? r->amount.currency : r->amount.exponent;
}

static void money_take(struct dp_record *r, unsigned key, uint64_t v)
{
    if (key == KEY_AMOUNT)
        r->amount.minor = (int64_t)v;
    else if (key == KEY_CURRENCY)
        r->amount.currency = (uint16_t)v;
    else
        r->amount.exponent = (uint8_t)v;
}

/* How many bytes a byte string of variable length has: its count is as wide as it needs to be. */
static size_t count_of(const struct dp_record *r, const struct key *k)
{
    if (k->has == AT(aid_n))
        return r->aid_n;
    return k->has == AT(emv_n) ? r->emv_n : r->body_n;
}

static void set_count(struct dp_record *r, const struct key *k, size_t n)
{
    if (k->has == AT(aid_n))
        r->aid_n = (uint8_t)n;
    else if (k->has == AT(emv_n))
        r->emv_n = (uint16_t)n;
    else
        r->body_n = (uint16_t)n;
}

/* body is one field for two keys; the type says which. */
static bool body_is_item(const struct dp_record *r)
{
    return r->type == DP_RECORD_OPEN || r->type == DP_RECORD_KEY_ROTATE;
}

static uint64_t integer_at(const struct dp_record *r, const struct key *k)
{
    const uint8_t *at = (const uint8_t *)r + k->at;
    uint64_t wide;
    uint32_t narrow;
    _Static_assert(sizeof(enum dp_mode) == sizeof narrow, "enums are 32 bits wide");
    if (k->kind == KIND_ALWAYS || k->kind == KIND_U64) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return narrow;
}

static void integer_set(struct dp_record *r, const struct key *k, uint64_t v)
{
    uint8_t *at = (uint8_t *)r + k->at;
    uint32_t narrow = (uint32_t)v;
    if (k->kind == KIND_ALWAYS || k->kind == KIND_U64)
        memcpy(at, &v, sizeof v);
    else
        memcpy(at, &narrow, sizeof narrow);
}

static bool present(const struct dp_record *r, const struct key *k)
{
    const uint8_t *base = (const uint8_t *)r;
    switch ((enum kind)k->kind) {
    case KIND_VERSION:
    case KIND_ALWAYS:
    case KIND_ID:
        return true;
    case KIND_U32:
    case KIND_DATE:
    case KIND_U64:
        return integer_at(r, k) != 0;
    case KIND_ENUM:
        return k->key == 9 || integer_at(r, k) != 0;
    case KIND_MONEY:
    case KIND_FIXED:
        return *(const bool *)(base + k->has);
    case KIND_TEXT:
        return base[k->at] != '\0';
    case KIND_BYTES:
        return count_of(r, k) > 0 && (k->at != AT(body) || !body_is_item(r));
    case KIND_ITEM:
        return count_of(r, k) > 0 && body_is_item(r);
    case KIND_BOOL:
        return *(const bool *)(base + k->at);
    case KIND_GROUP:
        break;
    }
    return group_present(r, k);
}

/* ---- encoding ---- */

/* Text that a caller cut in the middle of a character must be an error here, and no assertion in
 * the CBOR room: the whole is held against the form at the end. */
static void write_string(struct dp_writer *w, const char *s, size_t max)
{
    size_t start = w->n;
    size_t n = strnlen(s, max);
    if (n == max)
        (void)dp_writer_fail(w, DP_ERR_ARG);
    dp_cbor_write_bytes(w, s, n);
    if (w->err == DP_OK)
        w->p[start] |= DP_CBOR_TEXT << 5; /* 2 becomes 3: the heads are alike */
}

static void write_integer(struct dp_writer *w, uint64_t v, uint64_t most)
{
    if (v > most)
        (void)dp_writer_fail(w, DP_ERR_RANGE);
    dp_cbor_write_uint(w, v);
}

static void write_value(struct dp_writer *w, const struct dp_record *r, const struct key *k)
{
    const uint8_t *at = (const uint8_t *)r + k->at;
    size_t n = k->kind == KIND_BYTES || k->kind == KIND_ITEM ? count_of(r, k) : (size_t)k->most;
    if (n > k->most || n < k->least)
        (void)dp_writer_fail(w, DP_ERR_RANGE);
    switch ((enum kind)k->kind) {
    case KIND_VERSION:
        dp_cbor_write_uint(w, VERSION);
        break;
    case KIND_DATE:
        if (!dp_is_date((uint32_t)integer_at(r, k)))
            (void)dp_writer_fail(w, DP_ERR_RANGE);
        dp_cbor_write_uint(w, integer_at(r, k));
        break;
    case KIND_U32:
    case KIND_ENUM:
    case KIND_ALWAYS:
    case KIND_U64:
        write_integer(w, integer_at(r, k), k->most);
        break;
    case KIND_MONEY:
        write_integer(w, money_part(r, k->key), k->most);
        break;
    case KIND_TEXT:
        if (strnlen((const char *)at, n) < k->least)
            (void)dp_writer_fail(w, DP_ERR_RANGE);
        write_string(w, (const char *)at, n + 1);
        break;
    case KIND_FIXED:
    case KIND_ID:
    case KIND_BYTES:
        if (w->err == DP_OK)
            dp_cbor_write_bytes(w, at, n);
        break;
    case KIND_ITEM:
        if (w->err == DP_OK)
            dp_write_bytes(w, at, n);
        break;
    case KIND_BOOL:
        dp_cbor_write_bool(w, true);
        break;
    case KIND_GROUP:
        group_write(w, r, k->key);
        break;
    }
}

static const struct key *key_find(uint64_t key)
{
    _Static_assert(sizeof keys / sizeof keys[0] == KEYS_OF_RECORD, "keys run from 1 without gaps");
    if (key < 1 || key > KEYS_OF_RECORD)
        return NULL;
    DP_ASSERT(keys[key - 1].key == key);
    return &keys[key - 1];
}

/* 0, or the key that this type cannot be without and that is not there. */
static unsigned missing(const struct dp_record *r)
{
    const uint8_t *need;
    if ((size_t)r->type >= sizeof required / sizeof required[0])
        return 0;
    need = required[r->type];
    for (unsigned i = 0; i < REQUIRED_MAX && need[i] != 0; i++)
        if (!present(r, key_find(need[i])))
            return need[i];
    if (r->type == DP_RECORD_FORWARDED && r->stan == 0 &&
        (r->result != GIVEN_UP || r->mode != DP_MODE_DEFERRED))
        return 17;
    return 0;
}

int dp_record_encode(const struct dp_record *r, uint8_t *out, size_t max, size_t *n)
{
    struct dp_writer w;
    size_t pairs = 0;
    *n = 0;
    if (r->type < DP_RECORD_OPEN || r->type > DP_RECORD_CLOSE ||
        (r->has_amount && r->amount.minor < 0))
        return DP_ERR_RANGE;
    if (missing(r) != 0)
        return DP_ERR_MISSING;
    if (emv_check(r->emv, r->emv_n <= sizeof r->emv ? r->emv_n : 0) != DP_OK)
        return DP_ERR_DENIED;
    for (size_t i = 0; i < KEYS_OF_RECORD; i++)
        pairs += present(r, &keys[i]);
    dp_writer_init(&w, out, max < DP_JOURNAL_RECORD_MAX ? max : DP_JOURNAL_RECORD_MAX);
    dp_cbor_write_map(&w, pairs);
    for (size_t i = 0; i < KEYS_OF_RECORD; i++) {
        if (!present(r, &keys[i]))
            continue;
        dp_cbor_write_uint(&w, keys[i].key);
        write_value(&w, r, &keys[i]);
    }
    if (w.err != DP_OK)
        return w.err;
    if (dp_cbor_check(out, w.n, NULL) != DP_OK)
        return DP_ERR_FORMAT;
    *n = w.n;
    return DP_OK;
}

/* ---- decoding ---- */

static void read_item(struct dp_reader *in, struct dp_record *r, const struct key *k)
{
    const uint8_t *start = in->p;
    size_t n;
    if (dp_cbor_peek(in) != DP_CBOR_ARRAY)
        (void)dp_reader_fail(in, DP_ERR_FORMAT);
    dp_cbor_skip(in);
    if (in->err != DP_OK)
        return;
    n = (size_t)(in->p - start);
    if (n > k->most || !body_is_item(r)) {
        (void)dp_reader_fail(in, n > k->most ? DP_ERR_RANGE : DP_ERR_FORMAT);
        return;
    }
    memcpy(r->body, start, n);
    set_count(r, k, n);
}

static void read_bytes(struct dp_reader *in, struct dp_record *r, const struct key *k)
{
    struct dp_bytes b = dp_cbor_read_bytes(in);
    if (in->err == DP_OK &&
        (b.n > k->most || b.n < k->least || (k->at == AT(body) && body_is_item(r))))
        (void)dp_reader_fail(in, DP_ERR_RANGE);
    if (in->err != DP_OK || b.n == 0)
        return;
    memcpy((uint8_t *)r + k->at, b.p, b.n);
    set_count(r, k, b.n);
    if (k->key == KEY_EMV && emv_check(b.p, b.n) != DP_OK)
        (void)dp_reader_fail(in, DP_ERR_DENIED);
}

static void read_value(struct dp_reader *in, struct dp_record *r, const struct key *k)
{
    uint8_t *at = (uint8_t *)r + k->at;
    switch ((enum kind)k->kind) {
    case KIND_VERSION:
        if (dp_cbor_read_uint(in) != VERSION)
            (void)dp_reader_fail(in, DP_ERR_UNSUPPORTED);
        break;
    case KIND_U32:
    case KIND_ENUM:
    case KIND_ALWAYS:
    case KIND_U64:
        integer_set(r, k, read_uint(in, k->most));
        break;
    case KIND_DATE:
        integer_set(r, k, read_uint(in, k->most));
        if (!dp_is_date((uint32_t)integer_at(r, k)))
            (void)dp_reader_fail(in, DP_ERR_RANGE);
        break;
    case KIND_MONEY:
        money_take(r, k->key, read_uint(in, k->most));
        break;
    case KIND_FIXED:
    case KIND_ID:
        read_fixed(in, at, (size_t)k->most);
        break;
    case KIND_TEXT:
        read_string(in, (char *)at, (size_t)k->most);
        if (strlen((const char *)at) < k->least)
            (void)dp_reader_fail(in, DP_ERR_RANGE);
        break;
    case KIND_BYTES:
        read_bytes(in, r, k);
        break;
    case KIND_ITEM:
        read_item(in, r, k);
        break;
    case KIND_BOOL:
        *(bool *)at = dp_cbor_read_bool(in);
        break;
    case KIND_GROUP:
        group_read(in, r, k->key);
        break;
    }
    if (k->kind == KIND_FIXED || k->kind == KIND_MONEY ||
        (k->kind == KIND_GROUP && k->has != NOTHING))
        *((bool *)r + k->has) = true;
    /* one form for each record: what is absent by its value is not written out */
    if (in->err == DP_OK && !present(r, k))
        (void)dp_reader_fail(in, DP_ERR_RANGE);
}

/* Keys 1 to 9 are in every record, those of an amount come together. */
static int complete(const struct dp_record *r, uint64_t seen, unsigned *key)
{
    static const uint64_t always = 0x3FE;
    const uint64_t money =
        UINT64_C(1) << KEY_AMOUNT | UINT64_C(1) << KEY_CURRENCY | UINT64_C(1) << KEY_EXPONENT;
    for (*key = KEY_VERSION; *key <= 9; (*key)++)
        if ((seen >> *key & 1) == 0)
            return DP_ERR_MISSING;
    DP_ASSERT((seen & always) == always);
    *key = KEY_AMOUNT;
    if ((seen & money) != 0 && (seen & money) != money)
        return DP_ERR_MISSING;
    *key = missing(r);
    return *key != 0 ? DP_ERR_MISSING : DP_OK;
}

int dp_record_decode(const uint8_t *p, size_t n, struct dp_record *out, unsigned *key)
{
    struct dp_reader in;
    uint64_t seen = 0;
    size_t pairs;
    int err = dp_cbor_check(p, n, NULL);
    memset(out, 0, sizeof *out);
    *key = 0;
    if (err == DP_OK && n > DP_JOURNAL_RECORD_MAX)
        err = DP_ERR_LIMIT;
    if (err != DP_OK)
        return err;
    dp_reader_init(&in, p, n);
    pairs = dp_cbor_read_map(&in);
    for (size_t i = 0; i < pairs && in.err == DP_OK; i++) {
        uint64_t number = dp_cbor_read_uint(&in);
        const struct key *k = key_find(number);
        if (in.err != DP_OK)
            break;
        *key = number < UINT32_MAX ? (unsigned)number : UINT32_MAX;
        if (k == NULL && number < KEY_FOREIGN)
            return DP_ERR_UNSUPPORTED;
        if (k == NULL) {
            dp_cbor_skip(&in);
            continue;
        }
        read_value(&in, out, k);
        seen |= UINT64_C(1) << number;
    }
    err = dp_reader_finish(&in);
    return err != DP_OK ? err : complete(out, seen, key);
}
