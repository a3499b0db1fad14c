/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorpayd-card: the reader, the EMV kernel, and clear card data for the length of one tap. It has
 * no network, no journal and no signing key; card data leaves it sealed.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/card.h>
#include <doorpay/emv.h>
#include <doorpay/params.h>
#include <doorpay/sealed.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"
#include "channel.h"
#include "process.h"

#define WAIT_SLICE_MS      100    /* between two looks whether the payment was cancelled */
#define ANSWER_PATIENCE_MS 180000 /* the vault always answers sooner: it has the time-outs */
#define MUTE_MS            1500   /* a card that is just being put in or taken out is mute too */
#define READER_RETRY_MS    1000
#define READER_CHECK_MS    5000

struct card_process {
    struct dp_channel vault;
    const char *reader_name;
    struct dp_card_reader reader;
    bool reader_open, told, told_ready, cancelled;
    struct dp_emv_terminal terminal;
    struct dp_emv_aid aids[DP_EMV_AIDS_MAX];
    struct dp_emv_ca_key ca_keys[DP_EMV_CA_KEYS_MAX];
    size_t aids_n, ca_keys_n;
    struct dp_emv_revoked revoked[DP_EMV_REVOKED_MAX];
    struct dp_emv_kernel *kernel;
    struct dp_card_order order; /* of the tap in hand */
    struct dp_emv_result result;
};

static struct card_process self;

static void tell(enum dp_msg_type type, const void *body)
{
    if (dp_channel_send(&self.vault, type, body) < 0)
        exit(0); /* the vault is gone, and with it this payment: the journal knows how it ends */
}

static void tell_ready(bool ok)
{
    struct dp_msg_flag flag = {ok};
    if (self.told && self.told_ready == ok)
        return;
    self.told = true;
    self.told_ready = ok;
    tell(DP_MSG_CARD_READY, &flag);
}

static bool open_reader(void)
{
    if (!self.reader_open) {
        const char *name =
            self.reader_name != NULL && self.reader_name[0] != '\0' ? self.reader_name : NULL;
        self.reader_open = dp_reader_pcsc_open(name, &self.reader) == DP_OK;
    }
    tell_ready(self.reader_open);
    return self.reader_open;
}

static void close_reader(void)
{
    if (self.reader_open)
        self.reader.ops->close(self.reader.ctx);
    self.reader_open = false;
}

/* Between taps: is the reader still there? */
static void check_reader(void)
{
    if (self.reader_open) {
        int err = self.reader.ops->wait_removal(self.reader.ctx, 0);
        if (err == DP_ERR_NOT_FOUND || err == DP_ERR_UNREACHABLE)
            close_reader();
    }
    (void)open_reader();
}

static void take_config(enum dp_msg_type type, const union dp_msg_body *body)
{
    if (type == DP_MSG_TERMINAL) {
        self.terminal = body->terminal.terminal;
        _Static_assert(sizeof self.revoked == sizeof body->terminal.revoked, "one limit");
        memcpy(self.revoked, body->terminal.revoked, sizeof self.revoked);
        self.terminal.revoked = self.revoked;
        self.terminal.revoked_n = body->terminal.revoked_n;
        self.aids_n = 0;
        self.ca_keys_n = 0;
    } else if (type == DP_MSG_AID && self.aids_n < DP_EMV_AIDS_MAX) {
        self.aids[self.aids_n++] = body->aid;
    } else if (type == DP_MSG_CA_KEY && self.ca_keys_n < DP_EMV_CA_KEYS_MAX) {
        self.ca_keys[self.ca_keys_n++] = body->ca_key;
    }
    self.terminal.aids = self.aids;
    self.terminal.aids_n = self.aids_n;
    self.terminal.ca_keys = self.ca_keys;
    self.terminal.ca_keys_n = self.ca_keys_n;
}

/* Waits for one wanted message in the middle of a tap; a CANCEL on the way is kept in mind. */
static int wait_for(enum dp_msg_type wanted, int timeout_ms, union dp_msg_body *body)
{
    enum dp_msg_type type = DP_MSG_NONE;
    for (;;) {
        int err = dp_channel_receive(&self.vault, timeout_ms, &type, body, NULL);
        if (err == DP_ERR_GONE || err == DP_ERR_DENIED)
            exit(0);
        if (err < 0)
            return err;
        if (type == wanted)
            return DP_OK;
        if (type == DP_MSG_CANCEL)
            self.cancelled = true;
        else
            take_config(type, body);
        if (wanted == DP_MSG_NONE)
            return DP_OK;
    }
}

static bool is_cancelled(void *ctx)
{
    union dp_msg_body body;
    (void)ctx;
    while (!self.cancelled && wait_for(DP_MSG_NONE, 0, &body) == DP_OK)
        ;
    return self.cancelled;
}

static void show(enum dp_emv_ui what, const struct dp_emv_offer *offers, size_t n)
{
    const struct dp_emv_summary *s = &self.result.summary;
    struct dp_card_ui ui;
    memset(&ui, 0, sizeof ui);
    ui.ui = what;
    memcpy(ui.languages, s->languages, sizeof ui.languages);
    memcpy(ui.application, s->label, sizeof ui.application);
    DP_ASSERT(n <= DP_EMV_OFFERS_MAX);
    if (n > 0)
        memcpy(ui.offers, offers, n * sizeof *offers);
    ui.offers_n = (uint8_t)n;
    tell(DP_MSG_CARD_UI, &ui);
}

static void on_ui(void *ctx, enum dp_emv_ui what)
{
    (void)ctx;
    show(what, NULL, 0);
}

static void on_offer(void *ctx, const struct dp_emv_offer *offers, size_t n)
{
    (void)ctx;
    show(DP_EMV_UI_CHOOSE, offers, n);
}

static void card_hash(const struct dp_emv_card_data *card, uint8_t hash[16])
{
    memset(hash, 0, 16);
    if (card->pan[0] != '\0' && dp_params_card_hash(self.order.hash_key, card->pan, hash) < 0)
        memset(hash, 0, 16);
}

static int on_policy(void *ctx, const struct dp_emv_summary *summary,
                     const struct dp_emv_card_data *card, struct dp_emv_policy_answer *answer)
{
    struct dp_card_seen seen;
    union dp_msg_body body;
    int err;
    (void)ctx;
    memset(&seen, 0, sizeof seen);
    seen.summary = *summary;
    memcpy(seen.bin8, card->pan, strnlen(card->pan, 8));
    card_hash(card, seen.card_hash);
    tell(DP_MSG_CARD_SEEN, &seen);
    err = wait_for(DP_MSG_POLICY_ANSWER, ANSWER_PATIENCE_MS, &body);
    if (err == DP_OK)
        *answer = body.policy_answer;
    return err;
}

static int seal_one(enum dp_sealed_kind kind, const struct dp_emv_card_data *card, uint8_t *out,
                    size_t max, uint16_t *out_n)
{
    struct dp_sealed_context context;
    struct dp_sealed_card clear;
    size_t n = 0;
    int err;
    memset(&context, 0, sizeof context);
    memset(&clear, 0, sizeof clear);
    memcpy(context.journal, self.order.journal, sizeof context.journal);
    memcpy(context.tx, self.order.tx, sizeof context.tx);
    memcpy(context.tid, self.terminal.tid, sizeof context.tid);
    memcpy(clear.pan, card->pan, sizeof clear.pan);
    memcpy(clear.expiry, card->expiry, sizeof clear.expiry);
    clear.has_sequence = card->has_sequence;
    clear.sequence = card->sequence;
    memcpy(clear.track2, card->track2, sizeof clear.track2);
    clear.track2_n = card->track2_n;
    err = dp_sealed_make(self.order.recipient, kind, &context, &clear, out, max, &n);
    dp_wipe(&clear, sizeof clear);
    *out_n = err == DP_OK ? (uint16_t)n : 0;
    return err;
}

static int seal(const struct dp_emv_card_data *card, bool track2, struct dp_card_sealed *out)
{
    int err = seal_one(DP_SEALED_PAN, card, out->pan, sizeof out->pan, &out->pan_n);
    if (err == DP_OK && track2 && card->track2_n > 0)
        err = seal_one(DP_SEALED_TRACK2, card, out->track2, sizeof out->track2, &out->track2_n);
    return err;
}

static int on_online(void *ctx, const struct dp_emv_online_request *request,
                     struct dp_emv_online_answer *answer)
{
    struct dp_card_online online;
    union dp_msg_body body;
    int err;
    (void)ctx;
    memset(&online, 0, sizeof online);
    online.summary = *request->summary;
    if (request->emv.n > sizeof online.emv)
        return DP_ERR_SPACE;
    memcpy(online.emv, request->emv.p, request->emv.n);
    online.emv_n = (uint16_t)request->emv.n;
    err = seal(request->card, self.order.track2_online, &online.sealed);
    if (err < 0)
        return err;
    tell(DP_MSG_CARD_ONLINE, &online);
    err = wait_for(DP_MSG_ONLINE_ANSWER, ANSWER_PATIENCE_MS, &body);
    if (err == DP_OK)
        *answer = body.online_answer;
    return err;
}

static void outcome_error(struct dp_card_outcome *o, enum dp_emv_reason reason, int err)
{
    o->outcome = DP_EMV_ENDED;
    o->reason = reason;
    (void)strncpy(o->words, dp_strerr(err), sizeof o->words - 1);
}

static int connect_card(struct dp_card *card)
{
    int64_t left = self.order.wait_ms;
    int mute_left = MUTE_MS;
    bool found_anew = false;
    on_ui(NULL, DP_EMV_UI_PRESENT_CARD);
    while (left > 0) {
        int err;
        if (is_cancelled(NULL))
            return DP_ERR_CANCELLED;
        if (!open_reader())
            return DP_ERR_NOT_FOUND;
        err = dp_card_connect(card, &self.reader, WAIT_SLICE_MS);
        if (err == DP_OK && self.order.interface != 0 &&
            card->info.interface != self.order.interface) {
            (void)self.reader.ops->power_off(self.reader.ctx);
            err = DP_ERR_TIMEOUT;
        }
        if ((err == DP_ERR_UNREACHABLE || err == DP_ERR_NOT_FOUND) && !found_anew) {
            found_anew = true; /* service or reader came back as another: once is no failure */
            continue;
        }
        if (err == DP_ERR_UNSUPPORTED && mute_left > 0) {
            union dp_msg_body body;
            mute_left -= WAIT_SLICE_MS;
            (void)!wait_for(DP_MSG_NONE, WAIT_SLICE_MS, &body);
            err = DP_ERR_TIMEOUT;
        }
        if (err != DP_ERR_TIMEOUT)
            return err;
        left -= WAIT_SLICE_MS;
    }
    return DP_ERR_TIMEOUT;
}

static void fill_outcome(struct dp_card_outcome *o)
{
    const struct dp_emv_result *r = &self.result;
    bool keep = r->outcome == DP_EMV_APPROVED_OFFLINE || r->outcome == DP_EMV_DEFERRED;
    o->outcome = r->outcome;
    o->reason = r->reason;
    memcpy(o->words, r->words, sizeof o->words);
    o->summary = r->summary;
    memcpy(o->emv, r->emv, sizeof o->emv);
    o->emv_n = r->emv_n;
    o->went_online = r->went_online;
    card_hash(&r->card, o->card_hash);
    if (keep && seal(&r->card, r->outcome == DP_EMV_DEFERRED, &o->sealed) < 0) {
        /* without its sealed data the payment could never be cleared: it is not taken */
        outcome_error(o, DP_EMV_REASON_CARD_DATA, DP_ERR_CRYPTO);
        memset(&o->sealed, 0, sizeof o->sealed);
    }
}

static enum dp_emv_reason reason_of(int err)
{
    switch (err) {
    case DP_ERR_CANCELLED:
        return DP_EMV_REASON_CANCELLED;
    case DP_ERR_GONE:
        return DP_EMV_REASON_CARD_GONE;
    case DP_ERR_UNSUPPORTED:
    case DP_ERR_FORMAT:
        return DP_EMV_REASON_CARD_ERROR;
    default:
        return DP_EMV_REASON_READER;
    }
}

static void tap(void)
{
    static const struct dp_emv_ops ops = {NULL, on_policy,    on_online, on_ui,
                                          NULL, is_cancelled, on_offer};
    struct dp_card_outcome o;
    struct dp_card card;
    int err;
    memset(&o, 0, sizeof o);
    memset(&card, 0, sizeof card);
    memset(&self.result, 0, sizeof self.result);
    self.cancelled = false;
    err = connect_card(&card);
    if (err == DP_ERR_TIMEOUT) {
        outcome_error(&o, DP_EMV_REASON_CANCELLED, err);
        o.outcome = DP_EMV_TRY_AGAIN; /* nobody presented a card */
    } else if (err < 0) {
        outcome_error(&o, reason_of(err), err);
    } else {
        err = dp_emv_perform(self.kernel, &card, &self.terminal, &self.order.transaction, &ops,
                             &self.result);
        if (err < 0)
            outcome_error(&o, self.cancelled ? DP_EMV_REASON_CANCELLED : DP_EMV_REASON_CARD_DATA,
                          err);
        else
            fill_outcome(&o);
        (void)self.reader.ops->power_off(self.reader.ctx);
    }
    dp_emv_result_wipe(&self.result);
    if (o.outcome == DP_EMV_ENDED && o.reason == DP_EMV_REASON_READER)
        close_reader();
    tell(DP_MSG_CARD_ENDED, &o);
    dp_wipe(&o, sizeof o);
}

int main(int argc, char **argv)
{
    static union dp_msg_body body;
    enum dp_msg_type type = DP_MSG_NONE;
    dp_process_harden("doorpayd-card");
    if (!dp_process_started())
        return 2;
    dp_channel_init(&self.vault, DP_FD_CHANNEL, DP_ROLE_CARD, DP_ROLE_VAULT);
    self.reader_name = dp_process_option(argc, argv, "reader");
    dp_emv_arena_begin();
    if (psa_crypto_init() != PSA_SUCCESS || dp_emv_kernel_new(&self.kernel) < 0)
        return 1;
    (void)open_reader();
    for (;;) {
        int err = dp_channel_receive(
            &self.vault, self.reader_open ? READER_CHECK_MS : READER_RETRY_MS, &type, &body, NULL);
        if (err == DP_ERR_TIMEOUT) {
            check_reader();
            continue;
        }
        if (err < 0)
            return err == DP_ERR_GONE ? 0 : 1;
        if (type == DP_MSG_ORDER) {
            self.order = body.order;
            tap();
            dp_wipe(&self.order, sizeof self.order);
        } else if (type != DP_MSG_CANCEL) {
            take_config(type, &body);
        }
    }
}
