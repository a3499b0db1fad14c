/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay-sim: the simulators, one verb each. Tests and demos only. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "dp_config.h"
#include "sim.h"

static const struct verb {
    const char *name, *what;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"ack", "a collector's acknowledgement of a journal's checkpoint", sim_ack},
    {"acquirer", "the acquirer: host, books, faults, settlement file", sim_acquirer},
    {"acquirer-control", "tell a running acquirer what to do", sim_acquirer_control},
    {"card", "a virtual card in the vpcd reader, from a text profile", sim_card},
    {"keys", "make every test key and certificate; sign a terminal's request", sim_keys},
    {"params", "pack and sign a parameter set from its text form", sim_params},
};

static void help(FILE *to)
{
    (void)fprintf(to, "usage: doorpay-sim VERB [options]\n\n");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        (void)fprintf(to, "  %-17s %s\n", verbs[i].name, verbs[i].what);
    (void)fprintf(to, "\ndoorpay-sim VERB --help tells a verb's options.\n");
}

int main(int argc, char **argv)
{
    dp_log_name("doorpay-sim");
    if (argc < 2) {
        help(stderr);
        return SIM_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0) {
        help(stdout);
        return SIM_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("doorpay-sim %s\n", DP_VERSION);
        return SIM_DONE;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    (void)fprintf(stderr, "doorpay-sim: no verb '%s'; doorpay-sim --help lists them\n", argv[1]);
    return SIM_USAGE;
}
