/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DP_CLI_QR_H
#define DP_CLI_QR_H

#include <stdio.h>

#include <doorpay/base.h>

enum qr_form {
    QR_NONE,
    QR_TEXT, /* for a terminal: two modules a character, black on white */
    QR_SVG
};

/* A QR code of text, which has nothing but the alphanumeric mode's characters, to a stream.
 * DP_ERR_UNSUPPORTED: built without libqrencode; DP_ERR_LIMIT: more than a code holds. */
DP_MUST_USE int qr_print(FILE *to, const char *text, enum qr_form form);

#endif
