/* SPDX-License-Identifier: Apache-2.0 */
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int64_t measure_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t measure_median(int64_t *values, unsigned n)
{
    qsort(values, n, sizeof values[0], by_size);
    return values[n / 2];
}

unsigned measure_rounds(int argc, char **argv, unsigned usual)
{
    char *end;
    unsigned long n;
    if (argc < 2)
        return usual;
    n = strtoul(argv[1], &end, 10);
    return argc == 2 && *end == '\0' && n >= 1 && n <= MEASURE_ROUNDS_MAX ? (unsigned)n : 0;
}

int measure_turns(const char *bench, const struct measure_part *parts, size_t parts_n, void *ctx,
                  size_t bytes, unsigned rounds, unsigned calls)
{
    static int64_t took[MEASURE_PARTS_MAX][MEASURE_ROUNDS_MAX];
    int64_t median[MEASURE_PARTS_MAX];
    if (parts_n > MEASURE_PARTS_MAX || rounds < 1 || rounds > MEASURE_ROUNDS_MAX) {
        (void)fprintf(stderr, "usage: %s [ROUNDS], at most %d\n", bench, MEASURE_ROUNDS_MAX);
        return 2;
    }
    for (unsigned r = 0; r < rounds; r++)
        for (size_t p = 0; p < parts_n; p++) {
            int64_t start = measure_now_ns();
            for (unsigned i = 0; i < calls; i++)
                parts[p].run(ctx);
            took[p][r] = measure_now_ns() - start;
        }
    (void)printf("{\"bench\": \"%s\", \"rounds\": %u, \"bytes\": %zu", bench, rounds, bytes);
    for (size_t p = 0; p < parts_n; p++) {
        median[p] = measure_median(took[p], rounds);
        (void)printf(", \"%s_ns\": %lld", parts[p].name, (long long)(median[p] / calls));
    }
    for (size_t p = 1; p < parts_n; p++)
        (void)printf(", \"%s_percent\": %lld", parts[p].name,
                     (long long)(median[0] > 0 ? median[p] * 100 / median[0] : 0));
    return puts("}") < 0;
}
