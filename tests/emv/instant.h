/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A card that answers at once and costs nothing: what a simulated card answered in one payment is
 * kept, and played to the same payment again. For measuring what is ours.
 */
#ifndef DP_TEST_INSTANT_H
#define DP_TEST_INSTANT_H

#include "sim_payment.h"

struct instant {
    struct sim_payment world; /* the payment that was recorded; runs may change nothing of it */
    uint8_t command[SIM_PAYMENT_LOG_MAX][261], answer[SIM_PAYMENT_LOG_MAX][260];
    size_t command_n[SIM_PAYMENT_LOG_MAX], answer_n[SIM_PAYMENT_LOG_MAX];
    unsigned n, at;
    struct dp_emv_kernel *kernel;
    struct dp_card_reader reader;
    struct dp_card card;
    struct dp_emv_result result;
};

/* Records the payment of a world made by sim_payment_open and changed as wanted. False: it failed.
 */
bool instant_record(struct instant *i);
/* Before each payment: the card is put in. Heap and other costs of readers are here. */
bool instant_begin(struct instant *i);
/* The payment: dp_emv_perform and nothing else. DP_ERR_MISMATCH: it was not the recorded one. */
int instant_perform(struct instant *i);
void instant_end(struct instant *i);

#endif
