/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/cbor.h>
#include <doorpay/journal.h>

#include "base/hex.h"
#include "base/limits.h"
#include "base/writer.h"

static uint8_t buffer[DP_JOURNAL_RECORD_MAX];

/* One OUTCOME with every key that a record can have beside those of other types. */
static void fill(struct dp_record *r)
{
    static const uint8_t emv[] = {0x9F, 0x26, 0x08, 1, 2, 3, 4, 5, 6, 7, 8, 0x82, 0x02, 0x19, 0x80};
    memset(r, 0, sizeof *r);
    r->type = DP_RECORD_OUTCOME;
    r->seq = 300;
    r->mono_ms = 70000;
    r->wall_ms = 1790000000123;
    memset(r->prev, 0x11, sizeof r->prev);
    memset(r->journal, 0x22, sizeof r->journal);
    memset(r->boot, 0x33, sizeof r->boot);
    r->clock = DP_CLOCK_SYNCED;
    r->has_tx = r->has_amount = r->has_original_tx = r->has_fingerprint = true;
    r->has_pan_commitment = r->has_track_commitment = r->has_totals = r->has_digest = true;
    r->has_headroom = r->has_original = r->has_damage = r->has_card_hash = true;
    memset(r->tx, 0x44, sizeof r->tx);
    memset(r->original_tx, 0x45, sizeof r->original_tx);
    memset(r->fingerprint, 0x46, sizeof r->fingerprint);
    memset(r->pan_commitment, 0x47, sizeof r->pan_commitment);
    memset(r->track_commitment, 0x48, sizeof r->track_commitment);
    memset(r->digest, 0x49, sizeof r->digest);
    memset(r->card_hash, 0x4A, sizeof r->card_hash);
    r->amount = (struct dp_money){2350, 978, 2};
    strcpy(r->tid, "T0000001");
    strcpy(r->mid, "M00000000000001");
    strcpy(r->rrn, "632800000042");
    strcpy(r->auth_code, "A1B2C3");
    strcpy(r->action_code, "000");
    strcpy(r->bin, "999901");
    strcpy(r->last4, "1234");
    strcpy(r->par, "Q1J4AWSWD4Dx6q1DTo0MB21XDAV76");
    strcpy(r->parcel, "RR123456785DE");
    strcpy(r->manifest, "M-7");
    strcpy(r->agent, "agent-9");
    strcpy(r->sale_id, "APP1");
    strcpy(r->service_id, "0000000042");
    strcpy(r->poi_id, "POI-1");
    strcpy(r->sale_tx, "order 12 \xC3\xA9");
    strcpy(r->de7, "1124183900");
    strcpy(r->de12, "261124193900");
    strcpy(r->reason_text, "approved");
    strcpy(r->text, "note");
    r->batch = 20261124;
    r->stan = 999999;
    r->mti = 1220;
    r->business_date = 20261124;
    r->params_version = 7;
    r->function = 200;
    r->msg_reason = 4000;
    r->mode = DP_MODE_OFFLINE;
    r->reason = 3;
    r->interface = 2;
    r->cvm = 2;
    r->result = 1;
    r->pending_signature = true;
    r->degraded = true;
    memcpy(r->emv, emv, sizeof emv);
    r->emv_n = sizeof emv;
    memcpy(r->aid, "\xA0\x00\x00\x00\x04\x10\x10", 7);
    r->aid_n = 7;
    r->totals = (struct dp_totals){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, UINT64_MAX};
    r->headroom_amount = 5000;
    r->headroom_count = 0;
    r->deferred_until = 1790000000999;
    r->original.mti = 1200;
    r->original.stan = 17;
    strcpy(r->original.de12, "261124193900");
    strcpy(r->original.acquirer, "12345678901");
    r->settled.count = 3;
    r->settled.amount = 4;
    strcpy(r->settled.verdict, "500");
    r->damage.segment = 1;
    r->damage.offset = 128;
    r->damage.length = 64;
    memset(r->damage.hash, 0x50, sizeof r->damage.hash);
    r->shred.old_generation = 1;
    r->shred.new_generation = 2;
    r->shred.survivors = 3;
    memset(r->body, 0x51, 200);
    r->body_n = 200;
}

static size_t encode(const struct dp_record *r)
{
    size_t n = 0;
    assert_int_equal(dp_record_encode(r, buffer, sizeof buffer, &n), DP_OK);
    return n;
}

static void every_key_comes_back_as_it_was(void **state)
{
    static struct dp_record r, back;
    unsigned key;
    size_t n;
    (void)state;
    fill(&r);
    n = encode(&r);
    assert_int_equal(dp_cbor_check(buffer, n, NULL), DP_OK);
    assert_int_equal(dp_record_decode(buffer, n, &back, &key), DP_OK);
    assert_memory_equal(&r, &back, sizeof r);
    /* all keys but 54, which only OPEN and KEY_ROTATE have */
    assert_int_equal(buffer[0], 0xB8);
    assert_int_equal(buffer[1], 62);
}

static void open_carries_its_array_as_it_is(void **state)
{
    static struct dp_record r, back;
    static const uint8_t item[] = {0x82, 0x01, 0x41, 0x05};
    unsigned key;
    size_t n;
    (void)state;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_OPEN;
    memcpy(r.body, item, sizeof item);
    r.body_n = sizeof item;
    n = encode(&r);
    assert_memory_equal(buffer + n - 6, "\x18\x36\x82\x01\x41\x05", 6);
    assert_int_equal(dp_record_decode(buffer, n, &back, &key), DP_OK);
    assert_memory_equal(&r, &back, sizeof r);
    r.body_n = 0;
    assert_int_equal(dp_record_encode(&r, buffer, sizeof buffer, &n), DP_ERR_MISSING);
}

/* Puts one more pair behind the last of a small record. */
static size_t with_pair(const void *pair, size_t pair_n)
{
    static struct dp_record r;
    size_t n;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_TIME_SYNC;
    n = encode(&r);
    assert_in_range(buffer[0], 0xA0, 0xB6);
    buffer[0]++;
    memcpy(buffer + n, pair, pair_n);
    return n + pair_n;
}

static int decode_with(const void *pair, size_t pair_n, unsigned *key)
{
    static struct dp_record back;
    return dp_record_decode(buffer, with_pair(pair, pair_n), &back, key);
}

static void foreign_keys_are_passed_over_and_others_refused(void **state)
{
    unsigned key;
    (void)state;
    assert_int_equal(decode_with("\x18\xC8\x82\x01\x61x", 6, &key), DP_OK); /* 200: [1, "x"] */
    assert_int_equal(decode_with("\x18\xC7\x01", 3, &key), DP_ERR_UNSUPPORTED);
    assert_int_equal(key, 199);
    assert_int_equal(decode_with("\x18\x40\x01", 3, &key), DP_ERR_UNSUPPORTED);
    assert_int_equal(key, 64);
    assert_int_equal(decode_with("\x61k\x01", 3, &key), DP_ERR_FORMAT); /* a text for a key */
}

static void a_value_out_of_its_range_is_named_by_its_key(void **state)
{
    static const struct {
        const char *pair;
        uint8_t n;
        uint8_t key;
        int err;
    } wrong[] = {
        {"\x0A\x41\x01", 3, 10, DP_ERR_RANGE},                  /* tx of one byte */
        {"\x0E\x69T12345678", 11, 14, DP_ERR_RANGE},            /* tid of nine */
        {"\x0E\x62\x54\x00", 4, 14, DP_ERR_FORMAT},             /* NUL in a text */
        {"\x0E\x41\x54", 3, 14, DP_ERR_FORMAT},                 /* bytes for a text */
        {"\x0E\x67T123456", 9, 14, DP_ERR_RANGE},               /* tid of seven */
        {"\x14\x62\x30\x30", 4, 20, DP_ERR_RANGE},              /* an action code of two */
        {"\x17\x65\x39\x39\x39\x39\x30", 7, 23, DP_ERR_RANGE},  /* five digits of a card */
        {"\x18\x1A\x44\xA0\x00\x00\x00", 7, 26, DP_ERR_RANGE},  /* less than an AID's RID */
        {"\x18\x31\x1A\x01\x35\x29\xCC", 7, 49, DP_ERR_RANGE},  /* 2026-13-24 */
        {"\x10\x00", 2, 16, DP_ERR_RANGE},                      /* zero is absent */
        {"\x11\x1A\x00\x0F\x42\x40", 6, 17, DP_ERR_RANGE},      /* STAN 1000000 */
        {"\x15\x07", 2, 21, DP_ERR_RANGE},                      /* no such mode */
        {"\x0E\x60", 2, 14, DP_ERR_RANGE},                      /* empty is absent */
        {"\x16\x40", 2, 22, DP_ERR_RANGE},                      /* likewise */
        {"\x16\x43\x5A\x01\x11", 5, 22, DP_ERR_DENIED},         /* 5A: never */
        {"\x16\x44\x5F\x20\x01\x41", 6, 22, DP_ERR_DENIED},     /* 5F20: never */
        {"\x16\x45\x70\x03\x5A\x01\x11", 7, 22, DP_ERR_DENIED}, /* hidden in a template */
        {"\x16\x43\x82\x02\x19", 5, 22, DP_ERR_DENIED},         /* ends inside an element */
        {"\x16\x43\x9F\x1F\x00", 5, 22, DP_ERR_DENIED},
        {"\x18\x2E\xF4", 3, 46, DP_ERR_RANGE}, /* false is absent */
        {"\x18\x2E\x01", 3, 46, DP_ERR_FORMAT},
        {"\x18\x2F\x83\x01\x02\x60", 6, 47, DP_ERR_FORMAT}, /* an element short */
        {"\x18\x3A\x82\x01\x41\x00", 6, 58, DP_ERR_FORMAT}, /* bytes for a number */
        {"\x18\x36\x81\x01", 4, 54, DP_ERR_FORMAT},         /* not in this type */
        {"\x0B\x01", 2, 11, DP_ERR_MISSING},                /* an amount without currency */
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        unsigned key = 0;
        assert_int_equal(decode_with(wrong[i].pair, wrong[i].n, &key), wrong[i].err);
        assert_int_equal(key, wrong[i].key);
    }
}

static void an_encoder_refuses_what_a_decoder_would(void **state)
{
    static struct dp_record r;
    size_t n;
    (void)state;
    fill(&r);
    r.stan = 1000000;
    assert_int_equal(dp_record_encode(&r, buffer, sizeof buffer, &n), DP_ERR_RANGE);
    fill(&r);
    strcpy(r.tid, "T000001");
    assert_int_equal(dp_record_encode(&r, buffer, sizeof buffer, &n), DP_ERR_RANGE);
    fill(&r);
    r.aid_n = 4;
    assert_int_equal(dp_record_encode(&r, buffer, sizeof buffer, &n), DP_ERR_RANGE);
    fill(&r);
    r.business_date = 20261131;
    assert_int_equal(dp_record_encode(&r, buffer, sizeof buffer, &n), DP_ERR_RANGE);
    fill(&r);
    r.amount.minor = -1;
    assert_int_equal(dp_record_encode(&r, buffer, sizeof buffer, &n), DP_ERR_RANGE);
    fill(&r);
    r.has_tx = false;
    assert_int_equal(dp_record_encode(&r, buffer, sizeof buffer, &n), DP_ERR_MISSING);
    fill(&r);
    memcpy(r.emv, "\x57\x01\x99", 3);
    assert_int_equal(dp_record_encode(&r, buffer, sizeof buffer, &n), DP_ERR_DENIED);
    fill(&r);
    memcpy(r.reason_text, "caf\xC3", 5); /* cut in the middle of a character */
    assert_int_equal(dp_record_encode(&r, buffer, sizeof buffer, &n), DP_ERR_FORMAT);
    fill(&r);
    memset(r.tid, 'T', sizeof r.tid); /* not terminated */
    assert_int_equal(dp_record_encode(&r, buffer, sizeof buffer, &n), DP_ERR_ARG);
    fill(&r);
    assert_int_equal(dp_record_encode(&r, buffer, 300, &n), DP_ERR_SPACE);
    assert_int_equal(n, 0);
}

static void each_type_has_what_it_cannot_be_without(void **state)
{
    static const struct {
        enum dp_record_type type;
        int err;
    } bare[] = {
        {DP_RECORD_OPEN, DP_ERR_MISSING},
        {DP_RECORD_INTENT, DP_ERR_MISSING},
        {DP_RECORD_REQUESTED, DP_ERR_MISSING},
        {DP_RECORD_OUTCOME, DP_ERR_MISSING},
        {DP_RECORD_REVERSAL, DP_ERR_MISSING},
        {DP_RECORD_VOID, DP_ERR_MISSING},
        {DP_RECORD_FORWARDED, DP_ERR_MISSING},
        {DP_RECORD_SETTLED, DP_ERR_MISSING},
        {DP_RECORD_EVIDENCE, DP_OK},
        {DP_RECORD_CHECKPOINT, DP_ERR_MISSING},
        {DP_RECORD_KEY_ROTATE, DP_ERR_MISSING},
        {DP_RECORD_TIME_SYNC, DP_OK},
        {DP_RECORD_RECOVERY, DP_ERR_MISSING},
        {DP_RECORD_SHRED, DP_ERR_MISSING},
        {DP_RECORD_PARAMS, DP_OK},
        {DP_RECORD_CLOSE, DP_OK},
        {(enum dp_record_type)20, DP_ERR_RANGE},
        {(enum dp_record_type)0, DP_ERR_RANGE},
    };
    static struct dp_record r;
    size_t n;
    (void)state;
    for (size_t i = 0; i < sizeof bare / sizeof bare[0]; i++) {
        memset(&r, 0, sizeof r);
        r.type = bare[i].type;
        assert_int_equal(dp_record_encode(&r, buffer, sizeof buffer, &n), bare[i].err);
    }
}

/* Whatever single byte changes: it is refused, or it is another record that is written just so. */
static void every_changed_byte_is_refused_or_means_something_else(void **state)
{
    static struct dp_record r, back;
    static uint8_t whole[DP_JOURNAL_RECORD_MAX];
    unsigned key, refused = 0;
    size_t n, again_n;
    (void)state;
    fill(&r);
    n = encode(&r);
    memcpy(whole, buffer, n);
    for (size_t i = 0; i < n; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            whole[i] ^= (uint8_t)(1u << bit);
            if (dp_record_decode(whole, n, &back, &key) == DP_OK) {
                assert_int_equal(dp_record_encode(&back, buffer, sizeof buffer, &again_n), DP_OK);
                assert_int_equal(again_n, n);
                assert_memory_equal(buffer, whole, n);
                assert_memory_not_equal(&r, &back, sizeof r);
            } else {
                refused++;
            }
            whole[i] ^= (uint8_t)(1u << bit);
        }
    }
    assert_true(refused > 500);
    for (size_t i = 0; i < n; i++)
        assert_int_not_equal(dp_record_decode(whole, i, &back, &key), DP_OK);
}

static void names_are_for_people(void **state)
{
    (void)state;
    assert_string_equal(dp_record_type_name(DP_RECORD_OUTCOME), "OUTCOME");
    assert_string_equal(dp_record_type_name(DP_RECORD_CLOSE), "CLOSE");
    assert_string_equal(dp_record_type_name((enum dp_record_type)99), "unknown");
    assert_string_equal(dp_mode_name(DP_MODE_OFFLINE), "offline-approved");
    assert_string_equal(dp_mode_name((enum dp_mode)7), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_comes_back_as_it_was),
        cmocka_unit_test(open_carries_its_array_as_it_is),
        cmocka_unit_test(foreign_keys_are_passed_over_and_others_refused),
        cmocka_unit_test(a_value_out_of_its_range_is_named_by_its_key),
        cmocka_unit_test(an_encoder_refuses_what_a_decoder_would),
        cmocka_unit_test(each_type_has_what_it_cannot_be_without),
        cmocka_unit_test(every_changed_byte_is_refused_or_means_something_else),
        cmocka_unit_test(names_are_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
