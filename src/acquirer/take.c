/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer: its MAC first, then what it says, then whose answer it is (A20). Whatever fails on the
 * way is no answer at all, as if it had not come.
 */
#include <string.h>

#include "base/assert.h"
#include "base/secret.h"
#include "state.h"

#define ACTION_APPROVED 0
#define ACTION_SOFT     190 /* authenticate */
#define ACTION_TROUBLE  900 /* from here on: the host could not process it */

#define TAG_ARC                   0x8A
#define TAG_ISSUER_AUTHENTICATION 0x91
#define TAG_SCRIPT_1              0x71
#define TAG_SCRIPT_2              0x72

/* ---- MAC ---- */

/* True when it is right; else *why says what is wrong, or *err that the key store failed. The store
 * holds the key of the last message alone: an answer to an earlier one cannot be checked any more.
 */
static bool mac_is_right(struct dp_acquirer *a, const uint8_t *p, size_t n, const char **why,
                         int *err)
{
    struct dp_iso8583_mac found;
    uint8_t mac[16] = {0};
    bool right;
    *err = DP_OK;
    *why = "its MAC is wrong";
    if (dp_iso8583_find_mac(a->layout, p, n, a->config.mac_len, &found) < 0 ||
        found.ksn.n != DP_KSN_BYTES)
        return false;
    DP_ASSERT(found.mac.n == a->config.mac_len);
    *err = mac_of(a, found.ksn.p, true, found.covered, mac);
    if (*err == DP_ERR_NOT_FOUND) {
        *why = "its MAC is by a key that is not there: it answers no message, or an earlier one";
        *err = DP_OK;
        return false;
    }
    right = *err == DP_OK && dp_equal_ct(mac, found.mac.p, found.mac.n);
    dp_wipe(mac, sizeof mac);
    return right;
}

/* ---- whose answer ---- */

static bool is_text(const struct dp_iso8583_message *m, int de, const char *wanted)
{
    struct dp_bytes b = dp_iso8583_get(m, de);
    return b.n == strlen(wanted) && memcmp(b.p, wanted, b.n) == 0;
}

static bool is_number(const struct dp_iso8583_message *m, int de, uint64_t wanted)
{
    uint64_t value = 0;
    return dp_iso8583_get_number(m, de, &value) && value == wanted;
}

/* Every match column of the profile. */
static bool matches(const struct dp_iso8583_message *m, const struct message *s)
{
    return m->mti == s->mti + 10 && is_number(m, 11, s->stan) && is_text(m, 12, s->de12) &&
           is_text(m, 41, s->tid) && is_number(m, 4, (uint64_t)s->amount.minor) &&
           is_number(m, 49, s->amount.currency) && is_text(m, 37, s->rrn);
}

static bool matches_asked(const struct dp_iso8583_message *m, const struct asked *q)
{
    return q->waiting && m->mti == q->mti + 10 && is_number(m, 11, q->stan) &&
           is_text(m, 12, q->de12) && is_text(m, 41, q->tid) &&
           (q->rrn[0] == '\0' || is_text(m, 37, q->rrn));
}

static struct message *find_answered(struct dp_acquirer *a, const struct dp_iso8583_message *m)
{
    for (uint32_t i = 0; i < a->n; i++) {
        struct message *s = &a->messages[i];
        if ((s->state == STATE_OPEN || s->state == STATE_QUEUED) && s->kind != MESSAGE_DEFERRED &&
            matches(m, s))
            return s;
    }
    return NULL;
}

/* ---- what it says ---- */

/* The element whole, as it stands in data before at. */
static bool add_script(struct dp_acquirer_answer *answer, struct dp_bytes data, size_t from,
                       size_t to)
{
    if (to - from > sizeof answer->scripts - answer->scripts_n)
        return false;
    memcpy(answer->scripts + answer->scripts_n, data.p + from, to - from);
    answer->scripts_n = (uint16_t)(answer->scripts_n + (to - from));
    return true;
}

static bool take_emv(struct dp_bytes data, struct dp_acquirer_answer *answer)
{
    struct dp_bytes value;
    size_t at = 0, from = 0;
    uint32_t tag = 0;
    int err = DP_ERR_NOT_FOUND;
    bool fine = true;
    while (data.n > 0 && fine && (err = dp_iso8583_emv_next(data, &at, &tag, &value)) == DP_OK) {
        if (tag == TAG_ARC) {
            fine = value.n == 2 && answer->arc[0] == '\0';
            if (fine)
                memcpy(answer->arc, value.p, 2);
        } else if (tag == TAG_ISSUER_AUTHENTICATION) {
            fine = value.n >= 8 && value.n <= sizeof answer->issuer_authentication &&
                   answer->issuer_authentication_n == 0;
            if (fine) {
                memcpy(answer->issuer_authentication, value.p, value.n);
                answer->issuer_authentication_n = (uint8_t)value.n;
            }
        } else if (tag == TAG_SCRIPT_1 || tag == TAG_SCRIPT_2) {
            fine = add_script(answer, data, from, at);
        }
        from = at;
    }
    return fine && err == DP_ERR_NOT_FOUND;
}

static enum dp_acquirer_kind kind_of(const struct message *s)
{
    if (s->kind == MESSAGE_REVERSAL)
        return DP_ACQUIRER_REVERSAL;
    if (s->kind == MESSAGE_ADVICE)
        return DP_ACQUIRER_ADVICE;
    return s->mode == DP_MODE_DEFERRED ? DP_ACQUIRER_DEFERRED : DP_ACQUIRER_ONLINE;
}

static const char *take_transaction(struct message *s, const struct dp_iso8583_message *m,
                                    uint64_t action, struct dp_acquirer_answer *answer)
{
    enum dp_acquirer_kind kind = kind_of(s);
    if (!s->awaiting)
        return "a second answer, or one to what was not asked since the start";
    if (action >= ACTION_TROUBLE && kind != DP_ACQUIRER_ONLINE)
        return "the host could not process the message; it is sent again";
    if (kind == DP_ACQUIRER_REVERSAL && action != 400)
        return "a reversal was not accepted; it is sent again";
    if (!take_emv(dp_iso8583_get(m, 55), answer))
        return "its EMV data cannot be used";
    if (dp_iso8583_has(m, 38) && !dp_iso8583_get_text(m, 38, answer->auth_code, 7))
        return "its approval code cannot be used";
    s->awaiting = false;
    answer->kind = kind;
    memcpy(answer->tx, s->tx, sizeof answer->tx);
    answer->stan = s->stan;
    answer->approved = action == (kind == DP_ACQUIRER_REVERSAL ? 400U : (unsigned)ACTION_APPROVED);
    if (answer->arc[0] == '\0')
        memcpy(answer->arc, answer->approved ? "00" : "05", 3);
    answer->soft_decline =
        !answer->approved && (action == ACTION_SOFT || memcmp(answer->arc, "1A", 2) == 0 ||
                              memcmp(answer->arc, "65", 2) == 0);
    return NULL;
}

static void take_asked(struct asked *q, const struct dp_iso8583_message *m,
                       enum dp_acquirer_kind kind, bool approved, struct dp_acquirer_answer *answer)
{
    q->waiting = false;
    answer->kind = kind;
    answer->stan = q->stan;
    answer->approved = approved;
    if (kind != DP_ACQUIRER_TOTALS)
        return;
    (void)dp_iso8583_get_number(m, 76, &answer->totals_sales_n);
    (void)dp_iso8583_get_number(m, 88, &answer->totals_sales_amount);
    (void)dp_iso8583_get_number(m, 77, &answer->totals_reversals_n);
    (void)dp_iso8583_get_number(m, 89, &answer->totals_reversals_amount);
}

/* Why it is no answer, or NULL: answer is filled. */
static const char *take_message(struct dp_acquirer *a, const struct dp_iso8583_message *m,
                                struct dp_acquirer_answer *answer)
{
    struct message *s;
    uint64_t action = 0;
    if (!dp_iso8583_get_number(m, 39, &action) ||
        !dp_iso8583_get_text(m, 39, answer->action_code, sizeof answer->action_code))
        return "it has no action code";
    if (matches_asked(m, &a->totals)) {
        if (action != 500 && action != 501)
            return "totals were not compared";
        take_asked(&a->totals, m, DP_ACQUIRER_TOTALS, action == 500, answer);
        return NULL;
    }
    if (matches_asked(m, &a->network)) {
        take_asked(&a->network, m, DP_ACQUIRER_NETWORK, action == 800, answer);
        return NULL;
    }
    s = find_answered(a, m);
    if (s == NULL)
        return "it matches nothing outstanding";
    return take_transaction(s, m, action, answer);
}

int dp_acquirer_take(struct dp_acquirer *a, const uint8_t *p, size_t n,
                     struct dp_acquirer_answer *answer, uint8_t *masked, size_t *masked_n)
{
    struct dp_iso8583_message m;
    const char *why;
    int err;
    memset(answer, 0, sizeof *answer);
    *masked_n = 0;
    answer->why = "it is too long";
    if (n > DP_ISO8583_MESSAGE_MAX)
        return DP_OK;
    if (!mac_is_right(a, p, n, &answer->why, &err))
        return err;
    answer->why = "it cannot be decoded";
    if (dp_iso8583_unpack(a->layout, p, n, &m, NULL) == DP_OK) {
        if (masked != NULL && dp_iso8583_mask(a->layout, p, n, masked) == DP_OK)
            *masked_n = n;
        why = take_message(a, &m, answer);
        if (why != NULL)
            memset(answer, 0, sizeof *answer); /* nothing of it may be used */
        answer->why = why;
    }
    dp_iso8583_wipe(&m);
    return DP_OK;
}
