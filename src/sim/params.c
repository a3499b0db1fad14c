/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay-sim params: a parameter set from its text form, packed and signed as the back office
 * does it. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cose.h"
#include "params.h"
#include "sim.h"
#include "x509.h"

#define PATH_SIZE    4096
#define EXTERNAL_AAD "doorpay parameters 1"

struct options {
    const char *in, *keys, *out, *version, *sign_key;
    bool json;
};

static int make(const struct options *o)
{
    static struct sim_set set;
    static struct sim_buf payload, signed_set;
    char path[PATH_SIZE];
    EVP_PKEY *key;
    int err;
    err = sim_params_read(o->in, o->keys, &set);
    if (err == DP_OK && o->version != NULL)
        sim_params_set_version(&set, o->version);
    if (err == DP_OK)
        err = sim_params_pack(&payload, &set);
    key = sim_pem_read_key(
        o->sign_key != NULL ? o->sign_key : sim_path(path, sizeof path, o->keys, "params.pem"));
    if (err == DP_OK && key == NULL) {
        dp_log(DP_LOG_ERROR, "no key to sign with in %s", o->keys);
        err = DP_ERR_IO;
    }
    if (err == DP_OK)
        err = sim_cose_sign(key, EXTERNAL_AAD, &payload, &signed_set);
    if (err == DP_OK)
        err = sim_write_file(o->out, signed_set.p, signed_set.n, false);
    EVP_PKEY_free(key);
    if (err == DP_OK)
        (void)printf(o->json ? "{\"parameters\":\"%s\",\"bytes\":%zu}\n"
                             : "parameters: %s, %zu bytes\n",
                     o->out, signed_set.n);
    else
        dp_log(DP_LOG_ERROR, "%s: %s", o->in, dp_strerr(err));
    return err == DP_OK ? SIM_DONE : SIM_FAILED;
}

static const char usage[] =
    "usage: doorpay-sim params --in FILE --keys DIR --out FILE [options]\n\n"
    "Packs a parameter set from its text form and signs it as the back office.\n"
    "  --set-version N  this version instead of the text's\n"
    "  --sign-key PEM   another key than DIR/params.pem\n"
    "  --json           answer as JSON\n";

int sim_params(int argc, char **argv)
{
    static const struct option longs[] = {
        {"in", required_argument, NULL, 'i'},       {"keys", required_argument, NULL, 'k'},
        {"out", required_argument, NULL, 'o'},      {"set-version", required_argument, NULL, 'n'},
        {"sign-key", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    struct options o = {0};
    const char **texts[] = {
        ['i'] = &o.in, ['k'] = &o.keys, ['o'] = &o.out, ['n'] = &o.version, ['s'] = &o.sign_key};
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'h') {
            (void)fputs(usage, stdout);
            return SIM_DONE;
        }
        if (c == '?')
            break;
        if (c == 'j')
            o.json = true;
        else
            *texts[c] = optarg;
    }
    if (c == '?' || o.in == NULL || o.keys == NULL || o.out == NULL || optind < argc) {
        (void)fputs(usage, stderr);
        return SIM_USAGE;
    }
    return make(&o);
}
