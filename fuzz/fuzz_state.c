/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a snapshot keeps for the payment room and for the acquirer's conversation. First byte: 0 a
 * payment of the index; 1 the conversation's table. What is taken is written again as it was, and
 * the conversation answers.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/acquirer.h>

#include "base/assert.h"
#include "payment/machine.h"

#define TABLE_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t now_ms(void *ctx)
{
    (void)ctx;
    return 1790000000000;
}

static enum dp_clock_quality quality(void *ctx)
{
    (void)ctx;
    return DP_CLOCK_SYNCED;
}

static int fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    memset(p, 7, n);
    return DP_OK;
}

static void one_payment(const uint8_t *p, size_t n)
{
    struct dp_reader r;
    struct dp_writer w;
    struct entry e;
    uint8_t again[ENTRY_BYTES_MAX];
    dp_reader_init(&r, p, n);
    entry_read(&r, &e);
    if (dp_reader_finish(&r) != DP_OK)
        return;
    dp_writer_init(&w, again, sizeof again);
    entry_write(&w, &e);
    DP_ASSERT(w.err == DP_OK && w.n == n && memcmp(again, p, n) == 0);
    DP_ASSERT(strlen(e.sale_tx) < sizeof e.sale_tx && e.aid_n <= sizeof e.aid);
}

static struct dp_acquirer *make(void)
{
    static const struct dp_clock clock = {NULL, now_ms, now_ms, quality};
    static const struct dp_random random = {NULL, fill};
    static uint8_t token; /* nothing is asked of it here */
    struct dp_acquirer_config c;
    struct dp_acquirer *a = NULL;
    int err;
    memset(&c, 0, sizeof c);
    memcpy(c.tid, "T0000001", 9);
    memcpy(c.mid, "M00000000000001", 16);
    c.currency = 978;
    c.exponent = 2;
    c.mac_len = 8;
    c.retry_first_ms = c.retry_max_ms = 1000;
    c.hsm = (struct dp_hsm *)(void *)&token;
    c.clock = &clock;
    c.random = &random;
    err = dp_acquirer_new(&c, &a);
    DP_ASSERT(err == DP_OK);
    return a;
}

static size_t save(struct dp_acquirer *a, uint8_t out[TABLE_MAX])
{
    size_t n = 0;
    int err = dp_acquirer_save(a, out, TABLE_MAX, &n);
    return err == DP_OK ? n : 0;
}

static void table(const uint8_t *p, size_t n)
{
    static uint8_t once[TABLE_MAX], twice[TABLE_MAX];
    struct dp_acquirer *a = make(), *b = NULL;
    struct dp_acquirer_job job;
    struct dp_acquirer_unsent unsent;
    int64_t wait = 0;
    size_t once_n, twice_n;
    if (dp_acquirer_restore(a, p, n) == DP_OK && (once_n = save(a, once)) > 0) {
        b = make();
        DP_ASSERT(once_n <= n && dp_acquirer_restore(b, once, once_n) == DP_OK);
        twice_n = save(b, twice);
        DP_ASSERT(twice_n == once_n && memcmp(once, twice, once_n) == 0);
        dp_acquirer_unsent(b, &unsent);
        dp_acquirer_next(b, 0, &job, &wait);
        DP_ASSERT(job.kind == DP_ACQUIRER_JOB_NONE || unsent.n > 0);
    }
    dp_acquirer_free(&b);
    dp_acquirer_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        one_payment(data + 1, size - 1);
    else
        table(data + 1, size - 1);
    return 0;
}
