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
 * One reader. Every function returns DP_OK or an error:
 *   DP_ERR_TIMEOUT      nothing came in time
 *   DP_ERR_CANCELLED    cancel was called
 *   DP_ERR_GONE         the card was taken out, or lost its power, in the middle
 *   DP_ERR_NOT_FOUND    the reader is not there (any more)
 *   DP_ERR_UNREACHABLE  the reader's service (pcscd) is not there (any more)
 *   DP_ERR_BUSY         another program holds the reader
 *   DP_ERR_UNSUPPORTED  a card is there that does not answer, or by no protocol we speak
 *   DP_ERR_FORMAT       what the card sent cannot be an ATR or R-APDU
 *   DP_ERR_IO           the reader failed
 * After any of them wait_card may be called again: it finds the reader anew when it can.
 */
struct dp_reader_ops {
    /* Waits until a card is there and powered, at most timeout_ms. */
    int (*wait_card)(void *ctx, int timeout_ms, struct dp_card_info *info);
    /* One C-APDU as it stands to the card, its R-APDU back. *answer_n holds the size of answer and
     * comes back as the bytes written; never more (more is the reader's defect, and is caught).
     * timeout_ms > 0. */
    int (*transceive)(void *ctx, const uint8_t *command, size_t command_n, uint8_t *answer,
                      size_t *answer_n, int timeout_ms);
    /* Powers the card off; it may be taken out. */
    int (*power_off)(void *ctx);
    /* Waits until the card has been taken out, at most timeout_ms. */
    int (*wait_removal)(void *ctx, int timeout_ms);
    /* From another thread or a signal handler: makes a wait under way, or else the next one,
     * return DP_ERR_CANCELLED. Forgotten at power_off. */
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

/* Waits for a card, at most timeout_ms, and fills card: a fresh count of commands, the usual time
 * of an exchange, no tap; the caller may change these afterwards. Errors as dp_reader_ops. */
DP_PUBLIC DP_MUST_USE int dp_card_connect(struct dp_card *card, const struct dp_card_reader *reader,
                                          int timeout_ms);
/*
 * One command and its whole answer. Done here, in at most DP_APDU_CHAIN_MAX further rounds: GET
 * RESPONSE after 61xx, and on T=0 after a warning to a case 4 command (which then still ends with
 * the warning); the command again after 6Cxx. On T=0 a case 4 command goes without Le.
 * answer->data points into buffer and is empty when the card ended with an error; answer->sw is
 * the card's, whatever it is.
 * DP_ERR_ARG: no such command; DP_ERR_FORMAT: no status word, more bytes than were asked for, or
 * announced bytes that never came; DP_ERR_LIMIT: too many rounds or commands, or over
 * DP_CARD_DATA_MAX; DP_ERR_SPACE: more data than buffer holds; DP_ERR_IO: the reader reports more
 * bytes than it had room for; and the reader's errors.
 */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_card_exchange(struct dp_card *card,
                                                     const struct dp_apdu *command, uint8_t *buffer,
                                                     size_t buffer_n,
                                                     struct dp_apdu_answer *answer);

/* ---- backends; each reader is closed with its ops->close ---- */

/* PC/SC: the first reader whose name contains name_part (NULL: the first), through pcscd.
 * DP_ERR_NOT_FOUND: no such reader; DP_ERR_UNREACHABLE: no pcscd; DP_ERR_ARG: name_part is too
 * long. The card is ours alone from wait_card to power_off. */
DP_PUBLIC DP_MUST_USE int dp_reader_pcsc_open(const char *name_part, struct dp_card_reader *out);

/*
 * A recorded conversation, one APDU a line in hex, blanks between bytes allowed:
 *
 *     ! ATR 3B 65 00 00 9C 02 02 07 02    once, before the first command; may be left out
 *     > 00A4040007A0000000031010          what the terminal sent
 *     < 6123                              what the card answered; "<" alone: no byte at all
 *     # comment                           also behind an APDU
 *
 * A last command without an answer is a card that was pulled out: DP_ERR_GONE. The protocol is the
 * recording's: T=0 when its SELECTs stand without Le, else the ATR's, else T=1.
 */
enum dp_transcript_match {
    /* every command byte for byte, in the order of the recording */
    DP_TRANSCRIPT_STRICT = 0,
    /* by CLA INS P1 P2, so that another amount, date or unpredictable number does not matter; the
     * same whole command first, then the next one in the recording. SELECT is told apart by the
     * name in its data; a name the recording has not is answered 6A82. */
    DP_TRANSCRIPT_HEADER = 1
};
/* text is copied. DP_ERR_FORMAT: *line (1-based) says where; DP_ERR_LIMIT: too long (*line 0) or
 * too many commands. A C-APDU that was not recorded ends in DP_ERR_MISMATCH from transceive, an
 * answer that is longer than the buffer in DP_ERR_FORMAT. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_reader_transcript_open(const char *text, size_t text_n,
                                                              enum dp_card_interface interface,
                                                              enum dp_transcript_match match,
                                                              struct dp_card_reader *out,
                                                              unsigned *line);

/* A function of the caller's: the seam for phones and other terminals. The card counts as there;
 * what info says of it must hold. fn is as transceive above; DP_ERR_NOMEM. */
typedef int dp_transceive_fn(void *user, const uint8_t *command, size_t command_n, uint8_t *answer,
                             size_t *answer_n, int timeout_ms);
DP_PUBLIC DP_MUST_USE int dp_reader_callback_open(dp_transceive_fn *fn, void *user,
                                                  const struct dp_card_info *info,
                                                  struct dp_card_reader *out);

#ifdef __cplusplus
}
#endif
#endif
