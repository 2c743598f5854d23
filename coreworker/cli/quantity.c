/*
 * Quantities (quantity.h).
 */
#include "cli/quantity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "raia/error.h"

static const struct {
    const char *text;
    double factor;
} suffixes[] = {
    {"", 1},
    {"n", 1e-9},
    {"u", 1e-6},
    {"m", 1e-3},
    {"k", 1e3},
    {"M", 1e6},
    {"G", 1e9},
    {"T", 1e12},
    {"P", 1e15},
    {"E", 1e18},
    {"Ki", 1024.0},
    {"Mi", 1048576.0},
    {"Gi", 1073741824.0},
    {"Ti", 1099511627776.0},
    {"Pi", 1125899906842624.0},
    {"Ei", 1152921504606846976.0},
};

int quantity_parse(const char *text, double *ret_v)
{
    /* strtod takes more than a quantity may be (hex, inf, nan, blanks): digits must come first. */
    const char *p = text + (*text == '-' || *text == '+');
    if (strspn(p, "0123456789.") == 0)
        return -RAIA_ERR_INVALID;
    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
        return -RAIA_ERR_INVALID;
    char *end;
    double v = strtod(text, &end);
    if (end == text || !isfinite(v))
        return -RAIA_ERR_INVALID;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (strcmp(end, suffixes[i].text) == 0) {
            *ret_v = v * suffixes[i].factor;
            return 0;
        }
    }
    return -RAIA_ERR_INVALID;
}

int quantity_of(const struct json *n, double *ret_v)
{
    if (json_is(n, JSON_NUMBER))
        return json_double(n, ret_v);
    return json_str(n) ? quantity_parse(json_str(n), ret_v) : -RAIA_ERR_INVALID;
}
