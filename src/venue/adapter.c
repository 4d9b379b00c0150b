#include "venue/adapter.h"

#include <string.h>

const tf_adapter_ops_t *const tf_adapters[] = {&tf_adapter_coinbase, NULL};

const tf_adapter_ops_t *tf_adapter_find(const char *venue, size_t bytes)
{
    for (size_t i = 0; tf_adapters[i] != NULL; i++) {
        const char *name = tf_adapters[i]->venue;
        if (strlen(name) == bytes && memcmp(name, venue, bytes) == 0)
            return tf_adapters[i];
    }
    return NULL;
}

/* The number in `count` digits; -1 when one of them is none. */
static int number(const char *text, size_t count)
{
    int value = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

static int days_in_month(int year, int month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* Days from 1970-01-01, proleptic Gregorian, for years from 1. The year is taken to begin in March,
 * so that the leap day is its last; 153 days are five months from there on. */
static int64_t days_from_epoch(int year, int month, int day)
{
    int march_year = month > 2 ? year : year - 1;
    int march_month = month > 2 ? month - 3 : month + 9;
    int64_t leap_days = march_year / 4 - march_year / 100 + march_year / 400;
    return 365 * (int64_t)march_year + leap_days + (153 * march_month + 2) / 5 + day - 1 - 719468;
}

/* ".f" to ".fffffffff" as nanoseconds, or none; -1 when malformed. */
static int64_t fraction_ns(const char *text, size_t bytes)
{
    enum { DIGITS_MAX = 9 };
    if (bytes == 0)
        return 0;
    if (text[0] != '.' || bytes < 2 || bytes > DIGITS_MAX + 1)
        return -1;
    int64_t ns = number(text + 1, bytes - 1);
    for (size_t digits = bytes - 1; ns > 0 && digits < DIGITS_MAX; digits++)
        ns *= 10;
    return ns;
}

bool tf_time_parse_rfc3339(tf_slice_t text, int64_t *out_ns)
{
    enum {
        SECONDS_END = 19,
        YEAR_FIRST = 1970,
        YEAR_LAST = 2261 /* the last whole one in int64 ns */
    };
    const char *t = text.text;
    if (text.bytes <= SECONDS_END || t[text.bytes - 1] != 'Z' || t[4] != '-' || t[7] != '-' ||
        t[10] != 'T' || t[13] != ':' || t[16] != ':')
        return false;
    int year = number(t, 4), month = number(t + 5, 2), day = number(t + 8, 2);
    int hour = number(t + 11, 2), minute = number(t + 14, 2), second = number(t + 17, 2);
    int64_t ns = fraction_ns(t + SECONDS_END, text.bytes - 1 - SECONDS_END);
    if (year < 0 || year > YEAR_LAST || month < 1 || month > 12 || day < 1 ||
        day > days_in_month(year, month))
        return false;
    /* RFC 3339 section 5.7: a leap second is written as :60. */
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 || ns < 0)
        return false;
    if (year < YEAR_FIRST) {
        *out_ns = TF_TIME_NONE;
        return true;
    }
    int64_t hours = days_from_epoch(year, month, day) * 24 + hour;
    int64_t seconds = (hours * 60 + minute) * 60 + second;
    *out_ns = seconds * 1000000000 + ns;
    return true;
}
