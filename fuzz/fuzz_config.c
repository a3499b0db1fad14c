/* SPDX-License-Identifier: Apache-2.0 */
/* doorpayd.conf, from memory and from a file: both say the same, and an error names its place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "doorpayd/config.h"

#define TEXT_MAX 70000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static int from_file(const uint8_t *data, size_t size, struct dp_config *c, char *error, size_t n)
{
    char path[64];
    int err, fd = memfd_create("config", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    err = dp_config_load(path, c, error, n);
    (void)close(fd);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dp_config a, b;
    char error[256] = "", file_error[512] = "";
    char *text;
    int err, file_err;
    if (size > TEXT_MAX)
        return 0;
    file_err = from_file(data, size, &b, file_error, sizeof file_error);
    must(file_err == DP_OK || strncmp(file_error, "/proc/self/fd/", 14) == 0);
    if (memchr(data, '\0', size) != NULL || size > 65536) {
        must(file_err == DP_ERR_FORMAT);
        return 0;
    }
    text = malloc(size + 1);
    must(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    err = dp_config_parse("F", text, &a, error, sizeof error);
    must(err == file_err);
    if (err == DP_OK) {
        must(a.journal_dir[0] != '\0' && a.till_socket[0] != '\0');
        must(a.allow_uids_n <= DP_CONFIG_UIDS_MAX && memcmp(&a, &b, sizeof a) == 0);
    } else {
        must(strncmp(error, "F:", 2) == 0);
    }
    free(text);
    return 0;
}
