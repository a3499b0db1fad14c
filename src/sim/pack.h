/* SPDX-License-Identifier: Apache-2.0 */
/* The simulators' own packing: a byte buffer that stops the program when it overflows (its sizes
 * are ours, not a peer's), BER-TLV, CBOR heads, BCD, and text files. */
#ifndef DP_SIM_PACK_H
#define DP_SIM_PACK_H

#include <doorpay/base.h>

#define SIM_BUF_MAX 65536

struct sim_buf {
    size_t n;
    uint8_t p[SIM_BUF_MAX];
};

void sim_put(struct sim_buf *b, const void *p, size_t n);
void sim_put_u8(struct sim_buf *b, uint8_t v);
void sim_put_u16(struct sim_buf *b, uint16_t v);
void sim_put_fill(struct sim_buf *b, uint8_t v, size_t n);

/* ---- BER-TLV as EMV uses it ---- */
void sim_put_tlv(struct sim_buf *b, uint32_t tag, const void *value, size_t n);
/* The length in one byte, up to 255, as data object lists and some hosts' fields have it. */
void sim_put_simple_tlv(struct sim_buf *b, uint32_t tag, const void *value, size_t n);
void sim_put_tlv_buf(struct sim_buf *b, uint32_t tag, const struct sim_buf *value);

struct sim_tlv {
    uint32_t tag;
    bool constructed;
    size_t at;    /* where the tag begins */
    size_t value; /* where the value begins */
    size_t n;     /* bytes of value */
};
/* The element at *at within [0, end); *at moves behind it. DP_ERR_FORMAT when it does not fit or
 * its length is of the indefinite form (80), DP_ERR_NOT_FOUND at the end. */
DP_MUST_USE int sim_tlv_next(const uint8_t *p, size_t end, size_t *at, struct sim_tlv *out);
/* ... whose length is one byte. */
DP_MUST_USE int sim_simple_tlv_next(const uint8_t *p, size_t end, size_t *at, struct sim_tlv *out);
/* The first element of that tag, at any depth (templates are entered). DP_ERR_NOT_FOUND. */
DP_MUST_USE int sim_tlv_find(const uint8_t *p, size_t n, uint32_t tag, struct sim_tlv *out);
/* Puts another value into the first element of that tag and mends the lengths of the templates
 * around it; value NULL takes the element out. DP_ERR_NOT_FOUND. */
DP_MUST_USE int sim_tlv_replace(struct sim_buf *b, uint32_t tag, const uint8_t *value, size_t n);

/* Data object lists: bytes the list asks for, and where one tag's bytes lie among them. */
size_t sim_dol_length(const uint8_t *dol, size_t n);
bool sim_dol_find(const uint8_t *dol, size_t n, uint32_t tag, size_t *offset, size_t *length);

/* ---- CBOR, shortest heads (RFC 8949, 4.2.1) ---- */
enum sim_cbor_major {
    SIM_CBOR_UINT = 0,
    SIM_CBOR_NINT = 1,
    SIM_CBOR_BSTR = 2,
    SIM_CBOR_TSTR = 3,
    SIM_CBOR_ARRAY = 4,
    SIM_CBOR_MAP = 5,
    SIM_CBOR_TAG = 6
};
void sim_put_cbor(struct sim_buf *b, enum sim_cbor_major major, uint64_t v);
void sim_put_cbor_bytes(struct sim_buf *b, const void *p, size_t n);
void sim_put_cbor_text(struct sim_buf *b, const char *text);
void sim_put_cbor_bool(struct sim_buf *b, bool v);

/* ---- digits ---- */
/* Decimal text as right-justified BCD of n bytes. DP_ERR_FORMAT, DP_ERR_SPACE. */
DP_MUST_USE int sim_bcd_right(const char *digits, uint8_t *out, size_t n);
/* Digits left-justified, padded with F, as tag 5A; the bytes used. */
DP_MUST_USE int sim_bcd_left(const char *digits, uint8_t *out, size_t n);
uint64_t sim_bcd_value(const uint8_t *p, size_t n);

/* ---- files ---- */
/* A whole file; DP_ERR_IO, DP_ERR_SPACE. */
DP_MUST_USE int sim_read_file(const char *path, uint8_t *out, size_t max, size_t *n);
/* Writes a new file, mode 0600 when secret. DP_ERR_IO. */
DP_MUST_USE int sim_write_file(const char *path, const void *p, size_t n, bool secret);
/* Hex text of exactly n bytes. DP_ERR_IO, DP_ERR_FORMAT. */
DP_MUST_USE int sim_read_hex_file(const char *path, uint8_t *out, size_t n);
DP_MUST_USE int sim_write_hex_file(const char *path, const uint8_t *p, size_t n, bool secret);
/* dir/name into out. */
const char *sim_path(char *out, size_t out_n, const char *dir, const char *name);

#endif
