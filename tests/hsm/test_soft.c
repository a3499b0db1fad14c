/* SPDX-License-Identifier: Apache-2.0 */
/* soft:'s files: who may read them, what damage does, what must not be left in them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <psa/crypto.h>

#include "base/hex.h"
#include "fixture.h"
#include "hsm/soft_state.h"

static struct fixture f;
static char path[128], said[512];
static uint8_t file[SOFT_STATE_BYTES_MAX + 64];
static size_t file_n;

static void listen(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)snprintf(said, sizeof said, "%s", line);
}

static int fresh(void **state)
{
    (void)state;
    said[0] = '\0';
    dp_log_set(listen, NULL, DP_LOG_DEBUG);
    if (fixture_make("soft", &f) != 0)
        return -1;
    (void)snprintf(path, sizeof path, "%s/keys/state", f.dir);
    return 0;
}

static int gone(void **state)
{
    (void)state;
    dp_log_set(NULL, NULL, DP_LOG_WARNING);
    fixture_remove(&f);
    return 0;
}

static void load(void)
{
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    file_n = fread(file, 1, sizeof file, in);
    assert_int_equal(fclose(in), 0);
}

static void store(size_t n)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(file, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

static void seal(void)
{
    size_t n = 0;
    assert_int_equal(
        psa_hash_compute(PSA_ALG_SHA_256, file, file_n - 32, file + file_n - 32, 32, &n),
        PSA_SUCCESS);
}

static int open_now(void)
{
    struct dp_hsm *hsm;
    int err;
    said[0] = '\0';
    err = dp_hsm_open(f.uri, &hsm);
    assert_int_equal(err == DP_OK, hsm != NULL);
    dp_hsm_free(&hsm);
    return err;
}

static void assert_said(const char *words)
{
    if (strstr(said, words) == NULL)
        fail_msg("not said: %s\nbut: %s", words, said);
}

static bool holds(const uint8_t *needle, size_t n)
{
    load();
    return memmem(file, file_n, needle, n) != NULL;
}

/* ---- who may read ---- */

static void files_are_their_owners_alone(void **state)
{
    struct stat st;
    char dir[160], uri[180];
    mode_t before = umask(0);
    (void)state;
    (void)snprintf(dir, sizeof dir, "%s/more", f.dir);
    (void)snprintf(uri, sizeof uri, "soft:%s", dir);
    assert_int_equal(dp_hsm_provision(uri), DP_OK);
    (void)umask(before);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void what_others_can_read_is_refused(void **state)
{
    char dir[160];
    (void)state;
    (void)snprintf(dir, sizeof dir, "%s/keys", f.dir);
    dp_hsm_free(&f.hsm);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(open_now(), DP_ERR_DENIED);
    assert_said("/keys/state is open to others than its owner (mode 0640)");
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(chmod(dir, 0701), 0);
    assert_int_equal(open_now(), DP_ERR_DENIED);
    assert_said("/keys is open to others than its owner (mode 0701)");
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(open_now(), DP_OK);
}

static void a_link_or_a_pipe_is_no_state(void **state)
{
    char elsewhere[160];
    (void)state;
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", f.dir);
    dp_hsm_free(&f.hsm);
    assert_int_equal(rename(path, elsewhere), 0);
    assert_int_equal(symlink(elsewhere, path), 0);
    assert_int_equal(open_now(), DP_ERR_IO);
    assert_said("/keys/state");
    assert_int_equal(dp_hsm_provision(f.uri), DP_ERR_STATE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(open_now(), DP_ERR_SHORT);
    assert_int_equal(dp_hsm_provision(f.uri), DP_ERR_STATE);
}

static void another_process_is_kept_out(void **state)
{
    int status = 0;
    pid_t child = fork();
    (void)state;
    if (child == 0) {
        struct dp_hsm *hsm;
        _exit(dp_hsm_open(f.uri, &hsm) == DP_ERR_BUSY ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* What a forked child inherits is wiped memory, which it must not tell or write. */
static int all_refused(struct dp_hsm *hsm)
{
    uint8_t b[65], digest[32] = {0}, signature[64];
    uint64_t value;
    uint32_t number;
    size_t n;
    struct dp_bytes none = {NULL, 0};
    return dp_hsm_anchor_read(hsm, b) == DP_ERR_STATE &&
           dp_hsm_anchor_extend(hsm, digest, b) == DP_ERR_STATE &&
           dp_hsm_counter_read(hsm, DP_COUNTER_PARAMS, &value) == DP_ERR_STATE &&
           dp_hsm_counter_raise(hsm, DP_COUNTER_PARAMS, 9) == DP_ERR_STATE &&
           dp_hsm_public(hsm, DP_KEY_TLS_CLIENT, b) == DP_ERR_STATE &&
           dp_hsm_sign(hsm, DP_KEY_TLS_CLIENT, digest, signature) == DP_ERR_STATE &&
           dp_hsm_epoch_new(hsm, &number) == DP_ERR_STATE &&
           dp_hsm_wrap_generation(hsm, &number) == DP_ERR_STATE &&
           dp_hsm_wrap_rotate(hsm, &number) == DP_ERR_STATE &&
           dp_hsm_wrap(hsm, 1, none, none, b, sizeof b, &n) < 0 &&
           dp_hsm_dukpt_next(hsm, b) == DP_ERR_STATE;
}

static void a_forked_child_is_refused(void **state)
{
    uint8_t value[32], digest[32] = {1}, after[32];
    int status = 0;
    pid_t child;
    (void)state;
    assert_int_equal(dp_hsm_anchor_extend(f.hsm, digest, value), DP_OK);
    child = fork();
    if (child == 0)
        _exit(all_refused(f.hsm) ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fixture_reopen(&f);
    assert_int_equal(dp_hsm_anchor_read(f.hsm, after), DP_OK);
    assert_memory_equal(value, after, 32);
}

/* ---- damage ---- */

static void every_changed_byte_is_found_and_the_file_named(void **state)
{
    (void)state;
    dp_hsm_free(&f.hsm);
    load();
    for (size_t i = 0; i < file_n; i++) {
        file[i] ^= 0x10;
        store(file_n);
        int err = open_now();
        assert_int_equal(err, i < 16 ? DP_ERR_UNSUPPORTED : DP_ERR_TAMPERED);
        assert_said("/keys/state: ");
        file[i] ^= 0x10;
    }
    store(file_n);
    assert_int_equal(open_now(), DP_OK);
}

static void every_cut_is_found(void **state)
{
    (void)state;
    dp_hsm_free(&f.hsm);
    load();
    for (size_t n = 0; n < file_n; n++) {
        store(n);
        assert_int_equal(open_now(), n < 48 ? DP_ERR_SHORT : DP_ERR_TAMPERED);
        assert_said("cut short");
    }
    memset(file + file_n, 0, sizeof file - file_n);
    store(sizeof file);
    assert_int_equal(open_now(), DP_ERR_LIMIT);
    assert_said("/keys/state is longer");
}

static struct soft_state decoded(void)
{
    struct soft_state s;
    const char *what;
    load();
    assert_int_equal(soft_state_decode(file, file_n, &s, &what), DP_OK);
    return s;
}

/* A wrong thing under a right check sum: no crash made it, but nor is it used. */
static void a_key_that_is_none_is_named(void **state)
{
    struct soft_state s = decoded();
    (void)state;
    dp_hsm_free(&f.hsm);
    memset(s.tls_client, 0xFF, 32); /* above the curve's order */
    assert_int_equal(soft_state_encode(&s, file, &file_n), DP_OK);
    store(file_n);
    assert_int_equal(open_now(), DP_ERR_TAMPERED);
    assert_said("/keys/state: the TLS client's key is no P-256 key");
}

static void what_cannot_be_is_refused_by_name(void **state)
{
    /* offsets: docs/PROTOCOL.hsm-soft, of a fresh store */
    static const struct {
        size_t at;
        uint8_t value;
        const char *words;
    } cases[] = {
        {15, 3, "its format is not the one this build knows"},
        {0, 'D', "it is no soft key store's state"},
        {172, 2, "the epoch key's flag is neither 0 nor 1"},
        {173, 0, "the number of side store keys is out of range"},
        {173, 9, "the number of side store keys is out of range"},
        {177, 0, "the side store keys are not in ascending order"},
        {173, 2, "it ends inside an element"},
        {210, 2, "the DUKPT flag is neither 0 nor 1"},
        {210, 1, "it ends inside an element"},
    };
    (void)state;
    dp_hsm_free(&f.hsm);
    load();
    assert_int_equal(file_n, 211 + 32);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t was = file[cases[i].at];
        file[cases[i].at] = cases[i].value;
        seal();
        store(file_n);
        assert_true(open_now() < 0);
        assert_said(cases[i].words);
        file[cases[i].at] = was;
    }
    file_n += 1;
    seal();
    store(file_n);
    assert_int_equal(open_now(), DP_ERR_TRAILING);
    assert_said("bytes are left over");
}

static void an_epoch_key_needs_an_epoch(void **state)
{
    uint32_t number;
    (void)state;
    assert_int_equal(dp_hsm_epoch_new(f.hsm, &number), DP_OK);
    dp_hsm_free(&f.hsm);
    load();
    memset(file + 168, 0, 4);
    seal();
    store(file_n);
    assert_int_equal(open_now(), DP_ERR_RANGE);
    assert_said("an epoch key without an epoch");
}

static void a_dukpt_counter_with_too_many_bits_is_refused(void **state)
{
    static const uint8_t key[16] = {1}, id[8] = {2};
    (void)state;
    assert_int_equal(dp_hsm_dukpt_load(f.hsm, key, id), DP_OK);
    dp_hsm_free(&f.hsm);
    load();
    memset(file + 219, 0xFF, 4);
    seal();
    store(file_n);
    assert_int_equal(open_now(), DP_ERR_RANGE);
    assert_said("a DUKPT counter with more than 16 bits set");
}

static void a_fuller_state_reads_as_it_was_written(void **state)
{
    static const uint8_t key[16] = {1}, id[8] = {2};
    uint8_t again[SOFT_STATE_BYTES_MAX], ksn[12];
    struct soft_state s;
    uint32_t g;
    size_t n = 0;
    (void)state;
    assert_int_equal(dp_hsm_epoch_new(f.hsm, &g), DP_OK);
    for (int i = 1; i < DP_HSM_WRAP_GENERATIONS_MAX; i++)
        assert_int_equal(dp_hsm_wrap_rotate(f.hsm, &g), DP_OK);
    assert_int_equal(dp_hsm_wrap_rotate(f.hsm, &g), DP_ERR_LIMIT);
    assert_int_equal(dp_hsm_wrap_destroy(f.hsm, 3), DP_OK); /* from the middle */
    assert_int_equal(dp_hsm_dukpt_load(f.hsm, key, id), DP_OK);
    s = decoded();
    assert_int_equal(s.wraps_n, DP_HSM_WRAP_GENERATIONS_MAX - 1);
    assert_int_equal(s.wraps[2].generation, 4);
    assert_int_equal(soft_state_encode(&s, again, &n), DP_OK);
    assert_int_equal(n, file_n);
    assert_memory_equal(again, file, n);
    assert_int_equal(dp_hsm_dukpt_next(f.hsm, ksn), DP_OK);
    s = decoded();
    assert_int_equal(s.dukpt.counter, 2);
}

/* ---- what must be gone ---- */

static void used_keys_are_not_in_the_file(void **state)
{
    static const uint8_t ik[16] = {0x12, 0x73, 0x67, 0x1E, 0xA2, 0x6A, 0xC2, 0x9A,
                                   0xFA, 0x4D, 0x10, 0x84, 0x12, 0x76, 0x52, 0xA1};
    static const uint8_t id[8] = {0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56};
    static const uint8_t first[16] = {0x4F, 0x21, 0xB5, 0x65, 0xBA, 0xD9, 0x83, 0x5E,
                                      0x11, 0x2B, 0x64, 0x65, 0x63, 0x5E, 0xAE, 0x44};
    uint8_t ksn[12];
    (void)state;
    assert_int_equal(dp_hsm_dukpt_load(f.hsm, ik, id), DP_OK);
    assert_false(holds(ik, sizeof ik));
    assert_true(holds(first, sizeof first));
    assert_int_equal(dp_hsm_dukpt_next(f.hsm, ksn), DP_OK);
    assert_false(holds(first, sizeof first));
}

static void destroyed_keys_are_not_in_the_file(void **state)
{
    struct soft_state s;
    uint32_t g;
    (void)state;
    assert_int_equal(dp_hsm_epoch_new(f.hsm, &g), DP_OK);
    s = decoded();
    assert_true(holds(s.epoch, 32));
    assert_int_equal(dp_hsm_epoch_destroy(f.hsm), DP_OK);
    assert_false(holds(s.epoch, 32));
    assert_int_equal(dp_hsm_wrap_rotate(f.hsm, &g), DP_OK);
    assert_true(holds(s.wraps[0].key, 32));
    assert_int_equal(dp_hsm_wrap_destroy(f.hsm, 1), DP_OK);
    assert_false(holds(s.wraps[0].key, 32));
}

static void a_directory_without_keys_says_so(void **state)
{
    (void)state;
    dp_hsm_free(&f.hsm);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(open_now(), DP_ERR_NOT_FOUND);
    assert_said("/keys holds no keys yet");
    assert_int_equal(dp_hsm_provision(f.uri), DP_OK);
    assert_int_equal(open_now(), DP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_their_owners_alone, fresh, gone),
        cmocka_unit_test_setup_teardown(what_others_can_read_is_refused, fresh, gone),
        cmocka_unit_test_setup_teardown(a_link_or_a_pipe_is_no_state, fresh, gone),
        cmocka_unit_test_setup_teardown(another_process_is_kept_out, fresh, gone),
        cmocka_unit_test_setup_teardown(a_forked_child_is_refused, fresh, gone),
        cmocka_unit_test_setup_teardown(every_changed_byte_is_found_and_the_file_named, fresh,
                                        gone),
        cmocka_unit_test_setup_teardown(every_cut_is_found, fresh, gone),
        cmocka_unit_test_setup_teardown(a_key_that_is_none_is_named, fresh, gone),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused_by_name, fresh, gone),
        cmocka_unit_test_setup_teardown(an_epoch_key_needs_an_epoch, fresh, gone),
        cmocka_unit_test_setup_teardown(a_dukpt_counter_with_too_many_bits_is_refused, fresh, gone),
        cmocka_unit_test_setup_teardown(a_fuller_state_reads_as_it_was_written, fresh, gone),
        cmocka_unit_test_setup_teardown(used_keys_are_not_in_the_file, fresh, gone),
        cmocka_unit_test_setup_teardown(destroyed_keys_are_not_in_the_file, fresh, gone),
        cmocka_unit_test_setup_teardown(a_directory_without_keys_says_so, fresh, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
