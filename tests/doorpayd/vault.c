/* SPDX-License-Identifier: Apache-2.0 */
#include "vault.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hex.h"
#include "doorpayd/process.h"
#include "tests/params/notation.h"

#define OPTION_BYTES 400

struct vault vault;

/* ---- the vault and its surroundings ---- */

static void write_file(const char *name, const void *p, size_t n, char path[128])
{
    FILE *f;
    (void)snprintf(path, 128, "%s/%s", vault.world.dir, name);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

void vault_receive(struct dp_channel *c, enum dp_msg_type wanted)
{
    enum dp_msg_type type = DP_MSG_NONE;
    int err;
    do
        err = dp_channel_receive(c, VAULT_PATIENCE_MS, &type, &vault.body, NULL);
    while (err == DP_OK && type == DP_MSG_EVENT && wanted != DP_MSG_EVENT);
    if (err != DP_OK || type != wanted)
        fail_msg("%s (%s), wanted %s", err == DP_OK ? dp_msg_rule(type)->name : "nothing",
                 dp_strerr(err), dp_msg_rule(wanted)->name);
}

void vault_hears(enum dp_role role, enum dp_msg_type type, const void *what)
{
    assert_int_equal(dp_channel_send(&vault.peers[role], type, what), DP_OK);
}

/* As the supervisor does it when a child has been started (again). */
void vault_peer(enum dp_role role)
{
    struct dp_msg_peer peer = {role, ++vault.instances[role]};
    struct dp_msg_flag ready = {1};
    int pair[2];
    dp_channel_close(&vault.peers[role]);
    assert_int_equal(dp_channel_pair(pair), DP_OK);
    assert_int_equal(dp_channel_send_fd(&vault.supervisor, DP_MSG_PEER_NEW, &peer, pair[0]), DP_OK);
    (void)close(pair[0]);
    dp_channel_init(&vault.peers[role], pair[1], role, DP_ROLE_VAULT);
    if (role == DP_ROLE_LINK)
        vault_receive(&vault.peers[role], DP_MSG_LINK_CONFIG);
    if (role != DP_ROLE_CARD)
        return;
    vault_receive(&vault.peers[role], DP_MSG_TERMINAL);
    for (uint32_t n = vault.body.terminal.aids_n; n > 0; n--)
        vault_receive(&vault.peers[role], DP_MSG_AID);
    vault_receive(&vault.peers[role], DP_MSG_CA_KEY);
    vault_receive(&vault.peers[role], DP_MSG_CA_KEY);
    vault_hears(role, DP_MSG_CARD_READY, &ready);
}

static void start(void)
{
    static char path[512], name[] = "doorpayd-vault", options[4][OPTION_BYTES];
    char *argv[] = {name, options[0], options[1], options[2], options[3], NULL};
    uint8_t set[8192];
    char point[131], file[128];
    size_t n = notation_sign(notation_set, set, sizeof set);
    int pair[2];
    write_file("params", set, n, file);
    (void)snprintf(options[2], OPTION_BYTES, "--params=%s", file);
    write_file("back-office", dp_hex_encode(notation_back_office(), 65, point, sizeof point), 130,
               file);
    (void)snprintf(options[3], OPTION_BYTES, "--back-office=%s", file);
    (void)snprintf(options[0], OPTION_BYTES, "--journal=%s", vault.journal);
    (void)snprintf(options[1], OPTION_BYTES, "--hsm=%s", vault.world.uri);
    (void)snprintf(path, sizeof path, "%s/src/doorpayd/doorpayd-vault", getenv("DP_BUILD_ROOT"));
    assert_int_equal(dp_channel_pair(pair), DP_OK);
    vault.pid = dp_process_spawn(path, argv, &pair[1], 1);
    assert_true(vault.pid > 0);
    (void)close(pair[1]);
    dp_channel_init(&vault.supervisor, pair[0], DP_ROLE_SUPERVISOR, DP_ROLE_VAULT);
    vault_receive(&vault.supervisor, DP_MSG_VAULT_READY);
    assert_int_equal(vault.body.ready.ok, 1);
    for (int role = DP_ROLE_TILL; role < DP_ROLES; role++)
        vault_peer((enum dp_role)role);
}

void vault_start(void)
{
    memset(&vault, 0, sizeof vault);
    for (int role = 0; role < DP_ROLES; role++)
        dp_channel_init(&vault.peers[role], -1, (enum dp_role)role, DP_ROLE_VAULT);
    world_token(&vault.world);
    dp_hsm_free(&vault.world.hsm);
    (void)snprintf(vault.journal, sizeof vault.journal, "%s/journal", vault.world.dir);
    assert_int_equal(mkdir(vault.journal, 0700), 0);
    start();
}

void vault_stop(void)
{
    int status = -1;
    dp_channel_close(&vault.supervisor);
    assert_int_equal(waitpid(vault.pid, &status, 0), vault.pid);
    vault.pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

void vault_remove(void)
{
    if (vault.pid > 0) {
        (void)kill(vault.pid, SIGKILL);
        (void)waitpid(vault.pid, NULL, 0);
        vault.pid = 0;
    }
    dp_channel_close(&vault.supervisor);
    for (int role = 0; role < DP_ROLES; role++)
        dp_channel_close(&vault.peers[role]);
    world_remove(&vault.world);
}

/* ---- an honest payment ---- */

void vault_pay(uint64_t request, const char *service, int64_t cents)
{
    struct dp_msg_pay m;
    memset(&m, 0, sizeof m);
    m.request = request;
    m.pay = world_request(service, cents);
    vault_hears(DP_ROLE_TILL, DP_MSG_PAY, &m);
    vault_receive(&vault.peers[DP_ROLE_CARD], DP_MSG_ORDER);
    vault.world.order = vault.body.order;
}

void vault_seen(void)
{
    struct dp_card_seen m;
    world_say_seen(&vault.world, &m);
    vault_hears(DP_ROLE_CARD, DP_MSG_CARD_SEEN, &m);
    vault_receive(&vault.peers[DP_ROLE_CARD], DP_MSG_POLICY_ANSWER);
}

void vault_wants_online(void)
{
    struct dp_card_online m;
    world_say_online(&vault.world, &m);
    vault_hears(DP_ROLE_CARD, DP_MSG_CARD_ONLINE, &m);
}

void vault_ended(enum dp_emv_outcome outcome)
{
    struct dp_card_outcome m;
    world_say_ended(&vault.world, outcome, DP_EMV_REASON_NONE, &m);
    vault_hears(DP_ROLE_CARD, DP_MSG_CARD_ENDED, &m);
    vault.world.atc++;
}

void vault_result(uint64_t request, enum dp_pay_state state, enum dp_reason reason)
{
    vault_receive(&vault.peers[DP_ROLE_TILL], DP_MSG_RESULT);
    assert_int_equal(vault.body.result.request, request);
    assert_int_equal(vault.body.result.result.state, state);
    if (state != DP_PAY_APPROVED)
        assert_int_equal(vault.body.result.result.reason, reason);
}

void vault_pays(uint64_t request, const char *service, int64_t cents)
{
    vault_pay(request, service, cents);
    vault_seen();
    vault_ended(DP_EMV_APPROVED_OFFLINE);
    vault_result(request, DP_PAY_APPROVED, DP_REASON_NONE);
}

/* ---- the journal ---- */

static void count_record(void *user, const struct dp_record *r)
{
    struct vault_books *b = user;
    b->intents += r->type == DP_RECORD_INTENT;
    b->requested += r->type == DP_RECORD_REQUESTED;
    b->reversals += r->type == DP_RECORD_REVERSAL;
    b->outcomes += r->type == DP_RECORD_OUTCOME;
    if (r->type == DP_RECORD_OUTCOME && r->mode != DP_MODE_DECLINED)
        b->approved += r->amount.minor;
}

void vault_books(struct vault_books *b)
{
    struct dp_verify_options options;
    struct dp_verify_result verdict;
    struct dp_store store;
    memset(b, 0, sizeof *b);
    memset(&options, 0, sizeof options);
    vault_stop();
    assert_int_equal(dp_hsm_open(vault.world.uri, &vault.world.hsm), DP_OK);
    options.has_anchor = true;
    assert_int_equal(dp_hsm_anchor_read(vault.world.hsm, options.anchor), DP_OK);
    assert_int_equal(dp_store_fs_open(vault.journal, &store), DP_OK);
    assert_int_equal(dp_journal_verify(&store, &options, count_record, b, &verdict), DP_OK);
    assert_int_equal(verdict.verdict, DP_VERDICT_FRESH);
    dp_store_fs_free(&store);
}
