/* SPDX-License-Identifier: Apache-2.0 */
/* Layout files: what loads exports to a text that loads to the same table. */
#include <doorpay/iso8583.h>

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dp_iso8583_layout layout, again;
    static char text[TEXT_MAX];
    struct dp_iso8583_error error = {0};
    size_t n;
    if (dp_iso8583_layout_load((const char *)data, size, &layout, &error) != DP_OK) {
        must(error.words[0] != '\0');
        return 0;
    }
    must(dp_iso8583_layout_text(&layout, text, sizeof text, &n) == DP_OK);
    must(dp_iso8583_layout_load(text, n, &again, NULL) == DP_OK);
    must(memcmp(&layout, &again, sizeof layout) == 0);
    return 0;
}
