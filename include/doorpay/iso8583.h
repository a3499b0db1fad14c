/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ISO 8583: layouts as data, and one codec for all of them. The codec allocates nothing, holds a
 * message in one plain value, and checks every length against what is left; a message that decodes
 * packs again to the same bytes.
 */
#ifndef DOORPAY_ISO8583_H
#define DOORPAY_ISO8583_H

#include <doorpay/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DP_ISO8583_FIELDS      129  /* DE1 (secondary bitmap) is never held as a field */
#define DP_ISO8583_CONTENT_MAX 4096 /* content bytes of all fields of one message */
#define DP_ISO8583_WORDS       112

/* What went wrong, for people: "DE35: length 39 over 37". */
struct dp_iso8583_error {
    int de; /* the field, 0: MTI or bitmap, -1: the message as a whole */
    char words[DP_ISO8583_WORDS];
};

/* ---- layouts ---- */

enum dp_iso8583_kind {
    DP_ISO8583_ABSENT = 0,
    DP_ISO8583_N,  /* digits */
    DP_ISO8583_XN, /* 'C' or 'D', then digits */
    DP_ISO8583_AN,
    DP_ISO8583_ANS,
    DP_ISO8583_Z, /* track 2: digits and 'D' */
    DP_ISO8583_B, /* bytes */
    DP_ISO8583_MAC
};

enum dp_iso8583_coding {
    DP_ISO8583_PACKED = 0, /* BCD digits; binary lengths, bitmaps and bytes as they are */
    DP_ISO8583_ASCII,      /* digits and hex as text */
    DP_ISO8583_COUNT       /* lengths only: a plain binary count */
};

enum dp_iso8583_mask {
    DP_ISO8583_MASK_NONE = 0,
    DP_ISO8583_MASK_PAN,
    DP_ISO8583_MASK_EXPIRY,
    DP_ISO8583_MASK_TRACK2,
    DP_ISO8583_MASK_EMV, /* 57, 5A and their kin inside BER-TLV */
    DP_ISO8583_MASK_ALL
};

struct dp_iso8583_element {
    uint8_t kind;          /* enum dp_iso8583_kind */
    uint8_t length_digits; /* 0 fixed, 2 LL, 3 LLL */
    uint8_t mask;          /* enum dp_iso8583_mask */
    uint16_t max;          /* digits, characters or bytes; fixed: exactly */
    char name[40];
};

struct dp_iso8583_layout {
    char name[17];
    uint8_t mti, bitmap, length, numeric, binary; /* enum dp_iso8583_coding */
    struct dp_iso8583_element element[DP_ISO8583_FIELDS];
};

/* A profile that is compiled in ("iso93-pos", "iso87-bcd", "iso87-ascii"), NULL when there is none
 * of that name; static lifetime. */
DP_PUBLIC const struct dp_iso8583_layout *dp_iso8583_profile(const char *name);
/* The compiled-in profiles by index from 0; NULL past the last. */
DP_PUBLIC const struct dp_iso8583_layout *dp_iso8583_profile_at(size_t index);
/* A layout from its text (src/iso8583/layouts), checked whole. DP_ERR_FORMAT, DP_ERR_DUPLICATE,
 * DP_ERR_MISSING, DP_ERR_RANGE; error->words names the line. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_iso8583_layout_load(const char *text, size_t n,
                                                           struct dp_iso8583_layout *out,
                                                           struct dp_iso8583_error *error);
/* The text of a layout, terminated; *n without the terminator. DP_ERR_SPACE. */
DP_PUBLIC DP_MUST_USE int dp_iso8583_layout_text(const struct dp_iso8583_layout *layout, char *out,
                                                 size_t max, size_t *n);

/* ---- messages ---- */

/*
 * A message as a plain value. Content of a field: ASCII digits for n and z (D as separator), sign
 * letter and digits for xn, characters for an and ans (fixed ones blank-padded by pack, padded as
 * they came after unpack), bytes for b and the MAC. It may hold card data: wipe it.
 */
struct dp_iso8583_message {
    uint16_t mti; /* 1200 as the number 1200 */
    int err;      /* sticky: the first failure of a setter */
    int err_de;
    size_t n; /* bytes of content used */
    struct {
        uint16_t at, n; /* n 0: absent */
    } field[DP_ISO8583_FIELDS];
    uint8_t content[DP_ISO8583_CONTENT_MAX];
};

/* Empties the message. */
DP_PUBLIC void dp_iso8583_init(struct dp_iso8583_message *m, unsigned mti);
DP_PUBLIC void dp_iso8583_wipe(struct dp_iso8583_message *m);
/* Setters: a failure (DE out of 2..128, no room, empty) is kept in m->err and returned by pack.
 * A field set twice keeps the last. */
DP_PUBLIC void dp_iso8583_set(struct dp_iso8583_message *m, int de, const void *p, size_t n);
DP_PUBLIC void dp_iso8583_set_text(struct dp_iso8583_message *m, int de, const char *text);
/* value as exactly that many digits (1..20); more digits than fit is a failure. */
DP_PUBLIC void dp_iso8583_set_number(struct dp_iso8583_message *m, int de, uint64_t value,
                                     unsigned digits);
DP_PUBLIC bool dp_iso8583_has(const struct dp_iso8583_message *m, int de);
/* Content, valid as long as m is not changed; {NULL, 0} when absent. */
DP_PUBLIC struct dp_bytes dp_iso8583_get(const struct dp_iso8583_message *m, int de);
/* Content of a field of digits. False when absent, not digits, or over 19 digits. */
DP_PUBLIC bool dp_iso8583_get_number(const struct dp_iso8583_message *m, int de, uint64_t *value);
/* Content as a terminated string. False when absent or longer than max - 1. */
DP_PUBLIC bool dp_iso8583_get_text(const struct dp_iso8583_message *m, int de, char *out,
                                   size_t max);
/* Both hold the same content in this field, or neither holds it. */
DP_PUBLIC bool dp_iso8583_same(const struct dp_iso8583_message *a,
                               const struct dp_iso8583_message *b, int de);

/*
 * Packs. mac_n 8 or 16: room for the MAC is left as the last bytes, zeroed, its bit set (DE64, or
 * DE128 when there is a secondary bitmap); 0: no MAC but what the message itself holds.
 * DP_ERR_RANGE (length), DP_ERR_FORMAT (content), DP_ERR_UNSUPPORTED (not in the layout),
 * DP_ERR_SPACE. error may be NULL.
 */
DP_PUBLIC DP_MUST_USE int dp_iso8583_pack(const struct dp_iso8583_layout *layout,
                                          const struct dp_iso8583_message *m, unsigned mac_n,
                                          uint8_t *out, size_t max, size_t *n,
                                          struct dp_iso8583_error *error);
/*
 * Unpacks, consuming exactly n bytes. DP_ERR_SHORT, DP_ERR_TRAILING, DP_ERR_FORMAT, DP_ERR_RANGE,
 * DP_ERR_UNSUPPORTED. error may be NULL. Check the MAC first.
 */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_iso8583_unpack(const struct dp_iso8583_layout *layout,
                                                      const uint8_t *p, size_t n,
                                                      struct dp_iso8583_message *m,
                                                      struct dp_iso8583_error *error);

/* What is needed to check a MAC before anything is decoded. All point into the message. */
struct dp_iso8583_mac {
    struct dp_bytes covered, mac, ksn; /* ksn: content of DE53, n 0 when absent */
};

/*
 * Walks the element lengths, and nothing else, to the key serial number and the MAC. mac_n: the
 * MAC's length by setting. DP_ERR_MISSING: no MAC; DP_ERR_RANGE: another length of MAC; and
 * dp_iso8583_unpack's errors.
 */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_iso8583_find_mac(const struct dp_iso8583_layout *layout,
                                                        const uint8_t *p, size_t n, unsigned mac_n,
                                                        struct dp_iso8583_mac *out);

/*
 * The message as it may be logged: same length, card data masked (the PAN keeps its first six and
 * last four digits, in fields and inside DE55). DP_ERR_*: it does not decode and nothing may be
 * logged; out is then zeroed. p and out may be the same.
 */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_iso8583_mask(const struct dp_iso8583_layout *layout,
                                                    const uint8_t *p, size_t n, uint8_t *out);

/* ---- DE55: EMV data, elements side by side ---- */

/* The next element at *at, which moves behind it; unknown tags are elements like others. Value of
 * a template is handed out whole. DP_ERR_NOT_FOUND at the end, DP_ERR_SHORT, DP_ERR_FORMAT. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_iso8583_emv_next(struct dp_bytes data, size_t *at,
                                                        uint32_t *tag, struct dp_bytes *value);

/* ---- DE48 of iso93-pos: tag u8 | length u8 | value ---- */

enum dp_iso8583_tag {
    DP_DE48_PARCEL = 1,
    DP_DE48_MODE = 2,
    DP_DE48_KEY_BLOCK = 3,
    DP_DE48_BATCH = 4,
    DP_DE48_TX = 5,
    DP_DE48_JOURNAL = 6,
    DP_DE48_BUSINESS_DATE = 7,
    DP_DE48_DEFERRED_UNTIL = 8,
    DP_DE48_REPEAT = 9
};

/* Appends an element at out + *n. DP_ERR_SPACE, DP_ERR_RANGE (over 255 bytes). */
DP_PUBLIC DP_MUST_USE int dp_iso8583_tag_add(uint8_t *out, size_t max, size_t *n, uint8_t tag,
                                             const void *value, size_t value_n);
/* The next element at *at, which moves behind it. DP_ERR_NOT_FOUND at the end, DP_ERR_SHORT. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_iso8583_tag_next(struct dp_bytes data, size_t *at,
                                                        uint8_t *tag, struct dp_bytes *value);

/* ---- DE56: original data elements ---- */

struct dp_iso8583_original {
    uint16_t mti;
    uint32_t stan;
    char de12[13], acquirer[12];
};

/* Sets DE56; de12 has 12 digits, acquirer at most 11. A failure is kept in m->err as a setter's. */
DP_PUBLIC void dp_iso8583_set_original(struct dp_iso8583_message *m,
                                       const struct dp_iso8583_original *original);
/* DP_ERR_MISSING, DP_ERR_FORMAT. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_iso8583_get_original(const struct dp_iso8583_message *m,
                                                            struct dp_iso8583_original *original);

#ifdef __cplusplus
}
#endif
#endif
