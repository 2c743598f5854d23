/*
 * Kubernetes' quantities.
 */
#include "api/quantity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MOST (INT64_MAX / 2)

/* A suffix and what one of it is in thousandths: times/divided. */
static const struct {
    const char *name; /* as it is written */
    int64_t times;    /* thousandths of one, at least 1 */
    int64_t divide;   /* and divided by this */
} suffixes[] = {
    {"", 1000, 1},
    {"m", 1, 1},
    {"u", 1, 1000},
    {"n", 1, 1000000},
    {"k", 1000000, 1},
    {"M", 1000000000, 1},
    {"G", 1000000000000, 1},
    {"T", 1000000000000000, 1},
    {"P", 1000000000000000000, 1},
    {"Ki", 1000LL << 10, 1},
    {"Mi", 1000LL << 20, 1},
    {"Gi", 1000LL << 30, 1},
    {"Ti", 1000LL << 40, 1},
    {"Pi", 1000LL << 50, 1},
};

/* 10^n as a double is exact up to 22. */
static int exponent(const char *p, int *ret_n)
{
    int n = 0, sign = 1, digits = 0;

    if (*p == '+' || *p == '-')
        sign = *p++ == '-' ? -1 : 1;
    for (; *p >= '0' && *p <= '9' && digits < 3; p++, digits++)
        n = n * 10 + (*p - '0');
    if (*p || digits == 0 || n > 18)
        return digits == 0 || *p ? -RAIA_ERR_INVALID : -RAIA_ERR_LIMIT;
    *ret_n = sign * n;
    return 0;
}

static int scale(__int128 mantissa, int fraction_digits, int64_t times, int64_t divide,
                 int64_t *ret_milli)
{
    __int128 v = mantissa * times, by = divide;

    for (; fraction_digits > 0; fraction_digits--)
        by *= 10;
    v = (v + by - 1) / by; /* rounded up */
    if (v > MOST)
        return -RAIA_ERR_LIMIT;
    *ret_milli = (int64_t)v;
    return 0;
}

int quantity_parse(const char *text, int64_t *ret_milli)
{
    __int128 mantissa = 0;
    bool negative = false, dot = false;
    int digits = 0, fraction = 0, exp = 0, r;
    const char *p = text;

    if (*p == '+' || *p == '-')
        negative = *p++ == '-';
    for (; (*p >= '0' && *p <= '9') || (*p == '.' && !dot); p++) {
        if (*p == '.') {
            dot = true;
            continue;
        }
        digits++;
        if (dot && fraction >= 9) /* finer than a billionth: only that there is something counts */
            continue;
        if (mantissa > MOST / 10)
            return -RAIA_ERR_LIMIT;
        mantissa = mantissa * 10 + (*p - '0');
        fraction += dot;
    }
    if (digits == 0)
        return -RAIA_ERR_INVALID;
    if ((*p == 'e' || *p == 'E') && p[1] && strcmp(p, "Ei") != 0) {
        r = exponent(p + 1, &exp);
        if (r < 0)
            return r;
        int64_t ten = 1;
        for (int i = 0; i < (exp < 0 ? -exp : exp); i++)
            ten *= 10;
        if (exp >= 0 && ten > MOST / 1000)
            return -RAIA_ERR_LIMIT;
        r = exp < 0 ? scale(mantissa, fraction, 1000, ten, ret_milli)
                    : scale(mantissa, fraction, ten * 1000, 1, ret_milli);
    } else {
        r = -RAIA_ERR_INVALID;
        for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
            if (strcmp(p, suffixes[i].name) == 0) {
                r = scale(mantissa, fraction, suffixes[i].times, suffixes[i].divide, ret_milli);
                break;
            }
        }
        if (r == -RAIA_ERR_INVALID && (strcmp(p, "E") == 0 || strcmp(p, "Ei") == 0))
            r = -RAIA_ERR_LIMIT;
    }
    if (r == 0 && negative)
        *ret_milli = -*ret_milli;
    return r;
}

int quantity_read(const struct json *node, int64_t *ret_milli)
{
    char digits[64];
    const char *text = json_str(node);

    if (!node || json_is(node, JSON_NULL)) {
        *ret_milli = 0;
        return 0;
    }
    if (!text) {
        if (json_number_text(node, digits, sizeof digits) < 0)
            return -RAIA_ERR_INVALID;
        text = digits;
    }
    return quantity_parse(text, ret_milli);
}

char *quantity_text(int64_t milli, bool binary, char to[QUANTITY_SIZE])
{
    static const char *const binaries[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi"};
    static const char *const decimals[] = {"m", "", "k", "M", "G", "T", "P"};
    int64_t v = milli;
    unsigned i = 0;

    if (binary && milli % 1000 == 0) {
        v = milli / 1000;
        while (v != 0 && v % 1024 == 0 && i + 1 < sizeof binaries / sizeof binaries[0]) {
            v /= 1024;
            i++;
        }
        snprintf(to, QUANTITY_SIZE, "%" PRId64 "%s", v, binaries[i]);
        return to;
    }
    while (v != 0 && v % 1000 == 0 && i + 1 < sizeof decimals / sizeof decimals[0]) {
        v /= 1000;
        i++;
    }
    snprintf(to, QUANTITY_SIZE, "%" PRId64 "%s", v, v == 0 ? "" : decimals[i]);
    return to;
}

static void count(int64_t *sum, const struct json *node)
{
    int64_t v = 0;

    if (quantity_read(node, &v) < 0 || v < 0)
        return;
    *sum = *sum > MOST - v ? MOST : *sum + v;
}

/* Is `name` what is asked for: the same, or when `suffix`, ending in it. */
static bool matches(const char *name, const char *wanted, bool suffix)
{
    size_t n = strlen(name), w = strlen(wanted);

    return suffix ? n >= w && strcmp(name + n - w, wanted) == 0 : strcmp(name, wanted) == 0;
}

static int64_t sum_of(const struct json *template_node, const char *wanted, bool suffix)
{
    int64_t sum = 0;

    JSON_FOREACH(c, json_get(json_get(template_node, "spec"), "containers"))
    {
        const struct json *resources = json_get(c, "resources");
        const struct json *requests = json_get(resources, "requests");

        JSON_FOREACH(item, requests)
        {
            if (matches(json_key(item), wanted, suffix))
                count(&sum, item);
        }
        JSON_FOREACH(item, json_get(resources, "limits"))
        {
            if (matches(json_key(item), wanted, suffix) && !json_get(requests, json_key(item)))
                count(&sum, item);
        }
    }
    return sum;
}

int64_t quantity_of_pod(const struct json *template_node, const char *name)
{
    return sum_of(template_node, name, false);
}

int64_t quantity_of_pod_like(const struct json *template_node, const char *suffix)
{
    return sum_of(template_node, suffix, true);
}
