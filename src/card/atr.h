/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DP_CARD_ATR_H
#define DP_CARD_ATR_H

#include <doorpay/card.h>

/*
 * Reads an answer to reset and fills info: the ATR, the protocol it offers first, and the
 * interface. A reader shows a contactless card by an ATR of its own making (PC/SC part 3, the ATR
 * 3B 8n 80 01, n historical bytes, TCK). DP_ERR_FORMAT: no ATR by ISO/IEC 7816-3, 8.2, or bytes
 * left over, or a wrong TCK; DP_ERR_UNSUPPORTED: neither T=0 nor T=1 comes first.
 */
DP_MUST_USE DP_PARSES int dp_atr_read(const uint8_t *atr, size_t atr_n, struct dp_card_info *info);

#endif
