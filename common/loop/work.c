/*
 * Blocking work on the library's thread pool; the request lives in the caller's struct.
 */
#include "loop/loop_impl.h"

_Static_assert(sizeof(uv_work_t) <= sizeof(((struct loop_work *)0)->uv),
               "loop_work.uv is too small");

static void on_work(uv_work_t *req)
{
    struct loop_work *w = LOOP_OF(req, struct loop_work, uv);
    w->fn(w);
}

static void on_done(uv_work_t *req, int status)
{
    struct loop_work *w = LOOP_OF(req, struct loop_work, uv);
    w->loop->works--;
    w->loop->ran++;
    w->done(w, status < 0 ? -RAIA_ERR_CANCELED : 0);
}

void loop_work(struct loop *l, struct loop_work *w, loop_work_fn fn, loop_work_done_fn done)
{
    w->fn = fn;
    w->done = done;
    w->loop = l;
    l->works++;
    /* Fails only without a function to run, which is given here. */
    (void)uv_queue_work(&l->uv, (uv_work_t *)(void *)w->uv, on_work, on_done);
}

bool loop_work_cancel(struct loop_work *w)
{
    return uv_cancel((uv_req_t *)(void *)w->uv) == 0;
}
