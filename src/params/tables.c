/* SPDX-License-Identifier: Apache-2.0 */
#include "tables.h"

#include <stdlib.h>
#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "base/pan.h"
#include "base/secret.h"

void params_tables_free(struct dp_params_tables *t)
{
    if (t == NULL)
        return;
    free(t->bins);
    free(t->exceptions);
    free(t->parcels);
    free(t->agents);
    free(t);
}

void dp_params_get_counts(const struct dp_params *params, struct dp_params_counts *out)
{
    const struct dp_params_tables *t = params->tables;
    out->bins = t->bins_n;
    out->exceptions = t->exceptions_n;
    out->parcels = t->parcels_n;
    out->agents = t->agents_n;
}

static bool all_digits(const char *s)
{
    return s[strspn(s, "0123456789")] == '\0';
}

/* ---- cards ---- */

int dp_params_card_hash(const uint8_t exception_key[32], const char *pan, uint8_t hash[16])
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id = 0;
    uint8_t mac[32];
    size_t n = strlen(pan), mac_n = 0;
    psa_status_t s;
    if (n < DP_PAN_DIGITS_MIN || n > DP_PAN_DIGITS_MAX || !all_digits(pan))
        return DP_ERR_ARG;
    if (psa_crypto_init() != PSA_SUCCESS)
        return DP_ERR_CRYPTO;
    psa_set_key_type(&a, PSA_KEY_TYPE_HMAC);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_SIGN_MESSAGE);
    psa_set_key_algorithm(&a, PSA_ALG_HMAC(PSA_ALG_SHA_256));
    s = psa_import_key(&a, exception_key, 32, &id);
    if (s == PSA_SUCCESS)
        s = psa_mac_compute(id, PSA_ALG_HMAC(PSA_ALG_SHA_256), (const uint8_t *)pan, n, mac,
                            sizeof mac, &mac_n);
    (void)psa_destroy_key(id);
    if (s == PSA_SUCCESS)
        memcpy(hash, mac, 16);
    dp_wipe(mac, sizeof mac);
    return s == PSA_SUCCESS ? DP_OK : DP_ERR_CRYPTO;
}

static int compare_exception(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct params_exception));
}

bool dp_params_is_exception(const struct dp_params *params, const uint8_t card_hash[16])
{
    const struct dp_params_tables *t = params->tables;
    return t->exceptions_n > 0 && bsearch(card_hash, t->exceptions, t->exceptions_n,
                                          sizeof *t->exceptions, compare_exception) != NULL;
}

/* The digits that both the range and the caller have. */
static bool in_range(const struct params_bin *b, const char *bin, size_t bin_n)
{
    size_t n = bin_n < b->digits ? bin_n : b->digits;
    DP_ASSERT(n >= PARAMS_BIN_DIGITS_MIN);
    return memcmp(bin, b->low, n) >= 0 && memcmp(bin, b->high, n) <= 0;
}

static bool comes_with(const struct params_bin *b, const uint8_t *aid, size_t aid_n)
{
    for (size_t i = 0; i < b->aids_n; i++)
        if (aid_n >= b->aids[i].aid_n && memcmp(aid, b->aids[i].aid, b->aids[i].aid_n) == 0)
            return true;
    return false;
}

bool dp_params_bin_permits(const struct dp_params *params, const char *bin, const uint8_t *aid,
                           size_t aid_n)
{
    const struct dp_params_tables *t = params->tables;
    size_t bin_n = strlen(bin);
    if (bin_n < PARAMS_BIN_DIGITS_MIN || !all_digits(bin))
        return false;
    for (size_t i = 0; i < t->bins_n; i++)
        if (in_range(&t->bins[i], bin, bin_n) && comes_with(&t->bins[i], aid, aid_n))
            return true;
    return false;
}

/* ---- parcels and agents ---- */

/* An empty list lets every reference pass. */
static bool listed(const struct params_reference *list, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].text, text) == 0)
            return true;
    return n == 0;
}

bool dp_params_parcel_known(const struct dp_params *params, const char *parcel)
{
    return listed(params->tables->parcels, params->tables->parcels_n, parcel);
}

bool dp_params_agent_known(const struct dp_params *params, const char *agent)
{
    return listed(params->tables->agents, params->tables->agents_n, agent);
}
