/* SPDX-License-Identifier: Apache-2.0 */
/* What Entry Point and the contactless kernels say to each other. */
#ifndef DP_EMV_CONTACTLESS_H
#define DP_EMV_CONTACTLESS_H

#include "kernel.h"

/* Terminal transaction qualifiers, 9F66, byte in the high part. */
enum emv_ttq {
    TTQ_MSD = 0x080,
    TTQ_QVSDC = 0x020,
    TTQ_CONTACT_CHIP = 0x010,
    TTQ_OFFLINE_ONLY = 0x008,
    TTQ_ONLINE_PIN = 0x004,
    TTQ_SIGNATURE = 0x002,
    TTQ_ODA_FOR_ONLINE = 0x001,
    TTQ_ONLINE_CRYPTOGRAM = 0x180,
    TTQ_CVM_REQUIRED = 0x140,
    TTQ_CONTACT_OFFLINE_PIN = 0x120,
    TTQ_ISSUER_UPDATE = 0x280,
    TTQ_DEVICE_CVM = 0x240
};

/* What pre-processing makes of one AID's limits and this amount. */
struct emv_preprocessed {
    bool allowed; /* below the transaction limit, and a kernel 3 that speaks qVSDC */
    uint8_t ttq[4];
};

/* A kernel's answer beside EMV_GO_ON and EMV_OVER: Entry Point takes the next application. */
enum {
    EMV_SELECT_NEXT = 2
};

/* Pure: limits of the AID, the amount, and what the transaction permits. */
struct emv_preprocessed emv_preprocess(const struct dp_emv_aid *aid,
                                       const struct dp_emv_transaction *t);
bool emv_ttq_has(const uint8_t ttq[4], enum emv_ttq bit);
/* The application is selected and its FCI taken; k->aid says which. */
DP_MUST_USE int emv_kernel3(struct dp_emv_kernel *k, const uint8_t ttq[4]);

#endif
