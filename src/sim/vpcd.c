/* SPDX-License-Identifier: Apache-2.0 */
#include "vpcd.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define RETRY_MS 50

static void pause_ms(int ms)
{
    const struct timespec t = {ms / 1000, (ms % 1000) * 1000000L};
    (void)nanosleep(&t, NULL);
}

static int try_connect(const struct addrinfo *list)
{
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        const int one = 1;
        int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0)
            continue;
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0) {
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            return fd;
        }
        (void)close(fd);
    }
    return -1;
}

int sim_vpcd_connect(const char *where, int wait_ms, int *fd)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    const char *colon = strrchr(where, ':');
    struct addrinfo *list = NULL;
    char host[256];
    if (colon == NULL || (size_t)(colon - where) >= sizeof host)
        return DP_ERR_ARG;
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - where), where);
    if (getaddrinfo(host, colon + 1, &hints, &list) != 0)
        return DP_ERR_ARG;
    while ((*fd = try_connect(list)) < 0 && wait_ms > 0) {
        pause_ms(RETRY_MS);
        wait_ms -= RETRY_MS;
    }
    freeaddrinfo(list);
    return *fd < 0 ? DP_ERR_UNREACHABLE : DP_OK;
}

static int read_all(int fd, uint8_t *p, size_t n)
{
    const int one = 1;
    while (n > 0) {
        ssize_t got;
        /* without it every exchange waits for a delayed acknowledgement */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
        got = recv(fd, p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return DP_ERR_GONE;
        p += got;
        n -= (size_t)got;
    }
    return DP_OK;
}

int sim_vpcd_receive(int fd, int timeout_ms, enum sim_vpcd *what, struct sim_buf *in)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    uint8_t head[2];
    int ready, err;
    do
        ready = poll(&poller, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return DP_ERR_TIMEOUT;
    err = ready < 0 ? DP_ERR_IO : read_all(fd, head, 2);
    if (err != DP_OK)
        return err;
    in->n = (size_t)head[0] << 8 | head[1];
    err = read_all(fd, in->p, in->n);
    *what = in->n == 1 ? (enum sim_vpcd)in->p[0] : SIM_VPCD_COMMAND;
    return err;
}

int sim_vpcd_send(int fd, const uint8_t *p, size_t n)
{
    static uint8_t frame[2 + 65535];
    size_t done = 0;
    if (n > 65535)
        return DP_ERR_LIMIT;
    frame[0] = (uint8_t)(n >> 8);
    frame[1] = (uint8_t)n;
    memcpy(frame + 2, p, n);
    while (done < n + 2) {
        ssize_t w = send(fd, frame + done, n + 2 - done, MSG_NOSIGNAL);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return DP_ERR_GONE;
        done += (size_t)w;
    }
    return DP_OK;
}
