/* SPDX-License-Identifier: Apache-2.0 */
#include <doorpay/base.h>

static const struct {
    int err;
    const char *text;
} texts[] = {
    {DP_OK, "no error"},
    {DP_ERR_ARG, "argument out of range"},
    {DP_ERR_STATE, "not permitted in this state"},
    {DP_ERR_SPACE, "buffer too small"},
    {DP_ERR_LIMIT, "limit exceeded"},
    {DP_ERR_SHORT, "data ends too early"},
    {DP_ERR_TRAILING, "data left over at the end"},
    {DP_ERR_FORMAT, "malformed data"},
    {DP_ERR_MISSING, "required element missing"},
    {DP_ERR_DUPLICATE, "element given twice"},
    {DP_ERR_RANGE, "value out of range"},
    {DP_ERR_MISMATCH, "values do not agree"},
    {DP_ERR_UNSUPPORTED, "not supported"},
    {DP_ERR_NOT_FOUND, "not found"},
    {DP_ERR_SIGNATURE, "signature or MAC does not verify"},
    {DP_ERR_TAMPERED, "stored data was tampered with"},
    {DP_ERR_ROLLBACK, "stored data is older than the key store says"},
    {DP_ERR_DENIED, "not allowed"},
    {DP_ERR_EXPIRED, "expired"},
    {DP_ERR_IO, "input/output failed"},
    {DP_ERR_FULL, "no space left"},
    {DP_ERR_TIMEOUT, "timed out"},
    {DP_ERR_GONE, "device or peer went away"},
    {DP_ERR_BUSY, "busy"},
    {DP_ERR_CANCELLED, "cancelled"},
    {DP_ERR_UNREACHABLE, "peer cannot be reached"},
    {DP_ERR_TOKEN, "key store failed"},
    {DP_ERR_NOMEM, "out of memory"},
    {DP_ERR_RANDOM, "random source failed"},
    {DP_ERR_CRYPTO, "cryptographic operation failed"},
    {DP_ERR_INTERNAL, "internal error"},
};

const char *dp_strerr(int err)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].err == err)
            return texts[i].text;
    return "unknown error";
}
