/* SPDX-License-Identifier: Apache-2.0 */
#include "soft_state.h"

#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "base/reader.h"
#include "base/secret.h"
#include "base/writer.h"

#define FORMAT     1
#define FORMAT_TLS 2 /* the same with a TLS client key to come */
#define HASH_BYTES 32

static const uint8_t magic[15] = "doorpay hsmsoft"; /* without the terminator */

static int hash(const uint8_t *p, size_t n, uint8_t out[HASH_BYTES])
{
    size_t got = 0;
    return psa_hash_compute(PSA_ALG_SHA_256, p, n, out, HASH_BYTES, &got) == PSA_SUCCESS
               ? DP_OK
               : DP_ERR_CRYPTO;
}

/* ---- writing ---- */

static void write_dukpt(struct dp_writer *w, const struct dukpt *d)
{
    uint32_t in_use = dukpt_registers_in_use(d->counter);
    dp_write_bytes(w, d->id, sizeof d->id);
    dp_write_u32(w, d->counter);
    for (int i = 0; i < DUKPT_REGISTERS; i++)
        if ((in_use & 1U << i) != 0)
            dp_write_bytes(w, d->registers[i], 16);
}

int soft_state_encode(const struct soft_state *s, uint8_t out[SOFT_STATE_BYTES_MAX], size_t *n)
{
    struct dp_writer w;
    int err;
    DP_ASSERT(s->sequence > 0 && s->wraps_n > 0 && s->wraps_n <= DP_HSM_WRAP_GENERATIONS_MAX);
    dp_writer_init(&w, out, SOFT_STATE_BYTES_MAX);
    dp_write_bytes(&w, magic, sizeof magic);
    dp_write_u8(&w, s->tls_waits ? FORMAT_TLS : FORMAT);
    dp_write_u64(&w, s->sequence);
    dp_write_bytes(&w, s->anchor, 32);
    for (int i = 0; i < SOFT_COUNTERS; i++)
        dp_write_u64(&w, s->counters[i]);
    dp_write_bytes(&w, s->identity, 32);
    dp_write_bytes(&w, s->tls_client, 32);
    dp_write_bytes(&w, s->card_data, 32);
    if (s->tls_waits)
        dp_write_bytes(&w, s->tls_next, 32);
    dp_write_u32(&w, s->epoch_number);
    dp_write_u8(&w, s->epoch_live);
    if (s->epoch_live)
        dp_write_bytes(&w, s->epoch, 32);
    dp_write_u8(&w, s->wraps_n);
    for (int i = 0; i < s->wraps_n; i++) {
        dp_write_u32(&w, s->wraps[i].generation);
        dp_write_bytes(&w, s->wraps[i].key, 32);
    }
    dp_write_u8(&w, s->dukpt_loaded);
    if (s->dukpt_loaded)
        write_dukpt(&w, &s->dukpt);
    DP_ASSERT(w.err == DP_OK);
    err = hash(out, w.n, out + w.n);
    *n = w.n + HASH_BYTES;
    DP_ASSERT(*n <= SOFT_STATE_BYTES_MAX);
    return err;
}

/* ---- reading ---- */

/* Zero or one; *what gets name when it is neither. */
static bool read_flag(struct dp_reader *r, const char *name, const char **what)
{
    uint8_t v = dp_read_u8(r);
    if (v > 1 && r->err == DP_OK) {
        *what = name;
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    }
    return v == 1;
}

static void read_epoch(struct dp_reader *r, struct soft_state *out, const char **what)
{
    out->epoch_number = dp_read_u32(r);
    out->epoch_live = read_flag(r, "the epoch key's flag is neither 0 nor 1", what);
    if (!out->epoch_live)
        return;
    dp_read_copy(r, out->epoch, 32);
    if (out->epoch_number == 0 && r->err == DP_OK) {
        *what = "an epoch key without an epoch";
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    }
}

static void read_wraps(struct dp_reader *r, struct soft_state *out, const char **what)
{
    uint32_t last = 0;
    out->wraps_n = dp_read_u8(r);
    if ((out->wraps_n == 0 || out->wraps_n > DP_HSM_WRAP_GENERATIONS_MAX) && r->err == DP_OK) {
        *what = "the number of side store keys is out of range";
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    }
    for (int i = 0; i < out->wraps_n && r->err == DP_OK; i++) {
        out->wraps[i].generation = dp_read_u32(r);
        dp_read_copy(r, out->wraps[i].key, 32);
        if (out->wraps[i].generation <= last && r->err == DP_OK) {
            *what = "the side store keys are not in ascending order";
            (void)dp_reader_fail(r, DP_ERR_RANGE);
        }
        last = out->wraps[i].generation;
    }
}

static void read_dukpt(struct dp_reader *r, struct dukpt *d, const char **what)
{
    uint32_t in_use;
    dp_read_copy(r, d->id, sizeof d->id);
    d->counter = dp_read_u32(r);
    if (d->counter != 0 && !dukpt_counter_ok(d->counter)) {
        *what = "a DUKPT counter with more than 16 bits set";
        (void)dp_reader_fail(r, DP_ERR_RANGE);
        return;
    }
    in_use = dukpt_registers_in_use(d->counter);
    for (int i = 0; i < DUKPT_REGISTERS; i++)
        if ((in_use & 1U << i) != 0)
            dp_read_copy(r, d->registers[i], 16);
}

static void read_held(struct dp_reader *r, struct soft_state *out, const char **what)
{
    out->sequence = dp_read_u64(r);
    if (out->sequence == 0 && r->err == DP_OK) {
        *what = "the sequence number is 0";
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    }
    dp_read_copy(r, out->anchor, 32);
    for (int i = 0; i < SOFT_COUNTERS; i++)
        out->counters[i] = dp_read_u64(r);
    dp_read_copy(r, out->identity, 32);
    dp_read_copy(r, out->tls_client, 32);
    dp_read_copy(r, out->card_data, 32);
    if (out->tls_waits)
        dp_read_copy(r, out->tls_next, 32);
    read_epoch(r, out, what);
    read_wraps(r, out, what);
    out->dukpt_loaded = read_flag(r, "the DUKPT flag is neither 0 nor 1", what);
    if (out->dukpt_loaded)
        read_dukpt(r, &out->dukpt, what);
}

/* The format is looked at first, so that another version is not taken for damage. */
static int check_frame(const uint8_t *p, size_t n, const char **what)
{
    uint8_t sum[HASH_BYTES];
    int err;
    if (n < sizeof magic + 1 + HASH_BYTES) {
        *what = "it is cut short";
        return DP_ERR_SHORT;
    }
    if (memcmp(p, magic, sizeof magic) != 0) {
        *what = "it is no soft key store's state";
        return DP_ERR_UNSUPPORTED;
    }
    if (p[sizeof magic] != FORMAT && p[sizeof magic] != FORMAT_TLS) {
        *what = "its format is not the one this build knows";
        return DP_ERR_UNSUPPORTED;
    }
    err = hash(p, n - HASH_BYTES, sum);
    if (err == DP_OK && memcmp(sum, p + n - HASH_BYTES, HASH_BYTES) != 0) {
        *what = "its check sum does not match: it was damaged or cut short";
        err = DP_ERR_TAMPERED;
    }
    return err;
}

int soft_state_decode(const uint8_t *p, size_t n, struct soft_state *out, const char **what)
{
    struct dp_reader r;
    int err;
    *what = "it cannot be checked";
    memset(out, 0, sizeof *out);
    err = check_frame(p, n, what);
    if (err < 0)
        return err;
    *what = NULL;
    dp_reader_init(&r, p + sizeof magic + 1, n - sizeof magic - 1 - HASH_BYTES);
    out->tls_waits = p[sizeof magic] == FORMAT_TLS;
    read_held(&r, out, what);
    err = dp_reader_finish(&r);
    if (err == DP_OK)
        return DP_OK;
    if (*what == NULL)
        *what = err == DP_ERR_TRAILING ? "bytes are left over" : "it ends inside an element";
    dp_wipe(out, sizeof *out);
    return err;
}
