/* SPDX-License-Identifier: Apache-2.0 */
/* How each transaction may go on: docs/PROTOCOL.journal, 5, "How one transaction ends". */
#ifndef DP_JOURNAL_LEDGER_H
#define DP_JOURNAL_LEDGER_H

#include <doorpay/journal.h>

#include "base/writer.h"

struct ledger;

DP_MUST_USE int ledger_new(struct ledger **out);
void ledger_free(struct ledger **l);
/*
 * The next record. DP_OK and *why NULL: it may stand here; DP_OK and *why: it must not, in words
 * for people with static lifetime. DP_ERR_NOMEM, DP_ERR_LIMIT, DP_ERR_CRYPTO.
 */
DP_MUST_USE int ledger_see(struct ledger *l, const struct dp_record *r, const char **why);
/* Was the OUTCOME of tx deferred? Also false when that cannot be known. */
bool ledger_is_deferred(const struct ledger *l, const uint8_t tx[16]);
/* Takes the space for so many records more, so that none of them needs any. DP_ERR_NOMEM,
 * DP_ERR_LIMIT, DP_ERR_CRYPTO. */
DP_MUST_USE int ledger_reserve(struct ledger *l, size_t records);

/* ---- as a part of a snapshot (docs/PROTOCOL.journal, 13) ---- */

size_t ledger_saved_bytes(const struct ledger *l);
void ledger_save(const struct ledger *l, struct dp_writer *w);
/* DP_ERR_FORMAT, DP_ERR_RANGE, DP_ERR_SHORT: no ledger was saved so; DP_ERR_NOMEM. */
DP_MUST_USE DP_PARSES int ledger_restore(struct dp_bytes saved, struct ledger **out);

#endif
