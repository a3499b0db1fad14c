/* SPDX-License-Identifier: Apache-2.0 */
/* A contactless card in stripe mode: track data with a number that changes, no cryptogram. It is
 * here to be refused. */
#include "cvc3.h"
#include "virtual.h"

/* COMPUTE CRYPTOGRAPHIC CHECKSUM over the unpredictable number (the default UDOL). */
uint16_t sim_compute_checksum(struct sim_card *card, const struct sim_apdu *c, struct sim_buf *out)
{
    static struct sim_buf body;
    const struct sim_application *a = card->selected;
    const uint8_t atc[2] = {(uint8_t)(card->atc >> 8), (uint8_t)card->atc};
    const struct sim_element *track2;
    uint8_t cvc3[2];
    if (a == NULL || !a->profile->stripe || card->phase != SIM_PHASE_INITIATED)
        return 0x6985;
    if (c->p1 != 0x8E || c->p2 != 0x80)
        return 0x6A86;
    if (c->n != 4)
        return 0x6700;
    track2 = sim_element(&a->elements, 0x57);
    if (sim_cvc3(a->master.ac, track2->value, track2->n, atc, c->data, cvc3) != DP_OK)
        return 0x6F00;
    body.n = 0;
    sim_put_tlv(&body, 0x9F61, cvc3, sizeof cvc3);
    sim_put_tlv(&body, 0x9F36, atc, sizeof atc);
    sim_put_tlv_buf(out, 0x77, &body);
    card->phase = SIM_PHASE_DONE;
    return 0x9000;
}
