/* SPDX-License-Identifier: Apache-2.0 */
#include "archive.h"

#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "base/assert.h"

#include "scan.h"

#define LEVEL       3
#define HEAD_BYTES  6    /* magic, form, the first byte of the size */
#define FORM        0x24 /* RFC 8878, 3.1.1.1.1: Single_Segment, Content_Checksum, no dictionary */
#define FORM_MASK   0x3F /* all but how many bytes the size has */
#define ENDING      ".zst"
#define ENDING_FROM (SEGMENT_NAME_BYTES - 1)

static const uint8_t magic[4] = {0x28, 0xB5, 0x2F, 0xFD};

_Static_assert(ZSTD_COMPRESSBOUND(DP_JOURNAL_SEGMENT_BYTES) <= DP_JOURNAL_ARCHIVE_BYTES,
               "an archive of any segment fits");

void archive_name(uint32_t number, char *out)
{
    segment_name(number, out);
    memcpy(out + ENDING_FROM, ENDING, sizeof ENDING);
}

uint32_t archive_number(const char *name)
{
    char segment[SEGMENT_NAME_BYTES];
    if (strlen(name) != ARCHIVE_NAME_BYTES - 1 || strcmp(name + ENDING_FROM, ENDING) != 0)
        return 0;
    memcpy(segment, name, ENDING_FROM);
    segment[ENDING_FROM] = '\0';
    return segment_number(segment);
}

uint32_t segment_any_number(const char *name)
{
    uint32_t number = segment_number(name);
    return number != 0 ? number : archive_number(name);
}

/* ---- the format ---- */

int archive_pack(const uint8_t *segment, size_t n, uint8_t *out, size_t max, size_t *packed_n)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    size_t got = 0;
    int err = c == NULL ? DP_ERR_NOMEM : DP_OK;
    *packed_n = 0;
    DP_ASSERT(n >= DP_JOURNAL_SEGMENT_MIN && n <= DP_JOURNAL_SEGMENT_BYTES);
    if (err == DP_OK &&
        (ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, LEVEL)) != 0 ||
         ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1)) != 0))
        err = DP_ERR_UNSUPPORTED;
    if (err == DP_OK)
        got = ZSTD_compress2(c, out, max, segment, n);
    if (err == DP_OK && ZSTD_isError(got) != 0)
        err = DP_ERR_SPACE;
    (void)ZSTD_freeCCtx(c);
    if (err == DP_OK)
        *packed_n = got;
    return err;
}

/* Its size is told first and is a segment's, so that nothing it says can make it more. */
int archive_unpack(const uint8_t *p, size_t n, uint8_t *out, size_t max, size_t *segment_n)
{
    unsigned long long size;
    ZSTD_DCtx *d;
    size_t got;
    *segment_n = 0;
    if (n < HEAD_BYTES || n > DP_JOURNAL_ARCHIVE_BYTES || memcmp(p, magic, sizeof magic) != 0 ||
        (p[sizeof magic] & FORM_MASK) != FORM)
        return DP_ERR_FORMAT;
    size = ZSTD_getFrameContentSize(p, n);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
        return DP_ERR_FORMAT;
    if (size < DP_JOURNAL_SEGMENT_MIN || size > DP_JOURNAL_SEGMENT_BYTES || size > max)
        return DP_ERR_RANGE;
    if (ZSTD_findFrameCompressedSize(p, n) != n)
        return DP_ERR_FORMAT;
    d = ZSTD_createDCtx();
    if (d == NULL)
        return DP_ERR_NOMEM;
    got = ZSTD_decompressDCtx(d, out, (size_t)size, p, n);
    (void)ZSTD_freeDCtx(d);
    if (ZSTD_isError(got) != 0 || got != size)
        return DP_ERR_FORMAT;
    *segment_n = got;
    return DP_OK;
}

/* ---- a segment as it is found ---- */

/* DP_ERR_NOT_FOUND; DP_ERR_RANGE: of another size than min..max bytes. */
static int read_file(const struct dp_store *store, const char *path, size_t min, size_t max,
                     uint8_t *out, uint64_t *size)
{
    size_t got = 0;
    int file, err = store->ops->open(store->ctx, path, false, &file);
    if (err != DP_OK)
        return err;
    err = store->ops->size(store->ctx, file, size);
    if (err == DP_OK && (*size < min || *size > max))
        err = DP_ERR_RANGE;
    if (err == DP_OK)
        err = store->ops->read_at(store->ctx, file, 0, out, (size_t)*size, &got);
    store->ops->close(store->ctx, file);
    return err == DP_OK && got != *size ? DP_ERR_IO : err;
}

/* DP_OK; DP_ERR_NOT_FOUND; DP_ERR_FORMAT: it is no archive. out NULL: into the room's second part.
 */
static int read_archive(const struct dp_store *store, const char *path, uint8_t **room,
                        uint8_t *out, size_t *n)
{
    uint64_t packed_n = 0;
    int file, err = store->ops->open(store->ctx, path, false, &file);
    if (err != DP_OK)
        return err;
    store->ops->close(store->ctx, file);
    if (*room == NULL)
        *room = malloc(DP_JOURNAL_ARCHIVE_BYTES + DP_JOURNAL_SEGMENT_BYTES);
    if (*room == NULL)
        return DP_ERR_NOMEM;
    if (out == NULL)
        out = *room + DP_JOURNAL_ARCHIVE_BYTES;
    err = read_file(store, path, 1, DP_JOURNAL_ARCHIVE_BYTES, *room, &packed_n);
    if (err == DP_OK)
        err = archive_unpack(*room, (size_t)packed_n, out, DP_JOURNAL_SEGMENT_BYTES, n);
    return err == DP_ERR_RANGE ? DP_ERR_FORMAT : err;
}

/* What stands beside the file is of the same bytes, or no archive: a disk that lied about its flush
 * leaves that, and the file counts. */
static int compare(const struct dp_store *store, const char *path, const uint8_t *bytes,
                   uint64_t size, uint8_t **room, enum segment_found *found)
{
    size_t n = 0;
    int err = read_archive(store, path, room, NULL, &n);
    if (err == DP_ERR_NOT_FOUND)
        return DP_OK;
    if (err != DP_OK && err != DP_ERR_FORMAT)
        return err;
    if (err == DP_ERR_FORMAT)
        *found = *found == SEGMENT_FILE ? SEGMENT_FILE_ONLY : *found;
    else if (*found != SEGMENT_FILE || n != size ||
             memcmp(*room + DP_JOURNAL_ARCHIVE_BYTES, bytes, n) != 0)
        *found = SEGMENT_BAD_ARCHIVE;
    return DP_OK;
}

int segment_load(const struct dp_store *store, const char *dir, uint32_t number, uint8_t *bytes,
                 uint8_t **room, uint64_t *size, enum segment_found *found)
{
    char name[ARCHIVE_NAME_BYTES], path[DP_JOURNAL_NAME_MAX];
    size_t n = 0;
    int err;
    *size = 0;
    *found = SEGMENT_FILE;
    segment_name(number, name);
    err = read_file(store, journal_path(dir, name, path), SEGMENT_HEADER_BYTES,
                    DP_JOURNAL_SEGMENT_BYTES, bytes, size);
    archive_name(number, name);
    (void)journal_path(dir, name, path);
    if (err == DP_OK || err == DP_ERR_RANGE) {
        *found = err == DP_OK ? SEGMENT_FILE : SEGMENT_NO_SIZE;
        return compare(store, path, bytes, *size, room, found);
    }
    if (err != DP_ERR_NOT_FOUND)
        return err;
    *found = SEGMENT_ARCHIVED;
    err = read_archive(store, path, room, bytes, &n);
    *size = n;
    if (err == DP_ERR_NOT_FOUND || err == DP_ERR_FORMAT) {
        *found = err == DP_ERR_FORMAT ? SEGMENT_BAD_ARCHIVE : SEGMENT_MISSING;
        return DP_OK;
    }
    return err;
}

/* The archive's, when there is no file. */
static int unpack_start(const struct dp_store *store, const char *dir, uint32_t number,
                        uint8_t *bytes, size_t max, size_t *got)
{
    uint8_t *all = malloc(DP_JOURNAL_SEGMENT_BYTES), *room = NULL;
    enum segment_found found = SEGMENT_MISSING;
    uint64_t size = 0;
    int err =
        all == NULL ? DP_ERR_NOMEM : segment_load(store, dir, number, all, &room, &size, &found);
    if (err == DP_OK && found == SEGMENT_MISSING)
        err = DP_ERR_NOT_FOUND;
    else if (err == DP_OK && found != SEGMENT_ARCHIVED)
        err = DP_ERR_TAMPERED;
    if (err == DP_OK) {
        *got = size < max ? (size_t)size : max;
        memcpy(bytes, all, *got);
    }
    free(room);
    free(all);
    return err;
}

int segment_load_start(const struct dp_store *store, const char *dir, uint32_t number,
                       uint8_t *bytes, size_t max, size_t *got)
{
    char name[SEGMENT_NAME_BYTES], path[DP_JOURNAL_NAME_MAX];
    int file, err;
    *got = 0;
    segment_name(number, name);
    err = store->ops->open(store->ctx, journal_path(dir, name, path), false, &file);
    if (err == DP_ERR_NOT_FOUND)
        return unpack_start(store, dir, number, bytes, max, got);
    if (err != DP_OK)
        return err;
    err = store->ops->read_at(store->ctx, file, 0, bytes, max, got);
    store->ops->close(store->ctx, file);
    return err;
}
