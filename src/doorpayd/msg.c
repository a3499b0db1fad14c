/* SPDX-License-Identifier: Apache-2.0 */
#include "msg.h"

#define BIT(type)  (1ULL << (type))
#define CARD_STEPS (BIT(DP_MSG_CARD_SEEN) | BIT(DP_MSG_CARD_ONLINE) | BIT(DP_MSG_CARD_UI))

#define SUP   DP_ROLE_SUPERVISOR
#define VAULT DP_ROLE_VAULT
#define TILL  DP_ROLE_TILL
#define CARD  DP_ROLE_CARD
#define LINK  DP_ROLE_LINK

_Static_assert(DP_MSG_TYPES <= 64, "message types must fit the permit mask");

static const struct dp_msg_rule rules[DP_MSG_TYPES] = {
    [DP_MSG_PEER_NEW] = {"PEER_NEW", sizeof(struct dp_msg_peer), SUP, VAULT, DP_PERMIT_ALWAYS, 0,
                         0},
    [DP_MSG_PEER_BAD] = {"PEER_BAD", sizeof(struct dp_msg_peer), VAULT, SUP, DP_PERMIT_ALWAYS, 0,
                         0},
    [DP_MSG_VAULT_READY] = {"VAULT_READY", sizeof(struct dp_msg_ready), VAULT, SUP,
                            DP_PERMIT_ALWAYS, 0, 0},

    [DP_MSG_PAY] = {"PAY", sizeof(struct dp_msg_pay), TILL, VAULT, DP_PERMIT_ALWAYS, 0, 0},
    [DP_MSG_REVERSE] = {"REVERSE", sizeof(struct dp_msg_reverse), TILL, VAULT, DP_PERMIT_ALWAYS, 0,
                        0},
    [DP_MSG_STATUS] = {"STATUS", sizeof(struct dp_msg_status), TILL, VAULT, DP_PERMIT_ALWAYS, 0, 0},
    [DP_MSG_ABORT] = {"ABORT", sizeof(struct dp_msg_abort), TILL, VAULT, DP_PERMIT_ALWAYS, 0, 0},
    [DP_MSG_DIAGNOSE] = {"DIAGNOSE", sizeof(struct dp_msg_request), TILL, VAULT, DP_PERMIT_ALWAYS,
                         0, 0},
    [DP_MSG_TOTALS] = {"TOTALS", sizeof(struct dp_msg_request), TILL, VAULT, DP_PERMIT_ALWAYS, 0,
                       0},
    [DP_MSG_SETTLE] = {"SETTLE", sizeof(struct dp_msg_request), TILL, VAULT, DP_PERMIT_ALWAYS, 0,
                       0},
    [DP_MSG_FORWARD] = {"FORWARD", sizeof(struct dp_msg_forward), TILL, VAULT, DP_PERMIT_ALWAYS, 0,
                        0},

    [DP_MSG_ACKNOWLEDGE] = {"ACKNOWLEDGE", sizeof(struct dp_msg_acknowledge), TILL, VAULT,
                            DP_PERMIT_ALWAYS, 0, 0},

    [DP_MSG_RESULT] = {"RESULT", sizeof(struct dp_msg_result), VAULT, TILL, DP_PERMIT_ALWAYS, 0, 0},
    [DP_MSG_DIAGNOSIS] = {"DIAGNOSIS", sizeof(struct dp_msg_diagnosis), VAULT, TILL,
                          DP_PERMIT_ALWAYS, 0, 0},
    [DP_MSG_TOTALS_ANSWER] = {"TOTALS_ANSWER", sizeof(struct dp_msg_totals), VAULT, TILL,
                              DP_PERMIT_ALWAYS, 0, 0},
    [DP_MSG_SETTLED] = {"SETTLED", sizeof(struct dp_msg_settled), VAULT, TILL, DP_PERMIT_ALWAYS, 0,
                        0},
    [DP_MSG_ACKNOWLEDGED] = {"ACKNOWLEDGED", sizeof(struct dp_msg_acknowledged), VAULT, TILL,
                             DP_PERMIT_ALWAYS, 0, 0},
    [DP_MSG_EVENT] = {"EVENT", sizeof(struct dp_pay_event), VAULT, TILL, DP_PERMIT_ALWAYS, 0, 0},

    [DP_MSG_TERMINAL] = {"TERMINAL", sizeof(struct dp_card_terminal), VAULT, CARD, DP_PERMIT_ALWAYS,
                         0, 0},
    [DP_MSG_AID] = {"AID", sizeof(struct dp_emv_aid), VAULT, CARD, DP_PERMIT_ALWAYS, 0, 0},
    [DP_MSG_CA_KEY] = {"CA_KEY", sizeof(struct dp_emv_ca_key), VAULT, CARD, DP_PERMIT_ALWAYS, 0, 0},
    [DP_MSG_ORDER] = {"ORDER", sizeof(struct dp_card_order), VAULT, CARD, DP_PERMIT_ALWAYS,
                      BIT(DP_MSG_CARD_SEEN) | BIT(DP_MSG_CARD_UI) | BIT(DP_MSG_CARD_ENDED),
                      BIT(DP_MSG_CARD_ONLINE)},
    [DP_MSG_POLICY_ANSWER] = {"POLICY_ANSWER", sizeof(struct dp_emv_policy_answer), VAULT, CARD,
                              DP_PERMIT_ALWAYS, BIT(DP_MSG_CARD_ONLINE), 0},
    [DP_MSG_ONLINE_ANSWER] = {"ONLINE_ANSWER", sizeof(struct dp_emv_online_answer), VAULT, CARD,
                              DP_PERMIT_ALWAYS, 0, 0},
    [DP_MSG_CANCEL] = {"CANCEL", 0, VAULT, CARD, DP_PERMIT_ALWAYS, 0, 0},

    [DP_MSG_CARD_READY] = {"CARD_READY", sizeof(struct dp_msg_flag), CARD, VAULT, DP_PERMIT_ALWAYS,
                           0, 0},
    [DP_MSG_CARD_UI] = {"CARD_UI", sizeof(struct dp_card_ui), CARD, VAULT, DP_PERMIT_OPEN, 0, 0},
    [DP_MSG_CARD_SEEN] = {"CARD_SEEN", sizeof(struct dp_card_seen), CARD, VAULT, DP_PERMIT_ONCE, 0,
                          0},
    [DP_MSG_CARD_ONLINE] = {"CARD_ONLINE", sizeof(struct dp_card_online), CARD, VAULT,
                            DP_PERMIT_ONCE, 0, 0},
    [DP_MSG_CARD_ENDED] = {"CARD_ENDED", sizeof(struct dp_card_outcome), CARD, VAULT,
                           DP_PERMIT_ONCE, 0, CARD_STEPS},

    [DP_MSG_LINK_CONFIG] = {"LINK_CONFIG", sizeof(struct dp_msg_link_config), VAULT, LINK,
                            DP_PERMIT_ALWAYS, 0, 0},
    [DP_MSG_LINK_SEND] = {"LINK_SEND", sizeof(struct dp_msg_wire), VAULT, LINK, DP_PERMIT_ALWAYS, 0,
                          0},
    [DP_MSG_SIGNATURE] = {"SIGNATURE", sizeof(struct dp_msg_signature), VAULT, LINK,
                          DP_PERMIT_ALWAYS, 0, 0},

    [DP_MSG_LINK_CONNECTING] = {"LINK_CONNECTING", 0, LINK, VAULT, DP_PERMIT_ALWAYS,
                                BIT(DP_MSG_SIGN), 0},
    [DP_MSG_SIGN] = {"SIGN", sizeof(struct dp_msg_digest), LINK, VAULT, DP_PERMIT_ONCE, 0, 0},
    [DP_MSG_LINK_STATE] = {"LINK_STATE", sizeof(struct dp_msg_flag), LINK, VAULT, DP_PERMIT_ALWAYS,
                           0, BIT(DP_MSG_SIGN)},
    [DP_MSG_LINK_ANSWER] = {"LINK_ANSWER", sizeof(struct dp_msg_wire), LINK, VAULT,
                            DP_PERMIT_ALWAYS, 0, 0},
    [DP_MSG_LINK_FAILED] = {"LINK_FAILED", sizeof(struct dp_msg_link_failed), LINK, VAULT,
                            DP_PERMIT_ALWAYS, 0, 0},
};

const struct dp_msg_rule *dp_msg_rule(unsigned type)
{
    if (type >= DP_MSG_TYPES || rules[type].name == NULL)
        return NULL;
    return &rules[type];
}

const char *dp_role_name(enum dp_role role)
{
    static const char *const names[DP_ROLES] = {"supervisor", "vault", "till", "card", "link"};
    return (unsigned)role < DP_ROLES ? names[role] : "?";
}
