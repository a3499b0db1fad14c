/* SPDX-License-Identifier: Apache-2.0 */
/* A journal record: what is read is written again byte for byte, unless it had foreign keys. */
#include <stdint.h>
#include <string.h>

#include <doorpay/journal.h>

#include "base/assert.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dp_record r, back;
    static uint8_t again[DP_JOURNAL_RECORD_MAX];
    unsigned key = 0, most = 0;
    size_t n = 0;
    if (dp_record_decode(data, size, &r, &most) != DP_OK)
        return 0;
    DP_ASSERT(strlen(dp_record_type_name(r.type)) > 0);
    DP_ASSERT(dp_record_encode(&r, again, sizeof again, &n) == DP_OK);
    DP_ASSERT(n <= size);
    /* a key 5A of EMV data, a card number's, can stand first at the least */
    DP_ASSERT(r.emv_n == 0 || r.emv[0] != 0x5A);
    DP_ASSERT(dp_record_decode(again, n, &back, &key) == DP_OK);
    DP_ASSERT(memcmp(&r, &back, sizeof r) == 0);
    if (n == size)
        DP_ASSERT(memcmp(again, data, n) == 0);
    return 0;
}
