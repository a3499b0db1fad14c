/* SPDX-License-Identifier: Apache-2.0 */
/* How each transaction may go on: docs/PROTOCOL.journal, 5, "How one transaction ends". */
#ifndef DP_JOURNAL_LEDGER_H
#define DP_JOURNAL_LEDGER_H

#include <doorpay/journal.h>

struct ledger;

DP_MUST_USE int ledger_new(struct ledger **out);
void ledger_free(struct ledger **l);
/*
 * The next record. DP_OK and *why NULL: it may stand here; DP_OK and *why: it must not, in words
 * for people with static lifetime. DP_ERR_NOMEM, DP_ERR_LIMIT, DP_ERR_CRYPTO.
 */
DP_MUST_USE int ledger_see(struct ledger *l, const struct dp_record *r, const char **why);

#endif
