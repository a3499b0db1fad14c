/* SPDX-License-Identifier: Apache-2.0 */
/* doorpayd-link itself: the test is its vault, and a TLS server of another library the acquirer. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "doorpayd/channel.h"
#include "doorpayd/process.h"
#include "tests/link/server.h"

#define PATIENCE_MS 10000

static struct pki pki;
static struct server server;
static struct dp_channel channel;
static union dp_msg_body body;
static char dir[64], ca[96], cert[96];
static pid_t pid;

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int begin(void **state)
{
    (void)snprintf(dir, sizeof dir, "/tmp/dp-link.XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", dir);
    (void)snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    pki_make(&pki, SERVER_NAME, -3600, 86400, false);
    write_file(ca, pki.ca_pem);
    write_file(cert, pki.client_pem);
    return 0;
}

static int end(void **state)
{
    dp_channel_close(&channel);
    if (pid > 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        pid = 0;
    }
    server_stop(&server);
    pki_free(&pki);
    (void)unlink(ca);
    (void)unlink(cert);
    (void)rmdir(dir);
    return 0;
}

static void start(enum behaviour behaviour)
{
    static char path[512], host[] = "--host=127.0.0.1", port[32], ca_option[128], cert_option[128],
                           name[] = "doorpayd-link";
    char *argv[] = {name, host, port, ca_option, cert_option, NULL};
    int pair[2];
    server_start(&server, &pki, behaviour, true);
    (void)snprintf(path, sizeof path, "%s/src/doorpayd/doorpayd-link", getenv("DP_BUILD_ROOT"));
    (void)snprintf(port, sizeof port, "--port=%s", server.port);
    (void)snprintf(ca_option, sizeof ca_option, "--ca=%s", ca);
    (void)snprintf(cert_option, sizeof cert_option, "--cert=%s", cert);
    assert_int_equal(dp_channel_pair(pair), DP_OK);
    pid = dp_process_spawn(path, argv, &pair[1], 1);
    assert_true(pid > 0);
    (void)close(pair[1]);
    dp_channel_init(&channel, pair[0], DP_ROLE_VAULT, DP_ROLE_LINK);
}

static void configure(void)
{
    struct dp_msg_link_config c;
    memset(&c, 0, sizeof c);
    (void)snprintf(c.server_name, sizeof c.server_name, SERVER_NAME);
    c.has_pin = 1;
    memcpy(c.pin, pki.server_pin, sizeof c.pin);
    memcpy(c.client_public, pki.client_public, sizeof c.client_public);
    assert_int_equal(dp_channel_send(&channel, DP_MSG_LINK_CONFIG, &c), DP_OK);
}

static void expect(enum dp_msg_type wanted)
{
    enum dp_msg_type type = DP_MSG_NONE;
    int err = dp_channel_receive(&channel, PATIENCE_MS, &type, &body, NULL);
    if (err != DP_OK || type != wanted)
        fail_msg("%s (%s), wanted %s", err == DP_OK ? dp_msg_rule(type)->name : "nothing",
                 dp_strerr(err), dp_msg_rule(wanted)->name);
}

static void send_message(uint32_t id, const char *text)
{
    static struct dp_msg_wire m;
    memset(&m, 0, sizeof m);
    m.id = id;
    m.n = (uint32_t)strlen(text);
    memcpy(m.bytes, text, m.n);
    assert_int_equal(dp_channel_send(&channel, DP_MSG_LINK_SEND, &m), DP_OK);
}

/* body holds the SIGN. */
static void give_signature(bool ok)
{
    struct dp_msg_signature s;
    memset(&s, 0, sizeof s);
    s.ok = ok;
    if (ok)
        pki_sign(&pki, body.digest.digest, s.signature);
    assert_int_equal(dp_channel_send(&channel, DP_MSG_SIGNATURE, &s), DP_OK);
}

static void sign(bool ok)
{
    expect(DP_MSG_SIGN);
    give_signature(ok);
}

static void connect_once(void)
{
    expect(DP_MSG_LINK_CONNECTING);
    sign(true);
    expect(DP_MSG_LINK_STATE);
    assert_int_equal(body.flag.flag, 1);
}

static void expect_failed(uint32_t id, bool sent)
{
    expect(DP_MSG_LINK_FAILED);
    assert_int_equal(body.link_failed.id, id);
    assert_int_equal(body.link_failed.sent, sent);
}

static int exit_status(void)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- tests ---- */

static void carries_messages_once_the_vault_has_signed(void **state)
{
    start(ECHO_FRAMES);
    configure();
    connect_once();
    send_message(5, "a question");
    expect(DP_MSG_LINK_ANSWER);
    assert_int_equal(body.wire.id, 0);
    assert_int_equal(body.wire.n, 10);
    assert_memory_equal(body.wire.bytes, "a question", 10);
}

static void without_a_connection_not_one_byte_leaves(void **state)
{
    start(ECHO_FRAMES);
    send_message(5, "too early");
    expect_failed(5, false);
    configure();
    expect(DP_MSG_LINK_CONNECTING);
    expect(DP_MSG_SIGN);
    send_message(6, "in the handshake");
    give_signature(true);
    expect_failed(6, false);
    expect(DP_MSG_LINK_STATE);
    assert_int_equal(body.flag.flag, 1);
}

static void a_connection_that_breaks_after_a_message_is_told_and_made_again(void **state)
{
    start(CLOSE_IN_FRAME);
    configure();
    connect_once();
    send_message(7, "0123456789");
    expect(DP_MSG_LINK_STATE);
    assert_int_equal(body.flag.flag, 0);
    expect_failed(7, true);
    connect_once();
}

static void a_vault_that_does_not_sign_is_asked_again_later(void **state)
{
    start(ECHO_FRAMES);
    configure();
    expect(DP_MSG_LINK_CONNECTING);
    sign(false);
    expect(DP_MSG_LINK_STATE);
    assert_int_equal(body.flag.flag, 0);
    connect_once();
}

static void a_wrong_pin_never_gets_to_a_signature(void **state)
{
    pki.server_pin[0] ^= 1;
    start(ECHO_FRAMES);
    configure();
    expect(DP_MSG_LINK_CONNECTING);
    expect(DP_MSG_LINK_STATE);
    assert_int_equal(body.flag.flag, 0);
}

static void a_new_configuration_is_taken(void **state)
{
    start(ECHO_FRAMES);
    configure();
    connect_once();
    configure();
    connect_once();
    send_message(1, "x");
    expect(DP_MSG_LINK_ANSWER);
}

static void without_its_certificate_it_stays_and_says_no(void **state)
{
    assert_int_equal(unlink(cert), 0);
    start(ECHO_FRAMES);
    configure();
    send_message(9, "x");
    expect_failed(9, false);
}

static void it_ends_with_the_vault_and_when_it_is_told_to(void **state)
{
    start(ECHO_FRAMES);
    configure();
    connect_once();
    dp_channel_close(&channel);
    assert_int_equal(exit_status(), 0);
    server_stop(&server);
    start(ECHO_FRAMES);
    configure();
    connect_once();
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(exit_status(), 0);
}

#define UNIT(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(carries_messages_once_the_vault_has_signed),
        UNIT(without_a_connection_not_one_byte_leaves),
        UNIT(a_connection_that_breaks_after_a_message_is_told_and_made_again),
        UNIT(a_vault_that_does_not_sign_is_asked_again_later),
        UNIT(a_wrong_pin_never_gets_to_a_signature),
        UNIT(a_new_configuration_is_taken),
        UNIT(without_its_certificate_it_stays_and_says_no),
        UNIT(it_ends_with_the_vault_and_when_it_is_told_to),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
