/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The soft key store's state file, and the URIs of key stores. First byte: 0 a file as it is; 1 a
 * file without its check sum, which is put there, so that the reader behind it is met; 2 a URI.
 */
#include <stdint.h>
#include <string.h>

#include <doorpay/hsm.h>
#include <psa/crypto.h>

#include "base/assert.h"
#include "base/log.h"
#include "hsm/soft_state.h"

#define URI_MAX 64

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void quiet(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    DP_ASSERT(psa_crypto_init() == PSA_SUCCESS);
    dp_log_set(quiet, NULL, DP_LOG_ERROR);
    return 0;
}

/* What is accepted is within its bounds, and is written again as the same bytes. */
static int state(const uint8_t *p, size_t n)
{
    struct soft_state s;
    uint8_t again[SOFT_STATE_BYTES_MAX];
    const char *what = NULL;
    size_t again_n = 0;
    int err = soft_state_decode(p, n, &s, &what);
    DP_ASSERT((err == DP_OK) == (what == NULL));
    if (err != DP_OK) {
        DP_ASSERT(s.sequence == 0); /* nothing of a refused file is left to be used */
        return err;
    }
    DP_ASSERT(s.sequence > 0 && s.wraps_n > 0 && s.wraps_n <= DP_HSM_WRAP_GENERATIONS_MAX);
    DP_ASSERT(!s.dukpt_loaded || s.dukpt.counter == 0 || dukpt_counter_ok(s.dukpt.counter));
    DP_ASSERT(soft_state_encode(&s, again, &again_n) == DP_OK);
    DP_ASSERT(again_n == n && memcmp(again, p, n) == 0);
    return err;
}

static void sealed(const uint8_t *p, size_t n)
{
    uint8_t file[SOFT_STATE_BYTES_MAX + 64];
    size_t sum_n = 0;
    if (n > sizeof file - 32)
        return;
    memcpy(file, p, n);
    DP_ASSERT(psa_hash_compute(PSA_ALG_SHA_256, file, n, file + n, 32, &sum_n) == PSA_SUCCESS);
    DP_ASSERT(state(file, n + 32) != DP_ERR_TAMPERED);
}

/* There is no store where an input's letters lead. */
static void uri(const uint8_t *p, size_t n)
{
    char text[URI_MAX + 1];
    struct dp_hsm *hsm = NULL;
    if (n > URI_MAX)
        return;
    memcpy(text, p, n);
    text[n] = '\0';
    DP_ASSERT(dp_hsm_open(text, &hsm) < 0 && hsm == NULL);
    dp_hsm_free(&hsm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0:
        (void)state(data + 1, size - 1);
        break;
    case 1:
        sealed(data + 1, size - 1);
        break;
    default:
        uri(data + 1, size - 1);
        break;
    }
    return 0;
}
