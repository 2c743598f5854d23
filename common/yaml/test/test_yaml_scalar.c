/*
 * What plain scalars mean.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "yaml/yaml_scalar.h"

/* Each plain text becomes the value that kubectl would send. */
Test(yaml_scalar, meaning)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"", "null"},
        {"~", "null"},
        {"null", "null"},
        {"nUll", "\"nUll\""},
        {"yes", "true"},
        {"On", "true"},
        {"y", "true"},
        {"off", "false"},
        {"No", "false"},
        {"oN", "\"oN\""},
        {"true", "true"},
        {"0", "0"},
        {"-7", "-7"},
        {"+7", "7"},
        {"1_000", "1000"},
        {"0755", "493"},
        {"0o17", "15"},
        {"0x1F", "31"},
        {"-0x10", "-16"},
        {"0b101", "5"},
        {"08", "8"},
        {"0x", "\"0x\""},
        {"1.5", "1.5"},
        {".5", "0.5"},
        {"5.", "5"},
        {"1e3", "1000"},
        {"-1.5E-1", "-0.15"},
        {"1e", "\"1e\""},
        {"1.2.3", "\"1.2.3\""},
        {"-", "\"-\""},
        {".", "\".\""},
        {"1Gi", "\"1Gi\""},
        {"100m", "\"100m\""},
        {"12:30", "\"12:30\""},
        {"2001-12-14", "\"2001-12-14\""},
        {"18446744073709551615", "18446744073709551615"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"9007199254740993", "9007199254740993"},
        {"1__", "1"},
        {"_1", "\"_1\""},
        {"+", "\"+\""},
        {"-0x8000000000000001", "\"-0x8000000000000001\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json *n = yaml_scalar_node(cases[i].text);
        char *out = json_print(n, JSON_COMPACT, NULL);
        cr_assert_str_eq(out, cases[i].json, "%s: %s", cases[i].text, out);
        mem_free(out);
        json_free(n);
    }
}

/* What no JSON number can be is known as such. */
Test(yaml_scalar, not_finite)
{
    static const char *const texts[] = {".inf", "-.Inf", "+.INF", ".nan", "1e999"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_assert_eq(yaml_scalar_kind(texts[i]), YAML_NOT_FINITE, "%s", texts[i]);
}
