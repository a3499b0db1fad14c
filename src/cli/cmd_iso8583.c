/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorpay iso8583: messages told field by field, made from fields, and layouts checked. Every
 * message becomes one JSON document; what people read is printed from it. Card data is masked
 * unless asked for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/iso8583.h>
#include <doorpay/tlv.h>
#include <jansson.h>

#include "base/hex.h"
#include "base/limits.h"
#include "base/secret.h"
#include "cli.h"

#define TEXT_MAX   (2 * DP_ISO8583_MESSAGE_MAX + 64) /* characters of one message in hex */
#define LAYOUT_MAX 65536
#define WORDS_MAX  64
#define TAGGED     "iso93-pos" /* the profile whose DE48 and DE56 are taken apart */

struct iso8583_options {
    bool json, clear;
    const char *profile, *layout_file, *wire_log;
    const char *words[WORDS_MAX];
    int words_n;
};

static int usage(FILE *to, int status)
{
    (void)fprintf(to,
                  "usage: doorpay iso8583 decode [--profile P | --layout FILE] [--clear] HEX|-\n"
                  "       doorpay iso8583 decode [--profile P | --layout FILE] --wire-log FILE\n"
                  "       doorpay iso8583 encode [--profile P | --layout FILE] MTI DE=VALUE...\n"
                  "       doorpay iso8583 encode [--profile P | --layout FILE] -\n"
                  "       doorpay iso8583 layout check FILE\n"
                  "       doorpay iso8583 layout export PROFILE\n\n"
                  "  --profile P      iso93-pos (default), iso87-bcd, iso87-ascii\n"
                  "  --layout FILE    a layout of your own\n"
                  "  --wire-log FILE  the daemon's log: each line \"> HEX\" or \"< HEX\"\n"
                  "  --clear          card data unmasked\n"
                  "  --json           one JSON document; encode - reads what decode --json wrote\n"
                  "  VALUE            digits or text; hex for binary elements\n");
    return status;
}

static const char **place_of(struct iso8583_options *o, const char *name)
{
    if (strcmp(name, "--profile") == 0)
        return &o->profile;
    if (strcmp(name, "--layout") == 0)
        return &o->layout_file;
    return strcmp(name, "--wire-log") == 0 ? &o->wire_log : NULL;
}

static int parse(int argc, char **argv, struct iso8583_options *o)
{
    memset(o, 0, sizeof *o);
    for (int i = 1; i < argc; i++) {
        const char **place = place_of(o, argv[i]);
        if (place != NULL && i + 1 < argc && *place == NULL)
            *place = argv[++i];
        else if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (strcmp(argv[i], "--clear") == 0)
            o->clear = true;
        else if ((argv[i][0] == '-' && argv[i][1] != '\0') || o->words_n == WORDS_MAX)
            return CLI_USAGE;
        else
            o->words[o->words_n++] = argv[i];
    }
    return o->words_n > 0 && (o->profile == NULL || o->layout_file == NULL) ? CLI_DONE : CLI_USAGE;
}

static int failed(const char *what, const char *why)
{
    (void)fprintf(stderr, "doorpay iso8583: %s: %s\n", what, why);
    return CLI_FAILED;
}

/* ---- layouts ---- */

static char *read_text(const char *path, size_t max, size_t *n)
{
    char *text = malloc(max + 1);
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (f == NULL || text == NULL) {
        (void)failed(path, strerror(errno));
        free(text);
        return NULL;
    }
    *n = fread(text, 1, max + 1, f);
    if (f != stdin)
        (void)fclose(f);
    if (*n > max) {
        (void)failed(path, "too long");
        free(text);
        return NULL;
    }
    text[*n] = '\0';
    return text;
}

static int load_layout(const char *path, struct dp_iso8583_layout *out)
{
    struct dp_iso8583_error error = {0};
    size_t n = 0;
    char *text = read_text(path, LAYOUT_MAX, &n);
    int err;
    if (text == NULL)
        return CLI_FAILED;
    err = dp_iso8583_layout_load(text, n, out, &error);
    free(text);
    return err < 0 ? failed(path, error.words) : CLI_DONE;
}

static const struct dp_iso8583_layout *chosen(const struct iso8583_options *o)
{
    static struct dp_iso8583_layout loaded;
    const char *name = o->profile != NULL ? o->profile : TAGGED;
    const struct dp_iso8583_layout *found;
    if (o->layout_file != NULL)
        return load_layout(o->layout_file, &loaded) == CLI_DONE ? &loaded : NULL;
    found = dp_iso8583_profile(name);
    if (found == NULL)
        (void)failed(name, "no such profile; there are iso93-pos, iso87-bcd, iso87-ascii");
    return found;
}

static int export_json(const char *name, const char *text, size_t n)
{
    json_t *out = json_pack("{s:s,s:s%}", "profile", name, "layout", text, n);
    int status = out != NULL && json_dumpf(out, stdout, JSON_COMPACT) == 0 && puts("") >= 0
                     ? CLI_DONE
                     : CLI_FAILED;
    json_decref(out);
    return status;
}

static int cmd_layout(const struct iso8583_options *o)
{
    static struct dp_iso8583_layout layout;
    static char text[LAYOUT_MAX];
    const struct dp_iso8583_layout *known;
    unsigned elements = 0;
    size_t n = 0;
    if (o->words_n != 3)
        return usage(stderr, CLI_USAGE);
    if (strcmp(o->words[1], "export") == 0) {
        known = dp_iso8583_profile(o->words[2]);
        if (known == NULL)
            return failed(o->words[2], "no such profile");
        if (dp_iso8583_layout_text(known, text, sizeof text, &n) < 0)
            return CLI_FAILED;
        if (o->json)
            return export_json(known->name, text, n);
        return fwrite(text, 1, n, stdout) == n ? CLI_DONE : CLI_FAILED;
    }
    if (strcmp(o->words[1], "check") != 0)
        return usage(stderr, CLI_USAGE);
    if (load_layout(o->words[2], &layout) != CLI_DONE)
        return CLI_FAILED;
    for (int de = 2; de < DP_ISO8583_FIELDS; de++)
        elements += layout.element[de].kind != DP_ISO8583_ABSENT ? 1 : 0;
    if (o->json)
        (void)printf("{\"ok\":true,\"profile\":\"%s\",\"elements\":%u}\n", layout.name, elements);
    else
        (void)printf("%s: fine, %u elements\n", layout.name, elements);
    return CLI_DONE;
}

/* ---- a message as JSON ---- */

static json_t *hex_of(struct dp_bytes b)
{
    static char hex[2 * DP_ISO8583_MESSAGE_MAX + 1];
    if (b.n > DP_ISO8583_MESSAGE_MAX)
        return NULL;
    return json_string(dp_hex_encode(b.p, b.n, hex, sizeof hex));
}

/* ISO 8859-1 as UTF-8. */
static json_t *text_of(struct dp_bytes b)
{
    char utf8[2 * DP_ISO8583_FIELD_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b.n && n + 2 <= sizeof utf8; i++) {
        if (b.p[i] >= 0x80)
            utf8[n++] = (char)(0xC0 | b.p[i] >> 6);
        utf8[n++] = (char)(b.p[i] >= 0x80 ? 0x80 | (b.p[i] & 0x3F) : b.p[i]);
    }
    return json_stringn(utf8, n);
}

static json_t *number_of(struct dp_bytes b)
{
    json_int_t v = 0;
    for (size_t i = 0; i < b.n; i++)
        v = v << 8 | b.p[i];
    return json_integer(v);
}

/* DE48, by tag: its name, and how its value reads. */
static const struct {
    const char *name;
    json_t *(*value)(struct dp_bytes b);
    size_t max;
} private_tags[] = {
    [DP_DE48_PARCEL] = {"parcel reference", text_of, 255},
    [DP_DE48_MODE] = {"mode", number_of, 1},
    [DP_DE48_KEY_BLOCK] = {"key block", text_of, 255},
    [DP_DE48_BATCH] = {"batch", number_of, 4},
    [DP_DE48_TX] = {"transaction", hex_of, 16},
    [DP_DE48_JOURNAL] = {"journal", hex_of, 16},
    [DP_DE48_BUSINESS_DATE] = {"business date", hex_of, 4},
    [DP_DE48_DEFERRED_UNTIL] = {"deferred until, ms", number_of, 7},
    [DP_DE48_REPEAT] = {"repeat", number_of, 1},
};

static json_t *private_data(struct dp_bytes de48)
{
    json_t *list = json_array(), *value;
    struct dp_bytes b;
    size_t at = 0;
    uint8_t tag;
    char text[3];
    int err;
    while ((err = dp_iso8583_tag_next(de48, &at, &tag, &b)) == DP_OK) {
        bool known = tag > 0 && tag < sizeof private_tags / sizeof private_tags[0];
        /* the first byte of the eight-byte time is zero for as long as anybody needs */
        bool fits = known && (b.n <= private_tags[tag].max ||
                              (tag == DP_DE48_DEFERRED_UNTIL && b.n == 8 && b.p[0] == 0));
        (void)dp_hex_encode(&tag, 1, text, sizeof text);
        value = fits ? private_tags[tag].value(b) : hex_of(b);
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:o*}", "tag", text, "name",
                                                    known ? private_tags[tag].name : "unknown",
                                                    "value", value));
    }
    if (err != DP_ERR_NOT_FOUND)
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:s}", "tag", "", "error", dp_strerr(err)));
    return list;
}

static json_t *emv_data(struct dp_bytes de55)
{
    json_t *list = json_array();
    const struct dp_tlv_tag *known;
    struct dp_bytes b;
    uint32_t tag = 0;
    size_t at = 0;
    char text[9];
    int err;
    while ((err = dp_iso8583_emv_next(de55, &at, &tag, &b)) == DP_OK) {
        int width = tag > 0xFFFFFF ? 8 : tag > 0xFFFF ? 6 : tag > 0xFF ? 4 : 2;
        (void)snprintf(text, sizeof text, "%0*X", width, (unsigned)tag);
        known = dp_tlv_tag_find(tag);
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:o*}", "tag", text, "name",
                                                    known != NULL ? known->name : "unknown",
                                                    "value", hex_of(b)));
    }
    if (err != DP_ERR_NOT_FOUND)
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:s}", "tag", "", "error", dp_strerr(err)));
    return list;
}

static json_t *original_data(const struct dp_iso8583_message *m)
{
    struct dp_iso8583_original o;
    if (dp_iso8583_get_original(m, &o) < 0)
        return NULL;
    return json_pack("{s:i, s:I, s:s, s:s}", "mti", (int)o.mti, "stan", (json_int_t)o.stan,
                     "local_datetime", o.de12, "acquirer", o.acquirer);
}

static json_t *field_of(const struct dp_iso8583_layout *l, const struct dp_iso8583_message *m,
                        int de)
{
    const struct dp_iso8583_element *e = &l->element[de];
    struct dp_bytes b = dp_iso8583_get(m, de);
    bool binary = e->kind == DP_ISO8583_B || e->kind == DP_ISO8583_MAC;
    bool tagged = strcmp(l->name, TAGGED) == 0;
    json_t *f = json_pack("{s:i, s:s, s:o*}", "de", de, "name", e->name, "value",
                          binary ? hex_of(b) : text_of(b));
    if (de == 55 && binary)
        (void)json_object_set_new(f, "tags", emv_data(b));
    if (de == 48 && tagged)
        (void)json_object_set_new(f, "tags", private_data(b));
    if (de == 56 && tagged)
        (void)json_object_set_new(f, "original", original_data(m));
    return f;
}

static json_t *message_of(const struct dp_iso8583_layout *l, const struct dp_iso8583_message *m)
{
    json_t *fields = json_array();
    json_t *doc = json_pack("{s:s, s:i}", "profile", l->name, "mti", (int)m->mti);
    uint64_t amount = 0, currency = 0;
    for (int de = 2; de < DP_ISO8583_FIELDS; de++)
        if (dp_iso8583_has(m, de))
            (void)json_array_append_new(fields, field_of(l, m, de));
    if (dp_iso8583_get_number(m, 4, &amount) && dp_iso8583_get_number(m, 49, &currency) &&
        dp_currency_alpha((uint16_t)currency) != NULL) {
        (void)json_object_set_new(doc, "amount", json_integer((json_int_t)amount));
        (void)json_object_set_new(doc, "currency",
                                  json_string(dp_currency_alpha((uint16_t)currency)));
    }
    (void)json_object_set_new(doc, "fields", fields);
    return doc;
}

/* ---- decoding ---- */

/* The message as JSON, or {"error": why}. */
static json_t *decode(const struct iso8583_options *o, const struct dp_iso8583_layout *l,
                      const char *hex, size_t hex_n)
{
    static struct dp_iso8583_message m;
    static uint8_t bytes[DP_ISO8583_MESSAGE_MAX];
    struct dp_iso8583_error error = {0};
    json_t *doc;
    size_t n = 0;
    int err = dp_hex_decode(hex, hex_n, bytes, sizeof bytes, &n);
    if (err < 0)
        return json_pack("{s:s}", "error",
                         err == DP_ERR_SPACE ? "longer than any message" : "not hex");
    err = dp_iso8583_unpack(l, bytes, n, &m, &error);
    if (err == DP_OK && !o->clear) {
        err = dp_iso8583_mask(l, bytes, n, bytes);
        if (err == DP_OK)
            err = dp_iso8583_unpack(l, bytes, n, &m, &error);
    }
    if (err < 0)
        doc = json_pack("{s:s}", "error", error.words[0] != '\0' ? error.words : dp_strerr(err));
    else
        doc = message_of(l, &m);
    dp_wipe(bytes, sizeof bytes);
    dp_iso8583_wipe(&m);
    return doc;
}

static void say_value(const json_t *value)
{
    if (json_is_integer(value))
        (void)printf("%lld\n", (long long)json_integer_value(value));
    else
        (void)printf("%s\n", value == NULL ? "" : json_string_value(value));
}

static void say_parts(const json_t *field)
{
    const json_t *original = json_object_get(field, "original"), *tag, *error;
    size_t i;
    json_array_foreach(json_object_get(field, "tags"), i, tag)
    {
        error = json_object_get(tag, "error");
        (void)printf("        %-8s %-40s ", json_string_value(json_object_get(tag, "tag")),
                     error != NULL ? "" : json_string_value(json_object_get(tag, "name")));
        say_value(error != NULL ? error : json_object_get(tag, "value"));
    }
    if (json_is_object(original))
        (void)printf("        MTI %lld, STAN %06lld, local time %s, acquirer %s\n",
                     (long long)json_integer_value(json_object_get(original, "mti")),
                     (long long)json_integer_value(json_object_get(original, "stan")),
                     json_string_value(json_object_get(original, "local_datetime")),
                     json_string_value(json_object_get(original, "acquirer")));
}

static void say_message(const json_t *doc)
{
    const json_t *field;
    size_t i;
    (void)printf("MTI %04lld\n", (long long)json_integer_value(json_object_get(doc, "mti")));
    json_array_foreach(json_object_get(doc, "fields"), i, field)
    {
        (void)printf("DE%-4lld  %-40s ",
                     (long long)json_integer_value(json_object_get(field, "de")),
                     json_string_value(json_object_get(field, "name")));
        say_value(json_object_get(field, "value"));
        say_parts(field);
    }
}

static int say_json(json_t *doc)
{
    int err = json_dumpf(doc, stdout, JSON_COMPACT);
    (void)printf("\n");
    json_decref(doc);
    return err < 0 ? CLI_FAILED : CLI_DONE;
}

static const char *error_of(const json_t *doc)
{
    return json_string_value(json_object_get(doc, "error"));
}

/* One line of the log into messages, or onto standard output. False: it is no message. */
static bool log_line(const struct iso8583_options *o, const struct dp_iso8583_layout *l, char *line,
                     unsigned number, json_t *messages)
{
    size_t n = strcspn(line, "\r\n");
    bool whole = line[n] != '\0' || n + 1 < TEXT_MAX, framed;
    json_t *doc;
    line[n] = '\0';
    framed = whole && (line[0] == '>' || line[0] == '<') && line[1] == ' ';
    doc = framed ? decode(o, l, line + 2, n - 2)
                 : json_pack("{s:s}", "error", "neither \"> HEX\" nor \"< HEX\"");
    (void)json_object_set_new(doc, "line", json_integer(number));
    if (framed)
        (void)json_object_set_new(doc, "direction", json_string(line[0] == '>' ? "out" : "in"));
    bool fine = error_of(doc) == NULL;
    if (!fine)
        (void)fprintf(stderr, "doorpay iso8583: %s: line %u: %s\n", o->wire_log, number,
                      error_of(doc));
    if (messages != NULL) {
        (void)json_array_append_new(messages, doc);
        return fine;
    }
    if (fine) {
        (void)printf("line %u, %s\n", number,
                     line[0] == '>' ? "to the acquirer" : "from the acquirer");
        say_message(doc);
        (void)printf("\n");
    }
    json_decref(doc);
    return fine;
}

static int decode_log(const struct iso8583_options *o, const struct dp_iso8583_layout *l)
{
    static char line[TEXT_MAX];
    FILE *f = fopen(o->wire_log, "re");
    json_t *messages = o->json ? json_array() : NULL;
    int status = CLI_DONE;
    unsigned number = 0;
    if (f == NULL) {
        json_decref(messages);
        return failed(o->wire_log, strerror(errno));
    }
    while (fgets(line, sizeof line, f) != NULL)
        if (!log_line(o, l, line, ++number, messages))
            status = CLI_FAILED;
    (void)fclose(f);
    if (messages != NULL &&
        say_json(json_pack("{s:s, s:o}", "profile", l->name, "messages", messages)) != CLI_DONE)
        status = CLI_FAILED;
    return status;
}

static int cmd_decode(const struct iso8583_options *o)
{
    const struct dp_iso8583_layout *l = chosen(o);
    size_t n = 0;
    char *text = NULL;
    json_t *doc;
    if (o->words_n != (o->wire_log != NULL ? 1 : 2))
        return usage(stderr, CLI_USAGE);
    if (l == NULL)
        return CLI_FAILED;
    if (o->wire_log != NULL)
        return decode_log(o, l);
    if (strcmp(o->words[1], "-") == 0) {
        text = read_text("-", TEXT_MAX, &n);
        if (text == NULL)
            return CLI_FAILED;
        doc = decode(o, l, text, n);
        dp_wipe(text, TEXT_MAX);
        free(text);
    } else {
        doc = decode(o, l, o->words[1], strlen(o->words[1]));
    }
    if (error_of(doc) != NULL) {
        (void)failed("message", error_of(doc));
        json_decref(doc);
        return CLI_FAILED;
    }
    if (o->json)
        return say_json(doc);
    say_message(doc);
    json_decref(doc);
    return CLI_DONE;
}

/* ---- encoding ---- */

static int set_field(const struct dp_iso8583_layout *l, struct dp_iso8583_message *m, long de,
                     const char *value)
{
    uint8_t bytes[DP_ISO8583_FIELD_MAX];
    size_t n = 0;
    char what[16];
    (void)snprintf(what, sizeof what, "DE%ld", de);
    if (de < 2 || de >= DP_ISO8583_FIELDS || l->element[de].kind == DP_ISO8583_ABSENT)
        return failed(what, "not in the layout");
    if (l->element[de].kind != DP_ISO8583_B && l->element[de].kind != DP_ISO8583_MAC) {
        for (const char *p = value; *p != '\0' && n < sizeof bytes; n++) {
            bool two = ((uint8_t)*p & 0xFC) == 0xC0 && ((uint8_t)p[1] & 0xC0) == 0x80;
            bytes[n] = (uint8_t)(two ? ((uint8_t)*p & 3) << 6 | ((uint8_t)p[1] & 0x3F) : *p);
            p += two ? 2 : 1;
        }
    } else if (dp_hex_decode(value, strlen(value), bytes, sizeof bytes, &n) < 0) {
        return failed(what, "not hex, or too long");
    }
    if (n == 0)
        return failed(what, "empty");
    dp_iso8583_set(m, (int)de, bytes, n);
    return CLI_DONE;
}

/* "4=000000002350" */
static int set_word(const struct dp_iso8583_layout *l, struct dp_iso8583_message *m,
                    const char *word)
{
    char *end = NULL;
    long de = strtol(word, &end, 10);
    if (end == word || *end != '=')
        return failed(word, "not DE=VALUE");
    return set_field(l, m, de, end + 1);
}

static int message_from_words(const struct iso8583_options *o, const struct dp_iso8583_layout *l,
                              struct dp_iso8583_message *m)
{
    char *end = NULL;
    long mti = strtol(o->words[1], &end, 10);
    int status = CLI_DONE;
    if (*end != '\0' || strlen(o->words[1]) != 4 || mti < 0)
        return failed(o->words[1], "an MTI is four digits");
    dp_iso8583_init(m, (unsigned)mti);
    for (int i = 2; i < o->words_n && status == CLI_DONE; i++)
        status = set_word(l, m, o->words[i]);
    return status;
}

static int message_from_json(const struct dp_iso8583_layout *l, struct dp_iso8583_message *m)
{
    json_error_t error;
    json_t *doc = json_loadf(stdin, 0, &error), *field;
    json_int_t mti = json_integer_value(json_object_get(doc, "mti"));
    int status = CLI_DONE;
    size_t i;
    if (doc == NULL)
        return failed("standard input", error.text);
    if (!json_is_integer(json_object_get(doc, "mti")) || mti < 0 || mti > 9999)
        status = failed("mti", "not a number of four digits");
    dp_iso8583_init(m, status == CLI_DONE ? (unsigned)mti : 0);
    json_array_foreach(json_object_get(doc, "fields"), i, field)
    {
        const char *value = json_string_value(json_object_get(field, "value"));
        if (status == CLI_DONE)
            status = value == NULL
                         ? failed("fields", "a field without a value")
                         : set_field(l, m, (long)json_integer_value(json_object_get(field, "de")),
                                     value);
    }
    json_decref(doc);
    return status;
}

static int cmd_encode(const struct iso8583_options *o)
{
    static struct dp_iso8583_message m;
    static uint8_t bytes[DP_ISO8583_MESSAGE_MAX];
    static char hex[2 * DP_ISO8583_MESSAGE_MAX + 1];
    struct dp_iso8583_error error = {0};
    const struct dp_iso8583_layout *l = chosen(o);
    size_t n = 0;
    int status;
    if (o->words_n < 2 || o->wire_log != NULL)
        return usage(stderr, CLI_USAGE);
    if (l == NULL)
        return CLI_FAILED;
    status =
        strcmp(o->words[1], "-") == 0 ? message_from_json(l, &m) : message_from_words(o, l, &m);
    if (status == CLI_DONE && dp_iso8583_pack(l, &m, 0, bytes, sizeof bytes, &n, &error) < 0)
        status = failed("message", error.words);
    if (status == CLI_DONE) {
        (void)dp_hex_encode(bytes, n, hex, sizeof hex);
        if (o->json)
            (void)printf("{\"profile\":\"%s\",\"hex\":\"%s\"}\n", l->name, hex);
        else
            (void)printf("%s\n", hex);
    }
    dp_iso8583_wipe(&m);
    dp_wipe(bytes, sizeof bytes);
    dp_wipe(hex, sizeof hex);
    return status;
}

int dp_cmd_iso8583(int argc, char **argv)
{
    struct iso8583_options o;
    if (argc >= 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, CLI_DONE);
    if (parse(argc, argv, &o) != CLI_DONE)
        return usage(stderr, CLI_USAGE);
    if (strcmp(o.words[0], "decode") == 0)
        return cmd_decode(&o);
    if (strcmp(o.words[0], "encode") == 0)
        return cmd_encode(&o);
    if (strcmp(o.words[0], "layout") == 0)
        return cmd_layout(&o);
    return usage(stderr, CLI_USAGE);
}
