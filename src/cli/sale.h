/* SPDX-License-Identifier: Apache-2.0 */
/* A small sale system: what a round app would say to the till, and how its answer reads. */
#ifndef DP_CLI_SALE_H
#define DP_CLI_SALE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define SALE_ID_DEFAULT "doorpay-cli"
#define SOCKET_DEFAULT  "/run/doorpay/till.sock"

/* Options common to all verbs that speak to the till. */
struct sale_options {
    const char *socket, *sale_id, *service_id, *parcel, *transaction, *sale_tx, *manifest;
    const char *offline, *deferred; /* "allow" or "forbid" */
    const char *language, *aid;     /* of messages; the application the customer chose */
    bool choose;                    /* end when the customer has a choice */
    bool json;
    const char *words[3]; /* arguments that are no options */
    int words_n;
};

/* Reads argv; false after a message on standard error. usage is the verb's line of help. */
bool sale_options_read(int argc, char **argv, const char *usage, int words_wanted,
                       struct sale_options *out, int *status);

/* SaleToPOIRequest with its header; body is stolen. service_id is made when o has none. */
json_t *sale_request(const struct sale_options *o, const char *category, const char *body_name,
                     json_t *body);
/* Sends and waits for the answer, numbers as strings. NULL after a message that says what to do. */
json_t *sale_ask(const struct sale_options *o, json_t *request);
/* The value of key in "key=value&..." of Response.AdditionalResponse; percent-decoded. False when
 * absent. */
bool sale_additional(json_t *response, const char *key, char *out, size_t n);
/* A decimal amount in minor units, or -1. */
long long sale_minor(const char *amount, const char *currency);
/* Streams /events to out until the connection ends. */
int sale_events(const struct sale_options *o, FILE *out);

#endif
