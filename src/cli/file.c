/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/log.h"

static int failed(const char *path)
{
    dp_log(DP_LOG_ERROR, "%s: %s", path, strerror(errno));
    return errno == ENOENT ? DP_ERR_NOT_FOUND : DP_ERR_IO;
}

static int read_all(int fd, const char *path, uint8_t *p, size_t max, size_t *n)
{
    uint8_t over;
    *n = 0;
    for (;;) {
        ssize_t got = *n < max ? read(fd, p + *n, max - *n) : read(fd, &over, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failed(path);
        if (got == 0)
            return DP_OK;
        if (*n == max) {
            dp_log(DP_LOG_ERROR, "%s: larger than %zu bytes", path, max);
            return DP_ERR_LIMIT;
        }
        *n += (size_t)got;
    }
}

int file_read(const char *path, uint8_t *p, size_t max, size_t *n)
{
    int fd, err;
    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, "standard input", p, max, n);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return failed(path);
    err = read_all(fd, path, p, max, n);
    (void)close(fd);
    return err;
}

int file_write_new(const char *path, const char *text)
{
    return file_write_new_bytes(path, text, strlen(text));
}

int file_write_new_bytes(const char *path, const void *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    ssize_t done;
    if (fd < 0)
        return failed(path);
    done = write(fd, p, n);
    if (done != (ssize_t)n && done >= 0)
        errno = ENOSPC;
    if (done != (ssize_t)n || close(fd) != 0)
        return failed(path);
    return DP_OK;
}

/* The file's place in its directory is durable too. */
static int sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char directory[PATH_MAX] = ".";
    int fd, bad;
    if (slash != NULL)
        (void)snprintf(directory, sizeof directory, "%.*s", (int)(slash - path) + 1, path);
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failed(directory);
    bad = fsync(fd);
    (void)close(fd);
    return bad == 0 ? DP_OK : failed(directory);
}

static int write_synced(int fd, const char *text)
{
    size_t n = strlen(text);
    ssize_t done = write(fd, text, n);
    int bad = done != (ssize_t)n ? -1 : fsync(fd);
    if (done >= 0 && done != (ssize_t)n)
        errno = ENOSPC;
    return close(fd) != 0 ? -1 : bad;
}

int file_replace(const char *path, const char *text)
{
    char young[PATH_MAX];
    int fd;
    if (snprintf(young, sizeof young, "%s.new", path) >= (int)sizeof young)
        return DP_ERR_LIMIT;
    fd = open(young, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0 || write_synced(fd, text) != 0)
        return failed(young);
    if (rename(young, path) != 0)
        return failed(path);
    return sync_directory(path);
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

int file_read_point(const char *path, uint8_t point[65])
{
    uint8_t text[256];
    size_t n = 0, point_n = 0;
    int err = file_read(path, text, sizeof text, &n);
    if (err < 0)
        return err;
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
        n--;
    if (dp_hex_decode((const char *)text, n, point, 65, &point_n) == DP_OK && point_n == 65 &&
        point[0] == 4)
        return DP_OK;
    dp_log(DP_LOG_ERROR, "%s: no public key: an uncompressed P-256 point in 130 hex digits", path);
    return DP_ERR_FORMAT;
}
