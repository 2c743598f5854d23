/*
 * Loading: documents, anchors, merge keys, limits, and the place and words of each refusal.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "yaml/yaml_load.h"

static void loads(const char *text, const char *want)
{
    struct yaml_docs *docs = NULL;
    struct raia_error e = {0};
    int r = yaml_load(text, strlen(text), "t.yaml", NULL, &docs, &e);
    cr_assert_eq(r, 0, "%s: %s", text, e.text);
    cr_assert_eq(yaml_count(docs), 1, "%s", text);
    char *out = json_print(yaml_doc(docs, 0), JSON_COMPACT, NULL);
    cr_assert_str_eq(out, want, "%s gave %s", text, out);
    mem_free(out);
    yaml_free(docs);
}

/* Block and flow styles, block scalars, quoted text, keys of other types, and JSON. */
Test(yaml_load, styles)
{
    loads("a:\n  - 1\n  - b: yes\n    c: \"yes\"\n", "{\"a\":[1,{\"b\":true,\"c\":\"yes\"}]}");
    loads("{a: [1, 2], 'b c': ~}", "{\"a\":[1,2],\"b c\":null}");
    loads("t: |\n  one\n  two\nf: >-\n  one\n  two\n",
          "{\"t\":\"one\\ntwo\\n\",\"f\":\"one two\"}");
    loads("1: a\ntrue: b\n0x10: c\nn: d\n",
          "{\"1\":\"a\",\"true\":\"b\",\"16\":\"c\",\"false\":\"d\"}");
    loads("{\"a\": {\"b\": [1.5, \"\\u00e9\", null]}}", "{\"a\":{\"b\":[1.5,\"\xc3\xa9\",null]}}");
    loads("# comment\nport: \"8080\" # text\n", "{\"port\":\"8080\"}");
    loads("a: !!str 1\nb: !!int \"2\"\nc: ! \"3\"\nd: !!map {}\n",
          "{\"a\":\"1\",\"b\":2,\"c\":\"3\",\"d\":{}}");
    loads("just text", "\"just text\"");
}

/* Aliases copy, merge keys fill in what is not there, and the first of several wins. */
Test(yaml_load, anchors)
{
    loads("a: &x {k: 1}\nb: *x\nc: [*x, *x]\n",
          "{\"a\":{\"k\":1},\"b\":{\"k\":1},\"c\":[{\"k\":1},{\"k\":1}]}");
    loads("base: &b {x: 1, w: 2}\nd:\n  <<: *b\n  w: 3\n",
          "{\"base\":{\"x\":1,\"w\":2},\"d\":{\"w\":3,\"x\":1}}");
    loads("- &a {x: 1}\n- &b {x: 2, w: 2}\n- <<: [*a, *b]\n  z: 3\n",
          "[{\"x\":1},{\"x\":2,\"w\":2},{\"z\":3,\"x\":1,\"w\":2}]");
    loads("- &s text\n- *s\n- &s again\n- *s\n", "[\"text\",\"text\",\"again\",\"again\"]");
    loads("- &i 9007199254740993\n- *i\n", "[9007199254740993,9007199254740993]");
}

/* Several documents come in order; empty ones are left out. */
Test(yaml_load, documents)
{
    static const char text[] = "---\na: 1\n---\n# nothing\n---\nb: 2\n...\n---\n[c]\n---\n";
    struct yaml_docs *docs = NULL;
    cr_assert_eq(yaml_load(text, strlen(text), "t.yaml", NULL, &docs, NULL), 0);
    cr_assert_eq(yaml_count(docs), 3);
    cr_assert_not_null(json_at(yaml_doc(docs, 0), "a"));
    cr_assert_not_null(json_at(yaml_doc(docs, 1), "b"));
    cr_assert_not_null(json_at(yaml_doc(docs, 2), "[0]"));
    cr_assert_null(yaml_doc(docs, 3));
    yaml_free(docs);
    cr_assert_eq(yaml_load("", 0, "t.yaml", NULL, &docs, NULL), 0);
    cr_assert_eq(yaml_count(docs), 0);
    yaml_free(docs);
    struct json *one = NULL;
    cr_assert_eq(yaml_load_one("a: 1", 4, "t", NULL, &one, NULL), 0);
    json_free(one);
    cr_assert_eq(yaml_load_one(text, strlen(text), "t", NULL, &one, NULL), -RAIA_ERR_INVALID);
}

/* Each malformed text is refused with its place and reason. */
Test(yaml_load, faults)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"a: b: c\n", "t.yaml:1:5: mapping values are not allowed"},
        {"a:\n\t- x\n", "t.yaml:2:1: "},
        {"a: [1, 2\nb: 3\n", "t.yaml:2:"},
        {"a: 1\nb: 2\na: 3\n", "t.yaml:3:1: the key \"a\" is there twice"},
        {"a: *x\n", "t.yaml:1:4: alias '*x' has no anchor"},
        {"a: &x [*x]\n", "t.yaml:1:8: alias '*x' is inside its own anchor"},
        {"a: .inf\n", "t.yaml:1:4: .inf is no number"},
        {"a: !!int x\n", "t.yaml:1:4: tag"},
        {"a: !custom x\n", "t.yaml:1:4: tag '!custom'"},
        {"a: !custom {}\n", "t.yaml:1:4: tag '!custom'"},
        {"? [a]\n: b\n", "t.yaml:1:3: a key must be"},
        {"~: b\n", "t.yaml:1:1: a key must not be null"},
        {"a: \"x\\0y\"\n", "t.yaml:1:4: a NUL character"},
        {"a: {<<: 3}\n", "t.yaml:1:4: '<<' takes a mapping"},
        {"a: {<<: {}, <<: {}}\n", "t.yaml:1:13: the key \"<<\""},
        {"a: \"\xff\"\n", "t.yaml:1:5: invalid"},
        {"a: 1\n---\nb: 'x\n", "t.yaml:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct yaml_docs *docs = NULL;
        struct raia_error e = {0};
        int r = yaml_load(cases[i].text, strlen(cases[i].text), "t.yaml", NULL, &docs, &e);
        cr_assert_eq(r, -RAIA_ERR_PROTOCOL, "%s", cases[i].text);
        cr_assert_eq(strncmp(e.text, cases[i].want, strlen(cases[i].want)), 0, "%s: %s",
                     cases[i].text, e.text);
        cr_assert_null(docs);
    }
}

static int with(const char *text, struct yaml_limits l)
{
    struct yaml_docs *docs = NULL;
    struct raia_error e = {0};
    int r = yaml_load(text, strlen(text), "t.yaml", &l, &docs, &e);
    yaml_free(docs);
    return r;
}

/* Bytes, nodes, documents and depth are limited. */
Test(yaml_load, limits)
{
    cr_assert_eq(with("[1,2,3]", (struct yaml_limits){.max_bytes = 7}), 0);
    cr_assert_eq(with("[1,2,3]", (struct yaml_limits){.max_bytes = 6}), -RAIA_ERR_LIMIT);
    cr_assert_eq(with("[1,2,3]", (struct yaml_limits){.max_nodes = 4}), 0);
    cr_assert_eq(with("[1,2,3]", (struct yaml_limits){.max_nodes = 3}), -RAIA_ERR_LIMIT);
    cr_assert_eq(with("[[[]]]", (struct yaml_limits){.max_depth = 3}), 0);
    cr_assert_eq(with("[[[]]]", (struct yaml_limits){.max_depth = 2}), -RAIA_ERR_LIMIT);
    cr_assert_eq(with("a\n---\nb\n", (struct yaml_limits){.max_documents = 2}), 0);
    cr_assert_eq(with("a\n---\nb\n", (struct yaml_limits){.max_documents = 1}), -RAIA_ERR_LIMIT);
    cr_assert_eq(with("- &a [[1]]\n- [[*a]]", (struct yaml_limits){.max_depth = 4}),
                 -RAIA_ERR_LIMIT, "depth counts through aliases");
    cr_assert_eq(with("- &a [1,2]\n- *a\n- *a", (struct yaml_limits){.max_nodes = 9}),
                 -RAIA_ERR_LIMIT, "copies count");
    cr_assert_eq(with("- &a [1,2]\n- *a\n- *a", (struct yaml_limits){.max_nodes = 10}), 0);
}

/* Nested aliases that would be billions of nodes are refused. */
Test(yaml_load, laughs)
{
    static const char text[] = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
                               "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                               "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                               "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                               "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
                               "f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
                               "g: {<<: {h: *f}, i: *f}\n";
    cr_assert_eq(with(text, (struct yaml_limits){0}), -RAIA_ERR_LIMIT);
}

/* Loading survives the failure of its n-th allocation, for every n. */
Test(yaml_load, nth_allocation)
{
    static const char text[] = "a: &x {b: [1, yes], c: text}\nd: *x\ne:\n  <<: *x\n  f: 1.5\n"
                               "---\nz: 12345678901234567890\n";
    unsigned n = 1;
    for (;; n++) {
        struct yaml_docs *docs = NULL;
        mem_fail_nth(n);
        int r = yaml_load(text, strlen(text), "t.yaml", NULL, &docs, NULL);
        bool failed = mem_fail_count() >= n;
        mem_fail_nth(0);
        if (!failed) {
            cr_assert_eq(r, 0);
            yaml_free(docs);
            break;
        }
        cr_assert_eq(r, -RAIA_ERR_NOMEM, "allocation %u: %d", n, r);
    }
    cr_assert_gt(n, 30);
}
