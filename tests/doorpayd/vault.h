/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real doorpayd-vault with the test around it: supervisor, till, card process and link are
 * channels in the test's hands. The terminal is that of tests/payment/world.h, token and card; the
 * machine and its journal are the vault's own, on disk.
 */
#ifndef DP_TESTS_DOORPAYD_VAULT_H
#define DP_TESTS_DOORPAYD_VAULT_H

#include <sys/types.h>

#include "doorpayd/channel.h"
#include "tests/payment/world.h"

#define VAULT_PATIENCE_MS 10000

struct vault {
    struct world world;
    char journal[128];
    pid_t pid; /* 0: ended */
    struct dp_channel supervisor, peers[DP_ROLES];
    uint32_t instances[DP_ROLES]; /* how often each peer was given to the vault */
    union dp_msg_body body;       /* of the message received last */
};
/* One at a time. */
extern struct vault vault;

void vault_start(void);
/* Its supervisor is gone: it must end well, whatever was said to it before. */
void vault_stop(void);
void vault_remove(void);
/* A new process of this role, as the supervisor hands it in. */
void vault_peer(enum dp_role role);
/* The next message that is no EVENT; its body in vault.body. Fails the test when it is another. */
void vault_receive(struct dp_channel *c, enum dp_msg_type wanted);
void vault_hears(enum dp_role role, enum dp_msg_type type, const void *what);

/* ---- an honest payment ---- */
void vault_pay(uint64_t request, const char *service, int64_t cents);
void vault_seen(void);
void vault_wants_online(void);
void vault_ended(enum dp_emv_outcome outcome);
void vault_result(uint64_t request, enum dp_pay_state state, enum dp_reason reason);
/* All of it: a TC without a link. */
void vault_pays(uint64_t request, const char *service, int64_t cents);

/* ---- the journal as an auditor reads it ---- */
struct vault_books {
    unsigned intents, requested, outcomes, reversals;
    int64_t approved;
};
/* Ends the vault; its journal must be whole and as new as its token says. */
void vault_books(struct vault_books *b);

#endif
