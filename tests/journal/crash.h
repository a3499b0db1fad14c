/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A day over a store that records every call, and any state that a power cut can leave of it: so
 * many calls done, the token before or after its last change, and of what no flush had made durable
 * each sector and name there, gone or torn. The whole of it comes from one seed.
 */
#ifndef DP_TESTS_JOURNAL_CRASH_H
#define DP_TESTS_JOURNAL_CRASH_H

#include "day.h"
#include "tests/hsm/fast_token.h"
#include "world.h"

#define CRASH_RECORDS_MAX 320
#define CRASH_FRAMES_MAX  512
#define CRASH_TOKENS_MAX  256
#define CRASH_ITEMS_MAX   1024 /* pending at one time: when the disk lies from some flush on */
#define CRASH_LOTS        32   /* of them, those a state's name tells */

struct recording {
    struct memstore base;
    struct memlog log;
    struct {
        int at; /* from this call on */
        struct fast_state state;
    } tokens[CRASH_TOKENS_MAX];
    int tokens_n;
};

/* What the writer had said when so many calls were made. */
struct promise {
    int calls, step;
    int records; /* durable */
    int bound;   /* ... by the token's anchor: a disk that lies cannot hide that they are gone */
};

/* A frame as the day wrote it. */
struct frame_at {
    int node;
    uint32_t number; /* of its segment */
    uint32_t offset, bytes, batch;
    bool signature;
    uint8_t type; /* of a record */
    uint64_t seq;
};

struct cut {
    int calls;     /* so many came to an end */
    bool newest;   /* with the token's change behind the last of them */
    uint64_t lots; /* enum memlog_lot, two bits for each that was pending */
    int lied;      /* a flush that the disk only promised; -1: none */
    bool lies_on;  /* and all flushes after it */
};

struct crash {
    uint64_t seed;
    struct world w;
    struct day day;
    struct recording rec;
    struct promise promises[DAY_STEPS_MAX + 1];
    int promises_n;
    struct dp_record full[CRASH_RECORDS_MAX]; /* of the whole day */
    int full_n;
    struct frame_at frames[CRASH_FRAMES_MAX];
    int frames_n;
    struct memstore whole; /* the disk when the day was over */
    struct dp_record seen[CRASH_RECORDS_MAX + 64];
    int seen_n;
    uint64_t drawn;   /* state of crash_draw */
    uint64_t content; /* of the randomness that the journal is given */
};

extern struct crash crash;

void crash_make(uint64_t seed, const struct day *day);
void crash_remove(void);
uint64_t crash_draw(void);

/* ---- recordings ---- */
void recording_begin(struct recording *r);
void recording_end(struct recording *r);
void recording_free(struct recording *r);
/* The token when so many calls were made: after the change that came then, or before it. */
const struct fast_state *recording_token(const struct recording *r, int calls, bool newest);
bool recording_token_changes(const struct recording *r, int calls);
/* Which calls nothing had made durable; how many. */
int recording_pending(const struct recording *r, const struct cut *c, int items[CRASH_ITEMS_MAX]);
/* Disk and token after the cut. */
void recording_put(const struct recording *r, const struct cut *c);

/* ---- what is on the disk ---- */
/* Frames of the day that are whole on the disk, by the day's own bytes. */
bool crash_frame_whole(const struct frame_at *f);
/* Records that recovery must keep, and no more. */
int crash_kept(void);
/* All records into crash.seen; DP_ERR_NOT_FOUND when there is no journal. */
int crash_read(struct dp_verify_result *v);
/* NULL, or what is wrong: the day's records that are seen are these, in their places. */
const char *crash_invented(int kept);
/* The last promise made before the cut. */
const struct promise *crash_promise(const struct cut *c);

/* ---- the machine ---- */
int crash_open(void);
/* The process is gone; what it wrote is there. */
void crash_stop(void);
/* What is open in crash.seen is closed as the payment room would; then one more payment. */
int crash_go_on(void);
/* NULL, or what is open in crash.seen. */
const char *crash_open_payment(void);

/* ---- what a state is called ---- */
void cut_name(const struct cut *c, char out[96]);
bool cut_named(const char *text, struct cut *c);
void crash_seed_state(const struct cut *c);

#endif
