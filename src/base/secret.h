/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for keys and card data: locked, kept out of cores, between guard pages, wiped on free. */
#ifndef DP_BASE_SECRET_H
#define DP_BASE_SECRET_H

#include <doorpay/base.h>

struct dp_secret {
    uint8_t *p;
    size_t n;
    void *map;
    size_t map_n;
};

/* n bytes, zeroed. DP_ERR_NOMEM when no memory or no locked memory is left. */
DP_MUST_USE int dp_secret_new(struct dp_secret *s, size_t n);
/* Wipes and gives back; s is empty afterwards. An empty s is fine. */
void dp_secret_free(struct dp_secret *s);
/* Overwrites in a way the compiler may not drop. */
void dp_wipe(void *p, size_t n);
/* Equality in time that does not depend on the contents. */
DP_MUST_USE bool dp_equal_ct(const void *a, const void *b, size_t n);

#endif
