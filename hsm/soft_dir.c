/* SPDX-License-Identifier: Apache-2.0 */
#include "soft_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"

#define STATE     "state"
#define STATE_NEW "state.new" /* not yet the state; what a crash leaves is overwritten */
#define OTHERS    (S_IRWXG | S_IRWXO)

static int err_of(int saved)
{
    switch (saved) {
    case ENOENT:
    case ENOTDIR:
        return DP_ERR_NOT_FOUND;
    case EWOULDBLOCK:
        return DP_ERR_BUSY;
    case ENOSPC:
    case EDQUOT:
        return DP_ERR_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return DP_ERR_DENIED;
    case ENOMEM:
        return DP_ERR_NOMEM;
    default:
        return DP_ERR_IO;
    }
}

/* The error for errno, logged with what could not be done to what. */
static int failed(const struct soft_dir *d, const char *what, const char *name)
{
    int saved = errno;
    dp_log(DP_LOG_ERROR, "soft key store: cannot %s %s%s%s: %s", what, d->path,
           name[0] != '\0' ? "/" : "", name, strerror(saved));
    return err_of(saved);
}

static int refuse_others(const struct soft_dir *d, int fd, const char *name)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return failed(d, "look at", name);
    if ((st.st_mode & OTHERS) == 0)
        return DP_OK;
    dp_log(DP_LOG_ERROR, "soft key store: %s%s%s is open to others than its owner (mode %04o)",
           d->path, name[0] != '\0' ? "/" : "", name, (unsigned)st.st_mode & 07777);
    return DP_ERR_DENIED;
}

/* ---- the directory ---- */

/* The new directory's own entry, in its parent, has to last too. */
static int sync_parent(const struct soft_dir *d)
{
    int err = DP_OK;
    int parent = openat(d->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0 || fsync(parent) != 0)
        err = failed(d, "flush the directory above", "");
    if (parent >= 0)
        (void)close(parent);
    return err;
}

int soft_dir_open(const char *path, enum soft_dir_for for_what, struct soft_dir *out)
{
    bool make = for_what == SOFT_DIR_MAKE;
    int err = DP_OK;
    out->fd = -1;
    out->path = strdup(path);
    if (out->path == NULL)
        return DP_ERR_NOMEM;
    if (make && mkdir(path, S_IRWXU) != 0 && errno != EEXIST)
        err = failed(out, "make the directory", "");
    if (err == DP_OK) {
        out->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (out->fd < 0)
            err = failed(out, "open", "");
    }
    if (err == DP_OK)
        err = refuse_others(out, out->fd, "");
    if (err == DP_OK && for_what != SOFT_DIR_LOOK && flock(out->fd, LOCK_EX | LOCK_NB) != 0)
        err = failed(out, "lock", "");
    if (err == DP_OK && make)
        err = sync_parent(out);
    if (err != DP_OK)
        soft_dir_close(out);
    return err;
}

void soft_dir_close(struct soft_dir *d)
{
    if (d->fd >= 0)
        (void)close(d->fd);
    free(d->path);
    d->fd = -1;
    d->path = NULL;
}

/* ---- the state file ---- */

static int read_file(const struct soft_dir *d, int fd, uint8_t *p, size_t max, size_t *n)
{
    uint8_t over;
    *n = 0;
    for (;;) {
        ssize_t got = *n < max ? read(fd, p + *n, max - *n) : read(fd, &over, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failed(d, "read", STATE);
        if (got == 0)
            return DP_OK;
        if (*n == max) {
            dp_log(DP_LOG_ERROR, "soft key store: %s/" STATE " is longer than any state", d->path);
            return DP_ERR_LIMIT;
        }
        *n += (size_t)got;
    }
}

int soft_dir_read(const struct soft_dir *d, uint8_t *p, size_t max, size_t *n)
{
    int err;
    /* O_NONBLOCK: not to wait for a writer should somebody have put a FIFO there */
    int fd = openat(d->fd, STATE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? DP_ERR_NOT_FOUND : failed(d, "open", STATE);
    err = refuse_others(d, fd, STATE);
    if (err == DP_OK)
        err = read_file(d, fd, p, max, n);
    (void)close(fd);
    return err;
}

static int write_all(const struct soft_dir *d, int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            if (done == 0)
                errno = ENOSPC;
            return failed(d, "write", STATE_NEW);
        }
        p += done;
        n -= (size_t)done;
    }
    return DP_OK;
}

/* The service keeps its store when root has worked on it. */
static int keep_owner(const struct soft_dir *d, int fd)
{
    struct stat st;
    if (fstat(d->fd, &st) != 0)
        return failed(d, "look at", "");
    if (st.st_uid != geteuid() && fchown(fd, st.st_uid, st.st_gid) != 0)
        return failed(d, "give the directory's owner", STATE_NEW);
    return DP_OK;
}

static int write_new(const struct soft_dir *d, const uint8_t *p, size_t n)
{
    int err, fd;
    if (unlinkat(d->fd, STATE_NEW, 0) != 0 && errno != ENOENT)
        return failed(d, "remove", STATE_NEW);
    fd = openat(d->fd, STATE_NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                S_IRUSR | S_IWUSR);
    if (fd < 0)
        return failed(d, "make", STATE_NEW);
    err = keep_owner(d, fd);
    if (err == DP_OK)
        err = write_all(d, fd, p, n);
    if (err == DP_OK && fsync(fd) != 0)
        err = failed(d, "flush", STATE_NEW);
    if (close(fd) != 0 && err == DP_OK)
        err = failed(d, "close", STATE_NEW);
    if (err != DP_OK)
        (void)unlinkat(d->fd, STATE_NEW, 0);
    return err;
}

int soft_dir_replace(const struct soft_dir *d, const uint8_t *p, size_t n, bool *unknown)
{
    int err;
    DP_ASSERT(d->fd >= 0);
    *unknown = false;
    err = write_new(d, p, n);
    if (err < 0)
        return err;
    *unknown = true;
    if (renameat(d->fd, STATE_NEW, d->fd, STATE) != 0)
        return failed(d, "rename", STATE_NEW);
    if (fsync(d->fd) != 0)
        return failed(d, "flush", "");
    *unknown = false;
    return DP_OK;
}
