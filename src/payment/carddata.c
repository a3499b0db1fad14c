/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed card data on its way into a message: as it is (sealed profile), or opened by the token
 * (clear profile). */
#include <string.h>

#include <doorpay/sealed.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/secret.h"
#include "machine.h"

static int token_ecdh(void *ctx, const uint8_t peer[65], uint8_t shared[32])
{
    return dp_hsm_ecdh(ctx, DP_KEY_CARD_DATA, peer, shared);
}

static int open_one(struct dp_payment *p, const uint8_t tx[16], const char *tid,
                    enum dp_sealed_kind kind, struct dp_bytes blob, struct dp_sealed_card *card)
{
    struct dp_sealed_context context;
    uint8_t own[65];
    int err = dp_hsm_public(p->config.hsm, DP_KEY_CARD_DATA, own);
    memset(&context, 0, sizeof context);
    memcpy(context.journal, p->journal_id, sizeof context.journal);
    memcpy(context.tx, tx, sizeof context.tx);
    memcpy(context.tid, tid, sizeof context.tid);
    if (err == DP_OK)
        err = dp_sealed_open(token_ecdh, p->config.hsm, own, kind, &context, blob, card);
    return err;
}

/* card.sealed_* are set; in the clear profile the clear fields follow from them. */
static int unseal(struct dp_payment *p, const uint8_t tx[16], const char *tid,
                  struct message_card *m)
{
    struct dp_sealed_card clear;
    int err;
    if (p->config.params->acquirer.card_data != DP_CARD_DATA_CLEAR)
        return DP_OK;
    memset(&clear, 0, sizeof clear);
    err = open_one(p, tx, tid, DP_SEALED_PAN, m->card.sealed_pan, &clear);
    if (err == DP_OK && m->card.sealed_track2.n > 0)
        err = open_one(p, tx, tid, DP_SEALED_TRACK2, m->card.sealed_track2, &clear);
    if (err == DP_OK) {
        memcpy(m->card.pan, clear.pan, sizeof m->card.pan);
        memcpy(m->card.expiry, clear.expiry, sizeof m->card.expiry);
        m->card.has_sequence = clear.has_sequence;
        m->card.sequence = clear.sequence;
        memcpy(m->track2, clear.track2, sizeof m->track2);
        m->card.track2 = (struct dp_bytes){m->track2, clear.track2_n};
    }
    dp_wipe(&clear, sizeof clear);
    return err;
}

int message_card_from(struct dp_payment *p, const uint8_t tx[16],
                      const struct dp_card_sealed *sealed, struct message_card *out)
{
    memset(out, 0, sizeof *out);
    DP_ASSERT(sealed->pan_n <= sizeof sealed->pan && sealed->track2_n <= sizeof sealed->track2);
    memcpy(out->pan_blob, sealed->pan, sealed->pan_n);
    memcpy(out->track2_blob, sealed->track2, sealed->track2_n);
    out->card.sealed_pan = (struct dp_bytes){out->pan_blob, sealed->pan_n};
    out->card.sealed_track2 = (struct dp_bytes){out->track2_blob, sealed->track2_n};
    return unseal(p, tx, p->config.params->terminal.tid, out);
}

int message_card_stored(struct dp_payment *p, const struct dp_record *sale, bool track2,
                        struct message_card *out)
{
    const uint8_t *tx = sale->tx;
    size_t n = 0;
    int err;
    memset(out, 0, sizeof *out);
    err = dp_side_get(p->journal, tx, DP_SIDE_PAN, out->pan_blob, sizeof out->pan_blob, &n);
    if (err < 0)
        return err;
    out->card.sealed_pan = (struct dp_bytes){out->pan_blob, n};
    if (track2) {
        err = dp_side_get(p->journal, tx, DP_SIDE_TRACK2, out->track2_blob, sizeof out->track2_blob,
                          &n);
        if (err == DP_OK)
            out->card.sealed_track2 = (struct dp_bytes){out->track2_blob, n};
        else if (err != DP_ERR_NOT_FOUND)
            return err;
    }
    return unseal(p, tx, sale->tid, out);
}

void message_card_wipe(struct message_card *c)
{
    dp_wipe(c, sizeof *c);
}

static void drop(struct dp_payment *p, const uint8_t tx[16], enum dp_side_kind kind)
{
    int err = dp_side_drop(p->journal, tx, kind);
    if (err == DP_OK || err == DP_ERR_NOT_FOUND)
        return;
    dp_log(DP_LOG_ERROR, "sealed card data could not be dropped: %s; nothing may go on",
           dp_strerr(err));
    p->stopped = true;
}

void card_data_drop(struct dp_payment *p, const uint8_t tx[16])
{
    drop(p, tx, DP_SIDE_PAN);
    drop(p, tx, DP_SIDE_TRACK2);
}

void track2_drop(struct dp_payment *p, const uint8_t tx[16])
{
    drop(p, tx, DP_SIDE_TRACK2);
}
