/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file with a token's PIN, or with a TPM's authorisation value: one line. Its lock is what
 * holds off a second doorpay that would use the same token.
 */
#ifndef DP_HSM_PIN_FILE_H
#define DP_HSM_PIN_FILE_H

#include <doorpay/base.h>

#include "base/secret.h"

struct pin_file {
    int fd;
    struct dp_secret secret; /* the line, n bytes, without its end */
    size_t n;
};

/* DP_ERR_NOT_FOUND; DP_ERR_DENIED: open to others than its owner; DP_ERR_FORMAT: empty, or more
 * than a line of DP_HSM_PIN_MAX bytes; DP_ERR_BUSY: lock was wanted, and another handle has it.
 * Logged with path and reason, never with what stands in it. */
DP_MUST_USE int pin_file_open(const char *path, bool lock, struct pin_file *out);
/* Wipes the line; the lock is kept. */
void pin_file_forget(struct pin_file *f);
void pin_file_close(struct pin_file *f);

#endif
