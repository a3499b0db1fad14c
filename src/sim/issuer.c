/* SPDX-License-Identifier: Apache-2.0 */
#include "issuer.h"

#include <string.h>

#include <openssl/crypto.h>

#include "pack.h"

#define PROPRIETARY_MAX 8

/* M/Chip's tree; EMV 2000 leaves both numbers to the issuer. */
static const struct sim_key_tree tree = {.height = 8, .branches = 4};

int sim_issuer_keys_load(const char *dir, struct sim_issuer_keys *keys)
{
    const struct {
        const char *name;
        uint8_t *key;
    } files[] = {
        {"issuer-ac.hex", keys->ac}, {"issuer-mac.hex", keys->mac}, {"issuer-enc.hex", keys->enc}};
    char path[4096];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        int err =
            sim_read_hex_file(sim_path(path, sizeof path, dir, files[i].name), files[i].key, 16);
        if (err != DP_OK)
            return err;
    }
    return DP_OK;
}

/* ---- keys ---- */

int sim_card_keys_derive(const struct sim_issuer_keys *issuer, enum sim_cvn cvn, uint8_t key_index,
                         const char *pan, int psn, struct sim_card_keys *out)
{
    enum sim_derivation how = sim_version(cvn)->cipher == SIM_AES ? SIM_OPTION_C
                              : key_index == SIM_DKI_FORCE_A      ? SIM_OPTION_A
                                                                  : SIM_OPTION_A_OR_B;
    int err = sim_master_key(how, issuer->ac, pan, psn, out->ac);
    if (err == DP_OK)
        err = sim_master_key(how, issuer->mac, pan, psn, out->mac);
    return err != DP_OK ? err : sim_master_key(how, issuer->enc, pan, psn, out->enc);
}

int sim_session_key_of(enum sim_session session, enum sim_cipher cipher, const uint8_t master[16],
                       const struct sim_session_data *data, uint8_t key[16])
{
    uint8_t diversifier[8] = {data->atc[0], data->atc[1]};
    switch (session) {
    case SIM_KEY_MASTER:
        memcpy(key, master, 16);
        return DP_OK;
    case SIM_KEY_MIXED:
        sim_script_key_by_counter(master, data->atc, key);
        return DP_OK;
    case SIM_KEY_TREE:
        return sim_tree_session_key(master, data->atc, &tree, key);
    case SIM_KEY_BY_COUNTER:
        break;
    case SIM_KEY_BY_COUNTER_AND_UN:
        memcpy(diversifier + 4, data->un, 4);
        break;
    case SIM_KEY_BY_CRYPTOGRAM:
        memcpy(diversifier, data->arqc, 8);
        break;
    }
    return sim_session_key(cipher, master, diversifier, key);
}

/* ---- cryptograms ---- */

int sim_cryptogram_over(const uint8_t master_ac[16], enum sim_cvn cvn,
                        const struct sim_ac_input *in, const struct dp_bytes *parts, size_t parts_n,
                        uint8_t ac[8])
{
    const struct sim_version *v = sim_version(cvn);
    const struct dp_bytes common[] = {
        {in->amount, 6}, {in->other, 6}, {in->country, 2}, {in->tvr, 5}, {in->currency, 2},
        {in->date, 3},   {&in->type, 1}, {in->un, 4},      {in->aip, 2}, {in->atc, 2}};
    struct sim_session_data session = {0};
    uint8_t data[128], key[16];
    size_t n = 0, common_n = sizeof common / sizeof *common;
    int err;
    for (size_t i = 0; i < common_n + parts_n; i++) {
        const struct dp_bytes *p = i < common_n ? &common[i] : &parts[i - common_n];
        if (p->n > sizeof data - n)
            return DP_ERR_LIMIT;
        memcpy(data + n, p->p, p->n);
        n += p->n;
    }
    memcpy(session.atc, in->atc, 2);
    memcpy(session.un, in->un, 4);
    err = sim_session_key_of(v->ac_key, v->cipher, master_ac, &session, key);
    if (err == DP_OK)
        err = v->cipher == SIM_AES ? sim_cmac(key, data, n, ac)
                                   : sim_retail_mac(key, v->padding, data, n, ac);
    OPENSSL_cleanse(key, sizeof key);
    return err;
}

int sim_cryptogram(const uint8_t master_ac[16], const struct sim_ac_input *in, uint8_t ac[8])
{
    struct sim_iad iad;
    struct dp_bytes parts[2];
    enum sim_coverage over;
    int err = sim_iad_parse(in->iad, in->iad_n, &iad);
    if (err != DP_OK)
        return err;
    over = sim_version(iad.cvn)->over;
    parts[0] = over == SIM_OVER_IAD ? (struct dp_bytes){in->iad, in->iad_n} : iad.cvr;
    parts[1] = iad.counters;
    return sim_cryptogram_over(master_ac, iad.cvn, in, parts,
                               over == SIM_OVER_CVR_AND_COUNTERS ? 2 : 1, ac);
}

/* ---- the issuer's answer ---- */

/* EMV Book 2, 8.2.1: the response code into the cryptogram's first bytes, then one block. */
int sim_arpc_1(enum sim_cipher cipher, const uint8_t key[16], const uint8_t arqc[8],
               const uint8_t arc[2], uint8_t arpc[8])
{
    uint8_t in[SIM_BLOCK_MAX] = {0}, out[SIM_BLOCK_MAX];
    int err;
    memcpy(in, arqc, 8);
    in[0] ^= arc[0];
    in[1] ^= arc[1];
    err = sim_ecb(cipher, key, true, in, sim_block(cipher), out);
    memcpy(arpc, out, 8);
    return err;
}

/* EMV Book 2, 8.2.2 */
int sim_arpc_2(enum sim_cipher cipher, const uint8_t key[16], const uint8_t arqc[8],
               const uint8_t csu[4], struct dp_bytes proprietary, uint8_t arpc[4])
{
    uint8_t in[8 + 4 + PROPRIETARY_MAX], mac[8];
    int err;
    if (proprietary.n > PROPRIETARY_MAX)
        return DP_ERR_RANGE;
    memcpy(in, arqc, 8);
    memcpy(in + 8, csu, 4);
    if (proprietary.n > 0)
        memcpy(in + 12, proprietary.p, proprietary.n);
    err = cipher == SIM_AES ? sim_cmac(key, in, 12 + proprietary.n, mac)
                            : sim_retail_mac(key, SIM_PAD_80, in, 12 + proprietary.n, mac);
    memcpy(arpc, mac, 4);
    return err;
}

int sim_issuer_authentication(const uint8_t master_ac[16], enum sim_cvn cvn,
                              const struct sim_session_data *data, const uint8_t arc[2],
                              uint8_t *out, size_t *n)
{
    const struct sim_version *v = sim_version(cvn);
    /* card status update: "issuer approves online transaction" */
    const uint8_t csu[4] = {0, memcmp(arc, "00", 2) == 0 ? 0x80 : 0, 0, 0};
    uint8_t key[16];
    int err = sim_session_key_of(v->arpc_key, v->cipher, master_ac, data, key);
    if (err == DP_OK && v->arpc_method == 2) {
        err = sim_arpc_2(v->cipher, key, data->arqc, csu, (struct dp_bytes){NULL, 0}, out);
        memcpy(out + 4, csu, 4);
        *n = 8;
    } else if (err == DP_OK) {
        err = sim_arpc_1(v->cipher, key, data->arqc, arc, out);
        memcpy(out + 8, arc, 2);
        *n = 10;
    }
    OPENSSL_cleanse(key, sizeof key);
    return err;
}

int sim_check_issuer_authentication(const uint8_t master_ac[16], enum sim_cvn cvn,
                                    const struct sim_session_data *session, const uint8_t *data,
                                    size_t n, bool *approves)
{
    const struct sim_version *v = sim_version(cvn);
    bool with_status = v->arpc_method == 2;
    uint8_t key[16], arpc[8] = {0};
    int err = sim_session_key_of(v->arpc_key, v->cipher, master_ac, session, key);
    *approves = false;
    if (err == DP_OK && n < (with_status ? 8u : 10u))
        err = DP_ERR_SIGNATURE;
    if (err == DP_OK && with_status) {
        err = sim_arpc_2(v->cipher, key, session->arqc, data + 4,
                         (struct dp_bytes){data + 8, n - 8}, arpc);
        *approves = (data[5] & 0x80) != 0;
    } else if (err == DP_OK) {
        err = sim_arpc_1(v->cipher, key, session->arqc, data + 8, arpc);
        *approves = memcmp(data + 8, "00", 2) == 0;
    }
    if (err == DP_OK && CRYPTO_memcmp(arpc, data, with_status ? 4 : 8) != 0)
        err = DP_ERR_SIGNATURE;
    OPENSSL_cleanse(key, sizeof key);
    return err;
}
