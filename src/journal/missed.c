/* SPDX-License-Identifier: Apache-2.0 */
#include "missed.h"

#include <string.h>

#include "base/assert.h"

void missed_begin(struct missed *m, const uint8_t from[HASH_BYTES], uint64_t from_size)
{
    memcpy(m->from, from, sizeof m->from);
    m->from_size = from_size;
    m->n = 0;
}

int missed_add(struct missed *m, const uint8_t digest[HASH_BYTES], uint64_t size)
{
    DP_ASSERT(size > m->from_size && m->n <= DP_JOURNAL_MISSED_MAX);
    if (m->n == DP_JOURNAL_MISSED_MAX)
        return DP_ERR_LIMIT;
    memcpy(m->digests[m->n], digest, HASH_BYTES);
    m->sizes[m->n] = size;
    m->n++;
    return DP_OK;
}

int missed_find(const struct missed *m, const uint8_t anchor[HASH_BYTES], uint32_t *at,
                uint64_t *size)
{
    uint8_t value[HASH_BYTES];
    memcpy(value, m->from, sizeof value);
    for (uint32_t i = 0;; i++) {
        int err;
        if (memcmp(value, anchor, sizeof value) == 0) {
            *at = i;
            if (size != NULL)
                *size = i == 0 ? m->from_size : m->sizes[i - 1];
            return DP_OK;
        }
        if (i == m->n)
            return DP_ERR_NOT_FOUND;
        err = hash_extend(value, m->digests[i], value);
        if (err != DP_OK)
            return err;
    }
}
