/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/pan.h"

#define LINE_MAX_BYTES 1024

static struct {
    dp_log_sink *sink;
    void *ctx;
    enum dp_log_level most;
    const char *name;
} log_to = {NULL, NULL, DP_LOG_INFO, "doorpay"};

void dp_log_set(dp_log_sink *sink, void *ctx, enum dp_log_level most)
{
    log_to.sink = sink;
    log_to.ctx = ctx;
    log_to.most = most;
}

void dp_log_name(const char *name)
{
    log_to.name = name;
}

void dp_log(enum dp_log_level level, const char *format, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    char line[LINE_MAX_BYTES];
    va_list args;
    if (level > log_to.most)
        return;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    dp_pan_mask_text(line);
    for (char *c = line; *c != '\0'; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    if (log_to.sink != NULL)
        log_to.sink(log_to.ctx, level, line);
    else
        (void)fprintf(stderr, "%s: %s: %s\n", log_to.name, names[level], line);
}
