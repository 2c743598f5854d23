/*
 * Numbers with and without units.
 */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raia/error.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
    {"PiB", UINT64_C(1) << 50},
    {"Ki", UINT64_C(1) << 10},
    {"Mi", UINT64_C(1) << 20},
    {"Gi", UINT64_C(1) << 30},
    {"Ti", UINT64_C(1) << 40},
    {"Pi", UINT64_C(1) << 50},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", 1000000000000},
    {"PB", 1000000000000000},
    {"K", 1000},
    {"k", 1000},
    {"M", 1000000},
    {"G", 1000000000},
    {"T", 1000000000000},
    {"P", 1000000000000000},
    {"B", 1},
    {"", 1},
};
#define SIZE_UNITS_WRITTEN 5

static const struct unit duration_units[] = {
    {"d", UINT64_C(86400000000000)},
    {"h", UINT64_C(3600000000000)},
    {"m", UINT64_C(60000000000)},
    {"s", 1000000000},
    {"ms", 1000000},
    {"us", 1000},
    {"ns", 1},
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

bool str_starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && !strcmp(s + n - m, suffix);
}

/* Reads the digits that s begins with; *ret_rest is what comes after them. */
static int digits(const char *s, uint64_t *ret_v, const char **ret_rest)
{
    uint64_t v = 0;
    const char *p = s;

    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v))
            return -RAIA_ERR_LIMIT;
    if (p == s)
        return -RAIA_ERR_INVALID;
    *ret_v = v;
    *ret_rest = p;
    return 0;
}

int str_to_u64(const char *s, uint64_t *ret_v)
{
    uint64_t v = 0;
    const char *rest = "";
    int r = digits(s, &v, &rest);

    if (r < 0)
        return r;
    if (*rest)
        return -RAIA_ERR_INVALID;
    *ret_v = v;
    return 0;
}

int str_to_i64(const char *s, int64_t *ret_v)
{
    bool negative = *s == '-';
    uint64_t v = 0;
    int r = str_to_u64(s + negative, &v);

    if (r < 0)
        return r;
    if (v > (uint64_t)INT64_MAX + negative)
        return -RAIA_ERR_LIMIT;
    *ret_v = negative ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

int str_to_double(const char *s, double *ret_v)
{
    locale_t c;
    char *end;
    double v;
    int saved = errno;

    /* strtod alone would take blanks, hexadecimal, inf and nan. */
    if (!*s || strspn(s, "+-.0123456789eE") != strlen(s))
        return -RAIA_ERR_INVALID;
    c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c == (locale_t)0)
        return -RAIA_ERR_NOMEM;
    v = strtod_l(s, &end, c);
    freelocale(c);
    errno = saved;
    if (*end || end == s)
        return -RAIA_ERR_INVALID;
    if (!isfinite(v))
        return -RAIA_ERR_LIMIT;
    *ret_v = v;
    return 0;
}

int str_to_bool(const char *s, bool *ret_v)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};

    for (size_t i = 0; i < COUNT(words); i++)
        if (!strcmp(s, words[i])) {
            *ret_v = i % 2;
            return 0;
        }
    return -RAIA_ERR_INVALID;
}

static int with_unit(const char *s, const struct unit *units, size_t n, uint64_t *ret_v)
{
    const char *rest = "";
    uint64_t v = 0;
    int r = digits(s, &v, &rest);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        if (!strcmp(rest, units[i].name))
            return __builtin_mul_overflow(v, units[i].factor, ret_v) ? -RAIA_ERR_LIMIT : 0;
    return -RAIA_ERR_INVALID;
}

int str_to_size(const char *s, uint64_t *ret_bytes)
{
    uint64_t v = 0;
    int r = with_unit(s, size_units, COUNT(size_units), &v);

    if (r == 0)
        *ret_bytes = v;
    return r;
}

int str_to_duration(const char *s, int64_t *ret_ns)
{
    uint64_t v = 0;
    int r = strcmp(s, "0") ? with_unit(s, duration_units, COUNT(duration_units), &v) : 0;

    if (r < 0)
        return r;
    if (v > INT64_MAX)
        return -RAIA_ERR_LIMIT;
    *ret_ns = (int64_t)v;
    return 0;
}

char *str_from_double(double v, char to[STR_NUMBER_MAX])
{
    double back;
    char *p;

    for (int precision = 15; precision <= 17; precision += 2) {
        snprintf(to, STR_NUMBER_MAX, "%.*g", precision, v);
        /* The locale's decimal point, which may be several bytes, becomes a '.'. */
        p = to + strspn(to, "+-0123456789");
        if (isfinite(v) && *p && *p != 'e' && *p != '.') {
            size_t point = strcspn(p, "+-0123456789e");
            *p = '.';
            memmove(p + 1, p + point, strlen(p + point) + 1);
        }
        if (!isfinite(v) || (str_to_double(to, &back) == 0 && back == v))
            break;
    }
    return to;
}

static char *write_unit(uint64_t v, const struct unit *units, size_t n, bool ascending,
                        const char *none, char to[STR_NUMBER_MAX])
{
    for (size_t i = 0; v && i < n; i++) {
        const struct unit *u = &units[ascending ? n - 1 - i : i];
        if (v % u->factor == 0) {
            snprintf(to, STR_NUMBER_MAX, "%" PRIu64 "%s", v / u->factor, u->name);
            return to;
        }
    }
    snprintf(to, STR_NUMBER_MAX, "%" PRIu64 "%s", v, none);
    return to;
}

char *str_from_size(uint64_t bytes, char to[STR_NUMBER_MAX])
{
    return write_unit(bytes, size_units, SIZE_UNITS_WRITTEN, true, "", to);
}

char *str_from_duration(int64_t ns, char to[STR_NUMBER_MAX])
{
    return write_unit(ns < 0 ? 0 : (uint64_t)ns, duration_units, COUNT(duration_units), false, "s",
                      to);
}
