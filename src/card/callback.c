/* SPDX-License-Identifier: Apache-2.0 */
/* A reader that is one function of the caller's. The card is always there. */
#include <doorpay/card.h>

#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"

struct callback_reader {
    dp_transceive_fn *fn;
    void *user;
    struct dp_card_info info;
    atomic_bool cancelled;
};

static int wait_card(void *ctx, int timeout_ms, struct dp_card_info *info)
{
    struct callback_reader *r = ctx;
    (void)timeout_ms;
    if (atomic_exchange(&r->cancelled, false))
        return DP_ERR_CANCELLED;
    *info = r->info;
    return DP_OK;
}

static int transceive(void *ctx, const uint8_t *command, size_t command_n, uint8_t *answer,
                      size_t *answer_n, int timeout_ms)
{
    struct callback_reader *r = ctx;
    return r->fn(r->user, command, command_n, answer, answer_n, timeout_ms);
}

static int power_off(void *ctx)
{
    struct callback_reader *r = ctx;
    atomic_store(&r->cancelled, false);
    return DP_OK;
}

static int wait_removal(void *ctx, int timeout_ms)
{
    struct callback_reader *r = ctx;
    (void)timeout_ms;
    return atomic_exchange(&r->cancelled, false) ? DP_ERR_CANCELLED : DP_OK;
}

static void cancel(void *ctx)
{
    struct callback_reader *r = ctx;
    atomic_store(&r->cancelled, true);
}

static void close_reader(void *ctx)
{
    free(ctx);
}

static const struct dp_reader_ops ops = {wait_card,    transceive, power_off,
                                         wait_removal, cancel,     close_reader};

int dp_reader_callback_open(dp_transceive_fn *fn, void *user, const struct dp_card_info *info,
                            struct dp_card_reader *out)
{
    struct callback_reader *r;
    DP_ASSERT(fn != NULL && info != NULL && out != NULL);
    r = calloc(1, sizeof *r);
    if (r == NULL)
        return DP_ERR_NOMEM;
    r->fn = fn;
    r->user = user;
    r->info = *info;
    out->ops = &ops;
    out->ctx = r;
    return DP_OK;
}
