/* What drivers inherit of their job's surroundings. */
#include <criterion/criterion.h>
#include <string.h>

#include "raylet/raylet.h"

static const char *value_of(const Raia__RuntimeEnv *env, const char *name)
{
    for (size_t i = 0; i < env->n_env_vars; i++) {
        if (!strcmp(env->env_vars[i]->name, name))
            return env->env_vars[i]->value;
    }
    return NULL;
}

/* What is printed for an entrypoint is what its drivers read back; their own words win. */
Test(runtime_env, round_trip)
{
    Raia__RuntimeEnv job = RAIA__RUNTIME_ENV__INIT, own = RAIA__RUNTIME_ENV__INIT;
    Raia__EnvVar a = RAIA__ENV_VAR__INIT, b = RAIA__ENV_VAR__INIT, mine = RAIA__ENV_VAR__INIT;
    Raia__EnvVar *vars[] = {&a, &b}, *own_vars[] = {&mine};
    struct runtime_env_sum sum;
    struct raia_error e = {0};
    _cleanup_(mem_freep) char *text = NULL;

    a.name = "A";
    a.value = "of the \"job\"\n";
    b.name = "B";
    b.value = "";
    mine.name = "B";
    mine.value = "mine";
    job.env_vars = vars;
    job.n_env_vars = 2;
    job.working_dir = "gcs://x.zip";
    text = runtime_env_print(&job, "{\"who\":\"me\"}");
    cr_assert_not_null(text);
    cr_assert(strstr(text, "\"who\""));

    cr_assert_eq(runtime_env_inherit(NULL, text, &sum, &e), 0, "%s", e.text);
    cr_assert_eq(sum.env.n_env_vars, 2);
    cr_assert_str_eq(value_of(&sum.env, "A"), a.value);
    cr_assert_str_eq(sum.env.working_dir, "gcs://x.zip");
    runtime_env_sum_done(&sum);

    own.env_vars = own_vars;
    own.n_env_vars = 1;
    own.working_dir = "/mine";
    cr_assert_eq(runtime_env_inherit(&own, text, &sum, &e), 0, "%s", e.text);
    cr_assert_eq(sum.env.n_env_vars, 2);
    cr_assert_str_eq(value_of(&sum.env, "A"), a.value);
    cr_assert_str_eq(value_of(&sum.env, "B"), "mine");
    cr_assert_str_eq(sum.env.working_dir, "/mine");
    runtime_env_sum_done(&sum);
}

/* A driver may say anything: what is no JSON is refused by name, what has other types is left out. */
Test(runtime_env, nonsense)
{
    struct runtime_env_sum sum;
    struct raia_error e = {0};

    cr_assert_eq(runtime_env_inherit(NULL, "{", &sum, &e), -e.code);
    cr_assert_neq(e.code, 0);
    cr_assert(strstr(e.text, "RAIA_JOB_CONFIG_JSON"));
    cr_assert_eq(runtime_env_inherit(
                     NULL,
                     "{\"runtime_env\":{\"env_vars\":{\"A\":1,\"B\":\"b\"},\"working_dir\":7}}",
                     &sum, &e),
                 0);
    cr_assert_eq(sum.env.n_env_vars, 1);
    cr_assert_str_eq(sum.env.working_dir, "");
    runtime_env_sum_done(&sum);
    cr_assert_eq(runtime_env_inherit(NULL, "[1]", &sum, &e), 0);
    cr_assert_eq(sum.env.n_env_vars, 0);
    runtime_env_sum_done(&sum);
}

/* Wherever memory runs out, it is said, and nothing is lost. */
Test(runtime_env, out_of_memory)
{
    static const char text[] = "{\"runtime_env\":{\"env_vars\":{\"A\":\"a\"}}}";
    struct runtime_env_sum sum;
    struct raia_error e;
    int r = -1;

    for (uint64_t n = 1; r < 0; n++) {
        cr_assert_lt(n, 1000);
        memset(&e, 0, sizeof e);
        mem_fail_nth(n);
        r = runtime_env_inherit(NULL, text, &sum, &e);
        mem_fail_nth(0);
        if (r < 0)
            cr_assert_eq(e.code, RAIA_ERR_NOMEM, "%llu: %s", (unsigned long long)n, e.text);
    }
    runtime_env_sum_done(&sum);
}
