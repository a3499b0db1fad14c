/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON libraries turn 23.50 into a double. Money is never one: going in, every number is quoted
 * before the library sees it and is read as decimal text; going out, amounts leave the library as
 * marked strings and lose their quotes afterwards.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nexo.h"

static bool number_start(char c)
{
    return c == '-' || (c >= '0' && c <= '9');
}

static bool number_part(char c)
{
    return number_start(c) || c == '+' || c == '.' || c == 'e' || c == 'E';
}

char *dp_json_quote_numbers(const char *text, size_t n)
{
    /* a one-digit number grows to three bytes */
    char *out = malloc(3 * n + 1);
    size_t used = 0;
    bool in_string = false;
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (in_string && c == '\\' && i + 1 < n) {
            out[used++] = c;
            c = text[++i];
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && number_start(c)) {
            out[used++] = '"';
            while (i < n && number_part(text[i]))
                out[used++] = text[i++];
            i--;
            c = '"';
        }
        out[used++] = c;
    }
    out[used] = '\0';
    if (in_string) {
        free(out);
        return NULL;
    }
    return out;
}

json_t *nexo_number(const struct dp_money *m)
{
    char text[48], amount[32];
    (void)dp_money_text(m, amount, sizeof amount);
    amount[strcspn(amount, " ")] = '\0';
    (void)snprintf(text, sizeof text, NEXO_NUMBER_MARK "%s", amount);
    return json_string(text);
}

void nexo_unquote_numbers(char *text)
{
    /* the colon makes it a value: inside a text the quote would be an escaped one */
    static const char mark[] = ":\"" NEXO_NUMBER_MARK;
    char *from = text, *to = text;
    while (*from != '\0') {
        if (strncmp(from, mark, sizeof mark - 1) == 0) {
            from += sizeof mark - 1;
            *to++ = ':';
            while (number_part(*from))
                *to++ = *from++;
            if (*from == '"')
                from++;
            continue;
        }
        *to++ = *from++;
    }
    *to = '\0';
}
