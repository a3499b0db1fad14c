/* SPDX-License-Identifier: Apache-2.0 */
#include "cvc3.h"

#include <string.h>

#include "cipher.h"

int sim_cvc3(const uint8_t key[16], const uint8_t *track, size_t track_n, const uint8_t atc[2],
             const uint8_t un[4], uint8_t cvc3[2])
{
    uint8_t mac[8], in[8], out[8];
    int err = sim_retail_mac(key, SIM_PAD_80, track, track_n, mac);
    if (err != DP_OK)
        return err;
    memcpy(in, mac + 6, 2);
    memcpy(in + 2, un, 4);
    memcpy(in + 6, atc, 2);
    err = sim_ecb(SIM_DES3, key, true, in, 8, out);
    memcpy(cvc3, out + 6, 2);
    return err;
}
