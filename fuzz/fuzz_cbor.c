/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever passes the check is written again byte for byte from what the readers read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/cbor.h>
#include <doorpay/cose.h>

#include "base/assert.h"
#include "base/reader.h"
#include "base/writer.h"

static void copy_one(struct dp_reader *r, struct dp_writer *w)
{
    struct dp_bytes b;
    switch (dp_cbor_peek(r)) {
    case DP_CBOR_UINT:
        dp_cbor_write_uint(w, dp_cbor_read_uint(r));
        break;
    case DP_CBOR_NINT:
        dp_cbor_write_int(w, dp_cbor_read_int(r));
        break;
    case DP_CBOR_BYTES:
        b = dp_cbor_read_bytes(r);
        dp_cbor_write_bytes(w, b.p, b.n);
        break;
    case DP_CBOR_TEXT:
        b = dp_cbor_read_text(r);
        dp_cbor_write_text(w, (const char *)b.p, b.n);
        break;
    case DP_CBOR_ARRAY:
        dp_cbor_write_array(w, dp_cbor_read_array(r));
        break;
    case DP_CBOR_MAP:
        dp_cbor_write_map(w, dp_cbor_read_map(r));
        break;
    case DP_CBOR_TAG:
        dp_cbor_write_tag(w, dp_cbor_read_tag(r));
        break;
    default:
        if (dp_read_peek(r) == 0xF6) {
            dp_cbor_read_null(r);
            dp_cbor_write_null(w);
        } else {
            dp_cbor_write_bool(w, dp_cbor_read_bool(r));
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dp_cose_sign1_view view;
    struct dp_reader r;
    struct dp_writer w;
    uint8_t *again = malloc(size + 16);
    size_t at = 0;
    int err = dp_cbor_check(data, size, &at);
    DP_ASSERT(again != NULL && at <= size);
    dp_reader_init(&r, data, size);
    dp_writer_init(&w, again, size + 16);
    while (r.err == DP_OK && r.left > 0)
        copy_one(&r, &w);
    /* integers below -2^63 are well formed, but no int64_t: the reader says so */
    DP_ASSERT(err != DP_OK || r.err == DP_ERR_RANGE ||
              (r.err == DP_OK && w.n == size && memcmp(again, data, size) == 0));
    dp_reader_init(&r, data, size);
    dp_cbor_skip(&r);
    DP_ASSERT(err != DP_OK || (r.err == DP_OK && r.left == 0));
    DP_ASSERT(dp_cose_sign1_parse(data, size, &view) < 0 || view.signature.n == 64);
    free(again);
    return 0;
}
