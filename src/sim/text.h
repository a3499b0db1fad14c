/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of "key = value" and "[section argument]", with # comments: profiles, parameters. */
#ifndef DP_SIM_TEXT_H
#define DP_SIM_TEXT_H

#include <doorpay/base.h>

/* One line. A section line has section != NULL and no key; both are the parser's for the call. */
struct sim_line {
    unsigned number;
    char *section; /* "aid A0000009990101 contact" */
    char *key, *value;
};
/* Returns DP_OK, or an error that ends the reading. */
typedef int sim_line_fn(void *ctx, const struct sim_line *line);

/* Feeds each line to fn. What fails is logged with file and line. DP_ERR_IO, DP_ERR_FORMAT, or
 * what fn returned. */
DP_MUST_USE int sim_text_read(const char *path, sim_line_fn *fn, void *ctx);

/* yes, no. */
DP_MUST_USE int sim_text_bool(const char *value, bool *out);
DP_MUST_USE int sim_text_uint(const char *value, uint64_t most, uint64_t *out);
/* The place of value in a list of words ended by NULL. DP_ERR_FORMAT when it is not there. */
DP_MUST_USE int sim_text_word(const char *value, const char *const *words, int *out);
/* Hex of at most max bytes. */
DP_MUST_USE int sim_text_hex(const char *value, uint8_t *out, size_t max, size_t *n);
/* The next word of *at, cut off in place; NULL at the end. */
char *sim_text_next(char **at);

#endif
