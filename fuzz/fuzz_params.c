/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameter sets. First byte: 0 a signed set as it is; 1 a payload, signed here, so that the reader
 * behind the signature is met by the way that every set goes; 2 a payload put to that reader.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/cose.h>
#include <doorpay/params.h>
#include <psa/crypto.h>

#include "base/assert.h"
#include "base/limits.h"
#include "params/read.h"
#include "params/tables.h"

#define AMOUNT_MAX  999999999999ULL
#define PAYLOAD_MAX 8192

/* The seeds' back office: private scalar 1, its point the curve's base point. */
static psa_key_id_t key;
static uint8_t point[65];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint8_t scalar[32] = {[31] = 1};
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    size_t n = 0;
    (void)argc;
    (void)argv;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_SIGN_HASH);
    psa_set_key_algorithm(&a, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256));
    DP_ASSERT(psa_crypto_init() == PSA_SUCCESS);
    DP_ASSERT(psa_import_key(&a, scalar, sizeof scalar, &key) == PSA_SUCCESS);
    DP_ASSERT(psa_export_public_key(key, point, sizeof point, &n) == PSA_SUCCESS);
    return 0;
}

static int sign(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    size_t n = 0;
    (void)ctx;
    return psa_sign_hash(key, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256), digest, 32, signature,
                         64, &n) == PSA_SUCCESS
               ? DP_OK
               : DP_ERR_CRYPTO;
}

static void text_within(const char *text, size_t room)
{
    size_t n = strnlen(text, room);
    DP_ASSERT(n < room);
    for (size_t i = 0; i < n; i++)
        DP_ASSERT((uint8_t)text[i] >= 0x20 && text[i] != 0x7F);
}

static void applications(const struct dp_params *p)
{
    DP_ASSERT(p->aids_n > 0 && p->aids_n <= DP_EMV_AIDS_MAX);
    for (size_t i = 0; i < p->aids_n; i++) {
        const struct dp_params_aid *a = &p->aids[i];
        DP_ASSERT(a->aid_n >= 5 && a->aid_n <= 16 && a->kernel <= 3 && a->kernel != 1);
        DP_ASSERT(a->ddol_n <= sizeof a->ddol && a->tdol_n <= sizeof a->tdol);
        DP_ASSERT(a->random_target <= a->random_max && a->random_max <= 99);
        DP_ASSERT(a->floor_limit <= AMOUNT_MAX && a->cl_transaction_limit <= AMOUNT_MAX);
        text_within(a->brand, sizeof a->brand);
    }
    for (size_t i = 0; i < p->ca_keys_n; i++)
        DP_ASSERT(p->ca_keys[i].modulus_n >= 64 && p->ca_keys[i].modulus_n <= 248);
}

/* Each listed card is found, and a BIN with the first application it may come with is let in. */
static void look_ups(const struct dp_params *p)
{
    const struct dp_params_tables *t = p->tables;
    for (size_t i = 0; i < t->exceptions_n; i++)
        DP_ASSERT(dp_params_is_exception(p, t->exceptions[i].hash));
    for (size_t i = 0; i < t->bins_n; i++) {
        const struct params_prefix *a = &t->bins[i].aids[0];
        DP_ASSERT(dp_params_bin_permits(p, t->bins[i].low, a->aid, a->aid_n));
        DP_ASSERT(dp_params_bin_permits(p, t->bins[i].high, a->aid, a->aid_n));
    }
    for (size_t i = 0; i < t->parcels_n; i++)
        DP_ASSERT(dp_params_parcel_known(p, t->parcels[i].text));
    for (size_t i = 0; i < t->agents_n; i++)
        DP_ASSERT(dp_params_agent_known(p, t->agents[i].text));
}

static void accepted(const struct dp_params *p)
{
    uint32_t date = dp_params_business_date(p, p->valid_from * 1000);
    DP_ASSERT(p->version >= 1 && p->valid_from < p->valid_to);
    DP_ASSERT(date % 100 >= 1 && date % 100 <= 31 && date / 100 % 100 <= 12);
    DP_ASSERT(strlen(p->terminal.tid) == 8);
    text_within(p->terminal.merchant_name, sizeof p->terminal.merchant_name);
    text_within(p->acquirer.server_name, sizeof p->acquirer.server_name);
    DP_ASSERT(p->acquirer.mac_len == 8 || p->acquirer.mac_len == 16);
    DP_ASSERT(p->offline.payment_max <= AMOUNT_MAX && p->deferred.payment_max <= AMOUNT_MAX);
    applications(p);
    look_ups(p);
}

/* Accepted and sound, or refused with a sentence. */
static int judged(int err, struct dp_params *p, const char *error, size_t error_n)
{
    DP_ASSERT((err == DP_OK) == (p != NULL));
    DP_ASSERT((err == DP_OK) == (error[0] == '\0') && strnlen(error, error_n) < error_n);
    if (p != NULL)
        accepted(p);
    dp_params_free(&p);
    return err;
}

static int decode(const uint8_t *set, size_t n)
{
    char error[80] = "";
    struct dp_params *p = NULL;
    int err = dp_params_look(set, n, &p, error, sizeof error);
    DP_ASSERT(p == NULL || (p->unverified && dp_params_accept(p, NULL, 0) == DP_ERR_SIGNATURE));
    (void)judged(err, p, error, sizeof error);
    error[0] = '\0';
    p = NULL;
    err = dp_params_decode(set, n, point, &p, error, sizeof error);
    DP_ASSERT(p == NULL || !p->unverified);
    return judged(err, p, error, sizeof error);
}

static int read_payload(const uint8_t *payload, size_t n)
{
    char error[80] = "";
    struct dp_params *p = NULL;
    int err = params_read(payload, n, &p, error, sizeof error);
    return judged(err, p, error, sizeof error);
}

static void signed_here(const uint8_t *payload, size_t n)
{
    static const struct dp_bytes aad = {(const uint8_t *)"doorpay parameters 1", 20};
    static uint8_t set[PAYLOAD_MAX + 256];
    uint8_t kid[DP_COSE_KID_BYTES];
    size_t set_n = 0;
    if (n > PAYLOAD_MAX)
        return;
    DP_ASSERT(dp_cose_key_id(point, kid) == DP_OK);
    DP_ASSERT(dp_cose_sign1(sign, NULL, kid, aad, (struct dp_bytes){payload, n}, set, sizeof set,
                            &set_n) == DP_OK);
    DP_ASSERT(decode(set, set_n) == read_payload(payload, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0:
        (void)decode(data + 1, size - 1);
        break;
    case 1:
        signed_here(data + 1, size - 1);
        break;
    default:
        (void)read_payload(data + 1, size - 1);
        break;
    }
    return 0;
}
