/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of `doorpay key` share; cmd_key.c has their table. */
#ifndef DP_CLI_KEY_H
#define DP_CLI_KEY_H

#include <doorpay/hsm.h>
#include <jansson.h>

struct key_options {
    const char *hsm, *tid, *out, *in, *ca, *nonce, *check, *key, *base;
    const char *operand; /* the one word that is no option */
    bool json;
};

/* Each returns an exit status. */
int key_failed(const char *what, int err);
/* Takes root over; NULL is a failure. */
int key_print_json(json_t *root);

/* Opens the store itself, so that "it does not open" is a finding as well. */
int key_selftest(const struct key_options *o);
/* With a store its evidence, with --check a file's evidence held against what is known. */
int key_attest(const struct key_options *o, struct dp_hsm *hsm);
int key_attest_check(const struct key_options *o);
int key_enrol(const struct key_options *o, struct dp_hsm *hsm);

#endif
