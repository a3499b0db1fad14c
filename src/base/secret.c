/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"

int dp_secret_new(struct dp_secret *s, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t body;
    memset(s, 0, sizeof *s);
    if (n == 0 || n > 1U << 20)
        return DP_ERR_ARG;
    body = (n + page - 1) / page * page;
    s->map_n = body + 2 * page;
    s->map = mmap(NULL, s->map_n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->map == MAP_FAILED)
        goto none;
    uint8_t *start = (uint8_t *)s->map + page;
    if (mprotect(start, body, PROT_READ | PROT_WRITE) != 0 || mlock(start, body) != 0 ||
        madvise(start, body, MADV_DONTDUMP) != 0) {
        (void)munmap(s->map, s->map_n);
        goto none;
    }
    (void)madvise(start, body, MADV_WIPEONFORK);
    /* at the end of its page, so that one byte too far meets the guard */
    s->p = start + (body - n);
    s->n = n;
    return DP_OK;
none:
    memset(s, 0, sizeof *s);
    return DP_ERR_NOMEM;
}

void dp_secret_free(struct dp_secret *s)
{
    if (s->map == NULL)
        return;
    dp_wipe(s->p, s->n);
    DP_ASSERT(munmap(s->map, s->map_n) == 0);
    memset(s, 0, sizeof *s);
}

void dp_wipe(void *p, size_t n)
{
    explicit_bzero(p, n);
}

bool dp_equal_ct(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    uint8_t diff = 0;
    for (size_t i = 0; i < n; i++)
        diff |= (uint8_t)(x[i] ^ y[i]);
    return diff == 0;
}
