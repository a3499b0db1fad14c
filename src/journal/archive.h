/* SPDX-License-Identifier: Apache-2.0 */
/* An archived segment, docs/PROTOCOL.journal, 10: one zstd frame that holds a segment and nothing
 * else. And a segment as it is found: a file, an archive, or after a crash both. */
#ifndef DP_JOURNAL_ARCHIVE_H
#define DP_JOURNAL_ARCHIVE_H

#include <doorpay/journal.h>

#include "base/limits.h"

#define ARCHIVE_NAME_BYTES 21 /* "seg-00000001.dpj.zst" and its end */

/* "seg-00000001.dpj.zst"; out holds ARCHIVE_NAME_BYTES. */
void archive_name(uint32_t number, char *out);
/* The number in an archive's file name, 0 when it is not one. */
uint32_t archive_number(const char *name);
/* That of a segment's file or of an archive. */
uint32_t segment_any_number(const char *name);

/* n bytes of a segment into at most max (DP_JOURNAL_ARCHIVE_BYTES always do). DP_ERR_SPACE,
 * DP_ERR_NOMEM. */
DP_MUST_USE int archive_pack(const uint8_t *segment, size_t n, uint8_t *out, size_t max,
                             size_t *packed_n);
/* At most max bytes of a segment out of an archive, all of it or nothing. DP_ERR_FORMAT: not the
 * one form, cut short, or something stands behind it; DP_ERR_RANGE: no segment has that size;
 * DP_ERR_NOMEM. */
DP_MUST_USE DP_PARSES int archive_unpack(const uint8_t *p, size_t n, uint8_t *out, size_t max,
                                         size_t *segment_n);

enum segment_found {
    SEGMENT_FILE,      /* as a file, with or without an archive of the same bytes */
    SEGMENT_FILE_ONLY, /* as a file; what stands beside it under the archive's name is none */
    SEGMENT_ARCHIVED,  /* as an archive alone */
    SEGMENT_MISSING,
    SEGMENT_NO_SIZE,    /* the file has a size that no segment has */
    SEGMENT_BAD_ARCHIVE /* the archive alone is none, or one of other bytes than the file beside it
                         */
};

/* bytes receives the segment (DP_JOURNAL_SEGMENT_BYTES); *room is memory for an archive, made when
 * there is one and the caller's to free. DP_ERR_IO, DP_ERR_NOMEM. */
DP_MUST_USE int segment_load(const struct dp_store *store, const char *dir, uint32_t number,
                             uint8_t *bytes, uint8_t **room, uint64_t *size,
                             enum segment_found *found);
/* Its first bytes alone, at most max; of an archive all of it is unpacked for that.
 * DP_ERR_NOT_FOUND, DP_ERR_TAMPERED: an archive that is none; DP_ERR_IO, DP_ERR_NOMEM. */
DP_MUST_USE int segment_load_start(const struct dp_store *store, const char *dir, uint32_t number,
                                   uint8_t *bytes, size_t max, size_t *got);

#endif
