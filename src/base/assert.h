/* SPDX-License-Identifier: Apache-2.0 */
/* Assertions that stay on in release: a terminal that lost its invariants stops, it does not pay.
 */
#ifndef DP_BASE_ASSERT_H
#define DP_BASE_ASSERT_H

#include <doorpay/base.h>

_Noreturn void dp_assert_failed(const char *what, const char *file, int line);

#ifdef DP_COVERAGE
/* A call, so that the coverage build has no branch that a test can never take. */
void dp_assert_call(int holds, const char *what, const char *file, int line);
#define DP_ASSERT(x) dp_assert_call(!!(x), #x, __FILE__, __LINE__)
#else
#define DP_ASSERT(x) ((x) ? (void)0 : dp_assert_failed(#x, __FILE__, __LINE__))
#endif

#endif
