/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hsm/uri.h"

static const char *const names[] = {"token", "serial", "module-path", "pin-source", NULL};

static void reads_path_and_query_and_decodes(void **state)
{
    struct hsm_uri u;
    const char *what = NULL;
    (void)state;
    assert_int_equal(hsm_uri_parse("token=The%20round%3B%20one;serial=4%2b5?module-path=/a/b.so&"
                                   "pin-source=file:/etc/pin%3F",
                                   names, &u, &what),
                     DP_OK);
    assert_null(what);
    assert_string_equal(hsm_uri_get(&u, "token"), "The round; one");
    assert_string_equal(hsm_uri_get(&u, "serial"), "4+5");
    assert_string_equal(hsm_uri_path(&u, "module-path"), "/a/b.so");
    assert_string_equal(hsm_uri_path(&u, "pin-source"), "/etc/pin?");
    assert_int_equal(hsm_uri_parse("?pin-source=file:///etc/pin", names, &u, &what), DP_OK);
    assert_string_equal(hsm_uri_path(&u, "pin-source"), "/etc/pin");
    assert_null(hsm_uri_get(&u, "token"));
    assert_int_equal(hsm_uri_parse("pin-source=pin", names, &u, &what), DP_OK);
    assert_null(hsm_uri_path(&u, "pin-source")); /* no path that depends on where one stands */
}

static void refuses_what_it_does_not_know(void **state)
{
    static const struct {
        const char *uri;
        int err;
    } cases[] = {
        {"", DP_ERR_FORMAT},
        {"?", DP_ERR_FORMAT},
        {"token", DP_ERR_FORMAT},
        {"=x", DP_ERR_FORMAT},
        {"token=", DP_ERR_FORMAT},
        {"token=a;", DP_ERR_FORMAT},
        {"token=a;;serial=b", DP_ERR_FORMAT},
        {"token=a?", DP_ERR_FORMAT},
        {"token=%", DP_ERR_FORMAT},
        {"token=%4", DP_ERR_FORMAT},
        {"token=%4g", DP_ERR_FORMAT},
        {"token=% 41", DP_ERR_FORMAT},
        {"token=%00", DP_ERR_FORMAT},
        {"token=a%0Ab", DP_ERR_FORMAT},
        {"token=a b", DP_ERR_FORMAT},
        {"token=\"a\"", DP_ERR_FORMAT},
        {"token=a;token=b", DP_ERR_DUPLICATE},
        {"token=a?token=b", DP_ERR_DUPLICATE},
        {"object=a", DP_ERR_UNSUPPORTED},
        {"tokens=a", DP_ERR_UNSUPPORTED},
        {"tok=a", DP_ERR_UNSUPPORTED},
        {"token=a?pin-value=1234", DP_ERR_UNSUPPORTED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hsm_uri u;
        const char *what = NULL;
        assert_int_equal(hsm_uri_parse(cases[i].uri, names, &u, &what), cases[i].err);
        assert_non_null(what);
        assert_null(strstr(what, "1234")); /* the reason, never the secret */
        assert_int_equal(u.n, 0);
    }
}

static void a_uri_has_an_end(void **state)
{
    static char text[DP_HSM_URI_MAX + 2];
    struct hsm_uri u;
    const char *what = NULL;
    (void)state;
    memset(text, 'a', sizeof text - 1);
    memcpy(text, "token=", 6);
    assert_int_equal(hsm_uri_parse(text, names, &u, &what), DP_ERR_LIMIT);
    text[DP_HSM_URI_MAX] = '\0';
    assert_int_equal(hsm_uri_parse(text, names, &u, &what), DP_OK);
    assert_int_equal(strlen(hsm_uri_get(&u, "token")), DP_HSM_URI_MAX - 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_path_and_query_and_decodes),
        cmocka_unit_test(refuses_what_it_does_not_know),
        cmocka_unit_test(a_uri_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
