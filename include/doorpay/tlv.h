/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BER-TLV as EMV uses it (EMV 4.4 Book 3, Annex B), data object lists, and a dictionary of tags.
 * Nothing is copied: what comes back points into the caller's bytes and lives as long as they do.
 * No function allocates or recurses. A tag has at most four bytes and is a number here, first byte
 * highest: 0x5A, 0x9F26, 0xBF0C.
 */
#ifndef DOORPAY_TLV_H
#define DOORPAY_TLV_H

#include <doorpay/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- reading ---- */

struct dp_tlv {
    uint32_t tag;
    struct dp_bytes value;
    struct dp_bytes whole; /* tag, length and value as they stand */
};

/* True for a template: its value is a row of elements itself. */
DP_PUBLIC bool dp_tlv_is_template(uint32_t tag);

/*
 * The element at data.p + *at, and *at moved behind it; 00 bytes before it are padding. Start with
 * *at = 0. DP_ERR_NOT_FOUND: nothing but padding is left, the row ended well. DP_ERR_SHORT: ends
 * inside an element; DP_ERR_FORMAT: a tag of more than four bytes, or a length in another form than
 * one byte, 81 or 82. After an error *at is where the bad element begins.
 */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_tlv_next(struct dp_bytes data, size_t *at,
                                                struct dp_tlv *out);
/* The first element with this tag in a row of elements, not looking into templates; the row is read
 * to its end. DP_ERR_NOT_FOUND: a sound row without it; else as dp_tlv_next. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_tlv_find(struct dp_bytes data, uint32_t tag,
                                                struct dp_bytes *value);

/*
 * A walk over every element, templates before what is in them. Start with dp_tlv_walk_begin.
 * depth is 0 for the outermost row.
 */
struct dp_tlv_walk {
    struct dp_bytes data;
    size_t at;
    size_t end[8]; /* where each open template ends */
    unsigned depth;
};
DP_PUBLIC void dp_tlv_walk_begin(struct dp_tlv_walk *w, struct dp_bytes data);
/* The next element and its depth. DP_ERR_NOT_FOUND: all were visited. Errors as dp_tlv_next, w->at
 * says where; DP_ERR_LIMIT: templates in templates deeper than eight. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_tlv_walk_next(struct dp_tlv_walk *w, struct dp_tlv *out,
                                                     unsigned *depth);
/* Walks over everything. DP_OK: sound to its last byte; else the error, and in *bad_at (may be
 * NULL) where. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_tlv_check(struct dp_bytes data, size_t *bad_at);

/* ---- writing ---- */

/* Appends one element at out + *n. DP_ERR_SPACE: *n would exceed max, nothing is written;
 * DP_ERR_RANGE: a value over 65535 bytes, or tag 0. */
DP_PUBLIC DP_MUST_USE int dp_tlv_put(uint8_t *out, size_t max, size_t *n, uint32_t tag,
                                     const void *value, size_t value_n);

/* ---- data object lists: EMV 4.4 Book 3, 5.4 ---- */

struct dp_tlv_dol_entry {
    uint32_t tag;
    uint8_t length;
};
/* The entry at *at as dp_tlv_next; DP_ERR_NOT_FOUND at the end, DP_ERR_SHORT, DP_ERR_FORMAT. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_tlv_dol_next(struct dp_bytes dol, size_t *at,
                                                    struct dp_tlv_dol_entry *out);
/* True when the list is sound and has the tag; *length (may be NULL) is then its length. */
DP_PUBLIC DP_MUST_USE DP_PARSES bool dp_tlv_dol_has(struct dp_bytes dol, uint32_t tag,
                                                    uint8_t *length);
/* Where a value comes from; false: there is none, and zeros are sent. */
typedef bool dp_tlv_source(void *ctx, uint32_t tag, struct dp_bytes *value);
/*
 * The values a list asks for, one after another. A value longer or shorter than asked for is cut
 * or padded by its format in the dictionary: numeric on the left, with zeros; compressed numeric
 * on the right, with F; all else on the right, with zeros. Templates and what the source does not
 * have are zeros. DP_ERR_SPACE: more than max; DP_ERR_SHORT, DP_ERR_FORMAT: the list is not sound.
 */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_tlv_dol_fill(struct dp_bytes dol, dp_tlv_source *source,
                                                    void *ctx, uint8_t *out, size_t max, size_t *n);

/* ---- the dictionary ---- */

enum dp_tlv_format {
    DP_TLV_A = 1,    /* letters */
    DP_TLV_AN,       /* letters and digits */
    DP_TLV_ANS,      /* text */
    DP_TLV_B,        /* binary */
    DP_TLV_CN,       /* digits, left justified, padded with F */
    DP_TLV_N,        /* digits, right justified, padded with 0 */
    DP_TLV_DOL,      /* tags and lengths */
    DP_TLV_TAGS,     /* tags alone */
    DP_TLV_TEMPLATE, /* elements */
    DP_TLV_VAR       /* by scheme */
};
enum dp_tlv_origin {
    DP_TLV_CARD = 1,
    DP_TLV_TERMINAL,
    DP_TLV_ISSUER
};
struct dp_tlv_tag {
    uint32_t tag;
    enum dp_tlv_format format;
    uint16_t min, max; /* bytes of the value */
    enum dp_tlv_origin origin;
    bool secret;        /* identifies card or holder, or is a PIN: never shown in clear */
    uint32_t inside[3]; /* templates it may stand in; 0: none further */
    const char *name;
};
/* What is known of a tag, or NULL; static lifetime. */
DP_PUBLIC const struct dp_tlv_tag *dp_tlv_tag_find(uint32_t tag);
/* The i-th in order of tags, NULL past the last. */
DP_PUBLIC const struct dp_tlv_tag *dp_tlv_tag_at(size_t i);

#ifdef __cplusplus
}
#endif
#endif
