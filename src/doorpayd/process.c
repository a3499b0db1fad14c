/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"

#define EXEC_FAILED 127

void dp_process_harden(const char *name)
{
    static const struct rlimit none = {0, 0};
    dp_log_name(name);
    DP_ASSERT(setrlimit(RLIMIT_CORE, &none) == 0);
    DP_ASSERT(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
    DP_ASSERT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    (void)umask(S_IRWXG | S_IRWXO);
    (void)signal(SIGPIPE, SIG_IGN);
}

bool dp_process_started(void)
{
    int type = 0;
    socklen_t n = sizeof type;
    if (getsockopt(DP_FD_CHANNEL, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET)
        return true;
    dp_log(DP_LOG_ERROR, "this program is started by doorpayd");
    return false;
}

const char *dp_process_option(int argc, char **argv, const char *name)
{
    size_t n = strlen(name);
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--", 2) == 0 && strncmp(argv[i] + 2, name, n) == 0 &&
            argv[i][2 + n] == '=')
            return argv[i] + 3 + n;
    return NULL;
}

int dp_process_term_fd(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Moves fds to 3, 4, ... without one overwriting another that is still to be moved. */
static int place_fds(const int *fds, size_t fds_n)
{
    int high[4];
    DP_ASSERT(fds_n <= sizeof high / sizeof high[0]);
    for (size_t i = 0; i < fds_n; i++) {
        high[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD, 64);
        if (fds[i] >= 0 && high[i] < 0)
            return -1;
    }
    for (size_t i = 0; i < fds_n; i++)
        if (high[i] >= 0 && dup2(high[i], DP_FD_CHANNEL + (int)i) < 0)
            return -1;
    return close_range(DP_FD_CHANNEL + (unsigned)fds_n, ~0U, 0);
}

pid_t dp_process_spawn(const char *path, char *const argv[], const int *fds, size_t fds_n)
{
    pid_t supervisor = getpid();
    pid_t pid = fork();
    if (pid != 0)
        return pid < 0 ? DP_ERR_IO : pid;
    sigset_t none;
    (void)sigemptyset(&none);
    /* a payment must not go on under a dead supervisor; the journal makes the kill safe */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != supervisor ||
        sigprocmask(SIG_SETMASK, &none, NULL) != 0 || place_fds(fds, fds_n) != 0)
        _exit(EXEC_FAILED);
    (void)execv(path, argv);
    _exit(EXEC_FAILED);
}
