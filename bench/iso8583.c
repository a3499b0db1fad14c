/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iso8583 [ROUNDS]: what a financial request of iso93-pos costs beside what any codec pays: raw_ns
 * touches each byte of the message once; pack_ns and unpack_ns are the codec's, find_mac_ns the
 * walk to the MAC that goes before anything is decoded, mask_ns what a logged message costs.
 */
#include <stdlib.h>
#include <string.h>

#include <doorpay/iso8583.h>

#include "measure.h"

#define CALLS 2000
#define MAC_N 8

struct bench {
    const struct dp_iso8583_layout *layout;
    struct dp_iso8583_message m, got;
    uint8_t packed[1024], out[1024];
    size_t n;
};

static volatile uint32_t sink;

static void make(struct bench *b)
{
    static const uint8_t emv[160] = {0x9F, 0x26, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0x9F, 0x10, 145};
    static const uint8_t ksn[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    static const uint8_t tagged[] = {DP_DE48_PARCEL, 4, 'P', '-', '0', '1'};
    b->layout = dp_iso8583_profile("iso93-pos");
    if (b->layout == NULL)
        abort();
    dp_iso8583_init(&b->m, 1200);
    dp_iso8583_set_text(&b->m, 3, "000000");
    dp_iso8583_set_number(&b->m, 4, 2350, 12);
    dp_iso8583_set_text(&b->m, 7, "1124201039");
    dp_iso8583_set_number(&b->m, 11, 42, 6);
    dp_iso8583_set_text(&b->m, 12, "261124211039");
    dp_iso8583_set_text(&b->m, 22, "51010151134C");
    dp_iso8583_set_text(&b->m, 24, "200");
    dp_iso8583_set_text(&b->m, 37, "632820000002");
    dp_iso8583_set_text(&b->m, 41, "DP000001");
    dp_iso8583_set_text(&b->m, 42, "DOORPAYTEST0001");
    dp_iso8583_set(&b->m, 48, tagged, sizeof tagged);
    dp_iso8583_set_text(&b->m, 49, "978");
    dp_iso8583_set(&b->m, 53, ksn, sizeof ksn);
    dp_iso8583_set(&b->m, 55, emv, sizeof emv - 1);
    if (dp_iso8583_pack(b->layout, &b->m, MAC_N, b->packed, sizeof b->packed, &b->n, NULL) != DP_OK)
        abort();
}

static void touch(void *ctx)
{
    const struct bench *b = ctx;
    const volatile uint8_t *p = b->packed;
    uint32_t sum = 0;
    for (size_t i = 0; i < b->n; i++)
        sum += p[i];
    sink = sum;
}

static void pack(void *ctx)
{
    struct bench *b = ctx;
    size_t n;
    if (dp_iso8583_pack(b->layout, &b->m, MAC_N, b->out, sizeof b->out, &n, NULL) != DP_OK ||
        n != b->n)
        abort();
    sink = b->out[n - 1];
}

static void unpack(void *ctx)
{
    struct bench *b = ctx;
    if (dp_iso8583_unpack(b->layout, b->packed, b->n, &b->got, NULL) != DP_OK)
        abort();
    sink = b->got.mti;
}

static void find_mac(void *ctx)
{
    struct bench *b = ctx;
    struct dp_iso8583_mac mac;
    if (dp_iso8583_find_mac(b->layout, b->packed, b->n, MAC_N, &mac) != DP_OK || mac.ksn.n != 12)
        abort();
    sink = mac.mac.p[0];
}

static void mask(void *ctx)
{
    struct bench *b = ctx;
    if (dp_iso8583_mask(b->layout, b->packed, b->n, b->out) != DP_OK)
        abort();
    sink = b->out[b->n - 1];
}

int main(int argc, char **argv)
{
    static const struct measure_part parts[] = {
        {"raw", touch}, {"pack", pack}, {"unpack", unpack}, {"find_mac", find_mac}, {"mask", mask}};
    static struct bench b;
    make(&b);
    return measure_turns("iso8583", parts, 5, &b, b.n, measure_rounds(argc, argv, 200), CALLS);
}
