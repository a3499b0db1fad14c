/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cardholder verification: EMV 4.4 Book 3, 10.5. This software takes no PIN and sends no VERIFY:
 * PIN methods are known by name, and never succeed.
 */
#include "contact.h"

#include <string.h>

#include "base/reader.h"

enum method {
    FAIL = 0x00,
    PIN_PLAIN = 0x01,
    PIN_ONLINE = 0x02,
    PIN_PLAIN_AND_SIGNATURE = 0x03,
    PIN_ENCIPHERED = 0x04,
    PIN_ENCIPHERED_AND_SIGNATURE = 0x05,
    SIGNATURE = 0x1E,
    NO_CVM = 0x1F
};
#define METHOD       0xBF /* without the bit below; the top bit makes it an unknown one */
#define TRY_THE_NEXT 0x40

/* Transaction type, 9C */
#define TYPE_CASH     0x01
#define TYPE_CASHBACK 0x09

enum condition {
    ALWAYS = 0x00,
    UNATTENDED_CASH = 0x01,
    NOT_CASH = 0x02,
    IF_SUPPORTED = 0x03,
    MANUAL_CASH = 0x04,
    CASHBACK = 0x05,
    UNDER_X = 0x06,
    OVER_X = 0x07,
    UNDER_Y = 0x08,
    OVER_Y = 0x09
};

enum outcome {
    UNKNOWN = 0, /* a signature is judged later, by a person */
    FAILED = 1,
    SUCCESSFUL = 2
};

/* Terminal capabilities, byte 2 */
#define CAPABLE_SIGNATURE 0x20
#define CAPABLE_NO_CVM    0x08

struct cvm_list {
    uint32_t x, y;
    struct dp_reader rules;
};

static bool is_pin(uint8_t method)
{
    return method >= PIN_PLAIN && method <= PIN_ENCIPHERED_AND_SIGNATURE;
}

static bool recognised(uint8_t method)
{
    return method == FAIL || is_pin(method) || method == SIGNATURE || method == NO_CVM;
}

static bool supported(const struct dp_emv_kernel *k, uint8_t method)
{
    uint8_t capabilities = k->terminal->capabilities[1];
    if (method == SIGNATURE)
        return (capabilities & CAPABLE_SIGNATURE) != 0;
    if (method == NO_CVM)
        return (capabilities & CAPABLE_NO_CVM) != 0;
    return method == FAIL;
}

static bool in_application_currency(const struct dp_emv_kernel *k)
{
    struct dp_bytes own = emv_data_get(&k->data, 0x5F2A);
    struct dp_bytes card = emv_data_get(&k->data, 0x9F42);
    return own.n == 2 && card.n == 2 && memcmp(own.p, card.p, 2) == 0;
}

/* Conditions that ask what the money is for. */
static bool is_cash(const struct dp_emv_kernel *k, uint8_t condition)
{
    bool unattended = (k->terminal->type & 0x0F) >= 4;
    switch (k->transaction->type) {
    case TYPE_CASH:
        return condition == (unattended ? UNATTENDED_CASH : MANUAL_CASH);
    case TYPE_CASHBACK:
        return condition == CASHBACK;
    default:
        return condition == NOT_CASH;
    }
}

static bool satisfied(const struct dp_emv_kernel *k, const struct cvm_list *list, uint8_t method,
                      uint8_t condition)
{
    uint64_t amount = (uint64_t)k->transaction->amount.minor;
    switch (condition) {
    case ALWAYS:
        return true;
    case UNATTENDED_CASH:
    case NOT_CASH:
    case MANUAL_CASH:
    case CASHBACK:
        return is_cash(k, condition);
    case IF_SUPPORTED:
        return supported(k, method);
    case UNDER_X:
        return in_application_currency(k) && amount < list->x;
    case OVER_X:
        return in_application_currency(k) && amount > list->x;
    case UNDER_Y:
        return in_application_currency(k) && amount < list->y;
    case OVER_Y:
        return in_application_currency(k) && amount > list->y;
    default:
        return false;
    }
}

static void results(struct dp_emv_kernel *k, uint8_t code, uint8_t condition, enum outcome outcome)
{
    k->cvm_results[0] = code;
    k->cvm_results[1] = condition;
    k->cvm_results[2] = (uint8_t)outcome;
}

/* One rule whose condition is met. Returns whether the holder counts as verified. The results name
 * the last method that was performed; one that is not known or not supported was not (EMV 4.4 Book
 * 3, 10.5.5, figure 12). */
static bool perform(struct dp_emv_kernel *k, uint8_t code, uint8_t condition)
{
    uint8_t method = code & METHOD;
    if (!recognised(method))
        emv_tvr_set(k, TVR_CVM_UNKNOWN);
    else if (is_pin(method))
        emv_tvr_set(k, TVR_PIN_PAD_ABSENT);
    else if (method == FAIL)
        results(k, code, condition, FAILED);
    else if (supported(k, method)) {
        bool sign = method == SIGNATURE;
        k->result->summary.cvm = sign ? DP_EMV_CVM_SIGNATURE : DP_EMV_CVM_NONE;
        results(k, code, condition, sign ? UNKNOWN : SUCCESSFUL);
        return true;
    }
    return false;
}

static void walk(struct dp_emv_kernel *k, struct cvm_list *list)
{
    results(k, EMV_CVM_NOT_PERFORMED, 0x00, FAILED);
    while (list->rules.left > 0) {
        uint8_t code = dp_read_u8(&list->rules), condition = dp_read_u8(&list->rules);
        if (!satisfied(k, list, code & METHOD, condition))
            continue;
        if (perform(k, code, condition))
            return;
        if ((code & TRY_THE_NEXT) == 0 || (code & METHOD) == FAIL)
            break;
    }
    emv_tvr_set(k, TVR_CVM_FAILED);
}

int emv_verify_holder(struct dp_emv_kernel *k)
{
    struct dp_bytes v = emv_data_get(&k->data, 0x8E);
    struct cvm_list list;
    emv_step(k, "CARDHOLDER VERIFICATION");
    results(k, EMV_CVM_NOT_PERFORMED, 0x00, UNKNOWN);
    if ((k->aip[0] & AIP_CVM) == 0)
        return EMV_GO_ON;
    if (v.n <= 8) { /* the two amounts and no rule are as good as no list */
        emv_tvr_set(k, TVR_ICC_DATA_MISSING);
        return EMV_GO_ON;
    }
    if (v.n % 2 != 0)
        return emv_end_card_data(k, "CVM list", DP_ERR_FORMAT);
    dp_reader_init(&list.rules, v.p, v.n);
    list.x = dp_read_u32(&list.rules);
    list.y = dp_read_u32(&list.rules);
    walk(k, &list);
    k->tsi[0] |= TSI_CVM;
    return EMV_GO_ON;
}
