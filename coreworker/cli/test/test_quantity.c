/*
 * Kubernetes quantities.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "cli/quantity.h"

static double value(const char *text)
{
    double v = -1;
    cr_assert(quantity_parse(text, &v) == 0, "'%s'", text);
    return v;
}

/* Every suffix has the factor that Kubernetes gives it, and exponents are numbers. */
Test(quantity, suffixes)
{
    static const struct {
        const char *text;
        double v;
    } good[] = {{"2", 2},      {"500m", 0.5},  {"1.5Gi", 1.5 * 1073741824.0},
                {"3e2", 300},  {"3E2", 300},   {"1k", 1000},
                {"1Ki", 1024}, {"2M", 2e6},    {"2Mi", 2097152},
                {"1G", 1e9},   {"1T", 1e12},   {"1Ti", 1099511627776.0},
                {"1P", 1e15},  {"100n", 1e-7}, {"7u", 7e-6},
                {".5", 0.5},   {"5.", 5},      {"+1", 1},
                {"-1", -1},    {"1E", 1e18},   {"1Ei", 1152921504606846976.0},
                {"0", 0},      {"1e-3", 1e-3}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(fabs(value(good[i].text) - good[i].v) <= good[i].v * 1e-12 + 1e-18 ||
                      value(good[i].text) == good[i].v,
                  "'%s' is %.17g", good[i].text, value(good[i].text));
}

/* What is no quantity is refused, also what strtod would take. */
Test(quantity, refusals)
{
    static const char *const bad[] = {"",    "x",     "1x",   "1 Gi", " 1",  "1 ",  "0x10",
                                      "inf", "nan",   "Gi",   "-",    "1gi", "1KI", "1e999",
                                      "--1", "1.2.3", "1Gi ", "+",    "1,5", "."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double v = 7;
        cr_assert(quantity_parse(bad[i], &v) == -RAIA_ERR_INVALID, "'%s'", bad[i]);
        cr_assert(v == 7, "'%s' wrote its result", bad[i]);
    }
}

/* Numbers are as good as texts; other types are not. */
Test(quantity, of_json)
{
    struct json *o = json_new_object();
    double v;
    cr_assert(json_set_int(o, "i", 4) == 0 && json_set_double(o, "d", 0.25) == 0);
    cr_assert(json_set_str(o, "s", "2Ki") == 0 && json_set_bool(o, "b", true) == 0);
    cr_assert(quantity_of(json_get(o, "i"), &v) == 0 && v == 4);
    cr_assert(quantity_of(json_get(o, "d"), &v) == 0 && v == 0.25);
    cr_assert(quantity_of(json_get(o, "s"), &v) == 0 && v == 2048);
    cr_assert(quantity_of(json_get(o, "b"), &v) == -RAIA_ERR_INVALID);
    cr_assert(quantity_of(NULL, &v) == -RAIA_ERR_INVALID);
    json_free(o);
}
