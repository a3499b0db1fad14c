/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every message that crosses between doorpayd's processes: type, fixed size, sender, receiver, and
 * what makes it permitted. The receiver obeys this table before it looks at a byte of the body, so
 * a subverted process can neither forge another's message, nor skip a step, nor say one twice
 * (docs/PROTOCOL.processes).
 */
#ifndef DP_DOORPAYD_MSG_H
#define DP_DOORPAYD_MSG_H

#include <doorpay/payment.h>

enum dp_role {
    DP_ROLE_SUPERVISOR = 0,
    DP_ROLE_VAULT = 1,
    DP_ROLE_TILL = 2,
    DP_ROLE_CARD = 3,
    DP_ROLE_LINK = 4
};
#define DP_ROLES 5

enum dp_msg_type {
    DP_MSG_NONE = 0,
    /* supervisor and vault */
    DP_MSG_PEER_NEW, /* a channel to a child comes with it (SCM_RIGHTS) */
    DP_MSG_PEER_BAD, /* the child broke the table, does not read, or closed its channel: end it */
    DP_MSG_VAULT_READY,
    /* till to vault */
    DP_MSG_PAY,
    DP_MSG_REVERSE,
    DP_MSG_STATUS,
    DP_MSG_ABORT,
    DP_MSG_DIAGNOSE,
    DP_MSG_TOTALS,
    DP_MSG_SETTLE,
    DP_MSG_FORWARD,
    DP_MSG_ACKNOWLEDGE,
    /* vault to till */
    DP_MSG_RESULT,
    DP_MSG_DIAGNOSIS,
    DP_MSG_TOTALS_ANSWER,
    DP_MSG_SETTLED,
    DP_MSG_ACKNOWLEDGED,
    DP_MSG_EVENT,
    /* vault to card */
    DP_MSG_TERMINAL,
    DP_MSG_AID,
    DP_MSG_CA_KEY,
    DP_MSG_ORDER,
    DP_MSG_POLICY_ANSWER,
    DP_MSG_ONLINE_ANSWER,
    DP_MSG_CANCEL,
    /* card to vault */
    DP_MSG_CARD_READY,
    DP_MSG_CARD_UI,
    DP_MSG_CARD_SEEN,
    DP_MSG_CARD_ONLINE,
    DP_MSG_CARD_ENDED,
    /* vault to link */
    DP_MSG_LINK_CONFIG,
    DP_MSG_LINK_SEND,
    DP_MSG_SIGNATURE,
    /* link to vault */
    DP_MSG_LINK_CONNECTING,
    DP_MSG_SIGN,
    DP_MSG_LINK_STATE,
    DP_MSG_LINK_ANSWER,
    DP_MSG_LINK_FAILED,
    DP_MSG_TYPES /* the number of types */
};

struct dp_msg_peer {
    uint32_t role;     /* enum dp_role */
    uint32_t instance; /* which start of it: one that is dead is not to be ended by its successor */
};
struct dp_msg_ready {
    uint32_t ok;
};
struct dp_msg_request {
    uint64_t request;
};
struct dp_msg_pay {
    uint64_t request;
    struct dp_pay_request pay;
};
struct dp_msg_reverse {
    uint64_t request;
    struct dp_reverse_request reverse;
};
struct dp_msg_status {
    uint64_t request;
    struct dp_status_query query;
};
struct dp_msg_abort {
    char sale_id[21], service_id[11];
};
struct dp_msg_forward {
    uint64_t request;
    uint32_t command; /* enum dp_forward_command */
};
struct dp_msg_acknowledge {
    uint64_t request;
    uint32_t n;
    uint8_t bytes[DP_ACKNOWLEDGEMENT_MAX];
};
struct dp_msg_acknowledged {
    uint64_t request;
    struct dp_ack_result result;
};
struct dp_msg_result {
    uint64_t request;
    struct dp_pay_result result;
};
struct dp_msg_diagnosis {
    uint64_t request;
    struct dp_diagnosis diagnosis;
};
struct dp_msg_totals {
    uint64_t request;
    struct dp_till_totals totals;
};
struct dp_msg_settled {
    uint64_t request;
    struct dp_settle_result result;
};
struct dp_msg_flag {
    uint32_t flag;
};
struct dp_msg_link_config {
    char server_name[129];
    uint8_t has_pin;
    uint8_t pin[32];
    uint8_t client_public[65]; /* the key the vault will sign with */
};
#define DP_MSG_WIRE_MAX 2048
struct dp_msg_wire {
    uint32_t id; /* of a request; 0 in an answer */
    uint32_t n;
    uint8_t bytes[DP_MSG_WIRE_MAX];
};
struct dp_msg_digest {
    uint8_t digest[32];
};
struct dp_msg_signature {
    uint32_t ok;
    uint8_t signature[64];
};
struct dp_msg_link_failed {
    uint32_t id;
    uint32_t sent;
};

/* The largest body. */
union dp_msg_body {
    struct dp_msg_peer peer;
    struct dp_msg_ready ready;
    struct dp_msg_request request;
    struct dp_msg_pay pay;
    struct dp_msg_reverse reverse;
    struct dp_msg_status status;
    struct dp_msg_abort abort;
    struct dp_msg_forward forward;
    struct dp_msg_acknowledge acknowledge;
    struct dp_msg_acknowledged acknowledged;
    struct dp_msg_result result;
    struct dp_msg_diagnosis diagnosis;
    struct dp_msg_totals totals;
    struct dp_msg_settled settled;
    struct dp_pay_event event;
    struct dp_card_terminal terminal;
    struct dp_emv_aid aid;
    struct dp_emv_ca_key ca_key;
    struct dp_card_order order;
    struct dp_emv_policy_answer policy_answer;
    struct dp_emv_online_answer online_answer;
    struct dp_card_ui ui;
    struct dp_msg_flag flag;
    struct dp_card_seen seen;
    struct dp_card_online online;
    struct dp_card_outcome ended;
    struct dp_msg_link_config link_config;
    struct dp_msg_wire wire;
    struct dp_msg_digest digest;
    struct dp_msg_signature signature;
    struct dp_msg_link_failed link_failed;
};

enum dp_msg_permit {
    DP_PERMIT_ALWAYS = 0,
    DP_PERMIT_OPEN = 1, /* while another message has opened it */
    DP_PERMIT_ONCE = 2  /* once after another message has opened it */
};

struct dp_msg_rule {
    const char *name;
    uint32_t size;
    enum dp_role from, to;
    enum dp_msg_permit permit;
    /* types this one opens and closes on its channel, sent or received; bit = type */
    uint64_t opens, closes;
};

/* The rule of a type, or NULL for an unknown one. */
const struct dp_msg_rule *dp_msg_rule(unsigned type);
const char *dp_role_name(enum dp_role role);

/* True when every text is terminated, every flag 0 or 1, every length and enumeration in range:
 * only then may a body be used. type must be known. */
DP_MUST_USE DP_PARSES bool dp_msg_check(unsigned type, const union dp_msg_body *body);

#endif
