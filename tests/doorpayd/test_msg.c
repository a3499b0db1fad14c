/* SPDX-License-Identifier: Apache-2.0 */
/* The table of messages, driven through real channels by a sender that keeps to nothing. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "doorpayd/channel.h"

#define ALL_OPEN UINT64_MAX

static int wire[2]; /* [0] the sender's end, [1] the receiver's */

static int set_up(void **state)
{
    (void)state;
    return dp_channel_pair(wire);
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(wire[0]);
    (void)close(wire[1]);
    return 0;
}

/* A body that passes the check of its type. */
static void honest(unsigned type, union dp_msg_body *b)
{
    memset(b, 0, sizeof *b);
    switch (type) {
    case DP_MSG_FORWARD:
        b->forward.command = DP_FORWARD_NOW;
        break;
    case DP_MSG_ACKNOWLEDGE:
        b->acknowledge.n = 1;
        break;
    case DP_MSG_CARD_UI:
        b->ui.ui = DP_EMV_UI_PROCESSING;
        break;
    case DP_MSG_LINK_SEND:
    case DP_MSG_LINK_ANSWER:
        b->wire.n = 1;
        break;
    case DP_MSG_PEER_NEW:
    case DP_MSG_PEER_BAD:
        b->peer.role = DP_ROLE_CARD;
        break;
    default:
        break;
    }
}

static void put(uint32_t type, uint32_t said, const void *body, size_t n)
{
    uint8_t packet[8 + sizeof(union dp_msg_body) + 64];
    memcpy(packet, &type, 4);
    memcpy(packet + 4, &said, 4);
    if (n > 0)
        memcpy(packet + 8, body, n);
    assert_int_equal(send(wire[0], packet, 8 + n, MSG_NOSIGNAL), 8 + (ssize_t)n);
}

static int get(struct dp_channel *c)
{
    enum dp_msg_type type = DP_MSG_NONE;
    union dp_msg_body body;
    return dp_channel_receive(c, 0, &type, &body, NULL);
}

static struct dp_channel receiver_of(unsigned type)
{
    const struct dp_msg_rule *rule = dp_msg_rule(type);
    struct dp_channel c;
    dp_channel_init(&c, wire[1], rule->to, rule->from);
    c.open = ALL_OPEN;
    return c;
}

static void each_type_passes_from_its_sender(void **state)
{
    (void)state;
    assert_null(dp_msg_rule(DP_MSG_NONE));
    assert_null(dp_msg_rule(DP_MSG_TYPES));
    for (unsigned type = 1; type < DP_MSG_TYPES; type++) {
        const struct dp_msg_rule *rule = dp_msg_rule(type);
        struct dp_channel c;
        union dp_msg_body b;
        assert_non_null(rule);
        assert_true(rule->from != rule->to && rule->size <= sizeof b);
        c = receiver_of(type);
        honest(type, &b);
        put(type, rule->size, &b, rule->size);
        assert_int_equal(get(&c), DP_OK);
    }
}

static void each_type_is_refused_from_any_other_sender(void **state)
{
    (void)state;
    for (unsigned type = 1; type < DP_MSG_TYPES; type++) {
        const struct dp_msg_rule *rule = dp_msg_rule(type);
        union dp_msg_body b;
        honest(type, &b);
        for (int from = 0; from < DP_ROLES; from++)
            for (int to = 0; to < DP_ROLES; to++) {
                struct dp_channel c;
                bool right = from == (int)rule->from && to == (int)rule->to;
                dp_channel_init(&c, wire[1], (enum dp_role)to, (enum dp_role)from);
                c.open = ALL_OPEN;
                put(type, rule->size, &b, rule->size);
                assert_int_equal(get(&c), right ? DP_OK : DP_ERR_DENIED);
            }
    }
}

static void each_type_is_refused_in_any_other_size(void **state)
{
    (void)state;
    for (unsigned type = 1; type < DP_MSG_TYPES; type++) {
        uint32_t size = dp_msg_rule(type)->size;
        struct dp_channel c = receiver_of(type);
        union dp_msg_body honest_body;
        uint8_t b[sizeof honest_body + 8] = {0};
        honest(type, &honest_body);
        memcpy(b, &honest_body, sizeof honest_body);
        put(type, size + 1, b, size); /* says more than it brings */
        assert_int_equal(get(&c), DP_ERR_DENIED);
        put(type, size, b, size + 1); /* brings more than it says */
        assert_int_equal(get(&c), DP_ERR_DENIED);
        if (size > 0) {
            put(type, size - 1, b, size - 1);
            assert_int_equal(get(&c), DP_ERR_DENIED);
            put(type, size, b, size - 1);
            assert_int_equal(get(&c), DP_ERR_DENIED);
        }
        put(type, size, b, sizeof b); /* more than any message */
        assert_int_equal(get(&c), DP_ERR_DENIED);
    }
}

static void unknown_types_and_fragments_are_refused(void **state)
{
    static const uint32_t types[] = {0, DP_MSG_TYPES, 63, 64, 0xFFFFFFFF};
    struct dp_channel c;
    (void)state;
    dp_channel_init(&c, wire[1], DP_ROLE_VAULT, DP_ROLE_CARD);
    c.open = ALL_OPEN;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        put(types[i], 0, NULL, 0);
        assert_int_equal(get(&c), DP_ERR_DENIED);
    }
    for (size_t n = 1; n < 8; n++) {
        assert_int_equal(send(wire[0], "\x19\0\0\0\0\0\0", n, 0), (ssize_t)n);
        assert_int_equal(get(&c), DP_ERR_DENIED);
    }
}

static void what_must_be_opened_is_refused_before_and_once_is_once(void **state)
{
    unsigned once = 0, open = 0;
    (void)state;
    for (unsigned type = 1; type < DP_MSG_TYPES; type++) {
        const struct dp_msg_rule *rule = dp_msg_rule(type);
        struct dp_channel c = receiver_of(type);
        union dp_msg_body b;
        if (rule->permit == DP_PERMIT_ALWAYS)
            continue;
        once += rule->permit == DP_PERMIT_ONCE;
        open += rule->permit == DP_PERMIT_OPEN;
        honest(type, &b);
        c.open = ALL_OPEN & ~(1ULL << type);
        put(type, rule->size, &b, rule->size);
        assert_int_equal(get(&c), DP_ERR_DENIED);
        c.open = 1ULL << type;
        put(type, rule->size, &b, rule->size);
        assert_int_equal(get(&c), DP_OK);
        put(type, rule->size, &b, rule->size);
        assert_int_equal(get(&c), rule->permit == DP_PERMIT_ONCE ? DP_ERR_DENIED : DP_OK);
    }
    assert_int_equal(once, 4); /* SEEN, ONLINE, ENDED, SIGN */
    assert_int_equal(open, 1); /* UI */
}

/* The vault's end of a channel to card or link: what it may hear after what it said. */
struct step {
    bool sent; /* by the vault; else heard */
    enum dp_msg_type type;
    int err;
};

static void walk(enum dp_role peer, const struct step *steps, size_t n)
{
    struct dp_channel c;
    union dp_msg_body b;
    dp_channel_init(&c, wire[1], DP_ROLE_VAULT, peer);
    for (size_t i = 0; i < n; i++) {
        uint32_t size = dp_msg_rule(steps[i].type)->size;
        honest(steps[i].type, &b);
        if (steps[i].sent) {
            assert_int_equal(dp_channel_send(&c, steps[i].type, &b), DP_OK);
        } else {
            put(steps[i].type, size, &b, size);
            assert_int_equal(get(&c), steps[i].err);
        }
    }
}

static void card_process_cannot_skip_or_repeat_a_step(void **state)
{
    static const struct step steps[] = {
        {false, DP_MSG_CARD_READY, DP_OK},
        {false, DP_MSG_CARD_SEEN, DP_ERR_DENIED}, /* no tap was ordered */
        {false, DP_MSG_CARD_ENDED, DP_ERR_DENIED},
        {true, DP_MSG_ORDER, 0},
        {false, DP_MSG_CARD_UI, DP_OK},
        {false, DP_MSG_CARD_ONLINE, DP_ERR_DENIED}, /* before policy has spoken */
        {false, DP_MSG_CARD_SEEN, DP_OK},
        {false, DP_MSG_CARD_SEEN, DP_ERR_DENIED},
        {false, DP_MSG_CARD_ONLINE, DP_ERR_DENIED},
        {true, DP_MSG_POLICY_ANSWER, 0},
        {false, DP_MSG_CARD_ONLINE, DP_OK},
        {false, DP_MSG_CARD_ONLINE, DP_ERR_DENIED},
        {true, DP_MSG_ONLINE_ANSWER, 0},
        {false, DP_MSG_CARD_ENDED, DP_OK},
        {false, DP_MSG_CARD_ENDED, DP_ERR_DENIED}, /* one outcome a tap */
        {false, DP_MSG_CARD_UI, DP_ERR_DENIED},
        {true, DP_MSG_ORDER, 0},
        {true, DP_MSG_POLICY_ANSWER, 0},
        {false, DP_MSG_CARD_ENDED, DP_OK},
        {true, DP_MSG_ORDER, 0},
        {false, DP_MSG_CARD_ONLINE, DP_ERR_DENIED}, /* the last tap's permission is gone */
    };
    (void)state;
    walk(DP_ROLE_CARD, steps, sizeof steps / sizeof steps[0]);
}

static void link_gets_one_signature_a_connection(void **state)
{
    static const struct step steps[] = {
        {false, DP_MSG_SIGN, DP_ERR_DENIED},
        {false, DP_MSG_LINK_CONNECTING, DP_OK},
        {false, DP_MSG_SIGN, DP_OK},
        {false, DP_MSG_SIGN, DP_ERR_DENIED},
        {false, DP_MSG_LINK_CONNECTING, DP_OK},
        {false, DP_MSG_LINK_STATE, DP_OK}, /* connected without it, or given up */
        {false, DP_MSG_SIGN, DP_ERR_DENIED},
        {false, DP_MSG_LINK_ANSWER, DP_OK},
        {false, DP_MSG_PAY, DP_ERR_DENIED},
    };
    (void)state;
    walk(DP_ROLE_LINK, steps, sizeof steps / sizeof steps[0]);
}

static void bodies_of_garbage_are_refused(void **state)
{
    /* nothing in these could be wrong: a number, a digest */
    static const unsigned free_form[] = {DP_MSG_DIAGNOSE, DP_MSG_TOTALS, DP_MSG_SETTLE,
                                         DP_MSG_SIGN,     DP_MSG_CANCEL, DP_MSG_LINK_CONNECTING};
    (void)state;
    for (unsigned type = 1; type < DP_MSG_TYPES; type++) {
        uint32_t size = dp_msg_rule(type)->size;
        struct dp_channel c = receiver_of(type);
        union dp_msg_body b;
        bool any = false;
        for (size_t i = 0; i < sizeof free_form / sizeof free_form[0]; i++)
            any = any || free_form[i] == type;
        memset(&b, 0xFF, sizeof b);
        put(type, size, &b, size);
        assert_int_equal(get(&c), any ? DP_OK : DP_ERR_DENIED);
    }
}

static void each_bad_field_is_refused(void **state)
{
#define FIELD(type, field, fill)                                                                   \
    {                                                                                              \
        type, offsetof(union dp_msg_body, field), sizeof(((union dp_msg_body *)0)->field), fill    \
    }
    static const struct {
        unsigned type;
        size_t at, n;
        uint8_t fill;
    } cases[] = {
        FIELD(DP_MSG_PAY, pay.pay.sale_id, 'A'),
        FIELD(DP_MSG_PAY, pay.pay.parcel, 'A'),
        FIELD(DP_MSG_PAY, pay.pay.agent, 'A'),
        FIELD(DP_MSG_PAY, pay.pay.amount.minor, 0xFF),
        FIELD(DP_MSG_PAY, pay.pay.amount.exponent, 5),
        FIELD(DP_MSG_PAY, pay.pay.offline, 2),
        FIELD(DP_MSG_PAY, pay.pay.aid_n, 17),
        FIELD(DP_MSG_PAY, pay.pay.ask_choice, 2),
        FIELD(DP_MSG_REVERSE, reverse.reverse.amount, 0xFF),
        FIELD(DP_MSG_REVERSE, reverse.reverse.service_id, 'A'),
        FIELD(DP_MSG_STATUS, status.query.by_tx, 2),
        FIELD(DP_MSG_ABORT, abort.service_id, 'A'),
        FIELD(DP_MSG_FORWARD, forward.command, 0),
        FIELD(DP_MSG_RESULT, result.result.reversed, 2),
        FIELD(DP_MSG_RESULT, result.result.aid_n, 17),
        FIELD(DP_MSG_RESULT, result.result.amount.exponent, 5),
        FIELD(DP_MSG_DIAGNOSIS, diagnosis.diagnosis.trouble, 'A'),
        FIELD(DP_MSG_EVENT, event.service_id, 'A'),
        FIELD(DP_MSG_AID, aid.partial, 2),
        FIELD(DP_MSG_AID, aid.ddol_n, 65),
        FIELD(DP_MSG_CA_KEY, ca_key.modulus_n, 1),
        FIELD(DP_MSG_ORDER, order.transaction.offline_allowed, 2),
        FIELD(DP_MSG_ORDER, order.interface, 3),
        FIELD(DP_MSG_ORDER, order.track2_online, 2),
        FIELD(DP_MSG_POLICY_ANSWER, policy_answer.offline_allowed, 2),
        FIELD(DP_MSG_ONLINE_ANSWER, online_answer.scripts_n, 0x7F),
        FIELD(DP_MSG_CARD_UI, ui.ui, 0),
        FIELD(DP_MSG_CARD_UI, ui.application, 'A'),
        FIELD(DP_MSG_CARD_UI, ui.offers_n, DP_EMV_OFFERS_MAX + 1),
        FIELD(DP_MSG_CARD_UI, ui.offers[5].aid_n, 17),
        FIELD(DP_MSG_CARD_UI, ui.offers[0].confirm, 2),
        FIELD(DP_MSG_EVENT, event.offers[1].label, 'A'),
        FIELD(DP_MSG_EVENT, event.languages, 'A'),
        FIELD(DP_MSG_CARD_SEEN, seen.bin8, '9'),
        FIELD(DP_MSG_CARD_SEEN, seen.summary.par, 'A'),
        FIELD(DP_MSG_CARD_ONLINE, online.emv_n, 0x7F),
        FIELD(DP_MSG_CARD_ONLINE, online.sealed.pan_n, 0x7F),
        FIELD(DP_MSG_CARD_ENDED, ended.words, 'A'),
        FIELD(DP_MSG_CARD_ENDED, ended.went_online, 2),
        FIELD(DP_MSG_CARD_ENDED, ended.emv_n, 0x7F),
        FIELD(DP_MSG_CARD_ENDED, ended.sealed.track2_n, 0x7F),
        FIELD(DP_MSG_CARD_ENDED, ended.outcome, 0x7F),
        FIELD(DP_MSG_LINK_CONFIG, link_config.server_name, 'A'),
        FIELD(DP_MSG_LINK_ANSWER, wire.n, 0),
        FIELD(DP_MSG_LINK_SEND, wire.n, 0x7F),
        FIELD(DP_MSG_LINK_STATE, flag.flag, 2),
        FIELD(DP_MSG_LINK_FAILED, link_failed.sent, 2),
        FIELD(DP_MSG_PEER_NEW, peer.role, 0x7F),
        FIELD(DP_MSG_VAULT_READY, ready.ok, 2),
    };
#undef FIELD
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t size = dp_msg_rule(cases[i].type)->size;
        struct dp_channel c = receiver_of(cases[i].type);
        union dp_msg_body b;
        honest(cases[i].type, &b);
        memset((uint8_t *)&b + cases[i].at, cases[i].fill, cases[i].n);
        put(cases[i].type, size, &b, size);
        if (get(&c) != DP_ERR_DENIED)
            fail_msg("case %zu (%s) is taken", i, dp_msg_rule(cases[i].type)->name);
    }
}

static size_t open_descriptors(void)
{
    size_t n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

/* CARD_READY with descriptors nobody wants. */
static void put_with_descriptors(size_t n)
{
    struct {
        uint32_t type, size, flag;
    } packet = {DP_MSG_CARD_READY, 4, 1};
    struct iovec part = {&packet, sizeof packet};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    struct cmsghdr *cm;
    memset(&control, 0, sizeof control);
    m.msg_control = control.bytes;
    m.msg_controllen = CMSG_SPACE(n * sizeof(int));
    cm = CMSG_FIRSTHDR(&m);
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(n * sizeof(int));
    for (size_t i = 0; i < n; i++)
        memcpy(CMSG_DATA(cm) + i * sizeof(int), &wire[0], sizeof(int));
    assert_int_equal(sendmsg(wire[0], &m, 0), (ssize_t)sizeof packet);
}

static void descriptors_nobody_asked_for_do_not_stay_open(void **state)
{
    size_t before = open_descriptors();
    struct dp_channel c;
    (void)state;
    dp_channel_init(&c, wire[1], DP_ROLE_VAULT, DP_ROLE_CARD);
    for (size_t n = 1; n <= 4; n++) {
        put_with_descriptors(n);
        (void)!get(&c);
        assert_int_equal(open_descriptors(), before);
    }
}

static void passed_channel_arrives(void **state)
{
    struct dp_channel from, to;
    struct dp_msg_peer peer = {DP_ROLE_LINK, 1};
    enum dp_msg_type type = DP_MSG_NONE;
    union dp_msg_body body;
    int fd = -1;
    (void)state;
    dp_channel_init(&from, wire[0], DP_ROLE_SUPERVISOR, DP_ROLE_VAULT);
    dp_channel_init(&to, wire[1], DP_ROLE_VAULT, DP_ROLE_SUPERVISOR);
    assert_int_equal(dp_channel_send_fd(&from, DP_MSG_PEER_NEW, &peer, STDIN_FILENO), DP_OK);
    assert_int_equal(dp_channel_receive(&to, 0, &type, &body, &fd), DP_OK);
    assert_int_equal(type, DP_MSG_PEER_NEW);
    assert_int_equal(body.peer.role, DP_ROLE_LINK);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    (void)close(fd);
}

static void closed_and_silent_peers_are_told_apart(void **state)
{
    struct dp_channel c;
    (void)state;
    dp_channel_init(&c, wire[1], DP_ROLE_VAULT, DP_ROLE_CARD);
    assert_int_equal(get(&c), DP_ERR_TIMEOUT);
    (void)close(wire[0]);
    wire[0] = -1;
    assert_int_equal(get(&c), DP_ERR_GONE);
    assert_int_equal(dp_channel_send(&c, DP_MSG_CANCEL, NULL), DP_ERR_GONE);
    dp_channel_close(&c);
    wire[1] = -1;
    assert_int_equal(get(&c), DP_ERR_GONE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_type_passes_from_its_sender),
        TEST(each_type_is_refused_from_any_other_sender),
        TEST(each_type_is_refused_in_any_other_size),
        TEST(unknown_types_and_fragments_are_refused),
        TEST(what_must_be_opened_is_refused_before_and_once_is_once),
        TEST(card_process_cannot_skip_or_repeat_a_step),
        TEST(link_gets_one_signature_a_connection),
        TEST(bodies_of_garbage_are_refused),
        TEST(each_bad_field_is_refused),
        TEST(descriptors_nobody_asked_for_do_not_stay_open),
        TEST(passed_channel_arrives),
        TEST(closed_and_silent_peers_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
