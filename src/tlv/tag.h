/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DP_TLV_TAG_H
#define DP_TLV_TAG_H

#include "base/reader.h"

/* A tag of one to DP_TLV_TAG_MAX bytes; the reader fails (DP_ERR_FORMAT) on a longer one. */
uint32_t tlv_read_tag(struct dp_reader *r);

#endif
