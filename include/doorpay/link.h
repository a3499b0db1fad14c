/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to the acquirer: TLS 1.2 or 1.3 with a client certificate whose key is elsewhere,
 * frames of a u16 big-endian length and a message (docs/PROTOCOL.acquirer), reconnection with
 * back-off. It carries bytes and knows nothing of them. Nothing here blocks but the resolution of a
 * host's name and the caller's own sign().
 */
#ifndef DOORPAY_LINK_H
#define DOORPAY_LINK_H

#include <doorpay/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dp_link;

#define DP_LINK_FRAME_MAX 2048 /* bytes of one message, without its length */
#define DP_LINK_WORDS     160

/* Why there is no connection. */
enum dp_link_trouble {
    DP_LINK_FINE = 0,
    DP_LINK_RESOLVE,   /* the host's name cannot be resolved */
    DP_LINK_CONNECT,   /* no TCP connection */
    DP_LINK_UNTRUSTED, /* the server's certificate comes from no authority we trust */
    DP_LINK_EXPIRED,   /* or is not valid yet */
    DP_LINK_WRONG_NAME,
    DP_LINK_WRONG_PIN,  /* another key than the pinned one */
    DP_LINK_NOT_SIGNED, /* sign() failed: no client certificate without it */
    DP_LINK_HANDSHAKE,  /* any other failure of the handshake */
    DP_LINK_TIMEOUT,    /* connecting or the handshake took too long */
    DP_LINK_CLOSED,     /* the peer closed, or the connection broke */
    DP_LINK_FRAME       /* a frame that must not be: empty, or too long */
};

/* "certificate_untrusted"; never NULL. */
DP_PUBLIC const char *dp_link_trouble_name(enum dp_link_trouble trouble);

/* What the link tells its owner, from inside dp_link_run and dp_link_send. dp_link_send may be
 * called from them, dp_link_free not. */
struct dp_link_ops {
    void *ctx;
    /* A handshake begins that may want a signature. May be NULL. */
    void (*connecting)(void *ctx);
    /* ECDSA by the client key over a SHA-256 digest, raw r || s. Anything but DP_OK ends the
     * handshake. At most once between two calls of connecting. */
    int (*sign)(void *ctx, const uint8_t digest[32], uint8_t signature[64]);
    /* up false: trouble and words say why; said again for each failed attempt. */
    void (*state)(void *ctx, bool up, enum dp_link_trouble trouble, const char *words);
    /* One message of the server's; p is valid for the call. */
    void (*frame)(void *ctx, const uint8_t *p, size_t n);
    /* Message id did not get through: sent false: not one byte left; true: the connection broke
     * after it. The last few ids of a connection are named, answered or not. */
    void (*failed)(void *ctx, uint32_t id, bool sent);
};

struct dp_link_config {
    const char *host, *port;     /* copied */
    const char *server_name;     /* the name its certificate must bear; copied */
    struct dp_bytes authority;   /* PEM or DER, what the server's certificate must come from */
    struct dp_bytes certificate; /* PEM or DER, ours and what stands between it and its root; that
                                    of another key may stand before it or behind it */
    uint8_t client_public[65];   /* the key sign() uses; a certificate must be for it */
    bool has_pin;
    uint8_t pin[32]; /* SHA-256 of the server's SubjectPublicKeyInfo */
    struct dp_link_ops ops;
    const struct dp_clock *clock;          /* borrowed: monotonic time alone */
    const struct dp_random *random;        /* borrowed: jitter */
    uint32_t connect_ms;                   /* for TCP and handshake together; 0: 10 s */
    uint32_t retry_first_ms, retry_max_ms; /* 0: 500 ms, 60 s */
    bool only_tls12;                       /* for a server that fails at 1.3 */
};

/* psa_crypto_init must have been called. DP_ERR_FORMAT: a certificate cannot be read;
 * DP_ERR_MISMATCH: no client's certificate is for client_public; DP_ERR_LIMIT: more than four
 * links in one process. */
DP_PUBLIC DP_MUST_USE int dp_link_new(const struct dp_link_config *config, struct dp_link **out);
/* Closes; messages not sent are dropped without a word. */
DP_PUBLIC void dp_link_free(struct dp_link **link);

/* For the owner's poll: descriptor (-1: none), events wanted, and the longest wait. */
DP_PUBLIC int dp_link_fd(const struct dp_link *link);
DP_PUBLIC short dp_link_events(const struct dp_link *link);
DP_PUBLIC int dp_link_timeout_ms(const struct dp_link *link);
/* Does what can be done now: connects, goes on with the handshake, writes, reads. */
DP_PUBLIC void dp_link_run(struct dp_link *link);
DP_PUBLIC bool dp_link_is_up(const struct dp_link *link);
/* Tries at once instead of after the back-off. */
DP_PUBLIC void dp_link_kick(struct dp_link *link);

/* Takes a message to send. DP_ERR_UNREACHABLE: there is no connection; DP_ERR_BUSY: too many wait
 * already; DP_ERR_RANGE: 0 or more than DP_LINK_FRAME_MAX bytes. After DP_OK failed() tells when it
 * does not get through. */
DP_PUBLIC DP_MUST_USE int dp_link_send(struct dp_link *link, uint32_t id, const uint8_t *p,
                                       size_t n);

#ifdef __cplusplus
}
#endif
#endif
