/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal [DIR] [N]: what a durable record costs beside what the disk asks for the same bytes.
 * JSON: raw_us, one write in place of a record's size into a preallocated file and fdatasync;
 * flush_us, dp_journal_append and dp_journal_flush of one record; checkpoint_us, the same and
 * bound: anchor in a soft: token in DIR, which flushes files of its own, and signature. Each the
 * median of N; ratio is flush_us by raw_us in percent. The three take turns, so that a slow disk is
 * slow for all.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <doorpay/journal.h>

#include "measure.h"

#define N_DEFAULT    200
#define N_MAX        2000
#define RECORD_BYTES 360 /* a frame of the record below */
#define FILE_BYTES   (N_MAX * 512)

struct bench {
    char dir[256];
    int file;
    struct dp_journal *j;
    struct dp_hsm *hsm;
    struct dp_store store;
    unsigned n;
    int64_t raw[N_MAX], flush[N_MAX], checkpoint[N_MAX];
};

static int64_t now_us(void)
{
    return measure_now_ns() / 1000;
}

static bool begin(struct bench *b)
{
    static const char zeros[4096];
    struct dp_journal_config c;
    struct dp_journal_opened opened;
    char path[320];
    (void)snprintf(path, sizeof path, "%s/raw", b->dir);
    b->file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    for (int at = 0; b->file >= 0 && at < FILE_BYTES; at += (int)sizeof zeros)
        if (pwrite(b->file, zeros, sizeof zeros, at) != (ssize_t)sizeof zeros)
            return false;
    if (b->file < 0 || fsync(b->file) != 0)
        return false;
    (void)snprintf(path, sizeof path, "%s/journals", b->dir);
    memset(&c, 0, sizeof c);
    if (mkdir(path, 0700) != 0 || dp_store_fs_open(path, &b->store) != DP_OK)
        return false;
    (void)snprintf(path, sizeof path, "soft:%s/token", b->dir);
    if (dp_hsm_provision(path) != DP_OK || dp_hsm_open(path, &b->hsm) != DP_OK)
        return false;
    c.store = b->store;
    c.hsm = b->hsm;
    c.clock = dp_clock_system();
    c.random = dp_random_system();
    return dp_journal_open(&c, NULL, NULL, &opened, &b->j) == DP_OK;
}

static bool append(struct bench *b, uint32_t i)
{
    struct dp_record r;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_EVIDENCE;
    r.has_tx = true;
    memcpy(r.tx, &i, sizeof i);
    memcpy(r.tid, "T0000001", 9);
    memcpy(r.parcel, "RR123456785DE", 14);
    memset(r.text, 'x', 100);
    r.has_digest = r.has_fingerprint = true;
    return dp_journal_append(b->j, &r) == DP_OK;
}

static bool round_of(struct bench *b, unsigned i)
{
    static const char record[RECORD_BYTES] = {1};
    int64_t start = now_us();
    if (pwrite(b->file, record, sizeof record, (off_t)i * (off_t)sizeof record) < 0 ||
        fdatasync(b->file) != 0)
        return false;
    b->raw[i] = now_us() - start;
    start = now_us();
    if (!append(b, i) || dp_journal_flush(b->j) != DP_OK)
        return false;
    b->flush[i] = now_us() - start;
    start = now_us();
    if (!append(b, i) || dp_journal_checkpoint(b->j) != DP_OK)
        return false;
    b->checkpoint[i] = now_us() - start;
    return dp_journal_flush(b->j) == DP_OK; /* the signature, in nobody's time */
}

static void end(struct bench *b)
{
    char command[320];
    dp_journal_free(&b->j);
    dp_hsm_free(&b->hsm);
    dp_store_fs_free(&b->store);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", b->dir);
    if (system(command) != 0)
        (void)fprintf(stderr, "journal: %s is left behind\n", b->dir);
}

int main(int argc, char **argv)
{
    static struct bench b;
    const char *tmp = getenv("TMPDIR");
    bool good;
    b.n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : N_DEFAULT;
    (void)snprintf(b.dir, sizeof b.dir, "%s/dp-bench-XXXXXX",
                   argc > 1      ? argv[1]
                   : tmp != NULL ? tmp
                                 : "/tmp");
    if (b.n < 1 || b.n > N_MAX || mkdtemp(b.dir) == NULL) {
        (void)fprintf(stderr, "usage: journal [DIR] [N], N at most %d\n", N_MAX);
        return 2;
    }
    good = begin(&b);
    for (unsigned i = 0; good && i < b.n; i++)
        good = round_of(&b, i);
    end(&b);
    if (!good) {
        (void)fprintf(stderr, "journal: the measurement failed\n");
        return 1;
    }
    int64_t raw = measure_median(b.raw, b.n), flush = measure_median(b.flush, b.n);
    (void)printf("{\"bench\": \"journal\", \"n\": %u, \"raw_us\": %lld, \"flush_us\": %lld, "
                 "\"ratio_percent\": %lld, \"checkpoint_us\": %lld}\n",
                 b.n, (long long)raw, (long long)flush,
                 (long long)(raw > 0 ? flush * 100 / raw : 0),
                 (long long)measure_median(b.checkpoint, b.n));
    return 0;
}
