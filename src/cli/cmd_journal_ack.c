/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay journal acknowledge: the collector's acknowledgement, from a file to the daemon. */
#include <string.h>

#include <doorpay/payment.h>

#include "base/hex.h"
#include "cli.h"
#include "file.h"
#include "journal_words.h"
#include "sale.h"
#include "sale_result.h"

int journal_acknowledge(int argc, char **argv)
{
    struct sale_options o;
    uint8_t ack[DP_ACKNOWLEDGEMENT_MAX + 1];
    char hex[2 * sizeof ack + 1];
    json_t *answer;
    size_t n = 0;
    int status = CLI_FAILED;
    if (!sale_options_read(argc, argv, "journal acknowledge FILE [--socket PATH] [--json]", 1, &o,
                           &status))
        return status;
    if (file_read(o.words[0], ack, sizeof ack, &n) != DP_OK)
        return CLI_FAILED;
    if (n == 0 || n > DP_ACKNOWLEDGEMENT_MAX) {
        (void)fprintf(stderr, "doorpay: %s: not an acknowledgement: 1 to %d bytes\n", o.words[0],
                      DP_ACKNOWLEDGEMENT_MAX);
        return CLI_FAILED;
    }
    (void)dp_hex_encode(ack, n, hex, sizeof hex);
    answer = sale_ask(&o, sale_request(&o, "Admin", "AdminRequest",
                                       json_pack("{s:s,s:s}", "ServiceIdentification",
                                                 "journal-acknowledge", "Acknowledgement", hex)));
    if (answer == NULL)
        return CLI_FAILED;
    status = sale_finish_simple(&o, sale_member(answer, "AdminResponse"));
    json_decref(answer);
    return status;
}
