/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"

#include <doorpay/journal.h>

bool batch_owes_for(uint64_t type)
{
    return type != DP_RECORD_INTENT && type != DP_RECORD_RECOVERY && type != DP_RECORD_VOID;
}

/* Is the signature its batch's: behind its one CHECKPOINT, and nothing behind it? */
struct form {
    bool owing, signs, behind_checkpoint;
    unsigned checkpoints, signatures;
};

static void form_see(struct form *b, const struct frame *f)
{
    b->owing |= !f->signature && batch_owes_for(f->type);
    b->signs = f->signature && b->behind_checkpoint;
    b->behind_checkpoint = !f->signature && f->type == DP_RECORD_CHECKPOINT;
    b->checkpoints += b->behind_checkpoint;
    b->signatures += f->signature;
}

enum frame_state batch_walk(const struct segment *s, uint32_t offset, uint64_t expected,
                            struct batch *b)
{
    struct form form = {false, false, false, 0, 0};
    uint32_t before = 0;
    struct frame f;
    enum frame_state state;
    b->offset = offset;
    for (b->end = offset;; b->end = f.next) {
        state = frame_read(s, b->end, before, expected, &f);
        if (state != FRAME_GOOD || (b->end != offset && f.batch != offset))
            break;
        form_see(&form, &f);
        expected += f.signature ? 0 : 1;
        before = offset;
    }
    b->owes = form.owing && !(form.signs && form.checkpoints == 1 && form.signatures == 1);
    return state;
}
