/*
 * Merge patches: applied to the old tree they give the new one, and nothing is sent for nothing.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "core/merge_patch.h"
#include "raia/error.h"

static struct json *parse(const char *text)
{
    struct json *o = NULL;
    cr_assert_eq(json_parse(text, strlen(text), NULL, &o, NULL), 0, "%s", text);
    return o;
}

/* The patch from `old` to `wanted` is this text; NULL: none. */
static void expect(const char *old, const char *wanted, const char *patch)
{
    struct json *a = parse(old), *b = parse(wanted), *p = NULL;
    cr_assert_eq(merge_patch_between(a, b, &p), 0);
    if (patch) {
        struct json *q = parse(patch);
        cr_assert(json_equal(p, q), "%s to %s", old, wanted);
        cr_assert(!merge_patch_is_idle(a, p));
        cr_assert(merge_patch_is_idle(b, p));
        json_free(q);
    } else {
        cr_assert_null(p, "%s to %s", old, wanted);
    }
    json_free(a);
    json_free(b);
    json_free(p);
}

/* Only what differs is named; what is gone becomes null; lists are replaced as a whole. */
Test(merge_patch, between)
{
    expect("{}", "{}", NULL);
    expect("{\"a\":1}", "{\"a\":1.0}", NULL);
    expect("{\"a\":1}", "{\"a\":2,\"b\":\"x\"}", "{\"a\":2,\"b\":\"x\"}");
    expect("{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":1}}", "{\"a\":{\"c\":null}}");
    expect("{\"a\":[1,2]}", "{\"a\":[1]}", "{\"a\":[1]}");
    expect("{\"a\":\"x\"}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}");
    expect("{\"a\":1}", "{\"b\":null}", "{\"a\":null}");
    expect("{\"a\":null}", "{}", NULL);
}

/* Where there was nothing, all of it is new. */
Test(merge_patch, from_nothing)
{
    struct json *b = parse("{\"a\":{\"b\":1}}"), *p = NULL;
    cr_assert_eq(merge_patch_between(NULL, b, &p), 0);
    cr_assert(json_equal(p, b));
    json_free(p);
    p = parse("{\"x\":null,\"y\":{}}");
    cr_assert(!merge_patch_is_idle(b, p), "an empty object is made");
    json_free(p);
    p = parse("{\"x\":null}");
    cr_assert(merge_patch_is_idle(b, p));
    json_free(p);
    json_free(b);
}

/* Out of memory is told, and nothing leaks. */
Test(merge_patch, no_memory)
{
    struct json *a = parse("{\"a\":{\"b\":1,\"c\":2},\"d\":3}");
    struct json *b = parse("{\"a\":{\"b\":2},\"e\":[1,{\"f\":4}]}");
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct json *p = NULL;
        mem_fail_nth(n);
        int r = merge_patch_between(a, b, &p);
        failed = r < 0;
        mem_fail_nth(0);
        cr_assert(failed ? r == -RAIA_ERR_NOMEM && !p : p != NULL);
        json_free(p);
    }
    json_free(a);
    json_free(b);
}
