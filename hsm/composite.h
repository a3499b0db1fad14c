/* SPDX-License-Identifier: Apache-2.0 */
/* KEYS+tpm2-anchor:WHERE, keys in one token and the anchor in another. */
#ifndef DP_HSM_COMPOSITE_H
#define DP_HSM_COMPOSITE_H

#include <string.h>

#include "backend.h"

#define COMPOSITE_JOINT "+tpm2-anchor:"

/* The "+" that joins the two, or NULL: it is one. */
static inline const char *composite_join(const char *uri)
{
    return strstr(uri, COMPOSITE_JOINT);
}

/* keys: the back end of the first; where: what stands behind its colon, up to join. */
DP_MUST_USE int composite_open(const struct hsm_ops *keys, const char *where, const char *join,
                               bool look, struct dp_hsm **out);
DP_MUST_USE int composite_provision(const struct hsm_ops *keys, const char *where,
                                    const char *join);

#endif
