/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DP_EMV_NAMES_H
#define DP_EMV_NAMES_H

#include <doorpay/emv.h>

#define EMV_NAME_BYTES      sizeof(((struct dp_emv_summary *)NULL)->label)
#define EMV_LANGUAGES_BYTES sizeof(((struct dp_emv_summary *)NULL)->languages)

/* The preferred name (9F12) when we have its alphabet (9F11), else the label (50), as UTF-8; empty
 * when neither can be shown. */
DP_PARSES void emv_name_for_people(struct dp_bytes preferred, struct dp_bytes code_table,
                                   struct dp_bytes label, char out[EMV_NAME_BYTES]);
/* Language preference (5F2D): "frennl", in the holder's order. What is no list of languages leaves
 * out as it was. */
DP_PARSES void emv_languages_take(struct dp_bytes v, char out[EMV_LANGUAGES_BYTES]);

#endif
