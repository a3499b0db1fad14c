/* SPDX-License-Identifier: Apache-2.0 */
#include "qr.h"

#include "dp_config.h"

#if DP_WITH_QRENCODE

#include <errno.h>
#include <qrencode.h>
#include <string.h>

#define QUIET 4 /* modules of white around it: ISO/IEC 18004 */

static bool dark(const QRcode *code, int row, int column)
{
    if (row < 0 || column < 0 || row >= code->width || column >= code->width)
        return false;
    return (code->data[row * code->width + column] & 1) != 0;
}

static void print_text(FILE *to, const QRcode *code)
{
    static const char *const blocks[] = {" ", "\u2584", "\u2580", "\u2588"};
    for (int row = -QUIET; row < code->width + QUIET; row += 2) {
        (void)fputs("\033[30;107m", to);
        for (int column = -QUIET; column < code->width + QUIET; column++)
            (void)fputs(blocks[dark(code, row, column) * 2 + dark(code, row + 1, column)], to);
        (void)fputs("\033[0m\n", to);
    }
}

/* Each run of dark modules of a row is a rectangle. */
static void print_svg(FILE *to, const QRcode *code)
{
    int side = code->width + 2 * QUIET;
    (void)fprintf(to,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                  "shape-rendering=\"crispEdges\">\n<path fill=\"#fff\" d=\"M0 0h%dv%dh-%dz\"/>\n"
                  "<path fill=\"#000\" d=\"",
                  side, side, side, side, side);
    for (int row = 0; row < code->width; row++)
        for (int column = 0; column < code->width; column++) {
            int run = 0;
            while (dark(code, row, column + run))
                run++;
            if (run > 0)
                (void)fprintf(to, "M%d %dh%dv1h-%dz", column + QUIET, row + QUIET, run, run);
            column += run;
        }
    (void)fprintf(to, "\"/>\n</svg>\n");
}

int qr_print(FILE *to, const char *text, enum qr_form form)
{
    QRinput *input = QRinput_new2(0, QR_ECLEVEL_L);
    QRcode *code = NULL;
    int err = DP_ERR_NOMEM;
    if (input == NULL)
        return err;
    if (QRinput_append(input, QR_MODE_AN, (int)strlen(text), (const unsigned char *)text) == 0)
        code = QRcode_encodeInput(input);
    if (code != NULL)
        err = DP_OK;
    else if (errno == ERANGE || errno == EINVAL)
        err = DP_ERR_LIMIT;
    if (code != NULL && form == QR_SVG)
        print_svg(to, code);
    else if (code != NULL)
        print_text(to, code);
    QRcode_free(code);
    QRinput_free(input);
    return err;
}

#else

int qr_print(FILE *to, const char *text, enum qr_form form)
{
    (void)to;
    (void)text;
    (void)form;
    return DP_ERR_UNSUPPORTED;
}

#endif
