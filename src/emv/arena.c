/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory mbedTLS works in: blocks behind one another in a static array, each with a head, the
 * first that fits is taken. What is given back is wiped, and joined with free neighbours.
 */
#include <string.h>

#include <doorpay/emv.h>
#include <mbedtls/platform.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/secret.h"

#define UNIT 16 /* bytes; every block begins at a multiple, as malloc's do */
#define LAST (DP_EMV_ARENA_BYTES / UNIT)
#define FREE 0x46726565U
#define USED 0x55736564U

/* Counted in units, the head's own included. */
struct head {
    uint32_t state, n, before; /* before: the block in front; 0: there is none */
    uint32_t unused;
};

static struct {
    _Alignas(UNIT) uint8_t bytes[DP_EMV_ARENA_BYTES];
    uint32_t peak; /* the end of the highest block there ever was */
} arena;

_Static_assert(sizeof(struct head) == UNIT, "a head is one unit");
_Static_assert(DP_EMV_ARENA_BYTES % UNIT == 0, "the arena is whole units");

static struct head *at(uint32_t unit)
{
    struct head *h = (struct head *)(void *)(arena.bytes + (size_t)unit * UNIT);
    DP_ASSERT(unit < LAST);
    DP_ASSERT(h->state == FREE || h->state == USED);
    return h;
}

static void put(uint32_t unit, uint32_t state, uint32_t n, uint32_t before)
{
    struct head *h = (struct head *)(void *)(arena.bytes + (size_t)unit * UNIT);
    *h = (struct head){state, n, before, 0};
    if (unit + n < LAST)
        at(unit + n)->before = n;
}

/* The block takes n units, the rest of it stays free. */
static void take(uint32_t unit, uint32_t n)
{
    struct head *h = at(unit);
    uint32_t rest = h->n - n;
    if (rest > 1) {
        put(unit + n, FREE, rest, n);
        h->n = n;
    }
    h->state = USED;
    if (unit + h->n > arena.peak)
        arena.peak = unit + h->n;
}

static void *allocate(size_t count, size_t size)
{
    size_t bytes = count * size;
    uint32_t n;
    if (size == 0 || bytes / size != count || bytes == 0 || bytes > DP_EMV_ARENA_BYTES)
        return NULL;
    n = (uint32_t)((bytes + UNIT - 1) / UNIT + 1);
    for (uint32_t unit = 0; unit < LAST; unit += at(unit)->n) {
        uint8_t *body = arena.bytes + ((size_t)unit + 1) * UNIT;
        if (at(unit)->state != FREE || at(unit)->n < n)
            continue;
        take(unit, n);
        memset(body, 0, bytes);
        return body;
    }
    return NULL;
}

static void release(void *p)
{
    uint8_t *body = p;
    uint32_t unit, n, before;
    if (body == NULL)
        return;
    DP_ASSERT(body >= arena.bytes + UNIT);
    DP_ASSERT(body < arena.bytes + sizeof arena.bytes);
    DP_ASSERT((size_t)(body - arena.bytes) % UNIT == 0);
    unit = (uint32_t)((size_t)(body - arena.bytes) / UNIT) - 1;
    DP_ASSERT(at(unit)->state == USED);
    at(unit)->state = FREE; /* also where it is joined to the one before it */
    n = at(unit)->n;
    before = at(unit)->before;
    dp_wipe(body, ((size_t)n - 1) * UNIT);
    if (unit + n < LAST && at(unit + n)->state == FREE)
        n += at(unit + n)->n;
    if (before > 0 && at(unit - before)->state == FREE) {
        n += before;
        unit -= before;
        before = at(unit)->before;
    }
    put(unit, FREE, n, before);
}

void dp_emv_arena_begin(void)
{
    DP_ASSERT(arena.peak == 0);
    put(0, FREE, LAST, 0);
    DP_ASSERT(mbedtls_platform_set_calloc_free(allocate, release) == 0);
}

size_t dp_emv_arena_peak(void)
{
    return (size_t)arena.peak * UNIT;
}
