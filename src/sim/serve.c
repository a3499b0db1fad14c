/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/hex.h"
#include "base/log.h"

#define CONNECTIONS_MAX  64
#define CONTROLS_MAX     8
#define COMMAND_MAX      1024
#define HANDSHAKE_MS_MAX 10000
#define REPLIES_MAX      256 /* waiting on one connection; who lets more wait does not read */
#define LINE_MAX_BYTES   1024

/* An answer on its way out, with its length in front. */
struct reply {
    struct reply *next;
    int64_t due_ms;
    size_t n, done;
    uint8_t p[];
};

struct connection {
    int fd;
    int64_t id, since_ms;
    SSL *ssl;
    bool ready, wants_write, broken;
    char tid[9];
    size_t in_n;
    uint8_t in[2 + SIM_ISO_MESSAGE_MAX];
    struct reply *replies;
    unsigned replies_n;
};

struct control {
    int fd;
    size_t n;
    char line[COMMAND_MAX];
};

struct server {
    struct sim_host *host;
    const struct sim_serve_config *config;
    SSL_CTX *tls;
    const char *tls_last; /* version of the last handshake, in libssl's words; NULL: none yet */
    int listener, control_listener, signals;
    uint16_t port;
    FILE *traffic;
    int64_t connections_seen;
    struct connection *connections[CONNECTIONS_MAX];
    struct control controls[CONTROLS_MAX];
    bool stop;
    struct sim_host_answer answer;
};

static int64_t mono_ms(void)
{
    return dp_clock_system()->mono_ms(NULL);
}

/* ---- TLS ---- */

static int tls_failed(const char *what)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    dp_log(DP_LOG_ERROR, "%s: %s", what, text);
    return DP_ERR_CRYPTO;
}

static int tls_open(struct server *s)
{
    static const unsigned char context[] = "doorpay-sim acquirer";
    const struct sim_serve_config *c = s->config;
    char certificate[4096], key[4096], ca[4096];
    STACK_OF(X509_NAME) * names;
    (void)snprintf(certificate, sizeof certificate, "%s", c->certificate);
    (void)snprintf(key, sizeof key, "%s", c->key);
    if (c->certificate[0] == '\0')
        (void)sim_path(certificate, sizeof certificate, c->keys, "tls-server.pem");
    if (c->key[0] == '\0')
        (void)sim_path(key, sizeof key, c->keys, "tls-server.key");
    (void)sim_path(ca, sizeof ca, c->keys, "client-ca.pem");
    s->tls = SSL_CTX_new(TLS_server_method());
    if (s->tls == NULL)
        return tls_failed("TLS");
    if (SSL_CTX_set_min_proto_version(s->tls, c->tls != 0 ? c->tls : TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(s->tls, c->tls) != 1 ||
        SSL_CTX_use_certificate_chain_file(s->tls, certificate) != 1)
        return tls_failed(certificate);
    if (SSL_CTX_use_PrivateKey_file(s->tls, key, SSL_FILETYPE_PEM) != 1)
        return tls_failed(key);
    names = SSL_load_client_CA_file(ca);
    if (names == NULL || SSL_CTX_load_verify_locations(s->tls, ca, NULL) != 1)
        return tls_failed(ca);
    SSL_CTX_set_client_CA_list(s->tls, names);
    SSL_CTX_set_verify(s->tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    (void)SSL_CTX_set_session_id_context(s->tls, context, sizeof context - 1);
    (void)SSL_CTX_set_mode(s->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_NO_AUTO_CHAIN);
    return DP_OK;
}

/* The certificate's common name as DE41 has it, with its blanks. */
static int tid_of(SSL *ssl, char tid[9])
{
    X509 *peer = SSL_get1_peer_certificate(ssl);
    char name[64] = "";
    int n = -1;
    if (peer != NULL)
        n = X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, name,
                                      sizeof name);
    X509_free(peer);
    if (n < 1 || n > 8 || strlen(name) != (size_t)n)
        return DP_ERR_FORMAT;
    memset(tid, ' ', 8);
    memcpy(tid, name, (size_t)n);
    tid[8] = '\0';
    return DP_OK;
}

/* ---- connections ---- */

static void connection_close(struct server *s, struct connection **slot, const char *why)
{
    struct connection *c = *slot;
    dp_log(DP_LOG_INFO, "connection %lld closed: %s", (long long)c->id, why);
    while (c->replies != NULL) {
        struct reply *r = c->replies;
        c->replies = r->next;
        free(r);
    }
    if (c->ready && !c->broken)
        (void)SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    ERR_clear_error();
    (void)close(c->fd);
    OPENSSL_cleanse(c->in, sizeof c->in);
    free(c);
    *slot = NULL;
    (void)s;
}

static void connections_close(struct server *s, const char *why)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (s->connections[i] != NULL)
            connection_close(s, &s->connections[i], why);
}

static void accept_one(struct server *s)
{
    const int one = 1;
    struct connection *c = NULL;
    size_t place = 0;
    int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    while (place < CONNECTIONS_MAX && s->connections[place] != NULL)
        place++;
    if (place < CONNECTIONS_MAX)
        c = calloc(1, sizeof *c);
    if (c != NULL)
        c->ssl = SSL_new(s->tls);
    if (c == NULL || c->ssl == NULL || SSL_set_fd(c->ssl, fd) != 1) {
        dp_log(DP_LOG_WARNING, "a connection more than can be served");
        if (c != NULL)
            SSL_free(c->ssl);
        free(c);
        (void)close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->fd = fd;
    c->id = ++s->connections_seen;
    c->since_ms = mono_ms();
    s->connections[place] = c;
}

/* What stands in the way of a call of TLS's. True: try again when poll says so. */
static bool may_try_again(struct connection *c, int result)
{
    int why = SSL_get_error(c->ssl, result);
    if (why == SSL_ERROR_WANT_READ)
        return true;
    if (why == SSL_ERROR_WANT_WRITE) {
        c->wants_write = true;
        return true;
    }
    c->broken = why == SSL_ERROR_SSL || why == SSL_ERROR_SYSCALL;
    return false;
}

/* NULL, or why the connection ends. */
static const char *handshake(struct server *s, struct connection *c)
{
    int result = SSL_accept(c->ssl);
    if (result != 1)
        return may_try_again(c, result) ? NULL : "no TLS with a client certificate of ours";
    if (tid_of(c->ssl, c->tid) != DP_OK)
        return "the certificate's common name is no TID";
    c->ready = true;
    s->tls_last = SSL_get_version(c->ssl);
    dp_log(DP_LOG_INFO, "connection %lld: %s, %s", (long long)c->id, c->tid,
           SSL_get_version(c->ssl));
    return NULL;
}

/* ---- frames ---- */

static void log_traffic(struct server *s, char direction, const uint8_t *p, size_t n)
{
    static char hex[2 * SIM_BUF_MAX + 1];
    char at[25];
    if (s->traffic == NULL)
        return;
    (void)fprintf(s->traffic, "%s %c %s\n",
                  sim_utc_text(dp_clock_system()->wall_ms(NULL), at, sizeof at), direction,
                  dp_hex_encode(p, n, hex, sizeof hex));
    (void)fflush(s->traffic);
    OPENSSL_cleanse(hex, 2 * n);
}

static int queue(struct connection *c, const struct sim_buf *frame, int64_t due_ms)
{
    struct reply *r, **last = &c->replies;
    if (c->replies_n >= REPLIES_MAX)
        return DP_ERR_LIMIT;
    r = calloc(1, sizeof *r + 2 + frame->n);
    if (r == NULL)
        return DP_ERR_NOMEM;
    r->due_ms = due_ms;
    r->n = 2 + frame->n;
    r->p[0] = (uint8_t)(frame->n >> 8);
    r->p[1] = (uint8_t)frame->n;
    memcpy(r->p + 2, frame->p, frame->n);
    while (*last != NULL && (*last)->due_ms <= due_ms)
        last = &(*last)->next;
    /* what is half out is not overtaken */
    if (last == &c->replies && c->replies != NULL && c->replies->done > 0)
        last = &c->replies->next;
    r->next = *last;
    *last = r;
    c->replies_n++;
    return DP_OK;
}

/* NULL, or why the connection ends. */
static const char *take_frame(struct server *s, struct connection *c, const uint8_t *p, size_t n)
{
    int64_t due = mono_ms();
    int err;
    log_traffic(s, '>', p, n);
    err = sim_host_take(s->host, c->id, c->tid, p, n, &s->answer);
    ERR_clear_error(); /* what the host's cryptography refused is no error of TLS's */
    if (err != DP_OK)
        return "the books failed";
    for (unsigned i = 0; i < s->answer.times; i++)
        if (queue(c, &s->answer.frame, due + s->answer.delay_ms) != DP_OK)
            return "its answers are not read";
    return NULL;
}

static const char *take_frames(struct server *s, struct connection *c)
{
    const char *why = NULL;
    while (why == NULL && c->in_n >= 2) {
        size_t n = (size_t)c->in[0] << 8 | c->in[1];
        if (n == 0 || n > SIM_ISO_MESSAGE_MAX)
            return "a frame of a length that no message has";
        if (n > c->in_n - 2)
            break;
        why = take_frame(s, c, c->in + 2, n);
        c->in_n -= 2 + n;
        memmove(c->in, c->in + 2 + n, c->in_n);
    }
    return why;
}

static const char *receive(struct server *s, struct connection *c)
{
    for (;;) {
        const char *why;
        int got = SSL_read(c->ssl, c->in + c->in_n, (int)(sizeof c->in - c->in_n));
        if (got <= 0)
            return may_try_again(c, got) ? NULL : "the terminal left";
        c->in_n += (size_t)got;
        why = take_frames(s, c);
        if (why != NULL)
            return why;
    }
}

static const char *send_due(struct server *s, struct connection *c)
{
    int64_t now = mono_ms();
    while (c->replies != NULL && (c->replies->due_ms <= now || c->replies->done > 0)) {
        struct reply *r = c->replies;
        int put = SSL_write(c->ssl, r->p + r->done, (int)(r->n - r->done));
        if (put <= 0)
            return may_try_again(c, put) ? NULL : "the terminal left before its answer";
        r->done += (size_t)put;
        if (r->done < r->n)
            continue;
        log_traffic(s, '<', r->p + 2, r->n - 2);
        c->replies = r->next;
        c->replies_n--;
        free(r);
    }
    return NULL;
}

static void serve_connection(struct server *s, struct connection **slot, short events)
{
    struct connection *c = *slot;
    const char *why = NULL;
    c->wants_write = false;
    ERR_clear_error();
    if (!c->ready)
        why = handshake(s, c);
    if (!c->ready && why == NULL && mono_ms() - c->since_ms > HANDSHAKE_MS_MAX)
        why = "the handshake takes too long";
    if (c->ready && why == NULL && events != 0)
        why = receive(s, c);
    if (c->ready && why == NULL)
        why = send_due(s, c);
    if (why != NULL)
        connection_close(s, slot, why);
}

/* ---- listening ---- */

static void listener_close(struct server *s)
{
    if (s->listener >= 0)
        (void)close(s->listener);
    s->listener = -1;
}

static int listener_open(struct server *s)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(s->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof a;
    const int one = 1;
    if (s->listener >= 0)
        return DP_OK;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listener >= 0 &&
        setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        bind(s->listener, (const struct sockaddr *)&a, sizeof a) == 0 &&
        listen(s->listener, CONNECTIONS_MAX) == 0 &&
        getsockname(s->listener, (struct sockaddr *)&a, &n) == 0) {
        s->port = ntohs(a.sin_port);
        return DP_OK;
    }
    dp_log(DP_LOG_ERROR, "127.0.0.1:%u: %s", s->port, strerror(errno));
    listener_close(s);
    return DP_ERR_IO;
}

static int control_open(struct server *s)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *path = s->config->control;
    if (path == NULL)
        return DP_OK;
    if (strlen(path) >= sizeof a.sun_path) {
        dp_log(DP_LOG_ERROR, "%s: too long for a socket's name", path);
        return DP_ERR_ARG;
    }
    memcpy(a.sun_path, path, strlen(path));
    (void)unlink(path);
    s->control_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->control_listener >= 0 &&
        bind(s->control_listener, (const struct sockaddr *)&a, sizeof a) == 0 &&
        chmod(path, 0600) == 0 && listen(s->control_listener, CONTROLS_MAX) == 0)
        return DP_OK;
    dp_log(DP_LOG_ERROR, "%s: %s", path, strerror(errno));
    return DP_ERR_IO;
}

/* ---- control ---- */

static int settle(struct server *s, int64_t *lines)
{
    return sim_settlement_write(&s->host->books, s->config->settlement, lines);
}

static void tell_settled(struct server *s, char *out, size_t n)
{
    int64_t lines = 0;
    if (s->config->settlement == NULL)
        (void)snprintf(out, n, "{\"ok\":false,\"error\":\"no --settlement was given\"}");
    else if (settle(s, &lines) != DP_OK)
        (void)snprintf(out, n, "{\"ok\":false,\"error\":\"the file cannot be written\"}");
    else
        (void)snprintf(out, n, "{\"ok\":true,\"lines\":%lld}", (long long)lines);
}

static int64_t count(struct server *s, const char *sql)
{
    sqlite3_stmt *q = NULL;
    int64_t v = 0;
    if (sqlite3_prepare_v2(s->host->books.db, sql, -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW)
        v = sqlite3_column_int64(q, 0);
    (void)sqlite3_finalize(q);
    return v;
}

static void tell_totals(struct server *s, char *out, size_t n)
{
    (void)snprintf(
        out, n,
        "{\"ok\":true,\"captured\":%lld,\"captured_amount\":%lld,\"reversed\":%lld,"
        "\"reversed_amount\":%lld,\"authorised\":%lld,\"declined\":%lld,\"taken\":%llu,"
        "\"answered\":%llu}",
        (long long)count(s, "SELECT count(*) FROM sale WHERE captured"),
        (long long)count(s, "SELECT ifnull(sum(amount), 0) FROM sale WHERE captured"),
        (long long)count(s, "SELECT count(*) FROM sale WHERE captured AND state = 'reversed'"),
        (long long)count(s, "SELECT ifnull(sum(amount), 0) FROM sale WHERE captured AND state ="
                            " 'reversed'"),
        (long long)count(s, "SELECT count(*) FROM sale WHERE state = 'authorised'"),
        (long long)count(s, "SELECT count(*) FROM sale WHERE state = 'declined'"),
        (unsigned long long)s->host->taken, (unsigned long long)s->host->answered);
}

static void tell_tls(const struct server *s, char *out, size_t n)
{
    (void)snprintf(out, n, "{\"ok\":true,\"last\":\"%s\"}", s->tls_last != NULL ? s->tls_last : "");
}

static void tell(int err, char *out, size_t n)
{
    (void)snprintf(out, n, err == DP_OK ? "{\"ok\":true}" : "{\"ok\":false,\"error\":\"%s\"}",
                   err == DP_ERR_NOT_FOUND ? "no such command"
                   : err == DP_ERR_FORMAT  ? "not as this command is written"
                                           : dp_strerr(err));
}

static void command(struct server *s, char *line, char *out, size_t n)
{
    int err = DP_OK;
    if (strcmp(line, "settle") == 0) {
        tell_settled(s, out, n);
        return;
    }
    if (strcmp(line, "totals") == 0) {
        tell_totals(s, out, n);
        return;
    }
    if (strcmp(line, "tls") == 0) {
        tell_tls(s, out, n);
        return;
    }
    if (strcmp(line, "close") == 0) {
        connections_close(s, "by command");
    } else if (strcmp(line, "stop-listening") == 0) {
        listener_close(s);
        connections_close(s, "the network is down by command");
    } else if (strcmp(line, "listen") == 0) {
        err = listener_open(s);
    } else if (strcmp(line, "ping") != 0) {
        err = sim_faults_command(&s->host->faults, line);
    }
    tell(err, out, n);
}

static void control_close(struct control *c)
{
    (void)close(c->fd);
    c->fd = -1;
    c->n = 0;
}

static void control_accept(struct server *s)
{
    int fd = accept4(s->control_listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    for (size_t i = 0; fd >= 0 && i < CONTROLS_MAX; i++) {
        if (s->controls[i].fd < 0) {
            s->controls[i].fd = fd;
            return;
        }
    }
    if (fd >= 0)
        (void)close(fd);
}

static void control_receive(struct server *s, struct control *c)
{
    char answer[LINE_MAX_BYTES], *end;
    ssize_t got = recv(c->fd, c->line + c->n, sizeof c->line - c->n, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        control_close(c);
        return;
    }
    c->n += (size_t)got;
    while (c->fd >= 0 && (end = memchr(c->line, '\n', c->n)) != NULL) {
        size_t line_n = (size_t)(end - c->line) + 1, answer_n;
        *end = '\0';
        command(s, c->line, answer, sizeof answer - 1);
        answer_n = strlen(answer);
        answer[answer_n++] = '\n';
        if (send(c->fd, answer, answer_n, MSG_NOSIGNAL) < 0) {
            control_close(c);
            return;
        }
        c->n -= line_n;
        memmove(c->line, c->line + line_n, c->n);
    }
    if (c->n == sizeof c->line)
        control_close(c);
}

/* ---- the loop ---- */

struct watch {
    struct pollfd fds[3 + CONTROLS_MAX + CONNECTIONS_MAX];
    nfds_t n;
};

static struct pollfd *add(struct watch *w, int fd, short events)
{
    w->fds[w->n] = (struct pollfd){.fd = fd, .events = events};
    return &w->fds[w->n++];
}

/* Until the next late answer is due, or a handshake has lasted too long. */
static int wait_ms(const struct server *s)
{
    int64_t now = mono_ms(), wait = 60000;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        const struct connection *c = s->connections[i];
        int64_t left = 60000;
        if (c != NULL && !c->ready)
            left = c->since_ms + HANDSHAKE_MS_MAX + 1 - now;
        else if (c != NULL && c->replies != NULL && !c->wants_write)
            left = c->replies->due_ms - now;
        if (left < wait)
            wait = left;
    }
    return wait < 0 ? 0 : (int)wait;
}

static void round_of(struct server *s)
{
    struct watch w = {.n = 0};
    const struct pollfd *signals = add(&w, s->signals, POLLIN);
    const struct pollfd *listener = add(&w, s->listener, POLLIN);
    const struct pollfd *control = add(&w, s->control_listener, POLLIN);
    const struct pollfd *controls = &w.fds[w.n], *connections;
    struct connection *seen[CONNECTIONS_MAX];
    for (size_t i = 0; i < CONTROLS_MAX; i++)
        (void)add(&w, s->controls[i].fd, POLLIN);
    connections = &w.fds[w.n];
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        seen[i] = s->connections[i];
        (void)add(&w, seen[i] == NULL ? -1 : seen[i]->fd,
                  seen[i] != NULL && seen[i]->wants_write ? POLLIN | POLLOUT : POLLIN);
    }
    if (poll(w.fds, w.n, wait_ms(s)) < 0)
        return;
    s->stop = signals->revents != 0;
    for (size_t i = 0; i < CONTROLS_MAX; i++)
        if (controls[i].revents != 0)
            control_receive(s, &s->controls[i]);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (seen[i] != NULL && s->connections[i] == seen[i])
            serve_connection(s, &s->connections[i], connections[i].revents);
    if (control->revents != 0)
        control_accept(s);
    if (listener->revents != 0 && s->listener >= 0)
        accept_one(s);
}

/* ---- start and end ---- */

static int signals_open(struct server *s)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return DP_ERR_IO;
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signals < 0 ? DP_ERR_IO : DP_OK;
}

static int write_ready(const struct server *s)
{
    const char *path = s->config->ready_file;
    char text[16], beside[4096];
    if (path == NULL)
        return DP_OK;
    (void)snprintf(text, sizeof text, "%u\n", s->port);
    if (snprintf(beside, sizeof beside, "%s.new", path) < (int)sizeof beside &&
        sim_write_file(beside, text, strlen(text), false) == DP_OK && rename(beside, path) == 0)
        return DP_OK;
    dp_log(DP_LOG_ERROR, "%s: cannot be written", path);
    return DP_ERR_IO;
}

static int announce(const struct server *s)
{
    bool clear = s->config->traffic != NULL;
    int err = write_ready(s);
    if (err != DP_OK)
        return err;
    if (clear)
        dp_log(DP_LOG_WARNING, "%s holds test card data in clear: never real cards",
               s->config->traffic);
    if (s->config->json)
        (void)printf("{\"acquirer\":\"127.0.0.1\",\"port\":%u,\"traffic_in_clear\":%s}\n", s->port,
                     clear ? "true" : "false");
    else
        (void)printf("acquirer: 127.0.0.1:%u%s\n", s->port,
                     clear ? ", traffic file with test card data in clear" : "");
    (void)fflush(stdout);
    return DP_OK;
}

static int traffic_open(struct server *s)
{
    if (s->config->traffic == NULL)
        return DP_OK;
    s->traffic = fopen(s->config->traffic, "ae");
    if (s->traffic != NULL && fchmod(fileno(s->traffic), 0600) == 0)
        return DP_OK;
    dp_log(DP_LOG_ERROR, "%s: %s", s->config->traffic, strerror(errno));
    return DP_ERR_IO;
}

static void server_close(struct server *s)
{
    connections_close(s, "the acquirer ends");
    for (size_t i = 0; i < CONTROLS_MAX; i++)
        if (s->controls[i].fd >= 0)
            control_close(&s->controls[i]);
    listener_close(s);
    if (s->control_listener >= 0) {
        (void)close(s->control_listener);
        (void)unlink(s->config->control);
    }
    if (s->signals >= 0)
        (void)close(s->signals);
    if (s->traffic != NULL)
        (void)fclose(s->traffic);
    SSL_CTX_free(s->tls);
}

int sim_serve(struct sim_host *host, const struct sim_serve_config *config)
{
    static struct server s;
    int64_t lines;
    int err;
    memset(&s, 0, sizeof s);
    s.host = host;
    s.config = config;
    s.port = config->port;
    s.listener = s.control_listener = s.signals = -1;
    for (size_t i = 0; i < CONTROLS_MAX; i++)
        s.controls[i].fd = -1;
    err = signals_open(&s);
    if (err == DP_OK)
        err = tls_open(&s);
    if (err == DP_OK)
        err = traffic_open(&s);
    if (err == DP_OK)
        err = listener_open(&s);
    if (err == DP_OK)
        err = control_open(&s);
    if (err == DP_OK)
        err = announce(&s);
    while (err == DP_OK && !s.stop)
        round_of(&s);
    if (err == DP_OK && config->settlement != NULL)
        err = settle(&s, &lines);
    server_close(&s);
    return err;
}
