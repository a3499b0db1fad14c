/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorpayd: starts the four processes, gives the vault a channel to each, starts again what dies.
 * It parses no byte from outside and holds no key. When the vault dies all others end (they see its
 * channel close) and everything begins anew from the journal.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "channel.h"
#include "config.h"
#include "dp_config.h"
#include "process.h"

#define ARGS_MAX         24
#define ARG_MAX_BYTES    (2 * DP_CONFIG_VALUE_MAX + 32) /* a key store of two halves */
#define LISTEN_BACKLOG   16
#define QUICK_DEATH_MS   1000 /* a life shorter than this doubles the pause */
#define PAUSE_FIRST_MS   20
#define PAUSE_MAX_MS     5000
#define STOP_PATIENCE_MS 1500

struct child {
    enum dp_role role;
    pid_t pid;         /* 0: not running */
    uint32_t instance; /* counts its starts */
    int64_t started_ms, start_at_ms;
    int pause_ms;
};

struct supervisor {
    struct dp_config config;
    char libexec[PATH_MAX];
    struct child children[DP_ROLES]; /* by role; the supervisor's own place stays empty */
    struct dp_channel vault;
    int listen_fd, signal_fd;
    bool stopping;
};

struct args {
    char text[ARGS_MAX][ARG_MAX_BYTES];
    char *argv[ARGS_MAX + 1];
    int n;
};

static int64_t now_ms(void)
{
    const struct dp_clock *clock = dp_clock_system();
    return clock->mono_ms(clock->ctx);
}

static void add_arg(struct args *a, const char *name, const char *value)
{
    DP_ASSERT(a->n < ARGS_MAX);
    (void)snprintf(a->text[a->n], ARG_MAX_BYTES, "--%s=%s", name, value);
    a->argv[a->n] = a->text[a->n];
    a->argv[++a->n] = NULL;
}

static void child_args(const struct supervisor *s, enum dp_role role, struct args *a)
{
    const struct dp_config *c = &s->config;
    char uid[16], uri[2 * DP_CONFIG_VALUE_MAX + 2];
    memset(a, 0, sizeof *a);
    (void)snprintf(a->text[0], ARG_MAX_BYTES, "doorpayd-%s", dp_role_name(role));
    a->argv[0] = a->text[0];
    a->n = 1;
    if (role == DP_ROLE_VAULT) {
        add_arg(a, "journal", c->journal_dir);
        (void)snprintf(uri, sizeof uri, "%s%s%s", c->hsm_uri, c->hsm_anchor[0] != '\0' ? "+" : "",
                       c->hsm_anchor);
        add_arg(a, "hsm", uri);
        add_arg(a, "params", c->params_file);
        add_arg(a, "back-office", c->back_office);
        add_arg(a, "wire-log", c->wire_log);
    } else if (role == DP_ROLE_CARD) {
        add_arg(a, "reader", c->reader);
    } else if (role == DP_ROLE_LINK) {
        add_arg(a, "host", c->acquirer_host);
        add_arg(a, "port", c->acquirer_port);
        add_arg(a, "ca", c->acquirer_ca);
        add_arg(a, "cert", c->acquirer_cert);
    } else {
        for (size_t i = 0; i < c->allow_uids_n; i++) {
            (void)snprintf(uid, sizeof uid, "%u", c->allow_uids[i]);
            add_arg(a, "allow-uid", uid);
        }
        add_arg(a, "language", c->language);
    }
}

/* For support and for tests that kill a process by its id. */
static void write_pids(const struct supervisor *s)
{
    char path[PATH_MAX], temp[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/pids", s->config.run_dir);
    (void)snprintf(temp, sizeof temp, "%s/pids.new", s->config.run_dir);
    FILE *f = fopen(temp, "we");
    if (f == NULL) {
        dp_log(DP_LOG_WARNING, "%s: %s", temp, strerror(errno));
        return;
    }
    (void)fprintf(f, "supervisor %d\n", (int)getpid());
    for (int role = DP_ROLE_VAULT; role < DP_ROLES; role++)
        (void)fprintf(f, "%s %d\n", dp_role_name((enum dp_role)role), (int)s->children[role].pid);
    if (fclose(f) != 0 || rename(temp, path) != 0)
        dp_log(DP_LOG_WARNING, "%s: %s", path, strerror(errno));
}

static int start(struct supervisor *s, enum dp_role role)
{
    struct child *child = &s->children[role];
    struct dp_msg_peer peer = {role, child->instance + 1};
    struct args args;
    char path[PATH_MAX + ARG_MAX_BYTES];
    int pair[2], fds[2] = {-1, -1};
    if (dp_channel_pair(pair) < 0)
        return DP_ERR_IO;
    child_args(s, role, &args);
    (void)snprintf(path, sizeof path, "%s/%s", s->libexec, args.argv[0]);
    fds[0] = pair[1];
    fds[1] = role == DP_ROLE_TILL ? s->listen_fd : -1;
    child->pid = dp_process_spawn(path, args.argv, fds, role == DP_ROLE_TILL ? 2 : 1);
    (void)close(pair[1]);
    if (child->pid < 0) {
        child->pid = 0;
        (void)close(pair[0]);
        return DP_ERR_IO;
    }
    child->started_ms = now_ms();
    child->instance = peer.instance;
    if (role == DP_ROLE_VAULT) {
        dp_channel_init(&s->vault, pair[0], DP_ROLE_SUPERVISOR, DP_ROLE_VAULT);
    } else {
        int err = dp_channel_send_fd(&s->vault, DP_MSG_PEER_NEW, &peer, pair[0]);
        (void)close(pair[0]);
        if (err < 0)
            dp_log(DP_LOG_WARNING, "the vault took no channel to %s", dp_role_name(role));
    }
    write_pids(s);
    return DP_OK;
}

static void start_due(struct supervisor *s)
{
    int64_t now = now_ms();
    for (int role = DP_ROLE_VAULT; role < DP_ROLES; role++) {
        struct child *child = &s->children[role];
        bool vault_there = s->children[DP_ROLE_VAULT].pid != 0 && s->vault.fd >= 0;
        if (child->pid != 0 || child->start_at_ms > now || (role != DP_ROLE_VAULT && !vault_there))
            continue;
        if (start(s, (enum dp_role)role) < 0) {
            dp_log(DP_LOG_ERROR, "%s could not be started", dp_role_name((enum dp_role)role));
            child->start_at_ms = now + PAUSE_MAX_MS;
        }
    }
}

/* The vault's end is everybody's: what the others hold in memory is not the truth any more. */
static void vault_gone(struct supervisor *s)
{
    int64_t deadline = now_ms() + STOP_PATIENCE_MS;
    dp_channel_close(&s->vault);
    for (int role = DP_ROLE_TILL; role < DP_ROLES; role++) {
        struct child *child = &s->children[role];
        while (child->pid != 0 && now_ms() < deadline) {
            if (waitpid(child->pid, NULL, WNOHANG) == child->pid)
                child->pid = 0;
            else
                (void)poll(NULL, 0, 5);
        }
        if (child->pid != 0) {
            (void)kill(child->pid, SIGKILL);
            (void)waitpid(child->pid, NULL, 0);
            child->pid = 0;
        }
        child->start_at_ms = 0;
    }
}

static void log_death(const struct child *child, int status)
{
    const char *name = dp_role_name(child->role);
    if (WIFSIGNALED(status))
        dp_log(DP_LOG_WARNING, "%s (%d) died of signal %d; started again", name, (int)child->pid,
               WTERMSIG(status));
    else
        dp_log(DP_LOG_WARNING, "%s (%d) ended with status %d; started again", name, (int)child->pid,
               WEXITSTATUS(status));
}

static void bury(struct supervisor *s, struct child *child, int status)
{
    int64_t now = now_ms();
    log_death(child, status);
    child->pid = 0;
    if (now - child->started_ms < QUICK_DEATH_MS)
        child->pause_ms = child->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : child->pause_ms * 2;
    else
        child->pause_ms = PAUSE_FIRST_MS;
    child->start_at_ms = now + child->pause_ms;
    if (child->role == DP_ROLE_VAULT)
        vault_gone(s);
}

static void reap(struct supervisor *s)
{
    for (int role = DP_ROLE_VAULT; role < DP_ROLES; role++) {
        struct child *child = &s->children[role];
        int status = 0;
        if (child->pid != 0 && waitpid(child->pid, &status, WNOHANG) == child->pid)
            bury(s, child, status);
    }
    write_pids(s);
}

static void on_vault(struct supervisor *s)
{
    enum dp_msg_type type = DP_MSG_NONE;
    union dp_msg_body body;
    int err = dp_channel_receive(&s->vault, 0, &type, &body, NULL);
    if (err == DP_ERR_TIMEOUT)
        return;
    if (err < 0) {
        dp_channel_close(&s->vault); /* its death follows as SIGCHLD, or is brought about here */
        if (s->children[DP_ROLE_VAULT].pid != 0)
            (void)kill(s->children[DP_ROLE_VAULT].pid, SIGKILL);
        return;
    }
    if (type == DP_MSG_PEER_BAD && body.peer.role > DP_ROLE_VAULT) {
        const struct child *child = &s->children[body.peer.role];
        if (child->pid != 0 && child->instance == body.peer.instance)
            (void)kill(child->pid, SIGKILL);
    } else if (type == DP_MSG_VAULT_READY) {
        dp_log(DP_LOG_INFO, "ready%s", body.ready.ok != 0 ? "" : ", but no payment can be taken");
    }
}

static void on_signal(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD)
            s->stopping = true;
    if (!s->stopping)
        reap(s);
}

static void stop_all(struct supervisor *s)
{
    int64_t deadline = now_ms() + STOP_PATIENCE_MS;
    for (int role = DP_ROLE_VAULT; role < DP_ROLES; role++)
        if (s->children[role].pid != 0)
            (void)kill(s->children[role].pid, SIGTERM);
    for (int role = DP_ROLE_VAULT; role < DP_ROLES; role++) {
        struct child *child = &s->children[role];
        while (child->pid != 0 && waitpid(child->pid, NULL, WNOHANG) == 0) {
            if (now_ms() > deadline)
                (void)kill(child->pid, SIGKILL);
            (void)poll(NULL, 0, 5);
        }
        child->pid = 0;
    }
    dp_channel_close(&s->vault);
}

static int listen_on(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd;
    if (strlen(path) >= sizeof a.sun_path) {
        dp_log(DP_LOG_ERROR, "[till] socket: path too long: %s", path);
        return -1;
    }
    memcpy(a.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)unlink(path); /* of an earlier run; who may connect is decided by peer credentials */
    if (bind(fd, (const struct sockaddr *)&a, sizeof a) != 0 || chmod(path, 0666) != 0 ||
        listen(fd, LISTEN_BACKLOG) != 0) {
        dp_log(DP_LOG_ERROR, "[till] socket: %s: %s", path, strerror(errno));
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int block_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    DP_ASSERT(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The other executables stand in ../lib/doorpay seen from ours. */
static void find_libexec(struct supervisor *s)
{
    char self[PATH_MAX] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    DP_ASSERT(n > 0);
    self[n] = '\0';
    (void)snprintf(s->libexec, sizeof s->libexec, "%.*s/../lib/doorpay",
                   (int)sizeof s->libexec - 20, dirname(self));
}

static int next_wait(const struct supervisor *s)
{
    int64_t now = now_ms(), wait = 60000;
    for (int role = DP_ROLE_VAULT; role < DP_ROLES; role++) {
        const struct child *child = &s->children[role];
        if (child->pid == 0 && child->start_at_ms - now < wait)
            wait = child->start_at_ms > now ? child->start_at_ms - now : 10;
    }
    return (int)wait;
}

static void run(struct supervisor *s)
{
    while (!s->stopping) {
        start_due(s);
        struct pollfd fds[2] = {{s->signal_fd, POLLIN, 0}, {s->vault.fd, POLLIN, 0}};
        if (poll(fds, 2, next_wait(s)) < 0 && errno != EINTR)
            break;
        if ((fds[1].revents & (POLLIN | POLLHUP)) != 0)
            on_vault(s);
        if ((fds[0].revents & POLLIN) != 0)
            on_signal(s);
    }
    stop_all(s);
}

static int usage(FILE *to, int status)
{
    (void)fputs("usage: doorpayd [--config FILE] [--version] [--help]\n", to);
    return status;
}

int main(int argc, char **argv)
{
    static struct supervisor s;
    const char *path = "/etc/doorpay/doorpayd.conf";
    char error[512];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--version") == 0)
            return printf("doorpayd %s\n", DP_VERSION) < 0;
        if (strcmp(argv[i], "--help") == 0)
            return usage(stdout, 0);
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            path = argv[++i];
        else
            return usage(stderr, 2);
    }
    dp_process_harden("doorpayd");
    if (dp_config_load(path, &s.config, error, sizeof error) < 0) {
        dp_log(DP_LOG_ERROR, "%s", error);
        return 1;
    }
    for (int role = 0; role < DP_ROLES; role++) {
        s.children[role].role = (enum dp_role)role;
        s.children[role].pause_ms = PAUSE_FIRST_MS;
    }
    dp_channel_init(&s.vault, -1, DP_ROLE_SUPERVISOR, DP_ROLE_VAULT);
    find_libexec(&s);
    s.signal_fd = block_signals();
    s.listen_fd = listen_on(s.config.till_socket);
    if (s.signal_fd < 0 || s.listen_fd < 0)
        return 1;
    run(&s);
    (void)unlink(s.config.till_socket);
    return 0;
}
