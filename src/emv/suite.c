/* SPDX-License-Identifier: Apache-2.0 */
#include "suite.h"

#define ECC_FORMAT_ISSUER 0x12
#define ECC_FORMAT_ICC    0x14
#define ECC_ENCODING      0x00 /* the format's second byte */

enum oda_suite oda_suite_of_certificate(struct dp_bytes certificate, enum oda_holder holder,
                                        size_t signer_n)
{
    uint8_t format = holder == ODA_HOLDER_ISSUER ? ECC_FORMAT_ISSUER : ECC_FORMAT_ICC;
    /* an RSA certificate is a number, which may begin with any bytes: its length tells first */
    if (certificate.n != signer_n && certificate.n >= 2 && certificate.p[0] == format &&
        certificate.p[1] == ECC_ENCODING)
        return ODA_SUITE_ECC;
    return ODA_SUITE_RSA;
}

/* EMV 4.4 Book 2, B2.4 */
enum oda_suite oda_suite_of_key(uint8_t indicator)
{
    static const struct {
        uint8_t indicator;
        enum oda_suite suite;
    } suites[] = {
        {0x01, ODA_SUITE_RSA}, /* SHA-1 */
        {0x10, ODA_SUITE_ECC}, /* P-256, SHA-256 */
        {0x11, ODA_SUITE_ECC}, /* P-521, SHA-512 */
        {0x12, ODA_SUITE_ECC}, /* P-256, SHA3-256 */
        {0x13, ODA_SUITE_ECC}, /* P-521, SHA3-512 */
    };
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
        if (suites[i].indicator == indicator)
            return suites[i].suite;
    return ODA_SUITE_UNKNOWN;
}
