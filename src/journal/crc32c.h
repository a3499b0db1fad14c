/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DP_JOURNAL_CRC32C_H
#define DP_JOURNAL_CRC32C_H

#include <doorpay/base.h>

/* CRC-32C (Castagnoli) of n more bytes; start with crc = 0. It finds crashes and proves nothing. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

#endif
