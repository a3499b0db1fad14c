/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate request of a TLS client key, signed inside the key store. */
#ifndef DP_CLI_CSR_H
#define DP_CLI_CSR_H

#include <doorpay/hsm.h>

#define CSR_PEM_MAX 1024

/* 8 printable characters. */
bool csr_tid_ok(const char *tid);

/* key: the one in use or the one to come. PKCS#10 (RFC 2986) with the subject CN=tid, in PEM,
 * terminated. DP_ERR_ARG: tid is not 8 printable characters; the key store's errors. */
DP_MUST_USE int csr_make(struct dp_hsm *hsm, enum dp_hsm_key key, const char *tid,
                         char pem[CSR_PEM_MAX]);

#endif
