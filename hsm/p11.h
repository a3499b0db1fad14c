/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session with a PKCS #11 token: its module loaded by path, and the few calls that the back end
 * is made of. Objects are known by class, label and id. Every failure is logged with the call and
 * the token's return value.
 */
#ifndef DP_HSM_P11_H
#define DP_HSM_P11_H

#include <doorpay/base.h>
#include <p11-kit/pkcs11.h>
#include <sys/types.h>

#define P11_ID_MAX 12

struct p11 {
    void *module;
    CK_FUNCTION_LIST_PTR f;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
    bool initialised, in_session;
    pid_t pid; /* a session is not inherited */
};

struct p11_name {
    CK_OBJECT_CLASS class_;
    const char *label;
    uint8_t id[P11_ID_MAX];
    size_t id_n; /* 0: any */
};

struct p11_object {
    CK_OBJECT_HANDLE handle;
    uint8_t id[P11_ID_MAX];
    size_t id_n;
};

/* token, serial: NULL: any; there must be one such token. DP_ERR_NOT_FOUND, DP_ERR_DUPLICATE;
 * DP_ERR_DENIED: the PIN is not taken. */
DP_MUST_USE int p11_open(const char *module, const char *token, const char *serial,
                         struct dp_bytes pin, bool write, struct p11 *out);
void p11_close(struct p11 *p);
/* DP_ERR_STATE in another process than the one that opened it. */
DP_MUST_USE int p11_usable(const struct p11 *p);
DP_MUST_USE bool p11_can(const struct p11 *p, CK_MECHANISM_TYPE mechanism);

/* DP_ERR_LIMIT: more than max. */
DP_MUST_USE int p11_find(const struct p11 *p, const struct p11_name *name,
                         struct p11_object *objects, size_t max, size_t *n);
/* The one object; DP_ERR_NOT_FOUND, DP_ERR_DUPLICATE. */
DP_MUST_USE int p11_find_one(const struct p11 *p, const struct p11_name *name,
                             CK_OBJECT_HANDLE *handle);
DP_MUST_USE int p11_value(const struct p11 *p, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                          uint8_t *out, size_t max, size_t *n);
DP_MUST_USE int p11_destroy(const struct p11 *p, CK_OBJECT_HANDLE object);

/* A P-256 pair in the token: private key sensitive, not extractable, for signing or for ECDH. */
DP_MUST_USE int p11_make_pair(const struct p11 *p, const struct p11_name *name, bool derive);
DP_MUST_USE int p11_sign(const struct p11 *p, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE mechanism,
                         const uint8_t digest[32], uint8_t *out, size_t out_n);
DP_MUST_USE int p11_ecdh(const struct p11 *p, CK_OBJECT_HANDLE key, const uint8_t peer[65],
                         uint8_t shared[32]);

/* An AES-256 key in the token for encryption and decryption. */
DP_MUST_USE int p11_make_aes(const struct p11 *p, const struct p11_name *name,
                             CK_OBJECT_HANDLE *key);
/* nonce: 12 bytes. out_n: what must come out, no more and no less. open: DP_ERR_SIGNATURE when it
 * was not sealed so. */
DP_MUST_USE int p11_gcm(const struct p11 *p, CK_OBJECT_HANDLE key, bool open, const uint8_t *nonce,
                        struct dp_bytes aad, struct dp_bytes in, uint8_t *out, size_t out_n);

/* An AES-128 key of this session, given in clear, to derive from. */
DP_MUST_USE int p11_import_aes(const struct p11 *p, const uint8_t key[16],
                               CK_OBJECT_HANDLE *handle);
/* Another AES-128 key: data under the deriving one. name NULL: of this session, to make CMACs with;
 * else in the token, to derive from. */
DP_MUST_USE int p11_derive_aes(const struct p11 *p, CK_OBJECT_HANDLE from, const uint8_t data[16],
                               const struct p11_name *name, CK_OBJECT_HANDLE *handle);

/* for_good: the user can neither change nor destroy it. DP_ERR_UNSUPPORTED: the token has no such
 * objects. */
DP_MUST_USE int p11_make_data(const struct p11 *p, const struct p11_name *name,
                              struct dp_bytes value, bool for_good, CK_OBJECT_HANDLE *handle);

#endif
