/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorpayd-link: the TLS session to the acquirer. It carries bytes; it has no reader, no journal
 * and no MAC key, so it can drop or delay a message, and not forge one. The key of its certificate
 * is in the vault, which signs one digest for each connection announced.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/link.h>

#include <psa/crypto.h>

#include "base/log.h"
#include "base/secret.h"
#include "channel.h"
#include "process.h"

#define FILE_MAX_BYTES   65536
#define SIGN_PATIENCE_MS 5000
#define SET_UP_AGAIN_MS  30000 /* files that were missing or wrong are looked at again */

_Static_assert(DP_LINK_FRAME_MAX == DP_MSG_WIRE_MAX, "a frame fits a message of the table");

struct link_process {
    struct dp_channel vault;
    const char *host, *port, *ca_file, *cert_file;
    struct dp_msg_link_config config;
    bool configured, reconfigure;
    struct dp_link *link;
    int64_t set_up_at_ms;
    char last_words[DP_LINK_WORDS];
};

static struct link_process self;

static int64_t now_ms(void)
{
    const struct dp_clock *clock = dp_clock_system();
    return clock->mono_ms(clock->ctx);
}

static void tell(enum dp_msg_type type, const void *body)
{
    if (dp_channel_send(&self.vault, type, body) < 0)
        exit(0); /* the vault is gone; it knows from its journal what was under way */
}

static void tell_failed(uint32_t id, bool sent)
{
    struct dp_msg_link_failed failed = {id, sent};
    tell(DP_MSG_LINK_FAILED, &failed);
}

/* ---- what the vault says ---- */

static void take(enum dp_msg_type type, const union dp_msg_body *body)
{
    if (type == DP_MSG_LINK_CONFIG) {
        self.config = body->link_config;
        self.configured = self.reconfigure = true;
    } else if (type == DP_MSG_LINK_SEND) {
        if (self.link == NULL ||
            dp_link_send(self.link, body->wire.id, body->wire.bytes, body->wire.n) < 0)
            tell_failed(body->wire.id, false);
    }
    /* a SIGNATURE that nobody waits for any more is dropped */
}

/* Waits for one wanted message; what comes before it is taken. */
static int wait_for(enum dp_msg_type wanted, int timeout_ms, union dp_msg_body *body)
{
    int64_t until = now_ms() + timeout_ms;
    enum dp_msg_type type = DP_MSG_NONE;
    for (;;) {
        int64_t left = until - now_ms();
        int err = dp_channel_receive(&self.vault, left < 0 ? 0 : (int)left, &type, body, NULL);
        if (err == DP_ERR_GONE || err == DP_ERR_DENIED)
            exit(err == DP_ERR_GONE ? 0 : 1);
        if (err < 0 || type == wanted)
            return err;
        take(type, body);
        if (wanted == DP_MSG_NONE)
            return DP_OK;
    }
}

/* ---- what the link says ---- */

static void on_connecting(void *ctx)
{
    (void)ctx;
    tell(DP_MSG_LINK_CONNECTING, NULL);
}

static int on_sign(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    static union dp_msg_body body;
    struct dp_msg_digest m;
    int err;
    (void)ctx;
    while (wait_for(DP_MSG_NONE, 0, &body) == DP_OK) /* a late signature is for another digest */
        ;
    memcpy(m.digest, digest, sizeof m.digest);
    tell(DP_MSG_SIGN, &m);
    err = wait_for(DP_MSG_SIGNATURE, SIGN_PATIENCE_MS, &body);
    if (err == DP_OK && body.signature.ok == 0)
        err = DP_ERR_TOKEN;
    if (err == DP_OK)
        memcpy(signature, body.signature.signature, 64);
    return err;
}

static void on_state(void *ctx, bool up, enum dp_link_trouble trouble, const char *words)
{
    struct dp_msg_flag flag = {up};
    (void)ctx;
    tell(DP_MSG_LINK_STATE, &flag);
    if (up)
        dp_log(DP_LOG_INFO, "connected to %s port %s", self.host, self.port);
    else if (strcmp(words, self.last_words) != 0) /* the same again is said once */
        dp_log(DP_LOG_WARNING, "no connection (%s): %s", dp_link_trouble_name(trouble), words);
    (void)snprintf(self.last_words, sizeof self.last_words, "%s", words);
}

static void on_frame(void *ctx, const uint8_t *p, size_t n)
{
    static struct dp_msg_wire m;
    (void)ctx;
    memset(&m, 0, sizeof m);
    m.n = (uint32_t)n;
    memcpy(m.bytes, p, n);
    tell(DP_MSG_LINK_ANSWER, &m);
}

static void on_failed(void *ctx, uint32_t id, bool sent)
{
    (void)ctx;
    tell_failed(id, sent);
}

/* ---- setting up ---- */

static bool read_file(const char *path, uint8_t *out, size_t max, struct dp_bytes *b)
{
    FILE *f = fopen(path, "re");
    size_t n;
    if (f == NULL) {
        dp_log(DP_LOG_ERROR, "%s: %s", path, strerror(errno));
        return false;
    }
    n = fread(out, 1, max, f);
    (void)fclose(f);
    if (n == 0 || n == max) {
        dp_log(DP_LOG_ERROR, "%s: empty, or %zu bytes and more", path, max);
        return false;
    }
    *b = (struct dp_bytes){out, n};
    return true;
}

static void set_up(void)
{
    static uint8_t authority[FILE_MAX_BYTES], certificate[FILE_MAX_BYTES];
    struct dp_link_config c;
    int err = DP_OK;
    memset(&c, 0, sizeof c);
    dp_link_free(&self.link);
    self.reconfigure = false;
    self.set_up_at_ms = now_ms() + SET_UP_AGAIN_MS;
    c.host = self.host;
    c.port = self.port;
    c.server_name = self.config.server_name;
    c.has_pin = self.config.has_pin != 0;
    memcpy(c.pin, self.config.pin, sizeof c.pin);
    memcpy(c.client_public, self.config.client_public, sizeof c.client_public);
    c.ops = (struct dp_link_ops){NULL, on_connecting, on_sign, on_state, on_frame, on_failed};
    c.clock = dp_clock_system();
    c.random = dp_random_system();
    if (!read_file(self.ca_file, authority, sizeof authority, &c.authority) ||
        !read_file(self.cert_file, certificate, sizeof certificate, &c.certificate))
        return;
    err = dp_link_new(&c, &self.link);
    if (err < 0)
        dp_log(DP_LOG_ERROR, "no link can be made with %s and %s: %s", self.ca_file, self.cert_file,
               dp_strerr(err));
}

/* ---- the loop ---- */

static int wait_ms(void)
{
    int64_t wait;
    if (self.link != NULL)
        return dp_link_timeout_ms(self.link);
    if (!self.configured)
        return -1;
    wait = self.set_up_at_ms - now_ms();
    return wait < 0 ? 0 : (int)wait;
}

static void drain(void)
{
    static union dp_msg_body body;
    while (wait_for(DP_MSG_NONE, 0, &body) == DP_OK)
        ;
    dp_wipe(&body, sizeof body);
}

int main(int argc, char **argv)
{
    int term;
    dp_process_harden("doorpayd-link");
    if (!dp_process_started())
        return 2;
    dp_channel_init(&self.vault, DP_FD_CHANNEL, DP_ROLE_LINK, DP_ROLE_VAULT);
    self.host = dp_process_option(argc, argv, "host");
    self.port = dp_process_option(argc, argv, "port");
    self.ca_file = dp_process_option(argc, argv, "ca");
    self.cert_file = dp_process_option(argc, argv, "cert");
    term = dp_process_term_fd();
    if (self.host == NULL || self.port == NULL || self.ca_file == NULL || self.cert_file == NULL ||
        term < 0 || psa_crypto_init() != PSA_SUCCESS)
        return 1;
    for (;;) {
        struct pollfd fds[3] = {{self.vault.fd, POLLIN, 0}, {term, POLLIN, 0}, {-1, 0, 0}};
        if (self.link != NULL)
            fds[2] = (struct pollfd){dp_link_fd(self.link), dp_link_events(self.link), 0};
        (void)poll(fds, 3, wait_ms());
        if ((fds[1].revents & POLLIN) != 0)
            break;
        if ((fds[0].revents & (POLLIN | POLLHUP)) != 0)
            drain();
        if (self.reconfigure || (self.link == NULL && self.configured && wait_ms() == 0))
            set_up();
        if (self.link != NULL)
            dp_link_run(self.link);
    }
    dp_link_free(&self.link);
    return 0;
}
