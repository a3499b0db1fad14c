/* SPDX-License-Identifier: Apache-2.0 */
/* A recorded conversation, for what it tells of its terminal: names and numbers of the lengths they
 * have, and no card number is left where it was found. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cli/recording.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pan(const struct recording *r, const char *pan)
{
    char text[64] = "5A08", *at;
    size_t n = strlen(pan);
    DP_ASSERT(n >= 8 && n <= 19 && strspn(pan, "0123456789") == n);
    memcpy(text + 4, pan, n);
    memcpy(text + 4 + n, "F9000", 6);
    recording_mask(r, text);
    at = strstr(text, pan);
    DP_ASSERT(n <= 10 || at == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct recording r;
    recording_read((const char *)data, size, &r);
    DP_ASSERT(r.names_n <= DP_EMV_AIDS_MAX && r.pans_n <= RECORDING_PANS_MAX);
    for (size_t i = 0; i < r.names_n; i++)
        DP_ASSERT(r.names[i].n >= 5 && r.names[i].n <= 16);
    for (size_t i = 0; i < r.pans_n; i++)
        check_pan(&r, r.pans[i]);
    DP_ASSERT(r.un.n == 0 || r.un.n == 4);
    DP_ASSERT(r.first_ac >= -1 && r.first_ac <= 255);
    DP_ASSERT(r.first_ac >= 0 || !r.second_ac);
    return 0;
}
