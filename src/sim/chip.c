/* SPDX-License-Identifier: Apache-2.0 */
#include "chip.h"

#include <string.h>

#include <openssl/crypto.h>

#define COMMAND_MAX 128

static int take(struct sim_chip *c, const uint8_t *p, const struct sim_tlv *e, uint32_t *seen)
{
    struct sim_ac_input *in = &c->input;
    uint8_t cid;
    const struct {
        uint32_t tag;
        uint8_t *to;
        size_t n;
    } fields[] = {{0x9F02, in->amount, 6},   {0x9F1A, in->country, 2}, {0x95, in->tvr, 5},
                  {0x5F2A, in->currency, 2}, {0x9A, in->date, 3},      {0x9C, &in->type, 1},
                  {0x9F37, in->un, 4},       {0x82, in->aip, 2},       {0x9F36, in->atc, 2},
                  {0x9F26, c->ac, 8},        {0x9F10, in->iad, 0},     {0x9F03, in->other, 6},
                  {0x9F27, &cid, 1}};
    c->carries_card_no |= e->tag == 0x57 || e->tag == 0x5A || e->tag == 0x56;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (fields[i].tag != e->tag)
            continue;
        if ((*seen & 1u << i) != 0)
            return DP_ERR_DUPLICATE;
        if (e->tag == 0x9F10 ? e->n > SIM_IAD_MAX : e->n != fields[i].n)
            return DP_ERR_FORMAT;
        *seen |= 1u << i;
        memcpy(fields[i].to, p + e->value, e->n);
        if (e->tag == 0x9F10)
            in->iad_n = e->n;
        if (e->tag == 0x9F27)
            c->cid = cid;
    }
    return DP_OK;
}

int sim_chip_read(struct dp_bytes de55, struct sim_chip *out, uint32_t *wrong)
{
    /* in the order of take's fields, the two optional ones left out */
    static const uint32_t wanted[] = {0x9F02, 0x9F1A, 0x95,   0x5F2A, 0x9A,  0x9C,
                                      0x9F37, 0x82,   0x9F36, 0x9F26, 0x9F10};
    struct sim_tlv e = {0};
    uint32_t seen = 0;
    size_t at = 0;
    int err;
    memset(out, 0, sizeof *out);
    out->cid = -1;
    while ((err = sim_tlv_next(de55.p, de55.n, &at, &e)) == DP_OK) {
        *wrong = e.tag;
        err = take(out, de55.p, &e, &seen);
        if (err != DP_OK)
            return err;
    }
    if (err != DP_ERR_NOT_FOUND)
        return err;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        *wrong = wanted[i];
        if ((seen & 1u << i) == 0)
            return DP_ERR_MISSING;
    }
    *wrong = 0x9F10;
    return sim_iad_parse(out->input.iad, out->input.iad_n, &out->iad);
}

int sim_chip_verify(struct sim_chip *chip, const struct sim_issuer_keys *keys,
                    const struct sim_card_data *card)
{
    uint8_t ac[8];
    int err = sim_card_keys_derive(keys, chip->iad.cvn, chip->iad.key_index, card->pan, card->psn,
                                   &chip->master);
    if (err == DP_OK)
        err = sim_cryptogram(chip->master.ac, &chip->input, ac);
    if (err == DP_OK && CRYPTO_memcmp(ac, chip->ac, 8) != 0)
        err = DP_ERR_SIGNATURE;
    return err;
}

static struct sim_session_data session_of(const struct sim_chip *chip)
{
    struct sim_session_data s;
    memcpy(s.atc, chip->input.atc, 2);
    memcpy(s.un, chip->input.un, 4);
    memcpy(s.arqc, chip->ac, 8);
    return s;
}

int sim_chip_answer(const struct sim_chip *chip, const char *arc, struct sim_buf *out)
{
    const uint8_t code[2] = {(uint8_t)arc[0], (uint8_t)arc[1]};
    uint8_t data[16];
    size_t n = 0;
    const struct sim_session_data session = session_of(chip);
    int err = sim_issuer_authentication(chip->master.ac, chip->iad.cvn, &session, code, data, &n);
    if (err != DP_OK)
        return err;
    sim_put_tlv(out, 0x8A, code, 2);
    sim_put_tlv(out, 0x91, data, n);
    return DP_OK;
}

static void put_script(const uint8_t *command, size_t n, struct sim_buf *out)
{
    static struct sim_buf inner;
    inner.n = 0;
    sim_put_tlv(&inner, 0x86, command, n);
    sim_put_tlv_buf(out, 0x72, &inner);
}

int sim_chip_script(const struct sim_chip *chip, const uint8_t *wanted, size_t n,
                    struct sim_buf *out)
{
    const struct sim_session_data session = session_of(chip);
    uint8_t command[5 + COMMAND_MAX + 8];
    int err;
    if (n > 0 && (wanted[0] == 0x71 || wanted[0] == 0x72)) {
        sim_put(out, wanted, n);
        return DP_OK;
    }
    if (n < 4 || n - 4 > COMMAND_MAX)
        return DP_ERR_FORMAT;
    memcpy(command, wanted, 4);
    command[4] = (uint8_t)(n - 4 + 8);
    memcpy(command + 5, wanted + 4, n - 4);
    err = sim_script_mac(chip->master.mac, chip->iad.cvn, &session, command, command + 5, n - 4,
                         command + 5 + n - 4);
    put_script(command, 5 + n - 4 + 8, out);
    return err;
}

int sim_chip_pin_change(const struct sim_chip *chip, const char *pin, const char *before,
                        struct sim_buf *out)
{
    const struct sim_session_data session = session_of(chip);
    uint8_t command[64];
    size_t n = 0;
    int err = sim_pin_change(&chip->master, chip->iad.cvn, &session, pin, before, command, &n);
    if (err == DP_OK)
        put_script(command, n, out);
    return err;
}
