/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_payment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <doorpay/tlv.h>
#include <psa/crypto.h>

#include "base/hex.h"
#include "base/limits.h"

static const struct dp_emv_aid application = {
    .aid = {0xA0, 0x00, 0x00, 0x09, 0x99, 0x01, 0x01},
    .aid_n = 7,
    .version = {0x00, 0x01},
    .tac_denial = {0x00, 0x10, 0x00, 0x00, 0x00},
    .tac_online = {0xFC, 0x50, 0xBC, 0x98, 0x00},
    .tac_default = {0xFC, 0x50, 0xAC, 0x80, 0x00},
    .floor_limit = 5000,
    .random_threshold = 2000,
    .ddol = {0x9F, 0x37, 0x04},
    .ddol_n = 3,
};

static const struct dp_emv_terminal post = {
    .tid = "DP000001",
    .mid = "DOORPAYTEST0001",
    .mcc = "4215",
    .merchant_name = "Doorpay test post",
    .acquirer_id = "999999",
    .country = 56,
    .type = 0x22,
    .capabilities = {0x20, 0x28, 0xC8},
    .additional_capabilities = {0x60, 0x00, 0xF0, 0xF0, 0x01},
    .ifd_serial = "00000001",
};

static const struct dp_emv_transaction sale = {
    .amount = {2350, 978, 2},
    .local = {2026, 11, 24, 10, 30, 0},
    .unpredictable_number = {0xA1, 0xB2, 0xC3, 0xD4},
    .random = {0, 0, 0, 49}, /* draws 50 */
    .sequence = 17,
    .online_possible = true,
    .offline_allowed = true,
    .deferred_allowed = true,
};

/* ---- set-up ---- */

static void load_ca_keys(struct sim_payment *p)
{
    char path[1024], rid[16], modulus[512], hash[64];
    unsigned index, exponent, expiry;
    FILE *f = fopen(sim_path(path, sizeof path, SIM_KEYS, "ca.keys"), "r");
    assert_non_null(f);
    while (p->terminal.ca_keys_n < 8 && fscanf(f, "%15s %x %511s %u %u %63s", rid, &index, modulus,
                                               &exponent, &expiry, hash) == 6) {
        struct dp_emv_ca_key *k = &p->ca_keys[p->terminal.ca_keys_n++];
        size_t n;
        assert_int_equal(dp_hex_decode(rid, strlen(rid), k->rid, 5, &n), DP_OK);
        assert_int_equal(dp_hex_decode(modulus, strlen(modulus), k->modulus, sizeof k->modulus, &n),
                         DP_OK);
        k->index = (uint8_t)index;
        k->modulus_n = (uint16_t)n;
        k->exponent = exponent;
        k->expiry = expiry;
    }
    (void)fclose(f);
    assert_true(p->terminal.ca_keys_n >= 4);
    p->terminal.ca_keys = p->ca_keys;
}

static void write_temporary(char path[32], const char *first, const char *second)
{
    FILE *f;
    int fd;
    (void)strcpy(path, "/tmp/sim_payment.XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    f = fdopen(fd, "w");
    assert_non_null(f);
    assert_true(fprintf(f, "%s\n%s\n", first, second) > 0);
    assert_int_equal(fclose(f), 0);
}

static void load_card(struct sim_payment *p, const char *card, const char *lines)
{
    static uint8_t text[8192];
    const char *root = getenv("DP_SOURCE_ROOT");
    char path[1024], joined[32];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/examples/cards/%s.card", root != NULL ? root : ".", card);
    assert_int_equal(sim_read_file(path, text, sizeof text - 1, &n), DP_OK);
    text[n] = '\0';
    write_temporary(joined, (const char *)text, lines);
    assert_int_equal(sim_profile_load(joined, &p->card.profile), DP_OK);
    (void)unlink(joined);
    assert_int_equal(sim_card_make(&p->card, SIM_KEYS, NULL), DP_OK);
    sim_card_reset(&p->card);
}

void sim_payment_open_with(struct sim_payment *p, const char *card, const char *lines)
{
    memset(p, 0, sizeof *p);
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    p->terminal = post;
    p->aids[0] = application;
    p->aids[1] = application;
    p->aids[1].aid[5] = 0x02;
    p->terminal.aids = p->aids;
    p->terminal.aids_n = 2;
    p->transaction = sale;
    p->policy.offline_allowed = true;
    p->policy.deferred_allowed = true;
    p->issuer = ISSUER_APPROVES;
    load_ca_keys(p);
    load_card(p, card, lines);
}

void sim_payment_open(struct sim_payment *p, const char *card)
{
    sim_payment_open_with(p, card, "");
}

void sim_payment_script(struct sim_payment *p, const char *lines)
{
    char path[32];
    write_temporary(path, lines, "");
    assert_int_equal(sim_script_load(path, &p->script), DP_OK);
    (void)unlink(path);
    sim_script_reset(&p->script);
}

void sim_payment_script_file(struct sim_payment *p, const char *name)
{
    const char *root = getenv("DP_SOURCE_ROOT");
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/examples/scripts/%s.script", root != NULL ? root : ".",
                   name);
    assert_int_equal(sim_script_load(path, &p->script), DP_OK);
    assert_true(p->script.n > 0);
    sim_script_reset(&p->script);
}

/* ---- the card ---- */

static int transceive(void *user, const uint8_t *command, size_t n, uint8_t *answer,
                      size_t *answer_n, int timeout_ms)
{
    static struct sim_buf out;
    struct sim_payment *p = user;
    bool online = p->card.phase == SIM_PHASE_ONLINE;
    unsigned delay = 0;
    size_t reported;
    assert_true(p->commands < SIM_PAYMENT_LOG_MAX && n <= sizeof p->log[0].p && timeout_ms > 0);
    memcpy(p->log[p->commands].p, command, n);
    p->log[p->commands++].n = n;
    sim_card_command(&p->card, command, n, &out);
    if (!sim_script_apply(&p->script, command, n, online, &out, &delay))
        return DP_ERR_GONE;
    reported = out.n;
    if (p->alter != NULL)
        reported = p->alter(p, command, n, &out);
    if (reported >= 2 && reported == out.n)
        p->log[p->commands - 1].sw = (uint16_t)(out.p[out.n - 2] << 8 | out.p[out.n - 1]);
    memcpy(answer, out.p, out.n < *answer_n ? out.n : *answer_n);
    *answer_n = reported;
    return DP_OK;
}

/* ---- policy and issuer ---- */

static int policy(void *ctx, const struct dp_emv_summary *s, const struct dp_emv_card_data *card,
                  struct dp_emv_policy_answer *answer)
{
    struct sim_payment *p = ctx;
    assert_non_null(card);
    p->asked_policy = true;
    p->policy_summary = *s;
    *answer = p->policy;
    return p->policy_err;
}

static void field(struct dp_bytes emv, uint32_t tag, uint8_t *out, size_t n)
{
    struct dp_bytes v;
    assert_int_equal(dp_tlv_find(emv, tag, &v), DP_OK);
    assert_int_equal(v.n, n);
    memcpy(out, v.p, n);
}

/* The cryptogram from the message's data alone, as an acquirer's host has them. */
static bool cryptogram_is_good(const struct sim_payment *p, struct dp_bytes emv)
{
    struct sim_ac_input in;
    struct dp_bytes iad;
    uint8_t wanted[8], got[8];
    memset(&in, 0, sizeof in);
    field(emv, 0x9F02, in.amount, 6);
    field(emv, 0x9F03, in.other, 6);
    field(emv, 0x9F1A, in.country, 2);
    field(emv, 0x95, in.tvr, 5);
    field(emv, 0x5F2A, in.currency, 2);
    field(emv, 0x9A, in.date, 3);
    field(emv, 0x9C, &in.type, 1);
    field(emv, 0x9F37, in.un, 4);
    field(emv, 0x82, in.aip, 2);
    field(emv, 0x9F36, in.atc, 2);
    field(emv, 0x9F26, got, 8);
    if (dp_tlv_find(emv, 0x9F10, &iad) != DP_OK)
        return false; /* a script took it out: our cards all have it */
    assert_true(iad.n <= sizeof in.iad);
    memcpy(in.iad, iad.p, iad.n);
    in.iad_n = iad.n;
    return sim_cryptogram(p->card.selected->master.ac, &in, wanted) == DP_OK &&
           memcmp(wanted, got, 8) == 0;
}

static void answer_card(struct sim_payment *p, struct dp_emv_online_answer *answer)
{
    const struct sim_application *a = p->card.selected;
    const char *arc = p->arc[0] != '\0' ? p->arc : p->issuer == ISSUER_DECLINES ? "05" : "00";
    size_t n = 0;
    answer->approved = p->issuer != ISSUER_DECLINES;
    memcpy(answer->arc, arc, 3);
    assert_int_equal(sim_issuer_authentication(a->master.ac, a->profile->cvn, &p->card.t.session,
                                               (const uint8_t *)arc, answer->issuer_authentication,
                                               &n),
                     DP_OK);
    answer->issuer_authentication_n = (uint8_t)n;
    if (p->issuer == ISSUER_FORGED)
        answer->issuer_authentication[0] ^= 1;
    if (p->tag_91_n > 0) {
        memcpy(answer->issuer_authentication, p->tag_91, p->tag_91_n);
        answer->issuer_authentication_n = p->tag_91_n;
    }
    memcpy(answer->scripts, p->scripts, p->scripts_n);
    answer->scripts_n = (uint16_t)p->scripts_n;
}

static int online(void *ctx, const struct dp_emv_online_request *request,
                  struct dp_emv_online_answer *answer)
{
    struct sim_payment *p = ctx;
    assert_true(request->emv.n <= sizeof p->online_emv);
    memcpy(p->online_emv, request->emv.p, request->emv.n);
    p->online_emv_n = request->emv.n;
    p->cryptogram_good = cryptogram_is_good(p, request->emv);
    answer->online = p->issuer != ISSUER_SILENT;
    if (answer->online)
        answer_card(p, answer);
    p->answered = *answer;
    return p->online_err;
}

static void ui(void *ctx, enum dp_emv_ui what)
{
    struct sim_payment *p = ctx;
    p->ui_seen |= 1U << what;
}

static void offer(void *ctx, const struct dp_emv_offer *offers, size_t n)
{
    struct sim_payment *p = ctx;
    assert_true(n > 0 && n <= DP_EMV_OFFERS_MAX);
    memcpy(p->offers, offers, n * sizeof *offers);
    p->offers_n = n;
}

static bool cancelled(void *ctx)
{
    const struct sim_payment *p = ctx;
    return p->cancel_after > 0 && p->commands >= p->cancel_after;
}

/* ---- one run ---- */

/* What holds whatever the card does. */
static void invariants(const struct sim_payment *p, int err)
{
    const struct dp_emv_result *r = &p->result;
    size_t at = 0;
    struct dp_tlv t;
    assert_true(r->outcome != 0 && r->emv_n <= sizeof r->emv);
    assert_true(p->commands <= DP_EMV_COMMANDS_MAX);
    for (unsigned i = 0; i < p->commands; i++)
        assert_true(p->log[i].p[1] != 0x20); /* VERIFY */
    assert_true(err == DP_OK || r->outcome == DP_EMV_ENDED);
    if (r->outcome == DP_EMV_APPROVED_OFFLINE) {
        assert_int_equal(r->summary.authentication,
                         r->summary.kernel == 3 ? DP_EMV_AUTH_FDDA : DP_EMV_AUTH_CDA);
        assert_int_equal(r->summary.authentication_result, DP_EMV_AUTH_PASSED);
    }
    while (dp_tlv_next((struct dp_bytes){r->emv, r->emv_n}, &at, &t) == DP_OK) {
        const struct dp_tlv_tag *known = dp_tlv_tag_find(t.tag);
        assert_true(known != NULL && !known->secret);
    }
    assert_int_equal(at, r->emv_n);
}

int sim_payment_run(struct sim_payment *p)
{
    struct dp_emv_ops ops = {p, policy, online, ui, NULL, cancelled, offer};
    struct dp_card_info info = {.interface = DP_INTERFACE_CONTACT};
    struct dp_card_reader reader;
    struct dp_card card;
    struct dp_emv_kernel *kernel = NULL;
    int err;
    if (p->card.profile.contactless)
        info.interface = DP_INTERFACE_CONTACTLESS;
    info.protocol = p->card.profile.t0 ? DP_PROTOCOL_T0 : DP_PROTOCOL_T1;
    assert_int_equal(dp_reader_callback_open(transceive, p, &info, &reader), DP_OK);
    assert_int_equal(dp_card_connect(&card, &reader, 1000), DP_OK);
    assert_int_equal(dp_emv_kernel_new(&kernel), DP_OK);
    p->commands = 0;
    p->ui_seen = 0;
    p->offers_n = 0;
    err = dp_emv_perform(kernel, &card, &p->terminal, &p->transaction, &ops, &p->result);
    dp_emv_kernel_free(&kernel);
    assert_null(kernel);
    reader.ops->close(reader.ctx);
    invariants(p, err);
    return err;
}

void sim_payment_expect(struct sim_payment *p, enum dp_emv_outcome outcome,
                        enum dp_emv_reason reason)
{
    assert_int_equal(sim_payment_run(p), DP_OK);
    if (p->result.outcome != outcome || p->result.reason != reason)
        fail_msg("%s, %s: %s", dp_emv_outcome_name(p->result.outcome),
                 dp_emv_reason_name(p->result.reason), p->result.words);
}

const uint8_t *sim_payment_command(const struct sim_payment *p, uint8_t ins, unsigned nth,
                                   size_t *n)
{
    for (unsigned i = 0; i < p->commands; i++)
        if (p->log[i].p[1] == ins && --nth == 0) {
            if (n != NULL)
                *n = p->log[i].n;
            return p->log[i].p;
        }
    return NULL;
}

bool sim_payment_tvr(const struct sim_payment *p, size_t byte, uint8_t bit)
{
    return (p->result.summary.tvr[byte] & bit) != 0;
}
