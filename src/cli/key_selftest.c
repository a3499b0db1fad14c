/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorpay key selftest: each thing a key store can do, done once, without leaving anything behind:
 * the anchor is read and never extended, no counter rises, no transaction key is used up.
 */
#include <stdio.h>
#include <string.h>

#include <doorpay/cose.h>
#include <psa/crypto.h>

#include "base/log.h"
#include "cli.h"
#include "key.h"

#define NOTHING_TO_TEST DP_ERR_NOT_FOUND /* what a check says when the store has none of it now */

/* ---- keys ---- */

static int signs(struct dp_hsm *hsm, enum dp_hsm_key key)
{
    uint8_t digest[32], signature[64], point[65];
    int err = dp_hsm_public(hsm, key, point);
    if (err == DP_OK && psa_generate_random(digest, sizeof digest) != PSA_SUCCESS)
        err = DP_ERR_RANDOM;
    if (err == DP_OK)
        err = dp_hsm_sign(hsm, key, digest, signature);
    return err == DP_OK ? dp_cose_verify_digest(point, digest, signature) : err;
}

/* A key there must be: none is a failure. */
static int must_sign(struct dp_hsm *hsm, enum dp_hsm_key key)
{
    int err = signs(hsm, key);
    return err == DP_ERR_NOT_FOUND ? DP_ERR_TAMPERED : err;
}

static int identity_signs(struct dp_hsm *hsm, const struct dp_hsm_caps *caps)
{
    (void)caps;
    return must_sign(hsm, DP_KEY_JOURNAL_IDENTITY);
}

static int epoch_signs(struct dp_hsm *hsm, const struct dp_hsm_caps *caps)
{
    return caps->epoch ? signs(hsm, DP_KEY_JOURNAL_EPOCH) : DP_ERR_UNSUPPORTED;
}

static int tls_signs(struct dp_hsm *hsm, const struct dp_hsm_caps *caps)
{
    (void)caps;
    return must_sign(hsm, DP_KEY_TLS_CLIENT);
}

static int tls_next_signs(struct dp_hsm *hsm, const struct dp_hsm_caps *caps)
{
    return caps->rotate ? signs(hsm, DP_KEY_TLS_NEXT) : DP_ERR_UNSUPPORTED;
}

/* A sender's key of its own must reach the same secret. */
static int agree(struct dp_hsm *hsm, psa_key_id_t sender)
{
    uint8_t peer[65], point[65], ours[32], theirs[32];
    size_t n = 0;
    int err = dp_hsm_public(hsm, DP_KEY_CARD_DATA, point);
    if (err == DP_OK && (psa_export_public_key(sender, peer, sizeof peer, &n) != PSA_SUCCESS ||
                         psa_raw_key_agreement(PSA_ALG_ECDH, sender, point, sizeof point, theirs,
                                               sizeof theirs, &n) != PSA_SUCCESS))
        err = DP_ERR_CRYPTO;
    if (err == DP_OK)
        err = dp_hsm_ecdh(hsm, DP_KEY_CARD_DATA, peer, ours);
    return err == DP_OK && memcmp(ours, theirs, sizeof ours) != 0 ? DP_ERR_MISMATCH : err;
}

static int card_data_agrees(struct dp_hsm *hsm, const struct dp_hsm_caps *caps)
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t sender = 0;
    int err;
    if (!caps->ecdh)
        return DP_ERR_UNSUPPORTED;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&a, 256);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&a, PSA_ALG_ECDH);
    if (psa_generate_key(&a, &sender) != PSA_SUCCESS)
        return DP_ERR_CRYPTO;
    err = agree(hsm, sender);
    (void)psa_destroy_key(sender);
    return err == DP_ERR_NOT_FOUND ? DP_ERR_TAMPERED : err;
}

/* ---- what only moves forward ---- */

static int anchor_reads(struct dp_hsm *hsm, const struct dp_hsm_caps *caps)
{
    uint8_t one[32], two[32];
    int err = caps->anchor ? dp_hsm_anchor_read(hsm, one) : DP_ERR_UNSUPPORTED;
    if (err == DP_OK)
        err = dp_hsm_anchor_read(hsm, two);
    return err == DP_OK && memcmp(one, two, sizeof one) != 0 ? DP_ERR_MISMATCH : err;
}

static int evidence_holds(struct dp_hsm *hsm, const struct dp_hsm_caps *caps)
{
    struct dp_hsm_evidence evidence;
    struct dp_hsm_attested said;
    uint8_t nonce[32], value[32];
    int err = caps->evidence ? DP_OK : DP_ERR_UNSUPPORTED;
    if (err == DP_OK && psa_generate_random(nonce, sizeof nonce) != PSA_SUCCESS)
        err = DP_ERR_RANDOM;
    if (err == DP_OK)
        err = dp_hsm_anchor_certify(hsm, nonce, &evidence);
    if (err == DP_OK)
        err = dp_hsm_evidence_read(&evidence, &said);
    if (err == DP_OK)
        err = dp_hsm_anchor_read(hsm, value);
    if (err == DP_OK && (memcmp(said.nonce, nonce, sizeof nonce) != 0 ||
                         memcmp(said.value, value, sizeof value) != 0))
        err = DP_ERR_MISMATCH;
    return err;
}

static int counters_read(struct dp_hsm *hsm, const struct dp_hsm_caps *caps)
{
    uint64_t value = 0;
    int err =
        caps->counter ? dp_hsm_counter_read(hsm, DP_COUNTER_PARAMS, &value) : DP_ERR_UNSUPPORTED;
    return err == DP_OK ? dp_hsm_counter_read(hsm, DP_COUNTER_LOGIN_FAILURES, &value) : err;
}

/* ---- side store, DUKPT ---- */

/* What was wrapped comes back, and a changed byte does not. */
static int wrap_returns(struct dp_hsm *hsm, const struct dp_hsm_caps *caps)
{
    static const struct dp_bytes aad = {(const uint8_t *)"selftest", 8};
    uint8_t clear[32], wrapped[sizeof clear + DP_HSM_WRAP_OVERHEAD], back[sizeof clear];
    uint32_t generation = 0;
    size_t n = 0, back_n = 0;
    int err = caps->wrap ? dp_hsm_wrap_generation(hsm, &generation) : DP_ERR_UNSUPPORTED;
    if (err == DP_OK && psa_generate_random(clear, sizeof clear) != PSA_SUCCESS)
        err = DP_ERR_RANDOM;
    if (err == DP_OK)
        err = dp_hsm_wrap(hsm, generation, aad, (struct dp_bytes){clear, sizeof clear}, wrapped,
                          sizeof wrapped, &n);
    if (err == DP_OK)
        err = dp_hsm_unwrap(hsm, generation, aad, (struct dp_bytes){wrapped, n}, back, sizeof back,
                            &back_n);
    if (err == DP_OK && (back_n != sizeof clear || memcmp(back, clear, sizeof clear) != 0))
        err = DP_ERR_MISMATCH;
    if (err < 0)
        return err;
    wrapped[n / 2] ^= 1;
    err = dp_hsm_unwrap(hsm, generation, aad, (struct dp_bytes){wrapped, n}, back, sizeof back,
                        &back_n);
    return err == DP_ERR_SIGNATURE ? DP_OK : DP_ERR_MISMATCH;
}

static int dukpt_answers(struct dp_hsm *hsm, const struct dp_hsm_caps *caps)
{
    return caps->dukpt ? dp_hsm_dukpt_check(hsm) : DP_ERR_UNSUPPORTED;
}

static const struct {
    const char *name, *words;
    int (*run)(struct dp_hsm *hsm, const struct dp_hsm_caps *caps);
} checks[] = {
    {"journal_identity", "journal identity key signs", identity_signs},
    {"journal_epoch", "journal epoch key signs", epoch_signs},
    {"tls_client", "TLS client key signs", tls_signs},
    {"tls_next", "TLS client key to come signs", tls_next_signs},
    {"card_data", "card data key agrees with a sender", card_data_agrees},
    {"anchor", "anchor reads (and is not extended)", anchor_reads},
    {"evidence", "token vouches for the anchor", evidence_holds},
    {"counters", "counters read", counters_read},
    {"wrap", "side store wraps and unwraps", wrap_returns},
    {"dukpt", "DUKPT gives a known answer", dukpt_answers},
};

/* ---- the report ---- */

struct report {
    json_t *list;
    bool json, failed;
};

static const char *result_of(int err)
{
    switch (err) {
    case DP_OK:
        return "passed";
    case DP_ERR_UNSUPPORTED:
        return "not_supported";
    case NOTHING_TO_TEST:
        return "none_yet";
    default:
        return "failed";
    }
}

static void add(struct report *r, const char *name, const char *words, int err)
{
    const char *result = result_of(err);
    bool failed = strcmp(result, "failed") == 0;
    char said[32];
    r->failed = r->failed || failed;
    (void)json_array_append_new(r->list,
                                failed ? json_pack("{s:s,s:s,s:s}", "check", name, "result", result,
                                                   "reason", dp_strerr(err))
                                       : json_pack("{s:s,s:s}", "check", name, "result", result));
    if (r->json)
        return;
    (void)snprintf(said, sizeof said, "%s", result);
    for (char *c = said; *c != '\0'; c++)
        if (*c == '_')
            *c = ' ';
    (void)printf("%-36s %s%s%s\n", words, said, failed ? ": " : "", failed ? dp_strerr(err) : "");
}

static void run_all(struct report *r, struct dp_hsm *hsm, struct dp_hsm_caps *caps)
{
    dp_hsm_get_caps(hsm, caps);
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        add(r, checks[i].name, checks[i].words, checks[i].run(hsm, caps));
}

int key_selftest(const struct key_options *o)
{
    struct report r = {json_array(), o->json, false};
    struct dp_hsm_caps caps = {.name = ""};
    struct dp_hsm *hsm = NULL;
    int err = dp_hsm_open(o->hsm, &hsm), status = CLI_DONE;
    if (r.list == NULL)
        return key_failed(o->hsm, DP_ERR_NOMEM);
    /* what is not there or not known is a failure here */
    add(&r, "open", "key store opens",
        err == DP_ERR_NOT_FOUND || err == DP_ERR_UNSUPPORTED ? DP_ERR_GONE : err);
    if (err == DP_OK)
        run_all(&r, hsm, &caps);
    dp_hsm_free(&hsm);
    if (o->json)
        status = key_print_json(json_pack("{s:s,s:s,s:O}", "hsm", caps.name, "result",
                                          r.failed ? "failed" : "passed", "checks", r.list));
    json_decref(r.list);
    return r.failed ? CLI_FAILED : status;
}
