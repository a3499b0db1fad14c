/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "chip.h"
#include "dukpt.h"

/* Action codes of DE39 (docs/PROTOCOL.acquirer). */
#define APPROVED       "000"
#define NO_SUCH_CARD   "111"
#define NOT_PERMITTED  "120"
#define EXPIRED_CARD   "101"
#define COUNTERFEIT    "129"
#define TAKEN_BACK     "400"
#define IN_BALANCE     "500"
#define OUT_OF_BALANCE "501"
#define ACCEPTED       "800"
#define FORMAT_ERROR   "904"
#define DUPLICATE      "913"
#define MAC_INCORRECT  "916"

/* Test card numbers, and no others, lie between these. */
#define BIN_FIRST "999901"
#define BIN_LAST  "999909"

/* One message on its way through the host. */
struct job {
    struct sim_host *h;
    int64_t connection, now_ms;
    const char *certified; /* TID of the certificate */
    struct sim_iso in, out;
    struct sim_request q;
    struct sim_card_data card;
    struct sim_card_short shown;
    struct sim_chip chip;
    bool chip_good; /* the cryptogram is right: the issuer may answer the card */
    char auth_code[7], action[4], why[160];
    struct sim_buf de55;
    bool again; /* a repeat, answered as before */
};

int sim_host_open(struct sim_host *h, const char *keys_dir, const char *books)
{
    char path[4096];
    int err = sim_read_hex_file(sim_path(path, sizeof path, keys_dir, "bdk.hex"), h->bdk, 16);
    if (err == DP_OK)
        err = sim_issuer_keys_load(keys_dir, &h->issuer);
    if (err == DP_OK)
        err = sim_seal_load(keys_dir, &h->seal);
    if (err != DP_OK) {
        dp_log(DP_LOG_ERROR, "%s: keys: %s", keys_dir, dp_strerr(err));
        return err;
    }
    if (h->mac_n == 0)
        h->mac_n = 8;
    return sim_books_open(&h->books, books);
}

void sim_host_close(struct sim_host *h)
{
    sim_books_close(&h->books);
    sim_seal_free(&h->seal);
    OPENSSL_cleanse(h->bdk, sizeof h->bdk);
    OPENSSL_cleanse(&h->issuer, sizeof h->issuer);
}

/* The answer's action code, and why, for the books. Returns the code's wish to go on: false. */
static bool refuse(struct job *j, const char *action, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool refuse(struct job *j, const char *action, const char *format, ...)
{
    va_list args;
    (void)snprintf(j->action, sizeof j->action, "%s", action);
    va_start(args, format);
    (void)vsnprintf(j->why, sizeof j->why, format, args);
    va_end(args);
    return false;
}

/* ---- MAC and key serial number ---- */

static int mac_of(const struct job *j, enum sim_dukpt_usage usage, const uint8_t *p, size_t n,
                  uint8_t mac[16])
{
    struct dp_bytes ksn = sim_iso_bytes(&j->in, 53);
    uint8_t ik[16], key[16];
    int err = ksn.n == SIM_DUKPT_KSN ? sim_dukpt_initial_key(j->h->bdk, ksn.p, ik) : DP_ERR_FORMAT;
    if (err == DP_OK)
        err = sim_dukpt_working_key(ik, ksn.p, usage, key);
    if (err == DP_OK)
        err = sim_cmac_of_digest(key, p, n, mac);
    OPENSSL_cleanse(ik, sizeof ik);
    OPENSSL_cleanse(key, sizeof key);
    return err;
}

/* DP_ERR_SIGNATURE: wrong; anything else but DP_OK: no key, so no answer either. */
static int check_mac(const struct job *j, const uint8_t *p, size_t n)
{
    struct dp_bytes got = sim_iso_mac(&j->in);
    uint8_t mac[16];
    int err = mac_of(j, SIM_DUKPT_MAC_GENERATE, p, n - got.n, mac);
    if (err == DP_OK && (got.n != j->h->mac_n || CRYPTO_memcmp(mac, got.p, got.n) != 0))
        err = DP_ERR_SIGNATURE;
    return err;
}

/* A counter only rises, and a key is one terminal's. *err: the books failed. */
static bool take_ksn(struct job *j, int *err)
{
    const uint8_t *ksn = sim_iso_bytes(&j->in, 53).p;
    uint32_t counter =
        (uint32_t)ksn[8] << 24 | (uint32_t)ksn[9] << 16 | (uint32_t)ksn[10] << 8 | ksn[11];
    uint32_t last = 0;
    char id[17], tid[9];
    (void)dp_hex_encode(ksn, SIM_DUKPT_ID, id, sizeof id);
    *err = sim_books_ksn(&j->h->books, id, &last, tid);
    if (*err == DP_OK && strcmp(tid, j->certified) != 0)
        return refuse(j, MAC_INCORRECT, "the key %s is another terminal's", id);
    if (*err == DP_OK && counter <= last)
        return refuse(j, MAC_INCORRECT, "KSN counter %u after %u", counter, last);
    if (*err == DP_ERR_NOT_FOUND || *err == DP_OK)
        *err = sim_books_ksn_set(&j->h->books, id, j->certified, counter);
    return *err == DP_OK;
}

/* ---- the card ---- */

static void shorten(struct job *j)
{
    size_t n = strlen(j->card.pan);
    DP_ASSERT(n >= 8 && n < sizeof j->shown.masked);
    (void)snprintf(j->shown.bin, sizeof j->shown.bin, "%.6s", j->card.pan);
    (void)snprintf(j->shown.last4, sizeof j->shown.last4, "%s", j->card.pan + n - 4);
    memset(j->shown.masked, '*', n);
    memcpy(j->shown.masked, j->shown.bin, 6);
    memcpy(j->shown.masked + n - 4, j->shown.last4, 5);
}

static bool clear_card(struct job *j)
{
    const struct sim_iso *m = &j->in;
    const char *track2 = sim_iso_text(m, 35);
    size_t n = m->n[2];
    if (n < 12)
        return refuse(j, FORMAT_ERROR, "DE2 is too short");
    (void)snprintf(j->card.pan, sizeof j->card.pan, "%s", sim_iso_text(m, 2));
    (void)snprintf(j->card.expiry, sizeof j->card.expiry, "%s", sim_iso_text(m, 14));
    j->card.psn = m->has[23] ? (int)strtoul(sim_iso_text(m, 23), NULL, 10) : -1;
    if (j->card.psn > 99)
        return refuse(j, FORMAT_ERROR, "DE23 is over 99");
    if (m->has[35] && (strncmp(track2, j->card.pan, n) != 0 || track2[n] != 'D'))
        return refuse(j, FORMAT_ERROR, "DE35 is another card's than DE2");
    return true;
}

static bool sealed_card(struct job *j)
{
    int err = sim_seal_read(&j->h->seal, j->q.journal, j->q.tx, j->q.tid,
                            sim_iso_bytes(&j->in, 120), &j->card);
    if (err != DP_OK)
        return refuse(j, FORMAT_ERROR, "DE120 does not open: %s", dp_strerr(err));
    if (j->card.track2_n > 0 && (j->q.mode != SIM_MODE_DEFERRED || j->q.mti == 1220))
        return refuse(j, FORMAT_ERROR, "DE120 has track 2 in what is no deferred authorisation");
    return true;
}

static bool take_card(struct job *j)
{
    if (j->in.has[120] ? !sealed_card(j) : !clear_card(j))
        return false;
    shorten(j);
    if (strncmp(j->card.pan, BIN_FIRST, 6) < 0 || strncmp(j->card.pan, BIN_LAST, 6) > 0)
        return refuse(j, NO_SUCH_CARD, "no test card number");
    return true;
}

/* Is DE55 about this payment, and of the kind it should be? */
static bool chip_agrees(struct job *j)
{
    const struct sim_ac_input *in = &j->chip.input;
    uint32_t wrong = 0;
    int err = sim_chip_read(sim_iso_bytes(&j->in, 55), &j->chip, &wrong);
    int kind = j->chip.cid & 0xC0;
    if (err != DP_OK)
        return refuse(j, FORMAT_ERROR, "DE55 tag %X: %s", wrong, dp_strerr(err));
    if (j->chip.carries_card_no && j->in.has[120])
        return refuse(j, FORMAT_ERROR, "DE55 has the card number in the clear");
    if (sim_bcd_value(in->amount, 6) != j->q.amount)
        return refuse(j, FORMAT_ERROR, "DE55 is about another amount than DE4");
    if (sim_bcd_value(in->currency, 2) != j->q.currency)
        return refuse(j, FORMAT_ERROR, "DE55 is about another currency than DE49");
    if (j->chip.cid < 0)
        return true;
    if (j->q.mti == 1220 ? kind != 0x40 && (j->q.mode == SIM_MODE_OFFLINE || kind != 0x80)
                         : kind != 0x80)
        return refuse(j, FORMAT_ERROR, "9F27 %02X is not this message's cryptogram",
                      (unsigned)j->chip.cid);
    return true;
}

/* The same cryptogram serves one transaction, and there once unless it was taken back before. An
 * advice completes what its own cryptogram authorised. */
static bool is_fresh(struct job *j, const struct sim_sale *live, int *err)
{
    char key[80], ac[17], atc[5];
    uint8_t tx[16];
    (void)snprintf(key, sizeof key, "%s %d %s %s", j->shown.masked, j->card.psn,
                   dp_hex_encode(j->chip.input.atc, 2, atc, sizeof atc),
                   dp_hex_encode(j->chip.ac, 8, ac, sizeof ac));
    *err = sim_books_cryptogram(&j->h->books, key, tx);
    if (*err == DP_OK && memcmp(tx, j->q.tx, 16) != 0)
        return refuse(j, COUNTERFEIT, "the cryptogram was seen in another transaction");
    if (*err == DP_ERR_NOT_FOUND)
        *err = sim_books_cryptogram_set(&j->h->books, key, j->q.tx);
    if (*err != DP_OK)
        return false;
    if (live->id != 0 && (j->q.mti != 1220 || live->captured))
        return refuse(j, DUPLICATE, "the transaction is %s already", sim_state_name(live->state));
    return true;
}

/* ---- payments ---- */

static bool issuer_agrees(struct job *j, const struct sim_sale *live, int *err)
{
    const char *code = NULL;
    if (!take_card(j) || !chip_agrees(j))
        return false;
    if (sim_chip_verify(&j->chip, &j->h->issuer, &j->card) != DP_OK)
        return refuse(j, COUNTERFEIT, "the cryptogram is wrong");
    if (!is_fresh(j, live, err))
        return false;
    j->chip_good = true;
    if (strcmp(sim_iso_text(&j->in, 3), "000000") != 0)
        return refuse(j, NOT_PERMITTED, "no refunds: a sale is taken back by 1420");
    if (j->q.mti == 1220)
        return true; /* the money is spent: an advice is taken, not asked about */
    if (strncmp(j->card.expiry, sim_iso_text(&j->in, 12), 4) < 0)
        return refuse(j, EXPIRED_CARD, "the card's last month was %s", j->card.expiry);
    if (j->q.mode == SIM_MODE_DEFERRED)
        code = sim_refusal(&j->h->faults.refuse_deferred);
    if (code == NULL)
        code = sim_refusal(&j->h->faults.refuse);
    return code == NULL || refuse(j, code, "refused by rule");
}

static bool matches_authorisation(struct job *j, const struct sim_sale *live)
{
    if (live->id == 0 && j->q.mode != SIM_MODE_OFFLINE)
        (void)snprintf(j->why, sizeof j->why, "no authorisation of this transaction is known");
    if (live->id != 0 && (live->amount != j->q.amount || live->currency != j->q.currency))
        return refuse(j, FORMAT_ERROR, "another amount than was authorised");
    return true;
}

/* What is decided goes into the books. */
static int book(struct job *j, const struct sim_sale *live)
{
    struct sim_sale sale = *live;
    bool approved = strcmp(j->action, APPROVED) == 0;
    int err;
    if (approved && j->q.mti == 1220 && live->id != 0)
        return sim_books_sale_capture(&j->h->books, &j->q, live->id, j->now_ms);
    memset(&sale, 0, sizeof sale);
    if (approved)
        sale.state = j->q.mti == 1100 ? SIM_STATE_AUTHORISED : SIM_STATE_CAPTURED;
    sale.captured = approved && j->q.mti != 1100;
    if (approved && j->q.mti != 1220) {
        unsigned char r[3];
        if (RAND_bytes(r, sizeof r) != 1)
            return DP_ERR_RANDOM;
        (void)snprintf(j->auth_code, sizeof j->auth_code, "%02X%02X%02X", r[0], r[1], r[2]);
    } else if (j->in.has[38]) {
        (void)snprintf(j->auth_code, sizeof j->auth_code, "%s", sim_iso_text(&j->in, 38));
    }
    memcpy(sale.auth_code, j->auth_code, sizeof sale.auth_code);
    err = sim_books_sale_add(&j->h->books, &j->q, &j->shown, j->action, j->now_ms, &sale);
    if (j->q.mti == 1220)
        j->auth_code[0] = '\0';
    return err;
}

static int payment(struct job *j)
{
    struct sim_sale live;
    bool reversed = false, good;
    int err = sim_books_sale_live(&j->h->books, j->q.tid, j->q.tx, &live);
    if (err == DP_ERR_NOT_FOUND) {
        memset(&live, 0, sizeof live);
        err = DP_OK;
    }
    if (err == DP_OK)
        err = sim_books_was_reversed(&j->h->books, &j->q, &reversed);
    if (err != DP_OK)
        return err;
    if (reversed)
        good = refuse(j, DUPLICATE, "it was taken back before it came");
    else
        good =
            issuer_agrees(j, &live, &err) && (j->q.mti != 1220 || matches_authorisation(j, &live));
    if (good)
        memcpy(j->action, APPROVED, 4);
    return err == DP_OK ? book(j, &live) : err;
}

/* ---- reversals, totals, network ---- */

static int reversal(struct job *j)
{
    const struct sim_request *q = &j->q;
    struct sim_sale sale;
    int err = sim_books_sale_by_message(&j->h->books, q->tid, q->original_mti, q->original_stan,
                                        q->original_local, &sale);
    if (err == DP_ERR_NOT_FOUND) {
        memset(&sale, 0, sizeof sale);
        (void)snprintf(j->why, sizeof j->why, "the original is unknown");
    } else if (err != DP_OK) {
        return err;
    } else if (sale.amount != q->amount || sale.currency != q->currency) {
        (void)refuse(j, FORMAT_ERROR, "another amount than the original's");
        return DP_OK;
    } else if (memcmp(sale.tx, q->tx, 16) != 0) {
        (void)refuse(j, FORMAT_ERROR, "another transaction than the original's");
        return DP_OK;
    }
    memcpy(j->action, TAKEN_BACK, 4);
    err = sim_books_reversal_add(&j->h->books, q, sale.id, j->now_ms);
    if (err == DP_OK && (sale.state == SIM_STATE_AUTHORISED || sale.state == SIM_STATE_CAPTURED))
        err = sim_books_sale_reverse(&j->h->books, q, sale.id, j->now_ms);
    return err;
}

static void put_total(struct sim_iso *m, unsigned de, int digits, uint64_t v)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%0*llu", digits, (unsigned long long)v);
    sim_iso_set_text(m, de, text);
}

static int totals(struct job *j)
{
    struct sim_totals own;
    char net[18];
    bool balanced;
    int err = sim_books_totals(&j->h->books, j->q.tid, j->q.batch, &own);
    if (err != DP_OK)
        return err;
    balanced = memcmp(&own, &j->q.totals, sizeof own) == 0;
    memcpy(j->action, balanced ? IN_BALANCE : OUT_OF_BALANCE, 4);
    put_total(&j->out, 74, 10, 0);
    put_total(&j->out, 75, 10, 0);
    put_total(&j->out, 76, 10, own.debits_n);
    put_total(&j->out, 77, 10, own.reversals_n);
    put_total(&j->out, 86, 16, 0);
    put_total(&j->out, 87, 16, 0);
    put_total(&j->out, 88, 16, own.debits_amount);
    put_total(&j->out, 89, 16, own.reversals_amount);
    sim_totals_net(&own, net);
    sim_iso_set_text(&j->out, 97, net);
    return sim_books_batch_set(&j->h->books, &j->q, &own, balanced, j->now_ms);
}

static int decide(struct job *j)
{
    if (j->q.mti == 1420)
        return reversal(j);
    if (j->q.mti == 1520)
        return totals(j);
    if (j->q.mti == 1804) {
        if (j->q.function == 811)
            (void)refuse(j, FORMAT_ERROR, "keys are DUKPT's: there is none to change");
        else
            memcpy(j->action, ACCEPTED, 4);
        return DP_OK;
    }
    return payment(j);
}

/* ---- once and again ---- */

static void content_of(const struct job *j, char *out, size_t n)
{
    char tx[33];
    (void)snprintf(out, n, "%llu %u %s %u %s %s", (unsigned long long)j->q.amount, j->q.currency,
                   dp_hex_encode(j->q.tx, 16, tx, sizeof tx), j->q.original_mti, j->q.original_stan,
                   j->q.original_local);
}

/* What may be sent again (advices, reversals) is answered again the same and booked once; a request
 * is sent once in its life. Totals and network messages are decided anew each time. */
static int once(struct job *j)
{
    struct sim_answered before, now;
    bool may_repeat = j->q.mti == 1220 || j->q.mti == 1420;
    int err;
    if (j->q.mti == 1520 || j->q.mti == 1804)
        return decide(j);
    content_of(j, now.content, sizeof now.content);
    err = sim_books_answered(&j->h->books, &j->q, &before);
    if (err == DP_OK) {
        if (may_repeat && strcmp(before.content, now.content) == 0) {
            (void)refuse(j, before.action, "again, answered as before");
            j->again = true;
        } else {
            (void)refuse(j, DUPLICATE, "TID, STAN and DE12 were there before");
        }
        return DP_OK;
    }
    if (err == DP_ERR_NOT_FOUND)
        err = decide(j);
    memcpy(now.action, j->action, sizeof now.action);
    return err == DP_OK ? sim_books_answered_set(&j->h->books, &j->q, &now) : err;
}

/* ---- the answer ---- */

static void echo(struct job *j)
{
    static const uint8_t all[] = {7, 11, 12, 41, 53}, money[] = {3, 4, 37, 42, 49};
    unsigned mti = (unsigned)strtoul(j->in.mti, NULL, 10) / 10 * 10;
    for (size_t i = 0; i < sizeof all; i++)
        if (j->in.has[all[i]])
            sim_iso_set(&j->out, all[i], sim_iso_text(&j->in, all[i]), j->in.n[all[i]]);
    for (size_t i = 0; i < sizeof money; i++)
        if (mti < 1800 && j->in.has[money[i]])
            sim_iso_set(&j->out, money[i], sim_iso_text(&j->in, money[i]), j->in.n[money[i]]);
}

/* What the issuer sends the card: only with an authorisation whose cryptogram was right. */
static int issuer_answer(struct job *j)
{
    struct sim_faults *f = &j->h->faults;
    int err;
    j->de55.n = 0;
    if (!j->chip_good || j->q.mti == 1220)
        return DP_OK;
    err = sim_chip_answer(&j->chip, strcmp(j->action, APPROVED) == 0 ? "00" : "05", &j->de55);
    if (err == DP_OK && f->script_left > 0) {
        f->script_left--;
        err = sim_chip_script(&j->chip, f->script, f->script_n, &j->de55);
    }
    if (err == DP_OK && f->pin_left > 0) {
        f->pin_left--;
        err = sim_chip_pin_change(&j->chip, f->pin, f->pin_before[0] != '\0' ? f->pin_before : NULL,
                                  &j->de55);
    }
    if (err == DP_OK)
        sim_iso_set(&j->out, 55, j->de55.p, j->de55.n);
    return err;
}

/* Another value of the same form. */
static void falsify(struct job *j, unsigned de)
{
    char *text = j->out.pool + j->out.at[de];
    size_t last = j->out.n[de];
    if (de == 0) {
        memcpy(j->out.mti, strcmp(j->out.mti, "1210") == 0 ? "1430" : "1210", 5);
    } else if (j->out.has[de] && de == 49) {
        memcpy(text, strcmp(text, "978") == 0 ? "840" : "978", 3);
    } else if (j->out.has[de] && last > 0) {
        while (last > 1 && text[last - 1] == ' ')
            last--;
        text[last - 1] = text[last - 1] == '1' ? '2' : '1';
    }
}

static int pack(struct job *j, struct sim_host_answer *out)
{
    uint8_t mac[16];
    int err = sim_iso_encode(&j->out, j->h->mac_n, &out->frame);
    if (err == DP_OK)
        err = mac_of(j, SIM_DUKPT_MAC_VERIFY, out->frame.p, out->frame.n - j->h->mac_n, mac);
    if (err == DP_OK)
        memcpy(out->frame.p + out->frame.n - j->h->mac_n, mac, j->h->mac_n);
    return err;
}

static void make_noise(struct sim_buf *frame)
{
    uint8_t size = 0;
    if (RAND_bytes(&size, 1) != 1 || RAND_bytes(frame->p, size / 2 + 1) != 1)
        frame->p[0] = size;
    frame->n = size / 2u + 1;
}

/* *done names what was done to it; for the books. */
static int do_wrong(struct job *j, struct sim_host_answer *out, char *done, size_t done_n)
{
    struct sim_faults *f = &j->h->faults;
    unsigned mti = (unsigned)strtoul(j->in.mti, NULL, 10);
    bool strikes[SIM_FAULTS];
    int err = DP_OK;
    size_t n = 0;
    for (int i = 0; i < SIM_FAULTS; i++) {
        strikes[i] = i != SIM_FAULT_LOSE && sim_fault_strikes(f, (enum sim_fault)i, mti);
        if (strikes[i] && n < done_n)
            n += (size_t)snprintf(done + n, done_n - n, "%s%s", n > 0 ? " " : "",
                                  sim_fault_name((enum sim_fault)i));
    }
    if (strikes[SIM_FAULT_WRONG_MATCH]) {
        falsify(j, f->wrong_element);
        err = pack(j, out);
    }
    if (strikes[SIM_FAULT_WRONG_MAC])
        out->frame.p[out->frame.n - 1] ^= 1;
    if (strikes[SIM_FAULT_GARBAGE])
        make_noise(&out->frame);
    out->times = strikes[SIM_FAULT_DROP] ? 0 : strikes[SIM_FAULT_DUPLICATE] ? 2 : 1;
    out->delay_ms = f->delay_ms + (strikes[SIM_FAULT_LATE] ? f->late_ms : 0);
    return err;
}

static int answer(struct job *j, struct sim_host_answer *out)
{
    struct sim_message_row row = {.at_ms = j->now_ms, .connection = j->connection, .iso = &j->out};
    char mti[5], done[96] = "", note[260];
    int err;
    (void)snprintf(mti, sizeof mti, "%s", j->in.mti);
    mti[2]++; /* xx0x and xx2x to xx1x and xx3x */
    mti[3] = mti[3] == '1' ? '0' : mti[3];
    memcpy(j->out.mti, mti, sizeof mti);
    echo(j);
    sim_iso_set_text(&j->out, 39, j->action);
    if (j->auth_code[0] != '\0' && (j->q.mti == 1100 || j->q.mti == 1200))
        sim_iso_set_text(&j->out, 38, j->auth_code);
    err = issuer_answer(j);
    if (err == DP_OK)
        err = pack(j, out);
    if (err == DP_OK)
        err = do_wrong(j, out, done, sizeof done);
    if (err != DP_OK)
        return err;
    (void)snprintf(note, sizeof note, "%s%s%s", j->why, done[0] != '\0' && j->why[0] ? "; " : "",
                   done);
    row.sent = out->times > 0;
    row.note = note;
    row.tid = sim_iso_text(&j->out, 41);
    row.batch = j->q.batch;
    row.mode = j->q.mode;
    row.tx = j->q.has_tx ? j->q.tx : NULL;
    row.pan = j->shown.masked;
    return sim_books_message(&j->h->books, &row);
}

/* ---- a message ---- */

static int note_request(struct job *j, const struct sim_iso *iso, const char *why)
{
    struct sim_message_row row = {.at_ms = j->now_ms,
                                  .connection = j->connection,
                                  .incoming = true,
                                  .sent = true,
                                  .iso = iso,
                                  .tid = j->certified,
                                  .pan = j->shown.masked,
                                  .note = why,
                                  .batch = j->q.batch,
                                  .mode = j->q.mode,
                                  .tx = j->q.has_tx ? j->q.tx : NULL};
    dp_log(why != NULL && *why != '\0' ? DP_LOG_WARNING : DP_LOG_INFO, "%s %s STAN %s: %s %s",
           j->certified, j->in.mti, sim_iso_text(&j->in, 11), j->action, why == NULL ? "" : why);
    return sim_books_message(&j->h->books, &row);
}

/* Everything before the message's own business. True: it may be decided. */
static bool examine(struct job *j, int *err)
{
    *err = DP_OK;
    if (!take_ksn(j, err))
        return false;
    if (sim_request_read(&j->in, &j->q, j->why, sizeof j->why) != DP_OK) {
        memcpy(j->action, FORMAT_ERROR, 4);
        return false;
    }
    if (strcmp(j->q.tid, j->certified) != 0)
        return refuse(j, FORMAT_ERROR, "DE41 is not the TID of the certificate");
    return true;
}

static bool is_answerable(const char *mti)
{
    static const char *const requests[] = {"1100", "1200", "1220", "1221",
                                           "1420", "1421", "1520", "1804"};
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        if (strcmp(mti, requests[i]) == 0)
            return true;
    return false;
}

static int take(struct job *j, const uint8_t *p, size_t n, struct sim_host_answer *out)
{
    char why[96];
    unsigned wrong = 0;
    int err = sim_iso_decode(p, n, &j->in, &wrong);
    if (err != DP_OK) {
        (void)snprintf(why, sizeof why, "not decodable at DE%u: %s", wrong, dp_strerr(err));
        return note_request(j, NULL, why);
    }
    if (!is_answerable(j->in.mti))
        return note_request(j, &j->in, "no request of a terminal: no answer");
    err = check_mac(j, p, n);
    if (err != DP_OK && err != DP_ERR_SIGNATURE)
        return note_request(j, &j->in, "no usable key serial number: no answer");
    if (err == DP_ERR_SIGNATURE)
        (void)refuse(j, MAC_INCORRECT, "the MAC is wrong");
    else if (examine(j, &err))
        err = once(j);
    else if (err != DP_OK)
        return err;
    if (err != DP_OK && err != DP_ERR_SIGNATURE)
        return err;
    err = note_request(j, &j->in, j->why);
    return err == DP_OK ? answer(j, out) : err;
}

int sim_host_take(struct sim_host *h, int64_t connection, const char *tid, const uint8_t *p,
                  size_t n, struct sim_host_answer *out)
{
    struct job *j = calloc(1, sizeof *j);
    unsigned mti = n < 2 ? 0 : (unsigned)sim_bcd_value(p, 2);
    int err;
    if (j == NULL)
        return DP_ERR_NOMEM;
    out->times = 0;
    out->frame.n = 0;
    j->h = h;
    j->connection = connection;
    j->now_ms = dp_clock_system()->wall_ms(NULL);
    j->certified = tid;
    h->taken++;
    err = sim_books_begin(&h->books);
    if (err == DP_OK && sim_fault_strikes(&h->faults, SIM_FAULT_LOSE, mti)) {
        err = note_request(j, NULL, "lose");
    } else if (err == DP_OK) {
        err = take(j, p, n, out);
    }
    if (err == DP_OK)
        err = sim_books_commit(&h->books);
    else if (sqlite3_get_autocommit(h->books.db) == 0)
        (void)sqlite3_exec(h->books.db, "ROLLBACK", NULL, NULL, NULL);
    if (err != DP_OK)
        out->times = 0;
    h->answered += out->times;
    OPENSSL_cleanse(j, sizeof *j);
    free(j);
    return err;
}
