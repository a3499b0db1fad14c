/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files, without a fuzzing engine: seeds and regressions are replayed as
 * a test by any compiler. With --near the target also meets what lies close to each file, every
 * prefix and small changes of single bytes, which finds an overread without an engine too.
 *
 *     replay_NAME [--near] FILE|DIR…
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

#define INPUT_MAX   (1024 * 1024)
#define NEAR_MAX    20000
#define NEAR_MS_MAX 4000

static char current[PATH_MAX + 64] = "the empty input";
static size_t files, runs, near_runs;
static bool near_wanted;
static struct timespec near_start;

static void name_input(void)
{
    static const char text[] = "# died on: ";

    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ||
        write(STDERR_FILENO, current, strlen(current)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
        return;
}

static void on_signal(int number)
{
    name_input();
    signal(number, SIG_DFL);
    raise(number);
}

/* A copy of exactly n bytes, so that a sanitizer sees the first byte read too many. */
static void run(const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);

    if (copy == NULL)
        abort();
    if (n > 0)
        memcpy(copy, p, n);
    (void)LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    runs++;
}

static bool near_over(void)
{
    struct timespec now;

    if (near_runs >= NEAR_MAX)
        return true;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - near_start.tv_sec) * 1000 + (now.tv_nsec - near_start.tv_nsec) / 1000000 >
           NEAR_MS_MAX;
}

static void run_near(const char *name, uint8_t *p, size_t n)
{
    static const uint8_t change[] = {0x00, 0xFF, 0x80, 0x7F, 0x01};
    size_t i, k;

    for (i = 0; i < n && !near_over(); i++, near_runs++) {
        snprintf(current, sizeof(current), "%s, its first %zu bytes", name, i);
        run(p, i);
    }
    for (i = 0; i < n && !near_over(); i++) {
        uint8_t was = p[i];

        for (k = 0; k < sizeof(change); k++, near_runs++) {
            p[i] = k < 2 ? change[k] : (uint8_t)(was ^ change[k]);
            snprintf(current, sizeof(current), "%s with byte %zu = %02X", name, i, p[i]);
            run(p, n);
        }
        p[i] = was;
    }
}

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *p = NULL;
    size_t n;
    int rc = -1;

    if (f == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    p = malloc(INPUT_MAX);
    if (p == NULL)
        goto out;
    n = fread(p, 1, INPUT_MAX, f);
    if (ferror(f) || !feof(f)) {
        fprintf(stderr, "%s: not readable, or over %d bytes\n", path, INPUT_MAX);
        goto out;
    }
    snprintf(current, sizeof(current), "%s", path);
    run(p, n);
    if (near_wanted)
        run_near(path, p, n);
    files++;
    rc = 0;
out:
    free(p);
    fclose(f);
    return rc;
}

static int replay_dir(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    int i, rc = 0;

    if (n < 0)
        return -1;
    for (i = 0; i < n; i++) {
        char file[PATH_MAX];

        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && replay_file(file) != 0)
            rc = -1;
        free(entries[i]);
    }
    free(entries);
    return rc;
}

/* A directory that is not there holds nothing: a target may have no regressions yet. */
static int replay(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return errno == ENOENT ? 0 : -1;
    return S_ISDIR(st.st_mode) ? replay_dir(path) : replay_file(path);
}

int main(int argc, char **argv)
{
    int i, rc = 0;

    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    signal(SIGFPE, on_signal);
    signal(SIGILL, on_signal);
    signal(SIGABRT, on_signal);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(name_input);
    if (LLVMFuzzerInitialize != NULL)
        (void)LLVMFuzzerInitialize(&argc, &argv);
    clock_gettime(CLOCK_MONOTONIC, &near_start);
    run(NULL, 0);
    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--near") == 0)
            near_wanted = true;
        else if (replay(argv[i]) != 0)
            rc = 1;
    }
    if (files == 0) {
        fprintf(stderr, "no input to replay\n");
        rc = 1;
    }
    printf("1..1\n%sok 1 - %zu files, %zu runs\n", rc ? "not " : "", files, runs);
    return rc;
}
