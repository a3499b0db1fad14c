/* SPDX-License-Identifier: Apache-2.0 */
/* What every process of doorpayd does at its start, and how the supervisor starts one. */
#ifndef DP_DOORPAYD_PROCESS_H
#define DP_DOORPAYD_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "msg.h"

/* Descriptors a child finds open, by number. */
#define DP_FD_CHANNEL 3 /* to the vault; in the vault: to the supervisor */
#define DP_FD_LISTEN  4 /* till only */

/* No core, not dumpable, no new privileges, files for the owner alone, log name set. First thing in
 * each main. */
void dp_process_harden(const char *name);
/* Whether doorpayd started this process: its channel is open. False after a message; a process that
 * people start by hand ends then, for wrong usage. */
bool dp_process_started(void);
/* The value of --name among argv, or NULL. */
const char *dp_process_option(int argc, char **argv, const char *name);
/* A descriptor readable when SIGTERM or SIGINT arrived (blocked from now on); -1 on failure. */
int dp_process_term_fd(void);

/* Forks and executes path with argv; fds[i] becomes descriptor 3 + i (-1: none), all others are
 * closed. Dies with the supervisor. The new pid, or DP_ERR_IO. */
DP_MUST_USE pid_t dp_process_spawn(const char *path, char *const argv[], const int *fds,
                                   size_t fds_n);

#endif
