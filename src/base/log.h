/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DP_BASE_LOG_H
#define DP_BASE_LOG_H

#include <doorpay/base.h>

/* One line to the log. Runs of 12 to 19 digits come out masked, so that a PAN that slipped into
 * an argument does not reach the log in clear. */
void dp_log(enum dp_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The program's name put before each line on standard error; static lifetime wanted. */
void dp_log_name(const char *name);

#endif
