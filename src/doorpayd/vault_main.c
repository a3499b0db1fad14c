/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorpayd-vault: the key store, the journal, THE payment, packing and MAC. It opens no socket and
 * no reader and parses no JSON; what it knows of the world are messages of fixed size.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <psa/crypto.h>

#include <doorpay/hsm.h>
#include <doorpay/journal.h>
#include <doorpay/params.h>
#include <doorpay/payment.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"
#include "channel.h"
#include "process.h"
#include "software.h"

#define RESERVE_BYTES  (4U * DP_JOURNAL_SEGMENT_BYTES) /* outcome, reversal and their segments */
#define STOPPED_STATUS 3
#define TOKEN_AGAIN_MS 30000 /* a dead key store is looked at again */

struct vault {
    struct dp_channel supervisor, peers[DP_ROLES];
    struct dp_hsm *hsm; /* NULL: dead */
    const char *hsm_uri;
    int64_t token_again_ms;
    bool token_back;
    struct dp_params *params;
    struct dp_store store;
    struct dp_payment *payment;
    int wire_fd;
    bool broken[DP_ROLES]; /* does not read, or did not keep to its time: to be ended */
    uint32_t instances[DP_ROLES];
};

static struct vault self;

/* ---- what the payment says to the others ---- */

static void close_peer(enum dp_role role)
{
    dp_channel_close(&self.peers[role]);
    if (role == DP_ROLE_CARD)
        dp_payment_card_lost(self.payment);
    else if (role == DP_ROLE_LINK)
        dp_payment_link_up(self.payment, false);
}

/* A peer that breaks the table, does not read or is gone is ended by the supervisor and comes back
 * new. Gone too: one that only closed its channel would live on with nobody to answer to. */
static void peer_bad(enum dp_role role)
{
    struct dp_msg_peer peer = {role, self.instances[role]};
    if (self.peers[role].fd < 0)
        return;
    if (dp_channel_send(&self.supervisor, DP_MSG_PEER_BAD, &peer) < 0)
        exit(1);
    close_peer(role);
}

static int say(enum dp_role role, enum dp_msg_type type, const void *body)
{
    int err = dp_channel_send(&self.peers[role], type, body);
    if (err < 0) {
        dp_log(DP_LOG_WARNING, "%s is not there", dp_role_name(role));
        self.broken[role] = true; /* ended from the loop: the payment is in the middle of a step */
    }
    return err;
}

static int on_card_order(void *ctx, const struct dp_card_order *order)
{
    (void)ctx;
    return say(DP_ROLE_CARD, DP_MSG_ORDER, order);
}

static int on_card_policy(void *ctx, const struct dp_emv_policy_answer *answer)
{
    (void)ctx;
    return say(DP_ROLE_CARD, DP_MSG_POLICY_ANSWER, answer);
}

static int on_card_online(void *ctx, const struct dp_emv_online_answer *answer)
{
    (void)ctx;
    return say(DP_ROLE_CARD, DP_MSG_ONLINE_ANSWER, answer);
}

static int on_card_cancel(void *ctx)
{
    (void)ctx;
    return say(DP_ROLE_CARD, DP_MSG_CANCEL, NULL);
}

static void on_card_end(void *ctx)
{
    (void)ctx;
    self.broken[DP_ROLE_CARD] = true;
}

static int on_link_send(void *ctx, uint32_t id, const uint8_t *p, size_t n)
{
    struct dp_msg_wire m;
    int err;
    (void)ctx;
    DP_ASSERT(n <= sizeof m.bytes);
    memset(&m, 0, sizeof m);
    m.id = id;
    m.n = (uint32_t)n;
    memcpy(m.bytes, p, n);
    err = say(DP_ROLE_LINK, DP_MSG_LINK_SEND, &m);
    dp_wipe(&m, sizeof m);
    return err;
}

/* The wire log holds masked messages only; it is for people, and losing a line of it stops nothing.
 */
static void on_wire(void *ctx, bool out, const uint8_t *p, size_t n)
{
    char line[2 * DP_ISO8583_MESSAGE_MAX + 8] = {out ? '>' : '<', ' '};
    size_t length;
    (void)ctx;
    if (self.wire_fd < 0 || n > DP_ISO8583_MESSAGE_MAX)
        return;
    (void)dp_hex_encode(p, n, line + 2, sizeof line - 3);
    length = 2 + 2 * n;
    line[length++] = '\n';
    if (write(self.wire_fd, line, length) != (ssize_t)length)
        dp_log(DP_LOG_WARNING, "wire log: %s", strerror(errno));
}

static void on_result(void *ctx, uint64_t request, const struct dp_pay_result *result)
{
    struct dp_msg_result m;
    (void)ctx;
    memset(&m, 0, sizeof m);
    m.request = request;
    m.result = *result;
    (void)!say(DP_ROLE_TILL, DP_MSG_RESULT, &m);
}

static void on_settled(void *ctx, uint64_t request, const struct dp_settle_result *result)
{
    struct dp_msg_settled m;
    (void)ctx;
    memset(&m, 0, sizeof m);
    m.request = request;
    m.result = *result;
    (void)!say(DP_ROLE_TILL, DP_MSG_SETTLED, &m);
}

static void on_event(void *ctx, const struct dp_pay_event *event)
{
    (void)ctx;
    (void)!say(DP_ROLE_TILL, DP_MSG_EVENT, event);
}

/* ---- what the others say ---- */

static void take_acknowledgement(const struct dp_msg_acknowledge *a)
{
    struct dp_msg_acknowledged m;
    memset(&m, 0, sizeof m);
    m.request = a->request;
    dp_payment_acknowledge(self.payment, a->bytes, a->n, &m.result);
    (void)!say(DP_ROLE_TILL, DP_MSG_ACKNOWLEDGED, &m);
}

static void from_till(enum dp_msg_type type, const union dp_msg_body *b)
{
    struct dp_msg_diagnosis diagnosis;
    struct dp_msg_totals totals;
    switch (type) {
    case DP_MSG_PAY:
        dp_payment_pay(self.payment, b->pay.request, &b->pay.pay);
        break;
    case DP_MSG_REVERSE:
        dp_payment_reverse(self.payment, b->reverse.request, &b->reverse.reverse);
        break;
    case DP_MSG_STATUS:
        dp_payment_status(self.payment, b->status.request, &b->status.query);
        break;
    case DP_MSG_ABORT:
        if (!dp_payment_abort(self.payment, b->abort.sale_id, b->abort.service_id))
            dp_log(DP_LOG_INFO, "nothing to abort");
        break;
    case DP_MSG_SETTLE:
        dp_payment_settle(self.payment, b->request.request);
        break;
    case DP_MSG_TOTALS:
        memset(&totals, 0, sizeof totals);
        totals.request = b->request.request;
        dp_payment_totals(self.payment, &totals.totals);
        (void)!say(DP_ROLE_TILL, DP_MSG_TOTALS_ANSWER, &totals);
        break;
    case DP_MSG_ACKNOWLEDGE:
        take_acknowledgement(&b->acknowledge);
        break;
    default: /* FORWARD, DIAGNOSE: both answered by a diagnosis */
        if (type == DP_MSG_FORWARD)
            dp_payment_forward(self.payment, (enum dp_forward_command)b->forward.command);
        memset(&diagnosis, 0, sizeof diagnosis);
        diagnosis.request = type == DP_MSG_FORWARD ? b->forward.request : b->request.request;
        dp_payment_diagnose(self.payment, &diagnosis.diagnosis);
        (void)!say(DP_ROLE_TILL, DP_MSG_DIAGNOSIS, &diagnosis);
        break;
    }
}

static void from_card(enum dp_msg_type type, const union dp_msg_body *b)
{
    switch (type) {
    case DP_MSG_CARD_READY:
        dp_payment_card_ready(self.payment, b->flag.flag != 0);
        break;
    case DP_MSG_CARD_UI:
        dp_payment_card_ui(self.payment, &b->ui);
        break;
    case DP_MSG_CARD_SEEN:
        dp_payment_card_seen(self.payment, &b->seen);
        break;
    case DP_MSG_CARD_ONLINE:
        dp_payment_card_wants_online(self.payment, &b->online);
        break;
    default:
        dp_payment_card_ended(self.payment, &b->ended);
        break;
    }
}

/* One digest per announced connection: the table lets a second one not pass. */
static void sign_for_link(const struct dp_msg_digest *d)
{
    struct dp_msg_signature s;
    memset(&s, 0, sizeof s);
    s.ok = self.hsm != NULL &&
           dp_hsm_sign(self.hsm, DP_KEY_TLS_CLIENT, d->digest, s.signature) == DP_OK;
    (void)!say(DP_ROLE_LINK, DP_MSG_SIGNATURE, &s);
}

static void from_link(enum dp_msg_type type, const union dp_msg_body *b)
{
    switch (type) {
    case DP_MSG_LINK_CONNECTING:
        break; /* it opened SIGN in the table */
    case DP_MSG_SIGN:
        sign_for_link(&b->digest);
        break;
    case DP_MSG_LINK_STATE:
        dp_payment_link_up(self.payment, b->flag.flag != 0);
        break;
    case DP_MSG_LINK_ANSWER:
        dp_payment_link_answer(self.payment, b->wire.bytes, b->wire.n);
        break;
    default:
        dp_payment_link_failed(self.payment, b->link_failed.id, b->link_failed.sent != 0);
        break;
    }
}

/* ---- peers come ---- */

static void emv_aid_of(const struct dp_params_aid *a, struct dp_emv_aid *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->aid, a->aid, sizeof out->aid);
    out->aid_n = a->aid_n;
    out->kernel = a->kernel;
    out->partial = a->partial;
    memcpy(out->version, a->version, sizeof out->version);
    memcpy(out->tac_denial, a->tac_denial, sizeof out->tac_denial);
    memcpy(out->tac_online, a->tac_online, sizeof out->tac_online);
    memcpy(out->tac_default, a->tac_default, sizeof out->tac_default);
    out->floor_limit = a->floor_limit;
    out->random_threshold = a->random_threshold;
    out->random_target = a->random_target;
    out->random_max = a->random_max;
    memcpy(out->ddol, a->ddol, sizeof out->ddol);
    memcpy(out->tdol, a->tdol, sizeof out->tdol);
    out->ddol_n = a->ddol_n;
    out->tdol_n = a->tdol_n;
    memcpy(out->ttq, a->ttq, sizeof out->ttq);
    out->cl_transaction_limit = a->cl_transaction_limit;
    out->cl_cvm_limit = a->cl_cvm_limit;
    out->cl_floor_limit = a->cl_floor_limit;
}

static int send_ca_key(const struct dp_params_ca_key *k)
{
    struct dp_emv_ca_key m;
    memset(&m, 0, sizeof m);
    memcpy(m.rid, k->rid, sizeof m.rid);
    m.index = k->index;
    memcpy(m.modulus, k->modulus, sizeof m.modulus);
    m.modulus_n = k->modulus_n;
    m.exponent = k->exponent;
    m.expiry = k->expiry;
    return say(DP_ROLE_CARD, DP_MSG_CA_KEY, &m);
}

static void revoked_of(const struct dp_params *params, struct dp_card_terminal *t)
{
    DP_ASSERT(params->revoked_n <= sizeof t->revoked / sizeof t->revoked[0]);
    for (size_t i = 0; i < params->revoked_n; i++) {
        memcpy(t->revoked[i].rid, params->revoked[i].rid, sizeof t->revoked[i].rid);
        t->revoked[i].index = params->revoked[i].index;
        memcpy(t->revoked[i].serial, params->revoked[i].serial, sizeof t->revoked[i].serial);
    }
    t->revoked_n = (uint32_t)params->revoked_n;
}

static void configure_card(void)
{
    const struct dp_params *params = self.params;
    struct dp_card_terminal t;
    int err;
    if (params == NULL)
        return;
    memset(&t, 0, sizeof t);
    memcpy(t.terminal.tid, params->terminal.tid, sizeof t.terminal.tid);
    memcpy(t.terminal.mid, params->terminal.mid, sizeof t.terminal.mid);
    memcpy(t.terminal.mcc, params->terminal.mcc, sizeof t.terminal.mcc);
    memcpy(t.terminal.merchant_name, params->terminal.merchant_name,
           sizeof t.terminal.merchant_name);
    memcpy(t.terminal.acquirer_id, params->terminal.acquirer_id, sizeof t.terminal.acquirer_id);
    memcpy(t.terminal.ifd_serial, params->terminal.tid, sizeof t.terminal.ifd_serial);
    t.terminal.country = params->terminal.country;
    t.terminal.type = params->terminal.type;
    memcpy(t.terminal.capabilities, params->terminal.capabilities, sizeof t.terminal.capabilities);
    memcpy(t.terminal.additional_capabilities, params->terminal.additional_capabilities,
           sizeof t.terminal.additional_capabilities);
    t.aids_n = (uint32_t)params->aids_n;
    t.ca_keys_n = (uint32_t)params->ca_keys_n;
    revoked_of(params, &t);
    err = say(DP_ROLE_CARD, DP_MSG_TERMINAL, &t);
    for (size_t i = 0; i < params->aids_n && err == DP_OK; i++) {
        struct dp_emv_aid aid;
        emv_aid_of(&params->aids[i], &aid);
        err = say(DP_ROLE_CARD, DP_MSG_AID, &aid);
    }
    for (size_t i = 0; i < params->ca_keys_n && err == DP_OK; i++)
        err = send_ca_key(&params->ca_keys[i]);
    if (err < 0)
        peer_bad(DP_ROLE_CARD);
}

static void configure_link(void)
{
    struct dp_msg_link_config c;
    if (self.params == NULL || self.hsm == NULL)
        return;
    memset(&c, 0, sizeof c);
    memcpy(c.server_name, self.params->acquirer.server_name, sizeof c.server_name);
    c.has_pin = self.params->acquirer.has_server_pin;
    memcpy(c.pin, self.params->acquirer.server_pin, sizeof c.pin);
    if (dp_hsm_public(self.hsm, DP_KEY_TLS_CLIENT, c.client_public) < 0 ||
        say(DP_ROLE_LINK, DP_MSG_LINK_CONFIG, &c) < 0)
        peer_bad(DP_ROLE_LINK);
}

static void from_supervisor(void)
{
    union dp_msg_body body;
    enum dp_msg_type type = DP_MSG_NONE;
    int fd = -1;
    int err = dp_channel_receive(&self.supervisor, 0, &type, &body, &fd);
    if (err == DP_ERR_TIMEOUT)
        return;
    if (err < 0 || fd < 0 || body.peer.role <= DP_ROLE_VAULT || body.peer.role >= DP_ROLES)
        exit(err == DP_ERR_GONE ? 0 : 1);
    if (self.peers[body.peer.role].fd >= 0) /* its end was not read yet, and it has a successor */
        close_peer((enum dp_role)body.peer.role);
    self.instances[body.peer.role] = body.peer.instance;
    dp_channel_init(&self.peers[body.peer.role], fd, DP_ROLE_VAULT, (enum dp_role)body.peer.role);
    if (body.peer.role == DP_ROLE_CARD)
        configure_card();
    else if (body.peer.role == DP_ROLE_LINK)
        configure_link();
}

static void from_peer(enum dp_role role)
{
    static union dp_msg_body body;
    enum dp_msg_type type = DP_MSG_NONE;
    int err = dp_channel_receive(&self.peers[role], 0, &type, &body, NULL);
    if (err == DP_ERR_TIMEOUT)
        return;
    if (err < 0)
        peer_bad(role);
    else if (role == DP_ROLE_TILL)
        from_till(type, &body);
    else if (role == DP_ROLE_CARD)
        from_card(type, &body);
    else
        from_link(type, &body);
    dp_wipe(&body, sizeof body);
}

/* ---- start ---- */

static uint8_t *read_whole(const char *path, size_t max, size_t *n)
{
    uint8_t *p = NULL;
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        dp_log(DP_LOG_ERROR, "%s: %s", path, strerror(errno));
        return NULL;
    }
    p = malloc(max + 1);
    DP_ASSERT(p != NULL);
    *n = fread(p, 1, max + 1, f);
    (void)fclose(f);
    if (*n == 0 || *n > max) {
        dp_log(DP_LOG_ERROR, "%s: empty, or more than %zu bytes", path, max);
        free(p);
        return NULL;
    }
    return p;
}

/* The back office's public point: 130 hex digits in a file. */
static bool read_back_office(const char *path, uint8_t point[65])
{
    size_t n = 0, point_n = 0;
    uint8_t *text = read_whole(path, 1024, &n);
    bool ok = text != NULL && dp_hex_decode((const char *)text, n, point, 65, &point_n) == DP_OK &&
              point_n == 65;
    if (text != NULL && !ok)
        dp_log(DP_LOG_ERROR, "%s: not a P-256 public point in hex", path);
    free(text);
    return ok;
}

/* NULL: no payment will be taken, status still answered. */
static struct dp_params *load_params(const char *path, const char *back_office)
{
    const struct dp_clock *clock = dp_clock_system();
    struct dp_params *params = NULL;
    uint8_t point[65];
    char error[160] = "";
    size_t n = 0;
    uint8_t *set = NULL;
    int err;
    if (!read_back_office(back_office, point))
        return NULL;
    set = read_whole(path, DP_PARAMS_SET_MAX, &n);
    if (set == NULL)
        return NULL;
    err = dp_params_decode(set, n, point, &params, error, sizeof error);
    free(set);
    if (err == DP_OK && self.hsm != NULL)
        err = dp_params_accept(params, self.hsm, clock->wall_ms(clock->ctx));
    if (params != NULL && (err == DP_ERR_TOKEN || err == DP_ERR_GONE)) {
        dp_log(DP_LOG_ERROR, "key store: %s", dp_strerr(err));
        dp_hsm_free(&self.hsm); /* dead: the set says who we are, and no payment is taken by it */
        return params;
    }
    if (err < 0) {
        dp_log(DP_LOG_ERROR, "parameter set %s refused: %s%s%s", path, dp_strerr(err),
               error[0] != '\0' ? ": " : "", error);
        dp_params_free(&params);
    }
    return params;
}

static bool open_payment(int argc, char **argv)
{
    const char *journal = dp_process_option(argc, argv, "journal");
    const char *hsm = dp_process_option(argc, argv, "hsm");
    const char *params = dp_process_option(argc, argv, "params");
    const char *back_office = dp_process_option(argc, argv, "back-office");
    const char *wire = dp_process_option(argc, argv, "wire-log");
    struct dp_payment_config c;
    int err;
    memset(&c, 0, sizeof c);
    if (journal == NULL || hsm == NULL || params == NULL || back_office == NULL) {
        dp_log(DP_LOG_ERROR, "this program is started by doorpayd");
        return false;
    }
    err = dp_hsm_open(hsm, &self.hsm);
    self.hsm_uri = hsm;
    if (err < 0 && err != DP_ERR_NOT_FOUND && err != DP_ERR_TOKEN && err != DP_ERR_GONE &&
        err != DP_ERR_TIMEOUT && err != DP_ERR_IO) {
        dp_log(DP_LOG_ERROR, "key store: %s", dp_strerr(err));
        return false;
    }
    if (err < 0)
        dp_log(DP_LOG_ERROR, "key store: %s; status is answered, and no payment is taken",
               dp_strerr(err));
    self.params = load_params(params, back_office);
    err = dp_store_fs_open(journal, &self.store);
    if (err < 0) {
        dp_log(DP_LOG_ERROR, "journal directory %s: %s", journal, dp_strerr(err));
        return false;
    }
    if (wire != NULL && wire[0] != '\0')
        self.wire_fd = open(wire, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (wire != NULL && wire[0] != '\0' && self.wire_fd < 0)
        dp_log(DP_LOG_WARNING, "wire log %s: %s", wire, strerror(errno));
    c.store = self.store;
    c.hsm = self.hsm;
    c.params = self.params;
    c.clock = dp_clock_system();
    c.random = dp_random_system();
    c.ops = (struct dp_payment_ops){&self,          on_card_order, on_card_policy, on_card_online,
                                    on_card_cancel, on_card_end,   on_link_send,   on_wire,
                                    on_result,      on_settled,    on_event};
    dp_software_digest(c.software_digest);
    c.reserve_bytes = RESERVE_BYTES;
    return dp_payment_open(&c, &self.payment) == DP_OK;
}

/* True when a process was ended: what it held is lost, and the payment has been told. */
static bool end_broken(void)
{
    bool any = false;
    for (int role = DP_ROLE_TILL; role < DP_ROLES; role++) {
        if (!self.broken[role])
            continue;
        self.broken[role] = false;
        any = any || self.peers[role].fd >= 0;
        peer_bad((enum dp_role)role);
    }
    return any;
}

/* A dead key store that opens again: everything begins anew, in a new process. */
static bool token_is_back(int *wait)
{
    const struct dp_clock *clock = dp_clock_system();
    int64_t now = clock->mono_ms(clock->ctx);
    struct dp_hsm *hsm = NULL;
    if (self.hsm != NULL)
        return false;
    if (self.token_again_ms == 0) /* it was tried at the start */
        self.token_again_ms = now + TOKEN_AGAIN_MS;
    if (*wait > TOKEN_AGAIN_MS)
        *wait = TOKEN_AGAIN_MS;
    if (now < self.token_again_ms)
        return false;
    self.token_again_ms = now + TOKEN_AGAIN_MS;
    if (dp_hsm_open(self.hsm_uri, &hsm) < 0)
        return false;
    dp_hsm_free(&hsm);
    dp_log(DP_LOG_INFO, "the key store is back");
    self.token_back = true;
    return true;
}

static void run(int term_fd)
{
    int wait = 0;
    while (!dp_payment_stopped(self.payment) && !token_is_back(&wait)) {
        struct pollfd fds[5] = {{self.supervisor.fd, POLLIN, 0},
                                {self.peers[DP_ROLE_TILL].fd, POLLIN, 0},
                                {self.peers[DP_ROLE_CARD].fd, POLLIN, 0},
                                {self.peers[DP_ROLE_LINK].fd, POLLIN, 0},
                                {term_fd, POLLIN, 0}};
        (void)poll(fds, 5, wait);
        if ((fds[4].revents & POLLIN) != 0)
            break;
        if (fds[0].revents != 0)
            from_supervisor();
        for (unsigned i = 1; i <= 3; i++)
            if (fds[i].revents != 0 && fds[i].fd == self.peers[DP_ROLE_VAULT + i].fd)
                from_peer((enum dp_role)(DP_ROLE_VAULT + i));
        wait = dp_payment_tick(self.payment);
        if (end_broken())
            wait = 0;
    }
}

/* Whole, where the limit allows for whatever is still to come; else an allocation would fail later.
 */
static void lock_memory(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY ||
        mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        dp_log(DP_LOG_INFO, "memory is not locked whole; secrets are locked on their own");
}

int main(int argc, char **argv)
{
    struct dp_diagnosis diagnosis;
    struct dp_msg_ready ready = {0};
    int term_fd, status = 0;
    dp_process_harden("doorpayd-vault");
    if (!dp_process_started())
        return 2;
    lock_memory();
    self.wire_fd = -1;
    dp_channel_init(&self.supervisor, DP_FD_CHANNEL, DP_ROLE_VAULT, DP_ROLE_SUPERVISOR);
    for (int role = 0; role < DP_ROLES; role++)
        dp_channel_init(&self.peers[role], -1, DP_ROLE_VAULT, (enum dp_role)role);
    term_fd = dp_process_term_fd();
    if (term_fd < 0 || psa_crypto_init() != PSA_SUCCESS || !open_payment(argc, argv))
        return 1;
    dp_payment_diagnose(self.payment, &diagnosis);
    ready.ok = diagnosis.journal_ok && diagnosis.params_ok;
    if (dp_channel_send(&self.supervisor, DP_MSG_VAULT_READY, &ready) < 0)
        return 0;
    run(term_fd);
    if (dp_payment_stopped(self.payment) || self.token_back)
        status = STOPPED_STATUS;
    dp_payment_free(&self.payment);
    dp_params_free(&self.params);
    dp_store_fs_free(&self.store);
    dp_hsm_free(&self.hsm);
    return status;
}
