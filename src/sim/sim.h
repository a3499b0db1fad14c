/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay-sim's verbs. Each gets its own arguments: argv[0] is the verb. Returns the exit status:
 * 0 done, 1 refused or failed, 2 wrong usage. */
#ifndef DP_SIM_SIM_H
#define DP_SIM_SIM_H

enum sim_exit {
    SIM_DONE = 0,
    SIM_FAILED = 1,
    SIM_USAGE = 2
};

int sim_ack(int argc, char **argv);
int sim_acquirer(int argc, char **argv);
int sim_acquirer_control(int argc, char **argv);
int sim_card(int argc, char **argv);
int sim_keys(int argc, char **argv);
int sim_params(int argc, char **argv);

#endif
