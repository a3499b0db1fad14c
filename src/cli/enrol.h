/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a certificate that came back for a request is one to be used. */
#ifndef DP_CLI_ENROL_H
#define DP_CLI_ENROL_H

#include <doorpay/base.h>

#define ENROL_FILE_MAX 15000 /* bytes of a file of certificates that came */
#define ENROL_PEM_MAX  30000 /* of the same in PEM; two of these are less than doorpayd reads */
#define ENROL_WHY_MAX  160

struct enrol_wanted {
    uint8_t current[65], next[65]; /* the key store's TLS client key, and the one to come */
    bool has_next;
    const char *tid;
    struct dp_bytes authority; /* PEM or DER: what the certificate must come from */
};

enum enrol_key {
    ENROL_CURRENT = 1,
    ENROL_NEXT = 2
};

/* certificate: PEM (the device's own first, then what stands between it and the authority) or DER.
 * The system's clock is asked. pem: the same chain in PEM, terminated. DP_ERR_FORMAT: not a
 * certificate; DP_ERR_MISMATCH: of another key, name or use; DP_ERR_SIGNATURE: not from the
 * authority; DP_ERR_EXPIRED. why: words, of at most ENROL_WHY_MAX with its terminator. */
DP_MUST_USE DP_PARSES int enrol_check(struct dp_bytes certificate,
                                      const struct enrol_wanted *wanted, enum enrol_key *key,
                                      char *pem, size_t pem_max, char why[ENROL_WHY_MAX]);

#endif
