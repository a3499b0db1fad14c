/* SPDX-License-Identifier: Apache-2.0 */
/* make_journal JOURNALS TOKEN FIRST COUNT [unclean|fill]: COUNT payments from number FIRST on, in a
 * new journal or behind what is there. unclean: ends as a process that is killed in the next
 * payment; fill: no payments, records of 4 a KiB that are nobody's money. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "world.h"

static int pay(struct dp_journal *j, uint32_t payment)
{
    switch (payment % 3) {
    case 0:
        return pay_online(j, payment);
    case 1:
        return pay_offline(j, payment);
    default:
        return pay_no_answer(j, payment);
    }
}

static int fill(struct dp_journal *j, uint32_t number)
{
    struct dp_record r;
    int err;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_TIME_SYNC;
    (void)snprintf(r.text, sizeof r.text, "%100u", number);
    err = dp_journal_append(j, &r);
    return err == DP_OK && number % 64 == 0 ? dp_journal_checkpoint(j) : err;
}

static int failed(const char *what, int err)
{
    (void)fprintf(stderr, "make_journal: %s: %s\n", what, dp_strerr(err));
    return 1;
}

int main(int argc, char **argv)
{
    struct dp_journal_config c;
    struct dp_journal_opened opened;
    struct dp_journal *j = NULL;
    uint32_t first, count;
    bool fills = argc > 5 && strcmp(argv[5], "fill") == 0;
    int err;
    if (argc < 5)
        return 2;
    first = (uint32_t)strtoul(argv[3], NULL, 10);
    count = (uint32_t)strtoul(argv[4], NULL, 10);
    memset(&c, 0, sizeof c);
    c.clock = dp_clock_system();
    c.random = dp_random_system();
    err = dp_hsm_open(argv[2], &c.hsm);
    if (err == DP_ERR_NOT_FOUND) {
        err = dp_hsm_provision(argv[2]);
        if (err == DP_OK)
            err = dp_hsm_open(argv[2], &c.hsm);
    }
    if (err == DP_OK)
        err = dp_store_fs_open(argv[1], &c.store);
    if (err == DP_OK)
        err = dp_journal_open(&c, NULL, NULL, &opened, &j);
    if (err != DP_OK)
        return failed("open", err);
    for (uint32_t i = first; err == DP_OK && i < first + count; i++)
        err = fills ? fill(j, i) : pay(j, i);
    if (err != DP_OK)
        return failed("payment", err);
    if (argc > 5 && !fills) {
        struct dp_record r;
        record_of(&r, DP_RECORD_INTENT, first + count);
        err = dp_journal_append(j, &r);
        if (err == DP_OK)
            err = dp_journal_flush(j);
        _exit(err == DP_OK ? 0 : failed("intent", err));
    }
    dp_journal_free(&j);
    dp_store_fs_free(&c.store);
    dp_hsm_free(&c.hsm);
    return 0;
}
