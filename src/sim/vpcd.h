/* SPDX-License-Identifier: Apache-2.0 */
/* The card's end of the vpcd virtual reader: u16 length, then one control byte or a C-APDU. */
#ifndef DP_SIM_VPCD_H
#define DP_SIM_VPCD_H

#include "pack.h"

enum sim_vpcd {
    SIM_VPCD_OFF = 0,
    SIM_VPCD_ON = 1,
    SIM_VPCD_RESET = 2,
    SIM_VPCD_ATR = 4,
    SIM_VPCD_COMMAND = 256 /* a C-APDU is in the buffer */
};

/* Connects to "HOST:PORT", trying again for wait_ms. Gives the socket or an error. */
DP_MUST_USE int sim_vpcd_connect(const char *where, int wait_ms, int *fd);
/* Waits for what the reader wants. DP_ERR_TIMEOUT after timeout_ms (-1: none), DP_ERR_GONE when
 * the reader closed. */
DP_MUST_USE int sim_vpcd_receive(int fd, int timeout_ms, enum sim_vpcd *what, struct sim_buf *in);
DP_MUST_USE int sim_vpcd_send(int fd, const uint8_t *p, size_t n);

#endif
