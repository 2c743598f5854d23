/*
 * RFC 3339.
 */
#include "kube/wall_time.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "raia/error.h"

static char *write_time(int64_t unix_ms, bool micro, char to[KUBE_WALL_TIME_SIZE])
{
    time_t s = (time_t)(unix_ms / 1000);
    struct tm tm;
    char fraction[16] = "";
    gmtime_r(&s, &tm);
    if (micro)
        snprintf(fraction, sizeof fraction, ".%06d", (int)(unix_ms % 1000) * 1000);
    snprintf(to, KUBE_WALL_TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fraction);
    return to;
}

char *kube_wall_time(int64_t unix_ms, char to[KUBE_WALL_TIME_SIZE])
{
    return write_time(unix_ms, false, to);
}

char *kube_wall_time_micro(int64_t unix_ms, char to[KUBE_WALL_TIME_SIZE])
{
    return write_time(unix_ms, true, to);
}

int kube_wall_time_read(const char *text, int64_t *ret_unix_ms)
{
    struct tm tm = {0};
    int n = 0, ms = 0, scale = 100, year = 0, month = 0;
    if (!text || sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &month, &tm.tm_mday, &tm.tm_hour,
                        &tm.tm_min, &tm.tm_sec, &n) != 6)
        return -RAIA_ERR_INVALID;
    if (text[n] == '.')
        for (n++; text[n] >= '0' && text[n] <= '9'; n++, scale /= 10)
            ms += (text[n] - '0') * scale;
    if (strcmp(text + n, "Z") != 0 || month < 1 || month > 12)
        return -RAIA_ERR_INVALID; /* the API server always writes UTC */
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    *ret_unix_ms = (int64_t)timegm(&tm) * 1000 + ms;
    return 0;
}
