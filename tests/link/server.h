/* SPDX-License-Identifier: Apache-2.0 */
/* A real TLS server on loopback, by libssl, in a process of its own; and the certificates both
 * sides need. */
#ifndef DP_TESTS_LINK_SERVER_H
#define DP_TESTS_LINK_SERVER_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SERVER_NAME "acquirer.test"

enum behaviour {
    ECHO_FRAMES,
    ECHO_BYTE_BY_BYTE,
    CLOSE_IN_FRAME,     /* the first frame is answered by half a frame; later connections echo */
    GOOD_AND_EMPTY,     /* a frame, and one of no bytes, in one record */
    SEND_TOO_LONG,      /* a frame of 2,049 bytes */
    SEND_EMPTY,         /* a frame of no bytes */
    NEVER_SHAKES_HANDS, /* TCP is all there is */
    SLOW,               /* 200 ms before the handshake and before each answer */
    CLOSE_FIRST,        /* the first connection is closed after the handshake; later ones echo */
    SPEAKS_HTTP,
    MANY_AT_ONCE, /* the first frame is answered by 30, five to a record of 10,000 bytes */
    TWO_IN_ONE,   /* each frame comes back twice, in one record */
    NO_READING    /* never reads, so that the pipe fills */
};

struct pki {
    EVP_PKEY *ca_key, *server_key, *client_key;
    X509 *ca, *server, *client;
    char ca_pem[4096], client_pem[4096];
    uint8_t client_public[65], server_pin[32];
};

/* The server's certificate bears name, and is valid from and to these seconds from now. rsa: its
 * key. */
void pki_make(struct pki *k, const char *name, long from_s, long to_s, bool rsa);
void pki_free(struct pki *k);
/* ECDSA over a digest with the client's key, raw r || s. */
void pki_sign(const struct pki *k, const uint8_t digest[32], uint8_t signature[64]);

struct server {
    pid_t pid;
    char port[8];
};
/* tls13: 1.3 alone; else 1.2 alone. */
void server_start(struct server *s, const struct pki *k, enum behaviour behaviour, bool tls13);
void server_stop(struct server *s);

#endif
