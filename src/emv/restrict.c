/* SPDX-License-Identifier: Apache-2.0 */
/* Processing restrictions: EMV 4.4 Book 3, 10.4. */
#include "contact.h"

#include <string.h>

/* Application usage control */
#define DOMESTIC_GOODS_OR_SERVICES      0x28 /* byte 1 */
#define INTERNATIONAL_GOODS_OR_SERVICES 0x14
#define OTHER_THAN_ATMS                 0x01
#define DOMESTIC_CASH                   0x80 /* byte 1; cashback: byte 2 */
#define INTERNATIONAL_CASH              0x40

/* Transaction type, 9C */
#define TYPE_PURCHASE 0x00
#define TYPE_CASH     0x01
#define TYPE_CASHBACK 0x09

/* A date YYMMDD as a number that can be compared; the century turns at 50. */
static bool date_of(struct dp_bytes v, uint32_t *date)
{
    uint64_t number;
    if (v.n != 3 || emv_bcd_read(v, &number) < 0)
        return false;
    *date = (uint32_t)number + (number >= 500000 ? 19000000U : 20000000U);
    return true;
}

static uint32_t today(const struct dp_emv_kernel *k)
{
    const struct dp_date_time *d = &k->transaction->local;
    return d->year * 10000U + d->month * 100U + d->day;
}

bool emv_expired(const struct dp_emv_kernel *k)
{
    uint32_t date;
    return !date_of(emv_data_get(&k->data, 0x5F24), &date) || date < today(k);
}

bool emv_not_yet_effective(const struct dp_emv_kernel *k)
{
    struct dp_bytes v = emv_data_get(&k->data, 0x5F25);
    uint32_t date;
    return v.n > 0 && (!date_of(v, &date) || date > today(k));
}

static bool versions_differ(const struct dp_emv_kernel *k)
{
    struct dp_bytes card = emv_data_get(&k->data, 0x9F08);
    return card.n > 0 && (card.n != 2 || memcmp(card.p, k->aid->version, 2) != 0);
}

/* Either bit of byte 1 or 2 that a purchase at home or abroad needs, and of cash beside it. */
static bool usage_permits(const uint8_t usage[2], uint8_t type, bool domestic)
{
    uint8_t goods = domestic ? DOMESTIC_GOODS_OR_SERVICES : INTERNATIONAL_GOODS_OR_SERVICES;
    uint8_t cash = domestic ? DOMESTIC_CASH : INTERNATIONAL_CASH;
    switch (type) {
    case TYPE_PURCHASE:
        return (usage[0] & goods) != 0;
    case TYPE_CASH:
        return (usage[0] & cash) != 0;
    case TYPE_CASHBACK: /* the bits for cashback stand where those for cash do, in byte 2 */
        return (usage[0] & goods) != 0 && (usage[1] & cash) != 0;
    default: /* a refund needs no leave but to be here */
        return true;
    }
}

/* We are never an ATM. */
static bool service_allowed(const struct dp_emv_kernel *k)
{
    struct dp_bytes usage = emv_data_get(&k->data, 0x9F07);
    struct dp_bytes country = emv_data_get(&k->data, 0x5F28);
    struct dp_bytes own = emv_data_get(&k->data, 0x9F1A);
    bool domestic;
    if (usage.n != 2)
        return true;
    if ((usage.p[0] & OTHER_THAN_ATMS) == 0)
        return false;
    if (country.n != 2)
        return true;
    domestic = own.n == 2 && memcmp(country.p, own.p, 2) == 0;
    return usage_permits(usage.p, k->transaction->type, domestic);
}

int emv_restrict(struct dp_emv_kernel *k)
{
    emv_step(k, "PROCESSING RESTRICTIONS");
    if (versions_differ(k))
        emv_tvr_set(k, TVR_VERSIONS_DIFFER);
    if (!service_allowed(k))
        emv_tvr_set(k, TVR_SERVICE_NOT_ALLOWED);
    if (emv_not_yet_effective(k))
        emv_tvr_set(k, TVR_NOT_YET_EFFECTIVE);
    if (emv_expired(k))
        emv_tvr_set(k, TVR_EXPIRED);
    return EMV_GO_ON;
}
