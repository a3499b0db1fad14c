/* SPDX-License-Identifier: Apache-2.0 */
/* What records and signature frames carry inside: docs/PROTOCOL.journal, 3 and 6. */
#ifndef DP_JOURNAL_BODY_H
#define DP_JOURNAL_BODY_H

#include <doorpay/cose.h>
#include <doorpay/journal.h>

#include "hash.h"

#define BODY_BYTES_MAX        512 /* of struct dp_record's body */
#define CERTIFICATE_MAX       256
#define SIGNATURE_FRAME_MAX   (BODY_BYTES_MAX + 160)
#define CHECKPOINT_RECORD_MAX (BODY_BYTES_MAX + 160)
#define DEGRADED_RECORD_MAX   400

/* ---- the body of a CHECKPOINT ---- */

struct checkpoint {
    uint8_t journal[16], root[HASH_BYTES], last_leaf[HASH_BYTES], before[HASH_BYTES];
    uint64_t size, wall_ms;
    struct dp_totals totals;
    uint8_t kid[DP_COSE_KID_BYTES], software[HASH_BYTES];
};

DP_MUST_USE int checkpoint_write(const struct checkpoint *c, uint8_t *out, size_t max, size_t *n);
DP_MUST_USE DP_PARSES int checkpoint_read(const uint8_t *p, size_t n, struct checkpoint *out);
/* What its signature covers beside the body. */
struct dp_bytes checkpoint_aad(void);

/* ---- the array of OPEN and KEY_ROTATE ---- */

struct epoch {
    uint32_t number;
    uint8_t kid[DP_COSE_KID_BYTES], point[65], identity[65];
    uint8_t certificate[CERTIFICATE_MAX];
    size_t certificate_n;
};

DP_MUST_USE int epoch_write(const struct epoch *e, uint8_t *out, size_t max, size_t *n);
DP_MUST_USE DP_PARSES int epoch_read(const uint8_t *p, size_t n, struct epoch *out);
/* The identity key's word for the epoch key. */
DP_MUST_USE int epoch_certify(struct epoch *e, const uint8_t journal[16], dp_cose_sign_fn *sign,
                              void *ctx);
/* DP_OK when e's identity key certifies its epoch key for this journal; DP_ERR_SIGNATURE. */
DP_MUST_USE int epoch_check(const struct epoch *e, const uint8_t journal[16]);
/* The epoch whose certificate this is, without the identity key, which it does not hold; signer is
 * that key's id. DP_ERR_FORMAT: no certificate, or one of another journal. */
DP_MUST_USE DP_PARSES int epoch_certificate_read(const uint8_t *p, size_t n,
                                                 const uint8_t journal[16], struct epoch *out,
                                                 uint8_t signer[DP_COSE_KID_BYTES]);

/* ---- a signature frame ---- */

DP_MUST_USE int signature_write(uint64_t seq, struct dp_bytes cose, uint8_t *out, size_t max,
                                size_t *n);
/* cose points into p. */
DP_MUST_USE DP_PARSES int signature_read(const uint8_t *p, size_t n, uint64_t *seq,
                                         struct dp_bytes *cose);

#endif
