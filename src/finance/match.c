/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matching in passes, strongest key first, each pass one to one and deterministic (lowest id
 * first). The amount is in no key: with it there, one wrong amount would become two missing lines.
 * What is left is classified; every movement and every line ends in exactly one class.
 */
#include <string.h>

#include "classes.h"
#include "ledger.h"

/* One pass: each still free line takes the first still free movement with the same key. */
static int run_pass(struct ledger *l, const char *name, const char *key)
{
    char sql[1400];
    int64_t before = 0, after = 0;
    int err;
    (void)snprintf(
        sql, sizeof sql,
        "CREATE TEMP TABLE pair AS SELECT m.id AS movement, min(l.id) AS line FROM movement m JOIN "
        "line l ON l.type = m.type AND l.movement IS NULL AND l.tid = m.tid AND %s"
        " WHERE m.line IS NULL AND m.state <> 'none' GROUP BY m.id;"
        "DELETE FROM pair WHERE movement NOT IN (SELECT min(movement) FROM pair GROUP BY line);"
        "UPDATE movement SET pass = '%s', line = (SELECT line FROM pair WHERE movement = "
        "movement.id) WHERE id IN (SELECT movement FROM pair);"
        "UPDATE line SET movement = (SELECT movement FROM pair WHERE line = line.id)"
        " WHERE id IN (SELECT line FROM pair);"
        "DROP TABLE pair;",
        key, name);
    do {
        before = after;
        err = ledger_run(l, sql);
        if (err == DP_OK)
            err = ledger_value(l, "SELECT count(*) FROM movement WHERE line IS NOT NULL", &after);
    } while (err == DP_OK && after != before);
    return err;
}

/* Two sides that name different transactions are different ones, whatever else agrees. */
#define SAME_TX "(l.tx = '' OR l.tx = m.tx)"

static const struct {
    const char *name, *key;
} passes[] = {
    {"transaction and STAN", "l.tx <> '' AND l.tx = m.tx AND l.stan = m.stan"},
    {"RRN", "l.rrn <> '' AND l.rrn = m.rrn AND l.currency = m.currency AND " SAME_TX},
    {"terminal, batch and STAN", "l.batch = m.batch AND l.stan = m.stan AND l.stan > 0 AND "
                                 "l.batch > 0 AND " SAME_TX},
    {"terminal, STAN and approval code", "l.stan = m.stan AND l.stan > 0 AND l.auth_code <> '' AND "
                                         "l.auth_code = m.auth_code AND " SAME_TX},
    {"transaction", "l.tx <> '' AND l.tx = m.tx"},
};

/* The reversal r of the sale movement s, and the other way round. */
#define REVERSAL_OF(s)                                                                             \
    "SELECT 1 FROM movement r WHERE r.journal = " s ".journal AND r.tx = " s ".tx AND r.type = "   \
    "'REVERSAL' AND r.original_stan = " s ".stan"
#define SALE_OF(r)                                                                                 \
    "SELECT 1 FROM movement s WHERE s.journal = " r ".journal AND s.tx = " r ".tx AND s.type = "   \
    "'SALE' AND s.stan = " r ".original_stan"
#define STILL_OPEN                                                                                 \
    "EXISTS (SELECT 1 FROM payment p WHERE p.journal = movement.journal AND p.tx = movement.tx "   \
    "AND (p.mode = 'open' OR p.forward = 'pending'))"

static const char *const counting[] = {
    "UPDATE movement SET counts = 1 WHERE type = 'SALE' AND state = 'captured'",
    "UPDATE movement SET counts = 1 WHERE type = 'REVERSAL' AND state = 'captured' AND EXISTS "
    "(" SALE_OF("movement") " AND s.state = 'captured')",
};

/* Each takes only rows that are still without a class, so the first that fits decides. */
#define MOVEMENT(name, where)                                                                      \
    "UPDATE movement SET class = '" name "' WHERE class IS NULL AND (" where ")"
#define LINE(name, where) "UPDATE line SET class = '" name "' WHERE class IS NULL AND (" where ")"

static const char *const classes[] = {
    MOVEMENT("not_paid", "state = 'none'"),
    MOVEMENT("amount_mismatch", "line IS NOT NULL AND (amount, currency) <> (SELECT l.amount, "
                                "l.currency FROM line l WHERE l.id = movement.line)"),
    /* both sides have it */
    MOVEMENT("matched", "line IS NOT NULL AND counts = 1"),
    MOVEMENT("taken_back", "line IS NOT NULL AND type = 'SALE' AND state IN ('maybe', 'given_up') "
                           "AND EXISTS (" REVERSAL_OF("movement") " AND r.state = 'captured')"),
    MOVEMENT("taken_back", "line IS NOT NULL AND type = 'REVERSAL' AND state = 'captured' AND "
                           "EXISTS (" SALE_OF("movement") " AND s.line IS NOT NULL)"),
    MOVEMENT("reversal_without_sale",
             "line IS NOT NULL AND type = 'REVERSAL' AND state = 'captured'"),
    MOVEMENT("ahead_of_journal", "line IS NOT NULL AND state = 'pending'"),
    MOVEMENT("ahead_of_journal", "line IS NOT NULL AND state = 'maybe' AND (EXISTS "
                                 "(" REVERSAL_OF("movement") ") OR " STILL_OPEN ")"),
    MOVEMENT("captured_without_answer", "line IS NOT NULL"),
    /* the journal alone has it */
    MOVEMENT("pending", "state = 'pending' OR (state = 'maybe' AND " STILL_OPEN ")"),
    MOVEMENT("never_arrived", "state = 'maybe'"),
    MOVEMENT("given_up", "state = 'given_up'"),
    MOVEMENT("cancelled_out", "type = 'SALE' AND EXISTS (" REVERSAL_OF(
                                  "movement") " AND r.state = 'captured' AND r.line IS NULL)"),
    MOVEMENT("missing_at_acquirer", "type = 'SALE'"),
    MOVEMENT("reversal_missing_at_acquirer",
             "EXISTS (" SALE_OF("movement") " AND s.line IS NOT NULL)"),
    MOVEMENT("cancelled_out", "EXISTS (" SALE_OF("movement") " AND s.state = 'captured')"),
    MOVEMENT("never_arrived", "1"),
    /* lines */
    "UPDATE line SET class = (SELECT class FROM movement WHERE id = line.movement) WHERE movement "
    "IS NOT NULL",
    LINE(
        "duplicate_at_acquirer",
        "EXISTS (SELECT 1 FROM line o WHERE o.id <> line.id AND o.movement IS NOT NULL AND o.type "
        "= line.type AND o.tid = line.tid AND ((o.tx <> '' AND o.tx = line.tx) OR (o.rrn <> '' AND "
        "o.rrn = line.rrn)))"),
    LINE("captured_though_not_paid",
         "type = 'SALE' AND EXISTS (SELECT 1 FROM payment p WHERE p.tx = line.tx)"),
    LINE("missing_in_journal", "1"),
};

int ledger_match(struct ledger *l)
{
    int err = ledger_run(l, "UPDATE movement SET line = NULL, pass = NULL, class = NULL, counts = "
                            "0; UPDATE line SET movement = NULL, class = NULL");
    if (err == DP_OK)
        err = classes_load(l);
    for (size_t i = 0; i < sizeof passes / sizeof passes[0] && err == DP_OK; i++)
        err = run_pass(l, passes[i].name, passes[i].key);
    for (size_t i = 0; i < sizeof counting / sizeof counting[0] && err == DP_OK; i++)
        err = ledger_run(l, counting[i]);
    for (size_t i = 0; i < sizeof classes / sizeof classes[0] && err == DP_OK; i++)
        err = ledger_run(l, classes[i]);
    return err;
}
