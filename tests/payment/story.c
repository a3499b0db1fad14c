/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/payment/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- the acquirer's books ---- */

static void took(struct story_host *h, uint32_t stan, int64_t cents)
{
    for (unsigned i = 0; i < h->n; i++)
        if (h->messages[i].stan == stan) {
            if (h->messages[i].cents == 0)
                h->messages[i].cents = cents;
            return; /* the same again: a repeat, or it was taken back before it came */
        }
    assert_true(h->n < 32);
    h->messages[h->n].stan = stan;
    h->messages[h->n++].cents = cents;
}

static void took_back(struct story_host *h, uint32_t stan)
{
    took(h, stan, 0);
    for (unsigned i = 0; i < h->n; i++)
        h->messages[i].taken_back |= h->messages[i].stan == stan;
}

void story_hear(struct scene *s)
{
    static struct dp_iso8583_message m;
    struct dp_iso8583_error error = {0};
    struct dp_iso8583_original original;
    uint64_t stan = 0, cents = 0;
    if (s->w.sent_n == 0 || s->host.heard == s->w.sends)
        return;
    s->host.heard = s->w.sends;
    assert_int_equal(
        dp_iso8583_unpack(dp_iso8583_profile("iso93-pos"), s->w.sent, s->w.sent_n, &m, &error),
        DP_OK);
    assert_true(dp_iso8583_get_number(&m, 11, &stan) || m.mti / 100 == 18);
    if (m.mti / 10 == 142) {
        assert_int_equal(dp_iso8583_get_original(&m, &original), DP_OK);
        took_back(&s->host, original.stan);
    } else if (m.mti / 10 == 122 || (m.mti / 10 == 120 && !s->host.declines)) {
        assert_true(dp_iso8583_get_number(&m, 4, &cents));
        took(&s->host, (uint32_t)stan, (int64_t)cents);
    }
}

int64_t story_captured(const struct scene *s, unsigned *sales)
{
    int64_t cents = 0;
    *sales = 0;
    for (unsigned i = 0; i < s->host.n; i++)
        if (!s->host.messages[i].taken_back) {
            cents += s->host.messages[i].cents;
            ++*sales;
        }
    return cents;
}

static void answered(struct scene *s, unsigned action)
{
    story_hear(s);
    (void)world_answer(&s->w, action);
}

void story_forward_all(struct scene *s)
{
    dp_payment_link_up(s->w.p, true);
    for (int i = 0; i < 100; i++) {
        unsigned mti;
        (void)dp_payment_tick(s->w.p);
        mti = world_mti(&s->w);
        if (mti == 0 && i > 50)
            return;
        if (mti == 0)
            s->w.now += 60000;
        else
            answered(s, mti / 100 == 18                       ? 800
                        : mti / 100 == 14                     ? 400
                        : s->host.declines && mti / 10 == 120 ? 116
                                                              : 0);
    }
}

/* ---- the steps ---- */

static void link_comes(struct scene *s)
{
    dp_payment_link_up(s->w.p, true);
}

static void signed_on(struct scene *s)
{
    answered(s, 800);
}

static void asked(struct scene *s)
{
    world_pay(&s->w, STORY_PAY, "S1", STORY_CENTS);
}

static void card_seen(struct scene *s)
{
    world_seen(&s->w);
}

static void arqc(struct scene *s)
{
    world_wants_online(&s->w);
}

static void approved(struct scene *s)
{
    answered(s, 0);
}

static void declined(struct scene *s)
{
    answered(s, 116);
}

static void second_tc(struct scene *s)
{
    world_ended(&s->w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
}

static void card_refuses(struct scene *s)
{
    world_ended(&s->w, DP_EMV_REVERSE, DP_EMV_REASON_CARD_DECLINED);
}

static void issuer_refused(struct scene *s)
{
    world_ended(&s->w, DP_EMV_DECLINED, DP_EMV_REASON_ISSUER_DECLINED);
}

static void answer_lost(struct scene *s)
{
    story_hear(s);
    s->w.sent_n = 0;
    s->w.now += s->w.params->acquirer.online_timeout_ms;
    (void)dp_payment_tick(s->w.p);
}

static void no_link(struct scene *s)
{
    world_ended(&s->w, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
}

static void tc(struct scene *s)
{
    world_tap_offline(&s->w);
}

static void kept_arqc(struct scene *s)
{
    world_tap_deferred(&s->w);
}

static void tick(struct scene *s)
{
    (void)dp_payment_tick(s->w.p);
}

static void undone(struct scene *s)
{
    struct dp_pay_result r = world_status(&s->w, "S1");
    world_reverse(&s->w, STORY_UNDO, "R1", r.tx);
}

static void taken_back(struct scene *s)
{
    answered(s, 400);
}

const struct story stories[] = {
    {"online", false, false, {link_comes, signed_on, asked, card_seen, arqc, approved, second_tc}},
    {"online, then undone",
     false,
     false,
     {link_comes, signed_on, asked, card_seen, arqc, approved, second_tc, undone, tick,
      taken_back}},
    {"declined",
     true,
     false,
     {link_comes, signed_on, asked, card_seen, arqc, declined, issuer_refused}},
    {"the card refuses",
     false,
     false,
     {link_comes, signed_on, asked, card_seen, arqc, approved, card_refuses, tick, taken_back}},
    {"the answer is lost",
     false,
     false,
     {link_comes, signed_on, asked, card_seen, arqc, answer_lost, no_link, tick, taken_back}},
    {"TC without a link", false, true, {asked, tc, link_comes, signed_on, tick, approved}},
    {"TC, then undone", false, true, {asked, tc, undone, link_comes, signed_on, tick}},
    {"deferred", false, false, {asked, kept_arqc, link_comes, signed_on, tick, approved}},
    {"deferred, the answer is lost",
     false,
     false,
     {asked, kept_arqc, link_comes, signed_on, tick, answer_lost}},
};
const unsigned stories_n = sizeof stories / sizeof stories[0];

/* ---- telling ---- */

void story_begin(struct scene *s, const struct story *story)
{
    world_make(&s->w);
    memset(&s->host, 0, sizeof s->host);
    s->host.declines = story->declines;
}

bool story_tell(struct scene *s, const struct story *story)
{
    for (unsigned i = 0; i < STORY_STEPS && story->steps[i] != NULL; i++) {
        if (s->w.mem.dead || dp_payment_stopped(s->w.p))
            return true;
        story->steps[i](s);
    }
    return s->w.mem.dead || dp_payment_stopped(s->w.p);
}

bool story_told(const struct scene *s, struct dp_pay_result *pay, bool *undo)
{
    bool heard = false;
    *undo = false;
    for (unsigned i = 0; i < s->w.results_n; i++) {
        const struct dp_pay_result *r = &s->w.results[i].result;
        if (s->w.results[i].request == STORY_UNDO)
            *undo = r->state == DP_PAY_APPROVED;
        if (s->w.results[i].request != STORY_PAY || r->state == DP_PAY_UNKNOWN ||
            r->state == DP_PAY_REFUSED)
            continue;
        assert_false(heard); /* once */
        heard = true;
        *pay = *r;
    }
    return heard;
}
