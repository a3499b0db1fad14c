/* SPDX-License-Identifier: Apache-2.0 */
/* What the caller hands in: checked, and put into the data store. */
#include "contact.h"

#include <string.h>

#include "base/assert.h"

#define AMOUNT_MAX     999999999999 /* 12 digits */
#define POS_ENTRY_CHIP 0x05
#define POS_ENTRY_TAP  0x07

/* Terminal capabilities, byte 2: what this kernel has. It takes no PIN of any kind. */
#define CVM_SIGNATURE_OR_NONE 0x28

/* A terminated string, of exactly n characters unless n is 0. */
static bool is_text(const char *p, size_t size, size_t n)
{
    size_t length = strnlen(p, size);
    if (length == size || (n > 0 && length != n))
        return false;
    for (size_t i = 0; i < length; i++)
        if (p[i] < 0x20 || p[i] > 0x7E)
            return false;
    return true;
}

static bool is_digits(const char *p, size_t size, size_t n)
{
    size_t length = strnlen(p, size);
    return is_text(p, size, n) && strspn(p, "0123456789") == length;
}

static bool aid_is_sound(const struct dp_emv_aid *a)
{
    return a->aid_n >= 5 && a->aid_n <= sizeof a->aid && a->ddol_n <= sizeof a->ddol &&
           a->tdol_n <= sizeof a->tdol && a->random_max <= 99 &&
           a->random_target <= a->random_max && a->floor_limit <= AMOUNT_MAX &&
           a->random_threshold <= AMOUNT_MAX && a->cl_transaction_limit <= AMOUNT_MAX &&
           a->cl_cvm_limit <= AMOUNT_MAX && a->cl_floor_limit <= AMOUNT_MAX;
}

int emv_terminal_check(const struct dp_emv_terminal *t)
{
    if (!is_text(t->tid, sizeof t->tid, 8) || !is_text(t->mid, sizeof t->mid, 0) ||
        !is_digits(t->mcc, sizeof t->mcc, 4) ||
        !is_text(t->merchant_name, sizeof t->merchant_name, 0) ||
        !is_digits(t->acquirer_id, sizeof t->acquirer_id, 0) ||
        !is_text(t->ifd_serial, sizeof t->ifd_serial, 0))
        return DP_ERR_ARG;
    if (t->country > 999 || t->aids == NULL || t->aids_n == 0 || t->aids_n > DP_EMV_AIDS_MAX ||
        t->ca_keys_n > DP_EMV_CA_KEYS_MAX || (t->ca_keys_n > 0 && t->ca_keys == NULL) ||
        t->revoked_n > DP_EMV_REVOKED_MAX || (t->revoked_n > 0 && t->revoked == NULL))
        return DP_ERR_ARG;
    for (size_t i = 0; i < t->aids_n; i++)
        if (!aid_is_sound(&t->aids[i]))
            return DP_ERR_ARG;
    for (size_t i = 0; i < t->ca_keys_n; i++)
        if (t->ca_keys[i].modulus_n > sizeof t->ca_keys[i].modulus)
            return DP_ERR_ARG;
    return DP_OK;
}

static bool date_is_sound(const struct dp_date_time *d)
{
    return d->year >= 2000 && d->year <= 2099 && d->month >= 1 && d->month <= 12 && d->day >= 1 &&
           d->day <= 31 && d->hour <= 23 && d->minute <= 59 && d->second <= 60;
}

int emv_transaction_check(const struct dp_emv_transaction *x)
{
    if (x->amount.minor < 0 || x->amount.minor > AMOUNT_MAX || x->amount.currency > 999 ||
        x->amount.exponent > 9 || !date_is_sound(&x->local))
        return DP_ERR_ARG;
    if ((x->type & 0x0F) > 9 || x->type > 0x99 || x->sequence > 99999999)
        return DP_ERR_ARG;
    return x->chosen_aid_n != 0 && (x->chosen_aid_n < 5 || x->chosen_aid_n > sizeof x->chosen_aid)
               ? DP_ERR_ARG
               : DP_OK;
}

/* ---- into the store; the first failure stays ---- */

struct putting {
    struct emv_data *data;
    int err;
};

static void put(struct putting *s, uint32_t tag, const void *p, size_t n)
{
    if (s->err == DP_OK)
        s->err = emv_data_set(s->data, tag, EMV_FROM_TERMINAL, p, n);
}

static void put_number(struct putting *s, uint32_t tag, uint64_t v, size_t n)
{
    uint8_t b[6];
    DP_ASSERT(n <= sizeof b);
    emv_bcd_write(v, b, n);
    put(s, tag, b, n);
}

static void put_binary(struct putting *s, uint32_t tag, uint64_t v)
{
    uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    if (v <= UINT32_MAX)
        put(s, tag, b, sizeof b);
}

/* Padded with blanks to n. */
static void put_text(struct putting *s, uint32_t tag, const char *text, size_t n)
{
    char b[48];
    size_t length = strlen(text);
    DP_ASSERT(n <= sizeof b);
    memset(b, ' ', sizeof b);
    memcpy(b, text, length < n ? length : n);
    if (length > 0)
        put(s, tag, b, n);
}

static uint64_t digits(const char *text)
{
    uint64_t v = 0;
    for (; *text != '\0'; text++)
        v = v * 10 + (uint64_t)(*text - '0');
    return v;
}

static void put_terminal(struct putting *s, const struct dp_emv_kernel *k)
{
    const struct dp_emv_terminal *t = k->terminal;
    uint8_t capabilities[3];
    memcpy(capabilities, t->capabilities, sizeof capabilities);
    /* whatever the parameters say: a card must not be told of a PIN pad that is not there */
    capabilities[1] &= CVM_SIGNATURE_OR_NONE;
    put_number(s, 0x9F1A, t->country, 2);
    put_number(s, 0x9F15, digits(t->mcc), 2);
    put_number(s, 0x9F01, digits(t->acquirer_id), 6);
    put(s, 0x9F35, &t->type, 1);
    put(s, 0x9F33, capabilities, 3);
    put(s, 0x9F40, t->additional_capabilities, 5);
    put_text(s, 0x9F1C, t->tid, 8);
    put_text(s, 0x9F16, t->mid, 15);
    put_text(s, 0x9F1E, t->ifd_serial, 8);
    put_text(s, 0x9F4E, t->merchant_name, strlen(t->merchant_name));
}

static void put_transaction(struct putting *s, const struct dp_emv_kernel *k)
{
    const struct dp_emv_transaction *x = k->transaction;
    uint64_t date = (uint64_t)(x->local.year % 100) * 10000 + x->local.month * 100U + x->local.day;
    uint64_t time = (uint64_t)x->local.hour * 10000 + x->local.minute * 100U + x->local.second;
    bool contactless = k->card->info.interface == DP_INTERFACE_CONTACTLESS;
    uint8_t entry = contactless ? POS_ENTRY_TAP : POS_ENTRY_CHIP;
    put_number(s, 0x9F02, (uint64_t)x->amount.minor, 6);
    put_binary(s, 0x81, (uint64_t)x->amount.minor);
    put_number(s, 0x9F03, 0, 6);
    put_binary(s, 0x9F04, 0);
    put_number(s, 0x5F2A, x->amount.currency, 2);
    put_number(s, 0x5F36, x->amount.exponent, 1);
    put_number(s, 0x9A, date, 3);
    put_number(s, 0x9F21, time, 3);
    put(s, 0x9C, &x->type, 1);
    put(s, 0x9F37, x->unpredictable_number, 4);
    put_number(s, 0x9F41, x->sequence, 4);
    put(s, 0x9F39, &entry, 1);
}

int emv_terminal_begin(struct dp_emv_kernel *k)
{
    struct putting s = {&k->data, DP_OK};
    emv_data_clear(&k->data);
    memset(k->tvr, 0, sizeof k->tvr);
    memset(k->tsi, 0, sizeof k->tsi);
    memset(k->aip, 0, sizeof k->aip);
    k->afl_n = 0;
    k->signed_records_n = 0;
    k->signed_records_bad = false;
    put_terminal(&s, k);
    put_transaction(&s, k);
    return s.err;
}
