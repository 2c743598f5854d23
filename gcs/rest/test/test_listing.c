/* Listings: filters, limits, warnings, summaries, Ray's envelope. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "rest/listing.h"

static struct json *row(const char *text)
{
    struct json *o = NULL;

    cr_assert_eq(json_parse(text, strlen(text), NULL, &o, NULL), 0);
    return o;
}

static int64_t number(const struct json *root, const char *path)
{
    int64_t v = -1;

    (void)json_int(json_at(root, path), &v);
    return v;
}

static void three_rows(struct listing *l)
{
    listing_row(l, row("{\"name\": \"a\", \"pid\": 1, \"head\": true, \"none\": null}"));
    listing_row(l, row("{\"name\": \"b\", \"pid\": 2, \"head\": false, \"none\": \"x\"}"));
    listing_row(l, row("{\"name\": \"A\", \"pid\": 3, \"head\": true, \"none\": null}"));
}

/* How many of three rows one filter lets through. */
static int64_t filtered(const char *key, const char *predicate, const char *value)
{
    struct listing l;
    int64_t n;

    cr_assert_eq(listing_init(&l, NULL, NULL), 0);
    cr_assert_eq(listing_filter(&l, key, predicate, value, NULL), 0);
    three_rows(&l);
    _cleanup_(json_freep) struct json *root = listing_done(&l);
    n = number(root, "data.result.num_filtered");
    cr_assert_eq(json_size(json_at(root, "data.result.result")), n);
    cr_assert_eq(number(root, "data.result.total"), 3);
    listing_fini(&l);
    return n;
}

/* Texts (without case), numbers, booleans and nulls are compared as people write them. */
Test(listing, filters)
{
    cr_expect_eq(filtered("name", NULL, "a"), 2);
    cr_expect_eq(filtered("name", "=", "b"), 1);
    cr_expect_eq(filtered("name", "!=", "a"), 1);
    cr_expect_eq(filtered("pid", "=", "3"), 1);
    cr_expect_eq(filtered("pid", "!=", "3"), 2);
    cr_expect_eq(filtered("head", "=", "True"), 2);
    cr_expect_eq(filtered("none", "=", "None"), 2);
    cr_expect_eq(filtered("nonsense", "=", "1"), 0);
}

/* All of several filters must hold. */
Test(listing, several_filters)
{
    struct listing l;

    cr_assert_eq(listing_init(&l, "10", NULL), 0);
    cr_assert_eq(listing_filter(&l, "name", "=", "a", NULL), 0);
    cr_assert_eq(listing_filter(&l, "pid", "!=", "1", NULL), 0);
    three_rows(&l);
    _cleanup_(json_freep) struct json *root = listing_done(&l);
    cr_expect_eq(json_size(json_at(root, "data.result.result")), 1);
    cr_expect_eq(number(json_first(json_at(root, "data.result.result")), "pid"), 3);
    listing_fini(&l);
}

/* The limit cuts rows and not the counts; rows that others cut are in the total only. */
Test(listing, limit)
{
    struct listing l;

    cr_assert_eq(listing_init(&l, "2", NULL), 0);
    three_rows(&l);
    listing_cut(&l, 7);
    _cleanup_(json_freep) struct json *root = listing_done(&l);
    cr_expect_eq(json_size(json_at(root, "data.result.result")), 2);
    cr_expect_eq(number(root, "data.result.total"), 10);
    cr_expect_eq(number(root, "data.result.num_after_truncation"), 3);
    cr_expect_eq(number(root, "data.result.num_filtered"), 3);
    cr_expect_str_eq(json_str(json_at(root, "data.result.partial_failure_warning")), "");
    listing_fini(&l);
}

/* What makes no sense is refused with a text. */
Test(listing, refused)
{
    static const char *const bad[] = {"0", "-1", "10001", "x", "", "1x", "99999999999999999999"};
    struct listing l;
    struct raia_error e = {0};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_eq(listing_init(&l, bad[i], &e), -RAIA_ERR_INVALID, "limit '%s'", bad[i]);
        listing_fini(&l);
    }
    cr_assert_eq(listing_init(&l, NULL, &e), 0);
    cr_expect_eq(listing_filter(&l, "a", "=", NULL, &e), -RAIA_ERR_INVALID);
    cr_expect_eq(listing_filter(&l, "a", "<", "1", &e), -RAIA_ERR_INVALID);
    cr_expect_eq(listing_summarize(&l, "nodes", &e), -RAIA_ERR_NOT_FOUND);
    for (int i = 0; i < LISTING_FILTERS_MAX; i++)
        cr_expect_eq(listing_filter(&l, "a", "=", "1", &e), 0);
    cr_expect_eq(listing_filter(&l, "a", "=", "1", &e), -RAIA_ERR_INVALID);
    listing_fini(&l);
}

/* Many warnings are cut, and how many is told. */
Test(listing, warnings)
{
    struct listing l;
    const char *text;

    cr_assert_eq(listing_init(&l, NULL, NULL), 0);
    for (int i = 0; i < 1000; i++)
        listing_warn(&l, "Node %d did not answer.", i);
    _cleanup_(json_freep) struct json *root = listing_done(&l);
    text = json_str(json_at(root, "data.result.partial_failure_warning"));
    cr_assert(text);
    cr_expect(strstr(text, "Node 0 did not answer. Node 1"));
    cr_expect_not(strstr(text, "Node 10 "));
    cr_expect(strstr(text, "And 990 more."));
    listing_fini(&l);
}

/* Tasks are counted by function and state, and by type. */
Test(listing, summary_of_tasks)
{
    static const char *const f =
        "{\"func_or_class_name\": \"f\", \"type\": \"NORMAL_TASK\", \"state\": \"RUNNING\"}";
    static const char *const m =
        "{\"func_or_class_name\": \"m\", \"type\": \"ACTOR_TASK\", \"state\": \"RUNNING\"}";
    struct listing l;

    cr_assert_eq(listing_init(&l, "1", NULL), 0);
    cr_assert_eq(listing_summarize(&l, "tasks", NULL), 0);
    listing_row(&l, row(f));
    listing_row(&l, row(f));
    listing_row(&l, row(m));
    _cleanup_(json_freep) struct json *root = listing_done(&l);
    const struct json *c = json_at(root, "data.result.result.node_id_to_summary.cluster");
    cr_expect_eq(number(c, "total_tasks"), 2);
    cr_expect_eq(number(c, "total_actor_tasks"), 1);
    cr_expect_eq(number(c, "summary.f.state_counts.RUNNING"), 2);
    cr_expect_eq(number(c, "summary.m.state_counts.RUNNING"), 1);
    listing_fini(&l);
}

/* Objects are counted, and their bytes added up; a filter holds for summaries too. */
Test(listing, summary_of_objects)
{
    struct listing l;

    cr_assert_eq(listing_init(&l, NULL, NULL), 0);
    cr_assert_eq(listing_summarize(&l, "objects", NULL), 0);
    cr_assert_eq(listing_filter(&l, "task_status", "!=", "PENDING", NULL), 0);
    for (int i = 0; i < 4; i++)
        listing_row(&l, row("{\"object_size\": 1048576, \"task_status\": \"FINISHED\", "
                            "\"reference_type\": \"LOCAL_REFERENCE\"}"));
    listing_row(&l, row("{\"object_size\": 1, \"task_status\": \"PENDING\"}"));
    _cleanup_(json_freep) struct json *root = listing_done(&l);
    const struct json *c = json_at(root, "data.result.result.node_id_to_summary.cluster");
    cr_expect_eq(number(c, "total_objects"), 4);
    cr_expect_eq(number(c, "total_size_mb"), 4);
    cr_expect_eq(number(c, "summary.disabled.ref_type_counts.LOCAL_REFERENCE"), 4);
    cr_expect_eq(number(c, "summary.disabled.task_state_counts.PENDING"), -1);
    listing_fini(&l);
}

/* The kinds of a summary are bounded: what is beyond is counted as one. */
Test(listing, summary_is_bounded)
{
    struct listing l;
    char text[128];

    cr_assert_eq(listing_init(&l, NULL, NULL), 0);
    cr_assert_eq(listing_summarize(&l, "actors", NULL), 0);
    for (int i = 0; i < LISTING_GROUPS_MAX + 500; i++) {
        snprintf(text, sizeof text, "{\"class_name\": \"c%d\", \"state\": \"ALIVE\"}", i);
        listing_row(&l, row(text));
    }
    _cleanup_(json_freep) struct json *root = listing_done(&l);
    const struct json *c = json_at(root, "data.result.result.node_id_to_summary.cluster");
    cr_expect_eq(number(c, "total_actors"), LISTING_GROUPS_MAX + 500);
    cr_expect_eq(json_size(json_get(c, "summary")), LISTING_GROUPS_MAX + 1);
    cr_expect_eq(number(json_get(json_get(c, "summary"), "(others)"), "state_counts.ALIVE"), 500);
    listing_fini(&l);
}
