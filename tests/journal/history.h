/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened to one transaction, in short. A step is TYPE, its STAN, and what it needs: I
 * intent, Q requested (o online, d deferred, a and e likewise by 1100), O outcome (o online, f
 * offline, d deferred, n declined, r declined with an action code), R reversal of the STAN after
 * '<', V void, F forwarded with its result (a: of an 1100, c: of a completion, accepted; without a
 * STAN: of the payment). A '$' is another amount, '#' another currency, '^' another exponent, '~'
 * none at all.
 */
#ifndef DP_TESTS_JOURNAL_HISTORY_H
#define DP_TESTS_JOURNAL_HISTORY_H

#include <doorpay/journal.h>

/* "Qo5": the record. */
void history_step(const char *s, struct dp_record *r);

#endif
