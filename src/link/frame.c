/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <string.h>

#include "base/assert.h"

/* 0 until the length is there. */
static size_t wanted(const struct frame_in *f)
{
    return f->n < FRAME_HEAD ? 0 : FRAME_HEAD + ((size_t)f->bytes[0] << 8 | f->bytes[1]);
}

static size_t copy(struct frame_in *f, const uint8_t *p, size_t n, size_t upto)
{
    size_t take = n < upto - f->n ? n : upto - f->n;
    DP_ASSERT(upto <= sizeof f->bytes && f->n + take <= upto);
    if (take > 0)
        memcpy(f->bytes + f->n, p, take);
    f->n += take;
    return take;
}

int frame_take(struct frame_in *f, const uint8_t *p, size_t n, size_t *used,
               struct dp_bytes *message)
{
    *message = (struct dp_bytes){NULL, 0};
    *used = 0;
    if (f->n > FRAME_HEAD && f->n == wanted(f))
        f->n = 0; /* the last one was handed out */
    if (f->n < FRAME_HEAD)
        *used = copy(f, p, n, FRAME_HEAD);
    if (f->n < FRAME_HEAD)
        return DP_OK;
    if (wanted(f) == FRAME_HEAD || wanted(f) > sizeof f->bytes)
        return DP_ERR_RANGE;
    *used += copy(f, p + *used, n - *used, wanted(f));
    if (f->n == wanted(f))
        *message = (struct dp_bytes){f->bytes + FRAME_HEAD, f->n - FRAME_HEAD};
    return DP_OK;
}

bool frame_is_open(const struct frame_in *f)
{
    return f->n > 0 && f->n != wanted(f);
}
