/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11_state.h"

#include <string.h>

#include "base/assert.h"
#include "base/reader.h"
#include "base/writer.h"
#include "dukpt.h"

#define FORMAT     1
#define FORMAT_TLS 2 /* the same of another TLS client key than the first */

static const uint8_t magic[7] = "doorpay"; /* without the terminator */

size_t pkcs11_state_encode(const struct pkcs11_state *s, uint8_t out[PKCS11_STATE_BYTES_MAX])
{
    struct dp_writer w;
    DP_ASSERT(s->sequence > 0 && s->tls_number > 0);
    dp_writer_init(&w, out, PKCS11_STATE_BYTES_MAX);
    dp_write_bytes(&w, magic, sizeof magic);
    dp_write_u8(&w, s->tls_number > 1 ? FORMAT_TLS : FORMAT);
    dp_write_u64(&w, s->sequence);
    for (int i = 0; i < PKCS11_COUNTERS; i++)
        dp_write_u64(&w, s->counters[i]);
    dp_write_u32(&w, s->epoch_number);
    if (s->tls_number > 1)
        dp_write_u32(&w, s->tls_number);
    dp_write_u8(&w, s->dukpt_loaded);
    if (s->dukpt_loaded) {
        dp_write_bytes(&w, s->dukpt_id, sizeof s->dukpt_id);
        dp_write_u32(&w, s->dukpt_counter);
    }
    DP_ASSERT(w.err == DP_OK);
    return w.n;
}

static void read_dukpt_objects(struct dp_reader *r, struct pkcs11_state *out)
{
    uint8_t loaded = dp_read_u8(r);
    out->dukpt_loaded = loaded == 1;
    if (loaded > 1)
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    if (!out->dukpt_loaded)
        return;
    dp_read_copy(r, out->dukpt_id, sizeof out->dukpt_id);
    out->dukpt_counter = dp_read_u32(r);
    if (out->dukpt_counter != 0 && !dukpt_counter_ok(out->dukpt_counter))
        (void)dp_reader_fail(r, DP_ERR_RANGE);
}

int pkcs11_state_decode(const uint8_t *p, size_t n, struct pkcs11_state *out)
{
    struct dp_reader r;
    int err;
    memset(out, 0, sizeof *out);
    if (n < sizeof magic + 1)
        return DP_ERR_SHORT;
    if (memcmp(p, magic, sizeof magic) != 0 ||
        (p[sizeof magic] != FORMAT && p[sizeof magic] != FORMAT_TLS))
        return DP_ERR_UNSUPPORTED;
    dp_reader_init(&r, p + sizeof magic + 1, n - sizeof magic - 1);
    out->sequence = dp_read_u64(&r);
    if (out->sequence == 0)
        (void)dp_reader_fail(&r, DP_ERR_RANGE);
    for (int i = 0; i < PKCS11_COUNTERS; i++)
        out->counters[i] = dp_read_u64(&r);
    out->epoch_number = dp_read_u32(&r);
    out->tls_number = p[sizeof magic] == FORMAT_TLS ? dp_read_u32(&r) : 1;
    if (out->tls_number < (p[sizeof magic] == FORMAT_TLS ? 2U : 1U))
        (void)dp_reader_fail(&r, DP_ERR_RANGE);
    read_dukpt_objects(&r, out);
    err = dp_reader_finish(&r);
    if (err < 0)
        memset(out, 0, sizeof *out);
    return err;
}
