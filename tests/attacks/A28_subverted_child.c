/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A28: a subverted child. The test is the supervisor, the till, the card process and the link of a
 * real doorpayd-vault, and each of them speaks out of turn, in the wrong size, for another, twice,
 * or lies. The vault must refuse it, have the child ended, end the payment safely, and go on.
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/doorpayd/vault.h"

#define QUIET_MS    150
#define AMOUNT      2350
#define ONLINE_ONLY INT64_C(90000) /* over every ceiling without a link */
#define MESSAGE_MAX (8 + sizeof(union dp_msg_body))

static int set_up(void **state)
{
    (void)state;
    vault_start();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vault_remove();
    return 0;
}

/* ---- the vault's answer to an attack ---- */

/* It names the child to the vault.supervisor, and listens to it no more; the supervisor starts
 * another.
 */
static void assert_ended(enum dp_role role)
{
    struct pollfd p = {vault.peers[role].fd, POLLIN, 0};
    vault_receive(&vault.supervisor, DP_MSG_PEER_BAD);
    assert_int_equal(vault.body.peer.role, role);
    assert_int_equal(vault.body.peer.instance, vault.instances[role]);
    assert_int_equal(poll(&p, 1, VAULT_PATIENCE_MS), 1);
    assert_true((p.revents & POLLHUP) != 0);
    vault_peer(role);
}

static void assert_quiet(void)
{
    struct pollfd p = {vault.supervisor.fd, POLLIN, 0};
    assert_int_equal(poll(&p, 1, QUIET_MS), 0);
}

/* Past the table that the sender's own side of the channel holds too. */
static void raw(enum dp_role role, unsigned type, const void *what, size_t n)
{
    static uint8_t message[MESSAGE_MAX + 16];
    uint32_t header[2] = {type, (uint32_t)n};
    memcpy(message, header, sizeof header);
    memcpy(message + sizeof header, what, n);
    assert_int_equal(send(vault.peers[role].fd, message, sizeof header + n, MSG_NOSIGNAL),
                     sizeof header + n);
}

static void raw_rule(enum dp_role role, enum dp_msg_type type, const void *what)
{
    raw(role, type, what, dp_msg_rule(type)->size);
}

/* ---- out of turn ---- */

static void steps_out_of_turn_end_the_card_process(void **state)
{
    static struct dp_card_outcome outcome;
    static struct dp_card_seen first;
    static struct dp_card_online online;
    struct dp_card_ui ui = {.ui = DP_EMV_UI_PRESENT_CARD};
    struct vault_books b;
    (void)state;
    raw_rule(DP_ROLE_CARD, DP_MSG_CARD_UI, &ui); /* nobody asked it anything */
    assert_ended(DP_ROLE_CARD);
    memset(&vault.world.order, 0, sizeof vault.world.order);
    world_say_ended(&vault.world, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE, &outcome);
    raw_rule(DP_ROLE_CARD, DP_MSG_CARD_ENDED, &outcome);
    assert_ended(DP_ROLE_CARD);
    vault_pay(1, "S1", AMOUNT); /* asked for online before the second policy step */
    world_say_online(&vault.world, &online);
    raw_rule(DP_ROLE_CARD, DP_MSG_CARD_ONLINE, &online);
    assert_ended(DP_ROLE_CARD);
    vault_result(1, DP_PAY_DECLINED, DP_REASON_INTERRUPTED);
    vault_pay(2, "S2", AMOUNT); /* another card after the one that was judged */
    vault_seen();
    world_say_seen(&vault.world, &first);
    raw_rule(DP_ROLE_CARD, DP_MSG_CARD_SEEN, &first);
    assert_ended(DP_ROLE_CARD);
    vault_result(2, DP_PAY_DECLINED, DP_REASON_INTERRUPTED);
    vault_pays(3, "S3", AMOUNT); /* and a second end */
    raw_rule(DP_ROLE_CARD, DP_MSG_CARD_ENDED, &outcome);
    assert_ended(DP_ROLE_CARD);
    vault_pays(4, "S4", AMOUNT);
    vault_books(&b);
    assert_int_equal(b.intents, 4);
    assert_int_equal(b.outcomes, 4);
    assert_int_equal(b.approved, 2 * AMOUNT);
}

static void another_process_messages_end_whoever_sends_them(void **state)
{
    static struct dp_card_outcome outcome;
    static struct dp_msg_pay pay;
    struct dp_msg_peer peer = {DP_ROLE_CARD, 1};
    struct dp_msg_digest digest;
    struct dp_msg_flag up = {1};
    (void)state;
    memset(&digest, 0x11, sizeof digest);
    pay.pay = world_request("S1", AMOUNT);
    world_say_ended(&vault.world, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE, &outcome);
    raw_rule(DP_ROLE_LINK, DP_MSG_CARD_ENDED, &outcome);
    assert_ended(DP_ROLE_LINK);
    raw_rule(DP_ROLE_TILL, DP_MSG_CARD_ENDED, &outcome);
    assert_ended(DP_ROLE_TILL);
    raw_rule(DP_ROLE_CARD, DP_MSG_PAY, &pay);
    assert_ended(DP_ROLE_CARD);
    raw_rule(DP_ROLE_TILL, DP_MSG_LINK_STATE, &up);
    assert_ended(DP_ROLE_TILL);
    raw_rule(DP_ROLE_CARD, DP_MSG_PEER_NEW, &peer);
    assert_ended(DP_ROLE_CARD);
    raw_rule(DP_ROLE_LINK, DP_MSG_SIGN, &digest); /* no connection was announced */
    assert_ended(DP_ROLE_LINK);
    vault_hears(DP_ROLE_LINK, DP_MSG_LINK_CONNECTING, NULL);
    vault_hears(DP_ROLE_LINK, DP_MSG_SIGN, &digest);
    vault_receive(&vault.peers[DP_ROLE_LINK], DP_MSG_SIGNATURE);
    raw_rule(DP_ROLE_LINK, DP_MSG_SIGN, &digest); /* one connection, one digest */
    assert_ended(DP_ROLE_LINK);
    vault_pays(1, "S1", AMOUNT);
}

/* ---- out of form ---- */

static void messages_out_of_form_end_whoever_sends_them(void **state)
{
    static struct dp_card_outcome outcome;
    static struct dp_msg_wire wire;
    static uint8_t zeros[sizeof(union dp_msg_body)];
    struct dp_msg_flag two = {2};
    (void)state;
    raw(DP_ROLE_CARD, DP_MSG_TYPES, zeros, 4);
    assert_ended(DP_ROLE_CARD);
    raw(DP_ROLE_CARD, UINT32_MAX, zeros, 4);
    assert_ended(DP_ROLE_CARD);
    raw(DP_ROLE_CARD, DP_MSG_CARD_READY, zeros, 5);
    assert_ended(DP_ROLE_CARD);
    raw(DP_ROLE_CARD, DP_MSG_CARD_READY, zeros, 3);
    assert_ended(DP_ROLE_CARD);
    raw(DP_ROLE_LINK, DP_MSG_LINK_STATE, zeros, sizeof zeros);
    assert_ended(DP_ROLE_LINK);
    assert_int_equal(send(vault.peers[DP_ROLE_LINK].fd, zeros, 3, MSG_NOSIGNAL), 3);
    assert_ended(DP_ROLE_LINK);
    raw_rule(DP_ROLE_CARD, DP_MSG_CARD_READY, &two);
    assert_ended(DP_ROLE_CARD);
    wire.n = sizeof wire.bytes + 1;
    raw_rule(DP_ROLE_LINK, DP_MSG_LINK_ANSWER, &wire);
    assert_ended(DP_ROLE_LINK);
    vault_pay(1, "S1", AMOUNT);
    world_say_ended(&vault.world, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE, &outcome);
    outcome.emv_n = sizeof outcome.emv + 1;
    raw_rule(DP_ROLE_CARD, DP_MSG_CARD_ENDED, &outcome);
    assert_ended(DP_ROLE_CARD);
    vault_result(1, DP_PAY_DECLINED, DP_REASON_INTERRUPTED);
    vault_pays(2, "S2", AMOUNT);
}

static void texts_that_no_record_could_hold_never_reach_the_journal(void **state)
{
    static struct dp_msg_pay pay;
    (void)state;
    pay.request = 1;
    pay.pay = world_request("S1", AMOUNT);
    memset(pay.pay.sale_tx, 'x', sizeof pay.pay.sale_tx); /* has no end */
    raw_rule(DP_ROLE_TILL, DP_MSG_PAY, &pay);
    assert_ended(DP_ROLE_TILL);
    pay.pay = world_request("S1", AMOUNT);
    memcpy(pay.pay.sale_tx, "\xFF\xC0\x80", 4); /* is no text */
    raw_rule(DP_ROLE_TILL, DP_MSG_PAY, &pay);
    assert_ended(DP_ROLE_TILL);
    pay.pay = world_request("S1", AMOUNT);
    memcpy(pay.pay.service_id, "S\n1", 4);
    raw_rule(DP_ROLE_TILL, DP_MSG_PAY, &pay);
    assert_ended(DP_ROLE_TILL);
    vault_pays(2, "S2", AMOUNT);
}

/* An empty packet and a closed half look like an end; the process that sent them lives on. */
static void whoever_seems_gone_is_ended_too(void **state)
{
    (void)state;
    vault_pay(1, "S1", AMOUNT);
    assert_int_equal(send(vault.peers[DP_ROLE_CARD].fd, "", 0, MSG_NOSIGNAL), 0);
    assert_ended(DP_ROLE_CARD);
    vault_result(1, DP_PAY_DECLINED, DP_REASON_INTERRUPTED);
    assert_int_equal(shutdown(vault.peers[DP_ROLE_LINK].fd, SHUT_WR), 0);
    assert_ended(DP_ROLE_LINK);
    vault_pays(2, "S2", AMOUNT);
}

static void send_with_descriptor(enum dp_role role, int fd, const void *p, size_t n)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {(void *)(uintptr_t)p, n};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    struct cmsghdr *cm;
    memset(&control, 0, sizeof control);
    m.msg_control = control.bytes;
    m.msg_controllen = sizeof control.bytes;
    cm = CMSG_FIRSTHDR(&m);
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(cm), &fd, sizeof fd);
    assert_int_equal(sendmsg(vault.peers[role].fd, &m, MSG_NOSIGNAL), n);
}

/* A pipe says when its last writer is gone: the vault may not be one. */
static void assert_not_kept(enum dp_role role, const void *p, size_t n)
{
    struct pollfd reader = {-1, POLLIN, 0};
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    send_with_descriptor(role, fds[1], p, n);
    (void)close(fds[1]);
    reader.fd = fds[0];
    assert_int_equal(poll(&reader, 1, VAULT_PATIENCE_MS), 1);
    assert_true((reader.revents & POLLHUP) != 0);
    (void)close(fds[0]);
}

static void descriptors_thrown_at_the_vault_are_closed(void **state)
{
    uint32_t ready[3] = {DP_MSG_CARD_READY, sizeof(struct dp_msg_flag), 1};
    (void)state;
    assert_not_kept(DP_ROLE_CARD, ready, sizeof ready); /* with a message that carries none */
    assert_quiet();
    assert_not_kept(DP_ROLE_CARD, "", 0);
    assert_ended(DP_ROLE_CARD);
    vault_pays(1, "S1", AMOUNT);
}

/* ---- lies in good form ---- */

static void lies_of_the_card_process_approve_nothing(void **state)
{
    struct vault_books b;
    (void)state;
    vault_pay(1, "S1", AMOUNT); /* no second policy step */
    vault_ended(DP_EMV_APPROVED_OFFLINE);
    vault_result(1, DP_PAY_DECLINED, DP_REASON_INCONSISTENT);
    vault_pay(2, "S2", AMOUNT); /* nobody was asked */
    vault_seen();
    vault_ended(DP_EMV_APPROVED_ONLINE);
    vault_result(2, DP_PAY_DECLINED, DP_REASON_INCONSISTENT);
    vault_pay(3, "S3", AMOUNT);
    vault_seen();
    vault.world.authentication = DP_EMV_AUTH_DDA; /* whose cryptogram's kind is not signed */
    vault_ended(DP_EMV_APPROVED_OFFLINE);
    vault.world.authentication = DP_EMV_AUTH_CDA;
    vault_result(3, DP_PAY_DECLINED, DP_REASON_INCONSISTENT);
    vault_pay(4, "S4", AMOUNT);
    vault_seen();
    vault.world.emv_amount = 1;
    vault_ended(DP_EMV_APPROVED_OFFLINE);
    vault.world.emv_amount = 0;
    vault_result(4, DP_PAY_DECLINED, DP_REASON_INCONSISTENT);
    assert_quiet(); /* what is well formed does not end it: the next payment may be honest */
    vault_pays(5, "S5", AMOUNT);
    vault_books(&b);
    assert_int_equal(b.outcomes, 5);
    assert_int_equal(b.approved, AMOUNT);
}

static void an_approval_said_again_pays_nothing_else(void **state)
{
    static struct dp_card_outcome old;
    struct vault_books b;
    (void)state;
    vault_pay(1, "S1", AMOUNT);
    vault_seen();
    world_say_ended(&vault.world, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE, &old);
    vault_hears(DP_ROLE_CARD, DP_MSG_CARD_ENDED, &old);
    vault_result(1, DP_PAY_APPROVED, DP_REASON_NONE);
    vault_pay(2, "S2", AMOUNT); /* same amount, same day, same card */
    vault_seen();
    vault_hears(DP_ROLE_CARD, DP_MSG_CARD_ENDED, &old);
    vault_result(2, DP_PAY_DECLINED, DP_REASON_INCONSISTENT);
    vault_books(&b);
    assert_int_equal(b.approved, AMOUNT);
}

/* ---- the link ---- */

/* What the vault sends to the acquirer; what this would answer. */
static uint32_t carry(unsigned action, struct dp_msg_wire *answer)
{
    vault_receive(&vault.peers[DP_ROLE_LINK], DP_MSG_LINK_SEND);
    memcpy(vault.world.sent, vault.body.wire.bytes, vault.body.wire.n);
    vault.world.sent_n = vault.body.wire.n;
    memset(answer, 0, sizeof *answer);
    answer->n = (uint32_t)world_answer_bytes(&vault.world, action, answer->bytes);
    return vault.body.wire.id;
}

static void carry_honestly(unsigned action)
{
    static struct dp_msg_wire answer;
    (void)carry(action, &answer);
    vault_hears(DP_ROLE_LINK, DP_MSG_LINK_ANSWER, &answer);
}

/* The link is up, and the sign-on that the vault sends at once is answered. */
static void link_up(void)
{
    struct dp_msg_flag up = {1};
    vault_hears(DP_ROLE_LINK, DP_MSG_LINK_STATE, &up);
    carry_honestly(800);
}

static void answers_made_or_repeated_by_the_link_approve_nothing(void **state)
{
    static struct dp_msg_wire good, forged;
    struct dp_msg_link_failed failed = {0, 0};
    struct vault_books b;
    (void)state;
    link_up();
    vault_pay(1, "S1", ONLINE_ONLY);
    vault_seen();
    vault_wants_online();
    failed.id = carry(0, &good);
    forged = good;
    forged.bytes[forged.n - 1] ^= 1; /* the vault checks the MAC, whatever the link says */
    vault_hears(DP_ROLE_LINK, DP_MSG_LINK_ANSWER, &forged);
    forged = good;
    forged.bytes[forged.n / 2] ^= 1;
    vault_hears(DP_ROLE_LINK, DP_MSG_LINK_ANSWER, &forged);
    vault_hears(DP_ROLE_LINK, DP_MSG_LINK_FAILED, &failed); /* a lie: it was sent, and answered */
    vault_receive(&vault.peers[DP_ROLE_CARD], DP_MSG_ONLINE_ANSWER);
    assert_false(vault.body.online_answer.online);
    vault_hears(DP_ROLE_LINK, DP_MSG_LINK_ANSWER, &good); /* too late: it is being taken back */
    vault_ended(DP_EMV_APPROVED_ONLINE);
    vault_result(1, DP_PAY_DECLINED, DP_REASON_INCONSISTENT);
    carry_honestly(400); /* its reversal */
    vault_pay(2, "S2", ONLINE_ONLY);
    vault_seen();
    vault_wants_online();
    vault_receive(&vault.peers[DP_ROLE_LINK], DP_MSG_LINK_SEND);
    vault_hears(DP_ROLE_LINK, DP_MSG_LINK_ANSWER, &good); /* of another payment */
    vault_peer(DP_ROLE_LINK);                             /* it dies: there is no answer any more */
    vault_receive(&vault.peers[DP_ROLE_CARD], DP_MSG_ONLINE_ANSWER);
    assert_false(vault.body.online_answer.online);
    vault_ended(DP_EMV_DECLINED);
    vault_receive(&vault.peers[DP_ROLE_TILL], DP_MSG_RESULT);
    assert_int_equal(vault.body.result.result.state, DP_PAY_DECLINED);
    vault_books(&b);
    assert_int_equal(b.requested, 2);
    assert_int_equal(b.reversals, 2); /* both are taken back */
    assert_int_equal(b.approved, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(steps_out_of_turn_end_the_card_process),
        TEST(another_process_messages_end_whoever_sends_them),
        TEST(messages_out_of_form_end_whoever_sends_them),
        TEST(texts_that_no_record_could_hold_never_reach_the_journal),
        TEST(whoever_seems_gone_is_ended_too),
        TEST(descriptors_thrown_at_the_vault_are_closed),
        TEST(lies_of_the_card_process_approve_nothing),
        TEST(an_approval_said_again_pays_nothing_else),
        TEST(answers_made_or_repeated_by_the_link_approve_nothing),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
