/* SPDX-License-Identifier: Apache-2.0 */
/* The acquirer's doors, in one thread: TLS clients on loopback, and the control socket. */
#ifndef DP_SIM_SERVE_H
#define DP_SIM_SERVE_H

#include <doorpay/base.h>

#include "host.h"

struct sim_serve_config {
    const char *keys, *certificate, *key; /* certificate, key: paths; NULL: of the keys directory */
    uint16_t port;                        /* 0: any free one */
    const char *control, *traffic, *settlement; /* NULL: none */
    const char *ready_file;
    bool json;
    int tls;           /* the one version that is spoken, as libssl numbers it; 0: 1.2 and 1.3 */
    const char *books; /* as it was told, for the first line */
};

/* Serves until SIGTERM or SIGINT, then writes the settlement. What fails is logged. */
DP_MUST_USE int sim_serve(struct sim_host *host, const struct sim_serve_config *config);

#endif
