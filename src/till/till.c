/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP on the round app's socket: one handler for /nexo/, a stream of events on /events. A request
 * waits (its connection suspended) until the backend answers; nothing here blocks.
 */
#include <fcntl.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <doorpay/till.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "nexo.h"

#define EVENTS_KEPT    32
#define JSON_TYPE      "application/json; charset=utf-8"
#define ACCEPTS_A_TURN 32
#define EVENT_TEXT_MAX 4096  /* one event, with as many applications as a card may have */
#define STREAMS_MAX    4     /* so that listeners leave room for payments */
#define BEAT_MS        15000 /* a stream speaks as often: else a dead listener is not noticed */
#define SILENT_MAX_S   30 /* a connection that says nothing ends; to wait for us is not silence */
#define SELDOM_MS      60000 /* between two lines about what somebody else can do without end */

/* One HTTP exchange. */
struct exchange {
    struct dp_till *till;
    struct MHD_Connection *connection;
    struct exchange *next;
    uint64_t request; /* 0: nothing asked of the backend */
    struct nexo_request nexo;
    char body[DP_TILL_BODY_MAX];
    size_t body_n;
    bool too_long, asked, suspended;
    char *answer; /* ready to go */
    /* of /events */
    bool is_stream, ended, beat_due;
    uint64_t next_event;
    char event_text[EVENT_TEXT_MAX];
    size_t event_n, event_sent;
};

/* What the log has been told of, and how much of it since. */
struct seldom {
    bool told;
    int64_t told_ms;
    unsigned n;
};

struct dp_till {
    struct dp_till_config config;
    struct MHD_Daemon *daemon;
    int epoll_fd; /* the listening socket and the server's own descriptor */
    struct exchange *open;
    uint64_t next_request;
    struct dp_pay_event events[EVENTS_KEPT];
    uint64_t events_n; /* ever */
    int64_t next_beat_ms;
    struct seldom refused, turned_away;
};

static int64_t now_ms(void)
{
    const struct dp_clock *clock = dp_clock_system();
    return clock->mono_ms(clock->ctx);
}

/* The first time at once; then how often, once in a while: nobody may fill the disk by knocking. */
static unsigned seldom(struct seldom *s)
{
    unsigned n = ++s->n;
    if (s->told && now_ms() - s->told_ms < SELDOM_MS)
        return 0;
    *s = (struct seldom){true, now_ms(), 0};
    return n;
}

/* ---- who may speak ---- */

static bool peer_allowed(struct dp_till *t, int fd)
{
    unsigned times;
    struct ucred peer;
    socklen_t n = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0)
        return false;
    if (peer.uid == 0 || peer.uid == getuid())
        return true;
    for (size_t i = 0; i < t->config.allow_uids_n; i++)
        if (t->config.allow_uids[i] == peer.uid)
            return true;
    times = seldom(&t->refused);
    if (times > 0)
        dp_log(DP_LOG_WARNING, "a program of user %u was refused at the till (%u times)", peer.uid,
               times);
    return false;
}

/* Whoever is not allowed never becomes a connection, so that it cannot take a place from the app.
 */
static void accept_some(struct dp_till *t)
{
    static const char no[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 12\r\n"
                             "Connection: close\r\n\r\nnot allowed\n";
    for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage from;
        socklen_t from_n = sizeof from;
        int fd = accept4(t->config.listen_fd, (struct sockaddr *)&from, &from_n,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        if (!peer_allowed(t, fd)) {
            (void)send(fd, no, sizeof no - 1, MSG_NOSIGNAL);
            (void)close(fd);
        } else if (MHD_add_connection(t->daemon, fd, (struct sockaddr *)&from, from_n) != MHD_YES) {
            unsigned n = seldom(&t->turned_away);
            if (n > 0)
                dp_log(DP_LOG_WARNING, "till: no more than %d connections (%u turned away)",
                       DP_TILL_CONNECTIONS_MAX, n);
        }
    }
}

/* ---- sending ---- */

static enum MHD_Result send_text(struct MHD_Connection *c, unsigned status, const char *type,
                                 const char *text)
{
    enum MHD_Result ok = MHD_NO;
    struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
                                                             MHD_RESPMEM_MUST_COPY);
    if (r == NULL)
        return MHD_NO;
    if (MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES)
        ok = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return ok;
}

static void give_answer(struct exchange *e, char *text)
{
    free(e->answer);
    e->answer = text;
    e->request = 0;
    if (e->suspended) {
        e->suspended = false;
        MHD_resume_connection(e->connection);
    }
}

static struct exchange *find(const struct dp_till *t, uint64_t request)
{
    struct exchange *e = t->open;
    while (e != NULL && (e->request != request || request == 0))
        e = e->next;
    return e;
}

/* ---- asking the backend ---- */

static int ask(struct dp_till *t, struct exchange *e)
{
    const struct dp_till_backend *b = &t->config.backend;
    const struct nexo_request *q = &e->nexo;
    e->request = ++t->next_request;
    switch (q->header.category) {
    case NEXO_PAYMENT:
        return b->pay(b->ctx, e->request, &q->pay);
    case NEXO_REVERSAL:
        return b->reverse(b->ctx, e->request, &q->reverse);
    case NEXO_STATUS:
        return b->status(b->ctx, e->request, &q->status);
    case NEXO_TOTALS:
        return b->totals(b->ctx, e->request);
    case NEXO_RECONCILIATION:
        return b->settle(b->ctx, e->request);
    case NEXO_ADMIN:
        return q->ack_n > 0 ? b->acknowledge(b->ctx, e->request, q->ack, q->ack_n)
                            : b->forward(b->ctx, e->request, q->forward);
    default:
        return b->diagnose(b->ctx, e->request);
    }
}

static void unavailable(struct exchange *e)
{
    give_answer(e,
                nexo_answer_error(&e->nexo.header, "UnavailableService", "unknown",
                                  dp_reason_words_in(DP_REASON_UNKNOWN, e->nexo.header.language)));
}

/* The answer to an Abort is empty; the payment's own connection tells how it ended. */
static void do_abort(struct dp_till *t, struct exchange *e)
{
    const struct dp_till_backend *b = &t->config.backend;
    const struct dp_status_query *q = &e->nexo.status;
    if (b->abort(b->ctx, q->sale_id, q->service_id) < 0)
        unavailable(e);
    else
        give_answer(e, calloc(1, 1));
}

static void handle(struct dp_till *t, struct exchange *e)
{
    char error[200] = "";
    int err =
        e->too_long ? DP_ERR_LIMIT : nexo_parse(e->body, e->body_n, &e->nexo, error, sizeof error);
    e->asked = true;
    if (!e->nexo.header.has_language || err < 0)
        e->nexo.header.language = t->config.language;
    if (err < 0) {
        give_answer(e, nexo_answer_error(&e->nexo.header, "MessageFormat", "message_format",
                                         e->too_long ? "the request is too long" : error));
        return;
    }
    if (e->nexo.header.category == NEXO_ABORT)
        do_abort(t, e);
    else if (e->nexo.header.category == NEXO_LOGOUT)
        give_answer(e, nexo_answer_plain(&e->nexo.header));
    else if (ask(t, e) < 0)
        unavailable(e);
}

/* ---- events ---- */

/* The next event as server-sent text; false when there is none yet. */
static bool next_event_text(struct exchange *e)
{
    struct dp_till *t = e->till;
    char *json;
    if (e->next_event + EVENTS_KEPT < t->events_n)
        e->next_event = t->events_n - EVENTS_KEPT; /* a slow reader loses the oldest */
    if (e->next_event >= t->events_n)
        return false;
    json = nexo_event(&t->events[e->next_event++ % EVENTS_KEPT], t->config.language);
    e->event_sent = 0;
    e->event_n = 0;
    if (json != NULL && strlen(json) + 9 < sizeof e->event_text) {
        memcpy(e->event_text, "data: ", 6);
        memcpy(e->event_text + 6, json, strlen(json));
        memcpy(e->event_text + 6 + strlen(json), "\n\n", 2);
        e->event_n = strlen(json) + 8;
    }
    free(json);
    return e->event_n > 0;
}

/* A comment, which listeners pass over. */
static bool beat_text(struct exchange *e)
{
    static const char text[] = ":\n\n";
    if (!e->beat_due)
        return false;
    e->beat_due = false;
    memcpy(e->event_text, text, sizeof text - 1);
    e->event_sent = 0;
    e->event_n = sizeof text - 1;
    return true;
}

static ssize_t read_events(void *cls, uint64_t pos, char *out, size_t max)
{
    struct exchange *e = cls;
    size_t n;
    (void)pos;
    if (e->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (e->event_sent == e->event_n && !next_event_text(e) && !beat_text(e)) {
        e->suspended = true;
        MHD_suspend_connection(e->connection);
        return 0;
    }
    n = e->event_n - e->event_sent;
    n = n > max ? max : n;
    memcpy(out, e->event_text + e->event_sent, n);
    e->event_sent += n;
    return (ssize_t)n;
}

static void wake(struct exchange *e)
{
    if (!e->suspended)
        return;
    e->suspended = false;
    MHD_resume_connection(e->connection);
}

static void beat(struct dp_till *t, int64_t now)
{
    t->next_beat_ms = now + BEAT_MS;
    for (struct exchange *e = t->open; e != NULL; e = e->next)
        if (e->is_stream) {
            e->beat_due = true;
            wake(e);
        }
}

/* The list has the newest first: what comes after the newest few is ended. */
static void end_old_streams(struct dp_till *t)
{
    unsigned n = 0;
    for (struct exchange *e = t->open; e != NULL; e = e->next)
        if (e->is_stream && ++n > STREAMS_MAX) {
            e->ended = true;
            wake(e);
        }
}

static enum MHD_Result start_stream(struct exchange *e)
{
    enum MHD_Result ok;
    static const char hello[] = ": doorpay events\n\n";
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 512, read_events, e, NULL);
    if (r == NULL)
        return MHD_NO;
    e->is_stream = true;
    end_old_streams(e->till);
    e->next_event = e->till->events_n;
    memcpy(e->event_text, hello, sizeof hello - 1);
    e->event_n = sizeof hello - 1;
    (void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    (void)MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    ok = MHD_queue_response(e->connection, MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return ok;
}

/* ---- HTTP ---- */

static enum MHD_Result begin_exchange(struct dp_till *t, struct MHD_Connection *c, void **own)
{
    struct exchange *e = calloc(1, sizeof *e);
    if (e == NULL)
        return MHD_NO;
    e->till = t;
    e->connection = c;
    e->next = t->open;
    t->open = e;
    *own = e;
    return MHD_YES;
}

static void take_body(struct exchange *e, const char *data, size_t n)
{
    if (n > sizeof e->body - e->body_n) {
        e->too_long = true;
        return;
    }
    memcpy(e->body + e->body_n, data, n);
    e->body_n += n;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_n, void **own)
{
    struct dp_till *t = cls;
    struct exchange *e = *own;
    (void)version;
    if (e == NULL)
        return begin_exchange(t, c, own);
    if (*data_n > 0) {
        take_body(e, data, *data_n);
        *data_n = 0;
        return MHD_YES;
    }
    if (strcmp(url, "/events") == 0 && strcmp(method, MHD_HTTP_METHOD_GET) == 0)
        return start_stream(e);
    if (strcmp(url, "/nexo") != 0 && strcmp(url, "/nexo/") != 0)
        return send_text(c, MHD_HTTP_NOT_FOUND, "text/plain", "there is /nexo/ and /events\n");
    if (strcmp(method, MHD_HTTP_METHOD_POST) != 0)
        return send_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", "POST only\n");
    if (!e->asked)
        handle(t, e);
    if (e->answer != NULL)
        return send_text(c, MHD_HTTP_OK, JSON_TYPE, e->answer);
    if (e->request == 0)
        return MHD_NO; /* no memory for the answer */
    e->suspended = true;
    MHD_suspend_connection(c);
    return MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *c, void **own,
                         enum MHD_RequestTerminationCode why)
{
    struct dp_till *t = cls;
    struct exchange **at = &t->open;
    (void)c;
    (void)why;
    while (*at != NULL && *at != *own)
        at = &(*at)->next;
    if (*at != NULL) {
        struct exchange *e = *at;
        *at = e->next;
        free(e->answer);
        free(e);
    }
    *own = NULL;
}

/* ---- public ---- */

static void log_http(void *cls, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void log_http(void *cls, const char *format, va_list args)
{
    char line[256];
    (void)cls;
    (void)vsnprintf(line, sizeof line, format, args);
    dp_log(DP_LOG_DEBUG, "http: %s", line);
}

static int watch(const struct dp_till *t, int fd)
{
    struct epoll_event e = {.events = EPOLLIN};
    return epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0 ? DP_OK : DP_ERR_IO;
}

static int start(struct dp_till *t)
{
    const union MHD_DaemonInfo *info;
    t->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
        NULL, NULL, on_request, t, MHD_OPTION_EXTERNAL_LOGGER, log_http, t,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, t, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)DP_TILL_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENT_MAX_S,
        MHD_OPTION_END);
    if (t->daemon == NULL)
        return DP_ERR_IO;
    if (fcntl(t->config.listen_fd, F_SETFL, O_NONBLOCK) != 0)
        return DP_ERR_IO;
    info = MHD_get_daemon_info(t->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (info == NULL || t->epoll_fd < 0 || watch(t, t->config.listen_fd) < 0)
        return DP_ERR_IO;
    return watch(t, info->epoll_fd);
}

int dp_till_new(const struct dp_till_config *config, struct dp_till **out)
{
    const struct dp_random *random = dp_random_system();
    struct dp_till *t = calloc(1, sizeof *t);
    int err;
    if (t == NULL)
        return DP_ERR_NOMEM;
    t->config = *config;
    t->epoll_fd = -1;
    t->next_beat_ms = now_ms() + BEAT_MS;
    /* numbers that no till before this one gave out: an answer meant for it must find nobody */
    err = random->fill(random->ctx, (uint8_t *)&t->next_request, sizeof t->next_request);
    t->next_request >>= 1;
    if (err == DP_OK)
        err = start(t);
    if (err < 0) {
        dp_till_free(&t);
        return err;
    }
    *out = t;
    return DP_OK;
}

void dp_till_free(struct dp_till **tt)
{
    struct dp_till *t = *tt;
    if (t == NULL)
        return;
    for (struct exchange *e = t->open; e != NULL; e = e->next)
        wake(e);
    if (t->daemon != NULL)
        MHD_stop_daemon(t->daemon);
    if (t->epoll_fd >= 0)
        (void)close(t->epoll_fd);
    free(t);
    *tt = NULL;
}

int dp_till_fd(const struct dp_till *t)
{
    return t->epoll_fd;
}

int dp_till_timeout_ms(struct dp_till *t)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;
    int64_t left = t->next_beat_ms - now_ms();
    if (left < 0)
        left = 0;
    if (MHD_get_timeout(t->daemon, &ms) == MHD_YES && (int64_t)ms < left)
        left = (int64_t)ms;
    return (int)left;
}

void dp_till_run(struct dp_till *t)
{
    int64_t now = now_ms();
    accept_some(t);
    if (now >= t->next_beat_ms)
        beat(t, now);
    if (MHD_run(t->daemon) != MHD_YES)
        dp_log(DP_LOG_ERROR, "till: the HTTP server failed");
}

void dp_till_result(struct dp_till *t, uint64_t request, const struct dp_pay_result *r)
{
    struct exchange *e = find(t, request);
    if (e == NULL)
        return; /* its caller hung up; the journal keeps the answer */
    if (e->nexo.header.category == NEXO_STATUS)
        give_answer(e, nexo_answer_status(&e->nexo, r));
    else if (e->nexo.header.category == NEXO_REVERSAL)
        give_answer(e, nexo_answer_reversal(&e->nexo, r));
    else
        give_answer(e, nexo_answer_payment(&e->nexo, r));
}

void dp_till_diagnosis(struct dp_till *t, uint64_t request, const struct dp_diagnosis *d)
{
    struct exchange *e = find(t, request);
    struct nexo_info info = {t->config.software_version};
    if (e == NULL)
        return;
    if (e->nexo.header.category == NEXO_LOGIN)
        give_answer(e, nexo_answer_login(&e->nexo, &info, d));
    else if (e->nexo.header.category == NEXO_ADMIN)
        give_answer(e, nexo_answer_plain(&e->nexo.header));
    else
        give_answer(e, nexo_answer_diagnosis(&e->nexo, d));
}

void dp_till_totals_answer(struct dp_till *t, uint64_t request, const struct dp_till_totals *totals)
{
    struct exchange *e = find(t, request);
    if (e != NULL)
        give_answer(e, nexo_answer_totals(&e->nexo, totals));
}

void dp_till_settled(struct dp_till *t, uint64_t request, const struct dp_settle_result *r)
{
    struct exchange *e = find(t, request);
    if (e != NULL)
        give_answer(e, nexo_answer_reconciliation(&e->nexo, r));
}

void dp_till_acknowledged(struct dp_till *t, uint64_t request, const struct dp_ack_result *r)
{
    struct exchange *e = find(t, request);
    if (e != NULL)
        give_answer(e, nexo_answer_acknowledged(&e->nexo.header, r));
}

void dp_till_event(struct dp_till *t, const struct dp_pay_event *event)
{
    t->events[t->events_n++ % EVENTS_KEPT] = *event;
    for (struct exchange *e = t->open; e != NULL; e = e->next)
        if (e->is_stream)
            wake(e);
}

void dp_till_lost(struct dp_till *t)
{
    for (struct exchange *e = t->open; e != NULL; e = e->next)
        if (e->request != 0)
            unavailable(e);
}

bool dp_till_idle(const struct dp_till *t)
{
    for (const struct exchange *e = t->open; e != NULL; e = e->next)
        if (!e->is_stream)
            return false;
    return true;
}
