/* SPDX-License-Identifier: Apache-2.0 */
#include "pin_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"

static int failed(const char *path, int err, const char *why)
{
    dp_log(DP_LOG_ERROR, "PIN file %s: %s", path, why);
    return err;
}

static int check(const char *path, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return failed(path, DP_ERR_IO, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return failed(path, DP_ERR_FORMAT, "no regular file");
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return failed(path, DP_ERR_DENIED, "open to others than its owner");
    return DP_OK;
}

static int read_line(const char *path, struct pin_file *f)
{
    ssize_t got;
    uint8_t *end;
    do
        got = read(f->fd, f->secret.p, f->secret.n);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return failed(path, DP_ERR_IO, strerror(errno));
    f->n = (size_t)got;
    end = memchr(f->secret.p, '\n', f->n);
    if (end != NULL && end != f->secret.p + f->n - 1)
        return failed(path, DP_ERR_FORMAT, "more than one line");
    if (end != NULL)
        f->n--;
    if (f->n == 0 || f->n > DP_HSM_PIN_MAX)
        return failed(path, DP_ERR_FORMAT, "empty, or too long for a PIN");
    return DP_OK;
}

int pin_file_open(const char *path, bool lock, struct pin_file *out)
{
    int err = DP_OK;
    memset(out, 0, sizeof *out);
    /* O_NONBLOCK: not to wait for a writer should somebody have put a FIFO there */
    out->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (out->fd < 0)
        return failed(path, errno == ENOENT ? DP_ERR_NOT_FOUND : DP_ERR_DENIED, strerror(errno));
    err = check(path, out->fd);
    if (err == DP_OK && lock && flock(out->fd, LOCK_EX | LOCK_NB) != 0)
        err = failed(path, errno == EWOULDBLOCK ? DP_ERR_BUSY : DP_ERR_IO,
                     errno == EWOULDBLOCK ? "its token is in use" : strerror(errno));
    if (err == DP_OK)
        err = dp_secret_new(&out->secret, (DP_HSM_PIN_MAX + 16) / 16 * 16);
    if (err == DP_OK)
        err = read_line(path, out);
    if (err < 0)
        pin_file_close(out);
    return err;
}

void pin_file_forget(struct pin_file *f)
{
    dp_secret_free(&f->secret);
    f->n = 0;
}

void pin_file_close(struct pin_file *f)
{
    pin_file_forget(f);
    if (f->fd >= 0)
        (void)close(f->fd);
    f->fd = -1;
}
