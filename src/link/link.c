/* SPDX-License-Identifier: Apache-2.0 */
/* The connection's life: waiting, TCP, handshake, up; and what becomes of messages when it ends. */
#include <doorpay/link.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/secret.h"
#include "frame.h"
#include "tls.h"

#define CONNECT_MS     10000
#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS   60000
#define STEADY_MS      10000 /* up for so long: the next loss starts the back-off afresh */
#define READS_MAX      16    /* of one run, so that a flood does not keep the owner from its poll */

enum phase {
    PHASE_WAITING = 0,
    PHASE_TCP,
    PHASE_HANDSHAKE,
    PHASE_UP
};

struct message_out {
    uint32_t id;
    uint8_t bytes[FRAME_HEAD + DP_LINK_FRAME_MAX];
    size_t n;
};

struct dp_link {
    struct dp_link_config config;
    char host[257], port[17];
    struct tls *tls;
    enum phase phase;
    int fd;
    short wants; /* of the handshake, or of TLS beside reading */
    bool more;   /* reading stopped half-way: what TLS holds already wakes no poll */
    struct addrinfo *addresses, *address;
    int64_t deadline_ms, retry_at_ms, up_since_ms;
    uint32_t exponent;
    struct message_out out[DP_LINK_QUEUE_MAX];
    size_t out_n, written; /* written: of out[0] */
    bool touched;          /* TLS has been given a byte of out[0] */
    uint32_t sent[DP_LINK_SENT_MAX];
    size_t sent_n;
    struct frame_in in;
};

const char *dp_link_trouble_name(enum dp_link_trouble trouble)
{
    static const char *const names[] = {
        "none",
        "cannot_resolve",
        "cannot_connect",
        "certificate_untrusted",
        "certificate_expired",
        "certificate_name",
        "pin_differs",
        "not_signed",
        "handshake",
        "timeout",
        "closed",
        "bad_frame",
    };
    return (unsigned)trouble < sizeof names / sizeof names[0] ? names[trouble] : "unknown";
}

static int64_t now_ms(const struct dp_link *l)
{
    return l->config.clock->mono_ms(l->config.clock->ctx);
}

int dp_link_new(const struct dp_link_config *config, struct dp_link **out)
{
    struct dp_link *l;
    int err;
    *out = NULL;
    if (config->host == NULL || config->port == NULL || config->server_name == NULL ||
        config->ops.sign == NULL || config->ops.state == NULL || config->ops.frame == NULL ||
        config->ops.failed == NULL || config->clock == NULL || config->random == NULL ||
        strlen(config->host) >= sizeof l->host || strlen(config->port) >= sizeof l->port ||
        strlen(config->server_name) > 128)
        return DP_ERR_ARG;
    l = calloc(1, sizeof *l);
    if (l == NULL)
        return DP_ERR_NOMEM;
    l->config = *config;
    l->fd = -1;
    (void)snprintf(l->host, sizeof l->host, "%s", config->host);
    (void)snprintf(l->port, sizeof l->port, "%s", config->port);
    if (l->config.connect_ms == 0)
        l->config.connect_ms = CONNECT_MS;
    if (l->config.retry_first_ms == 0)
        l->config.retry_first_ms = RETRY_FIRST_MS;
    if (l->config.retry_max_ms == 0)
        l->config.retry_max_ms = RETRY_MAX_MS;
    err = tls_new(config, &l->tls);
    if (err < 0) {
        free(l);
        return err;
    }
    /* these were borrowed for the call alone */
    l->config.host = l->config.port = l->config.server_name = NULL;
    l->config.authority = l->config.certificate = (struct dp_bytes){NULL, 0};
    l->retry_at_ms = now_ms(l);
    *out = l;
    return DP_OK;
}

static void close_socket(struct dp_link *l)
{
    if (l->phase >= PHASE_HANDSHAKE)
        tls_end(l->tls);
    if (l->fd >= 0)
        (void)close(l->fd);
    l->fd = -1;
    if (l->addresses != NULL)
        freeaddrinfo(l->addresses);
    l->addresses = l->address = NULL;
    l->phase = PHASE_WAITING;
    l->more = false;
    memset(&l->in, 0, sizeof l->in);
}

void dp_link_free(struct dp_link **link)
{
    struct dp_link *l = *link;
    if (l == NULL)
        return;
    close_socket(l);
    tls_free(&l->tls);
    dp_wipe(l, sizeof *l);
    free(l);
    *link = NULL;
}

/* ---- the end of an attempt or of a connection ---- */

static void back_off(struct dp_link *l)
{
    uint64_t most = l->config.retry_first_ms;
    uint32_t drawn = 0;
    for (uint32_t i = 0; i < l->exponent && most < l->config.retry_max_ms; i++)
        most *= 2;
    if (most > l->config.retry_max_ms)
        most = l->config.retry_max_ms;
    if (l->config.random->fill(l->config.random->ctx, (uint8_t *)&drawn, sizeof drawn) < 0)
        drawn = UINT32_MAX;
    l->exponent += l->exponent < 31 ? 1 : 0;
    l->retry_at_ms = now_ms(l) + 1 + (int64_t)(drawn % most);
}

/* Everything that was given to this connection is named once. */
static void fail_messages(struct dp_link *l)
{
    uint32_t sent[DP_LINK_SENT_MAX + DP_LINK_QUEUE_MAX], unsent[DP_LINK_QUEUE_MAX];
    size_t sent_n = l->sent_n, unsent_n = 0;
    memcpy(sent, l->sent, sizeof l->sent);
    for (size_t i = 0; i < l->out_n; i++)
        if (i == 0 && l->touched)
            sent[sent_n++] = l->out[i].id;
        else
            unsent[unsent_n++] = l->out[i].id;
    dp_wipe(l->out, sizeof l->out);
    l->out_n = l->written = l->sent_n = 0;
    l->touched = false;
    for (size_t i = 0; i < sent_n; i++)
        l->config.ops.failed(l->config.ops.ctx, sent[i], true);
    for (size_t i = 0; i < unsent_n; i++)
        l->config.ops.failed(l->config.ops.ctx, unsent[i], false);
}

static void lose(struct dp_link *l, enum dp_link_trouble trouble, const char *words)
{
    if (l->phase == PHASE_UP && now_ms(l) - l->up_since_ms >= STEADY_MS)
        l->exponent = 0;
    close_socket(l);
    back_off(l);
    l->config.ops.state(l->config.ops.ctx, false, trouble, words);
    fail_messages(l);
}

static void lose_tls(struct dp_link *l)
{
    char words[DP_LINK_WORDS];
    enum dp_link_trouble trouble = tls_trouble(l->tls, words);
    if (l->phase == PHASE_UP && frame_is_open(&l->in))
        (void)snprintf(words, sizeof words, "the peer closed the connection inside a frame");
    lose(l, trouble, words);
}

/* ---- connecting ---- */

static void lose_connect(struct dp_link *l, int error)
{
    char words[DP_LINK_WORDS];
    (void)snprintf(words, sizeof words, "cannot connect to %.80s port %s: %s", l->host, l->port,
                   strerror(error));
    lose(l, DP_LINK_CONNECT, words);
}

static void begin_handshake(struct dp_link *l)
{
    freeaddrinfo(l->addresses);
    l->addresses = l->address = NULL;
    l->phase = PHASE_HANDSHAKE;
    l->wants = POLLOUT;
    if (l->config.ops.connecting != NULL)
        l->config.ops.connecting(l->config.ops.ctx);
    if (tls_begin(l->tls, l->fd) < 0)
        lose(l, DP_LINK_HANDSHAKE, "no memory for the handshake");
}

/* The next address that can at least be begun; the one before it failed with error. */
static void try_addresses(struct dp_link *l, int error)
{
    static const int on = 1;
    for (; l->address != NULL; l->address = l->address->ai_next) {
        const struct addrinfo *a = l->address;
        if (l->fd >= 0)
            (void)close(l->fd);
        l->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
        if (l->fd < 0) {
            error = errno;
            continue;
        }
        (void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(l->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        if (connect(l->fd, a->ai_addr, a->ai_addrlen) == 0) {
            begin_handshake(l);
            return;
        }
        error = errno;
        if (error == EINPROGRESS)
            return;
    }
    lose_connect(l, error);
}

static void begin(struct dp_link *l)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    char words[DP_LINK_WORDS];
    int err = getaddrinfo(l->host, l->port, &hints, &l->addresses);
    l->phase = PHASE_TCP;
    l->deadline_ms = now_ms(l) + l->config.connect_ms;
    if (err != 0) {
        l->addresses = NULL;
        (void)snprintf(words, sizeof words, "cannot resolve %.100s: %s", l->host,
                       gai_strerror(err));
        lose(l, DP_LINK_RESOLVE, words);
        return;
    }
    l->address = l->addresses;
    try_addresses(l, 0);
}

static void go_on_connecting(struct dp_link *l)
{
    struct pollfd p = {l->fd, POLLOUT, 0};
    socklen_t n = sizeof(int);
    int error = 0;
    if (poll(&p, 1, 0) <= 0)
        return;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
        error = errno;
    if (error == 0) {
        begin_handshake(l);
        return;
    }
    l->address = l->address->ai_next;
    try_addresses(l, error);
}

static void go_on_handshake(struct dp_link *l)
{
    switch (tls_handshake(l->tls)) {
    case TLS_WANTS_READ:
        l->wants = POLLIN;
        break;
    case TLS_WANTS_WRITE:
        l->wants = POLLOUT;
        break;
    case TLS_DONE:
        l->phase = PHASE_UP;
        l->wants = 0;
        l->up_since_ms = now_ms(l);
        l->config.ops.state(l->config.ops.ctx, true, DP_LINK_FINE, "");
        break;
    default:
        lose_tls(l);
        break;
    }
}

/* ---- up ---- */

static void remember_sent(struct dp_link *l, uint32_t id)
{
    if (l->sent_n == DP_LINK_SENT_MAX) {
        memmove(l->sent, l->sent + 1, (DP_LINK_SENT_MAX - 1) * sizeof l->sent[0]);
        l->sent_n--;
    }
    l->sent[l->sent_n++] = id;
}

static void drop_first(struct dp_link *l)
{
    remember_sent(l, l->out[0].id);
    dp_wipe(&l->out[0], sizeof l->out[0]);
    l->out_n--;
    memmove(&l->out[0], &l->out[1], l->out_n * sizeof l->out[0]);
    l->written = 0;
    l->touched = false;
}

static void write_out(struct dp_link *l)
{
    while (l->phase == PHASE_UP && l->out_n > 0) {
        struct message_out *m = &l->out[0];
        size_t n = 0;
        l->touched = true;
        switch (tls_write(l->tls, m->bytes + l->written, m->n - l->written, &n)) {
        case TLS_DONE:
            l->written += n;
            DP_ASSERT(l->written <= m->n);
            if (l->written == m->n)
                drop_first(l);
            break;
        case TLS_FAILED:
            lose_tls(l);
            return;
        default:
            return; /* the poll says when */
        }
    }
}

/* False when the connection is over. */
static bool take_bytes(struct dp_link *l, const uint8_t *p, size_t n)
{
    while (n > 0) {
        struct dp_bytes message;
        size_t used = 0;
        if (frame_take(&l->in, p, n, &used, &message) < 0) {
            lose(l, DP_LINK_FRAME, "the peer sent a frame that is empty or too long");
            return false;
        }
        p += used;
        n -= used;
        if (message.n == 0)
            continue;
        l->exponent = 0; /* it works: a server that only accepts and hangs up does not get here */
        l->config.ops.frame(l->config.ops.ctx, message.p, message.n);
        if (l->phase != PHASE_UP)
            return false;
    }
    return true;
}

static void read_in(struct dp_link *l)
{
    uint8_t bytes[4096];
    l->more = true;
    for (int i = 0; i < READS_MAX && l->phase == PHASE_UP; i++) {
        size_t n = 0;
        enum tls_step step = tls_read(l->tls, bytes, sizeof bytes, &n);
        l->wants = step == TLS_WANTS_WRITE ? POLLOUT : 0;
        if (step == TLS_FAILED)
            lose_tls(l);
        if (step != TLS_DONE || !take_bytes(l, bytes, n)) {
            l->more = false;
            break;
        }
    }
    dp_wipe(bytes, sizeof bytes);
}

/* ---- the owner's side ---- */

int dp_link_fd(const struct dp_link *l)
{
    return l->fd;
}

short dp_link_events(const struct dp_link *l)
{
    if (l->phase == PHASE_TCP)
        return POLLOUT;
    if (l->phase == PHASE_HANDSHAKE)
        return l->wants;
    if (l->phase == PHASE_UP)
        return (short)(POLLIN | l->wants | (l->out_n > 0 ? POLLOUT : 0));
    return 0;
}

int dp_link_timeout_ms(const struct dp_link *l)
{
    int64_t wait;
    if (l->phase == PHASE_UP)
        return l->more ? 0 : -1;
    wait = (l->phase == PHASE_WAITING ? l->retry_at_ms : l->deadline_ms) - now_ms(l);
    if (wait < 0)
        return 0;
    return wait > RETRY_MAX_MS ? RETRY_MAX_MS : (int)wait;
}

void dp_link_run(struct dp_link *l)
{
    if (l->phase == PHASE_WAITING && now_ms(l) >= l->retry_at_ms)
        begin(l);
    if (l->phase == PHASE_TCP)
        go_on_connecting(l);
    if (l->phase == PHASE_HANDSHAKE)
        go_on_handshake(l);
    if ((l->phase == PHASE_TCP || l->phase == PHASE_HANDSHAKE) && now_ms(l) >= l->deadline_ms)
        lose(l, DP_LINK_TIMEOUT,
             l->phase == PHASE_TCP ? "no connection in time" : "no end of the handshake in time");
    if (l->phase == PHASE_UP)
        write_out(l);
    if (l->phase == PHASE_UP)
        read_in(l);
}

bool dp_link_is_up(const struct dp_link *l)
{
    return l->phase == PHASE_UP;
}

void dp_link_kick(struct dp_link *l)
{
    l->exponent = 0;
    if (l->phase == PHASE_WAITING)
        l->retry_at_ms = now_ms(l);
}

int dp_link_send(struct dp_link *l, uint32_t id, const uint8_t *p, size_t n)
{
    struct message_out *m;
    if (n == 0 || n > DP_LINK_FRAME_MAX)
        return DP_ERR_RANGE;
    if (l->phase != PHASE_UP)
        return DP_ERR_UNREACHABLE;
    if (l->out_n == DP_LINK_QUEUE_MAX)
        return DP_ERR_BUSY;
    m = &l->out[l->out_n++];
    m->id = id;
    m->bytes[0] = (uint8_t)(n >> 8);
    m->bytes[1] = (uint8_t)n;
    memcpy(m->bytes + FRAME_HEAD, p, n);
    m->n = FRAME_HEAD + n;
    return DP_OK;
}
