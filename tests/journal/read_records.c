/* SPDX-License-Identifier: Apache-2.0 */
/* Records in hex on standard input, one a line; what our decoder makes of each on standard output:
 * "-", or the rule and the key at which it ended. */
#include <stdio.h>
#include <string.h>

#include <doorpay/journal.h>

#include "base/hex.h"
#include "base/limits.h"

int main(void)
{
    static char line[2 * DP_JOURNAL_RECORD_MAX + 2];
    static uint8_t bytes[DP_JOURNAL_RECORD_MAX];
    static struct dp_record r;
    unsigned key = 0;
    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t length = strcspn(line, "\n"), n = 0;
        int err;
        if (line[length] != '\n' || dp_hex_decode(line, length, bytes, sizeof bytes, &n) != DP_OK)
            return 2;
        err = dp_record_decode(bytes, n, &r, &key);
        if (err == DP_OK)
            puts("-");
        else
            printf("%s %u\n", /* as scan.c names it */
                   err == DP_ERR_UNSUPPORTED && key != 1 ? "record-key" : "record-format", key);
    }
    return 0;
}
