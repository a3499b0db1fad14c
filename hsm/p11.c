/* SPDX-License-Identifier: Apache-2.0 */
#include "p11.h"

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/secret.h"

#define SLOTS_MAX       64
#define MECHANISMS_MAX  512
#define GCM_NONCE_BYTES 12
#define GCM_TAG_BYTES   16

#ifndef CKA_DESTROYABLE
#define CKA_DESTROYABLE 0x172UL /* PKCS #11 2.40, 4.4; older headers lack it */
#endif

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static int failed(const char *call, CK_RV rv)
{
    dp_log(DP_LOG_ERROR, "PKCS #11 token: %s: return value 0x%lx", call, rv);
    switch (rv) {
    case CKR_PIN_INCORRECT:
    case CKR_PIN_LOCKED:
    case CKR_PIN_EXPIRED:
    case CKR_PIN_LEN_RANGE:
    case CKR_PIN_INVALID:
    case CKR_USER_PIN_NOT_INITIALIZED:
        return DP_ERR_DENIED;
    case CKR_DEVICE_REMOVED:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_SESSION_CLOSED:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
        return DP_ERR_GONE;
    case CKR_DEVICE_MEMORY:
        return DP_ERR_FULL;
    case CKR_HOST_MEMORY:
        return DP_ERR_NOMEM;
    case CKR_MECHANISM_INVALID:
    case CKR_FUNCTION_NOT_SUPPORTED:
        return DP_ERR_UNSUPPORTED;
    case CKR_OBJECT_HANDLE_INVALID:
        return DP_ERR_NOT_FOUND;
    default:
        return DP_ERR_TOKEN;
    }
}

static int result(const char *call, CK_RV rv)
{
    return rv == CKR_OK ? DP_OK : failed(call, rv);
}

/* ---- module, token, session ---- */

static int load(const char *path, struct p11 *p)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    CK_C_GetFunctionList get;
    void *symbol;
    CK_RV rv;
    /* not unloaded: modules leave handlers for the process's end behind */
    p->module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    symbol = p->module != NULL ? dlsym(p->module, "C_GetFunctionList") : NULL;
    if (symbol == NULL) {
        dp_log(DP_LOG_ERROR, "PKCS #11 module %s: %s", path, dlerror());
        return DP_ERR_NOT_FOUND;
    }
    memcpy(&get, &symbol, sizeof get);
    rv = get(&p->f);
    if (rv != CKR_OK || p->f == NULL)
        return failed("C_GetFunctionList", rv);
    rv = p->f->C_Initialize(&args);
    p->initialised = rv == CKR_OK;
    return rv == CKR_CRYPTOKI_ALREADY_INITIALIZED ? DP_OK : result("C_Initialize", rv);
}

/* PKCS #11 pads with blanks. */
static bool is(const char *wanted, const CK_UTF8CHAR *padded, size_t n)
{
    size_t wanted_n;
    if (wanted == NULL)
        return true;
    wanted_n = strlen(wanted);
    if (wanted_n > n || memcmp(wanted, padded, wanted_n) != 0)
        return false;
    for (size_t i = wanted_n; i < n; i++)
        if (padded[i] != ' ' && padded[i] != '\0')
            return false;
    return true;
}

static int find_token(const char *token, const char *serial, struct p11 *p)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG n = SLOTS_MAX;
    unsigned found = 0;
    CK_RV rv = p->f->C_GetSlotList(CK_TRUE, slots, &n);
    if (rv != CKR_OK)
        return failed("C_GetSlotList", rv);
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;
        if (p->f->C_GetTokenInfo(slots[i], &info) != CKR_OK ||
            !is(token, info.label, sizeof info.label) ||
            !is(serial, info.serialNumber, sizeof info.serialNumber))
            continue;
        p->slot = slots[i];
        found++;
    }
    if (found != 1)
        dp_log(DP_LOG_ERROR, "PKCS #11: %u tokens are of the URI's label and serial", found);
    return found == 1 ? DP_OK : found == 0 ? DP_ERR_NOT_FOUND : DP_ERR_DUPLICATE;
}

static int login(struct dp_bytes pin, bool write, struct p11 *p)
{
    CK_UTF8CHAR copy[64];
    CK_RV rv = p->f->C_OpenSession(p->slot, CKF_SERIAL_SESSION | (write ? CKF_RW_SESSION : 0), NULL,
                                   NULL, &p->session);
    if (rv != CKR_OK)
        return failed("C_OpenSession", rv);
    p->in_session = true;
    if (pin.n > sizeof copy)
        return DP_ERR_ARG;
    memcpy(copy, pin.p, pin.n);
    rv = p->f->C_Login(p->session, CKU_USER, copy, pin.n);
    dp_wipe(copy, sizeof copy);
    return rv == CKR_USER_ALREADY_LOGGED_IN ? DP_OK : result("C_Login", rv);
}

int p11_open(const char *module, const char *token, const char *serial, struct dp_bytes pin,
             bool write, struct p11 *out)
{
    int err;
    memset(out, 0, sizeof *out);
    out->pid = getpid();
    err = load(module, out);
    if (err == DP_OK)
        err = find_token(token, serial, out);
    if (err == DP_OK)
        err = login(pin, write, out);
    if (err < 0)
        p11_close(out);
    return err;
}

void p11_close(struct p11 *p)
{
    if (p->f != NULL && p->pid == getpid()) {
        if (p->in_session)
            (void)p->f->C_CloseSession(p->session);
        if (p->initialised)
            (void)p->f->C_Finalize(NULL);
    }
    if (p->module != NULL)
        (void)dlclose(p->module);
    memset(p, 0, sizeof *p);
}

int p11_usable(const struct p11 *p)
{
    if (p->pid == getpid())
        return DP_OK;
    dp_log(DP_LOG_ERROR, "PKCS #11 token: it was opened by another process");
    return DP_ERR_STATE;
}

bool p11_can(const struct p11 *p, CK_MECHANISM_TYPE mechanism)
{
    CK_MECHANISM_INFO info;
    return p->f->C_GetMechanismInfo(p->slot, mechanism, &info) == CKR_OK;
}

/* ---- objects ---- */

static CK_ATTRIBUTE attribute(CK_ATTRIBUTE_TYPE type, void *value, size_t n)
{
    return (CK_ATTRIBUTE){type, value, n};
}

/* What the interface takes without const and does not change. */
static void *plain(const void *p)
{
    void *q;
    memcpy(&q, &p, sizeof q);
    return q;
}

/* Class, label and, where there is one, id. */
static CK_ULONG name_attributes(const struct p11_name *name, CK_ATTRIBUTE out[3])
{
    out[0] = attribute(CKA_CLASS, plain(&name->class_), sizeof name->class_);
    out[1] = attribute(CKA_LABEL, plain(name->label), strlen(name->label));
    out[2] = attribute(CKA_ID, plain(name->id), name->id_n);
    return name->id_n > 0 ? 3 : 2;
}

static int read_id(const struct p11 *p, struct p11_object *o, CK_OBJECT_CLASS class_)
{
    o->id_n = 0;
    return class_ == CKO_DATA ? DP_OK
                              : p11_value(p, o->handle, CKA_ID, o->id, sizeof o->id, &o->id_n);
}

int p11_find(const struct p11 *p, const struct p11_name *name, struct p11_object *objects,
             size_t max, size_t *n)
{
    CK_ATTRIBUTE template[3];
    CK_OBJECT_HANDLE handle;
    CK_ULONG got = 0;
    int err = DP_OK;
    CK_RV rv = p->f->C_FindObjectsInit(p->session, template, name_attributes(name, template));
    *n = 0;
    if (rv != CKR_OK)
        return failed("C_FindObjectsInit", rv);
    for (;;) {
        rv = p->f->C_FindObjects(p->session, &handle, 1, &got);
        if (rv != CKR_OK || got == 0)
            break;
        if (*n == max) {
            dp_log(DP_LOG_ERROR, "PKCS #11 token: more objects \"%s\" than there can be",
                   name->label);
            err = DP_ERR_LIMIT;
            break;
        }
        objects[(*n)++].handle = handle;
    }
    if (rv != CKR_OK)
        err = failed("C_FindObjects", rv);
    (void)p->f->C_FindObjectsFinal(p->session);
    for (size_t i = 0; i < *n && err == DP_OK; i++)
        err = read_id(p, &objects[i], name->class_);
    return err;
}

int p11_find_one(const struct p11 *p, const struct p11_name *name, CK_OBJECT_HANDLE *handle)
{
    struct p11_object found[2];
    size_t n = 0;
    int err = p11_find(p, name, found, 2, &n);
    if (err < 0)
        return err;
    if (n != 1)
        return n == 0 ? DP_ERR_NOT_FOUND : DP_ERR_DUPLICATE;
    *handle = found[0].handle;
    return DP_OK;
}

int p11_value(const struct p11 *p, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, uint8_t *out,
              size_t max, size_t *n)
{
    CK_ATTRIBUTE a = attribute(type, out, max);
    CK_RV rv = p->f->C_GetAttributeValue(p->session, object, &a, 1);
    *n = 0;
    if (rv != CKR_OK)
        return failed("C_GetAttributeValue", rv);
    if (a.ulValueLen > max)
        return failed("C_GetAttributeValue: length", a.ulValueLen);
    *n = a.ulValueLen;
    return DP_OK;
}

int p11_destroy(const struct p11 *p, CK_OBJECT_HANDLE object)
{
    return result("C_DestroyObject", p->f->C_DestroyObject(p->session, object));
}

/* What a token says that does not know CKA_DESTROYABLE, or has nothing that is not. */
static bool is_unknown(CK_RV rv)
{
    return rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_VALUE_INVALID ||
           rv == CKR_ATTRIBUTE_READ_ONLY || rv == CKR_TEMPLATE_INCONSISTENT;
}

int p11_make_data(const struct p11 *p, const struct p11_name *name, struct dp_bytes value,
                  bool for_good, CK_OBJECT_HANDLE *handle)
{
    static char application[] = "doorpay";
    CK_ATTRIBUTE t[10];
    CK_ULONG n = name_attributes(name, t);
    CK_RV rv;
    DP_ASSERT(name->class_ == CKO_DATA && name->id_n == 0);
    t[n++] = attribute(CKA_TOKEN, &yes, sizeof yes);
    t[n++] = attribute(CKA_PRIVATE, &yes, sizeof yes);
    t[n++] = attribute(CKA_APPLICATION, application, sizeof application - 1);
    t[n++] = attribute(CKA_VALUE, plain(value.p), value.n);
    if (for_good) {
        t[n++] = attribute(CKA_MODIFIABLE, &no, sizeof no);
        t[n++] = attribute(CKA_DESTROYABLE, &no, sizeof no);
    }
    rv = p->f->C_CreateObject(p->session, t, n, handle);
    return for_good && is_unknown(rv) ? DP_ERR_UNSUPPORTED : result("C_CreateObject", rv);
}

/* ---- elliptic curves ---- */

int p11_make_pair(const struct p11 *p, const struct p11_name *name, bool derive)
{
    /* the object identifier of P-256, in DER */
    static CK_BYTE curve[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
    CK_MECHANISM m = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_OBJECT_HANDLE public_, private_;
    CK_ATTRIBUTE_TYPE use = derive ? CKA_DERIVE : CKA_SIGN, other = derive ? CKA_SIGN : CKA_DERIVE;
    CK_ATTRIBUTE for_public[] = {
        attribute(CKA_TOKEN, &yes, sizeof yes),
        attribute(CKA_PRIVATE, &no, sizeof no),
        attribute(CKA_EC_PARAMS, curve, sizeof curve),
        attribute(CKA_LABEL, plain(name->label), strlen(name->label)),
        attribute(CKA_ID, plain(name->id), name->id_n),
    };
    CK_ATTRIBUTE for_private[] = {
        attribute(CKA_TOKEN, &yes, sizeof yes),
        attribute(CKA_PRIVATE, &yes, sizeof yes),
        attribute(CKA_SENSITIVE, &yes, sizeof yes),
        attribute(CKA_EXTRACTABLE, &no, sizeof no),
        attribute(use, &yes, sizeof yes),
        attribute(other, &no, sizeof no),
        attribute(CKA_LABEL, plain(name->label), strlen(name->label)),
        attribute(CKA_ID, plain(name->id), name->id_n),
    };
    DP_ASSERT(name->id_n > 0);
    return result("C_GenerateKeyPair",
                  p->f->C_GenerateKeyPair(p->session, &m, for_public,
                                          sizeof for_public / sizeof for_public[0], for_private,
                                          sizeof for_private / sizeof for_private[0], &public_,
                                          &private_));
}

int p11_sign(const struct p11 *p, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE mechanism,
             const uint8_t digest[32], uint8_t *out, size_t out_n)
{
    CK_MECHANISM m = {mechanism, NULL, 0};
    CK_ULONG n = out_n;
    CK_RV rv = p->f->C_SignInit(p->session, &m, key);
    if (rv != CKR_OK)
        return failed("C_SignInit", rv);
    rv = p->f->C_Sign(p->session, plain(digest), 32, out, &n);
    if (rv != CKR_OK)
        return failed("C_Sign", rv);
    return n == out_n ? DP_OK : failed("C_Sign: length", n);
}

int p11_ecdh(const struct p11 *p, CK_OBJECT_HANDLE key, const uint8_t peer[65], uint8_t shared[32])
{
    CK_ECDH1_DERIVE_PARAMS params = {.kdf = CKD_NULL};
    CK_MECHANISM m = {CKM_ECDH1_DERIVE, &params, sizeof params};
    CK_OBJECT_CLASS class_ = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_ULONG length = 32;
    CK_OBJECT_HANDLE secret;
    CK_ATTRIBUTE t[] = {
        attribute(CKA_CLASS, &class_, sizeof class_),
        attribute(CKA_KEY_TYPE, &type, sizeof type),
        attribute(CKA_VALUE_LEN, &length, sizeof length),
        attribute(CKA_TOKEN, &no, sizeof no),
        attribute(CKA_SENSITIVE, &no, sizeof no),
        attribute(CKA_EXTRACTABLE, &yes, sizeof yes),
    };
    size_t n = 0;
    int err;
    params.pPublicData = plain(peer);
    params.ulPublicDataLen = 65;
    err = result("C_DeriveKey",
                 p->f->C_DeriveKey(p->session, &m, key, t, sizeof t / sizeof t[0], &secret));
    if (err < 0)
        return err;
    err = p11_value(p, secret, CKA_VALUE, shared, 32, &n);
    if (err == DP_OK && n != 32)
        err = failed("C_DeriveKey: length", n);
    (void)p->f->C_DestroyObject(p->session, secret);
    return err;
}

/* ---- AES ---- */

int p11_make_aes(const struct p11 *p, const struct p11_name *name, CK_OBJECT_HANDLE *key)
{
    CK_MECHANISM m = {CKM_AES_KEY_GEN, NULL, 0};
    CK_ULONG length = 32;
    CK_ATTRIBUTE t[12];
    CK_ULONG n = name_attributes(name, t);
    t[n++] = attribute(CKA_VALUE_LEN, &length, sizeof length);
    t[n++] = attribute(CKA_TOKEN, &yes, sizeof yes);
    t[n++] = attribute(CKA_PRIVATE, &yes, sizeof yes);
    t[n++] = attribute(CKA_SENSITIVE, &yes, sizeof yes);
    t[n++] = attribute(CKA_EXTRACTABLE, &no, sizeof no);
    t[n++] = attribute(CKA_ENCRYPT, &yes, sizeof yes);
    t[n++] = attribute(CKA_DECRYPT, &yes, sizeof yes);
    DP_ASSERT(name->class_ == CKO_SECRET_KEY && n <= sizeof t / sizeof t[0]);
    return result("C_GenerateKey", p->f->C_GenerateKey(p->session, &m, t, n, key));
}

static CK_RV gcm(const struct p11 *p, CK_OBJECT_HANDLE key, bool open, const uint8_t *nonce,
                 struct dp_bytes aad, struct dp_bytes in, uint8_t *out, CK_ULONG *n)
{
    CK_GCM_PARAMS params = {
        .pIv = plain(nonce),
        .ulIvLen = GCM_NONCE_BYTES,
        .ulIvBits = 8 * GCM_NONCE_BYTES,
        .pAAD = plain(aad.p),
        .ulAADLen = aad.n,
        .ulTagBits = 8 * GCM_TAG_BYTES,
    };
    CK_MECHANISM m = {CKM_AES_GCM, &params, sizeof params};
    CK_BYTE none = 0;
    CK_BYTE *from = in.n > 0 ? plain(in.p) : &none;
    CK_RV rv =
        open ? p->f->C_DecryptInit(p->session, &m, key) : p->f->C_EncryptInit(p->session, &m, key);
    if (rv != CKR_OK)
        return rv;
    return open ? p->f->C_Decrypt(p->session, from, in.n, out, n)
                : p->f->C_Encrypt(p->session, from, in.n, out, n);
}

/* Some tokens say "general error" of a wrong tag: then it is the input's fault when the same key
 * still seals and opens. */
static bool still_works(const struct p11 *p, CK_OBJECT_HANDLE key)
{
    const uint8_t nonce[GCM_NONCE_BYTES] = {0}, text[4] = {1, 2, 3, 4};
    uint8_t sealed[sizeof text + GCM_TAG_BYTES], back[sizeof sealed], fresh[GCM_NONCE_BYTES];
    CK_ULONG n = sizeof sealed, back_n = sizeof back;
    if (psa_generate_random(fresh, sizeof nonce) != PSA_SUCCESS ||
        gcm(p, key, false, fresh, (struct dp_bytes){NULL, 0}, (struct dp_bytes){text, sizeof text},
            sealed, &n) != CKR_OK ||
        n != sizeof sealed)
        return false;
    return gcm(p, key, true, fresh, (struct dp_bytes){NULL, 0}, (struct dp_bytes){sealed, n}, back,
               &back_n) == CKR_OK &&
           back_n == sizeof text && memcmp(back, text, sizeof text) == 0;
}

static int seal(const struct p11 *p, CK_OBJECT_HANDLE key, const uint8_t *nonce,
                struct dp_bytes aad, struct dp_bytes in, uint8_t *out, size_t out_n)
{
    CK_ULONG n = out_n;
    CK_RV rv = gcm(p, key, false, nonce, aad, in, out, &n);
    if (rv != CKR_OK)
        return failed("C_Encrypt", rv);
    return n == out_n ? DP_OK : failed("C_Encrypt: length", n);
}

/* Some tokens want room for the tag in what comes out. */
static int open_sealed(const struct p11 *p, CK_OBJECT_HANDLE key, const uint8_t *nonce,
                       struct dp_bytes aad, struct dp_bytes in, uint8_t *out, size_t out_n)
{
    struct dp_secret room;
    CK_ULONG n = in.n;
    CK_RV rv;
    int err = dp_secret_new(&room, (in.n + 15) / 16 * 16);
    if (err < 0)
        return err;
    rv = gcm(p, key, true, nonce, aad, in, room.p, &n);
    if (rv == CKR_OK && n == out_n)
        memcpy(out, room.p, out_n);
    else if (rv == CKR_OK)
        err = failed("C_Decrypt: length", n);
    else if (rv == CKR_ENCRYPTED_DATA_INVALID || rv == CKR_ENCRYPTED_DATA_LEN_RANGE ||
             ((rv == CKR_GENERAL_ERROR || rv == CKR_FUNCTION_FAILED) && still_works(p, key)))
        err = DP_ERR_SIGNATURE;
    else
        err = failed("C_Decrypt", rv);
    dp_secret_free(&room);
    return err;
}

int p11_gcm(const struct p11 *p, CK_OBJECT_HANDLE key, bool open, const uint8_t *nonce,
            struct dp_bytes aad, struct dp_bytes in, uint8_t *out, size_t out_n)
{
    return open ? open_sealed(p, key, nonce, aad, in, out, out_n)
                : seal(p, key, nonce, aad, in, out, out_n);
}

int p11_import_aes(const struct p11 *p, const uint8_t key[16], CK_OBJECT_HANDLE *handle)
{
    CK_OBJECT_CLASS class_ = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_ATTRIBUTE t[] = {
        attribute(CKA_CLASS, &class_, sizeof class_), attribute(CKA_KEY_TYPE, &type, sizeof type),
        attribute(CKA_TOKEN, &no, sizeof no),         attribute(CKA_PRIVATE, &yes, sizeof yes),
        attribute(CKA_SENSITIVE, &yes, sizeof yes),   attribute(CKA_EXTRACTABLE, &no, sizeof no),
        attribute(CKA_DERIVE, &yes, sizeof yes),      attribute(CKA_VALUE, plain(key), 16),
    };
    return result("C_CreateObject",
                  p->f->C_CreateObject(p->session, t, sizeof t / sizeof t[0], handle));
}

int p11_derive_aes(const struct p11 *p, CK_OBJECT_HANDLE from, const uint8_t data[16],
                   const struct p11_name *name, CK_OBJECT_HANDLE *handle)
{
    CK_KEY_DERIVATION_STRING_DATA params = {plain(data), 16};
    CK_MECHANISM m = {CKM_AES_ECB_ENCRYPT_DATA, &params, sizeof params};
    CK_OBJECT_CLASS class_ = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_ULONG length = 16, n = 1;
    CK_ATTRIBUTE t[12] = {attribute(CKA_CLASS, &class_, sizeof class_)};
    if (name != NULL)
        n = name_attributes(name, t);
    t[n++] = attribute(CKA_KEY_TYPE, &type, sizeof type);
    t[n++] = attribute(CKA_VALUE_LEN, &length, sizeof length);
    t[n++] = attribute(CKA_TOKEN, name != NULL ? &yes : &no, sizeof yes);
    t[n++] = attribute(CKA_PRIVATE, &yes, sizeof yes);
    t[n++] = attribute(CKA_SENSITIVE, &yes, sizeof yes);
    t[n++] = attribute(CKA_EXTRACTABLE, &no, sizeof no);
    t[n++] = attribute(name != NULL ? CKA_DERIVE : CKA_SIGN, &yes, sizeof yes);
    DP_ASSERT(n <= sizeof t / sizeof t[0]);
    return result("C_DeriveKey", p->f->C_DeriveKey(p->session, &m, from, t, n, handle));
}
