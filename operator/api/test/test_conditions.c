/*
 * Conditions of a status.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "api/conditions.h"

static const char *at(struct json *list, const char *type, const char *key)
{
    return json_str(json_get(conditions_get(list, type), key));
}

/* The transition time moves with the status only, whatever else changes. */
Test(conditions, transition_time)
{
    struct json *list = conditions_of(NULL);
    cr_assert_eq(conditions_set(list, "A", CONDITION_TRUE, "R", "m", 1, 1000000000), 0);
    cr_assert_str_eq(at(list, "A", "lastTransitionTime"), "1970-01-01T00:00:01Z");
    cr_assert_eq(conditions_set(list, "A", CONDITION_TRUE, "Q", "other", 2, 5000000000), 0);
    cr_assert_str_eq(at(list, "A", "lastTransitionTime"), "1970-01-01T00:00:01Z");
    cr_assert_str_eq(at(list, "A", "reason"), "Q");
    cr_assert_str_eq(at(list, "A", "message"), "other");
    cr_assert_eq(conditions_set(list, "A", CONDITION_UNKNOWN, "Q", "", 2, 9000000000), 0);
    cr_assert_str_eq(at(list, "A", "lastTransitionTime"), "1970-01-01T00:00:09Z");
    cr_assert_not(conditions_true(list, "A"));
    cr_assert_eq(json_size(list), 1);
    json_free(list);
}

/* Saying the same again changes nothing, so that nothing is written. */
Test(conditions, same_again)
{
    struct json *list = conditions_of(NULL);
    cr_assert_eq(conditions_set(list, "A", CONDITION_TRUE, "R", "m", 1, 1000000000), 0);
    struct json *before = json_copy(list);
    cr_assert_eq(conditions_set(list, "A", CONDITION_TRUE, "R", "m", 1, 7000000000), 0);
    cr_assert(json_equal(before, list));
    json_free(before);
    json_free(list);
}

/* A list is a copy of the status' own, and conditions leave it by type. */
Test(conditions, copy_and_remove)
{
    struct json *status = json_new_object();
    struct json *list = conditions_of(status);
    cr_assert_eq(conditions_set(list, "A", CONDITION_TRUE, "R", "", 1, 0), 0);
    cr_assert_eq(conditions_set(list, "B", CONDITION_FALSE, "S", "", 1, 0), 0);
    cr_assert_eq(json_set(status, "conditions", list), 0);
    list = conditions_of(status);
    conditions_remove(list, "A");
    conditions_remove(list, "C");
    cr_assert_null(conditions_get(list, "A"));
    cr_assert_str_eq(conditions_reason(list, "B"), "S");
    cr_assert_str_eq(conditions_reason(list, "A"), "");
    cr_assert_eq(json_size(json_get(status, "conditions")), 2);
    json_free(list);
    json_free(status);
}

/* Memory that runs out at any point is told, and leaves a list that can be freed. */
Test(conditions, no_memory)
{
    for (uint64_t n = 1; n < 100; n++) {
        struct json *list = conditions_of(NULL);
        mem_fail_nth(n);
        int r = conditions_set(list, "A", CONDITION_TRUE, "R", "m", 1, 0);
        mem_fail_nth(0);
        cr_assert(r == 0 || r == -RAIA_ERR_NOMEM);
        json_free(list);
        if (r == 0)
            return;
    }
    cr_assert_fail("never succeeded");
}
