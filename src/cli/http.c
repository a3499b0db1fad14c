/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.0 on purpose: the answer ends with the connection, and never comes in chunks. */
#include "http.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD_MAX 8192

struct exchange {
    int fd;
    int64_t deadline_ms; /* 0: none */
    http_take *take;
    void *user;
    char head[HEAD_MAX + 1];
    size_t head_n;
    bool in_body;
    long long wanted, got; /* of the body; wanted -1: until the end */
};

static int64_t now_ms(void)
{
    const struct dp_clock *clock = dp_clock_system();
    return clock->mono_ms(clock->ctx);
}

static int dial(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd;
    if (strlen(path) >= sizeof a.sun_path)
        return DP_ERR_UNREACHABLE;
    memcpy(a.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return DP_ERR_IO;
    if (connect(fd, (const struct sockaddr *)&a, sizeof a) != 0) {
        int err = errno == EACCES ? DP_ERR_DENIED : DP_ERR_UNREACHABLE;
        (void)close(fd);
        return err;
    }
    return fd;
}

static int say(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return DP_ERR_GONE; /* refused before it was read: the answer says why */
        p += sent;
        n -= (size_t)sent;
    }
    return DP_OK;
}

static int wait_for_more(const struct exchange *x)
{
    struct pollfd p = {x->fd, POLLIN, 0};
    int64_t left = x->deadline_ms == 0 ? -1 : x->deadline_ms - now_ms();
    int n;
    if (x->deadline_ms != 0 && left <= 0)
        return DP_ERR_TIMEOUT;
    n = poll(&p, 1, (int)left);
    if (n < 0 && errno != EINTR)
        return DP_ERR_IO;
    return n == 0 ? DP_ERR_TIMEOUT : DP_OK;
}

/* "HTTP/1.x NNN ...", then Content-Length if it is there. */
static int read_head(struct exchange *x)
{
    const char *at = strstr(x->head, "\r\nContent-Length: ");
    long status = strncmp(x->head, "HTTP/1.", 7) == 0 ? strtol(x->head + 8, NULL, 10) : 0;
    x->wanted = at == NULL ? -1 : strtoll(at + 18, NULL, 10);
    if (status == 403)
        return DP_ERR_DENIED;
    return status == 200 ? DP_OK : DP_ERR_FORMAT;
}

static int take_body(struct exchange *x, const char *p, size_t n)
{
    x->got += (long long)n;
    if (n > 0 && !x->take(x->user, p, n))
        return DP_ERR_LIMIT;
    return DP_OK;
}

static int take_some(struct exchange *x, const char *p, size_t n)
{
    char *end;
    size_t head_n = x->head_n;
    int err;
    if (x->in_body)
        return take_body(x, p, n);
    if (n > HEAD_MAX - head_n)
        return DP_ERR_FORMAT;
    memcpy(x->head + head_n, p, n);
    x->head_n += n;
    x->head[x->head_n] = '\0';
    end = strstr(x->head, "\r\n\r\n");
    if (end == NULL)
        return DP_OK;
    x->in_body = true;
    err = read_head(x);
    if (err < 0)
        return err;
    end += 4;
    return take_body(x, end, x->head_n - (size_t)(end - x->head));
}

static int listen_to_end(struct exchange *x)
{
    char part[4096];
    for (;;) {
        ssize_t n;
        int err = wait_for_more(x);
        if (err < 0)
            return err;
        n = recv(x->fd, part, sizeof part, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        err = take_some(x, part, (size_t)n);
        if (err < 0)
            return err;
    }
    return x->in_body && (x->wanted < 0 || x->got == x->wanted) ? DP_OK : DP_ERR_GONE;
}

int http_ask(const char *socket_path, const char *path, const char *body, int timeout_s,
             http_take *take, void *user)
{
    struct exchange x = {.take = take, .user = user};
    char head[512];
    int err;
    x.deadline_ms = timeout_s == 0 ? 0 : now_ms() + timeout_s * INT64_C(1000);
    x.fd = dial(socket_path);
    if (x.fd < 0)
        return x.fd;
    if (body == NULL)
        (void)snprintf(head, sizeof head, "GET %s HTTP/1.0\r\n\r\n", path);
    else
        (void)snprintf(head, sizeof head,
                       "POST %s HTTP/1.0\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       path, strlen(body));
    err = say(x.fd, head, strlen(head));
    if (err == DP_OK && body != NULL)
        err = say(x.fd, body, strlen(body));
    (void)err; /* what the other end had to say about it can still be read */
    err = listen_to_end(&x);
    (void)close(x.fd);
    return err;
}
