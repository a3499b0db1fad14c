/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorpay key attest: the token's own word on its anchor, for somebody who is not there. With a
 * nonce of the asker's it is made on the device (JSON); --check holds such a document against the
 * nonce, the kind of the index and, where it is known, the key, and says which anchor it is:
 * tools/verify_journal.py DIR --anchor takes that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <psa/crypto.h>

#include "base/hex.h"
#include "base/log.h"
#include "cli.h"
#include "file.h"
#include "key.h"

#define DOCUMENT_MAX 4096
#define BASE_MAX     0xFFF0UL

/* Exactly so many bytes in hex. */
static bool hex(const char *text, uint8_t *out, size_t wanted)
{
    size_t n = 0;
    return text != NULL && dp_hex_decode(text, strlen(text), out, wanted, &n) == DP_OK &&
           n == wanted;
}

static int complain(const char *what, const char *why)
{
    dp_log(DP_LOG_ERROR, "%s: %s", what, why);
    return CLI_FAILED;
}

static int take_nonce(const struct key_options *o, uint8_t nonce[32])
{
    if (hex(o->nonce, nonce, 32))
        return CLI_DONE;
    dp_log(DP_LOG_ERROR, "--nonce: 64 hex digits, drawn by who asks, are wanted");
    return CLI_USAGE;
}

/* ---- on the device ---- */

int key_attest(const struct key_options *o, struct dp_hsm *hsm)
{
    struct dp_hsm_evidence e;
    uint8_t nonce[32];
    char attest[2 * sizeof e.attest + 1], signature[129], key[131], nonce_hex[65];
    int status = take_nonce(o, nonce), err;
    if (status != CLI_DONE)
        return status;
    err = dp_hsm_anchor_certify(hsm, nonce, &e);
    if (err == DP_ERR_NOT_FOUND)
        return complain(o->hsm, "its anchor was never extended: there is nothing to vouch for");
    if (err == DP_ERR_UNSUPPORTED)
        return complain(o->hsm, "this kind of key store has no evidence of its anchor");
    if (err < 0)
        return key_failed(o->hsm, err);
    return key_print_json(json_pack(
        "{s:s,s:s,s:s,s:s}", "nonce", dp_hex_encode(nonce, 32, nonce_hex, sizeof nonce_hex),
        "attest", dp_hex_encode(e.attest, e.attest_n, attest, sizeof attest), "signature",
        dp_hex_encode(e.signature, 64, signature, sizeof signature), "key",
        dp_hex_encode(e.key, 65, key, sizeof key)));
}

/* ---- elsewhere ---- */

static bool member(const json_t *root, const char *name, uint8_t *out, size_t wanted)
{
    return hex(json_string_value(json_object_get(root, name)), out, wanted);
}

static bool take_document(const json_t *root, struct dp_hsm_evidence *out)
{
    const char *attest = json_string_value(json_object_get(root, "attest"));
    size_t n = 0;
    if (attest == NULL ||
        dp_hex_decode(attest, strlen(attest), out->attest, sizeof out->attest, &n) != DP_OK)
        return false;
    out->attest_n = (uint16_t)n;
    return member(root, "signature", out->signature, 64) && member(root, "key", out->key, 65);
}

static int read_document(const char *path, struct dp_hsm_evidence *out)
{
    uint8_t text[DOCUMENT_MAX];
    json_t *root;
    size_t n = 0;
    bool ok;
    if (file_read(path, text, sizeof text, &n) < 0)
        return CLI_FAILED;
    root = json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES, NULL);
    ok = take_document(root, out);
    json_decref(root);
    return ok ? CLI_DONE
              : complain(path,
                         "not what `key attest` prints: attest, signature and key are wanted");
}

/* What is wrong with it, or NULL. */
static const char *judge(const struct key_options *o, const struct dp_hsm_evidence *e,
                         const struct dp_hsm_attested *a, const uint8_t nonce[32], uint32_t base)
{
    uint8_t key[65], index[34];
    if (o->key != NULL && (!hex(o->key, key, 65) || memcmp(key, e->key, 65) != 0))
        return "signed by another key than the one named";
    if (memcmp(a->nonce, nonce, 32) != 0)
        return "it answers another nonce: an older document, or somebody else's";
    if (dp_hsm_evidence_index(base, index) < 0 || memcmp(a->index, index, sizeof index) != 0)
        return "it speaks of another index than an anchor at this base, which can only be extended";
    return NULL;
}

static int take_base(const struct key_options *o, uint32_t *base)
{
    char *end = NULL;
    unsigned long v = o->base != NULL ? strtoul(o->base, &end, 0) : DP_HSM_TPM_BASE;
    if (o->base != NULL && (o->base[0] < '0' || o->base[0] > '9' || *end != '\0' || v > BASE_MAX)) {
        dp_log(DP_LOG_ERROR, "--base %s: a number up to 0xfff0, as in the store's URI", o->base);
        return CLI_USAGE;
    }
    *base = (uint32_t)v;
    return CLI_DONE;
}

static int print(const struct key_options *o, const struct dp_hsm_attested *a)
{
    char anchor[65];
    (void)dp_hex_encode(a->value, 32, anchor, sizeof anchor);
    if (o->json)
        return key_print_json(json_pack("{s:s,s:b,s:I,s:b,s:i,s:i}", "anchor", anchor, "key_known",
                                        o->key != NULL, "clock_ms", (json_int_t)a->clock_ms,
                                        "clock_safe", a->clock_safe, "resets", (int)a->resets,
                                        "restarts", (int)a->restarts));
    return printf("anchor %s%s\n", anchor,
                  o->key != NULL ? "" : " (by a key that was not held against anything)") < 0;
}

int key_attest_check(const struct key_options *o)
{
    struct dp_hsm_evidence e = {.attest_n = 0};
    struct dp_hsm_attested a;
    const char *wrong;
    uint8_t nonce[32];
    uint32_t base = 0;
    int status = take_nonce(o, nonce), err;
    if (status == CLI_DONE)
        status = take_base(o, &base);
    if (status == CLI_DONE)
        status = read_document(o->check, &e);
    if (status != CLI_DONE)
        return status;
    err = psa_crypto_init() == PSA_SUCCESS ? dp_hsm_evidence_read(&e, &a) : DP_ERR_CRYPTO;
    if (err == DP_ERR_SIGNATURE)
        return complain(o->check, "its signature is not its key's");
    if (err < 0)
        return complain(o->check, "signed, and not a token's word on its anchor");
    wrong = judge(o, &e, &a, nonce, base);
    return wrong != NULL ? complain(o->check, wrong) : print(o, &a);
}
