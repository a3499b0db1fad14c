/* SPDX-License-Identifier: Apache-2.0 */
#include "oda.h"

#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "base/reader.h"
#include "base/secret.h"
#include "rsa.h"
#include "suite.h"

enum {
    HEADER = 0x6A,
    TRAILER = 0xBC,
    PADDING = 0xBB,
    FORMAT_ISSUER = 2,
    FORMAT_STATIC = 3,
    FORMAT_ICC = 4,
    FORMAT_DYNAMIC = 5,
    HASH_SHA1 = 1,
    HASH_BYTES = 20,
    FRAME_BYTES = 1 + HASH_BYTES + 1, /* header, hash, trailer */
    FDDA_VERSION = 1,
    FDDA_DATA_MIN = 7, /* version, the card's unpredictable number, CTQ */
    FDDA_DATA_MAX = 16
};

/* The checks, in the order they are made, and their words for each thing that is signed. */
enum fault {
    FAULT_ABSENT,
    FAULT_SUITE,
    FAULT_LENGTH,
    FAULT_RECOVERY,
    FAULT_HEADER,
    FAULT_FORMAT,
    FAULT_HASH_ALGORITHM,
    FAULT_HASH,
    FAULT_HOLDER,
    FAULT_EXPIRED,
    FAULT_KEY_ALGORITHM,
    FAULT_KEY,
    FAULT_EXPONENT,
    FAULT_PADDING,
    FAULTS
};
/* clang-format off */
#define WORDS(thing, absent)                                                                       \
    {                                                                                              \
        [FAULT_ABSENT] = absent, [FAULT_SUITE] = thing ": ECC is not supported",                   \
        [FAULT_LENGTH] = thing ": length", [FAULT_RECOVERY] = thing ": not below the modulus",     \
        [FAULT_HEADER] = thing ": header or trailer", [FAULT_FORMAT] = thing ": format",           \
        [FAULT_HASH_ALGORITHM] = thing ": hash algorithm", [FAULT_HASH] = thing ": hash",          \
        [FAULT_HOLDER] = thing ": not for this PAN", [FAULT_EXPIRED] = thing ": expired",          \
        [FAULT_KEY_ALGORITHM] = thing ": key algorithm", [FAULT_KEY] = thing ": key length",       \
        [FAULT_EXPONENT] = thing ": exponent", [FAULT_PADDING] = thing ": padding"                 \
    }
/* clang-format on */
typedef const char *const words[FAULTS];
static words issuer_words = WORDS("issuer certificate", "no issuer certificate");
static words icc_words = WORDS("ICC certificate", "no ICC certificate");
static words sda_words = WORDS("SDA", "no signed static data");
static words dda_words = WORDS("DDA", "no dynamic signature");
static words cda_words = WORDS("CDA", "no dynamic signature");
static words fdda_words = WORDS("fDDA", "no dynamic signature");

static int fail(const char **why, const char *what)
{
    *why = what;
    return DP_ERR_SIGNATURE;
}

/* ---- what all recovered blocks have in common ---- */

static int crypto_failed(const char **why)
{
    *why = "cryptography failed";
    return DP_ERR_CRYPTO;
}

static bool add(psa_hash_operation_t *hash, struct dp_bytes b)
{
    return b.n == 0 || psa_hash_update(hash, b.p, b.n) == PSA_SUCCESS;
}

static int hash_of(const struct dp_bytes *parts, size_t n, uint8_t out[HASH_BYTES])
{
    psa_hash_operation_t hash = PSA_HASH_OPERATION_INIT;
    size_t out_n = 0;
    bool good = psa_hash_setup(&hash, PSA_ALG_SHA_1) == PSA_SUCCESS;
    for (size_t i = 0; i < n && good; i++)
        good = add(&hash, parts[i]);
    good = good && psa_hash_finish(&hash, out, HASH_BYTES, &out_n) == PSA_SUCCESS &&
           out_n == HASH_BYTES;
    (void)psa_hash_abort(&hash);
    return good ? DP_OK : DP_ERR_CRYPTO;
}

/*
 * Header, format, trailer, and the hash over the block's body and what follows it outside. The body
 * comes back as a reader behind the format byte. hash_at: where the hash algorithm stands in it.
 */
static int open_block(struct dp_bytes block, uint8_t format, size_t hash_at, words w,
                      const struct dp_bytes *more, size_t more_n, struct dp_reader *body,
                      const char **why)
{
    struct dp_bytes parts[5];
    uint8_t hash[HASH_BYTES];
    DP_ASSERT(more_n < sizeof parts / sizeof *parts);
    DP_ASSERT(block.n <= DP_EMV_RSA_BYTES_MAX);
    if (block.n < FRAME_BYTES + 1 + hash_at + 1)
        return fail(why, w[FAULT_LENGTH]);
    if (block.p[0] != HEADER || block.p[block.n - 1] != TRAILER)
        return fail(why, w[FAULT_HEADER]);
    if (block.p[1] != format)
        return fail(why, w[FAULT_FORMAT]);
    if (block.p[2 + hash_at] != HASH_SHA1)
        return fail(why, w[FAULT_HASH_ALGORITHM]);
    parts[0] = (struct dp_bytes){block.p + 1, block.n - FRAME_BYTES};
    for (size_t i = 0; i < more_n; i++)
        parts[i + 1] = more[i];
    if (hash_of(parts, more_n + 1, hash) != DP_OK)
        return crypto_failed(why);
    if (memcmp(hash, block.p + block.n - 1 - HASH_BYTES, HASH_BYTES) != 0)
        return fail(why, w[FAULT_HASH]);
    dp_reader_init(body, parts[0].p + 1, parts[0].n - 1);
    return DP_OK;
}

static bool all_padding(struct dp_bytes b)
{
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] != PADDING)
            return false;
    return true;
}

static int recover(const struct oda_key *key, struct dp_bytes in, words w,
                   uint8_t out[DP_EMV_RSA_BYTES_MAX], const char **why)
{
    int err;
    if (in.n == 0)
        return fail(why, w[FAULT_ABSENT]);
    if (in.n != key->modulus_n)
        return fail(why, w[FAULT_LENGTH]);
    err = emv_rsa_recover(key, in.p, in.n, out);
    if (err == DP_ERR_SIGNATURE)
        return fail(why, w[FAULT_RECOVERY]);
    return err == DP_OK ? DP_OK : crypto_failed(why);
}

/* ---- certificates ---- */

/* What differs between the issuer's and the card's. */
struct certificate {
    const char *const *w;
    enum oda_holder holder;
    uint8_t format;
    size_t holder_n; /* bytes of PAN in it */
    struct dp_bytes whole, remainder, exponent, signed_records;
};

static struct certificate issuer_certificate(const struct oda_input *in)
{
    return (struct certificate){.w = issuer_words,
                                .holder = ODA_HOLDER_ISSUER,
                                .format = FORMAT_ISSUER,
                                .holder_n = 4,
                                .whole = in->issuer_certificate,
                                .remainder = in->issuer_remainder,
                                .exponent = in->issuer_exponent};
}

static struct certificate icc_certificate(const struct oda_input *in)
{
    return (struct certificate){.w = icc_words,
                                .holder = ODA_HOLDER_ICC,
                                .format = FORMAT_ICC,
                                .holder_n = 10,
                                .whole = in->icc_certificate,
                                .remainder = in->icc_remainder,
                                .exponent = in->icc_exponent,
                                .signed_records = in->signed_records};
}

/*
 * BCD digits, then F to the end. The issuer's certificate has the first 3 to 8 digits of the PAN,
 * the card's all of them.
 */
static bool names_pan(struct dp_bytes b, const char *pan, bool whole)
{
    size_t n = 0, pan_n = strlen(pan);
    bool padding = false;
    for (size_t i = 0; i < 2 * b.n; i++) {
        unsigned digit = i % 2 == 0 ? b.p[i / 2] >> 4 : b.p[i / 2] & 15U;
        if (digit == 15) {
            padding = true;
            continue;
        }
        if (padding || digit > 9 || n == pan_n || digit != (unsigned)(pan[n] - '0'))
            return false;
        n++;
    }
    return whole ? n == pan_n : n >= 3;
}

/* Month and year in BCD, valid to the month's last day; years from 50 on are the last century's. */
static bool valid_on(const uint8_t mmyy[2], uint32_t date)
{
    uint32_t month, year;
    if ((mmyy[0] & 15) > 9 || mmyy[0] >> 4 > 9 || (mmyy[1] & 15) > 9 || mmyy[1] >> 4 > 9)
        return false;
    month = (uint32_t)(mmyy[0] >> 4) * 10 + (mmyy[0] & 15);
    year = (uint32_t)(mmyy[1] >> 4) * 10 + (mmyy[1] & 15);
    year += year < 50 ? 2000 : 1900;
    return month >= 1 && month <= 12 && year * 100 + month >= date / 100;
}

static uint32_t exponent_of(struct dp_bytes b)
{
    uint32_t e = 0;
    if (b.n > 3)
        return 0;
    for (size_t i = 0; i < b.n; i++)
        e = e << 8 | b.p[i];
    return e;
}

/* The modulus stands in the certificate as far as it fits, padded there, or goes on in the
 * remainder. */
static int take_key(const struct certificate *c, struct dp_reader *body, size_t n,
                    struct oda_key *key, const char **why)
{
    size_t fits = n < body->left ? n : body->left;
    if (n < ODA_RSA_BYTES_MIN || n > DP_EMV_RSA_BYTES_MAX || c->remainder.n != n - fits)
        return fail(why, c->w[FAULT_KEY]);
    dp_read_copy(body, key->modulus, fits);
    if (c->remainder.n > 0)
        memcpy(key->modulus + fits, c->remainder.p, c->remainder.n);
    key->modulus_n = (uint16_t)n;
    if (!all_padding((struct dp_bytes){body->p, body->left}))
        return fail(why, c->w[FAULT_PADDING]);
    return emv_rsa_key_valid(key) ? DP_OK : fail(why, c->w[FAULT_KEY]);
}

/* The scheme took this certificate back: CA key and serial number, of the terminal's list. */
static bool is_revoked(const struct oda_input *in, const uint8_t serial[3])
{
    for (size_t i = 0; i < in->revoked_n; i++) {
        const struct dp_emv_revoked *r = &in->revoked[i];
        if (r->index == in->index && memcmp(r->rid, in->rid, sizeof r->rid) == 0 &&
            memcmp(r->serial, serial, sizeof r->serial) == 0)
            return true;
    }
    return false;
}

/* Holder, expiry MMYY, serial number (3), algorithms of hash and key, lengths of modulus and
 * exponent, modulus. EMV 4.4 Book 2, tables 13 and 14. */
static int check_body(const struct certificate *c, const struct oda_input *in, size_t signer_n,
                      struct dp_reader *body, struct oda_key *key, const char **why)
{
    struct dp_bytes holder = dp_read_bytes(body, c->holder_n);
    struct dp_bytes expiry = dp_read_bytes(body, 2);
    size_t modulus_n, exponent_n;
    enum oda_suite suite;
    uint8_t algorithm;
    struct dp_bytes serial = dp_read_bytes(body, 3);
    dp_read_skip(body, 1);
    algorithm = dp_read_u8(body);
    modulus_n = dp_read_u8(body);
    exponent_n = dp_read_u8(body);
    if (body->err != DP_OK)
        return fail(why, c->w[FAULT_LENGTH]);
    if (!names_pan(holder, in->pan, c->format == FORMAT_ICC))
        return fail(why, c->w[FAULT_HOLDER]);
    if (!valid_on(expiry.p, in->date))
        return fail(why, c->w[FAULT_EXPIRED]);
    if (c->format == FORMAT_ISSUER && is_revoked(in, serial.p))
        return fail(why, "issuer certificate: revoked");
    suite = oda_suite_of_key(algorithm);
    if (suite != ODA_SUITE_RSA)
        return fail(why, c->w[suite == ODA_SUITE_ECC ? FAULT_SUITE : FAULT_KEY_ALGORITHM]);
    key->exponent = exponent_of(c->exponent);
    if (exponent_n != c->exponent.n || (key->exponent != 3 && key->exponent != 65537))
        return fail(why, c->w[FAULT_EXPONENT]);
    if (modulus_n > signer_n) /* NIC <= NI <= NCA */
        return fail(why, c->w[FAULT_KEY]);
    return take_key(c, body, modulus_n, key, why);
}

static int check_certificate(const struct certificate *c, const struct oda_input *in,
                             struct dp_bytes block, struct oda_key *key, const char **why)
{
    const struct dp_bytes more[] = {c->remainder, c->exponent, c->signed_records};
    struct dp_reader body;
    int err;
    DP_ASSERT(in->pan != NULL);
    DP_ASSERT(why != NULL);
    memset(key, 0, sizeof *key);
    err = open_block(block, c->format, c->holder_n + 5, c->w, more, 3, &body, why);
    if (err == DP_OK)
        err = check_body(c, in, block.n, &body, key, why);
    if (err != DP_OK)
        memset(key, 0, sizeof *key);
    return err;
}

int oda_issuer_block(const struct oda_input *in, struct dp_bytes block, struct oda_key *issuer,
                     const char **why)
{
    const struct certificate c = issuer_certificate(in);
    return check_certificate(&c, in, block, issuer, why);
}

int oda_icc_block(const struct oda_input *in, struct dp_bytes block, struct oda_key *icc,
                  const char **why)
{
    const struct certificate c = icc_certificate(in);
    return check_certificate(&c, in, block, icc, why);
}

/* RID and index are not unique where the keys of several test laboratories stand side by side: the
 * certificate's length then tells. */
static const struct dp_emv_ca_key *ca_key(const struct oda_input *in)
{
    const struct dp_emv_ca_key *found = NULL;
    for (size_t i = 0; i < in->ca_keys_n; i++) {
        const struct dp_emv_ca_key *key = &in->ca_keys[i];
        if (key->index != in->index || memcmp(key->rid, in->rid, 5) != 0)
            continue;
        if (found == NULL || key->modulus_n == in->issuer_certificate.n)
            found = key;
    }
    return found;
}

/* Made with other cryptography than the signer's RSA key of signer_n bytes. */
static bool is_of_another_suite(const struct certificate *c, size_t signer_n)
{
    return oda_suite_of_certificate(c->whole, c->holder, signer_n) != ODA_SUITE_RSA;
}

int oda_issuer_key(const struct oda_input *in, struct oda_key *issuer, const char **why)
{
    const struct certificate c = issuer_certificate(in);
    const struct dp_emv_ca_key *found = ca_key(in);
    uint8_t block[DP_EMV_RSA_BYTES_MAX];
    struct oda_key ca;
    int err;
    DP_ASSERT(issuer != NULL);
    DP_ASSERT(why != NULL);
    memset(issuer, 0, sizeof *issuer);
    memset(&ca, 0, sizeof ca);
    if (is_of_another_suite(&c, found != NULL ? found->modulus_n : 0))
        return fail(why, c.w[FAULT_SUITE]);
    if (found == NULL)
        return fail(why, "unknown CA key");
    if (found->expiry < in->date)
        return fail(why, "CA key expired");
    if (found->modulus_n > sizeof ca.modulus)
        return fail(why, "unusable CA key");
    memcpy(ca.modulus, found->modulus, found->modulus_n);
    ca.modulus_n = found->modulus_n;
    ca.exponent = found->exponent;
    if (!emv_rsa_key_valid(&ca))
        return fail(why, "unusable CA key");
    err = recover(&ca, c.whole, c.w, block, why);
    return err != DP_OK ? err
                        : oda_issuer_block(in, (struct dp_bytes){block, ca.modulus_n}, issuer, why);
}

int oda_icc_key(const struct oda_input *in, const struct oda_key *issuer, struct oda_key *icc,
                const char **why)
{
    const struct certificate c = icc_certificate(in);
    uint8_t block[DP_EMV_RSA_BYTES_MAX];
    int err;
    DP_ASSERT(icc != NULL);
    DP_ASSERT(icc != issuer);
    DP_ASSERT(why != NULL);
    memset(icc, 0, sizeof *icc);
    if (is_of_another_suite(&c, issuer->modulus_n))
        return fail(why, c.w[FAULT_SUITE]);
    err = recover(issuer, c.whole, c.w, block, why);
    return err != DP_OK ? err
                        : oda_icc_block(in, (struct dp_bytes){block, issuer->modulus_n}, icc, why);
}

/* ---- static data ---- */

/* Hash algorithm, data authentication code (2), padding. */
int oda_sda_block(const struct oda_input *in, struct dp_bytes block, uint8_t dac[2],
                  const char **why)
{
    struct dp_reader body;
    struct dp_bytes code;
    int err;
    DP_ASSERT(dac != NULL);
    DP_ASSERT(why != NULL);
    memset(dac, 0, 2);
    err = open_block(block, FORMAT_STATIC, 0, sda_words, &in->signed_records, 1, &body, why);
    if (err != DP_OK)
        return err;
    dp_read_skip(&body, 1);
    code = dp_read_bytes(&body, 2);
    if (body.err != DP_OK)
        return fail(why, sda_words[FAULT_LENGTH]);
    if (!all_padding((struct dp_bytes){body.p, body.left}))
        return fail(why, sda_words[FAULT_PADDING]);
    memcpy(dac, code.p, 2);
    return DP_OK;
}

int oda_sda(const struct oda_input *in, const struct oda_key *issuer, uint8_t dac[2],
            const char **why)
{
    uint8_t block[DP_EMV_RSA_BYTES_MAX];
    int err;
    DP_ASSERT(dac != NULL);
    DP_ASSERT(why != NULL);
    memset(dac, 0, 2);
    err = recover(issuer, in->ssad, sda_words, block, why);
    return err != DP_OK ? err
                        : oda_sda_block(in, (struct dp_bytes){block, issuer->modulus_n}, dac, why);
}

/* ---- dynamic signatures ---- */

/* Hash algorithm, length of the ICC dynamic data, these, padding. The ICC dynamic number with its
 * length begins them; data is what follows it. */
static int open_dynamic(struct dp_bytes block, words w, const struct dp_bytes *terminal, size_t n,
                        struct oda_dynamic *out, struct dp_reader *data, const char **why)
{
    struct dp_reader body;
    int err;
    DP_ASSERT(out != NULL);
    DP_ASSERT(why != NULL);
    memset(out, 0, sizeof *out);
    err = open_block(block, FORMAT_DYNAMIC, 0, w, terminal, n, &body, why);
    if (err != DP_OK)
        return err;
    dp_read_skip(&body, 1);
    *data = dp_read_sub(&body, dp_read_u8(&body));
    if (body.err != DP_OK)
        return fail(why, w[FAULT_LENGTH]);
    if (!all_padding((struct dp_bytes){body.p, body.left}))
        return fail(why, w[FAULT_PADDING]);
    n = dp_read_u8(data);
    if (n < 2 || n > sizeof out->number || n > data->left)
        return fail(why, w[FAULT_LENGTH]);
    dp_read_copy(data, out->number, n);
    out->number_n = (uint8_t)n;
    return DP_OK;
}

int oda_dda_block(struct dp_bytes block, struct dp_bytes ddol_values, struct oda_dynamic *out,
                  const char **why)
{
    struct dp_reader data;
    return open_dynamic(block, dda_words, &ddol_values, 1, out, &data, why);
}

int oda_dda(const struct oda_key *icc, struct dp_bytes sdad, struct dp_bytes ddol_values,
            struct oda_dynamic *out, const char **why)
{
    uint8_t block[DP_EMV_RSA_BYTES_MAX];
    int err;
    memset(out, 0, sizeof *out);
    err = recover(icc, sdad, dda_words, block, why);
    return err != DP_OK
               ? err
               : oda_dda_block((struct dp_bytes){block, icc->modulus_n}, ddol_values, out, why);
}

/* Behind the number: cryptogram information data, cryptogram, hash of the transaction data (EMV 4.4
 * Book 2, 6.6.2). */
static int check_cda(struct dp_reader *data, const struct oda_cda_input *in,
                     struct oda_dynamic *out, const char **why)
{
    uint8_t cid = dp_read_u8(data), hash[HASH_BYTES];
    struct dp_bytes cryptogram = dp_read_bytes(data, sizeof out->cryptogram);
    struct dp_bytes signed_hash = dp_read_bytes(data, HASH_BYTES);
    if (data->err != DP_OK)
        return fail(why, cda_words[FAULT_LENGTH]);
    if (cid != in->cid)
        return fail(why, "CDA: cryptogram type differs");
    if (hash_of(&in->transaction_data, 1, hash) != DP_OK)
        return crypto_failed(why);
    if (memcmp(hash, signed_hash.p, HASH_BYTES) != 0)
        return fail(why, "CDA: transaction data differ");
    memcpy(out->cryptogram, cryptogram.p, cryptogram.n);
    return DP_OK;
}

int oda_cda_block(struct dp_bytes block, const struct oda_cda_input *in, struct oda_dynamic *out,
                  const char **why)
{
    const struct dp_bytes un = {in->un, sizeof in->un};
    struct dp_reader data;
    int err = open_dynamic(block, cda_words, &un, 1, out, &data, why);
    if (err == DP_OK)
        err = check_cda(&data, in, out, why);
    if (err != DP_OK)
        memset(out, 0, sizeof *out);
    return err;
}

int oda_cda(const struct oda_key *icc, struct dp_bytes sdad, const struct oda_cda_input *in,
            struct oda_dynamic *out, const char **why)
{
    uint8_t block[DP_EMV_RSA_BYTES_MAX];
    int err;
    memset(out, 0, sizeof *out);
    err = recover(icc, sdad, cda_words, block, why);
    return err != DP_OK ? err
                        : oda_cda_block((struct dp_bytes){block, icc->modulus_n}, in, out, why);
}

/* Before the signature: what makes it worth nothing. */
static int check_fdda(const struct oda_fdda_input *in, const char **why)
{
    if (in->card_data.n == 0)
        return fail(why, "fDDA: no 9F69");
    if (in->card_data.p[0] != FDDA_VERSION)
        return fail(why, "fDDA: version is not 01");
    if (in->card_data.n < FDDA_DATA_MIN || in->card_data.n > FDDA_DATA_MAX)
        return fail(why, "fDDA: length of 9F69");
    return in->ctq.n == 2 && memcmp(in->ctq.p, in->card_data.p + 5, 2) == 0
               ? DP_OK
               : fail(why, "fDDA: CTQ differs from the signed one");
}

int oda_fdda_block(struct dp_bytes block, const struct oda_fdda_input *in, struct oda_dynamic *out,
                   const char **why)
{
    const struct dp_bytes terminal[] = {{in->un, sizeof in->un},
                                        {in->amount, sizeof in->amount},
                                        {in->currency, sizeof in->currency},
                                        in->card_data};
    struct dp_reader data;
    int err;
    DP_ASSERT(out != NULL);
    DP_ASSERT(why != NULL);
    memset(out, 0, sizeof *out);
    err = check_fdda(in, why);
    return err != DP_OK ? err : open_dynamic(block, fdda_words, terminal, 4, out, &data, why);
}

int oda_fdda(const struct oda_key *icc, struct dp_bytes sdad, const struct oda_fdda_input *in,
             struct oda_dynamic *out, const char **why)
{
    uint8_t block[DP_EMV_RSA_BYTES_MAX];
    int err;
    memset(out, 0, sizeof *out);
    err = recover(icc, sdad, fdda_words, block, why);
    return err != DP_OK ? err
                        : oda_fdda_block((struct dp_bytes){block, icc->modulus_n}, in, out, why);
}
