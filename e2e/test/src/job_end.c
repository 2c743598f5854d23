/* A driver that has a worker on another node, says so, and ends when its input does. */
#include <raia/raia.h>
#include <stdio.h>

static int one(raia_call *c)
{
    return raia_return_int(c, 1);
}
RAIA_TASK(one)

int main(void)
{
    static const struct raia_resource far = {"far", 1};
    raia_ref *r;
    int64_t x;

    if (raia_init(NULL) < 0)
        return raia_perror("init");
    r = raia_submit_opt(RAIA_OPTIONS(.resources = &far, .resource_count = 1), one);
    if (raia_get_int(r, &x, 60000) < 0)
        return raia_perror("a task on the other node");
    raia_release(r);
    puts("ready");
    fflush(stdout);
    (void)getchar();
    raia_shutdown();
    return 0;
}
