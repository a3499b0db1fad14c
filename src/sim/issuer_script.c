/* SPDX-License-Identifier: Apache-2.0 */
#include "issuer_script.h"

#include <string.h>

#include <openssl/crypto.h>

#include "pack.h"

enum {
    P2_WITH_PIN_BEFORE = 1,
    P2_WITHOUT = 2
};

/* ---- MAC ---- */

int sim_script_mac(const uint8_t master_mac[16], enum sim_cvn cvn,
                   const struct sim_session_data *session, const uint8_t header[5],
                   const uint8_t *data, size_t n, uint8_t mac[8])
{
    const struct sim_version *v = sim_version(cvn);
    uint8_t in[15 + SIM_SCRIPT_DATA_MAX], key[16];
    size_t at = 5;
    int err = sim_session_key_of(v->script_key, v->cipher, master_mac, session, key);
    if (n > SIM_SCRIPT_DATA_MAX)
        err = DP_ERR_LIMIT;
    if (err != DP_OK)
        return err;
    memcpy(in, header, 5);
    if (v->script_bound) {
        memcpy(in + at, session->atc, 2);
        memcpy(in + at + 2, session->arqc, 8);
        at += 10;
    }
    if (n > 0)
        memcpy(in + at, data, n);
    err = v->cipher == SIM_AES ? sim_cmac(key, in, at + n, mac)
                               : sim_retail_mac(key, SIM_PAD_80, in, at + n, mac);
    OPENSSL_cleanse(key, sizeof key);
    return err;
}

/* ---- encipherment ---- */

int sim_encipher(enum sim_enciphering how, enum sim_cipher cipher, const uint8_t key[16],
                 const uint8_t *data, size_t n, uint8_t *out, size_t *out_n)
{
    uint8_t in[1 + SIM_SCRIPT_DATA_MAX + SIM_BLOCK_MAX];
    size_t block = sim_block(cipher), at = 0;
    int err;
    if (n == 0 || n > SIM_SCRIPT_DATA_MAX)
        return DP_ERR_LIMIT;
    if (how == SIM_ENCIPHER_COUNTED)
        in[at++] = (uint8_t)n;
    memcpy(in + at, data, n);
    at += n;
    if (how == SIM_ENCIPHER_PADDED_CHAIN || at % block != 0)
        at = sim_pad(SIM_PAD_80, block, in, at);
    err = how == SIM_ENCIPHER_COUNTED ? sim_ecb(cipher, key, true, in, at, out)
                                      : sim_cbc(cipher, key, true, in, at, out);
    *out_n = at;
    OPENSSL_cleanse(in, sizeof in);
    return err;
}

int sim_decipher(enum sim_enciphering how, enum sim_cipher cipher, const uint8_t key[16],
                 const uint8_t *in, size_t in_n, uint8_t *data, size_t n)
{
    uint8_t clear[1 + SIM_SCRIPT_DATA_MAX + SIM_BLOCK_MAX], again[sizeof clear];
    size_t skip = how == SIM_ENCIPHER_COUNTED ? 1 : 0, padded = 0;
    int err;
    if (in_n > sizeof clear || in_n < skip + n)
        return DP_ERR_FORMAT;
    err = how == SIM_ENCIPHER_COUNTED ? sim_ecb(cipher, key, false, in, in_n, clear)
                                      : sim_cbc(cipher, key, false, in, in_n, clear);
    if (err == DP_OK)
        memcpy(data, clear + skip, n);
    /* length byte and padding are right when the same data make the same bytes */
    if (err == DP_OK)
        err = sim_encipher(how, cipher, key, data, n, again, &padded);
    if (err == DP_OK && (padded != in_n || CRYPTO_memcmp(again, in, in_n) != 0))
        err = DP_ERR_FORMAT;
    OPENSSL_cleanse(clear, sizeof clear);
    return err == DP_ERR_RANGE ? DP_ERR_FORMAT : err;
}

/* ---- PIN blocks ---- */

static int block_of(uint8_t control, const char *pin, uint8_t block[8])
{
    size_t n = strlen(pin);
    uint8_t digits[7];
    if (n < SIM_PIN_MIN || n > SIM_PIN_MAX || sim_bcd_left(pin, digits, sizeof digits) != DP_OK)
        return DP_ERR_FORMAT;
    block[0] = (uint8_t)(control << 4 | n);
    memcpy(block + 1, digits, sizeof digits);
    return DP_OK;
}

static int pin_of(uint8_t control, const uint8_t block[8], char *pin)
{
    uint8_t again[8];
    size_t n = block[0] & 15u;
    char digits[SIM_PIN_MAX + 1];
    if (n > SIM_PIN_MAX)
        return DP_ERR_FORMAT;
    for (size_t i = 0; i < n; i++)
        digits[i] = (char)('0' + (i % 2 == 0 ? block[1 + i / 2] >> 4 : block[1 + i / 2] & 15));
    digits[n] = '\0';
    if (block_of(control, digits, again) != DP_OK || memcmp(again, block, 8) != 0)
        return DP_ERR_FORMAT;
    memcpy(pin, digits, n + 1);
    return DP_OK;
}

int sim_pin_block_iso2(const char *pin, uint8_t block[8])
{
    return block_of(2, pin, block);
}

/* Mixing is its own reverse. */
static int mix(const uint8_t master_ac[16], const char *before, uint8_t block[8])
{
    uint8_t digits[8] = {0};
    size_t n = before != NULL ? strlen(before) : 0;
    if (before != NULL &&
        (n < SIM_PIN_MIN || n > SIM_PIN_MAX || sim_bcd_left(before, digits, (n + 1) / 2) != DP_OK))
        return DP_ERR_FORMAT;
    if (n % 2 != 0)
        digits[n / 2] &= 0xF0;
    for (size_t i = 0; i < 8; i++)
        block[i] ^= digits[i];
    for (size_t i = 4; i < 8; i++)
        block[i] ^= master_ac[i];
    return DP_OK;
}

int sim_pin_block_of_card(const uint8_t master_ac[16], const char *pin, const char *before,
                          uint8_t block[8])
{
    int err = block_of(0, pin, block);
    return err != DP_OK ? err : mix(master_ac, before, block);
}

/* ---- PIN CHANGE/UNBLOCK ---- */

static bool in_iso2(const struct sim_version *v, bool with_pin_before)
{
    return v->pin_block == SIM_PIN_ISO2 ||
           (v->pin_block == SIM_PIN_OF_CARD_OR_ISO2 && !with_pin_before);
}

int sim_pin_change(const struct sim_card_keys *keys, enum sim_cvn cvn,
                   const struct sim_session_data *session, const char *pin, const char *before,
                   uint8_t *command, size_t *n)
{
    const struct sim_version *v = sim_version(cvn);
    uint8_t block[8], key[16];
    size_t data_n = 0;
    int err = in_iso2(v, before != NULL) ? sim_pin_block_iso2(pin, block)
                                         : sim_pin_block_of_card(keys->ac, pin, before, block);
    if (err == DP_OK)
        err = sim_session_key_of(v->script_key, v->cipher, keys->enc, session, key);
    if (err == DP_OK)
        err = sim_encipher(v->enciphering, v->cipher, key, block, 8, command + 5, &data_n);
    if (err == DP_OK) {
        const uint8_t header[5] = {0x84, 0x24, 0, before != NULL ? P2_WITH_PIN_BEFORE : P2_WITHOUT,
                                   (uint8_t)(data_n + 8)};
        memcpy(command, header, 5);
        err = sim_script_mac(keys->mac, cvn, session, header, command + 5, data_n,
                             command + 5 + data_n);
    }
    *n = 5 + data_n + 8;
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(block, sizeof block);
    return err;
}

int sim_pin_change_take(const struct sim_card_keys *keys, enum sim_cvn cvn,
                        const struct sim_session_data *session, uint8_t p2, const uint8_t *data,
                        size_t n, char *pin)
{
    const struct sim_version *v = sim_version(cvn);
    bool with_pin_before = p2 == P2_WITH_PIN_BEFORE, iso2 = in_iso2(v, with_pin_before);
    uint8_t block[8], key[16];
    int err = with_pin_before || p2 == P2_WITHOUT ? DP_OK : DP_ERR_FORMAT;
    if (err == DP_OK)
        err = sim_session_key_of(v->script_key, v->cipher, keys->enc, session, key);
    if (err == DP_OK)
        err = sim_decipher(v->enciphering, v->cipher, key, data, n, block, 8);
    if (err == DP_OK && !iso2)
        err = mix(keys->ac, with_pin_before ? pin : NULL, block);
    if (err == DP_OK)
        err = pin_of(iso2 ? 2 : 0, block, pin);
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(block, sizeof block);
    return err;
}
