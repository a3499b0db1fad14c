/* SPDX-License-Identifier: Apache-2.0 */
/* What the till answered, flattened for people or as the tool's JSON: keys in snake_case, amounts
 * in minor units. */
#ifndef DP_CLI_SALE_RESULT_H
#define DP_CLI_SALE_RESULT_H

#include <jansson.h>

#include "sale.h"

/* SaleToPOIResponse.NAME; borrowed, NULL when absent. */
json_t *sale_member(json_t *root, const char *name);
/* The text at o.a, or at o.a.b when b is given; NULL when it is no text. */
const char *sale_text_at(json_t *o, const char *a, const char *b);
/* The text of a key of sale_result's object, "" when absent. */
const char *sale_str(json_t *o, const char *name);
/* A PaymentResponse or ReversalResponse, flattened; the caller's. */
json_t *sale_result(json_t *body, const char *service_id);
/* Prints a result, which it takes, and gives the exit status: 0 only for an approved one. */
int sale_finish(const struct sale_options *o, json_t *result);
/* The same for an answer about no payment (DiagnosisResponse, AdminResponse, ...). */
int sale_finish_simple(const struct sale_options *o, json_t *body);

#endif
