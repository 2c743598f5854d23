/*
 * Plain scalars: the resolution of go-yaml v2, on which sigs.k8s.io/yaml and so kubectl stand.
 */
#include "yaml/yaml_scalar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 256 /* bytes; longer plain scalars are strings */

/* Words that are not strings. */
static const struct {
    const char *word;
    enum yaml_kind kind;
} words[] = {
    {"", YAML_NULL},
    {"~", YAML_NULL},
    {"null", YAML_NULL},
    {"Null", YAML_NULL},
    {"NULL", YAML_NULL},
    {"y", YAML_TRUE},
    {"Y", YAML_TRUE},
    {"yes", YAML_TRUE},
    {"Yes", YAML_TRUE},
    {"YES", YAML_TRUE},
    {"true", YAML_TRUE},
    {"True", YAML_TRUE},
    {"TRUE", YAML_TRUE},
    {"on", YAML_TRUE},
    {"On", YAML_TRUE},
    {"ON", YAML_TRUE},
    {"n", YAML_FALSE},
    {"N", YAML_FALSE},
    {"no", YAML_FALSE},
    {"No", YAML_FALSE},
    {"NO", YAML_FALSE},
    {"false", YAML_FALSE},
    {"False", YAML_FALSE},
    {"FALSE", YAML_FALSE},
    {"off", YAML_FALSE},
    {"Off", YAML_FALSE},
    {"OFF", YAML_FALSE},
    {".nan", YAML_NOT_FINITE},
    {".NaN", YAML_NOT_FINITE},
    {".NAN", YAML_NOT_FINITE},
    {".inf", YAML_NOT_FINITE},
    {".Inf", YAML_NOT_FINITE},
    {".INF", YAML_NOT_FINITE},
    {"+.inf", YAML_NOT_FINITE},
    {"+.Inf", YAML_NOT_FINITE},
    {"+.INF", YAML_NOT_FINITE},
    {"-.inf", YAML_NOT_FINITE},
    {"-.Inf", YAML_NOT_FINITE},
    {"-.INF", YAML_NOT_FINITE},
};

/* Copies text without its underscores. false: it cannot be a number. */
static bool strip(const char *text, char buf[NUMBER_MAX])
{
    if (!*text || !strchr("+-.0123456789", *text))
        return false;
    size_t n = 0;
    for (; *text; text++) {
        if (*text == '_')
            continue;
        if (n + 1 >= NUMBER_MAX)
            return false;
        buf[n++] = *text;
    }
    buf[n] = '\0';
    return n > 0;
}

/* An integer as Go's ParseInt(s, 0): decimal, 0x, 0o, 0b, or octal after a leading 0. */
static bool integer(const char *s, bool *ret_negative, uint64_t *ret_v)
{
    bool negative = *s == '-';
    if (*s == '-' || *s == '+')
        s++;
    int base = 10;
    if (s[0] == '0' && s[1]) {
        char c = (char)(s[1] | 0x20);
        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        s += c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
    }
    static const char all[] = "0123456789abcdefABCDEF";
    size_t n = strspn(s, all);
    if (n == 0 || s[n])
        return false;
    char *end;
    errno = 0;
    unsigned long long v = strtoull(s, &end, base);
    if (*end || errno == ERANGE || (negative && v > (uint64_t)INT64_MAX + 1))
        return false;
    *ret_negative = negative;
    *ret_v = v;
    return true;
}

/* [-+]? (digits (. digits?)? | . digits) ([eE] [-+]? digits)? */
static bool is_float(const char *s)
{
    static const char digits[] = "0123456789";
    if (*s == '-' || *s == '+')
        s++;
    size_t whole = strspn(s, digits), part = 0;
    s += whole;
    if (*s == '.') {
        part = strspn(++s, digits);
        s += part;
    }
    if (whole + part == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '-' || *s == '+')
            s++;
        size_t n = strspn(s, digits);
        if (n == 0)
            return false;
        s += n;
    }
    return *s == '\0';
}

enum yaml_kind yaml_scalar_kind(const char *text)
{
    char buf[NUMBER_MAX];
    bool negative;
    uint64_t v;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i].word) == 0)
            return words[i].kind;
    if (!strip(text, buf))
        return YAML_STRING;
    if (integer(buf, &negative, &v))
        return YAML_NUMBER;
    if (!is_float(buf))
        return YAML_STRING;
    double d = strtod(buf, NULL);
    return d - d == 0 ? YAML_NUMBER : YAML_NOT_FINITE;
}

struct json *yaml_scalar_node(const char *text)
{
    char buf[NUMBER_MAX];
    bool negative;
    uint64_t v;
    switch (yaml_scalar_kind(text)) {
    case YAML_NULL:
        return json_new_null();
    case YAML_TRUE:
        return json_new_bool(true);
    case YAML_FALSE:
        return json_new_bool(false);
    case YAML_NUMBER:
        break;
    case YAML_STRING:
    case YAML_NOT_FINITE:
        return json_new_str(text);
    }
    strip(text, buf);
    if (!integer(buf, &negative, &v))
        return json_new_double(strtod(buf, NULL));
    return negative ? json_new_int((int64_t)(0 - v)) : json_new_uint(v);
}
