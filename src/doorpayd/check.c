/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a body must be before it is used. The sender may be subverted: a text without an end, a bool
 * that is neither, a length past its array would each turn into undefined behaviour in the
 * receiver.
 */
#include <string.h>

#include "msg.h"

/* A flag is looked at as a byte: reading a bool that holds another value is undefined. */
static bool flag(const void *at)
{
    return *(const uint8_t *)at <= 1;
}

static bool text(const char *s, size_t n)
{
    return memchr(s, '\0', n) != NULL;
}

/* Printable ASCII, as the till's parser lets through: what goes into records and logs. */
static bool line(const char *s, size_t n)
{
    const char *end = memchr(s, '\0', n);
    if (end == NULL)
        return false;
    while (s < end && *s >= ' ' && *s <= '~')
        s++;
    return s == end;
}

/* Enumerations are read through memory for the same reason. */
static bool up_to(const void *at, uint32_t most)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v <= most;
}

#define TEXT(f)       text(f, sizeof(f))
#define LINE(f)       line(f, sizeof(f))
#define FLAG(f)       flag(&(f))
#define UP_TO(f, max) up_to(&(f), max)

static bool check_money(const struct dp_money *m)
{
    return m->minor >= 0 && m->minor <= 999999999999LL && m->currency <= 999 && m->exponent <= 4;
}

static bool check_pay(const struct dp_pay_request *p)
{
    return LINE(p->sale_id) && LINE(p->service_id) && LINE(p->poi_id) && LINE(p->sale_tx) &&
           LINE(p->parcel) && LINE(p->manifest) && LINE(p->agent) && check_money(&p->amount) &&
           UP_TO(p->offline, DP_FORBID) && UP_TO(p->deferred, DP_FORBID) &&
           p->aid_n <= sizeof p->aid && FLAG(p->ask_choice);
}

static bool check_reverse(const struct dp_reverse_request *r)
{
    return LINE(r->sale_id) && LINE(r->service_id) && LINE(r->poi_id) && r->amount >= 0;
}

static bool check_summary(const struct dp_emv_summary *s)
{
    return UP_TO(s->interface, DP_INTERFACE_CONTACTLESS) && s->aid_n <= sizeof s->aid &&
           TEXT(s->label) && TEXT(s->languages) && TEXT(s->bin) && TEXT(s->last4) && TEXT(s->par) &&
           UP_TO(s->authentication, DP_EMV_AUTH_FDDA) &&
           UP_TO(s->authentication_result, DP_EMV_AUTH_FAILED) && TEXT(s->authentication_reason) &&
           UP_TO(s->cvm, DP_EMV_CVM_DEVICE);
}

static bool check_sealed(const struct dp_card_sealed *s)
{
    return s->pan_n <= sizeof s->pan && s->track2_n <= sizeof s->track2;
}

static bool check_outcome(const struct dp_card_outcome *o)
{
    return UP_TO(o->outcome, DP_EMV_ENDED) && UP_TO(o->reason, DP_EMV_REASON_REFERRAL) &&
           TEXT(o->words) && check_summary(&o->summary) && o->emv_n <= sizeof o->emv &&
           check_sealed(&o->sealed) && FLAG(o->went_online);
}

static bool check_offers(const struct dp_emv_offer *offers, size_t n)
{
    if (n > DP_EMV_OFFERS_MAX)
        return false;
    for (size_t i = 0; i < DP_EMV_OFFERS_MAX; i++)
        if (offers[i].aid_n > sizeof offers[i].aid || !FLAG(offers[i].confirm) ||
            !TEXT(offers[i].label))
            return false;
    return true;
}

static bool check_ui(const struct dp_card_ui *u)
{
    return u->ui >= DP_EMV_UI_PRESENT_CARD && u->ui <= DP_EMV_UI_CHOOSE && TEXT(u->languages) &&
           TEXT(u->application) && check_offers(u->offers, u->offers_n);
}

static bool check_event(const struct dp_pay_event *e)
{
    return UP_TO(e->ui, DP_EMV_UI_CHOOSE) && TEXT(e->service_id) && TEXT(e->languages) &&
           TEXT(e->application) && check_offers(e->offers, e->offers_n);
}

static bool check_terminal(const struct dp_emv_terminal *t)
{
    return TEXT(t->tid) && TEXT(t->mid) && TEXT(t->mcc) && TEXT(t->merchant_name) &&
           TEXT(t->acquirer_id) && TEXT(t->ifd_serial);
}

static bool check_aid(const struct dp_emv_aid *a)
{
    return a->aid_n <= sizeof a->aid && FLAG(a->partial) && a->ddol_n <= sizeof a->ddol &&
           a->tdol_n <= sizeof a->tdol;
}

static bool check_order(const struct dp_card_order *o)
{
    const struct dp_emv_transaction *t = &o->transaction;
    return check_money(&t->amount) && FLAG(t->online_possible) && FLAG(t->offline_allowed) &&
           FLAG(t->deferred_allowed) && FLAG(t->oda_failure_declines) && FLAG(t->choice_wanted) &&
           FLAG(o->track2_online) && t->chosen_aid_n <= sizeof t->chosen_aid &&
           UP_TO(o->interface, DP_INTERFACE_CONTACTLESS);
}

static bool check_result(const struct dp_pay_result *r)
{
    return UP_TO(r->state, DP_PAY_UNKNOWN) && UP_TO(r->reason, DP_REASON_DEGRADED) &&
           UP_TO(r->mode, DP_MODE_VOID) && UP_TO(r->forward, DP_FORWARD_GIVEN_UP) &&
           check_money(&r->amount) && FLAG(r->reversed) && FLAG(r->is_reversal) &&
           FLAG(r->pending_signature) && FLAG(r->degraded) && TEXT(r->sale_id) &&
           TEXT(r->service_id) && TEXT(r->poi_id) && TEXT(r->sale_tx) && TEXT(r->parcel) &&
           TEXT(r->tid) && TEXT(r->mid) && TEXT(r->rrn) && TEXT(r->auth_code) &&
           TEXT(r->action_code) && TEXT(r->bin) && TEXT(r->last4) && TEXT(r->par) &&
           TEXT(r->merchant_name) && UP_TO(r->interface, DP_INTERFACE_CONTACTLESS) &&
           r->aid_n <= sizeof r->aid;
}

static bool check_diagnosis(const struct dp_diagnosis *d)
{
    return FLAG(d->journal_ok) && FLAG(d->params_ok) && FLAG(d->link_up) && FLAG(d->reader_ok) &&
           FLAG(d->busy) && FLAG(d->degraded) && TEXT(d->tid) && TEXT(d->mid) &&
           TEXT(d->merchant_name) && TEXT(d->trouble);
}

static bool check_totals(const struct dp_till_totals *t)
{
    return check_money(&t->money);
}

static bool check_settled(const struct dp_settle_result *s)
{
    return FLAG(s->asked) && FLAG(s->in_balance) && UP_TO(s->reason, DP_REASON_DEGRADED) &&
           TEXT(s->verdict);
}

static bool check_from_till(unsigned type, const union dp_msg_body *b)
{
    switch (type) {
    case DP_MSG_PAY:
        return check_pay(&b->pay.pay);
    case DP_MSG_REVERSE:
        return check_reverse(&b->reverse.reverse);
    case DP_MSG_STATUS:
        return FLAG(b->status.query.by_tx) && TEXT(b->status.query.sale_id) &&
               TEXT(b->status.query.service_id) && TEXT(b->status.query.parcel);
    case DP_MSG_ABORT:
        return TEXT(b->abort.sale_id) && TEXT(b->abort.service_id);
    case DP_MSG_FORWARD:
        return b->forward.command >= DP_FORWARD_NOW && b->forward.command <= DP_FORWARD_RELEASE;
    case DP_MSG_ACKNOWLEDGE:
        return b->acknowledge.n > 0 && b->acknowledge.n <= sizeof b->acknowledge.bytes;
    default:
        return true;
    }
}

static bool check_to_till(unsigned type, const union dp_msg_body *b)
{
    switch (type) {
    case DP_MSG_RESULT:
        return check_result(&b->result.result);
    case DP_MSG_DIAGNOSIS:
        return check_diagnosis(&b->diagnosis.diagnosis);
    case DP_MSG_TOTALS_ANSWER:
        return check_totals(&b->totals.totals);
    case DP_MSG_SETTLED:
        return check_settled(&b->settled.result);
    case DP_MSG_ACKNOWLEDGED:
        return FLAG(b->acknowledged.result.taken) && TEXT(b->acknowledged.result.words);
    case DP_MSG_EVENT:
        return check_event(&b->event);
    default:
        return true;
    }
}

static bool check_to_card(unsigned type, const union dp_msg_body *b)
{
    switch (type) {
    case DP_MSG_TERMINAL:
        return check_terminal(&b->terminal.terminal) &&
               b->terminal.revoked_n <= sizeof b->terminal.revoked / sizeof b->terminal.revoked[0];
    case DP_MSG_AID:
        return check_aid(&b->aid);
    case DP_MSG_CA_KEY:
        return b->ca_key.modulus_n <= sizeof b->ca_key.modulus;
    case DP_MSG_ORDER:
        return check_order(&b->order);
    case DP_MSG_POLICY_ANSWER:
        return UP_TO(b->policy_answer.verdict, DP_EMV_POLICY_DECLINE) &&
               FLAG(b->policy_answer.offline_allowed) && FLAG(b->policy_answer.deferred_allowed) &&
               FLAG(b->policy_answer.on_exception_list);
    case DP_MSG_ONLINE_ANSWER:
        return FLAG(b->online_answer.online) && FLAG(b->online_answer.approved) &&
               TEXT(b->online_answer.arc) &&
               b->online_answer.issuer_authentication_n <=
                   sizeof b->online_answer.issuer_authentication &&
               b->online_answer.scripts_n <= sizeof b->online_answer.scripts;
    default:
        return true;
    }
}

static bool check_from_card(unsigned type, const union dp_msg_body *b)
{
    switch (type) {
    case DP_MSG_CARD_READY:
        return b->flag.flag <= 1;
    case DP_MSG_CARD_UI:
        return check_ui(&b->ui);
    case DP_MSG_CARD_SEEN:
        return check_summary(&b->seen.summary) && TEXT(b->seen.bin8);
    case DP_MSG_CARD_ONLINE:
        return check_summary(&b->online.summary) && b->online.emv_n <= sizeof b->online.emv &&
               check_sealed(&b->online.sealed);
    case DP_MSG_CARD_ENDED:
        return check_outcome(&b->ended);
    default:
        return true;
    }
}

static bool check_link(unsigned type, const union dp_msg_body *b)
{
    switch (type) {
    case DP_MSG_LINK_CONFIG:
        return TEXT(b->link_config.server_name) && b->link_config.has_pin <= 1;
    case DP_MSG_LINK_SEND:
    case DP_MSG_LINK_ANSWER:
        return b->wire.n > 0 && b->wire.n <= sizeof b->wire.bytes;
    case DP_MSG_LINK_STATE:
        return b->flag.flag <= 1;
    case DP_MSG_LINK_FAILED:
        return b->link_failed.sent <= 1;
    case DP_MSG_SIGNATURE:
        return b->signature.ok <= 1;
    default:
        return true;
    }
}

bool dp_msg_check(unsigned type, const union dp_msg_body *body)
{
    const struct dp_msg_rule *rule = dp_msg_rule(type);
    if (rule == NULL)
        return false;
    if (rule->from == DP_ROLE_SUPERVISOR || rule->to == DP_ROLE_SUPERVISOR)
        return type == DP_MSG_VAULT_READY ? body->ready.ok <= 1 : body->peer.role < DP_ROLES;
    if (rule->from == DP_ROLE_TILL)
        return check_from_till(type, body);
    if (rule->to == DP_ROLE_TILL)
        return check_to_till(type, body);
    if (rule->to == DP_ROLE_CARD)
        return check_to_card(type, body);
    if (rule->from == DP_ROLE_CARD)
        return check_from_card(type, body);
    return check_link(type, body);
}
