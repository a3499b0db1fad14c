/* SPDX-License-Identifier: Apache-2.0 */
#include "software.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <psa/crypto.h>

void dp_software_digest(uint8_t digest[32])
{
    psa_hash_operation_t hash = PSA_HASH_OPERATION_INIT;
    uint8_t block[16384];
    size_t n = 0;
    ssize_t got = -1;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    memset(digest, 0, 32);
    if (fd < 0)
        return;
    if (psa_hash_setup(&hash, PSA_ALG_SHA_256) == PSA_SUCCESS)
        while ((got = read(fd, block, sizeof block)) > 0 &&
               psa_hash_update(&hash, block, (size_t)got) == PSA_SUCCESS)
            ;
    if (got != 0 || psa_hash_finish(&hash, digest, 32, &n) != PSA_SUCCESS)
        memset(digest, 0, 32);
    (void)psa_hash_abort(&hash);
    (void)close(fd);
}
