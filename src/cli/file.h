/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a verb is given. Each failure has been said on standard error. */
#ifndef DP_CLI_FILE_H
#define DP_CLI_FILE_H

#include <doorpay/base.h>

/* The whole of a file, of at most max bytes, into p; "-" is standard input. Nothing of it stays in
 * a buffer elsewhere, so that it may be a secret. */
DP_MUST_USE int file_read(const char *path, uint8_t *p, size_t max, size_t *n);
/* A new file with exactly this; one that is there already is not touched. */
DP_MUST_USE int file_write_new(const char *path, const char *text);
DP_MUST_USE int file_write_new_bytes(const char *path, const void *p, size_t n);
/* A file with exactly this in place of what is there: a crash leaves the one or the other, whole.
 */
DP_MUST_USE int file_replace(const char *path, const char *text);
bool file_exists(const char *path);
/* A P-256 point in hex, as `doorpay-sim keys` writes params.pub. */
DP_MUST_USE int file_read_point(const char *path, uint8_t point[65]);

#endif
