/* SPDX-License-Identifier: Apache-2.0 */
/* What a recorded conversation tells of its terminal. */
#include "cli/recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct recording r;

static void read_text(const char *text)
{
    recording_read(text, strlen(text), &r);
}

static void is(const struct recording_value *v, const char *bytes, size_t n)
{
    assert_int_equal(v->n, n);
    assert_memory_equal(v->p, bytes, n);
}

static void names_come_from_selections_and_directories(void **state)
{
    read_text("> 00A404000E315041592E5359532E444446303100\n< 6A82\n"
              "> 00A404000E325041592E5359532E444446303100\n"
              "< 6F16BF0C1361114F0CA000000999010101020304058701019000\n"
              "> 00A4040005A00000099900 # a part\n< 6A82\n"
              "> 00A4040005A00000099900\n< 6A82\n"
              "> 00A4040004A000000900\n< 6A82\n");
    assert_int_equal(r.names_n, 2);
    assert_int_equal(r.names[0].n, 12);
    assert_memory_equal(r.names[1].p, "\xA0\x00\x00\x09\x99", 5);
    assert_int_equal(r.names[1].n, 5);
    /* what the part finds is not looked for by its whole name */
    read_text("> 00A4040005A00000099900\n< 6A82\n> 00A4040007A000000999010100\n< 6A82\n");
    assert_int_equal(r.names_n, 1);
}

static void values_come_from_what_was_sent_for_the_lists(void **state)
{
    read_text("> 00A4040007A000000999010100\n< 6F10A50E9F380B9F37049F02069F660495059000\n"
              "> 80A8000015831301020304000000002350330040000102030405\n< 9000\n");
    is(&r.un, "\x01\x02\x03\x04", 4);
    is(&r.amount, "\x00\x00\x00\x00\x23\x50", 6);
    is(&r.ttq, "\x33\x00\x40\x00", 4);
    assert_int_equal(r.tvr.n, 0); /* of the PDOL: nothing was checked yet */
    assert_int_equal(r.first_ac, -1);
}

static void the_first_cryptogram_s_tvr_counts(void **state)
{
    read_text("> 00B2010C00\n< 70118C079F370495059A038D068A029505910A9000\n"
              "> 80AE50000C0A0B0C0D000000800026112400\n< 9000\n"
              "> 80AE400011303000000080001112131415161718191A00\n< 9000\n");
    assert_int_equal(r.first_ac, 0x50);
    assert_true(r.second_ac);
    is(&r.un, "\x0A\x0B\x0C\x0D", 4);
    is(&r.tvr, "\x00\x00\x00\x80\x00", 5);
    is(&r.date, "\x26\x11\x24", 3);
    is(&r.arc, "00", 2);
    assert_int_equal(r.issuer_authentication.n, 10);
}

static void the_second_cryptogram_s_tvr_does_not(void **state)
{
    read_text("> 00B2010C00\n< 70118C079F370495059A038D068A029505910A9000\n"
              "> 80AE80000C0A0B0C0D000000000026112400\n< 9000\n"
              "> 80AE000011593300000080001112131415161718191A00\n< 9000\n");
    is(&r.tvr, "\x00\x00\x00\x00\x00", 5);
    is(&r.arc, "Y3", 2);
}

static void lines_that_are_none_are_passed_over(void **state)
{
    read_text("hello\n\n# > 00A4040007A000000999010100\n> 00A4\n> 00A40\n< zz\n>\n<\n"
              "  \t> 00 A4 04 00 07 A0 00 00 09 99 01 01 00 # yes\r\n< 6A82");
    assert_int_equal(r.names_n, 1);
}

static void card_numbers_are_masked_wherever_they_stand(void **state)
{
    char text[] = "C0089999030000000019 11D99990300000000190 9999030000000018";
    read_text("> 80A80000028300\n< 770C570A9999030000000019D2909000\n");
    recording_mask(&r, text);
    assert_string_equal(text, "C008999903******0019 11D999903******00190 9999030000000018");
}

static void lists_are_taken_to_their_limits(void **state)
{
    static char text[40 * 64];
    for (unsigned i = 0; i < 40; i++) {
        char line[] = "> 00A4040007A0000009990100 00\n";
        line[24] = (char)('0' + i / 10);
        line[25] = (char)('0' + i % 10);
        (void)strcat(text, line);
    }
    read_text(text);
    assert_int_equal(r.names_n, DP_EMV_AIDS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_come_from_selections_and_directories),
        cmocka_unit_test(values_come_from_what_was_sent_for_the_lists),
        cmocka_unit_test(the_first_cryptogram_s_tvr_counts),
        cmocka_unit_test(the_second_cryptogram_s_tvr_does_not),
        cmocka_unit_test(lines_that_are_none_are_passed_over),
        cmocka_unit_test(card_numbers_are_masked_wherever_they_stand),
        cmocka_unit_test(lists_are_taken_to_their_limits),
    };
    return cmocka_run_group_tests_name("recording", tests, NULL, NULL);
}
