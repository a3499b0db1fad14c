/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every public doorpay interface is made of: errors, byte strings, money, and the
 * capabilities the core is given instead of taking them (clock, random source, log).
 */
#ifndef DOORPAY_BASE_H
#define DOORPAY_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DP_PUBLIC   __attribute__((visibility("default")))
#define DP_MUST_USE __attribute__((warn_unused_result))
/* Marks a function that reads bytes from outside; tests/house demands a fuzz target for each. */
#define DP_PARSES

/*
 * Errors: 0 is fine, below 0 is an error. Outcomes (declined, wants online) are never errors and
 * have enums of their own; a card's status words are never mixed with either.
 */
enum dp_err {
    DP_OK = 0,
    /* the caller */
    DP_ERR_ARG = -1,   /* an argument out of its stated range */
    DP_ERR_STATE = -2, /* the call is not permitted in this state */
    DP_ERR_SPACE = -3, /* the caller's buffer is too small */
    DP_ERR_LIMIT = -4, /* a limit of base/limits.h would be exceeded */
    /* data */
    DP_ERR_SHORT = -10,     /* input ends inside an element */
    DP_ERR_TRAILING = -11,  /* bytes left over after the last element */
    DP_ERR_FORMAT = -12,    /* not the format it should be */
    DP_ERR_MISSING = -13,   /* a required element is absent */
    DP_ERR_DUPLICATE = -14, /* an element that may stand once stands twice */
    DP_ERR_RANGE = -15,     /* a value outside its range */
    DP_ERR_MISMATCH = -16,  /* two things that must agree do not */
    DP_ERR_UNSUPPORTED = -17,
    DP_ERR_NOT_FOUND = -18,
    /* trust */
    DP_ERR_SIGNATURE = -20, /* a signature or MAC does not verify */
    DP_ERR_TAMPERED = -21,  /* stored data was changed */
    DP_ERR_ROLLBACK = -22,  /* stored data is older than the token says */
    DP_ERR_DENIED = -23,    /* not allowed to this caller */
    DP_ERR_EXPIRED = -24,
    /* the world */
    DP_ERR_IO = -30,
    DP_ERR_FULL = -31, /* no space left on the device */
    DP_ERR_TIMEOUT = -32,
    DP_ERR_GONE = -33, /* reader, card, peer or token went away */
    DP_ERR_BUSY = -34,
    DP_ERR_CANCELLED = -35,
    DP_ERR_UNREACHABLE = -36, /* no connection to the peer */
    DP_ERR_TOKEN = -37,       /* the key store failed */
    /* ourselves */
    DP_ERR_NOMEM = -40,
    DP_ERR_RANDOM = -41, /* the random source failed; nothing may go on */
    DP_ERR_CRYPTO = -42,
    DP_ERR_INTERNAL = -43
};

/* A short English description; never NULL, static lifetime. */
DP_PUBLIC const char *dp_strerr(int err);

/* Bytes somebody else owns; how long they live is said where one is handed out. */
struct dp_bytes {
    const uint8_t *p;
    size_t n;
};

/* Money: integer minor units; ISO 4217 numeric code and exponent. There is no float anywhere. */
struct dp_money {
    int64_t minor;
    uint16_t currency; /* ISO 4217 numeric, 978 = EUR */
    uint8_t exponent;  /* minor units: 2 for EUR, 0 for JPY */
};

/* Parses "23.50" and "EUR" into minor units. DP_ERR_FORMAT: not a plain decimal number, or more
 * decimals than the currency has; DP_ERR_RANGE: zero, negative or over 12 digits;
 * DP_ERR_UNSUPPORTED: unknown currency. Nothing is rounded. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_money_parse(const char *amount, const char *currency,
                                                   struct dp_money *out);
/* Currency by ISO 4217 alpha or numeric code; DP_ERR_UNSUPPORTED when unknown. */
DP_PUBLIC DP_MUST_USE int dp_currency_by_alpha(const char *alpha, uint16_t *numeric,
                                               uint8_t *exponent);
/* "EUR", or NULL when unknown; static lifetime. */
DP_PUBLIC const char *dp_currency_alpha(uint16_t numeric);
/* The currency's exponent, or DP_ERR_UNSUPPORTED. */
DP_PUBLIC DP_MUST_USE int dp_currency_exponent(uint16_t numeric);
/* "23.50 EUR" into out (always terminated, cut to n). Returns out. */
DP_PUBLIC const char *dp_money_text(const struct dp_money *m, char *out, size_t n);

/* Broken-down time, Gregorian. */
struct dp_date_time {
    uint16_t year;
    uint8_t month, day, hour, minute, second;
};

enum dp_clock_quality {
    DP_CLOCK_UNKNOWN = 0,
    DP_CLOCK_SET = 1,
    DP_CLOCK_SYNCED = 2
};

/* The clock the core is given. */
struct dp_clock {
    void *ctx;
    int64_t (*wall_ms)(void *ctx); /* Unix time, milliseconds */
    int64_t (*mono_ms)(void *ctx); /* never goes back within one boot */
    enum dp_clock_quality (*quality)(void *ctx);
};

/* The system's clock; static lifetime. */
DP_PUBLIC const struct dp_clock *dp_clock_system(void);
/* Unix milliseconds to calendar time at a fixed offset from UTC (minutes), and back. */
DP_PUBLIC void dp_date_time_from_ms(int64_t wall_ms, int utc_offset_min, struct dp_date_time *out);
DP_PUBLIC int64_t dp_date_time_to_ms(const struct dp_date_time *t, int utc_offset_min);
/* True for a date of the Gregorian calendar as a number of eight digits, YYYYMMDD. */
DP_PUBLIC bool dp_is_date(uint32_t yyyymmdd);

/* The random source the core is given. fill: 0, or DP_ERR_RANDOM and nothing may go on. */
struct dp_random {
    void *ctx;
    int (*fill)(void *ctx, uint8_t *out, size_t n);
};

/* getrandom(2), safe over fork; static lifetime. */
DP_PUBLIC const struct dp_random *dp_random_system(void);

enum dp_log_level {
    DP_LOG_ERROR = 0,
    DP_LOG_WARNING = 1,
    DP_LOG_INFO = 2,
    DP_LOG_DEBUG = 3
};

/* Where log lines go; the default is standard error. line is without a newline and is the
 * callee's only for the call. Runs of 12 to 19 digits are masked before a line gets here. */
typedef void dp_log_sink(void *ctx, enum dp_log_level level, const char *line);
DP_PUBLIC void dp_log_set(dp_log_sink *sink, void *ctx, enum dp_log_level most);

#ifdef __cplusplus
}
#endif
#endif
