/* SPDX-License-Identifier: Apache-2.0 */
/* How the benchmarks measure: what is compared takes turns within one run, so that a slow machine
 * is slow for all, and each figure is the median of its rounds. */
#ifndef DP_BENCH_MEASURE_H
#define DP_BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#define MEASURE_PARTS_MAX  6
#define MEASURE_ROUNDS_MAX 2000

/* What is measured: run does its work once. It must do all of it each time; what it computes goes
 * where the compiler has to believe it is read. */
struct measure_part {
    const char *name; /* "raw", the baseline, comes first */
    void (*run)(void *ctx);
};

int64_t measure_now_ns(void);
/* Sorts values. */
int64_t measure_median(int64_t *values, unsigned n);
/* The ROUNDS argument of a benchmark, 1 to MEASURE_ROUNDS_MAX; usual when it is not given; 0 when
 * it is none. */
unsigned measure_rounds(int argc, char **argv, unsigned usual);
/*
 * Runs every part calls times a round and prints one line of JSON: NAME_ns of one call for each
 * part, and NAME_percent of the first part's time for each other one. bytes: what one call works
 * on. Returns an exit status.
 */
int measure_turns(const char *bench, const struct measure_part *parts, size_t parts_n, void *ctx,
                  size_t bytes, unsigned rounds, unsigned calls);

#endif
