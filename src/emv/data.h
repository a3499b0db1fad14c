/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data elements of one payment. What the card says can never replace what is the terminal's or
 * the issuer's: its elements with such tags are not kept. Everything is wiped with the payment.
 */
#ifndef DP_EMV_DATA_H
#define DP_EMV_DATA_H

#include <doorpay/tlv.h>

#include "base/limits.h"

enum emv_origin {
    EMV_FROM_CARD = 1,  /* records, answers to GET PROCESSING OPTIONS and GENERATE AC */
    EMV_FROM_SELECTION, /* file control information: may come again in a record */
    EMV_FROM_TERMINAL,
    EMV_FROM_ISSUER
};

struct emv_element {
    uint32_t tag;
    enum emv_origin origin;
    uint16_t at, n; /* in bytes; the values stand as they came, those replaced stay behind */
};

struct emv_data {
    uint8_t bytes[DP_EMV_DATA_MAX];
    size_t used;
    struct emv_element elements[DP_EMV_ELEMENTS_MAX];
    size_t n;
};

/* Empty, and what was in it wiped. */
void emv_data_clear(struct emv_data *d);
/* Sets or replaces, whoever's it was: for the terminal's and issuer's data, and for the card's
 * where a later value counts (the second cryptogram). DP_ERR_LIMIT: too many or too much. */
DP_MUST_USE int emv_data_set(struct emv_data *d, uint32_t tag, enum emv_origin origin,
                             const void *p, size_t n);
/*
 * Takes one element the card gave. An empty value counts as absent; a template, what is the
 * terminal's, what does not belong in file control information, and a value of wrong length that
 * no step needs are passed over. DP_ERR_DUPLICATE: the
 * card gave this tag before; DP_ERR_RANGE: wrong length of an element steps rely on; DP_ERR_LIMIT.
 */
DP_MUST_USE int emv_data_take(struct emv_data *d, const struct dp_tlv *t, enum emv_origin origin);
/* Takes each element of a row, templates' insides not. Also DP_ERR_SHORT, DP_ERR_FORMAT. */
DP_MUST_USE DP_PARSES int emv_data_take_row(struct emv_data *d, struct dp_bytes row,
                                            enum emv_origin origin);
/* The value, {NULL, 0} when there is none; valid until it is set again or the
 * store is cleared. */
struct dp_bytes emv_data_get(const struct emv_data *d, uint32_t tag);
bool emv_data_has(const struct emv_data *d, uint32_t tag);
/* The element itself (origin), or NULL. */
const struct emv_element *emv_data_find(const struct emv_data *d, uint32_t tag);

/* BCD of n digits' worth of bytes. DP_ERR_FORMAT: a nibble above 9. */
DP_MUST_USE DP_PARSES int emv_bcd_read(struct dp_bytes v, uint64_t *out);
void emv_bcd_write(uint64_t v, uint8_t *out, size_t n);

#endif
