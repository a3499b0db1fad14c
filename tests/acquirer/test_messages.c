/* SPDX-License-Identifier: Apache-2.0 */
/* Every message the terminal sends, against the table in docs/PROTOCOL.acquirer and field by field.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <psa/crypto.h>

#include "base/hex.h"
#include "tests/acquirer/world.h"

static struct world w;
static struct dp_iso8583_message m;

static int begin(void **state)
{
    memset(&w, 0, sizeof w);
    world_begin(&w);
    return 0;
}

static int end(void **state)
{
    world_end(&w);
    return 0;
}

/* ---- the table of the protocol ---- */

#define COLUMNS 10
static const char *const columns[COLUMNS] = {"1100/1200", "1110/1210", "1220", "1230", "1420",
                                             "1430",      "1520",      "1530", "1804", "1814"};
static char table[COLUMNS][DP_ISO8583_FIELDS]; /* 'M', 'C', 'E', or 0 */

static void read_row(const char *line, const size_t at[COLUMNS])
{
    long de = strtol(line, NULL, 10);
    assert_true(de >= 2 && de <= 128);
    for (int c = 0; c < COLUMNS; c++)
        if (strlen(line) > at[c] && strchr("MCE", line[at[c]]) != NULL)
            table[c][de] = line[at[c]];
}

static int read_table(void **state)
{
    char path[512], line[512];
    size_t at[COLUMNS] = {0};
    int rows = 0;
    (void)snprintf(path, sizeof path, "%s/docs/PROTOCOL.acquirer", getenv("DP_SOURCE_ROOT"));
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "    DE  what", 12) == 0)
            for (int c = 0; c < COLUMNS; c++) {
                assert_non_null(strstr(line, columns[c]));
                at[c] = (size_t)(strstr(line, columns[c]) - line);
            }
        else if (at[0] != 0 && strncmp(line, "    74 ", 7) == 0)
            break; /* totals follow in a form of their own */
        else if (at[0] != 0 && line[4] >= '1' && line[4] <= '9') {
            read_row(line, at);
            rows++;
        }
    }
    (void)fclose(f);
    assert_int_equal(rows, 23);
    for (int de = 74; de <= 97; de++)
        if (de <= 77 || (de >= 86 && de <= 89) || de == 97)
            table[6][de] = 'M';
    table[0][120] = table[2][120] = 'C';
    return 0;
}

static void assert_as_table(int column)
{
    world_decode(w.sent, w.sent_n, &m);
    for (int de = 2; de < DP_ISO8583_FIELDS; de++) {
        bool has = dp_iso8583_has(&m, de);
        char cell = table[column][de];
        if (de == 64 || de == 128)
            cell = (m.field[128].n > 0) == (de == 128) ? 'M' : 0;
        if (has ? cell == 0 : cell == 'M')
            fail_msg("MTI %u: DE%d is %s, the table says '%c'", m.mti, de, has ? "there" : "absent",
                     cell == 0 ? ' ' : cell);
    }
}

static void assert_field(int de, const char *wanted)
{
    char text[256] = "";
    if (!dp_iso8583_get_text(&m, de, text, sizeof text) || strcmp(text, wanted) != 0)
        fail_msg("DE%d is \"%s\", wanted \"%s\"", de, text, wanted);
}

static void assert_bytes(struct dp_bytes b, const char *hex)
{
    char text[600];
    assert_string_equal(dp_hex_encode(b.p, b.n, text, sizeof text), hex);
}

/* A tag of DE48 in hex; NULL: it must not be there. */
static void assert_tag(uint8_t wanted, const char *hex)
{
    struct dp_bytes de48 = dp_iso8583_get(&m, 48), value;
    uint8_t tag;
    size_t at = 0;
    while (dp_iso8583_tag_next(de48, &at, &tag, &value) == DP_OK)
        if (tag == wanted) {
            assert_non_null(hex);
            assert_bytes(value, hex);
            return;
        }
    assert_null(hex);
}

/* ---- requests ---- */

static void a_request_has_the_fields_of_its_column(void **state)
{
    assert_int_equal(world_online(&w, 7, 2350), 1);
    assert_as_table(0);
    assert_int_equal(m.mti, 1200);
    assert_field(3, "000000");
    assert_field(4, "000000002350");
    assert_field(7, "1124195320");
    assert_field(11, "000001");
    assert_field(12, "261124205320"); /* an hour ahead of UTC */
    assert_field(22, "500401C54240");
    assert_field(24, "200");
    assert_field(37, "632819000001"); /* 2026, day 328, 19 h UTC */
    assert_field(41, WORLD_TID);
    assert_field(42, WORLD_MID);
    assert_field(49, "978");
    assert_bytes(dp_iso8583_get(&m, 53), "123456789012345600000001");
    assert_bytes(dp_iso8583_get(&m, 55), "950500000080009F26080102030405060708");
    assert_tag(DP_DE48_PARCEL, "4A4A443030303030303037");
    assert_tag(DP_DE48_MODE, "01");
    assert_tag(DP_DE48_BATCH, "00000001");
    assert_tag(DP_DE48_JOURNAL, "4A4A4A4A4A4A4A4A4A4A4A4A4A4A4A4A");
    assert_tag(DP_DE48_BUSINESS_DATE, "20261124");
    assert_tag(DP_DE48_DEFERRED_UNTIL, NULL);
    assert_tag(DP_DE48_REPEAT, NULL);
}

static void dual_message_asks_for_authorisation(void **state)
{
    w.dual = true;
    world_end(&w);
    w.dual = true;
    world_begin(&w);
    (void)world_online(&w, 7, 2350);
    assert_as_table(0);
    assert_int_equal(m.mti, 1100);
    assert_field(24, "100");
}

static void sealed_card_data_is_all_that_leaves_of_the_card(void **state)
{
    struct dp_bytes de120;
    (void)world_online(&w, 7, 2350);
    world_decode(w.sent, w.sent_n, &m);
    assert_false(dp_iso8583_has(&m, 2) || dp_iso8583_has(&m, 14) || dp_iso8583_has(&m, 23) ||
                 dp_iso8583_has(&m, 35));
    de120 = dp_iso8583_get(&m, 120);
    assert_int_equal(de120.n, 2 + 100); /* the PAN's blob alone: track 2 is for deferred ones */
    assert_memory_equal(de120.p, "\0\144\1\356", 4);
}

static void clear_card_data_goes_into_its_fields_and_masked_into_the_log(void **state)
{
    world_end(&w);
    w.clear = true;
    world_begin(&w);
    (void)world_online(&w, 7, 2350);
    assert_as_table(0);
    assert_field(2, "9999010000000017");
    assert_field(14, "2812");
    assert_field(23, "001");
    assert_field(35, "9999010000000017D28122010000099");
    assert_false(dp_iso8583_has(&m, 120));
    world_decode(w.masked, w.sent_n, &m);
    assert_field(2, "9999019999990017");
    assert_field(35, "9999019999990017D00000000000000");
    (void)world_offline(&w, 8, 100);
    struct dp_acquirer_job job;
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_ADVICE);
    assert_as_table(2);
    assert_false(dp_iso8583_has(&m, 35)); /* never stored, never in an advice */
}

static void a_deferred_request_says_so_and_carries_sealed_track_2(void **state)
{
    struct dp_acquirer_job job;
    world_deferred(&w, 9, 1500);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_DEFERRED);
    assert_as_table(0);
    assert_int_equal(m.mti, 1200);
    assert_tag(DP_DE48_MODE, "03");
    assert_tag(DP_DE48_DEFERRED_UNTIL, "000001A214450F80");
    assert_int_equal(dp_iso8583_get(&m, 120).n, 2 + 100 + 2 + 90);
}

/* ---- store and forward ---- */

static void an_advice_and_its_repeat_keep_their_numbers(void **state)
{
    struct dp_acquirer_job job;
    char ksn[25];
    (void)world_offline(&w, 3, 990);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_ADVICE);
    assert_as_table(2);
    assert_int_equal(m.mti, 1220);
    assert_field(24, "201");
    assert_field(25, "1004");
    assert_field(11, "000001");
    assert_tag(DP_DE48_MODE, "02");
    assert_tag(DP_DE48_REPEAT, NULL);
    (void)dp_hex_encode(dp_iso8583_get(&m, 53).p, 12, ksn, sizeof ksn);
    dp_acquirer_kick(w.a);
    w.wall_ms += 3600000;
    assert_int_equal(world_forward(&w, 1, &job), DP_ACQUIRER_JOB_ADVICE);
    assert_as_table(2);
    assert_int_equal(m.mti, 1221);
    assert_field(11, "000001");
    assert_field(12, "261124205320");
    assert_field(37, "632819000001");
    assert_tag(DP_DE48_REPEAT, "01");
    assert_string_equal(ksn, "123456789012345600000001");
    assert_bytes(dp_iso8583_get(&m, 53), "123456789012345600000002"); /* a key is used once */
}

static void a_reversal_names_what_it_reverses(void **state)
{
    struct dp_acquirer_job job;
    uint32_t stan = world_online(&w, 4, 2350);
    (void)world_reverse(&w, 4, stan, 4021);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_REVERSAL);
    assert_as_table(4);
    assert_int_equal(m.mti, 1420);
    assert_field(4, "000000002350");
    assert_field(11, "000002");
    assert_field(22,
                 "500401500240"); /* of a request the record does not say how the card was read */
    assert_field(24, "400");
    assert_field(25, "4021");
    assert_field(56, "12000000012611242053201112345678901");
    assert_tag(DP_DE48_MODE, "01");
    dp_acquirer_kick(w.a);
    assert_int_equal(world_forward(&w, 1, &job), DP_ACQUIRER_JOB_REVERSAL);
    world_decode(w.sent, w.sent_n, &m);
    assert_int_equal(m.mti, 1421);
    assert_field(11, "000002");
}

static void a_reversal_says_how_its_sale_was_read_when_that_is_known(void **state)
{
    struct dp_acquirer_job job;
    uint32_t stan = world_offline(&w, 4, 2350);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_ADVICE);
    (void)world_reverse(&w, 4, stan, 4000);
    dp_acquirer_kick(w.a);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_ADVICE);
    struct dp_acquirer_answer answer;
    uint8_t p[DP_ISO8583_MESSAGE_MAX];
    assert_int_equal(world_answer(&w, p, host_reply(&w, w.sent, w.sent_n, 0, p), &answer),
                     DP_ACQUIRER_ADVICE);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_REVERSAL);
    assert_as_table(4);
    assert_field(22, "500401C54240");
    assert_tag(DP_DE48_MODE, "02");
    assert_tag(DP_DE48_PARCEL, "4A4A443030303030303034");
}

static void dual_message_captures_by_an_advice_under_the_same_numbers(void **state)
{
    struct dp_acquirer_job job;
    struct dp_acquirer_answer answer;
    uint8_t p[DP_ISO8583_MESSAGE_MAX];
    uint32_t stan;
    world_end(&w);
    w.dual = true;
    world_begin(&w);
    stan = world_online(&w, 5, 700);
    assert_int_equal(world_answer(&w, p, host_reply(&w, w.sent, w.sent_n, 0, p), &answer),
                     DP_ACQUIRER_ONLINE);
    world_outcome(&w, 5, 700, stan, true);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_ADVICE);
    assert_as_table(2);
    assert_int_equal(m.mti, 1220);
    assert_field(11, "000001");
    assert_field(24, "201");
    assert_field(38, "A12345");
    assert_tag(DP_DE48_MODE, "01");
    assert_int_equal(world_answer(&w, p, host_reply(&w, w.sent, w.sent_n, 0, p), &answer),
                     DP_ACQUIRER_ADVICE);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_NONE);
}

/* ---- totals and network ---- */

static void totals_and_network_messages_have_the_fields_of_their_columns(void **state)
{
    struct dp_record r;
    memset(&r, 0, sizeof r);
    assert_int_equal(dp_acquirer_pack_totals(w.a, &r, w.sent, sizeof w.sent, &w.sent_n), DP_OK);
    assert_as_table(6);
    assert_field(24, "500");
    assert_field(97, "D0000000000000000");
    assert_int_equal(dp_acquirer_pack_network(w.a, 801, w.sent, sizeof w.sent, &w.sent_n), DP_OK);
    assert_as_table(8);
    assert_field(24, "801");
    assert_int_equal(dp_acquirer_pack_network(w.a, 811, w.sent, sizeof w.sent, &w.sent_n),
                     DP_ERR_ARG);
}

static void the_mac_covers_everything_before_it(void **state)
{
    struct dp_iso8583_mac found;
    uint8_t mac[16], digest[32];
    size_t n = 0;
    for (unsigned len = 8; len <= 16; len += 8) {
        world_end(&w);
        w.mac_len = (uint8_t)len;
        world_begin(&w);
        (void)world_online(&w, 7, 2350);
        assert_int_equal(
            dp_iso8583_find_mac(dp_iso8583_profile("iso93-pos"), w.sent, w.sent_n, len, &found),
            DP_OK);
        assert_ptr_equal(found.mac.p, w.sent + w.sent_n - len);
        assert_int_equal(
            psa_hash_compute(PSA_ALG_SHA_256, w.sent, w.sent_n - len, digest, sizeof digest, &n),
            0);
        assert_int_equal(dp_hsm_dukpt_mac(NULL, found.ksn.p, false, digest, mac), DP_OK);
        assert_memory_equal(found.mac.p, mac, len);
    }
}

/* ---- what is not packed ---- */

static void what_no_record_stands_for_is_not_packed(void **state)
{
    struct dp_record r;
    world_record(&w, DP_RECORD_REQUESTED, 7, 2350, &r);
    r.mode = DP_MODE_ONLINE;
    assert_int_equal(dp_acquirer_fill_online(w.a, &r), DP_OK);
    assert_int_equal(
        dp_acquirer_pack(w.a, &r, world_card(), 0, w.sent, sizeof w.sent, &w.sent_n, NULL),
        DP_ERR_STATE);
    world_see(&w, &r);
    assert_int_equal(dp_acquirer_pack(w.a, &r, NULL, 0, w.sent, sizeof w.sent, &w.sent_n, NULL),
                     DP_ERR_MISSING);
    assert_int_equal(
        dp_acquirer_pack(w.a, &r, world_card(), 1, w.sent, sizeof w.sent, &w.sent_n, NULL),
        DP_ERR_ARG);
    assert_int_equal(dp_acquirer_pack(w.a, &r, world_card(), 0, w.sent, 40, &w.sent_n, NULL),
                     DP_ERR_SPACE);
    assert_int_equal(w.sent_n, 0);
    world_hsm.next_err = DP_ERR_TOKEN;
    assert_int_equal(
        dp_acquirer_pack(w.a, &r, world_card(), 0, w.sent, sizeof w.sent, &w.sent_n, NULL),
        DP_ERR_TOKEN);
}

static void an_amount_or_currency_that_cannot_be_is_not_filled(void **state)
{
    struct dp_record r;
    world_record(&w, DP_RECORD_REQUESTED, 7, 0, &r);
    assert_int_equal(dp_acquirer_fill_online(w.a, &r), DP_ERR_RANGE);
    r.amount.minor = INT64_C(1000000000000);
    assert_int_equal(dp_acquirer_fill_online(w.a, &r), DP_ERR_RANGE);
    r.amount = (struct dp_money){100, 826, 2};
    assert_int_equal(dp_acquirer_fill_advice(w.a, &r), DP_ERR_RANGE);
    r.has_tx = false;
    assert_int_equal(dp_acquirer_fill_advice(w.a, &r), DP_ERR_ARG);
}

#define UNIT(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_request_has_the_fields_of_its_column),
        UNIT(dual_message_asks_for_authorisation),
        UNIT(sealed_card_data_is_all_that_leaves_of_the_card),
        UNIT(clear_card_data_goes_into_its_fields_and_masked_into_the_log),
        UNIT(a_deferred_request_says_so_and_carries_sealed_track_2),
        UNIT(an_advice_and_its_repeat_keep_their_numbers),
        UNIT(a_reversal_names_what_it_reverses),
        UNIT(a_reversal_says_how_its_sale_was_read_when_that_is_known),
        UNIT(dual_message_captures_by_an_advice_under_the_same_numbers),
        UNIT(totals_and_network_messages_have_the_fields_of_their_columns),
        UNIT(the_mac_covers_everything_before_it),
        UNIT(what_no_record_stands_for_is_not_packed),
        UNIT(an_amount_or_currency_that_cannot_be_is_not_filled),
    };
    return cmocka_run_group_tests(tests, read_table, NULL);
}
