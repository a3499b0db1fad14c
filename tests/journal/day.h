/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Days of a terminal as the journal sees them: what is appended, flushed and bound, in order. One
 * is scripted, others are drawn by a seed; both keep to what docs/PROTOCOL.journal lets a
 * transaction do.
 */
#ifndef DP_TESTS_JOURNAL_DAY_H
#define DP_TESTS_JOURNAL_DAY_H

#include <doorpay/journal.h>

#define DAY_PAYMENTS_MAX 16
#define DAY_STEPS_MAX    192

enum step_kind {
    STEP_INTENT,
    STEP_REQUESTED,
    STEP_OUTCOME,
    STEP_REVERSAL,
    STEP_VOID,
    STEP_FORWARDED,
    STEP_EVIDENCE,
    STEP_TIME,
    STEP_ROTATE,
    STEP_DROP,
    STEP_SHRED
};

enum step_end {
    STEP_APPENDS, /* and no more: it goes out with what follows */
    STEP_FLUSHES,
    STEP_BINDS
};

struct step {
    enum step_kind kind;
    enum step_end end;
    uint32_t payment;
    enum dp_mode mode;
    uint32_t stan, original, mti, result; /* original: the STAN that is taken back */
};

struct day {
    struct step steps[DAY_STEPS_MAX];
    int n;
};

void day_scripted(struct day *d);
void day_drawn(struct day *d, uint64_t seed);

/* One step; the first error. *unsealed: the disk had no place for the sealed card data, and the
 * payment was declined instead. */
int day_step(struct dp_journal *j, const struct step *s, bool *unsealed);
/* A step of a payment that was not begun, or not as the day wanted it. */
bool day_is_of(const struct step *s, const bool payments[DAY_PAYMENTS_MAX]);

/* xorshift64; state is not 0. */
uint64_t day_random(uint64_t *state);

#endif
