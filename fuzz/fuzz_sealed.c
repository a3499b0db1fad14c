/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed card data. First byte: 0 and 1 a blob of kind PAN or track 2; 2 and 3 clear text of that
 * kind, sealed here so that the reader behind the cipher meets it; 4 enc and ciphertext of HPKE.
 * The keys are those of RFC 9180, A.3.1.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/cose.h>
#include <doorpay/sealed.h>
#include <psa/crypto.h>

#include "base/assert.h"
#include "base/hex.h"
#include "cbor/hpke_seal.h"

#define CLEAR_MAX 80

static const char recipient_hex[] =
    "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2";
static const char ephemeral_hex[] =
    "4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb";
static const struct dp_sealed_context context = {{1}, {2}, "T0000001"};

static psa_key_id_t recipient, ephemeral;
static uint8_t point[65];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static psa_key_id_t import(const char *hex)
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id = 0;
    uint8_t b[32];
    size_t n = 0;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&a, PSA_ALG_ECDH);
    DP_ASSERT(dp_hex_decode(hex, strlen(hex), b, sizeof b, &n) == DP_OK);
    DP_ASSERT(psa_import_key(&a, b, n, &id) == PSA_SUCCESS);
    return id;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    size_t n = 0;
    (void)argc;
    (void)argv;
    DP_ASSERT(psa_crypto_init() == PSA_SUCCESS);
    recipient = import(recipient_hex);
    ephemeral = import(ephemeral_hex);
    DP_ASSERT(psa_export_public_key(recipient, point, sizeof point, &n) == PSA_SUCCESS);
    return 0;
}

static int ecdh(void *ctx, const uint8_t peer[65], uint8_t shared[32])
{
    size_t n = 0;
    (void)ctx;
    return psa_raw_key_agreement(PSA_ALG_ECDH, recipient, peer, 65, shared, 32, &n) == PSA_SUCCESS
               ? DP_OK
               : DP_ERR_ARG;
}

/* What opens is of its form: it can be sealed again. */
static int opened(enum dp_sealed_kind kind, const uint8_t *p, size_t n)
{
    struct dp_sealed_card card;
    uint8_t again[DP_SEALED_BYTES_MAX];
    size_t again_n = 0;
    int err;
    memset(&card, 0, sizeof card);
    err = dp_sealed_open(ecdh, NULL, point, kind, &context, (struct dp_bytes){p, n}, &card);
    DP_ASSERT(err != DP_OK ||
              dp_sealed_make(point, kind, &context, &card, again, sizeof again, &again_n) == DP_OK);
    DP_ASSERT(err != DP_OK || again_n == n);
    return err;
}

static void clear(enum dp_sealed_kind kind, const uint8_t *p, size_t n)
{
    static const struct dp_bytes info = {(const uint8_t *)"doorpay sealed 1", 16};
    uint8_t aad[41], blob[DP_SEALED_BYTES_MAX] = {1};
    size_t sealed_n = 0;
    if (n > CLEAR_MAX)
        return;
    memcpy(aad, context.journal, 16);
    memcpy(aad + 16, context.tx, 16);
    memcpy(aad + 32, context.tid, 8);
    aad[40] = (uint8_t)kind;
    DP_ASSERT(dp_cose_key_id(point, blob + 1) == DP_OK);
    DP_ASSERT(hpke_seal_with(ephemeral, point, info, (struct dp_bytes){aad, sizeof aad},
                             (struct dp_bytes){p, n}, blob + 9, blob + 74, sizeof blob - 74,
                             &sealed_n) == DP_OK);
    DP_ASSERT(opened(kind, blob, 74 + sealed_n) != DP_ERR_SIGNATURE);
}

static void hpke(const uint8_t *p, size_t n)
{
    static const struct dp_bytes none = {NULL, 0};
    uint8_t out[CLEAR_MAX];
    size_t out_n = 0;
    if (n >= 65)
        DP_ASSERT(dp_hpke_open(ecdh, NULL, point, p, none, none, (struct dp_bytes){p + 65, n - 65},
                               out, sizeof out, &out_n) == DP_OK ||
                  out_n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 5) {
    case 0:
    case 1:
        (void)opened(data[0] % 5 == 0 ? DP_SEALED_PAN : DP_SEALED_TRACK2, data + 1, size - 1);
        break;
    case 2:
        clear(DP_SEALED_PAN, data + 1, size - 1);
        break;
    case 3:
        clear(DP_SEALED_TRACK2, data + 1, size - 1);
        break;
    default:
        hpke(data + 1, size - 1);
        break;
    }
    return 0;
}
