/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of `doorpay`. Each returns an exit status: 0 done, 1 refused or failed, 2 wrong usage,
 * more where docs/cli.md says. argv[0] is the verb. */
#ifndef DP_CLI_CLI_H
#define DP_CLI_CLI_H

#define CLI_DONE   0
#define CLI_FAILED 1
#define CLI_USAGE  2

int dp_cmd_tlv(int argc, char **argv);
int dp_cmd_card(int argc, char **argv);
int dp_cmd_iso8583(int argc, char **argv);
int dp_cmd_journal(int argc, char **argv);
int dp_cmd_salvage(int argc, char **argv);
int dp_cmd_key(int argc, char **argv);
int dp_cmd_params(int argc, char **argv);
/* The round app's side: through the till's socket. */
int dp_cmd_pay(int argc, char **argv);
int dp_cmd_status(int argc, char **argv);
int dp_cmd_reverse(int argc, char **argv);
int dp_cmd_abort(int argc, char **argv);
int dp_cmd_diagnose(int argc, char **argv);
int dp_cmd_totals(int argc, char **argv);
int dp_cmd_settle(int argc, char **argv);
int dp_cmd_forward(int argc, char **argv);
int dp_cmd_events(int argc, char **argv);

#endif
