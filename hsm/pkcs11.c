/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pkcs11:token=LABEL?module-path=FILE&pin-source=FILE, a PKCS #11 token. Keys are its objects,
 * sensitive and not extractable; DUKPT's registers too, derived in the token. PKCS #11 has nothing
 * that can only be extended, so there is no anchor. A counter is the highest of data objects that
 * the user cannot destroy, where the token has such; else it lies in the state, which one who has
 * the PIN can lower.
 */
#include <stdlib.h>
#include <string.h>

#include <psa/crypto.h>

#include "aes.h"
#include "backend.h"
#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/reader.h"
#include "base/writer.h"
#include "dukpt.h"
#include "p11.h"
#include "p256.h"
#include "pin_file.h"
#include "pkcs11_state.h"
#include "uri.h"

#define NONCE_BYTES   12
#define TAG_BYTES     16
#define STATES_MAX    4
#define EPOCHS_MAX    4
#define TLS_MAX       4
#define REGISTERS_MAX (4 * DUKPT_REGISTERS)
#define ID_DUKPT      12 /* initial key id, and the counter a register stands for */
#define KEYS          5  /* by enum dp_hsm_key, from 1 */

#define LABEL_STATE "doorpay state"
#define LABEL_COUNT "doorpay counter"
#define LABEL_EPOCH "doorpay journal-epoch"
#define LABEL_TLS   "doorpay tls-client"
#define LABEL_SIDE  "doorpay side-store"
#define LABEL_DUKPT "doorpay dukpt"

struct pkcs11 {
    struct dp_hsm hsm;
    struct hsm_ops ops; /* what this token can do */
    struct pin_file pin;
    struct p11 p;
    struct pkcs11_state state;
    CK_OBJECT_HANDLE state_object;
    CK_OBJECT_HANDLE keys[KEYS + 1]; /* private ones; 0: none */
    struct {
        uint32_t generation;
        CK_OBJECT_HANDLE key;
    } wraps[DP_HSM_WRAP_GENERATIONS_MAX]; /* ascending; the last is current */
    unsigned wraps_n;
    size_t counts_n; /* objects that say what was counted */
    CK_OBJECT_HANDLE registers[DUKPT_REGISTERS];
    uint8_t ksn[DP_KSN_BYTES];
    CK_OBJECT_HANDLE generate, verify; /* of the transaction in hand; 0: none */
    bool unknown;                      /* a change failed half way */
};

static const char *const labels[KEYS + 1] = {
    [DP_KEY_JOURNAL_IDENTITY] = "doorpay journal-identity",
    [DP_KEY_JOURNAL_EPOCH] = LABEL_EPOCH,
    [DP_KEY_TLS_CLIENT] = LABEL_TLS,
    [DP_KEY_CARD_DATA] = "doorpay card-data",
    [DP_KEY_TLS_NEXT] = LABEL_TLS,
};
static const enum dp_hsm_key lasting[] = {DP_KEY_JOURNAL_IDENTITY, DP_KEY_TLS_CLIENT,
                                          DP_KEY_CARD_DATA};

static struct pkcs11 *of(struct dp_hsm *hsm)
{
    struct pkcs11 *s = (struct pkcs11 *)hsm;
    DP_ASSERT(hsm->ops == &s->ops);
    return s;
}

static int usable(const struct pkcs11 *s)
{
    if (s->unknown) {
        dp_log(DP_LOG_ERROR, "PKCS #11 token: it failed in a change: open it anew");
        return DP_ERR_TOKEN;
    }
    return p11_usable(&s->p);
}

/* A change that failed may have been made or not; only opening it anew tells. */
static int changed(struct pkcs11 *s, int err)
{
    s->unknown = s->unknown || err < 0;
    return err;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static struct p11_name numbered(CK_OBJECT_CLASS class_, const char *label, uint32_t number)
{
    struct p11_name name = {.class_ = class_, .label = label, .id_n = 4};
    put_u32(name.id, number);
    return name;
}

/* Ids are numbers: of the epoch, of the TLS client key; those of the others are 1. */
static struct p11_name key_name(const struct pkcs11 *s, CK_OBJECT_CLASS class_, enum dp_hsm_key key)
{
    uint32_t number = 1;
    if (key == DP_KEY_JOURNAL_EPOCH)
        number = s->state.epoch_number;
    else if (key == DP_KEY_TLS_CLIENT)
        number = s->state.tls_number;
    else if (key == DP_KEY_TLS_NEXT)
        number = s->state.tls_number + 1;
    return numbered(class_, labels[key], number);
}

/* ---- the state ---- */

static const struct p11_name state_name = {.class_ = CKO_DATA, .label = LABEL_STATE};

/* The younger one is durable before the older one goes. */
static int commit(struct pkcs11 *s, const struct pkcs11_state *next)
{
    uint8_t bytes[PKCS11_STATE_BYTES_MAX];
    struct pkcs11_state young = *next;
    CK_OBJECT_HANDLE old = s->state_object;
    size_t n;
    int err;
    young.sequence++;
    n = pkcs11_state_encode(&young, bytes);
    err = p11_make_data(&s->p, &state_name, (struct dp_bytes){bytes, n}, false, &s->state_object);
    if (err == DP_OK)
        s->state = young;
    if (err == DP_OK && old != CK_INVALID_HANDLE)
        err = p11_destroy(&s->p, old);
    return changed(s, err);
}

static int read_state(struct pkcs11 *s, CK_OBJECT_HANDLE object, struct pkcs11_state *out)
{
    uint8_t bytes[PKCS11_STATE_BYTES_MAX];
    size_t n = 0;
    int err = p11_value(&s->p, object, CKA_VALUE, bytes, sizeof bytes, &n);
    if (err == DP_OK)
        err = pkcs11_state_decode(bytes, n, out);
    if (err < 0)
        dp_log(DP_LOG_ERROR, "PKCS #11 token: its object \"" LABEL_STATE "\": %s", dp_strerr(err));
    return err;
}

/* The youngest; what a crash left of an older one is destroyed. */
static int load_state(struct pkcs11 *s, bool look)
{
    struct p11_object found[STATES_MAX];
    size_t n = 0;
    int err = p11_find(&s->p, &state_name, found, STATES_MAX, &n);
    for (size_t i = 0; i < n && err == DP_OK; i++) {
        struct pkcs11_state state;
        err = read_state(s, found[i].handle, &state);
        if (err == DP_OK && state.sequence > s->state.sequence) {
            s->state = state;
            s->state_object = found[i].handle;
        }
    }
    for (size_t i = 0; i < n && err == DP_OK && !look; i++)
        if (found[i].handle != s->state_object)
            err = p11_destroy(&s->p, found[i].handle);
    if (err == DP_OK && n == 0) {
        dp_log(DP_LOG_ERROR, "PKCS #11 token: it holds no doorpay keys yet");
        err = DP_ERR_NOT_FOUND;
    }
    return err;
}

/* ---- counters: what was counted stays ---- */

#define COUNT_BYTES 9 /* which u8, value u64 */

static const struct p11_name count_name = {.class_ = CKO_DATA, .label = LABEL_COUNT};

static int load_count(struct pkcs11 *s, CK_OBJECT_HANDLE object)
{
    uint8_t bytes[COUNT_BYTES];
    struct dp_reader r;
    uint64_t value;
    uint8_t which;
    size_t n = 0;
    int err = p11_value(&s->p, object, CKA_VALUE, bytes, sizeof bytes, &n);
    if (err < 0)
        return err;
    dp_reader_init(&r, bytes, n);
    which = dp_read_u8(&r);
    value = dp_read_u64(&r);
    err = dp_reader_finish(&r);
    if (err == DP_OK && (which < 1 || which > PKCS11_COUNTERS))
        err = DP_ERR_RANGE;
    if (err < 0)
        dp_log(DP_LOG_ERROR, "PKCS #11 token: an object \"" LABEL_COUNT "\": %s", dp_strerr(err));
    else if (value > s->state.counters[which - 1])
        s->state.counters[which - 1] = value;
    return err;
}

/* A state that says less was put back, or a crash came before it. */
static int load_counts(struct pkcs11 *s)
{
    struct p11_object *found = calloc(DP_HSM_P11_COUNTS_MAX, sizeof *found);
    size_t n = 0;
    int err = found != NULL ? p11_find(&s->p, &count_name, found, DP_HSM_P11_COUNTS_MAX, &n)
                            : DP_ERR_NOMEM;
    for (size_t i = 0; i < n && err == DP_OK; i++)
        err = load_count(s, found[i].handle);
    s->counts_n = n;
    free(found);
    return err;
}

static int count(struct pkcs11 *s, enum dp_hsm_counter which, uint64_t value)
{
    uint8_t bytes[COUNT_BYTES];
    CK_OBJECT_HANDLE made;
    struct dp_writer w;
    int err;
    if (s->counts_n == DP_HSM_P11_COUNTS_MAX)
        return DP_ERR_LIMIT;
    dp_writer_init(&w, bytes, sizeof bytes);
    dp_write_u8(&w, (uint8_t)which);
    dp_write_u64(&w, value);
    DP_ASSERT(w.err == DP_OK && w.n == sizeof bytes);
    err = p11_make_data(&s->p, &count_name, (struct dp_bytes){bytes, w.n}, true, &made);
    if (err == DP_ERR_UNSUPPORTED) {
        dp_log(DP_LOG_WARNING,
               "PKCS #11 token: it has no objects that stay: whoever has its PIN can "
               "lower its counters");
        return DP_OK;
    }
    if (err == DP_OK)
        s->counts_n++;
    return err;
}

/* ---- opening: what is there ---- */

static int destroy_epochs_but(struct pkcs11 *s, CK_OBJECT_CLASS class_, uint32_t number)
{
    const struct p11_name any = {.class_ = class_, .label = LABEL_EPOCH};
    struct p11_object found[EPOCHS_MAX];
    size_t n = 0;
    int err = p11_find(&s->p, &any, found, EPOCHS_MAX, &n);
    for (size_t i = 0; i < n && err == DP_OK; i++)
        if (number == 0 || found[i].id_n != 4 || get_u32(found[i].id) != number)
            err = p11_destroy(&s->p, found[i].handle);
    return err;
}

/* number 0: none is left */
static int keep_epoch(struct pkcs11 *s, uint32_t number)
{
    int err = destroy_epochs_but(s, CKO_PRIVATE_KEY, number);
    return err == DP_OK ? destroy_epochs_but(s, CKO_PUBLIC_KEY, number) : err;
}

static int find_key(struct pkcs11 *s, enum dp_hsm_key key)
{
    struct p11_name name = key_name(s, CKO_PRIVATE_KEY, key);
    s->keys[key] = CK_INVALID_HANDLE;
    return p11_find_one(&s->p, &name, &s->keys[key]);
}

static int destroy_old_tls(struct pkcs11 *s, CK_OBJECT_CLASS class_)
{
    const struct p11_name any = {.class_ = class_, .label = LABEL_TLS};
    struct p11_object found[TLS_MAX];
    size_t n = 0;
    int err = p11_find(&s->p, &any, found, TLS_MAX, &n);
    for (size_t i = 0; i < n && err == DP_OK; i++)
        if (found[i].id_n != 4 || get_u32(found[i].id) < s->state.tls_number)
            err = p11_destroy(&s->p, found[i].handle);
    return err;
}

/* The one in use and the one to come stay. */
static int keep_tls(struct pkcs11 *s)
{
    int err = destroy_old_tls(s, CKO_PRIVATE_KEY);
    return err == DP_OK ? destroy_old_tls(s, CKO_PUBLIC_KEY) : err;
}

static int load_keys(struct pkcs11 *s)
{
    int err = DP_OK;
    for (size_t i = 0; i < sizeof lasting / sizeof lasting[0] && err == DP_OK; i++) {
        err = find_key(s, lasting[i]);
        if (err == DP_ERR_NOT_FOUND) {
            dp_log(DP_LOG_ERROR, "PKCS #11 token: its key \"%s\" is missing", labels[lasting[i]]);
            err = DP_ERR_TAMPERED;
        }
    }
    if (err == DP_OK && s->state.epoch_number > 0)
        err = find_key(s, DP_KEY_JOURNAL_EPOCH);
    if (err == DP_OK || err == DP_ERR_NOT_FOUND)
        err = find_key(s, DP_KEY_TLS_NEXT);
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

static int load_wraps(struct pkcs11 *s)
{
    const struct p11_name any = {.class_ = CKO_SECRET_KEY, .label = LABEL_SIDE};
    struct p11_object found[DP_HSM_WRAP_GENERATIONS_MAX];
    size_t n = 0;
    int err = p11_find(&s->p, &any, found, DP_HSM_WRAP_GENERATIONS_MAX, &n);
    for (size_t i = 0; i < n && err == DP_OK; i++) {
        uint32_t g = found[i].id_n == 4 ? get_u32(found[i].id) : 0;
        unsigned at = s->wraps_n;
        if (g == 0)
            return DP_ERR_TAMPERED;
        for (; at > 0 && s->wraps[at - 1].generation > g; at--)
            s->wraps[at] = s->wraps[at - 1];
        s->wraps[at].generation = g;
        s->wraps[at].key = found[i].handle;
        s->wraps_n++;
    }
    return err == DP_OK && n == 0 ? DP_ERR_TAMPERED : err;
}

/* Registers that the counter does not have are what a crash left: of a key used up, or one not yet
 * begun. */
static int load_registers(struct pkcs11 *s, bool look)
{
    const struct p11_name any = {.class_ = CKO_SECRET_KEY, .label = LABEL_DUKPT};
    const uint32_t in_use =
        s->state.dukpt_loaded ? dukpt_registers_in_use(s->state.dukpt_counter) : 0;
    struct p11_object found[REGISTERS_MAX];
    uint32_t have = 0;
    size_t n = 0;
    int err = p11_find(&s->p, &any, found, REGISTERS_MAX, &n);
    for (size_t i = 0; i < n && err == DP_OK; i++) {
        uint32_t counter = found[i].id_n == ID_DUKPT ? get_u32(found[i].id + 8) : 0;
        int bit = counter != 0 ? dukpt_lowest_bit(counter) : 0;
        uint32_t above = bit < 31 ? s->state.dukpt_counter >> (bit + 1) << (bit + 1) : 0;
        if (counter != 0 && (in_use & 1U << bit) != 0 && counter == (above | 1U << bit) &&
            memcmp(found[i].id, s->state.dukpt_id, 8) == 0 && (have & 1U << bit) == 0) {
            s->registers[bit] = found[i].handle;
            have |= 1U << bit;
        } else if (!look) {
            err = p11_destroy(&s->p, found[i].handle);
        }
    }
    if (err == DP_OK && have != in_use) {
        dp_log(DP_LOG_ERROR, "PKCS #11 token: DUKPT registers are missing");
        err = DP_ERR_TAMPERED;
    }
    return err;
}

static int load(struct pkcs11 *s, bool look)
{
    int err = load_state(s, look);
    if (err == DP_OK)
        err = load_counts(s);
    if (err == DP_OK && !look)
        err = keep_epoch(s, s->state.epoch_number);
    if (err == DP_OK && !look)
        err = keep_tls(s);
    if (err == DP_OK)
        err = load_keys(s);
    if (err == DP_OK && s->ops.wrap != NULL)
        err = load_wraps(s);
    if (err == DP_OK && s->ops.dukpt_mac != NULL)
        err = load_registers(s, look);
    return err;
}

/* ---- opening: the token ---- */

static const char *const attributes[] = {"token", "serial", "module-path", "pin-source", NULL};

static void pkcs11_free(struct dp_hsm *hsm)
{
    struct pkcs11 *s = of(hsm);
    p11_close(&s->p);
    pin_file_close(&s->pin);
    free(s);
}

static int parse(const char *where, struct hsm_uri *u)
{
    const char *what = NULL;
    int err = hsm_uri_parse(where, attributes, u, &what);
    if (err == DP_OK &&
        (hsm_uri_path(u, "module-path") == NULL || hsm_uri_path(u, "pin-source") == NULL ||
         (hsm_uri_get(u, "token") == NULL && hsm_uri_get(u, "serial") == NULL))) {
        what = "token= or serial=, and in the query module-path= and pin-source= with absolute "
               "paths are wanted";
        err = DP_ERR_ARG;
    }
    if (err < 0)
        dp_log(DP_LOG_ERROR, "pkcs11: the URI: %s", what);
    return err;
}

/* What the token has no mechanism for, this handle has no function for. */
static void leave_out(struct pkcs11 *s)
{
    const struct p11 *p = &s->p;
    if (!p11_can(p, CKM_ECDH1_DERIVE))
        s->ops.ecdh = NULL;
    if (!p11_can(p, CKM_AES_GCM) || !p11_can(p, CKM_AES_KEY_GEN)) {
        s->ops.wrap_generation = s->ops.wrap_rotate = NULL;
        s->ops.wrap = NULL;
        s->ops.unwrap = NULL;
        s->ops.wrap_destroy = NULL;
    }
    if (!p11_can(p, CKM_AES_ECB_ENCRYPT_DATA) || !p11_can(p, CKM_AES_CMAC)) {
        s->ops.dukpt_load = NULL;
        s->ops.dukpt_next = NULL;
        s->ops.dukpt_mac = NULL;
        s->ops.dukpt_check = NULL;
    }
}

static int attach(const char *where, bool look, struct pkcs11 **out)
{
    struct hsm_uri u;
    struct pkcs11 *s;
    int err = parse(where, &u);
    if (err < 0)
        return err;
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return DP_ERR_NOMEM;
    s->ops = hsm_pkcs11_ops;
    s->hsm.ops = &s->ops;
    s->pin.fd = -1;
    err = pin_file_open(hsm_uri_path(&u, "pin-source"), !look, &s->pin);
    if (err == DP_OK)
        err = p11_open(hsm_uri_path(&u, "module-path"), hsm_uri_get(&u, "token"),
                       hsm_uri_get(&u, "serial"), (struct dp_bytes){s->pin.secret.p, s->pin.n},
                       !look, &s->p);
    pin_file_forget(&s->pin);
    if (err == DP_OK) {
        leave_out(s);
        *out = s;
    } else {
        pkcs11_free(&s->hsm);
    }
    return err;
}

/* The store may be changed while it is looked at: then an object is gone, and all is read again. */
#define LOOKS_MAX 5

static int pkcs11_open(const char *where, bool look, struct dp_hsm **out)
{
    int err = DP_ERR_NOT_FOUND;
    for (int i = 0; i < (look ? LOOKS_MAX : 1); i++) {
        struct pkcs11 *s = NULL;
        err = attach(where, look, &s);
        if (err < 0)
            return err;
        err = load(s, look);
        if (err == DP_OK) {
            *out = &s->hsm;
            return DP_OK;
        }
        pkcs11_free(&s->hsm);
    }
    return err;
}

/* Anything of ours, whole or not, stays: keys are never overwritten. */
static int check_empty(struct pkcs11 *s)
{
    struct p11_object found[1];
    struct p11_name names[KEYS + 4] = {
        state_name,
        count_name,
        {.class_ = CKO_SECRET_KEY, .label = LABEL_SIDE},
        {.class_ = CKO_SECRET_KEY, .label = LABEL_DUKPT},
    };
    for (int k = 1; k <= KEYS; k++) /* two of one name */
        names[k + 3] = (struct p11_name){.class_ = CKO_PRIVATE_KEY, .label = labels[k]};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t n = 0;
        int err = p11_find(&s->p, &names[i], found, 1, &n);
        if (err < 0 && err != DP_ERR_LIMIT)
            return err;
        if (n > 0) {
            dp_log(DP_LOG_ERROR, "PKCS #11 token: it holds doorpay keys already (\"%s\")",
                   names[i].label);
            return DP_ERR_STATE;
        }
    }
    return DP_OK;
}

static int make_keys(struct pkcs11 *s)
{
    const struct p11_name side = numbered(CKO_SECRET_KEY, LABEL_SIDE, 1);
    CK_OBJECT_HANDLE made;
    int err = DP_OK;
    for (size_t i = 0; i < sizeof lasting / sizeof lasting[0] && err == DP_OK; i++) {
        const struct p11_name name = key_name(s, CKO_PRIVATE_KEY, lasting[i]);
        err = p11_make_pair(&s->p, &name, lasting[i] == DP_KEY_CARD_DATA);
    }
    if (err == DP_OK && s->ops.wrap != NULL)
        err = p11_make_aes(&s->p, &side, &made);
    return err;
}

static int pkcs11_provision(const char *where)
{
    struct pkcs11 *s = NULL;
    int err = attach(where, false, &s);
    if (err < 0)
        return err;
    s->state.tls_number = 1;
    err = check_empty(s);
    if (err == DP_OK)
        err = make_keys(s);
    if (err == DP_OK) /* last: with it the token is provisioned */
        err = commit(s, &s->state);
    pkcs11_free(&s->hsm);
    return err;
}

/* ---- keys ---- */

/* A point comes as it is, or in a DER octet string. */
static int take_point(const uint8_t *p, size_t n, uint8_t out[65])
{
    if (n == 67 && p[0] == 0x04 && p[1] == 65) {
        p += 2;
        n -= 2;
    }
    if (n != 65 || p[0] != 4)
        return DP_ERR_TOKEN;
    memcpy(out, p, 65);
    return DP_OK;
}

static int pkcs11_public(struct dp_hsm *hsm, enum dp_hsm_key key, uint8_t out[65])
{
    struct pkcs11 *s = of(hsm);
    const struct p11_name name = key_name(s, CKO_PUBLIC_KEY, key);
    CK_OBJECT_HANDLE object;
    uint8_t point[80];
    size_t n = 0;
    int err = usable(s);
    if (err == DP_OK && s->keys[key] == CK_INVALID_HANDLE)
        err = DP_ERR_NOT_FOUND;
    if (err == DP_OK)
        err = p11_find_one(&s->p, &name, &object);
    if (err == DP_OK)
        err = p11_value(&s->p, object, CKA_EC_POINT, point, sizeof point, &n);
    return err == DP_OK ? take_point(point, n, out) : err;
}

static int pkcs11_sign(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t digest[32],
                       uint8_t signature[64])
{
    struct pkcs11 *s = of(hsm);
    int err = usable(s);
    DP_ASSERT(key != DP_KEY_CARD_DATA);
    if (err == DP_OK && s->keys[key] == CK_INVALID_HANDLE)
        err = DP_ERR_NOT_FOUND;
    return err == DP_OK ? p11_sign(&s->p, s->keys[key], CKM_ECDSA, digest, signature, 64) : err;
}

static int pkcs11_ecdh(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t peer[65],
                       uint8_t shared[32])
{
    struct pkcs11 *s = of(hsm);
    int err = usable(s);
    if (err == DP_OK && !p256_is_point(peer))
        err = DP_ERR_FORMAT;
    return err == DP_OK ? p11_ecdh(&s->p, s->keys[key], peer, shared) : err;
}

static int pkcs11_epoch_new(struct dp_hsm *hsm, uint32_t *number)
{
    struct pkcs11 *s = of(hsm);
    struct pkcs11_state next = s->state;
    struct p11_name name;
    int err = usable(s);
    if (err == DP_OK && next.epoch_number == UINT32_MAX)
        err = DP_ERR_LIMIT;
    if (err < 0)
        return err;
    next.epoch_number++;
    name = numbered(CKO_PRIVATE_KEY, LABEL_EPOCH, next.epoch_number);
    err = changed(s, p11_make_pair(&s->p, &name, false));
    if (err == DP_OK)
        err = commit(s, &next);
    if (err == DP_OK)
        err = changed(s, keep_epoch(s, s->state.epoch_number));
    if (err == DP_OK)
        err = changed(s, find_key(s, DP_KEY_JOURNAL_EPOCH));
    if (err == DP_OK)
        *number = s->state.epoch_number;
    return err;
}

static int pkcs11_epoch_destroy(struct dp_hsm *hsm)
{
    struct pkcs11 *s = of(hsm);
    int err = usable(s);
    if (err == DP_OK && s->keys[DP_KEY_JOURNAL_EPOCH] == CK_INVALID_HANDLE)
        err = DP_ERR_NOT_FOUND;
    if (err < 0)
        return err;
    s->keys[DP_KEY_JOURNAL_EPOCH] = CK_INVALID_HANDLE;
    return changed(s, keep_epoch(s, 0));
}

/* ---- the TLS client key and the one that is to follow it ---- */

static int pkcs11_tls_next(struct dp_hsm *hsm)
{
    struct pkcs11 *s = of(hsm);
    struct p11_name name;
    int err = usable(s);
    if (err == DP_OK && s->keys[DP_KEY_TLS_NEXT] != CK_INVALID_HANDLE)
        err = DP_ERR_STATE;
    if (err == DP_OK && s->state.tls_number >= UINT32_MAX - 1)
        err = DP_ERR_LIMIT;
    if (err < 0)
        return err;
    name = key_name(s, CKO_PRIVATE_KEY, DP_KEY_TLS_NEXT);
    err = changed(s, p11_make_pair(&s->p, &name, false));
    return err == DP_OK ? changed(s, find_key(s, DP_KEY_TLS_NEXT)) : err;
}

static int pkcs11_tls_take(struct dp_hsm *hsm)
{
    struct pkcs11 *s = of(hsm);
    struct pkcs11_state next = s->state;
    int err = usable(s);
    if (err == DP_OK && s->keys[DP_KEY_TLS_NEXT] == CK_INVALID_HANDLE)
        err = DP_ERR_NOT_FOUND;
    if (err < 0)
        return err;
    next.tls_number++;
    err = commit(s, &next);
    if (err < 0)
        return err;
    s->keys[DP_KEY_TLS_CLIENT] = s->keys[DP_KEY_TLS_NEXT];
    s->keys[DP_KEY_TLS_NEXT] = CK_INVALID_HANDLE;
    return changed(s, keep_tls(s));
}

/* ---- counters ---- */

static int pkcs11_counter_read(struct dp_hsm *hsm, enum dp_hsm_counter which, uint64_t *value)
{
    const struct pkcs11 *s = of(hsm);
    int err = usable(s);
    if (err == DP_OK)
        *value = s->state.counters[which - 1];
    return err;
}

static int pkcs11_counter_raise(struct dp_hsm *hsm, enum dp_hsm_counter which, uint64_t value)
{
    struct pkcs11 *s = of(hsm);
    struct pkcs11_state next = s->state;
    int err = usable(s);
    if (err < 0)
        return err;
    if (value < next.counters[which - 1])
        return DP_ERR_ROLLBACK;
    if (value == next.counters[which - 1])
        return DP_OK;
    err = changed(s, count(s, which, value));
    next.counters[which - 1] = value;
    return err == DP_OK ? commit(s, &next) : err;
}

/* ---- side store ---- */

static int wrap_key(const struct pkcs11 *s, uint32_t generation, CK_OBJECT_HANDLE *key)
{
    int err = usable(s);
    if (err < 0)
        return err;
    for (unsigned i = 0; i < s->wraps_n; i++)
        if (s->wraps[i].generation == generation) {
            *key = s->wraps[i].key;
            return DP_OK;
        }
    return DP_ERR_NOT_FOUND;
}

static int pkcs11_wrap_generation(struct dp_hsm *hsm, uint32_t *generation)
{
    const struct pkcs11 *s = of(hsm);
    int err = usable(s);
    if (err == DP_OK)
        *generation = s->wraps[s->wraps_n - 1].generation;
    return err;
}

static int pkcs11_wrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad,
                       struct dp_bytes clear, uint8_t *out, size_t max, size_t *n)
{
    struct pkcs11 *s = of(hsm);
    CK_OBJECT_HANDLE key;
    int err = wrap_key(s, generation, &key);
    DP_ASSERT(max >= DP_HSM_WRAP_OVERHEAD && clear.n <= max - DP_HSM_WRAP_OVERHEAD);
    if (err == DP_OK && psa_generate_random(out, NONCE_BYTES) != PSA_SUCCESS)
        err = DP_ERR_RANDOM;
    if (err == DP_OK)
        err = p11_gcm(&s->p, key, false, out, aad, clear, out + NONCE_BYTES, clear.n + TAG_BYTES);
    if (err == DP_OK)
        *n = clear.n + DP_HSM_WRAP_OVERHEAD;
    return err;
}

static int pkcs11_unwrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad,
                         struct dp_bytes wrapped, uint8_t *out, size_t max, size_t *n)
{
    struct pkcs11 *s = of(hsm);
    const struct dp_bytes sealed = {wrapped.p + NONCE_BYTES, wrapped.n - NONCE_BYTES};
    const size_t clear_n = wrapped.n - DP_HSM_WRAP_OVERHEAD;
    CK_OBJECT_HANDLE key;
    int err = wrap_key(s, generation, &key);
    DP_ASSERT(clear_n <= max);
    if (err == DP_OK)
        err = p11_gcm(&s->p, key, true, wrapped.p, aad, sealed, out, clear_n);
    if (err == DP_OK)
        *n = clear_n;
    else if (err == DP_ERR_SIGNATURE)
        dp_wipe(out, clear_n);
    return err;
}

static int pkcs11_wrap_rotate(struct dp_hsm *hsm, uint32_t *generation)
{
    struct pkcs11 *s = of(hsm);
    struct p11_name name;
    uint32_t last;
    int err = usable(s);
    if (err < 0)
        return err;
    last = s->wraps[s->wraps_n - 1].generation;
    if (s->wraps_n == DP_HSM_WRAP_GENERATIONS_MAX || last == UINT32_MAX)
        return DP_ERR_LIMIT;
    name = numbered(CKO_SECRET_KEY, LABEL_SIDE, last + 1);
    err = changed(s, p11_make_aes(&s->p, &name, &s->wraps[s->wraps_n].key));
    if (err < 0)
        return err;
    s->wraps[s->wraps_n].generation = last + 1;
    s->wraps_n++;
    *generation = last + 1;
    return DP_OK;
}

static int pkcs11_wrap_destroy(struct dp_hsm *hsm, uint32_t generation)
{
    struct pkcs11 *s = of(hsm);
    CK_OBJECT_HANDLE key;
    unsigned at = 0;
    int err = wrap_key(s, generation, &key);
    if (err < 0)
        return err;
    if (s->wraps[s->wraps_n - 1].generation == generation)
        return DP_ERR_STATE;
    err = changed(s, p11_destroy(&s->p, key));
    if (err < 0)
        return err;
    while (s->wraps[at].generation != generation)
        at++;
    for (; at + 1 < s->wraps_n; at++)
        s->wraps[at] = s->wraps[at + 1];
    s->wraps_n--;
    return DP_OK;
}

/* ---- DUKPT ---- */

static struct p11_name register_name(const uint8_t id[8], uint32_t counter)
{
    struct p11_name name = {.class_ = CKO_SECRET_KEY, .label = LABEL_DUKPT, .id_n = ID_DUKPT};
    memcpy(name.id, id, 8);
    put_u32(name.id + 8, counter);
    return name;
}

/* The registers below bit `below`, from a key and the counter it stands for. */
static int fill(struct pkcs11 *s, CK_OBJECT_HANDLE from, const uint8_t id[8], uint32_t counter,
                int below, CK_OBJECT_HANDLE registers[DUKPT_REGISTERS])
{
    int err = DP_OK;
    for (int i = below - 1; i >= 0 && err == DP_OK; i--) {
        const struct p11_name name = register_name(id, counter | 1U << i);
        uint8_t data[16];
        dukpt_data(DUKPT_DERIVE, id, counter | 1U << i, data);
        err = p11_derive_aes(&s->p, from, data, &name, &registers[i]);
    }
    return err;
}

static int end_transaction(struct pkcs11 *s)
{
    int err = DP_OK;
    if (s->generate != CK_INVALID_HANDLE)
        err = p11_destroy(&s->p, s->generate);
    if (err == DP_OK && s->verify != CK_INVALID_HANDLE)
        err = p11_destroy(&s->p, s->verify);
    s->generate = s->verify = CK_INVALID_HANDLE;
    return err;
}

static int pkcs11_dukpt_load(struct dp_hsm *hsm, const uint8_t initial_key[16],
                             const uint8_t initial_key_id[8])
{
    struct pkcs11 *s = of(hsm);
    struct pkcs11_state next = s->state;
    CK_OBJECT_HANDLE ik, registers[DUKPT_REGISTERS] = {0};
    int err = usable(s);
    if (err < 0)
        return err;
    if (next.dukpt_loaded && memcmp(next.dukpt_id, initial_key_id, 8) == 0) {
        dp_log(DP_LOG_ERROR, "PKCS #11 token: it has had this initial key already");
        return DP_ERR_ROLLBACK;
    }
    err = p11_import_aes(&s->p, initial_key, &ik);
    if (err < 0)
        return err;
    err = changed(s, fill(s, ik, initial_key_id, 0, DUKPT_REGISTERS, registers));
    next.dukpt_loaded = true;
    memcpy(next.dukpt_id, initial_key_id, 8);
    next.dukpt_counter = 1;
    if (p11_destroy(&s->p, ik) < 0 && err == DP_OK)
        err = changed(s, DP_ERR_TOKEN);
    if (err == DP_OK)
        err = commit(s, &next);
    if (err == DP_OK)
        err = changed(s, load_registers(s, false)); /* those of the key before go */
    if (err == DP_OK)
        err = changed(s, end_transaction(s));
    return err;
}

static int derive_mac(struct pkcs11 *s, CK_OBJECT_HANDLE from, enum dukpt_usage usage,
                      CK_OBJECT_HANDLE *out)
{
    uint8_t data[16];
    dukpt_data(usage, s->state.dukpt_id, s->state.dukpt_counter, data);
    return p11_derive_aes(&s->p, from, data, NULL, out);
}

/* Its keys are made, then its use is durable, then the key they came from goes. */
static int use_register(struct pkcs11 *s, int low)
{
    const uint32_t counter = s->state.dukpt_counter;
    struct pkcs11_state next = s->state;
    const CK_OBJECT_HANDLE key = s->registers[low];
    int err = derive_mac(s, key, DUKPT_MAC_GENERATE, &s->generate);
    if (err == DP_OK)
        err = derive_mac(s, key, DUKPT_MAC_VERIFY, &s->verify);
    if (err == DP_OK && dukpt_fills(counter))
        err = changed(s, fill(s, key, s->state.dukpt_id, counter, low, s->registers));
    next.dukpt_counter = dukpt_counter_after(counter);
    if (err == DP_OK)
        err = commit(s, &next);
    if (err == DP_OK)
        err = changed(s, p11_destroy(&s->p, key));
    s->registers[low] = CK_INVALID_HANDLE;
    return changed(s, err);
}

static int pkcs11_dukpt_next(struct dp_hsm *hsm, uint8_t ksn[DP_KSN_BYTES])
{
    struct pkcs11 *s = of(hsm);
    uint32_t counter = s->state.dukpt_counter;
    int err = usable(s);
    if (err == DP_OK)
        err = changed(s, end_transaction(s));
    if (err == DP_OK && !s->state.dukpt_loaded)
        err = DP_ERR_NOT_FOUND;
    if (err == DP_OK && counter == 0)
        err = DP_ERR_LIMIT;
    if (err < 0)
        return err;
    err = use_register(s, dukpt_lowest_bit(counter));
    if (err < 0) {
        (void)end_transaction(s);
        return err;
    }
    memcpy(s->ksn, s->state.dukpt_id, 8);
    put_u32(s->ksn + 8, counter);
    memcpy(ksn, s->ksn, DP_KSN_BYTES);
    return DP_OK;
}

static int pkcs11_dukpt_mac(struct dp_hsm *hsm, const uint8_t ksn[DP_KSN_BYTES], bool answer,
                            const uint8_t digest[32], uint8_t mac[16])
{
    struct pkcs11 *s = of(hsm);
    CK_OBJECT_HANDLE key = answer ? s->verify : s->generate;
    int err = usable(s);
    if (err == DP_OK && (key == CK_INVALID_HANDLE || memcmp(s->ksn, ksn, DP_KSN_BYTES) != 0))
        err = DP_ERR_NOT_FOUND;
    return err == DP_OK ? p11_sign(&s->p, key, CKM_AES_CMAC, digest, mac, 16) : err;
}

/* A key of this session, derived and MACed with by the token, against the same in software. */
static int pkcs11_dukpt_check(struct dp_hsm *hsm)
{
    static const uint8_t key[16] = "doorpay selftest", id[8] = {0};
    struct pkcs11 *s = of(hsm);
    CK_OBJECT_HANDLE from = CK_INVALID_HANDLE, derived = CK_INVALID_HANDLE;
    uint8_t data[16], plain[16], digest[32] = {1}, want[16], mac[16];
    int err = usable(s);
    dukpt_data(DUKPT_MAC_GENERATE, id, 1, data);
    if (err == DP_OK)
        err = aes128_block(key, data, plain);
    if (err == DP_OK)
        err = aes128_cmac(plain, (struct dp_bytes){digest, sizeof digest}, want);
    if (err == DP_OK)
        err = p11_import_aes(&s->p, key, &from);
    if (err == DP_OK)
        err = p11_derive_aes(&s->p, from, data, NULL, &derived);
    if (err == DP_OK)
        err = p11_sign(&s->p, derived, CKM_AES_CMAC, digest, mac, sizeof mac);
    if (err == DP_OK && memcmp(mac, want, sizeof mac) != 0)
        err = DP_ERR_SIGNATURE;
    if (derived != CK_INVALID_HANDLE)
        (void)!p11_destroy(&s->p, derived);
    if (from != CK_INVALID_HANDLE)
        (void)!p11_destroy(&s->p, from);
    return err;
}

const struct hsm_ops hsm_pkcs11_ops = {
    .scheme = "pkcs11",
    .open = pkcs11_open,
    .provision = pkcs11_provision,
    .free = pkcs11_free,
    .public_key = pkcs11_public,
    .sign = pkcs11_sign,
    .ecdh = pkcs11_ecdh,
    .epoch_new = pkcs11_epoch_new,
    .epoch_destroy = pkcs11_epoch_destroy,
    .tls_next = pkcs11_tls_next,
    .tls_take = pkcs11_tls_take,
    .counter_read = pkcs11_counter_read,
    .counter_raise = pkcs11_counter_raise,
    .wrap_generation = pkcs11_wrap_generation,
    .wrap = pkcs11_wrap,
    .unwrap = pkcs11_unwrap,
    .wrap_rotate = pkcs11_wrap_rotate,
    .wrap_destroy = pkcs11_wrap_destroy,
    .dukpt_load = pkcs11_dukpt_load,
    .dukpt_next = pkcs11_dukpt_next,
    .dukpt_mac = pkcs11_dukpt_mac,
    .dukpt_check = pkcs11_dukpt_check,
};
