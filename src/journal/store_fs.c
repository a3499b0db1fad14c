/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's store on the real file system, below one directory and never outside it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <dirent.h>

#include <doorpay/journal.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"

struct fs {
    int root;
    char path[]; /* for messages only */
};

static int err_of(int saved_errno)
{
    switch (saved_errno) {
    case ENOENT:
    case ENOTDIR:
        return DP_ERR_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
        return DP_ERR_FULL;
    case EEXIST:
        return DP_ERR_DUPLICATE;
    case ENOMEM:
        return DP_ERR_NOMEM;
    default:
        return DP_ERR_IO;
    }
}

/* The error for errno, logged with what was being done to what. */
static int failed(const struct fs *fs, const char *what, const char *name)
{
    int saved = errno;
    int err = err_of(saved);
    if (err != DP_ERR_NOT_FOUND)
        dp_log(DP_LOG_ERROR, "cannot %s %s/%s: %s", what, fs->path, name, strerror(saved));
    return err;
}

/* Names are relative and never climb. */
static bool name_ok(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > DP_JOURNAL_NAME_MAX || name[0] == '/')
        return false;
    for (const char *p = name; *p != '\0'; p++) {
        bool starts = p == name || p[-1] == '/';
        if (starts && p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
            return false;
    }
    return true;
}

static int open_at(const struct fs *fs, const char *name, int flags, const char *what, int *file)
{
    *file = -1;
    if (!name_ok(name))
        return DP_ERR_ARG;
    do {
        *file = openat(fs->root, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    } while (*file < 0 && errno == EINTR);
    return *file < 0 ? failed(fs, what, name) : DP_OK;
}

static int fs_make_dir(void *ctx, const char *name)
{
    const struct fs *fs = ctx;
    if (!name_ok(name))
        return DP_ERR_ARG;
    if (mkdirat(fs->root, name, 0700) != 0 && errno != EEXIST)
        return failed(fs, "make the directory", name);
    return DP_OK;
}

static int fs_write_at(void *ctx, int file, uint64_t offset, const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n > 0) {
        ssize_t done = pwrite(file, at, n, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            if (done == 0)
                errno = ENOSPC;
            return failed(ctx, "write", "a file of the journal");
        }
        at += done;
        offset += (uint64_t)done;
        n -= (size_t)done;
    }
    return DP_OK;
}

/* Blocks are taken and written now, so that a later write in place needs no space. */
static int fs_create(void *ctx, const char *name, uint64_t size, int *file)
{
    static const uint8_t zeros[65536];
    const struct fs *fs = ctx;
    int err = open_at(fs, name, O_RDWR | O_CREAT | O_EXCL, "create", file);
    if (err != DP_OK)
        return err;
    if (size > 0) {
        int no = posix_fallocate(*file, 0, (off_t)size);
        if (no != 0 && no != EOPNOTSUPP && no != EINVAL) {
            errno = no;
            err = failed(fs, "take the space for", name);
        }
    }
    for (uint64_t at = 0; err == DP_OK && at < size;) {
        size_t n = size - at < sizeof zeros ? (size_t)(size - at) : sizeof zeros;
        err = fs_write_at(ctx, *file, at, zeros, n);
        at += n;
    }
    if (err != DP_OK) {
        (void)close(*file);
        (void)unlinkat(fs->root, name, 0);
        *file = -1;
    }
    return err;
}

static int fs_open(void *ctx, const char *name, bool write, int *file)
{
    return open_at(ctx, name, write ? O_RDWR : O_RDONLY, "open", file);
}

static int fs_read_at(void *ctx, int file, uint64_t offset, void *p, size_t n, size_t *got)
{
    uint8_t *at = p;
    *got = 0;
    while (*got < n) {
        ssize_t done = pread(file, at + *got, n - *got, (off_t)(offset + *got));
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return failed(ctx, "read", "a file of the journal");
        if (done == 0)
            break;
        *got += (size_t)done;
    }
    return DP_OK;
}

static int fs_size(void *ctx, int file, uint64_t *size)
{
    struct stat st;
    if (fstat(file, &st) != 0)
        return failed(ctx, "look at", "a file of the journal");
    *size = (uint64_t)st.st_size;
    return DP_OK;
}

/* fdatasync also flushes the metadata without which the data could not be read back. */
static int fs_sync(void *ctx, int file)
{
    return fdatasync(file) == 0 ? DP_OK : failed(ctx, "flush", "a file of the journal");
}

static int fs_sync_dir(void *ctx, const char *name)
{
    int file;
    int err = open_at(ctx, name, O_RDONLY | O_DIRECTORY, "open", &file);
    if (err != DP_OK)
        return err;
    if (fsync(file) != 0)
        err = failed(ctx, "flush the directory", name);
    (void)close(file);
    return err;
}

static void fs_close(void *ctx, int file)
{
    (void)ctx;
    if (file >= 0)
        (void)close(file);
}

static int fs_rename(void *ctx, const char *from, const char *to)
{
    const struct fs *fs = ctx;
    if (!name_ok(from) || !name_ok(to))
        return DP_ERR_ARG;
    /* never over a file that is there */
    if (renameat2(fs->root, from, fs->root, to, RENAME_NOREPLACE) == 0)
        return DP_OK;
    if (errno != EINVAL)
        return failed(fs, "rename", from);
    if (faccessat(fs->root, to, F_OK, 0) == 0)
        return DP_ERR_DUPLICATE;
    return renameat(fs->root, from, fs->root, to) == 0 ? DP_OK : failed(fs, "rename", from);
}

static int fs_remove(void *ctx, const char *name)
{
    const struct fs *fs = ctx;
    if (!name_ok(name))
        return DP_ERR_ARG;
    return unlinkat(fs->root, name, 0) == 0 ? DP_OK : failed(fs, "remove", name);
}

struct names {
    char **at;
    size_t n, max;
};

static int names_add(struct names *names, const char *name)
{
    if (names->n == names->max) {
        size_t more = names->max == 0 ? 32 : names->max * 2;
        char **grown;
        if (more > DP_JOURNAL_DIR_ENTRIES_MAX)
            return DP_ERR_LIMIT;
        grown = realloc(names->at, more * sizeof *grown);
        if (grown == NULL)
            return DP_ERR_NOMEM;
        names->at = grown;
        names->max = more;
    }
    names->at[names->n] = strdup(name);
    if (names->at[names->n] == NULL)
        return DP_ERR_NOMEM;
    names->n++;
    return DP_OK;
}

static int names_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int names_read(const struct fs *fs, DIR *dir, const char *name, struct names *names)
{
    for (;;) {
        int err;
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (entry == NULL)
            return errno == 0 ? DP_OK : failed(fs, "list", name);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        err = names_add(names, entry->d_name);
        if (err != DP_OK)
            return err;
    }
}

static int fs_list(void *ctx, const char *name, void (*each)(void *user, const char *name),
                   void *user)
{
    struct names names = {NULL, 0, 0};
    DIR *dir = NULL;
    int file;
    int err = open_at(ctx, name, O_RDONLY | O_DIRECTORY, "list", &file);
    if (err != DP_OK)
        return err;
    dir = fdopendir(file);
    if (dir == NULL) {
        (void)close(file);
        return DP_ERR_NOMEM;
    }
    err = names_read(ctx, dir, name, &names);
    if (err == DP_OK && names.n > 0)
        qsort(names.at, names.n, sizeof *names.at, names_compare);
    for (size_t i = 0; i < names.n; i++) {
        if (err == DP_OK)
            each(user, names.at[i]);
        free(names.at[i]);
    }
    free(names.at);
    (void)closedir(dir);
    return err;
}

static int fs_lock(void *ctx, const char *name, int *file)
{
    int err = open_at(ctx, name, O_RDWR | O_CREAT, "open the lock", file);
    if (err != DP_OK)
        return err;
    if (flock(*file, LOCK_EX | LOCK_NB) == 0)
        return DP_OK;
    err = errno == EWOULDBLOCK ? DP_ERR_BUSY : failed(ctx, "lock", name);
    (void)close(*file);
    *file = -1;
    return err;
}

static int fs_space(void *ctx, uint64_t *bytes_free)
{
    const struct fs *fs = ctx;
    struct statvfs st;
    if (fstatvfs(fs->root, &st) != 0)
        return failed(fs, "ask the space of", "");
    *bytes_free = (uint64_t)st.f_bavail * st.f_frsize;
    return DP_OK;
}

static const struct dp_store_ops fs_ops = {
    .make_dir = fs_make_dir,
    .create = fs_create,
    .open = fs_open,
    .read_at = fs_read_at,
    .write_at = fs_write_at,
    .size = fs_size,
    .sync = fs_sync,
    .sync_dir = fs_sync_dir,
    .close = fs_close,
    .rename = fs_rename,
    .remove = fs_remove,
    .list = fs_list,
    .lock = fs_lock,
    .space = fs_space,
};

int dp_store_fs_open(const char *root, struct dp_store *out)
{
    size_t n = strlen(root) + 1;
    struct fs *fs;
    int err;
    out->ops = NULL;
    out->ctx = NULL;
    fs = malloc(sizeof *fs + n);
    if (fs == NULL)
        return DP_ERR_NOMEM;
    memcpy(fs->path, root, n);
    fs->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fs->root < 0) {
        err = failed(fs, "open", "");
        free(fs);
        return err;
    }
    out->ops = &fs_ops;
    out->ctx = fs;
    return DP_OK;
}

void dp_store_fs_free(struct dp_store *store)
{
    struct fs *fs = store->ctx;
    if (fs == NULL)
        return;
    DP_ASSERT(store->ops == &fs_ops);
    (void)close(fs->root);
    free(fs);
    store->ops = NULL;
    store->ctx = NULL;
}
