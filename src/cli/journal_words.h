/* SPDX-License-Identifier: Apache-2.0 */
/* What `doorpay journal` has to say, in JSON and for people; cmd_journal.c makes it. */
#ifndef DP_CLI_JOURNAL_WORDS_H
#define DP_CLI_JOURNAL_WORDS_H

#include <doorpay/journal.h>
#include <jansson.h>

void put_hex(json_t *o, const char *name, const uint8_t *p, size_t n); /* n at most 512 */
void put_text(json_t *o, const char *name, const char *value); /* an empty one is left out */
void put_number(json_t *o, const char *name, uint64_t v);
/* Prints o and takes it. */
void print_json(json_t *o, size_t flags);
json_t *totals_json(const struct dp_totals *t);
json_t *record_json(const struct dp_record *r);
void print_record(const struct dp_record *r);
/* "doorpay: WHAT: WHY" on standard error; CLI_FAILED. */
int complain(const char *what, const char *why);
/* A head file into v's head; an exit status. */
int read_head(const char *path, struct dp_verify_options *v);
/* A whole number; nothing is read where text is NULL. */
bool read_seq(const char *text, uint64_t *out);

/* The verbs that make and check proofs; argv as dp_cmd_journal has it. */
int journal_prove(int argc, char **argv);
/* doorpay journal acknowledge: argv[0] is the word itself. */
int journal_acknowledge(int argc, char **argv);
int journal_check_proof(int argc, char **argv);

#endif
