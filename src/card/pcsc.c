/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader behind pcscd. Nothing the service says is believed beyond its bounds: names and answers
 * are measured, and whatever goes wrong leaves a reader that can be waited on again.
 */
#include <doorpay/card.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <winscard.h>

#include "atr.h"
#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"

/* SCardCancel may not be called from a signal handler: a wait looks for cancel between slices. */
#define SLICE_MS 50
/* pcscd polls its readers every 400 ms */
#define REMOVAL_SEEN_MS 600

struct pcsc_reader {
    char name_part[DP_READER_NAME_MAX + 1]; /* empty: the first reader */
    char name[DP_READER_NAME_MAX + 1];      /* found; empty: to be looked for */
    SCARDCONTEXT context;
    bool has_context;
    SCARDHANDLE card;
    bool has_card;
    const SCARD_IO_REQUEST *protocol; /* of the card */
    atomic_bool cancelled;
};

static int64_t now_ms(void)
{
    const struct dp_clock *clock = dp_clock_system();
    return clock->mono_ms(clock->ctx);
}

static int err_of(LONG status)
{
    switch (status) {
    case SCARD_S_SUCCESS:
        return DP_OK;
    case SCARD_E_TIMEOUT:
        return DP_ERR_TIMEOUT;
    case SCARD_E_NO_SERVICE:
    case SCARD_E_SERVICE_STOPPED:
    case SCARD_E_INVALID_HANDLE:     /* of a service that is not the one we spoke to */
    case SCARD_F_COMM_ERROR:         /* the service closed its socket on us */
    case SCARD_W_SECURITY_VIOLATION: /* it does not let us in; seen of one that is going down too */
        return DP_ERR_UNREACHABLE;
    case SCARD_E_UNKNOWN_READER:
    case SCARD_E_READER_UNAVAILABLE:
    case SCARD_E_NO_READERS_AVAILABLE:
        return DP_ERR_NOT_FOUND;
    case SCARD_E_NO_SMARTCARD:
    case SCARD_W_REMOVED_CARD:
    case SCARD_W_RESET_CARD:
        return DP_ERR_GONE;
    case SCARD_E_SHARING_VIOLATION:
        return DP_ERR_BUSY;
    case SCARD_W_UNPOWERED_CARD:
    case SCARD_W_UNRESPONSIVE_CARD:
    case SCARD_W_UNSUPPORTED_CARD:
    case SCARD_E_PROTO_MISMATCH:
        return DP_ERR_UNSUPPORTED;
    case SCARD_E_NO_MEMORY:
        return DP_ERR_NOMEM;
    default:
        return DP_ERR_IO;
    }
}

static void drop_card(struct pcsc_reader *r)
{
    if (r->has_card)
        (void)SCardDisconnect(r->card, SCARD_UNPOWER_CARD);
    r->has_card = false;
}

static void drop_context(struct pcsc_reader *r)
{
    drop_card(r);
    if (r->has_context)
        (void)SCardReleaseContext(r->context);
    r->has_context = false;
    r->name[0] = '\0';
}

/* What an error means for what we hold: a new service needs a new context, a new reader a new
 * search. */
static int failed(struct pcsc_reader *r, LONG status)
{
    int err = err_of(status);
    if (err == DP_ERR_UNREACHABLE)
        drop_context(r);
    else if (err == DP_ERR_NOT_FOUND) {
        drop_card(r);
        r->name[0] = '\0';
    }
    return err;
}

/* The first name in the service's list (names with their ends, then an empty one) that is ours. The
 * list is the service's: each name is measured, at most DP_READERS_MAX are looked at. */
static int choose(struct pcsc_reader *r, const char *list, size_t list_n)
{
    const char *at = list;
    size_t left = list_n;
    for (unsigned i = 0; i < DP_READERS_MAX && left > 0 && *at != '\0'; i++) {
        size_t n = strnlen(at, left);
        if (n == left)
            return DP_ERR_NOT_FOUND; /* a name without its end */
        if (n < sizeof r->name && strstr(at, r->name_part) != NULL) {
            memcpy(r->name, at, n + 1);
            return DP_OK;
        }
        at += n + 1;
        left -= n + 1;
    }
    return DP_ERR_NOT_FOUND;
}

/* A context and the name of a reader that is there. */
static int find(struct pcsc_reader *r)
{
    char list[DP_READERS_MAX * (DP_READER_NAME_MAX + 1) + 1];
    DWORD n = sizeof list;
    LONG status;
    if (!r->has_context) {
        status = SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &r->context);
        if (status != SCARD_S_SUCCESS)
            return err_of(status);
        r->has_context = true;
        r->name[0] = '\0';
    }
    if (r->name[0] != '\0')
        return DP_OK;
    memset(list, 0, sizeof list);
    status = SCardListReaders(r->context, NULL, list, &n);
    if (status == SCARD_E_INSUFFICIENT_BUFFER) {
        dp_log(DP_LOG_ERROR, "reader service: more than %d readers", DP_READERS_MAX);
        return DP_ERR_NOT_FOUND;
    }
    if (status != SCARD_S_SUCCESS)
        return failed(r, status);
    return choose(r, list, n > sizeof list ? sizeof list : n);
}

/* One look at the reader, waiting at most ms for a change from *seen. */
static int look(struct pcsc_reader *r, int ms, DWORD *seen)
{
    SCARD_READERSTATE state;
    LONG status;
    memset(&state, 0, sizeof state);
    state.szReader = r->name;
    state.dwCurrentState = *seen;
    status = SCardGetStatusChange(r->context, (DWORD)ms, &state, 1);
    if (status != SCARD_S_SUCCESS && status != SCARD_E_TIMEOUT)
        return failed(r, status);
    if (status == SCARD_S_SUCCESS) {
        if ((state.dwEventState & (SCARD_STATE_UNKNOWN | SCARD_STATE_UNAVAILABLE)) != 0)
            return failed(r, SCARD_E_READER_UNAVAILABLE);
        *seen = state.dwEventState & ~(DWORD)SCARD_STATE_CHANGED;
    }
    return DP_OK;
}

static int slice(int64_t left)
{
    if (left <= 0)
        return 0;
    return left > SLICE_MS ? SLICE_MS : (int)left;
}

/* Until a card is there (or no more), at most to the deadline. */
static int wait_for(struct pcsc_reader *r, bool present, int64_t deadline)
{
    DWORD seen = SCARD_STATE_UNAWARE;
    for (;;) {
        int64_t left = deadline - now_ms();
        int err;
        if (atomic_exchange(&r->cancelled, false))
            return DP_ERR_CANCELLED;
        err = look(r, slice(left), &seen);
        if (err < 0)
            return err;
        if (seen != SCARD_STATE_UNAWARE && ((seen & SCARD_STATE_PRESENT) != 0) == present) {
            if (present && (seen & SCARD_STATE_MUTE) != 0)
                return DP_ERR_UNSUPPORTED;
            return DP_OK;
        }
        if (left <= 0)
            return DP_ERR_TIMEOUT;
    }
}

/* ATR and protocol of the card just powered. */
static int read_info(struct pcsc_reader *r, DWORD active, struct dp_card_info *info)
{
    BYTE atr[MAX_ATR_SIZE + 1];
    DWORD atr_n = sizeof atr, name_n = 0, state = 0, protocol = 0;
    LONG status = SCardStatus(r->card, NULL, &name_n, &state, &protocol, atr, &atr_n);
    int err;
    if (status == SCARD_E_INSUFFICIENT_BUFFER)
        return DP_ERR_FORMAT; /* longer than any ATR */
    if (status != SCARD_S_SUCCESS)
        return failed(r, status);
    if (atr_n > MAX_ATR_SIZE)
        return DP_ERR_FORMAT;
    err = dp_atr_read(atr, atr_n, info);
    if (err < 0)
        return err;
    if (active != SCARD_PROTOCOL_T0 && active != SCARD_PROTOCOL_T1)
        return DP_ERR_UNSUPPORTED;
    r->protocol = active == SCARD_PROTOCOL_T0 ? SCARD_PCI_T0 : SCARD_PCI_T1;
    /* what the service agreed with the card, when the ATR offers both */
    if (info->interface == DP_INTERFACE_CONTACT)
        info->protocol = active == SCARD_PROTOCOL_T0 ? DP_PROTOCOL_T0 : DP_PROTOCOL_T1;
    return DP_OK;
}

/* The service powers a card by a cold reset. One whose answer is none that can be worked with gets
 * a warm reset, once, as EMV's contact interface has it; then it is left. */
static int reset_warm(struct pcsc_reader *r, struct dp_card_info *info)
{
    DWORD active = 0;
    LONG status = SCardReconnect(r->card, SCARD_SHARE_EXCLUSIVE,
                                 SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1, SCARD_RESET_CARD, &active);
    return status != SCARD_S_SUCCESS ? failed(r, status) : read_info(r, active, info);
}

static int connect_card(struct pcsc_reader *r, struct dp_card_info *info)
{
    DWORD active = 0;
    LONG status = SCardConnect(r->context, r->name, SCARD_SHARE_EXCLUSIVE,
                               SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1, &r->card, &active);
    int err;
    if (status != SCARD_S_SUCCESS)
        return failed(r, status);
    r->has_card = true;
    err = read_info(r, active, info);
    if (err == DP_ERR_FORMAT || err == DP_ERR_UNSUPPORTED)
        err = reset_warm(r, info);
    if (err < 0)
        drop_card(r);
    return err;
}

static int wait_card(void *ctx, int timeout_ms, struct dp_card_info *info)
{
    struct pcsc_reader *r = ctx;
    int64_t deadline = now_ms() + timeout_ms;
    int err;
    drop_card(r);
    do {
        err = find(r);
        if (err == DP_OK)
            err = wait_for(r, true, deadline);
        if (err == DP_OK)
            err = connect_card(r, info);
        /* taken away between the look and the connection: wait for the next one */
    } while (err == DP_ERR_GONE && now_ms() < deadline);
    return err == DP_ERR_GONE ? DP_ERR_TIMEOUT : err;
}

/* DP_OK, or why an exchange brought nothing: when the card is not there any more, that was it. The
 * service looks at its readers a few times a second only. */
static int still_there(struct pcsc_reader *r)
{
    DWORD seen = SCARD_STATE_UNAWARE;
    int err = look(r, 0, &seen);
    if (err == DP_OK && (seen & SCARD_STATE_PRESENT) != 0 && (seen & SCARD_STATE_MUTE) == 0)
        err = look(r, REMOVAL_SEEN_MS, &seen);
    if (err == DP_OK && ((seen & SCARD_STATE_PRESENT) == 0 || (seen & SCARD_STATE_MUTE) != 0))
        err = DP_ERR_GONE;
    return err;
}

static int why_failed(struct pcsc_reader *r, LONG status)
{
    int err = failed(r, status);
    if (err == DP_ERR_UNSUPPORTED)
        return DP_ERR_GONE; /* it answered before, now it has no power */
    if (err != DP_ERR_IO)
        return err;
    err = still_there(r);
    return err < 0 ? err : DP_ERR_IO;
}

static int transceive(void *ctx, const uint8_t *command, size_t command_n, uint8_t *answer,
                      size_t *answer_n, int timeout_ms)
{
    struct pcsc_reader *r = ctx;
    size_t max = *answer_n;
    DWORD n = max > MAX_BUFFER_SIZE_EXTENDED ? MAX_BUFFER_SIZE_EXTENDED : (DWORD)max;
    int64_t deadline = now_ms() + timeout_ms;
    LONG status;
    *answer_n = 0;
    if (!r->has_card)
        return DP_ERR_GONE;
    status = SCardTransmit(r->card, r->protocol, command, (DWORD)command_n, NULL, answer, &n);
    if (status == SCARD_E_INSUFFICIENT_BUFFER)
        return DP_ERR_FORMAT; /* more than a card may say */
    if (status != SCARD_S_SUCCESS)
        return why_failed(r, status);
    if (n > max)
        return DP_ERR_IO; /* a length past our buffer */
    if (n < 2) {
        int err = still_there(r); /* drivers give an empty answer when the card is pulled out */
        if (err < 0)
            return err;
    }
    /* The driver alone can end an exchange; an answer that came too late is not used. */
    if (now_ms() > deadline)
        return DP_ERR_TIMEOUT;
    *answer_n = n;
    return DP_OK;
}

static int power_off(void *ctx)
{
    struct pcsc_reader *r = ctx;
    drop_card(r);
    atomic_store(&r->cancelled, false);
    return DP_OK;
}

static int wait_removal(void *ctx, int timeout_ms)
{
    struct pcsc_reader *r = ctx;
    int64_t deadline = now_ms() + timeout_ms;
    int err = find(r);
    return err < 0 ? err : wait_for(r, false, deadline);
}

static void cancel(void *ctx)
{
    struct pcsc_reader *r = ctx;
    atomic_store(&r->cancelled, true);
}

static void close_reader(void *ctx)
{
    struct pcsc_reader *r = ctx;
    drop_context(r);
    free(r);
}

static const struct dp_reader_ops ops = {wait_card,    transceive, power_off,
                                         wait_removal, cancel,     close_reader};

int dp_reader_pcsc_open(const char *name_part, struct dp_card_reader *out)
{
    struct pcsc_reader *r;
    int err;
    DP_ASSERT(out != NULL);
    if (name_part != NULL && strlen(name_part) > DP_READER_NAME_MAX)
        return DP_ERR_ARG;
    r = calloc(1, sizeof *r);
    if (r == NULL)
        return DP_ERR_NOMEM;
    if (name_part != NULL)
        memcpy(r->name_part, name_part, strlen(name_part) + 1);
    atomic_init(&r->cancelled, false);
    err = find(r);
    if (err < 0) {
        close_reader(r);
        return err;
    }
    out->ops = &ops;
    out->ctx = r;
    return DP_OK;
}
