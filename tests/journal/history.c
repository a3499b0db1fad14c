/* SPDX-License-Identifier: Apache-2.0 */
#include "history.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static enum dp_mode mode_of(char c)
{
    switch (c) {
    case 'o':
    case 'a':
        return DP_MODE_ONLINE;
    case 'f':
        return DP_MODE_OFFLINE;
    case 'd':
    case 'e':
        return DP_MODE_DEFERRED;
    default:
        return DP_MODE_DECLINED;
    }
}

void history_step(const char *s, struct dp_record *r)
{
    static const struct {
        char letter;
        enum dp_record_type type;
    } types[] = {{'I', DP_RECORD_INTENT},   {'Q', DP_RECORD_REQUESTED}, {'O', DP_RECORD_OUTCOME},
                 {'R', DP_RECORD_REVERSAL}, {'V', DP_RECORD_VOID},      {'F', DP_RECORD_FORWARDED}};
    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].letter == s[0])
            r->type = types[i].type;
    DP_ASSERT(r->type != 0);
    r->has_tx = true;
    r->has_amount = strchr(s, '~') == NULL;
    r->tx[0] = 1;
    if (r->has_amount) {
        r->amount.minor = strchr(s, '$') != NULL ? 999 : 1000;
        r->amount.currency = strchr(s, '#') != NULL ? 840 : 978;
        r->amount.exponent = strchr(s, '^') != NULL ? 3 : 2;
    }
    if (r->type == DP_RECORD_REQUESTED || r->type == DP_RECORD_OUTCOME) {
        r->mode = mode_of(s[1]);
        r->mti = s[1] == 'a' || s[1] == 'e' ? 1100 : 1200;
        if (s[1] == 'r')
            memcpy(r->action_code, "116", 4);
        r->stan = (uint32_t)strtoul(s + 2, NULL, 10);
    } else if (r->type == DP_RECORD_FORWARDED) {
        r->result = s[1] == 'c' || s[1] == 'a' ? 1 : (uint32_t)(s[1] - '0');
        r->mti = s[1] == 'c' ? 1220 : s[1] == 'a' ? 1100 : 1200;
        r->stan = (uint32_t)strtoul(s + 2, NULL, 10);
        r->mode = r->stan == 0 ? DP_MODE_DEFERRED : DP_MODE_NONE;
    } else if (r->type == DP_RECORD_REVERSAL) {
        r->stan = (uint32_t)strtoul(s + 1, NULL, 10);
        r->has_original = true;
        r->original.stan = (uint32_t)strtoul(strchr(s, '<') + 1, NULL, 10);
    } else if (r->type == DP_RECORD_VOID) {
        r->has_original_tx = true;
        memcpy(r->original_tx, r->tx, sizeof r->original_tx);
    }
}
