/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP request to the till's socket: all that a round app needs of HTTP. */
#ifndef DP_CLI_HTTP_H
#define DP_CLI_HTTP_H

#include <doorpay/base.h>

/* Body bytes as they come; false ends the exchange. */
typedef bool http_take(void *user, const char *p, size_t n);

/*
 * body NULL: GET, else POST. timeout_s 0: for ever. DP_OK: status 200 and the whole body was taken.
 * DP_ERR_UNREACHABLE: nobody listens there; DP_ERR_TIMEOUT; DP_ERR_DENIED: we may not ask;
 * DP_ERR_GONE: the answer was lost on the way; DP_ERR_FORMAT: not an answer to this.
 */
DP_MUST_USE int http_ask(const char *socket_path, const char *path, const char *body, int timeout_s,
                         http_take *take, void *user);

#endif
