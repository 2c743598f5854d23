/*
 * Building, copying and comparing trees.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/json_node.h"
#include "json/json_writer.h"

struct json *json_new_object(void)
{
    return json_n__(cJSON_CreateObject());
}

struct json *json_new_array(void)
{
    return json_n__(cJSON_CreateArray());
}

struct json *json_new_str(const char *v)
{
    return json_n__(v ? cJSON_CreateString(v) : cJSON_CreateNull());
}

struct json *json_new_strn(const char *v, size_t len)
{
    _cleanup_(mem_freep) char *s = mem_strndup(v ? v : "", v ? len : 0);
    return s ? json_new_str(s) : NULL;
}

struct json *json_new_bool(bool v)
{
    return json_n__(cJSON_CreateBool(v));
}

struct json *json_new_null(void)
{
    return json_n__(cJSON_CreateNull());
}

struct json *json_number__(const char *text, size_t len)
{
    /* Small integers in plain form need no text: "-0", "1.0" and "1e3" keep theirs. */
    if (len <= 9 && !memchr(text, '.', len) && !memchr(text, 'e', len) && !memchr(text, 'E', len) &&
        !(text[0] == '-' && text[1] == '0')) {
        int v = 0;
        for (size_t i = text[0] == '-'; i < len; i++)
            v = v * 10 + (text[i] - '0');
        return json_n__(cJSON_CreateNumber(text[0] == '-' ? -v : v));
    }
    _cleanup_(mem_freep) char *s = mem_strndup(text, len);
    return s ? json_n__(cJSON_CreateRaw(s)) : NULL;
}

struct json *json_new_number(const char *digits)
{
    size_t len = strlen(digits);
    return json_is_number__(digits, len) ? json_number__(digits, len) : NULL;
}

struct json *json_new_int(int64_t v)
{
    char buf[24];
    int n = snprintf(buf, sizeof buf, "%" PRId64, v);
    return json_number__(buf, (size_t)n);
}

struct json *json_new_uint(uint64_t v)
{
    char buf[24];
    int n = snprintf(buf, sizeof buf, "%" PRIu64, v);
    return json_number__(buf, (size_t)n);
}

struct json *json_new_double(double v)
{
    if (!isfinite(v))
        return json_new_null();
    char buf[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buf, sizeof buf, "%.*g", digits, v);
        if (strtod(buf, NULL) == v)
            break;
    }
    return json_number__(buf, strlen(buf));
}

void json_link__(struct json *parent, char *key, struct json *child)
{
    cJSON *c = json_c__(child);
    c->string = key;
    cJSON_AddItemToArray(json_c__(parent), c); /* links in any parent; allocates nothing */
}

int json_add(struct json *object, const char *key, struct json *child)
{
    _cleanup_(json_freep) struct json *owned = child;
    if (!object || !child)
        return -RAIA_ERR_NOMEM;
    if (!key || !json_is(object, JSON_OBJECT))
        return -RAIA_ERR_INVALID;
    char *k = mem_strdup(key);
    if (!k)
        return -RAIA_ERR_NOMEM;
    json_link__(object, k, STEAL(owned));
    return 0;
}

int json_set(struct json *object, const char *key, struct json *child)
{
    struct json *old = json_get(object, key);
    if (!old)
        return json_add(object, key, child);
    if (!child)
        return -RAIA_ERR_NOMEM;
    if (old == child)
        return 0;
    json_c__(child)->string = STEAL(json_c__(old)->string);
    cJSON_ReplaceItemViaPointer(json_c__(object), json_c__(old), json_c__(child));
    return 0;
}

int json_set_str(struct json *object, const char *key, const char *v)
{
    return json_set(object, key, json_new_str(v));
}

int json_set_int(struct json *object, const char *key, int64_t v)
{
    return json_set(object, key, json_new_int(v));
}

int json_set_double(struct json *object, const char *key, double v)
{
    return json_set(object, key, json_new_double(v));
}

int json_set_bool(struct json *object, const char *key, bool v)
{
    return json_set(object, key, json_new_bool(v));
}

int json_set_null(struct json *object, const char *key)
{
    return json_set(object, key, json_new_null());
}

int json_append(struct json *array, struct json *child)
{
    if (array && child && json_is(array, JSON_ARRAY)) {
        json_link__(array, NULL, child);
        return 0;
    }
    json_free(child);
    return array && child ? -RAIA_ERR_INVALID : -RAIA_ERR_NOMEM;
}

int json_append_str(struct json *array, const char *v)
{
    return json_append(array, json_new_str(v));
}

struct json *json_detach(struct json *object, const char *key)
{
    struct json *n = json_get(object, key);
    if (!n)
        return NULL;
    cJSON_DetachItemViaPointer(json_c__(object), json_c__(n));
    mem_free(STEAL(json_c__(n)->string));
    return n;
}

struct json *json_detach_item(struct json *array, struct json *item)
{
    if (!json_is(array, JSON_ARRAY) || !item)
        return NULL;
    return json_n__(cJSON_DetachItemViaPointer(json_c__(array), json_c__(item)));
}

struct json *json_copy(const struct json *n)
{
    if (!n)
        return NULL;
    struct json *copy = json_n__(cJSON_Duplicate(json_c__(n), true));
    if (copy) /* the copy of a member is a value of its own */
        mem_free(STEAL(json_c__(copy)->string));
    return copy;
}

static bool equal_numbers(const struct json *a, const struct json *b)
{
    int64_t ia = 0, ib = 0;
    int ra = json_int(a, &ia), rb = json_int(b, &ib);
    if (ra == 0 && rb == 0)
        return ia == ib;
    if (ra != rb)
        return false;
    double da = 0, db = 0;
    if (ra == -RAIA_ERR_LIMIT) { /* beyond 64 bits: exact only by their digits */
        const char *ta = json_c__(a)->valuestring, *tb = json_c__(b)->valuestring;
        if (!strpbrk(ta, ".eE") && !strpbrk(tb, ".eE"))
            return strcmp(ta, tb) == 0;
    }
    return json_double(a, &da) == 0 && json_double(b, &db) == 0 && da == db;
}

static bool equal_objects(const struct json *a, const struct json *b)
{
    if (json_size(a) != json_size(b))
        return false;
    const struct json *guess = json_first(b); /* mostly both have the same order */
    JSON_FOREACH(x, a)
    {
        const struct json *y =
            guess && strcmp(json_key(guess), json_key(x)) == 0 ? guess : json_get(b, json_key(x));
        if (!y || !json_equal(x, y))
            return false;
        guess = json_next(y);
    }
    return true;
}

bool json_equal(const struct json *a, const struct json *b)
{
    if (!a || !b)
        return a == b;
    if (json_type(a) != json_type(b))
        return false;
    switch (json_type(a)) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return json_true(a) == json_true(b);
    case JSON_NUMBER:
        return equal_numbers(a, b);
    case JSON_STRING:
        return strcmp(json_str(a), json_str(b)) == 0;
    case JSON_OBJECT:
        return equal_objects(a, b);
    case JSON_ARRAY:
        break;
    }
    const struct json *y = json_first(b);
    JSON_FOREACH(x, a)
    {
        if (!y || !json_equal(x, y))
            return false;
        y = json_next(y);
    }
    return !y;
}

#define DUPLICATE_FEW 12 /* members: fewer are compared faster than they are sorted */

/* A member and its place, to sort by key. */
struct member {
    const char *key;         /* of node */
    const struct json *node; /* the member */
    size_t at;               /* its place in the object */
};

static int by_key(const void *pa, const void *pb)
{
    const struct member *a = pa, *b = pb;
    int r = strcmp(a->key, b->key);
    return r ? r : (a->at > b->at) - (a->at < b->at);
}

/* The same for a few members: each with those before it. */
static struct json *duplicate_of_few(const struct json *object, size_t n)
{
    const char *keys[DUPLICATE_FEW];
    size_t i = 0;
    JSON_FOREACH(it, object)
    {
        keys[i] = json_key(it);
        for (size_t k = 0; k < i; k++)
            if (keys[k][0] == keys[i][0] && strcmp(keys[k], keys[i]) == 0)
                return it;
        if (++i == n)
            break;
    }
    return NULL;
}

struct json *json_duplicate(const struct json *object, bool *ret_nomem)
{
    struct member few[32], *all = few;
    size_t n = json_size(object), i = 0;
    if (n < 2 || !json_is(object, JSON_OBJECT))
        return NULL;
    if (n <= DUPLICATE_FEW)
        return duplicate_of_few(object, n);
    _cleanup_(mem_freep) struct member *many = NULL;
    if (n > sizeof few / sizeof *few) {
        all = many = mem_calloc(n, sizeof *many);
        if (!many) {
            *ret_nomem = true;
            return NULL;
        }
    }
    JSON_FOREACH(it, object)
    {
        all[i] = (struct member){json_key(it), it, i};
        i++;
    }
    qsort(all, n, sizeof *all, by_key);
    const struct member *first = NULL;
    for (i = 1; i < n; i++)
        if (strcmp(all[i - 1].key, all[i].key) == 0 && (!first || all[i].at < first->at))
            first = &all[i];
    return first ? (struct json *)first->node : NULL;
}
