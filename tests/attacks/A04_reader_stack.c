/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A04: the reader stack itself lies or fails. A service of the test's own stands in for
 * libpcsclite: it fails at each of its calls in turn, gives lists without end, ATRs that are none,
 * and lengths past the buffer it was given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <winscard.h>

#include <doorpay/card.h>

#include "base/limits.h"

#define READER "Hostile Reader 00 00"

static struct {
    int calls, fail_at; /* fail_at -1: never */
    LONG with;
    bool endless_list, no_reader;
    uint8_t atr[64];
    size_t atr_n;
    DWORD lie_n; /* length reported by SCardTransmit; 0: true */
    int contexts, cards;
} service;

const SCARD_IO_REQUEST g_rgSCardT0Pci = {SCARD_PROTOCOL_T0, sizeof(SCARD_IO_REQUEST)};
const SCARD_IO_REQUEST g_rgSCardT1Pci = {SCARD_PROTOCOL_T1, sizeof(SCARD_IO_REQUEST)};

static LONG called(void)
{
    return service.calls++ == service.fail_at ? service.with : SCARD_S_SUCCESS;
}

LONG SCardEstablishContext(DWORD scope, LPCVOID a, LPCVOID b, LPSCARDCONTEXT context)
{
    LONG status = called();
    (void)scope;
    (void)a;
    (void)b;
    *context = 7;
    service.contexts += status == SCARD_S_SUCCESS;
    return status;
}

LONG SCardReleaseContext(SCARDCONTEXT context)
{
    assert_int_equal(context, 7);
    service.contexts--;
    return SCARD_S_SUCCESS;
}

LONG SCardListReaders(SCARDCONTEXT context, LPCSTR groups, LPSTR list, LPDWORD n)
{
    LONG status = called();
    assert_int_equal(context, 7);
    (void)groups;
    if (status != SCARD_S_SUCCESS)
        return status;
    if (service.no_reader)
        return SCARD_E_NO_READERS_AVAILABLE;
    if (service.endless_list) {
        memset(list, 'A', *n); /* no name ends, nor the list */
        *n = 0x7FFFFFFF;
        return SCARD_S_SUCCESS;
    }
    memcpy(list, READER "\0", sizeof READER + 1);
    *n = sizeof READER + 1;
    return SCARD_S_SUCCESS;
}

LONG SCardGetStatusChange(SCARDCONTEXT context, DWORD ms, SCARD_READERSTATE *states, DWORD n)
{
    LONG status = called();
    assert_int_equal(context, 7);
    assert_int_equal(n, 1);
    (void)ms;
    states[0].dwEventState = SCARD_STATE_PRESENT | SCARD_STATE_CHANGED;
    return status;
}

LONG SCardConnect(SCARDCONTEXT context, LPCSTR name, DWORD share, DWORD wanted, LPSCARDHANDLE card,
                  LPDWORD active)
{
    LONG status = called();
    assert_int_equal(context, 7);
    assert_string_equal(name, READER);
    assert_int_equal(share, SCARD_SHARE_EXCLUSIVE);
    (void)wanted;
    *card = 9;
    *active = SCARD_PROTOCOL_T1;
    service.cards += status == SCARD_S_SUCCESS;
    return status;
}

LONG SCardDisconnect(SCARDHANDLE card, DWORD how)
{
    assert_int_equal(card, 9);
    (void)how;
    service.cards--;
    return SCARD_S_SUCCESS;
}

LONG SCardStatus(SCARDHANDLE card, LPSTR name, LPDWORD name_n, LPDWORD state, LPDWORD protocol,
                 LPBYTE atr, LPDWORD atr_n)
{
    LONG status = called();
    size_t n = service.atr_n < *atr_n ? service.atr_n : *atr_n;
    assert_int_equal(card, 9);
    (void)name;
    (void)name_n;
    (void)state;
    (void)protocol;
    memcpy(atr, service.atr, n);
    *atr_n = (DWORD)service.atr_n;
    return status;
}

LONG SCardTransmit(SCARDHANDLE card, const SCARD_IO_REQUEST *protocol, LPCBYTE command,
                   DWORD command_n, SCARD_IO_REQUEST *back, LPBYTE answer, LPDWORD answer_n)
{
    LONG status = called();
    assert_int_equal(card, 9);
    assert_int_equal(protocol->dwProtocol, SCARD_PROTOCOL_T1);
    (void)command;
    (void)command_n;
    (void)back;
    memcpy(answer, "\x90\x00", 2);
    *answer_n = service.lie_n != 0 ? service.lie_n : 2;
    return status;
}

static const uint8_t good_atr[] = {0x3B, 0x90, 0x11, 0x11, 0x01, 0x91};

static void honest(void)
{
    memset(&service, 0, sizeof service);
    service.fail_at = -1;
    memcpy(service.atr, good_atr, sizeof good_atr);
    service.atr_n = sizeof good_atr;
}

static int send(struct dp_card_reader *r)
{
    static const uint8_t command[] = {0x00, 0xA4, 0x04, 0x00, 0x00};
    uint8_t answer[DP_APDU_RESPONSE_MAX];
    size_t n = sizeof answer;
    int err = r->ops->transceive(r->ctx, command, sizeof command, answer, &n, 1000);
    assert_true(n <= sizeof answer);
    return err;
}

/* Everything a payment asks of a reader; the first error, or DP_OK. */
static int tap(struct dp_card_reader *r)
{
    struct dp_card_info info;
    int err = r->ops->wait_card(r->ctx, 0, &info);
    if (err == DP_OK)
        err = send(r);
    if (err == DP_OK)
        err = send(r);
    (void)r->ops->power_off(r->ctx);
    assert_int_equal(service.cards, 0);
    return err;
}

static void failure_at_any_call_is_an_error_and_the_next_tap_works(void **state)
{
    static const LONG failures[] = {
        SCARD_E_NO_SERVICE,          SCARD_E_SERVICE_STOPPED,      SCARD_F_COMM_ERROR,
        SCARD_E_INVALID_HANDLE,      SCARD_E_READER_UNAVAILABLE,   SCARD_E_UNKNOWN_READER,
        SCARD_E_NO_SMARTCARD,        SCARD_W_REMOVED_CARD,         SCARD_W_RESET_CARD,
        SCARD_W_UNPOWERED_CARD,      SCARD_W_UNRESPONSIVE_CARD,    SCARD_E_SHARING_VIOLATION,
        SCARD_E_PROTO_MISMATCH,      SCARD_E_NOT_TRANSACTED,       SCARD_F_INTERNAL_ERROR,
        SCARD_E_INSUFFICIENT_BUFFER, SCARD_E_NO_READERS_AVAILABLE, (LONG)0x12345678,
    };
    (void)state;
    for (size_t f = 0; f < sizeof failures / sizeof failures[0]; f++) {
        int at = 0, failed = 0;
        do {
            struct dp_card_reader r;
            int err;
            honest();
            service.fail_at = at;
            service.with = failures[f];
            err = dp_reader_pcsc_open(NULL, &r);
            if (err == DP_OK) {
                err = tap(&r);
                service.fail_at = -1;
                /* a lost service or reader is noticed once, then found anew */
                if (tap(&r) < 0)
                    assert_int_equal(tap(&r), DP_OK);
                r.ops->close(r.ctx);
            }
            failed += err < 0;
            assert_int_equal(service.contexts, 0);
        } while (at++ < 8);
        assert_true(failed >= 5); /* open (2), look, connect, status, two exchanges: none ignored */
    }
}

static void list_without_end_names_no_reader(void **state)
{
    struct dp_card_reader r;
    (void)state;
    honest();
    service.endless_list = true;
    assert_int_equal(dp_reader_pcsc_open(NULL, &r), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_reader_pcsc_open("A", &r), DP_ERR_NOT_FOUND);
    assert_int_equal(service.contexts, 0);
}

static void answer_longer_than_our_buffer_is_the_readers_defect(void **state)
{
    static const DWORD lies[] = {DP_APDU_RESPONSE_MAX + 1, 65538, 0x7FFFFFFF};
    struct dp_card_reader r;
    struct dp_card_info info;
    (void)state;
    honest();
    assert_int_equal(dp_reader_pcsc_open(NULL, &r), DP_OK);
    assert_int_equal(r.ops->wait_card(r.ctx, 0, &info), DP_OK);
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        service.lie_n = lies[i];
        assert_int_equal(send(&r), DP_ERR_IO);
    }
    r.ops->close(r.ctx);
}

static void malformed_atr_is_no_card(void **state)
{
    struct dp_card_reader r;
    (void)state;
    honest();
    assert_int_equal(dp_reader_pcsc_open(NULL, &r), DP_OK);
    for (size_t n = 0; n <= 64; n++) {
        struct dp_card_info info;
        if (n == sizeof good_atr)
            continue;
        service.atr_n = n;
        assert_true(r.ops->wait_card(r.ctx, 0, &info) < 0);
        assert_int_equal(service.cards, 0);
    }
    r.ops->close(r.ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failure_at_any_call_is_an_error_and_the_next_tap_works),
        cmocka_unit_test(list_without_end_names_no_reader),
        cmocka_unit_test(answer_longer_than_our_buffer_is_the_readers_defect),
        cmocka_unit_test(malformed_atr_is_no_card),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
