/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes, reasons and TVR bits in words, for the log and for people: the table is src/emv/words.
 */
#include <doorpay/words.h>

#include <string.h>

#include "base/assert.h"

struct words_row {
    uint16_t number;
    const char *name;
    uint8_t worker, customer; /* phrases */
};
#include "words.h"

#define ROWS(table)    table, sizeof(table) / sizeof((table)[0])
#define REASON_UNKNOWN 51 /* enum dp_reason: ask for the status */

/* ---- languages ---- */

static const char codes[DP_LANGUAGES][3] = {"en", "fr", "nl", "de"};

/* Two letters of at most two that may stand there; false: none of ours. */
static bool language_at(const char *text, enum dp_language *out)
{
    for (unsigned i = 0; i < DP_LANGUAGES; i++)
        if (text[0] == codes[i][0] && text[1] == codes[i][1]) {
            *out = (enum dp_language)i;
            return true;
        }
    return false;
}

int dp_language_parse(const char *text, enum dp_language *out)
{
    size_t n = strlen(text);
    bool ends = n == 2 || (n > 2 && (text[2] == '-' || text[2] == '_'));
    return ends && language_at(text, out) ? DP_OK : DP_ERR_UNSUPPORTED;
}

enum dp_language dp_language_of_card(const char *languages, enum dp_language otherwise)
{
    enum dp_language found = otherwise;
    for (size_t n = strnlen(languages, 8); n >= 2; n -= 2, languages += 2)
        if (language_at(languages, &found))
            return found;
    return otherwise;
}

/* ---- look-up ---- */

static const struct words_row *find(const struct words_row *table, size_t n, unsigned number)
{
    for (size_t i = 0; i < n; i++)
        if (table[i].number == number)
            return &table[i];
    return NULL;
}

/* row NULL: what is not in the table. */
static const char *say(const struct words_row *row, enum dp_audience audience,
                       enum dp_language language)
{
    if (row == NULL && audience == DP_FOR_LOG)
        return "unknown";
    if (row == NULL)
        row = find(ROWS(words_reason), REASON_UNKNOWN);
    DP_ASSERT(row != NULL && (unsigned)language < DP_LANGUAGES);
    if (audience == DP_FOR_LOG)
        return row->name;
    return words_phrases[audience == DP_FOR_CUSTOMER ? row->customer : row->worker][language];
}

const char *dp_words_reason(unsigned reason, enum dp_audience audience, enum dp_language language)
{
    return say(find(ROWS(words_reason), reason), audience, language);
}

const char *dp_words_outcome(enum dp_emv_outcome outcome, enum dp_audience audience,
                             enum dp_language language)
{
    return say(find(ROWS(words_outcome), (unsigned)outcome), audience, language);
}

const char *dp_words_kernel_reason(enum dp_emv_reason reason, enum dp_audience audience,
                                   enum dp_language language)
{
    return say(find(ROWS(words_kernel), (unsigned)reason), audience, language);
}

const char *dp_words_ui(enum dp_emv_ui ui, enum dp_audience audience, enum dp_language language)
{
    return say(find(ROWS(words_ui), (unsigned)ui), audience, language);
}

const char *dp_words_of_state(enum dp_words_state state, enum dp_audience audience,
                              enum dp_language language)
{
    return say(find(ROWS(words_state), (unsigned)state), audience, language);
}

const char *dp_words_tvr(const uint8_t tvr[5], enum dp_audience audience, enum dp_language language)
{
    for (size_t i = 0; i < sizeof words_tvr / sizeof words_tvr[0]; i++)
        if ((tvr[words_tvr[i].number >> 8] & (uint8_t)words_tvr[i].number) != 0)
            return say(&words_tvr[i], audience, language);
    if (audience == DP_FOR_LOG)
        return "action codes";
    return dp_words_outcome(DP_EMV_DECLINED, audience, language);
}

/* ---- for the log ---- */

const char *dp_emv_outcome_name(enum dp_emv_outcome outcome)
{
    return dp_words_outcome(outcome, DP_FOR_LOG, DP_LANGUAGE_EN);
}

const char *dp_emv_reason_name(enum dp_emv_reason reason)
{
    return dp_words_kernel_reason(reason, DP_FOR_LOG, DP_LANGUAGE_EN);
}
