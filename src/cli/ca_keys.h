/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheme keys from a JSON file, for the tools; a terminal's own keys come with its signed
 * parameters. The form:
 *
 *     {"keys": [{"rid": HEX, "index": HEX, "modulus": HEX, "exponent": HEX,
 *                "stated_hash": [HEX, ...] or null, "expiry": "YYMMDD" or "MMYY" or null, ...}]}
 */
#ifndef DP_CLI_CA_KEYS_H
#define DP_CLI_CA_KEYS_H

#include <doorpay/emv.h>

#include "base/limits.h"

struct ca_keys {
    struct dp_emv_ca_key keys[DP_EMV_CA_KEYS_MAX];
    size_t n;
    unsigned refused;  /* hash or exponent wrong: not in keys */
    unsigned unhashed; /* in keys, but nothing to check them with */
    unsigned too_long; /* sound, but no certificate of EMV can be signed with it: not in keys */
};

/* One line about one key: refused, or taken with a warning. */
typedef void ca_keys_report(void *ctx, const char *line);

/*
 * Keys with a hash that does not match or an exponent other than 3 and 65537 are refused and
 * reported, the others taken. DP_ERR_FORMAT: no such JSON, or a key that is not of this form, which
 * was reported; DP_ERR_LIMIT: more keys than a terminal holds.
 */
DP_MUST_USE DP_PARSES int ca_keys_load(const char *text, size_t n, struct ca_keys *out,
                                       ca_keys_report *report, void *ctx);

#endif
