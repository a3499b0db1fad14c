/* SPDX-License-Identifier: Apache-2.0 */
/* What a row of either side can be, in words. Every movement and every line ends in exactly one. */
#ifndef DP_FINANCE_CLASSES_H
#define DP_FINANCE_CLASSES_H

#include "ledger.h"

/* Makes the table "class" from the list: name, weight (agreed, pending, break), words, action. */
DP_MUST_USE int classes_load(struct ledger *l);

#endif
