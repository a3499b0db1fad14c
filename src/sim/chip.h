/* SPDX-License-Identifier: Apache-2.0 */
/* DE55 as the issuer reads it: what the cryptogram was made of, and whether it is right. */
#ifndef DP_SIM_CHIP_H
#define DP_SIM_CHIP_H

#include <doorpay/base.h>

#include "issuer_script.h"
#include "pack.h"
#include "seal.h"

struct sim_chip {
    struct sim_ac_input input;
    uint8_t ac[8];
    int cid;              /* 9F27; -1: not sent */
    bool carries_card_no; /* 57, 5A or 56 stand in it */
    struct sim_iad iad;
    struct sim_card_keys master; /* after sim_chip_verify */
};

/* *wrong names the tag that is missing, twice there or of a wrong length. DP_ERR_FORMAT,
 * DP_ERR_MISSING, DP_ERR_DUPLICATE, DP_ERR_UNSUPPORTED (form of 9F10). */
DP_MUST_USE DP_PARSES int sim_chip_read(struct dp_bytes de55, struct sim_chip *out,
                                        uint32_t *wrong);
/* DP_ERR_SIGNATURE: not the cryptogram of this card over these data. */
DP_MUST_USE int sim_chip_verify(struct sim_chip *chip, const struct sim_issuer_keys *keys,
                                const struct sim_card_data *card);
/* Tag 91 and 8A into the answer's DE55. arc: "00" approves. */
DP_MUST_USE int sim_chip_answer(const struct sim_chip *chip, const char *arc, struct sim_buf *out);
/* An issuer script for the answer. wanted: a template 71 or 72, put as it is; or a command's four
 * header bytes and data, which gets its MAC and stands in a template 72. */
DP_MUST_USE int sim_chip_script(const struct sim_chip *chip, const uint8_t *wanted, size_t n,
                                struct sim_buf *out);

/* PIN CHANGE in a template 72; before NULL: without the PIN before. */
DP_MUST_USE int sim_chip_pin_change(const struct sim_chip *chip, const char *pin,
                                    const char *before, struct sim_buf *out);

#endif
