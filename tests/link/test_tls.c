/* SPDX-License-Identifier: Apache-2.0 */
/* The link against a real TLS server of another library. */
#include <doorpay/link.h>

#include <glob.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <psa/crypto.h>

#include "tests/link/server.h"

static struct pki pki;
static struct server server;
static struct dp_link *l;
static struct dp_link_config config;

/* What the link said. */
static struct {
    int up, down, connecting, signatures, frames, failed_sent, failed_unsent;
    uint32_t last_failed;
    enum dp_link_trouble trouble;
    char words[DP_LINK_WORDS];
    uint8_t frame[DP_LINK_FRAME_MAX];
    size_t frame_n;
    bool refuse, garbage, answers_back;
} said;

static void on_connecting(void *ctx)
{
    said.connecting++;
}

static int on_sign(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    said.signatures++;
    if (said.refuse)
        return DP_ERR_TOKEN;
    pki_sign(&pki, digest, signature);
    signature[40] ^= said.garbage ? 1 : 0;
    return DP_OK;
}

static void on_state(void *ctx, bool up, enum dp_link_trouble trouble, const char *words)
{
    said.up += up ? 1 : 0;
    said.down += up ? 0 : 1;
    said.trouble = trouble;
    (void)snprintf(said.words, sizeof said.words, "%s", words);
}

static void on_frame(void *ctx, const uint8_t *p, size_t n)
{
    said.frames++;
    memcpy(said.frame, p, n);
    said.frame_n = n;
    if (said.answers_back)
        assert_int_equal(dp_link_send(l, 55, p, n), DP_OK);
}

static void on_failed(void *ctx, uint32_t id, bool sent)
{
    said.last_failed = id;
    said.failed_sent += sent ? 1 : 0;
    said.failed_unsent += sent ? 0 : 1;
}

static int begin(void **state)
{
    memset(&said, 0, sizeof said);
    memset(&config, 0, sizeof config);
    config.host = "127.0.0.1";
    config.server_name = SERVER_NAME;
    config.ops = (struct dp_link_ops){NULL, on_connecting, on_sign, on_state, on_frame, on_failed};
    config.clock = dp_clock_system();
    config.random = dp_random_system();
    config.connect_ms = 5000;
    config.retry_first_ms = 20;
    config.retry_max_ms = 100;
    return 0;
}

static int end(void **state)
{
    dp_link_free(&l);
    server_stop(&server);
    if (pki.ca != NULL)
        pki_free(&pki);
    return 0;
}

static void start(enum behaviour behaviour, bool tls13)
{
    server_start(&server, &pki, behaviour, tls13);
    config.port = server.port;
    config.authority = (struct dp_bytes){(const uint8_t *)pki.ca_pem, strlen(pki.ca_pem)};
    config.certificate = (struct dp_bytes){(const uint8_t *)pki.client_pem, strlen(pki.client_pem)};
    memcpy(config.client_public, pki.client_public, sizeof config.client_public);
    assert_int_equal(dp_link_new(&config, &l), DP_OK);
}

static void usual(enum behaviour behaviour, bool tls13)
{
    pki_make(&pki, SERVER_NAME, -3600, 86400, false);
    start(behaviour, tls13);
}

static int64_t now_ms(void)
{
    return config.clock->mono_ms(config.clock->ctx);
}

/* Runs until *what reaches wanted; each turn must be short, whatever the server does. */
static void run_until(const int *what, int wanted)
{
    int64_t give_up = now_ms() + 10000;
    while (*what < wanted) {
        struct pollfd p = {dp_link_fd(l), dp_link_events(l), 0};
        int timeout = dp_link_timeout_ms(l);
        int64_t before;
        (void)poll(&p, 1, timeout < 0 || timeout > 50 ? 50 : timeout);
        before = now_ms();
        dp_link_run(l);
        assert_true(now_ms() - before < 150);
        if (now_ms() > give_up)
            fail_msg("nothing happened for 10 s; last: %s", said.words);
    }
}

static void send_and_get_back(size_t n)
{
    uint8_t p[DP_LINK_FRAME_MAX];
    int frames = said.frames;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 7 + n);
    assert_int_equal(dp_link_send(l, 1, p, n), DP_OK);
    run_until(&said.frames, frames + 1);
    assert_int_equal(said.frame_n, n);
    assert_memory_equal(said.frame, p, n);
}

static void assert_trouble(enum dp_link_trouble trouble, const char *words)
{
    run_until(&said.down, 1);
    if (said.trouble != trouble || strstr(said.words, words) == NULL)
        fail_msg("%s: \"%s\", wanted %s: \"%s\"", dp_link_trouble_name(said.trouble), said.words,
                 dp_link_trouble_name(trouble), words);
    assert_int_equal(said.frames, 0);
}

/* ---- it works ---- */

static void speaks_tls_1_3_with_a_key_that_is_elsewhere(void **state)
{
    usual(ECHO_FRAMES, true);
    assert_int_equal(dp_link_send(l, 1, (const uint8_t *)"x", 1), DP_ERR_UNREACHABLE);
    run_until(&said.up, 1);
    send_and_get_back(1);
    send_and_get_back(214);
    send_and_get_back(DP_LINK_FRAME_MAX);
    assert_int_equal(said.signatures, 1); /* one signature for one connection */
    assert_int_equal(said.connecting, 1);
    assert_int_equal(said.down, 0);
}

static void speaks_tls_1_2_with_a_key_that_is_elsewhere(void **state)
{
    usual(ECHO_FRAMES, false);
    run_until(&said.up, 1);
    send_and_get_back(214);
    assert_int_equal(said.signatures, 1);
}

static void a_server_with_an_rsa_key_is_fine_in_both_versions(void **state)
{
    for (int tls13 = 0; tls13 < 2; tls13++) {
        pki_make(&pki, SERVER_NAME, -3600, 86400, true);
        start(ECHO_FRAMES, tls13 == 1);
        run_until(&said.up, tls13 + 1);
        send_and_get_back(100);
        (void)end(NULL);
    }
}

static void the_pinned_key_is_accepted(void **state)
{
    pki_make(&pki, SERVER_NAME, -3600, 86400, false);
    config.has_pin = true;
    memcpy(config.pin, pki.server_pin, 32);
    start(ECHO_FRAMES, true);
    run_until(&said.up, 1);
}

static void only_1_2_can_be_wanted(void **state)
{
    pki_make(&pki, SERVER_NAME, -3600, 86400, false);
    config.only_tls12 = true;
    start(ECHO_FRAMES, true);
    assert_trouble(DP_LINK_HANDSHAKE, "refused");
}

/* ---- the server's certificate ---- */

static void a_server_of_another_authority_is_not_trusted(void **state)
{
    struct pki other;
    pki_make(&other, SERVER_NAME, -3600, 86400, false);
    pki_make(&pki, SERVER_NAME, -3600, 86400, false);
    X509_free(pki.server);
    EVP_PKEY_free(pki.server_key);
    pki.server = other.server;
    pki.server_key = other.server_key;
    other.server = NULL;
    other.server_key = NULL;
    pki_free(&other);
    start(ECHO_FRAMES, true);
    assert_trouble(DP_LINK_UNTRUSTED, "no authority we trust");
    assert_int_equal(said.signatures, 0);
}

static void a_server_of_another_name_is_refused(void **state)
{
    pki_make(&pki, "other.test", -3600, 86400, false);
    start(ECHO_FRAMES, false);
    assert_trouble(DP_LINK_WRONG_NAME, "another name");
    assert_int_equal(said.signatures, 0);
}

static void a_server_with_another_key_than_the_pinned_is_refused(void **state)
{
    pki_make(&pki, SERVER_NAME, -3600, 86400, false);
    config.has_pin = true;
    memcpy(config.pin, pki.server_pin, 32);
    config.pin[31] ^= 1;
    start(ECHO_FRAMES, true);
    assert_trouble(DP_LINK_WRONG_PIN, "pinned");
    assert_int_equal(said.signatures, 0);
}

static void an_expired_certificate_is_refused(void **state)
{
    pki_make(&pki, SERVER_NAME, -7200, -3600, false);
    start(ECHO_FRAMES, true);
    assert_trouble(DP_LINK_EXPIRED, "has expired");
}

static void a_certificate_of_the_future_is_refused(void **state)
{
    pki_make(&pki, SERVER_NAME, 3600, 86400, false);
    start(ECHO_FRAMES, true);
    assert_trouble(DP_LINK_EXPIRED, "not valid yet");
}

/* ---- our own ---- */

static void without_a_signature_there_is_no_connection(void **state)
{
    usual(ECHO_FRAMES, true);
    said.refuse = true;
    assert_trouble(DP_LINK_NOT_SIGNED, "did not sign");
    said.refuse = false;
    run_until(&said.up, 1);
}

static void a_wrong_signature_is_refused_by_the_server(void **state)
{
    usual(ECHO_FRAMES, false);
    said.garbage = true;
    assert_trouble(DP_LINK_HANDSHAKE, "may not accept our certificate");
    assert_int_equal(said.up, 0);
}

static void a_certificate_for_another_key_is_seen_at_once(void **state)
{
    usual(ECHO_FRAMES, true);
    dp_link_free(&l);
    config.client_public[64] ^= 1;
    assert_int_equal(dp_link_new(&config, &l), DP_ERR_MISMATCH);
    assert_null(l);
    config.client_public[64] ^= 1;
    config.authority.n = 40;
    assert_int_equal(dp_link_new(&config, &l), DP_ERR_FORMAT);
    config.authority.n = 0;
    assert_int_equal(dp_link_new(&config, &l), DP_ERR_FORMAT);
}

/* While a key is being changed the file has the certificate of another one too. */
static void of_two_certificates_the_one_for_the_key_is_shown(void **state)
{
    static char text[4 * 4096];
    struct pki other;
    pki_make(&other, SERVER_NAME, -3600, 86400, false);
    for (int order = 0; order < 3; order++) {
        pki_make(&pki, SERVER_NAME, -3600, 86400, false);
        (void)snprintf(text, sizeof text, "%s%s%s%s", order == 0 ? other.client_pem : "",
                       pki.client_pem, order == 2 ? pki.ca_pem : "",
                       order > 0 ? other.client_pem : "");
        server_start(&server, &pki, ECHO_FRAMES, order != 1);
        config.port = server.port;
        config.authority = (struct dp_bytes){(const uint8_t *)pki.ca_pem, strlen(pki.ca_pem)};
        config.certificate = (struct dp_bytes){(const uint8_t *)text, strlen(text)};
        memcpy(config.client_public, pki.client_public, sizeof config.client_public);
        assert_int_equal(dp_link_new(&config, &l), DP_OK);
        run_until(&said.up, order + 1);
        send_and_get_back(100);
        (void)end(NULL);
    }
    pki_free(&other);
}

static void several_links_sign_each_for_itself(void **state)
{
    struct dp_link *more[4] = {NULL};
    glob_t found;
    usual(ECHO_FRAMES, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(dp_link_new(&config, &more[i]), DP_OK);
    assert_int_equal(dp_link_new(&config, &more[3]), DP_ERR_LIMIT);
    dp_link_free(&more[1]);
    assert_int_equal(dp_link_new(&config, &more[1]), DP_OK);
    for (int i = 0; i < 3; i++)
        dp_link_free(&more[i]);
    run_until(&said.up, 1);
    assert_int_equal(glob("*.psa_its", 0, NULL, &found), GLOB_NOMATCH); /* nothing is written */
}

/* ---- the connection ---- */

static void nobody_there_is_said_with_host_and_port(void **state)
{
    usual(ECHO_FRAMES, true);
    server_stop(&server);
    assert_trouble(DP_LINK_CONNECT, "cannot connect to 127.0.0.1 port");
}

static void a_name_that_does_not_resolve_is_said(void **state)
{
    pki_make(&pki, SERVER_NAME, -3600, 86400, false);
    config.host = "127.0.0.999";
    start(ECHO_FRAMES, true);
    assert_trouble(DP_LINK_RESOLVE, "cannot resolve 127.0.0.999");
}

static void what_is_no_tls_is_said(void **state)
{
    usual(SPEAKS_HTTP, true);
    assert_trouble(DP_LINK_HANDSHAKE, "does not speak TLS");
}

static void a_server_that_does_not_shake_hands_times_out(void **state)
{
    config.connect_ms = 200;
    usual(NEVER_SHAKES_HANDS, true);
    assert_trouble(DP_LINK_TIMEOUT, "handshake in time");
}

static void a_slow_server_blocks_nobody(void **state)
{
    usual(SLOW, true);
    run_until(&said.up, 1);
    send_and_get_back(10);
}

static void frames_may_come_in_any_pieces(void **state)
{
    usual(ECHO_BYTE_BY_BYTE, true);
    run_until(&said.up, 1);
    send_and_get_back(300);
    send_and_get_back(2);
    (void)end(NULL);
    usual(TWO_IN_ONE, false);
    run_until(&said.up, 2);
    send_and_get_back(5);
    run_until(&said.frames, 4);
    assert_int_equal(said.frame_n, 5);
}

static void a_flood_is_taken_in_turns_and_none_is_left_lying(void **state)
{
    usual(MANY_AT_ONCE, true);
    run_until(&said.up, 1);
    assert_int_equal(dp_link_send(l, 1, (const uint8_t *)"x", 1), DP_OK);
    dp_link_run(l);           /* a quick server's first frames may come with it */
    (void)poll(NULL, 0, 300); /* all of it is here now */
    unsigned turns = said.frames > 0;
    for (; said.frames < 30 && turns < 10; turns++) {
        unsigned before = said.frames;
        dp_link_run(l);
        assert_in_range(said.frames - before, 1, 29);
        /* the rest is in TLS: no poll would tell */
        assert_int_equal(dp_link_timeout_ms(l), said.frames < 30 ? 0 : -1);
    }
    assert_int_equal(said.frames, 30);
    assert_true(turns >= 2);
}

static void a_server_that_closes_inside_a_frame_is_noticed(void **state)
{
    usual(CLOSE_IN_FRAME, true);
    run_until(&said.up, 1);
    assert_int_equal(dp_link_send(l, 77, (const uint8_t *)"0123456789", 10), DP_OK);
    assert_trouble(DP_LINK_CLOSED, "inside a frame");
    assert_int_equal(said.failed_sent, 1);
    assert_int_equal(said.failed_unsent, 0);
    assert_int_equal(said.last_failed, 77);
    run_until(&said.up, 2);
    send_and_get_back(20); /* the half frame is forgotten */
}

static void a_frame_that_is_too_long_or_empty_ends_the_connection(void **state)
{
    usual(SEND_TOO_LONG, true);
    run_until(&said.up, 1);
    assert_trouble(DP_LINK_FRAME, "empty or too long");
    (void)end(NULL);
    said.down = 0;
    usual(SEND_EMPTY, true);
    run_until(&said.up, 2);
    assert_trouble(DP_LINK_FRAME, "empty or too long");
}

static void a_message_that_was_only_queued_is_told_as_not_sent(void **state)
{
    usual(GOOD_AND_EMPTY, true);
    said.answers_back = true;
    run_until(&said.down, 1);
    assert_int_equal(said.trouble, DP_LINK_FRAME);
    assert_int_equal(said.failed_sent, 0);
    assert_int_equal(said.failed_unsent, 1);
    assert_int_equal(said.last_failed, 55);
}

static int drawn_159(void *ctx, uint8_t *out, size_t n)
{
    static const uint32_t value = 159;
    assert_int_equal(n, sizeof value);
    memcpy(out, &value, n);
    return DP_OK;
}

static void the_pause_doubles_up_to_its_most(void **state)
{
    static const struct dp_random fixed = {NULL, drawn_159};
    static const int pauses[] = {1 + 159 % 20, 1 + 159 % 40, 1 + 159 % 80, 1 + 159 % 100,
                                 1 + 159 % 100};
    config.random = &fixed;
    usual(ECHO_FRAMES, true);
    server_stop(&server);
    for (int i = 0; i < 5; i++) {
        run_until(&said.down, i + 1);
        assert_in_range(dp_link_timeout_ms(l), pauses[i] - 15, pauses[i]);
    }
    dp_link_kick(l);
    assert_int_equal(dp_link_timeout_ms(l), 0);
    run_until(&said.down, 6);
    assert_in_range(dp_link_timeout_ms(l), pauses[0] - 15, pauses[0]);
}

static void after_a_loss_it_comes_back(void **state)
{
    usual(CLOSE_FIRST, true);
    run_until(&said.down, 1);
    assert_int_equal(said.trouble, DP_LINK_CLOSED);
    run_until(&said.up, 2);
    send_and_get_back(10);
    assert_int_equal(said.signatures, 2);
    assert_int_equal(said.connecting, 2);
}

static void a_restarted_server_is_found_again(void **state)
{
    char port[8];
    usual(ECHO_FRAMES, true);
    run_until(&said.up, 1);
    (void)snprintf(port, sizeof port, "%s", server.port);
    server_stop(&server);
    run_until(&said.down, 3); /* the loss, and attempts that fail */
    assert_int_equal(said.trouble, DP_LINK_CONNECT);
    assert_true(dp_link_timeout_ms(l) <= 101);
}

static void messages_that_did_not_leave_are_told_apart(void **state)
{
    static const uint8_t big[DP_LINK_FRAME_MAX] = {1};
    uint32_t id = 0;
    usual(NO_READING, true);
    run_until(&said.up, 1);
    /* until the pipe is full and the queue too */
    for (int64_t give_up = now_ms() + 5000; now_ms() < give_up;) {
        if (dp_link_send(l, id + 1, big, sizeof big) == DP_OK)
            id++;
        else if (dp_link_events(l) & POLLOUT) {
            struct pollfd p = {dp_link_fd(l), POLLOUT, 0};
            if (poll(&p, 1, 50) == 0)
                break;
        }
        dp_link_run(l);
    }
    assert_int_equal(dp_link_send(l, 999999, big, sizeof big), DP_ERR_BUSY);
    server_stop(&server);
    run_until(&said.down, 1);
    assert_int_equal(said.failed_unsent, 3); /* all that waited but the one that was begun */
    assert_true(said.failed_sent >= 1);
    assert_int_equal(said.last_failed, id);
}

static void lengths_that_cannot_be_are_refused(void **state)
{
    static const uint8_t p[DP_LINK_FRAME_MAX + 1] = {0};
    usual(ECHO_FRAMES, true);
    run_until(&said.up, 1);
    assert_int_equal(dp_link_send(l, 1, p, 0), DP_ERR_RANGE);
    assert_int_equal(dp_link_send(l, 1, p, sizeof p), DP_ERR_RANGE);
}

#define UNIT(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(speaks_tls_1_3_with_a_key_that_is_elsewhere),
        UNIT(speaks_tls_1_2_with_a_key_that_is_elsewhere),
        UNIT(a_server_with_an_rsa_key_is_fine_in_both_versions),
        UNIT(the_pinned_key_is_accepted),
        UNIT(only_1_2_can_be_wanted),
        UNIT(a_server_of_another_authority_is_not_trusted),
        UNIT(a_server_of_another_name_is_refused),
        UNIT(a_server_with_another_key_than_the_pinned_is_refused),
        UNIT(an_expired_certificate_is_refused),
        UNIT(a_certificate_of_the_future_is_refused),
        UNIT(without_a_signature_there_is_no_connection),
        UNIT(a_wrong_signature_is_refused_by_the_server),
        UNIT(a_certificate_for_another_key_is_seen_at_once),
        UNIT(of_two_certificates_the_one_for_the_key_is_shown),
        UNIT(several_links_sign_each_for_itself),
        UNIT(nobody_there_is_said_with_host_and_port),
        UNIT(a_name_that_does_not_resolve_is_said),
        UNIT(what_is_no_tls_is_said),
        UNIT(a_server_that_does_not_shake_hands_times_out),
        UNIT(a_slow_server_blocks_nobody),
        UNIT(frames_may_come_in_any_pieces),
        UNIT(a_flood_is_taken_in_turns_and_none_is_left_lying),
        UNIT(a_server_that_closes_inside_a_frame_is_noticed),
        UNIT(a_frame_that_is_too_long_or_empty_ends_the_connection),
        UNIT(a_message_that_was_only_queued_is_told_as_not_sent),
        UNIT(the_pause_doubles_up_to_its_most),
        UNIT(after_a_loss_it_comes_back),
        UNIT(a_restarted_server_is_found_again),
        UNIT(messages_that_did_not_leave_are_told_apart),
        UNIT(lengths_that_cannot_be_are_refused),
    };
    assert_int_equal(psa_crypto_init(), 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
