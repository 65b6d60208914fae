#include "rocketchat/rc_date.h"
#include "rocketchat/json_fields_internal.h"
#include <stdio.h>
#include <time.h>

/* JavaScript's own limit: 100 million days to either side of 1970. */
#define DATE_MAX_MS INT64_C(8640000000000000)

/* 0000-01-01 and 9999-12-31T23:59:59.999Z: four digits hold no other years. */
#define FIRST_ISO_MS INT64_C(-62167219200000)
#define LAST_ISO_MS INT64_C(253402300799999)

enum { BAD_ZONE = 24 * 60 };

/* Days from 1970-01-01 to the first of a month, Gregorian; years count from March so that the leap
 * day is the last of its year. */
static int64_t days_before(int year, int month)
{
    static const int16_t before[] = {306, 337, 0, 31, 61, 92, 122, 153, 184, 214, 245, 275};
    int64_t y = month <= 2 ? year - 1 : year;

    return y * 365 + y / 4 - y / 100 + y / 400 + before[month - 1] - 719468;
}

static int days_in(int year, int month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* Exactly n digits at *p, then the byte after (0: any), which is consumed too. -1: not so. */
static int number(struct slice *s, size_t n, char after)
{
    int value = 0;

    if (s->len < n + (after != 0))
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '9')
            return -1;
        value = value * 10 + (s->ptr[i] - '0');
    }
    if (after != 0 && s->ptr[n] != after)
        return -1;
    n += after != 0;
    s->ptr += n;
    s->len -= n;
    return value;
}

/* Milliseconds of ".123456"; -1: bad. Nothing there: 0. */
static int fraction(struct slice *s)
{
    int ms = 0;
    size_t digits = 0;

    if (s->len == 0 || s->ptr[0] != '.')
        return 0;
    s->ptr++, s->len--;
    for (; s->len > 0 && s->ptr[0] >= '0' && s->ptr[0] <= '9'; s->ptr++, s->len--, digits++)
        if (digits < 3)
            ms = ms * 10 + (s->ptr[0] - '0');
    if (digits == 0 || digits > 9)
        return -1;
    for (; digits < 3; digits++)
        ms *= 10;
    return ms;
}

/* Minutes east of Greenwich. */
static int zone_minutes(struct slice s)
{
    char sign;
    int hours, minutes;

    if (slice_eq(s, SLICE_LIT("Z")))
        return 0;
    if (s.len != 6 || (s.ptr[0] != '+' && s.ptr[0] != '-'))
        return BAD_ZONE;
    sign = s.ptr[0];
    s.ptr++, s.len--;
    hours = number(&s, 2, ':');
    minutes = number(&s, 2, 0);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return BAD_ZONE;
    return sign == '+' ? hours * 60 + minutes : -(hours * 60 + minutes);
}

int64_t rc_date_of_iso(struct slice s)
{
    int year = number(&s, 4, '-'), month = year < 0 ? -1 : number(&s, 2, '-');
    int day = month < 0 ? -1 : number(&s, 2, 'T'), hour = day < 0 ? -1 : number(&s, 2, ':');
    int minute = hour < 0 ? -1 : number(&s, 2, ':'), second = minute < 0 ? -1 : number(&s, 2, 0);
    int ms = second < 0 ? -1 : fraction(&s), zone = ms < 0 ? BAD_ZONE : zone_minutes(s);
    int64_t days;

    if (zone == BAD_ZONE || year == 0 || month < 1 || month > 12 || day < 1 ||
        day > days_in(year, month) || hour > 23 || minute > 59 || second > 59)
        return RC_NO_DATE;
    days = days_before(year, month) + day - 1;
    return (((days * 24 + hour) * 60 + minute - zone) * 60 + second) * 1000 + ms;
}

/* An integer in range; fractions and exponents are no dates. */
static int64_t ms_of(struct slice number_text)
{
    const bool negative = slice_cut_prefix(&number_text, SLICE_LIT("-"));
    uint64_t value;

    if (!slice_read_digits(number_text, DATE_MAX_MS, &value))
        return RC_NO_DATE;
    return negative ? -(int64_t)value : (int64_t)value;
}

int64_t rc_date_read(struct json_reader *r)
{
    int64_t ms = RC_NO_DATE;
    struct json_key key;
    struct slice text;

    switch (json_peek(r)) {
    case JSON_KIND_STRING:
        return json_read_string(r, &text) ? rc_date_of_iso(text) : RC_NO_DATE;
    case JSON_KIND_OBJECT:
        json_enter_object(r);
        while (json_next_plain_key(r, &key)) {
            if (!json_key_is(&key, "$date"))
                json_skip(r);
            else
                ms = json_read_if(r, JSON_KIND_NUMBER, &text) ? ms_of(text) : RC_NO_DATE;
        }
        return ms;
    default:
        json_skip(r);
        return RC_NO_DATE;
    }
}

bool rc_date_iso(int64_t ms, char out[RC_DATE_ISO_SIZE])
{
    time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0));
    char day[RC_DATE_ISO_SIZE];
    struct tm tm;

    if (ms < FIRST_ISO_MS || ms > LAST_ISO_MS || gmtime_r(&seconds, &tm) == NULL)
        return false;
    strftime(day, sizeof day, "%m-%dT%H:%M:%S", &tm);
    return snprintf(out, RC_DATE_ISO_SIZE, "%04d-%s.%03dZ", tm.tm_year + 1900, day,
                    (int)(ms - (int64_t)seconds * 1000)) == RC_DATE_ISO_SIZE - 1;
}

void rc_date_to_iso(int64_t ms, char out[RC_DATE_ISO_SIZE])
{
    rc_date_iso(ms < 0 ? 0 : ms > LAST_ISO_MS ? LAST_ISO_MS : ms, out);
}
