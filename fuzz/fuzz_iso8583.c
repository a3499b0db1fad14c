/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ISO 8583 messages. First byte: which profile; the rest: the message. What is accepted packs to
 * the same bytes, and the walk to the MAC agrees with the decoder.
 */
#include <doorpay/iso8583.h>

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* What is masked decodes, keeps its length, and holds no digits of a PAN's middle. */
static void masked(const struct dp_iso8583_layout *layout, const struct dp_iso8583_message *m,
                   const uint8_t *data, size_t n)
{
    static struct dp_iso8583_message again;
    uint8_t out[DP_ISO8583_MESSAGE_MAX];
    struct dp_bytes pan = dp_iso8583_get(m, 2), shown;
    must(dp_iso8583_mask(layout, data, n, out) == DP_OK);
    must(dp_iso8583_unpack(layout, out, n, &again, NULL) == DP_OK);
    shown = dp_iso8583_get(&again, 2);
    must(shown.n == pan.n);
    if (pan.n > 4)
        must(memcmp(shown.p, pan.p, pan.n) != 0);
}

static void inside(const struct dp_iso8583_message *m)
{
    struct dp_iso8583_original original;
    struct dp_bytes de48 = dp_iso8583_get(m, 48), value;
    struct dp_bytes de55 = dp_iso8583_get(m, 55);
    uint32_t emv_tag;
    uint8_t tag;
    size_t at = 0, emv_at = 0;
    while (de55.n > 0 && dp_iso8583_emv_next(de55, &emv_at, &emv_tag, &value) == DP_OK)
        must(emv_at <= de55.n && value.n <= de55.n);
    if (dp_iso8583_get_original(m, &original) == DP_OK)
        must(strlen(original.acquirer) <= 11 && original.stan <= 999999);
    while (de48.n > 0 && dp_iso8583_tag_next(de48, &at, &tag, &value) == DP_OK)
        must(at <= de48.n && value.n <= 255);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dp_iso8583_message m;
    struct dp_iso8583_error error = {0};
    struct dp_iso8583_mac mac;
    const struct dp_iso8583_layout *layout;
    uint8_t again[DP_ISO8583_MESSAGE_MAX];
    size_t n, again_n;
    int err, found;
    if (size < 1)
        return 0;
    layout = dp_iso8583_profile_at(data[0] % 3);
    data++;
    n = size - 1;
    err = dp_iso8583_unpack(layout, data, n, &m, &error);
    found = dp_iso8583_find_mac(layout, data, n, 8, &mac);
    if (err != DP_OK) {
        must(error.words[0] != '\0');
        return 0;
    }
    must(dp_iso8583_pack(layout, &m, 0, again, sizeof again, &again_n, NULL) == DP_OK);
    must(again_n == n && memcmp(again, data, n) == 0);
    if (found == DP_OK)
        must(mac.mac.p == data + n - 8 && mac.covered.n == n - 8);
    inside(&m);
    masked(layout, &m, data, n);
    return 0;
}
