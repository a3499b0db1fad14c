/* SPDX-License-Identifier: Apache-2.0 */
/* A card on the contactless interface, while no contactless kernel is built in. */
#include "kernel.h"

int emv_contactless(struct dp_emv_kernel *k)
{
    return emv_end(k, DP_EMV_ENDED, DP_EMV_REASON_KERNEL_UNSUPPORTED,
                   "no kernel for the contactless interface");
}
