/* SPDX-License-Identifier: Apache-2.0 */
/* doorpayd.conf: where things are. What a payment may be stands in the signed parameters, never
 * here. */
#ifndef DP_DOORPAYD_CONFIG_H
#define DP_DOORPAYD_CONFIG_H

#include <doorpay/base.h>

#define DP_CONFIG_VALUE_MAX 256
#define DP_CONFIG_UIDS_MAX  8
#define DP_CONFIG_LINE_MAX  198 /* characters; what inih reads of a line */

struct dp_config {
    char run_dir[DP_CONFIG_VALUE_MAX];       /* [doorpayd] run_dir: process ids */
    char journal_dir[DP_CONFIG_VALUE_MAX];   /* [journal] dir */
    char hsm_uri[DP_CONFIG_VALUE_MAX];       /* [hsm] uri */
    char hsm_anchor[DP_CONFIG_VALUE_MAX];    /* [hsm] anchor: what stands behind the URI's "+" */
    char params_file[DP_CONFIG_VALUE_MAX];   /* [params] file */
    char back_office[DP_CONFIG_VALUE_MAX];   /* [params] back_office: public key, hex or PEM */
    char reader[DP_CONFIG_VALUE_MAX];        /* [reader] name: part of its name; empty: the first */
    char acquirer_host[DP_CONFIG_VALUE_MAX]; /* [acquirer] host, port, ca, cert */
    char acquirer_port[8];
    char acquirer_ca[DP_CONFIG_VALUE_MAX];
    char acquirer_cert[DP_CONFIG_VALUE_MAX];
    char till_socket[DP_CONFIG_VALUE_MAX];   /* [till] socket */
    uint32_t allow_uids[DP_CONFIG_UIDS_MAX]; /* [till] allow_uid, may stand several times */
    size_t allow_uids_n;
    char language[16]; /* [till] language: of messages to the postal worker; empty: en */
    char wire_log[DP_CONFIG_VALUE_MAX]; /* [wire_log] file; empty: none */
};

/* Reads the file. error receives "FILE:LINE: what is wrong". DP_ERR_NOT_FOUND, DP_ERR_FORMAT,
 * DP_ERR_MISSING. */
DP_MUST_USE DP_PARSES int dp_config_load(const char *path, struct dp_config *out, char *error,
                                         size_t error_n);
/* The same from text in memory; name stands for the file in errors. */
DP_MUST_USE DP_PARSES int dp_config_parse(const char *name, const char *text, struct dp_config *out,
                                          char *error, size_t error_n);

#endif
