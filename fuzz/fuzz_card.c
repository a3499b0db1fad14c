/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole payment with a card that says whatever it likes. First byte, bits:
 *   0 T=0   1 a link   2 the issuer answers   3 and approves   4 AIDs match in part; contactless:
 *   a cardholder verification is required
 *   5 authentication that fails declines   6 no offline approval   7 contactless
 * Second byte: so many bytes of issuer scripts follow (low seven bits), behind a byte of terms when
 * the top bit is set: 0 the card is on the exception list   1 over the floor limit   2 the policy
 * permits no offline approval   3 the policy declines   4 years later, the card is expired   5 no
 * ceiling for kernel 3   6 a refund   7 action codes that say nothing
 * The rest is what the card answers: two bytes of length (FFFF: the card is gone, FFFE: the reader
 * reports more than it had room for), bytes. Seeds are recorded payments of the simulated cards,
 * whose scheme keys stand below.
 *
 * Whatever the card says: no PIN is sent, commands have a bound, the amount shown is the amount in
 * every list the card asked for and in what goes to issuer and journal (by the vault's own check),
 * and no approval is made offline but of a card that is authenticated, within the limits, its
 * holder verified, not expired and not on the exception list. Nothing is deferred that failed one
 * of the checks, and every application that is offered is offered once.
 */
#include <doorpay/emv.h>

#include <stdlib.h>
#include <string.h>

#include <doorpay/tlv.h>
#include <psa/crypto.h>

#include "base/hex.h"
#include "base/limits.h"
#include "base/reader.h"
#include "payment/machine.h"

enum {
    ON_T0 = 0x01,
    LINK = 0x02,
    ISSUER_ANSWERS = 0x04,
    ISSUER_APPROVES = 0x08,
    PARTIAL = 0x10,
    FAILURE_DECLINES = 0x20,
    NO_OFFLINE = 0x40,
    CONTACTLESS = 0x80
};
enum {
    ON_EXCEPTION_LIST = 0x01,
    OVER_FLOOR_LIMIT = 0x02,
    POLICY_NO_OFFLINE = 0x04,
    POLICY_DECLINES = 0x08,
    YEARS_LATER = 0x10,
    NO_CEILING = 0x20,
    REFUND = 0x40,
    CODES_EMPTY = 0x80
};
#define HAS_TERMS       0x80 /* in the second byte */
#define FLOOR_LIMIT     5000
#define KERNEL3_CEILING 2500

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const moduli[] = {
    "DF328B989248E59B0CE981B6062C807AA43C38E946E2262AEC804668B04EEB909A23B73FD88686CB05F4A2AF"
    "DB5796E9C17A658F224A9E0D255C2F4077786861E35B1758304BB3CA87282615C4C45968E4EAA31CC155DB92"
    "CA01125D65268DA2FCFE8BC5A285256E3282E7EC3107944550D246775BCC5934C85A3C719432C6A6C91FD72C"
    "72A2F0601C0B345C37CA96190C4C908BB0B9B20B539D9F9EEEFDFCD8C2F104F3A07E248EF29C96E04CEA29C3",
    "DE7B6B6C5EE114493ADC22137FA3552B7A4BB3AACA5FCE0E4E7F2928F318B27A8BF8BCC4A2A34AD9C67740BF"
    "C8D5B27E4CB4C26697EEC7877AE3C7672BF26B196899A82CBC1DAE3E2317A13784DEBB1B97043A871F4ED366"
    "7185D3D7E479737B62420C3A966610FCCE45450170AF6579DF1A02DD2A4F666DA20EA8305A786A4B41114373"
    "C3885D7B911A17EC3AFC37F85310FCB825D47A765FFCC2AA09DA1D116BD2AB4158277297D9A1A675DE16262D",
    "F1B4DBC129C66768930755233A08C2A2429F949976B8F7052AA1FD893181564741AD48350BBF78820217D6D5"
    "7C3ECDFA92E2BDB20B0C0E7E34ADB9D94EF59D66FED62D704DD6171A743E42CA569C98B44E9775618ECD314C"
    "8C6887966E6C29D8449CEB57E30E554674C28305902593BA2720C47551FDB75BA1336B88CA5E1254D0AF020A"
    "C865A614BD9ECAD9C84EA48840AEFEEF4CC1170120888D559CC04771FAA27EC7681810B845A9864B194CBFC7",
};
static const uint32_t exponents[] = {3, 65537, 3};
static const uint8_t indexes[] = {0x01, 0x02, 0x21};

static struct dp_emv_ca_key ca_keys[3];
static struct dp_emv_kernel *kernel;

static const struct dp_emv_aid application = {
    .aid = {0xA0, 0x00, 0x00, 0x09, 0x99, 0x01, 0x01},
    .aid_n = 7,
    .version = {0x00, 0x01},
    .tac_denial = {0x00, 0x10, 0x00, 0x00, 0x00},
    .tac_online = {0xFC, 0x50, 0xBC, 0x98, 0x00},
    .tac_default = {0xFC, 0x50, 0xAC, 0x80, 0x00},
    .floor_limit = FLOOR_LIMIT,
    .random_threshold = 2000,
    .ddol = {0x9F, 0x37, 0x04},
    .ddol_n = 3,
    .tdol = {0x9F, 0x02, 0x06},
    .tdol_n = 3,
};

/* A data object list the card gave. */
struct list {
    uint8_t p[256];
    size_t n;
};

struct world {
    struct dp_reader card;
    uint8_t flags, terms;
    struct dp_bytes scripts;
    struct dp_emv_transaction transaction;
    unsigned commands;
    uint8_t last_ac; /* P1 of the newest GENERATE AC */
    bool policy_asked;
    /* the newest command, and the lists that say what the card is told; in pieces (61xx) they are
     * not followed */
    uint8_t command[DP_APDU_COMMAND_MAX];
    size_t command_n;
    struct list pdol, cdol1, cdol2;
    bool selected, initiated, in_pieces, amount_told;
    unsigned acs;
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void mute(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    must(line != NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    dp_log_set(mute, NULL, DP_LOG_DEBUG);
    must(psa_crypto_init() == PSA_SUCCESS);
    must(dp_emv_kernel_new(&kernel) == DP_OK);
    for (size_t i = 0; i < 3; i++) {
        size_t n = 0;
        must(dp_hex_decode(moduli[i], strlen(moduli[i]), ca_keys[i].modulus,
                           sizeof ca_keys[i].modulus, &n) == DP_OK);
        memcpy(ca_keys[i].rid, application.aid, 5);
        ca_keys[i].index = indexes[i];
        ca_keys[i].modulus_n = (uint16_t)n;
        ca_keys[i].exponent = exponents[i];
        ca_keys[i].expiry = 20491231;
    }
    return 0;
}

static int card_speaks(void *user, const uint8_t *command, size_t command_n, uint8_t *answer,
                       size_t *answer_n, int timeout_ms)
{
    struct world *w = user;
    size_t n = dp_read_u16(&w->card), fits;
    struct dp_bytes b;
    must(command_n >= 4 && command_n <= DP_APDU_COMMAND_MAX && timeout_ms > 0);
    must(++w->commands <= DP_EMV_COMMANDS_MAX);
    must(command[1] != 0x20); /* VERIFY */
    if (command[1] == 0xAE)
        w->last_ac = command[2];
    if (w->card.err < 0 || n == 0xFFFF)
        return DP_ERR_GONE;
    if (n == 0xFFFE) {
        *answer_n = SIZE_MAX;
        return DP_OK;
    }
    fits = n < *answer_n ? n : *answer_n;
    b = dp_read_bytes(&w->card, fits < w->card.left ? fits : w->card.left);
    memset(answer, 0x90, fits);
    if (b.n > 0)
        memcpy(answer, b.p, b.n);
    *answer_n = n;
    return DP_OK;
}

/* ---- what the card is told ---- */

static void bcd(uint64_t v, uint8_t *out, size_t n)
{
    while (n-- > 0) {
        out[n] = (uint8_t)(v % 10 | v / 10 % 10 << 4);
        v /= 100;
    }
}

/* A number as a list asks for it: its last digits, or zeros before it. */
static void must_be_number(const uint8_t *p, size_t n, uint64_t wanted)
{
    uint8_t digits[256];
    must(n <= sizeof digits);
    bcd(wanted, digits, n);
    must(memcmp(p, digits, n) == 0);
}

static void told(struct world *w, const struct list *list, const uint8_t *p, size_t n)
{
    const struct dp_emv_transaction *t = &w->transaction;
    struct dp_tlv_dol_entry e;
    size_t at = 0, before = 0;
    while (dp_tlv_dol_next((struct dp_bytes){list->p, list->n}, &at, &e) == DP_OK) {
        must(e.length <= n - before);
        if (e.tag == 0x9F02) {
            must_be_number(p + before, e.length, (uint64_t)t->amount.minor);
            w->amount_told = w->amount_told || e.length == 6;
        } else if (e.tag == 0x5F2A) {
            must_be_number(p + before, e.length, t->amount.currency);
        } else if (e.tag == 0x9C && e.length == 1) {
            must(p[before] == t->type);
        } else if (e.tag == 0x9F37) {
            must(e.length == 4 && memcmp(p + before, t->unpredictable_number, 4) == 0);
        }
        before += e.length;
    }
    must(before == n);
}

static void watch_command(struct world *w, const uint8_t *p, size_t n)
{
    const uint8_t *data = p + 5;
    size_t data_n = n > 5 ? p[4] : 0;
    memcpy(w->command, p, n);
    w->command_n = n;
    if (w->in_pieces)
        return;
    if (p[1] == 0xA8) {
        size_t head = data_n > 1 && data[1] == 0x81 ? 3 : 2;
        must(data_n >= head && data[0] == 0x83);
        told(w, &w->pdol, data + head, data_n - head);
    } else if (p[1] == 0xAE) {
        told(w, w->acs == 0 ? &w->cdol1 : &w->cdol2, data, data_n);
        w->acs++;
    }
}

/* The first that is not empty counts. */
static void keep_list(struct dp_bytes row, uint32_t tag, struct list *out)
{
    struct dp_tlv t;
    size_t at = 0;
    while (out->n == 0 && dp_tlv_next(row, &at, &t) == DP_OK)
        if (t.tag == tag && t.value.n > 0 && t.value.n <= sizeof out->p) {
            memcpy(out->p, t.value.p, t.value.n);
            out->n = t.value.n;
        }
}

static void watch_selection(struct world *w, struct dp_bytes answer)
{
    struct dp_bytes file, own;
    w->pdol.n = w->cdol1.n = w->cdol2.n = 0;
    w->selected =
        dp_tlv_find(answer, 0x6F, &file) == DP_OK && dp_tlv_find(file, 0xA5, &own) == DP_OK;
    w->initiated = false;
    w->acs = 0;
    if (w->selected)
        keep_list(own, 0x9F38, &w->pdol);
}

static void watch_answer(struct world *w, const uint8_t *p, size_t n)
{
    bool record = w->command[1] == 0xB2 && w->initiated && w->command[3] >> 3 <= 10;
    struct dp_bytes inside;
    struct dp_tlv t;
    size_t at = 0;
    w->in_pieces = w->in_pieces || (n >= 2 && (p[n - 2] == 0x61 || p[n - 2] == 0x6C));
    if (n < 2 || w->in_pieces)
        return;
    inside = (struct dp_bytes){p, n - 2};
    if (w->command[1] == 0xA4)
        watch_selection(w, inside);
    else if ((record || w->command[1] == 0xA8) && dp_tlv_next(inside, &at, &t) == DP_OK &&
             t.tag != 0x80) {
        keep_list(t.value, 0x8C, &w->cdol1);
        keep_list(t.value, 0x8D, &w->cdol2);
    }
    w->initiated = w->initiated || w->command[1] == 0xA8;
}

static void watch(void *ctx, bool command, const uint8_t *p, size_t n)
{
    if (command)
        watch_command(ctx, p, n);
    else
        watch_answer(ctx, p, n);
}

/* ---- policy and issuer ---- */

static void no_secrets(struct dp_bytes emv)
{
    struct dp_tlv t;
    size_t at = 0;
    int err;
    must(emv.n <= DP_EMV_ONLINE_DATA_MAX);
    while ((err = dp_tlv_next(emv, &at, &t)) == DP_OK) {
        const struct dp_tlv_tag *known = dp_tlv_tag_find(t.tag);
        must(known != NULL && !known->secret && t.tag != 0x5F24);
    }
    must(err == DP_ERR_NOT_FOUND);
}

static int policy(void *ctx, const struct dp_emv_summary *s, const struct dp_emv_card_data *card,
                  struct dp_emv_policy_answer *answer)
{
    struct world *w = ctx;
    must(!w->policy_asked && memchr(card->pan, '\0', sizeof card->pan) != NULL);
    must(memchr(s->label, '\0', sizeof s->label) != NULL && strlen(card->pan) >= 8);
    must(card->track2_n <= sizeof card->track2);
    w->policy_asked = true;
    answer->verdict =
        (w->terms & POLICY_DECLINES) != 0 ? DP_EMV_POLICY_DECLINE : DP_EMV_POLICY_GO_ON;
    answer->offline_allowed = (w->terms & POLICY_NO_OFFLINE) == 0;
    answer->deferred_allowed = true;
    answer->on_exception_list = (w->terms & ON_EXCEPTION_LIST) != 0;
    return DP_OK;
}

static int online(void *ctx, const struct dp_emv_online_request *request,
                  struct dp_emv_online_answer *answer)
{
    struct world *w = ctx;
    must((w->flags & LINK) != 0 && w->policy_asked);
    no_secrets(request->emv);
    answer->online = (w->flags & ISSUER_ANSWERS) != 0;
    answer->approved = (w->flags & ISSUER_APPROVES) != 0;
    memcpy(answer->arc, "00", 3);
    memset(answer->issuer_authentication, 0x55, 10);
    answer->issuer_authentication_n = 10;
    if (w->scripts.n > 0)
        memcpy(answer->scripts, w->scripts.p, w->scripts.n);
    answer->scripts_n = (uint16_t)w->scripts.n;
    return DP_OK;
}

static void offer(void *ctx, const struct dp_emv_offer *offers, size_t n)
{
    const struct world *w = ctx;
    must(n > 0 && n <= DP_EMV_OFFERS_MAX && !w->initiated);
    for (size_t i = 0; i < n; i++) {
        must(offers[i].aid_n >= 5 && offers[i].aid_n <= sizeof offers[i].aid);
        must(memchr(offers[i].label, '\0', sizeof offers[i].label) != NULL);
        for (size_t j = 0; j < i; j++)
            must(offers[i].aid_n != offers[j].aid_n ||
                 memcmp(offers[i].aid, offers[j].aid, offers[i].aid_n) != 0);
    }
}

/* ---- what holds at the end ---- */

/* The card is good to the last day of its month. */
static bool is_expired(const struct world *w, const char *expiry)
{
    int year = 2000 + (expiry[0] - '0') * 10 + expiry[1] - '0';
    int month = (expiry[2] - '0') * 10 + expiry[3] - '0';
    return strlen(expiry) != 4 ||
           w->transaction.local.year * 12 + w->transaction.local.month > year * 12 + month;
}

static void approved_offline(const struct world *w, const struct dp_emv_result *r)
{
    const struct dp_emv_summary *s = &r->summary;
    const uint8_t forbidden = ON_EXCEPTION_LIST | POLICY_NO_OFFLINE | POLICY_DECLINES | REFUND;
    bool contact = s->interface == DP_INTERFACE_CONTACT;
    must(w->policy_asked && (w->flags & NO_OFFLINE) == 0 && (w->terms & forbidden) == 0);
    must(s->authentication == (contact ? DP_EMV_AUTH_CDA : DP_EMV_AUTH_FDDA));
    must(s->authentication_result == DP_EMV_AUTH_PASSED && (s->tvr[0] & 0xDC) == 0);
    must((s->cid & 0xC0) == 0x40 && r->emv_n > 0 && (s->tvr[1] & 0x40) == 0);
    must(!is_expired(w, r->card.expiry));
    must((s->tvr[2] & 0x80) == 0 && s->cvm_results[2] != 0x01); /* the holder */
    if (contact) {
        /* asked for a signed TC, told the amount, and below the floor */
        must(w->in_pieces || w->amount_told);
        must(s->cvm_results[0] != 0x3F); /* a rule of its list was applied */
        must(w->last_ac == 0x50 && w->transaction.amount.minor < FLOOR_LIMIT);
    } else {
        must(s->kernel == 3 &&
             (uint64_t)w->transaction.amount.minor <= w->transaction.kernel3_offline_max);
    }
}

/* What failed a check now is not left for the issuer to find. */
static void deferred(const struct world *w, const struct dp_emv_result *r)
{
    const struct dp_emv_summary *s = &r->summary;
    must(s->authentication_result != DP_EMV_AUTH_FAILED && r->emv_n > 0);
    must((w->terms & (POLICY_DECLINES | ON_EXCEPTION_LIST)) == 0);
    must((w->flags & LINK) == 0 || (w->flags & ISSUER_ANSWERS) == 0);
    must(!is_expired(w, r->card.expiry));
    must((s->tvr[0] & 0x5C) == 0 && (s->tvr[1] & 0x60) == 0 && (s->tvr[2] & 0x80) == 0);
    must(s->cvm_results[0] != 0x3F);
}

/* As the vault holds it against its order before it writes it into the journal. */
static void journal_takes(const struct world *w, const struct dp_emv_result *r)
{
    static struct dp_payment vault;
    vault.door.transaction = w->transaction;
    vault.door.request.amount = w->transaction.amount;
    must(claims_amount(&vault, r->emv, r->emv_n));
}

static void check(const struct world *w, int err, const struct dp_emv_result *r)
{
    const struct dp_emv_summary *s = &r->summary;
    must(r->outcome >= DP_EMV_APPROVED_OFFLINE && r->outcome <= DP_EMV_ENDED);
    must(memchr(r->words, '\0', sizeof r->words) != NULL);
    must(err == DP_OK || r->outcome == DP_EMV_ENDED);
    no_secrets((struct dp_bytes){r->emv, r->emv_n});
    must(r->script_results_n <= sizeof r->script_results && r->script_results_n % 5 == 0);
    if (r->outcome == DP_EMV_APPROVED_OFFLINE)
        approved_offline(w, r);
    if (r->outcome == DP_EMV_APPROVED_OFFLINE || r->outcome == DP_EMV_APPROVED_ONLINE ||
        r->outcome == DP_EMV_DEFERRED || r->outcome == DP_EMV_REVERSE)
        journal_takes(w, r);
    /* a phone's word that it knows its owner counts only when it is signed */
    if (s->cvm == DP_EMV_CVM_DEVICE)
        must(s->authentication_result == DP_EMV_AUTH_PASSED);
    if (r->outcome == DP_EMV_APPROVED_ONLINE || r->outcome == DP_EMV_REVERSE)
        must(r->went_online && (w->flags & ISSUER_APPROVES) != 0 &&
             (w->terms & POLICY_DECLINES) == 0);
    if (r->outcome == DP_EMV_DEFERRED)
        deferred(w, r);
    if ((w->flags & FAILURE_DECLINES) != 0 && s->authentication_result == DP_EMV_AUTH_FAILED)
        must(r->outcome != DP_EMV_APPROVED_ONLINE && r->outcome != DP_EMV_DEFERRED);
}

/* ---- one payment ---- */

static void order(struct world *w)
{
    w->transaction = (struct dp_emv_transaction){.amount = {2350, 978, 2},
                                                 .local = {2026, 11, 24, 10, 30, 0},
                                                 .unpredictable_number = {0xA1, 0xB2, 0xC3, 0xD4},
                                                 .random = {0, 0, 0, 49},
                                                 .sequence = 17,
                                                 .deferred_allowed = true};
    w->transaction.online_possible = (w->flags & LINK) != 0;
    w->transaction.offline_allowed = (w->flags & NO_OFFLINE) == 0;
    w->transaction.kernel3_offline_max = (w->terms & NO_CEILING) != 0 ? 0 : KERNEL3_CEILING;
    w->transaction.oda_failure_declines = (w->flags & FAILURE_DECLINES) != 0;
    if ((w->terms & OVER_FLOOR_LIMIT) != 0)
        w->transaction.amount.minor = FLOOR_LIMIT + 1000;
    if ((w->terms & YEARS_LATER) != 0)
        w->transaction.local.year = 2029;
    if ((w->terms & REFUND) != 0)
        w->transaction.type = 0x20;
}

static void payment(struct world *w)
{
    struct dp_emv_aid aids[2] = {application, application};
    struct dp_emv_aid *aid = &aids[0], *taps = &aids[1];
    struct dp_emv_terminal terminal = {.tid = "DP000001",
                                       .mid = "DOORPAYTEST0001",
                                       .mcc = "4215",
                                       .merchant_name = "Doorpay test post",
                                       .acquirer_id = "999999",
                                       .country = 56,
                                       .type = 0x22,
                                       .capabilities = {0x20, 0x28, 0xC8},
                                       .additional_capabilities = {0x60, 0x00, 0xF0, 0xF0, 0x01},
                                       .ifd_serial = "00000001",
                                       .aids_n = 2,
                                       .ca_keys = ca_keys,
                                       .ca_keys_n = 3};
    struct dp_emv_ops ops = {w, policy, online, NULL, NULL, NULL, offer};
    struct dp_card_info info = {.interface = DP_INTERFACE_CONTACT, .protocol = DP_PROTOCOL_T1};
    static struct dp_emv_result result;
    struct dp_card_reader reader;
    struct dp_card card;
    aid->partial = (w->flags & PARTIAL) != 0;
    taps->kernel = 3;
    taps->cl_transaction_limit = 50000;
    taps->cl_cvm_limit = (w->flags & PARTIAL) != 0 ? 1000 : 5000;
    taps->cl_floor_limit = 5000;
    memcpy(taps->ttq, "\x33\x00\x40\x00", 4);
    if ((w->terms & CODES_EMPTY) != 0) {
        memset(aid->tac_online, 0, sizeof aid->tac_online);
        memset(aid->tac_default, 0, sizeof aid->tac_default);
    }
    terminal.aids = aids;
    order(w);
    if ((w->flags & ON_T0) != 0)
        info.protocol = DP_PROTOCOL_T0;
    if ((w->flags & CONTACTLESS) != 0)
        info.interface = DP_INTERFACE_CONTACTLESS;
    must(dp_reader_callback_open(card_speaks, w, &info, &reader) == DP_OK);
    must(dp_card_connect(&card, &reader, 1000) == DP_OK);
    card.tap = watch;
    card.tap_ctx = w;
    check(w, dp_emv_perform(kernel, &card, &terminal, &w->transaction, &ops, &result), &result);
    reader.ops->close(reader.ctx);
    dp_emv_result_wipe(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    uint8_t second;
    memset(&w, 0, sizeof w);
    dp_reader_init(&w.card, data, size);
    w.flags = dp_read_u8(&w.card);
    second = dp_read_u8(&w.card);
    if ((second & HAS_TERMS) != 0)
        w.terms = dp_read_u8(&w.card);
    w.scripts = dp_read_bytes(&w.card, second & 0x7F);
    if (w.card.err < 0)
        return 0;
    payment(&w);
    return 0;
}
