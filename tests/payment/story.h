/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A payment told step by step, so that its end can come between any two or within one, and the
 * acquirer's own books beside it: what reached him, and what he would pay the merchant for it.
 */
#ifndef DP_TESTS_PAYMENT_STORY_H
#define DP_TESTS_PAYMENT_STORY_H

#include "tests/payment/world.h"

#define STORY_STEPS 12
#define STORY_CENTS 2350
#define STORY_PAY   1
#define STORY_UNDO  2

struct story_host {
    struct {
        uint32_t stan;
        int64_t cents;
        bool taken_back;
    } messages[32];
    unsigned n, heard; /* heard: of the world's sends */
    bool declines;
};

struct scene {
    struct world w;
    struct story_host host;
};

struct story {
    const char *name;
    bool declines; /* the acquirer, and so it captures nothing */
    bool tc;       /* the card gives a TC without a link */
    void (*steps[STORY_STEPS])(struct scene *s);
};

extern const struct story stories[];
extern const unsigned stories_n;

/* A terminal that knows nothing yet, and an acquirer with empty books. */
void story_begin(struct scene *s, const struct story *story);
/* Step by step until the disk is dead or the machine has stopped, or to the end; false: the end. */
bool story_tell(struct scene *s, const struct story *story);
/* What was sent last has reached the acquirer. */
void story_hear(struct scene *s);
/* Minor units the acquirer would pay now; *sales: for how many sales. */
int64_t story_captured(const struct scene *s, unsigned *sales);
/* Everything that is queued goes out and is answered. */
void story_forward_all(struct scene *s);
/* What the sale heard of its payment; false: nothing, or that nobody knows. */
bool story_told(const struct scene *s, struct dp_pay_result *pay, bool *undone);

#endif
