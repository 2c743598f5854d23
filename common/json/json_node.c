/*
 * JSON nodes: allocation hooks, walking, values of single nodes.
 */
#include "json/json_node.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cJSON keeps its allocator in a global; it is set before main, so before any thread. */
__attribute__((constructor)) static void set_hooks(void)
{
    cJSON_Hooks hooks = {.malloc_fn = mem_alloc, .free_fn = mem_free};
    cJSON_InitHooks(&hooks);
}

void json_free(struct json *root)
{
    cJSON_Delete(json_c__(root));
}

void json_freep(void *p)
{
    json_free(*(struct json **)p);
}

enum json_type json_type(const struct json *n)
{
    if (!n)
        return JSON_NULL;
    switch (json_c__(n)->type & 0xff) {
    case cJSON_True:
    case cJSON_False:
        return JSON_BOOL;
    case cJSON_Number:
    case cJSON_Raw:
        return JSON_NUMBER;
    case cJSON_String:
        return JSON_STRING;
    case cJSON_Array:
        return JSON_ARRAY;
    case cJSON_Object:
        return JSON_OBJECT;
    default:
        return JSON_NULL;
    }
}

const char *json_type_name(enum json_type t)
{
    static const char *const names[] = {"null",     "a boolean", "a number",
                                        "a string", "a list",    "an object"};
    return (unsigned)t < sizeof names / sizeof *names ? names[t] : "an unknown type";
}

bool json_is(const struct json *n, enum json_type t)
{
    return n && json_type(n) == t;
}

size_t json_size(const struct json *n)
{
    size_t size = 0;
    JSON_FOREACH(it, n)
    size++;
    return size;
}

const char *json_key(const struct json *n)
{
    return n ? json_c__(n)->string : NULL;
}

struct json *json_first(const struct json *n)
{
    return n ? json_n__(json_c__(n)->child) : NULL;
}

struct json *json_next(const struct json *n)
{
    return n ? json_n__(json_c__(n)->next) : NULL;
}

struct json *json_get(const struct json *object, const char *key)
{
    if (!json_is(object, JSON_OBJECT) || !key)
        return NULL;
    JSON_FOREACH(it, object)
    if (strcmp(json_key(it), key) == 0)
        return it;
    return NULL;
}

struct json *json_item(const struct json *array, size_t i)
{
    if (!json_is(array, JSON_ARRAY))
        return NULL;
    JSON_FOREACH(it, array)
    if (i-- == 0)
        return it;
    return NULL;
}

const char *json_str(const struct json *n)
{
    return json_is(n, JSON_STRING) ? json_c__(n)->valuestring : NULL;
}

bool json_true(const struct json *n)
{
    bool v = false;
    return json_bool(n, &v) == 0 && v;
}

int json_bool(const struct json *n, bool *ret_v)
{
    if (!json_is(n, JSON_BOOL))
        return -RAIA_ERR_INVALID;
    *ret_v = (json_c__(n)->type & 0xff) == cJSON_True;
    return 0;
}

int json_int(const struct json *n, int64_t *ret_v)
{
    if (!json_is(n, JSON_NUMBER))
        return -RAIA_ERR_INVALID;
    if ((json_c__(n)->type & 0xff) == cJSON_Number) {
        *ret_v = json_c__(n)->valueint;
        return 0;
    }
    const char *text = json_c__(n)->valuestring;
    if (strpbrk(text, ".eE")) {
        double d = strtod(text, NULL);
        if (d != floor(d))
            return -RAIA_ERR_INVALID;
        /* The first double beyond int64_t, and its negative, which is int64_t's least. */
        if (!(d >= -0x1p63 && d < 0x1p63))
            return -RAIA_ERR_LIMIT;
        *ret_v = (int64_t)d;
        return 0;
    }
    errno = 0;
    long long v = strtoll(text, NULL, 10);
    if (errno == ERANGE)
        return -RAIA_ERR_LIMIT;
    *ret_v = v;
    return 0;
}

int json_double(const struct json *n, double *ret_v)
{
    if (!json_is(n, JSON_NUMBER))
        return -RAIA_ERR_INVALID;
    const cJSON *c = json_c__(n);
    *ret_v = (c->type & 0xff) == cJSON_Number ? c->valuedouble : strtod(c->valuestring, NULL);
    return 0;
}

int json_number_text(const struct json *n, char *buf, size_t size)
{
    if (!json_is(n, JSON_NUMBER) || size == 0)
        return -RAIA_ERR_INVALID;
    const cJSON *c = json_c__(n);
    if ((c->type & 0xff) == cJSON_Number)
        snprintf(buf, size, "%d", c->valueint);
    else
        snprintf(buf, size, "%s", c->valuestring);
    return 0;
}

size_t json_utf8__(const unsigned char *s, const unsigned char *end)
{
    if (s >= end)
        return 0;
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || (size_t)(end - s) < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

static size_t digits(const char *text, size_t len, size_t i)
{
    while (i < len && text[i] >= '0' && text[i] <= '9')
        i++;
    return i;
}

bool json_is_number__(const char *text, size_t len)
{
    size_t i = len > 0 && text[0] == '-', from = i;
    i = digits(text, len, i);
    if (i == from || (text[from] == '0' && i > from + 1))
        return false;
    if (i < len && text[i] == '.') {
        from = ++i;
        i = digits(text, len, i);
        if (i == from)
            return false;
    }
    if (i < len && (text[i] == 'e' || text[i] == 'E')) {
        i++;
        if (i < len && (text[i] == '+' || text[i] == '-'))
            i++;
        from = i;
        i = digits(text, len, i);
        if (i == from)
            return false;
    }
    return i == len;
}
