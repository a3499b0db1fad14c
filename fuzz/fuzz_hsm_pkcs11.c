/* SPDX-License-Identifier: Apache-2.0 */
/* What a PKCS #11 token's data object holds: what is accepted is written again as the same bytes.
 */
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "hsm/dukpt.h"
#include "hsm/pkcs11_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pkcs11_state s;
    uint8_t again[PKCS11_STATE_BYTES_MAX];
    int err = pkcs11_state_decode(data, size, &s);
    if (err != DP_OK) {
        DP_ASSERT(s.sequence == 0 && !s.dukpt_loaded); /* nothing is left to be used */
        return 0;
    }
    DP_ASSERT(s.sequence > 0);
    DP_ASSERT(!s.dukpt_loaded || s.dukpt_counter == 0 || dukpt_counter_ok(s.dukpt_counter));
    DP_ASSERT(pkcs11_state_encode(&s, again) == size && memcmp(again, data, size) == 0);
    return 0;
}
