/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ISO 8583:1993 as the acquirer's host has it (docs/PROTOCOL.acquirer), a codec of the simulator's
 * own. Numbers, texts and track 2 are kept as characters, blanks and all, so that an echoed
 * element comes out as it came in; binary elements as bytes.
 */
#ifndef DP_SIM_ISO_H
#define DP_SIM_ISO_H

#include <doorpay/base.h>

#include "pack.h"

#define SIM_ISO_MESSAGE_MAX 4096
#define SIM_ISO_ELEMENTS    129 /* DE1 to DE128 at their own numbers */

struct sim_iso {
    char mti[5];
    bool has[SIM_ISO_ELEMENTS];
    uint16_t at[SIM_ISO_ELEMENTS], n[SIM_ISO_ELEMENTS];
    size_t pool_n;
    /* two characters a byte at most, and a NUL an element */
    char pool[2 * SIM_ISO_MESSAGE_MAX + SIM_ISO_ELEMENTS];
};

/* Strict: every element known, in its format and length, the MAC last and nothing behind it.
 * *wrong is the element at which it failed (0: MTI or bitmap). DP_ERR_SHORT, DP_ERR_TRAILING,
 * DP_ERR_FORMAT, DP_ERR_MISSING (no MAC), DP_ERR_UNSUPPORTED (no such element), DP_ERR_LIMIT. */
DP_MUST_USE DP_PARSES int sim_iso_decode(const uint8_t *p, size_t n, struct sim_iso *out,
                                         unsigned *wrong);

/* An element's characters; "" when it is not there. */
const char *sim_iso_text(const struct sim_iso *m, unsigned de);
struct dp_bytes sim_iso_bytes(const struct sim_iso *m, unsigned de);
/* DE64 or DE128, whichever is there. */
struct dp_bytes sim_iso_mac(const struct sim_iso *m);

void sim_iso_begin(struct sim_iso *m, const char *mti);
void sim_iso_set(struct sim_iso *m, unsigned de, const void *p, size_t n);
void sim_iso_set_text(struct sim_iso *m, unsigned de, const char *text);
/* The message with mac_n zero bytes in the place of the MAC, for the caller to fill. DP_ERR_FORMAT:
 * an element does not fit its format. */
DP_MUST_USE int sim_iso_encode(const struct sim_iso *m, size_t mac_n, struct sim_buf *out);

#endif
