/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <doorpay/emv.h>
#include <psa/crypto.h>

#include "base/log.h"
#include "cli.h"
#include "dp_config.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} verbs[] = {
    {"pay", dp_cmd_pay, "AMOUNT CUR --parcel REF   take a payment"},
    {"status", dp_cmd_status, "REF                       what became of a payment"},
    {"reverse", dp_cmd_reverse, "TRANSACTION               undo a payment"},
    {"abort", dp_cmd_abort, "SERVICE-ID                stop a payment that waits for a card"},
    {"diagnose", dp_cmd_diagnose, "                          link, reader, headroom left"},
    {"totals", dp_cmd_totals, "                          of the open batch"},
    {"settle", dp_cmd_settle, "                          agree totals with the acquirer"},
    {"forward", dp_cmd_forward, "now|hold|release|list     what waits for the network"},
    {"events", dp_cmd_events, "                          what the customer's screen should say"},
    {"key", dp_cmd_key, "init|show|selftest|enrol   a device's keys and certificate"},
    {"params", dp_cmd_params, "show|check FILE           signed parameter sets"},
    {"journal", dp_cmd_journal, "verify|check|show|...     what a journal says, and if it is true"},
    {"salvage", dp_cmd_salvage,
     "DIR                       what a dead device leaves, to be forwarded"},
    {"iso8583", dp_cmd_iso8583, "decode|encode|layout      acquirer messages, wire logs, layouts"},
    {"card", dp_cmd_card, "replay --transcript FILE  a recorded card through the kernel"},
    {"tlv", dp_cmd_tlv, "HEX                       EMV data in words"},
};

static bool asks_version(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--version") == 0)
            return true;
    return false;
}

static int help(FILE *to, int status)
{
    (void)fprintf(to,
                  "usage: doorpay VERB ... [--json] [--help]\n       doorpay [VERB] --version\n\n");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        (void)fprintf(to, "  %-9s %s\n", verbs[i].name, verbs[i].what);
    return status;
}

int main(int argc, char **argv)
{
    dp_log_name("doorpay");
    if (argc < 2)
        return help(stderr, CLI_USAGE);
    if (strcmp(argv[1], "--help") == 0)
        return help(stdout, CLI_DONE);
    if (asks_version(argc, argv))
        return printf("doorpay %s\n", DP_VERSION) < 0;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(argv[1], verbs[i].name) == 0) {
            if (verbs[i].run == dp_cmd_card)
                dp_emv_arena_begin(); /* as the card process has it */
            if (psa_crypto_init() != PSA_SUCCESS)
                return CLI_FAILED;
            return verbs[i].run(argc - 1, argv + 1);
        }
    (void)fprintf(stderr, "doorpay: there is no verb %s\n", argv[1]);
    return help(stderr, CLI_USAGE);
}
