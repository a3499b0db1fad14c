/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/random.h>

#include <doorpay/base.h>

static int system_fill(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    while (n > 0) {
        ssize_t got = getrandom(out, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return DP_ERR_RANDOM;
        out += got;
        n -= (size_t)got;
    }
    return DP_OK;
}

const struct dp_random *dp_random_system(void)
{
    static const struct dp_random source = {NULL, system_fill};
    return &source;
}
