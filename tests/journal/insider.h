/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Somebody who has the disk in hand after a crash, and not the token: he changes what is there and
 * makes every check sum right again. None of it may pass for what a crash leaves.
 */
#ifndef DP_TESTS_JOURNAL_INSIDER_H
#define DP_TESTS_JOURNAL_INSIDER_H

#include "crash.h"

/* All that can be done to the state that the cut leaves, everything written being there. Returns
 * how many changes were tried; fails the test, naming the state, when one passes. */
unsigned insider_tries(const struct cut *c);

#endif
