/* SPDX-License-Identifier: Apache-2.0 */
/* The number that a contactless card in stripe mode puts into its track data. */
#ifndef DP_SIM_CVC3_H
#define DP_SIM_CVC3_H

#include <doorpay/base.h>

/* Two bytes for a track, of which a terminal takes as many decimal digits as the card asks for.
 * track: the static template of the track, as the card was personalised with it. */
DP_MUST_USE int sim_cvc3(const uint8_t key[16], const uint8_t *track, size_t track_n,
                         const uint8_t atc[2], const uint8_t un[4], uint8_t cvc3[2]);

#endif
