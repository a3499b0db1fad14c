/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "doorpayd/config.h"

static const char good[] = "# a comment\n"
                           "[doorpayd]\nrun_dir = /run/doorpay\n"
                           "[journal]\ndir = /var/lib/doorpay/journal\n"
                           "[hsm]\nuri = soft:/var/lib/doorpay/keys\n"
                           "[params]\nfile = /etc/doorpay/params\nback_office = /etc/doorpay/pub\n"
                           "[reader]\nname = Doorpay\n"
                           "[acquirer]\nhost = acquirer.test\nport = 7000\nca = /ca\ncert = /cert\n"
                           "[till]\nsocket = /run/doorpay/till.sock\nallow_uid = 1000\n"
                           "allow_uid = 1001\n";

static char error[256];

static int parse(const char *text, struct dp_config *c)
{
    error[0] = '\0';
    return dp_config_parse("d.conf", text, c, error, sizeof error);
}

static void reads_every_setting(void **state)
{
    struct dp_config c;
    (void)state;
    assert_int_equal(parse(good, &c), DP_OK);
    assert_string_equal(c.run_dir, "/run/doorpay");
    assert_string_equal(c.journal_dir, "/var/lib/doorpay/journal");
    assert_string_equal(c.hsm_uri, "soft:/var/lib/doorpay/keys");
    assert_string_equal(c.back_office, "/etc/doorpay/pub");
    assert_string_equal(c.reader, "Doorpay");
    assert_string_equal(c.acquirer_port, "7000");
    assert_string_equal(c.wire_log, "");
    assert_string_equal(c.language, "");
    assert_int_equal(c.allow_uids_n, 2);
    assert_int_equal(c.allow_uids[1], 1001);
}

static void a_key_store_of_two_halves_stands_on_two_lines(void **state)
{
    struct dp_config c;
    char text[1024];
    const char *behind = strstr(good, "[params]");
    (void)state;
    (void)snprintf(text, sizeof text, "%.*sanchor = tpm2-anchor:tcti=device:/dev/tpmrm0\n%s",
                   (int)(behind - good), good, behind);
    assert_int_equal(parse(text, &c), DP_OK);
    assert_string_equal(c.hsm_uri, "soft:/var/lib/doorpay/keys");
    assert_string_equal(c.hsm_anchor, "tpm2-anchor:tcti=device:/dev/tpmrm0");
}

static void a_line_that_is_too_long_is_named(void **state)
{
    struct dp_config c;
    char text[1024] = "[hsm]\nuri = ";
    size_t n = strlen(text);
    (void)state;
    memset(text + n, 'x', 198 - 6);
    memcpy(text + n + 198 - 6, "\n", 2);
    assert_int_equal(parse(text, &c), DP_ERR_MISSING); /* just fits; others are missing */
    memcpy(text + n + 198 - 6, "x\n", 3);
    assert_int_equal(parse(text, &c), DP_ERR_FORMAT);
    assert_string_equal(error, "d.conf:2: longer than 198 characters");
}

static void errors_name_file_line_and_setting(void **state)
{
    static const struct {
        const char *instead, *of, *said;
        int err;
    } cases[] = {
        {"[till]\nsocket = /s\nallow_uid = 10x0\n",
         "[till]\nsocket = /run/doorpay/till.sock\n"
         "allow_uid = 1000\n",
         "d.conf:20: not a user id: [till] allow_uid", DP_ERR_FORMAT},
        {"allow_uid = 4294967295\n", "allow_uid = 1001\n",
         "d.conf:21: not a user id: [till] allow_uid", DP_ERR_FORMAT},
        {"uri = soft:/a\nuri = soft:/b\n", "uri = soft:/var/lib/doorpay/keys\n",
         "d.conf:8: given twice: [hsm] uri", DP_ERR_FORMAT},
        {"language = tlh\n", "allow_uid = 1001\n", "d.conf: [till] language: en, fr, nl or de",
         DP_ERR_FORMAT},
        {"dirr = /x\n", "dir = /var/lib/doorpay/journal\n",
         "d.conf:5: unknown setting: [journal] dirr", DP_ERR_FORMAT},
        {"[jurnal]\n", "[journal]\n", "d.conf:5: unknown setting: [jurnal] dir", DP_ERR_FORMAT},
        {"no equals sign\n", "run_dir = /run/doorpay\n", "d.conf:3:", DP_ERR_FORMAT},
        {"port = 123456789\n", "port = 7000\n", "d.conf:15: too long: [acquirer] port",
         DP_ERR_FORMAT},
        {"", "uri = soft:/var/lib/doorpay/keys\n", "d.conf: setting missing: [hsm] uri",
         DP_ERR_MISSING},
        {"socket =\n", "socket = /run/doorpay/till.sock\n",
         "d.conf: setting missing: [till] socket", DP_ERR_MISSING},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        struct dp_config c;
        const char *at = strstr(good, cases[i].of);
        assert_non_null(at);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, cases[i].instead,
                       at + strlen(cases[i].of));
        assert_int_equal(parse(text, &c), cases[i].err);
        if (strncmp(error, cases[i].said, strlen(cases[i].said)) != 0)
            fail_msg("said: %s\nwanted: %s", error, cases[i].said);
    }
}

static void too_many_user_ids_are_refused(void **state)
{
    char text[2048];
    struct dp_config c;
    size_t n = (size_t)snprintf(text, sizeof text, "%s", good);
    (void)state;
    for (int i = 2; i < DP_CONFIG_UIDS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "allow_uid = %d\n", 2000 + i);
    assert_int_equal(parse(text, &c), DP_OK);
    (void)snprintf(text + n, sizeof text - n, "allow_uid = 9\n");
    assert_int_equal(parse(text, &c), DP_ERR_FORMAT);
    assert_non_null(strstr(error, "too many: [till] allow_uid"));
}

static void file_must_be_there_and_be_text(void **state)
{
    char path[64];
    struct dp_config c;
    const char *tmp = getenv("TMPDIR");
    FILE *f;
    (void)state;
    (void)snprintf(path, sizeof path, "%s/d.%d.conf", tmp != NULL ? tmp : "/tmp", (int)getpid());
    assert_int_equal(dp_config_load(path, &c, error, sizeof error), DP_ERR_NOT_FOUND);
    assert_non_null(strstr(error, path));
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite("a\0b", 1, 3, f), 3);
    (void)fclose(f);
    assert_int_equal(dp_config_load(path, &c, error, sizeof error), DP_ERR_FORMAT);
    assert_non_null(strstr(error, "not a text file"));
    f = fopen(path, "w");
    assert_int_equal(fwrite(good, 1, sizeof good - 1, f), sizeof good - 1);
    (void)fclose(f);
    assert_int_equal(dp_config_load(path, &c, error, sizeof error), DP_OK);
    (void)unlink(path);
}

static void example_is_a_configuration(void **state)
{
    char path[512];
    struct dp_config c;
    (void)state;
    assert_non_null(getenv("DP_SOURCE_ROOT"));
    (void)snprintf(path, sizeof path, "%s/examples/doorpayd.conf", getenv("DP_SOURCE_ROOT"));
    if (dp_config_load(path, &c, error, sizeof error) < 0)
        fail_msg("%s", error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_setting),
        cmocka_unit_test(a_key_store_of_two_halves_stands_on_two_lines),
        cmocka_unit_test(a_line_that_is_too_long_is_named),
        cmocka_unit_test(errors_name_file_line_and_setting),
        cmocka_unit_test(too_many_user_ids_are_refused),
        cmocka_unit_test(file_must_be_there_and_be_text),
        cmocka_unit_test(example_is_a_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
