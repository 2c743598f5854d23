/* What the cases share: the small task, and giving back what a case holds. */
#include <stdlib.h>
#include <sys/mman.h>

#include "bench/bench.h"

int small_value(raia_call *c)
{
    return raia_return(c, raia_bytes("ok", 2));
}
RAIA_TASK(small_value)

size_t bench_size(const struct bench *b, size_t full)
{
    return !b->quick ? full : full > 100 ? full / 100 : 1;
}

int bench_get_all(struct bench *b, size_t n)
{
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++)
        if (!b->refs[i])
            r = -raia_last_error()->code;
    if (r == 0)
        r = raia_get_all(b->refs, n, b->views, RAIA_FOREVER);
    if (r >= 0)
        for (size_t i = 0; i < n; i++)
            raia_view_release(&b->views[i]);
    raia_release_all(b->refs, n);
    return r;
}

int bench_finish(raia_ref *r)
{
    if (!r)
        return -raia_last_error()->code;
    int ret = raia_get_done(r, RAIA_FOREVER);
    raia_release(r);
    return ret;
}

void bench_release(struct bench *b)
{
    raia_release(b->object);
    b->object = NULL;
    raia_release_all(b->refs, BENCH_REFS);
    if (b->held)
        raia_release_all(b->held, b->held_count);
    free(b->held);
    b->held = NULL;
    for (unsigned i = 0; i < BENCH_ACTORS; i++) {
        raia_actor_release(b->clients[i]);
        raia_actor_release(b->actors[i]);
        b->clients[i] = b->actors[i] = NULL;
    }
    if (b->memory)
        munmap(b->memory, b->memory_bytes);
    b->memory = NULL;
}
