/* SPDX-License-Identifier: Apache-2.0 */
/* The soft key store's directory: one state file, replaced as a whole, under an exclusive lock. */
#ifndef DP_HSM_SOFT_DIR_H
#define DP_HSM_SOFT_DIR_H

#include <doorpay/base.h>

struct soft_dir {
    int fd; /* the directory; the lock is on it */
    char *path;
};

enum soft_dir_for {
    SOFT_DIR_USE,
    SOFT_DIR_MAKE, /* made when it is missing */
    SOFT_DIR_LOOK  /* without the lock: the state is replaced as a whole, so that it can be read */
};

/* Opens and locks. DP_ERR_NOT_FOUND: no such directory; DP_ERR_BUSY: another process or handle has
 * it; DP_ERR_DENIED: open to others than its owner. Every failure is logged with the path and the
 * reason. */
DP_MUST_USE int soft_dir_open(const char *path, enum soft_dir_for for_what, struct soft_dir *out);
void soft_dir_close(struct soft_dir *d);
/* The whole state file. DP_ERR_NOT_FOUND: there is none; DP_ERR_DENIED as above; DP_ERR_LIMIT: more
 * than max bytes. */
DP_MUST_USE int soft_dir_read(const struct soft_dir *d, uint8_t *p, size_t max, size_t *n);
/* Durable when it returns DP_OK. After an error the old state stands, unless *unknown is set: then
 * it may be either. */
DP_MUST_USE int soft_dir_replace(const struct soft_dir *d, const uint8_t *p, size_t n,
                                 bool *unknown);

#endif
