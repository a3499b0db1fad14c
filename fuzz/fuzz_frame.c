/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames from the wire. First byte: into pieces of how many bytes it is cut; the rest is the wire.
 * What comes out does not depend on the pieces, and written again it is what came in.
 */
#include <string.h>

#include "base/assert.h"
#include "link/frame.h"

#define OUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The frames of p as they would be written; where the reader stopped in *done. */
static size_t run(const uint8_t *p, size_t n, size_t piece, uint8_t *out, size_t *done)
{
    static struct frame_in f;
    size_t out_n = 0;
    memset(&f, 0, sizeof f);
    *done = 0;
    while (*done < n) {
        size_t given = n - *done < piece ? n - *done : piece, used = 0;
        struct dp_bytes message;
        if (frame_take(&f, p + *done, given, &used, &message) < 0)
            break;
        DP_ASSERT(used > 0 && used <= given);
        *done += used;
        if (message.n == 0)
            continue;
        DP_ASSERT(message.n <= DP_LINK_FRAME_MAX && !frame_is_open(&f));
        DP_ASSERT(out_n + 2 + message.n <= OUT_MAX);
        out[out_n++] = (uint8_t)(message.n >> 8);
        out[out_n++] = (uint8_t)message.n;
        memcpy(out + out_n, message.p, message.n);
        out_n += message.n;
    }
    return out_n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t whole[OUT_MAX], pieces[OUT_MAX];
    size_t whole_done, pieces_done, whole_n, pieces_n;
    if (size < 1 || size - 1 > OUT_MAX)
        return 0;
    whole_n = run(data + 1, size - 1, SIZE_MAX, whole, &whole_done);
    pieces_n = run(data + 1, size - 1, 1U + data[0], pieces, &pieces_done);
    DP_ASSERT(whole_n == pieces_n && memcmp(whole, pieces, whole_n) == 0);
    DP_ASSERT(whole_n <= whole_done && memcmp(whole, data + 1, whole_n) == 0);
    return 0;
}
