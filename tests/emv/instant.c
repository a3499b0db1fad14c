/* SPDX-License-Identifier: Apache-2.0 */
#include "instant.h"

#include <string.h>

/* ---- recording ---- */

static size_t keep(struct sim_payment *p, const uint8_t *command, size_t n, struct sim_buf *answer)
{
    struct instant *i = p->alter_ctx;
    if (i->n < SIM_PAYMENT_LOG_MAX && answer->n <= sizeof i->answer[0]) {
        memcpy(i->command[i->n], command, n);
        memcpy(i->answer[i->n], answer->p, answer->n);
        i->command_n[i->n] = n;
        i->answer_n[i->n++] = answer->n;
    }
    return answer->n;
}

bool instant_record(struct instant *i)
{
    i->n = 0;
    i->world.alter = keep;
    i->world.alter_ctx = i;
    return sim_payment_run(&i->world) == DP_OK && i->n == i->world.commands &&
           dp_emv_kernel_new(&i->kernel) == DP_OK;
}

/* ---- playing ---- */

static int transceive(void *user, const uint8_t *command, size_t n, uint8_t *answer,
                      size_t *answer_n, int timeout_ms)
{
    struct instant *i = user;
    (void)timeout_ms;
    if (i->at == i->n || n != i->command_n[i->at] || memcmp(command, i->command[i->at], n) != 0)
        return DP_ERR_MISMATCH;
    memcpy(answer, i->answer[i->at], i->answer_n[i->at]);
    *answer_n = i->answer_n[i->at++];
    return DP_OK;
}

static int policy(void *ctx, const struct dp_emv_summary *s, const struct dp_emv_card_data *card,
                  struct dp_emv_policy_answer *answer)
{
    (void)s;
    (void)card;
    *answer = ((struct instant *)ctx)->world.policy;
    return DP_OK;
}

static int online(void *ctx, const struct dp_emv_online_request *request,
                  struct dp_emv_online_answer *answer)
{
    (void)request;
    *answer = ((struct instant *)ctx)->world.answered;
    return DP_OK;
}

bool instant_begin(struct instant *i)
{
    const struct sim_profile *profile = &i->world.card.profile;
    struct dp_card_info info = {.interface = DP_INTERFACE_CONTACT};
    if (profile->contactless)
        info.interface = DP_INTERFACE_CONTACTLESS;
    info.protocol = profile->t0 ? DP_PROTOCOL_T0 : DP_PROTOCOL_T1;
    i->at = 0;
    return dp_reader_callback_open(transceive, i, &info, &i->reader) == DP_OK &&
           dp_card_connect(&i->card, &i->reader, 1000) == DP_OK;
}

int instant_perform(struct instant *i)
{
    const struct dp_emv_ops ops = {i, policy, online, NULL, NULL, NULL};
    int err = dp_emv_perform(i->kernel, &i->card, &i->world.terminal, &i->world.transaction, &ops,
                             &i->result);
    return err == DP_OK && i->at != i->n ? DP_ERR_MISMATCH : err;
}

void instant_end(struct instant *i)
{
    i->reader.ops->close(i->reader.ctx);
    dp_emv_result_wipe(&i->result);
}
