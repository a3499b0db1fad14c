/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include <doorpay/base.h>

#include "base/assert.h"

static int64_t ms_of(clockid_t id)
{
    struct timespec t;
    DP_ASSERT(clock_gettime(id, &t) == 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t system_wall(void *ctx)
{
    (void)ctx;
    return ms_of(CLOCK_REALTIME);
}

static int64_t system_mono(void *ctx)
{
    (void)ctx;
    return ms_of(CLOCK_BOOTTIME);
}

static enum dp_clock_quality system_quality(void *ctx)
{
    (void)ctx;
    return DP_CLOCK_SET;
}

const struct dp_clock *dp_clock_system(void)
{
    static const struct dp_clock clock = {NULL, system_wall, system_mono, system_quality};
    return &clock;
}

/* Days since 1970-01-01 of a Gregorian date; years start in March so that the leap day is last. */
static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
    if (m <= 2)
        y--;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

void dp_date_time_from_ms(int64_t wall_ms, int utc_offset_min, struct dp_date_time *out)
{
    int64_t s = wall_ms / 1000 + (int64_t)utc_offset_min * 60;
    if (wall_ms % 1000 < 0)
        s--;
    int64_t days = s >= 0 ? s / 86400 : -((86399 - s) / 86400);
    int64_t rest = s - days * 86400;
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    out->day = (uint8_t)(doy - (153 * mp + 2) / 5 + 1);
    out->month = (uint8_t)(mp < 10 ? mp + 3 : mp - 9);
    out->year = (uint16_t)((int64_t)yoe + era * 400 + (out->month <= 2 ? 1 : 0));
    out->hour = (uint8_t)(rest / 3600);
    out->minute = (uint8_t)(rest / 60 % 60);
    out->second = (uint8_t)(rest % 60);
}

int64_t dp_date_time_to_ms(const struct dp_date_time *t, int utc_offset_min)
{
    int64_t s =
        days_of(t->year, t->month, t->day) * 86400 + t->hour * 3600 + t->minute * 60 + t->second;
    return (s - (int64_t)utc_offset_min * 60) * 1000;
}

bool dp_is_date(uint32_t yyyymmdd)
{
    static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint32_t year = yyyymmdd / 10000, month = yyyymmdd / 100 % 100, day = yyyymmdd % 100;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return year >= 1000 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 &&
           day <= days[month - 1] && (month != 2 || leap || day < 29);
}
