/* SPDX-License-Identifier: Apache-2.0 */
#include "sale.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <doorpay/base.h>
#include <doorpay/till.h>

#include "http.h"

#define ANSWER_MAX     262144
#define SERVICE_ID_MAX 10
#define PAY_WAIT_S     600 /* a payment waits for a customer */

/* ---- options ---- */

static const char **option_place(struct sale_options *o, const char *name)
{
    const struct {
        const char *name;
        const char **at;
    } table[] = {
        {"--socket", &o->socket},
        {"--sale-id", &o->sale_id},
        {"--service-id", &o->service_id},
        {"--parcel", &o->parcel},
        {"--transaction", &o->transaction},
        {"--sale-tx", &o->sale_tx},
        {"--manifest", &o->manifest},
        {"--offline", &o->offline},
        {"--deferred", &o->deferred},
        {"--lang", &o->language},
        {"--aid", &o->aid},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].at;
    return NULL;
}

static bool permission_ok(const char *name, const char *value)
{
    if (value == NULL || strcmp(value, "allow") == 0 || strcmp(value, "forbid") == 0)
        return true;
    (void)fprintf(stderr, "doorpay: %s must be allow or forbid, not %s\n", name, value);
    return false;
}

static bool wrong_usage(const char *usage, int *status)
{
    (void)fprintf(stderr, "usage: doorpay %s\n", usage);
    *status = 2;
    return false;
}

/* A verb takes the options that its line of help names. */
static bool wrong_word(const char *word, const char *usage, int *status)
{
    if (strncmp(word, "--", 2) == 0 && strstr(usage, word) != NULL)
        (void)fprintf(stderr, "doorpay: %s wants a value\n", word);
    else
        (void)fprintf(stderr, "doorpay: %s is not taken here\n", word);
    return wrong_usage(usage, status);
}

static bool service_id_ok(const char *id)
{
    if (id == NULL || (id[0] != '\0' && strlen(id) <= SERVICE_ID_MAX))
        return true;
    (void)fprintf(stderr, "doorpay: --service-id must have 1 to %d characters, not %zu\n",
                  SERVICE_ID_MAX, strlen(id));
    return false;
}

bool sale_options_read(int argc, char **argv, const char *usage, int words_wanted,
                       struct sale_options *out, int *status)
{
    const char *socket = getenv("DOORPAY_SOCKET");
    memset(out, 0, sizeof *out);
    out->socket = socket != NULL ? socket : SOCKET_DEFAULT;
    out->sale_id = SALE_ID_DEFAULT;
    for (int i = 1; i < argc; i++) {
        const char **place = option_place(out, argv[i]);
        if (strcmp(argv[i], "--help") == 0) {
            (void)printf("usage: doorpay %s\n", usage);
            *status = 0;
            return false;
        }
        if (strcmp(argv[i], "--json") == 0)
            out->json = true;
        else if (strcmp(argv[i], "--choose") == 0 && strstr(usage, argv[i]) != NULL)
            out->choose = true;
        else if (place != NULL && strstr(usage, argv[i]) != NULL && i + 1 < argc)
            *place = argv[++i];
        else if ((argv[i][0] != '-' || (argv[i][1] >= '0' && argv[i][1] <= '9')) &&
                 out->words_n < 3)
            out->words[out->words_n++] = argv[i];
        else
            return wrong_word(argv[i], usage, status);
    }
    if (out->words_n != words_wanted || !service_id_ok(out->service_id) ||
        !permission_ok("--offline", out->offline) || !permission_ok("--deferred", out->deferred))
        return wrong_usage(usage, status);
    return true;
}

/* ---- requests ---- */

/* Ten characters nobody used in the last 48 hours. */
static void make_service_id(char out[11])
{
    static const char alphabet[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    const struct dp_random *random = dp_random_system();
    uint8_t bytes[10] = {0};
    if (random->fill(random->ctx, bytes, sizeof bytes) < 0)
        abort();
    for (size_t i = 0; i < sizeof bytes; i++)
        out[i] = alphabet[bytes[i] & 31];
    out[10] = '\0';
}

json_t *sale_request(const struct sale_options *o, const char *category, const char *body_name,
                     json_t *body)
{
    char service_id[11];
    json_t *root, *inner;
    make_service_id(service_id);
    inner = json_pack("{s:{s:s,s:s,s:s,s:s,s:s,s:s,s:s}}", "MessageHeader", "ProtocolVersion",
                      "3.0", "MessageClass", "Service", "MessageCategory", category, "MessageType",
                      "Request", "ServiceID", o->service_id != NULL ? o->service_id : service_id,
                      "SaleID", o->sale_id, "POIID", "doorpay");
    if (inner == NULL) {
        json_decref(body);
        return NULL;
    }
    if (o->language != NULL)
        (void)json_object_set_new(json_object_get(inner, "MessageHeader"), "Language",
                                  json_string(o->language));
    (void)json_object_set_new(inner, body_name, body);
    root = json_pack("{s:o}", "SaleToPOIRequest", inner);
    return root;
}

/* ---- HTTP on the till's socket ---- */

struct answer {
    char *text;
    size_t n;
};

static bool take(void *user, const char *p, size_t n)
{
    struct answer *a = user;
    if (n > ANSWER_MAX - a->n)
        return false;
    memcpy(a->text + a->n, p, n);
    a->n += n;
    a->text[a->n] = '\0';
    return true;
}

static void explain(const struct sale_options *o, int err)
{
    if (err == DP_ERR_UNREACHABLE)
        (void)fprintf(
            stderr, "doorpay: no daemon at %s: start doorpayd, or name its socket with --socket\n",
            o->socket);
    else if (err == DP_ERR_DENIED)
        (void)fprintf(stderr,
                      "doorpay: the daemon does not listen to this user: add its id as allow_uid "
                      "in doorpayd.conf\n");
    else if (err == DP_ERR_TIMEOUT)
        (void)fprintf(stderr, "doorpay: no answer yet: ask with doorpay status\n");
    else
        (void)fprintf(stderr, "doorpay: the answer was lost (%s): ask with doorpay status\n",
                      dp_strerr(err));
}

/* A request whose header the till cannot take is answered by an event; tells it. */
static bool is_refusal(json_t *root)
{
    char words[300];
    json_t *event =
        json_object_get(json_object_get(root, "SaleToPOIResponse"), "EventNotification");
    if (event == NULL)
        return false;
    (void)sale_additional(json_object_get(event, "Response"), "message", words, sizeof words);
    (void)fprintf(stderr, "doorpay: the till refused the request: %s\n", words);
    return true;
}

json_t *sale_ask(const struct sale_options *o, json_t *request)
{
    struct answer a = {malloc(ANSWER_MAX + 1), 0};
    char *text = request == NULL ? NULL : json_dumps(request, JSON_COMPACT);
    json_t *root = NULL;
    char *quoted = NULL;
    int err = DP_ERR_NOMEM;
    if (a.text == NULL || text == NULL)
        goto out;
    a.text[0] = '\0';
    err = http_ask(o->socket, "/nexo/", text, PAY_WAIT_S, take, &a);
    if (err == DP_OK && a.n > 0) {
        quoted = dp_json_quote_numbers(a.text, a.n);
        root = quoted == NULL ? NULL : json_loads(quoted, 0, NULL);
        if (root == NULL)
            (void)fprintf(stderr, "doorpay: the daemon's answer is not JSON: %.200s\n", a.text);
        if (root != NULL && is_refusal(root)) {
            json_decref(root);
            root = NULL;
        }
    } else if (err == DP_OK) {
        root = json_object(); /* the answer to an Abort is empty */
    }
out:
    if (err < 0)
        explain(o, err);
    free(quoted);
    free(text);
    free(a.text);
    json_decref(request);
    return root;
}

static bool copy_out(void *user, const char *p, size_t n)
{
    FILE *out = user;
    return fwrite(p, 1, n, out) == n && fflush(out) == 0;
}

int sale_events(const struct sale_options *o, FILE *out)
{
    int err = http_ask(o->socket, "/events", NULL, 0, copy_out, out);
    if (err < 0)
        explain(o, err);
    return err < 0 ? 1 : 0;
}

/* ---- reading answers ---- */

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static void decode(const char *from, size_t n, char *out, size_t out_n)
{
    size_t used = 0;
    for (size_t i = 0; i < n && used + 1 < out_n; i++) {
        if (from[i] == '%' && i + 2 < n + 0 && nibble(from[i + 1]) >= 0 &&
            nibble(from[i + 2]) >= 0) {
            out[used++] = (char)(nibble(from[i + 1]) << 4 | nibble(from[i + 2]));
            i += 2;
        } else {
            out[used++] = from[i];
        }
    }
    out[used] = '\0';
}

bool sale_additional(json_t *response, const char *key, char *out, size_t n)
{
    const char *at = json_string_value(json_object_get(response, "AdditionalResponse"));
    size_t key_n = strlen(key);
    out[0] = '\0';
    while (at != NULL && *at != '\0') {
        size_t length = strcspn(at, "&");
        if (length > key_n && strncmp(at, key, key_n) == 0 && at[key_n] == '=') {
            decode(at + key_n + 1, length - key_n - 1, out, n);
            return true;
        }
        at += length + (at[length] == '&' ? 1 : 0);
    }
    return false;
}

long long sale_minor(const char *amount, const char *currency)
{
    struct dp_money m;
    if (amount == NULL || currency == NULL)
        return -1;
    if (strspn(amount, "0.") == strlen(amount))
        return 0;
    return dp_money_parse(amount, currency, &m) == DP_OK ? (long long)m.minor : -1;
}
