/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PC/SC reader at the end of a pipe, for pcsc.py. Lines in: "open NAME", "wait MS",
 * "send HEX", "off", "removal MS", "close". Line out: "ok ...", or "err NUMBER". SIGUSR1 cancels.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/card.h>

#include "base/hex.h"
#include "base/limits.h"

static struct dp_card_reader reader;
static bool is_open;

static void on_signal(int number)
{
    (void)number;
    if (is_open)
        reader.ops->cancel(reader.ctx);
}

static void say(int err, const char *more)
{
    if (err < 0)
        (void)printf("err %d\n", err);
    else
        (void)printf("ok%s%s\n", more[0] != '\0' ? " " : "", more);
    (void)fflush(stdout);
}

static void do_wait(int ms)
{
    struct dp_card_info info;
    char text[128], atr[80];
    int err;
    memset(&info, 0, sizeof info);
    err = reader.ops->wait_card(reader.ctx, ms, &info);
    (void)snprintf(text, sizeof text, "interface=%d protocol=%d atr=%s", (int)info.interface,
                   (int)info.protocol, dp_hex_encode(info.atr, info.atr_n, atr, sizeof atr));
    say(err, text);
}

static void do_send(const char *hex)
{
    uint8_t command[DP_APDU_COMMAND_MAX], answer[DP_APDU_RESPONSE_MAX];
    char text[2 * DP_APDU_RESPONSE_MAX + 1];
    size_t n = 0, answer_n = sizeof answer;
    int err = dp_hex_decode(hex, strlen(hex), command, sizeof command, &n);
    if (err == DP_OK)
        err = reader.ops->transceive(reader.ctx, command, n, answer, &answer_n, 10000);
    say(err, err < 0 ? "" : dp_hex_encode(answer, answer_n, text, sizeof text));
}

static void do_open(const char *name)
{
    int err = dp_reader_pcsc_open(name[0] != '\0' ? name : NULL, &reader);
    is_open = err == DP_OK;
    say(err, "");
}

int main(void)
{
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    char line[1024];
    (void)sigaction(SIGUSR1, &action, NULL);
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *word = line, *rest;
        line[strcspn(line, "\n")] = '\0';
        rest = strchr(line, ' ');
        if (rest != NULL)
            *rest++ = '\0';
        else
            rest = line + strlen(line);
        if (strcmp(word, "open") == 0)
            do_open(rest);
        else if (!is_open)
            say(DP_ERR_STATE, "");
        else if (strcmp(word, "wait") == 0)
            do_wait((int)strtol(rest, NULL, 10));
        else if (strcmp(word, "send") == 0)
            do_send(rest);
        else if (strcmp(word, "off") == 0)
            say(reader.ops->power_off(reader.ctx), "");
        else if (strcmp(word, "removal") == 0)
            say(reader.ops->wait_removal(reader.ctx, (int)strtol(rest, NULL, 10)), "");
        else {
            reader.ops->close(reader.ctx);
            is_open = false;
            say(DP_OK, "");
        }
    }
    if (is_open)
        reader.ops->close(reader.ctx);
    return 0;
}
