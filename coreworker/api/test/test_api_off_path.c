/* The control store is not on the task path: it is stopped, and nobody notices. See session.h. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "session.h"

#define SOON 8000 /* ms: less than what any request to it could wait for */

static int twice(raia_call *c)
{
    int64_t x;

    return raia_arg_int(c, 0, &x) < 0 ? raia_fail(c, "an integer") : raia_return_int(c, 2 * x);
}
RAIA_TASK(twice)

/* Submits one from within. */
static int nested(raia_call *c)
{
    raia_ref *r = raia_submit(twice, raia_int(5));
    int64_t x = 0;
    int n = raia_get_int(r, &x, SOON);

    raia_release(r);
    return n < 0 ? raia_fail(c, "get") : raia_return_int(c, x);
}
RAIA_TASK(nested)

static int thing_new(raia_call *c)
{
    return raia_set_self(c, c);
}
RAIA_ACTOR(Thing, thing_new, NULL)

static pid_t store;

static void wake(void)
{
    if (store > 0)
        kill(store, SIGCONT);
    session_end();
}

static pid_t find_store(void)
{
    char command[512], line[32] = "";
    FILE *f;

    snprintf(command, sizeof(command), "pgrep -f '^[^ ]*raia-gcs .*%s/'", getenv("RAIA_STATE_DIR"));
    f = popen(command, "r");
    if (!f)
        return -1;
    if (!fgets(line, sizeof(line), f))
        line[0] = '\0';
    pclose(f);
    return (pid_t)atoi(line);
}

static void run(raia_fn *fn, const struct raia_options *o, int64_t want)
{
    raia_ref *refs[50];
    int64_t x = 0;

    for (int i = 0; i < 50; i++)
        refs[i] = raia_submit_opt(o, fn, raia_int(4));
    for (int i = 0; i < 50; i++)
        cr_assert(raia_get_int(refs[i], &x, SOON) == 0 && x == want,
                  "task %d of 50, want %ld, options %d: %s", i, (long)want, o != NULL,
                  raia_last_error()->text);
    raia_release_all(refs, 50);
}

/* Tasks are submitted, leased, run and answered, by the driver and from within, with resources that
 * were not asked for before, and an actor whose address is known is called, while it is stopped. */
Test(off_path, store_stopped, .init = session_begin, .fini = wake, .timeout = 120)
{
    raia_actor *a = raia_actor_create(thing_new);
    raia_ref *r = raia_actor_call(a, twice, raia_int(1));
    int64_t x;

    cr_assert_eq(raia_get_int(r, &x, 60000), 0, "%s", raia_last_error()->text);
    raia_release(r);
    run(twice, NULL, 8);
    /* Each node has heard of the job, and has its program. */
    run(twice, RAIA_OPTIONS(.strategy = RAIA_SCHEDULE_SPREAD), 8);
    store = find_store();
    cr_assert_gt(store, 0, "there is no raia-gcs");
    cr_assert_eq(kill(store, SIGSTOP), 0);
    run(twice, NULL, 8);
    run(nested, NULL, 10);
    run(twice, RAIA_OPTIONS(.num_cpus = 0.5, .strategy = RAIA_SCHEDULE_SPREAD), 8);
    for (int i = 0; i < 1000; i++) {
        r = raia_actor_call(a, twice, raia_int(i));
        cr_assert(raia_get_int(r, &x, SOON) == 0 && x == 2 * i, "%s", raia_last_error()->text);
        raia_release(r);
    }
    kill(store, SIGCONT);
    raia_actor_release(a);
}
