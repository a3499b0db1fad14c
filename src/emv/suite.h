/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which cryptography a certificate is made with, and the key in it: asked here, and nowhere else.
 * RSA certificates are recovered from their signature; those of elliptic curves (XDA) stand in
 * clear before it, with a format of their own. A suite that this kernel has no code for is a result
 * with a name: the card is not authenticated.
 */
#ifndef DP_EMV_SUITE_H
#define DP_EMV_SUITE_H

#include <doorpay/base.h>

enum oda_suite {
    ODA_SUITE_UNKNOWN = 0,
    ODA_SUITE_RSA,
    ODA_SUITE_ECC /* EC-SDSA: known by name alone */
};

/* What is signed: the issuer's key, or the card's. */
enum oda_holder {
    ODA_HOLDER_ISSUER,
    ODA_HOLDER_ICC
};

/* Of a certificate as the card gave it. signer_n: bytes of the signer's RSA modulus, which an RSA
 * certificate has too; 0: no such key. */
DP_MUST_USE DP_PARSES enum oda_suite
oda_suite_of_certificate(struct dp_bytes certificate, enum oda_holder holder, size_t signer_n);
/* Of the key in a certificate, by its algorithm indicator. */
DP_MUST_USE enum oda_suite oda_suite_of_key(uint8_t indicator);

#endif
