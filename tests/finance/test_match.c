/* SPDX-License-Identifier: Apache-2.0 */
/* Matching and classes, on rows put in by hand: each case a controller can meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "support.h"

static struct ledger l;

static int set_up(void **state)
{
    (void)state;
    if (ledger_open(&l, NULL) < 0)
        return -1;
    return ledger_run(&l, "INSERT INTO journal VALUES ('J', '/j', 'valid and fresh', 1, '')");
}

static int tear_down(void **state)
{
    (void)state;
    ledger_close(&l);
    return 0;
}

static void payment(const char *tx, const char *mode, const char *forward, int64_t amount)
{
    assert_int_equal(
        ledger_exec(&l,
                    "INSERT INTO payment (journal, tx, tid, mid, business_date, wall_ms, amount, "
                    "currency, mode, parcel, bin, last4, forward) VALUES ('J',?,'T1','M',20261124,"
                    "0,?,'EUR',?,'P','999901','1234',?)",
                    "titt", tx, amount, mode, forward),
        DP_OK);
}

static void sale(const char *tx, int64_t stan, const char *state, int64_t amount)
{
    assert_int_equal(
        ledger_exec(&l,
                    "INSERT INTO movement (journal, tx, type, state, tid, mid, batch, stan, "
                    "original_stan, rrn, auth_code, amount, currency, business_date) VALUES "
                    "('J',?,'SALE',?,'T1','M',1,?,0,'R' || ?,'A' || ?,?,'EUR',20261124)",
                    "ttiiii", tx, state, stan, stan, stan, amount),
        DP_OK);
}

static void reversal(const char *tx, int64_t stan, int64_t of, const char *state, int64_t amount)
{
    assert_int_equal(
        ledger_exec(&l,
                    "INSERT INTO movement (journal, tx, type, state, tid, mid, batch, stan, "
                    "original_stan, rrn, auth_code, amount, currency, business_date) VALUES "
                    "('J',?,'REVERSAL',?,'T1','M',1,?,?,'R' || ?,'',?,'EUR',20261124)",
                    "ttiiii", tx, state, stan, of, stan, amount),
        DP_OK);
}

static void line(const char *type, const char *tx, int64_t stan, int64_t amount)
{
    assert_int_equal(
        ledger_exec(
            &l,
            "INSERT INTO line (file, number, reference, type, rrn, tid, mid, batch, stan, "
            "business_date, auth_code, amount, currency, fee, net, tx) VALUES ('f', (SELECT "
            "count(*) + 2 FROM line), 'X', ?, 'R' || ?, 'T1', 'M', 1, ?, 20261124, 'A' || "
            "?, ?, 'EUR', 1, ? - 1, ?)",
            "tiiiiit", type, stan, stan, stan, amount, amount, tx),
        DP_OK);
}

/* The verdict after matching; the residual is checked on the way: it is 0 always. */
static const char *verdict(struct finance_summary *s)
{
    assert_int_equal(ledger_match(&l), DP_OK);
    assert_int_equal(ledger_summary(&l, s), DP_OK);
    for (size_t i = 0; i < s->totals_n; i++)
        assert_int_equal(s->total[i].residual_minor, 0);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM movement WHERE class IS NULL OR class NOT "
                                  "IN (SELECT name FROM class)"),
                     0);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM line WHERE class IS NULL OR class NOT IN "
                                  "(SELECT name FROM class)"),
                     0);
    return s->verdict;
}

static int64_t of_class(const char *class)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM finding WHERE class = '%s'", class);
    return value_of(&l, sql);
}

static struct finance_summary s;

static void what_agrees_is_reconciled(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    payment("B", "offline-approved", "accepted", 500);
    sale("B", 2, "captured", 500);
    payment("C", "declined", "none", 700);
    sale("C", 3, "none", 700);
    line("SALE", "B", 2, 500);
    line("SALE", "A", 1, 1000);
    assert_string_equal(verdict(&s), "RECONCILED");
    assert_int_equal(s.matched, 2);
    assert_int_equal(s.total[0].journal_minor, 1500);
    assert_int_equal(s.total[0].acquirer_minor, 1500);
    assert_int_equal(s.total[0].fee_minor, 2);
    assert_int_equal(s.total[0].net_minor, 1498);
    assert_string_equal(s.total[0].currency, "EUR");
}

static void a_wrong_amount_is_one_break_not_two_missing_lines(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    line("SALE", "A", 1, 1010);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(s.breaks, 1);
    assert_int_equal(of_class("amount_mismatch"), 1);
    assert_int_equal(s.total[0].explained_minor, 10);
}

static void a_wrong_currency_is_a_break_and_explained_in_both(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    line("SALE", "A", 1, 1000);
    assert_int_equal(ledger_run(&l, "UPDATE line SET currency = 'CHF'"), DP_OK);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(of_class("amount_mismatch"), 1);
    assert_int_equal(s.totals_n, 2);
    assert_string_equal(s.total[0].currency, "CHF");
    assert_int_equal(s.total[0].explained_minor, 1000);
    assert_int_equal(s.total[1].explained_minor, -1000);
}

static void a_captured_payment_without_a_line_is_missing_at_the_acquirer(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    payment("B", "online", "none", 500);
    sale("B", 2, "captured", 500);
    line("SALE", "A", 1, 1000);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(of_class("missing_at_acquirer"), 1);
    assert_int_equal(s.total[0].explained_minor, -500);
}

static void a_line_without_a_payment_is_missing_in_the_journal(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    line("SALE", "A", 1, 1000);
    line("SALE", "Z", 9, 300);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(of_class("missing_in_journal"), 1);
    assert_int_equal(s.total[0].explained_minor, 300);
}

static void a_second_booking_is_a_duplicate(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    line("SALE", "A", 1, 1000);
    line("SALE", "A", 1, 1000);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(s.breaks, 1);
    assert_int_equal(of_class("duplicate_at_acquirer"), 1);
    assert_int_equal(s.total[0].explained_minor, 1000);
}

static void a_second_booking_under_another_stan_is_a_duplicate_too(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    line("SALE", "A", 1, 1000);
    line("SALE", "A", 7, 1000);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(of_class("duplicate_at_acquirer"), 1);
    assert_int_equal(s.breaks, 1);
}

static void two_bookings_of_an_unknown_payment_are_both_missing_in_the_journal(void **state)
{
    (void)state;
    line("SALE", "Z", 9, 300);
    line("SALE", "Z", 9, 300);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(of_class("missing_in_journal"), 2);
}

static void one_line_goes_to_one_payment_alone(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    payment("B", "online", "none", 1000);
    sale("B", 2, "captured", 1000);
    line("SALE", "", 1, 1000);
    assert_int_equal(ledger_run(&l, "UPDATE movement SET rrn = 'R1'"), DP_OK);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(value_of(&l, "SELECT count(*) FROM movement WHERE line IS NOT NULL"), 1);
    assert_int_equal(of_class("missing_at_acquirer"), 1);
}

static void a_cancelled_payment_is_two_lines_that_cancel_out(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    reversal("A", 2, 1, "captured", -1000);
    line("SALE", "A", 1, 1000);
    line("REVERSAL", "A", 2, -1000);
    assert_string_equal(verdict(&s), "RECONCILED");
    assert_int_equal(s.total[0].journal_minor, 0);
    assert_int_equal(s.matched, 2);
}

static void a_reversal_the_acquirer_does_not_show_is_a_break(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    reversal("A", 2, 1, "captured", -1000);
    line("SALE", "A", 1, 1000);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(of_class("reversal_missing_at_acquirer"), 1);
    assert_int_equal(s.total[0].explained_minor, 1000);
}

static void a_cancelled_payment_of_which_neither_line_stands_owes_nothing(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    reversal("A", 2, 1, "captured", -1000);
    payment("B", "online", "none", 1);
    sale("B", 3, "captured", 1);
    line("SALE", "B", 3, 1);
    assert_string_equal(verdict(&s), "RECONCILED");
    assert_int_equal(s.total[0].journal_minor, 1);
}

static void a_cancelled_payment_whose_reversal_alone_stands_is_a_break(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    reversal("A", 2, 1, "captured", -1000);
    line("REVERSAL", "A", 2, -1000);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(of_class("missing_at_acquirer"), 1);
    assert_int_equal(s.total[0].explained_minor, -1000);
}

static void an_unanswered_message_being_taken_back_waits(void **state)
{
    (void)state;
    payment("A", "declined", "none", 1000);
    sale("A", 1, "maybe", 1000);
    reversal("A", 2, 1, "pending", -1000);
    line("SALE", "A", 1, 1000);
    assert_string_equal(verdict(&s), "PENDING");
    assert_int_equal(of_class("ahead_of_journal"), 1);
    assert_int_equal(of_class("pending"), 1);
    payment("B", "deferred", "pending", 500); /* asked, not answered yet */
    sale("B", 3, "maybe", 500);
    assert_string_equal(verdict(&s), "PENDING");
    assert_int_equal(value_of(&l, "SELECT count(*) FROM movement WHERE class = 'pending'"), 2);
}

static void an_unanswered_message_taken_back_is_agreed_heard_or_not(void **state)
{
    (void)state;
    payment("A", "declined", "none", 1000); /* the acquirer had heard it */
    sale("A", 1, "maybe", 1000);
    reversal("A", 2, 1, "captured", -1000);
    line("SALE", "A", 1, 1000);
    line("REVERSAL", "A", 2, -1000);
    payment("B", "declined", "none", 700); /* it had not */
    sale("B", 3, "maybe", 700);
    reversal("B", 4, 3, "captured", -700);
    assert_string_equal(verdict(&s), "RECONCILED");
    assert_int_equal(s.total[0].journal_minor, 0);
    assert_int_equal(s.total[0].acquirer_minor, 0);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM movement WHERE class = 'taken_back'"), 2);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM movement WHERE class = 'never_arrived'"),
                     2);
}

static void an_unanswered_message_taken_back_of_which_one_line_stands_is_a_break(void **state)
{
    (void)state;
    payment("A", "declined", "none", 1000);
    sale("A", 1, "maybe", 1000);
    reversal("A", 2, 1, "captured", -1000);
    line("SALE", "A", 1, 1000);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(of_class("reversal_missing_at_acquirer"), 1);
    assert_int_equal(ledger_run(&l, "UPDATE line SET type = 'REVERSAL', stan = 2, rrn = 'R2', "
                                    "amount = -1000"),
                     DP_OK);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(of_class("reversal_without_sale"), 1);
}

static void an_unanswered_message_nobody_took_back_but_captured_is_a_break(void **state)
{
    (void)state;
    payment("A", "declined", "none", 1000);
    sale("A", 1, "maybe", 1000);
    line("SALE", "A", 1, 1000);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(of_class("captured_without_answer"), 1);
}

static void a_declined_payment_that_was_captured_is_a_break(void **state)
{
    (void)state;
    payment("A", "declined", "none", 1000);
    sale("A", 1, "none", 1000);
    line("SALE", "A", 1, 1000);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(of_class("captured_though_not_paid"), 1);
    assert_int_equal(s.total[0].explained_minor, 1000);
}

static void what_waits_on_the_device_is_pending(void **state)
{
    (void)state;
    payment("A", "offline-approved", "pending", 1000);
    sale("A", 1, "pending", 1000);
    payment("B", "deferred", "pending", 500); /* no message of it was made yet */
    payment("C", "open", "none", 300);
    assert_string_equal(verdict(&s), "PENDING");
    assert_int_equal(s.pending, 3);
    assert_int_equal(s.total[0].journal_minor, 0);
}

static void what_the_acquirer_has_before_its_answer_came_is_pending(void **state)
{
    (void)state;
    payment("A", "offline-approved", "pending", 1000);
    sale("A", 1, "pending", 1000);
    line("SALE", "A", 1, 1000);
    assert_string_equal(verdict(&s), "PENDING");
    assert_int_equal(of_class("ahead_of_journal"), 1);
    assert_int_equal(s.total[0].explained_minor, 1000);
}

static void a_deferred_payment_declined_later_is_no_break_but_is_counted(void **state)
{
    (void)state;
    payment("A", "deferred", "declined", 1000);
    sale("A", 1, "none", 1000);
    assert_string_equal(verdict(&s), "RECONCILED");
    assert_int_equal(s.lost, 1);
    assert_int_equal(s.total[0].journal_minor, 0);
}

static void a_deferred_payment_given_up_is_lost_as_well(void **state)
{
    (void)state;
    payment("A", "deferred", "given_up", 1000); /* never asked for */
    payment("B", "deferred", "given_up", 500);  /* asked, taken back, then its time was over */
    sale("B", 1, "maybe", 500);
    reversal("B", 2, 1, "captured", 500);
    assert_string_equal(verdict(&s), "RECONCILED");
    assert_int_equal(s.lost, 2);
    assert_int_equal(s.pending, 0);
    line("SALE", "A", 7, 1000); /* and the acquirer took it all the same */
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(of_class("captured_though_not_paid"), 1);
}

static void a_deferred_payment_asked_twice_is_captured_once(void **state)
{
    (void)state;
    payment("A", "deferred", "accepted", 1000);
    sale("A", 1, "maybe", 1000);
    reversal("A", 2, 1, "captured", -1000);
    sale("A", 3, "captured", 1000);
    line("SALE", "A", 1, 1000);
    line("REVERSAL", "A", 2, -1000);
    line("SALE", "A", 3, 1000);
    assert_string_equal(verdict(&s), "RECONCILED");
    assert_int_equal(s.total[0].journal_minor, 1000);
}

static void an_advice_given_up_is_a_break(void **state)
{
    (void)state;
    payment("A", "offline-approved", "given_up", 1000);
    sale("A", 1, "given_up", 1000);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(of_class("given_up"), 1);
}

static void without_a_transaction_id_the_rrn_or_the_stan_will_do(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    payment("B", "online", "none", 1000);
    sale("B", 2, "captured", 1000);
    payment("C", "online", "none", 1000);
    sale("C", 3, "captured", 1000);
    line("SALE", "", 3, 1000);
    line("SALE", "", 2, 1000);
    line("SALE", "", 1, 1000);
    assert_int_equal(ledger_run(&l, "UPDATE line SET rrn = '' WHERE stan = 2; UPDATE line SET rrn "
                                    "= '', batch = 7 WHERE stan = 3"),
                     DP_OK);
    assert_string_equal(verdict(&s), "RECONCILED");
    assert_int_equal(value_of(&l, "SELECT count(DISTINCT pass) FROM movement"), 3);
}

/* A replaced device has the same terminal id and counts its STANs anew. */
static void the_same_stan_of_another_transaction_does_not_match(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    line("SALE", "Z", 1, 1000);
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(of_class("missing_at_acquirer"), 1);
    assert_int_equal(of_class("missing_in_journal"), 1);
}

static void no_line_at_all_is_incomplete(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    assert_string_equal(verdict(&s), "INCOMPLETE");
}

static void a_journal_that_did_not_verify_makes_it_incomplete(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    line("SALE", "A", 1, 1000);
    assert_int_equal(ledger_run(&l, "INSERT INTO journal VALUES ('K', '/k', 'TAMPERED', 1, '')"),
                     DP_OK);
    assert_string_equal(verdict(&s), "INCOMPLETE");
    assert_int_equal(s.journals_bad, 1);
}

/* The identity is a check: a row nobody classified shows up as money that nothing explains. */
static void a_row_without_a_class_is_residual(void **state)
{
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    line("SALE", "A", 1, 1000);
    line("SALE", "Z", 9, 300);
    assert_int_equal(ledger_match(&l), DP_OK);
    assert_int_equal(ledger_run(&l, "UPDATE line SET class = 'nonsense' WHERE stan = 9"), DP_OK);
    assert_int_equal(ledger_summary(&l, &s), DP_OK);
    assert_int_equal(s.total[0].residual_minor, 300);
    assert_string_equal(s.verdict, "BREAKS");
    assert_int_equal(ledger_run(&l, "UPDATE line SET class = 'matched' WHERE stan = 9"), DP_OK);
    assert_int_equal(ledger_summary(&l, &s), DP_OK);
    assert_int_equal(s.total[0].residual_minor, 300);
}

/* Any mixture adds up: every state with every line there can be, several times over. */
static void the_residual_is_zero_for_every_mixture(void **state)
{
    static const char *const states[] = {"captured", "pending", "maybe", "given_up", "none"};
    char tx[16];
    (void)state;
    for (unsigned n = 0; n < 600; n++) {
        int64_t stan = 10 * (int64_t)n + 1, amount = 100 + n;
        (void)snprintf(tx, sizeof tx, "TX%u", n);
        payment(tx, n % 2 == 0 ? "online" : "deferred", n % 3 == 0 ? "pending" : "none", amount);
        sale(tx, stan, states[n % 5], amount);
        if (n % 4 != 0)
            reversal(tx, stan + 1, n % 28 == 1 ? 999999 : stan, states[n / 5 % 4], -amount);
        for (unsigned copies = n / 20 % 3; copies > 0; copies--)
            line("SALE", n % 11 == 0 ? "" : tx, stan, n % 13 == 0 ? amount + 1 : amount);
        if (n / 60 % 2 == 1)
            line("REVERSAL", tx, stan + 1, -amount);
    }
    assert_string_equal(verdict(&s), "BREAKS");
    assert_int_equal(value_of(&l, "SELECT count(*) > 10 FROM (SELECT DISTINCT class FROM movement "
                                  "UNION SELECT class FROM line)"),
                     1);
}

static void matching_again_gives_the_same(void **state)
{
    (void)state;
    the_residual_is_zero_for_every_mixture(state);
    assert_int_equal(ledger_run(&l, "CREATE TABLE first AS SELECT id, line, pass, class FROM "
                                    "movement"),
                     DP_OK);
    (void)verdict(&s);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM (SELECT * FROM first EXCEPT SELECT id, "
                                  "line, pass, class FROM movement)"),
                     0);
}

/* ---- the report ---- */

static const char *slurp(const char *dir, const char *name, char *out, size_t max)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    out[fread(out, 1, max - 1, f)] = '\0';
    (void)fclose(f);
    return out;
}

static void the_report_escapes_what_others_wrote(void **state)
{
    static char text[65536];
    char dir[256];
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    line("SALE", "=HYPERLINK(1)", 9, 300);
    assert_int_equal(ledger_run(&l, "UPDATE payment SET parcel = '<script>alert(\"1\")</script>', "
                                    "reason = '<b>'; "
                                    "UPDATE line SET file = 'a\"b&c'"),
                     DP_OK);
    assert_int_equal(ledger_match(&l), DP_OK);
    assert_int_equal(ledger_report(&l, in_tmp("report", dir)), DP_OK);
    (void)slurp(dir, "index.html", text, sizeof text);
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "<b>"));
    assert_non_null(strstr(text, "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;"));
    assert_non_null(strstr(text, "a&quot;b&amp;c:2"));
    (void)slurp(dir, "exceptions.csv", text, sizeof text);
    assert_non_null(strstr(text, ",\"'=HYPERLINK(1)\","));
    assert_non_null(strstr(text, ",\"a\"\"b&c:2\"\n"));
}

static void the_page_loads_nothing_and_tells_the_verdict(void **state)
{
    static const char *const from_elsewhere[] = {"http:",   "https:", "src=",   "<link",
                                                 "@import", "url(",   "<script"};
    static char text[65536];
    char dir[256];
    (void)state;
    payment("A", "online", "none", 1000);
    sale("A", 1, "captured", 1000);
    line("SALE", "A", 1, 1010);
    assert_int_equal(ledger_match(&l), DP_OK);
    assert_int_equal(ledger_report(&l, in_tmp("report", dir)), DP_OK);
    (void)slurp(dir, "index.html", text, sizeof text);
    for (size_t i = 0; i < sizeof from_elsewhere / sizeof from_elsewhere[0]; i++)
        assert_null(strstr(text, from_elsewhere[i]));
    assert_non_null(strstr(text, "<span class=\"v BREAKS\">BREAKS</span>"));
    assert_non_null(strstr(text, "Both sides have it, with different amounts"));
    assert_non_null(strstr(text, "Dispute with the acquirer"));
    assert_non_null(strstr(text, "<td class=\"n\">0.10 EUR</td>"));
    assert_non_null(strstr(text, "999901******1234"));
    (void)slurp(dir, "summary.json", text, sizeof text);
    assert_non_null(strstr(text, "\"residual\": 0"));
    assert_non_null(strstr(text, "\"residual_amount\": 0"));
    (void)slurp(dir, "days.csv", text, sizeof text);
    assert_non_null(strstr(text, "\n20261124,T1,1,1000,1010,EUR,1,0,BREAKS\n"));
    (void)slurp(dir, "payments.csv", text, sizeof text);
    assert_non_null(strstr(text,
                           "20261124,T1,P,online,,,999901******1234,,none,1000,1000,1010,EUR,A"
                           ",J,0\n"));
}

/* "degraded" of the OUTCOME: a flag of the payment in each file, and no break. */
static void a_payment_made_with_a_dead_anchor_is_flagged(void **state)
{
    static char text[65536];
    char dir[256];
    (void)state;
    payment("A", "online", "none", 1000);
    payment("B", "online", "none", 2000);
    assert_int_equal(
        ledger_run(&l, "UPDATE payment SET degraded = 1, parcel = 'PB' WHERE tx = 'B'"), DP_OK);
    sale("A", 1, "captured", 1000);
    sale("B", 2, "captured", 2000);
    line("SALE", "A", 1, 1000);
    line("SALE", "B", 2, 2000);
    assert_int_equal(ledger_match(&l), DP_OK);
    assert_int_equal(ledger_report(&l, in_tmp("report", dir)), DP_OK);
    (void)slurp(dir, "payments.csv", text, sizeof text);
    assert_non_null(strstr(text, ",transaction_id,journal,degraded\n"));
    assert_non_null(strstr(text, ",EUR,A,J,0\n"));
    assert_non_null(strstr(text, ",EUR,B,J,1\n"));
    (void)slurp(dir, "summary.json", text, sizeof text);
    assert_non_null(strstr(text, "\"verdict\": \"RECONCILED\""));
    assert_non_null(strstr(text, "\"degraded\": 1"));
    (void)slurp(dir, "index.html", text, sizeof text);
    assert_non_null(strstr(text, "Made while a token's anchor was dead: 1."));
    const char *rows = strstr(text, "<h2>Degraded</h2>");
    assert_non_null(rows);
    const char *end = strstr(rows, "</table>");
    const char *its = strstr(rows, "<td class=\"mono one\">PB</td>");
    const char *other = strstr(rows, "<td class=\"mono one\">P</td>");
    assert_true(end != NULL && its != NULL && its < end); /* listed by itself, and alone */
    assert_true(other != NULL && other > end);
    its = strstr(end, "<td class=\"mono one\">PB</td>"); /* and in the table of all payments */
    assert_non_null(its);
    const char *flag = strstr(rows, "<td>degraded</td>");
    assert_true(flag != NULL && flag > its && flag < strstr(its, "</tr>"));
    assert_null(strstr(flag + 1, "<td>degraded</td>"));
}

/* One that was imported before there was the flag. */
static void a_store_of_before_gets_the_flag(void **state)
{
    char path[256], uri[300];
    struct ledger old;
    (void)state;
    (void)snprintf(uri, sizeof uri, "sqlite:%s", in_tmp("old", path));
    (void)unlink(path);
    assert_int_equal(ledger_open(&old, uri), DP_OK);
    assert_int_equal(ledger_run(&old, "ALTER TABLE payment DROP COLUMN degraded; INSERT INTO "
                                      "payment (journal, tx, amount, currency, mode, forward) "
                                      "VALUES ('J', 'A', 1, 'EUR', 'online', 'none')"),
                     DP_OK);
    ledger_close(&old);
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(ledger_open(&old, uri), DP_OK);
        assert_int_equal(value_of(&old, "SELECT count(*) FROM payment WHERE degraded = 0"), 1);
        ledger_close(&old);
    }
}

static void a_report_that_cannot_be_written_fails(void **state)
{
    char dir[256];
    (void)state;
    assert_int_equal(ledger_match(&l), DP_OK);
    make_file("taken", "x", dir);
    assert_int_equal(ledger_report(&l, dir), DP_ERR_IO);
    assert_non_null(strstr(l.error, "taken"));
    assert_int_equal(mkdir(in_tmp("full", dir), 0700), 0);
    assert_int_equal(symlink("/dev/full", in_tmp("full/index.html", dir)), 0);
    assert_int_equal(ledger_report(&l, in_tmp("full", dir)), DP_ERR_IO);
    assert_string_equal(l.error, "index.html: cannot be written");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_agrees_is_reconciled),
        TEST(a_wrong_amount_is_one_break_not_two_missing_lines),
        TEST(a_wrong_currency_is_a_break_and_explained_in_both),
        TEST(a_captured_payment_without_a_line_is_missing_at_the_acquirer),
        TEST(a_line_without_a_payment_is_missing_in_the_journal),
        TEST(a_second_booking_is_a_duplicate),
        TEST(a_second_booking_under_another_stan_is_a_duplicate_too),
        TEST(two_bookings_of_an_unknown_payment_are_both_missing_in_the_journal),
        TEST(one_line_goes_to_one_payment_alone),
        TEST(a_cancelled_payment_whose_reversal_alone_stands_is_a_break),
        TEST(an_unanswered_message_being_taken_back_waits),
        TEST(a_cancelled_payment_is_two_lines_that_cancel_out),
        TEST(a_reversal_the_acquirer_does_not_show_is_a_break),
        TEST(a_cancelled_payment_of_which_neither_line_stands_owes_nothing),
        TEST(an_unanswered_message_taken_back_is_agreed_heard_or_not),
        TEST(an_unanswered_message_taken_back_of_which_one_line_stands_is_a_break),
        TEST(an_unanswered_message_nobody_took_back_but_captured_is_a_break),
        TEST(a_declined_payment_that_was_captured_is_a_break),
        TEST(what_waits_on_the_device_is_pending),
        TEST(what_the_acquirer_has_before_its_answer_came_is_pending),
        TEST(a_deferred_payment_declined_later_is_no_break_but_is_counted),
        TEST(a_deferred_payment_given_up_is_lost_as_well),
        TEST(a_deferred_payment_asked_twice_is_captured_once),
        TEST(an_advice_given_up_is_a_break),
        TEST(without_a_transaction_id_the_rrn_or_the_stan_will_do),
        TEST(the_same_stan_of_another_transaction_does_not_match),
        TEST(no_line_at_all_is_incomplete),
        TEST(a_journal_that_did_not_verify_makes_it_incomplete),
        TEST(a_row_without_a_class_is_residual),
        TEST(the_residual_is_zero_for_every_mixture),
        TEST(matching_again_gives_the_same),
        TEST(the_report_escapes_what_others_wrote),
        TEST(the_page_loads_nothing_and_tells_the_verdict),
        TEST(a_payment_made_with_a_dead_anchor_is_flagged),
        TEST(a_store_of_before_gets_the_flag),
        TEST(a_report_that_cannot_be_written_fails),
    };
    return cmocka_run_group_tests_name("finance/match", tests, NULL, NULL);
}
