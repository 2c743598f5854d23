/*
 * How soon a new status must be written. At once: whatever somebody acts upon, and all that gets
 * worse. What gets better on the way there may wait while the API server is busy: the head's address
 * and readiness a little, numbers of pods longer; the last step, `state`, comes at once, with all of
 * them.
 */
#include "core/raycluster_impl.h"

#include "api/conditions.h"

static enum plan_haste later(enum plan_haste a, enum plan_haste b)
{
    return a < b ? a : b;
}

static bool same_text(const struct json *a, const struct json *b, const char *key)
{
    const char *one = json_str(json_get(a, key)), *two = json_str(json_get(b, key));

    return one && two ? strcmp(one, two) == 0 : one == two;
}

/* More of them come, and are not all there yet. */
static enum plan_haste of_count(const struct json *old, const struct json *now, int64_t desired)
{
    int64_t was = 0, is = 0;

    if (json_int(old, &was) < 0 || json_int(now, &is) < 0)
        return PLAN_NOW;
    return is > was && is < desired ? PLAN_LATER : is > was ? PLAN_SOON : PLAN_NOW;
}

/* What was not known becomes known. */
static enum plan_haste of_head(const struct json *old, const struct json *now)
{
    static const char *const keys[] = {"podIP", "podName", "serviceIP", "serviceName"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_get(old, keys[i]) && !same_text(old, now, keys[i]))
            return PLAN_NOW;
    return PLAN_SOON;
}

static enum plan_haste of_condition(const struct json *old, const struct json *now)
{
    const char *type = json_str(json_get(now, "type"));
    int64_t was = -1, is = -1;

    (void)json_int(json_get(old, "observedGeneration"), &was);
    (void)json_int(json_get(now, "observedGeneration"), &is);
    if (!old || was != is)
        return PLAN_NOW;
    if (same_text(old, now, "status") && same_text(old, now, "reason"))
        return PLAN_SOON; /* another message */
    return rc_is(type, RAY_COND_HEAD_READY) && rc_is(json_str(json_get(old, "status")), "False")
               ? PLAN_SOON
               : PLAN_NOW;
}

static enum plan_haste of_conditions(const struct json *old, const struct json *now)
{
    enum plan_haste haste = PLAN_LATER;

    if (json_size(old) != json_size(now))
        return PLAN_NOW;
    JSON_FOREACH(c, now)
    {
        const char *type = json_str(json_get(c, "type"));
        const struct json *before = type ? conditions_get(old, type) : NULL;
        if (!json_equal(before, c))
            haste = later(haste, of_condition(before, c));
    }
    return haste;
}

enum plan_haste rc_haste__(const struct json *old, const struct json *status, int64_t desired)
{
    enum plan_haste haste = PLAN_LATER;

    if (!json_is(old, JSON_OBJECT) || json_size(old) > json_size(status))
        return PLAN_NOW;
    JSON_FOREACH(now, status)
    {
        const char *key = json_key(now);
        const struct json *before = json_get(old, key);
        if (json_equal(before, now) || rc_is(key, "lastUpdateTime"))
            continue;
        if (rc_is(key, "readyWorkerReplicas") || rc_is(key, "availableWorkerReplicas"))
            haste = later(haste, of_count(before, now, desired));
        else if (rc_is(key, "head"))
            haste = later(haste, of_head(before, now));
        else if (rc_is(key, "conditions"))
            haste = later(haste, of_conditions(before, now));
        else
            return PLAN_NOW;
    }
    return haste;
}
