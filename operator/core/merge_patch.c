/*
 * Differences between trees as merge patches.
 */
#include "core/merge_patch.h"

#include "raia/error.h"

static bool absent(const struct json *n)
{
    return !n || json_is(n, JSON_NULL);
}

static int set_child(struct json **into, const char *key, struct json *child)
{
    if (!*into)
        *into = json_new_object();
    return json_set(*into, key, child); /* takes the child over; NULL objects give -NOMEM */
}

static int diff_member(const struct json *old, const struct json *wanted, const char *key,
                       struct json **patch)
{
    if (json_is(wanted, JSON_OBJECT) && json_is(old, JSON_OBJECT)) {
        struct json *sub = NULL;
        int r = merge_patch_between(old, wanted, &sub);
        return r < 0 || !sub ? r : set_child(patch, key, sub);
    }
    if (json_equal(old, wanted))
        return 0;
    return set_child(patch, key, json_copy(wanted));
}

int merge_patch_between(const struct json *old, const struct json *wanted, struct json **ret_patch)
{
    struct json *patch = NULL;
    int r = 0;
    JSON_FOREACH(n, wanted)
    if (r == 0 && !absent(n))
        r = diff_member(json_get(old, json_key(n)), n, json_key(n), &patch);
    JSON_FOREACH(n, old)
    if (r == 0 && !absent(n) && absent(json_get(wanted, json_key(n))))
        r = set_child(&patch, json_key(n), json_new_null());
    if (r < 0)
        json_free(patch);
    else
        *ret_patch = patch;
    return r;
}

bool merge_patch_is_idle(const struct json *object, const struct json *patch)
{
    JSON_FOREACH(n, patch)
    {
        const struct json *old = json_get(object, json_key(n));
        bool same;
        if (absent(n))
            same = !old;
        else if (json_is(n, JSON_OBJECT))
            same = json_is(old, JSON_OBJECT) && merge_patch_is_idle(old, n);
        else
            same = old && json_equal(old, n);
        if (!same)
            return false;
    }
    return true;
}
