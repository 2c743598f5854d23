/*
 * Paths: finding nodes, naming them, and getters whose errors say which field is wrong and how.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "json/json.h"

static const char doc[] = "{\"spec\":{\"n\":3,\"f\":2.5,\"big\":18446744073709551615,\"s\":\"x\","
                          "\"t\":true,\"none\":null,\"groups\":[{\"name\":\"a\"},{\"name\":\"b\","
                          "\"labels\":{\"ray.io/x\":\"y\",\"q\\\"\\\\\":1}}]}}";
static struct json *root;

static void setup(void)
{
    cr_assert_eq(json_parse(doc, strlen(doc), NULL, &root, NULL), 0);
}

static void teardown(void)
{
    json_free(root);
}
TestSuite(json_path, .init = setup, .fini = teardown);

/* Keys, items and quoted keys lead to their nodes; anything else to none. */
Test(json_path, at)
{
    cr_assert_eq(json_at(root, ""), root);
    cr_assert_str_eq(json_str(json_at(root, "spec.groups[1].name")), "b");
    cr_assert_str_eq(json_str(json_at(root, "spec.groups[1].labels[\"ray.io/x\"]")), "y");
    cr_assert_not_null(json_at(root, "spec.groups[1].labels[\"q\\\"\\\\\"]"));
    static const char *const none[] = {"spec.m",
                                       "spec.groups[2]",
                                       "Spec",
                                       "spec.n.x",
                                       "spec..n",
                                       ".spec",
                                       "spec.",
                                       "spec.groups[x]",
                                       "spec.groups[",
                                       "spec[\"n\"",
                                       "spec.groups[0]name",
                                       "spec.[0]"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        cr_assert_null(json_at(root, none[i]), "%s", none[i]);
    cr_assert_null(json_at(NULL, "a"));
}

/* The nearest existing node above a missing one is found. */
Test(json_path, nearest)
{
    cr_assert_eq(json_at_nearest(root, "spec.groups[0].image.tag"),
                 json_at(root, "spec.groups[0]"));
    cr_assert_eq(json_at_nearest(root, "nothing"), root);
}

/* The path of a node leads back to it. */
Test(json_path, path_of)
{
    static const char *const paths[] = {"", "spec.groups[1].labels[\"ray.io/x\"]",
                                        "spec.groups[1].labels[\"q\\\"\\\\\"]", "spec.none"};
    char buf[128];
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        cr_assert(json_path_of(root, json_at(root, paths[i]), buf, sizeof buf));
        cr_assert_str_eq(buf, paths[i]);
    }
    struct json *other = json_new_int(1);
    cr_assert_not(json_path_of(root, other, buf, sizeof buf));
    cr_assert(json_path_of(root, json_at(root, paths[1]), buf, 8));
    cr_assert_eq(strlen(buf), 7, "cut to fit");
    json_free(other);
}

/* Required values come out in their types. */
Test(json_path, get)
{
    int64_t i = 0;
    double d = 0;
    bool b = false;
    const char *s = NULL;
    struct json *n = NULL;
    cr_assert_eq(json_get_int(root, "spec.n", &i, NULL), 0);
    cr_assert_eq(i, 3);
    cr_assert_eq(json_get_double(root, "spec.f", &d, NULL), 0);
    cr_assert_eq(d, 2.5);
    cr_assert_eq(json_get_bool(root, "spec.t", &b, NULL), 0);
    cr_assert(b);
    cr_assert_eq(json_get_str(root, "spec.s", &s, NULL), 0);
    cr_assert_str_eq(s, "x");
    cr_assert_eq(json_get_node(root, "spec.groups", JSON_ARRAY, &n, NULL), 0);
    cr_assert_eq(json_size(n), 2);
}

#define FAILS(call, code, message)                                                                 \
    do {                                                                                           \
        struct raia_error e = {0};                                                                 \
        cr_assert_eq((call), -(code));                                                             \
        cr_assert_str_eq(e.text, message);                                                         \
    } while (0)

/* Errors say which field, what was expected and what is there. */
Test(json_path, get_faults)
{
    int64_t i = 77;
    const char *s = NULL;
    bool b = false;
    struct json *n = NULL;
    FAILS(json_get_int(root, "spec.s", &i, &e), RAIA_ERR_INVALID,
          "spec.s: expected an integer, found a string");
    FAILS(json_get_int(root, "spec.f", &i, &e), RAIA_ERR_INVALID,
          "spec.f: expected an integer, found a fraction");
    FAILS(json_get_int(root, "spec.big", &i, &e), RAIA_ERR_LIMIT,
          "spec.big: the number does not fit 64 bits");
    FAILS(json_get_str(root, "spec.none", &s, &e), RAIA_ERR_NOT_FOUND,
          "spec.none: missing; a string is required");
    FAILS(json_get_bool(root, "spec.groups", &b, &e), RAIA_ERR_INVALID,
          "spec.groups: expected a boolean, found a list");
    FAILS(json_get_str(root, "spec.s.t", &s, &e), RAIA_ERR_INVALID,
          "spec.s: expected an object, found a string");
    FAILS(json_opt_str(root, "spec[0]", "", &s, &e), RAIA_ERR_INVALID,
          "spec: expected a list, found an object");
    FAILS(json_opt_int(root, "spec.s", 1, &i, &e), RAIA_ERR_INVALID,
          "spec.s: expected an integer, found a string");
    FAILS(json_get_node(root, "spec.n", JSON_OBJECT, &n, &e), RAIA_ERR_INVALID,
          "spec.n: expected an object, found a number");
    cr_assert_eq(i, 77, "untouched on failure");
}

/* What is absent or null, or lies below such, takes the default. */
Test(json_path, opt)
{
    int64_t i = 0;
    const char *s = NULL;
    struct json *n = root;
    cr_assert_eq(json_opt_int(root, "spec.none", 9, &i, NULL), 0);
    cr_assert_eq(i, 9);
    cr_assert_eq(json_opt_int(root, "spec.none.deeper", 8, &i, NULL), 0);
    cr_assert_eq(i, 8);
    cr_assert_eq(json_opt_str(root, "a.b[3].c", "d", &s, NULL), 0);
    cr_assert_str_eq(s, "d");
    cr_assert_eq(json_opt_int(root, "spec.n", 9, &i, NULL), 0);
    cr_assert_eq(i, 3);
    cr_assert_eq(json_opt_node(root, "x", JSON_ARRAY, &n, NULL), 0);
    cr_assert_null(n);
}
