/* The public functions before raia_init: errors, or nothing, but never a crash. */
#include <string.h>

#include <criterion/criterion.h>

#include "raia/raia.h"

static int nothing(raia_call *c)
{
    (void)c;
    return 0;
}
RAIA_TASK(nothing)

/* What needs a cluster fails with STATE. */
Test(no_session, use)
{
    size_t n;
    struct raia_node *nodes;

    cr_assert_null(raia_put(raia_int(1)));
    cr_assert_eq(raia_last_error()->code, RAIA_ERR_STATE);
    cr_assert_null(raia_submit(nothing));
    cr_assert_eq(raia_last_error()->code, RAIA_ERR_STATE);
    cr_assert_null(raia_create(10));
    cr_assert_eq(raia_nodes(&nodes, &n), -RAIA_ERR_STATE);
    cr_assert_not(raia_initialized());
}

/* Giving back nothing, and leaving what was never entered, does nothing. */
Test(no_session, release)
{
    raia_ref *refs[3] = {NULL};
    struct raia_view v;

    memset(&v, 0, sizeof v);
    raia_release(NULL);
    raia_release_all(refs, 3);
    raia_actor_release(NULL);
    raia_buffer_abort(NULL);
    raia_view_release(&v);
    raia_shutdown();
    cr_assert_eq(raia_last_error()->code, 0);
}
