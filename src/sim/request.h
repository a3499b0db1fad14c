/* SPDX-License-Identifier: Apache-2.0 */
/* What a terminal asks of the host: a decoded message held to the table of
 * docs/PROTOCOL.acquirer, and its private data taken apart. */
#ifndef DP_SIM_REQUEST_H
#define DP_SIM_REQUEST_H

#include <doorpay/base.h>

#include "iso.h"

enum sim_mode {
    SIM_MODE_NONE = 0,
    SIM_MODE_ONLINE = 1,
    SIM_MODE_OFFLINE = 2,
    SIM_MODE_DEFERRED = 3
};
const char *sim_mode_name(enum sim_mode mode);

struct sim_totals {
    uint64_t debits_n, debits_amount, reversals_n, reversals_amount;
};

struct sim_request {
    const struct sim_iso *iso; /* the message; outlives this */
    unsigned mti;              /* of the first sending: 1220 for 1221 */
    bool repeat;
    unsigned function, reason; /* DE24, DE25; 0: none */
    uint64_t amount;
    uint16_t currency;
    char tid[9]; /* DE41 with its blanks */
    /* DE48 */
    bool has_tx, has_journal, has_batch, has_expiry;
    char parcel[256];
    enum sim_mode mode;
    uint32_t batch;
    uint8_t tx[16], journal[16];
    char business_date[9];
    uint64_t expiry_ms;
    unsigned repeat_number;
    /* DE56 */
    unsigned original_mti;
    char original_stan[7], original_local[13];
    /* 1520 */
    struct sim_totals totals;
};

/* DP_ERR_FORMAT, *why says what is wrong in words (static lifetime or in the caller's buffer). */
DP_MUST_USE DP_PARSES int sim_request_read(const struct sim_iso *iso, struct sim_request *out,
                                           char *why, size_t why_n);
/* "C" or "D" and 16 digits: what the merchant gets. text holds 18. */
void sim_totals_net(const struct sim_totals *t, char *text);

#endif
