/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole conversation with a host that another maker wrote: the simulated acquirer, with its own
 * packing, DUKPT and HPKE, in this process; and a real key store instead of a double. Books on both
 * sides must agree at the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <psa/crypto.h>

#include <doorpay/acquirer.h>
#include <doorpay/sealed.h>

#include "base/hex.h"
#include "base/limits.h"
#include "sim/dukpt.h"
#include "sim/host.h"
#include "sim/issuer.h"

#define TID "T0000001"
#define PAN "9999010000000017"

static struct sim_host host;
static struct sim_host_answer host_answer;
static struct dp_hsm *hsm;
static struct dp_acquirer *a;
static struct dp_acquirer_answer answer;
static char folder[64], remove_it[96];
static uint8_t sealing_key[65], journal[16];
static uint8_t packed[DP_ISO8583_MESSAGE_MAX], masked[DP_ISO8583_MESSAGE_MAX];
static size_t packed_n;
static uint16_t atc;
static bool dual, clear;
static uint8_t mac_len;

/* ---- both sides ---- */

static void make_acquirer(void)
{
    struct dp_acquirer_config c;
    memset(&c, 0, sizeof c);
    (void)snprintf(c.tid, sizeof c.tid, TID);
    (void)snprintf(c.mid, sizeof c.mid, "MERCHANT0000001");
    (void)snprintf(c.acquirer_id, sizeof c.acquirer_id, "123456");
    c.currency = 978;
    c.exponent = 2;
    c.mac_len = mac_len;
    c.dual = dual;
    c.clear_card = clear;
    c.online_timeout_ms = c.retry_first_ms = c.retry_max_ms = 1000;
    memcpy(c.journal, journal, sizeof c.journal);
    c.hsm = hsm;
    c.clock = dp_clock_system();
    c.random = dp_random_system();
    assert_int_equal(dp_acquirer_new(&c, &a), DP_OK);
}

static void load_keys(void)
{
    static const uint8_t id[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    char text[256], path[512];
    uint8_t ik[16];
    size_t n = 0;
    assert_int_equal(sim_dukpt_initial_key(host.bdk, id, ik), DP_OK);
    assert_int_equal(dp_hsm_dukpt_load(hsm, ik, id), DP_OK);
    (void)snprintf(path, sizeof path, "%s/seal.pub", TEST_KEYS);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    (void)fclose(f);
    text[strcspn(text, "\r\n")] = '\0';
    assert_int_equal(dp_hex_decode(text, strlen(text), sealing_key, 65, &n), DP_OK);
}

static void begin(bool dual_message, bool clear_card, uint8_t mac_n)
{
    char uri[96], books[96];
    dual = dual_message;
    clear = clear_card;
    mac_len = mac_n;
    memset(journal, 0x4A, sizeof journal);
    (void)snprintf(folder, sizeof folder, "/tmp/dp-host.XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(uri, sizeof uri, "soft:%s/store", folder);
    (void)snprintf(books, sizeof books, "%s/books", folder);
    assert_int_equal(dp_hsm_provision(uri), DP_OK);
    assert_int_equal(dp_hsm_open(uri, &hsm), DP_OK);
    memset(&host, 0, sizeof host);
    host.mac_n = mac_n;
    assert_int_equal(sim_host_open(&host, TEST_KEYS, books), DP_OK);
    load_keys();
    make_acquirer();
}

static int end(void **state)
{
    dp_acquirer_free(&a);
    dp_hsm_free(&hsm);
    sim_host_close(&host);
    (void)snprintf(remove_it, sizeof remove_it, "%s", folder);
    char *argv[] = {(char[]){"rm"}, (char[]){"-rf"}, remove_it, NULL};
    pid_t pid = fork();
    if (pid == 0)
        _exit(execvp(argv[0], argv));
    (void)waitpid(pid, NULL, 0);
    return 0;
}

/* ---- a payment's record and card ---- */

static void record(enum dp_record_type type, uint8_t number, enum dp_mode mode, int64_t amount,
                   struct dp_record *r)
{
    struct dp_acquirer_batch b;
    memset(r, 0, sizeof *r);
    r->type = type;
    r->mode = mode;
    memset(r->tx, number, sizeof r->tx);
    r->has_tx = true;
    r->amount = (struct dp_money){amount, 978, 2};
    r->has_amount = true;
    (void)snprintf(r->tid, sizeof r->tid, TID);
    (void)snprintf(r->mid, sizeof r->mid, "MERCHANT0000001");
    (void)snprintf(r->parcel, sizeof r->parcel, "JJD%u", number);
    r->business_date = 20261124;
    dp_acquirer_batch(a, &b);
    r->batch = b.batch;
}

static void see(struct dp_record *r)
{
    r->wall_ms = 1;
    dp_acquirer_see(a, r);
}

/* What the chip signed about this amount: an ARQC, or a TC when it approved without us. */
static void chip_data(int64_t amount, bool tc, struct dp_record *r)
{
    struct sim_ac_input in;
    struct sim_buf *b = calloc(1, sizeof *b);
    struct sim_issuer_keys keys;
    uint8_t master[16], ac[8], cid = tc ? 0x40 : 0x80;
    char digits[13];
    size_t n = 0;
    memset(&in, 0, sizeof in);
    (void)snprintf(digits, sizeof digits, "%012lld", (long long)amount);
    assert_int_equal(dp_hex_decode(digits, 12, in.amount, 6, &n), DP_OK);
    memcpy(in.country, "\x02\x50", 2);
    memcpy(in.currency, "\x09\x78", 2);
    memcpy(in.date, "\x26\x11\x24", 3);
    memcpy(in.un, "\1\2\3\4", 4);
    memcpy(in.aip, "\x39\0", 2);
    atc++;
    in.atc[0] = (uint8_t)(atc >> 8);
    in.atc[1] = (uint8_t)atc;
    in.iad_n = 7;
    memcpy(in.iad, "\x06\x01\x12\0\0\0\0", 7);
    assert_int_equal(sim_issuer_keys_load(TEST_KEYS, &keys), DP_OK);
    assert_int_equal(sim_master_key(SIM_OPTION_A_OR_B, keys.ac, PAN, 1, master), DP_OK);
    assert_int_equal(sim_cryptogram(master, &in, ac), DP_OK);
    sim_put_tlv(b, 0x9F02, in.amount, 6);
    sim_put_tlv(b, 0x9F03, in.other, 6);
    sim_put_tlv(b, 0x9F1A, in.country, 2);
    sim_put_tlv(b, 0x95, in.tvr, 5);
    sim_put_tlv(b, 0x5F2A, in.currency, 2);
    sim_put_tlv(b, 0x9A, in.date, 3);
    sim_put_tlv(b, 0x9C, &in.type, 1);
    sim_put_tlv(b, 0x9F37, in.un, 4);
    sim_put_tlv(b, 0x82, in.aip, 2);
    sim_put_tlv(b, 0x9F36, in.atc, 2);
    sim_put_tlv(b, 0x9F10, in.iad, in.iad_n);
    sim_put_tlv(b, 0x9F26, ac, 8);
    sim_put_tlv(b, 0x9F27, &cid, 1);
    assert_true(b->n <= sizeof r->emv);
    memcpy(r->emv, b->p, b->n);
    r->emv_n = (uint16_t)b->n;
    free(b);
}

static void pack(struct dp_record *r, const struct dp_record *chip, uint32_t repeat)
{
    static const uint8_t track2[] = {0x99, 0x99, 0x01, 0x00, 0x00, 0x00, 0x00, 0x17,
                                     0xD2, 0x81, 0x22, 0x01, 0x00, 0x00, 0x09, 0x9F};
    struct dp_sealed_context context;
    struct dp_sealed_card card;
    struct dp_acquirer_card c;
    uint8_t pan_blob[DP_SEALED_MAX], track_blob[DP_SEALED_MAX];
    size_t pan_n = 0, track_n = 0;
    memset(&c, 0, sizeof c);
    memset(&context, 0, sizeof context);
    memset(&card, 0, sizeof card);
    memcpy(context.journal, journal, 16);
    memcpy(context.tx, r->tx, 16);
    memcpy(context.tid, TID, 9);
    (void)snprintf(card.pan, sizeof card.pan, PAN);
    (void)snprintf(card.expiry, sizeof card.expiry, "2812");
    card.has_sequence = true;
    card.sequence = 1;
    memcpy(card.track2, track2, sizeof track2);
    card.track2_n = sizeof track2;
    assert_int_equal(dp_sealed_make(sealing_key, DP_SEALED_PAN, &context, &card, pan_blob,
                                    sizeof pan_blob, &pan_n),
                     DP_OK);
    assert_int_equal(dp_sealed_make(sealing_key, DP_SEALED_TRACK2, &context, &card, track_blob,
                                    sizeof track_blob, &track_n),
                     DP_OK);
    c.sealed_pan = (struct dp_bytes){pan_blob, pan_n};
    c.sealed_track2 = (struct dp_bytes){track_blob, track_n};
    (void)snprintf(c.pan, sizeof c.pan, PAN);
    (void)snprintf(c.expiry, sizeof c.expiry, "2812");
    c.has_sequence = true;
    c.sequence = 1;
    c.track2 = (struct dp_bytes){track2, sizeof track2};
    if (chip != NULL)
        c.emv = (struct dp_bytes){chip->emv, chip->emv_n};
    assert_int_equal(dp_acquirer_pack(a, r, chip == NULL ? NULL : &c, repeat, packed, sizeof packed,
                                      &packed_n, masked),
                     DP_OK);
}

/* To the host and back. */
static enum dp_acquirer_kind ask(const char *action)
{
    size_t masked_n = 0;
    assert_int_equal(sim_host_take(&host, 1, TID, packed, packed_n, &host_answer), DP_OK);
    assert_int_equal(host_answer.times, 1);
    assert_int_equal(
        dp_acquirer_take(a, host_answer.frame.p, host_answer.frame.n, &answer, masked, &masked_n),
        DP_OK);
    if (answer.kind == DP_ACQUIRER_NO_ANSWER)
        fail_msg("no answer: %s", answer.why);
    if (strcmp(answer.action_code, action) != 0)
        fail_msg("action code %s, wanted %s", answer.action_code, action);
    assert_int_equal(masked_n, host_answer.frame.n);
    return answer.kind;
}

static void forwarded(void)
{
    struct dp_record r;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_FORWARDED;
    assert_int_equal(dp_acquirer_forwarded(a, &answer, &r), DP_OK);
    see(&r);
}

/* An online payment, approved and booked. Its STAN. */
static uint32_t pay(uint8_t number, int64_t amount)
{
    struct dp_record r, o;
    record(DP_RECORD_REQUESTED, number, DP_MODE_ONLINE, amount, &r);
    assert_int_equal(dp_acquirer_fill_online(a, &r), DP_OK);
    see(&r);
    record(DP_RECORD_OUTCOME, number, DP_MODE_ONLINE, amount, &o);
    chip_data(amount, false, &o);
    pack(&r, &o, 0);
    assert_int_equal(ask("000"), DP_ACQUIRER_ONLINE);
    assert_true(answer.approved && answer.auth_code[0] != '\0');
    assert_int_equal(answer.issuer_authentication_n, 8);
    o.stan = r.stan;
    memcpy(o.auth_code, answer.auth_code, sizeof o.auth_code);
    see(&o);
    return r.stan;
}

static void forward_all(const char *const *actions)
{
    struct dp_acquirer_job job;
    int64_t wait = 0;
    for (;; actions++) {
        dp_acquirer_kick(a);
        dp_acquirer_next(a, 0, &job, &wait);
        if (job.kind == DP_ACQUIRER_JOB_NONE)
            break;
        assert_non_null(*actions);
        struct dp_record chip = job.record;
        if (job.kind == DP_ACQUIRER_JOB_DEFERRED) {
            job.record.type = DP_RECORD_REQUESTED;
            assert_int_equal(dp_acquirer_fill_online(a, &job.record), DP_OK);
            see(&job.record);
        }
        pack(&job.record, job.kind == DP_ACQUIRER_JOB_REVERSAL ? NULL : &chip, job.repeat);
        dp_acquirer_sent(a, &job, 0);
        (void)ask(*actions);
        forwarded();
    }
    assert_null(*actions);
}

static void reverse(uint8_t number, uint32_t stan, uint32_t reason)
{
    struct dp_record r;
    uint8_t tx[16];
    memset(tx, number, sizeof tx);
    record(DP_RECORD_REVERSAL, number, DP_MODE_REVERSED, 1, &r);
    assert_int_equal(dp_acquirer_fill_reversal(a, tx, stan, reason, &r), DP_OK);
    see(&r);
}

static void settle(uint64_t sales, uint64_t reversals)
{
    struct dp_record r;
    record(DP_RECORD_SETTLED, 0, DP_MODE_NONE, 0, &r);
    assert_int_equal(dp_acquirer_pack_totals(a, &r, packed, sizeof packed, &packed_n), DP_OK);
    assert_int_equal(ask("500"), DP_ACQUIRER_TOTALS);
    assert_true(answer.approved);
    assert_int_equal(answer.totals_sales_n, sales);
    assert_int_equal(answer.totals_reversals_n, reversals);
    see(&r);
}

/* ---- a round ---- */

static void round_of_every_kind(void)
{
    static const char *const first[] = {"000", "000", NULL}, *const then[] = {"400", "400", NULL};
    static const char *const first_dual[] = {"000", "000", "000", "000", "000", NULL};
    struct dp_record r, o;
    uint32_t stan, unanswered;
    assert_int_equal(dp_acquirer_pack_network(a, 801, packed, sizeof packed, &packed_n), DP_OK);
    assert_int_equal(ask("800"), DP_ACQUIRER_NETWORK);
    stan = pay(1, 2350);
    (void)pay(2, 100);
    record(DP_RECORD_OUTCOME, 3, DP_MODE_OFFLINE, 990, &r);
    chip_data(990, true, &r);
    assert_int_equal(dp_acquirer_fill_advice(a, &r), DP_OK);
    see(&r);
    record(DP_RECORD_OUTCOME, 4, DP_MODE_DEFERRED, 1500, &r);
    chip_data(1500, false, &r);
    r.deferred_until = UINT64_C(1895550000000);
    see(&r);
    forward_all(dual ? first_dual : first);
    /* one whose answer was lost, and one that the customer cancels */
    record(DP_RECORD_REQUESTED, 5, DP_MODE_ONLINE, 777, &r);
    assert_int_equal(dp_acquirer_fill_online(a, &r), DP_OK);
    see(&r);
    record(DP_RECORD_OUTCOME, 5, DP_MODE_DECLINED, 777, &o);
    chip_data(777, false, &o);
    pack(&r, &o, 0);
    assert_int_equal(sim_host_take(&host, 1, TID, packed, packed_n, &host_answer), DP_OK);
    unanswered = r.stan;
    reverse(5, unanswered, 4021);
    reverse(1, stan, 4000);
    forward_all(then);
    settle(4, 1);
    stan = pay(6, 4200);
    if (dual) {
        static const char *const completion[] = {"000", NULL};
        forward_all(completion);
    }
    settle(1, 0);
}

static void a_round_in_single_message_with_sealed_card_data(void **state)
{
    begin(false, false, 8);
    round_of_every_kind();
}

static void a_round_in_single_message_with_clear_card_data(void **state)
{
    begin(false, true, 16);
    round_of_every_kind();
}

static void a_round_in_dual_message(void **state)
{
    begin(true, false, 8);
    round_of_every_kind();
}

static void a_repeat_is_booked_once(void **state)
{
    struct dp_record r;
    begin(false, false, 8);
    record(DP_RECORD_OUTCOME, 3, DP_MODE_OFFLINE, 990, &r);
    chip_data(990, true, &r);
    assert_int_equal(dp_acquirer_fill_advice(a, &r), DP_OK);
    see(&r);
    pack(&r, &r, 0);
    assert_int_equal(sim_host_take(&host, 1, TID, packed, packed_n, &host_answer), DP_OK);
    pack(&r, &r, 1); /* the answer was lost */
    assert_int_equal(ask("000"), DP_ACQUIRER_ADVICE);
    forwarded();
    settle(1, 0);
}

static void a_changed_byte_is_seen_on_both_sides(void **state)
{
    struct dp_record r, o;
    begin(false, false, 8);
    record(DP_RECORD_REQUESTED, 1, DP_MODE_ONLINE, 100, &r);
    assert_int_equal(dp_acquirer_fill_online(a, &r), DP_OK);
    see(&r);
    record(DP_RECORD_OUTCOME, 1, DP_MODE_ONLINE, 100, &o);
    chip_data(100, false, &o);
    pack(&r, &o, 0);
    packed[packed_n - 20] ^= 1;
    assert_int_equal(ask("916"), DP_ACQUIRER_ONLINE);
    assert_false(answer.approved);
}

static void an_answer_to_an_earlier_message_can_no_longer_be_checked(void **state)
{
    static uint8_t early[DP_ISO8583_MESSAGE_MAX];
    struct dp_record r, o;
    size_t early_n, masked_n;
    begin(false, false, 8);
    record(DP_RECORD_REQUESTED, 1, DP_MODE_ONLINE, 100, &r);
    assert_int_equal(dp_acquirer_fill_online(a, &r), DP_OK);
    see(&r);
    record(DP_RECORD_OUTCOME, 1, DP_MODE_ONLINE, 100, &o);
    chip_data(100, false, &o);
    pack(&r, &o, 0);
    assert_int_equal(sim_host_take(&host, 1, TID, packed, packed_n, &host_answer), DP_OK);
    early_n = host_answer.frame.n;
    memcpy(early, host_answer.frame.p, early_n);
    assert_int_equal(dp_acquirer_pack_network(a, 831, packed, sizeof packed, &packed_n), DP_OK);
    assert_int_equal(dp_acquirer_take(a, early, early_n, &answer, masked, &masked_n), DP_OK);
    assert_int_equal(answer.kind, DP_ACQUIRER_NO_ANSWER);
    assert_non_null(strstr(answer.why, "a key that is not there"));
    assert_int_equal(ask("800"), DP_ACQUIRER_NETWORK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_round_in_single_message_with_sealed_card_data, end),
        cmocka_unit_test_teardown(a_round_in_single_message_with_clear_card_data, end),
        cmocka_unit_test_teardown(a_round_in_dual_message, end),
        cmocka_unit_test_teardown(a_repeat_is_booked_once, end),
        cmocka_unit_test_teardown(a_changed_byte_is_seen_on_both_sides, end),
        cmocka_unit_test_teardown(an_answer_to_an_earlier_message_can_no_longer_be_checked, end),
    };
    assert_int_equal(psa_crypto_init(), 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
