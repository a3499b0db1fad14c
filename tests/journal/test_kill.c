/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer on a real directory is killed at random times. After each kill the journal must verify,
 * and everything that was acknowledged through a pipe must be in it; the next writer recovers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <signal.h>

#include "journal/writer.h"
#include "world.h"

#define PAYMENTS_MAX  20000
#define KILLS_PER_DIR 10

enum said {
    SAID_OPENED = 1,
    SAID_RECOVERED,
    SAID_DONE, /* the payment is bound: its answer could leave */
    SAID_FAILED
};

struct word {
    uint32_t said, payment;
};

static struct world w;
static char journals[160];
static bool done[PAYMENTS_MAX], found[PAYMENTS_MAX];
static uint32_t next_payment, recoveries, acknowledged;

static void tell(int to, enum said said, uint32_t payment)
{
    struct word word = {said, payment};
    if (write(to, &word, sizeof word) != sizeof word)
        _exit(1);
}

static int pay(struct dp_journal *j, uint32_t payment)
{
    struct dp_record r;
    switch (payment % 4) {
    case 0:
        return pay_online(j, payment);
    case 1:
        return pay_offline(j, payment);
    case 2:
        return pay_no_answer(j, payment);
    default:
        record_of(&r, DP_RECORD_EVIDENCE, payment);
        if (dp_journal_append(j, &r) != DP_OK)
            return DP_ERR_IO;
        return pay_declined(j, payment);
    }
}

/* What belongs to a round beside payments. */
static int housekeeping(struct dp_journal *j, uint32_t payment)
{
    struct dp_record r;
    int err = DP_OK;
    record_of(&r, DP_RECORD_TIME_SYNC, payment);
    if (payment % 5 == 0)
        err = dp_journal_append(j, &r);
    if (err == DP_OK && payment % 7 == 0)
        err = dp_journal_rotate(j);
    record_of(&r, DP_RECORD_OUTCOME, payment);
    if (err == DP_OK && payment % 8 == 1)
        err = dp_side_drop(j, r.tx, DP_SIDE_PAN);
    if (err == DP_OK && payment % 9 == 0)
        err = dp_side_shred(j);
    return err;
}

static _Noreturn void writer(int to, uint32_t payment)
{
    struct dp_journal_config c = w.config;
    struct dp_journal_opened opened;
    struct dp_journal *j = NULL;
    int err = dp_hsm_open(w.uri, &c.hsm);
    if (err == DP_OK)
        err = dp_store_fs_open(journals, &c.store);
    if (err == DP_OK)
        err = journal_open_sized(&c, 16384, NULL, NULL, &opened, &j);
    if (err == DP_OK)
        tell(to, opened.recovered ? SAID_RECOVERED : SAID_OPENED, 0);
    while (err == DP_OK) {
        err = pay(j, payment);
        if (err == DP_OK)
            tell(to, SAID_DONE, payment);
        if (err == DP_OK)
            err = housekeeping(j, payment);
        payment++;
    }
    tell(to, SAID_FAILED, (uint32_t)-err);
    _exit(1);
}

static void see(void *user, const struct dp_record *r)
{
    uint32_t payment;
    (void)user;
    memcpy(&payment, r->tx, sizeof payment);
    if (r->type == DP_RECORD_INTENT && payment >= next_payment)
        next_payment = payment + 1; /* it may have died before its acknowledgement */
    if (r->type == DP_RECORD_OUTCOME)
        found[payment] = true;
}

static void judge(void)
{
    struct dp_verify_options o;
    struct dp_verify_result v;
    struct dp_store store;
    int err;
    memset(&o, 0, sizeof o);
    o.has_anchor = true;
    assert_int_equal(dp_hsm_open(w.uri, &w.hsm), DP_OK);
    assert_int_equal(dp_hsm_anchor_read(w.hsm, o.anchor), DP_OK);
    dp_hsm_free(&w.hsm);
    assert_int_equal(dp_store_fs_open(journals, &store), DP_OK);
    memset(found, 0, sizeof found);
    err = dp_journal_verify(&store, &o, see, NULL, &v);
    dp_store_fs_free(&store);
    if (err == DP_ERR_NOT_FOUND) /* killed before the first was begun */
        memset(&v, 0, sizeof v);
    else
        assert_int_equal(err, DP_OK);
    if (v.verdict != DP_VERDICT_FRESH && v.verdict != DP_VERDICT_UNKNOWN)
        fail_msg("%s: %s", v.rule, v.words);
    for (uint32_t i = 0; i < PAYMENTS_MAX; i++)
        if (done[i] && !found[i])
            fail_msg("payment %u was acknowledged and is lost", i);
}

static void hear(const struct word *word)
{
    if (word->said == SAID_FAILED)
        fail_msg("a writer gave up: %s", dp_strerr(-(int)word->payment));
    recoveries += word->said == SAID_RECOVERED;
    if (word->said != SAID_DONE)
        return;
    done[word->payment] = true;
    acknowledged++;
    if (word->payment >= next_payment)
        next_payment = word->payment + 1;
}

static void listen_to(int from)
{
    struct word word;
    while (read(from, &word, sizeof word) == sizeof word)
        hear(&word);
}

/* Half of the kills come while the writer opens and recovers, half in the payment after some that
 * were acknowledged: counted, not timed, so that a slow machine gets as far. */
static void one_kill(bool opening, unsigned after, long microseconds)
{
    struct timespec t = {0, microseconds * 1000};
    unsigned wanted = acknowledged + after;
    struct word word;
    int ends[2], status;
    pid_t child;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        writer(ends[1], next_payment);
    }
    (void)close(ends[1]);
    while (!opening && acknowledged < wanted && read(ends[0], &word, sizeof word) == sizeof word)
        hear(&word);
    (void)nanosleep(&t, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    listen_to(ends[0]);
    (void)close(ends[0]);
    judge();
}

/* Payments that a kill left open are closed by their owner; here the next number is taken. */
static void nothing_acknowledged_is_lost_by_a_kill(void **state)
{
    const char *kind = getenv("DP_TEST_KIND"), *tmp = getenv("TMPDIR");
    const char *wanted = getenv("DP_JOURNAL_KILLS");
    unsigned kills = kind != NULL && kind[0] != '\0' ? 20 : 200; /* a special build is slower */
    if (wanted != NULL)
        kills = (unsigned)strtoul(wanted, NULL, 10);
    (void)state;
    srandom(20261124);
    for (unsigned i = 0; i < kills; i++) {
        if (i % KILLS_PER_DIR == 0) {
            if (i > 0)
                world_remove(&w);
            world_make(&w);
            dp_hsm_free(&w.hsm);
            snprintf(journals, sizeof journals, "%s/dp-killed-XXXXXX", tmp != NULL ? tmp : "/tmp");
            assert_non_null(mkdtemp(journals));
            memset(done, 0, sizeof done);
            next_payment = 1;
        }
        one_kill(i % 2 == 0, 1 + (unsigned)random() % 4, random() % (i % 2 == 0 ? 150000 : 30000));
    }
    print_message("# %u kills, %u payments acknowledged, %u recoveries\n", kills, acknowledged,
                  recoveries);
    assert_true(acknowledged >= kills / 2);
    world_remove(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost_by_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
