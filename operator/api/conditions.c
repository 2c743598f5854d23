/*
 * Conditions of a status.
 */
#include "api/conditions.h"

#include <string.h>

#include "kube/wall_time.h"

static const char *const values[] = {"False", "True", "Unknown"};

struct json *conditions_of(const struct json *status)
{
    const struct json *list = json_get(status, "conditions");

    return json_is(list, JSON_ARRAY) ? json_copy(list) : json_new_array();
}

const struct json *conditions_get(const struct json *list, const char *type)
{
    JSON_FOREACH(item, list)
    {
        const char *t = json_str(json_get(item, "type"));

        if (t && strcmp(t, type) == 0)
            return item;
    }
    return NULL;
}

bool conditions_true(const struct json *list, const char *type)
{
    const char *s = json_str(json_get(conditions_get(list, type), "status"));

    return s && strcmp(s, "True") == 0;
}

const char *conditions_reason(const struct json *list, const char *type)
{
    const char *s = json_str(json_get(conditions_get(list, type), "reason"));

    return s ? s : "";
}

/* Sets a text member if it differs. */
static int say(struct json *item, const char *key, const char *v)
{
    const char *old = json_str(json_get(item, key));

    return old && strcmp(old, v) == 0 ? 0 : json_set_str(item, key, v);
}

static int fill(struct json *item, const char *type, const char *value, const char *reason,
                const char *message, int64_t generation, int64_t wall_ns)
{
    const char *old = json_str(json_get(item, "status"));
    char now[KUBE_WALL_TIME_SIZE];
    int64_t seen;
    int r = 0;

    if (!old || strcmp(old, value) != 0 || !json_str(json_get(item, "lastTransitionTime")))
        r = json_set_str(item, "lastTransitionTime", kube_wall_time(wall_ns / 1000000, now));
    if (r == 0)
        r = say(item, "type", type);
    if (r == 0)
        r = say(item, "status", value);
    if (r == 0)
        r = say(item, "reason", reason);
    if (r == 0)
        r = say(item, "message", message);
    if (r == 0 && (json_int(json_get(item, "observedGeneration"), &seen) < 0 || seen != generation))
        r = json_set_int(item, "observedGeneration", generation);
    return r;
}

int conditions_set(struct json *list, const char *type, enum condition value, const char *reason,
                   const char *message, int64_t generation, int64_t wall_ns)
{
    _cleanup_(json_freep) struct json *fresh = NULL;
    struct json *item = (struct json *)conditions_get(list, type);
    int r;

    if (!item) {
        fresh = json_new_object();
        if (!fresh)
            return -RAIA_ERR_NOMEM;
    }
    r = fill(item ? item : fresh, type, values[value], reason, message, generation, wall_ns);
    if (r == 0 && fresh)
        r = json_append(list, STEAL(fresh));
    return r;
}

void conditions_remove(struct json *list, const char *type)
{
    json_free(json_detach_item(list, (struct json *)conditions_get(list, type)));
}
