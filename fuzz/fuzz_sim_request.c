/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal's message as the acquirer simulator reads it. What is decoded encodes to the same
 * bytes but for the MAC; what is taken for a request keeps what was promised about it.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/chip.h"
#include "sim/iso.h"
#include "sim/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void encodes_as_it_came(const struct sim_iso *m, const uint8_t *data, size_t size)
{
    static struct sim_buf out;
    size_t mac_n = sim_iso_mac(m).n;
    must(mac_n == 8 || mac_n == 16);
    must(sim_iso_encode(m, mac_n, &out) == DP_OK);
    must(out.n == size && memcmp(out.p, data, size - mac_n) == 0);
}

static void is_a_request(const struct sim_request *q)
{
    bool payment = q->mti == 1100 || q->mti == 1200 || q->mti == 1220;
    must(payment || q->mti == 1420 || q->mti == 1520 || q->mti == 1804);
    must(q->mode <= SIM_MODE_DEFERRED && sim_mode_name(q->mode) != NULL);
    must(q->repeat == (q->repeat_number > 0) || !(payment || q->mti == 1420));
    must(strlen(q->tid) == 8);
    if (payment || q->mti == 1420)
        must(q->has_tx && q->has_batch && q->amount > 0 && dp_currency_alpha(q->currency) != NULL);
    if (payment)
        must(q->mode != SIM_MODE_NONE && q->iso->has[2] != q->iso->has[120]);
    if (q->mti == 1420)
        must(strlen(q->original_stan) == 6 && strlen(q->original_local) == 12);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sim_iso m;
    static struct sim_request q;
    static struct sim_chip chip;
    unsigned wrong = 0;
    uint32_t tag = 0;
    char why[160] = "";
    if (sim_iso_decode(data, size, &m, &wrong) != DP_OK) {
        must(wrong <= 128);
        return 0;
    }
    encodes_as_it_came(&m, data, size);
    if (sim_request_read(&m, &q, why, sizeof why) != DP_OK) {
        must(why[0] != '\0');
        must(q.mode <= SIM_MODE_DEFERRED);
        return 0;
    }
    is_a_request(&q);
    if (sim_chip_read(sim_iso_bytes(&m, 55), &chip, &tag) == DP_OK)
        must(chip.input.iad_n <= SIM_IAD_MAX && chip.cid >= -1 && chip.cid <= 255);
    return 0;
}
