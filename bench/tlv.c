/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlv [ROUNDS]: what reading a card's records as BER-TLV costs beside what any reader pays: raw_ns
 * touches each byte once; walk_ns visits every element, templates opened (dp_tlv_walk_next);
 * find_ns looks for an element at the end of a record (dp_tlv_find).
 */
#include <stdlib.h>
#include <string.h>

#include <doorpay/tlv.h>

#include "measure.h"

#define RECORDS 8
#define CALLS   2000

struct bench {
    uint8_t data[2048];
    size_t n;
    struct dp_bytes record[RECORDS]; /* the elements of each */
};

static volatile uint32_t sink;

static void put(uint8_t *out, size_t max, size_t *n, uint32_t tag, const void *value,
                size_t value_n)
{
    if (dp_tlv_put(out, max, n, tag, value, value_n) != DP_OK)
        abort();
}

/* Records as a card has them: small elements, lists, one certificate in each. */
static void make(struct bench *b)
{
    static const uint32_t small[] = {0x5F24, 0x5F25, 0x5F28, 0x5F34,
                                     0x9F07, 0x9F08, 0x9F0D, 0x9F0E};
    uint8_t inside[240], value[144];
    memset(value, 0x41, sizeof value);
    for (unsigned r = 0; r < RECORDS; r++) {
        size_t n = 0;
        for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
            put(inside, sizeof inside, &n, small[i], value, 1 + i % 5);
        put(inside, sizeof inside, &n, 0x90, value, 128);
        put(inside, sizeof inside, &n, 0x8C, value, 21);
        put(b->data, sizeof b->data, &b->n, 0x70, inside, n);
    }
    size_t at = 0;
    for (unsigned r = 0; r < RECORDS; r++) {
        struct dp_tlv e;
        if (dp_tlv_next((struct dp_bytes){b->data, b->n}, &at, &e) != DP_OK)
            abort();
        b->record[r] = e.value;
    }
}

static void touch(void *ctx)
{
    const struct bench *b = ctx;
    const volatile uint8_t *p = b->data;
    uint32_t sum = 0;
    for (size_t i = 0; i < b->n; i++)
        sum += p[i];
    sink = sum;
}

static void walk(void *ctx)
{
    struct bench *b = ctx;
    struct dp_tlv_walk w;
    struct dp_tlv e;
    unsigned depth, elements = 0;
    int err;
    dp_tlv_walk_begin(&w, (struct dp_bytes){b->data, b->n});
    while ((err = dp_tlv_walk_next(&w, &e, &depth)) == DP_OK)
        elements++;
    if (err != DP_ERR_NOT_FOUND || elements != RECORDS * 11)
        abort();
    sink = elements;
}

static void find(void *ctx)
{
    struct bench *b = ctx;
    struct dp_bytes value;
    for (unsigned r = 0; r < RECORDS; r++) {
        if (dp_tlv_find(b->record[r], 0x8C, &value) != DP_OK || value.n != 21)
            abort();
        sink = value.p[0];
    }
}

int main(int argc, char **argv)
{
    static const struct measure_part parts[] = {{"raw", touch}, {"walk", walk}, {"find", find}};
    static struct bench b;
    make(&b);
    return measure_turns("tlv", parts, 3, &b, b.n, measure_rounds(argc, argv, 200), CALLS);
}
