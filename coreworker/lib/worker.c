/*
 * A worker: the thread that called raia_init takes calls from the rings and runs them, for ever.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/runtime.h"

#define REPLY_BATCH_NS INT64_C(50000) /* answers are held back so long while more calls wait */

static void leave(struct runtime *rt)
{
    rt_flush(rt);
    rt->closing = true;
    rt_leave(rt);
    fflush(NULL);
    _exit(0);
}

static bool idle(const struct runtime *rt)
{
    return list_empty(&rt->ready) && list_empty(&rt->running) && !rt->host;
}

void worker_serve(struct runtime *rt)
{
    struct waiter w;
    struct raia_call *c;
    int64_t flushed = 0;
    unsigned unflushed = 0; /* tasks begun since */

    waiter_init(&w, NULL);
    pthread_mutex_lock(&rt->token);
    rt->now = clock_now_ns();
    for (;;) {
        if (rt->dead)
            _exit(1);
        c = host_takes_calls(rt) ? call_next(rt) : NULL;
        if (!c) {
            rt_flush(rt);
            flushed = rt->now;
            unflushed = 0;
            if (rt->leave && idle(rt))
                leave(rt);
            rt_wait(rt, &w, CLOCK_NEVER);
            continue;
        }
        if (c->head.flags & WIRE_TASK_NO_RETRY || ++unflushed >= BOARD_ENTRIES / 2 ||
            rt->now - flushed > REPLY_BATCH_NS) {
            rt_flush(rt);
            flushed = rt->now;
            unflushed = 0;
        }
        call_run(rt, c);
        if (!rt->poller)
            rt_drain(rt);
    }
}
