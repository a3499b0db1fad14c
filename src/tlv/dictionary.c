/* SPDX-License-Identifier: Apache-2.0 */
/* The table that gen-tags makes of the text file `tags`. */
#include <doorpay/tlv.h>

#include "tags.h"

#define TAGS_N (sizeof tlv_tags / sizeof tlv_tags[0])

const struct dp_tlv_tag *dp_tlv_tag_at(size_t i)
{
    return i < TAGS_N ? &tlv_tags[i] : NULL;
}

const struct dp_tlv_tag *dp_tlv_tag_find(uint32_t tag)
{
    size_t low = 0, high = TAGS_N;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tlv_tags[middle].tag == tag)
            return &tlv_tags[middle];
        if (tlv_tags[middle].tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
