/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind the scheme of a key store's URI, after RFC 7512: name=value pairs, those of
 * the path separated by ";", those of the query by "&", values percent-encoded where they must be.
 */
#ifndef DP_HSM_URI_H
#define DP_HSM_URI_H

#include <doorpay/base.h>

#include "base/limits.h"

struct hsm_uri {
    struct {
        const char *name, *value; /* in text */
    } attributes[DP_HSM_URI_ATTRIBUTES_MAX];
    unsigned n;
    char text[2 * DP_HSM_URI_MAX]; /* each name and value, decoded, with its terminator */
};

/* names: the attributes there may be, NULL at the end; another one, one twice, or an empty value is
 * refused. DP_ERR_LIMIT: longer than any; DP_ERR_FORMAT, DP_ERR_DUPLICATE, DP_ERR_UNSUPPORTED.
 * *what (static lifetime) says what is wrong, and never what stands there: it may be a secret. */
DP_MUST_USE DP_PARSES int hsm_uri_parse(const char *where, const char *const names[],
                                        struct hsm_uri *out, const char **what);
/* NULL: not there. */
const char *hsm_uri_get(const struct hsm_uri *u, const char *name);
/* The same for what names a file: an absolute path, with or without "file:" before it. */
const char *hsm_uri_path(const struct hsm_uri *u, const char *name);

#endif
