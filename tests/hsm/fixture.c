/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct {
    const char *kind, *where; /* what stands behind the directory in the URI */
    struct dp_hsm_caps caps;
} kinds[] = {
    {"soft", "/keys", {true, true, true, true, true, true, "soft"}},
};

int fixture_make(const char *kind, struct fixture *f)
{
    memset(f, 0, sizeof *f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/dp-hsm-XXXXXX");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].kind, kind) != 0)
            continue;
        if (mkdtemp(f->dir) == NULL)
            return -1;
        f->caps = kinds[i].caps;
        (void)snprintf(f->uri, sizeof f->uri, "%s:%s%s", kind, f->dir, kinds[i].where);
        return dp_hsm_provision(f->uri) == DP_OK && dp_hsm_open(f->uri, &f->hsm) == DP_OK ? 0 : -1;
    }
    return -1;
}

void fixture_remove(struct fixture *f)
{
    char command[96];
    dp_hsm_free(&f->hsm);
    (void)snprintf(command, sizeof command, "rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
}

void fixture_reopen(struct fixture *f)
{
    dp_hsm_free(&f->hsm);
    assert_null(f->hsm);
    assert_int_equal(dp_hsm_open(f->uri, &f->hsm), DP_OK);
}
