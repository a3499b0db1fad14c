/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in the URI of a key store. First byte: 0 behind pkcs11:'s colon; else any kind's, by
 * the names of all of them. What is accepted is told again by its names, decoded; what is refused
 * leaves nothing and has a reason.
 */
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "hsm/uri.h"

static const char *const of_pkcs11[] = {"token", "serial", "module-path", "pin-source", NULL};
static const char *const of_all[] = {"token", "serial", "module-path", "pin-source",  "tcti",
                                     "base",  "dir",    "script",      "auth-source", NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(const struct hsm_uri *u, size_t where_n)
{
    size_t all = 0;
    DP_ASSERT(u->n > 0 && u->n <= DP_HSM_URI_ATTRIBUTES_MAX);
    for (unsigned i = 0; i < u->n; i++) {
        const char *v = u->attributes[i].value, *path;
        DP_ASSERT(v >= u->text && v < u->text + sizeof u->text && v[0] != '\0');
        DP_ASSERT(hsm_uri_get(u, u->attributes[i].name) == v);
        for (const char *c = v; *c != '\0'; c++)
            DP_ASSERT((uint8_t)*c >= 0x20 && *c != 0x7F);
        path = hsm_uri_path(u, u->attributes[i].name);
        DP_ASSERT(path == NULL || (path[0] == '/' && path >= v));
        all += strlen(v) + strlen(u->attributes[i].name) + 1;
    }
    DP_ASSERT(all <= where_n && hsm_uri_get(u, "pin-value") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hsm_uri u;
    char where[DP_HSM_URI_MAX + 2];
    const char *what = NULL;
    int err;
    if (size < 1 || size > sizeof where)
        return 0;
    memcpy(where, data + 1, size - 1);
    where[size - 1] = '\0';
    err = hsm_uri_parse(where, data[0] == '0' ? of_pkcs11 : of_all, &u, &what);
    DP_ASSERT((err == DP_OK) == (what == NULL));
    if (err == DP_OK)
        hold(&u, strlen(where));
    else
        DP_ASSERT(u.n == 0 && hsm_uri_get(&u, "token") == NULL);
    return 0;
}
