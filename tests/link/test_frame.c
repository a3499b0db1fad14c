/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "link/frame.h"

static struct frame_in f;

static int begin(void **state)
{
    memset(&f, 0, sizeof f);
    return 0;
}

/* Feeds p in pieces of so many bytes; the messages one after the other into out. */
static size_t feed(const uint8_t *p, size_t n, size_t piece, uint8_t *out, int *frames)
{
    size_t out_n = 0;
    *frames = 0;
    while (n > 0) {
        size_t given = n < piece ? n : piece, used = 0;
        struct dp_bytes message;
        assert_int_equal(frame_take(&f, p, given, &used, &message), DP_OK);
        assert_true(used <= given && used > 0);
        if (message.n > 0) {
            memcpy(out + out_n, message.p, message.n);
            out_n += message.n;
            ++*frames;
        }
        p += used;
        n -= used;
    }
    return out_n;
}

static void frames_are_the_same_in_any_pieces(void **state)
{
    static const uint8_t wire[] = {0, 1, 'a', 0, 3, 'b', 'c', 'd', 0, 2, 'e', 'f'};
    uint8_t out[16];
    int frames;
    for (size_t piece = 1; piece <= sizeof wire; piece++) {
        assert_int_equal(feed(wire, sizeof wire, piece, out, &frames), 6);
        assert_int_equal(frames, 3);
        assert_memory_equal(out, "abcdef", 6);
        assert_false(frame_is_open(&f));
    }
}

static void the_longest_frame_passes_and_one_more_byte_does_not(void **state)
{
    static uint8_t wire[2 + DP_LINK_FRAME_MAX] = {DP_LINK_FRAME_MAX >> 8, DP_LINK_FRAME_MAX & 0xFF};
    static uint8_t out[DP_LINK_FRAME_MAX];
    static const uint8_t more[2] = {(DP_LINK_FRAME_MAX + 1) >> 8, (DP_LINK_FRAME_MAX + 1) & 0xFF};
    struct dp_bytes message;
    size_t used;
    int frames;
    assert_int_equal(feed(wire, sizeof wire, 1000, out, &frames), DP_LINK_FRAME_MAX);
    assert_int_equal(frames, 1);
    assert_int_equal(frame_take(&f, more, 2, &used, &message), DP_ERR_RANGE);
}

static void an_empty_frame_is_refused_as_soon_as_its_length_is_there(void **state)
{
    static const uint8_t zero[2] = {0, 0};
    struct dp_bytes message;
    size_t used;
    assert_int_equal(frame_take(&f, zero, 1, &used, &message), DP_OK);
    assert_true(frame_is_open(&f));
    assert_int_equal(frame_take(&f, zero + 1, 1, &used, &message), DP_ERR_RANGE);
    assert_int_equal(message.n, 0);
}

static void a_frame_is_open_from_its_first_byte_to_its_last(void **state)
{
    static const uint8_t wire[] = {0, 2, 'a', 'b'};
    struct dp_bytes message;
    size_t used;
    assert_false(frame_is_open(&f));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(frame_take(&f, wire + i, 1, &used, &message), DP_OK);
        assert_int_equal(message.n, 0);
        assert_true(frame_is_open(&f));
    }
    assert_int_equal(frame_take(&f, wire + 3, 1, &used, &message), DP_OK);
    assert_int_equal(message.n, 2);
    assert_false(frame_is_open(&f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(frames_are_the_same_in_any_pieces, begin),
        cmocka_unit_test_setup(the_longest_frame_passes_and_one_more_byte_does_not, begin),
        cmocka_unit_test_setup(an_empty_frame_is_refused_as_soon_as_its_length_is_there, begin),
        cmocka_unit_test_setup(a_frame_is_open_from_its_first_byte_to_its_last, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
