/*
 * Where tasks run whose argument is large: makes one on the node that has `far`, and has eight tasks
 * read it, one after the other; prints the names of the nodes that ran them.
 */
#include <raia/raia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BYTES (16u << 20)

static int make(raia_call *c)
{
    void *p = calloc(1, BYTES);
    int r = p ? raia_return(c, raia_bytes(p, BYTES)) : raia_fail(c, "out of memory");

    free(p);
    return r;
}
static int where(raia_call *c)
{
    size_t size = 0;
    const void *p = raia_arg_bytes(c, 0, &size);

    if (!p || size != BYTES)
        return raia_fail(c, "the argument is not there");
    return raia_return(c, raia_str(getenv("RAIA_NODE_NAME")));
}
RAIA_TASK(make)
RAIA_TASK(where)

int main(void)
{
    const struct raia_resource far = {"far", 1};
    raia_ref *large, *r;
    struct raia_view v;

    if (raia_init(NULL) < 0)
        return raia_perror("init");
    large = raia_submit_opt(RAIA_OPTIONS(.resources = &far, .resource_count = 1), make);
    if (raia_wait(&large, 1, 1, 60000, NULL) < 0)
        return raia_perror("make");
    for (int i = 0; i < 8; i++) {
        r = raia_submit(where, raia_value_of(large));
        if (raia_get(r, &v, 60000) < 0)
            return raia_perror("where");
        puts(raia_view_str(&v, NULL));
        raia_view_release(&v);
        raia_release(r);
        usleep(100000); /* the lease goes back meanwhile */
    }
    raia_release(large);
    raia_shutdown();
    return 0;
}
