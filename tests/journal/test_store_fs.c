/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <doorpay/journal.h>

static char dir[64];
static struct dp_store store;

static int fresh(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/dp-store-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    return dp_store_fs_open(dir, &store);
}

static int gone(void **state)
{
    char command[96];
    (void)state;
    dp_store_fs_free(&store);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void a_created_file_is_zeroed_exclusive_and_takes_writes_in_place(void **state)
{
    int file;
    uint8_t b[16];
    uint64_t size;
    size_t got;
    (void)state;
    assert_int_equal(store.ops->make_dir(store.ctx, "d"), DP_OK);
    assert_int_equal(store.ops->make_dir(store.ctx, "d"), DP_OK);
    assert_int_equal(store.ops->create(store.ctx, "d/f", 100000, &file), DP_OK);
    assert_int_equal(store.ops->write_at(store.ctx, file, 99992, "abcdefgh", 8), DP_OK);
    assert_int_equal(store.ops->read_at(store.ctx, file, 99988, b, sizeof b, &got), DP_OK);
    assert_int_equal(got, 12);
    assert_memory_equal(b, "\0\0\0\0abcdefgh", 12);
    assert_int_equal(store.ops->size(store.ctx, file, &size), DP_OK);
    assert_int_equal(size, 100000);
    assert_int_equal(store.ops->sync(store.ctx, file), DP_OK);
    assert_int_equal(store.ops->sync_dir(store.ctx, "d"), DP_OK);
    assert_int_equal(store.ops->sync_dir(store.ctx, "."), DP_OK);
    store.ops->close(store.ctx, file);
    assert_int_equal(store.ops->create(store.ctx, "d/f", 8, &file), DP_ERR_DUPLICATE);
    assert_int_equal(store.ops->open(store.ctx, "d/g", false, &file), DP_ERR_NOT_FOUND);
    assert_int_equal(store.ops->open(store.ctx, "d/f", false, &file), DP_OK);
    assert_int_equal(store.ops->write_at(store.ctx, file, 0, "x", 1), DP_ERR_IO);
    store.ops->close(store.ctx, file);
}

static void no_name_leaves_the_root(void **state)
{
    static const char *const names[] = {"../f", "/etc/passwd", "d/../../f", "", "d/.."};
    int file;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(store.ops->open(store.ctx, names[i], false, &file), DP_ERR_ARG);
    char link[96];
    snprintf(link, sizeof link, "%s/link", dir);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    assert_int_equal(store.ops->open(store.ctx, "link", false, &file), DP_ERR_IO);
}

static void note(void *user, const char *name)
{
    strcat(user, name);
    strcat(user, " ");
}

static void lists_in_name_order_and_never_renames_over_a_file(void **state)
{
    char seen[64] = "";
    int file;
    uint64_t space = 0;
    (void)state;
    for (const char *const *n = (const char *const[]){"c", "a", "b", NULL}; *n != NULL; n++) {
        assert_int_equal(store.ops->create(store.ctx, *n, 0, &file), DP_OK);
        store.ops->close(store.ctx, file);
    }
    assert_int_equal(store.ops->list(store.ctx, ".", note, seen), DP_OK);
    assert_string_equal(seen, "a b c ");
    assert_int_equal(store.ops->rename(store.ctx, "a", "b"), DP_ERR_DUPLICATE);
    assert_int_equal(store.ops->rename(store.ctx, "a", "d"), DP_OK);
    assert_int_equal(store.ops->remove(store.ctx, "b"), DP_OK);
    assert_int_equal(store.ops->remove(store.ctx, "b"), DP_ERR_NOT_FOUND);
    assert_int_equal(store.ops->list(store.ctx, "x", note, seen), DP_ERR_NOT_FOUND);
    seen[0] = '\0';
    assert_int_equal(store.ops->list(store.ctx, ".", note, seen), DP_OK);
    assert_string_equal(seen, "c d ");
    assert_int_equal(store.ops->space(store.ctx, &space), DP_OK);
    assert_true(space > 0);
}

static void the_lock_has_one_holder(void **state)
{
    int first, second, status;
    (void)state;
    assert_int_equal(store.ops->lock(store.ctx, "lock", &first), DP_OK);
    assert_int_equal(store.ops->lock(store.ctx, "lock", &second), DP_ERR_BUSY);
    pid_t child = fork();
    if (child == 0) {
        struct dp_store other;
        int file;
        int err = dp_store_fs_open(dir, &other);
        if (err == DP_OK)
            err = other.ops->lock(other.ctx, "lock", &file);
        _exit(err == DP_ERR_BUSY ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    store.ops->close(store.ctx, first);
    assert_int_equal(store.ops->lock(store.ctx, "lock", &second), DP_OK);
    store.ops->close(store.ctx, second);
}

static void a_full_disk_is_said_to_be_full(void **state)
{
    int file;
    (void)state;
    struct dp_store dev;
    assert_int_equal(dp_store_fs_open("/dev", &dev), DP_OK);
    assert_int_equal(dev.ops->open(dev.ctx, "full", true, &file), DP_OK);
    assert_int_equal(dev.ops->write_at(dev.ctx, file, 0, "x", 1), DP_ERR_FULL);
    dev.ops->close(dev.ctx, file);
    dp_store_fs_free(&dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_created_file_is_zeroed_exclusive_and_takes_writes_in_place, fresh, gone),
        cmocka_unit_test_setup_teardown(no_name_leaves_the_root, fresh, gone),
        cmocka_unit_test_setup_teardown(lists_in_name_order_and_never_renames_over_a_file, fresh,
                                        gone),
        cmocka_unit_test_setup_teardown(the_lock_has_one_holder, fresh, gone),
        cmocka_unit_test_setup_teardown(a_full_disk_is_said_to_be_full, fresh, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
