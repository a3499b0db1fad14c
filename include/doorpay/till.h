/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The till's door: nexo Sale-to-POI as JSON over HTTP (docs/nexo.md). It knows sessions and
 * answers; what happens behind is its backend's affair (in doorpayd: messages to the vault).
 */
#ifndef DOORPAY_TILL_H
#define DOORPAY_TILL_H

#include <doorpay/base.h>
#include <doorpay/payment.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dp_till;

/*
 * What the till asks of the rest. Each call is answered later by the dp_till_* function of its kind
 * with the same request number, or dp_till_lost for all. < 0: it could not be asked (the sale is
 * told UnavailableService).
 */
struct dp_till_backend {
    void *ctx;
    int (*pay)(void *ctx, uint64_t request, const struct dp_pay_request *pay);
    int (*reverse)(void *ctx, uint64_t request, const struct dp_reverse_request *reverse);
    int (*status)(void *ctx, uint64_t request, const struct dp_status_query *query);
    int (*abort)(void *ctx, const char *sale_id, const char *service_id);
    int (*diagnose)(void *ctx, uint64_t request);
    int (*totals)(void *ctx, uint64_t request);
    int (*settle)(void *ctx, uint64_t request);
    int (*forward)(void *ctx, uint64_t request, enum dp_forward_command command);
    int (*acknowledge)(void *ctx, uint64_t request, const uint8_t *ack, size_t n);
};

struct dp_till_config {
    int listen_fd; /* AF_UNIX stream socket, listening; stays the caller's, is made non-blocking */
    const uint32_t *allow_uids; /* peers let in (SO_PEERCRED); root and our own uid always */
    size_t allow_uids_n;
    struct dp_till_backend backend;
    char software_version[32];
    enum dp_language language; /* of messages when the request asks for none */
};

/* Listens on config's socket; config is copied, its backend is called from dp_till_run alone. The
 * result is the caller's, for dp_till_free, which NULLs the pointer. DP_ERR_NOMEM, DP_ERR_IO, and
 * the random source's. */
DP_PUBLIC DP_MUST_USE int dp_till_new(const struct dp_till_config *config, struct dp_till **out);
DP_PUBLIC void dp_till_free(struct dp_till **till);
/* For the caller's poll loop: the descriptor to wait on for reading, and how long at most (ms, -1:
 * for ever). */
DP_PUBLIC int dp_till_fd(const struct dp_till *till);
DP_PUBLIC int dp_till_timeout_ms(struct dp_till *till);
/* Does what can be done without waiting. */
DP_PUBLIC void dp_till_run(struct dp_till *till);

/* Answers to what the backend was asked, by the request's number; copied. One whose caller has hung
 * up is dropped: the journal keeps the answer. */
DP_PUBLIC void dp_till_result(struct dp_till *till, uint64_t request,
                              const struct dp_pay_result *result);
DP_PUBLIC void dp_till_diagnosis(struct dp_till *till, uint64_t request,
                                 const struct dp_diagnosis *diagnosis);
DP_PUBLIC void dp_till_totals_answer(struct dp_till *till, uint64_t request,
                                     const struct dp_till_totals *totals);
DP_PUBLIC void dp_till_settled(struct dp_till *till, uint64_t request,
                               const struct dp_settle_result *result);
DP_PUBLIC void dp_till_acknowledged(struct dp_till *till, uint64_t request,
                                    const struct dp_ack_result *result);
/* For every screen that listens; copied. */
DP_PUBLIC void dp_till_event(struct dp_till *till, const struct dp_pay_event *event);
/* The vault is gone: every open request is answered "unknown, ask status", then dp_till_idle turns
 * true. */
DP_PUBLIC void dp_till_lost(struct dp_till *till);
DP_PUBLIC bool dp_till_idle(const struct dp_till *till);

/* The same JSON with every number written as a string, so that no JSON library turns an amount into
 * floating point. To be freed with free(). NULL: no memory, or a text without its end. */
DP_PUBLIC DP_PARSES char *dp_json_quote_numbers(const char *text, size_t n);

#ifdef __cplusplus
}
#endif
#endif
