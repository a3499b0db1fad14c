/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"

#define LINE_MAX_BYTES 4096

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char *trim(char *s)
{
    size_t n;
    while (blank(*s))
        s++;
    n = strlen(s);
    while (n > 0 && blank(s[n - 1]))
        s[--n] = '\0';
    return s;
}

/* false: nothing on this line. */
static bool split(char *text, struct sim_line *line, int *err)
{
    char *hash = strchr(text, '#'), *equals;
    if (hash != NULL)
        *hash = '\0';
    text = trim(text);
    line->section = line->key = line->value = NULL;
    if (*text == '\0')
        return false;
    if (*text == '[') {
        size_t n = strlen(text);
        if (text[n - 1] != ']')
            *err = DP_ERR_FORMAT;
        text[n - 1] = '\0';
        line->section = trim(text + 1);
        return true;
    }
    equals = strchr(text, '=');
    if (equals == NULL) {
        *err = DP_ERR_FORMAT;
        return true;
    }
    *equals = '\0';
    line->key = trim(text);
    line->value = trim(equals + 1);
    return true;
}

int sim_text_read(const char *path, sim_line_fn *fn, void *ctx)
{
    char text[LINE_MAX_BYTES];
    struct sim_line line = {0};
    FILE *f = fopen(path, "r");
    int err = DP_OK;
    if (f == NULL) {
        dp_log(DP_LOG_ERROR, "%s: cannot be read", path);
        return DP_ERR_IO;
    }
    while (err == DP_OK && fgets(text, sizeof text, f) != NULL) {
        line.number++;
        if (strlen(text) == sizeof text - 1)
            err = DP_ERR_LIMIT;
        else if (split(text, &line, &err) && err == DP_OK)
            err = fn(ctx, &line);
        if (err != DP_OK)
            dp_log(DP_LOG_ERROR, "%s:%u: %s%s%s", path, line.number,
                   line.key != NULL ? line.key : "", line.key != NULL ? ": " : "", dp_strerr(err));
    }
    (void)fclose(f);
    return err;
}

int sim_text_bool(const char *value, bool *out)
{
    static const char *const words[] = {"no", "yes", NULL};
    int at = 0, err = sim_text_word(value, words, &at);
    *out = at == 1;
    return err;
}

int sim_text_uint(const char *value, uint64_t most, uint64_t *out)
{
    char *end;
    if (*value < '0' || *value > '9')
        return DP_ERR_FORMAT;
    *out = strtoull(value, &end, 10);
    if (*end != '\0')
        return DP_ERR_FORMAT;
    return *out > most ? DP_ERR_RANGE : DP_OK;
}

int sim_text_word(const char *value, const char *const *words, int *out)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(value, words[i]) == 0) {
            *out = i;
            return DP_OK;
        }
    }
    return DP_ERR_FORMAT;
}

int sim_text_hex(const char *value, uint8_t *out, size_t max, size_t *n)
{
    return dp_hex_decode(value, strlen(value), out, max, n);
}

char *sim_text_next(char **at)
{
    char *word;
    while (blank(**at))
        (*at)++;
    if (**at == '\0')
        return NULL;
    word = *at;
    while (**at != '\0' && !blank(**at))
        (*at)++;
    if (**at != '\0')
        *(*at)++ = '\0';
    return word;
}
