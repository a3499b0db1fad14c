/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DP_DOORPAYD_SOFTWARE_H
#define DP_DOORPAYD_SOFTWARE_H

#include <doorpay/base.h>

/* SHA-256 of the running executable, for the checkpoints; zeros when it cannot be read. */
void dp_software_digest(uint8_t digest[32]);

#endif
