/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay-sim ack: what a collector says when it has a journal up to a checkpoint, signed as it
 * does it (docs/PROTOCOL.journal, 11). */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "cose.h"
#include "pack.h"
#include "sim.h"
#include "text.h"
#include "x509.h"

#define PATH_SIZE    4096
#define EXTERNAL_AAD "doorpay acknowledgement 1"
#define SERVER_MAX   35

struct options {
    const char *keys, *out, *journal, *size, *root, *anchor, *server, *time_ms, *sign_key;
    bool json;
};

static int put_hex(struct sim_buf *b, const char *name, const char *value, size_t n)
{
    uint8_t bytes[32];
    size_t got = 0;
    if (dp_hex_decode(value, strlen(value), bytes, sizeof bytes, &got) != DP_OK || got != n) {
        dp_log(DP_LOG_ERROR, "--%s takes %zu hex digits", name, 2 * n);
        return DP_ERR_FORMAT;
    }
    sim_put_cbor_bytes(b, bytes, n);
    return DP_OK;
}

static int put_number(struct sim_buf *b, const char *name, const char *value)
{
    uint64_t v = 0;
    if (sim_text_uint(value, INT64_MAX, &v) != DP_OK) {
        dp_log(DP_LOG_ERROR, "--%s takes a number", name);
        return DP_ERR_FORMAT;
    }
    sim_put_cbor(b, SIM_CBOR_UINT, v);
    return DP_OK;
}

static int put_payload(struct sim_buf *b, const struct options *o)
{
    int err;
    sim_put_cbor(b, SIM_CBOR_MAP, 7);
    sim_put_cbor(b, SIM_CBOR_UINT, 1);
    sim_put_cbor(b, SIM_CBOR_UINT, 1); /* version */
    sim_put_cbor(b, SIM_CBOR_UINT, 2);
    err = put_hex(b, "journal", o->journal, 16);
    sim_put_cbor(b, SIM_CBOR_UINT, 3);
    if (err == DP_OK)
        err = put_number(b, "size", o->size);
    sim_put_cbor(b, SIM_CBOR_UINT, 4);
    if (err == DP_OK)
        err = put_hex(b, "root", o->root, 32);
    sim_put_cbor(b, SIM_CBOR_UINT, 5);
    if (err == DP_OK)
        err = put_hex(b, "anchor", o->anchor, 32);
    sim_put_cbor(b, SIM_CBOR_UINT, 6);
    if (err == DP_OK)
        err = put_number(b, "time", o->time_ms);
    sim_put_cbor(b, SIM_CBOR_UINT, 7);
    sim_put_cbor_text(b, o->server);
    return err;
}

static int make(const struct options *o)
{
    static struct sim_buf payload, ack;
    char path[PATH_SIZE];
    EVP_PKEY *key;
    int err = put_payload(&payload, o);
    key = sim_pem_read_key(
        o->sign_key != NULL ? o->sign_key : sim_path(path, sizeof path, o->keys, "collector.pem"));
    if (err == DP_OK && key == NULL) {
        dp_log(DP_LOG_ERROR, "no collector's key in %s", o->keys);
        err = DP_ERR_IO;
    }
    if (err == DP_OK)
        err = sim_cose_sign(key, EXTERNAL_AAD, &payload, &ack);
    if (err == DP_OK)
        err = sim_write_file(o->out, ack.p, ack.n, false);
    EVP_PKEY_free(key);
    if (err != DP_OK)
        return SIM_FAILED;
    (void)printf(o->json ? "{\"acknowledgement\":\"%s\",\"bytes\":%zu}\n"
                         : "acknowledgement: %s, %zu bytes\n",
                 o->out, ack.n);
    return SIM_DONE;
}

static const char usage[] =
    "usage: doorpay-sim ack --keys DIR --journal HEX --size N --root HEX --anchor HEX --out "
    "FILE\n\n"
    "Signs what a collector says when it has a journal up to a checkpoint: what doorpay journal\n"
    "verify --json tells as signed_head.\n"
    "  --server NAME    the collector's name (collector-1)\n"
    "  --time MS        its clock, Unix milliseconds (0)\n"
    "  --sign-key PEM   another key than DIR/collector.pem\n"
    "  --json           answer as JSON\n";

int sim_ack(int argc, char **argv)
{
    static const struct option longs[] = {
        {"keys", required_argument, NULL, 'k'},     {"journal", required_argument, NULL, 'j'},
        {"size", required_argument, NULL, 's'},     {"root", required_argument, NULL, 'r'},
        {"anchor", required_argument, NULL, 'a'},   {"out", required_argument, NULL, 'o'},
        {"server", required_argument, NULL, 'n'},   {"time", required_argument, NULL, 't'},
        {"sign-key", required_argument, NULL, 'g'}, {"json", no_argument, NULL, 'J'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    struct options o = {.server = "collector-1", .time_ms = "0"};
    const char **texts[] = {['k'] = &o.keys,   ['j'] = &o.journal, ['s'] = &o.size,
                            ['r'] = &o.root,   ['a'] = &o.anchor,  ['o'] = &o.out,
                            ['n'] = &o.server, ['t'] = &o.time_ms, ['g'] = &o.sign_key};
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'h') {
            (void)fputs(usage, stdout);
            return SIM_DONE;
        }
        if (c == '?')
            break;
        if (c == 'J')
            o.json = true;
        else
            *texts[c] = optarg;
    }
    if (c == '?' || o.keys == NULL || o.journal == NULL || o.size == NULL || o.root == NULL ||
        o.anchor == NULL || o.out == NULL || optind < argc || strlen(o.server) > SERVER_MAX) {
        (void)fputs(usage, stderr);
        return SIM_USAGE;
    }
    return make(&o);
}
