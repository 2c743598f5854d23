/* Clusters by the address of their API. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "cli/remote.h"

static const char *const vars[] = {"RAY_API_SERVER_ADDRESS",
                                   "RAIA_API_SERVER",
                                   "RAY_DASHBOARD_ADDRESS",
                                   "RAY_ADDRESS",
                                   "RAY_AUTH_TOKEN",
                                   "RAY_AUTH_TOKEN_PATH",
                                   "RAIA_SESSION_DIR",
                                   "RAIA_CLUSTER",
                                   "RAIA_ADDRESS"};

static void clear(void)
{
    for (size_t i = 0; i < sizeof vars / sizeof *vars; i++)
        unsetenv(vars[i]);
    setenv("HOME", "/no/such", 1);
}

TestSuite(remote, .init = clear);

/* Every spelling becomes a URL; the GCS's port stands for the API's; what is none is refused. */
Test(remote, addresses)
{
    static const char *const of[][2] = {
        {"http://a:1", "http://a:1"},        {"http://a:1/", "http://a:1"},
        {"https://a.b/x/", "https://a.b/x"}, {"a:8265", "http://a:8265"},
        {"a.svc:6379", "http://a.svc:8265"}, {"127.0.0.1:16379", "http://127.0.0.1:16379"},
    };
    struct raia_error e = {0};

    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        struct state_cluster c = {0};
        cr_assert(remote_is_address(of[i][0]));
        cr_assert_eq(remote_open(of[i][0], &c, &e), 0, "%s", e.text);
        cr_assert_str_eq(c.api_url, of[i][1]);
        cr_assert_null(c.token);
        state_cluster_done(&c);
    }
    struct state_cluster c = {0};
    cr_assert_eq(remote_open("ray://a:10001", &c, &e), -RAIA_ERR_INVALID);
    cr_assert_not(remote_is_address("demo"));
    cr_assert_not(remote_is_address("unix:/a/b.sock"));
}

/* The environment's addresses in their order; "auto" and local names are none of them. */
Test(remote, environment)
{
    cr_assert_null(remote_from_env());
    setenv("RAY_ADDRESS", "auto", 1);
    cr_assert_null(remote_from_env());
    setenv("RAY_ADDRESS", "h:6379", 1);
    cr_assert_str_eq(remote_from_env(), "h:6379");
    setenv("RAIA_API_SERVER", "http://p:8265", 1);
    cr_assert_str_eq(remote_from_env(), "http://p:8265");
    setenv("RAY_API_SERVER_ADDRESS", "http://q:8265", 1);

    struct state_cluster c = {0};
    struct raia_error e = {0};
    cr_assert_eq(state_open(NULL, &c, &e), 0, "%s", e.text);
    cr_assert_str_eq(c.api_url, "http://q:8265");
    state_cluster_done(&c);
    cr_assert_eq(state_open("x:99", &c, &e), 0, "%s", e.text);
    cr_assert_str_eq(c.api_url, "http://x:99");
    state_cluster_done(&c);
}

/* The token's sources in their order; a file's end of line is no part of it. */
Test(remote, tokens)
{
    char dir[] = "/tmp/raia-test-remote-XXXXXX";
    struct raia_error e = {0};
    struct state_cluster c = {0};
    cr_assert(mkdtemp(dir));
    _cleanup_(mem_freep) char *file = mem_printf("%s/token", dir), *other = mem_printf("%s/t", dir);
    cr_assert_eq(io_write_file(file, "pod\n", 4, 0600, 0, &e), 0);
    cr_assert_eq(io_write_file(other, "path\n", 5, 0600, 0, &e), 0);

    setenv("RAIA_SESSION_DIR", dir, 1);
    cr_assert_eq(remote_open("a:1", &c, &e), 0);
    cr_assert_str_eq(c.token, "pod");
    state_cluster_done(&c);
    setenv("RAY_AUTH_TOKEN_PATH", other, 1);
    cr_assert_eq(remote_open("a:1", &c, &e), 0);
    cr_assert_str_eq(c.token, "path");
    state_cluster_done(&c);
    setenv("RAY_AUTH_TOKEN", "env", 1);
    cr_assert_eq(remote_open("a:1", &c, &e), 0);
    cr_assert_str_eq(c.token, "env");
    state_cluster_done(&c);
    cr_assert_eq(io_remove_tree(dir, &e), 0);
}
