/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"

#include <stdlib.h>

#include "base/log.h"

_Noreturn void dp_assert_failed(const char *what, const char *file, int line)
{
    dp_log(DP_LOG_ERROR, "invariant lost: %s at %s:%d", what, file, line);
    abort();
}

#ifdef DP_COVERAGE
void dp_assert_call(int holds, const char *what, const char *file, int line)
{
    if (!holds)
        dp_assert_failed(what, file, line);
}
#endif
