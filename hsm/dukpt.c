/* SPDX-License-Identifier: Apache-2.0 */
#include "dukpt.h"

#include <string.h>

#include "aes.h"
#include "base/assert.h"
#include "base/secret.h"

#define COUNTER_BITS_SET_MAX 16

void dukpt_data(enum dukpt_usage usage, const uint8_t id[8], uint32_t counter, uint8_t out[16])
{
    const uint8_t head[8] = {1, 1, (uint8_t)(usage >> 8), (uint8_t)usage, 0, 2, 0, 128};
    memcpy(out, head, sizeof head);
    memcpy(out + 8, id + 4, 4);
    for (int i = 0; i < 4; i++)
        out[12 + i] = (uint8_t)(counter >> (24 - 8 * i));
}

static int derive(const uint8_t from[16], enum dukpt_usage usage, const uint8_t id[8],
                  uint32_t counter, uint8_t out[16])
{
    uint8_t data[16];
    dukpt_data(usage, id, counter, data);
    return aes128_block(from, data, out);
}

bool dukpt_counter_ok(uint32_t counter)
{
    return counter != 0 && __builtin_popcount(counter) <= COUNTER_BITS_SET_MAX;
}

int dukpt_lowest_bit(uint32_t counter)
{
    DP_ASSERT(counter != 0);
    return __builtin_ctz(counter);
}

uint32_t dukpt_registers_in_use(uint32_t counter)
{
    uint32_t low;
    if (counter == 0)
        return 0;
    low = counter & -counter;
    /* its own, and every clear bit above it, whose turn comes; those below were used up */
    return (~counter & ~(low - 1)) | low;
}

/* The registers below bit `below`, from a key and the counter it stands for. */
static int fill(struct dukpt *d, const uint8_t from[16], uint32_t counter, int below)
{
    int err = DP_OK;
    for (int i = below - 1; i >= 0 && err == DP_OK; i--)
        err = derive(from, DUKPT_DERIVE, d->id, counter | 1U << i, d->registers[i]);
    return err;
}

int dukpt_load(struct dukpt *d, const uint8_t initial_key[16], const uint8_t id[8])
{
    memcpy(d->id, id, 8);
    d->counter = 1;
    return fill(d, initial_key, 0, DUKPT_REGISTERS);
}

bool dukpt_fills(uint32_t counter)
{
    return __builtin_popcount(counter) < COUNTER_BITS_SET_MAX;
}

uint32_t dukpt_counter_after(uint32_t counter)
{
    counter += dukpt_fills(counter) ? 1 : 1U << dukpt_lowest_bit(counter);
    DP_ASSERT(counter == 0 || dukpt_counter_ok(counter));
    return counter;
}

static void move_on(struct dukpt *d, int low)
{
    dp_wipe(d->registers[low], 16);
    d->counter = dukpt_counter_after(d->counter);
}

int dukpt_next(struct dukpt *d, struct dukpt_keys *out)
{
    uint32_t counter = d->counter;
    const uint8_t *key;
    int low, err;
    if (counter == 0)
        return DP_ERR_LIMIT;
    DP_ASSERT(dukpt_counter_ok(counter));
    low = dukpt_lowest_bit(counter);
    key = d->registers[low];
    memcpy(out->ksn, d->id, 8);
    for (int i = 0; i < 4; i++)
        out->ksn[8 + i] = (uint8_t)(counter >> (24 - 8 * i));
    err = derive(key, DUKPT_MAC_GENERATE, d->id, counter, out->generate);
    if (err == DP_OK)
        err = derive(key, DUKPT_MAC_VERIFY, d->id, counter, out->verify);
    if (err == DP_OK && dukpt_fills(counter))
        err = fill(d, key, counter, low);
    if (err == DP_OK)
        move_on(d, low);
    else
        dp_wipe(out, sizeof *out);
    return err;
}
