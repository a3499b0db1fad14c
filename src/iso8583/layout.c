/* SPDX-License-Identifier: Apache-2.0 */
/* The text form of a layout: loader with its checks, and export. scripts/gen-layouts reads the same
 * text at build time; tests/iso8583 holds the two against each other. */
#include <doorpay/iso8583.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"

#define LINE_MAX_BYTES  120
#define TERTIARY_BITMAP 65
#define PRIMARY_MAC     64
#define SECONDARY_MAC   128

struct word {
    const char *text;
    uint8_t value;
};

static const struct word kinds[] = {
    {"xn", DP_ISO8583_XN}, {"n", DP_ISO8583_N},     {"ans", DP_ISO8583_ANS}, {"an", DP_ISO8583_AN},
    {"z", DP_ISO8583_Z},   {"mac", DP_ISO8583_MAC}, {"b", DP_ISO8583_B},
};
static const struct word masks[] = {
    {"mask=pan", DP_ISO8583_MASK_PAN},       {"mask=expiry", DP_ISO8583_MASK_EXPIRY},
    {"mask=track2", DP_ISO8583_MASK_TRACK2}, {"mask=emv", DP_ISO8583_MASK_EMV},
    {"mask=all", DP_ISO8583_MASK_ALL},
};

static const struct word packed_or_text[] = {{"bcd", DP_ISO8583_PACKED},
                                             {"ascii", DP_ISO8583_ASCII}};
static const struct word raw_or_hex[] = {{"raw", DP_ISO8583_PACKED}, {"hex", DP_ISO8583_ASCII}};
static const struct word binary_or_hex[] = {{"binary", DP_ISO8583_PACKED},
                                            {"hex", DP_ISO8583_ASCII}};
static const struct word lengths[] = {
    {"bcd", DP_ISO8583_PACKED}, {"ascii", DP_ISO8583_ASCII}, {"count", DP_ISO8583_COUNT}};

static const struct directive {
    const char *name;
    size_t offset;
    const struct word *words;
    size_t words_n;
} directives[] = {
    {"mti", offsetof(struct dp_iso8583_layout, mti), packed_or_text, 2},
    {"bitmap", offsetof(struct dp_iso8583_layout, bitmap), binary_or_hex, 2},
    {"length", offsetof(struct dp_iso8583_layout, length), lengths, 3},
    {"numeric", offsetof(struct dp_iso8583_layout, numeric), packed_or_text, 2},
    {"binary", offsetof(struct dp_iso8583_layout, binary), raw_or_hex, 2},
};
#define DIRECTIVES (sizeof directives / sizeof directives[0])

struct loader {
    struct dp_iso8583_layout *out;
    struct dp_iso8583_error *error;
    unsigned line, seen; /* seen: bit per directive, then the profile's */
    int last_de;
};

static int fail(struct loader *l, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct loader *l, int err, const char *format, ...)
{
    va_list args;
    int n;
    if (l->error == NULL)
        return err;
    l->error->de = -1;
    n = snprintf(l->error->words, sizeof l->error->words, "line %u: ", l->line);
    DP_ASSERT(n > 0);
    va_start(args, format);
    (void)vsnprintf(l->error->words + n, sizeof l->error->words - (size_t)n, format, args);
    va_end(args);
    return err;
}

/* The next word of a line, cut out in place; NULL at its end. */
static char *next_word(char **at)
{
    char *word;
    *at += strspn(*at, " \t");
    if (**at == '\0')
        return NULL;
    word = *at;
    *at += strcspn(*at, " \t");
    if (**at != '\0')
        *(*at)++ = '\0';
    return word;
}

/* 1..max in decimal; 0 when it is not. */
static unsigned parse_number(const char *text, unsigned max)
{
    unsigned v = 0;
    if (*text == '\0' || strlen(text) > 4)
        return 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return 0;
        v = v * 10 + (unsigned)(*text - '0');
    }
    return v <= max ? v : 0;
}

static int set_profile(struct loader *l, const char *value)
{
    size_t n = strlen(value);
    if ((l->seen >> DIRECTIVES & 1) != 0)
        return fail(l, DP_ERR_DUPLICATE, "profile stands twice");
    if (n > sizeof l->out->name - 1)
        return fail(l, DP_ERR_RANGE, "profile name over %zu characters", sizeof l->out->name - 1);
    if (strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-") != n)
        return fail(l, DP_ERR_FORMAT, "profile name: lower-case letters, digits and - only");
    memcpy(l->out->name, value, n + 1);
    l->seen |= 1u << DIRECTIVES;
    return DP_OK;
}

static int read_directive(struct loader *l, const char *name, char *at)
{
    const char *value = next_word(&at);
    if (value == NULL || next_word(&at) != NULL)
        return fail(l, DP_ERR_FORMAT, "wanted '%.16s VALUE'", name);
    if (strcmp(name, "profile") == 0)
        return set_profile(l, value);
    for (size_t i = 0; i < DIRECTIVES; i++) {
        const struct directive *d = &directives[i];
        if (strcmp(name, d->name) != 0)
            continue;
        if ((l->seen >> i & 1) != 0)
            return fail(l, DP_ERR_DUPLICATE, "%s stands twice", name);
        l->seen |= 1u << i;
        for (size_t k = 0; k < d->words_n; k++) {
            if (strcmp(value, d->words[k].text) == 0) {
                memcpy((uint8_t *)l->out + d->offset, &d->words[k].value, 1);
                return DP_OK;
            }
        }
        return fail(l, DP_ERR_FORMAT, "%s: '%.16s' is not known", name, value);
    }
    return fail(l, DP_ERR_FORMAT, "'%.16s' is not known", name);
}

static int read_format(struct loader *l, struct dp_iso8583_element *e, const char *format)
{
    size_t letters = strspn(format, "abcdefghijklmnopqrstuvwxyz");
    unsigned max = DP_ISO8583_FIELD_MAX;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strlen(kinds[i].text) == letters && strncmp(format, kinds[i].text, letters) == 0)
            e->kind = kinds[i].value;
    if (e->kind == DP_ISO8583_ABSENT)
        return fail(l, DP_ERR_FORMAT, "format '%.16s' is not known", format);
    if (e->kind == DP_ISO8583_MAC) {
        if (format[letters] != '\0' || e->length_digits != 0)
            return fail(l, DP_ERR_FORMAT, "mac takes no length");
        return DP_OK;
    }
    if (e->length_digits == 2)
        max = l->out->length == DP_ISO8583_COUNT ? 255 : 99;
    e->max = (uint16_t)parse_number(format + letters, max);
    if (e->max == 0)
        return fail(l, DP_ERR_RANGE, "format '%.16s': length out of range", format);
    if (e->length_digits != 0 && e->kind == DP_ISO8583_XN)
        return fail(l, DP_ERR_FORMAT, "xn has a fixed length");
    return DP_OK;
}

/* Directives come first: what an element may be depends on them. */
static int check_directives(struct loader *l)
{
    for (size_t i = 0; i < DIRECTIVES; i++)
        if ((l->seen >> i & 1) == 0)
            return fail(l, DP_ERR_MISSING, "no '%s' so far", directives[i].name);
    if ((l->seen >> DIRECTIVES & 1) == 0)
        return fail(l, DP_ERR_MISSING, "no 'profile' so far");
    return DP_OK;
}

static int read_element(struct loader *l, const char *number, char *at)
{
    unsigned de = parse_number(number, DP_ISO8583_FIELDS - 1);
    struct dp_iso8583_element *e = &l->out->element[de];
    char *word = next_word(&at);
    int err = check_directives(l);
    if (err != DP_OK)
        return err;
    if (de < 2 || de == TERTIARY_BITMAP)
        return fail(l, DP_ERR_RANGE, "'%.8s' is no element (2..64, 66..128)", number);
    if ((int)de <= l->last_de)
        return fail(l, DP_ERR_DUPLICATE, "DE%u after DE%d: ascending, each once", de, l->last_de);
    l->last_de = (int)de;
    if (word != NULL && (strcmp(word, "LL") == 0 || strcmp(word, "LLL") == 0)) {
        e->length_digits = (uint8_t)strlen(word);
        word = next_word(&at);
    }
    if (word == NULL)
        return fail(l, DP_ERR_MISSING, "DE%u has no format", de);
    err = read_format(l, e, word);
    if (err != DP_OK)
        return err;
    if ((e->kind == DP_ISO8583_MAC) != (de == PRIMARY_MAC || de == SECONDARY_MAC))
        return fail(l, DP_ERR_FORMAT, "DE64 and DE128 are the MAC, and no other element is");
    at += strspn(at, " \t");
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        size_t n = strlen(masks[i].text);
        if (strncmp(at, masks[i].text, n) == 0 && (at[n] == ' ' || at[n] == '\t')) {
            e->mask = masks[i].value;
            at += n;
            break;
        }
    }
    at += strspn(at, " \t");
    if (*at == '\0' || strlen(at) > sizeof e->name - 1)
        return fail(l, DP_ERR_FORMAT, "DE%u wants a name of 1 to %zu characters", de,
                    sizeof e->name - 1);
    memcpy(e->name, at, strlen(at) + 1);
    return DP_OK;
}

static int read_line(struct loader *l, const char *text, size_t n)
{
    char line[LINE_MAX_BYTES + 1];
    char *at = line;
    const char *word;
    if (n > LINE_MAX_BYTES)
        return fail(l, DP_ERR_RANGE, "over %u characters", LINE_MAX_BYTES);
    for (size_t i = 0; i < n; i++)
        if ((text[i] < ' ' || text[i] > '~') && text[i] != '\t')
            return fail(l, DP_ERR_FORMAT, "a character that is not printable ASCII");
    memcpy(line, text, n);
    line[n] = '\0';
    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        line[--n] = '\0';
    word = next_word(&at);
    if (word == NULL || *word == '#')
        return DP_OK;
    if (*word >= '0' && *word <= '9')
        return read_element(l, word, at);
    return read_directive(l, word, at);
}

int dp_iso8583_layout_load(const char *text, size_t n, struct dp_iso8583_layout *out,
                           struct dp_iso8583_error *error)
{
    struct loader l = {.out = out, .error = error};
    int err = DP_OK;
    memset(out, 0, sizeof *out);
    while (err == DP_OK && n > 0) {
        const char *end = memchr(text, '\n', n);
        size_t line_n = end == NULL ? n : (size_t)(end - text);
        l.line++;
        err = read_line(&l, text, line_n);
        line_n += end == NULL ? 0 : 1;
        text += line_n;
        n -= line_n;
    }
    if (err == DP_OK && l.last_de == 0)
        err = fail(&l, DP_ERR_MISSING, "the file names no element");
    if (err != DP_OK)
        memset(out, 0, sizeof *out);
    return err;
}

/* ---- export ---- */

static const char *word_of(const struct word *words, size_t n, uint8_t value)
{
    for (size_t i = 0; i < n; i++)
        if (words[i].value == value)
            return words[i].text;
    return "";
}

struct sink {
    char *out;
    size_t max, n;
};

static void put(struct sink *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct sink *s, const char *format, ...)
{
    va_list args;
    int n;
    va_start(args, format);
    n = vsnprintf(s->n < s->max ? s->out + s->n : NULL, s->n < s->max ? s->max - s->n : 0, format,
                  args);
    va_end(args);
    DP_ASSERT(n >= 0);
    s->n += (size_t)n;
}

static void put_element(struct sink *s, int de, const struct dp_iso8583_element *e)
{
    char format[24], length[8] = "";
    if (e->kind != DP_ISO8583_MAC)
        (void)snprintf(length, sizeof length, "%u", e->max);
    (void)snprintf(format, sizeof format, "%s%s%s",
                   e->length_digits == 0   ? ""
                   : e->length_digits == 2 ? "LL "
                                           : "LLL ",
                   word_of(kinds, sizeof kinds / sizeof kinds[0], e->kind), length);
    put(s, "%-4d %-10s %-11s %s\n", de, format,
        word_of(masks, sizeof masks / sizeof masks[0], e->mask), e->name);
}

int dp_iso8583_layout_text(const struct dp_iso8583_layout *layout, char *out, size_t max, size_t *n)
{
    struct sink s = {out, max, 0};
    put(&s, "profile %s\n", layout->name);
    for (size_t i = 0; i < DIRECTIVES; i++) {
        uint8_t value;
        memcpy(&value, (const uint8_t *)layout + directives[i].offset, 1);
        put(&s, "%s %s\n", directives[i].name,
            word_of(directives[i].words, directives[i].words_n, value));
    }
    put(&s, "\n");
    for (int de = 2; de < DP_ISO8583_FIELDS; de++)
        if (layout->element[de].kind != DP_ISO8583_ABSENT)
            put_element(&s, de, &layout->element[de]);
    *n = s.n;
    return s.n < max ? DP_OK : DP_ERR_SPACE;
}
