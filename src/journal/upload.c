/* SPDX-License-Identifier: Apache-2.0 */
/* What the collector has: its acknowledgement becomes a record, and the segments that are wholly in
 * it become archives, one at a time (docs/PROTOCOL.journal, 10 and 11). */
#include "writer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"

#include "archive.h"

#define TEMPORARY  "archive" /* an archive that is being made; no part of the journal */
#define PROBES_MAX 64        /* segments that one call looks for */

/* ---- the checkpoint that an acknowledgement is about ---- */

struct search {
    uint8_t bytes[DP_JOURNAL_SEGMENT_BYTES]; /* of a segment */
    uint8_t *room;
    enum segment_found found; /* how */
    struct dp_record record;
};

/* The segment with that number into s->bytes. DP_ERR_TAMPERED: it is not there, or damaged. */
static int load(const struct dp_journal *j, uint32_t number, struct search *s, uint64_t *size,
                struct segment_header *h)
{
    int err = segment_load(&j->config.store, j->dir, number, s->bytes, &s->room, size, &s->found);
    if (err != DP_OK)
        return err;
    if ((s->found != SEGMENT_FILE && s->found != SEGMENT_FILE_ONLY &&
         s->found != SEGMENT_ARCHIVED) ||
        segment_header_read(s->bytes, h) != DP_OK || h->number != number)
        return DP_ERR_TAMPERED;
    return DP_OK;
}

/* The segment that holds record seq. */
static int load_with(const struct dp_journal *j, uint64_t seq, struct search *s, uint64_t *size,
                     struct segment_header *h)
{
    for (uint32_t number = j->number; number >= 1; number--) {
        int err = load(j, number, s, size, h);
        if (err != DP_OK || h->first_seq <= seq)
            return err;
    }
    return DP_ERR_NOT_FOUND;
}

/* The CHECKPOINT with that number; DP_ERR_NOT_FOUND: the record is another, or is not there. */
static int find_checkpoint(const struct dp_journal *j, uint64_t seq, struct search *s)
{
    struct segment_header h;
    struct segment seg;
    struct frame f;
    uint64_t size = 0, at = 0;
    unsigned key;
    int err = load_with(j, seq, s, &size, &h);
    if (err != DP_OK)
        return err;
    seg = (struct segment){s->bytes, (uint32_t)size, {0}};
    memcpy(seg.salt, h.salt, sizeof seg.salt);
    memset(&f, 0, sizeof f);
    f.next = SEGMENT_HEADER_BYTES;
    for (at = h.first_seq; frame_read(&seg, f.next, f.batch, at, &f) == FRAME_GOOD;) {
        if (f.signature)
            continue;
        if (at++ != seq)
            continue;
        if (dp_record_decode(f.payload.p, f.payload.n, &s->record, &key) != DP_OK ||
            s->record.type != DP_RECORD_CHECKPOINT)
            return DP_ERR_NOT_FOUND;
        return DP_OK;
    }
    return DP_ERR_NOT_FOUND;
}

/* ---- the acknowledgement ---- */

__attribute__((format(printf, 4, 5))) static int refuse(char *error, size_t error_n, int err,
                                                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error, error_n, format, args);
    va_end(args);
    return err;
}

static int check_signature(const uint8_t *p, size_t n, const uint8_t collector[65], char *error,
                           size_t error_n)
{
    int err = ack_verify(p, n, collector);
    if (err == DP_ERR_MISMATCH)
        return refuse(error, error_n, DP_ERR_SIGNATURE,
                      "it is signed by another key than the collector's");
    if (err != DP_OK)
        return refuse(error, error_n, err, "its signature is not valid");
    return DP_OK;
}

/* What it says of the checkpoint is what this journal says. */
static int check_head(const struct ack *a, const struct dp_record *r, char *error, size_t error_n)
{
    struct checkpoint c;
    uint8_t digest[HASH_BYTES], after[HASH_BYTES];
    int err = checkpoint_read(r->body, r->body_n, &c);
    if (err == DP_OK)
        err = hash_parts(&(struct dp_bytes){r->body, r->body_n}, 1, digest);
    if (err == DP_OK)
        err = hash_extend(c.before, digest, after);
    if (err != DP_OK)
        return refuse(error, error_n, err, "the checkpoint cannot be read");
    if (memcmp(c.root, a->root, sizeof c.root) != 0)
        return refuse(error, error_n, DP_ERR_MISMATCH,
                      "the collector has other records under this journal's name: its first "
                      "%" PRIu64 " are not ours",
                      a->size);
    if (memcmp(after, a->anchor, sizeof after) != 0)
        return refuse(error, error_n, DP_ERR_MISMATCH,
                      "it names another anchor than that of our checkpoint at %" PRIu64 " records",
                      a->size);
    return DP_OK;
}

static int check_place(const struct dp_journal *j, const struct ack *a, char *error, size_t error_n)
{
    struct search *s;
    int err;
    if (memcmp(a->journal, j->id, sizeof j->id) != 0)
        return refuse(error, error_n, DP_ERR_MISMATCH, "it is of another journal");
    if (a->size >= j->flushed)
        return refuse(error, error_n, DP_ERR_RANGE,
                      "it is of a checkpoint over %" PRIu64 " records, and the journal has %" PRIu64
                      " in all",
                      a->size, j->flushed);
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return refuse(error, error_n, DP_ERR_NOMEM, "no memory");
    err = find_checkpoint(j, a->size, s);
    if (err == DP_ERR_NOT_FOUND)
        (void)refuse(error, error_n, err, "the journal made no checkpoint at %" PRIu64 " records",
                     a->size);
    else if (err != DP_OK)
        (void)refuse(error, error_n, err, "the journal cannot be read: %s", dp_strerr(err));
    else
        err = check_head(a, &s->record, error, error_n);
    free(s->room);
    free(s);
    if (err == DP_OK && a->size == j->acked)
        return refuse(error, error_n, DP_ERR_DUPLICATE, "it was acknowledged before");
    if (err == DP_OK && a->size < j->acked)
        return refuse(error, error_n, DP_ERR_ROLLBACK,
                      "it is older than the last, which is of %" PRIu64 " records", j->acked);
    return err;
}

int dp_journal_acknowledge(struct dp_journal *j, const uint8_t *p, size_t n,
                           const uint8_t collector[65], struct dp_record *r, char *words,
                           size_t words_n)
{
    struct ack a;
    int err;
    if (j->stopped || j->closed)
        return refuse(words, words_n, DP_ERR_STATE, "the journal takes no more records");
    if (n > sizeof r->body || ack_read(p, n, &a) != DP_OK)
        return refuse(words, words_n, DP_ERR_FORMAT, "this is no acknowledgement");
    err = check_signature(p, n, collector, words, words_n);
    if (err == DP_OK)
        err = check_place(j, &a, words, words_n);
    if (err != DP_OK)
        return err;
    memset(r, 0, sizeof *r);
    r->type = DP_RECORD_UPLOAD_ACK;
    memcpy(r->body, p, n);
    r->body_n = (uint16_t)n;
    r->has_digest = true;
    err = hash_parts(&(struct dp_bytes){p, n}, 1, r->digest);
    if (err == DP_OK)
        err = journal_put(j, r);
    if (err != DP_OK)
        return refuse(words, words_n, err, "it cannot be journalled: %s", dp_strerr(err));
    j->acked = a.size;
    (void)snprintf(words, words_n, "acknowledged by %s: the first %" PRIu64 " records", a.server,
                   a.size);
    return DP_OK;
}

/* ---- archives ---- */

static int is_file(const struct dp_journal *j, uint32_t number, bool *is)
{
    const struct dp_store *store = &j->config.store;
    char name[SEGMENT_NAME_BYTES], path[DP_JOURNAL_NAME_MAX];
    int file = -1, err;
    segment_name(number, name);
    err = store->ops->open(store->ctx, journal_path(j->dir, name, path), false, &file);
    *is = err == DP_OK;
    if (*is)
        store->ops->close(store->ctx, file);
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

/* The next segment that is still a file, closed, and of acknowledged records only; 0: none. */
static int next_file(struct dp_journal *j, struct search *s, uint64_t *size, uint32_t *number,
                     bool *more)
{
    struct segment_header h;
    bool is = false;
    int err = DP_OK;
    *number = 0;
    for (unsigned i = 0; i < PROBES_MAX && err == DP_OK && !is; i++) {
        if (j->archived + 1 >= j->number)
            return DP_OK; /* the rest is being written to */
        err = is_file(j, j->archived + 1, &is);
        j->archived += err == DP_OK && !is ? 1 : 0;
    }
    *more = err == DP_OK && !is;
    if (!is || err != DP_OK)
        return err;
    err = load(j, j->archived + 2, s, size, &h);
    if (err != DP_OK || h.first_seq > j->acked)
        return err;
    err = load(j, j->archived + 1, s, size, &h);
    *more = err == DP_OK;
    *number = err == DP_OK ? j->archived + 1 : 0;
    return err;
}

/* What was written is read again: only what comes back as the segment may stand for it. */
static int check_written(const struct dp_journal *j, int file, const struct search *s, size_t size,
                         size_t packed_n)
{
    const struct dp_store *store = &j->config.store;
    uint8_t *again = s->room + DP_JOURNAL_ARCHIVE_BYTES;
    size_t got = 0;
    int err = store->ops->read_at(store->ctx, file, 0, s->room, packed_n, &got);
    if (err == DP_OK && got != packed_n)
        err = DP_ERR_IO;
    if (err == DP_OK)
        err = archive_unpack(s->room, packed_n, again, DP_JOURNAL_SEGMENT_BYTES, &got);
    if (err == DP_OK && (got != size || memcmp(again, s->bytes, size) != 0))
        err = DP_ERR_IO;
    return err;
}

/* Durable under its temporary name. */
static int write_archive(const struct dp_journal *j, struct search *s, size_t size)
{
    const struct dp_store *store = &j->config.store;
    char path[DP_JOURNAL_NAME_MAX];
    size_t packed_n = 0;
    int file = -1, err;
    if (s->room == NULL)
        s->room = malloc(DP_JOURNAL_ARCHIVE_BYTES + DP_JOURNAL_SEGMENT_BYTES);
    if (s->room == NULL)
        return DP_ERR_NOMEM;
    err = archive_pack(s->bytes, size, s->room, DP_JOURNAL_ARCHIVE_BYTES, &packed_n);
    if (err == DP_OK)
        err =
            store->ops->create(store->ctx, journal_path(j->dir, TEMPORARY, path), packed_n, &file);
    if (err == DP_OK)
        err = store->ops->write_at(store->ctx, file, 0, s->room, packed_n);
    if (err == DP_OK)
        err = store->ops->sync(store->ctx, file);
    if (err == DP_OK)
        err = check_written(j, file, s, size, packed_n);
    store->ops->close(store->ctx, file);
    return err;
}

static int remove_if_there(const struct dp_journal *j, const char *name)
{
    const struct dp_store *store = &j->config.store;
    char path[DP_JOURNAL_NAME_MAX];
    int err = store->ops->remove(store->ctx, journal_path(j->dir, name, path));
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

/* Archive first, durable with its name, and only then the file goes: a crash leaves one of them or
 * both. That the two are alike was seen when they were loaded. */
static int archive_one(struct dp_journal *j, struct search *s, size_t size, uint32_t number)
{
    const struct dp_store *store = &j->config.store;
    char name[ARCHIVE_NAME_BYTES], from[DP_JOURNAL_NAME_MAX], to[DP_JOURNAL_NAME_MAX];
    int file = -1, err;
    archive_name(number, name);
    err = s->found == SEGMENT_FILE_ONLY ? remove_if_there(j, name) : DP_OK;
    if (err == DP_OK)
        err = store->ops->open(store->ctx, journal_path(j->dir, name, to), false, &file);
    if (err == DP_OK)
        store->ops->close(store->ctx, file);
    if (err == DP_ERR_NOT_FOUND) {
        err = remove_if_there(j, TEMPORARY);
        if (err == DP_OK)
            err = write_archive(j, s, size);
        if (err == DP_OK)
            err = store->ops->rename(store->ctx, journal_path(j->dir, TEMPORARY, from), to);
    }
    if (err == DP_OK)
        err = store->ops->sync_dir(store->ctx, j->dir);
    segment_name(number, name);
    if (err == DP_OK)
        err = store->ops->remove(store->ctx, journal_path(j->dir, name, from));
    if (err == DP_OK)
        err = store->ops->sync_dir(store->ctx, j->dir);
    return err;
}

int dp_journal_archive(struct dp_journal *j, bool *more)
{
    struct search *s = NULL;
    uint64_t size = 0;
    uint32_t number = 0;
    int err = DP_OK;
    *more = false;
    if (j->stopped || j->closed)
        return DP_ERR_STATE;
    if (j->acked == 0 || j->archives_off)
        return DP_OK;
    s = calloc(1, sizeof *s);
    err = s == NULL ? DP_ERR_NOMEM : next_file(j, s, &size, &number, more);
    if (err == DP_OK && number != 0)
        err = archive_one(j, s, (size_t)size, number);
    if (err == DP_OK && number != 0)
        j->archived = number;
    if (err != DP_OK) {
        dp_log(DP_LOG_WARNING, "journal: segment %u does not become an archive: %s",
               j->archived + 1, dp_strerr(err));
        (void)!remove_if_there(j, TEMPORARY);
        j->archives_off = true;
        *more = false;
    }
    if (s != NULL)
        free(s->room);
    free(s);
    return DP_OK;
}
