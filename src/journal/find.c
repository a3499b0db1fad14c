/* SPDX-License-Identifier: Apache-2.0 */
/* Where a journal is, and what its files are called: docs/PROTOCOL.journal, 1. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#include "archive.h"
#include "scan.h"

const char *journal_path(const char *dir, const char *name, char out[DP_JOURNAL_NAME_MAX])
{
    int n = snprintf(out, DP_JOURNAL_NAME_MAX, "%s/%s", dir, name);
    DP_ASSERT(n > 0 && n < DP_JOURNAL_NAME_MAX);
    return out;
}

void journal_dir_name(const uint8_t id[16], char out[33])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < 16; i++) {
        out[2 * i] = digits[id[i] >> 4];
        out[2 * i + 1] = digits[id[i] & 15];
    }
    out[32] = '\0';
}

struct found_dirs {
    char dir[33];
    unsigned journals, segments;
};

static void see_name(void *user, const char *name)
{
    struct found_dirs *f = user;
    f->segments += segment_any_number(name) != 0;
    if (strlen(name) != 32 || strspn(name, "0123456789abcdef") != 32)
        return;
    f->journals++;
    memcpy(f->dir, name, sizeof f->dir);
}

int journal_find(const struct dp_store *store, char dir[JOURNAL_DIR_MAX])
{
    struct found_dirs f = {"", 0, 0};
    int err = store->ops->list(store->ctx, ".", see_name, &f);
    if (err != DP_OK)
        return err;
    if (f.segments == 0 && f.journals != 1)
        return f.journals == 0 ? DP_ERR_NOT_FOUND : DP_ERR_DUPLICATE;
    memcpy(dir, f.segments > 0 ? "." : f.dir, f.segments > 0 ? 2 : sizeof f.dir);
    return DP_OK;
}
