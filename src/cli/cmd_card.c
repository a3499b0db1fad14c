/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay card replay: a recorded conversation through the kernel, and what the kernel made of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/tlv.h>
#include <doorpay/words.h>
#include <jansson.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/secret.h"
#include "card_terminal.h"
#include "cli.h"
#include "file.h"

#define FILE_MAX 4194304

/* One replay. */
struct replay {
    struct card_options options;
    struct recording recording;
    struct dp_params *params; /* NULL: none given */
    struct card_terminal terminal;
    struct dp_emv_result result;
    const char *step;
    json_t *commands;
    struct dp_card_reader recorded;
    bool mismatch; /* a command the recording does not have */
};

static int usage(FILE *to, int status)
{
    (void)fprintf(
        to,
        "usage: doorpay card replay --transcript FILE --interface contact|contactless [OPTION "
        "...]\n"
        "\n"
        "  --match strict|header   every command byte for byte (strict, the default), or by CLA "
        "INS P1 P2\n"
        "  --params FILE           a signed parameter set: terminal, applications, scheme keys, "
        "limits\n"
        "  --back-office FILE      the public key that checks its signature\n"
        "  --ca-keys FILE.json     scheme keys, in place of the set's; without any no card "
        "authenticates\n"
        "  --date YYYY-MM-DD --un HEX8 --amount N --currency N --country N --type N\n"
        "                          the transaction; numbers are decimal, the amount in minor "
        "units\n"
        "  --issuer approves|declines|silent\n"
        "                          what the issuer answers when the card wants it\n"
        "  --lang en|fr|nl|de      what the postal worker and the customer read\n"
        "  --json                  one JSON document\n"
        "\n"
        "The transcript has lines \"> C-APDU\" and \"< R-APDU\" in hex; # begins a comment.\n"
        "What is not given is taken from the recording: applications from its SELECT commands and\n"
        "directory, transaction values from what was sent for PDOL and CDOL1, the issuer's answer\n"
        "from CDOL2 (none: silent). The terminal's action codes are zero, and it asks for the\n"
        "cryptogram the recorded terminal asked for. Card numbers are masked in what is "
        "printed.\n");
    return status;
}

/* ---- options ---- */

static bool word_is(const char *value, const char *word)
{
    return strcmp(value, word) == 0;
}

static bool take_word(struct card_options *o, const char *name, const char *value)
{
    if (word_is(name, "--interface")) {
        o->interface =
            word_is(value, "contactless") ? DP_INTERFACE_CONTACTLESS : DP_INTERFACE_CONTACT;
        return word_is(value, "contact") || word_is(value, "contactless");
    }
    if (word_is(name, "--match")) {
        o->match = word_is(value, "header") ? DP_TRANSCRIPT_HEADER : DP_TRANSCRIPT_STRICT;
        return word_is(value, "header") || word_is(value, "strict");
    }
    if (word_is(name, "--lang"))
        return dp_language_parse(value, &o->language) == DP_OK;
    if (word_is(name, "--issuer")) {
        o->issuer = word_is(value, "approves")   ? ISSUER_APPROVES
                    : word_is(value, "declines") ? ISSUER_DECLINES
                                                 : ISSUER_SILENT;
        return o->issuer != ISSUER_SILENT || word_is(value, "silent");
    }
    return false;
}

static bool take_option(struct card_options *o, const char *name, const char *value)
{
    const struct {
        const char *name, **to;
    } texts[] = {
        {"--transcript", &o->transcript},
        {"--ca-keys", &o->ca_keys},
        {"--date", &o->date},
        {"--un", &o->un},
        {"--amount", &o->amount},
        {"--currency", &o->currency},
        {"--country", &o->country},
        {"--type", &o->type},
        {"--params", &o->params},
        {"--back-office", &o->back_office},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (word_is(name, texts[i].name)) {
            *texts[i].to = value;
            return true;
        }
    return take_word(o, name, value);
}

static bool parse(int argc, char **argv, struct card_options *o)
{
    memset(o, 0, sizeof *o);
    for (int i = 1; i < argc; i++) {
        if (word_is(argv[i], "--json"))
            o->json = true;
        else if (i + 1 == argc || !take_option(o, argv[i], argv[i + 1]))
            return false;
        else
            i++;
    }
    return o->transcript != NULL && o->interface != 0;
}

/* ---- files ---- */

/* NULL: said why. */
static char *read_file(const char *path, size_t *n)
{
    char *text = malloc(FILE_MAX);
    if (text != NULL && file_read(path, (uint8_t *)text, FILE_MAX, n) == DP_OK)
        return text;
    free(text);
    return NULL;
}

static void say_key(void *ctx, const char *line)
{
    dp_log(DP_LOG_WARNING, "%s: %s", (const char *)ctx, line);
}

static int load_ca_keys(struct replay *r)
{
    struct ca_keys *ca = &r->terminal.ca;
    char *path = (char *)(uintptr_t)r->options.ca_keys, *text;
    size_t n;
    int err;
    if (path == NULL)
        return CLI_DONE;
    text = read_file(path, &n);
    if (text == NULL)
        return CLI_FAILED;
    err = ca_keys_load(text, n, ca, say_key, path);
    free(text);
    if (err < 0) {
        dp_log(DP_LOG_ERROR, "%s: %s", path, dp_strerr(err));
        return CLI_FAILED;
    }
    dp_log(DP_LOG_INFO, "%s: %zu keys taken, %u of them without a hash; %u refused, %u too long",
           path, ca->n, ca->unhashed, ca->refused, ca->too_long);
    r->terminal.terminal.ca_keys = ca->keys;
    r->terminal.terminal.ca_keys_n = ca->n;
    return CLI_DONE;
}

static int load_params(struct replay *r)
{
    const struct card_options *o = &r->options;
    uint8_t point[65], *set;
    char reason[160] = "the file cannot be read";
    size_t n = 0;
    int err = DP_OK;
    if (o->params == NULL)
        return CLI_DONE;
    if (o->back_office != NULL && file_read_point(o->back_office, point) < 0)
        return CLI_FAILED;
    set = malloc(DP_PARAMS_SET_MAX);
    if (set == NULL)
        return CLI_FAILED;
    err = file_read(o->params, set, DP_PARAMS_SET_MAX, &n);
    if (err == DP_OK)
        err = o->back_office != NULL
                  ? dp_params_decode(set, n, point, &r->params, reason, sizeof reason)
                  : dp_params_look(set, n, &r->params, reason, sizeof reason);
    free(set);
    if (err < 0)
        dp_log(DP_LOG_ERROR, "%s: %s", o->params, reason);
    else if (r->params->unverified)
        dp_log(DP_LOG_WARNING, "%s: signature not checked: give --back-office", o->params);
    return err < 0 ? CLI_FAILED : CLI_DONE;
}

/* ---- what goes by ---- */

static void hide(char *hex, size_t from, size_t to)
{
    memset(hex + 2 * from, '*', 2 * (to - from));
}

/* A certificate of the card holds its number, and anyone can open it. */
static bool is_secret(uint32_t tag)
{
    const struct dp_tlv_tag *known = dp_tlv_tag_find(tag);
    return tag == 0x9F46 || (known != NULL && known->secret);
}

/* Values that tell the card or its holder; all that follows, where an answer is not sound. */
static void mask_answer(const struct replay *r, const uint8_t *p, size_t n, char *hex)
{
    struct dp_tlv_walk w;
    struct dp_tlv t;
    unsigned depth;
    size_t data_n = n >= 2 ? n - 2 : 0;
    int err;
    dp_tlv_walk_begin(&w, (struct dp_bytes){p, data_n});
    while ((err = dp_tlv_walk_next(&w, &t, &depth)) == DP_OK)
        if (is_secret(t.tag) && t.value.n > 0)
            hide(hex, (size_t)(t.value.p - p), (size_t)(t.value.p - p) + t.value.n);
    if (err != DP_ERR_NOT_FOUND && w.at < data_n)
        hide(hex, w.at, data_n);
    recording_mask(&r->recording, hex);
}

static void tap(void *ctx, bool command, const uint8_t *p, size_t n)
{
    static char hex[2 * DP_TRANSCRIPT_APDU_MAX + 1];
    struct replay *r = ctx;
    json_t *last;
    (void)dp_hex_encode(p, n, hex, sizeof hex);
    if (command) {
        recording_mask(&r->recording, hex);
        (void)json_array_append_new(
            r->commands, json_pack("{s:s, s:s, s:n}", "step", r->step, "command", hex, "answer"));
        return;
    }
    mask_answer(r, p, n, hex);
    last = json_array_get(r->commands, json_array_size(r->commands) - 1);
    (void)json_object_set_new(last, "answer", json_string(hex));
}

/* ---- the kernel's three questions ---- */

static int policy(void *ctx, const struct dp_emv_summary *s, const struct dp_emv_card_data *card,
                  struct dp_emv_policy_answer *answer)
{
    *answer = (struct dp_emv_policy_answer){DP_EMV_POLICY_GO_ON, true, true, false};
    return DP_OK;
}

static int online(void *ctx, const struct dp_emv_online_request *request,
                  struct dp_emv_online_answer *answer)
{
    *answer = ((const struct replay *)ctx)->terminal.answer;
    return DP_OK;
}

static void step(void *ctx, const char *name)
{
    ((struct replay *)ctx)->step = name;
}

/* ---- the result ---- */

static const char *decision(enum dp_emv_outcome outcome)
{
    static const char *const words[] = {
        [DP_EMV_APPROVED_OFFLINE] = "approved_offline",
        [DP_EMV_APPROVED_ONLINE] = "approved_online",
        [DP_EMV_DECLINED] = "declined",
        [DP_EMV_DEFERRED] = "deferred",
        [DP_EMV_REVERSE] = "reverse",
        [DP_EMV_TRY_OTHER_INTERFACE] = "try_other_interface",
        [DP_EMV_TRY_AGAIN] = "try_again",
        [DP_EMV_CDCVM_WANTED] = "cdcvm_wanted",
        [DP_EMV_ENDED] = "ended",
    };
    return words[outcome];
}

static const char *method(enum dp_emv_authentication a)
{
    static const char *const words[] = {"none", "sda", "dda", "cda", "fdda"};
    return words[a];
}

static const char *passed(enum dp_emv_auth_result r)
{
    static const char *const words[] = {"not_performed", "passed", "failed"};
    return words[r];
}

static json_t *hex_of(const uint8_t *p, size_t n)
{
    char hex[65];
    return json_string(dp_hex_encode(p, n, hex, sizeof hex));
}

/* What the worker and the customer read, and every TVR bit that was set in the log's words. */
static void add_people(json_t *o, const struct replay *r)
{
    const struct dp_emv_result *e = &r->result;
    enum dp_language language = r->options.language;
    json_t *bits = json_array();
    for (unsigned i = 0; i < 8 * sizeof e->summary.tvr; i++) {
        uint8_t bit[5] = {0};
        bit[i / 8] = e->summary.tvr[i / 8] & (uint8_t)(0x80 >> i % 8);
        if (bit[i / 8] != 0)
            (void)json_array_append_new(bits, json_string(dp_words_tvr(bit, DP_FOR_LOG, language)));
    }
    (void)json_object_set_new(o, "tvr_words", bits);
    (void)json_object_set_new(
        o, "worker", json_string(dp_words_kernel_reason(e->reason, DP_FOR_WORKER, language)));
    (void)json_object_set_new(
        o, "customer", json_string(dp_words_kernel_reason(e->reason, DP_FOR_CUSTOMER, language)));
}

static json_t *document(const struct replay *r)
{
    const struct dp_emv_result *e = &r->result;
    const struct dp_emv_summary *s = &e->summary;
    json_t *o = json_pack("{s:o, s:s, s:i, s:{s:s, s:s, s:s}}", "aid", hex_of(s->aid, s->aid_n),
                          "label", s->label, "kernel", (int)s->kernel, "authentication", "method",
                          method(s->authentication), "result", passed(s->authentication_result),
                          "reason", s->authentication_reason);
    if (o == NULL)
        return NULL;
    (void)json_object_set_new(o, "tvr", hex_of(s->tvr, sizeof s->tvr));
    (void)json_object_set_new(o, "tsi", hex_of(s->tsi, sizeof s->tsi));
    (void)json_object_set_new(o, "cvm_results", hex_of(s->cvm_results, sizeof s->cvm_results));
    (void)json_object_set_new(o, "cid", hex_of(&s->cid, 1));
    (void)json_object_set_new(o, "atc", json_integer(s->atc));
    (void)json_object_set_new(o, "bin", json_string(s->bin));
    (void)json_object_set_new(o, "last4", json_string(s->last4));
    (void)json_object_set_new(o, "went_online", json_boolean(e->went_online));
    (void)json_object_set_new(o, "decision", json_string(decision(e->outcome)));
    (void)json_object_set_new(o, "reason", json_string(dp_emv_reason_name(e->reason)));
    (void)json_object_set_new(o, "words", json_string(e->words));
    add_people(o, r);
    (void)json_object_set(o, "commands", r->commands);
    return o;
}

static int print_json(const struct replay *r)
{
    json_t *o = document(r);
    int bad = o == NULL || json_dumpf(o, stdout, JSON_COMPACT) < 0 || printf("\n") < 0;
    json_decref(o);
    return bad ? CLI_FAILED : CLI_DONE;
}

static const char *text_at(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL ? text : "(none)";
}

static int print_text(const struct replay *r)
{
    const struct dp_emv_result *e = &r->result;
    const struct dp_emv_summary *s = &e->summary;
    char hex[33], tvr[11];
    for (size_t i = 0; i < json_array_size(r->commands); i++) {
        const json_t *c = json_array_get(r->commands, i);
        (void)printf("# %s\n> %s\n< %s\n", text_at(c, "step"), text_at(c, "command"),
                     text_at(c, "answer"));
    }
    (void)printf("application     %s %s, kernel %u\n",
                 dp_hex_encode(s->aid, s->aid_n, hex, sizeof hex), s->label, s->kernel);
    (void)printf("authentication  %s, %s%s%s\n", method(s->authentication),
                 passed(s->authentication_result), s->authentication_reason[0] != '\0' ? ": " : "",
                 s->authentication_reason);
    (void)printf("TVR             %s\n", dp_hex_encode(s->tvr, sizeof s->tvr, tvr, sizeof tvr));
    (void)printf("worker          %s\n",
                 dp_words_kernel_reason(e->reason, DP_FOR_WORKER, r->options.language));
    return printf("decision        %s (%s): %s\n", dp_emv_outcome_name(e->outcome),
                  dp_emv_reason_name(e->reason), e->words) < 0
               ? CLI_FAILED
               : CLI_DONE;
}

/* ---- the recording as a reader, that notes when it is asked for more than it has ---- */

static int wait_card(void *ctx, int timeout_ms, struct dp_card_info *info)
{
    const struct dp_card_reader *in = &((struct replay *)ctx)->recorded;
    return in->ops->wait_card(in->ctx, timeout_ms, info);
}

static int transceive(void *ctx, const uint8_t *command, size_t command_n, uint8_t *answer,
                      size_t *answer_n, int timeout_ms)
{
    struct replay *r = ctx;
    const struct dp_card_reader *in = &r->recorded;
    int err = in->ops->transceive(in->ctx, command, command_n, answer, answer_n, timeout_ms);
    r->mismatch = r->mismatch || err == DP_ERR_MISMATCH;
    return err;
}

/* ---- one replay ---- */

static int perform(struct replay *r)
{
    static const struct dp_reader_ops ops_of_recording = {.wait_card = wait_card,
                                                          .transceive = transceive};
    const struct dp_card_reader reader = {&ops_of_recording, r};
    const struct dp_emv_ops ops = {.ctx = r, .policy = policy, .online = online, .step = step};
    struct dp_emv_kernel *kernel = NULL;
    struct dp_card card;
    int err = dp_card_connect(&card, &reader, 0);
    if (err == DP_OK)
        err = dp_emv_kernel_new(&kernel);
    if (err == DP_OK) {
        card.tap = tap;
        card.tap_ctx = r;
        r->step = "";
        err = dp_emv_perform(kernel, &card, &r->terminal.terminal, &r->terminal.transaction, &ops,
                             &r->result);
    }
    dp_emv_kernel_free(&kernel);
    if (err < 0)
        dp_log(DP_LOG_ERROR, "%s: %s", r->options.transcript, dp_strerr(err));
    return err < 0 ? CLI_FAILED : CLI_DONE;
}

/* Against what the card is played: CLI_USAGE for an option that cannot be. */
static int set_up(struct replay *r)
{
    const char *what = "";
    int err, status = load_params(r);
    if (status != CLI_DONE)
        return status;
    err = card_terminal_make(&r->options, &r->recording, r->params, &r->terminal, &what);
    if (err < 0)
        dp_log(DP_LOG_ERROR, "%s: %s", what,
               err == DP_ERR_NOT_FOUND ? "no application is selected in it" : "not such a value");
    if (err == DP_ERR_NOT_FOUND)
        return CLI_FAILED;
    return err < 0 ? CLI_USAGE : load_ca_keys(r);
}

static int play(struct replay *r, const char *text, size_t n)
{
    unsigned line = 0;
    int status, err = dp_reader_transcript_open(text, n, r->options.interface, r->options.match,
                                                &r->recorded, &line);
    if (err < 0) {
        dp_log(DP_LOG_ERROR, "%s:%u: %s", r->options.transcript, line, dp_strerr(err));
        return CLI_FAILED;
    }
    recording_read(text, n, &r->recording);
    status = set_up(r);
    if (status == CLI_DONE)
        status = perform(r);
    r->recorded.ops->close(r->recorded.ctx);
    if (status != CLI_DONE)
        return status;
    status = r->options.json ? print_json(r) : print_text(r);
    if (r->mismatch) {
        dp_log(DP_LOG_ERROR, "%s: the last command is not the recording's", r->options.transcript);
        return CLI_FAILED;
    }
    return status;
}

static int replay(int argc, char **argv)
{
    struct replay *r = calloc(1, sizeof *r);
    char *text = NULL;
    size_t n = 0;
    int status = CLI_FAILED;
    if (r == NULL || (r->commands = json_array()) == NULL)
        goto out;
    if (!parse(argc, argv, &r->options)) {
        status = usage(stderr, CLI_USAGE);
        goto out;
    }
    text = read_file(r->options.transcript, &n);
    if (text != NULL)
        status = play(r, text, n);
out:
    if (text != NULL)
        dp_wipe(text, n);
    free(text);
    if (r != NULL) {
        json_decref(r->commands);
        dp_params_free(&r->params);
        dp_wipe(r, sizeof *r);
    }
    free(r);
    return status;
}

int dp_cmd_card(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (word_is(argv[i], "--help"))
            return usage(stdout, CLI_DONE);
    if (argc < 2 || !word_is(argv[1], "replay"))
        return usage(stderr, CLI_USAGE);
    return replay(argc - 1, argv + 1);
}
