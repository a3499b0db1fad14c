/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay-sim card: a virtual card in the vpcd reader. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/log.h"
#include "hostile.h"
#include "sim.h"
#include "virtual.h"
#include "vpcd.h"

#define PATH_SIZE         4096
#define CONNECT_MS        10000
#define LINGER_DEFAULT_MS 1500

struct options {
    const char *profile, *keys, *vpcd, *atc_file, *log, *script;
    unsigned exit_after, linger_ms;
};

/* One run: the card, what goes wrong with it, and its log. */
struct session {
    struct sim_card card;
    struct sim_script script;
    FILE *log;
    int fd;
    unsigned exit_after, linger_ms;
    struct sim_buf in, answer;
};

/* ---- the log ---- */

/* Every place where a card number's digits stand keeps six and four of them. */
static void mask(const struct sim_card *card, char *hex)
{
    for (size_t i = 0; i < card->profile.applications_n; i++) {
        const char *pan = card->profile.applications[i].pan;
        size_t n = strlen(pan);
        for (char *at = strstr(hex, pan); n > 10 && at != NULL; at = strstr(at + n, pan))
            memset(at + 6, '*', n - 10);
    }
}

static void log_bytes(struct session *s, char direction, const uint8_t *p, size_t n)
{
    static char hex[2 * SIM_BUF_MAX + 1];
    if (s->log == NULL)
        return;
    mask(&s->card, dp_hex_encode(p, n, hex, sizeof hex));
    (void)fprintf(s->log, "%c %s\n", direction, hex);
    (void)fflush(s->log);
}

static void log_note(struct session *s, const char *note)
{
    if (s->log == NULL)
        return;
    (void)fprintf(s->log, "# %s\n", note);
    (void)fflush(s->log);
}

/* ---- the card's life ---- */

static void pause_ms(unsigned ms)
{
    const struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    if (ms > 0)
        (void)nanosleep(&t, NULL);
}

static bool finished(const struct session *s)
{
    return s->exit_after > 0 && s->card.cryptograms >= s->exit_after;
}

/* DP_ERR_GONE: the script pulled the card out. */
static int command(struct session *s)
{
    bool online = s->card.phase == SIM_PHASE_ONLINE;
    unsigned delay = 0;
    log_note(s, sim_step_name(s->in.p, s->in.n, online));
    log_bytes(s, '>', s->in.p, s->in.n);
    sim_card_command(&s->card, s->in.p, s->in.n, &s->answer);
    if (!sim_script_apply(&s->script, s->in.p, s->in.n, online, &s->answer, &delay)) {
        log_note(s, "removed");
        return DP_ERR_GONE;
    }
    pause_ms(delay);
    log_bytes(s, '<', s->answer.p, s->answer.n);
    return sim_vpcd_send(s->fd, s->answer.p, s->answer.n);
}

static void power(struct session *s, const char *note)
{
    log_note(s, note);
    sim_card_reset(&s->card);
    sim_script_reset(&s->script);
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Answers the reader until it closes, the script pulls the card, or the last payment is over: the
 * reader powered off after it, or no command came for a while. */
static int serve(struct session *s)
{
    uint8_t atr[33];
    size_t atr_n = sim_card_atr(&s->card, atr);
    int64_t last = now_ms();
    int err = DP_OK;
    while (err == DP_OK) {
        enum sim_vpcd what;
        if (finished(s) && now_ms() - last >= s->linger_ms)
            return DP_OK;
        err = sim_vpcd_receive(s->fd, finished(s) ? 50 : -1, &what, &s->in);
        if (err == DP_ERR_TIMEOUT) {
            err = DP_OK;
            continue;
        }
        if (err != DP_OK)
            break;
        if (what == SIM_VPCD_COMMAND) {
            err = command(s);
            last = now_ms();
        } else if (what == SIM_VPCD_ATR) {
            err = sim_vpcd_send(s->fd, atr, atr_n);
        } else {
            power(s, what == SIM_VPCD_OFF  ? "power off"
                     : what == SIM_VPCD_ON ? "power on"
                                           : "reset");
            if (finished(s) && what == SIM_VPCD_OFF)
                return DP_OK;
        }
    }
    return err == DP_ERR_GONE ? DP_OK : err;
}

/* ---- start ---- */

/* A path, or the name of a profile that is installed beside this program. */
static const char *find_profile(const char *name, char *out, size_t out_n)
{
    char self[PATH_SIZE / 2];
    ssize_t n;
    char *slash;
    if (strchr(name, '/') != NULL || access(name, R_OK) == 0)
        return name;
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return name;
    self[n] = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL)
        return name;
    *slash = '\0';
    if (snprintf(out, out_n, "%s/../share/doorpay-sim/cards/%s.card", self, name) >= (int)out_n)
        return name;
    return access(out, R_OK) == 0 ? out : name;
}

static int start(struct session *s, const struct options *o)
{
    char path[PATH_SIZE];
    int err = sim_profile_load(find_profile(o->profile, path, sizeof path), &s->card.profile);
    if (err == DP_OK && o->script != NULL)
        err = sim_script_load(o->script, &s->script);
    if (err == DP_OK)
        err = sim_card_make(&s->card, o->keys, o->atc_file);
    if (err != DP_OK)
        return err;
    s->exit_after = o->exit_after;
    s->linger_ms = o->linger_ms;
    if (o->log != NULL && (s->log = fopen(o->log, "a")) == NULL) {
        dp_log(DP_LOG_ERROR, "%s: cannot be written", o->log);
        return DP_ERR_IO;
    }
    err = sim_vpcd_connect(o->vpcd, CONNECT_MS, &s->fd);
    if (err != DP_OK)
        dp_log(DP_LOG_ERROR, "%s: %s", o->vpcd, dp_strerr(err));
    return err;
}

static const char usage[] =
    "usage: doorpay-sim card --profile FILE|NAME --keys DIR --vpcd HOST:PORT [options]\n\n"
    "Puts a virtual card into the reader and answers until it is taken out.\n"
    "  --atc-file FILE   transaction counter that outlives the card\n"
    "  --log FILE        append commands and answers, card number masked\n"
    "  --script FILE     what goes wrong (docs/sim.md)\n"
    "  --exit-after N    take the card out after N payments\n"
    "  --linger MS       ... when the reader does not power it off first (1500)\n";

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {{"profile", required_argument, NULL, 'p'},
                                          {"keys", required_argument, NULL, 'k'},
                                          {"vpcd", required_argument, NULL, 'v'},
                                          {"atc-file", required_argument, NULL, 'a'},
                                          {"log", required_argument, NULL, 'l'},
                                          {"script", required_argument, NULL, 's'},
                                          {"exit-after", required_argument, NULL, 'x'},
                                          {"linger", required_argument, NULL, 'g'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    const char **texts[] = {['p'] = &o->profile,  ['k'] = &o->keys, ['v'] = &o->vpcd,
                            ['a'] = &o->atc_file, ['l'] = &o->log,  ['s'] = &o->script};
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'h') {
            (void)fputs(usage, stdout);
            exit(SIM_DONE);
        }
        if (c == '?')
            return SIM_USAGE;
        if (c == 'x')
            o->exit_after = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'g')
            o->linger_ms = (unsigned)strtoul(optarg, NULL, 10);
        else
            *texts[c] = optarg;
    }
    return o->profile == NULL || o->keys == NULL || o->vpcd == NULL || optind < argc ? SIM_USAGE
                                                                                     : SIM_DONE;
}

int sim_card(int argc, char **argv)
{
    struct options o = {.linger_ms = LINGER_DEFAULT_MS};
    struct session *s;
    int err;
    if (parse(argc, argv, &o) != SIM_DONE) {
        (void)fputs(usage, stderr);
        return SIM_USAGE;
    }
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return SIM_FAILED;
    s->fd = -1;
    err = start(s, &o);
    if (err == DP_OK) {
        (void)printf("card: %s in %s\n", s->card.profile.name, o.vpcd);
        (void)fflush(stdout);
        err = serve(s);
    }
    if (s->fd >= 0)
        (void)close(s->fd);
    if (s->log != NULL)
        (void)fclose(s->log);
    free(s);
    return err == DP_OK ? SIM_DONE : SIM_FAILED;
}
