/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a set that are looked up, not read through. */
#ifndef DP_PARAMS_TABLES_H
#define DP_PARAMS_TABLES_H

#include <doorpay/params.h>

#include "base/limits.h"

#define PARAMS_BIN_DIGITS_MIN 6
#define PARAMS_BIN_DIGITS_MAX 8
#define PARAMS_REFERENCE_MAX  35 /* characters of a parcel, a manifest, an agent */

struct params_prefix {
    uint8_t aid[16];
    uint8_t aid_n;
};

struct params_bin {
    char low[PARAMS_BIN_DIGITS_MAX + 1], high[PARAMS_BIN_DIGITS_MAX + 1];
    uint8_t digits; /* of both */
    uint8_t aids_n;
    struct params_prefix aids[DP_PARAMS_BIN_AIDS_MAX];
};

struct params_reference {
    char text[PARAMS_REFERENCE_MAX + 1];
};

struct params_exception {
    uint8_t hash[16];
};

struct dp_params_tables {
    struct params_bin *bins;
    struct params_exception *exceptions; /* strictly ascending */
    struct params_reference *parcels, *agents;
    size_t bins_n, exceptions_n, parcels_n, agents_n;
};

void params_tables_free(struct dp_params_tables *t);

#endif
