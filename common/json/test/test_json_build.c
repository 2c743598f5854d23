/*
 * Building, copying, comparing.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "json/json.h"

static struct json *parse(const char *text)
{
    struct json *root = NULL;
    cr_assert_eq(json_parse(text, strlen(text), NULL, &root, NULL), 0, "%s", text);
    return root;
}

static void prints(const struct json *n, const char *want)
{
    char *out = json_print(n, JSON_COMPACT, NULL);
    cr_assert_str_eq(out, want);
    mem_free(out);
}

/* A tree built by hand prints in the order in which it was built; replacing keeps the place. */
Test(json_build, objects)
{
    struct json *o = json_new_object(), *a = json_new_array();
    cr_assert_eq(json_set_str(o, "s", "a\"b\xff"), 0);
    cr_assert_eq(json_set_int(o, "i", INT64_MIN), 0);
    cr_assert_eq(json_set_double(o, "d", 0.1 + 0.2), 0);
    cr_assert_eq(json_set_bool(o, "b", false), 0);
    cr_assert_eq(json_set_null(o, "n"), 0);
    cr_assert_eq(json_append_str(a, "x"), 0);
    cr_assert_eq(json_append(a, json_new_uint(UINT64_MAX)), 0);
    cr_assert_eq(json_append(a, json_new_double(NAN)), 0);
    cr_assert_eq(json_append(a, json_new_strn("hello", 4)), 0);
    cr_assert_eq(json_set(o, "a", a), 0);
    prints(o, "{\"s\":\"a\\\"b\xef\xbf\xbd\",\"i\":-9223372036854775808,"
              "\"d\":0.30000000000000004,\"b\":false,\"n\":null,"
              "\"a\":[\"x\",18446744073709551615,null,\"hell\"]}");
    cr_assert_eq(json_set_int(o, "d", 5), 0);
    cr_assert_eq(json_set_str(o, "s", NULL), 0);
    struct json *detached = json_detach(o, "a");
    cr_assert_null(json_key(detached));
    prints(o, "{\"s\":null,\"i\":-9223372036854775808,\"d\":5,\"b\":false,\"n\":null}");
    prints(detached, "[\"x\",18446744073709551615,null,\"hell\"]");
    cr_assert_null(json_detach(o, "a"));
    json_free(detached);
    json_free(o);
}

/* Items leave an array from its front, middle and end, and the rest stays in order. */
Test(json_build, items_leave)
{
    struct json *a = json_new_array();
    for (int i = 0; i < 5; i++)
        cr_assert_eq(json_append(a, json_new_int(i)), 0);
    json_free(json_detach_item(a, json_item(a, 4)));
    json_free(json_detach_item(a, json_item(a, 2)));
    json_free(json_detach_item(a, json_item(a, 0)));
    prints(a, "[1,3]");
    cr_assert_eq(json_append(a, json_new_int(9)), 0);
    prints(a, "[1,3,9]");
    cr_assert_null(json_detach_item(a, NULL));
    json_free(a);
}

/* Misuse is an error that frees the child, never a crash. */
Test(json_build, misuse)
{
    struct json *a = json_new_array(), *o = json_new_object();
    cr_assert_eq(json_set_int(NULL, "k", 1), -RAIA_ERR_NOMEM);
    cr_assert_eq(json_set_int(a, "k", 1), -RAIA_ERR_INVALID);
    cr_assert_eq(json_append(o, json_new_int(1)), -RAIA_ERR_INVALID);
    cr_assert_eq(json_append(a, NULL), -RAIA_ERR_NOMEM);
    cr_assert_null(json_new_number("1x"));
    cr_assert_null(json_new_number(""));
    cr_assert_null(json_get(a, "k"));
    cr_assert_null(json_item(o, 0));
    cr_assert_eq(json_type(NULL), JSON_NULL);
    cr_assert_not(json_is(NULL, JSON_NULL));
    json_free(a);
    json_free(o);
    json_free(NULL);
}

/* Integers come back exactly to the ends of their range; what is none says so. */
Test(json_build, integers)
{
    static const struct {
        const char *text;
        int r;
        int64_t v;
    } cases[] = {{"9223372036854775807", 0, INT64_MAX},
                 {"-9223372036854775808", 0, INT64_MIN},
                 {"9007199254740993", 0, 9007199254740993},
                 {"-5", 0, -5},
                 {"-0", 0, 0},
                 {"3.0", 0, 3},
                 {"1e3", 0, 1000},
                 {"9223372036854775808", -RAIA_ERR_LIMIT, 0},
                 {"1e19", -RAIA_ERR_LIMIT, 0},
                 {"1e999", -RAIA_ERR_LIMIT, 0},
                 {"1.5", -RAIA_ERR_INVALID, 0},
                 {"\"1\"", -RAIA_ERR_INVALID, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json *n = parse(cases[i].text);
        int64_t v = 0;
        cr_assert_eq(json_int(n, &v), cases[i].r, "%s", cases[i].text);
        cr_assert_eq(v, cases[i].v, "%s", cases[i].text);
        char digits[32];
        if (json_number_text(n, digits, sizeof digits) == 0)
            cr_assert_str_eq(digits, cases[i].text);
        json_free(n);
    }
}

/* A copy is equal and independent. */
Test(json_build, copy)
{
    struct json *a = parse("{\"a\":[1,{\"b\":\"c\"},12345678901234567890],\"d\":null}");
    struct json *b = json_copy(a), *inner = json_copy(json_get(a, "a"));
    cr_assert(json_equal(a, b));
    cr_assert_null(json_key(inner));
    cr_assert_eq(json_set_int(json_at(b, "a[1]"), "b", 2), 0);
    cr_assert_not(json_equal(a, b));
    cr_assert_str_eq(json_str(json_at(a, "a[1].b")), "c");
    cr_assert_null(json_copy(NULL));
    json_free(a);
    json_free(b);
    json_free(inner);
}

/* Equality is by value: order of members and spelling of numbers do not matter, types do. */
Test(json_build, equal)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {{"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true},
                 {"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
                 {"{\"a\":1}", "{\"b\":1}", false},
                 {"[1,2]", "[2,1]", false},
                 {"[1,2]", "[1,2,3]", false},
                 {"[1,2,3]", "[1,2]", false},
                 {"1", "1.0", true},
                 {"1.5", "15e-1", true},
                 {"9007199254740992", "9007199254740993", false},
                 {"18446744073709551616", "18446744073709551617", false},
                 {"1", "\"1\"", false},
                 {"1", "true", false},
                 {"true", "false", false},
                 {"null", "null", true},
                 {"\"a\"", "\"A\"", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json *a = parse(cases[i].a), *b = parse(cases[i].b);
        cr_assert_eq(json_equal(a, b), cases[i].equal, "%s %s", cases[i].a, cases[i].b);
        cr_assert_eq(json_equal(b, a), cases[i].equal, "%s %s", cases[i].b, cases[i].a);
        json_free(a);
        json_free(b);
    }
    cr_assert(json_equal(NULL, NULL));
}
