/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/reader.h"

/* Which elements a message must and may carry; the MAC is the codec's. The last place counts. */
static const struct rule {
    unsigned mti;
    uint8_t must[24], may[8];
} rules[] = {
    {1100, {3, 4, 7, 11, 12, 22, 24, 37, 41, 42, 48, 49, 53, 55}, {2, 14, 23, 25, 35, 120}},
    {1200, {3, 4, 7, 11, 12, 22, 24, 37, 41, 42, 48, 49, 53, 55}, {2, 14, 23, 25, 35, 120}},
    {1220, {3, 4, 7, 11, 12, 22, 24, 25, 37, 41, 42, 48, 49, 53, 55}, {2, 14, 23, 38, 120}},
    {1420, {3, 4, 7, 11, 12, 22, 24, 25, 37, 41, 42, 48, 49, 53, 56}, {0}},
    {1520, {3, 7, 11, 12, 24, 37, 41, 42, 48, 53, 74, 75, 76, 77, 86, 87, 88, 89, 97}, {0}},
    {1804, {7, 11, 12, 24, 41, 42, 53}, {48}},
};

static const struct function {
    unsigned mti, function;
} functions[] = {{1100, 100}, {1200, 200}, {1220, 201}, {1420, 400},
                 {1520, 500}, {1804, 801}, {1804, 811}, {1804, 831}};

static int bad(char *why, size_t why_n, const char *what, unsigned de)
{
    (void)snprintf(why, why_n, "DE%u %s", de, what);
    return DP_ERR_FORMAT;
}

const char *sim_mode_name(enum sim_mode mode)
{
    static const char *const names[] = {"", "online", "offline", "deferred"};
    return names[mode];
}

static unsigned number(const char *digits)
{
    return (unsigned)strtoul(digits, NULL, 10);
}

static uint64_t big(const char *digits)
{
    return strtoull(digits, NULL, 10);
}

/* ---- presence ---- */

static bool listed(const uint8_t *list, size_t n, unsigned de)
{
    for (size_t i = 0; i < n && list[i] != 0; i++)
        if (list[i] == de)
            return true;
    return false;
}

static int check_presence(const struct sim_iso *m, unsigned mti, char *why, size_t why_n)
{
    const struct rule *rule = NULL;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].mti == mti)
            rule = &rules[i];
    if (rule == NULL) {
        (void)snprintf(why, why_n, "message type %s is not answered here", m->mti);
        return DP_ERR_FORMAT;
    }
    for (unsigned de = 2; de < 128; de++) {
        bool must = listed(rule->must, sizeof rule->must, de);
        if (must && !m->has[de])
            return bad(why, why_n, "is missing", de);
        if (m->has[de] && de != 64 && !must && !listed(rule->may, sizeof rule->may, de))
            return bad(why, why_n, "does not belong into this message", de);
    }
    return DP_OK;
}

/* ---- values ---- */

/* Month, day, hour, minute, second in ten digits; year 0: any year, so 29 February passes. */
static bool is_date_time(const char *s, unsigned year)
{
    static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned part[5];
    for (int i = 0; i < 5; i++)
        part[i] = (unsigned)(s[2 * i] - '0') * 10 + (unsigned)(s[2 * i + 1] - '0');
    if (part[0] < 1 || part[0] > 12 || part[1] < 1 || part[1] > days[part[0] - 1])
        return false;
    if (part[0] == 2 && part[1] == 29 && year % 4 != 0)
        return false;
    return part[2] < 24 && part[3] < 60 && part[4] < 60;
}

static int check_values(const struct sim_iso *m, struct sim_request *out, char *why, size_t why_n)
{
    const char *local = sim_iso_text(m, 12);
    bool known = false;
    if (!is_date_time(sim_iso_text(m, 7), 0))
        return bad(why, why_n, "is no date and time", 7);
    if (!is_date_time(local + 2, (unsigned)(local[0] - '0') * 10 + (unsigned)(local[1] - '0')))
        return bad(why, why_n, "is no date and time", 12);
    if (number(sim_iso_text(m, 11)) == 0)
        return bad(why, why_n, "is zero", 11);
    out->function = number(sim_iso_text(m, 24));
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        known = known || (functions[i].mti == out->mti && functions[i].function == out->function);
    if (!known)
        return bad(why, why_n, "is no function of this message", 24);
    if (m->has[37] && strspn(sim_iso_text(m, 37), "0123456789") != 12)
        return bad(why, why_n, "is not 12 digits", 37);
    if (m->has[22] && sim_iso_text(m, 22)[6] != 'C' && sim_iso_text(m, 22)[6] != '5')
        return bad(why, why_n, "tells of no chip", 22);
    if (m->n[53] != 12)
        return bad(why, why_n, "is no key serial number", 53);
    out->reason = number(sim_iso_text(m, 25));
    return DP_OK;
}

static int check_money(const struct sim_iso *m, struct sim_request *out, char *why, size_t why_n)
{
    const char *code = sim_iso_text(m, 3);
    if (m->has[3] && strcmp(code, "000000") != 0 && strcmp(code, "200000") != 0)
        return bad(why, why_n, "is neither a sale nor a refund", 3);
    if (!m->has[4])
        return DP_OK;
    out->amount = big(sim_iso_text(m, 4));
    out->currency = (uint16_t)number(sim_iso_text(m, 49));
    if (out->amount == 0)
        return bad(why, why_n, "is zero", 4);
    if (dp_currency_alpha(out->currency) == NULL)
        return bad(why, why_n, "is no currency", 49);
    return DP_OK;
}

/* One of DE2 and DE120, and in the clear what stands with DE2 only. */
static int check_card(const struct sim_iso *m, unsigned mti, char *why, size_t why_n)
{
    if (mti != 1100 && mti != 1200 && mti != 1220)
        return DP_OK;
    if (m->has[2] == m->has[120])
        return bad(why, why_n, "or DE120 must be there, and not both", 2);
    for (unsigned de = 14; de <= 35; de++)
        if (m->has[120] && m->has[de] && (de == 14 || de == 23 || de == 35))
            return bad(why, why_n, "is in the clear beside sealed card data", de);
    if (m->has[2] && !m->has[14])
        return bad(why, why_n, "is missing", 14);
    return DP_OK;
}

/* ---- DE48 ---- */

enum tag {
    TAG_PARCEL = 1,
    TAG_MODE,
    TAG_KEY_BLOCK,
    TAG_BATCH,
    TAG_TX,
    TAG_JOURNAL,
    TAG_BUSINESS_DATE,
    TAG_EXPIRY,
    TAG_REPEAT,
    TAGS
};

static int take_date(const uint8_t *p, char out[9])
{
    char digits[9];
    (void)dp_hex_encode(p, 4, digits, sizeof digits);
    if (strspn(digits, "0123456789") != 8)
        return DP_ERR_FORMAT;
    memcpy(out, digits, 9);
    return DP_OK;
}

static int take_tag(struct dp_reader *r, enum tag tag, struct sim_request *out)
{
    size_t n = r->left;
    uint8_t date[4], mode;
    switch (tag) {
    case TAG_PARCEL:
        dp_read_copy(r, out->parcel, n);
        out->parcel[n] = '\0';
        return strlen(out->parcel) == n ? DP_OK : DP_ERR_FORMAT;
    case TAG_MODE:
        mode = dp_read_u8(r);
        if (mode < SIM_MODE_ONLINE || mode > SIM_MODE_DEFERRED)
            return DP_ERR_FORMAT;
        out->mode = (enum sim_mode)mode;
        return DP_OK;
    case TAG_BATCH:
        out->batch = dp_read_u32(r);
        out->has_batch = true;
        return DP_OK;
    case TAG_TX:
        dp_read_copy(r, out->tx, 16);
        out->has_tx = true;
        return DP_OK;
    case TAG_JOURNAL:
        dp_read_copy(r, out->journal, 16);
        out->has_journal = true;
        return DP_OK;
    case TAG_BUSINESS_DATE:
        dp_read_copy(r, date, 4);
        return r->err == DP_OK ? take_date(date, out->business_date) : r->err;
    case TAG_EXPIRY:
        out->expiry_ms = dp_read_u64(r);
        out->has_expiry = true;
        return DP_OK;
    case TAG_REPEAT:
        out->repeat_number = dp_read_u8(r);
        return DP_OK;
    default:
        dp_read_skip(r, n);
        return DP_OK;
    }
}

static int read_private(struct dp_bytes de48, struct sim_request *out, char *why, size_t why_n)
{
    struct dp_reader r;
    bool seen[TAGS] = {false};
    dp_reader_init(&r, de48.p, de48.n);
    while (r.left > 0 && r.err == DP_OK) {
        uint8_t tag = dp_read_u8(&r);
        struct dp_reader value = dp_read_sub(&r, dp_read_u8(&r));
        if (r.err != DP_OK)
            break;
        if (tag == 0 || tag >= TAGS || seen[tag] || take_tag(&value, (enum tag)tag, out) != DP_OK ||
            dp_reader_finish(&value) != DP_OK) {
            (void)snprintf(why, why_n, "DE48 tag %02u: %s", tag,
                           tag < TAGS && seen[tag] ? "stands twice" : "not as it should be");
            return DP_ERR_FORMAT;
        }
        seen[tag] = true;
    }
    if (r.err != DP_OK)
        return bad(why, why_n, "ends inside a tag", 48);
    return DP_OK;
}

static int check_private(const struct sim_iso *m, struct sim_request *out, char *why, size_t why_n)
{
    bool payment = out->mti == 1100 || out->mti == 1200 || out->mti == 1220;
    const char *lacks = NULL;
    if (m->has[48] && read_private(sim_iso_bytes(m, 48), out, why, why_n) != DP_OK)
        return DP_ERR_FORMAT;
    if (out->mti != 1804 && !out->has_batch)
        lacks = "has no batch number";
    else if ((payment || out->mti == 1420) && !out->has_tx)
        lacks = "has no transaction id";
    else if (payment && out->mode == SIM_MODE_NONE)
        lacks = "has no mode";
    else if (m->has[120] && !out->has_journal)
        lacks = "has no journal id, without which sealed data do not open";
    else if (out->mti != 1220 && out->mode == SIM_MODE_OFFLINE && payment)
        lacks = "says offline-approved in a request for approval";
    else if (out->repeat && out->repeat_number == 0)
        lacks = "has no repeat number in a repeat";
    else if (!out->repeat && out->repeat_number != 0)
        lacks = "has a repeat number in what is no repeat";
    return lacks == NULL ? DP_OK : bad(why, why_n, lacks, 48);
}

/* ---- DE56 and totals ---- */

static int check_original(const struct sim_iso *m, struct sim_request *out, char *why, size_t why_n)
{
    const char *s = sim_iso_text(m, 56);
    size_t n = m->n[56];
    if (!m->has[56])
        return DP_OK;
    if (n < 24 || n - 24 != number((char[3]){s[22], s[23], '\0'}) || n - 24 > 11)
        return bad(why, why_n, "is not MTI, STAN, date and time, acquirer", 56);
    out->original_mti = number((char[5]){s[0], s[1], s[2], s[3], '\0'}) / 10 * 10;
    (void)snprintf(out->original_stan, sizeof out->original_stan, "%.6s", s + 4);
    (void)snprintf(out->original_local, sizeof out->original_local, "%.12s", s + 10);
    if (out->original_mti != 1100 && out->original_mti != 1200 && out->original_mti != 1220)
        return bad(why, why_n, "names no payment", 56);
    return DP_OK;
}

void sim_totals_net(const struct sim_totals *t, char *text)
{
    bool credit = t->debits_amount > t->reversals_amount;
    uint64_t net =
        credit ? t->debits_amount - t->reversals_amount : t->reversals_amount - t->debits_amount;
    (void)snprintf(text, 18, "%c%016llu", credit ? 'C' : 'D',
                   (unsigned long long)(net % 10000000000000000ull));
}

static int check_totals(const struct sim_iso *m, struct sim_request *out, char *why, size_t why_n)
{
    static const uint8_t zero[] = {74, 75, 86, 87};
    struct sim_totals *t = &out->totals;
    char net[18];
    if (out->mti != 1520)
        return DP_OK;
    for (size_t i = 0; i < sizeof zero; i++)
        if (big(sim_iso_text(m, zero[i])) != 0)
            return bad(why, why_n, "counts credits, of which there are none", zero[i]);
    t->debits_n = big(sim_iso_text(m, 76));
    t->reversals_n = big(sim_iso_text(m, 77));
    t->debits_amount = big(sim_iso_text(m, 88));
    t->reversals_amount = big(sim_iso_text(m, 89));
    sim_totals_net(t, net);
    if (strcmp(net, sim_iso_text(m, 97)) != 0)
        return bad(why, why_n, "is not debits less reversals", 97);
    return DP_OK;
}

int sim_request_read(const struct sim_iso *iso, struct sim_request *out, char *why, size_t why_n)
{
    unsigned mti = number(iso->mti);
    int err;
    memset(out, 0, sizeof *out);
    out->iso = iso;
    out->repeat = mti == 1221 || mti == 1421;
    out->mti = out->repeat ? mti - 1 : mti;
    (void)snprintf(out->tid, sizeof out->tid, "%s", sim_iso_text(iso, 41));
    err = check_presence(iso, out->mti, why, why_n);
    if (err == DP_OK)
        err = check_values(iso, out, why, why_n);
    if (err == DP_OK)
        err = check_money(iso, out, why, why_n);
    if (err == DP_OK)
        err = check_card(iso, out->mti, why, why_n);
    if (err == DP_OK)
        err = check_private(iso, out, why, why_n);
    if (err == DP_OK)
        err = check_original(iso, out, why, why_n);
    if (err == DP_OK)
        err = check_totals(iso, out, why, why_n);
    return err;
}
