/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A27: a program on the device that is not the round app. It connects as another user, again and
 * again, to be served or only to be in the way; or as a user who may, with more connections, longer
 * headers and bodies than anybody needs. The app is served all the while, and no log is filled.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <psa/crypto.h>

#include <doorpay/till.h>

#include "base/limits.h"

#define NOBODY       65534
#define APP          65533
#define ANOTHER      65532
#define FLOOD        400
#define LINES_MAX    4
#define ROUNDS_MAX   2000
#define HEADER_BYTES 1000000

static struct {
    char dir[64], path[96];
    int listen_fd;
    struct dp_till *till;
    unsigned asked, lines;
} self;

static int on_request(void *ctx, uint64_t request)
{
    struct dp_diagnosis d;
    (void)ctx;
    memset(&d, 0, sizeof d);
    self.asked++;
    dp_till_diagnosis(self.till, request, &d);
    return DP_OK;
}

static void count_line(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    (void)line;
    self.lines += level <= DP_LOG_WARNING;
}

static int set_up(void **state)
{
    static const uint32_t allowed[] = {APP};
    const char *tmp = getenv("TMPDIR");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct dp_till_config config = {.allow_uids = allowed,
                                    .allow_uids_n = 1,
                                    .backend = {.diagnose = on_request},
                                    .software_version = "1"};
    (void)state;
    memset(&self, 0, sizeof self);
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    if (tmp != NULL) /* of this test alone; other users must get through */
        assert_int_equal(chmod(tmp, 0711), 0);
    (void)snprintf(self.dir, sizeof self.dir, "%s/dp-till-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(self.dir));
    assert_int_equal(chmod(self.dir, 0711), 0);
    (void)snprintf(self.path, sizeof self.path, "%s/sock", self.dir);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", self.path);
    self.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(self.listen_fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(chmod(self.path, 0666), 0);
    assert_int_equal(listen(self.listen_fd, 16), 0);
    config.listen_fd = self.listen_fd;
    dp_log_set(count_line, NULL, DP_LOG_WARNING);
    assert_int_equal(dp_till_new(&config, &self.till), DP_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dp_till_free(&self.till);
    dp_log_set(NULL, NULL, DP_LOG_INFO);
    (void)close(self.listen_fd);
    (void)unlink(self.path);
    (void)rmdir(self.dir);
    return 0;
}

/* ---- in a child: another program ---- */

static const char diagnosis[] =
    "{\"SaleToPOIRequest\":{\"MessageHeader\":{\"ProtocolVersion\":\"3.0\",\"MessageClass\":"
    "\"Service\",\"MessageCategory\":\"Diagnosis\",\"MessageType\":\"Request\",\"ServiceID\":"
    "\"D1\",\"SaleID\":\"round-7\",\"POIID\":\"poi\"},\"DiagnosisRequest\":{}}}";

static int dial(void)
{
    struct timeval patience = {5, 0};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", self.path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        _exit(99);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

/* The HTTP status of an answer; 0: none. */
static int http_status(int fd)
{
    char text[13] = "";
    return recv(fd, text, 12, MSG_WAITALL) == 12 ? (int)strtol(text + 9, NULL, 10) : 0;
}

static int asks(void)
{
    char request[1024];
    int fd = dial(), status;
    (void)snprintf(request, sizeof request, "POST /nexo/ HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s",
                   strlen(diagnosis), diagnosis);
    (void)send(fd, request, strlen(request), MSG_NOSIGNAL);
    status = http_status(fd);
    (void)close(fd);
    return status;
}

/* Exit status 0: it went as the till's rules want it. */
typedef int program(void);

static int app(void)
{
    return asks() != 200;
}

static int another(void)
{
    return asks() != 403;
}

static int flood(void)
{
    for (int i = 0; i < FLOOD; i++)
        if (asks() != 403)
            return 1;
    return 0;
}

static int connections_without_end(void)
{
    int kept[FLOOD];
    for (int i = 0; i < FLOOD; i++)
        kept[i] = dial();
    for (int i = 0; i < FLOOD; i++)
        (void)close(kept[i]);
    for (int i = 0; i < FLOOD; i++) { /* the till has yet to see that they are gone */
        if (asks() == 200)
            return 0;
        (void)poll(NULL, 0, 5);
    }
    return 1;
}

static int header_without_end(void)
{
    static char line[HEADER_BYTES];
    static const char start[] = "GET /events HTTP/1.0\r\nX: ";
    int fd = dial(), status;
    memset(line, 'x', sizeof line);
    memcpy(line, start, sizeof start - 1);
    (void)send(fd, line, sizeof line, MSG_NOSIGNAL);
    status = http_status(fd);
    return status == 200 || asks() != 200;
}

static int body_without_end(void)
{
    static char body[4 * DP_TILL_BODY_MAX];
    char head[96];
    int fd = dial(), status;
    memset(body, ' ', sizeof body);
    memcpy(body, diagnosis, sizeof diagnosis - 1); /* in time, would be obeyed */
    (void)snprintf(head, sizeof head, "POST /nexo/ HTTP/1.0\r\nContent-Length: %zu\r\n\r\n",
                   sizeof body);
    (void)send(fd, head, strlen(head), MSG_NOSIGNAL);
    (void)send(fd, body, sizeof body, MSG_NOSIGNAL);
    status = http_status(fd);
    return status != 200 && status != 0 && status != 413;
}

static pid_t start(uid_t uid, program *what)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (setresuid(uid, uid, uid) != 0)
            _exit(98);
        _exit(what());
    }
    assert_true(pid > 0);
    return pid;
}

/* ---- here: the till ---- */

static int end_of(pid_t pid)
{
    int status = -1;
    for (int i = 0; i < ROUNDS_MAX * 10; i++) {
        struct pollfd p = {dp_till_fd(self.till), POLLIN, 0};
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
        (void)poll(&p, 1, 1);
        dp_till_run(self.till);
    }
    return -1;
}

static void only_the_app_is_served(void **state)
{
    (void)state;
    assert_int_equal(end_of(start(ANOTHER, another)), 0);
    assert_int_equal(end_of(start(NOBODY, another)), 0);
    assert_int_equal(self.asked, 0);
    assert_int_equal(end_of(start(APP, app)), 0);
    assert_int_equal(self.asked, 1);
}

static void flood_of_others_is_not_in_the_apps_way(void **state)
{
    pid_t pid;
    (void)state;
    pid = start(NOBODY, flood);
    assert_int_equal(end_of(start(APP, app)), 0);
    assert_int_equal(end_of(start(APP, app)), 0);
    assert_int_equal(end_of(pid), 0);
    assert_int_equal(self.asked, 2);
    assert_in_range(self.lines, 1, LINES_MAX); /* it is told of, and fills no disk */
}

static void whoever_may_connect_cannot_do_so_without_end(void **state)
{
    (void)state;
    assert_int_equal(end_of(start(APP, connections_without_end)), 0);
    assert_int_equal(self.asked, 1);
    assert_in_range(self.lines, 1, LINES_MAX);
}

static void what_is_too_long_is_neither_kept_nor_obeyed(void **state)
{
    (void)state;
    assert_int_equal(end_of(start(APP, body_without_end)), 0);
    assert_int_equal(self.asked, 0);
    assert_int_equal(end_of(start(APP, header_without_end)), 0);
    assert_int_equal(self.asked, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(only_the_app_is_served),
        TEST(flood_of_others_is_not_in_the_apps_way),
        TEST(whoever_may_connect_cannot_do_so_without_end),
        TEST(what_is_too_long_is_neither_kept_nor_obeyed),
    };
    if (getuid() != 0) { /* nobody else can be another user */
        (void)puts("1..0 # SKIP needs root, to be other users");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
