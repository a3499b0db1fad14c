/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subverted process at the other end of a channel. Input: receiver, sender, then messages of
 * flags u8, type u8, n u16 (little-endian), n bytes; flag 1: the body is stretched with zeros to
 * the size that the type has, flag 2: everything is permitted before it. What passes is in its
 * bounds.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/reader.h"
#include "doorpayd/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool text(const char *s, size_t n)
{
    return memchr(s, '\0', n) != NULL;
}

static bool flag(const void *at)
{
    return *(const uint8_t *)at <= 1;
}

/* A record of the journal can hold it. */
static bool printable(const char *s, size_t n)
{
    for (size_t i = 0; i < n && s[i] != '\0'; i++)
        if (s[i] < ' ' || s[i] > '~')
            return false;
    return text(s, n);
}

/* What the receivers rely on without looking again. */
static void relied_upon(enum dp_msg_type type, const union dp_msg_body *b)
{
    if (type == DP_MSG_PAY)
        must(printable(b->pay.pay.parcel, sizeof b->pay.pay.parcel) &&
             printable(b->pay.pay.sale_tx, sizeof b->pay.pay.sale_tx) &&
             printable(b->pay.pay.service_id, sizeof b->pay.pay.service_id) &&
             b->pay.pay.amount.minor >= 0);
    if (type == DP_MSG_CARD_ENDED)
        must(b->ended.emv_n <= sizeof b->ended.emv && flag(&b->ended.went_online) &&
             text(b->ended.words, sizeof b->ended.words) &&
             b->ended.sealed.pan_n <= sizeof b->ended.sealed.pan &&
             b->ended.summary.aid_n <= sizeof b->ended.summary.aid);
    if (type == DP_MSG_CARD_ONLINE)
        must(b->online.emv_n <= sizeof b->online.emv &&
             b->online.sealed.track2_n <= sizeof b->online.sealed.track2);
    if (type == DP_MSG_LINK_ANSWER || type == DP_MSG_LINK_SEND)
        must(b->wire.n > 0 && b->wire.n <= sizeof b->wire.bytes);
    if (type == DP_MSG_PEER_BAD || type == DP_MSG_PEER_NEW)
        must(b->peer.role < DP_ROLES);
    if (type == DP_MSG_RESULT)
        must(flag(&b->result.result.reversed) && b->result.result.amount.exponent <= 4);
}

static void receive(struct dp_channel *c, size_t sent)
{
    union dp_msg_body body;
    enum dp_msg_type type = DP_MSG_NONE;
    uint64_t open = c->open;
    int err = dp_channel_receive(c, 0, &type, &body, NULL);
    if (err == DP_OK) {
        const struct dp_msg_rule *rule = dp_msg_rule(type);
        must(rule != NULL && rule->from == c->peer && rule->to == c->self);
        must(sent == 8 + rule->size && dp_msg_check(type, &body));
        must(rule->permit == DP_PERMIT_ALWAYS || (open & 1ULL << type) != 0);
        must(rule->permit != DP_PERMIT_ONCE || (c->open & 1ULL << type) == 0);
        relied_upon(type, &body);
    } else {
        must(err == DP_ERR_DENIED && c->open == open);
    }
}

static void one(struct dp_channel *c, int to, struct dp_reader *r)
{
    static uint8_t packet[8 + sizeof(union dp_msg_body) + 64];
    uint8_t flags = dp_read_u8(r);
    uint32_t type = dp_read_u8(r), said;
    size_t n = dp_read_u8(r);
    n |= (size_t)dp_read_u8(r) << 8;
    n = n > r->left ? r->left : n;
    n = n > sizeof packet - 8 ? sizeof packet - 8 : n;
    memset(packet, 0, sizeof packet);
    dp_read_copy(r, packet + 8, n);
    if ((flags & 1) != 0 && dp_msg_rule(type) != NULL)
        n = dp_msg_rule(type)->size;
    if ((flags & 2) != 0)
        c->open = UINT64_MAX;
    said = (uint32_t)n;
    memcpy(packet, &type, 4);
    memcpy(packet + 4, &said, 4);
    if (send(to, packet, 8 + n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)(8 + n))
        receive(c, 8 + n);
}

static void quiet(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dp_channel c;
    struct dp_reader r;
    enum dp_role self, peer;
    int fds[2];
    dp_log_set(quiet, NULL, DP_LOG_ERROR);
    dp_reader_init(&r, data, size);
    self = (enum dp_role)(dp_read_u8(&r) % DP_ROLES);
    peer = (enum dp_role)(dp_read_u8(&r) % DP_ROLES);
    must(dp_channel_pair(fds) == DP_OK);
    dp_channel_init(&c, fds[1], self, peer);
    for (int i = 0; i < 64 && r.left > 0; i++)
        one(&c, fds[0], &r);
    dp_channel_close(&c);
    (void)close(fds[0]);
    return 0;
}
