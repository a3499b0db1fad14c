/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot's file and the ledger in it. First byte: 0 the file as it is; 1 a ledger alone, and
 * behind it records (type, mode, transaction, STAN, original STAN, result: a byte each) that go on
 * from it. What is taken is written again as it was.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/reader.h"
#include "journal/ledger.h"
#include "journal/scan.h"
#include "journal/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_again(const struct ledger *l, struct dp_bytes saved)
{
    struct dp_writer w;
    uint8_t *again = malloc(saved.n + 1);
    DP_ASSERT(again != NULL && ledger_saved_bytes(l) == saved.n);
    dp_writer_init(&w, again, saved.n);
    ledger_save(l, &w);
    DP_ASSERT(w.err == DP_OK && memcmp(again, saved.p, saved.n) == 0);
    free(again);
}

static void whole(const uint8_t *p, size_t n)
{
    struct snapshot s;
    struct dp_bytes signature;
    struct ledger *l = NULL;
    struct dp_writer w;
    size_t signed_n = 0;
    uint8_t head[SNAPSHOT_HEAD_MAX];
    if (snapshot_read(p, n, &s, &signed_n, &signature) != DP_OK)
        return;
    DP_ASSERT(signed_n + 4 + signature.n == n);
    dp_writer_init(&w, head, sizeof head);
    snapshot_write_head(&s, &w);
    DP_ASSERT(w.err == DP_OK && w.n + s.ledger.n + s.owner.n == signed_n);
    DP_ASSERT(memcmp(head, p, w.n) == 0);
    DP_ASSERT(s.offset >= SEGMENT_HEADER_BYTES && s.offset % 8 == 0 && s.tree.size > s.last.seq);
    if (ledger_restore(s.ledger, &l) == DP_OK)
        same_again(l, s.ledger);
    ledger_free(&l);
}

static void see(struct ledger *l, struct dp_reader *r)
{
    static struct dp_record record;
    const char *why;
    memset(&record, 0, sizeof record);
    record.type = dp_read_u8(r) % 8;
    record.mode = dp_read_u8(r) % 7;
    record.tx[0] = dp_read_u8(r);
    record.stan = dp_read_u8(r);
    record.original.stan = dp_read_u8(r);
    record.result = dp_read_u8(r) % 5;
    record.has_tx = record.has_amount = true;
    if (record.type == DP_RECORD_REVERSAL && record.stan == 0)
        return; /* no record is decoded so */
    DP_ASSERT(ledger_see(l, &record, &why) == DP_OK);
}

static void alone(const uint8_t *p, size_t n)
{
    struct dp_reader r;
    struct dp_bytes saved;
    struct ledger *l = NULL;
    dp_reader_init(&r, p, n);
    saved = dp_read_bytes(&r, dp_read_u16(&r));
    if (r.err != DP_OK || ledger_restore(saved, &l) != DP_OK)
        return;
    same_again(l, saved);
    while (r.left >= 6)
        see(l, &r);
    ledger_free(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        whole(data + 1, size - 1);
    else
        alone(data + 1, size - 1);
    return 0;
}
