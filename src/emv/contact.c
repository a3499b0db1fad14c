/* SPDX-License-Identifier: Apache-2.0 */
/* A contact payment, step by step: EMV 4.4 Book 3, section 8. */
#include "contact.h"

static int select_and_initiate(struct dp_emv_kernel *k)
{
    int rc = emv_candidates_build(k);
    if (rc == EMV_GO_ON)
        rc = emv_candidates_offer(k);
    while (rc == EMV_GO_ON) {
        rc = emv_application_select(k);
        if (rc == EMV_GO_ON)
            rc = emv_initiate(k);
        if (rc != EMV_SELECT_AGAIN)
            return rc;
        emv_candidate_strike(k);
        rc = EMV_GO_ON;
    }
    return rc;
}

int emv_contact(struct dp_emv_kernel *k)
{
    static int (*const steps[])(struct dp_emv_kernel *) = {
        select_and_initiate, emv_records_read, emv_card_data_fill,
        emv_lists_check,     emv_authenticate, emv_restrict,
        emv_verify_holder,   emv_manage_risk,  emv_complete,
    };
    int rc = EMV_GO_ON;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && rc == EMV_GO_ON; i++)
        rc = steps[i](k);
    return rc;
}
