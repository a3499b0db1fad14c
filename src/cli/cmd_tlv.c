/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay tlv: EMV data in hex, told in words. Card numbers and names are masked unless asked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/tlv.h>
#include <jansson.h>

#include "base/hex.h"
#include "base/secret.h"
#include "cli.h"

#define INPUT_MAX 16384 /* bytes */

struct tlv_options {
    bool json, clear, dol;
    const char *hex;
};

static int usage(FILE *to, int status)
{
    (void)fprintf(to, "usage: doorpay tlv HEX|- [--json] [--dol] [--clear]\n\n"
                      "  HEX      elements in hex, blanks allowed; - reads standard input\n"
                      "  --dol    a data object list: tags and lengths, no values\n"
                      "  --clear  card numbers and names unmasked\n");
    return status;
}

static int parse(int argc, char **argv, struct tlv_options *o)
{
    memset(o, 0, sizeof *o);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (strcmp(argv[i], "--clear") == 0)
            o->clear = true;
        else if (strcmp(argv[i], "--dol") == 0)
            o->dol = true;
        else if (argv[i][0] == '-' && argv[i][1] != '\0')
            return CLI_USAGE;
        else if (o->hex != NULL)
            return CLI_USAGE;
        else
            o->hex = argv[i];
    }
    return o->hex != NULL ? CLI_DONE : CLI_USAGE;
}

static const char *name_of(uint32_t tag)
{
    const struct dp_tlv_tag *known = dp_tlv_tag_find(tag);
    return known != NULL ? known->name : "unknown";
}

/* A card number keeps its first six and last four digits, as far as the separator of a track;
 * what else is secret keeps nothing. */
static void mask(uint32_t tag, char *hex)
{
    size_t n = strlen(hex), digits = strcspn(hex, "DF");
    bool number = tag == 0x5A || tag == 0x57 || tag == 0x9F6B;
    for (size_t i = 0; i < n; i++) {
        bool shown = number && digits >= 12 && (i < 6 || (i >= digits - 4 && i <= digits));
        if (!shown && !(number && i >= digits && hex[i] == 'F'))
            hex[i] = '*';
    }
}

static const char *value_hex(const struct tlv_options *o, const struct dp_tlv *t)
{
    static char hex[2 * INPUT_MAX + 1];
    const struct dp_tlv_tag *known = dp_tlv_tag_find(t->tag);
    (void)dp_hex_encode(t->value.p, t->value.n, hex, sizeof hex);
    if (known != NULL && known->secret && !o->clear)
        mask(t->tag, hex);
    return hex;
}

/* What is text, as text too; NULL when it is not, or is secret. */
static const char *value_text(const struct dp_tlv *t)
{
    static char text[INPUT_MAX + 1];
    const struct dp_tlv_tag *known = dp_tlv_tag_find(t->tag);
    if (known == NULL || known->secret || t->value.n == 0 ||
        (known->format != DP_TLV_A && known->format != DP_TLV_AN && known->format != DP_TLV_ANS))
        return NULL;
    for (size_t i = 0; i < t->value.n; i++) {
        if (t->value.p[i] < 0x20 || t->value.p[i] > 0x7E)
            return NULL;
        text[i] = (char)t->value.p[i];
    }
    text[t->value.n] = '\0';
    return text;
}

static void tag_text(uint32_t tag, char out[9])
{
    (void)snprintf(out, 9,
                   tag > 0xFFFFFF ? "%08X"
                   : tag > 0xFFFF ? "%06X"
                   : tag > 0xFF   ? "%04X"
                                  : "%02X",
                   (unsigned)tag);
}

static int say(const struct tlv_options *o, const struct dp_tlv *t, unsigned depth, json_t *list)
{
    bool is_template = dp_tlv_is_template(t->tag);
    const char *text = value_text(t);
    char tag[9];
    json_t *one;
    tag_text(t->tag, tag);
    if (list == NULL) {
        (void)printf("%*s%s %s (%zu)", (int)(2 * depth), "", tag, name_of(t->tag), t->value.n);
        if (!is_template)
            (void)printf(" %s", value_hex(o, t));
        (void)printf(text != NULL ? " \"%s\"\n" : "\n", text);
        return CLI_DONE;
    }
    one = json_pack("{s:s, s:s, s:i, s:I}", "tag", tag, "name", name_of(t->tag), "depth",
                    (int)depth, "length", (json_int_t)t->value.n);
    if (!is_template)
        (void)json_object_set_new(one, "value", json_string(value_hex(o, t)));
    if (text != NULL)
        (void)json_object_set_new(one, "text", json_string(text));
    return json_array_append_new(list, one) < 0 ? CLI_FAILED : CLI_DONE;
}

static int say_elements(const struct tlv_options *o, struct dp_bytes data, json_t *list, size_t *at)
{
    struct dp_tlv_walk w;
    struct dp_tlv t;
    unsigned depth = 0;
    int err;
    dp_tlv_walk_begin(&w, data);
    while ((err = dp_tlv_walk_next(&w, &t, &depth)) == DP_OK)
        if (say(o, &t, depth, list) != CLI_DONE)
            return DP_ERR_NOMEM;
    *at = w.at;
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

static int say_list(struct dp_bytes data, json_t *list, size_t *at)
{
    struct dp_tlv_dol_entry e;
    char tag[9];
    int err;
    *at = 0;
    while ((err = dp_tlv_dol_next(data, at, &e)) == DP_OK) {
        tag_text(e.tag, tag);
        if (list == NULL)
            (void)printf("%s %s (%u)\n", tag, name_of(e.tag), e.length);
        else if (json_array_append_new(list, json_pack("{s:s, s:s, s:i}", "tag", tag, "name",
                                                       name_of(e.tag), "length", (int)e.length)) <
                 0)
            return DP_ERR_NOMEM;
    }
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

static int read_hex(const char *hex, uint8_t *out, size_t *n)
{
    static char text[2 * INPUT_MAX + 2];
    size_t text_n;
    int err;
    if (strcmp(hex, "-") != 0)
        return dp_hex_decode(hex, strlen(hex), out, INPUT_MAX, n);
    text_n = fread(text, 1, sizeof text, stdin);
    while (text_n > 0 && (text[text_n - 1] == '\n' || text[text_n - 1] == '\r'))
        text_n--;
    err = text_n == sizeof text ? DP_ERR_SPACE : dp_hex_decode(text, text_n, out, INPUT_MAX, n);
    dp_wipe(text, sizeof text);
    return err;
}

int dp_cmd_tlv(int argc, char **argv)
{
    static uint8_t bytes[INPUT_MAX];
    struct tlv_options o;
    struct dp_bytes data = {bytes, 0};
    json_t *list = NULL;
    size_t at = 0;
    int err;
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, CLI_DONE);
    if (parse(argc, argv, &o) != CLI_DONE)
        return usage(stderr, CLI_USAGE);
    err = read_hex(o.hex, bytes, &data.n);
    if (err < 0) {
        (void)fprintf(stderr, "doorpay tlv: not hex, or over %d bytes: %s\n", INPUT_MAX,
                      dp_strerr(err));
        return CLI_FAILED;
    }
    if (o.json && (list = json_array()) == NULL)
        return CLI_FAILED;
    err = o.dol ? say_list(data, list, &at) : say_elements(&o, data, list, &at);
    if (list != NULL) {
        (void)json_dumpf(list, stdout, JSON_COMPACT);
        (void)printf("\n");
        json_decref(list);
    }
    if (err < 0)
        (void)fprintf(stderr, "doorpay tlv: byte %zu: %s\n", at, dp_strerr(err));
    dp_wipe(bytes, sizeof bytes);
    return err < 0 ? CLI_FAILED : CLI_DONE;
}
