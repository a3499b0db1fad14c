/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"

#include <doorpay/journal.h>

struct form {
    bool signs, behind_checkpoint;
    unsigned checkpoints, signatures;
};

static void form_see(struct form *b, const struct frame *f)
{
    b->signs = f->signature && b->behind_checkpoint;
    b->behind_checkpoint = !f->signature && f->type == DP_RECORD_CHECKPOINT;
    b->checkpoints += b->behind_checkpoint;
    b->signatures += f->signature;
}

enum frame_state batch_walk(const struct segment *s, uint32_t offset, uint64_t expected,
                            batch_owes_for *owes_for, void *ctx, struct batch *b)
{
    struct form form = {false, false, 0, 0};
    bool owing = false;
    uint32_t before = 0;
    struct frame f;
    enum frame_state state;
    b->offset = offset;
    for (b->end = offset;; b->end = f.next) {
        state = frame_read(s, b->end, before, expected, &f);
        if (state != FRAME_GOOD || (b->end != offset && f.batch != offset))
            break;
        form_see(&form, &f);
        owing |= !f.signature && owes_for(ctx, &f);
        expected += f.signature ? 0 : 1;
        before = offset;
    }
    b->is_signed = form.signs && form.checkpoints == 1 && form.signatures == 1;
    b->owes = owing && !b->is_signed;
    return state;
}
