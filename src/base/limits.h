/* SPDX-License-Identifier: Apache-2.0 */
/* Every limit of doorpay, in one place, with why. A room adds its own under its heading. */
#ifndef DP_BASE_LIMITS_H
#define DP_BASE_LIMITS_H

/* ---- tlv ---- */
#define DP_TLV_TAG_MAX     4     /* bytes of a tag; EMV uses up to 3, one more for proprietary */
#define DP_TLV_NESTING_MAX 8     /* templates in templates */
#define DP_TLV_LENGTH_MAX  65535 /* bytes of one value */

/* ---- cbor ---- */
#define DP_CBOR_NESTING_MAX 8

/* ---- card ---- */
#define DP_APDU_COMMAND_MAX        261 /* short C-APDU: header, Lc, 255, Le; libnfc aborts over 262 */
#define DP_APDU_RESPONSE_MAX       258  /* 256 data + SW1 SW2 */
#define DP_APDU_CHAIN_MAX          16   /* GET RESPONSE and 6Cxx rounds for one command */
#define DP_CARD_DATA_MAX           2048 /* bytes of one answer after GET RESPONSE */
#define DP_READER_NAME_MAX         128
#define DP_READERS_MAX             16
#define DP_ATR_MAX                 33
#define DP_CARD_EXCHANGE_MS        10000 /* one C-APDU to its R-APDU; GENERATE AC stays under 1 s */
#define DP_TRANSCRIPT_MAX          1048576 /* characters of a recorded conversation */
#define DP_TRANSCRIPT_COMMANDS_MAX 1024
#define DP_TRANSCRIPT_APDU_MAX     65538 /* what a hostile card of a recording may answer */

/* ---- hsm ---- */
#define DP_HSM_WRAP_GENERATIONS_MAX 8 /* side store keys alive at once; shredding needs two */
#define DP_HSM_URI_MAX              1024
#define DP_HSM_URI_ATTRIBUTES_MAX   12
#define DP_HSM_PIN_MAX              64   /* bytes of a PIN, or of a TPM's authorisation value */
#define DP_HSM_TPM_STEPS_MAX        1000 /* a TPM's counter rises by one; so often at a call */
#define DP_HSM_P11_COUNTS_MAX       1024 /* raises of a PKCS #11 token's counters, each kept for good */
#define DP_HSM_SCRIPT_MAX           4096 /* bytes of a simulated token's faults */
#define DP_HSM_FAULTS_MAX           32

/* ---- emv ---- */
#define DP_EMV_AIDS_MAX         32 /* AIDs a terminal supports */
#define DP_EMV_CANDIDATES_MAX   32 /* applications a card may offer */
#define DP_EMV_DIRECTORIES_MAX  4  /* the card's directory, and those in it */
#define DP_EMV_AFL_ENTRIES_MAX  16
#define DP_EMV_RECORDS_MAX      64
#define DP_EMV_COMMANDS_MAX     128 /* C-APDUs of one payment */
#define DP_EMV_REVOKED_MAX      128 /* issuers' certificates that schemes took back */
#define DP_EMV_RSA_BYTES_MAX    248 /* 1984 bit */
#define DP_EMV_CA_KEYS_MAX      160
#define DP_EMV_DATA_MAX         8192 /* bytes of card data kept for one payment */
#define DP_EMV_ELEMENTS_MAX     192
#define DP_EMV_SCRIPTS_MAX      16
#define DP_EMV_SCRIPT_BYTES_MAX 512
#define DP_EMV_ARENA_BYTES      65536 /* mbedTLS in the card process; tests hold its peak to half */

/* ---- iso8583 and the acquirer link ---- */
#define DP_ISO8583_MESSAGE_MAX 2048
#define DP_ISO8583_FIELD_MAX   999
#define DP_EMV_ONLINE_DATA_MAX 512 /* DE55 of one message */

/* ---- link ---- */
#define DP_LINK_QUEUE_MAX 4 /* messages that wait to be written; one request is out at a time */
#define DP_LINK_SENT_MAX  4 /* ids remembered, to be named when the connection breaks */

/* ---- acquirer ---- */
#define DP_ACQUIRER_QUEUE_MAX    1024 /* unanswered messages; beyond it nothing new is taken */
#define DP_ACQUIRER_MESSAGES_MAX 8192 /* messages known, unanswered or not: 30 days and more */

/* ---- sealed card data ---- */
#define DP_SEALED_MAX 256

/* ---- journal ---- */
#define DP_JOURNAL_SEGMENT_BYTES 1048576
#define DP_JOURNAL_RECORD_MAX    4096
#define DP_JOURNAL_ARCHIVE_BYTES                                                                   \
    1056768 /* of a segment compressed; what cannot be made smaller too */
#define DP_JOURNAL_EMV_MAX         512
#define DP_JOURNAL_SEGMENT_MIN     8192 /* bytes; smaller could not hold a batch with one record */
#define DP_JOURNAL_BATCH_BYTES     65536
#define DP_JOURNAL_PAYMENT_BYTES   32768    /* what one more payment and its reversal may need */
#define DP_JOURNAL_DAMAGES_MAX     32       /* torn places not yet named by a RECOVERY record */
#define DP_JOURNAL_LEDGER_MAX      2097152  /* (transaction, STAN) pairs a verifier follows */
#define DP_JOURNAL_LEDGER_RESERVE  8192     /* records a writer has the ledger's space for */
#define DP_JOURNAL_SNAPSHOT_EVERY  1024     /* records after which a snapshot is due */
#define DP_JOURNAL_SNAPSHOT_MAX    67108864 /* bytes of one */
#define DP_JOURNAL_HEADS_MAX       2097152  /* checkpoints behind the last acknowledgement */
#define DP_JOURNAL_SIDE_MAX        8192     /* sealed blobs that are wanted at one time */
#define DP_JOURNAL_MISSED_MAX      4096     /* checkpoints made while the anchor is dead */
#define DP_JOURNAL_MISSED_RESERVE  512      /* of these, kept for what is not a new payment */
#define DP_JOURNAL_SEGMENTS_MAX    99999999
#define DP_JOURNAL_NAME_MAX        128 /* characters of a name in the store */
#define DP_JOURNAL_DIR_ENTRIES_MAX 1048576

/* ---- params ---- */
#define DP_PARAMS_SET_MAX        262144
#define DP_PARAMS_BINS_MAX       256
#define DP_PARAMS_EXCEPTIONS_MAX 4096
#define DP_PARAMS_BIN_AIDS_MAX   16 /* AIDs one BIN range may come with */
#define DP_PARAMS_PARCELS_MAX    4096
#define DP_PARAMS_AGENTS_MAX     1024

/* ---- payment ---- */
#define DP_PAYMENT_INDEX_MAX                                                                       \
    8192 /* payments at hand; none that something is pending for leaves                            \
          */
#define DP_PAYMENT_OLDER_MAX   49152   /* payments that have left, and are still known */
#define DP_PAYMENT_OLDER_BYTES 8388608 /* in so many bytes: some 200 for a payment */

/* ---- till ---- */
#define DP_TILL_BODY_MAX        65536
#define DP_TILL_CONNECTIONS_MAX 16

#endif
