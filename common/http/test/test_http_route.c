/*
 * Targets and patterns.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "http/http_route.h"

/* Paths split into decoded segments, queries into decoded values; an escaped slash splits nothing. */
Test(http_route, target)
{
    struct http_target t;
    cr_assert_eq(http_target_parse("/api/jobs/a%2Fb/?x=1%20+2&flag&=e&x=3#top", &t), 0);
    cr_assert_str_eq(t.path, "/api/jobs/a%2Fb/");
    cr_assert_eq(t.n_segments, 3);
    cr_assert_str_eq(t.segments[2], "a/b");
    cr_assert_str_eq(t.rest[1], "jobs/a%2Fb/");
    cr_assert_str_eq(http_target_query(&t, "x", 0), "1  2");
    cr_assert_str_eq(http_target_query(&t, "flag", 0), "");
    cr_assert_str_eq(http_target_query(&t, "x", 1), "3");
    cr_assert_null(http_target_query(&t, "x", 2));
    cr_assert_null(http_target_query(&t, "y", 0));
    http_target_done(&t);
}

/* Malformed targets are refused, long and crowded ones too. */
Test(http_route, bad_targets)
{
    static const char *const bad[] = {"",       "a",      "*",   "/%",          "/%4",
                                      "/%zz",   "/a%00b", "/..", "/a/%2e%2e/b", "/./a",
                                      "/a?x=%", "/a%0a",  "/%7f"};
    struct http_target t;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(http_target_parse(bad[i], &t), -RAIA_ERR_PROTOCOL, "%s", bad[i]);
    char text[HTTP_TARGET_MAX + 2];
    memset(text, 'a', sizeof text);
    text[0] = '/';
    text[sizeof text - 1] = '\0';
    cr_assert_eq(http_target_parse(text, &t), -RAIA_ERR_LIMIT);
    memset(text, '/', 200);
    text[200] = '\0';
    cr_assert_eq(http_target_parse(text, &t), -RAIA_ERR_LIMIT);
    strcpy(text, "/?");
    for (int i = 0; i < 65; i++)
        strcat(text, "a&");
    cr_assert_eq(http_target_parse(text, &t), -RAIA_ERR_LIMIT);
    mem_fail_nth(1);
    cr_assert_eq(http_target_parse("/a", &t), -RAIA_ERR_NOMEM);
    mem_fail_nth(0);
}

/* The most exact route of the method wins; another method of the same path is told apart. */
Test(http_route, find)
{
    static const struct http_route routes[] = {
        {.method = "GET", .pattern = "/api/{any...}"},
        {.method = "GET", .pattern = "/api/jobs/{id}"},
        {.method = "GET", .pattern = "/api/jobs/"},
        {.method = "GET", .pattern = "/api/jobs/special"},
        {.method = "POST", .pattern = "/api/jobs/"},
        {.method = "GET", .pattern = "/api/jobs/{id}/logs/tail"},
        {.method = "DELETE", .pattern = "/only"},
    };
    static const struct {
        const char *method, *target;
        int route;
        bool other;
    } cases[] = {{"GET", "/api/jobs/x", 1, false},
                 {"GET", "/api/jobs", 2, false},
                 {"GET", "/api/jobs/", 2, false},
                 {"POST", "/api/jobs", 4, false},
                 {"GET", "/api/jobs/special", 3, false},
                 {"HEAD", "/api/jobs/special/", 3, false},
                 {"GET", "/api/jobs/x/logs/tail", 5, false},
                 {"GET", "/api/a/b", 0, false},
                 {"GET", "/only", -1, true},
                 {"GET", "/", -1, false},
                 {"get", "/api/jobs", -1, true},
                 {"DELETE", "/only/x", -1, false},
                 {"GET", "/api/jobs//", 0, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_target t;
        struct http_params p;
        bool other = false;
        cr_assert_eq(http_target_parse(cases[i].target, &t), 0);
        const struct http_route *r = http_route_find(routes, 7, cases[i].method, &t, &p, &other);
        cr_assert_eq(r ? (int)(r - routes) : -1, cases[i].route, "%s", cases[i].target);
        cr_assert_eq(other, cases[i].other, "%s", cases[i].target);
        http_target_done(&t);
    }
}

/* Names stand for what was in their place; the rest of a path comes as it was sent. */
Test(http_route, params)
{
    struct http_target t;
    struct http_params p;
    cr_assert_eq(http_target_parse("/p/gcs/a%20b/c", &t), 0);
    cr_assert(http_pattern_match("/p/{proto}/{name...}", &t, &p));
    cr_assert_str_eq(http_params_get(&p, "proto"), "gcs");
    cr_assert_str_eq(http_params_get(&p, "name"), "a%20b/c");
    cr_assert_null(http_params_get(&p, "nam"));
    cr_assert_not(http_pattern_match("/p/{proto}/x", &t, &p));
    http_target_done(&t);
    cr_assert_eq(http_pattern_check("/a/{b}/{c...}"), 0);
    cr_assert_eq(http_pattern_check("a"), -RAIA_ERR_INVALID);
    cr_assert_eq(http_pattern_check("/{a...}/b"), -RAIA_ERR_INVALID);
    cr_assert_eq(http_pattern_check("/x{a}"), -RAIA_ERR_INVALID);
    cr_assert_eq(http_pattern_check("/a//b"), -RAIA_ERR_INVALID);
}
