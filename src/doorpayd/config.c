/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/words.h>

#include "base/assert.h"

#define FILE_MAX_BYTES 65536

static const struct key {
    const char *section, *name;
    size_t at, size;
    bool required;
} keys[] = {
#define KEY(section, name, field, required)                                                        \
    {                                                                                              \
        section, name, offsetof(struct dp_config, field), sizeof(((struct dp_config *)0)->field),  \
            required                                                                               \
    }
    KEY("doorpayd", "run_dir", run_dir, true),
    KEY("journal", "dir", journal_dir, true),
    KEY("hsm", "uri", hsm_uri, true),
    KEY("hsm", "anchor", hsm_anchor, false),
    KEY("params", "file", params_file, true),
    KEY("params", "back_office", back_office, true),
    KEY("reader", "name", reader, false),
    KEY("acquirer", "host", acquirer_host, true),
    KEY("acquirer", "port", acquirer_port, true),
    KEY("acquirer", "ca", acquirer_ca, true),
    KEY("acquirer", "cert", acquirer_cert, true),
    KEY("till", "socket", till_socket, true),
    KEY("till", "language", language, false),
    KEY("wire_log", "file", wire_log, false),
#undef KEY
};
#define KEYS (sizeof keys / sizeof keys[0])

struct parse {
    struct dp_config *config;
    char reason[160];
};

static int fail(struct parse *p, const char *why, const char *section, const char *name)
{
    (void)snprintf(p->reason, sizeof p->reason, "%s: [%s] %s", why, section, name);
    return 0;
}

static int take_uid(struct parse *p, const char *section, const char *name, const char *value)
{
    char *end = NULL;
    errno = 0;
    unsigned long uid = strtoul(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || uid >= UINT32_MAX)
        return fail(p, "not a user id", section, name);
    if (p->config->allow_uids_n == DP_CONFIG_UIDS_MAX)
        return fail(p, "too many", section, name);
    p->config->allow_uids[p->config->allow_uids_n++] = (uint32_t)uid;
    return 1;
}

/* inih's handler: 1 goes on, 0 makes ini_parse return this line's number. */
static int take(void *user, const char *section, const char *name, const char *value)
{
    struct parse *p = user;
    if (strcmp(section, "till") == 0 && strcmp(name, "allow_uid") == 0)
        return take_uid(p, section, name, value);
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, name) != 0)
            continue;
        char *at = (char *)p->config + keys[i].at;
        if (*at != '\0')
            return fail(p, "given twice", section, name);
        if (strlen(value) >= keys[i].size)
            return fail(p, "too long", section, name);
        memcpy(at, value, strlen(value) + 1);
        return 1;
    }
    return fail(p, "unknown setting", section, name);
}

/* The first line that inih would cut in two, from 1; 0: none. */
static int long_line(const char *text)
{
    int line = 1;
    for (;; line++) {
        size_t n = strcspn(text, "\n");
        if (n > DP_CONFIG_LINE_MAX)
            return line;
        if (text[n] == '\0')
            return 0;
        text += n + 1;
    }
}

int dp_config_parse(const char *name, const char *text, struct dp_config *out, char *error,
                    size_t error_n)
{
    struct parse p = {out, ""};
    enum dp_language language;
    int line;
    memset(out, 0, sizeof *out);
    line = long_line(text);
    if (line != 0) {
        (void)snprintf(error, error_n, "%s:%d: longer than %d characters", name, line,
                       DP_CONFIG_LINE_MAX);
        return DP_ERR_FORMAT;
    }
    line = ini_parse_string(text, take, &p);
    if (line != 0) {
        (void)snprintf(error, error_n, "%s:%d: %s", name, line,
                       p.reason[0] != '\0' ? p.reason : "not a section nor a setting");
        return DP_ERR_FORMAT;
    }
    if (out->language[0] != '\0' && dp_language_parse(out->language, &language) < 0) {
        (void)snprintf(error, error_n, "%s: [till] language: en, fr, nl or de", name);
        return DP_ERR_FORMAT;
    }
    for (size_t i = 0; i < KEYS; i++)
        if (keys[i].required && *((const char *)out + keys[i].at) == '\0') {
            (void)snprintf(error, error_n, "%s: setting missing: [%s] %s", name, keys[i].section,
                           keys[i].name);
            return DP_ERR_MISSING;
        }
    return DP_OK;
}

int dp_config_load(const char *path, struct dp_config *out, char *error, size_t error_n)
{
    char *text = NULL;
    size_t n;
    int err = DP_ERR_NOT_FOUND;
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        (void)snprintf(error, error_n, "%s: %s", path, strerror(errno));
        return DP_ERR_NOT_FOUND;
    }
    text = malloc(FILE_MAX_BYTES + 1);
    DP_ASSERT(text != NULL);
    n = fread(text, 1, FILE_MAX_BYTES + 1, f);
    if (ferror(f) != 0 || n > FILE_MAX_BYTES || memchr(text, '\0', n) != NULL) {
        (void)snprintf(error, error_n, "%s: not a text file of at most %d bytes", path,
                       FILE_MAX_BYTES);
        err = DP_ERR_FORMAT;
        goto out;
    }
    text[n] = '\0';
    err = dp_config_parse(path, text, out, error, error_n);
out:
    free(text);
    (void)fclose(f);
    return err;
}
