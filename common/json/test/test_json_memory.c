/*
 * Every allocation of every public function fails once: the result is -NOMEM or NULL, no leak.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "json/json_writer.h"

static const char doc[] =
    "{\"a\":[1,2.5,\"x\",{\"b\":null}],\"long\":12345678901234567890,\"t\":true}";

static int scenario(void)
{
    _cleanup_(json_freep) struct json *root = NULL;
    struct raia_error e = {0};
    int r = json_parse(doc, strlen(doc), NULL, &root, &e);
    if (r < 0)
        return r;
    _cleanup_(json_freep) struct json *copy = json_copy(root);
    if (!copy)
        return -RAIA_ERR_NOMEM;
    r = json_set_str(copy, "new", "value");
    if (r == 0)
        r = json_set_double(copy, "t", 1.25);
    if (r == 0)
        r = json_append(json_get(copy, "a"), json_new_strn("abc", 2));
    if (r == 0)
        r = json_set(copy, "o", json_new_object());
    if (r < 0)
        return r;
    _cleanup_(mem_freep) char *text = json_print(copy, JSON_PRETTY, NULL);
    return text ? 0 : -RAIA_ERR_NOMEM;
}

/* The whole life of a tree survives the failure of its n-th allocation, for every n. */
Test(json_memory, nth_allocation)
{
    unsigned n = 1;
    for (;; n++) {
        mem_fail_nth(n);
        int r = scenario();
        bool failed = mem_fail_count() >= n;
        mem_fail_nth(0);
        if (!failed) {
            cr_assert_eq(r, 0);
            break;
        }
        cr_assert_eq(r, -RAIA_ERR_NOMEM, "allocation %u: %d", n, r);
    }
    cr_assert_gt(n, 30);
}
