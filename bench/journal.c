/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal [DIR] [N [RECORDS]]: what the journal costs beside what its work costs bare. JSON, each
 * figure the median of N, baseline and ours in turns in one run, so that a slow disk is slow for
 * both; each percentage is ours by its baseline.
 *
 *   raw, flush        one write in place of a record's size into a preallocated file and fdatasync;
 *                     append and flush of one record (INTENT)
 *   pay_raw, pay      INTENT flushed, OUTCOME and CHECKPOINT flushed, anchor and signature by a
 *                     soft: token; bare: two writes of the same size in place, each with fdatasync,
 *                     a new state file of the token's size (written, flushed, renamed, its
 *                     directory flushed), SHA-256 over the same bytes, one P-256 signature
 *   verify_raw, verify   a journal of PAYMENTS such payments, verified; bare: SHA-256 of each
 *                     record, and one P-256 verification for each signature
 *   open, open_all    opening a journal of RECORDS from its snapshot, with a state of the owner's
 *                     of OWNER_BYTES a record; OPENINGS of them; open_cpu, the processor's time of
 *                     it. Everything read, once, to compare
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <psa/crypto.h>

#include <doorpay/journal.h>

#include "measure.h"

#define N_DEFAULT     200
#define N_MAX         2000
#define RECORDS_USUAL 2000
#define RECORDS_MAX   1000000
#define FILE_BYTES    (N_MAX * 4096)
#define PAYMENTS      16
#define OPENINGS      11
#define OWNER_BYTES   70 /* of the payment room's state, for each record */
#define BATCH         40 /* payments behind one checkpoint, in the journal that is opened */

enum figure {
    RAW,
    FLUSH,
    PAY_RAW,
    PAY,
    VERIFY_RAW,
    VERIFY,
    FIGURES
};

struct bench {
    char dir[256];
    int file, dir_fd;
    off_t at;
    struct dp_journal *j;
    struct dp_hsm *hsm;
    struct dp_store store, small_store;
    struct dp_journal_config config;
    psa_key_id_t key;
    size_t owner_n, state_n;
    size_t flushes[2]; /* bytes of a payment's two */
    unsigned flushes_n;
    uint32_t payment;
    unsigned n, records;
    int64_t took[FIGURES][N_MAX], opened[OPENINGS], opened_cpu[OPENINGS], all_us;
};

static int64_t now_us(void)
{
    return measure_now_ns() / 1000;
}

/* ---- the journal's side ---- */

static bool token_make(struct bench *b, const char *name)
{
    char path[320];
    dp_hsm_free(&b->hsm);
    (void)snprintf(path, sizeof path, "soft:%s/%s", b->dir, name);
    return dp_hsm_provision(path) == DP_OK && dp_hsm_open(path, &b->hsm) == DP_OK;
}

/* The store of the file system, with an eye on what is written. */
static struct bench *seen_by;
static struct dp_store_ops seeing;
static int (*write_to_file)(void *ctx, int file, uint64_t offset, const void *p, size_t n);

static int see_write(void *ctx, int file, uint64_t offset, const void *p, size_t n)
{
    seen_by->flushes[seen_by->flushes_n++ % 2] = n;
    return write_to_file(ctx, file, offset, p, n);
}

static bool journal_begin(struct bench *b, const char *name)
{
    struct dp_journal_opened opened;
    char path[320];
    (void)snprintf(path, sizeof path, "%s/%s", b->dir, name);
    memset(&b->config, 0, sizeof b->config);
    if (mkdir(path, 0700) != 0 || dp_store_fs_open(path, &b->store) != DP_OK)
        return false;
    seen_by = b;
    seeing = *b->store.ops;
    write_to_file = seeing.write_at;
    seeing.write_at = see_write;
    b->config.store = b->store;
    b->config.store.ops = &seeing;
    b->config.hsm = b->hsm;
    b->config.clock = dp_clock_system();
    b->config.random = dp_random_system();
    return dp_journal_open(&b->config, NULL, NULL, &opened, &b->j) == DP_OK;
}

static void name_record(struct dp_record *r, enum dp_record_type type, uint32_t i)
{
    memset(r, 0, sizeof *r);
    r->type = type;
    r->has_tx = true;
    memcpy(r->tx, &i, sizeof i);
    memcpy(r->tid, "T0000001", 9);
    memcpy(r->parcel, "RR123456785DE", 14);
    r->amount = (struct dp_money){1250, 978, 2};
    r->has_amount = true;
}

static bool intent(struct bench *b)
{
    struct dp_record r;
    name_record(&r, DP_RECORD_INTENT, ++b->payment);
    memcpy(r.sale_id, "SALE", 5);
    (void)snprintf(r.service_id, sizeof r.service_id, "%u", b->payment % 1000000000);
    r.has_fingerprint = true;
    return dp_journal_append(b->j, &r) == DP_OK;
}

static bool outcome(struct bench *b)
{
    struct dp_record r;
    name_record(&r, DP_RECORD_OUTCOME, b->payment);
    r.mode = DP_MODE_OFFLINE;
    r.stan = b->payment % 999999 + 1;
    r.mti = 1220;
    memcpy(r.rrn, "126012345678", 13);
    memset(r.emv, 0x5A, 130);
    r.emv[0] = 0x9F;
    r.emv[1] = 0x10;
    r.emv[2] = 0x7F;
    r.emv_n = 130;
    r.has_pan_commitment = r.has_fingerprint = true;
    return dp_journal_append(b->j, &r) == DP_OK;
}

static bool pay(struct bench *b)
{
    return intent(b) && dp_journal_flush(b->j) == DP_OK && outcome(b) &&
           dp_journal_checkpoint(b->j) == DP_OK;
}

/* ---- the bare side ---- */

static bool write_bare(struct bench *b, size_t n)
{
    static const char bytes[4096] = {1};
    bool good = pwrite(b->file, bytes, n, b->at) == (ssize_t)n && fdatasync(b->file) == 0;
    b->at = (b->at + (off_t)n) % (FILE_BYTES - (off_t)sizeof bytes);
    return good;
}

/* As a soft: token keeps its state. */
static bool state_bare(struct bench *b)
{
    static const char bytes[4096] = {1};
    int fd = openat(b->dir_fd, "new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, bytes, b->state_n) == (ssize_t)b->state_n && fsync(fd) == 0;
    if (fd >= 0)
        (void)close(fd);
    return good && renameat(b->dir_fd, "new", b->dir_fd, "bare") == 0 && fsync(b->dir_fd) == 0;
}

static bool hash_bare(size_t n)
{
    static const uint8_t bytes[4096] = {1};
    uint8_t digest[32];
    size_t got;
    return psa_hash_compute(PSA_ALG_SHA_256, bytes, n, digest, sizeof digest, &got) == PSA_SUCCESS;
}

static bool key_make(struct bench *b)
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&a, 256);
    psa_set_key_algorithm(&a, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_SIGN_HASH | PSA_KEY_USAGE_VERIFY_HASH);
    return psa_generate_key(&a, &b->key) == PSA_SUCCESS;
}

static bool sign_bare(const struct bench *b, uint8_t signature[64])
{
    static const uint8_t digest[32] = {1};
    size_t n;
    return psa_sign_hash(b->key, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, sizeof digest, signature,
                         64, &n) == PSA_SUCCESS;
}

static bool verify_bare(const struct bench *b, const uint8_t signature[64])
{
    static const uint8_t digest[32] = {1};
    return psa_verify_hash(b->key, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, sizeof digest, signature,
                           64) == PSA_SUCCESS;
}

/* The records of one payment: INTENT; OUTCOME and CHECKPOINT, of about one size with the signature
 * in their flush. */
static bool hash_payment(const struct bench *b)
{
    return hash_bare(b->flushes[0]) && hash_bare(b->flushes[1] / 3) && hash_bare(b->flushes[1] / 3);
}

static bool pay_bare(struct bench *b)
{
    uint8_t signature[64];
    return hash_payment(b) && write_bare(b, b->flushes[0]) && write_bare(b, b->flushes[1]) &&
           state_bare(b) && sign_bare(b, signature);
}

/* ---- in turns ---- */

static bool timed(struct bench *b, enum figure figure, unsigned i, bool (*run)(struct bench *b))
{
    int64_t start = now_us();
    bool good = run(b);
    b->took[figure][i] = now_us() - start;
    return good;
}

static bool raw(struct bench *b)
{
    return write_bare(b, b->flushes[0]);
}

static bool flush(struct bench *b)
{
    return intent(b) && dp_journal_flush(b->j) == DP_OK;
}

static bool verify(struct bench *b)
{
    struct dp_verify_result v;
    return dp_journal_verify(&b->small_store, NULL, NULL, NULL, &v) == DP_OK && v.rule == NULL &&
           v.signed_size > 0;
}

static bool verify_raw(struct bench *b)
{
    static uint8_t signature[64];
    static bool made;
    bool good = made || sign_bare(b, signature);
    made = good;
    for (unsigned i = 0; good && i < PAYMENTS; i++)
        good = hash_payment(b) && verify_bare(b, signature);
    /* OPEN, its checkpoint with a signature, and the epoch key's certificate */
    return good && hash_payment(b) && verify_bare(b, signature) && verify_bare(b, signature);
}

static bool round_of(struct bench *b, unsigned i)
{
    return timed(b, RAW, i, raw) && timed(b, FLUSH, i, flush) &&
           dp_journal_checkpoint(b->j) == DP_OK && /* one INTENT at a time stands without one */
           timed(b, PAY_RAW, i, pay_bare) && timed(b, PAY, i, pay) &&
           timed(b, VERIFY_RAW, i, verify_raw) && timed(b, VERIFY, i, verify);
}

/* ---- opening ---- */

static size_t owner_bytes(void *user)
{
    return ((struct bench *)user)->owner_n;
}

static int owner_save(void *user, uint8_t *out, size_t max, size_t *n)
{
    (void)max;
    *n = ((struct bench *)user)->owner_n;
    memset(out, 0x5A, *n);
    return DP_OK;
}

static int owner_restore(void *user, const uint8_t *p, size_t n)
{
    (void)p;
    return n == ((struct bench *)user)->owner_n ? DP_OK : DP_ERR_FORMAT;
}

static void see(void *user, const struct dp_record *r)
{
    (void)user;
    (void)r;
}

static int64_t cpu_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool reopen(struct bench *b, int64_t *took, int64_t *cpu, bool *resumed)
{
    struct dp_journal_opened opened;
    int64_t start;
    dp_journal_free(&b->j);
    *cpu = cpu_us();
    start = now_us();
    if (dp_journal_open(&b->config, see, b, &opened, &b->j) != DP_OK)
        return false;
    *took = now_us() - start;
    *cpu = cpu_us() - *cpu;
    *resumed = opened.resumed;
    return opened.records >= b->records;
}

static bool measure_opening(struct bench *b)
{
    static const struct dp_journal_state_ops ops = {owner_bytes, owner_save, owner_restore};
    bool good = token_make(b, "token-2") && journal_begin(b, "long"), resumed = false;
    int64_t cpu;
    for (unsigned n = 3; good && n < b->records; n += 2 * BATCH + 1) {
        for (unsigned i = 0; good && i < BATCH; i++)
            good = intent(b) && outcome(b);
        good = good && dp_journal_checkpoint(b->j) == DP_OK;
    }
    b->config.state = &ops;
    b->owner_n = (size_t)b->records * OWNER_BYTES;
    good = good && reopen(b, &b->all_us, &cpu, &resumed) && !resumed &&
           dp_journal_snapshot(b->j) == DP_OK;
    for (unsigned i = 0; good && i < OPENINGS; i++)
        good = reopen(b, &b->opened[i], &b->opened_cpu[i], &resumed) && resumed;
    return good;
}

/* ---- the run ---- */

static bool begin(struct bench *b)
{
    static const char zeros[4096];
    struct stat st;
    char path[320];
    b->dir_fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)snprintf(path, sizeof path, "%s/raw", b->dir);
    b->file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    for (int at = 0; b->file >= 0 && at < FILE_BYTES; at += (int)sizeof zeros)
        if (pwrite(b->file, zeros, sizeof zeros, at) != (ssize_t)sizeof zeros)
            return false;
    if (b->dir_fd < 0 || b->file < 0 || fsync(b->file) != 0 || psa_crypto_init() != PSA_SUCCESS ||
        !key_make(b))
        return false;
    /* the journal that is verified */
    if (!token_make(b, "token-0") || !journal_begin(b, "small"))
        return false;
    for (unsigned i = 0; i < PAYMENTS; i++)
        if (!pay(b))
            return false;
    dp_journal_free(&b->j);
    b->small_store = b->store;
    /* the one that is written, and how much it writes for a payment */
    if (!token_make(b, "token-1") || !journal_begin(b, "journals"))
        return false;
    (void)snprintf(path, sizeof path, "%s/token-1/state", b->dir);
    if (stat(path, &st) != 0 || st.st_size < 1 || st.st_size > 4096)
        return false;
    b->state_n = (size_t)st.st_size;
    b->flushes_n = 0;
    return pay(b) && b->flushes_n == 2;
}

static void end(struct bench *b)
{
    char command[320];
    dp_journal_free(&b->j);
    dp_hsm_free(&b->hsm);
    dp_store_fs_free(&b->store);
    dp_store_fs_free(&b->small_store);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", b->dir);
    if (system(command) != 0)
        (void)fprintf(stderr, "journal: %s is left behind\n", b->dir);
}

static void say(struct bench *b)
{
    static const char *const names[FIGURES] = {"raw", "flush",      "pay_raw",
                                               "pay", "verify_raw", "verify"};
    (void)printf("{\"bench\": \"journal\", \"n\": %u", b->n);
    for (int f = RAW; f < FIGURES; f += 2) {
        int64_t bare = measure_median(b->took[f], b->n),
                ours = measure_median(b->took[f + 1], b->n);
        (void)printf(", \"%s_us\": %lld, \"%s_us\": %lld, \"%s_percent\": %lld", names[f],
                     (long long)bare, names[f + 1], (long long)ours, names[f + 1],
                     (long long)(bare > 0 ? ours * 100 / bare : 0));
    }
    (void)printf(
        ", \"records\": %u, \"open_us\": %lld, \"open_cpu_us\": %lld, \"open_all_us\": %lld}\n",
        b->records, (long long)measure_median(b->opened, OPENINGS),
        (long long)measure_median(b->opened_cpu, OPENINGS), (long long)b->all_us);
}

static bool measure(struct bench *b)
{
    bool good = begin(b);
    for (unsigned i = 0; good && i < b->n; i++)
        good = round_of(b, i);
    dp_journal_free(&b->j);
    dp_store_fs_free(&b->store);
    return good && measure_opening(b);
}

int main(int argc, char **argv)
{
    static struct bench b;
    const char *tmp = getenv("TMPDIR");
    bool good;
    b.n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : N_DEFAULT;
    b.records = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : RECORDS_USUAL;
    (void)snprintf(b.dir, sizeof b.dir, "%s/dp-bench-XXXXXX",
                   argc > 1      ? argv[1]
                   : tmp != NULL ? tmp
                                 : "/tmp");
    if (b.n < 1 || b.n > N_MAX || b.records < 100 || b.records > RECORDS_MAX ||
        mkdtemp(b.dir) == NULL) {
        (void)fprintf(stderr, "usage: journal [DIR] [N [RECORDS]], N at most %d, RECORDS %d\n",
                      N_MAX, RECORDS_MAX);
        return 2;
    }
    good = measure(&b);
    end(&b);
    if (!good) {
        (void)fprintf(stderr, "journal: the measurement failed\n");
        return 1;
    }
    say(&b);
    return 0;
}
