/* SPDX-License-Identifier: Apache-2.0 */
/* A ledger with rows put in by hand, and files made on the spot. */
#ifndef DP_TESTS_FINANCE_SUPPORT_H
#define DP_TESTS_FINANCE_SUPPORT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger.h"

#define HEADER                                                                                     \
    "acquirer_reference,type,rrn,tid,mid,batch,stan,local_datetime,business_date,auth_code,mode,"  \
    "card_bin,card_last4,amount,currency,fee,net,transaction_id,original_rrn,captured_at\n"

/* TMPDIR is the test's own (tests/support/run-test). */
static inline const char *in_tmp(const char *name, char path[256])
{
    const char *dir = getenv("TMPDIR");
    (void)snprintf(path, 256, "%s/%s", dir != NULL ? dir : "/tmp", name);
    return path;
}

static inline const char *make_file(const char *name, const char *text, char path[256])
{
    FILE *f = fopen(in_tmp(name, path), "we");
    if (f == NULL || fwrite(text, 1, strlen(text), f) != strlen(text) || fclose(f) != 0)
        abort();
    return path;
}

static inline int64_t value_of(struct ledger *l, const char *sql)
{
    int64_t v = 0;
    if (ledger_value(l, sql, &v) != DP_OK)
        abort();
    return v;
}

#endif
