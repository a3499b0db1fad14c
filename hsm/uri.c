/* SPDX-License-Identifier: Apache-2.0 */
#include "uri.h"

#include <string.h>

#include "base/assert.h"
#include "base/hex.h"

/* RFC 7512, 2.3: pk11-res-avail and unreserved; "/", "?" and "|" in the query, and in the path too,
 * where nothing else can be meant by them but the "?" that ends it. */
static bool plain(char c, bool query)
{
    static const char marks[] = "-._~:[]@!$'()*+,=/|";
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && (strchr(marks, c) != NULL || (query && c == '?') || (!query && c == '&'));
}

static int decode_value(const char *p, size_t n, bool query, char *out, size_t *out_n,
                        const char **what)
{
    size_t at = 0;
    *out_n = 0;
    while (at < n) {
        uint8_t c = (uint8_t)p[at];
        size_t one = 0;
        if (c == '%') {
            if (n - at < 3 || p[at + 1] == ' ' || p[at + 2] == ' ' ||
                dp_hex_decode(p + at + 1, 2, &c, 1, &one) != DP_OK || one != 1 || c < 0x20 ||
                c == 0x7F) {
                *what = "a \"%\" without the two hex digits of a character";
                return DP_ERR_FORMAT;
            }
            at += 3;
        } else if (plain((char)c, query)) {
            at++;
        } else {
            *what = "a character that has to be percent-encoded";
            return DP_ERR_FORMAT;
        }
        out[(*out_n)++] = (char)c;
    }
    out[*out_n] = '\0';
    return DP_OK;
}

static const char *known(const char *p, size_t n, const char *const names[])
{
    for (; *names != NULL; names++)
        if (strlen(*names) == n && memcmp(*names, p, n) == 0)
            return *names;
    return NULL;
}

static int add(struct hsm_uri *u, const char *p, size_t n, bool query, size_t *used,
               const char *const names[], const char **what)
{
    const char *equals = memchr(p, '=', n);
    const char *name;
    size_t name_n = equals != NULL ? (size_t)(equals - p) : 0, value_n = 0;
    int err;
    if (name_n == 0) {
        *what = "attributes are written name=value";
        return DP_ERR_FORMAT;
    }
    if (name_n == 9 && memcmp(p, "pin-value", 9) == 0) {
        *what = "a PIN does not belong in a URI, which every process can read: use pin-source";
        return DP_ERR_UNSUPPORTED;
    }
    name = known(p, name_n, names);
    if (name == NULL) {
        *what = "an attribute that this kind of key store does not know";
        return DP_ERR_UNSUPPORTED;
    }
    if (hsm_uri_get(u, name) != NULL) {
        *what = "an attribute stands twice";
        return DP_ERR_DUPLICATE;
    }
    if (u->n == DP_HSM_URI_ATTRIBUTES_MAX) {
        *what = "too many attributes";
        return DP_ERR_LIMIT;
    }
    err = decode_value(equals + 1, n - name_n - 1, query, u->text + *used, &value_n, what);
    if (err == DP_OK && value_n == 0) {
        *what = "an attribute without a value";
        err = DP_ERR_FORMAT;
    }
    if (err < 0)
        return err;
    u->attributes[u->n].name = name;
    u->attributes[u->n].value = u->text + *used;
    u->n++;
    *used += value_n + 1;
    DP_ASSERT(*used <= sizeof u->text);
    return DP_OK;
}

int hsm_uri_parse(const char *where, const char *const names[], struct hsm_uri *out,
                  const char **what)
{
    const char *p = where;
    bool query = false;
    size_t used = 0;
    memset(out, 0, sizeof *out);
    *what = NULL;
    if (strnlen(where, DP_HSM_URI_MAX + 1) > DP_HSM_URI_MAX) {
        *what = "it is longer than any";
        return DP_ERR_LIMIT;
    }
    if (*p == '?') { /* nothing in the path */
        query = true;
        p++;
    }
    for (;;) {
        size_t n = strcspn(p, query ? "&" : ";?");
        int err = add(out, p, n, query, &used, names, what);
        if (err < 0) {
            memset(out, 0, sizeof *out);
            return err;
        }
        p += n;
        if (*p == '\0')
            return DP_OK;
        query = query || *p == '?';
        p++;
    }
}

const char *hsm_uri_get(const struct hsm_uri *u, const char *name)
{
    for (unsigned i = 0; i < u->n; i++)
        if (strcmp(u->attributes[i].name, name) == 0)
            return u->attributes[i].value;
    return NULL;
}

const char *hsm_uri_path(const struct hsm_uri *u, const char *name)
{
    const char *value = hsm_uri_get(u, name);
    if (value != NULL && strncmp(value, "file:", 5) == 0)
        value += strncmp(value + 5, "//", 2) == 0 ? 7 : 5;
    return value != NULL && value[0] == '/' ? value : NULL;
}
