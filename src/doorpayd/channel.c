/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"

#define SEND_PATIENCE_S 2 /* a peer that reads nothing for so long is taken for dead */

struct header {
    uint32_t type;
    uint32_t size;
};

void dp_channel_init(struct dp_channel *c, int fd, enum dp_role self, enum dp_role peer)
{
    struct timeval patience = {SEND_PATIENCE_S, 0};
    c->fd = fd;
    c->self = self;
    c->peer = peer;
    c->open = 0;
    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

void dp_channel_close(struct dp_channel *c)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
    c->open = 0;
}

int dp_channel_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return DP_ERR_IO;
    return DP_OK;
}

static void apply(struct dp_channel *c, const struct dp_msg_rule *rule)
{
    c->open |= rule->opens;
    c->open &= ~rule->closes;
}

int dp_channel_send_fd(struct dp_channel *c, enum dp_msg_type type, const void *body, int fd)
{
    const struct dp_msg_rule *rule = dp_msg_rule(type);
    struct header header = {type, rule == NULL ? 0 : rule->size};
    struct iovec parts[2] = {{&header, sizeof header}, {(void *)(uintptr_t)body, header.size}};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = header.size > 0 ? 2 : 1};
    ssize_t sent;
    DP_ASSERT(rule != NULL && rule->from == c->self && rule->to == c->peer);
    DP_ASSERT(body != NULL || rule->size == 0);
    if (c->fd < 0)
        return DP_ERR_GONE;
    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        struct cmsghdr *cm = CMSG_FIRSTHDR(&m);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(cm), &fd, sizeof fd);
    }
    do
        sent = sendmsg(c->fd, &m, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return DP_ERR_GONE;
    DP_ASSERT((size_t)sent == sizeof header + header.size);
    apply(c, rule);
    return DP_OK;
}

int dp_channel_send(struct dp_channel *c, enum dp_msg_type type, const void *body)
{
    return dp_channel_send_fd(c, type, body, -1);
}

/* The table's word on a header; logs what was wrong. */
static int permitted(const struct dp_channel *c, const struct header *h, size_t got)
{
    const struct dp_msg_rule *rule = dp_msg_rule(h->type);
    const char *why = NULL;
    if (rule == NULL)
        why = "unknown type";
    else if (rule->from != c->peer || rule->to != c->self)
        why = "not its to send";
    else if (h->size != rule->size || got != sizeof *h + rule->size)
        why = "wrong size";
    else if (rule->permit != DP_PERMIT_ALWAYS && (c->open & 1ULL << h->type) == 0)
        why = "not permitted now";
    if (why == NULL)
        return DP_OK;
    dp_log(DP_LOG_ERROR, "message %s (%u) from %s refused: %s", rule == NULL ? "?" : rule->name,
           h->type, dp_role_name(c->peer), why);
    return DP_ERR_DENIED;
}

static int wait_readable(int fd, int timeout_ms)
{
    struct pollfd p = {fd, POLLIN, 0};
    int n;
    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR && timeout_ms < 0);
    if (n < 0 && errno != EINTR)
        return DP_ERR_GONE;
    return n <= 0 ? DP_ERR_TIMEOUT : DP_OK;
}

/* The descriptor that came along, or -1; any others are closed by having no room. */
static int passed_fd(struct msghdr *m)
{
    int fd = -1;
    struct cmsghdr *cm = CMSG_FIRSTHDR(m);
    if (cm != NULL && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS &&
        cm->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(cm), sizeof fd);
    return fd;
}

int dp_channel_receive(struct dp_channel *c, int timeout_ms, enum dp_msg_type *type,
                       union dp_msg_body *body, int *fd)
{
    struct header h = {0, 0};
    struct iovec parts[2] = {{&h, sizeof h}, {body, sizeof *body}};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    int err, passed;
    ssize_t got;
    if (c->fd < 0)
        return DP_ERR_GONE;
    err = wait_readable(c->fd, timeout_ms);
    if (err < 0)
        return err;
    memset(body, 0, sizeof *body);
    m.msg_control = control.bytes;
    m.msg_controllen = CMSG_LEN(sizeof(int)); /* CMSG_SPACE would have room for two */
    got = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return DP_ERR_TIMEOUT;
    if (got < 0)
        return DP_ERR_GONE;
    passed = passed_fd(&m); /* an empty packet, which reads as an end, can carry one too */
    if (got == 0) {
        if (passed >= 0)
            (void)close(passed);
        return DP_ERR_GONE;
    }
    err = (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || (size_t)got < sizeof h
              ? DP_ERR_DENIED
              : permitted(c, &h, (size_t)got);
    if (err == DP_OK && !dp_msg_check(h.type, body)) {
        dp_log(DP_LOG_ERROR, "message %s from %s refused: malformed body",
               dp_msg_rule(h.type)->name, dp_role_name(c->peer));
        err = DP_ERR_DENIED;
    }
    if (passed >= 0 && (err < 0 || fd == NULL))
        (void)close(passed);
    if (fd != NULL)
        *fd = err < 0 ? -1 : passed;
    if (err < 0)
        return err;
    if (dp_msg_rule(h.type)->permit == DP_PERMIT_ONCE)
        c->open &= ~(1ULL << h.type);
    apply(c, dp_msg_rule(h.type));
    *type = (enum dp_msg_type)h.type;
    return DP_OK;
}
