/* SPDX-License-Identifier: Apache-2.0 */
/* What a card says for people: its applications' names and its holder's languages. EMV 4.4 Book 1,
 * section 12. A card's text is a stranger's: what is not plainly letters and signs is left out of
 * it (12.2.4). */
#include "names.h"

#include <string.h>

#define CODE_TABLE_LATIN_1 1 /* ISO 8859-1, the one alphabet beside the common one we have */
#define LANGUAGES_MAX      4

/* The common character set, or ISO 8859-1, as UTF-8. False: there is nothing in it to be read. */
static bool to_utf8(struct dp_bytes v, bool latin_1, char out[EMV_NAME_BYTES])
{
    size_t n = 0;
    bool any = false;
    memset(out, 0, EMV_NAME_BYTES);
    if (v.n > 16)
        return false;
    for (size_t i = 0; i < v.n; i++) {
        uint8_t c = v.p[i];
        if (c >= 0x20 && c <= 0x7E) {
            out[n++] = (char)c;
            any = any || c > 0x20;
        } else if (latin_1 && c >= 0xA0) {
            out[n++] = (char)(0xC0 | c >> 6);
            out[n++] = (char)(0x80 | (c & 0x3F));
            any = any || c > 0xA0; /* 20 and A0 are spaces */
        }
    }
    return any;
}

void emv_name_for_people(struct dp_bytes preferred, struct dp_bytes code_table,
                         struct dp_bytes label, char out[EMV_NAME_BYTES])
{
    bool latin_1 = code_table.n == 1 && code_table.p[0] == CODE_TABLE_LATIN_1;
    if (latin_1 && to_utf8(preferred, true, out))
        return;
    if (!to_utf8(label, false, out))
        memset(out, 0, EMV_NAME_BYTES);
}

static bool letter(uint8_t *c)
{
    if (*c >= 'A' && *c <= 'Z')
        *c = (uint8_t)(*c - 'A' + 'a');
    return *c >= 'a' && *c <= 'z';
}

void emv_languages_take(struct dp_bytes v, char out[EMV_LANGUAGES_BYTES])
{
    char languages[EMV_LANGUAGES_BYTES] = "";
    if (v.n < 2 || v.n > 2 * LANGUAGES_MAX || v.n % 2 != 0)
        return;
    for (size_t i = 0; i < v.n; i++) {
        uint8_t c = v.p[i];
        if (!letter(&c))
            return;
        languages[i] = (char)c;
    }
    memcpy(out, languages, sizeof languages);
}
