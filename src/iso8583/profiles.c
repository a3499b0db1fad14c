/* SPDX-License-Identifier: Apache-2.0 */
/* The profiles that are compiled in; the tables are made from layouts/ at build time. */
#include <doorpay/iso8583.h>

#include <string.h>

#include "layouts.h"

#define PROFILES (sizeof iso8583_layouts / sizeof iso8583_layouts[0])

const struct dp_iso8583_layout *dp_iso8583_profile_at(size_t index)
{
    return index < PROFILES ? &iso8583_layouts[index] : NULL;
}

const struct dp_iso8583_layout *dp_iso8583_profile(const char *name)
{
    for (size_t i = 0; i < PROFILES; i++)
        if (strcmp(iso8583_layouts[i].name, name) == 0)
            return &iso8583_layouts[i];
    return NULL;
}
