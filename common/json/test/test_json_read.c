/*
 * The reader: what it takes, what it refuses and where it says the fault is.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "json/json.h"

static struct json *parse(const char *text)
{
    struct json *root = NULL;
    struct raia_error e = {0};
    int r = json_parse(text, strlen(text), NULL, &root, &e);
    cr_assert_eq(r, 0, "%s: %s", text, e.text);
    return root;
}

static void round_trip(const char *text, const char *want)
{
    struct json *root = parse(text);
    size_t len = 0;
    char *out = json_print(root, JSON_COMPACT, &len);
    cr_assert_str_eq(out, want);
    cr_assert_eq(len, strlen(want));
    mem_free(out);
    json_free(root);
}

/* Every kind of value reads and prints, numbers with their own digits. */
Test(json_read, values)
{
    round_trip(" {\"a\" : [ 1 , true , false , null , \"x\" ] , \"b\" : { } } ",
               "{\"a\":[1,true,false,null,\"x\"],\"b\":{}}");
    round_trip("[9007199254740993,-9223372036854775808,18446744073709551615,123456789012]",
               "[9007199254740993,-9223372036854775808,18446744073709551615,123456789012]");
    round_trip("[0.30000000000000004,1e400,-0,1.0,2147483648]",
               "[0.30000000000000004,1e400,-0,1.0,2147483648]");
    round_trip("7", "7");
}

/* Of what is wanted all is read, in the items of arrays too, and nothing else; what is passed over must
 * still be JSON as far as its brackets and strings go. */
Test(json_read, keep)
{
    struct json *keep = parse("{\"a\":true,\"b\":{\"c\":{\"d\":true}},\"e\":{\"f\":true}}");
    struct json_limits l = {.keep = keep, .skip = "g"};
    struct json *root = NULL;
    struct raia_error e = {0};
    static const char text[] =
        "{\"x\":{\"a\":[\"}\"]},\"a\":{\"b\":1,\"g\":{\"a\":2}},\"y\":\"\\u00e9\",\"z\":-1.5,"
        "\"b\":{\"c\":[{\"d\":[1,{\"x\":2}],\"x\":null},{\"x\":true},3],\"d\":4},\"e\":\"word\"}";
    cr_assert_eq(json_parse(text, sizeof text - 1, &l, &root, &e), 0, "%s", e.text);
    char *out = json_print(root, JSON_COMPACT, NULL);
    cr_assert_str_eq(out,
                     "{\"a\":{\"b\":1},\"b\":{\"c\":[{\"d\":[1,{\"x\":2}]},{},3]},\"e\":\"word\"}");
    mem_free(out);
    json_free(root);
    static const char *const bad[] = {"{\"x\":{\"a\":1}", "{\"x\":\"a", "{\"x\":tru}",
                                      "{\"x\":1e}",       "{\"x\":}",   "{\"x\":{}1}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(json_parse(bad[i], strlen(bad[i]), &l, &root, &e), -RAIA_ERR_PROTOCOL, "%s",
                     bad[i]);
    json_free(keep);
}

/* Escapes decode to UTF-8, surrogate pairs to one character. */
Test(json_read, strings)
{
    struct json *n = parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20ac\\ud83d\\ude00 \xc3\xa9\"");
    cr_assert_str_eq(json_str(n), "\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 \xc3\xa9");
    json_free(n);
}

/* Each malformed text is refused, with the line and column of its fault and the reason. */
Test(json_read, faults)
{
    static const struct {
        const char *text, *place, *what;
    } cases[] = {
        {"", "1:1:", "end of text"},
        {"{\"a\":1,}", "1:8:", "key in double quotes"},
        {"[1,]", "1:4:", "expected a value"},
        {"[1 2]", "1:4:", "',' or ']'"},
        {"{\n  \"a\": 1\n  \"b\": 2\n}", "3:3:", "',' or '}'"},
        {"{\"a\" 1}", "1:6:", "':'"},
        {"{a:1}", "1:2:", "key in double quotes"},
        {"1 2", "1:3:", "after the end"},
        {"[01]", "1:2:", "malformed number"},
        {"[1.]", "1:2:", "malformed number"},
        {"[1e]", "1:2:", "malformed number"},
        {"[-]", "1:2:", "malformed number"},
        {"nul", "1:1:", "expected a value"},
        {"\"abc", "1:1:", "does not end"},
        {"\"abc\\", "1:1:", "does not end"},
        {"\"a\\x\"", "1:3:", "unknown escape"},
        {"\"a\\u12g4\"", "1:3:", "unknown escape"},
        {"\"\xc3\xa9\\u0000\"", "1:3:", "not supported"},
        {"\"\\ud800\"", "1:2:", "surrogate"},
        {"\"\\udc00\\ud800\"", "1:2:", "surrogate"},
        {"\"a\nb\"", "1:3:", "control character"},
        {"\"\xc0\x80\"", "1:2:", "not UTF-8"},
        {"\"\xed\xa0\x80\"", "1:2:", "not UTF-8"},
        {"\"\xf5\x80\x80\x80\"", "1:2:", "not UTF-8"},
        {"[1,\n {\"k\":1,\"j\":2,\"k\":3}]", "2:2:", "\"k\" twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json *root = (void *)&cases;
        struct raia_error e = {0};
        int r = json_parse(cases[i].text, strlen(cases[i].text), NULL, &root, &e);
        cr_assert_eq(r, -RAIA_ERR_PROTOCOL, "%s", cases[i].text);
        cr_assert_eq(strncmp(e.text, cases[i].place, strlen(cases[i].place)), 0, "%s: %s",
                     cases[i].text, e.text);
        cr_assert_not_null(strstr(e.text, cases[i].what), "%s: %s", cases[i].text, e.text);
        cr_assert_eq((void *)root, (void *)&cases, "untouched on failure");
    }
}

/* A NUL byte inside the text is no end of it. */
Test(json_read, nul_byte)
{
    struct json *root = NULL;
    cr_assert_eq(json_parse("1\0 ", 3, NULL, &root, NULL), -RAIA_ERR_PROTOCOL);
    cr_assert_eq(json_parse("\"a\0b\"", 5, NULL, &root, NULL), -RAIA_ERR_PROTOCOL);
}

/* Size, number of values and depth are limited, by default and on request. */
Test(json_read, limits)
{
    struct json *root = NULL;
    char deep[200];
    memset(deep, '[', 64);
    memset(deep + 64, ']', 64);
    cr_assert_eq(json_parse(deep, 128, NULL, &root, NULL), 0);
    json_free(root);
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    cr_assert_eq(json_parse(deep, 130, NULL, &root, NULL), -RAIA_ERR_LIMIT);
    struct json_limits l = {.max_bytes = 9};
    cr_assert_eq(json_parse("[1,2,3,4]", 9, &l, &root, NULL), 0);
    json_free(root);
    cr_assert_eq(json_parse("[1,2,3,4] ", 10, &l, &root, NULL), -RAIA_ERR_LIMIT);
    l = (struct json_limits){.max_nodes = 4};
    cr_assert_eq(json_parse("[1,2,3,4]", 9, &l, &root, NULL), -RAIA_ERR_LIMIT);
    cr_assert_eq(json_parse("[1,2,3]", 7, &l, &root, NULL), 0);
    json_free(root);
}

/* A key repeated in a large object is found too. */
Test(json_read, duplicate_in_large_object)
{
    char *text = mem_alloc(1 << 16);
    size_t n = (size_t)sprintf(text, "{");
    for (int i = 0; i < 2000; i++)
        n += (size_t)sprintf(text + n, "\"k%d\":%d,", i, i);
    sprintf(text + n, "\"z\":0}");
    json_free(parse(text));
    sprintf(text + n, "\"k77\":0}");
    struct json *root = NULL;
    struct raia_error e = {0};
    cr_assert_eq(json_parse(text, strlen(text), NULL, &root, &e), -RAIA_ERR_PROTOCOL);
    cr_assert_not_null(strstr(e.text, "\"k77\""), "%s", e.text);
    mem_free(text);
}

/* Files load, and errors name them. */
Test(json_read, files)
{
    char path[] = "/tmp/raia-test-json-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, "{\"a\":\n[}", 8), 8);
    close(fd);
    struct json *root = NULL;
    struct raia_error e = {0};
    cr_assert_eq(json_load(path, NULL, &root, &e), -RAIA_ERR_PROTOCOL);
    cr_assert_not_null(strstr(e.text, path));
    cr_assert_not_null(strstr(e.text, "2:2:"));
    unlink(path);
    cr_assert_eq(json_load(path, NULL, &root, &e), -RAIA_ERR_NOT_FOUND, "%s", e.text);
    cr_assert_eq(json_load("/tmp", NULL, &root, &e), -RAIA_ERR_INVALID, "%s", e.text);
}

/* What cannot be held is replaced when that is asked for, in its place, and the rest is as it was. */
Test(json_read, repaired)
{
    struct json_limits limits = {.max_depth = 3, .repair = true};
    static const struct {
        const char *text, *read;
    } all[] = {
        {"{\"a\":{\"b\":{\"c\":{\"d\":[\"}\\\"]\"]}}},\"e\":1}",
         "{\"a\":{\"b\":{\"c\":\"(nested too deeply)\"}},\"e\":1}"},
        {"[[[[[", ""},
        {"[\"a\\u0000b\",\"\\ud800\",\"\\udc00x\"]", "[\"a\xef\xbf\xbd"
                                                     "b\",\"\xef\xbf\xbd\",\"\xef\xbf\xbdx\"]"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        _cleanup_(json_freep) struct json *n = NULL;
        struct raia_error e = {0};
        int r = json_parse(all[i].text, strlen(all[i].text), &limits, &n, &e);
        if (i == 1) { /* one that does not balance stays wrong */
            cr_assert_lt(r, 0);
            continue;
        }
        cr_assert_eq(r, 0, "%s: %s", all[i].text, e.text);
        _cleanup_(mem_freep) char *text = json_print(n, JSON_COMPACT, NULL);
        cr_assert_str_eq(text, all[i].read);
    }
    _cleanup_(json_freep) struct json *n = NULL;
    cr_assert_eq(json_parse("{\"a\":1,\"a\":2}", 13, &limits, &n, NULL), 0);
    int64_t v = 0;
    cr_assert_eq(json_int(json_get(n, "a"), &v), 0);
    cr_assert_eq(v, 1);
}

/* Containers of a given name are passed over, and what surrounds them is read; one that does not
 * end, whatever is in it, is refused. */
Test(json_read, skip)
{
    static const char *const good[] = {
        "{\"a\":1,\"x\":{\"b\":[\"}\\\"]\",{}],\"c\":{\"x\":[]}},\"d\":2}",
        "{\"a\":1,\"x\":[],\"d\":2}",
        "{\"x\": [\"\\\\\"] ,\"a\":1,\"d\":2,\"x\":{}}",
    };
    static const char *const bad[] = {"{\"x\":{",       "{\"x\":[\"", "{\"x\":[\"\\",
                                      "{\"x\":[\"\\\"", "{\"x\":[[]", "{\"x\":[]"};
    struct json_limits l = {.skip = "x"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        _cleanup_(json_freep) struct json *root = NULL;
        _cleanup_(mem_freep) char *text = NULL;
        cr_assert_eq(json_parse(good[i], strlen(good[i]), &l, &root, NULL), 0, "%s", good[i]);
        text = json_print(root, JSON_COMPACT, NULL);
        cr_assert_str_eq(text, "{\"a\":1,\"d\":2}");
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct json *root = NULL;
        cr_assert_eq(json_parse(bad[i], strlen(bad[i]), &l, &root, NULL), -RAIA_ERR_PROTOCOL, "%s",
                     bad[i]);
    }
    _cleanup_(json_freep) struct json *plain = NULL;
    cr_assert_eq(json_parse("{\"x\":\"y\"}", 9, &l, &plain, NULL), 0);
    cr_assert_str_eq(json_str(json_get(plain, "x")), "y");
}
