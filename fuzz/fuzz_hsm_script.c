/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated token's script: what is accepted is within its bounds, what is refused is nothing. */
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "hsm/sim_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sim_script s, again;
    unsigned line = 0, line_again = 0;
    int err = sim_script_parse((const char *)data, size, &s, &line);
    DP_ASSERT(line >= 1 && line <= size + 1);
    DP_ASSERT(err == DP_OK || s.n == 0);
    for (unsigned i = 0; i < s.n; i++) {
        const struct sim_fault *f = &s.faults[i];
        DP_ASSERT(f->op >= 0 && f->op <= SIM_ANY && f->n >= 1);
        DP_ASSERT(f->kind >= SIM_LATENCY && f->kind <= SIM_WEAR);
        DP_ASSERT((f->ms > 0) == (f->kind == SIM_LATENCY));
    }
    DP_ASSERT(sim_script_parse((const char *)data, size, &again, &line_again) == err);
    DP_ASSERT(line == line_again && memcmp(&s, &again, sizeof s) == 0);
    return 0;
}
