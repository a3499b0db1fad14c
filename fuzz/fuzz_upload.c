/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes with a journal that was uploaded. First byte: 0 an archived segment; 1 the collector's
 * acknowledgement; 2 anything as a segment, which must come back out of its archive. What verifies
 * by the seeds' collector is the seeds' acknowledgement.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "base/limits.h"
#include "journal/ack.h"
#include "journal/archive.h"

#include "upload_seed.h" /* seed_collector, seed_journal */

#define CANARY 0xC5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t segment[DP_JOURNAL_SEGMENT_BYTES + 16], again[DP_JOURNAL_SEGMENT_BYTES],
    packed[DP_JOURNAL_ARCHIVE_BYTES];

static void comes_back(size_t n)
{
    size_t packed_n = 0, got = 0;
    DP_ASSERT(archive_pack(segment, n, packed, sizeof packed, &packed_n) == DP_OK);
    DP_ASSERT(archive_unpack(packed, packed_n, again, sizeof again, &got) == DP_OK);
    DP_ASSERT(got == n && memcmp(again, segment, n) == 0);
}

static void unpack(const uint8_t *p, size_t n)
{
    size_t got = 0, other = 0;
    int err;
    memset(segment + DP_JOURNAL_SEGMENT_BYTES, CANARY, 16);
    err = archive_unpack(p, n, segment, DP_JOURNAL_SEGMENT_BYTES, &got);
    for (size_t i = 0; i < 16; i++)
        DP_ASSERT(segment[DP_JOURNAL_SEGMENT_BYTES + i] == CANARY);
    DP_ASSERT((err == DP_OK) == (got != 0));
    if (err != DP_OK)
        return;
    DP_ASSERT(got >= DP_JOURNAL_SEGMENT_MIN && got <= DP_JOURNAL_SEGMENT_BYTES);
    DP_ASSERT(archive_unpack(p, n, again, got, &other) == DP_OK && other == got);
    DP_ASSERT(archive_unpack(p, n - 1, again, sizeof again, &other) != DP_OK);
    if (got <= 65536)
        comes_back(got);
}

static void acknowledgement(const uint8_t *p, size_t n)
{
    struct ack a;
    int err = ack_read(p, n, &a), verified = ack_verify(p, n, seed_collector);
    if (err != DP_OK)
        return;
    DP_ASSERT(a.size >= 1 && a.size <= INT64_MAX && a.wall_ms <= INT64_MAX);
    DP_ASSERT(a.server[0] != '\0' && memchr(a.server, '\0', sizeof a.server) != NULL);
    for (const char *s = a.server; *s != '\0'; s++)
        DP_ASSERT(*s >= ' ' && *s <= '~');
    if (verified == DP_OK)
        DP_ASSERT(a.size == seed_size && memcmp(a.journal, seed_journal, sizeof a.journal) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || psa_crypto_init() != PSA_SUCCESS)
        return 0;
    if (data[0] % 3 == 0) {
        unpack(data + 1, size - 1);
    } else if (data[0] % 3 == 1) {
        acknowledgement(data + 1, size - 1);
    } else {
        memset(segment, 0, DP_JOURNAL_SEGMENT_MIN);
        memcpy(segment, data + 1,
               size - 1 < DP_JOURNAL_SEGMENT_MIN ? size - 1 : DP_JOURNAL_SEGMENT_MIN);
        comes_back(DP_JOURNAL_SEGMENT_MIN);
    }
    return 0;
}
