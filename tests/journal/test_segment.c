/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "journal/segment.h"

static uint8_t bytes[8192];
static struct segment seg;

/* the smallest thing that says its seq: {1: 1, 2: 4, 3: seq} */
static size_t payload(uint8_t seq, uint8_t *out)
{
    const uint8_t p[] = {0xa3, 1, 1, 2, 4, 3, seq};
    memcpy(out, p, sizeof p);
    return sizeof p;
}

static uint32_t put(uint32_t offset, uint32_t batch, uint8_t seq)
{
    uint8_t p[16];
    struct dp_writer w;
    size_t n = payload(seq, p);
    dp_writer_init(&w, bytes + offset, sizeof bytes - offset);
    frame_write(&w, seg.salt, seq, batch, (struct dp_bytes){p, n});
    assert_int_equal(w.err, DP_OK);
    assert_int_equal(w.n, frame_bytes(n));
    return offset + (uint32_t)w.n;
}

static int fresh(void **state)
{
    (void)state;
    memset(bytes, 0, sizeof bytes);
    memset(seg.salt, 0x5a, sizeof seg.salt);
    seg.p = bytes;
    seg.n = sizeof bytes;
    return 0;
}

static void names_number_segments(void **state)
{
    char name[SEGMENT_NAME_BYTES];
    (void)state;
    segment_name(42, name);
    assert_string_equal(name, "seg-00000042.dpj");
    assert_int_equal(segment_number(name), 42);
    assert_int_equal(segment_number("seg-00000000.dpj"), 0);
    assert_int_equal(segment_number("seg-0000004a.dpj"), 0);
    assert_int_equal(segment_number("seg-00000042.tmp"), 0);
    assert_int_equal(segment_number("seg-000000042.dpj"), 0);
    assert_int_equal(segment_number("lock"), 0);
}

static void header_round_trips_and_refuses_every_flipped_byte(void **state)
{
    struct segment_header h = {.number = 7, .bytes = 8192, .first_seq = 0x0102030405060708}, got;
    uint8_t raw[SEGMENT_HEADER_BYTES];
    (void)state;
    memset(h.salt, 1, sizeof h.salt);
    memset(h.journal, 2, sizeof h.journal);
    memset(h.prev_leaf, 3, sizeof h.prev_leaf);
    segment_header_write(&h, raw);
    assert_int_equal(segment_header_read(raw, &got), DP_OK);
    assert_memory_equal(&h, &got, sizeof h);
    for (size_t i = 0; i < sizeof raw; i++) {
        raw[i] ^= 0x10;
        assert_int_equal(segment_header_read(raw, &got), DP_ERR_FORMAT);
        raw[i] ^= 0x10;
    }
    h.bytes = 4096;
    segment_header_write(&h, raw);
    assert_int_equal(segment_header_read(raw, &got), DP_ERR_RANGE);
}

static void frames_are_read_as_written(void **state)
{
    struct frame f;
    uint32_t second = put(128, 128, 0), end = put(second, 128, 1);
    (void)state;
    assert_int_equal(frame_read(&seg, 128, 0, 0, &f), FRAME_GOOD);
    assert_true(f.has_seq);
    assert_int_equal(f.next, second);
    assert_int_equal(frame_read(&seg, second, 128, 1, &f), FRAME_GOOD);
    assert_int_equal(f.seq, 1);
    assert_int_equal(f.batch, 128);
    assert_int_equal(f.next, end);
    assert_int_equal(frame_read(&seg, end, 128, 2, &f), FRAME_END);
    assert_int_equal(segment_used(&seg, 128), end);
    assert_int_equal(frame_read(&seg, sizeof bytes, 128, 2, &f), FRAME_END);
}

static void every_flipped_byte_of_a_frame_is_seen(void **state)
{
    struct frame f;
    uint32_t end = put(128, 128, 3);
    (void)state;
    for (uint32_t i = 128; i < end; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1U << bit);
            enum frame_state s = frame_read(&seg, 128, 0, 3, &f);
            if (i < end - 5) /* 7 bytes of payload are padded by 5 */
                assert_int_equal(s, FRAME_DAMAGED);
            else
                assert_int_equal(s, FRAME_PADDED);
            bytes[i] ^= (uint8_t)(1U << bit);
        }
    }
}

static void a_batch_that_cannot_be_is_refused(void **state)
{
    struct frame f;
    uint32_t second = put(128, 128, 0);
    (void)state;
    (void)put(second, 136, 1);
    assert_int_equal(frame_read(&seg, second, 128, 1, &f), FRAME_BATCH);
    (void)put(128, 64, 0);
    assert_int_equal(frame_read(&seg, 128, 0, 0, &f), FRAME_BATCH);
}

static void damage_before_a_later_batch_is_told_from_a_torn_batch(void **state)
{
    uint32_t a = put(128, 128, 0), b = put(a, 128, 1), c = put(b, b, 2);
    (void)state;
    (void)c;
    bytes[a + 14] ^= 1;
    assert_true(frame_later(&seg, a));  /* the batch at b was written after it */
    assert_false(frame_later(&seg, b)); /* nothing after b */
    memset(bytes + b, 0, 64);
    assert_false(frame_later(&seg, a));
    (void)put(b, 128, 2); /* same batch: one write, so it may be torn */
    assert_false(frame_later(&seg, 128));
}

static void a_length_over_the_end_is_damage(void **state)
{
    struct frame f;
    (void)state;
    bytes[sizeof bytes - 8 + 3] = 200;
    assert_int_equal(frame_read(&seg, sizeof bytes - 8, 128, 0, &f), FRAME_DAMAGED);
    bytes[130] = 0xff;
    assert_int_equal(frame_read(&seg, 128, 0, 0, &f), FRAME_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_number_segments),
        cmocka_unit_test(header_round_trips_and_refuses_every_flipped_byte),
        cmocka_unit_test_setup(frames_are_read_as_written, fresh),
        cmocka_unit_test_setup(every_flipped_byte_of_a_frame_is_seen, fresh),
        cmocka_unit_test_setup(a_batch_that_cannot_be_is_refused, fresh),
        cmocka_unit_test_setup(damage_before_a_later_batch_is_told_from_a_torn_batch, fresh),
        cmocka_unit_test_setup(a_length_over_the_end_is_damage, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
