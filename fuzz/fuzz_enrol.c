/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate that came back for a request. First byte: even, the rest is the certificate; odd,
 * the authority's file. */
#include <stdint.h>
#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "cli/enrol.h"
#include "enrol_seed.h"

#define INPUT_MAX 8192

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct enrol_wanted wanted = {
    .has_next = true,
    .tid = "DP000001",
    .authority = {seed_authority, sizeof seed_authority},
};
static char pem[ENROL_PEM_MAX], again[ENROL_PEM_MAX];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    memcpy(wanted.current, seed_point, 65);
    memcpy(wanted.next, seed_next, 65);
    DP_ASSERT(psa_crypto_init() == PSA_SUCCESS);
    return 0;
}

/* What is taken is for one of the two keys, and what is kept of it is taken again as the same. */
static void certificate(struct dp_bytes b)
{
    enum enrol_key key = ENROL_CURRENT, same = ENROL_CURRENT;
    char why[ENROL_WHY_MAX];
    int err = enrol_check(b, &wanted, &key, pem, sizeof pem, why);
    DP_ASSERT((err == DP_OK) == (why[0] == '\0') && strlen(why) < ENROL_WHY_MAX);
    if (err != DP_OK)
        return;
    DP_ASSERT(strncmp(pem, "-----BEGIN CERTIFICATE-----\n", 28) == 0);
    DP_ASSERT(enrol_check((struct dp_bytes){(const uint8_t *)pem, strlen(pem)}, &wanted, &same,
                          again, sizeof again, why) == DP_OK);
    DP_ASSERT(same == key && strcmp(pem, again) == 0);
}

/* Whatever the authority's file is, the certificate is of one alone. */
static void authority(struct dp_bytes b)
{
    struct enrol_wanted other = wanted;
    enum enrol_key key = ENROL_NEXT;
    char why[ENROL_WHY_MAX];
    int err;
    other.authority = b;
    err = enrol_check((struct dp_bytes){seed_leaf, sizeof seed_leaf}, &other, &key, pem, sizeof pem,
                      why);
    DP_ASSERT(key == ENROL_CURRENT);
    DP_ASSERT(err == DP_OK || err == DP_ERR_FORMAT || err == DP_ERR_SIGNATURE ||
              err == DP_ERR_EXPIRED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > INPUT_MAX)
        return 0;
    if (data[0] % 2 == 0)
        certificate((struct dp_bytes){data + 1, size - 1});
    else
        authority((struct dp_bytes){data + 1, size - 1});
    return 0;
}
