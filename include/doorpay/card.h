/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers and cards. A reader is a set of operations somebody hands the core: PC/SC, libnfc, a
 * phone's own transceive function, or a recorded conversation. Above it stands one exchange that
 * knows the APDU cases, 61xx and 6Cxx.
 */
#ifndef DOORPAY_CARD_H
#define DOORPAY_CARD_H

#include <doorpay/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum dp_card_interface {
    DP_INTERFACE_CONTACT = 1,
    DP_INTERFACE_CONTACTLESS = 2
};

enum dp_card_protocol {
    DP_PROTOCOL_T0 = 0,
    DP_PROTOCOL_T1 = 1,
    DP_PROTOCOL_ISO14443_4 = 4
};

/* What is known of a card that answered. */
struct dp_card_info {
    enum dp_card_interface interface;
    enum dp_card_protocol protocol;
    uint8_t atr[33];
    uint8_t atr_n;
};

/*
 * One reader. Every function returns DP_OK or an error: DP_ERR_GONE (card or reader removed),
 * DP_ERR_TIMEOUT, DP_ERR_CANCELLED, DP_ERR_IO.
 */
struct dp_reader_ops {
    /* Waits until a card is there and powered, at most timeout_ms. */
    int (*wait_card)(void *ctx, int timeout_ms, struct dp_card_info *info);
    /* One C-APDU as it stands to the card, its R-APDU back. *answer_n holds the size of answer and
     * comes back as the bytes written; never more. */
    int (*transceive)(void *ctx, const uint8_t *command, size_t command_n, uint8_t *answer,
                      size_t *answer_n, int timeout_ms);
    /* Powers the card off; it may be taken out. */
    int (*power_off)(void *ctx);
    /* Waits until the card has been taken out, at most timeout_ms. */
    int (*wait_removal)(void *ctx, int timeout_ms);
    /* Makes a waiting call in another thread or signal handler return DP_ERR_CANCELLED. */
    void (*cancel)(void *ctx);
    void (*close)(void *ctx);
};

struct dp_card_reader {
    const struct dp_reader_ops *ops;
    void *ctx;
};

/* ISO 7816-4 command; case 1 to 4 by data and le. */
struct dp_apdu {
    uint8_t cla, ins, p1, p2;
    struct dp_bytes data; /* n = 0: no Lc; at most 255 bytes */
    int le;               /* -1: none; 0: 256 or all; 1..255 */
};

/* The answer: data without the status word. The bytes live in the caller's buffer. */
struct dp_apdu_answer {
    struct dp_bytes data;
    uint16_t sw;
};

/* Watches every C-APDU and R-APDU as it goes over the reader (for replay, timing, support). */
typedef void dp_apdu_tap(void *ctx, bool command, const uint8_t *p, size_t n);

/* A powered card: the reader, its protocol, and the bound on commands of one payment. */
struct dp_card {
    struct dp_card_reader reader;
    struct dp_card_info info;
    unsigned commands_left; /* C-APDUs until DP_ERR_LIMIT */
    int timeout_ms;         /* of one exchange */
    dp_apdu_tap *tap;       /* may be NULL */
    void *tap_ctx;
};

/* Waits for a card and fills card. Errors as dp_reader_ops. */
DP_PUBLIC DP_MUST_USE int dp_card_connect(struct dp_card *card, const struct dp_card_reader *reader,
                                          int timeout_ms);
/*
 * One command with GET RESPONSE (61xx) and wrong Le (6Cxx) done here, bounded by
 * DP_APDU_CHAIN_MAX. answer->data points into buffer. DP_ERR_FORMAT: no status word, or more
 * bytes than were asked for; DP_ERR_LIMIT: too many rounds or commands; DP_ERR_SPACE: more data
 * than buffer holds; and the reader's errors. ISO/IEC 7816-4, 5.1 and EMV 4.4 Book 1, 9.3.1.
 */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_card_exchange(struct dp_card *card,
                                                     const struct dp_apdu *command, uint8_t *buffer,
                                                     size_t buffer_n,
                                                     struct dp_apdu_answer *answer);

/* ---- backends; each reader is closed with its ops->close ---- */

/* PC/SC: the reader whose name contains name_part (NULL: the first), through pcscd.
 * DP_ERR_NOT_FOUND: no such reader; DP_ERR_GONE: no pcscd. */
DP_PUBLIC DP_MUST_USE int dp_reader_pcsc_open(const char *name_part, struct dp_card_reader *out);

/* A recorded conversation ("> C-APDU", "< R-APDU" in hex, "#" comments, ATR as "! ATR"). */
enum dp_transcript_match {
    DP_TRANSCRIPT_STRICT = 0,
    DP_TRANSCRIPT_HEADER = 1
};
/* text is copied. DP_ERR_FORMAT: *line (1-based) says where. A C-APDU that does not match ends
 * in DP_ERR_MISMATCH from transceive. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_reader_transcript_open(const char *text, size_t text_n,
                                                              enum dp_card_interface interface,
                                                              enum dp_transcript_match match,
                                                              struct dp_card_reader *out,
                                                              unsigned *line);

/* A function of the caller's: the seam for phones and other terminals. */
typedef int dp_transceive_fn(void *user, const uint8_t *command, size_t command_n, uint8_t *answer,
                             size_t *answer_n, int timeout_ms);
DP_PUBLIC DP_MUST_USE int dp_reader_callback_open(dp_transceive_fn *fn, void *user,
                                                  const struct dp_card_info *info,
                                                  struct dp_card_reader *out);

#ifdef __cplusplus
}
#endif
#endif
