/* SPDX-License-Identifier: Apache-2.0 */
/* What every process does at its start, seen from a child that does it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "doorpayd/process.h"
#include "doorpayd/software.h"

/* The exit status of a child that runs check. */
static int in_child(int (*check)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(check());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int hardened(void)
{
    struct rlimit core;
    (void)umask(0);
    dp_process_harden("test");
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return 1;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 2;
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0)
        return 3;
    return umask(0) == 0077 ? 0 : 4; /* what it writes is its own, however it was started */
}

static void process_cannot_be_dumped_nor_gain_privileges(void **state)
{
    (void)state;
    assert_int_equal(in_child(hardened), 0);
}

static void options_are_found_by_name_alone(void **state)
{
    char a[] = "prog", b[] = "--hsm-uri=x", c[] = "--hsm=soft:a=b", d[] = "hsm=no";
    char *argv[] = {a, d, b, c, NULL};
    (void)state;
    assert_string_equal(dp_process_option(4, argv, "hsm"), "soft:a=b");
    assert_null(dp_process_option(4, argv, "journal"));
}

/* The program started is a shell that tells what it has open. */
static void child_has_its_channel_and_nothing_else(void **state)
{
    char sh[] = "/bin/sh", dash[] = "-c";
    char script[] = "for f in 3 4 5 6 7 8 9; do test -e /proc/$$/fd/$f && echo $f; done >&3; true";
    char *argv[] = {sh, dash, script, NULL};
    int out[2], other, fds[2], status = 0;
    char text[32] = "";
    pid_t pid;
    (void)state;
    assert_int_equal(pipe(out), 0);
    other = open("/dev/null", O_RDONLY); /* inheritable: must not get through */
    fds[0] = out[1];
    fds[1] = other;
    pid = dp_process_spawn(sh, argv, fds, 2);
    assert_true(pid > 0);
    (void)close(out[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(read(out[0], text, sizeof text - 1) > 0);
    assert_string_equal(text, "3\n4\n");
    (void)close(out[0]);
    (void)close(other);
}

static void program_that_is_not_there_ends_as_such(void **state)
{
    char name[] = "/nonexistent/doorpayd-x";
    char *argv[] = {name, NULL};
    int fds[1] = {-1}, status = 0;
    pid_t pid = dp_process_spawn(name, argv, fds, 1);
    (void)state;
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 127);
}

/* A supervisor that dies takes its children along. */
static void child_dies_with_its_parent(void **state)
{
    int report[2], status = 0;
    pid_t grandchild = 0, parent;
    (void)state;
    assert_int_equal(pipe(report), 0);
    parent = fork();
    if (parent == 0) {
        char sleep_name[] = "/bin/sleep", time[] = "60";
        char *argv[] = {sleep_name, time, NULL};
        int fds[1] = {-1};
        pid_t pid = dp_process_spawn(sleep_name, argv, fds, 1);
        (void)!write(report[1], &pid, sizeof pid);
        (void)pause();
        _exit(0);
    }
    assert_int_equal(read(report[0], &grandchild, sizeof grandchild), (ssize_t)sizeof grandchild);
    (void)usleep(100000); /* until it is what it will be */
    (void)kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, &status, 0), parent);
    for (int i = 0; i < 200 && kill(grandchild, 0) == 0; i++) {
        char path[64], line[128] = "";
        int fd;
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)grandchild);
        fd = open(path, O_RDONLY);
        if (fd < 0 || read(fd, line, sizeof line - 1) <= 0 || strstr(line, ") Z") != NULL) {
            (void)close(fd);
            return; /* dead; its new parent has yet to notice */
        }
        (void)close(fd);
        (void)usleep(10000);
    }
    assert_int_equal(kill(grandchild, 0), -1);
}

static void software_digest_is_of_the_running_program(void **state)
{
    static const uint8_t none[32];
    uint8_t a[32], b[32];
    (void)state;
    dp_software_digest(a);
    dp_software_digest(b);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, none, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process_cannot_be_dumped_nor_gain_privileges),
        cmocka_unit_test(options_are_found_by_name_alone),
        cmocka_unit_test(child_has_its_channel_and_nothing_else),
        cmocka_unit_test(program_that_is_not_there_ends_as_such),
        cmocka_unit_test(child_dies_with_its_parent),
        cmocka_unit_test(software_digest_is_of_the_running_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
