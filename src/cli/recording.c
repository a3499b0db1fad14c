/* SPDX-License-Identifier: Apache-2.0 */
#include "recording.h"

#include <stdlib.h>
#include <string.h>

#include <doorpay/tlv.h>

#include "base/hex.h"
#include "base/pan.h"
#include "base/secret.h"

#define INS_SELECT                0xA4
#define INS_GPO                   0xA8
#define INS_GENERATE_AC           0xAE
#define INS_INTERNAL_AUTHENTICATE 0x88
#define APDU_MAX                  DP_CARD_DATA_MAX
#define LIST_MAX                  252

struct list {
    uint8_t p[LIST_MAX];
    size_t n;
};

/* The walk over the lines. */
struct reading {
    struct recording *out;
    struct list pdol, cdol1, cdol2;
    uint8_t apdu[APDU_MAX];
    size_t n;
};

/* ---- names ---- */

static bool is_directory_name(struct dp_bytes v)
{
    return v.n == 14 &&
           (memcmp(v.p, "1PAY.SYS.DDF01", 14) == 0 || memcmp(v.p, "2PAY.SYS.DDF01", 14) == 0);
}

/* One that begins with a name that is there already is found by it. */
static void add_name(struct recording *r, struct dp_bytes v)
{
    struct recording_name *name = &r->names[r->names_n];
    if (v.n < 5 || v.n > sizeof name->p || is_directory_name(v))
        return;
    for (size_t i = 0; i < r->names_n; i++)
        if (r->names[i].n <= v.n && memcmp(r->names[i].p, v.p, r->names[i].n) == 0)
            return;
    if (r->names_n == sizeof r->names / sizeof *r->names)
        return;
    memcpy(name->p, v.p, v.n);
    name->n = (uint8_t)v.n;
    r->names_n++;
}

/* ---- card numbers ---- */

static void add_pan(struct recording *r, const struct dp_pan *pan)
{
    char digits[DP_PAN_DIGITS_MAX + 1] = "";
    for (size_t i = 0; i < pan->n; i++)
        digits[i] = (char)('0' + pan->digits[i]);
    for (size_t i = 0; i < r->pans_n; i++)
        if (strcmp(r->pans[i], digits) == 0)
            return;
    if (r->pans_n < RECORDING_PANS_MAX)
        memcpy(r->pans[r->pans_n++], digits, sizeof digits);
}

static void take_pan(struct recording *r, const struct dp_tlv *t)
{
    struct dp_pan pan;
    int err = t->tag == 0x5A ? dp_pan_from_bcd(t->value.p, t->value.n, &pan)
                             : dp_pan_from_track2(t->value.p, t->value.n, &pan);
    if (err == DP_OK)
        add_pan(r, &pan);
    dp_pan_wipe(&pan);
}

void recording_mask(const struct recording *r, char *hex)
{
    for (size_t i = 0; i < r->pans_n; i++) {
        size_t n = strlen(r->pans[i]);
        for (char *at = strstr(hex, r->pans[i]); n > 10 && at != NULL;
             at = strstr(at + n, r->pans[i]))
            memset(at + 6, '*', n - 10);
    }
}

/* ---- what the card said ---- */

static void keep_list(struct list *l, struct dp_bytes v)
{
    if (v.n > sizeof l->p)
        return;
    memcpy(l->p, v.p, v.n);
    l->n = v.n;
}

static void take_answer(struct reading *x)
{
    struct dp_tlv_walk w;
    struct dp_tlv t;
    unsigned depth;
    if (x->n < 2)
        return;
    dp_tlv_walk_begin(&w, (struct dp_bytes){x->apdu, x->n - 2});
    while (dp_tlv_walk_next(&w, &t, &depth) == DP_OK) {
        if (t.tag == 0x9F38)
            keep_list(&x->pdol, t.value);
        else if (t.tag == 0x8C)
            keep_list(&x->cdol1, t.value);
        else if (t.tag == 0x8D)
            keep_list(&x->cdol2, t.value);
        else if (t.tag == 0x4F)
            add_name(x->out, t.value);
        else if (t.tag == 0x5A || t.tag == 0x57 || t.tag == 0x9F6B)
            take_pan(x->out, &t);
    }
}

/* ---- what the terminal sent ---- */

static void keep_value(struct recording *r, uint32_t tag, struct dp_bytes v)
{
    const struct {
        uint32_t tag;
        size_t n;
        struct recording_value *to;
    } kept[] = {
        {0x9F37, 4, &r->un},
        {0x9F02, 6, &r->amount},
        {0x5F2A, 2, &r->currency},
        {0x9F1A, 2, &r->country},
        {0x9A, 3, &r->date},
        {0x9F21, 3, &r->time},
        {0x9C, 1, &r->type},
        {0x9F66, 4, &r->ttq},
        {0x9F35, 1, &r->terminal_type},
        {0x9F33, 3, &r->capabilities},
        {0x9F40, 5, &r->additional_capabilities},
        {0x9F41, 4, &r->sequence},
        {0x8A, 2, &r->arc},
        {0x95, 5, &r->tvr},
    };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (kept[i].tag == tag && kept[i].n == v.n) {
            memcpy(kept[i].to->p, v.p, v.n);
            kept[i].to->n = (uint8_t)v.n;
        }
    if (tag == 0x91 && v.n >= 8 && v.n <= 16) {
        memcpy(r->issuer_authentication.p, v.p, v.n);
        r->issuer_authentication.n = (uint8_t)v.n;
    }
}

static void take_values(struct recording *r, const struct list *l, struct dp_bytes values)
{
    const struct dp_bytes dol = {l->p, l->n};
    struct dp_tlv_dol_entry e;
    size_t at = 0, used = 0;
    while (dp_tlv_dol_next(dol, &at, &e) == DP_OK && e.length <= values.n - used) {
        keep_value(r, e.tag, (struct dp_bytes){values.p + used, e.length});
        used += e.length;
    }
}

static void take_command(struct reading *x)
{
    struct recording *r = x->out;
    struct dp_bytes data = {x->apdu + 5, 0}, values;
    struct recording_value tvr;
    if (x->n < 4)
        return;
    if (x->n > 5 && x->apdu[4] <= x->n - 5)
        data.n = x->apdu[4];
    switch (x->apdu[1]) {
    case INS_SELECT:
        add_name(r, data);
        break;
    case INS_GPO:
        if (dp_tlv_find(data, 0x83, &values) == DP_OK)
            take_values(r, &x->pdol, values);
        r->tvr.n = 0; /* nothing was checked yet */
        break;
    case INS_INTERNAL_AUTHENTICATE:
        r->internal_authenticate = true;
        break;
    case INS_GENERATE_AC:
        r->second_ac = r->first_ac >= 0;
        tvr = r->tvr;
        take_values(r, r->second_ac ? &x->cdol2 : &x->cdol1, data);
        if (r->second_ac)
            r->tvr = tvr; /* the first one's counts */
        if (r->first_ac < 0)
            r->first_ac = x->apdu[2];
        break;
    default:
        break;
    }
}

/* ---- the lines ---- */

static void take_line(struct reading *x, const char *p, size_t n)
{
    const char *comment = memchr(p, '#', n);
    bool command;
    if (comment != NULL)
        n = (size_t)(comment - p);
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t' || p[n - 1] == '\r'))
        n--;
    while (n > 0 && (*p == ' ' || *p == '\t'))
        p++, n--;
    if (n == 0 || (*p != '>' && *p != '<'))
        return;
    command = *p == '>';
    for (p++, n--; n > 0 && (*p == ' ' || *p == '\t'); p++)
        n--;
    if (dp_hex_decode(p, n, x->apdu, sizeof x->apdu, &x->n) != DP_OK)
        return;
    if (command)
        take_command(x);
    else
        take_answer(x);
}

void recording_read(const char *text, size_t n, struct recording *out)
{
    struct reading x = {.out = out};
    memset(out, 0, sizeof *out);
    out->first_ac = -1;
    while (n > 0) {
        const char *end = memchr(text, '\n', n);
        size_t line_n = end != NULL ? (size_t)(end - text) : n;
        take_line(&x, text, line_n);
        line_n += end != NULL;
        text += line_n;
        n -= line_n;
    }
    dp_wipe(&x, sizeof x);
}
