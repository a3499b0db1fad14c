/* SPDX-License-Identifier: Apache-2.0 */
/*
 * emv [CARD] [N]: a whole contact payment beside its RSA alone. The card (examples/cards, default
 * cda-offline) is recorded once with a simulated card and then answers at once, so that what is
 * left is ours. JSON: raw_ns, mbedTLS's public operation on the same numbers under the same keys,
 * one after another; ours_ns, dp_emv_perform from first SELECT to outcome; each the median of N.
 * ratio_percent is ours by raw. The two take turns, so that a busy machine is busy for both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/rsa.h>
#include <psa/crypto.h>

#include "emv/rsa.h"
#include "measure.h"
#include "tests/emv/instant.h"

#define N_DEFAULT      300
#define N_MAX          10000
#define OPERATIONS_MAX 16

/* One recovery that a payment made. */
struct operation {
    struct oda_key key;
    uint8_t in[DP_EMV_RSA_BYTES_MAX];
    size_t n;
};

static struct bench {
    struct instant card;
    struct operation operations[OPERATIONS_MAX];
    size_t operations_n;
    bool recording;
    int64_t raw[N_MAX], ours[N_MAX];
} b;

/* ---- what the kernel asks of RSA (the linker leads its calls here) ---- */

int __real_emv_rsa_recover(const struct oda_key *key, const uint8_t *in, size_t n, uint8_t *out);
int __wrap_emv_rsa_recover(const struct oda_key *key, const uint8_t *in, size_t n, uint8_t *out);

int __wrap_emv_rsa_recover(const struct oda_key *key, const uint8_t *in, size_t n, uint8_t *out)
{
    if (b.recording && b.operations_n < OPERATIONS_MAX && n <= sizeof b.operations[0].in) {
        struct operation *o = &b.operations[b.operations_n++];
        o->key = *key;
        memcpy(o->in, in, n);
        o->n = n;
    }
    return __real_emv_rsa_recover(key, in, n, out);
}

/* ---- the two that are measured ---- */

static bool recover_raw(const struct operation *o, uint8_t *out)
{
    const uint32_t e = o->key.exponent;
    const uint8_t exponent[4] = {(uint8_t)(e >> 24), (uint8_t)(e >> 16), (uint8_t)(e >> 8),
                                 (uint8_t)e};
    mbedtls_rsa_context rsa;
    bool good;
    mbedtls_rsa_init(&rsa);
    good = mbedtls_rsa_import_raw(&rsa, o->key.modulus, o->key.modulus_n, NULL, 0, NULL, 0, NULL, 0,
                                  exponent, sizeof exponent) == 0 &&
           mbedtls_rsa_complete(&rsa) == 0 && mbedtls_rsa_public(&rsa, o->in, out) == 0;
    mbedtls_rsa_free(&rsa);
    return good;
}

static bool raw(void)
{
    uint8_t out[DP_EMV_RSA_BYTES_MAX];
    for (size_t i = 0; i < b.operations_n; i++)
        if (!recover_raw(&b.operations[i], out) || out[0] != 0x6A)
            return false;
    return true;
}

static bool ours(enum dp_emv_outcome wanted)
{
    return instant_perform(&b.card) == DP_OK && b.card.result.outcome == wanted;
}

/* ---- one run ---- */

/* Records the card and, in one payment with it, the kernel's RSA. */
static bool begin(const char *card)
{
    dp_emv_arena_begin();
    sim_payment_open(&b.card.world, card);
    if (!instant_record(&b.card) || !instant_begin(&b.card))
        return false;
    b.recording = true;
    if (!ours(b.card.world.result.outcome))
        return false;
    b.recording = false;
    instant_end(&b.card);
    return b.operations_n > 0;
}

static bool measure(unsigned i, enum dp_emv_outcome wanted)
{
    int64_t start = measure_now_ns(), half;
    if (!raw())
        return false;
    half = measure_now_ns();
    b.raw[i] = half - start;
    if (!instant_begin(&b.card))
        return false;
    start = measure_now_ns();
    if (!ours(wanted))
        return false;
    b.ours[i] = measure_now_ns() - start;
    instant_end(&b.card);
    return true;
}

static void mute(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

int main(int argc, char **argv)
{
    const char *card = argc > 1 ? argv[1] : "cda-offline";
    unsigned n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : N_DEFAULT;
    bool good;
    if (n < 1 || n > N_MAX) {
        (void)fprintf(stderr, "usage: emv [CARD] [N], N at most %d\n", N_MAX);
        return 2;
    }
    dp_log_set(mute, NULL, DP_LOG_ERROR);
    good = begin(card);
    for (unsigned i = 0; good && i < n; i++)
        good = measure(i, b.card.world.result.outcome);
    if (!good) {
        (void)fprintf(stderr, "emv: the measurement failed\n");
        return 1;
    }
    int64_t alone = measure_median(b.raw, n), whole = measure_median(b.ours, n);
    (void)printf("{\"bench\": \"emv\", \"card\": \"%s\", \"n\": %u, \"commands\": %u, "
                 "\"rsa_operations\": %zu, \"raw_ns\": %lld, \"ours_ns\": %lld, "
                 "\"ratio_percent\": %lld}\n",
                 card, n, b.card.n, b.operations_n, (long long)alone, (long long)whole,
                 (long long)(whole * 100 / alone));
    return 0;
}
