/* SPDX-License-Identifier: Apache-2.0 */
/*
 * soft: between any two calls to the file system: killed, failed, cut short. The linker puts this
 * file's calls in the way (--wrap). Whatever happens, the store opens, with the state of before or
 * of after; and what was reported done is done.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <psa/crypto.h>

#include "fixture.h"
#include "hsm/soft_state.h"

/* ---- what goes wrong, and when ---- */

static enum {
    NOTHING,
    KILL,
    FAIL,
    SHORT_WRITES
} plan;
static int at_call, fail_errno;
static int calls; /* so far; 0 again by begin() */
static char trace[512];

static void begin(int what, int call)
{
    plan = what;
    at_call = call;
    calls = 0;
    trace[0] = '\0';
}

/* True when this call is to fail. */
static bool strike(const char *name)
{
    size_t n = strlen(trace);
    (void)snprintf(trace + n, sizeof trace - n, "%s ", name);
    calls++;
    if (calls != at_call)
        return false;
    if (plan == KILL)
        (void)kill(getpid(), SIGKILL);
    errno = fail_errno;
    return plan == FAIL;
}

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
/* with 64-bit offsets, the build's, these are the names the linker sees */
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_openat64(int at, const char *path, int flags, ...);
int __wrap_openat64(int at, const char *path, int flags, ...);
int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_renameat(int from_at, const char *from, int to_at, const char *to);
int __wrap_renameat(int from_at, const char *from, int to_at, const char *to);
int __real_unlinkat(int at, const char *path, int flags);
int __wrap_unlinkat(int at, const char *path, int flags);

static mode_t mode_of(int flags, va_list *list)
{
    return (flags & O_CREAT) != 0 ? (mode_t)va_arg(*list, int) : 0;
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    return strike("mkdir") ? -1 : __real_mkdir(path, mode);
}

int __wrap_open64(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;
    va_start(list, flags);
    mode = mode_of(flags, &list);
    va_end(list);
    return strike("open") ? -1 : __real_open64(path, flags, mode);
}

int __wrap_openat64(int at, const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;
    va_start(list, flags);
    mode = mode_of(flags, &list);
    va_end(list);
    return strike("openat") ? -1 : __real_openat64(at, path, flags, mode);
}

int __wrap_flock(int fd, int operation)
{
    return strike("flock") ? -1 : __real_flock(fd, operation);
}

ssize_t __wrap_read(int fd, void *p, size_t n)
{
    return strike("read") ? -1 : __real_read(fd, p, n);
}

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
    if (plan == SHORT_WRITES)
        return __real_write(fd, p, n > 7 ? 7 : n);
    return strike("write") ? -1 : __real_write(fd, p, n);
}

int __wrap_fsync(int fd)
{
    return strike("fsync") ? -1 : __real_fsync(fd);
}

/* A close that fails has closed all the same. */
int __wrap_close(int fd)
{
    bool fails = strike("close");
    int got = __real_close(fd);
    if (fails)
        errno = fail_errno;
    return fails ? -1 : got;
}

int __wrap_renameat(int from_at, const char *from, int to_at, const char *to)
{
    return strike("renameat") ? -1 : __real_renameat(from_at, from, to_at, to);
}

int __wrap_unlinkat(int at, const char *path, int flags)
{
    return strike("unlinkat") ? -1 : __real_unlinkat(at, path, flags);
}

/* ---- a store with something in everything ---- */

static struct fixture f;
static char path[128], spare[128];

static void quiet(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

static int fresh(void **state)
{
    static const uint8_t key[16] = {3}, id[8] = {4};
    uint8_t value[32], digest[32] = {5}, ksn[12];
    uint32_t g;
    (void)state;
    begin(NOTHING, 0);
    dp_log_set(quiet, NULL, DP_LOG_ERROR);
    if (fixture_make("soft", &f) != 0)
        return -1;
    (void)snprintf(path, sizeof path, "%s/keys/state", f.dir);
    (void)snprintf(spare, sizeof spare, "%s/spare", f.dir);
    return dp_hsm_anchor_extend(f.hsm, digest, value) != DP_OK ||
           dp_hsm_counter_raise(f.hsm, DP_COUNTER_PARAMS, 3) != DP_OK ||
           dp_hsm_tls_next(f.hsm) != DP_OK || dp_hsm_epoch_new(f.hsm, &g) != DP_OK ||
           dp_hsm_wrap_rotate(f.hsm, &g) != DP_OK || dp_hsm_dukpt_load(f.hsm, key, id) != DP_OK ||
           dp_hsm_dukpt_next(f.hsm, ksn) != DP_OK;
}

static int gone(void **state)
{
    (void)state;
    begin(NOTHING, 0);
    fixture_remove(&f);
    return 0;
}

static void copy(const char *from, const char *to)
{
    uint8_t b[SOFT_STATE_BYTES_MAX];
    FILE *in = fopen(from, "rb"), *out;
    size_t n;
    assert_non_null(in);
    n = fread(b, 1, sizeof b, in);
    assert_int_equal(fclose(in), 0);
    out = fopen(to, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(b, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

static struct soft_state held(void)
{
    uint8_t b[SOFT_STATE_BYTES_MAX];
    struct soft_state s;
    const char *what;
    FILE *in = fopen(path, "rb");
    size_t n;
    assert_non_null(in);
    n = fread(b, 1, sizeof b, in);
    assert_int_equal(fclose(in), 0);
    assert_int_equal(soft_state_decode(b, n, &s, &what), DP_OK);
    return s;
}

/* ---- the operations, and what each must have done ---- */

static int extend(struct dp_hsm *hsm)
{
    static const uint8_t digest[32] = {6};
    uint8_t value[32];
    return dp_hsm_anchor_extend(hsm, digest, value);
}

static bool extended(const struct soft_state *before, const struct soft_state *after)
{
    uint8_t both[64] = {0}, want[32];
    size_t n = 0;
    memcpy(both, before->anchor, 32);
    both[32] = 6;
    return psa_hash_compute(PSA_ALG_SHA_256, both, 64, want, 32, &n) == PSA_SUCCESS &&
           memcmp(want, after->anchor, 32) == 0;
}

static int raise_counter(struct dp_hsm *hsm)
{
    return dp_hsm_counter_raise(hsm, DP_COUNTER_PARAMS, 8);
}

static bool raised(const struct soft_state *before, const struct soft_state *after)
{
    return before->counters[0] == 3 && after->counters[0] == 8;
}

static int epoch_new(struct dp_hsm *hsm)
{
    uint32_t number;
    return dp_hsm_epoch_new(hsm, &number);
}

static bool epoch_made(const struct soft_state *before, const struct soft_state *after)
{
    return after->epoch_live && after->epoch_number == before->epoch_number + 1 &&
           memcmp(before->epoch, after->epoch, 32) != 0;
}

static int epoch_destroy(struct dp_hsm *hsm)
{
    return dp_hsm_epoch_destroy(hsm);
}

static bool epoch_gone(const struct soft_state *before, const struct soft_state *after)
{
    return before->epoch_live && !after->epoch_live && after->epoch_number == before->epoch_number;
}

static int wrap_rotate(struct dp_hsm *hsm)
{
    uint32_t g;
    return dp_hsm_wrap_rotate(hsm, &g);
}

static bool rotated(const struct soft_state *before, const struct soft_state *after)
{
    return before->wraps_n == 2 && after->wraps_n == 3 && after->wraps[2].generation == 3;
}

static int wrap_destroy(struct dp_hsm *hsm)
{
    return dp_hsm_wrap_destroy(hsm, 1);
}

static bool wrap_gone(const struct soft_state *before, const struct soft_state *after)
{
    return before->wraps_n == 2 && after->wraps_n == 1 && after->wraps[0].generation == 2;
}

static int load(struct dp_hsm *hsm)
{
    static const uint8_t key[16] = {7}, id[8] = {8};
    return dp_hsm_dukpt_load(hsm, key, id);
}

static bool loaded(const struct soft_state *before, const struct soft_state *after)
{
    return before->dukpt.counter == 2 && after->dukpt.counter == 1 && after->dukpt.id[0] == 8;
}

static int next(struct dp_hsm *hsm)
{
    uint8_t ksn[12];
    return dp_hsm_dukpt_next(hsm, ksn);
}

static bool nexted(const struct soft_state *before, const struct soft_state *after)
{
    return before->dukpt.counter == 2 && after->dukpt.counter == 3;
}

static bool taken(const struct soft_state *before, const struct soft_state *after)
{
    return before->tls_waits && !after->tls_waits &&
           memcmp(before->tls_next, after->tls_client, 32) == 0;
}

static const struct {
    const char *name;
    int (*run)(struct dp_hsm *hsm);
    bool (*done)(const struct soft_state *before, const struct soft_state *after);
} operations[] = {
    {"anchor_extend", extend, extended},   {"counter_raise", raise_counter, raised},
    {"epoch_new", epoch_new, epoch_made},  {"epoch_destroy", epoch_destroy, epoch_gone},
    {"wrap_rotate", wrap_rotate, rotated}, {"wrap_destroy", wrap_destroy, wrap_gone},
    {"dukpt_load", load, loaded},          {"dukpt_next", next, nexted},
    {"tls_take", dp_hsm_tls_take, taken},
};
#define OPERATIONS (sizeof operations / sizeof operations[0])

static bool same(const struct soft_state *a, const struct soft_state *b)
{
    uint8_t x[SOFT_STATE_BYTES_MAX], y[SOFT_STATE_BYTES_MAX];
    size_t x_n = 0, y_n = 0;
    assert_int_equal(soft_state_encode(a, x, &x_n), DP_OK);
    assert_int_equal(soft_state_encode(b, y, &y_n), DP_OK);
    return x_n == y_n && memcmp(x, y, x_n) == 0;
}

/* Opens and closes; then the state is that of before or of after. True: of after. */
static bool old_or_new(size_t op, const struct soft_state *before)
{
    struct soft_state after;
    struct dp_hsm *hsm;
    assert_int_equal(dp_hsm_open(f.uri, &hsm), DP_OK);
    dp_hsm_free(&hsm);
    after = held();
    if (same(before, &after))
        return false;
    if (!operations[op].done(before, &after))
        fail_msg("%s left a state neither old nor new", operations[op].name);
    /* and nothing else of it changed */
    assert_memory_equal(before->identity, after.identity, 32);
    assert_memory_equal(before->card_data, after.card_data, 32);
    assert_int_equal(after.sequence, before->sequence + 1);
    return true;
}

/* ---- killed ---- */

/* A child opens the store and runs the operation, killed at a call. 'd': it reported done before it
 * died; 'k': it died before; 'e': it came to its end. */
static char killed_child(size_t op, int call)
{
    int pipes[2], status = 0;
    char said = 'k', got;
    pid_t child;
    assert_int_equal(pipe(pipes), 0);
    child = fork();
    if (child == 0) {
        struct dp_hsm *hsm;
        if (dp_hsm_open(f.uri, &hsm) != DP_OK)
            _exit(9);
        begin(KILL, call);
        if (operations[op].run(hsm) != DP_OK)
            _exit(8);
        plan = NOTHING;
        if (write(pipes[1], "d", 1) != 1)
            _exit(7);
        plan = KILL;
        dp_hsm_free(&hsm);
        _exit(0);
    }
    (void)close(pipes[1]);
    if (read(pipes[0], &got, 1) == 1)
        said = got;
    (void)close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        assert_int_equal(WTERMSIG(status), SIGKILL);
    else
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status) ? said : 'e';
}

static void killed_at_any_call_it_opens_old_or_new(void **state)
{
    struct soft_state before = held();
    (void)state;
    dp_hsm_free(&f.hsm);
    copy(path, spare);
    for (size_t op = 0; op < OPERATIONS; op++) {
        int call = 1, olds = 0, news = 0;
        for (char end = 'k'; end != 'e'; call++) {
            copy(spare, path);
            end = killed_child(op, call);
            bool is_new = old_or_new(op, &before);
            olds += !is_new;
            news += is_new;
            if (end != 'k' && !is_new)
                fail_msg("%s: reported done, killed at call %d, and undone", operations[op].name,
                         call);
        }
        assert_true(olds >= 5); /* unlink, make, write, flush, close, rename */
        assert_true(news >= 2);
    }
}

static void provisioning_killed_at_any_call_can_be_done_again(void **state)
{
    char uri[160];
    int status = 0;
    struct dp_hsm *hsm;
    (void)state;
    for (int call = 1; status == 0 || WIFSIGNALED(status); call++) {
        pid_t child;
        (void)snprintf(uri, sizeof uri, "soft:%s/new%d", f.dir, call);
        child = fork();
        if (child == 0) {
            begin(KILL, call);
            _exit(dp_hsm_provision(uri) == DP_OK ? 42 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        int err = dp_hsm_open(uri, &hsm);
        dp_hsm_free(&hsm);
        if (err == DP_ERR_NOT_FOUND)
            err = dp_hsm_provision(uri);
        assert_int_equal(err, DP_OK);
        assert_int_equal(dp_hsm_open(uri, &hsm), DP_OK);
        dp_hsm_free(&hsm);
        assert_true(call < 64);
    }
    assert_int_equal(WEXITSTATUS(status), 42);
}

/* ---- at random, with many extensions on the way ---- */

static void link_chain(uint8_t value[32], uint32_t i)
{
    uint8_t both[64] = {0};
    size_t n = 0;
    memcpy(both, value, 32);
    memcpy(both + 32, &i, sizeof i);
    assert_int_equal(psa_hash_compute(PSA_ALG_SHA_256, both, 64, value, 32, &n), PSA_SUCCESS);
}

static void extender(int out)
{
    struct dp_hsm *hsm;
    uint8_t digest[32] = {0}, value[32];
    if (dp_hsm_open(f.uri, &hsm) != DP_OK)
        _exit(9);
    for (uint32_t i = 0;; i++) {
        memcpy(digest, &i, sizeof i);
        if (dp_hsm_anchor_extend(hsm, digest, value) != DP_OK || write(out, &i, sizeof i) < 0)
            _exit(8);
    }
}

/* Reads what the child acknowledged, `most` at most, and follows the chain. */
static uint32_t acknowledgements(int from, uint32_t first, uint32_t most, uint8_t value[32])
{
    uint32_t i = 0, n = 0;
    while (n < most && read(from, &i, sizeof i) == (ssize_t)sizeof i) {
        assert_int_equal(i, first + n);
        link_chain(value, first + n);
        n++;
    }
    return n;
}

/* Killed a random while after a random number of extensions, however slow the machine is. */
static void killed_at_random_loses_nothing_acknowledged(void **state)
{
    unsigned seed = 20260101;
    (void)state;
    dp_hsm_free(&f.hsm);
    for (int round = 0; round < 25; round++) {
        struct soft_state before = held(), after;
        uint8_t value[32];
        int pipes[2], status;
        uint32_t wanted = (seed >> 16) % 12, acknowledged;
        pid_t child;
        assert_int_equal(pipe(pipes), 0);
        child = fork();
        if (child == 0)
            extender(pipes[1]);
        (void)close(pipes[1]);
        memcpy(value, before.anchor, 32);
        acknowledged = acknowledgements(pipes[0], 0, wanted, value);
        assert_int_equal(acknowledged, wanted);
        assert_int_equal(usleep((useconds_t)((seed >> 8) % 5000)), 0);
        seed = seed * 1103515245U + 12345U;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        acknowledged += acknowledgements(pipes[0], acknowledged, UINT32_MAX, value);
        (void)close(pipes[0]);
        after = held();
        if (memcmp(after.anchor, value, 32) != 0)
            link_chain(value, acknowledged); /* made durable, not yet told */
        assert_memory_equal(after.anchor, value, 32);
    }
}

/* ---- failed ---- */

static void a_failed_call_leaves_old_or_new_and_is_told(void **state)
{
    static const int errnos[] = {EIO, ENOSPC};
    struct soft_state before = held();
    (void)state;
    dp_hsm_free(&f.hsm);
    copy(path, spare);
    for (size_t op = 0; op < OPERATIONS; op++)
        for (size_t e = 0; e < 2; e++)
            for (int call = 1;; call++) {
                struct dp_hsm *hsm;
                int err, again;
                bool struck;
                copy(spare, path);
                assert_int_equal(dp_hsm_open(f.uri, &hsm), DP_OK);
                fail_errno = errnos[e];
                begin(FAIL, call);
                err = operations[op].run(hsm);
                struck = calls >= call;
                begin(NOTHING, 0);
                if (!struck) {
                    assert_int_equal(err, DP_OK);
                    dp_hsm_free(&hsm);
                    break;
                }
                assert_int_equal(err, errnos[e] == EIO ? DP_ERR_IO : DP_ERR_FULL);
                /* the handle goes on with the old state, or knows that it cannot know */
                again = operations[op].run(hsm);
                assert_true(again == DP_OK || again == DP_ERR_TOKEN);
                dp_hsm_free(&hsm);
                assert_true(old_or_new(op, &before) || again == DP_ERR_TOKEN);
            }
}

static void after_an_unknown_end_nothing_is_told(void **state)
{
    uint8_t value[32];
    uint64_t counter;
    (void)state;
    fail_errno = EIO;
    begin(FAIL, 7); /* the flush of the directory, after the rename */
    assert_int_equal(extend(f.hsm), DP_ERR_IO);
    assert_string_equal(trace, "unlinkat openat write fsync close renameat fsync ");
    begin(NOTHING, 0);
    assert_int_equal(dp_hsm_anchor_read(f.hsm, value), DP_ERR_TOKEN);
    assert_int_equal(dp_hsm_counter_read(f.hsm, DP_COUNTER_PARAMS, &counter), DP_ERR_TOKEN);
    assert_int_equal(extend(f.hsm), DP_ERR_TOKEN);
    fixture_reopen(&f);
    assert_int_equal(extend(f.hsm), DP_OK);
}

/* A power cut is worse than a kill: what is not flushed may be gone, in any order. So the file is
 * flushed before its name is taken, and the directory after, before the caller hears of it. */
static void flushes_in_the_order_that_a_power_cut_demands(void **state)
{
    (void)state;
    for (size_t op = 0; op < OPERATIONS; op++) {
        begin(NOTHING, 0);
        assert_int_equal(operations[op].run(f.hsm), DP_OK);
        assert_string_equal(trace, "unlinkat openat write fsync close renameat fsync ");
    }
}

static void short_writes_are_written_on(void **state)
{
    struct soft_state before = held();
    (void)state;
    dp_hsm_free(&f.hsm);
    copy(path, spare);
    for (size_t op = 0; op < OPERATIONS; op++) {
        struct dp_hsm *hsm;
        copy(spare, path);
        assert_int_equal(dp_hsm_open(f.uri, &hsm), DP_OK);
        begin(SHORT_WRITES, 0);
        assert_int_equal(operations[op].run(hsm), DP_OK);
        begin(NOTHING, 0);
        dp_hsm_free(&hsm);
        assert_true(old_or_new(op, &before));
    }
}

static void opening_fails_clean_at_any_call(void **state)
{
    struct dp_hsm *hsm;
    int err = DP_ERR_IO;
    (void)state;
    dp_hsm_free(&f.hsm);
    fail_errno = EIO;
    for (int call = 1; err < 0; call++) {
        begin(FAIL, call);
        err = dp_hsm_open(f.uri, &hsm);
        if (calls < call)
            assert_int_equal(err, DP_OK);
        else
            assert_true(err == DP_ERR_IO || strstr(trace, "close") != NULL);
        begin(NOTHING, 0);
        dp_hsm_free(&hsm);
        assert_int_equal(dp_hsm_open(f.uri, &hsm), DP_OK); /* no lock is left */
        dp_hsm_free(&hsm);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_at_any_call_it_opens_old_or_new, fresh, gone),
        cmocka_unit_test_setup_teardown(provisioning_killed_at_any_call_can_be_done_again, fresh,
                                        gone),
        cmocka_unit_test_setup_teardown(killed_at_random_loses_nothing_acknowledged, fresh, gone),
        cmocka_unit_test_setup_teardown(a_failed_call_leaves_old_or_new_and_is_told, fresh, gone),
        cmocka_unit_test_setup_teardown(after_an_unknown_end_nothing_is_told, fresh, gone),
        cmocka_unit_test_setup_teardown(flushes_in_the_order_that_a_power_cut_demands, fresh, gone),
        cmocka_unit_test_setup_teardown(short_writes_are_written_on, fresh, gone),
        cmocka_unit_test_setup_teardown(opening_fails_clean_at_any_call, fresh, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
