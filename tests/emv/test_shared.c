/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversations another project recorded for its contact kernel: 68 of them. Settings are not
 * recorded; what each needs is derived here from its commands. Ours must be the recorded commands
 * byte for byte, but for:
 *   - on T=0 a case 4 command goes without Le (ISO/IEC 7816-3, 12.2), where the recording lets the
 *     reader drop it
 *   - the file locator is checked whole before the first record is read, so that with a bad later
 *     entry (read_application_data test 7) no record is read at all
 *   - where a recorded answer is longer than GET RESPONSE asked for, which no T=0 reader can
 * deliver (and our exchange refuses), it is cut to that The TPDU recordings are below our reader
 * interface: their procedure bytes are taken out, and what is left is the same APDU.
 */
#include "step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#define EXCHANGES_MAX 16

static json_t *shared;
static struct step s;

/* ---- one conversation, as its card plays it ---- */

static struct {
    uint8_t command[EXCHANGES_MAX][300], answer[EXCHANGES_MAX][300];
    size_t command_n[EXCHANGES_MAX], answer_n[EXCHANGES_MAX];
    size_t n, done;
    bool t0;
} talk;

static int load(void **state)
{
    char path[512];
    const char *dir = getenv("DP_SHARED_DATA"), *root = getenv("DP_SOURCE_ROOT");
    (void)snprintf(path, sizeof path, "%s/emv_utils_apdu_conversations.json",
                   dir != NULL ? dir : "../shared/data");
    if (dir == NULL && root != NULL)
        (void)snprintf(path, sizeof path, "%s/../shared/data/emv_utils_apdu_conversations.json",
                       root);
    shared = json_load_file(path, 0, NULL);
    return 0;
}

static int unload(void **state)
{
    json_decref(shared);
    return 0;
}

static void need_shared(void)
{
    if (shared == NULL) {
        print_message("skipped: no shared data\n");
        skip();
    }
}

static size_t put(uint8_t *out, const char *hex)
{
    struct dp_bytes b = step_hex(hex);
    assert_true(b.n <= 300);
    memcpy(out, b.p, b.n);
    return b.n;
}

static void take(const json_t *conversation)
{
    const json_t *e;
    size_t i;
    memset(&talk, 0, sizeof talk);
    json_array_foreach(json_object_get(conversation, "exchange"), i, e)
    {
        assert_true(i < EXCHANGES_MAX);
        talk.command_n[i] = put(talk.command[i], json_string_value(json_object_get(e, "c")));
        talk.answer_n[i] = put(talk.answer[i], json_string_value(json_object_get(e, "r")));
        talk.t0 = talk.t0 || talk.command[i][1] == 0xC0;
        talk.n++;
    }
}

static int play(void *user, const uint8_t *command, size_t n, uint8_t *answer, size_t *answer_n,
                int timeout_ms)
{
    size_t i = talk.done, wanted;
    (void)user;
    (void)timeout_ms;
    if (i == talk.n)
        fail_msg("one command too many: INS %02X", command[1]);
    wanted = talk.command_n[i];
    if (talk.t0 && wanted == n + 1 && n > 5 && talk.command[i][n] == 0x00)
        wanted = n;
    if (wanted != n || memcmp(command, talk.command[i], n) != 0)
        fail_msg("command %zu differs: INS %02X, %zu bytes", i + 1, command[1], n);
    *answer_n = talk.answer_n[i];
    memcpy(answer, talk.answer[i], *answer_n);
    if (command[1] == 0xC0 && command[4] != 0 && *answer_n > command[4] + 2U) {
        memcpy(answer + command[4], answer + *answer_n - 2, 2);
        *answer_n = command[4] + 2U;
    }
    talk.done++;
    return DP_OK;
}

static void begin(void)
{
    struct dp_card_info info = {.interface = DP_INTERFACE_CONTACT, .protocol = DP_PROTOCOL_T1};
    struct dp_card_reader reader;
    step_begin(&s);
    step_end(&s);
    if (talk.t0)
        info.protocol = DP_PROTOCOL_T0;
    assert_int_equal(dp_reader_callback_open(play, NULL, &info, &reader), DP_OK);
    assert_int_equal(dp_card_connect(&s.card, &reader, 1000), DP_OK);
}

static void end(const char *name)
{
    if (talk.done != talk.n)
        fail_msg("%s: %zu of %zu commands came", name, talk.done, talk.n);
    step_end(&s);
}

static bool is_from(const json_t *conversation, const char *file)
{
    return strstr(json_string_value(json_object_get(conversation, "file")), file) != NULL;
}

static const char *name_of(const json_t *conversation)
{
    return json_string_value(json_object_get(conversation, "name"));
}

/* Calls fn for each conversation of a file; they must be so many. */
static void each(const char *file, void (*fn)(const json_t *), size_t wanted)
{
    const json_t *c;
    size_t i, count = 0;
    need_shared();
    json_array_foreach(json_object_get(shared, "conversations"), i, c)
    {
        if (!is_from(c, file))
            continue;
        print_message("# %s\n", name_of(c));
        take(c);
        fn(c);
        count++;
    }
    assert_int_equal(count, wanted);
}

/* ---- the candidate list ---- */

static void the_recordings_terminal(void)
{
    step_aid(&s, 0, "A0000000031010", true);
    step_aid(&s, 1, "A0000000032010", false);
    step_aid(&s, 2, "A0000000032020", false);
    step_aid(&s, 3, "A0000000041010", true);
    step_aid(&s, 4, "A0000000043060", true);
}

static void builds(const json_t *conversation)
{
    static const struct {
        const char *name;
        size_t candidates;
        enum dp_emv_reason reason;
    } wanted[] = {
        {"test_pse_card_blocked", 0, DP_EMV_REASON_BLOCKED},
        {"test_aid_card_blocked", 0, DP_EMV_REASON_BLOCKED},
        {"test_nothing_found", 0, 0},
        {"test_pse_blocked", 0, 0},
        {"test_aid_blocked", 0, DP_EMV_REASON_BLOCKED},
        {"test_pse_app_not_supported", 0, 0},
        {"test_pse_app_supported", 1, 0},
        {"test_pse_multi_app_supported", 2, 0},
        {"test_aid_multi_exact_match_app_supported", 2, 0},
        {"test_aid_multi_partial_match_app_supported", 2, 0},
        {"test_sorted_app_priority", 7, 0},
        {"test_app_cardholder_confirmation", 1, 0},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (strcmp(wanted[i].name, name_of(conversation)) != 0)
            continue;
        begin();
        the_recordings_terminal();
        assert_int_equal(emv_candidates_build(&s.k), wanted[i].reason != 0 ? EMV_OVER : EMV_GO_ON);
        assert_int_equal(s.result.reason, wanted[i].reason);
        assert_int_equal(s.k.candidates_n, wanted[i].candidates);
        end(wanted[i].name);
        return;
    }
    fail_msg("%s is not known here", name_of(conversation));
}

static void candidate_lists_are_built_by_the_recorded_commands(void **state)
{
    each("emv_build_candidate_list_test.c", builds, 12);
}

/* ---- the final selection: one candidate, whose name is in the command ---- */

static void selects(const json_t *conversation)
{
    bool good = strstr(name_of(conversation), "success") != NULL;
    struct emv_candidate *c = &s.k.candidates[0];
    begin();
    the_recordings_terminal();
    if (strcmp(name_of(conversation), "test_pse") == 0) {
        assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
        end("test_pse");
        return;
    }
    s.k.candidates_n = 1;
    c->aid = &s.aids[0];
    c->name_n = talk.command[0][4];
    memcpy(c->name, talk.command[0] + 5, c->name_n);
    assert_int_equal(emv_application_select(&s.k), good ? EMV_GO_ON : EMV_OVER);
    if (!good)
        assert_int_equal(s.result.outcome, DP_EMV_ENDED);
    end(name_of(conversation));
}

static void applications_are_selected_by_the_recorded_commands(void **state)
{
    each("emv_select_application_test.c", selects, 10);
}

/* ---- GET PROCESSING OPTIONS ---- */

static void initiates(const json_t *conversation)
{
    const char *name = name_of(conversation);
    int wanted = EMV_OVER;
    if (talk.n == 0) /* their list asks for what their terminal has not: no command */
        return;
    begin();
    if (talk.command_n[0] > 8) {
        step_set(&s, 0x9F38, "9F3303");
        step_set(&s, 0x9F33, "60F0C8");
    }
    if (strncmp(name, "test1", 5) == 0 || strncmp(name, "test2", 5) == 0 ||
        strncmp(name, "test4", 5) == 0)
        wanted = EMV_GO_ON;
    else if (strncmp(name, "test3", 5) == 0)
        wanted = EMV_SELECT_AGAIN;
    assert_int_equal(emv_initiate(&s.k), wanted);
    end(name);
}

static void processing_options_are_asked_for_by_the_recorded_commands(void **state)
{
    each("emv_initiate_application_processing_test.c", initiates, 6);
}

/* ---- records ---- */

static void reads(const json_t *conversation)
{
    const char *name = name_of(conversation), *afl;
    char key[32];
    unsigned number = (unsigned)atoi(name + 4);
    (void)snprintf(key, sizeof key, "test%u_afl", number);
    afl = json_string_value(json_object_get(json_object_get(shared, "afl"), key));
    assert_non_null(afl);
    begin();
    if (number == 2 || number == 7) {
        assert_int_equal(emv_afl_keep(&s.k, step_hex(afl)), DP_ERR_RANGE);
        talk.done = talk.n;
        end(name);
        return;
    }
    assert_int_equal(emv_afl_keep(&s.k, step_hex(afl)), DP_OK);
    assert_int_equal(emv_records_read(&s.k), number < 9 ? EMV_OVER : EMV_GO_ON);
    if (number == 9) /* neither CDOL */
        assert_int_equal(emv_lists_check(&s.k), EMV_OVER);
    if (number == 10) { /* signed records that are none */
        assert_true(s.k.signed_records_bad);
        assert_int_equal(emv_lists_check(&s.k), EMV_GO_ON);
    }
    end(name);
}

static void records_are_read_by_the_recorded_commands(void **state)
{
    each("emv_read_application_data_test.c", reads, 10);
}

/* ---- the exchange below: whatever command comes next in the recording is sent ---- */

static void take_out_procedure_bytes(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < talk.n; i++) {
        uint8_t ins = talk.command[i][1];
        bool goes_on = talk.answer_n[i] == 1 && talk.answer[i][0] == ins && i + 1 < talk.n;
        memmove(talk.command[kept], talk.command[i], talk.command_n[i]);
        talk.command_n[kept] = talk.command_n[i];
        if (goes_on) { /* its data follow as if they were a command */
            i++;
            memcpy(talk.command[kept] + talk.command_n[kept], talk.command[i], talk.command_n[i]);
            talk.command_n[kept] += talk.command_n[i];
        }
        talk.answer_n[kept] = talk.answer_n[i];
        memmove(talk.answer[kept], talk.answer[i], talk.answer_n[i]);
        if (!goes_on && talk.answer_n[kept] > 2 && talk.answer[kept][0] == ins)
            memmove(talk.answer[kept], talk.answer[kept] + 1, --talk.answer_n[kept]);
        kept++;
    }
    talk.n = kept;
}

static struct dp_apdu command_of(const uint8_t *p, size_t n, bool t0)
{
    struct dp_apdu c = {p[0], p[1], p[2], p[3], {NULL, 0}, -1};
    if (n == 5 && !(t0 && p[0] == 0x12))
        c.le = p[4];
    if (n > 5) {
        c.data = (struct dp_bytes){p + 5, p[4]};
        c.le = n > 5U + p[4] || p[1] == 0xA4 ? 0 : -1;
    }
    return c;
}

static void exchanges(const json_t *conversation)
{
    bool tpdu = is_from(conversation, "tpdu");
    uint8_t buffer[300];
    struct dp_apdu_answer a;
    if (tpdu) {
        take_out_procedure_bytes();
        talk.t0 = true;
    }
    if (talk.command[0][0] == 0x00 && talk.command[0][1] == 0xB2 && !tpdu)
        talk.t0 = false;
    begin();
    while (talk.done < talk.n) {
        const uint8_t *p = talk.command[talk.done];
        struct dp_apdu c = command_of(p, talk.command_n[talk.done], talk.t0);
        size_t before = talk.done;
        if (tpdu && p[1] == 0x82 && talk.command_n[talk.done] == 5) {
            talk.done++; /* refused before its data: below our interface */
            continue;
        }
        assert_int_equal(dp_card_exchange(&s.card, &c, buffer, sizeof buffer, &a), DP_OK);
        assert_true(talk.done > before);
        assert_int_equal(a.sw == 0x9000, strstr(name_of(conversation), "error") == NULL &&
                                             strstr(name_of(conversation), "warning") == NULL);
        if (strstr(name_of(conversation), "warning") != NULL)
            assert_int_equal(a.sw, 0x6286);
        if (strstr(name_of(conversation), "case_3_error") != NULL)
            break; /* the recording goes on with the next test's */
    }
    if (strstr(name_of(conversation), "case_3_error") != NULL)
        talk.done = talk.n;
    end(name_of(conversation));
}

static void apdus_of_all_cases_go_as_recorded(void **state)
{
    each("emv_ttl_pcsc_test.c", exchanges, 14);
}

static void tpdus_are_the_same_apdus(void **state)
{
    each("emv_ttl_tpdu_test.c", exchanges, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidate_lists_are_built_by_the_recorded_commands),
        cmocka_unit_test(applications_are_selected_by_the_recorded_commands),
        cmocka_unit_test(processing_options_are_asked_for_by_the_recorded_commands),
        cmocka_unit_test(records_are_read_by_the_recorded_commands),
        cmocka_unit_test(apdus_of_all_cases_go_as_recorded),
        cmocka_unit_test(tpdus_are_the_same_apdus),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
