/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

/* %1$s: the directory. */
#define SOFTHSM                                                                                    \
    "pkcs11:token=doorpay?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:%1$s/pin"
#define SOFTHSM_NONE                                                                               \
    "pkcs11:token=nobody?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:%1$s/pin"
#define SWTPM  "tcti=swtpm:path=%1$s/tpm/socket?auth-source=file:%1$s/auth"
#define ABRMD  "/usr/sbin/tpm2-abrmd"
#define TABRMD "tcti=tabrmd:bus_type=session?auth-source=file:%1$s/auth"

static const struct {
    const char *kind, *uri, *nowhere;
    struct dp_hsm_caps caps;
    uint64_t counter_step;
    bool shared, softhsm, swtpm, manager;
} kinds[] = {
    {"soft",
     "soft:%1$s/keys",
     "soft:%1$s/nowhere",
     {true, true, true, true, true, true, false, true, "soft"},
     UINT64_MAX,
     true,
     false,
     false,
     false},
    {"sim",
     "sim:dir=%1$s/keys",
     "sim:dir=%1$s/nowhere",
     {true, true, true, true, true, true, false, true, "sim"},
     UINT64_MAX,
     true,
     false,
     false,
     false},
    {"pkcs11",
     SOFTHSM,
     SOFTHSM_NONE,
     {false, true, true, true, true, true, false, true, "pkcs11"},
     UINT64_MAX,
     true,
     true,
     false,
     false},
    {"tpm2",
     "tpm2:" SWTPM,
     "tpm2:" SWTPM "&base=0x40",
     {true, true, true, false, false, true, true, true, "tpm2"},
     1000,
     false,
     false,
     true,
     false},
    {"tpm2-managed", /* through a resource manager, which serves several at once */
     "tpm2:" TABRMD,
     "tpm2:" TABRMD "&base=0x40",
     {true, true, true, false, false, true, true, true, "tpm2"},
     1000,
     true,
     false,
     true,
     true},
    {"composite",
     SOFTHSM "+tpm2-anchor:" SWTPM,
     SOFTHSM_NONE "+tpm2-anchor:" SWTPM,
     {true, true, true, true, true, true, true, true, "pkcs11+tpm2-anchor"},
     1000,
     false,
     true,
     true,
     false},
};

static void shell(const struct fixture *f, const char *what)
{
    char command[1024];
    (void)snprintf(command, sizeof command, "cd %s && %s", f->dir, what);
    assert_int_equal(system(command), 0);
}

/* ---- the software behind it ---- */

static void quiet(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

static void make_softhsm(const struct fixture *f)
{
    char conf[96];
    (void)snprintf(conf, sizeof conf, "%s/softhsm2.conf", f->dir);
    assert_int_equal(setenv("SOFTHSM2_CONF", conf, 1), 0);
    shell(f, "mkdir tokens && umask 077 && printf '1234567\\n' >pin && "
             "printf 'directories.tokendir = %s/tokens\\nlog.level = ERROR\\n' \"$PWD\" "
             ">softhsm2.conf && softhsm2-util --init-token --free --label doorpay "
             "--pin 1234567 --so-pin 7654321 >/dev/null");
}

/* Until it listens: its file is there a little earlier. */
static void await(const struct fixture *f, const char *name_)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    bool listens = false;
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s/tpm/%s", f->dir, name_);
    for (int i = 0; i < 5000 && !listens; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        listens = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
        (void)close(fd);
        if (!listens)
            (void)nanosleep(&pause, NULL);
    }
    assert_true(listens);
}

/* A program that dies with this one; it says nothing, but what it writes to out. */
static pid_t start(const char *const args[], int out)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0 ||
            dup2(out >= 0 ? out : null, STDOUT_FILENO) < 0)
            _exit(127);
        (void)execvp(args[0], (char *const *)(uintptr_t)args);
        _exit(127);
    }
    return pid;
}

static void start_swtpm(struct fixture *f)
{
    char state[128], server[128], control[128];
    shell(f, "umask 077 && mkdir tpm && printf 'a TPM authorisation\\n' >auth");
    (void)snprintf(state, sizeof state, "dir=%s/tpm", f->dir);
    (void)snprintf(server, sizeof server, "type=unixio,path=%s/tpm/socket", f->dir);
    (void)snprintf(control, sizeof control, "type=unixio,path=%s/tpm/socket.ctrl", f->dir);
    f->tpm =
        start((const char *[]){"swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server,
                               "--ctrl", control, "--flags", "not-need-init,startup-clear", NULL},
              -1);
    await(f, "socket");
    await(f, "socket.ctrl");
}

/* One bus for the whole program: who is connected to a bus that ends is ended by its library. */
static void need_bus(void)
{
    static bool there;
    char address[256];
    size_t n = 0;
    int ends[2];
    if (there)
        return;
    assert_int_equal(pipe(ends), 0);
    (void)start((const char *[]){"dbus-daemon", "--session", "--nofork", "--print-address=1", NULL},
                ends[1]);
    (void)close(ends[1]);
    while (n < sizeof address - 1 && read(ends[0], address + n, 1) == 1 && address[n] != '\n')
        n++;
    (void)close(ends[0]);
    assert_true(n > 0);
    address[n] = '\0';
    assert_int_equal(setenv("DBUS_SESSION_BUS_ADDRESS", address, 1), 0);
    there = true;
}

/* Until it answers: a store that is not there is not found. */
static void start_manager(struct fixture *f)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    struct dp_hsm *hsm = NULL;
    char tcti[128];
    int err = DP_ERR_GONE;
    need_bus();
    (void)snprintf(tcti, sizeof tcti, "--tcti=swtpm:path=%s/tpm/socket", f->dir);
    f->manager = start((const char *[]){ABRMD, "--session", "--allow-root", tcti, NULL}, -1);
    dp_log_set(quiet, NULL, DP_LOG_ERROR);
    for (int i = 0; i < 500 && err == DP_ERR_GONE; i++) {
        (void)nanosleep(&pause, NULL);
        err = dp_hsm_open(f->uri, &hsm);
    }
    dp_log_set(NULL, NULL, DP_LOG_WARNING);
    assert_int_equal(err, DP_ERR_NOT_FOUND);
}

static void end(pid_t *pid)
{
    int status;
    if (*pid <= 0)
        return;
    assert_int_equal(kill(*pid, SIGKILL), 0);
    assert_int_equal(waitpid(*pid, &status, 0), *pid);
    *pid = 0;
}

void fixture_end_tpm(struct fixture *f)
{
    end(&f->manager);
    end(&f->tpm);
}

/* ---- the store ---- */

static void name(const char *format, const char *dir, char out[512])
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(out, 512, format, dir);
#pragma GCC diagnostic pop
}

int fixture_make_bare(const char *kind, struct fixture *f)
{
    memset(f, 0, sizeof *f);
    /* a token's flushes are not what is tested here: in memory where there is such a place */
    (void)snprintf(f->dir, sizeof f->dir, "%s/dp-hsm-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].kind, kind) != 0)
            continue;
        if (mkdtemp(f->dir) == NULL)
            return -1;
        f->caps = kinds[i].caps;
        f->counter_step = kinds[i].counter_step;
        f->shared = kinds[i].shared;
        name(kinds[i].uri, f->dir, f->uri);
        name(kinds[i].nowhere, f->dir, f->nowhere);
        if (kinds[i].softhsm)
            make_softhsm(f);
        if (kinds[i].swtpm)
            start_swtpm(f);
        if (kinds[i].manager)
            start_manager(f);
        return 0;
    }
    return -1;
}

int fixture_make(const char *kind, struct fixture *f)
{
    return fixture_make_bare(kind, f) == 0 && dp_hsm_provision(f->uri) == DP_OK &&
                   dp_hsm_open(f->uri, &f->hsm) == DP_OK
               ? 0
               : -1;
}

void fixture_remove(struct fixture *f)
{
    dp_hsm_free(&f->hsm);
    fixture_end_tpm(f);
    shell(f, "rm -rf \"$PWD\"");
}

void fixture_reopen(struct fixture *f)
{
    dp_hsm_free(&f->hsm);
    assert_null(f->hsm);
    assert_int_equal(dp_hsm_open(f->uri, &f->hsm), DP_OK);
}
